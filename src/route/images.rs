//! Pushes, replications and announcements of images.

use super::{
    Draft, Routes, Target,
    discovered::listing_others,
    words::{listed, switched_off},
};
use crate::domain::{
    AccountId, Change, Event, FollowedImage, Glob, ImageChange, ImageSource, ImageStyle, OnPush, Place,
    PushedImage, ReadyImage, Refresh, Region, RepositoryName, Tag, TargetSettings,
};

impl Routes {
    pub(super) fn on_push(&self, image: &PushedImage, draft: &mut Draft<'_>) {
        let event = draft.event;
        let reached = self.that_run(&image.repository, Some(&self.place_of(event)), None);
        let why = || format!("push of {}:{}", image.repository, image.tag);
        draft.ask(reached, why, |settings| pushed(image, registry(event), settings));
    }

    /// As a push, for the targets in the Region that the image has arrived in: the others pull it from elsewhere.
    pub(super) fn on_replication(&self, image: &PushedImage, draft: &mut Draft<'_>) {
        let event = draft.event;
        let place = self.place_of(event);
        let reached = self.that_run(&image.repository, Some(&place), Some(&place.region));
        let why = || format!("replication of {}:{} to {}", image.repository, image.tag, place.region);
        draft.ask(reached, why, |settings| pushed(image, registry(event), settings));
    }

    pub(super) fn on_ready(&self, image: &ReadyImage, draft: &mut Draft<'_>) {
        let reached = self.that_run(&image.repository, None, None);
        draft.ask(reached, || announcement(image), |settings| ready(image, settings));
    }

    /// The targets that run images of a repository in this registry, or in any. The patterns find only what is in our
    /// own. Rules do not say from which registry a target pulls, so what they list may be bounded to a Region.
    fn that_run(
        &self,
        repository: &RepositoryName,
        registry: Option<&Place>,
        only_in: Option<&Region>,
    ) -> Result<Vec<Target>, String> {
        let mut reached = self.at(self.repositories.find(repository.as_str()));
        let names = self.names.as_ref();
        let name = names.and_then(|names| names.of_repository(repository.as_str()));
        let in_ours = registry.is_none_or(|registry| *registry == self.home);
        if let (Some(names), Some(name), true) = (names, name, in_ours) {
            self.join(&mut reached, names, name, |known| known.lists.repositories);
        }
        let elsewhere = only_in.filter(|_| !reached.is_empty());
        reached.retain(|target| only_in.is_none_or(|region| target.id.region() == region));
        let running = self.found.running(repository.as_str(), registry);
        let others = self.join_found(
            &mut reached,
            running,
            |known| known.lists.repositories,
            |it, settings| it.runs(repository, registry, settings),
        );
        if !reached.is_empty() {
            return Ok(reached);
        }
        if let Some(region) = elsewhere {
            return Err(format!("no target in {region} runs images of {repository}"));
        }
        let by_name = || match (names, name) {
            (None, _) => String::new(),
            (Some(_), Some(name)) if in_ours => format!("; the rule of {name} lists others"),
            (Some(_), Some(_)) => format!("; by name only those in our own registry {} are found", self.home),
            (Some(names), None) => format!("; by name those called {} are found", names.repositories()),
        };
        let instead = listing_others(&others).unwrap_or_else(by_name);
        Err(format!("no target runs images of {repository}{instead}"))
    }
}

/// How a target takes an image.
enum Way {
    /// By starting what it runs anew.
    Refresh { any_tag: bool },
    /// By a revision that names it.
    Pin,
}

/// How a target takes an image with this tag, or why it does not.
fn way(tag: &Tag, settings: &TargetSettings) -> Result<Way, String> {
    let TargetSettings { name, tags, .. } = settings;
    if !settings.triggers.images {
        return Err(switched_off("images", name));
    }
    if let Some(policy) = settings.ignore_tags.iter().find(|policy| policy.rank(tag).is_some()) {
        return Err(format!("tag {tag} is on the list that {name} ignores, by `{policy}`"));
    }
    match settings.on_push {
        OnPush::Follow => Ok(Way::Refresh { any_tag: false }),
        OnPush::Always => Ok(Way::Refresh { any_tag: true }),
        OnPush::Pin if tags.rank(tag).is_some() => Ok(Way::Pin),
        OnPush::Pin => Err(format!("tag {tag} is not one that {name} takes: its policy is `{tags}`")),
        OnPush::Ignore => Err(format!("{name} ignores pushes")),
    }
}

/// What a push asks of a target, or why nothing.
fn pushed(
    image: &PushedImage,
    home: Option<(AccountId, Region)>,
    settings: &TargetSettings,
) -> Result<Change, String> {
    let way = way(&image.tag, settings)?;
    let (tag, digest, is_index) = (image.tag.clone(), image.digest.clone(), image.is_index);
    let source = source(&image.repository, home, settings);
    Ok(match way {
        Way::Refresh { any_tag } => {
            Change::Refresh(Refresh::Image(FollowedImage { source, tag, digest, is_index, any_tag }))
        }
        Way::Pin => Change::Image(ImageChange {
            source,
            tag: Some(tag),
            digest,
            is_index,
            by_digest: settings.image_reference == ImageStyle::Digest,
            policy: Some(settings.tags.clone()),
            force: false,
        }),
    })
}

/// What an announcement asks of a target, or why nothing. Where tags are followed it is never a revision: that would
/// name this tag from then on, and the next push of the followed one would be lost.
fn ready(image: &ReadyImage, settings: &TargetSettings) -> Result<Change, String> {
    let way = way(&image.tag, settings)?;
    admit_branch(image, settings)?;
    Ok(match way {
        Way::Refresh { .. } => Change::Refresh(Refresh::Restart),
        Way::Pin => Change::Image(ImageChange {
            source: source(&image.repository, None, settings),
            tag: Some(image.tag.clone()),
            digest: None,
            is_index: None,
            by_digest: settings.image_reference == ImageStyle::Digest,
            policy: None,
            force: false,
        }),
    })
}

fn admit_branch(image: &ReadyImage, settings: &TargetSettings) -> Result<(), String> {
    let TargetSettings { name, branches, .. } = settings;
    let allowed = || listed(branches.iter().map(Glob::as_str));
    match image.branch.as_deref() {
        _ if branches.is_empty() => Ok(()),
        Some(branch) if branches.iter().any(|glob| glob.matches(branch)) => Ok(()),
        Some(branch) => Err(format!("branch {branch} is not one that {name} takes: {}", allowed())),
        None => Err(format!("announced without a branch, and {name} takes only {}", allowed())),
    }
}

fn source(
    repository: &RepositoryName,
    home: Option<(AccountId, Region)>,
    settings: &TargetSettings,
) -> ImageSource {
    ImageSource { repository: Some(repository.clone()), home, container: settings.container.clone() }
}

/// The registry of a pushed image, where the event tells both halves of it.
fn registry(event: &Event) -> Option<(AccountId, Region)> {
    event.account.clone().zip(event.region.clone())
}

fn announcement(image: &ReadyImage) -> String {
    let ReadyImage { repository, tag, branch, commit } = image;
    let branch = branch.as_ref().map(|branch| format!(", branch {branch}"));
    let commit = commit.as_ref().map(|commit| format!(", commit {commit}"));
    format!("{repository}:{tag} is ready{}{}", branch.unwrap_or_default(), commit.unwrap_or_default())
}
