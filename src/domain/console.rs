//! Where AWS's console shows what we talk about. Each partition has a console of its own.

use super::{ClusterName, DefinitionId, Region, ServiceName, TargetId};

/// The host of the console in this Region.
pub fn console_host(region: &Region) -> String {
    match region.as_str() {
        region if region.starts_with("cn-") => format!("{region}.console.amazonaws.cn"),
        region if region.starts_with("us-gov-") => "console.amazonaws-us-gov.com".to_owned(),
        region => format!("{region}.console.aws.amazon.com"),
    }
}

/// The page of a service.
pub fn service_url(target: &TargetId) -> String {
    let service = service(target.cluster(), target.service());
    page(target.region(), &format!("{service}/health"))
}

/// The page that lists the deployments of a service.
pub fn deployments_url(target: &TargetId) -> String {
    let service = service(target.cluster(), target.service());
    page(target.region(), &format!("{service}/deployments"))
}

/// The page of a task, which is there for about an hour after it has stopped.
pub fn task_url(target: &TargetId, task: &str) -> String {
    let cluster = target.cluster();
    page(target.region(), &format!("clusters/{cluster}/tasks/{task}/configuration"))
}

/// The page of a revision of a task definition where this target is.
pub fn definition_url(target: &TargetId, definition: &DefinitionId) -> String {
    let DefinitionId { family, revision } = definition;
    page(target.region(), &format!("task-definitions/{family}/{revision}/containers"))
}

fn service(cluster: &ClusterName, service: &ServiceName) -> String {
    format!("clusters/{cluster}/services/{service}")
}

fn page(region: &Region, path: &str) -> String {
    let path: String = path.chars().map(|it| if it.is_ascii_graphic() { it } else { '_' }).collect();
    format!("https://{}/ecs/v2/{path}?region={region}", console_host(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(region: &str) -> TargetId {
        format!("111122223333/{region}/shop/shop-api").parse().expect("valid")
    }

    #[test]
    fn each_thing_has_its_page_in_the_console_of_its_partition() {
        let here = target("eu-west-1");
        let console = "https://eu-west-1.console.aws.amazon.com/ecs/v2";
        for (url, path) in [
            (service_url(&here), "clusters/shop/services/shop-api/health"),
            (deployments_url(&here), "clusters/shop/services/shop-api/deployments"),
            (task_url(&here, "0af3c1"), "clusters/shop/tasks/0af3c1/configuration"),
            (
                definition_url(&here, &"shop-api:7".parse().expect("valid")),
                "task-definitions/shop-api/7/containers",
            ),
        ] {
            assert_eq!(url, format!("{console}/{path}?region=eu-west-1"));
        }
        assert!(
            service_url(&target("cn-north-1")).starts_with("https://cn-north-1.console.amazonaws.cn/ecs/")
        );
        assert!(
            service_url(&target("us-gov-west-1")).starts_with("https://console.amazonaws-us-gov.com/ecs/")
        );
    }
}
