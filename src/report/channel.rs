//! How notices leave: each channel has a queue, a task and retries of its own, so that one that is dead holds up neither
//! the loop nor another channel.
//!
//! The loop puts a notice into the outboxes of those who want it, and goes on. An outbox is bounded: where a channel has
//! been dead for so long that it is full, what only says how far something is makes room. What is given up is counted, and
//! the first of an outage is logged. At the end of the process each channel gets a moment to send what waits.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tracing::{info, warn};

use super::{
    bus::BusSender,
    notice::{Notice, What, is_wanted, outbox::Outbox, teller::Teller},
    slack::Slack,
    topic::TopicSender,
    webhook::Webhook,
};
use crate::{
    aws::bus::BUS_BATCH,
    domain::{NoticeFilter, Report, Timestamp},
};

/// What waits for one channel at most: an hour of a large estate.
const ROOM: usize = 1_000;
/// Nothing may take longer, whatever a sender's own limits are.
const SLOWEST: Duration = Duration::from_secs(15);
/// What could not be delivered for so long is given up: behind it waits what is newer.
const LONGEST_TRY: Duration = Duration::from_mins(15);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// Who asks to be left alone for longer is asked again after this.
const LONGEST_PATIENCE: Duration = Duration::from_mins(5);

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// It was taken.
    Sent,
    /// It was not taken, and is sent again.
    Retried,
    /// It was given up.
    Failed,
    /// There was no room for it.
    Dropped,
}

impl Delivery {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Retried, Self::Failed, Self::Dropped];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// Who counts. It must return at once.
pub trait Tally: fmt::Debug + Send + Sync {
    /// So many notices came to this over this channel.
    fn notified(&self, channel: &str, delivery: Delivery, count: usize);
}

/// Why a notice was not taken. Never with a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It may be taken if it is sent again, no sooner than after this.
    Later {
        /// How long to wait at least.
        after: Option<Duration>,
        /// What was said.
        why: String,
    },
    /// It will not be taken.
    Never {
        /// What was said.
        why: String,
    },
}

impl Undelivered {
    /// It may be taken soon.
    pub(super) fn later(why: impl Into<String>) -> Self {
        Self::Later { after: None, why: why.into() }
    }

    /// It will not be taken.
    pub(super) fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }
}

/// By what a channel sends.
#[derive(Debug)]
pub enum Sender {
    /// Messages in Slack.
    Slack(Box<Slack>),
    /// JSON over HTTP.
    Webhook(Webhook),
    /// Events on a bus.
    Bus(BusSender),
    /// Messages on a topic.
    Topic(TopicSender),
}

/// One channel before it is opened.
#[derive(Debug)]
pub struct Channel {
    /// What logs and metrics call it.
    pub name: String,
    /// Of what it is told.
    pub filter: NoticeFilter,
    /// By what it sends.
    pub sender: Sender,
}

/// Takes reports, and puts what follows into the outboxes of those who want it.
#[derive(Debug)]
pub struct Notifiers {
    teller: Teller,
    boxes: Vec<Mailbox>,
    tally: Arc<dyn Tally>,
}

/// Brings the channels to their end.
#[derive(Debug)]
pub struct Couriers {
    couriers: Vec<(Arc<Post>, JoinHandle<()>)>,
    tally: Arc<dyn Tally>,
}

#[derive(Debug)]
struct Mailbox {
    filter: NoticeFilter,
    /// Whether it takes what has no event on a bus.
    is_for_people: bool,
    post: Arc<Post>,
}

/// What the loop and a courier share.
#[derive(Debug)]
struct Post {
    name: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    /// How many were taken out, and are not settled yet.
    under_way: usize,
    is_closed: bool,
    /// Whether what had no room was logged since the outbox was last empty.
    is_told: bool,
}

