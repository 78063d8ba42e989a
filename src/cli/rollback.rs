//! `lockkeeper rollback`: says what going back would mean, and asks for it.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{
    Ended, Output,
    client::{
        Client, Failure, encoded,
        follow::Waiting,
        reach::Reach,
        read,
        shapes::{Image, WayBack, short},
    },
    deploy::finish,
    say, say_json,
    terminal::harmless,
};

/// Where a target is to go back to.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The target: its name or its id
    #[arg(value_name = "TARGET")]
    target: String,
    /// Not to the last definition that was good, but to this revision, tag or digest
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Go on deploying afterwards; otherwise the target is held until `resume`. One that is held already stays so
    #[arg(long)]
    no_hold: bool,
    /// Why; shown to people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Change nothing, and say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask whether to go on, as is done on a terminal
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn rollback(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let client = match options.reach.client(files) {
        Ok(client) => client,
        Err(ended) => return ended,
    };
    super::run_client(ask(&client, options, output))
}

async fn ask(client: &Client, options: &Options, output: Output) -> Result<Ended, Failure> {
    let path = format!("/api/v1/targets/{}/rollback", encoded(&options.target));
    let would = client.post(&path, &body(options, options.to.as_deref(), true)).await?;
    let way: WayBack = read(&would).map_err(Failure::Unreachable)?;
    if output == Output::Text {
        say(&in_words(&way));
    } else if options.dry_run {
        say_json(&would);
    }
    if options.dry_run {
        return Ok(Ended::Done);
    }
    if !options.yes && output == Output::Text && !is_meant() {
        return Ok(Ended::Misused("nothing was changed".into()));
    }
    // What was said is done, whatever has become the last good one since; but for a digest, the revision says it all.
    let to = if way.images.is_empty() { Some(way.to.as_str()) } else { options.to.as_deref() };
    let answer = client.post(&path, &body(options, to, false)).await?;
    let what = format!("rollback of {}", options.target);
    finish(client, answer, &what, options.waiting, output).await
}

fn body(options: &Options, to: Option<&str>, dry_run: bool) -> Value {
    json!({ "to": to, "hold": !options.no_hold, "dry_run": dry_run, "reason": options.reason })
}

fn in_words(way: &WayBack) -> String {
    let WayBack { from, from_images, to, to_images, images, follow, hold, hold_now, .. } = way;
    let [from, to] = [(from, from_images), (to, to_images)].map(|(id, images)| with_images(id, images));
    let mut lines =
        vec![format!("{} goes back", way.called()), format!("  from {from}"), format!("  to   {to}")];
    lines.extend(images.iter().map(|(container, digest)| format!("  {container} runs {}", short(digest))));
    lines.extend(follow.iter().map(|(container, tag)| format!("  {container} goes on following {tag}")));
    lines.push(
        match (hold_now.as_ref().map(|it| it.kind.as_str()), hold) {
            (Some("paused"), true) => {
                "  it is paused: it goes back once it is resumed, and is held then, until it is resumed once more"
            }
            (Some("paused"), false) => "  it is paused: it goes back once it is resumed",
            (Some("held"), _) => "  it is held already, and stays so until it is resumed: other content waits, new tasks do not",
            (_, true) => "  it is held afterwards, until it is resumed: other content waits, new tasks do not",
            (_, false) => "  what is asked for afterwards is deployed",
        }
        .into(),
    );
    lines.iter().map(|line| harmless(line) + "\n").collect()
}

/// A definition with the tag and the digest of each of its images.
fn with_images(definition: &str, images: &[Image]) -> String {
    let images: Vec<String> = images.iter().filter_map(Image::tag_and_digest).collect();
    if images.is_empty() { definition.to_owned() } else { format!("{definition} ({})", images.join("; ")) }
}

/// Asks whoever sits at the terminal; a script means what it says.
fn is_meant() -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return true;
    }
    let _ = write!(io::stderr(), "Go back? [y/N] ");
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_going_back_means_is_said_before() {
        let way = json!({
            "event_id": null, "dry_run": true, "target": "1/eu-west-1/shop/shop_api", "from": "shop_api:7", "to": "shop_api:6",
            "from_images": [
                { "container": "web", "image": "h.x/shop_api:latest", "digest": format!("sha256:{}", "1b".repeat(32)) },
                { "container": "log", "image": "h.x/log:2", "digest": null },
            ],
            "to_images": [{ "container": "web", "image": "h.x/shop_api:latest", "digest": format!("sha256:{}", "0a".repeat(32)) }],
            "images": { "web": format!("sha256:{}", "0a".repeat(32)) }, "follow": { "web": "latest" }, "hold": true,
        });
        let says = |hold: bool, kind: Option<&str>| {
            let mut way = way.clone();
            way["hold"] = json!(hold);
            way["hold_now"] =
                json!(kind.map(|kind| json!({ "kind": kind, "by": "ann", "since": null, "reason": null })));
            let told = in_words(&serde_json::from_value(way).expect("a way back"));
            told.lines().last().expect("a line").trim().to_owned()
        };
        assert_eq!(says(false, None), "what is asked for afterwards is deployed");
        assert!(says(true, Some("held")).starts_with("it is held already, and stays so until it is resumed"));
        assert_eq!(says(false, Some("paused")), "it is paused: it goes back once it is resumed");
        assert!(says(true, Some("paused")).ends_with("and is held then, until it is resumed once more"));
        let way: WayBack = serde_json::from_value(way).expect("a way back");
        insta::assert_snapshot!(in_words(&way), @"
        shop_api goes back
          from shop_api:7 (latest, sha256:1b1b1b1b1b1b; 2)
          to   shop_api:6 (latest, sha256:0a0a0a0a0a0a)
          web runs sha256:0a0a0a0a0a0a
          web goes on following latest
          it is held afterwards, until it is resumed: other content waits, new tasks do not
        ");
    }
}
