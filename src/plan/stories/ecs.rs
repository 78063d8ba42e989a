//! What ECS shows of a service in these stories, and how it moves.

use std::collections::BTreeMap;

use super::{at, revision};
use crate::domain::{
    DefinitionId, DefinitionView, Glance, LiveRollout, Look, LookOrder, MarkOrder, Rollout, RolloutKey,
    RolloutState, Running, ServiceState, StartOrder, Started, StoppedTask, Tasks, Timestamp,
};

/// A service that runs this definition since second 100, with two tasks.
pub(super) fn at_rest(definition: DefinitionView) -> Look {
    let running = Running { definition: definition.clone(), digests: BTreeMap::new(), since: Some(at(100)) };
    Look {
        taken_at: at(0),
        service: ServiceState::Active,
        created_at: None,
        desired: 2,
        running: Some(running),
        base: Ok(definition),
        wanted: None,
        rollouts: Vec::new(),
        holds: crate::domain::Holds::default(),
        tags: BTreeMap::new(),
        going_back: false,
        events: Vec::new(),
        stopped: Vec::new(),
    }
}

/// A rollout in progress, created at this second; it moved the service from `api:1`.
pub(in crate::plan) fn rollout(name: &str, created: i64, definition: DefinitionView) -> Rollout {
    Rollout {
        id: key(name),
        created_at: at(created),
        updated_at: at(created),
        definition,
        previous: Some(revision(1, "v1")),
        digests: BTreeMap::new(),
        primary: true,
        state: RolloutState::InProgress,
        rolls_back: true,
        stopped: false,
        tripped: false,
        undone_since: None,
        tasks: Tasks { desired: 2, running: 0, pending: 2, failed: 0 },
        reason: "".into(),
    }
}

pub(super) fn key(name: &str) -> RolloutKey {
    RolloutKey { deployment: Some(format!("ecs-svc/{name}").as_str().into()), service_deployment: None }
}

/// A task that stopped with this code and these words.
pub(in crate::plan) fn stopped_task(code: &str, reason: &str) -> StoppedTask {
    StoppedTask {
        stop_code: Some(code.into()),
        reason: Some(reason.into()),
        container: Some("web".into()),
        ..StoppedTask::default()
    }
}

/// What a look with this order brings.
pub(super) fn look(scene: &Look, order: &LookOrder, now: Timestamp) -> Look {
    let mut look = Look { taken_at: now, ..scene.clone() };
    look.rollouts.retain(|rollout| rollout.created_at >= order.since || rollout.state.is_live());
    look.wanted = order.wanted.as_ref().and(look.wanted);
    if !order.evidence {
        look.events.clear();
        look.stopped.clear();
    }
    look
}

/// What DescribeServices lists: what is in progress or primary, or in its place the way back, of which so much has returned.
pub(super) fn glance(scene: &Look, returned: Tasks) -> Glance {
    let is_listed = |rollout: &&Rollout| rollout.primary || rollout.state == RolloutState::InProgress;
    let live = |rollout: &Rollout| LiveRollout {
        id: rollout.id.deployment.clone().unwrap(),
        primary: rollout.primary,
        in_progress: rollout.state == RolloutState::InProgress,
        tasks: rollout.tasks,
        reason: rollout.reason.clone(),
    };
    let back = LiveRollout {
        id: "ecs-svc/back".into(),
        primary: true,
        in_progress: true,
        tasks: returned,
        reason: "".into(),
    };
    let is_going_back =
        scene.going_back || scene.rollouts.iter().any(|it| it.state == RolloutState::RollingBack);
    let listed = scene.rollouts.iter().filter(is_listed).map(live);
    Glance {
        service: scene.service.clone(),
        live: is_going_back.then_some(back).into_iter().chain(listed).collect(),
    }
}

/// What UpdateService does: the rollout before gives way.
pub(super) fn start(scene: &mut Look, name: &str, order: &StartOrder, now: Timestamp) -> Started {
    let definition = ordered(scene, order);
    for rollout in &mut scene.rollouts {
        rollout.primary = false;
        if rollout.state == RolloutState::InProgress {
            rollout.state = RolloutState::Stopped;
        }
    }
    let previous = scene.running.as_ref().map(|running| running.definition.clone());
    let created = rollout(name, now.as_millis() / 1000, definition.clone());
    let tasks = Tasks { desired: scene.desired, pending: scene.desired, ..Tasks::default() };
    scene.rollouts.insert(0, Rollout { created_at: now, updated_at: now, previous, tasks, ..created });
    Started { id: key(name), created_at: now, definition }
}

/// The revision that an order rolls out: one of those that are known, or one more with its images and marks.
fn ordered(scene: &Look, order: &StartOrder) -> DefinitionView {
    let known: Vec<&DefinitionView> = known(scene).collect();
    let base = known.iter().find(|it| it.id == order.base).expect("a start names what a look showed");
    let mut made = (*base).clone();
    if order.edits.is_empty() {
        made.marks.raise(&order.marks);
    } else {
        made.marks = order.marks.clone();
        let newest = known.iter().map(|it| it.id.revision).max().unwrap_or(0);
        made.id = DefinitionId { revision: newest + 1, ..base.id.clone() };
        made.images.extend(order.edits.clone());
    }
    made
}

/// What TagResource does.
pub(super) fn mark(scene: &mut Look, order: &MarkOrder) {
    let running = scene.running.iter_mut().map(|running| &mut running.definition);
    let named = scene.base.iter_mut().chain(scene.wanted.iter_mut().flatten());
    let rolled_out = scene.rollouts.iter_mut().map(|rollout| &mut rollout.definition);
    for definition in running.chain(named).chain(rolled_out).filter(|it| it.id == order.definition) {
        definition.marks.raise(&order.marks);
    }
}

fn known(scene: &Look) -> impl Iterator<Item = &DefinitionView> {
    let running = scene.running.iter().map(|running| &running.definition);
    let named = scene.base.iter().chain(scene.wanted.iter().flatten());
    running.chain(named).chain(scene.rollouts.iter().map(|rollout| &rollout.definition))
}

/// The newest rollout ends like this, or comes this far.
pub(super) fn turn_to(scene: &mut Look, state: RolloutState) {
    let rollout = scene.rollouts.first_mut().expect("a rollout");
    rollout.state = state;
    rollout.primary = match state {
        RolloutState::InProgress | RolloutState::Succeeded | RolloutState::Failed => true,
        RolloutState::RollingBack
        | RolloutState::RolledBack
        | RolloutState::RollbackFailed
        | RolloutState::Stopped => false,
    };
    if state == RolloutState::Succeeded {
        rollout.tasks = Tasks { desired: scene.desired, running: scene.desired, ..Tasks::default() };
        let (definition, digests) = (rollout.definition.clone(), rollout.digests.clone());
        scene.base = Ok(definition.clone());
        scene.running = Some(Running { definition, digests, since: Some(rollout.created_at) });
    }
}
