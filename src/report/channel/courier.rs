//! Carries what is in one outbox: tries again what was not taken, and gives up what is not taken for long.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::{Delivery, Sender, Tally, Undelivered, post::Post};
use crate::report::notice::Notice;

/// Nothing may take longer, whatever a sender's own limits are.
const SLOWEST: Duration = Duration::from_secs(15);
/// What could not be delivered for so long is given up: behind it waits what is newer.
pub const LONGEST_TRY: Duration = Duration::from_mins(15);
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
    /// After how long the next attempt is made, if one is not taken.
    delay: Duration,
}

impl Courier {
    pub(super) fn new(post: Arc<Post>, sender: Sender, tally: Arc<dyn Tally>) -> Self {
        Self { post, sender, tally, outage: None, delay: FIRST_DELAY }
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
        loop {
            let (later, patience) = self.attempt(left, began + LONGEST_TRY).await;
            let Some(patience) = patience else {
                self.delay = FIRST_DELAY;
                return;
            };
            // Between one and two delays: channels that failed together do not come back together.
            let jitter = self.delay.mul_f64(fastrand::f64());
            self.post.pause(patience.min(LONGEST_PATIENCE).max(self.delay + jitter)).await;
            self.delay = (self.delay * 2).min(LONGEST_DELAY);
            if later.is_empty() {
                return;
            }
            left = later;
        }
    }

    /// Sends these. Says which are to be sent again, and after how long at least the next attempt is made, where one was not
    /// taken.
    async fn attempt(
        &mut self,
        left: Vec<Arc<Notice>>,
        until: Instant,
    ) -> (Vec<Arc<Notice>>, Option<Duration>) {
        let results = match timeout(SLOWEST, self.sender.send(&left)).await {
            Ok(results) => results,
            Err(_) => vec![Err(Undelivered::later("no answer in time")); left.len()],
        };
        let (mut later, mut patience) = (Vec::new(), None);
        for (notice, result) in left.into_iter().zip(results) {
            match result {
                Ok(()) => self.sent(&notice),
                Err(Undelivered::Never { why }) => self.lost(&notice, &why),
                Err(Undelivered::Later { after, why }) => {
                    let until = self.post.until(&notice).unwrap_or(until);
                    let is_stored = self.post.store(&notice);
                    if !is_stored && (self.post.is_closed() || Instant::now() >= until) {
                        self.lost(&notice, &why);
                        continue;
                    }
                    self.stumbles(&why);
                    patience = patience.max(Some(after.unwrap_or_default()));
                    if is_stored {
                        self.post.settled(&notice, false);
                    } else {
                        later.push(notice);
                    }
                }
            }
        }
        (later, patience)
    }

    fn sent(&mut self, notice: &Notice) {
        self.post.settled(notice, true);
        self.tally.notified(&self.post.name, Delivery::Sent, 1);
        if let Some(lost) = self.outage.take() {
            info!(channel = self.post.name, lost, "notifications are taken again");
        }
    }

    fn stumbles(&mut self, why: &str) {
        self.tally.notified(&self.post.name, Delivery::Retried, 1);
        if self.outage.is_none() {
            self.outage = Some(0);
            warn!(channel = self.post.name, error = why, "notifications are not taken, and sent again");
        }
    }

    fn lost(&mut self, notice: &Notice, why: &str) {
        self.post.settled(notice, false);
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
