//! The tokens that are taken. Only their digests are kept, and nothing of them is ever told.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tracing::{info, warn};

use super::Caller;
use crate::domain::{Moment, Role, TokenPlace, TokenRule};

/// A token that could be guessed is none.
const FEWEST_SIGNS: usize = 16;
const MOST_SIGNS: usize = 1_024;

/// A file is looked at no more often, however many ask.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// A file with tokens is no larger.
const LARGEST_FILE_BYTES: u64 = 64 * 1_024;
const MOST_IN_A_FILE: usize = 16;

/// A token that is taken by nobody, and why. It says nothing of what was found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token `{name}` of [[http.tokens]] cannot be used: {why}")]
pub struct TokenProblem {
    name: String,
    why: String,
}

/// All tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    roles: Vec<Role>,
    held: Mutex<Vec<Held>>,
}

/// What is known of one rule.
struct Held {
    rule: TokenRule,
    digests: Vec<[u8; 32]>,
    file: Option<Seen>,
}

/// A file as it was when it was last looked at.
#[derive(Debug)]
struct Seen {
    looked: Moment,
    stamp: Option<Stamp>,
}

/// What changes with a file.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Tokens {
    pub(super) fn open(
        rules: Vec<TokenRule>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TokenProblem> {
        let some_have = rules.iter().map(|rule| rule.role).collect();
        let held: Result<Vec<Held>, TokenProblem> =
            rules.into_iter().map(|rule| Held::open(rule, &variable)).collect();
        Ok(Self { roles: some_have, held: Mutex::new(held?) })
    }

    /// Whether anybody could have this role.
    pub(super) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whose token this is. How long that takes tells nothing: every digest is compared, and each in constant time.
    pub(super) fn bearer(&self, token: &str, now: Moment) -> Option<Caller> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bearer = None;
        for held in held.iter_mut() {
            held.look(now);
            let is_it = held.digests.iter().fold(Choice::from(0), |is_it, it| is_it | it.ct_eq(&digest));
            if is_it.into() {
                bearer = Some(Caller { name: held.rule.name.clone(), role: held.rule.role });
            }
        }
        bearer
    }
}

impl Held {
    fn open(rule: TokenRule, variable: impl Fn(&str) -> Option<String>) -> Result<Self, TokenProblem> {
        let problem = |why: String| TokenProblem { name: rule.name.to_string(), why };
        let (digests, file) = match &rule.kept {
            TokenPlace::Env(name) => {
                let text =
                    variable(name).ok_or_else(|| problem("its environment variable is not set".into()))?;
                (vec![digest(text.trim()).map_err(problem)?], None)
            }
            TokenPlace::File(path) => {
                let stamp = stamp(path).ok();
                (read(path).map_err(problem)?, Some(Seen { looked: Moment::default(), stamp }))
            }
        };
        Ok(Self { rule, digests, file })
    }

