//! `lockkeeper cancel`: gives up a deployment that waits or is under way.

use std::path::PathBuf;

use serde_json::json;

use super::{
    Ended, Output,
    client::{Client, Failure, encoded, reach::Reach},
    say, say_json,
};

/// Which deployment.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The deployment's id, as `status` and `history` show it
    #[arg(value_name = "ID")]
    id: String,
    /// Why; shown to people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn cancel(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let client = match options.reach.client(files) {
        Ok(client) => client,
        Err(ended) => return ended,
    };
    super::run_client(ask(&client, options, output))
}

async fn ask(client: &Client, options: &Options, output: Output) -> Result<Ended, Failure> {
    let path = format!("/api/v1/deployments/{}/cancel", encoded(&options.id));
    let answer = client.post(&path, &json!({ "reason": options.reason })).await?;
    match output {
        Output::Text => say(&format!("{} is to be given up\n", options.id)),
        Output::Json => say_json(&answer),
    }
    Ok(Ended::Done)
}
