//! What keeps a target back: a pause, or the hold that a rollback leaves behind.
//!
//! The tags of its service tell, so that it survives every crash, shows in the console, and can be set there by hand.
//! A third tag keeps when a target was last resumed: a pause that was decided before that, and comes late, is known as such.
//!
//! What was asked for while a target was paused has waited for the resume. So that a rollback among it holds its target still,
//! whether its hold was tagged before the resume or comes after it, that tag keeps since when the target had been paused, too.
//! The next resume ends such a hold, and its tag says so in the same way.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use super::{HoldKind, HoldRecord, TargetId, Timestamp, redacted};

/// The longest value of a tag, in characters: ECS's limit.
const VALUE_CHARS: usize = 256;
/// Who decided takes no more of it than this.
const WHO_CHARS: usize = 64;
/// What stands between the parts of a value.
const BETWEEN: &str = " / ";
/// What stands between the two times of one part.
const UNTIL: char = '/';
/// By so much the clocks of whoever decides and of AWS may be apart.
const CLOCKS_APART: Duration = Duration::from_mins(10);
/// How long two times are at most.
const TIMES_CHARS: usize = "1970-01-01T00:00:00.001Z/1970-01-01T00:00:00.001Z".len();

/// What the tags of a service say.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holds {
    /// Nothing is started.
    pub paused: Option<HoldNote>,
    /// It was rolled back, and no other content is rolled out.
    pub held: Option<HoldNote>,
    /// When it was last resumed.
    pub resumed: Option<HoldNote>,
}

/// When something was decided, by whom, and why; as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldNote {
    /// Since when the target was paused, if that was before this: by an earlier pause, or by the one that a resume ended.
    pub from: Option<Timestamp>,
    /// When: the version of the decision.
    pub since: Option<Timestamp>,
    /// By whom.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// What is decided about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldVerb {
    /// Somebody pauses it.
    Pause,
    /// A rollback holds it.
    Hold,
    /// Somebody resumes it.
    Resume,
}

/// One decision about what keeps a target back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldDecision {
    /// Which kind.
    pub verb: HoldVerb,
    /// When it was made: orders decisions.
    pub version: Timestamp,
    /// Who made it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// A decision that the tags of a service are to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagOrder {
    /// The target.
    pub target: TargetId,
    /// What was decided.
    pub decision: HoldDecision,
}

impl Holds {
    /// The key of the tag of a paused service.
    pub const PAUSED: &'static str = "lockkeeper:paused";
    /// The key of the tag of one that was rolled back.
    pub const HELD: &'static str = "lockkeeper:held";
    /// The key of the tag that tells when a service was last resumed.
    pub const RESUMED: &'static str = "lockkeeper:resumed";

