//! Explicit rules: what each lists, and how each is deployed.

use super::*;
use crate::domain::{DeployRequest, ImageStyle, OnDelete, RECONCILE_SOURCE, TriggerSwitches, Wanted};

const API: &str = "111122223333/eu-west-1/shop/api-service";
const WEB: &str = "111122223333/eu-west-1/shop/web-service";

fn runs(name: &str, repositories: &[&str]) -> TargetRule {
    TargetRule { repositories: globs(repositories), ..rule(name) }
}

fn pins(name: &str, tags: &str) -> TargetRule {
    with(runs(name, &["shop/api"]), |settings| {
        settings.on_push = OnPush::Pin;
        settings.tags = tags.parse().expect("a policy");
    })
}

fn requested(service: &str, wanted: Wanted) -> Trigger {
    Trigger::DeployRequested(DeployRequest { service: service.into(), wanted, ..DeployRequest::default() })
}

#[test]
fn one_repository_reaches_every_target_that_runs_it() {
    let routes = explicit([runs("api", &["shop/api"]), runs("web", &["shop/*"]), runs("db", &["shop"])]);
    let follow = "refresh if it names that tag of shop/api:latest";
    assert_eq!(
        lines(&routes, &event(push("shop/api", "latest"))),
        [format!("api-service: {follow}"), format!("web-service: {follow}")]
    );
    assert_eq!(lines(&routes, &event(push("shop/api2/x", "latest"))).len(), 1);
}

#[test]
fn a_target_that_is_reached_twice_is_asked_once() {
    let both = runs("api", &["shop/api", "shop/*"]);
    let routes = explicit([both.clone(), both]);
    assert_eq!(lines(&routes, &event(push("shop/api", "x"))).len(), 1);
    assert_eq!(routes.resolve("api").expect("one target").0.to_string(), API);
    assert_eq!(routes.targets().count(), 1);
}

#[test]
fn every_request_carries_its_rules_settings_the_times_and_the_reason() {
    let rule = runs("api", &["shop/api"]);
    let settings = rule.settings.clone();
    let routing = explicit([rule]).route(&event(push("shop/api", "latest")), &arrival());
    let request = &routing.requests[0];
    assert!(Arc::ptr_eq(&request.settings, &settings));
    assert_eq!((request.version, request.floor), (arrival().version, arrival().floor));
    assert_eq!(request.origin.reason, "push of shop/api:latest");
    assert_eq!(request.origin.event_id.as_str(), "event-1");
}

#[test]
fn what_reconcile_found_says_since_when_and_not_that_an_event_was_lost() {
    let routes = explicit([runs("api", &["a"])]);
    let found = Event { source: RECONCILE_SOURCE.into(), ..event(push("a", "latest")) };
    let routing = routes.route(&found, &arrival());
    let reason = &routing.requests[0].origin.reason;
    assert_eq!(reason, "push of a:latest at 1970-01-01T00:00:01Z, and no rollout had brought it");
}

#[test]
fn a_push_tells_its_registry_only_where_the_event_tells_both_halves() {
    let routes = explicit([runs("api", &["shop/api"])]);
    let home = |event: Event| match &routes.route(&event, &arrival()).requests[0].change {
        Change::Refresh(Refresh::Image(image)) => image.source.home.clone(),
        other => panic!("{other:?}"),
    };
    let pushed = event(push("shop/api", "x"));
    assert_eq!(home(pushed.clone()), Some((ACCOUNT.into(), REGION.into())));
    assert_eq!(home(Event { account: None, ..pushed }), None);
}

#[test]
fn an_image_of_another_account_reaches_the_targets_that_list_its_repository() {
    let routes = explicit([runs("api", &["shop/api"])]);
    assert_eq!(routes.route(&elsewhere(push("shop/api", "x")), &arrival()).requests.len(), 1);
}

