//! What is only shown, and read for nobody but people: what ECS remembers of each target, and what definitions say. It is read
//! on demand, and slowly beside that; every call goes behind all that something waits for.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{EngineClock, recent::Recent};
use crate::{
    aws::ecs::Ecs,
    domain::{DefinitionFacts, DefinitionId, Place, TargetId, TargetName, TargetRecord, Timestamp},
    report::past::Past,
    status::{DeskSlot, Letters, Outdated, Question, Questions, Snapshot},
};

/// Answers what pages ask, and reads what ECS remembers, target by target.
#[derive(Debug)]
pub struct Lookups {
    /// ECS.
    pub ecs: Arc<Ecs>,
    /// What is asked, and where the past goes.
    pub questions: Questions,
    /// Which targets there are.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Who looks at what is set aside.
    pub letters: DeskSlot,
    /// The time.
    pub clock: EngineClock,
}

/// A target at a time is read for nobody in particular: a few calls, of which there are ten a second or more.
const PACE: Duration = Duration::from_secs(2);
/// Until each was read once, and again where something has ended, whoever opens a page misses something.
const PACE_AT_FIRST: Duration = Duration::from_millis(250);
/// First those calls are made that something waits for.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// What was read of a target is read again after so long, where nobody asks, and nothing tells that something ended.
const READ_AGAIN: Duration = Duration::from_hours(6);
/// What was read so lately is not read again for whoever asks.
const FRESH: Duration = Duration::from_secs(30);
/// Looking at letters hides each for a moment. What is set aside later is told by whoever sets it aside.
const LETTERS_FRESH: Duration = Duration::from_mins(5);
/// So many rollouts of each target: those that a page shows.
const MOST_ROLLOUTS: usize = 50;
/// So many definitions are kept, of a few kilobytes each.
const MOST_DEFINITIONS: usize = 200;

/// Looks at what is set aside.
struct LetterReader {
    slot: DeskSlot,
    /// What was seen, and when.
    seen: Mutex<Option<(Timestamp, Arc<Letters>)>>,
}

/// Answers what is asked.
struct Desk {
    past: Arc<PastReader>,
    definitions: Definitions,
}

/// Reads what ECS remembers.
struct PastReader {
    ecs: Arc<Ecs>,
    clock: EngineClock,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    letters: LetterReader,
    past: watch::Sender<Arc<Past>>,
    outdated: Outdated,
}

/// The definitions that were asked for last.
type Definitions = Recent<(Place, DefinitionId), Arc<DefinitionFacts>>;

impl Lookups {
    /// Begins beside everything else, and goes on until it is stopped.
    pub fn spawn(self, stop: &CancellationToken) {
        let Self { ecs, questions, snapshots, letters, clock } = self;
        let letters = LetterReader { slot: letters, seen: Mutex::default() };
        let Questions { asked, past, outdated } = questions;
        let past = Arc::new(PastReader { ecs, clock, snapshots, letters, past, outdated });
        let desk = Desk { past: Arc::clone(&past), definitions: Definitions::new(MOST_DEFINITIONS) };
        let (ended, closed) = (stop.clone(), stop.clone());
        tokio::spawn(async move { ended.run_until_cancelled(desk.keep_answering(asked)).await });
        tokio::spawn(async move { closed.run_until_cancelled(past.keep_reading()).await });
    }
}

impl PastReader {
    /// Reads the target whose turn it is, again and again; on standby nobody's is.
    async fn keep_reading(&self) {
        tokio::time::sleep(FIRST_AFTER).await;
        loop {
            tokio::time::sleep(self.pace()).await;
            let snapshot = Arc::clone(&self.snapshots.borrow());
            if !snapshot.active {
                continue;
            }
            self.forget_unknown(&snapshot);
            if let Some(it) = self.next_of(&snapshot) {
                self.read(&it.id, &it.name).await;
            }
        }
    }

