//! What targets depend on, as reconcile reads it: tags, parameters, secrets, objects, in every account and Region.
//!
//! Each account has a budget of its own in each Region, apart from that of ECS: see [`super::budget`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::{
    Connections,
    budget::Budget,
    failure::{Fault, Verb},
    objects::Unread,
    reads::Reads,
    registry::Repository,
};
use crate::domain::{
    AccountId, AccountRule, BudgetShare, CallFailure, Cause, Digest, Place, Region, Remedy, RepositoryName,
    Tag, TagMutability, TagState, Timestamp,
};

/// Everything that targets depend on.
#[derive(Debug)]
pub struct Sources {
    home: AccountId,
    accounts: BTreeMap<AccountId, Connections>,
    share: BudgetShare,
    places: Mutex<BTreeMap<Place, Arc<Reach>>>,
    /// Where buckets are that are not in the Region where they were looked for.
    buckets: Mutex<BTreeMap<Arc<str>, Region>>,
    closing: CancellationToken,
}

/// One account in one Region.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) ecr: aws_sdk_ecr::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) region: Region,
    pub(super) reads: Reads,
}

impl Sources {
    /// Those in the account that these credentials belong to.
    pub fn new(connections: Connections, account: AccountId) -> Self {
        Self {
            home: account.clone(),
            accounts: BTreeMap::from([(account, connections)]),
            share: BudgetShare::HALF,
            places: Mutex::default(),
            buckets: Mutex::default(),
            closing: CancellationToken::new(),
        }
    }

    /// Also those in these accounts, by their roles. `home` is the way to our own.
    #[must_use]
    pub async fn with_accounts(mut self, home: &Connections, rules: &[AccountRule]) -> Self {
        for AccountRule { account, role_arn, external_id } in rules {
            let role = home.assuming(role_arn, external_id.as_deref()).await;
            self = self.with_account(account.clone(), role);
        }
        self
    }

    /// Also those in this account, reached so.
    #[must_use]
    pub fn with_account(mut self, account: AccountId, connections: Connections) -> Self {
        self.accounts.insert(account, connections);
        self
    }

    /// With this share of the calls that AWS allows.
    #[must_use]
    pub fn with_share(mut self, share: BudgetShare) -> Self {
        self.share = share;
        self
    }

    /// From now on no call is begun. Who waits for a turn is told at once.
    pub fn stop(&self) {
        self.closing.cancel();
    }

    /// What these tags of a repository mean; those that are not there are left out. A registry of an account to which we
    /// have no way is asked with our own credentials: its policy may allow that.
    pub async fn tags(
        &self,
        place: &Place,
        repository: &RepositoryName,
        tags: &[Tag],
    ) -> Result<BTreeMap<Tag, TagState>, CallFailure> {
        let repository = Repository { registry: &place.account, name: repository };
        told("DescribeImages", self.shared(place).tags(repository, tags).await)
    }

    /// Of these digests those that are there.
    pub async fn digests(
        &self,
        place: &Place,
        repository: &RepositoryName,
        digests: &[Digest],
    ) -> Result<BTreeSet<Digest>, CallFailure> {
        let repository = Repository { registry: &place.account, name: repository };
        told("DescribeImages", self.shared(place).digests(repository, digests).await)
    }

    /// What all tags of a repository mean; of one with more than 10,000 images, of so many of them.
    pub async fn newest_tags(
        &self,
        place: &Place,
        repository: &RepositoryName,
    ) -> Result<BTreeMap<Tag, TagState>, CallFailure> {
        let repository = Repository { registry: &place.account, name: repository };
        told("DescribeImages", self.shared(place).all_tags(repository).await)
    }

