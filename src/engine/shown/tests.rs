use super::*;
use crate::{
    domain::{
        CallFailure, Cause, Change, Discovered, HoldKind, LeaseId, Moment, Origin, Refresh, Remedy, Request,
        RolloutRecord, TargetRule, TriggerKind,
    },
    plan::{Arrival, Asks, Input, Jitter, Now, PlanSettings},
};

fn routes(names: &[&str]) -> Routes {
    let rule = |name: &&str| TargetRule {
        account: None,
        region: None,
        cluster: "shop".into(),
        service: (*name).into(),
        repositories: Vec::new(),
        parameters: Vec::new(),
        secrets: Vec::new(),
        files: Vec::new(),
        settings: Arc::new(TargetSettings::named((*name).into())),
    };
    Routes::new("111122223333".into(), "eu-west-1".into(), names.iter().map(rule).collect(), None)
}

#[test]
fn new_tasks_are_said_to_be_of_the_deployment_that_started_them() {
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
    let brought =
        Brought { by: "d-2".into(), definition: "f:1".parse().unwrap(), began: at(100), ended: at(110) };
    let running = |definition: &str, since| RunningRecord {
        definition: definition.parse().unwrap(),
        images: Arc::default(),
        since: Some(at(since)),
        by: None,
    };
    assert!(brought.is(&running("f:1", 101)) && brought.is(&running("f:1", 99)));
    for other in [running("f:2", 101), running("f:1", 90), running("f:1", 130)] {
        assert!(!brought.is(&other), "{other:?}");
    }
}

fn target(service: &str) -> TargetId {
    TargetId::new("111122223333".into(), "eu-west-1".into(), "shop".into(), service.into())
}

fn tell(planner: &mut Planner, second: u64, input: Input) {
    let now =
        Now { moment: Moment::from_millis(second * 1_000), wall: Timestamp::default(), jitter: Jitter(0) };
    planner.handle(now, input);
}

fn ask(planner: &mut Planner, lease: u64, service: &str) {
    let origin = Origin {
        kind: TriggerKind::DeployRequested,
        event_id: "e".into(),
        reason: "asked".into(),
        by: None,
        replayed_by: None,
        metadata: None,
    };
    let request = Request {
        target: target(service),
        change: Change::Refresh(Refresh::Restart),
        version: Timestamp::default(),
        floor: Timestamp::default(),
        settings: Arc::new(TargetSettings::named(service.into())),
        guessed: false,
        origin: Arc::new(origin),
    };
    let message = format!("m-{lease}");
    let arrival = Arrival {
        lease: LeaseId(lease),
        message: message.as_str().into(),
        event: message.as_str().into(),
        expires: Moment::from_millis(600_000),
        is_again: false,
        asks: Asks::Changes(vec![request]),
    };
    tell(planner, 0, Input::Arrived(arrival));
}

