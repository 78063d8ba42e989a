//! The whole world: services that call each other through one outbox, faults, and a log of every call.

use std::{collections::VecDeque, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    bus::{Buses, Emission, Post},
    call::{Call, Fail, Outcome, Reply, Scope, Service},
    ecr::Registry,
    ecs::{Ecs, Scene},
    fault::{self, Fault, FaultKind},
    rng::Rng,
    s3::{Buckets as Objects, Yard},
    secrets::{Safe, Secrets},
    settings::WorldSettings,
    sqs::{Desk, Queues},
    ssm::Parameters,
    sts::{Role, Roles},
    throttle::Buckets,
};
use crate::domain::Timestamp;

/// One line of the call log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Logged {
    /// Counts from 1 without gaps.
    pub sequence: u64,
    /// When the call came.
    pub at: Timestamp,
    /// Who called.
    pub account: String,
    /// In which Region.
    pub region: String,
    /// Whom.
    pub service: Service,
    /// What for.
    pub operation: String,
    /// The request.
    pub request: Value,
    /// What was answered: `OK`, an error code, `WAIT` for a long poll that found nothing at first, `CLOSED` or
    /// `NEVER`.
    pub result: &'static str,
    /// Whether the call took effect. It may have although the answer is an error.
    pub took_effect: bool,
    /// What the call changed: which messages were sent, handed out and deleted, which deployment was started, of what
    /// and over what; null otherwise.
    pub changed: Value,
}

