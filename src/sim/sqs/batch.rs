//! Batches: up to ten entries, each with a result of its own under a call that succeeds.

use serde_json::{Value, json};

use super::{QueueKey, Queues, queue::Queue};
use crate::sim::call::{Fail, Outcome, list, text};

impl Queues {
    /// Does something with one queue for each entry.
    pub(super) fn batch(
        &mut self,
        key: &QueueKey,
        body: &Value,
        mut each: impl FnMut(&mut Queue, &Value) -> Outcome,
    ) -> Outcome {
        let queue = self.all.get_mut(key).expect("key() gives keys of queues that exist");
        let reply = entries(body, |entry| each(queue, entry));
        self.note_arrival(key);
        reply
    }
}

/// Checks a batch as a whole, then collects each entry's success or failure.
pub(super) fn entries(body: &Value, mut each: impl FnMut(&Value) -> Outcome) -> Outcome {
    let entries = list(body, "Entries");
    check(entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match each(entry) {
            Ok(mut done) => {
                done["Id"] = entry["Id"].clone();
                successful.push(done);
            }
            Err(fail) => failed.push(json!({
                "Id": entry["Id"], "SenderFault": fail.status < 500, "Code": fail.code, "Message": fail.message,
            })),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn check(entries: &[Value]) -> Result<(), Fail> {
    if entries.is_empty() {
        return Err(Fail::new("EmptyBatchRequest", "There should be at least one entry in the request."));
    }
    if entries.len() > 10 {
        return Err(Fail::new(
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        ));
    }
    let mut ids: Vec<&str> = entries.iter().map(|entry| text(entry, "Id")).collect();
    ids.sort_unstable();
    if let Some([twice, _]) = ids.array_windows().find(|[one, next]| one == next) {
        return Err(Fail::new("BatchEntryIdsNotDistinct", format!("Id {twice} repeated.")));
    }
    Ok(())
}
