//! The router from outside: requests in, answers out.

mod access;
mod changes;
mod described;
mod letters;
mod slack;
mod stream;

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderName, Method, Request, StatusCode, header},
};
use insta::assert_snapshot;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Access, Desk, StatusState, router, sample::Sample};
use crate::{
    domain::{DeploymentRecord, Moment, Outcome, Reads, Role, TargetSettings, TokenPlace, TokenRule},
    report::sample::succeeded,
};

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a body in JSON")
    }

    fn content_type(&self) -> &str {
        self.headers[header::CONTENT_TYPE].to_str().expect("text")
    }

    fn problem(&self) -> (u16, String) {
        assert_eq!(self.content_type(), "application/problem+json", "{}", self.body);
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        (self.status.as_u16(), problem["detail"].as_str().expect("a detail").to_owned())
    }
}

async fn ask(sample: &Sample, method: Method, path: &str, body: Body) -> Answer {
    answered(&sample.state(), method, path, &[], body).await
}

async fn get(sample: &Sample, path: &str) -> Answer {
    ask(sample, Method::GET, path, Body::empty()).await
}

/// What this state answers to a request with these headers.
async fn answered(
    state: &StatusState,
    method: Method,
    path: &str,
    headers: &[(HeaderName, &str)],
    body: impl Into<Body>,
) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
    let request = request.body(body.into()).expect("a request");
    let response = router(state.clone()).oneshot(request).await.expect("the router cannot fail");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole body");
    let body = String::from_utf8(body.to_vec()).expect("text");
    Answer { status: parts.status, headers: parts.headers, body }
}

const CI: &str = "Bearer ci-token-ci-token-ci";
const ANN: &str = "Bearer ann-token-ann-token";

/// Takes the tokens of `ci`, which may operate, and of `ann`, who may read.
fn guarded(reads: Reads, per_second: [u32; 2]) -> Access {
    let rule = |name: &str, role| TokenRule { name: name.into(), role, kept: TokenPlace::Env(name.into()) };
    let rules = vec![rule("ci", Role::Operate), rule("ann", Role::Read)];
    let shown = |name: &str| if name == "ci" { CI } else { ANN }.strip_prefix("Bearer ").map(str::to_owned);
    Access::open(reads, rules, shown, per_second[0], per_second[1]).expect("sound")
}

/// A state with both tokens, and this desk.
fn operated(desk: Arc<dyn Desk>) -> StatusState {
    let mut state = Sample::busy().state();
    state.access = Arc::new(guarded(Reads::Open, [1_000, 1_000]));
    state.desk.open(desk);
    state
}

#[tokio::test]
async fn a_sound_process_is_alive_and_ready() {
    let sample = Sample::busy();
    for path in ["/livez", "/readyz", "/health"] {
        let answer = get(&sample, path).await;
        assert_eq!((answer.status, &answer.json()["ok"]), (StatusCode::OK, &true.into()), "{path}");
    }
}

