//! Events of other accounts and Regions: they come only if a rule there forwards them here, and a rule here sends them on
//! to the queue.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    events::{of_buckets, of_trails},
    finding::{About, Finding, some_of},
    rules::{self, DEFAULT_BUS, Patterns, RulesRead},
    samples::Wanted,
    targets::Seen,
};
use crate::{
    aws::{
        Connections,
        rules::{Rule, Rules, Sending},
    },
    cli::terminal::counted,
    domain::{AccountId, AccountRule, CallFailure, Place},
};

/// Where the queue is, and what is known there.
pub(super) struct Here<'a> {
    pub(super) home: &'a Place,
    /// The queue's ARN.
    pub(super) queue: &'a str,
    pub(super) rules: &'a RulesRead,
    /// The accounts whose events are taken.
    pub(super) allowed: &'a BTreeSet<AccountId>,
    /// The accounts to which there is a way.
    pub(super) accounts: &'a [AccountRule],
    /// Those of which the role cannot be assumed.
    pub(super) closed: &'a BTreeSet<AccountId>,
}

/// What the rules of a place forward to where the queue is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Forwards {
    rules: Vec<Forward>,
    /// The buses there that events of AWS's own services reach.
    fed: BTreeSet<String>,
}

/// A rule of another place that sends here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Forward {
    rule: Rule,
    sendings: Vec<Sending>,
    to: To,
}

/// What is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum To {
    /// The queue itself.
    Queue,
    /// A bus here, of which a rule has to send it on.
    Bus(String),
}

/// What becomes of an event of another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// No rule there forwards it.
    Stays,
    /// It is forwarded, and no rule here sends it on.
    Ends,
    /// It arrives, but only if a trail tells of it.
    ArrivesByTrail,
    Arrives,
}

/// So many events are named in a line.
const MOST_NAMES: usize = 3;

/// What would never arrive of the events that targets wait for from elsewhere.
pub(super) async fn judge(
    connections: &Connections,
    here: &Here<'_>,
    seen: &[Seen],
    afar: Vec<Wanted>,
) -> Vec<Finding> {
    let mut places: BTreeMap<Place, Vec<Wanted>> = BTreeMap::new();
    for it in afar {
        if let Some(place) = it.place.clone() {
            places.entry(place).or_default().push(it);
        }
    }
    let mut findings = Vec::new();
    for (place, wanted) in places {
        if !here.allowed.contains(&place.account) {
            findings.push(refused(&place, &wanted));
        } else if let Some(there) = here.way_to(connections, &place).await {
            findings.extend(here.of_place(connections, &there, &place, wanted, seen).await);
        } else {
            findings.extend(here.unseen(connections, &place, wanted).await);
        }
    }
    findings
}

