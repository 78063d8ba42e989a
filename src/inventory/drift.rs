//! What targets should have seen, against what runs.
//!
//! Events of ECR, SSM and CloudTrail are delivered on best effort. So what targets depend on is read now and then, and
//! where a change is newer than all that a target was rolled out with, its event may have been lost. What is found here
//! is only suspected: the one rule decides, by a whole look at the target.
//!
//! A tag tells when its image was first pushed, not when the tag was moved to it. So the digest that a tag means is
//! remembered from one reading to the next. A move that was not seen, because this process had not begun, counts from the
//! first reading, and is suspected only where no rollout since the push has brought that digest; see [`Proof`]. A rollout
//! since a change is all that can be had for it: whatever it brought, the same change is not suspected again.

mod proof;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::domain::{
    ContainerName, DefinitionView, Dependency, Digest, Event, EventId, ImageReference, Look, OnPush, Place,
    PushedImage, RECONCILE_SOURCE, RepositoryName, Tag, TagState, TargetId, TargetSettings, Timestamp,
    Trigger, Write, fingerprint,
};

pub use proof::Proof;

/// Events as a rule arrive within seconds, and are then gathered for up to a minute: what is younger is no drift yet, where
/// passes are not closer than that.
pub const LONGEST_GRACE: Duration = Duration::from_mins(2);

/// Times of changes may be whole seconds: only a rollout created this much after one is surely later.
const MARGIN: Duration = Duration::from_secs(1);

/// One target, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The target.
    pub target: TargetId,
    /// How it is deployed.
    pub settings: Arc<TargetSettings>,
    /// The definition of its primary rollout.
    pub definition: DefinitionView,
    /// What that depends on.
    pub dependencies: Vec<Dependency>,
    /// The digest that each container runs, where it is known.
    pub digests: BTreeMap<ContainerName, Digest>,
    /// When that was read, by AWS's clock.
    pub read_at: Timestamp,
    /// When the newest of its rollouts was created.
    pub newest_rollout: Option<Timestamp>,
}

/// Things that are read where they are.
pub type ByPlace<T> = BTreeMap<Place, BTreeSet<T>>;

/// An object in S3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// The bucket.
    pub bucket: Arc<str>,
    /// The key.
    pub key: Arc<str>,
}

/// What has to be read for some targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// The images of repositories.
    pub images: BTreeMap<(Place, RepositoryName), Wanted>,
    /// When parameters were last written, by name.
    pub parameters: ByPlace<Arc<str>>,
    /// When the current versions of secrets came into being.
    pub secrets: ByPlace<Arc<str>>,
    /// When objects were last written, by where they are read.
    pub files: ByPlace<FileName>,
}

/// What is wanted of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// These tags.
    pub tags: BTreeSet<Tag>,
    /// The newest images, whatever they are called.
    pub newest: bool,
}

/// What was read. What is absent does not exist, or could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// By repository and tag.
    pub images: BTreeMap<(Place, RepositoryName), BTreeMap<Tag, TagState>>,
    /// By name.
    pub parameters: BTreeMap<(Place, Arc<str>), Timestamp>,
    /// By the name in the definition.
    pub secrets: BTreeMap<(Place, Arc<str>), Timestamp>,
    /// By name.
    pub files: BTreeMap<FileName, Timestamp>,
}

/// What is remembered from one reading to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    sightings: BTreeMap<(Place, RepositoryName, Tag), Sighting>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sighting {
    digest: Digest,
    /// When the tag was first seen to mean it.
    seen: Timestamp,
    /// When it was last seen to mean it.
    last: Timestamp,
    /// When it was last seen to mean another one, if it was.
    moved_after: Option<Timestamp>,
}

/// A change that a target seems not to have seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The target.
    pub target: TargetId,
    /// An event that tells of the change as the lost one would have, at the time at which the thing was written.
    pub event: Event,
    /// Since when it counts: the time of its event, unless a tag was moved to what had been pushed before.
    pub counts: Timestamp,
    /// What must be so besides what the one rule says.
    pub proof: Proof,
}

impl Suspect {
    /// The same for the same change, whenever it is suspected.
    pub fn key(&self) -> &EventId {
        &self.event.id
    }

    /// Since when rollouts matter to whoever judges it.
    pub fn since(&self) -> Timestamp {
        match &self.proof {
            Proof::Rule => self.counts,
            Proof::NotBrought { since, .. } | Proof::Pushed { since, .. } => (*since).min(self.counts),
        }
    }

    /// Whether a rollout since then was to bring it, and gave way to another one.
    pub fn gave_way(&self, look: &Look) -> bool {
        self.proof.gave_way(look)
    }
}

