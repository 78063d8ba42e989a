//! A notice as a message of Slack, within its limits: 50 blocks, 3,000 signs in a text, 2,000 in a field, 10 fields in a
//! section, 150 in a header. Slack refuses a whole message for one sign too many, and counts as JavaScript does, in UTF-16.

use serde_json::{Value, json};

use crate::{
    domain::{NoticeStage, Outcome},
    report::notice::{
        Home, Notice, Status, What,
        words::{Said, say},
    },
};

const LONGEST_HEADER: usize = 150;
const LONGEST_TEXT: usize = 3_000;
const LONGEST_FIELD: usize = 2_000;
const MOST_FIELDS: usize = 10;
/// Nobody reads more of why something failed in a chat.
const LONGEST_EVIDENCE: usize = 1_500;
/// The text that stands for the blocks in notices of the operating system.
const LONGEST_FALLBACK: usize = 500;

/// What a button does, as its `action_id`.
pub const REPLAY: &str = "lockkeeper_replay";
/// The same.
pub const ROLL_BACK: &str = "lockkeeper_roll_back";

/// The message: `text` and `blocks`.
pub fn message(notice: &Notice, home: &Home, with_buttons: bool) -> Value {
    let said = say(notice, home);
    let mut blocks = vec![header(&said)];
    let fields: Vec<Value> = said.facts.iter().map(|(name, value)| field(name, value)).collect();
    blocks.extend(fields.chunks(MOST_FIELDS).map(|fields| json!({ "type": "section", "fields": fields })));
    if !said.evidence.is_empty() {
        // A fence within would end the one around it.
        let text = said.evidence.join("\n").replace("```", "'''");
        let text = format!("```{}```", escaped(&text, LONGEST_EVIDENCE));
        blocks.push(json!({ "type": "section", "text": mrkdwn(text) }));
    }
    if !said.links.is_empty() {
        blocks.push(json!({ "type": "context", "elements": [mrkdwn(links(&said))] }));
    }
    if let Some(buttons) = buttons(notice).filter(|_| with_buttons) {
        blocks.push(buttons);
    }
    json!({ "text": line(&said), "blocks": blocks })
}

/// A short message that mentions somebody: an update of a message notifies nobody.
pub fn mention(notice: &Notice, home: &Home, mention: &str) -> Value {
    json!({ "text": format!("{mention} {}", line(&say(notice, home))) })
}

/// The message with a mention before everything else, for who cannot be mentioned by a message of its own.
pub fn mentioning(mut message: Value, mention: &str) -> Value {
    if let Some(blocks) = message["blocks"].as_array_mut() {
        blocks.insert(0, json!({ "type": "section", "text": mrkdwn(mention.to_owned()) }));
    }
    message
}

fn line(said: &Said) -> String {
    escaped(&format!("{} {}", said.tone.icon(), said.headline), LONGEST_FALLBACK)
}

fn header(said: &Said) -> Value {
    let text = cut(&format!("{} {}", said.tone.icon(), said.headline), LONGEST_HEADER);
    json!({ "type": "header", "text": { "type": "plain_text", "text": text, "emoji": false } })
}

fn field(name: &str, value: &str) -> Value {
    mrkdwn(format!("*{name}*\n{}", escaped(value, LONGEST_FIELD - name.len() - 3)))
}

fn links(said: &Said) -> String {
    let mut text = String::new();
    for (name, url) in &said.links {
        let url: String = url.chars().filter(|c| !matches!(c, '<' | '>' | '|' | '"' | ' ')).collect();
        let link = format!("<{}|{name}>", url.replace('&', "&amp;"));
        let gap = if text.is_empty() { "" } else { " · " };
        if text.encode_utf16().count() + link.encode_utf16().count() + 3 <= LONGEST_TEXT {
            text = format!("{text}{gap}{link}");
        }
    }
    text
}

fn mrkdwn(text: String) -> Value {
    json!({ "type": "mrkdwn", "text": text })
}

