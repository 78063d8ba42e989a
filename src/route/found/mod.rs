//! What discovery found, arranged by what events name.
//!
//! A target stands under one key for each thing by which it may be looked for: its id, what it is called, what its
//! definition reads. An event asks for a key or two, so the cost follows the number of targets that stand under them,
//! not that of all. Only an announcement, which tells no registry, asks for one key in each place that is known.
//!
//! **Memory.** There may be a hundred thousand targets. What many have alike is kept once: places, clusters, and settings
//! but for the name. A target's other names stand behind each other in one text (`packed`), and of its keys only a hash is
//! kept (`postings`), so the target itself is asked whether it has a key that led there.
//!
//! Tables of hashes are never walked, so nothing depends on their order: targets come in the order of their ids.

mod packed;
mod pool;
mod postings;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use self::{
    packed::Packed,
    pool::{Pool, Pooled},
    postings::Postings,
};
use super::dependencies::{parameter_name, secret_names};
use crate::domain::{ClusterName, Dependency, Discovered, Place, TargetId, TargetName, TargetSettings};

type PlaceId = Pooled<Place>;

/// The targets that were found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    slots: Vec<Option<Packed>>,
    free: Vec<u32>,
    order: BTreeMap<TargetId, u32>,
    keys: Postings,
    places: Pool<Place>,
    clusters: Pool<ClusterName>,
    settings: Pool<Arc<TargetSettings>>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundTarget<'a> {
    found: &'a Found,
    packed: &'a Packed,
}

/// Something that a target depends on, its place told as a `P`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing<'a, P> {
    /// The images of a repository; no registry means none of ECR's private ones.
    Repository {
        registry: Option<P>,
        name: &'a str,
        container: &'a str,
    },
    Parameter {
        place: P,
        name: &'a str,
    },
    Secret {
        place: P,
        name: &'a str,
    },
    File {
        bucket: &'a str,
        key: &'a str,
    },
}

/// What a target is looked for by. Names stand as they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    Id {
        place: PlaceId,
        cluster: &'a str,
        service: &'a str,
    },
    /// By its name, or by ECS's.
    Called(&'a str),
    /// By either, in clusters of this name.
    CalledIn {
        cluster: &'a str,
        name: &'a str,
    },
    Repository {
        registry: Option<PlaceId>,
        name: &'a str,
    },
    Parameter {
        place: PlaceId,
        name: &'a str,
    },
    Secret {
        place: PlaceId,
        name: &'a str,
    },
    File {
        bucket: &'a str,
        key: &'a str,
    },
}

impl Found {
    /// Adds a target, or replaces what was known of it.
    pub(super) fn learn(&mut self, discovered: &Discovered) {
        let known = self.order.get(&discovered.target).copied();
        // What it uses is counted before what it used is released, so what both use is not dropped in between.
        let packed = self.pack(discovered, known);
        match known {
            Some(position) if self.slots[position as usize].as_ref() == Some(&packed) => {
                self.release(&packed);
            }
            Some(position) => {
                self.clear(position);
                self.put(position, packed);
            }
            None => {
                let position = self.room();
                self.order.insert(packed.id.clone(), position);
                self.put(position, packed);
            }
        }
    }

    /// Forgets a target, if it is known.
    pub(super) fn forget(&mut self, target: &TargetId) {
        if let Some(position) = self.order.remove(target) {
            self.clear(position);
            self.free.push(position);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// All of them, in the order of their ids.
    pub(super) fn all(&self) -> impl Iterator<Item = FoundTarget<'_>> {
        self.order.values().filter_map(|&position| self.at(position))
    }

    pub(super) fn get(&self, id: &TargetId) -> Option<FoundTarget<'_>> {
        self.in_cluster(&Place::of(id), id.cluster().as_str(), id.service().as_str())
    }

