//! Rollouts of our targets that we did not start: a person did, Terraform, or ECS itself. ECS tells of every rollout, and
//! of ours too; so what it tells is kept for a while, until it is known whose it was. Nothing is decided by any of this.
//!
//! Ours are known by their ids: from the answers to our starts, and from our reports where one is taken over. After a start of
//! ours that died they stand in the reports of the process that goes on once it holds the messages again; until then nothing
//! is called somebody's. Three things have an id that we may not know, and none of them is somebody's:
//!
//! - a start that is under way, or whose answer was lost: what ECS tells of its target waits, until the look that follows
//!   has shown what became of it. What was created then is ours, unless it is known whose it was;
//! - ECS's way back from a rollout of ours: it goes by the id of an older rollout, or of none that ECS lists. So around a
//!   deployment of ours a rollout is [looked at closely](super::strangers);
//! - a rollout that we took over by its other id: that closer look tells both.

use std::{collections::BTreeMap, time::Duration};

use super::{
    recent::Recent,
    strangers::{Looked, Named},
};
use crate::{
    aws::ecs::Stranger,
    domain::{
        CallFailure, ForeignRollout, ForeignState, Moment, Remedy, Report, RolloutHint, RolloutId,
        RolloutKey, Stage, Started, TargetId, TargetName, Timestamp,
    },
};

/// What ECS tells of a start of ours may be here before the answer to our own call.
const HOLD: Duration = Duration::from_secs(15);
/// After the end of a deployment of ours, and after an answer that was lost, it is less certain for so long what is ours.
const AFTERMATH: Duration = Duration::from_mins(2);
/// By so much may our clock and ECS's be apart, and what ECS tells be told later than it happened.
const APART: Duration = Duration::from_secs(5);
/// Events carry whole seconds.
const EVENT_UNIT: Duration = Duration::from_secs(1);
/// So often is it tried to look at what is not certain: for five minutes.
const MOST_TRIES: u32 = 20;
/// Of so many rollouts it is remembered that they are ours, or that they were told.
const MOST_REMEMBERED: usize = 10_000;

/// What was heard, and what is known to be ours.
#[derive(Debug)]
pub(super) struct Foreign {
    /// Nothing is told before.
    from: Moment,
    ours: Recent<RolloutId, ()>,
    /// How far somebody's were when they were told last.
    told: Recent<RolloutId, ForeignState>,
    targets: Recent<TargetId, Own>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    due: Moment,
    tries: u32,
    rollout: ForeignRollout,
}

/// What we last did to a target.
#[derive(Debug, Default)]
struct Own {
    /// When the last deployment of ours began.
    began: Option<Timestamp>,
    /// When it ended; `None` while it is under way.
    ended: Option<Moment>,
    /// Whether what ECS's events call it is known.
    has_id: bool,
    /// Since when a start is under way.
    starting: Option<Timestamp>,
    lost: Option<Lost>,
}

/// A start whose answer was lost.
#[derive(Debug)]
struct Lost {
    from: Timestamp,
    to: Timestamp,
    /// What became of it is known by then.
    until: Moment,
}

impl Foreign {
    /// Tells nothing before this moment.
    pub(super) fn silent_until(from: Moment) -> Self {
        Self {
            from,
            ours: Recent::new(MOST_REMEMBERED),
            told: Recent::new(MOST_REMEMBERED),
            targets: Recent::new(MOST_REMEMBERED),
            waiting: Vec::new(),
        }
    }

    /// ECS told of a rollout of this target.
    pub(super) fn heard(
        &mut self,
        now: Moment,
        target: (&TargetId, &TargetName),
        hint: &RolloutHint,
        at: Timestamp,
    ) {
        let (Some(state), Some(id)) = (state_of(&hint.event_name), &hint.rollout) else { return };
        if self.ours.contains(id) || !self.is_news(id, state) || self.waiting.len() >= MOST_REMEMBERED {
            return;
        }
        let rollout = ForeignRollout {
            target: target.0.clone(),
            name: target.1.clone(),
            rollout_id: id.clone(),
            state,
            definition: None,
            reason: hint.reason.clone(),
            at,
        };
        let is_known = |it: &Waiting| it.rollout.rollout_id == *id && it.rollout.state == state;
        if !self.waiting.iter().any(is_known) {
            self.waiting.push(Waiting { due: (now + HOLD).max(self.from), tries: 0, rollout });
        }
    }

