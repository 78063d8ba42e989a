//! Services that nobody named: the whole daemon finds them in the simulated world, which throttles as ECS does, and keeps
//! knowing them. In virtual time, by the real SDK.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use lockkeeper::{
    aws::{Connections, Unobserved, ecs::Ecs},
    domain::{
        AccountId, AccountRule, BudgetShare, DiscoveryRules, Glob, Moment, Outcome, Place, Report, Selector,
        TargetSettings,
    },
    engine::{self, Discovery, Engine, EngineClock, Opened, Publisher, RECEIVE_WAIT},
    plan::PlanSettings,
    route::Routes,
    sim::{
        Call, EcsDials, Fault, FaultKind, Reply, Role, Scope, Service, World, WorldSettings,
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
const OTHER: &str = "444455556666";
const REGION: &str = "eu-west-1";

/// Longer than anything here takes, in virtual time.
const PATIENCE: Duration = Duration::from_hours(2);

fn place(account: &str) -> Place {
    Place { account: account.into(), region: REGION.into() }
}

fn scope(account: &str) -> Scope {
    Scope { account: account.into(), region: REGION.into() }
}

fn name(number: usize) -> String {
    format!("s{number:04}")
}

/// A world, and what is done in it.
struct Estate {
    front: Front,
    queue: String,
}

impl Estate {
    fn new() -> Self {
        let dials = EcsDials { start_ms: 10_000, settle_ms: 1_000, drain_ms: 1_000, ..EcsDials::default() };
        let world = WorldSettings {
            queue_base: "http://world".into(),
            throttle: false,
            log_limit: 200_000,
            ecs: dials,
            ..WorldSettings::default()
        };
        let callers = FrontSettings { account: ACCOUNT.into(), region: REGION.into() };
        let front = Front::new(World::new(1, world), callers);
        tokio::spawn(front.clone().tick());
        let mut estate = Self { front, queue: String::new() };
        let dead = json!({"QueueName": "dead"});
        estate.call(ACCOUNT, Service::Sqs, "CreateQueue", dead);
        let redrive = json!({"deadLetterTargetArn": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:dead"), "maxReceiveCount": 100});
        let queue = json!({"QueueName": "events", "Attributes": {"RedrivePolicy": redrive.to_string()}});
        let made = estate.call(ACCOUNT, Service::Sqs, "CreateQueue", queue);
        made["QueueUrl"].as_str().unwrap().clone_into(&mut estate.queue);
        for account in [ACCOUNT, OTHER] {
            estate.ecs(account, "CreateCluster", json!({"clusterName": "shop"}));
        }
        estate
    }

    fn call(&self, account: &str, service: Service, operation: &str, body: Value) -> Value {
        let call = Call { service, operation: operation.into(), scope: scope(account), body };
        match self.front.with(|world, now| world.call(now, &call)) {
            Reply::Ok(answer) => answer,
            other => panic!("{operation}: {other:?}"),
        }
    }

    fn ecs(&self, account: &str, operation: &str, body: Value) -> Value {
        self.call(account, Service::Ecs, operation, body)
    }

    /// A definition that reads this parameter.
    fn definition(&self, account: &str, family: &str, parameter: &str) {
        let image = format!("{account}.dkr.ecr.{REGION}.amazonaws.com/shop/{family}:v1");
        let secrets = json!([{"name": "SECRET", "valueFrom": parameter}]);
        let containers = json!([{"name": "web", "image": image, "secrets": secrets}]);
        let body = json!({"family": family, "containerDefinitions": containers});
        self.ecs(account, "RegisterTaskDefinition", body);
    }

    /// A service with a definition of its own, that reads the parameter of its name.
    fn service(&self, account: &str, name: &str, tasks: u32) {
        self.definition(account, name, &format!("/shop/{name}"));
        let body =
            json!({"cluster": "shop", "serviceName": name, "taskDefinition": name, "desiredCount": tasks});
        self.ecs(account, "CreateService", body);
    }

    /// From now on ECS throttles.
    fn throttle(&self) {
        self.front.with(|world, _| {
            let settings = WorldSettings { throttle: true, ..world.settings().clone() };
            world.set_settings(settings);
        });
    }

    fn event(&self, account: &str, source: &str, kind: &str, resources: Value, detail: Value) {
        let id = format!("e-{}", fastrand::u64(..));
        let event = json!({
            "version": "0", "id": id, "source": source, "detail-type": kind, "account": account, "region": REGION,
            "time": self.front.now().to_string(), "resources": resources, "detail": detail,
        });
        let body = json!({"QueueUrl": self.queue, "MessageBody": event.to_string()});
        self.call(ACCOUNT, Service::Sqs, "SendMessage", body);
    }

    fn parameter_changed(&self, account: &str, parameter: &str) {
        let detail = json!({"operation": "Update", "name": parameter, "type": "SecureString"});
        self.event(account, "aws.ssm", "Parameter Store Change", json!([]), detail);
    }

    /// ECS tells that a deployment of this service began.
    fn rollout_began(&self, account: &str, service: &str) {
        let arn = format!("arn:aws:ecs:{REGION}:{account}:service/shop/{service}");
        let detail = json!({
            "eventType": "INFO", "eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS", "deploymentId": "ecs-svc/1",
            "updatedAt": self.front.now().to_string(), "reason": "in progress.",
        });
        self.event(account, "aws.ecs", "ECS Deployment State Change", json!([arn]), detail);
    }

    /// The calls so far: of whom, what, and how each was answered.
    fn calls(&self) -> Vec<(String, String, String)> {
        self.front.with(|world, _| {
            let calls = world.calls_after(0);
            calls.map(|it| (it.account.clone(), it.operation.clone(), it.result.to_string())).collect()
        })
    }

    fn letters(&self) -> Vec<String> {
        let queue = json!({"QueueUrl": self.queue.replace("events", "dead"), "MaxNumberOfMessages": 10,
                           "MessageAttributeNames": ["All"], "VisibilityTimeout": 0});
        let received = self.call(ACCOUNT, Service::Sqs, "ReceiveMessage", queue);
        received["Messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| it["MessageAttributes"].to_string())
            .collect()
    }
}

/// The daemon.
struct Daemon {
    stop: CancellationToken,
    running: JoinHandle<()>,
    reports: mpsc::UnboundedReceiver<Report>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    clock: EngineClock,
    began: Instant,
}

fn rules(refresh: Duration) -> DiscoveryRules {
    let every = || vec![Selector::Name(Glob::new("*"))];
    let exclude = vec![Selector::Tag { key: "lockkeeper".into(), value: Glob::new("off") }];
    DiscoveryRules { clusters: every(), services: every(), exclude, refresh }
}

impl Daemon {
    async fn begin(estate: &Estate, rules: DiscoveryRules, others: &[AccountRule]) -> Self {
        let account = AccountId::from(ACCOUNT);
        let way = Connections::simulated("http://world", &account, REGION.into(), Arc::new(Unobserved)).await;
        let way = way.over(Wire::to(&estate.front));
        let Opened { queue, dead_letters, letter_room, account, .. } =
            engine::open(&way, &estate.queue, None).await.unwrap();
        let ecs = Ecs::new(way.clone(), account.clone()).with_share(BudgetShare::HALF);
        let ecs = ecs.with_accounts(&way, others).await;
        let (clock, stop) = (EngineClock::start(), CancellationToken::new());
        let (listener, reports) = mpsc::unbounded_channel();
        let (published, snapshots) = watch::channel(Arc::new(Snapshot::empty(Moment::default())));
        let health = Arc::new(Health::new(clock.moment(), Duration::ZERO, RECEIVE_WAIT));
        let metrics = Arc::new(Metrics::new("test", "test"));
        let accounts: Vec<AccountId> =
            others.iter().map(|it| it.account.clone()).chain([account.clone()]).collect();
        let defaults = TargetSettings { quiet: Duration::ZERO, ..TargetSettings::named("".into()) };
        let discovery = Discovery {
            rules,
            places: accounts.iter().map(|it| place(it.as_str())).collect(),
            defaults: Arc::new(defaults),
        };
        let engine = Engine {
            queue,
            dead_letters,
            letter_room,
            ecs: Arc::new(ecs),
            routes: Routes::new(account, REGION.into(), Vec::new(), None),
            discovery: Some(discovery),
            reconcile: None,
            accounts,
            pollers: 2,
            visibility: Duration::from_mins(2),
            renew_after: PlanSettings::RENEW_AFTER,
            start_delay: Duration::ZERO,
            lease: None,
            health: Arc::clone(&health),
            clock: clock.clone(),
            publisher: Publisher::new(Arc::clone(&metrics), published).with_listener(listener),
            stop: stop.clone(),
        };
        let running = tokio::spawn(engine.run());
        let began = Instant::now();
        Self { stop, running, reports, snapshots, health, metrics, clock, began }
    }

    /// The names of the targets that it shows.
    fn targets(&self) -> Vec<String> {
        self.snapshots.borrow().targets.iter().map(|it| it.id.to_string()).collect()
    }

    fn knows(&self, account: &str, service: &str) -> bool {
        self.targets().contains(&format!("{account}/{REGION}/shop/{service}"))
    }

    /// What health says of this part.
    fn part(&self, wanted: &str) -> String {
        let report = self.health.assess(self.clock.moment());
        let Some((_, part)) = report.parts().find(|(name, _)| *name == wanted) else { return String::new() };
        format!("{}: {}", if part.is_ok() { "ok" } else { "failing" }, part.detail)
    }

    fn is_ready(&self) -> bool {
        self.health.assess(self.clock.moment()).is_ready()
    }

    /// Waits until this is so, and says for how long that took since the start.
    async fn until(&self, is_so: impl Fn(&Self) -> bool) -> Duration {
        let wait = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it comes true");
        self.began.elapsed()
    }

    async fn until_read(&self) -> Duration {
        self.until(|it| {
            it.part("inventory").contains("services read") && it.part("intake") == "ok: messages are received"
        })
        .await
    }

    /// The next deployment that ends: of which service, and how.
    async fn finished(&mut self) -> (String, Outcome) {
        loop {
            let report = timeout(PATIENCE, self.reports.recv()).await.expect("it goes on").unwrap();
            if let Report::Finished(it) = report {
                return (it.target.to_string(), it.outcome.unwrap());
            }
        }
    }

    fn metric(&self, line: &str) -> Option<String> {
        let report = self.health.assess(self.clock.moment());
        let text = self.metrics.render(&self.snapshots.borrow(), &report, self.clock.wall());
        text.lines().find_map(|it| Some(it.strip_prefix(line)?.trim().to_owned()))
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn five_thousand_services_are_read_at_the_pace_of_the_budget_before_anything_is_received() {
    const SERVICES: usize = 5_000;
    let estate = Estate::new();
    for number in 0..SERVICES {
        estate.service(ACCOUNT, &name(number), 0);
    }
    // One of which something is asked, before anybody knows it.
    estate.service(ACCOUNT, "asked", 1);
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let furnished = estate.calls().len();
    estate.parameter_changed(ACCOUNT, "/shop/asked");

    let mut daemon = Daemon::begin(&estate, rules(Duration::from_mins(15)), &[]).await;
    let third = daemon.until(|it| it.targets().len() > SERVICES / 3).await;
    assert!(daemon.is_ready(), "it is at work, and a load balancer is to leave it alone");
    assert_eq!(daemon.part("intake"), "ok: nothing is received before the services are read");
    let progress = daemon.part("inventory");
    assert!(progress.starts_with("ok: 1,6") && progress.ends_with(" of 5,001 services read"), "{progress}");

    let took = daemon.until_read().await.as_secs();
    assert_eq!(daemon.part("inventory"), "ok: 5,001 services read");
    assert_eq!(daemon.targets().len(), SERVICES + 1);
    // 5,001 definitions, of which the first 25 at once, at half of ECS's rate.
    assert!((495..=505).contains(&took), "{took} s, a third of it {third:?}");
    let calls = estate.calls();
    let read = &calls[furnished..];
    assert!(read.iter().all(|(_, _, result)| result != "ThrottlingException"));
    let count = |operation: &str| read.iter().filter(|(_, it, _)| it == operation).count();
    let counts = ["ListClusters", "DescribeClusters", "ListServices", "DescribeTaskDefinition"];
    assert_eq!(counts.map(count), [1, 1, 51, SERVICES + 1]);
    // The deployment that was asked for looks at its service a few times.
    assert!((501..=520).contains(&count("DescribeServices")), "{}", count("DescribeServices"));
    assert_eq!(
        daemon.metric("lockkeeper_inventory_targets{account=\"111122223333\",region=\"eu-west-1\"}").unwrap(),
        "5001"
    );
    // What was asked for meanwhile found its target.
    assert_eq!(daemon.finished().await, (format!("{ACCOUNT}/{REGION}/shop/asked"), Outcome::Succeeded));

    // Everything is read anew, slowly, and no definition a second time.
    let read = estate.calls().len();
    tokio::time::sleep(Duration::from_mins(15)).await;
    let calls = estate.calls();
    let count = |operation: &str| calls[read..].iter().filter(|(_, it, _)| it == operation).count();
    assert!(count("DescribeServices") >= 500, "{}", count("DescribeServices"));
    assert_eq!(count("DescribeTaskDefinition"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_service_and_a_changed_definition_are_known_within_a_minute_of_their_first_event() {
    let estate = Estate::new();
    estate.service(ACCOUNT, "api", 1);
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    assert!(daemon.until_read().await <= Duration::from_secs(5));

    estate.service(ACCOUNT, "new", 1);
    estate.rollout_began(ACCOUNT, "new");
    let told = Instant::now();
    daemon.until(|it| it.knows(ACCOUNT, "new")).await;
    assert!(told.elapsed() <= Duration::from_mins(1), "{:?}", told.elapsed());
    estate.parameter_changed(ACCOUNT, "/shop/new");
    assert_eq!(daemon.finished().await.0, format!("{ACCOUNT}/{REGION}/shop/new"));

    // Somebody deploys a definition that reads something else.
    estate.definition(ACCOUNT, "api", "/shop/other");
    estate.ecs(
        ACCOUNT,
        "UpdateService",
        json!({"cluster": "shop", "service": "api", "taskDefinition": "api"}),
    );
    estate.rollout_began(ACCOUNT, "api");
    tokio::time::sleep(Duration::from_mins(1)).await;
    estate.parameter_changed(ACCOUNT, "/shop/other");
    assert_eq!(daemon.finished().await.0, format!("{ACCOUNT}/{REGION}/shop/api"));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_event_told_is_known_after_the_refresh() {
    let estate = Estate::new();
    for name in ["api", "gone", "tagged"] {
        estate.service(ACCOUNT, name, 0);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let refresh = Duration::from_mins(10);
    let daemon = Daemon::begin(&estate, rules(refresh), &[]).await;
    daemon.until_read().await;
    assert_eq!(daemon.targets().len(), 3);

    estate.service(ACCOUNT, "new", 0);
    estate.ecs(ACCOUNT, "DeleteService", json!({"cluster": "shop", "service": "gone"}));
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/tagged");
    let off = json!([{"key": "lockkeeper", "value": "off"}]);
    estate.ecs(ACCOUNT, "TagResource", json!({"resourceArn": arn, "tags": off}));
    tokio::time::sleep(refresh + Duration::from_secs(10)).await;
    let known: BTreeSet<String> = daemon.targets().into_iter().collect();
    let expected = ["api", "new"].map(|name| format!("{ACCOUNT}/{REGION}/shop/{name}"));
    assert_eq!(known, expected.into());
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_forgets_nothing_and_is_told() {
    let estate = Estate::new();
    for number in 0..30 {
        estate.service(ACCOUNT, &name(number), 0);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    let refresh = Duration::from_mins(10);
    let daemon = Daemon::begin(&estate, rules(refresh), &[]).await;
    daemon.until_read().await;
    for operation in ["ListServices", "DescribeServices"] {
        let fault = Fault::new(Service::Ecs, operation, FaultKind::ServerError, 1_000_000);
        estate.front.with(|world, _| world.add_fault(fault));
        tokio::time::sleep(refresh + Duration::from_mins(2)).await;
        assert_eq!(daemon.targets().len(), 30);
        let told = daemon.part("inventory");
        assert!(told.starts_with("failing: ") && told.contains(operation), "{told}");
        assert!(daemon.is_ready(), "what is known is known");
        estate.front.with(|world, _| world.clear_faults());
        daemon.until(|it| it.part("inventory") == "ok: 30 services read").await;
    }
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_read_for_a_while_is_read_soon_after() {
    let estate = Estate::new();
    for number in 0..30 {
        estate.service(ACCOUNT, &name(number), 0);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    let fault = Fault {
        mentions: Some(name(7)),
        ..Fault::new(Service::Ecs, "DescribeTaskDefinition", FaultKind::ServerError, 15)
    };
    estate.front.with(|world, _| world.add_fault(fault));
    let daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until(|it| it.part("intake") == "ok: messages are received").await;
    assert_eq!(daemon.targets().len(), 29, "the others are not held up");
    let told = daemon.part("inventory");
    assert!(
        told.starts_with("failing: ")
            && told.contains("1 of 30 services, as 111122223333/eu-west-1/shop/s0007"),
        "{told}"
    );
    let known = daemon.until(|it| it.targets().len() == 30).await;
    assert!(known <= Duration::from_mins(3), "{known:?}");
    daemon.end().await;
}

fn other(external_id: Option<&str>) -> AccountRule {
    AccountRule {
        account: OTHER.into(),
        role_arn: format!("arn:aws:iam::{OTHER}:role/lockkeeper").into(),
        external_id: external_id.map(Into::into),
    }
}

#[tokio::test(start_paused = true)]
async fn services_of_another_account_are_found_and_deployed_by_its_role() {
    let estate = Estate::new();
    let role = Role { arn: other(None).role_arn.to_string(), external_id: Some("shop".into()) };
    estate.front.with(|world, _| world.add_role(role));
    for account in [ACCOUNT, OTHER] {
        estate.service(account, "api", 1);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[other(Some("shop"))]).await;
    daemon.until_read().await;
    assert!(daemon.knows(ACCOUNT, "api") && daemon.knows(OTHER, "api"));
    // One name in two accounts: each has a parameter of its own.
    estate.parameter_changed(OTHER, "/shop/api");
    assert_eq!(daemon.finished().await, (format!("{OTHER}/{REGION}/shop/api"), Outcome::Succeeded));
    let updates = |account: &str| {
        estate.calls().iter().filter(|(of, it, _)| of == account && it == "UpdateService").count()
    };
    assert_eq!((updates(ACCOUNT), updates(OTHER)), (0, 1));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_read_holds_up_the_others_for_five_minutes_and_loses_nothing() {
    let estate = Estate::new();
    let role = Role { arn: other(None).role_arn.to_string(), external_id: Some("theirs".into()) };
    estate.front.with(|world, _| world.add_role(role));
    for account in [ACCOUNT, OTHER] {
        estate.service(account, "api", 1);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[other(Some("wrong"))]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let told = daemon.part("inventory");
    assert!(told.starts_with(&format!("failing: {OTHER}/{REGION} cannot be read for ")), "{told}");
    assert_eq!(daemon.part("intake"), "ok: nothing is received before the services are read");
    assert!(daemon.is_ready(), "another process would fare no better");

    let opened = daemon.until(|it| it.part("intake") == "ok: messages are received").await;
    assert!((300..=370).contains(&opened.as_secs()), "{opened:?}");
    // Ours goes on, and what may be theirs is set aside.
    estate.parameter_changed(OTHER, "/shop/api");
    estate.parameter_changed(ACCOUNT, "/nobody/reads/this");
    estate.parameter_changed(ACCOUNT, "/shop/api");
    assert_eq!(daemon.finished().await, (format!("{ACCOUNT}/{REGION}/shop/api"), Outcome::Succeeded));
    let letters = estate.letters();
    let reason = format!("the services of {OTHER}/{REGION} could not be read");
    assert!(letters.len() == 1 && letters[0].contains(&reason), "{letters:?}");

    // The role's trust policy is mended.
    let role = Role { arn: other(None).role_arn.to_string(), external_id: Some("wrong".into()) };
    estate.front.with(|world, _| world.add_role(role));
    daemon.until(|it| it.knows(OTHER, "api") && it.part("inventory").starts_with("ok: ")).await;
    estate.parameter_changed(OTHER, "/shop/api");
    assert_eq!(daemon.finished().await, (format!("{OTHER}/{REGION}/shop/api"), Outcome::Succeeded));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_can_read_nowhere_is_not_ready_and_receives_nothing() {
    let estate = Estate::new();
    let fault = Fault::new(Service::Ecs, "ListClusters", FaultKind::ServerError, 1_000_000);
    estate.front.with(|world, _| world.add_fault(fault));
    estate.parameter_changed(ACCOUNT, "/shop/api");
    let daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert!(!daemon.is_ready());
    assert!(estate.calls().iter().all(|(_, operation, _)| operation != "ReceiveMessage"));
    estate.front.with(|world, _| world.clear_faults());
    daemon.until(|it| it.part("intake") == "ok: messages are received").await;
    assert!(daemon.is_ready());
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn signs_of_a_service_that_is_no_target_cost_one_reading_in_a_while() {
    let estate = Estate::new();
    estate.service(ACCOUNT, "api", 0);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let mut rules = rules(Duration::from_hours(1));
    rules.exclude.push(Selector::Name(Glob::new("old-*")));
    let daemon = Daemon::begin(&estate, rules, &[]).await;
    daemon.until_read().await;
    let before = estate.calls().len();
    for second in 0..60 {
        estate.rollout_began(ACCOUNT, "nobody");
        estate.rollout_began(ACCOUNT, &format!("old-{second}"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let calls = estate.calls();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, operation, _) in &calls[before..] {
        *made.entry(operation).or_default() += 1;
    }
    let described = made.get("DescribeServices").copied().unwrap_or(0);
    assert!((5..=12).contains(&described), "{made:?}");
    daemon.end().await;
}
