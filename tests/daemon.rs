//! The loop against the simulated world, through the real SDK over HTTP.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{sync::Arc, time::Duration};

use lockkeeper::{
    aws::{Connections, Unobserved, ecs::Ecs},
    domain::{AccountId, Adopted, DeploymentRecord, Moment, Outcome, Report},
    engine::{self, Engine, EngineClock, LiveRoutes, Opened, People, Publisher, RECEIVE_WAIT},
    plan::PlanSettings,
    route::Routes,
    settings::{self, Sources},
    sim::{
        Call, EcsDials, Reply, Scope, Service, World, WorldSettings,
        front::{Front, FrontSettings},
    },
    status::{Health, Metrics, Snapshot},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

/// Far longer than anything here takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_event_on_the_queue_becomes_one_finished_rollout() {
    let mut lab = Lab::open("0s").await;
    lab.hear_of_ecs();
    lab.push("v2");
    let ended = lab.until_finished().await;
    assert_eq!((ended.outcome, ended.attempts), (Some(Outcome::Succeeded), 1));
    lab.until(|report| matches!(report, Report::Settled { .. })).await;
    lab.until_queue_is_empty().await;
    assert_eq!(lab.count("UpdateService"), 1);
    lab.close().await;
}

#[tokio::test]
async fn a_message_that_nobody_understands_is_set_aside_with_the_reason() {
    let lab = Lab::open("0s").await;
    lab.send("{\"detail-type\": 5");
    lab.until_queue_is_empty().await;
    let letter = lab.receive("lockkeeper-dead").await;
    assert_eq!(letter["Body"], "{\"detail-type\": 5");
    let reason = letter["MessageAttributes"]["lockkeeper.reason"]["StringValue"].as_str().unwrap();
    assert!(reason.contains("JSON"), "{reason}");
    lab.close().await;
}

#[tokio::test]
async fn a_stop_hands_back_what_is_held_and_what_a_receive_in_flight_brings() {
    let mut lab = Lab::open("60s").await;
    lab.push("v2");
    lab.until(|report| matches!(report, Report::Queued { .. })).await;
    lab.stop.cancel();
    lab.push("v3");
    timeout(Duration::from_secs(10), &mut lab.daemon).await.expect("it ends within ten seconds").unwrap();
    let bodies =
        [lab.receive("lockkeeper").await, lab.receive("lockkeeper").await].map(|it| it["Body"].to_string());
    assert!(bodies.iter().any(|body| body.contains("v2")) && bodies.iter().any(|body| body.contains("v3")));
    assert_eq!(lab.count("UpdateService"), 0);
}

#[tokio::test]
async fn a_process_that_takes_over_adopts_the_rollout_and_starts_no_second() {
    let mut lab = Lab::open("0s").await;
    lab.slow_down();
    lab.push("v2");
    let begun = lab.until(|report| matches!(report, Report::Moved(it) if it.rollout_id.is_some())).await;
    let Report::Moved(before) = begun else { panic!("{begun:?}") };
    lab.stop.cancel();
    timeout(PATIENCE, &mut lab.daemon).await.expect("it ends").unwrap();
    lab.start("0s").await;
    let ended = lab.until_finished().await;
    assert_eq!((ended.outcome, ended.attempts), (Some(Outcome::Succeeded), 1));
    assert_eq!(ended.adopted, Some(Adopted::Ours));
    assert!(ended.reason.as_ref().is_some_and(|it| it.contains("adopted in progress")), "{:?}", ended.reason);
    assert!(ended.started_at.unwrap() <= before.started_at.unwrap() + Duration::from_secs(2), "{before:?}");
    assert_eq!(lab.count("UpdateService"), 1);
    lab.close().await;
}

#[tokio::test]
async fn a_message_that_is_held_for_long_lives_on_as_a_copy_and_is_done_once() {
    let mut lab = Lab::renewing("0s", Duration::from_millis(500)).await;
    lab.run_at(0.25);
    lab.push("v2");
    lab.until(|report| matches!(report, Report::Moved(it) if it.rollout_id.is_some())).await;
    lab.poll(|| (lab.count("SendMessage") >= 3).then_some(())).await;
    lab.run_at(20.0);
    assert_eq!(lab.until_finished().await.outcome, Some(Outcome::Succeeded));
    lab.until_queue_is_empty().await;
    assert_eq!(lab.count("UpdateService"), 1);
    lab.close().await;
}

