//! What a reading of a service shows of a target, for people.

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{
    ContainerName, DefinitionId, DefinitionReading, DefinitionView, Digest, Holds, ImageReference,
    LiveDefinition, LiveState, RolloutId, RolloutRecord, RunningImage, RunningRecord, ServiceReading, Sight,
    TargetId, Timestamp,
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
    let rollout = under_way(&reading.live).map(|(live, id, since)| {
        // New tasks of what runs: whoever registered it need not have asked for them.
        let is_new = running.as_ref().is_some_and(|running| running.definition != live.definition);
        let by = view(&live.definition).and_then(|it| it.marks.deployment_of(&reading.target));
        Box::new(RolloutRecord {
            id: id.clone(),
            definition: live.definition.clone(),
            since,
            by: by.filter(|_| is_new).cloned(),
        })
    });
    let hold = holds(reading).record().map(Box::new);
    Sight { target: reading.target.clone(), read_at: reading.read_at, running, rollout, hold }
}

/// Whether this reading shows something else than is known, so that the service is worth reading whole.
pub fn is_news(reading: &ServiceReading, known: &Sight) -> bool {
    let Sight { running, rollout, hold, .. } = sight(reading, &[], known.running.as_ref());
    let runs = |it: &Option<RunningRecord>| it.as_ref().map(|it| (it.definition.clone(), it.since));
    let goes_on = |it: &Option<Box<RolloutRecord>>| it.as_ref().map(|it| it.id.clone());
    runs(&running) != runs(&known.running)
        || goes_on(&rollout) != goes_on(&known.rollout)
        || hold != known.hold
}

/// What the tags of the service say of what keeps it back.
pub fn holds(reading: &ServiceReading) -> Holds {
    let tags = reading.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Holds::from_tags(tags).as_of(reading.read_at)
}

/// What revisions of services run, by their ARNs: their definitions, and the digest of each container.
pub type Digests = BTreeMap<Arc<str>, (DefinitionId, BTreeMap<ContainerName, Digest>)>;

/// The revisions that would tell which digests run, where that is not known. While several rollouts have tasks, none does.
pub fn lacking<'a>(reading: &'a ServiceReading, running: Option<&RunningRecord>) -> &'a [Arc<str>] {
    let is_settled = matches!(&reading.live[..], [one] if one.state == LiveState::Complete);
    let lacks = running.is_some_and(|it| it.images.iter().any(|image| image.digest.is_none()));
    if is_settled && lacks { &reading.revisions } else { &[] }
}

/// The same, with what these revisions tell.
pub fn with_digests(reading: &ServiceReading, running: &RunningRecord, known: &Digests) -> RunningRecord {
    let told = reading.revisions.iter().filter_map(|revision| known.get(revision));
    let told = told.filter(|(definition, _)| *definition == running.definition);
    let told: BTreeMap<&ContainerName, &Digest> = told.flat_map(|(_, digests)| digests).collect();
    let image = |image: &RunningImage| {
        let digest = image.digest.as_ref().or(told.get(&image.container).copied()).cloned();
        RunningImage { digest, ..image.clone() }
    };
    RunningRecord { images: running.images.iter().map(image).collect(), ..running.clone() }
}

/// What the last completed rollout left running: the primary one's where it is complete, else that of one that still drains.
fn last_good(live: &[LiveDefinition]) -> Option<&LiveDefinition> {
    let primary = live.iter().find(|it| it.primary && it.state == LiveState::Complete);
    let drains = |is_good: fn(&LiveState) -> bool| live.iter().find(|it| !it.primary && is_good(&it.state));
    primary
        .or_else(|| drains(|state| *state == LiveState::Complete))
        .or_else(|| drains(|state| *state != LiveState::Failed))
}

fn under_way(live: &[LiveDefinition]) -> Option<(&LiveDefinition, &RolloutId, Timestamp)> {
    live.iter().find_map(|it| match &it.state {
        LiveState::InProgress(id) if it.primary => Some((it, id, it.created_at?)),
        LiveState::InProgress(_) | LiveState::Complete | LiveState::Failed => None,
    })
}

/// What runs; its images are those of the record before, where that is of the same rollout, so that they are kept once. Another
/// rollout of the same definition may have found another image behind a tag.
fn record(
    target: &TargetId,
    live: &LiveDefinition,
    view: Option<&DefinitionView>,
    before: Option<&RunningRecord>,
) -> RunningRecord {
    let is_same = |it: &&RunningRecord| it.definition == live.definition && it.since == live.created_at;
    let same = before.filter(is_same).filter(|it| !it.images.is_empty());
    RunningRecord {
        definition: live.definition.clone(),
        images: same.map_or_else(|| view.map(images).unwrap_or_default(), |it| Arc::clone(&it.images)),
        since: live.created_at,
        by: match view {
            Some(view) => view.marks.deployment_of(target).cloned(),
            None => same.and_then(|it| it.by.clone()),
        },
    }
}

