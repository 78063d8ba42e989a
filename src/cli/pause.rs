//! `lockkeeper pause` and `lockkeeper resume`: a target is left alone, or all are, and deployed again.

use std::path::PathBuf;

use clap::ArgGroup;
use serde_json::json;

use super::{
    Ended, Output,
    client::{Client, Failure, encoded, reach::Reach},
    say, say_json,
};

/// Which targets.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").args(["target", "all"]).required(true))]
pub(super) struct Options {
    /// The target: its name or its id
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Every target
    #[arg(long)]
    all: bool,
    /// Why; shown to people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// What is to become of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Pause,
    Resume,
}

pub(super) fn pause_or_resume(way: Way, options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let client = match options.reach.client(files) {
        Ok(client) => client,
        Err(ended) => return ended,
    };
    super::run_client(ask(&client, way, options, output))
}

async fn ask(client: &Client, way: Way, options: &Options, output: Output) -> Result<Ended, Failure> {
    let (verb, what) = match way {
        Way::Pause => ("pause", "to be left alone until it is resumed"),
        Way::Resume => ("resume", "to be deployed again"),
    };
    let path = match &options.target {
        Some(target) => format!("/api/v1/targets/{}/{verb}", encoded(target)),
        None => format!("/api/v1/{verb}"),
    };
    let answer = client.post(&path, &json!({ "reason": options.reason })).await?;
    match output {
        Output::Text => say(&format!("{} is {what}\n", options.target.as_deref().unwrap_or("every target"))),
        Output::Json => say_json(&answer),
    }
    Ok(Ended::Done)
}
