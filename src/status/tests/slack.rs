//! What is pressed in Slack.

use std::{sync::Mutex, time::Duration};

use axum::{Router, extract::State, routing::post};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tokio::{net::TcpListener, sync::mpsc};

use super::*;
use crate::{
    domain::{
        LetterEvent, LetterRecord, PutBy, Secret, SlackButtons, TargetId, Timestamp, TriggerKind, Verdict,
        WayBack,
    },
    status::{Answer as Eventually, Letters, Refusal, Replay, Replayed, SlackDesk},
};

const API: &str = "111122223333/eu-west-1/shop/chubby_api";
const SECRET: &str = "s3cret";

/// Keeps what it is asked for.
#[derive(Default)]
struct Clerk {
    posted: Mutex<Vec<Value>>,
    replayed: Mutex<Vec<Replay>>,
}

impl Desk for Clerk {
    fn post(&self, event: &Value) -> Eventually<'_, ()> {
        self.posted.lock().expect("sound").push(event.clone());
        Box::pin(async { Ok(()) })
    }

    fn way_back(&self, target: TargetId, _: Option<String>) -> Eventually<'_, WayBack> {
        Box::pin(async move {
            Ok::<_, Refusal>(WayBack {
                target,
                from: "chubby_api:13".parse().expect("a definition"),
                from_images: Vec::new(),
                to: "chubby_api:12".parse().expect("a definition"),
                to_images: Vec::new(),
                images: Vec::new(),
                follow: Vec::new(),
                hold: false,
                by: None,
                reason: None,
            })
        })
    }

    fn letters(&self) -> Eventually<'_, Arc<Letters>> {
        let letters = vec![letter("l-1", "d-bad0"), letter("l-2", "d-other")];
        let letters = Letters { seen_at: Timestamp::from_millis(0), letters, whole: true, unseen: 0 };
        Box::pin(async { Ok::<_, Refusal>(Arc::new(letters)) })
    }

    fn replay(&self, wanted: Replay) -> Eventually<'_, Replayed> {
        self.replayed.lock().expect("sound").push(wanted);
        Box::pin(async {
            Ok(Replayed::Done {
                selected: 1,
                replayed: 1,
                would_replay: Vec::new(),
                without_effect: Vec::new(),
                left: Vec::new(),
                missing: Vec::new(),
            })
        })
    }
}

fn letter(id: &str, deployment: &str) -> LetterRecord {
    LetterRecord {
        id: id.into(),
        put_by: PutBy::Lockkeeper,
        time: Timestamp::from_millis(0),
        target: API.parse().ok(),
        deployment: Some(deployment.into()),
        outcome: None,
        cause: None,
        attempts: None,
        reason: None,
        version: Timestamp::from_millis(0),
        copies: 1,
        event: LetterEvent {
            id: "e-3".into(),
            source: "aws.ecr".into(),
            detail_type: "ECR Image Action".into(),
            trigger: TriggerKind::ImagePushed,
            meaning: None,
        },
        result: Verdict::Asks,
        reaches: Vec::new(),
    }
}

struct Scene {
    clerk: Arc<Clerk>,
    state: StatusState,
    told: mpsc::UnboundedReceiver<Value>,
    response_url: String,
}

impl Scene {
    async fn set() -> Self {
        let clerk = Arc::new(Clerk::default());
        let mut state = operated(Arc::clone(&clerk) as Arc<dyn Desk>);
        let operators = ["U012AB3CD".into()].into();
        state.slack = Some(SlackDesk::new(SlackButtons { signing_secret: Secret::from(SECRET), operators }));
        let (tell, told) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let response_url = format!("http://{}/", listener.local_addr().expect("bound"));
        let hear = async |State(tell): State<mpsc::UnboundedSender<Value>>, body: String| {
            let _ = tell.send(serde_json::from_str(&body).expect("JSON"));
        };
        let router = Router::new().route("/", post(hear)).with_state(tell);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { clerk, state, told, response_url }
    }

    fn body(&self, user: &str, action: &str, value: &Value) -> String {
        let payload = json!({
            "type": "block_actions",
            "user": { "id": user, "username": "ann" },
            "response_url": self.response_url,
            // Slack sends the message along.
            "message": { "text": "x".repeat(10_000) },
            "actions": [{ "action_id": action, "value": value.to_string() }],
        });
        let encoded: Vec<String> = payload.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("payload={}", encoded.concat())
    }

