//! A deployment's record and steps to spans.
//!
//! The root is the whole deployment; below it the parts follow one another, each from the end of the one before it:
//! `delivery` (from the event until it was received), `waiting` (for other requests, for the lane, for the budget, before the
//! next attempt), `definition` (registering it, asking for the rollout), `rollout`, `rollback`. Several attempts have
//! several of each. What happened within a part stands in it as events.

use sha2::{Digest as _, Sha256};

use super::attributes::{Attributes, attributes, message, of_task, of_trigger, short};
use crate::{
    domain::{DeploymentRecord, Origin, Outcome, Timestamp, TraceParent},
    report::steps::{Step, StepKind},
};

/// The spans of one deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Made of the deployment's id: the first half of its SHA-256.
    pub id: [u8; 16],
    /// The whole deployment first, then its parts in their order.
    pub spans: Vec<Span>,
}

/// One span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its id.
    pub id: [u8; 8],
    /// The span that it is a part of.
    pub parent: Option<[u8; 8]>,
    /// Its name, one of few.
    pub name: &'static str,
    /// When it began.
    pub begin: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known of it.
    pub attributes: Attributes,
    /// What happened within it.
    pub events: Vec<Happening>,
    /// The spans elsewhere in which it was asked for.
    pub links: Vec<TraceParent>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// Its name, one of few.
    pub name: &'static str,
    /// What is known of it.
    pub attributes: Attributes,
}

const DEPLOYMENT: &str = "deployment";
/// The spans of a deployment that has ended, whose steps are these.
pub fn trace(record: &DeploymentRecord, steps: &[Step]) -> Trace {
    let steps = of_this_end(steps);
    let begin = record.requested_at;
    let told = record.finished_at.or_else(|| steps.last().map(|step| step.at));
    let end = told.unwrap_or(begin).max(begin);
    let id = |number: usize| span_id(record, end, number);
    let root = Span {
        id: id(0),
        parent: None,
        name: DEPLOYMENT,
        begin,
        end,
        attributes: attributes(record),
        events: triggers(record, steps, end),
        links: links(record),
        failure: failure(record),
    };
    let parts = parts(record, steps, end).into_iter().zip(1..).map(|(part, number)| Span {
        id: id(number),
        parent: Some(root.id),
        name: part.kind.name(),
        begin: part.begin,
        end: part.end,
        attributes: Vec::new(),
        events: part.events,
        links: Vec::new(),
        failure: part.failure,
    });
    let spans = [root.clone()].into_iter().chain(parts).collect();
    Trace { id: first(&Sha256::digest(record.id.as_str())), spans }
}

/// What a deployment goes through, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Delivery,
    Waiting,
    Definition,
    Rollout,
    Rollback,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Waiting => "waiting",
            Self::Definition => "definition",
            Self::Rollout => "rollout",
            Self::Rollback => "rollback",
        }
    }
}

struct Part {
    kind: Kind,
    begin: Timestamp,
    end: Timestamp,
    events: Vec<Happening>,
    failure: Option<String>,
}

impl Part {
    fn begun(kind: Kind, begin: Timestamp) -> Self {
        Self { kind, begin, end: begin, events: Vec::new(), failure: None }
    }

    /// Of no time, and without a word: where nothing was waited for.
    fn is_nothing(&self) -> bool {
        matches!(self.kind, Kind::Delivery | Kind::Waiting)
            && self.begin == self.end
            && self.events.is_empty()
    }
}

/// The parts, as they follow one another.
struct Walk {
    done: Vec<Part>,
    open: Part,
    end: Timestamp,
}

impl Walk {
    /// The open part ends, and another one begins.
    fn go_on(&mut self, kind: Kind, at: Timestamp, failure: Option<String>) {
        let at = at.clamp(self.open.begin, self.end);
        let mut ended = std::mem::replace(&mut self.open, Part::begun(kind, at));
        (ended.end, ended.failure) = (at, failure);
        self.done.extend((!ended.is_nothing()).then_some(ended));
    }

    fn note(&mut self, name: &'static str, step: &Step) {
        let at = step.at.clamp(self.open.begin, self.end);
        self.open.events.push(Happening { at, name, attributes: message(&step.says) });
    }

    /// A part begins, or goes on if it is open already: the same is told again when more is known of it.
    fn reach(&mut self, kind: Kind, step: &Step, failure: Option<String>) {
        if self.open.kind != kind {
            self.go_on(kind, step.at, failure);
        }
    }

