//! Buckets: objects that are put and deleted, and S3's own events about them where a bucket has these switched on.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{
    bus::Emission,
    call::{Call, Fail, Outcome, Scope, hex, text},
    rng::Rng,
};
use crate::domain::Timestamp;

#[derive(Clone, Debug)]
struct Object {
    content: String,
    etag: String,
    changed: Timestamp,
}

#[derive(Clone, Debug)]
struct Bucket {
    home: Scope,
    /// Whether EventBridge is told.
    tells: bool,
    objects: BTreeMap<String, Object>,
    /// Counts the changes, for the sequencers of the events.
    changes: u64,
}

/// All buckets of the world: their names are shared by all accounts. None keeps versions.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(BTreeMap<String, Bucket>);

/// What one step may use besides the buckets.
pub(super) struct Yard<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut Rng,
    pub(super) outbox: &'a mut Vec<Emission>,
}

/// The most that one page of a list holds.
const MOST_KEYS: usize = 1_000;

impl Buckets {
    pub(super) fn call(&mut self, call: &Call, yard: &mut Yard<'_>) -> Outcome {
        match call.operation.as_str() {
            "CreateBucket" => self.create(call),
            "ListBuckets" => Ok(self.buckets(call)),
            "HeadBucket" => self.bucket(call).map(|_| json!({})),
            "PutBucketNotificationConfiguration" => {
                self.bucket(call)?.tells = !call.body["EventBridgeConfiguration"].is_null();
                Ok(json!({}))
            }
            "GetBucketNotificationConfiguration" => {
                let tells = self.bucket(call)?.tells.then(|| json!({}));
                Ok(json!({"EventBridgeConfiguration": tells}))
            }
            "PutObject" => self.put(call, yard),
            "DeleteObject" => self.delete(call, yard),
            "GetObject" | "HeadObject" => self.get(call),
            "ListObjectsV2" => self.list(call),
            operation => Err(Fail {
                code: "NotImplemented",
                message: format!("The world has no operation {operation}."),
                status: 501,
            }),
        }
    }

    fn create(&mut self, call: &Call) -> Outcome {
        let name = text(&call.body, "Bucket");
        let home = call.scope.clone();
        if let Some(bucket) = self.0.get(name) {
            let ours = bucket.home.account == home.account;
            let code = if ours { "BucketAlreadyOwnedByYou" } else { "BucketAlreadyExists" };
            return Err(conflict(code, "The requested bucket name is not available."));
        }
        let bucket = Bucket { home, tells: false, objects: BTreeMap::new(), changes: 0 };
        self.0.insert(name.to_owned(), bucket);
        Ok(json!({}))
    }

    fn buckets(&self, call: &Call) -> Value {
        let mine = self.0.iter().filter(|(_, bucket)| bucket.home.account == call.scope.account);
        let mine: Vec<Value> =
            mine.map(|(name, bucket)| json!({"Name": name, "BucketRegion": bucket.home.region})).collect();
        json!({"Buckets": {"Bucket": mine}})
    }

    /// The bucket that a call names; a caller in another Region is told where it is.
    fn bucket(&mut self, call: &Call) -> Result<&mut Bucket, Fail> {
        let name = text(&call.body, "Bucket");
        let missing = || not_found("NoSuchBucket", "The specified bucket does not exist");
        let bucket = self.0.get_mut(name).ok_or_else(missing)?;
        if bucket.home.region == call.scope.region {
            return Ok(bucket);
        }
        let said = "The bucket you are attempting to access must be addressed using the specified endpoint.";
        Err(Fail { code: "PermanentRedirect", message: said.to_owned(), status: 301 })
    }

