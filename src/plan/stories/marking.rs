//! What is asked for again while it runs leaves a mark before it is settled.

use super::*;
use crate::domain::{MarkOrder, Outcome, Remedy, Rollout, RolloutState, Running};

/// `api:1` runs the image `v1`, for which it was asked at this second.
fn running_v1(version: i64) -> Bench {
    let mut it = Bench::new();
    let definition = marked(1, "v1", version);
    *it.scene() = ecs::at_rest(definition.clone());
    let digests = [("web".into(), digest("1"))].into();
    it.scene().running = Some(Running { definition, digests, since: Some(at(100)) });
    it
}

fn versions(orders: &[MarkOrder]) -> Vec<Option<Timestamp>> {
    orders.iter().map(|order| order.marks.versions.get(&"web".into()).copied()).collect()
}

#[test]
fn an_older_image_does_not_replace_one_that_was_asked_for_again() {
    let mut it = running_v1(900);
    it.receive("again", [image("v1", 990)]);
    it.pass(10);
    assert_eq!((it.outcomes(), versions(&it.marks())), (vec![Outcome::AlreadyRunning], vec![Some(at(990))]));
    it.crash();
    it.receive("late", [image("v2", 950)]);
    it.pass(10);
    assert_eq!((it.outcomes()[1..].to_vec(), it.starts().len()), (vec![Outcome::Superseded], 0));
}

#[test]
fn what_is_marked_as_new_as_it_was_asked_for_is_not_marked_again() {
    let mut it = running_v1(990);
    it.receive("twice", [image("v1", 990)]);
    it.pass(10);
    assert_eq!((it.outcomes(), it.marks()), (vec![Outcome::AlreadyRunning], vec![]));
}

#[test]
fn a_dry_run_marks_nothing() {
    let mut it = running_v1(900);
    it.settings.dry_run = true;
    it.receive("again", [image("v1", 990)]);
    it.pass(10);
    assert_eq!((it.outcomes(), it.marks()), (vec![Outcome::AlreadyRunning], vec![]));
}

#[test]
fn nothing_is_settled_before_it_is_marked() {
    let mut it = running_v1(900);
    it.failing_marks.push_back(bench::transient(Remedy::Retry));
    it.receive("again", [image("v1", 990)]);
    it.pass(6);
    assert_eq!((it.outcomes(), it.marks().len()), (vec![], 1));
    it.pass(20);
    assert_eq!((it.outcomes(), it.marks().len()), (vec![Outcome::AlreadyRunning], 2));
}

#[test]
fn a_rollout_that_carries_what_was_asked_for_again_is_marked_and_adopted() {
    let mut it = running_v1(900);
    it.scene().rollouts = vec![rollout("x", 995, marked(2, "v2", 980))];
    it.receive("again", [image("v2", 990)]);
    it.pass(6);
    assert_eq!(it.marks()[0].definition.revision, 2);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), versions(&it.marks())), (vec![Outcome::Succeeded], vec![Some(at(990))]));
}

#[test]
fn what_an_old_revision_of_ours_turns_out_to_carry_is_not_told_as_the_deployment_that_made_it() {
    let old = marked(2, "v2", 900);
    let mut it = Bench::new();
    *it.scene() = ecs::at_rest(old.clone());
    let again = rollout("back", 995, old.clone());
    it.scene().rollouts =
        vec![Rollout { state: RolloutState::Succeeded, previous: Some(revision(3, "v3")), ..again }];
    it.receive("m", [image("v2", 990)]);
    it.pass(10);
    let [ended] = &it.ended()[..] else { panic!("{:?}", it.outcomes()) };
    assert_eq!((ended.outcome, versions(&it.marks())), (Some(Outcome::AlreadyRunning), vec![Some(at(990))]));
    assert_ne!(Some(&ended.id), old.marks.deployment.as_ref());
}

