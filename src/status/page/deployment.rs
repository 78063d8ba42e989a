//! The page of one deployment: how it stands, why it failed and what to do, what it went through, what was asked.

use axum::{
    extract::{Path, State},
    response::Html,
};
use maud::{Markup, Render, html};

use super::{
    Pairs, View, actions,
    attention::advice,
    diff::{self, Diff},
    encoded,
    parts::{
        MOST_LINES, clock_time, fact, known_from, outcome_kind, outcome_name, pill, spaced, stage_kind,
        stage_name, stopped, tasks,
    },
    show,
};
use crate::{
    domain::{
        DeploymentId, DeploymentRecord, Metadata, Outcome, StoppedTask, Timestamp, definition_url,
        deployments_url, service_url, task_url,
    },
    report::{
        message::{span, took},
        steps::{Step, StepKind},
    },
    status::{StatusState, problem::Problem},
};

pub(super) async fn page(
    State(state): State<StatusState>,
    Path(id): Path<String>,
    query: Pairs,
) -> Result<Html<String>, Problem> {
    let id = DeploymentId::from(id);
    let (snapshot, past) = (state.latest(), state.lookup.past());
    let mut newest = past.beside(&snapshot.history, snapshot.under_way());
    let found = snapshot.deployment(&id).or_else(|| newest.find(|it| it.id == id).map(|it| &**it)).cloned();
    let it = found.ok_or_else(|| Problem::not_found(crate::status::Snapshot::no_deployment(id.as_str())))?;
    let changes = diff::read(&state.lookup, &it).await;
    Ok(show(&state, &query, |view| view.deployment(&it, changes.as_ref())))
}

impl View<'_> {
    pub(super) fn deployment(&self, it: &DeploymentRecord, changes: Option<&Diff>) -> Markup {
        let main = html! {
            section #deployment aria-labelledby="deployment-heading" {
                h1 #deployment-heading {
                    "Deployment of " a href=(self.target_path(&it.target, &it.name)) { (it.name) }
                }
                (actions::of_deployment(it))
                (self.deployment_facts(it))
            }
            (cause(it))
            (self.timeline(it))
            @if let Some(changes) = changes { (diff::shown(it, changes)) }
            (listed("changes", "What is asked", &it.changes))
            (because(it))
            (links(it))
        };
        let path = format!("/deployments/{}", encoded(it.id.as_str()));
        self.framed(&path, &format!("{} · {}", it.name, self.title()), &main)
    }

    fn deployment_facts(&self, it: &DeploymentRecord) -> Markup {
        let code = |text: String| html! { code { (text) } };
        let when =
            |at: Timestamp| html! { time datetime=(at) { (at) } " " span.faint { "(" (self.ago(at)) ")" } };
        html! {
            dl.facts {
                (fact(match it.outcome { Some(_) => "Outcome", None => "Stage" }, Some(&state(it))))
                (fact("Reason", it.reason.as_ref().filter(|_| it.cause.is_none()).map(Render::render).as_ref()))
                (fact("Known from", known_from(it.known_from).map(|from| html! { (from) }).as_ref()))
                (fact("Time so far", it.outcome.is_none().then(|| self.so_far(it)).as_ref()))
                (fact("Took", took(it).map(|took| self.took(it, took)).as_ref()))
                (fact("Tasks", it.outcome.is_none().then(|| tasks(it)).as_ref()))
                (fact("Definition", it.definition.as_ref().map(|id| code(id.to_string())).as_ref()))
                (fact("Ran before", it.previous_definition.as_ref().map(|id| code(id.to_string())).as_ref()))
                (fact("Rollout", it.rollout_id.as_ref().map(|id| code(id.to_string())).as_ref()))
                (fact("Attempts", (it.attempts > 1).then(|| html! { (it.attempts) }).as_ref()))
                (fact("Asked for", Some(&when(it.requested_at))))
                (fact("Ended", it.finished_at.map(when).as_ref()))
                (fact("Target", Some(&code(it.target.to_string()))))
                (fact("Id", Some(&html! { code { (it.id) } " " a href={ "/api/v1/deployments/" (encoded(it.id.as_str())) } { "as JSON" } })))
            }
        }
    }

    fn took(&self, it: &DeploymentRecord, took: std::time::Duration) -> Markup {
        let usual = self.usual(&it.target).filter(|_| it.outcome == Some(Outcome::Succeeded));
        html! { (span(took)) @if let Some(usual) = usual { " " span.faint { "(usually " (span(usual)) ")" } } }
    }

    fn timeline(&self, it: &DeploymentRecord) -> Markup {
        let steps = self.snapshot.steps.of(&it.id);
        let mut entries =
            vec![(it.requested_at, "Asked for", it.triggers.first().map(|origin| origin.reason.clone()))];
        if it.triggers.len() > 1 {
            let merged = format!("{} requests are deployed as one", it.triggers.len());
            entries.push((it.started_at.unwrap_or(it.version), "Merged", Some(merged)));
        }
        if steps.is_empty() {
            entries.extend(it.started_at.map(|at| (at, "Began", None)));
            entries.extend(it.finished_at.map(|at| (at, ended_as(it), it.reason.clone())));
        }
        entries.extend(steps.iter().map(|step| (step.at, step_name(step.kind, it), said(step))));
        entries.sort_by_key(|(at, ..)| *at);
        html! {
            section #timeline aria-labelledby="timeline-heading" {
                h2 #timeline-heading { "Timeline" }
                ol.timeline {
                    @for (place, (at, name, says)) in entries.iter().enumerate() {
                        li {
                            time datetime=(at) title=(at) { (clock_time(*at)) }
                            span.passed { @if place > 0 { "+" (span(at.since(entries[place - 1].0))) } }
                            div { strong { (name) } @if let Some(says) = says { span.note { (says) } } }
                        }
                    }
                    @if it.outcome.is_none() {
                        li.now {
                            time datetime=(self.at) { (clock_time(self.at)) }
                            span.passed {}
                            div { strong { "Now: " (stage_name(it)) } }
                        }
                    }
                }
            }
        }
    }
}

