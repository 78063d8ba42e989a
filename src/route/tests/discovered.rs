//! What discovery found: whom it reaches, and what the settings say beside it.

use super::*;
use crate::domain::{DeployRequest, HookHint, ImageStyle, OnDelete, Wanted};

const DEV_API: &str = "chubby_service_api_dev";

/// No rule, no pattern: only these are known.
fn only(found: impl IntoIterator<Item = Discovered>) -> Routes {
    knowing(explicit([]), found)
}

fn set(mut found: Discovered, change: impl FnOnce(&mut TargetSettings)) -> Discovered {
    change(Arc::make_mut(&mut found.settings));
    found
}

fn called(name: &str, found: Discovered) -> Discovered {
    set(found, |settings| settings.name = name.into())
}

fn refused(why: &str, found: Discovered) -> Discovered {
    Discovered { refused: Some(why.into()), ..found }
}

fn in_cluster(cluster: &str, found: Discovered) -> Discovered {
    let (account, region) = (found.target.account().clone(), found.target.region().clone());
    let target = TargetId::new(account, region, cluster.into(), found.target.service().clone());
    Discovered { target, ..found }
}

/// The rule for the service that `found` has with this name.
fn rule_of(service: &str) -> TargetRule {
    TargetRule { service: service.into(), ..rule("mine") }
}

fn request(service: &str) -> DeployRequest {
    DeployRequest { service: service.into(), ..DeployRequest::default() }
}

fn requested(service: &str) -> Trigger {
    Trigger::DeployRequested(request(service))
}

fn follow(service: &str, image: &str) -> String {
    format!("{service}: refresh if it names that tag of {image}")
}

#[test]
fn a_push_reaches_every_service_whose_definition_names_the_repository() {
    let routes = only([
        found("web", [runs("shop/web", "web"), runs("shop/proxy", "proxy")]),
        found("api", [runs("shop/api", "api"), runs("shop/proxy", "proxy")]),
    ]);
    let proxy = |service| follow(service, "shop/proxy:1");
    assert_eq!(lines(&routes, &event(push("shop/proxy", "1"))), [proxy("api"), proxy("web")]);
    assert_eq!(lines(&routes, &event(push("shop/api", "1"))), [follow("api", "shop/api:1")]);
    assert_eq!(lines(&routes, &event(push("shop", "1"))), ["() no target runs images of shop"]);
}

#[test]
fn a_push_reaches_those_that_pull_from_its_registry_wherever_they_are() {
    let routes = only([
        found("abroad", [runs_of(Some(abroad()), "api", "web")]),
        found("elsewhere", [runs_of(None, "api", "web")]),
        found("home", [runs("api", "web")]),
    ]);
    assert_eq!(lines(&routes, &event(push("api", "1"))), [follow("home", "api:1")]);
    assert_eq!(lines(&routes, &elsewhere(push("api", "1"))), [follow("abroad", "api:1")]);
    let half = Place { region: "us-east-1".into(), ..home() };
    assert_eq!(lines(&routes, &at(half, push("api", "1"))), ["() no target runs images of api"]);
    let unplaced = Event { account: None, region: None, ..event(push("api", "1")) };
    assert_eq!(lines(&routes, &unplaced), [follow("home", "api:1")]);
}

#[test]
fn a_replica_reaches_those_that_pull_from_its_registry() {
    let routes =
        only([found("abroad", [runs_of(Some(abroad()), "api", "web")]), found("home", [runs("api", "web")])]);
    assert_eq!(lines(&routes, &elsewhere(replicated("api", "1"))), [follow("abroad", "api:1")]);
    assert_eq!(lines(&routes, &event(replicated("api", "1"))), [follow("home", "api:1")]);
}

#[test]
fn an_announcement_reaches_every_registry() {
    let routes = only([
        found("abroad", [runs_of(Some(abroad()), "api", "web")]),
        found("both", [runs("api", "web"), runs_of(None, "api", "side")]),
        found("elsewhere", [runs_of(None, "api", "web")]),
        found("other", [runs("apis", "web")]),
    ]);
    let reached = ["abroad: restart", "both: restart", "elsewhere: restart"];
    assert_eq!(lines(&routes, &event(ready("api", "1", None))), reached);
}

