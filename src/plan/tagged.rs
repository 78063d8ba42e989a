//! What a tag meant when a rollout read it.
//!
//! ECS reads the tags that a definition names when a rollout starts. One that was created after a push got what was
//! pushed, or what was pushed over it since. Its digest tells which: for certain where the pushed one is a single image,
//! because an index may be called by the digest of one of its children.

use crate::domain::{
    Change, ContainerName, Digest, FollowedImage, ImageReference, Look, Refresh, Request, Rollout,
    RolloutState, Tag, Timestamp,
};

use super::{
    settle,
    settle::{FRESHNESS_MARGIN, Verdict},
};

/// A tag that was set, and what it meant then.
#[derive(Clone, Copy)]
pub(super) struct Pushed<'a> {
    tag: &'a Tag,
    digest: &'a Digest,
    is_single: bool,
    at: Timestamp,
}

impl<'a> Pushed<'a> {
    /// What a request is about, where it names a tag and tells what that meant.
    pub(super) fn of(request: &'a Request) -> Option<Self> {
        let (tag, digest, is_index) = match &request.change {
            Change::Refresh(Refresh::Image(it)) => (&it.tag, &it.digest, it.is_index),
            Change::Image(it) => (it.tag.as_ref()?, &it.digest, it.is_index),
            Change::Refresh(Refresh::Restart) | Change::Definition(_) => return None,
        };
        let digest = digest.as_ref()?;
        Some(Self { tag, digest, is_single: is_index == Some(false), at: request.version })
    }

    /// Why all of these containers run what was pushed or, one at least, what was surely pushed over it since.
    pub(super) fn outrun_by(self, rollout: &Rollout, containers: &[ContainerName]) -> Option<String> {
        self.outrun(rollout, containers, |_, _| self.is_single)
    }

    fn outrun(
        self,
        rollout: &Rollout,
        containers: &[ContainerName],
        is_another: impl Fn(&ContainerName, &Digest) -> bool,
    ) -> Option<String> {
        let Self { tag, digest, .. } = self;
        let mut newer = None;
        for container in containers {
            let runs = self.read_by(rollout, container)?;
            if runs == digest {
                continue;
            }
            if !is_another(container, runs) {
                return None;
            }
            newer = Some(format!("the tag {tag} has moved on from {digest}: {container} runs {runs}"));
        }
        newer
    }

    /// What the tag meant when a rollout read it for this container, where it did so after the push.
    fn read_by<'r>(self, rollout: &'r Rollout, container: &ContainerName) -> Option<&'r Digest> {
        let image = rollout.definition.images.get(container)?;
        let reads = |image: &ImageReference| image.effective_tag().as_ref() == Some(self.tag);
        let is_later = rollout.created_at >= self.at + FRESHNESS_MARGIN;
        rollout.digests.get(container).filter(|_| is_later && reads(image))
    }
}

/// What follows for a push that is followed from a complete rollout that read its tag since. A rollout that were started
/// now would not bring back what was pushed then.
///
/// For an index it is certain that the tag has moved on only where two rollouts since the push read it differently. Where
/// there is no second one, what was put back is carried by the one that succeeded: its tag was read after the push.
pub(super) fn read_since(
    request: &Request,
    followed: &FollowedImage,
    containers: &[ContainerName],
    look: &Look,
) -> Option<Verdict> {
    let pushed = Pushed::of(request).filter(|_| !followed.any_tag)?;
    let complete = look.rollouts.iter().find(|it| it.state == RolloutState::Succeeded)?;
    let is_read_otherwise = |container: &ContainerName, runs: &Digest| {
        let before = look.rollouts.iter().filter(|it| it.created_at < complete.created_at);
        before.filter_map(|it| pushed.read_by(it, container)).any(|read| read != runs)
    };
    let is_another = |name: &_, runs: &_| pushed.is_single || is_read_otherwise(name, runs);
    if let Some(why) = pushed.outrun(complete, containers, is_another) {
        return Some(settle::superseded_as(why));
    }
    let is_put_back = request.floor > request.version;
    let is_read = containers.iter().all(|name| pushed.read_by(complete, name).is_some());
    (is_put_back && is_read).then(|| settle::carried(complete))
}
