//! Answers, and the shapes that are made for them; all others are those of the domain.

use std::{sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        ClusterName, DeploymentId, DeploymentRecord, HoldRecord, LaneRecord, LaneState, Moment,
        RolloutRecord, RunningRecord, ServiceName, TargetId, TargetName, TargetRecord, Timestamp,
        fingerprint, harmless, nearest_of,
    },
    status::{Snapshot, problem::Problem},
};

/// Of what somebody may have meant, so much is offered.
const MOST_MEANT: usize = 3;
/// Where nothing is near, all are named if there are no more than these.
const MOST_LISTED: usize = 10;
/// As much of a name that does not exist is said again.
const LONGEST_SHOWN: usize = 100;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// The `cursor` of the next page; null on the last.
    pub(super) next: Option<String>,
}

/// A page of deployments.
#[derive(Serialize, ToSchema)]
pub(super) struct DeploymentList<T> {
    pub(super) items: Vec<T>,
    /// The `cursor` of the next page; null on the last.
    pub(super) next: Option<String>,
    /// Whether what ECS remembers was read of every target: until then, deployments from before this process are missing.
    pub(super) complete: bool,
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
    /// Why nothing is deployed there, whatever is asked for; null where it is deployed.
    refused: Option<Arc<str>>,
    lane: LaneShown,
}

/// A deployment, and what its target is called.
#[derive(Serialize, ToSchema)]
#[schema(as = Deployment)]
pub(in crate::status) struct DeploymentShown<'a> {
    /// What its target is called now; of one that is gone, what it was called then.
    #[schema(value_type = TargetName)]
    target_name: &'a TargetName,
    #[serde(flatten)]
    #[schema(value_type = DeploymentRecord)]
    record: &'a DeploymentRecord,
}

/// What is done about a target.
#[derive(Serialize, ToSchema)]
#[schema(as = Lane)]
struct LaneShown {
    state: LaneState,
    deployment: Option<DeploymentId>,
    /// The deployment that waits: behind that one, or for whatever else lets nothing begin.
    next: Option<DeploymentId>,
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
        let TargetRecord { id, name, cluster, service, running, rollout, refused, lane } = target.clone();
        let LaneRecord { state, deployment, next, waiting, until, why, hold } = lane;
        let until = until.map(|until| by_the_wall(until, clock));
        Self {
            id,
            name,
            cluster,
            service,
            running,
            rollout,
            refused,
            lane: LaneShown { state, deployment, next, waiting, until, why, hold },
        }
    }
}

impl<'a> DeploymentShown<'a> {
    pub(in crate::status) fn new(record: &'a DeploymentRecord, snapshot: &'a Snapshot) -> Self {
        Self { target_name: snapshot.name_of(&record.target).unwrap_or(&record.name), record }
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

/// That there is none, and what was probably meant.
fn no_target(snapshot: &Snapshot, called: &str) -> Problem {
    if !snapshot.active && snapshot.targets.is_empty() {
        let detail = "the process has just begun, and does not know its targets yet";
        return Problem::later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1), detail);
    }
    let names = || snapshot.targets.iter().map(|target| target.name.as_str());
    // People know ECS's name of it, too, and not that several have one name.
    let is_meant = |target: &&Arc<TargetRecord>| {
        let (name, service) = (target.name.as_str(), target.service.as_str());
        service == called || name.rsplit_once('/').is_some_and(|(_, last)| last == called)
    };
    let of_service = snapshot.targets.iter().filter(is_meant);
    let mut meant: Vec<&str> = of_service.map(|target| target.name.as_str()).take(MOST_MEANT).collect();
    for near in nearest_of(called, names(), MOST_MEANT) {
        if meant.len() < MOST_MEANT && !meant.contains(&near) {
            meant.push(near);
        }
    }
    let quoted: Vec<String> = meant.iter().map(|name| format!("`{name}`")).collect();
    let rest = match names().count() {
        _ if !meant.is_empty() => format!("did you mean {}?", quoted.join(" or ")),
        0 => "no target is known".into(),
        1..=MOST_LISTED => format!("known are {}", names().collect::<Vec<_>>().join(", ")),
        count => format!("{count} others are known"),
    };
    let detail = format!("no target has the name or the id `{}`: {rest}", harmless(called, LONGEST_SHOWN));
    if snapshot.whole {
        return Problem::not_found(detail);
    }
    let detail = format!("{detail}; but not every service has been read yet: `/health` tells how far it is");
    Problem::later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1), detail)
}

/// By id, or by a name that only one target has.
pub(in crate::status) fn find_target<'a>(
    snapshot: &'a Snapshot,
    id: &str,
) -> Result<&'a TargetRecord, Problem> {
    if let Some(place) = id.parse().ok().and_then(|id| place_of(snapshot, &id)) {
        return Ok(&snapshot.targets[place]);
    }
    let named: Vec<&TargetRecord> =
        snapshot.targets.iter().map(|target| &**target).filter(|target| target.name.as_str() == id).collect();
    match named.as_slice() {
        [one] => Ok(one),
        [] => {
            let of_name = snapshot.shared_names.iter().filter(|(_, name)| name.as_str() == id);
            let places = of_name.filter_map(|(target, _)| place_of(snapshot, target));
            let several: Vec<&TargetRecord> = places.map(|place| &*snapshot.targets[place]).collect();
            Err(if several.is_empty() { no_target(snapshot, id) } else { means_several(id, &several) })
        }
        several => Err(means_several(id, several)),
    }
}

/// That several targets have this name, and by what to ask for one of them.
fn means_several(called: &str, several: &[&TargetRecord]) -> Problem {
    let way_to = |it: &&TargetRecord| match it.name.as_str() {
        name if name == called || it.id.to_string() == name => it.id.to_string(),
        name => format!("`{name}` ({})", it.id),
    };
    let listed: Vec<String> = several.iter().take(MOST_LISTED).map(way_to).collect();
    let more = several.len().saturating_sub(listed.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Problem::bad_request(format!(
        "`{}` is the name of {}{more}: ask for one by what it is called here, or by its id, percent-encoded in a path",
        harmless(called, LONGEST_SHOWN),
        listed.join(" and of ")
    ))
}
