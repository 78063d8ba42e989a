//! Images in ECR: what tags mean, and what an index holds.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecr::types::{DescribeImagesFilter, ImageDetail, ImageFailureCode, ImageIdentifier, TagStatus};
use serde::Deserialize;
use tracing::debug;

use super::{
    failure::Fault,
    reads::{following, time},
    sources::Reach,
};
use crate::domain::{AccountId, Digest, Glob, RepositoryName, Tag, TagMutability, TagState};

/// AWS's bound for `imageIds` of one call.
const TAGS_PER_CALL: usize = 100;
/// AWS's bound for one page of a list.
const PAGE: i32 = 1_000;
/// A list is read no further: a repository of ECR holds 100,000 images at most, and only the newest are of interest,
/// but AWS lists them in no order.
const MOST_PAGES: usize = 10;
/// All kinds of manifests that an image of ECS may have: ECR refuses to hand out one that is not accepted.
const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A repository, in whosever registry it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repository<'a> {
    pub(super) registry: &'a AccountId,
    pub(super) name: &'a RepositoryName,
}

/// As much of a manifest as tells what an index holds.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Child>,
}

#[derive(Deserialize)]
struct Child {
    digest: String,
}

impl Reach {
    /// What these tags mean; those that are not there are left out.
    ///
    /// A tag that is not there fails the whole DescribeImages, and only the text of the failure names it. So the call is
    /// made for each half then: with `k` of `n` tags missing that takes some `2 k log n` calls.
    pub(super) async fn tags(
        &self,
        repository: Repository<'_>,
        tags: &[Tag],
    ) -> Result<BTreeMap<Tag, TagState>, Fault> {
        let mut states = BTreeMap::new();
        let mut batches: Vec<&[Tag]> = tags.chunks(TAGS_PER_CALL).collect();
        while let Some(batch) = batches.pop() {
            match self.describe_tags(repository, batch).await {
                Ok(images) => {
                    let found = images.iter().flat_map(states_of);
                    states.extend(found.filter(|(tag, _)| batch.contains(tag)));
                }
                Err(fault) if fault.code() == Some("ImageNotFoundException") => {
                    if batch.len() > 1 {
                        let (left, right) = batch.split_at(batch.len() / 2);
                        batches.extend([left, right]);
                    }
                }
                Err(fault) if is_without_repository(&fault) => return Ok(BTreeMap::new()),
                Err(fault) => return Err(fault),
            }
        }
        Ok(states)
    }

    /// Of these digests those that are there. One that is not fails the whole call, as a tag does.
    pub(super) async fn digests(
        &self,
        repository: Repository<'_>,
        digests: &[Digest],
    ) -> Result<BTreeSet<Digest>, Fault> {
        let mut found = BTreeSet::new();
        let mut batches: Vec<&[Digest]> = digests.chunks(TAGS_PER_CALL).collect();
        while let Some(batch) = batches.pop() {
            let id = |digest: &Digest| ImageIdentifier::builder().image_digest(digest.as_str()).build();
            match self.describe(repository, batch.iter().map(id).collect()).await {
                Ok(_) => found.extend(batch.iter().cloned()),
                Err(fault) if fault.code() == Some("ImageNotFoundException") => {
                    if batch.len() > 1 {
                        let (left, right) = batch.split_at(batch.len() / 2);
                        batches.extend([left, right]);
                    }
                }
                Err(fault) if is_without_repository(&fault) => return Ok(BTreeSet::new()),
                Err(fault) => return Err(fault),
            }
        }
        Ok(found)
    }

    async fn describe_tags(
        &self,
        repository: Repository<'_>,
        tags: &[Tag],
    ) -> Result<Vec<ImageDetail>, Fault> {
        let id = |tag: &Tag| ImageIdentifier::builder().image_tag(tag.as_str()).build();
        self.describe(repository, tags.iter().map(id).collect()).await
    }

    async fn describe(
        &self,
        repository: Repository<'_>,
        ids: Vec<ImageIdentifier>,
    ) -> Result<Vec<ImageDetail>, Fault> {
        let call = || {
            let call = self.ecr.describe_images().set_image_ids(Some(ids.clone()));
            call.registry_id(repository.registry.as_str()).repository_name(repository.name.as_str()).send()
        };
        let answer = self.reads.ask("ecr", "DescribeImages", call).await?;
        Ok(answer.image_details.unwrap_or_default())
    }

