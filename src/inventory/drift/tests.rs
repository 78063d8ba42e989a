use super::*;
use crate::domain::{
    DefinitionId, Marks, Rollout, RolloutKey, RolloutState, ServiceState, TagPolicy, Tasks, TriggerSwitches,
};

const OLD: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";
const NEW: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000bb";
const CHILD: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000cc";

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

fn here() -> Place {
    Place { account: "111122223333".into(), region: "eu-west-1".into() }
}

/// A service that was rolled out after ten minutes, and runs the old image.
fn subject(image: &str, on_push: OnPush) -> Subject {
    let reference: ImageReference =
        format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/{image}").parse().unwrap();
    let web = || ContainerName::from("web");
    let repository = Dependency::Repository {
        registry: Some(here()),
        name: reference.repository.clone(),
        container: web(),
    };
    let parameter = Dependency::Parameter { place: here(), name: "/shop/KEY".into() };
    let secret = Dependency::Secret { place: here(), name: "shop/api-AbCd12".into() };
    let file = Dependency::File { bucket: "env".into(), key: "api.env".into() };
    Subject {
        target: "111122223333/eu-west-1/shop/api".parse().unwrap(),
        settings: Arc::new(TargetSettings { on_push, ..TargetSettings::named("api".into()) }),
        definition: DefinitionView {
            id: DefinitionId { family: "api".into(), revision: 7 },
            images: [(web(), reference)].into(),
            marks: Marks::default(),
        },
        dependencies: vec![repository, parameter, secret, file],
        digests: [(web(), OLD.into())].into(),
        read_at: at(60),
        newest_rollout: Some(at(10)),
    }
}

fn with(subject: Subject, change: impl FnOnce(&mut TargetSettings)) -> Subject {
    let mut settings = (*subject.settings).clone();
    change(&mut settings);
    Subject { settings: settings.into(), ..subject }
}

fn state(digest: &str, pushed: i64) -> TagState {
    TagState { digest: digest.into(), pushed_at: at(pushed), children: vec![] }
}

fn images(tags: &[(&str, TagState)]) -> Answers {
    let tags = tags.iter().map(|(tag, state)| ((*tag).into(), state.clone())).collect();
    Answers { images: [((here(), "api".into()), tags)].into(), ..Answers::default() }
}

fn found(subject: &Subject, answers: &Answers) -> Vec<Suspect> {
    suspects(subject, answers, &Memory::default(), LONGEST_GRACE)
}

fn tag(trigger: &Trigger) -> &str {
    match trigger {
        Trigger::ImagePushed(image) => image.tag.as_str(),
        other => panic!("{other:?}"),
    }
}

fn tags_of(suspects: &[Suspect]) -> Vec<(&str, Timestamp)> {
    suspects.iter().map(|it| (tag(&it.event.trigger), it.event.time)).collect()
}

/// That nothing was to bring what the followed tag means, and gave way.
fn pushed(since: i64) -> Proof {
    Proof::Pushed {
        since: at(since),
        container: "web".into(),
        repository: "api".into(),
        tag: Some("latest".into()),
        digests: vec![NEW.into()],
    }
}

#[test]
fn each_thing_is_asked_for_once_whoever_reads_it() {
    let (one, other) = (subject("api:latest", OnPush::Follow), subject("api:v1", OnPush::Follow));
    let questions = Questions::of([&one, &other]);
    let tags = questions.images[&(here(), "api".into())].tags.iter().map(Tag::as_str).collect::<Vec<_>>();
    assert_eq!((tags, questions.count()), (vec!["latest", "v1"], 4));
}

