//! Deployments that a person or script asks for.

use super::{
    Draft, Routes, Target,
    words::{listed, switched_off},
};
use crate::domain::{
    Change, DeployRequest, ImageChange, ImageReference, ImageSource, ImageStyle, Refresh, RepositoryName,
    TargetId, TargetSettings, Wanted,
};

/// Why a name means no target.
#[derive(Clone, Debug)]
pub(super) enum NotCalled {
    /// Nothing is called so: what is known instead.
    Unknown(String),
    /// Several are: that they are, and which.
    Several(Vec<Target>, String),
}

impl NotCalled {
    pub(super) fn into_reason(self) -> String {
        match self {
            Self::Unknown(reason) | Self::Several(_, reason) => reason,
        }
    }
}

impl Routes {
    pub(super) fn on_request(&self, request: &DeployRequest, draft: &mut Draft<'_>) {
        let is_deaf = |target: &Target| target.refused.is_some() || !target.settings.triggers.requests;
        let reached = match self.ours(request) {
            Ok(()) => self.meant(&request.service, is_deaf, draft),
            Err(reason) => Some(Err(reason)),
        };
        let Some(reached) = reached else { return };
        let repository = match reached.as_deref() {
            Ok([target]) => self.only_repository(target),
            Ok(_) | Err(_) => None,
        };
        draft.ask(reached, || asked(request), |settings| wanted(request, settings, repository.as_ref()));
    }

    /// The only target that is called so, or why there is none. Where several are, a message that was kept for one of them
    /// means that one, and where all of them are deaf, nothing is asked of any. Else it cannot be carried out as it is: that
    /// is noted, and nothing is returned.
    pub(super) fn meant(
        &self,
        name: &str,
        is_deaf: impl Fn(&Target) -> bool,
        draft: &mut Draft<'_>,
    ) -> Option<Result<Vec<Target>, String>> {
        let (several, reason) = match self.find(name) {
            Ok(target) => return Some(Ok(vec![target])),
            Err(NotCalled::Unknown(reason)) => return Some(Err(reason)),
            Err(NotCalled::Several(several, reason)) => (several, reason),
        };
        let left = draft.confined(several);
        if left.len() <= 1 || left.iter().all(is_deaf) {
            return Some(Ok(left));
        }
        draft.unclear(&reason);
        None
    }

    /// The only target that is called so, or why there is none.
    pub(super) fn called(&self, name: &str) -> Result<Target, String> {
        self.find(name).map_err(NotCalled::into_reason)
    }

    pub(super) fn find(&self, name: &str) -> Result<Target, NotCalled> {
        let by_rule = self.called_by_rule(name);
        let mut meant = if by_rule.is_empty() { self.called_otherwise(name) } else { by_rule };
        if meant.is_empty() {
            meant = self.called_in_cluster(name);
        }
        match meant.as_slice() {
            [target] => Ok(target.clone()),
            [] => Err(NotCalled::Unknown(self.why_unknown(name))),
            several => {
                let ways: Vec<String> = several.iter().map(|target| way_to(target, name)).collect();
                let ways = listed(ways.iter().map(String::as_str));
                let reason = format!("`{name}` means several targets, ask for one of {ways}");
                Err(NotCalled::Several(meant, reason))
            }
        }
    }

    fn called_by_rule(&self, name: &str) -> Vec<Target> {
        let by_id = |id: &TargetId| self.by_id.get(id).copied();
        let positions = None
            .or_else(|| self.by_name.get(name).cloned())
            .or_else(|| name.parse().ok().and_then(|id| by_id(&id)).map(|position| vec![position]))
            .or_else(|| self.by_service.get(name).cloned());
        self.at(positions.unwrap_or_default())
    }
    /// The pattern wins where its service is known. Where nobody has seen that, what was found is as likely to be meant.
    fn called_otherwise(&self, name: &str) -> Vec<Target> {
        let found = self.called_by_discovery(name);
        let is_known = |id: &TargetId| self.by_id.contains_key(id) || self.found.get(id).is_some();
        match self.called_by_pattern(name) {
            Some(target) if found.is_empty() || is_known(&target.id) => vec![target],
            guess => guess.into_iter().chain(found).collect(),
        }
    }

