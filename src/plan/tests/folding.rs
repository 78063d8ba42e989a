//! Many requests become one deployment.

use std::time::Duration;

use crate::domain::{Change, ImageReference, Marks, RolloutState, TagPolicy};
use crate::plan::testing::*;

fn image(text: &str) -> ImageReference {
    text.parse().expect("valid")
}

#[test]
fn twenty_parameters_become_one_rollout() {
    let mut story = Story::new();
    let mut deleted = 0;
    for number in 0..20 {
        story.receive(number, vec![with(restart(10 + number), |it| it.quiet = Duration::from_secs(5))]);
        deleted += story.deleted().len();
        assert!(story.look().is_none());
    }
    assert_eq!(deleted, 19, "each gives way to a newer one");
    story.sleep().looked(look(100, Vec::new()));
    assert_eq!(story.planner.deployments()[0].triggers.len(), 20);
    assert!(story.start().is_some());
    assert_eq!(story.planner.held(), 20, "until the deletions are answered");
}

#[test]
fn two_tags_of_one_digest_become_one_rollout_where_tags_are_followed() {
    let mut story = Story::new();
    let quiet = |request| with(request, |it| it.quiet = Duration::from_secs(5));
    story.receive(1, vec![quiet(push(10, "latest", "sha256:new"))]);
    story.receive(2, vec![quiet(push(10, "abc123", "sha256:new"))]);
    story.sleep().looked(look(100, Vec::new()));
    assert!(story.start().is_some());
    assert_eq!(story.deleted(), [2], "the running definition names another tag");
}

#[test]
fn two_tags_of_one_digest_become_one_rollout_where_they_are_pinned() {
    let mut one = pin_change("shop/web", "v2");
    one.digest = Some(digest("same"));
    let mut other = pin_change("shop/web", "abc123");
    other.digest = Some(digest("same"));
    let mut story = Story::new();
    story.rolling_out(ask(10, Change::Image(one)), 101, marked(view(2, "v2"), 10));
    story.receive(2, vec![ask(10, Change::Image(other))]);
    assert!(story.look().is_none(), "it waits for the rollout");
    let now = view(2, "v2");
    let done = running(
        look(102, vec![rollout(101, marked(now.clone(), 10), RolloutState::Succeeded)]),
        marked(now, 10),
        "same",
    );
    story.judged(101, done.clone());
    assert_eq!(story.deleted(), [1]);
    story.looked(done);
    assert_eq!(story.deleted(), [2], "it runs already");
    assert!(story.start().is_none());
}

#[test]
fn the_newer_image_wins_in_whatever_order_they_arrive() {
    for order in [[10, 20], [20, 10]] {
        let mut story = Story::new();
        story.receive(order[0], vec![pin(order[0], &format!("v{}", order[0]))]);
        story.receive(order[1], vec![pin(order[1], &format!("v{}", order[1]))]);
        assert_eq!(story.deleted(), [10]);
        story.looked(look(100, Vec::new()));
        let order = story.start().expect("it is started");
        assert_eq!(order.edits[&"web".into()], image("shop/web:v20"));
        assert_eq!(order.marks.versions[&"web".into()], at(20));
    }
}

#[test]
fn a_tag_policy_ranks_before_the_time_of_the_push() {
    let policy: TagPolicy = "semver:^2".parse().expect("valid");
    let ranked = |seconds, tag: &str| {
        let mut change = pin_change("shop/web", tag);
        change.policy = Some(policy.clone());
        ask(seconds, Change::Image(change))
    };
    let mut story = Story::new();
    story.receive(1, vec![ranked(10, "2.10.0")]).receive(2, vec![ranked(20, "2.9.9")]);
    assert_eq!(story.deleted(), [2]);
    story.looked(look(100, Vec::new()));
    assert_eq!(story.start().expect("started").edits[&"web".into()], image("shop/web:2.10.0"));
}

#[test]
fn what_was_named_on_purpose_ranks_by_its_time_alone() {
    let mut on_purpose = pin_change("shop/web", "2.0.0");
    on_purpose.policy = None;
    let mut story = Story::new();
    story.receive(1, vec![pin(10, "2.10.0")]).receive(2, vec![ask(20, Change::Image(on_purpose))]);
    assert_eq!(story.deleted(), [1]);
}

#[test]
fn a_definition_replaces_the_images_before_it_and_is_edited_by_those_after() {
    let mut story = Story::new();
    story.receive(1, vec![pin(10, "v1")]).receive(2, vec![definition(20, "f:4")]);
    assert_eq!(story.deleted(), [1]);
    story.receive(3, vec![pin(30, "v3")]);
    let mut seen = look(100, Vec::new());
    seen.wanted = Some(Ok(view(4, "v0")));
    story.looked(look(100, Vec::new()));
    assert!(story.look().is_some_and(|order| order.wanted.is_some()), "the definition joined since");
    story.looked(seen);
    let order = story.start().expect("it is started");
    assert_eq!(order.base.to_string(), "f:4");
    assert_eq!(order.edits[&"web".into()], image("shop/web:v3"));
    assert_eq!((order.marks.content, order.marks.versions[&"web".into()]), (Some(at(20)), at(30)));
}

#[test]
fn a_refresh_that_rides_along_does_not_make_a_definition_newer() {
    let mut story = Story::new();
    story.receive(1, vec![definition(20, "f:4")]).receive(2, vec![restart(40)]);
    let mut seen = look(100, Vec::new());
    seen.wanted = Some(Ok(view(4, "v0")));
    story.looked(seen);
    assert_eq!(story.start().expect("started").marks.content, Some(at(20)));
}

#[test]
fn an_image_asked_for_since_is_kept_through_a_definition_that_comes_late() {
    let mut story = Story::new();
    story.receive(1, vec![definition(20, "f:4")]);
    let mut seen = running(look(100, Vec::new()), marked(view(3, "v3"), 30), "v3");
    seen.wanted = Some(Ok(view(4, "v0")));
    story.looked(seen);
    let order = story.start().expect("it is started");
    assert_eq!(
        (order.base.to_string().as_str(), &order.edits[&"web".into()]),
        ("f:4", &image("shop/web:v3"))
    );
}

#[test]
fn of_equal_messages_the_later_received_is_kept() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]).receive(2, vec![restart(10)]);
    assert_eq!(story.deleted(), [1]);
}

#[test]
fn images_of_two_containers_are_deployed_together() {
    let mut story = Story::new();
    story.receive(1, vec![pin(10, "v1")]);
    story.receive(2, vec![ask(20, Change::Image(pin_change("shop/side", "v2")))]);
    story.looked(look(100, Vec::new()));
    let order = story.start().expect("it is started");
    assert_eq!(order.edits.len(), 2);
    assert_eq!(order.marks.versions.len(), 2);
}

#[test]
fn the_same_deployment_has_the_same_id_after_a_crash() {
    let id = || {
        let mut story = Story::new();
        story.receive(1, vec![restart(10)]).receive(2, vec![pin(20, "v2")]).looked(look(100, Vec::new()));
        story.start().expect("started").marks.deployment.clone()
    };
    let swapped = {
        let mut story = Story::new();
        story.receive(7, vec![pin(20, "v2")]).receive(8, vec![restart(10)]).looked(look(120, Vec::new()));
        assert!(story.look().is_some_and(|order| order.since == at(10)), "the older one joined since");
        story.looked(look(120, Vec::new()));
        story.start().expect("started").marks.deployment.clone()
    };
    assert_eq!(id(), swapped);
    assert_ne!(id(), Marks::default().deployment);
}
