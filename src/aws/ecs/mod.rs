//! Amazon ECS: look at a service, start a rollout.
//!
//! | module | does |
//! |---|---|
//! | `service` | a service as DescribeServices shows it |
//! | `glance` | many services at once, by that call alone |
//! | `look` | everything that the next step of one target is decided on |
//! | `inspect` | what can be wrong with a service before anything is deployed |
//! | `hold` | has the tags of a service say what was decided about it |
//! | `history` | the calls about service deployments and revisions, which not every emulator has |
//! | `past` | what is only shown: rollouts that ended, and what definitions say |
//! | `rollouts` | pure: which rollouts there were, from the two lists that ECS keeps |
//! | `base` | which definition a deployment starts from |
//! | `definition` | pure: task definitions as raw JSON |
//! | `describe` | reads definitions, and remembers them: only their tags change |
//! | `discover` | which clusters and services there are, and what each depends on |
//! | `generations` | pure: remembers so much, and forgets what was not asked for longest |
//! | `start` | registers where needed, and calls UpdateService |
//! | `stop` | has ECS stop a rollout and go back |
//! | `owner` | which Lockkeeper a service is deployed by |
//! | `way_back` | what a service can be rolled back to |
//! | `evidence` | stopped tasks and running digests |
//! | `logs` | pure: where CloudWatch shows what a container wrote |

mod base;
mod definition;
mod describe;
mod discover;
mod evidence;
mod generations;
mod glance;
mod history;
mod hold;
mod inspect;
mod logs;
mod look;
mod owner;
mod past;
mod rollouts;
mod service;
mod start;
mod stop;
mod tap;
mod way_back;

pub use discover::{PAGE, READ_BATCH};
pub use glance::GLANCE_BATCH;
pub use history::RevisionDigests;
pub use inspect::{Guard, INSPECT_BATCH, Inspected, InspectedDefinition};
pub use past::Stranger;
pub use way_back::NoWayBack;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use aws_sdk_ecs::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    Connections,
    budget::{self, ApiClass, Budget, Urgency},
    connect::READ_ATTEMPTS,
    failure::{Fault, Kind, Verb},
    observe::Calls,
};
use crate::domain::{
    AccountId, AccountRule, BudgetShare, CallFailure, Cause, DefinitionId, DefinitionView, LookOrder, Owner,
    Place, Prospect, Region, Remedy, TargetId,
};
use generations::Generations;

/// ECS as our credentials reach it, and the roles that they may assume: every Region of these accounts.
#[derive(Debug)]
pub struct Ecs {
    accounts: BTreeMap<AccountId, Connections>,
    share: BudgetShare,
    /// Who we are, where that is known.
    owner: Option<Owner>,
    /// Whether services that are deployed are tagged with it.
    tags: bool,
    places: Mutex<BTreeMap<Place, Arc<Reach>>>,
    /// From then on nothing is begun.
    closing: CancellationToken,
}

/// What is remembered of a revision.
#[derive(Clone, Debug)]
struct Remembered {
    view: DefinitionView,
    logs: Arc<logs::Logs>,
}

/// The calls that are kept free for a start: it follows a look at once, so that it is decided on what is so.
#[derive(Debug, Default)]
pub struct Clearance {
    register: Option<budget::Place>,
    update: Option<budget::Place>,
}

/// A start whose look was taken this long ago has to look again. Reads of ECS are about as stale as that anyway.
const LONGEST_START_WAIT: Duration = Duration::from_secs(3);

/// After a first failed attempt of a read the next follows after at most so long; then twice that.
const FIRST_READ_DELAY: Duration = Duration::from_secs(1);