/// What may be done about it: none while it goes on, nor about what is not ours.
fn buttons(notice: &Notice) -> Option<Value> {
    let What::Stage(NoticeStage::Deployment, Status::Completed | Status::Failed, record) = &notice.what
    else {
        return None;
    };
    let value = json!({ "deployment": record.id, "target": record.target, "definition": record.definition });
    let value = value.to_string();
    let button = |action: &str, label: &str, style: Option<&str>, question: &str| {
        let plain = |text: &str| json!({ "type": "plain_text", "text": text });
        let mut button = json!({
            "type": "button",
            "action_id": action,
            "text": plain(label),
            "value": value,
            "confirm": {
                "title": plain(label),
                "text": plain(&cut(question, 300)),
                "confirm": plain(label),
                "deny": plain("Cancel"),
            },
        });
        if let Some(style) = style {
            button["style"] = json!(style);
        }
        button
    };
    let name = &record.name;
    let replay = || button(REPLAY, "Replay", None, &format!("Try again what failed for {name}?"));
    let roll_back = || {
        let question = format!(
            "Put {name} back to what ran well before? After that other content waits until somebody resumes it, new tasks do not."
        );
        button(ROLL_BACK, "Roll back", Some("danger"), &question)
    };
    // Where nothing ran before, there is nothing to go back to.
    let is_way_back = record.previous_definition.is_some();
    let elements = match record.outcome? {
        Outcome::Succeeded if is_way_back => vec![roll_back()],
        Outcome::Failed if is_way_back && record.definition.is_some() => vec![replay(), roll_back()],
        Outcome::Failed | Outcome::RolledBack | Outcome::Cancelled => vec![replay()],
        Outcome::Succeeded | Outcome::AlreadyRunning | Outcome::Superseded | Outcome::DryRun => return None,
    };
    Some(json!({ "type": "actions", "elements": elements }))
}

/// As Slack wants text in its markup: three signs have a meaning. At most so many signs, no entity cut in two.
fn escaped(text: &str, longest: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut length = 0;
    for c in text.chars() {
        let (entity, plain);
        let piece: &str = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            other => {
                plain = other;
                entity = plain.encode_utf8(&mut [0; 4]).to_owned();
                &entity
            }
        };
        let next = piece.encode_utf16().count();
        if length + next > longest - 1 {
            escaped.push('…');
            break;
        }
        length += next;
        escaped.push_str(piece);
    }
    escaped
}

