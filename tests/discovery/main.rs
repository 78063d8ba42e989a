//! Services that nobody named: the whole daemon finds them in the simulated world, which throttles as ECS does, and keeps
//! knowing them. In virtual time, by the real SDK.
#![cfg(all(feature = "daemon", feature = "sim"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;
mod shown;
#[path = "../wire/mod.rs"]
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lockkeeper::{
    domain::{Glob, Outcome, Selector},
    sim::{Fault, FaultKind, Service},
};
use serde_json::json;
use tokio::time::Instant;

use lab::{ACCOUNT, Daemon, Estate, OTHER, REGION, name, other, rules};

#[tokio::test(start_paused = true)]
async fn five_thousand_services_are_read_at_the_pace_of_the_budget_before_anything_is_received() {
    const SERVICES: usize = 5_000;
    let estate = Estate::new();
    for number in 0..SERVICES {
        estate.service(ACCOUNT, &name(number), 0);
    }
    // One of which something is asked, before anybody knows it.
    estate.service(ACCOUNT, "asked", 1);
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let furnished = estate.calls().len();
    estate.parameter_changed(ACCOUNT, "/shop/asked");

    let mut daemon = Daemon::begin(&estate, rules(Duration::from_mins(15)), &[]).await;
    let third = daemon.until(|it| it.targets().len() > SERVICES / 3).await;
    assert!(daemon.is_ready(), "it is at work, and a load balancer is to leave it alone");
    assert_eq!(daemon.part("intake"), "ok: nothing is received before the services are read");
    let progress = daemon.part("inventory");
    assert!(progress.starts_with("ok: 1,6") && progress.ends_with(" of 5,001 services read"), "{progress}");

    let took = daemon.until_read().await.as_secs();
    assert_eq!(daemon.part("inventory"), "ok: 5,001 services read");
    assert_eq!(daemon.targets().len(), SERVICES + 1);
    // 5,001 definitions, of which the first 25 at once, at half of ECS's rate.
    assert!((495..=505).contains(&took), "{took} s, a third of it {third:?}");
    let calls = estate.calls();
    let read = &calls[furnished..];
    assert!(read.iter().all(|(_, _, result)| result != "ThrottlingException"));
    let count = |operation: &str| read.iter().filter(|(_, it, _)| it == operation).count();
    let counts = ["ListClusters", "DescribeClusters", "ListServices", "DescribeTaskDefinition"];
    assert_eq!(counts.map(count), [1, 1, 51, SERVICES + 1]);
    // The deployment that was asked for looks at its service a few times.
    assert!((501..=520).contains(&count("DescribeServices")), "{}", count("DescribeServices"));
    assert_eq!(
        daemon.metric("lockkeeper_inventory_targets{account=\"111122223333\",region=\"eu-west-1\"}").unwrap(),
        "5001"
    );
    // What was asked for meanwhile found its target.
    assert_eq!(daemon.finished().await, (format!("{ACCOUNT}/{REGION}/shop/asked"), Outcome::Succeeded));

    // Everything is read anew, slowly, and no definition a second time. What somebody waits for goes first.
    let read = estate.calls().len();
    tokio::time::sleep(Duration::from_mins(10)).await;
    let updates = || estate.calls().iter().filter(|(_, it, _)| it == "UpdateService").count();
    let (asked, before) = (Instant::now(), updates());
    estate.parameter_changed(ACCOUNT, "/shop/asked");
    daemon.until(|_| updates() > before).await;
    assert!(asked.elapsed() <= Duration::from_secs(3), "{:?}", asked.elapsed());
    tokio::time::sleep(Duration::from_mins(5)).await;
    let calls = estate.calls();
    let count = |operation: &str| calls[read..].iter().filter(|(_, it, _)| it == operation).count();
    assert!(count("DescribeServices") >= 500, "{}", count("DescribeServices"));
    assert_eq!(count("DescribeTaskDefinition"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_service_and_a_changed_definition_are_known_within_a_minute_of_their_first_event() {
    let estate = Estate::new();
    estate.service(ACCOUNT, "api", 1);
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    assert!(daemon.until_read().await <= Duration::from_secs(5));

    estate.service(ACCOUNT, "new", 1);
    estate.rollout_began(ACCOUNT, "shop/new");
    let told = Instant::now();
    daemon.until(|it| it.knows(ACCOUNT, "new")).await;
    assert!(told.elapsed() <= Duration::from_mins(1), "{:?}", told.elapsed());
    estate.parameter_changed(ACCOUNT, "/shop/new");
    assert_eq!(daemon.finished().await.0, format!("{ACCOUNT}/{REGION}/shop/new"));

    // Somebody deploys a definition that reads something else.
    estate.definition(ACCOUNT, "api", "/shop/other");
    estate.ecs(
        ACCOUNT,
        "UpdateService",
        json!({"cluster": "shop", "service": "api", "taskDefinition": "api"}),
    );
    estate.rollout_began(ACCOUNT, "shop/api");
    tokio::time::sleep(Duration::from_mins(1)).await;
    estate.parameter_changed(ACCOUNT, "/shop/other");
    assert_eq!(daemon.finished().await.0, format!("{ACCOUNT}/{REGION}/shop/api"));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_service_of_a_new_cluster_is_known_by_its_first_event() {
    let estate = Estate::new();
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until_read().await;
    estate.ecs(ACCOUNT, "CreateCluster", json!({"clusterName": "mail"}));
    estate.definition(ACCOUNT, "in", "/mail/in");
    let service = json!({"cluster": "mail", "serviceName": "in", "taskDefinition": "in", "desiredCount": 1});
    estate.ecs(ACCOUNT, "CreateService", service);
    estate.rollout_began(ACCOUNT, "mail/in");
    daemon.until(|it| it.targets() == [format!("{ACCOUNT}/{REGION}/mail/in")]).await;
    estate.parameter_changed(ACCOUNT, "/mail/in");
    assert_eq!(daemon.finished().await.1, Outcome::Succeeded);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_means_several_services_is_set_aside_and_one_by_id_is_carried_out() {
    let estate = Estate::new();
    estate.service(ACCOUNT, "api", 1);
    estate.ecs(ACCOUNT, "CreateCluster", json!({"clusterName": "test"}));
    let twin = json!({"cluster": "test", "serviceName": "api", "taskDefinition": "api", "desiredCount": 1});
    estate.ecs(ACCOUNT, "CreateService", twin);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until_read().await;
    let ask = |service: &str| {
        estate.event(ACCOUNT, "action.deploy", "DEPLOY", json!([]), json!({"service": service}));
    };
    ask("api");
    ask(&format!("{ACCOUNT}/{REGION}/test/api"));
    ask("nobody");
    assert_eq!(daemon.finished().await, (format!("{ACCOUNT}/{REGION}/test/api"), Outcome::Succeeded));
    let letters = estate.letters();
    let reason = "`api` means several targets, ask for one of shop/api, test/api";
    assert!(letters.len() == 1 && letters[0].contains(reason), "{letters:?}");
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_event_told_is_known_after_the_refresh() {
    let estate = Estate::new();
    for name in ["api", "gone", "tagged"] {
        estate.service(ACCOUNT, name, 0);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let refresh = Duration::from_mins(10);
    let daemon = Daemon::begin(&estate, rules(refresh), &[]).await;
    daemon.until_read().await;
    assert_eq!(daemon.targets().len(), 3);

    estate.service(ACCOUNT, "new", 0);
    estate.ecs(ACCOUNT, "DeleteService", json!({"cluster": "shop", "service": "gone"}));
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/tagged");
    let off = json!([{"key": "lockkeeper", "value": "off"}]);
    estate.ecs(ACCOUNT, "TagResource", json!({"resourceArn": arn, "tags": off}));
    tokio::time::sleep(refresh + Duration::from_secs(10)).await;
    let known: BTreeSet<String> = daemon.targets().into_iter().collect();
    let expected = ["api", "new"].map(|name| format!("{ACCOUNT}/{REGION}/shop/{name}"));
    assert_eq!(known, expected.into());
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_another_lockkeeper_has_tagged_is_left_alone_and_ours_are_tagged() {
    let estate = Estate::new();
    for name in ["api", "theirs", "taken"] {
        estate.service(ACCOUNT, name, 1);
    }
    estate.tag(ACCOUNT, "theirs", "lockkeeper:owner", "111122223333/eu-west-1/another");
    tokio::time::sleep(Duration::from_mins(2)).await;
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until_read().await;
    estate.parameter_changed(ACCOUNT, "/shop/theirs");
    estate.parameter_changed(ACCOUNT, "/shop/api");
    assert_eq!(daemon.finished().await, (format!("{ACCOUNT}/{REGION}/shop/api"), Outcome::Succeeded));
    let ours = json!([{"key": "lockkeeper:owner", "value": format!("{ACCOUNT}/{REGION}/events")}]);
    assert_eq!(estate.tags(ACCOUNT, "api"), ours);
    assert!(estate.letters().is_empty(), "discovery left it to its owner");

    // Nobody has read it since, so the look finds out, and nothing is lost.
    estate.tag(ACCOUNT, "taken", "lockkeeper:owner", "111122223333/eu-west-1/another");
    estate.parameter_changed(ACCOUNT, "/shop/taken");
    assert_eq!(daemon.finished().await, (format!("{ACCOUNT}/{REGION}/shop/taken"), Outcome::Failed));
    assert!(estate.letters()[0].contains("deployed by the Lockkeeper of queue"), "{:?}", estate.letters());
    let updates = estate.calls().into_iter().filter(|(_, operation, _)| operation == "UpdateService").count();
    assert_eq!(updates, 1);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_forgets_nothing_and_is_told() {
    let estate = Estate::new();
    for number in 0..30 {
        estate.service(ACCOUNT, &name(number), 0);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    let refresh = Duration::from_mins(10);
    let daemon = Daemon::begin(&estate, rules(refresh), &[]).await;
    daemon.until_read().await;
    for operation in ["ListServices", "DescribeServices"] {
        estate.fails(operation, 1_000_000);
        tokio::time::sleep(refresh + Duration::from_mins(2)).await;
        assert_eq!(daemon.targets().len(), 30);
        let told = daemon.part("inventory");
        assert!(told.starts_with("failing: ") && told.contains(operation), "{told}");
        assert!(daemon.is_ready(), "what is known is known");
        estate.heal();
        daemon.until(|it| it.part("inventory") == "ok: 30 services read").await;
    }
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_read_for_a_while_is_read_soon_after() {
    let estate = Estate::new();
    for number in 0..30 {
        estate.service(ACCOUNT, &name(number), 0);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    let fault = Fault {
        mentions: Some(name(7)),
        ..Fault::new(Service::Ecs, "DescribeTaskDefinition", FaultKind::ServerError, 15)
    };
    estate.fault(fault);
    let daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    daemon.until(|it| it.part("intake") == "ok: messages are received").await;
    assert_eq!(daemon.targets().len(), 29, "the others are not held up");
    let told = daemon.part("inventory");
    assert!(
        told.starts_with("failing: ")
            && told.contains("1 of 30 services, as 111122223333/eu-west-1/shop/s0007"),
        "{told}"
    );
    let known = daemon.until(|it| it.part("inventory") == "ok: 30 services read").await;
    assert!(known <= Duration::from_mins(3) && daemon.targets().len() == 30, "{known:?}");
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn services_of_another_account_are_found_and_deployed_by_its_role() {
    let estate = Estate::new();
    estate.trusts("shop");
    for account in [ACCOUNT, OTHER] {
        estate.service(account, "api", 1);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    estate.throttle();
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[other(Some("shop"))]).await;
    daemon.until_read().await;
    assert!(daemon.knows(ACCOUNT, "api") && daemon.knows(OTHER, "api"));
    // One name in two accounts: each has a parameter of its own.
    estate.parameter_changed(OTHER, "/shop/api");
    assert_eq!(daemon.finished().await, (format!("{OTHER}/{REGION}/shop/api"), Outcome::Succeeded));
    let updates = |account: &str| {
        estate.calls().iter().filter(|(of, it, _)| of == account && it == "UpdateService").count()
    };
    assert_eq!((updates(ACCOUNT), updates(OTHER)), (0, 1));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_read_holds_up_the_others_for_five_minutes_and_loses_nothing() {
    let estate = Estate::new();
    estate.trusts("theirs");
    for account in [ACCOUNT, OTHER] {
        estate.service(account, "api", 1);
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    let mut daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[other(Some("wrong"))]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let told = daemon.part("inventory");
    assert!(told.starts_with(&format!("failing: {OTHER}/{REGION} cannot be read for ")), "{told}");
    assert_eq!(daemon.part("intake"), "ok: nothing is received before the services are read");
    assert!(daemon.is_ready(), "another process would fare no better");

    let opened = daemon.until(|it| it.part("intake") == "ok: messages are received").await;
    assert!((300..=370).contains(&opened.as_secs()), "{opened:?}");
    // Ours goes on, and what may be theirs is set aside.
    estate.parameter_changed(OTHER, "/shop/api");
    estate.parameter_changed(ACCOUNT, "/nobody/reads/this");
    estate.parameter_changed(ACCOUNT, "/shop/api");
    assert_eq!(daemon.finished().await, (format!("{ACCOUNT}/{REGION}/shop/api"), Outcome::Succeeded));
    let letters = estate.letters();
    let reason = format!("the services of {OTHER}/{REGION} could not be read");
    assert!(letters.len() == 1 && letters[0].contains(&reason), "{letters:?}");

    // The role's trust policy is mended.
    estate.trusts("wrong");
    daemon.until(|it| it.knows(OTHER, "api") && it.part("inventory").starts_with("ok: ")).await;
    estate.parameter_changed(OTHER, "/shop/api");
    assert_eq!(daemon.finished().await, (format!("{OTHER}/{REGION}/shop/api"), Outcome::Succeeded));
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_can_read_nowhere_is_not_ready_and_receives_nothing() {
    let estate = Estate::new();
    estate.fails("ListClusters", 1_000_000);
    estate.parameter_changed(ACCOUNT, "/shop/api");
    let daemon = Daemon::begin(&estate, rules(Duration::from_hours(1)), &[]).await;
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert!(!daemon.is_ready());
    assert!(estate.calls().iter().all(|(_, operation, _)| operation != "ReceiveMessage"));
    estate.heal();
    daemon.until(|it| it.part("intake") == "ok: messages are received").await;
    assert!(daemon.is_ready());
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn signs_of_a_service_that_is_no_target_cost_one_reading_in_a_while() {
    let estate = Estate::new();
    estate.service(ACCOUNT, "api", 0);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let mut rules = rules(Duration::from_hours(1));
    rules.exclude.push(Selector::Name(Glob::new("old-*")));
    let daemon = Daemon::begin(&estate, rules, &[]).await;
    daemon.until_read().await;
    let before = estate.calls().len();
    for second in 0..60 {
        estate.rollout_began(ACCOUNT, "shop/nobody");
        estate.rollout_began(ACCOUNT, &format!("shop/old-{second}"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let calls = estate.calls();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, operation, _) in &calls[before..] {
        *made.entry(operation).or_default() += 1;
    }
    let described = made.get("DescribeServices").copied().unwrap_or(0);
    assert!((5..=12).contains(&described), "{made:?}");
    daemon.end().await;
}