/// Opens these channels.
pub fn open(channels: Vec<Channel>, tally: Arc<dyn Tally>) -> (Notifiers, Couriers) {
    let (mut boxes, mut couriers) = (Vec::new(), Vec::new());
    for Channel { name, filter, sender } in channels {
        let outbox = Outbox::new(ROOM, sender.merges());
        let state = Mutex::new(State { outbox, under_way: 0, is_closed: false, is_told: false });
        let post = Arc::new(Post { name, state, changed: Notify::new() });
        let is_for_people = !matches!(sender, Sender::Bus(_));
        boxes.push(Mailbox { filter, is_for_people, post: Arc::clone(&post) });
        let courier = Courier { post: Arc::clone(&post), sender, tally: Arc::clone(&tally), outage: None };
        couriers.push((post, tokio::spawn(courier.work())));
    }
    (Notifiers { teller: Teller::default(), boxes, tally: Arc::clone(&tally) }, Couriers { couriers, tally })
}

impl Notifiers {
    /// Takes in a report at this time by the wall's clock. Never waits.
    pub fn tell(&mut self, report: &Report, now: Timestamp) {
        if self.boxes.is_empty() {
            return;
        }
        for notice in self.teller.hear(report, now) {
            let notice = Arc::new(notice);
            for mailbox in self.boxes.iter().filter(|mailbox| mailbox.wants(&notice)) {
                let gone = mailbox.post.put(Arc::clone(&notice));
                if gone > 0 {
                    self.tally.notified(&mailbox.post.name, Delivery::Dropped, gone);
                }
            }
        }
    }

    /// The names of the channels.
    pub fn names(&self) -> BTreeSet<String> {
        self.boxes.iter().map(|mailbox| mailbox.post.name.clone()).collect()
    }
}

impl Mailbox {
    fn wants(&self, notice: &Notice) -> bool {
        let is_for_people = match notice.what {
            What::Trouble(..) | What::Warned(..) | What::Hold(_) => true,
            What::Stage(..) | What::Foreign(_) => false,
        };
        is_wanted(&self.filter, notice) && (self.is_for_people || !is_for_people)
    }
}

impl Couriers {
    /// Sends what waits, for this long at most.
    pub async fn finish(self, within: Duration) {
        let end = Instant::now() + within;
        for (post, _) in &self.couriers {
            post.close();
        }
        for (post, mut courier) in self.couriers {
            if timeout_at(end, &mut courier).await.is_err() {
                courier.abort();
                let left = {
                    let state = post.state();
                    state.outbox.len() + state.under_way
                };
                self.tally.notified(&post.name, Delivery::Failed, left);
                warn!(
                    channel = post.name,
                    notifications = left,
                    "notifications were not delivered before the end"
                );
            }
        }
    }
}

impl Post {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many had to go.
    fn put(&self, notice: Arc<Notice>) -> usize {
        let mut state = self.state();
        let gone = state.outbox.push(notice);
        if gone > 0 && !std::mem::replace(&mut state.is_told, true) {
            warn!(
                channel = self.name,
                waiting = state.outbox.len(),
                "notifications have no room, and are dropped"
            );
        }
        drop(state);
        self.changed.notify_one();
        gone
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// The next notices; none once it is closed and empty.
    async fn next(&self, most: usize) -> Vec<Arc<Notice>> {
        loop {
            {
                let mut state = self.state();
                let batch = state.outbox.take(most);
                state.is_told &= !state.outbox.is_empty();
                state.under_way = batch.len();
                if !batch.is_empty() || state.is_closed {
                    return batch;
                }
            }
            self.changed.notified().await;
        }
    }

    /// One of those that were taken out was taken by whom it is for, or given up.
    fn settled(&self) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
    }

    /// Waits for as long, or until it is closed.
    async fn pause(&self, delay: Duration) {
        let end = Instant::now() + delay;
        while !self.is_closed() && timeout_at(end, self.changed.notified()).await.is_ok() {}
    }
}

/// Carries what is in one outbox.
struct Courier {
    post: Arc<Post>,
    sender: Sender,
    tally: Arc<dyn Tally>,
    /// How many notices were given up since something was taken last; `None` while all is well.
    outage: Option<usize>,
}

