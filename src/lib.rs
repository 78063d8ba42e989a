//! Lockkeeper drives deployments to Amazon ECS from events on a queue.
//!
//! The folder is the map, in the order in which an event passes through it:
//!
//! | module | does | may use |
//! |---|---|---|
//! | [`domain`] | the words: targets, images, versions, requests, outcomes | data crates |
//! | `sim` | a simulated AWS for tests and the demo, with the feature of that name | `domain` |

#![warn(missing_docs)]

pub mod domain;
#[cfg(feature = "sim")]
pub mod sim;
