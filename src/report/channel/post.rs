//! The outbox of one channel: the loop puts notices in, a courier takes them out, and neither waits for the other.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tracing::warn;

use crate::report::notice::{Notice, outbox::Outbox};

/// What the loop and a courier share.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) name: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    /// How many were taken out, and are not settled yet.
    under_way: usize,
    is_closed: bool,
    /// Whether what had no room was logged since the outbox was last empty.
    is_told: bool,
}

impl Post {
    pub(super) fn new(name: String, outbox: Outbox) -> Self {
        let state = State { outbox, under_way: 0, is_closed: false, is_told: false };
        Self { name, state: Mutex::new(state), changed: Notify::new() }
    }

    /// How many were neither taken by whom they are for, nor given up.
    pub(super) fn left(&self) -> usize {
        let state = self.state();
        state.outbox.len() + state.under_way
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many had to go.
    pub(super) fn put(&self, notice: Arc<Notice>) -> usize {
        let mut state = self.state();
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
                let batch = state.outbox.take(most);
                state.is_told &= !state.outbox.is_empty();
                state.under_way = batch.len();
                if !batch.is_empty() || state.is_closed {
                    return batch;
                }
            }
            self.changed.notified().await;
        }
    }

    /// One of those that were taken out was taken by whom it is for, or given up.
    pub(super) fn settled(&self) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
    }

    /// Waits for as long, or until it is closed.
    pub(super) async fn pause(&self, delay: Duration) {
        let end = Instant::now() + delay;
        while !self.is_closed() && timeout_at(end, self.changed.notified()).await.is_ok() {}
    }
}
