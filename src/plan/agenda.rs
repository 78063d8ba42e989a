//! When each lane wants to be woken, kept so that a turn costs no more than the lanes that it concerns.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Moment, TargetId};

/// The deadlines of all lanes, and which of them watch a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Agenda {
    by_target: BTreeMap<TargetId, Moment>,
    by_moment: BTreeSet<(Moment, TargetId)>,
    watching: BTreeSet<TargetId>,
    /// The lanes that nothing would wake although something is left to do: there must be none.
    asleep: BTreeSet<TargetId>,
}

impl Agenda {
    /// Replaces what is known of one lane.
    pub(super) fn set(&mut self, target: &TargetId, deadline: Option<Moment>, watches: bool, asleep: bool) {
        keep(&mut self.watching, target, watches);
        keep(&mut self.asleep, target, asleep);
        if self.by_target.get(target).copied() == deadline {
            return;
        }
        if let Some(old) = self.by_target.remove(target) {
            self.by_moment.remove(&(old, target.clone()));
        }
        if let Some(new) = deadline {
            self.by_target.insert(target.clone(), new);
            self.by_moment.insert((new, target.clone()));
        }
    }

    /// The earliest deadline.
    pub(super) fn first(&self) -> Option<Moment> {
        self.by_moment.first().map(|(moment, _)| *moment)
    }

    /// The lanes whose deadline has come by then.
    pub(super) fn due(&self, by: Moment) -> Vec<TargetId> {
        self.by_moment.iter().take_while(|(at, _)| *at <= by).map(|(_, target)| target.clone()).collect()
    }

    /// The lanes that nothing would wake.
    pub(super) fn asleep(&self) -> impl Iterator<Item = &TargetId> {
        self.asleep.iter()
    }

    /// How many rollouts are being watched.
    pub(super) fn watched(&self) -> usize {
        self.watching.len()
    }
}

fn keep(set: &mut BTreeSet<TargetId>, target: &TargetId, belongs: bool) {
    if !belongs {
        set.remove(target);
    } else if !set.contains(target) {
        set.insert(target.clone());
    }
}
