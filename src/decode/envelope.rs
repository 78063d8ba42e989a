//! What stands around an event: EventBridge's envelope, and the wrappers that it may travel in.

use std::{borrow::Cow, sync::Arc};

use super::{
    Reason,
    json::{Field, Object, quoted},
};
use crate::domain::{EventId, Timestamp, fingerprint, harmless};

/// The longest id, source, detail-type or other name that is kept, in characters: EventBridge allows 256.
const NAME_CHARS: usize = 256;
/// The longest id that is taken over; EventBridge's have 36 characters, and SQS allows 256 in an attribute's name.
const ID_BYTES: usize = 128;

/// What a text turned out to be.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, for the length of one call")]
pub(super) enum Opened<'a> {
    /// An event.
    Event(Envelope<'a>),
    /// A wrapper: what stands in it, and what reasons call that.
    Wrapper(Cow<'a, str>, &'static str),
    /// Something that is known and asks nothing of us.
    Foreign(Reason),
}

/// An event as EventBridge writes it. Of its `detail` only the borders are known.
pub(super) struct Envelope<'a> {
    /// Who emitted it; never empty together with `detail_type`.
    pub(super) source: Cow<'a, str>,
    /// What kind of event it is.
    pub(super) detail_type: Cow<'a, str>,
    id: Field<'a>,
    account: Cow<'a, str>,
    region: Cow<'a, str>,
    time: Field<'a>,
    replay: Option<Arc<str>>,
    resources: Field<'a>,
    detail: Field<'a>,
}

/// Reads a text as far as its outermost layer.
pub(super) fn open<'a>(text: &'a str, called: &'static str) -> Result<Opened<'a>, Reason> {
    let object = Object::new(called, text)?;
    let [source, detail_type, id, account, region, time, replay, resources, detail] = object.pick([
        "source",
        "detail-type",
        "id",
        "account",
        "region",
        "time",
        "replay-name",
        "resources",
        "detail",
    ])?;
    if !source.is_present() && !detail_type.is_present() {
        return unwrap(object, called);
    }
    Ok(Opened::Event(Envelope {
        source: source.text()?.unwrap_or_default(),
        detail_type: detail_type.text()?.unwrap_or_default(),
        account: account.text()?.unwrap_or_default(),
        region: region.text()?.unwrap_or_default(),
        replay: replay.note()?,
        id,
        time,
        resources,
        detail,
    }))
}

impl<'a> Envelope<'a> {
    /// Says what is missing of an event's two names.
    pub(super) fn check(&self) -> Result<(), Reason> {
        match (&*self.source, &*self.detail_type) {
            ("", kind) => Err(format!("an event of type {} has no `source`", quoted(kind))),
            (source, "") => Err(format!("an event from {} has no `detail-type`", quoted(source))),
            _ => Ok(()),
        }
    }

    /// What the event carries, where its kind needs it.
    pub(super) fn detail(&self) -> Result<Object<'a>, Reason> {
        self.detail.object()
    }

    /// The text of what the event carries, for whoever reads all of it.
    pub(super) fn raw_detail(&self) -> &'a str {
        self.detail.raw().unwrap_or_default()
    }

    /// The ARNs that it is about, those of them that are texts.
    pub(super) fn resources(&self) -> Result<Vec<Cow<'a, str>>, Reason> {
        Ok(self.resources.items()?.into_iter().filter_map(|arn| arn.text().ok().flatten()).collect())
    }

    /// EventBridge's id; one made of the event's text where there is none that could be an id.
    pub(super) fn id(&self, text: &str) -> EventId {
        let plain = |id: &str| {
            !id.is_empty() && id.len() <= ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match self.id.text() {
            Ok(Some(id)) if plain(&id) => EventId::from(&*id),
            _ => id_of(text.as_bytes()),
        }
    }

    /// When it happened; when it was sent, where that cannot be read.
    pub(super) fn time(&self, sent_at: Timestamp) -> Timestamp {
        let time = self.time.text().ok().flatten();
        time.and_then(|time| Timestamp::parse(&time)).unwrap_or(sent_at)
    }

    /// The account that it happened in.
    pub(super) fn account<T: From<String>>(&self) -> Option<T> {
        name(&self.account)
    }

    /// The Region that it happened in.
    pub(super) fn region<T: From<String>>(&self) -> Option<T> {
        name(&self.region)
    }

    /// The replay that sent it again.
    pub(super) fn replay(&self) -> Option<Arc<str>> {
        self.replay.clone()
    }
}

