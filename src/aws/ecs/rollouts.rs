//! Which rollouts a service has had, from the two lists that ECS keeps of them.
//!
//! DescribeServices lists *deployments* (`ecs-svc/…`) while they are live: one PRIMARY, and the ACTIVE ones that
//! still drain. ListServiceDeployments lists *service deployments* (ARNs) for 90 days, with how each ended. Neither
//! list names the ids of the other, so they are paired here: the primary deployment with the service's current
//! service deployment, all others by definition and time.
//!
//! When ECS rolls back, the first list shows a new deployment, the second only changes the state of the rollout
//! that is undone. A rollback is no rollout of its own, so that deployment is recognized and left out: by the time
//! and revision that the second list gives for the rollback, or, where there is no second list, by ECS's reason.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use super::service::{Entry, Progress, Service};
use crate::domain::{
    ContainerName, DefinitionId, Digest, RolloutId, RolloutKey, RolloutState, Tasks, Timestamp,
};

/// How far apart the creation times of the same rollout may be in the two lists.
pub(super) const SAME_ROLLOUT: Duration = Duration::from_secs(5);

/// A service deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) arn: Arc<str>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// When it ended. What ECS calls updated moves on also when the next one begins.
    pub(super) finished_at: Option<Timestamp>,
    pub(super) status: Status,
    pub(super) reason: Arc<str>,
    /// The ARN of the revision that it rolls out.
    pub(super) revision: Option<Arc<str>>,
    /// What is known only after it was described.
    pub(super) details: Option<Details>,
}

/// What DescribeServiceDeployments adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Details {
    /// Whether its circuit breaker or an alarm went off.
    pub(super) tripped: bool,
    pub(super) rolls_back: bool,
    pub(super) rollback: Option<Rollback>,
    /// The ARNs of the revisions that had tasks when it began.
    pub(super) sources: Vec<Arc<str>>,
    pub(super) tasks: Tasks,
}

/// How a rollout is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rollback {
    pub(super) started_at: Option<Timestamp>,
    /// The ARN of the revision that ECS goes back to.
    pub(super) revision: Option<Arc<str>>,
}

/// ECS's `ServiceDeploymentStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    InProgress,
    StopRequested,
    Stopped,
    Successful,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

/// What a revision of a service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Revision {
    pub(super) definition: DefinitionId,
    /// The digests that ECS pinned so far.
    pub(super) digests: BTreeMap<ContainerName, Digest>,
}

/// What is known of the revisions, by their ARNs.
pub(super) type Revisions = BTreeMap<Arc<str>, Revision>;

/// A rollout, but for the content of its definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: RolloutKey,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) definition: DefinitionId,
    /// The definition that the service had before, where it is known.
    pub(super) previous: Option<DefinitionId>,
    pub(super) digests: BTreeMap<ContainerName, Digest>,
    pub(super) primary: bool,
    pub(super) state: RolloutState,
    pub(super) rolls_back: bool,
    /// Whether its circuit breaker or an alarm went off, as far as that is known.
    pub(super) tripped: bool,
    /// When ECS began to go back from it, where that is known.
    pub(super) undone_since: Option<Timestamp>,
    pub(super) tasks: Tasks,
    pub(super) reason: Arc<str>,
}

/// What the last completed rollout left running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Good {
    pub(super) definition: DefinitionId,
    pub(super) digests: BTreeMap<ContainerName, Digest>,
    pub(super) since: Timestamp,
}

impl Status {
    /// Whether it never changes again.
    pub(super) fn is_final(self) -> bool {
        match self {
            Self::Stopped | Self::Successful | Self::RollbackSuccessful | Self::RollbackFailed => true,
            Self::Pending
            | Self::InProgress
            | Self::StopRequested
            | Self::RollbackRequested
            | Self::RollbackInProgress => false,
        }
    }

    /// Whether ECS undoes the rollout, or has.
    fn is_rollback(self) -> bool {
        match self {
            Self::RollbackRequested
            | Self::RollbackInProgress
            | Self::RollbackSuccessful
            | Self::RollbackFailed => true,
            Self::Pending | Self::InProgress | Self::StopRequested | Self::Stopped | Self::Successful => {
                false
            }
        }
    }
}