/// ECS in one account and Region, with a budget of its own: AWS throttles each apart.
#[derive(Debug)]
struct Reach {
    /// For reads.
    reads: Client,
    /// For calls that change something.
    changes: Client,
    calls: Calls,
    budget: Budget,
    closing: CancellationToken,
    /// Whether the endpoint has the calls about service deployments; unset until one was answered.
    has_history: OnceLock<bool>,
    definitions: Mutex<Generations<DefinitionId, Remembered>>,
    region: Region,
    owner: Option<Owner>,
    /// The services that were looked at, and are not tagged as ours.
    unclaimed: Mutex<owner::Unclaimed>,
    /// Whether services may not be tagged.
    cannot_claim: AtomicBool,
    /// One lock per family that was registered to.
    families: Mutex<BTreeMap<Arc<str>, Arc<tokio::sync::Mutex<()>>>>,
}

impl Ecs {
    /// ECS in the account that these credentials belong to.
    pub fn new(connections: Connections, account: AccountId) -> Self {
        let (accounts, closing) = (BTreeMap::from([(account, connections)]), CancellationToken::new());
        Self {
            accounts,
            share: BudgetShare::HALF,
            owner: None,
            tags: false,
            places: Mutex::default(),
            closing,
        }
    }

    /// Also in these accounts, which are reached from here by assuming a role.
    pub async fn with_accounts(mut self, home: &Connections, rules: &[AccountRule]) -> Self {
        for AccountRule { account, role_arn, external_id } in rules {
            let role = home.assuming(role_arn, external_id.as_deref()).await;
            self.accounts.insert(account.clone(), role);
        }
        self
    }

    /// With this share of the calls that AWS allows.
    #[must_use]
    pub fn with_share(mut self, share: BudgetShare) -> Self {
        self.share = share;
        self
    }

    /// How many glances may be sent in a second: half of our reads of services, so that looks find room beside them.
    pub fn glances_per_second(&self) -> u32 {
        let reads = ApiClass::ServiceRead.limits().per_second * u32::from(self.share.per_mille()) / 1_000;
        (reads / 2).max(1)
    }

    /// From now on no call is begun, not even by a start that is under way. Who waits for a turn is told at once.
    pub fn stop(&self) {
        self.closing.cancel();
    }

    /// Forgets what was read of definitions: another process may have tagged them since.
    pub fn forget(&self) {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.values().for_each(|reach| reach.forget_definitions());
    }

    /// Waits until what may follow a look could be called at once, and keeps those calls free.
    pub async fn clearance(&self, order: &LookOrder) -> Result<Clearance, CallFailure> {
        let reach = self.reach(&order.target)?;
        let closed = |_| stopping("the look");
        // Always in this order: who waits for the second keeps the first, and never the other way round.
        let register = match order.prospect {
            Prospect::Registration => Some(reach.budget.place(ApiClass::DefinitionModify).await),
            Prospect::Nothing | Prospect::Rollout => None,
        };
        let register = register.transpose().map_err(closed)?;
        let update = match order.prospect {
            Prospect::Registration | Prospect::Rollout => {
                Some(reach.budget.place(ApiClass::ServiceModify).await)
            }
            Prospect::Nothing => None,
        };
        Ok(Clearance { register, update: update.transpose().map_err(closed)? })
    }

    /// ECS where this target is. An account that we have no way to is refused: a service of the same name in another one
    /// is not the one meant.
    fn reach(&self, target: &TargetId) -> Result<Arc<Reach>, CallFailure> {
        self.reach_in(&Place::of(target), &format!("{target} is in account {}", target.account()))
    }

