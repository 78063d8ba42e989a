//! What is said about a message that is set aside or put back: its attributes.
//!
//! A letter is a message in the dead-letter queue: the body as it was received, and beside it why it is there. Put
//! back, it carries what confines and orders it: a target, and the version of what it asks for. One that is forced has
//! none, so that what it asks for is as new as the message.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    Cause, DeploymentId, EventId, NotATargetId, Outcome, TargetId, Timestamp, fingerprint, harmless, redacted,
};

/// The names of the attributes. SQS takes ten at most.
pub mod name {
    /// The same for the same event, target and body.
    pub const ID: &str = "lockkeeper.id";
    /// Why it was set aside, in one line.
    pub const REASON: &str = "lockkeeper.reason";
    /// The only target that it is for.
    pub const TARGET: &str = "lockkeeper.target";
    /// The deployment that failed.
    pub const DEPLOYMENT: &str = "lockkeeper.deployment";
    /// How that ended.
    pub const OUTCOME: &str = "lockkeeper.outcome";
    /// Why it failed.
    pub const CAUSE: &str = "lockkeeper.cause";
    /// How often it was tried.
    pub const ATTEMPTS: &str = "lockkeeper.attempts";
    /// When what it asks for was asked for.
    pub const VERSION: &str = "lockkeeper.version";
    /// When it was set aside.
    pub const TIME: &str = "lockkeeper.time";
    /// It was put back as something new.
    pub const FORCE: &str = "lockkeeper.force";
    /// Who put it back.
    pub const BY: &str = "lockkeeper.by";
}

/// No name of somebody who puts a letter back is longer, in characters.
const LONGEST_NAME_CHARS: usize = 256;

/// A reason longer than this says no more.
const LONGEST_REASON_BYTES: usize = 1024;

/// What is said for people alone, the least important first.
const FOR_PEOPLE: [&str; 4] = [name::TIME, name::ATTEMPTS, name::DEPLOYMENT, name::REASON];

/// SQS takes no message without a body: so much of it stays, whatever is said about it.
const LEAST_OF_A_BODY_BYTES: usize = 100;

/// A character that is written as two escapes: an escape that is cut in two is none.
const LONGEST_ESCAPE_BYTES: usize = 12;

/// What SQS counts of an attribute beside its name and value: its type.
const TYPE: &str = "String";

/// What the force attribute says where it says anything.
const FORCED: &str = "true";

/// What is said about a message that is set aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetter {
    /// The target to which a replay is confined; `None` for a message that nobody understands.
    pub target: Option<TargetId>,
    /// The deployment that failed.
    pub deployment: Option<DeploymentId>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why.
    pub cause: Option<Cause>,
    /// Why, in one line.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When the change was asked for: a replay keeps it.
    pub version: Timestamp,
}

/// What the attributes of a message say of it. What is absent, or cannot be read, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The same for the same event, target and body.
    pub id: Option<String>,
    /// Why it was set aside, in one line.
    pub reason: Option<String>,
    /// The only target that it is for; an error names what cannot be read.
    pub target: Option<Result<TargetId, NotATargetId>>,
    /// The deployment that failed.
    pub deployment: Option<String>,
    /// How that ended, as a label.
    pub outcome: Option<String>,
    /// Why it failed, as a label.
    pub cause: Option<String>,
    /// How often it was tried.
    pub attempts: Option<u32>,
    /// When it was set aside.
    pub time: Option<Timestamp>,
    /// Who put it back.
    pub by: Option<String>,
    version: Option<Timestamp>,
    is_forced: bool,
}

impl DeadLetter {
    /// For a message that nobody understands.
    pub fn malformed(reason: String, version: Timestamp) -> Self {
        Self { target: None, deployment: None, outcome: None, cause: None, reason, attempts: 0, version }
    }
}

impl Said {
    /// Reads the attributes of a message.
    pub fn read(attributes: &BTreeMap<String, String>) -> Self {
        let get = |name| attributes.get(name);
        let time = |name| get(name).and_then(|text| Timestamp::parse(text));
        Self {
            id: get(name::ID).cloned(),
            reason: get(name::REASON).map(|reason| redacted(reason).into_owned()),
            target: get(name::TARGET).map(|text| text.parse()),
            deployment: get(name::DEPLOYMENT).cloned(),
            outcome: get(name::OUTCOME).cloned(),
            cause: get(name::CAUSE).cloned(),
            attempts: get(name::ATTEMPTS).and_then(|text| text.parse().ok()),
            time: time(name::TIME),
            version: time(name::VERSION),
            by: get(name::BY).map(|by| harmless(by, LONGEST_NAME_CHARS)),
            is_forced: get(name::FORCE).is_some_and(|text| text == FORCED),
        }
    }