/// Only the image's own digest is known: the service does not tell which one ECS has found behind a tag.
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
    use crate::domain::Marks;

    fn target() -> TargetId {
        TargetId::new("111122223333".into(), "eu-west-1".into(), "shop".into(), "api".into())
    }

    fn live(definition: &str, at: i64, primary: bool, state: LiveState) -> LiveDefinition {
        let created_at = Some(Timestamp::from_millis(at * 1_000));
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
    fn since_when_something_runs_that_no_rollout_brought_is_not_known() {
        let others = LiveDefinition { created_at: None, ..complete("api:2", 20, true) };
        let first = see(vec![others.clone()], None);
        let running = first.running.as_ref().expect("it says what it runs");
        assert_eq!((running.definition.to_string().as_str(), running.since), ("api:2", None));
        let again = see(vec![others], first.running.as_ref());
        assert_eq!(again, first, "nothing is news");
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
    fn the_digests_that_run_are_those_of_the_revision_and_are_asked_for_once() {
        let digest = Digest::from("sha256:0a");
        let revision: Arc<str> = "arn:r1".into();
        let reading = |live: Vec<LiveDefinition>| ServiceReading {
            live,
            revisions: vec![Arc::clone(&revision)],
            ..ServiceReading::missing(target(), Timestamp::default())
        };
        let at_rest = reading(vec![complete("api:1", 10, true)]);
        let running = sight(&at_rest, &[definition("api:1")], None).running.unwrap();
        assert_eq!(lacking(&at_rest, Some(&running)), [Arc::clone(&revision)]);
        let under_way = reading(vec![going_on("api:2", 20), complete("api:1", 10, false)]);
        assert!(lacking(&under_way, Some(&running)).is_empty() && lacking(&at_rest, None).is_empty());

        let told = |id: &str| {
            let digests = [("web".into(), digest.clone())].into();
            Digests::from([(Arc::clone(&revision), (id.parse().unwrap(), digests))])
        };
        let other = with_digests(&at_rest, &running, &told("api:2"));
        assert_eq!(other, running, "it is of another definition");
        let known = with_digests(&at_rest, &running, &told("api:1"));
        assert_eq!(known.images[0].digest, Some(digest.clone()));
        assert!(lacking(&at_rest, Some(&known)).is_empty());
        let again = sight(&at_rest, &[definition("api:1")], Some(&known)).running.unwrap();
        assert_eq!(again, known, "the next reading has it, too");
        let renewed = reading(vec![complete("api:1", 30, true)]);
        let renewed = sight(&renewed, &[definition("api:1")], Some(&known)).running.unwrap();
        assert_eq!(renewed.images[0].digest, None, "its tag may mean something else by now");
    }

    #[test]
    fn a_reading_is_news_if_something_else_runs_or_is_rolled_out_or_keeps_the_target_back() {
        let reading = |live: Vec<LiveDefinition>, tags: &[(&str, &str)]| ServiceReading {
            live,
            tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            ..ServiceReading::missing(target(), Timestamp::default())
        };
        let known = see(vec![complete("api:12", 10, true)], None);
        let is_news = |live, tags: &[_]| is_news(&reading(live, tags), &known);
        assert!(!is_news(vec![complete("api:12", 10, true)], &[]));
        assert!(!is_news(vec![complete("api:12", 10, true)], &[("team", "shop")]));
        assert!(is_news(vec![complete("api:12", 10, true)], &[("lockkeeper:paused", "a freeze")]));
        assert!(is_news(vec![complete("api:12", 30, true)], &[]), "other tasks");
        assert!(is_news(vec![going_on("api:13", 30), complete("api:12", 10, false)], &[]));
    }

    #[test]
    fn the_images_of_what_runs_on_are_kept_once() {
        let first = see(vec![complete("api:1", 10, true)], None).running.unwrap();
        assert_eq!(first.images[0].image.to_string(), "shop/api:1");
        let second = see(vec![complete("api:1", 10, true)], Some(&first)).running.unwrap();
        assert!(Arc::ptr_eq(&first.images, &second.images));
        let unread = ServiceReading {
            live: vec![complete("api:2", 30, true)],
            ..ServiceReading::missing(target(), Timestamp::default())
        };
        let unread = sight(&unread, &[], Some(&second)).running.unwrap();
        assert_eq!((unread.definition.to_string().as_str(), unread.images.len()), ("api:2", 0));
    }
}
