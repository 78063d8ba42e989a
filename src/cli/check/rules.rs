//! Which events would never reach the queue: the rules that send to it, and what they let through.
//!
//! Patterns are read here, by the language that EventBridge documents, so that thousands of events cost no call. Before it is
//! said that none lets an event through, EventBridge itself is asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    finding::{About, Finding, some_of},
    queues::Queues,
    rewriting::{self, Rewriting},
    samples::{Event, Wanted},
};
use crate::{
    aws::rules::{Rule, Rules, Sending, Sends},
    cli::terminal::counted,
    domain::{CallFailure, matches_pattern, read_pattern},
};

/// The rules that send to the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RulesRead {
    /// Each with the ways in which it sends.
    pub(super) rules: Vec<(Rule, Vec<Sending>)>,
    /// The buses that events of AWS's own services reach.
    pub(super) fed: BTreeSet<String>,
    /// The ARN of each bus.
    pub(super) arns: BTreeMap<String, String>,
}

/// What became of asking EventBridge about patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It answered.
    Answered,
    /// It did not, for this reason; so only we have read the patterns.
    Refused(String),
}

/// The bus that AWS's own services tell.
pub(super) const DEFAULT_BUS: &str = "default";
/// So many events at most are told one by one.
const MOST_TOLD: usize = 10;
/// Of those who wait for one, so many are named.
pub(super) const MOST_NAMES: usize = 3;
/// EventBridge is asked about so many events at most.
const MOST_ASKED: usize = 20;

/// Reads them: a few calls for each bus, and two for each rule.
pub(super) async fn read(rules: &Rules, queue: &str) -> Result<RulesRead, CallFailure> {
    let mut read = RulesRead::default();
    for (bus, arn) in rules.buses().await? {
        if is_fed(rules, &bus, &arn).await? {
            read.fed.insert(bus.clone());
        }
        for name in rules.sending_to(&bus, queue).await? {
            let rule = rules.rule(&bus, &name).await?;
            let sendings = rules.sendings(&rule, queue).await?;
            read.rules.push((rule, sendings));
        }
        read.arns.insert(bus, arn);
    }
    Ok(read)
}

/// Whether events of AWS's own services reach this bus.
pub(super) async fn is_fed(rules: &Rules, bus: &str, arn: &str) -> Result<bool, CallFailure> {
    Ok(bus == DEFAULT_BUS || !rules.sending_to(DEFAULT_BUS, arn).await?.is_empty())
}

/// What is wrong with the rules themselves. `others`: whether somebody else may send to the queue.
pub(super) fn judge(read: &RulesRead, others: bool) -> Vec<Finding> {
    let RulesRead { rules, .. } = read;
    let mut findings: Vec<Finding> =
        rules.iter().flat_map(|(rule, sendings)| of_rule(rule, sendings, "")).collect();
    if rules.is_empty() {
        findings.push(none(others));
    } else if findings.is_empty() {
        let rules = counted(rules.len(), "rule");
        let what = format!("the queue is sent to by {rules}, each of them switched on");
        findings.push(Finding::ok(About::Rules, what));
    }
    findings
}

/// What is wrong with a rule that is `place`, as ` in an account`, where that is not here.
pub(super) fn of_rule(rule: &Rule, sendings: &[Sending], place: &str) -> Vec<Finding> {
    let (mut findings, name) = (Vec::new(), &rule.name);
    if !rule.enabled {
        let what = format!("the rule {name}{place} is switched off: what it would let through never arrives");
        findings.push(Finding::warning(About::Rules, what, "enable it, or remove its target"));
    }
    if sendings.iter().any(|it| it.dead_letters.is_none()) {
        let what = format!("what the rule {name}{place} cannot deliver within its retries is lost");
        findings.push(Finding::warning(About::Rules, what, "give its target a dead-letter queue"));
    }
    let sent = sendings.iter().filter(|_| rule.enabled);
    findings.extend(sent.filter_map(|it| rewriting::judge(name, &it.sends, place)));
    findings
}

fn none(others: bool) -> Finding {
    let what = "no rule of this account and Region sends to the queue";
    let mend = "make rules that do: docs/events.md has their patterns, and the Terraform module makes them";
    if others {
        let what = format!("{what}; its policy lets somebody else send, and what they send is not known");
        Finding::warning(About::Rules, what, mend)
    } else {
        Finding::error(About::Rules, format!("{what}: no event will ever arrive"), mend)
    }
}

/// What the rules that are on let through, of what AWS's services tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    /// Of those that send it as it is: each pattern, and what it reads as.
    plain: Vec<(String, Value)>,
    /// Of the others.
    rewriting: Vec<Rewriting>,
}

impl Patterns {
    /// Of the buses that events of this account and Region reach.
    pub(super) fn of(read: &RulesRead) -> Self {
        Self::on(read, |bus| read.fed.contains(bus))
    }

    /// Of these buses.
    pub(super) fn on(read: &RulesRead, is_meant: impl Fn(&str) -> bool) -> Self {
        let meant = read.rules.iter().filter(|(rule, _)| is_meant(&rule.bus));
        Self::of_rules(meant.map(|(rule, sendings)| (rule, sendings)))
    }

