//! What the settings say, and what is wrong with them. Nobody is asked.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding;
use crate::{
    cli::terminal::counted,
    domain::{
        DiscoveryRules, ImageStyle, OnPush, ReconcileMode, Region, Selector, TargetRule, TargetSettings,
    },
    settings::{Problems, Settings, Warning},
};

/// How an account or Region is written that is Lockkeeper's own: only AWS knows which that is.
pub(in crate::cli) const OWN: &str = "own";

/// The answer in JSON; `docs/commands.md` gives its shape.
#[derive(Serialize)]
pub(super) struct Checked {
    sound: bool,
    problems: Vec<Finding>,
    warnings: Vec<Finding>,
    targets: Vec<Target>,
    naming: Option<Naming>,
    discovery: Option<Discovery>,
    reconcile: Option<Reconcile>,
    /// What was found in AWS; null where it was not asked.
    findings: Option<Vec<finding::Finding>>,
}

#[derive(Serialize)]
struct Finding {
    /// The file or variable, where the finding is about something that was written.
    source: Option<String>,
    line: Option<usize>,
    key: String,
    value: Option<String>,
    wrong: String,
    mend: String,
}

#[derive(Serialize)]
struct Target {
    name: String,
    id: String,
    policy: String,
    dry_run: bool,
}

#[derive(Serialize)]
struct Naming {
    project: String,
    environment: String,
    policy: String,
    dry_run: bool,
}

/// Where services are looked for, and which.
#[derive(Serialize)]
struct Discovery {
    accounts: Vec<String>,
    regions: Vec<String>,
    clusters: Vec<String>,
    services: Vec<String>,
    exclude: Vec<String>,
    refresh_seconds: u64,
    policy: String,
    dry_run: bool,
}

#[derive(Serialize)]
struct Reconcile {
    mode: &'static str,
    every_seconds: u64,
}

impl Checked {
    pub(super) fn sound(settings: &Settings, findings: Option<Vec<finding::Finding>>) -> Self {
        let naming = settings.naming.as_ref().map(|naming| Naming {
            project: naming.project.to_string(),
            environment: naming.environment.to_string(),
            policy: policy(&naming.defaults),
            dry_run: naming.defaults.dry_run,
        });
        let targets = settings.targets.iter().map(|rule| Target::new(rule, settings)).collect();
        let discovery = settings.discovery.as_ref().map(|rules| Discovery::new(rules, settings));
        let reconcile = Reconcile {
            mode: mode(settings.reconcile.mode),
            every_seconds: settings.reconcile.every.as_secs(),
        };
        Self {
            sound: true,
            problems: Vec::new(),
            warnings: warnings(settings),
            targets,
            naming,
            discovery,
            reconcile: Some(reconcile),
            findings,
        }
    }

    pub(super) fn unsound(problems: &Problems) -> Self {
        let finding = |it: &crate::settings::Problem| Finding {
            source: Some(it.origin.source.to_string()),
            line: it.origin.line,
            key: it.key.clone(),
            value: it.value.clone(),
            wrong: it.wrong.clone(),
            mend: it.mend.clone(),
        };
        let problems = problems.0.iter().map(finding).collect();
        Self {
            sound: false,
            problems,
            warnings: Vec::new(),
            targets: Vec::new(),
            naming: None,
            discovery: None,
            reconcile: None,
            findings: None,
        }
    }
}

impl Discovery {
    fn new(rules: &DiscoveryRules, settings: &Settings) -> Self {
        let written = |selectors: &[Selector]| selectors.iter().map(ToString::to_string).collect();
        let home = settings.aws.region.as_ref().map_or(OWN, |it| it.as_str());
        let accounts = settings.aws.estate.accounts.iter().map(|it| it.account.as_str());
        let regions = settings.aws.estate.regions.iter().map(Region::as_str);
        Self {
            accounts: std::iter::once(OWN).chain(accounts).map(str::to_owned).collect(),
            regions: std::iter::once(home).chain(regions).map(str::to_owned).collect(),
            clusters: written(&rules.clusters),
            services: written(&rules.services),
            exclude: written(&rules.exclude),
            refresh_seconds: rules.refresh.as_secs(),
            policy: policy(&settings.defaults),
            dry_run: settings.defaults.dry_run,
        }
    }

