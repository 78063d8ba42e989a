//! `lockkeeper replay`: letters are put back into the queue of events, one by one.
//!
//! A letter is sent first and deleted after, so whoever dies between the two leaves it in both queues, and the daemon
//! settles the second one by what the first has brought about. While a letter is under way it is hidden, and just
//! before it is sent its hold is extended: who has lost it to another replay leaves it to that one. The first
//! signal ends the command behind the letter that is being sent; what is left is given back.

mod post;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use clap::ArgGroup;
use serde::Serialize;

use super::{
    Ended, FAILED, Output,
    client::{self, reach::Reach},
    complain,
    letters::{
        Office,
        desk::{Bounds, End, Found, Swept},
        hidden_in_words,
        outlook::Follows,
        pick::Filter,
        shown::Shown,
        unseen_in_words,
    },
    say, say_json,
    terminal::{counted, harmless},
};
use crate::{domain::Verdict, settings::Settings};
use post::{Post, receipts_of};

/// What one round gathers at most: what is hidden must be held, and bodies are kept in memory.
const ROUND: Bounds = Bounds { letters: 10_000, bytes: Some(64 << 20) };

/// Slower, and a letter would be held for too long.
const SLOWEST_PER_SECOND: f64 = 0.1;
const FASTEST_PER_SECOND: f64 = 1_000.0;

/// What is to be put back, and how.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").args(["id", "target", "since", "outcome", "cause", "all"]).required(true).multiple(true))]
pub(super) struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Every letter
    #[arg(long, conflicts_with_all = ["id", "target", "since", "outcome", "cause"])]
    all: bool,
    /// As something new, which may overwrite what was asked for since
    #[arg(long)]
    force: bool,
    /// Change nothing, and say what each letter would lead to
    #[arg(long)]
    dry_run: bool,
    /// No faster than this: `10/s`, `30/m`
    #[arg(long, value_name = "RATE", default_value = "10/s", value_parser = rate)]
    rate: f64,
    /// Look although the dead-letter queue has a redrive policy of its own, which counts each look as a receive
    #[arg(long)]
    despite_redrive: bool,
    #[command(flatten)]
    reach: Reach,
}

/// How letters are put back.
#[derive(Clone, Debug)]
pub(super) struct How {
    /// As something new.
    pub(super) force: bool,
    /// Not at all, but it is said what each would lead to.
    pub(super) dry_run: bool,
    /// No more than so many a second.
    pub(super) rate: f64,
    /// By whom, where that is known: whoever has credentials of AWS is not asked for a name.
    pub(super) by: Option<Arc<str>>,
}

/// The answer; `docs/commands.md` gives its shape.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    dry_run: bool,
    pub(super) selected: usize,
    pub(super) replayed: usize,
    letters: Vec<Replayed>,
    /// Ids that were given and that no letter has.
    pub(super) missing: Vec<String>,
    interrupted: bool,
    /// How many messages somebody else held, so that they could not be seen.
    unseen: u64,
}

/// One letter, and what became of it.
#[derive(Debug, Serialize)]
struct Replayed {
    #[serde(flatten)]
    letter: Shown,
    fate: Fate,
    /// Why, where it was not simply put back.
    why: Option<String>,
    /// What it leads to, as far as is known here.
    would: Follows,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    /// It was put back.
    Replayed,
    /// It was put back, and is still in the dead-letter queue.
    Kept,
    /// It would be put back.
    WouldReplay,
    /// It is left: nobody understands it, or it belongs to another queue.
    Left,
    /// It was not put back: somebody else has it now.
    Taken,
    /// It could not be put back.
    Failed,
    /// The command was interrupted before.
    Interrupted,
}

pub(super) fn replay(options: Options, files: &[PathBuf], output: Output) -> Ended {
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
    let dry_run = options.dry_run;
    match super::in_runtime(put_back(options, settings, output)) {
        Err(error) => Ended::Failed(error),
        Ok(answer) => {
            match output {
                Output::Text => say(&answer.text(dry_run)),
                Output::Json => say_json(&answer),
            }
            if answer.is_done() { Ended::Done } else { Ended::Told(FAILED) }
        }
    }
}

fn by_daemon(options: &Options, files: &[PathBuf], output: Output) -> Ended {
    let Options { filter, all, force, dry_run, .. } = options;
    match options.reach.client(files) {
        Ok(client) => {
            super::run_client(client::letters::replay(&client, filter, *all, [*force, *dry_run], output))
        }
        Err(ended) => ended,
    }
}

