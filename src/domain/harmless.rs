//! Pieces of what others wrote, in texts for people.

use super::redacted;

/// At most so many characters, none of which can break a line, move a terminal's cursor or turn the direction of
/// writing, and none of which is of a credential in a URL: what is cut in two would not be known as one.
pub fn harmless(text: &str, chars: usize) -> String {
    let text = redacted(text);
    let mut cut = String::with_capacity(text.len().min(chars));
    let mut rest = text.chars();
    cut.extend(
        rest.by_ref().take(chars).map(|c| if is_harmful(c) { char::REPLACEMENT_CHARACTER } else { c }),
    );
    if rest.next().is_some() {
        cut.push('…');
    }
    cut
}

/// What turns the direction of writing has Unicode's property `Bidi_Control`.
fn is_harmful(c: char) -> bool {
    let turns =
        matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_or_turn_it_is_replaced() {
        for c in ['\n', '\u{1b}', '\u{85}', '\u{61c}', '\u{200f}', '\u{202e}', '\u{2028}', '\u{2069}'] {
            assert_eq!(harmless(&format!("a{c}b"), 9), "a\u{fffd}b", "{c:?}");
        }
        assert_eq!(harmless("né 漢字 🚀", 9), "né 漢字 🚀");
    }

    #[test]
    fn a_credential_is_hidden_before_its_url_is_cut() {
        assert_eq!(harmless("https://ann:s3cret@h/7", 14), "https://***@h/…");
    }

    #[test]
    fn what_is_too_long_is_cut_and_shows_it() {
        assert_eq!((harmless("äbc", 3), harmless("äbcd", 3)), ("äbc".into(), "äbc…".into()));
    }
}