#[tokio::test]
async fn a_stuck_loop_shows_although_the_snapshot_stays() {
    let mut sample = Sample::busy();
    sample.now = Moment::from_millis(sample.now.as_millis() + 11_000);
    let answer = get(&sample, "/livez").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_snapshot!(answer.body, @r#"{"ok":false,"parts":{"loop":{"detail":"the loop has not turned for 11 s","ok":false,"since":"2026-11-01T12:06:00Z"}}}"#);
}

#[tokio::test]
async fn a_silent_queue_is_alive_but_not_ready_and_says_since_when() {
    let mut sample = Sample::busy();
    sample.now = Moment::from_millis(sample.now.as_millis() + 60_000);
    sample.health.turned(sample.now);
    assert_eq!(get(&sample, "/livez").await.status, StatusCode::OK);
    let answer = get(&sample, "/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_snapshot!(answer.body, @r#"{"ok":false,"parts":{"intake":{"detail":"no receive completed for 1 min","ok":false,"since":"2026-11-01T12:06:00Z"},"loop":{"detail":"the loop turns","ok":true,"since":null}}}"#);
}

#[tokio::test]
async fn a_region_that_does_not_answer_shows_without_making_the_process_unready() {
    let sample = Sample::busy();
    let silent = Moment::from_millis(sample.now.as_millis() - 30_000);
    sample.health.called_ecs(&"us-east-2".into(), silent, Some("lost"));
    assert_eq!(get(&sample, "/health").await.status, StatusCode::OK);
    let answer = get(&sample, "/readyz").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_snapshot!(answer.json()["parts"]["ecs/us-east-2"].to_string(), @r#"{"detail":"ECS has not answered in us-east-2 for 30 s: lost","ok":false,"since":"2026-11-01T12:05:30Z"}"#);
    assert!(get(&sample, "/metrics").await.body.contains("\nlockkeeper_healthy{part=\"ecs/us-east-2\"} 0\n"));
    let page = get(&sample, "/").await.body;
    assert!(
        page.contains("<dd class=\"warn\">Ready<span class=\"note\">ecs/us-east-2: ECS has not answered"),
        "{page}"
    );
}

#[tokio::test]
async fn a_target_has_the_shape_of_the_contract() {
    let answer = get(&Sample::busy(), "/api/v1/targets/api").await;
    assert_snapshot!(serde_json::to_string_pretty(&answer.json()).expect("JSON"), @r#"
    {
      "cluster": "shop",
      "id": "111122223333/eu-west-1/shop/chubby_api",
      "lane": {
        "deployment": "d-77fe",
        "hold": null,
        "next": null,
        "state": "watching",
        "until": null,
        "waiting": 1,
        "why": null
      },
      "name": "api",
      "refused": null,
      "rollout": null,
      "running": {
        "by": "d-12ab",
        "definition": "chubby_api:13",
        "images": [
          {
            "container": "web",
            "digest": "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
            "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop_api:1.4"
          }
        ],
        "since": "2026-11-01T12:00:05Z"
      },
      "service": "chubby_api"
    }
    "#);
}

#[tokio::test]
async fn a_deployment_has_the_shape_of_the_contract() {
    let answer = get(&Sample::busy(), "/api/v1/deployments/d-bad0").await;
    assert_snapshot!(serde_json::to_string_pretty(&answer.json()).expect("JSON"), @r#"
    {
      "adopted": null,
      "attempts": 1,
      "cause": "crash_loop",
      "changes": [
        "image shop_api:broken"
      ],
      "definition": "chubby_api:13",
      "evidence": {
        "service_events": [
          "(service chubby_api) rolling back to deployment ecs-svc/8001"
        ],
        "stopped_tasks": [
          {
            "container": "web",
            "container_reason": null,
            "exit_code": 1,
            "log_url": "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/shop/log-events/ecs$252Fweb$252F0af3c1",
            "reason": "Essential container in task exited",
            "stop_code": "EssentialContainerExited",
            "task": "0af3c1"
          }
        ]
      },
      "finished_at": "2026-11-01T12:04:00Z",
      "id": "d-bad0",
      "known_from": "lane",
      "outcome": "rolled_back",
      "previous_definition": "chubby_api:12",
      "reason": "container web exited with 1, three times",
      "requested_at": "2026-11-01T12:00:00Z",
      "rollout_id": "ecs-svc/8001",
      "stage": "finished",
      "started_at": "2026-11-01T12:00:05Z",
      "target": "111122223333/eu-west-1/shop/chubby_api",
      "target_name": "api",
      "triggers": [
        {
          "event_id": "e-3",
          "kind": "image_ready",
          "reason": "main at 0af3c1 is ready"
        }
      ],
      "version": "2026-11-01T12:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn a_target_is_found_by_its_id_percent_encoded() {
    let answer = get(&Sample::busy(), "/api/v1/targets/111122223333%2Feu-west-1%2Fshop%2Fchubby_api").await;
    assert_eq!((answer.status, &answer.json()["name"]), (StatusCode::OK, &"api".into()));
}

#[tokio::test]
async fn of_a_deployment_that_was_told_twice_the_end_of_its_rollout_is_shown() {
    let mut sample = Sample::busy();
    let again = DeploymentRecord { outcome: Some(Outcome::AlreadyRunning), rollout_id: None, ..succeeded() };
    Arc::make_mut(&mut sample.snapshot.history).push(again);
    let answer = get(&sample, "/api/v1/deployments/d-12ab").await;
    assert_eq!(answer.json()["outcome"], "succeeded");
    assert!(get(&sample, "/deployments/d-12ab").await.body.contains("Succeeded"));
}

#[tokio::test]
async fn a_deadline_is_a_time_that_does_not_move_while_the_snapshot_ages() {
    let mut sample = Sample::busy();
    for _ in 0..2 {
        let lane = &get(&sample, "/api/v1/targets/cart").await.json()["lane"];
        assert_eq!(lane["until"], "2026-11-01T12:06:04Z");
        sample.now = Moment::from_millis(sample.now.as_millis() + 3_000);
    }
}

#[tokio::test]
async fn a_name_that_two_targets_have_is_refused_with_both_ids() {
    let mut sample = Sample::busy();
    let mut twin = (*sample.snapshot.targets[0]).clone();
    twin.id = "111122223333/eu-west-1/other/chubby_api".parse().expect("valid");
    Arc::make_mut(&mut sample.snapshot.targets).push(Arc::new(twin));
    let (status, detail) = get(&sample, "/api/v1/targets/api").await.problem();
    assert_eq!(status, 400);
    assert!(detail.contains("/shop/") && detail.contains("/other/"), "{detail}");
}

/// Two services that their owners call `ship`, of which the names tell them apart by these.
fn with_namesakes(names: [&str; 2]) -> Sample {
    let mut sample = Sample::busy();
    for (cluster, name) in ["dock", "quay"].into_iter().zip(names) {
        let mut twin = (*sample.snapshot.targets[1]).clone();
        twin.id = format!("111122223333/eu-west-1/{cluster}/fleet").parse().expect("valid");
        (twin.cluster, twin.service) = (cluster.into(), "fleet".into());
        twin.name = if name.is_empty() { twin.id.to_string().as_str().into() } else { name.into() };
        Arc::make_mut(&mut sample.snapshot.shared_names).insert(twin.id.clone(), "ship".into());
        Arc::make_mut(&mut sample.snapshot.targets).push(Arc::new(twin));
    }
    sample
}

#[tokio::test]
async fn a_name_that_tells_nobody_apart_is_refused_wherever_a_target_is_named() {
    for path in [
        "/api/v1/targets/ship",
        "/api/v1/deployments?target=ship",
        "/api/v1/dead-letters?target=ship",
        "/targets/ship",
    ] {
        let (status, detail) = get(&with_namesakes(["", ""]), path).await.problem();
        assert_eq!(status, 400, "{path}: {detail}");
        assert!(detail.contains("/dock/fleet") && detail.contains("/quay/fleet"), "{path}: {detail}");
    }
    let (_, detail) =
        get(&with_namesakes(["dock/ship", "quay/ship"]), "/api/v1/targets/ship").await.problem();
    assert_snapshot!(detail, @"`ship` is the name of `dock/ship` (111122223333/eu-west-1/dock/fleet) and of `quay/ship` (111122223333/eu-west-1/quay/fleet): ask for one by what it is called here, or by its id, percent-encoded in a path");
    let found = get(&with_namesakes(["dock/ship", "quay/ship"]), "/api/v1/targets/quay%2Fship").await.json();
    assert_eq!(found["cluster"], "quay");
}

#[tokio::test]
async fn what_may_be_meant_is_said_once() {
    let (status, detail) =
        get(&with_namesakes(["dock/ship", "quay/ship"]), "/api/v1/targets/fleet").await.problem();
    assert_eq!(
        (status, detail.as_str()),
        (404, "no target has the name or the id `fleet`: did you mean `dock/ship` or `quay/ship`?")
    );
    let (_, detail) = get(&with_namesakes(["", ""]), "/api/v1/targets/fleet").await.problem();
    for cluster in ["dock", "quay"] {
        assert_eq!(detail.matches(&format!("/{cluster}/fleet")).count(), 1, "{detail}");
    }
}

#[tokio::test]
async fn of_a_target_that_may_not_have_been_read_yet_it_is_not_said_that_there_is_none() {
    let mut sample = Sample::busy();
    for (whole, expected) in [(true, 404), (false, 503)] {
        sample.snapshot.whole = whole;
        let (status, detail) = get(&sample, "/api/v1/targets/ap").await.problem();
        assert_eq!((status, detail.contains("has been read yet")), (expected, !whole), "{detail}");
    }
}

#[tokio::test]
async fn a_deployment_tells_what_its_target_is_called_now() {
    let mut sample = Sample::busy();
    let target = sample.snapshot.targets[0].id.clone();
    let settings = Arc::new(TargetSettings::named("shop/api".into()));
    sample.snapshot.settings = Arc::new([(target, settings)].into());
    assert_eq!(get(&sample, "/api/v1/deployments/d-bad0").await.json()["target_name"], "shop/api");
    let listed = get(&sample, "/api/v1/deployments").await.json();
    assert!(listed["items"].as_array().expect("a list").iter().all(|it| it["target_name"] == "shop/api"));
}

#[tokio::test]
async fn following_next_lists_everything_once() {
    for list in ["targets", "deployments"] {
        let sample = Sample::busy();
        let all = get(&sample, &format!("/api/v1/{list}?limit=200")).await.json();
        assert!(all["next"].is_null());
        let (mut seen, mut path) = (Vec::new(), format!("/api/v1/{list}?limit=1"));
        loop {
            let page = get(&sample, &path).await.json();
            seen.extend(page["items"].as_array().expect("a list").clone());
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/api/v1/{list}?limit=1&cursor={}", next.replace('/', "%2F"));
        }
        assert_eq!(&Value::Array(seen), &all["items"], "{list}");
    }
}

#[tokio::test]
async fn deployments_are_filtered() {
    let sample = Sample::busy();
    for (query, ids) in [
        ("target=api", vec!["d-77fe", "d-bad0", "d-12ab"]),
        ("target=111122223333%2Feu-west-1%2Fshop%2Fchubby_api&outcome=rolled_back", vec!["d-bad0"]),
        ("outcome=succeeded", vec!["d-12ab"]),
        ("since=2026-11-01T12:03:00Z&limit=2", vec!["d-77fe", "d-bad0"]),
        ("event=e-3", vec!["d-bad0"]),
        ("event=e-none", vec![]),
    ] {
        let answer = get(&sample, &format!("/api/v1/deployments?{query}")).await.json();
        let found: Vec<_> = answer["items"].as_array().expect("a list").iter().map(|it| &it["id"]).collect();
        assert_eq!(found, ids, "{query}");
    }
}

#[tokio::test]
async fn a_target_that_does_not_exist_is_named_with_what_was_probably_meant() {
    let sample = Sample::busy();
    let mut said = Vec::new();
    for path in [
        "/api/v1/targets/ap",
        "/api/v1/targets/chubby_api",
        "/api/v1/deployments?target=none",
        "/api/v1/deployments?target=cartt",
        "/api/v1/deployments?target=111122223333%2Feu-west-1%2Fshop%2Fnone",
    ] {
        let (status, detail) = get(&sample, path).await.problem();
        said.push(format!("{status} {detail}"));
    }
    assert_snapshot!(said.join("\n"), @"
    404 no target has the name or the id `ap`: did you mean `api`?
    404 no target has the name or the id `chubby_api`: did you mean `api`?
    404 no target has the name or the id `none`: known are api, cart, mail, search
    404 no target has the name or the id `cartt`: did you mean `cart`?
    404 no target has the name or the id `111122223333/eu-west-1/shop/none`: known are api, cart, mail, search
    ");
}

#[tokio::test]
async fn a_target_that_is_gone_keeps_its_past() {
    let mut sample = Sample::busy();
    sample.snapshot.targets = Arc::default();
    let found = get(&sample, "/api/v1/deployments?target=api&outcome=succeeded").await.json();
    assert_eq!(found["items"][0]["id"], "d-12ab");
    let (status, detail) = get(&sample, "/api/v1/deployments?target=web").await.problem();
    assert_eq!(
        (status, detail.as_str()),
        (404, "no target has the name or the id `web`: no target is known")
    );
}

#[tokio::test]
async fn before_its_targets_are_known_a_process_says_of_none_that_it_does_not_exist() {
    let mut sample = Sample::busy();
    sample.snapshot.targets = Arc::default();
    sample.snapshot.active = false;
    for path in ["/api/v1/targets/web", "/api/v1/deployments?target=web"] {
        assert_eq!(get(&sample, path).await.problem().0, 503, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_what_would_be_right() {
    let sample = Sample::busy();
    let mut said = Vec::new();
    for path in [
        "/api/v1/deployments?outcome=great",
        "/api/v1/deployments?since=yesterday",
        "/api/v1/deployments?limit=0",
        "/api/v1/deployments?cursor=x",
        "/api/v1/deployments?target=a&target=b",
        "/api/v1/deployments?page=2",
        "/api/v1/targets?outcome=failed",
        "/api/v1/targets?cursor=a%2Fb%2Fc%2Fd",
    ] {
        let (status, detail) = get(&sample, path).await.problem();
        said.push(format!("{status} {detail}"));
    }
    assert_snapshot!(said.join("\n"), @"
    400 `outcome` cannot be `great`: it is one of succeeded, already_running, superseded, failed, rolled_back, cancelled, dry_run
    400 `since` cannot be `yesterday`: it is a time in RFC 3339, as 2026-11-01T12:00:00Z
    400 `limit` cannot be `0`: it is a number from 1 to 200
    400 `cursor` cannot be `x`: it is the `next` of the page before, unchanged
    400 `target` is given twice
    400 there is no parameter `page` here: known are target, event, outcome, since, limit, cursor
    400 there is no parameter `outcome` here: known are limit, cursor
    400 `cursor` cannot be `a/b/c/d`: that target is gone
    ");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let sample = Sample::busy();
    for path in
        ["/nothing", "/api/v1/nothing", "/api/v1/targets/nobody", "/api/v1/deployments/d-none", "/api/v1"]
    {
        assert_eq!(get(&sample, path).await.problem().0, 404, "{path}");
    }
}

#[tokio::test]
async fn what_is_only_seen_takes_nothing_but_a_question() {
    let sample = Sample::busy();
    for path in ["/", "/health", "/metrics", "/api/v1/targets", "/api/v1/targets/api", "/openapi.json"] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = ask(&sample, method, path, Body::empty()).await;
            assert_eq!(answer.problem().0, 405, "{path}");
            assert_eq!(answer.headers[header::ALLOW], "GET,HEAD");
        }
        let head = ask(&sample, Method::HEAD, path, Body::empty()).await;
        assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_refused() {
    let large = Request::post("/api/v1/targets")
        .header(header::CONTENT_LENGTH, 10_000_000)
        .body(Body::from(vec![b'x'; 10_000_000]))
        .expect("a request");
    let response = router(Sample::busy().state()).oneshot(large).await.expect("the router cannot fail");
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn every_answer_forbids_frames_guesses_and_all_that_is_not_from_here() {
    let sample = Sample::busy();
    for path in ["/", "/style.css", "/metrics", "/health", "/api/v1/targets", "/nothing"] {
        let headers = get(&sample, path).await.headers;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert!(headers.contains_key(header::CACHE_CONTROL), "{path}");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{path}");
    }
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let sample = Sample::busy();
    for path in
        ["/api/v1/targets", "/api/v1/targets/api", "/api/v1/deployments", "/api/v1/deployments/d-bad0"]
    {
        let first = get(&sample, path).await;
        let tag = first.headers[header::ETAG].to_str().expect("text").to_owned();
        assert_eq!(first.headers[header::CACHE_CONTROL], "private, no-cache");
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let again = [(header::IF_NONE_MATCH, known.as_str())];
            let answer = answered(&sample.state(), Method::GET, path, &again, Body::empty()).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (StatusCode::NOT_MODIFIED, ""),
                "{path} {known}"
            );
            assert_eq!(answer.headers[header::ETAG], tag.as_str());
        }
        let other = [(header::IF_NONE_MATCH, "\"x\"")];
        let answer = answered(&sample.state(), Method::GET, path, &other, Body::empty()).await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, first.body));
    }
}

#[tokio::test]
async fn metrics_are_in_the_text_format() {
    let answer = get(&Sample::busy(), "/metrics").await;
    assert_eq!(answer.content_type(), "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.body.contains("\nlockkeeper_lanes{state=\"watching\"} 1\n"), "{}", answer.body);
}

#[tokio::test]
async fn the_page_and_what_it_loads_are_there() {
    let sample = Sample::busy();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/?live", "text/html; charset=utf-8"),
        ("/style.css?v=1", "text/css; charset=utf-8"),
        ("/live.js?v=1", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/targets/api", "text/html; charset=utf-8"),
        ("/targets/111122223333%2Feu-west-1%2Fshop%2Fchubby_api", "text/html; charset=utf-8"),
        ("/deployments/d-bad0?days=7", "text/html; charset=utf-8"),
    ] {
        let answer = get(&sample, path).await;
        assert_eq!((answer.status, answer.content_type()), (StatusCode::OK, kind), "{path}");
    }
}

#[tokio::test]
async fn people_read_of_an_error_on_a_page_and_machines_in_json() {
    let asked = async |path: &str, accept: &str| {
        let request =
            Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).expect("a request");
        let response = router(Sample::busy().state()).oneshot(request).await.expect("the router cannot fail");
        let kind = response.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        (response.status(), kind)
    };
    for path in ["/targets/nothing", "/deployments/d-none", "/nope", "/nope/nope.html"] {
        let (status, kind) = asked(path, "text/html,*/*;q=0.8").await;
        assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"), "{path}");
        let (status, kind) = asked(path, "application/json").await;
        assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"), "{path}");
    }
}

#[tokio::test]
async fn on_standby_nobody_says_that_there_is_no_such_deployment() {
    let mut sample = Sample::busy();
    sample.snapshot.active = false;
    sample.snapshot.deployments = Arc::default();
    let answer = get(&sample, "/api/v1/deployments/d-77fe").await;
    assert_eq!(
        (answer.problem().0, &answer.headers[header::RETRY_AFTER]),
        (503, &"1".parse().expect("a value"))
    );
}
