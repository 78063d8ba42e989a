//! What readings of services show of what keeps targets back, told to the planner as far as it does not know better.

use super::{OLDEST_READ, Running, discover::Seen};
use crate::{domain::Moment, plan::Input};

impl Running {
    /// What the tags of a service say of what keeps it back, read at this moment or later. The planner is told unless it has
    /// seen or tagged the service itself since, or so shortly before that the reading may be older.
    pub(super) fn see_holds(&mut self, seen: &Seen, asked: Moment) {
        let target = &seen.sight.target;
        let is_newer = self.touched.get(target).is_none_or(|at| *at + OLDEST_READ <= asked);
        let concerns = seen.sight.hold.is_some() || self.planner.knows(target);
        if !is_newer || !concerns {
            return;
        }
        let settings = match self.engine.routes.settings_of(target) {
            Some((_, Some(_refused))) => return,
            Some((settings, None)) => Some(settings),
            // A pattern of names led to it, and the planner has its settings.
            None => None,
        };
        let (target, holds) = (target.clone(), seen.holds.clone());
        self.turn(Input::HoldsRead { target, settings, holds });
    }

    /// Remembers when this process itself has seen or changed a target last.
    pub(super) fn note(&mut self, now: Moment, input: &Input) {
        match input {
            Input::Looked { target, look: Ok(look) } => {
                self.engine.publisher.looked(target, look.taken_at);
                self.touched.insert(target.clone(), now);
            }
            Input::Tagged { target, .. } => drop(self.touched.insert(target.clone(), now)),
            _ => {}
        }
    }
}
