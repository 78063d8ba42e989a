//! `lockkeeper run`: the daemon.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Ended,
    desk::{FrontDesk, Reached},
    process::stop_on_signals,
};
use crate::{
    aws::{Connections, Fence, Observer, ecs::Ecs, sources::Sources},
    domain::{Owner, ReconcileMode, Region, Report},
    engine::{
        self, Discovery, Engine, EngineClock, Lease, LiveRoutes, Lookups, Opened, People, Publisher,
        RECEIVE_WAIT, Reconcile, Watchdog,
    },
    plan::PlanSettings,
    report::{
        log::{self, LogSettings},
        message::Level,
        notice::Home,
        trace,
    },
    route::Routes,
    settings::{self, Settings},
    status::{
        self, About, Access, Clock, Health, Lookup, Metrics, SlackDesk, Snapshot, StatusState, TokenProblem,
    },
};

/// After the loop has ended, answers that are being sent may take this much longer.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// From the signal to the end of the process, with what is sent last.
const LONGEST_END: Duration = Duration::from_millis(9_700);

/// However long the rest took, notifications and traces get this much.
const LAST_NOTIFICATIONS: Duration = Duration::from_millis(700);

pub(super) fn run(files: &[PathBuf]) -> Ended {
    let settings = match super::load(files) {
        Ok(settings) => settings,
        Err(ended) => return ended,
    };
    if let Err(problems) = settings.require_queue() {
        return Ended::Misused(problems.to_string());
    }
    if let Err(problem) = access(&settings.http) {
        return Ended::Misused(problem.to_string());
    }
    if let Err(error) = log::install(log_settings(&settings)) {
        return Ended::Failed(error.into());
    }
    match super::in_runtime(daemon(settings)) {
        Ok(()) => Ended::Done,
        Err(error) => Ended::Failed(error),
    }
}

async fn daemon(settings: Settings) -> anyhow::Result<()> {
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let listener = TcpListener::bind(settings.http.listen)
        .await
        .with_context(|| format!("listen on {}", settings.http.listen))?;
    Box::pin(serve(settings, listener, stop, None, Way::AsUsual)).await
}

/// The way to AWS.
pub(super) enum Way {
    /// As AWS's own variables and profile say.
    AsUsual,
    /// To an emulator at this address, as this account.
    #[cfg(feature = "sim")]
    Emulator(String, &'static str),
}

impl Way {
    async fn open(&self, settings: &Settings, observer: Arc<dyn Observer>) -> anyhow::Result<Connections> {
        let region = settings.aws.region.clone();
        match self {
            Self::AsUsual => Connections::load(region, observer).await,
            #[cfg(feature = "sim")]
            Self::Emulator(endpoint, account) => {
                let region = region.context("no Region is set")?;
                Ok(Connections::simulated(endpoint, &(*account).into(), region, observer).await)
            }
        }
    }
}

/// Runs the daemon until it is stopped. `listener` takes the connections of people and probes, and `told` hears every
/// report.
pub(super) async fn serve(
    settings: Settings,
    listener: TcpListener,
    stop: CancellationToken,
    told: Option<mpsc::UnboundedSender<Report>>,
    way: Way,
) -> anyhow::Result<()> {
    let clock = EngineClock::start();
    let metrics = Arc::new(Metrics::new(
        env!("CARGO_PKG_VERSION"),
        option_env!("LOCKKEEPER_REVISION").unwrap_or("unknown"),
    ));
    let health = Arc::new(Health::new(clock.moment(), Duration::ZERO, RECEIVE_WAIT));
    let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::empty(clock.moment())));
    let (lookup, questions) = Lookup::channel();
    let mut state = StatusState::new(
        snapshot.clone(),
        Arc::clone(&health),
        Arc::clone(&metrics),
        status_clock(&clock),
        about(&settings),
    );
    state.access = Arc::new(access(&settings.http)?);
    state.lookup = lookup.clone();
    let buttons = settings.notify.slack.as_ref().and_then(|slack| slack.buttons.clone());
    state.slack = buttons.map(SlackDesk::new);
    let (answering, desk) = (state.closing.clone(), state.desk.clone());
    let letters = desk.clone();
    let answers = answer(listener, status::router(state), answering.clone())?;
    let home = home(&settings);
    let publisher = Publisher::new(Arc::clone(&metrics), snapshots).with_lookup(lookup);
    let publisher = match told {
        Some(told) => publisher.with_listener(told),
        None => publisher,
    };
    let _watchdog = Watchdog::start(Arc::clone(&health), clock.clone());
    let counted =
        Counted { metrics: Arc::clone(&metrics), health: Arc::clone(&health), clock: clock.clone() };
    let connections = match way.open(&settings, Arc::new(counted)).await {
        Ok(connections) => connections,
        Err(error) => return Err(end_of_answers(answering, answers, error).await),
    };
    let ecs_slot = Arc::new(OnceLock::new());
    let (url, slot) = (settings.require_queue()?, Arc::clone(&ecs_slot));
    let live = LiveRoutes::default();
    let reached = Reached { ecs: slot, routes: live.clone() };
    let behind = FrontDesk::new(connections.clone(), settings.clone(), url, reached, stop.clone());
    desk.open(Arc::new(behind));
    let (notifiers, couriers) =
        engine::open_channels(settings.notify.clone(), &home, &connections, Arc::clone(&metrics) as Arc<_>);
    metrics.notifies(&notifiers.names());
    let opened = settings.traces.clone().map(|rules| trace::open(rules, &home, metrics.traces()));
    let (tracer, exporter) = opened.unzip();
    let publisher = publisher.with_notifiers(notifiers).with_tracer(tracer);
    let stopping = when(stop.clone());
    match Box::pin(assemble(settings, connections, clock, health, (publisher, live), stop)).await {
        Ok(engine) => {
            let _ = ecs_slot.set(Arc::clone(&engine.ecs));
            let (ecs, clock) = (Arc::clone(&engine.ecs), engine.clock.clone());
            Lookups { ecs, questions, snapshots: snapshot, letters, clock }.spawn(&engine.stop);
            Box::pin(engine.run()).await;
        }
        Err(error) => return Err(end_of_answers(answering, answers, error).await),
    }
    answering.cancel();
    let left = LONGEST_END.saturating_sub(stopping().elapsed()).max(LAST_NOTIFICATIONS);
    let last = async {
        if let Some(exporter) = exporter {
            exporter.finish(left).await;
        }
    };
    let _ = tokio::join!(tokio::time::timeout(LAST_ANSWERS, answers), couriers.finish(left), last);
    Ok(())
}

