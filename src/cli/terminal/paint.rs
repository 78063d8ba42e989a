//! Colours, where a person looks.

use std::io::IsTerminal;

use crate::domain::Outcome;

/// What a piece of text is to say by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Tone {
    Good,
    Bad,
    Busy,
    Quiet,
    Plain,
}

/// Paints, or does not.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Paint(bool);

impl Paint {
    /// On a terminal, unless `NO_COLOR` is set or the terminal knows no colours.
    pub(in crate::cli) fn of(stream: &impl IsTerminal) -> Self {
        let has = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(stream.is_terminal() && !has("NO_COLOR") && !is_dumb)
    }

    /// Never.
    #[cfg(test)]
    pub(in crate::cli) fn never() -> Self {
        Self(false)
    }

    #[cfg(test)]
    fn always() -> Self {
        Self(true)
    }

    pub(in crate::cli) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Busy => "33",
            Tone::Quiet => "2",
            Tone::Plain => return text.to_owned(),
        };
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// How an outcome is to be seen.
pub(in crate::cli) fn of_outcome(outcome: &str) -> Tone {
    let known = Outcome::ALL.into_iter().find(|it| it.as_str() == outcome);
    match known {
        Some(Outcome::Succeeded | Outcome::AlreadyRunning) => Tone::Good,
        Some(Outcome::Failed | Outcome::RolledBack) => Tone::Bad,
        Some(Outcome::Superseded | Outcome::Cancelled | Outcome::DryRun) => Tone::Quiet,
        None => Tone::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_painted_says_the_same_without_its_colour() {
        assert_eq!(Paint::always().paint(Tone::Bad, "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(Paint::always().paint(Tone::Plain, "x") + &Paint::always().paint(Tone::Bad, ""), "x");
        assert_eq!(Paint::never().paint(Tone::Bad, "failed"), "failed");
    }
}
