//! The commands as people call them: the built binary, its output and its exit code.

#![cfg(feature = "daemon")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a command left behind, as one text: its code, then what it wrote where.
fn told(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let code = output.status.code().expect("not killed");
    let stderr: Vec<String> = stderr.lines().map(|line| format!("[stderr] {line}\n")).collect();
    format!("[exit {code}]\n{stdout}{}", stderr.concat())
}

/// The binary in an environment of its own, in which it starts in this folder.
fn lockkeeper(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

/// A folder with the shop's settings and the files that are given.
fn shop(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("shop.toml", SHOP)].iter().chain(files) {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn explain(event: &str, more: &[&str]) -> String {
    let folder = shop(&[("event.json", event)]);
    let arguments = ["explain", "--offline", "event.json", "--config", "shop.toml"];
    told(&mut lockkeeper(folder.path(), &[&arguments, more].concat()))
}

fn check(settings: &str, more: &[&str]) -> String {
    let folder = shop(&[("mine.toml", settings)]);
    let arguments = ["check", "--offline", "--config", "mine.toml"];
    told(&mut lockkeeper(folder.path(), &[&arguments, more].concat()))
}

const SHOP: &str = r#"
[queue]
url = "https://sqs.eu-west-1.amazonaws.com/111122223333/lockkeeper"

[aws]
allowed_accounts = ["444455556666"]

[[target]]
name = "web"
cluster = "shop-prod"
service = "shop_service_web_prod"
repositories = ["shop_service_web"]
parameters = ["/prod/shop/web/*", "/prod/shop/shared/*"]
files = ["s3://shop-env/web.env"]

[[target]]
name = "api"
cluster = "shop-prod"
service = "shop_service_api_prod"
repositories = ["shop_service_api"]
parameters = ["/prod/shop/api/*", "/prod/shop/shared/*"]
on_push = "pin"
tags = "semver:^2"
container = "api"
dry_run = true

[[target]]
name = "worker"
cluster = "shop-prod"
service = "shop_service_worker_prod"
account = "444455556666"
repositories = ["shop_service_w*"]
on_push = "pin"
tags = "glob:release-*"
branches = ["main"]
triggers = { requests = false }
"#;

/// A push to a repository of the shop's own registry.
fn push(repository: &str, tag: &str) -> String {
    format!(
        r#"{{"version":"0","id":"13cde686-328b-6117-af20-0e5566167482","detail-type":"ECR Image Action",
        "source":"aws.ecr","account":"111122223333","time":"2026-11-01T12:00:00Z","region":"eu-west-1",
        "resources":[],"detail":{{"result":"SUCCESS","repository-name":"{repository}","action-type":"PUSH",
        "image-digest":"sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234abcd","image-tag":"{tag}"}}}}"#
    )
}

/// A change of a parameter in the shop's account.
fn parameter(name: &str) -> String {
    format!(
        r#"{{"id":"e-1","detail-type":"Parameter Store Change","source":"aws.ssm","account":"111122223333",
        "time":"2026-11-01T12:00:00Z","region":"eu-west-1","detail":{{"operation":"Update","name":"{name}"}}}}"#
    )
}

