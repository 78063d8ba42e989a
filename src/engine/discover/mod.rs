//! Reads which services there are and what they depend on, beside the loop, and tells it what follows.
//!
//! **The loop owns the routes.** What is read becomes [`Word`]s on one channel, and the loop alone learns and forgets targets
//! by them. In the other direction it only names services that are worth reading soon ([`Asks`]): ECS told of them, or a
//! rollout of ours moved.
//!
//! **Each place by itself.** An account in a Region has its own budget, its own reader and its own failures. A walk lists
//! the clusters and their services, describes the services by ten, and reads the definitions that are new. The first walk is
//! as fast as the budget allows; those that follow are spread over half of the time until the next. All of it goes
//! behind whatever somebody waits for, with so few calls in line that nobody stands behind a long row of them.
//!
//! **Nothing is received before everything was read**, or a message would find no target and be deleted: see
//! [`InventoryState`]. That receiving may begin comes on the same channel as what was read before, so the loop knows all of it
//! by then. On standby the reading goes on, and a take-over waits for nothing.
//!
//! **A reading may be cancelled anywhere**: it changes nothing in AWS, and takes in what it read in one step.
//!
//! | file | does |
//! |---|---|
//! | `board` | how far the reading is everywhere: told to health, and whether receiving may begin |
//! | `errands` | which services are to be read soon, each once however often it is asked for |
//! | `reader` | reads services of one place, and tells the loop |
//! | `walk` | all of them, again and again |
//! | `work` | pure: the batches of one walk, and what failed |

mod board;
mod errands;
mod reader;
mod walk;
mod work;

use std::{collections::BTreeMap, sync::Arc, sync::Mutex};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{board::Board, errands::Errands, reader::Reader};
use super::{Engine, intake::again_after_a_panic};
use crate::{
    domain::{DiscoveryRules, Place, TargetId, TargetSettings},
    inventory::{Inventory, Update},
    status::InventoryState,
};

/// A reader that died begins anew after this.
const PAUSE_AFTER_A_PANIC: std::time::Duration = std::time::Duration::from_secs(10);

/// So many words wait for the loop; then reading waits.
const WORDS: usize = 16;

/// Which services are looked for, and where.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// Which.
    pub rules: DiscoveryRules,
    /// Where: each account in each Region.
    pub places: Vec<Place>,
    /// How a target is deployed, as far as its tags say nothing else.
    pub defaults: Arc<TargetSettings>,
}

/// What the loop is told.
#[derive(Debug)]
pub(super) enum Word {
    /// These targets are as these say.
    Updates(Vec<Update>),
    /// Receiving may begin, or has begun, although these places have not been read.
    Open(Arc<[Place]>),
}

/// Whether messages are received: not yet, or although these places have not been read.
pub(super) type Gate = Option<Arc<[Place]>>;

/// What the loop has of discovery. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Discovering {
    pub(super) words: mpsc::Receiver<Word>,
    pub(super) gate: watch::Sender<Gate>,
    pub(super) asks: Asks,
    _end: Option<DropGuard>,
}

/// Asks for services to be read soon.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks(Arc<BTreeMap<Place, Arc<Errands>>>);

impl Asks {
    /// This service may have changed.
    pub(super) fn about(&self, target: &TargetId) {
        if let Some(errands) = self.0.get(&Place::of(target)) {
            errands.add(target);
        }
    }

    /// Anything may have changed: somebody else acted until now.
    pub(super) fn about_everything(&self) {
        self.0.values().for_each(|errands| errands.everything());
    }
}

impl Discovering {
    /// Begins to read, if discovery is on.
    pub(super) fn begin(engine: &Engine) -> Self {
        let (words_in, words) = mpsc::channel(WORDS);
        let Some(discovery) = &engine.discovery else {
            let gate = watch::Sender::new(Some(Arc::default()));
            return Self { words, gate, asks: Asks::default(), _end: None };
        };
        let stop = engine.stop.child_token();
        let inventory = Arc::new(Mutex::new(Inventory::new(discovery.rules.clone())));
        let state = InventoryState::new(discovery.places.iter().cloned());
        let board = Arc::new(Board::new(state, engine, words_in.clone()));
        let mut asks = BTreeMap::new();
        for place in &discovery.places {
            engine.publisher.metrics().inventory_begins(place);
            let errands = Arc::<Errands>::default();
            asks.insert(place.clone(), Arc::clone(&errands));
            let reader = Reader {
                place: place.clone(),
                refresh: discovery.rules.refresh,
                defaults: Arc::clone(&discovery.defaults),
                ecs: Arc::clone(&engine.ecs),
                inventory: Arc::clone(&inventory),
                errands,
                board: Arc::clone(&board),
                metrics: engine.publisher.metrics(),
                words: words_in.clone(),
                missing: Mutex::default(),
            };
            keep(Arc::new(reader), &stop);
        }
        Self {
            words,
            gate: watch::Sender::new(None),
            asks: Asks(Arc::new(asks)),
            _end: Some(stop.drop_guard()),
        }
    }
}

/// Lets a reader read until the end.
fn keep(reader: Arc<Reader>, stop: &CancellationToken) {
    let (walking, errands) = (Arc::clone(&reader), reader);
    let pause = PAUSE_AFTER_A_PANIC;
    let ended = stop.clone();
    tokio::spawn(async move {
        let begin = || ended.clone().run_until_cancelled_owned(Arc::clone(&walking).keep_walking());
        again_after_a_panic("a reader of services", &ended, pause, begin).await;
    });
    let ended = stop.clone();
    tokio::spawn(async move {
        let begin = || ended.clone().run_until_cancelled_owned(Arc::clone(&errands).run_errands());
        again_after_a_panic("a reader of services", &ended, pause, begin).await;
    });
}
