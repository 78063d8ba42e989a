//! What ECS tells of rollouts, tasks and lifecycle hooks: hints to look, never proof.
//!
//! One turn of a rollout may arrive as two kinds of event, and a rollback's `COMPLETED` looks like a success. So
//! nothing is concluded here but which service moved.

use std::{borrow::Cow, sync::Arc};

use super::{
    Reading, Reason,
    envelope::Envelope,
    json::{Field, Object, quoted},
    unknown,
};
use crate::domain::{HookHint, RolloutHint, RolloutId, StoppedTask, TaskHint, Timestamp, Trigger};

/// What an event of ECS means.
pub(super) fn read(envelope: &Envelope) -> Reading {
    match &*envelope.detail_type {
        "ECS Deployment State Change" | "ECS Service Action" => service_moved(envelope),
        "ECS Hook State Change" => hook_moved(envelope),
        "ECS Task State Change" => task_moved(envelope.detail()?),
        _ => Ok(unknown(envelope)),
    }
}

fn service_moved(envelope: &Envelope) -> Reading {
    let [name, rollout, reason] = envelope.detail()?.pick(["eventName", "deploymentId", "reason"])?;
    let event_name = name.filled()?;
    if event_name.ends_with("STEADY_STATE") {
        let why = "it is sent again and again, and is no sign that a rollout is complete";
        return Ok(Trigger::Ignored(format!("{} tells nothing: {why}", quoted(&event_name))));
    }
    moved(envelope, &event_name, rollout, reason)
}

fn hook_moved(envelope: &Envelope) -> Reading {
    let [name, rollout, reason, hook, stage, until] = envelope.detail()?.pick([
        "eventName",
        "serviceDeploymentArn",
        "reason",
        "hookId",
        "lifecycleStage",
        "expiresAt",
    ])?;
    let event_name = name.filled()?;
    if event_name != "HOOK_AWAITING_ACTION" {
        return moved(envelope, &event_name, rollout, reason);
    }
    let Place { cluster, service } = Place::find(envelope)?;
    Ok(Trigger::HookWaiting(HookHint {
        cluster,
        service,
        hook: (&*hook.filled()?).into(),
        stage: (&*stage.filled()?).into(),
        expires_at: until.text()?.and_then(|until| Timestamp::parse(&until)),
    }))
}

fn moved(envelope: &Envelope, event_name: &str, rollout: Field, reason: Field) -> Reading {
    let Place { cluster, service } = Place::find(envelope)?;
    let rollout = rollout.text()?.filter(|id| !id.is_empty()).map(|id| RolloutId::from(&*id));
    Ok(Trigger::RolloutChanged(RolloutHint {
        cluster,
        service,
        event_name: event_name.into(),
        rollout,
        reason: reason.note()?,
    }))
}

fn task_moved(detail: Object) -> Reading {
    let [status, group, cluster, started_by] =
        detail.pick(["lastStatus", "group", "clusterArn", "startedBy"])?;
    let status = status.filled()?;
    if status != "STOPPED" {
        return Ok(Trigger::Ignored(format!("the task is {}, and has not stopped yet", quoted(&status))));
    }
    let group = group.text()?.unwrap_or_default();
    let Some(service) = group.strip_prefix("service:").filter(|name| !name.is_empty()) else {
        return Ok(Trigger::Ignored(format!(
            "the task is of the group {}, and of no service",
            quoted(&group)
        )));
    };
    let arn = cluster.filled()?;
    let rollout = started_by.text()?.filter(|id| id.starts_with("ecs-svc/")).map(|id| RolloutId::from(&*id));
    let stopped = stopped_task(detail)?;
    let name = cluster_in(&arn).ok_or_else(|| cluster.must_be("the ARN of a cluster"))?;
    Ok(Trigger::TaskStopped(TaskHint { cluster: name, service: service.into(), rollout, stopped }))
}

