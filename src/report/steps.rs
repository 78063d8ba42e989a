//! What each deployment went through, and when: its timeline, for people. Kept beside the records, made of what is told
//! anyway, and within bounds; after a restart only what the records say is left of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    domain::{DeploymentId, DeploymentRecord, EventId, Report, Stage, TargetId, Timestamp},
    report::{history::History, message::span},
};

/// The steps of deployments. A copy shares them.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    of: BTreeMap<DeploymentId, Arc<Vec<Step>>>,
    /// The ids, the one that came first in front.
    order: VecDeque<DeploymentId>,
}

/// Writes the steps down as they are told.
#[derive(Debug, Default)]
pub struct Recorder {
    steps: Arc<Steps>,
    /// The requests that joined a lane, and belong to no deployment yet.
    joined: BTreeMap<TargetId, Vec<(EventId, Step)>>,
}

/// One step of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it was told, by the wall's clock.
    pub at: Timestamp,
    /// What kind it is of.
    pub kind: StepKind,
    /// It, in words.
    pub says: String,
}

/// The kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A request joined its lane.
    Joined,
    /// It waits for something.
    Waits,
    /// Its definition is registered where that is needed, and its rollout asked for.
    Starts,
    /// Its definition was registered.
    Registered,
    /// Its rollout is under way.
    RollsOut,
    /// Its tasks have changed.
    Tasks,
    /// An attempt failed, and another follows.
    TriesAgain,
    /// Its rollout is being undone.
    RollsBack,
    /// It was judged.
    Ended,
}

/// How many deployments are remembered: those that the history has, and as many again that have not ended.
const MOST_DEPLOYMENTS: usize = 2 * History::ROOM;
/// How many steps of one deployment.
const MOST_STEPS: usize = 60;
/// How many requests of one target that have not become a deployment.
const MOST_JOINED: usize = 100;

impl Steps {
    /// What this deployment went through, the first step first.
    pub fn of(&self, id: &DeploymentId) -> &[Step] {
        self.of.get(id).map_or(&[], |steps| steps)
    }

    fn add(&mut self, id: &DeploymentId, joined: Vec<Step>, step: Step) {
        if !self.of.contains_key(id) {
            self.order.push_back(id.clone());
        }
        let steps = Arc::make_mut(self.of.entry(id.clone()).or_default());
        steps.extend(joined);
        push(steps, step);
        while self.order.len() > MOST_DEPLOYMENTS {
            let oldest = self.order.pop_front();
            oldest.and_then(|id| self.of.remove(&id));
        }
    }
}

impl Recorder {
    /// What was written down until now.
    pub fn steps(&self) -> Arc<Steps> {
        Arc::clone(&self.steps)
    }

    /// Takes in what was told at this time.
    pub fn told(&mut self, report: &Report, at: Timestamp) {
        match report {
            Report::Queued { target, origin, change, .. } => {
                let says = format!("{change}, because {}", origin.reason);
                let joined = self.joined.entry(target.clone()).or_default();
                if joined.len() < MOST_JOINED {
                    joined.push((origin.event_id.clone(), Step { at, kind: StepKind::Joined, says }));
                }
            }
            Report::Moved(it) => {
                if let Some(step) = registered(it, at) {
                    self.add(it, step);
                }
                self.add(it, moved(it, at));
            }
            Report::Retrying { deployment, reason, delay_ms, .. } => {
                let delay = span(std::time::Duration::from_millis(*delay_ms));
                let says = format!("{reason}; tried again in {delay}");
                self.add(deployment, Step { at, kind: StepKind::TriesAgain, says });
            }
            Report::Finished(it) => {
                let says = it.reason.clone().unwrap_or_default();
                self.add(it, Step { at, kind: StepKind::Ended, says });
            }
            Report::Dropped { target, origin, .. } => self.forget(target, &origin.event_id),
            Report::Settled { .. }
            | Report::LeaseLost { .. }
            | Report::Hold { .. }
            | Report::Moot { .. }
            | Report::PromiseBroken { .. }
            | Report::Warned(_)
            | Report::Foreign(_) => {}
        }
    }

    /// Takes in what a deployment that is under way shows at this time: how its tasks are.
    pub fn seen(&mut self, it: &DeploymentRecord, at: Timestamp) {
        if !matches!(it.stage, Stage::Rollout | Stage::RollingBack) || it.tasks.desired == 0 {
            return;
        }
        let tasks = it.tasks;
        let failed =
            if tasks.failed > 0 { format!(", {} failed in a row", tasks.failed) } else { String::new() };
        let says = format!("{} of {} tasks run{failed}", tasks.running, tasks.desired);
        self.add(it, Step { at, kind: StepKind::Tasks, says });
    }