impl Here<'_> {
    /// Our own account in another Region, or one of which we have a role.
    async fn way_to(&self, connections: &Connections, place: &Place) -> Option<Connections> {
        if place.account == self.home.account {
            return Some(connections.in_region(&place.region));
        }
        let AccountRule { role_arn, external_id, .. } =
            self.accounts.iter().find(|it| it.account == place.account)?;
        Some(connections.assuming(role_arn, external_id.as_deref()).await.in_region(&place.region))
    }

    async fn of_place(
        &self,
        connections: &Connections,
        there: &Connections,
        place: &Place,
        wanted: Vec<Wanted>,
        seen: &[Seen],
    ) -> Vec<Finding> {
        let api = there.rules();
        let forwards = match self.read(&api).await {
            Ok(forwards) => forwards,
            Err(failure) => return vec![unread(place, &wanted, &failure)],
        };
        if forwards.rules.is_empty() {
            return vec![self.none_forwards(place, &wanted)];
        }
        let mut findings = of_rules(&forwards, place);
        let all = wanted.len();
        let mut fates: BTreeMap<Fate, Vec<Wanted>> = BTreeMap::new();
        for it in wanted {
            fates.entry(self.fate(&forwards, &it)).or_default().push(it);
        }
        let mut of = |fate| fates.remove(&fate).unwrap_or_default();
        let forwarding = forwards.patterns();
        let (stay, answered) = rules::confirm(&api, &forwarding, of(Fate::Stays)).await;
        let sending = Patterns::on(self.rules, |bus| forwards.buses().contains(bus));
        let (end, asked) = rules::confirm(&connections.rules(), &sending, of(Fate::Ends)).await;
        if stay.is_empty() && end.is_empty() {
            let what = format!(
                "{place} forwards each of {} that targets wait for from there",
                counted(all, "event")
            );
            findings.push(Finding::ok(About::Events, what));
        }
        let mend = format!("let the pattern of a rule in {place} that forwards here take it");
        findings.extend(rules::lost(stay, &forwarding, &answered, &mend));
        let buses = some_of(forwards.buses().into_iter().map(str::to_owned).collect(), MOST_NAMES);
        let mend =
            format!("{place} forwards it to the bus {buses}: let a rule of that bus send it on to the queue");
        findings.extend(rules::lost(end, &sending, &asked, &mend));
        let by_trail = of(Fate::ArrivesByTrail);
        findings.extend(of_trails(there, &by_trail, place).await);
        findings.extend(of_buckets(there, seen, &by_trail, place).await);
        findings
    }

    /// A call for each bus there and each thing that may be sent to, and two for each rule.
    async fn read(&self, api: &Rules) -> Result<Forwards, CallFailure> {
        let (goals, mut forwards) = (self.goals(), Forwards::default());
        for (bus, arn) in api.buses().await? {
            if rules::is_fed(api, &bus, &arn).await? {
                forwards.fed.insert(bus.clone());
            }
            for (goal, to) in &goals {
                for name in api.sending_to(&bus, goal).await? {
                    let rule = api.rule(&bus, &name).await?;
                    let sendings = api.sendings(&rule, goal).await?;
                    forwards.rules.push(Forward { rule, sendings, to: to.clone() });
                }
            }
        }
        Ok(forwards)
    }

    /// What events can be sent to from elsewhere, by their ARNs: the buses with rules that send on, and the queue.
    fn goals(&self) -> Vec<(String, To)> {
        let buses: BTreeSet<&String> = self.rules.rules.iter().map(|(rule, _)| &rule.bus).collect();
        let buses = buses.into_iter().filter_map(|bus| Some((self.rules.arns.get(bus)?, bus)));
        let buses = buses.map(|(arn, bus)| (arn.clone(), To::Bus(bus.clone())));
        buses.chain([(self.queue.to_owned(), To::Queue)]).collect()
    }

    /// What a person would forward to: the bus that is there for that, if there is one.
    fn goal(&self) -> String {
        let is_default = |to: &To| to.bus() == Some(DEFAULT_BUS);
        let best = self.goals().into_iter().min_by_key(|(_, to)| (*to == To::Queue, is_default(to)));
        best.map_or_else(|| self.queue.to_owned(), |(arn, _)| arn)
    }

    /// By the patterns alone: the best that any of the rules makes of it.
    fn fate(&self, forwards: &Forwards, wanted: &Wanted) -> Fate {
        let by = |forward: &Forward| {
            let passing = Patterns::of_rules([(&forward.rule, &forward.sendings)]).passing(wanted);
            if passing.events.is_empty() {
                return Fate::Stays;
            }
            let arriving = match &forward.to {
                To::Queue => passing,
                To::Bus(bus) => Patterns::on(self.rules, |it| it == bus).passing(&passing),
            };
            match arriving.is_by_trail() {
                None => Fate::Ends,
                Some(true) => Fate::ArrivesByTrail,
                Some(false) => Fate::Arrives,
            }
        };
        forwards.heard().map(by).max().unwrap_or(Fate::Stays)
    }

    /// Without a way there, only what no rule here would send on is certain.
    async fn unseen(&self, connections: &Connections, place: &Place, wanted: Vec<Wanted>) -> Vec<Finding> {
        let sending = Patterns::on(self.rules, |_| true);
        let (coming, lost): (Vec<Wanted>, Vec<Wanted>) =
            wanted.into_iter().partition(|it| sending.passing(it).is_by_trail().is_some());
        let (lost, asked) = rules::confirm(&connections.rules(), &sending, lost).await;
        let mend = format!(
            "forward such events from {place} to a bus of {}, with a rule there that sends them on",
            self.home
        );
        let mut findings = rules::lost(lost, &sending, &asked, &mend);
        findings.extend((!coming.is_empty()).then(|| self.not_looked_at(place, &coming)));
        findings
    }

    fn not_looked_at(&self, place: &Place, wanted: &[Wanted]) -> Finding {
        let Place { account, region } = place;
        let goal = self.goal();
        let what =
            format!("{} would come only if {place} forwards it, which is not looked at here", named(wanted));
        let way = if self.closed.contains(account) {
            "let its role be assumed"
        } else {
            "name a role there in [[aws.accounts]]"
        };
        let mend = format!(
            "{way}, or look with credentials of {account}: `aws events \
             list-rule-names-by-target --region {region} --target-arn {goal}` names the rules that forward, `aws events \
             describe-rule --region {region} --name RULE` their state and pattern"
        );
        Finding::warning(About::Events, what, mend)
    }

    fn none_forwards(&self, place: &Place, wanted: &[Wanted]) -> Finding {
        let goal = self.goal();
        let what = format!(
            "no rule in {place} forwards anything here: {} would never reach the queue",
            named(wanted)
        );
        let mend = format!("make rules there whose target is {goal}: docs/events.md has the patterns");
        Finding::warning(About::Events, what, mend)
    }
}

