//! What another request made needless that may be struck alone, or that does less than what it replaces.
//!
//! Two deployments of one lane, one under way and one behind it, are folded where they come back together after a crash, or
//! where the first is tried again. Its cancellation may come after that, and mean the newer one alone: then the older one
//! asks for something after all. So what such a request makes needless stays held beside it, and is settled once that owes
//! nothing any more. A rollback that holds its target does so, too, where a newer one takes its place that does not: as long as
//! the newer one is held, so is the message that tells of the hold.

use crate::domain::{LeaseId, SettledBy};

use super::{
    fold::{Ask, Needless},
    lane::{Lane, Turn},
};

impl Lane {
    /// Settles what is needless, or keeps it where what makes it so may be struck alone.
    pub(super) fn drop_needless(&mut self, needless: Vec<Needless>, turn: &mut Turn<'_>) {
        let (kept, settled): (Vec<_>, Vec<_>) = needless.into_iter().partition(|it| it.may_be_needed);
        for it in settled {
            turn.ledger.settle(it.ask.lease, &self.target, SettledBy::Newer);
        }
        self.covered.extend(kept);
    }

    /// Settles what will not be needed any more. What is needed because the other request went away waits again.
    pub(super) fn settle_covered(&mut self, turn: &mut Turn<'_>) {
        let mut needed = Vec::new();
        // What is settled may itself make another one needless.
        loop {
            let before = self.covered.len();
            for it in std::mem::take(&mut self.covered) {
                if !turn.ledger.holds(it.ask.lease) {
                    continue;
                }
                if !turn.ledger.holds(it.by) {
                    needed.push(it.ask);
                } else if turn.ledger.owes(it.by, &self.target) {
                    self.covered.push(it);
                } else {
                    turn.ledger.settle(it.ask.lease, &self.target, SettledBy::Newer);
                }
            }
            if self.covered.len() == before {
                break;
            }
        }
        self.wait_after_all(needed, turn);
    }

    /// What was needless because of one of these messages, and is not any more.
    pub(super) fn uncover(&mut self, by: &[LeaseId], is_needed: impl Fn(&Ask) -> bool) -> Vec<Ask> {
        let is_it = |it: &Needless| by.contains(&it.by) && is_needed(&it.ask);
        let (needed, covered): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.covered).into_iter().partition(is_it);
        self.covered = covered;
        needed.into_iter().map(|it| it.ask).collect()
    }

    /// These ask for something after all.
    pub(super) fn wait_after_all(&mut self, asks: Vec<Ask>, turn: &mut Turn<'_>) {
        if asks.is_empty() {
            return;
        }
        for ask in asks {
            self.let_join(ask, turn);
        }
        self.wake(turn);
    }
}
