//! Whether Lockkeeper is alive and ready, by its own clock.
//!
//! A process can answer HTTP for weeks while the loop behind it stands still or the queue refuses it. So each part
//! leaves a mark when it *completes* something, and health is the age of the marks. Failures leave no mark: a
//! receive that is refused ten times a second is as stale as one that hangs.
//!
//! What makes the process unready is what a restart, or another process, might mend. ECS not answering in a Region is told
//! beside it, and makes nothing unready: the targets in all other Regions go on. So is a place whose services cannot be read,
//! unless there is no other.

mod inventory;
mod pollers;
mod regions;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};

pub use self::inventory::InventoryState;

use self::{pollers::Pollers, regions::Regions};
use crate::{
    domain::{Moment, Region, Timestamp},
    report::message::span,
};

/// The marks. Touching one never waits for more than another mark.
#[derive(Debug)]
pub struct Health {
    /// When receiving began, or was to begin.
    began: AtomicU64,
    opens: Moment,
    receive_stale_after: Duration,
    turned: AtomicU64,
    received: AtomicU64,
    closing: AtomicBool,
    refusal: Mutex<Option<String>>,
    lease: Mutex<Option<LeaseState>>,
    inventory: Mutex<Option<InventoryState>>,
    pollers: Pollers,
    regions: Regions,
}

/// How this process stands towards the lease table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// It holds the lease, and acts.
    Active,
    /// It is ready to take over. In words: from whom.
    Standby(String),
    /// It neither holds the lease nor knows who does.
    Lost {
        /// Since when the table has not answered.
        since: Moment,
        /// In words.
        why: String,
    },
}

/// How every part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// The loop that owns all state.
    pub turning: Part,
    /// The receiving of messages.
    pub intake: Part,
    /// The lease, where there is a lease table.
    pub lease: Option<Part>,
    /// The reading of the services, where discovery is on.
    pub inventory: Option<Part>,
    /// Whether the services cannot be read anywhere, and have not been: another process might.
    pub is_blind: bool,
    /// ECS in each Region that was called: told, but nothing that makes the process unready.
    pub regions: Vec<(String, Part)>,
}

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// For how long it has not been as it should be; `None` if it is.
    pub failing_for: Option<Duration>,
    /// In words.
    pub detail: String,
    /// In one word of a closed list, for a part that has several ways to be.
    pub state: Option<&'static str>,
}

impl Health {
    /// The loop turns at least every two seconds, even with nothing to do; five turns missed are no pause.
    pub const LOOP_STALE_AFTER: Duration = Duration::from_secs(10);
    /// What a receive may take beyond its wait: the timeout of its call, and one retry of it.
    pub const RECEIVE_MARGIN: Duration = Duration::from_secs(30);
    /// A stored moment that never was.
    const NEVER: u64 = u64::MAX;

    /// Of a process that begins now, opens its intake after `start_delay` and then waits up to `receive_wait` in
    /// each receive.
    pub fn new(now: Moment, start_delay: Duration, receive_wait: Duration) -> Self {
        Self {
            began: AtomicU64::new(now.as_millis()),
            opens: now + start_delay,
            receive_stale_after: receive_wait + Self::RECEIVE_MARGIN,
            turned: AtomicU64::new(now.as_millis()),
            received: AtomicU64::new(Self::NEVER),
            closing: AtomicBool::new(false),
            refusal: Mutex::new(None),
            lease: Mutex::new(None),
            inventory: Mutex::new(None),
            pollers: Pollers::default(),
            regions: Regions::default(),
        }
    }

    /// The loop turned.
    pub fn turned(&self, now: Moment) {
        self.turned.store(now.as_millis(), Relaxed);
    }

    /// This poller begins.
    pub fn polls(&self, poller: u32, now: Moment) {
        self.pollers.moved(poller, now);
    }

    /// This poller ended, as it was told to.
    pub fn polls_no_more(&self, poller: u32) {
        self.pollers.ended(poller);
    }

    /// This poller waits for what it received to be taken.
    pub fn hands_over(&self, poller: u32, now: Moment) {
        self.pollers.handing_over(poller, now);
    }

    /// A call to ECS in this Region ended: it was answered, or it was not, for this reason.
    pub fn called_ecs(&self, region: &Region, now: Moment, silence: Option<&'static str>) {
        self.regions.called(region, now, silence);
    }

