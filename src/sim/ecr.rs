//! Repositories: tags that move, digests that do not, and an event for every push.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    bus::Emission,
    call::{Call, Fail, Outcome, Scope, hex, list, seconds, text},
};
use crate::domain::Timestamp;

/// An image in a repository.
#[derive(Clone, Debug)]
struct Image {
    manifest: String,
    pushed: Timestamp,
    tags: Vec<String>,
    /// Every tag that ever named this image: what an image does must not change when a tag moves away.
    ever: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Repository(BTreeMap<String, Image>);

/// All repositories of the world.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry(BTreeMap<(Scope, String), Repository>);

/// What an image reference stands for at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// `None` if the registry does not have it.
    pub(super) digest: Option<String>,
    /// The tags from which the image's behaviour is read.
    pub(super) tags: Vec<String>,
}

impl Registry {
    pub(super) fn call(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        match call.operation.as_str() {
            "CreateRepository" => self.create(call, now),
            "DescribeRepositories" => Ok(self.describe_repositories(call)),
            "PutImage" => self.put_image(call, now, outbox),
            "DescribeImages" => self.describe_images(call),
            "BatchGetImage" => self.batch_get(call),
            operation => Err(Fail::unknown(operation)),
        }
    }

    /// Pushes an image under some tags, as a build does: the repository is made if it is missing. Says the digest.
    pub(super) fn push(
        &mut self,
        scope: &Scope,
        (repository, tags, digest): (&str, &[String], Option<&str>),
        now: Timestamp,
        outbox: &mut Vec<Emission>,
    ) -> String {
        let digest = digest.map_or_else(|| digest_of(&format!("{repository}@{now}#{tags:?}")), str::to_owned);
        let images = self.0.entry((scope.clone(), repository.to_owned())).or_default();
        images.put(&digest, "", tags, now);
        announce(scope, repository, &digest, tags, now, outbox);
        digest
    }

    /// What a reference such as `ACCOUNT.dkr.ecr.REGION.amazonaws.com/repo:tag` stands for now. A repository that
    /// was never pushed to has every tag, with a digest made of the name.
    pub(super) fn resolve(&self, reference: &str) -> Resolved {
        let (name, digest) = match reference.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (reference, None),
        };
        let (repository, tag) = split_tag(name);
        let known = ecr_key(repository).and_then(|key| self.0.get(&key));
        match (known, digest) {
            (Some(images), Some(digest)) => images.by_digest(digest),
            (Some(images), None) => images.by_tag(tag),
            (None, Some(digest)) => Resolved { digest: Some(digest), tags: vec![tag.to_owned()] },
            (None, None) => {
                let digest = (!tag.contains("nope")).then(|| digest_of(&format!("{repository}:{tag}")));
                Resolved { digest, tags: vec![tag.to_owned()] }
            }
        }
    }

    fn create(&mut self, call: &Call, now: Timestamp) -> Outcome {
        let name = text(&call.body, "repositoryName");
        let key = (call.scope.clone(), name.to_owned());
        if self.0.contains_key(&key) {
            return Err(Fail::new(
                "RepositoryAlreadyExistsException",
                format!("The repository with name '{name}' already exists in the registry"),
            ));
        }
        self.0.insert(key, Repository::default());
        Ok(json!({"repository": describe_repository(&call.scope, name, now)}))
    }

    fn describe_repositories(&self, call: &Call) -> Value {
        let mine = self.0.keys().filter(|(scope, _)| *scope == call.scope);
        let described = mine.map(|(scope, name)| describe_repository(scope, name, Timestamp::from_millis(0)));
        json!({"repositories": described.collect::<Vec<_>>()})
    }

    fn put_image(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        let (name, manifest) = (text(&call.body, "repositoryName"), text(&call.body, "imageManifest"));
        let tags: Vec<String> = call.body["imageTag"].as_str().map(str::to_owned).into_iter().collect();
        let digest = call.body["imageDigest"].as_str().map_or_else(|| digest_of(manifest), str::to_owned);
        let images = self.repository_mut(call)?;
        images.put(&digest, manifest, &tags, now);
        announce(&call.scope, name, &digest, &tags, now, outbox);
        let id = json!({"imageDigest": digest, "imageTag": tags.first()});
        Ok(json!({"image": {
            "registryId": call.scope.account, "repositoryName": name, "imageId": id, "imageManifest": manifest,
        }}))
    }

    fn repository_mut(&mut self, call: &Call) -> Result<&mut Repository, Fail> {
        let name = text(&call.body, "repositoryName");
        self.0.get_mut(&(call.scope.clone(), name.to_owned())).ok_or_else(|| no_repository(name, &call.scope))
    }

    fn repository(&self, call: &Call) -> Result<&Repository, Fail> {
        let name = text(&call.body, "repositoryName");
        self.0.get(&(call.scope.clone(), name.to_owned())).ok_or_else(|| no_repository(name, &call.scope))
    }

    fn describe_images(&self, call: &Call) -> Outcome {
        let images = self.repository(call)?;
        let asked = list(&call.body, "imageIds");
        for id in asked {
            images
                .find(id)
                .ok_or_else(|| Fail::new("ImageNotFoundException", "The image does not exist."))?;
        }
        let wanted = |digest: &String| {
            asked.is_empty()
                || asked.iter().any(|id| images.find(id).is_some_and(|(found, _)| found == digest))
        };
        let name = text(&call.body, "repositoryName");
        let details = images.0.iter().filter(|(digest, _)| wanted(digest)).map(|(digest, image)| {
            json!({
                "registryId": call.scope.account, "repositoryName": name, "imageDigest": digest,
                "imageTags": image.tags, "imagePushedAt": seconds(image.pushed),
            })
        });
        Ok(json!({"imageDetails": details.collect::<Vec<_>>()}))
    }

    fn batch_get(&self, call: &Call) -> Outcome {
        let repository = self.repository(call)?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in list(&call.body, "imageIds") {
            match repository.find(id) {
                Some((digest, image)) => images.push(json!({
                    "registryId": call.scope.account, "repositoryName": call.body["repositoryName"],
                    "imageId": {"imageDigest": digest, "imageTag": id["imageTag"]}, "imageManifest": image.manifest,
                })),
                None => failures.push(json!({
                    "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found",
                })),
            }
        }
        Ok(json!({"images": images, "failures": failures}))
    }
}