#[test]
fn a_replica_reaches_only_the_targets_in_its_region() {
    let far = TargetRule { region: Some("us-east-1".into()), ..runs("far", &["shop/api"]) };
    let routes = explicit([runs("api", &["shop/api"]), far]);
    let Trigger::ImagePushed(image) = push("shop/api", "x") else { unreachable!() };
    let replicated = |region: &str| Event {
        region: Some(region.into()),
        ..event(Trigger::ImageReplicated(image.clone()))
    };
    let refresh = "refresh if it names that tag of shop/api:x";
    assert_eq!(lines(&routes, &replicated("us-east-1")), [format!("far-service: {refresh}")]);
    assert_eq!(lines(&routes, &replicated(REGION)), [format!("api-service: {refresh}")]);
    assert_eq!(
        lines(&routes, &replicated("eu-west-3")),
        ["() no target in eu-west-3 runs images of shop/api"]
    );
}

#[test]
fn pin_takes_the_tags_of_its_policy() {
    for (policy, takes, refuses) in [
        ("exact:latest", "latest", "late"),
        ("glob:release-*", "release-1", "pre-release-1"),
        (r"regex:^build-(?<number>\d+)$", "build-10", "build-x"),
        (r"regex:^main-(?<text>\d{4}-\d\d)$", "main-2026-01", "main-new"),
        ("semver:^2", "v2.4.1", "3.0.0"),
    ] {
        let routes = explicit([pins("api", policy)]);
        let image = format!("api-service: image shop/api:{takes}@digest as tag by {policy}");
        assert_eq!(lines(&routes, &event(push("shop/api", takes))), [image]);
        let note = format!("(api) tag {refuses} is not one that api takes: its policy is `{policy}`");
        assert_eq!(lines(&routes, &event(push("shop/api", refuses))), [note]);
    }
    let newest = lines(&explicit([pins("api", "newest")]), &event(push("shop/api", "anything")));
    assert_eq!(newest, ["api-service: image shop/api:anything@digest as tag by newest"]);
}

#[test]
fn an_ignored_tag_is_taken_by_no_policy() {
    let ignoring =
        |rule| with(rule, |settings| settings.ignore_tags = vec!["glob:*-dirty".parse().expect("a policy")]);
    for rule in [pins("api", "newest"), runs("api", &["shop/api"])] {
        let routes = explicit([ignoring(rule)]);
        for trigger in [push("shop/api", "v1-dirty"), ready("shop/api", "v1-dirty", None)] {
            assert_eq!(
                lines(&routes, &event(trigger)),
                ["(api) tag v1-dirty is on the list that api ignores, by `glob:*-dirty`"]
            );
        }
        assert_eq!(routes.route(&event(push("shop/api", "v1")), &arrival()).requests.len(), 1);
    }
}

#[test]
fn a_pinned_revision_names_the_digest_where_the_settings_prefer_it() {
    let routes = explicit([with(pins("api", "newest"), |it| it.image_reference = ImageStyle::Digest)]);
    assert_eq!(
        lines(&routes, &event(push("shop/api", "x"))),
        ["api-service: image shop/api:x@digest as digest by newest"]
    );
}

#[test]
fn each_policy_makes_its_own_of_a_push_and_of_an_announcement() {
    for (on_push, of_push, of_announcement) in [
        (OnPush::Follow, "api-service: refresh if it names that tag of shop/api:x", "api-service: restart"),
        (OnPush::Always, "api-service: refresh if it names any tag of shop/api:x", "api-service: restart"),
        (
            OnPush::Pin,
            "api-service: image shop/api:x@digest as tag by newest",
            "api-service: image shop/api:x as tag on purpose",
        ),
        (OnPush::Ignore, "(api) api ignores pushes", "(api) api ignores pushes"),
    ] {
        let routes = explicit([with(runs("api", &["shop/api"]), |it| it.on_push = on_push)]);
        assert_eq!(lines(&routes, &event(push("shop/api", "x"))), [of_push]);
        assert_eq!(lines(&routes, &event(ready("shop/api", "x", None))), [of_announcement]);
    }
}

#[test]
fn an_announcement_of_a_tag_that_pin_does_not_take_deploys_nothing() {
    let routes = explicit([pins("api", "semver:^2")]);
    assert_eq!(
        lines(&routes, &event(ready("shop/api", "feature-1", Some("main")))),
        ["(api) tag feature-1 is not one that api takes: its policy is `semver:^2`"]
    );
}

