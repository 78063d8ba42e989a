//! Posts messages in Slack. A bot keeps one message per deployment, and per rollout that is not ours, and updates it; where that
//! message is not known any more, as after a restart, it posts another one.

use std::collections::VecDeque;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::blocks;
use crate::{
    domain::{Outcome, Secret, SlackRules, SlackWay},
    report::{
        channel::Undelivered,
        http::{Answer, Http},
        notice::{Home, Notice},
    },
};

/// Of so many deployments and rollouts the message is known.
const MOST_KNOWN: usize = 1_000;

/// Slack.
#[derive(Debug)]
pub struct Slack {
    rules: SlackRules,
    home: Home,
    http: Http,
    /// By what their notices have in common.
    posted: VecDeque<(String, Posted)>,
}

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Posted {
    channel: String,
    ts: String,
}

/// What Slack's API said.
enum Said {
    Done(Value),
    /// The message cannot be updated any more.
    Gone,
}

impl Slack {
    /// By these rules.
    pub fn new(rules: SlackRules, home: Home, http: Http) -> Self {
        Self { rules, home, http, posted: VecDeque::new() }
    }

    /// Whether it keeps one message per deployment.
    pub(in crate::report) fn is_bot(&self) -> bool {
        matches!(self.rules.way, SlackWay::Bot { .. })
    }

    /// Posts it, or updates the message of its deployment or rollout.
    pub(in crate::report) async fn send(&mut self, notice: &Notice) -> Result<(), Undelivered> {
        let message = blocks::message(notice, &self.home, self.rules.buttons.is_some());
        let mention = self.rules.mention.clone().filter(|_| is_alarming(notice));
        match self.rules.way.clone() {
            SlackWay::Webhook(url) => {
                let message = match mention {
                    Some(mention) => blocks::mentioning(message, &mention),
                    None => message,
                };
                let headers = headers(None)?;
                self.http.post(url.expose(), headers, message.to_string()).await?.verdict()
            }
            SlackWay::Bot { token, channel, api_url } => {
                let api = Api { http: self.http.clone(), token, url: api_url.to_string() };
                self.put(&api, &channel, notice, message).await?;
                let Some(mention) = mention else { return Ok(()) };
                let mut message = blocks::mention(notice, &self.home, &mention);
                message["channel"] = json!(channel);
                api.call("chat.postMessage", &message).await.map(drop)
            }
        }
    }

    async fn put(
        &mut self,
        api: &Api,
        channel: &str,
        notice: &Notice,
        mut message: Value,
    ) -> Result<(), Undelivered> {
        if let Some(posted) = notice.thread().and_then(|thread| self.find(thread)) {
            message["channel"] = json!(posted.channel);
            message["ts"] = json!(posted.ts);
            if let Said::Done(_) = api.call("chat.update", &message).await? {
                return Ok(());
            }
        }
        message["channel"] = json!(channel);
        message["unfurl_links"] = json!(false);
        message["unfurl_media"] = json!(false);
        if let Some(message) = message.as_object_mut() {
            message.remove("ts");
        }
        if let (Said::Done(answer), Some(thread)) =
            (api.call("chat.postMessage", &message).await?, notice.thread())
        {
            self.remember(thread, &answer);
        }
        Ok(())
    }

    fn find(&self, thread: &str) -> Option<Posted> {
        self.posted.iter().rev().find(|(it, _)| it == thread).map(|(_, posted)| posted.clone())
    }

    fn remember(&mut self, thread: &str, answer: &Value) {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let Some((channel, ts)) = text("channel").zip(text("ts")) else { return };
        self.posted.retain(|(it, _)| it != thread);
        self.posted.push_back((thread.to_owned(), Posted { channel, ts }));
        if self.posted.len() > MOST_KNOWN {
            self.posted.pop_front();
        }
    }
}

/// Whether somebody is mentioned.
fn is_alarming(notice: &Notice) -> bool {
    notice.outcome().is_some_and(Outcome::is_failure)
}

struct Api {
    http: Http,
    token: Secret,
    url: String,
}

impl Api {
    async fn call(&self, method: &str, message: &Value) -> Result<Said, Undelivered> {
        let url = format!("{}/{method}", self.url);
        let headers = headers(Some(&self.token))?;
        let answer = self.http.post(&url, headers, message.to_string()).await?;
        answer.verdict()?;
        said(method, &answer)
    }
}

/// The API answers 200 also where it refuses.
fn said(method: &str, answer: &Answer) -> Result<Said, Undelivered> {
    let body: Value = serde_json::from_slice(&answer.body)
        .map_err(|_| Undelivered::later(format!("{method}: the answer is not JSON")))?;
    if body["ok"] == true {
        return Ok(Said::Done(body));
    }
    let error = body["error"].as_str().unwrap_or("no reason given");
    let details: Vec<&str> = body["response_metadata"]["messages"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).take(3).collect())
        .unwrap_or_default();
    let why = format!("{method}: {error} {}", details.join("; "));
    let why = why.trim_end().to_owned();
    match error {
        "message_not_found" | "cant_update_message" | "edit_window_closed" if method == "chat.update" => {
            Ok(Said::Gone)
        }
        "ratelimited" | "rate_limited" => Err(Undelivered::Later { after: answer.retry_after, why }),
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => Err(Undelivered::later(why)),
        _ => Err(Undelivered::never(why)),
    }
}

fn headers(token: Option<&Secret>) -> Result<HeaderMap, Undelivered> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_| Undelivered::never("the token cannot stand in a header"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}
