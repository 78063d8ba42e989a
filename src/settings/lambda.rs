//! The environment variables of the Lambda that Lockkeeper replaces: they keep working, and mean the same.
//!
//! They form a layer of their own between the built-in settings and everything that was written for Lockkeeper. What
//! one of them sets, nothing above may set differently: two truths in one environment are an accident.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    merge::merge,
    patterns::file_in,
    problems::{Complaints, Origin, Wrong},
    section::{Section, items},
    values::{count, duration, ecs_name, flag, text},
    warnings::Warning,
    written::{Raw, Written, from_json, quoted},
};
use crate::domain::{Base, FilePattern, NamedService, OnPush, TargetSettings};

/// What the variables say.
#[derive(Debug)]
pub(super) struct Lambda {
    /// What has a setting of its own.
    pub(super) layer: Written,
    /// Services whose names were given.
    pub(super) services: BTreeMap<Arc<str>, NamedService>,
    /// The environment files of services.
    pub(super) files: BTreeMap<Arc<str>, Vec<FilePattern>>,
    /// The first variable that says that targets are found by name.
    pub(super) used: Option<Origin>,
    /// What the variables ask for that is not done.
    pub(super) warnings: Vec<Warning>,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Word,
    Flag,
    Count,
    Seconds,
    /// A text that nobody may see.
    Secret,
}

/// A variable and the setting that it stands for.
struct Variable {
    name: &'static str,
    path: &'static [&'static str],
    kind: Kind,
}

/// In order: of two for one setting the later wins, so that a cluster's name overrides its pattern.
const VARIABLES: [Variable; 17] = [
    variable("PROJECT_NAME", &["naming", "project"], Kind::Text),
    variable("PROJECT_ENV", &["naming", "environment"], Kind::Text),
    variable("CLUSTER_NAME_PATTERN", &["naming", "cluster"], Kind::Text),
    variable("ECS_CLUSTER_NAME", &["naming", "cluster"], Kind::Text),
    variable("SERVICE_NAME_PATTERN", &["naming", "service"], Kind::Text),
    variable("TASK_FAMILY_PATTERN", &["naming", "family"], Kind::Text),
    variable("BACKEND_SERVICE_NAME", &["naming", "backend"], Kind::Text),
    variable("DEPLOYMENT_TIMEOUT_SECONDS", &["defaults", "timeout"], Kind::Seconds),
    variable("MAX_DEPLOYMENT_RETRIES", &["defaults", "retries"], Kind::Count),
    variable("DRY_RUN", &["defaults", "dry_run"], Kind::Flag),
    variable("ENABLE_ECR_MONITORING", &["defaults", "triggers", "images"], Kind::Flag),
    variable("ENABLE_SSM_MONITORING", &["defaults", "triggers", "parameters"], Kind::Flag),
    variable("ENABLE_S3_MONITORING", &["defaults", "triggers", "files"], Kind::Flag),
    variable("ENABLE_MANUAL_DEPLOY", &["defaults", "triggers", "requests"], Kind::Flag),
    variable("LOG_LEVEL", &["log", "level"], Kind::Word),
    variable(SLACK_URL, &["notify", "slack", "webhook_url"], Kind::Secret),
    variable(SLACK_SWITCH, &["notify", "slack", "enabled"], Kind::Flag),
];
/// They say nothing about how targets are found.
const COMMON: [&str; 3] = ["LOG_LEVEL", SLACK_URL, SLACK_SWITCH];
const SERVICE_MAP: &str = "ECS_SERVICE_MAP";
const FILE_MAPS: [&str; 2] = ["S3_SERVICE_MAP", "SERVICE_CONFIG"];
const SLACK_URL: &str = "SLACK_WEBHOOK_URL";
const SLACK_SWITCH: &str = "ENABLE_SLACK_NOTIFICATIONS";

/// The Lambda's own limit, where nothing else is set.
const TIMEOUT: Duration = Duration::from_mins(10);

