//! What is asked of a target.

use std::sync::Arc;

use serde::Serialize;

use super::{
    AccountId, ContainerName, DefinitionRef, Digest, EventId, Region, RepositoryName, Tag, TagPolicy,
    TargetId, TargetSettings, Timestamp, TriggerKind,
};

/// One change for one target because of one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// The target.
    pub target: TargetId,
    /// What is asked of it.
    pub change: Change,
    /// When it was asked for, by AWS's clock: orders requests.
    pub version: Timestamp,
    /// From when on evidence counts.
    pub floor: Timestamp,
    /// How the target is to be deployed.
    pub settings: Arc<TargetSettings>,
    /// Whether only a pattern of names led to the target: nobody has said that there is one.
    pub guessed: bool,
    /// Why, for people; two requests for the same change may differ in it.
    pub origin: Arc<Origin>,
}

/// Why something was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Origin {
    /// The kind of trigger.
    pub kind: TriggerKind,
    /// The event.
    pub event_id: EventId,
    /// One line: what happened, and who asked where that is known.
    pub reason: String,
}

/// What is asked of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Freshness: a rollout created after the version.
    Refresh(Refresh),
    /// Content: this image in its container.
    Image(ImageChange),
    /// Content: this definition.
    Definition(DefinitionRef),
}

/// A wish for new tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refresh {
    /// Something that tasks read when they start has changed, or somebody wants new tasks.
    Restart,
    /// The image behind a tag has changed: asks something only of a target whose definition names it, and
    /// nothing more where its tasks run that digest.
    Image(FollowedImage),
}

/// The image of a push that is followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FollowedImage {
    /// Where it was pushed.
    pub source: ImageSource,
    /// The tag that was pushed.
    pub tag: Tag,
    /// What the tag meant then.
    pub digest: Option<Digest>,
    /// Whether that is an index, of which ECS may name a child; `None` where it is not known.
    pub is_index: Option<bool>,
    /// Whether any tag of the repository counts, not just the one that the definition names.
    pub any_tag: bool,
}

/// Which containers an image is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageSource {
    /// The repository that their images name; `None` only for a request that names a tag alone.
    pub repository: Option<RepositoryName>,
    /// The registry's account and Region, where the event tells: images of another registry are not meant.
    pub home: Option<(AccountId, Region)>,
    /// The only container that is meant, where the settings or the request name one.
    pub container: Option<ContainerName>,
}

/// An image that is to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageChange {
    /// Which containers it is for.
    pub source: ImageSource,
    /// The tag, where one was named.
    pub tag: Option<Tag>,
    /// The digest, where it is known.
    pub digest: Option<Digest>,
    /// Whether that is an index, of which ECS may name a child; `None` where it is not known.
    pub is_index: Option<bool>,
    /// Whether the revision is to name the digest rather than the tag.
    pub by_digest: bool,
    /// The policy that ranks it against other tags; `None` where a person or a CI system named it on purpose.
    pub policy: Option<TagPolicy>,
    /// Whether to deploy it even if it runs already.
    pub force: bool,
}

impl Change {
    /// The same as a person names it on purpose: no policy ranks it below what runs.
    pub fn free_of_policy(&mut self) {
        match self {
            Self::Image(image) => image.policy = None,
            Self::Refresh(_) | Self::Definition(_) => {}
        }
    }

    /// Whether this is content rather than freshness.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Refresh(_) => false,
            Self::Image(_) | Self::Definition(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Change {
        Change::Image(ImageChange {
            source: ImageSource { repository: None, home: None, container: None },
            tag: Some("v1".into()),
            digest: None,
            is_index: None,
            by_digest: false,
            policy: Some(TagPolicy::NEWEST),
            force: false,
        })
    }

    #[test]
    fn content_is_told_from_freshness() {
        let definition = Change::Definition("f:1".parse().unwrap());
        let changes = [image(), definition, Change::Refresh(Refresh::Restart)];
        assert_eq!(changes.map(|change| change.is_content()), [true, true, false]);
    }

    #[test]
    fn what_a_person_names_on_purpose_is_ranked_by_no_policy() {
        let mut named = image();
        named.free_of_policy();
        assert!(matches!(named, Change::Image(ImageChange { policy: None, tag: Some(_), .. })));
    }
}
