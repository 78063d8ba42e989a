//! What is done for people: the requests that HTTP takes are handed to a [`Desk`], which has the queues and ECS.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use crate::domain::{Cause, LetterRecord, Outcome, TargetId, Timestamp, WayBack};

/// An answer that takes a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Does what people ask for.
pub trait Desk: Send + Sync {
    /// Puts an event on the queue.
    fn post(&self, event: &Value) -> Answer<'_, ()>;

    /// Finds out what going back would mean for a target: to the last definition that was good, or to the one that is
    /// named.
    fn way_back(&self, target: TargetId, to: Option<String>) -> Answer<'_, WayBack>;

    /// What is set aside.
    fn letters(&self) -> Answer<'_, Arc<Letters>>;

    /// Puts back what was set aside; or only says what would be.
    fn replay(&self, wanted: Replay) -> Answer<'_, Replayed>;
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It makes no sense as it was asked for.
    #[error("{0}")]
    Wrong(String),
    /// It does not go together with what is so.
    #[error("{0}")]
    Conflict(String),
    /// Whoever is needed for it does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// What is in the dead-letter queue, as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Letters {
    /// When it was looked at.
    pub seen_at: Timestamp,
    /// What was seen, the oldest first.
    pub letters: Vec<LetterRecord>,
    /// Whether all that could be seen was.
    pub whole: bool,
    /// How many messages somebody else held, so that they could not be seen.
    pub unseen: u64,
}

/// Which letters are to be put back. Several of these narrow each other down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Those with these ids.
    pub ids: Vec<String>,
    /// Those for this target.
    pub target: Option<String>,
    /// Those of deployments that ended so.
    pub outcome: Option<Outcome>,
    /// Those of deployments that failed for this cause.
    pub cause: Option<Cause>,
    /// Those that were set aside since then.
    pub since: Option<Timestamp>,
    /// As something new, which may overwrite what was asked for since.
    pub force: bool,
    /// Change nothing, and say what would be done.
    pub dry_run: bool,
    /// Who asks.
    pub by: Arc<str>,
}

/// What became of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is done.
    Done {
        /// How many were chosen.
        selected: usize,
        /// How many were put back: none in a dry run.
        replayed: usize,
        /// Which would be put back: in a dry run.
        would_replay: Vec<String>,
        /// Of those that were put back, or would be: from which nothing follows, and why.
        without_effect: Vec<(String, String)>,
        /// Those that were not put back, and why.
        left: Vec<(String, String)>,
        /// Ids that were given and that no letter has.
        missing: Vec<String>,
    },
    /// It goes on.
    GoesOn,
}

/// Where the desk will be: HTTP is answered before the queues are found.
#[derive(Clone, Default)]
pub struct DeskSlot(Arc<OnceLock<Arc<dyn Desk>>>);

impl DeskSlot {
    /// From now on this one does it. Only the first one counts.
    pub fn open(&self, desk: Arc<dyn Desk>) {
        let _ = self.0.set(desk);
    }

    /// What is set aside.
    pub async fn letters(&self) -> Result<Arc<Letters>, Refusal> {
        self.get()?.letters().await
    }

    pub(super) fn get(&self) -> Result<&dyn Desk, Refusal> {
        let desk = self.0.get().map(|desk| &**desk);
        desk.ok_or_else(|| {
            Refusal::Unavailable("the process has just begun, and has not found its queues yet".into())
        })
    }
}

impl fmt::Debug for DeskSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeskSlot({})", if self.0.get().is_some() { "open" } else { "closed" })
    }
}