#[test]
fn an_announcement_must_come_from_an_allowed_branch() {
    for on_push in [OnPush::Follow, OnPush::Always, OnPush::Pin] {
        let routes = explicit([with(runs("api", &["shop/api"]), |settings| {
            settings.on_push = on_push;
            settings.branches = globs(&["main", "release-*"]);
        })]);
        let announced = |branch| lines(&routes, &event(ready("shop/api", "x", branch)));
        assert!(announced(Some("main"))[0].starts_with("api-service: "));
        assert!(announced(Some("release-2"))[0].starts_with("api-service: "));
        assert_eq!(
            announced(Some("feature/login")),
            ["(api) branch feature/login is not one that api takes: main, release-*"]
        );
        assert_eq!(announced(None), ["(api) announced without a branch, and api takes only main, release-*"]);
        assert_eq!(routes.route(&event(push("shop/api", "x")), &arrival()).requests.len(), 1);
    }
}

#[test]
fn parameters_match_by_name_glob_and_arn_in_the_targets_own_account_and_region() {
    let arn = "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db/url";
    let reads = |name, patterns: &[&str]| TargetRule { parameters: globs(patterns), ..rule(name) };
    let far = TargetRule {
        account: Some("999900001111".into()),
        region: Some("us-east-1".into()),
        ..reads("far", &["/prod/*"])
    };
    let routes =
        explicit([reads("api", &["/prod/shop/api/*"]), reads("web", &["prod/shop/api/KEY", arn]), far]);
    let of = |trigger| lines(&routes, &event(trigger));
    assert_eq!(of(parameter("/prod/shop/api/KEY")), ["api-service: restart", "web-service: restart"]);
    assert_eq!(of(parameter("prod/shop/api/X")), ["api-service: restart"]);
    assert_eq!(of(parameter("/prod/db/url")), ["web-service: restart"]);
    assert_eq!(lines(&routes, &elsewhere(parameter("/prod/db/url"))), ["far-service: restart"]);
    let reason = "() no target in 111122223333/eu-west-1 reads parameter /prod/other";
    assert_eq!(of(parameter("/prod/other")), [reason]);
}

#[test]
fn secrets_match_by_name_however_either_side_names_them() {
    let arn = |tail: &str| format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{tail}");
    for (listed, named) in [
        ("shop/api".into(), arn("shop/api-AbCdEf")),
        ("shop/api".into(), "shop/api".into()),
        ("shop/*".into(), arn("shop/api-AbCdEf")),
        (arn("shop/api-AbCdEf"), "shop/api".into()),
        (arn("shop/api-AbCdEf:KEY::"), arn("shop/api-AbCdEf")),
        (arn("shop/api-??????"), arn("shop/api-AbCdEf")),
        (arn("shop/api-secret"), arn("shop/api-secret-AbCdEf")),
    ] {
        let routes = explicit([TargetRule { secrets: globs(&[&listed]), ..rule("api") }]);
        assert_eq!(lines(&routes, &event(secret(&named))), ["api-service: restart"], "{listed} for {named}");
        assert!(routes.route(&elsewhere(secret(&named)), &arrival()).requests.is_empty());
    }
    let routes = explicit([TargetRule { secrets: globs(&["shop/api"]), ..rule("api") }]);
    for other in ["shop/api-AbCdEf".to_owned(), arn("shop/api2-AbCdEf"), arn("x/shop/api-AbCdEf")] {
        assert!(routes.route(&event(secret(&other)), &arrival()).requests.is_empty(), "{other}");
    }
}

#[test]
fn a_file_reaches_whoever_loads_it_whosever_bucket_it_is_in() {
    let loads = |name, key| TargetRule { files: vec![file("shop-env", key)], ..rule(name) };
    let routes = explicit([loads("api", "api.env"), loads("web", "*.env")]);
    let both = ["api-service: restart", "web-service: restart"];
    assert_eq!(lines(&routes, &event(object("shop-env", "api.env"))), both);
    assert_eq!(lines(&routes, &elsewhere(object("shop-env", "api.env"))), both);
    assert_eq!(lines(&routes, &event(object("env", "api.env"))), ["() no target loads s3://env/api.env"]);
}

