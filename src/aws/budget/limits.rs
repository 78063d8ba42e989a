//! The classes of calls, with the limits that AWS documents for each account in each Region.

/// A class of calls that share a bucket of AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiClass {
    /// UpdateService and what else changes a service.
    ServiceModify,
    /// DescribeServices, ListServices.
    ServiceRead,
    /// DescribeServiceDeployments, ListServiceDeployments.
    ServiceDeployment,
    /// DescribeServiceRevisions.
    ServiceRevision,
    /// RegisterTaskDefinition, DeregisterTaskDefinition.
    DefinitionModify,
    /// DescribeTaskDefinition and the lists of definitions.
    DefinitionRead,
    /// DescribeTasks, ListTasks.
    TaskRead,
    /// RunTask, StopTask.
    TaskModify,
    /// DescribeClusters, ListClusters.
    ClusterRead,
    /// TagResource, UntagResource.
    TagModify,
    /// ListTagsForResource.
    TagRead,
    /// DescribeImages and what else is read of a registry of ECR.
    RegistryRead,
    /// DescribeParameters of SSM.
    ParameterRead,
    /// ListSecretVersionIds of Secrets Manager.
    SecretRead,
    /// ListObjectsV2 of S3.
    ObjectRead,
}

/// What a bucket holds at most, and what it gains in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many calls at once.
    pub burst: u32,
    /// So many calls a second in the long run.
    pub per_second: u32,
}

impl ApiClass {
    /// Every class.
    pub const ALL: [Self; 15] = [
        Self::ServiceModify,
        Self::ServiceRead,
        Self::ServiceDeployment,
        Self::ServiceRevision,
        Self::DefinitionModify,
        Self::DefinitionRead,
        Self::TaskRead,
        Self::TaskModify,
        Self::ClusterRead,
        Self::TagModify,
        Self::TagRead,
        Self::RegistryRead,
        Self::ParameterRead,
        Self::SecretRead,
        Self::ObjectRead,
    ];

    /// The class of an operation. One of ECS that AWS's table does not name (as StopServiceDeployment) counts as a change
    /// of a service, the scarcest that it could be.
    pub fn of(operation: &str) -> Self {
        match operation {
            "DescribeServices" | "ListServices" | "ListServicesByNamespace" => Self::ServiceRead,
            "DescribeServiceDeployments" | "ListServiceDeployments" => Self::ServiceDeployment,
            "DescribeServiceRevisions" => Self::ServiceRevision,
            "RegisterTaskDefinition" | "DeregisterTaskDefinition" => Self::DefinitionModify,
            "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies" => {
                Self::DefinitionRead
            }
            "DescribeTasks" | "ListTasks" => Self::TaskRead,
            "RunTask" | "StopTask" | "ExecuteCommand" => Self::TaskModify,
            "DescribeClusters" | "ListClusters" => Self::ClusterRead,
            "TagResource" | "UntagResource" => Self::TagModify,
            "ListTagsForResource" => Self::TagRead,
            "DescribeImages" | "BatchGetImage" | "DescribeRepositories" | "GetLifecyclePolicy" => {
                Self::RegistryRead
            }
            "DescribeParameters" => Self::ParameterRead,
            "DescribeSecret" | "ListSecretVersionIds" => Self::SecretRead,
            "ListObjectsV2" => Self::ObjectRead,
            _ => Self::ServiceModify,
        }
    }

    /// What AWS allows: for ECS the table of "Request throttling for the Amazon ECS API".
    ///
    /// The others are read slowly, and documented badly. "Secrets Manager quotas" gives ListSecretVersionIds 50 calls a
    /// second; S3 gives a prefix 5,500 reads a second ("Optimizing Amazon S3 performance"), and less will do here. For
    /// DescribeImages and DescribeParameters no rate is documented, only that there is one: these are low guesses, and
    /// where they are too high, throttling slows us down.
    pub fn limits(self) -> Limits {
        let (burst, per_second) = match self {
            Self::ServiceModify => (50, 5),
            Self::ServiceRead | Self::TaskRead => (100, 20),
            Self::ServiceDeployment
            | Self::ServiceRevision
            | Self::DefinitionRead
            | Self::ClusterRead
            | Self::TagRead => (50, 20),
            Self::DefinitionModify => (20, 1),
            Self::TaskModify => (100, 40),
            Self::TagModify | Self::RegistryRead | Self::ParameterRead => (20, 10),
            Self::SecretRead => (50, 50),
            Self::ObjectRead => (100, 100),
        };
        Limits { burst, per_second }
    }

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceModify => "service_modify",
            Self::ServiceRead => "service_read",
            Self::ServiceDeployment => "service_deployment",
            Self::ServiceRevision => "service_revision",
            Self::DefinitionModify => "definition_modify",
            Self::DefinitionRead => "definition_read",
            Self::TaskRead => "task_read",
            Self::TaskModify => "task_modify",
            Self::ClusterRead => "cluster_read",
            Self::TagModify => "tag_modify",
            Self::TagRead => "tag_read",
            Self::RegistryRead => "registry_read",
            Self::ParameterRead => "parameter_read",
            Self::SecretRead => "secret_read",
            Self::ObjectRead => "object_read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_draws_from_the_bucket_that_aws_documents_for_it() {
        for (operation, label, burst, per_second) in [
            ("UpdateService", "service_modify", 50, 5),
            ("StopServiceDeployment", "service_modify", 50, 5),
            ("DescribeServices", "service_read", 100, 20),
            ("ListServiceDeployments", "service_deployment", 50, 20),
            ("DescribeServiceRevisions", "service_revision", 50, 20),
            ("RegisterTaskDefinition", "definition_modify", 20, 1),
            ("DescribeTaskDefinition", "definition_read", 50, 20),
            ("ListTasks", "task_read", 100, 20),
            ("RunTask", "task_modify", 100, 40),
            ("DescribeClusters", "cluster_read", 50, 20),
            ("TagResource", "tag_modify", 20, 10),
            ("ListTagsForResource", "tag_read", 50, 20),
            ("DescribeImages", "registry_read", 20, 10),
            ("DescribeParameters", "parameter_read", 20, 10),
            ("ListSecretVersionIds", "secret_read", 50, 50),
            ("ListObjectsV2", "object_read", 100, 100),
            ("AnythingNew", "service_modify", 50, 5),
        ] {
            let class = ApiClass::of(operation);
            assert_eq!(
                (class.as_str(), class.limits()),
                (label, Limits { burst, per_second }),
                "{operation}"
            );
        }
    }
}
