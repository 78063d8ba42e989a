//! What may be asked for. Everything is put on the queue as an event of ours, and is answered before it is done: what
//! becomes of it is told where deployments are, and on the stream.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tracing::info;

use super::{
    asked::{Accepted, DeployBody, ReasonBody, RollbackAnswer, RollbackBody},
    body::Body,
    openapi::ChangeErrors,
    shown::find_target,
};
use crate::{
    domain::{
        AccountId, Ask, Decision, DecisionVerb, DeployRequest, DeploymentId, EventId, ImageReference, Region,
        Subject, TargetId, Wanted, WayBack, harmless, is_repository, is_tag, kept_of_reason,
    },
    status::{Snapshot, StatusState, access::Operator, desk::Refusal, problem::Problem},
};

/// No reason is longer.
const LONGEST_TEXT_CHARS: usize = 1_000;

/// Whoever could not be reached may be reachable then.
const AGAIN: Duration = Duration::from_secs(5);

/// Asks for a deployment.
#[utoipa::path(post, path = "/api/v1/deployments", tag = "deployments", request_body = DeployBody,
    security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted,
        headers(("Location", description = "Where the deployment that carries it is found"))), ChangeErrors))]
pub(super) async fn deploy(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Body(body): Body<DeployBody>,
) -> Result<Response, Problem> {
    let snapshot = state.latest();
    let target = find_target(&snapshot, &body.target)?.id.clone();
    let request = DeployRequest {
        service: target.to_string().into(),
        wanted: wanted(&body)?,
        force: body.force || (body.refresh && has_content(&body)),
        reason: note("reason", body.reason)?,
        requested_by: Some(by.clone()),
        ..DeployRequest::default()
    };
    let metadata = body.metadata.map(|it| serde_json::to_value(it).expect("it has text keys only"));
    let event_id = post(&state, &snapshot, &by, &Ask::Deploy(request, metadata)).await?;
    let location = format!("/api/v1/deployments?event={event_id}");
    Ok(accepted(event_id, Some(target), None, &location))
}

/// Lets a deployment start that waits for an approval.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/approve", tag = "deployments", request_body = ReasonBody,
    params(("id" = String, Path, description = "The deployment's id")), security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted), ChangeErrors))]
pub(super) async fn approve(
    State(state): State<StatusState>,
    _: Operator,
    Path(id): Path<String>,
    Body(_): Body<ReasonBody>,
) -> Result<Response, Problem> {
    Err(awaits_no_approval(&state, &id))
}

/// Gives up a deployment that waits for an approval.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/reject", tag = "deployments", request_body = ReasonBody,
    params(("id" = String, Path, description = "The deployment's id")), security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted), ChangeErrors))]
pub(super) async fn reject(
    State(state): State<StatusState>,
    _: Operator,
    Path(id): Path<String>,
    Body(_): Body<ReasonBody>,
) -> Result<Response, Problem> {
    Err(awaits_no_approval(&state, &id))
}

/// Gives up a deployment that is waiting or under way.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/cancel", tag = "deployments", request_body = ReasonBody,
    params(("id" = String, Path, description = "The deployment's id")), security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted), ChangeErrors))]
pub(super) async fn cancel(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
) -> Result<Response, Problem> {
    let snapshot = state.latest();
    let record = snapshot.deployment(&id.as_str().into());
    let record = record.ok_or_else(|| no_deployment_to_cancel(&snapshot, &id))?;
    if let Some(outcome) = record.outcome {
        let detail = format!("the deployment `{}` has ended: {}", record.id, outcome.as_str());
        return Err(Problem::conflict(detail));
    }
    if let Some(cause) = record.goes_back_for() {
        let (id, cause) = (&record.id, cause.as_str());
        let detail = format!(
            "the deployment `{id}` goes back already, because it failed ({cause}): nothing is left to cancel"
        );
        return Err(Problem::conflict(detail));
    }
    let (id, target) = (record.id.clone(), record.target.clone());
    let decision = Decision::about_deployment(DecisionVerb::Cancel, record);
    let event_id = post(&state, &snapshot, &by, &decided(decision, &by, body.reason)?).await?;
    Ok(accepted(
        event_id,
        Some(target),
        Some(id.clone()),
        &format!("/api/v1/deployments/{}", encoded(id.as_str())),
    ))
}