impl Recorded {
    /// Whether it still has to be described for its state to be known.
    pub(super) fn needs_details(&self) -> bool {
        self.details.is_none() && self.status != Status::Successful
    }

    /// Every revision whose content matters.
    pub(super) fn named_revisions(&self) -> impl Iterator<Item = &Arc<str>> {
        let details = self.details.iter();
        let rollback = self.rollback().and_then(|it| it.revision.as_ref());
        self.revision.iter().chain(rollback).chain(details.flat_map(|it| &it.sources))
    }

    /// The definition that the service had when this had ended: that of the rollback, where there was one.
    pub(super) fn left(&self, revisions: &Revisions) -> Option<DefinitionId> {
        let undone = self.status.is_rollback().then(|| self.rollback()?.revision.as_ref()).flatten();
        Some(revisions.get(undone.or(self.revision.as_ref())?)?.definition.clone())
    }

    /// The one definition that ran when this began.
    pub(super) fn source(&self, revisions: &Revisions) -> Option<DefinitionId> {
        let mut sources = self.details.as_ref()?.sources.iter().map(|arn| revisions.get(arn));
        let first = sources.next()??;
        let same = sources.all(|it| it.is_some_and(|it| it.definition == first.definition));
        same.then(|| first.definition.clone())
    }

    /// The definition that it rolls out.
    pub(super) fn definition<'a>(&self, revisions: &'a Revisions) -> Option<&'a DefinitionId> {
        Some(&revisions.get(self.revision.as_ref()?)?.definition)
    }

    fn rollback(&self) -> Option<&Rollback> {
        self.details.as_ref()?.rollback.as_ref()
    }
}

/// Every rollout that the two lists show, newest first; the error names a revision that is not known. `recorded` is
/// newest first.
pub(super) fn rollouts(
    service: &Service,
    recorded: &[Recorded],
    revisions: &Revisions,
) -> Result<Vec<Found>, String> {
    let pairs = pairs(service, recorded, revisions);
    let unpaired: Vec<&Entry> = (0..)
        .zip(&service.entries)
        .filter(|(position, entry)| !pairs.contains_key(position) && !is_rollback(entry, recorded, revisions))
        .map(|(_, entry)| entry)
        .collect();
    let newest = recorded.iter().map(|it| it.created_at).chain(unpaired.iter().map(|it| it.created_at)).max();
    let mut found = Vec::new();
    for (position, record) in recorded.iter().enumerate() {
        let before = || recorded.get(position + 1).and_then(|older| older.left(revisions));
        let previous = record.source(revisions).or_else(before);
        let entry = pairs.iter().find(|(_, to)| **to == position).map(|(from, _)| &service.entries[*from]);
        let newer = newest > Some(record.created_at);
        found.push(Found { previous, ..of_record(service, record, entry, newer, revisions)? });
    }
    found.extend(unpaired.into_iter().filter_map(|entry| of_entry(service, entry)));
    found.sort_by_key(|it| Reverse((it.created_at, it.primary)));
    Ok(found)
}

/// Whether ECS is going back from a rollout and has not arrived.
pub(super) fn going_back(service: &Service, recorded: &[Recorded], revisions: &Revisions) -> bool {
    let paired = pairs(service, recorded, revisions).contains_key(&0);
    let primary = service.primary().filter(|entry| service.progress(entry) == Progress::Ongoing);
    primary.is_some_and(|entry| says_rollback(entry) || (!paired && is_rollback(entry, recorded, revisions)))
}

/// What the last completed rollout left running: the primary deployment's where it is complete, else the newest
/// successful service deployment's, else that of a deployment that still drains.
pub(super) fn last_good(service: &Service, recorded: &[Recorded], revisions: &Revisions) -> Option<Good> {
    let complete = service.primary().filter(|entry| service.progress(entry) == Progress::Completed);
    if let Some(entry) = complete {
        let definition = entry.definition.clone().or_else(|| service.definition.clone())?;
        let paired =
            pairs(service, recorded, revisions).get(&0).and_then(|to| recorded[*to].revision.as_ref());
        let candidates = paired.into_iter().chain(&service.revisions);
        let revision = candidates.filter_map(|arn| revisions.get(arn)).find(|it| it.definition == definition);
        let digests = revision.map(|it| it.digests.clone()).unwrap_or_default();
        return Some(Good { definition, digests, since: entry.created_at });
    }
    let successful = recorded.iter().filter(|it| it.status == Status::Successful);
    if let Some(newest) = successful.max_by_key(|it| it.created_at) {
        let Revision { definition, digests } = revisions.get(newest.revision.as_ref()?)?.clone();
        return Some(Good { definition, digests, since: newest.created_at });
    }
    let drains = service.entries.iter().find(|it| !it.primary && it.progress != Some(Progress::Failed))?;
    let definition = drains.definition.clone()?;
    Some(Good { definition, digests: BTreeMap::new(), since: drains.created_at })
}

