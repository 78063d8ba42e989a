//! What Lockkeeper must be allowed to do: the actions of IAM, and on what.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    discovered::Clusters,
    targets::{Candidate, Reading},
};
use crate::{
    aws::permissions::Need,
    domain::{
        AccountId, ClusterName, Dependency, Holds, Marks, NotifyRules, OnPush, Owner, Place, ReconcileMode,
        Region, RepositoryName, Role, TargetId,
    },
    inventory::Selection,
    settings::Settings,
};

/// What is needed in one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Without these something fails.
    pub(super) must: Vec<Need>,
    /// Without these something else than a deployment fails.
    pub(super) should: Vec<(Loss, Need)>,
}

/// What is lost where something is not allowed without which deployments go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// What a lost event leaves behind is repaired.
    Repairs,
    /// A revision is registered, to go back from a tag that has moved or for an image that a request names.
    Revisions,
    /// A revision says what was asked for last.
    Marks,
    /// Lockkeepers notice each other.
    OwnerTag,
    /// A pause or a hold is kept, and taken back.
    Holds,
    /// Somebody is told.
    Notices,
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
    let roles: Vec<String> = settings.aws.estate.accounts.iter().map(|it| it.role_arn.to_string()).collect();
    if !roles.is_empty() {
        needs.push(need(&["sts:AssumeRole"], roles));
    }
    if let Some(table) = &settings.lease.table {
        let arn = format!("arn:{}:dynamodb:{region}:{account}:table/{table}", region.partition());
        needs.push(need(&["dynamodb:GetItem", "dynamodb:UpdateItem"], [arn]));
    }
    needs
}

/// What is done in one account: with its targets, and to look for them among its clusters. Of each cluster one target stands for
/// all, as policies name clusters.
pub(super) fn of_account(
    settings: &Settings,
    account: &AccountId,
    targets: &[(&Candidate, &Reading)],
    clusters: &Clusters,
) -> Needs {
    let mut needs = Needs::default();
    let mut seen = BTreeSet::new();
    for (candidate, _) in targets {
        let place = Place::of(&candidate.id);
        if seen.insert((place.clone(), candidate.id.cluster().clone())) {
            needs.must.extend(of_cluster(candidate, &place));
        }
    }
    if let Some(rules) = &settings.discovery {
        let there = clusters.iter().filter(|((place, _), _)| place.account == *account);
        needs.must.extend(of_discovery(&Selection::new(rules.clone()), there));
    }
    let pins = |it: &Candidate| it.settings.on_push == OnPush::Pin;
    let goes_back = |it: &Candidate| !pins(it) && it.settings.rollback;
    needs.must.extend(of_revisions(targets, pins));
    let mut should =
        |loss: Loss, found: Vec<Need>| needs.should.extend(found.into_iter().map(|it| (loss, it)));
    if settings.reconcile.mode != ReconcileMode::Off {
        should(Loss::Repairs, of_things(targets));
    }
    should(Loss::Revisions, of_revisions(targets, goes_back));
    should(Loss::Marks, of_marks(targets));
    if let Some((first, _)) = targets.first() {
        should(Loss::OwnerTag, settings.aws.owner_tag.then(|| of_owner(&first.id)).into_iter().collect());
        should(Loss::Holds, vec![of_holds(&first.id)]);
    }
    needs
}

/// The bus and the topic on which somebody is told.
pub(super) fn of_notices(rules: &NotifyRules, home: &Place) -> Vec<(Loss, Need)> {
    let Place { account, region } = home;
    let arn_of = |bus: &str| {
        let is_arn = bus.starts_with("arn:");
        let arn = || format!("arn:{}:events:{region}:{account}:event-bus/{bus}", region.partition());
        if is_arn { bus.to_owned() } else { arn() }
    };
    let bus = rules.eventbridge.iter().map(|it| need(&["events:PutEvents"], [arn_of(&it.bus)]));
    let topic = rules.sns.iter().map(|it| need(&["sns:Publish"], [it.topic.to_string()]));
    bus.chain(topic).map(|it| (Loss::Notices, it)).collect()
}

/// What looking for services asks. Their list takes no resource: the cluster is a condition.
fn of_discovery<'c>(
    selection: &Selection,
    clusters: impl Iterator<Item = (&'c (Place, ClusterName), &'c bool)>,
) -> Vec<Need> {
    let mut needs = vec![need(&["ecs:ListClusters"], ["*".to_owned()])];
    let by_tags = selection.needs_cluster_tags();
    let mut read = Vec::new();
    for ((place, cluster), is_looked_at) in clusters {
        let arn = ecs(place, &format!("cluster/{cluster}"));
        if *is_looked_at {
            let context = BTreeMap::from([("ecs:cluster", arn.clone())]);
            needs.push(Need { context, ..need(&["ecs:ListServices"], ["*".to_owned()]) });
        }
        // One that ECS tells of before a list has it is read; for their tags all are, in one call, which fails with any of them.
        if by_tags || *is_looked_at {
            read.push(arn);
        }
    }
    if !read.is_empty() {
        needs.push(need(&["ecs:DescribeClusters"], read));
    }
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

/// The tags of definitions that exist, and are rolled out as they are. Policies name families.
fn of_marks(targets: &[(&Candidate, &Reading)]) -> Vec<Need> {
    let definitions = definitions_of(targets.iter());
    let context = BTreeMap::from([("aws:TagKeys", Marks::CONTENT.to_owned())]);
    let is_some = !definitions.is_empty();
    is_some.then(|| Need { context, ..need(&["ecs:TagResource"], definitions) }).into_iter().collect()
}

fn definitions_of<'t>(targets: impl Iterator<Item = &'t (&'t Candidate, &'t Reading)>) -> BTreeSet<String> {
    let family_of = |(candidate, reading): &(&Candidate, &Reading)| {
        let id = reading.service.as_ref().ok()?.definition.as_ref()?;
        Some(ecs(&Place::of(&candidate.id), &format!("task-definition/{}:1", id.family)))
    };
    targets.filter_map(family_of).collect()
}

