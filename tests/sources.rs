//! What targets depend on, read from the simulated world over HTTP by the real SDKs.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "what does not hold fails the test")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lockkeeper::{
    aws::{Connections, Unobserved, sources::Sources},
    domain::{AccountId, CallFailure, Cause, Digest, Place, Remedy, Tag, TagState, Timestamp},
    sim::{
        Call, Fault, FaultKind, Reply, Scope, Service, World, WorldSettings,
        front::{Front, FrontSettings},
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";

struct Lab {
    front: Front,
    endpoint: String,
}

async fn lab() -> Lab {
    let front = Front::new(World::new(7, WorldSettings::default()), FrontSettings::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(front.serve(listener));
    Lab { front, endpoint }
}

impl Lab {
    async fn connections(&self, account: &str) -> Connections {
        let (account, region) = (AccountId::from(account), "eu-west-1".into());
        Connections::simulated(&self.endpoint, &account, region, Arc::new(Unobserved)).await
    }

    async fn sources(&self) -> Sources {
        Sources::new(self.connections(ACCOUNT).await, ACCOUNT.into())
    }

    fn ask(&self, place: &Place, service: Service, operation: &str, body: Value) -> Value {
        let call = Call { service, operation: operation.into(), scope: scope(place), body };
        match self.front.with(|world, now| world.call(now, &call)) {
            Reply::Ok(answer) => answer,
            other => panic!("{operation}: {other:?}"),
        }
    }

    fn push(&self, place: &Place, tags: &[&str]) -> Digest {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.front.with(|world, now| world.push(now, &scope(place), "shop/api", &tags, None)).into()
    }

    fn break_once(&self, service: Service, operation: &str, kind: FaultKind, count: u64) {
        self.front.with(|world, _| world.add_fault(Fault::new(service, operation, kind, count)));
    }

    fn calls(&self, operation: &str) -> usize {
        self.front.with(|world, _| world.calls_after(0).filter(|it| it.operation == operation).count())
    }
}

fn scope(place: &Place) -> Scope {
    Scope { account: place.account.as_str().into(), region: place.region.as_str().into() }
}

fn place(account: &str, region: &str) -> Place {
    Place { account: account.into(), region: region.into() }
}

fn home() -> Place {
    place(ACCOUNT, "eu-west-1")
}

fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn tags(tags: &[&str]) -> Vec<Tag> {
    tags.iter().map(|tag| Tag::from(*tag)).collect()
}

fn digests(states: &BTreeMap<Tag, TagState>) -> Vec<(&str, &Digest)> {
    states.iter().map(|(tag, state)| (tag.as_str(), &state.digest)).collect()
}

/// Whether this is a time of the last minute.
fn is_recent(lab: &Lab, at: Timestamp) -> bool {
    lab.front.now().since(at) < Duration::from_mins(1) && at <= lab.front.now()
}

#[tokio::test]
async fn tags_are_read_with_their_digests_whichever_of_them_are_missing() {
    let lab = lab().await;
    let (one, two) = (lab.push(&home(), &["1", "old"]), lab.push(&home(), &["2", "latest"]));
    let sources = lab.sources().await;
    let read = async |asked: &[&str]| sources.tags(&home(), &"shop/api".into(), &tags(asked)).await.unwrap();
    let found = read(&["1", "latest"]).await;
    assert_eq!(digests(&found), [("1", &one), ("latest", &two)]);
    assert!(is_recent(&lab, found[&"1".into()].pushed_at) && found[&"1".into()].children.is_empty());
    assert_eq!(lab.calls("DescribeImages"), 1);
    let found = read(&["gone", "1", "never", "2", "x", "y", "z"]).await;
    assert_eq!(digests(&found), [("1", &one), ("2", &two)]);
    assert!(read(&["gone"]).await.is_empty() && read(&[]).await.is_empty());
}

#[tokio::test]
async fn many_tags_take_a_call_for_each_hundred() {
    let lab = lab().await;
    let all: Vec<String> = (0..250).map(|number| format!("v{number}")).collect();
    for tag in &all {
        lab.push(&home(), &[tag]);
    }
    let asked: Vec<Tag> = all.iter().map(|tag| Tag::from(tag.as_str())).collect();
    let sources = lab.sources().await;
    let found = sources.tags(&home(), &"shop/api".into(), &asked).await.unwrap();
    assert_eq!((found.len(), lab.calls("DescribeImages")), (250, 3));
}

#[tokio::test]
async fn a_repository_that_is_not_there_has_no_tags() {
    let sources = lab().await.sources().await;
    assert!(sources.tags(&home(), &"none".into(), &tags(&["1"])).await.unwrap().is_empty());
    assert!(sources.newest_tags(&home(), &"none".into()).await.unwrap().is_empty());
    assert!(sources.children(&home(), &"none".into(), &"sha256:x".into()).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_tags_of_a_repository_are_listed_and_images_without_tags_are_not() {
    let lab = lab().await;
    for number in 0..1_100 {
        lab.push(&home(), &[&format!("v{number}")]);
    }
    lab.push(&home(), &[]);
    let found = lab.sources().await.newest_tags(&home(), &"shop/api".into()).await.unwrap();
    assert_eq!((found.len(), lab.calls("DescribeImages")), (1_100, 2));
}

#[tokio::test]
async fn an_index_tells_its_images_and_an_image_none() {
    let lab = lab().await;
    let repository = "shop/api".into();
    let (index, children) = lab
        .front
        .with(|world, now| world.push_index(now, &scope(&home()), "shop/api", &["latest".to_owned()], 3));
    let sources = lab.sources().await;
    let found = sources.children(&home(), &repository, &index.into()).await.unwrap();
    assert_eq!(found.iter().map(Digest::as_str).collect::<Vec<_>>(), children);
    let child = children[0].as_str().into();
    assert!(sources.children(&home(), &repository, &child).await.unwrap().is_empty());
    assert!(sources.children(&home(), &repository, &"sha256:gone".into()).await.unwrap().is_empty());
}

#[tokio::test]
async fn parameters_tell_when_they_were_written_and_never_their_values() {
    let lab = lab().await;
    for number in 0..120 {
        let body = json!({"Name": format!("/shop/{number}"), "Value": "x", "Type": "SecureString"});
        lab.ask(&home(), Service::Ssm, "PutParameter", body);
    }
    let asked: Vec<Arc<str>> = (0..130).map(|number| format!("/shop/{number}").into()).collect();
    let found = lab.sources().await.parameters(&home(), &asked).await.unwrap();
    assert_eq!((found.len(), lab.calls("DescribeParameters")), (120, 3));
    assert!(is_recent(&lab, found["/shop/7"]) && !found.contains_key("/shop/129"));
    assert_eq!(lab.calls("GetParameters") + lab.calls("GetParameter"), 0);
}

#[tokio::test]
async fn a_parameter_is_found_behind_pages_that_are_empty() {
    let lab = lab().await;
    for number in 0..2_100 {
        let body = json!({"Name": format!("/a/{number:04}"), "Value": "x"});
        lab.ask(&home(), Service::Ssm, "PutParameter", body);
    }
    let found = lab.sources().await.parameters(&home(), &names(&["/a/2099"])).await.unwrap();
    assert_eq!((found.len(), lab.calls("DescribeParameters")), (1, 3));
}

#[tokio::test]
async fn a_secret_tells_when_its_current_version_was_made() {
    let lab = lab().await;
    let ask = |operation: &str, body: Value| lab.ask(&home(), Service::SecretsManager, operation, body);
    let made = ask("CreateSecret", json!({"Name": "shop/db", "SecretString": "1"}));
    let arn = made["ARN"].as_str().unwrap();
    let name = arn.rsplit(":secret:").next().unwrap();
    let sources = lab.sources().await;
    let first = sources.secret(&home(), name).await.unwrap().unwrap();
    assert!(is_recent(&lab, first));
    assert_eq!(sources.secret(&home(), "shop/db").await.unwrap(), Some(first), "without its end");
    tokio::time::sleep(Duration::from_millis(30)).await;
    ask("UpdateSecret", json!({"SecretId": "shop/db", "Description": "of the shop"}));
    let pending = json!({"SecretId": "shop/db", "SecretString": "2", "VersionStages": ["AWSPENDING"]});
    ask("PutSecretValue", pending);
    assert_eq!(sources.secret(&home(), name).await.unwrap(), Some(first), "the same version is current");
    ask("PutSecretValue", json!({"SecretId": "shop/db", "SecretString": "3"}));
    assert!(sources.secret(&home(), name).await.unwrap().unwrap() > first);
    assert_eq!(lab.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn a_secret_that_tasks_cannot_read_has_no_time() {
    let lab = lab().await;
    let ask = |operation: &str, body: Value| lab.ask(&home(), Service::SecretsManager, operation, body);
    ask("CreateSecret", json!({"Name": "empty"}));
    ask("CreateSecret", json!({"Name": "gone", "SecretString": "x"}));
    ask("DeleteSecret", json!({"SecretId": "gone", "ForceDeleteWithoutRecovery": true}));
    let sources = lab.sources().await;
    for name in ["empty", "gone", "never"] {
        assert_eq!(sources.secret(&home(), name).await, Ok(None), "{name}");
    }
}

#[tokio::test]
async fn an_object_tells_when_it_was_written_and_others_that_begin_like_it_do_not() {
    let lab = lab().await;
    let ask = |operation: &str, body: Value| lab.ask(&home(), Service::S3, operation, body);
    ask("CreateBucket", json!({"Bucket": "env"}));
    for key in ["web/a b.env", "web/b.env.bak"] {
        ask("PutObject", json!({"Bucket": "env", "Key": key, "Body": "A=1"}));
    }
    let sources = lab.sources().await;
    let at = sources.object(&home(), "env", "web/a b.env").await.unwrap().unwrap();
    assert!(is_recent(&lab, at));
    assert_eq!(sources.object(&home(), "env", "web/b.env").await, Ok(None));
    assert_eq!(sources.object(&home(), "none", "web/b.env").await, Ok(None));
    assert_eq!(lab.calls("GetObject"), 0);
}

#[tokio::test]
async fn a_bucket_in_another_region_is_looked_for_once() {
    let lab = lab().await;
    let far = place(ACCOUNT, "us-east-2");
    lab.ask(&far, Service::S3, "CreateBucket", json!({"Bucket": "far"}));
    lab.ask(&far, Service::S3, "PutObject", json!({"Bucket": "far", "Key": "k", "Body": ""}));
    let sources = lab.sources().await;
    for calls in [2, 3] {
        assert!(sources.object(&home(), "far", "k").await.unwrap().is_some());
        assert_eq!(lab.calls("ListObjectsV2"), calls);
    }
}

#[tokio::test]
async fn each_account_and_region_is_read_by_its_own_way() {
    let lab = lab().await;
    let theirs = place(OTHER, "eu-central-1");
    let pushed = lab.push(&theirs, &["1"]);
    lab.ask(&theirs, Service::Ssm, "PutParameter", json!({"Name": "/a", "Value": "x"}));
    let alone = lab.sources().await;
    let states = alone.tags(&theirs, &"shop/api".into(), &tags(&["1"])).await.unwrap();
    assert_eq!(digests(&states), [("1", &pushed)], "a registry may be shared");
    let refused = alone.parameters(&theirs, &names(&["/a"])).await.unwrap_err();
    assert_eq!((refused.cause, refused.remedy), (Cause::Permission, Remedy::GiveUp), "{refused:?}");
    assert!(alone.parameters(&home(), &names(&["/a"])).await.unwrap().is_empty());
    let both = alone.with_account(OTHER.into(), lab.connections(OTHER).await);
    assert_eq!(both.parameters(&theirs, &names(&["/a"])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_aws_fails_is_tried_three_times_and_told_then() {
    let lab = lab().await;
    let sources = lab.sources().await;
    let read = async || sources.parameters(&home(), &names(&["/a"])).await;
    lab.break_once(Service::Ssm, "DescribeParameters", FaultKind::ServerError, 2);
    assert_eq!(read().await, Ok(BTreeMap::new()));
    assert_eq!(lab.calls("DescribeParameters"), 3);
    lab.break_once(Service::Ssm, "DescribeParameters", FaultKind::ServerError, 3);
    let failed = read().await.unwrap_err();
    assert_eq!(failed.remedy, Remedy::Retry, "{failed:?}");
    assert_eq!(lab.calls("DescribeParameters"), 6);
}

#[tokio::test]
async fn throttling_is_told_as_what_it_is_for_every_service() {
    let lab = lab().await;
    let sources = lab.sources().await;
    for (service, operation) in [
        (Service::Ecr, "DescribeImages"),
        (Service::Ssm, "DescribeParameters"),
        (Service::SecretsManager, "ListSecretVersionIds"),
        (Service::S3, "ListObjectsV2"),
    ] {
        lab.break_once(service, operation, FaultKind::Throttle, 3);
    }
    let failures: [CallFailure; 4] = [
        sources.tags(&home(), &"a".into(), &tags(&["1"])).await.unwrap_err(),
        sources.parameters(&home(), &names(&["/a"])).await.unwrap_err(),
        sources.secret(&home(), "a").await.unwrap_err(),
        sources.object(&home(), "a", "b").await.unwrap_err(),
    ];
    for failure in failures {
        assert_eq!((failure.cause, failure.remedy), (Cause::Throttled, Remedy::Wait), "{failure:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_stopped_begins_nothing() {
    let lab = lab().await;
    let sources = lab.sources().await;
    sources.stop();
    let failed = sources.secret(&home(), "a").await.unwrap_err();
    assert!(failed.reason.contains("stopping"), "{failed:?}");
    assert_eq!(lab.calls("ListSecretVersionIds"), 0);
}
