//! What one event costs, by how many targets there are: decoding, routing, planning, and all of it.
//!
//! Each event is followed, untimed, to the deletion of its message, so that the state stays what it is. At the end the
//! cost at 10,000 targets is set beside that at 100.

mod estate;
#[path = "../shared/mod.rs"]
mod shared;

use std::{io, time::Duration};

use criterion::{BenchmarkId, Criterion};
use estate::{Estate, Step};
use shared::median_ns;

const SIZES: [usize; 3] = [1, 100, 10_000];

const STEPS: [(&str, Step); 6] = [
    ("decode", Step::Decode),
    ("route", Step::Route),
    ("plan", Step::Plan),
    ("together", Step::Together),
    ("settled", Step::Settled),
    ("scattered", Step::Scattered),
];

fn main() -> io::Result<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    for size in SIZES {
        let mut estate = Estate::of(size);
        for (name, step) in STEPS {
            let mut group = criterion.benchmark_group(name);
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter_custom(|events| (0..events).map(|_| estate.next_event(step)).sum());
            });
        }
    }
    criterion.final_summary();
    ratios(&mut io::stdout().lock())
}

/// Says how much dearer an event is at 10,000 targets, of what was measured in this run or an earlier one.
fn ratios(to: &mut impl io::Write) -> io::Result<()> {
    for (name, _) in STEPS {
        if let (Some(few), Some(many)) = (median_ns(name, 100), median_ns(name, 10_000)) {
            let ratio = many / few;
            writeln!(to, "{name:<9} {:6.2} µs at 10,000 targets, {ratio:.2} × that at 100", many / 1000.0)?;
        }
    }
    Ok(())
}
