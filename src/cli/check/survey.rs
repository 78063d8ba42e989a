//! A whole check against AWS: reads, and has each part judged.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    discovered::{self, Clusters, Found},
    elsewhere::Here,
    events,
    finding::{About, Finding, Level},
    namesakes,
    needs::{self, Needs},
    own, permissions,
    permissions::Whose,
    queues::{self, Queues},
    rules::{self, RulesRead},
    targets::{self, Candidate, Reading, Seen},
    things::{self, Things},
};
use crate::{
    aws::{
        Connections,
        ecs::{Ecs, INSPECT_BATCH, Inspected, InspectedDefinition},
        permissions::Caller,
        sources::Sources,
    },
    cli::estate::{self, Progress, each},
    domain::{AccountId, AccountRule, CallFailure, ClusterName, DefinitionId, Place, ServiceState, TargetId},
    route::Routes,
    settings::Settings,
};

/// The service that runs Lockkeeper, where somebody named it.
pub(super) type Own = Option<own::Named>;

/// What was read of services.
type Services = BTreeMap<TargetId, Result<Inspected, CallFailure>>;

/// Everything that is needed on the way.
struct Survey<'a> {
    settings: &'a Settings,
    connections: Connections,
    home: Place,
    ecs: Ecs,
    /// The accounts of which no role can be assumed.
    closed: BTreeSet<AccountId>,
    progress: &'a Progress,
}

/// Checks everything.
pub(super) async fn check(
    settings: &Settings,
    connections: Connections,
    role: Option<&str>,
    own: Own,
    progress: &Progress,
) -> Vec<Finding> {
    progress.show("whose credentials these are");
    let caller = match connections.caller().await {
        Ok(caller) => caller,
        Err(failure) => return vec![no_caller(&failure)],
    };
    let home = Place { account: caller.account.clone(), region: connections.region().clone() };
    let ecs = estate::ecs(&connections, &home, settings).await;
    progress.show("the roles of other accounts");
    let (mut findings, closed) = discovered::accounts(&connections, &settings.aws.estate.accounts).await;
    let survey = Survey { settings, connections, home, ecs, closed, progress };
    findings.extend(survey.whole(&caller, role, own).await);
    let wrong = |it: &&Finding| it.level != Level::Ok;
    let troubled: BTreeSet<String> =
        findings.iter().filter(wrong).filter_map(|it| it.target.clone()).collect();
    // What all is well with is said by the part that read the service, and others may have found something.
    findings
        .retain(|it| it.level != Level::Ok || it.target.as_ref().is_none_or(|name| !troubled.contains(name)));
    findings.sort();
    findings
}

fn no_caller(failure: &CallFailure) -> Finding {
    let what = format!("nobody knows whose credentials these are: {}", failure.reason);
    let mend = "check the credentials, the clock, and in a subnet without a way out the endpoint of STS";
    Finding::error(About::Permissions, what, mend)
}

