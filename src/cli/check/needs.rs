//! What Lockkeeper must be allowed to do: the actions of IAM, and on what.

use std::collections::{BTreeMap, BTreeSet};

use super::targets::{Candidate, Reading};
use crate::{
    aws::permissions::Need,
    domain::{
        AccountId, Dependency, Holds, OnPush, Owner, Place, ReconcileMode, Region, RepositoryName, Role,
        TargetId,
    },
    settings::Settings,
};

/// What is needed in one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Without these something fails.
    pub(super) must: Vec<Need>,
    /// Without these lost events are not repaired, or services not tagged.
    pub(super) should: Vec<Need>,
}

/// The queues and the lease table.
pub(super) fn of_home(
    settings: &Settings,
    queue: &str,
    dead: Option<&str>,
    account: &AccountId,
    region: &Region,
) -> Vec<Need> {
    let mut needs = vec![need(
        &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:GetQueueAttributes",
            "sqs:SendMessage",
        ],
        [queue.to_owned()],
    )];
    if let Some(dead) = dead {
        needs.push(need(&["sqs:GetQueueAttributes", "sqs:SendMessage"], [dead.to_owned()]));
        if settings.queue.dead_letter_url.is_none() {
            needs.push(need(&["sqs:GetQueueUrl"], [dead.to_owned()]));
        }
        // Letters are shown and put back over HTTP.
        if settings.http.tokens.iter().any(|token| token.role == Role::Operate) {
            let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"];
            needs.push(need(&actions, [dead.to_owned()]));
        }
    }
    if let Some(table) = &settings.lease.table {
        let arn = format!("arn:{}:dynamodb:{region}:{account}:table/{table}", partition(region));
        needs.push(need(&["dynamodb:GetItem", "dynamodb:UpdateItem"], [arn]));
    }
    needs
}

/// The targets of one account: of each cluster one stands for all, as policies name clusters.
pub(super) fn of_targets(settings: &Settings, targets: &[(&Candidate, &Reading)]) -> Needs {
    let mut needs = Needs::default();
    let mut clusters = BTreeSet::new();
    for (candidate, reading) in targets {
        let place = Place::of(&candidate.id);
        let is_first = clusters.insert((place.clone(), candidate.id.cluster().clone()));
        if is_first {
            needs.must.extend(of_cluster(candidate, &place));
        }
        if is_first && makes_revisions(candidate) {
            needs.must.extend(of_revisions(reading, &place));
        }
    }
    if settings.discovery.is_some() {
        needs
            .must
            .push(need(&["ecs:ListClusters", "ecs:DescribeClusters", "ecs:ListServices"], ["*".into()]));
    }
    if settings.reconcile.mode != ReconcileMode::Off {
        needs.should = of_things(targets);
    }
    needs.should.extend(targets.first().filter(|_| settings.aws.owner_tag).map(|it| of_owner(&it.0.id)));
    needs.should.extend(targets.first().map(|it| of_holds(&it.0.id)));
    needs
}

/// The tags that keep what people decided; one service stands for all.
fn of_holds(target: &TargetId) -> Need {
    let arn = ecs(&Place::of(target), &format!("service/{}/{}", target.cluster(), target.service()));
    let context = BTreeMap::from([("aws:TagKeys", Holds::PAUSED.to_owned())]);
    Need { context, ..need(&["ecs:TagResource", "ecs:UntagResource"], [arn]) }
}

/// The tag by which Lockkeepers notice each other; one service stands for all.
fn of_owner(target: &TargetId) -> Need {
    let arn = ecs(&Place::of(target), &format!("service/{}/{}", target.cluster(), target.service()));
    let context = BTreeMap::from([("aws:TagKeys", Owner::TAG.to_owned())]);
    Need { context, ..need(&["ecs:TagResource"], [arn]) }
}

