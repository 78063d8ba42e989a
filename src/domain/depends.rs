//! What the tasks of a definition read when they start, so that a change of it reaches them only by a new rollout.
//!
//! The definition is raw JSON, in which anything may be missing, of another type, or of tomorrow: what is not
//! understood is no dependency, and takes nothing else with it. Volumes, and what a sidecar or a log router reads while
//! it runs, are none either.
//!
//! The credentials of another registry (`repositoryCredentials`) are no dependency although a secret holds them: they
//! are used up when an image is pulled, no container ever sees them, and tasks that run gain nothing by a restart.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{ContainerName, Dependency, ImageReference, Place};

/// How Parameter Store names a secret of Secrets Manager.
const SECRET_BY_PARAMETER: &str = "/aws/reference/secretsmanager/";

/// What tasks of the definition with these fields read when they start here; in order, each once.
pub fn dependencies(fields: &Map<String, Value>, place: &Place) -> Vec<Dependency> {
    let containers = list(fields.get("containerDefinitions"));
    let found: BTreeSet<Dependency> = containers.flat_map(|it| of_container(it, place)).collect();
    found.into_iter().collect()
}

fn of_container<'a>(container: &'a Value, place: &'a Place) -> impl Iterator<Item = Dependency> + 'a {
    let secrets =
        list(container.get("secrets")).chain(list(container["logConfiguration"].get("secretOptions")));
    let values = secrets.filter_map(|it| value(it["valueFrom"].as_str()?, place));
    let files = list(container.get("environmentFiles")).filter_map(|it| object(it["value"].as_str()?));
    repository(container).into_iter().chain(values).chain(files).chain(router_file(container))
}

fn repository(container: &Value) -> Option<Dependency> {
    let name = container["name"].as_str().filter(|name| !name.is_empty())?;
    let image: ImageReference = container["image"].as_str()?.parse().ok()?;
    let registry = image.ecr_home().map(|(account, region)| Place { account, region });
    Some(Dependency::Repository { registry, name: image.repository, container: ContainerName::from(name) })
}

/// The configuration that a log router loads from S3 as it starts.
fn router_file(container: &Value) -> Option<Dependency> {
    let options = &container["firelensConfiguration"]["options"];
    let is_in_s3 = options["config-file-type"].as_str()?.eq_ignore_ascii_case("s3");
    is_in_s3.then(|| object(options["config-file-value"].as_str()?)).flatten()
}

/// The account and Region in the ARN of a thing of this service.
pub(super) fn place_of_arn(text: &str, service: &str) -> Option<Place> {
    Arn::parse(text).filter(|arn| arn.service == service)?.place()
}

/// What a `valueFrom` names: a parameter or a secret by its ARN, or a parameter here by its name.
fn value(text: &str, place: &Place) -> Option<Dependency> {
    if !text.starts_with("arn:") {
        return parameter(text, place.clone());
    }
    let arn = Arn::parse(text)?;
    match arn.service {
        "ssm" => {
            let name = arn.resource.strip_prefix("parameter/")?;
            // An ARN has one slash where the name of a hierarchy begins with another.
            let hierarchy = format!("/{name}");
            parameter(if name.contains('/') { &hierarchy } else { name }, arn.place()?)
        }
        "secretsmanager" => secret(arn.resource.strip_prefix("secret:")?, arn.place()?),
        _ => None,
    }
}

fn parameter(text: &str, place: Place) -> Option<Dependency> {
    if let Some(secret) = text.strip_prefix(SECRET_BY_PARAMETER) {
        let (name, version) = secret.split_once(':').unwrap_or((secret, ""));
        let (stage, id) = if is_version_id(version) { ("", version) } else { (version, "") };
        return self::secret(&format!("{name}::{stage}:{id}"), place);
    }
    let name = text.split(':').next().filter(|name| is_parameter(name))?;
    Some(Dependency::Parameter { place, name: name.into() })
}