impl To {
    fn bus(&self) -> Option<&str> {
        match self {
            Self::Queue => None,
            Self::Bus(bus) => Some(bus),
        }
    }
}

impl Forwards {
    /// Those that are on, and hear of what AWS's services tell.
    fn heard(&self) -> impl Iterator<Item = &Forward> {
        self.rules.iter().filter(|it| it.rule.enabled && self.fed.contains(&it.rule.bus))
    }

    fn patterns(&self) -> Patterns {
        Patterns::of_rules(self.heard().map(|it| (&it.rule, &it.sendings)))
    }

    fn buses(&self) -> BTreeSet<&str> {
        let to = self.rules.iter().map(|forward| &forward.to);
        to.filter_map(To::bus).collect()
    }
}

fn of_rules(forwards: &Forwards, place: &Place) -> Vec<Finding> {
    let of_one = |it: &Forward| rules::of_rule(&it.rule, &it.sendings, &format!(" in {place}"));
    forwards.rules.iter().flat_map(of_one).collect()
}

fn refused(place: &Place, wanted: &[Wanted]) -> Finding {
    let account = &place.account;
    let what = format!("{} would be refused: events of account {account} are not allowed", named(wanted));
    Finding::warning(About::Events, what, "add the account to aws.allowed_accounts")
}

fn unread(place: &Place, wanted: &[Wanted], failure: &CallFailure) -> Finding {
    let what = format!(
        "{} would come only if {place} forwards it, and its rules could not be read: {}",
        named(wanted),
        failure.reason
    );
    let mend = "allow events:ListEventBuses, ListRuleNamesByTarget, DescribeRule, ListTargetsByRule and TestEventPattern there";
    Finding::warning(About::Events, what, mend)
}

