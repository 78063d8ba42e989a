//! What wins over what was found.

use super::*;

/// Everything that an event of ours can reach `api` by.
fn all_kinds() -> Discovered {
    let dependencies = [runs("found", "web"), reads("/found"), reads_secret("found"), loads("b", "found")];
    found("api", dependencies)
}

fn kinds_of(name: &str) -> [Trigger; 4] {
    [push(name, "1"), parameter(&format!("/{name}")), secret(name), object("b", name)]
}

/// By which of the four kinds these routes are reached, and by what their targets are called then.
fn reached_by(routes: &Routes, name: &str) -> Vec<Option<String>> {
    let called = |trigger| {
        let routing = routes.route(&event(trigger), &arrival());
        assert!(routing.requests.len() <= 1, "{routing:?}");
        routing.requests.first().map(|request| request.settings.name.to_string())
    };
    kinds_of(name).map(called).into()
}

#[test]
fn of_each_kind_that_a_rule_lists_its_list_is_all_that_counts() {
    let mine = || Some("mine".to_owned());
    let plain = rule_of("api");
    let lists: [(TargetRule, usize); 4] = [
        (TargetRule { repositories: globs(&["listed"]), ..plain.clone() }, 0),
        (TargetRule { parameters: globs(&["/listed"]), ..plain.clone() }, 1),
        (TargetRule { secrets: globs(&["listed"]), ..plain.clone() }, 2),
        (TargetRule { files: vec![file("b", "listed")], ..plain.clone() }, 3),
    ];
    assert_eq!(reached_by(&knowing(explicit([plain]), [all_kinds()]), "found"), vec![mine(); 4]);
    for (rule, kind) in lists {
        let routes = knowing(explicit([rule]), [all_kinds()]);
        let (mut found, mut listed) = (vec![mine(); 4], vec![None; 4]);
        found[kind] = None;
        listed[kind] = mine();
        assert_eq!(reached_by(&routes, "found"), found);
        assert_eq!(reached_by(&routes, "listed"), listed);
        let note = &lines(&routes, &event(kinds_of("found")[kind].clone()))[0];
        assert!(note.ends_with("; the rule of mine lists others"), "{note}");
    }
}

#[test]
fn a_rule_that_lists_what_was_found_too_is_asked_once() {
    let rule = TargetRule { repositories: globs(&["found"]), files: vec![file("b", "*")], ..rule_of("api") };
    let routes = knowing(explicit([rule]), [all_kinds()]);
    assert_eq!(reached_by(&routes, "found"), vec![Some("mine".to_owned()); 4]);
    assert_eq!(routes.targets().count(), 1);
}