fn stopped_task(detail: Object) -> Result<StoppedTask, Reason> {
    let [task, code, reason, containers] =
        detail.pick(["taskArn", "stopCode", "stoppedReason", "containers"])?;
    let arn = task.filled()?;
    let mut stopped = StoppedTask {
        task: last_part(&arn).into(),
        stop_code: code.note()?,
        reason: reason.note()?,
        ..StoppedTask::default()
    };
    let containers = containers.items()?.into_iter().map(Container::read).collect::<Result<Vec<_>, _>>()?;
    if let Some(failed) = containers.into_iter().filter(Container::failed).min_by_key(Container::innocence) {
        stopped.container = failed.name.as_deref().map(Into::into);
        stopped.exit_code = failed.exit_code;
        stopped.container_reason = failed.reason;
    }
    Ok(stopped)
}

struct Container<'a> {
    name: Option<Cow<'a, str>>,
    exit_code: Option<i32>,
    reason: Option<Arc<str>>,
}

impl<'a> Container<'a> {
    /// Exit codes of a container that was told to stop, by SIGTERM or SIGKILL, because another one failed.
    const TOLD_TO_STOP: [i32; 2] = [143, 137];

    fn read(item: Field<'a>) -> Result<Self, Reason> {
        let [name, exit_code, reason] = item.object()?.pick(["name", "exitCode", "reason"])?;
        Ok(Self { name: name.text()?, exit_code: exit_code.number()?, reason: reason.note()? })
    }

    fn failed(&self) -> bool {
        self.reason.is_some() || self.exit_code.is_some_and(|code| code != 0)
    }

    /// When one container fails, ECS stops the others: the one with words of ECS is the likeliest to have failed
    /// first, then one that ended by itself.
    fn innocence(&self) -> u8 {
        let ended_well = self.exit_code == Some(0);
        let told = self.exit_code.is_some_and(|code| Self::TOLD_TO_STOP.contains(&code));
        match (self.reason.is_some(), ended_well, told) {
            (true, false, _) => 0,
            (false, _, false) => 1,
            (false, _, true) => 2,
            (true, true, _) => 3,
        }
    }
}

/// Which service an event is about.
struct Place {
    cluster: Option<Arc<str>>,
    service: Arc<str>,
}

impl Place {
    /// ECS names the service by an ARN, which stands among the resources, or in one of several fields of the detail,
    /// or by its mere name. Short ARNs lack the cluster, which then stands in a field of its own.
    fn find(envelope: &Envelope) -> Result<Self, Reason> {
        let [arn, cluster, name, service] =
            envelope.detail()?.pick(["serviceArn", "clusterArn", "serviceName", "service"])?;
        let cluster = cluster.text()?.and_then(|arn| cluster_in(&arn));
        let named = [arn.text()?, name.text()?, service.text()?];
        let texts =
            || envelope.resources().unwrap_or_default().into_iter().chain(named.iter().flatten().cloned());
        let found = texts().find_map(|arn| Self::in_arn(&arn));
        let found = found.or_else(|| texts().find_map(|name| Self::by_name(&name)));
        let place = found.ok_or("no service is named: `resources` should hold its ARN")?;
        Ok(Self { cluster: place.cluster.or(cluster), service: place.service })
    }

    /// `…:service/cluster/name`, the older `…:service/name`, or `…:service-deployment/cluster/name/id`.
    fn in_arn(arn: &str) -> Option<Self> {
        let path = arn.split_once(":service/").or_else(|| arn.split_once(":service-deployment/"))?.1;
        let mut parts = path.split('/');
        let (cluster, service) = match (parts.next()?, parts.next()) {
            (cluster, Some(service)) => (Some(cluster), service),
            (service, None) => (None, service),
        };
        (!service.is_empty()).then(|| Self { cluster: cluster.map(Into::into), service: service.into() })
    }

    fn by_name(name: &str) -> Option<Self> {
        let plain = !name.is_empty() && !name.contains([':', '/']);
        plain.then(|| Self { cluster: None, service: name.into() })
    }
}