impl Subject {
    /// Whether it matters which image it runs.
    pub fn depends_on_images(&self) -> bool {
        let is_followed = |dependency: &Dependency| match dependency {
            Dependency::Repository { registry: Some(_), container, .. } => {
                interest(self, container).is_some()
            }
            Dependency::Repository { registry: None, .. }
            | Dependency::Parameter { .. }
            | Dependency::Secret { .. }
            | Dependency::File { .. } => false,
        };
        self.dependencies.iter().any(is_followed)
    }
}

impl Questions {
    /// What has to be read for these targets, each thing once.
    pub fn of<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> Self {
        let mut questions = Self::default();
        for subject in subjects {
            for dependency in &subject.dependencies {
                questions.add(subject, dependency);
            }
        }
        questions
    }

    /// How many things have to be read.
    pub fn count(&self) -> usize {
        let all = |by_place: &ByPlace<Arc<str>>| by_place.values().map(BTreeSet::len).sum::<usize>();
        let files: usize = self.files.values().map(BTreeSet::len).sum();
        self.images.len() + all(&self.parameters) + all(&self.secrets) + files
    }

    fn add(&mut self, subject: &Subject, dependency: &Dependency) {
        let on = subject.settings.triggers;
        match dependency {
            Dependency::Repository { registry: Some(registry), name, container } => {
                let Some(interest) = interest(subject, container) else { return };
                let wanted = self.images.entry((registry.clone(), name.clone())).or_default();
                match interest {
                    Interest::Tag(tag) => drop(wanted.tags.insert(tag)),
                    Interest::Newest => wanted.newest = true,
                }
            }
            Dependency::Parameter { place, name } if on.parameters => {
                self.parameters.entry(place.clone()).or_default().insert(name.clone());
            }
            Dependency::Secret { place, name } if on.secrets => {
                self.secrets.entry(place.clone()).or_default().insert(name.clone());
            }
            Dependency::File { bucket, key } if on.files => {
                let files = self.files.entry(Place::of(&subject.target)).or_default();
                files.insert(FileName { bucket: bucket.clone(), key: key.clone() });
            }
            Dependency::Repository { registry: None, .. }
            | Dependency::Parameter { .. }
            | Dependency::Secret { .. }
            | Dependency::File { .. } => {}
        }
    }
}

impl Memory {
    /// Takes note of what tags mean at this time.
    pub fn see(&mut self, now: Timestamp, answers: &Answers) {
        for ((place, repository), tags) in &answers.images {
            for (tag, state) in tags {
                let key = (place.clone(), repository.clone(), tag.clone());
                match self.sightings.get_mut(&key) {
                    Some(same) if same.digest == state.digest => same.last = now,
                    before => {
                        let moved_after = before.map(|before| before.last);
                        let digest = state.digest.clone();
                        self.sightings.insert(key, Sighting { digest, seen: now, last: now, moved_after });
                    }
                }
            }
        }
    }

    /// Forgets the tags that nobody asks for any more.
    pub fn keep_only(&mut self, questions: &Questions) {
        let asked = |place: &Place, repository: &RepositoryName| {
            questions.images.contains_key(&(place.clone(), repository.clone()))
        };
        self.sightings.retain(|(place, repository, _), _| asked(place, repository));
    }

    /// Since when this tag has meant what it means now, as far as was seen.
    fn sighting(&self, place: &Place, repository: &RepositoryName, tag: &Tag) -> Option<&Sighting> {
        self.sightings.get(&(place.clone(), repository.clone(), tag.clone()))
    }
}

