//! The commands, one file each.

mod cancel;
mod check;
mod client;
mod dead_letters;
#[cfg(feature = "sim")]
mod demo;
mod deploy;
mod desk;
mod estate;
mod explain;
mod health;
mod history;
mod letters;
mod pause;
mod process;
mod replay;
mod rollback;
mod run;
mod shell;
mod status;
mod terminal;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::settings::{self, Problems, Settings, Sources};

/// What was asked for could not be had.
const FAILED: u8 = 1;
/// The command was used wrongly, or the settings are wrong; clap uses the same.
const WRONG_SETTINGS: u8 = 2;

/// Drives deployments to Amazon ECS from events on a queue.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 what was asked for failed, 2 wrong usage or settings."
)]
struct Arguments {
    /// Settings to read beside the built-in ones; repeatable, the later wins
    #[arg(long, value_name = "FILE", global = true)]
    config: Vec<PathBuf>,
    /// How to write what a command tells [default: text]
    #[arg(long, value_name = "FORM", global = true)]
    output: Option<Output>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon: receives events, and drives what they ask for to its true end
    #[command(
        after_help = "Example:\n  LOCKKEEPER__QUEUE__URL=https://sqs.eu-west-1.amazonaws.com/111122223333/lockkeeper lockkeeper run"
    )]
    Run,
    /// The whole system with no AWS account: an emulated world, and a story told on the terminal
    #[cfg(feature = "sim")]
    #[command(after_help = "Example:\n  lockkeeper demo --once")]
    Demo(demo::Options),
    /// Says what an event means, which targets it reaches and why, and what would happen; nothing is done
    #[command(
        after_help = "Exit codes: 0 understood, also if nothing follows; 1 malformed; 2 wrong usage or settings.\n\n\
        Examples:\n  lockkeeper explain event.json\n  \
        aws sqs receive-message --queue-url \"$DEAD_LETTERS\" --attribute-names All --message-attribute-names All | lockkeeper explain -"
    )]
    Explain(explain::Options),
    /// Says what is wrong with the settings and, unless it is told not to ask, with what they need in AWS; nothing is changed
    #[command(
        after_help = "Exit codes: 0 sound, also with warnings; 1 something is wrong in AWS; 2 wrong usage or settings.\n\n\
        Examples:\n  lockkeeper check --config config/prod.toml --role arn:aws:iam::111122223333:role/lockkeeper-task\n  \
        lockkeeper check --offline --config config/prod.toml"
    )]
    Check(check::Options),
    /// Asks a daemon for a deployment, and follows it to its outcome
    #[command(
        after_help = "Exit codes: 0 asked for, or with --wait: it succeeded, or something newer took its place; 1 it failed, was \
        cancelled, or nobody answers; 2 wrong usage, token or settings.\n\n\
        Examples:\n  lockkeeper deploy api --tag 1.5 --reason 'the fix for the leak' --wait\n  lockkeeper deploy api"
    )]
    Deploy(deploy::Options),
    /// Takes a target back to what ran before, and holds it there until `resume`
    #[command(
        after_help = "Exit codes: 0 asked for, or with --wait: it is back; 1 it is not, or there is nothing to go back to; 2 wrong \
        usage, token or settings, or somebody said no.\n\n\
        Examples:\n  lockkeeper rollback api --wait\n  lockkeeper rollback api --to shop_api:12 --no-hold --yes"
    )]
    Rollback(rollback::Options),
    /// Gives up a deployment that waits or is under way
    #[command(
        after_help = "Exit codes: 0 asked for; 1 it has ended, goes back already, or there is none; 2 wrong usage, token or settings.\n\n\
        Example:\n  lockkeeper cancel d-77fe3a01c2b4 --reason 'the wrong tag'"
    )]
    Cancel(cancel::Options),
    /// Leaves a target alone, or all of them, until `resume`
    #[command(
        after_help = "Exit codes: 0 asked for; 1 there is no such target, or nobody answers; 2 wrong usage, token or settings.\n\n\
        Examples:\n  lockkeeper pause api --reason 'an incident'\n  lockkeeper pause --all"
    )]
    Pause(pause::Options),
    /// Deploys a target again, or all of them, that was paused or is held after a rollback
    #[command(
        after_help = "Exit codes: 0 asked for; 1 there is no such target, or nobody answers; 2 wrong usage, token or settings.\n\n\
        Examples:\n  lockkeeper resume api\n  lockkeeper resume --all"
    )]
    Resume(pause::Options),
    /// Shows what runs, and what is done about it
    #[command(
        after_help = "Exit codes: 0 shown; 1 there is no such target, or nobody answers; 2 wrong usage, token or settings.\n\n\
        Examples:\n  lockkeeper status\n  lockkeeper status api --output json"
    )]
    Status(status::Options),
    /// Shows the deployments that are under way, and those that ended lately
    #[command(after_help = "Exit codes: 0 shown; 1 nobody answers; 2 wrong usage, token or settings.\n\n\
        Examples:\n  lockkeeper history api --since 3d\n  lockkeeper history --outcome failed --output json")]
    History(history::Options),
    /// Lists what is set aside and why; nothing is taken from the dead-letter queue
    #[command(
        after_help = "Exit codes: 0 listed; 1 a queue could not be read, no letter is for a target that is not known, or interrupted; 2 \
        wrong usage or settings.\n\n\
        Examples:\n  lockkeeper dead-letters --target api --since 2h\n  \
        lockkeeper dead-letters --cause image_pull --output json"
    )]
    DeadLetters(dead_letters::Options),
    /// Puts back what was set aside: it is tried again, and never overwrites something newer unless it is forced
    #[command(
        after_help = "Exit codes: 0 all that was selected is put back, or nothing was; 1 something is not, an id names no \
        letter, or no letter is for a target that is not known; 2 wrong usage or settings.\n\n\
        Examples:\n  lockkeeper replay --target api --dry-run\n  lockkeeper replay --id 9f86d081884c7d65\n  \
        lockkeeper replay --since 2h --rate 1/s"
    )]
    Replay(replay::Options),
    /// Asks the daemon on this machine whether it is healthy: for the health check of a container
    #[command(
        after_help = "Exit codes: 0 healthy, 1 not healthy or no answer within 3 s, 2 wrong usage or settings.\n\n\
        Example, in a Dockerfile:\n  HEALTHCHECK CMD [\"/lockkeeper\", \"health\"]"
    )]
    Health,
    /// Writes what a shell needs to complete the words of these commands
    #[command(after_help = "Example:\n  lockkeeper completions bash > /etc/bash_completion.d/lockkeeper")]
    Completions(shell::Options),
    /// Writes the manual page
    #[command(after_help = "Example:\n  lockkeeper man > /usr/local/share/man/man1/lockkeeper.1")]
    Man,
}

