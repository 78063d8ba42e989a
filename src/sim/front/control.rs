//! The routes under `/_sim/`, for tests and for a curious person.

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Front;
use crate::sim::{
    call::{Scope, text, texts},
    fault::Fault,
    settings::WorldSettings,
    sts::Role,
    world::{Logged, World},
};

type Refusal = (StatusCode, String);

fn refuse(error: impl std::fmt::Display) -> Refusal {
    (StatusCode::BAD_REQUEST, format!("{error}\n"))
}

/// One thing is a list of one.
fn as_list(body: Value) -> Value {
    if body.is_array() { body } else { json!([body]) }
}

/// Orders a fault, or a list of them.
pub(super) async fn add_fault(
    State(front): State<Front>,
    Json(body): Json<Value>,
) -> Result<StatusCode, Refusal> {
    let faults: Vec<Fault> = serde_json::from_value(as_list(body)).map_err(refuse)?;
    front.with(|world, _| faults.into_iter().for_each(|fault| world.add_fault(fault)));
    Ok(StatusCode::NO_CONTENT)
}

/// Takes all orders back.
pub(super) async fn clear_faults(State(front): State<Front>) -> StatusCode {
    front.with(|world, _| world.clear_faults());
    StatusCode::NO_CONTENT
}

/// Where in the log to begin.
#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// The log of calls.
pub(super) async fn calls(State(front): State<Front>, Query(after): Query<After>) -> Json<Vec<Logged>> {
    Json(front.with(|world, _| world.calls_after(after.after).cloned().collect()))
}

/// What one index may hold.
const MOST_CHILDREN: usize = 1_000;

/// Pushes an image, or an index with its children.
pub(super) async fn push(
    State(front): State<Front>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    if body["repository"].as_str().is_none_or(str::is_empty) {
        return Err(refuse("a push needs a `repository`, and takes `tags` and `digest`"));
    }
    let or = |key: &str, default: &str| body[key].as_str().unwrap_or(default).to_owned();
    let settings = &front.shared.settings;
    let scope = Scope { account: or("account", &settings.account), region: or("region", &settings.region) };
    let tags: Vec<String> = texts(&body, "tags").map(str::to_owned).collect();
    let (repository, digest) = (text(&body, "repository"), body["digest"].as_str());
    let Some(children) = body["children"].as_u64() else {
        let digest = front.with(|world, now| world.push(now, &scope, repository, &tags, digest));
        return Ok(Json(json!({"digest": digest})));
    };
    let children = usize::try_from(children).ok().filter(|count| *count <= MOST_CHILDREN);
    let children = children.ok_or_else(|| refuse("an index has a thousand `children` at most"))?;
    let (digest, children) =
        front.with(|world, now| world.push_index(now, &scope, repository, &tags, children));
    Ok(Json(json!({"digest": digest, "children": children})))
}

/// Lets a role, or a list of them, be assumed, and from then on no other than those that were told.
pub(super) async fn add_roles(
    State(front): State<Front>,
    Json(body): Json<Value>,
) -> Result<StatusCode, Refusal> {
    let roles: Vec<Role> = serde_json::from_value(as_list(body)).map_err(refuse)?;
    front.with(|world, _| roles.into_iter().for_each(|role| world.add_role(role)));
    Ok(StatusCode::NO_CONTENT)
}

/// The whole world.
pub(super) async fn state(State(front): State<Front>) -> Json<Value> {
    Json(front.with(World::state))
}

/// Empties the world.
pub(super) async fn reset(State(front): State<Front>) -> StatusCode {
    front.with(|world, _| world.reset());
    StatusCode::NO_CONTENT
}

/// Turns the dials that the body names, and says how all of them stand.
pub(super) async fn settings(
    State(front): State<Front>,
    Json(body): Json<Value>,
) -> Result<Json<WorldSettings>, Refusal> {
    front.with(|world, _| {
        let mut merged = json!(world.settings());
        merge(&mut merged, &body);
        let settings: WorldSettings = serde_json::from_value(merged).map_err(refuse)?;
        world.set_settings(settings.clone());
        Ok(Json(settings))
    })
}

fn merge(into: &mut Value, from: &Value) {
    match from.as_object() {
        Some(fields) => fields.iter().for_each(|(name, value)| merge(&mut into[name], value)),
        None => *into = from.clone(),
    }
}