#[test]
fn a_deletion_deploys_only_where_the_settings_say_so() {
    let reads = |name| TargetRule {
        parameters: globs(&["/k"]),
        secrets: globs(&["k"]),
        files: vec![file("b", "k")],
        ..rule(name)
    };
    let routes = explicit([reads("api"), with(reads("web"), |it| it.on_delete = OnDelete::Deploy)]);
    let change = Write::Deleted;
    for (trigger, what) in [
        (Trigger::ParameterChanged { name: "/k".into(), change }, "parameter /k"),
        (Trigger::SecretChanged { secret: "k".into(), change }, "secret k"),
        (Trigger::EnvFileChanged { bucket: "b".into(), key: "k".into(), change }, "s3://b/k"),
    ] {
        let warning = format!("(api) {what} was deleted: new tasks would fail to start");
        assert_eq!(lines(&routes, &event(trigger)), ["web-service: restart".to_owned(), warning]);
    }
}

#[test]
fn a_created_parameter_deploys_the_targets_that_name_it() {
    let routes = explicit([TargetRule { parameters: globs(&["/k"]), ..rule("api") }]);
    let created = Trigger::ParameterChanged { name: "/k".into(), change: Write::Created };
    let routing = routes.route(&event(created), &arrival());
    assert_eq!(routing.requests[0].origin.reason, "parameter /k created");
}

#[test]
fn a_switched_off_kind_says_so_and_leaves_the_others_on() {
    let off = |triggers| {
        let reads = TargetRule { parameters: globs(&["/k"]), secrets: globs(&["k"]), ..rule("api") };
        explicit([with(reads, |settings| settings.triggers = triggers)])
    };
    let routes = off(TriggerSwitches { secrets: false, ..TriggerSwitches::ALL });
    assert_eq!(lines(&routes, &event(secret("k"))), ["(api) secrets are switched off for api"]);
    assert_eq!(lines(&routes, &event(parameter("/k"))), ["api-service: restart"]);
}

#[test]
fn a_request_says_what_it_wants() {
    let routes = explicit([rule("api")]);
    let image = |text: &str| Wanted::Image(text.parse().expect("an image"));
    for (wanted, asked) in [
        (Wanted::Refresh, "restart".to_owned()),
        (Wanted::Definition("api:7".parse().expect("a definition")), "definition api:7".into()),
        (Wanted::Tag("v2".into()), "image *:v2 as tag on purpose".into()),
        (image("h.x/shop/api:v2"), "image shop/api:v2 as tag on purpose".into()),
        (image("shop/api"), "image shop/api:latest as tag on purpose".into()),
        (image(&format!("shop/api@{DIGEST}")), "image shop/api@digest as digest on purpose".into()),
    ] {
        let got = lines(&routes, &event(requested("api", wanted)));
        assert_eq!(got, [format!("api-service: {asked}")]);
    }
}

#[test]
fn a_requested_image_keeps_its_registry_its_container_and_its_force() {
    let routes = explicit([with(rule("api"), |settings| settings.container = Some("web".into()))]);
    let image = "999900001111.dkr.ecr.us-east-1.amazonaws.com/api:v2".parse().expect("an image");
    let request = DeployRequest {
        service: "api".into(),
        wanted: Wanted::Image(image),
        force: true,
        ..DeployRequest::default()
    };
    let routing = routes.route(&event(Trigger::DeployRequested(request)), &arrival());
    let Change::Image(change) = &routing.requests[0].change else { panic!("{routing:?}") };
    assert_eq!(change.source.home, Some(("999900001111".into(), "us-east-1".into())));
    assert_eq!(change.source.container, Some("web".into()));
    assert!(change.force);
}

#[test]
fn force_is_carried_with_a_tag_alone() {
    let request = DeployRequest {
        service: "api".into(),
        wanted: Wanted::Tag("v2".into()),
        force: true,
        ..DeployRequest::default()
    };
    let got = lines(&explicit([rule("api")]), &event(Trigger::DeployRequested(request)));
    assert_eq!(got, ["api-service: image *:v2 as tag on purpose, forced"]);
}

