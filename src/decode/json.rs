//! Reading JSON field by field: nothing that is not asked for is kept, and whoever sent a wrong field is told which.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

use super::Reason;
use crate::domain::harmless;

/// How much of an event's text a reason quotes, in characters.
const QUOTED_CHARS: usize = 200;
/// How much of a text that is only shown to people is kept, in characters.
const NOTE_CHARS: usize = 1_000;
/// How many items of a list are read. A task has some ten containers, and every other list that we read has one item.
const ITEMS: usize = 64;
/// How many fields of an object are shown one by one.
const FIELDS: usize = 256;

/// The text of a JSON object, with the name that reasons call it by. Each [`pick`](Self::pick) reads it anew.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    name: Name,
    text: &'a str,
}

/// A field of an object, read only as far as its borders.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    of: Name,
    name: &'static str,
    raw: Option<&'a str>,
}

/// What reasons call an object.
#[derive(Clone, Copy)]
enum Name {
    /// Words, as `the message's body`.
    Words(&'static str),
    /// The key under which it stands.
    Key(&'static str),
}

impl<'a> Object<'a> {
    /// What begins like an object. Whether it is one shows at the first [`pick`](Self::pick).
    pub(super) fn new(called: &'static str, text: &'a str) -> Result<Self, Reason> {
        let text = text.trim_ascii_start();
        match text.as_bytes().first() {
            Some(b'{') => Ok(Self { name: Name::Words(called), text }),
            Some(_) => Err(format!("{called} is {}, and must be a JSON object", shape(text))),
            None => Err(format!("{called} is empty, and must be a JSON object")),
        }
    }

    /// The fields of these names, in this order. A name that stands twice is an error: nobody could say which is meant.
    pub(super) fn pick<const N: usize>(self, names: [&'static str; N]) -> Result<[Field<'a>; N], Reason> {
        let mut found = [None; N];
        let mut reader = Deserializer::from_str(self.text);
        reader
            .deserialize_map(Pick { names: &names, found: &mut found })
            .and_then(|()| reader.end())
            .map_err(|error| format!("{} is not JSON that can be read: {error}", self.name))?;
        Ok(std::array::from_fn(|at| Field { of: self.name, name: names[at], raw: found[at] }))
    }

    /// Shows each of the first fields, by its key and its JSON text, as far as the object can be read.
    pub(super) fn each(self, show: impl FnMut(&str, &'a str)) {
        let _ = Deserializer::from_str(self.text).deserialize_map(Each(show));
    }

    /// The object that this JSON text is, if it is one.
    pub(super) fn within(text: &'a str) -> Option<Self> {
        Self::new("it", text).ok()
    }
}

impl<'a> Field<'a> {
    /// Whether it is there, and not null.
    pub(super) fn is_present(self) -> bool {
        self.raw().is_some()
    }

    /// The text, if the field is there.
    pub(super) fn text(self) -> Result<Option<Cow<'a, str>>, Reason> {
        let Some(raw) = self.raw() else { return Ok(None) };
        let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.ok_or_else(|| self.must_be("a text"))?;
        if inner.contains('\\') {
            let text = serde_json::from_str(raw).map_err(|error| self.unreadable(&error))?;
            return Ok(Some(Cow::Owned(text)));
        }
        Ok(Some(Cow::Borrowed(inner)))
    }

    /// The text; an error if the field is not there or empty.
    pub(super) fn filled(self) -> Result<Cow<'a, str>, Reason> {
        match self.text()? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(format!("{self} is empty")),
            None => Err(format!("{self} is missing")),
        }
    }

    /// A text that is only shown to people: trimmed, made harmless and cut; `None` if nothing remains.
    pub(super) fn note(self) -> Result<Option<Arc<str>>, Reason> {
        let Some(text) = self.text()? else { return Ok(None) };
        let text = text.trim();
        Ok((!text.is_empty()).then(|| harmless(text, NOTE_CHARS).into()))
    }

    /// The whole number, if the field is there.
    pub(super) fn number<T: FromStr>(self) -> Result<Option<T>, Reason> {
        let Some(raw) = self.raw() else { return Ok(None) };
        raw.parse().map(Some).map_err(|_| match kind(raw) {
            "a number" => format!("{self} is {}, and must be a whole number in range", quoted(raw)),
            _ => self.must_be("a whole number"),
        })
    }

    /// The flag, if the field is there. People type `"true"` where they mean `true`.
    pub(super) fn flag(self) -> Result<Option<bool>, Reason> {
        let Some(raw) = self.raw() else { return Ok(None) };
        match raw.trim_matches('"').trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(self.must_be("true or false")),
        }
    }