/// `name:json-key:version-stage:version-id`, each but the name optional. A version with an id never changes.
fn secret(text: &str, place: Place) -> Option<Dependency> {
    let mut parts = text.split(':');
    let name = parts.next().filter(|name| is_secret(name))?;
    let is_pinned = parts.nth(2).is_some_and(|id| !id.is_empty());
    (!is_pinned).then(|| Dependency::Secret { place, name: name.into() })
}

/// Bucket and key in the ARN of an object.
fn object(text: &str) -> Option<Dependency> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "s3" && arn.region.is_empty())?;
    let (bucket, key) = arn.resource.split_once('/')?;
    let is_whole = !bucket.is_empty() && !key.is_empty();
    is_whole.then(|| Dependency::File { bucket: Arc::from(bucket), key: Arc::from(key) })
}

/// The parts of `arn:partition:service:region:account:resource` that say where something is.
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':').skip(1);
        let mut next = || parts.next();
        Some(Self { service: next()?, region: next()?, account: next()?, resource: next()? })
    }

    fn place(&self) -> Option<Place> {
        let is_account = self.account.len() == 12 && self.account.bytes().all(|byte| byte.is_ascii_digit());
        let is_region = !self.region.is_empty()
            && self.region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_account && is_region).then(|| Place { account: self.account.into(), region: self.region.into() })
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Letters, digits and `_.-`, in a hierarchy parted by slashes.
fn is_parameter(name: &str) -> bool {
    has_only(name, b"_.-/") && name.bytes().any(|byte| byte != b'/')
}

fn is_secret(name: &str) -> bool {
    has_only(name, b"/_+=.@-")
}

fn has_only(name: &str, signs: &[u8]) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
}

