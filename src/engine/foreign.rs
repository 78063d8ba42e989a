//! Rollouts of our targets that we did not start: a person did, Terraform, or ECS itself. ECS tells of every rollout, and
//! of ours too; so what it tells is kept for a while, until it is known whose it was.
//!
//! Nothing is decided by any of this, and nothing is read to find it out: what we started and what we took over stands in our own
//! reports. After a start of ours that died, it stands in those of the process that goes on once it holds the messages
//! again; until then nothing is called somebody's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::domain::{
    ForeignRollout, ForeignState, Moment, Report, RolloutHint, RolloutId, Stage, TargetId, TargetName,
    Timestamp,
};

/// What ECS tells of a start of ours may be here before the answer to our own call.
const HOLD: Duration = Duration::from_secs(15);
/// What ECS tells of a deployment of ours, and of the way back from it, may come this much later than its end.
const AFTERMATH: Duration = Duration::from_mins(2);
/// Of so many rollouts it is remembered that they are ours, or that they were told.
const MOST_REMEMBERED: usize = 10_000;

/// What was heard, and what is known to be ours.
#[derive(Debug)]
pub(super) struct Foreign {
    /// Nothing is told before.
    from: Moment,
    ours: BTreeSet<RolloutId>,
    /// Targets of which a deployment of ours is under way, and those of which one ended lately.
    busy: BTreeMap<TargetId, Option<Moment>>,
    waiting: Vec<(Moment, ForeignRollout)>,
    told: BTreeSet<(RolloutId, ForeignState)>,
}

