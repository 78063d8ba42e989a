//! `[notify]`: who is told how deployments go.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use super::{
    problems::{Complaints, Wrong},
    section::{Section, items},
    values::{arn_parts, flag, is_name, one_of, text},
    written::{Raw, Written},
};
use crate::domain::{
    BusRules, Glob, NoticeFilter, NoticeStage, NotifyRules, Outcome, Secret, SlackButtons, SlackRules,
    SlackWay, TopicRules, WebhookRules,
};

/// Where Slack's API is.
const SLACK_API: &str = "https://slack.com/api";
/// No file that holds one secret is larger.
const LARGEST_FILE: u64 = 64 * 1024;
const LONGEST_NAME: usize = 64;
const LONGEST_TEXT: usize = 200;

type Read<T> = Result<T, Wrong>;
type Environment = BTreeMap<String, String>;

/// Everybody who is told.
pub(super) fn read(section: &mut Section<'_>, from: &Environment, complaints: &Complaints) -> NotifyRules {
    NotifyRules {
        slack: section.within("slack", |section| slack(section, from)),
        webhooks: webhooks(section.get("webhook"), from, complaints),
        eventbridge: section.within("eventbridge", eventbridge),
        sns: section.within("sns", sns),
    }
}

fn slack(section: &mut Section<'_>, from: &Environment) -> Option<SlackRules> {
    let enabled = section.take("enabled", flag).unwrap_or(true);
    let url = secret(section, ["webhook_url", "webhook_url_env", "webhook_url_file"], from, web_url);
    let token = secret(section, ["token", "token_env", "token_file"], from, unbroken);
    let channel = section.take("channel", short);
    let api_url = section.take("api_url", plain_url).unwrap_or_else(|| SLACK_API.into());
    let buttons = buttons(section, from);
    let mention = section.take("mention", short);
    let filter = filter(section);
    let way = match (token, channel, url) {
        (Some(token), Some(channel), _) => SlackWay::Bot { token, channel, api_url },
        (Some(_), None, _) => {
            let wrong = Wrong::new(
                "is missing, and a bot has to know where to write",
                r#"name it by its id, as "C012AB3CD""#,
            );
            section.complain(section.home(), &section.name_of("channel"), wrong);
            return None;
        }
        (None, _, Some(url)) => SlackWay::Webhook(url),
        (None, _, None) => return None,
    };
    enabled.then_some(SlackRules { way, mention, buttons, filter })
}

/// Both or none of what buttons need: one that nobody may press would be dead.
fn buttons(section: &mut Section<'_>, from: &Environment) -> Option<SlackButtons> {
    let keys = ["signing_secret", "signing_secret_env", "signing_secret_file"];
    let signing_secret = secret(section, keys, from, unbroken);
    let operators: BTreeSet<Arc<str>> =
        section.list("operators", member).unwrap_or_default().into_iter().collect();
    let complain = |key: &'static str, wrong| section.complain(section.home(), &section.name_of(key), wrong);
    match (signing_secret, operators.is_empty()) {
        (Some(signing_secret), false) => Some(SlackButtons { signing_secret, operators }),
        (Some(_), true) => {
            let mend = "list the ids of those who may press buttons, or remove the signing secret";
            complain("operators", Wrong::new("is empty, so that nobody may press a button", mend));
            None
        }
        (None, false) => {
            let mend = "set it to the signing secret of the Slack app, or remove the operators";
            complain("signing_secret", Wrong::new("is missing, by which buttons are verified", mend));
            None
        }
        (None, true) => None,
    }
}

fn webhooks(written: Option<&Written>, from: &Environment, complaints: &Complaints) -> Vec<WebhookRules> {
    let Some(written) = written else { return Vec::new() };
    let items = items(written).unwrap_or_else(|_| {
        let mend = "begin each with [[notify.webhook]] in TOML, or write a JSON list of objects";
        let wrong = hidden(Wrong::new("is not a list of webhooks", mend));
        complaints.add(&written.origin, "notify.webhook", None, wrong);
        Vec::new()
    });
    let mut rules: Vec<WebhookRules> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut section = Section::new(format!("notify.webhook[{}]", index + 1), item, complaints);
        if let Some(rule) = webhook(&mut section, from) {
            if rules.iter().any(|it| it.name == rule.name) {
                let wrong = format!("= \"{}\" is the name of another webhook, too", rule.name);
                let wrong = Wrong::new(wrong, "give each a name of its own: metrics and logs call it so");
                section.complain(section.home(), &section.name_of("name"), wrong);
            }
            rules.push(rule);
        }
        section.finish();
    }
    rules
}

