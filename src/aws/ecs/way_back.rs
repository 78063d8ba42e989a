//! What a service can be rolled back to, as far as ECS remembers: 90 days.
//!
//! What was good is what completed. Where a service went back before, what it went back from is passed over, unless it
//! is named: of the completed rollouts those are left out that lie between two of the same. A rollout of the same definition counts as
//! another one where its tags meant other images then, and those are named by digest in what is rolled out.

use std::{collections::BTreeMap, fmt};

use super::{
    Ecs, Reach,
    history::{Wanted, list_failed},
    rollouts::{Recorded, last_good},
    service::Progress,
};
use crate::domain::{
    CallFailure, ContainerName, DefinitionId, DefinitionRef, DefinitionView, Digest, ImageReference,
    RunningImage, ServiceState, Tag, TargetId, WayBack, is_digest,
};

/// What stands before the digits of a digest.
const SHA256: &str = "sha256:";

/// As many as we show of a digest: of so many no two that ran have the same.
const FEWEST_DIGITS: usize = 12;

/// Why nothing can be rolled back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// What was named cannot be had.
    #[error("{0}")]
    Wrong(String),
    /// It does not go together with what is so.
    #[error("{0}")]
    Conflict(String),
    /// ECS could not be read.
    #[error("{}", .0.reason)]
    Failed(CallFailure),
}

impl From<CallFailure> for NoWayBack {
    fn from(failure: CallFailure) -> Self {
        Self::Failed(failure)
    }
}

/// What ran once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    definition: DefinitionId,
    digests: BTreeMap<ContainerName, Digest>,
    /// Whether it was made to go back, by digest.
    is_pinned: bool,
}

/// What somebody names.
enum Named {
    Definition(DefinitionRef),
    Digest(Digest),
    Tag(Tag),
}

impl Ecs {
    /// From what a target runs, back to what was good before, or to what is named: a revision, a tag or a digest that ran.
    ///
    /// # Errors
    /// If nothing can be gone back to: why, for people.
    pub async fn way_back(&self, target: &TargetId, to: Option<&str>) -> Result<WayBack, NoWayBack> {
        let reach = self.reach(target)?;
        let past = reach.past(target).await?;
        let standing = standing(&past);
        let [older @ .., now] = &standing[..] else { return Err(nothing(target, "has run nothing")) };
        let current = reach.view(&now.definition).await?;
        let found = if let Some(to) = to {
            let named = Named::read(to, &now.definition)?;
            reach.named(target, named, &nameable(&past, &standing)).await?
        } else {
            let good = reach.newest_good(older, now).await?;
            good.ok_or_else(|| nothing(target, why_nothing(&past, older, now)))?
        };
        let (view, images) = found;
        let pinned = moved_on(&view, &images, &current, now);
        if view.id == now.definition && pinned.is_empty() {
            let how =
                "without `to` the last good one is meant, and a revision, a tag or a digest names another";
            return Err(NoWayBack::Conflict(format!("{} runs already: {how}", view.id)));
        }
        let follow = pinned.iter().filter_map(|(name, _)| Some((name.clone(), view.followed_tag(name)?)));
        Ok(WayBack {
            target: target.clone(),
            from: now.definition.clone(),
            from_images: shown(&current, &now.digests),
            to: view.id.clone(),
            to_images: shown(&view, &images),
            follow: follow.collect(),
            images: pinned,
            hold: true,
            by: None,
            reason: None,
        })
    }
}

type Found = (DefinitionView, BTreeMap<ContainerName, Digest>);

