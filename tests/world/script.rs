//! What is asked in a world, and how much may go wrong in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use lockkeeper::domain::{
    Cancellation, Change, DefinitionChange, DefinitionId, DefinitionRef, FollowedImage, HoldDecision,
    HoldRequest, HoldVerb, ImageChange, ImageSource, Marks, OnNewer, Origin, Refresh, Request, Rollback,
    TagPolicy, TargetId, TargetSettings, Timestamp, TriggerKind,
};
use lockkeeper::plan::{Asks, Flaw};

use super::{
    END, Fate, Letter, TIMEOUT, at,
    ecs::{self, Definition, Service},
};

/// The services, by their place.
const SERVICES: [&str; 6] = ["api", "web", "jobs", "mail", "feed", "bill"];

/// What one message asks of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// New tasks.
    Restart,
    /// New tasks, because the tag that the main container follows was pushed with what it has now.
    Follow,
    /// This version of a container's image: the number makes the tag.
    Image(&'static str, u32),
    /// This revision.
    Definition(u32),
    /// Back from the first of these revisions, which runs when that is asked for, to the second; and the target is held.
    Rollback(u32, u32),
    /// Nothing is to be started.
    Pause,
    /// Things may be started again.
    Resume,
    /// The deployment of this message is given up.
    Cancel(usize),
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    pub event: String,
    /// When it was sent, in milliseconds; `None` is some time after the beginning.
    pub version: Option<u64>,
    pub wishes: Vec<(usize, Wish)>,
}

/// How often each thing may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub crashes: u16,
    pub lost_leases: u16,
    pub lost_answers: u16,
    pub throttles: u16,
    pub refusals: u16,
    pub failures: u16,
    pub strangers: u16,
    pub again: u16,
    pub shortages: u16,
    pub outages: u16,
    pub replays: u16,
}

/// Nothing goes wrong.
pub const NOTHING: Budget = Budget {
    crashes: 0,
    lost_leases: 0,
    lost_answers: 0,
    throttles: 0,
    refusals: 0,
    failures: 0,
    strangers: 0,
    again: 0,
    shortages: 0,
    outages: 0,
    replays: 0,
};

/// What may be lost of what a letter says, so that tests show that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slip {
    /// The target that it is for.
    Target,
    /// When the change was asked for.
    Version,
}

/// Everything that is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    pub services: usize,
    pub messages: Vec<Message>,
    pub on_newer: OnNewer,
    /// Whether what failed is undone where ECS does not do so.
    pub rollback: bool,
    /// Of the targets of one event, so many are deployed at a time, and none after so many have failed; zero is no limit.
    pub max_parallel: u32,
    pub stop_after: u32,
    /// After so long a held message is renewed; `None` is never.
    pub renew_millis: Option<u64>,
    pub quiet_millis: u64,
    /// What happens by itself happens within this.
    pub patience_millis: u64,
    /// Nobody waits longer than until then.
    pub end_millis: u64,
    pub budget: Budget,
    pub flaws: BTreeSet<Flaw>,
    pub slip: Option<Slip>,
    /// Whether somebody else has business with the first service alone.
    pub first_only: bool,
}

impl Script {
    /// So many services, of which nothing is asked yet.
    pub fn new(services: usize) -> Self {
        Self {
            services,
            messages: Vec::new(),
            on_newer: OnNewer::WhenFailing,
            rollback: false,
            max_parallel: 0,
            stop_after: 0,
            renew_millis: None,
            quiet_millis: 2_000,
            patience_millis: 20_000,
            end_millis: END,
            budget: Budget::default(),
            flaws: BTreeSet::new(),
            slip: None,
            first_only: true,
        }
    }

    /// A message that was sent so many seconds after the beginning of the world.
    pub fn sent(mut self, seconds: u64, wishes: &[(usize, Wish)]) -> Self {
        let event = format!("event-{}", self.messages.len());
        self.messages.push(Message { event, version: Some(seconds * 1_000), wishes: wishes.to_vec() });
        self
    }

    /// A message that is sent while the world goes on.
    pub fn sent_later(mut self, wishes: &[(usize, Wish)]) -> Self {
        let event = format!("event-{}", self.messages.len());
        self.messages.push(Message { event, version: None, wishes: wishes.to_vec() });
        self
    }

    /// The last message once more, as another rule would put it on the queue.
    pub fn twice(mut self) -> Self {
        self.messages.extend(self.messages.last().cloned());
        self
    }

    pub fn on_newer(mut self, on_newer: OnNewer) -> Self {
        self.on_newer = on_newer;
        self
    }

    pub fn rollback(mut self) -> Self {
        self.rollback = true;
        self
    }

    pub fn waves(mut self, max_parallel: u32, stop_after: u32) -> Self {
        (self.max_parallel, self.stop_after) = (max_parallel, stop_after);
        self
    }

    /// Messages are renewed once they have been held for so long.
    pub fn renewing(mut self, millis: u64) -> Self {
        self.renew_millis = Some(millis);
        self
    }

