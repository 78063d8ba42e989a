//! A world in miniature around the planner: a queue, ECS and a clock, whose every step is an action that the tests
//! choose. After each step the promises are held against what is true in it, whatever the planner believes.

mod action;
mod calls;
pub mod ecs;
mod oracle;
mod script;
mod shared;

use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use lockkeeper::domain::{
    Cause, Holds, LeaseId, Moment, OnNewer, Remedy, Report, RolloutState, SettledBy, TargetId, Timestamp,
};
use lockkeeper::plan::{
    Arrival, Asks, Command, Input, Jitter, Now, PlanSettings, Planner, Promise, Violation,
};

pub use action::Action;
use ecs::Service;
pub use script::{Budget, Message, NOTHING, Script, Slip, Wish};
pub use shared::{Pools, Shared, fingerprint};

/// The world begins here, by AWS's clock.
pub const BASE_MILLIS: i64 = 1_790_000_000_000;

/// When the first message can be received. All that was asked for before lies between zero and this.
pub const BEGIN: u64 = 100_000;

/// How long a receipt holds a message.
pub const VISIBILITY: u64 = 60_000;

/// How long a rollout may make no progress.
pub const TIMEOUT: u64 = 90_000;

/// Whoever waits is woken this coarsely, so that the same story told in another order ends in the same state.
const GRAIN: u64 = 5_000;

/// SQS answers again before it has been silent for this long: long enough for every hold to run out.
const OUTAGE: u64 = VISIBILITY + GRAIN;

/// Who is to resume a target does so before then: late enough for what waits to look once more.
const LONGEST_PAUSE: u64 = BEGIN + 310_000;

/// Whoever is woken so often at one time, and does nothing, turns for ever.
const MOST_WAKEUPS: u32 = 100;

/// Where all is explored, nobody waits longer than until then: by that time every deadline has passed more than once.
const END: u64 = BEGIN + 8 * TIMEOUT;

/// A time of the world by AWS's clock.
pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(BASE_MILLIS + i64::try_from(millis).expect("small"))
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Unsent,
    /// Since then.
    Visible(u64),
    /// Invisible until then; the lease is that of the process that lives, if it holds it.
    InFlight(u64, Option<LeaseId>),
    Deleted,
}

/// One message on the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Letter {
    /// Which of the script's messages it is.
    pub message: usize,
    pub fate: Fate,
    pub version: u64,
    /// The version, or when it was put back.
    pub floor: u64,
    /// The targets that it is for, where not for all: once it was put back, or renewed.
    pub only: Option<Places>,
    /// Whether it was put back, itself or what it is a copy of.
    pub is_put_back: bool,
    receives: u64,
}

/// Some of the targets, a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Places(u8);

impl Places {
    pub fn has(self, place: usize) -> bool {
        self.0 >> place & 1 == 1
    }
}

impl FromIterator<usize> for Places {
    fn from_iter<T: IntoIterator<Item = usize>>(places: T) -> Self {
        Self(places.into_iter().fold(0, |bits, place| bits | 1 << place))
    }
}

/// The whole world.
#[derive(Clone, Debug)]
pub struct World {
    pub script: Arc<Script>,
    pub clock: u64,
    pub letters: Vec<Letter>,
    /// What was set aside: letter and target.
    pub dead: BTreeSet<(usize, usize)>,
    /// What was set aside because it failed: event and target. Nobody asks where failures do not stop a wave.
    pub failed: BTreeSet<(String, usize)>,
    /// Since when SQS does not answer.
    pub queue_lost: Option<u64>,
    pub services: Vec<Shared<Service>>,
    pub planner: Shared<Planner>,
    pub calls: Vec<Shared<Command>>,
    pub budget: Budget,
}

impl Hash for World {
    /// Of one script alone: it is not hashed itself.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { script: _, clock, letters, dead, failed, queue_lost, services, planner, calls, budget } =
            self;
        (clock, letters, dead, failed, queue_lost, services, planner, calls, budget).hash(state);
    }
}

/// What came of one step.
#[derive(Default)]
pub struct Step {
    pub broken: Vec<Violation>,
    pub told: Vec<String>,
    /// Whether anything came of waiting.
    pub moved: bool,
}

