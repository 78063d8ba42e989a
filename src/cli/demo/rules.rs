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

    #[test]
    fn the_demo_has_the_rules_that_terraform_makes() {
        let terraform = include_str!("../../../deploy/terraform/modules/patterns/main.tf");
        let rules = terraform.split_once("\n  rules = {\n").expect("the rules").1;
        let names = rules.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" = {"));
        let mut made: Vec<&str> = names.filter(|name| !name.starts_with(' ')).collect();
        made.truncate(made.iter().position(|name| name.starts_with("for ")).unwrap_or(made.len()));
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
