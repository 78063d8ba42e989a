//! What is told, and to whom. Nothing is decided here: a report that nobody hears changes nothing.
//!
//! | module | does |
//! |---|---|
//! | [`message`] | a report as one line for people, and as fields for machines (pure) |
//! | [`notice`] | what is told to people and programs elsewhere: in notices, in words (pure) |
//! | [`history`] | the deployments that ended, newest first, within bounds (pure) |
//! | [`dora`] | the four figures by which delivery is measured (pure) |
//! | [`past`] | what ECS remembers of deployments that this process has not seen (pure) |
//! | [`steps`] | what each deployment went through, and when (pure) |
//! | [`trace`] | one trace per deployment: its spans (pure), and how they reach a collector (feature `daemon`) |
//! | `channel` | how notices leave: an outbox, a task and retries per channel (feature `daemon`) |
//! | [`slack`], [`webhook`], [`bus`], [`topic`] | the form of each channel (pure), and its sender (feature `daemon`) |
//! | `log` | writes those lines to stdout, as JSON or as text (feature `daemon`) |

pub mod bus;
#[cfg(feature = "daemon")]
pub mod channel;
pub mod dora;
pub mod history;
#[cfg(feature = "daemon")]
mod http;
#[cfg(feature = "daemon")]
pub mod log;
pub mod message;
pub mod notice;
pub mod past;
#[cfg(test)]
pub(crate) mod sample;
pub mod slack;
pub mod steps;
pub mod topic;
pub mod trace;
pub mod webhook;

#[cfg(feature = "daemon")]
pub use http::Http;
