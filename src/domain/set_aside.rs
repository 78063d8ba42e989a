//! What is told of a letter: a message in the dead-letter queue. Serialized, this is the API's shape.

use serde::Serialize;

use super::{EventId, TargetId, TargetName, Timestamp, TriggerKind};

/// One letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct LetterRecord {
    /// The same for the same event, target and body, however often it was set aside.
    pub id: String,
    /// Who set it aside.
    pub put_by: PutBy,
    /// When it was set aside.
    pub time: Timestamp,
    /// The target that it is for; null for one that is for all that its event reaches.
    pub target: Option<TargetId>,
    /// The deployment that failed.
    pub deployment: Option<String>,
    /// How that ended.
    pub outcome: Option<String>,
    /// Why it failed.
    pub cause: Option<String>,
    /// How often it was tried.
    pub attempts: Option<u32>,
    /// Why it was set aside, in one line.
    pub reason: Option<String>,
    /// When what it asks for was asked for.
    pub version: Timestamp,
    /// How many messages hold it.
    pub copies: usize,
    /// The event.
    pub event: LetterEvent,
    /// What would follow if it were put back.
    pub result: Verdict,
    /// The targets that it would reach then.
    pub reaches: Vec<TargetName>,
}

/// The event in a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct LetterEvent {
    /// Its id.
    pub id: EventId,
    /// Who emitted it.
    pub source: String,
    /// Its detail-type.
    pub detail_type: String,
    /// What it means.
    pub trigger: TriggerKind,
    /// What happened, in one line; null where that is not understood.
    pub meaning: Option<String>,
}

/// Who put a message into the dead-letter queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum PutBy {
    /// Lockkeeper set it aside.
    Lockkeeper,
    /// SQS moved it there, by the redrive policy of a queue.
    Sqs,
    /// EventBridge could not deliver it.
    EventBridge,
    /// Somebody sent it there by hand.
    Somebody,
}

/// What would follow if a letter were put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum Verdict {
    /// It asks something of a target.
    Asks,
    /// It asks nothing, and is deleted.
    AsksNothing,
    /// It is for a target that only discovery knows, which was not asked, or has not read everything.
    NotKnown,
    /// It is of an account whose events are not allowed, and is deleted.
    Refused,
    /// It cannot be understood, or does not say what is meant, and is set aside again.
    ComesBack,
}