/// Leaves a target alone until it is resumed.
#[utoipa::path(post, path = "/api/v1/targets/{id}/pause", tag = "targets", request_body = ReasonBody,
    params(("id" = String, Path, description = "The target's name, or its id percent-encoded")),
    security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted), ChangeErrors))]
pub(super) async fn pause(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
) -> Result<Response, Problem> {
    decide_target(&state, &by, &id, DecisionVerb::Pause, body).await
}

/// Deploys a target again that was paused, or held after a rollback.
#[utoipa::path(post, path = "/api/v1/targets/{id}/resume", tag = "targets", request_body = ReasonBody,
    params(("id" = String, Path, description = "The target's name, or its id percent-encoded")),
    security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted), ChangeErrors))]
pub(super) async fn resume(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
) -> Result<Response, Problem> {
    decide_target(&state, &by, &id, DecisionVerb::Resume, body).await
}

/// Leaves all targets alone until they are resumed.
#[utoipa::path(post, path = "/api/v1/pause", tag = "targets", request_body = ReasonBody, security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted), ChangeErrors))]
pub(super) async fn pause_all(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Body(body): Body<ReasonBody>,
) -> Result<Response, Problem> {
    decide_all(&state, &by, DecisionVerb::Pause, body).await
}

/// Deploys all targets again that were paused, or held after a rollback.
#[utoipa::path(post, path = "/api/v1/resume", tag = "targets", request_body = ReasonBody, security(("token" = [])),
    responses((status = 202, description = "It is on the queue", body = Accepted), ChangeErrors))]
pub(super) async fn resume_all(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Body(body): Body<ReasonBody>,
) -> Result<Response, Problem> {
    decide_all(&state, &by, DecisionVerb::Resume, body).await
}

/// Takes a target back to what ran before.
#[utoipa::path(post, path = "/api/v1/targets/{id}/rollback", tag = "targets", request_body = RollbackBody,
    params(("id" = String, Path, description = "The target's name, or its id percent-encoded")),
    security(("token" = [])),
    responses((status = 200, description = "What would be done", body = RollbackAnswer),
        (status = 202, description = "It is on the queue", body = RollbackAnswer), ChangeErrors))]
pub(super) async fn rollback(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Path(id): Path<String>,
    Body(body): Body<RollbackBody>,
) -> Result<Response, Problem> {
    let snapshot = state.latest();
    let found = find_target(&snapshot, &id)?;
    let (target, before) = (found.id.clone(), (found.name.clone(), found.lane.hold.clone()));
    is_taken(&snapshot, &target)?;
    let (to, reason) = (version("to", body.to)?, note("reason", body.reason)?);
    let found = state.desk.get()?.way_back(target, to).await?;
    let way = WayBack { hold: body.hold, by: Some(by.clone()), reason, ..found };
    if body.dry_run {
        return Ok(Json(RollbackAnswer::new(way, before, None)).into_response());
    }
    let event_id = post(&state, &snapshot, &by, &Ask::Rollback(way.clone())).await?;
    let location = format!("/api/v1/deployments?event={event_id}");
    let location = HeaderValue::from_str(&location).expect("an id has no control characters");
    let answer = Json(RollbackAnswer::new(way, before, Some(event_id)));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], answer).into_response())
}

async fn decide_target(
    state: &StatusState,
    by: &Arc<str>,
    id: &str,
    verb: DecisionVerb,
    body: ReasonBody,
) -> Result<Response, Problem> {
    let snapshot = state.latest();
    let target = find_target(&snapshot, id)?.id.clone();
    let kept_reason = body.reason.as_deref().and_then(|reason| kept_of_reason(by, reason));
    let ask = decided(Decision::about_target(verb, &target), by, body.reason)?;
    let event_id = post(state, &snapshot, by, &ask).await?;
    let location = format!("/api/v1/targets/{}", encoded(&target.to_string()));
    Ok(answered(Accepted { event_id, target: Some(target), deployment: None, kept_reason }, &location))
}

