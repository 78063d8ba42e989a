//! The two queues, and reading the dead-letter queue without taking anything from it.
//!
//! SQS has no way to look: whoever reads a message receives it, which hides it for a while and counts as a receive.
//! So all letters are received under a short hold until nothing new comes, each is known by its message, and in the
//! end what nobody keeps is given back at once. Who is killed before that hides them for [`HOLD`] at most.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use super::letter::Letter;
use crate::{
    aws::{
        Connections,
        queue::{BATCH, Queue, QueueError, QueueErrorKind, QueueFacts, Receipt},
    },
    domain::{AccountId, MessageId},
    settings::Settings,
};

/// How long a letter stays hidden by one receive or extension: longer than a sweep of thousands takes, and short enough
/// to wait for after a kill.
pub(in crate::cli) const HOLD: Duration = Duration::from_mins(2);

/// A receive that waits asks all of SQS's servers; one that does not may miss messages that are there.
const WAIT: Duration = Duration::from_secs(1);

/// So many calls are open at once, when there is that much to fetch.
const MOST_AT_ONCE: usize = 8;

/// After so many receives in a row that bring nothing although SQS counts more, there is no more.
const EMPTY_RECEIVES: usize = 3;

/// After so many receives in a row that bring only what is known, all has been seen: the first are visible again.
const STALE_RECEIVES: usize = 24;

/// A receive that fails is made again so often.
const MOST_FAILURES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The queue that events come from, and the one in which they are set aside.
#[derive(Debug)]
pub(in crate::cli) struct Desk {
    pub(in crate::cli) queue: Queue,
    pub(in crate::cli) letters: Queue,
    /// The largest message that the queue of events takes, in bytes.
    pub(in crate::cli) room: usize,
    /// What the dead-letter queue said of itself when it was opened.
    pub(in crate::cli) facts: QueueFacts,
    /// The ARN of the queue of events.
    pub(in crate::cli) arn: String,
}

/// How much is gathered at most.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Bounds {
    pub(in crate::cli) letters: usize,
    /// What their bodies may take together; `None` if bodies are not kept.
    pub(in crate::cli) bytes: Option<usize>,
}

/// What was seen. Everything is hidden until it is given back.
#[derive(Debug, Default)]
pub(in crate::cli) struct Swept {
    /// What was wanted.
    pub(in crate::cli) found: BTreeMap<Key, Found>,
    /// Every message that was seen, and the last receipt of it.
    pub(in crate::cli) receipts: BTreeMap<MessageId, Receipt>,
    pub(in crate::cli) end: End,
    bytes: usize,
}

/// What makes two messages one letter: its id, and what its body says.
pub(in crate::cli) type Key = (String, String);

/// A letter that was wanted: the same one may be in several messages.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) letter: Letter,
    pub(in crate::cli) body: String,
    pub(in crate::cli) copies: Vec<MessageId>,
}

/// Why a sweep ended.
#[derive(Debug, Default)]
pub(in crate::cli) enum End {
    /// All that can be received was seen.
    #[default]
    Whole,
    /// As much was gathered as may be.
    Bounded,
    /// Somebody interrupted it.
    Stopped,
    /// SQS refused to go on.
    Failed(QueueError),
}

impl Desk {
    /// Finds both queues, as the daemon does.
    ///
    /// # Errors
    /// If one cannot be read; and if looking would lose letters, unless that is wanted.
    pub(in crate::cli) async fn open(
        connections: &Connections,
        settings: &Settings,
        despite_redrive: bool,
    ) -> anyhow::Result<Self> {
        let url = settings.require_queue()?;
        let queue = connections.queue(url);
        let facts = queue.facts().await.with_context(|| format!("the queue {url} cannot be read"))?;
        let named = settings.queue.dead_letter_url.as_deref();
        let dead_url = queue.dead_letter_url(named, &facts, connections).await;
        let dead_url = dead_url.context("find the dead-letter queue")?;
        let letters = connections.queue(&dead_url);
        let dead = letters.facts().await;
        let dead = dead.with_context(|| format!("the dead-letter queue {dead_url} cannot be read"))?;
        if let (Some(next), false) = (&dead.dead_letter, despite_redrive) {
            bail!(
                "the dead-letter queue {dead_url} has a redrive policy of its own: to look at a letter is to receive \
                 it, and after {} receives SQS moves it on to {next}. Remove that policy, or say --despite-redrive",
                dead.max_receive_count.unwrap_or_default()
            );
        }
        Ok(Self { queue, letters, room: facts.max_message_bytes, facts: dead, arn: facts.arn })
    }

