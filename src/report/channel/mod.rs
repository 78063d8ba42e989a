//! How notices leave: each channel has a queue, a task and retries of its own, so that one that is dead holds up neither
//! the loop nor another channel.
//!
//! The loop puts a notice into the outboxes of those who want it, and goes on. An outbox is bounded: where a channel has
//! been dead for so long that it is full, what only says how far something is makes room. What is given up is counted, and
//! the first of an outage is logged. At the end of the process each channel gets a moment to send what waits.
//!
//! How a deployment ended must arrive. Who does not take it at its first attempt, or soon, is told by way of the queue: the
//! [notice itself](StoredNotice) is put there, and from then on this process or its successor [delivers](Notifiers::deliver)
//! what it receives. An end is [said to be told](News::Told) once each channel has it, or the queue has it for that channel, or
//! it was given up: so long its messages are kept.

mod courier;
mod post;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tracing::warn;

pub use self::courier::LONGEST_TRY;
use self::{courier::Courier, post::Post};
use super::{
    bus::BusSender,
    notice::{
        Errand, Notice, What, is_wanted,
        outbox::Outbox,
        teller::{self, Teller},
    },
    slack::Slack,
    topic::TopicSender,
    webhook::Webhook,
};
use crate::{
    aws::bus::BUS_BATCH,
    domain::{DeploymentId, MessageId, NoticeFilter, Outcome, Report, StoredNotice, Timestamp},
};

/// What waits for one channel at most: an hour of a large estate.
const ROOM: usize = 1_000;

/// The end of a deployment that was not delivered so soon is put on the queue.
const SOON: Duration = Duration::from_secs(2);

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

/// What the loop hears of its notices.
#[derive(Debug)]
pub enum News {
    /// Everybody has this end, or it is on the queue for them, or they cannot be told.
    Told(Told),
    /// Everybody has the notice that this message brought, or cannot be told.
    Delivered(MessageId),
    /// Some could not be told at once: it is to be put on the queue.
    Unsent(Unsent),
}

/// The end of a deployment that is not delivered, and waits for nobody to have it no more.
#[derive(Clone, Debug)]
pub struct Unsent {
    notice: Arc<Notice>,
    channels: BTreeSet<String>,
}

impl Unsent {
    /// What is put on the queue.
    pub fn stored(&self) -> Option<StoredNotice> {
        let record = self.notice.record()?;
        Some(StoredNotice::new(record, self.notice.at, self.channels.clone()))
    }

    /// The queue does not take it either.
    pub fn give_up(self, tally: &dyn Tally) {
        for channel in &self.channels {
            tally.notified(channel, Delivery::Failed, 1);
        }
        warn!(notification = self.notice.id, "a notification was given up: the queue does not take it");
    }
}

/// Something that is being told: once nobody has it any more, that is said.
#[derive(Debug)]
struct Telling {
    about: About,
    news: mpsc::UnboundedSender<Word>,
}

/// What it is that is told.
#[derive(Clone, Debug)]
enum About {
    End(Told),
    /// What a message brought, in this term.
    Stored(MessageId, u64),
}

/// What is said to the loop, some of it only in the term in which it began.
type Word = Result<Unsent, About>;

impl Drop for Telling {
    fn drop(&mut self) {
        // Nobody listens once the process ends.
        let _ = self.news.send(Err(self.about.clone()));
    }
}

/// Takes reports, and puts what follows into the outboxes of those who want it.
#[derive(Debug)]
pub struct Notifiers {
    teller: Teller,
    boxes: Vec<Mailbox>,
    tally: Arc<dyn Tally>,
    words: mpsc::UnboundedSender<Word>,
    heard: mpsc::UnboundedReceiver<Word>,
    /// Counts the terms: what an earlier one had taken from the queue is another's now.
    term: u64,
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
    let (words, heard) = mpsc::unbounded_channel();
    for Channel { name, filter, sender } in channels {
        let outbox = Outbox::new(ROOM, sender.merges());
        let post = Arc::new(Post::new(name, outbox, words.clone()));
        let is_for_people = !matches!(sender, Sender::Bus(_));
        boxes.push(Mailbox { filter, is_for_people, post: Arc::clone(&post) });
        let courier = Courier::new(Arc::clone(&post), sender, Arc::clone(&tally));
        couriers.push((post, tokio::spawn(courier.work())));
    }
    let tallied = Arc::clone(&tally);
    let notifiers = Notifiers { teller: Teller::default(), boxes, tally: tallied, words, heard, term: 0 };
    (notifiers, Couriers { couriers, tally })
}

