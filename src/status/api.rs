//! Targets and deployments as JSON. `docs/api.md` gives the shapes.

use std::fmt::Display;

use axum::{
    Json, Router,
    extract::{Path, State, rejection::QueryRejection},
    routing::get,
};
use serde::Serialize;

use super::{Snapshot, StatusState, problem::Problem};
use crate::{
    domain::{
        ClusterName, DeploymentId, DeploymentRecord, HoldRecord, LaneRecord, LaneState, Moment, Outcome,
        RunningRecord, ServiceName, TargetId, TargetName, TargetRecord, Timestamp,
    },
    report::history::{self, Query},
};

const DEFAULT_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 200;

pub(super) fn routes() -> Router<StatusState> {
    Router::new()
        .route("/targets", get(targets))
        .route("/targets/{id}", get(target))
        .route("/deployments", get(deployments))
        .route("/deployments/{id}", get(deployment))
}

async fn targets(State(state): State<StatusState>, query: Pairs) -> Result<Json<List<TargetShown>>, Problem> {
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
    Ok(Json(List { items: page.iter().map(|target| TargetShown::new(target, clock)).collect(), next }))
}

async fn target(
    State(state): State<StatusState>,
    Path(id): Path<String>,
) -> Result<Json<TargetShown>, Problem> {
    let snapshot = state.latest();
    let found = find_target(&snapshot, &id)?;
    Ok(Json(TargetShown::new(found, state.clock.now())))
}

async fn deployments(
    State(state): State<StatusState>,
    query: Pairs,
) -> Result<Json<List<DeploymentRecord>>, Problem> {
    let query = deployments_query(query)?;
    let snapshot = state.latest();
    let page = history::page(snapshot.all_deployments(), &query);
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(List { items: page.items.into_iter().cloned().collect(), next }))
}

async fn deployment(
    State(state): State<StatusState>,
    Path(id): Path<String>,
) -> Result<Json<DeploymentRecord>, Problem> {
    let id = DeploymentId::from(id);
    let snapshot = state.latest();
    let found = snapshot.deployment(&id).cloned();
    found.map(Json).ok_or_else(|| {
        Problem::not_found(format!("no deployment `{id}` is under way, or among the last that ended"))
    })
}

/// The query of a request, decoded, or why that cannot be done.
type Pairs = Result<axum::extract::Query<Vec<(String, String)>>, QueryRejection>;

/// A page of a list.
#[derive(Serialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// A target with its deadline by the wall's clock.
#[derive(Serialize)]
struct TargetShown {
    id: TargetId,
    name: TargetName,
    cluster: ClusterName,
    service: ServiceName,
    running: Option<RunningRecord>,
    lane: LaneShown,
}

#[derive(Serialize)]
struct LaneShown {
    state: LaneState,
    deployment: Option<DeploymentId>,
    waiting: usize,
    until: Option<Timestamp>,
    why: Option<String>,
    hold: Option<HoldRecord>,
}

impl TargetShown {
    fn new(target: &TargetRecord, clock: (Moment, Timestamp)) -> Self {
        let TargetRecord { id, name, cluster, service, running, lane } = target.clone();
        let LaneRecord { state, deployment, waiting, until, why, hold } = lane;
        let until = until.map(|until| by_the_wall(until, clock));
        Self {
            id,
            name,
            cluster,
            service,
            running,
            lane: LaneShown { state, deployment, waiting, until, why, hold },
        }
    }
}

/// A moment, by the wall's clock.
fn by_the_wall(moment: Moment, (now, at): (Moment, Timestamp)) -> Timestamp {
    let millis = |moment: Moment| i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_add(millis(moment).saturating_sub(millis(now))))
}

fn place_of(snapshot: &Snapshot, id: &TargetId) -> Option<usize> {
    snapshot.targets.iter().position(|target| target.id == *id)
}

/// By id, or by a name that only one target has.
pub(super) fn find_target<'a>(snapshot: &'a Snapshot, id: &str) -> Result<&'a TargetRecord, Problem> {
    if let Some(place) = id.parse().ok().and_then(|id| place_of(snapshot, &id)) {
        return Ok(&snapshot.targets[place]);
    }
    let mut named = snapshot.targets.iter().filter(|target| target.name.as_str() == id);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Problem::not_found(format!("no target has the name or the id `{id}`"))),
        (Some(one), Some(other)) => Err(Problem::bad_request(format!(
            "`{id}` is the name of {} and of {}: use the id, percent-encoded",
            one.id, other.id
        ))),
    }
}

fn deployments_query(query: Pairs) -> Result<Query, Problem> {
    let mut wanted = Query::first(DEFAULT_LIMIT);
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "target" => wanted.target = Some(value),
            "outcome" => wanted.outcome = Some(outcome_of(&value)?),
            "since" => wanted.since = Some(since_of(&value)?),
            "limit" => wanted.limit = limit_of(&value)?,
            "cursor" => wanted.after = Some(value.parse().map_err(|why| wrong(&name, &value, why))?),
            _ => return Err(unknown(&name, "target, outcome, since, limit, cursor")),
        }
    }
    Ok(wanted)
}

/// The parameters of a query; one that is given twice is refused, because only one could count.
fn pairs(query: Pairs) -> Result<Vec<(String, String)>, Problem> {
    let axum::extract::Query(pairs) = query.map_err(|why| Problem::bad_request(why.to_string()))?;
    for (place, (name, _)) in pairs.iter().enumerate() {
        if pairs[..place].iter().any(|(earlier, _)| earlier == name) {
            return Err(Problem::bad_request(format!("`{}` is given twice", short(name))));
        }
    }
    Ok(pairs)
}

fn limit_of(value: &str) -> Result<usize, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit));
    limit.ok_or_else(|| wrong("limit", value, format!("it is a number from 1 to {LARGEST_LIMIT}")))
}

fn since_of(value: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(value)
        .ok_or_else(|| wrong("since", value, "it is a time in RFC 3339, as 2026-11-01T12:00:00Z"))
}

fn outcome_of(value: &str) -> Result<Outcome, Problem> {
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == value).ok_or_else(|| {
        let known = Outcome::ALL.map(Outcome::as_str).join(", ");
        wrong("outcome", value, format!("it is one of {known}"))
    })
}

fn wrong(name: &str, value: impl Display, right: impl Display) -> Problem {
    Problem::bad_request(format!("`{name}` cannot be `{}`: {right}", short(&value.to_string())))
}

fn unknown(name: &str, known: &str) -> Problem {
    Problem::bad_request(format!("there is no parameter `{}` here: known are {known}", short(name)))
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}
