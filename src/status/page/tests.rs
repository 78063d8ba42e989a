use std::sync::Arc;

use insta::assert_snapshot;

use super::*;
use crate::{
    domain::{
        DeploymentRecord, Difference, HoldKind, HoldRecord, Line, Moment, PastRollout, ReconcileRecord,
        RolloutState, TargetRecord, Tasks, TriggerKind, UnwatchedRollout,
    },
    report::sample::{at, origin},
    status::sample::{Sample, about},
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
    search shop / chubby_search | Not looked at yet | – | Idle | 0 |
    "#);
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
        + &seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0]))
        + &searched(&sample, evil);
    assert!(!html.contains("<script>") && !html.contains("alert('x')</script>\"'"), "not escaped");
    assert!(html.matches("&lt;script&gt;").count() >= 9, "{}", html.matches("&lt;script&gt;").count());
    assert!(!html.contains("href=\"/deployments/<"));
}

/// The lines of a page's main part, without the elements.
fn lines(html: &str) -> String {
    let main = html.split("<main id=\"main\" tabindex=\"-1\">").nth(1).expect("main");
    let main = main.split("</main>").next().unwrap_or_default();
    let main = match (main.find("<div class=\"acts\""), main.find("<dl")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &main[..from], &main[to..]),
        _ => main.to_owned(),
    };
    let ends = ["</dd>", "</li>", "</h1>", "</h2>", "</h3>", "</p>"];
    let main = ends.iter().fold(main, |main, end| main.replace(end, "|"));
    words(&main).split('|').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_deployment_has_a_page_that_tells_all_of_it() {
    let sample = Sample::busy();
    let told =
        |it: &DeploymentRecord| lines(&seen(&sample, &Asked::default(), |view| view.deployment(it, None)));
    let ended = sample.snapshot.history.iter().next().expect("one has ended");
    assert_snapshot!(told(ended), @r#"
    Deployment of api
    Outcome Rolled back crash loop
    Took 3 min 55 s
    Definition chubby_api:13
    Ran before chubby_api:12
    Rollout ecs-svc/8001
    Asked for 2026-11-01T12:00:00Z ( 6 min ago )
    Ended 2026-11-01T12:04:00Z ( 2 min ago )
    Target 111122223333/eu-west-1/shop/chubby_api
    Id d-bad0 as JSON
    Cause: crash loop
    container web exited with 1, three times
    → Read the log of the task that stopped: the application exits by itself.
    Tasks that stopped
    Task 0af3c1 stopped, container web , exit code 1: Essential container in task exited Task in the console · Its log
    What ECS said of the service
    (service chubby_api) rolling back to deployment ecs-svc/8001
    Timeline
    12:00:00 Asked for main at 0af3c1 is ready
    12:00:05 +5 s Began
    12:04:00 +3 min 55 s Rolled back container web exited with 1, three times
    What is asked
    image shop_api:broken
    Why
    main at 0af3c1 is ready image ready, event e-3
    In AWS's console
    Service chubby_api
    Its deployments
    Definition chubby_api:13
    Definition chubby_api:12
    "#);
    assert_snapshot!(told(sample.snapshot.under_way().next().expect("one is under way")), @r#"
    Deployment of api
    Stage Rolling out
    Time so far 55 s longer than the usual 8 s
    Tasks 1 of 4 run 1 failed in a row
    Definition chubby_api:14
    Ran before chubby_api:13
    Rollout ecs-svc/8002
    Asked for 2026-11-01T12:05:00Z ( 1 min ago )
    Target 111122223333/eu-west-1/shop/chubby_api
    Id d-77fe as JSON
    Timeline
    12:05:00 Asked for push of shop_api:1.4
    12:05:05 +5 s Merged 2 requests are deployed as one
    12:05:05 +0 ms Began
    12:06:00 Now: Rolling out
    What is asked
    image shop_api:1.5
    Why
    push of shop_api:1.4 image pushed, event e-1
    push of shop_api:latest image pushed, event e-2
    In AWS's console
    Service chubby_api
    Its deployments
    Definition chubby_api:14
    Definition chubby_api:13
    "#);
}

#[test]
fn a_target_has_a_page_that_tells_what_it_runs_and_how_its_deployments_went() {
    let sample = Sample::busy();
    let told = lines(&seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0])));
    assert_snapshot!(told.split("Ended").next().unwrap_or_default(), @r#"
    api
    Lane Watching Rolling out , 1 of 4 tasks
    Waiting 1 request
    Usually takes 8 s
    Service shop / chubby_api in account 111122223333, eu-west-1
    In AWS's console Service · Its deployments
    Id 111122223333/eu-west-1/shop/chubby_api as JSON
    Runs
    shop_api: 1.4 0a0a0a0a0a0a web chubby_api:13 5 min ago by d-12ab Under way
    Stage Rolling out d-77fe
    Rolls out chubby_api:14 after chubby_api:13 image shop_api:1.5
    Tasks 1 of 4 run 1 failed in a row
    Why 2 events push of shop_api:1.4, … push of shop_api:1.4
    push of shop_api:latest
    Time so far 55 s longer than the usual 8 s
    "#);
    for figure in ["Change failure rate 50 % 1 of 2", "Lead time 13 s", "Deployment frequency 1 in 30 days"] {
        assert!(told.contains(figure), "{figure}: {told}");
    }
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
    ? mail waits for a rollout that is not ours
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

#[test]
fn a_name_that_two_targets_have_leads_to_neither_but_an_id_does() {
    let mut sample = Sample::busy();
    let twin = Arc::new(TargetRecord {
        id: "111122223333/us-east-1/shop/chubby_api".parse().expect("valid"),
        ..(*sample.snapshot.targets[0]).clone()
    });
    assert!(page(&sample, false).contains("href=\"/targets/api\""));
    Arc::make_mut(&mut sample.snapshot.targets).insert(1, twin);
    let html = page(&sample, false);
    assert!(!html.contains("href=\"/targets/api\""));
    assert!(html.contains("href=\"/targets/111122223333%2Fus-east-1%2Fshop%2Fchubby_api\""));
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
fn a_target_elsewhere_says_where() {
    let mut sample = Sample::busy();
    first_of(&mut sample.snapshot).id = "444455556666/us-east-1/shop/chubby_api".parse().expect("valid");
    let html = page(&sample, false);
    assert!(html.contains("account 111122223333, eu-west-1"), "its own place is in the header");
    assert_eq!(html.matches(" in 444455556666, us-east-1").count(), 1);
    assert!(!html.contains(" in 111122223333"));
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
        + &seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0]))
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
fn what_changes_something_is_hidden_until_somebody_has_signed_in() {
    let sample = Sample::busy();
    let target = seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0]));
    let bars = target.matches("<div class=\"acts\" role=\"group\"").count();
    assert_eq!((bars, target.matches(" hidden><button type=\"button\" data-act").count()), (1, 1));
    let offers = |html: &str, verb: &str| {
        html.contains(
            &format!("chubby_api/{verb}\"")
                .replace('/', "%2F")
                .replace(&format!("%2F{verb}"), &format!("/{verb}")),
        )
    };
    assert!(offers(&target, "pause") && offers(&target, "rollback") && !offers(&target, "resume"));
    let ended = sample.snapshot.history.iter().next().expect("one has ended");
    assert!(!seen(&sample, &Asked::default(), |view| view.deployment(ended, None)).contains("/cancel"));
    let active = sample.snapshot.under_way().next().expect("one is under way");
    assert!(
        seen(&sample, &Asked::default(), |view| view.deployment(active, None))
            .contains("/api/v1/deployments/d-77fe/cancel")
    );
}