impl Notifiers {
    /// Takes in a report at this time by the wall's clock. Never waits.
    pub fn tell(&mut self, report: &Report, now: Timestamp) {
        if self.boxes.is_empty() {
            return;
        }
        for mut notice in self.teller.hear(report, now) {
            let end = notice.deployment().cloned().zip(notice.outcome());
            let is_end = end.is_some();
            if let Some(end) = end {
                notice.errand = self.errand(About::End(end));
            }
            let notice = Arc::new(notice);
            let wanting = || self.boxes.iter().filter(|mailbox| mailbox.wants(&notice));
            wanting().for_each(|mailbox| self.put(&mailbox.post, Arc::clone(&notice), None));
            if is_end {
                let posts = wanting().map(|mailbox| Arc::clone(&mailbox.post)).collect();
                tokio::spawn(store_soon(Arc::downgrade(&notice), posts, self.words.clone()));
            }
        }
    }

    /// Delivers what the queue has kept: to those who have yet to be told, and for as long as is left.
    pub fn deliver(&self, message: &MessageId, stored: StoredNotice, left: Duration) {
        let (at, channels) = (stored.at, stored.channels.clone());
        let mut notice = teller::end(&Arc::new(stored.into_record()), at);
        notice.errand = self.errand(About::Stored(message.clone(), self.term));
        let (notice, until) = (Arc::new(notice), Instant::now() + left);
        for mailbox in self.boxes.iter().filter(|mailbox| channels.contains(&mailbox.post.name)) {
            self.put(&mailbox.post, Arc::clone(&notice), Some(until));
        }
    }

    /// What the queue has kept is handed back to it: somebody else delivers it.
    pub fn give_back(&mut self) {
        self.term += 1;
        self.boxes.iter().for_each(|mailbox| mailbox.post.give_back());
    }

    fn errand(&self, about: About) -> Errand {
        Errand::new(Telling { about, news: self.words.clone() })
    }

    fn put(&self, post: &Post, notice: Arc<Notice>, until: Option<Instant>) {
        let gone = post.put(notice, until);
        if gone > 0 {
            self.tally.notified(&post.name, Delivery::Dropped, gone);
        }
    }

    /// Whether nobody is told of anything.
    pub fn are_none(&self) -> bool {
        self.boxes.is_empty()
    }

    /// What is heard next of what was told. May be cancelled: it only takes from a channel.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            return Some(match self.heard.recv().await? {
                Ok(unsent) => News::Unsent(unsent),
                Err(About::End(end)) => News::Told(end),
                Err(About::Stored(message, term)) if term == self.term => News::Delivered(message),
                Err(About::Stored(..)) => continue,
            });
        }
    }

    /// The names of the channels.
    pub fn names(&self) -> BTreeSet<String> {
        self.boxes.iter().map(|mailbox| mailbox.post.name.clone()).collect()
    }
}

/// What is not delivered soon is put on the queue for those who have it still. Who is being told just now may get it twice.
async fn store_soon(notice: Weak<Notice>, posts: Vec<Arc<Post>>, words: mpsc::UnboundedSender<Word>) {
    tokio::time::sleep(SOON).await;
    let Some(notice) = notice.upgrade() else { return };
    let have = posts.iter().filter(|post| post.take_from(&notice));
    let channels: BTreeSet<String> = have.map(|post| post.name.clone()).collect();
    if !channels.is_empty() {
        // Nobody listens once the process ends.
        let _ = words.send(Ok(Unsent { notice, channels }));
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
