//! A report in words: one line for people, and fields by which machines find it.
//!
//! The words are an interface. Messages about a deployment contain `deployment`, final failures `deployment failed`
//! and retries `retry`, in lower case, because saved queries look for them.

use std::{borrow::Cow, fmt, time::Duration};

use crate::domain::{
    Cause, DeploymentRecord, ForeignRollout, ForeignState, HoldKind, HoldMove, HoldRecord, Holds, Origin,
    Outcome, Report, SettledBy, Stage, TargetName,
};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// One line that can be read alone.
    pub message: String,
    /// The same for machines, by the names that the log has everywhere.
    pub fields: Vec<(&'static str, Value)>,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For whoever looks for a defect.
    Debug,
    /// What happens on a good day.
    Info,
    /// It may need a person if it goes on.
    Warn,
    /// It needs a person.
    Error,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A count.
    Count(u64),
}

/// This report as one line of the log.
pub fn line(report: &Report) -> LogLine {
    match report {
        Report::Queued { name, origin, change, waiting, .. } => queued(name, origin, change, *waiting),
        Report::Dropped { name, origin, reason, .. } => LogLine::new(
            Level::Info,
            format!("no deployment of {name} for {}: {reason}", origin.reason),
            Fields::of_request(name, origin),
        ),
        Report::Moved(it) => moved(it),
        Report::Retrying { deployment, reason, delay_ms, attempts_left } => {
            retrying(deployment, reason, Duration::from_millis(*delay_ms), *attempts_left)
        }
        Report::Hold { name, hold, moved, .. } => held(name, hold, moved),
        Report::Moot { origin, reason } => LogLine::new(
            Level::Warn,
            format!("nothing follows from a decision ({}): {reason}", origin.reason),
            Fields::default().text("event_id", &origin.event_id).text("error", reason),
        ),
        Report::Finished(it) => finished(it),
        Report::Settled { event_id, reason } => LogLine::new(
            if *reason == SettledBy::NothingAsked { Level::Debug } else { Level::Info },
            format!("message of event {event_id} deleted: {}", settled_because(*reason)),
            Fields::default().text("event_id", event_id),
        ),
        Report::LeaseLost { event_id } => LogLine::new(
            Level::Warn,
            format!("hold on the message of event {event_id} lost: it will be received again"),
            Fields::default().text("event_id", event_id),
        ),
        Report::Warned(it) => LogLine::new(
            Level::Warn,
            format!("ECS warns of {}: {}{}", it.name, it.event, words(it.reason.as_deref())),
            Fields::of_service(&it.name),
        ),
        Report::Foreign(it) => foreign(it),
        Report::PromiseBroken { promise, what } => LogLine::new(
            Level::Error,
            format!("promise {promise} broken, which is a defect of Lockkeeper: {what}"),
            Fields::default().text("error", what),
        ),
    }
}

/// A length of time as people say it, in its two largest units: `250 ms`, `8 s`, `2 min 5 s`, `3 h`.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (big, small) = match seconds {
        0 => return format!("{} ms", length.as_millis()),
        1..60 => return format!("{seconds} s"),
        60..3_600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        _ => ((seconds / 86_400, "d"), (seconds % 86_400 / 3_600, "h")),
    };
    match small.0 {
        0 => format!("{} {}", big.0, big.1),
        rest => format!("{} {} {rest} {}", big.0, big.1, small.1),
    }
}

/// How long a finished deployment took: from its first attempt, or from its request if it never began.
pub fn took(record: &DeploymentRecord) -> Option<Duration> {
    let began = record.started_at.unwrap_or(record.requested_at);
    record.finished_at.map(|ended| ended.since(began))
}

fn queued(name: &TargetName, origin: &Origin, change: &str, waiting: usize) -> LogLine {
    let room = match waiting {
        0 | 1 => String::new(),
        several => format!("; {several} requests wait in its lane"),
    };
    let message = format!("deployment of {name} asked for: {change}, because {}{room}", origin.reason);
    LogLine::new(Level::Info, message, Fields::of_request(name, origin))
}

fn moved(it: &DeploymentRecord) -> LogLine {
    let subject = subject(it);
    let because = because(it);
    let (level, message) = match it.stage {
        Stage::Waiting => (Level::Info, format!("deployment {subject} waits{because}")),
        Stage::Starting => (
            Level::Info,
            format!("deployment {subject} begins{}: {}{because}", for_events(it), listed(&it.changes)),
        ),
        Stage::Rollout => (Level::Info, format!("deployment {subject} rolls out {}{because}", what(it))),
        Stage::RollingBack => {
            (Level::Warn, format!("deployment {subject} goes back{}{because}", back_to(it)))
        }
        Stage::Finished => return finished(it),
    };
    LogLine::new(level, message, Fields::of_deployment(it))
}

