//! Why an event finds one target or another: for people who ask, never for routing itself.
//!
//! [`Routes::route`] answers for all targets at once and keeps no record of what led to each. This tells of one target
//! in words, from the rule that the settings hold for it, from naming, or from its running definition. A test holds the
//! two against each other.

mod definition;

use super::{
    Known, Routes,
    dependencies::{file_pattern, parameter_name, parameter_pattern, secret_names, secret_patterns},
    found::FoundTarget,
    words::{listed, one_line},
};
use crate::domain::{
    DeployRequest, Event, Glob, Place, Region, RepositoryName, TargetId, TargetRule, TargetSettings, Trigger,
};

/// One target of which is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The target.
    pub id: &'a TargetId,
    /// How it is deployed.
    pub settings: &'a TargetSettings,
    /// What the settings list for it; `None` for one that only naming or discovery finds.
    pub rule: Option<&'a TargetRule>,
}

type Found = Result<String, String>;

impl Routes {
    /// By what the event finds this target, or by what it would have. One line of bounded length.
    ///
    /// # Errors
    /// If the event does not find it, by the names of things: what it lists instead.
    pub fn why(&self, event: &Event, asked: Asked<'_>) -> Result<String, String> {
        let found = match &event.trigger {
            Trigger::ImagePushed(image) => {
                self.by_repository(&image.repository, Some(&self.place_of(event)), None, asked)
            }
            Trigger::ImageReplicated(image) => {
                let place = self.place_of(event);
                self.by_repository(&image.repository, Some(&place), Some(&place.region), asked)
            }
            Trigger::ImageReady(image) => self.by_repository(&image.repository, None, None, asked),
            Trigger::ParameterChanged { name, .. } => self.by_parameter(name, event, asked),
            Trigger::SecretChanged { secret, .. } => self.by_secret(secret, event, asked),
            Trigger::EnvFileChanged { bucket, key, .. } => self.by_file(bucket, key, asked),
            Trigger::DeployRequested(request) => self.by_call(request, asked),
            Trigger::RolloutChanged(it) => self.by_sign(it.cluster.as_deref(), &it.service, event, asked),
            Trigger::TaskStopped(it) => self.by_sign(Some(&it.cluster), &it.service, event, asked),
            Trigger::HookWaiting(it) => self.by_sign(it.cluster.as_deref(), &it.service, event, asked),
            Trigger::ImageScanned(_) | Trigger::Decision(_) | Trigger::Ignored(_) | Trigger::Malformed(_) => {
                Err("the event asks nothing of any target".into())
            }
        };
        found.map(|by| one_line(&by)).map_err(|why| one_line(&why))
    }

    /// By what its rule or its name says, which may be bounded to a Region, or else by its definition.
    fn by_repository(
        &self,
        repository: &RepositoryName,
        registry: Option<&Place>,
        only_in: Option<&Region>,
        asked: Asked<'_>,
    ) -> Found {
        let name = repository.as_str();
        let patterns = asked.rule.map_or(&[][..], |rule| &rule.repositories);
        let patterns = patterns.iter().map(|glob| (glob.as_str(), glob.as_str()));
        let by_settings = in_region(only_in, asked).and_then(|()| {
            by_list("repositories", name, patterns, |why| self.by_image_name(name, registry, asked, why))
        });
        let definition = self.definition_of(asked, |known| known.lists.repositories);
        self.either(by_settings, definition.map(|it| it.why_runs(name, registry, asked.settings)))
    }

    fn by_image_name(&self, name: &str, registry: Option<&Place>, asked: Asked<'_>, why: String) -> Found {
        let names = self.names.as_ref().ok_or(why)?;
        let found = names.of_repository(name).filter(|name| self.named(names, name).id == *asked.id);
        match found {
            Some(_) if registry.is_some_and(|registry| *registry != self.home) => {
                Err(format!("by name only what is in our own registry {} finds it", self.home))
            }
            Some(_) => Ok(format!("by name: its images are in {name}")),
            None => Err(format!("by name, repositories are called {}", names.repositories())),
        }
    }

    fn by_parameter(&self, name: &str, event: &Event, asked: Asked<'_>) -> Found {
        let place = self.place_of(event);
        let bare = parameter_name(name);
        let patterns = asked.rule.map_or(&[][..], |rule| &rule.parameters);
        let patterns = patterns.iter().map(|glob| (glob.as_str(), parameter_pattern(glob)));
        let by_hierarchy = |why| {
            let names = self.names.as_ref().filter(|_| place == self.home).ok_or(why)?;
            match names.of_parameter(bare).filter(|name| self.named(names, name).id == *asked.id) {
                Some(_) => Ok(format!("by name: its parameters are called {}", names.parameters())),
                None => Err(format!("by name, parameters are called {}", names.parameters())),
            }
        };
        let by_settings =
            in_place(&place, asked).and_then(|()| by_list("parameters", bare, patterns, by_hierarchy));
        let definition = self.definition_of(asked, |known| known.lists.parameters);
        self.either(by_settings, definition.map(|it| it.why_reads_parameter(bare, &place)))
    }

