//! The one rule: the fate of its carrier settles a change.

use super::*;
use crate::domain::{Cause, ImageSource, Outcome, Rollout, RolloutState, Running, SettledBy};

/// What comes of this request where ECS shows these rollouts, the newest first.
fn asked(request: Request, rollouts: impl Into<Vec<Rollout>>) -> Bench {
    let mut it = Bench::new();
    it.scene().rollouts = rollouts.into();
    it.receive("m1", [request]);
    it.pass(6);
    it
}

/// What comes of it where this definition runs with this digest, if it is known, and nothing was rolled out lately.
fn asked_at_rest(request: Request, runs: DefinitionView, digest: Option<Digest>) -> Bench {
    let mut it = Bench::new();
    *it.scene() = ecs::at_rest(runs.clone());
    let digests = digest.map(|digest| ("web".into(), digest)).into_iter().collect();
    it.scene().running = Some(Running { definition: runs, digests, since: Some(at(100)) });
    it.receive("m1", [request]);
    it.pass(6);
    it
}

fn ended(state: RolloutState, created: i64, definition: DefinitionView) -> Rollout {
    let primary = state == RolloutState::Succeeded;
    Rollout { primary, state, ..rollout("x", created, definition) }
}

fn succeeded(created: i64, definition: DefinitionView) -> Rollout {
    ended(RolloutState::Succeeded, created, definition)
}

fn is_settled_as(it: &Bench, outcome: Outcome, why: &str) {
    assert_eq!((it.starts().len(), it.outcomes()), (0, vec![outcome]));
    assert_eq!(it.settled(), [("m1", SettledBy::Reality)]);
    assert!(it.end().2.contains(why), "{}", it.end().2);
}

#[test]
fn a_push_of_a_tag_that_the_definition_does_not_name_asks_nothing() {
    let it = asked(followed("feature", Some(digest("a")), 990), []);
    assert_eq!((it.starts().len(), it.settled()), (0, vec![("m1", SettledBy::NothingAsked)]));
    assert!(it.dropped()[0].contains("which the tag feature does not change"), "{:?}", it.dropped());
}

#[test]
fn a_push_behind_a_tag_asks_nothing_where_the_definition_names_a_digest() {
    let fixed = format!("v1@{}", digest("1"));
    for push in [followed("v1", Some(digest("a")), 990), followed("v1", None, 990)] {
        let it = asked_at_rest(push, revision(3, &fixed), Some(digest("1")));
        assert_eq!((it.starts().len(), it.settled()), (0, vec![("m1", SettledBy::NothingAsked)]));
        let why = &it.dropped()[0];
        assert!(why.contains("a push cannot change it; use on_push = \"pin\""), "{why}");
    }
}

#[test]
fn an_image_that_is_asked_for_replaces_one_that_is_named_by_tag_and_digest() {
    let fixed = || revision(3, &format!("v1@{}", digest("1")));
    let runs = || Some(digest("1"));
    for (wish, edited) in [
        (image_of("v1", Some(digest("a")), Some("newest"), 990), Some("v1")),
        (image_of("v1", None, None, 990), Some("v1")),
        (image_of("v2", None, None, 990), Some("v2")),
        (image_of("v1", Some(digest("1")), Some("newest"), 990), None),
    ] {
        let it = asked_at_rest(wish.clone(), fixed(), runs());
        assert_eq!(it.starts().len(), usize::from(edited.is_some()), "{wish:?}");
        let ordered = edited.and_then(|_| it.ordered_image());
        assert_eq!(ordered.as_deref(), edited, "{wish:?}");
    }
    let digests = [("web".into(), digest("1"))].into();
    let restarted = Rollout { digests, previous: Some(fixed()), ..succeeded(995, fixed()) };
    let it = asked(image_of("v1", None, None, 990), [restarted]);
    assert_eq!(it.starts().len(), 1, "a rollout of that digest does not carry what the tag means");
}

