//! What is shown of services of which nothing was asked, or by a process that has just begun.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use lockkeeper::domain::{Adopted, DiscoveryRules, Glob, LaneState, Outcome, Selector};
use serde_json::json;
use tokio::time::Instant;

use super::lab::{ACCOUNT, Daemon, Estate, rules};

const REFRESH: Duration = Duration::from_mins(10);

/// What is shown to run, and what is being rolled out beside that.
fn runs(daemon: &Daemon, service: &str) -> (String, String) {
    let Some(shown) = daemon.shows(service) else { return told("", "") };
    let by = |by: &Option<_>| by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let running = shown.running.as_ref().map(|it| format!("{}{}", it.definition, by(&it.by)));
    let rollout = shown.rollout.as_ref().map(|it| format!("{}{}", it.definition, by(&it.by)));
    (running.unwrap_or_default(), rollout.unwrap_or_default())
}

fn told(running: &str, rollout: &str) -> (String, String) {
    (running.into(), rollout.into())
}

async fn furnished(services: &[&str]) -> Estate {
    let estate = Estate::new();
    for name in services {
        estate.service(ACCOUNT, name, 1);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    estate
}

/// Somebody rolls out another revision, from its beginning to its end. ECS tells of both.
async fn somebody_rolls_out(estate: &Estate, daemon: &Daemon) {
    daemon.until(|it| runs(it, "api") == told("api:1", "")).await;
    let image = daemon.shown("api").running.as_ref().unwrap().images[0].image.to_string();
    assert!(image.ends_with("/shop/api:v1"), "{image}");
    let digest = |daemon: &Daemon| daemon.shown("api").running.as_ref()?.images[0].digest.clone();
    let took = daemon.until(|it| digest(it).is_some()).await;
    assert!(took <= Duration::from_secs(10), "{took:?}");

    estate.definition(ACCOUNT, "api", "/shop/other");
    estate.move_to(ACCOUNT, "api", "api");
    estate.rollout_began(ACCOUNT, "shop/api");
    let asked = Instant::now();
    daemon.until(|it| runs(it, "api") == told("api:1", "api:2")).await;
    assert!(asked.elapsed() <= Duration::from_secs(8), "{:?}", asked.elapsed());
    assert_eq!(daemon.shown("api").lane.state, LaneState::Idle, "it is nothing of ours");

    daemon.until(|_| estate.is_stable(ACCOUNT, "api")).await;
    estate.rollout_moved(ACCOUNT, "shop/api", "SERVICE_DEPLOYMENT_COMPLETED");
    let asked = Instant::now();
    daemon.until(|it| runs(it, "api") == told("api:2", "") && digest(it).is_some()).await;
    assert!(asked.elapsed() <= Duration::from_secs(8), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_shown_from_the_start_and_what_others_roll_out_while_they_do() {
    let estate = furnished(&["api"]).await;
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until_read().await;
    somebody_rolls_out(&estate, &daemon).await;
    // The same of a target of which something was asked before.
    estate.parameter_changed(ACCOUNT, "/shop/other");
    assert_eq!(daemon.finished().await.1, Outcome::Succeeded);
    assert_eq!(runs(&daemon, "api").0.split(' ').next(), Some("api:2"));
    tokio::time::sleep(Duration::from_mins(1)).await;
    estate.definition(ACCOUNT, "api", "/shop/third");
    estate.move_to(ACCOUNT, "api", "api");
    estate.rollout_began(ACCOUNT, "shop/api");
    daemon.until(|it| runs(it, "api").1 == "api:3").await;
    // Of its end nothing is heard.
    daemon.until(|_| estate.is_stable(ACCOUNT, "api")).await;
    let over = Instant::now();
    daemon.until(|it| runs(it, "api") == told("api:3", "")).await;
    assert!(over.elapsed() <= Duration::from_secs(35), "{:?}", over.elapsed());
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_is_shown_of_a_service_that_only_the_settings_name() {
    let estate = furnished(&["api", "unnamed"]).await;
    let daemon = Daemon::of_named(&estate, "api").await;
    somebody_rolls_out(&estate, &daemon).await;
    estate.rollout_began(ACCOUNT, "shop/unnamed");
    tokio::time::sleep(Duration::from_secs(20)).await;
    let calls = estate.calls();
    let definitions = calls.iter().filter(|(_, operation, _)| operation == "DescribeTaskDefinition").count();
    assert_eq!((daemon.targets().len(), definitions), (1, 2), "only what is shown is read");
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_hand_is_noticed_by_the_refresh_and_so_is_its_end() {
    let estate = furnished(&["api", "web"]).await;
    estate.tag(ACCOUNT, "web", "lockkeeper:held", "2026-11-01T12:00:00Z / ann / it was bad");
    let mut daemon = Daemon::begin(&estate, rules(REFRESH), &[]).await;
    daemon.until_read().await;
    let hold = |daemon: &Daemon, service: &str| {
        let record = daemon.shown(service).lane.hold.clone();
        record.map(|it| format!("{} {}", it.kind.as_str(), it.reason.unwrap_or_default()))
    };
    daemon.until(|it| hold(it, "web").as_deref() == Some("held it was bad")).await;
    assert_eq!((hold(&daemon, "api"), runs(&daemon, "web")), (None, told("web:1", "")));

    estate.tag(ACCOUNT, "api", "lockkeeper:paused", "an incident");
    tokio::time::sleep(REFRESH + Duration::from_secs(10)).await;
    assert_eq!(hold(&daemon, "api").as_deref(), Some("paused an incident"));
    assert!(daemon.holds_told().is_empty(), "nobody decided it here");

    // What waits behind it goes on once the tag is gone, and nothing was asked of the other one.
    estate.parameter_changed(ACCOUNT, "/shop/api");
    daemon.until(|it| it.shown("api").lane.state == LaneState::Queued).await;
    estate.untag(ACCOUNT, "api", "lockkeeper:paused");
    estate.untag(ACCOUNT, "web", "lockkeeper:held");
    tokio::time::sleep(REFRESH + Duration::from_mins(1)).await;
    assert_eq!((hold(&daemon, "api"), hold(&daemon, "web")), (None, None));
    let mut told = daemon.holds_told();
    told.sort();
    assert_eq!(told, ["api paused Vanished", "web held Vanished"]);
    let updates = estate.calls().into_iter().filter(|(_, operation, _)| operation == "UpdateService").count();
    assert_eq!((updates, daemon.shown("api").lane.state), (1, LaneState::Idle));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_service_is_dropped_once_its_owner_is_known_to_have_switched_it_off() {
    let estate = furnished(&["api"]).await;
    estate.tag(ACCOUNT, "api", "lockkeeper:paused", "an incident");
    let mut daemon = Daemon::begin(&estate, rules(REFRESH), &[]).await;
    daemon.until_read().await;
    estate.parameter_changed(ACCOUNT, "/shop/api");
    daemon.until(|it| it.shown("api").lane.state == LaneState::Queued).await;
    estate.tag(ACCOUNT, "api", "lockkeeper:enabled", "false");
    daemon.until(|it| it.shown("api").lane.state == LaneState::Idle).await;
    let why = daemon.shown("api").lane.why.clone().unwrap_or_default();
    assert!(why.starts_with("it is not deployed: "), "{why}");

    // What comes once it is on again is deployed, and nothing of what came before.
    estate.untag(ACCOUNT, "api", "lockkeeper:paused");
    tokio::time::sleep(REFRESH + Duration::from_mins(1)).await;
    let updates = |estate: &Estate| {
        estate.calls().into_iter().filter(|(_, operation, _)| operation == "UpdateService").count()
    };
    assert_eq!((updates(&estate), estate.letters()), (0, Vec::new()));
    estate.untag(ACCOUNT, "api", "lockkeeper:enabled");
    tokio::time::sleep(REFRESH + Duration::from_mins(1)).await;
    estate.parameter_changed(ACCOUNT, "/shop/api");
    assert_eq!(daemon.finished().await.1, Outcome::Succeeded);
    assert_eq!(updates(&estate), 1);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_service_that_is_excluded_meanwhile_is_dropped_and_it_is_shown_no_more() {
    let estate = furnished(&["api", "web"]).await;
    estate.tag(ACCOUNT, "api", "lockkeeper:paused", "an incident");
    let exclude = vec![Selector::Tag { key: "team".into(), value: Glob::new("other") }];
    let daemon = Daemon::begin(&estate, DiscoveryRules { exclude, ..rules(REFRESH) }, &[]).await;
    daemon.until_read().await;
    estate.parameter_changed(ACCOUNT, "/shop/api");
    daemon.until(|it| it.shown("api").lane.state == LaneState::Queued).await;
    estate.tag(ACCOUNT, "api", "team", "other");
    daemon.until(|it| it.shows("api").is_none()).await;
    estate.untag(ACCOUNT, "api", "lockkeeper:paused");
    let calls = || {
        let of_it = |operation: &str| ["DescribeServices", "UpdateService"].contains(&operation);
        estate.calls().into_iter().filter(|(_, operation, _)| of_it(operation)).count()
    };
    let before = calls();
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(calls(), before, "neither read nor deployed before the next refresh");
    assert_eq!((estate.letters(), daemon.targets().len()), (vec![], 1));

    // Once it is selected again it is one like any other.
    estate.untag(ACCOUNT, "api", "team");
    daemon.until(|it| it.shows("api").is_some_and(|it| it.lane.hold.is_none())).await;
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_its_owner_has_just_switched_off_is_not_deployed_before_that_was_read() {
    let estate = furnished(&["api"]).await;
    let daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until_read().await;
    estate.tag(ACCOUNT, "api", "lockkeeper:enabled", "false");
    estate.parameter_changed(ACCOUNT, "/shop/api");
    daemon.until(|it| it.shown("api").refused.is_some()).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let updates = estate.calls().into_iter().filter(|(_, operation, _)| operation == "UpdateService").count();
    assert_eq!((updates, estate.letters(), daemon.shown("api").lane.state), (0, vec![], LaneState::Idle));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_a_rollout_of_ours_is_shown_before_its_message_comes_back() {
    let estate = furnished(&["api"]).await;
    let daemon = Daemon::begin(&estate, rules(REFRESH), &[]).await;
    daemon.until_read().await;
    let image = format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/shop/api:v2");
    let detail = json!({"service": "api", "image": image, "reason": "a release"});
    estate.event(ACCOUNT, "action.production", "Deploy", json!([]), detail);
    daemon.until(|it| it.shown("api").lane.state == LaneState::Watching).await;
    let ours = daemon.shown("api").lane.deployment.clone().unwrap();
    let began = Instant::now();
    daemon.kill().await;

    let mut daemon = Daemon::begin(&estate, rules(REFRESH), &[]).await;
    daemon.until_read().await;
    daemon.until(|it| runs(it, "api") == told("api:1", &format!("api:2 by {ours}"))).await;
    assert_eq!(daemon.shown("api").lane.state, LaneState::Idle, "its message is hidden");
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    let ended = daemon.ended().await;
    assert_eq!((ended.outcome, &ended.id), (Some(Outcome::Succeeded), &ours));
    assert_eq!((ended.adopted, ended.attempts), (Some(Adopted::Ours), 1));
    let took = ended.finished_at.unwrap().since(ended.started_at.unwrap()).as_secs();
    assert!((10..=40).contains(&took), "{took} s, as ECS tells");
    daemon.until(|it| runs(it, "api") == told(&format!("api:2 by {ours}"), "")).await;
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_services_with_one_name_each_is_told_from_the_other() {
    let estate = furnished(&["api"]).await;
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until_read().await;
    let names = |daemon: &Daemon| daemon.names();
    assert_eq!(names(&daemon), ["api"]);
    estate.ecs(ACCOUNT, "CreateCluster", json!({"clusterName": "mail"}));
    let service =
        json!({"cluster": "mail", "serviceName": "api", "taskDefinition": "api", "desiredCount": 1});
    estate.ecs(ACCOUNT, "CreateService", service);
    estate.rollout_began(ACCOUNT, "mail/api");
    daemon.until(|it| names(it) == ["mail/api", "shop/api"]).await;
    let ask = |service: &str| {
        let detail = json!({"service": service, "reason": "new tasks"});
        estate.event(ACCOUNT, "action.production", "Deploy", json!([]), detail);
    };
    ask("api");
    ask("mail/api");
    let ended = daemon.ended().await;
    assert_eq!((ended.name.as_str(), ended.target.cluster().as_str()), ("mail/api", "mail"));
    ask("shop/api");
    assert_eq!(daemon.ended().await.name.as_str(), "shop/api");
    let metric = "lockkeeper_deployments_total{outcome=\"succeeded\",target=\"shop/api\",trigger=\"deploy_requested\"}";
    assert_eq!(daemon.metric(metric).as_deref(), Some("1"));
    estate.ecs(ACCOUNT, "DeleteService", json!({"cluster": "mail", "service": "api", "force": true}));
    estate.rollout_began(ACCOUNT, "mail/api");
    daemon.until(|it| names(it) == ["api"]).await;
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_revision_of_ours_that_somebody_moved_another_service_to_is_not_that_one_s_deployment() {
    let estate = furnished(&["api", "web"]).await;
    let mut daemon = Daemon::begin(&estate, rules(REFRESH), &[]).await;
    daemon.until_read().await;
    let image = format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/shop/api:v2");
    let detail = json!({"service": "api", "image": image, "reason": "a release"});
    estate.event(ACCOUNT, "action.production", "Deploy", json!([]), detail);
    let ours = daemon.ended().await.id;
    estate.move_to(ACCOUNT, "web", "api:2");
    estate.rollout_began(ACCOUNT, "shop/web");
    daemon.until(|it| runs(it, "web") == told("web:1", "api:2")).await;
    daemon.until(|it| runs(it, "web") == told("api:2", "")).await;
    assert_eq!(runs(&daemon, "api"), told(&format!("api:2 by {ours}"), ""));
    // The planner's own look says the same.
    estate.parameter_changed(ACCOUNT, "/shop/api");
    let ended = [daemon.finished().await.0, daemon.finished().await.0];
    assert_ne!(ended[0], ended[1]);
    assert!(!runs(&daemon, "web").0.contains(&ours.to_string()));
    daemon.end().await;
}

/// What is logged.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_target_that_the_settings_name_no_tag_is_told_to_keep_it_back() {
    let out = Written::default();
    let writer = out.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let estate = furnished(&["api", "web"]).await;
    for service in ["api", "web"] {
        estate.tag(ACCOUNT, service, "lockkeeper:enabled", "false");
    }
    let daemon = Daemon::naming(&estate, "api", Some(rules(REFRESH))).await;
    daemon.until_read().await;
    daemon.until(|it| it.shown("web").refused.is_some()).await;
    let refused = daemon.shown("api").refused.clone();
    daemon.end().await;
    let log = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("which is not deployed")).collect();
    assert!(matches!(&*told, [web] if web.contains("shop/web")), "{told:#?}");
    assert_eq!(refused, None);
}