    /// Where a bucket is.
    pub(super) fn region(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|bucket| bucket.home.region.as_str())
    }

    fn put(&mut self, call: &Call, yard: &mut Yard<'_>) -> Outcome {
        let (bucket, body) = (self.bucket(call)?, &call.body);
        let (key, content) = (text(body, "Key"), text(body, "Body").to_owned());
        let etag = hex(&Md5::digest(content.as_bytes()));
        let told = json!({"key": key, "size": content.len(), "etag": etag});
        bucket.objects.insert(key.to_owned(), Object { content, etag: etag.clone(), changed: yard.now });
        bucket.tell(call, ("Object Created", "PutObject"), told, yard);
        Ok(json!({"ETag": quoted(&etag)}))
    }

    /// S3 says nothing else where there was no such object, but then it tells nobody.
    fn delete(&mut self, call: &Call, yard: &mut Yard<'_>) -> Outcome {
        let (bucket, key) = (self.bucket(call)?, text(&call.body, "Key"));
        if bucket.objects.remove(key).is_some() {
            bucket.tell(call, ("Object Deleted", "DeleteObject"), json!({"key": key}), yard);
        }
        Ok(json!({}))
    }

    fn get(&mut self, call: &Call) -> Outcome {
        let (bucket, key) = (self.bucket(call)?, text(&call.body, "Key"));
        let missing = || not_found("NoSuchKey", "The specified key does not exist.");
        let object = bucket.objects.get(key).ok_or_else(missing)?;
        Ok(
            json!({"Body": object.content, "ETag": quoted(&object.etag), "LastModified": whole(object.changed)}),
        )
    }

    /// A page of the keys that begin with the prefix; the token is the last key of the page before.
    fn list(&mut self, call: &Call) -> Outcome {
        let (bucket, body) = (self.bucket(call)?, &call.body);
        let (prefix, after) = (text(body, "Prefix"), text(body, "ContinuationToken"));
        let after = if after.is_empty() { text(body, "StartAfter") } else { after };
        let asked = text(body, "MaxKeys").parse().unwrap_or(MOST_KEYS);
        let wanted = |key: &&String| key.starts_with(prefix) && key.as_str() > after;
        let mut keys: Vec<&String> = bucket.objects.keys().filter(wanted).collect();
        let is_truncated = keys.len() > asked.min(MOST_KEYS);
        keys.truncate(asked.min(MOST_KEYS));
        let contents = keys.iter().map(|key| {
            let object = &bucket.objects[*key];
            json!({
                "Key": key, "LastModified": whole(object.changed), "ETag": quoted(&object.etag),
                "Size": object.content.len(), "StorageClass": "STANDARD",
            })
        });
        Ok(json!({
            "Name": body["Bucket"], "Prefix": prefix, "KeyCount": keys.len(), "MaxKeys": asked,
            "IsTruncated": is_truncated, "Contents": contents.collect::<Vec<_>>(),
            "NextContinuationToken": keys.last().filter(|_| is_truncated),
        }))
    }
}

