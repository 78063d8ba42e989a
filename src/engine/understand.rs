//! A message to what it asks for: decoded, checked for its account, and routed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tracing::{debug, info, warn};

use super::{
    Engine,
    held::HeldMessages,
    renewal::{self, Counted},
};
use crate::{
    aws::queue::RawMessage,
    decode,
    domain::{
        Beside, DECISION_SOURCE, Event, MessageId, Moment, NotATargetId, Place, REQUEST_SOURCE, Request,
        RolloutHint, StoredNotice, TargetId, TargetName, Timestamp, Trigger, TriggerKind,
        letter::{self, Said},
    },
    plan,
    report::channel::LONGEST_TRY,
    route,
};

/// What a message asks for.
pub(super) struct Understood {
    pub(super) arrival: plan::Arrival,
    /// Targets whose rollout moved.
    pub(super) hints: Vec<TargetId>,
    /// Services that may be other than what was read of them.
    pub(super) moved: Vec<TargetId>,
    /// What an event that asks for nothing is a sign of, and where it happened.
    pub(super) beside: Option<(Beside, Place)>,
    /// What ECS told of our targets.
    pub(super) stirs: Vec<Stir>,
    /// A notice of our own that is still to be delivered.
    pub(super) untold: Option<Untold>,
}

/// A notice of our own, as a message brought it.
pub(super) struct Untold {
    pub(super) message: MessageId,
    pub(super) notice: StoredNotice,
    /// For how long it is tried still.
    pub(super) left: Duration,
}

/// What ECS told of a target.
pub(super) struct Stir {
    pub(super) target: TargetId,
    pub(super) name: TargetName,
    pub(super) hint: RolloutHint,
    pub(super) at: Timestamp,
}

/// How a message was put back that had been set aside.
struct PutBack {
    /// By whom, where that is known.
    by: Option<Arc<str>>,
    is_forced: bool,
}

/// What follows from an event.
#[derive(Default)]
struct Meaning {
    asks: Option<plan::Asks>,
    hints: Vec<TargetId>,
    moved: Vec<TargetId>,
    stirs: Vec<Stir>,
}

/// The attribute of a message with this name does not name targets.
#[derive(Debug, thiserror::Error)]
#[error("the attribute {0} is wrong: {1}")]
pub(crate) struct WrongAttribute(&'static str, NotATargetId);

/// Understands one message, and takes hold of it. Services of these places could not be read.
pub(super) fn understand(
    engine: &Engine,
    message: RawMessage,
    expires: Moment,
    held: &mut HeldMessages,
    unread: &[Place],
) -> Understood {
    let mut event = decode::decode(message.body.as_bytes(), message.sent_at);
    told_in_detail(&event, &message.body);
    let beside = beside(engine, &event, message.body.as_bytes());
    let said = Said::read(&message.attributes);
    let is_copy = renewal::read(&message.attributes).is_some();
    let is_replay = !is_copy && said.version(message.sent_at).is_some();
    let is_forced = said.is_forced();
    let replayed_by = said.by.as_deref().filter(|_| is_copy || is_replay).map(Arc::from);
    let refused = engine.people.refuse(&event, &message);
    if let Some(reason) = &refused {
        event.trigger = Trigger::Ignored(reason.clone());
    }
    if !is_replay {
        engine.publisher.decided(engine.clock.wall().since(event.time));
    }
    let (untold, beside) = untold(engine, refused.is_none(), &message, beside);
    let asked = when_asked(event.time, message.sent_at, &message.attributes);
    let counted = match &asked {
        Ok(arrival) => Counted { version: arrival.version, floor: arrival.floor },
        Err(_) => Counted { version: message.sent_at, floor: message.sent_at },
    };
    let Meaning { asks, hints, moved, stirs } = match asked {
        // It was ours once: somebody put it back with credentials of their own.
        Ok(route::Arrival { version, .. }) if is_replay && refused.is_some() => {
            let reason = refused.unwrap_or_default();
            warn!(event_id = %event.id, error = reason, "message set aside again");
            Meaning::asking(plan::Asks::Unknown { reason, version })
        }
        Ok(arrival) => {
            let put_back = PutBack { by: replayed_by.clone(), is_forced };
            meaning(engine, &event, &arrival, put_back, unread)
        }
        Err(wrong) => {
            let reason = wrong.to_string();
            warn!(event_id = %event.id, error = reason, "message not understood");
            Meaning::asking(plan::Asks::Unknown { reason, version: message.sent_at })
        }
    };
    let asks = if untold.is_some() { plan::Asks::Notice } else { asks.unwrap_or(plan::Asks::Nothing) };
    let message_id = message.message_id.clone();
    let is_again = message.receive_count > 1;
    let lease = held.hold(message, event.id.clone(), event.trigger.kind(), counted, is_replay, replayed_by);
    let arrival = plan::Arrival { lease, message: message_id, event: event.id, expires, is_again, asks };
    Understood { arrival, hints, moved, beside, stirs, untold }
}

/// What is known of an event, and what its fields are called. Values are not told: whoever sends an event may put a
/// secret into any field of it, and call that as they like.
fn told_in_detail(event: &Event, body: &str) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    debug!(
        event_id = %event.id,
        event_type = event.trigger.kind().as_str(),
        source = &*event.source,
        detail_type = &*event.detail_type,
        account = event.account.as_ref().map(ToString::to_string),
        region = event.region.as_ref().map(ToString::to_string),
        time = %event.time,
        body_bytes = body.len(),
        detail_fields = decode::keys(body.as_bytes()).join(","),
        "event received"
    );
}

