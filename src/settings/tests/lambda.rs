//! The environment variables of the old Lambda.

use super::*;
use crate::domain::{Base, OnPush, Secret, SlackWay};

const PROJECT: [(&str, &str); 2] = [("PROJECT_NAME", "chubby"), ("PROJECT_ENV", "dev")];

fn with(pairs: &[(&str, &str)]) -> Result<Settings, Problems> {
    from_environment(&[&PROJECT, pairs].concat())
}

fn naming(pairs: &[(&str, &str)]) -> Naming {
    with(pairs).expect("valid").naming.expect("on")
}

#[test]
fn project_and_environment_alone_mean_what_they_meant() {
    let settings = with(&[]).expect("valid");
    assert_eq!(settings.log.level, LogLevel::Info);
    let it = settings.naming.expect("on");
    assert_eq!((&*it.project, &*it.environment), ("chubby", "dev"));
    assert_eq!(&*it.cluster, "{project}_cluster_{env}");
    assert_eq!(
        (&*it.service, &*it.family),
        ("{project}_service_{name}_{env}", "{project}_service_{name}_{env}")
    );
    assert_eq!((&*it.repository, &*it.parameter), ("{project}_service_{name}", "/{env}/{project}/{name}/"));
    let how = &it.defaults;
    assert_eq!((how.on_push, &how.base), (OnPush::Always, &Base::Latest(None)));
    assert_eq!((how.timeout, how.retries), (Duration::from_mins(10), 2));
    assert_eq!((how.dry_run, how.triggers), (false, crate::domain::TriggerSwitches::ALL));
    assert_eq!(it.backend, None);
}

#[test]
fn each_variable_sets_what_it_set() {
    let settings = with(&[
        ("LOG_LEVEL", "DEBUG"),
        ("ECS_CLUSTER_NAME", "the-cluster"),
        ("CLUSTER_NAME_PATTERN", "{project}-{env}"),
        ("SERVICE_NAME_PATTERN", "{project}-{name}"),
        ("TASK_FAMILY_PATTERN", "{name}-{env}"),
        ("BACKEND_SERVICE_NAME", "core"),
        ("DEPLOYMENT_TIMEOUT_SECONDS", "90"),
        ("MAX_DEPLOYMENT_RETRIES", "0"),
        ("DRY_RUN", "Enabled"),
        ("ENABLE_ECR_MONITORING", "no"),
        ("ENABLE_SSM_MONITORING", "0"),
        ("ENABLE_S3_MONITORING", "OFF"),
        ("ENABLE_MANUAL_DEPLOY", "disabled"),
    ])
    .expect("valid");
    assert_eq!(settings.log.level, LogLevel::Debug);
    let it = settings.naming.expect("on");
    assert_eq!(
        (&*it.cluster, &*it.service, &*it.family),
        ("the-cluster", "{project}-{name}", "{name}-{env}")
    );
    assert_eq!(it.backend.as_deref(), Some("core"));
    let how = &it.defaults;
    assert_eq!((how.timeout, how.retries, how.dry_run), (Duration::from_secs(90), 0, true));
    let on = how.triggers;
    assert_eq!(
        (on.images, on.parameters, on.secrets, on.files, on.requests),
        (false, false, true, false, false)
    );
}