    /// Reads the file again if it is another one than it was.
    fn look(&mut self, now: Moment) {
        let (TokenPlace::File(path), Some(seen)) = (&self.rule.kept, &mut self.file) else { return };
        if now < seen.looked + LOOK_PERIOD {
            return;
        }
        seen.looked = now;
        let stamp = stamp(path).ok();
        if stamp == seen.stamp {
            return;
        }
        seen.stamp = stamp;
        let read = read(path);
        let (name, path) = (&*self.rule.name, path.display());
        match read {
            Ok(digests) => {
                info!(token = name, "the file {path} of the token {name} has changed, and was read again");
                self.digests = digests;
            }
            Err(why) => {
                warn!(
                    token = name,
                    error = why,
                    "the file {path} of the token {name} has changed, and holds none that can be used: nobody has it now"
                );
                self.digests.clear();
            }
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// The tokens in a file, one in a line.
fn read(path: &Path) -> Result<Vec<[u8; 32]>, String> {
    let unreadable = |error: io::Error| format!("its file cannot be read: {error}");
    let mut text = String::new();
    File::open(path)
        .map_err(unreadable)?
        .take(LARGEST_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST_IN_A_FILE);
    let digests = lines.map(digest).collect::<Result<Vec<_>, String>>()?;
    if digests.is_empty() { Err("its file is empty".into()) } else { Ok(digests) }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    use std::os::unix::fs::MetadataExt as _;

    let found = fs::metadata(path)?;
    Ok(Stamp { modified: found.modified().ok(), bytes: found.len(), inode: found.ino() })
}

fn digest(token: &str) -> Result<[u8; 32], String> {
    let is_sign = |sign: char| sign.is_ascii_graphic();
    if !(FEWEST_SIGNS..=MOST_SIGNS).contains(&token.len()) || !token.chars().all(is_sign) {
        let why = "it must have 16 to 1,024 signs of ASCII, none of them white space";
        return Err(format!("{why} (`openssl rand -hex 32` makes a good one)"));
    }
    Ok(Sha256::digest(token).into())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const ONE: &str = "one-token-of-many";
    const TWO: &str = "another-token-here";

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn rule(name: &str, role: Role, kept: TokenPlace) -> TokenRule {
        TokenRule { name: name.into(), role, kept }
    }

    fn in_variable(name: &str, role: Role) -> TokenRule {
        rule(name, role, TokenPlace::Env(name.into()))
    }

    fn who(tokens: &Tokens, token: &str, millis: u64) -> Option<String> {
        tokens.bearer(token, at(millis)).map(|caller| caller.name.to_string())
    }

    fn with_file(text: &str) -> (tempfile::TempDir, PathBuf, Tokens) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, text).expect("written");
        let tokens = Tokens::open(vec![rule("ci", Role::Operate, TokenPlace::File(path.clone()))], |_| None);
        (folder, path, tokens.expect("sound"))
    }

    #[test]
    fn each_token_tells_its_bearer_and_role_and_no_other_text_does() {
        let rules = vec![in_variable("a", Role::Read), in_variable("b", Role::Operate)];
        let value = |name: &str| Some(if name == "a" { format!(" {ONE}\n") } else { TWO.to_owned() });
        let tokens = Tokens::open(rules, value).expect("sound");
        let bearer = |token: &str| tokens.bearer(token, at(0)).map(|it| (it.name.to_string(), it.role));
        assert_eq!(bearer(ONE), Some(("a".into(), Role::Read)));
        assert_eq!(bearer(TWO), Some(("b".into(), Role::Operate)));
        for wrong in
            ["", "a", "one-token-of-man", "One-token-of-many", "one-token-of-many ", "one-token-of-manyy"]
        {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_or_is_not_there_is_refused_without_being_told() {
        let open = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            Tokens::open(vec![in_variable("ci", Role::Read)], |_| value.clone()).map(drop)
        };
        for wrong in [
            Some(""),
            Some("hunter2"),
            Some("hunter2 hunter2 hunter2"),
            Some("h\u{fc}nter2h\u{fc}nter2"),
            None,
        ] {
            let told = open(wrong).expect_err("refused").to_string();
            assert!(told.contains("`ci`") && !told.contains("nter2"), "{told}");
        }
        assert!(open(Some(ONE)).is_ok());
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_both_its_tokens_count() {
        let (_folder, path, tokens) = with_file(ONE);
        assert_eq!((who(&tokens, ONE, 0), who(&tokens, TWO, 0)), (Some("ci".into()), None));
        fs::write(&path, format!("{ONE}\n\n{TWO}\n")).expect("written");
        assert_eq!(who(&tokens, TWO, 1_000), Some("ci".into()));
        assert_eq!(who(&tokens, ONE, 1_000), Some("ci".into()));
        fs::write(&path, TWO).expect("written");
        assert_eq!((who(&tokens, ONE, 2_000), who(&tokens, TWO, 2_000)), (None, Some("ci".into())));
    }

    #[test]
    fn a_file_is_looked_at_once_in_a_second_however_many_ask() {
        let (_folder, path, tokens) = with_file(ONE);
        who(&tokens, ONE, 5_000);
        fs::write(&path, TWO).expect("written");
        assert_eq!((who(&tokens, TWO, 5_999), who(&tokens, TWO, 6_000)), (None, Some("ci".into())));
    }

    #[test]
    fn a_file_that_is_taken_away_takes_its_token_with_it_until_it_is_back() {
        let (_folder, path, tokens) = with_file(ONE);
        fs::remove_file(&path).expect("removed");
        assert_eq!(who(&tokens, ONE, 1_000), None);
        fs::write(&path, ONE).expect("written");
        assert_eq!(who(&tokens, ONE, 2_000), Some("ci".into()));
        fs::write(&path, "short").expect("written");
        assert_eq!(who(&tokens, "short", 3_000), None);
    }

    #[test]
    fn a_file_that_is_not_there_at_the_start_is_a_problem() {
        let rules = vec![rule("ci", Role::Read, TokenPlace::File("/does/not/exist".into()))];
        let told = Tokens::open(rules, |_| None).expect_err("refused").to_string();
        assert!(told.contains("cannot be read: No such file"), "{told}");
    }

    #[test]
    fn nothing_that_is_printed_of_them_holds_a_token_or_its_digest() {
        let (_folder, _path, tokens) = with_file(ONE);
        let told = format!("{tokens:?}");
        assert!(!told.contains(ONE) && !told.contains("digest"), "{told}");
    }
}
