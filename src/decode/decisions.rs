//! What somebody decided about a deployment or a target.

use std::sync::Arc;

use super::{
    Reading, Reason,
    envelope::Envelope,
    json::{Object, quoted},
};
use crate::domain::{Decision, DecisionVerb, Trigger};

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

fn about(verb: DecisionVerb, detail: Object) -> Result<Arc<str>, Reason> {
    let [deployment, target, all] = detail.pick(["deployment_id", "target", "all"])?;
    let everything = all.flag()?.unwrap_or(false);
    let subject = match (deployment.is_present(), target.is_present(), everything) {
        (true, false, false) => deployment,
        (false, true, false) => target,
        (false, false, true) if pauses(verb) => return Ok("all".into()),
        (false, false, true) => return Err(format!("{all} goes with Pause and Resume only")),
        _ => return Err("a decision must name one of `deployment_id`, `target` and `all` in `detail`".into()),
    };
    let text = subject.filled()?;
    match text.trim() {
        "" => Err(format!("{subject} is empty")),
        text => Ok(text.into()),
    }
}

fn pauses(verb: DecisionVerb) -> bool {
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
            ("Pause", DecisionVerb::Pause),
            ("rEsume", DecisionVerb::Resume),
        ] {
            assert_eq!(decided(kind, r#"{"target":"web"}"#).verb, verb);
        }
    }

    #[test]
    fn a_decision_keeps_what_it_is_about_and_who_made_it_and_why() {
        let decision = decided("Approve", r#"{"deployment_id":"d-1","by":"ann","reason":"looks good"}"#);
        assert_eq!(&*decision.about, "d-1");
        assert_eq!((decision.by.as_deref(), decision.reason.as_deref()), (Some("ann"), Some("looks good")));
        assert_eq!(&*decided("Pause", r#"{"all":true}"#).about, "all");
    }

    #[test]
    fn a_decision_is_about_one_thing() {
        for detail in ["{}", r#"{"target":"web","all":true}"#, r#"{"deployment_id":"d","target":"web"}"#] {
            assert!(malformed(SOURCE, "Pause", detail).contains("must name one of"), "{detail}");
        }
        assert!(malformed(SOURCE, "Pause", r#"{"target":" "}"#).contains("is empty"));
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