#[test]
fn maps_name_services_and_their_files() {
    let it = naming(&[
        (
            "ECS_SERVICE_MAP",
            r#"{"api": {"service_name": "x-api", "task_family": "x-family", "since": 2024}}"#,
        ),
        ("S3_SERVICE_MAP", r#"{"api": [{"bucket": "env-files", "key": "api.env"}], "": []}"#),
        ("SERVICE_CONFIG", r#"{"web": [{"bucket": "env-files", "key": "web.env"}]}"#),
    ]);
    assert_eq!(it.services["api"].service.as_str(), "x-api");
    assert_eq!(&*it.services["api"].family, "x-family");
    assert_eq!(it.files["api"][0].key.as_str(), "api.env");
    assert_eq!(&*it.files["web"][0].bucket, "env-files");
}

#[test]
fn common_variables_alone_switch_nothing_on() {
    let common = [("LOG_LEVEL", "warn"), ("AWS_REGION", "eu-west-1"), ("SLACK_WEBHOOK_URL", "https://x/y")];
    let settings = from_environment(&common).expect("valid");
    assert_eq!(settings.naming, None);
    assert_eq!(settings.log.level, LogLevel::Warn);
    let empty = [("PROJECT_NAME", ""), ("ECS_CLUSTER_NAME", " "), ("DRY_RUN", "")];
    assert_eq!(from_environment(&empty).expect("valid").naming, None, "an empty variable counts as unset");
}

#[test]
fn the_project_is_required_once_another_variable_or_a_pattern_is_used() {
    let told = |pairs: &[(&str, &str)]| from_environment(pairs).expect_err("incomplete").to_string();
    insta::assert_snapshot!(told(&[("DRY_RUN", "true")]), @r#"
    DRY_RUN: naming.environment is missing, and targets are to be found by their names; set naming.environment or PROJECT_ENV, or remove what else is set of the naming
    DRY_RUN: naming.project is missing, and targets are to be found by their names; set naming.project or PROJECT_NAME, or remove what else is set of the naming
    "#);
    insta::assert_snapshot!(told(&[("LOCKKEEPER__NAMING__CLUSTER", "x")]), @r#"
    LOCKKEEPER__NAMING__CLUSTER: naming.environment is missing, and targets are to be found by their names; set naming.environment or PROJECT_ENV, or remove what else is set of the naming
    LOCKKEEPER__NAMING__CLUSTER: naming.project is missing, and targets are to be found by their names; set naming.project or PROJECT_NAME, or remove what else is set of the naming
    "#);
    insta::assert_snapshot!(told(&[("PROJECT_NAME", "shop")]), @r#"PROJECT_NAME: naming.environment is missing, and targets are to be found by their names; set naming.environment or PROJECT_ENV, or remove what else is set of the naming"#);
    let both = [("LOCKKEEPER_CONFIG_TOML", "[naming]\nproject='p'\nenvironment='e'"), ("DRY_RUN", "1")];
    let naming = from_environment(&both).expect("valid").naming.expect("on");
    assert_eq!((&*naming.project, naming.defaults.dry_run), ("p", true));
}

#[test]
fn what_does_not_parse_is_an_error_and_not_a_default() {
    let told = with(&[
        ("DRY_RUN", "maybe"),
        ("DEPLOYMENT_TIMEOUT_SECONDS", "10m"),
        ("MAX_DEPLOYMENT_RETRIES", "-1"),
        ("LOG_LEVEL", "loud"),
        ("SERVICE_NAME_PATTERN", "{project}_{service}"),
        ("ECS_SERVICE_MAP", r#"{"api": {"service_name": "x"}, "web": "x"}"#),
        ("S3_SERVICE_MAP", r#"{"api": [{"bucket": "B", "key": "k"}, {"bucket": "env-files"}], "web": {}}"#),
        ("SERVICE_CONFIG", "{"),
    ])
    .expect_err("wrong")
    .to_string();
    insta::assert_snapshot!(told, @r#"
    DEPLOYMENT_TIMEOUT_SECONDS = "10m" is not a number of seconds; write digits only, as 600
    DRY_RUN: defaults.dry_run = "maybe" is neither true nor false; write true, 1, yes, on or enabled, or an opposite
    ECS_SERVICE_MAP.api.task_family is missing; give the family of its task definition
    ECS_SERVICE_MAP.web is a text, where a table of keys belongs; set the keys in it one by one
    LOG_LEVEL: log.level = "loud" is not one of the words for it; write one of debug, info, warn, error
    MAX_DEPLOYMENT_RETRIES: defaults.retries = "-1" is out of bounds; write a number from 0 to 100
    S3_SERVICE_MAP.api[1] has `B` where the name of a bucket belongs; use 3 to 63 small letters, digits, `.` and `-`; only the key may have `*` and `?`
    S3_SERVICE_MAP.api[2].key is missing; name the object
    S3_SERVICE_MAP.web is not a list; write [{"bucket": "…", "key": "…"}]
    SERVICE_CONFIG is not JSON: EOF while parsing an object at line 1 column 1; write a JSON object
    SERVICE_NAME_PATTERN: naming.service = "{project}_{service}" has `{service}`, which stands for nothing; use {project}, {env} and {name}
    "#);
}

#[test]
fn a_variable_and_a_setting_may_agree_and_not_differ() {
    let document = "[naming]\nproject = 'chubby'\n[defaults]\ntimeout = '10m'\nretries = 1\ndry_run = true\n";
    let agree = [("DEPLOYMENT_TIMEOUT_SECONDS", "600"), ("MAX_DEPLOYMENT_RETRIES", "1"), ("DRY_RUN", "on")];
    let document = ("LOCKKEEPER_CONFIG_TOML", document);
    with(&[&agree[..], &[document]].concat()).expect("they agree");
    let differ = [
        ("DEPLOYMENT_TIMEOUT_SECONDS", "601"),
        ("MAX_DEPLOYMENT_RETRIES", "2"),
        ("DRY_RUN", "off"),
        ("LOCKKEEPER__NAMING__ENVIRONMENT", "prod"),
    ];
    let told = with(&[&differ[..], &[document]].concat()).expect_err("they differ").to_string();
    insta::assert_snapshot!(told, @r#"
    DEPLOYMENT_TIMEOUT_SECONDS: defaults.timeout = "601s" differs from "10m" in LOCKKEEPER_CONFIG_TOML:4; set one of them, or both alike
    DRY_RUN: defaults.dry_run = "off" differs from true in LOCKKEEPER_CONFIG_TOML:6; set one of them, or both alike
    MAX_DEPLOYMENT_RETRIES: defaults.retries = "2" differs from 1 in LOCKKEEPER_CONFIG_TOML:5; set one of them, or both alike
    PROJECT_ENV: naming.environment = "dev" differs from "prod" in LOCKKEEPER__NAMING__ENVIRONMENT; set one of them, or both alike
    "#);
}

#[test]
fn a_variable_that_means_nothing_is_told_of_also_where_a_setting_lies_over_it() {
    let told = |above: &str| {
        let both = [
            ("DRY_RUN", "maybe"),
            ("MAX_DEPLOYMENT_RETRIES", "few"),
            ("LOCKKEEPER__DEFAULTS__DRY_RUN", above),
            ("LOCKKEEPER__DEFAULTS__RETRIES", "2"),
        ];
        with(&both).expect_err("wrong").0
    };
    let keys = |problems: &[Problem]| -> Vec<String> {
        problems.iter().map(|problem| problem.origin.source.to_string()).collect()
    };
    let variables = ["DRY_RUN", "LOCKKEEPER__DEFAULTS__DRY_RUN", "MAX_DEPLOYMENT_RETRIES"];
    assert_eq!(keys(&told("perhaps")), variables);
    assert_eq!(keys(&told("true")), [variables[0], variables[2]]);
}

#[test]
fn a_pattern_that_a_name_overrides_differs_from_nothing() {
    let document = ("LOCKKEEPER_CONFIG_TOML", "[naming]\ncluster = 'x'");
    let pattern = ("CLUSTER_NAME_PATTERN", "{project}-{env}");
    with(&[document, pattern, ("ECS_CLUSTER_NAME", "x")]).expect("the name is the same");
    let told = with(&[document, pattern, ("ECS_CLUSTER_NAME", "y")]).expect_err("the name differs").0;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(&*told[0].origin.source, "ECS_CLUSTER_NAME");
    assert!(with(&[document, pattern]).is_err());
}

#[test]
fn toml_wins_over_what_the_variables_imply_and_targets_are_not_touched_by_it() {
    let document =
        "[defaults]\non_push = 'pin'\n[[target]]\ncluster = 'c'\nservice = 's'\nrepositories = ['r']";
    let settings =
        with(&[("LOCKKEEPER_CONFIG_TOML", document), ("MAX_DEPLOYMENT_RETRIES", "9")]).expect("valid");
    let named = settings.naming.expect("on").defaults;
    assert_eq!((named.on_push, &named.base), (OnPush::Pin, &Base::Latest(None)));
    let target = &settings.targets[0].settings;
    assert_eq!((target.on_push, &target.base, target.retries), (OnPush::Pin, &Base::Running, 9));
    assert_eq!(target.timeout, Duration::from_mins(30));
}

#[test]
fn slack_is_told_as_before_and_its_url_is_shown_nowhere() {
    let url = ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/SECRET");
    let slack = |more: &[(&str, &str)]| {
        let settings = with(&[&[url], more].concat()).expect("valid");
        assert!(!format!("{settings:?}").contains("SECRET"));
        settings.notify.slack.map(|it| it.way)
    };
    let expected = Some(SlackWay::Webhook(Secret::from(url.1)));
    assert_eq!(slack(&[]), expected);
    assert_eq!(slack(&[("ENABLE_SLACK_NOTIFICATIONS", "Yes")]), expected);
    assert_eq!(slack(&[("ENABLE_SLACK_NOTIFICATIONS", "off")]), None);
    let told = with(&[url, ("ENABLE_SLACK_NOTIFICATIONS", "perhaps")]).expect_err("neither").to_string();
    insta::assert_snapshot!(told, @r#"ENABLE_SLACK_NOTIFICATIONS: notify.slack.enabled = "perhaps" is neither true nor false; write true, 1, yes, on or enabled, or an opposite"#);
    let other = "[notify.slack]\nwebhook_url = 'https://hooks.slack.com/services/SECRET-2'";
    let told = with(&[url, ("LOCKKEEPER_CONFIG_TOML", other)]).expect_err("they differ").to_string();
    insta::assert_snapshot!(told, @r#"SLACK_WEBHOOK_URL: notify.slack.webhook_url differs from what LOCKKEEPER_CONFIG_TOML:2 says; set one of them, or both alike"#);
    let told = told_of_none(&[("ENABLE_SLACK_NOTIFICATIONS", "true")]);
    insta::assert_snapshot!(told, @r#"ENABLE_SLACK_NOTIFICATIONS is on, and SLACK_WEBHOOK_URL is not set; set SLACK_WEBHOOK_URL, or notify.slack, or set it to false"#);
}

fn told_of_none(pairs: &[(&str, &str)]) -> String {
    told(&with(pairs).expect("a warning only"))
}

#[test]
fn two_maps_may_name_the_files_of_a_service_alike_and_not_differently() {
    let files = |key: &str| format!(r#"{{"api": [{{"bucket": "env-files", "key": "{key}"}}]}}"#);
    let both =
        |one: &str, other: &str| with(&[("S3_SERVICE_MAP", &files(one)), ("SERVICE_CONFIG", &files(other))]);
    let it = both("api.env", "api.env").expect("valid").naming.expect("on");
    assert_eq!(it.files["api"][0].key.as_str(), "api.env");
    let told = both("api.env", "other.env").expect_err("they differ").to_string();
    assert!(told.contains("differs from what S3_SERVICE_MAP says of `api`"), "{told}");
}

#[test]
fn a_pattern_has_only_what_names_can_have() {
    let told = with(&[("SERVICE_NAME_PATTERN", "{project}_{name} {env}")]).expect_err("a space").to_string();
    assert!(told.contains("has ` `, which such a name cannot have"), "{told}");
    let told = with(&[("SERVICE_NAME_PATTERN", "{name}!")]).expect_err("a mark").to_string();
    assert!(told.contains("has `!`, which such a name cannot have"), "{told}");
}
