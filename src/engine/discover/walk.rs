//! Reads everything in one place, again and again: as fast as the budget allows at first, slowly then.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tracing::{debug, info, warn};

use super::{
    reader::{Reader, lock},
    work::Work,
};
use crate::{
    aws::ecs::{PAGE, READ_BATCH},
    domain::{CallFailure, ClusterName, ClusterReading, ServiceName},
    inventory::Tags,
};

/// So many batches of a fast walk are under way at a time: more than one, or the budget would wait for answers; few, because
/// each may stand in line before a glance.
const AT_ONCE: usize = 4;

/// Two calls of a slow walk are no further apart than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// So often a walk asks again for what it could not read, each time after a longer pause.
const ROUNDS: u32 = 3;
const FIRST_ROUND_PAUSE: Duration = Duration::from_secs(5);

/// Once so many clusters could not be listed, a walk ends: asking on would mend nothing.
const MOST_LISTS_REFUSED: usize = 5;

/// A walk that failed is begun anew after at most so long: at first, and at the most.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_mins(1);

/// What a walk found.
struct Walked {
    /// Calls of lists and descriptions that a next one will need, about.
    calls: usize,
    services: usize,
    /// What could not be read of a place that was.
    missing: Option<String>,
}

impl Reader {
    /// Reads everything, for ever.
    pub(super) async fn keep_walking(self: Arc<Self>) {
        let (mut failures, mut pause) = (0, Duration::ZERO);
        loop {
            let began = Instant::now();
            let wait = match self.walk(pause).await {
                Ok(walked) => {
                    failures = 0;
                    pause = self.pause(walked.calls);
                    self.tell_walked(walked, began.elapsed()).await;
                    let targets = self.inventory().targets_in(&self.place);
                    self.add_digests(&targets, pause).await;
                    self.refresh.saturating_sub(began.elapsed())
                }
                Err(failure) => {
                    failures += 1;
                    self.tell_failed(&failure, failures).await;
                    backoff(failures)
                }
            };
            self.errands.until_everything_or(Instant::now() + wait).await;
        }
    }

    /// So that a slow walk takes half of the time until the next.
    fn pause(&self, calls: usize) -> Duration {
        let calls = u32::try_from(calls.max(1)).unwrap_or(u32::MAX);
        (self.refresh / 2 / calls).min(LONGEST_PAUSE)
    }

    async fn tell_walked(&self, walked: Walked, took: Duration) {
        let Walked { services, missing, .. } = walked;
        let targets = self.inventory().count(&self.place);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let place = &self.place;
        if let Some(missing) = &missing {
            warn!(%place, services, targets, took_ms, error = missing, "services were read, but not all");
        } else if self.board.was_read(place) {
            debug!(%place, services, targets, took_ms, "services read");
        } else {
            info!(%place, services, targets, took_ms, "services read");
        }
        self.metrics.inventory_read(place, took, missing.is_none());
        self.metrics.inventory_holds(place, targets);
        self.board.completed(place, missing).await;
    }

    async fn tell_failed(&self, failure: &CallFailure, failures: u32) {
        let (place, error) = (&self.place, failure.reason.as_str());
        if failures == 1 {
            warn!(%place, error, "services could not be read; what is known stays, and it is tried again");
        } else {
            debug!(%place, error, failures, "services could not be read");
        }
        self.metrics.inventory_failed(place);
        self.board.failed(place, failure.reason.clone()).await;
    }

    /// Reads everything there. What could be read is known by the end of it, even if it fails.
    async fn walk(self: &Arc<Self>, pause: Duration) -> Result<Walked, CallFailure> {
        let mut work = Work::default();
        let (mut services, mut calls, mut refused) = (0, 1, Vec::new());
        for cluster in self.clusters().await? {
            match self.list(&cluster).await {
                Ok(names) => {
                    calls += 1 + names.len() / PAGE;
                    services += names.len();
                    work.add(&cluster, &names, READ_BATCH);
                }
                Err(failure) if refused.len() >= MOST_LISTS_REFUSED => return Err(failure),
                Err(failure) => refused.push(failure),
            }
            sleep(pause).await;
        }
        calls += work.batches();
        self.board.listed(&self.place, services);
        let missing = self.read_all(work, services, pause).await?;
        refused.pop().map_or(Ok(Walked { calls, services, missing }), Err)
    }

    /// The services of a cluster that may be targets. Those that it does not have any more are forgotten.
    async fn list(&self, cluster: &ClusterName) -> Result<Vec<ServiceName>, CallFailure> {
        let asked = self.inventory().ask();
        let names = self.ecs.list_services(&self.place, cluster).await?;
        let updates = self.inventory().saw_services(&self.place, cluster, asked, &names);
        self.tell(updates).await;
        Ok(self.worth_reading(cluster, names))
    }

    /// The clusters whose services are looked at.
    async fn clusters(&self) -> Result<Vec<ClusterName>, CallFailure> {
        let asked = self.inventory().ask();
        let names = self.ecs.list_clusters(&self.place).await?;
        let clusters = self.with_tags(names).await?;
        let (taken, updates) = self.inventory().saw_clusters(&self.place, asked, clusters);
        self.tell(updates).await;
        Ok(taken)
    }

    async fn with_tags(&self, names: Vec<ClusterName>) -> Result<Vec<ClusterReading>, CallFailure> {
        if !self.inventory().selection().needs_cluster_tags() {
            let untold = |name| ClusterReading { name, tags: Tags::new() };
            return Ok(names.into_iter().map(untold).collect());
        }
        let mut clusters = Vec::new();
        for names in names.chunks(PAGE) {
            clusters.extend(self.ecs.read_clusters(&self.place, names).await?);
        }
        Ok(clusters)
    }

    /// Reads all of this, several batches at a time where nothing is to pause. Says what could not be read; an error, if
    /// there was no point in going on.
    async fn read_all(
        self: &Arc<Self>,
        work: Work,
        services: usize,
        pause: Duration,
    ) -> Result<Option<String>, CallFailure> {
        let work = Arc::new(Mutex::new(work));
        for round in 0..ROUNDS {
            let mut workers = JoinSet::new();
            for _ in 0..if pause.is_zero() { AT_ONCE } else { 1 } {
                let (reader, work) = (Arc::clone(self), Arc::clone(&work));
                workers.spawn(async move { reader.work(&work, pause).await });
            }
            workers.join_all().await;
            if round + 1 == ROUNDS || !lock(&work).again(READ_BATCH) {
                break;
            }
            sleep(FIRST_ROUND_PAUSE * (1 << round)).await;
        }
        let work = lock(&work);
        let failed = work.failed();
        *lock(&self.missing) = failed.keys().cloned().collect();
        let Some((first, failure)) = failed.first_key_value() else { return Ok(None) };
        if work.is_hopeless() || failed.len() >= services {
            return Err(failure.clone());
        }
        for target in failed.keys() {
            self.errands.add(target);
        }
        Ok(Some(format!("{} of {services} services, as {first}: {}", failed.len(), failure.reason)))
    }

    async fn work(&self, work: &Mutex<Work>, pause: Duration) {
        loop {
            let Some(batch) = lock(work).next() else { return };
            let failed = self.read(&batch).await;
            self.board.read(&self.place, batch.names.len() - failed.len());
            lock(work).done(batch.names.len(), failed);
            sleep(pause).await;
        }
    }
}

/// Longer with each failure, and jittered: what failed together must not come back together.
fn backoff(failures: u32) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << failures.min(10)).min(LONGEST_BACKOFF);
    FIRST_BACKOFF + longest.saturating_sub(FIRST_BACKOFF).mul_f64(fastrand::f64())
}