#[test]
fn an_event_is_explained_with_whom_it_reaches_and_why_not_the_others() {
    insta::assert_snapshot!(explain(&push("shop_service_web", "release-2"), &[]), @r"
    [exit 0]
    image_pushed: shop_service_web:release-2 (sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234abcd) was pushed
      event      13cde686-328b-6117-af20-0e5566167482 from aws.ecr, `ECR Image Action`
      version    2026-11-01T12:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     2 targets would be asked

    It reaches 2 targets:
      web (111122223333/eu-west-1/shop-prod/shop_service_web_prod)
        because its repositories list shop_service_web; on_push: follow
        would   new tasks of the running definition, if it names shop_service_web:release-2 of registry 111122223333 in eu-west-1 without a digest and its tasks do not run that digest yet
      worker (444455556666/eu-west-1/shop-prod/shop_service_worker_prod)
        because its repositories list shop_service_w*; on_push: pin glob:release-*
        would   a new revision of the running definition that names shop_service_web:release-2 of registry 111122223333 in eu-west-1, unless it runs already or a later push runs

    Nothing is asked of 1 other target:
      api  its repositories are shop_service_api
    ");
}

#[test]
fn a_dry_run_is_said_of_each_target() {
    insta::assert_snapshot!(explain(&parameter("/prod/shop/shared/DB"), &[]), @r"
    [exit 0]
    parameter_changed: parameter /prod/shop/shared/DB was updated
      event      e-1 from aws.ssm, `Parameter Store Change`
      version    2026-11-01T12:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     2 targets would be asked

    It reaches 2 targets:
      web (111122223333/eu-west-1/shop-prod/shop_service_web_prod)
        because its parameters list /prod/shop/shared/*
        would   new tasks of the running definition
      api (111122223333/eu-west-1/shop-prod/shop_service_api_prod)
        because its parameters list /prod/shop/shared/*
        would   dry run, so it would only be told: new tasks of the running definition

    Nothing is asked of 1 other target:
      worker  it is in 444455556666/eu-west-1, not in 111122223333/eu-west-1
    ");
}

#[test]
fn a_policy_that_refuses_is_told_before_those_that_were_never_meant() {
    insta::assert_snapshot!(explain(&push("shop_service_api", "3.0.0"), &[]), @r"
    [exit 0]
    image_pushed: shop_service_api:3.0.0 (sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234abcd) was pushed
      event      13cde686-328b-6117-af20-0e5566167482 from aws.ecr, `ECR Image Action`
      version    2026-11-01T12:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     nothing follows, and the message is deleted

    Nothing is asked of 3 targets:
      api     tag 3.0.0 is not one that api takes: its policy is `semver:^2`
      web     its repositories are shop_service_web
      worker  its repositories are shop_service_w*
    ");
}

#[test]
fn an_explanation_in_json_has_the_documented_shape() {
    insta::assert_snapshot!(explain(&push("shop_service_api", "2.1.0"), &["--output", "json"]), @r#"
    [exit 0]
    {
      "online": false,
      "result": "asks",
      "trigger": "image_pushed",
      "meaning": "shop_service_api:2.1.0 (sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234abcd) was pushed",
      "reason": null,
      "event": {
        "id": "13cde686-328b-6117-af20-0e5566167482",
        "source": "aws.ecr",
        "detail_type": "ECR Image Action",
        "account": "111122223333",
        "region": "eu-west-1",
        "replay": null,
        "wrappers": []
      },
      "version": "2026-11-01T12:00:00Z",
      "set_aside": null,
      "beside": [],
      "home": {
        "account": "111122223333",
        "account_from": "queue_url",
        "region": "eu-west-1",
        "region_from": "queue_url",
        "remarks": []
      },
      "targets": [
        {
          "name": "api",
          "id": "111122223333/eu-west-1/shop-prod/shop_service_api_prod",
          "because": "its repositories list shop_service_api",
          "policy": "on_push: pin semver:^2",
          "would": "dry run, so it would only be told: a new revision of the running definition that names shop_service_api:2.1.0 in container api, unless it runs already or something that ranks above it by semver:^2 runs",
          "dry_run": true
        }
      ],
      "others": [
        {
          "name": "web",
          "id": "111122223333/eu-west-1/shop-prod/shop_service_web_prod",
          "reason": "its repositories are shop_service_web"
        },
        {
          "name": "worker",
          "id": "444455556666/eu-west-1/shop-prod/shop_service_worker_prod",
          "reason": "its repositories are shop_service_w*"
        }
      ],
      "more_others": 0
    }
    "#);
}

#[test]
fn an_ignored_event_is_understood_and_a_malformed_one_is_not() {
    insta::assert_snapshot!(explain(&push("shop_service_web", ""), &[]), @r"
    [exit 0]
    ignored: the push to `shop_service_web` has no tag: it is a part of an image, or of no use by name
      event      13cde686-328b-6117-af20-0e5566167482 from aws.ecr, `ECR Image Action`
      version    2026-11-01T12:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     nothing follows, and the message is deleted
    ");
    insta::assert_snapshot!(explain(r#"{"source":"action.deploy","detail-type":"Deploy","detail":{}}"#, &[]), @r"
    [exit 1]
    malformed: the request must name a service: `service` in `detail` is missing
      event      sha256:f498ef304b17e6971a80ba03a5346226fe1e24a3e02e98d4717152b760f1bd2f from action.deploy, `Deploy`
      version    when SQS first gets the message: the event tells no time
      result     the message is set aside in the dead-letter queue, with this reason
    ");
}

#[test]
fn a_message_as_sqs_returns_it_is_read_from_standard_input() {
    let event = r#"{"source":"action.deploy","detail-type":"Deploy","detail":{"service":"worker","reason":"hot\u001b[2Jfix"}}"#;
    let message = format!(r#"{{"Messages":[{{"MessageId":"m","Body":{}}}]}}"#, quoted(event));
    let folder = shop(&[]);
    let mut child = lockkeeper(folder.path(), &["--config", "shop.toml", "explain", "--offline", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("piped").write_all(message.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8(output.stdout).expect("UTF-8"), @r"
    deploy_requested: somebody asks for new tasks at `worker`: hot�[2Jfix
      event      sha256:f35d3f5ab8322e52d3144536840c2ab5d1a5197ef45a1eab6d7352a3494a2ee0 from action.deploy, `Deploy`
      in         `Body` of the SQS message
      version    when SQS first gets the message: the event tells no time
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     nothing follows, and the message is deleted

    Nothing is asked of 3 targets:
      worker  requests are switched off for worker
      web     it is called web, and by ECS shop_service_web_prod
      api     it is called api, and by ECS shop_service_api_prod
    ");
}

#[test]
fn a_message_that_was_set_aside_is_explained_as_it_would_be_put_back() {
    let event = parameter("/prod/shop/shared/DB");
    let letter = |target: &str| {
        let attributes = [
            ("lockkeeper.id", "0f1e2d3c"),
            ("lockkeeper.target", target),
            ("lockkeeper.deployment", "d-1"),
            ("lockkeeper.outcome", "failed"),
            ("lockkeeper.cause", "timeout"),
            ("lockkeeper.attempts", "2"),
            ("lockkeeper.version", "2026-11-01T11:59:58Z"),
            ("lockkeeper.time", "2026-11-01T12:30:00Z"),
            ("lockkeeper.reason", "no progress for 30 min"),
        ];
        let attributes = attributes.map(|(name, value)| {
            format!(r#"{}:{{"StringValue":{},"DataType":"String"}}"#, quoted(name), quoted(value))
        });
        format!(
            r#"{{"Messages":[{{"MessageId":"m","Body":{},"Attributes":{{"SentTimestamp":"1793536200000"}},"MessageAttributes":{{{}}}}}]}}"#,
            quoted(&event),
            attributes.join(",")
        )
    };
    let web = letter("111122223333/eu-west-1/shop-prod/shop_service_web_prod");
    insta::assert_snapshot!(explain(&web, &[]), @r"
    [exit 0]
    parameter_changed: parameter /prod/shop/shared/DB was updated
      event      e-1 from aws.ssm, `Parameter Store Change`
      in         `Body` of the SQS message
      set aside  at 2026-11-01T12:30:00Z, failed, cause timeout, attempts 2, deployment d-1: no progress for 30 min
                 for 111122223333/eu-west-1/shop-prod/shop_service_web_prod: put back, it reaches no other
      version    2026-11-01T11:59:58Z, kept from before it was set aside
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     1 target would be asked

    It reaches 1 target:
      web (111122223333/eu-west-1/shop-prod/shop_service_web_prod)
        because its parameters list /prod/shop/shared/*
        would   new tasks of the running definition

    Nothing is asked of 2 other targets:
      api     the message was set aside for another target
      worker  the message was set aside for another target
    ");
    insta::assert_snapshot!(explain(&letter("web"), &[]), @r"
    [exit 1]
    malformed: the attribute lockkeeper.target is wrong: `web` is not a target id: it is written account/region/cluster/service
      event      e-1 from aws.ssm, `Parameter Store Change`
      in         `Body` of the SQS message
      set aside  at 2026-11-01T12:30:00Z, failed, cause timeout, attempts 2, deployment d-1: no progress for 30 min
                 for web: put back, it reaches no other
      version    2026-11-01T12:30:00Z, the event's time; or when SQS first got the message, if that is earlier
      result     the message is set aside in the dead-letter queue, with this reason
    ");
}

#[test]
fn an_event_of_an_account_that_is_not_allowed_is_refused() {
    let event = parameter("/prod/shop/web/KEY").replace("111122223333", "999900001111");
    insta::assert_snapshot!(explain(&event, &[]), @r"
    [exit 0]
    parameter_changed: parameter /prod/shop/web/KEY was updated
      event      e-1 from aws.ssm, `Parameter Store Change`
      version    2026-11-01T12:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     refused, and the message is deleted: account 999900001111 is not allowed: it is neither ours nor one of aws.allowed_accounts
    ");
}

#[test]
fn what_only_a_name_leads_to_is_told_to_be_a_guess() {
    let naming = "[naming]\nproject='shop'\nenvironment='prod'\n";
    let folder = shop(&[("naming.toml", naming), ("event.json", &push("shop_service_new", "latest"))]);
    let text = told(&mut lockkeeper(
        folder.path(),
        &["explain", "--offline", "event.json", "--config", "naming.toml"],
    ));
    insta::assert_snapshot!(text, @r"
    [exit 0]
    image_pushed: shop_service_new:latest (sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234abcd) was pushed
      event      13cde686-328b-6117-af20-0e5566167482 from aws.ecr, `ECR Image Action`
      version    2026-11-01T12:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (assumed, because the event is from there), Region eu-west-1 (assumed, because the event is from there)
      result     1 target would be asked

    It reaches 1 target:
      new (111122223333/eu-west-1/shop_cluster_prod/shop_service_new_prod)
        because by name: its images are in shop_service_new; on_push: follow
        would   new tasks of the running definition, if it names shop_service_new:latest of registry 111122223333 in eu-west-1 without a digest and its tasks do not run that digest yet; nothing if ECS has no such service
    ");
}

#[test]
fn a_sign_of_ecs_leads_to_a_look_and_to_nothing_else() {
    let event = r#"{"id":"e-1","source":"aws.ecs","detail-type":"ECS Deployment State Change","account":"111122223333",
        "region":"eu-west-1","time":"2026-11-01T12:00:00Z",
        "resources":["arn:aws:ecs:eu-west-1:111122223333:service/shop-prod/shop_service_web_prod"],
        "detail":{"eventName":"SERVICE_DEPLOYMENT_FAILED","deploymentId":"ecs-svc/1","reason":"failed to stabilize"}}"#;
    insta::assert_snapshot!(explain(event, &[]), @r"
    [exit 0]
    rollout_changed: ECS says SERVICE_DEPLOYMENT_FAILED of service shop_service_web_prod in cluster shop-prod: failed to stabilize
      event      e-1 from aws.ecs, `ECS Deployment State Change`
      version    2026-11-01T12:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (from queue.url), Region eu-west-1 (from queue.url)
      result     1 target would be looked at

    It reaches 1 target:
      web (111122223333/eu-west-1/shop-prod/shop_service_web_prod)
        because it is service shop_service_web_prod in cluster shop-prod
        would   a look at it now; nothing is deployed because of it

    Nothing is asked of 2 other targets:
      api     it is service shop_service_api_prod in cluster shop-prod
      worker  it is in 444455556666/eu-west-1, not in 111122223333/eu-west-1
    ");
}

#[test]
fn of_many_targets_that_are_not_reached_twenty_are_told() {
    let targets =
        (0..25).map(|n| format!("[[target]]\ncluster='c'\nservice='s{n}'\nparameters=['/{n}/*']\n"));
    let folder = shop(&[("many.toml", &targets.collect::<String>()), ("event.json", &parameter("/7/x"))]);
    let text = told(&mut lockkeeper(
        folder.path(),
        &["explain", "--offline", "event.json", "--config", "many.toml"],
    ));
    assert!(
        text.contains("\nNothing is asked of 24 other targets:\n") && text.ends_with("\n  and 4 more\n"),
        "{text}"
    );
    assert_eq!(text.matches("its parameters are").count(), 20, "{text}");
}

#[test]
fn what_cannot_be_explained_is_wrong_usage() {
    let folder = shop(&[("bad.toml", "[queue]\npolers = 3\n")]);
    insta::assert_snapshot!(told(&mut lockkeeper(folder.path(), &["explain", "none.json"])), @r"
    [exit 2]
    [stderr] lockkeeper: none.json cannot be read: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(told(&mut lockkeeper(folder.path(), &["explain", "-", "--config", "bad.toml"])), @r"
    [exit 2]
    [stderr] lockkeeper: bad.toml:2: queue.polers is no setting; did you mean `pollers`?
    ");
}

#[test]
fn sound_settings_are_summed_up() {
    let folder = shop(&[]);
    let arguments = ["check", "--offline", "--config", "shop.toml"];
    insta::assert_snapshot!(told(&mut lockkeeper(folder.path(), &arguments)), @r#"
    [exit 0]
    warning: target.worker.account = "444455556666" is neither the account of the queue nor one of [[aws.accounts]]: unless it is Lockkeeper's own, every deployment of it will fail; write an [[aws.accounts]] with id = "444455556666" and the role to assume there
    The settings are sound: 1 warning, 3 targets.
      web     own/own/shop-prod/shop_service_web_prod              follow
      api     own/own/shop-prod/shop_service_api_prod              pin semver:^2, dry run
      worker  444455556666/own/shop-prod/shop_service_worker_prod  pin glob:release-*
    "#);
}

#[test]
fn the_example_settings_are_sound() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = told(&mut lockkeeper(&root, &["check", "--offline", "--config", "config/examples/shop.toml"]));
    assert!(text.starts_with("[exit 0]\nThe settings are sound: 0 warnings, 3 targets."), "{text}");
}

const ODD: &str = r#"
[naming]
project = "chubby"
environment = "dev"
[[target]]
cluster = "c"
service = "odd"
quiet = "10s"
timeout = "5s"
"#;

#[test]
fn a_warning_names_the_key_and_its_mend_and_is_no_failure() {
    insta::assert_snapshot!(check(ODD, &[]), @r#"
    [exit 0]
    warning: queue.url is missing: `run` would not start; set LOCKKEEPER__QUEUE__URL, or `url` in `[queue]`, to the URL of the queue that events come from
    warning: target.odd.quiet = "10s" gathers requests for as long as a rollout may go without progress (timeout = "5s"); make it shorter, or the timeout longer
    The settings are sound: 2 warnings, 1 target, and by name those of chubby in dev (follow).
      odd  own/own/c/odd  follow
    "#);
    insta::assert_snapshot!(check(ODD, &["--output", "json"]), @r#"
    [exit 0]
    {
      "sound": true,
      "problems": [],
      "warnings": [
        {
          "source": null,
          "line": null,
          "key": "queue.url",
          "value": null,
          "wrong": "is missing: `run` would not start",
          "mend": "set LOCKKEEPER__QUEUE__URL, or `url` in `[queue]`, to the URL of the queue that events come from"
        },
        {
          "source": null,
          "line": null,
          "key": "target.odd.quiet",
          "value": null,
          "wrong": "= \"10s\" gathers requests for as long as a rollout may go without progress (timeout = \"5s\")",
          "mend": "make it shorter, or the timeout longer"
        }
      ],
      "targets": [
        {
          "name": "odd",
          "id": "own/own/c/odd",
          "policy": "follow",
          "dry_run": false
        }
      ],
      "naming": {
        "project": "chubby",
        "environment": "dev",
        "policy": "follow",
        "dry_run": false
      },
      "discovery": null,
      "reconcile": {
        "mode": "repair",
        "every_seconds": 300
      },
      "findings": null
    }
    "#);
}

const FOUND: &str = r#"
[queue]
url = "https://sqs.eu-west-1.amazonaws.com/111122223333/lockkeeper"
[aws]
regions = ["eu-central-1"]
[[aws.accounts]]
id = "444455556666"
role_arn = "arn:aws:iam::444455556666:role/lockkeeper"
[discovery]
clusters = ["shop-*", "tag:team=shop"]
exclude = ["shop-prod/cron"]
[reconcile]
mode = "report"
"#;

#[test]
fn a_check_tells_what_is_found_and_where() {
    insta::assert_snapshot!(check(FOUND, &[]), @r#"
    [exit 0]
    The settings are sound: 0 warnings, 0 targets.
    Discovery looks for services (*) of clusters (shop-*, tag:team=shop) in accounts own, 444455556666 and Regions own, eu-central-1, without shop-prod/cron; they are deployed by their tags, or as [defaults] say (follow).
    Changes whose events were lost are reported, and not repaired.
    "#);
    insta::assert_snapshot!(check(FOUND, &["--output", "json"]), @r#"
    [exit 0]
    {
      "sound": true,
      "problems": [],
      "warnings": [],
      "targets": [],
      "naming": null,
      "discovery": {
        "accounts": [
          "own",
          "444455556666"
        ],
        "regions": [
          "own",
          "eu-central-1"
        ],
        "clusters": [
          "shop-*",
          "tag:team=shop"
        ],
        "services": [
          "*"
        ],
        "exclude": [
          "shop-prod/cron"
        ],
        "refresh_seconds": 900,
        "policy": "follow",
        "dry_run": false
      },
      "reconcile": {
        "mode": "report",
        "every_seconds": 300
      },
      "findings": null
    }
    "#);
}

const WRONG: &str = "[queue]\npollers = 99\n[http]\nlisten = ':80'\n";

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    insta::assert_snapshot!(check(WRONG, &[]), @r#"
    [exit 2]
    [stderr] lockkeeper: mine.toml:2: queue.pollers = 99 is out of bounds; write a number from 1 to 16
    [stderr] mine.toml:4: http.listen = ":80" is not an address to listen on; write "0.0.0.0:80"
    "#);
    insta::assert_snapshot!(check(WRONG, &["--output", "json"]), @r#"
    [exit 2]
    {
      "sound": false,
      "problems": [
        {
          "source": "mine.toml",
          "line": 2,
          "key": "queue.pollers",
          "value": "99",
          "wrong": "is out of bounds",
          "mend": "write a number from 1 to 16"
        },
        {
          "source": "mine.toml",
          "line": 4,
          "key": "http.listen",
          "value": "\":80\"",
          "wrong": "is not an address to listen on",
          "mend": "write \"0.0.0.0:80\""
        }
      ],
      "warnings": [],
      "targets": [],
      "naming": null,
      "discovery": null,
      "reconcile": null,
      "findings": null
    }
    "#);
}

#[test]
fn a_check_that_asks_aws_needs_a_region() {
    let folder = shop(&[]);
    insta::assert_snapshot!(told(lockkeeper(folder.path(), &["check"]).env("AWS_EC2_METADATA_DISABLED", "true")), @r#"
    [exit 1]
    [stderr] lockkeeper: no Region is set: set AWS_REGION, as AWS_REGION=eu-west-1
    "#);
}

#[test]
fn what_prints_no_data_takes_no_form_of_it() {
    let folder = shop(&[]);
    insta::assert_snapshot!(told(&mut lockkeeper(folder.path(), &["run", "--output", "json"])), @r"
    [exit 2]
    [stderr] lockkeeper: `run` does not take --output: `log.format` chooses the form of its log
    ");
}

/// Answers one connection with this text, or not at all, and gives back what was asked.
fn answering(answer: Option<&'static str>) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut request = [0; 1024];
        let length = stream.read(&mut request).expect("asked");
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).expect("answered"),
            // Until the other side gives up.
            None => assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0),
        }
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (address, asked)
}

/// `lockkeeper health` where the daemon is said to listen on all addresses, with this port.
fn health(port: u16, more: &[&str]) -> String {
    let folder = shop(&[]);
    let mut command = lockkeeper(folder.path(), &[&["health"], more].concat());
    let text = told(command.env("LOCKKEEPER__HTTP__LISTEN", format!("0.0.0.0:{port}")));
    text.replace(&port.to_string(), "PORT")
}

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\
    {\"ok\":true,\"parts\":{\"intake\":{\"ok\":true,\"detail\":\"messages are received\",\"since\":null},\
    \"loop\":{\"ok\":true,\"detail\":\"the loop turns\",\"since\":null}}}";
const ILL: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n\
    {\"ok\":false,\"parts\":{\"intake\":{\"ok\":false,\"detail\":\"no receive has completed yet\",\
    \"since\":\"2026-11-01T12:06:00Z\"},\"loop\":{\"ok\":true,\"detail\":\"the loop turns\",\"since\":null}}}";

#[test]
fn a_healthy_daemon_is_asked_at_the_loopback() {
    let (address, asked) = answering(Some(WELL));
    insta::assert_snapshot!(health(address.port(), &[]), @r"
    [exit 0]
    healthy: messages are received; the loop turns
    ");
    assert!(asked.join().expect("asked").starts_with("GET /health HTTP/1.0\r\n"));
}

#[test]
fn an_unhealthy_daemon_says_which_part_fails() {
    let (address, _) = answering(Some(ILL));
    insta::assert_snapshot!(health(address.port(), &[]), @r"
    [exit 1]
    unhealthy: intake: no receive has completed yet
    ");
    let (address, _) = answering(Some(ILL));
    insta::assert_snapshot!(health(address.port(), &["--output", "json"]), @r#"
    [exit 1]
    {
      "healthy": false,
      "address": "127.0.0.1:PORT",
      "status": 503,
      "detail": "intake: no receive has completed yet",
      "parts": {
        "intake": {
          "detail": "no receive has completed yet",
          "ok": false,
          "since": "2026-11-01T12:06:00Z"
        },
        "loop": {
          "detail": "the loop turns",
          "ok": true,
          "since": null
        }
      }
    }
    "#);
}

#[test]
fn what_is_no_daemon_is_not_healthy() {
    let (address, _) = answering(Some("SSH-2.0-OpenSSH_9.9\r\n"));
    insta::assert_snapshot!(health(address.port(), &[]), @r"
    [exit 1]
    unhealthy: what 127.0.0.1:PORT answered is not HTTP
    ");
    let (address, _) = answering(Some("HTTP/1.1 404 Not Found\r\n\r\n<html>"));
    insta::assert_snapshot!(health(address.port(), &[]), @r"
    [exit 1]
    unhealthy: it answered HTTP 404
    ");
}

#[test]
fn where_nothing_listens_nobody_is_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    insta::assert_snapshot!(health(port, &[]), @r"
    [exit 1]
    unhealthy: connect to 127.0.0.1:PORT: Connection refused (os error 111)
    ");
}

#[test]
fn a_daemon_that_hangs_is_given_up_after_three_seconds() {
    let (address, asked) = answering(None);
    let began = Instant::now();
    insta::assert_snapshot!(health(address.port(), &[]), @r"
    [exit 1]
    unhealthy: 127.0.0.1:PORT did not answer within 3 s
    ");
    assert!(began.elapsed() >= Duration::from_secs(3));
    asked.join().expect("asked");
}

#[test]
fn each_command_shows_an_example_in_its_help() {
    let folder = shop(&[]);
    let help = |command: &str| told(&mut lockkeeper(folder.path(), &[command, "--help"]));
    for command in ["dead-letters", "replay"] {
        assert!(help(command).contains(&format!("Examples:\n  lockkeeper {command} --")), "{command}");
    }
    for command in [
        "deploy",
        "rollback",
        "cancel",
        "pause",
        "resume",
        "status",
        "history",
        "completions",
        "man",
        "health",
    ] {
        let help = help(command);
        let example = help.split_once("Example").map(|(_, behind)| behind).unwrap_or_default();
        assert!(
            example.contains(&format!("lockkeeper {command}")) || command == "health",
            "{command}: {help}"
        );
    }
    insta::assert_snapshot!(help("explain"), @r#"
    [exit 0]
    Says what an event means, which targets it reaches and why, and what would happen; nothing is done

    Usage: lockkeeper explain [OPTIONS] <EVENT.json>

    Arguments:
      <EVENT.json>
              The event as EventBridge sends it, or the answer of `aws sqs receive-message`; `-` reads standard input

    Options:
          --config <FILE>
              Settings to read beside the built-in ones; repeatable, the later wins

          --offline
              Ask nothing of AWS: what discovery would find, and what runs, is not known then

          --all
              Tell why not of every other target, however many they are

          --output <FORM>
              How to write what a command tells [default: text]

              Possible values:
              - text: Lines for people
              - json: One JSON document

      -h, --help
              Print help (see a summary with '-h')

    Exit codes: 0 understood, also if nothing follows; 1 malformed; 2 wrong usage or settings.

    Examples:
      lockkeeper explain event.json
      aws sqs receive-message --queue-url "$DEAD_LETTERS" --attribute-names All --message-attribute-names All | lockkeeper explain -
    "#);
    insta::assert_snapshot!(help("check"), @r#"
    [exit 0]
    Says what is wrong with the settings and, unless it is told not to ask, with what they need in AWS; nothing is changed

    Usage: lockkeeper check [OPTIONS]

    Options:
          --config <FILE>
              Settings to read beside the built-in ones; repeatable, the later wins

          --offline
              Read and check the settings alone: nothing is asked of AWS

          --output <FORM>
              How to write what a command tells [default: text]

              Possible values:
              - text: Lines for people
              - json: One JSON document

          --role <ARN>
              Whose permissions are looked at: the ARN of the daemon's task role [default: those of whoever runs this]

          --own <CLUSTER/SERVICE>
              The service that runs Lockkeeper, or its ARN [default: the target that receives from this queue, if there is one]

      -h, --help
              Print help (see a summary with '-h')

    Exit codes: 0 sound, also with warnings; 1 something is wrong in AWS; 2 wrong usage or settings.

    Examples:
      lockkeeper check --config config/prod.toml --role arn:aws:iam::111122223333:role/lockkeeper-task
      lockkeeper check --offline --config config/prod.toml
    "#);
    insta::assert_snapshot!(help("health"), @r#"
    [exit 0]
    Asks the daemon on this machine whether it is healthy: for the health check of a container

    Usage: lockkeeper health [OPTIONS]

    Options:
          --config <FILE>
              Settings to read beside the built-in ones; repeatable, the later wins

          --output <FORM>
              How to write what a command tells [default: text]

              Possible values:
              - text: Lines for people
              - json: One JSON document

      -h, --help
              Print help (see a summary with '-h')

    Exit codes: 0 healthy, 1 not healthy or no answer within 3 s, 2 wrong usage or settings.

    Example, in a Dockerfile:
      HEALTHCHECK CMD ["/lockkeeper", "health"]
    "#);
    for command in ["run", "explain", "check", "health"] {
        assert!(help(command).contains("Example"), "{command}");
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

#[test]
fn a_replay_says_what_it_is_to_put_back() {
    let folder = shop(&[]);
    for (arguments, wrong) in [
        (&["replay"][..], "required arguments were not provided"),
        (&["replay", "--force", "--dry-run"], "required arguments were not provided"),
        (&["replay", "--all", "--id", "x"], "cannot be used with"),
        (&["replay", "--id", "x", "--target", "api"], "cannot be used with"),
        (&["replay", "--all", "--rate", "0"], "write how many a second or minute"),
        (&["replay", "--since", "yesterday"], "write how long ago"),
        (&["dead-letters", "--cause", "bad_luck"], "possible values: image_pull"),
        (&["dead-letters", "--limit", "0"], "invalid value '0'"),
    ] {
        let told = told(&mut lockkeeper(folder.path(), &[arguments, &["--config", "shop.toml"]].concat()));
        assert!(told.starts_with("[exit 2]") && told.contains(wrong), "{arguments:?}: {told}");
    }
}

#[test]
fn letters_cannot_be_found_without_a_queue() {
    let folder = shop(&[]);
    for arguments in [&["dead-letters"][..], &["replay", "--all"]] {
        let told = told(&mut lockkeeper(folder.path(), arguments));
        assert!(told.starts_with("[exit 2]") && told.contains("queue.url"), "{arguments:?}: {told}");
    }
}

#[test]
fn a_queue_that_cannot_be_read_is_told_with_its_url() {
    let folder = shop(&[]);
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
    let mut command = lockkeeper(folder.path(), &["dead-letters", "--config", "shop.toml"]);
    let credentials = [("AWS_ACCESS_KEY_ID", "111122223333"), ("AWS_SECRET_ACCESS_KEY", "none")];
    command
        .envs(credentials)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ENDPOINT_URL", format!("http://{nobody}"));
    let told = told(&mut command);
    assert!(told.starts_with("[exit 1]") && told.contains("/lockkeeper cannot be read"), "{told}");
}

#[test]
fn letters_are_asked_of_a_daemon_where_a_flag_or_the_environment_names_one() {
    let folder = shop(&[]);
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
    let url = format!("http://{nobody}");
    let client = format!("[client]\nurl = '{url}'");
    fs::write(folder.path().join("client.toml"), client).expect("written");
    for command in [&["dead-letters"][..], &["replay", "--all"]] {
        let by_flag = &[command, &["--config", "shop.toml", "--url", &url]].concat();
        let by_setting = &[command, &["--config", "client.toml"]].concat();
        let by_variable = &[command, &["--config", "shop.toml"]].concat();
        for (arguments, variable) in [(by_flag, ""), (by_setting, ""), (by_variable, url.as_str())] {
            let told = told(lockkeeper(folder.path(), arguments).env("LOCKKEEPER_URL", variable));
            assert!(
                told.starts_with("[exit 1]") && told.contains(&format!("ask {url}")),
                "{arguments:?}: {told}"
            );
        }
    }
}
