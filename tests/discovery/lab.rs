//! An estate in the simulated world, and a daemon that discovers it.

use std::{sync::Arc, time::Duration};

use lockkeeper::{
    aws::{Connections, Unobserved, ecs::Ecs},
    domain::{
        AccountId, AccountRule, BudgetShare, DeploymentRecord, DiscoveryRules, Glob, Moment, Outcome, Owner,
        Place, Report, Selector, TargetRecord, TargetRule, TargetSettings,
    },
    engine::{self, Discovery, Engine, EngineClock, LiveRoutes, Opened, People, Publisher, RECEIVE_WAIT},
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

use super::wire::Wire;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OTHER: &str = "444455556666";
pub(crate) const REGION: &str = "eu-west-1";

/// Longer than anything here takes, in virtual time.
pub(crate) const PATIENCE: Duration = Duration::from_hours(2);

pub(crate) fn place(account: &str) -> Place {
    Place { account: account.into(), region: REGION.into() }
}

pub(crate) fn scope(account: &str) -> Scope {
    Scope { account: account.into(), region: REGION.into() }
}

pub(crate) fn name(number: usize) -> String {
    format!("s{number:04}")
}

/// A world, and what is done in it.
pub(crate) struct Estate {
    front: Front,
    queue: String,
}

impl Estate {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn call(&self, account: &str, service: Service, operation: &str, body: Value) -> Value {
        let call = Call { service, operation: operation.into(), scope: scope(account), body };
        match self.front.with(|world, now| world.call(now, &call)) {
            Reply::Ok(answer) => answer,
            other => panic!("{operation}: {other:?}"),
        }
    }

    pub(crate) fn ecs(&self, account: &str, operation: &str, body: Value) -> Value {
        self.call(account, Service::Ecs, operation, body)
    }

    /// A definition that reads this parameter.
    pub(crate) fn definition(&self, account: &str, family: &str, parameter: &str) {
        let image = format!("{account}.dkr.ecr.{REGION}.amazonaws.com/shop/{family}:v1");
        let secrets = json!([{"name": "SECRET", "valueFrom": parameter}]);
        let containers = json!([{"name": "web", "image": image, "secrets": secrets}]);
        let body = json!({"family": family, "containerDefinitions": containers});
        self.ecs(account, "RegisterTaskDefinition", body);
    }

    /// Calls go wrong.
    pub(crate) fn fault(&self, fault: Fault) {
        self.front.with(|world, _| world.add_fault(fault));
    }

    /// So many calls of this operation fail.
    pub(crate) fn fails(&self, operation: &str, count: u64) {
        self.fault(Fault::new(Service::Ecs, operation, FaultKind::ServerError, count));
    }

    /// No call goes wrong any more.
    pub(crate) fn heal(&self) {
        self.front.with(|world, _| world.clear_faults());
    }

    /// The role in the other account may be assumed by who knows this id.
    pub(crate) fn trusts(&self, external_id: &str) {
        let role = Role { arn: other(None).role_arn.to_string(), external_id: Some(external_id.into()) };
        self.front.with(|world, _| world.add_role(role));
    }

    /// A service with a definition of its own, that reads the parameter of its name.
    pub(crate) fn service(&self, account: &str, name: &str, tasks: u32) {
        self.definition(account, name, &format!("/shop/{name}"));
        let body =
            json!({"cluster": "shop", "serviceName": name, "taskDefinition": name, "desiredCount": tasks});
        self.ecs(account, "CreateService", body);
    }

    /// The tags of a service.
    pub(crate) fn tags(&self, account: &str, name: &str) -> Value {
        let wanted = json!({"cluster": "shop", "services": [name], "include": ["TAGS"]});
        self.ecs(account, "DescribeServices", wanted)["services"][0]["tags"].clone()
    }

    /// Somebody tags a service.
    pub(crate) fn tag(&self, account: &str, name: &str, key: &str, value: &str) {
        let arn = format!("arn:aws:ecs:{REGION}:{account}:service/shop/{name}");
        let tags = json!([{"key": key, "value": value}]);
        self.ecs(account, "TagResource", json!({"resourceArn": arn, "tags": tags}));
    }

    /// Somebody takes a tag away.
    pub(crate) fn untag(&self, account: &str, name: &str, key: &str) {
        let arn = format!("arn:aws:ecs:{REGION}:{account}:service/shop/{name}");
        self.ecs(account, "UntagResource", json!({"resourceArn": arn, "tagKeys": [key]}));
    }

    /// Somebody moves a service to the newest revision of this family.
    pub(crate) fn move_to(&self, account: &str, name: &str, family: &str) {
        let body = json!({"cluster": "shop", "service": name, "taskDefinition": family});
        self.ecs(account, "UpdateService", body);
    }

    /// Whether all of ECS's rollouts of this service are over.
    pub(crate) fn is_stable(&self, account: &str, name: &str) -> bool {
        let service =
            self.ecs(account, "DescribeServices", json!({"cluster": "shop", "services": [name]}))["services"]
                [0]
            .take();
        let deployments = service["deployments"].as_array().unwrap();
        deployments.len() == 1 && deployments[0]["rolloutState"] == "COMPLETED"
    }

    /// From now on ECS throttles.
    pub(crate) fn throttle(&self) {
        self.front.with(|world, _| {
            let settings = WorldSettings { throttle: true, ..world.settings().clone() };
            world.set_settings(settings);
        });
    }

    pub(crate) fn event(&self, account: &str, source: &str, kind: &str, resources: Value, detail: Value) {
        let id = format!("e-{}", fastrand::u64(..));
        let event = json!({
            "version": "0", "id": id, "source": source, "detail-type": kind, "account": account, "region": REGION,
            "time": self.front.now().to_string(), "resources": resources, "detail": detail,
        });
        let body = json!({"QueueUrl": self.queue, "MessageBody": event.to_string()});
        self.call(ACCOUNT, Service::Sqs, "SendMessage", body);
    }

    pub(crate) fn parameter_changed(&self, account: &str, parameter: &str) {
        let detail = json!({"operation": "Update", "name": parameter, "type": "SecureString"});
        self.event(account, "aws.ssm", "Parameter Store Change", json!([]), detail);
    }

    /// ECS tells that a deployment of this service began.
    pub(crate) fn rollout_began(&self, account: &str, service: &str) {
        self.rollout_moved(account, service, "SERVICE_DEPLOYMENT_IN_PROGRESS");
    }

    /// ECS tells this of a deployment of this service.
    pub(crate) fn rollout_moved(&self, account: &str, service: &str, event: &str) {
        let arn = format!("arn:aws:ecs:{REGION}:{account}:service/{service}");
        let detail = json!({
            "eventType": "INFO", "eventName": event, "deploymentId": "ecs-svc/1",
            "updatedAt": self.front.now().to_string(), "reason": "in progress.",
        });
        self.event(account, "aws.ecs", "ECS Deployment State Change", json!([arn]), detail);
    }

    /// The calls so far: of whom, what, and how each was answered.
    pub(crate) fn calls(&self) -> Vec<(String, String, String)> {
        self.front.with(|world, _| {
            let calls = world.calls_after(0);
            calls.map(|it| (it.account.clone(), it.operation.clone(), it.result.to_string())).collect()
        })
    }

    pub(crate) fn letters(&self) -> Vec<String> {
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
pub(crate) struct Daemon {
    stop: CancellationToken,
    running: JoinHandle<()>,
    reports: mpsc::UnboundedReceiver<Report>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    clock: EngineClock,
    began: Instant,
}

pub(crate) fn rules(refresh: Duration) -> DiscoveryRules {
    let every = || vec![Selector::Name(Glob::new("*"))];
    let exclude = vec![Selector::Tag { key: "lockkeeper".into(), value: Glob::new("off") }];
    DiscoveryRules { clusters: every(), services: every(), exclude, refresh }
}

impl Daemon {
    pub(crate) async fn begin(estate: &Estate, rules: DiscoveryRules, others: &[AccountRule]) -> Self {
        Self::with(estate, Some(rules), others, Vec::new()).await
    }

    /// One that discovers nothing, and whose settings name this service of the cluster.
    pub(crate) async fn of_named(estate: &Estate, service: &str) -> Self {
        Self::naming(estate, service, None).await
    }

    /// One whose settings name this service of the cluster, whatever else it discovers.
    pub(crate) async fn naming(estate: &Estate, service: &str, rules: Option<DiscoveryRules>) -> Self {
        let settings = TargetSettings { quiet: Duration::ZERO, ..TargetSettings::named(service.into()) };
        let rule = TargetRule {
            account: None,
            region: None,
            cluster: "shop".into(),
            service: service.into(),
            repositories: Vec::new(),
            parameters: Vec::new(),
            secrets: Vec::new(),
            files: Vec::new(),
            settings: Arc::new(settings),
        };
        Self::with(estate, rules, &[], vec![rule]).await
    }

    async fn with(
        estate: &Estate,
        rules: Option<DiscoveryRules>,
        others: &[AccountRule],
        named: Vec<TargetRule>,
    ) -> Self {
        let account = AccountId::from(ACCOUNT);
        let way = Connections::simulated("http://world", &account, REGION.into(), Arc::new(Unobserved)).await;
        let way = way.over(Wire::to(&estate.front));
        let Opened { queue, queue_arn, dead_letters, letter_room, account, user, .. } =
            engine::open(&way, &estate.queue, None).await.unwrap();
        let owner = Owner::of_queue(&queue_arn).unwrap();
        let ecs = Ecs::new(way.clone(), account.clone()).with_share(BudgetShare::HALF);
        let ecs = ecs.with_accounts(&way, others).await.owned_by(owner, true);
        let (clock, stop) = (EngineClock::start(), CancellationToken::new());
        let (listener, reports) = mpsc::unbounded_channel();
        let (published, snapshots) = watch::channel(Arc::new(Snapshot::empty(Moment::default())));
        let health = Arc::new(Health::new(clock.moment(), Duration::ZERO, RECEIVE_WAIT));
        let metrics = Arc::new(Metrics::new("test", "test"));
        let accounts: Vec<AccountId> =
            others.iter().map(|it| it.account.clone()).chain([account.clone()]).collect();
        let defaults = TargetSettings { quiet: Duration::ZERO, ..TargetSettings::named("".into()) };
        let discovery = rules.map(|rules| Discovery {
            rules,
            places: accounts.iter().map(|it| place(it.as_str())).collect(),
            defaults: Arc::new(defaults),
        });
        let engine = Engine {
            queue,
            dead_letters,
            letter_room,
            ecs: Arc::new(ecs),
            routes: Routes::new(account, REGION.into(), named, None),
            discovery,
            reconcile: None,
            people: People { own: user, from_outside: false },
            accounts,
            pollers: 2,
            visibility: Duration::from_mins(2),
            renew_after: PlanSettings::RENEW_AFTER,
            start_delay: Duration::ZERO,
            lease: None,
            health: Arc::clone(&health),
            clock: clock.clone(),
            live: LiveRoutes::default(),
            publisher: Publisher::new(Arc::clone(&metrics), published).with_listener(listener),
            stop: stop.clone(),
        };
        let running = tokio::spawn(engine.run());
        let began = Instant::now();
        Self { stop, running, reports, snapshots, health, metrics, clock, began }
    }

    /// The names of the targets that it shows.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.snapshots.borrow().targets.iter().map(|it| it.id.to_string()).collect()
    }

    /// What the targets are called that it shows.
    pub(crate) fn names(&self) -> Vec<String> {
        self.snapshots.borrow().targets.iter().map(|it| it.name.to_string()).collect()
    }

    /// What is shown of a service of our account.
    pub(crate) fn shown(&self, service: &str) -> Arc<TargetRecord> {
        self.shows(service).expect("it is shown")
    }

    /// The same, if it is shown at all.
    pub(crate) fn shows(&self, service: &str) -> Option<Arc<TargetRecord>> {
        let snapshot = self.snapshots.borrow();
        let found = snapshot
            .targets
            .iter()
            .find(|it| it.service.as_str() == service && it.id.account().as_str() == ACCOUNT);
        found.cloned()
    }

    /// The reports since this was last asked, in words, as far as they are about what keeps targets back.
    pub(crate) fn holds_told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            if let Report::Hold { name, hold, moved, .. } = report {
                told.push(format!("{name} {} {moved:?}", hold.kind.as_str()));
            }
        }
        told
    }

    pub(crate) fn knows(&self, account: &str, service: &str) -> bool {
        self.targets().contains(&format!("{account}/{REGION}/shop/{service}"))
    }

    /// What health says of this part.
    pub(crate) fn part(&self, wanted: &str) -> String {
        let report = self.health.assess(self.clock.moment());
        let Some((_, part)) = report.parts().find(|(name, _)| *name == wanted) else { return String::new() };
        format!("{}: {}", if part.is_ok() { "ok" } else { "failing" }, part.detail)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.health.assess(self.clock.moment()).is_ready()
    }

    /// Waits until this is so, and says for how long that took since the start.
    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool) -> Duration {
        let wait = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it comes true");
        self.began.elapsed()
    }

    pub(crate) async fn until_read(&self) -> Duration {
        self.until(|it| {
            it.part("inventory").contains("services read") && it.part("intake") == "ok: messages are received"
        })
        .await
    }

    /// The next deployment that ends: of which service, and how.
    pub(crate) async fn finished(&mut self) -> (String, Outcome) {
        let it = self.ended().await;
        (it.target.to_string(), it.outcome.unwrap())
    }

    /// The next deployment that ends.
    pub(crate) async fn ended(&mut self) -> DeploymentRecord {
        loop {
            let report = timeout(PATIENCE, self.reports.recv()).await.expect("it goes on").unwrap();
            if let Report::Finished(it) = report {
                return *it;
            }
        }
    }

    pub(crate) fn metric(&self, line: &str) -> Option<String> {
        let report = self.health.assess(self.clock.moment());
        let text = self.metrics.render(&self.snapshots.borrow(), &report, self.clock.wall());
        text.lines().find_map(|it| Some(it.strip_prefix(line)?.trim().to_owned()))
    }

    /// Dies at once, and hands nothing back.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
        self.stop.cancel();
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// The other account, and the role by which it is reached.
pub(crate) fn other(external_id: Option<&str>) -> AccountRule {
    AccountRule {
        account: OTHER.into(),
        role_arn: format!("arn:aws:iam::{OTHER}:role/lockkeeper").into(),
        external_id: external_id.map(Into::into),
    }
}