#[test]
fn what_is_switched_off_is_neither_asked_for_nor_suspected() {
    let nothing =
        TriggerSwitches { images: false, parameters: false, secrets: false, files: false, requests: true };
    let off = with(subject("api:latest", OnPush::Follow), |it| it.triggers = nothing);
    assert_eq!(Questions::of([&off]), Questions::default());
    let mut answers = images(&[("latest", state(NEW, 20))]);
    answers.parameters.insert((here(), "/shop/KEY".into()), at(20));
    assert_eq!(found(&off, &answers), []);
    let ignores = with(subject("api:latest", OnPush::Follow), |it| it.on_push = OnPush::Ignore);
    assert_eq!(found(&ignores, &images(&[("latest", state(NEW, 20))])), []);
    let other = with(subject("api:latest", OnPush::Follow), |it| it.container = Some("side".into()));
    assert_eq!(found(&other, &images(&[("latest", state(NEW, 20))])), []);
}

#[test]
fn what_tasks_read_has_drifted_if_it_is_newer_than_every_rollout() {
    let subject = subject("api:latest", OnPush::Follow);
    for (changed, expected) in [(9, 0), (10, 1), (11, 1), (58, 1), (59, 0)] {
        let answers = Answers {
            parameters: [((here(), "/shop/KEY".into()), at(changed))].into(),
            ..Answers::default()
        };
        assert_eq!(found(&subject, &answers).len(), expected, "changed at {changed}");
    }
    let answers = Answers {
        secrets: [((here(), "shop/api-AbCd12".into()), at(20))].into(),
        files: [(FileName { bucket: "env".into(), key: "api.env".into() }, at(30))].into(),
        ..Answers::default()
    };
    let found = found(&subject, &answers);
    let [secret, file] = found.as_slice() else { panic!("{found:?}") };
    let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/api-AbCd12";
    assert_eq!(secret.event.trigger, Trigger::SecretChanged { secret: arn.into(), change: Write::Updated });
    assert_eq!((secret.event.time, file.event.time), (at(20), at(30)));
}

#[test]
fn a_followed_tag_that_was_pushed_since_has_drifted() {
    let subject = subject("api:latest", OnPush::Follow);
    let lost = found(&subject, &images(&[("latest", state(NEW, 20)), ("other", state(NEW, 30))]));
    assert_eq!(tags_of(&lost), [("latest", at(20))]);
    assert_eq!(lost[0].proof, pushed(20));
    assert_eq!(found(&subject, &images(&[("latest", state(OLD, 20))])), [], "that runs");
    let index = TagState { children: vec![CHILD.into(), OLD.into()], ..state(NEW, 20) };
    assert_eq!(found(&subject, &images(&[("latest", index)])), [], "a child of it runs");
}

#[test]
fn a_tag_that_moved_to_an_older_image_is_told_from_one_that_was_rolled_out() {
    let subject = subject("api:latest", OnPush::Follow);
    let moved = images(&[("latest", state(NEW, 5))]);
    let [suspect] = found(&subject, &moved).try_into().expect("one");
    let Proof::NotBrought { since, digests, .. } = &suspect.proof else { panic!("{suspect:?}") };
    assert_eq!((*since, digests.as_slice()), (at(5), &[Digest::from(NEW)][..]));
    assert_eq!((suspect.event.time, suspect.counts), (at(5), at(60)), "pushed then, and known since now");
    let mut memory = Memory::default();
    memory.see(at(30), &images(&[("latest", state(OLD, 1))]));
    memory.see(at(40), &moved);
    let [suspect] = suspects(&subject, &moved, &memory, LONGEST_GRACE).try_into().expect("one");
    assert_eq!((suspect.counts, suspect.proof), (at(40), pushed(30)), "it was seen to move");
    assert_eq!(suspect.event.time, at(5), "the true time of the push");
    let since = Subject { newest_rollout: Some(at(41)), ..subject };
    assert_eq!(suspects(&since, &moved, &memory, LONGEST_GRACE), [], "a rollout since has had it");
}

#[test]
fn without_known_digests_only_the_times_of_pushes_tell() {
    let unknown = Subject { digests: [].into(), ..subject("api:latest", OnPush::Follow) };
    assert_eq!(found(&unknown, &images(&[("latest", state(NEW, 5))])), []);
    assert_eq!(found(&unknown, &images(&[("latest", state(NEW, 20))])).len(), 1);
}