    pub fn quiet(mut self, millis: u64) -> Self {
        self.quiet_millis = millis;
        self
    }

    pub fn patience(mut self, millis: u64) -> Self {
        self.patience_millis = millis;
        self
    }

    pub fn endless(mut self) -> Self {
        self.end_millis = u64::MAX;
        self
    }

    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    pub fn flaw(mut self, flaw: Flaw) -> Self {
        self.flaws.insert(flaw);
        self
    }

    pub fn slip(mut self, slip: Slip) -> Self {
        self.slip = Some(slip);
        self
    }

    /// The services as they are at first: revision 1 runs, and further ones that were asked for are registered.
    pub fn services(&self) -> Vec<Service> {
        (0..self.services).map(|place| Service::new(SERVICES[place], self.definitions(place))).collect()
    }

    fn definitions(&self, place: usize) -> Vec<Definition> {
        let wanted = self.wishes(place).filter_map(|(_, wish)| match wish {
            Wish::Definition(revision) | Wish::Rollback(revision, _) => Some(revision),
            Wish::Restart | Wish::Follow | Wish::Image(..) | Wish::Pause | Wish::Resume | Wish::Cancel(_) => {
                None
            }
        });
        let last = wanted.max().unwrap_or(1);
        (1..=last).map(|revision| self.definition(place, revision)).collect()
    }

    fn definition(&self, place: usize, revision: u32) -> Definition {
        let asked_at = self.wishes(place).filter(|(_, wish)| *wish == Wish::Definition(revision));
        let asked_at = asked_at.map(|(message, _)| message.version.unwrap_or(0)).max().unwrap_or(0);
        let tag = if revision == 1 { "latest".to_owned() } else { format!("of-{revision}") };
        Definition {
            tags: BTreeMap::from([("main", tag), ("side", format!("base-{revision}"))]),
            marks: Marks::default(),
            asked_at: BTreeMap::from([("main", asked_at), ("side", asked_at)]),
            lineage: BTreeSet::from([revision]),
        }
    }

    fn wishes(&self, place: usize) -> impl Iterator<Item = (&Message, Wish)> {
        let all = self.messages.iter().flat_map(|it| it.wishes.iter().map(move |wish| (it, *wish)));
        all.filter(move |(_, wish)| wish.0 == place).map(|(message, (_, wish))| (message, wish))
    }

    /// When the image with this tag, or digest, was asked for: as an order claims, if a message that was received bears it
    /// out; else when it first was.
    pub fn asked_at(&self, place: usize, tag: &str, claimed: Option<&Timestamp>, letters: &[Letter]) -> u64 {
        let is_it = |number| ecs::digest(&self::tag(number)) == ecs::digest(tag);
        let asks = |letter: &&Letter| {
            let wishes = &self.messages[letter.message].wishes;
            let is_asked = |(to, wish): &(usize, Wish)| {
                *to == place && matches!(wish, Wish::Image(_, number) if is_it(*number))
            };
            wishes.iter().any(is_asked)
        };
        let all = || letters.iter().filter(asks);
        let bears_out =
            |letter: &&Letter| letter.fate != Fate::Unsent && claimed == Some(&at(letter.version));
        let borne_out = all().find(bears_out).map(|letter| letter.version);
        borne_out.or_else(|| all().map(|letter| letter.version).min()).unwrap_or(0)
    }

    /// When a rollback was asked for, if this is its version.
    pub fn rolled_back_at(&self, content: Option<Timestamp>, letters: &[Letter]) -> Option<u64> {
        let is_rollback = |letter: &&Letter| {
            let wishes = &self.messages[letter.message].wishes;
            letter.fate != Fate::Unsent && wishes.iter().any(|(_, wish)| matches!(wish, Wish::Rollback(..)))
        };
        let mut versions = letters.iter().filter(is_rollback).map(|letter| letter.version);
        versions.find(|version| content == Some(at(*version)))
    }

    /// Whether somebody ever goes back.
    pub fn has_rollbacks(&self) -> bool {
        let mut wishes = self.messages.iter().flat_map(|it| &it.wishes);
        wishes.any(|(_, wish)| matches!(wish, Wish::Rollback(..)))
    }

    /// What a letter asks for: changes, or a decision.
    pub fn asks(&self, letter: &Letter) -> Asks {
        let message = &self.messages[letter.message];
        let decided = |(to, wish): &(usize, Wish)| {
            Some(HoldRequest {
                target: target(*to),
                settings: Arc::new(self.settings(*to)),
                decision: wish.decision(letter.version)?,
                origin: self::origin(message, TriggerKind::Decision),
            })
        };
        let holds = letter.wishes(message).filter_map(decided).collect();
        // It names a deployment, and no target that a copy could be confined to.
        let cancellation = message.wishes.iter().find_map(|(to, wish)| match wish {
            Wish::Cancel(of) => Some(Cancellation {
                deployment: "d-whatever".into(),
                target: Some(target(*to)),
                events: BTreeSet::from([self.messages[*of].event.as_str().into()]),
                at: super::at(letter.version),
                origin: self::origin(message, TriggerKind::Decision),
            }),
            _ => None,
        });
        Asks::of(self.requests(letter), holds, cancellation)
    }

