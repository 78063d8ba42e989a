//! The pollers: each has one receive open at any time, and hands over what it brings.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::EngineClock;
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
pub(super) struct Poller {
    pub(super) queue: Queue,
    pub(super) visibility: Duration,
    pub(super) clock: EngineClock,
    pub(super) health: Arc<Health>,
    pub(super) stop: CancellationToken,
    pub(super) batches: mpsc::Sender<Batch>,
}

impl Poller {
    /// Receives until it is stopped. Room is made by the loop taking the batch: only what is not planned yet counts.
    pub(super) async fn poll(self) {
        let mut failures = 0;
        // The first receive does not wait, so that readiness is known at once.
        let mut wait = Duration::ZERO;
        while !self.stop.is_cancelled() {
            let asked = self.clock.moment();
            match self.queue.receive(MOST_PER_RECEIVE, wait, self.visibility).await {
                Ok(messages) => {
                    self.health.received(self.clock.moment());
                    if failures > 0 {
                        info!("receiving again");
                    }
                    failures = 0;
                    wait = RECEIVE_WAIT;
                    let batch = Batch { messages, expires: asked + self.visibility };
                    if !batch.messages.is_empty() && self.batches.send(batch).await.is_err() {
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

    /// Waits after a failed receive, longer each time, and jittered: what failed together must not come back together.
    async fn pause(&self, error: &QueueError, failures: u32) {
        self.health.receive_failed(error.to_string());
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
