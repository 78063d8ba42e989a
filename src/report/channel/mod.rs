//! How notices leave: each channel has a queue, a task and retries of its own, so that one that is dead holds up neither
//! the loop nor another channel.
//!
//! The loop puts a notice into the outboxes of those who want it, and goes on. An outbox is bounded: where a channel has
//! been dead for so long that it is full, what only says how far something is makes room. What is given up is counted, and
//! the first of an outage is logged. How a deployment ended is [said to be told](Told) once each channel has handed it over or
//! given it up: until then its messages are kept. At the end of the process each channel gets a moment to send what waits.

mod courier;
mod post;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tracing::warn;

use self::{courier::Courier, post::Post};
use super::{
    bus::BusSender,
    notice::{Errand, Notice, What, is_wanted, outbox::Outbox, teller::Teller},
    slack::Slack,
    topic::TopicSender,
    webhook::Webhook,
};
use crate::{
    aws::bus::BUS_BATCH,
    domain::{DeploymentId, NoticeFilter, Outcome, Report, Timestamp},
};

/// What waits for one channel at most: an hour of a large estate.
const ROOM: usize = 1_000;

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

/// The end of a deployment of which everybody who wants it was told, or cannot be.
pub type Told = (DeploymentId, Outcome);

/// The end of a deployment that is being told: once nobody has it any more, that is said.
#[derive(Debug)]
struct Telling {
    end: Told,
    done: mpsc::UnboundedSender<Told>,
}

impl Drop for Telling {
    fn drop(&mut self) {
        // Nobody listens once the process ends.
        let _ = self.done.send(self.end.clone());
    }
}

/// Takes reports, and puts what follows into the outboxes of those who want it.
#[derive(Debug)]
pub struct Notifiers {
    teller: Teller,
    boxes: Vec<Mailbox>,
    tally: Arc<dyn Tally>,
    done: mpsc::UnboundedSender<Told>,
    told: mpsc::UnboundedReceiver<Told>,
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

/// Opens these channels.
pub fn open(channels: Vec<Channel>, tally: Arc<dyn Tally>) -> (Notifiers, Couriers) {
    let (mut boxes, mut couriers) = (Vec::new(), Vec::new());
    for Channel { name, filter, sender } in channels {
        let outbox = Outbox::new(ROOM, sender.merges());
        let post = Arc::new(Post::new(name, outbox));
        let is_for_people = !matches!(sender, Sender::Bus(_));
        boxes.push(Mailbox { filter, is_for_people, post: Arc::clone(&post) });
        let courier = Courier::new(Arc::clone(&post), sender, Arc::clone(&tally));
        couriers.push((post, tokio::spawn(courier.work())));
    }
    let (done, told) = mpsc::unbounded_channel();
    let notifiers = Notifiers { teller: Teller::default(), boxes, tally: Arc::clone(&tally), done, told };
    (notifiers, Couriers { couriers, tally })
}

impl Notifiers {
    /// Takes in a report at this time by the wall's clock. Never waits.
    pub fn tell(&mut self, report: &Report, now: Timestamp) {
        if self.boxes.is_empty() {
            return;
        }
        for mut notice in self.teller.hear(report, now) {
            if let Some(end) = notice.deployment().cloned().zip(notice.outcome()) {
                notice.errand = Errand::new(Telling { end, done: self.done.clone() });
            }
            let notice = Arc::new(notice);
            for mailbox in self.boxes.iter().filter(|mailbox| mailbox.wants(&notice)) {
                let gone = mailbox.post.put(Arc::clone(&notice));
                if gone > 0 {
                    self.tally.notified(&mailbox.post.name, Delivery::Dropped, gone);
                }
            }
        }
    }

    /// Whether nobody is told of anything.
    pub fn are_none(&self) -> bool {
        self.boxes.is_empty()
    }

    /// The next end of a deployment that was told to all who want it, or given up.
    pub async fn told(&mut self) -> Option<Told> {
        self.told.recv().await
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
                let left = post.left();
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
