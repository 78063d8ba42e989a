//! Starting, superseding, failing and undoing deployments.
//!
//! A rollback is not a new deployment: the last completed one becomes primary and in progress again under its old
//! id, and the one that failed stays active and failed until that is done. While it lasts there is no completed
//! deployment to return to, so whatever fails then stalls.

use super::{
    model::{ContainerPlan, Deployment, EcsService, Passage, Rollback, Rollout, Standing},
    scene::Scene,
    scheduler::end_passage,
};
use crate::domain::Timestamp;

/// Why a deployment ends that somebody's newer one replaces.
const SUPERSEDED: &str = "A new service deployment was started.";
/// What the breaker says.
const TRIPPED: &str = "ECS deployment circuit breaker: tasks failed to start.";

/// How many consecutive failures the circuit breaker takes.
pub(super) fn threshold(desired: u64) -> u64 {
    desired.div_ceil(2).clamp(3, 200)
}

/// Starts a deployment of a definition over whatever is there.
pub(super) fn begin(
    service: &mut EcsService,
    definition: String,
    containers: Vec<ContainerPlan>,
    scene: &mut Scene<'_>,
) {
    let source_revision = service.primary().map(|primary| primary.revision);
    supersede(service, scene);
    let number = scene.rng.nineteen_digits();
    let deployment = Deployment {
        number,
        passage_id: scene.rng.hex()[..21].to_owned(),
        revision: scene.rng.nineteen_digits(),
        source_revision,
        definition,
        containers,
        pinned: None,
        created: scene.now,
        updated: scene.now,
        finished: None,
        stopped: None,
        standing: Standing::Primary,
        rollout: Rollout::InProgress,
        reason: format!("ECS deployment ecs-svc/{number} in progress."),
        failed_tasks: 0,
        failed_starts: 0,
        retry_at: None,
        passage: Passage::InProgress,
        passage_reason: String::new(),
        passage_due: None,
        rollback: None,
        undoes: None,
    };
    service.steady = false;
    scene.announce(service, &deployment, "SERVICE_DEPLOYMENT_IN_PROGRESS");
    service.deployments.insert(0, deployment);
}

/// Steps the primary deployment down. A service deployment that was not over, its own or the one that it undoes,
/// is asked to stop.
fn supersede(service: &mut EcsService, scene: &Scene<'_>) {
    let due = scene.now + scene.dials.scaled(scene.dials.drain_ms);
    let Some(primary) = service.deployments.iter_mut().find(|d| d.standing == Standing::Primary) else {
        return;
    };
    primary.standing = Standing::Active;
    primary.updated = scene.now;
    let undone = primary.undoes.take();
    ask_to_stop(primary, due);
    if let Some(undone) = undone.and_then(|number| service.deployment(number)) {
        ask_to_stop(undone, due);
    }
}

fn ask_to_stop(deployment: &mut Deployment, due: Timestamp) {
    if !deployment.passage.ended() {
        deployment.passage = Passage::StopRequested;
        SUPERSEDED.clone_into(&mut deployment.passage_reason);
        deployment.passage_due = Some(due);
    }
}

/// Lets requests to stop or to roll back take effect whose time has come.
pub(super) fn carry_out_requests(service: &mut EcsService, scene: &mut Scene<'_>) {
    let due = |d: &Deployment| d.passage_due.is_some_and(|due| due <= scene.now);
    let numbers: Vec<u64> = service.deployments.iter().filter(|d| due(d)).map(|d| d.number).collect();
    for number in numbers {
        let Some(deployment) = service.deployment(number) else { continue };
        deployment.passage_due = None;
        match deployment.passage {
            Passage::StopRequested => end_passage(deployment, Passage::Stopped, None, scene.now),
            Passage::RollbackRequested => {
                fail(service, number, "Service deployment stopped by user.", true, scene);
            }
            Passage::InProgress
            | Passage::Successful
            | Passage::Stopped
            | Passage::RollbackInProgress
            | Passage::RollbackSuccessful
            | Passage::RollbackFailed => {}
        }
    }
}

