//! Long polls: wait for an arrival, for a message that turns visible by itself, or for the end.

use std::pin::pin;

use super::Front;
use crate::{
    domain::Timestamp,
    sim::{
        call::{Call, Reply},
        sqs,
    },
};

impl Front {
    /// Carries a `ReceiveMessage` on that found nothing at first, until it finds something or `until`.
    pub(super) async fn wait(&self, call: &Call, until: Timestamp) -> Reply {
        let bell = self.bell(sqs::named(call));
        loop {
            let mut rung = pin!(bell.notified());
            // From here on an arrival is heard, even one between the look and the wait.
            rung.as_mut().enable();
            let reply = {
                let mut world = self.world();
                let reply = world.look_again(self.now(), call);
                self.settle(&mut world);
                reply
            };
            let Reply::Wait { look_at, .. } = reply else { return reply };
            let present = self.now();
            if present >= until {
                return Reply::Ok(serde_json::json!({}));
            }
            let rest = look_at.min(until).since(present);
            let _ = tokio::time::timeout(rest, rung).await;
        }
    }
}