    /// The service with this name in this cluster.
    pub(super) fn in_cluster(&self, place: &Place, cluster: &str, service: &str) -> Option<FoundTarget<'_>> {
        let place = self.places.find(place)?;
        self.under([Key::Id { place, cluster, service }]).pop()
    }

    /// Those that people, events or ECS call so.
    pub(super) fn called(&self, name: &str) -> Vec<FoundTarget<'_>> {
        self.under([Key::Called(name)])
    }

    /// Those of them in clusters of this name.
    pub(super) fn called_in(&self, cluster: &str, name: &str) -> Vec<FoundTarget<'_>> {
        self.under([Key::CalledIn { cluster, name }])
    }

    /// Others of the same name.
    pub(super) fn namesakes<'f>(
        &'f self,
        of: &'f TargetId,
        name: &'f str,
    ) -> impl Iterator<Item = FoundTarget<'f>> {
        self.others(of, name, Key::Called(name))
    }

    /// Others of the same name, in clusters of the same name elsewhere.
    pub(super) fn namesakes_in_cluster<'f>(
        &'f self,
        of: &'f TargetId,
        name: &'f str,
    ) -> impl Iterator<Item = FoundTarget<'f>> {
        let cluster = of.cluster().as_str();
        let same = self.others(of, name, Key::CalledIn { cluster, name });
        same.filter(move |it| it.id().cluster() == of.cluster())
    }

    fn others<'f>(
        &'f self,
        of: &'f TargetId,
        name: &'f str,
        key: Key<'f>,
    ) -> impl Iterator<Item = FoundTarget<'f>> {
        let led_to = self.keys.find(key).filter_map(|position| self.at(position));
        led_to.filter(move |it| it.name() == name && it.id() != of)
    }

    /// Those that run images of this repository; without a registry, of any repository of this name.
    pub(super) fn running(&self, name: &str, registry: Option<&Place>) -> Vec<FoundTarget<'_>> {
        let of = |registry| Key::Repository { registry, name };
        match registry.map(|place| self.places.find(place)) {
            Some(Some(place)) => self.under([of(Some(place))]),
            Some(None) => Vec::new(),
            None => self.under(self.places.ids().map(Some).chain([None]).map(of)),
        }
    }

    pub(super) fn reading_parameter(&self, name: &str, place: &Place) -> Vec<FoundTarget<'_>> {
        let place = self.places.find(place);
        self.under(place.map(|place| Key::Parameter { place, name: parameter_name(name) }))
    }

    pub(super) fn reading_secret(&self, secret: &str, place: &Place) -> Vec<FoundTarget<'_>> {
        let place = self.places.find(place).into_iter();
        self.under(place.flat_map(|place| secret_names(secret).map(move |name| Key::Secret { place, name })))
    }

    pub(super) fn loading(&self, bucket: &str, key: &str) -> Vec<FoundTarget<'_>> {
        self.under([Key::File { bucket, key }])
    }

    /// Those that have one of these keys, in the order of their ids, each once.
    fn under<'k>(&self, keys: impl IntoIterator<Item = Key<'k>>) -> Vec<FoundTarget<'_>> {
        let having = |key: Key<'k>| {
            let led_to = self.keys.find(key).filter_map(|position| self.at(position));
            led_to.filter(move |it| it.packed.keys().any(|its| its == key))
        };
        let mut found: Vec<FoundTarget<'_>> = keys.into_iter().flat_map(having).collect();
        found.sort_unstable_by_key(|it| &it.packed.id);
        found.dedup_by_key(|it| &it.packed.id);
        found
    }

    fn at(&self, position: u32) -> Option<FoundTarget<'_>> {
        let packed = self.slots.get(position as usize)?.as_ref()?;
        Some(FoundTarget { found: self, packed })
    }

    /// In little memory; `known` is where the target stands already.
    fn pack(&mut self, discovered: &Discovered, known: Option<u32>) -> Packed {
        let Discovered { target, settings, refused, dependencies } = discovered;
        let place = self.places.take(&Place::of(target));
        let cluster = self.clusters.take(target.cluster());
        let id = known.and_then(|position| self.at(position)).map(|it| it.packed.id.clone());
        let id = id.unwrap_or_else(|| {
            let Place { account, region } = self.places.get(place).clone();
            TargetId::new(account, region, self.clusters.get(cluster).clone(), target.service().clone())
        });
        let shared = self.settings.take(&Arc::new(renamed(settings, "")));
        let named = (settings.name.as_str(), shared);
        let things = dependencies.iter().map(|it| Thing::of(it, |place| self.places.take(place)));
        Packed::new(id, place, named, refused.clone(), things)
    }

    fn put(&mut self, position: u32, packed: Packed) {
        for key in packed.keys() {
            self.keys.insert(key, position);
        }
        self.slots[position as usize] = Some(packed);
    }

    fn clear(&mut self, position: u32) {
        if let Some(packed) = self.slots[position as usize].take() {
            for key in packed.keys() {
                self.keys.remove(key, position);
            }
            self.release(&packed);
        }
    }

    /// What it has alike with others is used by one less.
    fn release(&mut self, packed: &Packed) {
        for place in packed.things().filter_map(Thing::place).chain([packed.place]) {
            self.places.release(place);
        }
        if let Some(cluster) = self.clusters.find(packed.id.cluster()) {
            self.clusters.release(cluster);
        }
        self.settings.release(packed.settings);
    }

    /// A position that is free.
    fn room(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("memory has no room for so many targets")
        })
    }
}

