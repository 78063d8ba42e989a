//! What is known as a credential by its shape, wherever it stands.

use std::borrow::Cow;

use super::Hiding;

/// How a credential begins, and how many characters follow at least. Short beginnings ask for more, or words would be hidden.
const BEGINNINGS: [(&str, usize); 29] = [
    ("ghp_", 4),
    ("gho_", 4),
    ("ghu_", 4),
    ("ghs_", 4),
    ("ghr_", 4),
    ("github_pat_", 4),
    ("glpat-", 4),
    ("gldt-", 8),
    ("glrt-", 8),
    ("glcbt-", 8),
    ("glptt-", 8),
    ("xoxa-", 4),
    ("xoxb-", 4),
    ("xoxe-", 4),
    ("xoxe.", 4),
    ("xoxo-", 4),
    ("xoxp-", 4),
    ("xoxr-", 4),
    ("xoxs-", 4),
    ("xapp-", 8),
    ("sk_live_", 4),
    ("sk_test_", 4),
    ("rk_live_", 4),
    ("whsec_", 8),
    ("dckr_pat_", 8),
    ("hvs.", 20),
    ("AIza", 30),
    ("npm_", 36),
    ("pypi-", 50),
];
/// How an address begins that is itself the credential.
const ADDRESSES: [&str; 2] = ["hooks.slack.com/services/", "hooks.slack.com/workflows/"];
/// How the id of an access key of AWS begins; 16 capitals and digits follow.
const ACCESS_KEYS: [&str; 2] = ["AKIA", "ASIA"];
const ACCESS_KEY_CHARS: usize = 20;
/// The secret that belongs to such an id has so many characters.
const SECRET_KEY_CHARS: usize = 40;
const PEM_BEGINS: &str = "-----BEGIN ";
const PEM_ENDS: &str = "-----END ";
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
/// The longest line with which a private key begins, in bytes.
const LONGEST_PEM_HEAD: usize = 60;
/// What follows `Bearer` where people write about it.
const NO_BEARER: [&str; 12] = [
    "token",
    "tokens",
    "auth",
    "authentication",
    "authorization",
    "scheme",
    "header",
    "headers",
    "of",
    "is",
    "and",
    "or",
];

/// This text without what has the shape of a credential.
pub(super) fn without_shapes(text: &str) -> Cow<'_, str> {
    let mut hiding = Hiding::new(text);
    let mut at = 0;
    while let Some(word) = next_word(text, at) {
        at = match credential(text, word) {
            Some((from, to)) if from < to => {
                hiding.hide(from, to);
                to
            }
            _ => end_of_word(text, word),
        };
    }
    hiding.finish()
}

/// Where the next word begins, or the head of a private key.
fn next_word(text: &str, from: usize) -> Option<usize> {
    let starts = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let at = from + text.get(from..)?.find(starts)?;
    Some(at)
}

/// Words end where no credential goes on. Each goes forward by one character at least.
fn end_of_word(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    if let Some(signs) = rest.strip_prefix('-') {
        return if rest.starts_with(PEM_BEGINS) {
            from + PEM_BEGINS.len()
        } else {
            text.len() - signs.trim_start_matches(['-', '_']).len()
        }
        .max(from + 1);
    }
    from + rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// What is to be hidden of the word that begins here.
fn credential(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    if rest.starts_with(PEM_BEGINS) {
        return private_key(text, at);
    }
    if rest.starts_with("hooks.") {
        let address = ADDRESSES.into_iter().find(|it| rest.starts_with(it))?;
        return Some((at + address.len(), run(text, at + address.len())));
    }
    access_key(text, at).or_else(|| token(text, at)).or_else(|| jwt(text, at)).or_else(|| presented(text, at))
}

/// Where the characters end of which credentials are made.
fn run(text: &str, from: usize) -> usize {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '=' | '~'));
    let rest = &text[from..];
    let run = &rest[..rest.find(ends).unwrap_or(rest.len())];
    // The end of a sentence.
    from + run.trim_end_matches('.').len()
}

fn token(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let (_, least) =
        BEGINNINGS.iter().find(|(begins, _)| rest.starts_with(begins)).map(|(b, n)| (b, b.len() + n))?;
    let end = run(text, at);
    (end - at >= least).then_some((at, end))
}

/// The id of an access key, and the secret that is pasted with it.
fn access_key(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let id =
        ACCESS_KEYS.iter().any(|begins| rest.starts_with(begins)).then(|| rest.get(..ACCESS_KEY_CHARS))??;
    let is_id = id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && !rest[ACCESS_KEY_CHARS..].starts_with(|c: char| c.is_ascii_alphanumeric());
    let behind = is_id.then_some(at + ACCESS_KEY_CHARS)?;
    let signs =
        text[behind..].find(|c: char| !(c.is_whitespace() || matches!(c, ':' | ',' | ';' | '/' | '|')));
    let secret = behind + signs.unwrap_or_default();
    let end = run(text, secret);
    Some((at, if end - secret == SECRET_KEY_CHARS { end } else { behind }))
}

/// Three parts of base64, of which the first begins like every JSON object.
fn jwt(text: &str, at: usize) -> Option<(usize, usize)> {
    text[at..].starts_with("eyJ").then_some(())?;
    let part = |from: usize| {
        let rest = &text[from..];
        let is_of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        from + rest.find(|c| !is_of(c)).unwrap_or(rest.len())
    };
    let first = part(at);
    text[first..].starts_with('.').then_some(())?;
    let second = part(first + 1);
    (first - at > 7 && second - first > 4 && text[second..].starts_with('.')).then(|| (at, run(text, at)))
}

/// What stands behind `Bearer` and `Basic`.
fn presented(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let (scheme, behind) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_alphabetic())?)?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    if !is_bearer && !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let from = at + scheme.len() + behind.find(|c| c != ' ')?;
    let end = run(text, from);
    let said = &text[from..end];
    let is_word = |word: &str| {
        let tail = word.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(word);
        tail.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'.' | b'/'))
    };
    let is_told = if is_bearer {
        NO_BEARER.iter().any(|word| said.eq_ignore_ascii_case(word))
    } else {
        is_word(said) || said.len() < 8
    };
    (from > at + scheme.len() && !said.is_empty() && !is_told).then_some((from, end))
}

/// All between the first line of a private key and its last, or the end of the text.
fn private_key(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let line = &rest[..rest.floor_char_boundary(LONGEST_PEM_HEAD)];
    let head = line.find(PRIVATE_KEY)? + PRIVATE_KEY.len();
    let end = rest[head..].find(PEM_ENDS).map_or(rest.len(), |end| head + end);
    (&rest[head..end] != super::HIDDEN).then_some((at + head, at + end))
}
