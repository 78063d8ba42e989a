//! Secrets of Secrets Manager, which tells of them itself when a label moves, and through CloudTrail.
//!
//! Tasks read the version staged `AWSCURRENT` when they start, so what moves that stage is a change, and what does
//! not is none. CloudTrail leaves the value itself out, so an `UpdateSecret` that changed only a description looks
//! like one that changed the value: it counts as a change, because a restart too many is cheaper than a stale secret.

use std::borrow::Cow;

use super::{
    Reading, Reason,
    cloudtrail::{self, Call},
    envelope::Envelope,
    json::{Field, quoted},
    unknown,
};
use crate::domain::{Trigger, Write};

const CURRENT: &str = "AWSCURRENT";
/// What Secrets Manager itself tells, whether or not there is a trail: a label moved to another version.
const LABEL_UPDATED: &str = "Secret Label Updated";

/// What an event of Secrets Manager means.
pub(super) fn read(envelope: &Envelope) -> Reading {
    match &*envelope.detail_type {
        LABEL_UPDATED => label_updated(envelope),
        cloudtrail::API_CALL => match cloudtrail::call(envelope)? {
            Ok(call) => api_call(&call),
            Err(reason) => Ok(Trigger::Ignored(reason)),
        },
        cloudtrail::SERVICE_EVENT => match cloudtrail::call(envelope)? {
            Ok(event) => service_event(&event),
            Err(reason) => Ok(Trigger::Ignored(reason)),
        },
        _ => Ok(unknown(envelope)),
    }
}

/// Its `detail` is `{name, labelUpdated, versionId}`, and the secret's ARN stands among the resources. It is sent for
/// each label but `AWSPENDING` and `AWSPREVIOUS`; a rule for one label lets a list with that label through, too.
fn label_updated(envelope: &Envelope) -> Reading {
    let [name, labels] = envelope.detail()?.pick(["name", "labelUpdated"])?;
    let labels = match labels.raw() {
        Some(raw) if raw.starts_with('[') => {
            labels.items()?.into_iter().map(Field::filled).collect::<Result<Vec<_>, Reason>>()?
        }
        _ => vec![labels.filled()?],
    };
    if !labels.iter().any(|label| label == CURRENT) {
        let labels = quoted(&labels.join(", "));
        return Ok(Trigger::Ignored(format!(
            "the label {labels} was moved, not {CURRENT}: no task reads it"
        )));
    }
    let arn = || envelope.resources().ok()?.into_iter().find(|arn| arn.contains(":secret:"));
    let secret = if name.is_present() { name.filled()? } else { arn().map_or_else(|| name.filled(), Ok)? };
    Ok(Trigger::SecretChanged { secret: (&*secret).into(), change: Write::Updated })
}

fn api_call(call: &Call) -> Reading {
    match &*call.name {
        "PutSecretValue" => put_value(call.parameters),
        "UpdateSecretVersionStage" => move_stage(call.parameters),
        "UpdateSecret" | "RestoreSecret" => changed(call.parameters, "secretId", Write::Updated),
        "CreateSecret" => changed(call.parameters, "name", Write::Created),
        "DeleteSecret" => changed(call.parameters, "secretId", Write::Deleted),
        "ReplicateSecretToRegions" => {
            Ok(Trigger::Ignored("a secret was replicated to other Regions: here nothing has changed".into()))
        }
        other => Ok(Trigger::Ignored(format!("the call {} changes no secret's value", quoted(other)))),
    }
}

fn service_event(event: &Call) -> Reading {
    if event.name != "RotationSucceeded" {
        let name = quoted(&event.name);
        return Ok(Trigger::Ignored(format!("{name} is not the end of a rotation that gave a new value")));
    }
    changed(event.more, "SecretId", Write::Updated)
}

fn put_value(parameters: Field) -> Reading {
    let [stages] = parameters.object()?.pick(["versionStages"])?;
    let stages: Vec<Option<Cow<str>>> =
        stages.items()?.into_iter().map(Field::text).collect::<Result<_, Reason>>()?;
    if stages.is_empty() || stages.iter().flatten().any(|stage| stage == CURRENT) {
        return changed(parameters, "secretId", Write::Updated);
    }
    let named: Vec<&str> = stages.iter().flatten().map(|stage| &**stage).collect();
    Ok(Trigger::Ignored(format!(
        "a value was staged {}, not {CURRENT}: no task reads it yet",
        quoted(&named.join(", "))
    )))
}

fn move_stage(parameters: Field) -> Reading {
    let [stage, to] = parameters.object()?.pick(["versionStage", "moveToVersionId"])?;
    let stage = stage.filled()?;
    match (&*stage, to.is_present()) {
        (CURRENT, true) => changed(parameters, "secretId", Write::Updated),
        (CURRENT, false) => {
            Ok(Trigger::Ignored(format!("{CURRENT} was taken off a version, and moved to none")))
        }
        (other, _) => Ok(Trigger::Ignored(format!("the stage {} was moved, not {CURRENT}", quoted(other)))),
    }
}

