//! What is said of settings that are wrong.

use proptest::prelude::*;

use super::*;

#[test]
fn all_problems_are_told_at_once_each_with_its_place_and_mend() {
    let told = told_of(
        r#"
[queue]
ulr = "https://sqs.eu-west-1.amazonaws.com/111122223333/q"
url = "https://sqs.eu-west-1.amazonaws.com/111122223333/q.fifo"
pollers = 17
visibility = 30

[http]
listen = ":8080"

[aws]
allowed_accounts = [111122223333, "1234"]

[defaults]
on_push = "folow"
tags = "latest"
quiet = "2m"
timeout = "400d"
retries = "2"
dry_run = "yes"
approval = "required"
queue = "x"

[[target]]
name = "my api"
cluster = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"
repositories = ["111122223333.dkr.ecr.eu-west-1.amazonaws.com/api", "a b"]
parameters = ["prod/shop/*"]
secrets = ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/api-AbCdEf"]
files = ["shop-env/api.env", "s3://UPPER/x", "s3://shop-env/"]
family = "f"
region = "Ireland"
url = "x"
"#,
    );
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:3: queue.ulr is no setting; did you mean `url`?
    LOCKKEEPER_CONFIG_TOML:4: queue.url = "https://sqs.eu-west-1.amazonaws.com/111122223333/q.fifo" is a FIFO queue, which holds back a whole group behind one message that is in work; use a standard queue: versions order what arrives in any order
    LOCKKEEPER_CONFIG_TOML:5: queue.pollers = 17 is out of bounds; write a number from 1 to 16
    LOCKKEEPER_CONFIG_TOML:6: queue.visibility = 30 is a number without a unit; write "30s" if it is seconds
    LOCKKEEPER_CONFIG_TOML:9: http.listen = ":8080" is not an address to listen on; write "0.0.0.0:8080"
    LOCKKEEPER_CONFIG_TOML:12: aws.allowed_accounts[1] = 111122223333 is a number, where a text belongs; write it in quotation marks
    LOCKKEEPER_CONFIG_TOML:12: aws.allowed_accounts[2] = "1234" is not an AWS account; write its twelve digits in quotation marks, as "111122223333"
    LOCKKEEPER_CONFIG_TOML:15: defaults.on_push = "folow" is not one of the words for it; write one of follow, pin, always, ignore; did you mean `follow`?
    LOCKKEEPER_CONFIG_TOML:16: defaults.tags = "latest" is not a tag policy: it is written newest, exact:<tag>, prefix:<text>, glob:<pattern>, regex:<expression> or semver:<range>; write "exact:latest" for that one tag
    LOCKKEEPER_CONFIG_TOML:17: defaults.quiet = "2m" is out of bounds; write a duration from 0s to 1m
    LOCKKEEPER_CONFIG_TOML:18: defaults.timeout = "400d" is out of bounds; write a duration from 1s to 365d
    LOCKKEEPER_CONFIG_TOML:19: defaults.retries = "2" is not a whole number; write a number from 0 to 100, without quotation marks
    LOCKKEEPER_CONFIG_TOML:20: defaults.dry_run = "yes" is neither true nor false; write true or false, without quotation marks
    LOCKKEEPER_CONFIG_TOML:21: defaults.approval is no setting; remove it; known here are on_push, tags, ignore_tags, image_reference, container, base, quiet, timeout, retries, rollback, on_newer, max_parallel, stop_after, branches, on_delete, dry_run, triggers
    LOCKKEEPER_CONFIG_TOML:22: defaults.queue is no setting; remove it; known here are on_push, tags, ignore_tags, image_reference, container, base, quiet, timeout, retries, rollback, on_newer, max_parallel, stop_after, branches, on_delete, dry_run, triggers
    LOCKKEEPER_CONFIG_TOML:24: target[1].service is missing; give ECS's name of the service
    LOCKKEEPER_CONFIG_TOML:25: target[1].name = "my api" is not a name for a target; use letters, digits, `_`, `-` and `.` only, at most 100
    LOCKKEEPER_CONFIG_TOML:26: target[1].cluster = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop" is an ARN, where a name belongs; write "shop"; account "111122223333" and region "eu-west-1" have keys of their own
    LOCKKEEPER_CONFIG_TOML:27: target[1].repositories[1] = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/api" names more than a repository; write "api"
    LOCKKEEPER_CONFIG_TOML:27: target[1].repositories[2] = "a b" contains white space, and so never matches; write each pattern as a text of its own
    LOCKKEEPER_CONFIG_TOML:28: target[1].parameters[1] = "prod/shop/*" never matches: a parameter in a hierarchy begins with a slash; write "/prod/shop/*"
    LOCKKEEPER_CONFIG_TOML:29: target[1].secrets[1] = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/api-AbCdEf" is an ARN, where a name belongs; write "shop/api"
    LOCKKEEPER_CONFIG_TOML:30: target[1].files[1] = "shop-env/api.env" is not the URL of objects in S3; write "s3://bucket/key", where the key may have `*` and `?`
    LOCKKEEPER_CONFIG_TOML:30: target[1].files[2] = "s3://UPPER/x" has `UPPER` where the name of a bucket belongs; use 3 to 63 small letters, digits, `.` and `-`; only the key may have `*` and `?`
    LOCKKEEPER_CONFIG_TOML:30: target[1].files[3] = "s3://shop-env/" names no object in the bucket; write its key, or "*" for all
    LOCKKEEPER_CONFIG_TOML:31: target[1].family does nothing with `base = "running"`; set `base = "latest"`, or remove the family
    LOCKKEEPER_CONFIG_TOML:32: target[1].region = "Ireland" is not an AWS Region; write its code, as "eu-west-1"
    LOCKKEEPER_CONFIG_TOML:33: target[1].url is no setting; `url` belongs to `[queue]`
    "#);
}

