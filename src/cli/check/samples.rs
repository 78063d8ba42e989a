//! The events that the targets wait for, one of each, as AWS sends them: what the rules must let through.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::targets::Seen;
use crate::domain::{Dependency, OnPush, Place, Tag, TargetSettings};

/// Something that a target waits for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// As `a push of shop/api:v1`.
    pub(super) what: String,
    /// Where it happens.
    pub(super) place: Option<Place>,
    /// What AWS sends of it: one way or another.
    pub(super) events: Vec<Event>,
    /// The targets that wait for it.
    pub(super) by: BTreeSet<String>,
}

/// One way in which AWS tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) body: Value,
    /// Whether it takes a trail of CloudTrail.
    pub(super) by_trail: bool,
}

impl Wanted {
    /// Whether all of its events take a trail; nothing where it has none.
    pub(super) fn is_by_trail(&self) -> Option<bool> {
        self.events.iter().map(|event| event.by_trail).reduce(|all, by_trail| all && by_trail)
    }
}

/// When the samples happened: any time will do.
const TIME: &str = "2026-01-01T00:00:00Z";
const DIGEST: &str = "sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234abcd";

/// A version of a secret.
const VERSION: &str = "00000000-0000-4000-8000-000000000000";

/// Everything that these targets wait for, each once.
pub(super) fn wanted(seen: &[Seen]) -> Vec<Wanted> {
    let mut all: BTreeMap<(String, Option<Place>), Wanted> = BTreeMap::new();
    for target in seen {
        for it in target.dependencies.iter().filter_map(|it| of_dependency(it, target)) {
            let slot = all.entry((it.what.clone(), it.place.clone())).or_insert(it);
            slot.by.insert(target.name.clone());
        }
    }
    all.into_values().collect()
}

/// What ECS tells of a rollout of this target: discovery reads the service anew by it.
pub(super) fn rollout(target: &Seen) -> Wanted {
    let place = Place::of(&target.id);
    let service = format!(
        "arn:aws:ecs:{}:{}:service/{}/{}",
        place.region,
        place.account,
        target.id.cluster(),
        target.id.service()
    );
    let detail = json!({
        "eventType": "INFO", "eventName": "SERVICE_DEPLOYMENT_COMPLETED", "deploymentId": "ecs-svc/1", "updatedAt": TIME,
        "reason": "ECS deployment ecs-svc/1 completed.",
    });
    let mut body = event("aws.ecs", "ECS Deployment State Change", &place, detail);
    body["resources"] = json!([service]);
    let by = BTreeSet::from([target.name.clone()]);
    Wanted { what: "what ECS tells of rollouts".into(), place: Some(place), events: vec![told(body)], by }
}

fn of_dependency(dependency: &Dependency, target: &Seen) -> Option<Wanted> {
    let triggers = target.settings.triggers;
    let (what, place, events) = match dependency {
        Dependency::Repository { registry: Some(place), name, container } => {
            let tag = tag_of_push(&target.settings, target.tags.get(container))?;
            let detail = json!({
                "result": "SUCCESS", "repository-name": name.as_str(), "image-digest": DIGEST, "action-type": "PUSH",
                "image-tag": tag.as_str(), "manifest-media-type": "application/vnd.oci.image.index.v1+json",
                "artifact-media-type": "application/vnd.oci.image.config.v1+json",
            });
            let events = vec![told(event("aws.ecr", "ECR Image Action", place, detail))];
            triggers.images.then_some((format!("a push of {name}:{tag}"), place.clone(), events))?
        }
        // Nobody tells of pushes elsewhere.
        Dependency::Repository { registry: None, .. } => return None,
        Dependency::Parameter { place, name } => {
            let written = |kind: &str| {
                let detail = json!({"operation": "Update", "name": &**name, "type": kind});
                told(event("aws.ssm", "Parameter Store Change", place, detail))
            };
            let events = ["SecureString", "String", "StringList"].map(written).into();
            triggers.parameters.then_some((format!("a change of parameter {name}"), place.clone(), events))?
        }
        Dependency::Secret { place, name } => triggers.secrets.then_some((
            format!("a new value of secret {name}"),
            place.clone(),
            of_secret(place, name),
        ))?,
        Dependency::File { bucket, key } => {
            let place = Place::of(&target.id);
            let events = of_file(&place, bucket, key);
            triggers.files.then_some((format!("a write of s3://{bucket}/{key}"), place, events))?
        }
    };
    Some(Wanted { what, place: Some(place), events, by: BTreeSet::new() })
}

