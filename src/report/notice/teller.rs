//! Reports to notices. The loop reports how far a deployment is; what began and what ended between two reports follows.
//!
//! Nothing that is remembered here is needed: a process that takes over a rollout tells anew that its deployment began,
//! under the id under which that was told before.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Errand, Held, Notice, Status, What};
use crate::{
    domain::{
        DeploymentId, DeploymentRecord, ForeignRollout, HoldMove, NoticeStage, Outcome, Report,
        ServiceWarning, Stage, TargetId, Timestamp,
    },
    report::message::span,
};

/// ECS repeats its warnings; of one service no more often than this is told.
const WARNING_SPACING: Duration = Duration::from_mins(1);

/// What is remembered of so many deployments at most. Those that were handed back never end here.
const MOST_REMEMBERED: usize = 10_000;

/// Makes notices of reports.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    open: BTreeMap<DeploymentId, Open>,
    warned: BTreeMap<TargetId, Timestamp>,
}

/// A deployment of which it was told that it began.
#[derive(Clone, Debug)]
struct Open {
    record: Arc<DeploymentRecord>,
    stage: Option<NoticeStage>,
}

impl Teller {
    /// What is to be told of this, at this time by the wall's clock.
    pub fn hear(&mut self, report: &Report, now: Timestamp) -> Vec<Notice> {
        match report {
            Report::Moved(record) => self.moved(&Arc::new((**record).clone()), now),
            Report::Finished(record) => self.finished(&Arc::new((**record).clone()), now),
            Report::Retrying { deployment, reason, delay_ms, attempts_left } => {
                let record = Arc::new((**deployment).clone());
                let delay = span(Duration::from_millis(*delay_ms));
                let words = format!(
                    "attempt {} did not succeed, and is made again in {delay} ({attempts_left} left): {reason}",
                    record.attempts
                );
                self.retrying(&record, words, now)
            }
            Report::Warned(warning) => self.warned(warning).into_iter().collect(),
            Report::Foreign(rollout) => vec![foreign(rollout)],
            Report::Hold { target, name, hold, moved } => {
                let (target, name) = (target.clone(), name.clone());
                held(Held { target, name, hold: hold.clone(), moved: moved.clone() }, now)
                    .into_iter()
                    .collect()
            }
            Report::Queued { .. }
            | Report::Dropped { .. }
            | Report::Settled { .. }
            | Report::LeaseLost { .. }
            | Report::Moot { .. }
            | Report::PromiseBroken { .. } => Vec::new(),
        }
    }

    fn moved(&mut self, record: &Arc<DeploymentRecord>, now: Timestamp) -> Vec<Notice> {
        let next = match record.stage {
            // Only one that is stuck is told of while it waits.
            Stage::Waiting => {
                let words = record.reason.clone().unwrap_or_else(|| "it waits".into());
                return vec![trouble(record, words, now)];
            }
            Stage::Starting => NoticeStage::Definition,
            Stage::Rollout => NoticeStage::Rollout,
            Stage::RollingBack => NoticeStage::Rollback,
            Stage::Finished => return self.finished(record, now),
        };
        let mut notices = Vec::new();
        let before = self.remember(record, next);
        if before.is_none() {
            let at = record.started_at.unwrap_or(now);
            notices.push(stage(NoticeStage::Deployment, Status::Started, record, at));
        }
        let before = before.and_then(|open| open.stage);
        if before == Some(next) {
            return notices;
        }
        if let Some(ended) = before {
            let failed = next == NoticeStage::Rollback && !record.cancelled;
            let status = if failed { Status::Failed } else { Status::Completed };
            notices.push(stage(ended, status, record, now));
        }
        notices.push(stage(next, Status::Started, record, now));
        notices
    }

    fn retrying(&mut self, record: &Arc<DeploymentRecord>, words: String, now: Timestamp) -> Vec<Notice> {
        let open = self.open.get_mut(&record.id);
        let ended = open.and_then(|open| open.stage.take());
        let failed = ended.map(|ended| stage(ended, Status::Failed, record, now));
        failed.into_iter().chain([trouble(record, words, now)]).collect()
    }

    fn finished(&mut self, record: &Arc<DeploymentRecord>, now: Timestamp) -> Vec<Notice> {
        let outcome = record.outcome.unwrap_or(Outcome::Failed);
        let at = record.finished_at.unwrap_or(now);
        let open = self.open.remove(&record.id);
        let began = open.is_some() || record.adopted.is_some();
        let ended = open.and_then(|open| open.stage);
        let ended = ended.map(|open| stage(open, ended_how(open, outcome), record, at));
        let whole = stage(NoticeStage::Deployment, status_of(outcome), record, at);
        ended.into_iter().chain([Notice { concludes: began, ..whole }]).collect()
    }

