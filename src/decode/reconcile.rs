//! Changes whose events were lost, as we put them on the queue ourselves.

use super::{
    Reading,
    envelope::Envelope,
    json::{Object, quoted},
};
use crate::domain::{PushedImage, Trigger, Write, is_digest, is_tag};

/// What such an event means: what the lost one would have.
pub(super) fn read(envelope: &Envelope) -> Reading {
    let detail = envelope.detail()?;
    let [kind] = detail.pick(["kind"])?;
    match &*kind.filled()? {
        "image" => image(detail),
        "parameter" => {
            let [name] = detail.pick(["name"])?;
            Ok(Trigger::ParameterChanged { name: (&*name.filled()?).into(), change: Write::Updated })
        }
        "secret" => {
            let [secret] = detail.pick(["secret"])?;
            Ok(Trigger::SecretChanged { secret: (&*secret.filled()?).into(), change: Write::Updated })
        }
        "file" => {
            let [bucket, key] = detail.pick(["bucket", "key"])?;
            let (bucket, key) = ((&*bucket.filled()?).into(), (&*key.filled()?).into());
            Ok(Trigger::EnvFileChanged { bucket, key, change: Write::Updated })
        }
        other => Err(format!("`kind` is {}, and must be image, parameter, secret or file", quoted(other))),
    }
}

fn image(detail: Object) -> Reading {
    let [repository, tag, digest] = detail.pick(["repository", "tag", "digest"])?;
    let (repository, tag, digest) = (repository.filled()?, tag.filled()?, digest.filled()?);
    if !is_tag(&tag) {
        return Err(format!("`tag` is {}, which no image can be called", quoted(&tag)));
    }
    if !is_digest(&digest) {
        return Err(format!("`digest` is {}, which is no digest", quoted(&digest)));
    }
    let (repository, tag, digest) = ((&*repository).into(), (&*tag).into(), Some((&*digest).into()));
    Ok(Trigger::ImagePushed(PushedImage { repository, tag, digest, is_index: None }))
}

#[cfg(test)]
mod tests {
    use crate::decode::tests::{malformed, trigger};
    use crate::domain::{RECONCILE_SOURCE, Trigger, Write};

    const KIND: &str = "Lost Change";

    #[test]
    fn a_lost_change_means_what_its_event_would_have() {
        let read = trigger(RECONCILE_SOURCE, KIND, r#"{"kind":"parameter","name":"/a"}"#);
        assert_eq!(read, Trigger::ParameterChanged { name: "/a".into(), change: Write::Updated });
    }

    #[test]
    fn one_that_cannot_be_understood_is_malformed() {
        for (detail, word) in [
            ("{}", "`kind`"),
            (r#"{"kind":"mood"}"#, "parameter, secret or file"),
            (r#"{"kind":"file","bucket":"b"}"#, "`key`"),
            (r#"{"kind":"image","repository":"a","tag":"a b","digest":"sha256:1"}"#, "`tag`"),
            (r#"{"kind":"image","repository":"a","tag":"b","digest":"sha256:1"}"#, "`digest`"),
        ] {
            let reason = malformed(RECONCILE_SOURCE, KIND, detail);
            assert!(reason.contains(word), "{detail}: {reason}");
        }
    }
}
