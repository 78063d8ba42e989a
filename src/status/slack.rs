//! What is pressed in Slack. It is no path of the API: Slack has no token, but signs what it sends; and who pressed is looked up
//! among the operators. What is asked for then goes the same way as a request over the API.
//!
//! Slack waits three seconds for an answer. So it is answered as soon as it is certain who asks for what, and how it went is
//! told where the button is, to who pressed it.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use tracing::{info, warn};

use super::{
    Refusal, StatusState, api,
    desk::{Replay, Replayed},
    problem::Problem,
};
use crate::{
    domain::{Ask, SlackButtons, WayBack},
    report::{
        Http,
        slack::action::{self, NotDone, Pressed, Verb},
    },
};

/// Slack sends the whole message along in which a button is, each sign of it percent-encoded.
pub(super) const LARGEST_BODY_BYTES: usize = 256 * 1024;

/// The path that Slack sends to.
pub const ACTIONS: &str = "/slack/actions";

/// What buttons in Slack need here.
#[derive(Clone, Debug)]
pub struct SlackDesk {
    rules: Arc<SlackButtons>,
    http: Http,
}

impl SlackDesk {
    /// By these rules.
    pub fn new(rules: SlackButtons) -> Self {
        Self { rules: Arc::new(rules), http: Http::default() }
    }
}

pub(super) fn routes() -> Router<StatusState> {
    Router::new().route(ACTIONS, post(pressed))
}

async fn pressed(
    State(state): State<StatusState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let Some(slack) = state.slack.clone() else { return Err(StatusCode::NOT_FOUND.into()) };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (_, wall) = state.clock.now();
    let now = u64::try_from(wall.as_millis() / 1_000).unwrap_or_default();
    let (stamp, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
    let asked = action::verify(&slack.rules.signing_secret, now, stamp, signature, &body)
        .and_then(|()| action::read(&body, &slack.rules));
    let pressed = asked.map_err(|not| {
        warn!(error = %not, "a button in Slack does nothing");
        Problem::from(not)
    })?;
    tokio::spawn(async move {
        let said = match done(&state, &pressed).await {
            Ok(said) => {
                info!(by = pressed.by, deployment_id = %pressed.deployment, "pressed in Slack: {said}");
                said
            }
            Err(refusal) => {
                warn!(by = pressed.by, deployment_id = %pressed.deployment, error = %refusal, "pressed in Slack in vain");
                format!("Not done: {refusal}")
            }
        };
        if let Some(url) = &pressed.response_url
            && slack.http.reply(url, &said).await.is_err()
        {
            warn!(by = pressed.by, "Slack does not take how it went");
        }
    });
    Ok(StatusCode::OK.into_response())
}

/// Does it, and says what.
async fn done(state: &StatusState, pressed: &Pressed) -> Result<String, Refusal> {
    match pressed.verb {
        Verb::Replay => replay(state, pressed).await,
        Verb::RollBack => roll_back(state, pressed).await,
    }
}

async fn replay(state: &StatusState, pressed: &Pressed) -> Result<String, Refusal> {
    let desk = state.desk.get()?;
    let letters = desk.letters().await?;
    let of_it =
        letters.letters.iter().filter(|it| it.deployment.as_deref() == Some(pressed.deployment.as_str()));
    let ids: Vec<String> = of_it.map(|it| it.id.clone()).collect();
    if ids.is_empty() {
        let why = format!("nothing of deployment {} is set aside any more", pressed.deployment);
        return Err(Refusal::Conflict(why));
    }
    let wanted = Replay { ids, by: pressed.by.as_str().into(), ..Replay::default() };
    let of = &pressed.deployment;
    Ok(match desk.replay(wanted).await? {
        Replayed::Done { selected, replayed, without_effect, .. } => {
            let in_vain = without_effect.first().map(|(_, why)| format!("; {why}")).unwrap_or_default();
            format!("{replayed} of {selected} messages of deployment {of} are put back{in_vain}")
        }
        Replayed::GoesOn => format!("what was set aside for deployment {of} is being put back"),
    })
}

/// Only from what that deployment brought: an old message must not undo what is newer.
async fn roll_back(state: &StatusState, pressed: &Pressed) -> Result<String, Refusal> {
    let found = state.desk.get()?.way_back(pressed.target.clone(), None).await?;
    let Some(brought) = &pressed.definition else {
        let why = format!("deployment {} brought nothing that could be put back", pressed.deployment);
        return Err(Refusal::Conflict(why));
    };
    if *brought != found.from {
        let why = format!("{} runs by now, which is not of deployment {}", found.from, pressed.deployment);
        return Err(Refusal::Conflict(why));
    }
    let (from, to) = (found.from.clone(), found.to.clone());
    let reason = Some(format!("deployment {} is not wanted", pressed.deployment).as_str().into());
    let way = WayBack { hold: true, by: Some(pressed.by.as_str().into()), reason, ..found };
    let id = api::put(state, &state.latest(), &pressed.by, &Ask::Rollback(way)).await?;
    Ok(format!(
        "{} is put back from {from} to {to} (event {id}), and held until it is resumed",
        pressed.target.service()
    ))
}

impl From<NotDone> for Problem {
    fn from(not: NotDone) -> Self {
        let status = match not {
            NotDone::Unverified(_) => StatusCode::UNAUTHORIZED,
            NotDone::Unreadable(_) => StatusCode::BAD_REQUEST,
            NotDone::Forbidden(_) => StatusCode::FORBIDDEN,
        };
        Self::new(status, not.to_string())
    }
}
