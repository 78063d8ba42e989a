//! Events for rules of EventBridge.

pub mod detail;
#[cfg(feature = "daemon")]
mod sender;

#[cfg(feature = "daemon")]
pub use sender::BusSender;
#[cfg(feature = "daemon")]
pub(super) use sender::undelivered;
