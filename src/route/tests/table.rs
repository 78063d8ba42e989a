//! A project whose services are found by name: each input, and what must come of it.

use super::*;
use crate::domain::{
    Decision, DecisionVerb, DeployRequest, HookHint, NamedService, ScannedImage, StoppedTask, Subject,
    TaskHint, TriggerSwitches, Wanted,
};

const API: &str = "chubby_service_api_dev";
const BACKEND: &str = "chubby_service_dev";
const MY_API: &str = "chubby_service_my-api_dev";
const WEB: &str = "chubby_service_web_dev";

fn chubby() -> Routes {
    let files = [
        ("api".into(), vec![file("chubby-env", "shared.env")]),
        ("web".into(), vec![file("chubby-env", "shared.env"), file("chubby-env", "web.env")]),
    ];
    named(Naming { files: files.into(), ..naming() })
}

fn deploy(service: &str) -> DeployRequest {
    DeployRequest { service: service.into(), ..DeployRequest::default() }
}

fn requested(service: &str) -> Trigger {
    Trigger::DeployRequested(deploy(service))
}

/// Whether the line is as expected; `…` at its end stands for any more words.
fn is(line: &str, expected: &str) -> bool {
    expected.strip_suffix('…').map_or(line == expected, |beginning| line.starts_with(beginning))
}

#[track_caller]
fn check(routes: &Routes, table: Vec<(Trigger, Vec<String>)>) {
    for (trigger, expected) in table {
        let got = lines(routes, &event(trigger.clone()));
        let same = got.len() == expected.len() && std::iter::zip(&got, &expected).all(|(a, b)| is(a, b));
        assert!(same, "{trigger:#?}\ngave     {got:#?}\nexpected {expected:#?}");
    }
}

fn one(service: &str, change: &str) -> Vec<String> {
    vec![format!("{service}: {change}")]
}

fn note(reason: &str) -> Vec<String> {
    vec![format!("() {reason}")]
}

#[test]
fn a_push_refreshes_the_service_that_its_repository_is_named_after() {
    let refresh = |service, image| one(service, &format!("refresh if it names any tag of {image}"));
    check(
        &chubby(),
        vec![
            (push("chubby_service_api", "latest"), refresh(API, "chubby_service_api:latest")),
            (push("chubby_backend", "latest"), refresh(BACKEND, "chubby_backend:latest")),
            (push("chubby_service_my-api", "v1"), refresh(MY_API, "chubby_service_my-api:v1")),
            (
                push("other_service_api", "latest"),
                note("no target runs images of other_service_api; by name…"),
            ),
            (
                push("ns/chubby_service_api", "latest"),
                note("no target runs images of ns/chubby_service_api; …"),
            ),
            (push("chubby_task_fees", "latest"), note("no target runs images of chubby_task_fees; …")),
        ],
    );
}

#[test]
fn under_follow_a_push_refreshes_only_what_names_its_tag() {
    let defaults = Arc::new(TargetSettings::named("defaults".into()));
    check(
        &named(Naming { defaults, ..naming() }),
        vec![(
            push("chubby_service_api", "latest"),
            one(API, "refresh if it names that tag of chubby_service_api:latest"),
        )],
    );
}

#[test]
fn what_asks_nothing_or_makes_no_sense_is_noted_with_its_reason() {
    check(
        &chubby(),
        vec![
            (Trigger::Ignored("a push without a tag".into()), note("a push without a tag")),
            (Trigger::Malformed("it must name a service".into()), note("it must name a service")),
        ],
    );
}

#[test]
fn the_same_event_again_asks_the_same_again() {
    let (routes, event) = (chubby(), event(push("chubby_service_api", "latest")));
    assert_eq!(routes.route(&event, &arrival()), routes.route(&event, &arrival()));
}