#[test]
fn where_a_container_is_set_only_its_image_counts() {
    let images = [runs("shop/api", "web"), runs("shop/proxy", "proxy")];
    let routes = only([set(found("api", images), |it| it.container = Some("web".into()))]);
    let pushed = |repository| event(push(repository, "1"));
    assert_eq!(lines(&routes, &pushed("shop/api")), [follow("api", "shop/api:1")]);
    assert_eq!(lines(&routes, &pushed("shop/proxy")), ["() no target runs images of shop/proxy"]);
    assert!(routes.route(&event(ready("shop/proxy", "1", None)), &arrival()).requests.is_empty());
    let routing = routes.route(&pushed("shop/api"), &arrival());
    let Change::Refresh(Refresh::Image(image)) = &routing.requests[0].change else { panic!("{routing:?}") };
    assert_eq!(image.source.container, Some("web".into()));
    assert_eq!(image.source.home, Some((ACCOUNT.into(), REGION.into())));
}

#[test]
fn what_is_asked_is_as_for_a_rule_by_the_settings_that_were_found() {
    let pins = |settings: &mut TargetSettings| {
        settings.on_push = OnPush::Pin;
        settings.tags = "glob:release-*".parse().expect("a policy");
        settings.image_reference = ImageStyle::Digest;
        settings.on_delete = OnDelete::Deploy;
    };
    let it = set(found("api", [runs("api", "web"), reads("/K")]), pins);
    let routes = only([it.clone()]);
    assert_eq!(
        lines(&routes, &event(push("api", "release-1"))),
        ["api: image api:release-1@digest as digest by glob:release-*"]
    );
    let refusal = "(api) tag x is not one that api takes: its policy is `glob:release-*`";
    assert_eq!(lines(&routes, &event(push("api", "x"))), [refusal]);
    let deleted = Trigger::ParameterChanged { name: "/K".into(), change: Write::Deleted };
    assert_eq!(lines(&routes, &event(deleted)), ["api: restart"]);
    let routing = routes.route(&event(parameter("/K")), &arrival());
    assert_eq!(routing.requests[0].settings, it.settings);
    assert!(!routing.requests[0].guessed);
}

#[test]
fn a_parameter_reaches_those_that_read_it_in_its_account_and_region() {
    let abroad_too = Dependency::Parameter { place: abroad(), name: "/prod/api/KEY".into() };
    let routes = only([
        found("api", [reads("/prod/api/KEY")]),
        found("bare", [reads("KEY"), reads("/prod/api/db/URL")]),
        found("far", [abroad_too]),
    ]);
    let of = |name| lines(&routes, &event(parameter(name)));
    assert_eq!(of("/prod/api/KEY"), ["api: restart"]);
    assert_eq!(of("prod/api/KEY"), ["api: restart"], "without the slash it is the same");
    assert_eq!(of("arn:aws:ssm:eu-west-1:111122223333:parameter/prod/api/KEY"), ["api: restart"]);
    assert_eq!(of("/prod/api/db/URL"), ["bare: restart"]);
    assert_eq!(of("KEY"), ["bare: restart"]);
    assert_eq!(lines(&routes, &elsewhere(parameter("/prod/api/KEY"))), ["far: restart"]);
    for other in ["/prod/api", "/prod/api/KEY/X", "/prod/api/*", "/PROD/api/KEY"] {
        let none = format!("() no target in 111122223333/eu-west-1 reads parameter {other}");
        assert_eq!(of(other), [none]);
    }
}

