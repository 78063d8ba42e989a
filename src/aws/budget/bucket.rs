//! One bucket: tokens that come back at a rate, places that keep one, and a rate that gives way when AWS throttles.
//!
//! Integers only: tokens are counted in parts so small that no rate has to be rounded.

use std::time::Duration;

use super::limits::Limits;
use crate::domain::{BudgetShare, Moment};

/// One token. Rates are in thousandths of a call a second, paces in millionths of the rate, time in milliseconds.
const TOKEN: u64 = 1_000_000_000_000;

/// The whole rate, of which a pace is a part.
const WHOLE: u64 = 1_000_000;

/// However often AWS throttles, so much of the rate remains: a sixteenth, or a stop could never end.
const SLOWEST: u64 = WHOLE / 16;

/// How much of the rate comes back in a millisecond without throttling: all of it within twenty seconds.
const RECOVERY_PER_MILLI: u64 = WHOLE / 20_000;

/// Calls that were under way together are throttled together: that is one sign, not many.
const ONE_SIGN: Duration = Duration::from_secs(1);

/// No step of time counts for more: by then any bucket is full.
const LONGEST_STEP_MILLIS: u64 = 10_000_000;

/// A bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    burst: u64,
    /// In thousandths of a call a second.
    rate: u64,
    /// In parts of a token.
    tokens: u64,
    /// Whole tokens that are kept.
    places: u64,
    /// In millionths of the rate.
    pace: u64,
    filled_at: Moment,
    slowed_at: Option<Moment>,
}

impl Bucket {
    /// A full one. Whatever the share, one call at a time can be made.
    pub(super) fn new(limits: Limits, share: BudgetShare, now: Moment) -> Self {
        let share = u64::from(share.per_mille());
        let burst = (u64::from(limits.burst) * share / 1_000).max(1) * TOKEN;
        let rate = u64::from(limits.per_second) * share;
        let (tokens, pace) = (burst, WHOLE);
        Self { burst, rate, tokens, places: 0, pace, filled_at: now, slowed_at: None }
    }

    /// Takes a token that nobody keeps.
    pub(super) fn take(&mut self, now: Moment) -> bool {
        self.fill(now);
        let has = self.tokens >= (self.places + 1) * TOKEN;
        self.tokens -= if has { TOKEN } else { 0 };
        has
    }

    /// Keeps a token.
    pub(super) fn keep(&mut self, now: Moment) -> bool {
        self.fill(now);
        let has = self.tokens >= (self.places + 1) * TOKEN;
        self.places += u64::from(has);
        has
    }

    /// Takes a token that is kept. There is none only if the bucket was emptied in between.
    pub(super) fn take_kept(&mut self, now: Moment) -> bool {
        self.fill(now);
        let has = self.tokens >= TOKEN;
        if has {
            self.tokens -= TOKEN;
            self.give_up_place();
        }
        has
    }

    /// Keeps one token less.
    pub(super) fn give_up_place(&mut self) {
        self.places = self.places.saturating_sub(1);
    }

    /// AWS has no token where we thought that we had one: the bucket is empty, and fills at half its pace, that
    /// recovers by and by.
    pub(super) fn throttled(&mut self, now: Moment) {
        self.fill(now);
        self.tokens = 0;
        if self.slowed_at.is_none_or(|at| now.since(at) >= ONE_SIGN) {
            self.pace = (self.pace / 2).max(SLOWEST);
            self.slowed_at = Some(now);
        }
    }

    /// Whether half of the burst is there.
    pub(super) fn is_half_full(&mut self, now: Moment) -> bool {
        self.fill(now);
        self.tokens >= self.places * TOKEN + self.burst / 2
    }

    /// How long it takes until one can be taken, or a kept one: at most, because the pace may recover in between.
    pub(super) fn ready_in(&self, kept: bool) -> Duration {
        let wanted = if kept { TOKEN } else { (self.places + 1) * TOKEN };
        let missing = wanted.min(self.burst).saturating_sub(self.tokens);
        Duration::from_millis(missing.div_ceil(self.rate * self.pace))
    }

    fn fill(&mut self, now: Moment) {
        let elapsed = now.since(self.filled_at);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).min(LONGEST_STEP_MILLIS);
        // The pace rises evenly: what it was at first is a lower bound for the whole step.
        let gained = self.rate * self.pace * millis;
        self.tokens = self.tokens.saturating_add(gained).min(self.burst);
        self.pace = (self.pace + RECOVERY_PER_MILLI * millis).min(WHOLE);
        self.filled_at = self.filled_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { burst: 50, per_second: 5 };

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn half() -> Bucket {
        Bucket::new(LIMITS, BudgetShare::HALF, at(0))
    }

    fn drain(bucket: &mut Bucket, millis: u64) -> usize {
        (0..1_000).take_while(|_| bucket.take(at(millis))).count()
    }

    #[test]
    fn half_of_the_burst_and_half_of_the_rate_are_ours() {
        let mut bucket = half();
        assert_eq!(drain(&mut bucket, 0), 25);
        assert_eq!(bucket.ready_in(false), Duration::from_millis(400));
        assert!(!bucket.take(at(399)) && bucket.take(at(400)) && !bucket.take(at(400)));
        assert_eq!(drain(&mut bucket, 4_400), 10);
        assert_eq!(drain(&mut bucket, 1_000_000), 25, "it never holds more than its burst");
    }

