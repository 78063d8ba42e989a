//! Looks whether targets need an image that is gone, and warns. Nothing is deployed.
//!
//! A lifecycle policy deletes hundreds of images at once. So what comes within a few seconds is looked at together, and the
//! services of each repository are read once for all of it. The calls wait behind those that somebody waits for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    aws::ecs::{Ecs, READ_BATCH},
    domain::{
        CallFailure, ClusterName, DefinitionId, DefinitionView, GoneImage, Place, RepositoryName,
        ServiceName, ServiceReading, TargetId, TargetName,
    },
    inventory::losses,
    status::Metrics,
};

/// What is told within this time is looked at together.
const GATHER: Duration = Duration::from_secs(5);

/// So many images wait to be looked at; what is more is told of, and passed over.
const MOST_WAITING: usize = 1_000;

/// An image that is gone, where it was, and who may run it.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The image.
    pub gone: GoneImage,
    /// The account and Region of its repository.
    pub registry: Place,
    /// The targets that run images of that repository, as far as is known.
    pub users: Vec<(TargetId, TargetName)>,
}

/// A target that needs an image that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// The target.
    pub target: TargetId,
    /// Its name.
    pub name: TargetName,
    /// What is gone, and how the target needs it, in one line.
    pub what: String,
}

/// Where losses are told of.
#[derive(Clone, Debug)]
pub(super) struct Losses(mpsc::Sender<Loss>);

impl Losses {
    /// Begins to look, until it is stopped.
    pub(super) fn begin(ecs: Arc<Ecs>, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        let (told, heard) = mpsc::channel(MOST_WAITING);
        tokio::spawn(async move {
            let _ = stop.run_until_cancelled(keep_looking(&ecs, &metrics, heard)).await;
        });
        Self(told)
    }

    /// An image is gone.
    pub(super) fn tell(&self, loss: Loss) {
        if !loss.users.is_empty() && self.0.try_send(loss).is_err() {
            warn!("more images were deleted than are looked at: whether a target needs them is not known");
        }
    }
}

async fn keep_looking(ecs: &Ecs, metrics: &Metrics, mut heard: mpsc::Receiver<Loss>) {
    while let Some(first) = heard.recv().await {
        tokio::time::sleep(GATHER).await;
        let mut losses = vec![first];
        while let Ok(loss) = heard.try_recv() {
            losses.push(loss);
        }
        let (needed, failures) = who_needs(ecs, losses).await;
        for Needed { name, what, .. } in needed {
            warn!(service = name.as_str(), "{what}");
            metrics.image_gone(&name);
        }
        for error in failures {
            warn!(error, "whether a target needs a deleted image is not known");
        }
    }
}

/// The targets that need one of these, and what could not be read.
pub async fn who_needs(ecs: &Ecs, losses: Vec<Loss>) -> (Vec<Needed>, Vec<String>) {
    let mut repositories: BTreeMap<(Place, RepositoryName), (Users, BTreeSet<GoneImage>)> = BTreeMap::new();
    for Loss { gone, registry, users } in losses {
        let (known, images) = repositories.entry((registry, gone.repository.clone())).or_default();
        known.extend(users);
        images.insert(gone);
    }
    let (mut needed, mut failures) = (Vec::new(), BTreeSet::new());
    for ((registry, _), (users, images)) in repositories {
        let mut look = Look { ecs, definitions: BTreeMap::new(), failures: BTreeSet::new() };
        for (reading, name) in look.services(&users).await {
            for (gone, how) in look.needs(&reading, &registry, &images).await {
                let what = format!("{gone}, and {name} needs it: {how}; its next tasks cannot start");
                needed.push(Needed { target: reading.target.clone(), name: name.clone(), what });
            }
        }
        failures.append(&mut look.failures);
    }
    (needed, failures.into_iter().collect())
}

type Users = BTreeMap<TargetId, TargetName>;

struct Look<'a> {
    ecs: &'a Ecs,
    definitions: BTreeMap<(Place, DefinitionId), DefinitionView>,
    failures: BTreeSet<String>,
}

impl Look<'_> {
    /// Those of them that are there.
    async fn services(&mut self, users: &Users) -> Vec<(ServiceReading, TargetName)> {
        let mut clusters: BTreeMap<(Place, ClusterName), Vec<ServiceName>> = BTreeMap::new();
        for target in users.keys() {
            let cluster = (Place::of(target), target.cluster().clone());
            clusters.entry(cluster).or_default().push(target.service().clone());
        }
        let mut found = Vec::new();
        for ((place, cluster), names) in clusters {
            for batch in names.chunks(READ_BATCH) {
                let read = self.ecs.read_services(&place, &cluster, batch).await;
                for (target, reading) in self.taken(read).unwrap_or_default() {
                    let Some(reading) = self.taken(reading) else { continue };
                    found.push((reading, users[&target].clone()));
                }
            }
        }
        found
    }

    /// How it needs one of these, as far as that can be read.
    async fn needs(
        &mut self,
        reading: &ServiceReading,
        registry: &Place,
        images: &BTreeSet<GoneImage>,
    ) -> BTreeMap<GoneImage, String> {
        let place = Place::of(&reading.target);
        let digests = self.ecs.read_digests(&place, reading.revisions.clone()).await;
        let digests = self.taken(digests).unwrap_or_default();
        let mut needs = BTreeMap::new();
        for live in &reading.live {
            let Some(definition) = self.definition(&place, &live.definition).await else { continue };
            let run =
                digests.values().filter(|(of, _)| *of == live.definition).flat_map(|(_, it)| it.clone());
            let run = run.collect();
            for gone in images {
                let how = losses::needs(gone, registry, &definition, &run);
                needs.extend((!how.is_empty()).then(|| (gone.clone(), how.join(", "))));
            }
        }
        needs
    }

    async fn definition(&mut self, place: &Place, id: &DefinitionId) -> Option<DefinitionView> {
        let key = (place.clone(), id.clone());
        if !self.definitions.contains_key(&key) {
            let read = self.ecs.read_definition(place, id).await;
            let view = self.taken(read)?.view;
            self.definitions.insert(key.clone(), view);
        }
        self.definitions.get(&key).cloned()
    }

    fn taken<T>(&mut self, read: Result<T, CallFailure>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(failure) => {
                debug!(error = failure.reason, "a service that may need a deleted image could not be read");
                self.failures.insert(failure.reason);
                None
            }
        }
    }
}
