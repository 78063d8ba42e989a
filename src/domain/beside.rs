//! What an event that asks for nothing is all the same a sign of.

use std::{fmt, sync::Arc};

use super::{Digest, RepositoryName, StoredNotice, Tag};

/// What follows from an event that is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Beside {
    /// An image is gone. Nothing is deployed, but tasks that need it cannot start any more.
    ImageGone(GoneImage),
    /// A schedule's rule ticked: one of ours begins a pass of reconcile.
    Tick {
        /// The rule's name.
        rule: Arc<str>,
    },
    /// The end of a deployment of which somebody has yet to be told.
    Untold(Box<StoredNotice>),
}

/// An image that cannot be pulled any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoneImage {
    /// The repository that it was in.
    pub repository: RepositoryName,
    /// The tag that it had, where the event names one.
    pub tag: Option<Tag>,
    /// Its digest, where the event names one.
    pub digest: Option<Digest>,
    /// Whether it was moved to the archive, from where it can be restored, and not deleted.
    pub archived: bool,
}

impl fmt::Display for GoneImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, tag, digest, archived } = self;
        write!(f, "image {repository}")?;
        if let Some(tag) = tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = digest {
            write!(f, "@{digest}")?;
        }
        f.write_str(if *archived { " was archived" } else { " was deleted" })
    }
}
