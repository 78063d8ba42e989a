//! Puts letters back: holds each, sends it, and deletes it only then.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Fate, How};
use crate::{
    aws::queue::{BATCH, QueueErrorKind, Receipt},
    cli::letters::{
        Office,
        desk::{Found, HOLD, Pace},
        parcel::parcel,
    },
    domain::MessageId,
};

/// After so many letters in a row that could not be sent, the others are not tried.
const MOST_FAILURES: usize = 3;

/// A deletion that fails is made again so often.
const DELETIONS: u32 = 3;
const BETWEEN_DELETIONS: Duration = Duration::from_secs(1);

/// What became of one letter, and why.
pub(super) type Delivered = (Found, Fate, Option<String>);

/// Puts letters back at a pace.
pub(super) struct Post<'a> {
    office: &'a Office,
    force: bool,
    by: Option<Arc<str>>,
    pace: Pace,
    /// How many are sent before they are deleted: what takes a second, so that little is in both queues at a time.
    batch: usize,
    shows_progress: bool,
}

/// A letter that is under way, and the receipts by which it is held.
struct Held {
    found: Found,
    receipts: Vec<Receipt>,
}

impl<'a> Post<'a> {
    pub(super) fn new(office: &'a Office, how: How, for_people: bool) -> Self {
        let How { force, dry_run: _, rate: per_second, by } = how;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
        let batch = (per_second.ceil() as usize).clamp(1, BATCH);
        let shows_progress = for_people && io::stderr().is_terminal();
        Self { office, force, by, pace: Pace::new(per_second), batch, shows_progress }
    }

    pub(super) fn force(&self) -> bool {
        self.force
    }

    /// Puts these letters back, until it is stopped or SQS refuses. All of them are hidden, and none that is left is
    /// any more in the end.
    pub(super) async fn deliver(
        &mut self,
        letters: Vec<Found>,
        receipts: BTreeMap<MessageId, Receipt>,
    ) -> Vec<Delivered> {
        let total = letters.len();
        let mut queue: VecDeque<Held> =
            letters.into_iter().map(|found| Held { receipts: of(&found, &receipts), found }).collect();
        let mut done: Vec<Delivered> = Vec::new();
        // The first were received a while ago.
        let mut held_since = None::<Instant>;
        while !queue.is_empty() && !self.office.stop.is_cancelled() {
            if held_since.is_none_or(|since| since.elapsed() > HOLD / 3) {
                held_since = Some(Instant::now());
                queue = self.hold(queue, &mut done).await;
            }
            let batch: VecDeque<Held> = queue.drain(..self.batch.min(queue.len())).collect();
            let batch = self.hold(batch, &mut done).await;
            self.send(batch, &mut done).await;
            self.show(done.len(), total);
            if has_failed_often(&done) {
                break;
            }
        }
        self.leave(queue, &mut done).await;
        self.show_end();
        done
    }

    /// Holds letters for longer. Those that somebody else has received since are left to them.
    async fn hold(&self, letters: VecDeque<Held>, done: &mut Vec<Delivered>) -> VecDeque<Held> {
        let receipts = letters.iter().flat_map(|held| held.receipts.clone()).collect();
        let mut results = self.office.desk.hide(receipts, HOLD).await.into_iter();
        let mut held = VecDeque::new();
        for mut letter in letters {
            let (mut kept, mut why) = (Vec::new(), None);
            for receipt in letter.receipts {
                match results.next() {
                    Some(Ok(())) => kept.push(receipt),
                    Some(Err(error)) => why = Some(error),
                    None => {}
                }
            }
            letter.receipts = kept;
            match why.filter(|_| letter.receipts.is_empty()) {
                None => held.push_back(letter),
                Some(error) if error.kind == QueueErrorKind::ReceiptInvalid => {
                    let why = "somebody else has received it meanwhile".to_owned();
                    done.push((letter.found, Fate::Taken, Some(why)));
                }
                Some(error) => done.push((letter.found, Fate::Failed, Some(error.reason))),
            }
        }
        held
    }

