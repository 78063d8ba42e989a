//! `lockkeeper explain`: what an event means, whom it reaches and why, and what would happen.
//!
//! It asks decoding and routing, as the daemon does. Then AWS is asked, which changes nothing: whose credentials these are,
//! which targets discovery finds, and what would happen at those that are reached, as things are now; see [`online`].
//!
//! With `--offline`, or where AWS does not answer, no call is made: what needs to know what runs is told as a condition, and
//! what the settings tell of the own account and Region stands for them, or else those of the event; see [`home`].

mod beside;
mod home;
mod message;
mod online;
pub(super) mod text;
pub(super) mod words;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Ended, FAILED, Output, check, estate::Progress, say, say_json};
use crate::{
    decode,
    domain::{
        AccountId, Beside, Discovered, Event, EventId, Place, Region, RepositoryName, Request, TargetId,
        TargetName, TargetRule, TargetSettings, Timestamp, Trigger, TriggerKind,
    },
    engine::when_asked,
    route::{Arrival, Asked, Routes, Routing},
    settings::Settings,
};
use home::Home;
use message::{Message, SetAside};

/// A message has at most 1 MiB; within what SQS returns it is escaped, and other things stand around it.
const LARGEST_FILE_BYTES: u64 = 16 << 20;
/// Of the targets that are not reached, so many are told.
const MOST_OTHERS: usize = 20;
/// When SQS got the message, where that is not known. No event is later, so its own time counts.
const UNKNOWN_SENT_AT: i64 = i64::MAX;

/// What is to be explained.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The event as EventBridge sends it, or the answer of `aws sqs receive-message`; `-` reads standard input
    #[arg(value_name = "EVENT.json")]
    event: PathBuf,
    /// Ask nothing of AWS: what discovery would find, and what runs, is not known then
    #[arg(long)]
    offline: bool,
    /// Tell why not of every other target, however many they are
    #[arg(long)]
    all: bool,
}

pub(super) fn explain(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let settings = match super::load(files) {
        Ok(settings) => settings,
        Err(ended) => return ended,
    };
    let body = match read(&options.event) {
        Ok(body) => body,
        Err(error) => {
            return Ended::Misused(format!("{} cannot be read: {error}", options.event.display()));
        }
    };
    let question = Question::read(&body);
    let explanation = if options.offline {
        Ok(question.explained_offline(settings))
    } else {
        let progress = Progress::new(output == Output::Text);
        super::in_runtime(async { Ok(Box::pin(online::explain(question, settings, &progress)).await) })
    };
    let mut explanation = match explanation {
        Ok(explanation) => explanation,
        Err(error) => return Ended::Failed(error),
    };
    if !options.all {
        explanation.shorten();
    }
    match output {
        Output::Text => say(&text::text(&explanation)),
        Output::Json => say_json(&explanation),
    }
    if explanation.result == Verdict::Malformed { Ended::Told(FAILED) } else { Ended::Done }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut body = Vec::new();
    source.take(LARGEST_FILE_BYTES).read_to_end(&mut body)?;
    Ok(body)
}

/// The answer; `docs/commands.md` gives its shape.
#[derive(Serialize)]
struct Explanation {
    /// Whether AWS was asked.
    online: bool,
    result: Verdict,
    trigger: TriggerKind,
    /// What happened, in one line; none where that is not understood.
    meaning: Option<String>,
    /// Why nothing (more) follows from the event as a whole.
    reason: Option<String>,
    event: EventShown,
    /// When it was asked for, as far as is known.
    version: Option<Timestamp>,
    /// What is said on the message where it was set aside before.
    set_aside: Option<SetAside>,
    /// What follows from it beside, of which nothing is deployed.
    beside: Vec<String>,
    home: Home,
    targets: Vec<Reached>,
    others: Vec<Other>,
    /// How many targets are not reached beside those told.
    more_others: usize,
}

