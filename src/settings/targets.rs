//! `[defaults]` and `[[target]]`: what is deployed, and how.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    durations::LONGEST,
    patterns,
    problems::{Complaints, Origin, Wrong},
    section::{Section, items},
    values::{account, count, duration, ecs_name, flag, one_of, region, tag_policy, target_name},
    written::Written,
};
use crate::domain::{
    AccountId, Base, ClusterName, ImageStyle, OnDelete, OnNewer, OnPush, Region, ServiceName, TargetRule,
    TargetSettings, TriggerSwitches,
};

/// A lane's quiet time is extended to at most a minute by new requests, so it cannot begin longer.
const LONGEST_QUIET: Duration = Duration::from_mins(1);
/// Shorter than this no rollout shows progress: a task needs seconds to start.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
const MOST_RETRIES: u32 = 100;

/// No event reaches more.
const MOST_TARGETS: u32 = 100_000;

/// How targets are deployed that do not say it themselves. The name is for the caller to fill in.
pub(super) fn defaults(section: &mut Section<'_>) -> TargetSettings {
    deployment(section, &TargetSettings::named("".into()))
}

/// Every `[[target]]`, in the order in which they were written.
pub(super) fn targets(
    written: Option<&Written>,
    inherited: &TargetSettings,
    home: Option<&Region>,
    complaints: &Complaints,
) -> Vec<TargetRule> {
    let Some(written) = written else { return Vec::new() };
    let items = items(written).unwrap_or_else(|_| {
        let mend = "begin each with [[target]] in TOML, or write a JSON list of objects";
        complaints.add(&written.origin, "target", None, Wrong::new("is not a list of targets", mend));
        Vec::new()
    });
    let mut seen = Seen::default();
    let mut rules = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut section = Section::new(path_of(item, index), item, complaints);
        if let Some(rule) = rule(&mut section, inherited) {
            seen.check(&rule, home, &section);
            rules.push(rule);
        }
        section.finish();
    }
    rules
}

/// By its name where it has one, else by its place in the list.
fn path_of(item: &Written, index: usize) -> String {
    let named = ["name", "service"].iter().find_map(|key| target_name(item.find(&[key])?).ok());
    named.map_or_else(|| format!("target[{}]", index + 1), |name| format!("target.{name}"))
}

fn rule(section: &mut Section<'_>, inherited: &TargetSettings) -> Option<TargetRule> {
    let cluster: Option<ClusterName> = section.demand("cluster", "name the ECS cluster", ecs_name);
    let service: Option<ServiceName> = section.demand("service", "give ECS's name of the service", ecs_name);
    let name = section.take("name", |it| target_name(it).map(Into::into));
    let account = section.take("account", account);
    let region = section.take("region", region);
    let repositories = section.list("repositories", patterns::repository).unwrap_or_default();
    let parameters = section.list("parameters", patterns::parameter).unwrap_or_default();
    let secrets = section.list("secrets", patterns::secret).unwrap_or_default();
    let files = section.list("files", patterns::file).unwrap_or_default();
    let mut settings = deployment(section, inherited);
    read_family(section, &mut settings);
    let (cluster, service) = (cluster?, service?);
    settings.name = name.unwrap_or_else(|| service.as_str().into());
    let settings = Arc::new(settings);
    Some(TargetRule { account, region, cluster, service, repositories, parameters, secrets, files, settings })
}

