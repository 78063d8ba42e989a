//! One pass over one service: tasks age, requests take effect, the breaker judges, tasks are placed and retired
//! between the minimum and the maximum, and the deployment completes when only its own healthy tasks are left.

use super::{
    breaker, life,
    model::{EcsService, Life, Passage, Phase, Rollout, Standing, Task},
    scene::Scene,
};
use crate::domain::Timestamp;

/// Does everything that is due at `scene.now`, and sets when to come back.
pub(super) fn pass(service: &mut EcsService, scene: &mut Scene<'_>) {
    life::age(service, scene);
    breaker::carry_out_requests(service, scene);
    breaker::judge(service, scene);
    if service.life == Life::Active {
        place(service, scene);
        retire(service, scene);
        complete(service, scene);
    } else {
        wind_up(service, scene);
    }
    service.wake = next_due(service, scene.now);
}

/// How many tasks must stay healthy, and how many there may be.
fn bounds(service: &EcsService) -> (usize, usize) {
    let limits = service.limits();
    let least = (service.desired * limits.minimum_percent).div_ceil(100);
    let most = service.desired * limits.maximum_percent / 100;
    (to_usize(least), to_usize(most).max(usize::from(service.desired > 0)))
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn wanted(service: &EcsService, deployment: Option<u64>) -> usize {
    service.running(deployment) + service.pending(deployment)
}

fn healthy(service: &EcsService) -> usize {
    service.tasks.iter().filter(|task| task.healthy && task.phase == Phase::Running).count()
}

/// Starts tasks of the primary deployment up to the desired count, as far as the maximum and the pause allow.
fn place(service: &mut EcsService, scene: &mut Scene<'_>) {
    let Some(at) = service.deployments.iter().position(|d| d.standing == Standing::Primary) else { return };
    let primary = &service.deployments[at];
    // A deployment that failed with nothing to return to is stalled.
    if primary.rollout == Rollout::Failed || primary.retry_at.is_some_and(|retry| retry > scene.now) {
        return;
    }
    let mine = wanted(service, Some(primary.number));
    let room = bounds(service).1.saturating_sub(wanted(service, None));
    let missing = to_usize(service.desired).saturating_sub(mine).min(room);
    let started = (0..missing).take_while(|_| life::start(service, at, scene)).count();
    if started < missing {
        no_room(service, at, scene);
    }
    if started > 0 {
        let newest = service.tasks.iter().rev().take(started);
        let ids: Vec<String> = newest.map(|task| format!("(task {})", task.id)).collect();
        scene.note(service, &format!("has started {started} tasks: {}.", ids.join(" ")));
    }
}

fn no_room(service: &mut EcsService, at: usize, scene: &mut Scene<'_>) {
    let dials = scene.dials;
    service.deployments[at].retry_at = Some(scene.now + dials.scaled(dials.retry_ms * 10));
    scene.note(
        service,
        "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a \
         different availability zone.",
    );
    scene.act(service, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", Some("RESOURCE:FARGATE"));
}

/// Stops tasks that are too many: of older deployments while enough healthy ones remain, and of the primary one
/// where the desired count fell.
fn retire(service: &mut EcsService, scene: &mut Scene<'_>) {
    let Some(primary) = service.primary() else { return };
    let (number, stalled) = (primary.number, primary.rollout == Rollout::Failed);
    let desired = to_usize(service.desired);
    let mut retired = Vec::new();
    while let Some(place) = surplus(service, number, desired).or_else(|| outdated(service, number, stalled)) {
        retired.push(format!("(task {})", service.tasks[place].id));
        life::stop(service, place, life::scaled_in(number), scene);
    }
    if !retired.is_empty() {
        scene.note(service, &format!("has stopped {} running tasks: {}.", retired.len(), retired.join(" ")));
    }
}

fn surplus(service: &EcsService, primary: u64, desired: usize) -> Option<usize> {
    let excess = wanted(service, Some(primary)) > desired;
    let mine = |task: &Task| task.deployment == primary && task.phase.wanted();
    service.tasks.iter().rposition(mine).filter(|_| excess)
}

fn outdated(service: &EcsService, primary: u64, stalled: bool) -> Option<usize> {
    let old = |task: &Task| task.deployment != primary;
    if service.desired == 0 {
        return service.tasks.iter().position(|task| old(task) && task.phase.wanted());
    }
    if stalled {
        return None;
    }
    let waiting = |task: &Task| old(task) && matches!(task.phase, Phase::Provisioning | Phase::Pending);
    if let Some(place) = service.tasks.iter().position(waiting) {
        return Some(place);
    }
    let unhealthy = |task: &Task| old(task) && task.phase == Phase::Running && !task.healthy;
    let running = |task: &Task| old(task) && task.phase == Phase::Running;
    let place =
        service.tasks.iter().position(unhealthy).or_else(|| service.tasks.iter().position(running))?;
    let (least, most) = bounds(service);
    let desired = to_usize(service.desired);
    let spare = healthy(service) > least || !service.tasks[place].healthy;
    // Old tasks are only given up for new ones that are there already, or that have no room without that.
    let replaced = healthy(service) > desired;
    let crowded = wanted(service, Some(primary)) < desired && wanted(service, None) >= most;
    (spare && (replaced || crowded || !service.tasks[place].healthy)).then_some(place)
}

/// Completes the primary deployment, and says when the service is steady.
fn complete(service: &mut EcsService, scene: &mut Scene<'_>) {
    let Some(primary) = service.primary() else { return };
    let (number, rollout) = (primary.number, primary.rollout);
    let steady = is_steady(service, number);
    if steady && rollout == Rollout::InProgress {
        finish(service, number, scene);
    }
    if steady && !service.steady && rollout != Rollout::Failed {
        scene.note(service, "has reached a steady state.");
        scene.act(service, "INFO", "SERVICE_STEADY_STATE", None);
    }
    service.steady = steady;
    forget_empty(service);
}

fn is_steady(service: &EcsService, primary: u64) -> bool {
    let desired = to_usize(service.desired);
    if desired == 0 {
        return wanted(service, None) == 0;
    }
    let mine = service.tasks.iter().filter(|task| task.deployment == primary && task.phase.wanted());
    let left = service.tasks.iter().any(|task| task.deployment != primary && task.phase != Phase::Stopped);
    !left && wanted(service, Some(primary)) == desired && mine.filter(|task| task.healthy).count() == desired
}

fn finish(service: &mut EcsService, number: u64, scene: &mut Scene<'_>) {
    let now = scene.now;
    let undone = service.deployment(number).and_then(|deployment| {
        deployment.rollout = Rollout::Completed;
        deployment.reason = format!("ECS deployment {} completed.", deployment.id());
        deployment.updated = now;
        if !deployment.passage.ended() {
            end_passage(deployment, Passage::Successful, None, now);
        }
        deployment.undoes.take()
    });
    if let Some(failed) = undone.and_then(|failed| service.deployment(failed)) {
        end_passage(failed, Passage::RollbackSuccessful, None, now);
    }
    scene.note(service, &format!("(deployment ecs-svc/{number}) deployment completed."));
    if let Some(deployment) = service.primary().cloned() {
        scene.announce(service, &deployment, "SERVICE_DEPLOYMENT_COMPLETED");
    }
}

/// Ends a service deployment.
pub(super) fn end_passage(
    deployment: &mut super::model::Deployment,
    passage: Passage,
    reason: Option<&str>,
    now: Timestamp,
) {
    deployment.passage = passage;
    deployment.passage_due = None;
    deployment.finished = Some(now);
    deployment.updated = now;
    if let Some(reason) = reason {
        reason.clone_into(&mut deployment.passage_reason);
    }
    match passage {
        Passage::Stopped | Passage::RollbackSuccessful | Passage::RollbackFailed => {
            deployment.stopped = Some(now);
        }
        Passage::Successful
        | Passage::InProgress
        | Passage::StopRequested
        | Passage::RollbackRequested
        | Passage::RollbackInProgress => {}
    }
}

/// An older deployment without tasks is no longer described, unless it is what failed and is being undone.
fn forget_empty(service: &mut EcsService) {
    let busy: Vec<u64> = service
        .tasks
        .iter()
        .filter(|task| task.phase != Phase::Stopped)
        .map(|task| task.deployment)
        .collect();
    let undone: Vec<u64> = service.deployments.iter().filter_map(|deployment| deployment.undoes).collect();
    for deployment in &mut service.deployments {
        let kept = busy.contains(&deployment.number) || undone.contains(&deployment.number);
        if deployment.standing == Standing::Active && !kept {
            deployment.standing = Standing::Inactive;
        }
    }
}

/// A deleted service stops its tasks, and is INACTIVE when the last has stopped.
fn wind_up(service: &mut EcsService, scene: &mut Scene<'_>) {
    let number = service.primary().map_or(0, |primary| primary.number);
    while let Some(place) = service.tasks.iter().position(|task| task.phase.wanted()) {
        life::stop(service, place, life::scaled_in(number), scene);
    }
    if service.life == Life::Draining && service.tasks.iter().all(|task| task.phase == Phase::Stopped) {
        service.life = Life::Inactive;
        for deployment in &mut service.deployments {
            deployment.standing = Standing::Inactive;
        }
    }
}

fn next_due(service: &EcsService, now: Timestamp) -> Option<Timestamp> {
    let tasks = service.tasks.iter().flat_map(|task| [task.due, task.healthy_at]).flatten();
    let deployments = service.deployments.iter().filter(|d| d.standing != Standing::Inactive);
    let deployments = deployments.flat_map(|d| [d.retry_at, d.passage_due]).flatten();
    let requests = service.deployments.iter().filter_map(|deployment| deployment.passage_due);
    tasks.chain(deployments).chain(requests).filter(|due| *due > now).min()
}
