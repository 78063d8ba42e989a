//! A simulated part of AWS: queues, event buses, ECS, and what its tasks read when they start, as far as a deployment daemon
//! can tell them apart from the real ones.
//!
//! [`World`] is pure: time is an argument, chance comes from a seed, and nothing is read or written but itself. What
//! takes time in AWS takes time here, and what fails there fails here: tags of images say how (`crash`, `nope`,
//! `slow`, `hang`, `oom`, `sick`, `noroom`). `front` puts HTTP before it for the real SDKs.
//!
//! | module | does |
//! |---|---|
//! | `call` | what is asked and answered, as data |
//! | `world` | one call, one step of time; faults and the log |
//! | `sqs` | queues |
//! | `bus` | event buses, rules, archives |
//! | `ecr`, `ssm`, `secrets`, `s3` | images, parameters, secrets and objects, and the events about them |
//! | `ecs` | definitions, services, the rolling scheduler, the circuit breaker |
//! | `sts` | roles that lead to other accounts |
//! | `throttle`, `fault`, `page`, `rng`, `settings` | token buckets, ordered faults, lists by the page, chance, dials |

mod bus;
mod call;
mod ecr;
mod ecs;
mod fault;
mod page;
mod rng;
mod s3;
mod secrets;
mod settings;
mod sqs;
mod ssm;
mod sts;
#[cfg(test)]
mod testkit;
mod throttle;
mod world;

#[cfg(feature = "daemon")]
pub mod front;

pub use self::{
    call::{Call, Fail, Reply, Scope, Service},
    fault::{Fault, FaultKind},
    rng::Rng,
    settings::{EcsDials, WorldSettings},
    sts::{Role, account_of_key},
    world::{Logged, World},
};

/// The account of a caller who names none.
pub const DEFAULT_ACCOUNT: &str = "000000000000";
/// The Region of a caller who names none.
pub const DEFAULT_REGION: &str = "us-east-1";