impl Courier {
    async fn work(mut self) {
        loop {
            let batch = self.post.next(self.sender.batch()).await;
            if batch.is_empty() {
                return;
            }
            self.deliver(batch).await;
        }
    }

    async fn deliver(&mut self, mut left: Vec<Arc<Notice>>) {
        let began = Instant::now();
        let mut delay = FIRST_DELAY;
        loop {
            let is_last = self.post.is_closed() || began.elapsed() >= LONGEST_TRY;
            let (later, patience) = self.attempt(left, is_last).await;
            if later.is_empty() {
                return;
            }
            // Between one and two delays: channels that failed together do not come back together.
            let jitter = delay.mul_f64(fastrand::f64());
            self.post.pause(patience.min(LONGEST_PATIENCE).max(delay + jitter)).await;
            delay = (delay * 2).min(LONGEST_DELAY);
            left = later;
        }
    }

    /// Sends these, and says which are to be sent again, after how long at least.
    async fn attempt(&mut self, left: Vec<Arc<Notice>>, is_last: bool) -> (Vec<Arc<Notice>>, Duration) {
        let results = match timeout(SLOWEST, self.sender.send(&left)).await {
            Ok(results) => results,
            Err(_) => vec![Err(Undelivered::later("no answer in time")); left.len()],
        };
        let (mut later, mut patience) = (Vec::new(), Duration::ZERO);
        for (notice, result) in left.into_iter().zip(results) {
            match result {
                Ok(()) => self.sent(),
                Err(Undelivered::Later { after, why }) if !is_last => {
                    self.tally.notified(&self.post.name, Delivery::Retried, 1);
                    self.stumbles(&why);
                    patience = patience.max(after.unwrap_or_default());
                    later.push(notice);
                }
                Err(Undelivered::Later { why, .. } | Undelivered::Never { why }) => self.lost(&notice, &why),
            }
        }
        (later, patience)
    }

    fn sent(&mut self) {
        self.post.settled();
        self.tally.notified(&self.post.name, Delivery::Sent, 1);
        if let Some(lost) = self.outage.take() {
            info!(channel = self.post.name, lost, "notifications are taken again");
        }
    }

    fn stumbles(&mut self, why: &str) {
        if self.outage.is_none() {
            self.outage = Some(0);
            warn!(channel = self.post.name, error = why, "notifications are not taken, and sent again");
        }
    }

    fn lost(&mut self, notice: &Notice, why: &str) {
        self.post.settled();
        self.tally.notified(&self.post.name, Delivery::Failed, 1);
        let lost = self.outage.get_or_insert(0);
        *lost += 1;
        if *lost == 1 {
            warn!(
                channel = self.post.name,
                notification = notice.id,
                error = why,
                "a notification was given up"
            );
        }
    }
}

impl Sender {
    /// How many notices one call takes.
    fn batch(&self) -> usize {
        match self {
            Self::Bus(_) => BUS_BATCH,
            Self::Slack(_) | Self::Webhook(_) | Self::Topic(_) => 1,
        }
    }

    /// Whether one message is kept per deployment.
    fn merges(&self) -> bool {
        match self {
            Self::Slack(slack) => slack.is_bot(),
            Self::Webhook(_) | Self::Bus(_) | Self::Topic(_) => false,
        }
    }

    /// An answer for each.
    async fn send(&mut self, notices: &[Arc<Notice>]) -> Vec<Result<(), Undelivered>> {
        match self {
            Self::Bus(bus) => bus.send(notices).await,
            Self::Slack(slack) => {
                let mut results = Vec::new();
                for notice in notices {
                    results.push(slack.send(notice).await);
                }
                results
            }
            Self::Webhook(webhook) => {
                let mut results = Vec::new();
                for notice in notices {
                    results.push(webhook.send(notice).await);
                }
                results
            }
            Self::Topic(topic) => {
                let mut results = Vec::new();
                for notice in notices {
                    results.push(topic.send(notice).await);
                }
                results
            }
        }
    }
}
