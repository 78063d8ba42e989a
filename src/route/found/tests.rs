use std::collections::BTreeMap;

use proptest::{prelude::*, sample::select};

use super::*;
use crate::domain::{OnPush, TargetName};

fn place(account: &str) -> Place {
    Place { account: account.into(), region: "eu-west-1".into() }
}

fn found(service: &str, dependencies: Vec<Dependency>) -> Discovered {
    let Place { account, region } = place("home");
    Discovered {
        target: TargetId::new(account, region, "shop".into(), service.into()),
        settings: Arc::new(TargetSettings::named(service.into())),
        refused: None,
        dependencies,
    }
}

fn reads(parameter: &str) -> Dependency {
    Dependency::Parameter { place: place("home"), name: parameter.into() }
}

fn services(found: Vec<FoundTarget<'_>>) -> Vec<&str> {
    found.into_iter().map(|it| it.id().service().as_str()).collect()
}

fn any_place() -> impl Strategy<Value = Place> {
    select(vec!["home", "abroad"]).prop_map(place)
}

fn any_dependency() -> impl Strategy<Value = Dependency> {
    let name = || select(vec!["a", "/a", "ä-AbCd12", ""]);
    prop_oneof![
        (prop::option::of(any_place()), name(), name()).prop_map(|(registry, name, container)| {
            Dependency::Repository { registry, name: name.into(), container: container.into() }
        }),
        (any_place(), name()).prop_map(|(place, name)| Dependency::Parameter { place, name: name.into() }),
        (any_place(), name()).prop_map(|(place, name)| Dependency::Secret { place, name: name.into() }),
        (name(), name())
            .prop_map(|(bucket, key)| Dependency::File { bucket: bucket.into(), key: key.into() }),
    ]
}

fn any_discovered() -> impl Strategy<Value = Discovered> {
    let on_push = select(vec![OnPush::Follow, OnPush::Pin]);
    let cluster = select(vec!["shop", "test"]);
    let service = select(vec!["a", "b", "c"]);
    let name = select(vec!["a", "ü"]);
    let dependencies = prop::collection::vec(any_dependency(), 0..5);
    (any_place(), cluster, service, name, on_push, prop::option::of(Just("no".into())), dependencies)
        .prop_map(|(Place { account, region }, cluster, service, name, on_push, refused, dependencies)| {
            Discovered {
                target: TargetId::new(account, region, cluster.into(), service.into()),
                settings: Arc::new(TargetSettings {
                    on_push,
                    ..TargetSettings::named(TargetName::from(name))
                }),
                refused,
                dependencies,
            }
        })
}

proptest! {
    #[test]
    fn what_was_learnt_and_not_forgotten_is_known_and_nothing_else(
        steps in prop::collection::vec((any::<bool>(), any_discovered()), 0..40),
    ) {
        let (mut known, mut expected) = (Found::default(), BTreeMap::new());
        for (is_learnt, it) in steps {
            if is_learnt {
                known.learn(&it);
                expected.insert(it.target.clone(), it);
            } else {
                known.forget(&it.target);
                expected.remove(&it.target);
            }
        }
        let all: Vec<Discovered> = known.all().map(FoundTarget::unpacked).collect();
        prop_assert_eq!(&all, &expected.values().cloned().collect::<Vec<_>>());
        prop_assert_eq!(known.len(), expected.len());
        for it in all {
            prop_assert_eq!(known.get(&it.target).map(FoundTarget::unpacked), Some(it));
        }
        for target in expected.keys() {
            known.forget(target);
        }
        let is_empty = known.places.ids().count() + known.clusters.ids().count() + known.settings.ids().count() == 0;
        prop_assert!(is_empty && known.all().count() == 0, "something was left behind: {known:?}");
    }

    #[test]
    fn a_dependency_finds_exactly_the_targets_that_have_it(
        targets in prop::collection::vec(any_discovered(), 0..8),
        asked in any_dependency(),
    ) {
        let mut known = Found::default();
        for it in &targets {
            known.learn(it);
        }
        let found = match &asked {
            Dependency::Repository { registry: Some(registry), name, .. } => known.running(name.as_str(), Some(registry)),
            Dependency::Repository { registry: None, name, .. } => known.running(name.as_str(), None),
            Dependency::Parameter { place, name } => known.reading_parameter(name, place),
            Dependency::Secret { place, name } => known.reading_secret(name, place),
            Dependency::File { bucket, key } => known.loading(bucket, key),
        };
        let found: Vec<&TargetId> = found.iter().map(|it| it.id()).collect();
        let has = |it: &FoundTarget<'_>| it.unpacked().dependencies.iter().any(|its| concerns(&asked, its));
        let expected: Vec<&TargetId> = known.all().filter(has).map(|it| it.packed).map(|it| &it.id).collect();
        prop_assert_eq!(found, expected);
    }
}

/// Whether what is asked for is this dependency of a target; the container does not matter.
fn concerns(asked: &Dependency, its: &Dependency) -> bool {
    match (asked, its) {
        (
            Dependency::Repository { registry: asked, name, .. },
            Dependency::Repository { registry, name: its, .. },
        ) => name == its && (asked.is_none() || asked == registry),
        (Dependency::Parameter { place, name }, Dependency::Parameter { place: there, name: its }) => {
            place == there && name.trim_start_matches('/') == its.trim_start_matches('/')
        }
        (Dependency::Secret { place, name }, Dependency::Secret { place: there, name: its }) => {
            place == there && (name == its || its.strip_suffix("-AbCd12") == Some(name))
        }
        (asked, its) => asked == its,
    }
}

#[test]
fn two_names_with_one_fingerprint_are_told_apart() {
    let mut known = Found::default();
    let home = known.places.take(&place("home"));
    let (one, other) = super::postings::tests::twins(|number| {
        // As the key of a parameter that is called so.
        let name: &'static str = Box::leak(number.to_string().into_boxed_str());
        Key::Parameter { place: home, name }
    });
    known.learn(&found("one", vec![reads(&one.to_string())]));
    known.learn(&found("other", vec![reads(&other.to_string())]));
    let reading = |number: u32| services(known.reading_parameter(&number.to_string(), &place("home")));
    assert_eq!((reading(one), reading(other)), (vec!["one"], vec!["other"]));
    known.forget(&found("one", Vec::new()).target);
    let reading = |number: u32| services(known.reading_parameter(&number.to_string(), &place("home")));
    assert_eq!((reading(one), reading(other)), (vec![], vec!["other"]));
}

#[test]
fn settings_that_differ_in_the_name_alone_are_kept_once() {
    let mut known = Found::default();
    for service in ["a", "b", "c"] {
        known.learn(&found(service, Vec::new()));
    }
    let mut odd = found("d", Vec::new());
    Arc::make_mut(&mut odd.settings).retries = 9;
    known.learn(&odd);
    assert_eq!(known.settings.ids().count(), 2);
    assert_eq!(known.get(&odd.target).expect("known").settings(), odd.settings);
}

#[test]
fn what_was_found_again_unchanged_is_left_as_it_is() {
    let mut known = Found::default();
    let it = found("api", vec![reads("/K"), reads("/L")]);
    known.learn(&it);
    let before = format!("{known:?}");
    known.learn(&it);
    assert_eq!(format!("{known:?}"), before);
}
