//! Many hundred deployments asked for at once: the whole daemon against the simulated world, which throttles as ECS does.
//! Requests go from the real SDK to the world without a network in between, so that all of it happens in virtual time:
//! minutes take seconds.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use lockkeeper::{
    aws::{Connections, Observer, ecs::Ecs},
    domain::{AccountId, BudgetShare, Moment, Outcome, Report, Timestamp},
    engine::{self, Engine, EngineClock, LiveRoutes, Opened, People, Publisher, RECEIVE_WAIT},
    plan::PlanSettings,
    route::Routes,
    settings::{self, Sources},
    sim::{
        Call, Reply, Scope, Service, World, WorldSettings,
        front::{Front, FrontSettings},
    },
    status::{Health, Metrics, Snapshot},
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use wire::Wire;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

/// Longer than any of these floods takes, in virtual time.
const PATIENCE: Duration = Duration::from_hours(2);

/// Counts what the daemon sees of its calls.
#[derive(Debug, Default)]
struct Tally(Mutex<BTreeMap<(&'static str, &'static str), usize>>);

impl Observer for Tally {
    fn called(&self, _: &'static str, operation: &'static str, result: &'static str, _: Duration) {
        *self.0.lock().unwrap().entry((operation, result)).or_default() += 1;
    }

    fn waited(&self, _: &'static str, _: Duration) {}
}

/// A world of so many services, and a daemon that deploys them.
struct Flood {
    front: Front,
    tally: Arc<Tally>,
    stop: CancellationToken,
    daemon: JoinHandle<()>,
    reports: mpsc::UnboundedReceiver<Report>,
    queue: String,
    /// The calls of the world that are not the daemon's come before this.
    furnished: usize,
}

impl Flood {
    async fn of(services: usize, settings: &str) -> Self {
        let dials = lockkeeper::sim::EcsDials {
            start_ms: 20_000,
            settle_ms: 5_000,
            drain_ms: 5_000,
            ..lockkeeper::sim::EcsDials::default()
        };
        let world = WorldSettings {
            queue_base: "http://world".into(),
            allow_aws_sources: true,
            throttle: false,
            log_limit: 200_000,
            ecs: dials,
            ..WorldSettings::default()
        };
        let callers = FrontSettings { account: ACCOUNT.into(), region: REGION.into() };
        let front = Front::new(World::new(1, world), callers);
        tokio::spawn(front.clone().tick());
        let queue = furnish(&front, services);
        tokio::time::sleep(Duration::from_mins(2)).await;
        front.with(|world, _| {
            let settings = WorldSettings { throttle: true, ..world.settings().clone() };
            world.set_settings(settings);
        });
        let furnished = front.with(|world, _| world.calls_after(0).count());
        let (tally, stop) = (Arc::<Tally>::default(), CancellationToken::new());
        let (daemon, reports) = daemon(&front, &queue, settings, Arc::clone(&tally), stop.clone()).await;
        Self { front, tally, stop, daemon, reports, queue, furnished }
    }

    /// Asks for a deployment of every service, in the order of their numbers.
    fn ask(&self, services: usize, detail: impl Fn(usize) -> Value) {
        for number in 0..services {
            let event = json!({
                "version": "0", "id": format!("e-{number}"), "source": "action.deploy", "detail-type": "Deploy",
                "account": ACCOUNT, "region": REGION, "time": self.front.now().to_string(), "resources": [],
                "detail": detail(number),
            });
            let body = json!({"QueueUrl": self.queue, "MessageBody": event.to_string()});
            call(&self.front, Service::Sqs, "SendMessage", body);
        }
    }

    /// Waits until so many deployments have ended, and tells how.
    async fn outcomes(&mut self, count: usize) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while outcomes.len() < count {
            let report = timeout(PATIENCE, self.reports.recv()).await.expect("it goes on").unwrap();
            if let Report::Finished(record) = report {
                outcomes.push(record.outcome.unwrap());
            }
        }
        outcomes
    }

    /// The calls of the daemon: when, what, and how each was answered.
    fn calls(&self) -> Vec<(Timestamp, String, String, Value)> {
        self.front.with(|world, _| {
            let logged = world.calls_after(0).skip(self.furnished);
            logged
                .filter(|it| it.service == Service::Ecs)
                .map(|it| (it.at, it.operation.clone(), it.result.to_string(), it.request.clone()))
                .collect()
        })
    }

    /// When each service was updated, by its number.
    fn starts(&self) -> Vec<(Timestamp, usize)> {
        let calls = self.calls().into_iter().filter(|(_, operation, ..)| operation == "UpdateService");
        calls.map(|(at, _, _, body)| (at, number(body["service"].as_str().unwrap()))).collect()
    }

    fn throttled(&self) -> usize {
        self.calls().iter().filter(|(_, _, result, _)| result == "ThrottlingException").count()
    }

