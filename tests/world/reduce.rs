//! Which of the things that can happen have to be tried in each order, and which need not.
//!
//! Two things that touch different targets lead to the same state whichever comes first, so that one order stands for
//! both. Two rules leave orders out; every state that they pass over leads to one that is not passed over.
//!
//! - What a rollout does by itself is seen by nobody until its target is looked at, or time passes. It happens just
//!   before one of these can.
//! - While nothing else can happen to a target, a call about it is answered before all that concerns others.
//!
//! A crash touches everything: while there may be one, nothing is left out. Nor is it where somebody else may start
//! rollouts, which moves everybody's clock.

use lockkeeper::plan::Command;

use super::{Action, Fate, Shared, World};

impl World {
    /// Those of the enabled actions that stand for all of them.
    pub fn chosen(&self) -> Vec<Action> {
        let mut actions = self.enabled();
        if self.budget.crashes > 0
            || self.script.budget.strangers > 0
            || self.calls.is_empty()
            || self.calls.iter().any(|call| super::is_about_a_message(call))
        {
            return actions;
        }
        if let Some(place) = self.calls.iter().position(|call| self.is_alone(call)) {
            actions.clear();
            self.enabled_call(place, &mut actions);
            return actions;
        }
        let asked: Vec<Option<usize>> = self.calls.iter().map(|call| self.target_of(call)).collect();
        actions.retain(|action| match action {
            Action::Complete(place)
            | Action::Fail(place)
            | Action::GoBack(place)
            | Action::ArriveBack(place)
            | Action::Struggle(place)
            | Action::Stall(place) => asked.contains(&Some(*place)),
            Action::Send(_)
            | Action::Receive(_)
            | Action::ReceiveAgain(_)
            | Action::Answer(_)
            | Action::LoseAnswer(_)
            | Action::Throttle(_)
            | Action::Refresh(_)
            | Action::Move(_)
            | Action::LoseLease(_)
            | Action::Crash
            | Action::CrashAfterStart(_)
            | Action::Wait => true,
        });
        actions
    }

    /// Whether nothing else can happen now to the target of this call.
    fn is_alone(&self, call: &Shared<Command>) -> bool {
        let Some(place) = self.target_of(call) else { return false };
        let service = &self.services[place];
        // No two rollouts of a service are created at the same time: a start that has to wait moves everybody's clock.
        let is_timeless = service.rollouts.last().is_none_or(|last| last.created + 10 <= self.clock);
        let is_touched = |(message, letter): (&super::script::Message, &super::Letter)| {
            let concerns = message.wishes.iter().any(|(to, _)| *to == place);
            let is_open = match letter.fate {
                Fate::Unsent | Fate::Visible(_) => true,
                Fate::InFlight(_, Some(_)) => self.budget.again > 0 || self.budget.lost_leases > 0,
                Fate::InFlight(_, None) | Fate::Deleted => false,
            };
            concerns && is_open
        };
        is_timeless
            && service.live().is_none()
            && !self.script.messages.iter().zip(&self.letters).any(is_touched)
    }

    /// Whether somebody else may start a rollout of this service.
    pub(super) fn is_visited(&self, place: usize) -> bool {
        self.budget.strangers > 0 && (place == 0 || !self.script.first_only)
    }

    fn target_of(&self, call: &Command) -> Option<usize> {
        match call {
            Command::Look(order) => Some(self.place_of(&order.target)),
            Command::Start(order) => Some(self.place_of(&order.target)),
            Command::Stop(order) => Some(self.place_of(&order.target)),
            Command::Mark(order) => Some(self.place_of(&order.target)),
            Command::Glance(_)
            | Command::Extend(_)
            | Command::Renew { .. }
            | Command::SetAside { .. }
            | Command::Delete(_)
            | Command::Report(_) => None,
        }
    }
}