fn webhook(section: &mut Section<'_>, from: &Environment) -> Option<WebhookRules> {
    let name = section.demand("name", "say what logs and metrics call it", name);
    let keys = ["url", "url_env", "url_file"];
    let is_given = section.entries().any(|(key, _)| keys.contains(&key));
    let url = secret(section, keys, from, web_url);
    if !is_given {
        let wrong = Wrong::new("is missing", "write it, or say with `url_env` or `url_file` where it is");
        section.complain(section.home(), &section.name_of("url"), wrong);
    }
    let secret = secret(section, ["secret", "secret_env", "secret_file"], from, unbroken);
    let filter = filter(section);
    Some(WebhookRules { name: name?, url: url?, secret, filter })
}

fn eventbridge(section: &mut Section<'_>) -> Option<BusRules> {
    let enabled = section.take("enabled", flag).unwrap_or(false);
    let rules = BusRules {
        bus: section.take("bus", bus).unwrap_or_else(|| "default".into()),
        source: section.take("source", source).unwrap_or_else(|| "lockkeeper".into()),
        metadata: section.take("metadata", flag).unwrap_or(true),
        filter: filter(section),
    };
    enabled.then_some(rules)
}

fn sns(section: &mut Section<'_>) -> Option<TopicRules> {
    let topic = section.take("topic", topic);
    let filter = filter(section);
    Some(TopicRules { topic: topic?, filter })
}

/// Of what somebody is told; of everything, where nothing is said.
fn filter(section: &mut Section<'_>) -> NoticeFilter {
    let outcomes = Outcome::ALL.map(|outcome| (outcome.as_str(), outcome));
    let stages = NoticeStage::ALL.map(|stage| (stage.as_str(), stage));
    let all = || vec![Glob::new("*")];
    NoticeFilter {
        targets: section.list("targets", |it| text(it).map(Glob::new)).unwrap_or_else(all),
        outcomes: section
            .list("outcomes", one_of(&outcomes))
            .map_or_else(|| Outcome::ALL.into(), |list| list.into_iter().collect()),
        stages: section
            .list("stages", one_of(&stages))
            .map_or_else(|| NoticeStage::ALL.into(), |list| list.into_iter().collect()),
        foreign: section.take("foreign", flag).unwrap_or(true),
    }
}

/// A secret that is written, stands in an environment variable, or in a file. Nothing of it is ever shown.
pub(super) fn secret(
    section: &mut Section<'_>,
    [plain, env, file]: [&'static str; 3],
    from: &Environment,
    check: impl Fn(&str) -> Read<()>,
) -> Option<Secret> {
    let given = [plain, env, file].map(|key| section.get(key).map(|written| (key, written)));
    let mut given = given.into_iter().flatten();
    let (key, written) = given.next()?;
    if let Some((other, written)) = given.next() {
        let wrong = Wrong::new(format!("is given by `{key}` already"), "keep one of them");
        section.complain(&written.origin, &section.name_of(other), wrong);
        return None;
    }
    section.take(key, |_| {
        let written = text(written).map_err(hidden)?;
        let value = match key {
            _ if key == env => of_variable(written, from)?,
            _ if key == file => of_file(written)?,
            _ => written.trim().to_owned(),
        };
        check(&value).map_err(hidden)?;
        Ok(Secret::from(&*value))
    })
}

fn of_variable(name: &str, from: &Environment) -> Read<String> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.bytes().all(is_of_name) {
        // It may be the secret itself.
        let wrong = Wrong::new("is not the name of an environment variable", "use letters, digits and `_`");
        return Err(hidden(wrong));
    }
    let value = from.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    value.map(str::to_owned).ok_or_else(|| {
        hidden(Wrong::new("names an environment variable that is not set", "set it, or name another one"))
    })
}

fn of_file(path: &str) -> Read<String> {
    let wrong = |what: String| hidden(Wrong::new(what, "name a file that holds the secret and nothing else"));
    if !path.contains('/') {
        return Err(wrong("is not the path of a file".into()));
    }
    let size = fs::metadata(path).map_err(|error| wrong(format!("cannot be read: {error}")))?.len();
    if size > LARGEST_FILE {
        return Err(wrong(format!("has {size} bytes")));
    }
    let value = fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    match value.trim() {
        "" => Err(wrong("is empty".into())),
        value => Ok(value.to_owned()),
    }
}

