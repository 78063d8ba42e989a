//! Looks now and then for changes that targets have not seen, because their events were lost.
//!
//! A pass reads the services of all targets, then what they depend on, each thing once; asks [`drift`] what may have been
//! missed; and has the one rule decide by a whole look. What is missing is put on the queue as the event would have been,
//! and goes through the same door, or is only told. Every call that it makes waits behind those that somebody waits for.
//!
//! What is remembered between passes saves work: the meaning of tags, so that one that moves is seen to, and what was decided
//! about a change, until the target is rolled out again. And it keeps what cannot be mended from being tried for ever: see
//! [`repairs`].

mod ended;
mod repairs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::repairs::Repairs;

use super::EngineClock;
use crate::{
    aws::{
        ecs::{Ecs, READ_BATCH},
        queue::Queue,
        sources::Sources,
    },
    domain::{
        CallFailure, ClusterName, DefinitionId, DefinitionReading, DeploymentRecord, Digest, Event, EventId,
        Glob, LookOrder, Moment, Place, Prospect, ReconcileMode, ReconcileRecord, Request, ServiceName,
        ServiceReading, ServiceState, TargetId, TargetSettings, Timestamp,
    },
    inventory::drift::{self, Answers, Memory, Questions, Subject, Suspect},
    plan,
    report::message::span,
};

/// Of what could not be read, so much is told of one pass.
const MOST_FAILURES: usize = 20;

/// What is asked of the loop, or told to it.
pub(super) enum Question {
    /// Which targets there are, and how each is deployed.
    Targets(oneshot::Sender<Targets>),
    /// What this event would ask of this target, if nothing else is asked of it now.
    Request {
        /// The target.
        target: TargetId,
        /// The event.
        event: Box<Event>,
        /// Since when it counts.
        counts: Timestamp,
        /// Who waits for the answer.
        answer: oneshot::Sender<Option<Request>>,
    },
    /// Which deployments of this target ended, if none is under way.
    Lately(TargetId, oneshot::Sender<Lately>),
    /// These were read.
    Read(Vec<ServiceReading>),
    /// A pass ended.
    Passed(ReconcileRecord),
}

/// The targets there are.
pub(super) struct Targets {
    /// Each of them, and how it is deployed.
    pub(super) all: Vec<(TargetId, Arc<TargetSettings>)>,
    /// Those that are not deployed now.
    pub(super) refused: BTreeSet<TargetId>,
    /// Those that were found not to be deployed since this was asked for last, whatever is so now.
    pub(super) were_refused: BTreeSet<TargetId>,
}

/// What this process has seen of a target's deployments.
pub(super) enum Lately {
    /// One waits, or is under way.
    Busy,
    /// None does. These ended, and were told, the newest first.
    Ended(Vec<Arc<DeploymentRecord>>),
}

/// How lost events are looked for.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// Whether what is found is put on the queue, or only told.
    pub mode: ReconcileMode,
    /// How long after the end of one pass the next begins.
    pub every: Duration,
    /// The rules whose schedule begins a pass at once, by name.
    pub rule: Glob,
    /// Where the state of what targets depend on is read.
    pub sources: Arc<Sources>,
}

/// Makes one pass after the other.
pub(super) struct Reconciler {
    pub(super) reconcile: Reconcile,
    pub(super) ecs: Arc<Ecs>,
    pub(super) queue: Queue,
    pub(super) clock: EngineClock,
    pub(super) questions: mpsc::Sender<Question>,
    /// A pass is wanted at once.
    pub(super) at_once: Arc<Notify>,
    /// When it began to act.
    pub(super) began: Moment,
}

/// What is remembered between passes.
#[derive(Default)]
struct Remembered {
    memory: Memory,
    /// The definitions that targets have now.
    definitions: BTreeMap<(Place, DefinitionId), Arc<DefinitionReading>>,
    /// The images for single platforms in an index; none for an image that is no index.
    children: BTreeMap<Digest, Vec<Digest>>,
    /// What was decided about changes that targets may have missed.
    decided: BTreeMap<(TargetId, EventId), Decided>,
    /// What was put on the queue for each target.
    repairs: Repairs,
    /// The targets that were in dry run when the last pass began.
    rehearsed: BTreeSet<TargetId>,
    /// The newest rollouts that were looked at.
    ended: BTreeMap<TargetId, ended::Ended>,
}

/// A service of a cluster, and how it is deployed.
type Service = (ServiceName, Arc<TargetSettings>);

#[derive(Clone, Copy)]
struct Decided {
    /// The newest rollout of the target then.
    newest_rollout: Option<Timestamp>,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// The target has seen it.
    Seen,
    /// It has not; if it was put on the queue, then.
    Missed(Option<Moment>),
    /// It has not, although what was put on the queue for it was seen to.
    Unmended,
}

