//! The simulated world over HTTP, as the real SDKs see it.

#![cfg(all(feature = "sim", feature = "daemon"))]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use aws_sdk_ecs::types::{ContainerDefinition, DeploymentRolloutState};
use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    types::{MessageAttributeValue, MessageSystemAttributeName},
};
use lockkeeper::sim::{
    EcsDials, Fault, FaultKind, Service, World, WorldSettings,
    front::{Front, FrontSettings},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

struct Served {
    front: Front,
    address: SocketAddr,
}

/// A world on a free port, twenty times as fast as its defaults. It ends with the test's runtime.
async fn serve() -> Served {
    let ecs = EcsDials { speed: 20.0, ..EcsDials::default() };
    let world = World::new(7, WorldSettings { ecs, ..WorldSettings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let front = Front::new(world, FrontSettings::default());
    tokio::spawn(front.serve(listener));
    Served { front, address }
}

impl Served {
    fn config(&self, account: &str) -> aws_config::ConfigLoader {
        aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(25)).build(),
            )
            .http_client(aws_smithy_http_client::Builder::new().build_http())
    }

    async fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config("test").load().await)
    }

    async fn ecs(&self) -> aws_sdk_ecs::Client {
        aws_sdk_ecs::Client::new(&self.config("test").load().await)
    }

    /// A request to a control route, by hand. Says the status and the body.
    async fn control(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        let body = body.to_string();
        let length = body.len();
        let head = format!("{method} /_sim/{path} HTTP/1.1\r\nhost: world\r\nconnection: close\r\n");
        let rest = format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all((head + &rest).as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

async fn queue(sqs: &aws_sdk_sqs::Client, name: &str) -> String {
    let made = sqs.create_queue().queue_name(name).send().await.expect("create a queue");
    made.queue_url().expect("a url").to_owned()
}

/// A cluster `c` with a service `s` that runs one task of `app:1`.
async fn service(ecs: &aws_sdk_ecs::Client) {
    ecs.create_cluster().cluster_name("c").send().await.expect("create a cluster");
    register(ecs, "app:1").await;
    let create = ecs.create_service().cluster("c").service_name("s").task_definition("app").desired_count(1);
    create.send().await.expect("create a service");
}

async fn register(ecs: &aws_sdk_ecs::Client, image: &str) {
    let container = ContainerDefinition::builder().name("web").image(image).build();
    ecs.register_task_definition()
        .family("app")
        .container_definitions(container)
        .send()
        .await
        .expect("register");
}

async fn completed(ecs: &aws_sdk_ecs::Client, definition: &str) {
    for _ in 0..500 {
        let described = ecs.describe_services().cluster("c").services("s").send().await.expect("describe");
        let deployments = described.services()[0].deployments();
        let done = deployments.len() == 1
            && deployments[0].rollout_state() == Some(&DeploymentRolloutState::Completed)
            && deployments[0].task_definition().is_some_and(|arn| arn.ends_with(definition));
        if done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{definition} never completed");
}

#[tokio::test]
async fn the_sdk_accepts_the_checksums_and_reads_the_attributes() {
    let sqs = serve().await.sqs().await;
    let url = queue(&sqs, "q").await;
    let value =
        MessageAttributeValue::builder().data_type("String").string_value("vä").build().expect("a value");
    let request = sqs.send_message().queue_url(&url).message_body("hé ☃").message_attributes("k", value);
    let sent = request.send().await.expect("send");
    let receive = sqs.receive_message().queue_url(&url).message_attribute_names("All");
    let got = receive
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .expect("receive");
    let message = &got.messages()[0];
    assert_eq!(message.body(), Some("hé ☃"));
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let count =
        &message.attributes().expect("attributes")[&MessageSystemAttributeName::ApproximateReceiveCount];
    assert_eq!(count, "1");
    let handle = message.receipt_handle().expect("a handle");
    sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.expect("delete");
}

#[tokio::test]
async fn errors_arrive_with_their_types() {
    let served = serve().await;
    let sqs = served.sqs().await;
    let error = sqs.get_queue_url().queue_name("none").send().await.expect_err("no such queue");
    assert!(error.into_service_error().is_queue_does_not_exist());
    let url = queue(&sqs, "q").await;
    let error =
        sqs.delete_message().queue_url(url).receipt_handle("x").send().await.expect_err("no such receipt");
    assert!(error.into_service_error().is_receipt_handle_is_invalid());
    let ecs = served.ecs().await;
    service(&ecs).await;
    let error = ecs.update_service().cluster("c").service("x").send().await.expect_err("no such service");
    assert!(error.into_service_error().is_service_not_found_exception());
}

#[tokio::test]
async fn a_long_poll_is_woken_by_an_arrival_and_by_the_end_of_a_hold() {
    let sqs = serve().await.sqs().await;
    let url = queue(&sqs, "q").await;
    let poll = || sqs.receive_message().queue_url(&url).wait_time_seconds(20).visibility_timeout(1).send();
    let (polled, sent) = tokio::join!(poll(), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        sqs.send_message().queue_url(&url).message_body("x").send().await.expect("send");
        Instant::now()
    });
    assert_eq!(polled.expect("receive").messages().len(), 1);
    assert!(sent.elapsed() < Duration::from_millis(500), "took {:?}", sent.elapsed());
    let start = Instant::now();
    assert_eq!(poll().await.expect("receive").messages().len(), 1);
    assert!((500..3_000).contains(&start.elapsed().as_millis()), "took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_rollout_goes_on_while_nobody_asks() {
    let ecs = serve().await.ecs().await;
    service(&ecs).await;
    completed(&ecs, ":1").await;
    register(&ecs, "app:2").await;
    ecs.update_service().cluster("c").service("s").task_definition("app:2").send().await.expect("update");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let listed = ecs.list_service_deployments().cluster("c").service("s").send().await.expect("list");
    let newest = &listed.service_deployments()[0];
    assert_eq!(newest.status().map(aws_sdk_ecs::types::ServiceDeploymentStatus::as_str), Some("SUCCESSFUL"));
    let took = newest.finished_at().expect("an end").as_secs_f64()
        - newest.created_at().expect("a start").as_secs_f64();
    assert!(took < 0.5, "the clock of the rollout is the ticker's, not the reader's: {took} s");
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let served = serve().await;
    let other = aws_sdk_sqs::Client::new(&served.config("222222222222").load().await);
    let url = queue(&other, "q").await;
    assert!(url.ends_with("/222222222222/q"), "{url}");
    assert!(served.sqs().await.list_queues().send().await.expect("list").queue_urls().is_empty());
    let sts = aws_sdk_sts::Client::new(&served.config("222222222222").load().await);
    let me = sts.get_caller_identity().send().await.expect("who am I");
    assert_eq!(me.account(), Some("222222222222"));
}

#[tokio::test]
async fn who_assumes_a_role_is_in_its_account() {
    let served = serve().await;
    let role = json!({"arn": "arn:aws:iam::333333333333:role/deployer", "external_id": "a&b c"});
    assert_eq!(served.control("POST", "roles", &role).await.0, 204);
    let theirs = aws_sdk_ecs::Client::new(&served.config("333333333333").load().await);
    theirs.create_cluster().cluster_name("theirs").send().await.expect("create a cluster");

    let sts = aws_sdk_sts::Client::new(&served.config("test").load().await);
    let assume = |external_id: &str| {
        let assume = sts.assume_role().role_arn("arn:aws:iam::333333333333:role/deployer");
        assume.role_session_name("lockkeeper").external_id(external_id).send()
    };
    let refused = assume("other").await.expect_err("the external id is wrong").into_service_error();
    assert_eq!(refused.meta().code(), Some("AccessDenied"));
    let assumed = assume("a&b c").await.expect("assume");
    let credentials = assumed.credentials().expect("credentials");
    let token = Some(credentials.session_token().to_owned());
    let given =
        Credentials::new(credentials.access_key_id(), credentials.secret_access_key(), token, None, "role");
    let config = served.config("test").credentials_provider(given).load().await;
    let listed = aws_sdk_ecs::Client::new(&config).list_clusters().send().await.expect("list");
    assert_eq!(listed.cluster_arns(), ["arn:aws:ecs:us-east-1:333333333333:cluster/theirs"]);
}

#[tokio::test]
async fn objects_are_put_listed_and_deleted_by_the_sdk() {
    let served = serve().await;
    let config = served.config("test").load().await;
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(config);
    s3.create_bucket().bucket("env").send().await.expect("create a bucket");
    let notify = aws_sdk_s3::types::EventBridgeConfiguration::builder().build();
    let notify =
        aws_sdk_s3::types::NotificationConfiguration::builder().event_bridge_configuration(notify).build();
    let put = s3.put_bucket_notification_configuration().bucket("env").notification_configuration(notify);
    put.send().await.expect("switch events on");
    let got = s3.get_bucket_notification_configuration().bucket("env").send().await.expect("ask");
    assert!(got.event_bridge_configuration().is_some());
    for key in ["web/a b&é.env", "web/c.env", "other"] {
        let body = aws_sdk_s3::primitives::ByteStream::from_static(b"A=1\n");
        let put = s3.put_object().bucket("env").key(key).body(body).send().await.expect("put");
        assert_eq!(
            put.e_tag(),
            Some("\"7b9ee9647aa60af266c790de3f659403\""),
            "of what was sent, without its frames"
        );
    }
    let page = s3.list_objects_v2().bucket("env").prefix("web/").max_keys(1).send().await.expect("list");
    assert_eq!((page.contents()[0].key(), page.is_truncated()), (Some("web/a b&é.env"), Some(true)));
    let token = page.next_continuation_token().expect("a token");
    let page = s3.list_objects_v2().bucket("env").prefix("web/").continuation_token(token).send().await;
    assert_eq!(page.expect("list").contents()[0].key(), Some("web/c.env"));
    let object = s3.get_object().bucket("env").key("web/c.env").send().await.expect("get");
    assert!(object.last_modified().is_some());
    let content = object.body.collect().await.expect("read").into_bytes();
    assert_eq!(&content[..], b"A=1\n");
    s3.delete_object().bucket("env").key("web/c.env").send().await.expect("delete");
    let error = s3.get_object().bucket("env").key("web/c.env").send().await.expect_err("it is gone");
    assert!(error.into_service_error().is_no_such_key());
}

#[tokio::test]
async fn a_lost_answer_leaves_its_effect_behind() {
    let served = serve().await;
    let ecs = served.ecs().await;
    service(&ecs).await;
    for (closed, operation) in [(true, "UpdateService"), (false, "UpdateService")] {
        let fault =
            json!({"service": "ecs", "operation": operation, "kind": {"lost_answer": {"closed": closed}}});
        assert_eq!(served.control("POST", "faults", &fault).await.0, 204);
        let update = ecs.update_service().cluster("c").service("s").force_new_deployment(true);
        let error = update.send().await.expect_err("the answer is lost");
        assert_eq!(error.as_service_error().is_none(), closed, "{error:?}");
    }
    let listed = ecs.list_service_deployments().cluster("c").service("s").send().await.expect("list");
    assert_eq!(listed.service_deployments().len(), 3);
    let (_, log) = served.control("GET", "calls?after=3", &json!({})).await;
    let results: Vec<_> =
        log.as_array().expect("a list").iter().map(|c| (&c["result"], &c["took_effect"])).collect();
    assert_eq!(results[0], (&json!("CLOSED"), &json!(true)));
    assert_eq!(results[1], (&json!("ServerException"), &json!(true)));
}

#[tokio::test]
async fn a_hanging_call_hangs_alone() {
    let served = serve().await;
    let quick = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(300)).build();
    let sqs = aws_sdk_sqs::Client::new(&served.config("test").timeout_config(quick).load().await);
    served.front.with(|world, _| world.add_fault(Fault::new(Service::Sqs, "ListQueues", FaultKind::Hang, 1)));
    let other = served.sqs().await;
    let (hung, answered) = tokio::join!(sqs.list_queues().send(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        other.list_queues().send().await
    });
    assert!(hung.is_err() && answered.is_ok());
}

#[tokio::test]
async fn the_control_routes_turn_the_world() {
    let served = serve().await;
    let (status, settings) =
        served.control("POST", "settings", &json!({"ecs": {"speed": 3.0}, "duplicates": 0.5})).await;
    assert_eq!(
        (status, &settings["ecs"]["speed"], &settings["ecs"]["start_ms"]),
        (200, &json!(3.0), &json!(1000))
    );
    assert_eq!(served.control("POST", "settings", &json!({"nonsense": 1})).await.0, 400);
    let (_, pushed) = served.control("POST", "push", &json!({"repository": "app", "tags": ["1"]})).await;
    assert!(pushed["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")));
    assert_eq!(served.control("POST", "push", &json!({})).await.0, 400);
    let index = json!({"repository": "app", "tags": ["2"], "children": 2});
    let (_, pushed) = served.control("POST", "push", &index).await;
    assert_eq!(pushed["children"].as_array().map(Vec::len), Some(2));
    assert_eq!(served.control("POST", "push", &json!({"repository": "a", "children": 9999})).await.0, 400);
    queue(&served.sqs().await, "q").await;
    let (_, state) = served.control("GET", "state", &json!({})).await;
    assert_eq!(state["queues"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(served.control("POST", "reset", &json!({})).await.0, 204);
    let (_, state) = served.control("GET", "state", &json!({})).await;
    assert_eq!((&state["queues"], &state["settings"]["duplicates"]), (&json!({}), &json!(0.5)));
}