impl Reach {
    /// What completed, the oldest first. The last of it runs.
    async fn past(&self, target: &TargetId) -> Result<Vec<Past>, NoWayBack> {
        let (service, _) = self.service(target).await?;
        match &service.state {
            ServiceState::Active => {}
            ServiceState::Draining | ServiceState::Inactive | ServiceState::Missing => {
                return Err(nothing(target, "is not there"));
            }
            ServiceState::OfAnother(owner) => {
                return Err(NoWayBack::Conflict(format!(
                    "the service is deployed by another Lockkeeper: {owner}"
                )));
            }
            ServiceState::OtherController(name) => {
                return Err(NoWayBack::Conflict(format!("the service is deployed by {name}")));
            }
        }
        if let Some(live) = service.primary().filter(|it| service.progress(it) == Progress::Ongoing) {
            let what = live.definition.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
            return Err(NoWayBack::Conflict(format!(
                "a rollout{what} is in progress: cancel its deployment, which goes back, or wait for its end"
            )));
        }
        let listed = match self.list(target, &Wanted::Successful).await {
            Ok(listed) => listed.unwrap_or_default(),
            Err(fault) if self.lacks_history(&fault, service.current.as_ref()) => Vec::new(),
            Err(fault) => return Err(list_failed(&fault).into()),
        };
        let named = listed.iter().flat_map(Recorded::named_revisions).chain(&service.revisions);
        let revisions = self.revisions(named.cloned().collect()).await?;
        let mut past: Vec<Past> = Vec::new();
        for it in listed.iter().rev() {
            let Some(revision) = it.revision.as_ref().and_then(|arn| revisions.get(arn)) else { continue };
            let (definition, digests) = (revision.definition.clone(), revision.digests.clone());
            past.push(Past { definition, digests, is_pinned: false });
        }
        if let Some(good) = last_good(&service, &listed, &revisions)
            && past.last().is_none_or(|last| last.definition != good.definition)
        {
            let (definition, digests) = (good.definition, good.digests);
            past.push(Past { definition, digests, is_pinned: false });
        }
        self.find_pinned(&mut past).await?;
        Ok(past)
    }

    /// Only what has the digests of another one may have been made to go back to that.
    async fn find_pinned(&self, past: &mut [Past]) -> Result<(), CallFailure> {
        for place in 0..past.len() {
            let it = &past[place];
            let is_like = |other: &Past| {
                other.definition != it.definition && !it.digests.is_empty() && other.digests == it.digests
            };
            if past[..place].iter().any(is_like) {
                let view = self.view(&past[place].definition).await?;
                past[place].is_pinned = !view.marks.follows.is_empty();
            }
        }
        Ok(())
    }

    /// The newest that can still be rolled out.
    async fn newest_good(&self, older: &[Past], now: &Past) -> Result<Option<Found>, NoWayBack> {
        for it in older.iter().rev().filter(|it| !is_same(it, now)) {
            if let Ok(view) = self.wanted(&it.definition.clone().into()).await? {
                return Ok(Some((view, it.digests.clone())));
            }
        }
        Ok(None)
    }

    /// The first of these that is meant.
    async fn named(&self, target: &TargetId, named: Named, past: &[&Past]) -> Result<Found, NoWayBack> {
        if let Named::Definition(which) = named {
            let view = self.wanted(&which).await?.map_err(NoWayBack::Wrong)?;
            let ran = past.iter().find(|it| it.definition == view.id);
            // What it ran longer ago than ECS remembers may be one of its own.
            if ran.is_none() && past.iter().all(|it| it.definition.family != view.id.family) {
                return Err(NoWayBack::Wrong(format!(
                    "{} has never run {}, nor another revision of {}, within ECS's 90 days: deploy it, if it is meant",
                    target.service(),
                    view.id,
                    view.id.family
                )));
            }
            return Ok((view, ran.map(|it| it.digests.clone()).unwrap_or_default()));
        }
        let digest = named.as_digest();
        for named in std::iter::once(&named).chain(&digest) {
            for it in past {
                let has_it = match named {
                    Named::Digest(digest) => {
                        it.digests.values().any(|runs| runs.as_str().starts_with(digest.as_str()))
                    }
                    Named::Tag(tag) => {
                        let view = self.view(&it.definition).await?;
                        view.images.values().any(|image| image.named_tag().as_ref() == Some(tag))
                    }
                    Named::Definition(_) => false,
                };
                if has_it && let Ok(view) = self.wanted(&it.definition.clone().into()).await? {
                    return Ok((view, it.digests.clone()));
                }
            }
        }
        let or = digest.map(|digest| format!(" or the digest {digest}")).unwrap_or_default();
        Err(NoWayBack::Wrong(format!(
            "{} has run nothing with {named}{or} within ECS's 90 days that can be rolled out: name a revision, a tag or a \
             digest that ran, or nothing for the last good one",
            target.service()
        )))
    }
}

impl Named {
    /// A number alone is a revision of the family that runs.
    fn read(text: &str, now: &DefinitionId) -> Result<Self, NoWayBack> {
        if let Ok(revision) = text.trim_start_matches(':').parse::<u32>() {
            return Ok(Self::Definition(DefinitionId { revision, ..now.clone() }.into()));
        }
        if let Some(digits) = text.strip_prefix(SHA256).filter(|digits| is_hexadecimal(digits)) {
            let short =
                || NoWayBack::Wrong(format!("{text} is too short: a digest is named by 12 digits at least"));
            return if digits.len() < FEWEST_DIGITS { Err(short()) } else { Ok(Self::Digest(text.into())) };
        }
        if is_digest(text) {
            return Ok(Self::Digest(text.into()));
        }
        Ok(match text.parse::<DefinitionRef>() {
            Ok(which) if which.revision.is_some() => Self::Definition(which),
            _ => Self::Tag(text.into()),
        })
    }

