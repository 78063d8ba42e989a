//! The DORA figures: how often a target is deployed, how long that takes, how often it fails, and how soon it is well again.
//!
//! What counts is a rollout that was tried: one that succeeded, failed, or was rolled back. What ran already, was
//! superseded, cancelled, or only rehearsed moved nothing. Medians are told rather than means: one deployment over a
//! night would hide all others.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{DeploymentRecord, Outcome, TargetId, Timestamp};

/// The figures of a span of time that ends now.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// How many days it has.
    pub days: u32,
    /// How many deployments succeeded.
    pub succeeded: usize,
    /// How many failed or were rolled back.
    pub failed: usize,
    /// From the oldest request to the end, of those that succeeded: the median. ECS alone does not tell it.
    pub lead_time: Option<Duration>,
    /// From the first attempt to the end, of those that succeeded: the median.
    pub duration: Option<Duration>,
    /// From a failure to the next success of the same target: the median.
    pub time_to_restore: Option<Duration>,
    /// How many targets have failed and not succeeded since.
    pub unrestored: usize,
    /// The same in equal parts, the oldest first.
    pub parts: Vec<Part>,
}

/// One part of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// When it begins.
    pub from: Timestamp,
    /// How many deployments succeeded.
    pub succeeded: usize,
    /// How many failed or were rolled back.
    pub failed: usize,
    /// As in [`Figures`].
    pub lead_time: Option<Duration>,
    /// As in [`Figures`].
    pub duration: Option<Duration>,
    /// As in [`Figures`], of what was restored in it.
    pub time_to_restore: Option<Duration>,
}

/// The spans that are told, in days.
pub const SPANS_DAYS: [u32; 3] = [7, 30, 90];

/// No span is shown in more parts than this: more bars could not be told apart.
const MOST_PARTS: u32 = 30;

const DAY: Duration = Duration::from_hours(24);

impl Figures {
    /// How many deployments succeeded in a day.
    pub fn per_day(&self) -> f64 {
        ratio(self.succeeded, usize::try_from(self.days).unwrap_or(1))
    }

    /// Which part of the deployments failed; `None` where there was none.
    pub fn failure_rate(&self) -> Option<f64> {
        let tried = self.succeeded + self.failed;
        (tried > 0).then(|| ratio(self.failed, tried))
    }
}

/// The figures of these deployments over so many days until `now`, whatever order they come in.
pub fn figures<'a>(
    records: impl IntoIterator<Item = &'a DeploymentRecord>,
    now: Timestamp,
    days: u32,
) -> Figures {
    let mut tried: Vec<Tried<'a>> = records.into_iter().filter_map(Tried::of).collect();
    tried.sort_by_key(|it| it.ended);
    let (restored, unrestored) = restored(&tried);
    let count = days.clamp(1, MOST_PARTS);
    let length = DAY * days.max(1) / count;
    let begin = earlier(now, length * count);
    let mut sums: Vec<Sums> = (0..count).map(|_| Sums::default()).collect();
    for it in &tried {
        if let Some(place) = place(it.ended, begin, length, now) {
            sums[place].add(it);
        }
    }
    for (at, took) in restored {
        if let Some(place) = place(at, begin, length, now) {
            sums[place].restored.push(took);
        }
    }
    let parts = (0..count).zip(&sums).map(|(number, sums)| sums.part(begin + length * number)).collect();
    let all = sums.into_iter().fold(Sums::default(), Sums::with).part(begin);
    let Part { from: _, succeeded, failed, lead_time, duration, time_to_restore } = all;
    Figures { days, succeeded, failed, lead_time, duration, time_to_restore, unrestored, parts }
}

/// How long a deployment of this target usually takes: the median of those that succeeded.
pub fn usual<'a>(
    records: impl IntoIterator<Item = &'a DeploymentRecord>,
    target: &TargetId,
) -> Option<Duration> {
    let of_target = records.into_iter().filter(|it| it.target == *target).filter_map(Tried::of);
    median(of_target.filter_map(|it| it.duration).collect())
}

/// A deployment that counts.
struct Tried<'a> {
    target: &'a TargetId,
    ended: Timestamp,
    failed: bool,
    lead_time: Option<Duration>,
    duration: Option<Duration>,
}

impl<'a> Tried<'a> {
    fn of(it: &'a DeploymentRecord) -> Option<Self> {
        let (outcome, ended) = (it.outcome?, it.finished_at?);
        let failed = match outcome {
            Outcome::Succeeded => false,
            Outcome::Failed | Outcome::RolledBack => true,
            Outcome::AlreadyRunning | Outcome::Superseded | Outcome::Cancelled | Outcome::DryRun => {
                return None;
            }
        };
        let asked = (!failed && !it.known_from.is_ecs()).then_some(it.requested_at);
        let began = if failed { None } else { it.started_at };
        Some(Self {
            target: &it.target,
            ended,
            failed,
            lead_time: asked.map(|asked| ended.since(asked)),
            duration: began.map(|began| ended.since(began)),
        })
    }
}

/// When something was restored, and after how long; and how many targets were not. `tried` is in the order of time.
fn restored(tried: &[Tried<'_>]) -> (Vec<(Timestamp, Duration)>, usize) {
    let (mut broken, mut restored) = (BTreeMap::new(), Vec::new());
    for it in tried {
        if it.failed {
            broken.entry(it.target).or_insert(it.ended);
        } else if let Some(since) = broken.remove(it.target) {
            restored.push((it.ended, it.ended.since(since)));
        }
    }
    (restored, broken.len())
}

/// What is gathered of one part.
#[derive(Default)]
struct Sums {
    succeeded: usize,
    failed: usize,
    lead_times: Vec<Duration>,
    durations: Vec<Duration>,
    restored: Vec<Duration>,
}

impl Sums {
    fn add(&mut self, it: &Tried<'_>) {
        self.failed += usize::from(it.failed);
        self.succeeded += usize::from(!it.failed);
        self.lead_times.extend(it.lead_time);
        self.durations.extend(it.duration);
    }

    fn with(mut self, other: Self) -> Self {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.lead_times.extend(other.lead_times);
        self.durations.extend(other.durations);
        self.restored.extend(other.restored);
        self
    }

    fn part(&self, from: Timestamp) -> Part {
        Part {
            from,
            succeeded: self.succeeded,
            failed: self.failed,
            lead_time: median(self.lead_times.clone()),
            duration: median(self.durations.clone()),
            time_to_restore: median(self.restored.clone()),
        }
    }
}

/// The middle one; of two middle ones their mean.
fn median(mut lengths: Vec<Duration>) -> Option<Duration> {
    lengths.sort_unstable();
    let half = lengths.len() / 2;
    let upper = *lengths.get(half)?;
    Some(if lengths.len() % 2 == 1 { upper } else { (lengths[half - 1] + upper) / 2 })
}

/// In which part this was; `None` outside of them.
fn place(at: Timestamp, begin: Timestamp, length: Duration, now: Timestamp) -> Option<usize> {
    if at <= begin || at > now {
        return None;
    }
    // What ended right at a border belongs to the part that it ends: so the newest has a place, too.
    let passed = at.since(begin).as_millis() - 1;
    usize::try_from(passed / length.as_millis()).ok()
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "counts of deployments are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests;
