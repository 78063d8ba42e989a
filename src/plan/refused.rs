//! A target that is not deployed any more, because the tags of its service say so by now, or discovery does not select it.
//!
//! What comes then asks nothing of it. So what waits asks nothing either, whatever it waits for, as if it were received anew:
//! after a crash it is. What was begun goes on: a rollout is watched to its end. A deployment that was to be tried again is told
//! to have failed, unless a rollout turns out to carry it.

use std::sync::Arc;

use crate::domain::{Failure, Outcome};

use super::{
    decide::Sifted,
    fold::Ask,
    lane::{Lane, Phase, Turn},
};

impl Lane {
    /// It is one of the targets that are known, and is deployed, or for this reason is not.
    pub(super) fn learn_refusal(&mut self, why: Option<Arc<str>>) {
        (self.refused, self.is_listed) = (why, true);
    }

    /// It is one no longer; for this reason nothing that waits is deployed there, or it fails as its service is gone.
    pub(super) fn learn_absence(&mut self, why: Option<Arc<str>>, turn: &mut Turn<'_>) {
        let is_gone = why.is_none();
        (self.refused, self.is_listed) = (why, false);
        // Whatever it waits for, this is what it comes to.
        if is_gone && matches!(self.phase, Phase::Queued { .. }) {
            self.look(turn, false);
        }
    }

    /// Drops what waits and was never tried, where nothing is deployed.
    pub(super) fn drop_refused(&mut self, turn: &mut Turn<'_>) {
        let Some(reason) = self.refusal() else { return };
        let (tried, mut dropped): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|ask| self.was_tried(ask));
        self.waiting = tried;
        let mut done = 0;
        while let Some(ask) = dropped.get(done) {
            self.drop_ask(ask, reason.clone(), turn);
            let needless = self.uncover(&[ask.lease], |_| true);
            dropped.extend(needless);
            done += 1;
        }
        if done > 0 && self.waiting.is_empty() {
            self.wait_for_nothing();
        }
    }

    /// What was tried, and would have to be started once more, has failed.
    pub(super) fn give_up_what_is_refused(&mut self, sifted: &mut Sifted, turn: &mut Turn<'_>) {
        let Some(reason) = self.refusal().filter(|_| !sifted.needed.is_empty()) else { return };
        let asks = std::mem::take(&mut sifted.needed);
        sifted.not_before = None;
        let Some(last) = self.retrying.as_ref().map(|retrying| retrying.last.clone()) else {
            return asks.iter().for_each(|ask| self.drop_ask(ask, reason.clone(), turn));
        };
        let failure = Failure::new(last.cause, format!("{}; it is not tried again: {reason}", last.reason));
        let goes_on = !(sifted.adopting.is_empty() && sifted.awaiting.is_empty());
        self.tell_beside(goes_on, |lane| lane.fail_waiting(asks, Outcome::Failed, failure, None, turn));
    }

    fn refusal(&self) -> Option<String> {
        let why = self.refused.as_ref()?;
        Some(format!("{} is not deployed: {why}", self.settings.name))
    }

    /// Whether a rollout may have been started for this, or one failed.
    fn was_tried(&self, ask: &Ask) -> bool {
        let tried = self.retrying.iter().flat_map(|retrying| &retrying.asked);
        tried
            .into_iter()
            .any(|(version, change)| (*version, change) == (ask.request.version, &ask.request.change))
    }
}
