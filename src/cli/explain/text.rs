//! An explanation for people.

use super::{Explanation, Other, Reached, Verdict, check::counted};
use crate::domain::redacted;

/// What stands before what is said of the event, so that it lines up.
const LABEL_WIDTH: usize = 11;

pub(super) fn text(it: &Explanation) -> String {
    let mut lines = head(it);
    if !it.targets.is_empty() {
        lines.push(String::new());
        lines.push(format!("It reaches {}:", counted(it.targets.len(), "target")));
        lines.extend(it.targets.iter().flat_map(reached));
    }
    if !it.others.is_empty() {
        lines.push(String::new());
        let other = if it.targets.is_empty() { "target" } else { "other target" };
        lines.push(format!("Nothing is asked of {}:", counted(it.others.len() + it.more_others, other)));
        lines.extend(others(&it.others));
        if it.more_others > 0 {
            lines.push(format!("  and {} more", it.more_others));
        }
    }
    lines.iter().map(|line| harmless(line) + "\n").collect()
}

fn head(it: &Explanation) -> Vec<String> {
    let kind = it.trigger.as_str();
    let mut lines = vec![match &it.meaning {
        Some(meaning) => format!("{kind}: {meaning}"),
        None => format!("{kind}: {}", it.reason.as_deref().unwrap_or_default()),
    }];
    let mut say = |label: &str, text: String| lines.push(format!("  {label:LABEL_WIDTH$}{text}"));
    match &it.event.source[..] {
        "" => say("event", it.event.id.to_string()),
        source => say("event", format!("{} from {source}, `{}`", it.event.id, it.event.detail_type)),
    }
    if let Some(replay) = &it.event.replay {
        say("replay", format!("sent again by EventBridge's replay {replay}"));
    }
    if !it.event.wrappers.is_empty() {
        say("in", it.event.wrappers.join(", then "));
    }
    if let Some(set_aside) = &it.set_aside {
        say("set aside", set_aside.in_words());
        if let Some(target) = &set_aside.target {
            say("", format!("for {target}: put back, it reaches no other"));
        }
    }
    say("version", version(it));
    if it.result != Verdict::Malformed {
        let home = &it.home;
        let (account, region) = (home.account_from.in_words(), home.region_from.in_words());
        say("own", format!("account {} ({account}), Region {} ({region})", home.account, home.region));
        for remark in &home.remarks {
            say("", remark.clone());
        }
    }
    say("result", result(it));
    for follows in &it.beside {
        say("beside", follows.clone());
    }
    lines
}

fn version(it: &Explanation) -> String {
    match it.version {
        Some(time) if it.set_aside.is_some() && it.result != Verdict::Malformed => {
            format!("{time}, kept from before it was set aside")
        }
        Some(time) => {
            format!("{time}, the event's time; or when SQS first got the message, if that is earlier")
        }
        None => "when SQS first gets the message: the event tells no time".into(),
    }
}

fn result(it: &Explanation) -> String {
    let reason = it.reason.as_deref().filter(|_| it.meaning.is_some());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    match it.result {
        Verdict::Asks => format!("{} would be asked{reason}", counted(it.targets.len(), "target")),
        Verdict::Hints => format!("{} would be looked at{reason}", counted(it.targets.len(), "target")),
        Verdict::AsksNothing => format!("nothing follows, and the message is deleted{reason}"),
        Verdict::NotKnown => {
            format!("not known: it may be for a target that discovery finds, which is not asked here{reason}")
        }
        Verdict::Unclear => {
            format!(
                "the message is set aside in the dead-letter queue, because it does not say what is meant{reason}"
            )
        }
        Verdict::Refused => format!("refused, and the message is deleted{reason}"),
        Verdict::Ignored => "nothing follows, and the message is deleted".into(),
        Verdict::Malformed => "the message is set aside in the dead-letter queue, with this reason".into(),
    }
}

fn reached(Reached { name, id, because, policy, would, now, dry_run: _ }: &Reached) -> Vec<String> {
    let policy = policy.as_ref().map(|policy| format!("; {policy}")).unwrap_or_default();
    let told = [
        format!("  {name} ({id})"),
        format!("    because {because}{policy}"),
        format!("    would   {would}"),
    ];
    told.into_iter().chain(now.as_ref().map(|now| format!("    now     {now}"))).collect()
}

fn others(others: &[Other]) -> impl Iterator<Item = String> {
    let width = others.iter().map(|other| other.name.as_str().chars().count()).max().unwrap_or(0);
    others.iter().map(move |Other { name, reason, .. }| format!("  {:width$}  {reason}", name.as_str()))
}

/// Texts of events stand in the lines, and a terminal obeys control characters.
pub(in crate::cli) fn harmless(line: &str) -> String {
    let line = redacted(line.trim_end());
    line.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}