/// Fails the primary deployment when its consecutive failures reach the threshold. Without a breaker nothing ever
/// fails: ECS tries for ever.
pub(super) fn judge(service: &mut EcsService, scene: &mut Scene<'_>) {
    let limits = service.limits();
    let limit = threshold(service.desired);
    let Some(primary) = service.primary() else { return };
    let tripped = primary.rollout == Rollout::InProgress && primary.failed_tasks >= limit;
    if limits.breaker && tripped {
        let number = primary.number;
        fail(service, number, TRIPPED, limits.rollback, scene);
    }
}

/// Whether it was the breaker that failed this deployment, and nobody who stopped it.
pub(super) fn tripped(deployment: &Deployment) -> bool {
    deployment.reason == TRIPPED
}

/// Fails a deployment, and returns to the last completed one if asked to and if there is one.
fn fail(service: &mut EcsService, number: u64, reason: &str, rollback: bool, scene: &mut Scene<'_>) {
    let now = scene.now;
    let Some(deployment) = service.deployment(number) else { return };
    deployment.rollout = Rollout::Failed;
    reason.clone_into(&mut deployment.reason);
    reason.clone_into(&mut deployment.passage_reason);
    deployment.updated = now;
    let undoes = deployment.undoes.take();
    let failed = deployment.clone();
    let told = reason.rsplit(": ").next().unwrap_or(reason);
    scene.note(service, &format!("(deployment ecs-svc/{number}) deployment failed: {told}"));
    scene.announce(service, &failed, "SERVICE_DEPLOYMENT_FAILED");
    if let Some(first) = undoes.and_then(|first| service.deployment(first)) {
        // The rollback itself failed: there is nothing further back.
        end_passage(first, Passage::RollbackFailed, Some(reason), now);
        return;
    }
    let target = last_completed(service).filter(|_| rollback);
    if let Some(target) = target {
        undo(service, number, target, reason, scene);
    } else if let Some(deployment) = service.deployment(number) {
        let passage = if rollback { Passage::RollbackFailed } else { Passage::Stopped };
        end_passage(deployment, passage, None, now);
    }
}

/// The deployment that completed last and is not being rolled out again.
fn last_completed(service: &EcsService) -> Option<u64> {
    let completed = service.deployments.iter().filter(|d| d.rollout == Rollout::Completed);
    completed.max_by_key(|d| d.updated_when_completed()).map(|d| d.number)
}

impl Deployment {
    /// When it last completed, which orders candidates of a rollback.
    fn updated_when_completed(&self) -> (Option<Timestamp>, Timestamp) {
        (self.finished, self.created)
    }
}

fn undo(service: &mut EcsService, failed: u64, target: u64, reason: &str, scene: &mut Scene<'_>) {
    let now = scene.now;
    let Some(good) = service.deployment(target) else { return };
    good.standing = Standing::Primary;
    good.rollout = Rollout::InProgress;
    let by = if reason == TRIPPED { "ECS deployment circuit breaker" } else { "Service deployment" };
    good.reason = format!("{by}: rolling back to deploymentId ecs-svc/{target}.");
    good.updated = now;
    good.failed_tasks = 0;
    good.failed_starts = 0;
    good.retry_at = None;
    good.undoes = Some(failed);
    let (revision, good) = (good.revision, good.clone());
    if let Some(bad) = service.deployment(failed) {
        bad.standing = Standing::Active;
        bad.passage = Passage::RollbackInProgress;
        bad.rollback = Some(Rollback { reason: reason.to_owned(), started: now, revision });
    }
    service.steady = false;
    scene.note(service, &format!("rolling back to deployment ecs-svc/{target}."));
    scene.announce(service, &good, "SERVICE_DEPLOYMENT_IN_PROGRESS");
}