    fn in_words(&self) -> String {
        let Self { accounts, regions, clusters, services, exclude, policy, dry_run, .. } = self;
        let dry_run = if *dry_run { ", dry run" } else { "" };
        let mut words = format!(
            "Discovery looks for services ({}) of clusters ({}) in {} and {}",
            services.join(", "),
            clusters.join(", "),
            listed("account", accounts),
            listed("Region", regions),
        );
        if !exclude.is_empty() {
            let _ = write!(words, ", without {}", exclude.join(", "));
        }
        words + &format!("; they are deployed by their tags, or as [defaults] say ({policy}{dry_run}).\n")
    }
}

fn listed(what: &str, names: &[String]) -> String {
    let s = if names.len() == 1 { "" } else { "s" };
    format!("{what}{s} {}", names.join(", "))
}

fn mode(mode: ReconcileMode) -> &'static str {
    match mode {
        ReconcileMode::Repair => "repair",
        ReconcileMode::Report => "report",
        ReconcileMode::Off => "off",
    }
}

impl Target {
    fn new(rule: &TargetRule, settings: &Settings) -> Self {
        let account = rule.account.as_ref().map_or(OWN, |it| it.as_str());
        let region = rule.region.as_ref().or(settings.aws.region.as_ref()).map_or(OWN, |it| it.as_str());
        Self {
            name: rule.settings.name.to_string(),
            id: format!("{account}/{region}/{}/{}", rule.cluster, rule.service),
            policy: policy(&rule.settings),
            dry_run: rule.settings.dry_run,
        }
    }
}

impl From<&Warning> for Finding {
    fn from(Warning { key, wrong, mend }: &Warning) -> Self {
        let (key, wrong, mend) = (key.clone(), wrong.clone(), mend.clone());
        Self { source: None, line: None, key, value: None, wrong, mend }
    }
}

/// What the settings themselves warn of, and what only `run` cannot do without.
fn warnings(settings: &Settings) -> Vec<Finding> {
    let queue = settings.require_queue().err().into_iter().flat_map(|problems| problems.0);
    let queue = queue.map(|it| Finding {
        source: None,
        line: None,
        key: it.key,
        value: None,
        wrong: format!("{}: `run` would not start", it.wrong),
        mend: it.mend,
    });
    queue.chain(settings.warnings.iter().map(Finding::from)).collect()
}

/// What a push does, in a few words.
pub(in crate::cli) fn policy(settings: &TargetSettings) -> String {
    match (settings.on_push, settings.image_reference) {
        (OnPush::Follow, _) => "follow".into(),
        (OnPush::Pin, ImageStyle::Tag) => format!("pin {}", settings.tags),
        (OnPush::Pin, ImageStyle::Digest) => format!("pin {} by digest", settings.tags),
        (OnPush::Always, _) => "always".into(),
        (OnPush::Ignore, _) => "ignore".into(),
    }
}

pub(super) fn text(settings: &Settings) -> String {
    let checked = Checked::sound(settings, None);
    let mut text = String::new();
    for Finding { key, wrong, mend, .. } in &checked.warnings {
        let _ = writeln!(text, "warning: {key} {wrong}; {mend}");
    }
    let by_name = checked.naming.as_ref().map(|naming| {
        let Naming { project, environment, policy, dry_run } = naming;
        let dry_run = if *dry_run { ", dry run" } else { "" };
        format!(", and by name those of {project} in {environment} ({policy}{dry_run})")
    });
    let _ = writeln!(
        text,
        "The settings are sound: {}, {}{}.",
        counted(checked.warnings.len(), "warning"),
        counted(checked.targets.len(), "target"),
        by_name.unwrap_or_default()
    );
    text += &checked.discovery.as_ref().map(Discovery::in_words).unwrap_or_default();
    text += match settings.reconcile.mode {
        ReconcileMode::Repair => "",
        ReconcileMode::Report => "Changes whose events were lost are reported, and not repaired.\n",
        ReconcileMode::Off => "Changes whose events were lost are not looked for.\n",
    };
    text + &table(&checked.targets)
}

fn table(targets: &[Target]) -> String {
    let width = |of: fn(&Target) -> &str| targets.iter().map(|it| of(it).chars().count()).max().unwrap_or(0);
    let (name_width, id_width) = (width(|it| &it.name), width(|it| &it.id));
    let mut text = String::new();
    for Target { name, id, policy, dry_run } in targets {
        let dry_run = if *dry_run { ", dry run" } else { "" };
        let _ = writeln!(text, "  {name:name_width$}  {id:id_width$}  {policy}{dry_run}");
    }
    text
}
