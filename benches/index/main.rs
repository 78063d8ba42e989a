//! What the targets that discovery found cost, by how many there are: to learn them, to find one, and to remember them.
//!
//! The same ninety-nine targets, spread over all of them, are asked for again and again, so that what is compared is what
//! more targets cost. `scattered` asks for one after the other of twenty thousand: each one's memory has gone cold since,
//! and what is compared is what a processor's caches hold. At the end the cost at 100,000 is set beside that at 100.

mod estate;
#[path = "../shared/mod.rs"]
mod shared;

use std::{
    fs,
    hint::black_box,
    io,
    time::{Duration, Instant},
};

use criterion::{BatchSize, BenchmarkId, Criterion};
use estate::Asked;
use lockkeeper::{
    domain::{Discovered, Event},
    route::Routes,
};
use peak_alloc::PeakAlloc;
use shared::median_ns;

/// Counts the bytes that are asked for.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const SIZES: [usize; 3] = [100, 10_000, 100_000];

/// As many targets have something happen to them again and again.
const LIVELY: usize = 99;

/// As many are asked for in turn where each is to have gone cold.
const SCATTERED: usize = 20_000;

/// Divides no number of targets.
const STRIDE: usize = 3_571;

const PAGE_BYTES: usize = 4_096;

const QUESTIONS: [(&str, Asked); 8] = [
    ("find-push", Asked::Push),
    ("find-parameter", Asked::Parameter),
    ("find-teams-parameter", Asked::TeamsParameter),
    ("find-secret", Asked::Secret),
    ("find-file", Asked::File),
    ("find-request", Asked::Request),
    ("find-sign", Asked::Sign),
    ("find-nothing", Asked::Nothing),
];

const OTHERS: [&str; 4] = ["find-scattered", "learn-unchanged", "learn-changed", "learn-all"];

fn main() -> io::Result<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(30)
        .configure_from_args();
    // The most come first, while the process is fresh: what is freed is not always given back.
    let remembered = [100_000, 10_000, 100].map(|size| (size, bytes_of_each(size)));
    for size in SIZES {
        let mut routes = filled(size);
        find(&mut criterion, &routes, size);
        learn(&mut criterion, &mut routes, size);
        drop(routes);
        learn_all(&mut criterion, size);
    }
    criterion.final_summary();
    tell(&remembered, &mut io::stdout().lock())
}

/// As many targets.
fn filled(size: usize) -> Routes {
    let mut routes = estate::empty();
    for number in 0..size {
        routes.learn(estate::found(number));
    }
    routes
}

/// How much of the heap, and of the process, each of as many targets takes.
fn bytes_of_each(size: usize) -> [usize; 2] {
    let before = [HEAP.current_usage(), resident_bytes()];
    let routes = filled(size);
    let after = [HEAP.current_usage(), resident_bytes()];
    drop(routes);
    [0, 1].map(|which| after[which].saturating_sub(before[which]) / size)
}

fn find(criterion: &mut Criterion, routes: &Routes, size: usize) {
    let arrival = estate::arrival();
    let mut measure = |name: &str, events: Vec<Event>| {
        let mut events = events.iter().cycle();
        let mut group = criterion.benchmark_group(name);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| routes.route(black_box(events.next().expect("there are some")), &arrival));
        });
    };
    for (name, asked) in QUESTIONS {
        measure(name, lively(size).map(|number| estate::event(asked, number)).collect());
    }
    let scattered = (0..SCATTERED).map(|turn| estate::event(Asked::Parameter, turn * STRIDE % size));
    measure("find-scattered", scattered.collect());
}

fn learn(criterion: &mut Criterion, routes: &mut Routes, size: usize) {
    let mut measure = |name: &str, turns: [fn(usize) -> Discovered; 2]| {
        let found: Vec<_> = turns.iter().flat_map(|turn| lively(size).map(turn)).collect();
        let mut found = found.iter().cycle();
        let mut group = criterion.benchmark_group(name);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            let next = || found.next().expect("there are some").clone();
            bencher.iter_batched(next, |it| routes.learn(it), BatchSize::SmallInput);
        });
    };
    measure("learn-unchanged", [estate::found, estate::found]);
    measure("learn-changed", [estate::changed, estate::found]);
}

/// Per target.
fn learn_all(criterion: &mut Criterion, size: usize) {
    let learnt = |_| {
        let mut routes = estate::empty();
        let took = |number| {
            let it = estate::found(number);
            let began = Instant::now();
            routes.learn(it);
            began.elapsed()
        };
        let all: Duration = (0..size).map(took).sum();
        all / u32::try_from(size).expect("sizes are small")
    };
    let mut group = criterion.benchmark_group("learn-all");
    group.sample_size(10);
    group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
        bencher.iter_custom(|times| (0..times).map(learnt).sum());
    });
}

/// The numbers of the targets that something happens to.
fn lively(size: usize) -> impl Iterator<Item = usize> {
    (0..LIVELY).map(move |turn| turn * size.div_ceil(LIVELY + 1) % size)
}

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * PAGE_BYTES
}

fn tell(remembered: &[(usize, [usize; 2])], to: &mut impl io::Write) -> io::Result<()> {
    for name in QUESTIONS.map(|(name, _)| name).into_iter().chain(OTHERS) {
        if let (Some(few), Some(many)) = (median_ns(name, 100), median_ns(name, 100_000)) {
            let ratio = many / few;
            writeln!(to, "{name:<20} {:6.2} µs at 100,000 targets, {ratio:.2} × that at 100", many / 1000.0)?;
        }
    }
    for (size, [heap, _]) in remembered {
        writeln!(to, "each of {size} targets takes {heap} bytes of the heap")?;
    }
    let (size, [_, resident]) = remembered[0];
    writeln!(to, "each of {size} targets makes the process {resident} bytes larger")
}
