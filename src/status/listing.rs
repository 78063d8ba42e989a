//! The deployments of a snapshot in the order in which they are listed. That order, and what of it ECS tells twice, is found
//! out once for all who ask while the snapshot is the newest, and not at all if nobody does.

use std::sync::{Arc, OnceLock};

use super::Snapshot;
use crate::{domain::DeploymentRecord, report::history::in_order};

/// What has been found out. A copy of a snapshot may be changed, so that it begins anew.
#[derive(Debug, Default)]
pub struct Listing(OnceLock<Vec<Arc<DeploymentRecord>>>);

impl Clone for Listing {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Snapshot {
    /// Deployments under way, then those that ended, those too that only ECS remembers; the newest first.
    pub(super) fn listed(&self) -> &[Arc<DeploymentRecord>] {
        self.listing.0.get_or_init(|| {
            let known = self.deployments.values().chain(self.history.shared());
            let remembered = self.past.beside(&self.history, self.under_way());
            in_order(known.chain(remembered).cloned().collect())
        })
    }
}