/// A simulated part of AWS. Equal seeds and equal calls at equal times give equal answers.
#[derive(Clone, Debug)]
pub struct World {
    seed: u64,
    settings: WorldSettings,
    rng: Rng,
    now: Timestamp,
    queues: Queues,
    buses: Buses,
    registry: Registry,
    parameters: Parameters,
    secrets: Secrets,
    objects: Objects,
    ecs: Ecs,
    roles: Roles,
    buckets: Buckets,
    faults: Vec<Fault>,
    outbox: Vec<Emission>,
    log: VecDeque<Logged>,
    calls: u64,
    lost: u64,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64, settings: WorldSettings) -> Self {
        Self {
            seed,
            settings,
            rng: Rng::new(seed),
            now: Timestamp::from_millis(0),
            queues: Queues::default(),
            buses: Buses::default(),
            registry: Registry::default(),
            parameters: Parameters::default(),
            secrets: Secrets::default(),
            objects: Objects::default(),
            ecs: Ecs::default(),
            roles: Roles::default(),
            buckets: Buckets::default(),
            faults: Vec::new(),
            outbox: Vec::new(),
            log: VecDeque::new(),
            calls: 0,
            lost: 0,
        }
    }

    /// The dials.
    pub fn settings(&self) -> &WorldSettings {
        &self.settings
    }

    /// Turns the dials. What is under way keeps the times that it was given.
    pub fn set_settings(&mut self, settings: WorldSettings) {
        self.settings = settings;
    }

    /// Empties the world; seed and dials stay.
    pub fn reset(&mut self) {
        *self = Self::new(self.seed, self.settings.clone());
    }

    /// Lets callers of other accounts assume a role. Until the first is added, every role may be assumed.
    pub fn add_role(&mut self, role: Role) {
        self.roles.add(role);
    }

    /// Orders a fault.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Takes back all faults that are still ordered.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The log from a sequence number on, without that number itself.
    pub fn calls_after(&self, sequence: u64) -> impl Iterator<Item = &Logged> {
        self.log.iter().filter(move |logged| logged.sequence > sequence)
    }

    /// Pushes an image, as a build does, and tells the bus. Says the digest.
    pub fn push(
        &mut self,
        now: Timestamp,
        scope: &Scope,
        repository: &str,
        tags: &[String],
        digest: Option<&str>,
    ) -> String {
        self.advance(now);
        let digest = self.registry.push(scope, (repository, tags, digest), self.now, &mut self.outbox);
        self.deliver_outbox();
        digest
    }

    /// Pushes an image for several platforms, as a build does: its children without a tag, then the index under these
    /// tags. Says the digest of the index, and those of the children.
    pub fn push_index(
        &mut self,
        now: Timestamp,
        scope: &Scope,
        repository: &str,
        tags: &[String],
        children: usize,
    ) -> (String, Vec<String>) {
        self.advance(now);
        let image = (repository, tags, children);
        let pushed = self.registry.push_index(scope, image, self.now, &mut self.outbox);
        self.deliver_outbox();
        pushed
    }

    /// One call, with whatever fault is ordered for it.
    pub fn call(&mut self, now: Timestamp, call: &Call) -> Reply {
        self.advance(now);
        let struck = fault::draw(&mut self.faults, call, &mut self.rng);
        let (reply, took_effect, changed) = match struck {
            Some(FaultKind::Throttle) => refuse(Reply::Err(throttled(call.service))),
            Some(FaultKind::ServerError) => refuse(Reply::Err(broken())),
            Some(FaultKind::Hang) => refuse(Reply::Never),
            Some(FaultKind::Slow { ms }) => {
                self.act(call, |reply| Reply::Slow(Duration::from_millis(ms), Box::new(reply)))
            }
            Some(FaultKind::LostAnswer { closed: true }) => self.act(call, |_| Reply::Closed),
            Some(FaultKind::LostAnswer { closed: false }) => self.act(call, |_| Reply::Err(broken())),
            None => self.act(call, |reply| reply),
        };
        self.log(call, &reply, took_effect, changed);
        reply
    }

    /// Performs a call, and answers what a fault makes of the reply. Says too whether it took effect and what changed.
    fn act(&mut self, call: &Call, answer: impl FnOnce(Reply) -> Reply) -> (Reply, bool, Value) {
        let (reply, changed) = self.perform(call);
        let took_effect = !matches!(reply, Reply::Err(_));
        (answer(reply), took_effect, changed)
    }

    /// Looks again for a long poll that waits: the same call without faults, and with another line in the log only
    /// where it ends the wait.
    pub fn look_again(&mut self, now: Timestamp, call: &Call) -> Reply {
        self.advance(now);
        let (reply, changed) = self.perform(call);
        if !changed.is_null() {
            self.log(call, &reply, true, changed);
        }
        reply
    }

    /// Ends every hold on a message, as if its visibility timeout had run out: whoever held them is gone.
    pub fn end_holds(&mut self, now: Timestamp) {
        self.advance(now);
        self.queues.end_holds();
    }

    fn log(&mut self, call: &Call, reply: &Reply, took_effect: bool, changed: Value) {
        self.calls += 1;
        if self.settings.log_limit == 0 {
            return;
        }
        while self.log.len() >= self.settings.log_limit {
            self.log.pop_front();
        }
        self.log.push_back(Logged {
            sequence: self.calls,
            at: self.now,
            account: call.scope.account.clone(),
            region: call.scope.region.clone(),
            service: call.service,
            operation: call.operation.clone(),
            request: call.body.clone(),
            result: reply.code(),
            took_effect,
            changed,
        });
    }

    /// The call itself, and what it changed in ECS.
    fn perform(&mut self, call: &Call) -> (Reply, Value) {
        let mut changed = Value::Null;
        let reply = match call.service {
            Service::Sqs => {
                let (rng, settings) = (&mut self.rng, &self.settings);
                let mut desk = Desk { now: self.now, rng, settings, moved: Vec::new() };
                let reply = self.queues.call(call, &mut desk);
                if !desk.moved.is_empty() {
                    changed = Value::Array(desk.moved);
                }
                reply
            }
            Service::Events => Reply::from(self.with_post(|buses, post| buses.call(call, post))),
            Service::Ecr => Reply::from(self.registry.call(call, self.now, &mut self.outbox)),
            Service::Ssm => Reply::from(self.parameters.call(call, self.now, &mut self.outbox)),
            Service::Ecs => Reply::from(self.ecs_call(call, &mut changed)),
            Service::SecretsManager => Reply::from(self.with_safe(|secrets, safe| secrets.call(call, safe))),
            Service::S3 => {
                let mut yard = Yard { now: self.now, rng: &mut self.rng, outbox: &mut self.outbox };
                Reply::from(self.objects.call(call, &mut yard))
            }
            Service::Sts => Reply::from(self.roles.call(call, self.now, &mut self.rng)),
        };
        self.deliver_outbox();
        (reply, changed)
    }

    fn ecs_call(&mut self, call: &Call, changed: &mut Value) -> Outcome {
        if self.settings.throttle && !self.buckets.take(self.now, &call.scope, &call.operation) {
            return Err(throttled(Service::Ecs));
        }
        self.with_scene(call.scope.clone(), self.now, |ecs, scene| {
            let outcome = ecs.call(call, scene);
            *changed = scene.changed.take().unwrap_or_default();
            outcome
        })
    }

    fn with_post<T>(&mut self, act: impl FnOnce(&mut Buses, &mut Post<'_>) -> T) -> T {
        let mut post =
            Post { now: self.now, rng: &mut self.rng, settings: &self.settings, queues: &mut self.queues };
        act(&mut self.buses, &mut post)
    }

    fn with_safe<T>(&mut self, act: impl FnOnce(&mut Secrets, &mut Safe<'_>) -> T) -> T {
        let mut safe = Safe { now: self.now, rng: &mut self.rng, outbox: &mut self.outbox };
        act(&mut self.secrets, &mut safe)
    }

    fn with_scene<T>(
        &mut self,
        scope: Scope,
        now: Timestamp,
        act: impl FnOnce(&mut Ecs, &mut Scene<'_>) -> T,
    ) -> T {
        let mut scene = Scene {
            now,
            scope,
            rng: &mut self.rng,
            registry: &self.registry,
            dials: &self.settings.ecs,
            outbox: &mut self.outbox,
            changed: None,
        };
        act(&mut self.ecs, &mut scene)
    }

    fn deliver_outbox(&mut self) {
        for emission in std::mem::take(&mut self.outbox) {
            if self.rng.chance(self.settings.loss_of(&emission.source)) {
                self.lost += 1;
            } else {
                self.with_post(|buses, post| buses.publish(&emission, post));
            }
        }
    }

    /// Where a bucket is, whoever asks: S3 tells so to those who look for it in the wrong Region.
    pub fn region_of_bucket(&self, name: &str) -> Option<&str> {
        self.objects.region(name)
    }

    /// Everything that happens by itself up to `now`, each thing at its own time and in order. Time never goes back:
    /// an earlier `now` is taken for the latest one.
    pub fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        while let Some(at) = self.next_advance().filter(|at| *at <= now) {
            self.now = at.max(self.now);
            self.queues.advance(self.now, &mut self.rng);
            for scope in self.ecs.due(self.now) {
                self.with_scene(scope, self.now, Ecs::advance);
            }
            self.with_safe(Secrets::advance);
            self.deliver_outbox();
        }
        self.now = now;
    }

    /// When ECS, a rotation or a running move of messages does something next. What queues do with time is found on
    /// looking.
    pub(super) fn next_advance(&self) -> Option<Timestamp> {
        let next = [self.ecs.next_wakeup(), self.secrets.next_wakeup(), self.queues.next_move()];
        next.into_iter().flatten().min()
    }

    /// When something next happens by itself that a caller could notice.
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        [self.next_advance(), self.queues.next_wakeup()].into_iter().flatten().min()
    }

    /// The queues in which something became receivable since this was last asked.
    pub fn take_arrivals(&mut self) -> Vec<(Scope, String)> {
        std::mem::take(&mut self.queues.arrivals)
    }

    /// The whole world as JSON: queues with their messages, services as they are described.
    pub fn state(&mut self, now: Timestamp) -> Value {
        self.advance(now);
        let now = self.now;
        let scope = Scope { account: String::new(), region: String::new() };
        let services = self.with_scene(scope, now, |ecs, scene| ecs.state(scene));
        json!({
            "now": now, "calls": self.calls, "queues": self.queues.state(now), "services": services,
            "faults": self.faults, "settings": self.settings, "lost_events": self.lost,
        })
    }
}

