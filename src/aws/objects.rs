//! Objects in S3: when they were last written. They are never read.

use std::sync::OnceLock;

use super::{failure::Fault, reads::time, sources::Reach};
use crate::domain::{Region, Timestamp};

/// The header by which S3 says where a bucket is.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// Why nothing is known of an object.
#[derive(Debug)]
pub(super) enum Unread {
    /// The bucket is in this Region.
    Elsewhere(Region),
    /// The call failed.
    Failed(Fault),
}

impl Reach {
    /// When an object was last written; `None` if it or its bucket is not there. Of the keys that begin with a key, that
    /// is the first.
    pub(super) async fn object(&self, bucket: &str, key: &str) -> Result<Option<Timestamp>, Unread> {
        let told = OnceLock::new();
        let call = || async {
            let answer = self.s3.list_objects_v2().bucket(bucket).prefix(key).max_keys(1).send().await;
            let response = answer.as_ref().err().and_then(|error| error.raw_response());
            if let Some(region) = response.and_then(|response| response.headers().get(BUCKET_REGION)) {
                let _ = told.set(Region::from(region));
            }
            answer
        };
        match self.reads.ask("s3", "ListObjectsV2", call).await {
            Ok(page) => {
                let object = page.contents().iter().find(|object| object.key() == Some(key));
                Ok(object.and_then(|object| time(object.last_modified())))
            }
            Err(fault) if fault.code() == Some("NoSuchBucket") => Ok(None),
            Err(fault) => Err(match told.into_inner() {
                Some(region) if region != self.region => Unread::Elsewhere(region),
                Some(_) | None => Unread::Failed(fault),
            }),
        }
    }
}