#[test]
fn a_target_is_called_by_its_name_its_id_or_ecs_name() {
    let routes = explicit([rule("api"), rule("web")]);
    for called in ["api", API, "api-service"] {
        assert_eq!(routes.resolve(called).expect("known").0.to_string(), API);
    }
    for called in ["", "API", "shop/api-service", "111122223333/eu-west-1/other/api-service"] {
        assert!(routes.resolve(called).is_none(), "{called}");
    }
    assert_eq!(
        lines(&routes, &event(requested("wbe", Wanted::Refresh))),
        ["() no target is called `wbe`; known are api, web"]
    );
}

#[test]
fn a_name_that_means_several_services_deploys_none() {
    let other = TargetRule { cluster: "other".into(), service: "api-service".into(), ..rule("other") };
    let routes = explicit([rule("api"), other]);
    assert!(routes.resolve("api-service").is_none());
    assert_eq!(
        lines(&routes, &event(requested("api-service", Wanted::Refresh))),
        ["() `api-service` means several targets, ask for one of api, other"]
    );
}

#[test]
fn a_kept_message_reaches_only_the_targets_that_it_was_kept_for() {
    let routes = explicit([runs("api", &["shop/api"]), runs("web", &["shop/api"])]);
    let pushed = event(push("shop/api", "x"));
    let reached = |arrival| {
        let routing = routes.route(&pushed, &arrival);
        routing.requests.iter().map(|request| request.target.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(reached(arrival()), [API, WEB]);
    assert_eq!(reached(confined_to(&[WEB])), [WEB]);
    let gone = routes.route(&pushed, &confined_to(&["111122223333/eu-west-1/shop/gone"]));
    assert_eq!(told(&gone), ["() it no longer reaches the targets that it was kept for"]);
}

#[test]
fn ecs_tells_of_listed_services_in_their_own_account_and_cluster() {
    let routes = explicit([rule("api")]);
    assert_eq!(lines(&routes, &event(sign(Some("shop"), "api-service"))), ["api-service: look"]);
    assert_eq!(lines(&routes, &event(sign(None, "api-service"))), ["api-service: look"]);
    assert!(routes.route(&event(sign(Some("other"), "api-service")), &arrival()).hints.is_empty());
    assert!(routes.route(&elsewhere(sign(Some("shop"), "api-service")), &arrival()).hints.is_empty());
}

/// A rule for the service that the pattern calls `api`.
fn overlapping(rule: TargetRule, naming: Naming) -> Routes {
    let cluster = "chubby_cluster_dev".into();
    let rule = TargetRule { cluster, service: "chubby_service_api_dev".into(), ..rule };
    Routes::new(ACCOUNT.into(), REGION.into(), vec![rule], Some(naming))
}

#[test]
fn a_rule_wins_over_the_pattern_that_finds_the_same_target() {
    let [lists_it, lists_none, lists_others] =
        [&["chubby_service_api"][..], &[], &["other"]].map(|it| overlapping(runs("mine", it), naming()));
    let pushed = event(push("chubby_service_api", "x"));
    let follow = ["chubby_service_api_dev: refresh if it names that tag of chubby_service_api:x"];
    assert_eq!(lines(&lists_it, &pushed), follow);
    assert_eq!(lines(&lists_none, &pushed), follow);
    let note = "() no target runs images of chubby_service_api; the rule of api lists others";
    assert_eq!(lines(&lists_others, &pushed), [note]);
    let by_parameter = lists_others.route(&event(parameter("/dev/chubby/api/K")), &arrival());
    assert_eq!(by_parameter.requests[0].settings.name.as_str(), "mine");
    assert_eq!(lists_others.resolve("api").expect("by the pattern").1.name.as_str(), "mine");
    let sign = sign(Some("chubby_cluster_dev"), "chubby_service_api_dev");
    assert_eq!(lines(&lists_others, &event(sign)), ["chubby_service_api_dev: look"]);
}

#[test]
fn a_rule_that_lists_files_wins_over_the_files_of_the_pattern() {
    let loads = |files| TargetRule { files, ..rule("mine") };
    let naming = Naming { files: [("api".into(), vec![file("b", "named.env")])].into(), ..naming() };
    let reached = |rule: TargetRule, key| {
        overlapping(rule, naming.clone()).route(&event(object("b", key)), &arrival()).requests.len()
    };
    assert_eq!(reached(loads(vec![]), "named.env"), 1);
    assert_eq!(reached(loads(vec![file("b", "own.env")]), "named.env"), 0);
    assert_eq!(reached(loads(vec![file("b", "own.env")]), "own.env"), 1);
}

#[test]
fn no_event_text_makes_a_reason_long_or_more_than_a_line() {
    let long = format!("x\n{}", "y".repeat(5_000));
    let routes = explicit([TargetRule { parameters: globs(&["*"]), ..rule("api") }]);
    let routing = routes.route(&event(parameter(&long)), &arrival());
    let reason = &routing.requests[0].origin.reason;
    assert!(reason.chars().count() <= 300 && !reason.contains('\n'), "{reason}");
    for trigger in [push(&long, &long), requested(&long, Wanted::Refresh), Trigger::Ignored(long.clone())] {
        let routing = routes.route(&event(trigger), &arrival());
        assert!(routing.notes[0].reason.chars().count() <= 300 && !routing.notes[0].reason.contains('\n'));
    }
}

#[test]
fn a_rule_that_lists_parameters_wins_over_those_of_the_pattern() {
    let reads = |parameters: &[&str]| TargetRule { parameters: globs(parameters), ..rule("mine") };
    let reached = |rule: TargetRule, name| {
        overlapping(rule, naming()).route(&event(parameter(name)), &arrival()).requests.len()
    };
    assert_eq!(reached(reads(&[]), "/dev/chubby/api/K"), 1);
    assert_eq!(reached(reads(&["/other/*"]), "/dev/chubby/api/K"), 0);
    assert_eq!(reached(reads(&["/other/*"]), "/other/K"), 1);
}

#[test]
fn a_parameter_is_read_in_its_own_account_and_region_alone() {
    let routes = explicit([TargetRule { parameters: globs(&["/K"]), ..rule("api") }]);
    let reached = |account: &str, region: &str| {
        let (account, region) = (Some(account.into()), Some(region.into()));
        let event = Event { account, region, ..event(parameter("/K")) };
        routes.route(&event, &arrival()).requests.len()
    };
    assert_eq!((reached(ACCOUNT, REGION), reached(ACCOUNT, "us-east-1")), (1, 0));
    assert_eq!(reached("999900001111", REGION), 0);
}

#[test]
fn a_tag_that_is_asked_for_is_of_the_only_repository_that_the_rule_can_mean() {
    let asked = |repositories: &[&str]| {
        let wanted = Wanted::Tag("v1".into());
        lines(&explicit([runs("api", repositories)]), &event(requested("api", wanted)))
    };
    assert_eq!(asked(&["shop/api"]), ["api-service: image shop/api:v1 as tag on purpose"]);
    for unclear in [&["shop/*"][..], &["shop/ap?"], &["shop/api", "shop/side"], &[]] {
        assert_eq!(asked(unclear), ["api-service: image *:v1 as tag on purpose"], "{unclear:?}");
    }
}

#[test]
fn who_says_that_an_image_is_ready_is_quoted_with_branch_and_commit() {
    let routes = explicit([runs("api", &["shop/api"])]);
    let reason = |branch| {
        let routing = routes.route(&event(ready("shop/api", "v1", branch)), &arrival());
        routing.requests[0].origin.reason.clone()
    };
    assert_eq!(reason(Some("main")), "shop/api:v1 is ready, branch main, commit abc123");
    assert_eq!(reason(None), "shop/api:v1 is ready, commit abc123");
}

#[test]
fn the_pattern_finds_replicas_that_arrive_in_our_own_registry_alone() {
    let Trigger::ImagePushed(image) = push("chubby_service_api", "x") else { unreachable!() };
    let arrives = Trigger::ImageReplicated(image);
    let routes = named(naming());
    assert_eq!(routes.route(&event(arrives.clone()), &arrival()).requests.len(), 1);
    let other = Event { account: Some("999900001111".into()), ..event(arrives) };
    let note = "() no target runs images of chubby_service_api; by name only those in our own registry \
        111122223333/eu-west-1 are found";
    assert_eq!(lines(&routes, &other), [note]);
}