    /// From the tags of a service.
    pub fn from_tags<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut holds = Self::default();
        for (key, value) in tags {
            match key {
                Self::PAUSED => holds.paused = Some(HoldNote::read(value)),
                Self::HELD => holds.held = Some(HoldNote::read(value)),
                Self::RESUMED => holds.resumed = Some(HoldNote::read(value)),
                _ => {}
            }
        }
        holds
    }

    /// The same as it is read at this time. A time that is to come was written by hand, or by a clock that is wrong: whatever
    /// is decided until then would be outdated, and so it counts as none.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        let timed =
            |note: Option<HoldNote>| {
                let is_to_come = |at: Option<Timestamp>| at.is_some_and(|at| at > now + CLOCKS_APART);
                note.map(|note| {
                    if is_to_come(note.since) { HoldNote { from: None, since: None, ..note } } else { note }
                })
            };
        let Self { paused, held, resumed } = self;
        Self { paused: timed(paused), held: timed(held), resumed: timed(resumed) }
    }

    /// As the tags of a service.
    pub fn to_tags(&self) -> BTreeMap<&'static str, String> {
        let Self { paused, held, resumed } = self;
        let tags = [(Self::PAUSED, paused), (Self::HELD, held), (Self::RESUMED, resumed)];
        tags.into_iter().filter_map(|(key, note)| Some((key, note.as_ref()?.to_string()))).collect()
    }

    /// What they say once this was decided; `None` where they say as much already, or something newer. A resume of which
    /// only the first half was written is not said yet.
    pub fn after(&self, decision: &HoldDecision) -> Option<Self> {
        let HoldDecision { verb, version, .. } = decision;
        let is_known = |note: &Option<HoldNote>| {
            note.as_ref().and_then(|note| note.since).is_some_and(|since| since >= *version)
        };
        let mut after = self.clone();
        match verb {
            HoldVerb::Pause if !is_known(&self.resumed) && !is_known(&self.paused) => {
                after.paused = Some(HoldNote { from: self.paused_since(), ..decision.note() });
            }
            HoldVerb::Hold if !self.has_ended(*version) && !is_known(&self.held) => {
                after.held = Some(decision.note());
            }
            HoldVerb::Pause | HoldVerb::Hold => {}
            HoldVerb::Resume => after.resume(decision),
        }
        (after != *self).then_some(after)
    }

    fn resume(&mut self, decision: &HoldDecision) {
        let version = Some(decision.version);
        let from = self.paused_since().filter(|from| *from < decision.version);
        let is_newer = |at: &Timestamp| *at > decision.version;
        self.resumed = Some(match self.resumed.take() {
            // It was this one that ended the pause, and the newer one ended all that was held then.
            Some(newer) if newer.since > version => HoldNote { from: newer.from.filter(is_newer), ..newer },
            Some(same) if same.since == version => same,
            Some(_) | None => HoldNote { from, ..decision.note() },
        });
        let paused = self.paused.take().filter(|note| note.since > version);
        self.paused = paused.map(|note| HoldNote { from: note.from.filter(is_newer), ..note });
        let held = self.held.take();
        self.held = held.filter(|note| note.since.is_some_and(|since| !self.has_ended(since)));
    }

    /// Whether the hold of a rollback that was asked for at this time was ended by the last resume: not where that has ended the
    /// pause behind which the rollback waited.
    pub fn has_ended(&self, held: Timestamp) -> bool {
        let Some(HoldNote { from, since: Some(resumed), .. }) = self.resumed else { return false };
        held == resumed || held < resumed && from.is_none_or(|from| held < from)
    }

    /// Since when it is paused. Of a pause by hand no more is known than that it is younger than the last resume.
    fn paused_since(&self) -> Option<Timestamp> {
        let note = self.paused.as_ref()?;
        let resumed = || self.resumed.as_ref().and_then(|note| note.since);
        Some(note.from.or(note.since).or_else(resumed).unwrap_or_default())
    }

    /// What is shown of them: a pause, which keeps back more than a hold, or else that.
    pub fn record(&self) -> Option<HoldRecord> {
        let paused = self.paused.as_ref().map(|note| note.record(HoldKind::Paused));
        paused.or_else(|| self.held.as_ref().map(|note| note.record(HoldKind::Held)))
    }
}

impl HoldDecision {
    /// As a tag keeps it, so that what is read again is what was written.
    pub fn note(&self) -> HoldNote {
        let Self { version, by, reason, .. } = self;
        let note = HoldNote { from: None, since: Some(*version), by: by.clone(), reason: reason.clone() };
        HoldNote::read(&note.to_string())
    }
}

/// What a tag keeps of a reason, where that is not all of it: nothing but the signs that ECS takes there, and no more than
/// there is room for beside when and who.
pub fn kept_of_reason(by: &str, reason: &str) -> Option<String> {
    let since = Some(Timestamp::default());
    let note = HoldNote { from: None, since, by: Some(by.into()), reason: Some(reason.into()) };
    let kept = HoldNote::read(&note.to_string()).reason.unwrap_or_default();
    let is_all = kept.split_whitespace().eq(reason.split_whitespace());
    (!is_all).then(|| kept.to_string())
}