struct Lab {
    front: Front,
    endpoint: String,
    queue: String,
    stop: CancellationToken,
    daemon: JoinHandle<()>,
    reports: mpsc::UnboundedReceiver<Report>,
    renew_after: Duration,
}

impl Lab {
    /// A world with one service, and a daemon whose one target gathers requests for this long.
    async fn open(quiet: &str) -> Self {
        Self::renewing(quiet, PlanSettings::RENEW_AFTER).await
    }

    /// The same, where messages are renewed after this long.
    async fn renewing(quiet: &str, renew_after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let ecs = EcsDials { speed: 20.0, ..EcsDials::default() };
        let queue_base = endpoint.clone();
        let settings = WorldSettings {
            allow_aws_sources: true,
            throttle: false,
            queue_base,
            ecs,
            ..WorldSettings::default()
        };
        let callers = FrontSettings { account: ACCOUNT.into(), region: REGION.into() };
        let front = Front::new(World::new(1, settings), callers);
        tokio::spawn(front.serve(listener));
        let queue = furnish(&front);
        let (_, reports) = mpsc::unbounded_channel();
        let mut lab = Self {
            front,
            endpoint,
            queue,
            stop: CancellationToken::new(),
            daemon: tokio::spawn(async {}),
            reports,
            renew_after,
        };
        lab.until_stable().await;
        lab.start(quiet).await;
        lab
    }

    /// Starts a daemon, as after a crash: it knows nothing of any before it.
    async fn start(&mut self, quiet: &str) {
        let connections = Connections::simulated(
            &self.endpoint,
            &AccountId::from(ACCOUNT),
            REGION.into(),
            Arc::new(Unobserved),
        )
        .await;
        let Opened { queue, dead_letters, letter_room, account, user, .. } =
            engine::open(&connections, &self.queue, None).await.unwrap();
        let clock = EngineClock::start();
        let (listener, reports) = mpsc::unbounded_channel();
        let snapshots = watch::channel(Arc::new(Snapshot::empty(Moment::default()))).0;
        let publisher =
            Publisher::new(Arc::new(Metrics::new("test", "test")), snapshots).with_listener(listener);
        self.reports = reports;
        self.stop = CancellationToken::new();
        let engine = Engine {
            queue,
            dead_letters,
            letter_room,
            ecs: Arc::new(Ecs::new(connections, account.clone())),
            routes: Routes::new(account.clone(), REGION.into(), targets(quiet), None),
            discovery: None,
            reconcile: None,
            accounts: vec![account],
            people: People { own: user, from_outside: false },
            pollers: 2,
            visibility: Duration::from_secs(30),
            renew_after: self.renew_after,
            start_delay: Duration::ZERO,
            lease: None,
            health: Arc::new(Health::new(clock.moment(), Duration::ZERO, RECEIVE_WAIT)),
            clock,
            live: LiveRoutes::default(),
            publisher,
            stop: self.stop.clone(),
        };
        self.daemon = tokio::spawn(engine.run());
    }

