//! The pieces of the page that know nothing of it: tables, pills, and the names of things.

use std::time::Duration;

use maud::{Markup, html};

use crate::domain::{
    DeploymentRecord, HoldKind, KnownFrom, LaneState, Outcome, RunningImage, RunningRecord, Stage,
    StoppedTask, Timestamp,
};
use crate::report::message::span;

/// A length of time in its largest unit: what happened is told from, not measured by.
pub(super) fn coarse(length: Duration) -> String {
    span(length).splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")
}

/// What one cell lists at most.
pub(super) const MOST_LINES: usize = 100;

pub(super) fn figure(name: &str, count: usize) -> Markup {
    html! { div { dt { (name) } dd { (count) } } }
}

/// The roles stay said where a narrow screen shows rows as cards, which takes them from the elements.
pub(super) fn table(name: &str, caption: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        table.(name) role="table" {
            caption.unseen { (caption) }
            thead role="rowgroup" {
                tr role="row" { @for column in columns { th role="columnheader" scope="col" { (column) } } }
            }
            tbody role="rowgroup" { (rows) }
        }
    }
}

pub(super) fn row(cells: &[(&str, Markup)]) -> Markup {
    html! { tr role="row" { @for (label, cell) in cells { td role="cell" data-label=(label) { div { (cell) } } } } }
}

pub(super) fn fact(name: &str, value: Option<&Markup>) -> Markup {
    html! { @if let Some(value) = value { dt { (name) } dd { (value) } } }
}

pub(super) fn what(it: &DeploymentRecord) -> Markup {
    html! {
        @if let Some(definition) = &it.definition {
            code { (definition) }
            @if let Some(previous) = it.previous_definition.as_ref().filter(|previous| *previous != definition) {
                " " span.faint { "after " code { (previous) } }
            }
        }
        div.changes { (folded(&format!("{}-changes", it.id), &it.changes, "changes")) }
    }
}

pub(super) fn why(it: &DeploymentRecord) -> Markup {
    let reasons: Vec<String> = it.triggers.iter().map(|origin| origin.reason.clone()).collect();
    folded(&format!("{}-events", it.id), &reasons, "events")
}

/// One line as it is; of more the number, and the lines for whoever opens it.
fn folded(key: &str, lines: &[String], name: &str) -> Markup {
    match lines {
        [] => html! {},
        [one] => html! { span.line { (one) } },
        [first, ..] => html! {
            details data-key=(key) {
                summary { (lines.len()) " " (name) span.note { (first) ", …" } }
                ul { @for line in lines.iter().take(MOST_LINES) { li { (line) } } }
            }
        },
    }
}

pub(super) fn tasks(it: &DeploymentRecord) -> Markup {
    let tasks = it.tasks;
    html! {
        @if matches!(it.stage, Stage::Rollout | Stage::RollingBack) {
            span.line { (tasks.running) " of " (tasks.desired) " run" }
            @if tasks.failed > 0 { span.note.bad { (tasks.failed) " failed in a row" } }
        } @else {
            span.faint { "–" }
        }
    }
}

pub(super) fn evidence(it: &DeploymentRecord) -> Markup {
    let seen = &it.evidence;
    html! {
        @if !seen.stopped_tasks.is_empty() || !seen.service_events.is_empty() {
            details data-key={ (it.id) "-seen" } {
                summary { "What was seen" }
                ul {
                    @for task in seen.stopped_tasks.iter().take(MOST_LINES) { li { (stopped(task)) } }
                    @for event in seen.service_events.iter().take(MOST_LINES) { li { (event) } }
                }
            }
        }
    }
}

pub(super) fn stopped(task: &StoppedTask) -> Markup {
    html! {
        "Task " code { (task.task) } " stopped"
        @if let Some(container) = &task.container { ", container " code { (container) } }
        @if let Some(code) = task.exit_code { ", exit code " (code) }
        @for words in [&task.reason, &task.container_reason].into_iter().flatten() { ": " (words) }
    }
}

pub(super) fn note(text: Option<&str>) -> Markup {
    html! { @if let Some(text) = text { span.note { (text) } } }
}