impl Bucket {
    fn tell(&mut self, call: &Call, (kind, reason): (&str, &str), mut object: Value, yard: &mut Yard<'_>) {
        self.changes += 1;
        if !self.tells {
            return;
        }
        let name = text(&call.body, "Bucket");
        object["sequencer"] = json!(format!("{:016X}", self.changes));
        let mut detail = json!({
            "version": "0", "bucket": {"name": name}, "object": object, "request-id": &yard.rng.hex()[..16],
            "requester": call.scope.account, "source-ip-address": "127.0.0.1", "reason": reason,
        });
        if kind == "Object Deleted" {
            detail["deletion-type"] = json!("Permanently Deleted");
        }
        yard.outbox.push(Emission {
            scope: self.home.clone(),
            source: "aws.s3".to_owned(),
            detail_type: kind.to_owned(),
            time: yard.now,
            resources: vec![format!("arn:aws:s3:::{name}")],
            detail,
        });
    }
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// S3 keeps whole seconds.
fn whole(at: Timestamp) -> String {
    Timestamp::from_millis(at.as_millis().div_euclid(1000) * 1000).to_string()
}

fn not_found(code: &'static str, message: &str) -> Fail {
    Fail { code, message: message.to_owned(), status: 404 }
}

fn conflict(code: &'static str, message: &str) -> Fail {
    Fail { code, message: message.to_owned(), status: 409 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Service::S3, testkit::Bench};

    fn ask(bench: &mut Bench, operation: &str, body: Value) -> Value {
        bench.call(S3, operation, body)
    }

    /// A bucket that tells EventBridge.
    fn bucket(bench: &mut Bench) {
        ask(bench, "CreateBucket", json!({"Bucket": "b"}));
        let on = json!({"Bucket": "b", "EventBridgeConfiguration": {}});
        ask(bench, "PutBucketNotificationConfiguration", on);
    }

    fn put(bench: &mut Bench, key: &str, content: &str) {
        ask(bench, "PutObject", json!({"Bucket": "b", "Key": key, "Body": content}));
    }

    #[test]
    fn an_object_that_is_put_and_deleted_is_told_in_s3s_own_words() {
        let mut bench = Bench::new();
        bucket(&mut bench);
        let url = bench.listen("aws.s3");
        put(&mut bench, "a b.env", "A=1");
        for _ in 0..2 {
            ask(&mut bench, "DeleteObject", json!({"Bucket": "b", "Key": "a b.env"}));
        }
        let heard = bench.heard(&url);
        let kinds: Vec<&str> = heard.iter().map(|event| text(event, "detail-type")).collect();
        assert_eq!(kinds, ["Object Created", "Object Deleted"]);
        let [made, gone] = [&heard[0]["detail"], &heard[1]["detail"]];
        assert_eq!((&made["bucket"]["name"], &made["object"]["key"]), (&json!("b"), &json!("a b.env")));
        assert_eq!((&made["object"]["size"], &made["reason"]), (&json!(3), &json!("PutObject")));
        assert!(gone["object"]["etag"].is_null() && gone["deletion-type"] == "Permanently Deleted");
        assert!(text(&made["object"], "sequencer") < text(&gone["object"], "sequencer"));
        assert_eq!(heard[0]["resources"], json!(["arn:aws:s3:::b"]));
    }

    #[test]
    fn a_bucket_tells_nothing_until_it_is_told_to() {
        let mut bench = Bench::new();
        ask(&mut bench, "CreateBucket", json!({"Bucket": "b"}));
        let url = bench.listen("aws.s3");
        put(&mut bench, "k", "x");
        assert!(bench.heard(&url).is_empty());
        let config = ask(&mut bench, "GetBucketNotificationConfiguration", json!({"Bucket": "b"}));
        assert!(config["EventBridgeConfiguration"].is_null());
    }

    #[test]
    fn a_key_is_the_first_of_those_that_begin_with_it() {
        let mut bench = Bench::new();
        bucket(&mut bench);
        for key in ["web.env.bak", "web.env", "a"] {
            put(&mut bench, key, key);
            bench.pass(1_500);
        }
        let list = json!({"Bucket": "b", "Prefix": "web.env", "MaxKeys": "1"});
        let page = ask(&mut bench, "ListObjectsV2", list);
        assert_eq!((&page["Contents"][0]["Key"], &page["IsTruncated"]), (&json!("web.env"), &json!(true)));
        assert_eq!(page["Contents"][0]["LastModified"], "2026-11-01T12:00:01Z", "whole seconds");
        let token = page["NextContinuationToken"].clone();
        let list = json!({"Bucket": "b", "Prefix": "web.env", "MaxKeys": "1", "ContinuationToken": token});
        let page = ask(&mut bench, "ListObjectsV2", list);
        assert_eq!(
            (&page["Contents"][0]["Key"], &page["IsTruncated"]),
            (&json!("web.env.bak"), &json!(false))
        );
    }

    #[test]
    fn an_object_has_the_checksum_of_its_content() {
        let mut bench = Bench::new();
        bucket(&mut bench);
        put(&mut bench, "k", "hello");
        let object = ask(&mut bench, "GetObject", json!({"Bucket": "b", "Key": "k"}));
        assert_eq!(object["ETag"], "\"5d41402abc4b2a76b9719d911017c592\"");
        assert_eq!(bench.fails(S3, "GetObject", json!({"Bucket": "b", "Key": "x"})), "NoSuchKey");
    }

    #[test]
    fn a_bucket_has_one_owner_and_one_region() {
        let mut bench = Bench::new();
        bucket(&mut bench);
        let list = || json!({"Bucket": "b"});
        assert_eq!(bench.fails(S3, "CreateBucket", list()), "BucketAlreadyOwnedByYou");
        let home = Call::new(S3, "", json!({})).scope;
        let them = Scope { account: "111122223333".to_owned(), ..home.clone() };
        assert_eq!(bench.call_at(&them, S3, "CreateBucket", list()).code(), "BucketAlreadyExists");
        let far = Scope { region: "eu-west-1".to_owned(), ..home };
        assert_eq!(bench.call_at(&far, S3, "ListObjectsV2", list()).code(), "PermanentRedirect");
        assert_eq!(bench.fails(S3, "ListObjectsV2", json!({"Bucket": "x"})), "NoSuchBucket");
    }
}
