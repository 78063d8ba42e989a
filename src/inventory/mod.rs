//! Which targets there are in AWS, and what each depends on.
//!
//! [`Inventory`] is told what was read, and says what follows for the routes: a target is to be learnt anew, or to be
//! forgotten. It makes no call and knows no time.
//!
//! **Only what was read is believed.** A service is forgotten because it was read and is gone, or because a list of its
//! cluster that is complete does not have it, or because the rules do not select it any more. A call that failed says nothing:
//! what was known stays known.
//!
//! **The newest reading wins.** Services are read one by one when ECS tells of them, while everything is being read beside
//! that. So each reading has the number under which it was asked for ([`Asked`]), and one that was asked for earlier than
//! what is known, changes nothing; nor does a list forget a service that was read after the list was asked for.
//!
//! **Definitions are read once.** A revision never changes, so what it depends on is kept with the services that have it
//! live, and [`Inventory::unread`] names only those that none there had.
//!
//! What targets should have seen of what they depend on is found by [`drift`]; [`lost`] writes it as a message. Who needs an
//! image that is gone is told by [`losses`].

pub mod drift;
pub mod losses;
pub mod lost;
mod select;
mod sight;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

pub use self::{
    select::{Selection, Tags, Used},
    sight::{Digests, holds, is_news, lacking, sight, with_digests},
};

use crate::domain::{
    ClusterName, ClusterReading, DefinitionId, DefinitionReading, Dependency, Discovered, DiscoveryRules,
    Holds, Owner, Place, RunningRecord, ServiceName, ServiceReading, ServiceState, Sight, TargetId,
    TargetSettings,
};

/// When a reading was asked for: of two, the greater was asked for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked(u64);

/// What follows from a reading for the routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// This target is there, and so.
    Learn(Discovered),
    /// This is none, or none any more.
    Forget(TargetId, Absence),
}

/// Why a service is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It is not there.
    Gone,
    /// It is there, and nothing selects it, or something excludes it.
    Unselected,
}

/// Everything that is known of what is in AWS.
#[derive(Debug)]
pub struct Inventory {
    selection: Selection,
    places: BTreeMap<Place, BTreeMap<ClusterName, Cluster>>,
    /// Those that a service has live: many services may run the same.
    definitions: BTreeMap<Place, BTreeMap<DefinitionId, Weak<DefinitionReading>>>,
    /// What was read and is gone, until everything is read anew: what was asked for before that is older.
    gone: BTreeMap<TargetId, Asked>,
    last: u64,
}

#[derive(Debug, Default)]
struct Cluster {
    tags: Tags,
    services: BTreeMap<TargetId, Known>,
}

/// A service that is a target.
#[derive(Clone, Debug)]
pub struct Known {
    asked: Asked,
    /// As it was last read. Of its tags only those are kept that hold it back; the others stand in its settings.
    pub reading: ServiceReading,
    /// The definitions that it has live, as far as they could be read, in the order of their ids.
    pub definitions: Vec<Arc<DefinitionReading>>,
    /// How it is deployed.
    pub settings: Arc<TargetSettings>,
    /// Why it is not, if it is not.
    pub refused: Option<Arc<str>>,
    /// What it runs, as far as that can be told.
    pub running: Option<RunningRecord>,
}

impl Inventory {
    /// Nothing is known yet.
    pub fn new(rules: DiscoveryRules) -> Self {
        Self {
            selection: Selection::new(rules),
            places: BTreeMap::new(),
            definitions: BTreeMap::new(),
            gone: BTreeMap::new(),
            last: 0,
        }
    }

    /// The rules.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Numbers what is asked for now.
    pub fn ask(&mut self) -> Asked {
        self.last += 1;
        Asked(self.last)
    }

    /// Every target that is known.
    pub fn services(&self) -> impl Iterator<Item = (&TargetId, &Known)> {
        self.places.values().flat_map(BTreeMap::values).flat_map(|cluster| &cluster.services)
    }

    /// What is known of this target.
    pub fn service(&self, target: &TargetId) -> Option<&Known> {
        self.cluster(&Place::of(target), target.cluster())?.services.get(target)
    }

    /// What was last seen of this target, and what its tags say of what keeps it back.
    pub fn sight(&self, target: &TargetId) -> Option<(Sight, Holds)> {
        let Known { reading, definitions, running, .. } = self.service(target)?;
        Some((sight(reading, definitions, running.as_ref()), holds(reading)))
    }

    /// Every target that is known there.
    pub fn targets_in(&self, place: &Place) -> Vec<TargetId> {
        let clusters = self.places.get(place).into_iter().flat_map(BTreeMap::values);
        clusters.flat_map(|cluster| cluster.services.keys().cloned()).collect()
    }

    /// The revisions that would tell which digests this target runs, where that is not known.
    pub fn lacking(&self, target: &TargetId) -> &[Arc<str>] {
        self.service(target).map_or(&[], |known| lacking(&known.reading, known.running.as_ref()))
    }

