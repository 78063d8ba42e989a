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
        RunningRecord, Sight, TargetId, TargetName, TargetRecord, TargetSettings, Timestamp,
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
    /// The names that those of them have like others which go by another one for it.
    shared_names: Arc<BTreeMap<TargetId, TargetName>>,
    /// Why those of them are not deployed that are not.
    refused: BTreeMap<TargetId, Arc<str>>,
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
        let refused = routes.all_discovered().filter(|(_, refused)| refused.is_some());
        let refused = refused.filter_map(|(id, _)| Some((id.clone(), routes.settings_of(id)?.1?)));
        let refused: BTreeMap<TargetId, Arc<str>> = refused.collect();
        let record = |id: &TargetId, settings: &TargetSettings| {
            Arc::new(at_rest(id, settings, refused.get(id), sights.get(id)))
        };
        let known = routes.targets().map(|(id, settings)| (id.clone(), record(id, &settings)));
        let known: BTreeMap<TargetId, Arc<TargetRecord>> = known.collect();
        let settings: BTreeMap<TargetId, Arc<TargetSettings>> =
            routes.targets().map(|(id, settings)| (id.clone(), settings)).collect();
        let shared_names = settings
            .iter()
            .filter_map(|(id, settings)| Some((id.clone(), routes.shared_name(id, &settings.name)?)));
        let (shared_names, settings) = (Arc::new(shared_names.collect()), Arc::new(settings));
        let mut targets: Vec<Arc<TargetRecord>> = known.values().cloned().collect();
        targets.sort_by(|one, other| place(one).cmp(&place(other)));
        let by_id = known.clone();
        let targets = Arc::new(targets);
        Self { targets, by_id, known, settings, shared_names, refused, ..Self::default() }
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
        let shared = settings.as_ref().and_then(|(it, _)| routes.shared_name(target, &it.name));
        if self.shared_names.get(target) != shared.as_ref() {
            let names = Arc::make_mut(&mut self.shared_names);
            match shared {
                Some(name) => drop(names.insert(target.clone(), name)),
                None => drop(names.remove(target)),
            }
        }
        match settings.as_ref().and_then(|(_, refused)| refused.clone()) {
            Some(refused) => drop(self.refused.insert(target.clone(), refused)),
            None => drop(self.refused.remove(target)),
        }
        let record = settings.map(|(settings, refused)| {
            Arc::new(at_rest(target, &settings, refused.as_ref(), sights.get(target)))
        });
        let shown = self.by_id.get(target);
        let is_at_rest = shown.is_none_or(|shown| {
            let is_idle = shown.lane.state == LaneState::Idle;
            self.known.get(target) == Some(shown) || (record.is_none() && is_idle)
        });
        let known_anew = record.as_ref().zip(shown).map(|(known, shown)| {
            let mut shown = TargetRecord { name: known.name.clone(), ..TargetRecord::clone(shown) };
            refuse(&mut shown, self.refused.get(target));
            shown
        });
        match &record {
            Some(record) => drop(self.known.insert(target.clone(), Arc::clone(record))),
            None => drop(self.known.remove(target)),
        }
        if is_at_rest {
            self.replace(target, record);
        } else if let Some(known_anew) = known_anew {
            self.replace(target, Some(Arc::new(known_anew)));
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

    /// The names that several of them have, of those that go by another one for it.
    pub(super) fn shared_names(&self) -> Arc<BTreeMap<TargetId, TargetName>> {
        Arc::clone(&self.shared_names)
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
        let refused = self.refused.get(&record.id);
        refuse(&mut record, refused);
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
    refused: Option<&Arc<str>>,
    sight: Option<&Sight>,
) -> TargetRecord {
    let mut record = TargetRecord {
        id: id.clone(),
        name: settings.name.clone(),
        cluster: id.cluster().clone(),
        service: id.service().clone(),
        running: None,
        rollout: None,
        refused: None,
        lane: LaneRecord {
            state: LaneState::Idle,
            deployment: None,
            next: None,
            waiting: 0,
            until: None,
            why: None,
            hold: None,
        },
    };
    refuse(&mut record, refused);
    if let Some(sight) = sight {
        take_in(&mut record, sight);
    }
    record
}

/// Says why this one is not deployed, if it is not. A lane with work says why itself.
fn refuse(record: &mut TargetRecord, refused: Option<&Arc<str>>) {
    record.refused = refused.cloned();
    if record.lane.state == LaneState::Idle {
        record.lane.why = refused.map(|why| format!("it is not deployed: {why}"));
    }
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
mod tests;
