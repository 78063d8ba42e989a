//! What readings of services show of what keeps targets back, told to the planner as far as it does not know better.

use std::time::Duration;

use super::{
    OLDEST_READ, Running,
    discover::{Seen, Word},
};
use crate::{
    domain::{Moment, TargetId},
    inventory::{Absence, Update},
    plan::{Input, Now},
    settings::of_tags,
};

/// Where something waits behind a pause or a hold, the tags are read this often: who removes one by hand waits for it.
const TAGS_PERIOD: Duration = Duration::from_secs(30);

/// Why nothing is deployed where discovery has found a target before, and excludes it now.
const UNSELECTED: &str = "discovery does not select it any more";

impl Running {
    /// Has the tags read of the targets where something waits for one to go.
    pub(super) fn look_for_tags(&mut self, now: Moment) {
        if now < self.tags_due {
            return;
        }
        self.tags_due = now + TAGS_PERIOD;
        self.planner.kept_back().for_each(|target| self.asks.about_known(target));
    }

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

    /// Whether a target of which something is asked is deployed at all, by what was just read of it.
    pub(super) fn see_refusal(&mut self, target: TargetId, absence: Option<Absence>) {
        let settings = self.engine.routes.settings_of(&target);
        if let (None, Some(absence)) = (&settings, absence) {
            self.asks.about_no_more(&target);
            let why = (absence == Absence::Unselected).then(|| UNSELECTED.into());
            return self.turn(Input::Forgotten { target, why });
        }
        let why = settings.and_then(|(_, refused)| refused);
        if why.is_some() && self.engine.reconcile.is_some() {
            self.refused.insert(target.clone());
        }
        if self.planner.is_busy(&target) {
            self.turn(Input::Refused { target, why });
        }
    }

    /// A look shows the tags, too: whoever waits for it is told before it is decided on.
    pub(super) fn see_refusal_in(&mut self, input: &Input) {
        let Input::Looked { target, look: Ok(look) } = input else { return };
        let Some(discovery) = &self.engine.discovery else { return };
        if look.tags.is_empty() || !self.engine.routes.is_only_found(target) {
            return;
        }
        let why = of_tags(&discovery.defaults, target.service().as_str(), &look.tags).refused;
        if why.is_some() {
            if self.engine.reconcile.is_some() {
                self.refused.insert(target.clone());
            }
            // What comes next is refused once it was read.
            self.asks.about(target);
            self.turn(Input::Refused { target: target.clone(), why });
        }
    }

    /// Remembers when this process itself has seen or changed a target last, and what it has started.
    pub(super) fn note(&mut self, now: Now, input: &Input) {
        let moment = now.moment;
        match input {
            Input::Looked { target, look: Ok(look) } => {
                self.engine.publisher.looked(target, look.taken_at);
                self.touched.insert(target.clone(), moment);
            }
            Input::Tagged { target, .. } => drop(self.touched.insert(target.clone(), moment)),
            Input::Started { target, started } => {
                self.foreign.answered((moment, now.wall), target, started);
            }
            _ => {}
        }
    }
}

/// The targets that were read to be there, or not to be.
pub(super) fn targets_of(word: &Word) -> Vec<(TargetId, Option<Absence>)> {
    let target = |update: &Update| match update {
        Update::Learn(discovered) => (discovered.target.clone(), None),
        Update::Forget(target, absence) => (target.clone(), Some(*absence)),
    };
    match word {
        Word::Updates(updates) => updates.iter().map(target).collect(),
        Word::Seen(..) | Word::Open(_) | Word::Routes(_) => Vec::new(),
    }
}
