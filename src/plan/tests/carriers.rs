//! The one rule: what carries a request, and what only looks as if it did.

use std::time::Duration;

use crate::domain::{Change, DefinitionView, Look, Marks, Outcome, Refresh, Request, RolloutState::*};
use crate::plan::settle::{Verdict, names, verdict};
use crate::plan::testing::*;

fn judge(request: &Request, look: &Look) -> Verdict {
    verdict(request, look, |_| false)
}

fn is_settled(verdict: &Verdict, outcome: Outcome) -> bool {
    matches!(verdict, Verdict::Settled(it, _) if *it == outcome)
}

/// A look that knows the definition that was asked for.
fn wanting(mut look: Look, wanted: DefinitionView) -> Look {
    look.wanted = Some(Ok(wanted));
    look
}

#[test]
fn a_definition_is_named_by_its_family_and_revision_or_by_its_family_alone() {
    let id = view(3, "x").id;
    let named = ["f:3", "f", "f:2", "g:3", "g"].map(|asked| names(&asked.parse().expect("valid"), &id));
    assert_eq!(named, [true, true, false, false, false]);
}

#[test]
fn a_look_for_another_definition_decides_nothing() {
    let seen = wanting(look(100, Vec::new()), view(3, "x"));
    assert_eq!(judge(&definition(10, "f:2"), &seen), Verdict::Await);
    assert_eq!(judge(&definition(10, "f:3"), &seen), Verdict::Needed);
}

#[test]
fn a_definition_is_not_carried_by_a_rollout_from_before_its_floor() {
    let before = rollout(50, view(4, "v0"), Succeeded);
    let mut replayed = definition(40, "f:4");
    replayed.floor = at(90);
    let seen = wanting(look(100, vec![before]), view(4, "v0"));
    assert_eq!(judge(&replayed, &seen), Verdict::Needed);
    assert!(is_settled(&judge(&definition(40, "f:4"), &seen), Outcome::AlreadyRunning));
}

#[test]
fn a_definition_is_superseded_by_somebodys_later_move_to_another() {
    let seen = wanting(look(100, vec![rollout(50, view(7, "theirs"), Succeeded)]), view(4, "v0"));
    assert!(is_settled(&judge(&definition(10, "f:4"), &seen), Outcome::Superseded));
    assert_eq!(judge(&definition(60, "f:4"), &seen), Verdict::Needed);
}

#[test]
fn somebody_who_moves_to_just_what_is_asked_for_supersedes_nothing() {
    let stopped = rollout(50, view(4, "v0"), Stopped);
    let seen = wanting(look(100, vec![stopped]), view(4, "v0"));
    assert_eq!(judge(&definition(10, "f:4"), &seen), Verdict::Needed);
    let mut again = rollout(50, view(4, "v1"), InProgress);
    again.state = Stopped;
    assert_eq!(judge(&pin(10, "v1"), &look(100, vec![again])), Verdict::Needed);
}

#[test]
fn only_our_revision_of_that_definition_with_a_newer_image_was_made_of_it() {
    let made = |change: fn(&mut DefinitionView)| {
        let mut made = moved_to(view(5, "v3"), 20);
        made.marks.versions.insert("web".into(), at(30));
        change(&mut made);
        let seen = wanting(look(100, vec![rollout(50, made, RolledBack)]), view(4, "v0"));
        matches!(judge(&definition(20, "f:4"), &seen), Verdict::Failed(_))
    };
    assert!(made(|_| ()));
    assert!(made(|it| it.marks.versions = [("web".into(), at(20))].into()));
    assert!(!made(|it| it.id = "g:5".parse().expect("valid")), "of another family");
    assert!(!made(|it| it.marks.content = Some(at(19))), "of another request");
    assert!(!made(|it| it.marks.versions = [("web".into(), at(19))].into()), "with an older image");
    assert!(!made(|it| it.marks.versions.clear()), "with no image");
}

#[test]
fn our_revision_for_a_digest_is_told_by_that_digest() {
    let mut change = pin_change("shop/web", "v1");
    change.by_digest = true;
    let ours = |named: &str| {
        let mut ours = marked(view(2, "v1"), 10);
        let image = ours.images[&"web".into()].with_digest(digest(named));
        ours.images.insert("web".into(), image);
        let mut carrier = rollout(50, ours, Failed);
        carrier.digests = digests("child-of-an-index");
        judge(&ask(10, Change::Image(change.clone())), &look(100, vec![carrier]))
    };
    assert!(matches!(ours("v1"), Verdict::Failed(_)));
    assert_eq!(ours("another"), Verdict::Needed);
}

