//! The targets and the deployments under way, as readers get them.
//!
//! Of ten thousand targets few change between two snapshots. So what was shown is kept, and only the targets that the
//! planner touched since are asked for anew; the others are shared from one snapshot to the next.
//!
//! What runs is told by two: the planner, which looks when something is asked of a target, and the readings of services, which
//! come now and then, and when ECS tells that something moved. The later of them is shown. Where both say the same, the
//! planner's word is: a look tells more.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    domain::{
        DefinitionId, DeploymentId, DeploymentRecord, HoldRecord, LaneRecord, LaneState, Outcome,
        RunningRecord, Sight, TargetId, TargetRecord, TargetSettings, Timestamp,
    },
    plan::{Planner, Unended},
    route::Routes,
};

/// What was last seen of targets, by readings of their services.
pub(super) type Sights = BTreeMap<TargetId, Sight>;

/// What is shown of every target: those in the settings, those that discovery found, and those that events found by name.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// By name, then by id.
    targets: Arc<Vec<Arc<TargetRecord>>>,
    by_id: BTreeMap<TargetId, Arc<TargetRecord>>,
    /// Those that are known, as they are shown while nothing was asked of them.
    known: BTreeMap<TargetId, Arc<TargetRecord>>,
    /// How those are deployed.
    settings: Arc<BTreeMap<TargetId, Arc<TargetSettings>>>,
    deployments: Arc<BTreeMap<TargetId, Arc<DeploymentRecord>>>,
    /// What waits behind one of those.
    waiting: Arc<BTreeMap<TargetId, Arc<DeploymentRecord>>>,
    /// What the last deployment of each target that succeeded has brought.
    brought: BTreeMap<TargetId, Brought>,
    /// When the planner last looked at targets, by AWS's clock.
    looked: BTreeMap<TargetId, Timestamp>,
}

/// What a deployment has brought. A definition bears the tag of the one that registered it; that new tasks of it were
/// started is written nowhere.
#[derive(Debug)]
struct Brought {
    by: DeploymentId,
    definition: DefinitionId,
    began: Timestamp,
    ended: Timestamp,
}

/// The clock of ECS may be so far from ours.
const SKEW: Duration = Duration::from_secs(2);

/// The two lists that ECS keeps of rollouts may tell times of one that are so far apart.
const SAME_ROLLOUT: Duration = Duration::from_secs(5);

impl Brought {
    fn of(it: &DeploymentRecord) -> Option<Self> {
        let definition = it.definition.clone().filter(|_| it.outcome == Some(Outcome::Succeeded))?;
        Some(Self { by: it.id.clone(), definition, began: it.started_at?, ended: it.finished_at? })
    }

    fn is(&self, running: &RunningRecord) -> bool {
        let is_of_then = |since: Timestamp| since + SKEW >= self.began && since <= self.ended + SKEW;
        running.definition == self.definition && running.since.is_some_and(is_of_then)
    }
}

impl Shown {
    /// The targets that are known, before anything was asked of them.
    pub(super) fn at_rest(routes: &Routes, sights: &Sights) -> Self {
        let refused = routes.all_discovered().filter_map(|(id, why)| Some((id, why?)));
        let refused: BTreeMap<&TargetId, Arc<str>> = refused.collect();
        let record = |id: &TargetId, settings: &TargetSettings| {
            Arc::new(at_rest(id, settings, refused.get(id).map(|why| &**why), sights.get(id)))
        };
        let known = routes.targets().map(|(id, settings)| (id.clone(), record(id, &settings)));
        let known: BTreeMap<TargetId, Arc<TargetRecord>> = known.collect();
        let settings = Arc::new(routes.targets().map(|(id, settings)| (id.clone(), settings)).collect());
        let mut targets: Vec<Arc<TargetRecord>> = known.values().cloned().collect();
        targets.sort_by(|one, other| place(one).cmp(&place(other)));
        let by_id = known.clone();
        let targets = Arc::new(targets);
        Self { targets, by_id, known, settings, ..Self::default() }
    }

