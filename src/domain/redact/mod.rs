//! Credentials in the texts of others: CI systems clone with them, and people paste what their terminal shows.
//!
//! | file | hides |
//! |---|---|
//! | `url` | who asks for a URL, and what its parameters say |
//! | `shape` | what is known by its shape: tokens of GitHub, GitLab, Slack and others, keys of AWS, JWTs, what follows `Bearer`, private keys |
//! | `pair` | the values of what is named like a secret: `DB_PASSWORD=…`, `token: …`, `"api_key": "…"`, `--token …` |
//! | `names` | which names those are |
//!
//! A secret that has neither a shape nor a name cannot be known as one. On the other side stand our own texts and those of
//! AWS, which speak of secrets all day: names and ARNs of secrets and parameters, `secretsmanager:GetSecretValue`, "the
//! token is expired" remain. Where it is uncertain, what looks like a sentence or the path of a name is shown, and all
//! else is hidden.

mod names;
mod pair;
mod shape;
#[cfg(test)]
mod tests;
mod url;

use std::borrow::Cow;

/// What stands where a secret stood.
const HIDDEN: &str = "***";

/// Once what is hidden stands there, more may be seen to be a value: so often at most.
const MOST_ROUNDS: usize = 4;

/// This text without the credentials in it. The same text comes out however often it is done.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let Some(mut plain) = changed(text) else { return Cow::Borrowed(text) };
    for _ in 1..MOST_ROUNDS {
        match changed(&plain) {
            Some(again) => plain = again,
            None => break,
        }
    }
    Cow::Owned(plain)
}

/// Hides what each way finds; `None` if that is nothing.
fn changed(text: &str) -> Option<String> {
    let mut plain = Cow::Borrowed(text);
    for hide in [url::without_urls, shape::without_shapes, pair::without_pairs, pair::without_flags] {
        if let Cow::Owned(less) = hide(&plain) {
            plain = Cow::Owned(less);
        }
    }
    match plain {
        Cow::Owned(plain) if plain != text => Some(plain),
        Cow::Owned(_) | Cow::Borrowed(_) => None,
    }
}

/// A text that is copied piece by piece, without what is hidden.
struct Hiding<'a> {
    text: &'a str,
    plain: Option<String>,
    done: usize,
}

impl<'a> Hiding<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, plain: None, done: 0 }
    }

    /// Hides what stands from here to there; nothing before it is looked at again.
    fn hide(&mut self, from: usize, to: usize) {
        let plain = self.plain.get_or_insert_with(|| String::with_capacity(self.text.len()));
        plain.push_str(&self.text[self.done..from]);
        plain.push_str(HIDDEN);
        self.done = to;
    }

    fn finish(self) -> Cow<'a, str> {
        match self.plain {
            None => Cow::Borrowed(self.text),
            Some(plain) => Cow::Owned(plain + &self.text[self.done..]),
        }
    }
}
