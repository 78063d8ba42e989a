//! What can happen, and when.

use std::fmt;

use lockkeeper::domain::RolloutState;
use lockkeeper::plan::Command;

use super::{Fate, Shared, World, ecs::Real, is_about_a_message};

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
    /// The call at this place, which changes something, takes effect, and its answer is lost.
    LoseAnswer(usize),
    /// The start at this place is throttled.
    Throttle(usize),
    /// The start, the marking or the tagging at this place fails, and did nothing; or the stop, for good.
    Refuse(usize),
    /// The rollout in progress completes.
    Complete(usize),
    /// The rollout in progress fails, and nothing undoes it.
    Fail(usize),
    /// The rollout in progress fails, and ECS goes back.
    GoBack(usize),
    /// ECS has gone back.
    ArriveBack(usize),
    /// The rollout in progress fails, because there is no room for its tasks.
    LackRoom(usize),
    /// Two tasks of the rollout in progress fail.
    Struggle(usize),
    /// The rollout in progress makes no progress for as long as nobody ends it.
    Stall(usize),
    /// Somebody forces new tasks.
    Refresh(usize),
    /// Somebody moves the service to a definition of theirs.
    Move(usize),
    /// SQS does not answer any more.
    LoseQueue,
    /// SQS answers again.
    FindQueue,
    /// The letter at this place is put back on the queue, and then deleted from where it was.
    Replay(usize),
    /// Whoever puts it back is interrupted before it is deleted.
    ReplayHalf(usize),
    /// SQS gives a held message to somebody else.
    LoseLease(usize),
    /// The process dies, and another begins.
    Crash,
    /// The process dies once the call at this place has taken effect, and another begins.
    CrashAfter(usize),
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
            | Self::FindQueue
            | Self::Wait => true,
            Self::ReceiveAgain(_)
            | Self::LoseAnswer(_)
            | Self::Throttle(_)
            | Self::Refuse(_)
            | Self::Fail(_)
            | Self::GoBack(_)
            | Self::LackRoom(_)
            | Self::Struggle(_)
            | Self::Stall(_)
            | Self::Refresh(_)
            | Self::Move(_)
            | Self::LoseQueue
            | Self::Replay(_)
            | Self::ReplayHalf(_)
            | Self::LoseLease(_)
            | Self::Crash
            | Self::CrashAfter(_) => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl World {
    /// What can happen now.
    pub fn enabled(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.is_at_rest() {
            let letters = 0..if self.budget.replays > 0 { self.dead.len() } else { 0 };
            return letters.flat_map(|place| [Action::Replay(place), Action::ReplayHalf(place)]).collect();
        }
        let crash = (self.budget.crashes > 0).then_some(Action::Crash);
        if let Some(place) = self.calls.iter().position(|call| is_about_a_message(call)) {
            actions.push(Action::Answer(place));
            let is_answering = self.queue_lost.is_none() && self.budget.lost_answers > 0;
            actions.extend(is_answering.then_some(Action::LoseAnswer(place)));
            actions.extend(crash);
            return actions;
        }
        for place in 0..self.calls.len() {
            // Calls about different targets do not touch each other, so that their order makes no difference; but of two
            // starts a crash lets either come alone.
            if place == 0 || self.budget.crashes > 0 && changes_ecs(&self.calls[place]) {
                self.enabled_call(place, &mut actions);
            }
        }
        self.enabled_queue(&mut actions);
        self.enabled_rollouts(&mut actions);
        actions.extend(crash.filter(|_| self.planner.held() > 0));
        actions
            .extend((self.calls.is_empty() && self.clock < self.script.end_millis).then_some(Action::Wait));
        actions
    }

    fn enabled_queue(&self, actions: &mut Vec<Action>) {
        if self.queue_lost.is_some() {
            return actions.push(Action::FindQueue);
        }
        for (place, letter) in self.letters.iter().enumerate() {
            match letter.fate {
                Fate::Unsent if self.is_never_sent(place) => {}
                Fate::Unsent => actions.push(Action::Send(place)),
                Fate::Visible(_) => actions.push(Action::Receive(place)),
                Fate::InFlight(_, Some(_)) => {
                    actions.extend((self.budget.again > 0).then_some(Action::ReceiveAgain(place)));
                    actions.extend((self.budget.lost_leases > 0).then_some(Action::LoseLease(place)));
                }
                Fate::InFlight(_, None) | Fate::Deleted => {}
            }
        }
        let is_holding = self.budget.outages > 0 && self.planner.held() > 0;
        actions.extend(is_holding.then_some(Action::LoseQueue));
    }

    fn enabled_call(&self, place: usize, actions: &mut Vec<Action>) {
        actions.push(Action::Answer(place));
        let call = &*self.calls[place];
        if changes_ecs(call) {
            actions.extend((self.budget.lost_answers > 0).then_some(Action::LoseAnswer(place)));
            actions.extend((self.budget.crashes > 0).then_some(Action::CrashAfter(place)));
        }
        if changes_ecs(call) {
            actions.extend((self.budget.refusals > 0).then_some(Action::Refuse(place)));
        }
        if matches!(call, Command::Start(_)) {
            actions.extend((self.budget.throttles > 0).then_some(Action::Throttle(place)));
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
                    actions.extend((self.budget.shortages > 0).then_some(Action::LackRoom(place)));
                }
                None => {}
            }
            if self.budget.strangers > 0 && (place == 0 || !self.script.first_only) {
                actions.extend([Action::Refresh(place), Action::Move(place)]);
            }
        }
    }
}

fn changes_ecs(call: &Command) -> bool {
    matches!(call, Command::Start(_) | Command::Stop(_) | Command::Mark(_) | Command::Tag(_))
}
