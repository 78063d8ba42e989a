//! Targets found by the names of things.
//!
//! Every pattern is matched whole, with `{project}` and `{env}` filled in, so that a thing of another project or
//! environment is never taken for ours. `{name}` stands for what a service may be called: letters, digits, `_` and
//! `-`, at most 255 of them. The backend has no name in the patterns: there its name is empty, and the separator that
//! would stand twice stands once. Elsewhere it is called `backend`.

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{Base, ClusterName, NamedService, Naming, ServiceName, TargetSettings};

/// What the backend is called in settings, names and lines for people.
const BACKEND: &str = "backend";

const PLACEHOLDER: &str = "{name}";

const SEPARATORS: [char; 4] = ['_', '-', '.', '/'];

/// The patterns of one project and environment, ready to be matched.
#[derive(Clone, Debug)]
pub(super) struct Names {
    project: Arc<str>,
    cluster: ClusterName,
    service: Template,
    family: Template,
    repository: Template,
    backend_repository: String,
    parameter: Template,
    backend_alias: Option<Arc<str>>,
    services: BTreeMap<Arc<str>, NamedService>,
    by_service: BTreeMap<Arc<str>, Arc<str>>,
    defaults: Arc<TargetSettings>,
}

impl Names {
    pub(super) fn new(naming: &Naming) -> Self {
        let template = |pattern: &str| Template::new(pattern, naming);
        let hierarchy = format!("{}/", bare(&naming.parameter).trim_end_matches('/'));
        let mut names = Self {
            project: naming.project.clone(),
            cluster: template(&naming.cluster).fill("").into(),
            service: template(&naming.service),
            family: template(&naming.family),
            repository: template(&naming.repository),
            backend_repository: format!("{}_{BACKEND}", naming.project),
            parameter: template(&hierarchy),
            backend_alias: naming.backend.clone(),
            services: BTreeMap::new(),
            by_service: BTreeMap::new(),
            defaults: naming.defaults.clone(),
        };
        for (called, named) in &naming.services {
            let name: Arc<str> = names.canonical(called).into();
            names.by_service.insert(named.service.as_str().into(), name.clone());
            names.services.insert(name, named.clone());
        }
        names
    }

    pub(super) fn project(&self) -> &str {
        &self.project
    }

    pub(super) fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// How repositories are named, for people.
    pub(super) fn repositories(&self) -> String {
        format!("{} or {}", self.repository.shown(), self.backend_repository)
    }

    /// How parameters are named, for people.
    pub(super) fn parameters(&self) -> String {
        format!("/{}", self.parameter.shown())
    }

    /// The one name of a service that may be called by several.
    pub(super) fn canonical<'a>(&self, called: &'a str) -> &'a str {
        let backend = called.is_empty() || self.backend_alias.as_deref() == Some(called);
        if backend { BACKEND } else { called }
    }

    /// The name of the service whose image is kept in this repository.
    pub(super) fn of_repository<'a>(&self, repository: &'a str) -> Option<&'a str> {
        if repository == self.backend_repository {
            return Some(BACKEND);
        }
        self.repository.named_in(repository).map(|name| self.canonical(name))
    }

    /// The name of the service in whose hierarchy this parameter is, at whatever depth.
    pub(super) fn of_parameter<'a>(&self, parameter: &'a str) -> Option<&'a str> {
        self.parameter.named_above(bare(parameter)).map(|name| self.canonical(name))
    }

    /// The name of the service that ECS knows by exactly this name.
    pub(super) fn of_service<'a>(&'a self, service: &'a str) -> Option<&'a str> {
        if let Some(name) = self.by_service.get(service) {
            return Some(name);
        }
        self.pattern_name(service).filter(|name| self.service(name).as_str() == service)
    }

    /// The name of the service that somebody calls so: by its name, or by ECS's.
    pub(super) fn of_call<'a>(&'a self, called: &'a str) -> Option<&'a str> {
        let name = self.canonical(called);
        if name == BACKEND || self.services.contains_key(name) {
            return Some(name);
        }
        self.of_service(called)
            .or_else(|| self.pattern_name(called))
            .or_else(|| is_name(called).then_some(called))
    }

    /// ECS's name of the service with this name.
    pub(super) fn service(&self, name: &str) -> ServiceName {
        match self.services.get(name) {
            Some(named) => named.service.clone(),
            None => self.service.fill(in_patterns(name)).into(),
        }
    }

    /// How the service with this name is deployed. Its family is known, so no running definition is needed for it.
    pub(super) fn settings(&self, name: &str) -> Arc<TargetSettings> {
        let family = || match self.services.get(name) {
            Some(named) => named.family.clone(),
            None => self.family.fill(in_patterns(name)).into(),
        };
        let base = match &self.defaults.base {
            Base::Running => Base::Running,
            Base::Latest(_) => Base::Latest(Some(family())),
        };
        Arc::new(TargetSettings { name: name.into(), base, ..TargetSettings::clone(&self.defaults) })
    }

    /// The names of the services whose ECS names are given.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Arc<str>> {
        self.services.keys()
    }

    fn pattern_name<'a>(&self, service: &'a str) -> Option<&'a str> {
        let backend = (service == self.service.fill("")).then_some(BACKEND);
        backend.or_else(|| self.service.named_in(service).map(|name| self.canonical(name)))
    }
}

