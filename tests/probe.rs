//! The world under a probe that was written for any emulator: one line per check, `yes`, `partial` or `no`.
//!
//! The probe is not part of this repository. It is looked for in the folder that `LOCKKEEPER_LAB` names, else in
//! `../shared/lab` beside the checkout, and needs Python with boto3. Where one of them is missing, the test says so and
//! proves nothing.

#![cfg(all(feature = "sim", feature = "daemon"))]

use std::{
    env,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use lockkeeper::sim::{
    World, WorldSettings,
    front::{Front, FrontSettings},
};
use tokio::{net::TcpListener, task::spawn_blocking};

/// The sections of the probe that the world has to pass.
const SECTIONS: [&str; 3] = ["sqs", "events", "ecs"];

fn probe() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/lab");
    let folder = env::var_os("LOCKKEEPER_LAB").map_or_else(beside, PathBuf::from);
    Some(folder.join("probe.py")).filter(|probe| probe.is_file())
}

/// Past the test harness, which keeps what a passing test prints to itself.
fn skip(why: &str) {
    writeln!(stderr(), "SKIPPED: {why}: the world is not compared with AWS here").expect("standard error");
}

fn has_boto() -> bool {
    let python = Command::new("python3").args(["-c", "import boto3"]).stderr(Stdio::null()).status();
    python.is_ok_and(|status| status.success())
}

fn run(probe: &Path, endpoint: &str) -> Output {
    let mut python = Command::new("python3");
    python.arg(probe).args(["world", endpoint]).args(SECTIONS).env_remove("AK");
    python.output().expect("python3 was there a moment ago")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_world_passes_every_check_of_the_probe() {
    let Some(probe) = probe() else {
        skip("no probe.py in LOCKKEEPER_LAB or ../shared/lab");
        return;
    };
    if !has_boto() {
        skip("python3 with boto3 is missing");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(
        Front::new(World::new(1, WorldSettings::default()), FrontSettings::default()).serve(listener),
    );
    let endpoint = format!("http://{address}");
    let output = spawn_blocking(move || run(&probe, &endpoint)).await.expect("the probe does not panic");
    let said = String::from_utf8_lossy(&output.stdout);
    let checks: Vec<&str> = said.lines().filter(|line| line.starts_with('[')).collect();
    let failed: Vec<&&str> =
        checks.iter().filter(|line| line.split_whitespace().nth(2) != Some("yes")).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(
        checks.len() >= 45,
        "only {} checks ran: {said} {}",
        checks.len(),
        String::from_utf8_lossy(&output.stderr)
    );
}
