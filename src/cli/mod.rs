//! The commands, one file each.

#[cfg(feature = "sim")]
mod demo;
mod run;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::settings::{self, Settings, Sources};

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
}

/// How a command ended.
enum Ended {
    /// It did what was asked for.
    Done,
    /// It could not.
    Failed(anyhow::Error),
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
            ExitCode::from(1)
        }
        Ended::Misused(what) => {
            complain(&what);
            ExitCode::from(2)
        }
    }
}

fn dispatch(arguments: Arguments) -> Ended {
    match arguments.command {
        Command::Run => run::run(&arguments.config),
        #[cfg(feature = "sim")]
        Command::Demo(options) => demo::demo(&options),
    }
}

#[expect(clippy::print_stderr, reason = "this is what the terminal is for")]
fn complain(what: &str) {
    eprintln!("lockkeeper: {what}");
}

/// The settings as this process finds them, or everything that is wrong with them.
fn load(files: &[PathBuf]) -> Result<Settings, Ended> {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let folder = PathBuf::from(".");
    let sources = Sources { files: files.to_vec(), environment, folder };
    settings::load(&sources).map_err(|problems| Ended::Misused(problems.to_string()))
}

/// Runs this to its end on a runtime of its own.
fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}