    /// Takes in a report: the rollout that it is about is not somebody's.
    pub(super) fn learn(&mut self, now: Moment, report: &Report) {
        let (Report::Moved(record) | Report::Finished(record)) = report else { return };
        let key = record.rollout.iter().flat_map(RolloutKey::ids);
        key.chain(&record.rollout_id).for_each(|id| self.ours.insert(id.clone(), ()));
        if record.stage == Stage::Waiting {
            return;
        }
        let own = self.own(&record.target);
        own.began = record.started_at.or(own.began);
        own.ended = (record.stage == Stage::Finished).then_some(now);
        own.has_id = record.rollout.as_ref().is_some_and(|key| key.deployment.is_some());
    }

    /// A rollout of ours is asked for.
    pub(super) fn asked(&mut self, target: &TargetId, at: Timestamp) {
        self.own(target).starting = Some(at);
    }

    /// What became of that.
    pub(super) fn answered(
        &mut self,
        (now, at): (Moment, Timestamp),
        target: &TargetId,
        started: &Result<Started, CallFailure>,
    ) {
        let since = self.own(target).starting.take();
        match started {
            Ok(Started { id, .. }) => {
                id.ids().for_each(|id| self.ours.insert(id.clone(), ()));
            }
            Err(failure) if failure.remedy == Remedy::LookFirst => {
                let lost = Lost { from: since.unwrap_or(at), to: at + APART, until: now + AFTERMATH };
                self.own(target).lost = Some(lost);
            }
            Err(_) => {}
        }
    }

    /// What is to be looked at by now, in the order in which ECS told of it: what is due, and what came before it at the same
    /// target, though it was heard later.
    pub(super) fn due(&mut self, now: Moment) -> Vec<Named> {
        let mut ready: BTreeMap<TargetId, Timestamp> = BTreeMap::new();
        for Waiting { rollout, .. } in self.waiting.iter().filter(|it| it.due <= now) {
            if !self.is_starting(&rollout.target, now) {
                let latest = ready.entry(rollout.target.clone()).or_insert(rollout.at);
                *latest = rollout.at.max(*latest);
            }
        }
        let is_ready =
            |it: &Waiting| ready.get(&it.rollout.target).is_some_and(|latest| it.rollout.at <= *latest);
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(is_ready);
        self.waiting = waiting;
        self.in_order(due, now)
    }

    /// The process ends: what waits still, and is certain already, because nothing of ours is near. It is not looked at.
    pub(super) fn certain(&mut self, now: Moment) -> Vec<Looked> {
        if now < self.from {
            return Vec::new();
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|it| {
            !self.is_starting(&it.rollout.target, now) && !self.is_near(&it.rollout.target, now)
        });
        self.in_order(waiting, now).into_iter().map(|named| Looked { named, shown: Err(()) }).collect()
    }

    /// What is to be told of what was looked at: nothing of what turns out to be ours, or was told.
    pub(super) fn judged(&mut self, now: Moment, looked: Looked) -> Option<ForeignRollout> {
        let Looked { named: Named { mut rollout, closely, tries }, shown } = looked;
        match shown {
            Err(()) if closely && tries < MOST_TRIES => {
                self.waiting.push(Waiting { due: now + HOLD, tries: tries + 1, rollout });
                return None;
            }
            Ok(Some(stranger)) if self.is_ours(&rollout, &stranger) => {
                self.ours.insert(rollout.rollout_id, ());
                return None;
            }
            // What failed is not shown for long.
            Ok(None)
                if closely && rollout.state == ForeignState::Failed && self.lacks_id(&rollout.target) =>
            {
                return None;
            }
            Ok(stranger) => rollout.definition = stranger.and_then(|it| it.definition),
            Err(()) => {}
        }
        let id = &rollout.rollout_id;
        if self.ours.contains(id) || !self.is_news(id, rollout.state) {
            return None;
        }
        self.told.insert(id.clone(), rollout.state);
        Some(rollout)
    }

    /// As it happened, without what is ours.
    fn in_order(&self, mut waiting: Vec<Waiting>, now: Moment) -> Vec<Named> {
        waiting.sort_by_key(|it| (it.rollout.at, it.rollout.state));
        waiting.retain(|it| !self.ours.contains(&it.rollout.rollout_id));
        let named = |Waiting { tries, rollout, .. }| {
            let closely = self.is_ours_nearby(&rollout, now);
            Named { rollout, closely, tries }
        };
        waiting.into_iter().map(named).collect()
    }