impl Foreign {
    /// Tells nothing before this moment.
    pub(super) fn silent_until(from: Moment) -> Self {
        Self {
            from,
            ours: BTreeSet::new(),
            busy: BTreeMap::new(),
            waiting: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// ECS told of a rollout of this target.
    pub(super) fn heard(
        &mut self,
        now: Moment,
        target: (&TargetId, &TargetName),
        hint: &RolloutHint,
        at: Timestamp,
    ) {
        let (Some(state), Some(id)) = (state_of(&hint.event_name), &hint.rollout) else { return };
        if self.ours.contains(id)
            || self.told.contains(&(id.clone(), state))
            || self.waiting.len() >= MOST_REMEMBERED
        {
            return;
        }
        let rollout = ForeignRollout {
            target: target.0.clone(),
            name: target.1.clone(),
            rollout_id: id.clone(),
            state,
            definition: None,
            reason: hint.reason.clone(),
            at,
        };
        let is_known = self.waiting.iter().any(|(_, it)| it.rollout_id == *id && it.state == state);
        if !is_known {
            self.waiting.push(((now + HOLD).max(self.from), rollout));
        }
    }

    /// Takes in a report: the rollout that it is about is not somebody's.
    pub(super) fn learn(&mut self, now: Moment, report: &Report) {
        let (Report::Moved(record) | Report::Finished(record)) = report else { return };
        if let Some(key) = &record.rollout {
            self.ours.extend(key.deployment.iter().chain(&key.service_deployment).cloned());
        }
        let since = (record.stage == Stage::Finished).then_some(now);
        if record.stage != Stage::Waiting {
            self.busy.insert(record.target.clone(), since);
        }
        while self.ours.len() > MOST_REMEMBERED {
            self.ours.pop_first();
        }
    }

    /// What is certain to be somebody's by now.
    pub(super) fn due(&mut self, now: Moment) -> Vec<ForeignRollout> {
        self.busy.retain(|_, since| since.is_none_or(|since| now < since + AFTERMATH));
        if self.waiting.iter().all(|(due, _)| now < *due) {
            return Vec::new();
        }
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(due, _)| *due <= now);
        self.waiting = waiting;
        let due: Vec<(Moment, ForeignRollout)> = due;
        let mut told = Vec::new();
        for (_, rollout) in due {
            let is_ours = self.ours.contains(&rollout.rollout_id) || self.busy.contains_key(&rollout.target);
            if !is_ours && self.told.insert((rollout.rollout_id.clone(), rollout.state)) {
                told.push(rollout);
            }
        }
        while self.told.len() > MOST_REMEMBERED {
            self.told.pop_first();
        }
        told
    }
}

fn state_of(event: &str) -> Option<ForeignState> {
    match event {
        "SERVICE_DEPLOYMENT_IN_PROGRESS" => Some(ForeignState::InProgress),
        "SERVICE_DEPLOYMENT_COMPLETED" => Some(ForeignState::Completed),
        "SERVICE_DEPLOYMENT_FAILED" => Some(ForeignState::Failed),
        _ => None,
    }
}

/// Whether ECS warns by an event of this name.
pub(super) fn is_warning(event: &str) -> bool {
    const WARNINGS: [&str; 9] = [
        "SERVICE_TASK_START_IMPAIRED",
        "SERVICE_DISCOVERY_INSTANCE_UNHEALTHY",
        "VPC_LATTICE_TARGET_UNHEALTHY",
        "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED",
        "ECS_OPERATION_THROTTLED",
        "SERVICE_DISCOVERY_OPERATION_THROTTLED",
        "SERVICE_TASK_PLACEMENT_FAILURE",
        "SERVICE_TASK_CONFIGURATION_FAILURE",
        "SERVICE_HEALTH_UNKNOWN",
    ];
    WARNINGS.contains(&event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{DeploymentRecord, RolloutKey},
        report::sample::{active, at, succeeded},
    };

    const IN_PROGRESS: &str = "SERVICE_DEPLOYMENT_IN_PROGRESS";

    fn second(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    fn hear(foreign: &mut Foreign, now: u64, id: &str, event: &str) {
        let hint = RolloutHint {
            cluster: None,
            service: "chubby_api".into(),
            event_name: event.into(),
            rollout: Some(id.into()),
            reason: None,
        };
        foreign.heard(second(now), (&active().target, &"api".into()), &hint, at("12:00:00"));
    }

    fn due(foreign: &mut Foreign, now: u64) -> Vec<String> {
        let due = foreign.due(second(now)).into_iter();
        due.map(|it| format!("{} {}", it.rollout_id, it.state.as_str())).collect()
    }

    fn of_ours(record: DeploymentRecord, id: &str) -> Box<DeploymentRecord> {
        let key = RolloutKey { deployment: Some(id.into()), service_deployment: None };
        Box::new(DeploymentRecord { rollout: Some(key), ..record })
    }

    #[test]
    fn what_nobody_of_us_started_is_told_once_after_a_while() {
        let mut foreign = Foreign::silent_until(second(0));
        hear(&mut foreign, 10, "ecs-svc/1", IN_PROGRESS);
        hear(&mut foreign, 11, "ecs-svc/1", IN_PROGRESS);
        hear(&mut foreign, 12, "ecs-svc/1", "SERVICE_STEADY_STATE");
        assert!(due(&mut foreign, 24).is_empty());
        assert_eq!(due(&mut foreign, 25), ["ecs-svc/1 in_progress"]);
        hear(&mut foreign, 30, "ecs-svc/1", IN_PROGRESS);
        hear(&mut foreign, 30, "ecs-svc/1", "SERVICE_DEPLOYMENT_COMPLETED");
        assert_eq!(due(&mut foreign, 60), ["ecs-svc/1 completed"]);
    }

    #[test]
    fn what_we_started_is_never_somebody_s_even_if_ecs_tells_of_it_first() {
        let mut foreign = Foreign::silent_until(second(0));
        hear(&mut foreign, 10, "ecs-svc/2", IN_PROGRESS);
        foreign.learn(second(11), &Report::Moved(of_ours(active(), "ecs-svc/2")));
        foreign.learn(second(12), &Report::Finished(of_ours(succeeded(), "ecs-svc/2")));
        assert!(due(&mut foreign, 500).is_empty());
        hear(&mut foreign, 600, "ecs-svc/2", "SERVICE_DEPLOYMENT_COMPLETED");
        assert!(due(&mut foreign, 900).is_empty());
    }

    #[test]
    fn what_happens_around_a_deployment_of_ours_is_its_aftermath() {
        let mut foreign = Foreign::silent_until(second(0));
        foreign.learn(second(10), &Report::Moved(of_ours(active(), "ecs-svc/3")));
        hear(&mut foreign, 20, "ecs-svc/back", IN_PROGRESS);
        assert!(due(&mut foreign, 40).is_empty(), "a way back while ours is under way");
        foreign.learn(second(50), &Report::Finished(of_ours(succeeded(), "ecs-svc/3")));
        hear(&mut foreign, 60, "ecs-svc/back", "SERVICE_DEPLOYMENT_COMPLETED");
        assert!(due(&mut foreign, 80).is_empty(), "just after its end");
        hear(&mut foreign, 160, "ecs-svc/4", IN_PROGRESS);
        assert_eq!(due(&mut foreign, 175), ["ecs-svc/4 in_progress"]);
    }

    #[test]
    fn after_a_start_nothing_is_somebody_s_until_our_own_messages_came_back() {
        let mut foreign = Foreign::silent_until(second(150));
        hear(&mut foreign, 1, "ecs-svc/5", IN_PROGRESS);
        assert!(due(&mut foreign, 149).is_empty());
        assert_eq!(due(&mut foreign, 150), ["ecs-svc/5 in_progress"]);
    }
}
