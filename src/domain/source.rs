//! What is read of the things that targets depend on.

use super::{Digest, Glob, Tag, Timestamp};

/// What a tag means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagState {
    /// The image.
    pub digest: Digest,
    /// When that was first pushed. A tag that is moved to it later changes nothing here.
    pub pushed_at: Timestamp,
    /// The images for single platforms, where it is an index of them, once somebody has looked into it.
    pub children: Vec<Digest>,
}

/// Which tags of a repository can be pushed once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMutability {
    /// Whether a tag can be moved to another image, as a rule.
    pub mutable: bool,
    /// The tags for which it is the other way round.
    pub except: Vec<Glob>,
}

impl TagMutability {
    /// Whether this tag can be moved to another image.
    pub fn can_move(&self, tag: &Tag) -> bool {
        self.except.iter().any(|glob| glob.matches(tag.as_str())) != self.mutable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_can_be_moved_unless_the_repository_or_an_exception_says_otherwise() {
        let of = |mutable, except: &[&str]| {
            let except = except.iter().map(|it| Glob::new(it)).collect();
            TagMutability { mutable, except }.can_move(&"latest".into())
        };
        assert!(of(true, &[]) && !of(false, &[]));
        assert!(of(true, &["v*"]) && !of(true, &["v*", "late*"]));
        assert!(!of(false, &["v*"]) && of(false, &["latest"]));
    }
}
