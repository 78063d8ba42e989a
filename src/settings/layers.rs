//! The layers of settings in their order: each later one is laid over those before it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    catalogue::{self, DEFAULT_TOML},
    merge::merge,
    problems::{Complaints, Origin, Wrong},
    values::is_name,
    written::{Raw, Written, from_toml, quoted},
};

/// Environment variables that set one key each begin so.
pub(super) const PREFIX: &str = "LOCKKEEPER__";
/// The variable that chooses `config/{…}.toml`.
pub(super) const ENVIRONMENT: &str = "LOCKKEEPER_ENV";
/// The variable that holds a whole document, for containers without files.
const DOCUMENT: &str = "LOCKKEEPER_CONFIG_TOML";

/// No setting has more parts to its name; layers are laid over one another part by part.
const DEEPEST_KEY: usize = 8;

/// Where settings are looked for, besides those that are built in.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files, as given by `--config`.
    pub files: Vec<PathBuf>,
    /// The environment variables of the process.
    pub environment: BTreeMap<String, String>,
    /// Where `config/{LOCKKEEPER_ENV}.toml` is looked for.
    pub folder: PathBuf,
}

/// All layers that somebody wrote, laid over one another.
pub(super) struct Layers {
    pub(super) written: Written,
    /// A document could not be read, so that what is missing may stand there.
    pub(super) incomplete: bool,
}

/// The layer that is built in.
pub(super) fn built_in(complaints: &Complaints) -> Written {
    let source = "config/default.toml (built in)";
    from_toml(source, DEFAULT_TOML, complaints).unwrap_or_else(|| Written::empty_table(Origin::new(source)))
}

/// The layers above the built-in one and the old Lambda's variables.
pub(super) fn gather(sources: &Sources, complaints: &Complaints) -> Layers {
    let documents = documents(sources, complaints);
    let incomplete = documents.iter().any(Option::is_none);
    let variables =
        sources.environment.iter().filter_map(|(name, value)| of_variable(name, value, complaints));
    Layers { written: merge(documents.into_iter().flatten().chain(variables)), incomplete }
}

/// Every document there is; nothing for one that cannot be read.
fn documents(sources: &Sources, complaints: &Complaints) -> Vec<Option<Written>> {
    let mut documents = Vec::new();
    if let Some(name) = sources.environment.get(ENVIRONMENT).filter(|name| !name.is_empty()) {
        documents.push(of_environment(name, &sources.folder, complaints));
    }
    for path in &sources.files {
        let name = path.display().to_string();
        documents.push(of_file(&Origin::new(&name), &name, path, "name a file that can be read", complaints));
    }
    if let Some(text) = sources.environment.get(DOCUMENT) {
        documents.push(from_toml(DOCUMENT, text, complaints));
    }
    documents
}

fn of_environment(name: &str, folder: &Path, complaints: &Complaints) -> Option<Written> {
    let origin = Origin::new(ENVIRONMENT);
    if !is_name(name, 100) {
        let wrong =
            Wrong::new("is not the name of a file", "use letters, digits, `_` and `-` only, or unset it");
        complaints.add(&origin, ENVIRONMENT, Some(quoted(name)), wrong);
        return None;
    }
    let shown = format!("config/{name}.toml");
    let mend = format!("write {shown} where the process starts, or unset {ENVIRONMENT}");
    of_file(&origin, &shown, &folder.join(&shown), &mend, complaints)
}

fn of_file(
    origin: &Origin,
    shown: &str,
    path: &Path,
    mend: &str,
    complaints: &Complaints,
) -> Option<Written> {
    match fs::read_to_string(path) {
        Ok(text) => from_toml(shown, &text, complaints),
        Err(error) => {
            let subject =
                if *origin.source == *shown { String::new() } else { format!("chooses {shown}, which ") };
            let wrong = format!("{subject}cannot be read: {error}");
            complaints.add(origin, "", None, Wrong::new(wrong, mend));
            None
        }
    }
}

/// One key; nothing of a variable that is none of ours.
fn of_variable(name: &str, value: &str, complaints: &Complaints) -> Option<Written> {
    let origin = Origin::new(name);
    let Some(path) = name.strip_prefix(PREFIX) else {
        complain_of_a_single_underscore(&origin, complaints);
        return None;
    };
    let path = path.to_lowercase();
    let path: Vec<&str> = path.split("__").collect();
    if path.len() > DEEPEST_KEY || path.iter().any(|key| key.is_empty()) {
        let mend = format!("write it as {PREFIX}SECTION__KEY");
        complaints.add(&origin, "", None, Wrong::new("names no key", mend));
        return None;
    }
    Some(Written::at_path(&path, Written::new(origin, Raw::Loose(value.into()))))
}

/// Only of names that can be nothing else: an orchestrator may set others, such as `LOCKKEEPER_SERVICE_HOST`.
fn complain_of_a_single_underscore(origin: &Origin, complaints: &Complaints) {
    let Some(rest) = origin.source.strip_prefix("LOCKKEEPER_") else { return };
    let meant = |it: &catalogue::Key| {
        let spelled = format!("{PREFIX}{}__{}", it.section, it.key).replace('.', "__").to_uppercase();
        let single = spelled.replace("__", "_");
        (single.strip_prefix("LOCKKEEPER_") == Some(rest)).then_some(spelled)
    };
    if let Some(meant) = catalogue::keys().iter().find_map(meant) {
        let wrong = Wrong::new("sets nothing", format!("did you mean {meant}, with two underscores?"));
        complaints.add(origin, "", None, wrong);
    }
}
