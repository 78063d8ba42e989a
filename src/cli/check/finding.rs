//! What a check found, and how it is told.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{cli::terminal::counted, domain::harmless};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// Something will fail, or never happen.
    Error,
    /// Something may, or is not known.
    Warning,
    /// It is as it should be.
    Ok,
}

/// What a finding is about, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum About {
    Settings,
    Queue,
    Rules,
    Events,
    Permissions,
    Own,
    Discovery,
    Target,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Finding {
    pub(super) about: About,
    /// The name of the target that it is about.
    pub(super) target: Option<String>,
    pub(super) level: Level,
    pub(super) what: String,
    /// What to do about it.
    pub(super) mend: Option<String>,
}

/// Of targets that are as they should be, so many are told one by one.
const MOST_SOUND_TARGETS: usize = 20;
/// No line is longer: what AWS says is quoted in it.
const LONGEST_CHARS: usize = 1_000;

impl Finding {
    pub(super) fn ok(about: About, what: impl AsRef<str>) -> Self {
        Self::new(Level::Ok, about, what, None::<&str>)
    }

    pub(super) fn warning(about: About, what: impl AsRef<str>, mend: impl AsRef<str>) -> Self {
        Self::new(Level::Warning, about, what, Some(mend))
    }

    /// Without a mend, where what is wrong says it already.
    pub(super) fn error(about: About, what: impl AsRef<str>, mend: impl AsRef<str>) -> Self {
        Self::new(Level::Error, about, what, Some(mend))
    }

    /// About this target.
    pub(super) fn of(self, target: &str) -> Self {
        Self { target: Some(target.to_owned()), ..self }
    }

    fn new(level: Level, about: About, what: impl AsRef<str>, mend: Option<impl AsRef<str>>) -> Self {
        let line = |text: &str| harmless(&text.replace('\n', " "), LONGEST_CHARS);
        let mend = mend.map(|mend| line(mend.as_ref())).filter(|mend| !mend.is_empty());
        let what = line(what.as_ref());
        Self { about, target: None, level, what, mend }
    }
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Ok => "ok",
        }
    }
}

impl About {
    fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Queue => "queue",
            Self::Rules => "rules",
            Self::Events => "events",
            Self::Permissions => "permissions",
            Self::Own => "own service",
            Self::Discovery => "discovery",
            Self::Target => "target",
        }
    }
}

/// How many findings there are of a level.
pub(super) fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|it| it.level == level).count()
}

/// A line each, and one that sums them up.
pub(super) fn text(findings: &[Finding]) -> String {
    let is_sound = |it: &&Finding| it.about == About::Target && it.level == Level::Ok;
    let sound = findings.iter().filter(is_sound).count();
    let mut text = String::new();
    for it in findings.iter().filter(|it| sound <= MOST_SOUND_TARGETS || !is_sound(it)) {
        let subject = it.target.as_deref().unwrap_or(it.about.as_str());
        let mend = it.mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
        let _ = writeln!(text, "{:<8} {subject}: {}{mend}", it.level.as_str(), it.what);
    }
    if sound > MOST_SOUND_TARGETS {
        let _ = writeln!(text, "{:<8} {}", Level::Ok.as_str(), counted(sound, "target"));
    }
    let [errors, warnings] = [Level::Error, Level::Warning].map(|level| count(findings, level));
    let _ = writeln!(text, "{}, {}.", counted(errors, "error"), counted(warnings, "warning"));
    text
}

/// At most so many of these one by one, and the others as a number.
pub(super) fn some_of(mut names: Vec<String>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    names.truncate(most);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_a_line_each_with_their_mend() {
        let findings = [
            Finding::ok(About::Queue, "it is there"),
            Finding::warning(About::Queue, "maxReceiveCount is 3", "set it to 100"),
            Finding::error(About::Target, "there is\nno such \u{1b}service", "name another").of("api"),
            Finding::ok(About::Target, "it runs web:3").of("web"),
        ];
        insta::assert_snapshot!(text(&findings), @r#"
        ok       queue: it is there
        warning  queue: maxReceiveCount is 3; set it to 100
        error    api: there is no such �service; name another
        ok       web: it runs web:3
        1 error, 1 warning.
        "#);
    }

    #[test]
    fn many_targets_that_are_sound_are_counted() {
        let findings: Vec<Finding> =
            (0..21).map(|it| Finding::ok(About::Target, "it runs").of(&format!("t{it}"))).collect();
        insta::assert_snapshot!(text(&findings), @r#"
        ok       21 targets
        0 errors, 0 warnings.
        "#);
    }

    #[test]
    fn long_lists_end_in_a_number() {
        let names = |count: u32| (0..count).map(|it| it.to_string()).collect();
        assert_eq!(some_of(names(2), 3), "0, 1");
        assert_eq!(some_of(names(5), 3), "0, 1, 2 and 2 more");
    }
}
