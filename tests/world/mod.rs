//! A world in miniature around the planner: a queue, ECS and a clock, whose every step is an action that the tests
//! choose. After each step the promises are held against what is true in it, whatever the planner believes.

pub mod ecs;
mod oracle;
mod reduce;
mod script;
mod shared;

use std::{
    collections::BTreeSet,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use lockkeeper::domain::{
    CallFailure, Cause, LeaseId, Moment, OnNewer, Remedy, Report, RolloutState, SettledBy, StartOrder,
    Started, TargetId, Timestamp,
};
use lockkeeper::plan::{
    Arrival, Asks, Command, Flaw, Input, Jitter, Now, PlanSettings, Planner, Promise, Violation,
};

use ecs::{Real, Service};
pub use script::{Budget, NOTHING, Script, Wish};
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

/// Nobody waits longer than until then: by that time every deadline has passed more than once.
const END: u64 = BEGIN + 8 * TIMEOUT;

/// A time of the world by AWS's clock.
pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(BASE_MILLIS + i64::try_from(millis).expect("small"))
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A message is sent now.
    Send(usize),
    /// A message that is visible is received.
    Receive(usize),
    /// A message that is held already is received once more.
    ReceiveAgain(usize),
    /// The call at this place is made and answered.
    Answer(usize),
    /// The start at this place takes effect, and its answer is lost.
    LoseAnswer(usize),
    /// The start at this place is throttled.
    Throttle(usize),
    /// The rollout in progress completes.
    Complete(usize),
    /// The rollout in progress fails, and nothing undoes it.
    Fail(usize),
    /// The rollout in progress fails, and ECS goes back.
    GoBack(usize),
    /// ECS has gone back.
    ArriveBack(usize),
    /// Two tasks of the rollout in progress fail.
    Struggle(usize),
    /// The rollout in progress makes no progress for as long as nobody ends it.
    Stall(usize),
    /// Somebody forces new tasks.
    Refresh(usize),
    /// Somebody moves the service to a definition of theirs.
    Move(usize),
    /// SQS gives a held message to somebody else.
    LoseLease(usize),
    /// The process dies, and another begins.
    Crash,
    /// The process dies once its start has taken effect, and another begins.
    CrashAfterStart(usize),
    /// Time passes until something comes of it.
    Wait,
}

impl Action {
    /// Whether the world does this by itself where nothing goes wrong.
    pub fn is_calm(self) -> bool {
        match self {
            Self::Send(_)
            | Self::Receive(_)
            | Self::Answer(_)
            | Self::Complete(_)
            | Self::ArriveBack(_)
            | Self::Wait => true,
            Self::ReceiveAgain(_)
            | Self::LoseAnswer(_)
            | Self::Throttle(_)
            | Self::Fail(_)
            | Self::GoBack(_)
            | Self::Struggle(_)
            | Self::Stall(_)
            | Self::Refresh(_)
            | Self::Move(_)
            | Self::LoseLease(_)
            | Self::Crash
            | Self::CrashAfterStart(_) => false,
        }
    }
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
    pub fate: Fate,
    pub version: u64,
    receives: u64,
}

/// The whole world.
#[derive(Clone, Debug)]
pub struct World {
    pub script: Arc<Script>,
    pub clock: u64,
    pub letters: Vec<Letter>,
    /// What was set aside: message and target.
    pub dead: BTreeSet<(usize, usize)>,
    pub services: Vec<Shared<Service>>,
    pub planner: Shared<Planner>,
    pub calls: Vec<Shared<Command>>,
    pub budget: Budget,
}

