//! Whatever the settings say and discovery finds: the reason that is given for a target agrees with what routing does.

use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    domain::{DeployRequest, TargetName},
    route::Asked,
};

/// Clusters, and ECS's names in them: the pattern finds some of them.
const CLUSTERS: [&str; 2] = ["shop", "chubby_cluster_dev"];
const SERVICES: [&str; 4] = ["api", "web", "chubby_service_api_dev", "chubby_service_dev"];
const REPOSITORIES: [&str; 4] = ["api", "shop/web", "chubby_service_api", "chubby_backend"];
const PARAMETERS: [&str; 4] = ["/K", "K", "/dev/chubby/api/K", "/dev/chubby/backend/K"];
const SECRETS: [&str; 4] = ["s", "s-AbCd12", "shop/s", "shop/s-AbCd12"];
const KEYS: [&str; 3] = ["a.env", "b.env", "c"];
const CONTAINERS: [&str; 2] = ["web", "proxy"];

fn place() -> impl Strategy<Value = Place> {
    select(vec![home(), abroad(), Place { region: "us-east-1".into(), ..home() }])
}

fn target() -> impl Strategy<Value = TargetId> {
    (place(), select(&CLUSTERS), select(&SERVICES)).prop_map(
        |(Place { account, region }, cluster, service)| {
            TargetId::new(account, region, cluster.into(), service.into())
        },
    )
}

/// No two of a world have the same name, so that a note tells which one it is about.
fn settings() -> impl Strategy<Value = TargetSettings> {
    let on_push = select(vec![OnPush::Follow, OnPush::Always, OnPush::Pin, OnPush::Ignore]);
    (on_push, prop::option::of(select(&CONTAINERS))).prop_map(|(on_push, container)| TargetSettings {
        on_push,
        container: container.map(Into::into),
        ..TargetSettings::named("renamed".into())
    })
}

fn some<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    prop::sample::subsequence(of, 0..=2)
}

fn listed(patterns: Vec<&str>, is_glob: bool) -> Vec<Glob> {
    patterns.into_iter().map(|text| Glob::new(if is_glob { text.split_at(1).0 } else { text })).collect()
}

fn any_rule() -> impl Strategy<Value = TargetRule> {
    (target(), settings(), some(&REPOSITORIES), some(&PARAMETERS), some(&SECRETS), some(&KEYS), any::<bool>())
        .prop_map(|(id, settings, repositories, parameters, secrets, keys, is_glob)| TargetRule {
            account: Some(id.account().clone()),
            region: Some(id.region().clone()),
            cluster: id.cluster().clone(),
            service: id.service().clone(),
            repositories: listed(repositories, is_glob),
            parameters: listed(parameters, is_glob),
            secrets: listed(secrets, is_glob),
            files: keys.into_iter().map(|key| file("b", key)).collect(),
            settings: Arc::new(settings),
        })
}

fn dependency() -> impl Strategy<Value = Dependency> {
    prop_oneof![
        (prop::option::of(place()), select(&REPOSITORIES), select(&CONTAINERS))
            .prop_map(|(registry, name, container)| runs_of(registry, name, container)),
        (place(), select(&PARAMETERS))
            .prop_map(|(place, name)| Dependency::Parameter { place, name: name.into() }),
        (place(), select(&SECRETS)).prop_map(|(place, name)| Dependency::Secret { place, name: name.into() }),
        select(&KEYS).prop_map(|key| loads("b", key)),
    ]
}

fn any_found() -> impl Strategy<Value = Discovered> {
    let refused = prop::option::weighted(0.2, Just("no".into()));
    (target(), settings(), refused, prop::collection::vec(dependency(), 0..6)).prop_map(
        |(target, settings, refused, dependencies)| Discovered {
            target,
            settings: Arc::new(settings),
            refused,
            dependencies,
        },
    )
}

fn any_naming() -> impl Strategy<Value = Naming> {
    let files = prop::collection::btree_map(
        select(vec!["api".into(), "backend".into()]),
        some(&KEYS).prop_map(|keys| keys.into_iter().map(|key| file("b", key)).collect()),
        0..2,
    );
    files.prop_map(|files| Naming { files, ..naming() })
}