fn retrying(it: &DeploymentRecord, reason: &str, delay: Duration, left: u32) -> LogLine {
    let retries = (it.attempts + left).saturating_sub(1);
    let message = format!(
        "deployment {}: attempt {} of {} did not succeed, retry in {}: {reason}",
        subject(it),
        it.attempts,
        retries + 1,
        span(delay),
    );
    let fields = Fields::of_deployment(it)
        .count("max_retries", retries)
        .maybe("cause", it.cause.map(Cause::as_str))
        .text("error", reason);
    LogLine::new(Level::Warn, message, fields)
}

fn held(name: &TargetName, hold: &HoldRecord, moved: &HoldMove) -> LogLine {
    let by = hold.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let reason = hold.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let (state, tag) = match hold.kind {
        HoldKind::Paused => ("paused", Holds::PAUSED),
        HoldKind::Held => ("held after a rollback", Holds::HELD),
    };
    let (level, message) = match moved {
        HoldMove::Begun => (Level::Info, format!("{name} is {state}{by}{reason}")),
        HoldMove::Ended => (Level::Info, format!("{name} is resumed{by}{reason}")),
        HoldMove::Vanished => (
            Level::Warn,
            format!(
                "{name} was {state}{by}, and is not any more: the tag {tag} is gone, though nobody resumed it"
            ),
        ),
        HoldMove::Refused(why) => (
            Level::Error,
            format!("what was decided{by} about {name} cannot be kept as a tag of its service: {why}"),
        ),
        HoldMove::DryRun => {
            (Level::Info, format!("{name} would have been tagged{by}{reason}, but for dry run"))
        }
    };
    let fields = Fields::default().text("service", name).text("hold", hold.kind.as_str());
    let error = match moved {
        HoldMove::Refused(why) => Some(why.as_str()),
        HoldMove::Begun | HoldMove::Ended | HoldMove::Vanished | HoldMove::DryRun => None,
    };
    LogLine::new(level, message, fields.maybe("error", error))
}

fn finished(it: &DeploymentRecord) -> LogLine {
    let (subject, because) = (subject(it), because(it));
    let after = took(it).map(span).unwrap_or_default();
    let events = for_events(it);
    let (level, message) = match it.outcome {
        None => (Level::Info, format!("deployment {subject} ended{because}")),
        Some(Outcome::Succeeded) => {
            (Level::Info, format!("deployment {subject} succeeded in {after}{events}: {}{because}", what(it)))
        }
        Some(Outcome::AlreadyRunning) => {
            (Level::Info, format!("deployment {subject} not needed{events}: {}", runs_already(it)))
        }
        Some(Outcome::Superseded) => {
            (Level::Info, format!("deployment {subject} superseded after {after}{because}"))
        }
        Some(Outcome::Failed) => {
            (Level::Error, format!("deployment failed: {subject} after {after}{}{because}", cause(it)))
        }
        Some(Outcome::RolledBack) => (
            Level::Error,
            format!(
                "deployment failed: {subject} rolled back{} after {after}{}{because}",
                back_to(it),
                cause(it)
            ),
        ),
        Some(Outcome::Cancelled) => {
            (Level::Warn, format!("deployment {subject} cancelled{events}: {}{because}", listed(&it.changes)))
        }
        Some(Outcome::DryRun) => (
            Level::Info,
            format!(
                "deployment {subject} was a dry run{events}, nothing changed: {}{because}",
                listed(&it.changes)
            ),
        ),
    };
    LogLine::new(level, message, Fields::of_end(it))
}

fn foreign(it: &ForeignRollout) -> LogLine {
    let (level, how) = match it.state {
        ForeignState::InProgress => (Level::Info, "is in progress"),
        ForeignState::Completed => (Level::Info, "is complete"),
        ForeignState::Failed => (Level::Warn, "failed"),
    };
    let what = it.definition.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
    let message = format!(
        "a rollout of {}{what} that Lockkeeper did not start {how}: {}{}",
        it.name,
        it.rollout_id,
        words(it.reason.as_deref())
    );
    LogLine::new(
        level,
        message,
        Fields::of_service(&it.name).maybe("task_definition", it.definition.as_ref()),
    )
}

/// ECS's words, behind what is said.
fn words(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn settled_because(reason: SettledBy) -> &'static str {
    match reason {
        SettledBy::Reality => "what it asks for is so",
        SettledBy::SetAside => "it was sent to the dead-letter queue",
        SettledBy::NothingAsked => "it asks nothing of us",
        SettledBy::Newer => "a newer message that is held asks the same, or replaces it",
        SettledBy::DryRun => "everything was done but the calls that change something",
    }
}