fn said(step: &Step) -> Option<String> {
    Some(step.says.clone()).filter(|says| !says.is_empty())
}

fn step_name(kind: StepKind, it: &DeploymentRecord) -> &'static str {
    match kind {
        StepKind::Joined => "Received",
        StepKind::Waits => "Waits",
        StepKind::Starts => "Starts",
        StepKind::Registered => "Definition registered",
        StepKind::RollsOut => "Rollout started",
        StepKind::Tasks => "Tasks",
        StepKind::TriesAgain => "Tried again",
        StepKind::RollsBack => "Rolling back",
        StepKind::Ended => ended_as(it),
    }
}

fn ended_as(it: &DeploymentRecord) -> &'static str {
    it.outcome.map_or("Judged", outcome_name)
}

fn state(it: &DeploymentRecord) -> Markup {
    html! {
        @match it.outcome {
            Some(outcome) => (pill(outcome_kind(outcome), outcome_name(outcome))),
            None => (pill(stage_kind(it), stage_name(it))),
        }
        @if let Some(cause) = it.cause { " " span.cause { (spaced(cause.as_str())) } }
    }
}

/// Why it failed, what was seen, and what to do.
fn cause(it: &DeploymentRecord) -> Markup {
    let seen = &it.evidence;
    let is_seen = !seen.stopped_tasks.is_empty() || !seen.service_events.is_empty();
    html! {
        @if it.cause.is_some() || is_seen {
            section #cause aria-labelledby="cause-heading" {
                h2 #cause-heading { "Cause" @if let Some(cause) = it.cause { ": " (spaced(cause.as_str())) } }
                @if let Some(cause) = it.cause {
                    div.sheet.why {
                        p.what { (it.reason.as_deref().unwrap_or("ECS says no more.")) }
                        p.then { "→ " (advice(cause)) }
                    }
                }
                @if !seen.stopped_tasks.is_empty() {
                    h3 { "Tasks that stopped" }
                    ul.sheet {
                        @for task in seen.stopped_tasks.iter().take(MOST_LINES) { li { (stopped(task)) (task_links(it, task)) } }
                    }
                }
                @if !seen.service_events.is_empty() {
                    h3 { "What ECS said of the service" }
                    ul.sheet { @for event in seen.service_events.iter().take(MOST_LINES) { li { (event) } } }
                }
            }
        }
    }
}