    /// By its id, by its name, or else by ECS's. The names of a target of which the settings know are theirs to give.
    fn called_by_discovery(&self, called: &str) -> Vec<Target> {
        let by_id = called.parse().ok().and_then(|id| self.found.get(&id));
        if let Some(target) = by_id {
            return vec![self.target_of(target)];
        }
        let mut found = self.found.called(called);
        found.retain(|it| self.is_only_found(it.id()));
        if found.iter().any(|it| it.name() == called) {
            found.retain(|it| it.name() == called);
        }
        found.into_iter().map(|it| self.target_of(it)).collect()
    }

    /// Who calls a service by its name says that there is one: that is no guess of ours.
    fn called_by_pattern(&self, called: &str) -> Option<Target> {
        let names = self.names.as_ref()?;
        let said = |name| Target { guessed: false, ..self.named(names, name) };
        let Ok(id) = called.parse::<TargetId>() else { return names.of_call(called).map(said) };
        names.of_service(id.service().as_str()).map(said).filter(|target| target.id == id)
    }

    /// Whether a request is for our environment, where we know what ours is.
    fn ours(&self, request: &DeployRequest) -> Result<(), String> {
        match (&self.environment, &request.environment) {
            (Some(ours), Some(theirs)) if !theirs.trim().eq_ignore_ascii_case(ours) => {
                Err(format!("it is for environment `{theirs}`, and this is `{ours}`"))
            }
            (_, Some(_) | None) => Ok(()),
        }
    }

    fn why_unknown(&self, name: &str) -> String {
        let named = listed(self.targets.iter().map(|known| known.target.settings.name.as_str()));
        let parts = [
            (!named.is_empty()).then(|| format!("known are {named}")),
            self.names
                .as_ref()
                .map(|names| format!("a service of {} may be called by its name", names.project())),
            Some(self.found.len()).filter(|count| *count > 0).map(|count| format!("discovery knows {count}")),
        ];
        let name: String = name.chars().take(100).collect();
        let nobody = (!parts.iter().any(Option::is_some)).then(|| "none is known".to_owned());
        let known: Vec<String> = parts.into_iter().flatten().chain(nobody).collect();
        format!("no target is called `{name}`; {}", known.join("; "))
    }
}

/// What to call a target by for which this name is not enough.
fn way_to(target: &Target, name: &str) -> String {
    let called = target.settings.name.as_str();
    if called == name { target.id.to_string() } else { called.to_owned() }
}

/// What a request asks of its target, or why nothing.
fn wanted(
    request: &DeployRequest,
    settings: &TargetSettings,
    repository: Option<&RepositoryName>,
) -> Result<Change, String> {
    if !settings.triggers.requests {
        return Err(switched_off("requests", &settings.name));
    }
    Ok(match &request.wanted {
        Wanted::Refresh => Change::Refresh(Refresh::Restart),
        Wanted::Definition(definition) | Wanted::Rollback(definition) => {
            Change::Definition(definition.clone())
        }
        Wanted::Image(image) => Change::Image(this_image(image, request.force, settings)),
        Wanted::Tag(tag) => Change::Image(ImageChange {
            source: ImageSource {
                repository: repository.cloned(),
                home: None,
                container: settings.container.clone(),
            },
            tag: Some(tag.clone()),
            digest: None,
            is_index: None,
            by_digest: settings.image_reference == ImageStyle::Digest,
            policy: None,
            force: request.force,
        }),
    })
}

/// An image that somebody wrote out. A digest that was written is meant, whatever the settings prefer.
fn this_image(image: &ImageReference, force: bool, settings: &TargetSettings) -> ImageChange {
    ImageChange {
        source: ImageSource {
            repository: Some(image.repository.clone()),
            home: image.ecr_home(),
            container: settings.container.clone(),
        },
        tag: image.named_tag(),
        digest: image.digest.clone(),
        is_index: None,
        by_digest: image.digest.is_some() || settings.image_reference == ImageStyle::Digest,
        policy: None,
        force,
    }
}

fn asked(request: &DeployRequest) -> String {
    let by = request.requested_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let reason = request.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("requested{by}{reason}")
}