    /// Takes in what discovery says of a target: that it is there, is another one, or is gone. One of which something was
    /// asked is shown as the planner has it until it is at rest.
    pub(super) fn know(&mut self, target: &TargetId, routes: &Routes, sights: &Sights) {
        let settings = routes.settings_of(target);
        match &settings {
            Some((settings, _)) => {
                drop(Arc::make_mut(&mut self.settings).insert(target.clone(), Arc::clone(settings)));
            }
            None => drop(Arc::make_mut(&mut self.settings).remove(target)),
        }
        let record = settings
            .map(|(settings, why)| Arc::new(at_rest(target, &settings, why.as_deref(), sights.get(target))));
        let shown = self.by_id.get(target);
        let is_at_rest = shown.is_none_or(|shown| {
            let is_idle = shown.lane.state == LaneState::Idle;
            self.known.get(target) == Some(shown) || (record.is_none() && is_idle)
        });
        let named_anew = record.as_ref().zip(shown).filter(|(known, shown)| known.name != shown.name);
        let named_anew = named_anew
            .map(|(known, shown)| TargetRecord { name: known.name.clone(), ..TargetRecord::clone(shown) });
        match &record {
            Some(record) => drop(self.known.insert(target.clone(), Arc::clone(record))),
            None => drop(self.known.remove(target)),
        }
        if is_at_rest {
            self.replace(target, record);
        } else if let Some(named_anew) = named_anew {
            self.replace(target, Some(Arc::new(named_anew)));
        }
    }

    /// Takes in what a reading showed of a target; says whether that is news. One of which something was asked is shown so as far
    /// as the planner has not looked since.
    pub(super) fn see(&mut self, target: &TargetId, sights: &Sights) -> bool {
        let (Some(sight), Some(shown)) = (sights.get(target), self.by_id.get(target).cloned()) else {
            return false;
        };
        let is_at_rest = self.known.get(target) == Some(&shown);
        if let Some(known) = self.known.get_mut(target)
            && !says(known, sight)
        {
            take_in(Arc::make_mut(known), sight);
        }
        let record = match self.known.get(target).filter(|_| is_at_rest) {
            Some(known) => Arc::clone(known),
            None => Arc::new(self.with_sight(TargetRecord::clone(&shown), sights)),
        };
        let is_news = record != shown;
        self.replace(target, Some(record));
        is_news
    }

    /// Takes in that the planner has looked at a target, at this time by AWS's clock.
    pub(super) fn looked(&mut self, target: &TargetId, at: Timestamp) {
        self.looked.insert(target.clone(), at);
    }

    /// Takes in that a deployment has ended.
    pub(super) fn ended(&mut self, it: &DeploymentRecord) {
        if let Some(brought) = Brought::of(it) {
            self.brought.insert(it.target.clone(), brought);
        }
    }

    /// Takes in that something else holds a target back, or nothing any more.
    pub(super) fn hold(&mut self, target: &TargetId, hold: Option<&HoldRecord>) {
        if let Some(known) = self.known.get_mut(target) {
            Arc::make_mut(known).lane.hold = hold.cloned();
        }
    }

    /// Takes in what changed since; returns the deployments under way that did.
    pub(super) fn follow(&mut self, planner: &mut Planner, sights: &Sights) -> Vec<Arc<DeploymentRecord>> {
        let mut moved = Vec::new();
        for target in planner.take_touched() {
            let (record, unended) = match planner.target(&target) {
                Some((record, unended)) => {
                    (Some(Arc::new(self.with_sight(record, sights))), self.named(&target, unended))
                }
                None => (self.known.get(&target).cloned(), Unended::default()),
            };
            self.replace(&target, record);
            moved.extend(take_over(&mut self.deployments, &target, unended.first));
            moved.extend(take_over(&mut self.waiting, &target, unended.next));
        }
        moved
    }

    /// The same deployments, under the name that the target has now.
    fn named(&self, target: &TargetId, mut unended: Unended) -> Unended {
        if let Some(settings) = self.settings.get(target) {
            for it in [&mut unended.first, &mut unended.next].into_iter().flatten() {
                it.name = settings.name.clone();
            }
        }
        unended
    }

    /// The targets, in the order of names.
    pub(super) fn targets(&self) -> Arc<Vec<Arc<TargetRecord>>> {
        Arc::clone(&self.targets)
    }

    /// How the targets that are known are deployed.
    pub(super) fn settings(&self) -> Arc<BTreeMap<TargetId, Arc<TargetSettings>>> {
        Arc::clone(&self.settings)
    }

    /// The deployments that have not ended.
    pub(super) fn deployments(&self) -> Arc<BTreeMap<TargetId, Arc<DeploymentRecord>>> {
        Arc::clone(&self.deployments)
    }

    /// Those that wait behind one of these.
    pub(super) fn waiting(&self) -> Arc<BTreeMap<TargetId, Arc<DeploymentRecord>>> {
        Arc::clone(&self.waiting)
    }

