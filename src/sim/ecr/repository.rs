//! One repository: its images, tags and policy.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Resolved;
use crate::{domain::Timestamp, sim::call::text};

/// The media type of an index in the form of OCI.
pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an image in the form of OCI.
pub(super) const IMAGE_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What was pushed: its text, and what the text says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) text: String,
    pub(super) media_type: String,
}

impl Manifest {
    pub(super) fn read(text: &str) -> Self {
        let parsed: Value = serde_json::from_str(text).unwrap_or_default();
        let media_type = parsed["mediaType"].as_str().unwrap_or(IMAGE_TYPE).to_owned();
        Self { text: text.to_owned(), media_type }
    }

    /// That of an image of which nothing is known but its digest.
    pub(super) fn of_image(digest: &str) -> Self {
        Self::read(
            &json!({"schemaVersion": 2, "mediaType": IMAGE_TYPE, "config": {"of": digest}}).to_string(),
        )
    }
}

/// An image in a repository.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) manifest: Manifest,
    /// When its manifest first came: a tag that moves to it later changes nothing here.
    pub(super) pushed: Timestamp,
    pub(super) tags: Vec<String>,
    /// Every tag that ever named this image: what an image does must not change when a tag moves away.
    ever: Vec<String>,
}

/// A repository.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    pub(super) created: Timestamp,
    /// Whether a tag stays at its first image.
    pub(super) immutable: bool,
    /// The text of its lifecycle policy. It is never carried out.
    pub(super) lifecycle: Option<String>,
    images: BTreeMap<String, Image>,
}

impl Repository {
    pub(super) fn new(created: Timestamp) -> Self {
        Self { created, immutable: false, lifecycle: None, images: BTreeMap::new() }
    }

    /// Keeps an image, unless it is there, and moves these tags to it. Says the manifest that it has.
    pub(super) fn put(
        &mut self,
        digest: &str,
        manifest: &Manifest,
        tags: &[String],
        now: Timestamp,
    ) -> Manifest {
        for image in self.images.values_mut() {
            image.tags.retain(|tag| !tags.contains(tag));
        }
        let new = || Image { manifest: manifest.clone(), pushed: now, tags: vec![], ever: vec![] };
        let image = self.images.entry(digest.to_owned()).or_insert_with(new);
        image.tags.extend_from_slice(tags);
        image.ever.extend_from_slice(tags);
        image.manifest.clone()
    }

    /// The images with their digests, in the order of these.
    pub(super) fn images(&self) -> impl Iterator<Item = (&String, &Image)> {
        self.images.iter()
    }

    /// The image that an `imageIds` entry names: by its digest, or else by its tag.
    pub(super) fn find(&self, id: &Value) -> Option<(&String, &Image)> {
        match id["imageDigest"].as_str() {
            Some(digest) => self.images.get_key_value(digest),
            None => self.tagged(text(id, "imageTag")),
        }
    }

    /// Takes a tag away, and the image with its last one; or the image, where only its digest is given. Says which
    /// digest and tags are gone.
    pub(super) fn delete(&mut self, id: &Value) -> Option<(String, Vec<String>)> {
        let digest = self.find(id)?.0.clone();
        let image = self.images.get_mut(&digest)?;
        let gone = match id["imageTag"].as_str() {
            None => std::mem::take(&mut image.tags),
            Some(tag) => {
                image.tags.retain(|other| other != tag);
                vec![tag.to_owned()]
            }
        };
        if image.tags.is_empty() {
            self.images.remove(&digest);
        }
        Some((digest, gone))
    }

    pub(super) fn by_tag(&self, tag: &str) -> Resolved {
        let found = self.tagged(tag);
        let tags = found.map_or_else(|| vec![tag.to_owned()], |(_, image)| image.ever.clone());
        Resolved { digest: found.map(|(digest, _)| digest.clone()), tags }
    }

    pub(super) fn by_digest(&self, digest: String) -> Resolved {
        match self.images.get(&digest) {
            Some(image) => Resolved { digest: Some(digest), tags: image.ever.clone() },
            None => Resolved { digest: None, tags: vec![] },
        }
    }

    fn tagged(&self, tag: &str) -> Option<(&String, &Image)> {
        self.images.iter().find(|(_, image)| image.tags.iter().any(|other| other == tag))
    }
}