fn task_links(it: &DeploymentRecord, task: &StoppedTask) -> Markup {
    html! {
        span.note {
            a href=(task_url(&it.target, &task.task)) { "Task in the console" }
            @if let Some(log) = &task.log_url { " · " a href=(log) { "Its log" } }
        }
    }
}

fn listed(id: &str, title: &str, lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            section id=(id) aria-labelledby={ (id) "-heading" } {
                h2 id={ (id) "-heading" } { (title) }
                ul.sheet { @for line in lines.iter().take(MOST_LINES) { li { (line) } } }
            }
        }
    }
}

fn because(it: &DeploymentRecord) -> Markup {
    html! {
        @if !it.triggers.is_empty() {
            section #why aria-labelledby="why-heading" {
                h2 #why-heading { "Why" }
                ul.sheet {
                    @for origin in it.triggers.iter().take(MOST_LINES) {
                        li {
                            (origin.reason)
                            @if let Some(by) = &origin.by { span.note { "asked for by " (by) } }
                            @if let Some(metadata) = &origin.metadata { (came_from(metadata, origin.by.as_deref())) }
                            span.note { (spaced(origin.kind.as_str())) ", event " code { (origin.event_id) } }
                        }
                    }
                }
            }
        }
    }
}

/// Where the change came from, as whoever asked for it says.
fn came_from(it: &Metadata, asked_by: Option<&str>) -> Markup {
    let commit = it.commit.as_deref().map(|commit| commit.get(..12).unwrap_or(commit));
    let run = it.run_id.as_deref().map(|run| format!("run {run}"));
    let platform = it.platform.as_deref();
    let user = it.user.as_deref().filter(|user| Some(*user) != asked_by);
    html! {
        span.note {
            @if let Some(user) = user { "by " (user) " " }
            @if let Some(commit) = commit { "commit " (link(it.commit_url().as_deref(), commit)) " " }
            @if let Some(branch) = &it.branch { "of " (branch) " " }
            @if let Some(repository) = &it.repository { "in " (link(it.repository_url.as_deref(), repository)) " " }
            @if run.is_some() || platform.is_some() {
                "(" (link(it.run_url.as_deref(), &[platform.map(str::to_owned), run].into_iter().flatten().collect::<Vec<_>>().join(" "))) ")"
            }
        }
    }
}

/// Others wrote the address: it is followed only where it leads to a page.
fn link(url: Option<&str>, text: &str) -> Markup {
    let leads = |url: &&str| url.starts_with("https://") || url.starts_with("http://");
    html! { @match url.filter(leads) { Some(url) => a href=(url) rel="noreferrer noopener" { (text) }, None => (text) } }
}

fn links(it: &DeploymentRecord) -> Markup {
    let definitions = it
        .definition
        .iter()
        .chain(it.previous_definition.iter().filter(|id| Some(*id) != it.definition.as_ref()));
    html! {
        section #console aria-labelledby="console-heading" {
            h2 #console-heading { "In AWS's console" }
            ul.sheet.links {
                li { a href=(service_url(&it.target)) { "Service " (it.target.service()) } }
                li { a href=(deployments_url(&it.target)) { "Its deployments" } }
                @for id in definitions { li { a href=(definition_url(&it.target, id)) { "Definition " (id) } } }
            }
        }
    }
}
