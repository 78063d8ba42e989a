//! Every change, as it happens: server-sent events.
//!
//! One task waits for snapshots and makes the events of each change once, however many listen: what did not change
//! between two snapshots is the same allocation in both, so that finding what did costs a comparison of pointers. Whoever
//! listens gets the same text. Who is too slow for it misses some, and is told so by another `hello`: then all is to be
//! asked for anew.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write as _,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Snapshot, StatusState,
    access::Reader,
    api::{DeploymentShown, ReadErrors, TargetShown},
    problem::Problem,
};
use crate::domain::{DeploymentRecord, TargetId, TargetRecord};

/// So many listen at a time.
const MOST_STREAMS: usize = 512;

/// So many changes a listener may be behind.
const MOST_BEHIND: usize = 1_024;

/// A listener hears something this often, so that nobody on the way takes the silence for an end.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Somebody may have left by then.
const FULL_FOR: Duration = Duration::from_secs(10);

/// How a browser that lost its stream comes back.
const RETRY_MILLIS: u32 = 2_000;

/// Tells all who listen of every change.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    places: Arc<Semaphore>,
    /// Where changes are told, while somebody listens.
    told: Arc<Mutex<Option<broadcast::Sender<Bytes>>>>,
    sequence: Arc<AtomicU64>,
}

impl Default for Hub {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(MOST_STREAMS));
        Self { places, told: Arc::default(), sequence: Arc::default() }
    }
}

/// Every change of a target or a deployment, as server-sent events.
///
/// `hello` comes first, and again where changes were missed: then everything is to be asked for anew. `target` and
/// `deployment` carry what `/api/v1/targets/{id}` and `/api/v1/deployments/{id}` answer. `gone` carries the id of a target
/// that is none any more. A comment comes every 15 s.
#[utoipa::path(get, path = "/api/v1/stream", tag = "stream", security((), ("token" = [])),
    responses((status = 200, description = "Events, until one side ends", content_type = "text/event-stream", body = String),
        ReadErrors))]
pub(super) async fn stream(State(state): State<StatusState>, _: Reader) -> Result<Response, Problem> {
    let Ok(place) = Arc::clone(&state.hub.places).try_acquire_owned() else {
        let detail = format!("{MOST_STREAMS} streams are open already");
        return Err(Problem::later(StatusCode::SERVICE_UNAVAILABLE, FULL_FOR, detail));
    };
    let listener = Listener::new(state.hub.listen(&state), &state, place);
    let events = stream::unfold(listener, async |mut listener| {
        let next = listener.next().await?;
        Some((Ok::<_, Infallible>(next), listener))
    });
    // Nobody on the way is to gather events before it hands them on.
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store, no-transform")];
    Ok((headers, [("x-accel-buffering", "no")], Body::from_stream(events)).into_response())
}

/// One who listens.
struct Listener {
    hub: Hub,
    changes: broadcast::Receiver<Bytes>,
    heartbeat: tokio::time::Interval,
    closing: CancellationToken,
    is_greeted: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    fn new(changes: broadcast::Receiver<Bytes>, state: &StatusState, place: OwnedSemaphorePermit) -> Self {
        let mut heartbeat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (hub, closing) = (state.hub.clone(), state.closing.clone());
        Self { hub, changes, heartbeat, closing, is_greeted: false, _place: place }
    }

    /// What is sent next; nothing more once the process ends.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.is_greeted, true) {
            return Some(self.hub.hello());
        }
        tokio::select! {
            () = self.closing.cancelled() => None,
            change = self.changes.recv() => match change {
                Ok(change) => Some(change),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(self.hub.hello()),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            _ = self.heartbeat.tick() => Some(Bytes::from_static(b": \n\n")),
        }
    }
}

