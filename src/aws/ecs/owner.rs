//! Whose a service is. Its tag says which Lockkeeper deploys it: one that another has is left alone, and one that nobody has
//! is tagged once it was deployed.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, atomic::Ordering},
};

use aws_sdk_ecs::types::{self, Tag};
use tracing::{debug, warn};

use super::{Ecs, Reach, discover::tags, service::state, start::cannot_be_tagged};
use crate::{
    aws::budget::Urgency,
    domain::{ClusterName, Owner, ServiceName, ServiceState, TargetId},
};

const TAG: &str = "TagResource";

/// The services that were looked at and are not tagged as ours, with their ARNs.
pub(super) type Unclaimed = BTreeMap<(ClusterName, ServiceName), String>;

impl Ecs {
    /// Who we are, and whether what we deploy is tagged so. What another one has is then not deployed.
    #[must_use]
    pub fn owned_by(mut self, owner: Owner, tags: bool) -> Self {
        (self.owner, self.tags) = (Some(owner), tags);
        self
    }

    /// Tags this target as ours, unless it is already. Nothing depends on it but that others notice, so whatever forbids it is
    /// told and passed over.
    pub async fn claim(&self, target: &TargetId) {
        let Some(owner) = self.owner.as_ref().filter(|_| self.tags) else { return };
        let Ok(reach) = self.reach(target) else { return };
        let key = (target.cluster().clone(), target.service().clone());
        let Some(arn) = reach.lock_unclaimed().remove(&key) else { return };
        if reach.is_closing() || reach.cannot_claim.load(Ordering::Relaxed) {
            return;
        }
        let tag = Tag::builder().key(Owner::TAG).value(owner.as_str()).build();
        let call = reach.changes.tag_resource().resource_arn(arn).tags(tag);
        match reach.ask(TAG, 1, Urgency::Later, || call.clone().send()).await {
            Ok(_) => debug!(target_id = %target, owner = owner.as_str(), "the service is tagged as ours"),
            Err(fault) if cannot_be_tagged(&fault) => {
                let error = fault.reason(TAG);
                if !reach.cannot_claim.swap(true, Ordering::Relaxed) {
                    let tag = Owner::TAG;
                    warn!(target_id = %target, error, "the service could not be tagged with {tag}: another Lockkeeper that deploys it would not notice");
                }
            }
            Err(fault) => {
                debug!(target_id = %target, error = fault.reason(TAG), "the service could not be tagged");
            }
        }
    }
}

impl Reach {
    /// The state of a service that was described with its tags, for us.
    pub(super) fn state(&self, service: &types::Service) -> ServiceState {
        match (state(service), &self.owner) {
            (ServiceState::Active, Some(owner)) => {
                owner.other(&tags(service.tags())).map_or(ServiceState::Active, ServiceState::OfAnother)
            }
            (state, _) => state,
        }
    }

    /// Remembers whether a service that is looked at has our tag.
    pub(super) fn notice(&self, cluster: &ClusterName, name: &ServiceName, service: &types::Service) {
        let Some(owner) = &self.owner else { return };
        let is_ours =
            tags(service.tags()).get(Owner::TAG).is_some_and(|value| value.trim() == owner.as_str());
        let key = (cluster.clone(), name.clone());
        let mut unclaimed = self.lock_unclaimed();
        match service.service_arn() {
            Some(arn) if !is_ours => drop(unclaimed.insert(key, arn.to_owned())),
            Some(_) | None => drop(unclaimed.remove(&key)),
        }
    }

    fn lock_unclaimed(&self) -> std::sync::MutexGuard<'_, Unclaimed> {
        self.unclaimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
