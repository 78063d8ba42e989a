//! Objects in S3, which tells of them itself, or through CloudTrail.

use super::{
    Reading,
    cloudtrail::{self, Call},
    envelope::Envelope,
    json::{Field, Object, quoted},
    unknown,
};
use crate::domain::{Trigger, Write};

/// What an event of S3 means.
pub(super) fn read(envelope: &Envelope) -> Reading {
    match &*envelope.detail_type {
        "Object Created" => written(envelope.detail()?),
        "Object Deleted" => deleted(envelope.detail()?),
        cloudtrail::API_CALL => match cloudtrail::call(envelope)? {
            Ok(call) => api_call(&call),
            Err(reason) => Ok(Trigger::Ignored(reason)),
        },
        _ => Ok(unknown(envelope)),
    }
}

fn written(detail: Object) -> Reading {
    let [bucket, object] = detail.pick(["bucket", "object"])?;
    let [bucket] = bucket.object()?.pick(["name"])?;
    let [key] = object.object()?.pick(["key"])?;
    changed(bucket, key, Write::Updated)
}

fn deleted(detail: Object) -> Reading {
    let [bucket, object, how] = detail.pick(["bucket", "object", "deletion-type"])?;
    let [bucket] = bucket.object()?.pick(["name"])?;
    let [key, version] = object.object()?.pick(["key", "version-id"])?;
    match (how.text()?.as_deref(), version.is_present()) {
        (Some("Permanently Deleted"), true) => one_version_deleted(key),
        _ => changed(bucket, key, Write::Deleted),
    }
}

fn api_call(call: &Call) -> Reading {
    let change = match &*call.name {
        "PutObject" | "CopyObject" | "CompleteMultipartUpload" => Write::Updated,
        "DeleteObject" => Write::Deleted,
        "DeleteObjects" => {
            return Ok(Trigger::Ignored(
                "DeleteObjects names no key in CloudTrail: S3's own events tell which objects are gone"
                    .into(),
            ));
        }
        other => return Ok(Trigger::Ignored(format!("the call {} writes no object", quoted(other)))),
    };
    let [bucket, key, version] = call.parameters.object()?.pick(["bucketName", "key", "versionId"])?;
    if change == Write::Deleted && version.is_present() {
        return one_version_deleted(key);
    }
    changed(bucket, key, change)
}

fn one_version_deleted(key: Field) -> Reading {
    let key = quoted(&key.filled()?);
    Ok(Trigger::Ignored(format!("one version of {key} was deleted: what tasks read is untouched")))
}

fn changed(bucket: Field, key: Field, change: Write) -> Reading {
    let (bucket, key) = (bucket.filled()?, key.filled()?);
    Ok(Trigger::EnvFileChanged { bucket: (&*bucket).into(), key: (&*key).into(), change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{ignored, malformed, trigger};

    fn file(change: Write) -> Trigger {
        Trigger::EnvFileChanged { bucket: "shop-env".into(), key: "web/a b.env".into(), change }
    }

    fn native(object: &str, more: &str) -> String {
        format!(
            r#"{{"version":"0","bucket":{{"name":"shop-env"}},"object":{{"key":"web/a b.env"{object}}}{more}}}"#
        )
    }

    fn call(name: &str, more: &str) -> String {
        format!(
            r#"{{"eventName":"{name}","requestParameters":{{"bucketName":"shop-env","key":"web/a b.env"{more}}}}}"#
        )
    }

    #[test]
    fn a_written_object_is_an_updated_file() {
        let detail = native(r#","size":12,"version-id":"v""#, r#","reason":"CopyObject""#);
        assert_eq!(trigger("aws.s3", "Object Created", &detail), file(Write::Updated));
        for name in ["PutObject", "CopyObject", "CompleteMultipartUpload"] {
            assert_eq!(trigger("aws.s3", cloudtrail::API_CALL, &call(name, "")), file(Write::Updated));
        }
    }

    #[test]
    fn a_deleted_object_is_a_deleted_file() {
        for detail in [
            native("", r#","deletion-type":"Permanently Deleted""#),
            native(r#","version-id":"m""#, r#","deletion-type":"Delete Marker Created""#),
            native("", ""),
        ] {
            assert_eq!(trigger("aws.s3", "Object Deleted", &detail), file(Write::Deleted), "{detail}");
        }
        let detail = call("DeleteObject", "");
        assert_eq!(trigger("aws.s3", cloudtrail::API_CALL, &detail), file(Write::Deleted));
    }

    #[test]
    fn the_deletion_of_one_version_leaves_the_file_as_it_is() {
        let detail = native(r#","version-id":"old""#, r#","deletion-type":"Permanently Deleted""#);
        assert!(ignored("aws.s3", "Object Deleted", &detail).contains("untouched"));
        let detail = call("DeleteObject", r#","versionId":"old""#);
        assert!(ignored("aws.s3", cloudtrail::API_CALL, &detail).contains("untouched"));
    }

    #[test]
    fn calls_that_write_no_named_object_are_ignored() {
        let kind = cloudtrail::API_CALL;
        assert!(ignored("aws.s3", kind, &call("DeleteObjects", "")).contains("names no key"));
        assert!(ignored("aws.s3", kind, &call("PutObjectTagging", "")).contains("PutObjectTagging"));
        let refused = r#"{"eventName":"PutObject","errorCode":"AccessDenied","requestParameters":{}}"#;
        assert!(ignored("aws.s3", kind, refused).contains("AccessDenied"));
        ignored("aws.s3", "Object Tags Added", "{}");
    }

    #[test]
    fn a_write_to_no_bucket_or_key_is_malformed() {
        assert!(malformed("aws.s3", "Object Created", r#"{"object":{"key":"k"}}"#).contains("`bucket`"));
        let nameless = r#"{"bucket":{"name":"b"},"object":{}}"#;
        assert!(malformed("aws.s3", "Object Created", nameless).contains("`key`"));
        let positional = r#"{"bucket":["b"],"object":["k"]}"#;
        assert!(malformed("aws.s3", "Object Created", positional).contains("must be an object"));
    }
}