/// What those register who do: a pin a revision of each image, whoever goes back from a tag that has moved on one that names what
/// ran. Policies name families and roles.
fn of_revisions(targets: &[(&Candidate, &Reading)], registers: impl Fn(&Candidate) -> bool) -> Vec<Need> {
    let those = || targets.iter().filter(|(candidate, _)| registers(candidate));
    let definitions = definitions_of(those());
    let read = those().filter_map(|(_, reading)| reading.definition.as_ref()?.as_ref().ok()?.as_ref());
    let roles: BTreeSet<String> = read.flat_map(|it| it.roles.iter().cloned()).collect();
    let mut needs = Vec::new();
    if !definitions.is_empty() {
        let context = BTreeMap::from([
            ("ecs:CreateAction", "RegisterTaskDefinition".to_owned()),
            ("aws:TagKeys", "lockkeeper:deployment".to_owned()),
        ]);
        needs.push(Need { context, ..need(&["ecs:RegisterTaskDefinition", "ecs:TagResource"], definitions) });
    }
    if !roles.is_empty() {
        let context = BTreeMap::from([("iam:PassedToService", "ecs-tasks.amazonaws.com".to_owned())]);
        needs.push(Need { context, ..need(&["iam:PassRole"], roles) });
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
    let partition = own.region.partition();
    Some(match dependency {
        Dependency::Repository { registry: Some(place), name, .. } => {
            ("images", need(&["ecr:DescribeImages", "ecr:BatchGetImage"], [repository(place, name)]))
        }
        Dependency::Repository { registry: None, .. } => return None,
        Dependency::Parameter { .. } => ("parameters", need(&["ssm:DescribeParameters"], ["*".into()])),
        Dependency::Secret { place, name } => {
            let Place { account, region } = place;
            let arn = format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{}", whole(name));
            ("secrets", need(&["secretsmanager:ListSecretVersionIds"], [arn]))
        }
        Dependency::File { bucket, .. } => {
            ("files", need(&["s3:ListBucket"], [format!("arn:{partition}:s3:::{bucket}")]))
        }
    })
}

/// A secret as its ARN names it: with the hyphen and six characters that AWS appends, any where they are not known.
fn whole(secret: &str) -> String {
    let is_appended = |end: &str| end.len() == 6 && end.bytes().all(|it| it.is_ascii_alphanumeric());
    match secret.rsplit_once('-') {
        Some((_, end)) if is_appended(end) => secret.to_owned(),
        Some(_) | None => format!("{secret}-AbCdEf"),
    }
}

fn repository(place: &Place, name: &RepositoryName) -> String {
    format!("arn:{}:ecr:{}:{}:repository/{name}", place.region.partition(), place.region, place.account)
}

fn ecs(place: &Place, resource: &str) -> String {
    format!("arn:{}:ecs:{}:{}:{resource}", place.region.partition(), place.region, place.account)
}

fn need(actions: &[&'static str], resources: impl IntoIterator<Item = String>) -> Need {
    Need { actions: actions.to_vec(), resources: resources.into_iter().collect(), context: BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{DiscoveryRules, Glob, Selector};

    fn clusters() -> Clusters {
        let home = Place { account: "111122223333".into(), region: "eu-west-1".into() };
        let cluster = |name: &str| (home.clone(), ClusterName::from(name));
        [(cluster("shop"), true), (cluster("tools"), false)].into()
    }

    fn told(exclude: Vec<Selector>) -> Vec<String> {
        let everything = || vec![Selector::Name(Glob::new("*"))];
        let refresh = Duration::from_hours(1);
        let rules = DiscoveryRules { clusters: everything(), services: everything(), exclude, refresh };
        let needs = of_discovery(&Selection::new(rules), clusters().iter());
        needs.iter().map(|it| format!("{:?} on {:?} in {:?}", it.actions, it.resources, it.context)).collect()
    }

    #[test]
    fn services_are_listed_by_cluster_and_others_clusters_read_only_for_their_tags() {
        insta::assert_snapshot!(told(Vec::new()).join("\n"), @r#"
        ["ecs:ListClusters"] on ["*"] in {}
        ["ecs:ListServices"] on ["*"] in {"ecs:cluster": "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"}
        ["ecs:DescribeClusters"] on ["arn:aws:ecs:eu-west-1:111122223333:cluster/shop"] in {}
        "#);
        let value = Glob::new("others");
        let by_tags = told(vec![Selector::Tag { key: "team".into(), value }]);
        let (shop, tools) = ("eu-west-1:111122223333:cluster/shop", "eu-west-1:111122223333:cluster/tools");
        let described = by_tags.last().expect("the clusters");
        assert!(described.starts_with(r#"["ecs:DescribeClusters"] on "#), "{described}");
        assert!(described.contains(shop) && described.contains(tools), "{described}");
    }

    #[test]
    fn a_secret_is_asked_about_by_the_arn_that_it_has() {
        for (name, of_arn) in [
            ("shop/db-x1Y2z3", "shop/db-x1Y2z3"),
            ("shop/db", "shop/db-AbCdEf"),
            ("shop/db-main", "shop/db-main-AbCdEf"),
        ] {
            assert_eq!(whole(name), of_arn);
        }
    }
}