    /// Takes in what a deployment waits for that is not under way at this time.
    pub fn waits(&mut self, it: &DeploymentRecord, at: Timestamp) {
        let says = it.reason.clone().unwrap_or_default();
        self.add(it, Step { at, kind: StepKind::Waits, says });
    }

    fn add(&mut self, it: &DeploymentRecord, step: Step) {
        let joined = self.take_joined(it);
        Arc::make_mut(&mut self.steps).add(&it.id, joined, step);
    }

    /// The requests of this deployment that joined since.
    fn take_joined(&mut self, it: &DeploymentRecord) -> Vec<Step> {
        let Some(waiting) = self.joined.get_mut(&it.target) else { return Vec::new() };
        let is_its =
            |(event, _): &mut (EventId, Step)| it.triggers.iter().any(|origin| origin.event_id == *event);
        let joined = waiting.extract_if(.., is_its).map(|(_, step)| step).collect();
        if waiting.is_empty() {
            self.joined.remove(&it.target);
        }
        joined
    }

    fn forget(&mut self, target: &TargetId, event: &EventId) {
        if let Some(waiting) = self.joined.get_mut(target) {
            waiting.retain(|(of, _)| of != event);
        }
    }
}

/// A definition that was registered for what has just begun to be rolled out.
fn registered(it: &DeploymentRecord, at: Timestamp) -> Option<Step> {
    let is_now = it.registered && it.stage == Stage::Rollout && it.adopted.is_none();
    let says = it.definition.as_ref().filter(|_| is_now)?.to_string();
    Some(Step { at, kind: StepKind::Registered, says })
}

fn moved(it: &DeploymentRecord, at: Timestamp) -> Step {
    let definition = it.definition.as_ref().map(ToString::to_string);
    let (kind, says) = match it.stage {
        Stage::Waiting => (StepKind::Waits, None),
        Stage::Starting => (StepKind::Starts, definition),
        Stage::Rollout => (StepKind::RollsOut, definition),
        Stage::RollingBack => {
            (StepKind::RollsBack, it.previous_definition.as_ref().map(|to| format!("to {to}")))
        }
        Stage::Finished => (StepKind::Ended, None),
    };
    let says: Vec<String> = says.into_iter().chain(it.reason.clone()).collect();
    Step { at, kind, says: says.join(": ") }
}

