//! Where a change came from, as far as an event that people, scripts and CI systems send tells: commit, branch,
//! repository, run and person.
//!
//! Nobody is asked to rename what their CI system calls things: one table knows its variables, and the names that people
//! give. A name counts however it is written: `GITHUB_RUN_ID`, `githubRunId` and `{"github": {"run_id": …}}` are one. What
//! cannot be read is passed over: nothing is decided by any of it, so it never makes an event malformed.

mod names;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use self::names::{COMMON, OF_JENKINS, PARTS, PREFIXES, Part, SYSTEMS, TRACE_PARENT, TRANSPARENT};
use super::{envelope::Envelope, json::Object};
use crate::domain::{Metadata, TraceParent, Trigger, harmless, is_commit, redacted};

/// The longest part that is kept, in characters; a longer URL is none.
const LONGEST_CHARS: usize = 256;
const LONGEST_URL: usize = 1_000;

/// What an event tells of where it came from, if anything.
pub(super) fn of(envelope: &Envelope, trigger: &Trigger) -> Option<Metadata> {
    let metadata = match trigger {
        Trigger::ImagePushed(image) | Trigger::ImageReplicated(image) => of_tag(image.tag.as_str()),
        // No event of AWS tells.
        _ if envelope.source.starts_with("aws.") => return None,
        _ => of_detail(envelope)?,
    };
    (!metadata.is_empty()).then_some(metadata)
}

/// What git says of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkout {
    /// The commit that is checked out.
    pub commit: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// Where it was cloned from.
    pub url: Option<String>,
    /// Who git thinks works there.
    pub user: Option<String>,
}

/// What the environment of a CI system's run tells, and for the rest what git says. Only names that a system has for itself
/// count: everybody's environment has a `USER`.
pub fn of_run(variables: &BTreeMap<String, String>, git: &Checkout) -> Metadata {
    let names: Vec<(String, &String)> = variables.iter().map(|(name, value)| (plain(name), value)).collect();
    let is_jenkins = names.iter().any(|(name, _)| OF_JENKINS.contains(&name.as_str()));
    let mut found = Found::default();
    for (name, value) in names.iter().filter(|(_, value)| !value.trim().is_empty()) {
        found.take_of_systems(name, value.trim(), is_jenkins);
        if name == TRACE_PARENT {
            found.put(Part::TraceParent, 0, value.trim());
        }
    }
    if is_jenkins {
        found.is_of(SYSTEMS.len() - 1);
    }
    let said = [
        (Part::Commit, &git.commit),
        (Part::Branch, &git.branch),
        (Part::RepositoryUrl, &git.url),
        (Part::User, &git.user),
    ];
    for (part, value) in said {
        if let Some(value) = value {
            found.put(part, usize::MAX, value);
        }
    }
    found.metadata(None)
}

/// Images are often tagged with the commit that they are built from, whole or after `sha-` or `git-`.
fn of_tag(tag: &str) -> Metadata {
    let named = tag.strip_prefix("sha-").or_else(|| tag.strip_prefix("git-"));
    let commit = named.unwrap_or(tag);
    // A date is all digits, and a word of seven letters from a to f is none.
    let is_telling = commit.len() == 40 || named.is_some();
    let commit = is_commit(commit).then(|| kept(commit)).filter(|_| is_telling);
    Metadata { commit, ..Metadata::default() }
}

fn of_detail(envelope: &Envelope) -> Option<Metadata> {
    let mut found = Found::default();
    found.look_in(envelope.detail().ok()?, "", false);
    let source = envelope.source.to_ascii_lowercase();
    let is_github = source == "github.actions" || source.starts_with("github.actions.");
    Some(found.metadata(is_github.then_some("github")))
}

/// What was found: per part, the value whose name counts most.
#[derive(Default)]
struct Found {
    parts: [Option<(usize, String)>; PARTS],
    /// The first system, in the order of the table, that one of the names is of.
    system: Option<usize>,
}

impl Found {
    fn look_in(&mut self, object: Object, prefix: &str, is_inner: bool) {
        object.each(|key, raw| {
            let key = plain(key);
            match Object::within(raw).filter(|_| !is_inner) {
                Some(inner) if TRANSPARENT.contains(&&*key) => self.look_in(inner, "", true),
                Some(inner) if PREFIXES.contains(&&*key) => self.look_in(inner, &key, true),
                Some(_) => {}
                None => self.take(&format!("{prefix}{key}"), raw, is_inner),
            }
        });
    }

    fn take(&mut self, name: &str, raw: &str, is_inner: bool) {
        let Some(value) = value_of(raw) else { return };
        self.take_of_systems(name, &value, true);
        if OF_JENKINS.contains(&name) {
            self.is_of(SYSTEMS.len() - 1);
        }
        if let Some(rank) = COMMON.iter().position(|(it, _)| *it == name) {
            self.put(COMMON[rank].1, rank, &value);
        }
        // Beside the detail's own names it means a repository of images.
        if name == "repository" && is_inner {
            self.put(Part::Repository, COMMON.len(), &value);
        }
    }

