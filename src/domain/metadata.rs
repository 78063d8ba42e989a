//! Where a change came from, as whoever asked for it says: shown to people, and never acted upon.

use std::sync::Arc;

use serde::Serialize;

/// The commit, the branch, the run and the person behind a trigger. Every part was written by others, and is as harmless
/// and as short as decoding makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Metadata {
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Arc<str>>,
    /// The branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Arc<str>>,
    /// The repository of the source code, as `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Arc<str>>,
    /// Where people read that repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_url: Option<Arc<str>>,
    /// The CI system, as `github`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Arc<str>>,
    /// Its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Arc<str>>,
    /// Where people read of that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_url: Option<Arc<str>>,
}

impl Metadata {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