    /// Of these rules.
    pub(super) fn of_rules<'r>(rules: impl IntoIterator<Item = (&'r Rule, &'r Vec<Sending>)>) -> Self {
        let mut all = Self::default();
        for (rule, sendings) in rules.into_iter().filter(|(rule, _)| rule.enabled) {
            let Some(text) = rule.pattern.clone() else { continue };
            // One that EventBridge would refuse, and an emulator took, lets nothing through.
            let Ok(pattern) = read_pattern(&text) else { continue };
            if sendings.iter().any(|it| it.sends == Sends::Event) {
                all.plain.push((text, pattern));
            } else if let Some(Sending { sends, .. }) = sendings.first() {
                let (rule, sends) = (rule.name.clone(), sends.clone());
                all.rewriting.push(Rewriting { rule, pattern, sends });
            }
        }
        all
    }

    /// The same, with those of its events alone that come through.
    pub(super) fn passing(&self, wanted: &Wanted) -> Wanted {
        let comes =
            |event: &Event| self.plain.iter().any(|(_, pattern)| matches_pattern(pattern, &event.body));
        let events = wanted.events.iter().filter(|event| comes(event)).cloned().collect();
        Wanted { events, ..wanted.clone() }
    }

    /// Whether one of these events comes through, and if so, whether only such as take a trail.
    pub(super) fn let_through(&self, wanted: &Wanted) -> Option<bool> {
        self.passing(wanted).is_by_trail()
    }

    /// The rule that lets one of these events through, and sends something else.
    fn rewriting(&self, wanted: &Wanted) -> Option<&Rewriting> {
        let takes =
            |rule: &&Rewriting| wanted.events.iter().any(|event| matches_pattern(&rule.pattern, &event.body));
        self.rewriting.iter().find(takes)
    }
}

/// Asks EventBridge about events that no rule seems to let through; leaves those that indeed none does.
pub(super) async fn confirm(rules: &Rules, patterns: &Patterns, lost: Vec<Wanted>) -> (Vec<Wanted>, Asked) {
    let (mut left, mut asked) = (Vec::new(), Asked::Answered);
    for (position, wanted) in lost.into_iter().enumerate() {
        let answer = match asked {
            Asked::Answered if position < MOST_ASKED => any_lets_through(rules, patterns, &wanted).await,
            Asked::Answered | Asked::Refused(_) => Ok(false),
        };
        match answer {
            Ok(true) => continue,
            Ok(false) => {}
            Err(failure) => asked = Asked::Refused(failure.reason),
        }
        left.push(wanted);
    }
    (left, asked)
}

