//! A newtype for every id that could be mistaken for another.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    )*};
}

text_ids! {
    /// An AWS account: twelve digits.
    AccountId;
    /// An AWS Region, as `eu-west-1`.
    Region;
    /// The short name of an ECS cluster.
    ClusterName;
    /// ECS's name of a service.
    ServiceName;
    /// What people and events call a target.
    TargetName;
    /// The name of a container in a task definition.
    ContainerName;
    /// The name of a repository without its registry, as `shop/api`.
    RepositoryName;
    /// The tag of an image.
    Tag;
    /// The digest of an image, as `sha256:…`.
    Digest;
    /// The id of an EventBridge event: the same in every queue that it reaches.
    EventId;
    /// The id that SQS gave a message. A redriven or replayed message has a new one.
    MessageId;
    /// The id of one passage through a lane.
    DeploymentId;
    /// ECS's id of a rollout as DescribeServices lists it (`ecs-svc/…`), or the ARN of its service deployment
    /// where only that is known.
    RolloutId;
    /// One life of one Lockkeeper process. No two lives have the same.
    MemberId;
}

impl Region {
    /// The group of Regions that it is of, as ARNs name it.
    pub fn partition(&self) -> &'static str {
        match self.as_str() {
            it if it.starts_with("cn-") => "aws-cn",
            it if it.starts_with("us-gov-") => "aws-us-gov",
            it if it.starts_with("eusc-") => "aws-eusc",
            _ => "aws",
        }
    }
}

/// Our hold on one received message. Each receive makes a new one, also of the same message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease-{}", self.0)
    }
}
