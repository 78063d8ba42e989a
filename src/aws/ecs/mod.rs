//! Amazon ECS: look at a service, start a rollout.
//!
//! | module | does |
//! |---|---|
//! | `service` | a service as DescribeServices shows it |
//! | `glance` | many services at once, by that call alone |
//! | `look` | everything that the next step of one target is decided on |
//! | `history` | the calls about service deployments and revisions, which not every emulator has |
//! | `rollouts` | pure: which rollouts there were, from the two lists that ECS keeps |
//! | `definition` | pure: task definitions as raw JSON |
//! | `describe` | reads definitions, and remembers them: they never change |
//! | `start` | registers where needed, and calls UpdateService |
//! | `stop` | has ECS stop a rollout and go back |
//! | `evidence` | stopped tasks and running digests |

mod definition;
mod describe;
mod evidence;
mod glance;
mod history;
mod look;
mod rollouts;
mod service;
mod start;
mod stop;
mod tap;

pub use glance::GLANCE_BATCH;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_sdk_ecs::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use super::{
    Connections,
    failure::{Fault, Verb},
    observe::Calls,
};
use crate::domain::{AccountId, CallFailure, Cause, DefinitionId, DefinitionView, Region, Remedy, TargetId};

/// ECS as our credentials reach it: one account, every Region.
#[derive(Debug)]
pub struct Ecs {
    connections: Connections,
    account: AccountId,
    regions: Mutex<BTreeMap<Region, Arc<Reach>>>,
    /// Whether calls that change something are still begun.
    closing: Arc<AtomicBool>,
}

/// ECS in one Region.
#[derive(Debug)]
struct Reach {
    /// For reads, tried again by the SDK.
    reads: Client,
    /// For the same reads, tried once.
    once: Client,
    /// For calls that change something.
    changes: Client,
    calls: Calls,
    closing: Arc<AtomicBool>,
    /// Whether the endpoint has the calls about service deployments; unset until one was answered.
    has_history: OnceLock<bool>,
    definitions: Mutex<BTreeMap<DefinitionId, DefinitionView>>,
    /// One lock per family that was registered to.
    families: Mutex<BTreeMap<Arc<str>, Arc<tokio::sync::Mutex<()>>>>,
}

impl Ecs {
    /// ECS in the account that these credentials belong to.
    pub fn new(connections: Connections, account: AccountId) -> Self {
        Self { connections, account, regions: Mutex::default(), closing: Arc::default() }
    }

    /// From now on no call that changes something is begun, not even by a start that is under way.
    pub fn stop_changes(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// ECS where this target is. Another account is refused: a service of the same name here is not the one meant.
    fn reach(&self, target: &TargetId) -> Result<Arc<Reach>, CallFailure> {
        if *target.account() != self.account {
            let (theirs, ours) = (target.account(), &self.account);
            return Err(CallFailure {
                cause: Cause::Permission,
                reason: format!("{target} is in account {theirs}, and our credentials are for {ours}"),
                remedy: Remedy::GiveUp,
            });
        }
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = regions.entry(target.region().clone());
        Ok(known
            .or_insert_with(|| {
                Arc::new(Reach::new(&self.connections.in_region(target.region()), &self.closing))
            })
            .clone())
    }
}

impl Reach {
    fn new(connections: &Connections, closing: &Arc<AtomicBool>) -> Self {
        Self {
            closing: Arc::clone(closing),
            reads: connections.ecs_reads(),
            once: connections.ecs_reads_once(),
            changes: connections.ecs_changes(),
            calls: connections.calls().clone(),
            has_history: OnceLock::new(),
            definitions: Mutex::default(),
            families: Mutex::default(),
        }
    }

    fn make<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> impl Future<Output = Result<T, Fault>>
    where
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        self.calls.make("ecs", operation, call)
    }

    /// A call that only reads.
    fn read<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> impl Future<Output = Result<T, CallFailure>>
    where
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let call = self.make(operation, call);
        async move { call.await.map_err(|fault| fault.of_call(operation, Verb::Read)) }
    }

    /// Whether calls that change something are no longer begun.
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// A call that changes something.
    fn change<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> impl Future<Output = Result<T, CallFailure>>
    where
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let call = self.make(operation, call);
        let closing = Arc::clone(&self.closing);
        async move {
            if closing.load(Ordering::Relaxed) {
                let reason = format!("{operation} was not begun: the process is stopping");
                return Err(CallFailure { cause: Cause::Unknown, reason, remedy: Remedy::Retry });
            }
            call.await.map_err(|fault| fault.of_call(operation, Verb::Change))
        }
    }
}
