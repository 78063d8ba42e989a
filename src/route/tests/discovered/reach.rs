//! By what a running definition reads.

use super::*;
use crate::domain::{ImageStyle, OnDelete};

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
