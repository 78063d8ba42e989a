//! What somebody decided about a deployment or a target.

use std::sync::Arc;

use super::{
    Reading, Reason,
    envelope::Envelope,
    json::{Field, Object, quoted},
};
use crate::domain::{Decision, DecisionVerb, DeploymentId, EventId, Subject, Trigger};

/// What an event from `lockkeeper.decision` means. One that is unknown is set aside rather than ignored: somebody
/// decided something, and expects it to happen.
pub(super) fn read(envelope: &Envelope) -> Reading {
    let verb = verb(envelope.detail_type.trim()).ok_or_else(|| {
        let kind = quoted(&envelope.detail_type);
        format!("{kind} is no decision: `detail-type` must be Approve, Reject, Cancel, Pause or Resume")
    })?;
    let detail = envelope.detail()?;
    let [by, reason] = detail.pick(["by", "reason"])?;
    let about = about(verb, detail)?;
    Ok(Trigger::Decision(Decision { verb, about, by: by.note()?, reason: reason.note()? }))
}

fn verb(kind: &str) -> Option<DecisionVerb> {
    let verbs = [
        ("approve", DecisionVerb::Approve),
        ("reject", DecisionVerb::Reject),
        ("cancel", DecisionVerb::Cancel),
        ("pause", DecisionVerb::Pause),
        ("resume", DecisionVerb::Resume),
    ];
    verbs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map(|(_, verb)| verb)
}

/// Deployments are approved, rejected and cancelled, targets are paused and resumed.
fn about(verb: DecisionVerb, detail: Object) -> Result<Subject, Reason> {
    let [deployment, target, all, events] = detail.pick(["deployment_id", "target", "all", "events"])?;
    let everything = all.flag()?.unwrap_or(false);
    if !holds(verb) {
        if everything {
            return Err(format!("{all} goes with Pause and Resume only"));
        }
        let target = if target.is_present() { Some(named(target)?) } else { None };
        let id = DeploymentId::from(&*named(deployment)?);
        return Ok(Subject::Deployment { id, target, events: events_of(events)? });
    }
    match (deployment.is_present(), target.is_present(), everything) {
        (false, true, false) => named(target).map(Subject::Target),
        (false, false, true) => Ok(Subject::All),
        _ => Err("a pause or a resume must name either `target` or `all` in `detail`".into()),
    }
}

fn named(field: Field) -> Result<Arc<str>, Reason> {
    match field.filled()?.trim() {
        "" => Err(format!("{field} is empty")),
        text => Ok(text.into()),
    }
}

fn events_of(field: Field) -> Result<Vec<EventId>, Reason> {
    let read = |item: Field| item.filled().map(|text| EventId::from(&*text));
    field.items()?.into_iter().map(read).collect()
}

/// Whether this is about what keeps targets back.
fn holds(verb: DecisionVerb) -> bool {
    match verb {
        DecisionVerb::Pause | DecisionVerb::Resume => true,
        DecisionVerb::Approve | DecisionVerb::Reject | DecisionVerb::Cancel => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{malformed, trigger};

    const SOURCE: &str = "lockkeeper.decision";

    fn decided(kind: &str, detail: &str) -> Decision {
        match trigger(SOURCE, kind, detail) {
            Trigger::Decision(decision) => decision,
            other => panic!("{kind}: {other:?}"),
        }
    }

    #[test]
    fn each_verb_is_understood_in_any_case() {
        for (kind, verb) in [
            ("Approve", DecisionVerb::Approve),
            ("REJECT", DecisionVerb::Reject),
            ("cancel", DecisionVerb::Cancel),
        ] {
            assert_eq!(decided(kind, r#"{"deployment_id":"d-1"}"#).verb, verb);
        }
        for (kind, verb) in [("Pause", DecisionVerb::Pause), ("rEsume", DecisionVerb::Resume)] {
            assert_eq!(decided(kind, r#"{"target":"web"}"#).verb, verb);
        }
    }

    #[test]
    fn a_decision_keeps_what_it_is_about_and_who_made_it_and_why() {
        let decision = decided("Approve", r#"{"deployment_id":"d-1","by":"ann","reason":"looks good"}"#);
        assert_eq!(decision.about.to_string(), "d-1");
        assert_eq!((decision.by.as_deref(), decision.reason.as_deref()), (Some("ann"), Some("looks good")));
        assert_eq!(decided("Pause", r#"{"all":true}"#).about, Subject::All);
        assert_eq!(decided("Pause", r#"{"target":" web "}"#).about, Subject::Target("web".into()));
    }

    #[test]
    fn a_deployment_may_be_named_with_its_target_and_with_what_asked_for_it() {
        let detail = r#"{"deployment_id":"d-1","target":"web","events":["e-1","e-2"]}"#;
        let about = decided("Cancel", detail).about;
        assert_eq!(about.to_string(), "d-1 of web");
        let events = vec!["e-1".into(), "e-2".into()];
        assert_eq!(about, Subject::Deployment { id: "d-1".into(), target: Some("web".into()), events });
        for wrong in [r#""e-1""#, r#"[""]"#, "[7]"] {
            let detail = format!(r#"{{"deployment_id":"d-1","events":{wrong}}}"#);
            assert!(malformed(SOURCE, "Cancel", &detail).contains("`events`"), "{wrong}");
        }
    }

    #[test]
    fn a_decision_is_about_one_thing() {
        for detail in ["{}", r#"{"target":"web","all":true}"#, r#"{"deployment_id":"d","target":"web"}"#] {
            assert!(malformed(SOURCE, "Pause", detail).contains("must name either"), "{detail}");
        }
        assert!(malformed(SOURCE, "Pause", r#"{"target":" "}"#).contains("is empty"));
        assert!(malformed(SOURCE, "Cancel", r#"{"target":"web"}"#).contains("`deployment_id`"));
    }

    #[test]
    fn nobody_approves_everything() {
        assert!(malformed(SOURCE, "Approve", r#"{"all":true}"#).contains("Pause and Resume"));
    }

    #[test]
    fn an_unknown_decision_is_set_aside() {
        assert!(malformed(SOURCE, "Postpone", r#"{"target":"web"}"#).contains("Postpone"));
    }
}
