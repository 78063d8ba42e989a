use std::sync::Arc;

use insta::assert_snapshot;

use super::*;
use crate::{
    domain::{Moment, TriggerKind},
    report::sample::{at, origin},
    status::sample::{Sample, about},
};

fn page(sample: &Sample, live: bool) -> String {
    let (now, at) = (sample.now, at("12:06:00"));
    let health = sample.health.assess(now);
    View { snapshot: &sample.snapshot, about: &about(), health: &health, now, at, live }.page().into_string()
}

fn first_of(snapshot: &mut Snapshot) -> &mut TargetRecord {
    Arc::make_mut(&mut Arc::make_mut(&mut snapshot.targets)[0])
}

/// The rows of the table under the heading with this id, a line each, without the elements.
fn rows(html: &str, id: &str) -> String {
    let section = html.split(&format!("<h2 id=\"{id}\">")).nth(1).expect("the section is there");
    let section = section.split("</section>").next().unwrap_or_default();
    section.split("<tr role=\"row\">").skip(2).map(words).collect::<Vec<_>>().join("\n")
}

fn words(html: &str) -> String {
    let html = html.replace("</td>", "|");
    let texts = html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text).trim());
    let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
    texts.join(" ")
}

#[test]
fn what_is_under_way_says_how_far_it_is() {
    assert_snapshot!(rows(&page(&Sample::busy(), false), "under-way"), @"api d-77fe | Rolling out | chubby_api:14 after chubby_api:13 image shop_api:1.5 | 1 of 4 run 1 failed in a row | 2 events push of shop_api:1.4, … push of shop_api:1.4 push of shop_api:latest | 55 s ago |");
}

