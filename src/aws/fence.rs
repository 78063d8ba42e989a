//! The fence: whether a call that changes something may still be begun.
//!
//! It is asked by the SDK itself, before each attempt, when the request is signed and about to be sent: whatever a call
//! waited for before, the answer is no older than that.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_sdk_ecs::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
};
use tokio::time::Instant;

use crate::domain::Moment;

/// Says whether changing calls may be begun. Clones are one fence.
#[derive(Clone, Debug, Default)]
pub struct Fence(Option<Arc<Bound>>);

#[derive(Debug)]
struct Bound {
    /// Moments are counted from here.
    began: Instant,
    /// The moment from which no call is begun, in milliseconds.
    until: AtomicU64,
}

/// A call was not begun, because another process may act by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not begun: this process does not hold the lease")]
pub struct NotBegun;

impl Fence {
    /// One that lets everything pass: nothing else excludes that two processes act.
    pub fn open() -> Self {
        Self(None)
    }

    /// One that lets nothing pass until [`Self::allow_until`] says so. Moments are counted from `began`.
    pub fn closed(began: Instant) -> Self {
        Self(Some(Arc::new(Bound { began, until: AtomicU64::new(0) })))
    }

    /// From this moment on nothing passes; nothing at all if there is none.
    pub fn allow_until(&self, moment: Option<Moment>) {
        if let Some(bound) = &self.0 {
            bound.until.store(moment.map_or(0, Moment::as_millis), Ordering::SeqCst);
        }
    }

    /// Whether a call may be begun now.
    pub fn may_begin(&self) -> Result<(), NotBegun> {
        let Some(bound) = &self.0 else { return Ok(()) };
        let now = bound.began.elapsed().as_millis();
        if now < u128::from(bound.until.load(Ordering::SeqCst)) { Ok(()) } else { Err(NotBegun) }
    }
}

impl Intercept for Fence {
    fn name(&self) -> &'static str {
        "Fence"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(self.may_begin()?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_open_fence_lets_everything_pass() {
        Fence::open().allow_until(None);
        assert_eq!(Fence::open().may_begin(), Ok(()));
    }

    #[test]
    fn a_closed_fence_lets_pass_what_is_begun_before_its_moment() {
        let began = Instant::now().checked_sub(Duration::from_secs(5)).expect("the machine runs for longer");
        let fence = Fence::closed(began);
        assert_eq!(fence.may_begin(), Err(NotBegun));
        fence.clone().allow_until(Some(Moment::from_millis(60_000)));
        assert_eq!(fence.may_begin(), Ok(()));
        fence.allow_until(Some(Moment::from_millis(5_000)));
        assert_eq!(fence.may_begin(), Err(NotBegun));
        fence.allow_until(None);
        assert_eq!(fence.may_begin(), Err(NotBegun));
    }
}
