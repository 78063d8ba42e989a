//! One call to AWS per function. The SDK's types, its errors and its retries end here: what goes in and out is in
//! the words of the domain.
//!
//! | module | does |
//! |---|---|
//! | [`connect`] | endpoints, credentials, timeouts and retries: the one place that configures the SDK |
//! | [`account`] | which account the credentials belong to |
//! | [`queue`] | receive, extend, delete, send: one SQS queue |
//! | [`ecs`] | look at a service, start a rollout |
//! | [`rules`] | EventBridge's rules: which send to a queue, and what they let through |
//! | [`permissions`] | whose credentials these are, and what IAM would let them do |
//! | [`bus`], [`topic`] | EventBridge and SNS as somewhere to send to |
//! | [`trails`], `buckets` | what CloudTrail and buckets tell of |
//! | [`sources`] | what targets depend on: tags in `registry`, `parameters`, `secrets`, `objects`, by `reads` |
//! | [`lease_table`] | read and conditionally write the one item of the lease table |
//! | [`fence`] | whether a call that changes something may still be begun |
//! | [`failure`] | what a failed call means, and what may be done about it |
//! | [`budget`] | no more calls of a class than AWS allows us |
//! | [`observe`] | tells metrics of every call |

pub mod account;
mod buckets;
pub mod budget;
pub mod bus;
pub mod connect;
pub mod ecs;
pub mod failure;
pub mod fence;
pub mod lease_table;
mod objects;
pub mod observe;
mod parameters;
pub mod permissions;
pub mod queue;
mod reads;
mod registry;
pub mod rules;
mod secrets;
pub mod sources;
pub mod topic;
pub mod trails;

pub use connect::Connections;
pub use fence::Fence;
pub use observe::{Observer, Unobserved};