    /// First one where something has ended; each other in its turn.
    fn next_of<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Arc<TargetRecord>> {
        while let Some(outdated) = self.outdated.pop() {
            let known = snapshot.targets.iter().find(|it| it.id == outdated);
            if known.is_some() {
                return known;
            }
        }
        let past = Arc::clone(&self.past.borrow());
        let next = snapshot.targets.iter().min_by_key(|it| past.read_at(&it.id));
        next.filter(|it| self.is_older_than(&it.id, READ_AGAIN))
    }

    /// How long to wait before the next.
    fn pace(&self) -> Duration {
        let snapshot = self.snapshots.borrow();
        let unread = self.past.borrow().unread(snapshot.targets.iter().map(|it| &it.id));
        let is_behind = unread > 0 || !self.outdated.is_empty();
        if snapshot.active && is_behind { PACE_AT_FIRST } else { PACE }
    }

    /// Reads this target for whoever asks, unless that was done just before.
    async fn read_for(&self, target: &TargetId) {
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let known = snapshot.targets.iter().find(|it| it.id == *target);
        if let Some(it) = known.filter(|_| self.is_older_than(target, FRESH)) {
            self.read(target, &it.name).await;
        }
    }

    fn is_older_than(&self, target: &TargetId, age: Duration) -> bool {
        self.past.borrow().read_at(target).is_none_or(|at| self.clock.wall().since(at) >= age)
    }

    fn forget_unknown(&self, snapshot: &Snapshot) {
        let known: BTreeSet<&TargetId> = snapshot.targets.iter().map(|it| &it.id).collect();
        if !self.past.borrow().targets().all(|target| known.contains(target)) {
            self.past.send_modify(|past| Arc::make_mut(past).keep_only(|target| known.contains(target)));
        }
    }

    /// What could not be read counts as read, so that it is not asked for again and again.
    async fn read(&self, target: &TargetId, name: &TargetName) {
        let rollouts = match self.ecs.past(target, MOST_ROLLOUTS).await {
            Ok(rollouts) => rollouts.unwrap_or_default(),
            Err(failure) => {
                debug!(target_id = %target, error = failure.reason, "what ECS remembers could not be read");
                Vec::new()
            }
        };
        let at = self.clock.wall();
        let lacks_letters = self.past.borrow().lacks_letters(target, &rollouts);
        let letters = if lacks_letters { self.letters.look(at).await } else { None };
        let letters = letters.as_ref().map(|it| &*it.letters).unwrap_or_default();
        self.past.send_modify(|past| Arc::make_mut(past).learn(target, name, (&rollouts, letters), at));
    }
}

impl LetterReader {
    /// What is set aside, as it was seen lately.
    async fn look(&self, now: Timestamp) -> Option<Arc<Letters>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, letters)) = seen.filter(|(at, _)| now.since(*at) < LETTERS_FRESH) {
            return Some(letters);
        }
        match self.slot.letters().await {
            Ok(letters) => {
                let seen = Some((now, Arc::clone(&letters)));
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
                Some(letters)
            }
            Err(refusal) => {
                debug!(error = %refusal, "what was set aside could not be seen, so that what was stopped may be told as cancelled");
                None
            }
        }
    }
}

impl Desk {
    /// One question after the other: two pages that ask for the same ask AWS once.
    async fn keep_answering(mut self, mut asked: mpsc::Receiver<Question>) {
        while let Some(question) = asked.recv().await {
            match question {
                Question::Definition { target, id, answer } => {
                    let _ = answer.send(self.definition(&target, id).await);
                }
                Question::Past { target, answer } => {
                    self.past.read_for(&target).await;
                    let _ = answer.send(());
                }
            }
        }
    }

    async fn definition(
        &mut self,
        target: &TargetId,
        id: DefinitionId,
    ) -> Result<Arc<DefinitionFacts>, String> {
        let key = (Place::of(target), id);
        if let Some(known) = self.definitions.get(&key) {
            return Ok(Arc::clone(known));
        }
        let facts = self.past.ecs.definition_facts(target, &key.1).await;
        let facts = facts.map_err(|failure| failure.reason)?;
        let facts = Arc::new(facts.ok_or_else(|| format!("there is no task definition {} any more", key.1))?);
        self.definitions.insert(key, Arc::clone(&facts));
        Ok(facts)
    }
}