#[test]
fn a_secret_is_known_by_its_name_and_its_arn_with_and_without_the_random_end() {
    let arn = |tail: &str| format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{tail}");
    for (tail, named) in [
        ("shop/api-AbCd12", arn("shop/api-AbCd12")),
        ("shop/api-AbCd12", arn("shop/api")),
        ("shop/api-AbCd12", "shop/api".into()),
        ("shop/api", arn("shop/api-AbCd12")),
        ("shop/api", "shop/api".into()),
        ("shop/my-secret", arn("shop/my-secret-AbCd12")),
        ("shop/my-secret", "shop/my-secret".into()),
    ] {
        let routes = only([found("api", [reads_secret(tail)])]);
        assert_eq!(lines(&routes, &event(secret(&named))), ["api: restart"], "{tail} for {named}");
        let none = format!("() no target in 999900001111/us-east-1 reads secret {named}");
        assert_eq!(lines(&routes, &elsewhere(secret(&named))), [none]);
    }
    let routes = only([found("api", [reads_secret("shop/api-AbCd12")])]);
    for other in [arn("shop/api2-AbCd12"), "shop".into(), "shop/api-AbCd1".into()] {
        assert!(routes.route(&event(secret(&other)), &arrival()).requests.is_empty(), "{other}");
    }
}

#[test]
fn a_target_that_is_reached_by_both_readings_of_a_secret_is_asked_once() {
    let both = [reads_secret("shop/api"), reads_secret("shop/api-AbCd12")];
    let routes = only([found("api", both)]);
    let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/api-AbCd12";
    assert_eq!(lines(&routes, &event(secret(arn))), ["api: restart"]);
}

#[test]
fn a_file_reaches_whoever_loads_it() {
    let routes = only([found("api", [loads("env", "shop/api.env")]), found("web", [loads("env/shop", "x")])]);
    assert_eq!(lines(&routes, &elsewhere(object("env", "shop/api.env"))), ["api: restart"]);
    for (bucket, key) in [("env", "shop"), ("env", "api.env"), ("env/shop", "api.env"), ("env", "shop/x")] {
        let none = format!("() no target loads s3://{bucket}/{key}");
        assert_eq!(lines(&routes, &event(object(bucket, key))), [none]);
    }
}

/// Everything that an event of ours can reach `api` by.
fn all_kinds() -> Discovered {
    let dependencies = [runs("found", "web"), reads("/found"), reads_secret("found"), loads("b", "found")];
    found("api", dependencies)
}

fn kinds_of(name: &str) -> [Trigger; 4] {
    [push(name, "1"), parameter(&format!("/{name}")), secret(name), object("b", name)]
}

/// By which of the four kinds these routes are reached, and by what their targets are called then.
fn reached_by(routes: &Routes, name: &str) -> Vec<Option<String>> {
    let called = |trigger| {
        let routing = routes.route(&event(trigger), &arrival());
        assert!(routing.requests.len() <= 1, "{routing:?}");
        routing.requests.first().map(|request| request.settings.name.to_string())
    };
    kinds_of(name).map(called).into()
}

#[test]
fn of_each_kind_that_a_rule_lists_its_list_is_all_that_counts() {
    let mine = || Some("mine".to_owned());
    let plain = rule_of("api");
    let lists: [(TargetRule, usize); 4] = [
        (TargetRule { repositories: globs(&["listed"]), ..plain.clone() }, 0),
        (TargetRule { parameters: globs(&["/listed"]), ..plain.clone() }, 1),
        (TargetRule { secrets: globs(&["listed"]), ..plain.clone() }, 2),
        (TargetRule { files: vec![file("b", "listed")], ..plain.clone() }, 3),
    ];
    assert_eq!(reached_by(&knowing(explicit([plain]), [all_kinds()]), "found"), vec![mine(); 4]);
    for (rule, kind) in lists {
        let routes = knowing(explicit([rule]), [all_kinds()]);
        let (mut found, mut listed) = (vec![mine(); 4], vec![None; 4]);
        found[kind] = None;
        listed[kind] = mine();
        assert_eq!(reached_by(&routes, "found"), found);
        assert_eq!(reached_by(&routes, "listed"), listed);
        let note = &lines(&routes, &event(kinds_of("found")[kind].clone()))[0];
        assert!(note.ends_with("; the rule of mine lists others"), "{note}");
    }
}

#[test]
fn a_rule_that_lists_what_was_found_too_is_asked_once() {
    let rule = TargetRule { repositories: globs(&["found"]), files: vec![file("b", "*")], ..rule_of("api") };
    let routes = knowing(explicit([rule]), [all_kinds()]);
    assert_eq!(reached_by(&routes, "found"), vec![Some("mine".to_owned()); 4]);
    assert_eq!(routes.targets().count(), 1);
}

