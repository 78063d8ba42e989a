//! P4 of decisions: the newest is in force. Nothing is started on a target that is paused, and in the end, when
//! everybody who paused one has resumed it, none is.

use serde_json::Value;

use super::{
    Broken,
    facts::{Facts, Rollout},
};
use crate::{
    estate::{TARGETS, Target},
    record::{By, Line},
};

/// The tag of a paused service.
const PAUSED: &str = "lockkeeper:paused";
/// A look is two calls that are made at the same time; one that began so much later than a tag was written shows it.
const LATER_MS: u64 = 500;

pub(super) fn judge(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for target in &TARGETS {
        let ours = facts.rollouts[target.name].iter().filter(|it| it.by == By::Daemon);
        for rollout in ours {
            let is_way_back = facts.undone_by(target.name, rollout).is_some();
            if !is_way_back && was_seen_paused(facts, target, rollout) {
                let what =
                    format!("{} of {} is started, and somebody has paused that", rollout.id, target.name);
                broken.push(Broken::new("P4", rollout.call, Some(target.name), what));
            }
        }
        if is_paused_in_the_end(facts, target) {
            let call = facts.record.log.last().map_or(0, |line| line.sequence);
            let what = format!("{} is paused, and whoever did that has resumed it since", target.name);
            broken.push(Broken::new("P4", call, Some(target.name), what));
        }
    }
}

/// Whether the service was paused when the daemon last looked at it before this start.
fn was_seen_paused(facts: &Facts<'_>, target: &Target, rollout: &Rollout) -> bool {
    let before = || facts.record.log.iter().filter(|line| line.sequence < rollout.call);
    let is_look = |line: &&Line| {
        line.by == By::Daemon
            && line.operation == "ListServiceDeployments"
            && names(&line.request["service"], target)
    };
    let Some(look) = before().rfind(is_look) else { return false };
    let is_about = |line: &&Line| {
        names(&line.request["resourceArn"], target) && line.result == "OK" && mentions_pause(&line.request)
    };
    let last = before().filter(is_about).take_while(|line| line.at + LATER_MS <= look.at).last();
    // Whatever changed the tag since, seen or not, makes the look prove nothing.
    let is_changed_since = before().any(|line| {
        line.operation == "UntagResource"
            && names(&line.request["resourceArn"], target)
            && last.is_some_and(|last| line.sequence > last.sequence)
    });
    last.is_some_and(|line| line.operation == "TagResource") && !is_changed_since
}

fn mentions_pause(request: &Value) -> bool {
    let tags = request["tags"].as_array().into_iter().flatten().map(|tag| &tag["key"]);
    let keys = request["tagKeys"].as_array().into_iter().flatten();
    tags.chain(keys).any(|key| key == PAUSED)
}

fn names(value: &Value, target: &Target) -> bool {
    value.as_str().is_some_and(|it| it.rsplit('/').next() == Some(target.name))
}

fn is_paused_in_the_end(facts: &Facts<'_>, target: &Target) -> bool {
    let services = facts.record.state["services"].as_object().into_iter().flatten();
    let mut services = services.filter(|(arn, _)| arn.rsplit('/').next() == Some(target.name));
    let tags = services.next().and_then(|(_, service)| service["tags"].as_array()).into_iter().flatten();
    tags.map(|tag| &tag["key"]).any(|key| key == PAUSED)
}