async fn decide_all(
    state: &StatusState,
    by: &Arc<str>,
    verb: DecisionVerb,
    body: ReasonBody,
) -> Result<Response, Problem> {
    let all = Decision { verb, about: Subject::All, by: None, reason: None };
    let kept_reason = body.reason.as_deref().and_then(|reason| kept_of_reason(by, reason));
    let event_id = post(state, &state.latest(), by, &decided(all, by, body.reason)?).await?;
    Ok(answered(Accepted { event_id, target: None, deployment: None, kept_reason }, "/api/v1/targets"))
}

fn decided(decision: Decision, by: &Arc<str>, reason: Option<String>) -> Result<Ask, Problem> {
    Ok(Ask::Decide(Decision { by: Some(by.clone()), reason: note("reason", reason)?, ..decision }))
}

/// Puts it on the queue, and says by which event.
async fn post(state: &StatusState, snapshot: &Snapshot, by: &str, ask: &Ask) -> Result<EventId, Problem> {
    Ok(put(state, snapshot, by, ask).await?)
}

/// Puts it on the queue, and says under which id.
pub(in crate::status) async fn put(
    state: &StatusState,
    snapshot: &Snapshot,
    by: &str,
    ask: &Ask,
) -> Result<EventId, Refusal> {
    match ask {
        Ask::Deploy(request, _) => {
            request.service.parse().map_or(Ok(()), |target| is_taken(snapshot, &target))?;
        }
        Ask::Rollback(way) => is_taken(snapshot, &way.target)?,
        Ask::Decide(_) => {}
    }
    let desk = state.desk.get()?;
    let home: Option<&(AccountId, Region)> = snapshot.home.as_ref();
    let starting =
        || Refusal::Unavailable("the process has just begun, and does not know its account yet".into());
    let (account, region) = home.ok_or_else(starting)?;
    let id = new_event_id();
    let event = ask.event(&id, account, region);
    desk.post(&event).await?;
    let (kind, detail) = (event["detail-type"].as_str(), event["detail"].to_string());
    info!(event_id = %id, by, kind, detail, "asked for over HTTP, and put on the queue");
    Ok(id)
}

/// Whether requests for this target are carried out: of what is put on the queue for another one nothing would come.
fn is_taken(snapshot: &Snapshot, target: &TargetId) -> Result<(), Refusal> {
    let refused = snapshot.targets.iter().find(|it| it.id == *target);
    if let Some((name, why)) = refused.and_then(|it| Some((&it.name, it.refused.as_ref()?))) {
        return Err(Refusal::Conflict(format!("{name} is not deployed: {why}")));
    }
    match snapshot.settings.get(target) {
        Some(settings) if !settings.triggers.requests => {
            Err(Refusal::Conflict(format!("requests are switched off for {}", settings.name)))
        }
        Some(_) | None => Ok(()),
    }
}

/// As EventBridge's look: a random UUID.
fn new_event_id() -> EventId {
    let random = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{random:032x}");
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-").into()
}

fn accepted(
    event_id: EventId,
    target: Option<TargetId>,
    deployment: Option<DeploymentId>,
    location: &str,
) -> Response {
    answered(Accepted { event_id, target, deployment, kept_reason: None }, location)
}

fn answered(answer: Accepted, location: &str) -> Response {
    let location = HeaderValue::from_str(location).expect("what could not stand in it is percent-encoded");
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(answer)).into_response()
}

fn awaits_no_approval(state: &StatusState, id: &str) -> Problem {
    let snapshot = state.latest();
    match snapshot.deployment(&id.into()) {
        None => super::no_deployment(&snapshot, id),
        Some(record) => {
            Problem::conflict(format!("the deployment `{}` does not wait for an approval", record.id))
        }
    }
}

