//! What pages ask AWS for while somebody waits. The way there is the engine's, and so are the calls: pages send a question, and
//! are patient for a moment.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    domain::{DefinitionFacts, DefinitionId, TargetId},
    report::past::Past,
};

/// Asks.
#[derive(Clone, Debug)]
pub struct Lookup {
    questions: mpsc::Sender<Question>,
    past: watch::Receiver<Arc<Past>>,
    outdated: Outdated,
}

/// Targets of which ECS remembers more by now than was read.
#[derive(Clone, Debug, Default)]
pub struct Outdated(Arc<Mutex<BTreeSet<TargetId>>>);

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// What a definition says, or why that cannot be told.
    Definition {
        /// Of which target it is, or was.
        target: TargetId,
        /// Which one.
        id: DefinitionId,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Arc<DefinitionFacts>, String>>,
    },
    /// What ECS remembers of a target, to be read now unless that was done lately.
    Past {
        /// Which one.
        target: TargetId,
        /// Told when it has been read.
        answer: oneshot::Sender<()>,
    },
}

/// Where questions come from, and what is read goes to.
#[derive(Debug)]
pub struct Questions {
    /// The questions.
    pub asked: mpsc::Receiver<Question>,
    /// What ECS remembers.
    pub past: watch::Sender<Arc<Past>>,
    /// Of whom it is to be read again.
    pub outdated: Outdated,
}

impl Outdated {
    /// What was read of this target is to be read again.
    pub fn insert(&self, target: TargetId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(target);
    }

    /// One of them, which it is no more.
    pub fn pop(&self) -> Option<TargetId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// So many questions wait at a time; whoever asks more is told that nobody answers.
const MOST_WAITING: usize = 32;
/// A page waits so long. It is shown without the answer then, and has it the next time.
const PATIENCE: Duration = Duration::from_secs(3);

impl Lookup {
    /// One that asks, and the other end.
    pub fn channel() -> (Self, Questions) {
        let (questions, asked) = mpsc::channel(MOST_WAITING);
        let (sender, past) = watch::channel(Arc::default());
        let outdated = Outdated::default();
        let answering = Questions { asked, past: sender, outdated: outdated.clone() };
        (Self { questions, past, outdated }, answering)
    }

    /// One that nobody answers.
    pub fn unanswered() -> Self {
        Self::channel().0
    }

    /// What ECS remembers, as far as it was read.
    pub fn past(&self) -> Arc<Past> {
        Arc::clone(&self.past.borrow())
    }

    /// Something has ended at this target: what ECS remembers of it is to be read again soon.
    pub fn outdate(&self, target: TargetId) {
        self.outdated.insert(target);
    }

    /// What ECS remembers, after it was read of this target, if that does not take too long.
    pub(super) async fn past_of(&self, target: &TargetId) -> Arc<Past> {
        let (answer, read) = oneshot::channel();
        if self.questions.try_send(Question::Past { target: target.clone(), answer }).is_ok() {
            let _ = tokio::time::timeout(PATIENCE, read).await;
        }
        self.past()
    }

    /// What a definition says, or why that cannot be told.
    pub(super) async fn definition(
        &self,
        target: &TargetId,
        id: &DefinitionId,
    ) -> Result<Arc<DefinitionFacts>, String> {
        let (answer, read) = oneshot::channel();
        let question = Question::Definition { target: target.clone(), id: id.clone(), answer };
        self.questions.try_send(question).map_err(|_| "AWS cannot be asked now".to_owned())?;
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("AWS cannot be asked now".into()),
            Err(_) => Err("AWS has not answered yet: load the page anew".into()),
        }
    }
}