async fn any_lets_through(rules: &Rules, patterns: &Patterns, wanted: &Wanted) -> Result<bool, CallFailure> {
    for (pattern, _) in &patterns.plain {
        for event in &wanted.events {
            if rules.lets_through(pattern, &event.body.to_string()).await? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Tells what would never arrive of all these.
pub(super) fn told(lost: Vec<Wanted>, all: usize, patterns: &Patterns, asked: &Asked) -> Vec<Finding> {
    if all == 0 {
        return Vec::new();
    }
    if lost.is_empty() {
        let what = format!(
            "a rule lets through each of {} that targets wait for{}",
            counted(all, "event"),
            asked.by()
        );
        return vec![Finding::ok(About::Events, what)];
    }
    self::lost(lost, patterns, asked, "let the pattern of a rule take it: docs/events.md has the patterns")
}

/// A line each, or where there are many, of the first. Where a rule of these lets it through and sends something else, that is
/// what is told.
pub(super) fn lost(lost: Vec<Wanted>, patterns: &Patterns, asked: &Asked, mend: &str) -> Vec<Finding> {
    let more = lost.len().saturating_sub(MOST_TOLD);
    let one = |wanted: Wanted| {
        if let Some(rule) = patterns.rewriting(&wanted) {
            return rule.told(wanted);
        }
        let Wanted { what, by, .. } = wanted;
        let targets = some_of(by.into_iter().collect(), MOST_NAMES);
        let what =
            format!("{what} would never reach the queue, and {targets} would not hear of it{}", asked.by());
        Finding::warning(About::Events, what, mend)
    };
    let mut findings: Vec<Finding> = lost.into_iter().take(MOST_TOLD).map(one).collect();
    if more > 0 {
        let what = format!("{more} more events that targets wait for would never reach the queue");
        findings.push(Finding::warning(About::Events, what, "let the rules' patterns take them"));
    }
    findings
}

impl Asked {
    /// By whom the patterns were read, where that was not EventBridge.
    fn by(&self) -> String {
        match self {
            Self::Answered => String::new(),
            Self::Refused(reason) => {
                format!(" (as Lockkeeper reads the patterns; EventBridge was not asked: {reason})")
            }
        }
    }
}

/// The queue may be filled by others than rules.
pub(super) fn others_may_send(queues: &Queues) -> bool {
    super::policy::lets_others_send(queues.main.policy.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::text, *};

    fn rule(name: &str, bus: &str, enabled: bool, pattern: &Value) -> (Rule, Vec<Sending>) {
        let rule = Rule {
            name: name.into(),
            bus: bus.into(),
            arn: format!("arn:aws:events:eu-west-1:111122223333:rule/{name}"),
            enabled,
            pattern: Some(pattern.to_string()),
        };
        (rule, vec![Sending { dead_letters: Some("arn:dead".into()), ..Sending::default() }])
    }

    fn read(rules: Vec<(Rule, Vec<Sending>)>) -> RulesRead {
        RulesRead { rules, fed: ["default".to_owned()].into(), ..RulesRead::default() }
    }

    fn push(repository: &str, by_trail: bool) -> Wanted {
        let body = json!({"source": "aws.ecr", "detail": {"repository-name": repository}});
        Wanted {
            what: format!("a push of {repository}:v1"),
            place: None,
            events: vec![Event { body, by_trail }],
            by: ["api".to_owned()].into(),
        }
    }

    #[test]
    fn an_event_arrives_by_a_rule_that_is_on_hears_of_it_and_sends_it_as_it_is() {
        let pattern = json!({"source": ["aws.ecr"], "detail": {"repository-name": [{"prefix": "shop/"}]}});
        let comes = |read: &RulesRead, wanted: Wanted| Patterns::of(read).let_through(&wanted);
        let on = read(vec![rule("pushes", "default", true, &pattern)]);
        assert_eq!(comes(&on, push("shop/api", false)), Some(false));
        assert_eq!(comes(&on, push("shop/api", true)), Some(true));
        assert_eq!(comes(&on, push("other", false)), None);
        let off = read(vec![rule("pushes", "default", false, &pattern)]);
        assert_eq!(comes(&off, push("shop/api", false)), None);
        let mut elsewhere = read(vec![rule("pushes", "ours", true, &pattern)]);
        assert_eq!(comes(&elsewhere, push("shop/api", false)), None);
        elsewhere.fed.insert("ours".into());
        assert_eq!(comes(&elsewhere, push("shop/api", false)), Some(false));
        let (rule, _) = rule("pushes", "default", true, &pattern);
        let alone = json!({"$or": [{"source": ["aws.ecr"]}]});
        let refused = read(vec![self::rule("pushes", "default", true, &alone)]);
        assert_eq!(comes(&refused, push("shop/api", false)), None);
        let rewriting = read(vec![(rule, vec![Sending { sends: Sends::Transformed, ..Sending::default() }])]);
        assert_eq!(comes(&rewriting, push("shop/api", false)), None);
    }

    #[test]
    fn rules_that_are_off_or_drop_what_they_cannot_deliver_are_told() {
        let off = rule("pushes", "default", false, &json!({}));
        let dropping = (rule("files", "default", true, &json!({})).0, vec![Sending::default()]);
        insta::assert_snapshot!(text(&judge(&read(vec![off, dropping]), false)), @r#"
        warning  rules: the rule pushes is switched off: what it would let through never arrives; enable it, or remove its target
        warning  rules: what the rule files cannot deliver within its retries is lost; give its target a dead-letter queue
        0 errors, 2 warnings.
        "#);
        insta::assert_snapshot!(text(&judge(&read(vec![rule("a", "default", true, &json!({}))]), false)), @r#"
        ok       rules: the queue is sent to by 1 rule, each of them switched on
        0 errors, 0 warnings.
        "#);
    }

    #[test]
    fn without_rules_nothing_arrives_unless_somebody_else_sends() {
        insta::assert_snapshot!(text(&judge(&RulesRead::default(), false)), @r#"
        error    rules: no rule of this account and Region sends to the queue: no event will ever arrive; make rules that do: docs/events.md has their patterns, and the Terraform module makes them
        1 error, 0 warnings.
        "#);
        assert!(text(&judge(&RulesRead::default(), true)).starts_with("warning"));
    }

    #[test]
    fn what_never_arrives_is_told_with_those_who_wait_for_it() {
        let mut lost = vec![push("shop/api", false), push("far", false)];
        insta::assert_snapshot!(text(&told(lost.clone(), 3, &Patterns::default(), &Asked::Answered)), @r#"
        warning  events: a push of shop/api:v1 would never reach the queue, and api would not hear of it; let the pattern of a rule take it: docs/events.md has the patterns
        warning  events: a push of far:v1 would never reach the queue, and api would not hear of it; let the pattern of a rule take it: docs/events.md has the patterns
        0 errors, 2 warnings.
        "#);
        lost.extend((0..20).map(|it| push(&format!("r{it}"), false)));
        let many = text(&told(lost, 22, &Patterns::default(), &Asked::Refused("denied".into())));
        assert!(many.contains("12 more events") && many.contains("was not asked: denied"), "{many}");
        insta::assert_snapshot!(text(&told(Vec::new(), 3, &Patterns::default(), &Asked::Answered)), @r#"
        ok       events: a rule lets through each of 3 events that targets wait for
        0 errors, 0 warnings.
        "#);
    }
}
