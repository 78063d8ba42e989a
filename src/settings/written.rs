//! Values as they were written, each with the place: what TOML, JSON and environment variables have in common.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::problems::{Complaints, Origin, Wrong};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) origin: Origin,
    pub(super) raw: Raw,
}

/// A value before anybody knows what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// Text in a file or in JSON.
    Text(String),
    /// The text of an environment variable, which may stand for a number, a yes or no, or a list.
    Loose(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Written>),
    Table(Table),
    /// What no setting is: a fraction, a date, a number too large.
    Other(String),
}

pub(super) type Table = BTreeMap<String, Written>;

impl Written {
    pub(super) fn new(origin: Origin, raw: Raw) -> Self {
        Self { origin, raw }
    }

    pub(super) fn empty_table(origin: Origin) -> Self {
        Self::new(origin, Raw::Table(Table::new()))
    }

    /// What this is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self.raw {
            Raw::Text(_) | Raw::Loose(_) => "a text",
            Raw::Integer(_) => "a number",
            Raw::Boolean(_) => "true or false",
            Raw::List(_) => "a list",
            Raw::Table(_) => "a table",
            Raw::Other(_) => "neither a text, a whole number, true or false, nor a list",
        }
    }

    /// The value on one line and not too long, unless it is made of several.
    pub(super) fn shown(&self) -> Option<String> {
        match &self.raw {
            Raw::Text(text) | Raw::Loose(text) => Some(quoted(text)),
            Raw::Other(text) => Some(text.clone()),
            Raw::Integer(number) => Some(number.to_string()),
            Raw::Boolean(flag) => Some(flag.to_string()),
            Raw::List(_) | Raw::Table(_) => None,
        }
    }

    /// What stands at this path of keys.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &self.raw {
            Raw::Table(table) => table.get(*first)?.find(rest),
            _ => None,
        }
    }

    /// A single value at the end of a path of keys.
    pub(super) fn at_path(path: &[&str], value: Self) -> Self {
        path.iter().rev().fold(value, |inner, key| {
            let origin = inner.origin.clone();
            Self::new(origin, Raw::Table(Table::from([((*key).to_owned(), inner)])))
        })
    }
}

/// The document, or nothing after complaints about its form. The text itself is never quoted: it may hold secrets.
pub(super) fn from_toml(source: &str, text: &str, complaints: &Complaints) -> Option<Written> {
    let lines = Lines::of(source, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let wrong = format!("is not TOML at column {}: {}", lines.column(&span), error.message());
        complaints.add(
            &lines.origin(&span),
            "",
            None,
            Wrong::new(wrong, "mend the line; see https://toml.io"),
        );
    }
    let table = document.into_inner();
    errors.is_empty().then(|| Written::new(Origin::new(source), lines.table(table)))
}

/// What JSON says, all of it at this origin.
pub(super) fn from_json(origin: &Origin, value: serde_json::Value) -> Written {
    use serde_json::Value;
    let raw = match value {
        Value::String(text) => Raw::Text(text),
        Value::Bool(flag) => Raw::Boolean(flag),
        Value::Number(number) => number.as_i64().map_or_else(|| Raw::Other(number.to_string()), Raw::Integer),
        Value::Null => Raw::Other("null".into()),
        Value::Array(items) => Raw::List(items.into_iter().map(|item| from_json(origin, item)).collect()),
        Value::Object(entries) => {
            Raw::Table(entries.into_iter().map(|(key, value)| (key, from_json(origin, value))).collect())
        }
    };
    Written::new(origin.clone(), raw)
}

pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Turns places in a text into lines.
struct Lines {
    source: Arc<str>,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl Lines {
    fn of(source: &str, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { source: source.into(), starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// Counted from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        self.starts.partition_point(|start| *start <= span.start)
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        Origin::at(&self.source, self.line(span))
    }

    fn column(&self, span: &Range<usize>) -> usize {
        span.start - self.starts[self.line(span) - 1] + 1
    }

    fn table(&self, table: DeTable<'_>) -> Raw {
        let entries = table.into_iter().map(|(key, value)| {
            let origin = self.origin(&key.span());
            (key.into_inner().into_owned(), Written::new(origin, self.raw(value.into_inner())))
        });
        Raw::Table(entries.collect())
    }

    fn raw(&self, value: DeValue<'_>) -> Raw {
        match value {
            DeValue::String(text) => Raw::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Raw::Other(number.as_str().into()), Raw::Integer),
            DeValue::Float(number) => Raw::Other(number.as_str().into()),
            DeValue::Boolean(flag) => Raw::Boolean(flag),
            DeValue::Datetime(date) => Raw::Other(date.to_string()),
            DeValue::Array(items) => Raw::List(items.into_iter().map(|item| self.item(item)).collect()),
            DeValue::Table(table) => self.table(table),
        }
    }

    fn item(&self, item: toml::Spanned<DeValue<'_>>) -> Written {
        Written::new(self.origin(&item.span()), self.raw(item.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Written {
        from_toml("f.toml", text, &Complaints::default()).expect("valid TOML")
    }

    #[test]
    fn every_value_knows_its_line() {
        let it = read("[queue]\nurl = 'x'\n\n[[target]]\nname = 'a'\n[[target]]\nfiles = [\n'b',\n'c']\n");
        assert_eq!(it.find(&["queue", "url"]).expect("there").origin.to_string(), "f.toml:2");
        let Raw::List(targets) = &it.find(&["target"]).expect("there").raw else { panic!("a list") };
        assert_eq!(targets[1].origin.to_string(), "f.toml:6");
        let Raw::List(files) = &targets[1].find(&["files"]).expect("there").raw else { panic!("a list") };
        assert_eq!(files[1].origin.to_string(), "f.toml:9");
    }

    #[test]
    fn each_slip_of_syntax_is_told_with_line_and_column_and_without_the_text() {
        let complaints = Complaints::default();
        let text = "[queue]\nurl = secret-one\nvisibility = \"30s\"\npollers = = 2\n";
        assert_eq!(from_toml("f.toml", text, &complaints), None);
        let problems = complaints.verdict().expect_err("two slips").to_string();
        insta::assert_snapshot!(problems, @r#"
        f.toml:2 is not TOML at column 7: string values must be quoted, expected literal string; mend the line; see https://toml.io
        f.toml:4 is not TOML at column 11: extra `=`, expected nothing; mend the line; see https://toml.io
        f.toml:4 is not TOML at column 13: unexpected key or value, expected newline, `#`; mend the line; see https://toml.io
        "#);
        assert!(!problems.contains("secret-one"));
    }

    #[test]
    fn a_value_of_many_lines_is_shown_on_one_and_cut() {
        let shown = quoted(&format!("a\nb{}", "x".repeat(500)));
        assert!(shown.starts_with(r#""a\nbxx"#) && shown.ends_with("x…\"") && shown.len() < 130, "{shown}");
    }

    #[test]
    fn a_number_that_is_too_large_is_kept_as_text_and_not_wrapped() {
        let it = read("x = 99999999999999999999");
        assert_eq!(it.find(&["x"]).expect("there").raw, Raw::Other("99999999999999999999".into()));
    }
}
