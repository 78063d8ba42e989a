//! What commands read of an estate that nobody wrote down: the services of each place, as discovery finds them.

mod learn;
mod progress;
mod walk;

pub(super) use learn::{Learnt, learn};
pub(super) use progress::{Progress, each};
pub(super) use walk::{Batch, Listed, list};

use crate::{
    aws::{Connections, ecs::Ecs},
    domain::{Owner, Place, Region},
    settings::Settings,
};

/// The way to ECS in all accounts of the settings, for somebody here.
pub(super) async fn ecs(connections: &Connections, home: &Place, settings: &Settings) -> Ecs {
    let ecs = Ecs::new(connections.clone(), home.account.clone()).with_share(settings.aws.budget_share);
    let ecs = ecs.with_accounts(connections, &settings.aws.estate.accounts).await;
    match owner(home, settings) {
        Some(owner) => ecs.owned_by(owner, false),
        None => ecs,
    }
}

/// The Lockkeeper that receives from the queue of the settings.
fn owner(home: &Place, settings: &Settings) -> Option<Owner> {
    let url = settings.queue.url.as_deref()?;
    let name = url.trim_end_matches('/').rsplit('/').next()?;
    let account = settings.queue.account().unwrap_or_else(|| home.account.clone());
    let region = region_of(url).unwrap_or_else(|| home.region.clone());
    Owner::of_queue(&format!("arn:aws:sqs:{region}:{account}:{name}"))
}

/// `https://sqs.eu-west-1.amazonaws.com/111122223333/name`
pub(super) fn region_of(url: &str) -> Option<Region> {
    let (_, host) = url.split_once("://sqs.")?;
    let (region, rest) = host.split_once('.')?;
    rest.starts_with("amazonaws.").then(|| region.into())
}
