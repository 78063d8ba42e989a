//! Lockkeeper drives deployments to Amazon ECS from events on a queue.
//!
//! The folder is the map, in the order in which an event passes through it. The upper modules are pure: no tokio,
//! no AWS SDK, no clock, no randomness, no order of hash maps. Time, ids and jitter are their arguments. They build
//! without the feature `daemon`, so the compiler keeps it so.
//!
//! | module | does | may use |
//! |---|---|---|
//! | [`domain`] | the words: targets, images, versions, requests, outcomes | data crates |
//! | [`route`] | which targets an event reaches, and what it asks of each | `domain` |

pub mod domain;
pub mod route;
