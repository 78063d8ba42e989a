//! What somebody decided, and which targets that is about.

use super::{discovered::in_cluster, *};
use crate::domain::{Cancellation, Decision, DecisionVerb, HoldVerb, Subject};

fn decided(verb: DecisionVerb, about: Subject) -> Event {
    let (by, reason) = (Some("ann".into()), Some("a freeze".into()));
    event(Trigger::Decision(Decision { verb, about, by, reason }))
}

/// The services of those that are paused.
fn paused(routes: &Routes, about: Subject) -> Vec<String> {
    let routing = routes.route(&decided(DecisionVerb::Pause, about), &arrival());
    assert!(routing.requests.is_empty());
    assert_eq!(routing.holds.is_empty(), !routing.notes.is_empty());
    assert!(routing.holds.iter().all(|it| it.decision.verb == HoldVerb::Pause));
    routing.holds.iter().map(|it| it.target.service().to_string()).collect()
}

#[test]
fn a_target_is_paused_by_its_name_its_id_or_that_of_its_service() {
    let routes = explicit([rule("api"), rule("web")]);
    for name in ["api", "api-service", "111122223333/eu-west-1/shop/api-service"] {
        assert_eq!(paused(&routes, Subject::Target(name.into())), ["api-service"]);
    }
    assert!(paused(&routes, Subject::Target("mail".into())).is_empty());
}

#[test]
fn all_are_those_that_are_known_and_deployed() {
    let mut routes = explicit([rule("api")]);
    routes.learn(found("web", []));
    routes.learn(found("api-service", []));
    routes.learn(Discovered { refused: Some("switched off".into()), ..found("mail", []) });
    assert_eq!(paused(&routes, Subject::All), ["api-service", "web"]);
    assert!(paused(&explicit([]), Subject::All).is_empty());
}

#[test]
fn who_pauses_one_of_several_of_a_name_has_to_say_which() {
    let mut routes = explicit([]);
    routes.learn(found("api", []));
    routes.learn(in_cluster("test", found("api", [])));
    let by = |verb, about| routes.route(&decided(verb, about), &arrival());
    let unclear = by(DecisionVerb::Pause, Subject::Target("api".into()));
    assert!(unclear.unclear && unclear.asks_nothing() && unclear.notes.len() == 1, "{unclear:?}");
    assert!(!by(DecisionVerb::Pause, Subject::All).unclear);
    // There is one deployment of that id.
    let about = Subject::Deployment { id: "d-1".into(), target: Some("api".into()), events: vec![] };
    let cancelled = by(DecisionVerb::Cancel, about);
    assert_eq!(cancelled.cancellation.expect("it names a deployment").target, None);
}

#[test]
fn a_decision_carries_its_version_who_made_it_and_why() {
    let routes = explicit([rule("api")]);
    let routing = routes.route(&decided(DecisionVerb::Resume, Subject::All), &arrival());
    let [ref it] = routing.holds[..] else { panic!("{routing:?}") };
    assert_eq!((it.decision.verb, it.decision.version), (HoldVerb::Resume, arrival().version));
    assert_eq!((it.decision.by.as_deref(), it.decision.reason.as_deref()), (Some("ann"), Some("a freeze")));
    assert_eq!(it.origin.reason, "resumed by ann: a freeze");
}

#[test]
fn a_copy_of_a_decision_is_for_the_targets_that_are_left() {
    let routes = explicit([rule("api"), rule("web")]);
    let left = routes.resolve("web").expect("known").0;
    let arrival = Arrival { confined_to: Some([left.clone()].into()), ..arrival() };
    let routing = routes.route(&decided(DecisionVerb::Pause, Subject::All), &arrival);
    assert_eq!(routing.holds.iter().map(|it| &it.target).collect::<Vec<_>>(), [&left]);
}

#[test]
fn a_deployment_is_cancelled_by_its_id_wherever_it_is() {
    let routes = explicit([rule("api")]);
    let cancelled = |target: Option<&str>| -> Option<Cancellation> {
        let target = target.map(Into::into);
        let about = Subject::Deployment { id: "d-1".into(), target, events: vec!["e-1".into()] };
        routes.route(&decided(DecisionVerb::Cancel, about), &arrival()).cancellation
    };
    let anywhere = cancelled(None).expect("it names a deployment");
    assert_eq!((anywhere.deployment.as_str(), anywhere.target), ("d-1", None));
    assert_eq!(anywhere.origin.reason, "cancelled by ann: a freeze");
    assert_eq!(anywhere.events, ["e-1".into()].into());
    let there = cancelled(Some("api")).expect("the target is known");
    assert_eq!(there.target, routes.resolve("api").map(|it| it.0));
    assert_eq!(cancelled(Some("mail")), None);
}
