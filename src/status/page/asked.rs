//! What a reader asks of a page: the part of its address behind the `?`. What cannot be read there is passed over, so
//! that a link that somebody kept still opens.

use std::fmt::Write as _;

use crate::{
    domain::{DeploymentRecord, ImageReference, LaneState, Outcome, TargetRecord},
    report::{dora::SPANS_DAYS, history::Cursor},
};

/// The span of the figures where none is asked for, in days.
const DAYS: u32 = 30;
/// No search has more letters than this.
const MOST_LETTERS: usize = 200;

/// What is asked of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The words that all that is listed has to contain.
    pub(super) words: String,
    /// The lanes that are listed.
    pub(super) state: Option<Lanes>,
    /// How the deployments that are listed ended.
    pub(super) outcome: Option<Outcome>,
    /// The span of the figures.
    pub(super) days: u32,
    /// The page of the list of targets, from zero.
    pub(super) page: usize,
    /// Behind which the list of deployments goes on.
    pub(super) older: Option<Cursor>,
    /// Whether the page loads itself anew where there are no scripts.
    pub(super) live: bool,
}

/// Which lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lanes {
    /// Those that do something, or of which something is asked.
    Busy,
    /// Those that somebody paused, or a rollback holds.
    Held,
    /// Those in this state.
    In(LaneState),
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            words: String::new(),
            state: None,
            outcome: None,
            days: DAYS,
            page: 0,
            older: None,
            live: false,
        }
    }
}

impl Asked {
    /// From the names and values of an address.
    pub(super) fn of(pairs: &[(String, String)]) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "q" => asked.words = value.trim().chars().take(MOST_LETTERS).collect(),
                "state" => asked.state = Lanes::named(value),
                "outcome" => asked.outcome = Outcome::ALL.into_iter().find(|it| it.as_str() == value),
                "days" => asked.days = span_of(value).unwrap_or(DAYS),
                "page" => asked.page = value.parse::<usize>().map_or(0, |page| page.saturating_sub(1)),
                "older" => asked.older = value.parse().ok(),
                "live" => asked.live = true,
                _ => {}
            }
        }
        asked
    }

    /// The address at which this path is asked for it.
    pub(super) fn at(&self, path: &str) -> String {
        let mut address = path.to_owned();
        for (separator, (name, value)) in std::iter::once('?').chain(std::iter::repeat('&')).zip(self.pairs())
        {
            let _ = write!(address, "{separator}{name}");
            if !value.is_empty() {
                let _ = write!(address, "={}", encoded(&value));
            }
        }
        address
    }

    /// The names and values that say it; what is as it always is stays unsaid.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let said = [
            ("q", Some(self.words.clone()).filter(|words| !words.is_empty())),
            ("state", self.state.map(|it| it.as_str().to_owned())),
            ("outcome", self.outcome.map(|it| it.as_str().to_owned())),
            ("days", (self.days != DAYS).then(|| self.days.to_string())),
            ("page", (self.page > 0).then(|| (self.page + 1).to_string())),
            ("older", self.older.as_ref().map(ToString::to_string)),
            ("live", self.live.then(String::new)),
        ];
        said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The same, but of another span.
    pub(super) fn over(&self, days: u32) -> Self {
        Self { days, ..self.clone() }
    }

    /// Whether something narrows the lists.
    pub(super) fn is_narrowed(&self) -> bool {
        !self.words.is_empty() || self.state.is_some() || self.outcome.is_some()
    }

    /// Whether a target is among those that are asked for.
    pub(super) fn wants_target(&self, it: &TargetRecord) -> bool {
        let has_state = match self.state {
            None => true,
            Some(Lanes::Busy) => it.lane.state != LaneState::Idle || it.lane.waiting > 0,
            Some(Lanes::Held) => it.lane.hold.is_some(),
            Some(Lanes::In(state)) => it.lane.state == state,
        };
        has_state && self.has_words(|| words_of_target(it))
    }

    /// Whether a deployment is among those that are asked for; of its outcome the list takes care.
    pub(super) fn wants_deployment(&self, it: &DeploymentRecord) -> bool {
        self.has_words(|| words_of_deployment(it))
    }

    /// Whether all words that are asked for are there.
    pub(super) fn has_words(&self, text: impl FnOnce() -> Vec<String>) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let text = text().join(" ").to_lowercase();
        self.words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

