//! The routes as the loop knows them now, for those beside it who tell people what would follow from an event.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::discover::{Gate, Word, is_whole};
use crate::route::Routes;

/// The loop answers at its next turn; one that stands still is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the loop for its routes. A copy asks the same loop.
#[derive(Clone, Debug, Default)]
pub struct LiveRoutes(Arc<OnceLock<mpsc::Sender<Word>>>);

/// The routes at one time.
#[derive(Clone, Debug)]
pub struct RoutesNow {
    /// The rules, and what discovery has found.
    pub routes: Routes,
    /// Whether there is nothing that discovery has still to read. Without discovery there never is.
    pub whole: bool,
}

impl LiveRoutes {
    /// The routes of now; `None` where no loop answers.
    pub async fn now(&self) -> Option<RoutesNow> {
        let (answer, routes) = oneshot::channel();
        self.0.get()?.try_send(Word::Routes(answer)).ok()?;
        let routes = tokio::time::timeout(PATIENCE, routes).await;
        routes.ok()?.ok().map(|routes| *routes)
    }

    /// This loop is asked from now on.
    pub(super) fn open(&self, words: mpsc::Sender<Word>) {
        let _ = self.0.set(words);
    }
}

impl RoutesNow {
    /// As they are now. While nothing is received yet, not everything was read.
    pub(super) fn of(routes: &Routes, gate: &Gate) -> Self {
        Self { routes: routes.clone(), whole: is_whole(gate) }
    }
}
