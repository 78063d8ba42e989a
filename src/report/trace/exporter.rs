//! Sends traces to a collector, beside the loop: what a collector does, or fails to do, slows no lane.
//!
//! What waits is bounded; where a collector has been dead for so long that there is no more room, newer traces are dropped.
//! What is given up is counted, and the first of an outage is logged. At the end of the process what waits gets a moment.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    spans::{Trace, trace},
    wire,
};
use crate::{
    domain::{DeploymentRecord, TraceRules},
    report::{
        channel::{Delivery, Tally, Undelivered},
        http::Http,
        notice::Home,
        steps::Step,
    },
};

/// What the counters call it.
const CHANNEL: &str = "otlp";
/// How many traces wait at most: an hour of a large estate.
const ROOM: usize = 1_000;
/// How many are sent at once.
const BATCH: usize = 50;
/// Nothing may take longer, whatever the client's own limits are.
const SLOWEST: Duration = Duration::from_secs(15);
/// What could not be delivered for so long is given up: behind it waits what is newer.
const LONGEST_TRY: Duration = Duration::from_mins(5);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Who asks to be left alone for longer is asked again after this.
const LONGEST_PATIENCE: Duration = Duration::from_mins(2);

/// Takes deployments that have ended.
#[derive(Debug)]
pub struct Tracer {
    waiting: mpsc::Sender<Trace>,
    left: Arc<AtomicUsize>,
    tally: Arc<dyn Tally>,
    /// Whether it was logged that there is no room, since there was some.
    is_told: bool,
}

/// Brings what waits to its end.
#[derive(Debug)]
pub struct Exporter {
    courier: JoinHandle<()>,
    closing: CancellationToken,
    left: Arc<AtomicUsize>,
    tally: Arc<dyn Tally>,
}

/// Sends traces by these rules from now on.
pub fn open(rules: TraceRules, home: &Home, tally: Arc<dyn Tally>) -> (Tracer, Exporter) {
    let (waiting, queue) = mpsc::channel(ROOM);
    let (left, closing) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let courier = Courier {
        queue,
        headers: headers(&rules),
        sender: sender(&rules, home),
        url: rules.url,
        http: Http::default(),
        closing: closing.clone(),
        left: Arc::clone(&left),
        tally: Arc::clone(&tally),
        outage: None,
    };
    let courier = tokio::spawn(courier.work());
    let tracer = Tracer { waiting, left: Arc::clone(&left), tally: Arc::clone(&tally), is_told: false };
    (tracer, Exporter { courier, closing, left, tally })
}

impl Tracer {
    /// Takes in a deployment that has ended, and what it went through. Never waits.
    pub fn tell(&mut self, record: &DeploymentRecord, steps: &[Step]) {
        self.left.fetch_add(1, Relaxed);
        if self.waiting.try_send(trace(record, steps)).is_ok() {
            self.is_told = false;
            return;
        }
        self.left.fetch_sub(1, Relaxed);
        self.tally.notified(CHANNEL, Delivery::Dropped, 1);
        if !std::mem::replace(&mut self.is_told, true) {
            warn!(waiting = ROOM, "traces have no room, and are dropped");
        }
    }
}

impl Exporter {
    /// Sends what waits, for this long at most.
    pub async fn finish(mut self, within: Duration) {
        self.closing.cancel();
        if timeout(within, &mut self.courier).await.is_err() {
            self.courier.abort();
            let left = self.left.load(Relaxed);
            self.tally.notified(CHANNEL, Delivery::Failed, left);
            warn!(traces = left, "traces were not delivered before the end");
        }
    }
}

/// Carries what waits.
struct Courier {
    queue: mpsc::Receiver<Trace>,
    url: Arc<str>,
    headers: HeaderMap,
    sender: BTreeMap<Arc<str>, Arc<str>>,
    http: Http,
    closing: CancellationToken,
    left: Arc<AtomicUsize>,
    tally: Arc<dyn Tally>,
    /// How many traces were given up since some were taken last; `None` while all is well.
    outage: Option<usize>,
}