    fn own(&mut self, target: &TargetId) -> &mut Own {
        if !self.targets.contains(target) {
            self.targets.insert(target.clone(), Own::default());
        }
        self.targets.get_mut(target).expect("it was just put there")
    }

    /// Whether it was not told yet: that it goes on is nothing new of what has ended.
    fn is_news(&self, id: &RolloutId, state: ForeignState) -> bool {
        match self.told.get(id) {
            None => true,
            Some(ForeignState::InProgress) => state != ForeignState::InProgress,
            Some(ForeignState::Completed | ForeignState::Failed) => false,
        }
    }

    /// Whether a rollout of ours may have begun at this target whose id is not known yet.
    fn is_starting(&self, target: &TargetId, now: Moment) -> bool {
        let is_lost = |own: &Own| own.lost.as_ref().is_some_and(|lost| now < lost.until);
        self.targets.get(target).is_some_and(|own| own.starting.is_some() || is_lost(own))
    }

    /// Whether this may belong to a deployment of ours.
    fn is_ours_nearby(&self, rollout: &ForeignRollout, now: Moment) -> bool {
        self.told.get(&rollout.rollout_id).is_none() && self.is_near(&rollout.target, now)
    }

    /// Whether a deployment of ours is under way there, or just was.
    fn is_near(&self, target: &TargetId, now: Moment) -> bool {
        let is_near = |own: &Own| own.ended.is_none_or(|ended| now < ended + AFTERMATH);
        self.targets.get(target).is_some_and(is_near)
    }

    fn lacks_id(&self, target: &TargetId) -> bool {
        self.targets.get(target).is_some_and(|own| !own.has_id)
    }

    fn is_ours(&self, rollout: &ForeignRollout, stranger: &Stranger) -> bool {
        let other = &stranger.id.service_deployment;
        if other.as_ref().is_some_and(|id| self.ours.contains(id)) || stranger.goes_back {
            return true;
        }
        let Some(own) = self.targets.get(&rollout.target) else { return false };
        let created = stranger.created_at;
        let began_in = |lost: &Lost| lost.from <= created + APART && created <= lost.to;
        own.lost.as_ref().is_some_and(began_in)
            || own.began.is_some_and(|began| returns(rollout, created, began))
    }
}

/// Whether a rollout from before ours moves again after ours began: ECS goes back to it. One that was under way when ours took
/// its place may only fail. The clocks matter where ECS does not say what it does.
fn returns(rollout: &ForeignRollout, created: Timestamp, began: Timestamp) -> bool {
    let says_so = rollout.reason.as_ref().is_some_and(|reason| reason.contains("rolling back to"));
    let apart = if says_so { Duration::ZERO } else { APART };
    let is_older = created + apart < began && began + apart <= rollout.at + EVENT_UNIT;
    match rollout.state {
        ForeignState::InProgress | ForeignState::Completed => is_older,
        ForeignState::Failed => false,
    }
}

fn state_of(event: &str) -> Option<ForeignState> {
    match event {
        "SERVICE_DEPLOYMENT_IN_PROGRESS" => Some(ForeignState::InProgress),
        "SERVICE_DEPLOYMENT_COMPLETED" => Some(ForeignState::Completed),
        "SERVICE_DEPLOYMENT_FAILED" => Some(ForeignState::Failed),
        _ => None,
    }
}

/// Whether ECS warns by an event of this name.
pub(super) fn is_warning(event: &str) -> bool {
    const WARNINGS: [&str; 9] = [
        "SERVICE_TASK_START_IMPAIRED",
        "SERVICE_DISCOVERY_INSTANCE_UNHEALTHY",
        "VPC_LATTICE_TARGET_UNHEALTHY",
        "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED",
        "ECS_OPERATION_THROTTLED",
        "SERVICE_DISCOVERY_OPERATION_THROTTLED",
        "SERVICE_TASK_PLACEMENT_FAILURE",
        "SERVICE_TASK_CONFIGURATION_FAILURE",
        "SERVICE_HEALTH_UNKNOWN",
    ];
    WARNINGS.contains(&event)
}

#[cfg(test)]
mod tests;