#[test]
fn where_any_tag_counts_a_push_of_another_tag_is_deployed() {
    let image = FollowedImage {
        source: source(),
        tag: "feature".into(),
        digest: None,
        is_index: None,
        any_tag: true,
    };
    let it = asked(request(990, Change::Refresh(Refresh::Image(image))), []);
    assert_eq!((it.starts().len(), it.ordered_image()), (1, None));
}

#[test]
fn a_pinned_push_of_an_image_that_the_target_does_not_have_asks_nothing() {
    let other = ImageSource { repository: Some("shop/web".into()), home: None, container: None };
    let Change::Image(change) = image("v2", 990).change else { panic!("an image") };
    let it = asked(request(990, Change::Image(ImageChange { source: other.clone(), ..change.clone() })), []);
    assert_eq!(it.dropped(), ["no container of api:1 has an image of shop/web"]);
    let named = ImageChange { source: other, policy: None, ..change };
    let it = asked(request(990, Change::Image(named)), []);
    assert_eq!(it.end().1, Some(Cause::DefinitionInvalid), "somebody asked for just this");
}

#[test]
fn an_image_of_another_registry_is_not_meant() {
    let elsewhere = Some(("999922223333".into(), "eu-west-1".into()));
    let here = Some(("111122223333".into(), "eu-west-1".into()));
    let Change::Image(change) = image("v2", 990).change else { panic!("an image") };
    for (home, starts) in [(elsewhere, 0), (here, 1)] {
        let source = ImageSource { home, ..source() };
        let it = asked(request(990, Change::Image(ImageChange { source, ..change.clone() })), []);
        assert_eq!(it.starts().len(), starts);
    }
}

#[test]
fn a_tag_alone_is_for_the_only_container_or_for_none() {
    let source = ImageSource { repository: None, home: None, container: None };
    let Change::Image(change) = image_of("v2", None, None, 990).change else { panic!("an image") };
    let wish = request(990, Change::Image(ImageChange { source, ..change }));
    assert_eq!(asked(wish.clone(), []).ordered_image().as_deref(), Some("v2"));
    let mut two = revision(1, "v1");
    two.images.insert("proxy".into(), "proxy:1".parse().unwrap());
    let it = asked_at_rest(wish, two, None);
    assert_eq!((it.starts().len(), it.end().1), (0, Some(Cause::DefinitionInvalid)));
}

#[test]
fn a_digest_that_runs_already_is_not_deployed_again() {
    for request in [image("v1", 990), followed("v1", Some(digest("1")), 990)] {
        let it = asked_at_rest(request, revision(1, "v1"), Some(digest("1")));
        is_settled_as(&it, Outcome::AlreadyRunning, "api:1 runs it already");
    }
}

#[test]
fn another_digest_under_the_same_tag_is_deployed() {
    for request in [image("v1", 990), followed("v1", Some(digest("1")), 990)] {
        let it = asked_at_rest(request, revision(1, "v1"), Some(digest("0")));
        assert_eq!(it.starts().len(), 1);
    }
}

#[test]
fn what_was_asked_for_by_force_is_deployed_although_it_runs() {
    let Change::Image(change) = image("v1", 990).change else { panic!("an image") };
    let forced = request(990, Change::Image(ImageChange { force: true, ..change }));
    assert_eq!(asked_at_rest(forced, revision(1, "v1"), Some(digest("1"))).starts().len(), 1);
}

#[test]
fn a_digest_that_is_not_known_to_run_is_deployed() {
    for request in [image("v1", 990), followed("v1", Some(digest("1")), 990)] {
        assert_eq!(asked_at_rest(request, revision(1, "v1"), None).starts().len(), 1);
    }
}

#[test]
fn freshness_is_carried_by_any_rollout_that_is_a_second_later() {
    let it = asked(restart(990), [succeeded(991, revision(1, "v1"))]);
    is_settled_as(&it, Outcome::AlreadyRunning, "ecs-svc/x, created at");
    let it = asked(restart(990), [succeeded(990, revision(1, "v1"))]);
    assert_eq!(it.starts().len(), 1, "it may be from before the change");
}

