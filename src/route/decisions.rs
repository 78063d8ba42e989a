//! What somebody decided: about which targets.

use super::{Draft, Routes, Target, requests::NotCalled};
use crate::domain::{Decision, DecisionVerb, HoldVerb, Subject};

impl Routes {
    pub(super) fn on_decision(&self, decision: &Decision, draft: &mut Draft<'_>) {
        let verb = match decision.verb {
            DecisionVerb::Pause => HoldVerb::Pause,
            DecisionVerb::Resume => HoldVerb::Resume,
            DecisionVerb::Cancel => return self.on_cancel(decision, draft),
            DecisionVerb::Approve | DecisionVerb::Reject => {
                return draft.note("no deployment waits for an approval");
            }
        };
        let reached = match &decision.about {
            Subject::Target(name) => self.meant(name, |_| false, draft),
            Subject::All => Some(Ok(self.every_target())),
            Subject::Deployment { id, .. } => {
                Some(Err(format!("{id} is a deployment, and targets are paused")))
            }
        };
        match reached {
            Some(Ok(targets)) => draft.hold(targets, verb, decision),
            Some(Err(reason)) => draft.note(&reason),
            None => {}
        }
    }

    /// Where the target is not known, or several are called so, the deployment is: it is looked for among all.
    fn on_cancel(&self, decision: &Decision, draft: &mut Draft<'_>) {
        let Subject::Deployment { id, target, events } = &decision.about else {
            return draft.note("a deployment is cancelled, not a target");
        };
        let target = match target.as_deref().map(|name| self.find(name)) {
            None | Some(Err(NotCalled::Several(..))) => None,
            Some(Ok(target)) => Some(target.id),
            Some(Err(NotCalled::Unknown(reason))) => return draft.note(&reason),
        };
        draft.cancel(id.clone(), target, events, decision);
    }

    /// Every target that is known and deployed.
    fn every_target(&self) -> Vec<Target> {
        let named = self.targets.iter().map(|known| known.target.clone());
        let found = self.found.all().filter(|it| self.known(it.id()).is_none());
        let found = found.map(|it| self.target_of(it));
        named.chain(found).filter(|target| target.refused.is_none()).collect()
    }
}
