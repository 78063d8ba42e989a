//! What discovery finds, and the accounts that it looks into.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::{About, Finding, some_of},
    targets::Candidate,
};
use crate::{
    aws::{
        Connections,
        ecs::{Ecs, INSPECT_BATCH, Inspected, READ_BATCH},
        permissions::Caller,
    },
    cli::{
        estate::{self, Batch, Listed, Progress, each},
        terminal::counted,
    },
    domain::{
        AccountId, AccountRule, CallFailure, Cause, ClusterName, ClusterReading, DiscoveryRules, Place,
        Selector, ServiceState, TargetId,
    },
    inventory::{Selection, Used},
    settings::{Settings, of_tags},
};

/// So many names are listed in a line.
const MOST_NAMES: usize = 5;

/// The services that were found, each as it was read.
pub(super) type Found = Vec<(Candidate, Inspected)>;

/// The clusters that there are, and whether their services are looked at.
pub(super) type Clusters = BTreeMap<(Place, ClusterName), bool>;

/// How many services could not be read, by the reason.
type Unread = BTreeMap<String, usize>;

/// What was found in one place.
struct FoundHere {
    found: Found,
    clusters: Clusters,
    /// The clusters that would be looked at, but are excluded with all that is in them; and by what.
    left_out: Vec<String>,
    unread: Unread,
    used: Used,
}

/// Whether the roles can be assumed. The accounts whose role cannot are closed: nothing there can be looked at, and to ask
/// would only tell the same again, as if it were something else.
pub(super) async fn accounts(
    home: &Connections,
    rules: &[AccountRule],
) -> (Vec<Finding>, BTreeSet<AccountId>) {
    let (mut findings, mut closed) = (Vec::new(), BTreeSet::new());
    for AccountRule { account, role_arn, external_id } in rules {
        let role = home.assuming(role_arn, external_id.as_deref()).await;
        let caller = role.caller().await;
        if !caller.as_ref().is_ok_and(|caller| caller.account == *account) {
            closed.insert(account.clone());
        }
        findings.push(of_role(account, role_arn, caller));
    }
    (findings, closed)
}

fn of_role(account: &AccountId, role_arn: &str, caller: Result<Caller, CallFailure>) -> Finding {
    match caller {
        Ok(caller) if caller.account == *account => {
            Finding::ok(About::Discovery, format!("{role_arn} can be assumed"))
        }
        Ok(caller) => {
            let what = format!("{role_arn} leads to account {}, and not to {account}", caller.account);
            Finding::error(About::Discovery, what, "mend aws.accounts")
        }
        Err(failure) => {
            let what = format!(
                "{role_arn} cannot be assumed, so nothing in {account} is looked at or deployed: {}",
                failure.reason
            );
            let mend = match failure.cause {
                Cause::Permission => {
                    "let its trust policy name Lockkeeper's role and the external id, and allow sts:AssumeRole to that"
                }
                _ => "try again",
            };
            Finding::error(About::Discovery, what, mend)
        }
    }
}

/// Everything that the rules select in these places, among which clusters, and whether these are all there are.
pub(super) async fn find(
    ecs: &Ecs,
    rules: &DiscoveryRules,
    settings: &Settings,
    (places, are_all): (&[Place], bool),
    progress: &Progress,
) -> (Found, Clusters, Vec<Finding>) {
    let selection = Selection::new(rules.clone());
    let (mut found, mut clusters, mut findings) = (Found::new(), Clusters::new(), Vec::new());
    let (mut used, mut empty) = (are_all.then(Used::default), Vec::new());
    for place in places {
        progress.show(&format!("services in {place}"));
        match find_in(ecs, &selection, settings, place, progress).await {
            Ok(FoundHere { found: here, clusters: there, left_out, unread, used: by_this }) => {
                clusters.extend(there);
                used = used.filter(|_| unread.is_empty()).map(|used| used.and(by_this));
                if here.is_empty() {
                    empty.push(place);
                } else {
                    findings.push(finds(place, &here));
                }
                findings.extend(leaves_out(place, left_out));
                findings.extend(unread.into_iter().map(|(reason, count)| partly(place, &reason, count)));
                found.extend(here);
            }
            Err(failure) => {
                used = None;
                let what = format!("the services in {place} could not be read: {}", failure.reason);
                let mend =
                    "allow ecs:ListClusters, DescribeClusters, ListServices and DescribeServices there";
                findings.push(Finding::error(About::Discovery, what, mend));
            }
        }
    }
    findings.extend(empty.into_iter().map(|place| finds_nothing(place, &found)));
    // What selects nothing is certain only where everything was read; of all that nothing is there is said above.
    let used = used.iter().flat_map(|used| selection.idle(used));
    findings.extend(used.filter(|(_, selector)| selector.to_string() != "*").map(idle));
    (found, clusters, findings)
}

