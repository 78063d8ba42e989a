//! A notice as JSON for programs: what a webhook gets, and what a topic gives to those who subscribe with code.

use serde_json::{Map, Value, json};

use super::{Home, Notice, What, words::Said};
use crate::domain::RunningImage;

/// The version of this shape: it is raised when something is taken away from it or means something else.
pub const VERSION: &str = "1.0";

/// The notice, which is said so.
pub fn payload(notice: &Notice, said: &Said, home: &Home) -> Value {
    let (target, name) = notice.target();
    let links: Map<String, Value> =
        said.links.iter().map(|(name, url)| (name.to_lowercase(), json!(url))).collect();
    let mut payload = json!({
        "version": VERSION,
        "id": notice.id,
        "kind": notice.kind(),
        "time": notice.at,
        "text": format!("{} {}", said.tone.icon(), said.headline),
        "project": home.project,
        "environment": home.environment,
        "target": {
            "id": target,
            "name": name,
            "account": target.account(),
            "region": target.region(),
            "cluster": target.cluster(),
            "service": target.service(),
        },
        "links": links,
    });
    if let Some(record) = notice.record() {
        payload["deployment"] = serde_json::to_value(&**record).unwrap_or_default();
        payload["images"] = images(&record.images);
    }
    match &notice.what {
        What::Stage(stage, status, _) => {
            payload["stage"] = json!(stage.as_str());
            payload["status"] = json!(status.as_str());
        }
        What::Trouble(_, words) => payload["warning"] = json!({ "reason": words }),
        What::Warned(_, warning) => {
            payload["warning"] = json!({ "event": warning.event, "reason": warning.reason });
        }
        What::Hold(it) => payload["hold"] = serde_json::to_value(&it.hold).unwrap_or_default(),
        What::Foreign(rollout) => payload["rollout"] = serde_json::to_value(rollout).unwrap_or_default(),
    }
    payload
}

/// What each container is to run. `reference` is the image by its digest, and absent where that is unknown: who asks
/// elsewhere for what runs here is to fail then, and not to follow a tag that may have moved.
pub fn images(images: &[RunningImage]) -> Value {
    images.iter().map(image).collect()
}

fn image(it: &RunningImage) -> Value {
    let mut image = serde_json::to_value(it).unwrap_or_default();
    if let Some(digest) = it.digest.as_ref().or(it.image.digest.as_ref()) {
        image["reference"] = json!(it.image.with_digest(digest.clone()));
    }
    image
}
