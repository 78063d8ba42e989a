//! What waits together, and is decided together: settled, failed, kept, or left waiting.

use super::*;
use crate::domain::{Outcome, Prospect, RolloutState, SettledBy};

/// A rollout of this definition that ended so, as one of ours that we no longer know of.
fn over(it: &mut Bench, second: i64, definition: DefinitionView, state: RolloutState) {
    let tag = definition.images[&"web".into()].effective_tag().unwrap().to_string();
    let mut rollout = ecs::rollout(&format!("at-{second}"), second, definition);
    rollout.digests = [("web".into(), digest(&tag[1..]))].into();
    it.scene().rollouts.insert(0, rollout);
    ecs::turn_to(it.scene(), state);
}

#[test]
fn what_one_rollout_carried_ends_as_one_deployment() {
    let mut it = Bench::new();
    over(&mut it, 998, marked(2, "v2", 990), RolloutState::Succeeded);
    it.receive("m1", [restart(991)]);
    it.receive("m2", [followed("v2", None, 992)]);
    it.pass(6);
    let ends: Vec<_> = it.ended().iter().map(|it| (it.outcome.unwrap(), it.changes.len())).collect();
    assert_eq!((ends, it.settled().len()), (vec![(Outcome::AlreadyRunning, 2)], 2));
}

#[test]
fn what_is_settled_for_different_reasons_ends_as_different_deployments() {
    let mut it = Bench::new();
    let mut sidecar = image_of("s1", Some(digest("s")), Some("newest"), 985);
    if let Change::Image(change) = &mut sidecar.change {
        change.source.container = Some("web".into());
    }
    over(&mut it, 998, marked(2, "v2", 990), RolloutState::Succeeded);
    it.receive("m1", [sidecar]);
    it.receive("m2", [restart(991)]);
    it.pass(6);
    assert_eq!(it.outcomes(), [Outcome::Superseded, Outcome::AlreadyRunning]);
}

#[test]
fn what_failed_with_one_rollout_ends_as_one_deployment_and_apart_from_other_failures() {
    let mut it = Bench::new();
    over(&mut it, 994, marked(2, "v2", 990), RolloutState::Failed);
    over(&mut it, 998, revision(1, "v1"), RolloutState::Failed);
    it.receive("m1", [image("v2", 990)]);
    it.receive("m2", [restart(995)]);
    it.receive("m3", [followed("v1", None, 996)]);
    it.pass(6);
    let ends: Vec<_> =
        it.ended().iter().map(|it| (it.rollout_id.clone().unwrap(), it.changes.len())).collect();
    assert_eq!(ends, [("ecs-svc/at-994".into(), 1), ("ecs-svc/at-998".into(), 2)]);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::Failed; 2], 0));
}

/// `api:5` is known, as one that can be asked for.
fn wanted(it: &mut Bench) {
    it.scene().wanted = Some(Ok(revision(5, "v0")));
}

#[test]
fn an_image_that_runs_is_left_alone_where_the_definition_before_it_runs_too() {
    let mut it = Bench::new();
    wanted(&mut it);
    over(&mut it, 995, moved_to(5, "v2", 990), RolloutState::Succeeded);
    it.receive("m1", [definition("api:5", 990)]);
    it.receive("m2", [image("v2", 991)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::AlreadyRunning; 2]));
}

#[test]
fn only_images_that_run_are_deployed_again_with_a_definition() {
    let mut it = Bench::new();
    wanted(&mut it);
    over(&mut it, 100, revision(1, "v1"), RolloutState::Succeeded);
    it.receive("m1", [definition("api:5", 990)]);
    it.receive("m2", [followed("v1", Some(digest("1")), 991)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::AlreadyRunning]));
    assert_eq!(it.settled(), [("m2", SettledBy::Reality)], "a push is not content of its own");
}

