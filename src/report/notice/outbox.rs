//! What waits to be sent over one channel, within bounds. Where there is no room, what only says how far something is
//! makes room for how something ended.

use std::{collections::VecDeque, sync::Arc};

use super::Notice;

/// Notices in the order in which they happened.
#[derive(Clone, Debug)]
pub struct Outbox {
    waiting: VecDeque<Arc<Notice>>,
    room: usize,
    /// Whether one message is kept per deployment, or rollout that is not ours, of which only the newest state matters.
    merges: bool,
}

impl Outbox {
    /// With room for so many.
    pub fn new(room: usize, merges: bool) -> Self {
        Self { waiting: VecDeque::new(), room, merges }
    }

    /// Adds one; says how many had to go.
    pub fn push(&mut self, notice: Arc<Notice>) -> usize {
        if self.merges && notice.thread().is_some() {
            self.waiting.retain(|it| it.thread() != notice.thread() || it.is_end());
        }
        self.waiting.push_back(notice);
        let mut gone = 0;
        while self.waiting.len() > self.room {
            let least = self.waiting.iter().position(|it| !it.is_end()).unwrap_or(0);
            self.waiting.remove(least);
            gone += 1;
        }
        gone
    }

    /// Takes the oldest, at most so many.
    pub fn take(&mut self, most: usize) -> Vec<Arc<Notice>> {
        let count = self.waiting.len().min(most);
        self.waiting.drain(..count).collect()
    }

    /// Takes this one out again; says whether it was there.
    pub fn remove(&mut self, notice: &Arc<Notice>) -> bool {
        let place = self.waiting.iter().position(|it| Arc::ptr_eq(it, notice));
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }

    /// Keeps only such.
    pub fn retain(&mut self, is_kept: impl Fn(&Notice) -> bool) {
        self.waiting.retain(|it| is_kept(it));
    }

    /// Those that wait.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Notice>> {
        self.waiting.iter()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
