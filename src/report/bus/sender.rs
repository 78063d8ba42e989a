//! Puts notices on a bus.

use std::sync::Arc;

use super::detail::event;
use crate::{
    aws::bus::{Bus, BusEvent, NotTaken},
    domain::{BusRules, TargetId},
    report::{
        channel::Undelivered,
        notice::{Home, Notice},
    },
};

/// One bus.
#[derive(Debug)]
pub struct BusSender {
    bus: Bus,
    rules: BusRules,
    home: Home,
}

impl BusSender {
    /// To this bus, by these rules.
    pub fn new(bus: Bus, rules: BusRules, home: Home) -> Self {
        Self { bus, rules, home }
    }

    /// Puts them all by one call: an answer for each.
    pub(in crate::report) async fn send(&self, notices: &[Arc<Notice>]) -> Vec<Result<(), Undelivered>> {
        let events: Vec<Option<BusEvent>> = notices.iter().map(|notice| self.event(notice)).collect();
        let sent: Vec<BusEvent> = events.iter().flatten().cloned().collect();
        let mut answers = self.bus.put(&sent).await.into_iter();
        // What is for people alone is done with.
        let answer = |event: Option<BusEvent>| event.map_or(Ok(()), |_| answers.next().unwrap_or(Ok(())));
        events.into_iter().map(answer).map(|answer| answer.map_err(undelivered)).collect()
    }

    fn event(&self, notice: &Notice) -> Option<BusEvent> {
        let (detail_type, detail) = event(notice, &self.home, self.rules.metadata)?;
        let (target, _) = notice.target();
        Some(BusEvent {
            source: self.rules.source.to_string(),
            detail_type,
            detail: detail.to_string(),
            resources: vec![arn(target)],
            time: notice.at,
        })
    }
}

fn arn(target: &TargetId) -> String {
    let (region, account) = (target.region(), target.account());
    let partition = region.partition();
    format!("arn:{partition}:ecs:{region}:{account}:service/{}/{}", target.cluster(), target.service())
}

pub(in crate::report) fn undelivered(not: NotTaken) -> Undelivered {
    if not.may_pass { Undelivered::later(not.why) } else { Undelivered::never(not.why) }
}