    /// A receive of this poller completed, with messages or without.
    pub fn received(&self, poller: u32, now: Moment) {
        self.pollers.moved(poller, now);
        self.received.store(now.as_millis(), Relaxed);
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A receive of this poller failed, for this reason.
    pub fn receive_failed(&self, poller: u32, now: Moment, why: impl Into<String>) {
        self.pollers.moved(poller, now);
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    /// Receiving begins anew, after a time on standby: what was received before says nothing.
    pub fn opens(&self, now: Moment) {
        self.began.store(now.as_millis(), Relaxed);
        self.received.store(Self::NEVER, Relaxed);
    }

    /// How it stands towards the lease table.
    pub fn leased(&self, state: LeaseState) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// How far the services have been read, where discovery is on.
    pub fn inventoried(&self, state: InventoryState) {
        *self.inventory.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// The process ends: no more work is to be sent its way.
    pub fn closing(&self) {
        self.closing.store(true, Relaxed);
    }

    /// How every part is at this moment.
    pub fn assess(&self, now: Moment) -> HealthReport {
        let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let inventory = self.inventory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_held = inventory.as_ref().is_some_and(|state| !state.is_open());
        let intake = match &lease {
            _ if self.closing.load(Relaxed) => self.assess_intake(now),
            Some(LeaseState::Standby(_) | LeaseState::Lost { .. }) => {
                Part::sound("on standby: nothing is received")
            }
            Some(_) | None if is_held => Part::sound("nothing is received before the services are read"),
            Some(_) | None => self.assess_intake(now),
        };
        HealthReport {
            turning: self.assess_loop(now),
            intake,
            lease: lease.map(|state| Part::of_lease(state, now)),
            is_blind: inventory.as_ref().is_some_and(|state| state.is_blind(now)),
            inventory: inventory.map(|state| state.assess(now)),
            regions: self.regions.assess(now),
        }
    }

    fn assess_loop(&self, now: Moment) -> Part {
        let age = now.since(Moment::from_millis(self.turned.load(Relaxed)));
        if age <= Self::LOOP_STALE_AFTER {
            Part::sound("the loop turns")
        } else {
            Part::failing(age, format!("the loop has not turned for {}", span(age)))
        }
    }

    fn assess_intake(&self, now: Moment) -> Part {
        let received = self.received.load(Relaxed);
        let last = (received != Self::NEVER).then(|| Moment::from_millis(received));
        let began = Moment::from_millis(self.began.load(Relaxed));
        let age = now.since(last.unwrap_or(began));
        if self.closing.load(Relaxed) {
            return Part::failing(Duration::ZERO, "the process is ending".into());
        }
        match last {
            Some(_) if age <= self.receive_stale_after => self.assess_pollers(now),
            Some(_) if self.pollers.all_hand_over() => {
                Part::failing(age, format!("what was received is not taken, for {}", span(age)))
            }
            Some(_) => {
                Part::failing(age, self.with_refusal(format!("no receive completed for {}", span(age))))
            }
            None if now < self.opens => {
                let left = self.opens.since(now);
                Part::failing(age, format!("receiving begins in {}", span(left)))
            }
            None => Part::failing(age, self.with_refusal("no receive has completed yet".into())),
        }
    }

    /// Messages are received; whether by every poller.
    fn assess_pollers(&self, now: Moment) -> Part {
        match self.pollers.stale(now, self.receive_stale_after) {
            (0, _) => Part::sound("messages are received"),
            (stale, of) => {
                let long = self.receive_stale_after;
                Part::failing(long, format!("{stale} of {of} pollers have not received for {}", span(long)))
            }
        }
    }

    fn with_refusal(&self, detail: String) -> String {
        match &*self.refusal.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => format!("{detail}; the last one failed: {why}"),
            None => detail,
        }
    }
}

impl HealthReport {
    /// Whether the process should live on: the loop turns.
    pub fn is_alive(&self) -> bool {
        self.turning.is_ok()
    }

    /// Whether it does its work: every part of its own is as it should be.
    pub fn is_ready(&self) -> bool {
        !self.is_blind && self.own_parts().all(|(_, part)| part.is_ok())
    }

    /// Each part with its name, those of AWS too.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &Part)> {
        let regions = self.regions.iter().map(|(name, part)| (name.as_str(), part));
        let inventory = self.inventory.as_ref().map(|part| ("inventory", part));
        self.own_parts().chain(inventory).chain(regions)
    }

    fn own_parts(&self) -> impl Iterator<Item = (&str, &Part)> {
        let lease = self.lease.as_ref().map(|part| ("lease", part));
        [("loop", &self.turning), ("intake", &self.intake)].into_iter().chain(lease)
    }

    /// As it is answered at this time.
    pub(super) fn to_json(&self, at: Timestamp) -> Value {
        let parts = self.parts().map(|(name, part)| (name.to_owned(), part.to_json(at)));
        let parts: serde_json::Map<String, Value> = parts.collect();
        json!({ "ok": self.is_ready(), "parts": parts })
    }
}

impl Part {
    /// Whether it is as it should be.
    pub fn is_ok(&self) -> bool {
        self.failing_for.is_none()
    }