/// How a command writes what it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Lines for people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// How a command ended.
enum Ended {
    /// It did what was asked for.
    Done,
    /// It could not.
    Failed(anyhow::Error),
    /// It has told everything already, and ends with this code.
    Told(u8),
    /// It was used wrongly, or the settings are wrong.
    Misused(String),
}

/// Reads the arguments of this process, and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ended::Done => ExitCode::SUCCESS,
        Ended::Failed(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(FAILED)
        }
        Ended::Told(code) => ExitCode::from(code),
        Ended::Misused(what) => {
            complain(&what);
            ExitCode::from(WRONG_SETTINGS)
        }
    }
}

fn dispatch(Arguments { config, output, command }: Arguments) -> Ended {
    let form = output.unwrap_or_default();
    match command {
        Command::Run if output.is_some() => no_data("run", "`log.format` chooses the form of its log"),
        Command::Run => run::run(&config),
        #[cfg(feature = "sim")]
        Command::Demo(_) if !config.is_empty() => {
            Ended::Misused("`demo` does not take --config: its story has settings of its own".into())
        }
        #[cfg(feature = "sim")]
        Command::Demo(_) if output.is_some() => no_data("demo", "its HTTP API has JSON"),
        #[cfg(feature = "sim")]
        Command::Demo(options) => demo::demo(&options),
        Command::Explain(options) => explain::explain(&options, &config, form),
        Command::Check(options) => check::check(options, &config, form),
        Command::Deploy(options) => deploy::deploy(&options, &config, form),
        Command::Rollback(options) => rollback::rollback(&options, &config, form),
        Command::Cancel(options) => cancel::cancel(&options, &config, form),
        Command::Pause(options) => pause::pause_or_resume(pause::Way::Pause, &options, &config, form),
        Command::Resume(options) => pause::pause_or_resume(pause::Way::Resume, &options, &config, form),
        Command::Status(options) => status::status(&options, &config, form),
        Command::History(options) => history::history(&options, &config, form),
        Command::Completions(_) if output.is_some() => no_data("completions", "it writes a script"),
        Command::Completions(options) => shell::completions(options),
        Command::Man if output.is_some() => no_data("man", "it writes a page"),
        Command::Man => shell::man(),
        Command::DeadLetters(options) => dead_letters::dead_letters(options, &config, form),
        Command::Replay(options) => replay::replay(options, &config, form),
        Command::Health => health::health(&config, form),
    }
}

fn no_data(command: &str, instead: &str) -> Ended {
    Ended::Misused(format!("`{command}` does not take --output: {instead}"))
}

/// Writes to standard output. Whoever stopped reading is not interested in the rest.
fn say(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn say_json(data: &impl Serialize) {
    let text = serde_json::to_string_pretty(data).expect("the answers have text keys only");
    say(&(text + "\n"));
}

#[expect(clippy::print_stderr, reason = "this is what the terminal is for")]
fn complain(what: &str) {
    eprintln!("lockkeeper: {what}");
}

/// The settings as this process finds them, or everything that is wrong with them.
fn load(files: &[PathBuf]) -> Result<Settings, Ended> {
    read_settings(files).map_err(|problems| Ended::Misused(problems.to_string()))
}

fn read_settings(files: &[PathBuf]) -> Result<Settings, Problems> {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let folder = PathBuf::from(".");
    let sources = Sources { files: files.to_vec(), environment, folder };
    settings::load(&sources)
}

/// Runs what asks a daemon.
fn run_client(work: impl Future<Output = Result<Ended, client::Failure>>) -> Ended {
    match in_runtime(async { Ok(work.await) }) {
        Ok(Ok(ended)) => ended,
        Ok(Err(failure)) => failure.ended(),
        Err(error) => Ended::Failed(error),
    }
}

/// Runs this to its end on a runtime of its own.
fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}
