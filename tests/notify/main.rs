//! Notifications on their way: to a double of Slack and of webhooks that are slow, busy, broken or dead.

mod double;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use double::{Double, Heard, Mood, TOKEN};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lockkeeper::{
    decode::beside,
    domain::{
        Beside, Cause, DeploymentRecord, Evidence, ForeignRollout, ForeignState, Glob, KnownFrom,
        NoticeFilter, NoticeStage, Origin, Outcome, Report, Secret, SlackButtons, SlackRules, SlackWay,
        Stage, Tasks, Timestamp, TriggerKind, WebhookRules,
    },
    report::{
        Http,
        channel::{Channel, Couriers, Delivery, News, Notifiers, Sender, Tally, open},
        notice::Home,
        slack::Slack,
        webhook::Webhook,
    },
};
use sha2::Sha256;

const QUARTER: Duration = Duration::from_mins(15);
const SIGNING: &str = "planted-signing-secret";

fn all() -> NoticeFilter {
    NoticeFilter {
        targets: vec![Glob::new("*")],
        outcomes: Outcome::ALL.into(),
        stages: [NoticeStage::Deployment, NoticeStage::Rollback].into(),
        foreign: true,
    }
}

fn bot(url: &str) -> Channel {
    let rules = SlackRules {
        way: SlackWay::Bot {
            token: Secret::from(TOKEN),
            channel: "#deployments".into(),
            api_url: format!("{url}/api").as_str().into(),
        },
        mention: Some("<!here>".into()),
        buttons: Some(SlackButtons {
            signing_secret: Secret::from(SIGNING),
            operators: ["U012AB3CD".into()].into(),
        }),
        filter: all(),
    };
    let sender = Sender::Slack(Box::new(Slack::new(rules, Home::default(), Http::default())));
    Channel { name: "slack".into(), filter: all(), sender }
}

fn webhook(url: &str) -> Channel {
    let secret = Some(Secret::from(SIGNING));
    let url = Secret::from(&*format!("{url}/hook/planted-url-secret"));
    let rules = WebhookRules { name: "audit".into(), url, secret, filter: all() };
    let sender = Sender::Webhook(Webhook::new(rules, Home::default(), Http::default()));
    Channel { name: "webhook_audit".into(), filter: all(), sender }
}

