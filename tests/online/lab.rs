//! A simulated world with queues, rules and one service, and commands that are run against it.

use std::{
    fs,
    process::{Command, Output},
};

use lockkeeper::sim::{
    Call, EcsDials, Logged, Reply, Scope, Service, World, WorldSettings,
    front::{Front, FrontSettings},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "eu-west-1";

/// The service by name.
pub(super) const TARGET: &str = r#"
[[target]]
name = "api"
cluster = "shop"
service = "api"
repositories = ["shop/api"]
parameters = ["/prod/*"]
"#;

/// A world with queues, a rule for pushes, and the service `shop/api` with what it reads.
pub(super) struct Lab {
    pub(super) front: Front,
    pub(super) endpoint: String,
    folder: tempfile::TempDir,
}

pub(super) fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

pub(super) fn image(name: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}")
}

impl Lab {
    pub(super) async fn new() -> Self {
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

    /// From now on a rollout takes longer than any test, so that what is in progress stays so.
    pub(super) fn slow_down(&self) {
        self.front.with(|world, _| {
            let ecs = EcsDials { speed: 0.001, ..world.settings().ecs.clone() };
            world.set_settings(WorldSettings { ecs, ..world.settings().clone() });
        });
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
        self.rule_on("default", name, pattern, "sqs", "q");
    }

    /// A rule of this bus that sends to this.
    pub(super) fn rule_on(&self, bus: &str, name: &str, pattern: &Value, service: &str, resource: &str) {
        self.put_rule(&Self::scope(), bus, name, pattern, &arn(service, resource));
    }

    /// Has a rule of ours send this to the queue, by one of the keys of a target.
    pub(super) fn rewrite(&self, rule: &str, key: &str, value: &Value) {
        let mut target =
            json!({"Id": "q", "Arn": arn("sqs", "q"), "DeadLetterConfig": {"Arn": arn("sqs", "q-dead")}});
        target[key] = value.clone();
        self.ask(Service::Events, "PutTargets", json!({"Rule": rule, "Targets": [target]}));
    }

    /// A rule of another account that forwards to this bus of ours.
    pub(super) fn rule_of(&self, scope: &Scope, name: &str, pattern: &Value, bus: &str) {
        self.put_rule(scope, "default", name, pattern, &arn("events", &format!("event-bus/{bus}")));
    }

    fn put_rule(&self, scope: &Scope, bus: &str, name: &str, pattern: &Value, goal: &str) {
        let rule = json!({"Name": name, "EventBusName": bus, "EventPattern": pattern.to_string()});
        self.ask_of(scope, Service::Events, "PutRule", rule);
        let target = json!({"Id": "q", "Arn": goal, "DeadLetterConfig": {"Arn": arn("sqs", "q-dead")}});
        let targets = json!({"Rule": name, "EventBusName": bus, "Targets": [target]});
        self.ask_of(scope, Service::Events, "PutTargets", targets);
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
    pub(super) fn define(&self, image: &str, parameters: &[&str]) {
        let secrets: Vec<Value> = parameters.iter().map(|it| json!({"name": "X", "valueFrom": it})).collect();
        let container =
            json!({"name": "web", "image": image, "memory": 64, "essential": true, "secrets": secrets});
        let definition = json!({"family": "api", "containerDefinitions": [container]});
        self.ask(Service::Ecs, "RegisterTaskDefinition", definition);
    }

    pub(super) fn scope() -> Scope {
        Self::scope_of(ACCOUNT)
    }

    /// Another account in our Region.
    pub(super) fn scope_of(account: &str) -> Scope {
        Scope { account: account.into(), region: REGION.into() }
    }

    pub(super) fn ask(&self, service: Service, operation: &str, body: Value) -> Value {
        self.ask_of(&Self::scope(), service, operation, body)
    }

    pub(super) fn ask_of(&self, scope: &Scope, service: Service, operation: &str, body: Value) -> Value {
        let call = Call { service, operation: operation.into(), scope: scope.clone(), body };
        let reply = self.front.with(|world, now| world.call(now, &call));
        match reply {
            Reply::Ok(answer) => answer,
            other => panic!("{operation}: {other:?}"),
        }
    }

    /// What this command says with these settings, behind those that name the queue.
    pub(super) async fn run(&self, command: &[&str], settings: &str) -> Output {
        self.run_against(&self.endpoint, command, settings).await
    }

    /// The same, where AWS does not answer.
    pub(super) async fn run_elsewhere(&self, command: &[&str], settings: &str) -> Output {
        self.run_against("http://127.0.0.1:9", command, settings).await
    }

    async fn run_against(&self, endpoint: &str, command: &[&str], settings: &str) -> Output {
        let path = self.folder.path().join("mine.toml");
        let queue = format!("[queue]\nurl = \"{}/{ACCOUNT}/q\"\n", self.endpoint);
        fs::write(&path, queue + settings).expect("written");
        let mut process = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
        process.args(command).arg("--config").arg(&path).current_dir(self.folder.path()).env_clear();
        process.env("AWS_REGION", REGION).env("AWS_ENDPOINT_URL", endpoint);
        process.env("AWS_ACCESS_KEY_ID", ACCOUNT).env("AWS_SECRET_ACCESS_KEY", "x");
        tokio::task::spawn_blocking(move || process.output()).await.expect("it ends").expect("it runs")
    }

    /// A file with this text, and where it is.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    }

    /// The ARN of a service.
    pub(super) fn service_arn(name: &str) -> String {
        arn("ecs", &format!("service/shop/{name}"))
    }

    /// As one text: its exit code, then what it wrote.
    pub(super) fn text(&self, output: &Output) -> String {
        let code = output.status.code().expect("not killed");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("[exit {code}]\n{out}{err}").replace(&self.endpoint, "http://world")
    }

    /// Every call that was made since so many.
    pub(super) fn calls_after(&self, before: usize) -> Vec<Logged> {
        self.front.with(|world, _| world.calls_after(0).skip(before).cloned().collect())
    }

    pub(super) fn calls(&self) -> usize {
        self.front.with(|world, _| world.calls_after(0).count())
    }
}

pub(super) fn is_read(operation: &str) -> bool {
    ["Describe", "List", "Get", "Test", "Assume"].iter().any(|it| operation.starts_with(it))
}
