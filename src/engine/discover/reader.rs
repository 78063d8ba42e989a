//! Reads one place: everything, again and again, and single services in between.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use tracing::{debug, info, warn};

use super::{
    Word,
    board::Board,
    errands::{Errand, Errands},
    work::{Batch, Work},
};
use crate::{
    aws::ecs::{Ecs, PAGE, READ_BATCH},
    domain::{
        CallFailure, ClusterName, ClusterReading, DefinitionReading, Place, ServiceName, ServiceReading,
        TargetId, TargetSettings,
    },
    inventory::{Asked, Inventory, Tags, Update},
    settings::{Tagged, of_tags},
    status::Metrics,
};

/// So many batches of a fast walk are under way at a time: more than one, or the budget would wait for answers; few, because
/// each may stand in line before a glance.
const AT_ONCE: usize = 4;

/// Two calls of a slow walk are no further apart than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// So often a walk asks again for what it could not read, each time after a longer pause.
const ROUNDS: u32 = 3;
const FIRST_ROUND_PAUSE: Duration = Duration::from_secs(5);

/// A walk that failed is begun anew after at most so long: at first, and at the most.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_mins(1);

/// Reads one place.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) place: Place,
    pub(super) refresh: Duration,
    pub(super) defaults: Arc<TargetSettings>,
    pub(super) ecs: Arc<Ecs>,
    pub(super) inventory: Arc<Mutex<Inventory>>,
    pub(super) errands: Arc<Errands>,
    pub(super) board: Arc<Board>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) words: mpsc::Sender<Word>,
}

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

    /// Reads services that are asked for, for ever.
    pub(super) async fn run_errands(self: Arc<Self>) {
        loop {
            let due = self.errands.next(READ_BATCH).await;
            for (target, failure) in self.run(&due).await {
                let errand = due.iter().find(|(it, _)| *it == target).map(|(_, errand)| *errand);
                if !errand.is_some_and(|errand| self.errands.again(&target, errand)) {
                    let error = failure.reason;
                    warn!(service = %target, error, "a service could not be read; it is read with all others");
                }
            }
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
        let (mut services, mut calls, mut refused) = (0, 1, None);
        for cluster in self.clusters().await? {
            let asked = self.inventory().ask();
            let listed = self.ecs.list_services(&self.place, &cluster).await;
            let names = match listed {
                Ok(names) => names,
                Err(failure) => {
                    refused = Some(failure);
                    continue;
                }
            };
            calls += 1 + names.len() / PAGE;
            let updates = self.inventory().saw_services(&self.place, &cluster, asked, &names);
            self.tell(updates).await;
            let names = self.worth_reading(&cluster, names);
            services += names.len();
            work.add(&cluster, &names, READ_BATCH);
            sleep(pause).await;
        }
        calls += work.batches();
        self.board.listed(&self.place, services);
        let missing = self.read_all(work, services, pause).await?;
        refused.map_or(Ok(Walked { calls, services, missing }), Err)
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

    fn worth_reading(
        &self,
        cluster: &ClusterName,
        names: impl IntoIterator<Item = ServiceName>,
    ) -> Vec<ServiceName> {
        let inventory = self.inventory();
        let selection = inventory.selection();
        names.into_iter().filter(|name| selection.may_take_service(cluster, name)).collect()
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

    /// Reads services of one cluster that were asked for, as far as they may be targets.
    async fn run(&self, due: &[(TargetId, Errand)]) -> Vec<(TargetId, CallFailure)> {
        let Some((first, _)) = due.first() else { return Vec::new() };
        let cluster = first.cluster();
        if let Err(failure) = self.know(cluster).await {
            return due.iter().map(|(target, _)| (target.clone(), failure.clone())).collect();
        }
        let names = self.worth_reading(cluster, due.iter().map(|(target, _)| target.service().clone()));
        if names.is_empty() || !self.inventory().takes_cluster(&self.place, cluster) {
            return Vec::new();
        }
        let failed = self.read(&Batch { cluster: cluster.clone(), names }).await;
        let targets = self.inventory().count(&self.place);
        self.metrics.inventory_holds(&self.place, targets);
        failed
    }

    /// Reads a cluster that no list had yet.
    async fn know(&self, cluster: &ClusterName) -> Result<(), CallFailure> {
        if self.inventory().knows_cluster(&self.place, cluster) {
            return Ok(());
        }
        let read = self.ecs.read_clusters(&self.place, std::slice::from_ref(cluster)).await?;
        let mut inventory = self.inventory();
        for cluster in read {
            inventory.saw_cluster(&self.place, cluster);
        }
        Ok(())
    }

    /// Reads services of one cluster, and says which could not be read.
    async fn read(&self, batch: &Batch) -> Vec<(TargetId, CallFailure)> {
        let asked = self.inventory().ask();
        let readings = match self.ecs.read_services(&self.place, &batch.cluster, &batch.names).await {
            Ok(readings) => readings,
            Err(failure) => return self.all_failed(batch, &failure),
        };
        let (mut updates, mut failed) = (Vec::new(), Vec::new());
        for (target, reading) in readings {
            let read = match reading {
                Ok(reading) => self.take_in(asked, reading).await,
                Err(failure) => Err(failure),
            };
            match read {
                Ok(update) => updates.extend(update),
                Err(failure) => failed.push((target, failure)),
            }
        }
        self.tell(updates).await;
        failed
    }

    /// Reads the definitions of a service that are new, and takes in both.
    async fn take_in(&self, asked: Asked, reading: ServiceReading) -> Result<Option<Update>, CallFailure> {
        let unread = self.inventory().unread(&reading);
        let mut read: Vec<Arc<DefinitionReading>> = Vec::new();
        for id in unread {
            read.push(Arc::new(self.ecs.read_definition(&self.place, &id).await?));
        }
        let settings = |name: &ServiceName, tags: &Tags| {
            let Tagged { settings, refused } = of_tags(&self.defaults, name.as_str(), tags);
            (settings, refused)
        };
        Ok(self.inventory().saw_service(asked, reading, &read, settings))
    }

    fn all_failed(&self, batch: &Batch, failure: &CallFailure) -> Vec<(TargetId, CallFailure)> {
        let Place { account, region } = &self.place;
        let target = |name: &ServiceName| {
            TargetId::new(account.clone(), region.clone(), batch.cluster.clone(), name.clone())
        };
        batch.names.iter().map(|name| (target(name), failure.clone())).collect()
    }

    async fn tell(&self, updates: Vec<Update>) {
        if updates.is_empty() {
            return;
        }
        let is_news = self.board.was_read(&self.place);
        for update in updates.iter().filter(|_| is_news) {
            match update {
                Update::Learn(it) => {
                    let dependencies = it.dependencies.len();
                    info!(service = %it.target, dependencies, refused = it.refused.as_deref(), "target discovered, or changed");
                }
                Update::Forget(target) => info!(service = %target, "target is gone"),
            }
        }
        // Nobody hears it where the process ends.
        let _ = self.words.send(Word::Updates(updates)).await;
    }

    fn inventory(&self) -> MutexGuard<'_, Inventory> {
        lock(&self.inventory)
    }
}

/// Longer with each failure, and jittered: what failed together must not come back together.
fn backoff(failures: u32) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << failures.min(10)).min(LONGEST_BACKOFF);
    FIRST_BACKOFF + longest.saturating_sub(FIRST_BACKOFF).mul_f64(fastrand::f64())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
