//! What tasks tell: why the stopped ones stopped, and which digests the running ones run.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use aws_sdk_ecs::types::{Container, DesiredStatus, Task, TaskStopCode};

use super::{Reach, service::time};
use crate::domain::{
    CallFailure, ContainerName, DefinitionId, Digest, Rollout, RolloutId, StoppedTask, TargetId, Timestamp,
    redacted,
};

/// How many tasks are listed and described by one call: ECS's limit.
const PAGE_TASKS: i32 = 100;

/// How many pages are read at most. ECS lists tasks in no order and forgets a stopped one after about an hour, so this
/// is 1,000 tasks of an hour, for twenty reads of the 20 a second that an account has. `startedBy` would ask for those
/// of one rollout alone, but not together with the service or the status.
const MAX_PAGES: usize = 10;

/// How many stopped tasks are reported, and how many of one rollout that stopped for the same reason: a rollout that
/// fails repeats itself, and when it is given up many of its tasks are stopped that failed in nothing.
const MAX_STOPPED: usize = 40;
const MAX_ALIKE: usize = 5;

/// A task that stopped, and what tells which rollout started it.
pub(super) struct Stopped {
    pub(super) by: RolloutId,
    definition: Option<DefinitionId>,
    created_at: Option<Timestamp>,
    pub(super) task: StoppedTask,
}

/// Gives its `ecs-svc/…` id to each rollout that ECS no longer lists under it: once a rollback has ended, only the
/// tasks that the rollout started still tell it.
pub(super) fn identify(rollouts: &mut [Rollout], stopped: &[Stopped]) {
    let known: Vec<RolloutId> = rollouts.iter().filter_map(|rollout| rollout.id.deployment.clone()).collect();
    for rollout in rollouts.iter_mut().filter(|rollout| rollout.id.deployment.is_none()) {
        let started = |it: &&Stopped| {
            let is_later =
                it.created_at.is_some_and(|at| at >= rollout.created_at && at <= rollout.updated_at);
            is_later && it.definition.as_ref() == Some(&rollout.definition.id) && !known.contains(&it.by)
        };
        rollout.id.deployment = stopped.iter().find(started).map(|it| it.by.clone());
    }
}

impl Reach {
    /// The last tasks that stopped.
    pub(super) async fn stopped(&self, target: &TargetId) -> Result<Vec<Stopped>, CallFailure> {
        let tasks = self.tasks(target, DesiredStatus::Stopped).await?;
        let mut stopped = telling(tasks);
        for it in &mut stopped {
            it.task.log_url = self.log_url(it).await;
        }
        Ok(stopped)
    }

    /// Where CloudWatch shows what the container wrote. Not to know it is no reason to know nothing.
    async fn log_url(&self, stopped: &Stopped) -> Option<Arc<str>> {
        let container = stopped.task.container.as_ref()?;
        let logs = self.logs(stopped.definition.as_ref()?).await.ok()?;
        Some(logs.get(container)?.url(container, &stopped.task.task, &self.region).into())
    }

    /// The digest that each container of this definition runs, where all tasks that are read agree on it.
    pub(super) async fn running_digests(
        &self,
        target: &TargetId,
        definition: &DefinitionId,
    ) -> Result<BTreeMap<ContainerName, Digest>, CallFailure> {
        let tasks = self.tasks(target, DesiredStatus::Running).await?;
        let of_it = |task: &&Task| {
            task.task_definition_arn().and_then(|it| it.parse().ok()).as_ref() == Some(definition)
        };
        let mut digests: BTreeMap<ContainerName, Option<Digest>> = BTreeMap::new();
        for container in tasks.iter().filter(of_it).flat_map(Task::containers) {
            if let (Some(name), Some(digest)) = (container.name(), container.image_digest()) {
                let digest = Some(Digest::from(digest));
                let agreed = digests.entry(name.into()).or_insert_with(|| digest.clone());
                if *agreed != digest {
                    *agreed = None;
                }
            }
        }
        Ok(digests.into_iter().filter_map(|(name, digest)| Some((name, digest?))).collect())
    }

    /// The tasks of which ECS wants this, as many as are read.
    async fn tasks(&self, target: &TargetId, desired: DesiredStatus) -> Result<Vec<Task>, CallFailure> {
        let cluster = target.cluster().as_str();
        let call = self.reads.list_tasks().cluster(cluster).service_name(target.service().as_str());
        let call = call.desired_status(desired).max_results(PAGE_TASKS);
        let (mut tasks, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let call = call.clone().set_next_token(next);
            let page = self.read("ListTasks", || call.clone().send()).await?;
            tasks.extend(self.tasks_of(cluster, page.task_arns.unwrap_or_default()).await?);
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(tasks)
    }

    async fn tasks_of(&self, cluster: &str, tasks: Vec<String>) -> Result<Vec<Task>, CallFailure> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.reads.describe_tasks().cluster(cluster).set_tasks(Some(tasks));
        Ok(self.read("DescribeTasks", || call.clone().send()).await?.tasks.unwrap_or_default())
    }
}

