//! What is wrong with a target before anything is deployed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    finding::{About, Finding, some_of},
    offline::policy,
};
use crate::{
    aws::ecs::{Guard, Inspected, InspectedDefinition},
    cli::terminal::counted,
    domain::{
        CallFailure, Cause, ContainerName, Dependency, Glob, Marks, OnPush, Owner, ServiceState, Tag,
        TargetId, TargetName, TargetRule, TargetSettings,
    },
};

/// A target, and how it is deployed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: TargetId,
    pub(super) settings: Arc<TargetSettings>,
    /// What the settings list of it, where they name it.
    pub(super) rule: Option<TargetRule>,
    /// Why it is not deployed, if it is not.
    pub(super) refused: Option<Arc<str>>,
    /// Whether discovery found it, and nobody named it.
    pub(super) found: bool,
}

/// A target whose definition was read, as far as events and things are concerned.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) id: TargetId,
    pub(super) settings: Arc<TargetSettings>,
    /// What its tasks read when they start.
    pub(super) dependencies: Vec<Dependency>,
    /// The tag that each container's image names.
    pub(super) tags: BTreeMap<ContainerName, Tag>,
}

/// What was read of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) service: Result<Inspected, CallFailure>,
    /// The definition that it runs; none where it has none, or could not be read.
    pub(super) definition: Option<Result<Option<InspectedDefinition>, CallFailure>>,
    /// Whether a rollout was ever complete, where that was asked.
    pub(super) completed: Option<bool>,
}

/// So many names are listed in a line.
const MOST_NAMES: usize = 5;
/// What the reason begins with where its owner wants it so.
const SWITCHED_OFF: &str = "switched off";
/// Tools that own what they made, as people write them into tags.
const TOOLS: [&str; 6] = ["terraform", "opentofu", "cloudformation", "cdk", "pulumi", "copilot"];

/// What is wrong with it; one line that all is well, otherwise.
pub(super) fn judge(candidate: &Candidate, reading: &Reading) -> Vec<Finding> {
    let name = candidate.settings.name.as_str();
    if let Some(why) = &candidate.refused {
        return vec![not_deployed(why).of(name)];
    }
    let mut findings = Vec::new();
    match &reading.service {
        Err(failure) => findings.push(unread("its service", failure)),
        Ok(service) => {
            findings.extend(of_service(candidate, service));
            if service.state == ServiceState::Active {
                findings.extend(of_rollouts(candidate, service, reading.completed));
                findings.extend(of_definition(candidate, service, reading));
            }
        }
    }
    if findings.is_empty()
        && let Ok(service) = &reading.service
    {
        findings.push(sound(candidate, service, reading));
    }
    findings.into_iter().map(|it| it.of(name)).collect()
}

/// In an account of which no role can be assumed; that is told with what to do about it.
pub(super) fn closed(id: &TargetId, name: &TargetName) -> Finding {
    let what =
        format!("{id} is not looked at, and cannot be deployed: the role of its account cannot be assumed");
    Finding::error(About::Target, what, "").of(name.as_str())
}

/// What tells of changes that concern it, where its definition could be read.
pub(super) fn seen(candidate: &Candidate, reading: &Reading) -> Option<Seen> {
    let Some(Ok(Some(definition))) = &reading.definition else { return None };
    let tags = definition.images.iter().filter_map(|(container, image)| {
        Some((ContainerName::from(container.as_str()), image.as_ref().ok()?.effective_tag()?))
    });
    candidate.refused.is_none().then(|| Seen {
        name: candidate.settings.name.to_string(),
        id: candidate.id.clone(),
        settings: Arc::clone(&candidate.settings),
        dependencies: definition.dependencies.iter().filter(|it| hears_of(candidate, it)).cloned().collect(),
        tags: tags.collect(),
    })
}

