//! Two kinds of time that must never be mixed.
//!
//! A [`Timestamp`] is a point on AWS's clock: when an event happened, when a rollout was created. It orders
//! requests and is compared with other timestamps only. A [`Moment`] is a reading of this process's monotonic
//! clock: deadlines are made of it. Neither type converts into the other, so a skewed wall clock can neither
//! shorten a deadline nor reorder requests.

use std::{fmt, ops::Add, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time by AWS's clock, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest timestamp that RFC 3339 can write: the year 0.
    const MIN_MILLIS: i64 = -62_167_219_200_000;
    /// The last that the time library can write, at the end of the year 9999.
    const MAX_MILLIS: i64 = 253_402_207_199_999;

    /// From milliseconds since the Unix epoch, clamped to the years that RFC 3339 can write.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN_MILLIS, Self::MAX_MILLIS))
    }

    /// From seconds since the Unix epoch with a fraction, as ECS and SQS write times.
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and from_millis clamps")]
    pub fn from_seconds(seconds: f64) -> Self {
        Self::from_millis((seconds * 1000.0).round() as i64)
    }

    /// From RFC 3339 (`2026-11-01T12:00:00Z`); `None` if it is not.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self::from_millis(at.as_millisecond()))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// In RFC 3339 with three digits of a second, always: texts of one length sort as the times do.
    pub fn to_fixed(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(|_| self.to_string(), |at| format!("{at:.3}"))
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{at}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a time in RFC 3339")))
    }
}

/// A reading of the monotonic clock, in milliseconds since the process (or the simulation) began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// From milliseconds since the process began.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the process began.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_and_read_as_rfc_3339() {
        let at = Timestamp::parse("2026-11-01T12:00:00.250Z").expect("valid");
        assert_eq!(at.as_millis(), 1_793_534_400_250);
        assert_eq!(at.to_string(), "2026-11-01T12:00:00.25Z");
        assert_eq!(Timestamp::parse("2026-11-01T14:00:00.250+02:00"), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(at.to_fixed(), "2026-11-01T12:00:00.250Z");
    }

    #[test]
    fn no_number_that_aws_could_send_overflows_a_timestamp() {
        for seconds in [f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, 1e300] {
            assert!(!Timestamp::from_seconds(seconds).to_string().is_empty());
        }
        assert!(Timestamp::from_millis(i64::MAX) + Duration::MAX == Timestamp::from_millis(i64::MAX));
    }

    #[test]
    fn a_deadline_in_the_far_future_saturates() {
        assert_eq!(Moment::from_millis(5) + Duration::MAX, Moment::from_millis(u64::MAX));
        assert_eq!(Moment::from_millis(5).since(Moment::from_millis(9)), Duration::ZERO);
    }

    #[test]
    fn seconds_with_a_fraction_are_rounded_to_milliseconds() {
        assert_eq!(Timestamp::from_seconds(1_793_534_400.2504).as_millis(), 1_793_534_400_250);
        assert_eq!(Timestamp::from_seconds(-0.0006).as_millis(), -1);
    }

    #[test]
    fn a_timestamp_reads_back_from_json() {
        let at = Timestamp::from_millis(1_793_534_400_250);
        let text = serde_json::to_string(&at).expect("a text");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).expect("a time"), at);
        assert!(serde_json::from_str::<Timestamp>("\"soon\"").is_err());
    }
}
