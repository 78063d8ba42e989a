//! Task definitions, as far as decisions need them. The whole document stays raw JSON in the ECS adapter.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    ContainerName, Dependency, DeploymentId, ImageReference, Outline, Tag, TargetId, Timestamp, harmless,
    is_tag,
};

/// The longest value of a tag: ECS's limit.
const TAG_VALUE_CHARS: usize = 256;

/// One revision of a family, written `family:12`. Revisions are ordered as numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionId {
    /// The family.
    pub family: Arc<str>,
    /// The revision, from 1.
    pub revision: u32,
}

/// A definition as somebody asks for it: a family, with or without a revision. Without: its newest ACTIVE one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionRef {
    /// The family.
    pub family: Arc<str>,
    /// The revision that was named.
    pub revision: Option<u32>,
}

/// A text that names no task definition.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a task definition: it is written family, family:revision, or as an ARN")]
pub struct NotADefinition(String);

impl NotADefinition {
    pub(super) fn new(text: &str) -> Self {
        Self(harmless(text, 300))
    }
}

/// What decisions need to know of one revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DefinitionView {
    /// Which revision.
    pub id: DefinitionId,
    /// The image of each container, by the container's name; one whose image cannot be read is absent.
    pub images: BTreeMap<ContainerName, ImageReference>,
    /// Our tags on it; empty on a definition that we did not register.
    pub marks: Marks,
}

/// What is shown of a revision, and what tasks of it read when they start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionFacts {
    /// What it says, but for what may be secret.
    pub outline: Outline,
    /// What it depends on; in order, each once.
    pub dependencies: Vec<Dependency>,
}

/// The tags by which a revision tells what we meant by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marks {
    /// `lockkeeper:deployment`: the deployment that registered it.
    pub deployment: Option<DeploymentId>,
    /// `lockkeeper:target`: the target of that deployment. A revision may be rolled out to others, too.
    pub target: Option<TargetId>,
    /// `lockkeeper:version`: the version of the request for which we moved the service to this definition as it is.
    pub content: Option<Timestamp>,
    /// `lockkeeper:version:<container>`: the version of the image request that each container carries.
    pub versions: BTreeMap<ContainerName, Timestamp>,
    /// `lockkeeper:follow:<container>`: the tag that a container goes on following, although its image names a digest
    /// since a rollback.
    pub follows: BTreeMap<ContainerName, Tag>,
}

impl DefinitionView {
    /// The tag whose pushes change this container: the one that its image names, or that it named before a rollback.
    /// Where the image names a digest there is none: no rollout of it brings what is pushed behind the tag beside that.
    pub fn followed_tag(&self, container: &ContainerName) -> Option<Tag> {
        let marked = self.marks.follows.get(container).cloned();
        marked.or_else(|| self.images.get(container).and_then(ImageReference::effective_tag))
    }
}

impl Marks {
    /// The key of the tag that names the deployment.
    pub const DEPLOYMENT: &'static str = "lockkeeper:deployment";
    /// The key of the tag that names its target.
    pub const TARGET: &'static str = "lockkeeper:target";
    /// The key of the tag with the version of the whole definition.
    pub const CONTENT: &'static str = "lockkeeper:version";
    /// What the key of a container's version tag begins with.
    pub const VERSION_PREFIX: &'static str = "lockkeeper:version:";
    /// What the key of a container's follow tag begins with.
    pub const FOLLOW_PREFIX: &'static str = "lockkeeper:follow:";

    /// From the tags of a definition; ours that cannot be read count as absent.
    pub fn from_tags<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut marks = Self::default();
        for (key, value) in tags {
            if key == Self::DEPLOYMENT {
                marks.deployment = Some(value.into());
            } else if key == Self::TARGET {
                marks.target = value.parse().ok();
            } else if key == Self::CONTENT {
                marks.content = Timestamp::parse(value);
            } else if let Some(container) = key.strip_prefix(Self::VERSION_PREFIX)
                && let Some(version) = Timestamp::parse(value)
            {
                marks.versions.insert(container.into(), version);
            } else if let Some(container) = key.strip_prefix(Self::FOLLOW_PREFIX)
                && is_tag(value)
            {
                marks.follows.insert(container.into(), value.into());
            }
        }
        marks
    }

    /// The deployment that registered it, if that was one of this target. One that does not say whose it was counts for all.
    pub fn deployment_of(&self, target: &TargetId) -> Option<&DeploymentId> {
        self.deployment.as_ref().filter(|_| self.target.as_ref().is_none_or(|it| it == target))
    }

    /// As the tags of a definition. The id of a target that is too long for one is left out.
    pub fn to_tags(&self) -> Vec<(String, String)> {
        let deployment = self.deployment.iter().map(|id| (Self::DEPLOYMENT.to_owned(), id.to_string()));
        let versions = self
            .versions
            .iter()
            .map(|(name, at)| (format!("{}{name}", Self::VERSION_PREFIX), at.to_string()));
        let content = self.content.iter().map(|at| (Self::CONTENT.to_owned(), at.to_string()));
        let follows = self
            .follows
            .iter()
            .map(|(name, tag)| (format!("{}{name}", Self::FOLLOW_PREFIX), tag.to_string()));
        let target = self.target.iter().map(|id| (Self::TARGET.to_owned(), id.to_string()));
        let target = target.filter(|(_, id)| id.chars().count() <= TAG_VALUE_CHARS);
        deployment.chain(target).chain(content).chain(versions).chain(follows).collect()
    }

    /// Takes in the versions of these, where they are newer.
    pub fn raise(&mut self, by: &Self) {
        self.content = self.content.max(by.content);
        for (container, version) in &by.versions {
            let newest = self.versions.entry(container.clone()).or_insert(*version);
            *newest = (*version).max(*newest);
        }
    }

    /// Whether something in these marks is newer than in those, or new.
    pub fn advance(&self, before: &Self) -> bool {
        let newer = |now: Option<&Timestamp>, then: Option<&Timestamp>| now > then;
        newer(self.content.as_ref(), before.content.as_ref())
            || self.versions.iter().any(|(name, at)| newer(Some(at), before.versions.get(name)))
    }
}

