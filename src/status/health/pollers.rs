//! When each poller last completed a receive. One that hangs or died shows although the others receive.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::domain::Moment;

/// The pollers that receive, or should.
#[derive(Debug, Default)]
pub(super) struct Pollers(Mutex<BTreeMap<u32, Mark>>);

#[derive(Clone, Copy, Debug)]
struct Mark {
    /// When it began, last completed a receive, or last had one that failed.
    at: Moment,
    /// What it brought is not taken yet.
    is_handing_over: bool,
}

impl Pollers {
    /// A poller began, or had an answer of SQS.
    pub(super) fn moved(&self, poller: u32, at: Moment) {
        self.mark(poller, Mark { at, is_handing_over: false });
    }

    /// A poller received messages, and waits for them to be taken.
    pub(super) fn handing_over(&self, poller: u32, at: Moment) {
        self.mark(poller, Mark { at, is_handing_over: true });
    }

    /// A poller ended, as it was told to.
    pub(super) fn ended(&self, poller: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&poller);
    }

    /// How many pollers have not moved for so long, out of how many; those that wait for their messages to be taken do
    /// not count.
    pub(super) fn stale(&self, now: Moment, after: Duration) -> (usize, usize) {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = |mark: &&Mark| !mark.is_handing_over && now.since(mark.at) > after;
        (marks.values().filter(stale).count(), marks.len())
    }

    /// Whether there are pollers, and all of them wait for their messages to be taken.
    pub(super) fn all_hand_over(&self) -> bool {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !marks.is_empty() && marks.values().all(|mark| mark.is_handing_over)
    }

    fn mark(&self, poller: u32, mark: Mark) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(poller, mark);
    }
}