const fn variable(name: &'static str, path: &'static [&'static str], kind: Kind) -> Variable {
    Variable { name, path, kind }
}

/// Reads the variables. An empty one counts as unset, as it did.
pub(super) fn read(environment: &BTreeMap<String, String>, complaints: &Complaints) -> Lambda {
    let set = Set { environment, complaints };
    let layer = |variable: &Variable| Some(Written::at_path(variable.path, set.value(variable)?));
    let layer = merge(VARIABLES.iter().filter_map(layer));
    Lambda { layer, services: set.services(), files: set.files(), used: set.used(), warnings: set.warnings() }
}

/// Every variable.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let plain = VARIABLES.iter().map(|variable| variable.name);
    plain.chain([SERVICE_MAP]).chain(FILE_MAPS)
}

impl Lambda {
    /// Complains about everything that is set above, too, and differently there, or here to something that means nothing:
    /// nobody else reads what something else is laid over.
    pub(super) fn compare(&self, above: &Written, complaints: &Complaints) {
        for variable in &VARIABLES {
            let (Some(ours), Some(theirs)) = (self.layer.find(variable.path), above.find(variable.path))
            else {
                continue;
            };
            let key = variable.path.join(".");
            let is_secret = matches!(variable.kind, Kind::Secret);
            if let Some(wrong) = variable.kind.wrong(ours) {
                complaints.add(&ours.origin, &key, ours.shown(), Wrong { secret: is_secret, ..wrong });
            } else if variable.kind.differ(ours, theirs) {
                let theirs = theirs.shown().filter(|_| !is_secret).map_or_else(
                    || format!("what {} says", theirs.origin),
                    |value| format!("{value} in {}", theirs.origin),
                );
                let wrong = Wrong::new(format!("differs from {theirs}"), "set one of them, or both alike");
                complaints.add(&ours.origin, &key, ours.shown(), Wrong { secret: is_secret, ..wrong });
            }
        }
    }

    /// How services found by these variables are deployed where nobody says otherwise: as the Lambda did.
    pub(super) fn defaults(&self, settings: &TargetSettings, above: &Written) -> TargetSettings {
        let mut settings = settings.clone();
        if self.used.is_none() {
            return settings;
        }
        let is_set = |key: &str| [above, &self.layer].iter().any(|it| it.find(&["defaults", key]).is_some());
        if !is_set("on_push") {
            settings.on_push = OnPush::Always;
        }
        if !is_set("base") {
            settings.base = Base::Latest(None);
        }
        if !is_set("timeout") {
            settings.timeout = TIMEOUT;
        }
        settings
    }
}

impl Kind {
    /// What is wrong with a value, whatever it is for.
    fn wrong(self, value: &Written) -> Option<Wrong> {
        match self {
            Self::Text | Self::Word | Self::Secret => text(value).err(),
            Self::Flag => flag(value).err(),
            Self::Count => count(0..=u32::MAX)(value).err(),
            Self::Seconds => duration(Duration::ZERO..=Duration::MAX)(value).err(),
        }
    }

    /// Whether two values mean different things. One above that means nothing is complained about where it is read.
    fn differ(self, a: &Written, b: &Written) -> bool {
        fn compare<T: PartialEq>(a: Result<T, Wrong>, b: Result<T, Wrong>) -> bool {
            matches!((a, b), (Ok(a), Ok(b)) if a != b)
        }
        match self {
            Self::Text | Self::Word | Self::Secret => compare(text(a), text(b)),
            Self::Flag => compare(flag(a), flag(b)),
            Self::Count => compare(count(0..=u32::MAX)(a), count(0..=u32::MAX)(b)),
            Self::Seconds => compare(
                duration(Duration::ZERO..=Duration::MAX)(a),
                duration(Duration::ZERO..=Duration::MAX)(b),
            ),
        }
    }
}

struct Set<'a> {
    environment: &'a BTreeMap<String, String>,
    complaints: &'a Complaints,
}