    /// The planner's record, with what a later reading showed.
    fn with_sight(&self, mut record: TargetRecord, sights: &Sights) -> TargetRecord {
        if let Some(settings) = self.settings.get(&record.id) {
            record.name = settings.name.clone();
        }
        let looked = self.looked.get(&record.id);
        let later = sights.get(&record.id).filter(|it| looked.is_none_or(|at| *at < it.read_at));
        record.rollout = later.and_then(|it| it.rollout.clone()).filter(|_| record.lane.deployment.is_none());
        let seen = later.and_then(|it| it.running.as_ref());
        if let Some(seen) = seen.filter(|seen| !record.running.as_ref().is_some_and(|it| is_same(it, seen))) {
            record.running = Some(seen.clone());
        }
        self.with_bringer(record)
    }

    /// The record, with the deployment that brought what runs.
    fn with_bringer(&self, mut record: TargetRecord) -> TargetRecord {
        let brought = self.brought.get(&record.id);
        if let Some((running, brought)) =
            record.running.as_mut().zip(brought).filter(|(it, brought)| brought.is(it))
        {
            running.by = Some(brought.by.clone());
        }
        record
    }

    fn replace(&mut self, target: &TargetId, record: Option<Arc<TargetRecord>>) {
        let before = self.by_id.get(target);
        if before == record.as_ref() {
            return;
        }
        let targets = Arc::make_mut(&mut self.targets);
        let search = |targets: &[Arc<TargetRecord>], wanted: &TargetRecord| {
            targets.binary_search_by(|it| place(it).cmp(&place(wanted)))
        };
        if let Some(found) = before.and_then(|before| search(targets, before).ok()) {
            match &record {
                Some(record) if place(record) == place(&targets[found]) => {
                    targets[found] = Arc::clone(record);
                }
                Some(_) | None => drop(targets.remove(found)),
            }
        }
        match record {
            Some(record) => {
                if let Err(free) = search(targets, &record) {
                    targets.insert(free, Arc::clone(&record));
                }
                self.by_id.insert(target.clone(), record);
            }
            None => drop(self.by_id.remove(target)),
        }
    }
}

/// Takes in the deployment of a target that has not ended; returns it if it is another one, or has changed.
fn take_over(
    shown: &mut Arc<BTreeMap<TargetId, Arc<DeploymentRecord>>>,
    target: &TargetId,
    now: Option<DeploymentRecord>,
) -> Option<Arc<DeploymentRecord>> {
    match now {
        Some(record) if shown.get(target).is_none_or(|before| **before != record) => {
            let record = Arc::new(record);
            Arc::make_mut(shown).insert(target.clone(), Arc::clone(&record));
            Some(record)
        }
        None if shown.contains_key(target) => {
            Arc::make_mut(shown).remove(target);
            None
        }
        Some(_) | None => None,
    }
}

fn place(record: &TargetRecord) -> (&str, &TargetId) {
    (record.name.as_str(), &record.id)
}

/// A target of which nothing was asked yet; one that is not deployed says why.
fn at_rest(
    id: &TargetId,
    settings: &TargetSettings,
    refused: Option<&str>,
    sight: Option<&Sight>,
) -> TargetRecord {
    let why = refused.map(|why| format!("it is not deployed: {why}"));
    let mut record = TargetRecord {
        id: id.clone(),
        name: settings.name.clone(),
        cluster: id.cluster().clone(),
        service: id.service().clone(),
        running: None,
        rollout: None,
        lane: LaneRecord {
            state: LaneState::Idle,
            deployment: None,
            next: None,
            waiting: 0,
            until: None,
            why,
            hold: None,
        },
    };
    if let Some(sight) = sight {
        take_in(&mut record, sight);
    }
    record
}

/// Whether the record of a target at rest shows what was seen.
fn says(record: &TargetRecord, sight: &Sight) -> bool {
    let hold = sight.hold.as_deref();
    record.running == sight.running && record.rollout == sight.rollout && record.lane.hold.as_ref() == hold
}

fn take_in(record: &mut TargetRecord, sight: &Sight) {
    record.running.clone_from(&sight.running);
    record.rollout.clone_from(&sight.rollout);
    record.lane.hold = sight.hold.as_deref().cloned();
}

/// Whether both tell of the same rollout.
fn is_same(one: &RunningRecord, other: &RunningRecord) -> bool {
    let apart = |(one, other): (Timestamp, Timestamp)| one.since(other).max(other.since(one));
    one.definition == other.definition && one.since.zip(other.since).map(apart) <= Some(SAME_ROLLOUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            CallFailure, Cause, Change, Discovered, HoldKind, LeaseId, Moment, Origin, Refresh, Remedy,
            Request, RolloutRecord, TargetRule, TriggerKind,
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
        let now = Now {
            moment: Moment::from_millis(second * 1_000),
            wall: Timestamp::default(),
            jitter: Jitter(0),
        };
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
            held_since: None,
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
        assert_eq!(
            told(&shown),
            "api idle, mail looking, web looking, (mail is under way), (web is under way)"
        );
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
}
