//! What is deployed.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AccountId, ClusterName, Region, ServiceName, TargetName, harmless};

/// The id of a target: one ECS service, written `account/region/cluster/service`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(Arc<Parts>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    account: AccountId,
    region: Region,
    cluster: ClusterName,
    service: ServiceName,
}

/// A text that is not `account/region/cluster/service`.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is not a target id: it is written account/region/cluster/service", harmless(.0, 300))]
pub struct NotATargetId(String);

impl NotATargetId {
    /// The text itself.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl TargetId {
    /// The target in this account, Region and cluster with this service name.
    pub fn new(account: AccountId, region: Region, cluster: ClusterName, service: ServiceName) -> Self {
        Self(Arc::new(Parts { account, region, cluster, service }))
    }

    /// The account that owns the service.
    pub fn account(&self) -> &AccountId {
        &self.0.account
    }

    /// The Region that the service runs in.
    pub fn region(&self) -> &Region {
        &self.0.region
    }

    /// The short name of the cluster.
    pub fn cluster(&self) -> &ClusterName {
        &self.0.cluster
    }

    /// What to call it where others have this name, too: with its cluster before it, unless another one is in a cluster called so;
    /// then by its id.
    pub fn called_beside_others(&self, name: &str, is_alone_in_cluster: bool) -> TargetName {
        if is_alone_in_cluster { format!("{}/{name}", self.cluster()) } else { self.to_string() }.into()
    }

    /// ECS's name of the service.
    pub fn service(&self) -> &ServiceName {
        &self.0.service
    }
}

impl FromStr for TargetId {
    type Err = NotATargetId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [account, region, cluster, service] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Self::new((*account).into(), (*region).into(), (*cluster).into(), (*service).into()))
            }
            _ => Err(NotATargetId(text.into())),
        }
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { account, region, cluster, service } = &*self.0;
        write!(f, "{account}/{region}/{cluster}/{service}")
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TargetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TargetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_id_reads_back_what_it_writes() {
        let id: TargetId = "111122223333/eu-west-1/shop/api".parse().expect("valid");
        assert_eq!(id.cluster().as_str(), "shop");
        assert_eq!(id.to_string().parse::<TargetId>(), Ok(id));
    }

    #[test]
    fn a_target_is_called_as_shortly_as_tells_it_from_others_of_its_name() {
        let id: TargetId = "111122223333/eu-west-1/shop/api".parse().expect("valid");
        assert_eq!(id.called_beside_others("front", true).as_str(), "shop/front");
        assert_eq!(id.called_beside_others("front", false).as_str(), id.to_string());
    }

    #[test]
    fn a_target_id_with_a_part_too_few_or_empty_is_refused() {
        for text in ["", "a/b/c", "a/b/c/d/e", "a//c/d"] {
            let refused = text.parse::<TargetId>().expect_err("no target");
            assert_eq!((refused.text(), &refused), (text, &NotATargetId(text.into())));
        }
        let told = NotATargetId(format!("a\n{}", "b".repeat(9_000))).to_string();
        assert!(told.starts_with("`a\u{fffd}bb") && told.len() < 400, "{told}");
    }
}
