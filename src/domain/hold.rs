//! What keeps a target back: a pause, or the hold that a rollback leaves behind.
//!
//! The tags of its service tell, so that it survives every crash, shows in the console, and can be set there by hand.
//! A third tag keeps when a target was last resumed: a pause that was decided before that, and comes late, is known as such.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{HoldKind, HoldRecord, TargetId, Timestamp, redacted};

/// The longest value of a tag, in characters: ECS's limit.
const VALUE_CHARS: usize = 256;
/// Who decided takes no more of it than this.
const WHO_CHARS: usize = 64;
/// What stands between the parts of a value.
const BETWEEN: &str = " / ";

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
        let is_outdated = is_known(&self.resumed);
        let mut after = self.clone();
        match verb {
            HoldVerb::Pause if !is_outdated && !is_known(&self.paused) => {
                after.paused = Some(decision.note());
            }
            HoldVerb::Hold if !is_outdated && !is_known(&self.held) => {
                after.held = Some(decision.note());
            }
            HoldVerb::Pause | HoldVerb::Hold => {}
            HoldVerb::Resume => {
                let is_newer = |note: &HoldNote| note.since > Some(*version);
                after.paused = after.paused.filter(is_newer);
                after.held = after.held.filter(is_newer);
                if !is_outdated {
                    after.resumed = Some(decision.note());
                }
            }
        }
        (after != *self).then_some(after)
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
        let note = HoldNote { since: Some(*version), by: by.clone(), reason: reason.clone() };
        HoldNote::read(&note.to_string())
    }
}

/// What a tag keeps of a reason, where that is not all of it: nothing but the signs that ECS takes there, and no more than
/// there is room for beside when and who.
pub fn kept_of_reason(by: &str, reason: &str) -> Option<String> {
    // No time is longer in words than one with milliseconds.
    let since = Some(Timestamp::from_millis(1));
    let note = HoldNote { since, by: Some(by.into()), reason: Some(reason.into()) };
    let kept = HoldNote::read(&note.to_string()).reason.unwrap_or_default();
    let is_all = kept.split_whitespace().eq(reason.split_whitespace());
    (!is_all).then(|| kept.to_string())
}

impl HoldNote {
    /// As people and the API are shown it.
    pub fn record(&self, kind: HoldKind) -> HoldRecord {
        let Self { since, by, reason } = self.clone();
        let reason = reason.map(|reason| redacted(&reason).into());
        HoldRecord { kind, by, since, reason }
    }

    /// From a tag's value. What somebody wrote there by hand is all reason.
    fn read(value: &str) -> Self {
        let filled = |text: &str| (!text.trim().is_empty() && text.trim() != "-").then(|| text.trim().into());
        let mut parts = value.splitn(3, BETWEEN);
        let since = parts.next().and_then(|first| Timestamp::parse(first.trim()));
        if since.is_none() {
            return Self { since, by: None, reason: filled(value) };
        }
        Self { since, by: parts.next().and_then(filled), reason: parts.next().and_then(filled) }
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
        let since = self.since.map(|since| format!("{since}{BETWEEN}")).unwrap_or_default();
        let room = VALUE_CHARS.saturating_sub(since.chars().count() + who.chars().count() + BETWEEN.len());
        write!(f, "{since}{who}{BETWEEN}{}", part(&self.reason, room))
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
        assert_eq!(kept_of_reason("ann", &"x".repeat(300)).map(|kept| kept.len()), Some(223));
        let note = written(&"ü".repeat(300), &"日".repeat(300));
        assert_eq!(note.to_string().chars().count(), VALUE_CHARS);
        assert_eq!(note.by.unwrap().chars().count(), WHO_CHARS);
    }
}