impl Courier {
    /// Until it is closed and nothing waits.
    async fn work(mut self) {
        loop {
            let mut traces = Vec::new();
            tokio::select! {
                biased;
                () = self.closing.cancelled(), if !self.queue.is_closed() => self.queue.close(),
                count = self.queue.recv_many(&mut traces, BATCH) => match count {
                    0 => return,
                    _ => self.deliver(&traces).await,
                },
            }
        }
    }

    async fn deliver(&mut self, traces: &[Trace]) {
        let body = wire::request(traces, &self.sender);
        let (began, mut delay) = (Instant::now(), FIRST_DELAY);
        loop {
            let is_last = self.closing.is_cancelled() || began.elapsed() >= LONGEST_TRY;
            match self.attempt(body.clone()).await {
                Ok(None) => return self.taken(traces.len()),
                Ok(Some((spans, why))) => return self.refused(traces, spans, &why),
                Err(Undelivered::Later { after, why }) if !is_last => {
                    self.stumbles(traces.len(), &why);
                    // Between one and two delays: who failed together does not come back together.
                    let jitter = delay.mul_f64(fastrand::f64());
                    self.pause(after.unwrap_or_default().min(LONGEST_PATIENCE).max(delay + jitter)).await;
                    delay = (delay * 2).min(LONGEST_DELAY);
                }
                Err(Undelivered::Later { why, .. } | Undelivered::Never { why }) => {
                    return self.lost(traces.len(), &why);
                }
            }
        }
    }

    /// Sends this, and says how many spans were refused of what was taken.
    async fn attempt(&self, body: Vec<u8>) -> Result<Option<(usize, String)>, Undelivered> {
        let post = self.http.post(&self.url, self.headers.clone(), body);
        let answer = timeout(SLOWEST, post).await.map_err(|_| Undelivered::later("no answer in time"))??;
        answer.verdict().map(|()| wire::rejected(&answer.body))
    }

    /// Waits for as long, or until it is closed.
    async fn pause(&self, delay: Duration) {
        let _ = timeout(delay, self.closing.cancelled()).await;
    }

    fn taken(&mut self, traces: usize) {
        self.settled(Delivery::Sent, traces);
        if let Some(lost) = self.outage.take() {
            info!(lost, "traces are taken again");
        }
    }

    /// Of which traces the spans were that were refused is not said.
    fn refused(&mut self, traces: &[Trace], spans: usize, why: &str) {
        let sent: usize = traces.iter().map(|trace| trace.spans.len()).sum();
        let refused = if spans >= sent { traces.len() } else { spans.min(traces.len()) };
        self.settled(Delivery::Sent, traces.len() - refused);
        self.lost(refused, why);
    }

    fn stumbles(&mut self, traces: usize, why: &str) {
        self.tally.notified(CHANNEL, Delivery::Retried, traces);
        if self.outage.is_none() {
            self.outage = Some(0);
            warn!(error = why, "traces are not taken, and sent again");
        }
    }

    fn lost(&mut self, traces: usize, why: &str) {
        self.settled(Delivery::Failed, traces);
        let lost = self.outage.get_or_insert(0);
        if *lost == 0 {
            warn!(error = why, traces, "traces were given up");
        }
        *lost += traces;
    }

    fn settled(&self, delivery: Delivery, traces: usize) {
        self.left.fetch_sub(traces, Relaxed);
        self.tally.notified(CHANNEL, delivery, traces);
    }
}

/// What is said of this process, unless the settings say otherwise.
fn sender(rules: &TraceRules, home: &Home) -> BTreeMap<Arc<str>, Arc<str>> {
    let known = [
        ("service.name", Some(env!("CARGO_PKG_NAME").into())),
        ("service.version", Some(env!("CARGO_PKG_VERSION").into())),
        ("service.namespace", home.project.clone()),
        ("deployment.environment.name", home.environment.clone()),
    ];
    let mut sender = rules.resource.clone();
    for (name, value) in known {
        if let Some(value) = value {
            sender.entry(name.into()).or_insert(value);
        }
    }
    sender
}

/// The settings take no header that is none.
fn headers(rules: &TraceRules) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &rules.headers {
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.expose()));
        if let (Ok(name), Ok(mut value)) = pair {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers
}