fn cut(text: &str, longest: usize) -> String {
    let mut short = String::new();
    let mut length = 0;
    for c in text.chars() {
        length += c.len_utf16();
        if length > longest - 1 {
            short.push('…');
            break;
        }
        short.push(c);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{DeploymentRecord, Report, Stage},
        report::{
            notice::{
                teller::Teller,
                tests::{by_ci, home},
            },
            sample::{active, at, rolled_back},
        },
    };

    fn told(report: &Report) -> Notice {
        Teller::default().hear(report, at("12:06:00")).pop().expect("told")
    }

    fn ended(record: DeploymentRecord) -> Value {
        message(&told(&Report::Finished(Box::new(record))), &home(), true)
    }

    /// What Slack checks, as its documentation has it.
    fn check(message: &Value) {
        let length = |text: &Value| text.as_str().expect("a text").encode_utf16().count();
        let blocks = message["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50);
        for block in blocks {
            match block["type"].as_str().expect("a type") {
                "header" => assert!((1..=150).contains(&length(&block["text"]["text"]))),
                "section" if block["fields"].is_array() => {
                    let fields = block["fields"].as_array().expect("fields");
                    assert!((1..=10).contains(&fields.len()));
                    assert!(fields.iter().all(|field| (1..=2_000).contains(&length(&field["text"]))));
                }
                "section" => assert!((1..=3_000).contains(&length(&block["text"]["text"]))),
                "context" => {
                    assert!(block["elements"].as_array().is_some_and(|it| (1..=10).contains(&it.len())));
                }
                "actions" => {
                    for button in block["elements"].as_array().expect("elements") {
                        assert!(length(&button["text"]["text"]) <= 75 && length(&button["value"]) <= 2_000);
                        assert!(length(&button["confirm"]["text"]["text"]) <= 300);
                    }
                }
                other => panic!("a block of type {other}"),
            }
        }
    }

    /// Every text of this type.
    fn texts(value: &Value, kind: &str) -> Vec<String> {
        match value {
            Value::Object(it) if value["type"] == kind => {
                it["text"].as_str().map(Into::into).into_iter().collect()
            }
            Value::Object(it) => it.values().flat_map(|it| texts(it, kind)).collect(),
            Value::Array(it) => it.iter().flat_map(|it| texts(it, kind)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    }

    #[test]
    fn a_failure_as_a_message() {
        let message = ended(rolled_back());
        check(&message);
        let kinds: Vec<&str> = message["blocks"]
            .as_array()
            .expect("blocks")
            .iter()
            .filter_map(|it| it["type"].as_str())
            .collect();
        assert_eq!(kinds, ["header", "section", "section", "context", "actions"]);
        insta::assert_snapshot!(texts(&message["blocks"], "mrkdwn").join("\n"), @r#"
        *Service*
        chubby_api in shop
        *Environment*
        shop prod (111122223333 eu-west-1)
        *Image*
        shop_api:1.4 (sha256:4f2a9c1e)
        *Asked for*
        image shop_api:broken
        *Deployment*
        d-bad0
        *Definition*
        chubby_api:13 (before: chubby_api:12)
        *Trigger*
        image_ready: main at 0af3c1 is ready
        *Duration*
        8 s
        *Cause*
        crash_loop
        ```container web exited with 1, three times
        task 0af3c1 stopped: container web: exit code 1; Essential container in task exited
        (service chubby_api) rolling back to deployment ecs-svc/8001```
        <https://lockkeeper.example.com/deployments/d-bad0|Lockkeeper> · <https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/chubby_api/deployments?region=eu-west-1|Console> · <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/shop/log-events/ecs$252Fweb$252F0af3c1|Logs>
        "#);
        insta::assert_snapshot!(message["blocks"][4]["elements"][0], @r#"{"action_id":"lockkeeper_replay","confirm":{"confirm":{"text":"Replay","type":"plain_text"},"deny":{"text":"Cancel","type":"plain_text"},"text":{"text":"Try again what failed for api?","type":"plain_text"},"title":{"text":"Replay","type":"plain_text"}},"text":{"text":"Replay","type":"plain_text"},"type":"button","value":"{\"definition\":\"chubby_api:13\",\"deployment\":\"d-bad0\",\"target\":\"111122223333/eu-west-1/shop/chubby_api\"}"}"#);
    }

    #[test]
    fn links_lead_to_the_page_the_console_the_commit_and_the_run() {
        let message = ended(by_ci());
        check(&message);
        insta::assert_snapshot!(texts(&message["blocks"][2], "mrkdwn").join("\n"), @r#"<https://lockkeeper.example.com/deployments/d-12ab|Lockkeeper> · <https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/chubby_api/deployments?region=eu-west-1|Console> · <https://github.com/shop/api/commit/4f2a9c1e4f2a9c1e4f2a|Commit> · <https://github.com/shop/api/actions/runs/77|Run>"#);
    }

    #[test]
    fn whatever_a_reason_holds_the_message_is_one_that_slack_takes() {
        for filler in ["x", "&", "<!channel>", "🚀", "\"", "```", "\u{202e}\n"] {
            let mut record = rolled_back();
            record.reason = Some(filler.repeat(10_000));
            record.changes = vec![filler.repeat(10_000); 40];
            record.name = filler.repeat(300).into();
            record.evidence.service_events = vec![filler.repeat(10_000).into(); 40];
            let message = ended(record);
            check(&message);
            let markup = texts(&message, "mrkdwn");
            assert!(markup.iter().all(|text| !text.contains("<!channel")), "others mention nobody");
        }
    }

    #[test]
    fn buttons_are_where_they_do_something() {
        let labels = |message: &Value| {
            let blocks = message["blocks"].as_array().expect("blocks");
            let actions = blocks.iter().find(|block| block["type"] == "actions");
            let elements =
                actions.and_then(|block| block["elements"].as_array().cloned()).unwrap_or_default();
            elements
                .iter()
                .map(|it| it["text"]["text"].as_str().expect("a text").to_owned())
                .collect::<Vec<_>>()
        };
        let of = |outcome| labels(&ended(DeploymentRecord { outcome: Some(outcome), ..rolled_back() }));
        let all = Outcome::ALL.map(|outcome| format!("{} {:?}", outcome.as_str(), of(outcome)));
        insta::assert_snapshot!(all.join("\n"), @r#"
        succeeded ["Roll back"]
        already_running []
        superseded []
        failed ["Replay", "Roll back"]
        rolled_back ["Replay"]
        cancelled ["Replay"]
        dry_run []
        "#);
        let first =
            |outcome| DeploymentRecord { outcome: Some(outcome), previous_definition: None, ..rolled_back() };
        assert!(labels(&ended(first(Outcome::Succeeded))).is_empty(), "nothing to go back to");
        assert_eq!(labels(&ended(first(Outcome::Failed))), ["Replay"]);
        let begun = Report::Moved(Box::new(DeploymentRecord { stage: Stage::Rollout, ..active() }));
        assert!(labels(&message(&told(&begun), &home(), true)).is_empty());
        let ended = told(&Report::Finished(Box::new(rolled_back())));
        assert!(labels(&message(&ended, &home(), false)).is_empty(), "no button that nobody may press");
    }

    #[test]
    fn a_mention_is_written_as_it_is_set() {
        let notice = told(&Report::Finished(Box::new(rolled_back())));
        let text = mention(&notice, &home(), "<!here>")["text"].clone();
        assert!(text.as_str().is_some_and(|text| text.starts_with("<!here> ❌ api")), "{text}");
        let message = mentioning(message(&notice, &home(), false), "<!here>");
        check(&message);
        assert_eq!(message["blocks"][0]["text"]["text"], "<!here>");
    }
}
