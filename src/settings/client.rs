//! `[client]`: how commands reach a daemon.

use super::{
    Client,
    http::{file_path, public_url},
    section::Section,
};

/// What is set of it.
pub(super) fn read(section: &mut Section<'_>) -> Client {
    Client { url: section.take("url", public_url), token_file: section.take("token_file", file_path) }
}
