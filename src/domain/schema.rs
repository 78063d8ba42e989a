//! How what is written as a text is described in OpenAPI.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

use super::{
    AccountId, ClusterName, ContainerName, DefinitionId, DeploymentId, Digest, EventId, ImageReference,
    MessageId, Region, RolloutId, ServiceName, Tag, TargetId, TargetName, Timestamp,
};

macro_rules! texts {
    ($($name:ident: $what:literal, $example:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($what, $example).into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

texts! {
    AccountId: "An AWS account", "111122223333";
    Region: "An AWS Region", "eu-west-1";
    ClusterName: "The short name of an ECS cluster", "shop";
    ServiceName: "ECS's name of a service", "shop_service_api_prod";
    TargetName: "What people and events call a target", "api";
    TargetId: "account/region/cluster/service", "111122223333/eu-west-1/shop/shop_service_api_prod";
    ContainerName: "The name of a container in a task definition", "web";
    Tag: "The tag of an image", "1.4";
    Digest: "The digest of an image", "sha256:0a0a";
    EventId: "The id of an event", "5a1c7a1e-6c2e-4d3b-9b43-2f5c0f6f2a11";
    MessageId: "SQS's id of a message", "5fea7756-0ea4-451a-a703-a558b933e274";
    DeploymentId: "The id of one passage through a lane", "d-77fe";
    RolloutId: "ECS's id of a rollout", "ecs-svc/1234567890123456789";
    DefinitionId: "family:revision", "shop_service_api_prod:13";
    ImageReference: "[registry/]repository[:tag][@digest]", "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop_api:1.4";
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        let time = text("RFC 3339 in UTC", "2026-11-01T12:00:05Z");
        time.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
    }
}

impl ToSchema for Timestamp {}

fn text(what: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(what)).examples([example])
}
