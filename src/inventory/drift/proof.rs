//! What must be so besides what the one rule says, so that a change counts as one that a target has not seen.

use crate::domain::{
    ContainerName, Digest, ImageReference, Look, RepositoryName, Rollout, RolloutState, Tag, Timestamp,
};

/// What shows that a change was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The one rule alone.
    Rule,
    /// Also that no rollout since then has brought one of these digests to this container, or failed before it could be
    /// told what it would have brought.
    NotBrought {
        /// When the image was pushed.
        since: Timestamp,
        /// The container.
        container: ContainerName,
        /// The image, and those for single platforms in it.
        digests: Vec<Digest>,
    },
    /// The one rule alone; and where a rollout was to bring this and gave way to another one, it was seen.
    Pushed {
        /// Since when that counts.
        since: Timestamp,
        /// The container.
        container: ContainerName,
        /// The repository.
        repository: RepositoryName,
        /// The tag; none where every rollout since then is for it.
        tag: Option<Tag>,
        /// The image, and those for single platforms in it.
        digests: Vec<Digest>,
    },
}

impl Proof {
    /// Whether what was seen of the target's rollouts bears it out. One that was never complete, and of which it is not
    /// known what it would have brought, may have brought it.
    pub fn holds(&self, look: &Look) -> bool {
        let Self::NotBrought { since, container, digests } = self else { return true };
        let brought = |rollout: &Rollout| match rollout.digests.get(container) {
            Some(digest) => digests.contains(digest),
            None => rollout.state != RolloutState::Succeeded,
        };
        !look.rollouts.iter().any(|rollout| rollout.created_at >= *since && brought(rollout))
    }

    /// Whether a rollout since then was to bring what was pushed, and gave way to another one. Its event was not lost then, and
    /// how it ended was told: whether it was sound nobody can tell any more.
    pub(super) fn gave_way(&self, look: &Look) -> bool {
        let Self::Pushed { since, container, repository, tag, digests } = self else { return false };
        let names_it = |image: &ImageReference| {
            let is_it = match &image.digest {
                Some(digest) => digests.contains(digest),
                None => image.effective_tag() == *tag,
            };
            image.repository == *repository && is_it
        };
        let was_it = |rollout: &Rollout| match rollout.digests.get(container) {
            _ if tag.is_none() => true,
            Some(digest) => digests.contains(digest),
            None => rollout.definition.images.get(container).is_some_and(names_it),
        };
        let gave_way = |it: &Rollout| it.created_at >= *since && it.state == RolloutState::Stopped;
        look.rollouts.iter().any(|rollout| gave_way(rollout) && was_it(rollout))
    }
}
