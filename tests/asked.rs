//! What people ask for over HTTP is understood as it was asked for, once it comes back from the queue.

use std::sync::Arc;

use lockkeeper::{
    decode,
    domain::{
        Ask, Decision, DecisionVerb, DefinitionChange, DeployRequest, Rollback, Subject, TargetId, Timestamp,
        Trigger, Wanted, WayBack,
    },
};
use serde_json::json;

const TARGET: &str = "111122223333/eu-west-1/shop/api";

fn target() -> TargetId {
    TARGET.parse().expect("an id")
}

/// What an event of ours means when it is received.
fn understood(ask: &Ask) -> Trigger {
    let event = ask.event(&"e-1".into(), &"111122223333".into(), &"eu-west-1".into());
    let sent_at = Timestamp::from_millis(1_700_000_000_123);
    let event = decode::decode(event.to_string().as_bytes(), sent_at);
    assert_eq!((event.id.as_str(), event.time), ("e-1", sent_at), "the time at which SQS got it counts");
    event.trigger
}

#[test]
fn a_deployment_is_understood_as_it_was_asked_for() {
    for wanted in [
        Wanted::Refresh,
        Wanted::Tag("v4".into()),
        Wanted::Image("h.x/shop/web:v4".parse().expect("an image")),
        Wanted::Definition("shop_web:4".parse().expect("a definition")),
    ] {
        for force in [true, false] {
            let request = DeployRequest {
                service: TARGET.into(),
                wanted: wanted.clone(),
                force,
                reason: Some("it \"leaks\" 💧".into()),
                requested_by: Some("ci".into()),
                ..DeployRequest::default()
            };
            let metadata = Some(json!({ "commit": "4f2a9c1", "platform": "github" }));
            assert_eq!(
                understood(&Ask::Deploy(request.clone(), metadata)),
                Trigger::DeployRequested(request)
            );
        }
    }
}

#[test]
fn a_rollback_is_understood_as_it_was_asked_for() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let way = WayBack {
        target: target(),
        from: "shop_api:7".parse().expect("a definition"),
        from_images: Vec::new(),
        to: "shop_api:6".parse().expect("a definition"),
        to_images: Vec::new(),
        images: vec![("web".into(), digest.as_str().into())],
        follow: vec![("web".into(), "latest".into())],
        hold: false,
        by: Some("ann".into()),
        reason: Some("so".into()),
    };
    let back = Rollback {
        from: way.from.clone(),
        images: way.images.iter().cloned().collect(),
        follow: way.follow.iter().cloned().collect(),
        hold: false,
        by: way.by.clone(),
        reason: way.reason.clone(),
    };
    let definition =
        DefinitionChange { back: Some(Arc::new(back)), ..way.to.to_string().parse().expect("one") };
    let expected = DeployRequest {
        service: TARGET.into(),
        wanted: Wanted::Rollback(definition),
        reason: way.reason.clone(),
        requested_by: way.by.clone(),
        ..DeployRequest::default()
    };
    assert_eq!(understood(&Ask::Rollback(way)), Trigger::DeployRequested(expected));
}

#[test]
fn a_decision_is_understood_as_it_was_made() {
    let deployment = Subject::Deployment {
        id: "d-77fe".into(),
        target: Some(TARGET.into()),
        events: vec!["e-7".into(), "e-8".into()],
    };
    for (verb, about) in [
        (DecisionVerb::Pause, Subject::All),
        (DecisionVerb::Resume, Subject::All),
        (DecisionVerb::Pause, Subject::Target(TARGET.into())),
        (DecisionVerb::Resume, Subject::Target(TARGET.into())),
        (DecisionVerb::Cancel, deployment.clone()),
        (DecisionVerb::Approve, deployment.clone()),
        (DecisionVerb::Reject, deployment),
    ] {
        let decision = Decision { verb, about, by: Some("ann".into()), reason: Some("so".into()) };
        assert_eq!(understood(&Ask::Decide(decision.clone())), Trigger::Decision(decision));
    }
}
