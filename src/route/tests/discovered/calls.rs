//! What people and ECS call by name.

use super::*;
use crate::domain::{HookHint, Wanted};

#[test]
fn a_found_target_is_called_by_its_name_its_id_or_ecs_name() {
    let routes = only([called("api", found("shop-api", [])), found("web", [])]);
    for name in ["api", "shop-api", "111122223333/eu-west-1/shop/shop-api"] {
        assert_eq!(lines(&routes, &event(requested(name))), ["shop-api: restart"], "{name}");
        assert_eq!(routes.resolve(name).expect("known").1.name.as_str(), "api");
    }
    let none = "() no target is called `db`; discovery knows 2";
    assert_eq!(lines(&routes, &event(requested("db"))), [none]);
    for name in ["", "API", "111122223333/eu-west-1/other/shop-api"] {
        assert!(routes.resolve(name).is_none(), "{name}");
    }
}

#[test]
fn a_name_that_several_found_targets_have_deploys_none() {
    let routes = only([found("api", []), in_cluster("test", found("api", []))]);
    assert_eq!(
        lines(&routes, &event(requested("api"))),
        ["() `api` means several targets, ask for one of shop/api, test/api"]
    );
    let by_id = event(requested("111122223333/eu-west-1/test/api"));
    assert_eq!(lines(&routes, &by_id), ["api: restart"]);
    assert!(routes.route(&event(requested("api")), &arrival()).unclear);
    assert!(!routes.route(&by_id, &arrival()).unclear);
    assert!(!routes.route(&event(requested("db")), &arrival()).unclear);
}

#[test]
fn a_request_that_was_kept_for_one_of_several_of_that_name_is_for_that_one() {
    let routes = only([found("api", []), in_cluster("test", found("api", []))]);
    let kept: TargetId = "111122223333/eu-west-1/test/api".parse().expect("an id");
    let arrival = Arrival { confined_to: Some([kept.clone()].into()), ..arrival() };
    let routing = routes.route(&event(requested("api")), &arrival);
    assert_eq!(routing.requests.iter().map(|it| &it.target).collect::<Vec<_>>(), [&kept]);
    assert!(!routing.unclear && routing.notes.is_empty());
}

#[test]
fn where_all_of_that_name_are_switched_off_a_request_asks_nothing() {
    let off = |found: Discovered| Discovered { refused: Some("switched off".into()), ..found };
    let one = in_cluster("test", found("api", []));
    let routes = only([off(found("api", [])), off(one.clone())]);
    let routing = routes.route(&event(requested("api")), &arrival());
    assert!(!routing.unclear && routing.notes.len() == 2, "{routing:?}");
    let one_is_on = only([off(found("api", [])), one]);
    assert!(one_is_on.route(&event(requested("api")), &arrival()).unclear);
}

#[test]
fn where_nobody_is_known_that_is_said() {
    let lines = lines(&only([]), &event(requested("api")));
    assert_eq!(lines, ["() no target is called `api`; none is known"]);
}

#[test]
fn of_several_with_one_name_each_is_called_so_that_it_is_told_from_the_others_and_found_by_that() {
    let elsewhere = |mut it: Discovered| {
        it.target = TargetId::new(
            "444455556666".into(),
            "eu-west-1".into(),
            it.target.cluster().clone(),
            it.target.service().clone(),
        );
        it
    };
    let mail = || in_cluster("mail", found("api", []));
    let mut routes = only([found("api", []), mail(), elsewhere(mail()), found("web", [])]);
    let names =
        |routes: &Routes| routes.targets().map(|(_, settings)| settings.name.to_string()).collect::<Vec<_>>();
    let ids = ["111122223333/eu-west-1/mail/api", "444455556666/eu-west-1/mail/api"];
    assert_eq!(names(&routes), [ids[0], "shop/api", "web", ids[1]]);
    for (id, settings) in routes.targets().map(|(id, it)| (id.clone(), it)).collect::<Vec<_>>() {
        let (meant, known_as) = routes.resolve(settings.name.as_str()).expect("its name leads to it");
        assert_eq!((meant, &known_as.name), (id, &settings.name));
    }
    // With each that goes, the others may be called more shortly.
    let there: TargetId = ids[1].parse().unwrap();
    let here: TargetId = ids[0].parse().unwrap();
    let renamed = routes.renamed_by(&there);
    assert_eq!(renamed.as_slice(), std::slice::from_ref(&here), "with two others, `shop/api` stays");
    routes.forget(&there);
    assert_eq!(names(&routes), ["mail/api", "shop/api", "web"]);
    assert_eq!(routes.renamed_by(&here).len(), 1);
    routes.forget(&here);
    assert_eq!(names(&routes), ["api", "web"]);
    assert!(routes.resolve("shop/api").is_some_and(|(_, settings)| settings.name.as_str() == "api"));
}