    #[test]
    fn the_smallest_share_still_lets_one_call_through() {
        let limits = Limits { burst: 5, per_second: 1 };
        let mut bucket = Bucket::new(limits, BudgetShare::from_per_mille(10).expect("in bounds"), at(0));
        assert_eq!(drain(&mut bucket, 0), 1);
        assert_eq!(bucket.ready_in(false), Duration::from_secs(100));
        assert_eq!(drain(&mut bucket, 100_000), 1);
    }

    #[test]
    fn a_kept_token_is_there_for_who_keeps_it_and_for_nobody_else() {
        let mut bucket = half();
        assert!(bucket.keep(at(0)));
        assert_eq!(drain(&mut bucket, 0), 24);
        assert!(!bucket.keep(at(0)));
        assert_eq!(
            (bucket.ready_in(true), bucket.ready_in(false)),
            (Duration::ZERO, Duration::from_millis(400))
        );
        assert!(bucket.take_kept(at(0)));
        assert_eq!(bucket.ready_in(false), Duration::from_millis(400));
    }

    #[test]
    fn a_place_that_is_given_up_is_a_token_for_others() {
        let mut bucket = half();
        let places = (0..100).take_while(|_| bucket.keep(at(0))).count();
        assert_eq!((places, drain(&mut bucket, 0)), (25, 0));
        bucket.give_up_place();
        assert_eq!(drain(&mut bucket, 0), 1);
    }

    #[test]
    fn throttling_empties_it_and_halves_its_rate_until_that_has_recovered() {
        let mut bucket = half();
        bucket.throttled(at(0));
        assert_eq!(drain(&mut bucket, 0), 0);
        assert_eq!(bucket.ready_in(false), Duration::from_millis(800));
        // Nine more that were under way with it are the same sign.
        (0..9).for_each(|_| bucket.throttled(at(10)));
        assert_eq!(bucket.ready_in(false).as_millis(), 800 * 1_000 / 1_001 + 1);
        // Within ten seconds it comes back: what is gained in twenty is between half of the rate and all of it.
        let gained = (1..=200).filter(|tenth| bucket.take(at(10 + tenth * 100))).count();
        assert!((40..=46).contains(&gained), "{gained}");
        drain(&mut bucket, 20_010);
        assert!(bucket.ready_in(false) <= Duration::from_millis(400));
    }

    #[test]
    fn however_long_aws_throttles_a_sixteenth_of_the_rate_remains() {
        let mut bucket = half();
        (0..100).for_each(|second| bucket.throttled(at(second * 1_000)));
        assert!(bucket.ready_in(false) <= Duration::from_millis(400 * 16));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Take,
        Keep,
        TakeKept,
        GiveUp,
        Throttled,
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
        let kinds = prop_oneof![
            6 => Just(Step::Take),
            4 => Just(Step::Keep),
            4 => Just(Step::TakeKept),
            1 => Just(Step::GiveUp),
            1 => Just(Step::Throttled),
        ];
        let pauses = prop_oneof![3 => Just(0_u64), 2 => 1..500_u64, 1 => 500..20_000_u64];
        proptest::collection::vec((pauses, kinds), 1..300)
    }

    /// The times at which a call was sent, with as many places held as tokens were kept.
    fn sent(steps: &[(u64, Step)], limits: Limits, share: BudgetShare) -> Vec<u64> {
        let (mut bucket, mut now, mut places, mut sent) =
            (Bucket::new(limits, share, at(0)), 0, 0_u32, Vec::new());
        for (pause, step) in steps {
            now += pause;
            match step {
                Step::Take => sent.extend(bucket.take(at(now)).then_some(now)),
                Step::Keep => places += u32::from(bucket.keep(at(now))),
                Step::TakeKept if places > 0 => {
                    if bucket.take_kept(at(now)) {
                        places -= 1;
                        sent.push(now);
                    }
                }
                Step::GiveUp if places > 0 => {
                    bucket.give_up_place();
                    places -= 1;
                }
                Step::TakeKept | Step::GiveUp => {}
                Step::Throttled => bucket.throttled(at(now)),
            }
        }
        sent
    }

    proptest! {
        #[test]
        fn in_no_span_of_time_more_is_sent_than_burst_and_rate_allow(
            steps in steps(),
            share in 10..=1_000_u16,
            burst in 1..100_u32,
            per_second in 1..40_u32,
        ) {
            let share = BudgetShare::from_per_mille(share).expect("in bounds");
            let sent = sent(&steps, Limits { burst, per_second }, share);
            let per_mille = u64::from(share.per_mille());
            let most_at_once = (u64::from(burst) * per_mille / 1_000).max(1);
            for (first, from) in sent.iter().enumerate() {
                for (last, until) in sent.iter().enumerate().skip(first) {
                    let count = u64::try_from(last - first + 1).expect("few");
                    let gained = u64::from(per_second) * per_mille * (until - from) / 1_000_000;
                    prop_assert!(count <= most_at_once + gained, "{count} from {from} to {until}");
                }
            }
        }
    }
}
