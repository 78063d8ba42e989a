//! A command to a call, and its answer to an input. Each call runs beside the loop.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{EngineClock, held::HeldMessages, renewal};
use crate::{
    aws::{
        ecs::{Clearance, Ecs},
        queue::{BATCH, MAX_MESSAGE_BYTES, Queue, QueueError, QueueErrorKind, Receipt},
    },
    decode,
    domain::{DeadLetter, LeaseId, LookOrder, TargetId, letter},
    plan::{Command, Input, PlanSettings},
    report::channel::{Tally, Unsent},
};

/// What the queue did not take is put there again after this, doubling.
const FIRST_STORE_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_STORE_PAUSE: Duration = Duration::from_secs(30);

/// Makes the calls that are commanded.
pub(super) struct Performer {
    pub(super) queue: Queue,
    pub(super) dead_letters: Queue,
    /// The largest message that the dead-letter queue takes, in bytes.
    pub(super) letter_room: usize,
    pub(super) ecs: Arc<Ecs>,
    pub(super) clock: EngineClock,
    pub(super) visibility: Duration,
    pub(super) answers: mpsc::UnboundedSender<Input>,
    /// The calls that are kept free for what a look may lead to: from before the look until it is decided on.
    pub(super) cleared: Arc<Mutex<BTreeMap<TargetId, Clearance>>>,
    /// The calls that are under way. Once it is closed, only messages are let go of.
    pub(super) tasks: TaskTracker,
    /// Drops the calls that are under way, as if their answers were lost.
    pub(super) dropped: CancellationToken,
}

impl Performer {
    /// From now on nothing is begun but deletions and letters: the process ends, and its successor looks afresh.
    pub(super) fn close(&self) {
        self.tasks.close();
        self.ecs.stop();
    }

    /// From now on nothing is begun, and what was begun is not waited for: somebody else acts.
    pub(super) fn drop_all(&self) {
        self.tasks.close();
        self.dropped.cancel();
    }

    pub(super) fn perform(&self, command: Command, held: &HeldMessages) {
        let ecs = Arc::clone(&self.ecs);
        match command {
            Command::Look(_)
            | Command::Glance(_)
            | Command::Start(_)
            | Command::Stop(_)
            | Command::Mark(_)
            | Command::Tag(_)
            | Command::Renew { .. }
            | Command::Extend(_)
                if self.tasks.is_closed() => {}
            Command::Look(order) => self.look(order),
            Command::Glance(targets) => self.answer(async move {
                let glances = ecs.glance(&targets).await;
                glances.into_iter().map(|(target, glance)| Input::Glanced { target, glance }).collect()
            }),
            Command::Start(order) => {
                let clearance = self.clearances().remove(&order.target).unwrap_or_default();
                let answers = self.answers.clone();
                self.answer(async move {
                    let started = ecs.start(&order, clearance).await;
                    let is_ours = started.is_ok();
                    let _ = answers.send(Input::Started { target: order.target.clone(), started });
                    if is_ours {
                        ecs.claim(&order.target).await;
                    }
                    Vec::new()
                });
            }
            Command::Stop(order) => self.answer(async move {
                let stopped = ecs.stop_rollout(&order).await;
                vec![Input::Stopped { target: order.target, stopped }]
            }),
            Command::Mark(order) => self.answer(async move {
                let marked = ecs.mark(&order).await;
                vec![Input::Marked { target: order.target, marked }]
            }),
            Command::Tag(order) => self.answer(async move {
                let tagged = ecs.tag_service(&order).await;
                vec![Input::Tagged { target: order.target, tagged }]
            }),
            Command::Extend(leases) => self.extend(&leases, held),
            Command::Delete(leases) => self.delete(&leases, held),
            Command::Renew { lease, targets } => self.renew(lease, &targets, held),
            Command::SetAside { lease, letter } => self.set_aside(lease, *letter, held),
            Command::Report(_) => {}
        }
    }

