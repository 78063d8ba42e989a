//! How long everything takes.

use std::time::Duration;

/// How long a lease is good, and how often it is renewed and looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// For how long others leave a claim alone that does not change.
    pub lease: Duration,
    /// The longest that a changing call takes: none is begun with less of the lease left.
    pub call: Duration,
    /// By how much less than a lease length another member's clock may count in that time.
    pub drift: Duration,
    /// From one renewal to the next.
    pub heartbeat: Duration,
    /// From one read on standby to the next.
    pub poll: Duration,
    /// After a renewal that failed, until the next is tried.
    pub retry: Duration,
}

impl Timing {
    /// A member that was killed is followed 12 s after its last renewal was seen, and so within 13 s; one that gave the
    /// lease back, at the next read, within 1 s. A holder may begin calls for 8.4 s after a renewal, so that three
    /// renewals in a row may fail, each after 2 s without an answer.
    pub const USUAL: Self = Self {
        lease: Duration::from_secs(12),
        call: Duration::from_secs(3),
        drift: Duration::from_millis(600),
        heartbeat: Duration::from_secs(2),
        poll: Duration::from_secs(1),
        retry: Duration::from_millis(500),
    };

    /// What is kept of the lease: no changing call is begun in it.
    pub const fn margin(&self) -> Duration {
        self.call.saturating_add(self.drift)
    }

    /// For how long after a claim was asked for changing calls may be begun.
    pub const fn acting(&self) -> Duration {
        self.lease.saturating_sub(self.margin())
    }
}
