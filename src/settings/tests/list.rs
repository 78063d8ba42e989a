//! The one list of keys is complete: default.toml, the code and the documentation say the same.

use std::collections::BTreeSet;

use super::*;
use crate::{
    domain::TargetSettings,
    settings::catalogue::{DEFAULT_TOML, keys},
};

/// The keys that the code knows in a section, as the complaint about a strange one tells them.
fn known_in(section: &str) -> BTreeSet<String> {
    let document = match section {
        "target" => "[[target]]\ncluster = 'c'\nservice = 's'\nxxxxxxxxxxxxxxxxxxxx = 1".to_owned(),
        "http.tokens" => "[[http.tokens]]\nxxxxxxxxxxxxxxxxxxxx = 1".to_owned(),
        "aws.accounts" => "[[aws.accounts]]\nxxxxxxxxxxxxxxxxxxxx = 1".to_owned(),
        "notify.webhook" => "[[notify.webhook]]\nxxxxxxxxxxxxxxxxxxxx = 1".to_owned(),
        "" => "xxxxxxxxxxxxxxxxxxxx = 1".to_owned(),
        _ => format!("[{section}]\nxxxxxxxxxxxxxxxxxxxx = 1"),
    };
    let problems = from_document(&document).expect_err("a strange key").0;
    let mend = problems.iter().find_map(|it| it.mend.strip_prefix("remove it; known here are "));
    mend.expect("a list").split(", ").map(str::to_owned).collect()
}

fn listed_in(section: &str) -> BTreeSet<String> {
    keys().iter().filter(|it| it.section == section).map(|it| it.key.to_owned()).collect()
}

#[test]
fn every_key_is_in_default_toml_and_every_key_there_is_read() {
    let sections: BTreeSet<&str> = keys().iter().map(|it| it.section).collect();
    for section in sections {
        let mut known = known_in(section);
        let mut listed = listed_in(section);
        if section == "target" {
            listed.extend(listed_in("defaults"));
        }
        let nested = known.remove("triggers");
        assert_eq!(nested, matches!(section, "target" | "defaults"), "triggers in [{section}]");
        assert_eq!(known.remove("accounts"), section == "aws", "accounts in [{section}]");
        assert_eq!(known.remove("tokens"), section == "http", "tokens in [{section}]");
        assert_eq!(known, listed, "[{section}]");
    }
    let sections = [
        "approval",
        "aws",
        "client",
        "defaults",
        "discovery",
        "engine",
        "http",
        "lease",
        "log",
        "naming",
        "notify",
        "queue",
        "reconcile",
        "target",
        "traces",
    ];
    assert_eq!(known_in(""), sections.map(str::to_owned).into());
}

#[test]
fn the_defaults_of_targets_are_those_of_the_domain() {
    let document = "[[target]]\ncluster = 'c'\nservice = 's'\nname = 'n'";
    let settings = from_document(document).expect("valid");
    assert_eq!(*settings.targets[0].settings, TargetSettings::named("n".into()));
}

#[test]
fn the_keys_without_a_default_may_be_uncommented_as_they_stand() {
    // Of the ways to give a secret, one.
    let is_elsewhere = |line: &&str| {
        line.split(" = ").next().is_some_and(|key| key.ends_with("_env") || key.ends_with("_file"))
    };
    let document: Vec<&str> = DEFAULT_TOML
        .lines()
        .filter(|line| !is_elsewhere(line))
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => setting,
            _ => line,
        })
        .collect();
    let document = document.join("\n").replace(r#"base = "running""#, r#"base = "latest""#);
    let document = document.replace("operators = []", r#"operators = ["U012AB3CD"]"#);
    let settings = from_document(&document).expect("valid");
    assert_eq!(settings.targets.len(), 1);
    assert!(settings.queue.dead_letter_url.is_some());
    assert_eq!(settings.aws.estate.accounts.len(), 1);
    assert_eq!(settings.notify.webhooks.len(), 1);
    assert!(settings.notify.slack.is_some_and(|it| it.buttons.is_some()) && settings.notify.sns.is_some());
    assert_eq!(settings.http.tokens.len(), 2);
    assert!(settings.traces.is_some_and(|it| it.url.ends_with("/v1/traces") && it.headers.len() == 1));
    let short = "[naming]\nproject = 'shop'\nenvironment = 'prod'\nbackend = 'core'";
    let mut by_default = from_document(short).expect("valid").naming.expect("on");
    let written = settings.naming.expect("on");
    by_default.defaults = written.defaults.clone();
    assert_eq!(written, by_default, "the patterns shown are the defaults");
}

#[test]
fn every_key_is_documented() {
    let page = fs::read_to_string(project("docs/settings.md")).expect("the page");
    let mut section = String::new();
    let mut documented = BTreeSet::new();
    for line in page.lines() {
        if let Some(header) = line.strip_prefix("### `[") {
            section = header.trim_start_matches('[').split(']').next().expect("a header").to_owned();
        }
        if let Some((key, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) {
            documented.insert((section.clone(), key.to_owned()));
        }
    }
    for it in keys() {
        let key = (it.section.to_owned(), it.key.to_owned());
        assert!(documented.contains(&key), "`{}` of [{}] is not in docs/settings.md", it.key, it.section);
    }
}

#[test]
fn every_variable_of_the_old_lambda_is_documented() {
    let page = fs::read_to_string(project("docs/settings.md")).expect("the page");
    for name in crate::settings::lambda::names() {
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not in docs/settings.md");
    }
}
