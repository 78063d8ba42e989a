//! What is only shown, and decided on by nobody: the rollouts that ECS remembers of a service, and what definitions say.
//! Whoever asks for these can wait behind all that something waits for.

use super::{
    Ecs, Reach,
    history::{Wanted, list_failed},
    look::unclear,
    rollouts::{Recorded, Revisions, rollouts, says_rollback, says_stopped, state_of_record},
    service::Service,
};
use crate::{
    aws::budget::Urgency,
    domain::{
        CallFailure, DefinitionFacts, DefinitionId, DeploymentId, PastRollout, Place, RolloutId, RolloutKey,
        TargetId, Timestamp, outline,
    },
};

/// What a rollout is that goes on, or has just ended, shows among so many.
const NEWEST: usize = 20;

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

    /// This rollout, if ECS shows it among those that its service has now. Both of its ids, and whether it is a way back by
    /// itself, are only known if it is looked at closely, by a few calls rather than one.
    pub async fn stranger(
        &self,
        target: &TargetId,
        rollout: &RolloutId,
        closely: bool,
    ) -> Result<Option<Stranger>, CallFailure> {
        let reach = self.reach_there(&Place::of(target))?;
        let names = [target.service().clone()];
        let (mut services, _) = reach.services(target.cluster(), &names, Urgency::Later, None).await?;
        let Some(service) = services.remove(target.service()).transpose()? else { return Ok(None) };
        let Some(entry) = service.entries.iter().find(|it| it.id == *rollout) else { return Ok(None) };
        let shown =
            if closely { reach.shown(target, &service, rollout).await? } else { Some(named(rollout)) };
        Ok(Some(Stranger {
            goes_back: closely && (shown.is_none() || says_rollback(entry)),
            id: shown.unwrap_or_else(|| named(rollout)),
            created_at: entry.created_at,
            definition: entry.definition.clone(),
        }))
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

/// What its service shows of a rollout that nobody here is known to have started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Its ids.
    pub id: RolloutKey,
    /// When it was created.
    pub created_at: Timestamp,
    /// What it rolls out.
    pub definition: Option<DefinitionId>,
    /// Whether ECS goes back to it, or went, from another one.
    pub goes_back: bool,
}

impl Reach {
    /// Both ids of a rollout that its service has now; `None` where no rollout goes by this one: ECS goes back to it.
    async fn shown(
        &self,
        target: &TargetId,
        service: &Service,
        id: &RolloutId,
    ) -> Result<Option<RolloutKey>, CallFailure> {
        let listed = match self.list_by(target, &Wanted::All, Urgency::Later).await {
            Ok(listed) => listed,
            Err(fault) if self.lacks_history(&fault, service.current.as_ref()) => None,
            Err(fault) => return Err(list_failed(&fault)),
        };
        let mut listed = listed.unwrap_or_default();
        listed.truncate(NEWEST);
        let (mut recorded, mut revisions) = (Vec::new(), Revisions::new());
        if !listed.is_empty() {
            recorded = self.complete_by(listed, service.current.as_ref(), Urgency::Later).await?;
            let named = recorded.iter().flat_map(Recorded::named_revisions).chain(&service.revisions);
            revisions = self.revisions_by(named.cloned().collect(), Urgency::Later).await?;
        }
        let found = rollouts(service, &recorded, &revisions).map_err(unclear)?;
        Ok(found.into_iter().map(|it| it.id).find(|it| it.deployment.as_ref() == Some(id)))
    }

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

fn named(id: &RolloutId) -> RolloutKey {
    RolloutKey { deployment: Some(id.clone()), service_deployment: None }
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
            stopped: says_stopped(&it.reason),
            tripped: it.details.as_ref().is_some_and(|details| details.tripped),
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
        domain::RolloutState,
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