/// The tasks that stopped, newest first: of each rollout and each reason a few.
fn telling(mut tasks: Vec<Task>) -> Vec<Stopped> {
    // A task that is still being stopped has its reasons already, but not all of them.
    tasks.retain(|task| task.last_status() == Some("STOPPED"));
    tasks.sort_by_key(|task| Reverse(time(task.stopped_at())));
    let mut alike: BTreeMap<_, usize> = BTreeMap::new();
    let mut stopped = Vec::new();
    for task in &tasks {
        let code = task.stop_code().map(TaskStopCode::as_str);
        let count = alike.entry((task.started_by(), code, task.stopped_reason())).or_default();
        *count += 1;
        if *count <= MAX_ALIKE {
            stopped.extend(stopped_by_rollout(task));
        }
    }
    stopped.truncate(MAX_STOPPED);
    stopped
}

fn stopped_by_rollout(task: &Task) -> Option<Stopped> {
    Some(Stopped {
        by: task.started_by()?.into(),
        definition: task.task_definition_arn().and_then(|arn| arn.parse().ok()),
        created_at: time(task.created_at()),
        task: stopped_task(task),
    })
}

fn stopped_task(task: &Task) -> StoppedTask {
    let container = culprit(task.containers());
    StoppedTask {
        task: task.task_arn().unwrap_or_default().rsplit('/').next().unwrap_or_default().into(),
        stop_code: task.stop_code().map(|code| code.as_str().into()),
        reason: task.stopped_reason().map(|words| redacted(words).into()),
        container: container.and_then(Container::name).map(Into::into),
        exit_code: container.and_then(Container::exit_code),
        container_reason: container.and_then(Container::reason).map(|words| redacted(words).into()),
        log_url: None,
    }
}

/// The container that failed: one with a reason, else one that exited with an error. A task that never started may
/// have none.
fn culprit(containers: &[Container]) -> Option<&Container> {
    let with_reason = containers.iter().find(|it| it.reason().is_some());
    with_reason.or_else(|| containers.iter().find(|it| it.exit_code().is_some_and(|code| code != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, exit_code: Option<i32>, reason: Option<&str>) -> Container {
        let built = Container::builder().name(name).set_exit_code(exit_code);
        built.set_reason(reason.map(str::to_owned)).build()
    }

    #[test]
    fn the_container_with_a_reason_is_blamed_before_one_that_was_killed_with_it() {
        let killed = container("side", Some(137), None);
        let failed = container("web", None, Some("CannotPullContainerError: not found"));
        assert_eq!(culprit(&[killed.clone(), failed]).and_then(Container::name), Some("web"));
        let fine = container("init", Some(0), None);
        assert_eq!(culprit(&[fine.clone(), killed]).and_then(Container::name), Some("side"));
        assert_eq!(culprit(&[fine]), None);
    }

    fn ended(by: &str, second: i64, code: TaskStopCode, reason: &str) -> Task {
        let at = aws_smithy_types::DateTime::from_secs(second);
        Task::builder()
            .task_arn(format!("arn:aws:ecs:r:1:task/shop/{second}"))
            .started_by(by)
            .last_status("STOPPED")
            .stop_code(code)
            .stopped_reason(reason)
            .stopped_at(at)
            .build()
    }

    #[test]
    fn the_tasks_that_failed_are_told_of_beside_the_many_that_were_stopped_with_them() {
        let failed =
            (0..60).map(|at| ended("ecs-svc/2", at, TaskStopCode::TaskFailedToStart, "no such image"));
        let scaled = |by: &'static str, from: i64| {
            (from..from + 60)
                .map(move |at| ended(by, at, TaskStopCode::ServiceSchedulerInitiated, "scaled in"))
        };
        let tasks = failed.chain(scaled("ecs-svc/2", 100)).chain(scaled("ecs-svc/1", 200)).collect();
        let told = telling(tasks);
        let of = |by: &str, code: &str| {
            let it = |it: &&Stopped| it.by == by.into() && it.task.stop_code.as_deref() == Some(code);
            told.iter().filter(it).map(|it| it.task.task.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of("ecs-svc/2", "TaskFailedToStart"), ["59", "58", "57", "56", "55"]);
        assert_eq!(of("ecs-svc/2", "ServiceSchedulerInitiated").len(), MAX_ALIKE);
        assert_eq!(told.len(), 3 * MAX_ALIKE);
    }

    #[test]
    fn a_task_that_never_had_a_container_is_told_of() {
        let task =
            Task::builder().task_arn("arn:aws:ecs:r:1:task/shop/abc").stopped_reason("no secret").build();
        let stopped = stopped_task(&task);
        assert_eq!((&*stopped.task, stopped.reason.as_deref()), ("abc", Some("no secret")));
        assert_eq!((stopped.container, stopped.exit_code), (None, None));
    }
}