/// What follows from the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// It asks something of a target.
    Asks,
    /// It lets Lockkeeper look at a target now.
    Hints,
    /// It is understood, and asks nothing of any target.
    AsksNothing,
    /// It asks nothing of a target of the settings; discovery, which may find one, was not asked.
    NotKnown,
    /// It asks for something that cannot be carried out as it is, and would be set aside.
    Unclear,
    /// It is of no kind that asks for anything.
    Ignored,
    /// It is from an account whose events are not taken.
    Refused,
    /// It is not understood, and would be set aside.
    Malformed,
}

#[derive(Serialize)]
struct EventShown {
    id: EventId,
    source: String,
    detail_type: String,
    account: Option<AccountId>,
    region: Option<Region>,
    /// The replay by EventBridge that sent it again.
    replay: Option<String>,
    /// What was taken off around it, the outermost first.
    wrappers: Vec<&'static str>,
}

/// A target that an event reaches.
#[derive(Debug, Serialize)]
pub(super) struct Reached {
    pub(super) name: TargetName,
    pub(super) id: TargetId,
    /// What led there.
    pub(super) because: String,
    /// What its settings say of such an event, where they say anything.
    pub(super) policy: Option<String>,
    pub(super) would: String,
    /// What would happen as things are now, where it was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) now: Option<String>,
    pub(super) dry_run: bool,
}

#[derive(Serialize)]
struct Other {
    name: TargetName,
    /// None for a target that is found by its name, and told by no other.
    id: Option<TargetId>,
    reason: String,
}

/// What is asked: the event as it is understood whoever we are.
struct Question {
    event: Event,
    arrival: Arrival,
    /// When it was asked for, as far as is known.
    version: Option<Timestamp>,
    set_aside: Option<SetAside>,
    wrappers: Vec<&'static str>,
    sign: Option<Beside>,
}

impl Question {
    fn read(body: &[u8]) -> Self {
        let message = Message::around(body);
        let unknown = Timestamp::from_millis(UNKNOWN_SENT_AT);
        let sent_at = message.sent_at.unwrap_or(unknown);
        let mut event = decode::decode(body, sent_at);
        let arrival = match when_asked(event.time, sent_at, &message.attributes) {
            Ok(arrival) => arrival,
            Err(wrong) => {
                event.trigger = Trigger::Malformed(wrong.to_string());
                Arrival { version: sent_at, floor: sent_at, confined_to: None }
            }
        };
        let is_ignored = event.trigger.kind() == TriggerKind::Ignored;
        Self {
            version: (arrival.version != unknown).then_some(arrival.version),
            set_aside: SetAside::told(&message.attributes),
            wrappers: decode::wrappers(body),
            sign: is_ignored.then(|| decode::beside(body)).flatten(),
            event,
            arrival,
        }
    }

    fn explained_offline(self, settings: Settings) -> Explanation {
        let home = Home::guess(&self.event, &settings);
        let rule = beside::Rule::of(&settings);
        let discovers = settings.discovery.is_some() && words::concerns_targets(&self.event.trigger);
        let at = Targets::new(&home, settings);
        let follows = self.sign.as_ref().map(|sign| beside::offline(sign, &self.place(&home), &at, &rule));
        let explanation = self.explained(home, &at).0;
        let result = match explanation.result {
            Verdict::AsksNothing if discovers => Verdict::NotKnown,
            result => result,
        };
        Explanation { beside: follows.into_iter().collect(), result, ..explanation }
    }

    /// Where it happened; what it does not say is ours.
    fn place(&self, home: &Home) -> Place {
        let account = self.event.account.as_ref().unwrap_or(&home.account).clone();
        let region = self.event.region.as_ref().unwrap_or(&home.region).clone();
        Place { account, region }
    }