    /// What else may be meant where nothing has that tag: digits alone may begin a digest.
    fn as_digest(&self) -> Option<Self> {
        let Self::Tag(tag) = self else { return None };
        let is_begun = (FEWEST_DIGITS..=64).contains(&tag.as_str().len()) && is_hexadecimal(tag.as_str());
        is_begun.then(|| Self::Digest(format!("{SHA256}{tag}").into()))
    }
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_hexdigit())
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition(which) => write!(f, "{which}"),
            Self::Digest(digest) => write!(f, "{digest}"),
            Self::Tag(tag) => write!(f, "the tag {}", crate::domain::harmless(tag.as_str(), 128)),
        }
    }
}

/// The images of a definition, with the digests that they had where it ran.
fn shown(view: &DefinitionView, digests: &BTreeMap<ContainerName, Digest>) -> Vec<RunningImage> {
    let image = |(container, image): (&ContainerName, &ImageReference)| RunningImage {
        container: container.clone(),
        image: image.clone(),
        digest: digests.get(container).or(image.digest.as_ref()).cloned(),
    };
    view.images.iter().map(image).collect()
}

/// What is left of what completed, the oldest first: where the same came again, what lay between was gone back from.
fn standing(past: &[Past]) -> Vec<Past> {
    let mut standing: Vec<Past> = Vec::new();
    for it in past {
        if let Some(place) = standing.iter().rposition(|earlier| is_same(earlier, it)) {
            standing.truncate(place);
        }
        standing.push(it.clone());
    }
    standing
}

/// All that ran, in the order in which a name is looked up: the newest first, and last what was gone back from.
fn nameable<'a>(past: &'a [Past], standing: &'a [Past]) -> Vec<&'a Past> {
    let others = past.iter().rev().filter(|it| !standing.contains(it));
    standing.iter().rev().chain(others).collect()
}

/// Whether both are the same content: the same definition with the same images, or one that was made to be like it.
fn is_same(one: &Past, other: &Past) -> bool {
    let known = one.digests.iter().filter_map(|(name, digest)| Some((digest, other.digests.get(name)?)));
    let agree = known.clone().all(|(one, other)| one == other);
    let is_copy =
        (one.is_pinned || other.is_pinned) && !one.digests.is_empty() && one.digests == other.digests;
    agree && (one.definition == other.definition || is_copy)
}

/// The images that a definition ran with, where the tag that it names means another one now: that runs.
fn moved_on(
    view: &DefinitionView,
    ran: &BTreeMap<ContainerName, Digest>,
    current: &DefinitionView,
    now: &Past,
) -> Vec<(ContainerName, Digest)> {
    let has_moved = |name: &ContainerName, image: &ImageReference, digest: &Digest| {
        let runs = now.digests.get(name).filter(|runs| *runs != digest);
        let is_followed = image.digest.is_none() && current.followed_tag(name) == image.effective_tag();
        let is_same_repository =
            current.images.get(name).is_some_and(|other| other.repository == image.repository);
        runs.is_some() && is_followed && is_same_repository
    };
    let images = view.images.iter().filter_map(|(name, image)| {
        let digest = ran.get(name)?;
        has_moved(name, image, digest).then(|| (name.clone(), digest.clone()))
    });
    images.collect()
}

/// Why nothing that ran was good until now.
fn why_nothing(past: &[Past], older: &[Past], now: &Past) -> &'static str {
    let others = |some: &[Past]| some.iter().filter(|it| !is_same(it, now)).count();
    match (others(older), others(past)) {
        (0, 1..) => "has gone back from all else that it ran",
        (some, all) if some < all => {
            "has run nothing else that can be rolled out, but what it has gone back from"
        }
        (_, _) => "has run nothing else that can be rolled out",
    }
}

