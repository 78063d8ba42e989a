//! Durations as people write them: `"5s"`, `"10m"`, `"1m30s"`, `"12h"`.

use std::time::Duration;

/// No duration is longer: a deadline further away is a slip of the pen.
pub(super) const LONGEST: Duration = Duration::from_hours(365 * 24);

const HOW: &str =
    r#"write numbers with units, the largest first, as "500ms", "30s", "10m", "1m30s" or "12h""#;

/// A duration as people write it: numbers with the units `d`, `h`, `m`, `s` and `ms`, each unit at most once and the largest first.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text.trim();
    let mut units = UNITS.iter();
    let mut millis: u64 = 0;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let (_, each) = units.find(|(name, _)| *name == unit).ok_or(HOW)?;
        let number: u64 = number.parse().map_err(|_| HOW)?;
        millis = millis.saturating_add(number.saturating_mul(*each));
        rest = &rest[digits + letters..];
        if rest.is_empty() {
            return Ok(Duration::from_millis(millis));
        }
    }
}

/// As [`parse`] reads it.
pub(super) fn write(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, each) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis >= each && millis.is_multiple_of(each) {
            return format!("{}{unit}", millis / each);
        }
    }
    if millis == 0 { "0s".into() } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("5s", 5), ("10m", 600), ("12h", 43_200), ("1m30s", 90), ("0s", 0), ("2d", 172_800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1s500ms"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "5 s", "5sec", "-5s", "1.5h", "30s1m", "5s5s", "5s ago", "ß", "5µs"] {
            assert!(parse(text).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn a_huge_number_saturates_and_is_beyond_the_longest() {
        assert!(parse("18446744073709551615d").expect("a number") > LONGEST);
        assert!(parse("99999999999999999999s").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0_u64..100_000_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&write(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = parse(&text);
        }
    }
}
