//! `lockkeeper check`: what the settings say, and whether AWS is as they need it.
//!
//! Each part reads, and has what was read judged by a function of its own, which asks nobody:
//!
//! | module | looks at |
//! |---|---|
//! | `offline` | the settings |
//! | `queues`, `policy` | the two queues, and who may send there |
//! | `rules`, `samples`, `events`, `elsewhere` | which of the events that targets wait for would never reach the queue |
//! | `discovered` | the services that discovery finds, and the roles by which other accounts are reached |
//! | `targets` | services and their definitions |
//! | `things`, `lifecycle`, `pushes` | the images, parameters, secrets and files that they read; how long images stay, and whether pushes can come |
//! | `permissions`, `needs` | what Lockkeeper may do, and must be allowed to |
//! | `own` | the service that runs Lockkeeper |
//! | `survey` | all of it in order |
//!
//! Nothing is changed. The calls to ECS take from the budget of the settings, behind whatever somebody waits for.

mod discovered;
mod elsewhere;
mod events;
mod finding;
mod lifecycle;
mod namesakes;
mod needs;
mod offline;
mod own;
mod permissions;
mod policy;
mod pushes;
mod queues;
mod rewriting;
mod rules;
mod samples;
mod survey;
mod targets;
mod things;

use std::{path::PathBuf, sync::Arc};

use super::{Ended, FAILED, Output, WRONG_SETTINGS, estate::Progress, say, say_json};
use crate::{
    aws::{Connections, Unobserved},
    settings::Settings,
};
use finding::{About, Finding, Level, count};
use offline::Checked;
pub(super) use offline::{OWN, policy};

/// What is to be checked.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Read and check the settings alone: nothing is asked of AWS
    #[arg(long)]
    offline: bool,
    /// Whose permissions are looked at: the ARN of the daemon's task role [default: those of whoever runs this]
    #[arg(long, value_name = "ARN", conflicts_with = "offline")]
    role: Option<String>,
    /// The service that runs Lockkeeper, or its ARN [default: the target that receives from this queue, if there is one]
    #[arg(long, value_name = "CLUSTER/SERVICE", conflicts_with = "offline")]
    own: Option<own::Named>,
}

pub(super) fn check(options: Options, files: &[PathBuf], output: Output) -> Ended {
    let settings = match (super::read_settings(files), output) {
        (Ok(settings), _) => settings,
        (Err(problems), Output::Text) => return Ended::Misused(problems.to_string()),
        (Err(problems), Output::Json) => {
            say_json(&Checked::unsound(&problems));
            return Ended::Told(WRONG_SETTINGS);
        }
    };
    if options.offline {
        match output {
            Output::Text => say(&offline::text(&settings)),
            Output::Json => say_json(&Checked::sound(&settings, None)),
        }
        return Ended::Done;
    }
    match super::in_runtime(online(options, &settings, output)) {
        Ok(findings) => tell(&settings, findings, output),
        Err(error) => Ended::Failed(error),
    }
}

async fn online(options: Options, settings: &Settings, output: Output) -> anyhow::Result<Vec<Finding>> {
    let progress = Progress::new(output == Output::Text);
    let connections = Connections::load(settings.aws.region.clone(), Arc::new(Unobserved)).await?;
    let Options { role, own, offline: _ } = options;
    let found = Box::pin(survey::check(settings, connections, role.as_deref(), own, &progress)).await;
    let warned = settings.warnings.iter();
    let warned =
        warned.map(|it| Finding::warning(About::Settings, format!("{} {}", it.key, it.wrong), &it.mend));
    Ok(warned.chain(found).collect())
}

fn tell(settings: &Settings, findings: Vec<Finding>, output: Output) -> Ended {
    let has_failed = count(&findings, Level::Error) > 0;
    match output {
        Output::Text => say(&finding::text(&findings)),
        Output::Json => say_json(&Checked::sound(settings, Some(findings))),
    }
    if has_failed { Ended::Told(FAILED) } else { Ended::Done }
}
