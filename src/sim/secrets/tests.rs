//! The contract of secrets.

use serde_json::{Value, json};

use crate::sim::{
    Service::SecretsManager,
    call::{seconds, text},
    testkit::Bench,
};

fn ask(bench: &mut Bench, operation: &str, body: Value) -> Value {
    bench.call(SecretsManager, operation, body)
}

/// The secret `shop/db` with one version. Says its ARN.
fn secret(bench: &mut Bench) -> String {
    let made = ask(bench, "CreateSecret", json!({"Name": "shop/db", "SecretString": "one"}));
    text(&made, "ARN").to_owned()
}

/// The value under each stage.
fn stages(bench: &mut Bench) -> Vec<String> {
    let versions = ask(bench, "ListSecretVersionIds", json!({"SecretId": "shop/db"}))["Versions"].clone();
    let mut shown: Vec<String> = Vec::new();
    for version in versions.as_array().expect("a list") {
        let value =
            ask(bench, "GetSecretValue", json!({"SecretId": "shop/db", "VersionId": version["VersionId"]}));
        for stage in version["VersionStages"].as_array().expect("a list") {
            shown.push(format!("{} {}", stage.as_str().expect("a stage"), text(&value, "SecretString")));
        }
    }
    shown.sort();
    shown
}

/// The name of each event with the stages or the stage in it.
fn said(bench: &mut Bench, url: &str) -> Vec<String> {
    let heard = bench.heard(url);
    let details = heard.iter().map(|event| event["detail"].clone());
    details
        .map(|detail| {
            let request = &detail["requestParameters"];
            let stage = request["versionStages"][0].as_str().or(request["versionStage"].as_str());
            format!("{} {}", text(&detail, "eventName"), stage.unwrap_or("-"))
        })
        .collect()
}

