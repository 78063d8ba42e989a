//! The values of what is named like a secret.

use std::borrow::Cow;

use super::{
    HIDDEN, Hiding,
    names::{Joined, Telling, is_telling_pair, telling},
};

/// No name is longer, in bytes.
const LONGEST_NAME: usize = 80;
/// What says how somebody shows who they are, before they do.
const SCHEMES: [&str; 5] = ["bearer", "basic", "token", "digest", "apikey"];
/// What is no secret, whatever it is called.
const NOTHING: [&str; 6] = ["null", "none", "true", "false", "nil", "undefined"];
/// How sentences go on behind the name of a password.
const GOES_ON: [&str; 24] = [
    "is", "are", "was", "not", "no", "must", "the", "a", "an", "cannot", "could", "has", "have", "had",
    "needs", "may", "unable", "access", "it", "its", "this", "invalid", "missing", "expected",
];

/// This text without the values of secrets that stand behind `=` and `:`.
pub(super) fn without_pairs(text: &str) -> Cow<'_, str> {
    let mut hiding = Hiding::new(text);
    let mut at = 0;
    while let Some(sign) = text.get(at..).and_then(|rest| rest.find(['=', ':'])).map(|sign| at + sign) {
        let name = Name::before(text, sign);
        let found = name.and_then(|name| name.value(text, sign + 1));
        at = found.map_or(sign + 1, |found| hiding.take(found)).max(sign + 1);
    }
    hiding.finish()
}

/// This text without the values of secrets that are arguments of a command.
pub(super) fn without_flags(text: &str) -> Cow<'_, str> {
    let mut hiding = Hiding::new(text);
    let mut at = 0;
    while let Some(flag) = text.get(at..).and_then(|rest| rest.find("--")).map(|flag| at + flag) {
        let from = flag + "--".len();
        let end = from + text[from..].find(|c| !is_of_name(c)).unwrap_or(text.len() - from);
        let name = &text[from..end];
        let is_flag = text[end..].starts_with(' ') && name.len() <= LONGEST_NAME && !name.starts_with('-');
        let found = is_flag.then(|| telling(name, Joined::AsWords)).flatten();
        let found =
            found.and_then(|_| Value::find(text, end, false).map(|it| it.judge(text, Telling::Likely)));
        at = found.map_or(end.max(from), |found| hiding.take(found));
    }
    hiding.finish()
}

impl Hiding<'_> {
    /// Hides what was found, or passes it over; where the search goes on.
    fn take(&mut self, found: Found) -> usize {
        match found {
            Found::Secret(from, to) => {
                self.hide(from, to);
                to
            }
            Found::Shown(to) => to,
        }
    }
}

/// What turned out to stand there.
enum Found {
    Secret(usize, usize),
    Shown(usize),
}

/// A name that tells that a secret follows.
struct Name<'a> {
    word: &'a str,
    telling: Telling,
    is_quoted: bool,
    is_colon: bool,
}

impl<'a> Name<'a> {
    /// What stands before the sign, if it tells that.
    fn before(text: &'a str, sign: usize) -> Option<Self> {
        let start = text.floor_char_boundary(sign.saturating_sub(LONGEST_NAME));
        let is_colon = text[sign..].starts_with(':');
        let head = text[start..sign].trim_end();
        let head = if is_colon { head } else { head.trim_end_matches(':').trim_end() };
        let bare = head.strip_suffix(['"', '\'']);
        let is_quoted = bare.is_some();
        let head = bare.unwrap_or(head).trim_end_matches('\\');
        let begin = head
            .rfind(|c| !is_of_name(c))
            .map_or(0, |at| at + head[at..].chars().next().map_or(1, char::len_utf8));
        let (before, name) = head.split_at(begin);
        // Of an ARN, an address or a path.
        let is_part = !is_quoted && is_colon && before.ends_with(['/', ':', '@']);
        let joined = if is_quoted || !is_colon { Joined::AsValue } else { Joined::AsWords };
        let telling =
            if is_part { None } else { telling(name, joined).or_else(|| of_two_words(before, name)) };
        Some(Self { word: name, telling: telling?, is_quoted, is_colon })
    }

