//! An estate in the simulated world whose events can be lost, and a daemon that reconciles it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lockkeeper::{
    aws::{Connections, Unobserved, ecs::Ecs, sources::Sources},
    domain::{
        AccountId, AccountRule, BudgetShare, DiscoveryRules, Glob, Moment, Place, ReconcileMode, Selector,
        TargetSettings, Timestamp,
    },
    engine::{
        self, Discovery, Engine, EngineClock, LiveRoutes, Opened, People, Publisher, RECEIVE_WAIT, Reconcile,
    },
    plan::PlanSettings,
    route::Routes,
    sim::{
        Call, EcsDials, Reply, Scope, Service, World, WorldSettings,
        front::{Front, FrontSettings},
    },
    status::{Health, Metrics, Snapshot},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::wire::Wire;

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "eu-west-1";

/// Those that follow a tag, two of each repository, and those that pin what is pushed.
const FOLLOWING: usize = 8;
const PINNED: usize = 2;

pub(super) fn scope() -> Scope {
    Scope { account: ACCOUNT.into(), region: REGION.into() }
}

/// What every service should have seen, by the storm's own book.
#[derive(Default)]
pub(super) struct Book {
    /// The tag and digest that was pushed last to each repository.
    images: BTreeMap<String, (String, String)>,
    /// When something that it reads was last changed, by service.
    changed: BTreeMap<String, Timestamp>,
}

pub(super) struct Estate {
    pub(super) front: Front,
    queue: String,
    book: Book,
    /// The ARNs of the secrets, by service.
    secrets: BTreeMap<String, String>,
    pub(super) random: fastrand::Rng,
}

impl Estate {
    pub(super) async fn new(seed: u64) -> Self {
        let dials = EcsDials { start_ms: 8_000, settle_ms: 2_000, drain_ms: 2_000, ..EcsDials::default() };
        let world = WorldSettings {
            queue_base: "http://world".into(),
            log_limit: 500_000,
            throttle: true,
            ecs: dials,
            ..WorldSettings::default()
        };
        let callers = FrontSettings { account: ACCOUNT.into(), region: REGION.into() };
        let front = Front::new(World::new(seed, world), callers);
        tokio::spawn(front.clone().tick());
        let random = fastrand::Rng::with_seed(seed);
        let (book, secrets) = (Book::default(), BTreeMap::new());
        let mut estate = Self { front, queue: String::new(), book, secrets, random };
        estate.furnish_queue();
        estate.call(Service::Ecs, "CreateCluster", json!({"clusterName": "shop"}));
        estate.call(Service::S3, "CreateBucket", json!({"Bucket": "env"}));
        let tells = json!({"Bucket": "env", "EventBridgeConfiguration": {}});
        estate.call(Service::S3, "PutBucketNotificationConfiguration", tells);
        for service in services() {
            estate.furnish(&service);
            sleep(Duration::from_secs(3)).await;
        }
        sleep(Duration::from_mins(1)).await;
        estate
    }

