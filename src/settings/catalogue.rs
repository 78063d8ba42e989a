//! The list of all settings, as `config/default.toml` writes it.

/// The built-in layer: every key with its meaning, its unit, its default and what is allowed.
pub(super) const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// One key and the section that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
}

/// Every key. One that has no default stands there as a comment: `#url = …`, with no space behind the `#`.
pub(super) fn keys() -> Vec<Key> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in DEFAULT_TOML.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_start_matches('[').split(']').next().unwrap_or(header);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| is_key(key)) {
            keys.push(Key { section, key });
        }
    }
    keys
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