    /// The images for single platforms in an index; none if this is no index, or not there.
    pub async fn children(
        &self,
        place: &Place,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Digest>, CallFailure> {
        let repository = Repository { registry: &place.account, name: repository };
        told("BatchGetImage", self.shared(place).children(repository, digest).await)
    }

    /// Which tags of a repository can be moved; none if it is not there.
    pub async fn mutability(
        &self,
        place: &Place,
        repository: &RepositoryName,
    ) -> Result<Option<TagMutability>, CallFailure> {
        let repository = Repository { registry: &place.account, name: repository };
        told("DescribeRepositories", self.shared(place).mutability(repository).await)
    }

    /// The lifecycle policy of a repository, as JSON; none if it has none.
    pub async fn lifecycle(
        &self,
        place: &Place,
        repository: &RepositoryName,
    ) -> Result<Option<String>, CallFailure> {
        let repository = Repository { registry: &place.account, name: repository };
        told("GetLifecyclePolicy", self.shared(place).lifecycle(repository).await)
    }

    /// When these parameters were last written; those that are not there are left out.
    pub async fn parameters(
        &self,
        place: &Place,
        names: &[Arc<str>],
    ) -> Result<BTreeMap<Arc<str>, Timestamp>, CallFailure> {
        told("DescribeParameters", self.own(place)?.parameters(names).await)
    }

    /// When the current version of a secret was made; `None` if there is none. The name is what stands behind `secret:` in
    /// its ARN, with or without the six characters at its end.
    pub async fn secret(&self, place: &Place, name: &str) -> Result<Option<Timestamp>, CallFailure> {
        told("ListSecretVersionIds", self.shared(place).secret(place, name).await)
    }

    /// When an object was last written; `None` if there is none. It is looked for by the account and in the Region of
    /// those who read it, and then where the bucket is.
    pub async fn object(
        &self,
        place: &Place,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Timestamp>, CallFailure> {
        let known = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned();
        let place = Place { region: known.unwrap_or_else(|| place.region.clone()), ..place.clone() };
        let region = match self.own(&place)?.object(bucket, key).await {
            Ok(at) => return Ok(at),
            Err(Unread::Failed(fault)) => return told("ListObjectsV2", Err(fault)),
            Err(Unread::Elsewhere(region)) => region,
        };
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.into(), region.clone());
        match self.own(&Place { region, ..place })?.object(bucket, key).await {
            Ok(at) => Ok(at),
            Err(Unread::Failed(fault)) => told("ListObjectsV2", Err(fault)),
            Err(Unread::Elsewhere(region)) => {
                told("ListObjectsV2", Err(Fault::unusable(format!("the bucket is in {region} after all"))))
            }
        }
    }

    /// A place whose account we have a way to.
    fn own(&self, place: &Place) -> Result<Arc<Reach>, CallFailure> {
        let connections = self.accounts.get(&place.account).ok_or_else(|| {
            let ours: Vec<&str> = self.accounts.keys().map(AccountId::as_str).collect();
            let reason = format!("{place} is to be read, and our credentials are for {}", ours.join(", "));
            CallFailure { cause: Cause::Permission, reason, remedy: Remedy::GiveUp }
        })?;
        Ok(self.reach(place, connections))
    }

    /// The same for what its owner may share; where we have no way to the account, with our own credentials.
    fn shared(&self, place: &Place) -> Arc<Reach> {
        let account = if self.accounts.contains_key(&place.account) { &place.account } else { &self.home };
        let place = Place { account: account.clone(), region: place.region.clone() };
        self.reach(&place, &self.accounts[account])
    }

    fn reach(&self, place: &Place, connections: &Connections) -> Arc<Reach> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let reach = places.entry(place.clone()).or_insert_with(|| {
            let connections = connections.in_region(&place.region);
            let budget = Budget::new(self.share, connections.observer(), self.closing.clone());
            Arc::new(Reach::new(&connections, budget))
        });
        Arc::clone(reach)
    }
}

impl Reach {
    fn new(connections: &Connections, budget: Budget) -> Self {
        Self {
            ecr: connections.ecr(),
            ssm: connections.ssm(),
            secrets: connections.secretsmanager(),
            s3: connections.s3(),
            region: connections.region().clone(),
            reads: Reads::new(connections, budget),
        }
    }
}

fn told<T>(operation: &'static str, answer: Result<T, Fault>) -> Result<T, CallFailure> {
    answer.map_err(|fault| fault.of_call(operation, Verb::Read))
}