    fn reach_in(&self, place: &Place, what: &str) -> Result<Arc<Reach>, CallFailure> {
        let Some(connections) = self.accounts.get(&place.account) else {
            let ours: Vec<&str> = self.accounts.keys().map(AccountId::as_str).collect();
            return Err(CallFailure {
                cause: Cause::Permission,
                reason: format!("{what}, and our credentials are for {}", ours.join(", ")),
                remedy: Remedy::GiveUp,
            });
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let reach = places.entry(place.clone()).or_insert_with(|| {
            let connections = connections.in_region(&place.region);
            let reach = Reach::new(&connections, self.share, &self.closing);
            Arc::new(Reach { owner: self.owner.clone(), ..reach })
        });
        Ok(Arc::clone(reach))
    }
}

impl Clearance {
    /// Whether what this look may lead to is cleared already.
    pub fn covers(&self, order: &LookOrder) -> bool {
        match order.prospect {
            Prospect::Nothing => true,
            Prospect::Rollout => self.update.is_some(),
            Prospect::Registration => self.update.is_some() && self.register.is_some(),
        }
    }
}

impl Reach {
    fn new(connections: &Connections, share: BudgetShare, closing: &CancellationToken) -> Self {
        Self {
            reads: connections.ecs_reads(),
            changes: connections.ecs_changes(),
            calls: connections.calls().clone(),
            budget: Budget::new(share, connections.observer(), closing.clone()),
            closing: closing.clone(),
            has_history: OnceLock::new(),
            definitions: Mutex::default(),
            region: connections.region().clone(),
            owner: None,
            unclaimed: Mutex::default(),
            cannot_claim: AtomicBool::new(false),
            families: Mutex::default(),
        }
    }

    /// Makes a call up to so many times, each time with a token of its own. How long one attempt may take counts
    /// from the token.
    async fn ask<T, E, F>(
        &self,
        operation: &'static str,
        attempts: u32,
        urgency: Urgency,
        call: impl Fn() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let class = ApiClass::of(operation);
        let mut attempt = 1;
        loop {
            let token = self.budget.token(class, urgency).await;
            token.map_err(|_| Fault::never_sent("the process is stopping"))?;
            let answer = self.calls.make("ecs", operation, call()).await;
            let Err(fault) = &answer else { return answer };
            self.learn(class, fault.kind());
            if attempt >= attempts || !fault.kind().may_pass() {
                return answer;
            }
            let delay = (FIRST_READ_DELAY * (1 << (attempt - 1))).mul_f64(fastrand::f64());
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            debug!(operation, attempt, delay_ms, error = fault.reason(operation), "aws call is tried again");
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// A call that only reads, because something waits for it.
    async fn read<T, E, F>(&self, operation: &'static str, call: impl Fn() -> F) -> Result<T, CallFailure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let answer = self.ask(operation, READ_ATTEMPTS, Urgency::Soon, call).await;
        answer.map_err(|fault| fault.of_call(operation, Verb::Read))
    }

    /// A call that changes something. It is made at once by the place that is kept for it, or soon, or not at all.
    async fn change<T, E>(
        &self,
        operation: &'static str,
        place: Option<budget::Place>,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CallFailure>
    where
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let class = ApiClass::of(operation);
        let call = self.calls.make("ecs", operation, call);
        let token = async {
            match place {
                Some(place) => place.redeem().await,
                None => self.budget.token(class, Urgency::Soon).await,
            }
        };
        match tokio::time::timeout(LONGEST_START_WAIT, token).await {
            Err(_) => return Err(not_yet(operation)),
            Ok(Err(_)) => return Err(stopping(operation)),
            Ok(Ok(())) if self.is_closing() => return Err(stopping(operation)),
            Ok(Ok(())) => {}
        }
        call.await.map_err(|fault| {
            self.learn(class, fault.kind());
            fault.of_call(operation, Verb::Change)
        })
    }

    fn learn(&self, class: ApiClass, kind: Kind) {
        if kind == Kind::Throttled {
            self.budget.throttled(class);
        }
    }

    /// Whether nothing is begun any more.
    fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }
}

fn not_yet(operation: &str) -> CallFailure {
    let waited = LONGEST_START_WAIT.as_secs();
    let reason = format!("{operation} was not begun: its turn did not come within {waited} s");
    CallFailure { cause: Cause::Throttled, reason, remedy: Remedy::Wait }
}

fn stopping(what: &str) -> CallFailure {
    let reason = format!("{what} was not begun: the process is stopping");
    CallFailure { cause: Cause::Unknown, reason, remedy: Remedy::Wait }
}
