//! Rotations: a version is staged `AWSPENDING` at once, and `AWSCURRENT` when it has been tried.

use std::time::Duration;

use serde_json::json;

use super::{
    Safe, Secrets, events,
    secret::{CURRENT, PENDING, Secret},
};
use crate::{
    domain::Timestamp,
    sim::call::{Call, Fail, Outcome, Scope},
};

/// How long a rotation takes to try the new value.
const ROTATION: Duration = Duration::from_secs(2);

impl Secrets {
    pub(super) fn rotate(&mut self, call: &Call, safe: &mut Safe<'_>) -> Outcome {
        let (scope, name, secret) = self.alive(call)?;
        if secret.rotation.is_some() {
            let said = "A previous rotation isn't complete. That rotation will be reattempted.";
            return Err(Fail::new("InvalidRequestException", said));
        }
        let version = safe.rng.uuid();
        let value = format!("rotated-{version}");
        secret.add((&version, &value), &[PENDING.to_owned()], safe.now)?;
        secret.rotation = Some((version.clone(), safe.now + ROTATION));
        let arn = secret.arn(&scope);
        safe.outbox.push(events::service(&scope, "RotationStarted", &arn, safe.now));
        let put = json!({"SecretId": arn, "ClientRequestToken": version, "VersionStages": [PENDING]});
        safe.outbox.push(events::made(&scope, "PutSecretValue", &put, safe.now));
        Ok(json!({"ARN": arn, "Name": name, "VersionId": version}))
    }

    /// When a rotation next ends.
    pub(in crate::sim) fn next_wakeup(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|secret| secret.rotation.as_ref().map(|(_, due)| *due)).min()
    }

    /// Ends the rotations that are due.
    pub(in crate::sim) fn advance(&mut self, safe: &mut Safe<'_>) {
        for ((scope, _), secret) in &mut self.0 {
            if let Some((version, _)) = secret.rotation.take_if(|(_, due)| *due <= safe.now) {
                finish(scope, secret, &version, safe);
            }
        }
    }
}

fn finish(scope: &Scope, secret: &mut Secret, version: &str, safe: &mut Safe<'_>) {
    let arn = secret.arn(scope);
    let moved = json!({
        "SecretId": arn, "VersionStage": CURRENT, "MoveToVersionId": version,
        "RemoveFromVersionId": secret.staged(CURRENT),
    });
    secret.move_stage(CURRENT, Some(version));
    secret.move_stage(PENDING, None);
    (secret.changed, secret.rotated) = (safe.now, Some(safe.now));
    safe.outbox.push(events::made(scope, "UpdateSecretVersionStage", &moved, safe.now));
    safe.outbox.push(events::service(scope, "RotationSucceeded", &arn, safe.now));
}