#[test]
fn what_is_pinned_has_drifted_from_the_newest_image_that_its_policy_takes() {
    let pinned = |policy: &str| {
        let policy: TagPolicy = policy.parse().unwrap();
        with(subject("api:v1.0.0", OnPush::Pin), |it| it.tags = policy)
    };
    let tags = [
        ("v1.0.0", state(OLD, 1)),
        ("v1.2.0", state(NEW, 20)),
        ("v1.1.0", state(CHILD, 30)),
        ("x", state(CHILD, 40)),
    ];
    assert_eq!(tags_of(&found(&pinned("semver:^1"), &images(&tags))), [("v1.2.0", at(20))]);
    assert_eq!(tags_of(&found(&pinned("glob:v*"), &images(&tags))), [("v1.1.0", at(30))]);
    assert_eq!(tags_of(&found(&pinned("newest"), &images(&tags))), [("x", at(40))]);
    assert_eq!(found(&pinned("semver:^1"), &images(&tags[..1])), [], "that runs");
    let ignoring = with(pinned("newest"), |it| it.ignore_tags = vec!["exact:x".parse().unwrap()]);
    assert_eq!(tags_of(&found(&ignoring, &images(&tags))), [("v1.1.0", at(30))]);
}

#[test]
fn where_every_push_counts_the_newest_one_must_be_older_than_the_newest_rollout() {
    let always = subject("api:latest", OnPush::Always);
    assert_eq!(found(&always, &images(&[("a", state(NEW, 9))])), []);
    let tags = [("a", state(NEW, 20)), ("b", state(CHILD, 30))];
    assert_eq!(tags_of(&found(&always, &images(&tags))), [("b", at(30))]);
}

#[test]
fn the_same_change_has_the_same_id_in_every_process() {
    let subject = subject("api:latest", OnPush::Follow);
    let ids = |pushed| found(&subject, &images(&[("latest", state(NEW, pushed))]))[0].event.id.clone();
    assert_eq!(ids(20), ids(20));
    assert_ne!(ids(20), ids(21));
}

#[test]
fn a_push_between_two_passes_counts_from_the_push_and_so_does_what_came_of_it() {
    let mut memory = Memory::default();
    for seen in [20, 30] {
        memory.see(at(seen), &images(&[("latest", state(OLD, 5))]));
    }
    let suspect = |pushed, newest| {
        let (mut memory, answers) = (memory.clone(), images(&[("latest", state(NEW, pushed))]));
        memory.see(at(40), &answers);
        let subject = subject("api:latest", OnPush::Follow);
        let subject = Subject { newest_rollout: Some(at(newest)), ..subject };
        suspects(&subject, &answers, &memory, LONGEST_GRACE).pop().map(|it| (it.counts, it.proof))
    };
    assert_eq!(suspect(35, 10), Some((at(35), pushed(35))), "nothing was rolled out since");
    let (counts, proof) = suspect(35, 38).expect("one");
    assert_eq!(counts, at(40));
    assert!(!proof.holds(&look(&[(38, RolloutState::RolledBack, Some(NEW))])), "it was tried");
    assert!(proof.holds(&look(&[(38, RolloutState::Succeeded, Some(OLD))])), "the tag was moved after that");
    assert_eq!(suspect(29, 38), Some((at(40), pushed(30))), "it was moved to an older image");
}

#[test]
fn tags_that_nobody_asks_for_are_forgotten() {
    let mut memory = Memory::default();
    memory.see(at(1), &images(&[("latest", state(OLD, 1))]));
    memory.keep_only(&Questions::default());
    assert_eq!(memory, Memory::default());
}