    pub(super) fn furnish_queue(&mut self) {
        self.call(Service::Sqs, "CreateQueue", json!({"QueueName": "dead"}));
        let dead = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:dead");
        let redrive = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 1_000}).to_string();
        let queue = json!({"QueueName": "events", "Attributes": {"RedrivePolicy": redrive}});
        let made = self.call(Service::Sqs, "CreateQueue", queue);
        made["QueueUrl"].as_str().unwrap().clone_into(&mut self.queue);
        let sources = ["aws.ecr", "aws.ssm", "aws.secretsmanager", "aws.s3", "aws.ecs"];
        let pattern = json!({"source": sources}).to_string();
        self.call(Service::Events, "PutRule", json!({"Name": "all", "EventPattern": pattern}));
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:events");
        self.call(
            Service::Events,
            "PutTargets",
            json!({"Rule": "all", "Targets": [{"Id": "q", "Arn": arn}]}),
        );
    }

    pub(super) fn furnish(&mut self, service: &str) {
        let repository = repository(service);
        if !self.book.images.contains_key(&repository) {
            self.push(&repository, "latest");
        }
        let name = format!("shop/{service}");
        let made =
            self.call(Service::SecretsManager, "CreateSecret", json!({"Name": name, "SecretString": "0"}));
        let arn = made["ARN"].as_str().unwrap().to_owned();
        for parameter in [own_parameter(service), "/shop/COMMON".into()] {
            self.write_parameter(&parameter);
        }
        self.write_file(service);
        let containers = json!([{
            "name": "web", "image": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:latest"),
            "secrets": [
                {"name": "KEY", "valueFrom": own_parameter(service)},
                {"name": "COMMON", "valueFrom": format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/COMMON")},
                {"name": "SECRET", "valueFrom": format!("{arn}:password::")},
            ],
            "environmentFiles": [{"type": "s3", "value": format!("arn:aws:s3:::env/{service}.env")}],
        }]);
        let body = json!({"family": service, "containerDefinitions": containers});
        self.call(Service::Ecs, "RegisterTaskDefinition", body);
        let on_push = if is_pinned(service) { "pin" } else { "follow" };
        let body = json!({
            "cluster": "shop", "serviceName": service, "taskDefinition": service, "desiredCount": 1,
            "tags": [{"key": "lockkeeper:on_push", "value": on_push}],
        });
        self.call(Service::Ecs, "CreateService", body);
        self.secrets.insert(service.into(), arn);
    }

    pub(super) fn call(&self, service: Service, operation: &str, body: Value) -> Value {
        self.call_in(ACCOUNT, service, operation, body)
    }

    pub(super) fn call_in(&self, account: &str, service: Service, operation: &str, body: Value) -> Value {
        let scope = Scope { account: account.into(), region: REGION.into() };
        let call = Call { service, operation: operation.into(), scope, body };
        match self.front.with(|world, now| world.call(now, &call)) {
            Reply::Ok(answer) => answer,
            other => panic!("{operation}: {other:?}"),
        }
    }

    pub(super) fn push(&mut self, repository: &str, tag: &str) {
        let tags = [tag.to_owned()];
        let digest = self.front.with(|world, now| world.push(now, &scope(), repository, &tags, None));
        self.book.images.insert(repository.into(), (tag.into(), digest));
    }

    /// One image by several tags, of which the first is followed.
    pub(super) fn push_as(&mut self, repository: &str, tags: [&str; 2]) {
        let named = tags.map(str::to_owned);
        let digest = self.front.with(|world, now| world.push(now, &scope(), repository, &named, None));
        self.book.images.insert(repository.into(), (tags[0].into(), digest));
    }

    pub(super) fn write_parameter(&self, name: &str) {
        let body = json!({"Name": name, "Value": "x", "Type": "String", "Overwrite": true});
        self.call(Service::Ssm, "PutParameter", body);
    }

    pub(super) fn write_file(&self, service: &str) {
        let body = json!({"Bucket": "env", "Key": format!("{service}.env"), "Body": "A=1"});
        self.call(Service::S3, "PutObject", body);
    }

    /// A message on the queue.
    pub(super) fn send(&self, body: &str) {
        self.call(Service::Sqs, "SendMessage", json!({"QueueUrl": self.queue, "MessageBody": body}));
    }

    /// Every message is lost.
    pub(super) fn purge(&self) {
        self.call(Service::Sqs, "PurgeQueue", json!({"QueueUrl": self.queue}));
    }

    /// The digest that a service runs.
    pub(super) fn digest(&self, service: &str) -> String {
        let described =
            self.call(Service::Ecs, "DescribeServices", json!({"cluster": "shop", "services": [service]}));
        let revision = described["services"][0]["currentServiceRevisions"][0]["arn"].clone();
        let found =
            self.call(Service::Ecs, "DescribeServiceRevisions", json!({"serviceRevisionArns": [revision]}));
        let image = &found["serviceRevisions"][0]["containerImages"][0];
        image["imageDigest"].as_str().unwrap().to_owned()
    }

    /// Another revision of its definition, by hand, with this image.
    pub(super) fn definition_of(&self, service: &str, image: &str) -> String {
        let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{image}");
        let body = json!({"family": service, "containerDefinitions": [{"name": "web", "image": image}]});
        let made = self.call(Service::Ecs, "RegisterTaskDefinition", body);
        let arn = made["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned();
        arn.rsplit('/').next().unwrap().to_owned()
    }

    /// One change of something, at random.
    pub(super) fn change(&mut self, number: usize) {
        let services = services();
        let service = services[self.random.usize(..services.len())].clone();
        let now = self.front.now();
        match self.random.u8(..10) {
            0..4 if is_pinned(&service) => return self.push(&repository(&service), &format!("v{number}")),
            0..4 => return self.push(&repository(&service), "latest"),
            4..6 => self.write_parameter(&own_parameter(&service)),
            6 => {
                self.write_parameter("/shop/COMMON");
                return self.book.changed.extend(services.into_iter().map(|service| (service, now)));
            }
            7 => {
                let body = json!({"SecretId": self.secrets[&service], "SecretString": number.to_string()});
                self.call(Service::SecretsManager, "PutSecretValue", body);
            }
            _ => self.write_file(&service),
        }
        self.book.changed.insert(service, now);
    }

    /// One change of every kind, of none of which anybody is told.
    pub(super) fn change_unheard(&mut self) {
        self.lose(1.0);
        self.push("shop/app-0", "latest");
        self.push("shop/pinned-0", "unheard");
        let now = self.front.now();
        self.write_parameter(&own_parameter("follower-2"));
        let body = json!({"SecretId": self.secrets["follower-4"], "SecretString": "unheard"});
        self.call(Service::SecretsManager, "PutSecretValue", body);
        self.write_file("follower-6");
        for service in ["follower-2", "follower-4", "follower-6"] {
            self.book.changed.insert(service.into(), now);
        }
    }

    /// What each service has not seen, in words.
    pub(super) fn stale(&self) -> Vec<String> {
        services().iter().flat_map(|service| self.stale_in(service)).collect()
    }

    pub(super) fn stale_in(&self, service: &str) -> Vec<String> {
        let described =
            self.call(Service::Ecs, "DescribeServices", json!({"cluster": "shop", "services": [service]}));
        let described = &described["services"][0];
        let primary = &described["deployments"][0];
        let created = Timestamp::from_seconds(primary["createdAt"].as_f64().unwrap());
        let mut stale = Vec::new();
        if primary["rolloutState"] != "COMPLETED" {
            stale.push(format!("{service} is not at rest"));
        }
        if let Some(changed) = self.book.changed.get(service).filter(|changed| **changed > created) {
            stale.push(format!("{service} was rolled out at {created}, before the change at {changed}"));
        }
        let revisions = json!({"serviceRevisionArns": [described["currentServiceRevisions"][0]["arn"]]});
        let revision = self.call(Service::Ecs, "DescribeServiceRevisions", revisions);
        let runs = &revision["serviceRevisions"][0]["containerImages"][0];
        let (tag, digest) = &self.book.images[&repository(service)];
        if runs["imageDigest"] != json!(digest) {
            stale.push(format!("{service} runs {runs}, not {tag}, {digest}"));
        }
        stale
    }

    pub(super) fn lost(&self) -> u64 {
        let now = self.front.now();
        self.front.with(|world, _| world.state(now)["lost_events"].as_u64().unwrap())
    }

    pub(super) fn lose(&self, share: f64) {
        self.front.with(|world, _| {
            let settings =
                WorldSettings { lost_events: share, lost_s3_events: share, ..world.settings().clone() };
            world.set_settings(settings);
        });
    }
}

pub(super) fn services() -> Vec<String> {
    let following = (0..FOLLOWING).map(|number| format!("follower-{number}"));
    following.chain((0..PINNED).map(|number| format!("pinned-{number}"))).collect()
}

pub(super) fn is_pinned(service: &str) -> bool {
    service.starts_with("pinned")
}

/// Two followers share one; who pins has one alone.
pub(super) fn repository(service: &str) -> String {
    let number: usize = service.rsplit('-').next().unwrap().parse().unwrap();
    if is_pinned(service) { format!("shop/{service}") } else { format!("shop/app-{}", number / 2) }
}

pub(super) fn own_parameter(service: &str) -> String {
    format!("/shop/{service}/KEY")
}

pub(super) struct Daemon {
    stop: CancellationToken,
    running: JoinHandle<()>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    clock: EngineClock,
}

impl Daemon {
    pub(super) async fn begin(estate: &Estate, mode: ReconcileMode) -> Self {
        Self::begin_in(estate, mode, &[]).await
    }

    /// With these accounts beside our own.
    pub(super) async fn begin_in(estate: &Estate, mode: ReconcileMode, others: &[AccountRule]) -> Self {
        let account = AccountId::from(ACCOUNT);
        let way = Connections::simulated("http://world", &account, REGION.into(), Arc::new(Unobserved)).await;
        let way = way.over(Wire::to(&estate.front));
        let Opened { queue, dead_letters, letter_room, account, user, .. } =
            engine::open(&way, &estate.queue, None).await.unwrap();
        let (clock, stop) = (EngineClock::start(), CancellationToken::new());
        let (published, snapshots) = watch::channel(Arc::new(Snapshot::empty(Moment::default())));
        let health = Arc::new(Health::new(clock.moment(), Duration::ZERO, RECEIVE_WAIT));
        let metrics = Arc::new(Metrics::new("test", "test"));
        let every = || vec![Selector::Name(Glob::new("*"))];
        let refresh = Duration::from_mins(15);
        let rules = DiscoveryRules { clusters: every(), services: every(), exclude: vec![], refresh };
        let accounts: Vec<AccountId> =
            others.iter().map(|it| it.account.clone()).chain([account.clone()]).collect();
        let place = |account: &AccountId| Place { account: account.clone(), region: REGION.into() };
        let defaults = Arc::new(TargetSettings::named("".into()));
        let sources = Sources::new(way.clone(), account.clone()).with_accounts(&way, others).await;
        let ecs = Ecs::new(way.clone(), account.clone()).with_share(BudgetShare::HALF);
        let ecs = ecs.with_accounts(&way, others).await;
        let engine = Engine {
            queue,
            dead_letters,
            letter_room,
            ecs: Arc::new(ecs),
            routes: Routes::new(account, REGION.into(), Vec::new(), None),
            discovery: Some(Discovery { rules, places: accounts.iter().map(place).collect(), defaults }),
            reconcile: Some(Reconcile {
                mode,
                every: Duration::from_mins(5),
                rule: Glob::new("lockkeeper*"),
                sources: Arc::new(sources),
            }),
            accounts,
            people: People { own: user, from_outside: false },
            pollers: 2,
            visibility: Duration::from_mins(2),
            renew_after: PlanSettings::RENEW_AFTER,
            start_delay: Duration::ZERO,
            lease: None,
            health: Arc::clone(&health),
            clock: clock.clone(),
            live: LiveRoutes::default(),
            publisher: Publisher::new(Arc::clone(&metrics), published),
            stop: stop.clone(),
        };
        let running = tokio::spawn(engine.run());
        Self { stop, running, metrics, health, snapshots, clock }
    }

    /// The rollouts that failed while nobody watched, by the last pass.
    pub(super) fn unwatched(&self) -> Vec<String> {
        let snapshot = self.snapshots.borrow();
        let told = snapshot.reconciled.iter().flat_map(|record| &record.unwatched).map(|it| {
            let whose = it.deployment.as_ref().map_or("somebody", |id| id.as_str());
            let how = if it.rolled_back { "was rolled back" } else { "failed" };
            format!("{}: {whose} {how}", it.name)
        });
        told.collect()
    }

    /// The sum of a metric of whole numbers over all its series.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let report = self.health.assess(self.clock.moment());
        let text = self.metrics.render(&self.snapshots.borrow(), &report, self.clock.wall());
        let of_it = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        of_it.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}
