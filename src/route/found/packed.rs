//! One target in little memory.

use std::sync::Arc;

use super::{Key, PlaceId, Thing, pool::Pooled};
use crate::{
    domain::{TargetId, TargetSettings},
    route::dependencies::{parameter_name, secret_readings},
};

/// A target, and what it depends on. All its names stand behind each other in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) id: TargetId,
    pub(super) place: PlaceId,
    /// But for the name.
    pub(super) settings: Pooled<Arc<TargetSettings>>,
    pub(super) refused: Option<Arc<str>>,
    text: Box<str>,
    name_end: u32,
    links: Box<[Link]>,
}

/// One thing that the target depends on. Its names begin where those of the one before end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    kind: Kind,
    /// Where the first of its names ends, and the second begins.
    first_end: u32,
    second_end: u32,
}

/// The kinds of thing, each with its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its name, then the container.
    Repository(Option<PlaceId>),
    Parameter(PlaceId),
    Secret(PlaceId),
    /// The bucket, then the key.
    File,
}

impl Packed {
    pub(super) fn new<'a>(
        id: TargetId,
        place: PlaceId,
        (name, settings): (&str, Pooled<Arc<TargetSettings>>),
        refused: Option<Arc<str>>,
        things: impl Iterator<Item = Thing<'a, PlaceId>>,
    ) -> Self {
        let mut text = name.to_owned();
        let name_end = end_of(&text);
        let links = things.map(|thing| Link::new(thing, &mut text)).collect();
        Self { id, place, settings, refused, text: text.into(), name_end, links }
    }

    /// What people and events call it.
    pub(super) fn name(&self) -> &str {
        &self.text[..self.name_end as usize]
    }

    /// What it depends on, in the order in which that was told.
    pub(super) fn things(&self) -> impl Iterator<Item = Thing<'_, PlaceId>> {
        let begins = [self.name_end].into_iter().chain(self.links.iter().map(|link| link.second_end));
        std::iter::zip(begins, &self.links).map(|(begin, link)| link.thing(begin, &self.text))
    }

    /// Everything under which it is looked for.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        let (cluster, service) = (self.id.cluster().as_str(), self.id.service().as_str());
        let own = [
            Key::Id { place: self.place, cluster, service },
            Key::Called(service),
            Key::CalledIn { cluster, name: service },
        ];
        let name = self.name();
        let by_name = (name != service).then_some([Key::Called(name), Key::CalledIn { cluster, name }]);
        own.into_iter().chain(by_name.into_iter().flatten()).chain(self.things().flat_map(keys_of))
    }
}

impl Link {
    /// Its names are put behind the text.
    fn new(thing: Thing<'_, PlaceId>, text: &mut String) -> Self {
        let (kind, first, second) = match thing {
            Thing::Repository { registry, name, container } => (Kind::Repository(registry), name, container),
            Thing::Parameter { place, name } => (Kind::Parameter(place), name, ""),
            Thing::Secret { place, name } => (Kind::Secret(place), name, ""),
            Thing::File { bucket, key } => (Kind::File, bucket, key),
        };
        text.push_str(first);
        let first_end = end_of(text);
        text.push_str(second);
        Self { kind, first_end, second_end: end_of(text) }
    }

    fn thing<'a>(&self, begin: u32, text: &'a str) -> Thing<'a, PlaceId> {
        let first = &text[begin as usize..self.first_end as usize];
        let second = &text[self.first_end as usize..self.second_end as usize];
        match self.kind {
            Kind::Repository(registry) => Thing::Repository { registry, name: first, container: second },
            Kind::Parameter(place) => Thing::Parameter { place, name: first },
            Kind::Secret(place) => Thing::Secret { place, name: first },
            Kind::File => Thing::File { bucket: first, key: second },
        }
    }
}

/// A secret stands under both readings of its ARN.
fn keys_of(thing: Thing<'_, PlaceId>) -> impl Iterator<Item = Key<'_>> {
    let (key, other) = match thing {
        Thing::Repository { registry, name, .. } => (Key::Repository { registry, name }, None),
        Thing::Parameter { place, name } => (Key::Parameter { place, name: parameter_name(name) }, None),
        Thing::Secret { place, name } => {
            let (whole, bare) = secret_readings(name);
            (Key::Secret { place, name: whole }, bare.map(|name| Key::Secret { place, name }))
        }
        Thing::File { bucket, key } => (Key::File { bucket, key }, None),
    };
    [Some(key), other].into_iter().flatten()
}

fn end_of(text: &str) -> u32 {
    u32::try_from(text.len()).expect("ECS allows 64 KiB for a definition")
}
