//! `lockkeeper deploy`: asks for a deployment, and follows it.

use std::path::PathBuf;

use clap::ArgGroup;
use serde_json::{Map, Value, json};

use super::{
    Ended, FAILED, Output,
    client::{
        Client, Failure, checkout, encoded,
        follow::{Unfollowed, Waiting, follow},
        reach::Reach,
        read,
        shapes::{Accepted, Deployment},
        summary,
    },
    say, say_json,
};

/// What is to be deployed.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["image", "tag", "definition"]))]
pub(super) struct Options {
    /// The target: its name or its id
    #[arg(value_name = "TARGET")]
    target: String,
    /// This image: [registry/]repository[:tag][@digest]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// This tag of the image that runs
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// This task definition: family, family:revision, or an ARN
    #[arg(long, value_name = "DEFINITION")]
    definition: Option<String>,
    /// New tasks, also of what runs already; what is meant where nothing else is said
    #[arg(long)]
    refresh: bool,
    /// Also what runs already, and what is older than what runs
    #[arg(long)]
    force: bool,
    /// Why; shown to people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn deploy(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let client = match options.reach.client(files) {
        Ok(client) => client,
        Err(ended) => return ended,
    };
    super::run_client(ask(&client, options, output))
}

async fn ask(client: &Client, options: &Options, output: Output) -> Result<Ended, Failure> {
    let answer = client.post("/api/v1/deployments", &body(options, checkout::metadata())).await?;
    let what = format!("deploy {}", options.target);
    finish(client, answer, &what, options.waiting, output).await
}

/// Tells of what was put on the queue, and follows it if that is wanted.
pub(super) async fn finish(
    client: &Client,
    answer: Value,
    what: &str,
    waiting: Waiting,
    output: Output,
) -> Result<Ended, Failure> {
    let accepted: Accepted = read(&answer).map_err(Failure::Unreachable)?;
    let event = &accepted.event_id;
    if !waiting.wait {
        match output {
            Output::Text => say(&format!("{what}: asked for, by event {event}\n")),
            Output::Json => say_json(&answer),
        }
        return Ok(Ended::Done);
    }
    let page = |it: &Deployment| client.page(&format!("/deployments/{}", encoded(&it.id)));
    let followed = match follow(client, &accepted, waiting, output == Output::Text).await {
        Ok(followed) => followed,
        Err(Unfollowed { why, last }) => {
            let seen = last.as_ref().map(|it| (it, page(it)));
            summary::add_unknown(what, &format!("{why:#}"), seen);
            return Err(Failure::Unreachable(why));
        }
    };
    summary::add(what, &followed, &page(&followed.deployment));
    match output {
        Output::Text => say(&format!("{what}: {}\n", followed.in_words())),
        Output::Json => say_json(&followed.answer),
    }
    Ok(if followed.is_well() { Ended::Done } else { Ended::Told(FAILED) })
}

fn body(options: &Options, metadata: Option<Value>) -> Value {
    let Options { target, image, tag, definition, refresh, force, reason, waiting: _, reach: _ } = options;
    let mut body = Map::from_iter([("target".to_owned(), json!(target))]);
    let texts = [("image", image), ("tag", tag), ("definition", definition), ("reason", reason)];
    body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))));
    for (name, flag) in [("refresh", *refresh), ("force", *force)] {
        if flag {
            body.insert(name.into(), json!(true));
        }
    }
    if let Some(metadata) = metadata {
        body.insert("metadata".into(), metadata);
    }
    Value::Object(body)
}