#[test]
fn the_rules_settings_hold_and_the_tags_of_its_service_do_not_count() {
    let rule = with(rule_of("api"), |settings| settings.container = Some("side".into()));
    let tagged = refused("its owner says so", set(all_kinds(), |it| it.container = Some("web".into())));
    let routes = knowing(explicit([rule]), [tagged]);
    assert_eq!(lines(&routes, &event(parameter("/found"))), ["api: restart"]);
    assert_eq!(lines(&routes, &event(push("found", "1"))), ["() no target runs images of found"]);
    assert_eq!(routes.resolve("api").expect("by ECS's name").1.name.as_str(), "mine");
    assert_eq!(routes.all_discovered().map(|(_, refused)| refused).collect::<Vec<_>>(), [None]);
}

/// The service that the pattern calls `api`, as discovery found it.
fn dev_api(dependencies: impl IntoIterator<Item = Dependency>) -> Discovered {
    in_cluster("chubby_cluster_dev", found(DEV_API, dependencies))
}

#[test]
fn a_service_that_naming_finds_keeps_its_settings_and_is_found_by_its_definition_too() {
    let it =
        refused("its owner says so", dev_api([runs("other", "web"), reads("/other"), reads_secret("s")]));
    let routes = knowing(named(naming()), [it]);
    for trigger in [
        push("chubby_service_api", "1"),
        push("other", "1"),
        parameter("/dev/chubby/api/KEY"),
        parameter("/other"),
        secret("s"),
        requested("api"),
    ] {
        let routing = routes.route(&event(trigger.clone()), &arrival());
        assert_eq!(routing.requests.len(), 1, "{trigger:?}");
        let request = &routing.requests[0];
        assert_eq!((request.settings.name.as_str(), request.guessed), ("api", false), "{trigger:?}");
        assert_eq!(request.settings.on_push, OnPush::Always);
    }
}

#[test]
fn what_pattern_and_definition_both_find_is_asked_once() {
    let routes = knowing(
        named(naming()),
        [dev_api([runs("chubby_service_api", "web"), reads("/dev/chubby/api/KEY")]), found("web", [])],
    );
    assert_eq!(lines(&routes, &event(parameter("/dev/chubby/api/KEY"))), [format!("{DEV_API}: restart")]);
    let pushed = routes.route(&event(push("chubby_service_api", "1")), &arrival());
    assert_eq!(pushed.requests.len(), 1);
}

#[test]
fn the_files_that_naming_maps_are_all_that_count_for_a_service() {
    let files = [("api".into(), vec![file("b", "mapped")])];
    let maps = |files| Naming { files, ..naming() };
    let it = || dev_api([loads("b", "found")]);
    let reached = |naming, key| {
        knowing(named(naming), [it()]).route(&event(object("b", key)), &arrival()).requests.len()
    };
    assert_eq!(reached(maps(files.clone().into()), "mapped"), 1);
    assert_eq!(reached(maps(files.into()), "found"), 0);
    assert_eq!(reached(maps([("api".into(), vec![])].into()), "found"), 1);
    assert_eq!(reached(naming(), "found"), 1);
}

#[test]
fn a_service_of_another_place_or_cluster_is_not_taken_for_one_that_the_pattern_names() {
    let tagged = |it| called("tagged", it);
    let far = Discovered {
        target: format!("999900001111/us-east-1/chubby_cluster_dev/{DEV_API}").parse().expect("an id"),
        ..tagged(dev_api([reads("/other")]))
    };
    for it in [far, tagged(found(DEV_API, [reads("/other")]))] {
        let routing = knowing(named(naming()), [it]).route(&event(parameter("/other")), &arrival());
        assert_eq!(routing.requests[0].settings.name.as_str(), "tagged");
    }
}

