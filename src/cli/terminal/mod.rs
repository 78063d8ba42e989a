//! How commands write for people.
//!
//! | file | does |
//! |---|---|
//! | `table` | a table that fits where it is shown |
//! | `paint` | colours, where a person looks |

pub(super) mod paint;
pub(super) mod table;

use std::io::{self, IsTerminal as _};

use crate::domain::redacted;

/// The width of the terminal that standard output is, if it is one. One that does not tell is as wide as most.
pub(super) fn width() -> Option<usize> {
    const MOST: usize = 80;
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let told = terminal_size::terminal_size_of(stdout).map(|(width, _)| usize::from(width.0));
    let said = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|width| *width > 0);
    told.or_else(said).or(Some(MOST))
}

/// As `1 target` or `3 targets`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// Texts of events stand in the lines, and a terminal obeys control characters.
pub(super) fn harmless(line: &str) -> String {
    let line = redacted(line.trim_end());
    line.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}
