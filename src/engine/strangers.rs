//! What rollouts are that we are not known to have started: the events by which ECS tells of them do not say. It is read for
//! people alone, one after the other, so that each is told in the order in which it was named.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::timeout,
};
use tracing::debug;

use super::recent::Recent;
use crate::{
    aws::ecs::{Ecs, Stranger},
    domain::{ForeignRollout, RolloutId},
};

/// What ECS does not say within this time is not known.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many wait to be looked at; of the others nothing more is known.
const MOST_WAITING: usize = 100;
/// So many rollouts are remembered: ECS does not show those for long that failed.
const MOST_KNOWN: usize = 1_000;

/// Where rollouts are named that are to be looked at.
#[derive(Debug)]
pub(super) struct Strangers(mpsc::Sender<Named>);

/// A rollout that is to be looked at.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) rollout: ForeignRollout,
    /// Whether it may be one of ours after all, or ECS's way back from one.
    pub(super) closely: bool,
    /// How often that was tried before.
    pub(super) tries: u32,
}

/// A rollout that was looked at.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) named: Named,
    /// As its service shows it, if it still does; an error where that could not be read.
    pub(super) shown: Result<Option<Stranger>, ()>,
}

impl Strangers {
    /// Begins to look, until nobody names or takes any more. What was looked at comes out in the order in which it was named.
    pub(super) fn begin(ecs: Arc<Ecs>) -> (Self, mpsc::UnboundedReceiver<Looked>) {
        let (named, heard) = mpsc::channel(MOST_WAITING);
        let (told, seen) = mpsc::unbounded_channel();
        tokio::spawn(keep_looking(ecs, heard, told));
        (Self(named), seen)
    }

    /// This is to be looked at; given back if too many wait.
    pub(super) fn name(&self, named: Named) -> Option<Looked> {
        match self.0.try_send(named) {
            Ok(()) => None,
            Err(TrySendError::Full(named) | TrySendError::Closed(named)) => {
                Some(Looked { named, shown: Err(()) })
            }
        }
    }
}

async fn keep_looking(ecs: Arc<Ecs>, mut heard: mpsc::Receiver<Named>, told: mpsc::UnboundedSender<Looked>) {
    let mut known: Recent<RolloutId, Stranger> = Recent::new(MOST_KNOWN);
    while let Some(named) = heard.recv().await {
        let id = &named.rollout.rollout_id;
        let shown = match known.get(id) {
            Some(before) if !named.closely => Ok(Some(before.clone())),
            before => match look_at(&ecs, &named).await {
                Ok(None) => Ok(before.cloned()),
                shown => shown,
            },
        };
        if let Ok(Some(stranger)) = &shown {
            known.insert(id.clone(), stranger.clone());
        }
        if told.send(Looked { named, shown }).is_err() {
            return;
        }
    }
}

async fn look_at(ecs: &Ecs, Named { rollout: it, closely, .. }: &Named) -> Result<Option<Stranger>, ()> {
    match timeout(PATIENCE, ecs.stranger(&it.target, &it.rollout_id, *closely)).await {
        Ok(Ok(stranger)) => Ok(stranger),
        Ok(Err(failure)) => {
            debug!(rollout = %it.rollout_id, error = failure.reason, "what it rolls out could not be read");
            Err(())
        }
        Err(_) => Err(()),
    }
}
