//! Why an event finds a target is told as routing finds it.

use super::*;
use crate::{
    domain::{DeployRequest, TargetId},
    route::Asked,
};

/// Two explicit targets, one of them elsewhere; a rule for a service that naming finds too; and one with a file by naming.
fn world() -> (Routes, Vec<TargetRule>) {
    let api = TargetRule {
        repositories: globs(&["shop/*", "chubby_service_api"]),
        parameters: globs(&["/prod/shop/*", "arn:aws:ssm:eu-west-1:111122223333:parameter/x"]),
        secrets: globs(&["shop/api", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:odd-AbCd12"]),
        files: vec![file("env", "*.env")],
        ..rule("api")
    };
    let far = TargetRule {
        account: Some("999900001111".into()),
        region: Some("us-east-1".into()),
        repositories: globs(&["shop/web"]),
        parameters: globs(&["*"]),
        secrets: globs(&["*"]),
        ..rule("far")
    };
    let both = TargetRule {
        cluster: "chubby_cluster_dev".into(),
        service: "chubby_service_fees_dev".into(),
        repositories: globs(&["fees"]),
        ..rule("fees")
    };
    let rules = vec![api, far, both];
    let naming = Naming { files: [("web".into(), vec![file("env", "web.env")])].into(), ..naming() };
    (Routes::new(ACCOUNT.into(), REGION.into(), rules.clone(), Some(naming)), rules)
}

fn request(service: &str) -> Trigger {
    Trigger::DeployRequested(DeployRequest { service: service.into(), ..DeployRequest::default() })
}

/// Why the event finds each target that the settings name, or why not.
fn answers(event: &Event) -> Vec<(TargetId, Result<String, String>)> {
    let (routes, rules) = world();
    let of = |(id, settings): (&TargetId, Arc<TargetSettings>)| {
        let rule = rules.iter().find(|rule| rule.settings.name == settings.name);
        (id.clone(), routes.why(event, Asked { id, settings: &settings, rule }))
    };
    routes.targets().map(of).collect()
}

#[test]
fn a_reason_is_given_exactly_for_what_routing_finds() {
    let triggers = [
        push("shop/web", "v1"),
        push("chubby_service_api", "v1"),
        push("chubby_service_fees", "v1"),
        push("chubby_service_web", "v1"),
        push("fees", "v1"),
        push("none", "v1"),
        Trigger::ImageReplicated(PushedImage {
            is_index: None,
            repository: "shop/web".into(),
            tag: "v1".into(),
            digest: None,
        }),
        ready("chubby_service_web", "v1", None),
        ready("shop/web", "v1", None),
        parameter("/prod/shop/KEY"),
        parameter("x"),
        parameter("/dev/chubby/fees/KEY"),
        parameter("/dev/chubby/web/KEY"),
        secret("shop/api"),
        secret("arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/api-AbCd12"),
        secret("odd"),
        object("env", "web.env"),
        object("env", "web.txt"),
        request("api"),
        request("far-service"),
        request("web"),
        request("chubby_service_fees_dev"),
        request("999900001111/us-east-1/shop/far-service"),
        sign(Some("shop"), "api-service"),
        sign(Some("other"), "api-service"),
        sign(None, "chubby_service_web_dev"),
    ];
    let (routes, _) = world();
    for event in triggers.into_iter().flat_map(|trigger| [event(trigger.clone()), elsewhere(trigger)]) {
        let routing = routes.route(&event, &arrival());
        for (id, answer) in answers(&event) {
            let name = routes.targets().find(|(known, _)| **known == id).map(|(_, it)| it.name.clone());
            let found = routing.requests.iter().any(|request| request.target == id)
                || routing.hints.contains(&id)
                || routing.notes.iter().any(|note| note.target == name);
            assert_eq!(answer.is_ok(), found, "{id} and {:?}: {answer:?}", event.trigger);
        }
    }
}

/// Why the event finds `api`, which discovery found with these settings, or why not.
fn why_found(naming: Option<Naming>, event: &Event) -> String {
    let mut it = found(
        "api",
        [
            runs("shop/api", "web"),
            runs("proxy", "proxy"),
            runs_of(Some(abroad()), "tools", "tools"),
            runs_of(None, "nginx", "web"),
            reads("/prod/api/KEY"),
            Dependency::Parameter { place: abroad(), name: "/prod/far".into() },
            reads_secret("shop/api-AbCd12"),
            loads("env", "api.env"),
        ],
    );
    Arc::make_mut(&mut it.settings).container = Some("web".into());
    let (id, settings) = (it.target.clone(), it.settings.clone());
    let routes = Routes::new(ACCOUNT.into(), REGION.into(), Vec::new(), naming);
    match knowing(routes, [it]).why(event, Asked { id: &id, settings: &settings, rule: None }) {
        Ok(by) => format!("yes: {by}"),
        Err(why) => format!("no: {why}"),
    }
}

#[test]
fn a_reason_names_what_the_definition_reads_and_where() {
    let lines = |triggers: &[Trigger]| {
        let line = |trigger: &Trigger| why_found(None, &event(trigger.clone()));
        triggers.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let images = [
        push("shop/api", "1"),
        push("proxy", "1"),
        push("tools", "1"),
        push("nginx", "1"),
        ready("nginx", "1", None),
        push("other", "1"),
    ];
    insta::assert_snapshot!(lines(&images), @r"
    yes: its running definition names shop/api in container web
    no: its running definition names proxy in container proxy, and only web counts
    no: its running definition names tools in registry 999900001111/us-east-1, not in 111122223333/eu-west-1
    no: its running definition names nginx in a registry that is not ECR's, not in 111122223333/eu-west-1
    yes: its running definition names nginx in container web
    no: its running definition names shop/api, proxy, tools, nginx
    ");
    let read = [
        parameter("prod/api/KEY"),
        parameter("/prod/far"),
        parameter("/other"),
        secret("shop/api"),
        secret("other"),
        object("env", "api.env"),
        object("env", "other"),
    ];
    insta::assert_snapshot!(lines(&read), @r"
    yes: its running definition reads parameter /prod/api/KEY
    no: its running definition reads parameter /prod/far in 999900001111/us-east-1, not in 111122223333/eu-west-1
    no: its running definition reads /prod/api/KEY, /prod/far
    yes: its running definition reads secret shop/api-AbCd12
    no: its running definition reads shop/api-AbCd12
    yes: its running definition loads s3://env/api.env
    no: its running definition loads s3://env/api.env
    ");
    insta::assert_snapshot!(why_found(Some(naming()), &event(parameter("/other"))), @"no: by name, parameters are called /dev/chubby/{name}/; its running definition reads /prod/api/KEY, /prod/far");
    insta::assert_snapshot!(why_found(Some(naming()), &event(secret("shop/api"))), @"yes: its running definition reads secret shop/api-AbCd12");
    insta::assert_snapshot!(why_found(None, &elsewhere(parameter("/prod/far"))), @"yes: its running definition reads parameter /prod/far");
}

#[test]
fn a_definition_that_reads_nothing_says_so() {
    let it = found("api", []);
    let (id, settings) = (it.target.clone(), it.settings.clone());
    let routes = knowing(explicit([]), [it]);
    let no = |trigger| {
        let asked = Asked { id: &id, settings: &settings, rule: None };
        routes.why(&event(trigger), asked).expect_err("it reads nothing")
    };
    assert_eq!(no(push("x", "1")), "its running definition names no repository");
    assert_eq!(no(parameter("/x")), "its running definition reads no parameter");
    assert_eq!(no(secret("x")), "its running definition reads no secret");
    assert_eq!(no(object("b", "x")), "its running definition loads no file");
}

#[test]
fn a_reason_names_the_list_and_the_pattern_or_what_is_listed_instead() {
    let lines = |trigger: Trigger| {
        let line = |(id, answer): (TargetId, Result<String, String>)| match answer {
            Ok(by) => format!("{} yes: {by}", id.service()),
            Err(why) => format!("{} no: {why}", id.service()),
        };
        answers(&event(trigger)).into_iter().map(line).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(lines(push("shop/web", "v1")), @r"
    api-service yes: its repositories list shop/*
    far-service yes: its repositories list shop/web
    chubby_service_fees_dev no: its repositories are fees
    chubby_service_web_dev no: by name, repositories are called chubby_service_{name} or chubby_backend
    ");
    insta::assert_snapshot!(lines(push("chubby_service_web", "v1")), @r"
    api-service no: its repositories are shop/*, chubby_service_api
    far-service no: its repositories are shop/web
    chubby_service_fees_dev no: its repositories are fees
    chubby_service_web_dev yes: by name: its images are in chubby_service_web
    ");
    insta::assert_snapshot!(lines(parameter("/dev/chubby/fees/KEY")), @r"
    api-service no: its parameters are /prod/shop/*, arn:aws:ssm:eu-west-1:111122223333:parameter/x
    far-service no: it is in 999900001111/us-east-1, not in 111122223333/eu-west-1
    chubby_service_fees_dev yes: by name: its parameters are called /dev/chubby/{name}/
    chubby_service_web_dev no: by name, parameters are called /dev/chubby/{name}/
    ");
    insta::assert_snapshot!(lines(secret("shop/api")), @r"
    api-service yes: its secrets list shop/api
    far-service no: it is in 999900001111/us-east-1, not in 111122223333/eu-west-1
    chubby_service_fees_dev no: it lists no secrets
    chubby_service_web_dev no: it lists no secrets
    ");
    insta::assert_snapshot!(lines(object("env", "web.env")), @r"
    api-service yes: its files list s3://env/*.env
    far-service no: it lists no files
    chubby_service_fees_dev no: it lists no files
    chubby_service_web_dev yes: by name: it is in the map of the services' files
    ");
    insta::assert_snapshot!(lines(request("backend")), @r"
    api-service no: it is called api, and by ECS api-service
    far-service no: it is called far, and by ECS far-service
    chubby_service_fees_dev no: it is called fees, and by ECS chubby_service_fees_dev
    chubby_service_web_dev no: it is called web, and by ECS chubby_service_web_dev
    ");
    insta::assert_snapshot!(lines(sign(Some("shop"), "api-service")), @r"
    api-service yes: it is service api-service in cluster shop
    far-service no: it is in 999900001111/us-east-1, not in 111122223333/eu-west-1
    chubby_service_fees_dev no: it is service chubby_service_fees_dev in cluster chubby_cluster_dev
    chubby_service_web_dev no: it is service chubby_service_web_dev in cluster chubby_cluster_dev
    ");
}