#[test]
fn an_image_that_failed_is_not_deployed_again_with_the_definition_before_it() {
    let mut it = Bench::new();
    wanted(&mut it);
    over(&mut it, 995, marked(2, "v2", 992), RolloutState::RolledBack);
    it.receive("m1", [definition("api:5", 990)]);
    it.receive("m2", [image("v2", 992)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::RolledBack]));
    assert_eq!((it.ordered_base().as_str(), it.ordered_image()), ("api:5", None));
}

#[test]
fn an_image_asked_for_in_the_second_of_a_definition_is_kept() {
    let mut it = Bench::new();
    wanted(&mut it);
    it.receive("m1", [image("v2", 990)]);
    it.receive("m2", [definition("api:5", 990)]);
    it.pass(6);
    assert_eq!((it.ordered_base().as_str(), it.ordered_image().as_deref()), ("api:5", Some("v2")));
}

#[test]
fn images_of_different_policies_rank_by_their_versions() {
    let of_policy = |tag, policy, version| image_of(tag, Some(digest(tag)), Some(policy), version);
    let mut it = Bench::new();
    it.receive("m1", [of_policy("2.0.0", "semver:*", 990)]);
    it.receive("m2", [of_policy("1.0.0", "newest", 991)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.ordered_image().as_deref()), (1, Some("1.0.0")));
}

#[test]
fn an_image_that_is_named_in_two_ways_is_deployed_once() {
    let mut it = Bench::new();
    let mut by_container = image("v2", 990);
    if let Change::Image(change) = &mut by_container.change {
        change.source = ImageSource { repository: None, home: None, container: Some("web".into()) };
    }
    it.receive("m1", [by_container]);
    it.receive("m2", [image("v3", 991)]);
    it.pass(6);
    assert_eq!(it.ordered_image().as_deref(), Some("v3"));
    assert_eq!(it.settled(), [("m1", SettledBy::Newer)], "it owes nothing once the newer one is started");
}

#[test]
fn what_moves_the_service_to_another_definition_is_marked_so() {
    let content = |base: DefinitionView| {
        let mut it = Bench::new();
        it.scene().base = Ok(base);
        it.receive("m1", [restart(990)]);
        it.pass(6);
        it.starts()[0].marks.content
    };
    assert_eq!(content(revision(1, "v1")), None, "it stays where it is");
    assert_eq!(content(revision(2, "v1")), Some(at(990)));
}

#[test]
fn an_image_does_not_mark_its_revision_as_moved_to() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!(it.starts()[0].marks.content, None);
}

#[test]
fn a_dry_run_asks_for_no_turn_to_start() {
    let prospect = |dry_run| {
        let mut it = Bench::new();
        it.settings.dry_run = dry_run;
        it.receive("m1", [image("v2", 990)]);
        it.pass(6);
        it.looks()[0].prospect
    };
    assert_eq!((prospect(true), prospect(false)), (Prospect::Nothing, Prospect::Registration));
}

#[test]
fn an_image_that_the_definition_has_already_moves_the_service_to_that() {
    let content = |has| {
        let mut it = Bench::new();
        it.scene().base = Ok(revision(2, has));
        it.receive("m1", [image("v2", 990)]);
        it.pass(6);
        it.starts()[0].marks.content
    };
    assert_eq!((content("v2"), content("v1")), (Some(at(990)), None));
}

#[test]
fn a_definition_keeps_the_images_that_were_asked_for_after_it_and_no_others() {
    let kept = |version| {
        let mut it = Bench::new();
        let mut asked = revision(5, "v0");
        asked.images.insert("side".into(), "shop/side:1".parse().unwrap());
        it.scene().wanted = Some(Ok(asked));
        let mut runs = marked(1, "v1", version);
        runs.images.insert("gone".into(), "shop/gone:1".parse().unwrap());
        runs.marks.versions.insert("gone".into(), at(995));
        it.scene().running.as_mut().unwrap().definition = runs;
        it.receive("m1", [definition("api:5", 990)]);
        it.pass(6);
        (it.ordered_image(), it.starts()[0].edits.len())
    };
    assert_eq!(kept(991), (Some("v1".into()), 1));
    assert_eq!(kept(990), (None, 0), "what runs already came first");
    assert_eq!(kept(989), (None, 0));
}
