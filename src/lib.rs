//! Lockkeeper drives deployments to Amazon ECS from events on a queue.
//!
//! The folder is the map, in the order in which an event passes through it. The upper modules are pure: no tokio,
//! no AWS SDK, no clock, no randomness, no order of hash maps. Time, ids and jitter are their arguments. They build
//! without the feature `daemon`, so the compiler keeps it so.
//!
//! | module | does | may use |
//! |---|---|---|
//! | [`domain`] | the words: targets, images, versions, requests, outcomes | data crates |
//! | [`plan`] | lanes, folding, the one rule, judging a rollout, leases, retry, promises | `domain` |
//! | `aws` | one call to AWS per function; the SDK's types end there (feature `daemon`) | `domain` |

#[cfg(feature = "daemon")]
pub mod aws;
pub mod domain;
pub mod plan;
