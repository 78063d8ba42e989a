//! The calls that the planner wants made: each takes effect and is answered, or not.

use std::sync::Arc;

use lockkeeper::domain::{
    CallFailure, Cause, HoldVerb, Holds, MarkOrder, Outcome, Remedy, RolloutState, StartOrder, Started,
    StopOrder, TagOrder, Timestamp,
};
use lockkeeper::plan::{Command, Input};

use super::{Fate, Letter, Step, Wish, World, at, ecs, oracle, place_of, script};

impl World {
    pub(super) fn answer(&mut self, call: Command, step: &mut Step) {
        match call {
            Command::Look(ref order) => {
                let target = order.target.clone();
                let look = Ok(Box::new(self.services[self.place_of(&target)].look(order, self.clock)));
                self.tell(Input::Looked { target, look }, step);
            }
            Command::Start(ref order) => {
                let (target, started) = (order.target.clone(), Ok(self.execute(order)));
                self.tell(Input::Started { target, started }, step);
            }
            Command::Stop(ref order) => {
                let (target, stopped) = (order.target.clone(), self.stop(order));
                self.tell(Input::Stopped { target, stopped }, step);
            }
            Command::Mark(ref order) => {
                self.mark(order);
                self.tell(Input::Marked { target: order.target.clone(), marked: Ok(()) }, step);
            }
            Command::Tag(ref order) => {
                let tagged = Ok(self.tag(order));
                self.tell(Input::Tagged { target: order.target.clone(), tagged }, step);
            }
            Command::SetAside { lease, ref letter } => {
                let target = letter.target.clone();
                let done = self.happen(&call, step);
                self.tell(Input::SetAside { lease, target, done }, step);
            }
            Command::Delete(ref leases) => {
                let leases = leases.clone();
                let done = self.happen(&call, step);
                self.tell(if done { Input::Deleted(leases) } else { Input::NotDeleted(leases) }, step);
            }
            Command::Renew { lease, .. } => {
                let done = self.happen(&call, step);
                self.tell(Input::Renewed { lease, done }, step);
            }
            Command::Glance(_) | Command::Extend(_) | Command::Report(_) => {}
        }
    }

    /// A call about messages takes effect, unless SQS is silent.
    fn happen(&mut self, call: &Command, step: &mut Step) -> bool {
        if self.queue_lost.is_some() {
            return false;
        }
        match call {
            Command::SetAside { lease, letter } => {
                let target = letter.target.as_ref().expect("messages name targets");
                let place = self.place_of(target);
                self.dead.insert((place_of(*lease), place));
                let has_failed = matches!(letter.outcome, Some(Outcome::Failed | Outcome::RolledBack));
                if has_failed && self.script.stop_after > 0 {
                    self.failed.insert((self.message(place_of(*lease)).event.clone(), place));
                }
            }
            Command::Delete(leases) => {
                for lease in leases {
                    oracle::about_to_delete(self, *lease, step);
                    let letter = &mut self.letters[place_of(*lease)];
                    // It is never received again: how often it was makes no difference any more.
                    (letter.fate, letter.receives) = (Fate::Deleted, 0);
                    self.remember_asked(place_of(*lease));
                }
            }
            Command::Renew { lease, targets } => {
                let renewed = self.letters[place_of(*lease)].clone();
                let only = targets.iter().map(|target| self.place_of(target)).collect();
                // What is about no target is confined to none.
                let only = if targets.is_empty() { renewed.only } else { Some(only) };
                self.copy(Letter { only, ..renewed });
            }
            Command::Look(_)
            | Command::Glance(_)
            | Command::Start(_)
            | Command::Stop(_)
            | Command::Mark(_)
            | Command::Tag(_)
            | Command::Extend(_)
            | Command::Report(_) => {}
        }
        true
    }

    /// The call at this place takes effect, and its answer is lost.
    pub(super) fn lose_answer(&mut self, place: usize, step: &mut Step) {
        let call = (*self.calls[place]).clone();
        match call {
            Command::Start(order) => {
                self.execute(&order);
                self.refuse(place, Cause::Timeout, Remedy::LookFirst, step);
            }
            Command::SetAside { lease, ref letter } => {
                self.calls.remove(place);
                self.happen(&call, step);
                let target = letter.target.clone();
                self.tell(Input::SetAside { lease, target, done: false }, step);
            }
            Command::Delete(ref leases) => {
                self.calls.remove(place);
                self.happen(&call, step);
                self.tell(Input::NotDeleted(leases.clone()), step);
            }
            Command::Renew { lease, .. } => {
                self.calls.remove(place);
                self.happen(&call, step);
                self.tell(Input::Renewed { lease, done: false }, step);
            }
            Command::Stop(ref order) => {
                self.calls.remove(place);
                let target = order.target.clone();
                let lost = |()| CallFailure {
                    cause: Cause::Timeout,
                    reason: "no answer".into(),
                    remedy: Remedy::LookFirst,
                };
                let stopped = self.stop(order).and_then(|done| Err(lost(done)));
                self.tell(Input::Stopped { target, stopped }, step);
            }
            Command::Mark(ref order) => {
                self.mark(order);
                self.refuse(place, Cause::Timeout, Remedy::LookFirst, step);
            }
            Command::Tag(ref order) => {
                self.tag(order);
                self.refuse(place, Cause::Timeout, Remedy::LookFirst, step);
            }
            Command::Look(_) | Command::Glance(_) | Command::Extend(_) | Command::Report(_) => {}
        }
    }

