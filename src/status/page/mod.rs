//! The page for people: what each target runs, what is under way, what ended and why. It needs no script; it loads
//! itself anew only where its reader asked for that, because text that moves by itself cannot be read by everybody.
//! Each deployment has a page of its own, with all that is known of it.

mod deployment;
mod parts;

use axum::{
    Router,
    extract::{Query, State},
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, html};

use self::parts::{
    clock_time, coarse, evidence, figure, image_version, lane_kind, lane_name, note, outcome_kind,
    outcome_name, pill, rest, row, spaced, stage_kind, stage_name, subject, table, tasks, what, why,
};
use super::{About, HealthReport, Snapshot, StatusState};
use crate::{
    domain::{DeploymentRecord, LaneState, Moment, RunningRecord, TargetId, TargetRecord, Timestamp},
    report::{
        history::{self, Query as Wanted},
        message::{span, took},
    },
};

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");
/// Lists are cut here, so that the page of ten thousand targets stays one that a browser can show.
const MOST_ROWS: usize = 100;
const MOST_ENDED: usize = 50;
/// How often the page loads itself anew where that was asked for.
const REFRESH_SECONDS: u32 = 5;

pub(super) fn routes() -> Router<StatusState> {
    Router::new()
        .route("/", get(page))
        .route("/deployments/{id}", get(deployment::page))
        .route("/style.css", get(async || kept("text/css; charset=utf-8", STYLE)))
        .route("/icon.svg", get(async || kept("image/svg+xml", ICON)))
}

async fn page(State(state): State<StatusState>, query: Asked) -> Html<String> {
    show(&state, &query, |view| view.page())
}

/// What stands behind the `?` of an address.
type Asked = Query<Vec<(String, String)>>;

/// A page of what is so now, which loads itself anew where it was asked to.
fn show(state: &StatusState, query: &Asked, page: impl FnOnce(View<'_>) -> Markup) -> Html<String> {
    let (now, at) = state.clock.now();
    let live = query.iter().any(|(name, _)| name == "live");
    let snapshot = state.latest();
    let health = state.health.assess(now);
    let view = View { snapshot: &snapshot, about: &state.about, health: &health, now, at, live };
    Html(page(view).into_string())
}

/// What changes only with the version, which stands in the address: a browser may keep it for a day.
fn kept(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=86400")], text).into_response()
}

/// What one page shows.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) about: &'a About,
    pub(super) health: &'a HealthReport,
    pub(super) now: Moment,
    pub(super) at: Timestamp,
    pub(super) live: bool,
}

