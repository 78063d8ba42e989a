//! Reads services of one place, and tells the loop what follows.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::sleep};
use tracing::{debug, info, warn};

use super::{
    Seen, Word,
    board::Board,
    errands::{Errand, Errands},
    work::Batch,
};
use crate::{
    aws::ecs::{Ecs, READ_BATCH},
    domain::{
        CallFailure, ClusterName, DefinitionReading, Discovered, Moment, Place, ServiceName, ServiceReading,
        TargetId, TargetSettings,
    },
    inventory::{Absence, Asked, Inventory, Tags, Update},
    settings::{Tagged, of_tags},
    status::Metrics,
};

/// A service with a rollout in progress is read again after so long.
const UNDER_WAY: Duration = Duration::from_secs(30);

/// One call tells of so many revisions, and most services have one.
const REVISIONS_AT_ONCE: usize = 20;

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
    /// The services that the last walk could not read.
    pub(super) missing: Mutex<BTreeSet<TargetId>>,
}

impl Reader {
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
        let read = due.iter().map(|(target, _)| target).filter(|it| failed.iter().all(|(at, _)| at != *it));
        self.found(read).await;
        let read: Vec<TargetId> = due.iter().map(|(target, _)| target.clone()).collect();
        self.add_digests(&read, Duration::ZERO).await;
        failed
    }

    /// Reads which digests these run, where that is not known. Nothing waits for it, and what fails is read some other time.
    pub(super) async fn add_digests(&self, targets: &[TargetId], pause: Duration) {
        let lacking = |target: &&TargetId| !self.inventory().lacking(target).is_empty();
        let lacking: Vec<&TargetId> = targets.iter().filter(lacking).collect();
        for some in lacking.chunks(REVISIONS_AT_ONCE) {
            let revisions = |target: &&TargetId| self.inventory().lacking(target).to_vec();
            let revisions = some.iter().flat_map(revisions).collect();
            let digests = match self.ecs.read_digests(&self.place, revisions).await {
                Ok(digests) => digests,
                Err(failure) => {
                    debug!(place = %self.place, error = failure.reason, "which digests run could not be read");
                    return;
                }
            };
            let seen = |target: &&TargetId| {
                let mut inventory = self.inventory();
                let (sight, holds) =
                    inventory.saw_digests(target, &digests).then(|| inventory.sight(target)).flatten()?;
                Some(Seen { sight, holds })
            };
            let seen: Vec<Seen> = some.iter().filter_map(seen).collect();
            // What the tags said was told when they were read.
            self.show(seen, Moment::default()).await;
            sleep(pause).await;
        }
    }

    /// These were read. They may have been all that the last walk missed.
    async fn found(&self, read: impl Iterator<Item = &TargetId>) {
        let is_last = {
            let mut missing = lock(&self.missing);
            read.filter(|target| missing.remove(*target)).count() > 0 && missing.is_empty()
        };
        if is_last {
            self.board.completed(&self.place, None).await;
        }
    }

    /// Those of these services that may be targets, by their names.
    pub(super) fn worth_reading(
        &self,
        cluster: &ClusterName,
        names: impl IntoIterator<Item = ServiceName>,
    ) -> Vec<ServiceName> {
        let inventory = self.inventory();
        let selection = inventory.selection();
        names.into_iter().filter(|name| selection.may_take_service(cluster, name)).collect()
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
    pub(super) async fn read(&self, batch: &Batch) -> Vec<(TargetId, CallFailure)> {
        let (asked, asked_at) = (self.inventory().ask(), self.board.now());
        let readings = match self.ecs.read_services(&self.place, &batch.cluster, &batch.names).await {
            Ok(readings) => readings,
            Err(failure) => return self.all_failed(batch, &failure),
        };
        let (mut updates, mut seen, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (target, reading) in readings {
            let read = match reading {
                Ok(reading) => self.take_in(asked, reading).await,
                Err(failure) => Err(failure),
            };
            match read {
                Ok(update) => {
                    updates.extend(update);
                    let sight = self.inventory().sight(&target);
                    seen.extend(sight.map(|(sight, holds)| Seen { sight, holds }));
                }
                Err(failure) => failed.push((target, failure)),
            }
        }
        self.tell(updates).await;
        self.show(seen, asked_at).await;
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

    pub(super) async fn tell(&self, updates: Vec<Update>) {
        if updates.is_empty() {
            return;
        }
        let is_news = self.board.was_read(&self.place);
        for update in &updates {
            log(update, is_news);
        }
        // Nobody hears it where the process ends.
        let _ = self.words.send(Word::Updates(updates)).await;
    }

    /// What was seen of services, by readings that were asked for at this moment.
    async fn show(&self, seen: Vec<Seen>, asked_at: Moment) {
        if seen.is_empty() {
            return;
        }
        while_under_way(&seen, &self.errands);
        // Nobody hears it where the process ends.
        let _ = self.words.send(Word::Seen(seen, asked_at)).await;
    }

    pub(super) fn inventory(&self) -> MutexGuard<'_, Inventory> {
        lock(&self.inventory)
    }
}

/// A rollout in progress that nobody here watches is looked at until it is over: ECS's word of its end may be lost.
pub(super) fn while_under_way(seen: &[Seen], errands: &Errands) {
    let under_way = seen.iter().filter(|it| it.sight.rollout.is_some());
    under_way.for_each(|it| errands.later(&it.sight.target, UNDER_WAY));
}

/// What everybody finds at the start is no news. Whether one is not deployed depends on the settings, too: the loop tells that.
fn log(update: &Update, is_news: bool) {
    match update {
        Update::Learn(Discovered { target, dependencies, refused: None, .. }) if is_news => {
            info!(service = %target, dependencies = dependencies.len(), "target found, or changed");
        }
        Update::Forget(target, Absence::Gone) if is_news => info!(service = %target, "target is gone"),
        Update::Forget(target, Absence::Unselected) if is_news => {
            info!(service = %target, "target is none any more: discovery does not select it");
        }
        Update::Learn(_) | Update::Forget(..) => {}
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