fn subject(it: &DeploymentRecord) -> String {
    format!("{} of {}", it.id, it.name)
}

/// The definition where it is known, else what was asked.
fn what(it: &DeploymentRecord) -> String {
    it.definition.as_ref().map_or_else(|| listed(&it.changes), ToString::to_string)
}

/// The reason names what runs, and "it" is what was asked.
fn runs_already(it: &DeploymentRecord) -> String {
    match &it.reason {
        Some(reason) => format!("{reason} ({})", listed(&it.changes)),
        None => format!("{} runs already", what(it)),
    }
}

fn because(it: &DeploymentRecord) -> String {
    it.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn cause(it: &DeploymentRecord) -> String {
    it.cause.map(|cause| format!(", {}", cause.as_str())).unwrap_or_default()
}

fn back_to(it: &DeploymentRecord) -> String {
    it.previous_definition.as_ref().map(|id| format!(" to {id}")).unwrap_or_default()
}

fn for_events(it: &DeploymentRecord) -> String {
    match it.triggers.len() {
        0 | 1 => String::new(),
        several => format!(" for {several} events"),
    }
}

fn listed(changes: &[String]) -> String {
    /// What one line can name before nobody reads on.
    const NAMED: usize = 3;
    let named = changes.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match changes.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl LogLine {
    fn new(level: Level, message: impl AsRef<str>, Fields(fields): Fields) -> Self {
        /// CloudWatch takes 256 KB; people read a line or two.
        const LONGEST: usize = 1_000;
        Self { level, message: one_line(message.as_ref(), LONGEST).into_owned(), fields }
    }
}

/// Fields as they gather; what is absent is left out.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn of_request(name: &TargetName, origin: &Origin) -> Self {
        Self::default()
            .text("service", name)
            .text("event_id", &origin.event_id)
            .text("event_type", origin.kind.as_str())
    }

    fn of_service(name: &TargetName) -> Self {
        Self::default().text("service", name)
    }

    fn of_deployment(it: &DeploymentRecord) -> Self {
        Self::default()
            .text("service", &it.name)
            .text("deployment_id", &it.id)
            .maybe("task_definition", it.definition.as_ref())
            .maybe("event_id", distinct(it, |origin| origin.event_id.as_str()))
            .maybe("event_type", distinct(it, |origin| origin.kind.as_str()))
            .count("attempt", it.attempts)
    }

    fn of_end(it: &DeploymentRecord) -> Self {
        let error = it.reason.as_ref().filter(|_| it.outcome.is_some_and(Outcome::is_failure));
        Self::of_deployment(it)
            .maybe("outcome", it.outcome.map(Outcome::as_str))
            .maybe("cause", it.cause.map(Cause::as_str))
            .maybe("error", error)
            .maybe("log_url", it.evidence.stopped_tasks.iter().find_map(|task| task.log_url.as_ref()))
    }

    fn text(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        /// The same bound for every field: a reason that fills a page is cut, not dropped.
        const LONGEST: usize = 2_000;
        self.0.push((name, Value::Text(one_line(&value.to_string(), LONGEST).into_owned())));
        self
    }

    fn maybe(self, name: &'static str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    fn count(mut self, name: &'static str, value: u32) -> Self {
        self.0.push((name, Value::Count(value.into())));
        self
    }
}

/// What the triggers of a deployment have in common or name between them, each once, in their order.
fn distinct<'a>(it: &'a DeploymentRecord, part: impl Fn(&'a Origin) -> &'a str) -> Option<String> {
    /// More than one `terraform apply` merges; a thousand ids would drown the line.
    const NAMED: usize = 20;
    let mut seen: Vec<&str> = Vec::new();
    for text in it.triggers.iter().map(|origin| part(origin)) {
        if !seen.contains(&text) && seen.len() < NAMED {
            seen.push(text);
        }
    }
    (!seen.is_empty()).then(|| seen.join(","))
}

/// Words of events reach terminals and logs: without what breaks a line, moves a cursor or turns the direction of
/// writing, and no longer than `longest` characters.
fn one_line(text: &str, longest: usize) -> Cow<'_, str> {
    let unfit = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.len() <= longest && !text.contains(unfit) {
        return Cow::Borrowed(text);
    }
    let mut cut: String = text.chars().take(longest).map(|c| if unfit(c) { ' ' } else { c }).collect();
    if text.chars().nth(longest).is_some() {
        cut.push('…');
    }
    Cow::Owned(cut)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests;
