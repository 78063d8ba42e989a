//! `[naming]`: targets found by the names of things.

use std::sync::Arc;

use super::{
    lambda::Lambda,
    problems::{Origin, Wrong},
    section::Section,
    values::{is_name, text},
    written::Written,
};
use crate::domain::{Naming, TargetSettings, nearest};

const CLUSTER: &str = "{project}_cluster_{env}";
const SERVICE: &str = "{project}_service_{name}_{env}";
const REPOSITORY: &str = "{project}_service_{name}";
const PARAMETER: &str = "/{env}/{project}/{name}/";
const PLACEHOLDERS: [&str; 3] = ["project", "env", "name"];

/// Whether `{name}` belongs in a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// Without it the name of the service could not be read from an event.
    Needed,
    Allowed,
    /// One value stands for all services.
    Foreign,
}

/// The naming, if any key of it or one of the old Lambda's variables is set. `incomplete`: what is missing may stand
/// in a document that could not be read.
pub(super) fn read(
    section: &mut Section<'_>,
    lambda: Lambda,
    defaults: TargetSettings,
    incomplete: bool,
) -> Option<Naming> {
    let first_key = section.entries().map(|(_, written)| written.origin.clone()).min();
    let project = section.take("project", word);
    let environment = section.take("environment", word);
    let mut pattern = |key, others: &'static str, name, default: &str| {
        section.take(key, |it| pattern(it, others, name)).unwrap_or_else(|| default.into())
    };
    let cluster = pattern("cluster", "_-", Name::Foreign, CLUSTER);
    let service = pattern("service", "_-", Name::Allowed, SERVICE);
    let family = pattern("family", "_-", Name::Allowed, SERVICE);
    let repository = pattern("repository", "_-./", Name::Needed, REPOSITORY);
    let parameter = section.take("parameter", hierarchy).unwrap_or_else(|| PARAMETER.into());
    let backend = section.take("backend", word);
    let because = first_key.or(lambda.used)?;
    if !incomplete {
        demand(section, "project", "PROJECT_NAME", &because);
        demand(section, "environment", "PROJECT_ENV", &because);
    }
    Some(Naming {
        project: project?,
        environment: environment?,
        cluster,
        service,
        family,
        repository,
        parameter,
        backend,
        services: lambda.services,
        files: lambda.files,
        defaults: Arc::new(defaults),
    })
}

fn demand(section: &Section<'_>, key: &str, variable: &str, because: &Origin) {
    if section.entries().all(|(it, _)| it != key) {
        let wrong = Wrong::new(
            "is missing, and targets are to be found by their names",
            format!("set naming.{key} or {variable}, or remove what else is set of the naming"),
        );
        section.complain(because, &section.name_of(key), wrong);
    }
}

/// A part of names: a project, an environment, a service.
fn word(written: &Written) -> Result<Arc<str>, Wrong> {
    let text = text(written)?;
    if is_name(&text.replace('.', "_"), 100) {
        return Ok(text.into());
    }
    Err(Wrong::new("is no part of a name", "use letters, digits, `_`, `-` and `.` only, at most 100"))
}

fn hierarchy(written: &Written) -> Result<Arc<str>, Wrong> {
    let text = text(written)?;
    if !text.starts_with('/') || !text.ends_with('/') {
        let mend = format!(r#"write "/{}/""#, text.trim_matches('/'));
        return Err(Wrong::new("is not a hierarchy, which begins and ends with a slash", mend));
    }
    pattern(written, "_-./", Name::Needed)
}

fn pattern(written: &Written, others: &str, name: Name) -> Result<Arc<str>, Wrong> {
    let text = text(written)?;
    let mut names = 0;
    let mut rest = text;
    while let Some((literal, behind)) = rest.split_once('{') {
        check_literal(literal, others)?;
        let (placeholder, behind) = behind
            .split_once('}')
            .ok_or_else(|| Wrong::new("has a `{` without a `}`", "close the placeholder"))?;
        check_placeholder(placeholder)?;
        names += usize::from(placeholder == "name");
        rest = behind;
    }
    check_literal(rest, others)?;
    match (name, names) {
        (_, 2..) => Err(Wrong::new("has `{name}` twice", "leave it once, so that names can be read back")),
        (Name::Needed, 0) => Err(Wrong::new("lacks `{name}`", "put it where the name of the service stands")),
        (Name::Foreign, 1) => {
            Err(Wrong::new("has `{name}`", "use {project} and {env} only: one for all services"))
        }
        (Name::Allowed, _) | (Name::Needed, 1) | (Name::Foreign, 0) => Ok(text.into()),
    }
}

fn check_placeholder(placeholder: &str) -> Result<(), Wrong> {
    if PLACEHOLDERS.contains(&placeholder) {
        return Ok(());
    }
    let mend = match nearest(placeholder, &PLACEHOLDERS) {
        Some(meant) => format!("did you mean `{{{meant}}}`?"),
        None => "use {project}, {env} and {name}".into(),
    };
    Err(Wrong::new(format!("has `{{{placeholder}}}`, which stands for nothing"), mend))
}

fn check_literal(literal: &str, others: &str) -> Result<(), Wrong> {
    match literal.chars().find(|c| !c.is_ascii_alphanumeric() && !others.contains(*c)) {
        Some(c) => {
            let mend =
                format!("use letters, digits, {others} and the placeholders {{project}}, {{env}}, {{name}}");
            Err(Wrong::new(format!("has `{c}`, which such a name cannot have"), mend))
        }
        None => Ok(()),
    }
}
