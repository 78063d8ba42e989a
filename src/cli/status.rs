//! `lockkeeper status`: what runs, and what is done about it.

use std::{io, path::PathBuf};

use serde_json::{Value, json};

use super::{
    Ended, Output,
    client::{
        Client, Failure, encoded,
        reach::Reach,
        read,
        shapes::{Hold, Lane, Rollout, Target, service, short, when, when_in},
    },
    process::now,
    say, say_json,
    terminal::{
        harmless,
        paint::{Paint, Tone},
        table::painted,
        width,
    },
};
use crate::domain::Timestamp;

/// No estate has more.
const MOST_TARGETS: usize = 20_000;

const HEADS: [&str; 5] = ["TARGET", "STATE", "RUNS", "SINCE", "WHY"];

/// Of which target.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The target: its name or its id; all of them where none is named
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn status(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let client = match options.reach.client(files) {
        Ok(client) => client,
        Err(ended) => return ended,
    };
    super::run_client(ask(&client, options, output))
}

async fn ask(client: &Client, options: &Options, output: Output) -> Result<Ended, Failure> {
    let paint = Paint::of(&io::stdout());
    if let Some(target) = &options.target {
        let answer = client.get(&format!("/api/v1/targets/{}", encoded(target))).await?;
        match output {
            Output::Json => say_json(&answer),
            Output::Text => say(&one(&read(&answer).map_err(Failure::Unreachable)?, paint)),
        }
        return Ok(Ended::Done);
    }
    let items = client.list("/api/v1/targets", MOST_TARGETS).await?;
    match output {
        Output::Json => say_json(&json!({ "items": items })),
        Output::Text => {
            let targets: Vec<Target> = read(&Value::Array(items)).map_err(Failure::Unreachable)?;
            say(&all(&targets, width(), now(), paint));
        }
    }
    Ok(Ended::Done)
}

fn all(targets: &[Target], width: Option<usize>, now: Timestamp, paint: Paint) -> String {
    if targets.is_empty() {
        return "No targets are known.\n".into();
    }
    let rows: Vec<[String; 5]> = targets.iter().map(|it| row(it, width, now)).collect();
    painted(
        HEADS,
        &rows,
        (width, &[0, 3]),
        |row, column| match column {
            0 => Tone::Plain,
            1 => tone(&targets[row].lane),
            _ => Tone::Quiet,
        },
        paint,
    )
}

fn row(target: &Target, width: Option<usize>, now: Timestamp) -> [String; 5] {
    let runs = target.running.as_ref().map_or_else(|| "-".into(), |it| it.in_short(service(&target.id)));
    let since = target.running.as_ref().and_then(|it| it.since.as_deref());
    let since = since.map_or_else(|| "-".into(), |at| when_in(width, now, at));
    [target.name.clone(), state(target), runs, since, waits(target).unwrap_or_else(|| "-".into())]
}

/// What a lane does; where it does nothing, what keeps it from anything.
fn state(Target { lane, refused, .. }: &Target) -> String {
    let state = match refused {
        Some(_) if lane.state == "idle" => "not deployed".into(),
        Some(_) | None => lane.state.replace('_', " "),
    };
    match (&lane.hold, lane.waiting) {
        (Some(hold), 0) => hold.kind.clone(),
        (Some(hold), waiting) => format!("{}, {waiting} waiting", hold.kind),
        (None, 0 | 1) => state,
        (None, waiting) => format!("{state}, {waiting} waiting"),
    }
}

/// Why, and what waits for that, by the id that it is cancelled by.
fn waits(target: &Target) -> Option<String> {
    let next = target.lane.next.as_ref().filter(|_| target.lane.deployment.is_none());
    match (next, why(target)) {
        (Some(next), Some(why)) => Some(format!("{next} waits: {why}")),
        (Some(next), None) => Some(format!("{next} waits")),
        (None, why) => why,
    }
}