/// Whether a change of this is routed to it: what the settings list of a kind is all that counts of it.
fn hears_of(candidate: &Candidate, dependency: &Dependency) -> bool {
    let container = candidate.settings.container.as_ref();
    let Some(rule) = &candidate.rule else {
        return match dependency {
            Dependency::Repository { container: it, .. } => container.is_none_or(|wanted| wanted == it),
            Dependency::Parameter { .. } | Dependency::Secret { .. } | Dependency::File { .. } => true,
        };
    };
    let is_listed = |lists: &[Glob], name: &str| {
        lists.iter().any(|glob| glob.matches(name) || glob.matches(name.trim_start_matches('/')))
    };
    match dependency {
        Dependency::Repository { name, container: it, .. } => {
            container.is_none_or(|wanted| wanted == it) && is_listed(&rule.repositories, name.as_str())
        }
        Dependency::Parameter { name, .. } => is_listed(&rule.parameters, name),
        Dependency::Secret { name, .. } => {
            let bare = name.rsplit_once('-').map_or(&**name, |(bare, _)| bare);
            is_listed(&rule.secrets, name) || is_listed(&rule.secrets, bare)
        }
        Dependency::File { bucket, key } => {
            rule.files.iter().any(|it| it.bucket == *bucket && it.key.matches(key))
        }
    }
}

/// Why it is not deployed; the reason says what to do about it.
fn not_deployed(why: &str) -> Finding {
    let what = format!("it is not deployed: {why}");
    if why.starts_with(SWITCHED_OFF) {
        return Finding::ok(About::Target, what);
    }
    Finding::error(About::Target, what, "")
}

fn of_service(candidate: &Candidate, service: &Inspected) -> Option<Finding> {
    let id = &candidate.id;
    match &service.state {
        ServiceState::Active => None,
        ServiceState::Missing | ServiceState::Inactive => {
            let what = format!("there is no service {} in the cluster {} ({id})", id.service(), id.cluster());
            Some(Finding::error(About::Target, what, "name one that exists, or remove the target"))
        }
        ServiceState::Draining => {
            let what = format!("{id} is being deleted");
            Some(Finding::warning(About::Target, what, "remove the target"))
        }
        ServiceState::OfAnother(owner) => {
            let what = format!(
                "{id} is deployed by the Lockkeeper of queue {owner}, as its tag {} says",
                Owner::TAG
            );
            let mend = "remove the tag if that one no longer deploys it, or the target here";
            Some(Finding::error(About::Target, what, mend))
        }
        ServiceState::OtherController(controller) => {
            let what = format!("its deployments are driven by {controller}, which Lockkeeper does not speak");
            if candidate.found {
                return Some(Finding::warning(About::Target, what, "let discovery.exclude select it"));
            }
            let mend = "give the service the deployment controller ECS, or remove the target";
            Some(Finding::error(About::Target, what, mend))
        }
    }
}

fn of_rollouts(candidate: &Candidate, service: &Inspected, completed: Option<bool>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rollback = candidate.settings.rollback;
    match service.guard {
        Guard::RollsBack => {}
        Guard::Stops if rollback => {}
        Guard::Stops => {
            let what =
                "its circuit breaker stops what fails, and nothing goes back: rollback is off in both places";
            findings.push(Finding::warning(About::Target, what, "switch on the breaker's rollback"));
        }
        Guard::None => {
            let what = "its circuit breaker is off: ECS goes on starting tasks that fail, until the timeout";
            let mend = "enable deploymentCircuitBreaker with rollback";
            findings.push(Finding::warning(About::Target, what, mend));
        }
    }
    if completed == Some(false) {
        let what = "no rollout of it was ever complete, so there is nothing to go back to";
        findings.push(Finding::warning(About::Target, what, "bring it to a steady state by hand once"));
    }
    if service.desired == 0 {
        let what = "no task of it is wanted: a rollout shows nothing, and no digest is pinned";
        findings.push(Finding::warning(About::Target, what, "raise its desired count, if that is not meant"));
    }
    findings
}

fn of_definition(candidate: &Candidate, service: &Inspected, reading: &Reading) -> Vec<Finding> {
    let definition = match (&service.definition, &reading.definition) {
        (None, _) => {
            let what = "it has no task definition that could be rolled out";
            return vec![Finding::error(About::Target, what, "give the service a task definition")];
        }
        (Some(_), None) => return Vec::new(),
        (Some(_), Some(Err(failure))) => return vec![unread("its task definition", failure)],
        (Some(id), Some(Ok(None))) => {
            let what = format!("its task definition {id} does not exist any more");
            return vec![Finding::error(About::Target, what, "update the service to one that does")];
        }
        (Some(_), Some(Ok(Some(definition)))) => definition,
    };
    let mut findings = Vec::new();
    if let (Some(id), false) = (&service.definition, definition.active) {
        let what = format!("its task definition {id} is not ACTIVE: no new rollout of it can be started");
        findings.push(Finding::error(About::Target, what, "register it anew, and update the service"));
    }
    findings.extend(of_images(candidate, definition));
    findings.extend(of_lists(candidate, definition));
    findings.extend(of_owner(candidate, service, definition));
    findings
}