    /// A look that may lead to a start waits for its turn first: what is decided on it is then done at once. Meanwhile the
    /// requests only wait in their lane, where they may be joined, replaced or forgotten.
    fn look(&self, order: LookOrder) {
        let (ecs, cleared) = (Arc::clone(&self.ecs), Arc::clone(&self.cleared));
        // One look that leads to another keeps its turn.
        let kept = self.clearances().remove(&order.target).filter(|it| it.covers(&order));
        self.answer(async move {
            let clearance = match kept {
                Some(kept) => Ok(kept),
                None => ecs.clearance(&order).await,
            };
            let look = match clearance {
                Ok(clearance) => {
                    let look = ecs.look(&order).await.map(Box::new);
                    lock(&cleared).insert(order.target.clone(), clearance);
                    look
                }
                Err(failure) => Err(failure),
            };
            vec![Input::Looked { target: order.target, look }]
        });
    }

    /// A look has been decided on: what was kept free for more than came of it is free again.
    pub(super) fn decided(&self, target: &TargetId) {
        self.clearances().remove(target);
    }

    fn clearances(&self) -> MutexGuard<'_, BTreeMap<TargetId, Clearance>> {
        lock(&self.cleared)
    }

    /// Makes a call beside the loop. Nobody hears the answer once the loop has ended.
    fn answer(&self, call: impl Future<Output = Vec<Input>> + Send + 'static) {
        let (answers, dropped) = (self.answers.clone(), self.dropped.clone());
        self.tasks.spawn(async move {
            let _no_lane_waits_for_ever = EndsWithAPanic;
            for input in dropped.run_until_cancelled(call).await.unwrap_or_default() {
                let _ = answers.send(input);
            }
        });
    }

    /// The receipts of these messages. One that is not here any more is not ours, and the planner hears so.
    fn receipts(&self, leases: &[LeaseId], held: &HeldMessages) -> Vec<(LeaseId, Receipt)> {
        let unknown: Vec<LeaseId> =
            leases.iter().copied().filter(|lease| held.get(*lease).is_none()).collect();
        if !unknown.is_empty() {
            let _ = self.answers.send(Input::Lost(unknown));
        }
        held.receipts(leases)
    }

    fn extend(&self, leases: &[LeaseId], held: &HeldMessages) {
        for batch in self.receipts(leases, held).chunks(BATCH) {
            let (queue, visibility) = (self.queue.clone(), self.visibility);
            let (leases, receipts): (Vec<LeaseId>, Vec<Receipt>) = batch.iter().cloned().unzip();
            let until = self.clock.moment() + visibility;
            self.answer(async move {
                let batch: Vec<_> = receipts.into_iter().map(|receipt| (receipt, visibility)).collect();
                let results = queue.extend(&batch).await;
                let answers = sort(leases, results);
                answers.into_inputs(|leases| Input::Extended { leases, until }, Input::NotExtended)
            });
        }
    }

    fn delete(&self, leases: &[LeaseId], held: &HeldMessages) {
        for batch in self.receipts(leases, held).chunks(BATCH) {
            let queue = self.queue.clone();
            let (leases, receipts): (Vec<LeaseId>, Vec<Receipt>) = batch.iter().cloned().unzip();
            self.answer(async move {
                let results = queue.delete(&receipts).await;
                sort(leases, results).into_inputs(Input::Deleted, Input::NotDeleted)
            });
        }
    }

    fn renew(&self, lease: LeaseId, targets: &BTreeSet<TargetId>, held: &HeldMessages) {
        let Some(message) = held.get(lease).cloned() else {
            let _ = self.answers.send(Input::Lost(vec![lease]));
            return;
        };
        let queue = self.queue.clone();
        let room = MAX_MESSAGE_BYTES.saturating_sub(message.body.len());
        let attributes =
            renewal::attributes(&message.id, message.counted, targets, message.replayed_by.as_deref(), room);
        self.answer(async move {
            let sent = queue.send(&message.body, &attributes).await;
            match &sent {
                Ok(copy) => info!(event_id = %message.event, copy = %copy, "message renewed: a copy goes on for it"),
                Err(error) => {
                    warn!(event_id = %message.event, error = %error, "renewing a message failed; it is tried again");
                }
            }
            vec![Input::Renewed { lease, done: sent.is_ok() }]
        });
    }

    /// Puts on the queue what could not be delivered at once. Until that is done, or given up, its messages are held.
    pub(super) fn store(&self, unsent: Unsent, tally: Arc<dyn Tally>) {
        let Some(stored) = unsent.stored() else { return };
        let (queue, body) = (self.queue.clone(), stored.event().to_string());
        self.answer(async move {
            let until = Instant::now() + PlanSettings::TELL_WITHIN;
            let mut pause = FIRST_STORE_PAUSE;
            while let Err(error) = queue.send(&body, &BTreeMap::new()).await {
                if Instant::now() >= until {
                    unsent.give_up(&*tally);
                    return Vec::new();
                }
                warn!(notification = stored.id(), error = %error, "a notification could not be put on the queue; it is tried again");
                tokio::time::sleep(pause + pause.mul_f64(fastrand::f64())).await;
                pause = (pause * 2).min(LONGEST_STORE_PAUSE);
            }
            info!(notification = stored.id(), "a notification was put on the queue: it is delivered from there");
            drop(unsent);
            Vec::new()
        });
    }

    fn set_aside(&self, lease: LeaseId, letter: DeadLetter, held: &HeldMessages) {
        let Some(message) = held.get(lease).cloned() else {
            let _ = self.answers.send(Input::Lost(vec![lease]));
            return;
        };
        let (queue, room, now) = (self.dead_letters.clone(), self.letter_room, self.clock.wall());
        self.answer(async move {
            let attributes = letter::attributes(&message.event, &message.body, &letter, now);
            let meaning = |body: &str| decode::decode(body.as_bytes(), now);
            let is_same = |body: &str| meaning(body) == meaning(&message.body);
            let (body, attributes) =
                letter::parcel(&message.body, attributes, letter.target.is_some(), room, is_same);
            let sent = queue.send(&body, &attributes).await;
            if let Err(error) = &sent {
                warn!(event_id = %message.event, error = %error, "setting a message aside failed; it is tried again");
            }
            vec![Input::SetAside { lease, target: letter.target, done: sent.is_ok() }]
        });
    }
}

