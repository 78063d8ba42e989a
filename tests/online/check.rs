//! `lockkeeper check` against the simulated world: what it finds there, how it tells it, and that it changes nothing.

use std::process::Output;

use lockkeeper::sim::{Logged, Role, Service};
use serde_json::{Value, json};

use crate::lab::{ACCOUNT, Lab, TARGET as API, image, is_read};

/// What the command says of these settings.
async fn check(lab: &Lab, settings: &str, more: &[&str]) -> Output {
    lab.run(&[&["check"], more].concat(), settings).await
}

async fn told(lab: &Lab, settings: &str) -> String {
    lab.text(&check(lab, settings, &[]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_it_should_be_is_told_with_what_could_not_be_shown() {
    let lab = Lab::new().await;
    insta::assert_snapshot!(told(&lab, API).await, @r#"
    [exit 0]
    ok       queue: http://world/111122223333/q is reachable, with a dead-letter queue; 2 messages wait, 0 are held
    ok       rules: the queue is sent to by 2 rules, each of them switched on
    ok       events: a rule lets through each of 2 events that targets wait for
    warning  permissions: IAM was not asked (SimulatePrincipalPolicy: InvalidAction: The world has no such service.). Shown to be allowed by calls about what is not there: ecs:UpdateService, sqs:ChangeMessageVisibility, sqs:DeleteMessage; by this check: the reads that it makes. Not shown: sqs:ReceiveMessage, sqs:SendMessage, ecs:RegisterTaskDefinition, iam:PassRole; allow iam:SimulatePrincipalPolicy to whoever runs this
    warning  own service: it is not looked at: none of the targets receives from this queue; name it by --own CLUSTER/SERVICE
    ok       api: 111122223333/eu-west-1/shop/api runs api:1, which reads 2 things; follow
    0 errors, 2 warnings.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_told_at_once_and_ends_in_exit_code_1() {
    let lab = Lab::new().await;
    lab.slow_down();
    lab.define(&image("shop/api:never-pushed"), &["/prod/KEY", "/prod/MISSING"]);
    lab.ask(
        Service::Ecs,
        "UpdateService",
        json!({"cluster": "shop", "service": "api", "taskDefinition": "api"}),
    );
    lab.ask(Service::Events, "DisableRule", json!({"Name": "parameters"}));
    let more = r#"
        secrets = ["shop/*"]
        [[target]]
        cluster = "shop"
        service = "ghost"
        repositories = ["shop/ghost"]
    "#;
    insta::assert_snapshot!(told(&lab, &format!("{API}{more}")).await, @r#"
    [exit 1]
    ok       queue: http://world/111122223333/q is reachable, with a dead-letter queue; 2 messages wait, 0 are held
    warning  rules: the rule parameters is switched off: what it would let through never arrives; enable it, or remove its target
    warning  events: a change of parameter /prod/KEY would never reach the queue, and api would not hear of it; let the pattern of a rule take it: docs/events.md has the patterns
    warning  events: a change of parameter /prod/MISSING would never reach the queue, and api would not hear of it; let the pattern of a rule take it: docs/events.md has the patterns
    warning  permissions: IAM was not asked (SimulatePrincipalPolicy: InvalidAction: The world has no such service.). Shown to be allowed by calls about what is not there: ecs:UpdateService, sqs:ChangeMessageVisibility, sqs:DeleteMessage; by this check: the reads that it makes. Not shown: sqs:ReceiveMessage, sqs:SendMessage, ecs:RegisterTaskDefinition, iam:PassRole; allow iam:SimulatePrincipalPolicy to whoever runs this
    warning  own service: it is not looked at: none of the targets receives from this queue; name it by --own CLUSTER/SERVICE
    error    api: image shop/api:never-pushed in 111122223333/eu-west-1 is not there: its new tasks cannot start; make it, or let the task definition name another
    error    api: parameter /prod/MISSING in 111122223333/eu-west-1 is not there: its new tasks cannot start; make it, or let the task definition name another
    error    ghost: there is no service ghost in the cluster shop (111122223333/eu-west-1/shop/ghost); name one that exists, or remove the target
    3 errors, 5 warnings.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_sends_only_a_part_of_its_events_is_an_error_and_named_where_it_is_the_only_one() {
    let lab = Lab::new().await;
    let about = |told: &str| {
        let lines = told.lines().filter(|line| line.contains("rules: ") || line.contains("events: "));
        lines.collect::<Vec<_>>().join("\n")
    };
    lab.rewrite("parameters", "InputPath", &json!("$.detail"));
    let told = told(&lab, API).await;
    assert!(told.starts_with("[exit 1]"), "{told}");
    insta::assert_snapshot!(about(&told), @r#"
    error    rules: the rule parameters sends `$.detail` alone of what it lets through, which is not understood, and set aside; remove the InputPath of its target
    warning  events: a change of parameter /prod/KEY would not be understood, and api would not hear of it: the rule parameters takes it, and sends `$.detail` of it alone; remove the InputPath of its target
    "#);
    let template = json!({"InputPathsMap": {"name": "$.detail.name"}, "InputTemplate": "\"<name>\""});
    lab.rewrite("parameters", "InputTransformer", &template);
    insta::assert_snapshot!(about(&self::told(&lab, API).await), @r#"
    ok       rules: the queue is sent to by 2 rules, each of them switched on
    warning  events: a change of parameter /prod/KEY would reach the queue only as what the rule parameters makes of it, and api would hear of it only if that is a deploy request; let a rule take it that sends it as it is, unless that is meant: docs/events.md
    "#);
    // It may well write a deploy request for what another rule sends as it is.
    lab.rule_on("default", "whole", &json!({"source": ["aws.ssm"]}), "sqs", "q");
    insta::assert_snapshot!(about(&self::told(&lab, API).await), @r#"
    ok       rules: the queue is sent to by 3 rules, each of them switched on
    ok       events: a rule lets through each of 2 events that targets wait for
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_is_gone_and_events_of_a_registry_elsewhere_are_told() {
    let lab = Lab::new().await;
    lab.slow_down();
    let gone = format!("shop/api@sha256:{}", "0".repeat(64));
    let far = "444455556666.dkr.ecr.us-east-1.amazonaws.com/shop/far:latest".to_owned();
    for image in [image(&gone), far] {
        lab.define(&image, &[]);
        let update = json!({"cluster": "shop", "service": "api", "taskDefinition": "api"});
        lab.ask(Service::Ecs, "UpdateService", update);
        let told = told(&lab, &API.replace("shop/api\"", "shop/*\"")).await;
        if image.contains('@') {
            assert!(
                told.contains(&format!("api: image {gone} in {ACCOUNT}/eu-west-1 is not there")),
                "{told}"
            );
        } else {
            let refused =
                "of shop/far:latest would be refused: events of account 444455556666 are not allowed";
            assert!(told.contains(refused), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_changes_nothing_and_asks_a_few_times_per_target() {
    let lab = Lab::new().await;
    let before = lab.calls();
    check(&lab, API, &[]).await;
    let calls = lab.calls_after(before);
    // What is shown by calls about what is not there changes nothing either.
    let is_probe = |it: &&Logged| it.request.to_string().contains("lockkeeper-check");
    let changed = calls.iter().filter(|it| it.took_effect && !is_read(&it.operation) && !is_probe(it));
    let changed: Vec<_> = changed.collect();
    assert!(changed.is_empty(), "{changed:#?}");
    let about_targets = calls.iter().filter(|it| it.service == Service::Ecs).count();
    assert!(about_targets <= 4, "{about_targets} calls to ECS for one target");
    let about_images = calls.iter().filter(|it| it.service == Service::Ecr).count();
    assert!(about_images <= 3, "{about_images} calls to ECR for one repository");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_reads_the_findings_as_json() {
    let lab = Lab::new().await;
    let output = check(&lab, API, &["--output", "json"]).await;
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = answer["findings"].as_array().expect("a list");
    let target = findings.iter().find(|it| it["target"] == "api").expect("about the target");
    assert_eq!(
        (&target["level"], &target["about"], &target["mend"]),
        (&json!("ok"), &json!("target"), &Value::Null)
    );
    assert_eq!(answer["sound"], json!(true));
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_is_an_error() {
    let lab = Lab::new().await;
    let settings = "dead_letter_url = \"http://127.0.0.1:1/111122223333/none\"\n";
    lab.ask(Service::Sqs, "DeleteQueue", json!({"QueueUrl": format!("{}/{ACCOUNT}/q", lab.endpoint)}));
    let told = told(&lab, &format!("{settings}{API}")).await;
    assert!(
        told.starts_with("[exit 1]\nerror    queue: http://world/111122223333/q cannot be read"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_that_runs_it_is_judged_too() {
    let lab = Lab::new().await;
    let output = check(&lab, API, &["--own", "shop/api"]).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        text.contains("own service: 111122223333/eu-west-1/shop/api is replaced with 100 % at least"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
    let arn = Lab::service_arn("api");
    let by_arn = String::from_utf8(check(&lab, API, &["--own", &arn]).await.stdout).expect("UTF-8");
    assert_eq!(by_arn, text);
    let output = check(&lab, API, &["--own", "shop"]).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifecycle_policy_that_deletes_the_followed_tag_is_an_error_once_it_is_due() {
    let lab = Lab::new().await;
    let keep = |count: u32| {
        json!({"rules": [{
            "rulePriority": 1, "action": {"type": "expire"},
            "selection": {
                "tagStatus": "tagged", "tagPrefixList": ["v"], "countType": "imageCountMoreThan", "countNumber": count,
            },
        }]})
    };
    let put = |policy: Value| {
        let body = json!({"repositoryName": "shop/api", "lifecyclePolicyText": policy.to_string()});
        lab.ask(Service::Ecr, "PutLifecyclePolicy", body);
    };
    let policy = "whose image the lifecycle policy of shop/api in 111122223333/eu-west-1 deletes";
    put(keep(100));
    assert!(!told(&lab, API).await.contains("lifecycle"));
    put(keep(3));
    let few = told(&lab, API).await;
    assert!(few.contains(&format!("warning  api: it names tag v1, {policy} after 3 pushes")), "{few}");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for tag in ["v2", "v3", "v4"] {
        lab.front.with(|world, now| world.push(now, &Lab::scope(), "shop/api", &[tag.to_owned()], None));
    }
    let due = told(&lab, API).await;
    assert!(due.contains(&format!("error    api: it names tag v1, {policy} within a day")), "{due}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_whose_pushes_can_never_match_is_told() {
    let lab = Lab::new().await;
    let fixed = json!({"repositoryName": "shop/fixed", "imageTagMutability": "IMMUTABLE"});
    lab.ask(Service::Ecr, "CreateRepository", fixed);
    lab.front.with(|world, now| world.push(now, &Lab::scope(), "shop/fixed", &["v1".to_owned()], None));
    lab.slow_down();
    lab.define(&image("shop/fixed:v1"), &[]);
    let update = json!({"cluster": "shop", "service": "api", "taskDefinition": "api"});
    lab.ask(Service::Ecs, "UpdateService", update);
    let discovery = "[discovery]\nclusters = [\"*\"]\n";
    let follows = told(&lab, discovery).await;
    let stuck =
        "warning  api: it follows tag v1 of shop/fixed in 111122223333/eu-west-1, which cannot be moved";
    assert!(follows.contains(stuck), "{follows}");
    let pins =
        told(&lab, &format!("{discovery}[defaults]\non_push = \"pin\"\ntags = \"glob:release-*\"\n")).await;
    let idle = "warning  api: it pins tags of shop/fixed in 111122223333/eu-west-1 by `glob:release-*`, which takes none";
    assert!(pins.contains(idle) && !pins.contains("follows tag"), "{pins}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_asks_to_wait_keeps_the_service_back_and_is_an_error() {
    let lab = Lab::new().await;
    let tags = json!([{"key": "lockkeeper:approval", "value": "required"}]);
    lab.ask(Service::Ecs, "TagResource", json!({"resourceArn": Lab::service_arn("api"), "tags": tags}));
    let told = told(&lab, "[discovery]\nclusters = [\"*\"]\n").await;
    assert!(told.starts_with("[exit 1]"), "{told}");
    let why = r#"error    api: it is not deployed: tag lockkeeper:approval = "required" asks to wait for something, which this version cannot"#;
    assert!(told.contains(why), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_selector_that_selects_nothing_is_named() {
    let lab = Lab::new().await;
    let settings = r#"
        [discovery]
        clusters = ["shop", "shpo"]
        services = ["api", "tag:team=web", "wbe"]
        exclude = ["old-*", "tag:team=mail"]
    "#;
    let told = told(&lab, settings).await;
    let idle: Vec<&str> = told.lines().filter(|line| line.contains("wherever")).collect();
    assert_eq!(
        idle,
        [
            r#"warning  discovery: discovery.clusters "shpo" selects nothing, wherever services are looked for; mend it, or remove it"#,
            r#"warning  discovery: discovery.exclude "old-*" excludes nothing, wherever services are looked for; write "old-*/*" for clusters, mend it for services, or remove it"#,
            r#"warning  discovery: discovery.exclude "tag:team=mail" excludes nothing, wherever services are looked for; mend it if something was to be excluded, or remove it"#,
            r#"warning  discovery: discovery.services "tag:team=web" selects nothing, wherever services are looked for; mend it, or remove it"#,
            r#"warning  discovery: discovery.services "wbe" selects nothing, wherever services are looked for; mend it, or remove it"#,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_excluded_whole_is_told_with_what_excludes_it() {
    let lab = Lab::new().await;
    for (name, team) in [("tools", "web"), ("mail", "mail")] {
        let tags = json!([{"key": "team", "value": team}]);
        lab.ask(Service::Ecs, "CreateCluster", json!({"clusterName": name, "tags": tags}));
    }
    let settings = |exclude: &str| format!("[discovery]\nclusters = ['*']\nexclude = [{exclude}]\n");
    let left_out = async |exclude: &str| {
        let told = told(&lab, &settings(exclude)).await;
        told.lines().find(|line| line.contains("leaves out")).map(str::to_owned)
    };
    let told = left_out("'tools/*', 'tag:team=mail', 'shop/a*'").await;
    let both =
        r#"leaves out 2 clusters in 111122223333/eu-west-1 whole: mail ("tag:team=mail"), tools ("tools/*")"#;
    assert_eq!(told.expect("two are"), format!("ok       discovery: discovery.exclude {both}"));
    assert_eq!(left_out("'shop', 'tools', 'shop/a*'").await, None, "those are services");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discovery_finds_is_checked_as_what_the_settings_name() {
    let lab = Lab::new().await;
    let create = |name: &str, tag: Value| {
        json!({
            "cluster": "shop", "serviceName": name, "taskDefinition": "api", "desiredCount": 1, "tags": [tag],
        })
    };
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    lab.ask(Service::Ecs, "CreateService", create("typo", tag("lockkeeper:on_push", "folow")));
    lab.ask(Service::Ecs, "CreateService", create("off", tag("lockkeeper:enabled", "false")));
    let policy = json!({"rules": [{"selection": {"tagStatus": "untagged"}}]}).to_string();
    let body = json!({"repositoryName": "shop/api", "lifecyclePolicyText": policy});
    lab.ask(Service::Ecr, "PutLifecyclePolicy", body);
    insta::assert_snapshot!(told(&lab, "[discovery]\nclusters = [\"*\"]\n").await, @r#"
    [exit 1]
    ok       queue: http://world/111122223333/q is reachable, with a dead-letter queue; 2 messages wait, 0 are held
    ok       rules: the queue is sent to by 2 rules, each of them switched on
    warning  events: what ECS tells of rollouts would never reach the queue: a new service or definition is known only after discovery.refresh; make a rule with {"source":["aws.ecs"],"detail-type":["ECS Deployment State Change"]}
    ok       events: a rule lets through each of 2 events that targets wait for
    warning  permissions: IAM was not asked (SimulatePrincipalPolicy: InvalidAction: The world has no such service.). Shown to be allowed by calls about what is not there: ecs:UpdateService, sqs:ChangeMessageVisibility, sqs:DeleteMessage; by this check: the reads that it makes. Not shown: sqs:ReceiveMessage, sqs:SendMessage, ecs:RegisterTaskDefinition, iam:PassRole; allow iam:SimulatePrincipalPolicy to whoever runs this
    warning  own service: it is not looked at: none of the targets receives from this queue; name it by --own CLUSTER/SERVICE
    ok       discovery: finds 3 services in 111122223333/eu-west-1; not deployed of them: off, typo
    warning  target: the lifecycle policy of shop/api in 111122223333/eu-west-1 soon deletes images without a tag, and a tag there is followed by api: the image that runs loses it with the next push, and a rollback would have nothing to pull; keep 100 images without a tag, or keep them for 365 days
    ok       api: 111122223333/eu-west-1/shop/api runs api:1, which reads 2 things; follow
    ok       off: it is not deployed: switched off by its tag lockkeeper:enabled
    error    typo: it is not deployed: tag lockkeeper:on_push = "folow" is not one of the words for it; write one of follow, pin, always, ignore; did you mean `follow`?
    1 error, 4 warnings.
    "#);
    let none = told(&lab, "[discovery]\nclusters = [\"none-*\"]\n").await;
    assert!(
        none.contains("warning  discovery: discovery finds no service in 111122223333/eu-west-1"),
        "{none}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_assumed_is_told_once_in_plain_words() {
    let lab = Lab::new().await;
    let role = "arn:aws:iam::444455556666:role/lockkeeper";
    let other = Role { arn: role.to_owned(), external_id: Some("asked for".into()) };
    lab.front.with(|world, _| world.add_role(other));
    let account = format!("[[aws.accounts]]\nid = \"444455556666\"\nrole_arn = \"{role}\"\n");
    let target = "[[target]]\nname = \"far\"\ncluster = \"c\"\nservice = \"s\"\naccount = \"444455556666\"\n";
    let told = told(&lab, &format!("[discovery]\nclusters = [\"*\"]\n{account}{target}")).await;
    let about: Vec<&str> = told.lines().filter(|line| line.contains("444455556666")).collect();
    insta::assert_snapshot!(about.join("\n"), @r#"
    error    discovery: arn:aws:iam::444455556666:role/lockkeeper cannot be assumed, so nothing in 444455556666 is looked at or deployed: GetCallerIdentity: AssumeRole: AccessDenied: User: arn:aws:iam::111122223333:root is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::444455556666:role/lockkeeper; let its trust policy name Lockkeeper's role and the external id, and allow sts:AssumeRole to that
    error    far: 444455556666/eu-west-1/c/s is not looked at, and cannot be deployed: the role of its account cannot be assumed
    "#);
}

/// The service runs an image of a registry in another account, of which there is a role.
async fn reading_from_afar() -> (Lab, String) {
    let lab = Lab::new().await;
    lab.slow_down();
    lab.define("444455556666.dkr.ecr.eu-west-1.amazonaws.com/shop/far:latest", &[]);
    let update = json!({"cluster": "shop", "service": "api", "taskDefinition": "api"});
    lab.ask(Service::Ecs, "UpdateService", update);
    // What is forwarded comes on a bus of its own, which nothing else reaches.
    lab.ask(Service::Events, "CreateEventBus", json!({"Name": "theirs"}));
    lab.rule_on("theirs", "forwarded", &json!({"source": ["aws.ecr"]}), "sqs", "q");
    let role = r#"
        [[aws.accounts]]
        id = "444455556666"
        role_arn = "arn:aws:iam::444455556666:role/lockkeeper"
    "#;
    (lab, format!("{}{role}", API.replace("shop/api\"", "shop/*\"")))
}

/// What is told of events of the other account.
async fn of_afar(lab: &Lab, settings: &str) -> String {
    let told = told(lab, settings).await;
    let lines = told.lines().filter(|line| line.contains("shop/far") && !line.contains("is not there"));
    let rules = told.lines().filter(|line| line.contains(" in 444455556666/") && line.contains("rules:"));
    let sound = told.lines().filter(|line| line.starts_with("ok       events: 444455556666"));
    lines.chain(rules).chain(sound).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_another_account_are_read_where_there_is_a_role() {
    let (lab, settings) = reading_from_afar().await;
    let far = Lab::scope_of("444455556666");
    insta::assert_snapshot!(of_afar(&lab, &settings).await, @"warning  events: no rule in 444455556666/eu-west-1 forwards anything here: a push of shop/far:latest would never reach the queue; make rules there whose target is arn:aws:events:eu-west-1:111122223333:event-bus/theirs: docs/events.md has the patterns");
    lab.rule_of(&far, "forward", &json!({"source": ["aws.ssm"]}), "theirs");
    insta::assert_snapshot!(of_afar(&lab, &settings).await, @"warning  events: a push of shop/far:latest would never reach the queue, and api would not hear of it; let the pattern of a rule in 444455556666/eu-west-1 that forwards here take it");
    lab.rule_of(&far, "forward", &json!({"source": ["aws.ecr"]}), "theirs");
    insta::assert_snapshot!(of_afar(&lab, &settings).await, @"ok       events: 444455556666/eu-west-1 forwards each of 1 event that targets wait for from there");
    lab.ask_of(&far, Service::Events, "DisableRule", json!({"Name": "forward"}));
    insta::assert_snapshot!(of_afar(&lab, &settings).await, @r#"
    warning  events: a push of shop/far:latest would never reach the queue, and api would not hear of it; let the pattern of a rule in 444455556666/eu-west-1 that forwards here take it
    warning  rules: the rule forward in 444455556666/eu-west-1 is switched off: what it would let through never arrives; enable it, or remove its target
    "#);
    lab.ask_of(&far, Service::Events, "EnableRule", json!({"Name": "forward"}));
    lab.rule_on("theirs", "forwarded", &json!({"source": ["aws.ssm"]}), "sqs", "q");
    insta::assert_snapshot!(of_afar(&lab, &settings).await, @"warning  events: a push of shop/far:latest would never reach the queue, and api would not hear of it; 444455556666/eu-west-1 forwards it to the bus theirs: let a rule of that bus send it on to the queue");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_role_it_is_told_how_rules_elsewhere_are_looked_at() {
    let (lab, settings) = reading_from_afar().await;
    let allowed = "[aws]\nallowed_accounts = [\"444455556666\"]\n";
    let settings = format!("{allowed}{}", settings.split("[[aws.accounts]]").next().expect("the target"));
    insta::assert_snapshot!(of_afar(&lab, &settings).await, @"warning  events: a push of shop/far:latest would come only if 444455556666/eu-west-1 forwards it, which is not looked at here; name a role there in [[aws.accounts]], or look with credentials of 444455556666: `aws events list-rule-names-by-target --region eu-west-1 --target-arn arn:aws:events:eu-west-1:111122223333:event-bus/theirs` names the rules that forward, `aws events describe-rule --region eu-west-1 --name RULE` their state and pattern");
}
