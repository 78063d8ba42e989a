//! Whether the promises were kept: judged by the log of calls and the end of the world alone.
//!
//! It knows what was asked, because it reads the messages; what was done, because every call is in the log; and
//! what came of it, because the world keeps the history of every service. It shares no code with the daemon, and does
//! not ask it. Only what the daemon says of its outcomes is held against what is so (P5), and against what a webhook was
//! told (`told`).
//!
//! Where a promise has a limit that `docs/reliability.md` tells, the doubt is in favour of the daemon.

mod asked;
mod facts;
mod held;
mod honest;
mod lost;
mod newest;
mod one;
pub mod timeline;
mod told;
mod twice;

use std::fmt;

use crate::record::Record;
use facts::Facts;

/// A promise that was broken, and the call at which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub promise: &'static str,
    pub what: String,
    pub target: Option<String>,
    pub call: u64,
}

impl Broken {
    fn new(promise: &'static str, call: u64, target: Option<&str>, what: String) -> Self {
        Self { promise, what, target: target.map(str::to_owned), call }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at call {}: {}", self.promise, self.call, self.what)
    }
}

/// Everything that was broken in a lap.
pub fn judge(record: &Record) -> Vec<Broken> {
    let facts = Facts::of(record);
    let mut broken = Vec::new();
    one::judge(&facts, &mut broken);
    lost::judge(&facts, &mut broken);
    twice::judge(&facts, &mut broken);
    newest::judge(&facts, &mut broken);
    honest::judge(&facts, &mut broken);
    held::judge(&facts, &mut broken);
    told::judge(&facts, &mut broken);
    if record.rested_ms.is_none() {
        let what = format!("{} messages are left although nothing fails any more", facts.left.len());
        broken.push(Broken::new("P9", record.log.last().map_or(0, |line| line.sequence), None, what));
    }
    broken
}

/// How much was judged: a lap in which nothing happens shows nothing.
pub fn weight(record: &Record) -> String {
    let facts = Facts::of(record);
    let rollouts = facts.rollouts.values().flatten();
    let of =
        |fate| rollouts.clone().filter(|it| it.fate == fate && it.by == crate::record::By::Daemon).count();
    format!(
        "{} messages, {} calls, {} ends told, {} rollouts succeeded, {} were rolled back, {} failed, {} superseded, {} letters",
        facts.messages.len(),
        record.log.len(),
        record.told.len(),
        of(facts::Fate::Succeeded),
        of(facts::Fate::RolledBack),
        of(facts::Fate::Failed),
        of(facts::Fate::Superseded),
        facts.letters.len(),
    )
}
