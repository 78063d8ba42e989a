use super::*;
use crate::decode::tests::sent;

fn told(source: &str, detail: &str) -> Option<Arc<Metadata>> {
    let body = format!(r#"{{"source":"{source}","detail-type":"DEPLOY","detail":{detail}}}"#);
    crate::decode::decode(body.as_bytes(), sent()).metadata
}

/// As `part: value` lines.
fn lines(detail: &str) -> String {
    let told = told("action.deploy", detail).expect("something is told");
    let json = serde_json::to_value(&*told).expect("JSON");
    let parts = json.as_object().expect("an object").iter();
    parts
        .map(|(part, value)| format!("{part}: {}", value.as_str().expect("a text")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn run(variables: &[(&str, &str)], git: &Checkout) -> String {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    serde_json::to_string(&of_run(&variables, git)).expect("JSON")
}

#[test]
fn a_run_of_a_ci_system_is_known_by_its_environment_and_git_tells_the_rest() {
    let git = Checkout {
        commit: Some("4f2a9c1".into()),
        branch: None,
        url: Some("git@github.com:shop/api.git".into()),
        user: Some("Ann".into()),
    };
    let github = [
        ("USER", "runner"),
        ("BUILD_NUMBER", "1"),
        ("GITHUB_ACTOR", "ann"),
        ("GITHUB_SHA", "5e2a9c1"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_REPOSITORY", "shop/api"),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_HEAD_REF", ""),
    ];
    insta::assert_snapshot!(run(&github, &git), @r#"{"user":"ann","commit":"5e2a9c1","branch":"main","repository":"shop/api","repository_url":"https://github.com/shop/api","platform":"github","run_id":"77","run_url":"https://github.com/shop/api/actions/runs/77"}"#);
    let gitlab = [
        ("CI_COMMIT_SHA", "5e2a9c1"),
        ("CI_PIPELINE_URL", "https://gitlab.example/p/1"),
        ("GITLAB_USER_LOGIN", "ann"),
    ];
    insta::assert_snapshot!(run(&gitlab, &Checkout::default()), @r#"{"user":"ann","commit":"5e2a9c1","platform":"gitlab","run_url":"https://gitlab.example/p/1"}"#);
    let jenkins = [
        ("JENKINS_URL", "https://ci"),
        ("GIT_COMMIT", "5e2a9c1"),
        ("GIT_BRANCH", "origin/main"),
        ("BUILD_NUMBER", "7"),
    ];
    insta::assert_snapshot!(run(&jenkins, &Checkout::default()), @r#"{"commit":"5e2a9c1","branch":"main","platform":"jenkins","run_id":"7"}"#);
    insta::assert_snapshot!(run(&[("USER", "ann"), ("GIT_COMMIT", "5e2a9c1"), ("BRANCH", "x")], &git), @r#"{"user":"Ann","commit":"4f2a9c1","repository":"shop/api","repository_url":"https://github.com/shop/api"}"#);
    assert!(of_run(&BTreeMap::new(), &Checkout::default()).is_empty());
}

#[test]
fn the_span_in_which_it_was_asked_for_is_kept_where_it_is_one() {
    const SPAN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let line = format!("traceparent: {SPAN}");
    assert_eq!(lines(&format!(r#"{{"service":"api","traceparent":"{SPAN}"}}"#)), line);
    assert_eq!(lines(&format!(r#"{{"service":"api","metadata":{{"traceparent":"{SPAN}"}}}}"#)), line);
    assert_eq!(told("action.deploy", r#"{"service":"api","traceparent":"00-4bf9"}"#), None);
    let json = format!(r#"{{"traceparent":"{SPAN}"}}"#);
    assert_eq!(run(&[("TRACEPARENT", SPAN)], &Checkout::default()), json);
    assert_eq!(run(&[("TRACEPARENT", "yes")], &Checkout::default()), "{}");
}

#[test]
fn plain_names_count() {
    insta::assert_snapshot!(lines(
        r#"{"service":"api","commit":"4f2a9c1","branch":"main","repository_url":"https://github.com/shop/api",
            "platform":"GitHub","run_id":77,"run_url":"https://github.com/shop/api/actions/runs/77","actor":"ann"}"#
    ), @r"
    branch: main
    commit: 4f2a9c1
    platform: github
    repository: shop/api
    repository_url: https://github.com/shop/api
    run_id: 77
    run_url: https://github.com/shop/api/actions/runs/77
    user: ann
    ");
}

#[test]
fn the_object_metadata_of_a_request_counts_as_the_request() {
    let [inner, outer] = [
        r#"{"service":"api","metadata":{"user":"ann","gitCommit":"4f2a9c1","gitBranch":"main","gitRepository":"shop/api",
            "cicdPlatform":"jenkins","runId":"9","runUrl":"https://ci.example/9"}}"#,
        r#"{"user":"ann","commit":"4f2a9c1","branch":"main","git_repository":"shop/api","platform":"jenkins",
            "run-id":"9","RUN_URL":"https://ci.example/9"}"#,
    ]
    .map(lines);
    assert_eq!(inner, outer);
    assert!(lines(r#"{"metadata":{"repository":"shop/api"}}"#).contains("repository: shop/api"));
}

#[test]
fn each_ci_system_is_known_by_its_own_names() {
    let systems = [
        r#"{"GITHUB_SHA":"4f2a9c1","GITHUB_REF_NAME":"main","GITHUB_REPOSITORY":"shop/api","GITHUB_RUN_ID":"77",
            "GITHUB_ACTOR":"ann","GITHUB_SERVER_URL":"https://github.example"}"#,
        r#"{"github":{"sha":"4f2a9c1","ref":"refs/heads/main","repository":"shop/api","run_id":77,"actor":"ann"}}"#,
        r#"{"CI_COMMIT_SHA":"4f2a9c1","CI_COMMIT_REF_NAME":"main","CI_PROJECT_PATH":"shop/api","CI_PIPELINE_ID":8,
            "CI_PROJECT_URL":"https://gitlab.com/shop/api","CI_PIPELINE_URL":"https://gitlab.com/shop/api/-/pipelines/8",
            "GITLAB_USER_LOGIN":"ann"}"#,
        r#"{"JOB_NAME":"api","GIT_COMMIT":"4f2a9c1","GIT_BRANCH":"origin/main","GIT_URL":"git@github.com:shop/api.git",
            "BUILD_NUMBER":"12","BUILD_URL":"https://jenkins.example/job/api/12/","BUILD_USER_ID":"ann"}"#,
        r#"{"CIRCLE_SHA1":"4f2a9c1","CIRCLE_BRANCH":"main","CIRCLE_PROJECT_USERNAME":"shop","CIRCLE_USERNAME":"ann",
            "CIRCLE_PROJECT_REPONAME":"api","CIRCLE_BUILD_NUM":"5","CIRCLE_BUILD_URL":"https://circleci.com/gh/shop/api/5"}"#,
        r#"{"CODEBUILD_RESOLVED_SOURCE_VERSION":"4f2a9c1","CODEBUILD_WEBHOOK_HEAD_REF":"refs/heads/main",
            "CODEBUILD_SOURCE_REPO_URL":"https://github.com/shop/api.git","CODEBUILD_BUILD_ID":"api:1-2",
            "CODEBUILD_INITIATOR":"ann",
            "CODEBUILD_BUILD_URL":"https://eu-west-1.console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/api:1-2"}"#,
        r#"{"TRAVIS_COMMIT":"4f2a9c1","TRAVIS_BRANCH":"main","TRAVIS_REPO_SLUG":"shop/api","TRAVIS_BUILD_ID":"3",
            "TRAVIS_BUILD_WEB_URL":"https://app.travis-ci.com/shop/api/builds/3"}"#,
    ];
    insta::assert_snapshot!(systems.map(|it| lines(it).replace('\n', "; ")).join("\n"), @r#"
    branch: main; commit: 4f2a9c1; platform: github; repository: shop/api; repository_url: https://github.example/shop/api; run_id: 77; run_url: https://github.example/shop/api/actions/runs/77; user: ann
    branch: main; commit: 4f2a9c1; platform: github; repository: shop/api; repository_url: https://github.com/shop/api; run_id: 77; run_url: https://github.com/shop/api/actions/runs/77; user: ann
    branch: main; commit: 4f2a9c1; platform: gitlab; repository: shop/api; repository_url: https://gitlab.com/shop/api; run_id: 8; run_url: https://gitlab.com/shop/api/-/pipelines/8; user: ann
    branch: main; commit: 4f2a9c1; platform: jenkins; repository: shop/api; repository_url: https://github.com/shop/api; run_id: 12; run_url: https://jenkins.example/job/api/12; user: ann
    branch: main; commit: 4f2a9c1; platform: circleci; repository: shop/api; run_id: 5; run_url: https://circleci.com/gh/shop/api/5; user: ann
    branch: main; commit: 4f2a9c1; platform: codebuild; repository: shop/api; repository_url: https://github.com/shop/api; run_id: api:1-2; run_url: https://eu-west-1.console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/api:1-2; user: ann
    branch: main; commit: 4f2a9c1; platform: travis; repository: shop/api; run_id: 3; run_url: https://app.travis-ci.com/shop/api/builds/3
    "#);
}

#[test]
fn the_repository_of_a_ready_image_is_not_that_of_its_source() {
    let detail = r#"{"repository":"shop_api","tag":"v1","branch":"main","commit":"4f2a9c1"}"#;
    let metadata = told("github.actions", detail).expect("told");
    assert_eq!(metadata.repository, None);
    assert_eq!((metadata.platform.as_deref(), metadata.branch.as_deref()), (Some("github"), Some("main")));
}

#[test]
fn a_tag_that_is_a_commit_tells_it_and_no_other_does() {
    let commit = |tag: &str| {
        let detail = format!(
            r#"{{"action-type":"PUSH","result":"SUCCESS","repository-name":"api","image-tag":"{tag}"}}"#
        );
        let body = format!(r#"{{"source":"aws.ecr","detail-type":"ECR Image Action","detail":{detail}}}"#);
        let event = crate::decode::decode(body.as_bytes(), sent());
        event.metadata.and_then(|it| it.commit.as_deref().map(str::to_owned))
    };
    let whole = "4f2a9c1e4f2a9c1e4f2a9c1e4f2a9c1e4f2a9c1e";
    assert_eq!(commit(whole).as_deref(), Some(whole));
    assert_eq!(commit("sha-4f2a9c1").as_deref(), Some("4f2a9c1"));
    for tag in ["20261101", "deadbee", "v1.4.2", "latest", "sha-x"] {
        assert_eq!(commit(tag), None, "{tag}");
    }
}

#[test]
fn who_asks_is_the_user_where_nobody_else_is_named() {
    assert_eq!(lines(r#"{"requested_by":"ben"}"#), "user: ben");
    assert_eq!(lines(r#"{"requested_by":"ben","actor":"ann"}"#), "user: ann");
}

#[test]
fn credentials_in_a_url_are_left_out_and_what_no_browser_opens_is_no_link() {
    for (given, link) in [
        ("https://gitlab-ci-token:SECRET@gitlab.com/shop/api.git", Some("https://gitlab.com/shop/api")),
        ("https://ci.example/run?token=SECRET#x", Some("https://ci.example/run")),
        ("ssh://git@github.com/shop/api.git", Some("https://github.com/shop/api")),
        ("git@github.com:shop/api.git", Some("https://github.com/shop/api")),
        ("javascript:alert(1)", None),
        ("javascript://alert", None),
        ("https://a b", None),
        (r#"https://a/\"><script>"#, None),
        ("https://", None),
    ] {
        let metadata = told("action.deploy", &format!(r#"{{"repository_url":"{given}","commit":"c"}}"#));
        assert_eq!(metadata.expect("a commit").repository_url.as_deref(), link, "{given}");
    }
}

#[test]
fn what_cannot_be_read_is_passed_over_and_makes_nothing_malformed() {
    for detail in [r#"{"commit":["x"],"branch":{"a":1},"actor":"","run_id":-1}"#, r#"{"service":"api"}"#] {
        assert_eq!(told("action.deploy", detail), None, "{detail}");
    }
    assert_eq!(told("aws.ssm", r#"{"commit":"4f2a9c1"}"#), None);
    let long = format!(r#"{{"commit":"a\u001b{}"}}"#, "b".repeat(9_000));
    let commit = told("action.deploy", &long).expect("told").commit.clone().expect("told");
    assert!(commit.starts_with("a\u{fffd}b") && commit.chars().count() == 257, "{commit}");
    assert_eq!(told("action.deploy", r#"{"gitref":"refs/tags/v1"}"#), None);
}
