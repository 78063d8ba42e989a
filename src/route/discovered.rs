//! What discovery found, beside what the settings say.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Known, Routes, Target,
    found::{FoundTarget, Thing},
    words::listed,
};
use crate::domain::{Discovered, Place, RepositoryName, TargetId, TargetName, TargetSettings};

impl Routes {
    /// Adds a target that discovery found, or replaces what was known of it. What the settings say of it stays.
    pub fn learn(&mut self, discovered: Discovered) {
        self.found.learn(&discovered);
    }

    /// Forgets a target that discovery no longer finds. What the settings say of it stays.
    pub fn forget(&mut self, target: &TargetId) {
        self.found.forget(target);
    }

    /// What discovery found of this target, as it was learnt.
    pub fn discovered(&self, target: &TargetId) -> Option<Discovered> {
        self.found.get(target).map(FoundTarget::unpacked)
    }

    /// The targets that discovery found, in the order of their ids, those among them that the settings name. Each comes
    /// with why it is not deployed, if it is not.
    pub fn all_discovered(&self) -> impl Iterator<Item = (&TargetId, Option<Arc<str>>)> {
        self.found.all().map(|it| (it.id(), self.target_of(it).refused))
    }

    /// How this target is deployed, and why it is not, if it is not; `None` if neither a rule nor discovery knows it.
    pub fn settings_of(&self, target: &TargetId) -> Option<(Arc<TargetSettings>, Option<Arc<str>>)> {
        let known = self.known(target).map(|known| known.target.clone());
        let Target { settings, refused, .. } =
            known.or_else(|| self.found.get(target).map(|found| self.target_of(found)))?;
        Some((settings, refused))
    }

    /// The targets that may run images of this repository: because the settings list it, by name, or by their definitions.
    pub fn users_of(&self, repository: &RepositoryName, registry: &Place) -> Vec<(TargetId, TargetName)> {
        let name = repository.as_str();
        let mut users = self.at(self.repositories.find(name));
        users.extend(self.found.running(name, Some(registry)).into_iter().map(|it| self.target_of(it)));
        let names = self.names.as_ref().filter(|_| *registry == self.home);
        let by_name = names.and_then(|names| Some(self.named(names, names.of_repository(name)?)));
        users.extend(by_name);
        let users: BTreeMap<TargetId, TargetName> =
            users.into_iter().map(|it| (it.id, it.settings.name.clone())).collect();
        users.into_iter().collect()
    }

    /// With the settings of its rule where it has one, else by naming where that finds it, else by its own tags.
    pub(super) fn target_of(&self, found: FoundTarget<'_>) -> Target {
        let id = found.id();
        if let Some(known) = self.known(id) {
            return known.target.clone();
        }
        let (settings, refused) = match self.names.as_ref().zip(self.name_by_pattern(id)) {
            Some((names, name)) => (names.settings(name), None),
            None => (self.settings_of_found(found), found.refused().cloned()),
        };
        Target { id: id.clone(), settings, repository: None, guessed: false, refused }
    }

    /// Whether only discovery knows this target, so that what its own tags say of it counts.
    pub fn is_only_found(&self, id: &TargetId) -> bool {
        self.known(id).is_none() && self.name_by_pattern(id).is_none()
    }

    /// Adds those of the candidates that were not reached before, and whose settings count them. Where a rule lists
    /// things of this kind itself, only its list counts; returns what such rules' targets are called.
    pub(super) fn join_found<'a>(
        &'a self,
        reached: &mut Vec<Target>,
        candidates: Vec<FoundTarget<'_>>,
        lists: impl Fn(&Known) -> bool,
        counts: impl Fn(FoundTarget<'_>, &TargetSettings) -> bool,
    ) -> Vec<&'a str> {
        let mut otherwise = Vec::new();
        // Rules reach only targets of which they list the kind. So but for these, only the pattern can have reached one.
        let by_pattern = reached.last().map(|it| it.id.clone());
        for found in candidates {
            if let Some(known) = self.known(found.id()).filter(|known| lists(known)) {
                otherwise.push(known.target.settings.name.as_str());
            } else if by_pattern.as_ref() != Some(found.id()) {
                let target = self.target_of(found);
                if counts(found, &target.settings) {
                    reached.push(target);
                }
            }
        }
        otherwise
    }

    /// The repository that a tag alone is of: the one that its rule lists, or that its definition names.
    pub(super) fn only_repository(&self, target: &Target) -> Option<RepositoryName> {
        let found = self.found.get(&target.id);
        let is_listed = self.known(&target.id).is_some_and(|known| known.lists.repositories);
        match found.filter(|_| !is_listed) {
            Some(found) => found.only_repository(&target.settings),
            None => target.repository.clone(),
        }
    }

    /// What naming calls this service, if it is one that the pattern finds.
    fn name_by_pattern<'a>(&'a self, id: &'a TargetId) -> Option<&'a str> {
        let names =
            self.names.as_ref().filter(|names| self.home.has(id) && names.cluster() == id.cluster())?;
        names.of_service(id.service().as_str())
    }
}

impl FoundTarget<'_> {
    /// Whether it runs images of this repository in a container that these settings mean; without a registry, of any
    /// repository of this name.
    pub(super) fn runs(
        self,
        repository: &RepositoryName,
        registry: Option<&Place>,
        settings: &TargetSettings,
    ) -> bool {
        self.repositories(settings)
            .any(|(from, name)| name == repository.as_str() && (registry.is_none() || from == registry))
    }

    /// The repository whose images it runs in the containers that these settings mean, if it is only one.
    fn only_repository(self, settings: &TargetSettings) -> Option<RepositoryName> {
        let mut repositories = self.repositories(settings);
        let first = repositories.next()?;
        repositories.all(|it| it == first).then(|| first.1.into())
    }

    fn repositories<'s>(
        self,
        settings: &'s TargetSettings,
    ) -> impl Iterator<Item = (Option<&'s Place>, &'s str)>
    where
        Self: 's,
    {
        self.things().filter_map(|thing| match thing {
            Thing::Repository { registry, name, container } => {
                let counts = settings.container.as_ref().is_none_or(|it| it.as_str() == container);
                counts.then_some((registry, name))
            }
            Thing::Parameter { .. } | Thing::Secret { .. } | Thing::File { .. } => None,
        })
    }
}

/// What is said where only rules that list other things stand between an event and targets.
pub(super) fn listing_others(rules: &[&str]) -> Option<String> {
    (!rules.is_empty()).then(|| format!("; the rule of {} lists others", listed(rules.iter().copied())))
}
