//! Changes of what tasks read when they start: parameters, secrets and environment files.
//!
//! Parameters and secrets are compared by name, also where one side gives an ARN, and those that discovery found by their
//! own account and Region, too. The ARN of a secret ends in a hyphen
//! and six random characters, but may be written without them, and a name may end so by itself. So of an ARN both
//! readings count.

use std::{collections::BTreeSet, iter};

use super::{Draft, Routes, Target, discovered::listing_others, naming::bare, words::switched_off};
use crate::domain::{Change, FilePattern, Glob, OnDelete, Refresh, TargetId, TargetSettings, Write};

impl Routes {
    pub(super) fn on_parameter(&self, name: &str, change: Write, draft: &mut Draft<'_>) {
        let what = format!("parameter {name}");
        let place = self.place_of(draft.event);
        let mut found = self.at(self.parameters.find(parameter_name(name)));
        found.retain(|target| place.has(&target.id));
        let names = self.names.as_ref().filter(|_| place == self.home);
        let service = names.and_then(|names| names.of_parameter(parameter_name(name)));
        if let (Some(names), Some(service)) = (names, service) {
            self.join(&mut found, names, service, |known| known.lists.parameters);
        }
        let read = self.found.reading_parameter(name, &place);
        let readers: BTreeSet<&TargetId> = read.iter().map(|it| it.id()).collect();
        let others = self.join_found(&mut found, read, |known| known.lists.parameters, |_, _| true);
        if change == Write::Created {
            for target in found.iter_mut().filter(|it| self.only_matches(it, name, &readers)) {
                let why = format!("{what} was created, and its running definition does not name it");
                target.refused.get_or_insert(why.into());
            }
        }
        let by_name = || match (names, service) {
            (None, _) => String::new(),
            (Some(_), Some(service)) => format!("; the rule of {service} lists others"),
            (Some(names), None) => format!("; by name those below {} are found", names.parameters()),
        };
        let instead = || listing_others(&others).unwrap_or_else(by_name);
        let reached = any(found, || format!("no target in {place} reads {what}{}", instead()));
        let why = || format!("{what} {}", past(change, "updated"));
        draft.ask(reached, why, |it| restart(("parameters", it.triggers.parameters), &what, change, it));
    }

    /// Whether only a pattern leads to the target, and its definition, as far as it is known, reads something else: what is
    /// new cannot be what its tasks have read.
    fn only_matches(&self, target: &Target, name: &str, readers: &BTreeSet<&TargetId>) -> bool {
        let position = self.by_id.get(&target.id);
        let is_listed = position.is_some_and(|&at| self.parameters.names(parameter_name(name), at));
        self.found.get(&target.id).is_some() && !is_listed && !readers.contains(&target.id)
    }

    pub(super) fn on_secret(&self, secret: &str, change: Write, draft: &mut Draft<'_>) {
        let what = format!("secret {secret}");
        let place = self.place_of(draft.event);
        let mut positions: Vec<usize> =
            secret_names(secret).flat_map(|name| self.secrets.find(name)).collect();
        positions.sort_unstable();
        positions.dedup();
        let mut found = self.at(positions);
        found.retain(|target| place.has(&target.id));
        let read = self.found.reading_secret(secret, &place);
        let others = self.join_found(&mut found, read, |known| known.lists.secrets, |_, _| true);
        let instead = || listing_others(&others).unwrap_or_default();
        let reached = any(found, || format!("no target in {place} reads {what}{}", instead()));
        let why = || format!("{what} {}", past(change, "updated"));
        draft.ask(reached, why, |it| restart(("secrets", it.triggers.secrets), &what, change, it));
    }

    /// The name of a bucket is unique, so it does not matter where the event came from.
    pub(super) fn on_file(&self, bucket: &str, key: &str, change: Write, draft: &mut Draft<'_>) {
        let what = format!("s3://{bucket}/{key}");
        let mut found = self.at(self.files.find(&what));
        let loaded = self.found.loading(bucket, key);
        let others =
            self.join_found(&mut found, loaded, |known| known.lists.files || known.is_in_map, |_, _| true);
        let instead = || listing_others(&others).unwrap_or_default();
        let reached = any(found, || format!("no target loads {what}{}", instead()));
        let why = || format!("{what} {}", past(change, "written"));
        draft.ask(reached, why, |it| restart(("files", it.triggers.files), &what, change, it));
    }
}

