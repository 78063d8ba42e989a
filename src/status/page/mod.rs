//! The pages for people: what needs somebody, what each target runs, what is under way, what ended and why.
//!
//! Everything is drawn here, so that it is useful where scripts are off. One small script keeps a page that is open up to
//! date; where there is none, a page loads itself anew only if its reader asked for that, because text that moves by
//! itself cannot be read by everybody.

mod actions;
mod asked;
mod attention;
mod charts;
mod deployment;
mod diff;
mod frame;
mod home;
mod inforce;
mod letters;
mod parts;
mod sorry;
mod target;

use std::time::Duration;

use axum::{
    Router,
    extract::{Query, State},
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};

pub(super) use self::sorry::for_people;
use self::{
    asked::{Asked, encoded},
    parts::coarse,
};
use super::{About, HealthReport, Snapshot, StatusState};
use crate::{
    domain::{DeploymentId, DeploymentRecord, Moment, TargetId, TargetName, Timestamp},
    report::{
        dora::{self, Figures},
        past::Past,
    },
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");
const ICON: &str = include_str!("icon.svg");

pub(super) fn routes() -> Router<StatusState> {
    Router::new()
        .route("/", get(home))
        .route("/targets/{id}", get(target::page))
        .route("/deployments/{id}", get(deployment::page))
        .route("/dead-letters", get(letters::page))
        .route("/style.css", get(async || kept("text/css; charset=utf-8", STYLE)))
        .route("/live.js", get(async || kept("text/javascript; charset=utf-8", SCRIPT)))
        .route("/icon.svg", get(async || kept("image/svg+xml", ICON)))
}

async fn home(State(state): State<StatusState>, query: Pairs) -> Html<String> {
    show(&state, &query, |view| view.home())
}

/// What stands behind the `?` of an address.
type Pairs = Query<Vec<(String, String)>>;

/// A page of what is so now.
fn show(state: &StatusState, query: &Pairs, page: impl FnOnce(View<'_>) -> Markup) -> Html<String> {
    let (now, at) = state.clock.now();
    let snapshot = state.latest();
    let past = state.lookup.past();
    let health = state.health.assess(now);
    let asked = Asked::of(query);
    // As a rule what was read is in the snapshot by now.
    let ended = if std::sync::Arc::ptr_eq(&past, &snapshot.past) {
        snapshot.listed().iter().filter(|it| it.finished_at.is_some()).map(|record| &**record).collect()
    } else {
        newest_first(&snapshot, &past)
    };
    let (snapshot, about) = (&*snapshot, &*state.about);
    let view = View { snapshot, ended: &ended, about, health: &health, now, at, asked: &asked };
    Html(page(view).into_string())
}

/// The deployments that ended, those too that only ECS remembers.
fn newest_first<'a>(snapshot: &'a Snapshot, past: &'a Past) -> Vec<&'a DeploymentRecord> {
    let past = past.beside(&snapshot.history, snapshot.under_way());
    let mut ended: Vec<_> = snapshot.history.shared().chain(past).map(|record| &**record).collect();
    ended.sort_by_key(|it| std::cmp::Reverse(it.finished_at));
    ended
}

/// As much of an id as tells it from others: those that ECS gives are long.
fn short_id(id: &str) -> String {
    const ENOUGH: usize = 16;
    if id.chars().count() <= ENOUGH + 1 {
        id.to_owned()
    } else {
        id.chars().take(ENOUGH).chain(['…']).collect()
    }
}

/// What changes only with the version, which stands in the address: a browser may keep it for a day.
fn kept(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=86400")], text).into_response()
}

/// What one page shows.
struct View<'a> {
    snapshot: &'a Snapshot,
    /// The newest first.
    ended: &'a [&'a DeploymentRecord],
    about: &'a About,
    health: &'a HealthReport,
    now: Moment,
    at: Timestamp,
    asked: &'a Asked,
}

impl View<'_> {
    /// The deployments that ended, the newest first.
    fn ended(&self) -> impl Iterator<Item = &DeploymentRecord> {
        self.ended.iter().copied()
    }

    /// The figures of one target, or of all of them.
    fn figures(&self, target: Option<&TargetId>) -> Figures {
        let records = self.ended().filter(|it| target.is_none_or(|target| it.target == *target));
        dora::figures(records, self.at, self.asked.days)
    }

    /// How long a deployment of this target usually takes.
    fn usual(&self, target: &TargetId) -> Option<Duration> {
        dora::usual(self.ended(), target)
    }

    /// Whether there is a page of this deployment.
    fn finds(&self, id: &DeploymentId) -> bool {
        self.snapshot.under_way().chain(self.ended()).any(|it| it.id == *id)
    }

    /// The address of a target's page: its name, where only one has it.
    fn target_path(&self, id: &TargetId, name: &TargetName) -> String {
        let named = self.snapshot.targets.partition_point(|it| it.name < *name);
        let is_alone = self.snapshot.targets.get(named + 1).is_none_or(|next| next.name != *name);
        let is_here = self.snapshot.targets.get(named).is_some_and(|it| it.id == *id);
        if is_alone && is_here {
            format!("/targets/{}", encoded(name.as_str()))
        } else {
            format!("/targets/{}", encoded(&id.to_string()))
        }
    }

    fn ago(&self, then: Timestamp) -> Markup {
        let passed = self.at.since(then);
        let says = if passed < Duration::from_secs(1) { "just now".into() } else { coarse(passed) + " ago" };
        html! { time datetime=(then) title=(then) { (says) } }
    }

    /// Whose deployment it is, and which.
    fn subject(&self, it: &DeploymentRecord) -> Markup {
        html! {
            a.name href=(self.target_path(&it.target, &it.name)) { (it.name) }
            span.note { a href={ "/deployments/" (encoded(it.id.as_str())) } title=(it.target) { (short_id(it.id.as_str())) } }
        }
    }
}

#[cfg(test)]
mod tests;
