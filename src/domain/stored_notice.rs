//! How a deployment ended, as it is put on the queue for those who could not be told at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{DeploymentRecord, NOTICE_SOURCE, RunningImage, TargetName, Timestamp};

/// The detail-type of its event.
const UNDELIVERED: &str = "Undelivered";

/// How a deployment ended, and who has yet to be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StoredNotice {
    /// The channels that have yet to be told.
    pub channels: BTreeSet<String>,
    /// When it ended, as it is told.
    pub at: Timestamp,
    /// The deployment.
    deployment: DeploymentRecord,
    /// What a record says to nobody who reads it in JSON, but is told: the target's name.
    name: TargetName,
    /// The same: what each container was to run.
    images: Vec<RunningImage>,
}

impl StoredNotice {
    /// That this deployment ended is yet to be told to these.
    pub fn new(record: &DeploymentRecord, at: Timestamp, channels: BTreeSet<String>) -> Self {
        let (name, images) = (record.name.clone(), record.images.clone());
        Self { channels, at, deployment: record.clone(), name, images }
    }

    /// The deployment that ended.
    pub fn into_record(self) -> DeploymentRecord {
        DeploymentRecord { name: self.name, images: self.images, ..self.deployment }
    }

    /// The id of the deployment and its outcome: what receivers know the notice by.
    pub fn id(&self) -> String {
        let outcome = self.deployment.outcome.map_or("unknown", super::Outcome::as_str);
        format!("{}/{outcome}", self.deployment.id)
    }

    /// The event of it. It has no time: when SQS got it counts.
    pub fn event(&self) -> Value {
        json!({
            "version": "0",
            "id": self.id(),
            "source": NOTICE_SOURCE,
            "detail-type": UNDELIVERED,
            "resources": [],
            "detail": self,
        })
    }

    /// From the detail of such an event.
    ///
    /// # Errors
    /// If it is none, or tells of no end.
    pub fn read(detail: &str) -> Result<Self, String> {
        let read: Self = serde_json::from_str(detail).map_err(|error| format!("detail: {error}"))?;
        if read.deployment.outcome.is_none() {
            return Err("detail: it tells of no end".into());
        }
        Ok(read)
    }
}