    /// As it reaches these targets.
    fn explained(self, home: Home, at: &Targets) -> (Explanation, Routing) {
        let Self { event, arrival, version, set_aside, wrappers, sign: _ } = self;
        let refusal = home.refusal.clone().filter(|_| words::is_checked(&event.trigger));
        let (routing, others) = match &refusal {
            Some(_) => (Routing::default(), Vec::new()),
            None => at.routed(&event, &arrival),
        };
        let whole =
            || routing.notes.iter().find(|note| note.target.is_none()).map(|note| note.reason.clone());
        let result = if refusal.is_some() { Verdict::Refused } else { verdict(&event.trigger, &routing) };
        let explanation = Explanation {
            online: false,
            result,
            trigger: event.trigger.kind(),
            meaning: words::meaning(&event),
            reason: refusal.or_else(whole),
            version,
            set_aside,
            beside: Vec::new(),
            targets: at.reached(&event, &routing),
            others,
            more_others: 0,
            home,
            event: EventShown::new(event, wrappers),
        };
        (explanation, routing)
    }
}

impl Explanation {
    /// Tells the first of the others only.
    fn shorten(&mut self) {
        self.more_others = self.others.len().saturating_sub(MOST_OTHERS);
        self.others.truncate(MOST_OTHERS);
    }
}

impl EventShown {
    fn new(event: Event, wrappers: Vec<&'static str>) -> Self {
        let Event { id, source, detail_type, account, region, replay, time: _, metadata: _, trigger: _ } =
            event;
        let replay = replay.map(|name| name.to_string());
        let (source, detail_type) = (source.to_string(), detail_type.to_string());
        Self { id, source, detail_type, account, region, replay, wrappers }
    }
}

fn verdict(trigger: &Trigger, routing: &Routing) -> Verdict {
    match trigger.kind() {
        TriggerKind::Malformed => Verdict::Malformed,
        TriggerKind::Ignored => Verdict::Ignored,
        _ if routing.unclear => Verdict::Unclear,
        _ if !routing.requests.is_empty() => Verdict::Asks,
        _ if !routing.hints.is_empty() => Verdict::Hints,
        _ => Verdict::AsksNothing,
    }
}

/// The targets that are known, and how events find them.
pub(super) struct Targets {
    routes: Routes,
    rules: BTreeMap<TargetId, TargetRule>,
}

impl Targets {
    fn new(home: &Home, settings: Settings) -> Self {
        Self::at(&home.account, &home.region, settings)
    }

    /// Those of a Lockkeeper in this account and Region.
    pub(super) fn at(own: &AccountId, here: &Region, settings: Settings) -> Self {
        let id = |rule: &TargetRule| {
            let account = rule.account.as_ref().unwrap_or(own).clone();
            let region = rule.region.as_ref().unwrap_or(here).clone();
            TargetId::new(account, region, rule.cluster.clone(), rule.service.clone())
        };
        // Backwards, because of two rules for the same target the first one holds.
        let rules = settings.targets.iter().rev().map(|rule| (id(rule), rule.clone())).collect();
        let routes = Routes::new(own.clone(), here.clone(), settings.targets, settings.naming)
            .in_environment(settings.environment);
        Self { routes, rules }
    }

    /// The same, found by these routes.
    pub(super) fn routed_by(self, routes: Routes) -> Self {
        Self { routes, ..self }
    }

    /// Those that may run images of this repository.
    fn users_of(&self, repository: &RepositoryName, registry: &Place) -> Vec<(TargetId, TargetName)> {
        self.routes.users_of(repository, registry)
    }

    /// Knows these, too.
    fn learn(&mut self, found: Vec<Discovered>) {
        for it in found {
            self.routes.learn(it);
        }
    }

    /// What follows, and why nothing is asked of the others.
    fn routed(&self, event: &Event, arrival: &Arrival) -> (Routing, Vec<Other>) {
        let routing = self.routes.route(event, arrival);
        let whole = routing.notes.iter().find(|note| note.target.is_none());
        let kept_for_others = |id: &TargetId| arrival.confined_to.as_ref().is_some_and(|to| !to.contains(id));
        let mut others = self.others(event, &routing, whole.map(|note| &*note.reason));
        for other in others.iter_mut().filter(|it| it.id.as_ref().is_some_and(kept_for_others)) {
            other.reason = "the message was set aside for another target".into();
        }
        (routing, others)
    }

    /// The target that is called so.
    pub(super) fn resolve(&self, name: &str) -> Option<TargetId> {
        self.routes.resolve(name).map(|(id, _)| id)
    }