async fn put_back(options: Options, settings: Settings, output: Output) -> anyhow::Result<Answer> {
    let Options { filter, all: _, force, dry_run, rate, despite_redrive, reach: _ } = options;
    let office = Office::open(settings, filter, despite_redrive).await?;
    let answer = from(&office, How { force, dry_run, rate, by: None }, output).await?;
    if answer.letters.is_empty() && !answer.interrupted {
        office.require_target()?;
    }
    Ok(answer)
}

/// Puts back what is picked in this office.
pub(super) async fn from(office: &Office, how: How, output: Output) -> anyhow::Result<Answer> {
    let mut answer = Answer { dry_run: how.dry_run, unseen: office.unseen(), ..Answer::default() };
    let mut post = Post::new(office, how, output == Output::Text);
    let (mut known, mut named) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let wanted = |letter: &super::letters::letter::Letter| {
            !known.contains(&letter.key()) && office.pick.takes(letter, &office.outlook)
        };
        let mut swept = office.desk.sweep(wanted, ROUND, &office.stop).await;
        let left_over = swept.others();
        let hidden = office.desk.give_back(left_over).await;
        if let Some(hidden) = hidden_in_words(hidden) {
            complain(&hidden);
        }
        known.extend(swept.found.keys().cloned());
        named.extend(swept.found.values().flat_map(names));
        let end = std::mem::take(&mut swept.end);
        if let End::Failed(error) = end {
            office.desk.give_back(swept.all()).await;
            return Err(error.into());
        }
        answer.round(office, swept, &mut post, output).await;
        if office.stop.is_cancelled() || !matches!(end, End::Bounded) {
            break;
        }
    }
    answer.interrupted = office.stop.is_cancelled();
    let missing = office.pick.ids().iter().filter(|id| !answer.interrupted && !named.contains(*id));
    answer.missing = missing.cloned().collect();
    Ok(answer)
}

/// By what a letter can be named.
fn names(found: &Found) -> impl Iterator<Item = String> {
    let copies = found.copies.iter().map(ToString::to_string);
    copies.chain([found.letter.id.clone()])
}

impl Answer {
    /// Puts back what was found, and gives back the rest.
    async fn round(&mut self, office: &Office, mut swept: Swept, post: &mut Post<'_>, output: Output) {
        let is_named = |found: &Found| office.pick.names(&found.letter);
        let found = std::mem::take(&mut swept.found).into_values();
        let (mut found, left): (Vec<Found>, Vec<Found>) =
            found.partition(|found| is_named(found) || found.letter.is_left(&office.desk.arn).is_none());
        found.sort_by_key(|found| found.letter.version);
        self.selected += found.len();
        if output == Output::Text {
            let of = format!("of {}", counted(found.len() + left.len(), "letter"));
            say(&format!("{} {of} selected.\n", found.len()));
        }
        for found in &left {
            let why = found.letter.is_left(&office.desk.arn);
            self.add(office, found, Fate::Left, why, post.force());
        }
        let left = receipts_of(&left, &swept.receipts);
        office.desk.give_back(left).await;
        if self.dry_run {
            office.desk.give_back(receipts_of(&found, &swept.receipts)).await;
            for found in &found {
                self.add(office, found, Fate::WouldReplay, None, post.force());
            }
        } else {
            for (found, fate, why) in post.deliver(found, swept.receipts).await {
                self.add(office, &found, fate, why, post.force());
            }
        }
    }

    fn add(&mut self, office: &Office, found: &Found, fate: Fate, why: Option<String>, force: bool) {
        let would = office.outlook.follows(&found.letter, force);
        self.replayed += usize::from(matches!(fate, Fate::Replayed | Fate::Kept));
        let letter = Shown::with(found, &office.outlook, &would);
        self.letters.push(Replayed { letter, fate, why, would });
    }

    /// Which would be put back: in a dry run.
    pub(super) fn would_replay(&self) -> Vec<String> {
        let would = self.letters.iter().filter(|it| it.fate == Fate::WouldReplay);
        would.map(|it| it.letter.record.id.clone()).collect()
    }

    /// Of those that were put back, or would be, the ones from which nothing follows, and why.
    pub(super) fn without_effect(&self) -> Vec<(String, String)> {
        let why = |it: &Replayed| Some((it.letter.record.id.clone(), it.in_vain()?));
        self.letters.iter().filter_map(why).collect()
    }