impl Survey<'_> {
    async fn whole(&self, caller: &Caller, role: Option<&str>, own: Own) -> Vec<Finding> {
        let mut findings = Vec::new();
        let queues = self.queues(&mut findings).await;
        let rules = match &queues {
            Some(queues) => self.rules(queues, &mut findings).await,
            None => None,
        };
        let mut candidates = self.candidates(&mut findings);
        let named: BTreeSet<TargetId> = candidates.iter().map(|it| it.id.clone()).collect();
        let mut known = BTreeMap::new();
        let (found, clusters) = self.discovered(&mut findings).await;
        for (candidate, service) in found {
            // Whoever is named in the settings is deployed as they say.
            if !named.contains(&candidate.id) {
                known.insert(candidate.id.clone(), Ok(service));
                candidates.push(candidate);
            }
        }
        findings.extend(namesakes::tell_apart(self.routes(), &mut candidates));
        let read = self.read(candidates, known).await;
        for (candidate, reading) in &read {
            findings.extend(targets::judge(candidate, reading));
        }
        let seen: Vec<Seen> =
            read.iter().filter_map(|(candidate, reading)| targets::seen(candidate, reading)).collect();
        findings.extend(self.things(&read).await);
        if let (Some(rules), Some(queues)) = (&rules, &queues) {
            let (allowed, accounts) = (self.allowed(), self.accounts());
            let here = Here {
                home: &self.home,
                queue: &queues.main.arn,
                rules,
                allowed: &allowed,
                accounts: &accounts,
                closed: &self.closed,
            };
            let discovers = self.settings.discovery.is_some();
            findings.extend(events::judge(&self.connections, &here, &seen, discovers, self.progress).await);
        }
        findings.extend(self.own(own, &read).await);
        findings.extend(self.permissions(caller, role, queues.as_ref(), (&read, &clusters)).await);
        findings
    }

    /// The accounts whose events are taken.
    fn allowed(&self) -> BTreeSet<AccountId> {
        let aws = &self.settings.aws;
        let roles = aws.estate.accounts.iter().map(|rule| rule.account.clone());
        roles.chain(aws.allowed_accounts.clone()).chain([self.home.account.clone()]).collect()
    }

    /// The accounts of which a role can be assumed.
    fn accounts(&self) -> Vec<AccountRule> {
        let accounts = self.settings.aws.estate.accounts.iter();
        accounts.filter(|rule| !self.closed.contains(&rule.account)).cloned().collect()
    }

    async fn queues(&self, findings: &mut Vec<Finding>) -> Option<Queues> {
        self.progress.show("the queues");
        let Some(url) = &self.settings.queue.url else {
            let mend = "set LOCKKEEPER__QUEUE__URL, or `url` in `[queue]`";
            let what = "queue.url is not set: `run` does not start; which rules send to the queue, which events would reach it and \
                        who may use it was not looked at";
            findings.push(Finding::error(About::Queue, what, mend));
            return None;
        };
        match queues::read(&self.connections, self.settings).await {
            Ok(queues) => {
                findings.extend(queues::judge(&queues));
                Some(queues)
            }
            Err(error) => {
                findings.push(queues::unread(url, &error));
                None
            }
        }
    }

    async fn rules(&self, queues: &Queues, findings: &mut Vec<Finding>) -> Option<RulesRead> {
        self.progress.show("the rules");
        match rules::read(&self.connections.rules(), &queues.main.arn).await {
            Ok(read) => {
                findings.extend(rules::judge(&read, rules::others_may_send(queues)));
                findings.extend(queues::refused(queues, &read.rules));
                Some(read)
            }
            Err(failure) => {
                let what = format!("which rules send to the queue could not be read: {}", failure.reason);
                let mend =
                    "allow events:ListEventBuses, ListRuleNamesByTarget, DescribeRule and ListTargetsByRule";
                findings.push(Finding::warning(About::Rules, what, mend));
                None
            }
        }
    }

    fn routes(&self) -> Routes {
        let Place { account, region } = self.home.clone();
        Routes::new(account, region, self.settings.targets.clone(), self.settings.naming.clone())
    }

    /// The targets that the settings name.
    fn candidates(&self, findings: &mut Vec<Finding>) -> Vec<Candidate> {
        let Self { settings, home, .. } = self;
        let routes = self.routes();
        let id = |rule: &crate::domain::TargetRule| {
            let account = rule.account.as_ref().unwrap_or(&home.account).clone();
            let region = rule.region.as_ref().unwrap_or(&home.region).clone();
            TargetId::new(account, region, rule.cluster.clone(), rule.service.clone())
        };
        let rules: BTreeMap<_, _> =
            settings.targets.iter().rev().map(|rule| (id(rule), rule.clone())).collect();
        if settings.naming.is_some() {
            let what = "services that the naming finds are not looked at one by one, but for those that the settings name";
            findings.push(Finding::ok(About::Target, what));
        }
        let (closed, open): (Vec<_>, Vec<_>) =
            routes.targets().partition(|(id, _)| self.closed.contains(id.account()));
        findings.extend(closed.iter().map(|(id, settings)| targets::closed(id, &settings.name)));
        let named = open.into_iter().map(|(id, settings)| Candidate {
            id: id.clone(),
            settings,
            rule: rules.get(id).cloned(),
            refused: None,
            found: false,
        });
        named.collect()
    }

    async fn discovered(&self, findings: &mut Vec<Finding>) -> (Found, Clusters) {
        let Some(rules) = &self.settings.discovery else { return Default::default() };
        let mut places = self.settings.aws.estate.places(&self.home.account, &self.home.region);
        places.retain(|place| !self.closed.contains(&place.account));
        let (found, clusters, judged) = discovered::find(
            &self.ecs,
            rules,
            self.settings,
            (&places, self.closed.is_empty()),
            self.progress,
        )
        .await;
        findings.extend(judged);
        (found, clusters)
    }

    /// Reads each of them: its service where that is not known, its definition, and whether a rollout was ever complete.
    async fn read(&self, candidates: Vec<Candidate>, known: Services) -> Vec<(Candidate, Reading)> {
        let ids = candidates.iter().map(|it| it.id.clone()).filter(|id| !known.contains_key(id));
        let mut services = self.services(ids.collect()).await;
        services.extend(known);
        let active = |service: &Result<Inspected, CallFailure>| {
            service.as_ref().ok().filter(|it| it.state == ServiceState::Active).cloned()
        };
        let running = services.iter().filter_map(|(id, service)| Some((id.clone(), active(service)?)));
        let running: Vec<(TargetId, Inspected)> = running.collect();
        let definitions = self.definitions(&running).await;
        let completed = self.completed(&running).await;
        let reading = |candidate: Candidate| {
            let service = services.remove(&candidate.id)?;
            let id = active(&service).and_then(|it| it.definition);
            let definition = id.and_then(|id| definitions.get(&(Place::of(&candidate.id), id)).cloned());
            let completed = completed.get(&candidate.id).copied();
            Some((candidate, Reading { service, definition, completed }))
        };
        candidates.into_iter().filter_map(reading).collect()
    }

    async fn services(&self, ids: Vec<TargetId>) -> Services {
        let mut clusters: BTreeMap<(Place, ClusterName), Vec<TargetId>> = BTreeMap::new();
        for id in ids {
            clusters.entry((Place::of(&id), id.cluster().clone())).or_default().push(id);
        }
        let batches: Vec<Vec<TargetId>> = clusters
            .into_values()
            .flat_map(|ids| ids.chunks(INSPECT_BATCH).map(<[_]>::to_vec).collect::<Vec<_>>())
            .collect();
        let inspect = async |batch: Vec<TargetId>| match self.ecs.inspect(&batch).await {
            Ok(found) => found,
            Err(failure) => batch.into_iter().map(|id| (id, Err(failure.clone()))).collect(),
        };
        each(batches, "services, by the ten:", self.progress, inspect).await.into_iter().flatten().collect()
    }

    async fn definitions(
        &self,
        running: &[(TargetId, Inspected)],
    ) -> BTreeMap<(Place, DefinitionId), Result<Option<InspectedDefinition>, CallFailure>> {
        let wanted: BTreeMap<(Place, DefinitionId), TargetId> = running
            .iter()
            .filter_map(|(id, service)| Some(((Place::of(id), service.definition.clone()?), id.clone())))
            .collect();
        let inspect = async |(key, target): ((Place, DefinitionId), TargetId)| {
            let found = self.ecs.inspect_definition(&target, &key.1).await;
            (key, found)
        };
        each(wanted.into_iter().collect(), "task definitions:", self.progress, inspect)
            .await
            .into_iter()
            .collect()
    }

    /// Of those that show no complete rollout now.
    async fn completed(&self, running: &[(TargetId, Inspected)]) -> BTreeMap<TargetId, bool> {
        let doubtful = running.iter().filter(|(_, service)| !service.complete).map(|(id, _)| id.clone());
        let ask = async |id: TargetId| {
            let completed = self.ecs.ever_completed(&id).await;
            Some((id, completed.ok()??))
        };
        let asked = each(doubtful.collect(), "rollouts:", self.progress, ask).await;
        asked.into_iter().flatten().collect()
    }

    async fn things(&self, read: &[(Candidate, Reading)]) -> Vec<Finding> {
        let mut things = Things::default();
        for (candidate, reading) in read.iter().filter(|(candidate, _)| candidate.refused.is_none()) {
            if let Some(Ok(Some(definition))) = &reading.definition {
                things.add(&candidate.settings, &Place::of(&candidate.id), definition);
            }
        }
        let sources = Sources::new(self.connections.clone(), self.home.account.clone());
        let sources = sources.with_share(self.settings.aws.budget_share);
        // What is shared from an account of which no role can be assumed may still be read as ourselves.
        let sources = sources.with_accounts(&self.connections, &self.accounts()).await;
        things::look_for(things, &sources, self.progress).await
    }

    /// The service that was named, or a target that receives from this very queue.
    async fn own(&self, named: Own, read: &[(Candidate, Reading)]) -> Vec<Finding> {
        let url = self.settings.queue.url.as_deref();
        let receives = |reading: &Reading| match &reading.definition {
            Some(Ok(Some(definition))) => definition.receives_from.iter().any(|it| Some(it.as_str()) == url),
            Some(Ok(None) | Err(_)) | None => false,
        };
        let has_lease = self.settings.lease.table.is_some();
        let found = read.iter().find(|(_, reading)| receives(reading));
        if let (None, Some((candidate, Reading { service: Ok(service), .. }))) = (&named, found) {
            return own::judge(&candidate.id, service, has_lease);
        }
        let Some(named) = named else { return vec![own::unknown()] };
        let id = named.id(&self.home);
        if self.closed.contains(id.account()) {
            return vec![own::closed(&id)];
        }
        let mut found = self.services(vec![id.clone()]).await;
        match found.remove(&id) {
            Some(Ok(service)) => own::judge(&id, &service, has_lease),
            Some(Err(failure)) => {
                let what = format!("{id} could not be read: {}", failure.reason);
                vec![Finding::warning(About::Own, what, "allow ecs:DescribeServices on it")]
            }
            None => Vec::new(),
        }
    }

    async fn permissions(
        &self,
        caller: &Caller,
        role: Option<&str>,
        queues: Option<&Queues>,
        (read, clusters): (&[(Candidate, Reading)], &Clusters),
    ) -> Vec<Finding> {
        self.progress.show("permissions");
        let mut findings = self.elsewhere(read, clusters).await;
        let ours = of_account(read, &self.home.account);
        let needs = self.needs(queues, &ours, clusters);
        let because = match permissions::whose(&self.connections, caller, role).await {
            Whose::Of(principal) => {
                match permissions::simulate(&self.connections, &principal, &needs).await {
                    Ok(found) => return [findings, found].concat(),
                    Err(failure) => failure.reason,
                }
            }
            Whose::Root => {
                findings.push(permissions::of_the_root());
                return findings;
            }
            Whose::Unknown(why) => why,
        };
        if let Some(role) = role {
            findings.push(permissions::unknown(role, &because));
        } else if let Some(queues) = queues {
            let queue = self.connections.queue(&queues.url);
            let mut clusters = BTreeSet::new();
            let ids = ours.iter().map(|(candidate, _)| candidate.id.clone());
            let one_of_each: Vec<TargetId> =
                ids.filter(|id| clusters.insert((Place::of(id), id.cluster().clone()))).collect();
            findings.extend(permissions::probe(&queue, &self.ecs, &one_of_each, &because).await);
        } else {
            findings.push(permissions::untried(&because));
        }
        findings
    }

    /// What the roles in other accounts may do there.
    async fn elsewhere(&self, read: &[(Candidate, Reading)], clusters: &Clusters) -> Vec<Finding> {
        let mut findings = Vec::new();
        for AccountRule { account, role_arn, external_id } in &self.accounts() {
            let needs = needs::of_account(self.settings, account, &of_account(read, account), clusters);
            let there = self.connections.assuming(role_arn, external_id.as_deref()).await;
            match permissions::simulate(&there, role_arn, &needs).await {
                Ok(found) => findings.extend(found),
                Err(failure) => findings.push(permissions::unknown(role_arn, &failure.reason)),
            }
        }
        findings
    }

    fn needs(&self, queues: Option<&Queues>, ours: &[(&Candidate, &Reading)], clusters: &Clusters) -> Needs {
        let mut needs = needs::of_account(self.settings, &self.home.account, ours, clusters);
        if let Some(queues) = queues {
            let dead = queues.dead.as_ref().ok().map(|(_, facts)| facts.arn.as_str());
            let Place { account, region } = &self.home;
            needs.must.extend(needs::of_home(self.settings, &queues.main.arn, dead, account, region));
        }
        needs.should.extend(needs::of_notices(&self.settings.notify, &self.home));
        needs
    }
}

/// Those that are deployed there.
fn of_account<'r>(
    read: &'r [(Candidate, Reading)],
    account: &AccountId,
) -> Vec<(&'r Candidate, &'r Reading)> {
    let there =
        read.iter().filter(|(candidate, _)| candidate.id.account() == account && candidate.refused.is_none());
    there.map(|(candidate, reading)| (candidate, reading)).collect()
}
