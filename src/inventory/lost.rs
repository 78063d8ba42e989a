//! A lost event, put on the queue again in words of our own: [`crate::domain::RECONCILE_SOURCE`] says whose.

use serde_json::{Value, json};

use crate::domain::{Event, Trigger};

/// The detail-type of such events.
pub const DETAIL_TYPE: &str = "Lost Change";

/// The body of the message; `None` for a trigger that no reading could find.
pub fn body(event: &Event) -> Option<String> {
    let detail = detail(&event.trigger)?;
    let body = json!({
        "version": "0", "id": event.id, "source": &*event.source, "detail-type": &*event.detail_type,
        "account": event.account, "region": event.region, "time": event.time.to_fixed(), "resources": [],
        "detail": detail,
    });
    Some(body.to_string())
}

fn detail(trigger: &Trigger) -> Option<Value> {
    Some(match trigger {
        Trigger::ImagePushed(image) => json!({
            "kind": "image", "repository": image.repository, "tag": image.tag, "digest": image.digest,
        }),
        Trigger::ParameterChanged { name, .. } => json!({"kind": "parameter", "name": &**name}),
        Trigger::SecretChanged { secret, .. } => json!({"kind": "secret", "secret": &**secret}),
        Trigger::EnvFileChanged { bucket, key, .. } => {
            json!({"kind": "file", "bucket": &**bucket, "key": &**key})
        }
        Trigger::ImageReplicated(_)
        | Trigger::ImageScanned(_)
        | Trigger::ImageReady(_)
        | Trigger::DeployRequested(_)
        | Trigger::Decision(_)
        | Trigger::RolloutChanged(_)
        | Trigger::TaskStopped(_)
        | Trigger::HookWaiting(_)
        | Trigger::Ignored(_)
        | Trigger::Malformed(_) => return None,
    })
}
