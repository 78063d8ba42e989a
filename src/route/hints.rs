//! What ECS tells about services: a reason to look at ours now, never a fact to act on.

use super::{Draft, Routes, found::FoundTarget, naming::is_name};
use crate::domain::{Event, Place, TargetId};

impl Routes {
    /// A sign of life of a service. Where the cluster is not told, every target whose service is called so is meant.
    pub(super) fn on_sign(&self, cluster: Option<&str>, service: &str, draft: &mut Draft<'_>) {
        let place = self.place_of(draft.event);
        let explicit = self.by_service.get(service).into_iter().flatten();
        let ids = explicit.map(|&position| &self.targets[position].target.id);
        let mut hinted: Vec<TargetId> = ids
            .filter(|id| place.has(id) && cluster.is_none_or(|cluster| id.cluster().as_str() == cluster))
            .cloned()
            .collect();
        if place == self.home {
            let by_name = self.sign_by_pattern(cluster, service);
            hinted.extend(by_name.filter(|id| !hinted.contains(id)));
        }
        let mut found = self.sign_by_discovery(&place, cluster, service);
        found.retain(|id| !hinted.contains(id));
        hinted.append(&mut found);
        if hinted.is_empty() {
            draft.strangers(stranger(draft.event, cluster, service));
            let cluster = cluster.map(|cluster| format!(" in cluster {cluster}")).unwrap_or_default();
            draft.note(&format!("service {service}{cluster} in {place} is not one of ours"));
        }
        draft.hint(hinted);
    }

    fn sign_by_pattern(&self, cluster: Option<&str>, service: &str) -> Option<TargetId> {
        let names = self.names.as_ref()?;
        let name = names.of_service(service)?;
        cluster.is_none_or(|cluster| names.cluster().as_str() == cluster).then(|| self.named(names, name).id)
    }

    fn sign_by_discovery(&self, place: &Place, cluster: Option<&str>, service: &str) -> Vec<TargetId> {
        let found = match cluster {
            Some(cluster) => self.found.in_cluster(place, cluster, service).into_iter().collect(),
            None => self.found.called(service),
        };
        let ids = found.into_iter().map(FoundTarget::id);
        ids.filter(|id| place.has(id) && id.service().as_str() == service).cloned().collect()
    }
}

/// The service that an event tells of, where it tells all that an id is made of. What is not called as ECS calls things
/// is no service.
fn stranger(event: &Event, cluster: Option<&str>, service: &str) -> Option<TargetId> {
    let (account, region) = event.account.clone().zip(event.region.clone())?;
    let cluster = cluster.filter(|cluster| is_name(cluster) && is_name(service))?;
    Some(TargetId::new(account, region, cluster.into(), service.into()))
}
