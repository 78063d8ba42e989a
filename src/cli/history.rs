//! `lockkeeper history`: the deployments that are under way, and those that ended lately.

use std::{io, path::PathBuf};

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::{
    Ended, Output,
    client::{
        Client, Failure, encoded,
        reach::Reach,
        read,
        shapes::{Deployment, id_in, lasting, when_in},
    },
    letters::pick::{Since, before, since},
    process::now,
    say, say_json,
    terminal::{
        paint::{Paint, Tone, of_outcome},
        table::{fits, painted},
        width,
    },
};
use crate::domain::{Outcome, Timestamp};

const HEADS: [&str; 6] = ["ENDED", "TARGET", "OUTCOME", "WHAT", "TOOK", "DEPLOYMENT"];

/// Of which deployments.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Those of this target: its name or its id
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Those that ended so
    #[arg(long, value_parser = PossibleValuesParser::new(Outcome::ALL.map(Outcome::as_str)))]
    outcome: Option<String>,
    /// Those that ended since then: `2h`, `3d`, 2026-11-01 or 2026-11-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// So many at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn history(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let client = match options.reach.client(files) {
        Ok(client) => client,
        Err(ended) => return ended,
    };
    super::run_client(ask(&client, options, output))
}

async fn ask(client: &Client, options: &Options, output: Output) -> Result<Ended, Failure> {
    let most = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let (items, page) = client.pages(&path(options), most).await?;
    // Daemons that do not tell it have read what they remember.
    let is_complete = page["complete"].as_bool().unwrap_or(true);
    match output {
        Output::Json => say_json(&json!({ "items": items, "complete": is_complete })),
        Output::Text => {
            let found: Vec<Deployment> = read(&Value::Array(items)).map_err(Failure::Unreachable)?;
            say(&text(&found, is_complete, width(), now(), Paint::of(&io::stdout())));
        }
    }
    Ok(Ended::Done)
}

fn path(options: &Options) -> String {
    let since = options.since.map(|since| match since {
        Since::At(at) => at,
        Since::Ago(ago) => before(now(), ago),
    });
    let wanted = [
        ("target", options.target.clone()),
        ("outcome", options.outcome.clone()),
        ("since", since.map(|at| at.to_string())),
    ];
    let wanted = wanted.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    let query = wanted.collect::<Vec<_>>().join("&");
    if query.is_empty() { "/api/v1/deployments".into() } else { format!("/api/v1/deployments?{query}") }
}

fn text(
    found: &[Deployment],
    is_complete: bool,
    width: Option<usize>,
    now: Timestamp,
    paint: Paint,
) -> String {
    let unread = "what ECS remembers from before its start is still being read: ask again in a moment.\n";
    match (found.is_empty(), is_complete) {
        (true, true) => "No deployments are known.\n".into(),
        (true, false) => format!("No deployments are known to the daemon yet; {unread}"),
        (false, true) => table(found, width, now, paint),
        (false, false) => format!("{}There may be more: {unread}", table(found, width, now, paint)),
    }
}

fn table(found: &[Deployment], width: Option<usize>, now: Timestamp, paint: Paint) -> String {
    let rows = |most: Option<usize>| -> Vec<[String; 6]> {
        found.iter().map(|it| row(it, width, id_in(most, &it.id), now)).collect()
    };
    // With room for all of it, an id can be copied from where it is shown.
    let whole = rows(None);
    let rows = if fits(HEADS, &whole, width) { whole } else { rows(width) };
    painted(
        HEADS,
        &rows,
        (width, &[0, 4, 5]),
        |row, column| match column {
            2 => found[row].outcome.as_deref().map_or(Tone::Busy, of_outcome),
            1 | 3 => Tone::Plain,
            _ => Tone::Quiet,
        },
        paint,
    )
}

