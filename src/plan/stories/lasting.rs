//! What was brought lasts under whatever name it is kept: going back names an image by its digest.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{ContainerName, Outcome, Rollout, RolloutState, Running};

fn runs(letter: &str) -> BTreeMap<ContainerName, Digest> {
    [("web".into(), digest(letter))].into()
}

/// The rollout of this definition, with that digest.
fn done(name: &str, created: i64, definition: &DefinitionView, letter: &str) -> Rollout {
    let state = RolloutState::Succeeded;
    Rollout { primary: false, state, digests: runs(letter), ..rollout(name, created, definition.clone()) }
}

/// The same definition with its image pinned to digest 1, as we go back to it.
fn pinned(good: &DefinitionView, tag: &str) -> DefinitionView {
    let mut pinned = DefinitionView { id: "api:3".parse().unwrap(), ..good.clone() };
    let image = pinned.images[&"web".into()].with_digest(digest("1"));
    pinned.images.insert("web".into(), image);
    pinned.marks.follows.insert("web".into(), tag.into());
    pinned.marks.deployment = Some("d-9".into());
    pinned
}

/// What comes of a message that is received once more, where ECS shows these rollouts and the newest of them runs.
fn once_more(asked: Request, wanted: &DefinitionView, mut rollouts: Vec<Rollout>) -> (Vec<Outcome>, usize) {
    let mut it = Bench::new();
    rollouts[0].primary = true;
    let (definition, digests) = (rollouts[0].definition.clone(), rollouts[0].digests.clone());
    *it.scene() = ecs::at_rest(definition.clone());
    it.scene().running = Some(Running { definition, digests, since: Some(rollouts[0].created_at) });
    it.scene().wanted = Some(Ok(wanted.clone()));
    it.scene().rollouts = rollouts;
    it.receive("once more", [asked]);
    it.pass(10);
    (it.outcomes(), it.starts().len())
}

/// `good` was brought at 905, what was rolled out of it at 950 failed, and at 960 we went back to it, pinned.
fn gone_back(asked: Request, good: &DefinitionView, tag: &str) -> (Vec<Outcome>, usize) {
    let failed = Rollout { state: RolloutState::Failed, ..done("failed", 950, good, "2") };
    let back = done("back", 960, &pinned(good, tag), "1");
    once_more(asked, good, vec![back, failed, done("first", 905, good, "1")])
}

#[test]
fn a_definition_lasts_through_the_rollback_of_a_push_of_its_tag() {
    let good = moved_to(2, "latest", 900);
    let end = gone_back(definition("api:2", 900), &good, "latest");
    assert_eq!(end, (vec![Outcome::AlreadyRunning], 0));
}

#[test]
fn an_image_lasts_through_a_rollback_whatever_its_digest_is_called() {
    let good = marked(2, "v1", 900);
    for digest in [Some(digest("8")), None, Some(digest("1"))] {
        let end = gone_back(image_of("v1", digest, Some("newest"), 900), &good, "v1");
        assert_eq!(end, (vec![Outcome::AlreadyRunning], 0));
    }
}

#[test]
fn a_definition_lasts_through_the_push_that_names_its_tag_again() {
    let good = moved_to(2, "latest", 900);
    let mut next = DefinitionView { id: "api:4".parse().unwrap(), ..good.clone() };
    next.marks.deployment = Some("d-10".into());
    let rollouts = vec![
        done("push", 970, &next, "3"),
        done("back", 960, &pinned(&good, "latest"), "1"),
        done("first", 905, &good, "1"),
    ];
    let end = once_more(definition("api:2", 900), &good, rollouts);
    assert_eq!(end, (vec![Outcome::AlreadyRunning], 0));
}

/// What we made of another revision for an image that was asked for at this second, beside a sidecar.
fn brought(number: u32, tag: &str, version: i64) -> DefinitionView {
    let sidecar = ("side".into(), "shop/side:1".parse().unwrap());
    let mut made = marked(number, tag, version);
    made.images.extend([sidecar]);
    made
}

#[test]
fn a_definition_that_somebody_moved_to_lasts_through_newer_images() {
    let theirs = DefinitionView { marks: Marks::default(), ..brought(2, "v0", 0) };
    let end = |newer: &[DefinitionView]| {
        let mut rollouts = vec![done("theirs", 905, &theirs, "0")];
        rollouts
            .extend((950..).zip(newer).map(|(second, it)| done(&format!("at-{second}"), second, it, "1")));
        rollouts.reverse();
        once_more(definition("api:2", 900), &theirs, rollouts)
    };
    let carried = (vec![Outcome::AlreadyRunning], 0);
    assert_eq!(end(&[brought(3, "v1", 940)]), carried);
    assert_eq!(end(&[brought(3, "v1", 940), brought(4, "v2", 945)]), carried, "one of the other");

    let mut other = brought(3, "v1", 940);
    other.images.insert("side".into(), "shop/side:2".parse().unwrap());
    assert_eq!(end(&[other]).1, 1, "made of another one");
    assert_eq!(end(&[brought(3, "v1", 890)]).1, 1, "for an image that came late");
}
