//! What is read of the things that targets depend on.

use super::{Digest, Timestamp};

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
