//! What a reading of a service shows of a target, for people.

use std::sync::Arc;

use crate::domain::{
    ContainerName, DefinitionId, DefinitionReading, DefinitionView, Holds, ImageReference, LiveDefinition,
    LiveState, RolloutId, RolloutRecord, RunningImage, RunningRecord, ServiceReading, Sight, TargetId,
};

/// What this reading shows, as far as its definitions are known. `before` is what ran by the reading before it: while a rollout
/// goes on, ECS may not tell any more.
pub fn sight(
    reading: &ServiceReading,
    definitions: &[Arc<DefinitionReading>],
    before: Option<&RunningRecord>,
) -> Sight {
    let view = |id: &DefinitionId| definitions.iter().find(|it| it.view.id == *id).map(|it| &it.view);
    let running = match last_good(&reading.live) {
        Some(good) => Some(record(&reading.target, good, view(&good.definition), before)),
        None => before.cloned(),
    };
    let rollout = under_way(&reading.live).map(|(live, id)| {
        // New tasks of what runs: whoever registered it need not have asked for them.
        let is_new = running.as_ref().is_some_and(|running| running.definition != live.definition);
        let by = view(&live.definition).and_then(|it| it.marks.deployment_of(&reading.target));
        Box::new(RolloutRecord {
            id: id.clone(),
            definition: live.definition.clone(),
            since: live.created_at,
            by: by.filter(|_| is_new).cloned(),
        })
    });
    let hold = holds(reading).record().map(Box::new);
    Sight { target: reading.target.clone(), read_at: reading.read_at, running, rollout, hold }
}