#[test]
fn what_was_asked_for_at_the_same_time_supersedes_nothing() {
    let mut request = pin(20, "v1");
    let runs = |definition| running(look(100, Vec::new()), definition, "unknown");
    assert_eq!(judge(&request, &runs(marked(view(2, "v0"), 20))), Verdict::Needed);
    assert!(is_settled(&judge(&request, &runs(marked(view(2, "v0"), 21))), Outcome::Superseded));
    assert_eq!(judge(&request, &runs(moved_to(view(2, "v0"), 20))), Verdict::Needed);
    assert!(is_settled(&judge(&request, &runs(moved_to(view(2, "v0"), 21))), Outcome::Superseded));
    request = definition(20, "f:4");
    let every_image_since = |seconds| {
        let mut runs = marked(view(2, "v0"), seconds);
        runs.marks.versions.insert("side".into(), at(seconds));
        judge(&request, &wanting(running(look(100, Vec::new()), runs, "v0"), view(4, "x")))
    };
    assert_eq!(every_image_since(20), Verdict::Needed);
    assert!(is_settled(&every_image_since(21), Outcome::Superseded));
}

#[test]
fn a_tag_whose_digest_is_unknown_is_rolled_out_from_the_next_second_on() {
    let unknown = ask(100, Change::Refresh(Refresh::Image(push_change("latest", None))));
    let after = |millis| {
        let mut seen = look(100, Vec::new());
        seen.taken_at = at(100) + Duration::from_millis(millis);
        judge(&unknown, &seen)
    };
    assert_eq!([999, 1_000].map(after), [Verdict::NotBefore(at(101)), Verdict::Needed]);
}

/// What became of `v1`, asked for at 10, whose rollout at 20 had to give way to one of this definition at 50.
fn gave_way_to(next: DefinitionView, before: Marks) -> Verdict {
    let mut ours = rollout(20, marked(view(2, "v1"), 10), Stopped);
    ours.definition.marks = before;
    ours.primary = false;
    let mut now = rollout(50, next, Succeeded);
    now.previous = Some(view(1, "latest"));
    judge(&pin(10, "v1"), &look(100, vec![now, ours]))
}

#[test]
fn a_rollout_gives_way_to_somebody_only_where_our_marks_do_not_tell_why() {
    let ours = || marked(view(2, "v1"), 10).marks;
    let by_us = |seconds| marked(view(3, "latest"), seconds);
    assert!(
        is_settled(&gave_way_to(view(1, "latest"), ours()), Outcome::Superseded),
        "it has no mark of ours"
    );
    assert_eq!(gave_way_to(by_us(10), ours()), Verdict::Needed, "it was for something as new");
    assert!(is_settled(&gave_way_to(by_us(30), ours()), Outcome::Superseded), "it has a newer image");
    assert!(is_settled(&gave_way_to(by_us(5), ours()), Outcome::Superseded), "it is one of ours from before");
    let mut unsigned = by_us(10);
    unsigned.marks.deployment = None;
    assert!(is_settled(&gave_way_to(unsigned, ours()), Outcome::Superseded), "somebody copied the marks");
}

#[test]
fn what_gave_way_to_a_rollout_of_the_same_definition_was_not_taken_back() {
    let mut ours = rollout(20, view(2, "v1"), Stopped);
    ours.primary = false;
    let mut again = rollout(50, view(2, "v1"), Succeeded);
    again.digests = digests("another");
    let seen = look(100, vec![again, ours]);
    assert_eq!(judge(&pin(10, "v1"), &seen), Verdict::Needed);
}

/// What became of `v1`, asked for at 10, whose rollout at 50 was complete, once older content came late, at 60.
fn followed_by_older(state: crate::domain::RolloutState) -> Verdict {
    let ours = rollout(50, view(2, "v1"), Succeeded);
    let mut late = rollout(60, marked(view(3, "v0"), 5), state);
    late.previous = Some(view(2, "v1"));
    judge(&pin(10, "v1"), &running(look(100, vec![late, ours]), view(3, "v0"), "v0"))
}

#[test]
fn what_older_content_took_the_place_of_is_rolled_out_again() {
    assert_eq!(followed_by_older(Succeeded), Verdict::Needed);
    assert_eq!(followed_by_older(InProgress), Verdict::Needed);
    for state in [Failed, RolledBack, Stopped] {
        assert!(is_settled(&followed_by_older(state), Outcome::AlreadyRunning), "{state:?} took no place");
    }
}

#[test]
fn what_gave_way_to_another_definition_does_not_live_on_in_it() {
    let stopped = rollout(50, marked(view(2, "v2"), 20), Stopped);
    let next = rollout(60, view(1, "latest"), Succeeded);
    assert_eq!(judge(&pin(10, "v1"), &look(100, vec![next, stopped.clone()])), Verdict::Needed);
    let mut same = rollout(60, marked(view(2, "v2"), 20), Succeeded);
    same.previous = Some(view(1, "latest"));
    let seen = look(100, vec![same, stopped]);
    assert!(is_settled(&judge(&pin(10, "v1"), &seen), Outcome::Superseded), "in the same it does");
}

#[test]
fn a_failure_of_other_content_does_not_hide_that_somebody_moved_the_service() {
    let theirs = rollout(60, view(7, "theirs"), Succeeded);
    let after = |failed| judge(&pin(10, "v1"), &look(100, vec![theirs.clone(), failed]));
    assert!(is_settled(&after(rollout(50, view(5, "v5"), Failed)), Outcome::Superseded));
    assert!(matches!(after(rollout(50, view(2, "v1"), Failed)), Verdict::Failed(_)), "its own is told");
}