/// That there is no such deployment; where the target was named instead of it, which one may be meant.
fn no_deployment_to_cancel(snapshot: &Snapshot, id: &str) -> Problem {
    let Ok(target) = find_target(snapshot, id) else { return super::no_deployment(snapshot, id) };
    let ids = [(&target.lane.deployment, "is under way there"), (&target.lane.next, "waits there")];
    let ids = ids.into_iter().filter_map(|(id, how)| Some(format!("`{}` {how}", id.as_ref()?)));
    let there = ids.collect::<Vec<_>>().join(", and ");
    let there = if there.is_empty() { "nothing is under way there, and nothing waits".into() } else { there };
    Problem::not_found(format!(
        "{} is a target, and a deployment is cancelled by its id: {there}",
        target.name
    ))
}

fn has_content(body: &DeployBody) -> bool {
    body.image.is_some() || body.tag.is_some() || body.definition.is_some()
}

/// The one content that is wanted.
fn wanted(body: &DeployBody) -> Result<Wanted, Problem> {
    let wrong = |name: &str, right: &str| Problem::bad_request(format!("`{name}` must be {right}"));
    match (&body.image, &body.tag, &body.definition) {
        (None, None, None) => Ok(Wanted::Refresh),
        (Some(image), None, None) => {
            let right = "an image: [registry/]repository[:tag][@digest]";
            let image = image.trim().parse::<ImageReference>().map_err(|_| wrong("image", right))?;
            if !is_repository(&image.repository) {
                let right =
                    "an image whose repository has lowercase letters, digits, `.`, `_`, `-` and `/` alone";
                return Err(wrong("image", right));
            }
            Ok(Wanted::Image(image))
        }
        (None, Some(tag), None) if is_tag(tag.trim()) => Ok(Wanted::Tag(tag.trim().into())),
        (None, Some(_), None) => {
            let right = "a tag: up to 128 letters, digits, `_`, `.` and `-`, not led by `.` or `-`";
            Err(wrong("tag", right))
        }
        (None, None, Some(definition)) => {
            let right = "a task definition: family, family:revision, or an ARN";
            definition.trim().parse().map(Wanted::Definition).map_err(|_| wrong("definition", right))
        }
        _ => Err(Problem::bad_request("only one of `image`, `tag` and `definition` can be deployed")),
    }
}

/// What is gone back to, where that is named: an empty name is not the last good one.
fn version(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if text.trim().is_empty() {
        let right = "a revision, a tag or a digest; without it, the last good one is meant";
        return Err(Problem::bad_request(format!("`{name}` must be {right}")));
    }
    Ok(Some(text.trim().to_owned()))
}

/// A text for people; an empty one says nothing.
fn note(name: &str, text: Option<String>) -> Result<Option<Arc<str>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().count() > LONGEST_TEXT_CHARS {
        let detail = format!("`{name}` is longer than {LONGEST_TEXT_CHARS} characters");
        return Err(Problem::bad_request(detail));
    }
    let text = text.trim();
    Ok((!text.is_empty()).then(|| harmless(text, LONGEST_TEXT_CHARS).into()))
}

/// As a part of a path.
fn encoded(text: &str) -> String {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if is_kept(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Wrong(why) => Self::bad_request(why),
            Refusal::Conflict(why) => Self::conflict(why),
            Refusal::Unavailable(why) => Self::later(StatusCode::SERVICE_UNAVAILABLE, AGAIN, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_a_random_uuid() {
        let [one, other] = [new_event_id(), new_event_id()];
        assert_ne!(one, other);
        let parts: Vec<usize> = one.as_str().split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&one.as_str()[14..15], "4");
        assert!("89ab".contains(&one.as_str()[19..20]), "{one}");
    }

    #[test]
    fn an_id_of_a_target_is_one_part_of_a_path() {
        assert_eq!(encoded("1/eu-west-1/shop/a_b.c~\u{e9}"), "1%2Feu-west-1%2Fshop%2Fa_b.c~%C3%A9");
    }
}