#[test]
fn an_image_is_carried_only_by_a_rollout_that_has_it() {
    let it = asked(image("v2", 990), [succeeded(995, marked(2, "v2", 990))]);
    is_settled_as(&it, Outcome::Succeeded, "before this process saw it");
    let it = asked(image("v2", 990), [succeeded(995, revision(1, "v1"))]);
    assert_eq!(it.ordered_image().as_deref(), Some("v2"));
}

#[test]
fn an_unknown_digest_is_not_a_different_one() {
    let refreshed = Rollout { previous: Some(revision(2, "v2")), ..succeeded(995, revision(2, "v2")) };
    let with = |letter| Rollout { digests: [("web".into(), digest(letter))].into(), ..refreshed.clone() };
    is_settled_as(&asked(image("v2", 990), [refreshed.clone()]), Outcome::AlreadyRunning, "carries it");
    is_settled_as(&asked(image("v2", 990), [with("2")]), Outcome::AlreadyRunning, "carries it");
    assert_eq!(asked(image("v2", 990), [with("3")]).starts().len(), 1, "the tag meant something else");
}

#[test]
fn a_revision_that_we_made_for_it_has_the_image_whatever_its_digest_is_called() {
    let child = [("web".into(), digest("c"))].into();
    let it = asked(image("v2", 990), [Rollout { digests: child, ..succeeded(995, marked(2, "v2", 990)) }]);
    is_settled_as(&it, Outcome::Succeeded, "digest unverified");
}

#[test]
fn a_carrier_in_progress_is_adopted() {
    let mut it = asked(image("v2", 990), [rollout("x", 995, marked(2, "v2", 990))]);
    assert_eq!((it.starts().len(), it.outcomes().len()), (0, 0));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.end().0, Outcome::Succeeded);
    assert!(it.end().2.contains("adopted in progress: a process before this one"), "{}", it.end().2);
}

#[test]
fn after_a_crash_our_own_rollout_is_adopted() {
    let mut it = asked(image("v2", 990), []);
    it.crash();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Succeeded]));
    assert_eq!(it.deletions(), [[2]]);
}

#[test]
fn the_same_event_after_its_success_starts_nothing() {
    for wish in [image("v2", 990), restart(990), followed("v1", None, 990)] {
        let mut it = asked(wish.clone(), []);
        it.rollout_is(RolloutState::Succeeded);
        it.receive("m2", [wish]);
        it.pass(6);
        assert_eq!(
            (it.starts().len(), it.outcomes()),
            (1, vec![Outcome::Succeeded, Outcome::AlreadyRunning])
        );
    }
}

#[test]
fn what_failed_is_set_aside_and_not_started_again() {
    let failures = [
        (RolloutState::Failed, Outcome::Failed),
        (RolloutState::RolledBack, Outcome::RolledBack),
        (RolloutState::RollbackFailed, Outcome::Failed),
    ];
    for (state, outcome) in failures {
        let it = asked(image("v2", 990), [ended(state, 995, marked(2, "v2", 990))]);
        assert_eq!((it.starts().len(), it.outcomes()), (0, vec![outcome]));
        assert_eq!((it.letters().len(), it.settled()), (1, vec![("m1", SettledBy::SetAside)]));
    }
}

#[test]
fn a_failed_carrier_is_looked_at_again_for_its_cause() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![ended(RolloutState::Failed, 995, marked(2, "v2", 990))];
    let task = stopped_task("TaskFailedToStart", "CannotPullContainerError: not found");
    it.scene().stopped = vec![("ecs-svc/x".into(), task)];
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let evidence: Vec<bool> = it.looks().iter().map(|order| order.evidence).collect();
    assert_eq!((evidence, it.end().1), (vec![false, true], Some(Cause::ImagePull)));
    assert_eq!(it.ended()[0].evidence.stopped_tasks.len(), 1);
}

