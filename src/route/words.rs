//! Texts for people that have pieces of events in them.

use std::fmt::Write;

use crate::domain::{TargetName, redacted};

/// The longest line that is made, in characters: enough for a name of each kind and a reason.
const MAX_CHARS: usize = 300;

/// How many of a list are named before the rest is only counted.
const MAX_LISTED: usize = 10;

/// One line of bounded length. What would break a line or move a terminal's cursor becomes a space, and
/// what is of a credential is hidden.
pub(super) fn one_line(text: &str) -> String {
    let printable = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    let text = redacted(text);
    let mut rest = text.trim_start().chars().map(printable);
    let mut line: String = rest.by_ref().take(MAX_CHARS).collect();
    if rest.any(|c| c != ' ') {
        line.pop();
        line.push('…');
    }
    line.truncate(line.trim_end().len());
    line
}

/// A list of bounded length, as `a, b and 7 more`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut list = names.by_ref().take(MAX_LISTED).collect::<Vec<_>>().join(", ");
    let left = names.count();
    if left > 0 {
        let _ = write!(list, " and {left} more");
    }
    list
}

/// That a target's trigger is switched off.
pub(super) fn switched_off(what: &str, name: &TargetName) -> String {
    format!("{what} are switched off for {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_of_bounded_length() {
        assert_eq!(one_line(" fix\n\"login\"\u{1b}[2J\u{2028}bug "), "fix \"login\" [2J bug");
        let long = one_line(&"ü".repeat(MAX_CHARS + 1));
        assert_eq!((long.chars().count(), long.chars().last()), (MAX_CHARS, Some('…')));
        assert_eq!(one_line(&"ü".repeat(MAX_CHARS)), "ü".repeat(MAX_CHARS));
    }

    #[test]
    fn a_long_list_is_counted_not_written_out() {
        assert_eq!(listed(["a", "b"]), "a, b");
        assert_eq!(listed(["x"; 12]), "x, x, x, x, x, x, x, x, x, x and 2 more");
    }
}