/// Pushes that could never match.
fn of_images(candidate: &Candidate, definition: &InspectedDefinition) -> Vec<Finding> {
    let settings = &candidate.settings;
    let mut findings = Vec::new();
    for (container, image) in &definition.images {
        if let Err(text) = image {
            let what = format!("the image `{text}` of container {container} cannot be read");
            findings.push(Finding::error(About::Target, what, "write [registry/]repository[:tag][@digest]"));
        }
    }
    if !settings.triggers.images || settings.on_push == OnPush::Ignore {
        return findings;
    }
    let is_meant = |container: &str| settings.container.as_ref().is_none_or(|it| it.as_str() == container);
    let meant: Vec<_> = definition.images.iter().filter(|(container, _)| is_meant(container)).collect();
    if let (Some(wanted), true) = (&settings.container, meant.is_empty()) {
        let what = format!("its definition has no container {wanted}");
        findings.push(Finding::error(About::Target, what, "mend `container`"));
        return findings;
    }
    let images = meant.iter().filter_map(|(container, image)| Some((container, image.as_ref().ok()?)));
    let in_ecr: Vec<_> = images.filter(|(_, image)| image.ecr_home().is_some()).collect();
    if in_ecr.is_empty() {
        let what = "none of its images is in a private registry of ECR: nobody tells of their pushes";
        let mend = r#"announce images (docs/events.md), or write on_push = "ignore""#;
        findings.push(Finding::warning(About::Target, what, mend));
    }
    if settings.on_push == OnPush::Follow {
        // After a rollback the definition names a digest, and a tag of it says which tag goes on being followed.
        let is_followed =
            |container: &str| definition.tags.contains_key(&format!("{}{container}", Marks::FOLLOW_PREFIX));
        let by_digest = in_ecr.iter().filter(|(_, image)| image.effective_tag().is_none());
        for (container, image) in by_digest.filter(|(container, _)| !is_followed(container)) {
            let what = format!("container {container} names the digest of {image}: pushes can never match");
            let mend = r#"name the tag alone, or write on_push = "pin""#;
            findings.push(Finding::warning(About::Target, what, mend));
        }
    }
    findings
}

/// What the settings list, and its definition does not have.
fn of_lists(candidate: &Candidate, definition: &InspectedDefinition) -> Vec<Finding> {
    let Some(rule) = &candidate.rule else { return Vec::new() };
    let globs = |globs: &[Glob]| globs.iter().map(|glob| (glob.as_str().to_owned(), glob.clone())).collect();
    let files = rule.files.iter().map(|it| {
        let text = format!("s3://{}/{}", it.bucket, it.key.as_str());
        (text.clone(), Glob::new(&text))
    });
    let on = candidate.settings.triggers;
    let lists: [(Kind, bool, Vec<Pattern>); 4] = [
        (Kind::Repositories, on.images, globs(&rule.repositories)),
        (Kind::Parameters, on.parameters, globs(&rule.parameters)),
        (Kind::Secrets, on.secrets, globs(&rule.secrets)),
        (Kind::Files, on.files, files.collect()),
    ];
    let counting = lists.into_iter().filter(|(_, is_on, _)| *is_on);
    counting.filter_map(|(kind, _, patterns)| idle(kind, &patterns, &definition.dependencies)).collect()
}

/// A pattern as it is written, and as it is compared.
type Pattern = (String, Glob);

/// A kind of thing that can be listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Repositories,
    Parameters,
    Secrets,
    Files,
}

impl Kind {
    /// What such a thing is called, the first as it is shown; none if it is of another kind.
    fn names(self, dependency: &Dependency) -> Vec<String> {
        match (self, dependency) {
            (Self::Repositories, Dependency::Repository { name, .. }) => vec![name.to_string()],
            (Self::Parameters, Dependency::Parameter { name, .. }) => {
                vec![name.to_string(), name.trim_start_matches('/').to_owned()]
            }
            (Self::Secrets, Dependency::Secret { name, .. }) => {
                let bare = name.rsplit_once('-').map_or(&**name, |(bare, _)| bare);
                vec![name.to_string(), bare.to_owned()]
            }
            (Self::Files, Dependency::File { bucket, key }) => vec![format!("s3://{bucket}/{key}")],
            (Self::Repositories | Self::Parameters | Self::Secrets | Self::Files, _) => Vec::new(),
        }
    }
}

