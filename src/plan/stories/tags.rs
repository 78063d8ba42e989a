//! A tag that was moved between a push and the rollout that reads it.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{Outcome, Rollout, RolloutState, SettledBy};

/// The same push, of which it is known whether it is an index.
fn known(is_index: bool, mut request: Request) -> Request {
    match &mut request.change {
        Change::Refresh(Refresh::Image(image)) => image.is_index = Some(is_index),
        Change::Image(image) => image.is_index = Some(is_index),
        Change::Refresh(Refresh::Restart) | Change::Definition(_) => panic!("no image"),
    }
    request
}

/// A rollout of the tag `v1` that has ended, and read it as the image of this letter.
fn read(letter: &str, created: i64, state: RolloutState) -> Rollout {
    let digests = [("web".into(), digest(letter))].into();
    let primary = state == RolloutState::Succeeded;
    Rollout { digests, primary, state, ..rollout("x", created, revision(1, "v1")) }
}

/// `v1` was pushed as `a` at second 900, and that is put back at second 1000; these rollouts there were, newest first.
fn put_back(is_index: Option<bool>, rollouts: impl Into<Vec<Rollout>>) -> Bench {
    let push = replayed(1_000, followed("v1", Some(digest("a")), 900));
    let push = is_index.into_iter().fold(push, |push, is_index| known(is_index, push));
    let mut it = Bench::new();
    it.scene().rollouts = rollouts.into();
    for (place, rollout) in it.scene().rollouts.iter_mut().enumerate() {
        rollout.id = ecs::key(&format!("x{place}"));
    }
    let newest = it.scene().rollouts.iter().find(|it| it.state == RolloutState::Succeeded).cloned();
    let running = it.scene().running.as_mut().expect("runs");
    running.digests = newest.map_or_else(|| [("web".into(), digest("0"))].into(), |it| it.digests);
    it.receive("m", [push]);
    it.pass(6);
    it
}

#[test]
fn a_failed_push_that_is_put_back_after_a_newer_one_succeeded_is_superseded() {
    let it = put_back(Some(false), [read("b", 950, RolloutState::Succeeded)]);
    assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::Superseded]));
    let why = it.end().2;
    let (a, b) = (digest("a"), digest("b"));
    assert_eq!(why, format!("the tag v1 has moved on from {a}: web runs {b}"));
    assert_eq!(it.settled(), [("m", SettledBy::Reality)]);
}

#[test]
fn an_index_has_surely_moved_on_where_two_rollouts_since_read_its_tag_differently() {
    for is_index in [None, Some(true)] {
        let its_own = read("c", 905, RolloutState::RolledBack);
        let it = put_back(is_index, [read("b", 950, RolloutState::Succeeded), its_own]);
        assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::Superseded]));
    }
}

#[test]
fn an_index_that_was_read_by_a_rollout_since_is_carried_by_it_when_it_is_put_back() {
    for is_index in [None, Some(true)] {
        let its_own = read("c", 905, RolloutState::RolledBack);
        let it = put_back(is_index, [read("c", 950, RolloutState::Succeeded), its_own]);
        assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::AlreadyRunning]));
        assert!(it.end().2.contains("carries it"), "{:?}", it.end());
    }
}

#[test]
fn what_read_the_tag_before_the_push_or_failed_says_nothing_about_it() {
    let unknown = Rollout { digests: BTreeMap::new(), ..read("b", 950, RolloutState::Succeeded) };
    let mut goes_back = read("b", 950, RolloutState::Succeeded);
    let image = goes_back.definition.images.get_mut(&"web".into()).unwrap();
    *image = image.with_digest(digest("b"));
    goes_back.definition.marks.follows = [("web".into(), "v1".into())].into();
    let too_early = read("b", 900, RolloutState::Succeeded);
    let failed = read("b", 950, RolloutState::RolledBack);
    for rollout in [too_early, failed, unknown, goes_back] {
        let it = put_back(Some(false), [rollout]);
        assert_eq!(it.starts().len(), 1, "{:?}", it.ended());
    }
}

#[test]
fn a_push_that_comes_late_is_superseded_where_its_tag_was_read_as_something_newer() {
    let push = || followed("v1", Some(digest("a")), 900);
    let late = |request| {
        let mut it = Bench::new();
        it.scene().rollouts = vec![read("b", 950, RolloutState::Succeeded)];
        it.scene().running.as_mut().expect("runs").digests = [("web".into(), digest("b"))].into();
        it.receive("m", [request]);
        it.pass(6);
        (it.starts().len(), it.end().0)
    };
    assert_eq!(late(known(false, push())), (0, Outcome::Superseded));
    assert_eq!(late(known(true, push())), (0, Outcome::AlreadyRunning));
    assert_eq!(late(push()), (0, Outcome::AlreadyRunning));
}

/// A rollout of this push is started, and turns out to have read its tag as `b`.
fn read_otherwise(requests: impl Into<Vec<Request>>) -> (Outcome, String) {
    let mut it = Bench::new();
    for (place, request) in requests.into().into_iter().enumerate() {
        it.receive(&format!("m{place}"), [request]);
    }
    it.pass(6);
    it.scene().rollouts[0].digests = [("web".into(), digest("b"))].into();
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.letters().len(), it.planner.held()), (1, 0, 0));
    let (outcome, _, why) = it.end();
    (outcome, why)
}

#[test]
fn another_image_than_the_single_one_that_was_pushed_is_no_success() {
    let pinned = image_of("v2", Some(digest("a")), Some("newest"), 990);
    for push in [followed("v1", Some(digest("a")), 990), pinned] {
        let (outcome, why) = read_otherwise([known(false, push.clone())]);
        assert_eq!(outcome, Outcome::Superseded);
        assert!(why.contains("has moved on from"), "{why}");
        let (outcome, why) = read_otherwise([known(true, push)]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert!(why.contains("digest unverified"), "{why}");
    }
}

#[test]
fn a_rollout_that_brought_something_else_too_has_succeeded_in_that() {
    let push = known(false, followed("v1", Some(digest("a")), 990));
    let (outcome, why) = read_otherwise([push, restart(990)]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert!(why.contains("digest unverified"), "{why}");
}

#[test]
fn a_duplicate_of_what_was_outrun_is_superseded_too() {
    let mut it = Bench::new();
    let push = known(false, image_of("v2", Some(digest("a")), Some("newest"), 990));
    it.receive("m", [push.clone()]);
    it.pass(6);
    it.scene().rollouts[0].digests = [("web".into(), digest("b"))].into();
    it.rollout_is(RolloutState::Succeeded);
    it.crash();
    it.receive("m", [push]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Superseded; 2]));
}