impl Repository {
    fn put(&mut self, digest: &str, manifest: &str, tags: &[String], now: Timestamp) {
        for image in self.0.values_mut() {
            image.tags.retain(|tag| !tags.contains(tag));
        }
        let new = || Image { manifest: manifest.to_owned(), pushed: now, tags: vec![], ever: vec![] };
        let image = self.0.entry(digest.to_owned()).or_insert_with(new);
        image.tags.extend_from_slice(tags);
        image.ever.extend_from_slice(tags);
    }

    fn find(&self, id: &Value) -> Option<(&String, &Image)> {
        match id["imageDigest"].as_str() {
            Some(digest) => self.0.get_key_value(digest),
            None => self.0.iter().find(|(_, image)| image.tags.iter().any(|tag| id["imageTag"] == **tag)),
        }
    }

    fn by_tag(&self, tag: &str) -> Resolved {
        let found = self.0.iter().find(|(_, image)| image.tags.iter().any(|other| other == tag));
        let tags = found.map_or_else(|| vec![tag.to_owned()], |(_, image)| image.ever.clone());
        Resolved { digest: found.map(|(digest, _)| digest.clone()), tags }
    }

    fn by_digest(&self, digest: String) -> Resolved {
        match self.0.get(&digest) {
            Some(image) => Resolved { digest: Some(digest), tags: image.ever.clone() },
            None => Resolved { digest: None, tags: vec![] },
        }
    }
}

fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// The scope and name of a repository in the form `ACCOUNT.dkr.ecr.REGION.amazonaws.com/name`.
fn ecr_key(repository: &str) -> Option<(Scope, String)> {
    let (host, name) = repository.split_once('/')?;
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let (region, _) = rest.split_once('.')?;
    Some((Scope { account: account.to_owned(), region: region.to_owned() }, name.to_owned()))
}

/// `sha256:` and the digest of some text.
pub(super) fn digest_of(text: &str) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text.as_bytes())))
}

fn describe_repository(scope: &Scope, name: &str, created: Timestamp) -> Value {
    json!({
        "repositoryArn": scope.arn("ecr", &format!("repository/{name}")), "registryId": scope.account,
        "repositoryName": name, "createdAt": seconds(created), "imageTagMutability": "MUTABLE",
        "repositoryUri": format!("{}.dkr.ecr.{}.amazonaws.com/{name}", scope.account, scope.region),
    })
}

fn no_repository(name: &str, scope: &Scope) -> Fail {
    Fail::new(
        "RepositoryNotFoundException",
        format!(
            "The repository with name '{name}' does not exist in the registry with id '{}'",
            scope.account
        ),
    )
}

/// One event per tag; an image without a tag is announced with the empty one.
fn announce(
    scope: &Scope,
    name: &str,
    digest: &str,
    tags: &[String],
    now: Timestamp,
    outbox: &mut Vec<Emission>,
) {
    let untagged = [String::new()];
    for tag in if tags.is_empty() { &untagged } else { tags } {
        outbox.push(Emission {
            scope: scope.clone(),
            source: "aws.ecr".to_owned(),
            detail_type: "ECR Image Action".to_owned(),
            time: now,
            resources: vec![],
            detail: json!({
                "result": "SUCCESS", "repository-name": name, "image-digest": digest, "action-type": "PUSH",
                "image-tag": tag, "manifest-media-type": "application/vnd.oci.image.manifest.v1+json",
                "artifact-media-type": "application/vnd.oci.image.config.v1+json",
            }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::call::Service;

    const IMAGE: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/app";

    fn scope() -> Scope {
        Call::new(Service::Ecr, "", json!({})).scope
    }

    fn tags(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
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
}