#[test]
fn targets_that_do_something_come_first_and_say_what() {
    let mut sample = Sample::busy();
    Arc::make_mut(&mut sample.snapshot.targets).rotate_left(3);
    assert_snapshot!(rows(&page(&sample, false), "targets"), @"
    api shop / chubby_api | chubby_api:13 5 min ago web shop_api:1.4 | Watching | 1 |
    cart shop / chubby_cart | chubby_cart:13 5 min ago web shop_cart:1.4 | Gathering for 4 s | 20 |
    mail shop / chubby_mail | chubby_mail:13 5 min ago web shop_mail:1.4 | Blocked a rollout that deployer started is in progress | 1 |
    search shop / chubby_search | Not looked at yet | Idle | 0 |
    ");
}

#[test]
fn what_ended_says_how_and_why() {
    assert_snapshot!(rows(&page(&Sample::busy(), false), "ended"), @"
    api d-bad0 | Rolled back crash loop container web exited with 1, three times What was seen Task 0af3c1 stopped, container web , exit code 1: Essential container in task exited (service chubby_api) rolling back to deployment ecs-svc/8001 | chubby_api:13 after chubby_api:12 image shop_api:broken | main at 0af3c1 is ready | 3 min 55 s | 2 min ago |
    api d-12ab | Succeeded | chubby_api:13 after chubby_api:12 image shop_api:1.4 | 2 events push of shop_api:1.4, … push of shop_api:1.4 push of shop_api:latest | 8 s | 5 min ago |
    ");
}

#[test]
fn the_summary_counts_and_says_what_is_wrong() {
    let mut sample = Sample::busy();
    sample.now = Moment::from_millis(700_000);
    let html = page(&sample, false);
    let summary = html.split("<dl>").nth(1).and_then(|rest| rest.split("</dl>").next()).expect("a summary");
    assert_snapshot!(words(&summary.replace("</div>", "|")), @"Health Not ready loop: the loop has not turned for 1 min 40 s | Targets 4 | Under way 1 | Requests waiting 22 | Set aside 1 |");
}

#[test]
fn an_empty_page_says_that_nothing_is_there() {
    let mut sample = Sample::busy();
    sample.snapshot = Snapshot::empty(sample.now);
    let html = page(&sample, false);
    for text in ["Nothing is under way.", "No target is known yet.", "No deployment has ended", "On standby"]
    {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn names_and_reasons_are_text_wherever_they_stand() {
    let evil = "<script>alert('x')</script>\"'&";
    let mut sample = Sample::busy();
    let snapshot = &mut sample.snapshot;
    let first = first_of(snapshot);
    (first.name, first.lane.why) = (evil.into(), Some(evil.into()));
    let mut it = snapshot.under_way().next().expect("one is under way").clone();
    (it.id, it.name, it.reason, it.changes) =
        (evil.into(), evil.into(), Some(evil.into()), vec![evil.into(); 2]);
    it.triggers = vec![origin(TriggerKind::ImagePushed, evil, evil)];
    let mut ended = it.clone();
    ended.evidence.service_events = vec![evil.into()];
    ended.finished_at = Some(at("12:05:59"));
    snapshot.deployments = Arc::new([(it.target.clone(), Arc::new(it))].into());
    Arc::make_mut(&mut snapshot.history).push(ended.clone());
    let html = page(&sample, false);
    let health = sample.health.assess(sample.now);
    let (now, at) = (sample.now, at("12:06:00"));
    let view = View { snapshot: &sample.snapshot, about: &about(), health: &health, now, at, live: true };
    let html = html + &view.deployment(&ended).into_string();
    assert!(!html.contains("<script") && !html.contains("alert('x')</script>\"'"), "not escaped");
    assert!(html.matches("&lt;script&gt;").count() >= 9, "{}", html.matches("&lt;script&gt;").count());
    assert!(!html.contains("href=\"/deployments/<"));
}

#[test]
fn a_deployment_has_a_page_that_tells_all_of_it() {
    let sample = Sample::busy();
    let (now, at) = (sample.now, at("12:06:00"));
    let health = sample.health.assess(now);
    let view = View { snapshot: &sample.snapshot, about: &about(), health: &health, now, at, live: false };
    let told = |it: &crate::domain::DeploymentRecord| {
        let html = view.deployment(it).into_string();
        assert!(html.contains(&format!("href=\"/deployments/{}?live\"", it.id)));
        let main = html.split("<main>").nth(1).and_then(|rest| rest.split("</main>").next()).expect("main");
        words(&main.replace("</dd>", "|").replace("</li>", "|"))
            .split('|')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let ended = sample.snapshot.history.iter().next().expect("one has ended");
    assert_snapshot!(told(ended), @r"
Deployment of api Outcome Rolled back crash loop
Reason container web exited with 1, three times
Target 111122223333/eu-west-1/shop/chubby_api
Definition chubby_api:13
Ran before chubby_api:12
Rollout ecs-svc/8001
Attempts 1
Asked for 2026-11-01T12:00:00Z ( 6 min ago )
Began 2026-11-01T12:00:05Z ( 5 min ago )
Ended 2026-11-01T12:04:00Z ( 2 min ago )
Took 3 min 55 s
Id d-bad0 as JSON
What is asked image shop_api:broken
Why main at 0af3c1 is ready image ready, event e-3
Tasks that stopped Task 0af3c1 stopped, container web , exit code 1: Essential container in task exited
What ECS said of the service (service chubby_api) rolling back to deployment ecs-svc/8001
");
    assert_snapshot!(told(sample.snapshot.under_way().next().expect("one is under way")), @r"
Deployment of api Stage Rolling out
Target 111122223333/eu-west-1/shop/chubby_api
Definition chubby_api:14
Ran before chubby_api:13
Rollout ecs-svc/8002
Tasks 1 of 4 run 1 failed in a row
Attempts 1
Asked for 2026-11-01T12:05:00Z ( 1 min ago )
Began 2026-11-01T12:05:05Z ( 55 s ago )
Id d-77fe as JSON
What is asked image shop_api:1.5
Why push of shop_api:1.4 image pushed, event e-1
push of shop_api:latest image pushed, event e-2
");
}

#[test]
fn a_target_elsewhere_says_where() {
    let mut sample = Sample::busy();
    first_of(&mut sample.snapshot).id = "444455556666/us-east-1/shop/chubby_api".parse().expect("valid");
    let html = page(&sample, false);
    assert!(html.contains("account 111122223333, eu-west-1"), "its own place is in the header");
    assert_eq!(html.matches(" in 444455556666, us-east-1").count(), 1);
    assert!(!html.contains(" in 111122223333"));
}

#[test]
fn the_page_moves_only_for_those_who_asked() {
    let sample = Sample::busy();
    assert!(!page(&sample, false).contains("http-equiv"));
    assert!(page(&sample, true).contains("<meta http-equiv=\"refresh\" content=\"5\">"));
}

#[test]
fn neither_scripts_nor_inline_styles_are_needed() {
    let html = page(&Sample::busy(), true);
    for forbidden in ["<script", "style=\"", "<style", "onclick", "http://", "https://"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn ten_thousand_targets_are_a_page_that_a_browser_can_show() {
    let mut sample = Sample::busy();
    let one = (*sample.snapshot.targets[3]).clone();
    Arc::make_mut(&mut sample.snapshot.targets).extend((0..9_996).map(|n| {
        let name = format!("svc-{n:05}").as_str().into();
        Arc::new(TargetRecord { name, ..one.clone() })
    }));
    let html = page(&sample, false);
    assert!(html.len() < 200_000, "{}", html.len());
    assert!(html.contains("And 9900 more: "));
}
