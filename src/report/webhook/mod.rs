//! Signed JSON over HTTP, to whatever listens.

#[cfg(feature = "daemon")]
mod sender;
pub mod signature;

#[cfg(feature = "daemon")]
pub use sender::Webhook;
