//! The adapters over HTTP, with the real SDK, against an ECS that answers what a test tells it to.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "what does not hold fails the test")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode};
use lockkeeper::{
    aws::{
        Connections, Observer,
        ecs::{Clearance, Ecs},
        queue::QueueErrorKind,
    },
    domain::{
        Base, CallFailure, Cause, Look, LookOrder, Marks, Place, Prospect, Remedy, RolloutState,
        ServiceState, StartOrder, Started, TargetId, Timestamp,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Answer = dyn Fn(&str, &Value) -> Reply + Send + Sync;

#[derive(Clone)]
enum Reply {
    Json(u16, Value),
    Html(u16),
    Never,
}

/// An ECS that does what it is told, and keeps what it was asked.
#[derive(Clone)]
struct Canned {
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    address: SocketAddr,
}

impl Canned {
    async fn new(answer: impl Fn(&str, &Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let it = Self { answer: Arc::new(answer), asked: Arc::default(), address };
        let routes = Router::new().fallback(handle).with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        it
    }

    fn asked(&self, operation: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(name, _)| name == operation).map(|(_, body)| body.clone()).collect()
    }

    async fn ecs(&self) -> Ecs {
        Ecs::new(connections(&format!("http://{}", self.address)).await, ACCOUNT.into())
    }
}

async fn handle(State(it): State<Canned>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(length, body.len());
    let body: Value = serde_json::from_slice(&body).unwrap();
    it.asked.lock().unwrap().push((operation.clone(), body.clone()));
    match (it.answer)(&operation, &body) {
        Reply::Json(status, body) => (StatusCode::from_u16(status).unwrap(), body.to_string()),
        Reply::Html(status) => {
            (StatusCode::from_u16(status).unwrap(), "<html>Internal Server Error</html>".into())
        }
        Reply::Never => std::future::pending().await,
    }
}

#[derive(Debug, Default)]
struct Tally(Mutex<Vec<(&'static str, &'static str)>>);

impl Observer for Tally {
    fn called(&self, _: &'static str, operation: &'static str, result: &'static str, _: Duration) {
        self.0.lock().unwrap().push((operation, result));
    }

    fn waited(&self, _: &'static str, _: Duration) {}
}

const ACCOUNT: &str = "111122223333";

async fn connections(endpoint: &str) -> Connections {
    Connections::simulated(endpoint, &ACCOUNT.into(), "eu-west-1".into(), Arc::<Tally>::default()).await
}

fn target() -> TargetId {
    format!("{ACCOUNT}/eu-west-1/shop/api").parse().unwrap()
}

fn failed(status: u16, code: &str) -> Reply {
    Reply::Json(status, json!({"__type": code, "message": "as told"}))
}

fn definition(revision: u32, image: &str, tags: &Value) -> Value {
    json!({
        "taskDefinition": {
            "taskDefinitionArn": format!("arn:aws:ecs:eu-west-1:{ACCOUNT}:task-definition/shop:{revision}"),
            "family": "shop", "revision": revision, "status": "ACTIVE", "fieldOfTomorrow": {"deep": 1},
            "containerDefinitions": [{"name": "web", "image": image, "fieldOfTomorrow": [true]}],
        },
        "tags": tags,
    })
}

/// A service whose only deployment is complete.
fn service() -> Value {
    json!({
        "serviceName": "api", "status": "ACTIVE", "desiredCount": 2, "taskDefinition": "shop:7",
        "deployments": [{
            "id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "shop:7", "desiredCount": 2,
            "runningCount": 2, "createdAt": 100.5, "updatedAt": 101.0, "rolloutState": "COMPLETED",
        }],
    })
}

/// What is the same in most stories.
fn usual(operation: &str) -> Reply {
    Reply::Json(
        200,
        match operation {
            "DescribeServices" => json!({"services": [service()], "failures": []}),
            "DescribeTaskDefinition" => definition(7, "r.io/shop/web:1", &json!([])),
            "UpdateService" => json!({"service": service()}),
            "ListTasks" => json!({"taskArns": []}),
            _ => json!({}),
        },
    )
}

async fn look(ecs: &Ecs) -> Result<Look, CallFailure> {
    let since = Timestamp::from_millis(0);
    ecs.look(&LookOrder {
        target: target(),
        since,
        base: Base::Running,
        wanted: None,
        evidence: false,
        prospect: Prospect::Nothing,
    })
    .await
}

fn order(image: Option<&str>, marks: Marks) -> StartOrder {
    let edits = image.map(|image| ("web".into(), image.parse().unwrap()));
    StartOrder {
        target: target(),
        base: "shop:7".parse().unwrap(),
        edits: edits.into_iter().collect(),
        marks,
    }
}

async fn start(ecs: &Ecs, image: Option<&str>) -> Result<Started, CallFailure> {
    ecs.start(&order(image, Marks::default()), Clearance::default()).await
}

#[tokio::test]
async fn a_revision_is_registered_from_the_raw_document_and_rolled_out_by_its_number() {
    let ecs = Canned::new(|operation, _| match operation {
        "RegisterTaskDefinition" => Reply::Json(200, definition(8, "", &json!([]))),
        other => usual(other),
    })
    .await;
    let started = start(&ecs.ecs().await, Some("r.io/shop/web:2")).await.unwrap();
    assert_eq!(started.definition.id.to_string(), "shop:8");
    assert_eq!(
        ecs.asked("RegisterTaskDefinition"),
        [json!({
            "family": "shop", "fieldOfTomorrow": {"deep": 1},
            "containerDefinitions": [{"name": "web", "image": "r.io/shop/web:2", "fieldOfTomorrow": [true]}],
        })]
    );
    assert_eq!(
        ecs.asked("UpdateService"),
        [
            json!({"cluster": "shop", "service": "api", "taskDefinition": "shop:8", "forceNewDeployment": true})
        ]
    );
}

#[tokio::test]
async fn two_starts_at_once_register_the_same_revision_once() {
    let newest = Mutex::new(definition(7, "r.io/shop/web:1", &json!([])));
    let ecs = Canned::new(move |operation, body| match operation {
        "DescribeTaskDefinition" => Reply::Json(200, newest.lock().unwrap().clone()),
        "RegisterTaskDefinition" => {
            std::thread::sleep(Duration::from_millis(50));
            let image = body["containerDefinitions"][0]["image"].as_str().unwrap();
            let mut newest = newest.lock().unwrap();
            *newest = definition(8, image, &body["tags"]);
            Reply::Json(200, newest.clone())
        }
        other => usual(other),
    })
    .await;
    let adapter = ecs.ecs().await;
    let marks = Marks { deployment: Some("d-1".into()), ..Marks::default() };
    let order = StartOrder { base: "shop:7".parse().unwrap(), ..order(Some("r.io/shop/web:2"), marks) };
    let (first, second) = tokio::join!(
        adapter.start(&order, Clearance::default()),
        adapter.start(&order, Clearance::default())
    );
    let id = |started: Result<Started, CallFailure>| started.unwrap().definition.id.to_string();
    assert_eq!((id(first), id(second)), ("shop:8".into(), "shop:8".into()));
    assert_eq!(ecs.asked("RegisterTaskDefinition").len(), 1);
}

#[tokio::test]
async fn a_changing_call_that_aws_fails_is_made_once_and_looked_at_first() {
    let ecs = Canned::new(|operation, _| match operation {
        "UpdateService" => failed(500, "ServerException"),
        other => usual(other),
    })
    .await;
    let failure = start(&ecs.ecs().await, None).await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::LookFirst, "{failure:?}");
    assert_eq!(ecs.asked("UpdateService").len(), 1);
}

#[tokio::test]
async fn a_changing_call_without_an_answer_ends_within_its_timeout_and_is_looked_at_first() {
    let ecs = Canned::new(|operation, _| match operation {
        "UpdateService" => Reply::Never,
        other => usual(other),
    })
    .await;
    let began = Instant::now();
    let failure = start(&ecs.ecs().await, None).await.unwrap_err();
    assert_eq!((failure.cause, failure.remedy), (Cause::Timeout, Remedy::LookFirst), "{failure:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(ecs.asked("UpdateService").len(), 1);
}

#[tokio::test]
async fn a_changing_call_that_finds_nobody_did_nothing() {
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let ecs = elsewhere.spawn(Canned::new(|operation, _| usual(operation))).await.unwrap();
    let adapter = ecs.ecs().await;
    look(&adapter).await.unwrap();
    elsewhere.shutdown_background();
    while tokio::net::TcpStream::connect(ecs.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let failure = start(&adapter, None).await.unwrap_err();
    assert!(failure.reason.starts_with("UpdateService: "), "{failure:?}");
    assert_eq!((failure.cause, failure.remedy), (Cause::Timeout, Remedy::Retry), "{failure:?}");
}

#[tokio::test]
async fn a_read_that_aws_fails_twice_succeeds_the_third_time() {
    let failures = Mutex::new(2);
    let ecs = Canned::new(move |operation, _| {
        let mut left = failures.lock().unwrap();
        if operation == "DescribeServices" && *left > 0 {
            *left -= 1;
            return failed(500, "ServerException");
        }
        usual(operation)
    })
    .await;
    let glance = ecs.ecs().await.glance(&[target()]).await.remove(&target()).unwrap().unwrap();
    assert_eq!(glance.service, ServiceState::Active);
    assert_eq!(ecs.asked("DescribeServices").len(), 3);
}

#[tokio::test]
async fn an_endpoint_without_service_deployments_is_asked_for_them_once() {
    let ecs = Canned::new(|operation, _| match operation {
        "ListServiceDeployments" => Reply::Html(500),
        other => usual(other),
    })
    .await;
    let adapter = ecs.ecs().await;
    for _ in 0..2 {
        let look = look(&adapter).await.unwrap();
        let states: Vec<_> =
            look.rollouts.iter().map(|it| (it.id.shown().unwrap().as_str(), it.state)).collect();
        assert_eq!(states, [("ecs-svc/1", RolloutState::Succeeded)]);
        assert_eq!(look.running.unwrap().definition.id.to_string(), "shop:7");
    }
    assert_eq!(ecs.asked("ListServiceDeployments").len(), 1);
    assert_eq!(ecs.asked("DescribeTaskDefinition").len(), 1, "a revision never changes");
}

#[tokio::test]
async fn a_failure_of_aws_is_not_taken_for_a_missing_call() {
    let ecs = Canned::new(|operation, _| match operation {
        "ListServiceDeployments" => Reply::Html(500),
        "DescribeServices" => {
            let mut service = service();
            service["currentServiceDeployment"] = json!("arn:of-it");
            Reply::Json(200, json!({"services": [service]}))
        }
        other => usual(other),
    })
    .await;
    let failure = look(&ecs.ecs().await).await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Retry, "{failure:?}");
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_and_not_taken_for_a_missing_call() {
    let ecs = Canned::new(|operation, _| match operation {
        "ListServiceDeployments" => failed(400, "AccessDeniedException"),
        other => usual(other),
    })
    .await;
    let failure = look(&ecs.ecs().await).await.unwrap_err();
    assert_eq!((failure.cause, failure.remedy), (Cause::Permission, Remedy::GiveUp));
    assert_eq!(failure.reason, "ListServiceDeployments: AccessDeniedException: as told");
}

#[tokio::test]
async fn a_definition_that_is_moved_to_as_it_is_is_tagged_with_the_version_if_that_is_allowed() {
    let marks = Marks { content: Some(Timestamp::from_millis(9_000)), ..Marks::default() };
    for (status, content) in [(200, marks.content), (400, None)] {
        let ecs = Canned::new(move |operation, _| match operation {
            "TagResource" if status == 400 => failed(400, "AccessDeniedException"),
            other => usual(other),
        })
        .await;
        let started = ecs.ecs().await.start(&order(None, marks.clone()), Clearance::default()).await.unwrap();
        assert_eq!(started.definition.marks.content, content);
        let tags = json!([{"key": "lockkeeper:version", "value": "1970-01-01T00:00:09Z"}]);
        assert_eq!(ecs.asked("TagResource")[0]["tags"], tags);
        assert_eq!(ecs.asked("UpdateService").len(), 1);
    }
}

#[tokio::test]
async fn a_service_and_a_cluster_that_are_not_there_are_answers() {
    for told in [
        Reply::Json(200, json!({"services": [], "failures": [{"arn": "x/api", "reason": "MISSING"}]})),
        failed(400, "ClusterNotFoundException"),
    ] {
        let ecs = Canned::new(move |operation, _| match operation {
            "DescribeServices" => told.clone(),
            _ => failed(400, "ServiceNotFoundException"),
        })
        .await;
        assert_eq!(look(&ecs.ecs().await).await.unwrap().service, ServiceState::Missing);
    }
}

#[tokio::test]
async fn another_account_is_refused_without_a_call() {
    let ecs = Canned::new(|operation, _| usual(operation)).await;
    let theirs: TargetId = "999999999999/eu-west-1/shop/api".parse().unwrap();
    let answer = ecs.ecs().await.glance(std::slice::from_ref(&theirs)).await.remove(&theirs).unwrap();
    assert_eq!(answer.unwrap_err().cause, Cause::Permission);
    assert_eq!(ecs.asked("DescribeServices").len(), 0);
}

#[tokio::test]
async fn every_call_is_told_of_with_its_result() {
    let ecs = Canned::new(|_, _| failed(400, "ThrottlingException")).await;
    let tally = Arc::<Tally>::default();
    let endpoint = format!("http://{}", ecs.address);
    let connections =
        Connections::simulated(&endpoint, &ACCOUNT.into(), "eu-west-1".into(), tally.clone()).await;
    let queue = connections.queue(&format!("{endpoint}/1/q"));
    let refused = queue.send("body", &BTreeMap::new()).await.unwrap_err();
    assert_eq!(refused.kind, QueueErrorKind::Throttled);
    assert_eq!(*tally.0.lock().unwrap(), [("SendMessage", "throttled")]);
}

#[tokio::test]
async fn a_receive_that_sqs_fails_is_left_to_the_loop_that_receives() {
    let sqs = Canned::new(|_, _| failed(500, "InternalFailure")).await;
    let endpoint = format!("http://{}", sqs.address);
    let queue = connections(&endpoint).await.queue(&format!("{endpoint}/1/q"));
    let refused = queue.receive(10, Duration::ZERO, Duration::from_secs(30)).await.unwrap_err();
    assert_eq!(refused.kind, QueueErrorKind::Unreachable);
    assert_eq!(sqs.asked("ReceiveMessage").len(), 1);
}

fn here() -> Place {
    Place { account: ACCOUNT.into(), region: "eu-west-1".into() }
}

#[tokio::test]
async fn lists_are_read_to_their_last_page_by_long_and_short_arns() {
    let canned = Canned::new(|operation, body| {
        let (field, [first, second]) = match operation {
            "ListClusters" => ("clusterArns", ["cluster/shop", "cluster/mail"]),
            _ => ("serviceArns", ["service/shop/api", "service/web"]),
        };
        let (name, next) = match body["nextToken"].as_str() {
            None => (first, Some("more")),
            Some("more") => (second, None),
            Some(other) => panic!("{other}"),
        };
        assert_eq!(body["maxResults"], 100);
        Reply::Json(
            200,
            json!({field: [format!("arn:aws:ecs:eu-west-1:{ACCOUNT}:{name}")], "nextToken": next}),
        )
    })
    .await;
    let ecs = canned.ecs().await;
    assert_eq!(ecs.list_clusters(&here()).await.unwrap(), ["shop".into(), "mail".into()]);
    let names = ecs.list_services(&here(), &"shop".into()).await.unwrap();
    assert_eq!(names, ["api".into(), "web".into()].into());
}

#[tokio::test]
async fn what_could_not_be_described_is_a_failure_and_what_is_not_there_is_an_answer() {
    let canned = Canned::new(|operation, body| match (operation, &body["clusters"][0], &body["services"]) {
        ("DescribeClusters", cluster, _) if *cluster == "gone" => {
            Reply::Json(200, json!({"clusters": [], "failures": [{"arn": "cluster/gone", "reason": "MISSING"}]}))
        }
        ("DescribeClusters", ..) => {
            Reply::Json(200, json!({"clusters": [], "failures": [{"arn": "cluster/shop", "reason": "BUSY"}]}))
        }
        (_, _, names) => {
            assert_eq!((names, &body["include"]), (&json!(["api", "web", "old"]), &json!(["TAGS"])));
            let failures = json!([{"arn": "service/shop/web", "reason": "BUSY"}, {"arn": "service/shop/old", "reason": "MISSING"}]);
            Reply::Json(200, json!({"services": [service()], "failures": failures}))
        }
    })
    .await;
    let ecs = canned.ecs().await;
    assert_eq!(ecs.read_clusters(&here(), &["gone".into()]).await, Ok(Vec::new()));
    let failure = ecs.read_clusters(&here(), &["shop".into()]).await.unwrap_err();
    assert_eq!(failure.reason, "DescribeClusters: BUSY");
    let names = ["api".into(), "web".into(), "old".into()];
    let read = ecs.read_services(&here(), &"shop".into(), &names).await.unwrap();
    let states: Vec<_> = read.iter().map(|(_, it)| it.as_ref().map(|it| it.state.clone()).ok()).collect();
    assert_eq!(states, [Some(ServiceState::Active), None, Some(ServiceState::Missing)]);
}

#[tokio::test]
async fn an_account_that_no_role_leads_to_is_refused_and_never_called() {
    let canned = Canned::new(|operation, _| panic!("{operation}")).await;
    let elsewhere = Place { account: "444455556666".into(), ..here() };
    let failure = canned.ecs().await.list_clusters(&elsewhere).await.unwrap_err();
    assert_eq!((failure.cause, failure.remedy), (Cause::Permission, Remedy::GiveUp));
    assert_eq!(failure.reason, "this is account 444455556666, and our credentials are for 111122223333");
}