    /// The account of the queue of events, which is the daemon's own.
    pub(in crate::cli) fn account(&self) -> AccountId {
        self.arn.split(':').nth(4).unwrap_or_default().into()
    }

    /// Receives until nothing new comes, and keeps what is wanted.
    pub(in crate::cli) async fn sweep(
        &self,
        wanted: impl Fn(&Letter) -> bool,
        bounds: Bounds,
        stop: &CancellationToken,
    ) -> Swept {
        let mut swept = Swept::default();
        let (mut lanes, mut empty, mut stale, mut failures) = (1, 0, 0, 0);
        loop {
            if stop.is_cancelled() {
                swept.end = End::Stopped;
                return swept;
            }
            let (messages, error) = self.receive(lanes).await;
            let is_full = messages.len() >= lanes * BATCH;
            let (is_empty, known) = (messages.is_empty(), swept.receipts.len());
            for message in messages {
                swept.take(message, &wanted, bounds);
            }
            if let Some(error) = error {
                failures += 1;
                if failures > MOST_FAILURES || error.kind == QueueErrorKind::Denied {
                    swept.end = End::Failed(error);
                    return swept;
                }
                tokio::time::sleep(FIRST_PAUSE * (1 << failures)).await;
                continue;
            }
            failures = 0;
            empty = if is_empty { empty + 1 } else { 0 };
            stale = if swept.receipts.len() > known { 0 } else { stale + lanes };
            lanes = if is_full { (2 * lanes).min(MOST_AT_ONCE) } else { 1 };
            let is_all = u64::try_from(swept.receipts.len()).unwrap_or(u64::MAX) >= self.facts.visible;
            if swept.is_bounded(bounds) {
                swept.end = End::Bounded;
                return swept;
            }
            if (is_empty && (is_all || empty >= EMPTY_RECEIVES)) || stale >= STALE_RECEIVES {
                return swept;
            }
        }
    }

    /// Makes letters visible again. Says how many stay hidden for a while, because that failed.
    pub(in crate::cli) async fn give_back(&self, receipts: Vec<Receipt>) -> usize {
        let results = self.hide(receipts, Duration::ZERO).await;
        let hidden = |result: &&Result<(), QueueError>| {
            result.as_ref().is_err_and(|error| error.kind != QueueErrorKind::ReceiptInvalid)
        };
        results.iter().filter(hidden).count()
    }

    /// Hides letters for so long from now, many at once: one result each, in order.
    pub(in crate::cli) async fn hide(
        &self,
        receipts: Vec<Receipt>,
        visibility: Duration,
    ) -> Vec<Result<(), QueueError>> {
        let entries: Vec<_> = receipts.into_iter().map(|receipt| (receipt, visibility)).collect();
        let mut results = Vec::with_capacity(entries.len());
        for group in entries.chunks(BATCH * MOST_AT_ONCE) {
            let calls = group.chunks(BATCH).map(|batch| {
                let (queue, batch) = (self.letters.clone(), batch.to_vec());
                tokio::spawn(async move { queue.extend(&batch).await })
            });
            for call in calls.collect::<Vec<_>>() {
                results.extend(call.await.expect("extending does not panic"));
            }
        }
        results
    }

