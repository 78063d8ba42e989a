//! A world with one service, and the loop that deploys it, through the real SDK over HTTP.

use std::{sync::Arc, time::Duration};

use lockkeeper::{
    aws::{Connections, Unobserved, ecs::Ecs},
    domain::{AccountId, DeploymentRecord, Moment, Report},
    engine::{self, Engine, EngineClock, LiveRoutes, Opened, People, Publisher, RECEIVE_WAIT},
    plan::PlanSettings,
    report::trace::Tracer,
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

use crate::PATIENCE;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

const SETTINGS: &str = "[[target]]\nname = 'api'\ncluster = 'shop'\nservice = 'shop-api'\nquiet = '100ms'\n\
                        repositories = ['shop/api']\non_push = 'pin'\n";

pub(crate) struct Lab {
    front: Front,
    stop: CancellationToken,
    daemon: JoinHandle<()>,
    reports: mpsc::UnboundedReceiver<Report>,
}

impl Lab {
    /// Deploys in a world at this speed, and tells this.
    pub(crate) async fn open(tracer: Tracer, speed: f64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let settings = WorldSettings {
            allow_aws_sources: true,
            throttle: false,
            queue_base: endpoint.clone(),
            ecs: EcsDials { speed, ..EcsDials::default() },
            ..WorldSettings::default()
        };
        let callers = FrontSettings { account: ACCOUNT.into(), region: REGION.into() };
        let front = Front::new(World::new(1, settings), callers);
        tokio::spawn(front.serve(listener));
        let queue = furnish(&front);
        until_stable(&front).await;
        let (told, reports) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let engine = engine(&endpoint, &queue, told, tracer, stop.clone()).await;
        Self { front, stop, daemon: tokio::spawn(engine.run()), reports }
    }

    pub(crate) fn push(&self, tag: &str) {
        let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
        self.front.with(|world, now| world.push(now, &scope, "shop/api", &[tag.to_owned()], None));
    }

    pub(crate) async fn finished(&mut self) -> DeploymentRecord {
        loop {
            let report = timeout(PATIENCE, self.reports.recv()).await.expect("it ends").expect("it lives");
            if let Report::Finished(record) = report {
                return *record;
            }
        }
    }

    pub(crate) async fn close(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.daemon).await.expect("the daemon ends").expect("well");
    }
}

async fn engine(
    endpoint: &str,
    queue: &str,
    told: mpsc::UnboundedSender<Report>,
    tracer: Tracer,
    stop: CancellationToken,
) -> Engine {
    let home = AccountId::from(ACCOUNT);
    let connections = Connections::simulated(endpoint, &home, REGION.into(), Arc::new(Unobserved)).await;
    let Opened { queue, dead_letters, letter_room, account, user, .. } =
        engine::open(&connections, queue, None).await.expect("the queue is there");
    let clock = EngineClock::start();
    let snapshots = watch::channel(Arc::new(Snapshot::empty(Moment::default()))).0;
    let publisher = Publisher::new(Arc::new(Metrics::new("test", "test")), snapshots);
    let environment = [("LOCKKEEPER_CONFIG_TOML".to_owned(), SETTINGS.to_owned())];
    let sources = Sources { environment: environment.into(), ..Sources::default() };
    let targets = settings::load(&sources).expect("valid").targets;
    Engine {
        queue,
        dead_letters,
        letter_room,
        ecs: Arc::new(Ecs::new(connections, account.clone())),
        routes: Routes::new(account.clone(), REGION.into(), targets, None),
        discovery: None,
        reconcile: None,
        accounts: vec![account],
        people: People { own: user, from_outside: false },
        pollers: 2,
        visibility: Duration::from_secs(30),
        renew_after: PlanSettings::RENEW_AFTER,
        start_delay: Duration::ZERO,
        lease: None,
        health: Arc::new(Health::new(clock.moment(), Duration::ZERO, RECEIVE_WAIT)),
        clock,
        live: LiveRoutes::default(),
        publisher: publisher.with_listener(told).with_tracer(Some(tracer)),
        stop,
    }
}

fn call(front: &Front, service: Service, operation: &str, body: Value) -> Value {
    let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
    let call = Call { service, operation: operation.into(), scope, body };
    match front.with(|world, now| world.call(now, &call)) {
        Reply::Ok(answer) => answer,
        other => panic!("{operation}: {other:?}"),
    }
}

/// Builds the queues, a rule, and a service with a circuit breaker; says the queue's URL.
fn furnish(front: &Front) -> String {
    let arn = |queue: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}");
    call(front, Service::Sqs, "CreateQueue", json!({"QueueName": "lockkeeper-dead"}));
    let redrive = json!({"deadLetterTargetArn": arn("lockkeeper-dead"), "maxReceiveCount": 100}).to_string();
    let queue = json!({"QueueName": "lockkeeper", "Attributes": {"RedrivePolicy": redrive}});
    let url = call(front, Service::Sqs, "CreateQueue", queue)["QueueUrl"].as_str().expect("a URL").to_owned();
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/api:v1");
    let definition = json!({"family": "shop-api", "containerDefinitions": [{"name": "api", "image": image}]});
    call(front, Service::Ecs, "CreateCluster", json!({"clusterName": "shop"}));
    call(front, Service::Ecs, "RegisterTaskDefinition", definition);
    // One task at a time, so that going back has to start one.
    let breaker = json!({
        "deploymentCircuitBreaker": {"enable": true, "rollback": true},
        "minimumHealthyPercent": 0, "maximumPercent": 100,
    });
    let service = json!({
        "cluster": "shop", "serviceName": "shop-api", "taskDefinition": "shop-api", "desiredCount": 1,
        "deploymentConfiguration": breaker,
    });
    call(front, Service::Ecs, "CreateService", service);
    let pattern = json!({"source": ["aws.ecr", "aws.ecs"]}).to_string();
    call(front, Service::Events, "PutRule", json!({"Name": "pushes", "EventPattern": pattern}));
    let targets = json!({"Rule": "pushes", "Targets": [{"Id": "queue", "Arn": arn("lockkeeper")}]});
    call(front, Service::Events, "PutTargets", targets);
    url
}

async fn until_stable(front: &Front) {
    let is_stable = || {
        let services = json!({"cluster": "shop", "services": ["shop-api"]});
        let answer = call(front, Service::Ecs, "DescribeServices", services);
        answer["services"][0]["deployments"][0]["rolloutState"] == "COMPLETED"
    };
    let wait = async {
        while !is_stable() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the service is stable");
}
