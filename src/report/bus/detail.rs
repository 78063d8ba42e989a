//! What rules of EventBridge get: detail-types and details, whose names others build on.

use serde_json::{Map, Value, json};

use crate::{
    domain::{
        DeploymentRecord, ForeignRollout, ForeignState, Metadata, NoticeStage, Outcome, TargetId, TargetName,
    },
    report::{
        message::took,
        notice::{Home, Notice, Status, What, payload::images},
    },
};

/// The version of the details.
const VERSION: &str = "1.0";

/// The detail-type and the detail of a notice; nothing of one that is for people alone.
pub fn event(notice: &Notice, home: &Home, with_metadata: bool) -> Option<(String, Value)> {
    let (kind, mut detail) = match &notice.what {
        What::Stage(stage, status, record) => {
            (kind(*stage, *status, record.outcome), of_deployment(record, *stage, *status, with_metadata))
        }
        What::Foreign(rollout) => of_foreign(rollout),
        What::Trouble(..) | What::Warned(..) | What::Hold(_) => return None,
    };
    let (target, name) = notice.target();
    detail.insert("version".into(), json!(VERSION));
    detail.insert("timestamp".into(), json!(notice.at));
    detail.insert("project".into(), json!(home.project));
    detail.insert("target".into(), of_target(target, name, home));
    Some((format!("Lockkeeper Deployment {kind}"), Value::Object(detail)))
}

fn kind(stage: NoticeStage, status: Status, outcome: Option<Outcome>) -> String {
    let how = match status {
        Status::Started => "Started",
        Status::Completed => "Completed",
        Status::Failed => "Failed",
    };
    match (stage, status, outcome) {
        (NoticeStage::Deployment, Status::Started, _) | (NoticeStage::Deployment, _, None) => how.into(),
        (NoticeStage::Deployment, Status::Completed | Status::Failed, Some(outcome)) => match outcome {
            Outcome::Succeeded | Outcome::AlreadyRunning | Outcome::DryRun => "Completed".into(),
            Outcome::Superseded => "Superseded".into(),
            Outcome::Failed => "Failed".into(),
            Outcome::RolledBack => "Rolled Back".into(),
            Outcome::Cancelled => "Cancelled".into(),
        },
        (NoticeStage::Definition, ..) => format!("Definition {how}"),
        (NoticeStage::Rollout, ..) => format!("Rollout {how}"),
        (NoticeStage::Rollback, ..) => format!("Rollback {how}"),
    }
}

fn of_deployment(
    it: &DeploymentRecord,
    stage: NoticeStage,
    status: Status,
    with_metadata: bool,
) -> Map<String, Value> {
    let trigger = it.triggers.last();
    let mut detail = object(json!({
        "deploymentId": it.id,
        "stage": stage.as_str(),
        "status": status.as_str(),
        "rollback": it.rollback,
        "change": {
            "images": images(&it.images),
            "definition": it.definition,
            "previousDefinition": it.previous_definition,
        },
        "trigger": trigger.map(|origin| json!({
            "kind": origin.kind,
            "eventId": origin.event_id,
            "reason": origin.reason,
        })),
        "outcome": it.outcome,
        "cause": it.cause,
        "durationSeconds": took(it).map(|took| took.as_secs()),
    }));
    let metadata = it.triggers.iter().rev().find_map(|origin| origin.metadata.as_deref());
    if let Some(metadata) = metadata.filter(|_| with_metadata) {
        detail.insert("metadata".into(), of_metadata(metadata));
    }
    detail
}

/// A rollout that is not ours has no deployment, and says so.
fn of_foreign(it: &ForeignRollout) -> (String, Map<String, Value>) {
    let (kind, status) = match it.state {
        ForeignState::InProgress => ("Rollout Started", Status::Started),
        ForeignState::Completed => ("Rollout Completed", Status::Completed),
        ForeignState::Failed => ("Rollout Failed", Status::Failed),
    };
    let detail = json!({
        "deploymentId": null,
        "rolloutId": it.rollout_id,
        "foreign": true,
        "stage": NoticeStage::Rollout.as_str(),
        "status": status.as_str(),
        "change": { "images": [], "definition": it.definition, "previousDefinition": null },
        "trigger": null,
        "outcome": null,
        "cause": null,
        "durationSeconds": null,
    });
    (kind.into(), object(detail))
}

fn of_target(target: &TargetId, name: &TargetName, home: &Home) -> Value {
    json!({
        "name": name,
        "cluster": target.cluster(),
        "account": target.account(),
        "region": target.region(),
        "environment": home.environment,
    })
}

