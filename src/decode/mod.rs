//! From the bytes of one message to what it means.
//!
//! [`decode`] never fails: what is understood and asks nothing of us is [`Trigger::Ignored`], what is not understood
//! is [`Trigger::Malformed`], each with a reason that says what was found, where, and what would be right. Ignored
//! messages are deleted, malformed ones are set aside with the reason beside them, so the line between the two is
//! who has to act: AWS sends many events that concern nobody, but a deploy request without a service is somebody's
//! mistake, and so is a queue that is fed with something other than events.
//!
//! **Whatever arrives, the cost is bounded.** A body has at most [`MAX_BODY_BYTES`]; it is read by passing over what
//! nobody asks for, never into a tree; its depth is checked before anything follows it; it may be wrapped at most
//! a few times; lists are read as far as they could matter; and whatever a reason quotes is cut and made harmless.
//!
//! **Tolerant where AWS may grow, strict where people may err.** Unknown fields and kinds are passed over. A field
//! that is read has its type checked, and the reason names it. A name that stands twice is refused, because two
//! readers could see two different requests in it. AWS's own names are compared exactly; those of our own kinds
//! without regard to case, because people type them.
//!
//! **What an event means does not depend on when or how it arrives.** Wrappers are taken off first, and the id of an
//! event that has none is made of its own text, so that the same event is the same through SNS and without. Where an
//! event tells no time, the time at which it was sent stands for it. A replay keeps its time, and its name goes along.

mod beside;
mod cloudtrail;
mod decisions;
mod ecr;
mod ecs;
mod envelope;
mod json;
mod keys;
mod metadata;
mod reconcile;
mod requests;
mod rollbacks;
mod s3;
mod secrets;
mod ssm;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use beside::beside;
pub use keys::keys;
pub use metadata::{Checkout, of_run};

use crate::domain::{
    DECISION_SOURCE, Event, NOTICE_SOURCE, RECONCILE_SOURCE, REQUEST_SOURCE, Timestamp, Trigger,
};
use envelope::{Envelope, Opened};
use json::quoted;

/// The largest body that is read, in bytes: what SQS takes at most.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// How deep a body may be nested. EventBridge itself allows more; no event of AWS comes near.
const MAX_DEPTH: usize = 128;

/// How many wrappers may stand around an event: a received message that holds an SNS notification of what a custom
/// bus sent is three.
const MAX_WRAPPERS: usize = 4;

/// What reasons call the outermost text.
const BODY: &str = "the message's body";

/// Why something is malformed or ignored, for people.
type Reason = String;

/// What an event means; an error says why it is malformed.
type Reading = Result<Trigger, Reason>;

/// What the body of one message means. `sent_at` is when SQS first got it.
pub fn decode(body: &[u8], sent_at: Timestamp) -> Event {
    match readable(body) {
        Ok(text) => read(text, BODY, sent_at, MAX_WRAPPERS),
        Err(reason) => nameless(body, sent_at, Trigger::Malformed(reason)),
    }
}

/// The wrappers that [`decode`] takes off this body, the outermost first, as reasons call them.
pub fn wrappers(body: &[u8]) -> Vec<&'static str> {
    let mut found = Vec::new();
    if let Ok(text) = readable(body) {
        unwrap(text, BODY, &mut found);
    }
    found
}

fn unwrap(text: &str, called: &'static str, found: &mut Vec<&'static str>) {
    if let Ok(Opened::Wrapper(inner, called)) =
        shallow(text, called).and_then(|()| envelope::open(text, called))
        && found.len() < MAX_WRAPPERS
    {
        found.push(called);
        unwrap(&inner, called, found);
    }
}

fn readable(body: &[u8]) -> Result<&str, Reason> {
    if body.len() > MAX_BODY_BYTES {
        return Err(format!("the message has {} bytes, and at most {MAX_BODY_BYTES} are read", body.len()));
    }
    let wrong = |at: usize| format!("the message's body is not UTF-8: byte {at} is wrong");
    std::str::from_utf8(body).map_err(|error| wrong(error.valid_up_to()))
}

