//! Where and how targets are looked for in AWS, as the settings say it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{AccountId, Glob, Place, Region};

/// Which services are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryRules {
    /// The clusters that are read: those that one of these selects.
    pub clusters: Vec<Selector>,
    /// Of the services in them, those that one of these selects.
    pub services: Vec<Selector>,
    /// But none that one of these selects: a service by its name or a tag, all of a cluster by `cluster/*` or a tag of it.
    pub exclude: Vec<Selector>,
    /// How often everything is read anew.
    pub refresh: Duration,
}

/// One way to select clusters or services.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// By name; that of a service may have its cluster's before it, as `shop-prod/api`.
    Name(Glob),
    /// By a tag.
    Tag {
        /// Its key.
        key: Arc<str>,
        /// Its value.
        value: Glob,
    },
}

/// An account whose services are deployed, beside Lockkeeper's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRule {
    /// The account.
    pub account: AccountId,
    /// The role in it that is assumed.
    pub role_arn: Arc<str>,
    /// What its trust policy asks for, if it does.
    pub external_id: Option<Arc<str>>,
}

/// Everywhere that targets are looked for: each account in each Region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estate {
    /// The accounts beside our own.
    pub accounts: Vec<AccountRule>,
    /// The Regions beside our own.
    pub regions: Vec<Region>,
}

impl Estate {
    /// Each account in each Region, our own among them.
    pub fn places(&self, home: &AccountId, region: &Region) -> Vec<Place> {
        let accounts: BTreeSet<&AccountId> =
            self.accounts.iter().map(|rule| &rule.account).chain([home]).collect();
        let regions: BTreeSet<&Region> = self.regions.iter().chain([region]).collect();
        let place =
            |account: &AccountId, region: &Region| Place { account: account.clone(), region: region.clone() };
        accounts.iter().flat_map(|account| regions.iter().map(|region| place(account, region))).collect()
    }
}

/// What is done about a change that no target has seen, because its event was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReconcileMode {
    /// It is put on the queue again.
    Repair,
    /// It is told.
    Report,
    /// It is not looked for.
    Off,
}
