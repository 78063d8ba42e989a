//! Sending JSON over HTTP: one client for all channels, made when the first of them has something to say.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use reqwest::{
    Body, Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};

use super::channel::Undelivered;

/// How long one attempt may take.
const SLOWEST: Duration = Duration::from_secs(10);
const SLOWEST_CONNECT: Duration = Duration::from_secs(3);
/// Nobody who says what was wrong needs more.
const LARGEST_ANSWER: usize = 64 * 1024;

/// An HTTP client. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Http(Arc<OnceLock<Client>>);

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Http {
    /// Posts a body. Redirects are not followed: they would carry it to where nobody said that it may go.
    pub(super) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: impl Into<Body>,
    ) -> Result<Answer, Undelivered> {
        let request = self.client()?.post(url).headers(headers).body(body);
        let answer = request.send().await.map_err(lost)?;
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        Ok(Answer { status, retry_after, body: read(answer).await })
    }

    /// Answers who pressed a button in Slack, where the button is, and for them alone.
    ///
    /// # Errors
    /// If Slack does not take it.
    pub async fn reply(&self, url: &str, text: &str) -> Result<(), Undelivered> {
        let body =
            serde_json::json!({ "response_type": "ephemeral", "replace_original": false, "text": text });
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        self.post(url, headers, body.to_string()).await?.verdict()
    }

    fn client(&self) -> Result<&Client, Undelivered> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        // The rest of the process has its own, and does not ask for this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let built = Client::builder()
            .user_agent(concat!("lockkeeper/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(SLOWEST_CONNECT)
            .timeout(SLOWEST)
            .build();
        let client = built.map_err(|error| Undelivered::never(format!("no HTTP client: {error}")))?;
        Ok(self.0.get_or_init(|| client))
    }
}

impl Answer {
    /// What follows of the status alone, with what was said about it.
    pub(super) fn verdict(&self) -> Result<(), Undelivered> {
        let body = String::from_utf8_lossy(&self.body);
        let said: String =
            body.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
        let why = if said.is_empty() { self.status.to_string() } else { format!("{}: {said}", self.status) };
        match self.status {
            status if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(Undelivered::Later { after: self.retry_after, why })
            }
            status if status.is_server_error() => Err(Undelivered::Later { after: self.retry_after, why }),
            _ => Err(Undelivered::Never { why }),
        }
    }
}

/// The time, in seconds since 1970, as signatures have it.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The URL is left out: it may be a secret.
fn lost(error: reqwest::Error) -> Undelivered {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    if error.is_builder() { Undelivered::never(why) } else { Undelivered::later(why) }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn read(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            break;
        }
    }
    body
}
