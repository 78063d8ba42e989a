//! The one rule: every verdict.

use std::time::Duration;

use crate::domain::{Change, Look, Outcome, Refresh, Request, RolloutState, RolloutState::*};
use crate::plan::settle::{Verdict, is_needed, verdict};
use crate::plan::testing::*;

fn judge(request: &Request, look: &Look) -> Verdict {
    verdict(request, look, |_| false)
}

fn is_settled(verdict: &Verdict, outcome: Outcome) -> bool {
    matches!(verdict, Verdict::Settled(it, _) if *it == outcome)
}

#[test]
fn the_fate_of_the_carrier_settles_a_refresh() {
    let fate = |state| judge(&restart(10), &look(100, vec![rollout(50, view(1, "latest"), state)]));
    for state in [InProgress, RollingBack] {
        assert_eq!(fate(state), Verdict::Adopt(key("ecs-svc/50")), "{state:?}");
    }
    assert!(is_settled(&fate(Succeeded), Outcome::AlreadyRunning));
    for state in [Failed, RolledBack, RollbackFailed] {
        assert!(matches!(fate(state), Verdict::Failed(_)), "{state:?}");
    }
    assert_eq!(fate(Stopped), Verdict::Needed, "another rollout took its place");
}

#[test]
fn a_success_counts_more_than_a_failure_and_one_in_progress_too() {
    let both = |newer: RolloutState, older: RolloutState| {
        let rollouts = vec![rollout(60, view(1, "latest"), newer), rollout(50, view(1, "latest"), older)];
        judge(&restart(10), &look(100, rollouts))
    };
    assert!(is_settled(&both(Failed, Succeeded), Outcome::AlreadyRunning));
    assert_eq!(both(InProgress, Failed), Verdict::Adopt(key("ecs-svc/60")));
}

#[test]
fn a_rollout_carries_freshness_from_a_second_after_the_change() {
    let carried = |created| {
        let seen = look(100, vec![rollout(created, view(1, "latest"), Succeeded)]);
        is_settled(&judge(&restart(50), &seen), Outcome::AlreadyRunning)
    };
    assert_eq!([49, 50, 51].map(carried), [false, false, true]);
}

#[test]
fn a_refresh_waits_until_a_rollout_is_surely_later() {
    assert_eq!(judge(&restart(100), &look(100, Vec::new())), Verdict::NotBefore(at(101)));
    assert_eq!(judge(&restart(100), &look(101, Vec::new())), Verdict::Needed);
    let unknown = ask(100, Change::Refresh(Refresh::Image(push_change("latest", None))));
    assert_eq!(judge(&unknown, &look(100, Vec::new())), Verdict::NotBefore(at(101)));
    assert_eq!(judge(&push(100, "latest", "sha256:new"), &look(100, Vec::new())), Verdict::Needed);
}

#[test]
fn what_would_be_started_is_needed_only_where_nothing_is_under_way() {
    let seen = |state| look(100, vec![rollout(5, view(1, "latest"), state)]);
    assert!(is_needed(&restart(10), &look(100, Vec::new())));
    assert!(is_needed(&restart(10), &seen(Succeeded)));
    assert!(!is_needed(&restart(10), &seen(InProgress)), "whoever started it is not done");
    assert!(!is_needed(&restart(10), &look(100, vec![rollout(50, view(1, "latest"), Failed)])));
    assert!(!is_needed(&restart(100), &look(100, Vec::new())), "too early to tell");
}

#[test]
fn evidence_counts_from_the_floor_and_not_from_the_version() {
    let mut replayed = restart(10);
    replayed.floor = at(90);
    let failed = look(100, vec![rollout(50, view(1, "latest"), Failed)]);
    assert!(matches!(judge(&restart(10), &failed), Verdict::Failed(_)));
    assert_eq!(judge(&replayed, &failed), Verdict::Needed, "what failed is tried again");
}

#[test]
fn whoever_creates_a_service_decides_what_it_runs() {
    let created = |second| Look { created_at: Some(at(second)), ..look(100, Vec::new()) };
    for request in [pin(50, "v2"), definition(50, "f:4")] {
        let wanting = |look: Look| Look { wanted: Some(Ok(view(4, "v0"))), ..look };
        assert!(is_settled(&judge(&request, &wanting(created(51))), Outcome::Superseded));
        assert_eq!(judge(&request, &wanting(created(50))), Verdict::Needed, "in the same second");
        let again = Request { floor: at(90), ..request };
        assert_eq!(judge(&again, &wanting(created(51))), Verdict::Needed, "asked for again since");
    }
    assert_eq!(judge(&restart(50), &created(60)), Verdict::Needed, "new tasks, of whatever it has");
}

