//! How far the services have been read, place by place, and whether messages may be received.
//!
//! A message that comes before its target is known would find nobody, and be deleted. So receiving begins when every place
//! has been read once. That may take minutes, in which the process is ready: a load balancer that took it for dead would
//! have it replaced by one that begins anew. A place that cannot be read is told, and holds receiving up for
//! [`InventoryState::PATIENCE`]: one dead Region must not hold up all others for ever. Only a process that can read nowhere
//! at all is not ready, because another one, with other settings, might.

use std::{collections::BTreeMap, time::Duration};

use super::Part;
use crate::{
    domain::{Moment, Place},
    report::message::span,
};

/// One call is tried three times, for 5 s each: what fails for longer than that twice over is no hiccup.
const BLIND_AFTER: Duration = Duration::from_secs(30);

/// How it stands everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryState {
    places: BTreeMap<Place, State>,
    is_open: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    progress: Progress,
    /// Whether it was read as a whole, once.
    was_read: bool,
    failing: Option<Failing>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// Nobody knows how many services there are.
    #[default]
    Unlisted,
    /// So many of them were read.
    Reading { read: usize, of: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Failing {
    since: Moment,
    why: String,
}

impl InventoryState {
    /// For so long a place that cannot be read holds up receiving.
    pub const PATIENCE: Duration = Duration::from_mins(5);

    /// Nothing was read yet of these places.
    pub fn new(places: impl IntoIterator<Item = Place>) -> Self {
        let places = places.into_iter().map(|place| (place, State::default()));
        Self { places: places.collect(), is_open: false }
    }

    /// So many services are to be read there.
    pub fn listed(&mut self, place: &Place, of: usize) {
        self.at(place).progress = Progress::Reading { read: 0, of };
    }

    /// So many more have been read.
    pub fn read(&mut self, place: &Place, more: usize) {
        if let Progress::Reading { read, of } = &mut self.at(place).progress {
            *read = (*read + more).min(*of);
        }
    }

    /// All of it was read, but for what is told of here.
    pub fn completed(&mut self, place: &Place, now: Moment, missing: Option<String>) {
        let state = self.at(place);
        state.was_read = true;
        match missing {
            Some(why) => state.fails(now, why),
            None => state.failing = None,
        }
    }

    /// It could not be read.
    pub fn failed(&mut self, place: &Place, now: Moment, why: String) {
        self.at(place).fails(now, why);
    }

    /// Whether the services there were read as a whole, once.
    pub fn was_read(&self, place: &Place) -> bool {
        self.places.get(place).is_some_and(|state| state.was_read)
    }

    /// The places that were never read as a whole.
    pub fn unread(&self) -> Vec<Place> {
        let unread = self.places.iter().filter(|(_, state)| !state.was_read);
        unread.map(|(place, _)| place.clone()).collect()
    }

    /// Whether receiving may begin. Once it may, it goes on.
    pub fn opens(&mut self, now: Moment) -> bool {
        let given_up = |state: &State| {
            state.failing.as_ref().is_some_and(|failing| now.since(failing.since) >= Self::PATIENCE)
        };
        let any_read = self.places.values().any(|state| state.was_read);
        self.is_open |= any_read && self.places.values().all(|state| state.was_read || given_up(state));
        self.is_open
    }

    /// Whether receiving has begun.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether nothing can be read anywhere, and not for a moment only.
    pub(super) fn is_blind(&self, now: Moment) -> bool {
        let fails = |it: &Failing| now.since(it.since) >= BLIND_AFTER;
        self.places.values().all(|state| !state.was_read && state.failing.as_ref().is_some_and(fails))
    }

    pub(super) fn assess(&self, now: Moment) -> Part {
        let failing = self.places.iter().filter_map(|(place, state)| Some((place, state.failing.as_ref()?)));
        let mut failing: Vec<(&Place, &Failing)> = failing.collect();
        failing.sort_by_key(|(_, failing)| failing.since);
        let Some((place, first)) = failing.first() else { return self.sound() };
        let long = now.since(first.since);
        let others = match failing.len() - 1 {
            0 => String::new(),
            others => format!(", and {others} more places"),
        };
        let detail = format!("{place} cannot be read for {}{others}: {}", span(long), first.why);
        Part { state: Some("failing"), ..Part::failing(long, detail) }
    }

    fn sound(&self) -> Part {
        let (read, of) = self.counts();
        let all_read = self.places.values().all(|state| state.was_read);
        let all_listed = self.places.values().all(|state| state.progress != Progress::Unlisted);
        let (state, detail) = match (all_read, all_listed) {
            (true, _) => ("complete", format!("{} services read", grouped(of))),
            (false, true) => ("reading", format!("{} of {} services read", grouped(read), grouped(of))),
            (false, false) => ("reading", format!("{} services read, and not all listed yet", grouped(read))),
        };
        Part { state: Some(state), ..Part::sound(&detail) }
    }

    /// How many services were read, and of how many.
    pub fn counts(&self) -> (usize, usize) {
        let counts = self.places.values().map(|state| match state.progress {
            Progress::Unlisted => (0, 0),
            Progress::Reading { read, of } => (read, of),
        });
        counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    }

    fn at(&mut self, place: &Place) -> &mut State {
        self.places.entry(place.clone()).or_default()
    }
}

impl State {
    fn fails(&mut self, now: Moment, why: String) {
        let since = self.failing.as_ref().map_or(now, |failing| failing.since);
        self.failing = Some(Failing { since, why });
    }
}

/// `12,345`
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn places() -> [Place; 2] {
        ["eu-west-1", "us-east-2"].map(|it| Place { account: "111122223333".into(), region: it.into() })
    }

    fn told(state: &InventoryState, second: u64) -> String {
        let part = state.assess(moment(second));
        format!("{} {}: {}", part.is_ok(), part.state.unwrap_or_default(), part.detail)
    }

    #[test]
    fn receiving_begins_once_every_place_has_been_read() {
        let [here, there] = places();
        let mut state = InventoryState::new(places());
        assert_eq!(told(&state, 0), "true reading: 0 services read, and not all listed yet");
        state.listed(&here, 4_000);
        state.read(&here, 1_200);
        assert_eq!(told(&state, 1), "true reading: 1,200 services read, and not all listed yet");
        state.listed(&there, 1_000);
        assert_eq!(told(&state, 2), "true reading: 1,200 of 5,000 services read");
        state.read(&here, 2_800);
        state.completed(&here, moment(3), None);
        assert!(!state.opens(moment(1_000)), "the other place goes on");
        state.read(&there, 1_001);
        state.completed(&there, moment(4), None);
        assert!(state.opens(moment(4)) && !state.is_blind(moment(4)));
        assert_eq!(told(&state, 5), "true complete: 5,000 services read");
    }

    #[test]
    fn a_place_that_cannot_be_read_holds_receiving_up_for_five_minutes_and_is_told() {
        let [here, there] = places();
        let mut state = InventoryState::new(places());
        state.failed(&there, moment(10), "AccessDenied".into());
        assert!(!state.is_blind(moment(100)), "the other place may be read yet");
        state.completed(&here, moment(20), None);
        state.failed(&there, moment(309), "Throttled".into());
        assert!(!state.opens(moment(309)));
        let telling = "false failing: 111122223333/us-east-2 cannot be read for 4 min 59 s: Throttled";
        assert_eq!(told(&state, 309), telling);
        assert!(state.opens(moment(310)));
        assert_eq!(state.unread(), std::slice::from_ref(&there));
        state.completed(&there, moment(400), None);
        assert_eq!((state.unread(), told(&state, 401).split(':').next()), (vec![], Some("true complete")));
    }

    #[test]
    fn who_can_read_nowhere_receives_nothing_and_is_blind() {
        let [here, there] = places();
        let mut state = InventoryState::new(places());
        state.failed(&here, moment(1), "AccessDenied".into());
        state.failed(&there, moment(2), "AccessDenied".into());
        assert!(!state.is_blind(moment(31)) && state.is_blind(moment(32)) && !state.opens(moment(100_000)));
        let failing =
            "false failing: 111122223333/eu-west-1 cannot be read for 1 min, and 1 more places: AccessDenied";
        assert_eq!(told(&state, 61), failing);
        state.completed(&here, moment(100_000), None);
        assert!(!state.is_blind(moment(100_000)) && state.opens(moment(100_000)));
    }

    #[test]
    fn what_fails_later_closes_nothing() {
        let [here, there] = places();
        let mut state = InventoryState::new(places());
        for place in [&here, &there] {
            state.completed(place, moment(1), None);
        }
        assert!(state.opens(moment(1)));
        state.failed(&here, moment(2), "Lost".into());
        assert!(state.opens(moment(3)) && state.unread().is_empty() && !state.is_blind(moment(99)));
        assert!(!state.assess(moment(3)).is_ok());
    }

    #[test]
    fn what_is_missing_of_a_place_that_was_read_is_told() {
        let [here, _] = places();
        let mut state = InventoryState::new([here.clone()]);
        state.completed(&here, moment(1), Some("1 of 8 services".into()));
        assert!(state.opens(moment(1)));
        assert_eq!(
            told(&state, 1),
            "false failing: 111122223333/eu-west-1 cannot be read for 0 ms: 1 of 8 services"
        );
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
