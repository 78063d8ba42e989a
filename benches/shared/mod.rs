//! What criterion has written down.

use std::{env, fs, path::PathBuf};

/// The median of this group at this size, in this run or an earlier one.
pub(crate) fn median_ns(group: &str, size: usize) -> Option<f64> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let file = target.join(format!("criterion/{group}/{size}/new/estimates.json"));
    let estimates: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}