    /// What the tags of a repository mean, as far as it is listed.
    pub(super) async fn all_tags(
        &self,
        repository: Repository<'_>,
    ) -> Result<BTreeMap<Tag, TagState>, Fault> {
        let filter = DescribeImagesFilter::builder().tag_status(TagStatus::Tagged).build();
        let (mut states, mut token) = (BTreeMap::new(), None);
        for _ in 0..MOST_PAGES {
            let call = || {
                let call = self.ecr.describe_images().filter(filter.clone()).max_results(PAGE);
                let call = call.set_next_token(token.clone()).registry_id(repository.registry.as_str());
                call.repository_name(repository.name.as_str()).send()
            };
            let page = match self.reads.ask("ecr", "DescribeImages", call).await {
                Err(fault) if is_without_repository(&fault) => return Ok(states),
                answer => answer?,
            };
            states.extend(page.image_details().iter().flat_map(states_of));
            token = following(page.next_token);
            if token.is_none() {
                return Ok(states);
            }
        }
        debug!(
            repository = repository.name.as_str(),
            images = states.len(),
            "a repository is not read to its end"
        );
        Ok(states)
    }

    /// The lifecycle policy of a repository, as JSON; none if it has none.
    pub(super) async fn lifecycle(&self, repository: Repository<'_>) -> Result<Option<String>, Fault> {
        let call = || {
            let call = self.ecr.get_lifecycle_policy().registry_id(repository.registry.as_str());
            call.repository_name(repository.name.as_str()).send()
        };
        match self.reads.ask("ecr", "GetLifecyclePolicy", call).await {
            Err(fault) if fault.code() == Some("LifecyclePolicyNotFoundException") => Ok(None),
            Err(fault) if is_without_repository(&fault) => Ok(None),
            answer => Ok(answer?.lifecycle_policy_text),
        }
    }

    /// Which tags of a repository can be moved; none if it is not there.
    pub(super) async fn mutability(
        &self,
        repository: Repository<'_>,
    ) -> Result<Option<TagMutability>, Fault> {
        let call = || {
            let call = self.ecr.describe_repositories().registry_id(repository.registry.as_str());
            call.repository_names(repository.name.as_str()).send()
        };
        match self.reads.ask("ecr", "DescribeRepositories", call).await {
            Err(fault) if is_without_repository(&fault) => Ok(None),
            answer => Ok(answer?.repositories().first().map(mutability_of)),
        }
    }

    /// The images in an index; none if this is no index, or not there.
    pub(super) async fn children(
        &self,
        repository: Repository<'_>,
        digest: &Digest,
    ) -> Result<Vec<Digest>, Fault> {
        let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let call = || {
            let call = self.ecr.batch_get_image().image_ids(id.clone());
            let call = call.set_accepted_media_types(Some(MANIFEST_TYPES.map(str::to_owned).into()));
            call.registry_id(repository.registry.as_str()).repository_name(repository.name.as_str()).send()
        };
        let answer = match self.reads.ask("ecr", "BatchGetImage", call).await {
            Err(fault) if is_without_repository(&fault) => return Ok(Vec::new()),
            answer => answer?,
        };
        let failure = answer.failures().iter().find_map(|failure| failure.failure_code());
        match (answer.images().first(), failure) {
            (Some(image), _) => children_in(image.image_manifest().unwrap_or_default()),
            (None, None | Some(ImageFailureCode::ImageNotFound)) => Ok(Vec::new()),
            (None, Some(code)) => {
                Err(Fault::unusable(format!("{digest} was not handed out: {}", code.as_str())))
            }
        }
    }
}

fn mutability_of(repository: &aws_sdk_ecr::types::Repository) -> TagMutability {
    let word = repository.image_tag_mutability().map_or("MUTABLE", |it| it.as_str());
    let filters = repository.image_tag_mutability_exclusion_filters();
    let except = filters.iter().map(|it| Glob::new(it.filter())).collect();
    TagMutability { mutable: !word.starts_with("IMMUTABLE"), except }
}

fn children_in(manifest: &str) -> Result<Vec<Digest>, Fault> {
    let manifest: Manifest = serde_json::from_str(manifest)
        .map_err(|error| Fault::unusable(format!("a manifest cannot be read: {error}")))?;
    Ok(manifest.manifests.into_iter().map(|child| child.digest.into()).collect())
}

/// What each tag of an image means.
fn states_of(image: &ImageDetail) -> Vec<(Tag, TagState)> {
    let (Some(digest), Some(pushed_at)) = (image.image_digest(), time(image.image_pushed_at())) else {
        return Vec::new();
    };
    let state = TagState { digest: digest.into(), pushed_at, children: Vec::new() };
    image.image_tags().iter().map(|tag| (tag.as_str().into(), state.clone())).collect()
}

fn is_without_repository(fault: &Fault) -> bool {
    fault.code() == Some("RepositoryNotFoundException")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_in_an_index_are_read_and_an_image_holds_none() {
        let index =
            r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:a","size":1},{"digest":"sha256:b"}]}"#;
        assert_eq!(children_in(index), Ok(vec!["sha256:a".into(), "sha256:b".into()]));
        assert_eq!(children_in(r#"{"schemaVersion":2,"config":{},"layers":[]}"#), Ok(vec![]));
        assert!(children_in("").is_err() && children_in(r#"{"manifests":[{}]}"#).is_err());
    }
}