/// The name of a parameter without the slash that a hierarchy begins with: both ways of writing it mean the same.
pub(super) fn bare(parameter: &str) -> &str {
    parameter.strip_prefix('/').unwrap_or(parameter)
}

fn in_patterns(name: &str) -> &str {
    if name == BACKEND { "" } else { name }
}

/// Whether a service may be called so.
pub(super) fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(legal)
}

/// A pattern with a place for the name.
#[derive(Clone, Debug)]
struct Template {
    before: String,
    after: Option<String>,
}

impl Template {
    fn new(pattern: &str, naming: &Naming) -> Self {
        let fill =
            |part: &str| part.replace("{project}", &naming.project).replace("{env}", &naming.environment);
        match pattern.split_once(PLACEHOLDER) {
            Some((before, after)) => Self { before: fill(before), after: Some(fill(after)) },
            None => Self { before: fill(pattern), after: None },
        }
    }

    /// With this name in its place; around an empty one no separator stands twice, or dangles at an end.
    fn fill(&self, name: &str) -> String {
        let (before, after) = (&*self.before, self.after.as_deref());
        let Some(after) = after else { return before.into() };
        if !name.is_empty() {
            return [before, name, after].concat();
        }
        if before.is_empty() {
            return after.strip_prefix(SEPARATORS).unwrap_or(after).into();
        }
        let superfluous = after.is_empty() || before.chars().last() == after.chars().next();
        let without = before.strip_suffix(SEPARATORS).filter(|_| superfluous);
        [without.unwrap_or(before), after].concat()
    }