#[test]
fn a_parameter_refreshes_the_service_in_whose_hierarchy_it_is() {
    check(
        &chubby(),
        vec![
            (parameter("/dev/chubby/api/KEY"), one(API, "restart")),
            (parameter("dev/chubby/api/KEY"), one(API, "restart")),
            (parameter("/dev/chubby/backend/KEY"), one(BACKEND, "restart")),
            (parameter("/dev/chubby/backend/gcm-server-key"), one(BACKEND, "restart")),
            (parameter("/dev/chubby/my-api/KEY"), one(MY_API, "restart")),
            (parameter("/dev/chubby/api/db/password"), one(API, "restart")),
            (
                parameter("/x/dev/chubby/api/KEY"),
                note("no target in 111122223333/eu-west-1 reads parameter…"),
            ),
            (parameter("/prod/chubby/api/KEY"), note("no target in 111122223333/eu-west-1 reads parameter…")),
        ],
    );
}

#[test]
fn a_deleted_parameter_warns_and_deploys_nothing() {
    let deleted = Trigger::ParameterChanged { name: "/dev/chubby/api/KEY".into(), change: Write::Deleted };
    let warning = "(api) parameter /dev/chubby/api/KEY was deleted: new tasks would fail to start";
    check(&chubby(), vec![(deleted, vec![warning.into()])]);
}

#[test]
fn a_written_file_refreshes_every_service_that_loads_it() {
    check(
        &chubby(),
        vec![
            (object("chubby-env", "shared.env"), vec![format!("{API}: restart"), format!("{WEB}: restart")]),
            (object("chubby-env", "web.env"), one(WEB, "restart")),
            (object("chubby-env", "other.env"), note("no target loads s3://chubby-env/other.env")),
            (object("other", "web.env"), note("no target loads s3://other/web.env")),
        ],
    );
}

#[test]
fn a_request_deploys_the_service_that_it_names() {
    let revision = "chubby_service_web_dev:1".parse().expect("a definition");
    let definition = DeployRequest { wanted: Wanted::Definition(revision), ..deploy("web") };
    check(
        &chubby(),
        vec![
            (requested("api"), one(API, "restart")),
            (requested("my-api"), one(MY_API, "restart")),
            (requested(API), one(API, "restart")),
            (
                requested("111122223333/eu-west-1/chubby_cluster_dev/chubby_service_api_dev"),
                one(API, "restart"),
            ),
            (requested("backend"), one(BACKEND, "restart")),
            (requested(""), one(BACKEND, "restart")),
            (requested(BACKEND), one(BACKEND, "restart")),
            (Trigger::DeployRequested(definition), one(WEB, "definition chubby_service_web_dev:1")),
            (
                requested("no such"),
                note("no target is called `no such`; known are api, web; a service of chubby…"),
            ),
            (
                requested("111122223333/eu-west-1/other/chubby_service_api_dev"),
                note("no target is called `111122223333/eu-west-1/other/…"),
            ),
        ],
    );
}

#[test]
fn a_request_for_another_environment_is_not_ours() {
    let environment = |name: &str| {
        Trigger::DeployRequested(DeployRequest { environment: Some(name.into()), ..deploy("api") })
    };
    check(
        &chubby(),
        vec![
            (environment("dev"), one(API, "restart")),
            (environment(" DEV "), one(API, "restart")),
            (environment("prod"), note("it is for environment `prod`, and this is `dev`")),
        ],
    );
}

#[test]
fn without_naming_the_environment_that_we_are_told_of_counts() {
    let request =
        event(Trigger::DeployRequested(DeployRequest { environment: Some("prod".into()), ..deploy("api") }));
    let routes = |ours: Option<&str>| explicit([rule("api")]).in_environment(ours.map(Into::into));
    assert_eq!(lines(&routes(Some("dev")), &request), ["() it is for environment `prod`, and this is `dev`"]);
    for ours in [None, Some("Prod")] {
        assert_eq!(lines(&routes(ours), &request), ["api-service: restart"]);
    }
    let named = named(naming()).in_environment(Some("prod".into()));
    assert_eq!(lines(&named, &request), ["() it is for environment `prod`, and this is `dev`"]);
}

