//! Waits for the outcome of what was asked for, and tells how far it is.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Client, Failure, encoded, read,
    shapes::{Accepted, Deployment, Target, lasting},
};
use crate::{cli::terminal::harmless, domain::Outcome};

/// How often it is asked: at first, while much may happen, and later.
const FIRST_PERIOD: Duration = Duration::from_millis(500);
const PERIOD: Duration = Duration::from_secs(2);
const AT_FIRST: Duration = Duration::from_secs(15);

/// What is received at once has its deployment by then.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A deployment is there by then, as a rule. Until then nothing is said of there being none.
const SOON: Duration = Duration::from_mins(1);

/// After so long without one there will be none: the request was refused, or asks nothing.
const NEVER: Duration = Duration::from_mins(3);

/// One that was seen and is gone may come back: with its message, where the process that had it ended.
const GONE: Duration = Duration::from_mins(10);

/// So often it must be found gone before anything is said of that.
const SURELY: u32 = 2;

/// For so long the daemon may be away: it may be just being replaced.
const LONGEST_SILENCE: Duration = Duration::from_mins(2);

/// How a wait is to go.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::cli) struct Waiting {
    /// Follow it to its outcome, and end by that
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// Wait no longer than this: `30m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration, requires = "wait")]
    timeout: Duration,
}

/// What became of it.
pub(in crate::cli) struct Followed {
    pub(in crate::cli) deployment: Deployment,
    /// As the API tells it.
    pub(in crate::cli) answer: Value,
}

impl Followed {
    /// Whether it ended as it was meant to.
    pub(in crate::cli) fn is_well(&self) -> bool {
        let outcome = self.deployment.outcome.as_deref();
        Outcome::ALL.into_iter().any(|it| match it {
            Outcome::Succeeded | Outcome::AlreadyRunning | Outcome::Superseded | Outcome::DryRun => {
                outcome == Some(it.as_str())
            }
            Outcome::Failed | Outcome::RolledBack | Outcome::Cancelled => false,
        })
    }

    /// What people read of it.
    pub(in crate::cli) fn in_words(&self) -> String {
        let it = &self.deployment;
        let outcome = it.outcome.as_deref().unwrap_or(&it.stage).replace('_', " ");
        let cause =
            it.cause.as_deref().map(|cause| format!(" ({})", cause.replace('_', " "))).unwrap_or_default();
        let took = it.seconds().map(|seconds| format!(" after {}", lasting(seconds))).unwrap_or_default();
        let reason = it.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        harmless(&format!("{outcome}{cause}{took}{reason}"))
    }
}

/// Why its outcome is not known, and how far it was when it was last seen.
#[derive(Debug)]
pub(in crate::cli) struct Unfollowed {
    pub(in crate::cli) why: anyhow::Error,
    pub(in crate::cli) last: Option<Deployment>,
}

/// Follows the deployment that carries this event to its outcome.
///
/// # Errors
/// If it cannot be asked any more, or that takes too long.
pub(in crate::cli) async fn follow(
    client: &Client,
    asked: &Accepted,
    waiting: Waiting,
    for_people: bool,
) -> Result<Followed, Unfollowed> {
    let mut last = None;
    let followed = watch(client, asked, waiting, for_people, &mut last).await;
    followed.map_err(|why| Unfollowed { why, last })
}

