//! A task's life: from PROVISIONING to RUNNING, and from any phase to STOPPED.

use std::time::Duration;

use super::{
    images,
    model::{Defect, EcsService, Ending, Phase, Rollout, Task},
    scene::Scene,
};
use crate::domain::Timestamp;

/// What part of the start a task spends in PROVISIONING.
const PROVISIONING_SHARE: u64 = 5;
/// A `slow` image takes this many times longer to start.
const SLOWNESS: u64 = 10;
/// The longest pause between tries to start a task.
const LONGEST_PAUSE_MS: u64 = 15 * 60 * 1000;
/// How long a stopped task can still be described.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Places one task of the deployment at `place`. False if there is no room for it.
pub(super) fn start(service: &mut EcsService, place: usize, scene: &mut Scene<'_>) -> bool {
    let deployment = &mut service.deployments[place];
    let (images, behaviour) = images::of_task(deployment, scene);
    if behaviour.defect == Some(Defect::Unplaceable) {
        return false;
    }
    let mut task = Task {
        id: scene.rng.hex(),
        deployment: deployment.number,
        definition: deployment.definition.clone(),
        images,
        behaviour,
        created: scene.now,
        started: None,
        stopping: None,
        stopped: None,
        phase: Phase::Provisioning,
        due: Some(scene.now + scene.dials.scaled(scene.dials.start_ms / PROVISIONING_SHARE)),
        healthy_at: None,
        healthy: false,
        ending: None,
        version: 0,
    };
    scene.announce_task((&service.cluster, &service.name), &mut task);
    service.tasks.push(task);
    true
}

/// Begins to stop a task: one that runs is drained first.
pub(super) fn stop(service: &mut EcsService, place: usize, ending: Ending, scene: &mut Scene<'_>) {
    let running = service.tasks[place].phase == Phase::Running;
    begin_to_stop(service, place, ending, scene);
    let drain = scene.dials.drain_ms;
    let (phase, millis) = if running {
        (Phase::Deactivating, drain)
    } else {
        (Phase::Deprovisioning, drain / PROVISIONING_SHARE)
    };
    enter(service, place, phase, Some(scene.dials.scaled(millis)), scene);
}

/// The ending of a task that the scheduler no longer needs.
pub(super) fn scaled_in(number: u64) -> Ending {
    Ending {
        code: "ServiceSchedulerInitiated",
        reason: format!("Scaling activity initiated by (deployment ecs-svc/{number})"),
        exit: Some(143),
        container_reason: None,
    }
}

/// Moves every task on whose time has come, counts failures and recoveries, and forgets the long stopped.
pub(super) fn age(service: &mut EcsService, scene: &mut Scene<'_>) {
    let now = scene.now;
    for place in 0..service.tasks.len() {
        if service.tasks[place].healthy_at.is_some_and(|at| at <= now) {
            recover(service, place);
        }
        while service.tasks[place].due.is_some_and(|due| due <= now) {
            move_on(service, place, scene);
        }
    }
    service.tasks.retain(|task| is_remembered(task, now));
}

/// Whether a task can still be listed and described.
pub(super) fn is_remembered(task: &Task, now: Timestamp) -> bool {
    task.stopped.is_none_or(|at| now.since(at) < REMEMBERED)
}

fn recover(service: &mut EcsService, place: usize) {
    let task = &mut service.tasks[place];
    task.healthy_at = None;
    task.healthy = true;
    let number = task.deployment;
    if let Some(deployment) = service.deployment(number) {
        deployment.failed_tasks = 0;
        deployment.failed_starts = 0;
    }
}

fn move_on(service: &mut EcsService, place: usize, scene: &mut Scene<'_>) {
    let task = &mut service.tasks[place];
    task.due = None;
    match task.phase {
        Phase::Provisioning => {
            let dials = scene.dials;
            let factor = if task.behaviour.slow { SLOWNESS } else { 1 };
            let millis = (dials.start_ms - dials.start_ms / PROVISIONING_SHARE) * factor;
            let hangs = task.behaviour.defect == Some(Defect::Hanging);
            enter(service, place, Phase::Pending, (!hangs).then(|| dials.scaled(millis)), scene);
        }
        Phase::Pending if task.behaviour.defect == Some(Defect::Unpullable) => {
            let ending = cannot_pull(task);
            fail(service, place, ending, scene);
        }
        Phase::Pending => run(service, place, scene),
        Phase::Running => give_up(service, place, scene),
        Phase::Deactivating => {
            let millis = scene.dials.drain_ms / PROVISIONING_SHARE;
            enter(service, place, Phase::Deprovisioning, Some(scene.dials.scaled(millis)), scene);
        }
        Phase::Deprovisioning => end(service, place, scene),
        Phase::Stopped => {}
    }
}

