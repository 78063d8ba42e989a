//! A webhook that outlives the processes: it hears how deployments end, and takes that or does not.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use lockkeeper::sim::Rng;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{record::Told, stage::now_ms};

/// So often it does not take what it is told while it is moody.
const REFUSES: f64 = 0.5;

/// What listens.
#[derive(Clone)]
pub struct Receiver(Arc<Mutex<Inner>>);

struct Inner {
    rng: Rng,
    is_moody: bool,
    told: Vec<Told>,
}

impl Receiver {
    /// Listens, and says where. One that is moody refuses now and then.
    pub async fn listen(seed: u64, is_moody: bool) -> (Self, String) {
        let receiver = Self(Arc::new(Mutex::new(Inner { rng: Rng::new(seed), is_moody, told: Vec::new() })));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/told", listener.local_addr().expect("it is bound"));
        let router = Router::new().fallback(hear).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    /// From now on it takes everything.
    pub fn calm_down(&self) {
        self.inner().is_moody = false;
    }

    /// What it has taken.
    pub fn told(&self) -> Vec<Told> {
        self.inner().told.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics with it")
    }
}

async fn hear(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let mut inner = receiver.inner();
    if inner.is_moody && inner.rng.chance(REFUSES) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body: Value = serde_json::from_str(&body).expect("it is JSON");
    let id = headers["x-lockkeeper-id"].to_str().expect("it is text").to_owned();
    inner.told.push(read(id, &body));
    StatusCode::OK
}

fn read(id: String, body: &Value) -> Told {
    let text = |it: &Value| it.as_str().map(str::to_owned);
    let deployment = &body["deployment"];
    let triggers = deployment["triggers"].as_array().into_iter().flatten();
    Told {
        at: now_ms(),
        id,
        target: text(&body["target"]["service"]).expect("it has a target"),
        outcome: text(&deployment["outcome"]).expect("it has ended"),
        rollout: text(&deployment["rollout_id"]),
        events: triggers.filter_map(|it| text(&it["event_id"])).collect(),
    }
}
