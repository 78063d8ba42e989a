//! Parameters of the SSM Parameter Store.

use super::{
    Reading,
    envelope::Envelope,
    json::{Object, quoted},
    unknown,
};
use crate::domain::{Trigger, Write};

/// What an event of Systems Manager means.
pub(super) fn read(envelope: &Envelope) -> Reading {
    match &*envelope.detail_type {
        "Parameter Store Change" => change(envelope.detail()?),
        "Parameter Store Policy Action" => {
            Ok(Trigger::Ignored("a parameter's policy acted: its value has not changed".into()))
        }
        _ => Ok(unknown(envelope)),
    }
}

fn change(detail: Object) -> Reading {
    let [operation, name, exception] = detail.pick(["operation", "name", "exception"])?;
    let (operation, name) = (operation.filled()?, name.filled()?);
    let subject = quoted(&name);
    if exception.is_present() {
        let why = exception.note().ok().flatten().unwrap_or_default();
        return Ok(Trigger::Ignored(format!("writing the parameter {subject} failed: {}", quoted(&why))));
    }
    let change = match &*operation {
        "Create" => Write::Created,
        "Update" => Write::Updated,
        "Delete" => Write::Deleted,
        "LabelParameterVersion" => {
            return Ok(Trigger::Ignored(format!(
                "the parameter {subject} got a label: its value has not changed"
            )));
        }
        other => {
            return Ok(Trigger::Ignored(format!("the operation {} changes no parameter", quoted(other))));
        }
    };
    Ok(Trigger::ParameterChanged { name: (&*name).into(), change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{ignored, malformed, trigger};

    const KIND: &str = "Parameter Store Change";

    #[test]
    fn a_write_or_delete_is_a_parameter_changed() {
        for (operation, change) in
            [("Create", Write::Created), ("Update", Write::Updated), ("Delete", Write::Deleted)]
        {
            let detail =
                format!(r#"{{"name":"/prod/shop/web/KEY","type":"String","operation":"{operation}"}}"#);
            let expected = Trigger::ParameterChanged { name: "/prod/shop/web/KEY".into(), change };
            assert_eq!(trigger("aws.ssm", KIND, &detail), expected);
        }
    }

    #[test]
    fn what_changes_no_value_is_ignored() {
        for (detail, word) in [
            (r#"{"name":"/a","operation":"LabelParameterVersion"}"#, "label"),
            (r#"{"name":"/a","operation":"Touch"}"#, "Touch"),
            (r#"{"name":"/a","operation":"Create","exception":"AMI is not there"}"#, "AMI is not there"),
            (r#"{"name":"/a","operation":"Create","exception":{"code":1}}"#, "failed"),
        ] {
            let reason = ignored("aws.ssm", KIND, detail);
            assert!(reason.contains(word), "{reason}");
        }
        assert!(ignored("aws.ssm", "Parameter Store Policy Action", "{}").contains("policy"));
    }

    #[test]
    fn a_change_that_names_no_parameter_or_operation_is_malformed() {
        assert!(malformed("aws.ssm", KIND, r#"{"operation":"Update"}"#).contains("`name`"));
        assert!(malformed("aws.ssm", KIND, r#"{"name":"/a"}"#).contains("`operation`"));
        assert!(malformed("aws.ssm", KIND, "[]").contains("must be an object"));
    }
}
