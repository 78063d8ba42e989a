//! From a trigger and the rules to requests.
//!
//! [`Routes`] is built once from what the settings say, told of what discovery finds, and asked once per event. It makes
//! no call, reads no clock, and remembers nothing between two events, so the same event always asks the same of the same
//! targets.
//!
//! **What it decides, and what it leaves.** Which targets an event reaches, and what it asks of each, by names alone.
//! What needs to know what runs is left to the planner, and said in the request: a push under `follow` becomes
//! [`Refresh::Image`](crate::domain::Refresh::Image), which asks something only of a target whose running definition
//! names that repository and tag. So a rule that reaches too far costs a look, not a deployment.
//!
//! **Nothing vanishes.** Every event gives at least one request, decision, hint or note. A note says in one line for people why
//! nothing (more) follows, for the event or for one target.
//!
//! **Three ways to a target.** An explicit rule lists what a target depends on. Naming patterns find a target in the
//! name of a repository, parameter or service. Discovery knows what a target's running definition reads. Where several
//! find the same one, it is asked once, and the settings of the first of them hold. Of each kind of thing, what a rule
//! lists is all that counts for its target; where it lists none, the other two still find it. They do not exclude each
//! other: a pattern lists nothing but files.
//!
//! **Whose event it is.** A parameter or secret that a rule lists is read in the target's own account and Region, so it
//! reaches only targets there. An image may be pulled from anywhere, so a push reaches the targets of explicit rules
//! wherever they are; a replication only those in the replica's Region, because the others pull from elsewhere. The name
//! of a bucket is unique, so files need neither. What the patterns find is always in our own account and Region. What
//! discovery found says itself where it is read or pulled from. An event that says neither counts as ours.
//!
//! **Texts from events are not to be trusted.** They are compared, and quoted in lines of bounded length without
//! control characters. A name that a pattern finds can only be of the form that ECS allows.
//!
//! **Cost.** Looking up follows the length of a text and the number of matches, not the number of targets: see `index`
//! and `found`.

mod decisions;
mod dependencies;
mod discovered;
mod draft;
mod found;
mod hints;
mod images;
mod index;
mod names;
mod naming;
mod requests;
#[cfg(test)]
mod tests;
mod why;
mod words;

use std::{collections::BTreeSet, sync::Arc};

pub use self::why::Asked;

use self::{
    draft::Draft,
    found::Found,
    index::{Index, Table},
    naming::Names,
    requests::NotCalled,
};
use crate::domain::{
    AccountId, Cancellation, Event, Glob, HoldRequest, Naming, Place, Region, RepositoryName, Request,
    TargetId, TargetName, TargetRule, TargetSettings, Timestamp, Trigger,
};

/// What routing has to know of the message that an event came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When what it asks was asked for: orders its requests.
    pub version: Timestamp,
    /// From when on evidence counts.
    pub floor: Timestamp,
    /// The targets that it was kept for, where it was renewed, replayed or set aside; `None` means all that it reaches.
    pub confined_to: Option<BTreeSet<TargetId>>,
}

/// What follows from one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// What it asks of the targets that it reaches.
    pub requests: Vec<Request>,
    /// What it decides about what keeps targets back.
    pub holds: Vec<HoldRequest>,
    /// The deployment that it gives up.
    pub cancellation: Option<Cancellation>,
    /// The targets that are worth a look now.
    pub hints: Vec<TargetId>,
    /// The services that ECS told of and nobody knows: neither rule nor pattern, and discovery has not read them yet.
    pub strangers: Vec<TargetId>,
    /// Why nothing (more) follows.
    pub notes: Vec<Note>,
    /// Whether it asks for something that cannot be carried out as it is, for the reason that is noted: a person has to say
    /// what is meant.
    pub unclear: bool,
}

impl Routing {
    /// Whether it asks and decides nothing that can be carried out.
    pub fn asks_nothing(&self) -> bool {
        self.requests.is_empty() && self.holds.is_empty() && self.cancellation.is_none()
    }
}

/// Why nothing (more) follows from an event, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// The target that it is about; `None` means the event as a whole.
    pub target: Option<TargetName>,
    /// One line of bounded length.
    pub reason: String,
}

/// The rules, arranged by what events name.
#[derive(Clone, Debug)]
pub struct Routes {
    home: Place,
    /// The environment that we are in, where the settings tell.
    environment: Option<Arc<str>>,
    targets: Vec<Known>,
    by_id: Table<TargetId, usize>,
    by_name: Table<Box<str>, Vec<usize>>,
    by_service: Table<Box<str>, Vec<usize>>,
    repositories: Index,
    parameters: Index,
    secrets: Index,
    files: Index,
    names: Option<Names>,
    /// Apart, because `Routes` is handed on by value.
    found: Box<Found>,
}

