//! Moving messages out of a dead-letter queue. What arrives is a new message: new id, new send time, count zero.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, QueueKey, Queues, arn, message::Message};
use crate::{
    domain::Timestamp,
    sim::{
        call::{Fail, Outcome, text},
        rng::Rng,
    },
};

/// How often a running task moves a share of its messages.
const STEP: Duration = Duration::from_millis(100);
/// Messages per second where the caller does not say: AWS optimises by itself, up to 500.
const FASTEST_PER_SECOND: u64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MoveStatus {
    Running,
    Completed,
    Cancelled,
}

/// One task: from a dead-letter queue to another queue, or each message to where it came from.
#[derive(Clone, Debug)]
pub(super) struct MoveTask {
    handle: String,
    source: QueueKey,
    target: Option<QueueKey>,
    per_second: u64,
    status: MoveStatus,
    moved: u64,
    to_move: u64,
    started: Timestamp,
    next: Timestamp,
}

impl MoveTask {
    /// When it moves its next share.
    pub(super) fn due(&self) -> Option<Timestamp> {
        (self.status == MoveStatus::Running).then_some(self.next)
    }

    fn describe(&self) -> Value {
        let status = match self.status {
            MoveStatus::Running => "RUNNING",
            MoveStatus::Completed => "COMPLETED",
            MoveStatus::Cancelled => "CANCELLED",
        };
        let mut described = json!({
            "Status": status, "SourceArn": arn(&self.source), "MaxNumberOfMessagesPerSecond": self.per_second,
            "ApproximateNumberOfMessagesMoved": self.moved, "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started.as_millis(),
        });
        if let Some(target) = &self.target {
            described["DestinationArn"] = json!(arn(target));
        }
        if self.status == MoveStatus::Running {
            described["TaskHandle"] = json!(self.handle);
        }
        described
    }
}

impl Queues {
    pub(super) fn start_move(&mut self, body: &Value, desk: &mut Desk<'_>) -> Outcome {
        let source = self.key_of_arn(text(body, "SourceArn")).ok_or_else(|| missing("SourceArn"))?;
        self.movable(&source)?;
        let target = match body["DestinationArn"].as_str() {
            Some(target) => Some(self.key_of_arn(target).ok_or_else(|| missing("DestinationArn"))?),
            None => None,
        };
        let handle = desk.rng.hex();
        self.all.get_mut(&source).expect("key_of_arn() gives keys of queues that exist").sweep(desk.now);
        let to_move = self.all[&source].counts().ready as u64;
        let per_second = body["MaxNumberOfMessagesPerSecond"].as_u64().unwrap_or(FASTEST_PER_SECOND);
        self.moves.push(MoveTask {
            handle: handle.clone(),
            source,
            target,
            per_second: per_second.clamp(1, FASTEST_PER_SECOND),
            status: MoveStatus::Running,
            moved: 0,
            to_move,
            started: desk.now,
            next: desk.now + STEP,
        });
        Ok(json!({"TaskHandle": handle}))
    }

    fn movable(&self, source: &QueueKey) -> Result<(), Fail> {
        let source_arn = arn(source);
        if !self.all.values().any(|queue| queue.redrive().is_some_and(|to| to.target == source_arn)) {
            return Err(Fail::new(
                "InvalidParameterValue",
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        if self.moves.iter().any(|task| task.source == *source && task.status == MoveStatus::Running) {
            return Err(Fail::new(
                "UnsupportedOperation",
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        Ok(())
    }

    pub(super) fn list_moves(&self, body: &Value) -> Outcome {
        let source = self.key_of_arn(text(body, "SourceArn")).ok_or_else(|| missing("SourceArn"))?;
        let most = usize::try_from(body["MaxResults"].as_u64().unwrap_or(1)).unwrap_or(1);
        let tasks = self.moves.iter().rev().filter(|task| task.source == source).take(most);
        Ok(json!({"Results": tasks.map(MoveTask::describe).collect::<Vec<_>>()}))
    }

    pub(super) fn cancel_move(&mut self, body: &Value) -> Outcome {
        let handle = text(body, "TaskHandle");
        let running = |task: &&mut MoveTask| task.handle == handle && task.status == MoveStatus::Running;
        let task = self.moves.iter_mut().find(running).ok_or_else(|| missing("TaskHandle"))?;
        task.status = MoveStatus::Cancelled;
        Ok(json!({"ApproximateNumberOfMessagesMoved": task.moved}))
    }

    pub(super) fn advance_moves(&mut self, now: Timestamp, rng: &mut Rng) {
        for place in 0..self.moves.len() {
            while self.moves[place].due().is_some_and(|due| due <= now) {
                self.move_share(place, rng);
            }
        }
    }

    fn move_share(&mut self, place: usize, rng: &mut Rng) {
        let task = self.moves[place].clone();
        let left = task.to_move - task.moved;
        let share = (task.per_second / 10).clamp(1, left.max(1)).min(left);
        let queue = self.all.get_mut(&task.source);
        let messages = queue.map_or_else(Vec::new, |q| q.take_ready(usize::try_from(share).unwrap_or(0)));
        let took = messages.len() as u64;
        for message in messages {
            self.send_on(&task, message, rng);
        }
        let task = &mut self.moves[place];
        task.moved += took;
        task.next = task.next + STEP;
        if took == 0 || task.moved >= task.to_move {
            task.status = MoveStatus::Completed;
        }
    }

    fn send_on(&mut self, task: &MoveTask, mut message: Message, rng: &mut Rng) {
        let origin = message.source.as_deref().and_then(|source| self.key_of_arn(source));
        let target = task.target.clone().or(origin).unwrap_or_else(|| task.source.clone());
        message.id = rng.uuid();
        message.sent = task.next;
        message.first_received = None;
        message.receives = 0;
        message.receipt = None;
        message.source = None;
        self.transfer(&target, message);
    }
}

fn missing(parameter: &str) -> Fail {
    Fail {
        code: "ResourceNotFoundException",
        message: format!("The resource that you specified for the {parameter} parameter doesn't exist."),
        status: 404,
    }
}