#[test]
fn a_definition_that_was_moved_to_since_is_marked_with_it() {
    let mut it = running_v1(900);
    let moved = moved_to(2, "v2", 980);
    let carrier =
        Rollout { primary: true, state: RolloutState::Succeeded, ..rollout("x", 995, moved.clone()) };
    *it.scene() = ecs::at_rest(moved.clone());
    it.scene().rollouts = vec![carrier];
    it.scene().wanted = Some(Ok(moved));
    it.receive("again", [definition("api:2", 990)]);
    it.pass(10);
    assert_eq!(it.outcomes(), [Outcome::AlreadyRunning]);
    assert_eq!(it.marks()[0].marks.content, Some(at(990)));
}

#[test]
fn a_mark_does_not_hide_that_somebody_moved_the_service_by_hand() {
    let mut it = running_v1(900);
    let by_hand = revision(2, "v2");
    let carrier =
        Rollout { primary: true, state: RolloutState::Succeeded, ..rollout("x", 980, by_hand.clone()) };
    *it.scene() = ecs::at_rest(by_hand.clone());
    it.scene().rollouts = vec![carrier];
    let digests = [("web".into(), digest("2"))].into();
    it.scene().running = Some(Running { definition: by_hand, digests, since: Some(at(980)) });
    it.receive("again", [image("v2", 990)]);
    it.pass(10);
    assert_eq!((it.outcomes(), versions(&it.marks())), (vec![Outcome::AlreadyRunning], vec![Some(at(990))]));
    it.scene().wanted = Some(Ok(revision(7, "v7")));
    it.receive("late", [definition("api:7", 970)]);
    it.pass(10);
    assert_eq!((it.outcomes()[1..].to_vec(), it.starts().len()), (vec![Outcome::Superseded], 0));
}

#[test]
fn a_definition_that_somebody_moved_to_by_hand_is_not_marked() {
    let mut it = Bench::new();
    it.scene().wanted = Some(Ok(revision(5, "v5")));
    it.scene().rollouts = vec![rollout("by-hand", 995, revision(5, "v5"))];
    ecs::turn_to(it.scene(), RolloutState::Succeeded);
    it.receive("asked", [definition("api:5", 990)]);
    it.pass(10);
    assert_eq!((it.outcomes(), it.marks()), (vec![Outcome::AlreadyRunning], vec![]));
}

#[test]
fn a_revision_that_was_made_of_a_definition_is_not_marked_as_it() {
    let mut it = Bench::new();
    it.scene().wanted = Some(Ok(revision(5, "v5")));
    let mut made = marked(6, "v2", 992);
    made.marks.content = Some(at(990));
    it.scene().rollouts = vec![rollout("made", 995, made)];
    ecs::turn_to(it.scene(), RolloutState::Succeeded);
    it.receive("asked", [definition("api:5", 990)]);
    it.pass(10);
    assert_eq!((it.outcomes(), it.marks()), (vec![Outcome::AlreadyRunning], vec![]));
}

#[test]
fn after_a_mark_that_failed_nothing_is_looked_at_before_reads_are_fresh() {
    let mut it = running_v1(900);
    it.jitter = Jitter(u16::MAX);
    it.failing_marks.push_back(bench::transient(Remedy::Retry));
    it.receive("again", [image("v1", 990)]);
    it.pass(60);
    assert_eq!(it.look_times(), [1_005_000, 1_018_000]);
}

#[test]
fn what_cannot_be_marked_holds_nobody_up() {
    let mut it = running_v1(900);
    it.failing_marks.push_back(bench::transient(Remedy::GiveUp));
    it.receive("again", [image("v1", 990)]);
    it.receive("restart", [restart(991)]);
    it.pass(10);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::AlreadyRunning], 1));
}

#[test]
fn nothing_is_started_on_a_look_that_grew_old_while_a_mark_waited_for_its_turn() {
    let mut it = running_v1(900);
    it.unanswered.insert(bench::Verb::Mark);
    it.receive("again", [image("v1", 990)]);
    it.receive("restart", [restart(991)]);
    it.pass(60);
    it.scene().rollouts = vec![rollout("somebody", 1_060, revision(9, "v9"))];
    let order = it.marks()[0].clone();
    let answer = it.marked(&order);
    it.tell(answer);
    assert_eq!(it.outcomes(), [Outcome::AlreadyRunning], "what it settles is settled");
    assert_eq!((it.starts().len(), it.looks().len()), (0, 2));
}
