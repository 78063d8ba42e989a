//! Posts a notice, signed.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::signature::sign;
use crate::{
    domain::WebhookRules,
    report::{
        channel::Undelivered,
        http::{Http, unix_seconds},
        notice::{Home, Notice, payload::payload, words::say},
    },
};

/// One webhook.
#[derive(Debug)]
pub struct Webhook {
    rules: WebhookRules,
    home: Home,
    http: Http,
}

impl Webhook {
    /// One by these rules.
    pub fn new(rules: WebhookRules, home: Home, http: Http) -> Self {
        Self { rules, home, http }
    }

    /// Posts it, and says whether it was taken.
    pub(in crate::report) async fn send(&self, notice: &Notice) -> Result<(), Undelivered> {
        let body = payload(notice, &say(notice, &self.home), &self.home).to_string();
        let headers = self.headers(notice, unix_seconds(), &body);
        self.http.post(self.rules.url.expose(), headers, body).await?.verdict()
    }

    fn headers(&self, notice: &Notice, timestamp: u64, body: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("x-lockkeeper-id", &notice.id);
        put("x-lockkeeper-kind", &notice.kind());
        put("x-lockkeeper-timestamp", &timestamp.to_string());
        if let Some(secret) = &self.rules.secret {
            put("x-lockkeeper-signature", &sign(secret, timestamp, body));
        }
        headers
    }
}