fn of_metadata(it: &Metadata) -> Value {
    let parts = [
        ("user", &it.user),
        ("gitCommit", &it.commit),
        ("gitBranch", &it.branch),
        ("gitRepository", &it.repository),
        ("cicdPlatform", &it.platform),
        ("runId", &it.run_id),
        ("runUrl", &it.run_url),
    ];
    let known = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), json!(part.as_ref()?))));
    Value::Object(known.collect())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::{
        domain::{Report, RunningImage, Stage},
        report::{
            notice::{
                teller::Teller,
                tests::{by_ci, home},
            },
            sample::{active, at, rolled_back},
        },
    };

    fn events(reports: &[Report], with_metadata: bool) -> Vec<(String, Value)> {
        let mut teller = Teller::default();
        let notices = reports.iter().flat_map(|report| teller.hear(report, at("12:06:00")));
        notices.filter_map(|notice| event(&notice, &home(), with_metadata)).collect()
    }

    fn finished(record: DeploymentRecord) -> Report {
        Report::Finished(Box::new(record))
    }

    #[test]
    fn a_deployment_that_is_complete_has_the_shape_that_others_build_on() {
        let (kind, detail) = events(&[finished(by_ci())], true).remove(0);
        assert_eq!(kind, "Lockkeeper Deployment Completed");
        assert_snapshot!(serde_json::to_string_pretty(&detail).expect("JSON"), @r#"
        {
          "cause": null,
          "change": {
            "definition": "chubby_api:13",
            "images": [
              {
                "container": "web",
                "digest": "sha256:4f2a9c1e",
                "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop_api:1.4",
                "reference": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop_api@sha256:4f2a9c1e"
              }
            ],
            "previousDefinition": "chubby_api:12"
          },
          "deploymentId": "d-12ab",
          "durationSeconds": 8,
          "metadata": {
            "cicdPlatform": "github",
            "gitBranch": "main",
            "gitCommit": "4f2a9c1e4f2a9c1e4f2a",
            "gitRepository": "shop/api",
            "runId": "77",
            "runUrl": "https://github.com/shop/api/actions/runs/77",
            "user": "ann"
          },
          "outcome": "succeeded",
          "project": "shop",
          "rollback": false,
          "stage": "deployment",
          "status": "completed",
          "target": {
            "account": "111122223333",
            "cluster": "shop",
            "environment": "prod",
            "name": "api",
            "region": "eu-west-1"
          },
          "timestamp": "2026-11-01T12:00:13Z",
          "trigger": {
            "eventId": "e-9",
            "kind": "deploy_requested",
            "reason": "requested by ann: hotfix"
          },
          "version": "1.0"
        }
        "#);
    }

    #[test]
    fn a_way_back_is_told_apart_from_new_code() {
        let (kind, detail) =
            events(&[finished(DeploymentRecord { rollback: true, ..by_ci() })], true).remove(0);
        assert_eq!((&*kind, &detail["rollback"]), ("Lockkeeper Deployment Completed", &json!(true)));
    }

    #[test]
    fn an_image_whose_digest_is_unknown_has_no_reference_that_could_be_asked_for() {
        let unknown = by_ci().images.into_iter().map(|it| RunningImage { digest: None, ..it }).collect();
        let (_, detail) =
            events(&[finished(DeploymentRecord { images: unknown, ..by_ci() })], true).remove(0);
        let image = &detail["change"]["images"][0];
        assert_eq!((image["digest"].is_null(), image.get("reference")), (true, None));
    }

    #[test]
    fn metadata_can_be_left_out() {
        let (_, detail) = events(&[finished(by_ci())], false).remove(0);
        assert_eq!(detail.get("metadata"), None);
    }

    #[test]
    fn one_pattern_on_the_status_catches_every_failure() {
        let moved = |stage| Report::Moved(Box::new(DeploymentRecord { stage, ..active() }));
        let ended = |outcome| {
            let record = DeploymentRecord { outcome: Some(outcome), stage: Stage::Finished, ..active() };
            finished(record)
        };
        let mut reports = vec![moved(Stage::Starting), moved(Stage::Rollout), moved(Stage::RollingBack)];
        reports.extend(Outcome::ALL.map(ended));
        let lines = events(&reports, true).into_iter().map(|(kind, detail)| {
            format!("{kind}: {} {}", detail["stage"].as_str().unwrap(), detail["status"].as_str().unwrap())
        });
        assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
        Lockkeeper Deployment Started: deployment started
        Lockkeeper Deployment Definition Started: definition started
        Lockkeeper Deployment Definition Completed: definition completed
        Lockkeeper Deployment Rollout Started: rollout started
        Lockkeeper Deployment Rollout Failed: rollout failed
        Lockkeeper Deployment Rollback Started: rollback started
        Lockkeeper Deployment Rollback Completed: rollback completed
        Lockkeeper Deployment Completed: deployment completed
        Lockkeeper Deployment Completed: deployment completed
        Lockkeeper Deployment Superseded: deployment completed
        Lockkeeper Deployment Failed: deployment failed
        Lockkeeper Deployment Rolled Back: deployment failed
        Lockkeeper Deployment Cancelled: deployment completed
        Lockkeeper Deployment Completed: deployment completed
        "#);
    }

    #[test]
    fn a_failure_tells_its_cause() {
        let (kind, detail) = events(&[finished(rolled_back())], true).remove(0);
        assert_eq!(kind, "Lockkeeper Deployment Rolled Back");
        assert_eq!((&detail["cause"], &detail["outcome"]), (&json!("crash_loop"), &json!("rolled_back")));
        assert_eq!(detail["durationSeconds"], json!(8));
    }
}
