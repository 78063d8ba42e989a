//! Every sample event leads to what its README says. The samples are not part of this repository: the folder is
//! named by `LOCKKEEPER_EVENTS`, or stands as `shared/events` beside the checkout.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use lockkeeper::{
    decode::decode,
    domain::{Event, Timestamp, Trigger, Wanted},
};

/// What a sample must lead to, written as [`summary`] writes it. An ignored or malformed one ends in words that its
/// reason must contain.
const EXPECTED: &[(&str, &str)] = &[
    ("codedeploy-deployment-state-change", "ignored: CodeDeploy"),
    ("ecr-image-delete", "ignored: deleted"),
    ("ecr-image-push-digest-only-empty-tag", "ignored: no tag"),
    ("ecr-image-push-second-tag-same-digest", "pushed my-repository-name v1.2.3 7f5b"),
    ("ecr-image-push-tagged", "pushed my-repository-name latest 7f5b"),
    ("ecr-image-push-tagged-oci", "pushed node 20-alpine3.16 3c94"),
    ("ecr-image-scan-complete-basic", "scanned my-repository-name 7f5b complete 10 critical 0 high"),
    ("ecr-image-scan-complete-with-tags", "scanned tribble-image-scan-test d4a9 complete 10 critical 2 high"),
    ("ecr-image-storage-class-archive", "ignored: ARCHIVE"),
    ("ecr-image-storage-class-restore", "ignored: STANDARD"),
    ("ecr-pull-through-cache-action", "ignored: pull-through"),
    ("ecr-replication-success", "replicated docker-hub/alpine 3.17.2 7f5b"),
    ("ecs-deployment-completed", "moved default/servicetest SERVICE_DEPLOYMENT_COMPLETED ecs-svc/123"),
    (
        "ecs-deployment-failed-circuit-breaker",
        "moved default/servicetest SERVICE_DEPLOYMENT_FAILED ecs-svc/123",
    ),
    ("ecs-deployment-in-progress", "moved default/servicetest SERVICE_DEPLOYMENT_IN_PROGRESS ecs-svc/123"),
    (
        "ecs-deployment-in-progress-rollback",
        "moved default/servicetest SERVICE_DEPLOYMENT_IN_PROGRESS ecs-svc/123",
    ),
    (
        "ecs-hook-awaiting-action",
        "hook my-cluster/my-service POST_TEST_TRAFFIC_SHIFT until 2026-03-05T16:04:41Z",
    ),
    ("ecs-service-action-capacity-provider-steady-state", "ignored: CAPACITY_PROVIDER_STEADY_STATE"),
    ("ecs-service-action-deployment-failed", "moved default/servicetest SERVICE_DEPLOYMENT_FAILED -"),
    (
        "ecs-service-action-placement-failure-ec2-cpu",
        "moved default/servicetest SERVICE_TASK_PLACEMENT_FAILURE -",
    ),
    (
        "ecs-service-action-placement-failure-fargate-spot",
        "moved default/servicetest SERVICE_TASK_PLACEMENT_FAILURE -",
    ),
    ("ecs-service-action-steady-state", "ignored: SERVICE_STEADY_STATE"),
    ("ecs-service-action-task-start-impaired", "moved default/servicetest SERVICE_TASK_START_IMPAIRED -"),
    ("ecs-task-deprovisioning-essential-exited", "ignored: DEPROVISIONING"),
    ("ecs-task-spot-interruption", "ignored: RUNNING"),
    ("ecs-task-state-change-running-fargate-2025", "ignored: RUNNING"),
    (
        "ecs-task-stopped-cannot-pull",
        "stopped primary-cluster/api ecs-svc/9223370556150183303 TaskFailedToStart - -",
    ),
    (
        "ecs-task-stopped-exit-1",
        "stopped primary-cluster/api ecs-svc/9223370556150183303 EssentialContainerExited voterintake 1",
    ),
    (
        "ecs-task-stopped-health-check",
        "stopped primary-cluster/api ecs-svc/9223370556150183303 ServiceSchedulerInitiated voterintake 143",
    ),
    (
        "ecs-task-stopped-oom",
        "stopped primary-cluster/api ecs-svc/9223370556150183303 EssentialContainerExited voterintake 137",
    ),
    ("envelope-eventbridge-target-dlq-message", "pushed node 20-alpine3.16 3c94"),
    ("envelope-eventsv2-with-metadata", "pushed node 20-alpine3.16 3c94"),
    ("envelope-lambda-sqs-event", "malformed: Message Body"),
    ("envelope-sns-in-sqs-eventbridge", "pushed node 20-alpine3.16 3c94"),
    ("envelope-sqs-fifo-message-eventbridge", "pushed node 20-alpine3.16 3c94"),
    ("envelope-sqs-message-eventbridge-ecr-push", "pushed node 20-alpine3.16 3c94"),
    (
        "eventbridge-replayed-manual-deploy",
        "asked for api in - Refresh, replay-2025-01-21 of 2025-01-21T10:30:45Z",
    ),
    ("eventbridge-scheduled-event", "ignored: schedule"),
    (
        "github-actions-deployment-ready",
        "ready acme_backend 3f2a9c1d5b7e0c4a8f6d2e1b9a7c5d3f1e0b8a6c of main",
    ),
    ("github-actions-service-deploy", "asked for api in dev Refresh"),
    ("inspector2-finding-ecr", "ignored: finding"),
    ("manual-deploy-action-deploy-full", "asked for api in - Definition(acme_service_api_prod:42)"),
    ("manual-deploy-action-production", "asked for backend in - Refresh"),
    ("s3-cloudtrail-completemultipartupload", "file my-env-bucket api/.env Updated"),
    ("s3-cloudtrail-copyobject", "file my-env-bucket api/.env Updated"),
    ("s3-cloudtrail-putobject", "file username-sfn-tutorial test.png Updated"),
    ("s3-cloudtrail-putobject-accessdenied", "ignored: AccessDenied"),
    ("s3-event-notification-direct-to-sqs", "ignored: past EventBridge"),
    ("s3-object-created-put", "file amzn-s3-demo-bucket1 example-key Updated"),
    ("s3-object-deleted-lifecycle", "file amzn-s3-demo-bucket1 example-key Deleted"),
    ("s3-object-deleted-marker", "file amzn-s3-demo-bucket1 example-key Deleted"),
    ("s3-object-deleted-unversioned-permanently", "file my-env-bucket api/.env Deleted"),
    ("smus-cicd-deploy-completed", "ignored: SMUS-CICD-Deploy-Completed"),
    ("ssm-parameter-create", "parameter MyExampleParameter Created"),
    ("ssm-parameter-create-hierarchical", "parameter /scheduler/do-not-delete-manually/static Created"),
    ("ssm-parameter-delete", "parameter MyExampleParameter Deleted"),
    ("ssm-parameter-label-version", "ignored: label"),
    ("ssm-parameter-policy-action", "ignored: policy"),
    ("ssm-parameter-update", "parameter MyExampleParameter Updated"),
];

