//! A letter as it is shown: in JSON, and as a row of a table.

use serde::Serialize;

use super::{
    desk::Found,
    outlook::{Follows, Outlook},
};
use crate::{
    cli::{client::shapes::when_in, explain::words, terminal::table::table},
    domain::{LetterEvent, LetterRecord, Timestamp},
};

/// One letter, and what people call its target; `docs/commands.md` gives its shape.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Shown {
    #[serde(flatten)]
    pub(in crate::cli) record: LetterRecord,
    /// By the settings of whoever looks.
    #[serde(rename = "target_name")]
    name: Option<String>,
}

/// Letters below their heads; what tells them apart stays whole, also where there is little room.
pub(in crate::cli) fn listed(mut rows: Vec<[String; 5]>, width: Option<usize>, now: Timestamp) -> String {
    for [_, time, ..] in &mut rows {
        *time = when_in(width, now, time);
    }
    table(HEADS, &rows, width, &[0, 1])
}

/// The heads of [`Shown::row`].
const HEADS: [&str; 5] = ["ID", "SET ASIDE", "TARGET", "WHY", "EVENT"];

impl Shown {
    pub(in crate::cli) fn new(found: &Found, outlook: &Outlook, force: bool) -> Self {
        Self::with(found, outlook, &outlook.follows(&found.letter, force))
    }

    /// The same where it is known already what follows.
    pub(in crate::cli) fn with(found: &Found, outlook: &Outlook, follows: &Follows) -> Self {
        let Found { letter, copies, .. } = found;
        let event = &letter.event;
        let record = LetterRecord {
            id: letter.id.clone(),
            put_by: letter.put_by,
            time: letter.time,
            target: letter.target().cloned(),
            deployment: letter.said.deployment.clone(),
            outcome: letter.said.outcome.clone(),
            cause: letter.said.cause.clone(),
            attempts: letter.said.attempts,
            reason: letter.reason.clone().or_else(|| letter.is_not_understood()),
            version: letter.version,
            copies: copies.len(),
            event: LetterEvent {
                id: event.id.clone(),
                source: event.source.to_string(),
                detail_type: event.detail_type.to_string(),
                trigger: event.trigger.kind(),
                meaning: words::meaning(event),
            },
            result: follows.result,
            reaches: follows.targets.iter().map(|reached| reached.name.clone()).collect(),
        };
        Self { record, name: letter.target().map(|target| outlook.name_of(target)) }
    }

    /// The oldest first.
    pub(in crate::cli) fn place(&self) -> (Timestamp, &str) {
        (self.record.time, &self.record.id)
    }

    /// The target's name; in brackets those that it would reach, where it names none.
    pub(in crate::cli) fn target_in_words(&self) -> String {
        let reaches = || self.record.reaches.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match &self.name {
            Some(name) => name.clone(),
            None if self.record.reaches.is_empty() => "-".into(),
            None => format!("({})", reaches()),
        }
    }

    /// One row, for people.
    pub(in crate::cli) fn row(&self) -> [String; 5] {
        let LetterRecord { id, time, outcome, cause, reason, event, .. } = &self.record;
        row(Row {
            id,
            time: *time,
            target: self.target_in_words(),
            ended: [outcome.as_deref(), cause.as_deref()],
            reason: reason.as_deref(),
            event: [Some(event.trigger.as_str()), event.meaning.as_deref()],
        })
    }
}

/// What a row is made of.
pub(in crate::cli) struct Row<'a> {
    pub(in crate::cli) id: &'a str,
    pub(in crate::cli) time: Timestamp,
    pub(in crate::cli) target: String,
    /// How the deployment ended, and why.
    pub(in crate::cli) ended: [Option<&'a str>; 2],
    pub(in crate::cli) reason: Option<&'a str>,
    /// The kind of its trigger, and what it means.
    pub(in crate::cli) event: [Option<&'a str>; 2],
}

/// One row, below [`HEADS`].
pub(in crate::cli) fn row(of: Row<'_>) -> [String; 5] {
    let Row { id, time, target, ended, reason, event } = of;
    let joined = |parts: [Option<&str>; 2], between: &str| {
        parts.into_iter().flatten().collect::<Vec<_>>().join(between)
    };
    let ended = Some(joined(ended, ", ")).filter(|ended| !ended.is_empty());
    let why = joined([ended.as_deref(), reason], ": ");
    let why = if why.is_empty() { "-".into() } else { why };
    [id.to_owned(), seconds(time), target, why, joined(event, ": ")]
}

/// A time without its fraction of a second.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_millis(time.as_millis().div_euclid(1_000) * 1_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            letter::{
                Letter,
                tests::{message, set_aside},
            },
            outlook::tests::shop,
        },
        *,
    };
    use crate::aws::queue::RawMessage;

    fn row(message: &RawMessage) -> [String; 5] {
        let letter = Letter::read(message);
        let found = Found { letter, body: String::new(), copies: vec!["m-1".into()] };
        Shown::new(&found, &shop(), false).row()
    }

    #[test]
    fn a_row_says_for_whom_why_and_because_of_what() {
        let [_, time, target, why, event] = row(&set_aside());
        assert_eq!((time.as_str(), target.as_str()), ("1970-01-01T00:00:59Z", "the-api"));
        assert_eq!(why, "rolled_back, image_pull: no such image");
        assert_eq!(event, "image_pushed: api:2.0.0 was pushed");
    }

    #[test]
    fn where_no_target_is_named_those_that_are_reached_stand_in_brackets() {
        assert_eq!(row(&message(&[]))[2..4], ["(the-api)", "-"]);
        let malformed = RawMessage { body: "x".into(), ..message(&[]) };
        let [_, _, target, why, event] = row(&malformed);
        assert_eq!((target.as_str(), event.as_str()), ("-", "malformed"));
        assert!(why.contains("must be a JSON object"), "{why}");
    }
}