    fn requests(&self, letter: &Letter) -> Vec<Request> {
        let message = &self.messages[letter.message];
        let origin = origin(message, TriggerKind::DeployRequested);
        let request = |(to, wish): &(usize, Wish)| {
            Some(Request {
                target: target(*to),
                change: Self::change(*to, *wish)?,
                version: at(if self.slips(letter, Slip::Version) { letter.floor } else { letter.version }),
                floor: at(letter.floor),
                settings: Arc::new(self.settings(*to)),
                guessed: false,
                origin: Arc::clone(&origin),
            })
        };
        if self.slips(letter, Slip::Target) {
            return message.wishes.iter().filter_map(request).collect();
        }
        letter.wishes(message).filter_map(request).collect()
    }

    fn slips(&self, letter: &Letter, slip: Slip) -> bool {
        letter.is_put_back && self.slip == Some(slip)
    }

    fn change(place: usize, wish: Wish) -> Option<Change> {
        let source = |container: &'static str| ImageSource {
            repository: Some(format!("shop/{container}").as_str().into()),
            home: None,
            container: None,
        };
        Some(match wish {
            Wish::Restart => Change::Refresh(Refresh::Restart),
            Wish::Follow => Change::Refresh(Refresh::Image(FollowedImage {
                source: source("main"),
                tag: "latest".into(),
                digest: None,
                is_index: None,
                any_tag: true,
            })),
            Wish::Image(container, number) => Change::Image(ImageChange {
                source: source(container),
                tag: Some(tag(number).as_str().into()),
                digest: Some(ecs::digest(&tag(number))),
                is_index: None,
                by_digest: false,
                policy: Some(TagPolicy::NEWEST),
                force: false,
            }),
            Wish::Definition(revision) => {
                let family = SERVICES[place].into();
                Change::Definition(DefinitionRef { family, revision: Some(revision) }.into())
            }
            Wish::Rollback(from, to) => {
                let family: Arc<str> = SERVICES[place].into();
                let from = DefinitionId { family: family.clone(), revision: from };
                let back = Rollback {
                    from,
                    images: BTreeMap::new(),
                    follow: BTreeMap::new(),
                    hold: true,
                    by: None,
                    reason: None,
                };
                let definition = DefinitionRef { family, revision: Some(to) };
                Change::Definition(DefinitionChange { back: Some(Arc::new(back)), ..definition.into() })
            }
            Wish::Pause | Wish::Resume | Wish::Cancel(_) => return None,
        })
    }

    fn settings(&self, place: usize) -> TargetSettings {
        TargetSettings {
            quiet: Duration::from_millis(self.quiet_millis),
            timeout: Duration::from_millis(TIMEOUT),
            rollback: self.rollback,
            max_parallel: self.max_parallel,
            stop_after: self.stop_after,
            on_newer: self.on_newer,
            ..TargetSettings::named(SERVICES[place].into())
        }
    }
}

impl Letter {
    /// What is asked of which target: of some alone, if it was put back or renewed.
    pub fn wishes<'a>(&self, message: &'a Message) -> impl Iterator<Item = &'a (usize, Wish)> {
        let only = self.only;
        message.wishes.iter().filter(move |(to, _)| only.is_none_or(|only| only.has(*to)))
    }
}

impl Wish {
    /// Whether it is a decision, and no change.
    pub fn decides(self) -> bool {
        match self {
            Self::Pause | Self::Resume | Self::Cancel(_) => true,
            Self::Restart | Self::Follow | Self::Image(..) | Self::Definition(_) | Self::Rollback(..) => {
                false
            }
        }
    }

    /// What it decides, if it is a decision of this time.
    pub fn decision(self, version: u64) -> Option<HoldDecision> {
        let verb = match self {
            Self::Pause => HoldVerb::Pause,
            Self::Resume => HoldVerb::Resume,
            Self::Restart
            | Self::Follow
            | Self::Image(..)
            | Self::Definition(_)
            | Self::Rollback(..)
            | Self::Cancel(_) => return None,
        };
        Some(HoldDecision { verb, version: at(version), by: None, reason: None })
    }
}

fn origin(message: &Message, kind: TriggerKind) -> Arc<Origin> {
    Arc::new(Origin {
        kind,
        event_id: message.event.as_str().into(),
        reason: "asked".into(),
        by: None,
        replayed_by: None,
        metadata: None,
    })
}

/// The target at this place.
pub fn target(place: usize) -> TargetId {
    let cluster = "shop";
    TargetId::new("111122223333".into(), "eu-west-1".into(), cluster.into(), SERVICES[place].into())
}

/// The tag of an image of this number.
pub fn tag(number: u32) -> String {
    format!("v{number}")
}