#[test]
fn every_sample_event_leads_to_what_its_readme_says() {
    let Some(folder) = folder() else {
        // Written past the capture of test output: that this did not run must be seen.
        let notice = "SKIPPED: there are no sample events. Name their folder in LOCKKEEPER_EVENTS.";
        writeln!(io::stderr(), "{notice}").expect("stderr takes a line");
        return;
    };
    let mut wrong = Vec::new();
    for (name, expected) in EXPECTED {
        let found = summary(&read(&folder, name));
        if !agrees(expected, &found) {
            wrong.push(format!("{name}\n  must be {expected}\n  but is {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_sample_event_is_held_against_something() {
    let Some(folder) = folder() else { return };
    let entries =
        fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path());
    let json = entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let present: BTreeSet<String> =
        json.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    assert_eq!(present, EXPECTED.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn every_sample_event_keeps_its_id_and_the_same_one_in_its_wrapper() {
    let Some(folder) = folder() else { return };
    let wrapped = ["envelope-sns-in-sqs-eventbridge", "envelope-eventsv2-with-metadata"];
    for name in wrapped.into_iter().chain(["ecr-image-push-tagged-oci"]) {
        assert_eq!(read(&folder, name).id.as_str(), "4f5ec4d5-4de4-7aad-a046-56d5cfe1df0e", "{name}");
    }
}

#[test]
fn every_pattern_in_the_documentation_brings_events_that_are_understood() {
    let page = include_str!("../docs/events.md");
    let patterns: Vec<&str> =
        page.split('`').filter(|code| code.starts_with("{\"source\":[") && code.ends_with('}')).collect();
    assert!(patterns.len() > 10, "the page has only {} patterns", patterns.len());
    for pattern in patterns {
        let rule: serde_json::Value = serde_json::from_str(pattern).expect(pattern);
        let texts = |key: &str| -> Vec<String> {
            let values = rule[key].as_array().into_iter().flatten();
            values.filter_map(|value| Some(value.as_str()?.to_owned())).collect()
        };
        let kinds =
            Some(texts("detail-type")).filter(|kinds| !kinds.is_empty()).unwrap_or(vec!["any".into()]);
        let known = texts("source").iter().any(|source| kinds.iter().all(|kind| is_known(source, kind)));
        assert!(known || rule["source"][0]["prefix"] == "github.actions", "{pattern}");
    }
}

/// An event of a known kind that lacks everything is malformed; one of an unknown kind is ignored.
fn is_known(source: &str, kind: &str) -> bool {
    let body = format!(r#"{{"source":"{source}","detail-type":"{kind}","detail":{{}}}}"#);
    matches!(decode(body.as_bytes(), Timestamp::from_millis(0)).trigger, Trigger::Malformed(_))
}

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/events");
    let named = env::var_os("LOCKKEEPER_EVENTS").map(PathBuf::from);
    if let Some(named) = &named {
        assert!(named.is_dir(), "LOCKKEEPER_EVENTS names no folder: {}", named.display());
    }
    named.or_else(|| beside.is_dir().then_some(beside))
}

fn read(folder: &Path, name: &str) -> Event {
    let path = folder.join(format!("{name}.json"));
    let body = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decode(&body, Timestamp::from_millis(0))
}

fn agrees(expected: &str, found: &str) -> bool {
    for kind in ["ignored: ", "malformed: "] {
        if let Some(words) = expected.strip_prefix(kind) {
            return found.starts_with(kind) && found.contains(words);
        }
    }
    expected == found
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

/// The four digits behind `sha256:`, to tell digests apart.
fn short(digest: &str) -> &str {
    digest.strip_prefix("sha256:").and_then(|hex| hex.get(..4)).unwrap_or(digest)
}

fn summary(event: &Event) -> String {
    let replay = event.replay.as_ref().map_or(String::new(), |name| format!(", {name} of {}", event.time));
    match &event.trigger {
        Trigger::ImagePushed(image) | Trigger::ImageReplicated(image) => {
            let verb = if matches!(event.trigger, Trigger::ImagePushed(_)) { "pushed" } else { "replicated" };
            let digest = image.digest.as_ref().map(|digest| short(digest.as_str()));
            format!("{verb} {} {} {}", image.repository, image.tag, or_dash(digest))
        }
        Trigger::ImageScanned(scan) => format!(
            "scanned {} {} {} {} critical {} high",
            scan.repository,
            short(scan.digest.as_str()),
            if scan.complete { "complete" } else { "incomplete" },
            scan.critical,
            scan.high
        ),
        Trigger::ParameterChanged { name, change } => format!("parameter {name} {change:?}"),
        Trigger::SecretChanged { secret, change } => format!("secret {secret} {change:?}"),
        Trigger::EnvFileChanged { bucket, key, change } => format!("file {bucket} {key} {change:?}"),
        Trigger::ImageReady(image) => {
            format!("ready {} {} of {}", image.repository, image.tag, or_dash(image.branch.as_ref()))
        }
        Trigger::DeployRequested(request) => {
            let environment = or_dash(request.environment.as_ref());
            let wanted = match &request.wanted {
                Wanted::Definition(change) => format!("Definition({})", change.definition),
                other => format!("{other:?}"),
            };
            format!("asked for {} in {environment} {wanted}{replay}", request.service)
        }
        Trigger::Decision(decision) => format!("{:?} {}", decision.verb, decision.about),
        Trigger::RolloutChanged(hint) => {
            let cluster = or_dash(hint.cluster.as_ref());
            let rollout = or_dash(hint.rollout.as_ref());
            format!("moved {cluster}/{} {} {rollout}", hint.service, hint.event_name)
        }
        Trigger::TaskStopped(hint) => {
            let (rollout, stopped) = (or_dash(hint.rollout.as_ref()), &hint.stopped);
            let code = or_dash(stopped.stop_code.as_ref());
            let container = or_dash(stopped.container.as_ref());
            let exit_code = or_dash(stopped.exit_code);
            format!("stopped {}/{} {rollout} {code} {container} {exit_code}", hint.cluster, hint.service)
        }
        Trigger::HookWaiting(hint) => {
            let (cluster, until) = (or_dash(hint.cluster.as_ref()), or_dash(hint.expires_at));
            format!("hook {cluster}/{} {} until {until}", hint.service, hint.stage)
        }
        Trigger::Ignored(reason) => format!("ignored: {reason}"),
        Trigger::Malformed(reason) => format!("malformed: {reason}"),
    }
}