#[test]
fn who_creates_a_service_with_what_was_asked_for_supersedes_nothing() {
    let fate = |state| {
        let first = rollout(60, view(2, "v2"), state);
        judge(&pin(50, "v2"), &Look { created_at: Some(at(60)), ..look(100, vec![first]) })
    };
    assert!(matches!(fate(InProgress), Verdict::Adopt(_)));
    assert!(matches!(fate(Failed), Verdict::Failed(_)));
    assert!(is_settled(&fate(Succeeded), Outcome::AlreadyRunning));
}

#[test]
fn an_old_failure_that_is_replayed_does_not_overwrite_newer_content() {
    let mut replayed = pin(10, "v1");
    replayed.floor = at(90);
    let newer = running(look(100, Vec::new()), marked(view(3, "v2"), 20), "v2");
    assert!(is_settled(&judge(&replayed, &newer), Outcome::Superseded));
}

#[test]
fn a_push_of_another_tag_than_the_definition_names_asks_nothing() {
    let verdict = judge(&push(10, "feature", "sha256:new"), &look(100, Vec::new()));
    let Verdict::Drop(why) = verdict else { panic!("{verdict:?}") };
    assert!(why.contains("the tag feature does not change"), "{why}");
}

#[test]
fn a_digest_that_runs_already_settles_a_push_and_an_image() {
    assert!(is_settled(
        &judge(&push(90, "latest", "sha256:old"), &look(100, Vec::new())),
        Outcome::AlreadyRunning
    ));
    let runs = running(look(100, Vec::new()), view(2, "v1"), "v1");
    assert!(is_settled(&judge(&pin(90, "v1"), &runs), Outcome::AlreadyRunning));
}

#[test]
fn an_image_is_deployed_though_it_runs_where_that_is_forced() {
    let mut forced = pin_change("shop/web", "v1");
    forced.force = true;
    let runs = running(look(100, Vec::new()), view(2, "v1"), "v1");
    assert_eq!(judge(&ask(90, Change::Image(forced)), &runs), Verdict::Needed);
}

#[test]
fn what_is_forced_is_not_settled_by_a_rollout_of_the_same_second() {
    let mut forced = pin_change("shop/web", "v1");
    forced.force = true;
    let forced = ask(90, Change::Image(forced));
    let mut before = rollout(90, view(2, "v1"), Succeeded);
    before.created_at = at(90) + Duration::from_millis(400);
    let mut now = running(look(90, vec![before.clone()]), view(2, "v1"), "v1");
    now.taken_at = at(90) + Duration::from_millis(500);
    assert_eq!(judge(&forced, &now), Verdict::NotBefore(at(91)));
    now.taken_at = at(91);
    assert_eq!(judge(&forced, &now), Verdict::Needed);
    now.rollouts = vec![rollout(91, view(2, "v1"), Succeeded), before];
    assert!(is_settled(&judge(&forced, &now), Outcome::AlreadyRunning), "it was started before a crash");
}

#[test]
fn an_unknown_digest_is_no_proof_that_an_image_runs() {
    let mut runs = running(look(100, Vec::new()), view(2, "v1"), "v1");
    runs.running.as_mut().expect("runs").digests.clear();
    assert_eq!(judge(&pin(90, "v1"), &runs), Verdict::Needed);
}

#[test]
fn a_later_rollout_of_another_image_carries_no_image() {
    let later = look(100, vec![rollout(50, view(1, "latest"), Succeeded)]);
    assert_eq!(judge(&pin(10, "v1"), &later), Verdict::Needed);
}

#[test]
fn our_mark_tells_the_carrier_though_the_digest_has_another_name() {
    let mut carrier = rollout(50, marked(view(2, "v1"), 10), Succeeded);
    carrier.digests = digests("child-of-an-index");
    assert!(is_settled(&judge(&pin(10, "v1"), &look(100, vec![carrier])), Outcome::AlreadyRunning));
}

#[test]
fn an_image_is_superseded_by_a_newer_mark_but_not_by_a_newer_rollout() {
    let newer = running(look(100, Vec::new()), marked(view(2, "v2"), 20), "v2");
    assert!(is_settled(&judge(&pin(10, "v1"), &newer), Outcome::Superseded));
    assert_eq!(judge(&pin(30, "v3"), &newer), Verdict::Needed);
    let rolling = look(100, vec![rollout(50, marked(view(2, "v2"), 20), InProgress)]);
    assert_eq!(judge(&pin(10, "v1"), &rolling), Verdict::Await);
}

#[test]
fn content_that_failed_supersedes_nothing() {
    let failed = look(100, vec![rollout(50, marked(view(2, "v2"), 20), RolledBack)]);
    assert_eq!(judge(&pin(10, "v1"), &failed), Verdict::Needed);
}