    async fn close(self) -> Duration {
        let began = Instant::now();
        self.stop.cancel();
        self.daemon.await.unwrap();
        began.elapsed()
    }
}

fn name(number: usize) -> String {
    format!("s{number:03}")
}

fn number(name: &str) -> usize {
    name.rsplit('s').next().unwrap().parse().unwrap()
}

async fn daemon(
    front: &Front,
    queue: &str,
    settings: &str,
    tally: Arc<Tally>,
    stop: CancellationToken,
) -> (JoinHandle<()>, mpsc::UnboundedReceiver<Report>) {
    let account = AccountId::from(ACCOUNT);
    let connections = Connections::simulated("http://world", &account, REGION.into(), tally).await;
    let connections = connections.over(Wire::to(front));
    let Opened { queue, dead_letters, letter_room, account, user, .. } =
        engine::open(&connections, queue, None).await.unwrap();
    let clock = EngineClock::start();
    let (listener, reports) = mpsc::unbounded_channel();
    let snapshots = watch::channel(Arc::new(Snapshot::empty(Moment::default()))).0;
    let engine = Engine {
        queue,
        dead_letters,
        letter_room,
        ecs: Arc::new(Ecs::new(connections, account.clone()).with_share(BudgetShare::HALF)),
        routes: Routes::new(account.clone(), REGION.into(), targets(settings), None),
        discovery: None,
        reconcile: None,
        accounts: vec![account],
        people: People { own: user, from_outside: false },
        pollers: 4,
        visibility: Duration::from_mins(2),
        renew_after: PlanSettings::RENEW_AFTER,
        start_delay: Duration::ZERO,
        lease: None,
        health: Arc::new(Health::new(clock.moment(), Duration::ZERO, RECEIVE_WAIT)),
        clock,
        live: LiveRoutes::default(),
        publisher: Publisher::new(Arc::new(Metrics::new("test", "test")), snapshots).with_listener(listener),
        stop,
    };
    (tokio::spawn(engine.run()), reports)
}

fn targets(document: &str) -> Vec<lockkeeper::domain::TargetRule> {
    let environment = [("LOCKKEEPER_CONFIG_TOML".to_owned(), document.to_owned())];
    settings::load(&Sources { environment: environment.into(), ..Sources::default() }).unwrap().targets
}

/// So many targets, each with a family of its own.
fn document(services: usize) -> String {
    let target = |number| {
        let name = name(number);
        format!(
            "[[target]]\nname = \"{name}\"\ncluster = \"shop\"\nservice = \"{name}\"\nrepositories = [\"shop/{name}\"]\n\
             on_push = \"pin\"\n"
        )
    };
    (0..services).map(target).collect()
}

fn call(front: &Front, service: Service, operation: &str, body: Value) -> Value {
    let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
    let call = Call { service, operation: operation.into(), scope, body };
    match front.with(|world, now| world.call(now, &call)) {
        Reply::Ok(answer) => answer,
        other => panic!("{operation}: {other:?}"),
    }
}

/// Queues, and so many services that run; says the URL of the queue.
fn furnish(front: &Front, services: usize) -> String {
    let dead = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:lockkeeper-dead");
    call(front, Service::Sqs, "CreateQueue", json!({"QueueName": "lockkeeper-dead"}));
    let redrive = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 100}).to_string();
    let queue = json!({"QueueName": "lockkeeper", "Attributes": {"RedrivePolicy": redrive}});
    let url = call(front, Service::Sqs, "CreateQueue", queue)["QueueUrl"].as_str().unwrap().to_owned();
    call(front, Service::Ecs, "CreateCluster", json!({"clusterName": "shop"}));
    for number in 0..services {
        let name = name(number);
        let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/{name}:v1");
        let containers = json!([{"name": "web", "image": image}]);
        call(
            front,
            Service::Ecs,
            "RegisterTaskDefinition",
            json!({"family": name, "containerDefinitions": containers}),
        );
        let service =
            json!({"cluster": "shop", "serviceName": name, "taskDefinition": name, "desiredCount": 1});
        call(front, Service::Ecs, "CreateService", service);
    }
    url
}