#[test]
fn only_what_the_name_of_something_else_led_to_is_a_guess() {
    let odd = NamedService { service: "odd-web".into(), family: "odd-family".into() };
    let naming = Naming { services: [("odd".into(), odd)].into(), ..naming() };
    let ruled = TargetRule {
        cluster: "chubby_cluster_dev".into(),
        service: "chubby_service_ruled_dev".into(),
        ..rule("ruled")
    };
    let routes = Routes::new(ACCOUNT.into(), REGION.into(), vec![ruled], Some(naming));
    for (trigger, guessed) in [
        (push("chubby_service_api", "latest"), true),
        (ready("chubby_service_api", "latest", None), true),
        (parameter("/dev/chubby/api/KEY"), true),
        (push("chubby_service_odd", "latest"), false),
        (push("chubby_service_ruled", "latest"), false),
        (Trigger::DeployRequested(deploy("api")), false),
        (
            Trigger::DeployRequested(deploy(
                "111122223333/eu-west-1/chubby_cluster_dev/chubby_service_api_dev",
            )),
            false,
        ),
    ] {
        let asked: Vec<bool> =
            routes.route(&event(trigger.clone()), &arrival()).requests.iter().map(|it| it.guessed).collect();
        assert_eq!(asked, [guessed], "{trigger:?}");
    }
}

#[test]
fn a_reason_with_quotes_is_valid_json_everywhere() {
    let request = DeployRequest {
        reason: Some("fix \"login\" bug\n\u{7}".into()),
        requested_by: Some("jane".into()),
        ..deploy("api")
    };
    let routing = chubby().route(&event(Trigger::DeployRequested(request)), &arrival());
    let origin = &routing.requests[0].origin;
    assert_eq!(origin.reason, "requested by jane: fix \"login\" bug");
    let json = serde_json::to_value(origin).expect("an origin serializes");
    assert_eq!(
        (&json["reason"], &json["by"]),
        (&"requested by jane: fix \"login\" bug".into(), &"jane".into())
    );
    assert_eq!((json.get("replayed_by"), json.get("metadata")), (None, None));
}

#[test]
fn an_image_that_is_ready_is_pinned_by_its_repository_and_tag() {
    let defaults = TargetSettings { on_push: OnPush::Pin, ..TargetSettings::named("defaults".into()) };
    let announced = ready("chubby_service_api", "sha-abc", Some("main"));
    let image = "image chubby_service_api:sha-abc as tag on purpose";
    check(
        &named(Naming { defaults: Arc::new(defaults), ..naming() }),
        vec![(announced.clone(), one(API, image))],
    );
    check(&chubby(), vec![(announced, one(API, "restart"))]);
}

#[test]
fn ecs_tells_of_our_services_only() {
    let task = Trigger::TaskStopped(TaskHint {
        cluster: "chubby_cluster_dev".into(),
        service: API.into(),
        rollout: None,
        stopped: StoppedTask::default(),
    });
    let hook = Trigger::HookWaiting(HookHint {
        cluster: None,
        service: BACKEND.into(),
        hook: "hook".into(),
        stage: "POST_SCALE_UP".into(),
        expires_at: None,
    });
    check(
        &chubby(),
        vec![
            (sign(Some("chubby_cluster_dev"), API), one(API, "look")),
            (sign(None, BACKEND), one(BACKEND, "look")),
            (task, one(API, "look")),
            (hook, one(BACKEND, "look")),
            (
                sign(Some("other"), API),
                note("service chubby_service_api_dev in cluster other in 111122223333/…"),
            ),
            (sign(None, "nginx"), note("service nginx in 111122223333/eu-west-1 is not one of ours")),
        ],
    );
    assert_eq!(told(&chubby().route(&elsewhere(sign(None, API)), &arrival())).len(), 1);
    assert!(chubby().route(&elsewhere(sign(None, API)), &arrival()).hints.is_empty());
}

