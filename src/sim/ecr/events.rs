//! What the bus is told of images.

use serde_json::json;

use super::repository::Manifest;
use crate::{
    domain::Timestamp,
    sim::{bus::Emission, call::Scope},
};

/// An image was pushed: one event per tag; an image without a tag is announced with the empty one.
pub(super) fn pushed(
    scope: &Scope,
    repository: &str,
    (digest, manifest): (&str, &Manifest),
    tags: &[String],
    outbox: &mut Vec<Emission>,
    now: Timestamp,
) {
    for tag in or_none(tags) {
        let mut event = action(scope, repository, ("PUSH", digest, &tag), now);
        event.detail["manifest-media-type"] = json!(manifest.media_type);
        event.detail["artifact-media-type"] = json!("application/vnd.oci.image.config.v1+json");
        outbox.push(event);
    }
}

/// An image, or some tags of it, were deleted.
pub(super) fn deleted(
    scope: &Scope,
    repository: &str,
    (digest, tags): (&str, &[String]),
    outbox: &mut Vec<Emission>,
    now: Timestamp,
) {
    let tags = or_none(tags).into_iter();
    outbox.extend(tags.map(|tag| action(scope, repository, ("DELETE", digest, &tag), now)));
}

fn or_none(tags: &[String]) -> Vec<String> {
    if tags.is_empty() { vec![String::new()] } else { tags.to_vec() }
}

fn action(
    scope: &Scope,
    repository: &str,
    (kind, digest, tag): (&str, &str, &str),
    now: Timestamp,
) -> Emission {
    Emission {
        scope: scope.clone(),
        source: "aws.ecr".to_owned(),
        detail_type: "ECR Image Action".to_owned(),
        time: now,
        resources: vec![],
        detail: json!({
            "result": "SUCCESS", "repository-name": repository, "image-digest": digest, "action-type": kind,
            "image-tag": tag,
        }),
    }
}