impl Step {
    fn breaks(&mut self, promise: Promise, what: impl Into<String>) {
        self.broken.push(Violation::new(promise, what));
    }
}

impl World {
    pub fn new(script: Arc<Script>) -> Self {
        let letters = script.messages.iter().enumerate().map(|(place, message)| Letter {
            message: place,
            fate: if message.version.is_some() { Fate::Visible(BEGIN) } else { Fate::Unsent },
            version: message.version.unwrap_or(0),
            floor: message.version.unwrap_or(0),
            only: None,
            is_put_back: false,
            receives: 0,
        });
        Self {
            clock: BEGIN,
            letters: letters.collect(),
            dead: BTreeSet::new(),
            failed: BTreeSet::new(),
            queue_lost: None,
            services: script.services().into_iter().map(Shared::from).collect(),
            planner: planner(&script).into(),
            calls: Vec::new(),
            budget: script.budget,
            script,
        }
    }

    /// Whether nothing is owed, and nothing goes on.
    pub fn is_at_rest(&self) -> bool {
        let is_done = |place: usize| self.letters[place].fate == Fate::Deleted || self.is_never_sent(place);
        self.calls.is_empty()
            && (0..self.letters.len()).all(is_done)
            && self.services.iter().all(|service| service.live().is_none())
    }

    /// Whether a message is not sent while the world is as it is: nobody goes back from what does not run, and where
    /// that is what holds targets, nobody resumes what is not held, or not paused if that is what it is for.
    pub fn is_never_sent(&self, letter: usize) -> bool {
        let is_senseless = |(place, wish): &(usize, Wish)| match wish {
            Wish::Rollback(from, _) => self.services[*place].good().revision != *from,
            Wish::Resume => self.script.has_rollbacks() && !self.is_to_be_resumed(letter, *place),
            _ => false,
        };
        self.letters[letter].fate == Fate::Unsent && self.message(letter).wishes.iter().any(is_senseless)
    }

    /// Whether a target is as somebody wants to resume it: paused, where that was decided last before, or else held.
    fn is_to_be_resumed(&self, letter: usize, place: usize) -> bool {
        let before = self.letters[..letter].iter();
        let mut decided = before.filter(|it| {
            let wishes = &self.script.messages[it.message].wishes;
            wishes.iter().any(|(to, wish)| *to == place && matches!(wish, Wish::Pause | Wish::Resume))
        });
        let Holds { paused, held, .. } = &self.services[place].holds;
        if decided.clone().any(|it| it.fate == Fate::Unsent) {
            return false;
        }
        match decided.next_back().map(|it| &self.script.messages[it.message].wishes) {
            Some(wishes) if wishes.contains(&(place, Wish::Pause)) => paused.is_some(),
            _ => held.is_some(),
        }
    }