fn changed(holder: Field, key: &'static str, change: Write) -> Reading {
    let [secret] = holder.object()?.pick([key])?;
    Ok(Trigger::SecretChanged { secret: (&*secret.filled()?).into(), change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{ignored, malformed, trigger, trigger_with};

    const SOURCE: &str = "aws.secretsmanager";

    fn call(name: &str, parameters: &str) -> String {
        format!(r#"{{"eventName":"{name}","requestParameters":{parameters},"responseElements":null}}"#)
    }

    fn changed(name: &str, parameters: &str) -> (String, Write) {
        match trigger(SOURCE, cloudtrail::API_CALL, &call(name, parameters)) {
            Trigger::SecretChanged { secret, change } => (secret.to_string(), change),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn a_new_current_value_is_a_secret_changed() {
        let updated = ("shop/web".to_owned(), Write::Updated);
        for (name, parameters) in [
            ("PutSecretValue", r#"{"secretId":"shop/web"}"#),
            ("PutSecretValue", r#"{"secretId":"shop/web","versionStages":["X","AWSCURRENT"]}"#),
            (
                "UpdateSecretVersionStage",
                r#"{"secretId":"shop/web","versionStage":"AWSCURRENT","moveToVersionId":"2"}"#,
            ),
            ("UpdateSecret", r#"{"secretId":"shop/web","description":"?"}"#),
            ("RestoreSecret", r#"{"secretId":"shop/web"}"#),
        ] {
            assert_eq!(changed(name, parameters), updated, "{name} {parameters}");
        }
    }

    #[test]
    fn the_current_label_on_another_version_is_a_secret_changed() {
        let arn = "arn:aws:secretsmanager:us-west-2:111122223333:secret:shop/web-a1b2c3";
        let resources = format!(r#","resources":["{arn}"]"#);
        for (detail, secret) in [
            (
                r#"{"name":"shop/web","labelUpdated":"AWSCURRENT","versionId":"a1b2c3d4-5678-90ab-cdef-0123456789ab"}"#,
                "shop/web",
            ),
            (r#"{"name":"shop/web","labelUpdated":["MINE","AWSCURRENT"]}"#, "shop/web"),
            (r#"{"labelUpdated":"AWSCURRENT","versionId":"2"}"#, arn),
        ] {
            let expected = Trigger::SecretChanged { secret: secret.into(), change: Write::Updated };
            assert_eq!(trigger_with(SOURCE, LABEL_UPDATED, detail, &resources), expected, "{detail}");
        }
    }

    #[test]
    fn another_label_on_another_version_is_ignored() {
        let mine = r#"{"name":"shop/web","labelUpdated":"MINE","versionId":"2"}"#;
        assert!(ignored(SOURCE, LABEL_UPDATED, mine).contains("`MINE`"));
    }

    #[test]
    fn a_label_of_no_secret_and_a_secret_without_a_label_are_malformed() {
        assert!(malformed(SOURCE, LABEL_UPDATED, r#"{"labelUpdated":"AWSCURRENT"}"#).contains("name"));
        assert!(malformed(SOURCE, LABEL_UPDATED, r#"{"name":"s"}"#).contains("labelUpdated"));
        assert!(
            malformed(SOURCE, LABEL_UPDATED, r#"{"name":"s","labelUpdated":[7]}"#).contains("labelUpdated")
        );
    }

    #[test]
    fn a_secret_comes_and_goes() {
        assert_eq!(changed("CreateSecret", r#"{"name":"shop/web"}"#), ("shop/web".into(), Write::Created));
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/web-AbCdEf";
        assert_eq!(
            changed("DeleteSecret", &format!(r#"{{"secretId":"{arn}"}}"#)),
            (arn.into(), Write::Deleted)
        );
    }

    #[test]
    fn a_value_that_is_only_staged_is_ignored() {
        for (name, parameters, word) in [
            ("PutSecretValue", r#"{"secretId":"s","versionStages":["AWSPENDING"]}"#, "AWSPENDING"),
            (
                "UpdateSecretVersionStage",
                r#"{"secretId":"s","versionStage":"AWSPENDING","moveToVersionId":"2"}"#,
                "AWSPENDING",
            ),
            (
                "UpdateSecretVersionStage",
                r#"{"secretId":"s","versionStage":"AWSCURRENT","removeFromVersionId":"2"}"#,
                "to none",
            ),
            ("ReplicateSecretToRegions", r#"{"secretId":"s"}"#, "replicated"),
            ("TagResource", "null", "TagResource"),
        ] {
            let reason = ignored(SOURCE, cloudtrail::API_CALL, &call(name, parameters));
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn a_call_that_failed_is_ignored() {
        let detail = r#"{"eventName":"PutSecretValue","errorCode":"AccessDenied","requestParameters":null}"#;
        assert!(ignored(SOURCE, cloudtrail::API_CALL, detail).contains("AccessDenied"));
    }

    #[test]
    fn the_end_of_a_rotation_is_a_secret_changed_and_its_beginning_is_not() {
        let event =
            |name: &str| format!(r#"{{"eventName":"{name}","additionalEventData":{{"SecretId":"arn:s"}}}}"#);
        let kind = cloudtrail::SERVICE_EVENT;
        let expected = Trigger::SecretChanged { secret: "arn:s".into(), change: Write::Updated };
        assert_eq!(trigger(SOURCE, kind, &event("RotationSucceeded")), expected);
        assert!(ignored(SOURCE, kind, &event("RotationStarted")).contains("RotationStarted"));
        assert!(ignored(SOURCE, kind, &event("RotationFailed")).contains("RotationFailed"));
    }

    #[test]
    fn a_change_of_no_secret_is_malformed() {
        let kind = cloudtrail::API_CALL;
        assert!(malformed(SOURCE, kind, &call("PutSecretValue", "{}")).contains("secretId"));
        assert!(malformed(SOURCE, kind, &call("PutSecretValue", "null")).contains("requestParameters"));
        assert!(malformed(SOURCE, kind, "{}").contains("eventName"));
    }
}
