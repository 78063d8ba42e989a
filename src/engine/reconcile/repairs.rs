//! What is put on the queue again, and that this ends.
//!
//! A message may be lost, so it is sent again after a while. But once a deployment of it has ended, whatever became of that,
//! nothing else would come of another one: where the same change is still found missing, it is told, and left to people.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tracing::warn;

use super::{Fate, Lately, Pass, Question, Targets};
use crate::{
    domain::{DeploymentRecord, EventId, Moment, Outcome, TargetId, TargetName},
    engine::renewal,
    inventory::{
        drift::{self, Suspect},
        lost,
    },
};

/// What was put on the queue may be lost, too: so long after, it is put there again.
const REPEAT_AFTER: Duration = Duration::from_hours(1);

/// Of one target so many are remembered; a change that is older than these was rolled out long since.
const MOST_OF_A_TARGET: usize = 64;

/// What was put on the queue for each target, by its event.
#[derive(Debug, Default)]
pub(super) struct Repairs(BTreeMap<TargetId, BTreeMap<EventId, Repair>>);

#[derive(Clone, Copy, Debug)]
struct Repair {
    sent: Moment,
    /// Whether a deployment of it has ended.
    ended: bool,
}

impl Repairs {
    /// Forgets all but these targets.
    pub(super) fn keep_only<'a>(&mut self, targets: impl Iterator<Item = &'a TargetId>) {
        let targets: BTreeSet<&TargetId> = targets.collect();
        self.0.retain(|target, _| targets.contains(target));
    }

    fn get(&self, suspect: &Suspect) -> Option<Repair> {
        self.0.get(&suspect.target)?.get(suspect.key()).copied()
    }

    fn put(&mut self, suspect: &Suspect, repair: Repair) {
        let of_target = self.0.entry(suspect.target.clone()).or_default();
        of_target.insert(suspect.key().clone(), repair);
        let oldest = of_target.iter().min_by_key(|(_, it)| it.sent).map(|(event, _)| event.clone());
        if let Some(oldest) = oldest.filter(|_| of_target.len() > MOST_OF_A_TARGET) {
            of_target.remove(&oldest);
        }
    }

    fn remove(&mut self, target: &TargetId, event: &EventId) {
        if let Some(of_target) = self.0.get_mut(target) {
            of_target.remove(event);
        }
    }
}

impl Pass<'_> {
    /// Forgets what was put on the queue for targets that are not deployed or in dry run, as nothing came of it; and what was
    /// decided about them, once that is over. So it is missing then.
    pub(super) fn forget_what_came_to_nothing(&mut self, targets: &Targets) {
        let Targets { all, refused, were_refused } = targets;
        let rehearse = all.iter().filter(|(_, settings)| settings.dry_run);
        let rehearse: BTreeSet<TargetId> = rehearse.map(|(target, _)| target.clone()).collect();
        let rehearsed = std::mem::replace(&mut self.remembered.rehearsed, rehearse.clone());
        let is_refused = |target: &TargetId| refused.contains(target) || were_refused.contains(target);
        let is_deployed = |target: &&TargetId| !is_refused(target) && !rehearse.contains(*target);
        self.remembered.repairs.keep_only(all.iter().map(|(target, _)| target).filter(is_deployed));
        let is_over = |target: &TargetId| rehearsed.contains(target) && !rehearse.contains(target);
        self.remembered.decided.retain(|(target, _), _| !is_refused(target) && !is_over(target));
    }

    /// Has what a target has not seen put on the queue, unless that was done, and is still to come or of no use. `None` if the
    /// loop has ended.
    pub(super) async fn mend(&mut self, name: &TargetName, suspect: &Suspect) -> Option<Fate> {
        let now = self.of.clock.moment();
        let Some(repair) = self.remembered.repairs.get(suspect) else {
            let what = drift::words(&suspect.event);
            let then = "its event is put on the queue again";
            warn!(service = name.as_str(), "drift: {name} has not seen that {what}; {then}");
            return Some(self.put_again(suspect, now));
        };
        if repair.ended {
            return Some(Fate::Unmended);
        }
        if self.has_ended(suspect).await? {
            self.remembered.repairs.put(suspect, Repair { ended: true, ..repair });
            tell_unmended(name, suspect);
            return Some(Fate::Unmended);
        }
        let is_due = repair.sent + REPEAT_AFTER <= now;
        Some(if is_due { self.put_again(suspect, now) } else { Fate::Missed(Some(repair.sent)) })
    }

    fn put_again(&mut self, suspect: &Suspect, now: Moment) -> Fate {
        self.remembered.repairs.put(suspect, Repair { sent: now, ended: false });
        let fresh = || (suspect.clone(), BTreeSet::new());
        let lost = self.lost.entry(suspect.key().clone()).or_insert_with(fresh);
        lost.1.insert(suspect.target.clone());
        Fate::Missed(Some(now))
    }

    /// Whether a deployment that what was put on the queue asked for has ended.
    async fn has_ended(&self, suspect: &Suspect) -> Option<bool> {
        let target = suspect.target.clone();
        Some(match self.of.ask(|answer| Question::Lately(target, answer)).await? {
            Lately::Busy => false,
            Lately::Ended(told) => told.iter().any(|it| has_tried(it, suspect.key())),
        })
    }

    /// Puts what was lost on the queue, confined to the targets that have not seen it.
    pub(super) async fn repair(&mut self) {
        for (suspect, targets) in std::mem::take(&mut self.lost).into_values() {
            let Some(body) = lost::body(&suspect.event) else { continue };
            let attributes = renewal::confined(suspect.counts, &targets);
            match self.of.queue.send(&body, &attributes).await {
                Ok(_) => self.record.repaired += targets.len(),
                Err(error) => {
                    self.failed(format!("a lost event could not be put on the queue: {error}"));
                    self.remembered.decided.retain(|(target, _), _| !targets.contains(target));
                    for target in &targets {
                        self.remembered.repairs.remove(target, suspect.key());
                    }
                }
            }
        }
    }
}

