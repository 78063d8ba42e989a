//! P1: one at a time.

use serde_json::Value;

use super::{
    Broken,
    facts::{Facts, Over, Rollout},
};
use crate::{
    estate::{TARGETS, TIMEOUT_MS, Target},
    record::By,
};

/// So many failed tasks in a row make a rollout a failing one.
const FAILING: u64 = 2;

pub(super) fn judge(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for target in &TARGETS {
        let ours = facts.rollouts[target.name].iter().filter(|rollout| rollout.by == By::Daemon);
        for rollout in ours {
            for over in rollout.over.iter().filter(|over| over.is_live) {
                if !may_give_way(facts, target, rollout, over) {
                    let kind = if over.is_rollback { "a rollback" } else { "a sound rollout" };
                    let what =
                        format!("{} of {} is started over {kind}, {}", rollout.id, target.name, over.id);
                    broken.push(Broken::new("P1", rollout.call, Some(target.name), what));
                }
            }
        }
    }
}

fn may_give_way(facts: &Facts<'_>, target: &Target, rollout: &Rollout, over: &Over) -> bool {
    let began = facts.rollouts[target.name].iter().find(|it| it.id == over.id);
    if began.is_some_and(|began| is_unseen(facts, began, rollout)) {
        return true;
    }
    let is_failing = over.failed_tasks >= FAILING || over.created + TIMEOUT_MS <= rollout.created;
    // A successor does not know what its predecessor went back from.
    let is_our_way_back = began.is_some_and(|began| {
        let lives = [began, rollout].map(|it| facts.record.life_of(it.call));
        lives[0] == lives[1] && facts.undone_by(target.name, began).is_some()
    });
    !over.is_rollback && (is_failing || (target.interrupts && !is_our_way_back))
}

/// Whether somebody began a rollout after we last looked before we began another: UpdateService takes no condition.
pub(super) fn is_unseen(facts: &Facts<'_>, began: &Rollout, ours: &Rollout) -> bool {
    let target = began.definition.split(':').next();
    let names = |value: &Value| value.as_str().is_some_and(|it| it.rsplit('/').next() == target);
    let looks = facts.record.log.iter().filter(|line| {
        let is_look = line.operation == "ListServiceDeployments" && names(&line.request["service"]);
        line.by == By::Daemon && line.sequence < ours.call && is_look
    });
    began.by == By::Storm && looks.map(|line| line.sequence).max().is_some_and(|look| look < began.call)
}
