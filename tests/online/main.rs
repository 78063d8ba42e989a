//! The commands that ask AWS, against the simulated world: the built binary, its output and its calls.
#![cfg(all(feature = "daemon", feature = "sim"))]

mod check;
mod explain;
mod lab;
