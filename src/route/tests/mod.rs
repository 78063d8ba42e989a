//! Events of one project, of explicit rules and of what discovery found, and what must come of them.

mod decisions;
mod discovered;
mod every;
mod explicit;
mod table;
mod why;

use std::{collections::BTreeSet, sync::Arc};

use super::{Arrival, Note, Routes, Routing};
use crate::domain::{
    Base, Change, Dependency, Discovered, Event, FilePattern, FollowedImage, Glob, ImageChange, Naming,
    OnPush, Place, PushedImage, ReadyImage, Refresh, RolloutHint, TargetId, TargetRule, TargetSettings,
    Timestamp, Trigger, Write,
};

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "eu-west-1";
pub(super) const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The old Lambda's names for project `chubby` in environment `dev`.
pub(in crate::route) fn naming() -> Naming {
    let defaults = TargetSettings {
        on_push: OnPush::Always,
        base: Base::Latest(None),
        ..TargetSettings::named("defaults".into())
    };
    Naming {
        project: "chubby".into(),
        environment: "dev".into(),
        cluster: "{project}_cluster_{env}".into(),
        service: "{project}_service_{name}_{env}".into(),
        family: "{project}_service_{name}_{env}".into(),
        repository: "{project}_service_{name}".into(),
        parameter: "/{env}/{project}/{name}/".into(),
        backend: None,
        services: [].into(),
        files: [].into(),
        defaults: Arc::new(defaults),
    }
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn file(bucket: &str, key: &str) -> FilePattern {
    FilePattern { bucket: bucket.into(), key: Glob::new(key) }
}

/// The explicit target `<name>` with service `<name>-service` in cluster `shop`, which depends on nothing yet.
fn rule(name: &str) -> TargetRule {
    TargetRule {
        account: None,
        region: None,
        cluster: "shop".into(),
        service: format!("{name}-service").into(),
        repositories: Vec::new(),
        parameters: Vec::new(),
        secrets: Vec::new(),
        files: Vec::new(),
        settings: Arc::new(TargetSettings::named(name.into())),
    }
}

fn with(mut rule: TargetRule, change: impl FnOnce(&mut TargetSettings)) -> TargetRule {
    change(Arc::make_mut(&mut rule.settings));
    rule
}

fn explicit(rules: impl IntoIterator<Item = TargetRule>) -> Routes {
    Routes::new(ACCOUNT.into(), REGION.into(), rules.into_iter().collect(), None)
}

fn named(naming: Naming) -> Routes {
    Routes::new(ACCOUNT.into(), REGION.into(), Vec::new(), Some(naming))
}

fn home() -> Place {
    Place { account: ACCOUNT.into(), region: REGION.into() }
}

fn abroad() -> Place {
    Place { account: "999900001111".into(), region: "us-east-1".into() }
}

/// That a container runs an image of a repository in this registry.
fn runs_of(registry: Option<Place>, repository: &str, container: &str) -> Dependency {
    Dependency::Repository { registry, name: repository.into(), container: container.into() }
}

/// The same of our own registry.
fn runs(repository: &str, container: &str) -> Dependency {
    runs_of(Some(home()), repository, container)
}

fn reads(parameter: &str) -> Dependency {
    Dependency::Parameter { place: home(), name: parameter.into() }
}

fn reads_secret(tail: &str) -> Dependency {
    Dependency::Secret { place: home(), name: tail.into() }
}

fn loads(bucket: &str, key: &str) -> Dependency {
    Dependency::File { bucket: bucket.into(), key: key.into() }
}

/// The service with this name in cluster `shop`, called so.
fn found(service: &str, dependencies: impl IntoIterator<Item = Dependency>) -> Discovered {
    let Place { account, region } = home();
    Discovered {
        target: TargetId::new(account, region, "shop".into(), service.into()),
        settings: Arc::new(TargetSettings::named(service.into())),
        refused: None,
        dependencies: dependencies.into_iter().collect(),
    }
}

fn knowing(mut routes: Routes, found: impl IntoIterator<Item = Discovered>) -> Routes {
    found.into_iter().for_each(|it| routes.learn(it));
    routes
}

/// An event of our own account and Region.
fn event(trigger: Trigger) -> Event {
    Event {
        id: "event-1".into(),
        source: "test".into(),
        detail_type: "test".into(),
        account: Some(ACCOUNT.into()),
        region: Some(REGION.into()),
        time: Timestamp::from_millis(1_000),
        replay: None,
        metadata: None,
        trigger,
    }
}

fn elsewhere(trigger: Trigger) -> Event {
    at(abroad(), trigger)
}

fn at(place: Place, trigger: Trigger) -> Event {
    Event { account: Some(place.account), region: Some(place.region), ..event(trigger) }
}

fn push(repository: &str, tag: &str) -> Trigger {
    let digest = Some(DIGEST.into());
    Trigger::ImagePushed(PushedImage {
        repository: repository.into(),
        tag: tag.into(),
        digest,
        is_index: None,
    })
}

fn replicated(repository: &str, tag: &str) -> Trigger {
    Trigger::ImageReplicated(PushedImage {
        repository: repository.into(),
        tag: tag.into(),
        digest: None,
        is_index: None,
    })
}

fn ready(repository: &str, tag: &str, branch: Option<&str>) -> Trigger {
    let branch = branch.map(Into::into);
    let commit = Some("abc123".into());
    Trigger::ImageReady(ReadyImage { repository: repository.into(), tag: tag.into(), branch, commit })
}

fn parameter(name: &str) -> Trigger {
    Trigger::ParameterChanged { name: name.into(), change: Write::Updated }
}

fn secret(secret: &str) -> Trigger {
    Trigger::SecretChanged { secret: secret.into(), change: Write::Updated }
}

fn object(bucket: &str, key: &str) -> Trigger {
    Trigger::EnvFileChanged { bucket: bucket.into(), key: key.into(), change: Write::Updated }
}

fn sign(cluster: Option<&str>, service: &str) -> Trigger {
    Trigger::RolloutChanged(RolloutHint {
        cluster: cluster.map(Into::into),
        service: service.into(),
        event_name: "SERVICE_DEPLOYMENT_FAILED".into(),
        rollout: None,
        reason: None,
    })
}

fn arrival() -> Arrival {
    Arrival {
        version: Timestamp::from_millis(1_000),
        floor: Timestamp::from_millis(2_000),
        confined_to: None,
    }
}

fn confined_to(ids: &[&str]) -> Arrival {
    let ids: BTreeSet<_> = ids.iter().map(|id| id.parse().expect("an id")).collect();
    Arrival { confined_to: Some(ids), ..arrival() }
}

/// What follows, one line each: what is asked of which service, which is worth a look, and what is noted.
fn told(routing: &Routing) -> Vec<String> {
    let asked = routing
        .requests
        .iter()
        .map(|request| format!("{}: {}", request.target.service(), shown(&request.change)));
    let hints = routing.hints.iter().map(|id| format!("{}: look", id.service()));
    let noted = routing.notes.iter().map(|Note { target, reason }| match target {
        Some(target) => format!("({target}) {reason}"),
        None => format!("() {reason}"),
    });
    asked.chain(hints).chain(noted).collect()
}

fn lines(routes: &Routes, event: &Event) -> Vec<String> {
    told(&routes.route(event, &arrival()))
}

fn shown(change: &Change) -> String {
    match change {
        Change::Refresh(Refresh::Restart) => "restart".into(),
        Change::Refresh(Refresh::Image(FollowedImage { source, tag, any_tag, .. })) => {
            let repository = source.repository.as_ref().map_or("?", |it| it.as_str());
            let which = if *any_tag { "any tag" } else { "that tag" };
            format!("refresh if it names {which} of {repository}:{tag}")
        }
        Change::Image(ImageChange { source, tag, digest, by_digest, policy, force, .. }) => {
            let repository = source.repository.as_ref().map_or("*", |it| it.as_str());
            let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = digest.as_ref().map(|_| "@digest").unwrap_or_default();
            let by = if *by_digest { "digest" } else { "tag" };
            let policy = policy.as_ref().map_or("on purpose".into(), |policy| format!("by {policy}"));
            let forced = if *force { ", forced" } else { "" };
            format!("image {repository}{tag}{digest} as {by} {policy}{forced}")
        }
        Change::Definition(definition) => format!("definition {definition}"),
    }
}
