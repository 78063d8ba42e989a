//! Serves a simulated AWS until it is told to stop.
//!
//! `cargo run --features sim --example world -- --listen 127.0.0.1:4566 --speed 2`

use std::{io::Write as _, net::SocketAddr};

use anyhow::Context as _;
use clap::Parser;
use lockkeeper::sim::{
    EcsDials, World, WorldSettings,
    front::{Front, FrontSettings},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// A simulated AWS: queues, event buses, images, parameters, secrets, objects, roles and ECS.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// The seed of everything that happens by chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many times faster ECS is than the dials say.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// The account of callers whose access key is not an account.
    #[arg(long, default_value = lockkeeper::sim::DEFAULT_ACCOUNT)]
    account: String,
    /// Take `aws.*` sources from `PutEvents`, which AWS refuses.
    #[arg(long)]
    allow_aws_sources: bool,
    /// Do not throttle ECS.
    #[arg(long)]
    no_throttle: bool,
    /// Probability that a message is delivered twice.
    #[arg(long, default_value_t = 0.0)]
    duplicates: f64,
    /// Probability that a message is delivered out of order.
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// Probability that an event of ECR, SSM or CloudTrail is lost.
    #[arg(long, default_value_t = 0.0)]
    lost_events: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let listener = TcpListener::bind(arguments.listen).await.context("bind the address")?;
    let address = listener.local_addr().context("read the address")?;
    let front = FrontSettings { account: arguments.account.clone(), ..FrontSettings::default() };
    let front = Front::new(World::new(arguments.seed, dials(&arguments)), front);
    writeln!(std::io::stdout(), "http://{address}").context("print the address")?;
    tokio::select! {
        served = front.serve(listener) => served.context("serve"),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn dials(arguments: &Arguments) -> WorldSettings {
    WorldSettings {
        allow_aws_sources: arguments.allow_aws_sources,
        throttle: !arguments.no_throttle,
        duplicates: arguments.duplicates,
        reorder: arguments.reorder,
        lost_events: arguments.lost_events,
        ecs: EcsDials { speed: arguments.speed, ..EcsDials::default() },
        ..WorldSettings::default()
    }
}
