//! The end, of the process or of a term. Receives in flight end, and what they brought goes back with all else that is
//! held; rollouts go on without us.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Engine, RECEIVE_WAIT, Running, intake::Batch, standby::Hold};
use crate::{
    aws::queue::{BATCH, Queue, Receipt},
    plan::Input,
};

/// From the signal to the end of the process, at most: a receive's wait, and time to hand back.
const LONGEST: Duration = Duration::from_secs(9);

/// Handing back may take this much of it.
const HANDING_BACK: Duration = Duration::from_secs(2);

/// For so long it is told still how things ended: what is not delivered by then is on the queue.
const LONGEST_TELLING: Duration = Duration::from_secs(5);

/// Messages that are handed back come to the next receiver after up to this, so that they do not all come at once.
const LONGEST_DELAY_SECONDS: u64 = 3;

impl Running {
    /// The process ends. A lease is given back as soon as every call has ended that was begun under it.
    pub(super) async fn drain(
        mut self,
        pollers: &TaskTracker,
        batches: &mut mpsc::Receiver<Batch>,
        answers: &mut mpsc::UnboundedReceiver<Input>,
        hold: Option<&mut Hold>,
    ) -> Engine {
        self.engine.health.closing();
        self.performer.close();
        let end = Instant::now() + LONGEST;
        self.tell_strangers();
        self.give_back_notices();
        hand_back(&self.engine.queue, self.all_held()).await;
        let queue = self.engine.queue.clone();
        let receives = hand_back_late(&queue, end, pollers, batches);
        let calls = async {
            let ended = timeout_at(end, self.last_answers(answers)).await.is_ok();
            if let Some(hold) = hold.filter(|_| ended) {
                if timeout_at(end, hold.release()).await.is_err() {
                    warn!("the lease could not be given back in time: it runs out by itself");
                }
                self.engine.show_standby();
            }
            ended
        };
        let ((), calls_ended) = tokio::join!(receives, calls);
        info!(calls_ended, "stopped");
        self.engine
    }

    /// The term ends, and perhaps another process acts already: nothing is waited for but receives in flight.
    pub(super) async fn let_go(
        mut self,
        pollers: &TaskTracker,
        batches: &mut mpsc::Receiver<Batch>,
    ) -> Engine {
        let end = Instant::now() + LONGEST;
        self.term.cancel();
        self.performer.drop_all();
        self.engine.show_standby();
        self.give_back_notices();
        hand_back(&self.engine.queue, [self.all_held(), self.all_telling()].concat()).await;
        hand_back_late(&self.engine.queue, end, pollers, batches).await;
        // Each was told to end, and ends as soon as it is run.
        self.performer.tasks.wait().await;
        self.engine
    }

    /// Nobody hears again of rollouts that are not ours: what is certain of them is told now.
    fn tell_strangers(&mut self) {
        for looked in self.foreign.certain(self.engine.clock.moment()) {
            self.on_foreign(looked);
        }
    }

    fn all_held(&self) -> Vec<Receipt> {
        self.held.receipts(&self.planner.hand_back()).into_iter().map(|(_, it)| it).collect()
    }

    /// What is told still of what has ended.
    fn all_telling(&self) -> Vec<Receipt> {
        self.held.receipts(&self.planner.telling()).into_iter().map(|(_, it)| it).collect()
    }

    /// What came from the queue to be told goes back there.
    fn give_back_notices(&mut self) {
        if let Some(notifiers) = self.engine.publisher.notifiers() {
            notifiers.give_back();
        }
    }

