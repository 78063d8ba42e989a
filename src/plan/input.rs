//! What goes into the planner, and what comes out of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::domain::{
    CallFailure, Cancellation, DeadLetter, DeploymentId, EventId, Glance, HoldRequest, Holds, LeaseId, Look,
    LookOrder, MarkOrder, MessageId, Moment, Outcome, Report, Request, StartOrder, Started, StopOrder,
    TagOrder, TargetId, TargetSettings, Timestamp,
};

use super::retry::Jitter;

/// What the planner is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A message was received, decoded and routed.
    Arrived(Arrival),
    /// The visibility of these messages was extended.
    Extended {
        /// Their leases.
        leases: Vec<LeaseId>,
        /// Until when they are held now.
        until: Moment,
    },
    /// The visibility of these messages could not be extended now, and may be tried again.
    NotExtended(Vec<LeaseId>),
    /// These messages are not ours any more.
    Lost(Vec<LeaseId>),
    /// These messages were deleted.
    Deleted(Vec<LeaseId>),
    /// These messages could not be deleted now, and it may be tried again.
    NotDeleted(Vec<LeaseId>),
    /// The answer to [`Command::Renew`].
    Renewed {
        /// The message that was copied.
        lease: LeaseId,
        /// Whether the copy was sent.
        done: bool,
    },
    /// A letter to the dead-letter queue was sent, or was not.
    SetAside {
        /// The message that it was about.
        lease: LeaseId,
        /// The target that it was about.
        target: Option<TargetId>,
        /// Whether it was sent.
        done: bool,
    },
    /// The answer to [`Command::Look`].
    Looked {
        /// The target.
        target: TargetId,
        /// What was seen.
        look: Result<Box<Look>, CallFailure>,
    },
    /// The answer to [`Command::Glance`] about one of its targets.
    Glanced {
        /// The target.
        target: TargetId,
        /// What was seen.
        glance: Result<Glance, CallFailure>,
    },
    /// The answer to [`Command::Start`].
    Started {
        /// The target.
        target: TargetId,
        /// The new rollout.
        started: Result<Started, CallFailure>,
    },
    /// The answer to [`Command::Stop`].
    Stopped {
        /// The target.
        target: TargetId,
        /// Whether ECS goes back now.
        stopped: Result<(), CallFailure>,
    },
    /// The answer to [`Command::Mark`].
    Marked {
        /// The target.
        target: TargetId,
        /// Whether the revision bears the marks, as far as it may be tagged at all.
        marked: Result<(), CallFailure>,
    },
    /// The answer to [`Command::Tag`].
    Tagged {
        /// The target.
        target: TargetId,
        /// What the tags of its service say now.
        tagged: Result<Holds, CallFailure>,
    },
    /// The tags of a target's service were read beside the planner, later than anything that it was told of them.
    HoldsRead {
        /// The target.
        target: TargetId,
        /// How it is deployed, where routes know it.
        settings: Option<Arc<TargetSettings>>,
        /// What they say.
        holds: Holds,
    },
    /// It was learnt whether a target is deployed at all.
    Refused {
        /// The target.
        target: TargetId,
        /// Why it is not; `None` where it is.
        why: Option<Arc<str>>,
    },
    /// A target is known no longer.
    Forgotten {
        /// The target.
        target: TargetId,
        /// Why nothing is deployed there any more; `None` where its service is gone, so that what waits fails by what ECS shows.
        why: Option<Arc<str>>,
    },
    /// ECS tells that a target's rollout moved.
    Hint(TargetId),
    /// Everybody who is told of ends has been told of this one, or cannot be.
    Told(End),
    /// Everybody has been told of the notice in this message, or cannot be.
    Delivered(MessageId),
    /// Time has passed.
    Wakeup,
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its outcome.
    pub outcome: Outcome,
}

/// A message that was received, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// Our hold on it.
    pub lease: LeaseId,
    /// SQS's id of it.
    pub message: MessageId,
    /// The event in it.
    pub event: EventId,
    /// Until when it is held.
    pub expires: Moment,
    /// Whether somebody has received it before.
    pub is_again: bool,
    /// What it asks for.
    pub asks: Asks,
}

/// What a message asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asks {
    /// These changes, at most one per target.
    Changes(Vec<Request>),
    /// These decisions about what keeps targets back, at most one per target.
    Holds(Vec<HoldRequest>),
    /// A deployment is given up.
    Cancel(Cancellation),
    /// Nothing.
    Nothing,
    /// That somebody is told of what is in it, which is none of the planner's business: it is held until that is done.
    Notice,
    /// Nobody knows: it is to be set aside with this reason.
    Unknown {
        /// What is wrong with it.
        reason: String,
        /// When it was sent.
        version: Timestamp,
    },
}

impl Asks {
    /// What a message asks for that was routed to these.
    pub fn of(requests: Vec<Request>, holds: Vec<HoldRequest>, cancellation: Option<Cancellation>) -> Self {
        match cancellation {
            _ if !requests.is_empty() => Self::Changes(requests),
            _ if !holds.is_empty() => Self::Holds(holds),
            Some(cancellation) => Self::Cancel(cancellation),
            None => Self::Nothing,
        }
    }
}

