//! Which definition a deployment starts from.
//!
//! Under `base = "latest"` that is the newest ACTIVE revision of the family: whoever registers one means it to be used. A
//! revision that we registered is different. It was meant for one rollout, and where that failed, whatever is made of it
//! would fail again. So one of ours is passed over whose rollouts all failed, were rolled back or gave way to others; the
//! one before it is asked the same. What runs is never passed over, nor what is being rolled out.
//!
//! Whether a revision ever succeeded is asked of ECS only where the newest one is ours and does not run, which is so after
//! a failure alone: that takes one ListServiceDeployments more, and one DescribeServiceRevisions for twenty of them. ECS
//! remembers them for 90 days. Of a revision that is older nobody knows, and it is passed over, too.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Reach,
    definition::Document,
    history::{Wanted, list_failed},
    rollouts::{Found, Status},
    service::Service,
};
use crate::domain::{
    Base, CallFailure, DefinitionId, DefinitionRef, DefinitionView, LookOrder, RolloutState, Running,
    TargetId, Timestamp,
};

/// How long ECS remembers what became of a rollout.
const REMEMBERED: Duration = Duration::from_hours(90 * 24);

/// So many revisions are passed over; after that what runs is taken, or the newest one where nothing does. Each is
/// described once, and remembered.
const MOST_PASSED: u32 = 50;

/// What became of the revisions that were rolled out to a service.
#[derive(Debug, Default)]
struct Brought {
    /// Those that are, or were once, complete, or are still being rolled out.
    sound: BTreeSet<DefinitionId>,
    /// Those that were not.
    in_vain: BTreeSet<DefinitionId>,
}

impl Reach {
    /// The definition that a deployment starts from. Before anything was ever complete, that is what the service has.
    pub(super) async fn base(
        &self,
        order: &LookOrder,
        running: Option<&Running>,
        service: &Service,
        found: &[Found],
        now: Timestamp,
    ) -> Result<Result<DefinitionView, String>, CallFailure> {
        let current =
            || service.primary().and_then(|it| it.definition.as_ref()).or(service.definition.as_ref());
        let known = running.map(|it| &it.definition.id).or_else(current);
        let family = match (&order.base, known) {
            (Base::Running, Some(id)) => return self.view(id).await.map(Ok),
            (Base::Latest(Some(family)), _) => family.clone(),
            (Base::Latest(None), Some(id)) => id.family.clone(),
            (Base::Running | Base::Latest(None), None) => {
                return Ok(Err("the service has no task definition".into()));
            }
        };
        self.newest(family, &order.target, running, found, now).await
    }

    async fn newest(
        &self,
        family: Arc<str>,
        target: &TargetId,
        running: Option<&Running>,
        found: &[Found],
        now: Timestamp,
    ) -> Result<Result<DefinitionView, String>, CallFailure> {
        let any = DefinitionRef { family: family.clone(), revision: None };
        let Some(newest) = self.document(&any).await?.filter(|it| it.active) else {
            return Ok(Err(format!("no task definitions found for family {family}")));
        };
        let mut brought = Brought::default();
        brought.sound.extend(running.map(|it| it.definition.id.clone()));
        for it in found {
            brought.saw(&it.definition, is_sound(it.state));
        }
        let view = newest.view();
        if view.marks.deployment.is_none() || brought.sound.contains(&view.id) {
            return Ok(Ok(view));
        }
        self.recall(target, &mut brought).await?;
        if !brought.passes_over(&newest, now) {
            return Ok(Ok(view));
        }
        let older = self.newest_before(&view.id, &brought, now).await?;
        Ok(Ok(older.or_else(|| running.map(|it| it.definition.clone())).unwrap_or(view)))
    }

    /// The newest ACTIVE revision before this one that is not passed over, if it is not too far back.
    async fn newest_before(
        &self,
        id: &DefinitionId,
        brought: &Brought,
        now: Timestamp,
    ) -> Result<Option<DefinitionView>, CallFailure> {
        let last = id.revision.saturating_sub(MOST_PASSED).max(1);
        for revision in (last..id.revision).rev() {
            let id = DefinitionId { revision, ..id.clone() };
            if brought.was_in_vain(&self.view(&id).await?) {
                continue;
            }
            let document = self.document(&id.into()).await?.filter(|it| it.active);
            if let Some(document) = document.filter(|it| !brought.passes_over(it, now)) {
                return Ok(Some(document.view()));
            }
        }
        Ok(None)
    }

