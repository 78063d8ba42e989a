//! The one place where time is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::domain::{Moment, Timestamp};

/// Tells the time since the process began, and that of the wall.
#[derive(Clone, Debug)]
pub struct EngineClock {
    began: Instant,
}

impl EngineClock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// When it began: moments are counted from here.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Now, by the monotonic clock.
    pub fn moment(&self) -> Moment {
        Moment::from_millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Now, by the wall.
    pub fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The runtime's reading at this moment. One too far off for the runtime's timer is a day off instead.
    pub fn instant(&self, moment: Moment) -> Instant {
        let ahead = moment.since(self.moment()).min(Duration::from_hours(24));
        Instant::now() + ahead
    }
}
