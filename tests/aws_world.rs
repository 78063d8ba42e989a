//! The adapters over HTTP, with the real SDK, against the simulated world.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "what does not hold fails the test")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lockkeeper::{
    aws::{
        Connections, Fence, Unobserved,
        account::identity,
        ecs::{Clearance, Ecs, NoWayBack},
        queue::{Queue, QueueErrorKind},
    },
    domain::{
        Base, Cause, Digest, HoldDecision, HoldKind, HoldVerb, ImageReference, LaneRecord, LaneState, Look,
        LookOrder, Marks, Moment, PastRollout, Prospect, Remedy, Rollout, RolloutId, RolloutState,
        StartOrder, StoppedTask, TagOrder, TargetId, TargetRecord, Timestamp,
    },
    engine::{EngineClock, Lookups},
    sim::{
        Call, EcsDials, Fault, FaultKind, Reply, Scope, Service, World, WorldSettings,
        front::{Front, FrontSettings},
    },
    status::{DeskSlot, Lookup, Snapshot},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";
const REPOSITORY: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/api";

struct Lab {
    front: Front,
    connections: Connections,
    ecs: Ecs,
    digests: BTreeMap<&'static str, Digest>,
}

/// A world, twenty times as fast as its defaults, where `shop/api` runs `api:1` with a circuit breaker.
async fn lab() -> Lab {
    lab_of(2).await
}