impl HoldNote {
    /// As people and the API are shown it.
    pub fn record(&self, kind: HoldKind) -> HoldRecord {
        let Self { from: _, since, by, reason } = self.clone();
        let reason = reason.map(|reason| redacted(&reason).into());
        HoldRecord { kind, by, since, reason }
    }

    /// From a tag's value. What somebody wrote there by hand is all reason.
    fn read(value: &str) -> Self {
        let filled = |text: &str| (!text.trim().is_empty() && text.trim() != "-").then(|| text.trim().into());
        let mut parts = value.splitn(3, BETWEEN);
        let (from, since) = times(parts.next().unwrap_or_default().trim());
        if since.is_none() {
            return Self { reason: filled(value), ..Self::default() };
        }
        Self { from, since, by: parts.next().and_then(filled), reason: parts.next().and_then(filled) }
    }
}

impl fmt::Display for HoldNote {
    /// The value of a tag: when, who and why, in the alphabet and the length that ECS takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &Option<Arc<str>>, chars| {
            let text = legal(text.as_deref().unwrap_or_default(), chars);
            if text.is_empty() { "-".to_owned() } else { text }
        };
        let who = part(&self.by, WHO_CHARS).replace(BETWEEN, "/");
        let from = self.from.map(|from| format!("{from}{UNTIL}")).unwrap_or_default();
        let times = self.since.map(|since| format!("{from}{since}{BETWEEN}")).unwrap_or_default();
        // So that what is kept of a reason does not depend on what it follows.
        let room = VALUE_CHARS.saturating_sub(TIMES_CHARS + who.chars().count() + 2 * BETWEEN.len());
        write!(f, "{times}{who}{BETWEEN}{}", part(&self.reason, room))
    }
}

/// The times of a note, as its tag's value says them: when, or from when until when.
fn times(text: &str) -> (Option<Timestamp>, Option<Timestamp>) {
    match text.split_once(UNTIL).map(|(from, since)| (Timestamp::parse(from), Timestamp::parse(since))) {
        Some((Some(from), Some(since))) => (Some(from), Some(since)),
        Some(_) => (None, None),
        None => (None, Timestamp::parse(text)),
    }
}

/// The text in the alphabet of tags' values, cut: letters, digits, spaces and some signs. All else is a space.
fn legal(text: &str, chars: usize) -> String {
    let text: String = text.chars().map(|c| if is_legal(c) { c } else { ' ' }).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let cut: String = words.join(" ").chars().take(chars).collect();
    cut.trim_end().to_owned()
}