    fn by_secret(&self, secret: &str, event: &Event, asked: Asked<'_>) -> Found {
        let place = self.place_of(event);
        let globs = asked.rule.map_or(&[][..], |rule| &rule.secrets);
        let by_settings = in_place(&place, asked).and_then(|()| by_list_of_secrets(secret, globs));
        let definition = self.definition_of(asked, |known| known.lists.secrets);
        self.either(by_settings, definition.map(|it| it.why_reads_secret(secret, &place)))
    }

    /// What naming lists of the files of a service counts where its rule lists none; the index has both.
    fn by_file(&self, bucket: &str, key: &str, asked: Asked<'_>) -> Found {
        let file = format!("s3://{bucket}/{key}");
        let patterns = asked.rule.map_or(&[][..], |rule| &rule.files);
        let patterns: Vec<String> = patterns.iter().map(file_pattern).collect();
        let patterns = patterns.iter().map(|text| (text.as_str(), text.as_str()));
        let by_settings = by_list("files", &file, patterns, |why| {
            let leads = |at: &usize| self.targets[*at].target.id == *asked.id;
            let mapped = self.files.find(&file).iter().any(leads);
            if mapped { Ok("by name: it is in the map of the services' files".into()) } else { Err(why) }
        });
        let definition = self.definition_of(asked, |known| known.lists.files || known.is_in_map);
        self.either(by_settings, definition.map(|it| it.why_loads(bucket, key)))
    }

    /// The target as discovery found it, unless its rule lists such things itself.
    fn definition_of(&self, asked: Asked<'_>, lists: impl Fn(&Known) -> bool) -> Option<FoundTarget<'_>> {
        let is_listed = self.known(asked.id).is_some_and(lists);
        self.found.get(asked.id).filter(|_| !is_listed)
    }

    /// What the settings find counts first. Where naming is on, it is told beside the definition why it does not.
    fn either(&self, by_settings: Found, by_definition: Option<Found>) -> Found {
        match (by_settings, by_definition) {
            (by_settings, None) => by_settings,
            (Ok(by), Some(_)) | (Err(_), Some(Ok(by))) => Ok(by),
            (Err(why), Some(Err(definition))) if self.names.is_some() => Err(format!("{why}; {definition}")),
            (Err(_), Some(Err(definition))) => Err(definition),
        }
    }

    fn by_call(&self, request: &DeployRequest, asked: Asked<'_>) -> Found {
        let (name, service) = (&asked.settings.name, asked.id.service());
        let called = &*request.service;
        let means_it = self.called(called).is_ok_and(|target| target.id == *asked.id);
        if called == name.as_str() {
            Ok(format!("its name is {name}"))
        } else if called.parse().is_ok_and(|id: TargetId| id == *asked.id) {
            Ok(format!("its id is {called}"))
        } else if called == service.as_str() {
            Ok(format!("ECS's name of it is {service}"))
        } else if means_it {
            Ok(format!("by name: `{called}` means {name}"))
        } else {
            Err(format!("it is called {name}, and by ECS {service}"))
        }
    }

    fn by_sign(&self, cluster: Option<&str>, service: &str, event: &Event, asked: Asked<'_>) -> Found {
        in_place(&self.place_of(event), asked)?;
        let (its_cluster, its_service) = (asked.id.cluster(), asked.id.service());
        let same = its_service.as_str() == service && cluster.is_none_or(|it| it == its_cluster.as_str());
        let which = format!("service {its_service} in cluster {its_cluster}");
        if same { Ok(format!("it is {which}")) } else { Err(format!("it is {which}")) }
    }
}

fn in_place(place: &Place, asked: Asked<'_>) -> Result<(), String> {
    if place.has(asked.id) {
        Ok(())
    } else {
        Err(format!("it is in {}, not in {place}", Place::of(asked.id)))
    }
}

fn in_region(only_in: Option<&Region>, asked: Asked<'_>) -> Result<(), String> {
    let its = asked.id.region();
    match only_in.filter(|region| *region != its) {
        Some(region) => Err(format!("it is in {its}, not in {region}")),
        None => Ok(()),
    }
}

fn by_list_of_secrets(secret: &str, globs: &[Glob]) -> Found {
    let matching = globs.iter().find(|glob| {
        secret_patterns(glob).any(|pattern| secret_names(secret).any(|name| Glob::new(pattern).matches(name)))
    });
    match matching {
        Some(glob) => Ok(format!("its secrets list {}", glob.as_str())),
        None => Err(others("secrets", globs.iter().map(Glob::as_str))),
    }
}

/// By the first pattern that matches, each given as it is written and as it is compared; `else_by` answers where
/// nothing is listed, and is given the words for that.
fn by_list<'p>(
    list: &str,
    text: &str,
    patterns: impl Iterator<Item = (&'p str, &'p str)> + Clone,
    else_by: impl FnOnce(String) -> Found,
) -> Found {
    let mut written = patterns.clone().map(|(written, _)| written).peekable();
    let why = others(list, patterns.clone().map(|(written, _)| written));
    if written.peek().is_none() {
        return else_by(why);
    }
    match { patterns }.find(|(_, compared)| Glob::new(compared).matches(text)) {
        Some((written, _)) => Ok(format!("its {list} list {written}")),
        None => Err(why),
    }
}

fn others<'p>(list: &str, written: impl Iterator<Item = &'p str>) -> String {
    let written = listed(written);
    if written.is_empty() { format!("it lists no {list}") } else { format!("its {list} are {written}") }
}
