//! Asking a daemon over HTTP: what `deploy`, `rollback`, `cancel`, `pause`, `resume`, `status` and `history` share.
//!
//! | file | does | |
//! |---|---|---|
//! | `reach` | where the daemon is, and who asks | reads files |
//! | `shapes` | what it answers, as far as commands read it | pure |
//! | `follow` | waits for the outcome of what was asked for, and tells how far it is | asks |
//! | `letters` | lists letters, and has them put back | asks |
//! | `summary` | what became of it, for the page of a run of GitHub Actions | writes a file |
//! | `checkout` | where the request comes from: git, and the CI system | calls git |

pub(super) mod checkout;
pub(super) mod follow;
pub(super) mod letters;
pub(super) mod reach;
pub(super) mod shapes;
pub(super) mod summary;

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, StatusCode, header, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Ended;

/// The daemon itself takes no longer than 15 s.
const SLOWEST: Duration = Duration::from_secs(20);
const SLOWEST_CONNECT: Duration = Duration::from_secs(5);

/// So often it is asked again what was refused because too much was asked.
const TRIES: u32 = 5;
/// Nobody is told to wait for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A daemon, and who asks it.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It was understood, and refused.
    #[error("{detail}")]
    Refused {
        /// Why, as HTTP says it.
        status: StatusCode,
        /// Why, in words.
        detail: String,
    },
    /// Nobody answered.
    #[error("{0:#}")]
    Unreachable(anyhow::Error),
}

impl Client {
    pub(super) fn new(base: String, token: Option<String>) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("lockkeeper/", env!("CARGO_PKG_VERSION")))
            // A token must not go where nobody said that it may.
            .redirect(redirect::Policy::none())
            .connect_timeout(SLOWEST_CONNECT)
            .timeout(SLOWEST)
            .build()
            .context("make an HTTP client")?;
        Ok(Self { http, base, token })
    }

    /// Where people see this.
    pub(super) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What is at this path.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// All items of a list, at most so many.
    pub(super) async fn list(&self, path: &str, most: usize) -> Result<Vec<Value>, Failure> {
        Ok(self.pages(path, most).await?.0)
    }

    /// All items of a list, at most so many, and what its last page says beside them.
    pub(super) async fn pages(&self, path: &str, most: usize) -> Result<(Vec<Value>, Value), Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        let mark = if path.contains('?') { '&' } else { '?' };
        loop {
            let limit = (most - items.len()).min(200);
            let next = cursor.as_deref().map(|it| format!("&cursor={}", encoded(it))).unwrap_or_default();
            let mut page = self.get(&format!("{path}{mark}limit={limit}{next}")).await?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() || items.len() >= most {
                return Ok((items, page));
            }
        }
    }

    /// Asks for a change.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        // Asked for twice, these are the same.
        let is_same = !["/deployments", "/rollback", "/replay"].iter().any(|end| path.ends_with(end));
        for _ in 1..TRIES {
            match self.ask_once(method.clone(), path, body).await {
                Err((Failure::Refused { status, .. }, wait))
                    if status == StatusCode::TOO_MANY_REQUESTS
                        || status == StatusCode::SERVICE_UNAVAILABLE
                            && (is_same || method == Method::GET) =>
                {
                    tokio::time::sleep(wait.unwrap_or(Duration::from_secs(1)).min(LONGEST_WAIT)).await;
                }
                answer => return answer.map_err(|(failure, _)| failure),
            }
        }
        self.ask_once(method, path, body).await.map_err(|(failure, _)| failure)
    }

    async fn ask_once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, (Failure, Option<Duration>)> {
        let mut request = self.http.request(method, self.page(path));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let lost = |error: reqwest::Error| {
            let what = format!("ask {}", self.base);
            (Failure::Unreachable(anyhow::Error::new(error.without_url()).context(what)), None)
        };
        let answer = request.send().await.map_err(lost)?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        let text = answer.text().await.map_err(lost)?;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(said);
        }
        let detail = said["detail"].as_str().map(str::to_owned);
        let detail = detail.unwrap_or_else(|| format!("{} answered HTTP {status}", self.base));
        Err((Failure::Refused { status, detail }, wait))
    }
}

impl Failure {
    /// How a command ends because of it.
    pub(super) fn ended(self) -> Ended {
        match &self {
            Self::Refused { status, detail } => match *status {
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    Ended::Misused(detail.clone())
                }
                _ => Ended::Failed(self.into()),
            },
            Self::Unreachable(_) => Ended::Failed(self.into()),
        }
    }
}

/// What was answered, as far as a command reads it.
pub(super) fn read<T: DeserializeOwned>(answer: &Value) -> anyhow::Result<T> {
    serde_json::from_value(answer.clone()).context("what was answered cannot be read: is it another version?")
}

/// As a part of a path or a query.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;

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

fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_path_cannot_leave_it() {
        assert_eq!(encoded("a/b?c&d e\u{e9}"), "a%2Fb%3Fc%26d%20e%C3%A9");
    }

    #[test]
    fn a_command_that_was_refused_for_its_words_or_its_token_was_used_wrongly() {
        for (status, is_misused) in
            [(400, true), (401, true), (403, true), (404, false), (409, false), (503, false)]
        {
            let status = StatusCode::from_u16(status).expect("a status");
            let ended = Failure::Refused { status, detail: "no".into() }.ended();
            assert_eq!(matches!(ended, Ended::Misused(_)), is_misused, "{status}");
        }
    }
}