fn read(text: &str, called: &'static str, sent_at: Timestamp, wrappers: usize) -> Event {
    let opened = shallow(text, called).and_then(|()| envelope::open(text, called));
    let trigger = match opened {
        Ok(Opened::Event(envelope)) => return event(&envelope, text, sent_at),
        Ok(Opened::Wrapper(inner, called)) if wrappers > 0 => {
            return read(&inner, called, sent_at, wrappers - 1);
        }
        Ok(Opened::Wrapper(..)) => {
            Trigger::Malformed(format!("the event is wrapped more than {MAX_WRAPPERS} times"))
        }
        Ok(Opened::Foreign(reason)) => Trigger::Ignored(reason),
        Err(reason) => Trigger::Malformed(reason),
    };
    nameless(text.as_bytes(), sent_at, trigger)
}

fn event(envelope: &Envelope, text: &str, sent_at: Timestamp) -> Event {
    let trigger = trigger(envelope).unwrap_or_else(Trigger::Malformed);
    Event {
        id: envelope.id(text),
        source: envelope::kept(&envelope.source),
        detail_type: envelope::kept(&envelope.detail_type),
        account: envelope.account(),
        region: envelope.region(),
        time: envelope.time(sent_at),
        replay: envelope.replay(),
        metadata: metadata::of(envelope, &trigger).map(Arc::new),
        trigger,
    }
}

/// What has no envelope to speak of.
fn nameless(bytes: &[u8], sent_at: Timestamp, trigger: Trigger) -> Event {
    Event {
        id: envelope::id_of(bytes),
        source: "".into(),
        detail_type: "".into(),
        account: None,
        region: None,
        time: sent_at,
        replay: None,
        metadata: None,
        trigger,
    }
}

fn trigger(envelope: &Envelope) -> Reading {
    envelope.check()?;
    match &*envelope.source {
        "aws.ecr" | "aws.inspector2" => ecr::read(envelope),
        "aws.ssm" => ssm::read(envelope),
        "aws.secretsmanager" => secrets::read(envelope),
        "aws.s3" => s3::read(envelope),
        "aws.ecs" => ecs::read(envelope),
        "aws.codedeploy" => Ok(Trigger::Ignored("no target is deployed by CodeDeploy".into())),
        "aws.events" if envelope.detail_type == "Scheduled Event" => {
            Ok(Trigger::Ignored("a schedule's tick asks nothing of any target".into()))
        }
        source => own(source, envelope),
    }
}

fn own(source: &str, envelope: &Envelope) -> Reading {
    match source.to_ascii_lowercase().as_str() {
        "action.production" | "action.deploy" => requests::deploy(envelope),
        "github.actions" => requests::github(envelope, None),
        REQUEST_SOURCE => requests::own(envelope),
        DECISION_SOURCE => decisions::read(envelope),
        RECONCILE_SOURCE => reconcile::read(envelope),
        NOTICE_SOURCE => {
            Ok(Trigger::Ignored("a notice that is still to be delivered asks nothing of any target".into()))
        }
        other => match other.strip_prefix("github.actions.") {
            // As it was written, not in lower case: the environment's name is shown to people.
            Some(suffix) => requests::github(envelope, Some(&source[source.len() - suffix.len()..])),
            None => Ok(unknown(envelope)),
        },
    }
}

/// An event of a kind that means nothing to us.
fn unknown(envelope: &Envelope) -> Trigger {
    let (kind, source) = (quoted(&envelope.detail_type), quoted(&envelope.source));
    Trigger::Ignored(format!("{kind} from {source} is not a kind of event that asks for anything"))
}

/// Refuses what is nested too deeply before anything follows it down. Few brackets cannot nest deeply, and
/// counting them costs next to nothing.
fn shallow(text: &str, called: &str) -> Result<(), Reason> {
    let opens = |byte: &u8| matches!(byte, b'{' | b'[');
    if text.bytes().filter(opens).count() <= MAX_DEPTH || depth(text) <= MAX_DEPTH {
        return Ok(());
    }
    Err(format!("{called} is nested too deeply: more than {MAX_DEPTH} levels"))
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
