//! The contract of repositories.

use serde_json::{Value, json};

use super::*;
use crate::sim::{
    Service::{self, Ecr},
    call::Call,
    testkit::Bench,
};

const IMAGE: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/app";

fn scope() -> Scope {
    Call::new(Service::Ecr, "", json!({})).scope
}

fn tags(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

/// Pushes to the repository `app`. Says the digest.
fn push(bench: &mut Bench, named: &[&str]) -> String {
    bench.world.push(bench.now, &scope(), "app", &tags(named), None)
}

/// The images that a call describes, each as `digest tags`, in order of their first tags.
fn described(bench: &mut Bench, body: Value) -> Vec<Value> {
    let reply = bench.call(Ecr, "DescribeImages", body);
    reply["imageDetails"].as_array().expect("a list").clone()
}

#[test]
fn a_push_is_announced_once_for_every_tag_and_once_without() {
    let (mut registry, mut outbox) = (Registry::default(), vec![]);
    let now = Timestamp::from_millis(0);
    registry.push(&scope(), ("app", &tags(&["1", "latest"]), None), now, &mut outbox);
    registry.push(&scope(), ("app", &[], None), now, &mut outbox);
    let said: Vec<_> =
        outbox.iter().map(|event| event.detail["image-tag"].as_str().expect("a tag")).collect();
    assert_eq!(said, ["1", "latest", ""]);
    assert_eq!(outbox[0].detail["image-digest"], outbox[1].detail["image-digest"]);
}

#[test]
fn a_tag_moves_and_a_digest_stays() {
    let (mut registry, mut outbox) = (Registry::default(), vec![]);
    let now = Timestamp::from_millis(0);
    let old = registry.push(&scope(), ("app", &tags(&["latest", "v1-crash"]), None), now, &mut outbox);
    let new = registry.push(&scope(), ("app", &tags(&["latest"]), None), now, &mut outbox);
    assert_ne!(old, new);
    assert_eq!(registry.resolve(&format!("{IMAGE}:latest")).digest, Some(new));
    let pinned = registry.resolve(&format!("{IMAGE}@{old}"));
    assert_eq!(pinned, Resolved { digest: Some(old), tags: tags(&["latest", "v1-crash"]) });
    assert_eq!(registry.resolve(&format!("{IMAGE}:gone")).digest, None);
}

#[test]
fn a_repository_that_nobody_pushed_to_has_every_tag() {
    let registry = Registry::default();
    let digest = |image: &str| registry.resolve(image).digest;
    assert_eq!(digest("nginx:1"), digest("nginx:1"));
    assert_ne!(digest("nginx:1"), digest("nginx:2"));
    assert_eq!(digest("localhost:5000/app"), digest("localhost:5000/app:latest"));
    assert_eq!(digest("nginx:nope"), None);
}

#[test]
fn a_tag_that_moves_leaves_the_time_of_the_push_as_it_was() {
    let mut bench = Bench::new();
    let first = push(&mut bench, &["1", "latest"]);
    let at = bench.now;
    bench.pass(60_000);
    push(&mut bench, &["2", "latest"]);
    bench.pass(60_000);
    bench.world.push(bench.now, &scope(), "app", &tags(&["latest"]), Some(&first));
    let image = described(&mut bench, json!({"repositoryName": "app", "imageIds": [{"imageTag": "latest"}]}));
    assert_eq!((&image[0]["imageDigest"], image.len()), (&json!(first), 1));
    assert_eq!(image[0]["imagePushedAt"], crate::sim::call::seconds(at));
}

#[test]
fn one_tag_that_is_missing_fails_the_whole_call() {
    let mut bench = Bench::new();
    push(&mut bench, &["1"]);
    let body = json!({"repositoryName": "app", "imageIds": [{"imageTag": "1"}, {"imageTag": "9"}]});
    assert_eq!(bench.fails(Ecr, "DescribeImages", body.clone()), "ImageNotFoundException");
    let both = bench.call(Ecr, "BatchGetImage", body);
    assert_eq!(
        (&both["images"][0]["imageId"]["imageTag"], both["images"].as_array().map(Vec::len)),
        (&json!("1"), Some(1))
    );
    assert_eq!(both["failures"][0]["failureCode"], "ImageNotFound");
    let ids: Vec<Value> = (0..101).map(|_| json!({"imageTag": "1"})).collect();
    let many = json!({"repositoryName": "app", "imageIds": ids});
    assert_eq!(bench.fails(Ecr, "DescribeImages", many), "InvalidParameterException");
}

#[test]
fn all_images_are_listed_by_the_page_with_tags_or_without() {
    let mut bench = Bench::new();
    for number in 0..7 {
        push(&mut bench, &[&number.to_string()]);
    }
    for _ in 0..3 {
        bench.pass(1);
        push(&mut bench, &[]);
    }
    for (status, count) in [("TAGGED", 7), ("UNTAGGED", 3), ("ANY", 10)] {
        let (mut body, mut seen) =
            (json!({"repositoryName": "app", "maxResults": 4, "filter": {"tagStatus": status}}), 0);
        loop {
            let reply = bench.call(Ecr, "DescribeImages", body.clone());
            seen += reply["imageDetails"].as_array().map_or(0, Vec::len);
            match reply["nextToken"].as_str() {
                Some(token) => body["nextToken"] = json!(token),
                None => break,
            }
        }
        assert_eq!(seen, count, "{status}");
    }
}

#[test]
fn an_index_comes_after_its_children_and_names_them() {
    let mut bench = Bench::new();
    let url = bench.listen("aws.ecr");
    let (index, children) = bench.world.push_index(bench.now, &scope(), "app", &tags(&["latest"]), 2);
    let said: Vec<Value> = bench.heard(&url).iter().map(|event| event["detail"].clone()).collect();
    let digests: Vec<&Value> = said.iter().map(|detail| &detail["image-digest"]).collect();
    assert_eq!(digests, [&children[0], &children[1], &index]);
    assert_eq!((&said[0]["image-tag"], &said[2]["image-tag"]), (&json!(""), &json!("latest")));
    assert_eq!(said[2]["manifest-media-type"], INDEX_TYPE);
    let body = json!({"repositoryName": "app", "imageIds": [{"imageDigest": index}]});
    let image = bench.call(Ecr, "BatchGetImage", body)["images"][0].clone();
    assert_eq!(image["imageManifestMediaType"], INDEX_TYPE);
    let manifest: Value =
        serde_json::from_str(image["imageManifest"].as_str().expect("a text")).expect("it is JSON");
    assert_eq!(manifest["manifests"], json!([{"digest": children[0]}, {"digest": children[1]}]));
}

#[test]
fn a_manifest_is_put_once_under_each_tag() {
    let mut bench = Bench::new();
    let create = json!({"repositoryName": "app", "imageTagMutability": "IMMUTABLE"});
    bench.call(Ecr, "CreateRepository", create.clone());
    assert_eq!(bench.fails(Ecr, "CreateRepository", create), "RepositoryAlreadyExistsException");
    let put = |manifest: &str, tag: &str| json!({"repositoryName": "app", "imageManifest": manifest, "imageTag": tag});
    let digest = bench.call(Ecr, "PutImage", put("{}", "1"))["image"]["imageId"]["imageDigest"].clone();
    assert_eq!(digest, json!(digest_of("{}")));
    assert_eq!(bench.fails(Ecr, "PutImage", put("{}", "1")), "ImageAlreadyExistsException");
    assert_eq!(bench.fails(Ecr, "PutImage", put("{\"a\":1}", "1")), "ImageTagAlreadyExistsException");
    bench.call(Ecr, "PutImage", put("{}", "2"));
    let image = described(&mut bench, json!({"repositoryName": "app"}));
    assert_eq!((image[0]["imageTags"].clone(), image.len()), (json!(["1", "2"]), 1));
}

#[test]
fn what_is_deleted_is_announced_and_cannot_be_pulled() {
    let mut bench = Bench::new();
    let digest = push(&mut bench, &["1", "latest"]);
    let url = bench.listen("aws.ecr");
    let delete = |id: Value| json!({"repositoryName": "app", "imageIds": [id, {"imageTag": "never"}]});
    let reply = bench.call(Ecr, "BatchDeleteImage", delete(json!({"imageTag": "1"})));
    assert_eq!(reply["imageIds"], json!([{"imageDigest": digest, "imageTag": "1"}]));
    assert_eq!(reply["failures"][0]["imageId"]["imageTag"], "never");
    assert_eq!(described(&mut bench, json!({"repositoryName": "app"}))[0]["imageTags"], json!(["latest"]));
    bench.call(Ecr, "BatchDeleteImage", delete(json!({"imageDigest": digest})));
    assert!(described(&mut bench, json!({"repositoryName": "app"})).is_empty());
    let said: Vec<Value> =
        bench.heard(&url).iter().map(|event| event["detail"]["image-tag"].clone()).collect();
    assert_eq!(said, ["1", "latest"]);
}

#[test]
fn repositories_are_of_one_account_and_region() {
    let mut bench = Bench::new();
    push(&mut bench, &["1"]);
    let elsewhere = Scope { account: "111122223333".to_owned(), ..scope() };
    let body = json!({"repositoryName": "app"});
    let theirs = bench.call_at(&elsewhere, Ecr, "DescribeImages", body.clone());
    assert_eq!(theirs.code(), "RepositoryNotFoundException");
    let ours = json!({"repositoryName": "app", "registryId": "000000000000"});
    assert_eq!(bench.call_at(&elsewhere, Ecr, "DescribeImages", ours).code(), "OK");
    let far = Scope { region: "eu-west-1".to_owned(), ..scope() };
    assert_eq!(bench.call_at(&far, Ecr, "DescribeImages", body).code(), "RepositoryNotFoundException");
}

#[test]
fn repositories_are_described_by_name_or_by_the_page() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.call(Ecr, "CreateRepository", json!({"repositoryName": name}));
    }
    let names = |reply: &Value| {
        let all = reply["repositories"].as_array().expect("a list").iter();
        all.map(|it| it["repositoryName"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let one = bench.call(Ecr, "DescribeRepositories", json!({"repositoryNames": ["b"]}));
    assert_eq!(
        (names(&one), &one["repositories"][0]["imageTagMutability"]),
        (tags(&["b"]), &json!("MUTABLE"))
    );
    let missing = json!({"repositoryNames": ["b", "x"]});
    assert_eq!(bench.fails(Ecr, "DescribeRepositories", missing), "RepositoryNotFoundException");
    let page = bench.call(Ecr, "DescribeRepositories", json!({"maxResults": 2}));
    assert_eq!((names(&page), page["nextToken"].is_string()), (tags(&["a", "b"]), true));
}

#[test]
fn a_lifecycle_policy_is_there_once_it_was_put() {
    let mut bench = Bench::new();
    let body = json!({"repositoryName": "app"});
    assert_eq!(bench.fails(Ecr, "GetLifecyclePolicy", body.clone()), "RepositoryNotFoundException");
    push(&mut bench, &["1"]);
    assert_eq!(bench.fails(Ecr, "GetLifecyclePolicy", body.clone()), "LifecyclePolicyNotFoundException");
    let policy = json!({"repositoryName": "app", "lifecyclePolicyText": "{\"rules\":[]}"});
    bench.call(Ecr, "PutLifecyclePolicy", policy);
    let reply = bench.call(Ecr, "GetLifecyclePolicy", body);
    assert_eq!(reply["lifecyclePolicyText"], "{\"rules\":[]}");
}
