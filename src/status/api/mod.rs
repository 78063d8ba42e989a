//! What is so, and what is asked for, as JSON. `docs/api.md` gives the shapes, and `/openapi.json` describes them.
//!
//! | file | does |
//! |---|---|
//! | `changes` | deployments, rollbacks and decisions that are asked for |
//! | `letters` | what is set aside, and putting it back |
//! | `shown`, `query`, `asked`, `body` | answers, what stands behind the `?`, and what requests say |
//! | `openapi` | describes all of it |

mod asked;
mod body;
mod changes;
mod letters;
mod openapi;
mod query;
mod shown;

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode},
    response::Response,
    routing::{MethodRouter, get, post},
};

pub(super) use changes::put;
pub(super) use openapi::ReadErrors;
pub(super) use shown::{DeploymentShown, TargetShown, find_target};

use self::{
    query::{DEFAULT_LIMIT, Pairs, deployments_query, limit_of, pairs, unknown, wrong},
    shown::{DeploymentList, List, conditional, place_of},
};
use super::{
    Snapshot, StatusState,
    access::{Asker, Reader},
    problem::Problem,
    stream,
};
use crate::{
    domain::{DeploymentId, Outcome, TargetId, Timestamp},
    report::history::{self, Query},
};

/// A path, how it is asked, and who answers. The description of the API is held against this list.
pub(super) type Route = (&'static str, Method, fn() -> MethodRouter<StatusState>);

pub(super) const ROUTES: [Route; 18] = [
    ("/openapi.json", Method::GET, || get(openapi::openapi)),
    ("/api/v1/me", Method::GET, || get(me)),
    ("/api/v1/targets", Method::GET, || get(targets)),
    ("/api/v1/targets/{id}", Method::GET, || get(target)),
    ("/api/v1/targets/{id}/pause", Method::POST, || post(changes::pause)),
    ("/api/v1/targets/{id}/resume", Method::POST, || post(changes::resume)),
    ("/api/v1/targets/{id}/rollback", Method::POST, || post(changes::rollback)),
    ("/api/v1/pause", Method::POST, || post(changes::pause_all)),
    ("/api/v1/resume", Method::POST, || post(changes::resume_all)),
    ("/api/v1/deployments", Method::GET, || get(deployments)),
    ("/api/v1/deployments", Method::POST, || post(changes::deploy)),
    ("/api/v1/deployments/{id}", Method::GET, || get(deployment)),
    ("/api/v1/deployments/{id}/approve", Method::POST, || post(changes::approve)),
    ("/api/v1/deployments/{id}/reject", Method::POST, || post(changes::reject)),
    ("/api/v1/deployments/{id}/cancel", Method::POST, || post(changes::cancel)),
    ("/api/v1/dead-letters", Method::GET, || get(letters::letters)),
    ("/api/v1/dead-letters/replay", Method::POST, || post(letters::replay)),
    ("/api/v1/stream", Method::GET, || get(stream::stream)),
];

pub(super) fn routes() -> Router<StatusState> {
    ROUTES.into_iter().fold(Router::new(), |router, (path, _, route)| router.route(path, route()))
}

/// Who asks, and whether they may ask for changes.
#[utoipa::path(get, path = "/api/v1/me", tag = "description", security((), ("token" = [])),
    responses((status = 200, description = "Them", body = Asker), ReadErrors))]
async fn me(asker: Asker) -> Json<Asker> {
    Json(asker)
}