pub(super) fn pill(kind: &str, name: &str) -> Markup {
    html! { span class={ "pill " (kind) } { (name) } }
}

pub(super) fn outcome_kind(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "good",
        Outcome::AlreadyRunning | Outcome::Superseded | Outcome::Cancelled | Outcome::DryRun => "calm",
        Outcome::Failed | Outcome::RolledBack => "bad",
    }
}

pub(super) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "Succeeded",
        Outcome::AlreadyRunning => "Already running",
        Outcome::Superseded => "Superseded",
        Outcome::Failed => "Failed",
        Outcome::RolledBack => "Rolled back",
        Outcome::Cancelled => "Cancelled",
        Outcome::DryRun => "Dry run",
    }
}

pub(super) fn stage_kind(it: &DeploymentRecord) -> &'static str {
    match it.stage {
        Stage::Waiting | Stage::Finished => "calm",
        Stage::Starting | Stage::Rollout => "busy",
        Stage::RollingBack if it.cancelled => "warn",
        Stage::RollingBack => "bad",
    }
}

pub(super) fn stage_name(it: &DeploymentRecord) -> &'static str {
    match it.stage {
        Stage::Waiting => "Waiting",
        Stage::Starting => "Starting",
        Stage::Rollout => "Rolling out",
        Stage::RollingBack if it.cancelled => "Being cancelled",
        Stage::RollingBack => "Rolling back",
        Stage::Finished => "Ended",
    }
}

pub(super) fn lane_kind(state: LaneState) -> &'static str {
    match state {
        LaneState::Idle => "calm",
        LaneState::Quiet | LaneState::Looking | LaneState::Starting | LaneState::Watching => "busy",
        LaneState::Blocked | LaneState::BackingOff | LaneState::Queued => "warn",
        LaneState::RollingBack => "bad",
    }
}

pub(super) fn lane_name(state: LaneState) -> &'static str {
    match state {
        LaneState::Idle => "Idle",
        LaneState::Quiet => "Gathering",
        LaneState::Looking => "Looking",
        LaneState::Blocked => "Blocked",
        LaneState::Starting => "Starting",
        LaneState::Watching => "Watching",
        LaneState::RollingBack => "Rolling back",
        LaneState::BackingOff => "Backing off",
        LaneState::Queued => "Queued",
    }
}

pub(super) fn hold_name(kind: HoldKind) -> &'static str {
    match kind {
        HoldKind::Paused => "Paused",
        HoldKind::Held => "Held",
    }
}

/// From where a deployment is known, where that is not this process.
pub(super) fn known_from(it: KnownFrom) -> Option<&'static str> {
    match it {
        KnownFrom::Lane => None,
        KnownFrom::EcsOurs => Some("seen in ECS, of a definition of ours"),
        KnownFrom::EcsLetter => Some("seen in ECS, and told by what was set aside"),
        KnownFrom::Ecs => Some("seen in ECS, not known whether ours"),
    }
}

pub(super) fn spaced(label: &str) -> String {
    label.replace('_', " ")
}

/// What one container runs: the image by its tag, and by the first digits of its digest.
fn image(it: &RunningImage) -> Markup {
    let tag = it.image.named_tag();
    let digest = it.digest.as_ref().or(it.image.digest.as_ref());
    html! {
        span.image title=[digest.map(ToString::to_string)] {
            code { (it.image.repository) @if let Some(tag) = tag { ":" strong { (tag) } } }
            @if let Some(digest) = digest { " " code.faint { (short(digest.as_str())) } }
            span.container { (it.container) }
        }
    }
}

/// The images of all containers, and the definition that names them.
pub(super) fn runs(running: &RunningRecord) -> Markup {
    html! {
        @for it in running.images.iter() { (image(it)) }
        span.note { code { (running.definition) } }
    }
}

/// As many digits of a digest as people compare.
fn short(digest: &str) -> &str {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    digits.get(..12).unwrap_or(digits)
}

pub(super) fn clock_time(at: Timestamp) -> String {
    at.to_string().split_once('T').map(|(_, time)| time.chars().take(8).collect()).unwrap_or_default()
}
