//! The world and all that is done to it, other than by the daemon.

use std::{collections::BTreeSet, time::Duration};

use lockkeeper::sim::{Call, Reply, Scope, Service, front::Front};
use serde_json::{Value, json};

use crate::{
    estate::{ACCOUNT, CLUSTER, CONTAINER, REGION, TARGETS, Target},
    record::{By, Line},
    storm::Happening,
};

/// A world, and which of the calls to it are not the daemon's.
pub struct Stage {
    pub front: Front,
    own: BTreeSet<u64>,
    queue: String,
}

/// Milliseconds since the epoch.
pub fn now_ms() -> u64 {
    let elapsed = std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970");
    u64::try_from(elapsed.as_millis()).expect("it is earlier than that")
}

impl Stage {
    pub fn new(front: Front) -> Self {
        Self { front, own: BTreeSet::new(), queue: String::new() }
    }

    /// Builds queues, images, services, and a rule by which ECS's own events reach the queue. Says the queue's URL.
    pub async fn furnish(&mut self) -> String {
        let arn = |queue: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}");
        self.call(Service::Sqs, "CreateQueue", json!({"QueueName": "dead"}));
        let redrive = json!({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1_000}).to_string();
        let queue = json!({"QueueName": "events", "Attributes": {"RedrivePolicy": redrive}});
        let made = self.call(Service::Sqs, "CreateQueue", queue);
        made["QueueUrl"].as_str().expect("a URL").clone_into(&mut self.queue);
        let pattern = json!({"source": ["aws.ecs"]}).to_string();
        self.call(Service::Events, "PutRule", json!({"Name": "ecs", "EventPattern": pattern}));
        let to = json!([{"Id": "queue", "Arn": arn("events")}]);
        self.call(Service::Events, "PutTargets", json!({"Rule": "ecs", "Targets": to}));
        self.call(Service::Ecs, "CreateCluster", json!({"clusterName": CLUSTER}));
        for target in &TARGETS {
            self.furnish_service(target);
        }
        while !TARGETS.iter().all(|target| self.is_complete(target)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.queue.clone()
    }

    fn furnish_service(&mut self, target: &Target) {
        let image = target.first_image();
        let tag = image.rsplit(':').next().expect("it has a tag").to_owned();
        let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
        self.front.with(|world, now| world.push(now, &scope, target.repository, &[tag], None));
        let containers =
            json!([{"name": CONTAINER, "image": image}, {"name": "log", "image": "public.example/log:1"}]);
        let definition = json!({"family": target.name, "containerDefinitions": containers});
        self.call(Service::Ecs, "RegisterTaskDefinition", definition);
        let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": target.name != "web"}});
        let service = json!({
            "cluster": CLUSTER, "serviceName": target.name, "taskDefinition": target.name, "desiredCount": 2,
            "deploymentConfiguration": breaker,
        });
        self.call(Service::Ecs, "CreateService", service);
    }

    fn is_complete(&mut self, target: &Target) -> bool {
        let asked = json!({"cluster": CLUSTER, "services": [target.name]});
        let answer = self.call(Service::Ecs, "DescribeServices", asked);
        answer["services"][0]["deployments"][0]["rolloutState"] == "COMPLETED"
    }

    pub fn bring_about(&mut self, happening: Happening) {
        match happening {
            Happening::Message(body) => {
                let message = json!({"QueueUrl": self.queue, "MessageBody": body});
                self.call(Service::Sqs, "SendMessage", message);
            }
            Happening::Push { repository, tags, digest } => {
                let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
                self.front.with(|world, now| world.push(now, &scope, repository, &tags, Some(&digest)));
            }
            Happening::ByHand(target) => {
                let again = json!({"cluster": CLUSTER, "service": target.name, "forceNewDeployment": true});
                self.call(Service::Ecs, "UpdateService", again);
            }
        }
    }

    /// Whether nothing is in the queue, hidden or not.
    pub fn is_at_rest(&mut self) -> bool {
        let asked = json!({"QueueUrl": self.queue, "AttributeNames": ["All"]});
        let counts = self.call(Service::Sqs, "GetQueueAttributes", asked)["Attributes"].take();
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            .iter()
            .all(|name| counts[*name] == "0")
    }

    /// The calls after this one.
    pub fn calls_after(&self, sequence: u64) -> Vec<Line> {
        let own = |sequence| if self.own.contains(&sequence) { By::Storm } else { By::Daemon };
        self.front.with(|world, _| {
            let calls = world.calls_after(sequence).map(|logged| Line {
                sequence: logged.sequence,
                at: u64::try_from(logged.at.as_millis()).expect("it is later than 1970"),
                by: own(logged.sequence),
                operation: logged.operation.clone(),
                request: logged.request.clone(),
                result: logged.result.to_owned(),
                changed: logged.changed.clone(),
            });
            calls.collect()
        })
    }

    /// A call that is not the daemon's, made until it takes effect: the faults that are ordered may strike it, too.
    fn call(&mut self, service: Service, operation: &str, body: Value) -> Value {
        let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
        let call = Call { service, operation: operation.into(), scope, body };
        loop {
            let (reply, sequence, took_effect) = self.front.with(|world, now| {
                let reply = world.call(now, &call);
                let logged = world.calls_after(0).last().expect("it was just made");
                (reply, logged.sequence, logged.took_effect)
            });
            self.own.insert(sequence);
            if took_effect {
                return answer(reply);
            }
        }
    }
}

fn answer(reply: Reply) -> Value {
    match reply {
        Reply::Ok(answer) => answer,
        Reply::Slow(_, reply) => answer(*reply),
        Reply::Err(_) | Reply::Wait { .. } | Reply::Closed | Reply::Never => Value::Null,
    }
}