async fn watch(
    client: &Client,
    asked: &Accepted,
    waiting: Waiting,
    for_people: bool,
    last: &mut Option<Deployment>,
) -> anyhow::Result<Followed> {
    let event = &asked.event_id;
    let path = format!("/api/v1/deployments?event={}", encoded(event));
    let began = Instant::now();
    let (mut refused, mut absence) = (None, Absence::default());
    let (mut heard, mut progress) = (Instant::now(), Progress::new(for_people));
    loop {
        // It is found where the target was refused only afterwards: so the list is asked for last.
        if last.is_none() && began.elapsed() > AT_ONCE {
            refused = refusal(client, asked).await;
        }
        match client.list(&path, 200).await {
            Ok(found) => {
                heard = Instant::now();
                let newest = found.into_iter().next();
                if let Some(answer) = newest {
                    let deployment: Deployment = read(&answer)?;
                    progress.show(&of_stage(&deployment));
                    if deployment.outcome.is_some() {
                        progress.end();
                        return Ok(Followed { deployment, answer });
                    }
                    absence = Absence::default();
                    *last = Some(deployment);
                } else if let Some(seen) = last {
                    if let Some(why) = absence.end(client, asked, seen).await {
                        progress.end();
                        anyhow::bail!(why);
                    }
                } else if let Some(why) = refused.take() {
                    progress.end();
                    anyhow::bail!("nothing comes of event {event}: the target is not deployed: {why}");
                } else if began.elapsed() > NEVER {
                    progress.end();
                    anyhow::bail!(
                        "no deployment carries event {event}: the daemon's log says what became of it"
                    );
                } else if began.elapsed() > SOON {
                    progress.show("no deployment carries it yet");
                }
            }
            Err(failure @ Failure::Refused { .. }) if !is_passing(&failure) => return Err(failure.into()),
            Err(failure) if heard.elapsed() > LONGEST_SILENCE => return Err(failure.into()),
            Err(_) => progress.show("the daemon does not answer; asking again"),
        }
        if began.elapsed() > waiting.timeout {
            progress.end();
            anyhow::bail!("no outcome within {}; event {event}", lasting(waiting.timeout.as_secs()));
        }
        tokio::time::sleep(if began.elapsed() < AT_FIRST { FIRST_PERIOD } else { PERIOD }).await;
    }
}

/// How often, and for how long, a deployment that was seen has been gone.
#[derive(Debug, Default)]
struct Absence {
    since: Option<Instant>,
    times: u32,
}

impl Absence {
    /// Why nothing comes of what was asked for any more, now that no deployment carries it, if that is so.
    async fn end(&mut self, client: &Client, asked: &Accepted, seen: &Deployment) -> Option<String> {
        let found = client.get(&format!("/api/v1/deployments/{}", encoded(&seen.id))).await;
        // A process on standby, which may answer in between, knows of none, and says so otherwise.
        if !matches!(found, Err(Failure::Refused { status, .. }) if status.as_u16() == 404) {
            return None;
        }
        self.times += 1;
        let since = self.since.get_or_insert_with(Instant::now).elapsed();
        if self.times < SURELY {
            return None;
        }
        let (id, event) = (&seen.id, &asked.event_id);
        let refused = refusal(client, asked).await;
        match refused {
            Some(why) => Some(format!(
                "nothing comes of event {event} any more: {id} is gone, and the target is not deployed: {why}"
            )),
            None if since > GONE => Some(format!(
                "{id} is gone, and nothing carries event {event} any more: the daemon's log says why"
            )),
            None => None,
        }
    }
}

/// Why the target is not deployed, if it is not; also that it is none any more.
async fn refusal(client: &Client, asked: &Accepted) -> Option<String> {
    let target = asked.target.as_deref()?;
    match client.get(&format!("/api/v1/targets/{}", encoded(target))).await {
        Ok(answer) => read::<Target>(&answer).ok()?.refused,
        // A daemon that has not read every service yet says so, with another status.
        Err(Failure::Refused { status, detail }) if status.as_u16() == 404 => Some(detail),
        Err(_) => None,
    }
}

/// Whether the same question may be answered later.
fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { status, .. } => status.is_server_error() || status.as_u16() == 429,
        Failure::Unreachable(_) => true,
    }
}

/// How far a deployment is.
fn of_stage(it: &Deployment) -> String {
    let reason = it.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let again = if it.attempts > 1 { format!(", attempt {}", it.attempts) } else { String::new() };
    harmless(&format!("{} {}{again}{reason}", it.id, it.stage.replace('_', " ")))
}

/// What is told while somebody waits: one line that changes on a terminal, and a line per change elsewhere.
struct Progress {
    shown: String,
    began: Instant,
    is_told: bool,
    on_terminal: bool,
}

