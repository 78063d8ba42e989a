//! `[discovery]`: which services are targets although nobody named them.

use std::{fmt, time::Duration};

use super::{
    patterns::{glob_of, resource_of_arn},
    problems::Wrong,
    section::Section,
    values::{duration, text},
    written::Written,
};
use crate::domain::{DiscoveryRules, Glob, Selector};

/// More often, reading everything would take up the calls that ECS allows.
const SHORTEST_REFRESH: Duration = Duration::from_mins(1);
const LONGEST_REFRESH: Duration = Duration::from_hours(24);
const REFRESH: Duration = Duration::from_mins(15);
/// What AWS allows in keys and values of tags, beside letters and digits.
pub(super) const TAG_SIGNS: &str = " _.:/=+-@";
const LONGEST_TAG_KEY: usize = 128;

/// What a selector is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Clusters,
    Services,
}

/// The rules, if clusters are named. `written`: what somebody wrote of them, above what is built in.
pub(super) fn read(section: &mut Section<'_>, written: Option<&Written>) -> Option<DiscoveryRules> {
    let clusters = section.list("clusters", |it| selector(it, Of::Clusters)).unwrap_or_default();
    let services = section.list("services", |it| selector(it, Of::Services));
    let exclude = section.list("exclude", |it| selector(it, Of::Services).and_then(leaves_something));
    let refresh = section.take("refresh", duration(SHORTEST_REFRESH..=LONGEST_REFRESH));
    let there = |key: &str| written.and_then(|it| it.find(&[key]));
    if there("clusters").is_none() {
        for key in ["services", "exclude", "refresh"] {
            let Some(idle) = there(key) else { continue };
            let wrong = Wrong::new("does nothing without clusters", IDLE);
            section.complain(&idle.origin, &section.name_of(key), wrong);
        }
    }
    let services = services.unwrap_or_default();
    if let Some(none) = there("services").filter(|_| !clusters.is_empty() && lists_nothing(section)) {
        let wrong = Wrong::new("selects no service", r#"write ["*"] for all, or clusters = [] to find none"#);
        section.complain(&none.origin, &section.name_of("services"), wrong);
    }
    let rules = DiscoveryRules {
        clusters,
        services,
        exclude: exclude.unwrap_or_default(),
        refresh: refresh.unwrap_or(REFRESH),
    };
    (!rules.clusters.is_empty()).then_some(rules)
}

const IDLE: &str = r#"set discovery.clusters, as ["*"], or remove this"#;

/// Whether an empty list of services was written; one of wrong selectors was complained about already.
fn lists_nothing(section: &mut Section<'_>) -> bool {
    section.list("services", |_| Ok(())).is_some_and(|items| items.is_empty())
}

/// Without clusters nothing is found either, and that is said more plainly.
fn leaves_something(selector: Selector) -> Result<Selector, Wrong> {
    let is_all = |glob: &Glob| glob.as_str().bytes().all(|byte| matches!(byte, b'*' | b'/'));
    match &selector {
        Selector::Name(glob) if is_all(glob) => {
            Err(Wrong::new("excludes every service", "name those that are meant, or write clusters = []"))
        }
        Selector::Name(_) | Selector::Tag { .. } => Ok(selector),
    }
}

fn selector(written: &Written, of: Of) -> Result<Selector, Wrong> {
    let text = text(written)?;
    match text.strip_prefix("tag:") {
        Some(tag) => by_tag(tag),
        None => by_name(text, of).map(Selector::Name),
    }
}

fn by_tag(tag: &str) -> Result<Selector, Wrong> {
    let (key, value) = tag.split_once('=').unwrap_or((tag, "*"));
    let form = r#"write "tag:KEY", or "tag:KEY=VALUE" where the value may have `*` and `?`"#;
    if key.trim().is_empty() {
        return Err(Wrong::new("selects by a tag without a key", form));
    }
    let (bare_key, bare_value) = (key.trim(), value.trim());
    if (key, value) != (bare_key, bare_value) {
        let bare = if tag.contains('=') { format!("{bare_key}={bare_value}") } else { bare_key.to_owned() };
        let wrong =
            "has blanks around a key or value, which would be part of it, so that nothing is selected";
        return Err(Wrong::new(wrong, format!(r#"write "tag:{bare}""#)));
    }
    let is_of_tag = |c: char| c.is_alphanumeric() || TAG_SIGNS.contains(c);
    if key.chars().count() > LONGEST_TAG_KEY || !key.chars().all(is_of_tag) {
        return Err(Wrong::new("selects by a key that no tag can have", form));
    }
    if !value.chars().all(|c| is_of_tag(c) || matches!(c, '*' | '?')) {
        return Err(Wrong::new("selects by a value that no tag can have", form));
    }
    Ok(Selector::Tag { key: key.into(), value: Glob::new(value) })
}

fn by_name(text: &str, of: Of) -> Result<Glob, Wrong> {
    if let Some(resource) = resource_of_arn(text) {
        let short = resource.split_once('/').map_or(resource, |(_, name)| name);
        return Err(Wrong::new("is an ARN, where a name belongs", format!(r#"write "{short}""#)));
    }
    match (of, text.split_once('/')) {
        (Of::Clusters | Of::Services, None) => glob_of(text, "_-", "is not a name in ECS"),
        (Of::Services, Some((cluster, service)))
            if !cluster.is_empty() && !service.is_empty() && !service.contains('/') =>
        {
            glob_of(text, "_-/", "is not a name in ECS")
        }
        (Of::Services, Some(_)) => {
            Err(Wrong::new("is not a name in ECS", r#"write "service", or "cluster/service""#))
        }
        (Of::Clusters, Some((cluster, _))) => {
            let mend = format!(r#"write "{cluster}", and "{text}" in discovery.services"#);
            Err(Wrong::new("names a service, where a cluster belongs", mend))
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(glob) => f.write_str(glob.as_str()),
            Self::Tag { key, value } if value.as_str() == "*" => write!(f, "tag:{key}"),
            Self::Tag { key, value } => write!(f, "tag:{key}={}", value.as_str()),
        }
    }
}