/// The most calls of one operation within any span of this length.
fn most_within(times: &[Timestamp], span: Duration) -> usize {
    let until = |from: Timestamp| times.iter().filter(move |at| **at >= from && **at < from + span).count();
    times.iter().map(|from| until(*from)).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn five_hundred_restarts_at_once_go_at_the_pace_of_the_budget_in_the_order_of_asking() {
    const SERVICES: usize = 500;
    let mut flood = Flood::of(SERVICES, &document(SERVICES)).await;
    flood.ask(SERVICES, |number| json!({"service": name(number), "refresh": true}));
    let outcomes = flood.outcomes(SERVICES).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Succeeded), "{outcomes:?}");
    assert_eq!(flood.throttled(), 0);

    let starts = flood.starts();
    assert_eq!(starts.iter().map(|(_, number)| *number).collect::<BTreeSet<_>>().len(), SERVICES);
    assert_eq!(starts.len(), SERVICES, "each once");
    let times: Vec<Timestamp> = starts.iter().map(|(at, _)| *at).collect();
    assert!(most_within(&times, Duration::from_secs(10)) <= 25 + 25);
    let took = times[SERVICES - 1].since(times[0]).as_secs();
    // Half of ECS's rate, after half of its burst, takes 190 s.
    assert!((185..=215).contains(&took), "{took} s");
    // Ten receives of ten messages each are under way at a time, and the order within those is SQS's.
    let farthest = starts.iter().enumerate().map(|(place, (_, number))| place.abs_diff(*number)).max();
    assert!(farthest < Some(60), "{farthest:?}");
    // What the world was asked is what was counted, call by call.
    let seen: BTreeMap<String, usize> =
        flood.calls().into_iter().fold(BTreeMap::new(), |mut seen, (_, it, ..)| {
            *seen.entry(it).or_default() += 1;
            seen
        });
    let counted = flood.tally.0.lock().unwrap().clone();
    for (operation, times) in seen {
        let found =
            counted.iter().filter(|((it, _), _)| **it == operation).map(|(_, times)| times).sum::<usize>();
        assert_eq!(found, times, "{operation}");
    }
    flood.close().await;
}

#[tokio::test(start_paused = true)]
async fn revisions_are_registered_at_the_pace_of_the_budget_and_no_start_is_stale() {
    const SERVICES: usize = 40;
    let mut flood = Flood::of(SERVICES, &document(SERVICES)).await;
    let image = |name: &str| format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/{name}:v2");
    let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
    for number in 0..SERVICES {
        let repository = format!("shop/{}", name(number));
        flood.front.with(|world, now| world.push(now, &scope, &repository, &["v2".to_owned()], None));
    }
    flood.ask(SERVICES, |number| json!({"service": name(number), "image": image(&name(number))}));
    let outcomes = flood.outcomes(SERVICES).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Succeeded), "{outcomes:?}");
    assert_eq!((flood.throttled(), flood.starts().len()), (0, SERVICES));
    let calls = flood.calls();
    let of = |operation: &str, service: usize| {
        let key = if operation == "UpdateService" { "service" } else { "family" };
        calls
            .iter()
            .rfind(|(_, it, _, body)| it == operation && body[key] == name(service).as_str())
            .unwrap()
            .0
    };
    let registered: Vec<Timestamp> = (0..SERVICES).map(|it| of("RegisterTaskDefinition", it)).collect();
    let took = registered.iter().max().unwrap().since(*registered.iter().min().unwrap()).as_secs();
    // Ten at once, and one in two seconds then.
    assert!((58..=75).contains(&took), "{took} s");
    for (service, at) in registered.iter().enumerate() {
        assert!(of("UpdateService", service).since(*at) <= Duration::from_secs(3), "service {service}");
    }
    flood.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_who_takes_all_that_ecs_allows_slows_us_and_fails_nothing() {
    const SERVICES: usize = 30;
    let mut flood = Flood::of(SERVICES, &document(SERVICES)).await;
    let front = flood.front.clone();
    let neighbour = tokio::spawn(async move {
        let scope = Scope { account: ACCOUNT.into(), region: REGION.into() };
        let body = json!({"cluster": "shop", "service": "nobody"});
        let call = Call { service: Service::Ecs, operation: "UpdateService".into(), scope, body };
        // For two minutes whatever there is is taken.
        for _ in 0..1_200 {
            front.with(|world, now| {
                while !matches!(world.call(now, &call), Reply::Err(it) if it.code == "ThrottlingException") {}
            });
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    flood.ask(SERVICES, |number| json!({"service": name(number), "refresh": true}));
    let outcomes = flood.outcomes(SERVICES).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Succeeded), "{outcomes:?}");
    neighbour.await.unwrap();
    let refused = flood.tally.0.lock().unwrap().get(&("UpdateService", "throttled")).copied().unwrap_or(0);
    // At its full pace the daemon would have asked 300 times in those two minutes.
    assert!((3..=150).contains(&refused), "{refused}");
    flood.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_waits_for_no_turn_and_starts_nothing_more() {
    const SERVICES: usize = 200;
    let flood = Flood::of(SERVICES, &document(SERVICES)).await;
    flood.ask(SERVICES, |number| json!({"service": name(number), "refresh": true}));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (front, furnished) = (flood.front.clone(), flood.furnished);
    let starts = |front: &Front| {
        front.with(|world, _| {
            world.calls_after(0).skip(furnished).filter(|it| it.operation == "UpdateService").count()
        })
    };
    let before = starts(&front);
    assert!((25..SERVICES).contains(&before), "{before}");
    let took = flood.close().await;
    assert!(took <= RECEIVE_WAIT + Duration::from_secs(1), "{took:?}");
    assert!(starts(&front) <= before + 1);
}
