//! Messages for subscribers of a topic: text for e-mail, JSON for programs.

pub mod message;
#[cfg(feature = "daemon")]
mod sender;

#[cfg(feature = "daemon")]
pub use sender::TopicSender;