fn named(wanted: &[Wanted]) -> String {
    some_of(wanted.iter().map(|it| it.what.clone()).collect(), MOST_NAMES)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::{finding::text, samples::Event},
        *,
    };

    fn place(account: &str) -> Place {
        Place { account: account.into(), region: "eu-west-1".into() }
    }

    fn rule(name: &str, bus: &str, pattern: &Value) -> (Rule, Vec<Sending>) {
        let rule = Rule {
            name: name.into(),
            bus: bus.into(),
            arn: format!("arn:rule/{name}"),
            enabled: true,
            pattern: Some(pattern.to_string()),
        };
        (rule, vec![Sending { dead_letters: Some("arn:dead".into()), ..Sending::default() }])
    }

    fn forward(name: &str, to: To, pattern: &Value) -> Forward {
        let (rule, sendings) = rule(name, "default", pattern);
        Forward { rule, sendings, to }
    }

    fn forwards(rules: Vec<Forward>) -> Forwards {
        Forwards { rules, fed: ["default".to_owned()].into() }
    }

    /// Rules of the default bus for parameters, and of a bus for what is forwarded.
    fn read() -> RulesRead {
        let arn =
            |bus: &str| (bus.to_owned(), format!("arn:aws:events:eu-west-1:111122223333:event-bus/{bus}"));
        RulesRead {
            rules: vec![
                rule("parameters", "default", &json!({"source": ["aws.ssm"]})),
                rule("forwarded", "theirs", &json!({"source": ["aws.ecr", "aws.secretsmanager"]})),
            ],
            fed: ["default".to_owned()].into(),
            arns: ["default", "theirs", "unused"].map(arn).into(),
        }
    }

    fn wanted(source: &str, by_trail: bool) -> Wanted {
        let events = vec![Event { body: json!({"source": source}), by_trail }];
        let by = ["api".to_owned()].into();
        Wanted { what: format!("what {source} tells"), place: Some(place("444455556666")), events, by }
    }

    #[test]
    fn an_event_arrives_if_it_is_forwarded_and_sent_on_by_the_bus_that_it_is_forwarded_to() {
        let (home, rules, none) = (place("111122223333"), read(), BTreeSet::new());
        let here =
            Here { home: &home, queue: "arn:q", rules: &rules, allowed: &none, accounts: &[], closed: &none };
        let to = |bus: &str| To::Bus(bus.into());
        let all = json!({"source": [{"prefix": "aws."}]});
        let fate = |forward: Forward, source, by_trail| {
            here.fate(&forwards(vec![forward]), &wanted(source, by_trail))
        };
        assert_eq!(fate(forward("f", to("theirs"), &all), "aws.ecr", false), Fate::Arrives);
        assert_eq!(fate(forward("f", to("theirs"), &all), "aws.secretsmanager", true), Fate::ArrivesByTrail);
        assert_eq!(fate(forward("f", to("theirs"), &all), "aws.ssm", false), Fate::Ends);
        assert_eq!(fate(forward("f", to("default"), &all), "aws.ssm", false), Fate::Arrives);
        assert_eq!(fate(forward("f", To::Queue, &all), "aws.ssm", false), Fate::Arrives);
        let narrow = json!({"source": ["aws.ssm"]});
        assert_eq!(fate(forward("f", to("theirs"), &narrow), "aws.ecr", false), Fate::Stays);
        let mut off = forward("f", to("theirs"), &all);
        off.rule.enabled = false;
        assert_eq!(fate(off, "aws.ecr", false), Fate::Stays);
        let two = forwards(vec![forward("a", to("theirs"), &narrow), forward("b", to("default"), &narrow)]);
        assert_eq!(here.fate(&two, &wanted("aws.ssm", false)), Fate::Arrives);
        let goals: Vec<_> = here.goals().into_iter().map(|(arn, _)| arn).collect();
        assert_eq!(goals.len(), 3, "the bus without rules is none: {goals:?}");
    }

    #[test]
    fn what_is_not_known_is_told_with_how_to_look() {
        let (home, rules, none) = (place("111122223333"), read(), BTreeSet::new());
        let here =
            Here { home: &home, queue: "arn:q", rules: &rules, allowed: &none, accounts: &[], closed: &none };
        let (there, wanted) = (place("444455556666"), [wanted("aws.ecr", false)]);
        let findings = [
            here.not_looked_at(&there, &wanted),
            here.none_forwards(&there, &wanted),
            refused(&there, &wanted),
        ];
        insta::assert_snapshot!(text(&findings), @r#"
        warning  events: what aws.ecr tells would come only if 444455556666/eu-west-1 forwards it, which is not looked at here; name a role there in [[aws.accounts]], or look with credentials of 444455556666: `aws events list-rule-names-by-target --region eu-west-1 --target-arn arn:aws:events:eu-west-1:111122223333:event-bus/theirs` names the rules that forward, `aws events describe-rule --region eu-west-1 --name RULE` their state and pattern
        warning  events: no rule in 444455556666/eu-west-1 forwards anything here: what aws.ecr tells would never reach the queue; make rules there whose target is arn:aws:events:eu-west-1:111122223333:event-bus/theirs: docs/events.md has the patterns
        warning  events: what aws.ecr tells would be refused: events of account 444455556666 are not allowed; add the account to aws.allowed_accounts
        0 errors, 3 warnings.
        "#);
    }
}
