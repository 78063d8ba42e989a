//! `lockkeeper demo`: the whole system with no AWS account.
//!
//! The daemon is the one that `run` runs, with the real SDK over HTTP; only the AWS behind it is emulated. The story
//! does what developers and AWS would do, tells what the daemon reports, and then counts in the world's own log
//! of calls whether each promise held.

mod rules;
mod stage;
mod story;
mod teller;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{Ended, process, run};
use crate::domain::Report;
use stage::Stage;
use teller::Teller;

const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// End after the story, with 1 unless every promise that it shows held
    #[arg(long)]
    once: bool,
    /// Where the status page is served; a free port is taken where this one is not
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
}

pub(super) fn demo(options: &Options) -> Ended {
    match super::in_runtime(tell(options)) {
        Ok(()) => Ended::Done,
        Err(error) => Ended::Failed(error),
    }
}

async fn tell(options: &Options) -> anyhow::Result<()> {
    let teller = Teller::start();
    let stage = Stage::build().await.context("build the emulated world")?;
    let listener = match TcpListener::bind(options.listen).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0").await.context("open a local port")?,
    };
    let page = listener.local_addr().context("read the local port")?;
    teller.open(&stage, page)?;
    let stop = CancellationToken::new();
    process::stop_on_signals(stop.clone())?;
    let (told, reports) = mpsc::unbounded_channel();
    let way = run::Way::Emulator(stage.endpoint().to_owned(), stage::ACCOUNT);
    let daemon = tokio::spawn(run::serve(stage.settings()?, listener, stop.clone(), Some(told), way));
    let held = perform(&stage, reports, &teller, page, options.once, &stop).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(12), daemon).await.context("stop the daemon")???;
    ensure!(held?, "a promise did not hold");
    Ok(())
}

/// Tells the story, and unless it is for once, goes on telling what happens until somebody stops it.
async fn perform(
    stage: &Stage,
    reports: mpsc::UnboundedReceiver<Report>,
    teller: &Teller,
    page: SocketAddr,
    once: bool,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let mut story = story::Story::new(stage, reports, teller);
    let held = tokio::select! {
        held = story.play() => held?,
        () = stop.cancelled() => return Ok(true),
    };
    if !once {
        teller.stay(stage, page)?;
        tokio::select! {
            () = story.listen() => {}
            () = stop.cancelled() => return Ok(true),
        }
    }
    Ok(held)
}
