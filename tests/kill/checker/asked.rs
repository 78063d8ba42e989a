//! What a message asks of whom, read anew: nothing here knows how the daemon reads it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::estate::{OnPush, TARGETS, Target, registry};

/// What is asked of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// A rollout that began surely later than the change.
    Fresh,
    /// This image, behind the tag that is followed.
    Followed(Content),
    /// This image.
    Image(Content),
    /// The image behind this tag. Only whoever pulls it knows what that is: it is rolled out even where just this runs
    /// already, and what a digest names is not known to be the same.
    Tagged(Content, String),
    /// This definition.
    Definition(String),
}

/// An image by its digest; one that nobody was told of, by its tag.
pub type Content = String;

/// A wish, of whom, and since when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub target: &'static str,
    pub wish: Wish,
    /// The time of the event, or that at which it was sent, whichever is earlier.
    pub version: u64,
}

/// What a body asks.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// These; of nobody anything, if there are none.
    Asks { event: String, asked: Vec<Asked> },
    /// It can only be set aside.
    Unreadable,
}

/// The digest behind each tag of each repository, as the events tell.
pub type Digests = BTreeMap<(String, String), Content>;

/// Learns the digests that a body tells. What a followed tag stands for changes with every push.
pub fn learn(body: &str, digests: &mut Digests) {
    let Ok(event) = serde_json::from_str::<Value>(body) else { return };
    let detail = &event["detail"];
    if let (Some(repository), Some(tag), Some(digest)) =
        (detail["repository-name"].as_str(), detail["image-tag"].as_str(), detail["image-digest"].as_str())
        && !tag.is_empty()
        && !TARGETS.iter().any(|target| matches!(target.on_push, OnPush::Follow(followed) if followed == tag))
    {
        digests.insert((repository.to_owned(), tag.to_owned()), digest.to_owned());
    }
}

/// The content that an image reference names.
pub fn content(image: &str, digests: &Digests) -> Content {
    if let Some((_, digest)) = image.split_once('@') {
        return digest.to_owned();
    }
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let repository = name.split_once('/').map_or(name, |(_, repository)| repository);
    let known = digests.get(&(repository.to_owned(), tag.to_owned()));
    known.cloned().unwrap_or_else(|| image.to_owned())
}

/// What a body that was sent at this time asks.
pub fn read(body: &str, sent: u64, digests: &Digests) -> Meaning {
    let Ok(event) = serde_json::from_str::<Value>(body) else { return Meaning::Unreadable };
    let id = event["id"].as_str().unwrap_or_default().to_owned();
    // The end of a deployment, for channels that have yet to be told: it asks nothing, and SQS's time is enough.
    if event["source"] == "lockkeeper.notice" {
        return Meaning::Asks { event: id, asked: Vec::new() };
    }
    let time: jiff::Timestamp =
        event["time"].as_str().unwrap_or_default().parse().expect("events have times");
    let version = u64::try_from(time.as_millisecond()).expect("it is later than 1970").min(sent);
    let detail = &event["detail"];
    let asked = |target: &'static Target, wish| Asked { target: target.name, wish, version };
    let asked: Vec<Asked> = match event["source"].as_str().unwrap_or_default() {
        "aws.ecr" => {
            let (repository, tag) = (detail["repository-name"].as_str(), detail["image-tag"].as_str());
            let digest = detail["image-digest"].as_str().unwrap_or_default();
            TARGETS
                .iter()
                .filter(|target| Some(target.repository) == repository)
                .filter_map(|target| Some(asked(target, pushed(target, tag?, digest)?)))
                .collect()
        }
        "aws.ssm" => {
            let name = detail["name"].as_str().unwrap_or_default();
            let reads = |target: &&Target| {
                let whose = name.split('/').nth(2);
                whose == Some("shared") || whose == Some(target.name)
            };
            TARGETS.iter().filter(reads).map(|target| asked(target, Wish::Fresh)).collect()
        }
        "action.deploy" => {
            if detail["tag"].is_string() && detail["task_definition"].is_string() {
                return Meaning::Unreadable;
            }
            let target =
                detail["service"].as_str().and_then(Target::named).expect("the storm knows the names");
            vec![asked(target, requested(target, detail, digests))]
        }
        _ => Vec::new(),
    };
    Meaning::Asks { event: id, asked }
}

fn pushed(target: &Target, tag: &str, digest: &str) -> Option<Wish> {
    match target.on_push {
        _ if tag.is_empty() || tag.starts_with("dev-") => None,
        OnPush::Pin => Some(Wish::Image(digest.to_owned())),
        OnPush::Follow(followed) => (tag == followed).then(|| Wish::Followed(digest.to_owned())),
    }
}

fn requested(target: &Target, detail: &Value, digests: &Digests) -> Wish {
    if let Some(definition) = detail["task_definition"].as_str() {
        return Wish::Definition(definition.to_owned());
    }
    let tag = detail["tag"].as_str().map(|tag| format!("{}:{tag}", registry(target.repository)));
    let image = tag.or_else(|| detail["image"].as_str().map(str::to_owned));
    image.map_or(Wish::Fresh, |image| Wish::Tagged(content(&image, digests), image))
}
