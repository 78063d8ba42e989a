//! Reads the services that the settings or a pattern of names name, and discovery does not find: for what is shown of them.
//! Nothing is decided by it, and nothing waits for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tracing::{debug, warn};

use super::{
    Seen, Word,
    errands::{Errand, Errands},
    reader::{lock, while_under_way},
};
use crate::{
    aws::ecs::{Ecs, READ_BATCH},
    domain::{
        CallFailure, ClusterName, DefinitionId, DefinitionReading, Place, RunningRecord, ServiceName,
        ServiceReading, ServiceState, TargetId,
    },
    engine::EngineClock,
    inventory::{self, Inventory},
};

/// Reading all of them again and again takes no more than a call in so long.
const CALL_PERIOD: Duration = Duration::from_secs(1);

/// The targets of one place that are known by name, and which of them are to be read soon.
#[derive(Debug, Default)]
pub(super) struct Named {
    targets: Mutex<BTreeSet<TargetId>>,
    pub(super) errands: Errands,
}

/// Reads them.
#[derive(Debug)]
pub(super) struct NamedReader {
    pub(super) place: Place,
    pub(super) named: Arc<Named>,
    /// How often all of them are read.
    pub(super) refresh: Duration,
    pub(super) ecs: Arc<Ecs>,
    /// What discovery finds is read by it.
    pub(super) inventory: Option<Arc<Mutex<Inventory>>>,
    pub(super) words: mpsc::Sender<Word>,
    pub(super) clock: EngineClock,
    pub(super) ran: Mutex<Ran>,
}

/// What was last seen to run, and the definitions of that.
#[derive(Debug, Default)]
pub(super) struct Ran {
    running: BTreeMap<TargetId, RunningRecord>,
    definitions: BTreeMap<TargetId, Vec<Arc<DefinitionReading>>>,
}

impl Named {
    /// This is a target.
    pub(super) fn add(&self, target: &TargetId) {
        lock(&self.targets).insert(target.clone());
    }

    /// This is none any more.
    pub(super) fn remove(&self, target: &TargetId) {
        lock(&self.targets).remove(target);
    }

    /// This service may have changed, if it is one of them.
    pub(super) fn moved(&self, target: &TargetId) {
        if lock(&self.targets).contains(target) {
            self.errands.add(target);
        }
    }
}

impl NamedReader {
    /// Reads all of them now and then, and single ones as they change, for ever.
    pub(super) async fn keep_reading(self: Arc<Self>) {
        loop {
            let calls = self.read_all().await;
            let until = Instant::now() + self.refresh.max(CALL_PERIOD * calls);
            while Instant::now() < until {
                tokio::select! {
                    due = self.named.errands.next(READ_BATCH) => self.run(due).await,
                    () = self.named.errands.until_everything_or(until) => break,
                }
            }
        }
    }

    /// Reads all of them, and says by how many calls.
    async fn read_all(&self) -> u32 {
        let all: Vec<TargetId> = lock(&self.named.targets).iter().cloned().collect();
        let mut clusters: BTreeMap<ClusterName, Vec<ServiceName>> = BTreeMap::new();
        for target in all.iter().filter(|target| !self.is_found(target)) {
            clusters.entry(target.cluster().clone()).or_default().push(target.service().clone());
        }
        let (mut calls, mut failures) = (0, Vec::new());
        for (cluster, names) in &clusters {
            for names in names.chunks(READ_BATCH) {
                calls += 1;
                failures.extend(self.read(cluster, names).await);
            }
        }
        if let Some((target, failure)) = failures.first() {
            let (place, count, error) = (&self.place, failures.len(), failure.reason.as_str());
            warn!(%place, error, "what {count} targets run could not be read, as of {target}; it is tried again");
        }
        for (target, _) in &failures {
            self.named.errands.add(target);
        }
        calls
    }

    async fn run(&self, due: Vec<(TargetId, Errand)>) {
        let due: Vec<_> = due.into_iter().filter(|(target, _)| !self.is_found(target)).collect();
        let Some((first, _)) = due.first() else { return };
        let names: Vec<ServiceName> = due.iter().map(|(target, _)| target.service().clone()).collect();
        for (target, failure) in self.read(first.cluster(), &names).await {
            let errand = due.iter().find(|(it, _)| *it == target).map(|(_, errand)| *errand);
            if !errand.is_some_and(|errand| self.named.errands.again(&target, errand)) {
                debug!(service = %target, error = failure.reason, "what a target runs could not be read");
            }
        }
    }

