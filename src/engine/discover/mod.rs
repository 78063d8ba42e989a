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
//! | `named` | reads what discovery does not find, but the settings name, for what is shown of it |
//! | `errands` | which services are to be read soon, each once however often it is asked for |
//! | `reader` | reads services of one place, and tells the loop |
//! | `walk` | all of them, again and again |
//! | `work` | pure: the batches of one walk, and what failed |

mod board;
mod errands;
mod named;
mod reader;
mod walk;
mod work;

use std::{collections::BTreeMap, sync::Arc, sync::Mutex};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    board::Board,
    errands::Errands,
    named::{Named, NamedReader},
    reader::Reader,
};
use super::{Engine, intake::again_after_a_panic, live::RoutesNow};
use crate::{
    domain::{DiscoveryRules, Holds, Moment, Place, Sight, TargetId, TargetSettings},
    inventory::{Inventory, Update},
    status::InventoryState,
};

/// A reader that died begins anew after this.
const PAUSE_AFTER_A_PANIC: std::time::Duration = std::time::Duration::from_secs(10);

/// The services that are named are read at least this often, with discovery or without.
const NAMED_REFRESH: std::time::Duration = std::time::Duration::from_mins(5);

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
    /// This was seen of targets, by readings that were asked for at this moment.
    Seen(Vec<Seen>, Moment),
    /// Receiving may begin, or has begun, although these places have not been read.
    Open(Arc<[Place]>),
    /// Somebody asks for the routes of now.
    Routes(oneshot::Sender<Box<RoutesNow>>),
}

/// What was seen of a target.
#[derive(Debug)]
pub(super) struct Seen {
    /// For people.
    pub(super) sight: Sight,
    /// What its tags say of what keeps it back.
    pub(super) holds: Holds,
}

/// Whether messages are received: not yet, or although these places have not been read.
pub(super) type Gate = Option<Arc<[Place]>>;

/// Whether nothing is left that has never been read.
pub(super) fn is_whole(gate: &Gate) -> bool {
    gate.as_ref().is_some_and(|unread| unread.is_empty())
}

/// What the loop has of discovery. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Discovering {
    pub(super) words: mpsc::Receiver<Word>,
    pub(super) gate: watch::Sender<Gate>,
    pub(super) asks: Asks,
    _end: DropGuard,
}

/// Asks for services to be read soon.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    discovery: Arc<BTreeMap<Place, Arc<Errands>>>,
    named: Arc<BTreeMap<Place, Arc<Named>>>,
}

impl Asks {
    /// This service may have changed.
    pub(super) fn about(&self, target: &TargetId) {
        let place = Place::of(target);
        if let Some(errands) = self.discovery.get(&place) {
            errands.add(target);
        }
        if let Some(named) = self.named.get(&place) {
            named.moved(target);
        }
    }

    /// This target, which is known, is worth reading.
    pub(super) fn about_known(&self, target: &TargetId) {
        let place = Place::of(target);
        if let Some(errands) = self.discovery.get(&place) {
            errands.add(target);
        }
        if let Some(named) = self.named.get(&place) {
            named.add(target);
            named.moved(target);
        }
    }

    /// This target of ours was changed by us.
    pub(super) fn about_ours(&self, target: &TargetId) {
        let place = Place::of(target);
        if let Some(errands) = self.discovery.get(&place) {
            errands.add(target);
        }
        // Whoever changed it has looked at it, too.
        if let Some(named) = self.named.get(&place) {
            named.add(target);
        }
    }

    /// This target is known no longer.
    pub(super) fn about_no_more(&self, target: &TargetId) {
        if let Some(named) = self.named.get(&Place::of(target)) {
            named.remove(target);
        }
    }

    /// Anything may have changed: somebody else acted until now.
    pub(super) fn about_everything(&self) {
        self.discovery.values().for_each(|errands| errands.everything());
        self.named.values().for_each(|named| named.errands.everything());
    }
}

impl Discovering {
    /// Begins to read: all services, if discovery is on, and those that are named in any case.
    pub(super) fn begin(engine: &Engine) -> Self {
        let (words_in, words) = mpsc::channel(WORDS);
        let stop = engine.stop.child_token();
        let (discovery, gate, inventory) = match &engine.discovery {
            Some(discovery) => {
                let (errands, inventory) = discover(engine, discovery, &words_in, &stop);
                (errands, None, Some(inventory))
            }
            None => (BTreeMap::new(), Some(Arc::default()), None),
        };
        let named = read_named(engine, inventory, &words_in, &stop);
        engine.live.open(words_in);
        let asks = Asks { discovery: Arc::new(discovery), named: Arc::new(named) };
        Self { words, gate: watch::Sender::new(gate), asks, _end: stop.drop_guard() }
    }
}

/// Begins to read all services there are.
fn discover(
    engine: &Engine,
    discovery: &Discovery,
    words: &mpsc::Sender<Word>,
    stop: &CancellationToken,
) -> (BTreeMap<Place, Arc<Errands>>, Arc<Mutex<Inventory>>) {
    let inventory = Arc::new(Mutex::new(Inventory::new(discovery.rules.clone())));
    let state = InventoryState::new(discovery.places.iter().cloned());
    let board = Arc::new(Board::new(state, engine, words.clone()));
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
            words: words.clone(),
            missing: Mutex::default(),
        };
        keep(Arc::new(reader), stop);
    }
    (asks, inventory)
}

/// Begins to read the services that are named: those that are known, and in our own place those that patterns will lead to.
fn read_named(
    engine: &Engine,
    inventory: Option<Arc<Mutex<Inventory>>>,
    words: &mpsc::Sender<Word>,
    stop: &CancellationToken,
) -> BTreeMap<Place, Arc<Named>> {
    let (account, region) = engine.routes.home();
    let mut places: BTreeMap<Place, Arc<Named>> = BTreeMap::new();
    places.insert(Place { account, region }, Arc::default());
    for (target, _) in engine.routes.targets() {
        places.entry(Place::of(target)).or_default().add(target);
    }
    let refresh = engine.discovery.as_ref().map_or(NAMED_REFRESH, |discovery| discovery.rules.refresh);
    let refresh = refresh.min(NAMED_REFRESH);
    for (place, named) in &places {
        let reader = Arc::new(NamedReader {
            place: place.clone(),
            named: Arc::clone(named),
            refresh,
            ecs: Arc::clone(&engine.ecs),
            inventory: inventory.clone(),
            words: words.clone(),
            clock: engine.clock.clone(),
            ran: Mutex::default(),
        });
        let ended = stop.clone();
        tokio::spawn(async move {
            let begin = || ended.clone().run_until_cancelled_owned(Arc::clone(&reader).keep_reading());
            again_after_a_panic("a reader of named services", &ended, PAUSE_AFTER_A_PANIC, begin).await;
        });
    }
    places
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