    /// Adds what ECS remembers.
    async fn recall(&self, target: &TargetId, brought: &mut Brought) -> Result<(), CallFailure> {
        let listed = self.list(target, &Wanted::All).await.map_err(|fault| list_failed(&fault))?;
        let listed = listed.unwrap_or_default();
        let revisions = self.revisions(listed.iter().filter_map(|it| it.revision.clone()).collect()).await?;
        for it in &listed {
            if let Some(definition) = it.definition(&revisions) {
                brought.saw(definition, it.status == Status::Successful);
            }
        }
        Ok(())
    }
}

impl Brought {
    fn saw(&mut self, definition: &DefinitionId, is_sound: bool) {
        let set = if is_sound { &mut self.sound } else { &mut self.in_vain };
        set.insert(definition.clone());
    }

    /// Whether this is one of ours whose rollouts all came to nothing.
    fn was_in_vain(&self, view: &DefinitionView) -> bool {
        view.marks.deployment.is_some() && !self.sound.contains(&view.id) && self.in_vain.contains(&view.id)
    }

    /// The same, and whether nobody knows any more what became of one of ours. One that was never rolled out may be the copy
    /// that somebody made of ours, tags and all.
    fn passes_over(&self, document: &Document, now: Timestamp) -> bool {
        let view = document.view();
        let is_forgotten = document.registered_at.is_none_or(|at| at + REMEMBERED < now);
        let is_unknown = view.marks.deployment.is_some() && !self.sound.contains(&view.id) && is_forgotten;
        self.was_in_vain(&view) || is_unknown
    }
}

fn is_sound(state: RolloutState) -> bool {
    match state {
        RolloutState::InProgress | RolloutState::Succeeded => true,
        RolloutState::Failed
        | RolloutState::RollingBack
        | RolloutState::RolledBack
        | RolloutState::RollbackFailed
        | RolloutState::Stopped => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DAY: i64 = 24 * 3_600;

    /// A revision that was registered on that day, by us or by somebody else.
    fn document(revision: u32, day: i64, is_ours: bool) -> Document {
        let arn = format!("arn:aws:ecs:eu-west-1:111122223333:task-definition/api:{revision}");
        let tags =
            if is_ours { json!([{"key": "lockkeeper:deployment", "value": "d-1"}]) } else { json!([]) };
        let definition =
            json!({"taskDefinitionArn": arn, "registeredAt": day * DAY, "containerDefinitions": []});
        let answer = json!({"taskDefinition": definition, "tags": tags});
        Document::parse(answer.to_string().as_bytes()).expect("valid")
    }

    fn day(number: i64) -> Timestamp {
        Timestamp::from_millis(number * DAY * 1_000)
    }

    /// What became of revision 2.
    fn brought(rollouts: &[bool]) -> Brought {
        let mut brought = Brought::default();
        for is_sound in rollouts {
            brought.saw(&"api:2".parse().expect("valid"), *is_sound);
        }
        brought
    }

    #[test]
    fn one_of_ours_is_passed_over_where_all_its_rollouts_came_to_nothing() {
        let (ours, now) = (document(2, 100, true), day(101));
        for (rollouts, expected) in
            [(&[][..], false), (&[false], true), (&[true], false), (&[false, true, false], false)]
        {
            assert_eq!(brought(rollouts).passes_over(&ours, now), expected, "{rollouts:?}");
        }
    }

    #[test]
    fn one_of_somebody_elses_is_never_passed_over() {
        let theirs = document(2, 0, false);
        assert!(
            !brought(&[false]).passes_over(&theirs, day(400)) && !brought(&[]).passes_over(&theirs, day(400))
        );
    }

    #[test]
    fn what_ecs_has_forgotten_of_ours_counts_as_failed() {
        let ours = document(2, 100, true);
        assert!(!brought(&[]).passes_over(&ours, day(190)));
        assert!(brought(&[]).passes_over(&ours, day(191)));
        assert!(!brought(&[true]).passes_over(&ours, day(191)));
    }

    #[test]
    fn a_rollout_that_goes_on_may_still_succeed() {
        assert!(is_sound(RolloutState::InProgress) && is_sound(RolloutState::Succeeded));
        assert!(!is_sound(RolloutState::RollingBack) && !is_sound(RolloutState::Stopped));
    }
}