/// Targets, in the order of names.
#[utoipa::path(get, path = "/api/v1/targets", tag = "targets", security((), ("token" = [])),
    params(
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "How many there are on a page; 50"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "A page of them", body = List<TargetShown>), ReadErrors))]
async fn targets(
    State(state): State<StatusState>,
    _: Reader,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let (mut limit, mut after) = (DEFAULT_LIMIT, None);
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "limit" => limit = limit_of(&value)?,
            "cursor" => after = Some(value.parse::<TargetId>().map_err(|why| wrong(&name, &value, why))?),
            _ => return Err(unknown(&name, "limit, cursor")),
        }
    }
    let snapshot = state.latest();
    let from = match &after {
        Some(last) => {
            place_of(&snapshot, last).ok_or_else(|| wrong("cursor", last, "that target is gone"))? + 1
        }
        None => 0,
    };
    let rest = &snapshot.targets[from..];
    let page = &rest[..rest.len().min(limit)];
    let next = page.last().filter(|_| page.len() < rest.len()).map(|last| last.id.to_string());
    let clock = state.clock.now();
    let items = page.iter().map(|target| TargetShown::new(target, clock)).collect();
    Ok(conditional(&headers, &List { items, next }))
}

/// One target.
#[utoipa::path(get, path = "/api/v1/targets/{id}", tag = "targets", security((), ("token" = [])),
    params(("id" = String, Path, description = "The target's name, or its id percent-encoded")),
    responses((status = 200, description = "It", body = TargetShown), ReadErrors))]
async fn target(
    State(state): State<StatusState>,
    _: Reader,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let snapshot = state.latest();
    let found = find_target(&snapshot, &id)?;
    Ok(conditional(&headers, &TargetShown::new(found, state.clock.now())))
}

/// Deployments under way, then those that ended lately; the newest first.
#[utoipa::path(get, path = "/api/v1/deployments", tag = "deployments", security((), ("token" = [])),
    params(
        ("target" = Option<String>, Query, description = "Those of this target: its name or its id"),
        ("event" = Option<String>, Query, description = "Those that carry this event"),
        ("outcome" = Option<Outcome>, Query, description = "Those that ended so"),
        ("since" = Option<Timestamp>, Query, description = "Those that ended then or later, and those that have not ended"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "How many there are on a page; 50"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "A page of them", body = DeploymentList<DeploymentShown<'_>>), ReadErrors))]
async fn deployments(
    State(state): State<StatusState>,
    _: Reader,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let mut query = deployments_query(query)?;
    let snapshot = state.latest();
    if let Some(called) = &query.target {
        match find_target(&snapshot, called) {
            // Its deployments may be known under a name that it had before.
            Ok(found) => query.target = Some(found.id.to_string()),
            Err(problem) if problem.status() == StatusCode::BAD_REQUEST => return Err(problem),
            // One that is not there any more may have a past.
            Err(problem) => {
                let past = Query { target: Some(called.clone()), ..Query::first(1) };
                if history::page_of(snapshot.listed(), &past).items.is_empty() {
                    return Err(problem);
                }
            }
        }
    }
    let page = history::page_of(snapshot.listed(), &query);
    let next = page.next.map(|cursor| cursor.to_string());
    let complete = snapshot.past_unread() == 0;
    let items = page.items.into_iter().map(|it| DeploymentShown::new(it, &snapshot)).collect();
    Ok(conditional(&headers, &DeploymentList { items, next, complete }))
}

/// One deployment.
#[utoipa::path(get, path = "/api/v1/deployments/{id}", tag = "deployments", security((), ("token" = [])),
    params(("id" = String, Path, description = "The deployment's id")),
    responses((status = 200, description = "It", body = DeploymentShown<'_>), ReadErrors))]
async fn deployment(
    State(state): State<StatusState>,
    _: Reader,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let snapshot = state.latest();
    let found =
        snapshot.deployment(&DeploymentId::from(id.as_str())).ok_or_else(|| no_deployment(&snapshot, &id))?;
    Ok(conditional(&headers, &DeploymentShown::new(found, &snapshot)))
}

fn no_deployment(snapshot: &Snapshot, id: &str) -> Problem {
    if !snapshot.active {
        let detail = "this process is on standby: what is under way, the one that acts knows";
        return Problem::later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1), detail);
    }
    Problem::not_found(Snapshot::no_deployment(id))
}
