//! `[http]`: where it is answered, and to whom.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use super::{
    Http,
    problems::{Complaints, Wrong},
    section::{Section, items},
    values::{count, is_name, listen, one_of, text},
    written::Written,
};
use crate::domain::{Reads, Role, TokenPlace, TokenRule};

const MOST_READS: u32 = 100_000;
const MOST_WRITES: u32 = 1_000;
const DEFAULT_READS: u32 = 500;
const DEFAULT_WRITES: u32 = 10;
const LONGEST_NAME: usize = 64;

/// What is set of it.
pub(super) fn read(section: &mut Section<'_>, complaints: &Complaints) -> Http {
    let written = section.get("reads");
    let who = [("open", Reads::Open), ("token", Reads::Token)];
    let reads = section.take("reads", one_of(&who)).unwrap_or(Reads::Open);
    let named = section.get("tokens");
    let tokens = tokens(named, complaints);
    let is_none = named.is_none_or(|it| items(it).is_ok_and(|items| items.is_empty()));
    if let Some(written) = written.filter(|_| reads == Reads::Token && is_none) {
        let mend = "write an [[http.tokens]], or set it to \"open\"";
        let wrong = Wrong::new("is \"token\", and there is no token: nobody could see anything", mend);
        section.complain(&written.origin, &section.name_of("reads"), wrong);
    }
    let per_second = |most| count(1..=most);
    Http {
        listen: section.take("listen", listen).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
        public_url: section.take("public_url", public_url),
        reads,
        tokens,
        reads_per_second: section.take("reads_per_second", per_second(MOST_READS)).unwrap_or(DEFAULT_READS),
        writes_per_second: section
            .take("writes_per_second", per_second(MOST_WRITES))
            .unwrap_or(DEFAULT_WRITES),
    }
}

fn tokens(written: Option<&Written>, complaints: &Complaints) -> Vec<TokenRule> {
    let Some(written) = written else { return Vec::new() };
    let items = items(written).unwrap_or_else(|_| {
        let mend = "begin each with [[http.tokens]] in TOML, or write a JSON list of objects";
        let wrong = Wrong { secret: true, ..Wrong::new("is not a list of tokens", mend) };
        complaints.add(&written.origin, "http.tokens", None, wrong);
        Vec::new()
    });
    let mut seen = BTreeMap::new();
    let mut rules = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut section = Section::new(format!("http.tokens[{}]", index + 1), item, complaints);
        if let Some(rule) = rule(&mut section) {
            if let Some(first) = seen.insert(rule.name.clone(), section.home().clone()) {
                let wrong = format!("= \"{}\" is the name of another token, too, at {first}", rule.name);
                let wrong = Wrong::new(wrong, "give each a name of its own: it tells who asked for what");
                section.complain(section.home(), &section.name_of("name"), wrong);
            }
            rules.push(rule);
        }
        section.finish();
    }
    rules
}

fn rule(section: &mut Section<'_>) -> Option<TokenRule> {
    let roles = [("read", Role::Read), ("operate", Role::Operate)];
    let name = section.demand("name", "say what its bearer is called", token_name);
    let role = section.demand("role", "write \"read\" or \"operate\"", one_of(&roles));
    let [env, file] = [section.get("env"), section.get("file")].map(|it| it.is_some());
    let variable = section.take("env", variable).map(TokenPlace::Env);
    let path = section.take("file", file_path).map(TokenPlace::File);
    if env == file {
        let wrong = if env { "has both `env` and `file`" } else { "says nowhere where the token is" };
        let mend = "name an environment variable with `env`, or a file with `file`; the token itself is never written here";
        section.complain(section.home(), section.path(), Wrong::new(wrong, mend));
        return None;
    }
    Some(TokenRule { name: name?, role: role?, kept: variable.or(path)? })
}

/// It stands in logs, and in what is asked for.
fn token_name(written: &Written) -> Result<Arc<str>, Wrong> {
    let text = text(written)?;
    if is_name(&text.replace(['.', '@'], "_"), LONGEST_NAME) {
        return Ok(text.into());
    }
    let mend = format!("use letters, digits, `_`, `-`, `.` and `@` only, at most {LONGEST_NAME}");
    Err(Wrong { secret: true, ..Wrong::new("is not a name for a token", mend) })
}

/// Whoever takes it for the token itself is not shown what was written.
fn variable(written: &Written) -> Result<String, Wrong> {
    let text = text(written)?;
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.bytes().all(is_of_name) && !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    let mend = "write the name of the variable that holds the token, as \"LOCKKEEPER_CI_TOKEN\"";
    Err(Wrong { secret: true, ..Wrong::new("is not the name of an environment variable", mend) })
}

/// The path of a file that holds a token.
pub(super) fn file_path(written: &Written) -> Result<PathBuf, Wrong> {
    let text = text(written)?;
    if text.contains('/') {
        return Ok(text.into());
    }
    let mend = "write the path of the file that holds the token, as \"/run/secrets/lockkeeper-ci\"";
    Err(Wrong { secret: true, ..Wrong::new("is not the path of a file", mend) })
}

/// A URL to which paths are added.
pub(super) fn public_url(written: &Written) -> Result<String, Wrong> {
    let text = text(written)?;
    let form = r#"write it as "https://lockkeeper.example.com""#;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        return Err(Wrong::new("is not the URL of a site", form));
    };
    if rest.contains('@') {
        let wrong = Wrong::new("carries credentials", "leave them out: it stands in links");
        return Err(Wrong { secret: true, ..wrong });
    }
    if rest.contains(['?', '#']) || rest.contains(|sign: char| sign.is_whitespace() || sign.is_control()) {
        return Err(Wrong::new("is more than the beginning of a URL", form));
    }
    Ok(text.trim_end_matches('/').to_owned())
}