fn look(rollouts: &[(i64, RolloutState, Option<&str>)]) -> Look {
    let definition = subject("api:latest", OnPush::Follow).definition;
    let rollout = |(created, state, digest): &(i64, RolloutState, Option<&str>)| Rollout {
        id: RolloutKey::default(),
        created_at: at(*created),
        updated_at: at(*created),
        definition: definition.clone(),
        previous: None,
        digests: digest.map(|digest| ("web".into(), digest.into())).into_iter().collect(),
        primary: false,
        state: *state,
        rolls_back: false,
        stopped: false,
        tripped: false,
        undone_since: None,
        tasks: Tasks::default(),
        reason: "".into(),
    };
    Look {
        taken_at: at(60),
        service: ServiceState::Active,
        created_at: None,
        desired: 1,
        running: None,
        base: Ok(definition.clone()),
        wanted: None,
        rollouts: rollouts.iter().map(rollout).collect(),
        holds: crate::domain::Holds::default(),
        tags: BTreeMap::new(),
        going_back: false,
        events: vec![],
        stopped: vec![],
    }
}

#[test]
fn what_a_rollout_since_the_push_brought_or_may_have_brought_was_not_missed() {
    let subject = subject("api:latest", OnPush::Follow);
    let index = TagState { children: vec![CHILD.into()], ..state(NEW, 5) };
    let [suspect] = found(&subject, &images(&[("latest", index)])).try_into().expect("one");
    let holds = |rollouts: &[_]| suspect.proof.holds(&look(rollouts));
    assert!(holds(&[]) && holds(&[(10, RolloutState::Succeeded, Some(OLD))]));
    assert!(holds(&[(10, RolloutState::Succeeded, None)]), "a complete one brought what runs");
    assert!(holds(&[(4, RolloutState::RolledBack, Some(NEW))]), "it is from before the push");
    assert!(!holds(&[(10, RolloutState::Succeeded, Some(OLD)), (6, RolloutState::RolledBack, Some(NEW))]));
    assert!(!holds(&[(6, RolloutState::Stopped, Some(CHILD))]));
    assert!(!holds(&[(6, RolloutState::Failed, None)]), "nobody knows what it would have brought");
    assert!(Proof::Rule.holds(&look(&[(6, RolloutState::Failed, None)])));
}