/// An id for what has none: the same for the same bytes, so that a second delivery is known as one.
pub(super) fn id_of(bytes: &[u8]) -> EventId {
    format!("sha256:{}", fingerprint(bytes, 32)).into()
}

/// A name for keeping, cut where no real one would be.
pub(super) fn kept(name: &str) -> Arc<str> {
    harmless(name, NAME_CHARS).into()
}

fn name<T: From<String>>(text: &str) -> Option<T> {
    (!text.is_empty()).then(|| T::from(harmless(text, NAME_CHARS)))
}

/// What is no event may be something around one.
fn unwrap<'a>(object: Object<'a>, called: &'static str) -> Result<Opened<'a>, Reason> {
    let [kind, message, data, system, messages, records, s3_event] =
        object.pick(["Type", "Message", "Data", "SystemMetadata", "Messages", "Records", "Event"])?;
    if kind.is_present() && message.is_present() {
        return notification(kind, message);
    }
    if data.is_present() && system.is_present() {
        return Ok(Opened::Wrapper(text_or_json(data)?, "`Data` of the custom event bus"));
    }
    if messages.is_present() {
        let [body] = only(messages)?.pick(["Body"])?;
        return Ok(Opened::Wrapper(body.filled()?, "`Body` of the SQS message"));
    }
    if records.is_present() {
        return record(records);
    }
    match s3_event.text() {
        Ok(Some(event)) if event == "s3:TestEvent" => Ok(Opened::Foreign(past_eventbridge("a test event"))),
        _ => {
            Err(format!("{called} has neither `source` nor `detail-type`, and must be an EventBridge event"))
        }
    }
}

fn notification<'a>(kind: Field<'a>, message: Field<'a>) -> Result<Opened<'a>, Reason> {
    match &*kind.filled()? {
        "Notification" => Ok(Opened::Wrapper(message.filled()?, "`Message` of the SNS notification")),
        other => Err(format!(
            "an SNS message of type {} carries no event: a `Notification` would. If a subscription waits for \
             its confirmation, confirm it",
            quoted(other)
        )),
    }
}

