//! What `run` does for people who ask over HTTP: it puts their requests on the queue, and looks at the dead-letter queue as
//! the commands do.
//!
//! Everything runs on the daemon's own runtime, beside the loop, and none of it needs the lease: whoever acts takes from
//! the queue what was put there by another.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Output,
    letters::{
        Office,
        desk::{Bounds, End},
        pick::{Filter, Since},
        shown::Shown,
    },
    process::now,
    replay::{self, How},
};
use crate::{
    aws::{
        Connections,
        ecs::{Ecs, NoWayBack},
        queue::Queue,
    },
    domain::{Cause, Outcome, TargetId, WayBack},
    engine::LiveRoutes,
    settings::Settings,
    status::{Answer, Desk, Letters, Refusal, Replay, Replayed},
};

/// Looking at letters hides each for a moment, so that nobody looks more often than this.
const SEEN_FOR: Duration = Duration::from_secs(10);

/// Whoever asks waits so long, and asks again after that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever looks at letters is done by then, as a rule.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// So many letters are shown; nobody reads more.
const MOST_LETTERS: Bounds = Bounds { letters: 2_000, bytes: None };

/// So many letters are put back in a second: what they lead to has to be deployed.
const REPLAYS_PER_SECOND: f64 = 10.0;

/// What it has of the loop, once that runs.
#[derive(Clone)]
pub(super) struct Reached {
    /// ECS as the loop reaches it, with its budget.
    pub(super) ecs: Arc<OnceLock<Arc<Ecs>>>,
    /// What events reach now.
    pub(super) routes: LiveRoutes,
}

/// The desk of one process.
pub(super) struct FrontDesk {
    back: Arc<BackOffice>,
    runtime: Handle,
}

/// What is behind it.
struct BackOffice {
    connections: Connections,
    settings: Settings,
    queue: Queue,
    reached: Reached,
    /// What was seen, and when.
    seen: Mutex<Option<(Instant, Arc<Letters>)>>,
    /// Who has it looks at letters, or puts them back: two of them would hide the letters from each other.
    turn: tokio::sync::Mutex<()>,
    stop: CancellationToken,
}

impl FrontDesk {
    /// A desk that reaches AWS over these connections, which no lease fences.
    pub(super) fn new(
        connections: Connections,
        settings: Settings,
        queue_url: &str,
        reached: Reached,
        stop: CancellationToken,
    ) -> Self {
        let queue = connections.queue(queue_url);
        let (seen, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        let back = BackOffice { connections, settings, queue, reached, seen, turn, stop };
        Self { back: Arc::new(back), runtime: Handle::current() }
    }

    /// Does this on the daemon's runtime, to its end, also if nobody waits for it any more.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> JoinHandle<Result<T, Refusal>> {
        self.runtime.spawn(work)
    }
}

impl Desk for FrontDesk {
    fn post(&self, event: &Value) -> Answer<'_, ()> {
        let (back, body) = (Arc::clone(&self.back), event.to_string());
        let sent = self.spawn(async move { back.post(&body).await });
        Box::pin(async { finished(sent.await) })
    }

    fn way_back(&self, target: TargetId, to: Option<String>) -> Answer<'_, WayBack> {
        let back = Arc::clone(&self.back);
        let found = self.spawn(async move { back.way_back(&target, to.as_deref()).await });
        Box::pin(async { finished(found.await) })
    }

    fn letters(&self) -> Answer<'_, Arc<Letters>> {
        let back = Arc::clone(&self.back);
        let mut seen = self.spawn(async move { back.letters().await });
        Box::pin(async move {
            match timeout(PATIENCE, &mut seen).await {
                Ok(seen) => finished(seen),
                Err(_) => Err(Refusal::Unavailable(
                    "the dead-letter queue is being read, and that takes longer".into(),
                )),
            }
        })
    }

    fn replay(&self, wanted: Replay) -> Answer<'_, Replayed> {
        let back = Arc::clone(&self.back);
        let mut replayed = self.spawn(async move { back.replay(wanted).await });
        Box::pin(async move {
            match timeout(PATIENCE, &mut replayed).await {
                Ok(replayed) => finished(replayed),
                Err(_) => Ok(Replayed::GoesOn),
            }
        })
    }
}

impl BackOffice {
    async fn way_back(&self, target: &TargetId, to: Option<&str>) -> Result<WayBack, Refusal> {
        let unknown =
            || Refusal::Unavailable("the process has just begun, and does not reach ECS yet".into());
        let ecs = self.reached.ecs.get().ok_or_else(unknown)?;
        ecs.way_back(target, to).await.map_err(|why| match why {
            NoWayBack::Wrong(why) => Refusal::Wrong(why),
            NoWayBack::Conflict(why) => Refusal::Conflict(why),
            NoWayBack::Failed(failure) => Refusal::Unavailable(failure.reason),
        })
    }

