//! Pure: where CloudWatch shows what a container of a task wrote.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value};

use crate::domain::{ContainerName, Region, console_host};

/// Where the containers of a definition write to, for those that use `awslogs` with a prefix for their streams. Without
/// one the stream has a name that ECS does not tell.
pub(super) type Logs = BTreeMap<ContainerName, LogStreams>;

/// Where a container writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogStreams {
    group: String,
    prefix: String,
    /// Where it is not the task's own.
    region: Option<Region>,
}

/// What a definition says of its containers' logs.
pub(super) fn of(definition: &Map<String, Value>) -> Logs {
    let containers = definition.get("containerDefinitions").and_then(Value::as_array);
    let streams = |container: &Value| {
        let configuration = &container["logConfiguration"];
        let option = |key: &str| configuration["options"][key].as_str().filter(|text| !text.is_empty());
        (configuration["logDriver"] == "awslogs").then_some(())?;
        let name = container["name"].as_str()?.into();
        let (group, prefix) =
            (option("awslogs-group")?.to_owned(), option("awslogs-stream-prefix")?.to_owned());
        Some((name, LogStreams { group, prefix, region: option("awslogs-region").map(Into::into) }))
    };
    containers.into_iter().flatten().filter_map(streams).collect()
}

impl LogStreams {
    /// The page of the console with the stream of this container of this task.
    pub(super) fn url(&self, container: &ContainerName, task: &str, home: &Region) -> String {
        let region = self.region.as_ref().unwrap_or(home);
        let console = console_host(region);
        let (group, stream) = (part(&self.group), part(&format!("{}/{container}/{task}", self.prefix)));
        format!(
            "https://{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events/{stream}"
        )
    }
}

/// As the console wants parts behind the `#`: percent-encoded twice, with `$` for the outer `%`.
fn part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            other => write!(encoded, "$25{other:02X}").expect("writing to a string cannot fail"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn logs(configuration: &Value) -> Logs {
        let definition = json!({"containerDefinitions": [{"name": "web", "logConfiguration": configuration}, {"name": "side"}]});
        of(definition.as_object().expect("an object"))
    }

    fn url(options: &Value, home: &str) -> String {
        let logs = logs(&json!({"logDriver": "awslogs", "options": options}));
        logs[&"web".into()].url(&"web".into(), "0af3c1", &home.into())
    }

    #[test]
    fn the_stream_of_a_task_is_linked_in_the_console_of_its_partition() {
        let options = json!({"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "ecs"});
        let path = "#logsV2:log-groups/log-group/$252Fecs$252Fshop/log-events/ecs$252Fweb$252F0af3c1";
        for (region, console) in [
            ("eu-west-1", "https://eu-west-1.console.aws.amazon.com"),
            ("cn-north-1", "https://cn-north-1.console.amazonaws.cn"),
            ("us-gov-west-1", "https://console.amazonaws-us-gov.com"),
        ] {
            let expected = format!("{console}/cloudwatch/home?region={region}{path}");
            assert_eq!(url(&options, region), expected);
        }
    }

    #[test]
    fn the_region_that_the_definition_names_wins_over_the_tasks_own() {
        let options =
            json!({"awslogs-group": "g", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-2"});
        assert!(
            url(&options, "eu-west-1")
                .starts_with("https://us-east-2.console.aws.amazon.com/cloudwatch/home?region=us-east-2#")
        );
    }

    #[test]
    fn without_awslogs_a_group_or_a_prefix_there_is_no_link() {
        for configuration in [
            json!(null),
            json!({"logDriver": "awsfirelens", "options": {"awslogs-group": "g", "awslogs-stream-prefix": "p"}}),
            json!({"logDriver": "awslogs", "options": {"awslogs-stream-prefix": "p"}}),
            json!({"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-stream-prefix": ""}}),
            json!({"logDriver": "awslogs"}),
        ] {
            assert_eq!(logs(&configuration), Logs::new(), "{configuration}");
        }
    }
}