#[test]
fn a_name_that_the_settings_give_stays_theirs() {
    let routes = knowing(explicit([rule("api")]), [found("api", []), in_cluster("mail", found("api", []))]);
    let names: Vec<String> = routes.targets().map(|(_, settings)| settings.name.to_string()).collect();
    assert_eq!(names, ["api", "mail/api", "111122223333/eu-west-1/shop/api"]);
    assert_eq!(routes.resolve("api").expect("the rule's").0.service().as_str(), "api-service");
    assert_eq!(routes.resolve("mail/api").expect("the other").0.cluster().as_str(), "mail");
}

#[test]
fn a_name_counts_before_what_ecs_calls_another() {
    let routes = only([called("api", found("shop-api", [])), called("web", found("api", []))]);
    assert_eq!(routes.resolve("api").expect("by its name").0.service().as_str(), "shop-api");
    assert_eq!(routes.resolve("web").expect("by its name").0.service().as_str(), "api");
}

#[test]
fn a_rule_is_meant_before_what_was_found() {
    let routes =
        knowing(explicit([rule("api")]), [found("api", []), in_cluster("x", found("api-service", []))]);
    for name in ["api", "api-service"] {
        let (id, _) = routes.resolve(name).expect("the rule's");
        assert_eq!(id.to_string(), "111122223333/eu-west-1/shop/api-service");
    }
}

#[test]
fn the_name_that_tags_give_to_a_service_of_a_rule_or_pattern_means_nothing() {
    let ruled = knowing(explicit([rule_of("api")]), [called("tagged", found("api", []))]);
    assert!(ruled.resolve("tagged").is_none());
    let by_pattern = knowing(named(naming()), [called("tagged", dev_api([]))]);
    let (id, _) = by_pattern.resolve("tagged").expect("the pattern guesses");
    assert_eq!(id.service().as_str(), "chubby_service_tagged_dev");
}

#[test]
fn the_pattern_is_meant_first_where_its_service_is_known() {
    let routes = knowing(named(naming()), [dev_api([]), found("api", []), found("web", [])]);
    assert_eq!(routes.resolve("api").expect("the pattern's").0.service().as_str(), DEV_API);
    assert_eq!(
        lines(&routes, &event(requested("web"))),
        [
            "() `web` means several targets, ask for one of 111122223333/eu-west-1/chubby_cluster_dev/chubby_service_web_dev, 111122223333/eu-west-1/shop/web"
        ]
    );
    assert_eq!(lines(&routes, &event(requested("111122223333/eu-west-1/shop/web"))), ["web: restart"]);
    let by_id = format!("111122223333/eu-west-1/chubby_cluster_dev/{DEV_API}");
    assert_eq!(routes.resolve(&by_id).expect("known").1.name.as_str(), "api");
}

