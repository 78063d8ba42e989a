//! What needs somebody, the worst first: what is wrong, since when, and what to do about it.

use std::{collections::BTreeSet, sync::Arc};

use maud::{Markup, html};

use super::{
    View,
    parts::{hold_name, outcome_name, spaced},
};
use crate::domain::{
    Cause, DeploymentRecord, HoldKind, HoldRecord, LaneState, Outcome, TargetName, TargetRecord,
    UnwatchedRollout,
};

/// One thing that needs somebody.
struct Need {
    kind: Kind,
    what: Markup,
    detail: Markup,
    then: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Wrong,
    Look,
}

/// No more of them than this are listed: whoever has more looks at the lists.
const MOST_NEEDS: usize = 20;

impl View<'_> {
    pub(super) fn attention(&self) -> Markup {
        let mut needs: Vec<Need> = self.unwell().into_iter().chain(self.set_aside()).collect();
        needs.extend(self.failed());
        needs.extend(self.kept_back());
        needs.extend(self.failing());
        needs.extend(self.unwatched());
        needs.extend(self.drifted());
        needs.sort_by_key(|need| need.kind);
        html! {
            section #attention.attention aria-labelledby="attention-heading" {
                h2 #attention-heading { "Needs attention" }
                @if needs.is_empty() {
                    p.well { span.mark aria-hidden="true" { "✓" } " Nothing needs you." }
                } @else {
                    ul.needs { @for need in needs.iter().take(MOST_NEEDS) { (shown(need)) } }
                    @if needs.len() > MOST_NEEDS { p.nothing { "And " (needs.len() - MOST_NEEDS) " more." } }
                }
            }
        }
    }

    fn unwell(&self) -> Vec<Need> {
        let kind = if self.health.is_ready() { Kind::Look } else { Kind::Wrong };
        let failing = self.health.parts().filter(|(_, part)| !part.is_ok());
        failing
            .map(|(name, part)| Need {
                kind,
                what: html! { "Lockkeeper itself: " (name) },
                detail: html! { (part.detail) },
                then: Some(if self.health.is_ready() {
                    "It goes on with the rest. The log and /health say more."
                } else {
                    "Nothing is deployed until this is mended. The log and /health say more."
                }),
            })
            .collect()
    }

    fn set_aside(&self) -> Option<Need> {
        let count = self.snapshot.dead_letters().filter(|count| *count > 0)?;
        Some(Need {
            kind: Kind::Wrong,
            what: html! {
                a href="/dead-letters" { (count) @if count == 1 { " message" } @else { " messages" } " set aside" }
            },
            detail: html! { "What " @if count == 1 { "it asks" } @else { "they ask" } " for was not done." @if count > 1 { " A message that is set aside again after a crash counts again; the list shows it once." } },
            then: Some("Mend the cause, then replay."),
        })
    }

    /// Targets whose last deployment failed, the latest first.
    fn failed(&self) -> Vec<Need> {
        let (mut judged, mut failed) = (BTreeSet::new(), Vec::new());
        for it in self.ended() {
            let Some(outcome) = it.outcome else { continue };
            let counts = outcome == Outcome::Succeeded || outcome.is_failure();
            if counts && judged.insert(&it.target) && outcome.is_failure() {
                failed.push(self.failure(it));
            }
        }
        failed
    }

    fn failure(&self, it: &DeploymentRecord) -> Need {
        let outcome = it.outcome.map(outcome_name).unwrap_or_default().to_lowercase();
        let cause = it.cause.map(|cause| spaced(cause.as_str()));
        Need {
            kind: Kind::Wrong,
            what: html! {
                a href={ "/deployments/" (it.id) } { (it.name) " " (outcome) @if let Some(cause) = &cause { ": " (cause) } }
                @if let Some(ended) = it.finished_at { " " span.faint { (self.ago(ended)) } }
            },
            detail: html! { (it.reason.as_deref().unwrap_or("ECS says no more.")) },
            then: Some(it.cause.map_or("Its page links to the console.", advice)),
        }
    }

    /// Targets to which nothing, or nothing else, is deployed until somebody resumes them.
    fn kept_back(&self) -> Vec<Need> {
        let kept = self.snapshot.targets.iter().filter_map(|it| Some((it, it.lane.hold.as_ref()?)));
        let need = |(it, hold): (&Arc<TargetRecord>, &HoldRecord)| Need {
            kind: Kind::Look,
            what: html! {
                a href=(self.target_path(&it.id, &it.name)) { (it.name) " is " (hold_name(hold.kind).to_lowercase()) }
                @if it.lane.waiting > 0 { " and " (it.lane.waiting) @if it.lane.waiting == 1 { " request waits" } @else { " requests wait" } }
            },
            detail: self.held(hold),
            then: Some(match hold.kind {
                HoldKind::Paused => "Nothing is started on it until somebody resumes it.",
                HoldKind::Held => {
                    "It was rolled back: other content waits until somebody resumes it. New tasks of what runs do not."
                }
            }),
        };
        kept.map(need).collect()
    }

    /// Rollouts that do not go well, and lanes that stand behind somebody else's.
    fn failing(&self) -> Vec<Need> {
        let failing = self.snapshot.under_way().filter(|it| it.tasks.failed > 0);
        let tasks = failing.map(|it| Need {
            kind: Kind::Look,
            what: html! { a href={ "/deployments/" (it.id) } { (it.name) " loses tasks while it rolls out" } },
            detail: html! { (it.tasks.failed) " failed in a row, " (it.tasks.running) " of " (it.tasks.desired) " run" },
            then: Some("ECS tries on until its circuit breaker or the timeout ends it."),
        });
        let standing = self.snapshot.targets.iter().filter(|it| it.lane.state == LaneState::Blocked);
        tasks.chain(standing.map(|it| self.standing(it))).collect()
    }

    fn standing(&self, it: &TargetRecord) -> Need {
        Need {
            kind: Kind::Look,
            what: html! { a href=(self.target_path(&it.id, &it.name)) { (it.name) " waits for another rollout" } },
            detail: html! { (it.lane.why.as_deref().unwrap_or("Another rollout is in progress.")) },
            then: None,
        }
    }

    /// Rollouts that failed while nobody watched them.
    fn unwatched(&self) -> Vec<Need> {
        let unwatched = self.snapshot.reconciled.iter().flat_map(|record| &record.unwatched);
        let need = |it: &UnwatchedRollout| Need {
            kind: Kind::Look,
            what: html! {
                a href=(self.target_path(&it.target, &it.name)) {
                    (it.name) @if it.rolled_back { " was rolled back" } @else { " failed" } " while nobody watched"
                }
                " " span.faint { (self.ago(it.ended_at)) }
            },
            detail: html! { (it.definition) ": " (if it.reason.is_empty() { "ECS says no more." } else { &it.reason }) },
            then: Some("It is not started again. Ask for it once its cause is mended."),
        };
        unwatched.map(need).collect()
    }

    fn drifted(&self) -> Option<Need> {
        let record = self.snapshot.reconciled.as_ref().filter(|record| !record.drift.is_empty())?;
        let names: Vec<&str> = record.drift.keys().take(10).map(TargetName::as_str).collect();
        let more = record.drift.len().saturating_sub(names.len());
        Some(Need {
            kind: Kind::Look,
            what: html! { (record.drift.len()) @if record.drift.len() == 1 { " target has" } @else { " targets have" } " drifted" },
            detail: html! {
                (names.join(", ")) @if more > 0 { " and " (more) " more" }
                @if record.drift.len() == 1 { " has" } @else { " have" } " not seen a change of an image, parameter, secret or file"
                @if record.repaired > 0 { "; for " (record.repaired) " of those it was asked for again" } "."
            },
            then: Some("Where reconcile only reports, deploy them."),
        })
    }
}

