//! Events that never came: a fifth of all but ECS's own are lost, for hours, and in the end every target runs the newest of
//! all that it depends on. The whole daemon against the simulated world, by the real SDK, in virtual time.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;
mod looking;
#[path = "../wire/mod.rs"]
mod wire;

use std::time::Duration;

use lockkeeper::domain::ReconcileMode;
use tokio::time::sleep;

use lab::{Daemon, Estate};

/// Changes of the storm, a minute apart on the average.
const CHANGES: usize = 60;

/// Long enough for two passes, the grace of a change, and the rollouts.
const CALM: Duration = Duration::from_mins(30);

/// The storm, with a fifth of its events lost; at its end one change of every kind that is surely lost; and the calm after it.
async fn storm(seed: u64, mode: ReconcileMode) -> (Estate, Daemon) {
    let mut estate = Estate::new(seed).await;
    let daemon = Daemon::begin(&estate, mode).await;
    sleep(Duration::from_mins(2)).await;
    assert_eq!(estate.stale(), Vec::<String>::new(), "before the storm");
    estate.lose(0.2);
    for number in 0..CHANGES {
        estate.change(number);
        sleep(Duration::from_millis(estate.random.u64(1_000..119_000))).await;
    }
    sleep(CALM).await;
    estate.change_unheard();
    sleep(CALM).await;
    (estate, daemon)
}

#[tokio::test(start_paused = true)]
async fn with_repair_every_target_ends_at_its_newest() {
    for seed in 1..=2 {
        let (estate, daemon) = storm(seed, ReconcileMode::Repair).await;
        let (lost, repairs) = (estate.lost(), daemon.metric("lockkeeper_drift_repairs_total"));
        println!("seed {seed}: {lost} events lost, {repairs} repairs");
        assert!(lost >= 10 && repairs >= 6, "seed {seed}: {lost} events lost, {repairs} repairs");
        assert_eq!(estate.stale(), Vec::<String>::new(), "seed {seed}");
        assert_eq!(daemon.metric("lockkeeper_drift"), 0, "seed {seed}");
        daemon.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_repair_what_was_lost_is_only_told() {
    let (estate, daemon) = storm(1, ReconcileMode::Report).await;
    // Both services of the pushed repository, one for each of the other changes, and what the storm may have left.
    let (stale, drift) = (estate.stale(), daemon.metric("lockkeeper_drift"));
    assert!(stale.len() >= 6 && drift >= 6, "{drift}: {stale:?}");
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 0);
    daemon.end().await;
}