fn record(records: Field<'_>) -> Result<Opened<'_>, Reason> {
    let Some(first) = records.items()?.into_iter().next() else {
        return Err("`Records` is empty, and must hold one SQS message".into());
    };
    let [source, name] = first.object()?.pick(["eventSource", "eventName"])?;
    match source.text()?.as_deref() {
        Some("aws:sqs") => {
            let [body] = only(records)?.pick(["body"])?;
            Ok(Opened::Wrapper(body.filled()?, "`body` of the SQS record"))
        }
        Some("aws:s3") => {
            let name = name.text()?.unwrap_or_default();
            Ok(Opened::Foreign(past_eventbridge(&format!("the notification {}", quoted(&name)))))
        }
        _ => Err(source.must_be("`aws:sqs`")),
    }
}

fn past_eventbridge(what: &str) -> Reason {
    format!(
        "{what} came from S3 directly: the bucket is wired past EventBridge. Remove the queue from the bucket's \
         notifications, and switch its EventBridge notifications on"
    )
}

fn only(list: Field<'_>) -> Result<Object<'_>, Reason> {
    match list.items()?.as_slice() {
        [one] => one.object(),
        items => Err(format!("{list} holds {} messages, and must hold one", items.len())),
    }
}

fn text_or_json(field: Field<'_>) -> Result<Cow<'_, str>, Reason> {
    match field.raw() {
        Some(json) if json.starts_with('{') => Ok(Cow::Borrowed(json)),
        _ => field.filled(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        decode::{decode, tests::sent, wrappers},
        domain::{Event, Trigger},
    };

    const DEPLOY: &str =
        r#"{"id":"e-1","source":"action.deploy","detail-type":"Deploy","detail":{"service":"web"}}"#;

    fn quote(text: &str) -> String {
        serde_json::to_string(text).expect("a text")
    }

    fn sns(inner: &str) -> String {
        format!(r#"{{"Type":"Notification","MessageId":"m","Message":{}}}"#, quote(inner))
    }

    fn read(body: &str) -> Event {
        decode(body.as_bytes(), sent())
    }

    fn malformed(body: &str) -> String {
        match read(body).trigger {
            Trigger::Malformed(reason) => reason,
            other => panic!("{body} became {other:?}"),
        }
    }

    #[test]
    fn every_wrapper_is_taken_off() {
        let bare = read(DEPLOY);
        assert!(matches!(bare.trigger, Trigger::DeployRequested(_)), "{bare:?}");
        for wrapped in [
            sns(DEPLOY),
            format!(r#"{{"Data":{DEPLOY},"Metadata":{{}},"SystemMetadata":{{"aws:DeliveryType":"LIVE"}}}}"#),
            format!(r#"{{"Data":{},"Metadata":{{}},"SystemMetadata":{{}}}}"#, quote(DEPLOY)),
            format!(r#"{{"Messages":[{{"MessageId":"m","Body":{}}}]}}"#, quote(DEPLOY)),
            format!(r#"{{"Records":[{{"eventSource":"aws:sqs","body":{}}}]}}"#, quote(DEPLOY)),
            format!(r#"{{"Messages":[{{"Body":{}}}]}}"#, quote(&sns(DEPLOY))),
        ] {
            assert_eq!(read(&wrapped), bare, "{wrapped}");
        }
    }

    #[test]
    fn the_wrappers_that_are_taken_off_can_be_named() {
        let wrapped = format!(r#"{{"Messages":[{{"Body":{}}}]}}"#, quote(&sns(DEPLOY)));
        assert_eq!(
            wrappers(wrapped.as_bytes()),
            ["`Body` of the SQS message", "`Message` of the SNS notification"]
        );
        for bare in [DEPLOY, "hello", "[]"] {
            assert!(wrappers(bare.as_bytes()).is_empty(), "{bare}");
        }
    }

    #[test]
    fn wrappers_within_wrappers_come_to_an_end() {
        let mut body = DEPLOY.to_owned();
        for _ in 0..super::super::MAX_WRAPPERS {
            body = sns(&body);
        }
        assert_eq!(read(&body), read(DEPLOY));
        assert!(malformed(&sns(&body)).contains("wrapped more than"));
        assert_eq!(wrappers(sns(&body).as_bytes()).len(), super::super::MAX_WRAPPERS);
    }

    #[test]
    fn a_wrapper_holds_one_message() {
        let two = format!(r#"{{"Messages":[{{"Body":{0}}},{{"Body":{0}}}]}}"#, quote(DEPLOY));
        assert!(malformed(&two).contains("holds 2 messages"), "{}", malformed(&two));
        assert!(malformed(r#"{"Messages":[]}"#).contains("holds 0 messages"));
        assert!(malformed(r#"{"Records":[]}"#).contains("is empty"));
    }

    #[test]
    fn what_a_wrapper_holds_is_named_where_it_is_no_event() {
        assert_eq!(
            malformed(&sns("hello")),
            "`Message` of the SNS notification is a text of 5 bytes that begins with a letter, and must be a JSON object"
        );
    }

    #[test]
    fn a_subscription_that_waits_for_its_confirmation_is_set_aside() {
        let reason = malformed(r#"{"Type":"SubscriptionConfirmation","Message":"You have chosen…"}"#);
        assert!(reason.contains("SubscriptionConfirmation") && reason.contains("confirm"), "{reason}");
    }

    #[test]
    fn a_bucket_wired_past_eventbridge_is_named_as_such() {
        for body in [
            r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Copy","s3":{"bucket":{}}}]}"#,
            r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-01T00:00:00Z","Bucket":"env"}"#,
        ] {
            let Trigger::Ignored(reason) = read(body).trigger else { panic!("{body} was taken") };
            assert!(reason.contains("past EventBridge"), "{reason}");
        }
    }

    #[test]
    fn what_is_no_event_says_what_would_be() {
        assert!(malformed(r#"{"EventType":"1"}"#).contains("must be an EventBridge event"));
        assert!(malformed(r#"{"source":"x.y"}"#).contains("no `detail-type`"));
        assert!(malformed(r#"{"detail-type":"X"}"#).contains("no `source`"));
        assert!(malformed(r#"{"source":5,"detail-type":"X"}"#).contains("`source`"));
        assert!(malformed("[]").contains("must be a JSON object"));
        assert!(malformed("  ").contains("is empty"));
        assert!(malformed(r#"{"source":"#).contains("not JSON"));
    }

    #[test]
    fn what_the_envelope_says_is_kept() {
        let event = read(
            r#"{"id":"e-9","source":"x.y","detail-type":"Z","account":"111122223333","region":"eu-west-1",
                "time":"2026-03-01T10:00:00Z","replay-name":"again"}"#,
        );
        assert_eq!(event.id.as_str(), "e-9");
        assert_eq!((&*event.source, &*event.detail_type), ("x.y", "Z"));
        assert_eq!(event.account, Some("111122223333".into()));
        assert_eq!(event.region, Some("eu-west-1".into()));
        assert_eq!(event.time.to_string(), "2026-03-01T10:00:00Z");
        assert_eq!(event.replay.as_deref(), Some("again"));
    }

    #[test]
    fn an_event_without_a_readable_time_happened_when_it_was_sent() {
        for time in ["", r#""time":null,"#, r#""time":17,"#, r#""time":"noon","#] {
            assert_eq!(read(&format!(r#"{{{time}"source":"x.y","detail-type":"Z"}}"#)).time, sent());
        }
    }

    #[test]
    fn an_event_without_an_id_gets_the_same_one_each_time_and_in_each_wrapper() {
        let [one, other] = ["web", "api"].map(|name| {
            let body =
                format!(r#"{{"source":"action.deploy","detail-type":"D","detail":{{"service":"{name}"}}}}"#);
            assert_eq!(read(&body).id, read(&sns(&body)).id);
            read(&body).id
        });
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), "sha256:".len() + 64);
    }

    #[test]
    fn what_cannot_be_an_id_is_none() {
        for id in [r#""""#, "7", r#""a b""#, r#""a\nb""#, &quote(&"x".repeat(500))] {
            let event = read(&format!(r#"{{"id":{id},"source":"x.y","detail-type":"Z"}}"#));
            assert!(event.id.as_str().starts_with("sha256:"), "{id} was taken");
        }
    }

    #[test]
    fn half_a_wrapper_is_none() {
        for half in [
            r#"{"Type":"Notification","Records":7}"#,
            r#"{"Message":"{}","Records":7}"#,
            r#"{"Data":"{}","Records":7}"#,
            r#"{"SystemMetadata":{},"Records":7}"#,
        ] {
            let object = super::Object::new("it", half).expect("an object");
            let reason = super::unwrap(object, "it").err().expect("no list of records");
            assert!(reason.contains("`Records`"), "{half}: {reason}");
        }
        let object = super::Object::new("it", r#"{"Event":"s3:AnotherEvent"}"#).expect("an object");
        assert!(
            super::unwrap(object, "it")
                .err()
                .is_some_and(|reason| reason.contains("must be an EventBridge event"))
        );
    }
}