/// A call that panics is a defect, and its lane would wait for its answer for ever. So the process ends; the one that is
/// started in its place looks afresh.
struct EndsWithAPanic;

impl Drop for EndsWithAPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("a call panicked, which is a defect: the process ends, and its successor looks afresh");
            std::process::exit(1);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The results of a batch, by what they mean: one entry may fail while the call succeeds.
struct Sorted {
    done: Vec<LeaseId>,
    retry: Vec<LeaseId>,
    lost: Vec<LeaseId>,
}

fn sort(leases: Vec<LeaseId>, results: Vec<Result<(), QueueError>>) -> Sorted {
    let mut sorted = Sorted { done: Vec::new(), retry: Vec::new(), lost: Vec::new() };
    if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
        warn!(error = %error, "a message could not be held longer, or not be deleted");
    }
    for (lease, result) in leases.into_iter().zip(results) {
        match result.map_err(|error| error.kind) {
            Ok(()) => sorted.done.push(lease),
            Err(QueueErrorKind::ReceiptInvalid) => sorted.lost.push(lease),
            Err(
                QueueErrorKind::Throttled
                | QueueErrorKind::Gone
                | QueueErrorKind::Denied
                | QueueErrorKind::Unreachable
                | QueueErrorKind::Other,
            ) => sorted.retry.push(lease),
        }
    }
    sorted
}

impl Sorted {
    fn into_inputs(
        self,
        done: impl FnOnce(Vec<LeaseId>) -> Input,
        retry: impl FnOnce(Vec<LeaseId>) -> Input,
    ) -> Vec<Input> {
        let mut inputs = Vec::new();
        if !self.done.is_empty() {
            inputs.push(done(self.done));
        }
        if !self.retry.is_empty() {
            inputs.push(retry(self.retry));
        }
        if !self.lost.is_empty() {
            inputs.push(Input::Lost(self.lost));
        }
        inputs
    }
}
