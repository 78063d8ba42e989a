//! What targets are called where several have one name.
//!
//! A rule's name, and one that a pattern gives, are the settings' own, and stay. What discovery found goes by its name only
//! where nobody else does; else its cluster stands before it, or its whole id is its name. Whatever a target is called here,
//! [`Routes::resolve`] finds it by that.

use std::sync::Arc;

use super::{Routes, Target, found::FoundTarget};
use crate::domain::{TargetId, TargetName, TargetSettings};

impl Routes {
    /// The targets that may be called otherwise because this one came or went: the others of its name, if they are so few that
    /// they were, or now are, alone with it.
    pub fn renamed_by(&self, target: &TargetId) -> Vec<TargetId> {
        let Some(found) = self.found.get(target).filter(|it| self.is_only_found(it.id())) else {
            return Vec::new();
        };
        let (id, name) = (found.id(), found.name());
        let alone = self.only_other(self.found.namesakes(id, name));
        let in_cluster = self.only_other(self.found.namesakes_in_cluster(id, name));
        let mut renamed: Vec<TargetId> = alone.into_iter().chain(in_cluster).collect();
        renamed.dedup();
        renamed
    }

    /// The one of these that only discovery knows, if it is one.
    fn only_other<'f>(&self, others: impl Iterator<Item = FoundTarget<'f>>) -> Option<TargetId> {
        let mut others = others.filter(|it| self.is_only_found(it.id()));
        let first = others.next()?;
        others.next().is_none().then(|| first.id().clone())
    }

    /// What this target is called because others have its name, too.
    pub fn called_beside_others(&self, target: &TargetId) -> Option<TargetName> {
        let found = self.found.get(target).filter(|it| self.is_only_found(it.id()))?;
        self.name_beside_others(found)
    }

    /// The name that this target has like others, where it goes by this one because of them.
    pub fn shared_name(&self, target: &TargetId, called: &TargetName) -> Option<TargetName> {
        let found = self.found.get(target).filter(|it| self.is_only_found(it.id()))?;
        (found.name() != called.as_str()).then(|| found.name().into())
    }

    /// How a target that only discovery knows is deployed, under a name that tells it from all others.
    pub(super) fn settings_of_found(&self, found: FoundTarget<'_>) -> Arc<TargetSettings> {
        match self.name_beside_others(found) {
            Some(name) => found.settings_under(name.as_str()),
            None => found.settings(),
        }
    }

    fn name_beside_others(&self, found: FoundTarget<'_>) -> Option<TargetName> {
        let (id, name) = (found.id(), found.name());
        let by_settings = self.named_in_settings(id, name);
        let only_found = |it: &FoundTarget<'_>| self.is_only_found(it.id());
        if by_settings.is_empty() && !self.found.namesakes(id, name).any(|it| only_found(&it)) {
            return None;
        }
        let is_alone_in_cluster = || {
            by_settings.iter().all(|it| it.cluster() != id.cluster())
                && !self.found.namesakes_in_cluster(id, name).any(|it| only_found(&it))
        };
        Some(id.called_beside_others(name, is_alone_in_cluster()))
    }

    /// The others that are called so because a rule or a pattern says it.
    fn named_in_settings(&self, id: &TargetId, name: &str) -> Vec<TargetId> {
        let by_rule = self.by_name.get(name).or_else(|| self.by_service.get(name)).into_iter().flatten();
        let by_rule = by_rule.map(|&position| self.targets[position].target.id.clone());
        let by_pattern = self.names.as_ref().and_then(|names| {
            let service = names.service(names.of_call(name)?);
            let (account, region) = self.home();
            let id = TargetId::new(account, region, names.cluster().clone(), service);
            (self.by_id.contains_key(&id) || self.found.get(&id).is_some()).then_some(id)
        });
        by_rule.chain(by_pattern).filter(|it| it != id).collect()
    }

    /// The targets that only discovery knows, of this name in clusters of that, written `cluster/name`.
    pub(super) fn called_in_cluster(&self, called: &str) -> Vec<Target> {
        let Some((cluster, name)) = called.split_once('/').filter(|(_, name)| !name.contains('/')) else {
            return Vec::new();
        };
        let mut found = self.found.called_in(cluster, name);
        found.retain(|it| self.is_only_found(it.id()));
        if found.iter().any(|it| it.name() == name) {
            found.retain(|it| it.name() == name);
        }
        found.into_iter().map(|it| self.target_of(it)).collect()
    }
}
