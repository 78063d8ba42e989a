//! Whether ECS answers, Region by Region.
//!
//! A Region that does not answer is told, and makes nothing unready: what is in the other Regions goes on, and a restart
//! would mend nothing. Any answer counts, a refusal too: silence is what is looked for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::Part;
use crate::{
    domain::{Moment, Region},
    report::message::span,
};

/// What was last heard of each Region that was called.
#[derive(Debug, Default)]
pub(super) struct Regions(Mutex<BTreeMap<Region, Heard>>);

#[derive(Debug, Default)]
struct Heard {
    /// Since when calls were not answered, and why the last one was not; `None` after an answer.
    silent: Option<(Moment, &'static str)>,
    last_call: Moment,
}

/// One call that is not answered is tried three times, for 5 s each: silence that outlasts that is no single lost packet.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(20);

/// What was heard so long ago says nothing of now. While there is something to do, a Region is called more often.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

impl Regions {
    /// A call ended: it was answered, or it was not, for this reason.
    pub(super) fn called(&self, region: &Region, now: Moment, silence: Option<&'static str>) {
        let mut regions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !regions.contains_key(region) {
            regions.insert(region.clone(), Heard::default());
        }
        let Some(heard) = regions.get_mut(region) else { return };
        heard.last_call = now;
        heard.silent = silence.map(|why| (heard.silent.map_or(now, |(since, _)| since), why));
    }

    /// How each Region is that was called, by name.
    pub(super) fn assess(&self, now: Moment) -> Vec<(String, Part)> {
        let regions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        regions.iter().map(|(region, heard)| (format!("ecs/{region}"), heard.assess(region, now))).collect()
    }
}

impl Heard {
    fn assess(&self, region: &Region, now: Moment) -> Part {
        let idle = now.since(self.last_call);
        match self.silent {
            None => Part::sound(&format!("ECS answers in {region}")),
            Some(_) if idle > FORGOTTEN_AFTER => {
                let idle = span(idle);
                Part::sound(&format!("ECS did not answer in {region} when it was last called, {idle} ago"))
            }
            Some((since, _)) if now.since(since) < SILENT_AFTER => {
                Part::sound(&format!("the last call to ECS in {region} was not answered"))
            }
            Some((since, why)) => {
                let silent = now.since(since);
                let detail = format!("ECS has not answered in {region} for {}: {why}", span(silent));
                Part::failing(silent, detail)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn told(regions: &Regions, second: u64) -> Vec<String> {
        let parts = regions.assess(moment(second)).into_iter();
        parts.map(|(name, part)| format!("{name} {}: {}", part.is_ok(), part.detail)).collect()
    }

    #[test]
    fn a_region_is_silent_once_no_call_was_answered_for_twenty_seconds() {
        let (regions, ireland, ohio) = (Regions::default(), "eu-west-1".into(), "us-east-2".into());
        assert_eq!(told(&regions, 0), Vec::<String>::new());
        regions.called(&ireland, moment(1), None);
        for second in [5, 10, 24] {
            regions.called(&ohio, moment(second), Some("lost"));
        }
        let sound = "ecs/eu-west-1 true: ECS answers in eu-west-1";
        assert_eq!(
            told(&regions, 24),
            [sound, "ecs/us-east-2 true: the last call to ECS in us-east-2 was not answered"]
        );
        assert_eq!(
            told(&regions, 25),
            [sound, "ecs/us-east-2 false: ECS has not answered in us-east-2 for 20 s: lost"]
        );
        regions.called(&ohio, moment(26), None);
        assert_eq!(told(&regions, 26), [sound, "ecs/us-east-2 true: ECS answers in us-east-2"]);
    }

    #[test]
    fn silence_counts_from_its_first_call_and_is_forgotten_where_nobody_calls() {
        let (regions, ohio) = (Regions::default(), "us-east-2".into());
        regions.called(&ohio, moment(10), Some("lost"));
        regions.called(&ohio, moment(40), Some("unreachable"));
        let [(_, part)] = &regions.assess(moment(41))[..] else { panic!("one Region") };
        assert_eq!(part.failing_for, Some(Duration::from_secs(31)));
        assert!(part.detail.ends_with("unreachable"), "{}", part.detail);
        assert_eq!(
            told(&regions, 641),
            ["ecs/us-east-2 true: ECS did not answer in us-east-2 when it was last called, 10 min 1 s ago"]
        );
    }
}
