//! Letters by the API: for those who may ask a daemon, and not the queue.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, Failure, encoded, read};
use crate::{
    cli::{
        Ended, FAILED, Output,
        letters::{
            pick::{Filter, Since, before},
            shown::{Row, listed, row},
        },
        process::now,
        say, say_json,
        terminal::{counted, harmless, width},
    },
    domain::Timestamp,
};

/// What is read of a letter.
#[derive(Debug, Deserialize)]
struct Letter {
    id: String,
    time: String,
    target: Option<String>,
    #[serde(default)]
    target_name: Option<String>,
    outcome: Option<String>,
    cause: Option<String>,
    reason: Option<String>,
    event: Event,
    reaches: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Event {
    trigger: String,
    meaning: Option<String>,
}

/// What became of those that were to be put back.
#[derive(Debug, Deserialize)]
struct Replayed {
    dry_run: bool,
    done: bool,
    #[serde(rename = "replayed")]
    count: Option<usize>,
    would_replay: Vec<String>,
    /// Not told by a daemon of an older version.
    #[serde(default)]
    without_effect: Vec<LetterAndWhy>,
    left: Vec<LetterAndWhy>,
    missing: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct LetterAndWhy {
    id: String,
    why: String,
}

/// Lists them.
pub(in crate::cli) async fn list(
    client: &Client,
    filter: &Filter,
    limit: Option<u32>,
    output: Output,
) -> Result<Ended, Failure> {
    let (items, page) = letters(client, filter, limit).await?;
    match output {
        Output::Json => {
            say_json(
                &json!({ "items": items, "seen_at": page["seen_at"], "whole": page["whole"], "unseen": page["unseen"] }),
            );
        }
        Output::Text => {
            let letters: Vec<Letter> = read(&Value::Array(items)).map_err(Failure::Unreachable)?;
            say(&text(&letters, &page, width(), now()));
        }
    }
    Ok(Ended::Done)
}

/// Those that a filter lets through, and what the page says beside them.
async fn letters(
    client: &Client,
    filter: &Filter,
    limit: Option<u32>,
) -> Result<(Vec<Value>, Value), Failure> {
    let wanted = [
        ("target", filter.target.clone()),
        ("outcome", filter.outcome.clone()),
        ("cause", filter.cause.clone()),
        ("since", since(filter)),
    ];
    let wanted = wanted.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    let query = wanted.collect::<Vec<_>>().join("&");
    let path = if query.is_empty() {
        "/api/v1/dead-letters".into()
    } else {
        format!("/api/v1/dead-letters?{query}")
    };
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let (mut items, page) = client.pages(&path, most).await?;
    let ids = &filter.id;
    items.retain(|it| {
        ids.is_empty() || it["id"].as_str().is_some_and(|id| ids.iter().any(|wanted| wanted == id))
    });
    Ok((items, page))
}

/// Has them put back. `force`: as something new; `dry_run`: not at all.
pub(in crate::cli) async fn replay(
    client: &Client,
    filter: &Filter,
    all: bool,
    [force, dry_run]: [bool; 2],
    output: Output,
) -> Result<Ended, Failure> {
    let body = json!({
        "ids": filter.id, "target": filter.target, "outcome": filter.outcome, "cause": filter.cause, "since": since(filter),
        "all": all, "force": force, "dry_run": dry_run,
    });
    let answer = client.post("/api/v1/dead-letters/replay", &body).await?;
    let replayed: Replayed = read(&answer).map_err(Failure::Unreachable)?;
    match output {
        Output::Json => say_json(&answer),
        Output::Text => {
            if dry_run {
                say(&foreseen(client, filter).await?);
            }
            say(&in_words(&replayed));
        }
    }
    let is_well = replayed.left.is_empty() && replayed.missing.is_empty();
    Ok(if is_well { Ended::Done } else { Ended::Told(FAILED) })
}

/// What would be put back, and whom that would reach.
async fn foreseen(client: &Client, filter: &Filter) -> Result<String, Failure> {
    let (items, _) = letters(client, filter, None).await?;
    let letters: Vec<Letter> = read(&Value::Array(items)).map_err(Failure::Unreachable)?;
    Ok(table(&letters, width(), now()))
}

fn since(filter: &Filter) -> Option<String> {
    let since = filter.since.map(|since| match since {
        Since::At(at) => at,
        Since::Ago(ago) => before(now(), ago),
    });
    since.map(|at| at.to_string())
}

fn text(letters: &[Letter], page: &Value, width: Option<usize>, now: Timestamp) -> String {
    let table = table(letters, width, now);
    let more = if page["whole"] == json!(false) { ", and there may be more" } else { "" };
    let unseen = page["unseen"].as_u64().filter(|unseen| *unseen > 0);
    let unseen =
        unseen.map(|unseen| format!("Not seen: {unseen}, because somebody else held them just then.\n"));
    format!("{table}{}{more}.\n{}", counted(letters.len(), "letter"), unseen.unwrap_or_default())
}

fn table(letters: &[Letter], width: Option<usize>, now: Timestamp) -> String {
    let rows: Vec<[String; 5]> = letters.iter().map(Letter::row).collect();
    if rows.is_empty() { String::new() } else { listed(rows, width, now) }
}

impl Letter {
    fn row(&self) -> [String; 5] {
        let called = self.target_name.as_deref().or(self.target.as_deref().map(super::shapes::service));
        let target = match (called, self.reaches.is_empty()) {
            (Some(called), _) => called.to_owned(),
            (None, true) => "-".into(),
            (None, false) => format!("({})", self.reaches.join(", ")),
        };
        row(Row {
            id: &self.id,
            time: Timestamp::parse(&self.time).unwrap_or_default(),
            target,
            ended: [self.outcome.as_deref(), self.cause.as_deref()],
            reason: self.reason.as_deref(),
            event: [Some(&self.event.trigger), self.event.meaning.as_deref()],
        })
    }
}

fn in_words(replayed: &Replayed) -> String {
    let put_back = if replayed.dry_run { "would be put back" } else { "put back" };
    let in_vain = replayed.without_effect.iter().map(|it| format!("{}: {put_back}: {}", it.id, it.why));
    let mut lines: Vec<String> = in_vain.collect();
    lines.extend(replayed.left.iter().map(|it| format!("{}: {}", it.id, it.why)));
    lines.extend(replayed.missing.iter().map(|id| format!("{id}: no letter has this id")));
    lines.push(match replayed.count {
        Some(_) if replayed.dry_run => {
            format!("{} would be put back.", counted(replayed.would_replay.len(), "letter"))
        }
        Some(count) if replayed.done => format!("{} put back.", counted(count, "letter")),
        _ => "They are being put back: `dead-letters` shows what is left.".into(),
    });
    lines.iter().map(|line| harmless(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_a_table_as_those_of_the_queue_are() {
        let letter = json!({
            "id": "l-1", "time": "2026-11-01T12:00:00.5Z", "target": null, "outcome": null, "cause": null, "reason": "no such image",
            "event": { "trigger": "image_pushed", "meaning": "api:2.0.0 was pushed" }, "reaches": ["api"],
        });
        let mut ours = letter.clone();
        ours["target"] = json!("1/eu-west-1/shop/shop_api");
        ours["outcome"] = json!("rolled_back");
        ours["cause"] = json!("image_pull");
        let letters: Vec<Letter> = serde_json::from_value(json!([letter, ours])).expect("letters");
        insta::assert_snapshot!(text(&letters, &json!({ "whole": false, "unseen": 2 }), Some(110), Timestamp::from_millis(0)), @"
        ID   SET ASIDE   TARGET    WHY                                     EVENT
        l-1  2026-11-01  (api)     no such image                           image_pushed: api:2.0.0 was pushed
        l-1  2026-11-01  shop_api  rolled_back, image_pull: no such image  image_pushed: api:2.0.0 was pushed
        2 letters, and there may be more.
        Not seen: 2, because somebody else held them just then.
        ");
    }

    #[test]
    fn what_became_of_letters_is_told() {
        let replayed = |done: bool, count: Option<usize>| Replayed {
            dry_run: false,
            done,
            count,
            would_replay: Vec::new(),
            without_effect: vec![LetterAndWhy { id: "l-1".into(), why: "nothing follows".into() }],
            left: vec![LetterAndWhy { id: "l-2".into(), why: "somebody else has it".into() }],
            missing: vec!["l-3".into()],
        };
        assert_eq!(
            in_words(&replayed(true, Some(1))),
            "l-1: put back: nothing follows\nl-2: somebody else has it\nl-3: no letter has this id\n1 letter put back.\n"
        );
        let would_replay = vec!["l-1".into(), "l-4".into()];
        let rehearsed = Replayed { dry_run: true, would_replay, ..replayed(true, Some(0)) };
        assert!(in_words(&rehearsed).ends_with("2 letters would be put back.\n"));
        assert!(in_words(&replayed(false, None)).ends_with("shows what is left.\n"));
    }
}