#[test]
fn a_target_that_somebody_paused_says_who_and_why_and_offers_to_resume_it() {
    let mut sample = Sample::busy();
    let hold = HoldRecord {
        kind: HoldKind::Paused,
        by: Some("ann".into()),
        since: Some(at("12:01:00")),
        reason: Some("stocktaking".into()),
    };
    first_of(&mut sample.snapshot).lane.hold = Some(hold);
    let home = page(&sample, false);
    let told = lines(&home);
    assert!(
        told.contains("? api is paused and 1 request waits\nby ann, 5 min ago : stocktaking\n"),
        "{told}"
    );
    assert!(rows(&home, "targets").contains("Watching Paused by ann, 5 min ago : stocktaking"));
    let asked = Asked { state: Some(asked::Lanes::Held), ..Asked::default() };
    assert_eq!(rows(&seen(&sample, &asked, |view| view.home()), "targets").lines().count(), 1);
    let target = seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0]));
    assert!(target.contains("/resume\"") && !target.contains("/pause\""));
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

#[test]
fn a_diff_shows_what_may_be_seen_and_of_the_rest_only_that_it_changed() {
    let sample = Sample::busy();
    let it = sample.snapshot.history.iter().next().expect("one has ended");
    let shown = |text: &str| Some(Line::Shown(text.into()));
    let hidden = |text: &str| Some(Line::Hidden(text.into()));
    let line = |path: &str, before, after| Difference { path: path.into(), before, after };
    let lines = vec![
        line("containerDefinitions[web].image", shown("shop_api:1"), shown("shop_api:2")),
        line("containerDefinitions[web].environment[KEY]", hidden("f1"), hidden("f2")),
        line("containerDefinitions[web].secrets[NEW]", None, hidden("f3")),
    ];
    let html = seen(&sample, &Asked::default(), |view| view.deployment(it, Some(&Ok(lines))));
    assert_snapshot!(rows(&html, "diff"), @r#"
    containerDefinitions[web].image | shop_api:1 | shop_api:2 |
    containerDefinitions[web].environment[KEY] | hidden | hidden, changed |
    containerDefinitions[web].secrets[NEW] | – | hidden |
    "#);
    assert!(!html.contains("f1") && !html.contains("f2"));
    let why = Err("AWS cannot be asked now".to_owned());
    let html = seen(&sample, &Asked::default(), |view| view.deployment(it, Some(&why)));
    assert!(html.contains("AWS cannot be asked now"));
}

#[test]
fn what_ecs_remembers_stands_among_what_ended_and_says_so() {
    let sample = Sample::busy();
    let (now, at_) = (sample.now, at("12:06:00"));
    let target = &sample.snapshot.targets[0];
    let rollout = |id: &str, state, by: Option<&str>| PastRollout {
        id: id.into(),
        created_at: at("11:00:00"),
        ended_at: at("11:02:00"),
        state,
        reason: "ECS's words".into(),
        definition: "chubby_api:9".parse().expect("valid"),
        previous: None,
        registered_by: by.map(Into::into),
        tasks: Tasks::default(),
    };
    let mut past = Past::default();
    let rollouts = [
        rollout("arn:sd/2", RolloutState::Failed, None),
        rollout("arn:sd/1", RolloutState::Succeeded, Some("d-old")),
    ];
    past.learn(&target.id, &target.name, &rollouts, at_);
    let ended = newest_first(&sample.snapshot, &past);
    let health = sample.health.assess(now);
    let (asked, about) = (Asked::default(), about());
    let snapshot = &sample.snapshot;
    let view = View { snapshot, ended: &ended, about: &about, health: &health, now, at: at_, asked: &asked };
    let told = rows(&view.home().into_string(), "ended");
    assert_eq!(told.lines().count(), 4);
    assert!(told.contains("api ecs-2 | Failed ECS's words seen in ECS, not ours | chubby_api:9"), "{told}");
    assert!(
        told.contains("api d-old | Succeeded ECS's words seen in ECS, of a definition of ours"),
        "{told}"
    );
    assert!(view.target(target).into_string().contains("2 of 4"), "the figures count them");
}