    /// Several receives at once: what all of them brought, and why one failed.
    async fn receive(&self, lanes: usize) -> (Vec<crate::aws::queue::RawMessage>, Option<QueueError>) {
        let calls: Vec<_> = (0..lanes)
            .map(|_| {
                let queue = self.letters.clone();
                tokio::spawn(async move { queue.receive(BATCH, WAIT, HOLD).await })
            })
            .collect();
        let (mut messages, mut error) = (Vec::new(), None);
        for call in calls {
            match call.await.expect("receiving does not panic") {
                Ok(received) => messages.extend(received),
                Err(failed) => error = Some(failed),
            }
        }
        (messages, error)
    }
}

impl Swept {
    /// The receipts of what was not wanted, which are then no longer here.
    pub(in crate::cli) fn others(&mut self) -> Vec<Receipt> {
        let wanted: Vec<&MessageId> = self.found.values().flat_map(|found| &found.copies).collect();
        let wanted: std::collections::BTreeSet<&MessageId> = wanted.into_iter().collect();
        let others: Vec<MessageId> =
            self.receipts.keys().filter(|id| !wanted.contains(id)).cloned().collect();
        others.iter().filter_map(|id| self.receipts.remove(id)).collect()
    }

    /// Every receipt.
    pub(in crate::cli) fn all(&self) -> Vec<Receipt> {
        self.receipts.values().cloned().collect()
    }

    fn take(
        &mut self,
        message: crate::aws::queue::RawMessage,
        wanted: &impl Fn(&Letter) -> bool,
        bounds: Bounds,
    ) {
        let (id, receipt) = (message.message_id.clone(), message.receipt.clone());
        if self.receipts.insert(id.clone(), receipt).is_some() {
            return;
        }
        let letter = Letter::read(&message);
        if !wanted(&letter) {
            return;
        }
        let body = if bounds.bytes.is_some() { message.body } else { String::new() };
        self.bytes += body.len();
        match self.found.get_mut(&letter.key()) {
            Some(found) => {
                found.copies.push(id);
                if letter.time > found.letter.time {
                    (found.letter, found.body) = (letter, body);
                }
            }
            None => {
                self.found.insert(letter.key(), Found { letter, body, copies: vec![id] });
            }
        }
    }

    fn is_bounded(&self, bounds: Bounds) -> bool {
        self.found.len() >= bounds.letters || bounds.bytes.is_some_and(|most| self.bytes >= most)
    }
}

/// Spaces things out: no more than so many a second.
#[derive(Debug)]
pub(in crate::cli) struct Pace {
    between: Duration,
    next: Instant,
}

impl Pace {
    pub(in crate::cli) fn new(per_second: f64) -> Self {
        Self { between: Duration::from_secs_f64(1.0 / per_second), next: Instant::now() }
    }

    /// Waits for the next turn, or until it is stopped.
    pub(in crate::cli) async fn wait(&mut self, stop: &CancellationToken) {
        let wait = self.next.saturating_duration_since(Instant::now());
        self.next = self.next.max(Instant::now()) + self.between;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::letter::tests::set_aside, *};
    use crate::aws::queue::RawMessage;

    #[test]
    fn two_requests_that_share_an_id_are_two_letters_and_copies_of_one_are_one() {
        let whole = Bounds { letters: usize::MAX, bytes: Some(usize::MAX) };
        let as_message = |id: &str, body: String| RawMessage {
            message_id: id.into(),
            receipt: Receipt::new(id),
            body,
            ..set_aside()
        };
        let mut swept = Swept::default();
        let body = set_aside().body;
        for (id, body) in
            [("m-1", body.clone()), ("m-2", body.replace("2.0.0", "3.0.0")), ("m-3", body.replace(',', ", "))]
        {
            swept.take(as_message(id, body), &|_| true, whole);
        }
        let mut copies: Vec<Vec<&str>> =
            swept.found.values().map(|found| found.copies.iter().map(MessageId::as_str).collect()).collect();
        copies.sort();
        assert_eq!(copies, [vec!["m-1", "m-3"], vec!["m-2"]]);
    }
}
