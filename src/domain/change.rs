//! What is asked of a target.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    AccountId, ContainerName, DefinitionId, DefinitionRef, Digest, EventId, Metadata, NotADefinition, Place,
    Region, RepositoryName, Tag, TagPolicy, TargetId, TargetSettings, Timestamp, TriggerKind,
    depends::place_of_arn,
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct Origin {
    /// The kind of trigger.
    pub kind: TriggerKind,
    /// The event.
    pub event_id: EventId,
    /// One line: what happened, and who asked where that is known.
    pub reason: String,
    /// Who asked for it: the name of the token, where it was asked for over HTTP; else who the event says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub by: Option<Arc<str>>,
    /// Who put it back after it had been set aside, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub replayed_by: Option<Arc<str>>,
    /// The commit, run and person behind it, where the trigger tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<Metadata>>,
}

impl Origin {
    /// Who asked for it, and beside that the person whom git or the CI system names.
    pub fn who(&self) -> Option<String> {
        let user = self.metadata.as_ref().and_then(|it| it.user.as_deref());
        match (self.by.as_deref(), user) {
            (Some(by), Some(user)) if by != user => Some(format!("{by} ({user})")),
            (by, user) => by.or(user).map(str::to_owned),
        }
    }

    /// The same, put back by somebody after it had been set aside.
    #[must_use]
    pub fn replayed(self, by: Arc<str>) -> Self {
        Self { reason: format!("{}, put back by {by}", self.reason), replayed_by: Some(by), ..self }
    }
}

/// What is asked of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Freshness: a rollout created after the version.
    Refresh(Refresh),
    /// Content: this image in its container.
    Image(ImageChange),
    /// Content: this definition.
    Definition(DefinitionChange),
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

/// A definition that is to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionChange {
    /// Which one.
    pub definition: DefinitionRef,
    /// Where it was registered, if it was written as an ARN: ECS takes those of the service's own account and Region.
    pub home: Option<Place>,
    /// What it goes back from, where it is a rollback.
    pub back: Option<Arc<Rollback>>,
}

/// What a rollback asks for beside the definition that was good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rollback {
    /// What ran when it was asked for. Once something else runs, it is superseded.
    pub from: DefinitionId,
    /// The images that ran with it, where the tags that it names mean others by now.
    pub images: BTreeMap<ContainerName, Digest>,
    /// The tags that those containers go on following.
    pub follow: BTreeMap<ContainerName, Tag>,
    /// Whether the target is held afterwards, until somebody resumes it.
    pub hold: bool,
    /// Who asked.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

impl DefinitionChange {
    /// Why this target cannot have it, if it was registered elsewhere.
    pub fn is_foreign_to(&self, target: &TargetId) -> Option<String> {
        let home = self.home.as_ref()?;
        let ours = Place { account: target.account().clone(), region: target.region().clone() };
        (*home != ours).then(|| {
            format!("definition {} was registered in {home}, and the service is in {ours}", self.definition)
        })
    }
}

impl From<DefinitionRef> for DefinitionChange {
    fn from(definition: DefinitionRef) -> Self {
        Self { definition, home: None, back: None }
    }
}

impl FromStr for DefinitionChange {
    type Err = NotADefinition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let definition: DefinitionRef = text.parse()?;
        let place = || place_of_arn(text, "ecs").ok_or_else(|| NotADefinition::new(text));
        let home = text.starts_with("arn:").then(place).transpose()?;
        Ok(Self { definition, home, back: None })
    }
}

impl fmt::Display for DefinitionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.home {
            Some(home) => write!(f, "{} of {home}", self.definition)?,
            None => self.definition.fmt(f)?,
        }
        match self.back.as_deref() {
            Some(Rollback { images, .. }) => {
                images.iter().try_for_each(|(name, digest)| write!(f, ", {name}@{digest}"))
            }
            None => Ok(()),
        }
    }
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
    fn a_definition_that_is_written_as_an_arn_tells_where_it_was_registered() {
        let read = |text: &str| text.parse::<DefinitionChange>();
        let target: TargetId = "111122223333/eu-west-1/shop/api".parse().unwrap();
        let foreign = |text: &str| read(text).unwrap().is_foreign_to(&target);
        assert_eq!((foreign("f1:1"), foreign("f1")), (None, None));
        assert_eq!(foreign("arn:aws:ecs:eu-west-1:111122223333:task-definition/f1:1"), None);
        let why = foreign("arn:aws:ecs:us-east-1:999999999999:task-definition/f1:1").unwrap();
        assert!(why.contains("999999999999") && why.contains("us-east-1"), "{why}");
        assert!(why.contains("111122223333") && why.contains("eu-west-1"), "{why}");
        assert!(foreign("arn:aws:ecs:us-east-1:111122223333:task-definition/f1:1").is_some());
        for text in [
            "arn:aws:ecs:::task-definition/f1:1",
            "arn:aws:s3:r:1:task-definition/f1:1",
            "arn:x:task-definition/f1",
        ] {
            assert!(read(text).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn what_a_person_names_on_purpose_is_ranked_by_no_policy() {
        let mut named = image();
        named.free_of_policy();
        assert!(matches!(named, Change::Image(ImageChange { policy: None, tag: Some(_), .. })));
    }
}