/// An answer to a call that had no effect.
fn refuse(reply: Reply) -> (Reply, bool, Value) {
    (reply, false, Value::Null)
}

fn throttled(service: Service) -> Fail {
    match service {
        Service::Sqs => {
            Fail { code: "RequestThrottled", message: "Request is throttled.".to_owned(), status: 403 }
        }
        Service::Events | Service::Ecr | Service::Ssm | Service::Ecs | Service::SecretsManager => {
            Fail::new("ThrottlingException", "Rate exceeded")
        }
        Service::Sts => Fail::new("Throttling", "Rate exceeded"),
        Service::S3 => {
            Fail { code: "SlowDown", message: "Please reduce your request rate.".to_owned(), status: 503 }
        }
    }
}

fn broken() -> Fail {
    Fail {
        code: "ServerException",
        message: "Service Unavailable. Please try again later.".to_owned(),
        status: 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::testkit::Bench;

    fn update(bench: &mut Bench) -> Reply {
        bench.reply(
            Service::Ecs,
            "UpdateService",
            json!({"cluster": "c", "service": "s", "forceNewDeployment": true}),
        )
    }

    fn service() -> Bench {
        let mut bench = Bench::new();
        bench.ecs("CreateCluster", json!({"clusterName": "c"}));
        let container = json!([{"name": "web", "image": "app:1"}]);
        bench.ecs("RegisterTaskDefinition", json!({"family": "app", "containerDefinitions": container}));
        bench.ecs(
            "CreateService",
            json!({"cluster": "c", "serviceName": "s", "taskDefinition": "app", "desiredCount": 1}),
        );
        bench.pass(60_000);
        bench
    }

    fn deployments(bench: &mut Bench) -> usize {
        let all = bench.ecs("ListServiceDeployments", json!({"cluster": "c", "service": "s"}));
        all["serviceDeployments"].as_array().map_or(0, Vec::len)
    }

    #[test]
    fn a_lost_answer_took_effect_and_the_other_faults_did_not() {
        for (kind, reply, effect) in [
            (FaultKind::LostAnswer { closed: false }, Reply::Err(broken()), true),
            (FaultKind::LostAnswer { closed: true }, Reply::Closed, true),
            (FaultKind::ServerError, Reply::Err(broken()), false),
            (FaultKind::Throttle, Reply::Err(throttled(Service::Ecs)), false),
            (FaultKind::Hang, Reply::Never, false),
        ] {
            let mut bench = service();
            bench.world.add_fault(Fault::new(Service::Ecs, "UpdateService", kind, 1));
            assert_eq!(update(&mut bench), reply);
            assert_eq!(deployments(&mut bench), if effect { 2 } else { 1 }, "{kind:?}");
            let logged = bench
                .world
                .calls_after(0)
                .find(|logged| logged.operation == "UpdateService")
                .expect("a line");
            assert_eq!((logged.took_effect, logged.changed.is_null()), (effect, !effect), "{kind:?}");
            assert!(matches!(update(&mut bench), Reply::Ok(_)), "a fault strikes once");
        }
    }

    #[test]
    fn best_effort_loses_what_it_is_told_to_and_never_what_ecs_says() {
        let settings = WorldSettings { lost_events: 0.2, ..WorldSettings::default() };
        let mut bench = Bench::with(settings);
        let urls =
            ["aws.ecr", "aws.ssm", "aws.secretsmanager", "aws.s3", "aws.ecs"].map(|it| bench.listen(it));
        bench.call(Service::S3, "CreateBucket", json!({"Bucket": "b"}));
        let on = json!({"Bucket": "b", "EventBridgeConfiguration": {}});
        bench.call(Service::S3, "PutBucketNotificationConfiguration", on);
        bench.ecs("CreateCluster", json!({"clusterName": "c"}));
        let container = json!([{"name": "web", "image": "app:1"}]);
        bench.ecs("RegisterTaskDefinition", json!({"family": "app", "containerDefinitions": container}));
        for number in 0..300 {
            let name = format!("n{number}");
            let scope = Call::new(Service::Ecr, "", json!({})).scope;
            bench.world.push(bench.now, &scope, "app", std::slice::from_ref(&name), None);
            bench.call(Service::Ssm, "PutParameter", json!({"Name": name, "Value": "x"}));
            bench.call(Service::SecretsManager, "CreateSecret", json!({"Name": name, "SecretString": "x"}));
            bench.call(Service::S3, "PutObject", json!({"Bucket": "b", "Key": name, "Body": "x"}));
        }
        let create = json!({"cluster": "c", "serviceName": "s", "taskDefinition": "app", "desiredCount": 1});
        bench.ecs("CreateService", create);
        let heard = urls.map(|url| bench.heard(&url).len());
        for count in &heard[..3] {
            assert!((210..270).contains(count), "{heard:?}");
        }
        assert_eq!(heard[3], 300);
        assert!(heard[4] >= 3, "in progress, twice, and a task");
        let lost = 900 - heard[..3].iter().sum::<usize>();
        assert_eq!(bench.world.state(bench.now)["lost_events"], json!(lost));
    }

    #[test]
    fn a_slow_call_has_its_effect_at_once() {
        let mut bench = service();
        bench.world.add_fault(Fault::new(Service::Ecs, "*", FaultKind::Slow { ms: 50 }, 1));
        let Reply::Slow(delay, reply) = update(&mut bench) else { panic!("not slow") };
        assert_eq!(delay.as_millis(), 50);
        assert!(matches!(*reply, Reply::Ok(_)));
        assert_eq!(deployments(&mut bench), 2);
    }

    #[test]
    fn ecs_throttles_by_its_buckets_and_says_so_in_the_log() {
        let mut bench = service();
        let codes: Vec<_> = (0..60).map(|_| update(&mut bench).code()).collect();
        let refused = codes.iter().filter(|code| **code == "ThrottlingException").count();
        assert_eq!(refused, 10, "50 at once are allowed");
        bench.pass(1_000);
        let allowed = (0..10).filter(|_| update(&mut bench).code() == "OK").count();
        assert_eq!(allowed, 5);
        let last = bench.world.calls_after(0).last().expect("a line");
        assert_eq!((last.result, last.took_effect), ("ThrottlingException", false));
    }

    #[test]
    fn the_log_numbers_calls_without_gaps_and_keeps_to_its_limit() {
        let mut bench = Bench::with(WorldSettings { log_limit: 3, ..WorldSettings::default() });
        for _ in 0..5 {
            bench.sqs("ListQueues", json!({}));
        }
        let sequences: Vec<u64> = bench.world.calls_after(3).map(|logged| logged.sequence).collect();
        assert_eq!(sequences, [4, 5]);
        assert_eq!(bench.world.calls_after(0).count(), 3);
    }

    #[test]
    fn what_a_deployment_went_over_is_in_the_log() {
        let mut bench = service();
        update(&mut bench);
        update(&mut bench);
        let last = bench.world.calls_after(0).last().expect("a line").changed.clone();
        assert_eq!(last["over"][0]["passage"], "STOP_REQUESTED");
        assert_eq!(
            (&last["over"][0]["primary"], &last["over"][0]["failed_tasks"]),
            (&json!(true), &json!(0))
        );
        assert_eq!(last["definition"], "arn:aws:ecs:us-east-1:000000000000:task-definition/app:1");
    }

    #[test]
    fn the_state_tells_every_deployment_that_a_service_ever_had() {
        let mut bench = service();
        update(&mut bench);
        let state = bench.world.state(bench.now);
        let history = &state["services"]["arn:aws:ecs:us-east-1:000000000000:service/c/s"]["history"];
        let states: Vec<&Value> =
            history.as_array().expect("a list").iter().map(|it| &it["status"]).collect();
        assert_eq!(states, ["IN_PROGRESS", "SUCCESSFUL"]);
        assert_eq!(history[1]["revision"]["containerImages"][0]["image"], "app:1");
    }

    #[test]
    fn time_never_goes_back() {
        let mut bench = service();
        let later = bench.now;
        bench.world.advance(Timestamp::from_millis(0));
        assert_eq!(bench.world.state(Timestamp::from_millis(0))["now"], json!(later));
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let mut bench = service();
        let mut copy = Bench { world: bench.world.clone(), now: bench.now };
        update(&mut copy);
        assert_eq!((deployments(&mut bench), deployments(&mut copy)), (1, 2));
    }
}
