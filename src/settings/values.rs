//! Readers of single values: text that was written to what it means, or what would be right.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use super::{
    durations,
    problems::Wrong,
    tags,
    written::{Raw, Written},
};
use crate::domain::{AccountId, BudgetShare, Region, TagPolicy, is_tag, nearest};

type Read<T> = Result<T, Wrong>;

/// A text that is not empty.
pub(super) fn text(written: &Written) -> Read<&str> {
    match &written.raw {
        Raw::Text(text) | Raw::Loose(text) if text.is_empty() => {
            Err(Wrong::new("is empty", "give it a value, or remove it"))
        }
        Raw::Text(text) | Raw::Loose(text) => Ok(text),
        Raw::Integer(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Table(_) | Raw::Other(_) => Err(Wrong::new(
            format!("is {}, where a text belongs", written.kind()),
            "write it in quotation marks",
        )),
    }
}

/// A whole number within bounds.
pub(super) fn count(bounds: RangeInclusive<u32>) -> impl Fn(&Written) -> Read<u32> {
    move |written| {
        let number = match &written.raw {
            Raw::Integer(number) => Some(*number),
            Raw::Loose(text) => text.trim().parse().ok(),
            Raw::Text(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Table(_) | Raw::Other(_) => None,
        };
        let bare = if matches!(written.raw, Raw::Text(_)) { ", without quotation marks" } else { "" };
        let between = format!("write a number from {} to {}{bare}", bounds.start(), bounds.end());
        let number = number.ok_or_else(|| Wrong::new("is not a whole number", &*between))?;
        let fits = u32::try_from(number).ok().filter(|it| bounds.contains(it));
        fits.ok_or_else(|| Wrong::new("is out of bounds", between))
    }
}

/// A part of something, from a hundredth to all, to the thousandth.
pub(super) fn share(written: &Written) -> Read<BudgetShare> {
    let text = match &written.raw {
        Raw::Integer(number) => number.to_string(),
        Raw::Other(text) | Raw::Loose(text) => text.clone(),
        Raw::Text(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Table(_) => String::new(),
    };
    let mend = "write a number from 0.01 to 1, as 0.5, without quotation marks";
    let share: f64 = text.trim().parse().map_err(|_| Wrong::new("is not a number", mend))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
    let per_mille = (share * 1_000.0).round() as u16;
    BudgetShare::from_per_mille(per_mille).ok_or_else(|| Wrong::new("is out of bounds", mend))
}

/// Yes or no. In an environment variable also as words, in any case.
pub(super) fn flag(written: &Written) -> Read<bool> {
    match &written.raw {
        Raw::Boolean(flag) => Ok(*flag),
        Raw::Loose(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "enabled" => Ok(true),
            "false" | "0" | "no" | "off" | "disabled" => Ok(false),
            _ => Err(Wrong::new(
                "is neither true nor false",
                "write true, 1, yes, on or enabled, or an opposite",
            )),
        },
        Raw::Text(_) | Raw::Integer(_) | Raw::List(_) | Raw::Table(_) | Raw::Other(_) => {
            Err(Wrong::new("is neither true nor false", "write true or false, without quotation marks"))
        }
    }
}

/// A duration within bounds.
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> impl Fn(&Written) -> Read<Duration> {
    move |written| {
        let duration =
            durations::parse(quoted(written)?).map_err(|how| Wrong::new("is not a duration", how))?;
        if bounds.contains(&duration) {
            return Ok(duration);
        }
        let (low, high) = (durations::write(*bounds.start()), durations::write(*bounds.end()));
        Err(Wrong::new("is out of bounds", format!("write a duration from {low} to {high}")))
    }
}

/// A bare number lacks its unit: say so, instead of asking for quotation marks only.
fn quoted(written: &Written) -> Read<&str> {
    match &written.raw {
        Raw::Integer(number) => {
            Err(Wrong::new("is a number without a unit", format!(r#"write "{number}s" if it is seconds"#)))
        }
        _ => text(written),
    }
}

/// One word of a closed list.
pub(super) fn one_of<T: Clone>(words: &[(&'static str, T)]) -> impl Fn(&Written) -> Read<T> {
    move |written| {
        let word = text(written)?;
        let found = words.iter().find(|(name, _)| *name == word);
        found.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            let list = names.join(", ");
            let meant =
                nearest(word, &names).map_or_else(String::new, |it| format!("; did you mean `{it}`?"));
            Wrong::new("is not one of the words for it", format!("write one of {list}{meant}"))
        })
    }
}

/// An address to listen on.
pub(super) fn listen(written: &Written) -> Read<SocketAddr> {
    let text = text(written)?;
    text.parse().map_err(|_| {
        let mend = match text.trim_start_matches(':').parse::<u16>() {
            Ok(port) => format!(r#"write "0.0.0.0:{port}""#),
            Err(_) => r#"write an IP address and a port, as "0.0.0.0:8080" or "127.0.0.1:8080""#.into(),
        };
        Wrong::new("is not an address to listen on", mend)
    })
}

/// The name of a DynamoDB table.
pub(super) fn table_name(written: &Written) -> Read<String> {
    let text = text(written)?;
    if let Some(name) = text.strip_prefix("arn:").and_then(|it| it.rsplit_once(":table/")).map(|it| it.1) {
        return Err(Wrong::new("is an ARN, where a name belongs", format!(r#"write "{name}""#)));
    }
    let is_of_name = |it: char| it.is_ascii_alphanumeric() || "_.-".contains(it);
    if (3..=255).contains(&text.len()) && text.chars().all(is_of_name) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("is not the name of a DynamoDB table", "write 3 to 255 letters, digits, `_`, `-` or `.`"))
}

/// The URL of a standard queue.
pub(super) fn queue_url(written: &Written) -> Read<String> {
    let text = text(written)?;
    let form = r#"write its URL, as "https://sqs.eu-west-1.amazonaws.com/111122223333/lockkeeper""#;
    if let Some([region, account, name]) = arn_parts(text, "sqs") {
        let url = format!("https://sqs.{region}.amazonaws.com/{account}/{name}");
        return Err(Wrong::new("is an ARN, where a URL belongs", format!(r#"write "{url}""#)));
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let (host, path) = rest
        .and_then(|rest| rest.split_once('/'))
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| Wrong::new("is not the URL of a queue", form))?;
    if host.contains('@') {
        let wrong =
            Wrong::new("carries credentials", "leave them out: AWS's own variables and roles give them");
        return Err(Wrong { secret: true, ..wrong });
    }
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.rsplit_once('.').is_some_and(|(_, ending)| ending == "fifo") {
        let why = "is a FIFO queue, which holds back a whole group behind one message that is in work";
        return Err(Wrong::new(why, "use a standard queue: versions order what arrives in any order"));
    }
    if is_name(name, 80) { Ok(text.into()) } else { Err(Wrong::new("is not the URL of a queue", form)) }
}

/// The Region, account and resource of an ARN of this service.
pub(super) fn arn_parts<'t>(text: &'t str, service: &str) -> Option<[&'t str; 3]> {
    let mut parts = text.splitn(6, ':');
    let is_arn = parts.next() == Some("arn") && parts.next().is_some() && parts.next() == Some(service);
    is_arn.then(|| [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default))
}

/// An AWS account.
pub(super) fn account(written: &Written) -> Read<AccountId> {
    let text = text(written)?;
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.into());
    }
    Err(Wrong::new(
        "is not an AWS account",
        r#"write its twelve digits in quotation marks, as "111122223333""#,
    ))
}

/// An AWS Region.
pub(super) fn region(written: &Written) -> Read<Region> {
    let text = text(written)?;
    let well_formed =
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if well_formed && text.split('-').count() >= 3 && text.split('-').all(|part| !part.is_empty()) {
        return Ok(text.into());
    }
    Err(Wrong::new("is not an AWS Region", r#"write its code, as "eu-west-1""#))
}

/// The name of a cluster or service in ECS.
pub(super) fn ecs_name<T: for<'t> From<&'t str>>(written: &Written) -> Read<T> {
    let text = text(written)?;
    if is_name(text, 255) {
        return Ok(text.into());
    }
    match arn_parts(text, "ecs") {
        Some([region, account, resource]) => {
            let short = resource.rsplit('/').next().unwrap_or_default();
            let mend = format!(
                r#"write "{short}"; account "{account}" and region "{region}" have keys of their own"#
            );
            Err(Wrong::new("is an ARN, where a name belongs", mend))
        }
        None => Err(Wrong::new("is not a name in ECS", "use letters, digits, `_` and `-` only, at most 255")),
    }
}

/// What people call a target. It stands in paths of the API, where `/` would be part of an id.
pub(super) fn target_name(written: &Written) -> Read<&str> {
    let text = text(written)?;
    if is_name(&text.replace('.', "_"), 100) {
        return Ok(text);
    }
    Err(Wrong::new("is not a name for a target", "use letters, digits, `_`, `-` and `.` only, at most 100"))
}

/// A tag policy.
pub(super) fn tag_policy(written: &Written) -> Read<TagPolicy> {
    let text = text(written)?;
    if let Some(tag) = text.strip_prefix("exact:").filter(|tag| !tag.is_empty() && !is_tag(tag)) {
        return Err(Wrong::new(
            format!("waits for `{tag}`, which no image can have as its tag"),
            "write a tag",
        ));
    }
    if let Some(prefix) = text.strip_prefix("prefix:").filter(|prefix| !prefix.is_empty() && !is_tag(prefix))
    {
        let mend = match prefix.strip_suffix('*').filter(|it| is_tag(it)) {
            Some(bare) => format!(r#"write "prefix:{bare}", or "glob:{prefix}""#),
            None => "write what a tag can begin with".into(),
        };
        let wrong = format!("waits for what begins with `{prefix}`, as no tag of an image can");
        return Err(Wrong::new(wrong, mend));
    }
    text.parse().map_err(|error: crate::domain::NotATagPolicy| {
        let of_service = written.origin.source.starts_with(tags::PREFIX);
        Wrong::new(format!("is not a tag policy: {}", error.why()), tag_policy_mend(text, of_service))
    })
}

/// `of_service`: it is the tag of a service, whose value can have few signs only.
fn tag_policy_mend(text: &str, of_service: bool) -> String {
    if is_tag(text) {
        return format!(r#"write "exact:{text}" for that one tag"#);
    }
    if text.contains('*') && !text.contains(':') {
        return format!(r#"write "glob:{text}""#);
    }
    if of_service {
        return r#"write it as "newest", "exact:latest", "prefix:release-" or "semver:2""#.into();
    }
    r#"write it as "newest", "exact:latest", "prefix:release-", "glob:release-*", "semver:^2" or "regex:^build-(?<number>\d+)$""#
        .into()
}

/// Letters, digits, `_` and `-`.
pub(super) fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