    fn take(&mut self, step: &Step, record: &DeploymentRecord) {
        match step.kind {
            StepKind::Joined if self.open.kind == Kind::Delivery => self.go_on(Kind::Waiting, step.at, None),
            StepKind::Joined | StepKind::Ended => {}
            StepKind::Waits => self.note("waiting", step),
            StepKind::Starts => self.reach(Kind::Definition, step, None),
            StepKind::Registered => self.note("registered", step),
            StepKind::RollsOut => self.reach(Kind::Rollout, step, None),
            StepKind::Tasks => self.note("tasks", step),
            StepKind::TriesAgain => self.go_on(Kind::Waiting, step.at, Some(short(&step.says))),
            StepKind::RollsBack => self.reach(Kind::Rollback, step, failure_of(self.open.kind, record)),
        }
    }
}

/// A deployment that is told again, as after a redelivery, went since through what stands behind its first end.
fn of_this_end(steps: &[Step]) -> &[Step] {
    let before = steps.split_last().map_or(&[][..], |(_, before)| before);
    let ended = before.iter().rposition(|step| step.kind == StepKind::Ended);
    &steps[ended.map_or(0, |at| at + 1)..]
}

fn parts(record: &DeploymentRecord, steps: &[Step], end: Timestamp) -> Vec<Part> {
    let taken_over = record.adopted.and(record.started_at);
    // Where it was not seen that it was received, or not for the first time, it waited.
    let was_received = steps.first().is_some_and(|step| step.kind == StepKind::Joined);
    let first = if was_received && taken_over.is_none() { Kind::Delivery } else { Kind::Waiting };
    let mut walk = Walk { done: Vec::new(), open: Part::begun(first, record.requested_at), end };
    if let Some(began) = taken_over {
        walk.go_on(Kind::Rollout, began, None);
    }
    for step in steps {
        walk.take(step, record);
    }
    let failure = failure_of(walk.open.kind, record);
    walk.go_on(Kind::Waiting, end, failure);
    show_evidence(record, &mut walk.done);
    walk.done
}

/// Why a part failed, at the end or because what was before is put back: that fails by itself only where it is not back.
fn failure_of(kind: Kind, record: &DeploymentRecord) -> Option<String> {
    let is_back = kind == Kind::Rollback && record.outcome == Some(Outcome::RolledBack);
    failure(record).filter(|_| !is_back)
}

/// Why the whole failed, if it did.
fn failure(record: &DeploymentRecord) -> Option<String> {
    record.outcome?.is_failure().then_some(())?;
    let cause = record.cause.map(|cause| cause.as_str().to_owned());
    let parts: Vec<String> = cause.into_iter().chain(record.reason.clone()).collect();
    Some(short(&parts.join(": ")))
}

/// What was seen of a failure stands where it happened: in the last rollout, or else in the last part. When each task
/// stopped is not known, other than that it was before the end of that.
fn show_evidence(record: &DeploymentRecord, parts: &mut [Part]) {
    let of_rollout = parts.iter().rposition(|part| part.kind == Kind::Rollout);
    let at = of_rollout.or_else(|| parts.len().checked_sub(1));
    let Some(part) = at.and_then(|at| parts.get_mut(at)) else { return };
    let tasks = record.evidence.stopped_tasks.iter().map(|task| ("task stopped", of_task(task)));
    let events = record.evidence.service_events.iter().map(|said| ("service event", message(said)));
    let at = part.end;
    part.events.extend(tasks.chain(events).map(|(name, attributes)| Happening { at, name, attributes }));
}

/// The requests that it carries, each when it joined, as far as that was seen.
fn triggers(record: &DeploymentRecord, steps: &[Step], end: Timestamp) -> Vec<Happening> {
    let joined = |origin: &Origin| {
        let words = format!(", because {}", origin.reason);
        let is_its = |step: &&Step| step.kind == StepKind::Joined && step.says.ends_with(&words);
        steps.iter().find(is_its).map_or(record.requested_at, |step| step.at)
    };
    let happened = |origin: &Origin| Happening {
        at: joined(origin).clamp(record.requested_at, end),
        name: "trigger",
        attributes: of_trigger(origin),
    };
    record.triggers.iter().map(|origin| happened(origin)).collect()
}

/// Each once, though two tags of one push may name it both.
fn links(record: &DeploymentRecord) -> Vec<TraceParent> {
    let mut links = Vec::new();
    for metadata in record.triggers.iter().filter_map(|origin| origin.metadata.as_ref()) {
        let link = metadata.traceparent.as_deref().and_then(TraceParent::parse);
        links.extend(link.filter(|link| !links.contains(link)));
    }
    links
}

/// A deployment that is told twice, as after a redelivery, has one trace, but no two spans of one id.
fn span_id(record: &DeploymentRecord, end: Timestamp, number: usize) -> [u8; 8] {
    first(&Sha256::digest(format!("{} {} {number}", record.id, end.as_millis())))
}

fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| digest[at])
}
