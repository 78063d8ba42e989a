//! What an event that is ignored is a sign of.

use super::{
    BODY, MAX_WRAPPERS, Reason, ecr, envelope,
    envelope::{Envelope, Opened},
    readable, shallow,
};
use crate::domain::{Beside, NOTICE_SOURCE, StoredNotice};

/// What the event in this body is a sign of, where [`decode`](super::decode) ignores it.
pub fn beside(body: &[u8]) -> Option<Beside> {
    read(readable(body).ok()?, BODY, MAX_WRAPPERS).ok().flatten()
}

fn read(text: &str, called: &'static str, wrappers: usize) -> Result<Option<Beside>, Reason> {
    shallow(text, called)?;
    match envelope::open(text, called)? {
        Opened::Event(envelope) => of(&envelope),
        Opened::Wrapper(inner, called) if wrappers > 0 => read(&inner, called, wrappers - 1),
        Opened::Wrapper(..) | Opened::Foreign(_) => Ok(None),
    }
}

fn of(envelope: &Envelope) -> Result<Option<Beside>, Reason> {
    envelope.check()?;
    match (&*envelope.source, &*envelope.detail_type) {
        ("aws.ecr", "ECR Image Action") => Ok(ecr::gone(envelope.detail()?)?.map(Beside::ImageGone)),
        ("aws.events", "Scheduled Event") => {
            let resources = envelope.resources()?;
            let rule = resources.iter().find_map(|arn| rule_of(arn));
            Ok(rule.map(|rule| Beside::Tick { rule: rule.into() }))
        }
        (source, _) if source.eq_ignore_ascii_case(NOTICE_SOURCE) => {
            let notice = StoredNotice::read(envelope.raw_detail())?;
            Ok(Some(Beside::Untold(Box::new(notice))))
        }
        _ => Ok(None),
    }
}

/// `arn:aws:events:eu-west-1:111122223333:rule/name`, with the bus before the name where it is not the default one.
fn rule_of(arn: &str) -> Option<&str> {
    let (_, name) = arn.strip_prefix("arn:")?.split_once(":rule/")?;
    name.rsplit('/').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::decode,
        domain::{GoneImage, Timestamp, Trigger},
    };

    const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn told(source: &str, kind: &str, resources: &str, detail: &str) -> Option<Beside> {
        let body = format!(
            r#"{{"source":"{source}","detail-type":"{kind}","resources":{resources},"detail":{detail}}}"#
        );
        let sign = beside(body.as_bytes());
        if sign.is_some() {
            let trigger = decode(body.as_bytes(), Timestamp::default()).trigger;
            assert!(matches!(trigger, Trigger::Ignored(_)), "a sign deploys nothing: {trigger:?}");
        }
        sign
    }

    fn image(detail: &str) -> Option<Beside> {
        let detail = format!(r#"{{"repository-name":"shop/web",{detail}}}"#);
        told("aws.ecr", "ECR Image Action", "[]", &detail)
    }

    fn gone(tag: Option<&str>, archived: bool) -> Beside {
        let (repository, digest) = ("shop/web".into(), Some(DIGEST.into()));
        Beside::ImageGone(GoneImage { repository, tag: tag.map(Into::into), digest, archived })
    }

    #[test]
    fn an_image_that_was_deleted_or_archived_is_gone() {
        let digest = format!(r#""image-digest":"{DIGEST}""#);
        let deleted = format!(r#""action-type":"DELETE","result":"SUCCESS",{digest},"image-tag":"#);
        assert_eq!(image(&format!(r#"{deleted}"v1""#)), Some(gone(Some("v1"), false)));
        assert_eq!(image(&format!(r#"{deleted}"""#)), Some(gone(None, false)));
        let moved = |class: &str| {
            let class = format!(r#""target-storage-class":"{class}""#);
            image(&format!(r#""action-type":"UPDATE_STORAGE_CLASS","result":"SUCCESS",{class},{digest}"#))
        };
        assert_eq!(moved("ARCHIVE"), Some(gone(None, true)));
        assert_eq!(moved("STANDARD"), None, "it is back");
    }

    #[test]
    fn what_failed_or_names_no_image_or_is_a_push_is_no_sign() {
        for detail in [
            format!(r#""action-type":"DELETE","result":"FAILURE","image-digest":"{DIGEST}""#),
            r#""action-type":"DELETE","result":"SUCCESS""#.into(),
            r#""action-type":"DELETE","result":"SUCCESS","image-digest":"7","image-tag":"a b""#.into(),
            format!(r#""action-type":"PUSH","result":"SUCCESS","image-digest":"{DIGEST}""#),
        ] {
            assert_eq!(image(&detail), None, "{detail}");
        }
        assert_eq!(beside(b"no JSON"), None);
    }

    #[test]
    fn a_tick_names_its_rule() {
        let tick = |arn: &str| told("aws.events", "Scheduled Event", &format!(r#"["{arn}"]"#), "{}");
        let rule = |name: &str| Some(Beside::Tick { rule: name.into() });
        assert_eq!(tick("arn:aws:events:eu-west-1:1:rule/nightly"), rule("nightly"));
        assert_eq!(tick("arn:aws:events:eu-west-1:1:rule/bus/nightly"), rule("nightly"));
        assert_eq!(tick("arn:aws:sqs:eu-west-1:1:q"), None);
        assert_eq!(told("aws.events", "Scheduled Event", "[]", "{}"), None);
    }
}
