//! Where a change came from, as whoever asked for it says: shown to people, and never acted upon.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The commit, the branch, the run and the person behind a trigger. Every part was written by others, and is as harmless
/// and as short as decoding makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct Metadata {
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub user: Option<Arc<str>>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub commit: Option<Arc<str>>,
    /// The branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub branch: Option<Arc<str>>,
    /// The repository of the source code, as `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub repository: Option<Arc<str>>,
    /// Where people read that repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub repository_url: Option<Arc<str>>,
    /// The CI system, as `github`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub platform: Option<Arc<str>>,
    /// Its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub run_id: Option<Arc<str>>,
    /// Where people read of that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub run_url: Option<Arc<str>>,
    /// The span in which it was asked for, as W3C's `traceparent` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub traceparent: Option<Arc<str>>,
}

impl Metadata {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Where people read of the commit.
    pub fn commit_url(&self) -> Option<String> {
        let (url, commit) = (self.repository_url.as_deref()?, self.commit.as_deref()?);
        let path = match host_of(url) {
            host if host.contains("gitlab") => "-/commit",
            host if host.contains("bitbucket") => "commits",
            _ => "commit",
        };
        is_commit(commit).then(|| format!("{url}/{path}/{commit}"))
    }
}

/// Whether this can be the id of a commit, whole or short.
pub fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str, commit: &str) -> Option<String> {
        let (url, commit) = (Some(url.into()), Some(commit.into()));
        Metadata { repository_url: url, commit, ..Metadata::default() }.commit_url()
    }

    #[test]
    fn a_commit_is_linked_as_its_host_shows_it() {
        for (url, linked) in [
            ("https://github.com/shop/api", "https://github.com/shop/api/commit/4f2a9c1"),
            ("https://gitlab.shop.example/g/api", "https://gitlab.shop.example/g/api/-/commit/4f2a9c1"),
            ("https://bitbucket.org/shop/api", "https://bitbucket.org/shop/api/commits/4f2a9c1"),
        ] {
            assert_eq!(link(url, "4f2a9c1").as_deref(), Some(linked));
        }
    }

    #[test]
    fn what_is_no_commit_is_not_linked() {
        for commit in ["main", "4f2a9c", "4f2a9c1/../..", ""] {
            assert_eq!(link("https://github.com/shop/api", commit), None, "{commit}");
        }
        assert!(Metadata::default().is_empty());
        assert_eq!(Metadata { commit: Some("4f2a9c1".into()), ..Metadata::default() }.commit_url(), None);
    }
}
