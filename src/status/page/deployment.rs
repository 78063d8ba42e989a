//! The page of one deployment: what was asked, what became of it, and what was seen.

use axum::{
    extract::{Path, State},
    response::Html,
};
use maud::{Markup, Render, html};

use super::{
    Asked, View,
    parts::{MOST_LINES, outcome_kind, outcome_name, pill, spaced, stage_kind, stage_name, stopped, tasks},
    show,
};
use crate::{
    domain::{DeploymentId, DeploymentRecord, Timestamp},
    report::message::{span, took},
    status::{StatusState, problem::Problem},
};

pub(super) async fn page(
    State(state): State<StatusState>,
    Path(id): Path<String>,
    query: Asked,
) -> Result<Html<String>, Problem> {
    let id = DeploymentId::from(id);
    let found = state.latest().deployment(&id).cloned();
    let it = found.ok_or_else(|| {
        Problem::not_found(format!("no deployment `{id}` is under way, or among the last that ended"))
    })?;
    Ok(show(&state, &query, |view| view.deployment(&it)))
}

impl View<'_> {
    pub(super) fn deployment(&self, it: &DeploymentRecord) -> Markup {
        let main = html! {
            section aria-labelledby="deployment" {
                h2 #deployment { "Deployment of " (it.name) }
                (self.facts(it))
            }
            (listed("changes", "What is asked", &it.changes))
            (why(it))
            (seen(it))
        };
        self.framed(&format!("/deployments/{}", it.id), &format!("{} · {}", it.name, self.title()), &main)
    }

    fn facts(&self, it: &DeploymentRecord) -> Markup {
        let when =
            |at: Timestamp| html! { time datetime=(at) { (at) } " " span.faint { "(" (self.ago(at)) ")" } };
        html! {
            dl.facts {
                (fact(match it.outcome { Some(_) => "Outcome", None => "Stage" }, Some(&state(it))))
                (fact("Reason", it.reason.as_ref().map(Render::render).as_ref()))
                (fact("Target", Some(&html! { code { (it.target) } })))
                (fact("Definition", it.definition.as_ref().map(|id| html! { code { (id) } }).as_ref()))
                (fact("Ran before", it.previous_definition.as_ref().map(|id| html! { code { (id) } }).as_ref()))
                (fact("Rollout", it.rollout_id.as_ref().map(|id| html! { code { (id) } }).as_ref()))
                (fact("Tasks", it.outcome.is_none().then(|| tasks(it)).as_ref()))
                (fact("Attempts", Some(&html! { (it.attempts) })))
                (fact("Asked for", Some(&when(it.requested_at))))
                (fact("Began", it.started_at.map(when).as_ref()))
                (fact("Ended", it.finished_at.map(when).as_ref()))
                (fact("Took", took(it).map(|took| html! { (span(took)) }).as_ref()))
                (fact("Id", Some(&html! { code { (it.id) } " " a href={ "/api/v1/deployments/" (it.id) } { "as JSON" } })))
            }
        }
    }
}

fn fact(name: &str, value: Option<&Markup>) -> Markup {
    html! { @if let Some(value) = value { dt { (name) } dd { (value) } } }
}

fn state(it: &DeploymentRecord) -> Markup {
    html! {
        @match it.outcome {
            Some(outcome) => (pill(outcome_kind(outcome), outcome_name(outcome))),
            None => (pill(stage_kind(it.stage), stage_name(it.stage))),
        }
        @if let Some(cause) = it.cause { " " span.cause { (spaced(cause.as_str())) } }
    }
}

fn listed(id: &str, title: &str, lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                ul.sheet { @for line in lines.iter().take(MOST_LINES) { li { (line) } } }
            }
        }
    }
}

fn why(it: &DeploymentRecord) -> Markup {
    html! {
        section aria-labelledby="why" {
            h2 #why { "Why" }
            ul.sheet {
                @for origin in it.triggers.iter().take(MOST_LINES) {
                    li { (origin.reason) span.note { (spaced(origin.kind.as_str())) ", event " code { (origin.event_id) } } }
                }
            }
        }
    }
}

fn seen(it: &DeploymentRecord) -> Markup {
    let seen = &it.evidence;
    html! {
        @if !seen.stopped_tasks.is_empty() {
            section aria-labelledby="stopped" {
                h2 #stopped { "Tasks that stopped" }
                ul.sheet { @for task in seen.stopped_tasks.iter().take(MOST_LINES) { li { (stopped(task)) } } }
            }
        }
        @if !seen.service_events.is_empty() {
            section aria-labelledby="events" {
                h2 #events { "What ECS said of the service" }
                ul.sheet { @for event in seen.service_events.iter().take(MOST_LINES) { li { (event) } } }
            }
        }
    }
}