    /// Takes in what revisions run; says whether that tells more of this target.
    pub fn saw_digests(&mut self, target: &TargetId, digests: &Digests) -> bool {
        let cluster = self.places.get_mut(&Place::of(target)).and_then(|it| it.get_mut(target.cluster()));
        let Some(known) = cluster.and_then(|it| it.services.get_mut(target)) else { return false };
        let Some(running) = &known.running else { return false };
        let told = with_digests(&known.reading, running, digests);
        let is_more = told != *running;
        if is_more {
            known.running = Some(told);
        }
        is_more
    }

    /// How many targets are known there.
    pub fn count(&self, place: &Place) -> usize {
        let clusters = self.places.get(place).into_iter().flat_map(BTreeMap::values);
        clusters.map(|cluster| cluster.services.len()).sum()
    }

    /// Whether this cluster was read.
    pub fn knows_cluster(&self, place: &Place, cluster: &ClusterName) -> bool {
        self.cluster(place, cluster).is_some()
    }

    /// Whether services of this cluster are looked at; one that was not read is not.
    pub fn takes_cluster(&self, place: &Place, cluster: &ClusterName) -> bool {
        self.cluster(place, cluster).is_some_and(|it| self.selection.takes_cluster(cluster, &it.tags))
    }

    /// One cluster was read.
    pub fn saw_cluster(&mut self, place: &Place, cluster: ClusterReading) {
        let clusters = self.places.entry(place.clone()).or_default();
        clusters.entry(cluster.name).or_default().tags = cluster.tags;
    }

    /// These are all the clusters there. Says which of them are looked at, and what follows for the services of others.
    pub fn saw_clusters(
        &mut self,
        place: &Place,
        asked: Asked,
        clusters: Vec<ClusterReading>,
    ) -> (Vec<ClusterName>, Vec<Update>) {
        self.gone.retain(|_, at| *at > asked);
        let definitions = self.definitions.entry(place.clone()).or_default();
        definitions.retain(|_, definition| definition.strong_count() > 0);
        let listed: BTreeSet<ClusterName> = clusters.iter().map(|it| it.name.clone()).collect();
        for cluster in clusters {
            self.saw_cluster(place, cluster);
        }
        let mut updates = Vec::new();
        let known = self.places.entry(place.clone()).or_default();
        let taken = |(name, cluster): (&ClusterName, &Cluster)| {
            listed.contains(name) && self.selection.takes_cluster(name, &cluster.tags)
        };
        for (name, cluster) in known.iter_mut() {
            if !taken((name, &*cluster)) {
                let absence = if listed.contains(name) { Absence::Unselected } else { Absence::Gone };
                updates.extend(cluster.keep_only(asked, absence, |_| false));
            }
        }
        known.retain(|name, cluster| listed.contains(name) || !cluster.services.is_empty());
        let taken = known.iter().filter(|it| taken(*it)).map(|(name, _)| name.clone());
        (taken.collect(), updates)
    }

    /// These are all the services of a cluster.
    pub fn saw_services(
        &mut self,
        place: &Place,
        cluster: &ClusterName,
        asked: Asked,
        names: &BTreeSet<ServiceName>,
    ) -> Vec<Update> {
        let clusters = self.places.entry(place.clone()).or_default();
        let Some(cluster) = clusters.get_mut(cluster) else { return Vec::new() };
        cluster.keep_only(asked, Absence::Gone, |target| names.contains(target.service()))
    }

    /// The definitions that have to be read before this reading can be taken in.
    pub fn unread(&self, reading: &ServiceReading) -> Vec<DefinitionId> {
        if !self.is_target(reading) {
            return Vec::new();
        }
        let place = Place::of(&reading.target);
        let live = reading.live.iter().map(|live| &live.definition);
        let unread: BTreeSet<_> = live.filter(|id| self.definition(&place, id).is_none()).collect();
        unread.into_iter().cloned().collect()
    }

    /// Takes in what was read of a service, and of definitions for it. How it is deployed is said by its name and tags. One
    /// with a definition that could not be read goes on depending on all that it did, too.
    pub fn saw_service(
        &mut self,
        asked: Asked,
        reading: ServiceReading,
        read: &[Arc<DefinitionReading>],
        settings: impl Fn(&ServiceName, &Tags) -> (Arc<TargetSettings>, Option<Arc<str>>),
    ) -> Option<Update> {
        let target = reading.target.clone();
        let is_target = self.is_target(&reading);
        let absence = if is_there(&reading.state) { Absence::Unselected } else { Absence::Gone };
        let known = self.service(&target).map(|known| known.asked);
        if known.max(self.gone.get(&target).copied()) > Some(asked) {
            return None;
        }
        let place = Place::of(&target);
        if is_target {
            self.keep(&place, read);
        }
        let live = reading.live.iter().filter_map(|live| self.definition(&place, &live.definition));
        let live: Vec<Arc<DefinitionReading>> = live.collect();
        let clusters = self.places.entry(place).or_default();
        if !is_target {
            let before = clusters.get_mut(target.cluster()).and_then(|it| it.services.remove(&target));
            self.gone.insert(target.clone(), asked);
            return before.map(|_| Update::Forget(target, absence));
        }
        self.gone.remove(&target);
        let services = &mut clusters.entry(target.cluster().clone()).or_default().services;
        let before = services.get(&target);
        let (settings, refused) = settings(target.service(), &reading.tags);
        let definitions = definitions(&reading, before, live);
        let sight = sight(&reading, &definitions, before.and_then(|it| it.running.as_ref()));
        let known = Known {
            asked,
            definitions,
            settings,
            refused: refused.or_else(|| refusal(&reading.state)),
            running: sight.running,
            reading: ServiceReading { tags: ours(reading.tags), ..reading },
        };
        let update = (!before.is_some_and(|before| before.says(&known))).then(|| known.learnt());
        services.insert(target, known);
        update
    }

