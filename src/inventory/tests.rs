use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::{DefinitionView, Glob, HoldKind, LiveDefinition, LiveState, Marks, Selector, Timestamp};

const ACCOUNT: &str = "111122223333";

fn place() -> Place {
    Place { account: ACCOUNT.into(), region: "eu-west-1".into() }
}

fn target(cluster: &str, service: &str) -> TargetId {
    TargetId::new(ACCOUNT.into(), "eu-west-1".into(), cluster.into(), service.into())
}

/// All clusters but `other`, all services but those that are tagged `skip=yes`.
fn inventory() -> Inventory {
    let mut inventory = Inventory::new(DiscoveryRules {
        clusters: vec![Selector::Name(Glob::new("*"))],
        services: vec![Selector::Name(Glob::new("*"))],
        exclude: vec![
            Selector::Name(Glob::new("other/*")),
            Selector::Tag { key: "skip".into(), value: Glob::new("yes") },
        ],
        refresh: Duration::from_mins(10),
    });
    for name in ["other", "shop"] {
        inventory.saw_cluster(&place(), ClusterReading { name: name.into(), tags: Tags::new() });
    }
    inventory
}

fn tags(text: &str) -> Tags {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A service of the cluster `shop` with these definitions live, the primary one first.
fn reading(service: &str, live: &[&str], with: &str) -> ServiceReading {
    let live = live.iter().enumerate().map(|(position, text)| LiveDefinition {
        definition: text.parse().expect("valid"),
        created_at: Some(Timestamp::default()),
        primary: position == 0,
        state: LiveState::Complete,
    });
    ServiceReading {
        read_at: Timestamp::default(),
        state: ServiceState::Active,
        tags: tags(with),
        live: live.collect(),
        ..ServiceReading::missing(target("shop", service), Timestamp::default())
    }
}

/// A definition that reads these parameters.
fn definition(id: &str, parameters: &[&str]) -> Arc<DefinitionReading> {
    let view =
        DefinitionView { id: id.parse().expect("valid"), images: BTreeMap::new(), marks: Marks::default() };
    let dependencies = parameters.iter().map(|name| parameter(name)).collect();
    Arc::new(DefinitionReading { view, dependencies })
}

fn parameter(name: &str) -> Dependency {
    Dependency::Parameter { place: place(), name: name.into() }
}

fn by_tags(name: &ServiceName, tags: &Tags) -> (Arc<TargetSettings>, Option<Arc<str>>) {
    let named = tags.get("name").map_or(name.as_str(), String::as_str).into();
    (Arc::new(TargetSettings::named(named)), tags.get("refused").map(|why| why.as_str().into()))
}

fn see(
    inventory: &mut Inventory,
    reading: ServiceReading,
    read: &[Arc<DefinitionReading>],
) -> Option<Update> {
    let asked = inventory.ask();
    inventory.saw_service(asked, reading, read, by_tags)
}

fn learnt(update: Option<Update>) -> Discovered {
    match update {
        Some(Update::Learn(discovered)) => discovered,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_service_depends_on_what_all_its_live_definitions_depend_on_each_once() {
    let mut inventory = inventory();
    let service = reading("api", &["api:2", "api:1"], "name=front");
    assert_eq!(inventory.unread(&service), ["api:1", "api:2"].map(|it| it.parse().expect("valid")));
    let read = [definition("api:1", &["/b", "/a"]), definition("api:2", &["/c", "/a"])];
    let found = learnt(see(&mut inventory, service, &read));
    assert_eq!(found.dependencies, ["/a", "/b", "/c"].map(parameter));
    assert_eq!((found.settings.name.as_str(), found.refused), ("front", None));
}

#[test]
fn what_is_read_again_and_did_not_change_is_no_news() {
    let mut inventory = inventory();
    learnt(see(&mut inventory, reading("api", &["api:1"], ""), &[definition("api:1", &["/a"])]));
    let again = reading("api", &["api:1"], "");
    assert_eq!(inventory.unread(&again), [], "a revision never changes");
    assert_eq!(see(&mut inventory, again, &[]), None);
    let renamed = learnt(see(&mut inventory, reading("api", &["api:1"], "name=front"), &[]));
    assert_eq!((renamed.settings.name.as_str(), renamed.dependencies), ("front", vec![parameter("/a")]));
}

#[test]
fn only_a_definition_that_is_new_is_read_and_an_old_one_counts_while_it_is_live() {
    let mut inventory = inventory();
    learnt(see(&mut inventory, reading("api", &["api:1"], ""), &[definition("api:1", &["/a"])]));
    let during = reading("api", &["api:2", "api:1"], "");
    assert_eq!(inventory.unread(&during), ["api:2".parse().expect("valid")]);
    let both = learnt(see(&mut inventory, during, &[definition("api:2", &["/b"])]));
    assert_eq!(both.dependencies, ["/a", "/b"].map(parameter));
    let after = learnt(see(&mut inventory, reading("api", &["api:2"], ""), &[]));
    assert_eq!(after.dependencies, [parameter("/b")]);
}

#[test]
fn a_definition_that_many_services_run_is_read_and_kept_once() {
    let mut inventory = inventory();
    learnt(see(&mut inventory, reading("api", &["all:1"], ""), &[definition("all:1", &["/a"])]));
    let other = reading("web", &["all:1"], "");
    assert_eq!(inventory.unread(&other), []);
    assert_eq!(learnt(see(&mut inventory, other.clone(), &[])).dependencies, [parameter("/a")]);
    let kept: Vec<_> = inventory.services().map(|(_, known)| Arc::as_ptr(&known.definitions[0])).collect();
    assert_eq!(kept[0], kept[1]);
    for name in ["api", "web"] {
        see(&mut inventory, ServiceReading::missing(target("shop", name), Timestamp::default()), &[]);
    }
    assert_eq!(inventory.unread(&other), ["all:1".parse().expect("valid")], "nobody runs it any more");
}

#[test]
fn a_definition_that_could_not_be_read_takes_nothing_away() {
    let mut inventory = inventory();
    learnt(see(&mut inventory, reading("api", &["api:1"], ""), &[definition("api:1", &["/a"])]));
    assert_eq!(see(&mut inventory, reading("api", &["api:2"], ""), &[]), None);
    assert_eq!(inventory.unread(&reading("api", &["api:2"], "")), ["api:2".parse().expect("valid")]);
    let read = learnt(see(&mut inventory, reading("api", &["api:2"], ""), &[definition("api:2", &["/b"])]));
    assert_eq!(read.dependencies, [parameter("/b")]);
}

#[test]
fn a_service_that_is_gone_or_not_selected_any_more_is_forgotten_once() {
    let gone = [
        (ServiceReading { state: ServiceState::Inactive, ..reading("api", &["api:1"], "") }, Absence::Gone),
        (ServiceReading { state: ServiceState::Draining, ..reading("api", &["api:1"], "") }, Absence::Gone),
        (ServiceReading::missing(target("shop", "api"), Timestamp::default()), Absence::Gone),
        (reading("api", &["api:1"], "skip=yes"), Absence::Unselected),
    ];
    for (reading_of_it, absence) in gone {
        let mut inventory = inventory();
        learnt(see(&mut inventory, reading("api", &["api:1"], ""), &[definition("api:1", &[])]));
        assert_eq!(inventory.unread(&reading_of_it), []);
        let forgotten = see(&mut inventory, reading_of_it.clone(), &[]);
        assert_eq!(forgotten, Some(Update::Forget(target("shop", "api"), absence)));
        assert_eq!(see(&mut inventory, reading_of_it, &[]), None);
        assert_eq!(inventory.count(&place()), 0);
    }
}

#[test]
fn a_service_of_a_cluster_that_is_not_selected_or_was_not_read_is_no_target() {
    let mut inventory = inventory();
    for cluster in ["other", "unread"] {
        let reading = ServiceReading { target: target(cluster, "api"), ..reading("api", &["api:1"], "") };
        assert_eq!(inventory.unread(&reading), []);
        assert_eq!(see(&mut inventory, reading, &[definition("api:1", &[])]), None);
    }
}

#[test]
fn a_service_that_another_controller_deploys_is_known_and_refused() {
    let mut inventory = inventory();
    let state = ServiceState::OtherController("CODE_DEPLOY".into());
    let found = ServiceReading { state, ..reading("api", &[], "") };
    let refused = learnt(see(&mut inventory, found.clone(), &[])).refused;
    assert_eq!(refused.as_deref(), Some("its deployments are driven by CODE_DEPLOY, not by ECS"));
    let tagged = ServiceReading { tags: tags("refused=by-its-owner"), ..found };
    assert_eq!(learnt(see(&mut inventory, tagged, &[])).refused.as_deref(), Some("by-its-owner"));
}

#[test]
fn what_the_tags_of_a_service_say_of_a_pause_is_known_with_it() {
    let mut inventory = inventory();
    let found = reading("api", &[], "lockkeeper:paused=an-incident");
    learnt(see(&mut inventory, found.clone(), &[]));
    let seen = |inventory: &Inventory| inventory.sight(&found.target).expect("it is known");
    let (sight, holds) = seen(&inventory);
    let hold = sight.hold.expect("it is paused");
    assert_eq!((hold.kind, hold.reason.as_deref()), (HoldKind::Paused, Some("an-incident")));
    assert_eq!(holds.record(), Some(*hold));
    assert_eq!(see(&mut inventory, found.clone(), &[]), None, "nothing is new for the routes");
    assert_eq!(see(&mut inventory, reading("api", &[], ""), &[]), None);
    assert_eq!((seen(&inventory).0.hold, seen(&inventory).1), (None, Holds::default()));
}

#[test]
fn what_runs_is_told_after_each_reading_whether_it_is_news_for_the_routes_or_not() {
    let mut inventory = inventory();
    learnt(see(&mut inventory, reading("api", &["api:1"], ""), &[definition("api:1", &[])]));
    let running = |inventory: &Inventory| {
        let (sight, _) = inventory.sight(&target("shop", "api")).expect("it is known");
        sight.running.map(|it| (it.definition.to_string(), it.since))
    };
    assert_eq!(running(&inventory), Some(("api:1".into(), Some(Timestamp::default()))));
    let mut renewed = reading("api", &["api:1"], "");
    renewed.live[0].created_at = Some(Timestamp::from_millis(5_000));
    assert_eq!(see(&mut inventory, renewed, &[]), None);
    assert_eq!(running(&inventory), Some(("api:1".into(), Some(Timestamp::from_millis(5_000)))));
    assert_eq!(inventory.sight(&target("shop", "web")), None);
}

#[test]
fn a_service_that_another_lockkeeper_owns_is_known_and_refused() {
    let state = ServiceState::OfAnother("111122223333/eu-west-1/other".into());
    let found = ServiceReading { state, ..reading("api", &[], "") };
    let refused = learnt(see(&mut inventory(), found, &[])).refused.expect("refused");
    assert!(refused.contains("111122223333/eu-west-1/other, as its tag lockkeeper:owner says"), "{refused}");
}

#[test]
fn a_list_forgets_what_it_does_not_have_and_nothing_that_was_read_after_it_was_asked_for() {
    let mut inventory = inventory();
    for name in ["api", "web"] {
        learnt(see(&mut inventory, reading(name, &[], ""), &[]));
    }
    let asked = inventory.ask();
    learnt(see(&mut inventory, reading("new", &[], ""), &[]));
    let listed = inventory.saw_services(&place(), &"shop".into(), asked, &["web".into()].into());
    assert_eq!(listed, [Update::Forget(target("shop", "api"), Absence::Gone)]);
    assert_eq!(inventory.count(&place()), 2);
    let elsewhere = Place { account: "444455556666".into(), ..place() };
    let asked = inventory.ask();
    assert_eq!(inventory.saw_services(&elsewhere, &"shop".into(), asked, &BTreeSet::new()), []);
}

#[test]
fn with_its_cluster_each_of_its_services_is_forgotten() {
    let mut inventory = inventory();
    learnt(see(&mut inventory, reading("api", &[], ""), &[]));
    let cluster = |name: &str, with| ClusterReading { name: name.into(), tags: tags(with) };
    let asked = inventory.ask();
    let (taken, updates) =
        inventory.saw_clusters(&place(), asked, vec![cluster("other", ""), cluster("shop", "")]);
    assert_eq!((taken, updates), (vec!["shop".into()], vec![]));
    let asked = inventory.ask();
    let (taken, updates) = inventory.saw_clusters(&place(), asked, vec![cluster("shop", "skip=yes")]);
    assert_eq!((taken, updates), (vec![], vec![Update::Forget(target("shop", "api"), Absence::Unselected)]));
    assert!(!inventory.takes_cluster(&place(), &"shop".into()));
    let asked = inventory.ask();
    inventory.saw_clusters(&place(), asked, vec![]);
    assert!(!inventory.knows_cluster(&place(), &"shop".into()));
}

/// What becomes known, in whatever order.
#[derive(Clone, Debug)]
enum Seen {
    Service { name: usize, is_there: bool, definition: u32 },
    List(Vec<usize>),
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn seen() -> impl Strategy<Value = Seen> {
    let service = (0..NAMES.len(), any::<bool>(), 1..4_u32);
    prop_oneof![
        4 => service.prop_map(|(name, is_there, definition)| Seen::Service { name, is_there, definition }),
        1 => proptest::sample::subsequence(vec![0, 1, 2], 0..=3).prop_map(Seen::List),
    ]
}

fn tell(inventory: &mut Inventory, asked: Asked, seen: &Seen) -> Vec<Update> {
    match seen {
        Seen::Service { name, is_there, definition: revision } => {
            let id = format!("f:{revision}");
            let there = reading(NAMES[*name], &[&id], "");
            let gone = ServiceReading::missing(there.target.clone(), Timestamp::default());
            let reading = if *is_there { there } else { gone };
            let read = [definition(&id, &[&id])];
            inventory.saw_service(asked, reading, &read, by_tags).into_iter().collect()
        }
        Seen::List(names) => {
            let names = names.iter().map(|name| NAMES[*name].into()).collect();
            inventory.saw_services(&place(), &"shop".into(), asked, &names)
        }
    }
}

/// What is true once all of these were asked for one after the other.
fn truth(all: &[Seen]) -> BTreeMap<TargetId, Vec<Dependency>> {
    let mut known = BTreeMap::new();
    for seen in all {
        match seen {
            Seen::Service { name, is_there: true, definition } => {
                known.insert(target("shop", NAMES[*name]), vec![parameter(&format!("f:{definition}"))]);
            }
            Seen::Service { name, is_there: false, .. } => {
                known.remove(&target("shop", NAMES[*name]));
            }
            Seen::List(names) => {
                known.retain(|id, _| names.iter().any(|name| id.service().as_str() == NAMES[*name]));
            }
        }
    }
    known
}

/// Whoever learns and forgets as they are told.
fn follow(routes: &mut BTreeMap<TargetId, Vec<Dependency>>, updates: Vec<Update>) {
    for update in updates {
        match update {
            Update::Learn(it) => {
                let before = routes.insert(it.target.clone(), it.dependencies.clone());
                assert_ne!(before, Some(it.dependencies), "no news");
            }
            Update::Forget(target, _) => assert!(routes.remove(&target).is_some(), "{target} was not known"),
        }
    }
}

proptest! {
    #[test]
    fn who_follows_every_update_knows_what_is_true(all in proptest::collection::vec(seen(), 0..30)) {
        let (mut inventory, mut routes) = (inventory(), BTreeMap::new());
        for it in &all {
            let asked = inventory.ask();
            follow(&mut routes, tell(&mut inventory, asked, it));
        }
        prop_assert_eq!(inventory.count(&place()), routes.len());
        prop_assert_eq!(routes, truth(&all));
    }

    #[test]
    fn readings_that_overtake_each_other_end_where_the_newest_of_each_service_does(
        all in proptest::collection::vec((seen(), any::<u16>()), 0..12),
    ) {
        let (mut inventory, mut routes) = (inventory(), BTreeMap::new());
        let services = |it: &&(Seen, u16)| matches!(it.0, Seen::Service { .. });
        let asked: Vec<_> = all.iter().filter(services).map(|it| (inventory.ask(), it)).collect();
        let mut answered = asked.clone();
        answered.sort_by_key(|(asked, (_, late))| (*late, *asked));
        for (asked, (it, _)) in answered {
            follow(&mut routes, tell(&mut inventory, asked, it));
        }
        let in_order: Vec<Seen> = asked.into_iter().map(|(_, (it, _))| it.clone()).collect();
        prop_assert_eq!(routes, truth(&in_order));
    }
}