    /// The name in a whole text.
    fn named_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let name = text.strip_prefix(&*self.before)?.strip_suffix(self.after.as_deref()?)?;
        is_name(name).then_some(name)
    }

    /// The name in the beginning of a text that goes on behind it.
    fn named_above<'a>(&self, text: &'a str) -> Option<&'a str> {
        let rest = text.strip_prefix(&*self.before)?;
        let (name, below) = rest.split_once(self.after.as_deref()?)?;
        (is_name(name) && !below.is_empty()).then_some(name)
    }

    fn shown(&self) -> String {
        let after = self.after.as_deref().map(|after| [PLACEHOLDER, after].concat());
        format!("{}{}", self.before, after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::naming;

    fn names() -> Names {
        Names::new(&naming())
    }

    #[test]
    fn a_repository_names_its_service_only_as_a_whole() {
        for (repository, name) in [
            ("chubby_service_api", Some("api")),
            ("chubby_service_my-api", Some("my-api")),
            ("chubby_service_my_api", Some("my_api")),
            ("chubby_backend", Some("backend")),
            ("chubby_service_backend", Some("backend")),
            ("other_service_api", None),
            ("ns/chubby_service_api", None),
            ("chubby_service_api/x", None),
            ("chubby_task_fees", None),
            ("chubby_service_", None),
            ("chubby_service_a.b", None),
            ("Chubby_service_api", None),
        ] {
            assert_eq!(names().of_repository(repository), name, "{repository}");
        }
    }

    #[test]
    fn a_parameter_names_its_service_at_any_depth_below_it() {
        for (parameter, name) in [
            ("/dev/chubby/api/KEY", Some("api")),
            ("dev/chubby/api/KEY", Some("api")),
            ("/dev/chubby/api/db/password", Some("api")),
            ("/dev/chubby/backend/gcm-server-key", Some("backend")),
            ("/x/dev/chubby/api/KEY", None),
            ("/prod/chubby/api/KEY", None),
            ("/dev/chubby/api", None),
            ("/dev/chubby/api/", None),
            ("/dev/chubby//KEY", None),
            ("//dev/chubby/api/KEY", None),
        ] {
            assert_eq!(names().of_parameter(parameter), name, "{parameter}");
        }
    }

    #[test]
    fn the_backend_answers_to_the_empty_name_backend_its_alias_and_its_ecs_name() {
        let names = Names::new(&Naming { backend: Some("main".into()), ..naming() });
        for called in ["", "backend", "main", "chubby_service_dev"] {
            assert_eq!(names.of_call(called), Some("backend"), "{called}");
        }
        assert_eq!(names.service("backend").as_str(), "chubby_service_dev");
        assert_eq!(names.of_parameter("/dev/chubby/main/KEY"), Some("backend"));
    }

    #[test]
    fn a_service_is_called_by_its_name_or_by_ecs_name() {
        let names = names();
        assert_eq!(names.of_call("my-api"), Some("my-api"));
        assert_eq!(names.of_call("chubby_service_my-api_dev"), Some("my-api"));
        for called in ["a b", "a/b", "../x", &"x".repeat(256)] {
            assert_eq!(names.of_call(called), None, "{called}");
        }
    }

    #[test]
    fn a_service_whose_names_are_given_is_not_looked_for_by_the_pattern() {
        let odd = NamedService { service: "odd-web".into(), family: "odd-family".into() };
        let names = Names::new(&Naming { services: [("web".into(), odd)].into(), ..naming() });
        assert_eq!(names.service("web").as_str(), "odd-web");
        assert_eq!(names.settings("web").base, Base::Latest(Some("odd-family".into())));
        assert_eq!(names.of_service("odd-web"), Some("web"));
        assert_eq!(names.of_service("chubby_service_web_dev"), None);
        assert_eq!(names.of_call("odd-web"), Some("web"));
    }

    #[test]
    fn an_empty_name_leaves_no_separator_twice_or_at_an_end() {
        for (pattern, service) in [
            ("{project}_service_{name}_{env}", "chubby_service_dev"),
            ("{project}-{name}-{env}", "chubby-dev"),
            ("{project}_{env}_{name}", "chubby_dev"),
            ("{name}-{env}", "dev"),
            ("{project}{name}{env}", "chubbydev"),
            ("a__b_{name}_c", "a__b_c"),
        ] {
            let names = Names::new(&Naming { service: pattern.into(), ..naming() });
            assert_eq!(names.service("backend").as_str(), service, "{pattern}");
        }
    }

    #[test]
    fn a_named_service_starts_from_the_newest_of_its_family_only_where_that_is_the_base() {
        assert_eq!(names().settings("api").base, Base::Latest(Some("chubby_service_api_dev".into())));
        let defaults = TargetSettings { base: Base::Running, ..TargetSettings::clone(&naming().defaults) };
        let names = Names::new(&Naming { defaults: defaults.into(), ..naming() });
        assert_eq!(names.settings("api").base, Base::Running);
        assert_eq!(names.settings("api").name, "api".into());
    }

    #[test]
    fn a_hierarchy_may_be_written_without_its_last_slash_and_have_parts_behind_the_name() {
        for (pattern, parameter) in [
            ("/{env}/{project}/{name}", "/dev/chubby/api/KEY"),
            ("{project}/{name}/{env}/", "/chubby/api/dev/KEY"),
            ("/{env}/{project}-{name}", "/dev/chubby-api/KEY"),
        ] {
            let names = Names::new(&Naming { parameter: pattern.into(), ..naming() });
            assert_eq!(names.of_parameter(parameter), Some("api"), "{pattern}");
        }
    }
}