    /// Takes what a CI system calls so, Jenkins only where it may be one.
    fn take_of_systems(&mut self, name: &str, value: &str, may_be_jenkins: bool) {
        let systems =
            SYSTEMS.iter().enumerate().filter(|(_, (system, _))| may_be_jenkins || *system != "jenkins");
        let of_system = systems.filter_map(|(at, (system, names))| {
            let rank = names.iter().position(|(it, _)| *it == name)?;
            Some((at, *system, rank, names[rank].1))
        });
        for (at, system, rank, part) in of_system {
            self.put(part, 100 * (at + 1) + rank, value);
            if system != "jenkins" {
                self.is_of(at);
            }
        }
    }

    fn put(&mut self, part: Part, rank: usize, value: &str) {
        let slot = &mut self.parts[part as usize];
        if slot.as_ref().is_none_or(|(before, _)| rank < *before) {
            *slot = Some((rank, value.to_owned()));
        }
    }

    fn is_of(&mut self, system: usize) {
        self.system = Some(self.system.map_or(system, |before| before.min(system)));
    }

    fn get(&self, part: Part) -> Option<&str> {
        self.parts[part as usize].as_ref().map(|(_, value)| value.as_str())
    }

    fn metadata(&self, source: Option<&str>) -> Metadata {
        let system = self.system.map(|at| SYSTEMS[at].0).or(source.filter(|_| self.says_something()));
        let platform = self.get(Part::Platform).map(str::to_ascii_lowercase);
        let platform = platform.or_else(|| system.map(str::to_owned));
        let repository = self.get(Part::Repository).map(|name| match self.get(Part::Owner) {
            Some(owner) if !name.contains('/') => format!("{owner}/{name}"),
            Some(_) | None => name.to_owned(),
        });
        let url = self.get(Part::RepositoryUrl).and_then(web_url);
        let server = self.get(Part::Server).and_then(web_url);
        let server = server.or_else(|| (system == Some("github")).then(|| "https://github.com".into()));
        let url = url.or_else(|| {
            let repository = repository.as_deref().filter(|name| is_path(name))?;
            Some(format!("{}/{repository}", server?))
        });
        let repository = repository.or_else(|| url.as_deref().and_then(path_of).map(str::to_owned));
        let run_id = self.get(Part::RunId);
        let run_url = self.get(Part::RunUrl).and_then(web_url);
        let run_url = run_url.or_else(|| {
            let run = run_id.filter(|run| is_path(run) && system == Some("github"))?;
            Some(format!("{}/actions/runs/{run}", url.as_ref()?))
        });
        let traceparent = self.get(Part::TraceParent).filter(|it| TraceParent::parse(it).is_some());
        Metadata {
            user: self.get(Part::User).map(kept),
            commit: self.get(Part::Commit).map(kept),
            branch: self.get(Part::Branch).and_then(branch),
            repository: repository.as_deref().map(kept),
            repository_url: url.map(Into::into),
            platform: platform.as_deref().map(kept),
            run_id: run_id.map(kept),
            run_url: run_url.map(Into::into),
            traceparent: traceparent.map(Into::into),
        }
    }

    fn says_something(&self) -> bool {
        self.parts.iter().any(Option::is_some)
    }
}

/// A text or a number, without the white space around it; nothing of what is empty or has another type.
fn value_of(raw: &str) -> Option<Cow<'_, str>> {
    let value = match raw.as_bytes().first()? {
        b'"' => Cow::Owned(serde_json::from_str::<String>(raw).ok()?),
        b'0'..=b'9' => Cow::Borrowed(raw),
        _ => return None,
    };
    let value = value.trim();
    (!value.is_empty()).then(|| Cow::Owned(value.to_owned()))
}

/// A name without its case and signs.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(64);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

fn kept(text: &str) -> Arc<str> {
    harmless(text, LONGEST_CHARS).into()
}

/// The branch that a reference means; the reference of a tag means none.
fn branch(text: &str) -> Option<Arc<str>> {
    if text.starts_with("refs/tags/") {
        return None;
    }
    let text = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("origin/")).unwrap_or(text);
    Some(kept(text))
}

/// Where a browser finds what this URL is of. Credentials in it are left out: CI systems clone with them.
fn web_url(text: &str) -> Option<String> {
    let fits =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
    if text.len() > LONGEST_URL || !text.chars().all(fits) {
        return None;
    }
    let over_ssh = text.strip_prefix("ssh://").or_else(|| text.contains('@').then_some(text));
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("https" | "http"), rest)) => (scheme, Cow::Borrowed(rest)),
        // `git@host:owner/name.git`
        Some(("ssh", _)) | None => ("https", Cow::Owned(over_ssh?.replacen(':', "/", 1))),
        Some(_) => return None,
    };
    let (host, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // Elsewhere a token may stand there.
    let bare = if is_console(host) { path } else { path.split(['?', '#']).next().unwrap_or_default() };
    let path = bare.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let slash = if path.is_empty() { "" } else { "/" };
    (!host.is_empty()).then(|| redacted(&format!("{scheme}://{host}{slash}{path}")).into_owned())
}

/// AWS's console has the place of a thing behind a `?` and a `#`.
fn is_console(host: &str) -> bool {
    host.ends_with(".console.aws.amazon.com")
}

/// The path of a URL.
fn path_of(url: &str) -> Option<&str> {
    let (_, path) = url.split_once("://")?.1.split_once('/')?;
    (!path.is_empty()).then_some(path)
}

/// Whether this may stand in the path of a URL as it is.
fn is_path(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
}