/// A tag whose push the target would take; none if it takes none.
fn tag_of_push(settings: &TargetSettings, running: Option<&Tag>) -> Option<Tag> {
    let tag = match settings.on_push {
        OnPush::Ignore => return None,
        OnPush::Follow | OnPush::Always => running.cloned()?,
        OnPush::Pin => pinned(settings).or_else(|| running.cloned()).unwrap_or_else(|| "1.0.0".into()),
    };
    let is_ignored = settings.ignore_tags.iter().any(|policy| policy.rank(&tag).is_some());
    (!is_ignored).then_some(tag)
}

/// A tag that the policy takes, where one can be made of it.
fn pinned(settings: &TargetSettings) -> Option<Tag> {
    let (kind, text) = settings.tags.as_str().split_once(':')?;
    let tag = match kind {
        "exact" => text.to_owned(),
        "prefix" => format!("{text}1"),
        "glob" => text.replace(['*', '?'], "1"),
        _ => return None,
    };
    let tag = Tag::from(tag.as_str());
    settings.tags.rank(&tag).is_some().then_some(tag)
}

fn of_secret(place: &Place, name: &str) -> Vec<Event> {
    let arn = format!("arn:aws:secretsmanager:{}:{}:secret:{name}", place.region, place.account);
    let bare = without_random_end(name);
    let put = |id: &str| {
        let detail = json!({
            "eventSource": "secretsmanager.amazonaws.com", "eventName": "PutSecretValue", "awsRegion": place.region.as_str(),
            "requestParameters": {"secretId": id, "clientRequestToken": VERSION},
        });
        by_trail(event("aws.secretsmanager", "AWS API Call via CloudTrail", place, detail))
    };
    let rotated = json!({
        "eventSource": "secretsmanager.amazonaws.com", "eventName": "RotationSucceeded",
        "awsRegion": place.region.as_str(), "additionalEventData": {"SecretId": arn},
    });
    let label = json!({"name": bare, "labelUpdated": "AWSCURRENT", "versionId": VERSION});
    let mut labelled = event("aws.secretsmanager", "Secret Label Updated", place, label);
    labelled["resources"] = json!([arn]);
    vec![
        told(labelled),
        put(&arn),
        put(bare),
        by_trail(event("aws.secretsmanager", "AWS Service Event via CloudTrail", place, rotated)),
    ]
}

fn of_file(place: &Place, bucket: &str, key: &str) -> Vec<Event> {
    let native = json!({
        "version": "0", "bucket": {"name": bucket},
        "object": {"key": key, "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00617F08299329D189"},
        "request-id": "N4N7GDK58NMKJ12R", "requester": place.account.as_str(), "source-ip-address": "192.0.2.1",
        "reason": "PutObject",
    });
    let mut created = event("aws.s3", "Object Created", place, native);
    created["resources"] = json!([format!("arn:aws:s3:::{bucket}")]);
    let called = json!({
        "eventSource": "s3.amazonaws.com", "eventName": "PutObject", "awsRegion": place.region.as_str(),
        "requestParameters": {"bucketName": bucket, "key": key},
    });
    vec![told(created), by_trail(event("aws.s3", "AWS API Call via CloudTrail", place, called))]
}

fn event(source: &str, kind: &str, place: &Place, detail: Value) -> Value {
    json!({
        "version": "0", "id": "00000000-0000-4000-8000-000000000000", "detail-type": kind, "source": source,
        "account": place.account.as_str(), "time": TIME, "region": place.region.as_str(), "resources": [],
        "detail": detail,
    })
}

fn told(body: Value) -> Event {
    Event { body, by_trail: false }
}

fn by_trail(body: Value) -> Event {
    Event { body, by_trail: true }
}

