//! The words in which everything else speaks: newtypes and enums, no policy, no clock, no I/O.

mod time;

pub use time::{Moment, Timestamp};
