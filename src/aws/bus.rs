//! A bus of EventBridge, as somewhere to send events to.

use aws_sdk_eventbridge::{
    Client,
    primitives::DateTime,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};

use super::{Connections, failure::Fault, observe::Calls};
use crate::domain::{Region, Timestamp};

const OPERATION: &str = "PutEvents";

/// How many events one call takes: EventBridge's limit.
pub const BUS_BATCH: usize = 10;

/// One bus.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    calls: Calls,
    name: String,
}

/// One event to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent {
    /// Its source.
    pub source: String,
    /// Its detail-type.
    pub detail_type: String,
    /// Its detail: a JSON object.
    pub detail: String,
    /// The ARNs that it is about.
    pub resources: Vec<String>,
    /// When it happened.
    pub time: Timestamp,
}

/// Something that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotTaken {
    /// What AWS said.
    pub why: String,
    /// Whether it may be taken if it is sent again.
    pub may_pass: bool,
}

impl NotTaken {
    pub(super) fn of(fault: &Fault, operation: &str) -> Self {
        Self { why: fault.reason(operation), may_pass: fault.kind().may_pass() }
    }
}

impl Connections {
    /// The bus with this name, or with this ARN, wherever that is.
    pub fn bus(&self, name: &str) -> Bus {
        let there = region_of(name).map_or_else(|| self.clone(), |region| self.in_region(&region));
        Bus { client: there.eventbridge_once(), calls: there.calls().clone(), name: name.to_owned() }
    }
}

impl Bus {
    /// Sends up to [`BUS_BATCH`] events by one call: an answer for each, because EventBridge may take some and not others.
    pub async fn put(&self, events: &[BusEvent]) -> Vec<Result<(), NotTaken>> {
        let entries = events.iter().map(|event| self.entry(event)).collect();
        let call = self.client.put_events().set_entries(Some(entries)).send();
        match self.calls.make("events", OPERATION, call).await {
            Ok(answer) => {
                let mut results: Vec<_> = answer.entries().iter().map(taken).collect();
                // What was not answered was not taken.
                let lost =
                    || NotTaken { why: format!("{OPERATION}: no answer for this entry"), may_pass: true };
                results.resize_with(events.len(), || Err(lost()));
                results
            }
            Err(fault) => vec![Err(NotTaken::of(&fault, OPERATION)); events.len()],
        }
    }

    fn entry(&self, event: &BusEvent) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(&event.source)
            .detail_type(&event.detail_type)
            .detail(&event.detail)
            .set_resources(Some(event.resources.clone()))
            .time(DateTime::from_millis(event.time.as_millis()))
            .build()
    }
}

/// The codes after which EventBridge may take the same entry.
const PASSING: [&str; 3] = ["InternalFailure", "InternalException", "ThrottlingException"];

fn taken(entry: &PutEventsResultEntry) -> Result<(), NotTaken> {
    let Some(code) = entry.error_code() else { return Ok(()) };
    let message = entry.error_message().unwrap_or("no reason given");
    Err(NotTaken { why: format!("{OPERATION}: {code}: {message}"), may_pass: PASSING.contains(&code) })
}

/// The Region of an ARN.
pub(super) fn region_of(arn: &str) -> Option<Region> {
    let region = arn.strip_prefix("arn:")?.split(':').nth(2)?;
    (!region.is_empty()).then(|| region.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_that_was_not_taken_says_why_and_whether_it_may_pass() {
        let entry = |code: &str| PutEventsResultEntry::builder().error_code(code).error_message("no").build();
        assert_eq!(taken(&PutEventsResultEntry::builder().event_id("e").build()), Ok(()));
        for (code, may_pass) in [
            ("ThrottlingException", true),
            ("InternalFailure", true),
            ("NotAuthorizedForSourceException", false),
        ] {
            let why = format!("PutEvents: {code}: no");
            assert_eq!(taken(&entry(code)), Err(NotTaken { why, may_pass }));
        }
    }

    #[test]
    fn a_bus_that_is_named_by_its_arn_is_called_where_it_is() {
        assert_eq!(
            region_of("arn:aws:events:us-east-1:111122223333:event-bus/shop"),
            Some("us-east-1".into())
        );
        assert_eq!(region_of("shop"), None);
    }
}
