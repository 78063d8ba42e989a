//! Many targets that discovery found, and events that concern some of them.

use std::sync::Arc;

use lockkeeper::{
    domain::{
        Dependency, DeployRequest, Discovered, Event, Place, PushedImage, RolloutHint, TargetId,
        TargetSettings, Timestamp, Trigger, Write,
    },
    route::{Arrival, Routes},
};

/// As many targets read the same secondary things: a team's key and file, and a proxy's image.
const IN_A_TEAM: usize = 20;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A push of the target's own image.
    Push,
    /// A parameter that it alone reads.
    Parameter,
    /// A parameter that its team reads.
    TeamsParameter,
    /// Its secret, by name: the definition has the ARN.
    Secret,
    /// The file of its team.
    File,
    /// A deploy request by its name.
    Request,
    /// A sign of ECS.
    Sign,
    /// A parameter that nobody reads.
    Nothing,
}

/// The routes of a daemon that has no rules, and found nothing yet.
pub(crate) fn empty() -> Routes {
    let Place { account, region } = place();
    Routes::new(account, region, Vec::new(), None)
}

/// The target with this number, as it is read out of AWS: no text is shared with another one's.
pub(crate) fn found(number: usize) -> Discovered {
    let team = number / IN_A_TEAM;
    let own = |key: &str| parameter(&format!("/prod/shop/service-{number}/{key}"));
    Discovered {
        target: id(number),
        settings: Arc::new(TargetSettings::named(service(number).into())),
        refused: None,
        dependencies: vec![
            repository(&format!("shop/service-{number}"), "service"),
            repository(&format!("platform/proxy-{team}"), "proxy"),
            own("database/URL"),
            own("database/PASSWORD"),
            own("stripe-api-key"),
            parameter(&format!("/prod/shop/team-{team}/SENTRY_DSN")),
            parameter("/prod/shared/LOG_LEVEL"),
            Dependency::Secret {
                place: place(),
                name: format!("prod/shop/service-{number}/oauth-aB3dE9").into(),
            },
            Dependency::File {
                bucket: "shop-environment-prod".into(),
                key: format!("team-{team}/common.env").into(),
            },
        ],
    }
}

/// The same with a parameter more.
pub(crate) fn changed(number: usize) -> Discovered {
    let mut found = found(number);
    found.dependencies.push(parameter(&format!("/prod/shop/service-{number}/feature/NEW")));
    found
}

pub(crate) fn event(asked: Asked, number: usize) -> Event {
    let team = number / IN_A_TEAM;
    let Place { account, region } = place();
    Event {
        id: format!("13cde686-328b-6117-af20-{number:012}").as_str().into(),
        source: "bench".into(),
        detail_type: "bench".into(),
        account: Some(account),
        region: Some(region),
        time: Timestamp::from_millis(1_000),
        replay: None,
        metadata: None,
        trigger: match asked {
            Asked::Push => Trigger::ImagePushed(PushedImage {
                is_index: None,
                repository: format!("shop/service-{number}").into(),
                tag: "live".into(),
                digest: None,
            }),
            Asked::Parameter => written(&format!("/prod/shop/service-{number}/database/URL")),
            Asked::TeamsParameter => written(&format!("/prod/shop/team-{team}/SENTRY_DSN")),
            Asked::Nothing => written(&format!("/test/shop/service-{number}/database/URL")),
            Asked::Secret => Trigger::SecretChanged {
                secret: format!("prod/shop/service-{number}/oauth").into(),
                change: Write::Updated,
            },
            Asked::File => Trigger::EnvFileChanged {
                bucket: "shop-environment-prod".into(),
                key: format!("team-{team}/common.env").into(),
                change: Write::Updated,
            },
            Asked::Request => Trigger::DeployRequested(DeployRequest {
                service: service(number).into(),
                ..DeployRequest::default()
            }),
            Asked::Sign => Trigger::RolloutChanged(RolloutHint {
                cluster: Some(id(number).cluster().as_str().into()),
                service: service(number).into(),
                event_name: "SERVICE_DEPLOYMENT_COMPLETED".into(),
                rollout: None,
                reason: None,
            }),
        },
    }
}

pub(crate) fn arrival() -> Arrival {
    let at = Timestamp::from_millis(1_000);
    Arrival { version: at, floor: at, confined_to: None }
}

fn place() -> Place {
    Place { account: "111122223333".into(), region: "eu-west-1".into() }
}

fn id(number: usize) -> TargetId {
    let Place { account, region } = place();
    TargetId::new(account, region, format!("shop-prod-{}", number % 20).into(), service(number).into())
}

fn service(number: usize) -> String {
    format!("shop_service_{number}_prod")
}

fn repository(name: &str, container: &str) -> Dependency {
    Dependency::Repository { registry: Some(place()), name: name.into(), container: container.into() }
}

fn parameter(name: &str) -> Dependency {
    Dependency::Parameter { place: place(), name: name.into() }
}

fn written(parameter: &str) -> Trigger {
    Trigger::ParameterChanged { name: parameter.into(), change: Write::Updated }
}