fn idle((key, selector): (&'static str, &Selector)) -> Finding {
    let (what, mend) = match (key, selector) {
        ("exclude", Selector::Name(glob)) if !glob.as_str().contains('/') => {
            let whole = format!(r#"write "{selector}/*" for clusters, mend it for services, or remove it"#);
            ("excludes nothing", whole)
        }
        ("exclude", _) => {
            ("excludes nothing", "mend it if something was to be excluded, or remove it".into())
        }
        _ => ("selects nothing", "mend it, or remove it".into()),
    };
    Finding::warning(
        About::Discovery,
        format!(r#"discovery.{key} "{selector}" {what}, wherever services are looked for"#),
        mend,
    )
}

async fn find_in(
    ecs: &Ecs,
    selection: &Selection,
    settings: &Settings,
    place: &Place,
    progress: &Progress,
) -> Result<FoundHere, CallFailure> {
    const { assert!(INSPECT_BATCH == READ_BATCH, "what is listed is inspected as it is") };
    let Listed { clusters, batches, mut used } = estate::list(ecs, selection, place).await?;
    let taken = |it: &ClusterReading| selection.takes_cluster(&it.name, &it.tags);
    let why = |it: &ClusterReading| {
        let rule = selection.leaves_out(&it.name, &it.tags)?;
        Some(format!(r#"{} ("{rule}")"#, it.name))
    };
    let left_out = clusters.iter().filter_map(why).collect();
    let clusters = clusters.into_iter().map(|it| ((place.clone(), it.name.clone()), taken(&it))).collect();
    let batches = batches.iter().map(|batch: &Batch| batch.targets(place)).collect();
    let inspect = async |batch: Vec<TargetId>| (batch.len(), ecs.inspect(&batch).await);
    let (mut found, mut unread) = (Found::new(), Unread::new());
    for (asked, answer) in each(batches, "services, by the ten:", progress, inspect).await {
        let services = match answer {
            Ok(services) => services,
            Err(failure) => {
                *unread.entry(failure.reason).or_default() += asked;
                continue;
            }
        };
        for (id, service) in services {
            match service {
                Err(failure) => *unread.entry(failure.reason).or_default() += 1,
                Ok(service) => {
                    let tags = &service.tags;
                    selection.uses_tags(&mut used, tags);
                    if is_there(&service) && selection.takes_service(id.cluster(), id.service(), tags) {
                        found.push((candidate(id, &service, settings), service));
                    }
                }
            }
        }
    }
    Ok(FoundHere { found, clusters, left_out, unread, used })
}

/// What is excluded in places that are looked at, lest it be missed.
fn leaves_out(place: &Place, clusters: Vec<String>) -> Option<Finding> {
    if clusters.is_empty() {
        return None;
    }
    let what = counted(clusters.len(), "cluster");
    let names = some_of(clusters, MOST_NAMES);
    Some(Finding::ok(
        About::Discovery,
        format!("discovery.exclude leaves out {what} in {place} whole: {names}"),
    ))
}

fn partly(place: &Place, reason: &str, count: usize) -> Finding {
    let what = format!("{} in {place} could not be read: {reason}", counted(count, "service"));
    Finding::error(
        About::Discovery,
        what,
        "allow ecs:DescribeServices on all of them, or exclude their cluster",
    )
}

fn is_there(service: &Inspected) -> bool {
    match service.state {
        ServiceState::Active | ServiceState::OtherController(_) | ServiceState::OfAnother(_) => true,
        ServiceState::Draining | ServiceState::Inactive | ServiceState::Missing => false,
    }
}

fn candidate(id: TargetId, service: &Inspected, settings: &Settings) -> Candidate {
    let tagged = of_tags(&settings.defaults, id.service().as_str(), &service.tags);
    Candidate { id, settings: tagged.settings, rule: None, refused: tagged.refused, found: true }
}

/// Each account is looked into in each Region, so that a place may well be empty: unless the whole account is, or the Region.
fn finds_nothing(place: &Place, found: &Found) -> Finding {
    let what = format!("discovery finds no service in {place}");
    let any = |is_like: &dyn Fn(&TargetId) -> bool| found.iter().any(|(it, _)| is_like(&it.id));
    if any(&|id| *id.account() == place.account) && any(&|id| *id.region() == place.region) {
        return Finding::ok(About::Discovery, what);
    }
    Finding::warning(About::Discovery, what, "mend discovery.clusters and discovery.services")
}

fn finds(place: &Place, found: &Found) -> Finding {
    let refused = found
        .iter()
        .filter(|(candidate, service)| candidate.refused.is_some() || service.state != ServiceState::Active);
    let refused: Vec<String> = refused.map(|(candidate, _)| candidate.id.service().to_string()).collect();
    let not = match refused.len() {
        0 => String::new(),
        _ => format!("; not deployed of them: {}", some_of(refused, MOST_NAMES)),
    };
    Finding::ok(About::Discovery, format!("finds {} in {place}{not}", counted(found.len(), "service")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aws::ecs::Guard, domain::TargetSettings};

    #[test]
    fn a_service_that_another_deploys_is_named_among_those_that_are_not_deployed() {
        let found = |service: &str, state: ServiceState, refused: Option<&str>| {
            let id = format!("111122223333/eu-west-1/shop/{service}").parse().expect("an id");
            let settings = TargetSettings::named(service.into()).into();
            let refused = refused.map(Into::into);
            let inspected = Inspected {
                state,
                definition: None,
                desired: 1,
                guard: Guard::RollsBack,
                percent: (100, 200),
                strategy: None,
                complete: true,
                tags: BTreeMap::new(),
            };
            (Candidate { id, settings, rule: None, refused, found: true }, inspected)
        };
        let place = Place { account: "111122223333".into(), region: "eu-west-1".into() };
        let found = vec![
            found("api", ServiceState::Active, None),
            found("off", ServiceState::Active, Some("switched off")),
            found("theirs", ServiceState::OfAnother("111122223333/eu-west-1/other".into()), None),
            found("green", ServiceState::OtherController("CODE_DEPLOY".into()), None),
        ];
        assert_eq!(
            finds(&place, &found).what,
            "finds 4 services in 111122223333/eu-west-1; not deployed of them: off, theirs, green"
        );
    }
}