    /// Lets one thing happen.
    pub fn step(&mut self, action: Action) -> Step {
        let mut step = Step::default();
        match action {
            Action::Send(place) => {
                let version = self.time_of_event(place);
                let letter = &mut self.letters[place];
                (letter.version, letter.floor) = (version, version);
                letter.fate = Fate::Visible(self.clock);
            }
            Action::Receive(place) => self.receive(place, &mut step),
            Action::ReceiveAgain(place) => {
                self.budget.again -= 1;
                self.receive(place, &mut step);
            }
            Action::Answer(place) => {
                let call = (*self.calls.remove(place)).clone();
                self.answer(call, &mut step);
            }
            Action::LoseAnswer(place) => {
                self.budget.lost_answers -= 1;
                self.lose_answer(place, &mut step);
            }
            Action::Throttle(place) => {
                self.budget.throttles -= 1;
                self.refuse(place, Cause::Throttled, Remedy::Wait, &mut step);
            }
            Action::Refuse(place) => {
                self.budget.refusals -= 1;
                self.refuse(place, Cause::Unknown, Remedy::Retry, &mut step);
            }
            Action::Complete(place) => self.turn_to(place, RolloutState::Succeeded),
            Action::Fail(place) => {
                self.budget.failures -= 1;
                self.turn_to(place, RolloutState::Failed);
            }
            Action::GoBack(place) => {
                self.budget.failures -= 1;
                let now = self.clock;
                self.services[place].live_mut().expect("enabled").go_back(now);
            }
            Action::ArriveBack(place) => self.turn_to(place, RolloutState::RolledBack),
            Action::LackRoom(place) => {
                self.budget.shortages -= 1;
                let live = self.services[place].live_mut().expect("enabled");
                (live.state, live.lacks_room) = (RolloutState::Failed, true);
            }
            Action::Struggle(place) => {
                self.budget.failures -= 1;
                self.services[place].live_mut().expect("enabled").failed_tasks = 2;
            }
            Action::Stall(place) => {
                self.budget.failures -= 1;
                self.services[place].live_mut().expect("enabled").is_stalled = true;
            }
            Action::Refresh(place) => {
                self.budget.strangers -= 1;
                self.pass();
                let service = &mut self.services[place];
                let revision = service.current();
                service.roll_out(self.clock, revision, false);
            }
            Action::Move(place) => {
                self.budget.strangers -= 1;
                self.pass();
                self.services[place].move_by_somebody(self.clock);
            }
            Action::LoseQueue => {
                self.budget.outages -= 1;
                self.queue_lost = Some(self.clock);
            }
            Action::FindQueue => self.queue_lost = None,
            Action::Replay(place) => {
                let letter = self.replay(place);
                self.dead.remove(&letter);
            }
            Action::ReplayHalf(place) => {
                self.replay(place);
            }
            Action::LoseLease(place) => self.lose_lease(place, &mut step),
            Action::Crash => self.crash(),
            Action::CrashAfter(place) => self.crash_after(place),
            Action::Wait => self.wait(&mut step),
        }
        if self.is_at_rest() {
            oracle::at_rest(self, &mut step);
        }
        step
    }

    /// Some time passes, so that what happens now is later than what was.
    fn pass(&mut self) {
        self.clock = (self.clock + 1).next_multiple_of(GRAIN);
    }

    /// The script's message that this letter is.
    pub fn message(&self, letter: usize) -> &Message {
        &self.script.messages[self.letters[letter].message]
    }

    /// An event has one time, in whole seconds, however many messages tell of it.
    fn time_of_event(&self, place: usize) -> u64 {
        let is_told = |other: &usize| {
            self.message(*other).event == self.message(place).event
                && self.letters[*other].fate != Fate::Unsent
        };
        let told = (0..self.letters.len()).find(is_told);
        told.map_or(self.clock / 1_000 * 1_000, |other| self.letters[other].version)
    }

    /// Somebody puts back what was set aside: it keeps its version, counts from now on, and is for its target alone.
    fn replay(&mut self, place: usize) -> (usize, usize) {
        self.budget.replays -= 1;
        self.pass();
        let (letter, target) = *self.dead.iter().nth(place).expect("enabled");
        let only = Some(Places::from_iter([target]));
        self.copy(Letter { floor: self.clock, only, is_put_back: true, ..self.letters[letter].clone() });
        (letter, target)
    }

    /// One more message is on the queue, like another one.
    fn copy(&mut self, like: Letter) {
        self.letters.push(Letter { fate: Fate::Visible(self.clock), receives: 0, ..like });
    }

    fn turn_to(&mut self, place: usize, state: RolloutState) {
        if let Some(live) = self.services[place].live_mut() {
            live.state = state;
        }
    }

    fn receive(&mut self, place: usize, step: &mut Step) {
        let letter = &mut self.letters[place];
        letter.receives += 1;
        let lease = LeaseId(place as u64 * 1_000 + letter.receives);
        let is_again = letter.receives > 1;
        letter.fate = Fate::InFlight(self.clock + VISIBILITY, Some(lease));
        let arrival = Arrival {
            lease,
            message: format!("message-{place}").into(),
            event: self.message(place).event.as_str().into(),
            expires: Moment::from_millis(self.clock + VISIBILITY),
            is_again,
            asks: self.script.asks(&self.letters[place]),
        };
        self.tell(Input::Arrived(arrival), step);
    }

