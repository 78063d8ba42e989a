//! What somebody probably meant who wrote a key that does not exist.

use super::{catalogue, layers::PREFIX, problems::Origin};
use crate::domain::nearest;

/// What would be right instead of `key` in the table `path`, where the `known` keys belong.
pub(super) fn mend(path: &str, key: &str, known: &[&str], origin: &Origin) -> String {
    if let Some(meant) = nearest(key, known) {
        return format!("did you mean `{}`?", spelled(path, meant, origin));
    }
    if let Some(other) = catalogue::keys().into_iter().find(|it| it.key == key) {
        return format!("`{key}` belongs to `[{}]`", other.section);
    }
    format!("remove it; known here are {}", known.join(", "))
}

/// As it is spelled where the wrong one was.
fn spelled(path: &str, key: &str, origin: &Origin) -> String {
    if origin.source.starts_with(PREFIX) {
        let path = path.replace('.', "__").to_uppercase();
        let separator = if path.is_empty() { "" } else { "__" };
        return format!("{PREFIX}{path}{separator}{}", key.to_uppercase());
    }
    key.into()
}