fn enter(
    service: &mut EcsService,
    place: usize,
    phase: Phase,
    lasts: Option<Duration>,
    scene: &mut Scene<'_>,
) {
    let task = &mut service.tasks[place];
    task.phase = phase;
    task.due = lasts.map(|lasts| scene.now + lasts);
    scene.announce_task((&service.cluster, &service.name), task);
}

fn run(service: &mut EcsService, place: usize, scene: &mut Scene<'_>) {
    let dials = scene.dials;
    let task = &mut service.tasks[place];
    task.started = Some(scene.now);
    let (lasts, healthy) = match task.behaviour.defect {
        Some(Defect::Crashing | Defect::Starving) => (Some(dials.crash_after_ms), true),
        Some(Defect::Sick) => (Some(dials.sick_after_ms), false),
        Some(Defect::Unpullable | Defect::Unplaceable | Defect::Hanging) | None => (None, true),
    };
    task.healthy_at = healthy.then(|| scene.now + dials.scaled(dials.settle_ms));
    enter(service, place, Phase::Running, lasts.map(|millis| dials.scaled(millis)), scene);
}

/// Ends a running task that does what its image is marked for.
fn give_up(service: &mut EcsService, place: usize, scene: &mut Scene<'_>) {
    let exited = |exit, container_reason| Ending {
        code: "EssentialContainerExited",
        reason: "Essential container in task exited".to_owned(),
        exit: Some(exit),
        container_reason,
    };
    let ending = match service.tasks[place].behaviour.defect {
        Some(Defect::Starving) => exited(137, Some("OutOfMemoryError: Container killed due to memory usage")),
        Some(Defect::Sick) => Ending {
            code: "ServiceSchedulerInitiated",
            reason: "Task failed container health checks".to_owned(),
            exit: Some(143),
            container_reason: None,
        },
        Some(Defect::Crashing | Defect::Unpullable | Defect::Unplaceable | Defect::Hanging) | None => {
            exited(1, None)
        }
    };
    if ending.code == "ServiceSchedulerInitiated" {
        let task = service.tasks[place].id.clone();
        scene.note(service, &format!("(task {task}) failed container health checks."));
    }
    fail(service, place, ending, scene);
}

/// Ends a task that failed. The scheduler counts it and pauses from here on, before the task has quite stopped.
fn fail(service: &mut EcsService, place: usize, ending: Ending, scene: &mut Scene<'_>) {
    let millis = scene.dials.drain_ms / PROVISIONING_SHARE;
    begin_to_stop(service, place, ending, scene);
    enter(service, place, Phase::Deprovisioning, Some(scene.dials.scaled(millis)), scene);
    let (number, ran) = (service.tasks[place].deployment, service.tasks[place].started.is_some());
    count_failure(service, number, ran, scene);
}

fn begin_to_stop(service: &mut EcsService, place: usize, ending: Ending, scene: &Scene<'_>) {
    let task = &mut service.tasks[place];
    task.stopping = Some(scene.now);
    task.ending = Some(ending);
    task.healthy = false;
    task.healthy_at = None;
}

fn cannot_pull(task: &Task) -> Ending {
    let missing = task.images.iter().find(|pinned| pinned.digest.is_none()).or(task.images.first());
    let image = missing.map_or("", |pinned| pinned.image.as_str());
    Ending {
        code: "TaskFailedToStart",
        reason: format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: \
             {image}: not found"
        ),
        exit: None,
        container_reason: None,
    }
}

fn end(service: &mut EcsService, place: usize, scene: &mut Scene<'_>) {
    service.tasks[place].stopped = Some(scene.now);
    enter(service, place, Phase::Stopped, None, scene);
}

fn count_failure(service: &mut EcsService, number: u64, ran: bool, scene: &mut Scene<'_>) {
    let Some(deployment) = service.deployment(number) else { return };
    deployment.failed_tasks += 1;
    deployment.updated = scene.now;
    deployment.failed_starts = if ran { 0 } else { deployment.failed_starts + 1 };
    let doublings = deployment.failed_starts.saturating_sub(1).min(20);
    let millis = (scene.dials.retry_ms << doublings).min(LONGEST_PAUSE_MS);
    deployment.retry_at = Some(scene.now + scene.dials.scaled(millis));
    let impaired = deployment.failed_starts == 3 && deployment.rollout == Rollout::InProgress;
    if impaired && !service.limits().breaker {
        scene.note(service, "is unable to consistently start tasks successfully.");
        scene.act(service, "WARN", "SERVICE_TASK_START_IMPAIRED", None);
    }
}
