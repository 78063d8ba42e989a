//! What is only shown, and decided on by nobody: the rollouts that ECS remembers of a service, and what definitions say.
//! Whoever asks for these can wait behind all that something waits for.

use super::{
    Ecs, Reach,
    history::{Wanted, list_failed},
    rollouts::{Recorded, Revisions, state_of_record},
};
use crate::{
    aws::budget::Urgency,
    domain::{
        CallFailure, DefinitionFacts, DefinitionId, DeploymentId, PastRollout, Place, RolloutId, TargetId,
        outline,
    },
};

impl Ecs {
    /// The newest rollouts of a service that have ended, as many as wanted at most; `None` where the endpoint remembers none.
    pub async fn past(
        &self,
        target: &TargetId,
        most: usize,
    ) -> Result<Option<Vec<PastRollout>>, CallFailure> {
        let reach = self.reach_there(&Place::of(target))?;
        let listed = match reach.list_by(target, &Wanted::All, Urgency::Later).await {
            Ok(listed) => listed,
            Err(fault) if reach.lacks_history(&fault, None) => None,
            Err(fault) => return Err(list_failed(&fault)),
        };
        let Some(mut listed) = listed else { return Ok(None) };
        listed.truncate(most);
        let recorded = reach.complete_by(listed, None, Urgency::Later).await?;
        let named = recorded.iter().flat_map(Recorded::named_revisions).cloned().collect();
        let revisions = reach.revisions_by(named, Urgency::Later).await?;
        let mut past = ended(&recorded, &revisions);
        for it in &mut past {
            it.registered_by = reach.registrar(target, &it.definition).await?;
        }
        Ok(Some(past))
    }

    /// What this rollout rolls out, if ECS shows it among those that its service has now.
    pub async fn definition_of(
        &self,
        target: &TargetId,
        rollout: &RolloutId,
    ) -> Result<Option<DefinitionId>, CallFailure> {
        let reach = self.reach_there(&Place::of(target))?;
        let names = [target.service().clone()];
        let (mut services, _) = reach.services(target.cluster(), &names, Urgency::Later, None).await?;
        let Some(service) = services.remove(target.service()).transpose()? else { return Ok(None) };
        Ok(service.entries.into_iter().find(|it| it.id == *rollout).and_then(|it| it.definition))
    }

    /// What a revision says where this target is; `None` if it is gone.
    pub async fn definition_facts(
        &self,
        target: &TargetId,
        id: &DefinitionId,
    ) -> Result<Option<DefinitionFacts>, CallFailure> {
        let place = Place::of(target);
        let reach = self.reach_there(&place)?;
        let document = reach.document_by(&id.clone().into(), Urgency::Later).await?;
        Ok(document.map(|document| DefinitionFacts {
            outline: outline(document.fields()),
            dependencies: document.reading(&place).dependencies,
        }))
    }
}

impl Reach {
    /// The deployment of this target that registered this revision, where one did.
    async fn registrar(
        &self,
        target: &TargetId,
        id: &DefinitionId,
    ) -> Result<Option<DeploymentId>, CallFailure> {
        if let Some(remembered) = self.remembered(id) {
            return Ok(remembered.view.marks.deployment_of(target).cloned());
        }
        let document = self.document_by(&id.clone().into(), Urgency::Later).await?;
        Ok(document.and_then(|document| document.view().marks.deployment_of(target).cloned()))
    }
}

/// Those that have ended. Of one whose revision is not known there is nothing to show.
fn ended(recorded: &[Recorded], revisions: &Revisions) -> Vec<PastRollout> {
    let newest = recorded.first().map(|it| it.created_at);
    let past = recorded.iter().enumerate().filter_map(|(place, it)| {
        let rolls_back = it.details.as_ref().is_some_and(|details| details.rolls_back);
        let state = state_of_record(it, None, newest > Some(it.created_at), rolls_back);
        let before = || recorded.get(place + 1).and_then(|older| older.left(revisions));
        Some(PastRollout {
            id: (&*it.arn).into(),
            created_at: it.created_at,
            ended_at: it.finished_at.unwrap_or(it.updated_at),
            state,
            reason: it.reason.clone(),
            definition: it.definition(revisions)?.clone(),
            previous: it.source(revisions).or_else(before),
            registered_by: None,
            tasks: it.details.as_ref().map(|details| details.tasks).unwrap_or_default(),
        })
    });
    past.filter(|it| !it.state.is_live()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        aws::ecs::rollouts::{Revision, Status},
        domain::{RolloutState, Timestamp},
    };

    fn recorded(arn: &str, second: i64, status: Status) -> Recorded {
        Recorded {
            arn: arn.into(),
            created_at: Timestamp::from_millis(second * 1_000),
            updated_at: Timestamp::from_millis(second * 1_000 + 90_000),
            finished_at: Some(Timestamp::from_millis(second * 1_000 + 500)),
            status,
            reason: "".into(),
            revision: Some(format!("revision-of-{arn}").into()),
            details: None,
        }
    }

    fn revisions(of: &[(&str, &str)]) -> Revisions {
        let revision = |definition: &str| Revision {
            definition: definition.parse().expect("valid"),
            digests: [].into(),
        };
        of.iter().map(|(arn, it)| (Arc::from(format!("revision-of-{arn}")), revision(it))).collect()
    }

    #[test]
    fn what_has_ended_is_told_with_what_ran_before() {
        let all = [
            recorded("d", 4, Status::InProgress),
            recorded("c", 3, Status::RollbackSuccessful),
            recorded("unknown", 2, Status::Successful),
            recorded("a", 1, Status::Successful),
        ];
        let known = revisions(&[("a", "api:1"), ("c", "api:2"), ("d", "api:3")]);
        let told: Vec<_> = ended(&all, &known)
            .into_iter()
            .map(|it| {
                (it.id.to_string(), it.state, it.definition.to_string(), it.previous.map(|id| id.to_string()))
            })
            .collect();
        assert_eq!(
            told,
            [
                ("c".into(), RolloutState::RolledBack, "api:2".into(), None),
                ("a".into(), RolloutState::Succeeded, "api:1".into(), None),
            ]
        );
    }

    #[test]
    fn before_each_ran_what_the_one_before_it_left() {
        let all = [recorded("b", 2, Status::Stopped), recorded("a", 1, Status::Successful)];
        let past = ended(&all, &revisions(&[("a", "api:1"), ("b", "api:2")]));
        assert_eq!(past[0].previous, Some("api:1".parse().expect("valid")));
        assert_eq!(past[0].state, RolloutState::Stopped);
        assert_eq!(past[0].ended_at, Timestamp::from_millis(2_500));
    }
}
