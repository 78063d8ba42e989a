//! Why a rollout failed: stop codes first, texts only where the code leaves it open.

use std::sync::Arc;

use crate::domain::{Cause, Evidence, Failure, Look, Rollout, RolloutId, StoppedTask};

/// How much evidence is kept of one failure.
const MOST_TASKS: usize = 5;
const MOST_EVENTS: usize = 5;

/// What was seen of a rollout's failure.
pub(super) fn evidence(rollout: &Rollout, look: &Look) -> Evidence {
    Evidence {
        stopped_tasks: stopped_tasks(rollout.id.deployment.as_ref(), look),
        service_events: look
            .events
            .iter()
            .filter(|event| event.at >= rollout.created_at)
            .map(|event| event.message.clone())
            .take(MOST_EVENTS)
            .collect(),
    }
}

/// The tasks of a rollout that stopped: those that say why it failed before those that were only stopped with it.
pub(super) fn stopped_tasks(by: Option<&RolloutId>, look: &Look) -> Vec<StoppedTask> {
    let own = look.stopped.iter().filter(|(its, _)| Some(its) == by).map(|(_, task)| task);
    let mut own: Vec<&StoppedTask> = own.collect();
    own.sort_by_key(|task| by_task(task).is_none());
    own.into_iter().take(MOST_TASKS).cloned().collect()
}

/// The cause of a rollout's failure, with one line for people.
pub(super) fn failure(rollout: &Rollout, evidence: &Evidence) -> Failure {
    by_evidence(evidence).unwrap_or_else(|| by_reason(&rollout.reason))
}

/// The cause as far as stopped tasks and service events tell it.
pub(super) fn by_evidence(evidence: &Evidence) -> Option<Failure> {
    let by_task = evidence.stopped_tasks.iter().find_map(by_task);
    by_task.or_else(|| evidence.service_events.iter().find_map(by_event))
}

fn by_task(task: &StoppedTask) -> Option<Failure> {
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    let (reason, container_reason) = (text(&task.reason), text(&task.container_reason));
    let cause = match task.stop_code.as_deref()? {
        "TaskFailedToStart" => start_failure(&format!("{reason} {container_reason}")),
        "EssentialContainerExited" if is_out_of_memory(&container_reason) => Cause::OutOfMemory,
        "EssentialContainerExited" => Cause::CrashLoop,
        "ServiceSchedulerInitiated" if mentions(&reason, &["health check", "unhealthy"]) => {
            Cause::HealthCheck
        }
        _ => return None,
    };
    let detail = if container_reason.is_empty() { &reason } else { &container_reason };
    let who = task.container.as_ref().map(|name| format!("container {name}: ")).unwrap_or_default();
    let exit = task.exit_code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
    Some(Failure::new(cause, format!("{who}{detail}{exit}")))
}

/// ECS has one stop code for all that can go wrong before a container runs; its words tell which.
fn start_failure(text: &str) -> Cause {
    let is_permission = mentions(text, &["AccessDenied", "not authorized", "permissions"]);
    if mentions(text, &["secret", "ssm", "parameter"]) && !mentions(text, &["CannotPull"]) {
        Cause::SecretUnreadable
    } else if mentions(text, &["CannotPull", "pull", "image"]) {
        Cause::ImagePull
    } else if is_permission {
        Cause::Permission
    } else if is_out_of_memory(text) {
        Cause::OutOfMemory
    } else if mentions(text, &["capacity", "RESOURCE:"]) {
        Cause::Placement
    } else if mentions(text, &["CannotStartContainer"]) {
        Cause::CrashLoop
    } else {
        Cause::Unknown
    }
}

fn by_event(message: &Arc<str>) -> Option<Failure> {
    let cause = if mentions(message, &["unable to place a task", "capacity is unavailable"]) {
        Cause::Placement
    } else if mentions(message, &["is unhealthy", "health check"]) {
        Cause::HealthCheck
    } else {
        return None;
    };
    Some(Failure::new(cause, message.to_string()))
}

fn by_reason(reason: &str) -> Failure {
    let cause = if mentions(reason, &["alarm"]) { Cause::Alarm } else { Cause::Unknown };
    let reason = if reason.is_empty() { "ECS gave no reason" } else { reason };
    Failure::new(cause, reason)
}

fn is_out_of_memory(text: &str) -> bool {
    text.contains("OutOfMemory")
}

fn mentions(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(&word.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(code: &str, reason: &str, container_reason: &str) -> StoppedTask {
        StoppedTask {
            stop_code: Some(code.into()),
            reason: Some(reason.into()),
            container: Some("web".into()),
            container_reason: (!container_reason.is_empty()).then(|| container_reason.into()),
            ..StoppedTask::default()
        }
    }

    #[test]
    fn each_stop_code_has_its_cause() {
        let cases = [
            ("TaskFailedToStart", "CannotPullContainerError: ref not found", "", Cause::ImagePull),
            (
                "TaskFailedToStart",
                "The task can't pull the image. Check the role's permissions.",
                "",
                Cause::ImagePull,
            ),
            (
                "TaskFailedToStart",
                "ResourceInitializationError: unable to pull secrets",
                "",
                Cause::SecretUnreadable,
            ),
            ("EssentialContainerExited", "Essential container in task exited", "", Cause::CrashLoop),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                "OutOfMemoryError: x",
                Cause::OutOfMemory,
            ),
            ("ServiceSchedulerInitiated", "Task failed container health checks", "", Cause::HealthCheck),
        ];
        for (code, reason, container, cause) in cases {
            assert_eq!(
                by_task(&stopped(code, reason, container)).map(|it| it.cause),
                Some(cause),
                "{code} {reason}"
            );
        }
    }

    #[test]
    fn a_task_that_was_only_scaled_in_explains_nothing() {
        assert_eq!(by_task(&stopped("ServiceSchedulerInitiated", "Scaling activity initiated by", "")), None);
        assert_eq!(by_task(&stopped("UserInitiated", "stopped", "")), None);
    }

    #[test]
    fn the_exit_code_is_said() {
        let task = StoppedTask { exit_code: Some(3), ..stopped("EssentialContainerExited", "exited", "") };
        assert_eq!(by_task(&task).map(|it| it.reason), Some("container web: exited (exit code 3)".into()));
    }
}
