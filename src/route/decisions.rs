//! What somebody decided: about which targets.

use super::{Draft, Routes, Target};
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
            Subject::Target(name) => self.called(name).map(|target| vec![target]),
            Subject::All => Ok(self.every_target()),
            Subject::Deployment { id, .. } => Err(format!("{id} is a deployment, and targets are paused")),
        };
        match reached {
            Ok(targets) => draft.hold(targets, verb, decision),
            Err(reason) => draft.note(&reason),
        }
    }

    /// Where the target is not known, the deployment is: it is looked for among all.
    fn on_cancel(&self, decision: &Decision, draft: &mut Draft<'_>) {
        let Subject::Deployment { id, target, events } = &decision.about else {
            return draft.note("a deployment is cancelled, not a target");
        };
        match target.as_deref().map(|name| self.called(name)).transpose() {
            Ok(target) => draft.cancel(id.clone(), target.map(|it| it.id), events, decision),
            Err(reason) => draft.note(&reason),
        }
    }

    /// Every target that is known and deployed.
    fn every_target(&self) -> Vec<Target> {
        let named = self.targets.iter().map(|known| known.target.clone());
        let found = self.found.all().filter(|it| self.known(it.id()).is_none());
        let found = found.map(|it| self.target_of(it));
        named.chain(found).filter(|target| target.refused.is_none()).collect()
    }
}
