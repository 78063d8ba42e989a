//! What is asked for.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::{
    domain::{
        Cause, DeploymentRecord, HoldKind, HoldRecord, Stage, TargetId, TargetRecord, TargetSettings, WayBack,
    },
    status::{Answer as Eventually, Letters, Refusal, Replay, Replayed, sample},
};

const API: &str = "111122223333/eu-west-1/shop/chubby_api";

/// Keeps what it is asked for, or refuses it.
#[derive(Default)]
struct Notebook {
    posted: Mutex<Vec<Value>>,
    refuses: Option<Refusal>,
}

impl Desk for Notebook {
    fn post(&self, event: &Value) -> Eventually<'_, ()> {
        let result = self.refuses.clone().map_or(Ok(()), Err);
        if result.is_ok() {
            self.posted.lock().expect("sound").push(event.clone());
        }
        Box::pin(async { result })
    }

    fn way_back(&self, target: TargetId, to: Option<String>) -> Eventually<'_, WayBack> {
        Box::pin(async move {
            if to.as_deref() == Some("nothing") {
                return Err(Refusal::Conflict("there is nothing to go back to".into()));
            }
            Ok(WayBack {
                target,
                from: "chubby_api:13".parse().expect("a definition"),
                from_images: Vec::new(),
                to: to.as_deref().unwrap_or("chubby_api:12").parse().expect("a definition"),
                to_images: Vec::new(),
                images: vec![("web".into(), "sha256:aa".into())],
                follow: Vec::new(),
                hold: false,
                by: None,
                reason: None,
            })
        })
    }

    fn letters(&self) -> Eventually<'_, Arc<Letters>> {
        unreachable!("nobody asks for letters here")
    }

    fn replay(&self, _: Replay) -> Eventually<'_, Replayed> {
        unreachable!("nobody asks for letters here")
    }
}

fn notebook() -> (Arc<Notebook>, StatusState) {
    let notebook = Arc::new(Notebook::default());
    (Arc::clone(&notebook), operated(notebook))
}

async fn post(state: &StatusState, path: &str, body: impl ToString) -> Answer {
    let headers = [(header::AUTHORIZATION, CI), (header::CONTENT_TYPE, "application/json")];
    answered(state, Method::POST, path, &headers, body.to_string()).await
}

/// The one event that was put on the queue, without its id.
fn posted(notebook: &Notebook) -> (Value, String) {
    let mut posted = std::mem::take(&mut *notebook.posted.lock().expect("sound"));
    let mut event = posted.pop().expect("one event");
    assert!(posted.is_empty(), "{posted:?}");
    let id = event["id"].take();
    (event, id.as_str().expect("an id").to_owned())
}

#[tokio::test]
async fn what_a_tag_cannot_keep_of_a_reason_is_answered() {
    let (_notebook, state) = notebook();
    for path in ["/api/v1/pause", "/api/v1/targets/api/pause", "/api/v1/targets/api/resume"] {
        let kept = async |reason: &str| {
            let answer = post(&state, path, json!({ "reason": reason })).await;
            answer.json()["kept_reason"].clone()
        };
        assert_eq!(kept("it's \"broken\"").await, "it s broken", "{path}");
        assert_eq!(kept("a freeze").await, Value::Null, "{path}");
    }
}

