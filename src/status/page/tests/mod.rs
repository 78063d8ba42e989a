mod acting;
mod one;

use std::sync::Arc;

use insta::assert_snapshot;

use super::*;
use crate::{
    domain::{
        DefinitionFacts, Dependency, DeploymentRecord, Difference, Glob, HoldKind, HoldRecord, LetterEvent,
        LetterRecord, Line, Metadata, Moment, OnPush, Outline, PastRollout, Place, PutBy, ReconcileRecord,
        RolloutRecord, RolloutState, TargetRecord, TargetSettings, Tasks, TriggerKind, UnwatchedRollout,
        Verdict,
    },
    report::sample::{at, origin},
    status::{
        Letters, Refusal,
        sample::{Sample, about},
    },
};

/// What a page shows to whoever asks for this.
fn seen(sample: &Sample, asked: &Asked, page: impl FnOnce(View<'_>) -> Markup) -> String {
    let (now, at) = (sample.now, at("12:06:00"));
    let health = sample.health.assess(now);
    let (snapshot, about) = (&sample.snapshot, &about());
    let past = Past::default();
    let ended = newest_first(snapshot, &past);
    page(View { snapshot, ended: &ended, about, health: &health, now, at, asked }).into_string()
}

fn page(sample: &Sample, live: bool) -> String {
    seen(sample, &Asked { live, ..Asked::default() }, |view| view.home())
}

fn searched(sample: &Sample, words: &str) -> String {
    seen(sample, &Asked { words: words.into(), ..Asked::default() }, |view| view.home())
}

fn first_of(snapshot: &mut Snapshot) -> &mut TargetRecord {
    Arc::make_mut(&mut Arc::make_mut(&mut snapshot.targets)[0])
}

/// The rows of the table under the heading with this id, a line each, without the elements.
fn rows(html: &str, id: &str) -> String {
    let section = html.split(&format!("<h2 id=\"{id}-heading\">")).nth(1).expect("the section is there");
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
    assert_snapshot!(rows(&page(&Sample::busy(), false), "under-way"), @r#"api d-77fe | Rolling out | chubby_api:14 after chubby_api:13 image shop_api:1.5 | 1 of 4 run 1 failed in a row | 2 events push of shop_api:1.4, … push of shop_api:1.4 push of shop_api:latest | 55 s longer than the usual 8 s |"#);
}

#[test]
fn targets_that_do_something_come_first_and_say_what() {
    let mut sample = Sample::busy();
    Arc::make_mut(&mut sample.snapshot.targets).rotate_left(3);
    assert_snapshot!(rows(&page(&sample, false), "targets"), @r#"
    api shop / chubby_api | shop_api: 1.4 0a0a0a0a0a0a web chubby_api:13 | 5 min ago by d-12ab | Watching Rolling out , 1 of 4 tasks | 1 |
    cart shop / chubby_cart | shop_cart: 1.4 0a0a0a0a0a0a web chubby_cart:13 | 5 min ago by d-12ab | Gathering for 4 s | 20 |
    mail shop / chubby_mail | shop_mail: 1.4 0a0a0a0a0a0a web chubby_mail:13 | 5 min ago by d-12ab | Blocked a rollout that deployer started is in progress | 1 |
    search shop / chubby_search | Not seen yet | – | Idle | 0 |
    "#);
}

#[test]
fn a_rollout_that_nobody_here_watches_is_shown_and_whose_it_is() {
    let rolled_out = |by: Option<&str>| {
        let mut sample = Sample::busy();
        let target = Arc::make_mut(&mut Arc::make_mut(&mut sample.snapshot.targets)[3]);
        let (id, definition) = ("ecs-svc/9".into(), "chubby_search:2".parse().unwrap());
        let rollout = RolloutRecord { id, definition, since: at("12:04:00"), by: by.map(Into::into) };
        target.rollout = Some(Box::new(rollout));
        let rows = rows(&page(&sample, false), "targets");
        rows.lines().last().unwrap().split('|').nth(3).unwrap().trim().to_owned()
    };
    assert_eq!(rolled_out(Some("d-9")), "Idle chubby_search:2 is being rolled out, begun 2 min ago by d-9");
    assert_eq!(
        rolled_out(None),
        "Idle chubby_search:2 is being rolled out, begun 2 min ago , not known whether by us"
    );
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
    for text in [
        "Nothing is under way.",
        "No target is known yet.",
        "No deployment that ended is known.",
        "On standby",
    ] {
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
    sample.snapshot.reconciled = Some(Arc::new(drifted(evil)));
    let html = page(&sample, false)
        + &seen(&sample, &Asked::default(), |view| view.deployment(&ended, None))
        + &seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], None))
        + &searched(&sample, evil);
    assert!(!html.contains("<script>") && !html.contains("alert('x')</script>\"'"), "not escaped");
    assert!(html.matches("&lt;script&gt;").count() >= 9, "{}", html.matches("&lt;script&gt;").count());
    assert!(!html.contains("href=\"/deployments/<"));
}

/// The lines of a page's main part, without the elements.
fn lines(html: &str) -> String {
    let main = html.split("<main id=\"main\" tabindex=\"-1\">").nth(1).expect("main");
    let main = main.split("</main>").next().unwrap_or_default();
    let main = without_buttons(main);
    let ends = ["</dd>", "</li>", "</h1>", "</h2>", "</h3>", "</p>"];
    let main = ends.iter().fold(main, |main, end| main.replace(end, "|"));
    words(&main).split('|').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_needs_somebody_comes_first_and_says_what_to_do() {
    let mut sample = Sample::busy();
    sample.snapshot.reconciled = Some(Arc::new(drifted("mail")));
    sample.now = Moment::from_millis(700_000);
    let told = lines(&page(&sample, false));
    let told = told.split("Needs attention").nth(1).and_then(|rest| rest.split("Search").next());
    assert_snapshot!(told.expect("the section"), @r#"
    ! Lockkeeper itself: loop
    the loop has not turned for 1 min 40 s
    → Nothing is deployed until this is mended. The log and /health say more.
    ! Lockkeeper itself: intake
    no receive completed for 1 min 40 s
    → Nothing is deployed until this is mended. The log and /health say more.
    ! 1 message set aside
    What it asks for was not done.
    → Mend the cause, then replay.
    ! api rolled back: crash loop 2 min ago
    container web exited with 1, three times
    → Read the log of the task that stopped: the application exits by itself.
    ? api loses tasks while it rolls out
    1 failed in a row, 1 of 4 run
    → ECS tries on until its circuit breaker or the timeout ends it.
    ? mail waits for another rollout
    a rollout that deployer started is in progress
    ? mail was rolled back while nobody watched 8 min ago
    mail:4: mail
    → It is not started again. Ask for it once its cause is mended.
    ? 1 target has drifted
    mail has not seen a change of an image, parameter, secret or file.
    → Where reconcile only reports, deploy them.
    "#);
}

#[test]
fn on_a_good_night_nothing_needs_anybody() {
    let mut sample = Sample::busy();
    sample.snapshot = Snapshot { active: true, ..Snapshot::empty(sample.now) };
    assert!(page(&sample, false).contains("Nothing needs you."));
    sample = Sample::busy();
    let mut mended = crate::report::sample::succeeded();
    mended.finished_at = Some(at("12:05:00"));
    Arc::make_mut(&mut sample.snapshot.history).push(mended);
    assert!(!page(&sample, false).contains("rolled back: crash loop"), "a success came after it");
}

#[test]
fn a_search_narrows_every_list_and_keeps_to_itself_what_it_does_not_find() {
    let sample = Sample::busy();
    let found = searched(&sample, "cart");
    assert!(rows(&found, "targets").starts_with("cart shop / chubby_cart"));
    assert!(found.contains("Nothing of that is under way.") && found.contains("Nothing of that has ended."));
    assert!(found.contains("value=\"cart\"") && found.contains("<a href=\"/\">Show all</a>"));
    assert!(found.contains("href=\"/?q=cart&amp;days=7\""), "the span keeps the search");
}

#[test]
fn lists_go_on_where_they_are_cut() {
    let mut sample = Sample::busy();
    let one = (*sample.snapshot.targets[3]).clone();
    Arc::make_mut(&mut sample.snapshot.targets).extend((0..60).map(|n| {
        let name = format!("svc-{n:05}").as_str().into();
        Arc::new(TargetRecord { name, ..one.clone() })
    }));
    let history = Arc::make_mut(&mut sample.snapshot.history);
    for number in 0..30 {
        let id = format!("d-{number}").into();
        history.push(DeploymentRecord { id, ..crate::report::sample::succeeded() });
    }
    let first = page(&sample, false);
    assert!(first.contains("1 to 50 of 64") && first.contains("href=\"/?page=2\" rel=\"next\""));
    let older = first.split("?older=").nth(1).and_then(|rest| rest.split('"').next()).expect("older");
    let asked = Asked { page: 1, older: older.parse().ok(), ..Asked::default() };
    let second = seen(&sample, &asked, |view| view.home());
    assert!(second.contains("51 to 64 of 64") && !second.contains("rel=\"next\""));
    assert_eq!(rows(&second, "ended").lines().count(), 7);
}

fn drifted(name: &str) -> ReconcileRecord {
    let mut record = ReconcileRecord::begun(at("12:05:00"));
    record.drift = [(name.into(), 1)].into();
    record.unwatched = vec![UnwatchedRollout {
        target: "111122223333/eu-west-1/shop/mail".parse().expect("valid"),
        name: name.into(),
        rollout: None,
        deployment: Some("d-4".into()),
        definition: "mail:4".parse().expect("valid"),
        rolled_back: true,
        reason: name.into(),
        ended_at: at("11:58:00"),
    }];
    record
}

#[test]
fn without_scripts_the_page_moves_only_for_those_who_asked() {
    let sample = Sample::busy();
    assert!(!page(&sample, false).contains("http-equiv"));
    assert!(page(&sample, true).contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
}

#[test]
fn nothing_is_inline_and_nothing_is_loaded_from_elsewhere() {
    let sample = Sample::busy();
    let html = page(&sample, true)
        + &seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], None))
        + &seen(&sample, &Asked::default(), |view| {
            view.deployment(sample.snapshot.under_way().next().expect("one"), None)
        });
    for forbidden in ["<script>", "style=\"", "<style", " onclick", "src=\"http", "javascript:"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert_eq!(
        html.matches("<script").count(),
        html.matches("<script src=\"/live.js?v=0.1.0\" defer></script>").count()
    );
}

#[test]
fn all_that_a_browser_loads_is_small() {
    let assets = STYLE.len() + SCRIPT.len() + ICON.len();
    let home = page(&Sample::busy(), false).len();
    assert!(assets + home < 100_000, "{assets} and {home}");
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
    assert!(html.contains("1 to 50 of 10000"));
}

fn without_buttons(html: &str) -> String {
    let mut parts = html.split("<div class=\"acts\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once("</div>").map_or("", |(_, rest)| rest))
}