/// A pattern of parameters, as it is compared.
pub(super) fn parameter_pattern(pattern: &Glob) -> &str {
    parameter_name(pattern.as_str())
}

/// The patterns of secrets that this one stands for.
pub(super) fn secret_patterns(pattern: &Glob) -> impl Iterator<Item = &str> {
    secret_names(pattern.as_str())
}

/// A pattern of files, as it is compared.
pub(super) fn file_pattern(pattern: &FilePattern) -> String {
    format!("s3://{}/{}", pattern.bucket, pattern.key.as_str())
}

/// What a change of something that tasks read asks of a target, or why nothing.
fn restart(
    (kind, on): (&str, bool),
    what: &str,
    change: Write,
    settings: &TargetSettings,
) -> Result<Change, String> {
    let TargetSettings { name, on_delete, .. } = settings;
    match (change, on_delete) {
        _ if !on => Err(switched_off(kind, name)),
        (Write::Deleted, OnDelete::Warn) => Err(format!("{what} was deleted: new tasks would fail to start")),
        (Write::Created | Write::Updated, _) | (Write::Deleted, OnDelete::Deploy) => {
            Ok(Change::Refresh(Refresh::Restart))
        }
    }
}

fn any(found: Vec<Target>, none: impl FnOnce() -> String) -> Result<Vec<Target>, String> {
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

fn past(change: Write, updated: &'static str) -> &'static str {
    match change {
        Write::Created => "created",
        Write::Updated => updated,
        Write::Deleted => "deleted",
    }
}

/// The name in a name or ARN, without the slash that a hierarchy begins with.
pub(super) fn parameter_name(text: &str) -> &str {
    let name = text.strip_prefix("arn:").and_then(|rest| rest.split_once(":parameter/"));
    bare(name.map_or(text, |(_, name)| name))
}

/// What a name or ARN may name: behind an ARN's `secret:` the name stands with its random end, or without.
pub(super) fn secret_names(text: &str) -> impl Iterator<Item = &str> {
    let tail = text.strip_prefix("arn:").and_then(|rest| rest.split_once(":secret:")).map(|(_, tail)| tail);
    let tail = tail.map(|tail| tail.split_once(':').map_or(tail, |(name, _)| name));
    let (name, other) = tail.map_or((text, None), secret_readings);
    iter::once(name).chain(other)
}

/// What may be named behind an ARN's `secret:`: all of it, or what stands before its random end.
pub(super) fn secret_readings(tail: &str) -> (&str, Option<&str>) {
    (tail, without_random_end(tail))
}

fn without_random_end(tail: &str) -> Option<&str> {
    let (name, end) = tail.rsplit_once('-')?;
    let random = end.len() == 6 && end.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'?');
    random.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_compared_by_its_bare_name() {
        for text in
            ["/dev/api/KEY", "dev/api/KEY", "arn:aws:ssm:eu-west-1:111122223333:parameter/dev/api/KEY"]
        {
            assert_eq!(parameter_name(text), "dev/api/KEY");
        }
        assert_eq!(parameter_name("/a:parameter/b"), "a:parameter/b");
    }

    #[test]
    fn the_arn_of_a_secret_names_it_with_and_without_its_random_end() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:";
        for (tail, names) in [
            ("shop/api-AbCd12", vec!["shop/api-AbCd12", "shop/api"]),
            ("shop/api-AbCd12:KEY:AWSCURRENT:", vec!["shop/api-AbCd12", "shop/api"]),
            ("shop/api", vec!["shop/api"]),
            ("shop/*-??????", vec!["shop/*-??????", "shop/*"]),
            ("shop/my-db", vec!["shop/my-db"]),
            ("shop/my-secrets", vec!["shop/my-secrets"]),
            ("shop/api-Ab_d12", vec!["shop/api-Ab_d12"]),
        ] {
            assert_eq!(secret_names(&format!("{arn}{tail}")).collect::<Vec<_>>(), names);
        }
        assert_eq!(secret_names("shop/api-AbCd12").collect::<Vec<_>>(), ["shop/api-AbCd12"]);
    }
}
