//! What is told to people and programs elsewhere: reports become notices, each told at least once, with an id by which
//! whoever gets it drops repeats.
//!
//! | module | does |
//! |---|---|
//! | [`teller`] | reports to notices: which stage began, which ended |
//! | [`words`] | a notice in words: headline, facts, evidence, links |
//! | [`payload`] | a notice as JSON for programs |
//! | [`outbox`] | what waits to be sent over one channel, within bounds |

pub mod outbox;
pub mod payload;
pub mod teller;
#[cfg(test)]
pub(crate) mod tests;
pub mod words;

use std::{fmt, sync::Arc};

use crate::domain::{
    DeploymentId, DeploymentRecord, ForeignRollout, ForeignState, HoldMove, HoldRecord, NoticeFilter,
    NoticeStage, Outcome, ServiceWarning, TargetId, TargetName, Timestamp,
};

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The same each time that the same thing is told, also by another process.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
    /// Whether somebody may have been told that it began, though it turned out not to be needed: then it is told that it
    /// ended to whoever is told of what succeeded.
    pub concludes: bool,
    /// Who waits until everybody has it.
    pub errand: Errand,
}

/// What is dropped once nobody has a notice any more, because each channel has handed it over or given it up: that is how
/// somebody may wait for it. Two notices are no others because of it.
#[derive(Clone, Debug, Default)]
pub struct Errand(
    #[expect(dead_code, reason = "it is there to be dropped")] Option<Arc<dyn fmt::Debug + Send + Sync>>,
);

impl Errand {
    /// With this behind it.
    pub fn new(waiting: impl fmt::Debug + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(waiting)))
    }
}

impl PartialEq for Errand {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Errand {}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A stage of a deployment, or the whole, began or ended.
    Stage(NoticeStage, Status, Arc<DeploymentRecord>),
    /// A deployment does not go as it should; why, in words.
    Trouble(Arc<DeploymentRecord>, String),
    /// ECS warns of a service while this deployment is under way.
    Warned(Arc<DeploymentRecord>, ServiceWarning),
    /// A rollout that we did not start moved.
    Foreign(ForeignRollout),
    /// What keeps a target back changed.
    Hold(Held),
}

/// A target that somebody keeps back, or does not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The target.
    pub target: TargetId,
    /// Its name.
    pub name: TargetName,
    /// What was decided, by whom and when.
    pub hold: HoldRecord,
    /// What became of it.
    pub moved: HoldMove,
}

impl Held {
    /// As a label.
    fn kind(&self) -> &'static str {
        match &self.moved {
            HoldMove::Begun => self.hold.kind.as_str(),
            HoldMove::Ended => "resumed",
            HoldMove::Vanished => "hold_vanished",
            HoldMove::Refused(_) => "hold_refused",
            HoldMove::DryRun => "hold_dry_run",
        }
    }
}

/// Whether something began, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It began.
    Started,
    /// It ended well, or was not wanted any more.
    Completed,
    /// It failed.
    Failed,
}

impl Status {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Where this is: what every notice says beside what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// The project, where the settings name one.
    pub project: Option<Arc<str>>,
    /// The environment, where the settings name one.
    pub environment: Option<Arc<str>>,
    /// Where people reach our pages.
    pub public_url: Option<Arc<str>>,
}

impl Notice {
    /// The deployment that it is about.
    pub fn record(&self) -> Option<&Arc<DeploymentRecord>> {
        match &self.what {
            What::Stage(_, _, record) | What::Trouble(record, _) | What::Warned(record, _) => Some(record),
            What::Foreign(_) | What::Hold(_) => None,
        }
    }

    /// What all notices have in common that tell of one thing as it goes on: the deployment, or the rollout that is not ours.
    pub fn thread(&self) -> Option<&str> {
        match &self.what {
            What::Stage(_, _, record) | What::Trouble(record, _) | What::Warned(record, _) => {
                Some(record.id.as_str())
            }
            What::Foreign(it) => Some(it.rollout_id.as_str()),
            What::Hold(_) => None,
        }
    }

    /// The deployment's id.
    pub fn deployment(&self) -> Option<&DeploymentId> {
        self.record().map(|record| &record.id)
    }

    /// The target that it is about, and its name.
    pub fn target(&self) -> (&TargetId, &TargetName) {
        match &self.what {
            What::Foreign(it) => (&it.target, &it.name),
            What::Hold(it) => (&it.target, &it.name),
            What::Stage(_, _, record) | What::Trouble(record, _) | What::Warned(record, _) => {
                (&record.target, &record.name)
            }
        }
    }

    /// How the whole deployment ended, if it is that which is told.
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.what {
            What::Stage(NoticeStage::Deployment, Status::Completed | Status::Failed, record) => {
                record.outcome
            }
            What::Stage(..) | What::Trouble(..) | What::Warned(..) | What::Foreign(_) | What::Hold(_) => None,
        }
    }

    /// Whether it is the end of something: that must arrive, whatever else does not.
    pub fn is_end(&self) -> bool {
        match &self.what {
            What::Foreign(it) => it.state != ForeignState::InProgress,
            What::Hold(_) => true,
            What::Stage(..) | What::Trouble(..) | What::Warned(..) => self.outcome().is_some(),
        }
    }

    /// What kind of thing it is, as a label: `started`, `succeeded`, `warning`, `foreign_failed`, `rollout_started`.
    pub fn kind(&self) -> String {
        match &self.what {
            What::Stage(NoticeStage::Deployment, status, record) => match record.outcome {
                Some(outcome) if *status != Status::Started => outcome.as_str().into(),
                Some(_) | None => status.as_str().into(),
            },
            What::Stage(stage, status, _) => format!("{}_{}", stage.as_str(), status.as_str()),
            What::Trouble(..) | What::Warned(..) => "warning".into(),
            What::Foreign(it) => format!("foreign_{}", it.state.as_str()),
            What::Hold(it) => it.kind().into(),
        }
    }
}

/// Whether somebody with this filter is told of it.
pub fn is_wanted(filter: &NoticeFilter, notice: &Notice) -> bool {
    let (target, name) = notice.target();
    let of_kind = match &notice.what {
        What::Stage(stage, ..) => match notice.outcome() {
            Some(Outcome::AlreadyRunning) if notice.concludes => {
                filter.outcomes.contains(&Outcome::AlreadyRunning)
                    || filter.outcomes.contains(&Outcome::Succeeded)
            }
            Some(outcome) => filter.outcomes.contains(&outcome),
            None => filter.stages.contains(stage),
        },
        What::Trouble(..) | What::Warned(..) | What::Hold(_) => {
            filter.stages.contains(&NoticeStage::Deployment)
        }
        What::Foreign(_) => filter.foreign,
    };
    of_kind && filter.is_of(target, name)
}
