//! The API of ECR. A call may name another account's registry; nobody's policy is asked.

use serde_json::{Value, json};

use super::{
    Registry, digest_of, events,
    repository::{Image, Manifest, Repository},
};
use crate::{
    domain::Timestamp,
    sim::{
        bus::Emission,
        call::{Call, Fail, Outcome, Scope, list, seconds, text, texts},
        page,
    },
};

/// What one call may name.
const MOST_IMAGES: usize = 100;

impl Registry {
    pub(in crate::sim) fn call(
        &mut self,
        call: &Call,
        now: Timestamp,
        outbox: &mut Vec<Emission>,
    ) -> Outcome {
        match call.operation.as_str() {
            "CreateRepository" => self.create(call, now),
            "DescribeRepositories" => self.describe_repositories(call),
            "PutImage" => self.put_image(call, now, outbox),
            "DescribeImages" => self.describe_images(call),
            "BatchGetImage" => self.batch_get(call),
            "BatchDeleteImage" => self.batch_delete(call, now, outbox),
            "PutLifecyclePolicy" => {
                let policy = text(&call.body, "lifecyclePolicyText").to_owned();
                self.repository_mut(call)?.lifecycle = Some(policy);
                self.lifecycle(call)
            }
            "GetLifecyclePolicy" => self.lifecycle(call),
            operation => Err(Fail::unknown(operation)),
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
        let immutable = text(&call.body, "imageTagMutability") == "IMMUTABLE";
        let mut repository = Repository::new(now);
        repository.immutable = immutable;
        let described = describe(&call.scope, name, &repository);
        self.0.insert(key, repository);
        Ok(json!({"repository": described}))
    }

    fn describe_repositories(&self, call: &Call) -> Outcome {
        let scope = registry(call);
        let named: Vec<&str> = texts(&call.body, "repositoryNames").collect();
        for name in &named {
            self.at(&scope, name)?;
        }
        let wanted = |name: &str| named.is_empty() || named.contains(&name);
        let mine = self.0.iter().filter(|((at, name), _)| *at == scope && wanted(name));
        let described = mine.map(|((scope, name), repository)| describe(scope, name, repository)).collect();
        page::ECR.page(&call.body, "repositories", described, 100)
    }

    fn put_image(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        let (name, text) = (text(&call.body, "repositoryName"), text(&call.body, "imageManifest"));
        let tags: Vec<String> = call.body["imageTag"].as_str().map(str::to_owned).into_iter().collect();
        let digest = call.body["imageDigest"].as_str().map_or_else(|| digest_of(text), str::to_owned);
        let (scope, repository) = (registry(call), self.repository_mut(call)?);
        check_put(repository, &digest, &tags)?;
        let manifest = repository.put(&digest, &Manifest::read(text), &tags, now);
        events::pushed(&scope, name, (&digest, &manifest), &tags, outbox, now);
        let id = json!({"imageDigest": digest, "imageTag": tags.first()});
        Ok(json!({"image": whole(&scope, name, id, &manifest)}))
    }

    /// Images that are named, all or none; or a page of all that the filter lets through.
    fn describe_images(&self, call: &Call) -> Outcome {
        let (body, repository) = (&call.body, self.repository(call)?);
        let (scope, name) = (registry(call), text(body, "repositoryName"));
        let asked = list(body, "imageIds");
        check_count(asked)?;
        if asked.is_empty() {
            let status = text(&body["filter"], "tagStatus");
            let passes = |image: &Image| match status {
                "TAGGED" => !image.tags.is_empty(),
                "UNTAGGED" => image.tags.is_empty(),
                _ => true,
            };
            let images = repository.images().filter(|(_, image)| passes(image));
            let details = images.map(|(digest, image)| detail(&scope, name, digest, image)).collect();
            return page::ECR.page(body, "imageDetails", details, 100);
        }
        let mut found = Vec::new();
        for id in asked {
            let (digest, _) = repository.find(id).ok_or_else(|| no_image(&scope, name, id))?;
            found.push(digest);
        }
        let images = repository.images().filter(|(digest, _)| found.contains(digest));
        let details: Vec<Value> = images.map(|(digest, image)| detail(&scope, name, digest, image)).collect();
        Ok(json!({"imageDetails": details}))
    }

    fn batch_get(&self, call: &Call) -> Outcome {
        let (scope, repository) = (registry(call), self.repository(call)?);
        let (name, asked) = (text(&call.body, "repositoryName"), list(&call.body, "imageIds"));
        check_count(asked)?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in asked {
            match repository.find(id) {
                Some((digest, image)) => {
                    let id = json!({"imageDigest": digest, "imageTag": id["imageTag"]});
                    images.push(whole(&scope, name, id, &image.manifest));
                }
                None => failures.push(not_found(id)),
            }
        }
        Ok(json!({"images": images, "failures": failures}))
    }

    fn batch_delete(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        let (scope, name) = (registry(call), text(&call.body, "repositoryName"));
        let (repository, asked) = (self.repository_mut(call)?, list(&call.body, "imageIds"));
        check_count(asked)?;
        let (mut gone, mut failures) = (Vec::new(), Vec::new());
        for id in asked {
            let Some((digest, tags)) = repository.delete(id) else {
                failures.push(not_found(id));
                continue;
            };
            events::deleted(&scope, name, (&digest, &tags), outbox, now);
            gone.push(json!({"imageDigest": digest, "imageTag": tags.first()}));
        }
        Ok(json!({"imageIds": gone, "failures": failures}))
    }

    fn lifecycle(&self, call: &Call) -> Outcome {
        let name = text(&call.body, "repositoryName");
        let policy = self.repository(call)?.lifecycle.as_ref().ok_or_else(|| {
            Fail::new(
                "LifecyclePolicyNotFoundException",
                format!("Lifecycle policy does not exist for the repository with name '{name}'"),
            )
        })?;
        let registry = registry(call).account;
        Ok(json!({"registryId": registry, "repositoryName": name, "lifecyclePolicyText": policy}))
    }

    fn at(&self, scope: &Scope, name: &str) -> Result<&Repository, Fail> {
        self.0.get(&(scope.clone(), name.to_owned())).ok_or_else(|| no_repository(name, scope))
    }

    fn repository(&self, call: &Call) -> Result<&Repository, Fail> {
        self.at(&registry(call), text(&call.body, "repositoryName"))
    }

    fn repository_mut(&mut self, call: &Call) -> Result<&mut Repository, Fail> {
        let (scope, name) = (registry(call), text(&call.body, "repositoryName"));
        self.0.get_mut(&(scope.clone(), name.to_owned())).ok_or_else(|| no_repository(name, &scope))
    }
}

/// The registry that a call addresses: the caller's, unless it names another account's.
fn registry(call: &Call) -> Scope {
    let account = call.body["registryId"].as_str().unwrap_or(&call.scope.account).to_owned();
    Scope { account, region: call.scope.region.clone() }
}

fn check_count(asked: &[Value]) -> Result<(), Fail> {
    if asked.len() <= MOST_IMAGES {
        return Ok(());
    }
    Err(Fail::new("InvalidParameterException", "imageIds can have 100 entries at most."))
}

/// Refuses what is there already, and a tag that may not move.
fn check_put(repository: &Repository, digest: &str, tags: &[String]) -> Result<(), Fail> {
    for tag in tags {
        match repository.find(&json!({"imageTag": tag})) {
            Some((found, _)) if found == digest => {
                return Err(Fail::new(
                    "ImageAlreadyExistsException",
                    format!("Image with digest '{digest}' and tag '{tag}' already exists"),
                ));
            }
            Some(_) if repository.immutable => {
                let said = format!("The image tag '{tag}' already exists and cannot be overwritten");
                return Err(Fail::new("ImageTagAlreadyExistsException", said));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn describe(scope: &Scope, name: &str, repository: &Repository) -> Value {
    json!({
        "repositoryArn": scope.arn("ecr", &format!("repository/{name}")), "registryId": scope.account,
        "repositoryName": name, "createdAt": seconds(repository.created),
        "imageTagMutability": if repository.immutable { "IMMUTABLE" } else { "MUTABLE" },
        "repositoryUri": format!("{}.dkr.ecr.{}.amazonaws.com/{name}", scope.account, scope.region),
    })
}

fn detail(scope: &Scope, name: &str, digest: &str, image: &Image) -> Value {
    json!({
        "registryId": scope.account, "repositoryName": name, "imageDigest": digest, "imageTags": image.tags,
        "imagePushedAt": seconds(image.pushed), "imageManifestMediaType": image.manifest.media_type,
        "imageStatus": "ACTIVE",
    })
}

fn whole(scope: &Scope, name: &str, id: Value, manifest: &Manifest) -> Value {
    json!({
        "registryId": scope.account, "repositoryName": name, "imageId": id, "imageManifest": manifest.text,
        "imageManifestMediaType": manifest.media_type,
    })
}

fn not_found(id: &Value) -> Value {
    json!({"imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
}

fn no_repository(name: &str, scope: &Scope) -> Fail {
    let registry = &scope.account;
    let said =
        format!("The repository with name '{name}' does not exist in the registry with id '{registry}'");
    Fail::new("RepositoryNotFoundException", said)
}

fn no_image(scope: &Scope, name: &str, id: &Value) -> Fail {
    let part = |key: &str| id[key].as_str().unwrap_or("null").to_owned();
    let (digest, tag, registry) = (part("imageDigest"), part("imageTag"), &scope.account);
    Fail::new(
        "ImageNotFoundException",
        format!(
            "The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository \
             with name '{name}' in the registry with id '{registry}'"
        ),
    )
}