#[test]
fn scans_and_approvals_are_noted_because_nothing_waits_for_them() {
    let scan = ScannedImage {
        repository: "chubby_backend".into(),
        digest: DIGEST.into(),
        complete: true,
        critical: 0,
        high: 0,
    };
    let about = Subject::Deployment { id: "d-1".into(), target: None, events: Vec::new() };
    let decision = Decision { verb: DecisionVerb::Approve, about, by: None, reason: None };
    check(
        &chubby(),
        vec![
            (Trigger::ImageScanned(scan), note("nothing waits for a scan")),
            (Trigger::Decision(decision), note("no deployment waits for an approval")),
        ],
    );
}

#[test]
fn what_happened_in_another_account_reaches_no_service_by_its_name() {
    for trigger in [push("chubby_backend", "latest"), parameter("/dev/chubby/api/KEY")] {
        let routing = chubby().route(&elsewhere(trigger), &arrival());
        assert!(routing.requests.is_empty(), "{routing:#?}");
        assert_eq!(routing.notes.len(), 1);
    }
}

#[test]
fn an_event_that_does_not_say_where_it_happened_counts_as_ours() {
    let event = Event { account: None, region: None, ..event(parameter("/dev/chubby/api/KEY")) };
    assert_eq!(lines(&chubby(), &event), one(API, "restart"));
}

#[test]
fn a_named_service_carries_its_name_and_starts_from_its_family() {
    let routing = chubby().route(&event(requested("")), &arrival());
    let settings = &routing.requests[0].settings;
    assert_eq!(settings.name.as_str(), "backend");
    assert_eq!(settings.base, Base::Latest(Some("chubby_service_dev".into())));
    assert_eq!(routing.requests[0].target.cluster().as_str(), "chubby_cluster_dev");
}

#[test]
fn a_service_whose_names_are_given_is_reached_by_all_that_names_it() {
    let odd = NamedService { service: "odd-web".into(), family: "odd".into() };
    let shared = || vec![file("chubby-env", "shared.env")];
    let files = [("api".into(), shared()), ("web".into(), shared())];
    let services = [("web".into(), odd)];
    let routes = named(Naming { services: services.into(), files: files.into(), ..naming() });
    check(
        &routes,
        vec![
            (object("chubby-env", "shared.env"), vec!["odd-web: restart".into(), format!("{API}: restart")]),
            (parameter("/dev/chubby/web/KEY"), one("odd-web", "restart")),
            (requested("web"), one("odd-web", "restart")),
            (requested("odd-web"), one("odd-web", "restart")),
            (sign(Some("chubby_cluster_dev"), "odd-web"), one("odd-web", "look")),
            (sign(Some("chubby_cluster_dev"), WEB), note("service chubby_service_web_dev in cluster…")),
        ],
    );
    let known: Vec<_> =
        routes.targets().map(|(id, it)| (id.service().as_str(), it.name.as_str().to_owned())).collect();
    assert_eq!(known, [("odd-web", "web".to_owned()), (API, "api".to_owned())]);
}

#[test]
fn a_switched_off_trigger_is_noted_for_each_kind() {
    let off =
        TriggerSwitches { images: false, parameters: false, secrets: false, files: false, requests: false };
    let defaults = TargetSettings { triggers: off, ..TargetSettings::clone(&naming().defaults) };
    let files = [("api".into(), vec![file("chubby-env", "api.env")])];
    check(
        &named(Naming { defaults: Arc::new(defaults), files: files.into(), ..naming() }),
        vec![
            (push("chubby_service_api", "x"), vec!["(api) images are switched off for api".into()]),
            (ready("chubby_service_api", "x", None), vec!["(api) images are switched off for api".into()]),
            (parameter("/dev/chubby/api/KEY"), vec!["(api) parameters are switched off for api".into()]),
            (object("chubby-env", "api.env"), vec!["(api) files are switched off for api".into()]),
            (requested("api"), vec!["(api) requests are switched off for api".into()]),
        ],
    );
}