#[test]
fn two_targets_with_one_name_or_one_id_are_refused() {
    let told = told_of(
        "[[target]]\nname='a'\ncluster='c'\nservice='s'\n\
         [[target]]\nname='a'\ncluster='c'\nservice='t'\n\
         [[target]]\nname='b'\ncluster='c'\nservice='s'\n\
         [[target]]\nname='d'\ncluster='c'\nservice='s'\nregion='eu-west-1'\n",
    );
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:5: target.a.name has the name `a` of the target at LOCKKEEPER_CONFIG_TOML:1; give each target a name of its own
    LOCKKEEPER_CONFIG_TOML:9: target.b.service is service s of c once more, as at LOCKKEEPER_CONFIG_TOML:1; make one target of the two
    "#);
}

#[test]
fn a_target_that_names_our_own_region_is_the_same_as_one_that_names_none() {
    let document = "[[target]]\nname='a'\ncluster='c'\nservice='s'\n\
                    [[target]]\nname='b'\ncluster='c'\nservice='s'\nregion='eu-west-1'\n";
    let of = |region| from_environment(&[("LOCKKEEPER_CONFIG_TOML", document), ("AWS_REGION", region)]);
    assert!(of("eu-west-1").is_err());
    assert!(of("us-east-1").is_ok());
}