impl Hub {
    /// Hears of everything that changes from now on. The first to listen starts the task that tells.
    fn listen(&self, state: &StatusState) -> broadcast::Receiver<Bytes> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &*told {
            return told.subscribe();
        }
        let (sender, receiver) = broadcast::channel(MOST_BEHIND);
        *told = Some(sender);
        let teller = Teller {
            hub: self.clone(),
            clock: state.clock.clone(),
            last: state.latest(),
            snapshots: state.snapshot.clone(),
        };
        tokio::spawn(teller.tell(state.closing.clone()));
        receiver
    }

    /// The first event, and the one that tells that some were missed.
    fn hello(&self) -> Bytes {
        let seen = self.sequence.load(Ordering::Relaxed);
        format!("retry: {RETRY_MILLIS}\nevent: hello\nid: {seen}\ndata: {{\"id\":{seen}}}\n\n").into()
    }

    /// One event.
    fn event(&self, name: &str, data: &impl Serialize) -> Bytes {
        let id = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let data = serde_json::to_string(data).expect("what is shown has text keys only");
        let mut event = String::with_capacity(data.len() + 64);
        let _ = write!(event, "event: {name}\nid: {id}\ndata: {data}\n\n");
        event.into()
    }
}

/// Makes events of snapshots.
struct Teller {
    hub: Hub,
    clock: Clock,
    last: Arc<Snapshot>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Teller {
    /// Tells until nobody listens any more.
    async fn tell(mut self, closing: CancellationToken) {
        let mut closing = pin!(closing.cancelled_owned());
        loop {
            tokio::select! {
                () = closing.as_mut() => return,
                changed = self.snapshots.changed() => if changed.is_err() { return },
            }
            let next = self.snapshots.borrow_and_update().clone();
            let events = self.changes(&next);
            self.last = next;
            let mut told = self.hub.told.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(sender) = &*told else { return };
            if sender.receiver_count() == 0 {
                *told = None;
                return;
            }
            for event in events {
                let _ = sender.send(event);
            }
        }
    }

    /// What is other in the next snapshot than in the last.
    fn changes(&self, next: &Snapshot) -> Vec<Bytes> {
        let mut events = Vec::new();
        let clock = self.clock.now();
        for target in changed_targets(&self.last, next) {
            events.push(self.hub.event("target", &TargetShown::new(target, clock)));
        }
        for gone in gone_targets(&self.last, next) {
            events.push(self.hub.event("gone", &gone));
        }
        for deployment in changed_deployments(&self.last, next) {
            events.push(self.hub.event("deployment", &DeploymentShown::new(deployment, next)));
        }
        events
    }
}

fn changed_targets<'a>(last: &Snapshot, next: &'a Snapshot) -> Vec<&'a TargetRecord> {
    if Arc::ptr_eq(&last.targets, &next.targets) {
        return Vec::new();
    }
    let known: BTreeMap<&TargetId, &Arc<TargetRecord>> = last.targets.iter().map(|it| (&it.id, it)).collect();
    let is_other = |it: &&Arc<TargetRecord>| known.get(&it.id).is_none_or(|before| !Arc::ptr_eq(before, it));
    next.targets.iter().filter(is_other).map(|it| &**it).collect()
}

fn gone_targets(last: &Snapshot, next: &Snapshot) -> Vec<TargetId> {
    if Arc::ptr_eq(&last.targets, &next.targets) {
        return Vec::new();
    }
    let known: std::collections::BTreeSet<&TargetId> = next.targets.iter().map(|it| &it.id).collect();
    last.targets.iter().filter(|it| !known.contains(&it.id)).map(|it| it.id.clone()).collect()
}

/// Those that ended come first: what follows in their lane comes after.
fn changed_deployments<'a>(last: &Snapshot, next: &'a Snapshot) -> Vec<&'a DeploymentRecord> {
    let mut changed: Vec<&DeploymentRecord> = Vec::new();
    if !Arc::ptr_eq(&last.history, &next.history) {
        let newest = last.history.newest();
        let is_new = |it: &&Arc<DeploymentRecord>| newest.is_none_or(|newest| !Arc::ptr_eq(newest, it));
        changed.extend(next.history.shared().take_while(is_new).map(|it| &**it));
        changed.reverse();
    }
    for (last, next) in [(&last.deployments, &next.deployments), (&last.waiting, &next.waiting)] {
        if !Arc::ptr_eq(last, next) {
            let is_other = |(target, it): &(&TargetId, &Arc<DeploymentRecord>)| {
                last.get(*target).is_none_or(|before| !Arc::ptr_eq(before, it))
            };
            changed.extend(next.iter().filter(is_other).map(|(_, it)| &**it));
        }
    }
    changed
}
