//! What discovery found: whom it reaches, and what the settings say beside it.

mod calls;
mod reach;
mod wins;

use super::*;
use crate::domain::DeployRequest;

const DEV_API: &str = "chubby_service_api_dev";

/// No rule, no pattern: only these are known.
fn only(found: impl IntoIterator<Item = Discovered>) -> Routes {
    knowing(explicit([]), found)
}

fn set(mut found: Discovered, change: impl FnOnce(&mut TargetSettings)) -> Discovered {
    change(Arc::make_mut(&mut found.settings));
    found
}

fn called(name: &str, found: Discovered) -> Discovered {
    set(found, |settings| settings.name = name.into())
}

fn refused(why: &str, found: Discovered) -> Discovered {
    Discovered { refused: Some(why.into()), ..found }
}

pub(super) fn in_cluster(cluster: &str, found: Discovered) -> Discovered {
    let (account, region) = (found.target.account().clone(), found.target.region().clone());
    let target = TargetId::new(account, region, cluster.into(), found.target.service().clone());
    Discovered { target, ..found }
}

/// The rule for the service that `found` has with this name.
fn rule_of(service: &str) -> TargetRule {
    TargetRule { service: service.into(), ..rule("mine") }
}

fn request(service: &str) -> DeployRequest {
    DeployRequest { service: service.into(), ..DeployRequest::default() }
}

fn requested(service: &str) -> Trigger {
    Trigger::DeployRequested(request(service))
}

fn follow(service: &str, image: &str) -> String {
    format!("{service}: refresh if it names that tag of {image}")
}

/// The service that the pattern calls `api`, as discovery found it.
fn dev_api(dependencies: impl IntoIterator<Item = Dependency>) -> Discovered {
    in_cluster("chubby_cluster_dev", found(DEV_API, dependencies))
}