/// Of the letters those that surely are such for ECS.
fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "_.:/=+-@".contains(c)
        || !c.is_ascii() && (c.is_lowercase() || c.is_uppercase())
        || matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(verb: HoldVerb, at: i64) -> HoldDecision {
        let version = Timestamp::from_millis(at);
        HoldDecision { verb, version, by: Some("ann".into()), reason: Some("a freeze".into()) }
    }

    /// What is paused or held after these decisions, in the order in which they come.
    fn after(decisions: &[(HoldVerb, i64)]) -> (bool, bool) {
        let mut holds = Holds::default();
        for (verb, at) in decisions {
            holds = holds.after(&decided(*verb, *at)).unwrap_or(holds);
        }
        (holds.paused.is_some(), holds.held.is_some())
    }

    #[test]
    fn the_newest_decision_is_in_force_in_whatever_order_they_come() {
        use HoldVerb::{Hold, Pause, Resume};
        assert_eq!(after(&[(Pause, 10)]), (true, false));
        for order in [[(Pause, 10), (Resume, 20)], [(Resume, 20), (Pause, 10)]] {
            assert_eq!(after(&order), (false, false));
        }
        for order in [[(Resume, 10), (Pause, 20)], [(Pause, 20), (Resume, 10)]] {
            assert_eq!(after(&order), (true, false));
        }
        assert_eq!(after(&[(Pause, 10), (Hold, 30), (Resume, 20)]), (false, true));
        assert_eq!(after(&[(Hold, 10), (Pause, 10)]), (true, true));
        for order in [[(Resume, 10), (Pause, 10)], [(Pause, 10), (Resume, 10)]] {
            assert_eq!(after(&order), (false, false), "at one time the resume wins");
        }
    }

    #[test]
    fn a_tag_whose_time_is_to_come_outdates_nothing_that_is_decided_before() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").expect("a time");
        let pause = HoldDecision { version: now, ..decided(HoldVerb::Pause, 0) };
        let paused = |resumed: &str| {
            let holds = Holds::from_tags([(Holds::RESUMED, resumed)]).as_of(now);
            let after = holds.after(&pause).unwrap_or(holds);
            (after.paused.is_some(), after.resumed.and_then(|note| note.by).as_deref() == Some("ann"))
        };
        assert_eq!(paused("2030-01-01T00:00:00Z / ann / -"), (true, true));
        assert_eq!(paused("2026-11-21T12:09:00Z / ann / -"), (false, true), "clocks may be that far apart");
        assert_eq!(paused("2026-11-21T11:00:00Z / ann / -"), (true, true));
    }

    #[test]
    fn a_rollback_that_waited_behind_a_pause_holds_until_the_second_resume_in_whatever_order_they_come() {
        use HoldVerb::{Hold, Pause, Resume};
        let (pause, hold, resume, again) = ((Pause, 10), (Hold, 20), (Resume, 30), (Resume, 40));
        for order in [[pause, hold, resume], [pause, resume, hold], [hold, pause, resume]] {
            assert_eq!(after(&order), (false, true), "{order:?}");
            assert_eq!(after(&[&order[..], &order].concat()), (false, true), "{order:?}, all of it again");
            assert_eq!(after(&[&order[..], &[again]].concat()), (false, false), "{order:?}");
            assert_eq!(after(&[&order[..], &[again], &order].concat()), (false, false), "{order:?}");
        }
        for order in [[pause, hold, again, resume], [pause, again, resume, hold]] {
            assert_eq!(after(&order), (false, false), "{order:?}");
        }
        assert_eq!(after(&[pause, (Pause, 25), hold, resume]), (false, true), "it was paused all the time");
        assert_eq!(after(&[pause, (Pause, 35), hold, resume]), (true, true));
        assert_eq!(after(&[pause, (Pause, 35), hold, resume, again]), (false, false));
        assert_eq!(after(&[hold, (Pause, 25), resume]), (false, false), "it was held before it was paused");
    }

    #[test]
    fn whoever_resumes_what_is_paused_by_hand_ends_no_hold_of_a_rollback_that_may_have_waited() {
        let by_hand = Holds::from_tags([(Holds::PAUSED, "looking into it")]);
        let resumed = by_hand.after(&decided(HoldVerb::Resume, 30)).unwrap();
        let held = resumed.after(&decided(HoldVerb::Hold, 20)).unwrap();
        assert!(held.held.is_some() && held.paused.is_none());
        assert_eq!(held.after(&decided(HoldVerb::Resume, 40)).unwrap().record(), None);
    }

    #[test]
    fn a_resume_that_says_nothing_of_a_pause_ended_all_that_was_held_before() {
        let resumed = Holds::from_tags([(Holds::RESUMED, "2026-11-21T12:10:00Z / ann / done")]);
        let at = Timestamp::parse("2026-11-21T12:05:00Z").unwrap();
        assert_eq!(resumed.after(&HoldDecision { version: at, ..decided(HoldVerb::Hold, 0) }), None);
        let value = "2026-11-21T12:00:00Z/2026-11-21T12:10:00Z / ann / done";
        let waited = Holds::from_tags([(Holds::RESUMED, value)]);
        assert_eq!(waited.to_tags()[Holds::RESUMED], value);
        assert!(waited.after(&HoldDecision { version: at, ..decided(HoldVerb::Hold, 0) }).is_some());
    }

    #[test]
    fn a_resume_that_was_interrupted_is_finished_when_it_is_made_again() {
        let paused = Holds::default().after(&decided(HoldVerb::Pause, 10)).unwrap();
        let resumed = paused.after(&decided(HoldVerb::Resume, 20)).unwrap();
        let half = Holds { resumed: resumed.resumed.clone(), ..paused };
        assert_eq!(half.after(&decided(HoldVerb::Resume, 20)), Some(resumed));
    }

    #[test]
    fn the_same_decision_again_changes_nothing() {
        for verb in [HoldVerb::Pause, HoldVerb::Hold, HoldVerb::Resume] {
            let once = Holds::default().after(&decided(verb, 10)).unwrap();
            assert_eq!(once.after(&decided(verb, 10)), None, "{verb:?}");
        }
    }

    #[test]
    fn a_pause_by_hand_holds_until_somebody_resumes() {
        let by_hand = Holds::from_tags([(Holds::PAUSED, "looking into it"), ("owner", "shop")]);
        let record = by_hand.record().unwrap();
        let (by, since, reason) = (record.by, record.since, record.reason.unwrap());
        assert_eq!((record.kind, by, since, &*reason), (HoldKind::Paused, None, None, "looking into it"));
        assert_eq!(by_hand.after(&decided(HoldVerb::Resume, 10)).unwrap().record(), None);
        let empty = Holds::from_tags([(Holds::PAUSED, "")]).record().unwrap();
        assert_eq!((empty.kind, empty.reason), (HoldKind::Paused, None));
    }

    #[test]
    fn tags_are_read_as_they_were_written() {
        let mut holds = Holds::default();
        for verb in [HoldVerb::Resume, HoldVerb::Pause, HoldVerb::Hold] {
            let at = if verb == HoldVerb::Resume { 10 } else { 1_790_000_000_123 };
            holds = holds.after(&decided(verb, at)).unwrap();
        }
        let tags = holds.to_tags();
        assert_eq!(tags[Holds::PAUSED], "2026-09-21T14:13:20.123Z / ann / a freeze");
        assert_eq!(Holds::from_tags(tags.iter().map(|(key, value)| (*key, value.as_str()))), holds);
        assert_eq!(holds.record().map(|it| it.kind), Some(HoldKind::Paused));
        let anonymous = HoldDecision { by: None, reason: None, ..decided(HoldVerb::Hold, 0) };
        let note = anonymous.note();
        assert_eq!(note.to_string(), "1970-01-01T00:00:00Z / - / -");
        assert_eq!((note.by, note.reason), (None, None));
    }

    #[test]
    fn a_value_is_one_that_ecs_takes_whatever_it_is_made_of() {
        let written = |by: &str, reason: &str| {
            let (by, reason) = (Some(by.into()), Some(reason.into()));
            HoldDecision { by, reason, ..decided(HoldVerb::Pause, 0) }.note()
        };
        let note = written("ann / bob <x>", "it's \"broken\", \u{301}really\n");
        assert_eq!(note.to_string(), "1970-01-01T00:00:00Z / ann/bob x / it s broken really");
        assert_eq!(kept_of_reason("ann", "it's \"broken\"").as_deref(), Some("it s broken"));
        assert_eq!(kept_of_reason("ann", " a  freeze: see shop/12 "), None);
        assert_eq!(kept_of_reason("ann", "!!!").as_deref(), Some(""));
        assert_eq!(kept_of_reason("ann", &"x".repeat(300)).map(|kept| kept.len()), Some(198));
        let note = written(&"ü".repeat(300), &"日".repeat(300));
        let [from, since] = [1, 2].map(|at| Some(Timestamp::from_millis(at)));
        let note = HoldNote { from, since, ..note };
        assert_eq!(note.to_string().chars().count(), VALUE_CHARS);
        assert_eq!(HoldNote::read(&note.to_string()), note);
        assert_eq!(note.by.unwrap().chars().count(), WHO_CHARS);
    }
}
