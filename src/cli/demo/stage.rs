//! The emulated account that the story plays in: a queue, rules, three services, and who changes them.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::rules;
use crate::{
    domain::Digest,
    settings::{self, Settings, Sources},
    sim::{
        Call, Reply, Scope, Service, World, WorldSettings,
        front::{Front, FrontSettings},
    },
};

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "eu-west-1";
const CLUSTER: &str = "shop";
const SEED: u64 = 7;

/// A second queue that the rule feeds, from which an event can be taken and delivered again.
const COPIES: &str = "copies";

/// How the daemon is set for the story.
const SETTINGS: &str = r#"
[engine]
start_delay = "0s"

[defaults]
quiet = "1s"

[[target]]
name = "api"
cluster = "shop"
service = "shop-api"
repositories = ["shop/api"]
parameters = ["/prod/shop/api/*"]

[[target]]
name = "web"
cluster = "shop"
service = "shop-web"
repositories = ["shop/web"]
on_push = "pin"
tags = "glob:release-*"
"#;

/// The world, and the address at which AWS's SDKs reach it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    front: Front,
    endpoint: Arc<str>,
    queue: Arc<str>,
}

impl Stage {
    /// Serves a new world on a free local port, and builds the account in it.
    pub(super) async fn build() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("open a local port")?;
        let endpoint = format!("http://{}", listener.local_addr().context("read the local port")?);
        let queue_base = endpoint.clone();
        let settings = WorldSettings { allow_aws_sources: true, queue_base, ..WorldSettings::default() };
        let whoever_calls = FrontSettings { account: ACCOUNT.into(), region: REGION.into() };
        let front = Front::new(World::new(SEED, settings), whoever_calls);
        tokio::spawn(front.serve(listener));
        let mut stage = Self { front, endpoint: endpoint.into(), queue: "".into() };
        stage.queue = stage.queues()?.into();
        stage.services()?;
        stage.until_complete().await?;
        stage.rules()?;
        Ok(stage)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let document = format!("{SETTINGS}\n[queue]\nurl = \"{}\"\n", self.queue);
        let environment =
            [("LOCKKEEPER_CONFIG_TOML".to_owned(), document), ("AWS_REGION".to_owned(), REGION.to_owned())];
        settings::load(&Sources { environment: environment.into(), ..Sources::default() })
            .context("the demo's settings")
    }

    fn queues(&self) -> anyhow::Result<String> {
        self.call(Service::Sqs, "CreateQueue", json!({"QueueName": "lockkeeper-dead"}))?;
        let redrive = json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:lockkeeper-dead"),
            "maxReceiveCount": 100,
        });
        self.call(Service::Sqs, "CreateQueue", json!({"QueueName": COPIES}))?;
        let attributes = json!({"RedrivePolicy": redrive.to_string()});
        let queue = self.call(
            Service::Sqs,
            "CreateQueue",
            json!({"QueueName": "lockkeeper", "Attributes": attributes}),
        )?;
        queue["QueueUrl"].as_str().map(Into::into).context("CreateQueue answered no URL")
    }

    fn rules(&self) -> anyhow::Result<()> {
        let arn = |queue: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}");
        let targets =
            json!([{"Id": "queue", "Arn": arn("lockkeeper")}, {"Id": "copies", "Arn": arn(COPIES)}]);
        for (name, pattern) in rules::all(ACCOUNT, REGION, CLUSTER) {
            let rule = json!({"Name": name, "EventPattern": pattern.to_string()});
            self.call(Service::Events, "PutRule", rule)?;
            self.call(Service::Events, "PutTargets", json!({"Rule": name, "Targets": targets}))?;
        }
        Ok(())
    }

    fn services(&self) -> anyhow::Result<()> {
        self.call(Service::Ecs, "CreateCluster", json!({"clusterName": CLUSTER}))?;
        for (name, tag) in [("api", "latest"), ("web", "release-1")] {
            self.push(&format!("shop/{name}"), &[tag]);
            let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/{name}:{tag}");
            let family = format!("shop-{name}");
            let container = json!({"name": name, "image": image, "essential": true});
            let sidecar = json!({"name": "proxy", "image": "public.ecr.aws/envoy:v1", "essential": false});
            let definition = json!({"family": family, "containerDefinitions": [container, sidecar]});
            self.call(Service::Ecs, "RegisterTaskDefinition", definition)?;
            let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
            let service = json!({
                "cluster": CLUSTER, "serviceName": family, "taskDefinition": family, "desiredCount": 2,
                "deploymentConfiguration": breaker,
            });
            self.call(Service::Ecs, "CreateService", service)?;
        }
        Ok(())
    }

    /// Waits until the first rollout of every service is complete.
    async fn until_complete(&self) -> anyhow::Result<()> {
        let services = json!({"cluster": CLUSTER, "services": ["shop-api", "shop-web"]});
        let is_complete = |service: &Value| service["deployments"][0]["rolloutState"] == "COMPLETED";
        loop {
            let answer = self.call(Service::Ecs, "DescribeServices", services.clone())?;
            if answer["services"].as_array().is_some_and(|services| services.iter().all(is_complete)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn call(&self, service: Service, operation: &str, body: Value) -> anyhow::Result<Value> {
        let scope = scope();
        let call = Call { service, operation: operation.into(), scope, body };
        match self.front.with(|world, now| world.call(now, &call)) {
            Reply::Ok(answer) => Ok(answer),
            other => bail!("the world answers {operation} with {other:?}"),
        }
    }

    /// A build pushes an image under these tags.
    pub(super) fn push(&self, repository: &str, tags: &[&str]) -> Digest {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.front.with(|world, now| world.push(now, &scope(), repository, &tags, None)).into()
    }

    /// Somebody writes a parameter.
    pub(super) fn put_parameter(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let body = json!({"Name": name, "Value": value, "Type": "String", "Overwrite": true});
        self.call(Service::Ssm, "PutParameter", body).map(drop)
    }

    /// The event of a push of this tag, as it was delivered.
    pub(super) fn delivered(&self, tag: &str) -> anyhow::Result<String> {
        let url = self.queue.replace("/lockkeeper", &format!("/{COPIES}"));
        let names_it = format!("\"image-tag\":\"{tag}\"");
        for _ in 0..100 {
            let receive = json!({"QueueUrl": url, "MaxNumberOfMessages": 10});
            let mut answer = self.call(Service::Sqs, "ReceiveMessage", receive)?;
            let bodies = answer["Messages"].as_array_mut().context("no event of that tag was delivered")?;
            let bodies = bodies.iter().filter_map(|message| message["Body"].as_str());
            if let Some(body) = bodies.into_iter().find(|body| body.contains(&names_it)) {
                return Ok(body.to_owned());
            }
        }
        bail!("no event of the tag {tag} was delivered")
    }

    /// EventBridge delivers the same event once more.
    pub(super) fn send_again(&self, event: &str) -> anyhow::Result<()> {
        self.call(Service::Sqs, "SendMessage", json!({"QueueUrl": &*self.queue, "MessageBody": event}))
            .map(drop)
    }

    /// How many rollouts of this service were asked for until now.
    pub(super) fn rollouts(&self, service: &str) -> usize {
        let asks = |logged: &crate::sim::Logged| {
            logged.operation == "UpdateService" && logged.request["service"] == service && logged.took_effect
        };
        self.front.with(|world, _| world.calls_after(0).filter(|logged| asks(logged)).count())
    }

    /// The image that the application's container of a service runs.
    pub(super) fn image(&self, name: &str) -> anyhow::Result<String> {
        let services = json!({"cluster": CLUSTER, "services": [format!("shop-{name}")]});
        let service = self.call(Service::Ecs, "DescribeServices", services)?["services"][0].take();
        let definition = json!({"taskDefinition": service["taskDefinition"]});
        let definition = self.call(Service::Ecs, "DescribeTaskDefinition", definition)?;
        let image = &definition["taskDefinition"]["containerDefinitions"][0]["image"];
        Ok(image.as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// How many messages are in the queue, whether visible or held, and how many are set aside.
    pub(super) fn messages(&self) -> anyhow::Result<(u64, u64)> {
        let count = |url: &str| -> anyhow::Result<u64> {
            let body = json!({"QueueUrl": url, "AttributeNames": ["All"]});
            let attributes = self.call(Service::Sqs, "GetQueueAttributes", body)?["Attributes"].take();
            let number =
                |name: &str| attributes[name].as_str().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
            Ok(number("ApproximateNumberOfMessages") + number("ApproximateNumberOfMessagesNotVisible"))
        };
        Ok((count(&self.queue)?, count(&format!("{}-dead", self.queue))?))
    }
}

fn scope() -> Scope {
    Scope { account: ACCOUNT.into(), region: REGION.into() }
}