impl Hash for World {
    /// Of one script alone: it is not hashed itself.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { script: _, clock, letters, dead, services, planner, calls, budget } = self;
        (clock, letters, dead, services, planner, calls, budget).hash(state);
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
        let letters = script.messages.iter().map(|message| Letter {
            fate: if message.version.is_some() { Fate::Visible(BEGIN) } else { Fate::Unsent },
            version: message.version.unwrap_or(0),
            receives: 0,
        });
        Self {
            clock: BEGIN,
            letters: letters.collect(),
            dead: BTreeSet::new(),
            services: script.services().into_iter().map(Shared::from).collect(),
            planner: planner(&script.flaws).into(),
            calls: Vec::new(),
            budget: script.budget,
            script,
        }
    }

    /// Whether nothing is owed, and nothing goes on.
    pub fn is_at_rest(&self) -> bool {
        self.calls.is_empty()
            && self.letters.iter().all(|letter| letter.fate == Fate::Deleted)
            && self.services.iter().all(|service| service.live().is_none())
    }

    /// What can happen now.
    pub fn enabled(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let crash = (self.budget.crashes > 0).then_some(Action::Crash);
        if let Some(place) = self.calls.iter().position(|call| is_about_a_message(call)) {
            actions.push(Action::Answer(place));
            actions.extend(crash);
            return actions;
        }
        for place in 0..self.calls.len() {
            // Calls about different targets do not touch each other, so that their order makes no difference; but of two
            // starts a crash lets either come alone.
            if place == 0 || self.budget.crashes > 0 && matches!(*self.calls[place], Command::Start(_)) {
                self.enabled_call(place, &mut actions);
            }
        }
        for (place, letter) in self.letters.iter().enumerate() {
            match letter.fate {
                Fate::Unsent => actions.push(Action::Send(place)),
                Fate::Visible(_) => actions.push(Action::Receive(place)),
                Fate::InFlight(_, Some(_)) => {
                    actions.extend((self.budget.again > 0).then_some(Action::ReceiveAgain(place)));
                    actions.extend((self.budget.lost_leases > 0).then_some(Action::LoseLease(place)));
                }
                Fate::InFlight(_, None) | Fate::Deleted => {}
            }
        }
        self.enabled_rollouts(&mut actions);
        actions.extend(crash.filter(|_| self.planner.held() > 0));
        actions.extend((self.calls.is_empty() && self.clock < END).then_some(Action::Wait));
        actions
    }

    fn enabled_call(&self, place: usize, actions: &mut Vec<Action>) {
        actions.push(Action::Answer(place));
        if matches!(*self.calls[place], Command::Start(_)) {
            actions.extend((self.budget.lost_answers > 0).then_some(Action::LoseAnswer(place)));
            actions.extend((self.budget.throttles > 0).then_some(Action::Throttle(place)));
            actions.extend((self.budget.crashes > 0).then_some(Action::CrashAfterStart(place)));
        }
    }

    fn enabled_rollouts(&self, actions: &mut Vec<Action>) {
        for (place, service) in self.services.iter().enumerate() {
            let is_starting = |call: &Shared<Command>| matches!(&**call, Command::Start(order) if self.place_of(&order.target) == place);
            let is_young = |live: &Real| !live.ours || live.failed_tasks > 0 || live.is_stalled;
            let is_too_soon = |live: &Real| is_young(live) && self.calls.iter().any(is_starting);
            if service.live().is_some_and(is_too_soon) {
                // A call takes far less time than a rollout that began while it was under way, or than one that fails to
                // recover.
                continue;
            }
            match service.live().map(|live| (live.state, live.failed_tasks)) {
                Some((RolloutState::RollingBack, _)) => actions.push(Action::ArriveBack(place)),
                Some((_, failed)) => {
                    actions.push(Action::Complete(place));
                    if self.budget.failures > 0 {
                        actions.extend([Action::Fail(place), Action::GoBack(place), Action::Stall(place)]);
                        actions.extend((failed == 0).then_some(Action::Struggle(place)));
                    }
                }
                None => {}
            }
            if self.is_visited(place) {
                actions.extend([Action::Refresh(place), Action::Move(place)]);
            }
        }
    }

    /// Lets one thing happen.
    pub fn step(&mut self, action: Action) -> Step {
        let mut step = Step::default();
        match action {
            Action::Send(place) => {
                self.letters[place].version = self.time_of_event(place);
                self.letters[place].fate = Fate::Visible(self.clock);
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
                self.refuse(place, true, &mut step);
            }
            Action::Throttle(place) => {
                self.budget.throttles -= 1;
                self.refuse(place, false, &mut step);
            }
            Action::Complete(place) => self.turn_to(place, RolloutState::Succeeded),
            Action::Fail(place) => {
                self.budget.failures -= 1;
                self.turn_to(place, RolloutState::Failed);
            }
            Action::GoBack(place) => {
                self.budget.failures -= 1;
                self.turn_to(place, RolloutState::RollingBack);
            }
            Action::ArriveBack(place) => self.turn_to(place, RolloutState::RolledBack),
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
                self.clock = (self.clock + 1).next_multiple_of(GRAIN);
                let service = &mut self.services[place];
                let revision = service.current();
                service.roll_out(self.clock, revision, false);
            }
            Action::Move(place) => {
                self.budget.strangers -= 1;
                self.clock = (self.clock + 1).next_multiple_of(GRAIN);
                self.services[place].move_by_somebody(self.clock);
            }
            Action::LoseLease(place) => self.lose_lease(place, &mut step),
            Action::Crash => self.crash(),
            Action::CrashAfterStart(place) => {
                if let Command::Start(order) = &*self.calls[place].clone() {
                    self.execute(order);
                }
                self.crash();
            }
            Action::Wait => self.wait(&mut step),
        }
        if self.is_at_rest() {
            oracle::at_rest(self, &mut step);
        }
        step
    }

    /// An event has one time, in whole seconds, however many messages tell of it.
    fn time_of_event(&self, place: usize) -> u64 {
        let messages = self.script.messages.iter().zip(&self.letters);
        let told = messages.filter(|(it, letter)| {
            it.event == self.script.messages[place].event && letter.fate != Fate::Unsent
        });
        told.map(|(_, letter)| letter.version).next().unwrap_or(self.clock / 1_000 * 1_000)
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
        letter.fate = Fate::InFlight(self.clock + VISIBILITY, Some(lease));
        let version = letter.version;
        let arrival = Arrival {
            lease,
            message: format!("message-{place}").into(),
            event: self.script.messages[place].event.as_str().into(),
            expires: Moment::from_millis(self.clock + VISIBILITY),
            asks: Asks::Changes(self.script.requests(place, version)),
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
        self.planner = planner(&self.script.flaws).into();
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
        let sound = live.filter(|live| !live.is_stalled).map(|live| live.created);
        visible.chain(sound).map(|since| since + self.script.patience_millis).min().unwrap_or(u64::MAX)
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
                Command::Extend(leases) => {
                    let until = self.clock + VISIBILITY;
                    for lease in &leases {
                        self.letters[place_of(*lease)].fate = Fate::InFlight(until, Some(*lease));
                    }
                    let until = Moment::from_millis(until);
                    self.tell(Input::Extended { leases, until }, step);
                }
                Command::Renew { .. } => {}
                Command::Report(report) => self.take_report(&report, step),
                Command::Start(ref order) => {
                    oracle::about_to_start(self, order, step);
                    self.take_up(command, step);
                }
                Command::Look(_)
                | Command::Stop(_)
                | Command::Mark(_)
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
            Command::SetAside { lease, letter } => format!("set {lease} aside: {}", letter.reason),
            Command::Delete(leases) => format!("delete {leases:?}"),
            Command::Glance(_) | Command::Extend(_) | Command::Renew { .. } | Command::Report(_) => {
                String::new()
            }
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
            | Report::Moved(_)
            | Report::Retrying { .. }
            | Report::PromiseBroken { .. } => {}
        }
    }

    fn answer(&mut self, call: Command, step: &mut Step) {
        match call {
            Command::Look(order) => {
                let target = order.target.clone();
                let look = Ok(Box::new(self.services[self.place_of(&target)].look(&order, self.clock)));
                self.tell(Input::Looked { target, look }, step);
            }
            Command::Start(order) => {
                let started = Ok(self.execute(&order));
                self.tell(Input::Started { target: order.target, started }, step);
            }
            Command::Stop(order) => {
                let place = self.place_of(&order.target);
                self.turn_to(place, RolloutState::RollingBack);
                self.tell(Input::Stopped { target: order.target, stopped: Ok(()) }, step);
            }
            Command::Mark(order) => {
                let place = self.place_of(&order.target);
                self.services[place].mark(&order);
                self.tell(Input::Marked { target: order.target, marked: Ok(()) }, step);
            }
            Command::SetAside { lease, letter } => {
                let target = letter.target.clone();
                let place =
                    target.as_ref().map(|target| self.place_of(target)).expect("messages name targets");
                self.dead.insert((place_of(lease), place));
                self.tell(Input::SetAside { lease, target, done: true }, step);
            }
            Command::Delete(leases) => {
                for lease in &leases {
                    oracle::about_to_delete(self, place_of(*lease), step);
                    self.letters[place_of(*lease)].fate = Fate::Deleted;
                    self.remember_asked(place_of(*lease));
                }
                self.tell(Input::Deleted(leases), step);
            }
            Command::Glance(_) | Command::Extend(_) | Command::Renew { .. } | Command::Report(_) => {}
        }
    }

    /// What runs was asked for by a message that is gone now, maybe once more.
    fn remember_asked(&mut self, message: usize) {
        let version = self.letters[message].version;
        for (place, wish) in self.script.messages[message].wishes.clone() {
            if let Wish::Image(container, number) = wish {
                self.services[place].was_asked(container, &script::tag(number), version);
            }
        }
    }

    /// The start at this place is not answered as it should be.
    fn refuse(&mut self, place: usize, takes_effect: bool, step: &mut Step) {
        let Command::Start(order) = (*self.calls.remove(place)).clone() else { return };
        let (cause, remedy) = if takes_effect {
            self.execute(&order);
            (Cause::Timeout, Remedy::LookFirst)
        } else {
            (Cause::Throttled, Remedy::Wait)
        };
        let failure = CallFailure { cause, reason: "no answer".into(), remedy };
        self.tell(Input::Started { target: order.target, started: Err(failure) }, step);
    }

    fn execute(&mut self, order: &StartOrder) -> Started {
        let place = self.place_of(&order.target);
        self.tick(place);
        let now = self.clock;
        let versions = self.letters.clone();
        let script = Arc::clone(&self.script);
        let service = &mut self.services[place];
        let revision =
            service.register(order, |tag, claimed| script.asked_at(place, tag, claimed, &versions));
        let real = service.roll_out(now, revision, true);
        let (id, created_at) = (ecs::key(real.id), at(real.created));
        Started { id, created_at, definition: service.view(revision) }
    }

    /// No two rollouts of a service are created at the same time.
    fn tick(&mut self, place: usize) {
        let last = self.services[place].rollouts.last().map_or(0, |it| it.created);
        self.clock = self.clock.max(last + 10);
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

fn planner(flaws: &BTreeSet<Flaw>) -> Planner {
    let mut settings = PlanSettings::new(Duration::from_millis(VISIBILITY));
    settings.flaws.clone_from(flaws);
    Planner::new(settings)
}

fn is_about_a_message(call: &Command) -> bool {
    matches!(call, Command::SetAside { .. } | Command::Delete(_))
}

fn place_of(lease: LeaseId) -> usize {
    usize::try_from(lease.0 / 1_000).expect("small")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