/// Only what is ignored can be one, and only of an account whose events are taken.
fn beside(engine: &Engine, event: &Event, body: &[u8]) -> Option<(Beside, Place)> {
    let (account, region) = engine.routes.home();
    let (account, region) =
        (event.account.clone().unwrap_or(account), event.region.clone().unwrap_or(region));
    let is_ignored = event.trigger.kind() == TriggerKind::Ignored;
    let place = Place { account, region };
    let beside = (is_ignored && engine.accounts.contains(&place.account)).then(|| decode::beside(body));
    Some((beside.flatten()?, place))
}

/// A notice counts only where we put it on the queue. It is tried for so long from then on, and once at least.
fn untold(
    engine: &Engine,
    is_ours: bool,
    message: &RawMessage,
    beside: Option<(Beside, Place)>,
) -> (Option<Untold>, Option<(Beside, Place)>) {
    match beside {
        Some((Beside::Untold(notice), _)) => {
            let age = engine.clock.wall().since(message.sent_at);
            let left = LONGEST_TRY.saturating_sub(age);
            let untold = Untold { message: message.message_id.clone(), notice: *notice, left };
            (is_ours.then_some(untold), None)
        }
        beside => (None, beside),
    }
}

/// The order of a request is that of its event. A message that was set aside and put back keeps its order unless it
/// is forced, gets a new floor, and reaches only the target for which it failed. A copy of one that was held for long
/// keeps both.
///
/// # Errors
/// If the targets that it is confined to cannot be read.
pub(crate) fn when_asked(
    event_time: Timestamp,
    sent_at: Timestamp,
    attributes: &BTreeMap<String, String>,
) -> Result<route::Arrival, WrongAttribute> {
    let wrong = |name| move |wrong| WrongAttribute(name, wrong);
    if let Some(renewed) = renewal::read(attributes) {
        let Counted { version, floor } = renewed.counted;
        let confined_to = renewed.targets.transpose().map_err(wrong(renewal::name::TARGETS))?;
        let (version, floor) = (version.min(sent_at), floor.min(sent_at));
        return Ok(route::Arrival { version, floor, confined_to });
    }
    let said = Said::read(attributes);
    let Some(version) = said.version(sent_at) else {
        let asked = event_time.min(sent_at);
        return Ok(route::Arrival { version: asked, floor: asked, confined_to: None });
    };
    let target = said.target.transpose().map_err(wrong(letter::name::TARGET))?;
    Ok(route::Arrival { version, floor: sent_at, confined_to: target.map(|target| BTreeSet::from([target])) })
}

impl Meaning {
    fn asking(asks: plan::Asks) -> Self {
        Self { asks: Some(asks), ..Self::default() }
    }
}