/// Whether this deployment, which has ended, was to do what an event asked for. A dry run was not.
fn has_tried(record: &DeploymentRecord, event: &EventId) -> bool {
    let is_of_it = record.triggers.iter().any(|origin| origin.event_id == *event);
    is_of_it && record.outcome != Some(Outcome::DryRun)
}

fn tell_unmended(name: &TargetName, suspect: &Suspect) {
    let what = drift::words(&suspect.event);
    let then = "what was put on the queue for that has ended, and did not mend it: it is not put there again";
    warn!(service = name.as_str(), "drift: {name} still has not seen that {what}; {then}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Event, RECONCILE_SOURCE, Timestamp, Trigger, Write},
        inventory::drift::Proof,
        report::sample,
    };

    fn target(service: &str) -> TargetId {
        format!("111122223333/eu-west-1/shop/{service}").parse().expect("valid")
    }

    fn suspect(service: &str, number: usize) -> Suspect {
        let event = Event {
            id: format!("e-{number}").into(),
            source: RECONCILE_SOURCE.into(),
            detail_type: lost::DETAIL_TYPE.into(),
            account: None,
            region: None,
            time: Timestamp::default(),
            replay: None,
            metadata: None,
            trigger: Trigger::ParameterChanged { name: "/a".into(), change: Write::Updated },
        };
        Suspect { target: target(service), event, counts: Timestamp::default(), proof: Proof::Rule }
    }

    fn sent(seconds: u64) -> Repair {
        Repair { sent: Moment::default() + Duration::from_secs(seconds), ended: true }
    }

    #[test]
    fn of_each_target_the_newest_repairs_are_remembered() {
        let mut repairs = Repairs::default();
        repairs.put(&suspect("other", 0), sent(0));
        for number in 0..=MOST_OF_A_TARGET {
            repairs.put(&suspect("api", number), sent(number as u64));
        }
        assert!(repairs.get(&suspect("api", 0)).is_none(), "the oldest had to go");
        assert!(repairs.get(&suspect("api", 1)).is_some() && repairs.get(&suspect("other", 0)).is_some());
    }

    #[test]
    fn those_of_a_target_that_is_gone_are_forgotten() {
        let mut repairs = Repairs::default();
        repairs.put(&suspect("api", 0), sent(0));
        repairs.put(&suspect("other", 0), sent(0));
        repairs.keep_only(std::iter::once(&target("api")));
        assert!(repairs.get(&suspect("api", 0)).is_some() && repairs.get(&suspect("other", 0)).is_none());
    }

    #[test]
    fn a_dry_run_of_what_was_put_on_the_queue_has_not_tried_it() {
        let tried = sample::succeeded();
        let event = &tried.triggers[0].event_id;
        assert!(has_tried(&tried, event) && !has_tried(&tried, suspect("api", 0).key()));
        let rehearsed = DeploymentRecord { outcome: Some(Outcome::DryRun), ..tried.clone() };
        assert!(!has_tried(&rehearsed, event));
    }
}