impl View<'_> {
    pub(super) fn page(&self) -> Markup {
        let main = html! { (self.summary()) (self.under_way()) (self.targets()) (self.ended()) };
        self.framed("/", &self.title(), &main)
    }

    /// What stands around every page; `path` is its own.
    fn framed(&self, path: &str, title: &str, main: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if self.live { meta http-equiv="refresh" content=(REFRESH_SECONDS); }
                    title { (title) }
                    link rel="icon" href={ "/icon.svg?v=" (self.about.version) };
                    link rel="stylesheet" href={ "/style.css?v=" (self.about.version) };
                }
                body {
                    (self.header(path))
                    main { (main) }
                    (self.footer())
                }
            }
        }
    }

    fn title(&self) -> String {
        let place = self.place();
        let separator = if place.is_empty() { "" } else { " · " };
        format!("Lockkeeper{separator}{place}")
    }

    fn place(&self) -> String {
        let names = [&self.about.project, &self.about.environment];
        names.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn header(&self, path: &str) -> Markup {
        html! {
            header {
                h1 { @if path == "/" { "Lockkeeper" } @else { a href="/" { "Lockkeeper" } } }
                p.place { (self.place()) }
                @if let Some((account, region)) = &self.snapshot.home {
                    p.home { "account " (account) ", " (region) }
                }
                p.live {
                    @if self.live {
                        "Loads anew every " (REFRESH_SECONDS) " s · " a href=(path) { "Hold still" }
                    } @else {
                        (clock_time(self.at)) " UTC · " a href={ (path) "?live" } { "Keep it live" }
                    }
                }
            }
        }
    }

    fn summary(&self) -> Markup {
        let snapshot = self.snapshot;
        let waiting: usize = snapshot.targets.iter().map(|target| target.lane.waiting).sum();
        let failing = self.health.parts().find(|(_, part)| !part.is_ok());
        html! {
            section.summary aria-label="Summary" {
                dl {
                    div {
                        dt { "Health" }
                        @match failing {
                            None => dd.good { @if snapshot.active { "Ready" } @else { "On standby" } }
                            Some((name, part)) if self.health.is_ready() => {
                                dd.warn { "Ready" span.note { (name) ": " (part.detail) } }
                            }
                            Some((name, part)) => dd.bad { "Not ready" span.note { (name) ": " (part.detail) } }
                        }
                    }
                    (figure("Targets", snapshot.targets.len()))
                    (figure("Under way", snapshot.deployments.len()))
                    (figure("Requests waiting", waiting))
                    @match snapshot.dead_letters() {
                        Some(count) => div {
                            dt { "Set aside" }
                            dd.bad[count > 0] { (count) }
                        }
                        None => div { dt { "Set aside" } dd title="Not counted yet" { "–" } }
                    }
                }
            }
        }
    }

    fn under_way(&self) -> Markup {
        let page = history::page(self.snapshot.under_way(), &Wanted::first(MOST_ROWS));
        html! {
            section aria-labelledby="under-way" {
                h2 #under-way { "Under way" }
                @if page.items.is_empty() {
                    p.nothing { "Nothing is under way." }
                } @else {
                    (table("under-way", &["Target", "Stage", "Rolls out", "Tasks", "Why", "Since"], &html! {
                        @for it in &page.items { (self.active_row(it)) }
                    }))
                    (rest(self.snapshot.deployments.len(), page.items.len(), "/api/v1/deployments"))
                }
            }
        }
    }

    fn active_row(&self, it: &DeploymentRecord) -> Markup {
        row(&[
            ("Target", subject(it)),
            (
                "Stage",
                html! { (pill(stage_kind(it.stage), stage_name(it.stage))) (note(it.reason.as_deref())) },
            ),
            ("Rolls out", what(it)),
            ("Tasks", tasks(it)),
            ("Why", why(it)),
            ("Since", self.ago(it.started_at.unwrap_or(it.requested_at))),
        ])
    }

    fn targets(&self) -> Markup {
        let mut targets: Vec<&TargetRecord> = self.snapshot.targets.iter().map(|target| &**target).collect();
        targets.sort_by_key(|target| (target.lane.state == LaneState::Idle, &target.name, &target.id));
        let shown = &targets[..targets.len().min(MOST_ROWS)];
        html! {
            section aria-labelledby="targets" {
                h2 #targets { "Targets" }
                @if shown.is_empty() {
                    p.nothing { "No target is known yet." }
                } @else {
                    (table("targets", &["Target", "Runs", "Lane", "Waiting"], &html! {
                        @for target in shown { (self.target_row(target)) }
                    }))
                    (rest(targets.len(), shown.len(), "/api/v1/targets"))
                }
            }
        }
    }

    fn target_row(&self, target: &TargetRecord) -> Markup {
        let name = html! {
            strong { (target.name) }
            span.note title=(target.id) { (target.cluster) " / " (target.service) (self.elsewhere(&target.id)) }
        };
        row(&[
            ("Target", name),
            (
                "Runs",
                html! {
                    @match &target.running {
                        Some(running) => (self.running(running)),
                        None => span.faint { "Not looked at yet" },
                    }
                },
            ),
            ("Lane", self.lane(target)),
            ("Waiting", html! { (target.lane.waiting) }),
        ])
    }

    /// Where a target is, if not where we are.
    fn elsewhere(&self, target: &TargetId) -> Markup {
        let home = self.snapshot.home.as_ref();
        let here =
            home.is_none_or(|(account, region)| (account, region) == (target.account(), target.region()));
        html! { @if !here { " in " (target.account()) ", " (target.region()) } }
    }

    fn running(&self, running: &RunningRecord) -> Markup {
        html! {
            code { (running.definition) }
            @if let Some(since) = running.since { " " span.faint { (self.ago(since)) } }
            @for image in &running.images {
                span.note title=[image.digest.as_ref().map(ToString::to_string)] {
                    (image.container) " " code { (image.image.repository) (image_version(image)) }
                }
            }
        }
    }

    fn lane(&self, target: &TargetRecord) -> Markup {
        let lane = &target.lane;
        let left = lane.until.map(|until| until.since(self.now));
        let until = left.filter(|left| !left.is_zero()).map(span);
        html! {
            (pill(lane_kind(lane.state), lane_name(lane.state)))
            @if let Some(until) = until { " " span.faint { "for " (until) } }
            (note(lane.why.as_deref()))
        }
    }

    fn ended(&self) -> Markup {
        let page = history::page(self.snapshot.history.iter(), &Wanted::first(MOST_ENDED));
        html! {
            section aria-labelledby="ended" {
                h2 #ended { "Ended lately" }
                @if page.items.is_empty() {
                    p.nothing { "No deployment has ended since this process began." }
                } @else {
                    (table("ended", &["Target", "Outcome", "Rolled out", "Why", "Took", "Ended"], &html! {
                        @for it in &page.items { (self.ended_row(it)) }
                    }))
                    (rest(self.snapshot.history.len(), page.items.len(), "/api/v1/deployments"))
                }
            }
        }
    }

    fn ended_row(&self, it: &DeploymentRecord) -> Markup {
        let outcome = html! {
            @if let Some(outcome) = it.outcome { (pill(outcome_kind(outcome), outcome_name(outcome))) }
            @if let Some(cause) = it.cause { " " span.cause { (spaced(cause.as_str())) } }
            (note(it.reason.as_deref()))
            (evidence(it))
        };
        row(&[
            ("Target", subject(it)),
            ("Outcome", outcome),
            ("Rolled out", what(it)),
            ("Why", why(it)),
            ("Took", html! { span.nowrap { (took(it).map(span).unwrap_or_default()) } }),
            ("Ended", html! { @if let Some(ended) = it.finished_at { (self.ago(ended)) } }),
        ])
    }

    fn ago(&self, then: Timestamp) -> Markup {
        html! { time datetime=(then) title=(then) { (coarse(self.at.since(then))) " ago" } }
    }

    fn footer(&self) -> Markup {
        html! {
            footer {
                p { "Lockkeeper " (self.about.version) }
                nav aria-label="For machines" {
                    a href="/api/v1/targets" { "Targets" } " "
                    a href="/api/v1/deployments" { "Deployments" } " "
                    a href="/health" { "Health" } " "
                    a href="/metrics" { "Metrics" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
