//! Stories about lanes, told through [`Planner`](super::Planner) alone.
//!
//! One clock serves as AWS's and as ours: second 1000 is now, and what was asked for before has a smaller number.

mod bench;
mod ecs;

mod adopting;
mod by_hand;
mod cancelling;
mod folding;
mod glancing;
mod holding;
mod in_the_way;
mod judging;
mod lasting;
mod leases;
mod marking;
mod newer;
mod next;
mod quiet;
mod refused;
mod retrying;
mod rule;
mod setting_aside;
mod shown;
mod tags;
mod telling;
mod together;
mod undoing;
mod unheard;
mod wakeups;
mod waves;
mod way_back;

use std::sync::Arc;

use super::*;
use crate::domain::{
    Change, DefinitionView, Digest, FollowedImage, ImageChange, ImageSource, Marks, Origin, Refresh, Request,
    TagPolicy, TargetSettings, Timestamp, TriggerKind,
};

pub(super) use bench::{Bench, Verb, transient};
pub(super) use ecs::{rollout, stopped_task};

/// The target of almost every story, and ECS's name of its service.
const API: &str = "api";

/// A target in cluster `shop`.
fn target(service: &str) -> TargetId {
    cluster_target("shop", service)
}

fn cluster_target(cluster: &str, service: &str) -> TargetId {
    TargetId::new("111122223333".into(), "eu-west-1".into(), cluster.into(), service.into())
}

/// A second of the clock.
fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

/// One that can be told from others by its letter.
fn digest(letter: &str) -> Digest {
    format!("sha256:{}", letter.repeat(64)).into()
}

/// A revision of the family `api` with one container `web` that has an image of `shop/api`.
fn revision(number: u32, tag: &str) -> DefinitionView {
    let image = format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/api:{tag}");
    DefinitionView {
        id: format!("api:{number}").parse().unwrap(),
        images: [("web".into(), image.parse().unwrap())].into(),
        marks: Marks::default(),
    }
}

/// The same, made by us for an image that was asked for at this second.
fn marked(number: u32, tag: &str, version: i64) -> DefinitionView {
    let versions = [("web".into(), at(version))].into();
    let marks = Marks { deployment: Some("d-0".into()), versions, ..Marks::default() };
    DefinitionView { marks, ..revision(number, tag) }
}

/// The same, to which we moved because a definition was asked for at this second.
fn moved_to(number: u32, tag: &str, version: i64) -> DefinitionView {
    DefinitionView {
        marks: Marks { content: Some(at(version)), ..Marks::default() },
        ..revision(number, tag)
    }
}

/// A request for the target `api`; settings and origin are filled in where it is received.
fn request(version: i64, change: Change) -> Request {
    let origin = Origin {
        kind: TriggerKind::DeployRequested,
        event_id: "".into(),
        reason: "a test".into(),
        by: None,
        replayed_by: None,
        metadata: None,
    };
    Request {
        target: target(API),
        change,
        version: at(version),
        floor: at(version),
        settings: Arc::new(TargetSettings::named(API.into())),
        guessed: false,
        origin: Arc::new(origin),
    }
}

fn restart(version: i64) -> Request {
    request(version, Change::Refresh(Refresh::Restart))
}

fn definition(name: &str, version: i64) -> Request {
    request(version, Change::Definition(name.parse().unwrap()))
}

fn source() -> ImageSource {
    ImageSource { repository: Some("shop/api".into()), home: None, container: None }
}

/// A pinned push: the digest's letter is the tag's last character, so that tags of one build can be made too.
fn image(tag: &str, version: i64) -> Request {
    let letter = digest(&tag[tag.len() - 1..]);
    image_of(tag, Some(letter), Some("newest"), version)
}

fn image_of(tag: &str, digest: Option<Digest>, policy: Option<&str>, version: i64) -> Request {
    let policy = policy.map(|text| text.parse::<TagPolicy>().unwrap());
    let (source, tag) = (source(), Some(tag.into()));
    let image = ImageChange { source, tag, digest, is_index: None, by_digest: false, policy, force: false };
    request(version, Change::Image(image))
}

/// A push of a tag that is followed.
fn followed(tag: &str, digest: Option<Digest>, version: i64) -> Request {
    let image = FollowedImage { source: source(), tag: tag.into(), digest, is_index: None, any_tag: false };
    request(version, Change::Refresh(Refresh::Image(image)))
}

/// The same asked of another target.
fn of(service: &str, request: Request) -> Request {
    Request { target: target(service), ..request }
}

/// The same with evidence that counts from this second on only, as a replay has it.
fn replayed(floor: i64, request: Request) -> Request {
    Request { floor: at(floor), ..request }
}