    /// Those that were not put back, and why.
    pub(super) fn not_put_back(self) -> Vec<(String, String)> {
        let is_left = |it: &Replayed| !matches!(it.fate, Fate::Replayed | Fate::WouldReplay);
        let why = |it: Replayed| (it.letter.record.id, it.why.unwrap_or_else(|| it.fate.in_words().into()));
        self.letters.into_iter().filter(is_left).map(why).collect()
    }

    /// Whether all that was asked for was done.
    fn is_done(&self) -> bool {
        let is_done = |it: &Replayed| match it.fate {
            Fate::Replayed | Fate::WouldReplay | Fate::Left => true,
            Fate::Kept | Fate::Taken | Fate::Failed | Fate::Interrupted => false,
        };
        self.missing.is_empty() && !self.interrupted && self.letters.iter().all(is_done)
    }

    fn text(&self, dry_run: bool) -> String {
        let mut lines: Vec<String> = Vec::new();
        for it in &self.letters {
            let why = it.why.clone().or_else(|| it.in_vain());
            if dry_run {
                lines.extend(it.foreseen());
            } else if let Some(why) = why {
                lines.push(format!("{}: {}: {why}", it.letter.record.id, it.fate.in_words()));
            }
        }
        lines.extend(self.missing.iter().map(|id| format!("{id}: no letter has this id")));
        if self.letters.iter().any(|it| it.fate == Fate::Left) {
            lines.push("What is left is put back only where --id names it.".into());
        }
        let put_back = if dry_run { "would be put back" } else { "put back" };
        let count = if dry_run { self.selected } else { self.replayed };
        let interrupted = if self.interrupted { "; interrupted, and the rest was given back" } else { "" };
        lines.push(format!("{} {put_back}{interrupted}.", counted(count, "letter")));
        lines.extend(unseen_in_words(self.unseen).map(|unseen| unseen + "."));
        lines.iter().map(|line| harmless(line) + "\n").collect()
    }
}

impl Replayed {
    /// What it would lead to.
    fn foreseen(&self) -> Vec<String> {
        let record = &self.letter.record;
        let meaning = record.event.meaning.as_deref().unwrap_or(record.event.trigger.as_str());
        let mut lines = vec![format!("{}  {}: {meaning}", record.id, self.letter.target_in_words())];
        for reached in &self.would.targets {
            lines.push(format!("    {} because {}", reached.name, reached.because));
            lines.push(format!("    would {}", reached.would));
        }
        if self.would.targets.is_empty() {
            lines.push(format!("    {}", self.would.in_words()));
        }
        lines
    }

    /// Why nothing follows from it, although it is put back.
    fn in_vain(&self) -> Option<String> {
        let is_put_back = matches!(self.fate, Fate::Replayed | Fate::Kept | Fate::WouldReplay);
        let is_in_vain = match self.would.result {
            Verdict::Asks | Verdict::NotKnown => false,
            Verdict::AsksNothing | Verdict::Refused | Verdict::ComesBack => true,
        };
        (is_put_back && is_in_vain).then(|| self.would.in_words())
    }
}

impl Fate {
    fn in_words(self) -> &'static str {
        match self {
            Self::Replayed => "put back",
            Self::Kept => "put back, and still in the dead-letter queue",
            Self::WouldReplay => "would be put back",
            Self::Left => "left",
            Self::Taken | Self::Failed => "not put back",
            Self::Interrupted => "not put back, because of the interruption",
        }
    }
}

/// So many letters a second.
fn rate(text: &str) -> Result<f64, String> {
    let (number, seconds) = match text.split_once('/') {
        None | Some((_, "s")) => (text.trim_end_matches("/s"), 1.0),
        Some((number, "m")) => (number, 60.0),
        Some(_) => ("", 1.0),
    };
    let rate = number.parse::<f64>().map(|number| number / seconds).ok();
    rate.filter(|rate| (SLOWEST_PER_SECOND..=FASTEST_PER_SECOND).contains(rate))
        .ok_or_else(|| "write how many a second or minute, as 10/s or 30/m, from 6/m to 1000/s".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_so_many_a_second_or_minute() {
        for (text, per_second) in [("10", 10.0), ("10/s", 10.0), ("30/m", 0.5), ("2.5/s", 2.5)] {
            assert_eq!(rate(text), Ok(per_second), "{text}");
        }
        for text in ["", "0", "-1", "1/h", "fast", "NaN", "inf", "5/m", "1001/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