#[test]
fn what_a_rollout_was_to_pin_and_gave_way_was_not_lost() {
    let subject = subject("api:v1", OnPush::Pin);
    let index = TagState { children: vec![CHILD.into()], ..state(NEW, 20) };
    let [suspect] = found(&subject, &images(&[("v2", index)])).try_into().expect("one");
    let v2 = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/api:v2";
    let gave_way = |created, state, digest, image: &str| {
        let mut look = look(&[(created, state, digest)]);
        look.rollouts[0].definition.images.insert("web".into(), image.parse().unwrap());
        suspect.gave_way(&look)
    };
    let stopped = RolloutState::Stopped;
    assert!(gave_way(20, stopped, Some(NEW), v2) && gave_way(30, stopped, Some(CHILD), v2));
    assert!(gave_way(30, stopped, None, v2), "before it had a digest");
    assert!(gave_way(30, stopped, None, &format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/api@{NEW}")));
    assert!(!gave_way(19, stopped, Some(NEW), v2), "before the push");
    assert!(!gave_way(30, stopped, Some(OLD), v2), "the tag meant another image then");
    assert!(!gave_way(30, stopped, None, &v2.replace("v2", "v3")));
    assert!(!gave_way(30, stopped, None, &v2.replace("/api", "/other")));
    assert!(!gave_way(30, RolloutState::Succeeded, Some(NEW), v2), "the one rule knows of that");
    let rule = Suspect { proof: Proof::Rule, ..suspect.clone() };
    assert!(!rule.gave_way(&look(&[(30, stopped, Some(NEW))])));
    assert!(suspect.proof.holds(&look(&[])) && suspect.since() == at(20));
}

#[test]
fn what_followed_a_tag_and_gave_way_was_not_lost() {
    let subject = subject("api:latest", OnPush::Follow);
    let [suspect] = found(&subject, &images(&[("latest", state(NEW, 20))])).try_into().expect("one");
    let gave_way = |it: &Suspect, created, state, digest| it.gave_way(&look(&[(created, state, digest)]));
    let stopped = RolloutState::Stopped;
    assert!(gave_way(&suspect, 20, stopped, Some(NEW)) && gave_way(&suspect, 30, stopped, None));
    assert!(!gave_way(&suspect, 19, stopped, Some(NEW)) && !gave_way(&suspect, 30, stopped, Some(OLD)));
    assert!(!gave_way(&suspect, 30, RolloutState::Succeeded, Some(NEW)));
    let mut other = look(&[(30, stopped, None)]);
    let v2 = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/api:v2".parse().unwrap();
    other.rollouts[0].definition.images.insert("web".into(), v2);
    assert!(!suspect.gave_way(&other), "it read another tag");
    // A tag that was moved to what is older: since it was last seen to mean something else.
    let mut memory = Memory::default();
    memory.see(at(40), &images(&[("latest", state(OLD, 6))]));
    memory.see(at(50), &images(&[("latest", state(NEW, 5))]));
    let answers = images(&[("latest", state(NEW, 5))]);
    let [moved] = suspects(&subject, &answers, &memory, LONGEST_GRACE).try_into().expect("one");
    assert_eq!((moved.counts, moved.since()), (at(50), at(40)));
    assert!(gave_way(&moved, 45, stopped, Some(NEW)) && !gave_way(&moved, 39, stopped, Some(NEW)));
}

#[test]
fn where_every_push_counts_any_rollout_since_that_gave_way_was_for_it() {
    let subject = subject("api:latest", OnPush::Always);
    let [suspect] = found(&subject, &images(&[("v2", state(NEW, 20))])).try_into().expect("one");
    let gave_way = |created, state| suspect.gave_way(&look(&[(created, state, Some(OLD))]));
    assert!(gave_way(20, RolloutState::Stopped) && !gave_way(19, RolloutState::Stopped));
    assert!(!gave_way(30, RolloutState::Succeeded));
}

#[test]
fn what_is_suspected_again_and_again_is_one_event_until_a_rollout_has_followed_it() {
    let subject = subject("api:latest", OnPush::Follow);
    let answers = images(&[("latest", state(NEW, 5))]);
    let mut memory = Memory::default();
    let mut suspected = |read: i64, newest_rollout| {
        let subject = Subject { read_at: at(read), newest_rollout, ..subject.clone() };
        memory.see(at(read), &answers);
        suspects(&subject, &answers, &memory, LONGEST_GRACE).pop()
    };
    let (first, second) = (suspected(60, Some(at(10))), suspected(70, Some(at(10))));
    let first = first.expect("one");
    assert_eq!((first.counts, first.since()), (at(60), at(5)));
    assert_eq!(second, Some(first));
    assert_eq!(suspected(80, Some(at(71))), None, "whatever that brought");
    let pushed = found(&subject, &images(&[("latest", state(NEW, 20))])).pop().expect("one");
    assert_eq!((pushed.counts, pushed.since()), (at(20), at(20)));
}

#[test]
fn a_container_whose_image_names_a_digest_follows_nothing() {
    let image = |reference: &str| subject(&format!("api{reference}"), OnPush::Follow);
    let moved = images(&[("latest", state(NEW, 20))]);
    for reference in [format!(":latest@{OLD}"), format!("@{OLD}")] {
        let fixed = image(&reference);
        assert!(!fixed.depends_on_images(), "{reference}");
        assert_eq!(Questions::of([&fixed]).images, [].into(), "{reference}");
        assert_eq!(found(&fixed, &moved), [], "{reference}");
        let pinned = with(fixed, |it| it.on_push = OnPush::Pin);
        assert_eq!(tags_of(&found(&pinned, &moved)), [("latest", at(20))], "a push replaces it: {reference}");
    }
    let mut back = image(&format!("@{OLD}"));
    back.definition.marks.follows.insert("web".into(), "latest".into());
    assert_eq!(found(&back, &moved).len(), 1, "since a rollback it goes on following the tag");
}

#[test]
fn a_change_is_told_in_words() {
    let subject = subject("api:latest", OnPush::Follow);
    let [suspect] = found(&subject, &images(&[("latest", state(NEW, 20))])).try_into().expect("one");
    assert_eq!(words(&suspect.event), "api:latest was pushed, at 1970-01-01T00:20:00Z");
}