#[tokio::test]
async fn a_deployment_is_put_on_the_queue_in_the_name_of_the_token() {
    let (notebook, state) = notebook();
    let body = json!({
        "target": "api", "tag": "1.5", "reason": "it leaks\n", "metadata": { "commit": "0af3c1", "platform": "github" },
    });
    let answer = post(&state, "/api/v1/deployments", body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let (event, id) = posted(&notebook);
    assert_eq!(answer.headers[header::LOCATION], format!("/api/v1/deployments?event={id}"));
    assert_eq!(answer.json(), json!({ "event_id": id, "target": API, "deployment": null }));
    assert_eq!(
        event,
        json!({
            "version": "0", "id": null, "source": "lockkeeper.request", "detail-type": "Deploy",
            "account": "111122223333", "region": "eu-west-1", "resources": [],
            "detail": {
                "service": API, "tag": "1.5", "reason": "it leaks", "requested_by": "ci",
                "metadata": { "commit": "0af3c1", "platform": "github" },
            },
        })
    );
}

#[tokio::test]
async fn what_would_be_asked_in_vain_is_refused_with_the_reason() {
    let (notebook, mut state) = notebook();
    let mut snapshot = (*state.latest()).clone();
    let targets = snapshot.targets.iter().map(|it| {
        let refused =
            (it.name.as_str() == "api").then(|| "switched off by its tag lockkeeper:enabled".into());
        TargetRecord { refused, ..(**it).clone() }
    });
    snapshot.targets = sample::listed(targets);
    let mut deaf = TargetSettings::named("cart".into());
    deaf.triggers.requests = false;
    let cart = "111122223333/eu-west-1/shop/chubby_cart".parse().expect("an id");
    snapshot.settings = Arc::new([(cart, Arc::new(deaf))].into());
    state.snapshot = tokio::sync::watch::channel(Arc::new(snapshot)).1;
    for (path, body, why) in [
        (
            "/api/v1/deployments",
            json!({ "target": "api" }),
            "api is not deployed: switched off by its tag lockkeeper:enabled",
        ),
        (
            "/api/v1/targets/api/rollback",
            json!({ "dry_run": true }),
            "api is not deployed: switched off by its tag lockkeeper:enabled",
        ),
        ("/api/v1/deployments", json!({ "target": "cart" }), "requests are switched off for cart"),
    ] {
        let answer = post(&state, path, body).await;
        assert_eq!((answer.status, &answer.json()["detail"]), (StatusCode::CONFLICT, &json!(why)));
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    }
    assert!(notebook.posted.lock().expect("sound").is_empty());
    assert_eq!(post(&state, "/api/v1/targets/api/pause", json!({})).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_is_to_be_deployed_is_said_in_one_way() {
    let (notebook, state) = notebook();
    for (body, detail) in [
        (json!({}), json!({ "refresh": true })),
        (json!({ "refresh": true, "force": true }), json!({ "refresh": true, "force": true })),
        (json!({ "image": "shop/api:1.5" }), json!({ "image": "shop/api:1.5" })),
        (json!({ "definition": "chubby_api:12" }), json!({ "task_definition": "chubby_api:12" })),
        (json!({ "tag": "1.5", "refresh": true }), json!({ "tag": "1.5", "force": true })),
    ] {
        let (mut body, mut expected) = (body, detail);
        body["target"] = json!(API);
        expected["service"] = json!(API);
        expected["requested_by"] = json!("ci");
        assert_eq!(post(&state, "/api/v1/deployments", body).await.status, StatusCode::ACCEPTED);
        assert_eq!(posted(&notebook).0["detail"], expected);
    }
}

#[tokio::test]
async fn each_decision_is_put_on_the_queue() {
    let (notebook, state) = notebook();
    let all = json!({ "all": true, "by": "ci", "reason": "so" });
    let target = json!({ "target": API, "by": "ci", "reason": "so" });
    let deployment = json!({
        "deployment_id": "d-77fe", "target": API, "events": ["e-1", "e-2"], "by": "ci", "reason": "so",
    });
    for (path, kind, detail, location) in [
        ("/api/v1/pause", "Pause", &all, "/api/v1/targets"),
        ("/api/v1/resume", "Resume", &all, "/api/v1/targets"),
        (
            "/api/v1/targets/api/pause",
            "Pause",
            &target,
            "/api/v1/targets/111122223333%2Feu-west-1%2Fshop%2Fchubby_api",
        ),
        (
            "/api/v1/targets/api/resume",
            "Resume",
            &target,
            "/api/v1/targets/111122223333%2Feu-west-1%2Fshop%2Fchubby_api",
        ),
        ("/api/v1/deployments/d-77fe/cancel", "Cancel", &deployment, "/api/v1/deployments/d-77fe"),
    ] {
        let answer = post(&state, path, json!({ "reason": "so" })).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{path}: {}", answer.body);
        let (event, id) = posted(&notebook);
        assert_eq!((&event["source"], &event["detail-type"]), (&json!("lockkeeper.decision"), &json!(kind)));
        assert_eq!(&event["detail"], detail, "{path}");
        assert_eq!(
            (&answer.json()["event_id"], &answer.headers[header::LOCATION]),
            (&json!(id), &location.parse().expect("a value"))
        );
    }
}

#[tokio::test]
async fn a_rollback_says_what_it_would_do_before_it_does() {
    let (notebook, state) = notebook();
    let path = "/api/v1/targets/api/rollback";
    let way = json!({
        "event_id": null, "dry_run": true, "target": API, "target_name": "api", "from": "chubby_api:13", "to": "chubby_api:12",
        "from_images": [], "to_images": [], "images": { "web": "sha256:aa" }, "follow": {}, "hold": true,
        "hold_now": null,
    });
    let answer = post(&state, path, json!({ "dry_run": true })).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, way));
    assert!(notebook.posted.lock().expect("sound").is_empty());
    let answer = post(&state, path, json!({ "to": "chubby_api:9", "hold": false, "reason": "so" })).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let (event, id) = posted(&notebook);
    assert_eq!(answer.headers[header::LOCATION], format!("/api/v1/deployments?event={id}"));
    assert_eq!(event["detail-type"], "Rollback");
    assert_eq!(
        event["detail"],
        json!({
            "target": API, "from": "chubby_api:13", "to": "chubby_api:9", "images": { "web": "sha256:aa" },
            "hold": false, "by": "ci", "reason": "so",
        })
    );
    assert_eq!(post(&state, path, json!({ "to": "nothing" })).await.problem().0, 409);
}

#[tokio::test]
async fn a_rollback_to_an_empty_name_is_refused_and_one_to_none_is_not() {
    let (notebook, state) = notebook();
    let path = "/api/v1/targets/api/rollback";
    for to in ["", " \n"] {
        let told = post(&state, path, json!({ "to": to })).await.problem();
        let right = "a revision, a tag or a digest; without it, the last good one is meant";
        assert_eq!(told, (400, format!("`to` must be {right}")), "{to:?}");
    }
    assert!(notebook.posted.lock().expect("sound").is_empty());
    for body in [json!({ "to": null }), json!({ "to": " chubby_api:12\n" })] {
        assert_eq!(post(&state, path, body).await.status, StatusCode::ACCEPTED);
        assert_eq!(posted(&notebook).0["detail"]["to"], "chubby_api:12");
    }
}

#[tokio::test]
async fn a_rollback_of_a_target_that_is_held_already_says_that_it_stays_so() {
    let way_of = async |kind: HoldKind| {
        let mut sample = Sample::busy();
        let hold = HoldRecord { kind, by: Some("ann".into()), since: None, reason: None };
        Arc::make_mut(&mut Arc::make_mut(&mut sample.snapshot.targets)[0]).lane.hold = Some(hold);
        let operated = operated(Arc::new(Notebook::default()));
        let state = StatusState { access: operated.access, desk: operated.desk, ..sample.state() };
        let asked = json!({ "dry_run": true, "hold": false });
        post(&state, "/api/v1/targets/api/rollback", asked).await.json()
    };
    let held = way_of(HoldKind::Held).await;
    assert_eq!((&held["hold"], &held["hold_now"]["kind"]), (&json!(true), &json!("held")));
    // Whoever resumes it, ends whatever keeps it back.
    let paused = way_of(HoldKind::Paused).await;
    assert_eq!((&paused["hold"], &paused["hold_now"]["by"]), (&json!(false), &json!("ann")));
}

#[tokio::test]
async fn what_is_not_there_or_has_ended_cannot_be_decided_about() {
    let (notebook, state) = notebook();
    let mut said = Vec::new();
    for path in [
        "/api/v1/targets/nobody/pause",
        "/api/v1/targets/nobody/rollback",
        "/api/v1/deployments/d-none/cancel",
        "/api/v1/deployments/d-none/approve",
        "/api/v1/deployments/d-bad0/cancel",
        "/api/v1/deployments/d-77fe/approve",
        "/api/v1/deployments/d-77fe/reject",
    ] {
        let (status, detail) = post(&state, path, json!({})).await.problem();
        said.push(format!("{status} {detail}"));
    }
    let (status, detail) = post(&state, "/api/v1/deployments", json!({ "target": "nobody" })).await.problem();
    said.push(format!("{status} {detail}"));
    assert_snapshot!(said.join("\n"), @"
    404 no target has the name or the id `nobody`: known are api, cart, mail, search
    404 no target has the name or the id `nobody`: known are api, cart, mail, search
    404 no deployment `d-none` is known: after a restart, what waits or is under way is known once its message is received again (`queue.visibility`), and of what has ended only the last are remembered, and what ECS lists
    404 no deployment `d-none` is known: after a restart, what waits or is under way is known once its message is received again (`queue.visibility`), and of what has ended only the last are remembered, and what ECS lists
    409 the deployment `d-bad0` has ended: rolled_back
    409 the deployment `d-77fe` does not wait for an approval
    409 the deployment `d-77fe` does not wait for an approval
    404 no target has the name or the id `nobody`: known are api, cart, mail, search
    ");
    assert!(notebook.posted.lock().expect("sound").is_empty());
}

/// With this deployment under way instead of the sample's.
fn notebook_with(active: DeploymentRecord) -> (Arc<Notebook>, StatusState) {
    let (notebook, mut state) = notebook();
    let mut snapshot = (*state.latest()).clone();
    snapshot.deployments = Arc::new([(active.target.clone(), Arc::new(active))].into());
    state.snapshot = tokio::sync::watch::channel(Arc::new(snapshot)).1;
    (notebook, state)
}

#[tokio::test]
async fn what_goes_back_already_is_cancelled_only_where_it_could_still_go_on() {
    let back = DeploymentRecord { stage: Stage::RollingBack, ..crate::report::sample::active() };
    let failed = |cause| DeploymentRecord { cause: Some(cause), ..back.clone() };
    let path = "/api/v1/deployments/d-77fe/cancel";
    for cause in [Cause::CrashLoop, Cause::Timeout] {
        let (notebook, state) = notebook_with(failed(cause));
        let why = format!(
            "the deployment `d-77fe` goes back already, because it failed ({}): nothing is left to cancel",
            cause.as_str()
        );
        assert_eq!(post(&state, path, json!({})).await.problem(), (409, why));
        assert!(notebook.posted.lock().expect("sound").is_empty());
    }
    let cancelled = DeploymentRecord { cancelled: true, ..back.clone() };
    // Without room it is tried again once it is back.
    for goes_on in [cancelled, failed(Cause::Placement), failed(Cause::Unknown), back] {
        let (_notebook, state) = notebook_with(goes_on);
        assert_eq!(post(&state, path, json!({})).await.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn who_cancels_a_target_is_told_which_deployment_is_meant() {
    let (_notebook, state) = notebook();
    let told = async |id: &str| {
        let (status, detail) =
            post(&state, &format!("/api/v1/deployments/{id}/cancel"), json!({})).await.problem();
        format!("{status} {detail}")
    };
    assert_snapshot!(format!("{}\n{}", told("api").await, told("search").await), @"
    404 api is a target, and a deployment is cancelled by its id: `d-77fe` is under way there
    404 search is a target, and a deployment is cancelled by its id: nothing is under way there, and nothing waits
    ");
}

#[tokio::test]
async fn a_body_that_nobody_understands_is_refused_by_name() {
    let (notebook, state) = notebook();
    let mut said = Vec::new();
    for body in [
        json!({}),
        json!({ "target": "api", "imgae": "x" }),
        json!({ "target": "api", "image": "a b" }),
        json!({ "target": "api", "image": "UPPER/x:1" }),
        json!({ "target": "api", "tag": "-x" }),
        json!({ "target": "api", "definition": "x:y:z" }),
        json!({ "target": "api", "tag": "1", "image": "x" }),
        json!({ "target": "api", "tag": 1 }),
        json!({ "target": "api", "metadata": { "sha": "x" } }),
        json!({ "target": "api", "reason": "x".repeat(1_001) }),
        json!([]),
    ] {
        let (status, detail) = post(&state, "/api/v1/deployments", body).await.problem();
        said.push(format!("{status} {detail}"));
    }
    for body in ["", "{", "{\"target\":\"api\",\"target\":\"web\"}"] {
        let (status, detail) = post(&state, "/api/v1/deployments", body).await.problem();
        said.push(format!("{status} {detail}"));
    }
    assert_snapshot!(said.join("\n"), @"
    400 the body cannot be understood: missing field `target` at line 1 column 2
    400 the body cannot be understood: unknown field `imgae`, expected one of `target`, `image`, `tag`, `definition`, `refresh`, `force`, `reason`, `metadata` at line 1 column 8
    400 `image` must be an image: [registry/]repository[:tag][@digest]
    400 `image` must be an image whose repository has lowercase letters, digits, `.`, `_`, `-` and `/` alone
    400 `tag` must be a tag: up to 128 letters, digits, `_`, `.` and `-`, not led by `.` or `-`
    400 `definition` must be a task definition: family, family:revision, or an ARN
    400 only one of `image`, `tag` and `definition` can be deployed
    400 the body cannot be understood: invalid type: integer `1`, expected a string at line 1 column 8
    400 the body cannot be understood: unknown field `sha`, expected one of `user`, `commit`, `branch`, `repository`, `repository_url`, `platform`, `run_id`, `run_url`, `traceparent` at line 1 column 18
    400 `reason` is longer than 1000 characters
    400 the body must be a JSON object
    400 the body cannot be understood: EOF while parsing a value at line 1 column 0
    400 the body cannot be understood: EOF while parsing an object at line 1 column 1
    400 the body cannot be understood: duplicate field `target` at line 1 column 24
    ");
    assert!(notebook.posted.lock().expect("sound").is_empty());
}

#[tokio::test]
async fn a_form_of_somebody_elses_page_is_no_request() {
    let (notebook, state) = notebook();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ] {
        let headers = [(header::AUTHORIZATION, CI), (header::CONTENT_TYPE, kind)];
        let answer = answered(&state, Method::POST, "/api/v1/pause", &headers, "{}").await;
        assert_eq!(answer.problem().0, 415, "{kind}");
    }
    let headers = [(header::AUTHORIZATION, CI)];
    assert_eq!(answered(&state, Method::POST, "/api/v1/pause", &headers, "{}").await.problem().0, 415);
    assert!(notebook.posted.lock().expect("sound").is_empty());
}

#[tokio::test]
async fn a_body_of_any_size_is_not_read() {
    let (_, state) = notebook();
    let body = json!({ "reason": "x".repeat(40_000) });
    assert_eq!(post(&state, "/api/v1/pause", body).await.problem().0, 413);
}

#[tokio::test]
async fn before_there_is_a_queue_it_is_said_when_to_try_again() {
    let mut state = Sample::busy().state();
    state.access = Arc::new(guarded(Reads::Open, [1_000, 1_000]));
    let refusal = Some(Refusal::Unavailable("SQS does not answer".into()));
    let unreachable = operated(Arc::new(Notebook { refuses: refusal, ..Notebook::default() }));
    for state in [state, unreachable] {
        let answer = post(&state, "/api/v1/pause", json!({})).await;
        assert_eq!((answer.problem().0, answer.headers.contains_key(header::RETRY_AFTER)), (503, true));
    }
}
