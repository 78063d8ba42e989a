//! Which letters are meant.

use std::time::Duration;

use clap::builder::PossibleValuesParser;

use super::{letter::Letter, outlook::Outlook};
use crate::{
    domain::{Cause, Outcome, TargetId, Timestamp},
    settings,
};

/// What letters are chosen by. Several of these narrow each other down.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct Filter {
    /// The letter with this id; repeatable
    #[arg(long, value_name = "ID", conflicts_with_all = ["target", "since", "outcome", "cause"])]
    pub(in crate::cli) id: Vec<String>,
    /// Letters for this target: its name, its id or ECS's name of it
    #[arg(long, value_name = "TARGET")]
    pub(in crate::cli) target: Option<String>,
    /// Letters set aside since then: `2h`, `3d`, 2026-11-01 or 2026-11-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(in crate::cli) since: Option<Since>,
    /// Letters of deployments that ended so
    #[arg(long, value_parser = PossibleValuesParser::new(failures()))]
    pub(in crate::cli) outcome: Option<String>,
    /// Letters of deployments that failed for this cause
    #[arg(long, value_parser = PossibleValuesParser::new(Cause::ALL.map(Cause::as_str)))]
    pub(in crate::cli) cause: Option<String>,
}

/// A beginning, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Since {
    /// So long ago.
    Ago(Duration),
    /// A point in time.
    At(Timestamp),
}

/// What letters are chosen by, once it is known what runs where and what time it is.
#[derive(Debug)]
pub(in crate::cli) struct Pick {
    filter: Filter,
    target: Option<TargetId>,
    since: Option<Timestamp>,
}

impl Pick {
    pub(in crate::cli) fn new(filter: Filter, outlook: &Outlook, now: Timestamp) -> Self {
        let target = filter.target.as_deref().and_then(|name| outlook.resolve(name));
        let since = filter.since.map(|since| match since {
            Since::At(at) => at,
            Since::Ago(ago) => before(now, ago),
        });
        Self { filter, target, since }
    }

    /// Whether this letter is meant.
    pub(in crate::cli) fn takes(&self, letter: &Letter, outlook: &Outlook) -> bool {
        let Filter { id, target, outcome, cause, since: _ } = &self.filter;
        let is_same = |wanted: &Option<String>, said: &Option<String>| wanted.is_none() || wanted == said;
        (id.is_empty() || self.names(letter))
            && self.since.is_none_or(|since| letter.time >= since)
            && is_same(outcome, &letter.said.outcome)
            && is_same(cause, &letter.said.cause)
            && target.as_deref().is_none_or(|name| self.is_for(name, letter, outlook))
    }

    /// Whether this letter is named by its id.
    pub(in crate::cli) fn names(&self, letter: &Letter) -> bool {
        self.filter.id.iter().any(|id| *id == letter.id || id == letter.message_id.as_str())
    }

    /// The target that was named.
    pub(in crate::cli) fn target(&self) -> Option<&str> {
        self.filter.target.as_deref()
    }

    /// The ids that were named.
    pub(in crate::cli) fn ids(&self) -> &[String] {
        &self.filter.id
    }

    /// A letter that names no target is for all that its event reaches.
    fn is_for(&self, name: &str, letter: &Letter, outlook: &Outlook) -> bool {
        let is_it = |target: &TargetId| match &self.target {
            Some(wanted) => target == wanted,
            None => target.service().as_str() == name || target.to_string() == name,
        };
        match letter.target() {
            Some(target) => is_it(target),
            None => outlook.follows(letter, false).targets.iter().any(|reached| is_it(&reached.id)),
        }
    }
}

/// The outcomes that letters have.
fn failures() -> Vec<&'static str> {
    Outcome::ALL.into_iter().filter(|outcome| outcome.is_failure()).map(Outcome::as_str).collect()
}

/// A duration back from now, a day, or a point in time.
pub(in crate::cli) fn since(text: &str) -> Result<Since, String> {
    if let Some(at) = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z"))) {
        return Ok(Since::At(at));
    }
    let how = "write how long ago, as 30m, 2h or 3d, or when, as 2026-11-01 or 2026-11-01T12:00:00Z";
    settings::duration_of(text).map(Since::Ago).map_err(|_| how.to_owned())
}

pub(in crate::cli) fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let millis = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(millis))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            letter::tests::{TARGET, at, message, set_aside},
            outlook::tests::shop,
        },
        *,
    };

    fn takes(filter: Filter, letter: &Letter) -> bool {
        Pick::new(filter, &shop(), at(120_000)).takes(letter, &shop())
    }

    #[test]
    fn a_letter_is_found_by_each_of_its_names() {
        let letter = Letter::read(&set_aside());
        for (id, is_it) in [(letter.id.as_str(), true), ("m-1", true), ("e-1", false), ("", false)] {
            assert_eq!(
                takes(Filter { id: vec!["x".into(), id.into()], ..Filter::default() }, &letter),
                is_it
            );
        }
        for (target, is_it) in [("the-api", true), ("api", true), (TARGET, true), ("web", false)] {
            assert_eq!(takes(Filter { target: Some(target.into()), ..Filter::default() }, &letter), is_it);
        }
    }

    #[test]
    fn a_letter_without_a_target_is_for_those_that_its_event_reaches() {
        let letter = Letter::read(&message(&[]));
        for (target, is_it) in [("the-api", true), ("web", false)] {
            assert_eq!(takes(Filter { target: Some(target.into()), ..Filter::default() }, &letter), is_it);
        }
    }

    #[test]
    fn conditions_narrow_each_other_down() {
        let letter = Letter::read(&set_aside());
        let both = |outcome: &str, cause: &str| Filter {
            outcome: Some(outcome.into()),
            cause: Some(cause.into()),
            ..Filter::default()
        };
        assert!(takes(both("rolled_back", "image_pull"), &letter));
        assert!(!takes(both("rolled_back", "timeout"), &letter));
        assert!(!takes(both("failed", "image_pull"), &letter));
        assert!(!takes(both("rolled_back", "image_pull"), &Letter::read(&message(&[]))));
    }

    #[test]
    fn since_counts_from_when_it_was_set_aside() {
        let letter = Letter::read(&set_aside());
        for (since, is_it) in [
            (Since::At(at(59_000)), true),
            (Since::At(at(59_001)), false),
            (Since::Ago(Duration::from_secs(61)), true),
            (Since::Ago(Duration::from_mins(1)), false),
            (Since::Ago(Duration::MAX), true),
        ] {
            assert_eq!(
                takes(Filter { since: Some(since), ..Filter::default() }, &letter),
                is_it,
                "{since:?}"
            );
        }
    }

    #[test]
    fn a_beginning_is_written_as_a_duration_a_day_or_a_time() {
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_hours(2))));
        assert_eq!(since("1970-01-02"), Ok(Since::At(at(86_400_000))));
        assert_eq!(since("1970-01-01T00:01:00+00:00"), Ok(Since::At(at(60_000))));
        assert!(since("yesterday").is_err());
    }
}
