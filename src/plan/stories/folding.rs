//! Many requests become one deployment.

use super::*;
use crate::domain::{ContainerName, Digest, ImageSource, Outcome, RolloutState, Running, SettledBy};

fn semver(tag: &str, version: i64) -> Request {
    image_of(tag, None, Some("semver:*"), version)
}

/// Receives these one after the other, and lets their deployment start.
fn deploy(requests: impl IntoIterator<Item = Request>) -> Bench {
    let mut it = Bench::new();
    it.scene().wanted = Some(Ok(revision(2, "v1")));
    for (place, request) in requests.into_iter().enumerate() {
        it.receive(&format!("m{place}"), [request]);
    }
    it.pass(6);
    it
}

#[test]
fn twenty_parameters_become_one_rollout_and_nineteen_messages_are_settled_early() {
    let mut it = deploy((0..20).map(|n| restart(970 + n)));
    assert_eq!(it.starts().len(), 1);
    assert_eq!(it.settled().len(), 19);
    assert!(it.settled().iter().all(|(_, by)| *by == SettledBy::Newer));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Succeeded]);
    assert_eq!(it.settled().last(), Some(&("m19", SettledBy::Reality)));
    assert_eq!(it.planner.held(), 0);
}

#[test]
fn the_newest_of_twenty_is_kept_in_whatever_order_they_come() {
    let it = deploy((0..20).map(|n| restart(970 + (n * 7) % 20)));
    let kept: Vec<u64> = it.planner.hand_back().iter().map(|lease| lease.0).collect();
    assert_eq!(kept, [18], "989 came as the eighteenth");
}

#[test]
fn two_tags_of_one_digest_become_one_rollout() {
    let push = |tag| image_of(tag, Some(digest("a")), Some("newest"), 990);
    let mut it = deploy([push("v2"), push("latest")]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.starts().len(), 1);
    assert_eq!(it.settled(), [("m0", SettledBy::Newer), ("m1", SettledBy::Reality)]);
}

#[test]
fn tags_rank_by_semantic_version_whatever_came_last() {
    for order in [[("2.10.0", 980), ("2.9.0", 990)], [("2.9.0", 990), ("2.10.0", 980)]] {
        let it = deploy(order.map(|(tag, version)| semver(tag, version)));
        assert_eq!(it.ordered_image().as_deref(), Some("2.10.0"), "{order:?}");
        assert_eq!(it.settled().len(), 1, "the lower rank waits for nothing");
    }
}

#[test]
fn tags_rank_by_number_whatever_was_pushed_last() {
    let build = |tag, version| image_of(tag, None, Some(r"regex:^build-(?<number>\d+)$"), version);
    let it = deploy([build("build-10", 980), build("build-9", 990)]);
    assert_eq!(it.ordered_image().as_deref(), Some("build-10"));
}

#[test]
fn of_equal_ranks_the_later_version_wins_whatever_came_last() {
    let it = deploy([image("v3", 990), image("v2", 980)]);
    assert_eq!(it.ordered_image().as_deref(), Some("v3"));
    assert_eq!(it.settled(), [("m1", SettledBy::Newer)]);
}

#[test]
fn what_was_named_on_purpose_ranks_by_its_version_alone() {
    let it = deploy([semver("2.10.0", 980), image_of("2.9.0", None, None, 990)]);
    assert_eq!(it.ordered_image().as_deref(), Some("2.9.0"));
}

#[test]
fn a_definition_replaces_older_images() {
    let it = deploy([image("v2", 980), definition("api:2", 985)]);
    assert_eq!((it.starts().len(), it.ordered_base().as_str(), it.ordered_image()), (1, "api:2", None));
    assert_eq!(it.settled(), [("m0", SettledBy::Newer)]);
}

#[test]
fn an_image_that_came_before_the_definition_that_replaces_it_is_settled_all_the_same() {
    let it = deploy([definition("api:2", 985), image("v2", 980)]);
    assert_eq!((it.ordered_base().as_str(), it.ordered_image()), ("api:2", None));
    assert_eq!(it.settled(), [("m1", SettledBy::Newer)]);
}

#[test]
fn a_definition_keeps_newer_images() {
    let mut it = deploy([image("v2", 990), definition("api:2", 985)]);
    assert_eq!((it.ordered_base().as_str(), it.ordered_image().as_deref()), ("api:2", Some("v2")));
    let marks = it.starts()[0].marks.clone();
    assert_eq!((marks.content, marks.versions.get(&"web".into())), (Some(at(985)), Some(&at(990))));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.settled().len(), 2);
}

#[test]
fn the_later_of_two_definitions_is_deployed() {
    let it = deploy([definition("api:2", 985), definition("api:1", 980)]);
    assert_eq!((it.starts().len(), it.ordered_base().as_str()), (1, "api:2"));
}

#[test]
fn of_equal_messages_the_later_receipt_is_kept() {
    let mut it = Bench::new();
    it.receive_event("m1", "e1", [restart(990)]);
    it.receive_event("m2", "e1", [restart(990)]);
    assert_eq!(it.deletions(), [[1]]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.deletions()), (1, vec![vec![1], vec![2]]));
}