    /// What stands behind the sign.
    fn value(&self, text: &str, from: usize) -> Option<Found> {
        let rest = &text[from..];
        if rest.starts_with("//") || self.is_colon && rest.starts_with(':') || rest.starts_with("==") {
            return None;
        }
        let from = from + usize::from(rest.starts_with(['>', '=']));
        let is_joined =
            self.is_colon && !self.is_quoted && !rest.starts_with([' ', '\t', '"', '\'', '\\', '`']);
        // As in `repository-token:1.2`: a tag may follow.
        if is_joined && self.word.contains('-') {
            return None;
        }
        let mut value = Value::find(text, from, self.is_quoted)?;
        if self.word.to_ascii_lowercase().ends_with("authorization")
            && value.quote.is_none()
            && is_one_of(&text[value.from..value.to], &SCHEMES)
        {
            value = Value::find(text, value.to, false)?;
            return Some(value.judge(text, Telling::Surely));
        }
        if is_joined && text[value.from..value.to].bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let telling = if self.is_colon || self.is_quoted { self.telling } else { Telling::Surely };
        Some(value.judge(text, telling))
    }
}

fn of_two_words(before: &str, name: &str) -> Option<Telling> {
    let before = before.strip_suffix(' ')?;
    let word = before.rsplit(|c: char| !c.is_ascii_alphabetic()).next()?;
    is_telling_pair(word, name).then_some(Telling::Surely)
}

/// What stands behind a name.
struct Value {
    /// Where it begins, within its quotes.
    from: usize,
    to: usize,
    quote: Option<char>,
}

impl Value {
    fn find(text: &str, from: usize, is_json: bool) -> Option<Self> {
        let rest = &text[from..];
        let is_space = |c: char| matches!(c, ' ' | '\t') || is_json && c.is_whitespace();
        let from = from + rest.find(|c| !is_space(c))?;
        let rest = &text[from..];
        let escapes = rest.len() - rest.trim_start_matches('\\').len();
        if let Some(quote) = rest[escapes..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
            let from = from + escapes + 1;
            return Some(Self { from, to: end_of_quote(text, from, quote, escapes), quote: Some(quote) });
        }
        if is_json && rest.starts_with('{') {
            return None;
        }
        if is_json && rest.starts_with('[') {
            let to = rest.find(']').map_or(text.len(), |end| from + end);
            return Some(Self { from: from + 1, to, quote: Some('[') });
        }
        let ends = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`');
        let value = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let value = value.trim_end_matches(['\\', ',', ';', '.', ')', ']', '}', '\'']);
        Some(Self { from, to: from + value.len(), quote: None })
    }

    /// Whether it is hidden.
    fn judge(&self, text: &str, telling: Telling) -> Found {
        let value = &text[self.from..self.to];
        let is_nothing = value.trim().is_empty()
            || value.starts_with('&')
            || is_one_of(value, &NOTHING)
            || matches!(value, "(hidden)" | "(hidden" | "…")
            || is_hidden(value);
        let is_shown = is_nothing
            || value.starts_with("arn:")
            || telling == Telling::Likely && is_path(value)
            || self.quote.is_none() && is_sentence(value, &text[self.to..], telling);
        if is_shown { Found::Shown(self.to) } else { Found::Secret(self.from, self.to) }
    }
}

/// Where the text ends that began behind so many escapes and this quote.
fn end_of_quote(text: &str, from: usize, quote: char, escapes: usize) -> usize {
    let mut run = 0;
    for (at, c) in text[from..].char_indices() {
        match c {
            '\\' => run += 1,
            c if c == quote && run <= escapes => return from + at - run,
            _ => run = 0,
        }
    }
    text.len()
}

/// Whether it was hidden before.
fn is_hidden(value: &str) -> bool {
    value.strip_prefix(HIDDEN).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
}

/// Whether it looks like the path of a parameter or a secret: no secret has only words between slashes.
fn is_path(value: &str) -> bool {
    let is_word = |part: &str| {
        let is_of = |is: fn(&u8) -> bool| {
            part.bytes().all(|byte| is(&byte) || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.'))
        };
        is_of(u8::is_ascii_lowercase) || is_of(u8::is_ascii_uppercase)
    };
    value.contains('/') && value.split('/').all(is_word)
}

/// Whether a sentence goes on here.
fn is_sentence(value: &str, behind: &str, telling: Telling) -> bool {
    let code = value.strip_suffix(':').filter(|_| behind.starts_with(' '));
    if code.is_some_and(|code| code.ends_with("Exception") || code.ends_with("Error")) {
        return true;
    }
    let goes_on = behind.strip_prefix(' ').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '`' | '"' | '\'' | '('))
    });
    let is_word = value.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())
        && value.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_known = telling == Telling::Likely || is_one_of(value, &GOES_ON);
    goes_on && is_word && is_known
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}