    /// What is known of a definition there.
    fn definition(&self, place: &Place, id: &DefinitionId) -> Option<Arc<DefinitionReading>> {
        self.definitions.get(place)?.get(id)?.upgrade()
    }

    fn keep(&mut self, place: &Place, read: &[Arc<DefinitionReading>]) {
        let definitions = self.definitions.entry(place.clone()).or_default();
        for definition in read {
            let kept = definitions.entry(definition.view.id.clone()).or_default();
            if kept.strong_count() == 0 {
                *kept = Arc::downgrade(definition);
            }
        }
    }

    fn cluster(&self, place: &Place, cluster: &ClusterName) -> Option<&Cluster> {
        self.places.get(place)?.get(cluster)
    }

    fn is_target(&self, reading: &ServiceReading) -> bool {
        let (place, cluster) = (Place::of(&reading.target), reading.target.cluster());
        is_there(&reading.state)
            && self.takes_cluster(&place, cluster)
            && self.selection.takes_service(cluster, reading.target.service(), &reading.tags)
    }
}

impl Cluster {
    /// Forgets the services that do not stay, but for those that were read later.
    fn keep_only(
        &mut self,
        asked: Asked,
        absence: Absence,
        stays: impl Fn(&TargetId) -> bool,
    ) -> Vec<Update> {
        let gone = self.services.extract_if(.., |target, known| known.asked <= asked && !stays(target));
        gone.map(|(target, _)| Update::Forget(target, absence)).collect()
    }
}

impl Known {
    /// Whether the same follows from both.
    fn says(&self, other: &Self) -> bool {
        let ids =
            |known: &Self| known.definitions.iter().map(|it| it.view.id.clone()).collect::<BTreeSet<_>>();
        self.settings == other.settings && self.refused == other.refused && ids(self) == ids(other)
    }

    fn learnt(&self) -> Update {
        let dependencies = self.definitions.iter().flat_map(|it| &it.dependencies).cloned();
        let dependencies: BTreeSet<Dependency> = dependencies.collect();
        Update::Learn(Discovered {
            target: self.reading.target.clone(),
            settings: Arc::clone(&self.settings),
            refused: self.refused.clone(),
            dependencies: dependencies.into_iter().collect(),
        })
    }
}

/// What is known now of the definitions that a service has live: those that were read, and if that is not all of them,
/// those that it had before.
fn definitions(
    reading: &ServiceReading,
    before: Option<&Known>,
    mut read: Vec<Arc<DefinitionReading>>,
) -> Vec<Arc<DefinitionReading>> {
    let is_read = |id: &DefinitionId| read.iter().any(|it| it.view.id == *id);
    let all_read = reading.live.iter().all(|live| is_read(&live.definition));
    let before = before.filter(|_| !all_read).map_or(&[][..], |known| &known.definitions);
    read.extend(before.iter().cloned());
    read.sort_by(|one, other| one.view.id.cmp(&other.view.id));
    read.dedup_by(|one, other| one.view.id == other.view.id);
    read
}

/// Those of these tags that hold a service back.
fn ours(mut tags: Tags) -> Tags {
    tags.retain(|key, _| [Holds::PAUSED, Holds::HELD, Holds::RESUMED].contains(&key.as_str()));
    tags
}

fn is_there(state: &ServiceState) -> bool {
    match state {
        ServiceState::Active | ServiceState::OtherController(_) | ServiceState::OfAnother(_) => true,
        ServiceState::Draining | ServiceState::Inactive | ServiceState::Missing => false,
    }
}

/// Why a service that is there cannot be deployed.
fn refusal(state: &ServiceState) -> Option<Arc<str>> {
    match state {
        ServiceState::OtherController(controller) => {
            Some(format!("its deployments are driven by {controller}, not by ECS").into())
        }
        ServiceState::OfAnother(owner) => Some(format!("it is {}", Owner::belongs_to(owner)).into()),
        ServiceState::Active | ServiceState::Draining | ServiceState::Inactive | ServiceState::Missing => {
            None
        }
    }
}