/// What a whole look says of a change that a target may have missed.
enum Judged {
    /// It has seen it, or will.
    Seen,
    /// It has not.
    Missed,
    /// What it began for that gave way to something else.
    GaveWay,
}

/// One pass, while it goes on.
struct Pass<'a> {
    of: &'a Reconciler,
    remembered: &'a mut Remembered,
    record: ReconcileRecord,
    /// What is to be put on the queue, and for which targets.
    lost: BTreeMap<EventId, (Suspect, BTreeSet<TargetId>)>,
}

impl Reconciler {
    /// Looks until it is stopped.
    pub(super) async fn keep_looking(self, stop: CancellationToken) {
        let mut remembered = Remembered::default();
        let _ = stop.run_until_cancelled(self.look_on(&mut remembered)).await;
    }

    async fn look_on(&self, remembered: &mut Remembered) {
        loop {
            // One that is asked for while another goes on begins after that.
            let _ = tokio::time::timeout(self.reconcile.every, self.at_once.notified()).await;
            let began = self.clock.moment();
            let began_at = self.clock.wall();
            let mut pass = Pass {
                of: self,
                remembered,
                record: ReconcileRecord::begun(began_at),
                lost: BTreeMap::new(),
            };
            if pass.run().await.is_none() {
                return;
            }
            let mut record = pass.record;
            record.took = self.clock.moment().since(began);
            tell(&record);
            if self.questions.send(Question::Passed(record)).await.is_err() {
                return;
            }
        }
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (answer, heard) = oneshot::channel();
        self.questions.send(question(answer)).await.ok()?;
        heard.await.ok()
    }
}

