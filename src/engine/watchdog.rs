//! Logs what stands still, now and then that it still does, and what is well again.
//!
//! A thread of its own, because what it watches over may hold every other one up: the loop above all. It only tells. To
//! end a process that stands still is the business of whoever asks `/livez`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use tracing::{info, warn};

use super::EngineClock;
use crate::{
    domain::Moment,
    report::message::span,
    status::{Health, HealthReport},
};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);

/// What fails for less is not told: a process that begins has not received yet, and one hiccup is no news.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// After how long it is told again of what still fails: an alarm that counts lines of five minutes finds one in each.
const TELL_AGAIN_AFTER: Duration = Duration::from_mins(4);

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<Thread>,
}

/// What it told of parts that fail.
#[derive(Debug, Default)]
struct Told(BTreeMap<String, Failing>);

/// Since when a part fails, and when that was last told.
#[derive(Debug)]
struct Failing {
    since: Moment,
    told: Moment,
}

/// News about one part.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Fails { part: String, why: String },
    StillFails { part: String, why: String, after: Duration },
    IsWellAgain { part: String, after: Duration },
}

impl Watchdog {
    /// Watches over this health. Without a thread to be had, it watches over nothing.
    pub fn start(health: Arc<Health>, clock: EngineClock) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let watch = move || {
            let mut told = Told::default();
            while !is_over.load(Ordering::Relaxed) {
                let now = clock.moment();
                told.news(&health.assess(now), now).iter().for_each(tell);
                thread::park_timeout(PERIOD);
            }
        };
        let thread = thread::Builder::new().name("watchdog".into()).spawn(watch);
        Self { stop, thread: thread.ok().map(|handle| handle.thread().clone()) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl Told {
    /// What has changed since it was last asked, and what has not for long.
    fn news(&mut self, report: &HealthReport, now: Moment) -> Vec<News> {
        let mut news = Vec::new();
        for (name, part) in report.parts() {
            match (part.failing_for, self.0.get_mut(name)) {
                (Some(long), None) if long >= TELL_AFTER => {
                    let since = Moment::from_millis(now.as_millis().saturating_sub(millis(long)));
                    self.0.insert(name.to_owned(), Failing { since, told: now });
                    news.push(News::Fails { part: name.to_owned(), why: part.detail.clone() });
                }
                (Some(_), Some(failing)) if now.since(failing.told) >= TELL_AGAIN_AFTER => {
                    failing.told = now;
                    let after = now.since(failing.since);
                    news.push(News::StillFails { part: name.to_owned(), why: part.detail.clone(), after });
                }
                (None, Some(failing)) => {
                    let after = now.since(failing.since);
                    self.0.remove(name);
                    news.push(News::IsWellAgain { part: name.to_owned(), after });
                }
                (Some(_) | None, _) => {}
            }
        }
        news
    }
}

fn tell(news: &News) {
    match news {
        News::Fails { part, why } => warn!(error = why, "not healthy: {part}: {why}"),
        News::StillFails { part, why, after } => {
            warn!(error = why, "not healthy: {part}, for {} now: {why}", span(*after));
        }
        News::IsWellAgain { part, after } => info!("healthy again: {part}, after {}", span(*after)),
    }
}

fn millis(long: Duration) -> u64 {
    u64::try_from(long.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn news(told: &mut Told, health: &Health, second: u64) -> Vec<String> {
        let news = told.news(&health.assess(moment(second)), moment(second));
        news.iter().map(|it| format!("{it:?}")).collect()
    }

    #[test]
    fn each_part_that_fails_is_told_once_and_once_that_it_is_well_again() {
        let (mut told, health) =
            (Told::default(), Health::new(moment(0), Duration::ZERO, Duration::from_secs(5)));
        health.received(1, moment(1));
        assert_eq!(news(&mut told, &health, 5), Vec::<String>::new());
        let stuck = r#"Fails { part: "loop", why: "the loop has not turned for 11 s" }"#;
        assert_eq!(news(&mut told, &health, 11), [stuck]);
        assert_eq!(news(&mut told, &health, 12), Vec::<String>::new());
        health.turned(moment(20));
        assert_eq!(news(&mut told, &health, 20), [r#"IsWellAgain { part: "loop", after: 20s }"#]);
        health.turned(moment(40));
        health.receive_failed(1, moment(39), "AccessDenied");
        let silent = r#"Fails { part: "intake", why: "no receive completed for 39 s; the last one failed: AccessDenied" }"#;
        assert_eq!(news(&mut told, &health, 40), [silent]);
    }

    #[test]
    fn what_still_fails_is_told_in_every_five_minutes() {
        let (mut told, health) =
            (Told::default(), Health::new(moment(0), Duration::ZERO, Duration::from_secs(5)));
        health.received(1, moment(0));
        let lines = (0..=1_210).filter_map(|second| {
            health.turned(moment(second));
            let report = health.assess(moment(second));
            let news = told.news(&report, moment(second)).pop()?;
            let repeated =
                matches!(news, News::StillFails { after, .. } if after == Duration::from_secs(second));
            Some((second, repeated))
        });
        let lines: Vec<_> = lines.collect();
        let first = lines[0].0;
        let expected: Vec<_> = (0..=4).map(|number| (first + 240 * number, number > 0)).collect();
        assert_eq!(lines, expected, "the intake has not received since the beginning");
    }

    #[test]
    fn a_region_that_does_not_answer_is_told_beside_what_is_well() {
        let (mut told, health) =
            (Told::default(), Health::new(moment(0), Duration::ZERO, Duration::from_secs(5)));
        health.received(1, moment(30));
        health.turned(moment(30));
        health.called_ecs(&"us-east-2".into(), moment(5), Some("lost"));
        let silent =
            r#"Fails { part: "ecs/us-east-2", why: "ECS has not answered in us-east-2 for 25 s: lost" }"#;
        assert_eq!(news(&mut told, &health, 30), [silent]);
        health.called_ecs(&"us-east-2".into(), moment(31), None);
        assert_eq!(news(&mut told, &health, 31), [r#"IsWellAgain { part: "ecs/us-east-2", after: 26s }"#]);
    }

    #[test]
    fn a_process_that_begins_is_no_news() {
        let (mut told, health) =
            (Told::default(), Health::new(moment(0), Duration::ZERO, Duration::from_secs(5)));
        assert_eq!(news(&mut told, &health, 9), Vec::<String>::new());
        health.turned(moment(10));
        let silent = r#"Fails { part: "intake", why: "no receive has completed yet" }"#;
        assert_eq!(news(&mut told, &health, 10), [silent]);
    }
}