    /// The object; an error if the field is not there.
    pub(super) fn object(self) -> Result<Object<'a>, Reason> {
        match self.raw() {
            Some(raw) if raw.starts_with('{') => Ok(Object { name: Name::Key(self.name), text: raw }),
            Some(_) => Err(self.must_be("an object")),
            None => Err(format!("{self} is missing")),
        }
    }

    /// The first items of the list, each under the name of the list; none if the field is not there.
    pub(super) fn items(self) -> Result<Vec<Self>, Reason> {
        let Some(raw) = self.raw() else { return Ok(Vec::new()) };
        if !raw.starts_with('[') {
            return Err(self.must_be("a list"));
        }
        let items = Deserializer::from_str(raw).deserialize_seq(Items);
        let items = items.map_err(|error| self.unreadable(&error))?;
        Ok(items.into_iter().map(|item| Self { raw: Some(item.get()), ..self }).collect())
    }

    /// The JSON text of the field as it stands, unless it is null.
    pub(super) fn raw(self) -> Option<&'a str> {
        self.raw.filter(|raw| *raw != "null")
    }

    /// A reason that quotes what stands here and says what would be right.
    pub(super) fn must_be(self, right: &str) -> Reason {
        match self.raw() {
            Some(raw) => format!("{self} is {}, and must be {right}", kind(raw)),
            None => format!("{self} is missing, and must be {right}"),
        }
    }

    fn unreadable(self, error: &serde_json::Error) -> Reason {
        format!("{self} cannot be read: {error}")
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {}", self.name, self.of)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Key(key) => write!(f, "`{key}`"),
        }
    }
}

/// Between backticks, harmless and cut: how a reason quotes an event.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", harmless(text, QUOTED_CHARS))
}

/// What a piece of valid JSON is, in words.
fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') | None => "nothing",
        Some(_) => "a number",
    }
}

/// What Lambda's sample event of a queue holds, which many a test sends on.
const SAMPLE: &str = "Message Body";

/// What is no object, in words: nobody knows which part of it may be a secret, so none is quoted.
fn shape(text: &str) -> String {
    if text == SAMPLE {
        return format!("the text of a sample, {}", quoted(SAMPLE));
    }
    let begins = match text.chars().next() {
        Some('[') => "`[`",
        Some('"') => "a quote",
        Some(c) if c.is_numeric() => "a digit",
        Some(c) if c.is_alphabetic() => "a letter",
        Some(_) | None => "a sign",
    };
    format!("a text of {} bytes that begins with {begins}", text.len())
}

/// Keeps the borders of the values whose names are asked for, and passes over all others.
struct Pick<'p, 'a> {
    names: &'p [&'static str],
    found: &'p mut [Option<&'a str>],
}

impl<'a> Visitor<'a> for Pick<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(at) = map.next_key_seed(Position(self.names))? {
            let Some(at) = at else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &'a RawValue = map.next_value()?;
            if self.found[at].replace(value.get()).is_some() {
                return Err(A::Error::custom(format_args!("`{}` stands there twice", self.names[at])));
            }
        }
        Ok(())
    }
}

/// Shows the first fields, and passes over the rest.
struct Each<F>(F);

