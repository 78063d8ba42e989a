//! A rollback that somebody asks for. What it goes back to was found out before it was put on the queue.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Reading, Reason,
    json::{Field, Object, quoted},
    requests::{parsed, read_tag, service_of},
};
use crate::domain::{
    ContainerName, DefinitionChange, DefinitionId, DeployRequest, Digest, Rollback, Trigger, Wanted,
    is_digest,
};

/// The longest name of a container, in bytes: ECS's own limit.
const CONTAINER_BYTES: usize = 255;

/// What the detail of such a request means.
pub(super) fn read(detail: Object) -> Reading {
    let [target, from, to, images, follow, hold, by, reason] =
        detail.pick(["target", "from", "to", "images", "follow", "hold", "by", "reason"])?;
    let (by, reason) = (by.note()?, reason.note()?);
    let back = Rollback {
        from: revision(from)?,
        images: by_container(images, digest)?,
        follow: by_container(follow, |field, text| read_tag(field, text))?,
        hold: hold.flag()?.unwrap_or(true),
        by: by.clone(),
        reason: reason.clone(),
    };
    let definition = revision(to)?.into();
    let wanted = Wanted::Rollback(DefinitionChange { definition, home: None, back: Some(Arc::new(back)) });
    Ok(Trigger::DeployRequested(DeployRequest {
        service: service_of(target)?,
        wanted,
        reason,
        requested_by: by,
        ..DeployRequest::default()
    }))
}

fn digest(field: Field, text: &str) -> Result<Digest, Reason> {
    let is_one = is_digest(text).then(|| Digest::from(text));
    is_one.ok_or_else(|| format!("{field} holds {}, which is no digest", quoted(text)))
}

fn revision(field: Field) -> Result<DefinitionId, Reason> {
    parsed(field, &field.filled()?, "a revision: family:number")
}

/// An object whose keys are containers.
fn by_container<T>(
    field: Field,
    read: impl Fn(Field, &str) -> Result<T, Reason>,
) -> Result<BTreeMap<ContainerName, T>, Reason> {
    let Some(raw) = field.raw() else { return Ok(BTreeMap::new()) };
    let texts: BTreeMap<String, String> =
        serde_json::from_str(raw).map_err(|_| field.must_be("an object of texts, by container"))?;
    let read_one = |(name, text): (String, String)| {
        if name.is_empty() || name.len() > CONTAINER_BYTES || name.contains(char::is_control) {
            return Err(format!("{field} names {}, which is no container", quoted(&name)));
        }
        Ok((ContainerName::from(name), read(field, &text)?))
    };
    texts.into_iter().map(read_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{malformed, trigger};

    fn asked(detail: &str) -> DeployRequest {
        match trigger("lockkeeper.request", "Rollback", detail) {
            Trigger::DeployRequested(request) => request,
            other => panic!("{detail}: {other:?}"),
        }
    }

    #[test]
    fn a_rollback_names_what_it_goes_back_from_and_to() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let request = asked(&format!(
            r#"{{"target":"1/r/shop/web","from":"shop:7","to":"shop:6","images":{{"web":"{digest}"}},
                "follow":{{"web":"latest"}},"hold":false,"by":"ann","reason":"it leaks"}}"#
        ));
        let Wanted::Rollback(change) = request.wanted else { panic!("{request:?}") };
        let back = change.back.expect("it is a rollback");
        assert_eq!(
            (change.definition.to_string(), back.from.to_string()),
            ("shop:6".into(), "shop:7".into())
        );
        assert_eq!(back.images, [("web".into(), digest.as_str().into())].into());
        assert_eq!((&back.follow, back.hold), (&[("web".into(), "latest".into())].into(), false));
        assert_eq!((&*request.service, request.requested_by.as_deref()), ("1/r/shop/web", Some("ann")));
        assert_eq!((back.by.as_deref(), back.reason.as_deref()), (Some("ann"), Some("it leaks")));
    }

    #[test]
    fn a_rollback_holds_its_target_unless_it_says_otherwise() {
        let Wanted::Rollback(change) = asked(r#"{"target":"web","from":"shop:7","to":"shop:6"}"#).wanted
        else {
            panic!("no rollback")
        };
        assert!(change.back.expect("it is a rollback").hold);
    }

    #[test]
    fn what_does_not_say_from_where_to_where_is_set_aside() {
        for (detail, name) in [
            (r#"{"from":"shop:7","to":"shop:6"}"#, "must name a service"),
            (r#"{"target":"web","to":"shop:6"}"#, "`from`"),
            (r#"{"target":"web","from":"shop:7","to":"shop"}"#, "`to`"),
            (r#"{"target":"web","from":"shop:7","to":"shop:6","images":{"web":"latest"}}"#, "no digest"),
            (r#"{"target":"web","from":"shop:7","to":"shop:6","follow":{"web":"a b"}}"#, "`follow`"),
            (r#"{"target":"web","from":"shop:7","to":"shop:6","follow":["web"]}"#, "by container"),
            (r#"{"target":"web","from":"shop:7","to":"shop:6","follow":{"":"a"}}"#, "no container"),
        ] {
            let reason = malformed("lockkeeper.request", "Rollback", detail);
            assert!(reason.contains(name), "{detail}: {reason}");
        }
    }
}