/// The patterns that match nothing of what the definition has of their kind. Where it has none, the application may well
/// read such things by itself; an image it cannot.
fn idle(kind: Kind, patterns: &[Pattern], dependencies: &[Dependency]) -> Option<Finding> {
    let things: Vec<Vec<String>> =
        dependencies.iter().map(|it| kind.names(it)).filter(|names| !names.is_empty()).collect();
    let is_there = |glob: &Glob| things.iter().flatten().any(|name| glob.matches(name));
    let idle = patterns.iter().filter(|(_, glob)| !is_there(glob)).map(|(text, _)| text.clone());
    let idle: Vec<String> = idle.collect();
    if idle.is_empty() || things.is_empty() && kind != Kind::Repositories {
        return None;
    }
    let has: BTreeSet<String> = things.into_iter().filter_map(|names| names.into_iter().next()).collect();
    let (idle, has) = (some_of(idle, MOST_NAMES), some_of(has.into_iter().collect(), MOST_NAMES));
    let (what, mend) = match kind {
        Kind::Repositories => (
            format!("it lists {idle}, and runs images of {has} only: pushes there do nothing"),
            "list the repositories of its images",
        ),
        Kind::Parameters | Kind::Secrets | Kind::Files => (
            format!("it lists {idle}, which nothing that its definition reads matches ({has})"),
            "mend the list, unless the application reads them by itself",
        ),
    };
    Some(Finding::warning(About::Target, what, mend))
}

/// A tool that owns the definition would take back the revisions that are made.
fn of_owner(candidate: &Candidate, service: &Inspected, definition: &InspectedDefinition) -> Option<Finding> {
    if candidate.settings.on_push != OnPush::Pin {
        return None;
    }
    let (tool, sign) = owner(&definition.tags).or_else(|| owner(&service.tags))?;
    let what = format!(
        r#"on_push = "pin" makes revisions, and {tool} seems to own its definition ({sign}): the next run would take them back"#
    );
    let mend = r#"leave the image to Lockkeeper (in Terraform: ignore_changes on task_definition), or write on_push = "follow""#;
    Some(Finding::warning(About::Target, what, mend))
}

/// A tool that tagged this, or whose name somebody wrote into a tag, and that tag.
fn owner(tags: &BTreeMap<String, String>) -> Option<(String, String)> {
    tags.iter().find_map(|(key, value)| {
        let lower = key.to_lowercase();
        let says_who =
            ["managed", "provision", "created", "iac", "deployed"].iter().any(|it| lower.contains(it));
        let tool = match lower.as_str() {
            "aws:cloudformation:stack-name" => "CloudFormation",
            tool if TOOLS.contains(&tool) && value.to_lowercase() != "false" => key,
            _ if says_who && TOOLS.iter().any(|tool| value.to_lowercase().contains(tool)) => value,
            _ => return None,
        };
        Some((tool.to_owned(), format!("tag {key} = {value}")))
    })
}

fn unread(what: &str, failure: &CallFailure) -> Finding {
    let mend = match failure.cause {
        Cause::Permission => "allow the call, or see what it says",
        _ => "try again",
    };
    Finding::error(About::Target, format!("{what} could not be read: {}", failure.reason), mend)
}

fn sound(candidate: &Candidate, service: &Inspected, reading: &Reading) -> Finding {
    let runs = service.definition.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let things = match &reading.definition {
        Some(Ok(Some(definition))) => {
            format!(", which reads {}", counted(definition.dependencies.len(), "thing"))
        }
        Some(Ok(None) | Err(_)) | None => String::new(),
    };
    let dry_run = if candidate.settings.dry_run { ", dry run" } else { "" };
    Finding::ok(
        About::Target,
        format!("{} runs {runs}{things}; {}{dry_run}", candidate.id, policy(&candidate.settings)),
    )
}

#[cfg(test)]
mod tests;