fn hidden(wrong: Wrong) -> Wrong {
    Wrong { secret: true, ..wrong }
}

fn unbroken(value: &str) -> Read<()> {
    if value.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Wrong::new("has signs that no such secret has", "copy it again, on one line"))
}

fn web_url(value: &str) -> Read<()> {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '@']));
    if has_host && value.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Wrong::new("is not a URL that begins with https:// or http://", "copy it from where it was made"))
}

fn plain_url(written: &Written) -> Read<Arc<str>> {
    let text = text(written)?;
    web_url(text)?;
    if text.contains(['@', '?', '#']) {
        return Err(hidden(Wrong::new(
            "is more than the beginning of a URL",
            "write it as \"https://slack.com/api\"",
        )));
    }
    Ok(text.trim_end_matches('/').into())
}

fn short(written: &Written) -> Read<Arc<str>> {
    let text = text(written)?;
    if text.chars().count() <= LONGEST_TEXT && !text.contains(char::is_control) {
        return Ok(text.into());
    }
    Err(Wrong::new("is too long, or not one line", format!("write at most {LONGEST_TEXT} signs")))
}

/// The id of somebody in Slack.
fn member(written: &Written) -> Read<Arc<str>> {
    let text = text(written)?;
    let is_id = text.starts_with(['U', 'W'])
        && (8..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if is_id {
        return Ok(text.into());
    }
    Err(Wrong::new("is not the id of a member", r#"copy it from the member's profile, as "U012AB3CD""#))
}

fn name(written: &Written) -> Read<Arc<str>> {
    let text = text(written)?;
    if is_name(text, LONGEST_NAME) {
        return Ok(text.into());
    }
    Err(Wrong::new("is not a name", format!("use letters, digits, `_` and `-` only, at most {LONGEST_NAME}")))
}

/// A bus by its name, or by its ARN where it is another account's or Region's.
fn bus(written: &Written) -> Read<Arc<str>> {
    let text = text(written)?;
    let is_bus = |name: &str| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        (1..=256).contains(&name.len()) && name.bytes().all(is_of_name)
    };
    let by_arn = arn_parts(text, "events").and_then(|[_, _, resource]| resource.strip_prefix("event-bus/"));
    if by_arn.map_or_else(|| is_bus(text), is_bus) {
        return Ok(text.into());
    }
    let mend = r#"write its name, as "default", or its ARN, as "arn:aws:events:eu-west-1:111122223333:event-bus/shop""#;
    Err(Wrong::new("is not an event bus", mend))
}

fn source(written: &Written) -> Read<Arc<str>> {
    let text = text(written)?;
    if text.starts_with("aws.") {
        return Err(Wrong::new("begins with `aws.`, as only events of AWS may", r#"write "lockkeeper""#));
    }
    let is_of_source = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    if (1..=256).contains(&text.len()) && text.bytes().all(is_of_source) {
        return Ok(text.into());
    }
    Err(Wrong::new(
        "is not a source of events",
        "use letters, digits, `.`, `_`, `/` and `-` only, at most 256",
    ))
}

fn topic(written: &Written) -> Read<Arc<str>> {
    let text = text(written)?;
    let mend = r#"write it as "arn:aws:sns:eu-west-1:111122223333:lockkeeper""#;
    let Some([region, account, name]) = arn_parts(text, "sns") else {
        return Err(Wrong::new("is not the ARN of a topic", mend));
    };
    if name.rsplit_once('.').is_some_and(|(_, ending)| ending == "fifo") {
        let mend = "use a standard topic: e-mail and most others cannot subscribe to this one";
        return Err(Wrong::new("is a FIFO topic", mend));
    }
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if is_account && !region.is_empty() && is_name(name, 256) {
        return Ok(text.into());
    }
    Err(Wrong::new("is not the ARN of a topic", mend))
}

/// Whether a webhook of Slack is set that a bot stands in for.
pub(super) fn is_idle_webhook(section: Option<&Written>) -> bool {
    let has = |key: &str| {
        section.and_then(|it| it.find(&["slack", key])).is_some_and(|it| !matches!(it.raw, Raw::Table(_)))
    };
    let any = |keys: [&str; 3]| keys.into_iter().any(has);
    any(["token", "token_env", "token_file"]) && any(["webhook_url", "webhook_url_env", "webhook_url_file"])
}