#[test]
fn a_refused_one_is_reached_and_told_with_the_reason() {
    let routes = only([
        refused("its tag lockkeeper:tags is not a tag policy", all_kinds()),
        found("web", [reads("/found")]),
    ]);
    let note = "(api) api is not deployed: its tag lockkeeper:tags is not a tag policy";
    assert_eq!(lines(&routes, &event(parameter("/found"))), ["web: restart", note]);
    for trigger in [push("found", "1"), secret("found"), object("b", "found"), requested("api")] {
        assert_eq!(lines(&routes, &event(trigger)), [note]);
    }
    assert_eq!(lines(&routes, &event(sign(Some("shop"), "api"))), ["api: look"]);
    assert!(routes.resolve("api").is_some());
    let refusals: Vec<bool> = routes.all_discovered().map(|(_, refused)| refused.is_some()).collect();
    assert_eq!((refusals, routes.targets().count()), (vec![true, false], 2));
}

#[test]
fn a_found_target_is_called_by_its_name_its_id_or_ecs_name() {
    let routes = only([called("api", found("shop-api", [])), found("web", [])]);
    for name in ["api", "shop-api", "111122223333/eu-west-1/shop/shop-api"] {
        assert_eq!(lines(&routes, &event(requested(name))), ["shop-api: restart"], "{name}");
        assert_eq!(routes.resolve(name).expect("known").1.name.as_str(), "api");
    }
    let none = "() no target is called `db`; discovery knows 2";
    assert_eq!(lines(&routes, &event(requested("db"))), [none]);
    for name in ["", "API", "111122223333/eu-west-1/other/shop-api"] {
        assert!(routes.resolve(name).is_none(), "{name}");
    }
}

#[test]
fn a_name_that_several_found_targets_have_deploys_none() {
    let routes = only([found("api", []), in_cluster("test", found("api", []))]);
    assert_eq!(
        lines(&routes, &event(requested("api"))),
        [
            "() `api` means several targets, ask for one by its id: 111122223333/eu-west-1/shop/api, 111122223333/eu-west-1/test/api"
        ]
    );
    assert_eq!(lines(&routes, &event(requested("111122223333/eu-west-1/test/api"))), ["api: restart"]);
}

#[test]
fn a_name_counts_before_what_ecs_calls_another() {
    let routes = only([called("api", found("shop-api", [])), called("web", found("api", []))]);
    assert_eq!(routes.resolve("api").expect("by its name").0.service().as_str(), "shop-api");
    assert_eq!(routes.resolve("web").expect("by its name").0.service().as_str(), "api");
}

#[test]
fn a_rule_is_meant_before_what_was_found() {
    let routes =
        knowing(explicit([rule("api")]), [found("api", []), in_cluster("x", found("api-service", []))]);
    for name in ["api", "api-service"] {
        let (id, _) = routes.resolve(name).expect("the rule's");
        assert_eq!(id.to_string(), "111122223333/eu-west-1/shop/api-service");
    }
}

#[test]
fn the_name_that_tags_give_to_a_service_of_a_rule_or_pattern_means_nothing() {
    let ruled = knowing(explicit([rule_of("api")]), [called("tagged", found("api", []))]);
    assert!(ruled.resolve("tagged").is_none());
    let by_pattern = knowing(named(naming()), [called("tagged", dev_api([]))]);
    let (id, _) = by_pattern.resolve("tagged").expect("the pattern guesses");
    assert_eq!(id.service().as_str(), "chubby_service_tagged_dev");
}

#[test]
fn the_pattern_is_meant_first_where_its_service_is_known() {
    let routes = knowing(named(naming()), [dev_api([]), found("api", []), found("web", [])]);
    assert_eq!(routes.resolve("api").expect("the pattern's").0.service().as_str(), DEV_API);
    assert_eq!(
        lines(&routes, &event(requested("web"))),
        [
            "() `web` means several targets, ask for one by its id: 111122223333/eu-west-1/chubby_cluster_dev/chubby_service_web_dev, 111122223333/eu-west-1/shop/web"
        ]
    );
    assert_eq!(lines(&routes, &event(requested("111122223333/eu-west-1/shop/web"))), ["web: restart"]);
    let by_id = format!("111122223333/eu-west-1/chubby_cluster_dev/{DEV_API}");
    assert_eq!(routes.resolve(&by_id).expect("known").1.name.as_str(), "api");
}