/// What is told again is not said again; of many steps those in the middle go first.
fn push(steps: &mut Vec<Step>, step: Step) {
    let is_said = |it: &Step| (it.kind, &it.says) == (step.kind, &step.says);
    let of_its_kind = |it: &&Step| match step.kind {
        StepKind::Tasks => it.kind == StepKind::Tasks,
        StepKind::Joined
        | StepKind::Waits
        | StepKind::Starts
        | StepKind::Registered
        | StepKind::RollsOut
        | StepKind::TriesAgain
        | StepKind::RollsBack
        | StepKind::Ended => !matches!(it.kind, StepKind::Joined | StepKind::Tasks),
    };
    if steps.iter().rev().find(of_its_kind).is_some_and(is_said) {
        return;
    }
    if steps.len() >= MOST_STEPS {
        steps.remove(MOST_STEPS / 2);
    }
    steps.push(step);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Tasks, TriggerKind},
        report::sample::{self, at, origin},
    };

    fn told(recorder: &Recorder, id: &str) -> Vec<String> {
        recorder.steps.of(&id.into()).iter().map(|it| format!("{:?} {}", it.kind, it.says)).collect()
    }

    fn queued(event: &str, reason: &str) -> Report {
        let it = sample::active();
        Report::Queued {
            target: it.target,
            name: it.name,
            origin: origin(TriggerKind::ImagePushed, event, reason),
            change: "image shop_api:1.5".into(),
            waiting: 1,
        }
    }

    fn at_stage(stage: Stage) -> DeploymentRecord {
        DeploymentRecord { stage, ..sample::active() }
    }

    #[test]
    fn a_deployment_is_told_from_the_first_request_to_its_end() {
        let mut recorder = Recorder::default();
        recorder.told(&queued("e-1", "push"), at("12:00:00"));
        recorder.told(&queued("e-2", "push again"), at("12:00:01"));
        recorder.told(&queued("e-other", "another push"), at("12:00:02"));
        recorder.told(&Report::Moved(Box::new(at_stage(Stage::Starting))), at("12:00:03"));
        let rolled_out = DeploymentRecord { registered: true, ..at_stage(Stage::Rollout) };
        recorder.told(&Report::Moved(Box::new(rolled_out)), at("12:00:04"));
        recorder.seen(&at_stage(Stage::Rollout), at("12:00:05"));
        recorder.told(&Report::Moved(Box::new(at_stage(Stage::RollingBack))), at("12:00:06"));
        let ended = DeploymentRecord { id: "d-77fe".into(), ..sample::rolled_back() };
        recorder.told(&Report::Finished(Box::new(ended)), at("12:00:07"));
        assert_eq!(
            told(&recorder, "d-77fe"),
            [
                "Joined image shop_api:1.5, because push",
                "Joined image shop_api:1.5, because push again",
                "Starts chubby_api:14",
                "Registered chubby_api:14",
                "RollsOut chubby_api:14",
                "Tasks 1 of 4 tasks run, 1 failed in a row",
                "RollsBack to chubby_api:13",
                "Ended container web exited with 1, three times",
            ]
        );
        assert_eq!(recorder.steps.of(&"d-77fe".into())[3].at, at("12:00:04"));
        assert_eq!(recorder.joined.values().flatten().count(), 1, "one belongs to no deployment yet");
    }

    #[test]
    fn a_request_that_joins_later_stands_where_it_was_told_and_only_once() {
        let mut recorder = Recorder::default();
        recorder.told(&Report::Moved(Box::new(at_stage(Stage::Starting))), at("12:00:00"));
        for second in 1..4 {
            recorder.told(&queued("e-1", "push"), at(&format!("12:00:0{second}")));
            recorder.told(&Report::Moved(Box::new(at_stage(Stage::Rollout))), at("12:00:05"));
        }
        assert_eq!(
            told(&recorder, "d-77fe").len(),
            5,
            "a redelivery joins again: {:?}",
            told(&recorder, "d-77fe")
        );
        recorder.told(&queued("e-1", "push"), at("12:00:01"));
        let origin = origin(TriggerKind::ImagePushed, "e-1", "push");
        let it = sample::active();
        recorder.told(
            &Report::Dropped { target: it.target, name: it.name, origin, reason: "no".into() },
            at("12:00:09"),
        );
        assert_eq!(recorder.joined.values().flatten().count(), 0, "what asks nothing is forgotten");
    }

    #[test]
    fn what_did_not_change_is_not_said_again() {
        let mut recorder = Recorder::default();
        for second in 0..9 {
            recorder
                .told(&Report::Moved(Box::new(at_stage(Stage::Rollout))), at(&format!("12:00:0{second}")));
            recorder.seen(&at_stage(Stage::Rollout), at(&format!("12:00:0{second}")));
        }
        assert_eq!(
            recorder.steps.of(&"d-77fe".into()).iter().filter(|it| it.kind == StepKind::Tasks).count(),
            1
        );
        recorder.seen(&at_stage(Stage::Waiting), at("12:00:10"));
        let none = DeploymentRecord { tasks: Tasks::default(), ..at_stage(Stage::Rollout) };
        recorder.seen(&none, at("12:00:11"));
        assert_eq!(
            recorder.steps.of(&"d-77fe".into()).iter().filter(|it| it.kind == StepKind::Tasks).count(),
            1
        );
    }

    #[test]
    fn neither_one_deployment_nor_all_of_them_take_more_than_their_room() {
        let mut recorder = Recorder::default();
        for number in 0..200_u32 {
            let tasks = Tasks { desired: 500, running: number, ..Tasks::default() };
            recorder.seen(&DeploymentRecord { tasks, ..at_stage(Stage::Rollout) }, at("12:00:00"));
            recorder.told(&queued(&format!("e-{number}x"), "push"), at("12:00:00"));
        }
        let shared = recorder.steps();
        let of = shared.of(&"d-77fe".into());
        assert_eq!(of.len(), MOST_STEPS);
        assert_eq!(
            (of[0].says.as_str(), of[59].says.as_str()),
            ("0 of 500 tasks run", "199 of 500 tasks run")
        );
        assert_eq!(recorder.joined.values().flatten().count(), MOST_JOINED);
        for number in 0..MOST_DEPLOYMENTS {
            let id = format!("d-{number}").into();
            recorder.told(
                &Report::Finished(Box::new(DeploymentRecord { id, ..sample::succeeded() })),
                at("12:00:00"),
            );
        }
        assert_eq!(
            (recorder.steps.of.len(), recorder.steps.order.len()),
            (MOST_DEPLOYMENTS, MOST_DEPLOYMENTS)
        );
        assert!(recorder.steps.of(&"d-77fe".into()).is_empty());
    }
}
