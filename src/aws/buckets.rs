//! What a bucket of S3 tells EventBridge.

use super::{Connections, failure::Verb};
use crate::domain::CallFailure;

impl Connections {
    /// Whether a bucket sends its events to EventBridge.
    pub async fn sends_events(&self, bucket: &str) -> Result<bool, CallFailure> {
        const OPERATION: &str = "GetBucketNotificationConfiguration";
        let call = self.s3().get_bucket_notification_configuration().bucket(bucket).send();
        let answer = self.calls().make("s3", OPERATION, call).await;
        let answer = answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
        Ok(answer.event_bridge_configuration().is_some())
    }
}
