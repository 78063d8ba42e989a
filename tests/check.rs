//! `lockkeeper check` against the simulated world: what it finds there, how it tells it, and that it changes nothing.
#![cfg(all(feature = "daemon", feature = "sim"))]

use std::{
    fs,
    process::{Command, Output},
};

use lockkeeper::sim::{
    Call, EcsDials, Role, Scope, Service, World, WorldSettings,
    front::{Front, FrontSettings},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

/// A world with queues, a rule for pushes, and the service `shop/api` with what it reads.
struct Lab {
    front: Front,
    endpoint: String,
    folder: tempfile::TempDir,
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

fn image(name: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}")
}

impl Lab {
    async fn new() -> Self {
        let dials = EcsDials { speed: 50.0, ..EcsDials::default() };
        let world = World::new(7, WorldSettings { ecs: dials, ..WorldSettings::default() });
        let front = Front::new(world, FrontSettings::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(front.serve(listener));
        let lab = Self { front, endpoint, folder: tempfile::tempdir().expect("a folder") };
        lab.queues();
        lab.service();
        lab.until_complete().await;
        lab
    }

    /// Waits until the service has its first task.
    async fn until_complete(&self) {
        for _ in 0..500 {
            let wanted = json!({"cluster": "shop", "services": ["api"]});
            let answer = self.ask(Service::Ecs, "DescribeServices", wanted);
            if answer["services"][0]["deployments"][0]["rolloutState"] == "COMPLETED" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the service never became steady");
    }

    fn queues(&self) {
        let fortnight = json!({"MessageRetentionPeriod": "1209600"});
        self.ask(Service::Sqs, "CreateQueue", json!({"QueueName": "q-dead", "Attributes": fortnight}));
        let redrive =
            json!({"deadLetterTargetArn": arn("sqs", "q-dead"), "maxReceiveCount": 100}).to_string();
        let statement = json!({
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": arn("sqs", "q"), "Condition": {"ArnLike": {"aws:SourceArn": arn("events", "rule/*")}},
        });
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let attributes = json!({"RedrivePolicy": redrive, "Policy": policy});
        self.ask(Service::Sqs, "CreateQueue", json!({"QueueName": "q", "Attributes": attributes}));
        self.rule(
            "pushes",
            &json!({"source": ["aws.ecr"], "detail": {"repository-name": [{"prefix": "shop/"}]}}),
        );
        self.rule("parameters", &json!({"source": ["aws.ssm"]}));
    }

    fn rule(&self, name: &str, pattern: &Value) {
        self.ask(Service::Events, "PutRule", json!({"Name": name, "EventPattern": pattern.to_string()}));
        let target =
            json!({"Id": "q", "Arn": arn("sqs", "q"), "DeadLetterConfig": {"Arn": arn("sqs", "q-dead")}});
        self.ask(Service::Events, "PutTargets", json!({"Rule": name, "Targets": [target]}));
    }

    fn service(&self) {
        let scope = Self::scope();
        let tags = ["v1".to_owned()];
        self.front.with(|world, now| world.push(now, &scope, "shop/api", &tags, None));
        self.ask(Service::Ssm, "PutParameter", json!({"Name": "/prod/KEY", "Value": "x", "Type": "String"}));
        self.ask(Service::Ecs, "CreateCluster", json!({"clusterName": "shop"}));
        self.define(&image("shop/api:v1"), &["/prod/KEY"]);
        let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
        self.ask(
            Service::Ecs,
            "CreateService",
            json!({
                "cluster": "shop", "serviceName": "api", "taskDefinition": "api", "desiredCount": 1,
                "deploymentConfiguration": breaker,
            }),
        );
    }

    /// Registers the next revision of `api`.
    fn define(&self, image: &str, parameters: &[&str]) {
        let secrets: Vec<Value> = parameters.iter().map(|it| json!({"name": "X", "valueFrom": it})).collect();
        let container =
            json!({"name": "web", "image": image, "memory": 64, "essential": true, "secrets": secrets});
        let definition = json!({"family": "api", "containerDefinitions": [container]});
        self.ask(Service::Ecs, "RegisterTaskDefinition", definition);
    }

    fn scope() -> Scope {
        Scope { account: ACCOUNT.into(), region: REGION.into() }
    }

    fn ask(&self, service: Service, operation: &str, body: Value) -> Value {
        let call = Call { service, operation: operation.into(), scope: Self::scope(), body };
        let reply = self.front.with(|world, now| world.call(now, &call));
        match reply {
            lockkeeper::sim::Reply::Ok(answer) => answer,
            other => panic!("{operation}: {other:?}"),
        }
    }

    /// What the command says of these settings.
    async fn check(&self, settings: &str, more: &[&str]) -> Output {
        let path = self.folder.path().join("mine.toml");
        let queue = format!("[queue]\nurl = \"{}/{ACCOUNT}/q\"\n", self.endpoint);
        fs::write(&path, queue + settings).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
        command.args(["check", "--config"]).arg(&path).args(more).env_clear();
        command.env("AWS_REGION", REGION).env("AWS_ENDPOINT_URL", &self.endpoint);
        command.env("AWS_ACCESS_KEY_ID", ACCOUNT).env("AWS_SECRET_ACCESS_KEY", "x");
        tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs")
    }

    async fn told(&self, settings: &str) -> String {
        let output = self.check(settings, &[]).await;
        let code = output.status.code().expect("not killed");
        let text =
            String::from_utf8(output.stdout).expect("UTF-8") + &String::from_utf8_lossy(&output.stderr);
        format!("[exit {code}]\n{text}").replace(&self.endpoint, "http://world")
    }
}

const API: &str = r#"
[[target]]
name = "api"
cluster = "shop"
service = "api"
repositories = ["shop/api"]
parameters = ["/prod/*"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_it_should_be_is_told_with_what_could_not_be_shown() {
    let lab = Lab::new().await;
    insta::assert_snapshot!(lab.told(API).await, @r#"
    [exit 0]
    ok       queue: http://world/111122223333/q is reachable, with a dead-letter queue; 2 messages wait, 0 are held
    ok       rules: the queue is sent to by 2 rules, each of them switched on
    ok       events: each of 2 events that targets wait for would reach the queue
    warning  permissions: these are the root's credentials, which no policy binds: what Lockkeeper may do is not shown; name the daemon's role by --role ARN, and never run it as the root
    ok       own service: not looked at: none of the targets receives from this queue; --own CLUSTER/SERVICE names it
    ok       api: 111122223333/eu-west-1/shop/api runs api:1, which reads 2 things; follow
    0 errors, 1 warning.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_told_at_once_and_ends_in_exit_code_1() {
    let lab = Lab::new().await;
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
    insta::assert_snapshot!(lab.told(&format!("{API}{more}")).await, @r#"
    [exit 1]
    ok       queue: http://world/111122223333/q is reachable, with a dead-letter queue; 2 messages wait, 0 are held
    warning  rules: the rule parameters is switched off: what it would let through never arrives; enable it, or remove its target
    warning  events: a change of parameter /prod/KEY would never reach the queue, and api would not hear of it; let the pattern of a rule take it: docs/events.md has the patterns
    warning  events: a change of parameter /prod/MISSING would never reach the queue, and api would not hear of it; let the pattern of a rule take it: docs/events.md has the patterns
    warning  permissions: these are the root's credentials, which no policy binds: what Lockkeeper may do is not shown; name the daemon's role by --role ARN, and never run it as the root
    ok       own service: not looked at: none of the targets receives from this queue; --own CLUSTER/SERVICE names it
    error    api: image shop/api:never-pushed in 111122223333/eu-west-1 is not there: its new tasks cannot start; make it, or let the task definition name another
    error    api: parameter /prod/MISSING in 111122223333/eu-west-1 is not there: its new tasks cannot start; make it, or let the task definition name another
    error    ghost: there is no service ghost in the cluster shop (111122223333/eu-west-1/shop/ghost); name one that exists, or remove the target
    3 errors, 4 warnings.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_changes_nothing_and_asks_a_few_times_per_target() {
    let lab = Lab::new().await;
    let before = lab.front.with(|world, _| world.calls_after(0).count());
    lab.check(API, &[]).await;
    let calls = lab.front.with(|world, _| {
        let made: Vec<_> = world.calls_after(0).skip(before).cloned().collect();
        made
    });
    let changed: Vec<_> = calls.iter().filter(|it| it.took_effect && !is_read(&it.operation)).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    let about_targets = calls.iter().filter(|it| it.service == Service::Ecs).count();
    assert!(about_targets <= 4, "{about_targets} calls to ECS for one target");
}

fn is_read(operation: &str) -> bool {
    ["Describe", "List", "Get", "Test"].iter().any(|it| operation.starts_with(it))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_reads_the_findings_as_json() {
    let lab = Lab::new().await;
    let output = lab.check(API, &["--output", "json"]).await;
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
    let told = lab.told(&format!("{settings}{API}")).await;
    assert!(
        told.starts_with("[exit 1]\nerror    queue: http://world/111122223333/q cannot be read"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_that_runs_it_is_judged_too() {
    let lab = Lab::new().await;
    let output = lab.check(API, &["--own", "shop/api"]).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        text.contains("own service: 111122223333/eu-west-1/shop/api is replaced with 100 % at least"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
    let output = lab.check(API, &["--own", "shop"]).await;
    assert_eq!(output.status.code(), Some(2));
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
    insta::assert_snapshot!(lab.told("[discovery]\nclusters = [\"*\"]\n").await, @r#"
    [exit 1]
    ok       queue: http://world/111122223333/q is reachable, with a dead-letter queue; 2 messages wait, 0 are held
    ok       rules: the queue is sent to by 2 rules, each of them switched on
    warning  events: what ECS tells of rollouts would never reach the queue: a new service or definition is known only after discovery.refresh; make a rule with {"source":["aws.ecs"],"detail-type":["ECS Deployment State Change"]}
    ok       events: each of 2 events that targets wait for would reach the queue
    warning  permissions: these are the root's credentials, which no policy binds: what Lockkeeper may do is not shown; name the daemon's role by --role ARN, and never run it as the root
    ok       own service: not looked at: none of the targets receives from this queue; --own CLUSTER/SERVICE names it
    ok       discovery: finds 3 services in 111122223333/eu-west-1; 2 of them are not deployed: off, typo
    warning  target: the lifecycle policy of shop/api in 111122223333/eu-west-1 deletes images without a tag, and a tag there is followed by api: the image that runs loses it with the next push, and a rollback would have nothing to pull; keep some images without a tag: count them, and by a large number
    ok       api: 111122223333/eu-west-1/shop/api runs api:1, which reads 2 things; follow
    ok       off: it is not deployed: switched off by its tag lockkeeper:enabled
    error    typo: it is not deployed: tag lockkeeper:on_push = "folow" is not one of the words for it; write one of follow, pin, always, ignore; did you mean `follow`?
    1 error, 3 warnings.
    "#);
    let none = lab.told("[discovery]\nclusters = [\"none-*\"]\n").await;
    assert!(
        none.contains("warning  discovery: discovery finds no service in 111122223333/eu-west-1"),
        "{none}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_assumed_is_an_error() {
    let lab = Lab::new().await;
    let role = "arn:aws:iam::444455556666:role/lockkeeper";
    let other = Role { arn: role.to_owned(), external_id: Some("asked for".into()) };
    lab.front.with(|world, _| world.add_role(other));
    let account = format!("[[aws.accounts]]\nid = \"444455556666\"\nrole_arn = \"{role}\"\n");
    let told = lab.told(&format!("[discovery]\nclusters = [\"*\"]\n{account}")).await;
    assert!(told.contains(&format!("error    discovery: {role} cannot be assumed")), "{told}");
}