/// Whether the newest successful service deployment has to be asked for, because nothing nearer tells what was good.
pub(super) fn needs_history(service: &Service, recorded: &[Recorded]) -> bool {
    let complete = service.primary().is_some_and(|entry| service.progress(entry) == Progress::Completed);
    !complete && recorded.iter().all(|it| it.status != Status::Successful)
}

/// Which entry of the first list is which of the second, by position.
fn pairs(service: &Service, recorded: &[Recorded], revisions: &Revisions) -> BTreeMap<usize, usize> {
    let mut pairs = BTreeMap::new();
    for (from, entry) in service.entries.iter().enumerate() {
        let fits = |(to, record): &(usize, &Recorded)| {
            let current = entry.primary && service.current.as_ref() == Some(&record.arn);
            // While ECS rolls back, the service's current one is still the rollout that it undoes.
            let near = (current && !record.status.is_rollback())
                || apart(entry.created_at, record.created_at) <= SAME_ROLLOUT;
            let same =
                entry.definition.as_ref() == record.definition(revisions) && entry.definition.is_some();
            near && same && !undoes(entry, record) && !pairs.values().any(|taken| taken == to)
        };
        let distance = |(_, record): &(usize, &Recorded)| apart(entry.created_at, record.created_at);
        if let Some((to, _)) = recorded.iter().enumerate().filter(fits).min_by_key(distance) {
            pairs.insert(from, to);
        }
    }
    pairs
}

/// Whether an entry is nearer to the start of this rollout's rollback than to the start of the rollout.
fn undoes(entry: &Entry, record: &Recorded) -> bool {
    let rollback = record.rollback().and_then(|it| it.started_at);
    rollback.is_some_and(|at| apart(entry.created_at, at) < apart(entry.created_at, record.created_at))
}

/// Whether an entry without a partner is ECS's rollback of another rollout.
fn is_rollback(entry: &Entry, recorded: &[Recorded], revisions: &Revisions) -> bool {
    let of = |record: &Recorded| {
        let to = record.rollback().and_then(|it| revisions.get(it.revision.as_ref()?));
        let there = to.is_none_or(|to| entry.definition.as_ref() == Some(&to.definition));
        let then = match record.rollback().and_then(|it| it.started_at) {
            Some(at) => apart(entry.created_at, at) <= SAME_ROLLOUT,
            None => entry.created_at > record.created_at,
        };
        record.status.is_rollback() && there && then
    };
    says_rollback(entry) || recorded.iter().any(of)
}

/// The one place where ECS tells of a rollback in words only.
pub(super) fn says_rollback(entry: &Entry) -> bool {
    entry.reason.contains("rolling back to deploymentId")
}

/// Only the words tell a rollout that was told to stop from one that a breaker, an alarm or a hook ended. Who told it to,
/// and why, they do not say.
pub(super) fn says_stopped(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("stopped by user") || reason.contains("stopped by a user")
}

/// The first list tells of the circuit breaker in words only; and with the same ones of the way back.
fn says_tripped(entry: &Entry) -> bool {
    entry.reason.contains("circuit breaker") && !says_rollback(entry)
}

fn apart(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}