#[test]
fn the_dead_letter_queue_is_another_queue() {
    let url = "https://sqs.eu-west-1.amazonaws.com/111122223333/q";
    let told = told_of(&format!("[queue]\nurl = '{url}'\ndead_letter_url = '{url}/'"));
    insta::assert_snapshot!(told, @r#"LOCKKEEPER_CONFIG_TOML:3: queue.dead_letter_url is the queue that events come from; name another queue: what is set aside must not come back by itself"#);
}

#[test]
fn a_queue_is_named_by_its_url() {
    let queue = |url: &str| from_environment(&[("LOCKKEEPER__QUEUE__URL", url)]);
    for url in [
        "https://sqs.eu-west-1.amazonaws.com/111122223333/q",
        "http://localhost:4566/000000000000/q",
        "http://localhost:4566/queue/eu-west-1/000000000000/q",
        "http://[::1]:9324/q",
    ] {
        assert!(queue(url).is_ok(), "{url} was refused");
    }
    for url in
        ["", "q", "https://", "https:///q", "https://host", "https://host/", "ftp://host/q", "https://h/a b"]
    {
        assert!(queue(url).is_err(), "{url} was taken");
    }
    let told = queue("arn:aws:sqs:eu-west-1:111122223333:q").expect_err("an ARN").to_string();
    assert!(told.contains(r#"write "https://sqs.eu-west-1.amazonaws.com/111122223333/q""#), "{told}");
}

#[test]
fn wrong_variables_are_told_by_their_names() {
    let told = from_environment(&[
        ("LOCKKEEPER__QUEUE__ULR", "https://sqs.eu-west-1.amazonaws.com/111122223333/q"),
        ("LOCKKEEPER__QUEUE__POLLERS", "many"),
        ("LOCKKEEPER__HTTP", "0.0.0.0:80"),
        ("LOCKKEEPER__SLAKC__TOKEN", "xoxb-secret"),
        ("LOCKKEEPER__", "x"),
        ("LOCKKEEPER_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/q"),
        ("LOCKKEEPER_ENV", "../etc"),
        ("LOCKKEEPER__TARGET__0__NAME", "api"),
        ("LOCKKEEPER__DEFAULTS__BRANCHES", "[main"),
        ("AWS_REGION", "Ireland"),
    ])
    .expect_err("wrong")
    .to_string();
    insta::assert_snapshot!(told, @r#"
    AWS_REGION = "Ireland" is not an AWS Region; write its code, as "eu-west-1"
    LOCKKEEPER_ENV = "../etc" is not the name of a file; use letters, digits, `_` and `-` only, or unset it
    LOCKKEEPER_QUEUE_URL sets nothing; did you mean LOCKKEEPER__QUEUE__URL, with two underscores?
    LOCKKEEPER__ names no key; write it as LOCKKEEPER__SECTION__KEY
    LOCKKEEPER__DEFAULTS__BRANCHES: defaults.branches = "[main" begins as a JSON list and is none; write ["a", "b"], or a,b
    LOCKKEEPER__HTTP: http is a text, where a table of keys belongs; set the keys in it one by one
    LOCKKEEPER__QUEUE__POLLERS: queue.pollers = "many" is not a whole number; write a number from 1 to 16
    LOCKKEEPER__QUEUE__ULR: queue.ulr is no setting; did you mean `LOCKKEEPER__QUEUE__URL`?
    LOCKKEEPER__SLAKC__TOKEN: slakc is no setting; remove it; known here are aws, defaults, target, naming, discovery, engine, queue, http, approval, client, lease, log, reconcile, notify, traces
    LOCKKEEPER__TARGET__0__NAME: target is not a list of targets; begin each with [[target]] in TOML, or write a JSON list of objects
    "#);
}

#[test]
fn a_variable_with_thousands_of_parts_is_told_before_anything_follows_it_down() {
    let name = format!("LOCKKEEPER{}", "__A".repeat(100_000));
    let told = from_environment(&[(&name, "x")]).expect_err("no such key").to_string();
    assert!(told.contains("names no key") && told.len() < 1_000, "{told}");
    let told = |parts: usize| {
        let name = format!("LOCKKEEPER__QUEUE{}", "__A".repeat(parts - 1));
        from_environment(&[(&name, "x")]).expect_err("no such key").to_string()
    };
    assert!(told(8).contains("is no setting") && told(9).contains("names no key"), "{}", told(8));
}

#[test]
fn a_layer_that_cannot_be_read_is_told() {
    let sources = Sources {
        files: vec!["missing.toml".into()],
        environment: variables(&[("LOCKKEEPER_ENV", "prod"), ("LOCKKEEPER_CONFIG_TOML", "[queue\n")]),
        folder: "no/such/folder".into(),
    };
    insta::assert_snapshot!(load(&sources).expect_err("unreadable"), @r#"
    LOCKKEEPER_CONFIG_TOML:1 is not TOML at column 7: unclosed table, expected `]`; mend the line; see https://toml.io
    LOCKKEEPER_ENV chooses config/prod.toml, which cannot be read: No such file or directory (os error 2); write config/prod.toml where the process starts, or unset LOCKKEEPER_ENV
    missing.toml cannot be read: No such file or directory (os error 2); name a file that can be read
    "#);
}

#[test]
fn patterns_that_name_nothing_are_refused() {
    let told = told_of(
        r#"
[naming]
project = "sh op"
cluster = "{project}-{name}"
service = "{project}-{nmae}-{env"
family = "{name}-{name}"
repository = "{project}"
parameter = "{env}/{name}"
"#,
    );
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:3: naming.environment is missing, and targets are to be found by their names; set naming.environment or PROJECT_ENV, or remove what else is set of the naming
    LOCKKEEPER_CONFIG_TOML:3: naming.project = "sh op" is no part of a name; use letters, digits, `_`, `-` and `.` only, at most 100
    LOCKKEEPER_CONFIG_TOML:4: naming.cluster = "{project}-{name}" has `{name}`; use {project} and {env} only: one for all services
    LOCKKEEPER_CONFIG_TOML:5: naming.service = "{project}-{nmae}-{env" has `{nmae}`, which stands for nothing; did you mean `{name}`?
    LOCKKEEPER_CONFIG_TOML:6: naming.family = "{name}-{name}" has `{name}` twice; leave it once, so that names can be read back
    LOCKKEEPER_CONFIG_TOML:7: naming.repository = "{project}" lacks `{name}`; put it where the name of the service stands
    LOCKKEEPER_CONFIG_TOML:8: naming.parameter = "{env}/{name}" is not a hierarchy, which begins and ends with a slash; write "/{env}/{name}/"
    "#);
}

#[test]
fn the_parameters_of_a_service_are_a_hierarchy_from_slash_to_slash() {
    for (pattern, mend) in [("{env}/{name}/", "/{env}/{name}/"), ("/{name}", "/{name}/")] {
        let told = told_of(&format!("[naming]\nproject='p'\nenvironment='e'\nparameter='{pattern}'"));
        assert!(told.ends_with(&format!("write \"{mend}\"")), "{told}");
    }
}

#[test]
fn what_a_broken_document_may_hold_is_not_missed() {
    let told = from_environment(&[
        ("LOCKKEEPER_CONFIG_TOML", "[naming]\nproject = \n"),
        ("LOCKKEEPER__NAMING__ENVIRONMENT", "prod"),
    ])
    .expect_err("broken");
    assert_eq!(told.0.len(), 1, "{told}");
}

#[test]
fn no_secret_is_shown() {
    let told = from_environment(&[
        ("LOCKKEEPER_CONFIG_TOML", "[notify.slack]\nwebhook = 'SECRET-1'\n[http]\ntokens = ['SECRET-2']"),
        ("LOCKKEEPER__HTTP__TOKENS", "SECRET-3"),
        ("LOCKKEEPER__QUEUE__URL", "https://user:SECRET-4@host/q"),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/SECRET-5"),
        ("LOG_LEVEL", "loud"),
    ])
    .expect_err("wrong")
    .to_string();
    assert!(told.lines().count() >= 4 && !told.contains("SECRET"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_value_of_a_key_panics(key in 0..60_usize, value in "\\PC{0,20}") {
        let keys = crate::settings::catalogue::keys();
        let key = keys[key % keys.len()];
        let name = format!("LOCKKEEPER__{}__{}", key.section, key.key).replace('.', "__").to_uppercase();
        let _ = from_environment(&[(&name, &value)]);
        let json = serde_json::json!([{ key.key: value, "cluster": "c", "service": "s" }]).to_string();
        let _ = from_environment(&[("LOCKKEEPER__TARGET", &json)]);
    }

    #[test]
    fn no_document_panics(document in "(\\[{0,2}[a-z.]{0,8}\\]{0,2}\n?|[a-z_]{1,9} ?= ?|\"|'|\\{|[0-9]{1,25}|true|\n|,|é){0,30}") {
        let _ = from_document(&document);
    }
}

#[test]
fn a_lease_table_is_named_and_not_given_by_its_arn() {
    let told = |table: &str| told_of(&format!("[lease]\ntable = {table:?}"));
    insta::assert_snapshot!(told("arn:aws:dynamodb:eu-west-1:111122223333:table/lockkeeper"), @r#"LOCKKEEPER_CONFIG_TOML:2: lease.table = "arn:aws:dynamodb:eu-west-1:111122223333:table/lockkeeper" is an ARN, where a name belongs; write "lockkeeper""#);
    insta::assert_snapshot!(told("my table"), @r#"LOCKKEEPER_CONFIG_TOML:2: lease.table = "my table" is not the name of a DynamoDB table; write 3 to 255 letters, digits, `_`, `-` or `.`"#);
    let settings = from_document("[lease]\ntable = 'shop.lockkeeper_lease-1'").expect("valid");
    assert_eq!(settings.lease.table.as_deref(), Some("shop.lockkeeper_lease-1"));
}

#[test]
fn a_share_of_the_budget_is_a_number_from_a_hundredth_to_all() {
    let share = |text: &str| {
        from_document(&format!("[aws]\nbudget_share = {text}\n")).map(|it| it.aws.budget_share.per_mille())
    };
    let right = [("0.5", 500), ("0.01", 10), ("1", 1_000), ("1.0", 1_000), ("0.25", 250)];
    for (text, per_mille) in right {
        assert_eq!(share(text).expect("valid"), per_mille);
    }
    for text in ["0", "0.001", "1.1", "2", "-0.5", "nan", "inf", "\"0.5\"", "true", "[0.5]"] {
        assert!(share(text).expect_err(text).to_string().contains("aws.budget_share"), "{text}");
    }
    let settings = from_environment(&[("LOCKKEEPER__AWS__BUDGET_SHARE", "0.3")]).expect("valid");
    assert_eq!(settings.aws.budget_share.per_mille(), 300);
}

#[test]
fn an_empty_text_is_no_value() {
    let told = told_of("[defaults]\ncontainer = \"\"\n");
    insta::assert_snapshot!(told, @r#"LOCKKEEPER_CONFIG_TOML:2: defaults.container = "" is empty; give it a value, or remove it"#);
}

#[test]
fn a_repository_is_named_without_registry_tag_and_digest() {
    let digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for more in ["h.example/shop/api", "shop/api:v1", &format!("shop/api@sha256:{digest}")] {
        let told =
            told_of(&format!("[[target]]\nname='a'\ncluster='c'\nservice='s'\nrepositories=['{more}']\n"));
        assert!(told.contains(r#"names more than a repository; write "shop/api""#), "{told}");
    }
}

#[test]
fn a_region_is_named_by_its_code() {
    let of = |region: &str| {
        let target = format!("[[target]]\nname='a'\ncluster='c'\nservice='s'\nregion='{region}'\n");
        from_environment(&[("LOCKKEEPER_CONFIG_TOML", &target)])
    };
    for region in ["eu-west-1", "us-gov-east-1", "ap-southeast-3"] {
        assert!(of(region).is_ok(), "{region}");
    }
    for region in ["euwest1", "eu-west", "EU-WEST-1", "eu west 1", "eu--1", "-eu-1", "eu-west-"] {
        assert!(of(region).is_err(), "{region}");
    }
}

#[test]
fn a_tag_policy_that_is_none_is_told_with_what_was_meant() {
    let told = |tags: &str| told_of(&format!("[defaults]\ntags = '{tags}'\n"));
    assert!(told("exact:a b").contains("waits for `a b`, which no image can have as its tag"));
    assert!(told("exact:").contains("nothing stands behind the colon"));
    assert!(told("v1").contains(r#"write "exact:v1" for that one tag"#));
    assert!(told("release-*").contains(r#"write "glob:release-*""#));
    for unclear in ["globe:release-*", "a b"] {
        assert!(told(unclear).contains(r#"write it as "newest""#), "{unclear}");
    }
}