impl<'a, F: FnMut(&str, &'a str)> Visitor<'a> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        for _ in 0..FIELDS {
            let Some(key) = map.next_key::<Cow<'a, str>>()? else { return Ok(()) };
            let value: &'a RawValue = map.next_value()?;
            (self.0)(&key, value.get());
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads a key as its position among the names, without keeping it.
struct Position<'p>(&'p [&'static str]);

impl<'a> DeserializeSeed<'a> for Position<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'a>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Position<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

/// Keeps the first items of a list, and passes over the rest.
struct Items;

impl<'a> Visitor<'a> for Items {
    type Value = Vec<&'a RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < ITEMS {
            let Some(item) = list.next_element()? else { return Ok(items) };
            items.push(item);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(json: &str) -> Field<'_> {
        Field { of: Name::Key("detail"), name: "x", raw: Some(json) }
    }

    #[test]
    fn only_what_is_asked_for_is_picked_and_in_that_order() {
        let object = Object::new("it", r#" {"b": [1], "c": {"a": 5}, "a": "x"} "#).expect("an object");
        let [a, b, none] = object.pick(["a", "b", "d"]).expect("valid");
        assert_eq!((a.raw(), b.raw(), none.raw()), (Some("\"x\""), Some("[1]"), None));
    }

    #[test]
    fn fields_are_shown_as_far_as_they_can_be_read_and_no_more_than_256() {
        let shown = |text: &str| {
            let mut shown = Vec::new();
            Object::new("it", text).expect("an object").each(|key, raw| shown.push(format!("{key}={raw}")));
            shown
        };
        assert_eq!(shown(r#"{"a": [1], "b": "x", "c": }"#), ["a=[1]", r#"b="x""#]);
        let many: Vec<String> = (0..300).map(|n| format!("\"k{n}\":1")).collect();
        assert_eq!(shown(&format!("{{{}}}", many.join(","))).len(), FIELDS);
        assert!(Object::within("[1]").is_none() && Object::within("{}").is_some());
    }

    #[test]
    fn a_key_is_found_however_it_is_escaped() {
        let object = Object::new("it", r#"{"serv\u0069ce": "api"}"#).expect("an object");
        let [service] = object.pick(["service"]).expect("valid");
        assert_eq!(service.text().expect("a text").as_deref(), Some("api"));
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_by_name() {
        let object = Object::new("it", r#"{"a": 1, "a": 2}"#).expect("an object");
        let reason = object.pick(["a"]).err().expect("refused");
        assert!(reason.contains("`a` stands there twice"), "{reason}");
        assert!(object.pick(["b"]).is_ok(), "what nobody asks for may stand there twice");
    }

    #[test]
    fn what_stands_behind_the_object_is_refused() {
        let object = Object::new("it", r#"{"a": 1} {"#).expect("begins like one");
        assert!(object.pick(["a"]).is_err());
    }

    #[test]
    fn a_wrong_type_is_named_with_what_would_be_right() {
        assert_eq!(field("5").text(), Err("`x` in `detail` is a number, and must be a text".into()));
        assert_eq!(
            field("[]").number::<u64>(),
            Err("`x` in `detail` is a list, and must be a whole number".into())
        );
        assert_eq!(
            field("-1").number::<u64>(),
            Err("`x` in `detail` is `-1`, and must be a whole number in range".into())
        );
        assert!(field("1e999").number::<i32>().is_err());
        assert!(field("{}").items().is_err());
        assert!(field("\"\"").object().is_err());
    }

    #[test]
    fn null_counts_as_absent() {
        assert_eq!(field("null").text(), Ok(None));
        assert_eq!(field("null").number::<u64>(), Ok(None));
        assert_eq!(field("null").filled(), Err("`x` in `detail` is missing".into()));
        assert_eq!(field("\"\"").filled(), Err("`x` in `detail` is empty".into()));
    }

    #[test]
    fn a_flag_may_be_typed_as_a_text() {
        assert_eq!(field("true").flag(), Ok(Some(true)));
        assert_eq!(field("\" False \"").flag(), Ok(Some(false)));
        assert!(field("1").flag().is_err());
    }

    #[test]
    fn half_a_surrogate_pair_is_an_error() {
        assert!(field(r#""\ud800""#).text().is_err());
        assert_eq!(field(r#""\ud83d\ude00""#).text().expect("a pair").as_deref(), Some("😀"));
    }

    #[test]
    fn a_list_is_read_as_far_as_it_could_matter() {
        let long = format!("[{}0]", "0,".repeat(500_000));
        assert_eq!(field(&long).items().expect("a list").len(), ITEMS);
    }

    #[test]
    fn what_is_no_object_or_no_flag_is_not_quoted() {
        let reason = |text| Object::new("it", text).err().expect("refused");
        assert_eq!(
            reason("PLANTED it"),
            "it is a text of 10 bytes that begins with a letter, and must be a JSON object"
        );
        assert!(reason("[1]").contains("begins with `[`"));
        assert_eq!(reason(SAMPLE), "it is the text of a sample, `Message Body`, and must be a JSON object");
        let flag = field(r#"{"DB":"PLANTED"}"#).flag();
        assert_eq!(flag, Err("`x` in `detail` is an object, and must be true or false".into()));
    }

    #[test]
    fn a_quote_is_short_and_cannot_break_a_line() {
        let quote = quoted(&format!("a\nb\u{202e}{}", "x".repeat(9_000)));
        assert!(quote.starts_with("`a\u{fffd}b\u{fffd}xxx") && quote.ends_with("x…`"), "{quote}");
        assert_eq!(quote.chars().count(), QUOTED_CHARS + 3);
    }

    #[test]
    fn a_note_is_trimmed_and_an_empty_one_is_none() {
        assert_eq!(field(r#"" fix\n it ""#).note(), Ok(Some("fix\u{fffd} it".into())));
        assert_eq!(field(r#"" ""#).note(), Ok(None));
    }
}
