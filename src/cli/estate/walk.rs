//! Which services of a place may be targets, by the names of all that is there.

use crate::{
    aws::ecs::{Ecs, PAGE, READ_BATCH},
    domain::{CallFailure, ClusterName, ClusterReading, Place, ServiceName, TargetId},
    inventory::{Selection, Tags, Used},
};

/// Services of one cluster that one call describes.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Batch {
    pub(in crate::cli) cluster: ClusterName,
    pub(in crate::cli) names: Vec<ServiceName>,
}

/// What was listed in a place.
pub(in crate::cli) struct Listed {
    /// All clusters, with their tags where a selector asks for one.
    pub(in crate::cli) clusters: Vec<ClusterReading>,
    /// The services that may be targets.
    pub(in crate::cli) batches: Vec<Batch>,
    /// The selectors that select one of the clusters, or by its name one of the services in them.
    pub(in crate::cli) used: Used,
}

/// Lists the clusters there, and the services in those that are selected.
pub(in crate::cli) async fn list(
    ecs: &Ecs,
    selection: &Selection,
    place: &Place,
) -> Result<Listed, CallFailure> {
    let clusters = clusters(ecs, selection, place).await?;
    let (mut batches, mut used) = (Vec::new(), Used::default());
    for ClusterReading { name, tags } in &clusters {
        selection.uses_cluster(&mut used, name, tags);
    }
    for ClusterReading { name: cluster, .. } in
        clusters.iter().filter(|it| selection.takes_cluster(&it.name, &it.tags))
    {
        let names = ecs.list_services(place, cluster).await?;
        for name in &names {
            selection.uses_name(&mut used, cluster, name);
        }
        let names = names.into_iter().filter(|name| selection.may_take_service(cluster, name));
        let names: Vec<ServiceName> = names.collect();
        let batch = |names: &[ServiceName]| Batch { cluster: cluster.clone(), names: names.to_vec() };
        batches.extend(names.chunks(READ_BATCH).map(batch));
    }
    Ok(Listed { clusters, batches, used })
}

impl Batch {
    /// Its services, in this place.
    pub(in crate::cli) fn targets(&self, place: &Place) -> Vec<TargetId> {
        let Place { account, region } = place;
        let id = |name: &ServiceName| {
            TargetId::new(account.clone(), region.clone(), self.cluster.clone(), name.clone())
        };
        self.names.iter().map(id).collect()
    }
}

async fn clusters(
    ecs: &Ecs,
    selection: &Selection,
    place: &Place,
) -> Result<Vec<ClusterReading>, CallFailure> {
    let names = ecs.list_clusters(place).await?;
    if !selection.needs_cluster_tags() {
        return Ok(names.into_iter().map(|name| ClusterReading { name, tags: Tags::new() }).collect());
    }
    let mut clusters = Vec::new();
    for page in names.chunks(PAGE) {
        clusters.extend(ecs.read_clusters(place, page).await?);
    }
    Ok(clusters)
}