fn any_trigger() -> impl Strategy<Value = Trigger> {
    let arn = |tail: &str| format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{tail}");
    let called = || select(vec!["api", "web", "backend", "rule-0", "found-1", "chubby_service_api_dev"]);
    prop_oneof![
        select(&REPOSITORIES).prop_map(|name| push(name, "1")),
        select(&REPOSITORIES).prop_map(|name| replicated(name, "1")),
        select(&REPOSITORIES).prop_map(|name| ready(name, "1", None)),
        select(&PARAMETERS).prop_map(parameter),
        select(&SECRETS).prop_map(secret),
        select(&SECRETS).prop_map(move |tail| secret(&arn(tail))),
        select(&KEYS).prop_map(|key| object("b", key)),
        (prop::option::of(select(&CLUSTERS)), select(&SERVICES))
            .prop_map(|(cluster, service)| sign(cluster, service)),
        called().prop_map(requested),
        target().prop_map(|id| requested(&id.to_string())),
    ]
}

fn requested(service: &str) -> Trigger {
    Trigger::DeployRequested(DeployRequest { service: service.into(), ..DeployRequest::default() })
}

#[derive(Debug)]
struct World {
    rules: Vec<TargetRule>,
    naming: Option<Naming>,
    found: Vec<Discovered>,
}

fn world() -> impl Strategy<Value = World> {
    let rules = prop::collection::vec(any_rule(), 0..3);
    let found = prop::collection::vec(any_found(), 0..6);
    (rules, prop::option::of(any_naming()), found).prop_map(|(mut rules, naming, mut found)| {
        let name =
            |settings: &mut Arc<TargetSettings>, name: String| Arc::make_mut(settings).name = name.into();
        // Of one service there is one rule, and one that was found.
        rules.sort_by_key(|it| {
            (it.account.clone(), it.region.clone(), it.cluster.clone(), it.service.clone())
        });
        rules.dedup_by_key(|it| {
            (it.account.clone(), it.region.clone(), it.cluster.clone(), it.service.clone())
        });
        rules.iter_mut().enumerate().for_each(|(at, it)| name(&mut it.settings, format!("rule-{at}")));
        found.iter_mut().enumerate().for_each(|(at, it)| name(&mut it.settings, format!("found-{at}")));
        World { rules, naming, found }
    })
}

impl World {
    fn routes(&self) -> Routes {
        let routes = Routes::new(ACCOUNT.into(), REGION.into(), self.rules.clone(), self.naming.clone());
        knowing(routes, self.found.iter().cloned())
    }

    fn rule(&self, id: &TargetId) -> Option<&TargetRule> {
        self.rules.iter().find(|rule| {
            rule.account.as_ref() == Some(id.account())
                && rule.region.as_ref() == Some(id.region())
                && (&rule.cluster, &rule.service) == (id.cluster(), id.service())
        })
    }
}

/// How often the event reaches this target: by a request, a hint, or a note of its name.
fn times_reached(routing: &Routing, id: &TargetId, name: &TargetName) -> usize {
    let requests = routing.requests.iter().filter(|request| request.target == *id);
    let hints = routing.hints.iter().filter(|hint| *hint == id);
    let notes = routing.notes.iter().filter(|note| note.target.as_ref() == Some(name));
    requests.count() + hints.count() + notes.count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_reason_is_given_exactly_for_what_routing_reaches(
        world in world(),
        trigger in any_trigger(),
        place in place(),
    ) {
        let (routes, event) = (world.routes(), at(place, trigger));
        let routing = routes.route(&event, &arrival());
        prop_assert!(routing.requests.len() + routing.hints.len() + routing.notes.len() > 0);
        for (id, settings) in routes.targets() {
            let reached = times_reached(&routing, id, &settings.name);
            let why = routes.why(&event, Asked { id, settings: &settings, rule: world.rule(id) });
            prop_assert!(reached <= 1, "{id} is reached {reached} times: {routing:#?}");
            // Of targets that share a name none or another one is reached, and the name is reason enough.
            let by_call = matches!(event.trigger, Trigger::DeployRequested(_));
            let agrees = if by_call { reached == 0 || why.is_ok() } else { why.is_ok() == (reached == 1) };
            prop_assert!(agrees, "{id}: {why:?}, and {routing:#?}");
        }
    }

    #[test]
    fn the_order_in_which_targets_were_found_changes_nothing(
        world in world(),
        trigger in any_trigger(),
        turn in 0_usize..6,
    ) {
        let newest = |id: &TargetId| world.found.iter().rfind(|it| it.target == *id).cloned();
        let kept: BTreeSet<TargetId> = world.found.iter().map(|it| it.target.clone()).collect();
        let mut kept: Vec<Discovered> = kept.iter().filter_map(newest).collect();
        let turns = turn.min(kept.len());
        kept.rotate_left(turns);
        let other = World { rules: world.rules.clone(), naming: world.naming.clone(), found: kept };
        let event = event(trigger);
        let routed = |world: &World| world.routes().route(&event, &arrival());
        prop_assert_eq!(routed(&world), routed(&other));
    }
}