#[derive(Clone, Debug, Default)]
struct Counts(Arc<Mutex<BTreeMap<(String, &'static str), usize>>>);

impl Tally for Counts {
    fn notified(&self, channel: &str, delivery: Delivery, count: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((channel.to_owned(), delivery.as_str())).or_default() += count;
    }
}

impl Counts {
    fn of(&self, channel: &str, result: &'static str) -> usize {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&(channel.to_owned(), result)).copied().unwrap_or_default()
    }
}

struct Told {
    notifiers: Notifiers,
    couriers: Couriers,
    counts: Counts,
    /// The messages on the queue.
    queue: Vec<String>,
}

fn told_by(channels: Vec<Channel>) -> Told {
    let counts = Counts::default();
    let (notifiers, couriers) = open(channels, Arc::new(counts.clone()));
    Told { notifiers, couriers, counts, queue: Vec::new() }
}

fn record(id: &str, stage: Stage, outcome: Option<Outcome>) -> DeploymentRecord {
    let origin = Origin {
        kind: TriggerKind::ImagePushed,
        event_id: "e-1".into(),
        reason: "push of shop_api:1.4".into(),
        by: None,
        replayed_by: None,
        metadata: None,
    };
    DeploymentRecord {
        id: id.into(),
        target: "111122223333/eu-west-1/shop/shop_api".parse().expect("valid"),
        name: "api".into(),
        version: Timestamp::from_millis(1_790_000_000_000),
        changes: vec!["image shop_api:1.4".into()],
        triggers: vec![Arc::new(origin)],
        rollback: false,
        stage,
        outcome,
        cause: outcome.filter(|it| it.is_failure()).map(|_| Cause::CrashLoop),
        reason: outcome.map(|_| format!("\"quoted\"\n🚀 {}", "x".repeat(10_000))),
        evidence: Evidence::default(),
        rollout_id: None,
        registered: false,
        cancelled: false,
        definition: Some("shop_api:13".parse().expect("valid")),
        previous_definition: Some("shop_api:12".parse().expect("valid")),
        attempts: 1,
        adopted: None,
        requested_at: Timestamp::from_millis(1_790_000_000_000),
        started_at: Some(Timestamp::from_millis(1_790_000_001_000)),
        finished_at: outcome.map(|_| Timestamp::from_millis(1_790_000_009_000)),
        tasks: Tasks::default(),
        rollout: None,
        images: Vec::new(),
        known_from: KnownFrom::Lane,
    }
}

impl Told {
    fn tell(&mut self, report: &Report) {
        self.notifiers.tell(report, Timestamp::from_millis(1_790_000_010_000));
    }

    fn begins(&mut self, id: &str) {
        self.tell(&Report::Moved(Box::new(record(id, Stage::Rollout, None))));
    }

    fn foreign(&mut self, state: ForeignState) {
        let DeploymentRecord { target, name, .. } = record("d-1", Stage::Rollout, None);
        let definition = Some("shop_api:15".parse().expect("a definition"));
        let at = Timestamp::from_millis(1_790_000_010_000);
        let rollout_id = "ecs-svc/9".into();
        let rollout = ForeignRollout { target, name, rollout_id, state, definition, reason: None, at };
        self.tell(&Report::Foreign(Box::new(rollout)));
    }

    /// Hears one thing, as the loop does. What is put on the queue stays there.
    async fn hear(&mut self) -> String {
        match self.notifiers.next().await.expect("somebody can still say something") {
            News::Told((deployment, outcome)) => format!("told {deployment}/{}", outcome.as_str()),
            News::Delivered(message) => format!("delivered {message}"),
            News::Unsent(unsent) => {
                let stored = unsent.stored().expect("the end of a deployment");
                self.queue.push(stored.event().to_string());
                format!("stored {} for {:?}", stored.id(), stored.channels)
            }
        }
    }

    /// What is heard within so many milliseconds.
    async fn heard_within(&mut self, millis: u64) -> Vec<String> {
        let (mut heard, end) = (Vec::new(), tokio::time::Instant::now() + Duration::from_millis(millis));
        while let Ok(it) = tokio::time::timeout_at(end, self.hear()).await {
            heard.push(it);
        }
        heard
    }

    /// Receives what is on the queue.
    fn receive(&mut self, left: Duration) {
        for (number, body) in std::mem::take(&mut self.queue).into_iter().enumerate() {
            let Some(Beside::Untold(stored)) = beside(body.as_bytes()) else { panic!("no notice: {body}") };
            self.notifiers.deliver(&format!("m-{number}").as_str().into(), *stored, left);
        }
    }

    /// Until so many requests have arrived. What is put on the queue is received at once.
    async fn until(&mut self, double: &Double, count: usize) -> Vec<Heard> {
        loop {
            tokio::select! {
                heard = double.until(count) => return heard,
                _ = self.hear() => self.receive(QUARTER),
            }
        }
    }

    fn ends(&mut self, id: &str, outcome: Outcome) {
        self.tell(&Report::Finished(Box::new(record(id, Stage::Finished, Some(outcome)))));
    }
}

#[tokio::test]
async fn a_bot_keeps_one_message_per_deployment_and_mentions_people_by_another() {
    let (slack, url) = Double::listen().await;
    let mut told = told_by(vec![bot(&url)]);
    told.begins("d-1");
    slack.until(1).await;
    told.ends("d-1", Outcome::RolledBack);
    slack.until(3).await;
    told.begins("d-2");
    slack.until(4).await;
    told.couriers.finish(Duration::from_secs(5)).await;
    let paths: Vec<String> = slack.heard().into_iter().map(|heard| heard.path).collect();
    let [post, update] = ["/api/chat.postMessage", "/api/chat.update"];
    assert_eq!(paths, [post, update, post, post]);
    let messages = slack.messages();
    assert_eq!(messages.len(), 3, "the first message was updated");
    assert!(messages[0]["text"].as_str().is_some_and(|text| text.starts_with("❌ api: deployment failed")));
    assert!(messages[1]["text"].as_str().is_some_and(|text| text.starts_with("<!here> ❌ api")));
    assert_eq!(told.counts.of("slack", "sent"), 3);
}

#[tokio::test]
async fn a_bot_keeps_one_message_of_a_rollout_that_is_not_ours() {
    let (slack, url) = Double::listen().await;
    let mut told = told_by(vec![bot(&url)]);
    told.foreign(ForeignState::InProgress);
    slack.until(1).await;
    told.foreign(ForeignState::Completed);
    slack.until(2).await;
    told.couriers.finish(Duration::from_secs(5)).await;
    let (messages, heard) = (slack.messages(), slack.heard());
    assert_eq!((messages.len(), heard[1].path.as_str()), (1, "/api/chat.update"));
    assert!(messages[0].to_string().contains("shop_api:15"), "{}", messages[0]);
    assert!(
        messages[0]["text"].as_str().is_some_and(|text| text.ends_with("is complete")),
        "{}",
        messages[0]
    );
}

#[tokio::test]
async fn a_message_that_is_gone_is_posted_anew() {
    let (slack, url) = Double::listen().await;
    let mut told = told_by(vec![bot(&url)]);
    told.begins("d-1");
    slack.until(1).await;
    slack.then(Mood::Error("message_not_found"));
    told.ends("d-1", Outcome::Succeeded);
    slack.until(3).await;
    told.couriers.finish(Duration::from_secs(5)).await;
    assert_eq!((slack.messages().len(), told.counts.of("slack", "sent")), (2, 2));
}

#[tokio::test]
async fn what_a_webhook_gets_is_signed_and_has_the_same_id_when_it_is_sent_again() {
    let (hook, url) = Double::listen().await;
    hook.then(Mood::Status(StatusCode::BAD_GATEWAY));
    let mut told = told_by(vec![webhook(&url)]);
    told.ends("d-1", Outcome::Failed);
    let heard = told.until(&hook, 2).await;
    told.couriers.finish(Duration::from_secs(5)).await;
    for request in &heard {
        let signed = format!("{}.{}", request.header("x-lockkeeper-timestamp"), request.body);
        let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING.as_bytes()).expect("any length");
        mac.update(signed.as_bytes());
        let code = mac.finalize().into_bytes();
        let hex: Vec<String> = code.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(request.header("x-lockkeeper-signature"), format!("v1={}", hex.concat()));
        assert_eq!(request.header("x-lockkeeper-id"), "d-1/failed");
        let json = request.json();
        assert_eq!((&json["id"], &json["kind"]), (&"d-1/failed".into(), &"failed".into()));
        assert_eq!(json["deployment"]["cause"], "crash_loop");
    }
    assert_eq!((told.counts.of("webhook_audit", "retried"), told.counts.of("webhook_audit", "sent")), (1, 1));
}

#[tokio::test]
async fn who_is_busy_is_left_alone_for_as_long_as_it_says() {
    let (slack, url) = Double::listen().await;
    slack.then(Mood::Busy(3));
    let mut told = told_by(vec![bot(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    let heard = told.until(&slack, 2).await;
    assert!(heard[1].at - heard[0].at >= Duration::from_secs(3));
    told.couriers.finish(Duration::from_secs(5)).await;
    assert_eq!(told.counts.of("slack", "sent"), 1);
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_and_not_sent_again() {
    let (slack, url) = Double::listen().await;
    slack.then(Mood::Error("channel_not_found"));
    let mut told = told_by(vec![bot(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    told.ends("d-2", Outcome::Succeeded);
    slack.until(2).await;
    told.couriers.finish(Duration::from_secs(5)).await;
    let of = |result| told.counts.of("slack", result);
    assert_eq!((of("failed"), of("sent"), of("retried"), slack.heard().len()), (1, 1, 0, 2));
}

#[tokio::test]
async fn one_that_hangs_holds_up_neither_the_loop_nor_another_channel_nor_the_end() {
    let (dead, dead_url) = Double::listen().await;
    let (hook, url) = Double::listen().await;
    dead.always(Some(Mood::Hangs));
    let mut told = told_by(vec![bot(&dead_url), webhook(&url)]);
    let began = Instant::now();
    for number in 0..1_500 {
        told.ends(&format!("d-{number}"), Outcome::Failed);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    hook.until(100).await;
    assert_eq!(dead.heard().len(), 1);
    let ends = Instant::now();
    told.couriers.finish(Duration::from_millis(500)).await;
    assert!(ends.elapsed() < Duration::from_secs(2), "{:?}", ends.elapsed());
    let of = |result| told.counts.of("slack", result);
    assert!(of("dropped") >= 499, "{}", of("dropped"));
    assert_eq!(of("dropped") + of("failed"), 1_500, "each is accounted for");
}

#[tokio::test]
async fn an_end_is_told_once_each_channel_has_taken_it() {
    let (slack, slack_url) = Double::listen().await;
    let (hook, url) = Double::listen().await;
    hook.then(Mood::Slow(Duration::from_millis(700)));
    let mut told = told_by(vec![bot(&slack_url), webhook(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    slack.until(1).await;
    assert_eq!(told.heard_within(300).await, [""; 0], "the webhook has not taken it");
    assert_eq!(told.heard_within(3_000).await, ["told d-1/succeeded"], "and nothing is put on the queue");
    assert_eq!((slack.heard().len(), hook.heard().len()), (1, 1));
}

#[tokio::test]
async fn what_one_channel_does_not_take_is_put_on_the_queue_for_it_alone_and_told_from_there() {
    let (slack, slack_url) = Double::listen().await;
    let (hook, url) = Double::listen().await;
    hook.always(Some(Mood::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    let mut told = told_by(vec![bot(&slack_url), webhook(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    told.ends("d-2", Outcome::RolledBack);
    let mut heard = told.heard_within(3_000).await;
    heard.sort();
    let stored = |id| format!("stored {id} for {{\"webhook_audit\"}}");
    let all = [
        stored("d-1/succeeded"),
        stored("d-2/rolled_back"),
        "told d-1/succeeded".into(),
        "told d-2/rolled_back".into(),
    ];
    assert_eq!(heard, all, "its messages are not held any longer");
    // The process is killed, and its successor receives what is on the queue.
    let queue = std::mem::take(&mut told.queue);
    let first = hook.heard()[0].json();
    drop(told);
    let (slack_before, hook_before) = (slack.heard().len(), hook.heard().len());
    hook.always(None);
    let mut told = told_by(vec![bot(&slack_url), webhook(&url)]);
    told.queue = queue;
    told.receive(QUARTER);
    let mut heard = told.heard_within(1_000).await;
    heard.sort();
    assert_eq!(heard, ["delivered m-0", "delivered m-1"]);
    let again: Vec<_> = hook.heard()[hook_before..].iter().map(Heard::json).collect();
    assert_eq!(again[0], first, "to the last field");
    let said = |it: &serde_json::Value| {
        (it["id"].clone(), it["kind"].clone(), it["deployment"]["finished_at"].clone())
    };
    let at = serde_json::Value::from("2026-09-21T14:13:29Z");
    let expected = [
        ("d-1/succeeded".into(), "succeeded".into(), at.clone()),
        ("d-2/rolled_back".into(), "rolled_back".into(), at),
    ];
    assert_eq!(again.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!(slack.heard().len(), slack_before, "who has it is not told again");
}

#[tokio::test]
async fn who_hangs_or_is_left_alone_holds_no_message_for_long() {
    let (hook, url) = Double::listen().await;
    hook.always(Some(Mood::Hangs));
    let mut told = told_by(vec![webhook(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    told.ends("d-2", Outcome::Failed);
    let mut heard = told.heard_within(3_000).await;
    heard.sort();
    assert_eq!(heard[0], "stored d-1/succeeded for {\"webhook_audit\"}");
    assert_eq!(heard[1], "stored d-2/failed for {\"webhook_audit\"}");
    assert_eq!(heard[2], "told d-2/failed", "what waited behind it, too");
}

#[tokio::test]
async fn what_is_taken_late_after_all_is_not_sent_again_from_the_queue() {
    let (hook, url) = Double::listen().await;
    hook.then(Mood::Slow(Duration::from_secs(3)));
    let mut told = told_by(vec![webhook(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    assert_eq!(told.heard_within(2_500).await, ["stored d-1/succeeded for {\"webhook_audit\"}"]);
    told.receive(QUARTER);
    let heard = told.heard_within(2_000).await;
    assert_eq!(heard, ["told d-1/succeeded", "delivered m-0"]);
    assert_eq!(hook.heard().len(), 1);
}

#[tokio::test]
async fn what_the_queue_has_kept_for_too_long_is_tried_once_more_and_given_up() {
    let (hook, url) = Double::listen().await;
    hook.then(Mood::Status(StatusCode::BAD_GATEWAY));
    let mut told = told_by(vec![webhook(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    told.heard_within(500).await;
    hook.then(Mood::Status(StatusCode::BAD_GATEWAY));
    told.receive(Duration::ZERO);
    assert_eq!(told.heard_within(4_000).await, ["delivered m-0"]);
    assert_eq!((hook.heard().len(), told.counts.of("webhook_audit", "failed")), (2, 1));
}

#[tokio::test]
async fn what_goes_back_to_the_queue_is_neither_sent_here_nor_said_to_be_delivered() {
    let (hook, url) = Double::listen().await;
    hook.always(Some(Mood::Status(StatusCode::BAD_GATEWAY)));
    let mut told = told_by(vec![webhook(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    told.heard_within(500).await;
    let queue = told.queue.clone();
    told.receive(QUARTER);
    told.notifiers.give_back();
    hook.always(None);
    assert_eq!(told.heard_within(3_000).await, [""; 0]);
    assert_eq!(hook.heard().len(), 1);
    told.queue = queue;
    told.receive(QUARTER);
    assert_eq!(told.heard_within(1_000).await, ["delivered m-0"], "the next term receives it anew");
}

#[tokio::test]
async fn a_channel_that_is_not_there_any_more_is_not_waited_for() {
    let (hook, url) = Double::listen().await;
    hook.always(Some(Mood::Status(StatusCode::BAD_GATEWAY)));
    let mut told = told_by(vec![webhook(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    told.heard_within(500).await;
    let queue = std::mem::take(&mut told.queue);
    let mut told = told_by(Vec::new());
    told.queue = queue;
    told.receive(QUARTER);
    assert_eq!(told.heard_within(100).await, ["delivered m-0"]);
}

#[tokio::test]
async fn an_end_that_is_refused_for_good_or_wanted_by_nobody_is_not_waited_for() {
    let (slack, url) = Double::listen().await;
    slack.then(Mood::Error("channel_not_found"));
    let mut told = told_by(vec![bot(&url)]);
    told.ends("d-1", Outcome::Succeeded);
    assert_eq!(told.heard_within(1_000).await, ["told d-1/succeeded"]);
    let filter = NoticeFilter { outcomes: [].into(), ..all() };
    let mut told = told_by(vec![Channel { filter, ..webhook(&url) }]);
    told.ends("d-2", Outcome::Failed);
    assert_eq!(told.heard_within(100).await, ["told d-2/failed"]);
    assert!(told_by(Vec::new()).notifiers.are_none());
}

#[tokio::test]
async fn an_end_for_which_there_is_no_room_is_not_waited_for() {
    let (dead, url) = Double::listen().await;
    dead.always(Some(Mood::Hangs));
    let mut told = told_by(vec![webhook(&url)]);
    for number in 0..1_002 {
        told.ends(&format!("d-{number}"), Outcome::Failed);
    }
    assert!(!told.heard_within(100).await.is_empty());
}

#[tokio::test]
async fn at_the_end_what_waits_is_sent() {
    let (hook, url) = Double::listen().await;
    let mut told = told_by(vec![webhook(&url)]);
    for number in 0..50 {
        told.ends(&format!("d-{number}"), Outcome::Succeeded);
    }
    told.couriers.finish(Duration::from_secs(10)).await;
    assert_eq!((hook.heard().len(), told.counts.of("webhook_audit", "sent")), (50, 50));
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_reaches_the_log_however_sending_fails() {
    let out = Written::default();
    let writer = out.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (slack, url) = Double::listen().await;
    slack.then(Mood::Error("invalid_auth"));
    let nobody = "http://127.0.0.1:1";
    let mut told = told_by(vec![bot(&url), webhook(nobody)]);
    told.ends("d-1", Outcome::Failed);
    slack.until(1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    told.couriers.finish(Duration::from_millis(300)).await;
    assert_eq!(told.counts.of("slack", "failed"), 1);
    let log = String::from_utf8(out.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("text");
    assert!(log.contains("invalid_auth") && log.contains("webhook_audit"), "{log}");
    assert!(!log.contains("planted"), "{log}");
    let channels = format!("{:?}", [bot(&url), webhook(nobody)]);
    assert!(!channels.contains("planted"), "{channels}");
}
