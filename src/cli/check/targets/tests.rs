use super::{super::finding::text, *};
use crate::domain::{FilePattern, Place, Remedy};

fn candidate(change: impl FnOnce(&mut TargetSettings)) -> Candidate {
    let mut settings = TargetSettings::named("api".into());
    change(&mut settings);
    let id = "111122223333/eu-west-1/shop/shop-api".parse().expect("an id");
    Candidate { id, settings: Arc::new(settings), rule: None, refused: None, found: false }
}

fn service() -> Inspected {
    Inspected {
        state: ServiceState::Active,
        definition: Some("shop-api:3".parse().expect("a definition")),
        desired: 2,
        guard: Guard::RollsBack,
        percent: (100, 200),
        strategy: None,
        complete: true,
        tags: BTreeMap::new(),
    }
}

fn definition(image: &str) -> InspectedDefinition {
    let image = image.parse().map_err(|_| image.to_owned());
    let place = crate::domain::Place { account: "111122223333".into(), region: "eu-west-1".into() };
    let dependencies = vec![
        Dependency::Repository {
            registry: Some(place.clone()),
            name: "shop/api".into(),
            container: "web".into(),
        },
        Dependency::Parameter { place: place.clone(), name: "/prod/KEY".into() },
        Dependency::Secret { place, name: "shop/db-AbCd12".into() },
        Dependency::File { bucket: "shop-env".into(), key: "api.env".into() },
    ];
    let images = vec![("web".to_owned(), image)];
    InspectedDefinition {
        active: true,
        images,
        dependencies,
        tags: BTreeMap::new(),
        roles: Vec::new(),
        receives_from: Vec::new(),
    }
}

const IMAGE: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/api:v1";

fn reading(service: Inspected, definition: InspectedDefinition) -> Reading {
    Reading { service: Ok(service), definition: Some(Ok(Some(definition))), completed: None }
}

fn told(candidate: &Candidate, reading: &Reading) -> String {
    text(&judge(candidate, reading))
}

fn rule(repositories: &[&str]) -> TargetRule {
    TargetRule {
        account: None,
        region: None,
        cluster: "shop".into(),
        service: "shop-api".into(),
        repositories: repositories.iter().map(|it| Glob::new(it)).collect(),
        parameters: vec![Glob::new("/prod/*")],
        secrets: vec![Glob::new("shop/db")],
        files: vec![FilePattern { bucket: "shop-env".into(), key: Glob::new("*.env") }],
        settings: TargetSettings::named("api".into()).into(),
    }
}

