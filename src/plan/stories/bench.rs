//! A planner on a test bench: time passes only by what `next_wakeup` tells, and calls are answered by a small ECS.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    super::{Arrival, Asks, Command, DeadLetter, Input, Jitter, Now, PlanSettings, Planner},
    API, ecs, revision, target,
};
use crate::domain::{
    CallFailure, Cause, DeploymentRecord, HoldKind, HoldMove, LeaseId, Look, LookOrder, MarkOrder, Moment,
    Origin, Outcome, Remedy, Report, Request, RolloutState, SettledBy, StartOrder, TagOrder, TargetId,
    TargetSettings, Tasks, Timestamp,
};

/// The calls that a story may leave unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plan) enum Verb {
    Look,
    Glance,
    Start,
    Mark,
    Tag,
    Extend,
    SetAside,
    Delete,
}

pub(in crate::plan) struct Bench {
    pub(super) planner: Planner,
    /// How each planner is set up.
    plan: PlanSettings,
    pub(super) now: Moment,
    pub(super) jitter: Jitter,
    /// How the targets of the next messages are to be deployed.
    pub(super) settings: TargetSettings,
    /// How long a message is held once it is received.
    pub(super) held_for: Duration,
    /// Whether the next messages were received before.
    pub(super) is_again: bool,
    pub(super) scenes: BTreeMap<TargetId, Look>,
    /// What runs of what ECS goes back to, as glances show it.
    pub(super) returned: Tasks,
    /// Calls that are answered by nobody, until a story does.
    pub(super) unanswered: BTreeSet<Verb>,
    pub(super) failing_starts: VecDeque<CallFailure>,
    pub(super) failing_looks: VecDeque<CallFailure>,
    pub(super) failing_glances: VecDeque<CallFailure>,
    pub(super) failing_marks: VecDeque<CallFailure>,
    pub(super) failing_tags: VecDeque<CallFailure>,
    pub(super) failing_letters: u32,
    pub(super) failing_deletions: u32,
    pub(super) log: Vec<(Moment, Command)>,
    leases: u64,
    rollouts: u32,
}

/// A failure that is tried again.
pub(in crate::plan) fn transient(remedy: Remedy) -> CallFailure {
    CallFailure { cause: Cause::Throttled, reason: "UpdateService: slow down".into(), remedy }
}

impl Bench {
    /// Nothing is held at second 1000, `api` runs `api:1`, and leases last for longer than any story.
    pub(super) fn new() -> Self {
        Self::with(PlanSettings::new(Duration::from_hours(12)))
    }

    pub(super) fn with(settings: PlanSettings) -> Self {
        Self {
            held_for: settings.visibility,
            is_again: false,
            planner: Planner::new(settings.clone()),
            plan: settings,
            now: Moment::from_millis(1_000_000),
            jitter: Jitter(0),
            settings: TargetSettings { rollback: false, ..TargetSettings::named(API.into()) },
            scenes: BTreeMap::new(),
            returned: Tasks::default(),
            unanswered: BTreeSet::new(),
            failing_starts: VecDeque::new(),
            failing_looks: VecDeque::new(),
            failing_glances: VecDeque::new(),
            failing_marks: VecDeque::new(),
            failing_tags: VecDeque::new(),
            failing_letters: 0,
            failing_deletions: 0,
            log: Vec::new(),
            leases: 0,
            rollouts: 0,
        }
    }

    /// Receives a message of its own event.
    pub(super) fn receive(&mut self, message: &str, requests: impl Into<Vec<Request>>) -> LeaseId {
        self.receive_event(message, message, requests)
    }

    pub(super) fn receive_event(
        &mut self,
        message: &str,
        event: &str,
        requests: impl Into<Vec<Request>>,
    ) -> LeaseId {
        let settings = Arc::new(self.settings.clone());
        let fill = |request: Request| {
            let origin = Origin { event_id: event.into(), ..(*request.origin).clone() };
            Request { settings: Arc::clone(&settings), origin: Arc::new(origin), ..request }
        };
        let requests = requests.into().into_iter().map(fill).collect();
        self.arrive(message, event, Asks::Changes(requests))
    }

    pub(super) fn arrive(&mut self, message: &str, event: &str, asks: Asks) -> LeaseId {
        self.leases += 1;
        let lease = LeaseId(self.leases);
        let expires = self.now + self.held_for;
        let (message, event) = (message.into(), event.into());
        self.tell(Input::Arrived(Arrival { lease, message, event, expires, is_again: self.is_again, asks }));
        lease
    }

