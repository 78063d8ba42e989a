//! The outbox of one channel: the loop puts notices in, a courier takes them out, and neither waits for the other.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout_at},
};
use tracing::warn;

use super::{Unsent, Word};
use crate::report::notice::{Notice, outbox::Outbox};

/// What the loop and a courier share.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) name: String,
    state: Mutex<State>,
    changed: Notify,
    words: mpsc::UnboundedSender<Word>,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    /// Those that were taken out, and are not settled yet.
    under_way: Vec<Arc<Notice>>,
    /// Those of them that were put on the queue meanwhile.
    stored: BTreeSet<String>,
    /// Those that the queue has kept, and until when they are tried.
    kept: BTreeMap<String, Instant>,
    /// The ends that were taken lately: what was put on the queue while it was being taken is not sent again.
    taken: VecDeque<String>,
    is_closed: bool,
    /// Whether what had no room was logged since the outbox was last empty.
    is_told: bool,
}

/// So many ends that were taken are remembered.
const MOST_TAKEN: usize = 1_000;

impl Post {
    pub(super) fn new(name: String, outbox: Outbox, words: mpsc::UnboundedSender<Word>) -> Self {
        let state = State {
            outbox,
            under_way: Vec::new(),
            stored: BTreeSet::new(),
            kept: BTreeMap::new(),
            taken: VecDeque::new(),
            is_closed: false,
            is_told: false,
        };
        Self { name, state: Mutex::new(state), changed: Notify::new(), words }
    }

    /// How many were neither taken by whom they are for, nor given up.
    pub(super) fn left(&self) -> usize {
        let state = self.state();
        state.outbox.len() + state.under_way.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many had to go. One that the queue has kept is tried until then; if it is here already, it is here once.
    pub(super) fn put(&self, notice: Arc<Notice>, until: Option<Instant>) -> usize {
        let mut state = self.state();
        if let Some(until) = until {
            if state.has(&notice.id) {
                return 0;
            }
            state.kept.insert(notice.id.clone(), until);
        }
        let gone = state.outbox.push(notice);
        if gone > 0 && !std::mem::replace(&mut state.is_told, true) {
            warn!(
                channel = self.name,
                waiting = state.outbox.len(),
                "notifications have no room, and are dropped"
            );
        }
        drop(state);
        self.changed.notify_one();
        gone
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// The next notices; none once it is closed and empty.
    pub(super) async fn next(&self, most: usize) -> Vec<Arc<Notice>> {
        loop {
            {
                let mut state = self.state();
                let mut batch = state.outbox.take(most);
                state.is_told &= !state.outbox.is_empty();
                batch.retain(|it| !state.was_taken(&it.id));
                state.under_way.clone_from(&batch);
                if !batch.is_empty() || state.is_closed {
                    return batch;
                }
            }
            self.changed.notified().await;
        }
    }

    /// One of those that were taken out was taken by whom it is for, or given up, or put on the queue.
    pub(super) fn settled(&self, notice: &Notice, is_taken: bool) {
        let mut state = self.state();
        state.under_way.retain(|it| it.id != notice.id);
        state.kept.remove(&notice.id);
        let was_stored = state.stored.remove(&notice.id);
        if is_taken && was_stored {
            state.taken.push_back(notice.id.clone());
            if state.taken.len() > MOST_TAKEN {
                state.taken.pop_front();
            }
        }
    }

    /// Until when this one is tried, where the queue has kept it.
    pub(super) fn until(&self, notice: &Notice) -> Option<Instant> {
        self.state().kept.get(&notice.id).copied()
    }

    /// One that was not taken goes by way of the queue from now on, if it is of those that do.
    pub(super) fn store(&self, notice: &Arc<Notice>) -> bool {
        let state = self.state();
        if state.stored.contains(&notice.id) {
            return true;
        }
        if state.is_closed || state.kept.contains_key(&notice.id) || notice.outcome().is_none() {
            return false;
        }
        let channels = [self.name.clone()].into();
        self.words.send(Ok(Unsent { notice: Arc::clone(notice), channels })).is_ok()
    }

    /// Takes this notice out again. Says whether it goes by way of the queue: it waits here, or is under way.
    pub(super) fn take_from(&self, notice: &Arc<Notice>) -> bool {
        let mut state = self.state();
        if state.is_closed {
            return false;
        }
        if state.under_way.iter().any(|it| Arc::ptr_eq(it, notice)) {
            return state.stored.insert(notice.id.clone());
        }
        state.outbox.remove(notice)
    }

    /// Lets go of those that wait here and that the queue has kept.
    pub(super) fn give_back(&self) {
        let mut state = self.state();
        let under_way: BTreeSet<String> = state.under_way.iter().map(|it| it.id.clone()).collect();
        let State { outbox, kept, .. } = &mut *state;
        outbox.retain(|it| !kept.contains_key(&it.id));
        kept.retain(|id, _| under_way.contains(id));
    }

    /// Waits for as long, or until it is closed.
    pub(super) async fn pause(&self, delay: Duration) {
        let end = Instant::now() + delay;
        while !self.is_closed() && timeout_at(end, self.changed.notified()).await.is_ok() {}
    }
}

impl State {
    /// Whether it waits here, or is being sent and goes by the queue already.
    fn has(&self, id: &str) -> bool {
        let is_it = |it: &Arc<Notice>| it.id == id;
        let is_under_way = self.under_way.iter().any(is_it) && !self.stored.contains(id);
        is_under_way || self.outbox.iter().any(is_it) || self.was_taken(id)
    }

    fn was_taken(&self, id: &str) -> bool {
        self.taken.iter().any(|it| it == id)
    }
}
