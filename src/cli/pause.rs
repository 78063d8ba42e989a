//! `lockkeeper pause` and `lockkeeper resume`: a target is left alone, or all are, and deployed again.

use std::path::PathBuf;

use clap::ArgGroup;
use serde_json::{Value, json};

use super::{
    Ended, Output,
    client::{Client, Failure, encoded, reach::Reach},
    say, say_json,
    terminal::harmless,
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
        Output::Text => {
            let target = options.target.as_deref().unwrap_or("every target");
            say(&format!("{target} is {what}\n{}", of_reason(&answer)));
        }
        Output::Json => say_json(&answer),
    }
    Ok(Ended::Done)
}

/// What is kept of the reason, where that is not all of it.
fn of_reason(answer: &Value) -> String {
    match answer["kept_reason"].as_str() {
        None => String::new(),
        Some("") => "its tag keeps nothing of the reason: no sign of it may stand there\n".into(),
        Some(kept) => format!("its tag keeps of the reason: {}\n", harmless(kept)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tag_cannot_keep_of_a_reason_is_said() {
        assert_eq!(of_reason(&json!({ "event_id": "e-1" })), "");
        let told = of_reason(&json!({ "kept_reason": "it s broken" }));
        assert_eq!(told, "its tag keeps of the reason: it s broken\n");
        assert!(of_reason(&json!({ "kept_reason": "" })).contains("nothing"));
    }
}