/// A target, and how it is deployed.
#[derive(Clone, Debug)]
struct Target {
    id: TargetId,
    settings: Arc<TargetSettings>,
    /// The repository of its image, where its rule lists exactly one.
    repository: Option<RepositoryName>,
    /// Whether only the name of something else led to it.
    guessed: bool,
    /// Why it is not deployed, if its owner said so, or what its owner said cannot be understood.
    refused: Option<Arc<str>>,
}

/// A target that the settings name, and of which kinds of thing they list what it depends on.
#[derive(Clone, Debug)]
struct Known {
    target: Target,
    lists: Kinds,
    /// Whether naming lists files of it.
    is_in_map: bool,
}

/// Some of the kinds of thing that a target can depend on.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    repositories: bool,
    parameters: bool,
    secrets: bool,
    files: bool,
}

impl Routes {
    /// The rules of a Lockkeeper that runs in this account and Region. Of two rules for the same target the first
    /// one's settings hold.
    pub fn new(
        home_account: AccountId,
        home_region: Region,
        rules: Vec<TargetRule>,
        naming: Option<Naming>,
    ) -> Self {
        let mut routes = Self {
            home: Place { account: home_account, region: home_region },
            environment: naming.as_ref().map(|naming| naming.environment.clone()),
            targets: Vec::with_capacity(rules.len()),
            by_id: Table::default(),
            by_name: Table::default(),
            by_service: Table::default(),
            repositories: Index::default(),
            parameters: Index::default(),
            secrets: Index::default(),
            files: Index::default(),
            names: None,
            found: Box::default(),
        };
        for rule in rules {
            routes.add_rule(rule);
        }
        if let Some(naming) = naming {
            routes.add_naming(&naming);
        }
        routes
    }

    /// The same in this environment, unless the naming tells another: a request for another one is not ours.
    #[must_use]
    pub fn in_environment(mut self, environment: Option<Arc<str>>) -> Self {
        self.environment = self.environment.or(environment);
        self
    }

    /// What follows from this event.
    pub fn route(&self, event: &Event, arrival: &Arrival) -> Routing {
        let mut draft = Draft::new(event, arrival);
        match &event.trigger {
            Trigger::ImagePushed(image) => self.on_push(image, &mut draft),
            Trigger::ImageReplicated(image) => self.on_replication(image, &mut draft),
            Trigger::ImageReady(image) => self.on_ready(image, &mut draft),
            Trigger::ParameterChanged { name, change } => self.on_parameter(name, *change, &mut draft),
            Trigger::SecretChanged { secret, change } => self.on_secret(secret, *change, &mut draft),
            Trigger::EnvFileChanged { bucket, key, change } => self.on_file(bucket, key, *change, &mut draft),
            Trigger::DeployRequested(request) => self.on_request(request, &mut draft),
            Trigger::RolloutChanged(it) => self.on_sign(it.cluster.as_deref(), &it.service, &mut draft),
            Trigger::TaskStopped(it) => self.on_sign(Some(&it.cluster), &it.service, &mut draft),
            Trigger::HookWaiting(it) => self.on_sign(it.cluster.as_deref(), &it.service, &mut draft),
            Trigger::ImageScanned(_) => draft.note("nothing waits for a scan"),
            Trigger::Decision(decision) => self.on_decision(decision, &mut draft),
            Trigger::Ignored(reason) | Trigger::Malformed(reason) => draft.note(reason),
        }
        draft.finish()
    }

    /// Our own account and Region.
    pub fn home(&self) -> (AccountId, Region) {
        (self.home.account.clone(), self.home.region.clone())
    }

    /// The targets that are known, each once: those that the settings name in their order, then those that only discovery
    /// found in the order of their ids. Those that only a pattern can find are not among them.
    pub fn targets(&self) -> impl Iterator<Item = (&TargetId, Arc<TargetSettings>)> {
        let named = self.targets.iter().map(|known| (&known.target.id, known.target.settings.clone()));
        let found = self.found.all().filter(|it| !self.by_id.contains_key(it.id()));
        named.chain(found.map(|it| (it.id(), self.target_of(it).settings)))
    }

    /// The target that is called so: by its name, its id or ECS's name of it. `None` if there is none, or more than one.
    pub fn resolve(&self, name: &str) -> Option<(TargetId, Arc<TargetSettings>)> {
        self.called(name).ok().map(|Target { id, settings, .. }| (id, settings))
    }

