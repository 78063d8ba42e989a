//! Answers, and the shapes that are made for them; all others are those of the domain.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        ClusterName, DeploymentId, HoldRecord, LaneRecord, LaneState, Moment, RolloutRecord, RunningRecord,
        ServiceName, TargetId, TargetName, TargetRecord, Timestamp, fingerprint,
    },
    status::{Snapshot, problem::Problem},
};

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// The `cursor` of the next page; null on the last.
    pub(super) next: Option<String>,
}

/// A target with its deadline by the wall's clock.
#[derive(Serialize, ToSchema)]
#[schema(as = Target)]
pub(in crate::status) struct TargetShown {
    id: TargetId,
    name: TargetName,
    cluster: ClusterName,
    service: ServiceName,
    /// Null before it was seen.
    running: Option<RunningRecord>,
    /// The rollout in progress that no deployment here watches; null if there is none.
    rollout: Option<Box<RolloutRecord>>,
    lane: LaneShown,
}

/// What is done about a target.
#[derive(Serialize, ToSchema)]
#[schema(as = Lane)]
struct LaneShown {
    state: LaneState,
    deployment: Option<DeploymentId>,
    /// How many requests wait.
    waiting: usize,
    /// When the lane acts next by itself.
    until: Option<Timestamp>,
    /// What it waits for.
    why: Option<String>,
    /// What keeps deployments from being started.
    hold: Option<HoldRecord>,
}

impl TargetShown {
    pub(in crate::status) fn new(target: &TargetRecord, clock: (Moment, Timestamp)) -> Self {
        let TargetRecord { id, name, cluster, service, running, rollout, lane } = target.clone();
        let LaneRecord { state, deployment, waiting, until, why, hold } = lane;
        let until = until.map(|until| by_the_wall(until, clock));
        Self {
            id,
            name,
            cluster,
            service,
            running,
            rollout,
            lane: LaneShown { state, deployment, waiting, until, why, hold },
        }
    }
}

/// This as JSON; or only that it is what the client has already. It may be kept, and has to be asked for each time.
pub(super) fn conditional(headers: &HeaderMap, shown: &impl Serialize) -> Response {
    let body = serde_json::to_vec(shown).expect("what is shown has text keys only");
    let tag = format!("\"{}\"", fingerprint(&body, 12));
    let kept = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "private, no-cache")];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|known| is_among(known.as_bytes(), &tag)) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Whether this tag is one of a list, of which each may be weak.
fn is_among(list: &[u8], tag: &str) -> bool {
    let tags = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tags.into_iter()
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}

/// A moment, by the wall's clock.
fn by_the_wall(moment: Moment, (now, at): (Moment, Timestamp)) -> Timestamp {
    let millis = |moment: Moment| i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_add(millis(moment).saturating_sub(millis(now))))
}

pub(super) fn place_of(snapshot: &Snapshot, id: &TargetId) -> Option<usize> {
    snapshot.targets.iter().position(|target| target.id == *id)
}

/// By id, or by a name that only one target has.
pub(in crate::status) fn find_target<'a>(
    snapshot: &'a Snapshot,
    id: &str,
) -> Result<&'a TargetRecord, Problem> {
    if let Some(place) = id.parse().ok().and_then(|id| place_of(snapshot, &id)) {
        return Ok(&snapshot.targets[place]);
    }
    let mut named = snapshot.targets.iter().filter(|target| target.name.as_str() == id);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(without(snapshot, id)),
        (Some(one), Some(other)) => Err(Problem::bad_request(format!(
            "`{id}` is the name of {} and of {}: use the id, percent-encoded",
            one.id, other.id
        ))),
    }
}

/// Why no target is called so: there is none, or each of several is called by more than that.
fn without(snapshot: &Snapshot, id: &str) -> Problem {
    let names = snapshot.targets.iter().map(|it| it.name.as_str());
    let several: Vec<&str> =
        names.filter(|name| name.rsplit_once('/').is_some_and(|(_, last)| last == id)).take(5).collect();
    if several.is_empty() {
        return Problem::not_found(format!("no target has the name or the id `{id}`"));
    }
    Problem::bad_request(format!("`{id}` is the name of several targets: use {}", several.join(" or ")))
}
