//! What is sent when a letter is put back.

use std::collections::BTreeMap;

use super::letter::Letter;
use crate::domain::letter;

/// One message to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Parcel {
    pub(in crate::cli) body: String,
    pub(in crate::cli) attributes: BTreeMap<String, String>,
}

/// The message that puts this letter back: its body, and beside it what it is for and what orders it. One that SQS or
/// EventBridge set aside has the version of its event, and by having one it gets a new floor.
///
/// # Errors
/// If that does not fit into one message: without it, the event would reach others, or be ordered wrongly.
pub(in crate::cli) fn parcel(
    letter: &Letter,
    body: &str,
    force: bool,
    by: Option<&str>,
    room: usize,
) -> Result<Parcel, String> {
    let target = letter.said.target.as_ref().map(|target| match target {
        Ok(target) => target.to_string(),
        Err(wrong) => wrong.text().to_owned(),
    });
    let version = (!force).then_some(letter.version);
    let wanted = letter::put_back(&letter.id, target.as_deref(), version, by);
    let (body, attributes) = letter::parcel_back(body, wanted, room).ok_or_else(|| {
        let bytes = body.len();
        format!("its body of {bytes} bytes leaves no room beside it: the queue takes {room} bytes")
    })?;
    Ok(Parcel { body: body.into_owned(), attributes })
}

#[cfg(test)]
mod tests {
    use super::{
        super::letter::tests::{SENT_AT_MILLIS, TARGET, at, message, set_aside},
        *,
    };
    use crate::{aws::queue::RawMessage, domain::letter::Said};

    const ROOM: usize = 10_000;

    fn sent(message: &RawMessage, force: bool) -> (String, Said) {
        let parcel =
            parcel(&Letter::read(message), &message.body, force, Some("ann"), ROOM).expect("it fits");
        (parcel.body, Said::read(&parcel.attributes))
    }

    #[test]
    fn a_letter_goes_back_with_its_body_its_target_and_its_version() {
        let (body, said) = sent(&set_aside(), false);
        assert_eq!(body, set_aside().body);
        assert_eq!(said.version(at(500_000)), Some(at(10_000)));
        assert_eq!((said.target, said.by.as_deref()), (Some(TARGET.parse()), Some("ann")));
        assert_eq!(said.id, Some(Letter::read(&set_aside()).id));
    }

    #[test]
    fn why_it_was_set_aside_stays_behind() {
        let (_, said) = sent(&set_aside(), false);
        assert_eq!((said.reason, said.deployment, said.outcome, said.time), (None, None, None, None));
    }

    #[test]
    fn a_forced_letter_is_as_new_as_the_message_that_brings_it() {
        let (_, said) = sent(&set_aside(), true);
        assert_eq!(said.version(at(500_000)), Some(at(500_000)));
        assert_eq!(said.target, Some(TARGET.parse()));
    }

    #[test]
    fn what_somebody_else_set_aside_goes_back_with_the_version_of_its_event() {
        let (_, said) = sent(&message(&[("ERROR_CODE", "NO_PERMISSIONS")]), false);
        assert_eq!((said.version(at(500_000)), said.target), (Some(at(10_000)), None));
        let timeless = RawMessage { body: r#"{"source":"x","detail-type":"y"}"#.into(), ..message(&[]) };
        let (_, said) = sent(&timeless, false);
        assert_eq!(said.version(at(500_000)), Some(at(SENT_AT_MILLIS)));
    }

    #[test]
    fn a_target_that_nobody_understands_is_not_left_out() {
        let wrong = message(&[("lockkeeper.target", "api"), ("lockkeeper.version", "1970-01-01T00:00:10Z")]);
        let (_, said) = sent(&wrong, false);
        assert!(matches!(said.target, Some(Err(_))), "{:?}", said.target);
    }

    #[test]
    fn what_does_not_fit_with_its_target_and_version_is_not_sent() {
        let message = set_aside();
        let room = message.body.len() / 2;
        assert!(parcel(&Letter::read(&message), &message.body, false, None, room).is_err());
        let spaced = RawMessage { body: message.body.replace(',', ",          "), ..message.clone() };
        let room = message.body.len() + 200;
        assert!(spaced.body.len() + 200 > room);
        let sent =
            parcel(&Letter::read(&spaced), &spaced.body, false, None, room).expect("it is written shorter");
        assert!(sent.body.len() < spaced.body.len());
        assert_eq!(Said::read(&sent.attributes).target, Some(TARGET.parse()));
    }
}