#[test]
fn a_tag_alone_is_of_the_only_repository_that_the_definition_names() {
    let asked = |routes: &Routes| {
        let wanted = Wanted::Tag("v1".into());
        let routing = routes
            .route(&event(Trigger::DeployRequested(DeployRequest { wanted, ..request("api") })), &arrival());
        let Change::Image(change) = &routing.requests[0].change else { panic!("{routing:?}") };
        change.source.repository.as_ref().map(ToString::to_string)
    };
    let api = || Some("shop/api".to_owned());
    let one = found("api", [runs("shop/api", "web"), runs("shop/api", "worker"), reads("/K")]);
    let two = found("api", [runs("shop/api", "web"), runs("proxy", "proxy")]);
    let of_two = [runs("shop/api", "web"), runs_of(None, "shop/api", "worker")];
    let in_web = set(two.clone(), |settings| settings.container = Some("web".into()));
    for (it, repository) in [
        (one, api()),
        (in_web, api()),
        (two.clone(), None),
        (found("api", of_two), None),
        (found("api", []), None),
    ] {
        assert_eq!(asked(&only([it.clone()])), repository, "{it:?}");
    }
    let ruled = |repositories: &[&str], container: Option<&str>| {
        let rule = TargetRule { repositories: globs(repositories), ..rule_of("api") };
        let rule = with(rule, |settings| settings.container = container.map(Into::into));
        asked(&knowing(explicit([rule]), [two.clone()]))
    };
    assert_eq!(ruled(&[], Some("web")), api());
    assert_eq!(ruled(&["listed"], Some("web")), Some("listed".into()));
    assert_eq!(ruled(&["a", "b"], Some("web")), None);
}

#[test]
fn ecs_tells_of_found_services_in_their_own_account_region_and_cluster() {
    let routes =
        only([found("api", []), in_cluster("test", found("api", [])), called("api", found("web", []))]);
    let of = |cluster| lines(&routes, &event(sign(cluster, "api")));
    assert_eq!(of(Some("shop")), ["api: look"]);
    assert_eq!(of(None), ["api: look", "api: look"]);
    assert!(routes.route(&elsewhere(sign(None, "api")), &arrival()).hints.is_empty());
    let known = routes.route(&event(sign(Some("shop"), "api")), &arrival());
    assert_eq!(known.hints[0].cluster().as_str(), "shop");
    assert_eq!(known.strangers, []);
}

#[test]
fn a_service_that_settings_and_discovery_know_is_hinted_once() {
    let routes = knowing(explicit([rule_of("api")]), [found("api", [])]);
    assert_eq!(lines(&routes, &event(sign(Some("shop"), "api"))), ["api: look"]);
    let routes = knowing(named(naming()), [dev_api([])]);
    assert_eq!(lines(&routes, &event(sign(None, DEV_API))), [format!("{DEV_API}: look")]);
}

#[test]
fn a_service_that_nobody_knows_is_told_with_its_id() {
    let routes = knowing(explicit([rule_of("ruled")]), [found("api", [])]);
    let strangers = |event: &Event| routes.route(event, &arrival()).strangers;
    let new = event(sign(Some("shop"), "new"));
    assert_eq!(
        lines(&routes, &new),
        ["() service new in cluster shop in 111122223333/eu-west-1 is not one of ours"]
    );
    let id: TargetId = "111122223333/eu-west-1/shop/new".parse().expect("an id");
    assert_eq!(strangers(&new), [id]);
    for known in ["api", "ruled"] {
        assert_eq!(strangers(&event(sign(Some("shop"), known))), []);
        assert_eq!(
            strangers(&event(sign(Some("other"), known))).len(),
            1,
            "of another cluster it is another"
        );
        assert_eq!(
            strangers(&elsewhere(sign(Some("shop"), known))).len(),
            1,
            "of another account it is another"
        );
    }
    for unclear in [
        event(sign(None, "new")),
        Event { account: None, ..new.clone() },
        Event { region: None, ..new.clone() },
        event(sign(Some("shop"), "a/b")),
        event(sign(Some(""), "new")),
    ] {
        assert_eq!((strangers(&unclear), routes.route(&unclear, &arrival()).notes.len()), (vec![], 1));
    }
    let waits = Trigger::HookWaiting(HookHint {
        cluster: Some("shop".into()),
        service: "new".into(),
        hook: "hook".into(),
        stage: "POST_SCALE_UP".into(),
        expires_at: None,
    });
    assert_eq!(strangers(&event(waits)).len(), 1);
    assert_eq!(strangers(&event(requested("new"))), []);
}

