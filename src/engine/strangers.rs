//! What rollouts that we did not start roll out: the events by which ECS tells of them do not say. It is read for people
//! alone, one after the other, so that each is told in the order in which ECS did.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::timeout,
};
use tracing::debug;

use crate::{
    aws::ecs::Ecs,
    domain::{DefinitionId, ForeignRollout, RolloutId},
};

/// What ECS does not say within this time is told without its definition.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many wait to be looked at; the others are told without their definitions.
const MOST_WAITING: usize = 100;
/// Of so many rollouts the definition is remembered: ECS does not show those for long that failed.
const MOST_KNOWN: usize = 1_000;

/// Where rollouts are named that are to be looked at.
#[derive(Debug)]
pub(super) struct Strangers(mpsc::Sender<ForeignRollout>);

impl Strangers {
    /// Begins to look, until nobody names or takes any more. What was looked at comes out in the order in which it was named.
    pub(super) fn begin(ecs: Arc<Ecs>) -> (Self, mpsc::UnboundedReceiver<ForeignRollout>) {
        let (named, heard) = mpsc::channel(MOST_WAITING);
        let (told, seen) = mpsc::unbounded_channel();
        tokio::spawn(keep_looking(ecs, heard, told));
        (Self(named), seen)
    }

    /// This is to be looked at; given back if too many wait.
    pub(super) fn name(&self, rollout: ForeignRollout) -> Option<ForeignRollout> {
        match self.0.try_send(rollout) {
            Ok(()) => None,
            Err(TrySendError::Full(rollout) | TrySendError::Closed(rollout)) => Some(rollout),
        }
    }
}

async fn keep_looking(
    ecs: Arc<Ecs>,
    mut heard: mpsc::Receiver<ForeignRollout>,
    told: mpsc::UnboundedSender<ForeignRollout>,
) {
    let mut known: BTreeMap<RolloutId, DefinitionId> = BTreeMap::new();
    while let Some(mut rollout) = heard.recv().await {
        if let Some(definition) = definition_of(&ecs, &rollout).await {
            known.insert(rollout.rollout_id.clone(), definition);
        }
        rollout.definition = known.get(&rollout.rollout_id).cloned();
        while known.len() > MOST_KNOWN {
            known.pop_first();
        }
        if told.send(rollout).is_err() {
            return;
        }
    }
}

async fn definition_of(ecs: &Ecs, it: &ForeignRollout) -> Option<DefinitionId> {
    match timeout(PATIENCE, ecs.definition_of(&it.target, &it.rollout_id)).await {
        Ok(Ok(definition)) => definition,
        Ok(Err(failure)) => {
            debug!(rollout = %it.rollout_id, error = failure.reason, "what it rolls out could not be read");
            None
        }
        Err(_) => None,
    }
}
