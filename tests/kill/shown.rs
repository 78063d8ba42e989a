//! A lap that failed, for whoever looks for the reason.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    checker::{Broken, timeline},
    record::Record,
};

/// So much of what happened before and after a promise was broken.
const BEFORE: usize = 50;
const AFTER: usize = 40;
/// So many more than the first of each promise, in a line each.
const OTHERS: usize = 20;

/// What was broken, what happened around it, and how to run it again.
pub fn failure(record: &Record, broken: &[Broken]) -> String {
    let (kills, seed) = (record.kills(), record.seed);
    let mut text = format!("seed {seed}, {kills} kills: {} broken\n", broken.len());
    let is_first = |place: usize| broken[..place].iter().all(|it| it.promise != broken[place].promise);
    let (firsts, others): (Vec<usize>, Vec<usize>) = (0..broken.len()).partition(|place| is_first(*place));
    for broken in firsts.iter().map(|place| &broken[*place]) {
        let _ = writeln!(text, "\n{broken}");
        around(record, broken, &mut text);
    }
    for broken in others.iter().map(|place| &broken[*place]).take(OTHERS) {
        let _ = writeln!(text, "{broken}");
    }
    let whole = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kill-{seed}.txt"));
    let _ = match fs::write(&whole, timeline(record)) {
        Ok(()) => writeln!(text, "\nall of it: {}", whole.display()),
        Err(error) => writeln!(text, "\n{} cannot be written: {error}", whole.display()),
    };
    let _ = writeln!(text, "again: make kill KILLS={kills} SEED={seed}");
    text
}

/// Everything that happened, a line each.
fn timeline(record: &Record) -> String {
    let mut text = String::new();
    for (call, at, what) in timeline::of(record, None) {
        let _ = writeln!(text, "{at} call {call:>5} {what}");
    }
    text
}

fn around(record: &Record, broken: &Broken, text: &mut String) {
    let all = timeline::of(record, broken.target.as_deref());
    let when = record.log.iter().find(|line| line.sequence == broken.call).map_or(u64::MAX, |line| line.at);
    let place = all.partition_point(|(call, at, _)| (*at, *call) < (when, broken.call));
    for (call, at, what) in &all[place.saturating_sub(BEFORE)..all.len().min(place + AFTER)] {
        let mark = if *call == broken.call { ">>" } else { "  " };
        let _ = writeln!(text, "{mark} {at} call {call:>5} {what}");
    }
}