impl Pass<'_> {
    /// `None` if the loop has ended.
    async fn run(&mut self) -> Option<()> {
        let targets = self.of.ask(Question::Targets).await?;
        self.forget_what_came_to_nothing(&targets);
        let Targets { all, refused, were_refused: _ } = targets;
        let subjects = self.subjects(all).await;
        self.record.targets = subjects.len();
        let questions = Questions::of(&subjects);
        self.record.compared = questions.count();
        let answers = self.read(&questions, &subjects).await;
        let read_at = subjects.iter().map(|subject| subject.read_at).max().unwrap_or_default();
        self.remembered.memory.see(read_at, &answers);
        self.remembered.memory.keep_only(&questions);
        self.forget(&subjects);
        let grace = self.of.reconcile.every.min(drift::LONGEST_GRACE);
        for subject in subjects.iter().filter(|it| !refused.contains(&it.target)) {
            for suspect in drift::suspects(subject, &answers, &self.remembered.memory, grace) {
                self.judge(subject, suspect).await?;
            }
        }
        self.repair().await;
        self.find_ended(&subjects).await
    }

    /// What runs of each target, and what it depends on. Those that cannot be read are left out.
    async fn subjects(&mut self, targets: Vec<(TargetId, Arc<TargetSettings>)>) -> Vec<Subject> {
        let mut clusters: BTreeMap<(Place, ClusterName), Vec<Service>> = BTreeMap::new();
        for (target, settings) in targets {
            let cluster = clusters.entry((Place::of(&target), target.cluster().clone())).or_default();
            cluster.push((target.service().clone(), settings));
        }
        let mut subjects = Vec::new();
        for ((place, cluster), services) in clusters {
            for batch in services.chunks(READ_BATCH) {
                let names: Vec<ServiceName> = batch.iter().map(|(name, _)| name.clone()).collect();
                let readings = self.of.ecs.read_services(&place, &cluster, &names).await;
                let Some(readings) = self.taken(readings) else { continue };
                let read = readings.iter().filter_map(|(_, reading)| reading.as_ref().ok().cloned());
                // The loop has ended where nobody hears it, and the next question finds that out.
                let _ = self.of.questions.send(Question::Read(read.collect())).await;
                for ((target, reading), (_, settings)) in readings.into_iter().zip(batch) {
                    let Some(reading) = self.taken(reading) else { continue };
                    subjects.extend(self.subject(&place, target, reading, settings).await);
                }
            }
        }
        self.with_digests(subjects).await
    }

    /// The revisions of its services stand in the place of digests until they are read.
    async fn subject(
        &mut self,
        place: &Place,
        target: TargetId,
        reading: ServiceReading,
        settings: &Arc<TargetSettings>,
    ) -> Option<(Subject, Vec<Arc<str>>)> {
        if reading.state != ServiceState::Active {
            return None;
        }
        let primary = reading.live.iter().find(|live| live.primary)?;
        let key = (place.clone(), primary.definition.clone());
        if !self.remembered.definitions.contains_key(&key) {
            let read = self.of.ecs.read_definition(place, &primary.definition).await;
            let read = Arc::new(self.taken(read)?);
            self.remembered.definitions.insert(key.clone(), read);
        }
        let definition = &self.remembered.definitions[&key];
        let subject = Subject {
            target,
            settings: Arc::clone(settings),
            definition: definition.view.clone(),
            dependencies: definition.dependencies.clone(),
            digests: BTreeMap::new(),
            read_at: reading.read_at,
            newest_rollout: reading.newest_rollout,
        };
        Some((subject, reading.revisions))
    }

    /// What each target runs, by the revisions of its service; they are read for all together, where a tag is followed.
    async fn with_digests(&mut self, read: Vec<(Subject, Vec<Arc<str>>)>) -> Vec<Subject> {
        let mut by_place: BTreeMap<Place, Vec<Arc<str>>> = BTreeMap::new();
        for (subject, revisions) in read.iter().filter(|(subject, _)| subject.depends_on_images()) {
            by_place.entry(Place::of(&subject.target)).or_default().extend(revisions.iter().cloned());
        }
        let mut digests = BTreeMap::new();
        for (place, revisions) in by_place {
            let found = self.of.ecs.read_digests(&place, revisions).await;
            digests.extend(self.taken(found).unwrap_or_default());
        }
        let known = |(mut subject, revisions): (Subject, Vec<Arc<str>>)| {
            let run = revisions.iter().filter_map(|revision| digests.get(revision));
            subject.digests =
                run.filter(|(of, _)| *of == subject.definition.id).flat_map(|(_, it)| it.clone()).collect();
            subject
        };
        read.into_iter().map(known).collect()
    }

    /// The answers to all questions; what cannot be read is absent.
    async fn read(&mut self, questions: &Questions, subjects: &[Subject]) -> Answers {
        let mut answers = Answers::default();
        let sources = Arc::clone(&self.of.reconcile.sources);
        for ((place, repository), wanted) in &questions.images {
            let tags: Vec<_> = wanted.tags.iter().cloned().collect();
            let mut states = BTreeMap::new();
            if !tags.is_empty() {
                states.extend(self.taken(sources.tags(place, repository, &tags).await).unwrap_or_default());
            }
            if wanted.newest {
                states.extend(self.taken(sources.newest_tags(place, repository).await).unwrap_or_default());
            }
            answers.images.insert((place.clone(), repository.clone()), states);
        }
        for (place, names) in &questions.parameters {
            let names: Vec<Arc<str>> = names.iter().cloned().collect();
            let changed = self.taken(sources.parameters(place, &names).await).unwrap_or_default();
            answers.parameters.extend(changed.into_iter().map(|(name, at)| ((place.clone(), name), at)));
        }
        for (place, names) in &questions.secrets {
            for name in names {
                let changed = self.taken(sources.secret(place, name).await).flatten();
                answers.secrets.extend(changed.map(|at| ((place.clone(), name.clone()), at)));
            }
        }
        for (place, files) in &questions.files {
            for file in files {
                let changed = self.taken(sources.object(place, &file.bucket, &file.key).await).flatten();
                answers.files.extend(changed.map(|at| (file.clone(), at)));
            }
        }
        self.add_children(&mut answers, subjects).await;
        answers
    }

    /// An image for several platforms is an index of others, and ECS may say that it runs one of those. So where nobody runs
    /// what a tag means, it is looked into; once, because an image never changes.
    async fn add_children(&mut self, answers: &mut Answers, subjects: &[Subject]) {
        let running: BTreeSet<&Digest> = subjects.iter().flat_map(|it| it.digests.values()).collect();
        let mut seen = BTreeSet::new();
        for ((place, repository), tags) in &mut answers.images {
            for state in tags.values_mut().filter(|state| !running.contains(&state.digest)) {
                if !self.remembered.children.contains_key(&state.digest) {
                    let children = self.of.reconcile.sources.children(place, repository, &state.digest).await;
                    let Some(children) = self.taken(children) else { continue };
                    self.remembered.children.insert(state.digest.clone(), children);
                }
                seen.insert(state.digest.clone());
                state.children.clone_from(&self.remembered.children[&state.digest]);
            }
        }
        self.remembered.children.retain(|digest, _| seen.contains(digest));
    }

    /// Forgets what no target has any more.
    fn forget(&mut self, subjects: &[Subject]) {
        let live: BTreeSet<_> =
            subjects.iter().map(|it| (Place::of(&it.target), it.definition.id.clone())).collect();
        self.remembered.definitions.retain(|key, _| live.contains(key));
        let newest: BTreeMap<_, _> = subjects.iter().map(|it| (&it.target, it.newest_rollout)).collect();
        self.remembered
            .decided
            .retain(|(target, _), decided| newest.get(target) == Some(&decided.newest_rollout));
    }

    /// Has the one rule decide about a change that a target may have missed. `None` if the loop has ended.
    async fn judge(&mut self, subject: &Subject, suspect: Suspect) -> Option<()> {
        let key = (subject.target.clone(), suspect.key().clone());
        let settings = &subject.settings;
        let before = self.remembered.decided.get(&key).map(|decided| decided.fate);
        let fate = match before {
            // Nothing is done about it, so only something newer can change it.
            Some(fate @ (Fate::Seen | Fate::Missed(None) | Fate::Unmended)) => fate,
            // What was put on the queue may have been tried, and have failed: then it is told, and owed no more.
            Some(Fate::Missed(Some(sent))) => match self.judged(&suspect).await? {
                Some(judged) => self.fate(settings, &suspect, &judged).await?,
                None => Fate::Missed(Some(sent)),
            },
            None => match self.judged(&suspect).await? {
                Some(judged) => self.fate(settings, &suspect, &judged).await?,
                None => return Some(()),
            },
        };
        if fate != Fate::Seen {
            *self.record.drift.entry(settings.name.clone()).or_default() += 1;
        }
        let decided = Decided { newest_rollout: subject.newest_rollout, fate };
        self.remembered.decided.insert(key, decided);
        Some(())
    }

    /// Whether the target has not seen it indeed; `Some(None)` if that cannot be told now.
    async fn judged(&mut self, suspect: &Suspect) -> Option<Option<Judged>> {
        let (target, event) = (&suspect.target, &suspect.event);
        let question = |answer| Question::Request {
            target: target.clone(),
            event: Box::new(event.clone()),
            counts: suspect.counts,
            answer,
        };
        let Some(request) = self.of.ask(question).await? else { return Some(None) };
        let order = LookOrder {
            target: target.clone(),
            since: suspect.since(),
            base: request.settings.base.clone(),
            wanted: None,
            evidence: false,
            prospect: Prospect::Nothing,
        };
        let look = self.of.ecs.look(&order).await;
        let Some(look) = self.taken(look) else { return Some(None) };
        let is_missed = plan::is_needed(&request, &look) && suspect.proof.holds(&look);
        Some(Some(match is_missed {
            true if suspect.gave_way(&look) => Judged::GaveWay,
            true => Judged::Missed,
            false => Judged::Seen,
        }))
    }

    /// What follows from that. `None` if the loop has ended.
    async fn fate(&mut self, settings: &TargetSettings, suspect: &Suspect, judged: &Judged) -> Option<Fate> {
        let name = &settings.name;
        let why = match (judged, self.of.reconcile.mode) {
            (Judged::Seen, _) => return Some(Fate::Seen),
            (Judged::Missed, ReconcileMode::Repair) if settings.dry_run => {
                "its event may have come, as nothing is changed in dry run: it is only told"
            }
            (Judged::Missed, ReconcileMode::Repair) => return self.mend(name, suspect).await,
            (Judged::Missed, ReconcileMode::Report | ReconcileMode::Off) => "it is only told: reconcile.mode",
            (Judged::GaveWay, _) => {
                "a rollout that was to bring that gave way to another one: it is only told, and left to people"
            }
        };
        let what = drift::words(&suspect.event);
        warn!(service = name.as_str(), "drift: {name} has not seen that {what}; {why}");
        Some(Fate::Missed(None))
    }

    /// What was read, if it could be.
    fn taken<T>(&mut self, read: Result<T, CallFailure>) -> Option<T> {
        read.map_err(|failure| self.failed(failure.reason)).ok()
    }

    fn failed(&mut self, why: String) {
        if self.record.failures.len() < MOST_FAILURES && !self.record.failures.contains(&why) {
            self.record.failures.push(why);
        }
    }
}

/// One line for each pass: a warning, if something could not be read.
fn tell(record: &ReconcileRecord) {
    let ReconcileRecord { took, targets, compared, drift, repaired, unwatched, failures, .. } = record;
    let (took, drifted) = (span(*took), drift.len());
    let unwatched = unwatched.len();
    let what = format!(
        "reconcile: {targets} targets and {compared} things that they read, in {took}: {drifted} drifted, {repaired} repaired, {unwatched} failed unwatched"
    );
    match failures.first() {
        Some(first) => warn!(error = first, "{what}; {} things could not be read", failures.len()),
        None if drifted + unwatched > 0 => info!("{what}"),
        None => debug!("{what}"),
    }
}
