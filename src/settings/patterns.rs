//! Readers of what a target depends on: globs of repositories, parameters, secrets and files.
//!
//! A pattern that could never match is refused here: at run time it would look like an event that nobody wanted.

use super::{problems::Wrong, values::text, written::Written};
use crate::domain::{FilePattern, Glob, ImageReference};

type Read<T> = Result<T, Wrong>;

/// Repositories, without their registry.
pub(super) fn repository(written: &Written) -> Read<Glob> {
    let text = unbroken(written)?;
    let bare = |name: &str| Wrong::new("names more than a repository", format!(r#"write "{name}""#));
    if let Some(name) = resource_of_arn(text).and_then(|resource| resource.strip_prefix("repository/")) {
        return Err(bare(name));
    }
    match text.parse::<ImageReference>() {
        Ok(image) if image.registry.is_some() || image.tag.is_some() || image.digest.is_some() => {
            Err(bare(image.repository.as_str()))
        }
        Ok(_) | Err(_) => glob_of(text, "_./-", "is not the name of a repository"),
    }
}

/// SSM parameters, by name.
pub(super) fn parameter(written: &Written) -> Read<Glob> {
    let text = unbroken(written)?;
    if let Some(name) = resource_of_arn(text).and_then(|resource| resource.strip_prefix("parameter")) {
        return Err(Wrong::new("is an ARN, where a name belongs", format!(r#"write "{name}""#)));
    }
    if text.contains('/') && !text.starts_with(['/', '*', '?']) {
        let mend = format!(r#"write "/{text}""#);
        return Err(Wrong::new("never matches: a parameter in a hierarchy begins with a slash", mend));
    }
    glob_of(text, "_./-", "is not the name of a parameter")
}

/// Secrets of Secrets Manager, by name.
pub(super) fn secret(written: &Written) -> Read<Glob> {
    let text = unbroken(written)?;
    if let Some(name) = resource_of_arn(text).and_then(|resource| resource.strip_prefix("secret:")) {
        // Secrets Manager adds a hyphen and six characters to the name in an ARN.
        let name =
            name.rsplit_once('-').filter(|(_, suffix)| suffix.len() == 6).map_or(name, |(name, _)| name);
        return Err(Wrong::new("is an ARN, where a name belongs", format!(r#"write "{name}""#)));
    }
    glob_of(text, "/_+=.@-", "is not the name of a secret")
}

/// Branches of a repository of source code. No branch has a colon in its name.
pub(super) fn branch(written: &Written) -> Read<Glob> {
    let text = unbroken(written)?;
    match text.strip_prefix("refs/heads/") {
        Some(name) => Err(Wrong::new("is a reference, where a branch belongs", format!(r#"write "{name}""#))),
        None => Ok(match text.strip_prefix("prefix:") {
            Some(prefix) => Glob::new(&format!("{prefix}*")),
            None => Glob::new(text),
        }),
    }
}

/// Objects in S3.
pub(super) fn file(written: &Written) -> Read<FilePattern> {
    let text = text(written)?;
    if let Some(path) = text.strip_prefix("arn:aws:s3:::") {
        return Err(Wrong::new("is an ARN, where a URL belongs", format!(r#"write "s3://{path}""#)));
    }
    let form = r#"write "s3://bucket/key", where the key may have `*` and `?`"#;
    let Some((bucket, key)) = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) else {
        return Err(Wrong::new("is not the URL of objects in S3", form));
    };
    file_in(bucket, key)
}

/// The same, of bucket and key.
pub(super) fn file_in(bucket: &str, key: &str) -> Read<FilePattern> {
    let in_bucket =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(in_bucket) {
        let mend = "use 3 to 63 small letters, digits, `.` and `-`; only the key may have `*` and `?`";
        return Err(Wrong::new(format!("has `{bucket}` where the name of a bucket belongs"), mend));
    }
    if key.is_empty() {
        return Err(Wrong::new("names no object in the bucket", r#"write its key, or "*" for all"#));
    }
    Ok(FilePattern { bucket: bucket.into(), key: Glob::new(key) })
}

fn unbroken(written: &Written) -> Read<&str> {
    let text = text(written)?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Wrong::new(
            "contains white space, and so never matches",
            "write each pattern as a text of its own",
        ));
    }
    Ok(text)
}

/// A pattern of letters, digits and these others.
pub(super) fn glob_of(text: &str, others: &str, wrong: &str) -> Read<Glob> {
    let strange = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '*' | '?') || others.contains(*c));
    match text.chars().find(strange) {
        Some(c) => Err(Wrong::new(
            format!("{wrong}, because of `{c}`"),
            format!("use letters, digits and {others}; `*` is any run of characters, `?` any one"),
        )),
        None => Ok(Glob::new(text)),
    }
}

/// What stands behind the account in an ARN.
pub(super) fn resource_of_arn(text: &str) -> Option<&str> {
    text.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4))
}
