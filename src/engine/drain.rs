//! The end. Receives in flight end, and what they brought goes back with all else that is held; rollouts go on without us.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{RECEIVE_WAIT, Running, intake::Batch};
use crate::{
    aws::queue::{BATCH, Receipt},
    plan::Input,
};

/// From the signal to the end of the process, at most: a receive's wait, and time to hand back.
const LONGEST: Duration = Duration::from_secs(9);

/// Handing back may take this much of it.
const HANDING_BACK: Duration = Duration::from_secs(2);

/// Messages that are handed back come to the next receiver after up to this, so that they do not all come at once.
const LONGEST_DELAY_SECONDS: u64 = 3;

impl Running {
    pub(super) async fn drain(
        mut self,
        pollers: &TaskTracker,
        batches: &mut mpsc::Receiver<Batch>,
        answers: &mut mpsc::UnboundedReceiver<Input>,
    ) {
        self.engine.health.closing();
        self.performer.close();
        let end = Instant::now() + LONGEST;
        let held = self.held.receipts(&self.planner.hand_back()).into_iter().map(|(_, it)| it).collect();
        self.hand_back(held).await;
        let receives_end = end.checked_sub(HANDING_BACK).unwrap_or(end);
        let mut late = Vec::new();
        if timeout_at(receives_end, late_messages(pollers, batches, &mut late)).await.is_err() {
            warn!(
                "a receive did not end within {RECEIVE_WAIT:?}: what it brings comes back after its visibility"
            );
        }
        self.hand_back(late).await;
        let calls_ended = timeout_at(end, self.last_answers(answers)).await.is_ok();
        info!(calls_ended, "stopped");
    }

    /// Takes the answers of calls that are under way: what one of them settles is still deleted or set aside.
    async fn last_answers(&mut self, answers: &mut mpsc::UnboundedReceiver<Input>) {
        let tasks = self.performer.tasks.clone();
        loop {
            tokio::select! {
                biased;
                Some(input) = answers.recv() => self.last_turn(input),
                () = tasks.wait() => return,
            }
        }
    }

    /// What a look shows now is for the successor to decide about.
    fn last_turn(&mut self, input: Input) {
        match input {
            Input::Looked { .. } | Input::Glanced { .. } | Input::Hint(_) | Input::Arrived(_) => {}
            Input::Started { .. }
            | Input::Stopped { .. }
            | Input::Extended { .. }
            | Input::NotExtended(_)
            | Input::Lost(_)
            | Input::Deleted(_)
            | Input::NotDeleted(_)
            | Input::Renewed { .. }
            | Input::SetAside { .. }
            | Input::Wakeup => self.turn(input),
        }
    }

    /// Hands all of these back at once, in as many calls as it takes.
    async fn hand_back(&self, receipts: Vec<Receipt>) {
        let calls = TaskTracker::new();
        for batch in receipts.chunks(BATCH) {
            let delayed: Vec<_> = batch.iter().map(|receipt| (receipt.clone(), delay())).collect();
            let queue = self.engine.queue.clone();
            calls.spawn(async move {
                let results = queue.hand_back(&delayed).await;
                let failed = results.iter().filter(|result| result.is_err()).count();
                info!(messages = results.len() - failed, failed, "messages handed back");
            });
        }
        calls.close();
        if tokio::time::timeout(HANDING_BACK, calls.wait()).await.is_err() {
            warn!("SQS does not answer: what is not handed back comes back after its visibility");
        }
    }
}

/// Collects what receives bring that were in flight when the end began.
async fn late_messages(pollers: &TaskTracker, batches: &mut mpsc::Receiver<Batch>, late: &mut Vec<Receipt>) {
    loop {
        tokio::select! {
            batch = batches.recv() => match batch {
                Some(batch) => late.extend(batch.messages.into_iter().map(|message| message.receipt)),
                None => return,
            },
            () = pollers.wait(), if batches.is_empty() => return,
        }
    }
}

fn delay() -> Duration {
    Duration::from_secs(fastrand::u64(..=LONGEST_DELAY_SECONDS))
}
