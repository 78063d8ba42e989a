//! HTTP before a [`World`], so that the AWS SDKs and command-line tools can talk to it.
//!
//! One path for all services, told apart by `x-amz-target`, which S3 and STS have not; the account is the access key where that
//! has twelve digits or comes of an assumed role, the Region comes from the credential scope. Long polls wait here: they are woken by arrivals, by the end of
//! a message's visibility timeout, and by their own deadline. Under `/_sim/` a test turns the world's dials.

mod control;
mod dispatch;
mod fuse;
mod json;
mod poll;
mod query;
mod rest;
mod text;

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, connect_info::MockConnectInfo},
    routing::{get, post},
};
use tokio::{net::TcpListener, sync::Notify, time::Instant};

use self::fuse::{Fuse, FusedListener};
use super::{call::Service, sqs::QueueKey, world::World};
use crate::domain::Timestamp;

/// The largest request: a full batch of escaped JSON.
const LARGEST_REQUEST_BYTES: usize = 16 << 20;

/// Who callers are that do not say.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// Their account.
    pub account: String,
    /// Their Region.
    pub region: String,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self { account: super::DEFAULT_ACCOUNT.to_owned(), region: super::DEFAULT_REGION.to_owned() }
    }
}

/// A world that is served, and a handle to it: clones share the world.
#[derive(Clone, Debug)]
pub struct Front {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    settings: FrontSettings,
    clock: FrontClock,
    bells: Mutex<BTreeMap<QueueKey, Arc<Notify>>>,
    /// Rung when the world may have something to do earlier than the ticker thinks.
    alarm: Notify,
}

impl Front {
    /// A front before this world.
    pub fn new(world: World, settings: FrontSettings) -> Self {
        let world = Mutex::new(world);
        let clock = FrontClock { began: (wall(), Instant::now()) };
        let shared = Shared { world, settings, clock, bells: Mutex::default(), alarm: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Does something to the world from inside the process, at the present time, and wakes whoever waits for it.
    pub fn with<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let mut world = self.world();
        let done = act(&mut world, self.now());
        self.settle(&mut world);
        self.shared.alarm.notify_one();
        done
    }

    /// Serves until the future is dropped or the listener fails. Queue URLs begin with the listener's address.
    pub fn serve(&self, listener: TcpListener) -> impl Future<Output = io::Result<()>> + use<> {
        let front = self.clone();
        async move {
            let base = format!("http://{}", listener.local_addr()?);
            front.with(|world, _| {
                let mut settings = world.settings().clone();
                settings.queue_base = base;
                world.set_settings(settings);
            });
            let ticker = front.clone();
            let app = front.router().into_make_service_with_connect_info::<Fuse>();
            tokio::select! {
                served = axum::serve(FusedListener(listener), app).into_future() => served,
                () = ticker.tick() => Ok(()),
            }
        }
    }

    /// What answers requests without a network in between; [`Self::tick`] has to run beside it. A connection that is to be
    /// cut is answered with 502.
    pub fn local(&self) -> Router {
        self.clone().router().layer(MockConnectInfo(Fuse::default()))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        let (wall, began) = self.shared.clock.began;
        wall + began.elapsed()
    }

    fn router(self) -> Router {
        Router::new()
            .route("/_sim/faults", post(control::add_fault).delete(control::clear_faults))
            .route("/_sim/calls", get(control::calls))
            .route("/_sim/push", post(control::push))
            .route("/_sim/roles", post(control::add_roles))
            .route("/_sim/state", get(control::state))
            .route("/_sim/reset", post(control::reset))
            .route("/_sim/settings", post(control::settings))
            .fallback(dispatch::dispatch)
            .layer(DefaultBodyLimit::max(LARGEST_REQUEST_BYTES))
            .with_state(self)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings for the queues in which something arrived.
    fn settle(&self, world: &mut World) {
        let arrivals = world.take_arrivals();
        if arrivals.is_empty() {
            return;
        }
        let bells = self.shared.bells.lock().unwrap_or_else(PoisonError::into_inner);
        for bell in arrivals.iter().filter_map(|key| bells.get(key)) {
            bell.notify_waiters();
        }
    }

    fn bell(&self, key: QueueKey) -> Arc<Notify> {
        let mut bells = self.shared.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(key).or_default().clone()
    }

    /// Whether a call may have given the world something to do by itself.
    fn note_work(&self, service: Service, operation: &str) {
        match service {
            Service::Sqs if operation != "StartMessageMoveTask" => {}
            Service::Sqs
            | Service::Events
            | Service::Ecr
            | Service::Ssm
            | Service::Ecs
            | Service::SecretsManager
            | Service::S3
            | Service::Sts => {
                self.shared.alarm.notify_one();
            }
        }
    }

    /// Advances the world when something in it is due.
    pub async fn tick(self) {
        loop {
            let next = self.world().next_advance();
            match next {
                Some(at) => {
                    let rest = at.since(self.now());
                    let _ = tokio::time::timeout(rest, self.shared.alarm.notified()).await;
                }
                None => self.shared.alarm.notified().await,
            }
            let mut world = self.world();
            world.advance(self.now());
            self.settle(&mut world);
        }
    }
}

/// The time that has passed since a reading of the wall's clock, by that of the runtime: where a test lets the runtime's
/// time fly, the world's flies with it.
#[derive(Debug)]
struct FrontClock {
    began: (Timestamp, Instant),
}

fn wall() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(0) + elapsed
}