impl Set<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn value(&self, variable: &Variable) -> Option<Written> {
        let text = self.get(variable.name)?;
        let origin = Origin::new(variable.name);
        let text = match variable.kind {
            Kind::Text | Kind::Flag | Kind::Count | Kind::Secret => text.into(),
            Kind::Word => text.to_lowercase(),
            Kind::Seconds if text.bytes().all(|byte| byte.is_ascii_digit()) => format!("{text}s"),
            Kind::Seconds => {
                let wrong = Wrong::new("is not a number of seconds", "write digits only, as 600");
                self.complaints.add(&origin, variable.name, Some(quoted(text)), wrong);
                return None;
            }
        };
        Some(Written::new(origin, Raw::Loose(text)))
    }

    /// The first that is set of all but the common ones.
    fn used(&self) -> Option<Origin> {
        let plain = VARIABLES.iter().map(|variable| variable.name).filter(|name| !COMMON.contains(name));
        let mut all = plain.chain([SERVICE_MAP]).chain(FILE_MAPS);
        all.find(|name| self.get(name).is_some()).map(Origin::new)
    }

    fn services(&self) -> BTreeMap<Arc<str>, NamedService> {
        let Some(written) = self.json(SERVICE_MAP) else { return BTreeMap::new() };
        let section = Section::new(SERVICE_MAP, &written, self.complaints);
        let service = |(id, value)| {
            let mut entry = Section::new(section.name_of(id), value, self.complaints);
            let service = entry.demand("service_name", "give ECS's name of the service", ecs_name);
            let family =
                entry.demand("task_family", "give the family of its task definition", ecs_name::<Box<str>>);
            Some((id.into(), NamedService { service: service?, family: family?.into() }))
        };
        section.entries().filter_map(service).collect()
    }

    fn files(&self) -> BTreeMap<Arc<str>, Vec<FilePattern>> {
        let mut all = BTreeMap::new();
        for name in FILE_MAPS {
            let Some(written) = self.json(name) else { continue };
            let section = Section::new(name, &written, self.complaints);
            for (id, value) in section.entries() {
                let files = self.files_of(&section.name_of(id), value);
                if all.insert(id.into(), files.clone()).is_some_and(|before| before != files) {
                    let wrong = format!("differs from what {} says of `{id}`", FILE_MAPS[0]);
                    let wrong = Wrong::new(wrong, "name its files in one of them, or in both alike");
                    section.complain(&value.origin, &section.name_of(id), wrong);
                }
            }
        }
        all
    }

    fn files_of(&self, path: &str, value: &Written) -> Vec<FilePattern> {
        let items = items(value).unwrap_or_else(|_| {
            let wrong = Wrong::new("is not a list", r#"write [{"bucket": "…", "key": "…"}]"#);
            self.complaints.add(&value.origin, path, None, wrong);
            Vec::new()
        });
        let file = |(index, item)| {
            let path = format!("{path}[{}]", index + 1);
            let mut entry = Section::new(path.as_str(), item, self.complaints);
            let bucket = entry.demand("bucket", "name the bucket", |it| text(it).map(str::to_owned))?;
            let key = entry.demand("key", "name the object", |it| text(it).map(str::to_owned))?;
            file_in(&bucket, &key).map_err(|wrong| entry.complain(&value.origin, &path, wrong)).ok()
        };
        items.iter().enumerate().filter_map(file).collect()
    }

    fn json(&self, name: &str) -> Option<Written> {
        let origin = Origin::new(name);
        match serde_json::from_str(self.get(name)?) {
            Ok(value) => Some(from_json(&origin, value)),
            Err(error) => {
                let wrong = Wrong::new(format!("is not JSON: {error}"), "write a JSON object");
                self.complaints.add(&origin, name, None, wrong);
                None
            }
        }
    }

    /// Notifications that somebody switched on, and that have nowhere to go.
    fn warnings(&self) -> Vec<Warning> {
        let switch = self
            .get(SLACK_SWITCH)
            .map(|text| Written::new(Origin::new(SLACK_SWITCH), Raw::Loose(text.into())));
        let is_on = switch.is_some_and(|switch| flag(&switch) == Ok(true));
        let names_none = self.get(SLACK_URL).is_none();
        let wrong = format!("is on, and {SLACK_URL} is not set");
        let mend = format!("set {SLACK_URL}, or notify.slack, or set it to false");
        let warning = || Warning::new(SLACK_SWITCH, wrong, mend);
        (is_on && names_none).then(warning).into_iter().collect()
    }
}