    /// When what the message asks for was asked for, if it was set aside before: when SQS got it, if that is earlier, or
    /// if it is forced. `None` for a message like any other, which is ordered by its event.
    pub fn version(&self, sent_at: Timestamp) -> Option<Timestamp> {
        if self.is_forced { Some(sent_at) } else { self.version.map(|version| version.min(sent_at)) }
    }

    /// Whether it was put back as something new.
    pub fn is_forced(&self) -> bool {
        self.is_forced
    }
}

/// The attributes of a message that is put back, by somebody where that is known: with the version that it keeps, or forced.
pub fn put_back(
    id: &str,
    target: Option<&str>,
    version: Option<Timestamp>,
    by: Option<&str>,
) -> BTreeMap<String, String> {
    let known = [
        (name::ID, Some(id.to_owned())),
        (name::TARGET, target.map(str::to_owned)),
        (name::VERSION, version.map(|version| version.to_string())),
        (name::FORCE, version.is_none().then(|| FORCED.to_owned())),
        (name::BY, by.map(|by| harmless(by, LONGEST_NAME_CHARS)).filter(|by| !by.is_empty())),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The attributes of a letter with this body that is sent now.
pub fn attributes(
    event: &EventId,
    body: &str,
    letter: &DeadLetter,
    now: Timestamp,
) -> BTreeMap<String, String> {
    let known = [
        (name::ID, Some(id(event, letter.target.as_ref(), body))),
        (
            name::REASON,
            Some(cut(&letter.reason, LONGEST_REASON_BYTES).to_owned()).filter(|it| !it.is_empty()),
        ),
        (name::TARGET, letter.target.as_ref().map(ToString::to_string)),
        (name::DEPLOYMENT, letter.deployment.as_ref().map(ToString::to_string)),
        (name::OUTCOME, letter.outcome.map(|outcome| outcome.as_str().to_owned())),
        (name::CAUSE, letter.cause.map(|cause| cause.as_str().to_owned())),
        (name::ATTEMPTS, Some(letter.attempts.to_string())),
        (name::VERSION, Some(letter.version.to_string())),
        (name::TIME, Some(now.to_string())),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The body and attributes that fit into one message that is set aside.
///
/// A message that nobody understood loses the end of its body, and its reason says so. One that may be replayed is written
/// shorter if need be: first without the space in it, then with its longest text cut, if it `means_the_same` without
/// the end of that. Where it still leaves no room, what is only said for people goes. What a replay is confined and
/// ordered by, and how the deployment ended, stays in any case: the last resort is to cut the body, which then is
/// not understood any more, and so not replayed by accident.
pub fn parcel(
    body: &str,
    mut attributes: BTreeMap<String, String>,
    is_understood: bool,
    room: usize,
    means_the_same: impl Fn(&str) -> bool,
) -> (Cow<'_, str>, BTreeMap<String, String>) {
    if body.len() + size(&attributes) <= room {
        return (body.into(), attributes);
    }
    if !is_understood {
        return cut_short(body, attributes, room);
    }
    let short = compact(body);
    if short.len() + size(&attributes) <= room {
        return (short, attributes);
    }
    let mut noted = attributes.clone();
    note(&mut noted, "a text in the body is cut: the body", body.len());
    let room_of_body = room.saturating_sub(size(&noted));
    if let Some(it) = with_its_longest_text_cut(&short, room_of_body).filter(|it| means_the_same(it)) {
        return (it.into(), noted);
    }
    for name in FOR_PEOPLE {
        attributes.remove(name);
        if short.len() + size(&attributes) <= room {
            return (short, attributes);
        }
    }
    cut_short(body, attributes, room)
}

/// The body and attributes of a message that is put back: whole, or not at all. Without its target and version the
/// event would reach others, or be ordered wrongly; its id, and who puts it back, are for those who look.
pub fn parcel_back(
    body: &str,
    mut attributes: BTreeMap<String, String>,
    room: usize,
) -> Option<(Cow<'_, str>, BTreeMap<String, String>)> {
    let fits = |body: &str, attributes: &BTreeMap<String, String>| body.len() + size(attributes) <= room;
    if fits(body, &attributes) {
        return Some((body.into(), attributes));
    }
    let short = compact(body);
    if !fits(&short, &attributes) {
        attributes.remove(name::BY);
    }
    if !fits(&short, &attributes) {
        attributes.remove(name::ID);
    }
    fits(&short, &attributes).then_some((short, attributes))
}

/// The beginning of the body, and a reason that says so.
fn cut_short(
    body: &str,
    mut attributes: BTreeMap<String, String>,
    room: usize,
) -> (Cow<'_, str>, BTreeMap<String, String>) {
    note(&mut attributes, "the end of the body is cut: it", body.len());
    shorten_reason(&mut attributes, room.saturating_sub(LEAST_OF_A_BODY_BYTES));
    let room = room.saturating_sub(size(&attributes));
    (cut(body, room).into(), attributes)
}

/// Adds to the reason what had to be cut.
fn note(attributes: &mut BTreeMap<String, String>, what: &str, bytes: usize) {
    let reason = attributes.entry(name::REASON.to_owned()).or_default();
    format!("{reason} ({what} had {bytes} bytes)").trim_start().clone_into(reason);
}

/// JSON in which the longest text lacks so much of its end that all of it fits, if that is enough.
fn with_its_longest_text_cut(json: &str, room: usize) -> Option<String> {
    let excess = json.len().checked_sub(room)?;
    let (mut longest, mut begin, mut escaped) = (0..0, None, false);
    for (at, byte) in json.bytes().enumerate() {
        match (byte, begin) {
            _ if escaped => escaped = false,
            (b'\\', Some(_)) => escaped = true,
            (b'"', None) => begin = Some(at + 1),
            (b'"', Some(from)) => {
                begin = None;
                if at - from > longest.len() {
                    longest = from..at;
                }
            }
            _ => {}
        }
    }
    let most = longest.end.checked_sub(excess)?;
    let is_text = |end: &usize| {
        let text = json.get(longest.start..*end);
        text.is_some_and(|text| serde_json::from_str::<Box<str>>(&format!("\"{text}\"")).is_ok())
    };
    let end = (0..=LONGEST_ESCAPE_BYTES).filter_map(|less| most.checked_sub(less)).find(is_text)?;
    Some(format!("{}{}", &json[..end], &json[longest.end..]))
}

/// Cuts the reason so that the attributes fit into the room.
fn shorten_reason(attributes: &mut BTreeMap<String, String>, room: usize) {
    let excess = size(attributes).saturating_sub(room);
    if let Some(reason) = attributes.get_mut(name::REASON) {
        *reason = cut(reason, reason.len().saturating_sub(excess)).to_owned();
    }
}

fn size(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + TYPE.len() + value.len()).sum()
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The id of a letter: the same event failing for the same target is the same letter, however often it is sent. Nobody
/// keeps senders from giving two events one id, so what the body says is part of it.
pub fn id(event: &EventId, target: Option<&TargetId>, body: &str) -> String {
    let target = target.map(ToString::to_string).unwrap_or_default();
    fingerprint(format!("{event}\n{target}\n{}", compact(body)), 8)
}

/// The same for bodies that say the same: one may have been written shorter.
pub fn print(body: &str) -> String {
    fingerprint(&*compact(body), 16)
}

/// JSON without the space between its tokens, which stay as they are written; anything else as it is.
fn compact(body: &str) -> Cow<'_, str> {
    if serde_json::from_str::<serde::de::IgnoredAny>(body).is_err() {
        return body.into();
    }
    let (mut in_text, mut escaped) = (false, false);
    let is_said = |it: &char| {
        let was_in_text = in_text;
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = in_text,
            '"' => in_text = !in_text,
            _ => {}
        }
        was_in_text || !matches!(it, ' ' | '\t' | '\n' | '\r')
    };
    body.chars().filter(is_said).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQS takes at most.
    const MAX_MESSAGE_BYTES: usize = 1 << 20;

    const BODY: &str = r#"{"id":"e-1","detail":{"service":"api"}}"#;

    fn letter() -> DeadLetter {
        DeadLetter {
            target: Some("111122223333/eu-west-1/shop/api".parse().unwrap()),
            deployment: Some("d-1".into()),
            outcome: Some(Outcome::RolledBack),
            cause: Some(Cause::ImagePull),
            reason: "no such image".into(),
            attempts: 1,
            version: Timestamp::from_millis(1_000),
        }
    }

    #[test]
    fn a_letter_without_a_reason_has_no_such_attribute() {
        let written = |reason: &str| {
            let letter = DeadLetter { reason: reason.into(), ..letter() };
            attributes(&"e-1".into(), BODY, &letter, Timestamp::default()).get(name::REASON).cloned()
        };
        assert_eq!((written(""), written("no such image")), (None, Some("no such image".into())));
    }

    #[test]
    fn what_fits_exactly_is_sent_as_it_is() {
        // SQS counts names, types and values: 15 + 6 + 1.
        let attributes = BTreeMap::from([("lockkeeper.time".to_owned(), "x".to_owned())]);
        for is_understood in [true, false] {
            let sent = |room| parcel("{ \"a\": 1 }", attributes.clone(), is_understood, room, |_| false);
            assert_eq!(sent(10 + 22), ("{ \"a\": 1 }".into(), attributes.clone()), "{is_understood}");
            assert_ne!(sent(10 + 21), ("{ \"a\": 1 }".into(), attributes.clone()), "{is_understood}");
        }
    }

    #[test]
    fn a_body_is_written_shorter_only_where_that_makes_it_shorter() {
        let kept = |body: &str| compact(body).into_owned();
        assert_eq!(
            kept("{ \"b c\": 1.0,\n\t\"a\": [\"\\\\\", \" \\\" , \"]}\r\n"),
            r#"{"b c":1.0,"a":["\\"," \" , "]}"#
        );
        assert_eq!(
            kept(r#"{"a": 12345678901234567890123, "a": 2}"#),
            r#"{"a":12345678901234567890123,"a":2}"#
        );
        assert_eq!(kept(r#"{ "a": 1"#), r#"{ "a": 1"#);
        assert_eq!(kept(r#"{"b":1,"a":2}"#), r#"{"b":1,"a":2}"#);
        assert_eq!(kept("{\"b\":\"\u{7f}\",\"c\":1e5}"), "{\"b\":\"\u{7f}\",\"c\":1e5}");
    }

    #[test]
    fn a_letter_that_comes_back_tells_its_target_and_keeps_its_version() {
        let written = attributes(&"e-1".into(), BODY, &letter(), Timestamp::from_millis(5_000));
        assert!(written.len() <= 10);
        let read = Said::read(&written);
        let late = Timestamp::from_millis(9_000);
        assert_eq!((read.version(late), read.target), (Some(letter().version), letter().target.map(Ok)));
    }

    #[test]
    fn an_event_that_fails_twice_for_one_target_is_one_letter() {
        let [one, again] =
            [1, 2].map(|at| attributes(&"e-1".into(), BODY, &letter(), Timestamp::from_millis(at)));
        assert_eq!(one["lockkeeper.id"], again["lockkeeper.id"]);
        let other = DeadLetter { target: None, ..letter() };
        assert_ne!(
            one["lockkeeper.id"],
            attributes(&"e-1".into(), BODY, &other, Timestamp::default())["lockkeeper.id"]
        );
    }

    #[test]
    fn two_requests_with_one_event_id_are_two_letters_however_they_are_written() {
        let id = |body: &str| id(&"e-1".into(), None, body);
        let spaced = BODY.replace(':', " : ");
        let other = BODY.replace("api", "web");
        assert_eq!((id(BODY), print(BODY)), (id(&spaced), print(&spaced)));
        assert_ne!(id(BODY), id(&other));
        assert_ne!(print(BODY), print(&other));
    }

    #[test]
    fn a_message_that_nobody_understood_is_cut_rather_than_set_aside_without_a_reason() {
        let body = "x".repeat(MAX_MESSAGE_BYTES);
        let malformed = DeadLetter { target: None, reason: "é".repeat(2_000), ..letter() };
        let written = attributes(&"e-1".into(), BODY, &malformed, Timestamp::default());
        let (body, written) = parcel(&body, written, false, MAX_MESSAGE_BYTES, |_| true);
        assert_eq!(body.len() + size(&written), MAX_MESSAGE_BYTES);
        assert!(written[name::REASON].ends_with("(the end of the body is cut: it had 1048576 bytes)"));
    }

    #[test]
    fn a_reason_that_is_longer_than_a_small_queue_takes_is_cut() {
        let malformed = DeadLetter::malformed("é".repeat(2_000), Timestamp::default());
        let written = attributes(&"e-1".into(), BODY, &malformed, Timestamp::default());
        let (body, written) = parcel("hello", written, false, 1_024, |_| true);
        assert_eq!(body, "hello");
        assert!(size(&written) <= 924 && size(&written) > 920, "{}", size(&written));
        assert!(written[name::REASON].starts_with("éé"));
    }

    /// A request of exactly so many bytes, nearly all of them in a text that nobody reads.
    fn junk(bytes: usize, fill: &str) -> String {
        let junk = |text: &str| format!(r#"{{"detail":{{"junk":"{text}","service":"api"}},"id":"e-1"}}"#);
        let fill = fill.repeat((bytes - junk("").len()) / fill.len());
        let rest = "x".repeat(bytes - junk(&fill).len());
        junk(&(rest + &fill))
    }

    fn service(body: &str) -> Option<String> {
        let value: serde_json::Value = serde_json::from_str(body).ok()?;
        Some(value["detail"]["service"].as_str()?.to_owned())
    }

    #[test]
    fn a_body_of_the_largest_message_makes_room_for_everything_that_is_said_about_it() {
        for fill in ["x", "é", "\\n", "\\u00e9", "\\ud83d\\ude00"] {
            let body = junk(MAX_MESSAGE_BYTES, fill);
            assert_eq!(body.len(), MAX_MESSAGE_BYTES);
            let written = attributes(&"e-1".into(), &body, &letter(), Timestamp::default());
            let same = |it: &str| service(it) == service(&body);
            let (kept, told) = parcel(&body, written.clone(), true, MAX_MESSAGE_BYTES, same);
            assert_eq!(service(&kept), Some("api".into()), "{fill}");
            let size = kept.len() + size(&told);
            assert!(size <= MAX_MESSAGE_BYTES && size > MAX_MESSAGE_BYTES - 20, "{fill}: {size}");
            let reason = "no such image (a text in the body is cut: the body had 1048576 bytes)";
            let expected = BTreeMap::from([(name::REASON.to_owned(), reason.to_owned())]);
            assert_eq!(told, written.into_iter().chain(expected).collect());
        }
    }

    #[test]
    fn a_large_body_is_kept_whole_as_long_as_only_words_for_people_are_in_its_way() {
        let body = junk(MAX_MESSAGE_BYTES - 250, "x");
        let written = attributes(&"e-1".into(), &body, &letter(), Timestamp::default());
        let (kept, told) = parcel(&body, written.clone(), true, MAX_MESSAGE_BYTES, |_| false);
        assert_eq!(kept, body);
        for name in [name::ID, name::TARGET, name::VERSION, name::OUTCOME, name::CAUSE] {
            assert_eq!(told.get(name), written.get(name), "{name}");
        }
        assert!(kept.len() + size(&told) <= MAX_MESSAGE_BYTES && !told.contains_key(name::TIME));
    }

    #[test]
    fn a_body_that_means_something_else_without_its_longest_text_is_cut_and_keeps_what_orders_it() {
        let body = junk(MAX_MESSAGE_BYTES, "x");
        let written = attributes(&"e-1".into(), &body, &letter(), Timestamp::default());
        let (kept, told) = parcel(&body, written.clone(), true, MAX_MESSAGE_BYTES, |_| false);
        assert!(body.starts_with(&*kept) && service(&kept).is_none());
        for name in [name::ID, name::TARGET, name::VERSION, name::OUTCOME, name::CAUSE] {
            assert_eq!(told.get(name), written.get(name), "{name}");
        }
        assert_eq!(told[name::REASON], "(the end of the body is cut: it had 1048576 bytes)");
        assert_eq!(kept.len() + size(&told), MAX_MESSAGE_BYTES);
    }

    #[test]
    fn an_ordinary_message_was_never_set_aside() {
        let read = Said::read(&BTreeMap::from([("other".into(), "x".into())]));
        assert_eq!((read.version(Timestamp::default()), read), (None, Said::default()));
    }

    #[test]
    fn what_is_put_back_keeps_its_version_and_what_is_forced_is_as_new_as_the_message() {
        let (old, sent) = (Timestamp::from_millis(1_000), Timestamp::from_millis(9_000));
        let target = "111122223333/eu-west-1/shop/api";
        let kept = Said::read(&put_back("i", Some(target), Some(old), None));
        assert_eq!((kept.version(sent), kept.is_forced()), (Some(old), false));
        assert_eq!(kept.target, Some(target.parse()));
        let forced = Said::read(&put_back("i", Some(target), None, Some("ann")));
        assert_eq!((forced.version(sent), forced.is_forced()), (Some(sent), true));
        assert_eq!(forced.target, Some(target.parse()));
    }

    #[test]
    fn nobody_claims_a_version_from_the_future() {
        let (late, sent) = (Timestamp::from_millis(9_000), Timestamp::from_millis(1_000));
        assert_eq!(Said::read(&put_back("i", None, Some(late), None)).version(sent), Some(sent));
    }
}