    fn sound(detail: &str) -> Self {
        Self { failing_for: None, detail: detail.into(), state: None }
    }

    fn failing(long: Duration, detail: String) -> Self {
        Self { failing_for: Some(long), detail, state: None }
    }

    fn of_lease(state: LeaseState, now: Moment) -> Self {
        let (part, word) = match state {
            LeaseState::Active => (Self::sound("this process holds the lease"), "active"),
            LeaseState::Standby(detail) => (Self::sound(&detail), "standby"),
            LeaseState::Lost { since, why } => (Self::failing(now.since(since), why), "lost"),
        };
        Self { state: Some(word), ..part }
    }

    pub(super) fn to_json(&self, at: Timestamp) -> Value {
        let since = self.failing_for.map(|long| {
            let millis = i64::try_from(long.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(at.as_millis().saturating_sub(millis))
        });
        let mut told = json!({ "ok": self.is_ok(), "detail": self.detail, "since": since });
        if let Some(state) = self.state {
            told["state"] = state.into();
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Place;

    fn moment(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn health() -> Health {
        Health::new(moment(0), Duration::from_secs(10), Duration::from_secs(20))
    }

    #[test]
    fn a_loop_that_stands_still_is_not_alive() {
        let health = health();
        health.turned(moment(100));
        assert!(health.assess(moment(110)).is_alive());
        let stuck = health.assess(moment(111));
        assert!(!stuck.is_alive() && !stuck.is_ready());
        assert_eq!(stuck.turning.failing_for, Some(Duration::from_secs(11)));
    }

    #[test]
    fn nothing_is_ready_before_the_first_receive() {
        let health = health();
        assert_eq!(health.assess(moment(4)).intake.detail, "receiving begins in 6 s");
        assert_eq!(health.assess(moment(10)).intake.detail, "no receive has completed yet");
        health.received(1, moment(9));
        assert!(health.assess(moment(10)).is_ready());
    }

    #[test]
    fn a_receive_is_stale_thirty_seconds_after_its_wait() {
        let health = health();
        health.received(1, moment(100));
        health.turned(moment(150));
        assert!(health.assess(moment(150)).is_ready());
        let stale = health.assess(moment(151));
        assert!(stale.is_alive() && !stale.is_ready());
        assert_eq!(stale.intake.detail, "no receive completed for 51 s");
    }

    #[test]
    fn failing_receives_leave_no_mark_but_say_why() {
        let health = health();
        health.received(1, moment(1));
        health.receive_failed(1, moment(2), "AccessDenied");
        assert!(health.assess(moment(2)).is_ready());
        let stale = health.assess(moment(200));
        assert_eq!(
            stale.intake.detail,
            "no receive completed for 3 min 19 s; the last one failed: AccessDenied"
        );
        health.received(1, moment(200));
        health.turned(moment(200));
        assert!(health.assess(moment(200)).is_ready());
    }

    #[test]
    fn a_process_that_ends_is_alive_and_not_ready() {
        let health = health();
        health.received(1, moment(1));
        health.closing();
        let report = health.assess(moment(2));
        assert!(report.is_alive() && !report.is_ready());
    }

    #[test]
    fn a_process_on_standby_is_ready_although_it_receives_nothing() {
        let health = health();
        health.received(1, moment(1));
        health.leased(LeaseState::Standby("b holds the lease".into()));
        health.turned(moment(500));
        let report = health.assess(moment(500));
        assert!(report.is_ready(), "{report:?}");
        assert_eq!(report.lease.and_then(|part| part.state), Some("standby"));
        health.leased(LeaseState::Active);
        assert!(!health.assess(moment(500)).is_ready(), "it has not received for long");
        health.opens(moment(500));
        assert_eq!(health.assess(moment(501)).intake.failing_for, Some(Duration::from_secs(1)));
        health.received(1, moment(501));
        assert!(health.assess(moment(501)).is_ready());
    }

    #[test]
    fn a_process_that_lost_the_lease_is_not_ready_and_says_since_when() {
        let health = health();
        health.received(1, moment(1));
        let why = "the lease table does not answer".into();
        health.leased(LeaseState::Lost { since: moment(3), why });
        let report = health.assess(moment(9));
        assert!(report.is_alive() && !report.is_ready());
        assert_eq!(report.lease.and_then(|part| part.failing_for), Some(Duration::from_secs(6)));
    }

    #[test]
    fn the_answer_says_which_part_and_since_when() {
        let at = Timestamp::parse("2026-11-01T12:01:00Z").expect("valid");
        let health = health();
        health.turned(moment(60));
        insta::assert_snapshot!(health.assess(moment(60)).to_json(at), @r#"{"ok":false,"parts":{"intake":{"detail":"no receive has completed yet","ok":false,"since":"2026-11-01T12:00:00Z"},"loop":{"detail":"the loop turns","ok":true,"since":null}}}"#);
    }

    #[test]
    fn a_poller_that_died_shows_although_the_other_one_receives() {
        let health = health();
        for poller in [1, 2] {
            health.polls(poller, moment(0));
            health.received(poller, moment(10));
        }
        for second in 11..=60 {
            health.received(1, moment(second));
        }
        health.turned(moment(60));
        assert!(health.assess(moment(60)).is_ready());
        let dead = health.assess(moment(61));
        assert!(!dead.is_ready() && dead.is_alive());
        assert_eq!(dead.intake.detail, "1 of 2 pollers have not received for 50 s");
        health.received(2, moment(61));
        assert!(health.assess(moment(61)).is_ready());
    }

    #[test]
    fn a_poller_that_ended_as_told_or_waits_for_room_is_not_dead() {
        let health = health();
        for poller in [1, 2, 3] {
            health.polls(poller, moment(0));
        }
        health.polls_no_more(2);
        health.hands_over(3, moment(1));
        health.received(1, moment(100));
        health.turned(moment(100));
        assert!(health.assess(moment(100)).is_ready());
        health.hands_over(1, moment(101));
        health.turned(moment(200));
        assert_eq!(
            health.assess(moment(200)).intake.detail,
            "what was received is not taken, for 1 min 40 s"
        );
    }

    #[test]
    fn a_process_that_reads_the_services_is_ready_and_one_that_can_read_nowhere_is_not() {
        let (health, place) = (health(), Place { account: "1".into(), region: "eu-west-1".into() });
        let mut state = InventoryState::new([place.clone()]);
        health.inventoried(state.clone());
        health.turned(moment(500));
        let report = health.assess(moment(500));
        assert!(report.is_ready(), "{report:?}");
        assert_eq!(report.intake.detail, "nothing is received before the services are read");
        state.failed(&place, moment(470), "AccessDenied".into());
        health.inventoried(state.clone());
        assert!(health.assess(moment(499)).is_ready());
        assert!(!health.assess(moment(500)).is_ready());
        state.completed(&place, moment(500), None);
        assert!(state.opens(moment(500)));
        health.inventoried(state);
        health.opens(moment(500));
        assert_eq!(health.assess(moment(501)).intake.detail, "no receive has completed yet");
        health.received(1, moment(501));
        assert!(health.assess(moment(501)).is_ready());
    }

    #[test]
    fn a_region_that_does_not_answer_is_told_and_makes_nothing_unready() {
        let health = health();
        health.received(1, moment(100));
        health.turned(moment(100));
        health.called_ecs(&"us-east-2".into(), moment(60), Some("lost"));
        let report = health.assess(moment(100));
        assert!(report.is_ready());
        let failing: Vec<_> =
            report.parts().filter(|(_, part)| !part.is_ok()).map(|(name, _)| name).collect();
        assert_eq!(failing, ["ecs/us-east-2"]);
    }
}
