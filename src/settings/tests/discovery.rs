//! Where targets are looked for, and what is done about lost events.

use super::*;
use crate::domain::{Glob, Selector};

fn rules(toml: &str) -> Option<DiscoveryRules> {
    from_document(toml).expect("valid").discovery
}

fn by_tag(key: &str, value: &str) -> Selector {
    Selector::Tag { key: key.into(), value: Glob::new(value) }
}

#[test]
fn discovery_is_on_where_clusters_are_named() {
    let name = |text| Selector::Name(Glob::new(text));
    let it = rules("[discovery]\nclusters = ['*']").expect("on");
    assert_eq!(it.refresh, Duration::from_mins(15));
    assert_eq!((it.clusters, it.services, it.exclude), (vec![name("*")], vec![name("*")], vec![]));
    assert_eq!(rules(""), None);
    assert_eq!(rules("[discovery]\nclusters = []\nexclude = ['x']\nrefresh = '1h'"), None);
}

#[test]
fn services_are_selected_by_name_by_cluster_and_by_tag() {
    let it = rules(
        r#"
        [discovery]
        clusters = ["shop-*", "tag:team=a:b=c d", "tag:lockkeeper:enabled=true"]
        services = ["api-?", "shop-prod/web*", "tag:owner"]
        exclude = ["*/cron-*", "tag:empty="]
        refresh = "1d"
        "#,
    )
    .expect("on");
    assert_eq!(it.clusters[1..], [by_tag("team", "a:b=c d"), by_tag("lockkeeper:enabled", "true")]);
    assert_eq!(it.services[2], by_tag("owner", "*"));
    let written: Vec<_> = it.clusters.iter().chain(&it.services).chain(&it.exclude).collect();
    for selector in written {
        let toml = format!("[discovery]\nclusters = ['*']\nexclude = ['{selector}']");
        assert_eq!(rules(&toml).expect("on").exclude, std::slice::from_ref(selector), "reads back");
    }
    let from_variables = from_environment(&[("LOCKKEEPER__DISCOVERY__CLUSTERS", "a, tag:b=c")]);
    assert_eq!(from_variables.expect("valid").discovery.expect("on").clusters.len(), 2);
}