    fn lose_lease(&mut self, place: usize, step: &mut Step) {
        self.budget.lost_leases -= 1;
        if let Fate::InFlight(_, Some(lease)) = self.letters[place].fate {
            self.letters[place].fate = Fate::Visible(self.clock);
            self.tell(Input::Lost(vec![lease]), step);
        }
    }

    fn crash(&mut self) {
        self.budget.crashes -= 1;
        self.planner = planner(&self.script).into();
        self.calls.clear();
        for letter in &mut self.letters {
            if let Fate::InFlight(until, Some(_)) = letter.fate {
                letter.fate = Fate::InFlight(until, None);
            }
        }
    }

    /// Lets time pass until a message becomes visible, or the planner wants something new.
    fn wait(&mut self, step: &mut Step) {
        let horizon = self.clock + 10 * TIMEOUT;
        let mut wakeups_at_once = 0;
        while self.clock <= horizon && !step.moved {
            let visible = self.letters.iter().filter_map(|letter| match letter.fate {
                Fate::InFlight(until, _) => Some(until),
                Fate::Unsent | Fate::Visible(_) | Fate::Deleted => None,
            });
            let wakeup = self.planner.next_wakeup().map(Moment::as_millis);
            let Some(next) = visible.chain(wakeup).min() else { return };
            let next = next.next_multiple_of(GRAIN);
            if next > self.patience() {
                return;
            }
            wakeups_at_once = if next > self.clock { 0 } else { wakeups_at_once + 1 };
            if wakeups_at_once > MOST_WAKEUPS {
                return step.breaks(Promise::P9, "it is woken again and again, for nothing");
            }
            self.clock = self.clock.max(next);
            for letter in &mut self.letters {
                if matches!(letter.fate, Fate::InFlight(until, None) if until <= self.clock) {
                    letter.fate = Fate::Visible(self.clock);
                    step.moved = true;
                }
            }
            // Time alone must not decide anything that `next_wakeup` did not tell.
            if wakeup.is_some_and(|wakeup| wakeup <= self.clock) {
                self.tell(Input::Wakeup, step);
            }
            for letter in &mut self.letters {
                if matches!(letter.fate, Fate::InFlight(until, Some(_)) if until <= self.clock) {
                    letter.fate = Fate::Visible(self.clock);
                    step.moved = true;
                }
            }
        }
    }

    /// Until when time may pass by itself: SQS gives out what is visible, and a sound rollout completes.
    fn patience(&self) -> u64 {
        let visible = self.letters.iter().filter_map(|letter| match letter.fate {
            Fate::Visible(since) => Some(since),
            Fate::Unsent | Fate::InFlight(..) | Fate::Deleted => None,
        });
        let live = self.services.iter().filter_map(|service| service.live());
        let sound = live.filter(|live| !live.is_stalled).map(|live| live.turned);
        // What is visible waits for as long as SQS is silent.
        let visible = visible.filter(|_| self.queue_lost.is_none());
        let by_itself = visible.chain(sound).map(|since| since + self.script.patience_millis);
        let is_to_resume = |place: usize| {
            let letter = &self.letters[place];
            letter.fate == Fate::Unsent
                && !self.is_never_sent(place)
                && self.script.messages[letter.message].wishes.iter().any(|(_, wish)| *wish == Wish::Resume)
        };
        let resumed = (0..self.letters.len()).any(is_to_resume).then_some(LONGEST_PAUSE);
        let lost = self.queue_lost.map(|since| since + OUTAGE);
        by_itself.chain(lost).chain(resumed).min().unwrap_or(u64::MAX)
    }

