//! What is known of a lap in the end: everything that the checker reads.

use serde_json::Value;

/// Who made a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The process under test.
    Daemon,
    /// Those who ask for things, and a person who deploys by hand.
    Storm,
}

/// A call, as the world's log has it.
#[derive(Clone, Debug)]
pub struct Line {
    pub sequence: u64,
    /// In milliseconds since the epoch.
    pub at: u64,
    pub by: By,
    pub operation: String,
    pub request: Value,
    pub result: String,
    pub changed: Value,
}

/// The life of one process.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// The last call that was made in it.
    pub last_call: u64,
    /// Whether it was killed; otherwise it ended by itself, or lived to the end.
    pub killed: bool,
}

/// The end of a deployment, as a webhook took it.
#[derive(Clone, Debug)]
pub struct Told {
    /// In milliseconds since the epoch.
    pub at: u64,
    /// By which repeats are dropped.
    pub id: String,
    pub target: String,
    pub outcome: String,
    pub rollout: Option<String>,
    /// The events that had asked for it.
    pub events: Vec<String>,
}

/// Everything about a lap.
#[derive(Clone, Debug)]
pub struct Record {
    pub seed: u64,
    /// The log of calls.
    pub log: Vec<Line>,
    /// One after the other.
    pub lives: Vec<Life>,
    /// The end of the world.
    pub state: Value,
    /// What the processes said on their standard output. Only held against reality, never believed.
    pub said: Vec<Value>,
    /// What a webhook took that was there all the time.
    pub told: Vec<Told>,
    /// How long the queue took to empty once faults and kills had ended; `None` if it did not.
    pub rested_ms: Option<u64>,
}

impl Record {
    /// Which life a call falls into.
    pub fn life_of(&self, sequence: u64) -> usize {
        self.lives.partition_point(|life| life.last_call < sequence)
    }

    pub fn kills(&self) -> usize {
        self.lives.iter().filter(|life| life.killed).count()
    }
}