#[test]
fn a_tag_alone_is_of_the_only_repository_that_the_definition_names() {
    let asked = |routes: &Routes| {
        let wanted = Wanted::Tag("v1".into());
        let routing = routes
            .route(&event(Trigger::DeployRequested(DeployRequest { wanted, ..request("api") })), &arrival());
        let Change::Image(change) = &routing.requests[0].change else { panic!("{routing:?}") };
        change.source.repository.as_ref().map(ToString::to_string)
    };
    let api = || Some("shop/api".to_owned());
    let one = found("api", [runs("shop/api", "web"), runs("shop/api", "worker"), reads("/K")]);
    let two = found("api", [runs("shop/api", "web"), runs("proxy", "proxy")]);
    let of_two = [runs("shop/api", "web"), runs_of(None, "shop/api", "worker")];
    let in_web = set(two.clone(), |settings| settings.container = Some("web".into()));
    for (it, repository) in [
        (one, api()),
        (in_web, api()),
        (two.clone(), None),
        (found("api", of_two), None),
        (found("api", []), None),
    ] {
        assert_eq!(asked(&only([it.clone()])), repository, "{it:?}");
    }
    let ruled = |repositories: &[&str], container: Option<&str>| {
        let rule = TargetRule { repositories: globs(repositories), ..rule_of("api") };
        let rule = with(rule, |settings| settings.container = container.map(Into::into));
        asked(&knowing(explicit([rule]), [two.clone()]))
    };
    assert_eq!(ruled(&[], Some("web")), api());
    assert_eq!(ruled(&["listed"], Some("web")), Some("listed".into()));
    assert_eq!(ruled(&["a", "b"], Some("web")), None);
}

#[test]
fn ecs_tells_of_found_services_in_their_own_account_region_and_cluster() {
    let routes =
        only([found("api", []), in_cluster("test", found("api", [])), called("api", found("web", []))]);
    let of = |cluster| lines(&routes, &event(sign(cluster, "api")));
    assert_eq!(of(Some("shop")), ["api: look"]);
    assert_eq!(of(None), ["api: look", "api: look"]);
    assert!(routes.route(&elsewhere(sign(None, "api")), &arrival()).hints.is_empty());
    let known = routes.route(&event(sign(Some("shop"), "api")), &arrival());
    assert_eq!(known.hints[0].cluster().as_str(), "shop");
    assert_eq!(known.strangers, []);
}

#[test]
fn a_service_that_settings_and_discovery_know_is_hinted_once() {
    let routes = knowing(explicit([rule_of("api")]), [found("api", [])]);
    assert_eq!(lines(&routes, &event(sign(Some("shop"), "api"))), ["api: look"]);
    let routes = knowing(named(naming()), [dev_api([])]);
    assert_eq!(lines(&routes, &event(sign(None, DEV_API))), [format!("{DEV_API}: look")]);
}

#[test]
fn a_service_that_nobody_knows_is_told_with_its_id() {
    let routes = knowing(explicit([rule_of("ruled")]), [found("api", [])]);
    let strangers = |event: &Event| routes.route(event, &arrival()).strangers;
    let new = event(sign(Some("shop"), "new"));
    assert_eq!(
        lines(&routes, &new),
        ["() service new in cluster shop in 111122223333/eu-west-1 is not one of ours"]
    );
    let id: TargetId = "111122223333/eu-west-1/shop/new".parse().expect("an id");
    assert_eq!(strangers(&new), [id]);
    for known in ["api", "ruled"] {
        assert_eq!(strangers(&event(sign(Some("shop"), known))), []);
        assert_eq!(
            strangers(&event(sign(Some("other"), known))).len(),
            1,
            "of another cluster it is another"
        );
        assert_eq!(
            strangers(&elsewhere(sign(Some("shop"), known))).len(),
            1,
            "of another account it is another"
        );
    }
    for unclear in [
        event(sign(None, "new")),
        Event { account: None, ..new.clone() },
        Event { region: None, ..new.clone() },
        event(sign(Some("shop"), "a/b")),
        event(sign(Some(""), "new")),
    ] {
        assert_eq!((strangers(&unclear), routes.route(&unclear, &arrival()).notes.len()), (vec![], 1));
    }
    let waits = Trigger::HookWaiting(HookHint {
        cluster: Some("shop".into()),
        service: "new".into(),
        hook: "hook".into(),
        stage: "POST_SCALE_UP".into(),
        expires_at: None,
    });
    assert_eq!(strangers(&event(waits)).len(), 1);
    assert_eq!(strangers(&event(requested("new"))), []);
}