    /// Why no target is called so, and what is known instead; `None` where one or several are.
    pub fn unknown(&self, name: &str) -> Option<String> {
        match self.find(name) {
            Err(NotCalled::Unknown(reason)) => Some(reason),
            Ok(_) | Err(NotCalled::Several(..)) => None,
        }
    }

    fn add_rule(&mut self, rule: TargetRule) {
        let account = rule.account.unwrap_or_else(|| self.home.account.clone());
        let region = rule.region.unwrap_or_else(|| self.home.region.clone());
        let position = self.know(Target {
            id: TargetId::new(account, region, rule.cluster, rule.service.clone()),
            settings: rule.settings.clone(),
            repository: only_one(&rule.repositories),
            guessed: false,
            refused: None,
        });
        let lists = &mut self.targets[position].lists;
        lists.repositories |= !rule.repositories.is_empty();
        lists.parameters |= !rule.parameters.is_empty();
        lists.secrets |= !rule.secrets.is_empty();
        lists.files |= !rule.files.is_empty();
        self.repositories.insert_all(rule.repositories.iter().map(Glob::as_str), position);
        self.parameters.insert_all(rule.parameters.iter().map(dependencies::parameter_pattern), position);
        self.secrets.insert_all(rule.secrets.iter().flat_map(dependencies::secret_patterns), position);
        self.files.insert_all(rule.files.iter().map(dependencies::file_pattern), position);
        for (index, called) in
            [(&mut self.by_name, rule.settings.name.as_str()), (&mut self.by_service, rule.service.as_str())]
        {
            let positions = index.entry(called.into()).or_default();
            if !positions.contains(&position) {
                positions.push(position);
            }
        }
    }

    /// Services that the settings name are known from the start; the others are found as events name them.
    fn add_naming(&mut self, naming: &Naming) {
        let names = Names::new(naming);
        for name in names.listed() {
            self.know(self.named(&names, name));
        }
        for (called, files) in &naming.files {
            let position = self.know(self.named(&names, names.canonical(called)));
            let known = &mut self.targets[position];
            if !known.lists.files {
                known.is_in_map |= !files.is_empty();
                self.files.insert_all(files.iter().map(dependencies::file_pattern), position);
            }
        }
        self.names = Some(names);
    }

    fn know(&mut self, target: Target) -> usize {
        *self.by_id.entry(target.id.clone()).or_insert_with(|| {
            let nothing_listed = Known {
                target: Target { guessed: false, ..target },
                lists: Kinds::default(),
                is_in_map: false,
            };
            self.targets.push(nothing_listed);
            self.targets.len() - 1
        })
    }

    /// The service with this name, with the settings of its rule where it has one.
    fn named(&self, names: &Names, name: &str) -> Target {
        let Place { account, region } = self.home.clone();
        let id = TargetId::new(account, region, names.cluster().clone(), names.service(name));
        if let Some(known) = self.known(&id) {
            return known.target.clone();
        }
        let guessed = self.found.get(&id).is_none();
        Target { id, settings: names.settings(name), repository: None, guessed, refused: None }
    }

    fn at(&self, positions: Vec<usize>) -> Vec<Target> {
        positions.into_iter().map(|position| self.targets[position].target.clone()).collect()
    }

    /// Adds the service with this name, unless its rule lists things of this kind itself. Only such rules can have
    /// led to what was reached before, so it is not there already.
    fn join(&self, reached: &mut Vec<Target>, names: &Names, name: &str, lists: impl Fn(&Known) -> bool) {
        let target = self.named(names, name);
        if !self.known(&target.id).is_some_and(lists) {
            reached.push(target);
        }
    }

    /// The target, if the settings name it.
    fn known(&self, id: &TargetId) -> Option<&Known> {
        self.by_id.get(id).map(|&position| &self.targets[position])
    }

    /// Where an event happened; what it does not say is ours.
    fn place_of(&self, event: &Event) -> Place {
        let account = event.account.as_ref().unwrap_or(&self.home.account);
        let region = event.region.as_ref().unwrap_or(&self.home.region);
        Place { account: account.clone(), region: region.clone() }
    }
}

/// The repository that these patterns name, if they can name no other.
fn only_one(repositories: &[Glob]) -> Option<RepositoryName> {
    match repositories {
        [one] if !one.as_str().contains(['*', '?']) => Some(one.as_str().into()),
        _ => None,
    }
}