    async fn post(&self, body: &str) -> Result<(), Refusal> {
        let sent = self.queue.send(body, &std::collections::BTreeMap::new()).await;
        sent.map(drop).map_err(|error| {
            warn!(error = %error, "what was asked for over HTTP could not be put on the queue");
            Refusal::Unavailable(format!("it could not be put on the queue: {error}"))
        })
    }

    async fn letters(&self) -> Result<Arc<Letters>, Refusal> {
        let _turn = match (self.turn.try_lock(), self.seen()) {
            (_, Some((at, letters))) if at.elapsed() < SEEN_FOR => return Ok(letters),
            // Somebody is at it, and what was seen before is better than nothing.
            (Err(_), Some((_, letters))) => return Ok(letters),
            (Ok(turn), _) => turn,
            (Err(_), None) => self.turn.lock().await,
        };
        if let Some((at, letters)) = self.seen()
            && at.elapsed() < SEEN_FOR
        {
            return Ok(letters);
        }
        let letters = Arc::new(self.look().await?);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&letters)));
        Ok(letters)
    }

    fn seen(&self) -> Option<(Instant, Arc<Letters>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn look(&self) -> Result<Letters, Refusal> {
        let office = self.office(Filter::default()).await?;
        let (swept, hidden) = office.look(MOST_LETTERS).await;
        if hidden > 0 {
            warn!(
                letters = hidden,
                "letters that were looked at could not be given back: they come back by themselves"
            );
        }
        let whole = match swept.end {
            End::Whole => true,
            End::Bounded => false,
            End::Stopped => return Err(Refusal::Unavailable("the process ends".into())),
            End::Failed(error) => {
                return Err(Refusal::Unavailable(format!("the dead-letter queue cannot be read: {error}")));
            }
        };
        let mut letters: Vec<Shown> =
            swept.found.values().map(|found| Shown::new(found, &office.outlook, false)).collect();
        letters.sort_by(|one, other| one.place().cmp(&other.place()));
        let letters = letters.into_iter().map(|shown| shown.record).collect();
        Ok(Letters { seen_at: now(), letters, whole, unseen: office.unseen() })
    }

    async fn replay(&self, wanted: Replay) -> Result<Replayed, Refusal> {
        let busy = "letters are being put back already: try again when that is done";
        let turn = timeout(LONGEST_LOOK, self.turn.lock()).await;
        let _turn = turn.map_err(|_| Refusal::Conflict(busy.into()))?;
        let Replay { ids, target, outcome, cause, since, force, dry_run, by } = wanted;
        let filter = Filter {
            id: ids,
            target,
            since: since.map(Since::At),
            outcome: outcome.map(|it: Outcome| it.as_str().to_owned()),
            cause: cause.map(|it: Cause| it.as_str().to_owned()),
        };
        let office = self.office(filter).await?;
        let how = How { force, dry_run, rate: REPLAYS_PER_SECOND, by: Some(Arc::clone(&by)) };
        let answer = replay::from(&office, how, Output::Json).await;
        let answer = answer.map_err(|error| Refusal::Unavailable(format!("{error:#}")))?;
        let (selected, replayed) = (answer.selected, answer.replayed);
        if !dry_run {
            info!(by = &*by, selected, replayed, force, "letters were put back, as was asked for over HTTP");
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(Replayed::Done {
            selected,
            replayed,
            would_replay: answer.would_replay(),
            without_effect: answer.without_effect(),
            missing: answer.missing.clone(),
            left: answer.not_put_back(),
        })
    }

    async fn office(&self, filter: Filter) -> Result<Office, Refusal> {
        let (settings, stop) = (self.settings.clone(), self.stop.clone());
        let live = self.reached.routes.now().await;
        let office = Office::at(&self.connections, (settings, live), filter, true, stop).await;
        let office = office.context("find the dead-letter queue");
        let office = office.map_err(|error| Refusal::Unavailable(format!("{error:#}")))?;
        match &office.desk.facts.dead_letter {
            None => Ok(office),
            Some(next) => Err(Refusal::Conflict(format!(
                "the dead-letter queue has a redrive policy of its own: to look at a letter is to receive it, and after {} \
                 receives SQS moves it on to {next}. Remove that policy",
                office.desk.facts.max_receive_count.unwrap_or_default()
            ))),
        }
    }
}

fn finished<T>(work: Result<Result<T, Refusal>, tokio::task::JoinError>) -> Result<T, Refusal> {
    work.unwrap_or_else(|_| Err(Refusal::Unavailable("the process ends".into())))
}
