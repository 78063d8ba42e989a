//! Carries what is in one outbox: tries again what was not taken, and gives up what is not taken for long.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::{Delivery, Sender, Tally, Undelivered, post::Post};
use crate::report::notice::Notice;

/// Nothing may take longer, whatever a sender's own limits are.
const SLOWEST: Duration = Duration::from_secs(15);
/// What could not be delivered for so long is given up: behind it waits what is newer.
const LONGEST_TRY: Duration = Duration::from_mins(15);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// Who asks to be left alone for longer is asked again after this.
const LONGEST_PATIENCE: Duration = Duration::from_mins(5);

/// Carries what is in one outbox.
pub(super) struct Courier {
    post: Arc<Post>,
    sender: Sender,
    tally: Arc<dyn Tally>,
    /// How many notices were given up since something was taken last; `None` while all is well.
    outage: Option<usize>,
}

impl Courier {
    pub(super) fn new(post: Arc<Post>, sender: Sender, tally: Arc<dyn Tally>) -> Self {
        Self { post, sender, tally, outage: None }
    }

    /// Until the outbox is closed and empty.
    pub(super) async fn work(mut self) {
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