fn meaning(
    engine: &Engine,
    event: &Event,
    arrival: &route::Arrival,
    put_back: PutBack,
    unread: &[Place],
) -> Meaning {
    let kind = event.trigger.kind().as_str();
    match &event.trigger {
        Trigger::Malformed(reason) => {
            warn!(event_id = %event.id, event_type = kind, error = reason, "message not understood");
            let version: Timestamp = arrival.version;
            return Meaning::asking(plan::Asks::Unknown { reason: reason.clone(), version });
        }
        Trigger::Ignored(reason) => {
            let what = format!("event ignored ({}, {}): {reason}", event.source, event.detail_type);
            match &*event.source {
                // ECS tells of every step of every task.
                "aws.ecs" => debug!(event_id = %event.id, event_type = kind, "{what}"),
                DECISION_SOURCE | REQUEST_SOURCE => warn!(event_id = %event.id, event_type = kind, "{what}"),
                _ => info!(event_id = %event.id, event_type = kind, "{what}"),
            }
            return Meaning::default();
        }
        _ => {}
    }
    if let Some(account) = event.account.as_ref().filter(|account| !engine.accounts.contains(account)) {
        warn!(event_id = %event.id, event_type = kind, "event refused: account {account} is not allowed");
        return Meaning::default();
    }
    let mut routing = engine.routes.route(event, arrival);
    if put_back.is_forced {
        routing.requests.iter_mut().for_each(|request| request.change.free_of_policy());
    }
    if let Some(by) = put_back.by {
        name_who(&mut routing.requests, &by);
    }
    for note in &routing.notes {
        let service = note.target.as_ref().map(ToString::to_string);
        let what = format!("{kind} asks nothing here: {}", note.reason);
        match event.trigger.kind() {
            // Somebody waits for what comes of it.
            TriggerKind::DeployRequested | TriggerKind::ImageReady | TriggerKind::Decision => {
                warn!(event_id = %event.id, event_type = kind, service, "{what}");
            }
            TriggerKind::RolloutChanged | TriggerKind::TaskStopped | TriggerKind::HookWaiting => {
                debug!(event_id = %event.id, event_type = kind, service, "{what}");
            }
            _ => info!(event_id = %event.id, event_type = kind, service, "{what}"),
        }
    }
    let asks = match may_be_for(event, unread) {
        _ if routing.unclear => {
            let reason = routing.notes.first().map(|note| note.reason.clone()).unwrap_or_default();
            warn!(event_id = %event.id, event_type = kind, error = reason, "message set aside");
            plan::Asks::Unknown { reason, version: arrival.version }
        }
        Some(place) if routing.asks_nothing() => {
            let reason = format!("no target was found, and the services of {place} could not be read");
            warn!(event_id = %event.id, event_type = kind, error = reason, "message set aside");
            plan::Asks::Unknown { reason, version: arrival.version }
        }
        _ => plan::Asks::of(routing.requests, routing.holds, routing.cancellation),
    };
    // A task that stops is no sign that a known service is another one.
    let known = routing.hints.iter().filter(|_| event.trigger.kind() == TriggerKind::RolloutChanged);
    let moved = known.chain(&routing.strangers).cloned().collect();
    let stirs = routing.hints.iter().filter_map(|target| stir(engine, event, target)).collect();
    Meaning { asks: Some(asks), hints: routing.hints, moved, stirs }
}

/// Says of what is asked who put it back.
fn name_who(requests: &mut [Request], by: &Arc<str>) {
    for request in requests {
        request.origin = Arc::new((*request.origin).clone().replayed(Arc::clone(by)));
    }
}

fn stir(engine: &Engine, event: &Event, target: &TargetId) -> Option<Stir> {
    let Trigger::RolloutChanged(hint) = &event.trigger else { return None };
    let name = engine.routes.settings_of(target).map(|(settings, _)| settings.name.clone());
    let name = name.unwrap_or_else(|| target.service().as_str().into());
    Some(Stir { target: target.clone(), name, hint: hint.clone(), at: event.time })
}

/// The first of these places in which there may be a target of this event.
fn may_be_for<'a>(event: &Event, unread: &'a [Place]) -> Option<&'a Place> {
    let is_there = |place: &&Place| {
        event.account.as_ref().is_none_or(|it| *it == place.account)
            && event.region.as_ref().is_none_or(|it| *it == place.region)
    };
    match event.trigger.kind() {
        TriggerKind::ParameterChanged | TriggerKind::SecretChanged => unread.iter().find(is_there),
        // An image may be pulled from everywhere, and a file read; a request names no place.
        TriggerKind::ImagePushed
        | TriggerKind::ImageReplicated
        | TriggerKind::EnvFileChanged
        | TriggerKind::ImageReady
        | TriggerKind::DeployRequested
        | TriggerKind::Decision => unread.first(),
        TriggerKind::ImageScanned
        | TriggerKind::RolloutChanged
        | TriggerKind::TaskStopped
        | TriggerKind::HookWaiting
        | TriggerKind::Ignored
        | TriggerKind::Malformed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeployRequest, Write};

    fn place(account: &str, region: &str) -> Place {
        Place { account: account.into(), region: region.into() }
    }

    fn event(account: Option<&str>, trigger: Trigger) -> Event {
        Event {
            id: "e".into(),
            source: "s".into(),
            detail_type: "t".into(),
            account: account.map(Into::into),
            region: Some("eu-west-1".into()),
            time: Timestamp::default(),
            replay: None,
            metadata: None,
            trigger,
        }
    }

    #[test]
    fn a_parameter_may_be_for_services_where_it_is_read_and_a_file_for_services_anywhere() {
        let unread = [place("1", "us-east-2"), place("2", "eu-west-1")];
        let parameter = || Trigger::ParameterChanged { name: "/a".into(), change: Write::Updated };
        let file = Trigger::EnvFileChanged { bucket: "b".into(), key: "k".into(), change: Write::Updated };
        for (account, trigger, found) in [
            (Some("1"), parameter(), None),
            (Some("2"), parameter(), Some(&unread[1])),
            (None, parameter(), Some(&unread[1])),
            (Some("1"), file, Some(&unread[0])),
            (Some("1"), Trigger::DeployRequested(DeployRequest::default()), Some(&unread[0])),
            (Some("2"), Trigger::Ignored("nothing".into()), None),
        ] {
            let event = event(account, trigger);
            assert_eq!(may_be_for(&event, &unread), found, "{event:?}");
            assert_eq!(may_be_for(&event, &[]), None);
        }
    }
}