impl Lanes {
    pub(super) const ALL_STATES: [LaneState; 9] = LaneState::ALL;

    fn named(name: &str) -> Option<Self> {
        let state = || LaneState::ALL.into_iter().find(|state| state.as_str() == name).map(Self::In);
        match name {
            "busy" => Some(Self::Busy),
            "held" => Some(Self::Held),
            _ => state(),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Held => "held",
            Self::In(state) => state.as_str(),
        }
    }
}

fn span_of(value: &str) -> Option<u32> {
    let days = value.parse().ok()?;
    SPANS_DAYS.contains(&days).then_some(days)
}

fn words_of_target(it: &TargetRecord) -> Vec<String> {
    let mut words = vec![it.name.to_string(), it.id.to_string()];
    if let Some(running) = &it.running {
        words.push(running.definition.to_string());
        words.extend(running.images.iter().map(|image| named(&image.image)));
        words
            .extend(running.images.iter().filter_map(|image| image.digest.as_ref()).map(ToString::to_string));
    }
    words
}

fn words_of_deployment(it: &DeploymentRecord) -> Vec<String> {
    let mut words = vec![it.id.to_string(), it.name.to_string(), it.target.to_string()];
    words.extend(it.definition.as_ref().map(ToString::to_string));
    words.extend(it.rollout_id.as_ref().map(ToString::to_string));
    words.extend(it.cause.map(|cause| cause.as_str().replace('_', " ")));
    words.extend(it.reason.clone());
    words.extend(it.changes.iter().cloned());
    words.extend(it.triggers.iter().map(|origin| origin.reason.clone()));
    words
}

fn named(image: &ImageReference) -> String {
    let tag = image.named_tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    format!("{}{tag}", image.repository)
}

/// Percent-encoded, as one part of a path or one value behind the `?`.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::sample, status::sample::Sample};

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Asked::of(&pairs)
    }

    #[test]
    fn what_is_asked_stands_in_the_address_again() {
        let all = asked(&[
            ("q", "api & co"),
            ("state", "busy"),
            ("outcome", "rolled_back"),
            ("days", "7"),
            ("page", "3"),
            ("older", "ended.5.d-1"),
            ("live", ""),
        ]);
        let address =
            "/?q=api%20%26%20co&state=busy&outcome=rolled_back&days=7&page=3&older=ended.5.d-1&live";
        assert_eq!(all.at("/"), address);
        assert_eq!(Asked::default().at("/"), "/");
        assert!(all.is_narrowed() && !Asked::default().is_narrowed());
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let odd =
            [("state", "odd"), ("outcome", "odd"), ("days", "8"), ("page", "-1"), ("older", "x"), ("z", "")];
        assert_eq!(asked(&odd), Asked::default());
        assert_eq!(asked(&[("page", "0")]).page, 0);
        assert_eq!(asked(&[("q", &"x".repeat(999))]).words.len(), 200);
    }

    #[test]
    fn every_word_has_to_be_there_somewhere_whatever_its_case() {
        let sample = Sample::busy();
        let found = |words: &str| {
            let asked = asked(&[("q", words)]);
            let names = sample.snapshot.targets.iter().filter(|it| asked.wants_target(it));
            names.map(|it| it.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("SHOP_cart:1.4"), ["cart"]);
        assert_eq!(found("chubby eu-west-1 mail"), ["mail"]);
        assert_eq!(found("chubby nothing"), [""; 0]);
        assert_eq!(found("").len(), 4);
    }

    #[test]
    fn a_deployment_is_found_by_its_cause_and_by_why_it_was_asked_for() {
        let it = sample::rolled_back();
        for words in ["crash loop", "0af3c1 ready", "d-bad0", "ecs-svc/8001", "shop_api:broken"] {
            assert!(asked(&[("q", words)]).wants_deployment(&it), "{words}");
        }
        assert!(!asked(&[("q", "image pull")]).wants_deployment(&it));
    }

    #[test]
    fn lanes_are_narrowed_to_a_state_or_to_those_that_do_something() {
        let sample = Sample::busy();
        let count = |state: &str| {
            let asked = asked(&[("state", state)]);
            sample.snapshot.targets.iter().filter(|it| asked.wants_target(it)).count()
        };
        assert_eq!([count("busy"), count("idle"), count("blocked"), count("starting")], [3, 1, 1, 0]);
    }
}
