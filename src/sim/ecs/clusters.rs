//! Clusters: a name that services need.

use serde_json::{Value, json};

use super::{Estate, missing, scene::Scene};
use crate::sim::{
    call::{Fail, Outcome, tail, texts},
    page,
};

/// A cluster and its tags.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    arn: String,
    pub(super) tags: Vec<Value>,
}

impl Cluster {
    fn describe(&self, name: &str, with_tags: bool) -> Value {
        let tags = if with_tags { self.tags.as_slice() } else { &[] };
        json!({"clusterArn": self.arn, "clusterName": name, "status": "ACTIVE", "tags": tags})
    }
}

impl Estate {
    pub(super) fn create_cluster(&mut self, body: &Value, scene: &Scene<'_>) -> Value {
        let name = body["clusterName"].as_str().unwrap_or("default");
        let tags = body["tags"].as_array().cloned().unwrap_or_default();
        let new = || Cluster { arn: scene.arn(&format!("cluster/{name}")), tags };
        let cluster = self.clusters.entry(name.to_owned()).or_insert_with(new);
        json!({"cluster": cluster.describe(name, true)})
    }

    pub(super) fn describe_clusters(&self, body: &Value, scene: &Scene<'_>) -> Outcome {
        let asked: Vec<&str> = texts(body, "clusters").map(tail).collect();
        let asked = if asked.is_empty() { vec!["default"] } else { asked };
        if asked.len() > 100 {
            return Err(Fail::new(
                "InvalidParameterException",
                "Clusters cannot have more than 100 elements.",
            ));
        }
        let with_tags = texts(body, "include").any(|what| what == "TAGS");
        let (mut clusters, mut failures) = (Vec::new(), Vec::new());
        for name in asked {
            match self.clusters.get(name) {
                Some(cluster) => clusters.push(cluster.describe(name, with_tags)),
                None => failures.push(missing(&scene.arn(&format!("cluster/{name}")))),
            }
        }
        Ok(json!({"clusters": clusters, "failures": failures}))
    }

    pub(super) fn list_clusters(&self, body: &Value) -> Outcome {
        page::ECS.page(
            body,
            "clusterArns",
            self.clusters.values().map(|cluster| json!(cluster.arn)).collect(),
            100,
        )
    }

    pub(super) fn delete_cluster(&mut self, body: &Value) -> Outcome {
        let name = self.cluster(body)?;
        if self.services.values().any(|service| service.cluster == name && service.life.word() == "ACTIVE") {
            return Err(Fail::new(
                "ClusterContainsServicesException",
                "The Cluster cannot be deleted while Services are active.",
            ));
        }
        let cluster = self.clusters.remove(&name).expect("cluster() gives names of clusters that exist");
        let mut described = cluster.describe(&name, true);
        described["status"] = json!("INACTIVE");
        Ok(json!({"cluster": described}))
    }
}