/// The changes that this target seems not to have seen, each once. One that is younger than `grace` may still be on its way.
pub fn suspects(subject: &Subject, answers: &Answers, memory: &Memory, grace: Duration) -> Vec<Suspect> {
    let on = subject.settings.triggers;
    let mut found: Vec<Suspect> = Vec::new();
    for dependency in &subject.dependencies {
        let suspect = match dependency {
            Dependency::Repository { registry: Some(registry), name, container } => {
                let image = Image { subject, registry, name, container };
                image.suspect(answers, memory)
            }
            Dependency::Parameter { place, name } if on.parameters => {
                let changed = answers.parameters.get(&(place.clone(), name.clone()));
                unseen(subject, place, changed, || Trigger::ParameterChanged {
                    name: name.clone(),
                    change: Write::Updated,
                })
            }
            Dependency::Secret { place, name } if on.secrets => {
                let changed = answers.secrets.get(&(place.clone(), name.clone()));
                unseen(subject, place, changed, || Trigger::SecretChanged {
                    secret: secret_arn(place, name),
                    change: Write::Updated,
                })
            }
            Dependency::File { bucket, key } if on.files => {
                let changed = answers.files.get(&FileName { bucket: bucket.clone(), key: key.clone() });
                unseen(subject, &Place::of(&subject.target), changed, || Trigger::EnvFileChanged {
                    bucket: bucket.clone(),
                    key: key.clone(),
                    change: Write::Updated,
                })
            }
            Dependency::Repository { registry: None, .. }
            | Dependency::Parameter { .. }
            | Dependency::Secret { .. }
            | Dependency::File { .. } => None,
        };
        let is_surely_lost = |it: &Suspect| matches!(it.proof, Proof::NotBrought { .. });
        let suspect = suspect.filter(|it| it.counts + grace <= subject.read_at || is_surely_lost(it));
        found.extend(suspect.filter(|it| found.iter().all(|other| other.event.id != it.event.id)));
    }
    found
}

/// What a push to its repository would mean to a container.
enum Interest {
    /// Something only if it moved this tag.
    Tag(Tag),
    /// Something if it is the newest that counts.
    Newest,
}

fn interest(subject: &Subject, container: &ContainerName) -> Option<Interest> {
    let settings = &subject.settings;
    let is_meant = settings.container.as_ref().is_none_or(|only| only == container);
    if !settings.triggers.images || !is_meant {
        return None;
    }
    match settings.on_push {
        OnPush::Follow => subject
            .definition
            .followed_tag(container)
            .filter(|tag| !is_ignored(tag, settings))
            .map(Interest::Tag),
        OnPush::Pin | OnPush::Always => Some(Interest::Newest),
        OnPush::Ignore => None,
    }
}

fn is_ignored(tag: &Tag, settings: &TargetSettings) -> bool {
    settings.ignore_tags.iter().any(|policy| policy.rank(tag).is_some())
}

/// The image of one container.
struct Image<'a> {
    subject: &'a Subject,
    registry: &'a Place,
    name: &'a RepositoryName,
    container: &'a ContainerName,
}

impl Image<'_> {
    fn suspect(&self, answers: &Answers, memory: &Memory) -> Option<Suspect> {
        let tags = answers.images.get(&(self.registry.clone(), self.name.clone()))?;
        match interest(self.subject, self.container)? {
            Interest::Tag(tag) => {
                let state = tags.get(&tag)?;
                self.moved(&tag, state, memory.sighting(self.registry, self.name, &tag))
            }
            Interest::Newest => self.newer(tags),
        }
    }

    /// Whether a followed tag means something else than what runs, and no rollout can have brought that.
    fn moved(&self, tag: &Tag, state: &TagState, sighting: Option<&Sighting>) -> Option<Suspect> {
        let newest = self.subject.newest_rollout;
        let is_later = |than: Timestamp| newest.is_some_and(|it| it >= than + MARGIN);
        let running = self.subject.digests.get(self.container);
        if running.is_some_and(|it| *it == state.digest || state.children.contains(it)) {
            return None;
        }
        let seen = sighting.map_or(self.subject.read_at, |it| it.seen);
        // What was pushed since then was moved to by its push, and whatever came of that counts.
        let moved_after = sighting.and_then(|it| it.moved_after);
        let was_moved = moved_after.is_some_and(|after| state.pushed_at < after);
        let (counts, proof) = match running {
            _ if was_moved && is_later(seen) => return None,
            _ if was_moved => {
                let since = moved_after.unwrap_or(state.pushed_at);
                (seen.max(state.pushed_at), self.brings(Some(tag), state, since))
            }
            _ if !is_later(state.pushed_at) => {
                (state.pushed_at, self.brings(Some(tag), state, state.pushed_at))
            }
            Some(_) if !is_later(seen) => (seen, self.not_brought(state)),
            Some(_) | None => return None,
        };
        Some(Suspect { proof, ..self.pushed(tag, state, counts) })
    }

    fn not_brought(&self, state: &TagState) -> Proof {
        let (container, digests) = (self.container.clone(), digests(state));
        Proof::NotBrought { since: state.pushed_at, container, digests }
    }

    fn brings(&self, tag: Option<&Tag>, state: &TagState, since: Timestamp) -> Proof {
        let (container, repository) = (self.container.clone(), self.name.clone());
        Proof::Pushed { since, container, repository, tag: tag.cloned(), digests: digests(state) }
    }

    /// Whether a tag that counts is newer than what runs.
    fn newer(&self, tags: &BTreeMap<Tag, TagState>) -> Option<Suspect> {
        let settings = &self.subject.settings;
        let counts = |tag: &Tag| if settings.on_push == OnPush::Pin { settings.tags.rank(tag) } else { None };
        let taken = tags.iter().filter(|(tag, _)| !is_ignored(tag, settings));
        let (tag, state) = if settings.on_push == OnPush::Pin {
            let ranked = taken.filter_map(|(tag, state)| Some((counts(tag)?, state.pushed_at, tag, state)));
            let (.., tag, state) = ranked.max_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)))?;
            (tag, state)
        } else {
            taken.max_by_key(|(tag, state)| (state.pushed_at, *tag))?
        };
        let is_later = self.subject.newest_rollout.is_some_and(|it| it >= state.pushed_at + MARGIN);
        let is_seen = match settings.on_push {
            OnPush::Pin => self.runs(tag, state),
            OnPush::Always | OnPush::Follow | OnPush::Ignore => is_later,
        };
        let brought_by = Some(tag).filter(|_| settings.on_push == OnPush::Pin);
        let proof = self.brings(brought_by, state, state.pushed_at);
        (!is_seen).then(|| Suspect { proof, ..self.pushed(tag, state, state.pushed_at) })
    }

    /// Whether the running definition names this image.
    fn runs(&self, tag: &Tag, state: &TagState) -> bool {
        let digest = self.subject.digests.get(self.container);
        let same = |it: &Digest| *it == state.digest || state.children.contains(it);
        let image: Option<&ImageReference> = self.subject.definition.images.get(self.container);
        match (digest, image.and_then(|image| image.digest.as_ref())) {
            (Some(digest), _) | (None, Some(digest)) => same(digest),
            (None, None) => image.and_then(ImageReference::effective_tag).as_ref() == Some(tag),
        }
    }

    fn pushed(&self, tag: &Tag, state: &TagState, counts: Timestamp) -> Suspect {
        let image = PushedImage {
            repository: self.name.clone(),
            tag: tag.clone(),
            digest: Some(state.digest.clone()),
            is_index: None,
        };
        let event = event(self.registry, state.pushed_at, counts, Trigger::ImagePushed(image));
        Suspect { target: self.subject.target.clone(), event, counts, proof: Proof::Rule }
    }
}

