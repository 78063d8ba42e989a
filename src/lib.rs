//! Lockkeeper drives deployments to Amazon ECS from events on a queue.
//!
//! The folder is the map, in the order in which an event passes through it. The modules without a feature are pure:
//! no tokio, no AWS SDK, no clock, no randomness, no order of hash maps. Time, ids and jitter are their arguments. They
//! build without the feature `daemon`, so the compiler keeps it so.
//!
//! | module | does | may use |
//! |---|---|---|
//! | [`domain`] | the words: targets, images, versions, requests, outcomes | data crates |
//! | [`settings`] | what can be set, where it came from, what is wrong with it | `domain` |
//! | [`decode`] | the bytes of a message to what it means | `domain` |
//! | [`route`] | what it means to requests for targets | `domain` |
//! | [`inventory`] | which targets there are, what each depends on, and what they should have seen of it | `domain` |
//! | [`plan`] | lanes, folding, the one rule, judging a rollout, leases, retry, promises | `domain` |
//! | [`standby`] | which of several processes acts: the lease in a table, its deadline, taking it over | `domain` |
//! | [`report`] | what is told: words, log, history, notices; and to whom (senders: feature `daemon`) | `domain`; senders `aws` |
//! | `sim` (feature `sim`) | a seeded model of AWS with faults and a clock of its own, and an HTTP front for the real SDKs | `domain`; never `plan` |
//! | `aws` (feature `daemon`) | one AWS call per function; SDK types end here | `domain` |
//! | `status` (feature `daemon`) | health, metrics, API and pages over HTTP: reads a snapshot, never the state; what is asked for goes to a desk | `domain`, `report` |
//! | `engine` (feature `daemon`) | the one loop: intake, perform, publish, drain | all of the above |
//! | `cli` (feature `daemon`) | one file per command | all |

#[cfg(feature = "daemon")]
pub mod aws;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod decode;
pub mod domain;
#[cfg(feature = "daemon")]
pub mod engine;
pub mod inventory;
pub mod plan;
pub mod report;
pub mod route;
pub mod settings;
#[cfg(feature = "sim")]
pub mod sim;
pub mod standby;
#[cfg(feature = "daemon")]
pub mod status;