/// How a target is deployed: what this section says, and the inherited where it says nothing.
pub(super) fn deployment(section: &mut Section<'_>, inherited: &TargetSettings) -> TargetSettings {
    let it = inherited.clone();
    TargetSettings {
        on_push: section.take("on_push", one_of(&ON_PUSH)).unwrap_or(it.on_push),
        tags: section.take("tags", tag_policy).unwrap_or(it.tags),
        ignore_tags: section.list("ignore_tags", tag_policy).unwrap_or(it.ignore_tags),
        image_reference: section.take("image_reference", one_of(&IMAGE_STYLE)).unwrap_or(it.image_reference),
        container: section.take("container", ecs_name).or(it.container),
        base: section.take("base", one_of(&BASE)).unwrap_or(it.base),
        quiet: section.take("quiet", duration(Duration::ZERO..=LONGEST_QUIET)).unwrap_or(it.quiet),
        timeout: section.take("timeout", duration(SHORTEST_TIMEOUT..=LONGEST)).unwrap_or(it.timeout),
        retries: section.take("retries", count(0..=MOST_RETRIES)).unwrap_or(it.retries),
        rollback: section.take("rollback", flag).unwrap_or(it.rollback),
        on_newer: section.take("on_newer", one_of(&ON_NEWER)).unwrap_or(it.on_newer),
        max_parallel: section.take("max_parallel", count(0..=MOST_TARGETS)).unwrap_or(it.max_parallel),
        stop_after: section.take("stop_after", count(0..=MOST_TARGETS)).unwrap_or(it.stop_after),
        branches: section.list("branches", patterns::branch).unwrap_or(it.branches),
        on_delete: section.take("on_delete", one_of(&ON_DELETE)).unwrap_or(it.on_delete),
        dry_run: section.take("dry_run", flag).unwrap_or(it.dry_run),
        triggers: section.within("triggers", |triggers| switches(triggers, it.triggers)),
        name: it.name,
    }
}

const ON_PUSH: [(&str, OnPush); 4] = [
    ("follow", OnPush::Follow),
    ("pin", OnPush::Pin),
    ("always", OnPush::Always),
    ("ignore", OnPush::Ignore),
];
const IMAGE_STYLE: [(&str, ImageStyle); 2] = [("tag", ImageStyle::Tag), ("digest", ImageStyle::Digest)];
const BASE: [(&str, Base); 2] = [("running", Base::Running), ("latest", Base::Latest(None))];
const ON_NEWER: [(&str, OnNewer); 3] =
    [("when-failing", OnNewer::WhenFailing), ("queue", OnNewer::Queue), ("interrupt", OnNewer::Interrupt)];
const ON_DELETE: [(&str, OnDelete); 2] = [("warn", OnDelete::Warn), ("deploy", OnDelete::Deploy)];

fn switches(section: &mut Section<'_>, inherited: TriggerSwitches) -> TriggerSwitches {
    TriggerSwitches {
        images: section.take("images", flag).unwrap_or(inherited.images),
        parameters: section.take("parameters", flag).unwrap_or(inherited.parameters),
        secrets: section.take("secrets", flag).unwrap_or(inherited.secrets),
        files: section.take("files", flag).unwrap_or(inherited.files),
        requests: section.take("requests", flag).unwrap_or(inherited.requests),
    }
}

/// A family counts only where deployments start from its newest revision.
pub(super) fn read_family(section: &mut Section<'_>, settings: &mut TargetSettings) {
    let Some(written) = section.get("family") else { return };
    let family = section.take("family", ecs_name::<Box<str>>);
    match (&mut settings.base, family) {
        (Base::Latest(latest), Some(family)) => *latest = Some(family.into()),
        (Base::Running, Some(_)) => {
            let wrong = Wrong::new(
                r#"does nothing with `base = "running"`"#,
                r#"set `base = "latest"`, or remove the family"#,
            );
            section.complain(&written.origin, &section.name_of("family"), wrong);
        }
        (Base::Latest(_) | Base::Running, None) => {}
    }
}

type Id = (Option<AccountId>, Option<Region>, ClusterName, ServiceName);

/// The targets before this one.
#[derive(Default)]
struct Seen {
    names: BTreeMap<String, Origin>,
    ids: BTreeMap<Id, Origin>,
}

impl Seen {
    fn check(&mut self, rule: &TargetRule, home: Option<&Region>, section: &Section<'_>) {
        let origin = section.home();
        let name = rule.settings.name.as_str();
        if let Some(first) = self.names.insert(name.into(), origin.clone()) {
            let wrong = format!("has the name `{name}` of the target at {first}");
            section.complain(
                origin,
                &section.name_of("name"),
                Wrong::new(wrong, "give each target a name of its own"),
            );
        }
        let region = rule.region.as_ref().or(home).cloned();
        let id = (rule.account.clone(), region, rule.cluster.clone(), rule.service.clone());
        if let Some(first) = self.ids.insert(id, origin.clone()) {
            let wrong = format!("is service {} of {} once more, as at {first}", rule.service, rule.cluster);
            section.complain(
                origin,
                &section.name_of("service"),
                Wrong::new(wrong, "make one target of the two"),
            );
        }
    }
}