/// An image, and those for single platforms in it.
fn digests(state: &TagState) -> Vec<Digest> {
    std::iter::once(&state.digest).chain(&state.children).cloned().collect()
}

/// Whether something that tasks read when they start has changed since the newest rollout.
fn unseen(
    subject: &Subject,
    place: &Place,
    changed: Option<&Timestamp>,
    trigger: impl FnOnce() -> Trigger,
) -> Option<Suspect> {
    let changed = *changed?;
    let is_fresh = subject.newest_rollout.is_some_and(|newest| newest >= changed + MARGIN);
    (!is_fresh).then(|| Suspect {
        target: subject.target.clone(),
        event: event(place, changed, changed, trigger()),
        counts: changed,
        proof: Proof::Rule,
    })
}

/// What changed, and when, for people.
pub fn words(event: &Event) -> String {
    let at = event.time;
    match &event.trigger {
        Trigger::ImagePushed(image) => format!("{}:{} was pushed, at {at}", image.repository, image.tag),
        Trigger::ParameterChanged { name, .. } => format!("parameter {name} was written, at {at}"),
        Trigger::SecretChanged { secret, .. } => format!("secret {secret} got a new value, at {at}"),
        Trigger::EnvFileChanged { bucket, key, .. } => format!("s3://{bucket}/{key} was written, at {at}"),
        other => format!("{} happened, at {at}", other.kind().as_str()),
    }
}

/// The event that tells of a change as the lost one would have. The same change has the same id in every pass, and where it
/// counts from the time at which the thing was written, in every process.
fn event(place: &Place, at: Timestamp, counts: Timestamp, trigger: Trigger) -> Event {
    let what = format!("{place} {counts} {trigger:?}");
    Event {
        id: format!("lockkeeper-reconcile-{}", fingerprint(what, 12)).into(),
        source: RECONCILE_SOURCE.into(),
        detail_type: super::lost::DETAIL_TYPE.into(),
        account: Some(place.account.clone()),
        region: Some(place.region.clone()),
        time: at,
        replay: None,
        metadata: None,
        trigger,
    }
}

fn secret_arn(place: &Place, name: &str) -> Arc<str> {
    format!("arn:aws:secretsmanager:{}:{}:secret:{name}", place.region, place.account).into()
}

#[cfg(test)]
mod tests;
