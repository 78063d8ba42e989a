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

    type Samples = Vec<(&'static str, Value)>;

    const CLUSTER: &str = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop";
    const SERVICE: &str = "arn:aws:ecs:eu-west-1:111122223333:service/shop/api";

    fn event(source: &str, kind: &str, detail: Value) -> Value {
        json!({"source": source, "detail-type": kind, "resources": [SERVICE], "detail": detail})
    }

    /// Of each kind of event that a rule brings, one. Those of `image-removals` are read beside, for a warning.
    fn samples() -> Samples {
        [of_images(), of_parameters_and_secrets(), of_trailed_secrets(), of_files(), of_people(), of_ecs()]
            .concat()
    }

    fn of_images() -> Samples {
        let image = |action: &str| json!({"action-type": action, "result": "SUCCESS", "repository-name": "shop/api", "image-digest": "sha256:aa", "image-tag": "v1"});
        let scan = |status: &str, repository: &str| json!({"scan-status": status, "repository-name": repository, "image-digest": "sha256:aa", "finding-severity-counts": {"HIGH": 1}});
        let arn = "arn:aws:ecr:eu-west-1:111122223333:repository/shop/api";
        vec![
            ("image-pushes", event("aws.ecr", "ECR Image Action", image("PUSH"))),
            ("image-replications", event("aws.ecr", "ECR Replication Action", image("REPLICATE"))),
            ("image-scans-basic", event("aws.ecr", "ECR Image Scan", scan("COMPLETE", "shop/api"))),
            (
                "image-scans-enhanced",
                event("aws.inspector2", "Inspector2 Scan", scan("INITIAL_SCAN_COMPLETE", arn)),
            ),
        ]
    }

    fn of_parameters_and_secrets() -> Samples {
        let written = |how: &str| {
            let detail = json!({"operation": how, "name": "/shop/KEY", "type": "String"});
            ("parameters", event("aws.ssm", "Parameter Store Change", detail))
        };
        let label = json!({"name": "shop/db", "labelUpdated": "AWSCURRENT", "versionId": "2"});
        vec![
            written("Create"),
            written("Update"),
            written("Delete"),
            ("secrets", event("aws.secretsmanager", "Secret Label Updated", label)),
        ]
    }

    fn of_trailed_secrets() -> Samples {
        let told = |by: &str, detail: Value| {
            ("secrets-cloudtrail", event("aws.secretsmanager", &format!("AWS {by} via CloudTrail"), detail))
        };
        let called = |name: &str| {
            let parameters =
                json!({"secretId": "shop/db", "versionStage": "AWSCURRENT", "moveToVersionId": "2"});
            told("API Call", json!({"eventName": name, "requestParameters": parameters}))
        };
        let rotated =
            json!({"eventName": "RotationSucceeded", "additionalEventData": {"SecretId": "shop/db"}});
        vec![
            called("PutSecretValue"),
            called("UpdateSecret"),
            called("UpdateSecretVersionStage"),
            called("DeleteSecret"),
            called("RestoreSecret"),
            told("Service Event", rotated),
        ]
    }

    fn of_files() -> Samples {
        let object = json!({"bucket": {"name": "env"}, "object": {"key": "a.env"}, "deletion-type": "Permanently Deleted"});
        let called = |name: &str| {
            let detail =
                json!({"eventName": name, "requestParameters": {"bucketName": "env", "key": "a.env"}});
            ("files-cloudtrail", event("aws.s3", "AWS API Call via CloudTrail", detail))
        };
        vec![
            ("files", event("aws.s3", "Object Created", object.clone())),
            ("files", event("aws.s3", "Object Deleted", object)),
            called("PutObject"),
            called("CopyObject"),
            called("CompleteMultipartUpload"),
            called("DeleteObject"),
        ]
    }

    fn of_people() -> Samples {
        let decision = |kind: &str, of: &str| {
            ("decisions", event("lockkeeper.decision", kind, json!({of: "api", "by": "ann"})))
        };
        let asked = |source: &str| ("deploy-requests", event(source, "DEPLOY", json!({"service": "api"})));
        let ready = json!({"repository": "shop/api", "tag": "v1"});
        vec![
            ("image-ready", event("github.actions", "Deployment Ready", ready)),
            ("service-deploys", event("github.actions.prod", "SERVICE_DEPLOY", json!({"service": "api"}))),
            asked("action.production"),
            asked("action.deploy"),
            decision("Approve", "deployment_id"),
            decision("Reject", "deployment_id"),
            decision("Cancel", "deployment_id"),
            decision("Pause", "target"),
            decision("Resume", "target"),
        ]
    }

    fn of_ecs() -> Samples {
        let deployment = json!({"eventName": "SERVICE_DEPLOYMENT_FAILED", "deploymentId": "ecs-svc/1"});
        let action = json!({"eventName": "SERVICE_TASK_PLACEMENT_FAILURE", "clusterArn": CLUSTER});
        let hook = json!({
            "eventName": "HOOK_AWAITING_ACTION", "clusterArn": CLUSTER, "serviceArn": SERVICE, "hookId": "h",
            "serviceDeploymentArn": "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/api/1",
            "status": "AWAITING_ACTION", "lifecycleStage": "PRE_SCALE_UP",
        });
        let task = json!({"clusterArn": CLUSTER, "lastStatus": "STOPPED", "group": "service:api", "taskArn": "task/shop/1", "containers": []});
        vec![
            ("rollouts", event("aws.ecs", "ECS Deployment State Change", deployment)),
            ("service-actions", event("aws.ecs", "ECS Service Action", action)),
            ("hooks", event("aws.ecs", "ECS Hook State Change", hook)),
            ("stopped-tasks", event("aws.ecs", "ECS Task State Change", task)),
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