fn told(shown: &Shown) -> String {
    let lanes = shown.targets.iter().map(|it| format!("{} {}", it.name, it.lane.state.as_str()));
    let deployments = shown.deployments.values().map(|it| format!("({} is under way)", it.name));
    lanes.chain(deployments).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_is_shown_follows_the_planner_and_shares_what_did_not_change() {
    let mut planner = Planner::new(PlanSettings::new(Duration::from_mins(1)));
    let mut shown = Shown::at_rest(&routes(&["web", "api"]), &Sights::new());
    shown.follow(&mut planner, &Sights::new());
    assert_eq!(told(&shown), "api idle, web idle");
    let before = shown.targets();
    shown.follow(&mut planner, &Sights::new());
    assert!(Arc::ptr_eq(&before, &shown.targets), "nothing changed");

    ask(&mut planner, 1, "web");
    ask(&mut planner, 2, "mail");
    shown.follow(&mut planner, &Sights::new());
    assert_eq!(told(&shown), "api idle, mail quiet, web quiet, (mail is under way), (web is under way)");
    assert!(Arc::ptr_eq(&before[0], &shown.targets[0]), "nothing was asked of api");

    tell(&mut planner, 6, Input::Wakeup);
    shown.follow(&mut planner, &Sights::new());
    assert_eq!(told(&shown), "api idle, mail looking, web looking, (mail is under way), (web is under way)");
}

fn discovered(service: &str, refused: Option<&str>) -> Discovered {
    Discovered {
        target: target(service),
        settings: Arc::new(TargetSettings::named(service.into())),
        refused: refused.map(Into::into),
        dependencies: Vec::new(),
    }
}

#[test]
fn what_discovery_finds_is_shown_and_what_is_gone_is_not_but_for_what_is_asked_of_it() {
    let mut planner = Planner::new(PlanSettings::new(Duration::from_mins(1)));
    let mut routes = routes(&["web"]);
    routes.learn(discovered("early", None));
    let mut shown = Shown::at_rest(&routes, &Sights::new());
    assert_eq!(told(&shown), "early idle, web idle");
    for found in [discovered("api", Some("switched off")), discovered("web", Some("its rule wins"))] {
        let target = found.target.clone();
        routes.learn(found);
        shown.know(&target, &routes, &Sights::new());
    }
    assert_eq!(told(&shown), "api idle, early idle, web idle");
    let why: Vec<Option<&str>> = shown.targets.iter().map(|it| it.lane.why.as_deref()).collect();
    assert_eq!(why, [Some("it is not deployed: switched off"), None, None]);

    ask(&mut planner, 1, "api");
    shown.follow(&mut planner, &Sights::new());
    for name in ["api", "early", "web"] {
        routes.forget(&target(name));
        shown.know(&target(name), &routes, &Sights::new());
    }
    assert_eq!(told(&shown), "api quiet, web idle, (api is under way)");
}

#[test]
fn a_target_that_was_deployed_says_why_it_is_so_no_more_until_that_is_mended() {
    let mut planner = Planner::new(PlanSettings::new(Duration::from_mins(1)));
    let (mut routes, sights) = (routes(&[]), Sights::new());
    routes.learn(discovered("api", None));
    let mut shown = Shown::at_rest(&routes, &sights);
    see(&mut shown, &mut Sights::new(), sight("api", 1, "api:1"));
    // What a look of the planner leaves behind differs from what a reading shows.
    shown.replace(
        &target("api"),
        Some(Arc::new(TargetRecord { running: None, ..(*shown.by_id[&target("api")]).clone() })),
    );
    let know = |shown: &mut Shown, routes: &mut Routes, refused| {
        routes.learn(discovered("api", refused));
        shown.know(&target("api"), routes, &sights);
        let it = &shown.by_id[&target("api")];
        (it.refused.as_deref().map(str::to_owned), it.lane.why.clone())
    };
    let off = Some("it is not deployed: switched off".into());
    assert_eq!(know(&mut shown, &mut routes, Some("switched off")), (Some("switched off".into()), off));
    assert_eq!(know(&mut shown, &mut routes, None), (None, None));
    ask(&mut planner, 1, "api");
    know(&mut shown, &mut routes, Some("switched off"));
    shown.follow(&mut planner, &sights);
    let it = &shown.by_id[&target("api")];
    let told = (it.refused.as_deref(), it.lane.why.as_deref());
    assert_eq!(told, (Some("switched off"), Some("more may come")), "something is under way");
}

fn sight(service: &str, at: i64, runs: &str) -> Sight {
    let running = RunningRecord {
        definition: runs.parse().unwrap(),
        images: Arc::default(),
        since: Some(Timestamp::from_millis(at * 1_000)),
        by: None,
    };
    let read_at = Timestamp::from_millis(at * 1_000);
    Sight { target: target(service), read_at, running: Some(running), rollout: None, hold: None }
}

fn under_way(sight: Sight, definition: &str) -> Sight {
    let (id, definition) = ("ecs-svc/9".into(), definition.parse().unwrap());
    let rollout = RolloutRecord { id, definition, since: sight.read_at, by: None };
    Sight { rollout: Some(Box::new(rollout)), ..sight }
}

/// As `web api:1, api:2 under way`.
fn runs(shown: &Shown) -> String {
    let of = |it: &Arc<TargetRecord>| {
        let running = it.running.as_ref().map_or("-".into(), |it| it.definition.to_string());
        let rollout = it.rollout.as_ref().map(|it| format!(" > {}", it.definition)).unwrap_or_default();
        format!("{} {running}{rollout}", it.name)
    };
    shown.targets.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn see(shown: &mut Shown, sights: &mut Sights, sight: Sight) -> bool {
    let target = sight.target.clone();
    sights.insert(target.clone(), sight);
    shown.see(&target, sights)
}

#[test]
fn who_gets_a_namesake_is_shown_under_another_name_whatever_is_asked_of_it() {
    let mut planner = Planner::new(PlanSettings::new(Duration::from_mins(1)));
    let mut routes = routes(&[]);
    routes.learn(discovered("api", None));
    let (mut shown, sights) = (Shown::at_rest(&routes, &Sights::new()), Sights::new());
    ask(&mut planner, 1, "api");
    shown.follow(&mut planner, &sights);
    assert_eq!(told(&shown), "api quiet, (api is under way)");
    let (account, region) = routes.home();
    let namesake = TargetId::new(account, region, "mail".into(), "api".into());
    routes.learn(Discovered { target: namesake.clone(), ..discovered("api", None) });
    for target in routes.renamed_by(&namesake).into_iter().chain([namesake]) {
        shown.know(&target, &routes, &sights);
    }
    assert_eq!(told(&shown), "mail/api idle, shop/api quiet, (api is under way)");
    tell(&mut planner, 6, Input::Wakeup);
    shown.follow(&mut planner, &sights);
    assert_eq!(told(&shown), "mail/api idle, shop/api looking, (shop/api is under way)");
}

#[test]
fn what_holds_a_target_back_is_shown_before_anybody_looks_at_it() {
    let paused = HoldRecord { kind: HoldKind::Paused, by: None, since: None, reason: None };
    let routes = routes(&["web", "api"]);
    let held = || Sight { hold: Some(Box::new(paused.clone())), ..sight("web", 1, "web:1") };
    let mut sights = Sights::from([(target("web"), held())]);
    let mut shown = Shown::at_rest(&routes, &sights);
    let holds = |shown: &Shown| shown.targets.iter().map(|it| it.lane.hold.clone()).collect::<Vec<_>>();
    assert_eq!(holds(&shown), [None, Some(paused.clone())]);
    assert!(see(&mut shown, &mut sights, sight("web", 2, "web:1")));
    assert_eq!(holds(&shown), [None, None]);
    shown.hold(&target("api"), Some(&paused));
    shown.know(&target("web"), &routes, &sights);
    assert_eq!(shown.known[&target("api")].lane.hold, Some(paused));
}

#[test]
fn what_a_reading_shows_to_run_is_shown_of_a_target_of_which_nothing_was_asked() {
    let (routes, mut sights) = (routes(&["web", "api"]), Sights::new());
    sights.insert(target("web"), sight("web", 1, "web:1"));
    let mut shown = Shown::at_rest(&routes, &sights);
    assert_eq!(runs(&shown), "api -, web web:1");
    assert!(see(&mut shown, &mut sights, under_way(sight("web", 1, "web:1"), "web:2")));
    assert!(see(&mut shown, &mut sights, sight("api", 2, "api:7")));
    assert_eq!(runs(&shown), "api api:7, web web:1 > web:2");
    let again = Sight { read_at: Timestamp::from_millis(9_000), ..sight("api", 2, "api:7") };
    assert!(!see(&mut shown, &mut sights, again), "nothing is new");
    assert!(see(&mut shown, &mut sights, sight("web", 3, "web:2")));
    assert_eq!(runs(&shown), "api api:7, web web:2");
    assert!(!see(&mut shown, &mut sights, sight("stranger", 3, "s:1")));
}

#[test]
fn the_later_of_a_look_and_a_reading_is_shown() {
    let mut planner = Planner::new(PlanSettings::new(Duration::from_mins(1)));
    let (routes, mut sights) = (routes(&["web"]), Sights::new());
    let mut shown = Shown::at_rest(&routes, &sights);
    ask(&mut planner, 1, "web");
    see(&mut shown, &mut sights, under_way(sight("web", 10, "web:1"), "web:2"));
    shown.follow(&mut planner, &sights);
    assert_eq!(runs(&shown), "web web:1 > web:2", "nobody has looked yet");
    shown.looked(&target("web"), Timestamp::from_millis(20_000));
    tell(&mut planner, 6, Input::Wakeup);
    shown.follow(&mut planner, &sights);
    assert_eq!(runs(&shown), "web -", "the look saw nothing run");
    assert!(see(&mut shown, &mut sights, sight("web", 21, "web:2")));
    assert_eq!(runs(&shown), "web web:2");
    assert!(!see(&mut shown, &mut sights, sight("web", 19, "web:1")), "it is older");
}

#[test]
fn where_a_reading_says_the_same_as_a_look_that_is_left_as_it_is() {
    let at = |second: i64| RunningRecord {
        definition: "web:1".parse().unwrap(),
        images: Arc::default(),
        since: Some(Timestamp::from_millis(second * 1_000)),
        by: None,
    };
    assert!(is_same(&at(10), &at(14)) && !is_same(&at(10), &at(16)));
    assert!(!is_same(&at(10), &RunningRecord { definition: "web:2".parse().unwrap(), ..at(10) }));
}

#[test]
fn a_target_that_turns_out_not_to_exist_leaves_only_what_the_settings_name() {
    let mut planner = Planner::new(PlanSettings::new(Duration::from_mins(1)));
    let mut shown = Shown::at_rest(&routes(&["web"]), &Sights::new());
    for (lease, service) in [(1, "web"), (2, "mail")] {
        ask(&mut planner, lease, service);
    }
    tell(&mut planner, 6, Input::Wakeup);
    shown.follow(&mut planner, &Sights::new());
    assert_eq!(shown.targets.len(), 2);
    for service in ["web", "mail"] {
        let reason = String::from("no such cluster");
        let look = Err(CallFailure { cause: Cause::TargetMissing, reason, remedy: Remedy::GiveUp });
        tell(&mut planner, 7, Input::Looked { target: target(service), look });
    }
    shown.follow(&mut planner, &Sights::new());
    assert_eq!((told(&shown).as_str(), shown.by_id.len()), ("web idle", 1));
}

#[test]
fn the_name_that_several_have_is_kept_beside_what_they_are_called() {
    let mut routes = Routes::new("111122223333".into(), "eu-west-1".into(), Vec::new(), None);
    let of = |service: &str| Discovered {
        target: target(service),
        settings: Arc::new(TargetSettings::named("ship".into())),
        refused: None,
        dependencies: Vec::new(),
    };
    routes.learn(of("one"));
    let mut shown = Shown::at_rest(&routes, &Sights::new());
    assert!(shown.shared_names().is_empty());
    routes.learn(of("two"));
    for it in ["one", "two"] {
        shown.know(&target(it), &routes, &Sights::new());
    }
    let both = [(target("one"), "ship".into()), (target("two"), "ship".into())];
    assert_eq!(*shown.shared_names(), both.clone().into());
    assert_eq!(*Shown::at_rest(&routes, &Sights::new()).shared_names(), both.into());
    routes.forget(&target("two"));
    for it in ["one", "two"] {
        shown.know(&target(it), &routes, &Sights::new());
    }
    assert!(shown.shared_names().is_empty());
}
