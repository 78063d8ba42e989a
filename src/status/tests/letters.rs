//! What is set aside.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::{
    domain::{Cause, LetterEvent, LetterRecord, PutBy, TargetId, Timestamp, TriggerKind, Verdict, WayBack},
    status::{Answer as Eventually, Letters, Refusal, Replay, Replayed},
};

struct Office {
    letters: Arc<Letters>,
    asked: Mutex<Vec<Replay>>,
    done: bool,
}

impl Desk for Office {
    fn post(&self, _: &Value) -> Eventually<'_, ()> {
        unreachable!("nobody asks for events here")
    }

    fn way_back(&self, _: TargetId, _: Option<String>) -> Eventually<'_, WayBack> {
        unreachable!("nobody goes back here")
    }

    fn letters(&self) -> Eventually<'_, Arc<Letters>> {
        let letters = Arc::clone(&self.letters);
        Box::pin(async { Ok::<_, Refusal>(letters) })
    }

    fn replay(&self, wanted: Replay) -> Eventually<'_, Replayed> {
        let is_rehearsed = wanted.dry_run;
        self.asked.lock().expect("sound").push(wanted);
        let left = vec![("l-2".into(), "somebody else has it".into())];
        let would_replay = if is_rehearsed { vec!["l-1".into()] } else { Vec::new() };
        let replayed = usize::from(!is_rehearsed);
        let without_effect = vec![("l-1".into(), "no target runs it".into())];
        let done =
            Replayed::Done { selected: 2, replayed, would_replay, without_effect, left, missing: Vec::new() };
        let replayed = if self.done { done } else { Replayed::GoesOn };
        Box::pin(async { Ok(replayed) })
    }
}

fn letter(id: &str, seconds: i64) -> LetterRecord {
    LetterRecord {
        id: id.into(),
        put_by: PutBy::Lockkeeper,
        time: Timestamp::from_millis(seconds * 1_000),
        target: "111122223333/eu-west-1/shop/chubby_api".parse().ok(),
        deployment: Some("d-bad0".into()),
        outcome: Some("rolled_back".into()),
        cause: Some("crash_loop".into()),
        attempts: Some(1),
        reason: Some("container web exited with 1".into()),
        version: Timestamp::from_millis(0),
        copies: 1,
        event: LetterEvent {
            id: "e-3".into(),
            source: "aws.ecr".into(),
            detail_type: "ECR Image Action".into(),
            trigger: TriggerKind::ImagePushed,
            meaning: Some("api:2.0.0 was pushed".into()),
        },
        result: Verdict::Asks,
        reaches: vec!["api".into()],
    }
}

fn office(done: bool) -> (Arc<Office>, StatusState) {
    let other = LetterRecord {
        target: None,
        cause: Some("timeout".into()),
        reaches: vec!["cart".into()],
        ..letter("l-4", 4)
    };
    let letters = vec![letter("l-1", 1), letter("l-2", 2), letter("l-3", 3), other];
    let letters = Letters { seen_at: Timestamp::from_millis(9_000), letters, whole: true, unseen: 1 };
    let office = Arc::new(Office { letters: Arc::new(letters), asked: Mutex::default(), done });
    (Arc::clone(&office), operated(office))
}

async fn list(state: &StatusState, query: &str) -> Value {
    answered(state, Method::GET, &format!("/api/v1/dead-letters{query}"), &[], Body::empty()).await.json()
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("a list").iter().filter_map(|it| it["id"].as_str()).collect()
}

async fn replay(state: &StatusState, body: Value) -> Answer {
    let headers = [(header::AUTHORIZATION, CI), (header::CONTENT_TYPE, "application/json")];
    answered(state, Method::POST, "/api/v1/dead-letters/replay", &headers, body.to_string()).await
}

