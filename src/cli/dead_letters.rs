//! `lockkeeper dead-letters`: what is set aside, and why. Nothing is taken from the queue.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    Ended, Output,
    client::{self, reach::Reach},
    complain,
    letters::{
        Office,
        desk::{Bounds, End},
        hidden_in_words,
        pick::Filter,
        shown::{Shown, listed},
        unseen_in_words,
    },
    process::now,
    say, say_json,
    terminal::{counted, width},
};
use crate::settings::Settings;

/// What is to be listed.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    filter: Filter,
    /// List so many at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Look although the dead-letter queue has a redrive policy of its own, which counts each look as a receive
    #[arg(long)]
    despite_redrive: bool,
    #[command(flatten)]
    reach: Reach,
}

/// The answer; `docs/commands.md` gives its shape.
#[derive(Serialize)]
struct Listing {
    queue: String,
    letters: Vec<Shown>,
    /// Whether all that could be seen was.
    whole: bool,
    /// How many messages somebody else held, so that they could not be seen.
    unseen: u64,
}

pub(super) fn dead_letters(options: Options, files: &[PathBuf], output: Output) -> Ended {
    if options.reach.names_a_daemon() {
        return by_daemon(&options, files, output);
    }
    let settings = match super::load(files) {
        Ok(settings) => settings,
        Err(ended) => return ended,
    };
    if let Err(problems) = settings.require_queue() {
        let is_led = settings.client.url.is_some();
        return if is_led {
            by_daemon(&options, files, output)
        } else {
            Ended::Misused(problems.to_string())
        };
    }
    match super::in_runtime(list(options, settings, output)) {
        Ok(()) => Ended::Done,
        Err(error) => Ended::Failed(error),
    }
}

fn by_daemon(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    match options.reach.client(files) {
        Ok(client) => {
            super::run_client(client::letters::list(&client, &options.filter, options.limit, output))
        }
        Err(ended) => ended,
    }
}

async fn list(options: Options, settings: Settings, output: Output) -> anyhow::Result<()> {
    let Options { filter, limit, despite_redrive, reach: _ } = options;
    let office = Office::open(settings, filter, despite_redrive).await?;
    let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let bounds = Bounds { letters: most, bytes: None };
    let (swept, hidden) = office.look(bounds).await;
    if let Some(hidden) = hidden_in_words(hidden) {
        complain(&hidden);
    }
    let mut letters: Vec<Shown> =
        swept.found.values().map(|found| Shown::new(found, &office.outlook, false)).collect();
    letters.sort_by(|one, other| one.place().cmp(&other.place()));
    letters.truncate(most);
    let whole = match swept.end {
        End::Whole => true,
        End::Bounded => false,
        End::Stopped => anyhow::bail!("interrupted; all that was seen was given back"),
        End::Failed(error) => return Err(error.into()),
    };
    if letters.is_empty() {
        office.require_target()?;
    }
    let queue = office.desk.letters.url().to_owned();
    let listing = Listing { queue, letters, whole, unseen: office.unseen() };
    match output {
        Output::Text => say(&text(&listing, width())),
        Output::Json => say_json(&listing),
    }
    Ok(())
}

fn text(Listing { letters, whole, unseen, .. }: &Listing, width: Option<usize>) -> String {
    let mut text = String::new();
    if !letters.is_empty() {
        text += &listed(letters.iter().map(Shown::row).collect(), width, now());
    }
    let more = if *whole { "" } else { ", and there may be more" };
    let count = counted(letters.len(), "letter") + more;
    let lines = [Some(count), unseen_in_words(*unseen)].into_iter().flatten();
    text.extend(lines.map(|line| line + ".\n"));
    text
}
