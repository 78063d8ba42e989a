//! A notice in words: what every channel says, each in its own form.

use std::fmt::Write as _;

use super::{Held, Home, Notice, Status, What};
use crate::{
    domain::{
        DeploymentRecord, ForeignRollout, ForeignState, HoldKind, HoldMove, Metadata, NoticeStage, Outcome,
        RunningImage, TargetId, deployments_url, harmless,
    },
    report::message::{span, took},
};

/// The longest fact, in characters.
const LONGEST_FACT: usize = 500;
/// The longest reason or line of evidence, in characters.
const LONGEST_LINE: usize = 1_500;
/// How many images, changes, triggers and lines of evidence are listed.
const LISTED: usize = 5;
/// How much of a digest tells it from every other.
const DIGEST_CHARS: usize = 12;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// How it is meant.
    pub tone: Tone,
    /// One line that can be read alone.
    pub headline: String,
    /// Names and values, in the order in which they are shown.
    pub facts: Vec<(&'static str, String)>,
    /// Why, in lines: the reason first, then what was seen.
    pub evidence: Vec<String>,
    /// Where to go on: what it is, and the URL.
    pub links: Vec<(&'static str, String)>,
}

/// How something is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// It goes on.
    Info,
    /// It went well.
    Good,
    /// It failed.
    Bad,
    /// It may need a person.
    Warning,
}

impl Tone {
    /// The icon.
    pub fn icon(self) -> &'static str {
        match self {
            Self::Info => "ℹ️",
            Self::Good => "✅",
            Self::Bad => "❌",
            Self::Warning => "⚠️",
        }
    }
}

impl Said {
    /// As plain text, for e-mail.
    pub fn plain(&self) -> String {
        let mut text = format!("{} {}\n", self.tone.icon(), self.headline);
        for (name, value) in &self.facts {
            let _ = write!(text, "\n{name}: {value}");
        }
        if !self.evidence.is_empty() {
            let _ = write!(text, "\n\n{}", self.evidence.join("\n"));
        }
        for (number, (name, url)) in self.links.iter().enumerate() {
            let gap = if number == 0 { "\n\n" } else { "\n" };
            let _ = write!(text, "{gap}{name}: {url}");
        }
        text
    }
}

/// What is said of this, here.
pub fn say(notice: &Notice, home: &Home) -> Said {
    let (tone, headline) = headline(notice, home);
    let (target, _) = notice.target();
    let mut facts = Vec::new();
    let mut fact = |name, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.push((name, harmless(&value, LONGEST_FACT)));
        }
    };
    fact("Service", Some(format!("{} in {}", target.service(), target.cluster())));
    fact("Environment", Some(environment(target, home)));
    match (notice.record(), &notice.what) {
        (Some(record), _) => of_deployment(record, &mut fact),
        (None, What::Foreign(it)) => of_foreign(it, &mut fact),
        (None, What::Hold(it)) => {
            fact("By", it.hold.by.as_deref().map(str::to_owned));
            fact("Since", it.hold.since.map(|since| since.to_string()));
        }
        (None, What::Stage(..) | What::Trouble(..) | What::Warned(..)) => {}
    }
    Said { tone, headline, facts, evidence: evidence(notice), links: links(notice, home) }
}

fn headline(notice: &Notice, home: &Home) -> (Tone, String) {
    let (_, name) = notice.target();
    let environment = home.environment.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let (tone, what) = match &notice.what {
        What::Stage(stage, status, record) => of_stage(*stage, *status, record),
        What::Trouble(_, words) => (Tone::Warning, format!("deployment needs attention: {words}")),
        What::Warned(_, warning) => (Tone::Warning, format!("ECS warns: {}", warning.event)),
        What::Foreign(it) => of_somebody(it),
        What::Hold(it) => of_hold(it),
    };
    (tone, harmless(&format!("{name}{environment}: {what}"), LONGEST_FACT))
}