#[test]
fn a_definition_supersedes_the_content_before_it() {
    let moved = running(look(100, Vec::new()), moved_to(view(4, "v0"), 20), "v0");
    assert!(is_settled(&judge(&pin(10, "v1"), &moved), Outcome::Superseded));
    assert_eq!(judge(&pin(30, "v3"), &moved), Verdict::Needed);
    let mut older = moved;
    older.wanted = Some(Ok(view(3, "x")));
    assert!(is_settled(&judge(&definition(10, "f:3"), &older), Outcome::Superseded));
}

#[test]
fn a_higher_tag_by_the_policy_supersedes_an_image_that_was_pushed_later() {
    let mut change = pin_change("shop/web", "2.9.0");
    change.policy = Some("semver:^2".parse().expect("valid"));
    let runs = running(look(100, Vec::new()), marked(view(2, "2.10.0"), 10), "2.10.0");
    assert!(is_settled(&judge(&ask(90, Change::Image(change)), &runs), Outcome::Superseded));
}

#[test]
fn somebodys_later_move_supersedes_content_and_their_refresh_does_not() {
    let moved = rollout(50, view(7, "theirs"), Succeeded);
    assert!(is_settled(&judge(&pin(10, "v1"), &look(100, vec![moved.clone()])), Outcome::Superseded));
    assert_eq!(judge(&pin(60, "v1"), &look(100, vec![moved])), Verdict::Needed);
    let refreshed = rollout(50, view(1, "latest"), Succeeded);
    assert_eq!(judge(&pin(10, "v1"), &look(100, vec![refreshed])), Verdict::Needed);
    let mut under_way = rollout(50, view(7, "theirs"), InProgress);
    under_way.tasks.pending = 1;
    assert_eq!(judge(&pin(10, "v1"), &look(100, vec![under_way])), Verdict::Await);
}

#[test]
fn going_on_with_or_back_from_an_unfinished_rollout_decides_nothing() {
    let mut moved = rollout(20, view(7, "theirs"), Stopped);
    moved.primary = false;
    let mut again = rollout(50, view(7, "theirs"), Succeeded);
    again.previous = Some(view(1, "latest"));
    let seen = running(look(100, vec![again, moved.clone()]), view(7, "theirs"), "theirs");
    assert_eq!(judge(&pin(30, "v1"), &seen), Verdict::Needed, "asked for after the move");
    assert!(is_settled(&judge(&pin(10, "v1"), &seen), Outcome::Superseded), "asked for before it");
    let mut back = rollout(50, view(1, "latest"), Succeeded);
    back.previous = Some(view(7, "theirs"));
    assert_eq!(judge(&pin(30, "v1"), &look(100, vec![back, moved])), Verdict::Needed);
}

#[test]
fn what_somebody_takes_back_by_hand_is_not_rolled_out_again() {
    let mut ours = rollout(20, marked(view(2, "v1"), 10), Stopped);
    ours.primary = false;
    let mut back = rollout(50, view(1, "latest"), InProgress);
    assert_eq!(judge(&pin(10, "v1"), &look(100, vec![back.clone(), ours.clone()])), Verdict::Await);
    back.state = Succeeded;
    let seen = look(100, vec![back, ours.clone()]);
    assert!(is_settled(&judge(&pin(10, "v1"), &seen), Outcome::Superseded));
    assert_eq!(judge(&pin(60, "v2"), &seen), Verdict::Needed, "what is asked for since");
    let newer = rollout(50, marked(view(3, "v2"), 30), InProgress);
    assert_eq!(judge(&pin(10, "v1"), &look(100, vec![newer, ours])), Verdict::Await, "ours, and newer");
}

#[test]
fn a_definition_is_carried_by_a_revision_that_was_made_of_it() {
    let mut made = moved_to(view(5, "v3"), 20);
    made.marks.versions.insert("web".into(), at(30));
    let mut seen = look(100, vec![rollout(50, made, RolledBack)]);
    seen.wanted = Some(Ok(view(4, "v0")));
    assert!(matches!(judge(&definition(20, "f:4"), &seen), Verdict::Failed(_)), "it is not started again");
}

#[test]
fn a_definition_that_cannot_be_had_is_impossible() {
    let mut seen = look(100, Vec::new());
    seen.wanted = Some(Err("no task definitions found for family g".into()));
    assert!(matches!(judge(&definition(10, "g"), &seen), Verdict::Impossible(_)));
}

#[test]
fn an_image_that_fits_no_container_is_dropped_or_impossible_by_who_asked() {
    let pushed = pin_change("shop/other", "v1");
    let mut named = pushed.clone();
    named.policy = None;
    let seen = look(100, Vec::new());
    assert!(matches!(judge(&ask(10, Change::Image(pushed)), &seen), Verdict::Drop(_)));
    assert!(matches!(judge(&ask(10, Change::Image(named)), &seen), Verdict::Impossible(_)));
}