fn why(Target { lane, rollout, refused, .. }: &Target) -> Option<String> {
    let of_hold = |hold: &Hold| {
        let by = hold.by.as_deref().map(|by| format!("by {by}"));
        let since = hold.since.as_deref().map(|since| format!("since {}", when(since)));
        [hold.reason.clone(), by, since].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let hold = lane.hold.as_ref().map(of_hold).filter(|told| !told.is_empty());
    let rollout = rollout.as_ref().map(Rollout::told);
    let refused = refused.as_ref().and(lane.why.clone()).filter(|_| lane.state == "idle");
    refused.or(hold).or_else(|| lane.why.clone()).or(rollout).or_else(|| deployments(lane))
}

/// What is under way, and what waits behind it.
fn deployments(lane: &Lane) -> Option<String> {
    let first = lane.deployment.clone()?;
    Some(lane.next.iter().fold(first, |first, next| format!("{first}, then {next}")))
}

fn tone(lane: &Lane) -> Tone {
    match (lane.state.as_str(), &lane.hold) {
        ("idle", None) => Tone::Good,
        ("rolling_back" | "backing_off", None) => Tone::Bad,
        _ => Tone::Busy,
    }
}

/// One target, a line for each thing that is known of it.
fn one(target: &Target, paint: Paint) -> String {
    let mut lines = vec![format!("{} ({})", harmless(&target.name), harmless(&target.id))];
    let mut say = |label: &str, text: String| lines.push(format!("  {label:12}{}", harmless(&text)));
    if let Some(running) = &target.running {
        let since =
            running.since.as_deref().map(|since| format!(", since {}", when(since))).unwrap_or_default();
        let by = running.by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
        say("runs", format!("{}{since}{by}", running.definition));
        for it in &running.images {
            let digest =
                it.digest.as_deref().map(|digest| format!(" ({})", short(digest))).unwrap_or_default();
            say("", format!("{}: {}{digest}", it.container, it.name));
        }
    }
    if let Some(deployment) = &target.lane.deployment {
        say("deployment", deployment.clone());
    }
    if let Some(next) = &target.lane.next {
        say("next", next.clone());
    }
    if let Some(why) = why(target).filter(|why| deployments(&target.lane).as_ref() != Some(why)) {
        say("why", why);
    }
    if let Some(refused) = target.refused.as_ref().filter(|_| target.lane.state != "idle") {
        say("after that", format!("it is not deployed: {refused}"));
    }
    // Nothing says when a pause or a hold ends: what the lane does next by itself is to look whether it has.
    if let Some(until) = target.lane.until.as_ref().filter(|_| target.lane.hold.is_none()) {
        say("until", when(until));
    }
    let state = paint.paint(tone(&target.lane), &harmless(&state(target)));
    lines.insert(1, format!("  {:12}{state}", "state"));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Vec<Target> {
        let target = |name: &str, lane: Value| {
            let digest = format!("sha256:{}", "0a".repeat(32));
            json!({
                "id": format!("111122223333/eu-west-1/shop/shop_{name}"), "name": name, "cluster": "shop", "service": name,
                "running": {
                    "definition": format!("shop_{name}:13"), "since": "2026-11-01T12:00:05.12Z", "by": "d-12ab",
                    "images": [{ "container": "web", "image": format!("h.x/shop_{name}:1.4"), "digest": digest }],
                },
                "lane": lane,
            })
        };
        let lane = |state: &str, waiting: u64| json!({ "state": state, "deployment": null, "waiting": waiting, "until": null, "why": null, "hold": null });
        let mut paused = lane("idle", 2);
        paused["hold"] = json!({ "kind": "paused", "by": "ann", "since": "2026-11-01T12:03:00Z", "reason": "an incident" });
        paused["until"] = json!("2026-11-01T12:08:00Z");
        paused["next"] = json!("d-90aa");
        let mut blocked = lane("blocked", 3);
        blocked["why"] = json!("a rollout that deployer started is in progress");
        let mut watching = lane("watching", 1);
        watching["deployment"] = json!("d-77fe");
        watching["next"] = json!("d-81c0");
        let mut fresh = target("search", lane("idle", 0));
        fresh["running"] = Value::Null;
        fresh["rollout"] = json!({ "id": "ecs-svc/1", "definition": "shop_search:2", "since": "2026-11-01T12:03:00Z", "by": null });
        let all = json!([target("api", watching), target("cart", paused), target("mail", blocked), fresh]);
        serde_json::from_value(all).expect("targets")
    }

    #[test]
    fn all_targets_are_a_table_that_fits() {
        let now = Timestamp::parse("2026-11-03T00:00:00Z").expect("a time");
        insta::assert_snapshot!(all(&targets(), Some(100), now, Paint::never()), @"
        TARGET  STATE               RUNS                SINCE        WHY
        api     watching            1.4 (shop_api:13)   11-01 12:00  d-77fe, then d-81c0
        cart    paused, 2 waiting   1.4 (shop_cart:13)  11-01 12:00  d-90aa waits: an incident, by ann, sin…
        mail    blocked, 3 waiting  1.4 (shop_mail:13)  11-01 12:00  a rollout that deployer started is in …
        search  idle                -                   -            not known whether ours: shop_search:2
        ");
        assert_eq!(all(&[], None, Timestamp::default(), Paint::never()), "No targets are known.\n");
    }

    #[test]
    fn a_target_that_is_not_deployed_says_so_and_why() {
        let mut target = targets().pop().expect("one");
        (target.rollout, target.refused) = (None, Some("switched off".into()));
        target.lane.why = Some("it is not deployed: switched off".into());
        let told = row(&target, None, Timestamp::default());
        assert_eq!([&*told[1], &*told[4]], ["not deployed", "it is not deployed: switched off"]);
        target.lane.state = "watching".into();
        (target.lane.why, target.lane.deployment) = (None, Some("d-77fe".into()));
        assert_eq!(row(&target, None, Timestamp::default())[4], "d-77fe");
        assert!(one(&target, Paint::never()).contains("after that  it is not deployed: switched off\n"));
    }

    #[test]
    fn one_target_is_told_line_by_line() {
        let told: String = targets()[..2].iter().map(|target| one(target, Paint::never())).collect();
        insta::assert_snapshot!(told, @"
        api (111122223333/eu-west-1/shop/shop_api)
          state       watching
          runs        shop_api:13, since 2026-11-01T12:00:05Z, by d-12ab
                      web: h.x/shop_api:1.4 (sha256:0a0a0a0a0a0a)
          deployment  d-77fe
          next        d-81c0
        cart (111122223333/eu-west-1/shop/shop_cart)
          state       paused, 2 waiting
          runs        shop_cart:13, since 2026-11-01T12:00:05Z, by d-12ab
                      web: h.x/shop_cart:1.4 (sha256:0a0a0a0a0a0a)
          next        d-90aa
          why         an incident, by ann, since 2026-11-01T12:03:00Z
        ");
    }
}