/// A UUID, where a stage is a word such as `AWSCURRENT`.
fn is_version_id(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SSM: &str = "arn:aws:ssm:eu-west-1:111122223333:parameter";
    const SECRETS: &str = "arn:aws:secretsmanager:us-east-1:444455556666:secret";

    fn here() -> Place {
        Place { account: "111122223333".into(), region: "eu-west-1".into() }
    }

    /// One line per dependency, as short as they can be told apart.
    fn read(containers: Value) -> Vec<String> {
        let Value::Object(fields) = json!({"family": "shop", "containerDefinitions": containers}) else {
            unreachable!("it is an object")
        };
        let line = |it: &Dependency| match it {
            Dependency::Repository { registry: None, name, container } => format!("{container}: {name}"),
            Dependency::Repository { registry: Some(place), name, container } => {
                format!("{container}: {name} in {place}")
            }
            Dependency::Parameter { place, name } => format!("parameter {name} in {place}"),
            Dependency::Secret { place, name } => format!("secret {name} in {place}"),
            Dependency::File { bucket, key } => format!("s3://{bucket}/{key}"),
        };
        dependencies(&fields, &here()).iter().map(line).collect()
    }

    fn read_value(value_from: &str) -> Vec<String> {
        read(json!([{"name": "web", "secrets": [{"name": "X", "valueFrom": value_from}]}]))
    }

    #[test]
    fn each_container_depends_on_the_repository_of_its_image() {
        let found = read(json!([
            {"name": "web", "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/api:release-1"},
            {"name": "side", "image": "nginx"},
            {"name": "metrics", "image": "registry.example:5000/prom/exporter@sha256:".to_owned() + &"0a".repeat(32)},
        ]));
        let all = ["side: nginx", "metrics: prom/exporter", "web: shop/api in 111122223333/eu-west-1"];
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), all.map(str::to_owned).iter().collect());
    }

    #[test]
    fn a_parameter_is_read_here_by_its_name_and_elsewhere_by_its_arn() {
        for (text, found) in [
            ("/prod/shop/KEY", "parameter /prod/shop/KEY in 111122223333/eu-west-1"),
            ("KEY", "parameter KEY in 111122223333/eu-west-1"),
            ("/prod/shop/KEY:3", "parameter /prod/shop/KEY in 111122223333/eu-west-1"),
            ("KEY:stable", "parameter KEY in 111122223333/eu-west-1"),
            (&format!("{SSM}/prod/shop/KEY"), "parameter /prod/shop/KEY in 111122223333/eu-west-1"),
            (&format!("{SSM}/KEY"), "parameter KEY in 111122223333/eu-west-1"),
            (&format!("{SSM}/prod/KEY:3"), "parameter /prod/KEY in 111122223333/eu-west-1"),
            (
                "arn:aws-cn:ssm:cn-north-1:444455556666:parameter/a/b",
                "parameter /a/b in 444455556666/cn-north-1",
            ),
        ] {
            assert_eq!(read_value(text), [found], "{text}");
        }
    }

    #[test]
    fn of_a_secret_the_key_and_the_stage_are_left_out() {
        for (tail, name) in [
            (":shop/db-AbCd12", "shop/db-AbCd12"),
            (":shop/db-AbCd12:password::", "shop/db-AbCd12"),
            (":shop/db-AbCd12:password:AWSCURRENT:", "shop/db-AbCd12"),
            (":shop/db-AbCd12::AWSPREVIOUS:", "shop/db-AbCd12"),
            (":shop/db", "shop/db"),
        ] {
            assert_eq!(
                read_value(&format!("{SECRETS}{tail}")),
                [format!("secret {name} in 444455556666/us-east-1")],
                "{tail}"
            );
        }
    }

    #[test]
    fn a_secret_pinned_to_a_version_never_changes() {
        let id = "9d4cb84b-ad69-40c0-a0ab-cead36b967e8";
        assert!(read_value(&format!("{SECRETS}:shop/db-AbCd12:password::{id}")).is_empty());
        assert!(read_value(&format!("{SECRET_BY_PARAMETER}shop/db:{id}")).is_empty());
    }

    #[test]
    fn a_parameter_that_stands_for_a_secret_is_the_secret() {
        let found = ["secret shop/db in 111122223333/eu-west-1"];
        assert_eq!(read_value("/aws/reference/secretsmanager/shop/db"), found);
        assert_eq!(read_value("/aws/reference/secretsmanager/shop/db:AWSCURRENT"), found);
        assert_eq!(read_value(&format!("{SSM}/aws/reference/secretsmanager/shop/db")), found);
    }

    #[test]
    fn options_of_the_log_driver_and_files_are_read_too() {
        let found = read(json!([{
            "name": "web",
            "logConfiguration": {"secretOptions": [{"name": "token", "valueFrom": "/log/token"}]},
            "environmentFiles": [
                {"type": "s3", "value": "arn:aws:s3:::shop-env/api/prod.env"},
                {"type": "s3", "value": "arn:aws-us-gov:s3:::gov/x.env"},
            ],
        }, {
            "name": "router",
            "firelensConfiguration": {"type": "fluentbit", "options": {
                "config-file-type": "s3", "config-file-value": "arn:aws:s3:::shop-env/fluent.conf",
            }},
        }]));
        let files = ["s3://gov/x.env", "s3://shop-env/api/prod.env", "s3://shop-env/fluent.conf"];
        assert_eq!(found[0], "parameter /log/token in 111122223333/eu-west-1");
        assert_eq!(found[1..], files);
    }

    #[test]
    fn what_two_containers_read_is_named_once() {
        let secrets = json!([{"name": "A", "valueFrom": "/x/a"}, {"name": "B", "valueFrom": "/x/a:2"}]);
        let found = read(json!([{"name": "a", "secrets": secrets}, {"name": "b", "secrets": secrets}]));
        assert_eq!(found, ["parameter /x/a in 111122223333/eu-west-1"]);
    }

    #[test]
    fn what_is_not_read_when_a_task_starts_is_no_dependency() {
        let found = read(json!([{
            "name": "web",
            "repositoryCredentials": {"credentialsParameter": format!("{SECRETS}:registry-AbCd12")},
            "environment": [{"name": "X", "value": "/x/a"}],
            "mountPoints": [{"sourceVolume": "efs", "containerPath": "/data"}],
            "firelensConfiguration": {"type": "fluentbit", "options": {
                "config-file-type": "file", "config-file-value": "/fluent-bit/etc/extra.conf",
            }},
        }]));
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_is_not_understood_takes_nothing_else_with_it() {
        let found = read(json!([
            7, null, "web", [],
            {"name": 7, "image": "nginx"}, {"name": "a", "image": {"x": 1}}, {"name": "b", "image": "a b"},
            {"name": "c", "secrets": {"valueFrom": "/x"}, "environmentFiles": "arn:aws:s3:::a/b"},
            {"name": "d", "secrets": ["/x", {"valueFrom": 1}, {"valueFrom": ""}, {"valueFrom": "///"},
                {"valueFrom": "a b"}, {"valueFrom": "arn:"}, {"valueFrom": "arn:aws:ssm:eu-west-1"},
                {"valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/a"},
                {"valueFrom": "arn:aws:ssm::111122223333:parameter/a"},
                {"valueFrom": "arn:aws:kms:eu-west-1:111122223333:key/a"},
                {"valueFrom": "arn:aws:ssm:eu-west-1:111122223333:document/a"}]},
            {"name": "e", "environmentFiles": [{"value": "arn:aws:s3:::bucket"}, {"value": "arn:aws:s3:::/key"},
                {"value": "s3://bucket/key"}, {"value": "arn:aws:s3:eu-west-1:111122223333:accesspoint/a/b"}]},
            {"name": "f", "logConfiguration": [1], "firelensConfiguration": true},
            {"name": "g", "image": "ok:1"},
        ]));
        assert_eq!(found, ["g: ok"]);
        assert!(dependencies(&Map::new(), &here()).is_empty());
    }

    fn segment() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9_.-]{1,8}"
    }

    proptest! {
        #[test]
        fn a_hierarchy_is_the_same_by_name_and_by_arn(
            levels in prop::collection::vec(segment(), 2..6),
            selector in prop::option::of("[a-z0-9]{1,6}"),
        ) {
            prop_assume!(levels[0] != "aws");
            let name = format!("/{}", levels.join("/"));
            let behind = selector.map(|it| format!(":{it}")).unwrap_or_default();
            let found = [format!("parameter {name} in 111122223333/eu-west-1")];
            prop_assert_eq!(read_value(&format!("{name}{behind}")), found.clone());
            prop_assert_eq!(read_value(&format!("{SSM}{name}{behind}")), found);
        }

        #[test]
        fn everything_that_is_named_is_found_in_order_and_once(
            secrets in prop::collection::vec((segment(), 0..4_usize), 0..12),
        ) {
            let value_of = |(name, form): &(String, usize)| match form {
                0 => format!("/p/{name}"),
                1 => format!("{SSM}/p/{name}"),
                2 => format!("{SECRETS}:{name}"),
                _ => format!("{SECRETS}:{name}:key:AWSCURRENT:"),
            };
            let expected: BTreeSet<(usize, &String)> =
                secrets.iter().map(|(name, form)| (form / 2, name)).collect();
            let listed: Vec<Value> = secrets.iter().map(|it| json!({"valueFrom": value_of(it)})).collect();
            let found = read(json!([{"name": "web", "secrets": listed}]));
            let wanted = expected.iter().map(|(kind, name)| match kind {
                0 => format!("parameter /p/{name} in 111122223333/eu-west-1"),
                _ => format!("secret {name} in 444455556666/us-east-1"),
            });
            prop_assert_eq!(found, wanted.collect::<Vec<_>>());
        }
    }
}
