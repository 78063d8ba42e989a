//! The pages of one target and of one deployment.

use insta::assert_snapshot;

use super::*;

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
    let told =
        lines(&seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], None)));
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
        stopped: false,
        tripped: false,
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
    past.learn(&target.id, &target.name, (&rollouts, &[]), at_);
    let ended = newest_first(&sample.snapshot, &past);
    let health = sample.health.assess(now);
    let (asked, about) = (Asked::default(), about());
    let snapshot = &sample.snapshot;
    let view = View { snapshot, ended: &ended, about: &about, health: &health, now, at: at_, asked: &asked };
    let told = rows(&view.home().into_string(), "ended");
    assert_eq!(told.lines().count(), 4);
    assert!(
        told.contains("api ecs-2 | Failed ECS's words seen in ECS, not known whether ours | chubby_api:9"),
        "{told}"
    );
    assert!(
        told.contains("api d-old | Succeeded ECS's words seen in ECS, of a definition of ours"),
        "{told}"
    );
    assert!(view.target(target, None).into_string().contains("2 of 4"), "the figures count them");
}

#[test]
fn a_target_says_what_it_reads_and_how_it_is_deployed() {
    let mut sample = Sample::busy();
    let id = sample.snapshot.targets[0].id.clone();
    let mut settings = TargetSettings::named("api".into());
    (settings.on_push, settings.stop_after) = (OnPush::Pin, 2);
    settings.tags = "glob:release-*".parse().expect("a policy");
    settings.branches = vec![Glob::new("main")];
    settings.triggers.files = false;
    sample.snapshot.settings = Arc::new([(id.clone(), Arc::new(settings))].into());
    let place = Place::of(&id);
    let dependencies = vec![
        Dependency::Parameter { place: place.clone(), name: "/prod/shop/KEY".into() },
        Dependency::Secret { place, name: "shop/db-AbCdEf".into() },
        Dependency::File { bucket: "b".into(), key: "k.env".into() },
    ];
    let facts = Ok(Arc::new(DefinitionFacts { outline: Outline::default(), dependencies }));
    let html =
        seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], Some(&facts)));
    let told = lines(&html);
    assert_snapshot!(told.split_once("Reads\n").expect("the section").1, @r#"
    Parameter /prod/shop/KEY
    Secret shop/db-AbCdEf
    File s3://b/k.env
    Settings in force
    A push of a tag that glob:release-* takes is deployed by its tag
    Starts from the definition that runs
    Gathers for 5 s
    Gives up after 30 min without progress, and goes back
    Tries again 2 times what may pass
    Something newer supersedes what is under way only if that fails
    Of one event 10 at a time
    Stops after 2 of one event have failed
    Branches main
    A deletion only warns
    Switched off files
    "#);
    let why = Err("AWS cannot be asked now".to_owned());
    let html = seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], Some(&why)));
    assert!(html.contains("AWS cannot be asked now"));
}

#[test]
fn a_deployment_says_where_its_change_came_from_and_links_only_to_pages() {
    let sample = Sample::busy();
    let mut it = sample.snapshot.history.iter().next().expect("one has ended").clone();
    let told = |it: &DeploymentRecord| seen(&sample, &Asked::default(), |view| view.deployment(it, None));
    let metadata = Metadata {
        user: Some("ann".into()),
        commit: Some("0af3c10af3c10af3c1".into()),
        branch: Some("main".into()),
        repository: Some("shop/api".into()),
        repository_url: Some("https://github.com/shop/api".into()),
        platform: Some("github".into()),
        run_id: Some("77".into()),
        run_url: Some("javascript:alert(1)".into()),
        traceparent: None,
    };
    let origin = Arc::make_mut(&mut it.triggers[0]);
    origin.metadata = Some(Arc::new(metadata));
    let html = told(&it);
    assert!(
        words(&html).contains("by ann commit 0af3c10af3c1 of main in shop/api (github run 77)"),
        "{}",
        words(&html)
    );
    assert!(html.contains("href=\"https://github.com/shop/api/commit/0af3c10af3c10af3c1\""));
    assert!(!html.contains("javascript:"));
}