    /// Why no target is called so, and what is known instead.
    pub(super) fn unknown(&self, name: &str) -> Option<String> {
        self.routes.unknown(name)
    }

    /// What people call this target: its name in the settings, else ECS's.
    pub(super) fn name_of(&self, id: &TargetId) -> TargetName {
        let known = self.routes.resolve(&id.to_string());
        known.map_or_else(|| id.service().as_str().into(), |(_, settings)| settings.name.clone())
    }

    /// The targets that are asked for something, why nothing (more) follows, and whether that is to be set aside.
    pub(super) fn asked_by(
        &self,
        event: &Event,
        arrival: &Arrival,
        force: bool,
    ) -> (Vec<Reached>, Option<String>, bool) {
        let mut routing = self.routes.route(event, arrival);
        if force {
            routing.requests.iter_mut().for_each(|request| request.change.free_of_policy());
        }
        let reached: Vec<Reached> =
            routing.requests.iter().map(|request| self.asked(event, request)).collect();
        let reason = routing.notes.into_iter().next().filter(|_| reached.is_empty()).map(|note| note.reason);
        (reached, reason, routing.unclear)
    }

    fn reached(&self, event: &Event, routing: &Routing) -> Vec<Reached> {
        let asked = routing.requests.iter().map(|request| self.asked(event, request));
        let hinted = routing.hints.iter().map(|id| self.hinted(event, id));
        asked.chain(hinted).collect()
    }

    fn asked(&self, event: &Event, request: &Request) -> Reached {
        let Request { target, change, settings, guessed, .. } = request;
        let missing = if *guessed { "; nothing if ECS has no such service" } else { "" };
        Reached {
            name: settings.name.clone(),
            id: target.clone(),
            because: self.why(event, target, settings).unwrap_or_else(|why| why),
            policy: words::policy(&event.trigger, settings),
            would: words::would(change, target, settings) + missing,
            now: None,
            dry_run: settings.dry_run,
        }
    }

    /// A hint is about a service, so that its name leads back to the settings.
    fn hinted(&self, event: &Event, id: &TargetId) -> Reached {
        let settings = match self.routes.resolve(&id.to_string()) {
            Some((_, settings)) => settings,
            None => TargetSettings::named(id.service().as_str().into()).into(),
        };
        Reached {
            name: settings.name.clone(),
            id: id.clone(),
            because: self.why(event, id, &settings).unwrap_or_else(|why| why),
            policy: None,
            would: words::LOOK.into(),
            now: None,
            dry_run: settings.dry_run,
        }
    }

    /// Those that the event finds but asks nothing of come first: their reason is the more interesting one.
    fn others(&self, event: &Event, routing: &Routing, reason: Option<&str>) -> Vec<Other> {
        let told = |name: &TargetName| routing.notes.iter().any(|note| note.target.as_ref() == Some(name));
        let noted = routing.notes.iter().filter_map(|note| {
            let name = note.target.clone()?;
            let id = self.routes.targets().find(|(_, it)| it.name == name).map(|(id, _)| id.clone());
            Some(Other { name, id, reason: note.reason.clone() })
        });
        let is_reached = |id: &TargetId| {
            routing.requests.iter().any(|request| request.target == *id) || routing.hints.contains(id)
        };
        let missed = self.routes.targets().filter(|(id, it)| !is_reached(id) && !told(&it.name));
        let missed = missed.map(|(id, settings)| {
            let meant_too = |_| reason.unwrap_or("another target is meant").to_owned();
            let why = self.why(event, id, &settings).map_or_else(|why| why, meant_too);
            Other { name: settings.name.clone(), id: Some(id.clone()), reason: why }
        });
        noted.chain(missed.filter(|_| words::concerns_targets(&event.trigger))).collect()
    }

    fn why(&self, event: &Event, id: &TargetId, settings: &TargetSettings) -> Result<String, String> {
        self.routes.why(event, Asked { id, settings, rule: self.rules.get(id) })
    }
}