fn row(it: &Deployment, width: Option<usize>, id: String, now: Timestamp) -> [String; 6] {
    let ended = it.finished_at.as_deref().map_or_else(|| "-".into(), |at| when_in(width, now, at));
    let outcome = it.outcome.as_deref().unwrap_or(&it.stage).replace('_', " ");
    let cause = it.cause.as_deref().map(|cause| format!(", {}", cause.replace('_', " "))).unwrap_or_default();
    let asked = it.triggers.first().map(|why| format!("{}: {}", why.kind.replace('_', " "), why.reason));
    // Of a rollout that only ECS tells of, it is known what it brings.
    let asked = asked.or_else(|| it.definition.clone()).unwrap_or_default();
    let what = if it.changes.is_empty() { asked } else { it.changes.join("; ") };
    let took = it.seconds().map_or_else(|| "-".into(), lasting);
    [ended, it.called().to_owned(), outcome + &cause, what, took, id]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_are_a_table_that_fits() {
        let base = json!({
            "id": "d-77fe", "target": "1/eu-west-1/shop/shop_api", "changes": ["image shop_api:1.5"], "stage": "rollout",
            "outcome": null, "cause": null, "reason": null, "definition": "shop_api:8", "previous_definition": "shop_api:7",
            "attempts": 1, "requested_at": "2026-11-01T12:00:00Z", "started_at": "2026-11-01T12:00:05Z", "finished_at": null,
            "triggers": [{ "kind": "image_pushed", "event_id": "e", "reason": "1.5 was pushed" }],
        });
        let mut failed = base.clone();
        failed["outcome"] = json!("rolled_back");
        failed["cause"] = json!("crash_loop");
        failed["finished_at"] = json!("2026-11-01T12:03:00.5Z");
        failed["changes"] = json!([]);
        let mut past = base.clone();
        past["outcome"] = json!("succeeded");
        past["id"] = json!("ecs-6c7c5b1c6e3a4d0f8f6f");
        past["started_at"] = json!(null);
        past["finished_at"] = json!("2026-10-31T12:03:00Z");
        past["changes"] = json!([]);
        past["triggers"] = json!([]);
        let found: Vec<Deployment> =
            serde_json::from_value(json!([base, failed, past])).expect("deployments");
        let now = Timestamp::parse("2026-11-01T13:00:00Z").expect("a time");
        let told = |width| text(&found, true, width, now, Paint::never());
        insta::assert_snapshot!(told(None), @"
        ENDED                 TARGET    OUTCOME                  WHAT                          TOOK        DEPLOYMENT
        -                     shop_api  rollout                  image shop_api:1.5            -           d-77fe
        2026-11-01T12:03:00Z  shop_api  rolled back, crash loop  image pushed: 1.5 was pushed  2 min 55 s  d-77fe
        2026-10-31T12:03:00Z  shop_api  succeeded                shop_api:8                    -           ecs-6c7c5b1c6e3a4d0f8f6f
        ");
        insta::assert_snapshot!(told(Some(80)), @"
        ENDED        TARGET    OUTCOME       WHAT          TOOK        DEPLOYMENT
        -            shop_api  rollout       image shop_…  -           d-77fe
        12:03:00     shop_api  rolled back…  image pushe…  2 min 55 s  d-77fe
        10-31 12:03  shop_api  succeeded     shop_api:8    -           ecs-6c7c5b1c6e3…
        ");
        insta::assert_snapshot!(told(Some(120)), @"
        ENDED        TARGET    OUTCOME                  WHAT                          TOOK        DEPLOYMENT
        -            shop_api  rollout                  image shop_api:1.5            -           d-77fe
        12:03:00     shop_api  rolled back, crash loop  image pushed: 1.5 was pushed  2 min 55 s  d-77fe
        10-31 12:03  shop_api  succeeded                shop_api:8                    -           ecs-6c7c5b1c6e3a4d0f8f6f
        ");
        assert_eq!(text(&[], true, None, now, Paint::never()), "No deployments are known.\n");
        for (found, begins) in
            [(&found[..0], "No deployments are known to the daemon yet;"), (&found[..], "ENDED")]
        {
            let told = text(found, false, None, now, Paint::never());
            assert!(told.starts_with(begins) && told.contains("still being read"), "{told}");
        }
    }

    #[test]
    fn a_target_is_called_by_its_name_and_by_ecs_name_only_where_the_daemon_tells_no_other() {
        let told = |name: Option<&str>| {
            let it = json!({
                "id": "d-1", "target": "1/eu-west-1/mail/svc_api", "target_name": name, "changes": [], "stage": "finished",
                "outcome": "succeeded", "cause": null, "reason": null, "definition": null, "previous_definition": null,
                "attempts": 1, "started_at": null, "finished_at": null,
            });
            row(
                &serde_json::from_value(it).expect("a deployment"),
                None,
                String::new(),
                Timestamp::from_millis(0),
            )[1]
            .clone()
        };
        assert_eq!((told(Some("mail/api")).as_str(), told(None).as_str()), ("mail/api", "svc_api"));
    }
}