    async fn close(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.daemon).await.expect("the daemon ends").unwrap();
    }

    fn push(&self, tag: &str) {
        let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
        self.front.with(|world, now| world.push(now, &scope, "shop/api", &[tag.to_owned()], None));
    }

    fn send(&self, body: &str) {
        call(&self.front, Service::Sqs, "SendMessage", json!({"QueueUrl": self.queue, "MessageBody": body}));
    }

    /// ECS's own events come to the queue too: hints, and much that asks nothing.
    fn hear_of_ecs(&self) {
        let pattern = json!({"source": ["aws.ecr", "aws.ecs"]}).to_string();
        call(&self.front, Service::Events, "PutRule", json!({"Name": "pushes", "EventPattern": pattern}));
    }

    fn slow_down(&self) {
        self.run_at(0.25);
    }

    fn run_at(&self, speed: f64) {
        self.front.with(|world, _| {
            let mut settings = world.settings().clone();
            settings.ecs.speed = speed;
            world.set_settings(settings);
        });
    }

    /// How many calls of this operation took effect.
    fn count(&self, operation: &str) -> usize {
        self.front.with(|world, _| {
            world.calls_after(0).filter(|logged| logged.operation == operation && logged.took_effect).count()
        })
    }

    async fn until(&mut self, wanted: impl Fn(&Report) -> bool) -> Report {
        loop {
            let report = timeout(PATIENCE, self.reports.recv())
                .await
                .expect("it is reported")
                .expect("the daemon lives");
            if wanted(&report) {
                return report;
            }
        }
    }

    async fn until_finished(&mut self) -> DeploymentRecord {
        match self.until(|report| matches!(report, Report::Finished(_))).await {
            Report::Finished(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    async fn until_queue_is_empty(&self) {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        self.poll(|| {
            let body = json!({"QueueUrl": self.queue, "AttributeNames": ["All"]});
            let counts = call(&self.front, Service::Sqs, "GetQueueAttributes", body)["Attributes"].take();
            names.iter().all(|name| counts[*name] == "0").then_some(())
        })
        .await;
    }

    async fn until_stable(&self) {
        self.poll(|| {
            let services = json!({"cluster": "shop", "services": ["shop-api"]});
            let answer = call(&self.front, Service::Ecs, "DescribeServices", services);
            (answer["services"][0]["deployments"][0]["rolloutState"] == "COMPLETED").then_some(())
        })
        .await;
    }

    async fn receive(&self, queue: &str) -> Value {
        let url = self.queue.replace("/lockkeeper", &format!("/{queue}"));
        self.poll(|| {
            let body = json!({"QueueUrl": url, "MessageAttributeNames": ["All"], "MaxNumberOfMessages": 1});
            let mut answer = call(&self.front, Service::Sqs, "ReceiveMessage", body);
            answer.pointer_mut("/Messages/0").map(Value::take)
        })
        .await
    }

    async fn poll<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        timeout(PATIENCE, async {
            loop {
                if let Some(found) = look() {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("it comes to pass")
    }
}

fn targets(quiet: &str) -> Vec<lockkeeper::domain::TargetRule> {
    let document = format!(
        "[defaults]\nquiet = \"{quiet}\"\n[[target]]\nname = \"api\"\ncluster = \"shop\"\nservice = \"shop-api\"\n\
         repositories = [\"shop/api\"]\non_push = \"pin\"\n"
    );
    let environment = [("LOCKKEEPER_CONFIG_TOML".to_owned(), document)];
    settings::load(&Sources { environment: environment.into(), ..Sources::default() }).unwrap().targets
}

fn call(front: &Front, service: Service, operation: &str, body: Value) -> Value {
    let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
    let call = Call { service, operation: operation.into(), scope, body };
    match front.with(|world, now| world.call(now, &call)) {
        Reply::Ok(answer) => answer,
        Reply::Wait { .. } => json!({"Messages": []}),
        other => panic!("{operation}: {other:?}"),
    }
}

/// Builds the queue with its dead-letter queue, a rule, and a service; says the queue's URL.
fn furnish(front: &Front) -> String {
    let arn = |queue: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}");
    call(front, Service::Sqs, "CreateQueue", json!({"QueueName": "lockkeeper-dead"}));
    let redrive = json!({"deadLetterTargetArn": arn("lockkeeper-dead"), "maxReceiveCount": 100}).to_string();
    let queue = json!({"QueueName": "lockkeeper", "Attributes": {"RedrivePolicy": redrive}});
    let url = call(front, Service::Sqs, "CreateQueue", queue)["QueueUrl"].as_str().unwrap().to_owned();
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/api:v1");
    let definition = json!({"family": "shop-api", "containerDefinitions": [{"name": "api", "image": image}]});
    call(front, Service::Ecs, "CreateCluster", json!({"clusterName": "shop"}));
    call(front, Service::Ecs, "RegisterTaskDefinition", definition);
    let service = json!({"cluster": "shop", "serviceName": "shop-api", "taskDefinition": "shop-api", "desiredCount": 1});
    call(front, Service::Ecs, "CreateService", service);
    let pattern = json!({"source": ["aws.ecr"]}).to_string();
    call(front, Service::Events, "PutRule", json!({"Name": "pushes", "EventPattern": pattern}));
    let targets = json!({"Rule": "pushes", "Targets": [{"Id": "queue", "Arn": arn("lockkeeper")}]});
    call(front, Service::Events, "PutTargets", targets);
    url
}