    fn is_found(&self, target: &TargetId) -> bool {
        self.inventory.as_ref().is_some_and(|inventory| lock(inventory).service(target).is_some())
    }

    /// Reads services of one cluster, and says which could not be read.
    async fn read(&self, cluster: &ClusterName, names: &[ServiceName]) -> Vec<(TargetId, CallFailure)> {
        let asked = self.clock.moment();
        let readings = match self.ecs.read_services(&self.place, cluster, names).await {
            Ok(readings) => readings,
            Err(failure) => {
                let Place { account, region } = &self.place;
                let target = |name: &ServiceName| {
                    TargetId::new(account.clone(), region.clone(), cluster.clone(), name.clone())
                };
                return names.iter().map(|name| (target(name), failure.clone())).collect();
            }
        };
        let (mut seen, mut lacking, mut failed) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (target, reading) in readings {
            let read = match reading {
                Ok(reading) => self.see(&reading).await.map(|seen| seen.map(|seen| (seen, reading))),
                Err(failure) => Err(failure),
            };
            match read {
                Ok(None) => {}
                Ok(Some((it, reading))) => {
                    if !inventory::lacking(&reading, it.sight.running.as_ref()).is_empty() {
                        lacking.insert(target, reading);
                    }
                    seen.push(it);
                }
                Err(failure) => failed.push((target, failure)),
            }
        }
        self.add_digests(&mut seen, &lacking).await;
        while_under_way(&seen, &self.named.errands);
        if !seen.is_empty() {
            // Nobody hears it where the process ends.
            let _ = self.words.send(Word::Seen(seen, asked)).await;
        }
        failed
    }

    /// Reads which digests these run. What fails is read some other time.
    async fn add_digests(&self, seen: &mut [Seen], lacking: &BTreeMap<TargetId, ServiceReading>) {
        let revisions: Vec<Arc<str>> = lacking.values().flat_map(|it| it.revisions.iter().cloned()).collect();
        if revisions.is_empty() {
            return;
        }
        let digests = match self.ecs.read_digests(&self.place, revisions).await {
            Ok(digests) => digests,
            Err(failure) => {
                return debug!(place = %self.place, error = failure.reason, "which digests run could not be read");
            }
        };
        let mut ran = lock(&self.ran);
        for sight in seen.iter_mut().map(|it| &mut it.sight) {
            if let (Some(reading), Some(running)) = (lacking.get(&sight.target), &mut sight.running) {
                *running = inventory::with_digests(reading, running, &digests);
                ran.running.insert(sight.target.clone(), running.clone());
            }
        }
    }

    /// What is seen of a service that is there.
    async fn see(&self, reading: &ServiceReading) -> Result<Option<Seen>, CallFailure> {
        let target = reading.target.clone();
        if matches!(reading.state, ServiceState::Missing | ServiceState::Inactive) {
            lock(&self.ran).running.remove(&target);
            lock(&self.ran).definitions.remove(&target);
            return Ok(None);
        }
        let known = lock(&self.ran).definitions.get(&target).cloned().unwrap_or_default();
        let ids: BTreeSet<&DefinitionId> = reading.live.iter().map(|live| &live.definition).collect();
        let mut definitions = Vec::new();
        for id in ids {
            definitions.push(match known.iter().find(|it| it.view.id == *id) {
                Some(known) => Arc::clone(known),
                None => Arc::new(self.ecs.read_definition(&self.place, id).await?),
            });
        }
        let mut ran = lock(&self.ran);
        let sight = inventory::sight(reading, &definitions, ran.running.get(&target));
        match &sight.running {
            Some(running) => drop(ran.running.insert(target.clone(), running.clone())),
            None => drop(ran.running.remove(&target)),
        }
        ran.definitions.insert(target, definitions);
        Ok(Some(Seen { sight, holds: inventory::holds(reading) }))
    }
}
