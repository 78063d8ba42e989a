//! What discovery would teach the daemon, read once.

use std::{collections::BTreeMap, sync::Arc};

use super::{Batch, Progress, each, list, walk::Listed};
use crate::{
    aws::ecs::Ecs,
    cli::terminal::counted,
    domain::{
        CallFailure, DefinitionId, DefinitionReading, Discovered, DiscoveryRules, Place, ServiceName,
        ServiceReading, TargetSettings,
    },
    inventory::{Inventory, Tags, Update},
    settings::{Tagged, of_tags},
};

/// What was found, and what could not be read.
#[derive(Debug, Default)]
pub(in crate::cli) struct Learnt {
    pub(in crate::cli) targets: Vec<Discovered>,
    /// One line each.
    pub(in crate::cli) failures: Vec<String>,
}

/// Reads all that these rules select in these places; what it depends on, too, if `definitions` are wanted.
pub(in crate::cli) async fn learn(
    ecs: &Ecs,
    rules: &DiscoveryRules,
    defaults: &TargetSettings,
    places: &[Place],
    definitions: bool,
    progress: &Progress,
) -> Learnt {
    let mut walk = Walk {
        ecs,
        defaults,
        definitions,
        progress,
        inventory: Inventory::new(rules.clone()),
        learnt: Learnt::default(),
    };
    for place in places {
        progress.show(&format!("services in {place}"));
        if let Err(failure) = walk.read(place).await {
            let what = format!("the services in {place} could not be read: {}", failure.reason);
            walk.learnt.failures.push(what);
        }
    }
    walk.learnt
}

struct Walk<'a> {
    ecs: &'a Ecs,
    defaults: &'a TargetSettings,
    definitions: bool,
    progress: &'a Progress,
    inventory: Inventory,
    learnt: Learnt,
}

impl Walk<'_> {
    async fn read(&mut self, place: &Place) -> Result<(), CallFailure> {
        let asked = self.inventory.ask();
        let Listed { clusters, batches, used: _ } = list(self.ecs, self.inventory.selection(), place).await?;
        self.inventory.saw_clusters(place, asked, clusters);
        let readings = self.services(place, batches).await;
        let definitions = if self.definitions { self.definitions(place, &readings).await } else { [].into() };
        for reading in readings {
            let live = reading.live.iter().filter_map(|live| definitions.get(&live.definition).cloned());
            let live: Vec<_> = live.collect();
            let settings = |name: &ServiceName, tags: &Tags| {
                let Tagged { settings, refused } = of_tags(self.defaults, name.as_str(), tags);
                (settings, refused)
            };
            if let Some(Update::Learn(found)) = self.inventory.saw_service(asked, reading, &live, settings) {
                self.learnt.targets.push(found);
            }
        }
        Ok(())
    }

    async fn services(&mut self, place: &Place, batches: Vec<Batch>) -> Vec<ServiceReading> {
        let read = async |batch: Batch| {
            let read = self.ecs.read_services(place, &batch.cluster, &batch.names).await;
            (batch.names.len(), read)
        };
        let answers = each(batches, "services, by the ten:", self.progress, read).await;
        let (mut readings, mut unread) = (Vec::new(), BTreeMap::<String, usize>::new());
        for (asked, answer) in answers {
            match answer {
                Err(failure) => *unread.entry(failure.reason).or_default() += asked,
                Ok(services) => {
                    for (_, reading) in services {
                        match reading {
                            Ok(reading) => readings.push(reading),
                            Err(failure) => *unread.entry(failure.reason).or_default() += 1,
                        }
                    }
                }
            }
        }
        self.not_read(place, "service", unread);
        readings
    }

    /// Each of those that these services have live, once.
    async fn definitions(
        &mut self,
        place: &Place,
        readings: &[ServiceReading],
    ) -> BTreeMap<DefinitionId, Arc<DefinitionReading>> {
        let wanted = readings.iter().flat_map(|reading| self.inventory.unread(reading));
        let wanted: std::collections::BTreeSet<DefinitionId> = wanted.collect();
        let read = async |id: DefinitionId| {
            let read = self.ecs.read_definition(place, &id).await;
            (id, read)
        };
        let answers = each(wanted.into_iter().collect(), "task definitions:", self.progress, read).await;
        let (mut definitions, mut unread) = (BTreeMap::new(), BTreeMap::<String, usize>::new());
        for (id, answer) in answers {
            match answer {
                Ok(definition) => drop(definitions.insert(id, Arc::new(definition))),
                Err(failure) => *unread.entry(failure.reason).or_default() += 1,
            }
        }
        self.not_read(place, "task definition", unread);
        definitions
    }

    fn not_read(&mut self, place: &Place, what: &str, unread: BTreeMap<String, usize>) {
        let told = unread.into_iter().map(|(reason, count)| {
            format!("{} in {place} could not be read: {reason}", counted(count, what))
        });
        self.learnt.failures.extend(told);
    }
}