    /// Tells the planner something, and takes up what it wants done.
    fn tell(&mut self, input: Input, step: &mut Step) {
        let now = Now {
            moment: Moment::from_millis(self.clock),
            wall: at(self.clock),
            jitter: Jitter(u16::MAX / 2),
        };
        let commands = self.planner.handle(now, input);
        step.broken.extend(self.planner.broken_promises(&commands));
        for command in commands {
            match command {
                Command::Glance(targets) => {
                    for target in targets {
                        let glance = Ok(self.services[self.place_of(&target)].glance());
                        self.tell(Input::Glanced { target, glance }, step);
                    }
                }
                Command::Extend(leases) if self.queue_lost.is_some() => {
                    self.tell(Input::NotExtended(leases), step);
                }
                Command::Extend(leases) => {
                    let until = self.clock + VISIBILITY;
                    for lease in &leases {
                        oracle::is_held(self, *lease, "extended", step);
                        self.letters[place_of(*lease)].fate = Fate::InFlight(until, Some(*lease));
                    }
                    let until = Moment::from_millis(until);
                    self.tell(Input::Extended { leases, until }, step);
                }
                Command::Report(report) => self.take_report(&report, step),
                Command::Start(ref order) => {
                    oracle::about_to_start(self, order, step);
                    self.take_up(command, step);
                }
                Command::Stop(ref order) => {
                    oracle::about_to_stop(self, order, step);
                    self.take_up(command, step);
                }
                Command::Look(_)
                | Command::Mark(_)
                | Command::Tag(_)
                | Command::Renew { .. }
                | Command::SetAside { .. }
                | Command::Delete(_) => {
                    self.take_up(command, step);
                }
            }
        }
    }

    fn take_up(&mut self, command: Command, step: &mut Step) {
        step.moved = true;
        step.told.push(match &command {
            Command::Look(order) => format!("look at {}", order.target.service()),
            Command::Start(order) => {
                format!("start {} of {} {:?}", order.target.service(), order.base, order.edits)
            }
            Command::Stop(order) => format!("stop {}", order.rollout),
            Command::Mark(order) => format!("mark {} {:?}", order.definition, order.marks.versions),
            Command::Tag(order) => format!("tag {} {:?}", order.target.service(), order.decision.verb),
            Command::SetAside { lease, letter } => format!("set {lease} aside: {}", letter.reason),
            Command::Delete(leases) => format!("delete {leases:?}"),
            Command::Renew { lease, .. } => format!("renew {lease}"),
            Command::Glance(_) | Command::Extend(_) | Command::Report(_) => String::new(),
        });
        self.calls.push(command.into());
    }

    fn take_report(&mut self, report: &Report, step: &mut Step) {
        match report {
            Report::Finished(record) => {
                let outcome = record.outcome.map_or("", |outcome| outcome.as_str());
                let reason = record.reason.as_deref().unwrap_or_default();
                step.told.push(format!("{} ended: {outcome}, {reason}", record.name));
                oracle::ended(self, record, step);
            }
            Report::Settled { event_id, reason } => {
                step.told.push(format!("{event_id} is settled by {}", reason.as_str()));
                if *reason == SettledBy::DryRun {
                    step.breaks(Promise::P5, "a dry run that nobody asked for");
                }
            }
            Report::LeaseLost { event_id } => step.told.push(format!("the hold on {event_id} is lost")),
            Report::Queued { .. }
            | Report::Dropped { .. }
            | Report::Hold { .. }
            | Report::Moot { .. }
            | Report::Moved(_)
            | Report::Retrying { .. }
            | Report::Warned(_)
            | Report::Foreign(_)
            | Report::PromiseBroken { .. } => {}
        }
    }

    pub fn place_of(&self, target: &TargetId) -> usize {
        (0..self.services.len()).find(|place| script::target(*place) == *target).expect("known")
    }

    /// Whether the settings allow a start over what is in progress.
    pub fn may_supersede(&self, place: usize) -> bool {
        let Some(live) = self.services[place].live() else { return true };
        let is_failing = live.failed_tasks >= 2 || live.created + TIMEOUT <= self.clock;
        live.state == RolloutState::InProgress
            && match self.script.on_newer {
                OnNewer::Queue => false,
                OnNewer::Interrupt => true,
                OnNewer::WhenFailing => is_failing,
            }
    }
}

fn planner(script: &Script) -> Planner {
    let mut settings = PlanSettings::new(Duration::from_millis(VISIBILITY));
    settings.flaws.clone_from(&script.flaws);
    settings.renew_after = script.renew_millis.map_or(settings.renew_after, Duration::from_millis);
    Planner::new(settings)
}

fn is_about_a_message(call: &Command) -> bool {
    matches!(call, Command::SetAside { .. } | Command::Delete(_) | Command::Renew { .. })
}

fn place_of(lease: LeaseId) -> usize {
    usize::try_from(lease.0 / 1_000).expect("small")
}