#[test]
fn a_carrier_that_succeeded_outweighs_one_that_failed() {
    let (bad, good) =
        (ended(RolloutState::RolledBack, 993, revision(1, "v1")), succeeded(992, revision(1, "v1")));
    is_settled_as(&asked(restart(990), [bad, good]), Outcome::AlreadyRunning, "carries it");
}

#[test]
fn a_rollout_that_was_stopped_carries_nothing() {
    let it = asked(restart(990), [ended(RolloutState::Stopped, 995, revision(1, "v1"))]);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn an_older_image_gives_way_to_one_that_runs_by_our_mark() {
    let it = asked_at_rest(image("v2", 990), marked(3, "v3", 995), None);
    is_settled_as(&it, Outcome::Superseded, "container web has an image asked for at");
    let it = asked_at_rest(image("v4", 996), marked(3, "v3", 995), None);
    assert_eq!(it.ordered_image().as_deref(), Some("v4"));
}

#[test]
fn an_older_image_gives_way_to_a_definition_that_was_asked_for_since() {
    let it = asked_at_rest(image("v2", 990), moved_to(3, "v3", 995), None);
    is_settled_as(&it, Outcome::Superseded, "api:3 comes of a definition asked for at");
}

#[test]
fn an_older_definition_gives_way_to_newer_content() {
    for runs in [marked(3, "v3", 995), moved_to(3, "v3", 995)] {
        let mut it = Bench::new();
        *it.scene() = ecs::at_rest(runs);
        it.scene().wanted = Some(Ok(revision(2, "v2")));
        it.receive("m1", [definition("api:2", 990)]);
        it.pass(6);
        assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::Superseded]));
    }
}

#[test]
fn content_gives_way_to_what_somebody_moved_the_service_to_since() {
    let it = asked(image("v2", 990), [succeeded(995, revision(7, "hotfix"))]);
    is_settled_as(&it, Outcome::Superseded, "the service was moved to api:7 at");
    let it = asked(image("v2", 990), [succeeded(980, revision(7, "hotfix"))]);
    assert_eq!(it.starts().len(), 1, "it was moved before");
}

#[test]
fn somebodys_move_that_was_rolled_back_decides_nothing() {
    let it = asked(image("v2", 990), [ended(RolloutState::RolledBack, 995, revision(7, "hotfix"))]);
    assert_eq!(it.ordered_image().as_deref(), Some("v2"));
}

#[test]
fn a_refresh_by_somebody_supersedes_no_content() {
    let it = asked(image("v2", 990), [succeeded(995, revision(1, "v1"))]);
    assert_eq!((it.starts().len(), it.outcomes().len()), (1, 0));
}

#[test]
fn a_tag_of_higher_rank_that_runs_supersedes_a_later_push_of_a_lower_one() {
    let push = |tag| image_of(tag, Some(digest("a")), Some("semver:*"), 990);
    let it = asked_at_rest(push("1.9.0"), revision(1, "1.10.0"), None);
    is_settled_as(&it, Outcome::Superseded, "1.10.0 ranks above 1.9.0 by semver:*");
    let it = asked_at_rest(push("1.11.0"), marked(1, "1.10.0", 995), None);
    assert_eq!(it.starts().len(), 1, "a higher rank passes an older mark");
}