#[test]
fn what_selects_nothing_or_could_not_is_refused() {
    insta::assert_snapshot!(told_of(
        r#"
[discovery]
clusters = ["shop/api", "arn:aws:ecs:eu-west-1:111122223333:cluster/shop", "a b", "tag:", "tag:=x"]
services = ["a/b/c", "/b", "arn:aws:ecs:eu-west-1:111122223333:service/shop/api", "tag:a,b"]
exclude = ["*", "**/*", "tag:a=b#"]
refresh = "30s"
"#
    ), @r#"
    LOCKKEEPER_CONFIG_TOML:3: discovery.clusters[1] = "shop/api" names a service, where a cluster belongs; write "shop", and "shop/api" in discovery.services
    LOCKKEEPER_CONFIG_TOML:3: discovery.clusters[2] = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop" is an ARN, where a name belongs; write "shop"
    LOCKKEEPER_CONFIG_TOML:3: discovery.clusters[3] = "a b" is not a name in ECS, because of ` `; use letters, digits and _-; `*` is any run of characters, `?` any one
    LOCKKEEPER_CONFIG_TOML:3: discovery.clusters[4] = "tag:" selects by a tag without a key; write "tag:KEY", or "tag:KEY=VALUE" where the value may have `*` and `?`
    LOCKKEEPER_CONFIG_TOML:3: discovery.clusters[5] = "tag:=x" selects by a tag without a key; write "tag:KEY", or "tag:KEY=VALUE" where the value may have `*` and `?`
    LOCKKEEPER_CONFIG_TOML:4: discovery.services[1] = "a/b/c" is not a name in ECS; write "service", or "cluster/service"
    LOCKKEEPER_CONFIG_TOML:4: discovery.services[2] = "/b" is not a name in ECS; write "service", or "cluster/service"
    LOCKKEEPER_CONFIG_TOML:4: discovery.services[3] = "arn:aws:ecs:eu-west-1:111122223333:service/shop/api" is an ARN, where a name belongs; write "shop/api"
    LOCKKEEPER_CONFIG_TOML:4: discovery.services[4] = "tag:a,b" selects by a key that no tag can have; write "tag:KEY", or "tag:KEY=VALUE" where the value may have `*` and `?`
    LOCKKEEPER_CONFIG_TOML:5: discovery.exclude[1] = "*" excludes every service; name those that are meant, or write clusters = []
    LOCKKEEPER_CONFIG_TOML:5: discovery.exclude[2] = "**/*" excludes every service; name those that are meant, or write clusters = []
    LOCKKEEPER_CONFIG_TOML:5: discovery.exclude[3] = "tag:a=b#" selects by a value that no tag can have; write "tag:KEY", or "tag:KEY=VALUE" where the value may have `*` and `?`
    LOCKKEEPER_CONFIG_TOML:6: discovery.refresh = "30s" is out of bounds; write a duration from 1m to 1d
    "#);
    insta::assert_snapshot!(told_of("[discovery]\nservices = ['a']\nexclude = ['b']\nrefresh = '1h'"), @r#"
    LOCKKEEPER_CONFIG_TOML:2: discovery.services does nothing without clusters; set discovery.clusters, as ["*"], or remove this
    LOCKKEEPER_CONFIG_TOML:3: discovery.exclude does nothing without clusters; set discovery.clusters, as ["*"], or remove this
    LOCKKEEPER_CONFIG_TOML:4: discovery.refresh does nothing without clusters; set discovery.clusters, as ["*"], or remove this
    "#);
    insta::assert_snapshot!(told_of("[discovery]\nclusters = ['a']\nservices = []"), @r#"LOCKKEEPER_CONFIG_TOML:3: discovery.services selects no service; write ["*"] for all, or clusters = [] to find none"#);
}

#[test]
fn a_tag_with_blanks_around_its_key_or_value_is_refused_with_what_would_be_right() {
    let told = told_of(
        "[discovery]\nclusters = ['tag:env = prod', 'tag: env', 'tag:env=prod ']\nservices = ['tag: = x']",
    );
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:2: discovery.clusters[1] = "tag:env = prod" has blanks around a key or value, which would be part of it, so that nothing is selected; write "tag:env=prod"
    LOCKKEEPER_CONFIG_TOML:2: discovery.clusters[2] = "tag: env" has blanks around a key or value, which would be part of it, so that nothing is selected; write "tag:env"
    LOCKKEEPER_CONFIG_TOML:2: discovery.clusters[3] = "tag:env=prod " has blanks around a key or value, which would be part of it, so that nothing is selected; write "tag:env=prod"
    LOCKKEEPER_CONFIG_TOML:3: discovery.services[1] = "tag: = x" selects by a tag without a key; write "tag:KEY", or "tag:KEY=VALUE" where the value may have `*` and `?`
    "#);
    assert!(rules("[discovery]\nclusters = ['tag:cost center=shop and mail']").is_some());
}

#[test]
fn accounts_are_reached_by_a_role_of_theirs_and_their_events_are_taken() {
    let aws = from_environment(&[
        ("AWS_REGION", "eu-west-1"),
        (
            "LOCKKEEPER_CONFIG_TOML",
            r#"
            [aws]
            allowed_accounts = ["777788889999"]
            regions = ["us-east-1", "eu-west-1", "eu-central-1", "us-east-1"]
            [[aws.accounts]]
            id = "444455556666"
            role_arn = "arn:aws-us-gov:iam::444455556666:role/path/lockkeeper"
            external_id = "shop/2026"
            [[aws.accounts]]
            id = "777788889999"
            role_arn = "arn:aws:iam::777788889999:role/lockkeeper"
            "#,
        ),
    ])
    .expect("valid")
    .aws;
    let [first, second] = aws.estate.accounts.as_slice() else { panic!("two accounts") };
    assert_eq!((first.account.as_str(), first.external_id.as_deref()), ("444455556666", Some("shop/2026")));
    assert_eq!(&*second.role_arn, "arn:aws:iam::777788889999:role/lockkeeper");
    assert_eq!(aws.estate.regions, ["eu-central-1".into(), "us-east-1".into()]);
    assert_eq!(aws.allowed_accounts, ["777788889999".into(), "444455556666".into()]);
    let json = r#"[{"id": "444455556666", "role_arn": "arn:aws:iam::444455556666:role/x"}]"#;
    let settings = from_environment(&[("LOCKKEEPER__AWS__ACCOUNTS", json)]).expect("valid");
    assert_eq!(settings.aws.estate.accounts[0].external_id, None);
}

#[test]
fn an_account_without_a_role_of_its_own_is_refused() {
    let told = told_of(
        r#"
[[aws.accounts]]
id = "444455556666"
role_arn = "arn:aws:iam::111122223333:role/lockkeeper"
external_id = "has spaces"
[[aws.accounts]]
id = 4444
[[aws.accounts]]
id = "444455556666"
role_arn = "lockkeeper"
role = "x"
[[aws.accounts]]
id = "555566667777"
role_arn = "arn:aws:iam::555566667777:role/a"
[[aws.accounts]]
id = "555566667777"
role_arn = "arn:aws:iam::555566667777:user/a"
[[aws.accounts]]
id = "555566667777"
role_arn = "arn:aws:iam::555566667777:role/b"
"#,
    );
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:4: aws.accounts[1].role_arn is a role of account 111122223333, and not of 444455556666; name a role of 444455556666, or mend the id
    LOCKKEEPER_CONFIG_TOML:5: aws.accounts[1].external_id is not an external id; write 2 to 1,224 letters, digits, `_`, `+`, `=`, `,`, `.`, `@`, `:`, `/` or `-`
    LOCKKEEPER_CONFIG_TOML:6: aws.accounts[2].role_arn is missing; give the role in that account to assume
    LOCKKEEPER_CONFIG_TOML:7: aws.accounts[2].id = 4444 is a number, where a text belongs; write it in quotation marks
    LOCKKEEPER_CONFIG_TOML:10: aws.accounts[3].role_arn = "lockkeeper" is not the ARN of a role; write it as "arn:aws:iam::111122223333:role/lockkeeper-target"
    LOCKKEEPER_CONFIG_TOML:11: aws.accounts[3].role is no setting; `role` belongs to `[http.tokens]`
    LOCKKEEPER_CONFIG_TOML:17: aws.accounts[5].role_arn = "arn:aws:iam::555566667777:user/a" is not the ARN of a role; write it as "arn:aws:iam::111122223333:role/lockkeeper-target"
    LOCKKEEPER_CONFIG_TOML:18: aws.accounts[6].id is account 555566667777 once more, as at LOCKKEEPER_CONFIG_TOML:12; make one entry of the two
    "#);
    assert!(!told.contains("has spaces"));
    insta::assert_snapshot!(told_of("[aws]\naccounts = 'x'\nregions = ['Ireland']"), @r#"
    LOCKKEEPER_CONFIG_TOML:2: aws.accounts is not a list of accounts; begin each with [[aws.accounts]] in TOML, or write a JSON list of objects
    LOCKKEEPER_CONFIG_TOML:3: aws.regions[1] = "Ireland" is not an AWS Region; write its code, as "eu-west-1"
    "#);
}

#[test]
fn what_reaches_nothing_is_a_warning() {
    let settings = from_document(
        r#"
        [queue]
        url = "https://sqs.eu-west-1.amazonaws.com/111122223333/q"
        [aws]
        regions = ["us-east-1"]
        [[aws.accounts]]
        id = "444455556666"
        role_arn = "arn:aws:iam::444455556666:role/lockkeeper"
        [[target]]
        cluster = "c"
        service = "far"
        account = "999900001111"
        repositories = ["a"]
        [[target]]
        cluster = "c"
        service = "own"
        account = "111122223333"
        repositories = ["a"]
        "#,
    )
    .expect("valid");
    insta::assert_snapshot!(told(&settings), @r#"
    target.far.account = "999900001111" is neither the account of the queue nor one of [[aws.accounts]]: unless it is Lockkeeper's own, every deployment of it will fail; write an [[aws.accounts]] with id = "999900001111" and the role to assume there
    aws.accounts has 444455556666, in which no target is, and discovery is off; set discovery.clusters, write a [[target]] there, or remove it
    aws.regions has us-east-1, and only discovery asks there, which is off; set discovery.clusters, or remove it
    "#);
}

#[test]
fn what_discovery_finds_needs_no_list_and_gives_no_warning() {
    let settings = from_document(
        r#"
        [aws]
        regions = ["us-east-1"]
        [[aws.accounts]]
        id = "444455556666"
        role_arn = "arn:aws:iam::444455556666:role/lockkeeper"
        [discovery]
        clusters = ["*"]
        [[target]]
        cluster = "c"
        service = "s"
        "#,
    )
    .expect("valid");
    assert_eq!(told(&settings), "");
    let settings = from_document("[discovery]\nclusters = ['*']\n[defaults]\nignore_tags = ['newest']");
    let settings = settings.expect("valid");
    assert_eq!(settings.defaults.ignore_tags.len(), 1);
    assert!(told(&settings).starts_with("defaults.ignore_tags has `newest`"), "{}", told(&settings));
}

#[test]
fn reconcile_repairs_unless_it_is_told_otherwise() {
    let of = |toml: &str| from_document(toml).expect("valid").reconcile;
    assert_eq!(
        of(""),
        Reconcile {
            mode: ReconcileMode::Repair,
            every: Duration::from_mins(5),
            rule: Glob::new("lockkeeper*")
        }
    );
    let report = of("[reconcile]\nmode = 'report'\nevery = '1d'\nrule = 'nightly-*'");
    assert_eq!(
        report,
        Reconcile {
            mode: ReconcileMode::Report,
            every: Duration::from_hours(24),
            rule: Glob::new("nightly-*")
        }
    );
    assert_eq!(of("[reconcile]\nmode = 'off'").mode, ReconcileMode::Off);
    insta::assert_snapshot!(told_of("[reconcile]\nmode = 'fix'\nevery = '3s'"), @r#"
    LOCKKEEPER_CONFIG_TOML:2: reconcile.mode = "fix" is not one of the words for it; write one of repair, report, off
    LOCKKEEPER_CONFIG_TOML:3: reconcile.every = "3s" is out of bounds; write a duration from 10s to 1d
    "#);
}
