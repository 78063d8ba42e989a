//! The pollers: each has one receive open at any time, and hands over what it brings.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{EngineClock, discover::Gate};
use crate::{
    aws::queue::{Queue, QueueError, RawMessage},
    domain::Moment,
    status::Health,
};

/// How long a receive waits for a first message. Short, because a stop lets receives in flight end: one that is cut
/// off may have taken messages that nobody would then hold.
pub const RECEIVE_WAIT: Duration = Duration::from_secs(5);

/// SQS hands out ten at most.
const MOST_PER_RECEIVE: usize = crate::aws::queue::BATCH;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What one receive brought.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) messages: Vec<RawMessage>,
    /// Until when they are held. Counted from before the call, so that it is never later than by SQS's count.
    pub(super) expires: Moment,
}

/// One poller.
#[derive(Clone)]
pub(super) struct Poller {
    /// Which one of them.
    pub(super) number: u32,
    pub(super) queue: Queue,
    pub(super) visibility: Duration,
    pub(super) clock: EngineClock,
    pub(super) health: Arc<Health>,
    pub(super) stop: CancellationToken,
    pub(super) gate: watch::Receiver<Gate>,
    pub(super) batches: mpsc::Sender<Batch>,
}

impl Poller {
    /// Receives until it is stopped, also after a defect of ours ended a poller.
    pub(super) async fn keep_polling(mut self) {
        let (number, health, stop) = (self.number, Arc::clone(&self.health), self.stop.clone());
        // Nothing is in flight yet, so a stop need not wait. That the gate is gone, means the same.
        let Some(Ok(_)) = stop.run_until_cancelled(self.gate.wait_for(Option::is_some)).await else { return };
        again_after_a_panic("a poller", &stop, FIRST_PAUSE, || self.clone().poll()).await;
        health.polls_no_more(number);
    }

    /// Receives until it is stopped. Room is made by the loop taking the batch: only what is not planned yet counts.
    async fn poll(self) {
        self.health.polls(self.number, self.clock.moment());
        let mut failures = 0;
        // The first receive does not wait, so that readiness is known at once.
        let mut wait = Duration::ZERO;
        while !self.stop.is_cancelled() {
            let asked = self.clock.moment();
            match self.queue.receive(MOST_PER_RECEIVE, wait, self.visibility).await {
                Ok(messages) => {
                    self.health.received(self.number, self.clock.moment());
                    if failures > 0 {
                        info!("receiving again");
                    }
                    failures = 0;
                    wait = RECEIVE_WAIT;
                    let batch = Batch { messages, expires: asked + self.visibility };
                    if !batch.messages.is_empty() && self.hand_over(batch).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    failures += 1;
                    self.pause(&error, failures).await;
                }
            }
        }
    }

    /// Waits until the loop takes what was received.
    async fn hand_over(&self, batch: Batch) -> Result<(), mpsc::error::SendError<Batch>> {
        self.health.hands_over(self.number, self.clock.moment());
        self.batches.send(batch).await?;
        self.health.polls(self.number, self.clock.moment());
        Ok(())
    }

    /// Waits after a failed receive, longer each time, and jittered: what failed together must not come back together.
    async fn pause(&self, error: &QueueError, failures: u32) {
        self.health.receive_failed(self.number, self.clock.moment(), error.to_string());
        if failures == 1 {
            warn!(error = %error, "receiving failed; it is tried again");
        }
        let longest = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        let pause = FIRST_PAUSE + longest.mul_f64(fastrand::f64());
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does this until it ends by itself. A panic in it is a defect, and no reason to stop: it is told, and after a pause it is
/// begun anew.
pub(super) async fn again_after_a_panic<F>(
    what: &str,
    stop: &CancellationToken,
    pause: Duration,
    begin: impl Fn() -> F,
) where
    F: Future<Output: Send> + Send + 'static,
{
    // A task of its own, so that a panic ends no more than that. It is waited for, and never cancelled.
    while let Err(died) = tokio::spawn(begin()).await {
        error!(error = %died, "{what} died, which is a defect of Lockkeeper; another takes its place");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_poller_that_dies_is_replaced_until_one_ends_by_itself() {
        let begun = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&begun);
        again_after_a_panic("it", &CancellationToken::new(), FIRST_PAUSE, move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(number >= 2, "on purpose") }
        })
        .await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn no_poller_is_replaced_after_the_stop() {
        let (begun, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        stop.cancel();
        let counted = Arc::clone(&begun);
        again_after_a_panic("it", &stop, FIRST_PAUSE, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { panic!("on purpose") }
        })
        .await;
        assert_eq!(begun.load(Ordering::Relaxed), 1);
    }
}
