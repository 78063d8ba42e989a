//! The catalogue of promises. What can be seen of them from within is checked after every turn, in tests and in
//! production alike; the rest by whoever sees the world: the exploration and the simulation.

use std::collections::BTreeSet;

use crate::domain::{LeaseId, TargetId};

use super::{
    Command, Planner,
    lane::{Lane, Phase},
};

/// What is promised to the users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// One at a time.
    P1,
    /// Nothing lost.
    P2,
    /// Nothing twice.
    P3,
    /// The newest wins.
    P4,
    /// One honest outcome.
    P5,
    /// Any crash: the others hold after it.
    P6,
    /// A good neighbour.
    P7,
    /// Closed by default.
    P8,
    /// It always moves.
    P9,
}

impl Promise {
    /// Every promise.
    pub const ALL: [Self; 9] =
        [Self::P1, Self::P2, Self::P3, Self::P4, Self::P5, Self::P6, Self::P7, Self::P8, Self::P9];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
            Self::P5 => "P5",
            Self::P6 => "P6",
            Self::P7 => "P7",
            Self::P8 => "P8",
            Self::P9 => "P9",
        }
    }

    /// What it says, in one line.
    pub fn statement(self) -> &'static str {
        match self {
            Self::P1 => {
                "per target, at most one rollout of ours is in progress, and none is started over another's"
            }
            Self::P2 => "a message is deleted only when what it asks for is settled, or set aside",
            Self::P3 => "the same change starts no second rollout",
            Self::P4 => {
                "content never moves to an older version because of us, and the newest asked runs in the end"
            }
            Self::P5 => "success is said only of a rollout that is complete and runs what was asked",
            Self::P6 => "after a crash at any instruction the others hold",
            Self::P7 => "calls stay under a share of what AWS allows the account",
            Self::P8 => "what changes something needs a token, and no secret is shown",
            Self::P9 => "every lane comes to rest, and every deadline wakes the loop",
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Violation {
    /// Which one.
    pub promise: Promise,
    /// What was seen.
    pub what: String,
}

impl Violation {
    /// This promise was broken, as seen here.
    pub fn new(promise: Promise, what: impl Into<String>) -> Self {
        Self { promise, what: what.into() }
    }
}

impl Planner {
    /// What these commands and the state that they leave behind break of the promises. Always empty, unless there is a defect.
    pub fn broken_promises(&self, commands: &[Command]) -> Vec<Violation> {
        let mut broken = Vec::new();
        let mut started: BTreeSet<&TargetId> = BTreeSet::new();
        for command in commands {
            match command {
                Command::Start(order) => {
                    let is_starting = self.lanes.get(&order.target).is_some_and(|lane| lane.is_starting());
                    if !is_starting || !started.insert(&order.target) {
                        broken.push(Violation::new(
                            Promise::P1,
                            format!("a second start for {}", order.target),
                        ));
                    }
                }
                Command::Delete(leases) => {
                    broken.extend(leases.iter().filter_map(|lease| self.early(*lease)));
                }
                Command::Look(_)
                | Command::Glance(_)
                | Command::Stop(_)
                | Command::Mark(_)
                | Command::Tag(_)
                | Command::Extend(_)
                | Command::Renew { .. }
                | Command::SetAside { .. }
                | Command::Report(_) => {}
            }
        }
        let asleep = self.agenda.asleep();
        broken
            .extend(asleep.map(|target| Violation::new(Promise::P9, format!("nothing would wake {target}"))));
        broken
    }

    fn early(&self, lease: LeaseId) -> Option<Violation> {
        let waits = |target: &TargetId| self.lanes.get(target).is_some_and(|lane| lane.waits_for(&[lease]));
        let open = !self.ledger.is_settled(lease) || self.ledger.targets_of(lease).any(waits);
        open.then(|| {
            Violation::new(Promise::P2, format!("{lease} would be deleted while it is owed something"))
        })
    }
}

impl Lane {
    fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting(..))
    }

    /// Whether something is left to do, and neither an answer nor a deadline would bring the lane back to it.
    pub(super) fn is_asleep(&self) -> bool {
        let is_answered = match &self.phase {
            Phase::Looking { .. } | Phase::Marking(_) | Phase::Starting(..) => true,
            Phase::Blocked(watch) | Phase::Watching(_, watch) => !watch.is_quiet(),
            Phase::Idle | Phase::Paused { .. } | Phase::Queued { .. } => false,
        };
        let is_busy = !self.waiting.is_empty() || self.passage().is_some();
        let is_deciding = self.holding.has_decrees() && !self.holding.is_answered();
        is_busy && !is_answered && self.next_wakeup().is_none()
            || is_deciding && self.holding.next_wakeup().is_none()
    }
}