#[test]
fn a_message_for_two_targets_is_deleted_once_both_are_settled() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990), of("web", restart(990))]);
    it.pass(6);
    assert_eq!(it.starts().len(), 2);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes().len(), it.deletions().len()), (1, 0));
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Succeeded);
    it.pass(4);
    assert_eq!((it.outcomes().len(), it.deletions()), (2, vec![vec![1]]));
}

#[test]
fn a_message_that_is_newer_for_one_of_two_targets_is_still_owed_to_the_other() {
    let mut it = Bench::new();
    it.receive("m1", [restart(980), of("web", restart(980))]);
    it.receive("m2", [restart(990)]);
    assert_eq!(it.settled(), []);
    it.pass(6);
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Succeeded);
    it.pass(4);
    assert_eq!(it.settled(), [("m1", SettledBy::Reality)]);
}

#[test]
fn freshness_and_content_become_one_deployment() {
    let mut it = deploy([restart(980), image("v2", 990)]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.ordered_image().as_deref()), (1, Some("v2")));
    let [record] = it.ended()[..] else { panic!("one deployment") };
    assert_eq!(record.changes, ["new tasks", "image shop/api:v2"]);
    assert_eq!((record.requested_at, record.version), (at(980), at(990)));
    assert_eq!(it.settled(), [("m0", SettledBy::Reality), ("m1", SettledBy::Reality)]);
}

#[test]
fn freshness_is_not_settled_by_newer_content_that_runs_already() {
    let mut it = Bench::new();
    let digests = [("web".into(), digest("1"))].into();
    let definition = revision(1, "v1");
    it.scene().running = Some(Running { definition, digests, since: Some(at(100)) });
    it.receive("m1", [image("v1", 995)]);
    it.receive("m2", [restart(990)]);
    it.pass(6);
    assert_eq!(it.outcomes(), [Outcome::AlreadyRunning]);
    assert_eq!(it.settled(), [("m1", SettledBy::Reality)]);
    assert_eq!((it.starts().len(), it.ordered_image()), (1, None));
}

#[test]
fn images_of_two_containers_are_both_deployed() {
    let mut it = Bench::new();
    let mut both = revision(1, "v1");
    both.images.insert("proxy".into(), "registry.example/proxy:1".parse().unwrap());
    *it.scene() = ecs::at_rest(both);
    it.receive("m1", [image("v2", 990)]);
    let source =
        ImageSource { repository: Some("proxy".into()), home: None, container: Some("proxy".into()) };
    let Change::Image(web) = image("2", 995).change else { panic!("an image") };
    it.receive("m2", [request(995, Change::Image(ImageChange { source, ..web }))]);
    it.pass(6);
    let marks = &it.starts()[0].marks.versions;
    assert_eq!(
        marks.iter().collect::<Vec<_>>(),
        [(&ContainerName::from("proxy"), &at(995)), (&ContainerName::from("web"), &at(990))]
    );
    let images: Vec<String> = it.starts()[0].edits.values().map(ToString::to_string).collect();
    assert_eq!(images[0], "registry.example/proxy:2");
    assert!(images[1].ends_with("/shop/api:v2"), "{images:?}");
}

#[test]
fn a_pinned_digest_is_what_the_revision_names() {
    let Change::Image(pinned) = image("v2", 990).change else { panic!("an image") };
    let it = deploy([request(990, Change::Image(ImageChange { by_digest: true, ..pinned }))]);
    let image = it.starts()[0].edits[&ContainerName::from("web")].clone();
    assert_eq!((image.tag, image.digest), (None, Some(digest("2"))));
}

#[test]
fn a_record_tells_every_reason_up_to_a_hundred_oldest_first() {
    let mut it = deploy([restart(970), restart(980), restart(990)]);
    it.rollout_is(RolloutState::Succeeded);
    let events: Vec<&str> = it.ended()[0].triggers.iter().map(|it| it.event_id.as_str()).collect();
    assert_eq!(events, ["m0", "m1", "m2"]);
    let mut it = deploy((0..150).map(|_| restart(990)));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.ended()[0].triggers.len(), 100);
}

#[test]
fn the_same_deployment_has_the_same_id_after_a_crash() {
    let id = |first: Request, second: Request| deploy([first, second]).starts()[0].marks.deployment.clone();
    let one = id(restart(980), image("v2", 990));
    assert!(one.is_some());
    assert_eq!(one, id(image("v2", 990), restart(980)));
    assert_ne!(one, id(restart(981), image("v2", 990)));
    assert_ne!(one, id(restart(980), replayed(1000, image("v2", 990))));
}

#[test]
fn pushes_of_two_followed_tags_are_both_kept_until_the_look() {
    let push = |tag: &str, version| followed(tag, Some(Digest::from("sha256:x")), version);
    let it = deploy([push("v1", 980), push("other", 990), push("v1", 970)]);
    assert_eq!(it.settled(), [("m2", SettledBy::Newer), ("m1", SettledBy::NothingAsked)]);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn changes_are_told_in_the_order_in_which_they_were_asked_for() {
    let mut it = deploy([image("v2", 990), restart(980)]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.ended()[0].changes, ["new tasks", "image shop/api:v2"]);
}