fn of_stage(stage: NoticeStage, status: Status, record: &DeploymentRecord) -> (Tone, String) {
    let after = took(record).map(|took| format!(" after {}", span(took))).unwrap_or_default();
    match (stage, status, record.outcome) {
        (NoticeStage::Deployment, Status::Started, _) => (Tone::Info, "deployment started".into()),
        (NoticeStage::Deployment, _, Some(outcome)) => {
            let (tone, words) = of_outcome(outcome, record);
            (tone, format!("{words}{after}"))
        }
        (NoticeStage::Deployment, _, None) => (Tone::Info, "deployment ended".into()),
        (NoticeStage::Definition, Status::Started, _) => (Tone::Info, "deployment begins".into()),
        (NoticeStage::Definition, Status::Completed, _) => (Tone::Info, "deployment is asked for".into()),
        (NoticeStage::Rollout, Status::Started, _) => (Tone::Info, "rollout in progress".into()),
        (NoticeStage::Rollout, Status::Completed, _) if record.cancelled => {
            (Tone::Warning, "rollout is stopped".into())
        }
        (NoticeStage::Rollout, Status::Completed, _) => (Tone::Info, "rollout is complete".into()),
        (NoticeStage::Rollback, Status::Started, _) if record.cancelled => {
            (Tone::Warning, format!("deployment is being cancelled, going back{}", back_to(record)))
        }
        (NoticeStage::Rollback, Status::Started, _) => {
            (Tone::Warning, format!("rollout failed, going back{}", back_to(record)))
        }
        (NoticeStage::Rollback, Status::Completed, _) => {
            (Tone::Warning, format!("went back{}", back_to(record)))
        }
        (NoticeStage::Definition, Status::Failed, _) => (Tone::Bad, "rollout could not be started".into()),
        (NoticeStage::Rollout, Status::Failed, _) => (Tone::Bad, "rollout failed".into()),
        (NoticeStage::Rollback, Status::Failed, _) => (Tone::Bad, "going back failed".into()),
    }
}

fn of_outcome(outcome: Outcome, record: &DeploymentRecord) -> (Tone, String) {
    match outcome {
        Outcome::Succeeded => (Tone::Good, "deployment succeeded".into()),
        Outcome::AlreadyRunning if record.adopted.is_some() => {
            (Tone::Good, "deployment was found complete".into())
        }
        Outcome::AlreadyRunning => (Tone::Good, "deployment was not needed, it runs already".into()),
        Outcome::Superseded => (Tone::Info, "deployment was superseded".into()),
        Outcome::Failed => (Tone::Bad, "deployment failed".into()),
        Outcome::RolledBack => {
            (Tone::Bad, format!("deployment failed and was rolled back{}", back_to(record)))
        }
        Outcome::Cancelled => (Tone::Warning, "deployment was cancelled".into()),
        Outcome::DryRun => (Tone::Info, "dry run: nothing was deployed".into()),
    }
}

fn of_somebody(it: &ForeignRollout) -> (Tone, String) {
    match it.state {
        ForeignState::InProgress => (Tone::Info, "a rollout that is not ours is in progress".into()),
        ForeignState::Completed => (Tone::Info, "a rollout that is not ours is complete".into()),
        ForeignState::Failed => (Tone::Warning, "a rollout that is not ours failed".into()),
    }
}

fn of_hold(it: &Held) -> (Tone, String) {
    let held = match it.hold.kind {
        HoldKind::Paused => "paused",
        HoldKind::Held => "held after a rollback",
    };
    match &it.moved {
        HoldMove::Begun => {
            let what = match it.hold.kind {
                HoldKind::Paused => "nothing is rolled out until somebody resumes it",
                HoldKind::Held => "other content waits until somebody resumes it, new tasks do not",
            };
            (Tone::Info, format!("{held}: {what}"))
        }
        HoldMove::Ended => (Tone::Info, "resumed".into()),
        HoldMove::Vanished => (
            Tone::Warning,
            format!("was {held}, and is not any more, though nobody resumed it: the tag is gone"),
        ),
        HoldMove::Refused(why) => (Tone::Bad, format!("could not be {held}: {why}")),
        HoldMove::DryRun => (Tone::Info, format!("would be {held}, but for dry run")),
    }
}

fn back_to(record: &DeploymentRecord) -> String {
    record.previous_definition.as_ref().map(|id| format!(" to {id}")).unwrap_or_default()
}

fn environment(target: &TargetId, home: &Home) -> String {
    let parts = [home.project.as_deref(), home.environment.as_deref()];
    let named: Vec<&str> = parts.into_iter().flatten().collect();
    let place = format!("{} {}", target.account(), target.region());
    if named.is_empty() { place } else { format!("{} ({place})", named.join(" ")) }
}