fn nothing(target: &TargetId, what: &str) -> NoWayBack {
    NoWayBack::Conflict(format!(
        "there is no last good deployment of {} within ECS's 90 days: it {what}; name a revision to go back to",
        target.service()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(revision: u32, digest: &str, is_pinned: bool) -> Past {
        Past {
            definition: DefinitionId { family: "shop".into(), revision },
            digests: BTreeMap::from([("web".into(), digest.into())]),
            is_pinned,
        }
    }

    /// The revisions that are left, with what each ran.
    fn left(of: &[(u32, &str, bool)]) -> Vec<String> {
        let past = of.iter().map(|(revision, digest, is_pinned)| past(*revision, digest, *is_pinned));
        let left = standing(&past.collect::<Vec<_>>());
        left.iter().map(|it| format!("{}@{}", it.definition.revision, it.digests[&"web".into()])).collect()
    }

    #[test]
    fn what_was_gone_back_from_is_no_way_back() {
        assert_eq!(left(&[(5, "a", false), (6, "b", false)]), ["5@a", "6@b"]);
        assert_eq!(
            left(&[(4, "z", false), (5, "a", false), (6, "b", false), (5, "a", false)]),
            ["4@z", "5@a"]
        );
        assert_eq!(left(&[(5, "a", false), (6, "b", false), (6, "b", false)]), ["5@a", "6@b"]);
        let once_more = [(5, "a", false), (6, "b", false), (5, "a", false), (7, "c", false)];
        assert_eq!(left(&once_more), ["5@a", "7@c"]);
    }

    #[test]
    fn the_same_definition_with_another_image_behind_its_tag_is_another_deployment() {
        assert_eq!(left(&[(5, "a", false), (5, "b", false)]), ["5@a", "5@b"]);
        assert_eq!(left(&[(5, "a", false), (5, "b", false), (6, "a", true)]), ["6@a"]);
        assert_eq!(left(&[(5, "a", false), (5, "b", false), (6, "a", false)]), ["5@a", "5@b", "6@a"]);
    }

    #[test]
    fn what_is_not_known_of_images_does_not_tell_two_apart() {
        let unknown = Past { digests: BTreeMap::new(), ..past(5, "a", false) };
        assert!(is_same(&unknown, &past(5, "a", false)) && !is_same(&unknown, &past(6, "a", true)));
    }

    #[test]
    fn a_revision_a_tag_and_a_digest_are_told_apart() {
        let now = DefinitionId { family: "shop".into(), revision: 7 };
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, said) in [
            ("6", "shop:6"),
            (":6", "shop:6"),
            ("other:3", "other:3"),
            ("v1.2", "the tag v1.2"),
            ("latest", "the tag latest"),
            ("sha256:x", "the tag sha256:x"),
            ("c1ff9357d2e3", "the tag c1ff9357d2e3"),
            (digest.as_str(), digest.as_str()),
        ] {
            assert_eq!(Named::read(text, &now).expect("named").to_string(), said);
        }
        let is_digest = |text: &str| matches!(Named::read(text, &now), Ok(Named::Digest(_)));
        assert!(is_digest("sha256:c1ff9357d2e3") && is_digest("sha256:123456789012"), "as it is shown");
        for short in ["sha256:12", "sha256:c1ff9357d2e"] {
            let told = Named::read(short, &now).err().map(|why| why.to_string());
            let expected = format!("{short} is too short: a digest is named by 12 digits at least");
            assert_eq!(told, Some(expected));
        }
    }

    #[test]
    fn digits_alone_may_begin_a_digest_where_they_are_no_tag() {
        let now = DefinitionId { family: "shop".into(), revision: 7 };
        let digest =
            |text: &str| Named::read(text, &now).expect("named").as_digest().map(|it| it.to_string());
        assert_eq!(digest("c1ff9357d2e3").as_deref(), Some("sha256:c1ff9357d2e3"));
        assert_eq!(digest(&"a".repeat(64)), Some(format!("sha256:{}", "a".repeat(64))));
        for other in ["c1ff9357d2e", "release-2026", "shop:6", &"a".repeat(65)] {
            assert_eq!(digest(other), None, "{other}");
        }
    }

    #[test]
    fn why_nothing_is_left_to_go_back_to_is_what_became_of_the_rest() {
        let why = |of: &[(u32, &str, bool)]| {
            let past: Vec<Past> =
                of.iter().map(|(revision, digest, is_pinned)| past(*revision, digest, *is_pinned)).collect();
            let standing = standing(&past);
            let (now, older) = standing.split_last().expect("it runs");
            why_nothing(&past, older, now)
        };
        assert_eq!(why(&[(5, "a", false)]), "has run nothing else that can be rolled out");
        assert_eq!(why(&[(4, "z", false), (5, "a", false)]), "has run nothing else that can be rolled out");
        let back = [(5, "a", false), (6, "b", false), (5, "a", false)];
        assert_eq!(why(&back), "has gone back from all else that it ran");
        let before = [&[(4, "z", false)], &back[..]].concat();
        assert_eq!(
            why(&before),
            "has run nothing else that can be rolled out, but what it has gone back from"
        );
    }
}