#[test]
fn the_rules_settings_hold_and_the_tags_of_its_service_do_not_count() {
    let rule = with(rule_of("api"), |settings| settings.container = Some("side".into()));
    let tagged = refused("its owner says so", set(all_kinds(), |it| it.container = Some("web".into())));
    let routes = knowing(explicit([rule]), [tagged]);
    assert_eq!(lines(&routes, &event(parameter("/found"))), ["api: restart"]);
    assert_eq!(lines(&routes, &event(push("found", "1"))), ["() no target runs images of found"]);
    assert_eq!(routes.resolve("api").expect("by ECS's name").1.name.as_str(), "mine");
    assert_eq!(routes.all_discovered().map(|(_, refused)| refused).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_service_that_naming_finds_keeps_its_settings_and_is_found_by_its_definition_too() {
    let it =
        refused("its owner says so", dev_api([runs("other", "web"), reads("/other"), reads_secret("s")]));
    let routes = knowing(named(naming()), [it]);
    for trigger in [
        push("chubby_service_api", "1"),
        push("other", "1"),
        parameter("/dev/chubby/api/KEY"),
        parameter("/other"),
        secret("s"),
        requested("api"),
    ] {
        let routing = routes.route(&event(trigger.clone()), &arrival());
        assert_eq!(routing.requests.len(), 1, "{trigger:?}");
        let request = &routing.requests[0];
        assert_eq!((request.settings.name.as_str(), request.guessed), ("api", false), "{trigger:?}");
        assert_eq!(request.settings.on_push, OnPush::Always);
    }
}

#[test]
fn what_pattern_and_definition_both_find_is_asked_once() {
    let routes = knowing(
        named(naming()),
        [dev_api([runs("chubby_service_api", "web"), reads("/dev/chubby/api/KEY")]), found("web", [])],
    );
    assert_eq!(lines(&routes, &event(parameter("/dev/chubby/api/KEY"))), [format!("{DEV_API}: restart")]);
    let pushed = routes.route(&event(push("chubby_service_api", "1")), &arrival());
    assert_eq!(pushed.requests.len(), 1);
}

#[test]
fn the_files_that_naming_maps_are_all_that_count_for_a_service() {
    let files = [("api".into(), vec![file("b", "mapped")])];
    let maps = |files| Naming { files, ..naming() };
    let it = || dev_api([loads("b", "found")]);
    let reached = |naming, key| {
        knowing(named(naming), [it()]).route(&event(object("b", key)), &arrival()).requests.len()
    };
    assert_eq!(reached(maps(files.clone().into()), "mapped"), 1);
    assert_eq!(reached(maps(files.into()), "found"), 0);
    assert_eq!(reached(maps([("api".into(), vec![])].into()), "found"), 1);
    assert_eq!(reached(naming(), "found"), 1);
}

#[test]
fn a_service_of_another_place_or_cluster_is_not_taken_for_one_that_the_pattern_names() {
    let tagged = |it| called("tagged", it);
    let far = Discovered {
        target: format!("999900001111/us-east-1/chubby_cluster_dev/{DEV_API}").parse().expect("an id"),
        ..tagged(dev_api([reads("/other")]))
    };
    for it in [far, tagged(found(DEV_API, [reads("/other")]))] {
        let routing = knowing(named(naming()), [it]).route(&event(parameter("/other")), &arrival());
        assert_eq!(routing.requests[0].settings.name.as_str(), "tagged");
    }
}

#[test]
fn a_refused_one_is_reached_and_told_with_the_reason() {
    let routes = only([
        refused("its tag lockkeeper:tags is not a tag policy", all_kinds()),
        found("web", [reads("/found")]),
    ]);
    let note = "(api) api is not deployed: its tag lockkeeper:tags is not a tag policy";
    assert_eq!(lines(&routes, &event(parameter("/found"))), ["web: restart", note]);
    for trigger in [push("found", "1"), secret("found"), object("b", "found"), requested("api")] {
        assert_eq!(lines(&routes, &event(trigger)), [note]);
    }
    assert_eq!(lines(&routes, &event(sign(Some("shop"), "api"))), ["api: look"]);
    assert!(routes.resolve("api").is_some());
    let refusals: Vec<bool> = routes.all_discovered().map(|(_, refused)| refused.is_some()).collect();
    assert_eq!((refusals, routes.targets().count()), (vec![true, false], 2));
}

#[test]
fn a_new_parameter_reaches_only_targets_that_name_it_where_that_is_known() {
    let created = |name: &str| Trigger::ParameterChanged { name: name.into(), change: Write::Created };
    let rule = |service: &str, parameter: &str| {
        let settings = Arc::new(TargetSettings::named(service.into()));
        TargetRule { settings, parameters: vec![Glob::new(parameter)], ..rule_of(service) }
    };
    let rules =
        [rule("unknown", "/w/*"), rule("other", "/w/*"), rule("reader", "/w/*"), rule("listed", "/w/NEW")];
    let known = ["other", "listed"].map(|service| found(service, [reads("/w/OLD")]));
    let routes = knowing(explicit(rules), known.into_iter().chain([found("reader", [reads("/w/NEW")])]));
    let why = "(other) other is not deployed: parameter /w/NEW was created, and its running definition does not name it";
    let mut told = lines(&routes, &event(created("/w/NEW")));
    told.sort();
    assert_eq!(told, [why, "listed: restart", "reader: restart", "unknown: restart"]);
    assert_eq!(lines(&routes, &event(parameter("/w/NEW"))).len(), 4);
}

#[test]
fn a_new_parameter_restarts_what_only_its_name_leads_to_unless_its_definition_is_known_to_name_others() {
    let created = Trigger::ParameterChanged { name: "/dev/chubby/api/NEW".into(), change: Write::Created };
    let routes = named(naming());
    assert_eq!(lines(&routes, &event(created.clone())), ["chubby_service_api_dev: restart"]);
    let it = in_cluster("chubby_cluster_dev", found(DEV_API, [reads("/dev/chubby/api/OLD")]));
    let routes = knowing(routes, [it]);
    let told = lines(&routes, &event(created));
    assert!(told[0].contains("its running definition does not name it") && told.len() == 1, "{told:?}");
}
