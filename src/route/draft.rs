//! What follows from one event, while it is being found out.

use std::sync::Arc;

use super::{Arrival, Note, Routing, Target, words::one_line};
use crate::domain::{
    Cancellation, Change, Decision, DeploymentId, Event, EventId, HoldDecision, HoldRequest, HoldVerb,
    Origin, RECONCILE_SOURCE, Request, TargetId, TargetSettings,
};

/// The answer in the making.
pub(super) struct Draft<'a> {
    pub(super) event: &'a Event,
    arrival: &'a Arrival,
    routing: Routing,
}

impl<'a> Draft<'a> {
    pub(super) fn new(event: &'a Event, arrival: &'a Arrival) -> Self {
        Self { event, arrival, routing: Routing::default() }
    }

    pub(super) fn finish(self) -> Routing {
        self.routing
    }

    /// Asks of each target that the event reaches what `judge` makes of it, because of what `why` says; notes why
    /// there is nothing to ask, of a target or at all.
    pub(super) fn ask(
        &mut self,
        reached: Result<Vec<Target>, String>,
        why: impl FnOnce() -> String,
        judge: impl Fn(&TargetSettings) -> Result<Change, String>,
    ) {
        let targets = match reached {
            Ok(targets) => self.confined(targets),
            Err(reason) => return self.note(&reason),
        };
        if targets.is_empty() {
            return self.note("it no longer reaches the targets that it was kept for");
        }
        let origin = self.origin(&self.because(&why()));
        for target in targets {
            let name = &target.settings.name;
            let refused = target.refused.as_ref().map(|why| format!("{name} is not deployed: {why}"));
            match refused.map_or_else(|| judge(&target.settings), Err) {
                Ok(change) => self.routing.requests.push(self.request(target, change, &origin)),
                Err(reason) => self
                    .routing
                    .notes
                    .push(Note { target: Some(target.settings.name.clone()), reason: one_line(&reason) }),
            }
        }
    }

    /// Decides this about each of these targets.
    pub(super) fn hold(&mut self, targets: Vec<Target>, verb: HoldVerb, by: &Decision) {
        let targets = self.confined(targets);
        if targets.is_empty() {
            return self.note("it reaches no target");
        }
        let verbed = match verb {
            HoldVerb::Pause => "paused",
            HoldVerb::Hold => "held",
            HoldVerb::Resume => "resumed",
        };
        let origin = self.origin(&said(verbed, by));
        let Decision { by, reason, .. } = by.clone();
        let decision = HoldDecision { verb, version: self.arrival.version, by, reason };
        let request = |target: Target| HoldRequest {
            target: target.id,
            settings: target.settings,
            decision: decision.clone(),
            origin: Arc::clone(&origin),
        };
        self.routing.holds.extend(targets.into_iter().map(request));
    }

    /// Gives up a deployment.
    pub(super) fn cancel(
        &mut self,
        deployment: DeploymentId,
        target: Option<TargetId>,
        events: &[EventId],
        by: &Decision,
    ) {
        let origin = self.origin(&said("cancelled", by));
        let (events, at) = (events.iter().cloned().collect(), self.arrival.version);
        self.routing.cancellation = Some(Cancellation { deployment, target, events, at, origin });
    }

    /// Says that these targets are worth a look.
    pub(super) fn hint(&mut self, targets: Vec<TargetId>) {
        self.routing.hints = targets;
    }

    /// Says that ECS told of services which nobody knows.
    pub(super) fn strangers(&mut self, services: impl IntoIterator<Item = TargetId>) {
        self.routing.strangers.extend(services);
    }

    /// Says why nothing follows from the event.
    pub(super) fn note(&mut self, reason: &str) {
        self.routing.notes.push(Note { target: None, reason: one_line(reason) });
    }

    /// Says why the event asks for something that cannot be carried out as it is.
    pub(super) fn unclear(&mut self, reason: &str) {
        self.note(reason);
        self.routing.unclear = true;
    }

    fn origin(&self, reason: &str) -> Arc<Origin> {
        let Event { id, trigger, metadata, .. } = self.event;
        Arc::new(Origin {
            kind: trigger.kind(),
            event_id: id.clone(),
            reason: one_line(reason),
            by: trigger.by().cloned(),
            replayed_by: None,
            metadata: metadata.clone(),
        })
    }

    /// Why, also of a change that we put on the queue ourselves. Whether its own event was lost is not known: what it asked for
    /// may have been run dry, or have failed before anything was begun.
    fn because(&self, why: &str) -> String {
        if &*self.event.source == RECONCILE_SOURCE {
            format!("{why} at {}, and no rollout had brought it", self.event.time)
        } else {
            why.to_owned()
        }
    }

    /// Of these targets those that the message was kept for.
    pub(super) fn confined(&self, mut targets: Vec<Target>) -> Vec<Target> {
        if let Some(left) = &self.arrival.confined_to {
            targets.retain(|target| left.contains(&target.id));
        }
        targets
    }

    fn request(&self, target: Target, change: Change, origin: &Arc<Origin>) -> Request {
        Request {
            target: target.id,
            change,
            version: self.arrival.version,
            floor: self.arrival.floor,
            settings: target.settings,
            guessed: target.guessed,
            origin: origin.clone(),
        }
    }
}

fn said(verbed: &str, Decision { by, reason, .. }: &Decision) -> String {
    let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{verbed}{by}{reason}")
}
