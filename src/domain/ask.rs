//! What people ask for over HTTP, as events that Lockkeeper puts on its own queue: so that it survives a crash, leaves a
//! trail, and enters by the same door as everything else.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    AccountId, ContainerName, DECISION_SOURCE, Decision, DecisionVerb, DefinitionId, DeployRequest,
    DeploymentRecord, Digest, EventId, REQUEST_SOURCE, Region, RunningImage, Subject, Tag, TargetId, Wanted,
};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A deployment; and where it came from, as they say.
    Deploy(DeployRequest, Option<Value>),
    /// The way back, and whether the target is held afterwards.
    Rollback(WayBack),
    /// A decision.
    Decide(Decision),
}

/// The way back of one target: from what runs to what ran before, both of them named when it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// The target.
    pub target: TargetId,
    /// What runs.
    pub from: DefinitionId,
    /// The images that run, with their digests where those are known.
    pub from_images: Vec<RunningImage>,
    /// What is to run.
    pub to: DefinitionId,
    /// The images that are to run.
    pub to_images: Vec<RunningImage>,
    /// The images that are to run, where `to` alone does not say.
    pub images: Vec<(ContainerName, Digest)>,
    /// The tags that are followed by these containers.
    pub follow: Vec<(ContainerName, Tag)>,
    /// Whether the target is held afterwards: until somebody resumes it, other content waits.
    pub hold: bool,
    /// Who asks.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

impl Decision {
    /// One about this target.
    pub fn about_target(verb: DecisionVerb, target: &TargetId) -> Self {
        Self { verb, about: Subject::Target(target.to_string().into()), by: None, reason: None }
    }

    /// One about this deployment. It names the events behind it: by them it is known even after some of them are gone.
    pub fn about_deployment(verb: DecisionVerb, it: &DeploymentRecord) -> Self {
        let about = Subject::Deployment {
            id: it.id.clone(),
            target: Some(it.target.to_string().into()),
            events: it.triggers.iter().map(|origin| origin.event_id.clone()).collect(),
        };
        Self { verb, about, by: None, reason: None }
    }
}

impl Ask {
    /// The event that asks for it. It has no time: when SQS got it counts.
    pub fn event(&self, id: &EventId, account: &AccountId, region: &Region) -> Value {
        let (source, kind, detail) = match self {
            Self::Deploy(request, metadata) => (REQUEST_SOURCE, "Deploy", deploy(request, metadata.as_ref())),
            Self::Rollback(way) => (REQUEST_SOURCE, "Rollback", rollback(way)),
            Self::Decide(decision) => (DECISION_SOURCE, kind(decision.verb), decide(decision)),
        };
        json!({
            "version": "0",
            "id": id,
            "source": source,
            "detail-type": kind,
            "account": account,
            "region": region,
            "resources": [],
            "detail": detail,
        })
    }
}

fn kind(verb: DecisionVerb) -> &'static str {
    match verb {
        DecisionVerb::Approve => "Approve",
        DecisionVerb::Reject => "Reject",
        DecisionVerb::Cancel => "Cancel",
        DecisionVerb::Pause => "Pause",
        DecisionVerb::Resume => "Resume",
    }
}

fn deploy(request: &DeployRequest, metadata: Option<&Value>) -> Map<String, Value> {
    let mut detail = Map::new();
    detail.insert("service".into(), json!(request.service));
    let (name, wanted) = match &request.wanted {
        Wanted::Refresh => ("refresh", json!(true)),
        // The way back of a person has an event of its own.
        Wanted::Definition(change) | Wanted::Rollback(change) => {
            ("task_definition", json!(change.to_string()))
        }
        Wanted::Image(image) => ("image", json!(image.to_string())),
        Wanted::Tag(tag) => ("tag", json!(tag)),
    };
    detail.insert(name.into(), wanted);
    if request.force {
        detail.insert("force".into(), json!(true));
    }
    note(&mut detail, "reason", request.reason.as_ref());
    note(&mut detail, "requested_by", request.requested_by.as_ref());
    if let Some(metadata) = metadata {
        detail.insert("metadata".into(), metadata.clone());
    }
    detail
}

fn rollback(way: &WayBack) -> Map<String, Value> {
    let mut detail = Map::new();
    detail.insert("target".into(), json!(way.target));
    detail.insert("from".into(), json!(way.from));
    detail.insert("to".into(), json!(way.to));
    let images: Map<String, Value> =
        way.images.iter().map(|(container, digest)| (container.to_string(), json!(digest))).collect();
    let follow: Map<String, Value> =
        way.follow.iter().map(|(container, tag)| (container.to_string(), json!(tag))).collect();
    for (name, each) in [("images", images), ("follow", follow)] {
        if !each.is_empty() {
            detail.insert(name.into(), Value::Object(each));
        }
    }
    detail.insert("hold".into(), json!(way.hold));
    note(&mut detail, "by", way.by.as_ref());
    note(&mut detail, "reason", way.reason.as_ref());
    detail
}

