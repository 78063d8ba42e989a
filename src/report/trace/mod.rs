//! One trace per deployment, from its event to its outcome, for a collector of OpenTelemetry.
//!
//! A deployment may take hours and outlive the process that began it, so no span stays open while it goes on: when it has
//! ended, all of them are made at once, with the times at which things happened, of its record and its steps. The ids are
//! made of the deployment's, so that whoever has that finds the trace, and what is sent again is the same.
//!
//! | module | does |
//! |---|---|
//! | [`spans`] | a record and its steps to spans (pure) |
//! | [`attributes`] | what is said of a deployment, and under which names (pure) |
//! | `otlp` | the messages of OTLP (feature `daemon`) |
//! | `wire` | spans as those messages (feature `daemon`) |
//! | `exporter` | sends them: a queue, a task, retries (feature `daemon`) |

pub mod attributes;
#[cfg(feature = "daemon")]
mod exporter;
#[cfg(feature = "daemon")]
pub mod otlp;
pub mod spans;
#[cfg(test)]
mod tests;
#[cfg(feature = "daemon")]
mod wire;

#[cfg(feature = "daemon")]
pub use exporter::{Exporter, Tracer, open};