impl Progress {
    fn new(for_people: bool) -> Self {
        let on_terminal = io::stderr().is_terminal();
        Self { shown: String::new(), began: Instant::now(), is_told: for_people || on_terminal, on_terminal }
    }

    fn show(&mut self, what: &str) {
        if !self.is_told {
            return;
        }
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{what} ({})", lasting(self.began.elapsed().as_secs()));
        } else if what != self.shown {
            let _ = writeln!(io::stderr(), "{what}");
        }
        what.clone_into(&mut self.shown);
    }

    fn end(&self) {
        if self.on_terminal && self.is_told {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::settings::duration_of(text).map_err(|_| "write how long, as 90s, 30m or 1h".into())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{
        Json, Router,
        http::{StatusCode, Uri},
        response::{IntoResponse as _, Response},
    };
    use serde_json::json;

    use super::*;

    const WAITING: Waiting = Waiting { wait: true, timeout: Duration::from_secs(2) };

    /// A daemon that shows the deployment once, and then answers for its target so, and for it by its id with this status.
    async fn vanishing(target: Result<Option<&'static str>, StatusCode>, by_id: StatusCode) -> Client {
        let shown = Arc::new(Mutex::new(false));
        let answer = move |uri: Uri| {
            let shown = Arc::clone(&shown);
            async move {
                let waits = json!({
                    "id": "d-1", "target": "own/own/shop/api", "changes": [], "stage": "waiting", "attempts": 0,
                });
                match uri.path() {
                    "/api/v1/deployments" => {
                        let was_shown = std::mem::replace(&mut *shown.lock().expect("no panic"), true);
                        let items: Vec<Value> = if was_shown { vec![] } else { vec![waits] };
                        Json(json!({"items": items})).into_response()
                    }
                    "/api/v1/targets/api" => match target {
                        Ok(refused) => Json(json!({
                            "id": "own/own/shop/api", "name": "api", "running": null, "refused": refused,
                            "lane": {"state": "idle", "deployment": null, "waiting": 0},
                        }))
                        .into_response(),
                        Err(status) => no(status),
                    },
                    _ => no(by_id),
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Client::new(base, None).expect("a client")
    }

    fn no(status: StatusCode) -> Response {
        (status, Json(json!({"detail": "no target is called so"}))).into_response()
    }

    async fn why(client: &Client) -> String {
        let asked = Accepted { event_id: "e-1".into(), target: Some("api".into()) };
        let unfollowed = follow(client, &asked, WAITING, false).await.err().expect("no outcome");
        assert_eq!(unfollowed.last.expect("it was seen").id, "d-1");
        unfollowed.why.to_string()
    }

    #[tokio::test]
    async fn one_that_was_seen_and_dropped_as_its_target_was_switched_off_is_waited_for_no_longer() {
        let why = why(&vanishing(Ok(Some("switched off")), StatusCode::NOT_FOUND).await).await;
        assert!(why.ends_with("d-1 is gone, and the target is not deployed: switched off"), "{why}");
    }

    #[tokio::test]
    async fn one_whose_target_is_none_any_more_is_waited_for_no_longer() {
        let why = why(&vanishing(Err(StatusCode::NOT_FOUND), StatusCode::NOT_FOUND).await).await;
        assert!(why.ends_with("the target is not deployed: no target is called so"), "{why}");
    }

    #[tokio::test]
    async fn one_that_is_gone_for_a_while_or_that_a_standby_does_not_know_is_waited_for() {
        for (target, by_id) in [
            (Ok(None), StatusCode::NOT_FOUND),
            (Ok(Some("off")), StatusCode::BAD_GATEWAY),
            (Err(StatusCode::SERVICE_UNAVAILABLE), StatusCode::NOT_FOUND),
        ] {
            let why = why(&vanishing(target, by_id).await).await;
            assert!(why.starts_with("no outcome within"), "{why}");
        }
    }
}
