//! A double of whoever is told: it hears what is posted, and answers as it is told to. As Slack, it checks what Slack checks.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The token that the double takes.
pub(crate) const TOKEN: &str = "xoxb-planted-secret";

/// What was posted.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }
}

/// How the next request is answered, out of turn.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Status(StatusCode),
    /// 429, and when to come again, in seconds.
    Busy(u64),
    /// Slack's way to refuse.
    Error(&'static str),
    Hangs,
    /// Well, but so late.
    Slow(Duration),
}

#[derive(Clone, Default)]
pub(crate) struct Double(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    heard: Vec<Heard>,
    moods: VecDeque<Mood>,
    always: Option<Mood>,
    messages: Vec<Value>,
}

impl Double {
    /// Listens, and says where.
    pub(crate) async fn listen() -> (Self, String) {
        let double = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(answer).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (double, url)
    }

    fn inner<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next request is answered so; then the next.
    pub(crate) fn then(&self, mood: Mood) {
        self.inner(|it| it.moods.push_back(mood));
    }

    /// Every request is answered so.
    pub(crate) fn always(&self, mood: Option<Mood>) {
        self.inner(|it| it.always = mood);
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.inner(|it| it.heard.clone())
    }

    /// The messages that stand in the channel, as they are now.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.inner(|it| it.messages.clone())
    }

    /// Waits until so many requests were heard.
    pub(crate) async fn until(&self, count: usize) -> Vec<Heard> {
        let end = Instant::now() + Duration::from_secs(20);
        while self.inner(|it| it.heard.len()) < count {
            assert!(Instant::now() < end, "heard only {:?}", self.heard());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.heard()
    }
}

async fn answer(State(double): State<Double>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).expect("text");
    let path = uri.to_string();
    let heard =
        Heard { path: path.clone(), headers: headers.clone(), body: body.clone(), at: Instant::now() };
    let mood = double.inner(|it| {
        it.heard.push(heard);
        it.moods.pop_front().or_else(|| it.always.clone())
    });
    match mood {
        Some(Mood::Status(status)) => (status, "said so").into_response(),
        Some(Mood::Busy(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Some(Mood::Error(error)) => json_of(&json!({ "ok": false, "error": error })),
        Some(Mood::Slow(late)) => {
            tokio::time::sleep(late).await;
            "ok".into_response()
        }
        Some(Mood::Hangs) => std::future::pending().await,
        None if path.starts_with("/api/") => json_of(&double.slack(&path, &headers, &body)),
        None => "ok".into_response(),
    }
}

fn json_of(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

impl Double {
    /// As Slack's API answers.
    fn slack(&self, path: &str, headers: &HeaderMap, body: &str) -> Value {
        let refused = |error: &str| json!({ "ok": false, "error": error });
        if headers.get("authorization").is_none_or(|it| it != &format!("Bearer {TOKEN}")) {
            return refused("invalid_auth");
        }
        let Ok(mut message) = serde_json::from_str::<Value>(body) else { return refused("invalid_json") };
        if let Err(error) = check(&message) {
            return refused(error);
        }
        self.inner(|it| match path {
            "/api/chat.postMessage" => {
                let ts = format!("17900000{:02}.0001", it.messages.len());
                message["ts"] = json!(ts);
                it.messages.push(message);
                json!({ "ok": true, "channel": "C0123456", "ts": ts })
            }
            "/api/chat.update" => {
                let known = it.messages.iter_mut().find(|it| it["ts"] == message["ts"]);
                let Some(known) = known.filter(|_| message["channel"] == "C0123456") else {
                    return refused("message_not_found");
                };
                *known = message.clone();
                json!({ "ok": true, "channel": "C0123456", "ts": message["ts"] })
            }
            _ => refused("unknown_method"),
        })
    }
}

/// What Slack refuses, by its documentation of blocks.
pub(crate) fn check(message: &Value) -> Result<(), &'static str> {
    let length = |text: &Value| text.as_str().map_or(0, |text| text.encode_utf16().count());
    let fits = |text: &Value, most: usize| (1..=most).contains(&length(text));
    if message["text"].as_str().is_none_or(str::is_empty) {
        return Err("no_text");
    }
    let Some(blocks) = message["blocks"].as_array() else { return Ok(()) };
    let is_valid = |block: &Value| match block["type"].as_str() {
        Some("header") => block["text"]["type"] == "plain_text" && fits(&block["text"]["text"], 150),
        Some("section") => match block["fields"].as_array() {
            Some(fields) => fields.len() <= 10 && fields.iter().all(|field| fits(&field["text"], 2_000)),
            None => fits(&block["text"]["text"], 3_000),
        },
        Some("context") => block["elements"].as_array().is_some_and(|it| (1..=10).contains(&it.len())),
        Some("actions") => block["elements"].as_array().is_some_and(|elements| {
            elements.len() <= 25
                && elements.iter().all(|it| fits(&it["text"]["text"], 75) && fits(&it["value"], 2_000))
        }),
        Some(_) | None => false,
    };
    if blocks.len() <= 50 && blocks.iter().all(is_valid) { Ok(()) } else { Err("invalid_blocks") }
}