impl<'a> FoundTarget<'a> {
    pub(super) fn id(self) -> &'a TargetId {
        &self.packed.id
    }

    /// What people and events call it.
    pub(super) fn name(self) -> &'a str {
        self.packed.name()
    }

    pub(super) fn settings(self) -> Arc<TargetSettings> {
        self.settings_under(self.name())
    }

    /// The same under another name.
    pub(super) fn settings_under(self, name: &str) -> Arc<TargetSettings> {
        renamed(self.found.settings.get(self.packed.settings), name).into()
    }

    /// Why it is not deployed, if it is not.
    pub(super) fn refused(self) -> Option<&'a Arc<str>> {
        self.packed.refused.as_ref()
    }

    /// What it depends on.
    pub(super) fn things(self) -> impl Iterator<Item = Thing<'a, &'a Place>> {
        let places = &self.found.places;
        self.packed.things().map(|thing| thing.at(|place| places.get(place)))
    }

    /// As it was learnt.
    pub(super) fn unpacked(self) -> Discovered {
        Discovered {
            target: self.id().clone(),
            settings: self.settings(),
            refused: self.refused().cloned(),
            dependencies: self.things().map(Dependency::from).collect(),
        }
    }
}

impl<'a, P> Thing<'a, P> {
    fn of(dependency: &'a Dependency, mut place_of: impl FnMut(&'a Place) -> P) -> Self {
        match dependency {
            Dependency::Repository { registry, name, container } => Self::Repository {
                registry: registry.as_ref().map(place_of),
                name: name.as_str(),
                container: container.as_str(),
            },
            Dependency::Parameter { place, name } => Self::Parameter { place: place_of(place), name },
            Dependency::Secret { place, name } => Self::Secret { place: place_of(place), name },
            Dependency::File { bucket, key } => Self::File { bucket, key },
        }
    }

    fn at<Q>(self, place_of: impl FnOnce(P) -> Q) -> Thing<'a, Q> {
        match self {
            Self::Repository { registry, name, container } => {
                Thing::Repository { registry: registry.map(place_of), name, container }
            }
            Self::Parameter { place, name } => Thing::Parameter { place: place_of(place), name },
            Self::Secret { place, name } => Thing::Secret { place: place_of(place), name },
            Self::File { bucket, key } => Thing::File { bucket, key },
        }
    }

    fn place(self) -> Option<P> {
        match self {
            Self::Repository { registry, .. } => registry,
            Self::Parameter { place, .. } | Self::Secret { place, .. } => Some(place),
            Self::File { .. } => None,
        }
    }
}

impl From<Thing<'_, &Place>> for Dependency {
    fn from(thing: Thing<'_, &Place>) -> Self {
        match thing {
            Thing::Repository { registry, name, container } => Self::Repository {
                registry: registry.cloned(),
                name: name.into(),
                container: container.into(),
            },
            Thing::Parameter { place, name } => Self::Parameter { place: place.clone(), name: name.into() },
            Thing::Secret { place, name } => Self::Secret { place: place.clone(), name: name.into() },
            Thing::File { bucket, key } => Self::File { bucket: bucket.into(), key: key.into() },
        }
    }
}

/// The same settings under another name.
fn renamed(settings: &TargetSettings, name: &str) -> TargetSettings {
    TargetSettings { name: TargetName::from(name), ..settings.clone() }
}
