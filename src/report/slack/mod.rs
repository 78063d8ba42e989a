//! Messages for people in Slack, and the buttons in them.
//!
//! | module | does |
//! |---|---|
//! | [`blocks`] | a notice as a message, within Slack's limits (pure) |
//! | [`action`] | what somebody pressed: verified, then read (pure) |
//! | `sender` | posts messages, and updates them (feature `daemon`) |

pub mod action;
pub mod blocks;
#[cfg(feature = "daemon")]
mod sender;

#[cfg(feature = "daemon")]
pub use sender::Slack;
