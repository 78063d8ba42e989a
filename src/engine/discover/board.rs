//! How far the reading is everywhere: told to health and logs, and when receiving may begin.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Engine, Gate, Word};
use crate::{
    domain::{Moment, Place},
    engine::EngineClock,
    report::message::span,
    status::{Health, InventoryState},
};

/// A first walk that takes long is told of this often.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What all readers write down.
#[derive(Debug)]
pub(super) struct Board {
    noted: Mutex<Noted>,
    health: Arc<Health>,
    clock: EngineClock,
    words: mpsc::Sender<Word>,
}

#[derive(Debug)]
struct Noted {
    state: InventoryState,
    /// What the loop was told last.
    gate: Gate,
    told_at: Moment,
}

impl Board {
    pub(super) fn new(state: InventoryState, engine: &Engine, words: mpsc::Sender<Word>) -> Self {
        let (health, clock) = (Arc::clone(&engine.health), engine.clock.clone());
        health.inventoried(state.clone());
        let noted = Noted { state, gate: None, told_at: clock.moment() };
        Self { noted: Mutex::new(noted), health, clock, words }
    }

    /// The time, by the clock of the loop.
    pub(super) fn now(&self) -> Moment {
        self.clock.moment()
    }

    /// So many services are to be read there.
    pub(super) fn listed(&self, place: &Place, of: usize) {
        self.note(|state, _| state.listed(place, of));
    }

    /// So many more were read.
    pub(super) fn read(&self, place: &Place, more: usize) {
        let now = self.clock.moment();
        let mut noted = self.lock();
        noted.state.read(place, more);
        self.health.inventoried(noted.state.clone());
        if !noted.state.is_open() && now.since(noted.told_at) >= TELL_EVERY {
            noted.told_at = now;
            let (read, of) = noted.state.counts();
            info!(read, of, "reading the services before anything is received");
        }
    }

    /// Whether all of a place was read, once.
    pub(super) fn was_read(&self, place: &Place) -> bool {
        self.lock().state.was_read(place)
    }

    /// All of a place was read, but for what is told of here.
    pub(super) async fn completed(&self, place: &Place, missing: Option<String>) {
        self.note(|state, now| state.completed(place, now, missing));
        self.open().await;
    }

    /// A place could not be read.
    pub(super) async fn failed(&self, place: &Place, why: String) {
        self.note(|state, now| state.failed(place, now, why));
        self.open().await;
    }

    /// Tells the loop whether it may receive, if that is news.
    async fn open(&self) {
        let now = self.clock.moment();
        let unread: Arc<[Place]> = {
            let mut noted = self.lock();
            if !noted.state.opens(now) {
                return;
            }
            let unread: Arc<[Place]> = noted.state.unread().into();
            let before = noted.gate.replace(Arc::clone(&unread));
            if before.as_ref() == Some(&unread) {
                return;
            }
            if before.is_none() {
                // Until now nothing could be received.
                self.health.opens(now);
                tell(&noted.state, &unread, now);
            }
            self.health.inventoried(noted.state.clone());
            unread
        };
        // Nobody hears it where the process ends.
        let _ = self.words.send(Word::Open(unread)).await;
    }

    fn note(&self, change: impl FnOnce(&mut InventoryState, Moment)) {
        let now = self.clock.moment();
        let mut noted = self.lock();
        change(&mut noted.state, now);
        self.health.inventoried(noted.state.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(state: &InventoryState, unread: &[Place], now: Moment) {
    let (services, _) = state.counts();
    let took = span(now.since(Moment::default()));
    if unread.is_empty() {
        info!(services, "every service has been read within {took} of the start: receiving begins");
        return;
    }
    let names: Vec<String> = unread.iter().map(ToString::to_string).collect();
    warn!(
        services,
        "receiving begins although {} could not be read: messages that find no target may be for services there, and are \
         set aside",
        names.join(", ")
    );
}