/// The daemon did not come up: HTTP ends, and the error says why.
async fn end_of_answers(
    answering: CancellationToken,
    answers: oneshot::Receiver<()>,
    error: anyhow::Error,
) -> anyhow::Error {
    answering.cancel();
    let _ = tokio::time::timeout(LAST_ANSWERS, answers).await;
    error
}

/// Says, later, when the process was told to stop; now, if it was not.
fn when(stop: CancellationToken) -> impl FnOnce() -> Instant {
    let at = Arc::new(OnceLock::new());
    let noted = Arc::clone(&at);
    tokio::spawn(async move {
        stop.cancelled().await;
        let _ = noted.set(Instant::now());
    });
    move || *at.get_or_init(Instant::now)
}

/// What notifications say of where they are from.
fn home(settings: &Settings) -> Home {
    Home {
        project: settings.naming.as_ref().map(|naming| naming.project.clone()),
        environment: settings.environment.clone(),
        public_url: settings.http.public_url.as_deref().map(Into::into),
    }
}

/// Answers HTTP on a thread of its own, so that it says what stands still also where everything else does. The result
/// comes with the last answer.
fn answer(
    listener: TcpListener,
    router: axum::Router,
    stop: CancellationToken,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let listener = listener.into_std().context("hand the listener over")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (done, answered) = oneshot::channel();
    let serve = async move {
        let listener = TcpListener::from_std(listener)?;
        status::serve(listener, router, stop).await;
        Ok::<(), std::io::Error>(())
    };
    std::thread::Builder::new().name("http".into()).spawn(move || {
        if let Err(error) = runtime.block_on(serve) {
            error!(error = %error, "HTTP is not answered any more");
        }
        let _ = done.send(());
    })?;
    Ok(answered)
}