fn shown(need: &Need) -> Markup {
    let (class, mark, name) = match need.kind {
        Kind::Wrong => ("need bad", "!", "Wrong"),
        Kind::Look => ("need warn", "?", "Worth a look"),
    };
    html! {
        li class=(class) {
            span.mark role="img" aria-label=(name) { (mark) }
            div {
                p.what { (need.what) }
                p.detail { (need.detail) }
                @if let Some(then) = need.then { p.then { "→ " (then) } }
            }
        }
    }
}

/// What somebody who is woken may do about a failure of this kind.
pub(super) fn advice(cause: Cause) -> &'static str {
    match cause {
        Cause::ImagePull => "Push the image, or ask for a tag that exists; then replay.",
        Cause::CrashLoop => "Read the log of the task that stopped: the application exits by itself.",
        Cause::HealthCheck => {
            "See what the health check asks for, and whether its grace period is long enough."
        }
        Cause::OutOfMemory => "Give the container more memory, or find what takes it.",
        Cause::Placement => {
            "There is no room for its tasks: look at capacity, subnets and quotas; then replay."
        }
        Cause::SecretUnreadable => {
            "See whether the secret or parameter exists, and the execution role may read it."
        }
        Cause::Permission => {
            "Grant what the reason names; `lockkeeper check` lists what is missing. Then replay."
        }
        Cause::Alarm => "Look at the alarm that went off: ECS went back because of it.",
        Cause::Timeout => "It made no progress: look at its tasks and at the events of the service.",
        Cause::Throttled => {
            "AWS throttled for too long: see who else calls ECS in this account; then replay."
        }
        Cause::DefinitionInvalid => "Mend the task definition or the setting that names it; then replay.",
        Cause::TargetMissing => {
            "The service is not there: see its name in the settings, and whether it was deleted."
        }
        Cause::Unknown => "Nothing shows why: its tasks and events in the console may.",
    }
}
