//! What somebody reads who does not know which services there are.

use serde_json::{Value, json};

use super::refused;
use crate::sim::{Reply, Scope, Service::Ecs, testkit::Bench};

/// A cluster `c` with so many services that run `app:1`, each tagged with its number.
fn services(count: usize) -> Bench {
    let mut bench = Bench::new();
    bench.ecs("CreateCluster", json!({"clusterName": "c", "tags": [{"key": "env", "value": "prod"}]}));
    super::register(&mut bench, "app:1");
    for number in 0..count {
        let tags = json!([{"key": "number", "value": number.to_string()}]);
        let service = json!({
            "cluster": "c", "serviceName": format!("s-{number:03}"), "taskDefinition": "app", "tags": tags,
        });
        bench.ecs("CreateService", service);
        bench.pass(1_000);
    }
    bench
}

/// All pages of a list, and how many there were.
fn pages(bench: &mut Bench, operation: &str, body: &Value, key: &str) -> (Vec<Value>, usize) {
    let (mut all, mut count, mut body) = (Vec::new(), 0, body.clone());
    loop {
        let page = bench.ecs(operation, body.clone());
        all.extend(page[key].as_array().expect("a list").iter().cloned());
        count += 1;
        match page["nextToken"].as_str() {
            Some(token) => body["nextToken"] = json!(token),
            None => return (all, count),
        }
    }
}

#[test]
fn services_are_listed_by_ten_unless_more_are_asked_for() {
    let mut bench = services(25);
    let (all, count) = pages(&mut bench, "ListServices", &json!({"cluster": "c"}), "serviceArns");
    assert_eq!((all.len(), count), (25, 3));
    let body = json!({"cluster": "c", "maxResults": 100});
    assert_eq!(pages(&mut bench, "ListServices", &body, "serviceArns"), (all, 1));
    let wrong = json!({"cluster": "c", "maxResults": 101});
    assert_eq!(refused(&mut bench, "ListServices", wrong), "InvalidParameterException");
    assert_eq!(refused(&mut bench, "ListServices", json!({"cluster": "x"})), "ClusterNotFoundException");
    assert_eq!(
        refused(&mut bench, "ListServices", json!({})),
        "ClusterNotFoundException",
        "no default cluster"
    );
}

#[test]
fn clusters_are_listed_by_a_hundred() {
    let mut bench = Bench::new();
    for number in 0..130 {
        bench.ecs("CreateCluster", json!({"clusterName": format!("c-{number:03}")}));
    }
    let (all, count) = pages(&mut bench, "ListClusters", &json!({}), "clusterArns");
    assert_eq!((all.len(), count), (130, 2));
    let reply = bench.ecs("DescribeClusters", json!({"clusters": all[..100]}));
    assert_eq!(reply["clusters"].as_array().map(Vec::len), Some(100));
    assert_eq!(
        refused(&mut bench, "DescribeClusters", json!({"clusters": all[..101]})),
        "InvalidParameterException"
    );
}

#[test]
fn tags_are_shown_to_those_who_ask_for_them() {
    let mut bench = services(1);
    let asked = |include: Value| json!({"clusters": ["c", "x"], "cluster": "c", "services": ["s-000"], "include": include});
    for (include, cluster, service) in [
        (json!([]), json!([]), Value::Null),
        (json!(["TAGS"]), json!([{"key": "env", "value": "prod"}]), json!([{"key": "number", "value": "0"}])),
    ] {
        let clusters = bench.ecs("DescribeClusters", asked(include.clone()));
        assert_eq!(clusters["clusters"][0]["tags"], cluster);
        assert_eq!(clusters["failures"][0]["reason"], "MISSING");
        let services = bench.ecs("DescribeServices", asked(include));
        assert_eq!(services["services"][0]["tags"], service);
    }
}

#[test]
fn a_definition_is_described_with_all_that_tasks_read_when_they_start() {
    let mut bench = Bench::new();
    let secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:shop/db-AbCdEf:password::";
    let container = json!({
        "name": "web", "image": "app:1",
        "secrets": [{"name": "A", "valueFrom": "/shop/a"}, {"name": "B", "valueFrom": secret}],
        "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::shop-env/web.env"}],
        "logConfiguration": {
            "logDriver": "awsfirelens", "secretOptions": [{"name": "apikey", "valueFrom": "/shop/key"}],
        },
        "firelensConfiguration": {"type": "fluentbit", "options": {"config-file-value": "arn:aws:s3:::c/f.conf"}},
        "repositoryCredentials": {"credentialsParameter": secret},
    });
    let volumes =
        json!([{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "rootDirectory": "/"}}]);
    let body = json!({"family": "app", "containerDefinitions": [container], "volumes": volumes});
    bench.ecs("RegisterTaskDefinition", body);
    let reply = bench.ecs("DescribeTaskDefinition", json!({"taskDefinition": "app:1"}));
    let described = &reply["taskDefinition"];
    for (field, value) in container.as_object().expect("an object") {
        assert_eq!(described["containerDefinitions"][0][field], *value, "{field}");
    }
    assert_eq!(described["volumes"], volumes);
}

#[test]
fn the_same_names_elsewhere_are_others() {
    let mut bench = services(1);
    let home = Scope { account: "000000000000".to_owned(), region: "us-east-1".to_owned() };
    let other_region = Scope { region: "eu-west-1".to_owned(), ..home.clone() };
    let other_account = Scope { account: "111122223333".to_owned(), ..home.clone() };
    for scope in [&other_region, &other_account] {
        let list = |bench: &mut Bench| bench.call_at(scope, Ecs, "ListServices", json!({"cluster": "c"}));
        assert_eq!(list(&mut bench).code(), "ClusterNotFoundException");
        bench.call_at(scope, Ecs, "CreateCluster", json!({"clusterName": "c"}));
        assert_eq!(list(&mut bench), Reply::Ok(json!({"serviceArns": []})));
        let family = json!({"taskDefinition": "app"});
        assert_eq!(bench.call_at(scope, Ecs, "DescribeTaskDefinition", family).code(), "ClientException");
    }
    let container = json!([{"name": "web", "image": "app:2"}]);
    let definition = json!({"family": "app", "containerDefinitions": container});
    bench.call_at(&other_account, Ecs, "RegisterTaskDefinition", definition);
    let reply = bench.ecs("DescribeTaskDefinition", json!({"taskDefinition": "app"}));
    assert_eq!(reply["taskDefinition"]["containerDefinitions"][0]["image"], "app:1");
}

#[test]
fn an_arn_of_elsewhere_is_refused() {
    let mut bench = services(1);
    let (cluster, service) = ("arn:aws:ecs:us-east-1:000000000000:cluster/c", "s-000");
    bench.ecs("DescribeServices", json!({"cluster": cluster, "services": [service]}));
    for elsewhere in
        [cluster.replace("us-east-1", "eu-west-1"), cluster.replace("000000000000", "111122223333")]
    {
        let body = json!({"cluster": elsewhere, "services": [service]});
        assert_eq!(refused(&mut bench, "DescribeServices", body), "InvalidParameterException");
        assert_eq!(
            refused(&mut bench, "ListTagsForResource", json!({"resourceArn": elsewhere})),
            "InvalidParameterException"
        );
    }
}
