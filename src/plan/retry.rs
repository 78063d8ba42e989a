//! How long to wait before trying again.

use std::time::Duration;

/// After a first failed attempt, at most so long.
const FIRST_DELAY: Duration = Duration::from_secs(5);

/// However many attempts failed, at most so long.
const LONGEST_DELAY: Duration = Duration::from_mins(1);

/// A changing call is given up on after 3 s, and reads of ECS may be stale for some seconds: whoever lost an answer, or
/// took over, looks no sooner than this after the call.
pub(super) const AFTER_LOST_ANSWER: Duration = Duration::from_secs(3 + 5);

/// Where in its range a delay falls: drawn outside, so that the planner has no randomness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jitter(pub u16);

impl Jitter {
    /// The part of a duration that it stands for, from none of it to all.
    pub(super) fn of(self, whole: Duration) -> Duration {
        whole * u32::from(self.0) / u32::from(u16::MAX)
    }
}

/// The delay after so many failed attempts: doubling, and fully jittered, so that what failed together does not come
/// back together.
pub(super) fn delay(failed: u32, jitter: Jitter) -> Duration {
    jitter.of(FIRST_DELAY.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_are_fully_jittered() {
        let longest = |failed| delay(failed, Jitter(u16::MAX)).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 60].map(longest), [5, 10, 20, 40, 60, 60]);
        assert_eq!(delay(3, Jitter(0)), Duration::ZERO);
        assert_eq!(delay(3, Jitter(u16::MAX / 2)).as_secs(), 9);
    }
}
