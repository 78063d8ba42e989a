//! The built binary as a process, killed again and again, and the promises after each lap of it.
//!
//! A lap is a world of its own, a storm of events on it, and a daemon that dies at random moments and at chosen calls,
//! some of them after they took effect and before it hears so. Then everything that fails is mended, the queue must empty,
//! and a checker that reads only the world's log of calls and its end judges. Equal seeds ask for the same and
//! fail in the same ways; when a process dies is up to the machine as well.
//!
//! `LOCKKEEPER_KILLS` and `LOCKKEEPER_SEED`, or `make kill KILLS=5000 SEED=7`.

#![expect(clippy::print_stderr, reason = "seeds and figures are what a run shows")]
#![allow(unreachable_pub, reason = "a test is not a library")]

mod checker;
mod estate;
mod lap;
mod planted;
mod process;
mod receiver;
mod record;
mod shown;
mod stage;
mod storm;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use lap::Plan;

/// So often in one lap: each ends with peace, in which the promises about the end are judged.
const KILLS_PER_LAP: usize = 50;
/// So many laps at once: most of a lap is waiting.
const AT_ONCE: usize = 2;

#[test]
fn the_promises_hold_however_often_the_process_is_killed() {
    let (kills, seed) = (asked("LOCKKEEPER_KILLS", 200), asked("LOCKKEEPER_SEED", 1));
    let laps = kills.div_ceil(KILLS_PER_LAP as u64);
    eprintln!("{kills} kills from seed {seed} on");
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let lap = next.fetch_add(1, Ordering::Relaxed) as u64;
                    if lap >= laps {
                        return;
                    }
                    let count = (kills - lap * KILLS_PER_LAP as u64).min(KILLS_PER_LAP as u64);
                    let failed = run(Plan { seed: seed + lap, kills: count, faults: true });
                    failures.lock().expect("nobody panics with it").extend(failed);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panics with it");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs one lap, and tells what it broke.
fn run(plan: Plan) -> Option<String> {
    let began = Instant::now();
    let record = lap::run(plan);
    let broken = checker::judge(&record);
    eprintln!(
        "seed {}: {} kills in {} s, at rest after {:?} ms; {}",
        plan.seed,
        record.kills(),
        began.elapsed().as_secs(),
        record.rested_ms,
        checker::weight(&record),
    );
    (!broken.is_empty()).then(|| shown::failure(&record, &broken))
}

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("it is a number"))
}