    async fn send(&self, body: &str, secret: &str, age_seconds: i64) -> Answer {
        let (_, wall) = self.state.clock.now();
        let stamp = (wall.as_millis() / 1_000 - age_seconds).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(format!("v0:{stamp}:{body}").as_bytes());
        let code: Vec<String> =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = [
            (header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            ("x-slack-request-timestamp".parse().expect("a name"), &*stamp),
            ("x-slack-signature".parse().expect("a name"), &*format!("v0={}", code.concat())),
        ];
        answered(&self.state, Method::POST, "/slack/actions", &headers, body.to_owned()).await
    }

    async fn told(&mut self) -> String {
        let told = tokio::time::timeout(Duration::from_secs(10), self.told.recv()).await;
        let told = told.expect("in time").expect("something");
        assert_eq!(told["response_type"], "ephemeral");
        told["text"].as_str().expect("a text").to_owned()
    }
}

fn about(deployment: &str, definition: &str) -> Value {
    json!({ "deployment": deployment, "target": API, "definition": definition })
}

#[tokio::test]
async fn an_operator_rolls_back_what_the_deployment_brought() {
    let mut scene = Scene::set().await;
    let body = scene.body("U012AB3CD", "lockkeeper_roll_back", &about("d-12ab", "chubby_api:13"));
    assert_eq!(scene.send(&body, SECRET, 0).await.status, StatusCode::OK);
    let told = scene.told().await;
    assert!(told.starts_with("chubby_api is put back from chubby_api:13 to chubby_api:12"), "{told}");
    let event = scene.clerk.posted.lock().expect("sound")[0].clone();
    let detail = &event["detail"];
    assert_eq!((&event["detail-type"], &detail["hold"]), (&json!("Rollback"), &json!(true)));
    assert_eq!((&detail["by"], &detail["to"]), (&json!("ann in Slack (U012AB3CD)"), &json!("chubby_api:12")));
}

#[tokio::test]
async fn an_old_message_does_not_undo_what_is_newer() {
    let mut scene = Scene::set().await;
    let body = scene.body("U012AB3CD", "lockkeeper_roll_back", &about("d-old", "chubby_api:11"));
    assert_eq!(scene.send(&body, SECRET, 0).await.status, StatusCode::OK);
    let told = scene.told().await;
    assert_eq!(told, "Not done: chubby_api:13 runs by now, which is not of deployment d-old");
    assert!(scene.clerk.posted.lock().expect("sound").is_empty());
}

#[tokio::test]
async fn what_brought_nothing_is_not_rolled_back() {
    let mut scene = Scene::set().await;
    let value = json!({ "deployment": "d-none", "target": API, "definition": null });
    let body = scene.body("U012AB3CD", "lockkeeper_roll_back", &value);
    assert_eq!(scene.send(&body, SECRET, 0).await.status, StatusCode::OK);
    assert_eq!(scene.told().await, "Not done: deployment d-none brought nothing that could be put back");
    assert!(scene.clerk.posted.lock().expect("sound").is_empty());
}

#[tokio::test]
async fn an_operator_puts_back_what_was_set_aside_for_that_deployment() {
    let mut scene = Scene::set().await;
    let body = scene.body("U012AB3CD", "lockkeeper_replay", &about("d-bad0", "chubby_api:13"));
    assert_eq!(scene.send(&body, SECRET, 299).await.status, StatusCode::OK);
    assert_eq!(scene.told().await, "1 of 1 messages of deployment d-bad0 are put back");
    let replayed = scene.clerk.replayed.lock().expect("sound")[0].clone();
    assert_eq!((replayed.ids, &*replayed.by), (vec!["l-1".to_owned()], "ann in Slack (U012AB3CD)"));
    let body = scene.body("U012AB3CD", "lockkeeper_replay", &about("d-gone", "chubby_api:13"));
    scene.send(&body, SECRET, 0).await;
    assert_eq!(scene.told().await, "Not done: nothing of deployment d-gone is set aside any more");
}

#[tokio::test]
async fn what_is_not_signed_by_slack_or_not_by_an_operator_does_nothing() {
    let scene = Scene::set().await;
    let body = |user: &str| scene.body(user, "lockkeeper_roll_back", &about("d-12ab", "chubby_api:13"));
    for (user, secret, age, status) in [
        ("U012AB3CD", "other", 0, StatusCode::UNAUTHORIZED),
        ("U012AB3CD", SECRET, 301, StatusCode::UNAUTHORIZED),
        ("U999", SECRET, 0, StatusCode::FORBIDDEN),
    ] {
        let answer = scene.send(&body(user), secret, age).await;
        assert_eq!((answer.status, answer.content_type()), (status, "application/problem+json"));
    }
    assert_eq!(scene.send("payload=%7B%7D", SECRET, 0).await.status, StatusCode::BAD_REQUEST);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(scene.clerk.posted.lock().expect("sound").is_empty());
}

#[tokio::test]
async fn without_buttons_the_path_does_not_exist() {
    let mut scene = Scene::set().await;
    scene.state.slack = None;
    let body = scene.body("U012AB3CD", "lockkeeper_replay", &about("d-bad0", "chubby_api:13"));
    assert_eq!(scene.send(&body, SECRET, 0).await.status, StatusCode::NOT_FOUND);
}