#[tokio::test]
async fn letters_are_listed_newest_first_and_filtered() {
    let (_, state) = office(true);
    for (query, expected) in [
        ("", vec!["l-4", "l-3", "l-2", "l-1"]),
        ("?target=api", vec!["l-3", "l-2", "l-1"]),
        (
            "?target=111122223333%2Feu-west-1%2Fshop%2Fchubby_api&since=1970-01-01T00:00:02Z",
            vec!["l-3", "l-2"],
        ),
        ("?target=cart", vec!["l-4"]),
        ("?cause=timeout", vec!["l-4"]),
        ("?outcome=failed", vec![]),
    ] {
        assert_eq!(ids(&list(&state, query).await), expected, "{query}");
    }
    let first = list(&state, "?limit=3").await;
    let next = first["next"].as_str().expect("there is more");
    assert_eq!(ids(&list(&state, &format!("?cursor={next}")).await), ["l-1"]);
    assert_eq!(
        (&first["unseen"], &first["whole"], &first["seen_at"]),
        (&json!(1), &json!(true), &json!("1970-01-01T00:00:09Z"))
    );
}

#[tokio::test]
async fn a_letter_has_the_shape_of_the_contract() {
    let (_, state) = office(true);
    assert_snapshot!(serde_json::to_string_pretty(&list(&state, "?limit=1&target=api").await["items"][0]).expect("JSON"), @r#"
    {
      "attempts": 1,
      "cause": "crash_loop",
      "copies": 1,
      "deployment": "d-bad0",
      "event": {
        "detail_type": "ECR Image Action",
        "id": "e-3",
        "meaning": "api:2.0.0 was pushed",
        "source": "aws.ecr",
        "trigger": "image_pushed"
      },
      "id": "l-3",
      "outcome": "rolled_back",
      "put_by": "lockkeeper",
      "reaches": [
        "api"
      ],
      "reason": "container web exited with 1",
      "result": "asks",
      "target": "111122223333/eu-west-1/shop/chubby_api",
      "target_name": null,
      "time": "1970-01-01T00:00:03Z",
      "version": "1970-01-01T00:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn letters_are_put_back_as_they_were_chosen() {
    let (office, state) = office(true);
    let answer = replay(&state, json!({ "ids": ["l-1", "l-2"] })).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.json(),
        json!({ "dry_run": false, "selected": 2, "replayed": 1, "would_replay": [], "missing": [], "done": true,
            "without_effect": [{ "id": "l-1", "why": "no target runs it" }],
            "left": [{ "id": "l-2", "why": "somebody else has it" }] })
    );
    let narrow = json!({ "target": "api", "cause": "timeout", "since": "1970-01-01T00:00:02Z", "force": true, "dry_run": true });
    let rehearsed = replay(&state, narrow).await.json();
    assert_eq!(
        (&rehearsed["dry_run"], &rehearsed["replayed"], &rehearsed["would_replay"]),
        (&json!(true), &json!(0), &json!(["l-1"]))
    );
    assert_eq!(replay(&state, json!({ "all": true })).await.status, StatusCode::OK);
    let base = Replay { by: "ci".into(), ..Replay::default() };
    assert_eq!(
        *office.asked.lock().expect("sound"),
        [
            Replay { ids: vec!["l-1".into(), "l-2".into()], ..base.clone() },
            Replay {
                target: Some("111122223333/eu-west-1/shop/chubby_api".into()),
                cause: Some(Cause::Timeout),
                since: Some(Timestamp::from_millis(2_000)),
                force: true,
                dry_run: true,
                ..base.clone()
            },
            base,
        ]
    );
}

#[tokio::test]
async fn what_takes_longer_goes_on_and_says_so() {
    let (_, state) = office(false);
    let answer = replay(&state, json!({ "all": true })).await;
    assert_eq!((answer.status, &answer.json()["done"]), (StatusCode::ACCEPTED, &json!(false)));
}

#[tokio::test]
async fn which_letters_are_meant_is_said_in_one_way() {
    let (office, state) = office(true);
    for body in [
        json!({}),
        json!({ "force": true }),
        json!({ "all": true, "target": "api" }),
        json!({ "all": true, "ids": ["l-1"] }),
        json!({ "ids": ["l-1"], "target": "api" }),
        json!({ "ids": vec!["x"; 201] }),
        json!({ "outcome": "great" }),
        json!({ "since": "yesterday" }),
        json!({ "everything": true }),
    ] {
        assert_eq!(replay(&state, body.clone()).await.problem().0, 400, "{body}");
    }
    assert!(office.asked.lock().expect("sound").is_empty());
}