fn of_cluster(candidate: &Candidate, place: &Place) -> Vec<Need> {
    let (cluster, service) = (candidate.id.cluster(), candidate.id.service());
    let arn = |resource: String| ecs(place, &resource);
    let context = BTreeMap::from([("ecs:cluster", arn(format!("cluster/{cluster}")))]);
    let within = |actions: &[&'static str], resource: &str| Need {
        context: context.clone(),
        ..need(actions, [arn(format!("{resource}/{cluster}/{service}"))])
    };
    vec![
        within(&["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"], "service"),
        Need {
            context: context.clone(),
            ..need(
                &["ecs:DescribeServiceDeployments", "ecs:StopServiceDeployment"],
                [arn(format!("service-deployment/{cluster}/{service}/abcdefghijklmnopqrstu"))],
            )
        },
        Need {
            context: context.clone(),
            ..need(
                &["ecs:DescribeServiceRevisions"],
                [arn(format!("service-revision/{cluster}/{service}/0123456789012345678"))],
            )
        },
        Need {
            context: context.clone(),
            ..need(&["ecs:DescribeTasks"], [arn(format!("task/{cluster}/0123456789abcdef0123456789abcdef"))])
        },
        Need { context, ..need(&["ecs:ListTasks", "ecs:DescribeTaskDefinition"], ["*".into()]) },
    ]
}

/// A pin makes a revision of each image, a rollback of a followed tag one that names what ran.
fn makes_revisions(candidate: &Candidate) -> bool {
    candidate.settings.on_push == OnPush::Pin || candidate.settings.rollback
}

fn of_revisions(reading: &Reading, place: &Place) -> Vec<Need> {
    let Ok(service) = &reading.service else { return Vec::new() };
    let Some(id) = &service.definition else { return Vec::new() };
    let arn = ecs(place, &format!("task-definition/{}:1", id.family));
    let context = BTreeMap::from([
        ("ecs:CreateAction", "RegisterTaskDefinition".to_owned()),
        ("aws:TagKeys", "lockkeeper:deployment".to_owned()),
    ]);
    let mut needs = vec![Need { context, ..need(&["ecs:RegisterTaskDefinition", "ecs:TagResource"], [arn]) }];
    if let Some(Ok(Some(definition))) = &reading.definition
        && !definition.roles.is_empty()
    {
        let context = BTreeMap::from([("iam:PassedToService", "ecs-tasks.amazonaws.com".to_owned())]);
        needs.push(Need { context, ..need(&["iam:PassRole"], definition.roles.iter().cloned()) });
    }
    needs
}

/// What reconcile reads; of each kind one thing stands for all.
fn of_things(targets: &[(&Candidate, &Reading)]) -> Vec<Need> {
    let mut found: BTreeMap<&'static str, Need> = BTreeMap::new();
    for (candidate, reading) in targets {
        let Some(Ok(Some(definition))) = &reading.definition else { continue };
        for dependency in &definition.dependencies {
            if let Some((kind, need)) = of_thing(dependency, &Place::of(&candidate.id)) {
                found.entry(kind).or_insert(need);
            }
        }
    }
    found.into_values().collect()
}

fn of_thing(dependency: &Dependency, own: &Place) -> Option<(&'static str, Need)> {
    let partition = partition(&own.region);
    Some(match dependency {
        Dependency::Repository { registry: Some(place), name, .. } => {
            ("images", need(&["ecr:DescribeImages", "ecr:BatchGetImage"], [repository(place, name)]))
        }
        Dependency::Repository { registry: None, .. } => return None,
        Dependency::Parameter { .. } => ("parameters", need(&["ssm:DescribeParameters"], ["*".into()])),
        Dependency::Secret { place, name } => {
            let arn =
                format!("arn:{partition}:secretsmanager:{}:{}:secret:{name}", place.region, place.account);
            ("secrets", need(&["secretsmanager:ListSecretVersionIds"], [arn]))
        }
        Dependency::File { bucket, .. } => {
            ("files", need(&["s3:ListBucket"], [format!("arn:{partition}:s3:::{bucket}")]))
        }
    })
}

fn repository(place: &Place, name: &RepositoryName) -> String {
    format!("arn:{}:ecr:{}:{}:repository/{name}", partition(&place.region), place.region, place.account)
}

fn ecs(place: &Place, resource: &str) -> String {
    format!("arn:{}:ecs:{}:{}:{resource}", partition(&place.region), place.region, place.account)
}

fn partition(region: &Region) -> &'static str {
    match region.as_str() {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn need(actions: &[&'static str], resources: impl IntoIterator<Item = String>) -> Need {
    Need { actions: actions.to_vec(), resources: resources.into_iter().collect(), context: BTreeMap::new() }
}
