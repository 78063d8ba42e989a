//! Which names are those of secrets.

/// How much a name says about what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// What stands behind it is a secret, unless it says that there is none.
    Surely,
    /// People and AWS also write sentences behind it.
    Likely,
}

/// How the name is joined to what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// As in a file or a map: only values stand there.
    AsValue,
    /// With a colon, as in a sentence.
    AsWords,
}

const SURE: [&str; 15] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "apikey",
    "apikeys",
    "accesskey",
    "privatekey",
    "secretkey",
    "secretaccesskey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "authkey",
    "connectionstring",
];
const LIKELY: [&str; 5] = ["secret", "token", "credential", "credentials", "authorization"];
/// Enough where only values stand.
const SHORT: [&str; 5] = ["pass", "pwd", "auth", "jwt", "sas"];
/// A name that ends so is about the secret, and is none.
const ABOUT: [&str; 42] = [
    "id",
    "ids",
    "name",
    "names",
    "arn",
    "arns",
    "file",
    "files",
    "path",
    "paths",
    "type",
    "version",
    "env",
    "count",
    "changed",
    "unreadable",
    "read",
    "reads",
    "manager",
    "expired",
    "expires",
    "expiry",
    "expiration",
    "ttl",
    "length",
    "policy",
    "rotation",
    "exception",
    "error",
    "bucket",
    "url",
    "uri",
    "endpoint",
    "host",
    "updated",
    "deleted",
    "created",
    "used",
    "limit",
    "budget",
    "class",
    "hint",
];
/// What stands before `key` or `string` where that is two words.
const BEFORE_KEY: [&str; 6] = ["api", "access", "private", "secret", "signing", "encryption"];

/// Whether the value of what is called so is a secret.
pub(super) fn telling(name: &str, joined: Joined) -> Option<Telling> {
    let words = words(name);
    let last = words.last()?.as_str();
    if ABOUT.contains(&last) {
        return None;
    }
    let whole = words.concat();
    let ends = |parts: &[&str]| parts.iter().any(|part| whole.ends_with(part));
    let has = |parts: &[&str]| words.iter().any(|word| parts.contains(&word.as_str()));
    let is_value = joined == Joined::AsValue;
    if ends(&SURE) || is_value && (has(&SURE) || has(&SHORT) || is_key_of_environment(name)) {
        return Some(Telling::Surely);
    }
    (ends(&LIKELY) || is_value && has(&LIKELY)).then_some(Telling::Likely)
}

/// Whether this word and the one before it are such a name together.
pub(super) fn is_telling_pair(before: &str, name: &str) -> bool {
    let (before, name) = (before.to_ascii_lowercase(), name.to_ascii_lowercase());
    (name == "key" && BEFORE_KEY.contains(&before.as_str())) || (name == "string" && before == "connection")
}

/// As `STRIPE_KEY`.
fn is_key_of_environment(name: &str) -> bool {
    name.ends_with("_KEY")
        && !name.ends_with("PUBLIC_KEY")
        && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// The words of a name in lower case, without numbers at their ends, whether it is written `like_this`, `like-this` or
/// `likeThis`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || was_lower && c.is_ascii_uppercase() {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric() {
            words.last_mut().expect("there is one from the beginning").push(c.to_ascii_lowercase());
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let trimmed = words.iter().map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned());
    trimmed.filter(|word| !word.is_empty()).collect()
}