async fn assemble(
    settings: Settings,
    connections: Connections,
    clock: EngineClock,
    health: Arc<Health>,
    (publisher, live): (Publisher, LiveRoutes),
    stop: CancellationToken,
) -> anyhow::Result<Engine> {
    let url = settings.require_queue()?.to_owned();
    let fence = settings.lease.table.as_ref().map_or_else(Fence::open, |_| Fence::closed(clock.began()));
    let connections = connections.fenced(fence.clone());
    let dead_letter_url = settings.queue.dead_letter_url.as_deref();
    let Opened { queue, queue_arn, dead_letters, letter_room, account, user } =
        engine::open(&connections, &url, dead_letter_url).await?;
    let lease = match &settings.lease.table {
        Some(table) => Some(Lease::open(&connections, table, &queue_arn, fence).await?),
        None => None,
    };
    let region = connections.region().clone();
    let estate = &settings.aws.estate;
    let discovery = settings.discovery.map(|rules| Discovery {
        rules,
        places: estate.places(&account, &region),
        defaults: settings.defaults,
    });
    info!(account = account.as_str(), region = region.as_str(), queue = url, "receiving");
    let ecs = Ecs::new(connections.clone(), account.clone()).with_share(settings.aws.budget_share);
    let ecs = ecs.with_accounts(&connections, &estate.accounts).await;
    let ecs = match Owner::of_queue(&queue_arn) {
        Some(owner) => ecs.owned_by(owner, settings.aws.owner_tag),
        None => ecs,
    };
    let reconcile = match settings.reconcile.mode {
        ReconcileMode::Off => None,
        mode @ (ReconcileMode::Repair | ReconcileMode::Report) => {
            let sources = Sources::new(connections.clone(), account.clone());
            let sources = sources.with_share(settings.aws.budget_share);
            let sources = sources.with_accounts(&connections, &estate.accounts).await;
            let settings::Reconcile { every, rule, .. } = settings.reconcile;
            Some(Reconcile { mode, every, rule, sources: Arc::new(sources) })
        }
    };
    let mut accounts = settings.aws.allowed_accounts;
    accounts.push(account.clone());
    Ok(Engine {
        queue,
        dead_letters,
        letter_room,
        ecs: Arc::new(ecs),
        discovery,
        reconcile,
        routes: Routes::new(account, region, settings.targets, settings.naming)
            .in_environment(settings.environment),
        accounts,
        people: People { own: user, from_outside: settings.approval.events },
        pollers: settings.queue.pollers,
        visibility: settings.queue.visibility,
        renew_after: PlanSettings::RENEW_AFTER,
        start_delay: settings.engine.start_delay,
        lease,
        clock,
        health,
        live,
        publisher,
        stop,
    })
}

/// Counts every call to AWS, and notes whether ECS answers.
#[derive(Debug)]
struct Counted {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    clock: EngineClock,
}

impl Observer for Counted {
    fn called(&self, service: &'static str, operation: &'static str, result: &'static str, took: Duration) {
        self.metrics.called(service, operation, result, took);
    }

    fn heard(&self, service: &'static str, region: &Region, silence: Option<&'static str>) {
        if service == "ecs" {
            self.health.called_ecs(region, self.clock.moment(), silence);
        }
    }

    fn waited(&self, class: &'static str, waited: Duration) {
        self.metrics.waited(class, waited);
    }
}

fn access(settings: &settings::Http) -> Result<Access, TokenProblem> {
    let settings::Http { reads, tokens, reads_per_second, writes_per_second, .. } = settings;
    let variable = |name: &str| std::env::var(name).ok();
    Access::open(*reads, tokens.clone(), variable, *reads_per_second, *writes_per_second)
}

fn status_clock(clock: &EngineClock) -> Clock {
    let clock = clock.clone();
    Clock::new(move || (clock.moment(), clock.wall()))
}

fn about(settings: &Settings) -> About {
    let naming = settings.naming.as_ref();
    About {
        project: naming.map(|naming| naming.project.to_string()),
        environment: settings.environment.as_deref().map(str::to_owned),
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn log_settings(settings: &Settings) -> LogSettings {
    let naming = settings.naming.as_ref();
    LogSettings {
        level: match settings.log.level {
            settings::LogLevel::Debug => Level::Debug,
            settings::LogLevel::Info => Level::Info,
            settings::LogLevel::Warn => Level::Warn,
            settings::LogLevel::Error => Level::Error,
        },
        format: match settings.log.format {
            settings::LogFormat::Auto => log::LogFormat::for_stdout(),
            settings::LogFormat::Json => log::LogFormat::Json,
            settings::LogFormat::Text => log::LogFormat::Text,
        },
        project: naming.map(|naming| naming.project.clone()),
        environment: settings.environment.clone(),
    }
}