    /// Sends letters one by one, and deletes those that were sent.
    async fn send(&mut self, letters: VecDeque<Held>, done: &mut Vec<Delivered>) {
        let (mut sent, mut left) = (Vec::new(), VecDeque::new());
        for held in letters {
            self.pace.wait(&self.office.stop).await;
            if self.office.stop.is_cancelled() || has_failed_often(done) {
                left.push_back(held);
                continue;
            }
            match self.send_one(&held.found).await {
                Ok(()) => sent.push(held),
                Err(why) => {
                    self.office.desk.give_back(held.receipts).await;
                    done.push((held.found, Fate::Failed, Some(why)));
                }
            }
        }
        self.delete(sent, done).await;
        self.leave(left, done).await;
    }

    async fn send_one(&self, found: &Found) -> Result<(), String> {
        let desk = &self.office.desk;
        let parcel = parcel(&found.letter, &found.body, self.force, self.by.as_deref(), desk.room)?;
        let sent = desk.queue.send(&parcel.body, &parcel.attributes).await;
        sent.map(|_| ()).map_err(|error| error.reason)
    }

    /// Deletes letters that were sent, with all their copies.
    async fn delete(&self, letters: Vec<Held>, done: &mut Vec<Delivered>) {
        let copies = letters
            .iter()
            .enumerate()
            .flat_map(|(letter, held)| held.receipts.iter().map(move |receipt| (letter, receipt.clone())));
        let mut left: Vec<(usize, Receipt)> = copies.collect();
        let mut kept: BTreeMap<usize, String> = BTreeMap::new();
        for attempt in 1..=DELETIONS {
            let tried = std::mem::take(&mut left);
            for batch in tried.chunks(BATCH) {
                let receipts: Vec<Receipt> = batch.iter().map(|(_, receipt)| receipt.clone()).collect();
                let results = self.office.desk.letters.delete(&receipts).await;
                for ((letter, receipt), result) in batch.iter().zip(results) {
                    match result {
                        Ok(()) => {}
                        Err(error) if is_final(error.kind) || attempt == DELETIONS => {
                            kept.insert(*letter, error.reason);
                        }
                        Err(_) => left.push((*letter, receipt.clone())),
                    }
                }
            }
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(BETWEEN_DELETIONS).await;
        }
        for (letter, held) in letters.into_iter().enumerate() {
            let why = kept.remove(&letter);
            let fate = if why.is_some() { Fate::Kept } else { Fate::Replayed };
            done.push((held.found, fate, why));
        }
    }

    /// Gives back what is not sent.
    async fn leave(&self, letters: VecDeque<Held>, done: &mut Vec<Delivered>) {
        let receipts = letters.iter().flat_map(|held| held.receipts.clone()).collect();
        self.office.desk.give_back(receipts).await;
        let is_stopped = self.office.stop.is_cancelled();
        done.extend(letters.into_iter().map(|held| {
            if is_stopped {
                (held.found, Fate::Interrupted, Some("it was given back".into()))
            } else {
                (held.found, Fate::Failed, Some("it was not tried, because others failed".into()))
            }
        }));
    }

    fn show(&self, done: usize, total: usize) {
        if self.shows_progress {
            let _ = write!(io::stderr(), "\r{done} of {total}");
        }
    }

    fn show_end(&self) {
        if self.shows_progress {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// The receipts of these letters, all copies of them.
pub(super) fn receipts_of(letters: &[Found], receipts: &BTreeMap<MessageId, Receipt>) -> Vec<Receipt> {
    letters.iter().flat_map(|found| of(found, receipts)).collect()
}

fn of(found: &Found, receipts: &BTreeMap<MessageId, Receipt>) -> Vec<Receipt> {
    found.copies.iter().filter_map(|id| receipts.get(id).cloned()).collect()
}

fn has_failed_often(done: &[Delivered]) -> bool {
    done.len() >= MOST_FAILURES
        && done.iter().rev().take(MOST_FAILURES).all(|(_, fate, _)| *fate == Fate::Failed)
}

/// Whether a deletion cannot succeed later.
fn is_final(kind: QueueErrorKind) -> bool {
    match kind {
        QueueErrorKind::ReceiptInvalid | QueueErrorKind::Gone | QueueErrorKind::Denied => true,
        QueueErrorKind::Throttled | QueueErrorKind::Unreachable | QueueErrorKind::Other => false,
    }
}