/// The same with so many tasks.
async fn lab_of(desired: u32) -> Lab {
    let dials = EcsDials { speed: 20.0, ..EcsDials::default() };
    let world = World::new(7, WorldSettings { ecs: dials, ..WorldSettings::default() });
    let front = Front::new(world, FrontSettings::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(front.serve(listener));
    let push = |tag| {
        let tags = [String::from(tag)];
        (tag, front.with(|world, now| world.push(now, &scope(), "api", &tags, None)).into())
    };
    let digests = ["1", "2", "3", "v3", "crash"].map(push).into();
    let connections =
        Connections::simulated(&endpoint, &ACCOUNT.into(), REGION.into(), Arc::new(Unobserved)).await;
    let ecs = Ecs::new(connections.clone(), ACCOUNT.into());
    let lab = Lab { front, connections, ecs, digests };
    lab.ask("CreateCluster", json!({"clusterName": "shop"}));
    let container =
        json!({"name": "web", "image": format!("{REPOSITORY}:1"), "memory": 64, "essential": true});
    lab.ask("RegisterTaskDefinition", json!({"family": "api", "containerDefinitions": [container]}));
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    lab.ask(
        "CreateService",
        json!({
            "cluster": "shop", "serviceName": "api", "taskDefinition": "api", "desiredCount": desired,
            "deploymentConfiguration": breaker,
        }),
    );
    lab.until(|look| look.rollouts[0].state == RolloutState::Succeeded).await;
    lab
}

impl Lab {
    fn ask(&self, operation: &str, body: Value) {
        let call = Call { service: Service::Ecs, operation: operation.into(), scope: scope(), body };
        self.front.with(|world, now| world.call(now, &call));
    }

    /// The same, where the answer matters.
    fn answer(&self, operation: &str, body: Value) -> Value {
        let call = Call { service: Service::Ecs, operation: operation.into(), scope: scope(), body };
        match self.front.with(|world, now| world.call(now, &call)) {
            Reply::Ok(answer) => answer,
            other => panic!("{operation}: {other:?}"),
        }
    }

    /// Every call that there was, in order.
    fn operations(&self) -> Vec<String> {
        self.front.with(|world, _| world.calls_after(0).map(|it| it.operation.clone()).collect())
    }

    async fn look(&self) -> Look {
        self.ecs.look(&look_order()).await.unwrap()
    }

    /// What a deployment would start from, if it started from the newest revision; with the calls that this took.
    async fn latest(&self) -> (String, Vec<String>) {
        let now = self.look().await.taken_at;
        let before = self.operations().len();
        let order = LookOrder { base: Base::Latest(None), since: now, evidence: false, ..look_order() };
        let base = self.ecs.look(&order).await.unwrap().base.unwrap();
        (base.id.to_string(), self.operations().split_off(before))
    }

    /// Looks until this holds. Every look on the way is given back too, the last one last.
    async fn until(&self, holds: impl Fn(&Look) -> bool) -> Vec<Look> {
        let mut looks = Vec::new();
        for _ in 0..500 {
            looks.push(self.look().await);
            if holds(looks.last().unwrap()) {
                return looks;
            }
            // Seldom enough for the budget to keep plenty.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never held; last: {:#?}", looks.last());
    }
}

fn look_order() -> LookOrder {
    LookOrder {
        target: target(),
        since: Timestamp::default(),
        base: Base::Running,
        wanted: None,
        evidence: true,
        prospect: Prospect::Nothing,
    }
}

fn scope() -> Scope {
    Scope { account: ACCOUNT.into(), region: REGION.into() }
}

fn target() -> TargetId {
    format!("{ACCOUNT}/{REGION}/shop/api").parse().unwrap()
}

fn order(tag: &str) -> StartOrder {
    let image: ImageReference = format!("{REPOSITORY}:{tag}").parse().unwrap();
    let marks = Marks { deployment: Some("d-1".into()), ..Marks::default() };
    let edits = BTreeMap::from([("web".into(), image)]);
    StartOrder { target: target(), base: "api:1".parse().unwrap(), edits, marks }
}

fn newest(look: &Look) -> &Rollout {
    &look.rollouts[0]
}

#[tokio::test]
async fn a_rollout_is_followed_by_its_ids_to_its_success_and_its_digest() {
    let lab = lab().await;
    let started = lab.ecs.start(&order("2"), Clearance::default()).await.unwrap();
    assert!(started.id.deployment.is_some() && started.id.service_deployment.is_some());
    let looks = lab.until(|look| newest(look).state == RolloutState::Succeeded).await;
    assert!(looks.iter().all(|look| newest(look).id.is(&started.id)));
    assert_eq!(newest(&looks[0]).state, RolloutState::InProgress);
    assert_eq!(looks[0].running.as_ref().unwrap().definition.id.to_string(), "api:1");
    let last = looks.last().unwrap();
    let (rollout, running) = (newest(last), last.running.as_ref().unwrap());
    assert_eq!((rollout.primary, rollout.id.clone()), (true, started.id));
    assert_eq!(rollout.previous.as_ref().unwrap().id.to_string(), "api:1");
    assert_eq!(running.definition.id.to_string(), "api:2");
    assert_eq!(running.definition.marks.deployment, Some("d-1".into()));
    assert_eq!(running.digests[&"web".into()], lab.digests["2"]);
}

#[tokio::test]
async fn a_rollout_that_ecs_undoes_is_rolled_back_and_the_rollback_is_no_rollout() {
    let lab = lab().await;
    let started = lab.ecs.start(&order("crash"), Clearance::default()).await.unwrap();
    let looks = lab.until(|look| newest(look).state == RolloutState::RolledBack).await;
    for look in &looks {
        let ids: Vec<_> = look.rollouts.iter().map(|it| it.definition.id.to_string()).collect();
        assert_eq!(ids, ["api:2", "api:1"]);
        assert!(newest(look).id.is(&started.id) && newest(look).rolls_back);
        assert_eq!(look.running.as_ref().unwrap().definition.id.to_string(), "api:1");
    }
    let last = looks.last().unwrap();
    assert!(!last.going_back);
    let ours = started.id.deployment.unwrap();
    let crashed = last.stopped.iter().filter(|(by, it)| *by == ours && it.exit_code == Some(1));
    assert!(crashed.count() >= 2, "{:?}", last.stopped);
}

#[tokio::test]
async fn why_a_rollout_failed_is_found_among_hundreds_of_tasks_that_stopped_before() {
    let lab = lab_of(60).await;
    for _ in 0..2 {
        lab.ask("UpdateService", json!({"cluster": "shop", "service": "api", "forceNewDeployment": true}));
        lab.until(|look| newest(look).state == RolloutState::Succeeded).await;
    }
    let started = lab.ecs.start(&order("nope"), Clearance::default()).await.unwrap();
    let looks = lab.until(|look| newest(look).state == RolloutState::RolledBack).await;
    let ours = started.id.deployment.unwrap();
    let stopped = &looks.last().unwrap().stopped;
    let failed =
        |(by, it): &&(_, StoppedTask)| *by == ours && it.stop_code.as_deref() == Some("TaskFailedToStart");
    let reason = stopped.iter().find(failed).and_then(|(_, it)| it.reason.clone());
    assert!(reason.is_some_and(|it| it.contains("CannotPullContainerError")), "{stopped:#?}");
}

#[tokio::test]
async fn what_failed_is_not_what_the_next_deployment_starts_from() {
    let lab = lab().await;
    for number in 2..=3 {
        let marks = Marks { deployment: Some(format!("d-{number}").as_str().into()), ..Marks::default() };
        let failing = StartOrder { marks, ..order("crash") };
        lab.ecs.start(&failing, Clearance::default()).await.unwrap();
        lab.until(|look| newest(look).state == RolloutState::RolledBack).await;
        assert_eq!(lab.latest().await.0, "api:1");
    }
    let (_, calls) = lab.latest().await;
    let count = |operation: &str| calls.iter().filter(|it| *it == operation).count();
    assert_eq!((count("ListServiceDeployments"), count("DescribeTaskDefinition")), (2, 2), "{calls:?}");

    let wanted = Some("api:2".parse().unwrap());
    let by_name = LookOrder { base: Base::Latest(None), wanted, ..look_order() };
    let by_name = lab.ecs.look(&by_name).await.unwrap().wanted.unwrap();
    assert_eq!(by_name.unwrap().id.to_string(), "api:2", "who names it gets it");

    let container = json!({"name": "web", "image": format!("{REPOSITORY}:2"), "memory": 64});
    lab.ask("RegisterTaskDefinition", json!({"family": "api", "containerDefinitions": [container]}));
    assert_eq!(lab.latest().await.0, "api:4", "what others register is meant to be used");
}

#[tokio::test]
async fn what_succeeded_once_stays_what_a_deployment_starts_from() {
    let lab = lab().await;
    lab.ecs.start(&order("2"), Clearance::default()).await.unwrap();
    lab.until(|look| newest(look).state == RolloutState::Succeeded).await;
    let body = json!({"cluster": "shop", "service": "api", "taskDefinition": "api:1"});
    lab.ask("UpdateService", body);
    lab.until(|look| look.rollouts.len() == 3 && newest(look).state == RolloutState::Succeeded).await;
    assert_eq!(lab.look().await.base.unwrap().id.to_string(), "api:1");
    assert_eq!(lab.latest().await.0, "api:2");
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_is_found_by_a_look_and_registers_nothing_again() {
    for operation in ["RegisterTaskDefinition", "UpdateService"] {
        let lab = lab().await;
        let fault = json!({"operation": operation, "kind": {"lost_answer": {"closed": true}}});
        let fault: Fault = serde_json::from_value(fault).unwrap();
        assert_eq!(fault.kind, FaultKind::LostAnswer { closed: true });
        lab.front.with(|world, _| world.add_fault(fault));
        let failure = lab.ecs.start(&order("2"), Clearance::default()).await.unwrap_err();
        assert_eq!(failure.remedy, Remedy::LookFirst, "{failure:?}");
        let began = newest(&lab.look().await).definition.id.to_string();
        assert_eq!(began, if operation == "UpdateService" { "api:2" } else { "api:1" });
        let again = lab.ecs.start(&order("2"), Clearance::default()).await.unwrap();
        assert_eq!(again.definition.id.to_string(), "api:2");
    }
}

#[tokio::test]
async fn throttling_is_its_own_cause_and_may_be_tried_again() {
    let lab = lab().await;
    let fault: Fault =
        serde_json::from_value(json!({"operation": "UpdateService", "kind": "throttle"})).unwrap();
    lab.front.with(|world, _| world.add_fault(fault));
    let failure = lab.ecs.start(&order("1"), Clearance::default()).await.unwrap_err();
    assert_eq!((failure.cause.as_str(), failure.remedy), ("throttled", Remedy::Wait));
    assert_eq!(failure.reason, "UpdateService: ThrottlingException: Rate exceeded");
}

async fn queue(lab: &Lab, name: &str) -> Queue {
    let call = Call {
        service: Service::Sqs,
        operation: "CreateQueue".into(),
        scope: scope(),
        body: json!({"QueueName": name}),
    };
    lab.front.with(|world, now| world.call(now, &call));
    let url = lab.connections.url_of(&format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")).await.unwrap();
    lab.connections.queue(&url)
}

#[tokio::test]
async fn a_message_that_is_handed_back_comes_again_under_a_new_receipt() {
    let lab = lab().await;
    let queue = queue(&lab, "events").await;
    let attributes = BTreeMap::from([("reason".to_owned(), "no such\u{7} service".to_owned())]);
    let id = queue.send("a body", &attributes).await.unwrap();
    let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
    let first = queue.receive(10, second, minute).await.unwrap().remove(0);
    assert_eq!((&first.message_id, first.body.as_str(), first.receive_count), (&id, "a body", 1));
    assert_eq!(first.attributes["reason"], "no such\u{fffd} service");
    assert_eq!(queue.extend(&[(first.receipt.clone(), minute)]).await, [Ok(())]);
    assert!(queue.receive(10, Duration::ZERO, minute).await.unwrap().is_empty());

    assert_eq!(queue.hand_back(&[(first.receipt.clone(), Duration::ZERO)]).await, [Ok(())]);
    let again = queue.receive(10, second, minute).await.unwrap().remove(0);
    assert_eq!((again.message_id, again.receive_count, again.sent_at), (id, 2, first.sent_at));
    assert_ne!(again.receipt, first.receipt);
    assert_eq!(queue.delete(std::slice::from_ref(&again.receipt)).await, [Ok(())]);
    let late = queue.extend(&[(again.receipt, minute)]).await.remove(0).unwrap_err();
    assert_eq!(late.kind, QueueErrorKind::ReceiptInvalid);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_gone_and_the_account_is_that_of_the_credentials() {
    let lab = lab().await;
    let url = queue(&lab, "events").await.url().replace("events", "nothing");
    let gone = lab.connections.queue(&url).facts().await.unwrap_err();
    assert_eq!(gone.kind, QueueErrorKind::Gone);
    assert_eq!(identity(&lab.connections).await.map(|it| it.account), Ok(ACCOUNT.into()));
}

#[tokio::test]
async fn behind_a_closed_fence_nothing_is_changed_and_messages_still_go_back() {
    let mut lab = lab().await;
    let url = queue(&lab, "events").await.url().to_owned();
    lab.connections.queue(&url).send("a body", &BTreeMap::new()).await.unwrap();
    let fence = Fence::closed(tokio::time::Instant::now());
    let fenced = lab.connections.clone().fenced(fence.clone());
    let queue = fenced.queue(&url);
    lab.ecs = Ecs::new(fenced, ACCOUNT.into());
    let before = lab.operations().len();
    let changes = |lab: &Lab| {
        let reads = ["Receive", "Change", "Describe", "List", "Get"];
        let mut calls = lab.operations().split_off(before);
        calls.retain(|call| !reads.iter().any(|read| call.starts_with(read)));
        calls
    };

    let failure = lab.ecs.start(&order("2"), Clearance::default()).await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Retry, "{}", failure.reason);
    assert!(failure.reason.contains("does not hold the lease"), "{}", failure.reason);
    let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
    let message = queue.receive(10, second, minute).await.unwrap().remove(0);
    let receipts = [message.receipt];
    assert!(
        queue.delete(&receipts).await[0].is_err() && queue.send("a letter", &BTreeMap::new()).await.is_err()
    );
    assert_eq!(queue.hand_back(&[(receipts[0].clone(), Duration::ZERO)]).await, [Ok(())]);
    assert_eq!(changes(&lab), Vec::<String>::new());

    fence.allow_until(Some(Moment::from_millis(600_000)));
    lab.ecs.start(&order("2"), Clearance::default()).await.unwrap();
    queue.send("a letter", &BTreeMap::new()).await.unwrap();
    assert_eq!(changes(&lab), ["RegisterTaskDefinition", "UpdateService", "SendMessage"]);
}

fn decided(verb: HoldVerb, second: i64) -> TagOrder {
    let version = Timestamp::from_millis(second * 1_000);
    let decision = HoldDecision { verb, version, by: Some("ann".into()), reason: Some("it's late".into()) };
    TagOrder { target: target(), decision }
}

#[tokio::test]
async fn the_tags_of_a_service_say_what_was_decided_last_and_a_look_reads_them() {
    let lab = lab().await;
    for (verb, second, paused, calls) in [
        (HoldVerb::Pause, 10, true, 1),
        (HoldVerb::Pause, 10, true, 0),
        (HoldVerb::Resume, 9, true, 1),
        (HoldVerb::Resume, 20, false, 2),
        (HoldVerb::Pause, 15, false, 0),
        (HoldVerb::Hold, 30, false, 1),
    ] {
        let before = lab.operations().len();
        let told = lab.ecs.tag_service(&decided(verb, second)).await.unwrap();
        let made = lab.operations().split_off(before);
        assert_eq!(made.iter().filter(|it| it.contains("agResource")).count(), calls, "{verb:?} {made:?}");
        let seen = lab.look().await.holds;
        assert_eq!((&seen, seen.paused.is_some()), (&told, paused), "{verb:?} at {second}");
    }
    let held = lab.look().await.holds.record().unwrap();
    assert_eq!(
        (held.kind, held.by.as_deref(), held.reason.as_deref()),
        (HoldKind::Held, Some("ann"), Some("it s late"))
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_cannot_be_tagged() {
    let lab = lab().await;
    let nobody = format!("{ACCOUNT}/{REGION}/shop/nobody").parse().unwrap();
    let order = TagOrder { target: nobody, ..decided(HoldVerb::Pause, 10) };
    let failure = lab.ecs.tag_service(&order).await.unwrap_err();
    assert_eq!((failure.cause, failure.remedy), (Cause::TargetMissing, Remedy::GiveUp));
}

async fn rolled_out(lab: &Lab, order: &StartOrder) {
    lab.ecs.start(order, Clearance::default()).await.unwrap();
    lab.until(|look| newest(look).state == RolloutState::Succeeded).await;
}

/// From where to where, with which images.
async fn way_back(lab: &Lab, to: Option<&str>) -> Result<String, String> {
    let way = lab.ecs.way_back(&target(), to).await.map_err(|why| why.to_string())?;
    let follow: Vec<String> =
        way.follow.iter().map(|(name, tag)| format!(", {name} follows {tag}")).collect();
    Ok(format!("{} to {}{}", way.from, way.to, follow.concat()))
}

#[tokio::test]
async fn the_way_back_leads_to_what_was_good_before_and_not_to_what_was_gone_back_from() {
    let lab = lab().await;
    assert!(
        matches!(lab.ecs.way_back(&target(), None).await, Err(NoWayBack::Conflict(_))),
        "it is no wrong word"
    );
    let first = way_back(&lab, None).await.unwrap_err();
    assert!(first.contains("no last good deployment of api within ECS's 90 days"), "{first}");
    for tag in ["2", "v3"] {
        rolled_out(&lab, &order(tag)).await;
    }
    assert_eq!(way_back(&lab, None).await, Ok("api:3 to api:2".into()));
    for (to, found) in [("1", "api:1"), ("api:2", "api:2"), ("2", "api:2")] {
        assert_eq!(way_back(&lab, Some(to)).await, Ok(format!("api:3 to {found}")));
    }
    for to in ["api:3", "3"] {
        let why = way_back(&lab, Some(to)).await.unwrap_err();
        assert!(why.starts_with("api:3 runs already: without `to` the last good one"), "{to}: {why}");
    }
    assert!(way_back(&lab, Some("api:9")).await.unwrap_err().contains("there is no task definition api:9"));
    let container = json!({"name": "web", "image": "nginx:1"});
    lab.ask("RegisterTaskDefinition", json!({"family": "other", "containerDefinitions": [container]}));
    let foreign = way_back(&lab, Some("other:1")).await.unwrap_err();
    assert!(foreign.contains("api has never run other:1, nor another revision of other"), "{foreign}");
    let unknown = way_back(&lab, Some("v-unknown")).await.unwrap_err();
    assert!(unknown.contains("api has run nothing with the tag v-unknown within"), "{unknown}");
    let back = StartOrder { base: "api:2".parse().unwrap(), edits: BTreeMap::new(), ..order("2") };
    rolled_out(&lab, &back).await;
    assert_eq!(way_back(&lab, None).await, Ok("api:2 to api:1".into()), "api:3 was gone back from");
    let digest = &lab.digests["v3"];
    let digits = &digest.as_str()["sha256:".len()..];
    for to in ["v3", "api:3", "3", digest.as_str(), &digest.as_str()[..19], digits, &digits[..12]] {
        let way = lab.ecs.way_back(&target(), Some(to)).await.expect("it ran, and somebody names it");
        assert_eq!(way.to.to_string(), "api:3", "{to}");
        assert_eq!(way.to_images[0].digest.as_ref(), Some(digest), "{to}");
    }
    let unknown = way_back(&lab, Some("0123456789ab")).await.unwrap_err();
    assert!(
        unknown.contains("with the tag 0123456789ab or the digest sha256:0123456789ab within"),
        "{unknown}"
    );
    let first = StartOrder { base: "api:1".parse().unwrap(), edits: BTreeMap::new(), ..order("2") };
    rolled_out(&lab, &first).await;
    let why = way_back(&lab, None).await.unwrap_err();
    assert!(
        why.contains("within ECS's 90 days: it has gone back from all else that it ran; name a"),
        "{why}"
    );
}

#[tokio::test]
async fn while_a_rollout_goes_on_there_is_no_way_back() {
    let lab = lab().await;
    lab.ecs.start(&order("2"), Clearance::default()).await.unwrap();
    let why = way_back(&lab, None).await.unwrap_err();
    assert!(why.contains("a rollout of api:2 is in progress: cancel"), "{why}");
}

#[tokio::test]
async fn what_ended_is_remembered_with_how_it_ended_and_who_registered_it() {
    let lab = lab().await;
    lab.ecs.start(&order("crash"), Clearance::default()).await.unwrap();
    lab.until(|look| newest(look).state == RolloutState::RolledBack).await;
    lab.ecs.start(&order("2"), Clearance::default()).await.unwrap();
    let told = async |most| {
        let past = lab.ecs.past(&target(), most).await.unwrap().unwrap();
        let line = |it: PastRollout| {
            assert!(it.ended_at >= it.created_at);
            let previous = it.previous.map(|id| id.to_string()).unwrap_or_default();
            format!("{} after `{previous}`: {:?} by {:?}", it.definition, it.state, it.registered_by)
        };
        past.into_iter().map(line).collect::<Vec<_>>()
    };
    let before = ["api:2 after `api:1`: RolledBack by Some(\"d-1\")", "api:1 after ``: Succeeded by None"];
    assert_eq!(told(9).await, before, "what goes on is not past");
    lab.until(|look| newest(look).state == RolloutState::Succeeded).await;
    assert_eq!(told(1).await, ["api:3 after `api:1`: Succeeded by Some(\"d-1\")"]);
}

#[tokio::test]
async fn a_rollout_of_somebody_is_told_apart_from_ecs_s_way_back() {
    let lab = lab().await;
    let primary = async |definition: &str| {
        for _ in 0..500 {
            let services = json!({"cluster": "shop", "services": ["api"]});
            let told = lab.answer("DescribeServices", services)["services"][0]["deployments"][0].take();
            if told["taskDefinition"].as_str().unwrap().ends_with(definition) {
                return told["id"].as_str().unwrap().into();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{definition} is never primary")
    };
    let closely = async |id: &RolloutId| lab.ecs.stranger(&target(), id, true).await.unwrap();
    let ours = lab.ecs.start(&order("crash"), Clearance::default()).await.unwrap();
    let seen = closely(ours.id.deployment.as_ref().unwrap()).await.unwrap();
    assert_eq!((&seen.id, seen.goes_back), (&ours.id, false), "by both of its ids");
    let back: RolloutId = primary("api:1").await;
    let seen = closely(&back).await.unwrap();
    assert_eq!(seen.definition.unwrap().to_string(), "api:1");
    assert!(
        seen.goes_back || seen.created_at < ours.created_at,
        "once it has gone back, ECS does not say so"
    );
    lab.until(|look| newest(look).state == RolloutState::RolledBack).await;
    let theirs =
        json!({"cluster": "shop", "service": "api", "taskDefinition": "api:1", "forceNewDeployment": true});
    let asked = lab.answer("UpdateService", theirs)["service"]["deployments"][0]["id"].take();
    let theirs: RolloutId = asked.as_str().unwrap().into();
    let seen = closely(&theirs).await.unwrap();
    assert!(!seen.goes_back, "{seen:?}");
    assert!(seen.id.service_deployment.is_some() && seen.id.deployment == Some(theirs));
    assert_eq!(closely(&"ecs-svc/0".into()).await, None);
}

#[tokio::test]
async fn what_ended_is_remembered_soon_after_that_is_told() {
    let lab = lab().await;
    let ecs = Arc::new(Ecs::new(lab.connections.clone(), ACCOUNT.into()));
    let (lookup, questions) = Lookup::channel();
    let lane = LaneRecord {
        state: LaneState::Idle,
        deployment: None,
        next: None,
        waiting: 0,
        until: None,
        why: None,
        hold: None,
    };
    let record = TargetRecord {
        id: target(),
        name: "api".into(),
        cluster: "shop".into(),
        service: "api".into(),
        running: None,
        rollout: None,
        refused: None,
        lane,
    };
    let targets = Arc::new(vec![Arc::new(record)]);
    let snapshot = Snapshot { active: true, targets, ..Snapshot::empty(Moment::default()) };
    let (_keep, snapshots) = watch::channel(Arc::new(snapshot));
    let stop = CancellationToken::new();
    let letters = DeskSlot::default();
    Lookups { ecs, questions, snapshots, letters, clock: EngineClock::start() }.spawn(&stop);
    let remembered = async |most: usize| {
        for _ in 0..500 {
            if lookup.past().len() == most {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} are remembered, not {most}", lookup.past().len());
    };
    remembered(1).await;
    lab.ask("UpdateService", json!({"cluster": "shop", "service": "api", "forceNewDeployment": true}));
    lab.until(|look| look.rollouts.len() == 2 && newest(look).state == RolloutState::Succeeded).await;
    lookup.outdate("111122223333/eu-west-1/shop/gone".parse().unwrap());
    lookup.outdate(target());
    remembered(2).await;
    stop.cancel();
}

#[tokio::test]
async fn of_a_definition_that_is_gone_nothing_can_be_shown() {
    let lab = lab().await;
    let facts = async |id: &str| lab.ecs.definition_facts(&target(), &id.parse().unwrap()).await.unwrap();
    let there = facts("api:1").await.unwrap();
    assert_eq!(there.dependencies.len(), 1, "its image: {:?}", there.dependencies);
    assert!(facts("api:99").await.is_none());
}