#[test]
fn what_is_learnt_anew_replaces_what_was_known_and_what_is_forgotten_is_gone() {
    let mut routes = only([found("api", [reads("/old"), reads("/both")])]);
    let of = |routes: &Routes, name| routes.route(&event(parameter(name)), &arrival()).requests.len();
    let again = called("renamed", found("api", [reads("/both"), reads("/new")]));
    routes.learn(again.clone());
    assert_eq!([of(&routes, "/old"), of(&routes, "/both"), of(&routes, "/new")], [0, 1, 1]);
    assert_eq!(routes.discovered(&again.target), Some(again.clone()));
    routes.forget(&again.target);
    assert_eq!([of(&routes, "/both"), of(&routes, "/new")], [0, 0]);
    assert!(routes.resolve("renamed").is_none() && routes.discovered(&again.target).is_none());
    assert_eq!(routes.route(&event(sign(Some("shop"), "api")), &arrival()).strangers, [again.target]);
}

#[test]
fn targets_are_listed_once_those_of_the_settings_first() {
    let rules = [rule_of("zoo"), rule_of("api")];
    let routes = knowing(explicit(rules), [found("web", []), found("api", []), found("db", [])]);
    let listed: Vec<String> = routes.targets().map(|(id, _)| id.service().to_string()).collect();
    assert_eq!(listed, ["zoo", "api", "db", "web"]);
    let found: Vec<String> = routes.all_discovered().map(|(id, _)| id.service().to_string()).collect();
    assert_eq!(found, ["api", "db", "web"]);
}

#[test]
fn a_kept_message_reaches_only_the_found_targets_that_it_was_kept_for() {
    let routes = only([found("api", [reads("/K")]), found("web", [reads("/K")])]);
    let kept = confined_to(&["111122223333/eu-west-1/shop/web"]);
    assert_eq!(told(&routes.route(&event(parameter("/K")), &kept)), ["web: restart"]);
}

#[test]
fn a_new_parameter_reaches_only_targets_that_name_it_where_that_is_known() {
    let created = |name: &str| Trigger::ParameterChanged { name: name.into(), change: Write::Created };
    let rule = |service: &str, parameter: &str| {
        let settings = Arc::new(TargetSettings::named(service.into()));
        TargetRule { settings, parameters: vec![Glob::new(parameter)], ..rule_of(service) }
    };
    let rules =
        [rule("unknown", "/w/*"), rule("other", "/w/*"), rule("reader", "/w/*"), rule("listed", "/w/NEW")];
    let known = ["other", "listed"].map(|service| found(service, [reads("/w/OLD")]));
    let routes = knowing(explicit(rules), known.into_iter().chain([found("reader", [reads("/w/NEW")])]));
    let why = "(other) other is not deployed: parameter /w/NEW was created, and its running definition does not name it";
    let mut told = lines(&routes, &event(created("/w/NEW")));
    told.sort();
    assert_eq!(told, [why, "listed: restart", "reader: restart", "unknown: restart"]);
    assert_eq!(lines(&routes, &event(parameter("/w/NEW"))).len(), 4);
}

#[test]
fn a_new_parameter_restarts_what_only_its_name_leads_to_unless_its_definition_is_known_to_name_others() {
    let created = Trigger::ParameterChanged { name: "/dev/chubby/api/NEW".into(), change: Write::Created };
    let routes = named(naming());
    assert_eq!(lines(&routes, &event(created.clone())), ["chubby_service_api_dev: restart"]);
    let it = in_cluster("chubby_cluster_dev", found(DEV_API, [reads("/dev/chubby/api/OLD")]));
    let routes = knowing(routes, [it]);
    let told = lines(&routes, &event(created));
    assert!(told[0].contains("its running definition does not name it") && told.len() == 1, "{told:?}");
}