/// The name in a cluster's ARN, or the name itself.
fn cluster_in(arn: &str) -> Option<Arc<str>> {
    let name = arn.split_once(":cluster/").map_or(arn, |(_, name)| name);
    (!name.is_empty() && !name.contains([':', '/'])).then(|| name.into())
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{ignored, malformed, trigger, trigger_with};

    const DEPLOYMENT: &str = "ECS Deployment State Change";
    const ACTION: &str = "ECS Service Action";
    const TASK: &str = "ECS Task State Change";
    const LONG: &str = "arn:aws:ecs:eu-west-1:111122223333:service/shop/web";
    const SHORT: &str = "arn:aws:ecs:eu-west-1:111122223333:service/web";

    fn about(resource: &str, kind: &str, detail: &str) -> RolloutHint {
        let resources = format!(r#","resources":["{resource}"]"#);
        match trigger_with("aws.ecs", kind, detail, &resources) {
            Trigger::RolloutChanged(hint) => hint,
            other => panic!("{other:?}"),
        }
    }

    fn stopped(containers: &str) -> TaskHint {
        let detail = format!(
            r#"{{"lastStatus":"STOPPED","group":"service:web","startedBy":"ecs-svc/77","stopCode":"TaskFailedToStart",
                "clusterArn":"arn:aws:ecs:eu-west-1:111122223333:cluster/shop","stoppedReason":"It ended",
                "taskArn":"arn:aws:ecs:eu-west-1:111122223333:task/shop/0a1b","containers":{containers}}}"#
        );
        match trigger("aws.ecs", TASK, &detail) {
            Trigger::TaskStopped(hint) => hint,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rollout_that_moved_names_its_service_and_its_id() {
        let detail =
            r#"{"eventName":"SERVICE_DEPLOYMENT_FAILED","deploymentId":"ecs-svc/77","reason":"why"}"#;
        let hint = about(LONG, DEPLOYMENT, detail);
        assert_eq!((hint.cluster.as_deref(), &*hint.service), (Some("shop"), "web"));
        assert_eq!(&*hint.event_name, "SERVICE_DEPLOYMENT_FAILED");
        assert_eq!(hint.rollout, Some("ecs-svc/77".into()));
        assert_eq!(hint.reason.as_deref(), Some("why"));
    }

    #[test]
    fn a_short_arn_leaves_the_cluster_to_its_own_field() {
        let hint = about(SHORT, ACTION, r#"{"eventName":"SERVICE_TASK_START_IMPAIRED"}"#);
        assert_eq!((hint.cluster.as_deref(), &*hint.service), (None, "web"));
        let detail = r#"{"eventName":"TASKS_STOPPED","clusterArn":"arn:aws:ecs:x:1:cluster/shop"}"#;
        assert_eq!(about(SHORT, ACTION, detail).cluster.as_deref(), Some("shop"));
    }

    #[test]
    fn a_service_may_be_named_by_a_field_instead() {
        for field in ["serviceName", "service"] {
            let detail = format!(r#"{{"eventName":"X","{field}":"web","clusterArn":"shop"}}"#);
            let hint = about("arn:aws:ecs:x:1:task/shop/1", ACTION, &detail);
            assert_eq!((hint.cluster.as_deref(), &*hint.service), (Some("shop"), "web"));
        }
        assert!(malformed("aws.ecs", ACTION, r#"{"eventName":"X"}"#).contains("no service is named"));
    }

    #[test]
    fn steady_states_are_ignored() {
        for name in ["SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE", "CAPACITY_PROVIDER_STEADY_STATE"] {
            let detail = format!(r#"{{"eventName":"{name}"}}"#);
            assert!(ignored("aws.ecs", ACTION, &detail).contains(name));
        }
    }

    #[test]
    fn a_hook_that_waits_is_told_with_its_end_and_other_hooks_are_hints() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/web/x1";
        let detail = |name: &str| {
            format!(
                r#"{{"eventName":"{name}","hookId":"h-1","lifecycleStage":"POST_SCALE_UP","serviceDeploymentArn":"{arn}",
                    "expiresAt":"2026-03-01T10:00:00.123456789Z","serviceArn":"{LONG}"}}"#
            )
        };
        let Trigger::HookWaiting(hook) =
            trigger("aws.ecs", "ECS Hook State Change", &detail("HOOK_AWAITING_ACTION"))
        else {
            panic!("no hook")
        };
        assert_eq!((hook.cluster.as_deref(), &*hook.service), (Some("shop"), "web"));
        assert_eq!((&*hook.hook, &*hook.stage), ("h-1", "POST_SCALE_UP"));
        assert_eq!(hook.expires_at, Timestamp::parse("2026-03-01T10:00:00.123Z"));

        let hint = about(arn, "ECS Hook State Change", &detail("HOOK_SUCCEEDED"));
        assert_eq!((&*hint.service, hint.rollout), ("web", Some(arn.into())));
    }

    #[test]
    fn a_stopped_task_names_its_rollout() {
        let hint = stopped("[]");
        assert_eq!(
            (&*hint.cluster, &*hint.service, hint.rollout),
            ("shop", "web", Some("ecs-svc/77".into()))
        );
        let expected = StoppedTask {
            task: "0a1b".into(),
            stop_code: Some("TaskFailedToStart".into()),
            reason: Some("It ended".into()),
            ..StoppedTask::default()
        };
        assert_eq!(hint.stopped, expected);
    }

    #[test]
    fn the_container_that_failed_is_the_one_that_ecs_has_words_for_or_that_ended_by_itself() {
        let sidecar = r#"{"name":"proxy","exitCode":143}"#;
        for (failed, exit_code, reason) in [
            (r#"{"name":"web","exitCode":1}"#, Some(1), None),
            (r#"{"name":"web","exitCode":137,"reason":"OutOfMemory"}"#, Some(137), Some("OutOfMemory")),
            (r#"{"name":"web","reason":"CannotPull"}"#, None, Some("CannotPull")),
        ] {
            let well = r#"{"name":"init","exitCode":0},{"name":"agent","cpu":"null"}"#;
            let hint = stopped(&format!("[{well},{sidecar},{failed}]")).stopped;
            assert_eq!(hint.container, Some("web".into()), "{failed}");
            assert_eq!((hint.exit_code, hint.container_reason.as_deref()), (exit_code, reason));
        }
        assert_eq!(stopped(&format!("[{sidecar}]")).stopped.exit_code, Some(143));
        assert_eq!(stopped(r#"[{"name":"web","exitCode":0}]"#).stopped.container, None);
    }

    #[test]
    fn a_task_that_has_not_stopped_or_is_of_no_service_is_ignored() {
        assert!(
            ignored("aws.ecs", TASK, r#"{"lastStatus":"RUNNING","desiredStatus":"STOPPED"}"#)
                .contains("RUNNING")
        );
        assert!(
            ignored("aws.ecs", TASK, r#"{"lastStatus":"DEPROVISIONING","group":"service:web"}"#)
                .contains("yet")
        );
        assert!(
            ignored("aws.ecs", TASK, r#"{"lastStatus":"STOPPED","group":"family:job"}"#)
                .contains("family:job")
        );
        assert!(ignored("aws.ecs", TASK, r#"{"lastStatus":"STOPPED"}"#).contains("no service"));
    }

    #[test]
    fn a_stopped_task_with_wrong_fields_says_which() {
        let task = |more: &str| format!(r#"{{"lastStatus":"STOPPED","group":"service:web",{more}}}"#);
        for (more, name) in [
            (r#""taskArn":"t""#, "clusterArn"),
            (r#""clusterArn":"shop""#, "taskArn"),
            (r#""clusterArn":"shop","taskArn":"t","containers":{}"#, "containers"),
            (r#""clusterArn":"shop","taskArn":"t","containers":[{"exitCode":"1"}]"#, "exitCode"),
            (r#""clusterArn":"a/b","taskArn":"t""#, "clusterArn"),
        ] {
            let reason = malformed("aws.ecs", TASK, &task(more));
            assert!(reason.contains(name), "{reason}");
        }
    }
}