/// The name that people gave a secret, of what stands in its ARN.
fn without_random_end(name: &str) -> &str {
    let is_random = |end: &str| end.len() == 6 && end.bytes().all(|byte| byte.is_ascii_alphanumeric());
    name.rsplit_once('-').filter(|(_, end)| is_random(end)).map_or(name, |(bare, _)| bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::decode,
        domain::{Timestamp, Trigger},
    };

    fn place() -> Place {
        Place { account: "111122223333".into(), region: "eu-west-1".into() }
    }

    fn seen(settings: TargetSettings, dependencies: Vec<Dependency>) -> Seen {
        Seen {
            name: "api".into(),
            id: "111122223333/eu-west-1/shop/api".parse().expect("an id"),
            settings: settings.into(),
            dependencies,
            tags: [("web".into(), Tag::from("v1"))].into(),
        }
    }

    fn all() -> Vec<Dependency> {
        vec![
            Dependency::Repository {
                registry: Some(place()),
                name: "shop/api".into(),
                container: "web".into(),
            },
            Dependency::Repository { registry: None, name: "nginx".into(), container: "side".into() },
            Dependency::Parameter { place: place(), name: "/prod/shop/KEY".into() },
            Dependency::Secret { place: place(), name: "shop/db-AbCd12".into() },
            Dependency::File { bucket: "shop-env".into(), key: "api.env".into() },
        ]
    }

    fn whats(settings: TargetSettings) -> Vec<String> {
        wanted(&[seen(settings, all())]).into_iter().map(|it| it.what).collect()
    }

    #[test]
    fn each_dependency_is_waited_for_once_by_all_that_have_it() {
        let two =
            [seen(TargetSettings::named("a".into()), all()), seen(TargetSettings::named("b".into()), all())];
        let wanted = wanted(&two);
        let whats: Vec<_> = wanted.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(
            whats,
            [
                "a change of parameter /prod/shop/KEY",
                "a new value of secret shop/db-AbCd12",
                "a push of shop/api:v1",
                "a write of s3://shop-env/api.env",
            ]
        );
    }

    #[test]
    fn every_sample_is_an_event_that_lockkeeper_understands() {
        let mut wanted = wanted(&[seen(TargetSettings::named("a".into()), all())]);
        wanted.push(rollout(&seen(TargetSettings::named("a".into()), all())));
        for it in wanted {
            for Event { body, .. } in it.events {
                let event = decode(body.to_string().as_bytes(), Timestamp::from_millis(0));
                let is_meant = matches!(
                    (&event.trigger, it.what.split(' ').nth(1)),
                    (Trigger::ImagePushed(_), Some("push"))
                        | (Trigger::ParameterChanged { .. }, Some("change"))
                        | (Trigger::SecretChanged { .. }, Some("new"))
                        | (Trigger::EnvFileChanged { .. }, Some("write"))
                        | (Trigger::RolloutChanged(_), Some("ECS"))
                );
                assert!(is_meant, "{body}: {:?}", event.trigger);
            }
        }
    }

    #[test]
    fn what_the_settings_ignore_is_not_waited_for() {
        let defaults = TargetSettings::named("api".into());
        let with = |change: fn(&mut TargetSettings)| {
            let mut settings = defaults.clone();
            change(&mut settings);
            whats(settings).join(" ")
        };
        assert!(!with(|it| it.on_push = OnPush::Ignore).contains("push"));
        assert!(!with(|it| it.triggers.images = false).contains("push"));
        assert!(!with(|it| it.triggers.secrets = false).contains("secret"));
        assert!(!with(|it| it.triggers.parameters = false).contains("parameter"));
        assert!(!with(|it| it.triggers.files = false).contains("s3"));
        assert!(!with(|it| it.ignore_tags = vec!["prefix:v".parse().expect("valid")]).contains("push"));
    }

    #[test]
    fn the_tag_of_a_pinned_push_is_one_that_the_policy_takes() {
        for (tags, tag) in [("exact:stable", "stable"), ("prefix:release-", "release-1"), ("glob:r-*", "r-1")]
        {
            let mut settings = TargetSettings { on_push: OnPush::Pin, ..TargetSettings::named("api".into()) };
            settings.tags = tags.parse().expect("valid");
            assert!(whats(settings).contains(&format!("a push of shop/api:{tag}")), "{tags}");
        }
    }
}
