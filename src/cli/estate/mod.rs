//! What commands read of an estate that nobody wrote down: the services of each place, as discovery finds them.

mod learn;
mod progress;
mod walk;

pub(super) use learn::{Learnt, learn};
pub(super) use progress::{Progress, each};
pub(super) use walk::{Batch, list};

use crate::{
    aws::{Connections, ecs::Ecs},
    domain::AccountId,
    settings::Settings,
};

/// The way to ECS in all accounts of the settings, for somebody in this one.
pub(super) async fn ecs(connections: &Connections, own: &AccountId, settings: &Settings) -> Ecs {
    let ecs = Ecs::new(connections.clone(), own.clone()).with_share(settings.aws.budget_share);
    ecs.with_accounts(connections, &settings.aws.estate.accounts).await
}
