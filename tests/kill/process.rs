//! The built binary as a process, and what it says.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use serde_json::Value;

use crate::estate;

/// A running daemon.
pub struct Daemon {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts one; what it says is added to `said`.
    pub fn start(endpoint: &str, settings: &str, said: &Arc<Mutex<Vec<Value>>>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockkeeper"))
            .arg("run")
            .env_clear()
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_ACCESS_KEY_ID", estate::ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_REGION", estate::REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("LOCKKEEPER_CONFIG_TOML", settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let out = child.stdout.take().expect("it is piped");
        let said = Arc::clone(said);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // A killed process may leave half a line.
                if let Ok(line) = serde_json::from_str(&line) {
                    said.lock().expect("nobody panics with it").push(line);
                }
            }
        });
        Self { child, reader: Some(reader) }
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Daemon {
    /// Kills it, as nothing can be killed harder, and waits until it is gone and all that it said is heard.
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