    /// Takes the answers of calls that are under way: what one of them settles is still deleted or set aside. How things
    /// ended is told meanwhile, or put on the queue to be told; what asked for it is handed back where that takes too long.
    async fn last_answers(&mut self, answers: &mut mpsc::UnboundedReceiver<Input>) {
        let tasks = self.performer.tasks.clone();
        let telling_ends = Instant::now() + LONGEST_TELLING;
        let mut is_telling = true;
        loop {
            is_telling &= !self.planner.telling().is_empty();
            tokio::select! {
                biased;
                Some(input) = answers.recv() => self.last_turn(input),
                Some(news) = self.engine.publisher.next_news() => self.on_news(news),
                () = tokio::time::sleep_until(telling_ends), if is_telling => {
                    is_telling = false;
                    hand_back(&self.engine.queue, self.all_telling()).await;
                }
                () = tasks.wait(), if !is_telling => return,
            }
        }
    }

    /// What a look shows now is for the successor to decide about.
    fn last_turn(&mut self, input: Input) {
        match input {
            Input::Looked { .. }
            | Input::Glanced { .. }
            | Input::Marked { .. }
            | Input::HoldsRead { .. }
            | Input::Refused { .. }
            | Input::Forgotten { .. }
            | Input::Hint(_)
            | Input::Arrived(_) => {}
            Input::Started { .. }
            | Input::Stopped { .. }
            | Input::Extended { .. }
            | Input::NotExtended(_)
            | Input::Lost(_)
            | Input::Deleted(_)
            | Input::NotDeleted(_)
            | Input::Renewed { .. }
            | Input::SetAside { .. }
            | Input::Tagged { .. }
            | Input::Told(_)
            | Input::Delivered(_)
            | Input::Wakeup => self.turn(input),
        }
    }
}

/// Hands all of these back at once, in as many calls as it takes.
async fn hand_back(queue: &Queue, receipts: Vec<Receipt>) {
    let calls = TaskTracker::new();
    for batch in receipts.chunks(BATCH) {
        let delayed: Vec<_> = batch.iter().map(|receipt| (receipt.clone(), delay())).collect();
        let queue = queue.clone();
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

/// Waits for the receives that were in flight when the end began, and hands back what they bring.
async fn hand_back_late(
    queue: &Queue,
    end: Instant,
    pollers: &TaskTracker,
    batches: &mut mpsc::Receiver<Batch>,
) {
    let receives_end = end.checked_sub(HANDING_BACK).unwrap_or(end);
    let mut late = Vec::new();
    if timeout_at(receives_end, late_messages(pollers, batches, &mut late)).await.is_err() {
        warn!(
            "a receive did not end within {RECEIVE_WAIT:?}: what it brings comes back after its visibility"
        );
    }
    hand_back(queue, late).await;
}

/// Collects what receives bring that were in flight when the end began.
async fn late_messages(pollers: &TaskTracker, batches: &mut mpsc::Receiver<Batch>, late: &mut Vec<Receipt>) {
    let mut collect = |batch: Batch| late.extend(batch.messages.into_iter().map(|message| message.receipt));
    loop {
        tokio::select! {
            Some(batch) = batches.recv() => collect(batch),
            () = pollers.wait() => break,
        }
    }
    // A poller hands over before it ends, so that both may be seen at the same time.
    while let Ok(batch) = batches.try_recv() {
        collect(batch);
    }
}

fn delay() -> Duration {
    Duration::from_secs(fastrand::u64(..=LONGEST_DELAY_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aws::queue::RawMessage, domain::Moment};

    #[tokio::test]
    async fn what_the_last_receive_brings_is_collected_also_when_its_poller_ends_at_once() {
        // Whichever of the two is looked at first is chance.
        for round in 0..64 {
            let (sender, mut batches) = mpsc::channel(1);
            let pollers = TaskTracker::new();
            pollers.spawn(async move {
                let batch = Batch { messages: vec![RawMessage::empty("m")], expires: Moment::default() };
                sender.send(batch).await.expect("the receiver is there");
            });
            pollers.close();
            let mut late = Vec::new();
            late_messages(&pollers, &mut batches, &mut late).await;
            assert_eq!(late.len(), 1, "round {round}");
        }
    }
}