fn decide(decision: &Decision) -> Map<String, Value> {
    let mut detail = Map::new();
    match &decision.about {
        Subject::All => {
            detail.insert("all".into(), json!(true));
        }
        Subject::Target(target) => {
            detail.insert("target".into(), json!(target));
        }
        Subject::Deployment { id, target, events } => {
            detail.insert("deployment_id".into(), json!(id));
            note(&mut detail, "target", target.as_ref());
            if !events.is_empty() {
                detail.insert("events".into(), json!(events));
            }
        }
    }
    note(&mut detail, "by", decision.by.as_ref());
    note(&mut detail, "reason", decision.reason.as_ref());
    detail
}

fn note(detail: &mut Map<String, Value>, name: &str, text: Option<&Arc<str>>) {
    if let Some(text) = text {
        detail.insert(name.into(), json!(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "111122223333/eu-west-1/shop/api";

    fn detail_of(ask: &Ask) -> Value {
        ask.event(&"e-1".into(), &"111122223333".into(), &"eu-west-1".into())["detail"].take()
    }

    #[test]
    fn an_event_of_ours_has_no_time_so_that_the_time_at_which_sqs_got_it_counts() {
        let ask = Ask::Deploy(DeployRequest { service: TARGET.into(), ..DeployRequest::default() }, None);
        let event = ask.event(&"e-1".into(), &"111122223333".into(), &"eu-west-1".into());
        assert_eq!(
            event,
            json!({
                "version": "0", "id": "e-1", "source": "lockkeeper.request", "detail-type": "Deploy",
                "account": "111122223333", "region": "eu-west-1", "resources": [],
                "detail": { "service": TARGET, "refresh": true },
            })
        );
    }

    #[test]
    fn a_deployment_says_what_is_wanted_in_one_way() {
        let metadata = json!({ "commit": "0af3c1" });
        let wanted = |wanted| DeployRequest {
            service: TARGET.into(),
            wanted,
            force: true,
            reason: Some("it leaks".into()),
            requested_by: Some("ci".into()),
            ..DeployRequest::default()
        };
        let image = "h.x/shop/web:v4".parse().expect("an image");
        let definition = "shop_web:4".parse().expect("a definition");
        for (content, name, text) in [
            (Wanted::Tag("v4".into()), "tag", "v4"),
            (Wanted::Image(image), "image", "h.x/shop/web:v4"),
            (Wanted::Definition(definition), "task_definition", "shop_web:4"),
        ] {
            let detail = detail_of(&Ask::Deploy(wanted(content), Some(metadata.clone())));
            let mut expected = json!({
                "service": TARGET, "force": true, "reason": "it leaks", "requested_by": "ci", "metadata": metadata,
            });
            expected[name] = json!(text);
            assert_eq!(detail, expected);
        }
    }

    #[test]
    fn a_way_back_names_where_from_and_where_to() {
        let way = WayBack {
            target: TARGET.parse().expect("an id"),
            from: "shop_api:7".parse().expect("a definition"),
            from_images: Vec::new(),
            to: "shop_api:6".parse().expect("a definition"),
            to_images: Vec::new(),
            images: vec![("web".into(), "sha256:aa".into())],
            follow: vec![("web".into(), "latest".into())],
            hold: true,
            by: Some("ann".into()),
            reason: None,
        };
        assert_eq!(
            detail_of(&Ask::Rollback(way)),
            json!({
                "target": TARGET, "from": "shop_api:7", "to": "shop_api:6", "images": { "web": "sha256:aa" },
                "follow": { "web": "latest" }, "hold": true, "by": "ann",
            })
        );
    }

    #[test]
    fn a_decision_is_about_a_target_a_deployment_or_all() {
        let target = TARGET.parse().expect("an id");
        let about = |about: Decision| detail_of(&Ask::Decide(about));
        assert_eq!(about(Decision::about_target(DecisionVerb::Pause, &target)), json!({ "target": TARGET }));
        let subject = Subject::Deployment {
            id: "d-77fe".into(),
            target: Some("api".into()),
            events: vec!["e-1".into()],
        };
        let cancel = Decision { verb: DecisionVerb::Cancel, about: subject, by: None, reason: None };
        let detail = json!({ "deployment_id": "d-77fe", "target": "api", "events": ["e-1"] });
        assert_eq!(about(cancel), detail);
        let all = Decision {
            verb: DecisionVerb::Resume,
            about: Subject::All,
            by: Some("ann".into()),
            reason: Some("done".into()),
        };
        assert_eq!(about(all), json!({ "all": true, "by": "ann", "reason": "done" }));
    }
}