    /// The start, the marking or the stop at this place is refused. What may not be stopped now may never be.
    pub(super) fn refuse(&mut self, place: usize, cause: Cause, remedy: Remedy, step: &mut Step) {
        let failure = CallFailure { cause, reason: "no answer".into(), remedy };
        match (*self.calls.remove(place)).clone() {
            Command::Start(StartOrder { target, .. }) => {
                self.tell(Input::Started { target, started: Err(failure) }, step);
            }
            Command::Stop(StopOrder { target, .. }) => {
                let stopped = Err(CallFailure { remedy: Remedy::GiveUp, ..failure });
                self.tell(Input::Stopped { target, stopped }, step);
            }
            Command::Mark(MarkOrder { target, .. }) => {
                self.tell(Input::Marked { target, marked: Err(failure) }, step);
            }
            Command::Tag(TagOrder { target, .. }) => {
                self.tell(Input::Tagged { target, tagged: Err(failure) }, step);
            }
            Command::Look(_)
            | Command::Glance(_)
            | Command::Extend(_)
            | Command::Renew { .. }
            | Command::SetAside { .. }
            | Command::Delete(_)
            | Command::Report(_) => {}
        }
    }

    /// ECS goes back from a rollout, if that is still in progress.
    fn stop(&mut self, order: &StopOrder) -> Result<(), CallFailure> {
        let (place, now) = (self.place_of(&order.target), self.clock);
        let live = self.services[place].live_mut();
        let live =
            live.filter(|it| ecs::name(it.id) == order.rollout && it.state == RolloutState::InProgress);
        let Some(live) = live else {
            let (cause, remedy) = (Cause::Unknown, Remedy::GiveUp);
            return Err(CallFailure { cause, reason: "it has ended".into(), remedy });
        };
        live.go_back(now);
        Ok(())
    }

    fn tag(&mut self, order: &TagOrder) -> Holds {
        let place = self.place_of(&order.target);
        self.services[place].tag(order)
    }

    /// A resume is two calls: the process dies between them.
    fn tag_half(&mut self, order: &TagOrder) {
        let place = self.place_of(&order.target);
        let before = self.services[place].holds.clone();
        let Holds { paused, held, resumed } = self.tag(order);
        self.services[place].holds = match order.decision.verb {
            HoldVerb::Pause | HoldVerb::Hold => Holds { paused, held, resumed },
            HoldVerb::Resume => Holds { resumed, ..before },
        };
    }

    fn mark(&mut self, order: &MarkOrder) {
        let place = self.place_of(&order.target);
        self.services[place].mark(order);
    }

    /// What runs was asked for by a message that is gone now, maybe once more.
    fn remember_asked(&mut self, letter: usize) {
        let version = self.letters[letter].version;
        for (place, wish) in self.message(letter).wishes.clone() {
            if let Wish::Image(container, number) = wish {
                self.services[place].was_asked(container, &script::tag(number), version);
            }
        }
    }

    fn execute(&mut self, order: &StartOrder) -> Started {
        let place = self.place_of(&order.target);
        self.tick(place);
        let now = self.clock;
        let versions = self.letters.clone();
        let script = Arc::clone(&self.script);
        let service = &mut self.services[place];
        let back_at = script.rolled_back_at(order.marks.content, &versions);
        let asked_at =
            |tag: &str, claimed: Option<&Timestamp>| script.asked_at(place, tag, claimed, &versions);
        let revision = service.register(order, asked_at, back_at);
        let real = service.roll_out(now, revision, true);
        let (id, created_at) = (ecs::key(real.id), at(real.created));
        Started { id, created_at, definition: service.view(revision) }
    }

    /// No two rollouts of a service are created at the same time.
    fn tick(&mut self, place: usize) {
        let last = self.services[place].rollouts.last().map_or(0, |it| it.created);
        self.clock = self.clock.max(last + 10);
    }

    pub(super) fn crash_after(&mut self, place: usize) {
        match &*self.calls[place].clone() {
            Command::Start(order) => {
                self.execute(order);
            }
            Command::Stop(order) => {
                let _ = self.stop(order);
            }
            Command::Mark(order) => self.mark(order),
            Command::Tag(order) => self.tag_half(order),
            Command::Look(_)
            | Command::Glance(_)
            | Command::Extend(_)
            | Command::Renew { .. }
            | Command::SetAside { .. }
            | Command::Delete(_)
            | Command::Report(_) => {}
        }
        self.crash();
    }
}