    fn warned(&mut self, warning: &ServiceWarning) -> Option<Notice> {
        let is_of = |open: &&Open| open.record.target == warning.target;
        let record = Arc::clone(&self.open.values().find(is_of)?.record);
        let last = self.warned.get(&warning.target);
        if last.is_some_and(|last| warning.at.since(*last) < WARNING_SPACING) {
            return None;
        }
        self.warned.insert(warning.target.clone(), warning.at);
        let id = format!("{}/warning/{}/{}", record.id, warning.event, warning.at.as_millis());
        Some(Notice {
            id,
            at: warning.at,
            what: What::Warned(record, warning.clone()),
            concludes: false,
            errand: Errand::default(),
        })
    }

    /// Takes in how far a deployment is, and says what was known of it.
    fn remember(&mut self, record: &Arc<DeploymentRecord>, stage: NoticeStage) -> Option<Open> {
        if self.open.len() >= MOST_REMEMBERED {
            self.open.pop_first();
        }
        if self.warned.len() >= MOST_REMEMBERED {
            self.warned.clear();
        }
        let open = Open { record: Arc::clone(record), stage: Some(stage) };
        self.open.insert(record.id.clone(), open)
    }
}

/// How a deployment ended, which is known from somewhere else than a report.
pub fn end(record: &Arc<DeploymentRecord>, at: Timestamp) -> Notice {
    let outcome = record.outcome.unwrap_or(Outcome::Failed);
    stage(NoticeStage::Deployment, status_of(outcome), record, at)
}

fn stage(stage: NoticeStage, status: Status, record: &Arc<DeploymentRecord>, at: Timestamp) -> Notice {
    let whole = stage == NoticeStage::Deployment;
    let id = match record.outcome {
        Some(outcome) if whole => format!("{}/{}", record.id, outcome.as_str()),
        Some(_) | None if whole => format!("{}/{}", record.id, status.as_str()),
        Some(_) | None => {
            format!("{}/{}/{}/{}", record.id, stage.as_str(), status.as_str(), record.attempts)
        }
    };
    Notice {
        id,
        at,
        what: What::Stage(stage, status, Arc::clone(record)),
        concludes: false,
        errand: Errand::default(),
    }
}

fn trouble(record: &Arc<DeploymentRecord>, words: String, at: Timestamp) -> Notice {
    let id = format!("{}/warning/{}/{}", record.id, record.stage.as_str(), record.attempts);
    Notice {
        id,
        at,
        what: What::Trouble(Arc::clone(record), words),
        concludes: false,
        errand: Errand::default(),
    }
}

fn foreign(rollout: &ForeignRollout) -> Notice {
    let id = format!("{}/{}", rollout.rollout_id, rollout.state.as_str());
    Notice {
        id,
        at: rollout.at,
        what: What::Foreign(rollout.clone()),
        concludes: false,
        errand: Errand::default(),
    }
}

/// What a dry run would have kept back, it does not.
fn held(held: Held, now: Timestamp) -> Option<Notice> {
    let at = match &held.moved {
        HoldMove::Begun => held.hold.since.unwrap_or(now),
        HoldMove::Ended | HoldMove::Vanished | HoldMove::Refused(_) => now,
        HoldMove::DryRun => return None,
    };
    let id = format!("{}/{}/{}", held.target, held.kind(), at.as_millis());
    Some(Notice { id, at: now, what: What::Hold(held), concludes: false, errand: Errand::default() })
}

/// How the whole ended: only what failed is a failure.
fn status_of(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Succeeded
        | Outcome::AlreadyRunning
        | Outcome::Superseded
        | Outcome::Cancelled
        | Outcome::DryRun => Status::Completed,
        Outcome::Failed | Outcome::RolledBack => Status::Failed,
    }
}

/// How the stage ended that was open: what was put back is back.
fn ended_how(open: NoticeStage, outcome: Outcome) -> Status {
    match (open, outcome) {
        (NoticeStage::Rollback, Outcome::RolledBack) => Status::Completed,
        (
            NoticeStage::Deployment | NoticeStage::Definition | NoticeStage::Rollout | NoticeStage::Rollback,
            outcome,
        ) => status_of(outcome),
    }
}