fn of_deployment(it: &DeploymentRecord, fact: &mut impl FnMut(&'static str, Option<String>)) {
    let images: Vec<String> = it.images.iter().map(image).collect();
    fact(if images.len() == 1 { "Image" } else { "Images" }, Some(listed(&images)));
    fact("Asked for", Some(listed(&it.changes)));
    fact("Deployment", Some(it.id.to_string()));
    fact("Definition", definition(it));
    let triggers: Vec<String> =
        it.triggers.iter().map(|origin| format!("{}: {}", origin.kind.as_str(), origin.reason)).collect();
    fact("Trigger", Some(listed(&triggers)));
    let metadata = it.triggers.iter().rev().find_map(|origin| origin.metadata.as_deref());
    fact("By", it.triggers.iter().rev().find_map(|origin| origin.who()));
    fact(
        "Replayed by",
        it.triggers.iter().rev().find_map(|origin| origin.replayed_by.as_deref()).map(str::to_owned),
    );
    fact("Commit", metadata.and_then(commit));
    fact("Duration", took(it).map(span));
    fact("Cause", it.cause.map(|cause| cause.as_str().to_owned()));
}

fn of_foreign(it: &ForeignRollout, fact: &mut impl FnMut(&'static str, Option<String>)) {
    fact("Rollout", Some(it.rollout_id.to_string()));
    fact("Definition", it.definition.as_ref().map(ToString::to_string));
    fact("Started by", Some("somebody else: not Lockkeeper".into()));
}

/// Repository, tag and digest: the registry is the same everywhere.
fn image(it: &RunningImage) -> String {
    let tag = it.image.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = it.digest.as_ref().or(it.image.digest.as_ref()).map(|digest| {
        let digest = digest.as_str();
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        format!(" (sha256:{})", hex.get(..DIGEST_CHARS).unwrap_or(hex))
    });
    format!("{}{tag}{}", it.image.repository, digest.unwrap_or_default())
}

fn definition(it: &DeploymentRecord) -> Option<String> {
    match (&it.definition, &it.previous_definition) {
        (Some(new), Some(old)) if new != old => Some(format!("{new} (before: {old})")),
        (Some(new), Some(_) | None) => Some(new.to_string()),
        (None, Some(old)) => Some(format!("runs {old}")),
        (None, None) => None,
    }
}

fn commit(it: &Metadata) -> Option<String> {
    let commit = it.commit.as_deref().map(|commit| commit.get(..DIGEST_CHARS).unwrap_or(commit).to_owned());
    let branch = it.branch.as_deref().map(|branch| format!("on {branch}"));
    let repository = it.repository.as_deref().map(|repository| format!("of {repository}"));
    let parts: Vec<String> = [commit, branch, repository].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn evidence(notice: &Notice) -> Vec<String> {
    let mut lines = Vec::new();
    match &notice.what {
        What::Warned(_, warning) => lines.extend(warning.reason.as_deref().map(str::to_owned)),
        What::Foreign(it) => lines.extend(it.reason.as_deref().map(str::to_owned)),
        What::Hold(it) => lines.extend(it.hold.reason.as_deref().map(str::to_owned)),
        // The headline has it.
        What::Trouble(..) => {}
        What::Stage(_, Status::Started, record) if record.outcome.is_none() => {}
        What::Stage(_, _, record) => lines.extend(of_record(record)),
    }
    lines.into_iter().map(|line| harmless(&line, LONGEST_LINE)).collect()
}

fn of_record(it: &DeploymentRecord) -> Vec<String> {
    let tasks = it.evidence.stopped_tasks.iter().map(|task| {
        let container = task.container.as_ref().map(|it| format!(" container {it}:")).unwrap_or_default();
        let code = task.exit_code.map(|code| format!(" exit code {code};")).unwrap_or_default();
        let words = [task.container_reason.as_deref(), task.reason.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        format!("task {} stopped:{container}{code} {}", task.task, words.join("; "))
    });
    let seen = tasks.take(LISTED).collect::<Vec<_>>();
    let events = it.evidence.service_events.iter().take(LISTED).map(ToString::to_string);
    it.reason.iter().cloned().chain(seen).chain(events).collect()
}

fn listed(items: &[String]) -> String {
    let mut list = items.iter().take(LISTED).cloned().collect::<Vec<_>>().join("; ");
    if items.len() > LISTED {
        let _ = write!(list, "; and {} more", items.len() - LISTED);
    }
    list
}

fn links(notice: &Notice, home: &Home) -> Vec<(&'static str, String)> {
    let (target, _) = notice.target();
    let mut links = Vec::new();
    if let (Some(url), Some(id)) = (&home.public_url, notice.deployment()) {
        links.push(("Lockkeeper", format!("{url}/deployments/{id}")));
    } else if let Some(url) = &home.public_url {
        links.push(("Lockkeeper", format!("{url}/")));
    }
    links.push(("Console", deployments_url(target)));
    let Some(record) = notice.record() else { return links };
    let logs = record.evidence.stopped_tasks.iter().find_map(|task| task.log_url.as_deref());
    links.extend(logs.map(|url| ("Logs", url.to_owned())));
    if let Some(metadata) = record.triggers.iter().rev().find_map(|origin| origin.metadata.as_deref()) {
        links.extend(metadata.commit_url().map(|url| ("Commit", url)));
        links.extend(metadata.run_url.as_deref().map(|url| ("Run", url.to_owned())));
    }
    links
}
