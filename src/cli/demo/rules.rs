//! The rules that bring events to the queue: those of `deploy/terraform`, with its defaults.

use serde_json::{Value, json};

/// Each rule of this account, Region and cluster, and its pattern. Those for what is not emulated are left out.
pub(super) fn all(account: &str, region: &str, cluster: &str) -> Vec<(&'static str, Value)> {
    let ecs = |kind: &str, name: &str| format!("arn:aws:ecs:{region}:{account}:{kind}/{name}");
    let clusters = [ecs("cluster", cluster)];
    let service = ecs("service", &format!("{cluster}/"));
    let steady = ["SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE", "CAPACITY_PROVIDER_STEADY_STATE"];
    let image = |action: &str| json!({"action-type": [action], "result": ["SUCCESS"], "image-tag": [{"anything-but": [""]}]});
    let of = |source: &str, kind: &str, detail: Value| json!({"source": [source], "detail-type": [kind], "detail": detail});
    let any_case = |kind: &str| json!([{"equals-ignore-case": kind}]);
    vec![
        ("image-pushes", of("aws.ecr", "ECR Image Action", image("PUSH"))),
        ("image-replications", of("aws.ecr", "ECR Replication Action", image("REPLICATE"))),
        (
            "parameters",
            of(
                "aws.ssm",
                "Parameter Store Change",
                json!({"operation": ["Create", "Update", "Delete"], "exception": [{"exists": false}]}),
            ),
        ),
        (
            "secrets",
            of("aws.secretsmanager", "Secret Label Updated", json!({"labelUpdated": ["AWSCURRENT"]})),
        ),
        ("image-ready", json!({"source": ["github.actions"], "detail-type": any_case("Deployment Ready")})),
        (
            "service-deploys",
            json!({"source": [{"prefix": "github.actions."}], "detail-type": any_case("SERVICE_DEPLOY")}),
        ),
        ("deploy-requests", json!({"source": ["action.production", "action.deploy"]})),
        (
            "rollouts",
            json!({
                "source": ["aws.ecs"], "detail-type": ["ECS Deployment State Change"],
                "resources": [{"prefix": service}],
            }),
        ),
        (
            "service-actions",
            of(
                "aws.ecs",
                "ECS Service Action",
                json!({"clusterArn": clusters, "eventName": [{"anything-but": steady}]}),
            ),
        ),
        ("hooks", of("aws.ecs", "ECS Hook State Change", json!({"clusterArn": clusters}))),
        (
            "stopped-tasks",
            of(
                "aws.ecs",
                "ECS Task State Change",
                json!({"clusterArn": clusters, "lastStatus": ["STOPPED"], "group": [{"prefix": "service:"}]}),
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::decode,
        domain::{Timestamp, Trigger, matches_pattern},
    };

    /// Those that Terraform makes beside: off by default there, or of a service that is not emulated.
    const LEFT_OUT: [&str; 7] = [
        "decisions",
        "image-removals",
        "image-scans-basic",
        "image-scans-enhanced",
        "secrets-cloudtrail",
        "files",
        "files-cloudtrail",
    ];

    /// The rules that Terraform makes, by name.
    fn made() -> Vec<&'static str> {
        let terraform = include_str!("../../../deploy/terraform/modules/patterns/main.tf");
        let rules = terraform.split_once("\n  rules = {\n").expect("the rules").1;
        let names = rules.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" = {"));
        let mut made: Vec<&str> = names.filter(|name| !name.starts_with(' ')).collect();
        made.truncate(made.iter().position(|name| name.starts_with("for ")).unwrap_or(made.len()));
        made
    }

    /// Of each kind of event that a rule brings, one. Those of `image-removals` are read beside, for a warning.
    fn samples() -> Vec<(&'static str, Value)> {
        let event = |source: &str, kind: &str, detail: Value| json!({"source": source, "detail-type": kind, "resources": [], "detail": detail});
        let image = |action: &str| json!({"action-type": action, "result": "SUCCESS", "repository-name": "shop/api", "image-digest": "sha256:aa", "image-tag": "v1"});
        let cluster = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop";
        let service = "arn:aws:ecs:eu-west-1:111122223333:service/shop/api";
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db-AbCdEf";
        let of_service = |mut event: Value| {
            event["resources"] = json!([service]);
            event
        };
        let secret = |name: &str, more: Value| {
            let mut detail = json!({"eventSource": "secretsmanager.amazonaws.com", "eventName": name});
            detail.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            let by = if name.starts_with("Rotation") { "Service Event" } else { "API Call" };
            ("secrets-cloudtrail", event("aws.secretsmanager", &format!("AWS {by} via CloudTrail"), detail))
        };
        let by_id = json!({"requestParameters": {"secretId": "shop/db"}});
        let moved = json!({"requestParameters": {"secretId": arn, "versionStage": "AWSCURRENT", "moveToVersionId": "2"}});
        let called = |name: &str| {
            let detail = json!({"eventSource": "s3.amazonaws.com", "eventName": name, "requestParameters": {"bucketName": "env", "key": "a.env"}});
            ("files-cloudtrail", event("aws.s3", "AWS API Call via CloudTrail", detail))
        };
        let object = json!({"bucket": {"name": "env"}, "object": {"key": "a.env"}, "deletion-type": "Permanently Deleted"});
        let written = |how: &str| {
            event(
                "aws.ssm",
                "Parameter Store Change",
                json!({"operation": how, "name": "/shop/KEY", "type": "String"}),
            )
        };
        let decision = |kind: &str, of: &str| {
            ("decisions", event("lockkeeper.decision", kind, json!({of: "api", "by": "ann"})))
        };
        let asked = |source: &str| ("deploy-requests", event(source, "DEPLOY", json!({"service": "api"})));
        vec![
            ("image-pushes", event("aws.ecr", "ECR Image Action", image("PUSH"))),
            ("image-replications", event("aws.ecr", "ECR Replication Action", image("REPLICATE"))),
            (
                "image-scans-basic",
                event(
                    "aws.ecr",
                    "ECR Image Scan",
                    json!({"scan-status": "COMPLETE", "repository-name": "shop/api", "image-digest": "sha256:aa", "finding-severity-counts": {"HIGH": 1}}),
                ),
            ),
            (
                "image-scans-enhanced",
                event(
                    "aws.inspector2",
                    "Inspector2 Scan",
                    json!({"scan-status": "INITIAL_SCAN_COMPLETE", "repository-name": "arn:aws:ecr:eu-west-1:111122223333:repository/shop/api", "image-digest": "sha256:aa", "finding-severity-counts": {"HIGH": 1}}),
                ),
            ),
            ("parameters", written("Create")),
            ("parameters", written("Update")),
            ("parameters", written("Delete")),
            (
                "secrets",
                event(
                    "aws.secretsmanager",
                    "Secret Label Updated",
                    json!({"name": "shop/db", "labelUpdated": "AWSCURRENT", "versionId": "2"}),
                ),
            ),
            secret("PutSecretValue", by_id.clone()),
            secret("UpdateSecret", by_id.clone()),
            secret("UpdateSecretVersionStage", moved),
            secret("DeleteSecret", by_id.clone()),
            secret("RestoreSecret", by_id),
            secret("RotationSucceeded", json!({"additionalEventData": {"SecretId": arn}})),
            ("files", event("aws.s3", "Object Created", object.clone())),
            ("files", event("aws.s3", "Object Deleted", object)),
            called("PutObject"),
            called("CopyObject"),
            called("CompleteMultipartUpload"),
            called("DeleteObject"),
            (
                "image-ready",
                event("github.actions", "Deployment Ready", json!({"repository": "shop/api", "tag": "v1"})),
            ),
            ("service-deploys", event("github.actions.prod", "SERVICE_DEPLOY", json!({"service": "api"}))),
            asked("action.production"),
            asked("action.deploy"),
            decision("Approve", "deployment_id"),
            decision("Reject", "deployment_id"),
            decision("Cancel", "deployment_id"),
            decision("Pause", "target"),
            decision("Resume", "target"),
            (
                "rollouts",
                of_service(event(
                    "aws.ecs",
                    "ECS Deployment State Change",
                    json!({"eventName": "SERVICE_DEPLOYMENT_FAILED", "deploymentId": "ecs-svc/1"}),
                )),
            ),
            (
                "service-actions",
                of_service(event(
                    "aws.ecs",
                    "ECS Service Action",
                    json!({"eventName": "SERVICE_TASK_PLACEMENT_FAILURE", "clusterArn": cluster}),
                )),
            ),
            (
                "hooks",
                event(
                    "aws.ecs",
                    "ECS Hook State Change",
                    json!({"eventName": "HOOK_AWAITING_ACTION", "clusterArn": cluster, "serviceArn": service, "serviceDeploymentArn": "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/api/1", "hookId": "h", "status": "AWAITING_ACTION", "lifecycleStage": "PRE_SCALE_UP"}),
                ),
            ),
            (
                "stopped-tasks",
                event(
                    "aws.ecs",
                    "ECS Task State Change",
                    json!({"clusterArn": cluster, "lastStatus": "STOPPED", "group": "service:api", "taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/shop/1", "containers": []}),
                ),
            ),
        ]
    }

    #[test]
    fn nothing_that_a_rule_brings_is_ignored() {
        for (name, sample) in samples() {
            let trigger = decode(sample.to_string().as_bytes(), Timestamp::from_millis(0)).trigger;
            assert!(!matches!(trigger, Trigger::Ignored(_) | Trigger::Malformed(_)), "{name}: {trigger:?}");
        }
        let mut sampled: Vec<&str> =
            samples().into_iter().map(|(name, _)| name).chain(["image-removals"]).collect();
        sampled.dedup();
        let mut made = made();
        sampled.sort_unstable();
        made.sort_unstable();
        assert_eq!(sampled, made, "each rule has a sample");
    }

    #[test]
    fn each_pattern_of_the_demo_lets_its_sample_through() {
        for (name, pattern) in all("111122223333", "eu-west-1", "shop") {
            let mut own = samples().into_iter().filter(|(of, _)| *of == name).map(|(_, sample)| sample);
            assert!(own.all(|sample| matches_pattern(&pattern, &sample)), "{name}");
        }
    }

    #[test]
    fn the_demo_has_the_rules_that_terraform_makes() {
        let mut made = made();
        let demo = all("111122223333", "eu-west-1", "shop").into_iter().map(|(name, _)| name);
        let mut both: Vec<&str> = demo.chain(LEFT_OUT).collect();
        made.sort_unstable();
        both.sort_unstable();
        assert_eq!(both, made);
    }

    #[test]
    fn each_pattern_of_the_demo_says_what_terraforms_says() {
        let terraform = include_str!("../../../deploy/terraform/modules/patterns/main.tf");
        for (name, pattern) in all("111122223333", "eu-west-1", "shop") {
            let rule = terraform.split_once(&format!("\n    {name} = {{\n")).expect("the rule").1;
            let rule = rule.split_once("\n    }\n").expect("its end").0;
            for key in ["source", "detail-type", "detail", "resources"] {
                let is_said = rule.lines().any(|line| {
                    let line = line.trim_start().trim_start_matches("pattern = { ").replace('"', "");
                    line.starts_with(&format!("{key} ")) || line.starts_with(&format!("{key}="))
                });
                assert_eq!(!pattern[key].is_null(), is_said, "{name}: {key}");
            }
        }
    }
}
