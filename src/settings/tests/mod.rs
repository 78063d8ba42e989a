//! Whole settings: what is read from which layer, and what is said of those that are wrong.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;

mod discovery;
mod http;
mod lambda;
mod list;
mod notify;
mod traces;
mod wrong;

/// The environment variables of a process.
fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_environment(pairs: &[(&str, &str)]) -> Result<Settings, Problems> {
    load(&Sources { environment: variables(pairs), ..Sources::default() })
}

fn from_document(toml: &str) -> Result<Settings, Problems> {
    from_environment(&[("LOCKKEEPER_CONFIG_TOML", toml)])
}

/// The problems of a document, a line each.
fn told_of(toml: &str) -> String {
    from_document(toml).expect_err("wrong").to_string()
}

/// The warnings, a line each.
fn told(settings: &Settings) -> String {
    settings.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn project(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
#[expect(clippy::too_many_lines, reason = "they are that many")]
fn without_any_source_the_defaults_hold() {
    insta::assert_debug_snapshot!(load(&Sources::default()).expect("valid"), @r#"
    Settings {
        engine: Engine {
            start_delay: 10s,
        },
        queue: Queue {
            url: None,
            dead_letter_url: None,
            pollers: 2,
            visibility: 120s,
        },
        http: Http {
            listen: 0.0.0.0:8080,
            public_url: None,
            reads: Open,
            tokens: [],
            reads_per_second: 500,
            writes_per_second: 10,
        },
        approval: Approval {
            events: false,
        },
        client: Client {
            url: None,
            token_file: None,
        },
        lease: Lease {
            table: None,
        },
        aws: Aws {
            region: None,
            allowed_accounts: [],
            estate: Estate {
                accounts: [],
                regions: [],
            },
            budget_share: BudgetShare(
                500,
            ),
            owner_tag: true,
        },
        environment: None,
        log: Log {
            level: Info,
            format: Auto,
        },
        targets: [],
        naming: None,
        discovery: None,
        defaults: TargetSettings {
            name: "",
            on_push: Follow,
            tags: TagPolicy {
                text: "newest",
                rule: Newest,
            },
            ignore_tags: [],
            image_reference: Tag,
            container: None,
            base: Running,
            quiet: 5s,
            timeout: 1800s,
            retries: 2,
            rollback: true,
            on_newer: WhenFailing,
            max_parallel: 10,
            stop_after: 3,
            branches: [],
            on_delete: Warn,
            dry_run: false,
            triggers: TriggerSwitches {
                images: true,
                parameters: true,
                secrets: true,
                files: true,
                requests: true,
            },
        },
        reconcile: Reconcile {
            mode: Repair,
            every: 300s,
            rule: Glob(
                "lockkeeper*",
            ),
        },
        notify: NotifyRules {
            slack: None,
            webhooks: [],
            eventbridge: None,
            sns: None,
        },
        traces: None,
        warnings: [
            Warning {
                key: "target",
                wrong: "is not set: every event will be ignored",
                mend: "write a [[target]], or set [discovery] or [naming]",
            },
        ],
    }
    "#);
}

#[test]
fn each_layer_wins_over_those_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("config")).expect("created");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    file("config/prod.toml", "[engine]\nstart_delay = '1s'\n[queue]\npollers = 3\n[log]\nlevel = 'warn'\n");
    let first = file("first.toml", "[engine]\nstart_delay = '2s'\n[queue]\npollers = 4\n");
    let second = file("second.toml", "[engine]\nstart_delay = '3s'\n");
    let environment = variables(&[
        ("LOCKKEEPER_ENV", "prod"),
        ("LOCKKEEPER_CONFIG_TOML", "[engine]\nstart_delay = '4s'\n[http]\nlisten = '127.0.0.1:1'"),
        ("LOCKKEEPER__HTTP__LISTEN", "[::1]:9"),
    ]);
    let sources = Sources { files: vec![first, second], environment, folder: folder.path().into() };
    let settings = load(&sources).expect("valid");
    assert_eq!(settings.engine.start_delay, Duration::from_secs(4));
    assert_eq!(settings.queue.pollers, 4);
    assert_eq!(settings.log.level, LogLevel::Warn);
    assert_eq!(settings.http.listen.to_string(), "[::1]:9");
    assert_eq!(settings.queue.visibility, Duration::from_mins(2));
    assert_eq!(settings.environment.as_deref(), Some("prod"));
}

#[test]
fn the_environment_of_the_naming_goes_before_that_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("config")).expect("made");
    fs::write(folder.path().join("config/file.toml"), "").expect("written");
    let environment = |names: &[(&str, &str)]| {
        let sources =
            Sources { environment: variables(names), folder: folder.path().into(), ..Sources::default() };
        load(&sources).expect("valid").environment
    };
    let (project, own) = (("PROJECT_NAME", "shop"), ("PROJECT_ENV", "dev"));
    assert_eq!(environment(&[project, own, ("LOCKKEEPER_ENV", "file")]).as_deref(), Some("dev"));
    assert_eq!(environment(&[("LOCKKEEPER_ENV", "file")]).as_deref(), Some("file"));
    assert_eq!(environment(&[("LOCKKEEPER_ENV", "")]), None);
}