/// What the tags of the service say of what keeps it back.
pub fn holds(reading: &ServiceReading) -> Holds {
    Holds::from_tags(reading.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// What the last completed rollout left running: the primary one's where it is complete, else that of one that still drains.
fn last_good(live: &[LiveDefinition]) -> Option<&LiveDefinition> {
    let primary = live.iter().find(|it| it.primary && it.state == LiveState::Complete);
    let drains = |is_good: fn(&LiveState) -> bool| live.iter().find(|it| !it.primary && is_good(&it.state));
    primary
        .or_else(|| drains(|state| *state == LiveState::Complete))
        .or_else(|| drains(|state| *state != LiveState::Failed))
}

fn under_way(live: &[LiveDefinition]) -> Option<(&LiveDefinition, &RolloutId)> {
    live.iter().find_map(|it| match &it.state {
        LiveState::InProgress(id) if it.primary => Some((it, id)),
        LiveState::InProgress(_) | LiveState::Complete | LiveState::Failed => None,
    })
}

/// What runs; its images are those of the record before, where it is the same, so that they are kept once.
fn record(
    target: &TargetId,
    live: &LiveDefinition,
    view: Option<&DefinitionView>,
    before: Option<&RunningRecord>,
) -> RunningRecord {
    let same = before.filter(|before| before.definition == live.definition && !before.images.is_empty());
    RunningRecord {
        definition: live.definition.clone(),
        images: same.map_or_else(|| view.map(images).unwrap_or_default(), |it| Arc::clone(&it.images)),
        since: Some(live.created_at),
        by: match view {
            Some(view) => view.marks.deployment_of(target).cloned(),
            None => same.and_then(|it| it.by.clone()),
        },
    }
}

/// Only the image's own digest is known: a reading does not tell which one ECS has found behind a tag.
fn images(view: &DefinitionView) -> Arc<[RunningImage]> {
    let image = |(container, image): (&ContainerName, &ImageReference)| RunningImage {
        container: container.clone(),
        image: image.clone(),
        digest: image.digest.clone(),
    };
    view.images.iter().map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Marks, Timestamp};

    fn target() -> TargetId {
        TargetId::new("111122223333".into(), "eu-west-1".into(), "shop".into(), "api".into())
    }

    fn live(definition: &str, at: i64, primary: bool, state: LiveState) -> LiveDefinition {
        let created_at = Timestamp::from_millis(at * 1_000);
        LiveDefinition { definition: definition.parse().unwrap(), created_at, primary, state }
    }

    fn going_on(definition: &str, at: i64) -> LiveDefinition {
        live(definition, at, true, LiveState::InProgress(format!("ecs-svc/{at}").into()))
    }

    fn complete(definition: &str, at: i64, primary: bool) -> LiveDefinition {
        live(definition, at, primary, LiveState::Complete)
    }

    /// As `api:1 by d-1`, with what is under way behind it.
    fn told(sight: &Sight) -> String {
        let by = |by: &Option<_>| by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        let running = sight.running.as_ref();
        let running = running.map_or("nothing".into(), |it| format!("{}{}", it.definition, by(&it.by)));
        let rollout = sight.rollout.as_ref();
        let rollout = rollout.map(|it| format!(", {} under way{}", it.definition, by(&it.by)));
        running + &rollout.unwrap_or_default()
    }

    /// Our revisions are those of two digits, each made by the deployment of its number.
    fn definition(id: &str) -> Arc<DefinitionReading> {
        let id: DefinitionId = id.parse().unwrap();
        let deployment = (id.revision >= 10).then(|| format!("d-{}", id.revision).as_str().into());
        let marks = Marks { deployment, target: Some(target()), ..Marks::default() };
        let images = [("web".into(), format!("shop/api:{}", id.revision).parse().unwrap())].into();
        Arc::new(DefinitionReading { view: DefinitionView { id, images, marks }, dependencies: Vec::new() })
    }

    fn see(live: Vec<LiveDefinition>, before: Option<&RunningRecord>) -> Sight {
        let read: Vec<_> = live.iter().map(|it| definition(&it.definition.to_string())).collect();
        let reading = ServiceReading { live, ..ServiceReading::missing(target(), Timestamp::default()) };
        sight(&reading, &read, before)
    }

    #[test]
    fn what_runs_is_what_the_last_completed_rollout_left() {
        for (live, shown) in [
            (vec![complete("api:2", 20, true)], "api:2"),
            (vec![complete("api:12", 20, true), complete("api:1", 10, false)], "api:12 by d-12"),
            (vec![going_on("api:2", 20), complete("api:1", 10, false)], "api:1, api:2 under way"),
            (
                vec![
                    going_on("api:3", 30),
                    live("api:2", 20, false, LiveState::InProgress("ecs-svc/2".into())),
                    complete("api:1", 10, false),
                ],
                "api:1, api:3 under way",
            ),
            (vec![live("api:2", 20, true, LiveState::Failed), complete("api:1", 10, false)], "api:1"),
            (vec![live("api:2", 20, true, LiveState::Failed)], "nothing"),
            (vec![], "nothing"),
        ] {
            assert_eq!(told(&see(live, None)), shown);
        }
    }

    #[test]
    fn what_ran_before_is_remembered_while_ecs_only_tells_of_the_rollout() {
        let before = see(vec![complete("api:1", 10, true)], None);
        let during = see(vec![going_on("api:2", 20)], before.running.as_ref());
        assert_eq!(told(&during), "api:1, api:2 under way");
        let after = see(vec![complete("api:2", 20, true)], during.running.as_ref());
        assert_eq!(told(&after), "api:2");
    }

    #[test]
    fn a_rollout_is_ours_if_it_brings_a_revision_of_ours() {
        let ours = see(vec![going_on("api:12", 20), complete("api:1", 10, false)], None);
        assert_eq!(told(&ours), "api:1, api:12 under way by d-12");
        let new_tasks = see(vec![going_on("api:12", 30), complete("api:12", 20, false)], None);
        assert_eq!(told(&new_tasks), "api:12 by d-12, api:12 under way", "nobody knows who asked for them");
    }

    #[test]
    fn the_images_of_what_runs_on_are_kept_once() {
        let first = see(vec![complete("api:1", 10, true)], None).running.unwrap();
        assert_eq!(first.images[0].image.to_string(), "shop/api:1");
        let second = see(vec![complete("api:1", 20, true)], Some(&first)).running.unwrap();
        assert!(Arc::ptr_eq(&first.images, &second.images) && second.since > first.since);
        let unread = ServiceReading {
            live: vec![complete("api:2", 30, true)],
            ..ServiceReading::missing(target(), Timestamp::default())
        };
        let unread = sight(&unread, &[], Some(&second)).running.unwrap();
        assert_eq!((unread.definition.to_string().as_str(), unread.images.len()), ("api:2", 0));
    }
}
