//! Rollouts that failed while nobody watched them: no Lockkeeper ran, and the message that asked for them is gone, so nobody
//! was told. They are told once, and never started again.
//!
//! Only the newest rollout of a target counts, because whoever began a later one has seen to it. It is looked at once,
//! where it was created since shortly before this process began and no deployment of this process ended after it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tracing::warn;

use super::{Lately, Pass, Question};
use crate::{
    domain::{
        DeploymentRecord, LookOrder, Outcome, Prospect, Rollout, RolloutState, TargetId, Timestamp,
        UnwatchedRollout,
    },
    inventory::drift::Subject,
};

/// A process that ended is replaced within minutes, and what it had told before is not told again for long.
const LOOK_BACK: Duration = Duration::from_hours(1);

/// A rollout that ECS undid began before the rollback that shows as the newest: at most so long.
const LONGEST_ROLLOUT: Duration = Duration::from_hours(24);

/// So many looks are taken in one pass; the next goes on.
const MOST_LOOKS: usize = 100;

/// What is known of the newest rollout of a target.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    newest: Timestamp,
    failed: Option<UnwatchedRollout>,
}

impl Pass<'_> {
    /// Finds those of these targets. `None` if the loop has ended.
    pub(super) async fn find_ended(&mut self, subjects: &[Subject]) -> Option<()> {
        let running_for = self.of.clock.moment().since(self.of.began);
        let Some(now) = subjects.iter().map(|it| it.read_at).max() else { return Some(()) };
        // By AWS's clock, as all that is compared with it.
        let began_at = before(now, running_for);
        let since = before(began_at, LOOK_BACK);
        let newest: BTreeMap<&TargetId, Option<Timestamp>> =
            subjects.iter().map(|it| (&it.target, it.newest_rollout)).collect();
        self.remembered.ended.retain(|target, ended| newest.get(target) == Some(&Some(ended.newest)));
        let mut looks = 0;
        for subject in subjects {
            let Some(newest) = subject.newest_rollout.filter(|newest| *newest >= since) else { continue };
            if self.remembered.ended.contains_key(&subject.target) || looks >= MOST_LOOKS {
                continue;
            }
            let target = subject.target.clone();
            let Lately::Ended(told) = self.of.ask(|answer| Question::Lately(target, answer)).await? else {
                continue;
            };
            let failed = if told.iter().any(|it| it.finished_at >= Some(newest) && tells_its_fate(it)) {
                None
            } else {
                looks += 1;
                let Some(rollout) = self.newest(subject, newest).await else { continue };
                let is_news = |it: &Rollout| is_news(it, began_at, since) && !is_told(it, &told);
                rollout.filter(is_news).map(|it| unwatched(subject, &it))
            };
            if let Some(failed) = &failed {
                tell(failed);
            }
            self.remembered.ended.insert(subject.target.clone(), Ended { newest, failed });
        }
        self.record.unwatched =
            self.remembered.ended.values().filter_map(|ended| ended.failed.clone()).collect();
        Some(())
    }

    /// Its newest rollout, if it has one; `None` if that is not over, or cannot be read now.
    async fn newest(&mut self, subject: &Subject, created_at: Timestamp) -> Option<Option<Rollout>> {
        let order = LookOrder {
            target: subject.target.clone(),
            since: before(created_at, LONGEST_ROLLOUT),
            base: subject.settings.base.clone(),
            wanted: None,
            evidence: false,
            prospect: Prospect::Nothing,
        };
        let look = self.of.ecs.look(&order).await;
        let look = self.taken(look)?;
        let newest = look.rollouts.into_iter().next();
        let is_over = newest.as_ref().is_none_or(|it| !it.state.is_live()) && !look.going_back;
        is_over.then_some(newest)
    }
}

/// Whether it failed, lately, and not before the eyes of who would have told it by its events.
fn is_news(rollout: &Rollout, began_at: Timestamp, since: Timestamp) -> bool {
    let is_ours = rollout.definition.marks.deployment.is_some();
    // What others begin while we run is told by its events.
    let has_ended_unseen = rollout.updated_at >= since && (is_ours || rollout.updated_at < began_at);
    // Whoever has stopped it knows: a person, or a process of ours that tells it once it has its message back.
    has_failed(rollout) && !rollout.stopped && has_ended_unseen
}

/// Whether the end of this deployment, which came after a rollout began, was the end of that.
fn tells_its_fate(record: &DeploymentRecord) -> bool {
    match record.outcome {
        Some(Outcome::Succeeded | Outcome::Failed | Outcome::RolledBack) => true,
        None | Some(Outcome::AlreadyRunning | Outcome::Superseded | Outcome::Cancelled | Outcome::DryRun) => {
            false
        }
    }
}

/// Whether one of these deployments was this rollout.
fn is_told(rollout: &Rollout, told: &[Arc<DeploymentRecord>]) -> bool {
    told.iter().any(|it| {
        let is_it = rollout.id.ids().any(|id| it.rollout_id.as_ref() == Some(id));
        is_it || rollout.definition.marks.deployment.as_ref() == Some(&it.id)
    })
}

fn unwatched(subject: &Subject, rollout: &Rollout) -> UnwatchedRollout {
    UnwatchedRollout {
        target: subject.target.clone(),
        name: subject.settings.name.clone(),
        rollout: rollout.id.shown().cloned(),
        deployment: rollout.definition.marks.deployment_of(&subject.target).cloned(),
        definition: rollout.definition.id.clone(),
        rolled_back: rollout.state == RolloutState::RolledBack,
        reason: rollout.reason.clone(),
        ended_at: rollout.updated_at,
    }
}

fn has_failed(rollout: &Rollout) -> bool {
    match rollout.state {
        RolloutState::Failed | RolloutState::RolledBack | RolloutState::RollbackFailed => true,
        // Another one took its place, and is the newer.
        RolloutState::InProgress
        | RolloutState::Succeeded
        | RolloutState::RollingBack
        | RolloutState::Stopped => false,
    }
}

fn before(at: Timestamp, length: Duration) -> Timestamp {
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_sub(length))
}

fn tell(it: &UnwatchedRollout) {
    let rollout = it.rollout.as_ref().map_or("a rollout", |id| id.as_str());
    let whose = match &it.deployment {
        Some(deployment) => format!(" of deployment {deployment}"),
        None => ", of which nobody knows who began it,".into(),
    };
    let how = if it.rolled_back { "was rolled back" } else { "failed" };
    let UnwatchedRollout { name, ended_at, reason, .. } = it;
    warn!(
        service = name.as_str(), task_definition = %it.definition, error = &**reason,
        "{rollout} of {name}{whose} {how} at {ended_at} while nobody watched it; it is not started again"
    );
}