#[test]
fn content_waits_for_a_rollout_that_would_supersede_it() {
    let mut it = asked(image("v2", 990), [rollout("x", 995, revision(7, "hotfix"))]);
    it.pass(60);
    assert_eq!((it.starts().len(), it.outcomes().len()), (0, 0));
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn a_definition_that_cannot_be_had_fails_at_once() {
    let mut it = Bench::new();
    it.scene().wanted = Some(Err("there is no task definition api:9".into()));
    it.receive("m1", [definition("api:9", 990)]);
    it.pass(6);
    let (outcome, cause, reason) = it.end();
    assert_eq!((it.starts().len(), outcome, cause), (0, Outcome::Failed, Some(Cause::DefinitionInvalid)));
    assert_eq!(reason, "there is no task definition api:9");
    assert_eq!(it.settled(), [("m1", SettledBy::SetAside)]);
}

#[test]
fn a_definition_of_another_account_or_region_is_not_taken_for_ours_of_the_same_name() {
    for place in ["us-east-1:999999999999", "us-east-1:111122223333", "eu-west-1:999999999999"] {
        let mut it = Bench::new();
        it.scene().wanted = Some(Ok(revision(2, "v2")));
        it.receive("m1", [definition(&format!("arn:aws:ecs:{place}:task-definition/api:2"), 990)]);
        it.pass(6);
        let (outcome, cause, reason) = it.end();
        assert_eq!((it.starts().len(), outcome, cause), (0, Outcome::Failed, Some(Cause::DefinitionInvalid)));
        assert!(reason.starts_with("definition api:2 was registered in "), "{reason}");
        assert_eq!(it.settled(), [("m1", SettledBy::SetAside)]);
    }
}

#[test]
fn without_any_definition_of_the_family_every_kind_of_request_fails() {
    for wish in [image("v2", 990), restart(990), followed("v1", None, 990)] {
        let mut it = Bench::new();
        it.scene().base = Err("no task definitions found for family api".into());
        it.receive("m1", [wish]);
        it.pass(6);
        let end = (
            Outcome::Failed,
            Some(Cause::DefinitionInvalid),
            "no task definitions found for family api".into(),
        );
        assert_eq!((it.starts().len(), it.end()), (0, end));
    }
}

#[test]
fn a_definition_that_was_asked_for_needs_no_other_to_start_from() {
    let mut it = Bench::new();
    it.scene().base = Err("no task definitions found for family api".into());
    it.scene().wanted = Some(Ok(revision(2, "v2")));
    it.receive("m1", [definition("api:2", 990)]);
    it.pass(6);
    assert_eq!(it.ordered_base(), "api:2");
}

#[test]
fn a_definition_is_carried_by_a_rollout_of_it() {
    let mut it = Bench::new();
    it.scene().wanted = Some(Ok(revision(2, "v2")));
    it.scene().rollouts = vec![succeeded(995, revision(2, "v2"))];
    it.receive("m1", [definition("api:2", 990)]);
    it.pass(6);
    is_settled_as(&it, Outcome::AlreadyRunning, "carries it");
}

#[test]
fn a_definition_that_runs_since_before_it_was_asked_for_is_deployed_again() {
    let mut it = Bench::new();
    it.scene().wanted = Some(Ok(revision(1, "v1")));
    it.receive("m1", [definition("api:1", 990)]);
    it.pass(6);
    assert_eq!(it.ordered_base(), "api:1");
}

#[test]
fn a_replay_tries_again_what_failed_before_it() {
    let failed = ended(RolloutState::RolledBack, 992, marked(2, "v2", 990));
    let it = asked(replayed(1000, image("v2", 990)), [failed]);
    assert_eq!(it.ordered_image().as_deref(), Some("v2"));
}

#[test]
fn a_replay_never_overwrites_newer_content() {
    let mut it = Bench::new();
    *it.scene() = ecs::at_rest(marked(3, "v3", 995));
    it.scene().rollouts = vec![succeeded(996, marked(3, "v3", 995))];
    it.receive("m1", [replayed(1000, image("v2", 990))]);
    it.pass(6);
    is_settled_as(&it, Outcome::Superseded, "container web has an image asked for at");
}

#[test]
fn nothing_is_started_while_ecs_goes_back_from_a_rollout_that_it_no_longer_lists() {
    let mut it = Bench::new();
    it.scene().going_back = true;
    it.receive("m1", [restart(990)]);
    it.pass(60);
    assert_eq!(it.starts().len(), 0);
    it.scene().going_back = false;
    it.pass(4);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn an_image_that_runs_is_kept_through_an_older_definition() {
    let mut it = Bench::new();
    let runs = revision(1, "v1");
    it.scene().running = Some(Running {
        definition: runs,
        digests: [("web".into(), digest("1"))].into(),
        since: Some(at(100)),
    });
    it.scene().wanted = Some(Ok(revision(2, "v0")));
    it.receive("m1", [definition("api:2", 990)]);
    it.receive("m2", [image("v1", 995)]);
    it.pass(6);
    assert_eq!((it.ordered_base().as_str(), it.ordered_image().as_deref()), ("api:2", Some("v1")));
}

#[test]
fn a_family_without_a_revision_means_its_newest() {
    let mut it = Bench::new();
    it.scene().wanted = Some(Ok(revision(12, "v12")));
    it.receive("m1", [definition("api", 990)]);
    it.pass(6);
    assert_eq!(it.looks()[0].wanted.as_ref().map(ToString::to_string).as_deref(), Some("api"));
    assert_eq!(it.ordered_base(), "api:12");
}

#[test]
fn a_known_digest_tells_a_carrier_even_within_the_second_of_the_push() {
    let with = |letter| Rollout {
        digests: [("web".into(), digest(letter))].into(),
        ..succeeded(990, revision(1, "v1"))
    };
    let push = followed("v1", Some(digest("1")), 990);
    is_settled_as(&asked(push.clone(), [with("1")]), Outcome::AlreadyRunning, "carries it");
    assert_eq!(asked(push, [with("0")]).starts().len(), 1);
}

#[test]
fn what_runs_is_no_answer_while_another_rollout_may_replace_it() {
    for wish in [image("v1", 990), followed("v1", Some(digest("1")), 990)] {
        let mut it = Bench::new();
        let digests = [("web".into(), digest("1"))].into();
        it.scene().running = Some(Running { definition: revision(1, "v1"), digests, since: Some(at(100)) });
        it.scene().rollouts = vec![rollout("x", 985, revision(7, "v0"))];
        it.receive("m1", [wish]);
        it.pass(30);
        assert_eq!((it.outcomes(), it.starts().len()), (vec![], 0));
    }
}

#[test]
fn a_move_within_the_second_of_the_push_may_have_come_before_it() {
    let it = asked(image("v2", 990), [succeeded(990, revision(7, "hotfix"))]);
    assert_eq!(it.ordered_image().as_deref(), Some("v2"));
}

#[test]
fn somebodys_rollout_of_just_the_image_that_is_asked_for_is_adopted() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![rollout("x", 995, revision(2, "v2"))];
    it.receive("m1", [image("v2", 990)]);
    it.pass(10);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::Succeeded]));
    assert!(it.end().2.contains("who began it is not known"), "{}", it.end().2);
}

#[test]
fn a_rollout_of_ours_that_was_complete_before_anybody_saw_it_has_succeeded_and_is_told_once() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let wanted = it.starts()[0].marks.clone();
    it.crash();
    it.rollout_is(RolloutState::Succeeded);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Succeeded]));
    assert!(it.end().2.contains("complete before this process saw it"), "{}", it.end().2);
    assert_eq!(it.ended()[0].id, wanted.deployment.unwrap());
    it.receive("m1 again", [image("v2", 990)]);
    it.pass(6);
    assert_eq!(it.outcomes(), [Outcome::Succeeded, Outcome::AlreadyRunning]);
}

#[test]
fn what_was_complete_and_gave_way_before_anybody_saw_it_is_not_told_as_succeeded() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.crash();
    ecs::turn_to(it.scene(), RolloutState::Succeeded);
    it.scene().rollouts[0].primary = false;
    let ours = it.scene().rollouts[0].definition.clone();
    let newer = Rollout { created_at: it.wall(), ..rollout("theirs", 0, ours) };
    it.scene().rollouts.insert(0, newer);
    ecs::turn_to(it.scene(), RolloutState::Failed);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::AlreadyRunning]));
}