impl FromStr for DefinitionRef {
    type Err = NotADefinition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotADefinition::new(text);
        let name = match text.strip_prefix("arn:") {
            Some(rest) => rest.rsplit_once(":task-definition/").ok_or_else(wrong)?.1,
            None => text,
        };
        let (family, revision) = match name.split_once(':') {
            Some((family, revision)) => (family, Some(revision.parse().map_err(|_| wrong())?)),
            None => (name, None),
        };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if family.is_empty() || family.len() > 255 || !family.bytes().all(legal) || revision == Some(0) {
            return Err(wrong());
        }
        Ok(Self { family: family.into(), revision })
    }
}

impl FromStr for DefinitionId {
    type Err = NotADefinition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let DefinitionRef { family, revision } = text.parse()?;
        revision.map(|revision| Self { family, revision }).ok_or_else(|| NotADefinition(text.into()))
    }
}

impl From<DefinitionId> for DefinitionRef {
    fn from(DefinitionId { family, revision }: DefinitionId) -> Self {
        Self { family, revision: Some(revision) }
    }
}

impl fmt::Display for DefinitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family, self.revision)
    }
}

impl fmt::Display for DefinitionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision {
            Some(revision) => write!(f, "{}:{revision}", self.family),
            None => f.write_str(&self.family),
        }
    }
}

impl fmt::Debug for DefinitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for DefinitionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DefinitionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DefinitionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_read_from_an_arn_a_revision_or_a_family() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/shop_api:12";
        let exact = DefinitionRef { family: "shop_api".into(), revision: Some(12) };
        assert_eq!(arn.parse(), Ok(exact.clone()));
        assert_eq!("shop_api:12".parse(), Ok(exact));
        assert_eq!("shop_api".parse(), Ok(DefinitionRef { family: "shop_api".into(), revision: None }));
    }

    #[test]
    fn what_names_no_definition_is_refused() {
        for text in ["", ":1", "a:", "a:x", "a:0", "a b:1", "arn:aws:ecs:x:1:service/a", "a:1:2"] {
            assert!(text.parse::<DefinitionRef>().is_err(), "{text:?} was taken");
        }
        assert!("family".parse::<DefinitionId>().is_err());
    }

    #[test]
    fn revision_12_is_newer_than_revision_9() {
        let [old, new]: [DefinitionId; 2] = ["f:9", "f:12"].map(|text| text.parse().expect("valid"));
        assert!(new > old);
    }

    #[test]
    fn marks_read_back_from_the_tags_that_they_write() {
        let marks = Marks {
            deployment: Some("d-1".into()),
            target: "111122223333/eu-west-1/shop/api".parse().ok(),
            content: Some(Timestamp::from_millis(2_000)),
            versions: BTreeMap::from([("web".into(), Timestamp::from_millis(1_500))]),
            follows: BTreeMap::from([("web".into(), "latest".into())]),
        };
        let tags = marks.to_tags();
        assert_eq!(Marks::from_tags(tags.iter().map(|(k, v)| (k.as_str(), v.as_str()))), marks);
        assert_eq!(Marks::from_tags([("owner", "me"), ("lockkeeper:version:web", "soon")]), Marks::default());
    }

    #[test]
    fn a_deployment_is_named_only_at_the_target_that_it_was_of() {
        let target = |service: &str| TargetId::new("1".into(), "eu".into(), "shop".into(), service.into());
        let of = |target| Marks { deployment: Some("d-1".into()), target, ..Marks::default() };
        assert_eq!(of(Some(target("api"))).deployment_of(&target("api")), Some(&"d-1".into()));
        assert_eq!(of(Some(target("api"))).deployment_of(&target("web")), None);
        assert_eq!(
            of(None).deployment_of(&target("web")),
            Some(&"d-1".into()),
            "it does not say whose it was"
        );
        let too_long = of(Some(target(&"s".repeat(250)))).to_tags();
        assert_eq!(too_long.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [Marks::DEPLOYMENT]);
    }

    #[test]
    fn marks_advance_where_something_is_newer_or_new() {
        let marks = |content: Option<i64>, web: i64| Marks {
            content: content.map(Timestamp::from_millis),
            versions: BTreeMap::from([("web".into(), Timestamp::from_millis(web))]),
            ..Marks::default()
        };
        let before = marks(Some(2), 2);
        assert!(marks(Some(3), 1).advance(&before) && marks(None, 3).advance(&before));
        assert!(!marks(Some(2), 2).advance(&before) && !marks(None, 1).advance(&before));
        assert!(before.advance(&Marks::default()) && !Marks::default().advance(&Marks::default()));
    }

    #[test]
    fn the_longest_name_of_a_family_has_255_characters() {
        assert!("f".repeat(255).parse::<DefinitionRef>().is_ok());
        assert!("f".repeat(256).parse::<DefinitionRef>().is_err());
        assert!("f".repeat(300).parse::<DefinitionRef>().is_err());
    }
}