fn of_record(
    service: &Service,
    record: &Recorded,
    entry: Option<&Entry>,
    newer: bool,
    revisions: &Revisions,
) -> Result<Found, String> {
    let revision = record.revision.as_ref().and_then(|arn| revisions.get(arn));
    let revision = revision.ok_or_else(|| format!("ECS does not show what {} rolls out", record.arn))?;
    let details = record.details.as_ref();
    let rolls_back = details.map_or(service.rolls_back, |it| it.rolls_back);
    let reason = if record.reason.is_empty() { entry.map(|it| &it.reason) } else { None };
    Ok(Found {
        id: RolloutKey {
            deployment: entry.map(|it| it.id.clone()),
            service_deployment: Some(RolloutId::from(&*record.arn)),
        },
        created_at: record.created_at,
        updated_at: entry.map_or(record.updated_at, |it| it.updated_at.max(record.updated_at)),
        definition: revision.definition.clone(),
        previous: None,
        digests: revision.digests.clone(),
        primary: entry.is_some_and(|it| it.primary),
        state: state_of_record(record, entry, newer, rolls_back),
        rolls_back,
        tripped: details.is_some_and(|it| it.tripped),
        undone_since: record.rollback().and_then(|it| it.started_at),
        tasks: entry.map(|it| it.tasks).or(details.map(|it| it.tasks)).unwrap_or_default(),
        reason: reason.unwrap_or(&record.reason).clone(),
    })
}

/// ECS has no status for a rollout that failed with no way back: it is STOPPED like one that was superseded, and
/// only what tripped tells them apart.
pub(super) fn state_of_record(
    record: &Recorded,
    entry: Option<&Entry>,
    newer: bool,
    rolls_back: bool,
) -> RolloutState {
    let tripped = record.details.as_ref().is_some_and(|it| it.tripped);
    let failed = tripped || entry.is_some_and(|it| it.progress == Some(Progress::Failed));
    match record.status {
        Status::Pending | Status::InProgress | Status::StopRequested => match (newer, failed, rolls_back) {
            (_, true, false) => RolloutState::Failed,
            (true, _, _) => RolloutState::Stopped,
            (false, false, _) => RolloutState::InProgress,
            (false, true, true) => RolloutState::RollingBack,
        },
        Status::Stopped if failed => RolloutState::Failed,
        Status::Stopped => RolloutState::Stopped,
        Status::Successful => RolloutState::Succeeded,
        Status::RollbackRequested | Status::RollbackInProgress => RolloutState::RollingBack,
        Status::RollbackSuccessful => RolloutState::RolledBack,
        Status::RollbackFailed => RolloutState::RollbackFailed,
    }
}

/// From the first list alone; `None` where not even the definition is known.
fn of_entry(service: &Service, entry: &Entry) -> Option<Found> {
    let definition =
        entry.definition.clone().or_else(|| service.definition.clone().filter(|_| entry.primary))?;
    Some(Found {
        id: RolloutKey { deployment: Some(entry.id.clone()), service_deployment: None },
        created_at: entry.created_at,
        updated_at: entry.updated_at,
        definition,
        previous: drained(service, entry),
        digests: BTreeMap::new(),
        primary: entry.primary,
        state: state_of_entry(service, entry),
        rolls_back: service.rolls_back,
        tripped: says_tripped(entry),
        undone_since: None,
        tasks: entry.tasks,
        reason: entry.reason.clone(),
    })
}

/// The definition of the deployment before, while that still drains.
fn drained(service: &Service, entry: &Entry) -> Option<DefinitionId> {
    let older = service.entries.iter().filter(|it| it.created_at < entry.created_at && !says_rollback(it));
    older.max_by_key(|it| it.created_at)?.definition.clone()
}

/// A failed deployment is being undone where ECS does so and has something to go back to. One that is no longer the
/// primary was superseded, unless it was complete.
fn state_of_entry(service: &Service, entry: &Entry) -> RolloutState {
    let rollback = service.primary().filter(|primary| says_rollback(primary) && !entry.primary);
    let others = service.entries.len() > 1;
    match (service.progress(entry), rollback.map(|it| service.progress(it))) {
        (Progress::Completed, _) => RolloutState::Succeeded,
        (Progress::Failed, Some(Progress::Completed)) => RolloutState::RolledBack,
        (Progress::Failed, Some(Progress::Failed)) => RolloutState::RollbackFailed,
        (Progress::Failed, Some(Progress::Ongoing)) => RolloutState::RollingBack,
        (Progress::Failed, None) if entry.primary && service.rolls_back && others => {
            RolloutState::RollingBack
        }
        (Progress::Failed, None) => RolloutState::Failed,
        (Progress::Ongoing, _) if entry.primary => RolloutState::InProgress,
        (Progress::Ongoing, _) => RolloutState::Stopped,
    }
}

#[cfg(test)]
mod tests;