#[test]
fn targets_inherit_the_defaults_and_override_them() {
    let settings = from_document(
        r#"
        [defaults]
        on_push = "pin"
        tags = "semver:^2"
        retries = 7
        triggers.secrets = false
        base = "latest"
        [[target]]
        cluster = "c"
        service = "s"
        retries = 1
        triggers.files = false
        family = "f"
        repositories = ["a"]
        "#,
    )
    .expect("valid");
    let it = &settings.targets[0].settings;
    assert_eq!((it.name.as_str(), it.retries, it.tags.as_str()), ("s", 1, "semver:^2"));
    assert_eq!((it.triggers.secrets, it.triggers.files, it.triggers.images), (false, false, true));
    assert_eq!(it.base, crate::domain::Base::Latest(Some("f".into())));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn a_later_list_of_targets_replaces_the_earlier() {
    let json =
        r#"[{"name":"b","cluster":"c","service":"s2","repositories":["r"],"retries":3,"dry_run":true}]"#;
    let document = "[[target]]\nname = 'a'\ncluster = 'c'\nservice = 's1'\n";
    let settings = from_environment(&[("LOCKKEEPER_CONFIG_TOML", document), ("LOCKKEEPER__TARGET", json)])
        .expect("valid");
    let names: Vec<_> = settings.targets.iter().map(|rule| rule.settings.name.to_string()).collect();
    assert_eq!(names, ["b"]);
    assert!(settings.targets[0].settings.dry_run);
}

#[test]
fn environment_variables_are_read_as_the_type_of_their_key() {
    let settings = from_environment(&[
        ("LOCKKEEPER__QUEUE__POLLERS", "5"),
        ("LOCKKEEPER__AWS__ALLOWED_ACCOUNTS", "111122223333, 000000000000"),
        ("LOCKKEEPER__DEFAULTS__IGNORE_TAGS", r#"["exact:x", "regex:^a{1,2}$"]"#),
        ("LOCKKEEPER__DEFAULTS__DRY_RUN", "Yes"),
        ("LOCKKEEPER__DEFAULTS__TRIGGERS__IMAGES", "off"),
        ("LOCKKEEPER__NAMING__PROJECT", "shop"),
        ("LOCKKEEPER__NAMING__ENVIRONMENT", "prod"),
        ("LOCKKEEPER_SERVICE_HOST", "10.0.0.1"),
    ])
    .expect("valid");
    assert_eq!(settings.queue.pollers, 5);
    assert_eq!(settings.aws.allowed_accounts, ["111122223333".into(), "000000000000".into()]);
    let naming = settings.naming.expect("on");
    assert!(naming.defaults.dry_run && !naming.defaults.triggers.images);
    assert_eq!(naming.defaults.ignore_tags.len(), 2);
    assert_eq!(naming.defaults.on_push, crate::domain::OnPush::Follow, "only the old variables change that");
}

#[test]
fn the_queue_is_required_by_who_needs_it_only() {
    let settings = from_document("").expect("valid");
    insta::assert_snapshot!(settings.require_queue().expect_err("none set"), @r#"settings: queue.url is missing; set LOCKKEEPER__QUEUE__URL, or `url` in `[queue]`, to the URL of the queue that events come from"#);
    let url = "http://localhost:4566/000000000000/lockkeeper";
    let settings = from_environment(&[("LOCKKEEPER__QUEUE__URL", url)]).expect("valid");
    assert_eq!(settings.require_queue(), Ok(url));
}

#[test]
fn the_region_is_that_of_the_sdk_and_an_empty_one_is_none() {
    let region = |pairs: &[(&str, &str)]| from_environment(pairs).expect("valid").aws.region;
    assert_eq!(
        region(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")]),
        Some("eu-west-1".into())
    );
    assert_eq!(region(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "us-east-1")]), Some("us-east-1".into()));
    assert_eq!(region(&[]), None);
}

#[test]
fn the_example_is_valid_and_gives_no_warning() {
    let sources = Sources { files: vec![project("config/examples/shop.toml")], ..Sources::default() };
    let settings = load(&sources).expect("valid");
    assert_eq!(settings.targets.len(), 3);
    assert_eq!(told(&settings), "");
    let worker = &settings.targets[2].settings;
    assert!(!worker.triggers.requests && worker.triggers.images);
    assert_eq!(worker.timeout, Duration::from_mins(90));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    insta::assert_snapshot!(told(&from_document("").expect("valid")), @r#"target is not set: every event will be ignored; write a [[target]], or set [discovery] or [naming]"#);
    let settings = from_document(
        r#"
        [defaults]
        on_push = "pin"
        [[target]]
        cluster = "c"
        service = "deaf"
        image_reference = "digest"
        [[target]]
        cluster = "c"
        service = "hasty"
        quiet = "30s"
        timeout = "30s"
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "never"
        tags = "glob:release-*"
        ignore_tags = ["exact:x", "glob:release-*"]
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "nothing"
        on_push = "always"
        ignore_tags = ["newest"]
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "one"
        tags = "exact:latest"
        ignore_tags = ["glob:late*"]
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "same"
        tags = "exact:latest"
        repositories = ["a"]
        "#,
    )
    .expect("valid");
    insta::assert_snapshot!(told(&settings), @r#"
    target.deaf has no repositories, parameters, secrets or files: only deploy requests reach it; list what it depends on, if there is anything
    target.hasty.quiet = "30s" gathers requests for as long as a rollout may go without progress (timeout = "30s"); make it shorter, or the timeout longer
    target.never.ignore_tags has `glob:release-*`, which takes every tag of `glob:release-*`: no push will ever deploy; remove it, or write on_push = "ignore" if that is meant
    target.nothing.ignore_tags has `newest`, which takes every tag of `newest`: no push will ever deploy; remove it, or write on_push = "ignore" if that is meant
    target.one.ignore_tags has `glob:late*`, which takes every tag of `exact:latest`: no push will ever deploy; remove it, or write on_push = "ignore" if that is meant
    target.one.tags = "exact:latest" pins one tag, so every revision would name the same; write on_push = "follow", or image_reference = "digest"
    target.same.tags = "exact:latest" pins one tag, so every revision would name the same; write on_push = "follow", or image_reference = "digest"
    "#);
}

#[test]
fn what_could_still_match_is_no_warning() {
    let settings = from_document(
        r#"
        [defaults]
        ignore_tags = ["glob:*-debug", "exact:x"]
        [[target]]
        cluster = "c"
        service = "pins"
        on_push = "pin"
        tags = "semver:^2"
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "digests"
        on_push = "pin"
        tags = "exact:latest"
        image_reference = "digest"
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "ignores"
        on_push = "ignore"
        ignore_tags = ["newest"]
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "follows"
        tags = "glob:*-debug"
        repositories = ["a"]
        "#,
    )
    .expect("valid");
    assert_eq!(told(&settings), "");
}
