//! What is not wrong, but probably not meant.

use std::fmt;

use super::{Settings, durations, problems::one_line};
use crate::domain::{ImageStyle, OnPush, Tag, TagPolicy, TargetRule, TargetSettings};

/// One thing that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The setting or the variable, as `target.api.quiet`.
    pub key: String,
    /// What is odd about it, continuing "it …".
    pub wrong: String,
    /// What would be better.
    pub mend: String,
}

impl Warning {
    pub(super) fn new(key: impl Into<String>, wrong: impl Into<String>, mend: impl Into<String>) -> Self {
        let [key, wrong, mend] = [key.into(), wrong.into(), mend.into()].map(|it| one_line(&it));
        Self { key, wrong, mend }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.key, self.wrong, self.mend)
    }
}

/// All of them, in the order in which the targets were written.
pub(super) fn of(settings: &Settings) -> Vec<Warning> {
    let Settings { targets, naming, discovery, defaults, .. } = settings;
    let are_found = naming.is_some() || discovery.is_some();
    if targets.is_empty() && !are_found {
        let wrong = "is not set: every event will be ignored";
        return vec![Warning::new("target", wrong, "write a [[target]], or set [discovery] or [naming]")];
    }
    let mut warnings = Vec::new();
    for rule in targets {
        let path = format!("target.{}", rule.settings.name);
        warnings.extend(deaf(rule, &path).filter(|_| !are_found));
        warnings.extend(out_of_reach(rule, &path, settings));
        warnings.extend(of_deploying(&rule.settings, &path));
    }
    if let Some(naming) = naming {
        warnings.extend(of_deploying(&naming.defaults, "defaults"));
    } else if discovery.is_some() {
        warnings.extend(of_deploying(defaults, "defaults"));
    }
    warnings.extend(of_estate(settings));
    warnings
}

/// In an account that Lockkeeper has no way to. Which account is its own only AWS knows: as a rule that of the queue.
fn out_of_reach(rule: &TargetRule, path: &str, settings: &Settings) -> Option<Warning> {
    let account = rule.account.as_ref()?;
    let has_role = settings.aws.estate.accounts.iter().any(|it| it.account == *account);
    let own = settings.queue.account()?;
    let wrong = format!(
        "= \"{account}\" is neither the account of the queue nor one of [[aws.accounts]]: unless it is Lockkeeper's own, \
         every deployment of it will fail"
    );
    let mend = format!("write an [[aws.accounts]] with id = \"{account}\" and the role to assume there");
    (!has_role && own != *account).then(|| Warning::new(format!("{path}.account"), wrong, mend))
}

/// Accounts and Regions are of use only to a target that is there, or to discovery.
fn of_estate(settings: &Settings) -> Vec<Warning> {
    let Settings { aws, targets, discovery: None, .. } = settings else { return Vec::new() };
    let accounts = aws
        .estate
        .accounts
        .iter()
        .filter(|it| !targets.iter().any(|rule| rule.account.as_ref() == Some(&it.account)));
    let unused = |account: &str| {
        let wrong = format!("has {account}, in which no target is, and discovery is off");
        Warning::new("aws.accounts", wrong, "set discovery.clusters, write a [[target]] there, or remove it")
    };
    let regions = aws.estate.regions.iter().map(|region| {
        let wrong = format!("has {region}, and only discovery asks there, which is off");
        Warning::new("aws.regions", wrong, "set discovery.clusters, or remove it")
    });
    accounts.map(|it| unused(it.account.as_str())).chain(regions).collect()
}

/// By name, or in its definition, it could still be found.
fn deaf(rule: &TargetRule, path: &str) -> Option<Warning> {
    let TargetRule { repositories, parameters, secrets, files, .. } = rule;
    let lists_nothing =
        repositories.is_empty() && parameters.is_empty() && secrets.is_empty() && files.is_empty();
    let wrong = "has no repositories, parameters, secrets or files: only deploy requests reach it";
    lists_nothing.then(|| Warning::new(path, wrong, "list what it depends on, if there is anything"))
}

fn of_deploying(settings: &TargetSettings, path: &str) -> impl Iterator<Item = Warning> {
    let found = [hasty(settings, path), unreachable(settings, path), always_alike(settings, path)];
    found.into_iter().flatten()
}

fn hasty(settings: &TargetSettings, path: &str) -> Option<Warning> {
    let TargetSettings { quiet, timeout, .. } = settings;
    let [shown, limit] = [quiet, timeout].map(|it| durations::write(*it));
    let wrong = format!(
        "= \"{shown}\" gathers requests for as long as a rollout may go without progress (timeout = \"{limit}\")"
    );
    (quiet >= timeout)
        .then(|| Warning::new(format!("{path}.quiet"), wrong, "make it shorter, or the timeout longer"))
}

/// No tag that the target could take is left. Only what is certain: two globs may overlap in ways that nobody sees.
fn unreachable(settings: &TargetSettings, path: &str) -> Option<Warning> {
    let taken = match settings.on_push {
        OnPush::Pin => &settings.tags,
        OnPush::Follow | OnPush::Always => &TagPolicy::NEWEST,
        OnPush::Ignore => return None,
    };
    let one = exact(taken);
    let covers = |ignored: &&TagPolicy| {
        *ignored == taken
            || **ignored == TagPolicy::NEWEST
            || one.as_ref().is_some_and(|tag| ignored.rank(tag).is_some())
    };
    let by = settings.ignore_tags.iter().find(covers)?;
    let wrong = format!("has `{by}`, which takes every tag of `{taken}`: no push will ever deploy");
    let mend = "remove it, or write on_push = \"ignore\" if that is meant";
    Some(Warning::new(format!("{path}.ignore_tags"), wrong, mend))
}

/// A revision that names a tag which never changes is the same as the one before it.
fn always_alike(settings: &TargetSettings, path: &str) -> Option<Warning> {
    let pins_tags = settings.on_push == OnPush::Pin && settings.image_reference == ImageStyle::Tag;
    let tag = exact(&settings.tags).filter(|_| pins_tags)?;
    let wrong = format!("= \"exact:{tag}\" pins one tag, so every revision would name the same");
    let mend = "write on_push = \"follow\", or image_reference = \"digest\"";
    Some(Warning::new(format!("{path}.tags"), wrong, mend))
}

fn exact(policy: &TagPolicy) -> Option<Tag> {
    policy.as_str().strip_prefix("exact:").map(Tag::from)
}