#[test]
fn a_new_value_is_current_and_the_old_one_previous() {
    let mut bench = Bench::new();
    secret(&mut bench);
    let put = |value: &str| json!({"SecretId": "shop/db", "SecretString": value});
    ask(&mut bench, "PutSecretValue", put("two"));
    assert_eq!(stages(&mut bench), ["AWSCURRENT two", "AWSPREVIOUS one"]);
    ask(&mut bench, "UpdateSecret", put("three"));
    assert_eq!(stages(&mut bench), ["AWSCURRENT three", "AWSPREVIOUS two"]);
    let all = json!({"SecretId": "shop/db", "IncludeDeprecated": true});
    assert_eq!(ask(&mut bench, "ListSecretVersionIds", all)["Versions"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_version_knows_when_it_was_made_and_a_description_makes_none() {
    let mut bench = Bench::new();
    secret(&mut bench);
    let made = bench.now;
    bench.pass(5_000);
    ask(&mut bench, "UpdateSecret", json!({"SecretId": "shop/db", "Description": "of the shop"}));
    let described = ask(&mut bench, "DescribeSecret", json!({"SecretId": "shop/db"}));
    assert_eq!(described["LastChangedDate"], seconds(bench.now));
    let versions = ask(&mut bench, "ListSecretVersionIds", json!({"SecretId": "shop/db"}));
    assert_eq!(versions["Versions"].as_array().map(Vec::len), Some(1));
    assert_eq!(versions["Versions"][0]["CreatedDate"], seconds(made));
}

#[test]
fn a_rotation_stages_a_value_and_makes_it_current_later() {
    let mut bench = Bench::new();
    let arn = secret(&mut bench);
    let url = bench.listen("aws.secretsmanager");
    ask(&mut bench, "RotateSecret", json!({"SecretId": "shop/db"}));
    let again = json!({"SecretId": "shop/db"});
    assert_eq!(bench.fails(SecretsManager, "RotateSecret", again), "InvalidRequestException");
    assert!(stages(&mut bench).iter().any(|it| it == "AWSCURRENT one"));
    let mut begun = said(&mut bench, &url);
    begun.sort();
    assert_eq!(begun, ["PutSecretValue AWSPENDING", "RotateSecret -", "RotationStarted -"]);
    bench.pass(60_000);
    let after = stages(&mut bench);
    assert!(after[0].starts_with("AWSCURRENT rotated-") && after[1] == "AWSPREVIOUS one", "{after:?}");
    let heard = bench.heard(&url);
    let names: Vec<&str> = heard.iter().map(|event| text(&event["detail"], "eventName")).collect();
    assert_eq!(names, ["UpdateSecretVersionStage", "RotationSucceeded"]);
    assert_eq!(heard[0]["detail"]["requestParameters"]["versionStage"], "AWSCURRENT");
    assert!(heard[0]["detail"]["requestParameters"]["moveToVersionId"].is_string());
    assert_eq!(heard[1]["detail-type"], "AWS Service Event via CloudTrail");
    assert_eq!(heard[1]["detail"]["additionalEventData"]["SecretId"], json!(arn));
}

#[test]
fn no_event_holds_a_value() {
    let mut bench = Bench::new();
    let url = bench.listen("aws.secretsmanager");
    secret(&mut bench);
    ask(&mut bench, "PutSecretValue", json!({"SecretId": "shop/db", "SecretString": "hunter2"}));
    let heard = bench.heard(&url);
    assert_eq!(heard[1]["detail"]["requestParameters"], json!({"secretId": "shop/db"}));
    assert!(!format!("{heard:?}").contains("hunter2"));
}

#[test]
fn a_stage_moves_only_from_where_it_is() {
    let mut bench = Bench::new();
    secret(&mut bench);
    let put = json!({"SecretId": "shop/db", "SecretString": "two", "VersionStages": ["MINE"]});
    let to = ask(&mut bench, "PutSecretValue", put)["VersionId"].clone();
    let mut body = json!({"SecretId": "shop/db", "VersionStage": "AWSCURRENT", "MoveToVersionId": to});
    assert_eq!(
        bench.fails(SecretsManager, "UpdateSecretVersionStage", body.clone()),
        "InvalidParameterException"
    );
    let described = ask(&mut bench, "GetSecretValue", json!({"SecretId": "shop/db"}));
    body["RemoveFromVersionId"] = described["VersionId"].clone();
    ask(&mut bench, "UpdateSecretVersionStage", body);
    assert_eq!(stages(&mut bench), ["AWSCURRENT two", "AWSPREVIOUS one", "MINE two"]);
}

#[test]
fn a_secret_is_found_by_name_by_arn_and_by_the_arn_without_its_end() {
    let mut bench = Bench::new();
    let arn = secret(&mut bench);
    let partial = &arn[..arn.len() - 7];
    assert!(partial.ends_with(":secret:shop/db"), "{partial}");
    for id in ["shop/db", &arn, partial] {
        assert_eq!(ask(&mut bench, "DescribeSecret", json!({"SecretId": id}))["ARN"], json!(arn));
    }
    for id in ["shop", &arn[..arn.len() - 1], &arn.replace("us-east-1", "eu-west-1")] {
        let body = json!({"SecretId": id});
        assert_eq!(bench.fails(SecretsManager, "DescribeSecret", body), "ResourceNotFoundException", "{id}");
    }
}

#[test]
fn what_is_marked_for_deletion_cannot_be_read_until_it_is_restored() {
    let mut bench = Bench::new();
    secret(&mut bench);
    let id = || json!({"SecretId": "shop/db"});
    ask(&mut bench, "DeleteSecret", id());
    assert_eq!(bench.fails(SecretsManager, "GetSecretValue", id()), "InvalidRequestException");
    assert!(ask(&mut bench, "DescribeSecret", id())["DeletedDate"].is_number());
    assert_eq!(ask(&mut bench, "ListSecrets", json!({}))["SecretList"], json!([]));
    ask(&mut bench, "RestoreSecret", id());
    ask(&mut bench, "DeleteSecret", json!({"SecretId": "shop/db", "ForceDeleteWithoutRecovery": true}));
    assert_eq!(bench.fails(SecretsManager, "DescribeSecret", id()), "ResourceNotFoundException");
}

#[test]
fn a_version_that_is_put_again_is_the_same() {
    let mut bench = Bench::new();
    secret(&mut bench);
    let put = |value: &str| json!({"SecretId": "shop/db", "SecretString": value, "ClientRequestToken": "t"});
    ask(&mut bench, "PutSecretValue", put("two"));
    ask(&mut bench, "PutSecretValue", put("two"));
    assert_eq!(bench.fails(SecretsManager, "PutSecretValue", put("three")), "ResourceExistsException");
    let create = json!({"Name": "shop/db", "SecretString": "x"});
    assert_eq!(bench.fails(SecretsManager, "CreateSecret", create), "ResourceExistsException");
}