#[test]
fn a_target_as_it_should_be_is_told_in_one_line() {
    insta::assert_snapshot!(told(&candidate(|_| ()), &reading(service(), definition(IMAGE))), @r#"
    ok       api: 111122223333/eu-west-1/shop/shop-api runs shop-api:3, which reads 4 things; follow
    0 errors, 0 warnings.
    "#);
}

#[test]
fn a_service_that_cannot_be_deployed_is_an_error() {
    let with = |state| {
        let reading =
            Reading { service: Ok(Inspected { state, ..service() }), definition: None, completed: None };
        told(&candidate(|_| ()), &reading)
    };
    insta::assert_snapshot!(with(ServiceState::Missing), @r#"
    error    api: there is no service shop-api in the cluster shop (111122223333/eu-west-1/shop/shop-api); name one that exists, or remove the target
    1 error, 0 warnings.
    "#);
    insta::assert_snapshot!(with(ServiceState::OtherController("CODE_DEPLOY".into())), @r#"
    error    api: its deployments are driven by CODE_DEPLOY, which Lockkeeper does not speak; give the service the deployment controller ECS, or remove the target
    1 error, 0 warnings.
    "#);
    insta::assert_snapshot!(with(ServiceState::OfAnother("111122223333/eu-west-1/other".into())), @r#"
    error    api: 111122223333/eu-west-1/shop/shop-api is deployed by the Lockkeeper of queue 111122223333/eu-west-1/other, as its tag lockkeeper:owner says; remove the tag if that one no longer deploys it, or the target here
    1 error, 0 warnings.
    "#);
    let found = Candidate { found: true, ..candidate(|_| ()) };
    let driven = Inspected { state: ServiceState::OtherController("EXTERNAL".into()), ..service() };
    let reading = Reading { service: Ok(driven), definition: None, completed: None };
    assert!(told(&found, &reading).starts_with("warning"), "nobody named it");
    insta::assert_snapshot!(with(ServiceState::Draining), @r#"
    warning  api: 111122223333/eu-west-1/shop/shop-api is being deleted; remove the target
    0 errors, 1 warning.
    "#);
    let failure = CallFailure {
        cause: Cause::Permission,
        reason: "DescribeServices: no".into(),
        remedy: Remedy::GiveUp,
    };
    let unread = Reading { service: Err(failure), definition: None, completed: None };
    insta::assert_snapshot!(told(&candidate(|_| ()), &unread), @r#"
    error    api: its service could not be read: DescribeServices: no; allow the call, or see what it says
    1 error, 0 warnings.
    "#);
}

#[test]
fn what_makes_a_rollback_impossible_is_a_warning() {
    let bare = Inspected { guard: Guard::None, desired: 0, complete: false, ..service() };
    let reading = Reading { completed: Some(false), ..reading(bare, definition(IMAGE)) };
    insta::assert_snapshot!(told(&candidate(|_| ()), &reading), @r#"
    warning  api: its circuit breaker is off: ECS goes on starting tasks that fail, until the timeout; enable deploymentCircuitBreaker with rollback
    warning  api: no rollout of it was ever complete, so there is nothing to go back to; bring it to a steady state by hand once
    warning  api: no task of it is wanted: a rollout shows nothing, and no digest is pinned; raise its desired count, if that is not meant
    0 errors, 3 warnings.
    "#);
    let stops = Inspected { guard: Guard::Stops, ..service() };
    let reading = self::reading(stops.clone(), definition(IMAGE));
    assert!(told(&candidate(|it| it.rollback = false), &reading).contains("nothing goes back"));
    assert!(told(&candidate(|_| ()), &self::reading(stops, definition(IMAGE))).starts_with("ok"));
}

#[test]
fn a_definition_that_cannot_be_rolled_out_is_an_error() {
    let inactive = InspectedDefinition { active: false, ..definition("no image") };
    insta::assert_snapshot!(told(&candidate(|_| ()), &reading(service(), inactive)), @r#"
    error    api: its task definition shop-api:3 is not ACTIVE: no new rollout of it can be started; register it anew, and update the service
    error    api: the image `no image` of container web cannot be read; write [registry/]repository[:tag][@digest]
    warning  api: none of its images is in a private registry of ECR: nobody tells of their pushes; announce images (docs/events.md), or write on_push = "ignore"
    2 errors, 1 warning.
    "#);
    let gone = Reading { definition: Some(Ok(None)), ..reading(service(), definition(IMAGE)) };
    insta::assert_snapshot!(told(&candidate(|_| ()), &gone), @r#"
    error    api: its task definition shop-api:3 does not exist any more; update the service to one that does
    1 error, 0 warnings.
    "#);
    let none = reading(Inspected { definition: None, ..service() }, definition(IMAGE));
    insta::assert_snapshot!(told(&candidate(|_| ()), &none), @r#"
    error    api: it has no task definition that could be rolled out; give the service a task definition
    1 error, 0 warnings.
    "#);
}

#[test]
fn pushes_that_can_never_match_are_warnings() {
    let digest = format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/api@sha256:{}", "0a".repeat(32));
    let tags = BTreeMap::from([("lockkeeper:follow:web".to_owned(), "latest".to_owned())]);
    let went_back = InspectedDefinition { tags, ..definition(&digest) };
    assert!(told(&candidate(|_| ()), &reading(service(), went_back)).starts_with("ok"));
    let beside = reading(service(), definition(&digest.replace('@', ":latest@")));
    assert!(told(&candidate(|_| ()), &beside).contains("/shop/api:latest@sha256:0a"));
    assert!(told(&candidate(|_| ()), &beside).contains("pushes can never match; name the tag alone"));
    assert!(told(&candidate(|it| it.on_push = OnPush::Pin), &beside).starts_with("ok"));
    insta::assert_snapshot!(told(&candidate(|_| ()), &reading(service(), definition(&digest))), @r#"
    warning  api: container web names the digest of 111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/api@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a: pushes can never match; name the tag alone, or write on_push = "pin"
    0 errors, 1 warning.
    "#);
    insta::assert_snapshot!(told(&candidate(|_| ()), &reading(service(), definition("nginx:1"))), @r#"
    warning  api: none of its images is in a private registry of ECR: nobody tells of their pushes; announce images (docs/events.md), or write on_push = "ignore"
    0 errors, 1 warning.
    "#);
    let quiet = candidate(|it| it.on_push = OnPush::Ignore);
    assert!(told(&quiet, &reading(service(), definition("nginx:1"))).starts_with("ok"));
    let other = candidate(|it| it.container = Some("app".into()));
    insta::assert_snapshot!(told(&other, &reading(service(), definition(IMAGE))), @r#"
    error    api: its definition has no container app; mend `container`
    1 error, 0 warnings.
    "#);
}

#[test]
fn repositories_that_it_lists_and_does_not_run_are_told() {
    let listing = |names: &[&str]| Candidate { rule: Some(rule(names)), ..candidate(|_| ()) };
    insta::assert_snapshot!(told(&listing(&["shop/web", "shop/api"]), &reading(service(), definition(IMAGE))), @r#"
    warning  api: it lists shop/web, and runs images of shop/api only: pushes there do nothing; list the repositories of its images
    0 errors, 1 warning.
    "#);
    assert!(told(&listing(&["shop/*"]), &reading(service(), definition(IMAGE))).starts_with("ok"));
}

#[test]
fn what_it_lists_beside_what_its_definition_reads_is_told() {
    let listing = |change: fn(&mut TargetRule)| {
        let mut rule = rule(&["shop/api"]);
        change(&mut rule);
        Candidate { rule: Some(rule), ..candidate(|_| ()) }
    };
    let place = || Place { account: "111122223333".into(), region: "eu-west-1".into() };
    let reads = vec![
        Dependency::Repository { registry: Some(place()), name: "shop/api".into(), container: "web".into() },
        Dependency::Parameter { place: place(), name: "/prod/shop/KEY".into() },
        Dependency::Secret { place: place(), name: "shop/db-AbCd12".into() },
    ];
    let of = |candidate: Candidate| {
        told(
            &candidate,
            &reading(service(), InspectedDefinition { dependencies: reads.clone(), ..definition(IMAGE) }),
        )
    };
    let fitting = listing(|it| {
        it.parameters = vec![Glob::new("/prod/shop/*"), Glob::new("prod/shop/KEY")];
        it.secrets = vec![Glob::new("shop/db"), Glob::new("shop/db-AbCd12")];
        // Its definition has no files: what it loads by itself is not known.
        it.files = vec![FilePattern { bucket: "env".into(), key: Glob::new("x") }];
    });
    assert!(of(fitting).starts_with("ok"));
    let idle = listing(|it| {
        it.parameters = vec![Glob::new("/prod/shop/*"), Glob::new("/prod/shp/*")];
        it.secrets = vec![Glob::new("shop/bd")];
    });
    insta::assert_snapshot!(of(idle.clone()), @r#"
    warning  api: it lists /prod/shp/*, which nothing that its definition reads matches (/prod/shop/KEY); mend the list, unless the application reads them by itself
    warning  api: it lists shop/bd, which nothing that its definition reads matches (shop/db-AbCd12); mend the list, unless the application reads them by itself
    0 errors, 2 warnings.
    "#);
    let off = Candidate { settings: candidate(|it| it.triggers.secrets = false).settings, ..idle };
    assert!(!of(off).contains("shop/bd"));
}

#[test]
fn a_pinned_definition_that_a_tool_owns_is_told() {
    let tagged = |key: &str, value: &str| {
        let tags = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let reading = reading(service(), InspectedDefinition { tags, ..definition(IMAGE) });
        told(&candidate(|it| it.on_push = OnPush::Pin), &reading)
    };
    insta::assert_snapshot!(tagged("ManagedBy", "Terraform"), @r#"
    warning  api: on_push = "pin" makes revisions, and Terraform seems to own its definition (tag ManagedBy = Terraform): the next run would take them back; leave the image to Lockkeeper (in Terraform: ignore_changes on task_definition), or write on_push = "follow"
    0 errors, 1 warning.
    "#);
    assert!(tagged("aws:cloudformation:stack-name", "shop").contains("CloudFormation seems to own"));
    assert!(tagged("terraform", "true").contains("terraform seems to own"));
    assert!(tagged("managed-by", "ann").starts_with("ok") && tagged("terraform", "false").starts_with("ok"));
    let tags = BTreeMap::from([("ManagedBy".to_owned(), "Terraform".to_owned())]);
    let follows = reading(service(), InspectedDefinition { tags, ..definition(IMAGE) });
    assert!(told(&candidate(|_| ()), &follows).starts_with("ok"), "a follow makes no revisions");
}

#[test]
fn one_that_is_not_deployed_says_why() {
    let refused = |why: &str| {
        let candidate = Candidate { refused: Some(why.into()), ..candidate(|_| ()) };
        told(&candidate, &reading(service(), definition(IMAGE)))
    };
    insta::assert_snapshot!(refused("tag lockkeeper:on_push = \"x\" is not one of the words for it"), @r#"
    error    api: it is not deployed: tag lockkeeper:on_push = "x" is not one of the words for it
    1 error, 0 warnings.
    "#);
    insta::assert_snapshot!(refused("switched off by its tag lockkeeper:enabled"), @r#"
    ok       api: it is not deployed: switched off by its tag lockkeeper:enabled
    0 errors, 0 warnings.
    "#);
}

#[test]
fn what_the_settings_list_is_all_that_it_hears_of() {
    let whole = reading(service(), definition(IMAGE));
    let count = |candidate: &Candidate| seen(candidate, &whole).map(|it| it.dependencies.len());
    assert_eq!(count(&candidate(|_| ())), Some(4));
    assert_eq!(count(&Candidate { rule: Some(rule(&["shop/api"])), ..candidate(|_| ()) }), Some(4));
    assert_eq!(count(&Candidate { rule: Some(rule(&["other"])), ..candidate(|_| ()) }), Some(3));
    assert_eq!(count(&candidate(|it| it.container = Some("side".into()))), Some(3));
    assert_eq!(count(&Candidate { refused: Some("x".into()), ..candidate(|_| ()) }), None);
    let tags = seen(&candidate(|_| ()), &whole).expect("seen").tags;
    assert_eq!(tags[&ContainerName::from("web")].as_str(), "v1");
}