    /// Tells the planner something, and answers what it then calls for, and what follows from that.
    pub(super) fn tell(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let mut turns = 0;
        while let Some(input) = inputs.pop_front() {
            turns += 1;
            assert!(turns < 5_000, "it never ends: {input:?}");
            let now = Now { moment: self.now, wall: self.wall(), jitter: self.jitter };
            let commands = self.planner.handle(now, input);
            assert_eq!(self.planner.broken_promises(&commands), []);
            for command in commands {
                inputs.extend(self.answers(&command));
                self.log.push((self.now, command));
            }
        }
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.now.as_millis()).unwrap())
    }

    /// Lets seconds pass; the planner is woken when it asked to be, and never else.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.pass_ms(seconds * 1000);
    }

    pub(super) fn pass_ms(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        let mut turns = 0;
        while let Some(at) = self.planner.next_wakeup().filter(|at| *at <= end) {
            turns += 1;
            assert!(turns < 5_000, "it spins at {at:?}");
            self.now = self.now.max(at);
            self.tell(Input::Wakeup);
        }
        self.now = end;
    }

    /// The process is killed, and another one starts that knows nothing.
    pub(super) fn crash(&mut self) {
        self.planner = Planner::new(self.plan.clone());
    }

    /// What ECS shows of `api`.
    pub(super) fn scene(&mut self) -> &mut Look {
        self.scene_of(&target(API))
    }

    pub(super) fn scene_of(&mut self, target: &TargetId) -> &mut Look {
        self.scenes.entry(target.clone()).or_insert_with(|| ecs::at_rest(revision(1, "v1")))
    }

    /// The newest rollout of `api` comes this far, and there is time to see it.
    pub(super) fn rollout_is(&mut self, state: RolloutState) {
        ecs::turn_to(self.scene(), state);
        self.pass(4);
    }

    fn answers(&mut self, command: &Command) -> Vec<Input> {
        match command {
            Command::Look(order) if self.hears(Verb::Look) => vec![self.looked(order)],
            Command::Glance(targets) if self.hears(Verb::Glance) => {
                targets.iter().map(|target| self.glanced(target)).collect()
            }
            Command::Start(order) if self.hears(Verb::Start) => vec![self.started(order)],
            Command::Mark(order) if self.hears(Verb::Mark) => vec![self.marked(order)],
            Command::Tag(order) if self.hears(Verb::Tag) => vec![self.tagged(order)],
            Command::Extend(leases) if self.hears(Verb::Extend) => {
                vec![Input::Extended { leases: leases.clone(), until: self.now + self.held_for }]
            }
            Command::SetAside { lease, letter } if self.hears(Verb::SetAside) => {
                let done = take_one(&mut self.failing_letters).is_none();
                vec![Input::SetAside { lease: *lease, target: letter.target.clone(), done }]
            }
            Command::Delete(leases) if self.hears(Verb::Delete) => {
                match take_one(&mut self.failing_deletions) {
                    None => vec![Input::Deleted(leases.clone())],
                    Some(()) => vec![Input::NotDeleted(leases.clone())],
                }
            }
            Command::Look(_)
            | Command::Glance(_)
            | Command::Start(_)
            | Command::Stop(_)
            | Command::Mark(_)
            | Command::Tag(_)
            | Command::Extend(_)
            | Command::Renew { .. }
            | Command::SetAside { .. }
            | Command::Delete(_)
            | Command::Report(_) => Vec::new(),
        }
    }

    fn hears(&self, verb: Verb) -> bool {
        !self.unanswered.contains(&verb)
    }

    pub(super) fn looked(&mut self, order: &LookOrder) -> Input {
        let now = self.wall();
        let look = match self.failing_looks.pop_front() {
            Some(failure) => Err(failure),
            None => Ok(Box::new(ecs::look(self.scene_of(&order.target), order, now))),
        };
        Input::Looked { target: order.target.clone(), look }
    }

    pub(super) fn marked(&mut self, order: &MarkOrder) -> Input {
        let marked = self.failing_marks.pop_front().map_or(Ok(()), Err);
        if marked.is_ok() {
            ecs::mark(self.scene_of(&order.target), order);
        }
        Input::Marked { target: order.target.clone(), marked }
    }

    pub(super) fn tagged(&mut self, order: &TagOrder) -> Input {
        let target = order.target.clone();
        if let Some(failure) = self.failing_tags.pop_front() {
            return Input::Tagged { target, tagged: Err(failure) };
        }
        let scene = self.scene_of(&target);
        scene.holds = scene.holds.after(&order.decision).unwrap_or_else(|| scene.holds.clone());
        let tagged = Ok(scene.holds.clone());
        Input::Tagged { target, tagged }
    }

    /// What became of what keeps targets back.
    pub(super) fn hold_moves(&self) -> Vec<(HoldKind, &HoldMove)> {
        self.reports()
            .into_iter()
            .filter_map(|it| match it {
                Report::Hold { hold, moved, .. } => Some((hold.kind, moved)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn glanced(&mut self, target: &TargetId) -> Input {
        let (failing, returned) = (self.failing_glances.pop_front(), self.returned);
        let glance = failing.map_or_else(|| Ok(ecs::glance(self.scene_of(target), returned)), Err);
        Input::Glanced { target: target.clone(), glance }
    }

    /// Starts what was ordered. Rollouts are called `r1`, `r2` and so on.
    pub(super) fn started(&mut self, order: &StartOrder) -> Input {
        let target = order.target.clone();
        if let Some(failure) = self.failing_starts.pop_front() {
            return Input::Started { target, started: Err(failure) };
        }
        self.rollouts += 1;
        let (name, now) = (format!("r{}", self.rollouts), self.wall());
        let started = ecs::start(self.scene_of(&target), &name, order, now);
        Input::Started { target, started: Ok(started) }
    }
}

fn take_one(left: &mut u32) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

/// What the planner has asked for and told so far.
impl Bench {
    fn commands(&self) -> impl Iterator<Item = &Command> {
        self.log.iter().map(|(_, command)| command)
    }

    fn times_of(&self, is_it: impl Fn(&Command) -> bool) -> Vec<u64> {
        self.log.iter().filter(|(_, it)| is_it(it)).map(|(at, _)| at.as_millis()).collect()
    }

    pub(super) fn starts(&self) -> Vec<&StartOrder> {
        self.commands()
            .filter_map(|it| if let Command::Start(order) = it { Some(order) } else { None })
            .collect()
    }

    pub(super) fn marks(&self) -> Vec<MarkOrder> {
        self.commands()
            .filter_map(|it| if let Command::Mark(order) = it { Some(order.clone()) } else { None })
            .collect()
    }

    pub(super) fn looks(&self) -> Vec<&LookOrder> {
        self.commands()
            .filter_map(|it| if let Command::Look(order) = it { Some(order) } else { None })
            .collect()
    }

    pub(super) fn glances(&self) -> Vec<&Vec<TargetId>> {
        self.commands().filter_map(|it| if let Command::Glance(of) = it { Some(of) } else { None }).collect()
    }

    /// When starts were ordered, in milliseconds.
    pub(super) fn start_times(&self) -> Vec<u64> {
        self.times_of(|it| matches!(it, Command::Start(_)))
    }

    pub(super) fn look_times(&self) -> Vec<u64> {
        self.times_of(|it| matches!(it, Command::Look(_)))
    }

    pub(super) fn glance_times(&self) -> Vec<u64> {
        self.times_of(|it| matches!(it, Command::Glance(_)))
    }

    pub(super) fn deletions(&self) -> Vec<Vec<u64>> {
        let ids = |leases: &Vec<LeaseId>| leases.iter().map(|lease| lease.0).collect();
        self.commands()
            .filter_map(|it| if let Command::Delete(of) = it { Some(ids(of)) } else { None })
            .collect()
    }

    pub(super) fn extensions(&self) -> Vec<Vec<u64>> {
        let ids = |leases: &Vec<LeaseId>| leases.iter().map(|lease| lease.0).collect();
        self.commands()
            .filter_map(|it| if let Command::Extend(of) = it { Some(ids(of)) } else { None })
            .collect()
    }

    pub(super) fn letters(&self) -> Vec<(u64, &DeadLetter)> {
        self.commands()
            .filter_map(|it| match it {
                Command::SetAside { lease, letter } => Some((lease.0, &**letter)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn reports(&self) -> Vec<&Report> {
        self.commands().filter_map(|it| if let Command::Report(it) = it { Some(it) } else { None }).collect()
    }

    /// The deployments that have ended.
    pub(super) fn ended(&self) -> Vec<&DeploymentRecord> {
        self.reports()
            .into_iter()
            .filter_map(|it| match it {
                Report::Finished(record) => Some(&**record),
                _ => None,
            })
            .collect()
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.ended().iter().filter_map(|record| record.outcome).collect()
    }

    /// How the last deployment ended, why, and what was said about it.
    pub(super) fn end(&self) -> (Outcome, Option<Cause>, String) {
        let record = *self.ended().last().expect("a deployment has ended");
        (record.outcome.unwrap(), record.cause, record.reason.clone().unwrap_or_default())
    }

    /// The events whose messages were deleted, each with the reason.
    pub(super) fn settled(&self) -> Vec<(&str, SettledBy)> {
        self.reports()
            .into_iter()
            .filter_map(|it| match it {
                Report::Settled { event_id, reason } => Some((event_id.as_str(), *reason)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn dropped(&self) -> Vec<&str> {
        self.reports()
            .into_iter()
            .filter_map(|it| match it {
                Report::Dropped { reason, .. } => Some(&**reason),
                _ => None,
            })
            .collect()
    }

    /// When another attempt was announced: in so many milliseconds, with so many left.
    pub(super) fn retries(&self) -> Vec<(u64, u32)> {
        self.reports()
            .into_iter()
            .filter_map(|it| match it {
                Report::Retrying { delay_ms, attempts_left, .. } => Some((*delay_ms, *attempts_left)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn lost(&self) -> usize {
        self.reports().into_iter().filter(|it| matches!(it, Report::LeaseLost { .. })).count()
    }

    /// What was ordered last, as the image of `web`, or nothing where the definition is taken as it is.
    pub(super) fn ordered_image(&self) -> Option<String> {
        let order = *self.starts().last().expect("a start was ordered");
        order.edits.get(&"web".into()).map(|image| image.effective_tag().unwrap().to_string())
    }

    pub(super) fn ordered_base(&self) -> String {
        self.starts().last().expect("a start was ordered").base.to_string()
    }
}
