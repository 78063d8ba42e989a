//! What somebody tagged by hand, or untagged, while nothing is asked of the target.
//!
//! A look tells what the tags say whenever something is decided. Between two looks the services are read for other reasons;
//! that reading is as good as a look where nothing is under way, and where something waits it is a reason to look.

use crate::domain::Holds;

use super::lane::{Lane, Phase, Turn};

impl Lane {
    /// The tags of the service were read.
    pub(super) fn holds_read(&mut self, seen: &Holds, turn: &mut Turn<'_>) {
        if self.holding.is_answered() || self.holding.has_decrees() {
            return;
        }
        match self.phase {
            Phase::Idle if self.waiting.is_empty() => self.see_holds_at_rest(seen, turn),
            Phase::Queued { .. } if self.holding.differs_from(seen) => self.look(turn, false),
            // These look before anything follows from what keeps them back.
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Marking(_)
            | Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Blocked(_)
            | Phase::Starting(..)
            | Phase::Watching(..) => {}
        }
    }
}