/// What the planner wants done. Each is answered by the [`Input`] that its documentation names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Look at a target: [`Input::Looked`].
    Look(LookOrder),
    /// Glance at targets of one cluster, ten at most: [`Input::Glanced`] for each.
    Glance(Vec<TargetId>),
    /// Start a rollout: [`Input::Started`].
    Start(StartOrder),
    /// Stop a rollout, and go back: [`Input::Stopped`].
    Stop(StopOrder),
    /// Tag a revision with what was asked for and needs no rollout: [`Input::Marked`].
    Mark(MarkOrder),
    /// Have the tags of a service say what was decided, unless they say something newer: [`Input::Tagged`].
    Tag(TagOrder),
    /// Hold these messages for another visibility: [`Input::Extended`], [`Input::NotExtended`], [`Input::Lost`].
    Extend(Vec<LeaseId>),
    /// Send a copy of this message to its own queue, with the same version and floor, confined to these targets:
    /// [`Input::Renewed`]. The message itself is held until the copy has been received.
    Renew {
        /// The message.
        lease: LeaseId,
        /// The targets to which it owes something still.
        targets: BTreeSet<TargetId>,
    },
    /// Send a copy of this message to the dead-letter queue: [`Input::SetAside`].
    SetAside {
        /// The message.
        lease: LeaseId,
        /// What to say about it.
        letter: Box<DeadLetter>,
    },
    /// Delete these messages: [`Input::Deleted`], [`Input::NotDeleted`], [`Input::Lost`].
    Delete(Vec<LeaseId>),
    /// Tell this; no answer.
    Report(Report),
}

/// The time of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Now {
    /// By the monotonic clock: deadlines.
    pub moment: Moment,
    /// By the wall clock: only ever shown.
    pub wall: Timestamp,
    /// Where in its range a delay falls that begins in this turn.
    pub jitter: Jitter,
}

/// What the planner can be told once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlanSettings {
    /// How long one extension holds a message.
    pub visibility: Duration,
    /// How long one receipt of a message is held before the message is renewed: SQS allows twelve hours.
    pub renew_after: Duration,
    /// No rollout is started before this moment.
    pub start_after: Moment,
    /// How many glances, at ten rollouts each, may be sent in a second.
    pub glances_per_second: u32,
    /// How long the messages of a deployment that ended are held until that was told elsewhere, at most; `None` where nobody
    /// is told.
    pub tell_within: Option<Duration>,
    /// Defects planted on purpose.
    #[cfg(feature = "sim")]
    pub flaws: BTreeSet<Flaw>,
}

/// Defects that can be planted, so that tests show that each is caught. Without the feature `sim` none exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// The last to arrive counts as the newest.
    ArrivalOrder,
    /// A message is deleted as soon as it is received.
    DeleteOnReceive,
    /// The end of a lane's quiet time is not told by `next_wakeup`.
    HiddenDeadline,
    /// A rollout created later satisfies an image, whatever it has.
    AnyLaterRolloutCarriesAnImage,
    /// A rollout that was rolled back counts as done.
    RollbackCountsAsRollout,
    /// Where content turns out to run already, freshness that waits with it counts as settled too.
    FreshnessSettledByContent,
    /// A message whose hold ran out counts as held.
    ExpiredHoldCounts,
    /// Of a message that is being deployed and its equal, such as its copy, neither is kept.
    EqualsSettleEachOther,
    /// What failed is undone over what somebody has started since.
    UndoneOverOthers,
    /// The failures of a wave do not count.
    WaveGoesOn,
    /// Content that runs already is settled without a mark.
    NoMarkForWhatRuns,
    /// What the tags of a service say of a pause is not read.
    PausedInMemoryOnly,
    /// The message of a cancellation is settled before what it gave up is.
    CancelForgotten,
    /// A rollback does not hold its target.
    RollbackWithoutHold,
}

impl PlanSettings {
    /// After so long a message is renewed: an hour before SQS would take it from us.
    pub const RENEW_AFTER: Duration = Duration::from_hours(11);

    /// What could not be told for so long is not waited for any more.
    pub const TELL_WITHIN: Duration = Duration::from_mins(15);

    /// Holds messages for this long, and starts rollouts at once.
    pub fn new(visibility: Duration) -> Self {
        Self {
            visibility,
            renew_after: Self::RENEW_AFTER,
            start_after: Moment::default(),
            glances_per_second: 10,
            tell_within: None,
            #[cfg(feature = "sim")]
            flaws: BTreeSet::new(),
        }
    }

    #[cfg(feature = "sim")]
    pub(super) fn flawed(&self, flaw: Flaw) -> bool {
        self.flaws.contains(&flaw)
    }

    #[cfg(not(feature = "sim"))]
    #[expect(clippy::unused_self, reason = "with the feature `sim` it is used")]
    pub(super) fn flawed(&self, _: Flaw) -> bool {
        false
    }
}
