//! Repositories: tags that move, digests that do not, and an event for every push.
//!
//! | module | does |
//! |---|---|
//! | `repository` | one repository: its images, tags and policy |
//! | `calls` | the API |
//! | `events` | what the bus is told |
//! | `reference` | from an image reference to a repository |

mod calls;
mod events;
mod reference;
mod repository;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest, Sha256};

use self::{
    reference::{ecr_key, split_tag},
    repository::{INDEX_TYPE, Manifest, Repository},
};
use super::{
    bus::Emission,
    call::{Scope, hex},
};
use crate::domain::Timestamp;

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
    /// Pushes an image under some tags, as a build does: the repository is made if it is missing. Says the digest.
    pub(super) fn push(
        &mut self,
        scope: &Scope,
        (repository, tags, digest): (&str, &[String], Option<&str>),
        now: Timestamp,
        outbox: &mut Vec<Emission>,
    ) -> String {
        let digest = digest.map_or_else(|| digest_of(&format!("{repository}@{now}#{tags:?}")), str::to_owned);
        let images = self.made(scope, repository, now);
        let manifest = images.put(&digest, &Manifest::of_image(&digest), tags, now);
        events::pushed(scope, repository, (&digest, &manifest), tags, outbox, now);
        digest
    }

    /// Pushes an image for several platforms, as a build does: its children first, each without a tag. Says the digest
    /// of the index and those of the children.
    pub(super) fn push_index(
        &mut self,
        scope: &Scope,
        (repository, tags, children): (&str, &[String], usize),
        now: Timestamp,
        outbox: &mut Vec<Emission>,
    ) -> (String, Vec<String>) {
        let name = |child: usize| digest_of(&format!("{repository}@{now}#{tags:?}/{child}"));
        let children: Vec<String> = (0..children).map(name).collect();
        for child in &children {
            self.push(scope, (repository, &[], Some(child)), now, outbox);
        }
        let listed: Vec<_> = children.iter().map(|child| json!({"digest": child})).collect();
        let text = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed}).to_string();
        let digest = digest_of(&text);
        let images = self.made(scope, repository, now);
        let manifest = images.put(&digest, &Manifest::read(&text), tags, now);
        events::pushed(scope, repository, (&digest, &manifest), tags, outbox, now);
        (digest, children)
    }

    fn made(&mut self, scope: &Scope, repository: &str, now: Timestamp) -> &mut Repository {
        let key = (scope.clone(), repository.to_owned());
        self.0.entry(key).or_insert_with(|| Repository::new(now))
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
}

/// `sha256:` and the digest of some text.
pub(super) fn digest_of(text: &str) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text.as_bytes())))
}
