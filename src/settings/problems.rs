//! What is wrong with the settings: where, what, and what would be right.

use std::{cell::RefCell, fmt, sync::Arc};

use crate::domain::harmless;

/// Where a value was written: a file or an environment variable, with the line where there are lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file as it was named, or the environment variable.
    pub source: Arc<str>,
    /// The line in it, counted from 1.
    pub line: Option<usize>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The setting, as `queue.visibility`; empty where a whole file is meant.
    pub key: String,
    /// What was written; `None` where it is absent, is not one value, or could be a secret.
    pub value: Option<String>,
    /// What is wrong with it, continuing "it …".
    pub wrong: String,
    /// What would be right.
    pub mend: String,
}

/// Everything that is wrong, in the order of files and lines. Never empty as an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

/// What a reader of one value says against it: what is wrong, and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) mend: String,
    /// The value is not to be shown.
    pub(super) secret: bool,
}

/// No key and no file is called longer.
const LONGEST_KEY_CHARS: usize = 200;
/// What is said in one part of a problem is never longer, but for what it quotes.
const LONGEST_PART_CHARS: usize = 500;

/// Gathers problems, so that reading goes on behind each.
#[derive(Debug, Default)]
pub(super) struct Complaints(RefCell<Vec<Problem>>);

impl Origin {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.into(), line: None }
    }

    pub(super) fn at(source: &Arc<str>, line: usize) -> Self {
        Self { source: Arc::clone(source), line: Some(line) }
    }

    /// What [`fmt::Display`] wrote of one.
    pub(super) fn read(text: &str) -> Self {
        let with_line = |(source, line): (&str, &str)| Some(Self::at(&source.into(), line.parse().ok()?));
        text.rsplit_once(':').and_then(with_line).unwrap_or_else(|| Self::new(text))
    }
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into(), secret: false }
    }
}

impl Complaints {
    pub(super) fn add(&self, origin: &Origin, key: &str, value: Option<String>, wrong: Wrong) {
        let value = value.filter(|_| !wrong.secret);
        let problem = Problem {
            origin: Origin { source: harmless(&origin.source, LONGEST_KEY_CHARS).into(), line: origin.line },
            key: harmless(key, LONGEST_KEY_CHARS),
            value: value.map(|value| one_line(&value)),
            wrong: one_line(&wrong.what),
            mend: one_line(&wrong.mend),
        };
        self.0.borrow_mut().push(problem);
    }

    /// Whatever was gathered, sorted, each once; `Ok` if that is nothing.
    pub(super) fn verdict(self) -> Result<(), Problems> {
        let mut all = self.0.into_inner();
        all.sort();
        all.dedup();
        if all.is_empty() { Ok(()) } else { Err(Problems(all)) }
    }
}

/// One line of bounded length, whatever it quotes of what was written.
pub(super) fn one_line(text: &str) -> String {
    harmless(&text.replace('\n', " "), LONGEST_PART_CHARS)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}", self.origin)?;
        } else if self.origin.line.is_none() && self.key.starts_with(&*self.origin.source) {
            f.write_str(&self.key)?;
        } else {
            write!(f, "{}: {}", self.origin, self.key)?;
        }
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, " {}; {}", self.wrong, self.mend)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_sorted_by_file_and_line_as_a_number_and_told_once() {
        let complaints = Complaints::default();
        let file: Arc<str> = "f.toml".into();
        for line in [10, 9, 10] {
            complaints.add(&Origin::at(&file, line), "k", None, Wrong::new("is wrong", "mend it"));
        }
        let problems = complaints.verdict().expect_err("two");
        assert_eq!(problems.to_string(), "f.toml:9: k is wrong; mend it\nf.toml:10: k is wrong; mend it");
    }

    #[test]
    fn a_problem_is_one_line_of_bounded_length_whatever_it_quotes() {
        let complaints = Complaints::default();
        let long = format!("a\u{1b}\u{202e}\n{}", "é".repeat(9_000));
        complaints.add(&Origin::new(&long), &long, Some(long.clone()), Wrong::new(&*long, &*long));
        let told = complaints.verdict().expect_err("one").to_string();
        assert!(!told.contains(['\u{1b}', '\u{202e}', '\n']) && told.chars().count() < 2_000, "{told}");
    }
}
