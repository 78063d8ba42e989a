//! What reconcile finds, as a message: decoding understands it as the event that was lost.

use lockkeeper::{
    decode::decode,
    domain::{Digest, Event, PushedImage, RECONCILE_SOURCE, Timestamp, Trigger, Write},
    inventory::lost,
};

fn event(trigger: Trigger) -> Event {
    Event {
        id: "lockkeeper-reconcile-1".into(),
        source: RECONCILE_SOURCE.into(),
        detail_type: lost::DETAIL_TYPE.into(),
        account: Some("111122223333".into()),
        region: Some("eu-west-1".into()),
        time: Timestamp::from_millis(1_234_567),
        replay: None,
        metadata: None,
        trigger,
    }
}

#[test]
fn a_lost_change_is_understood_as_the_event_that_was_lost() {
    let digest = Digest::from(format!("sha256:{:064x}", 7));
    let image = PushedImage {
        repository: "shop/api".into(),
        tag: "latest".into(),
        digest: Some(digest),
        is_index: None,
    };
    let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/api-AbCd12";
    for trigger in [
        Trigger::ImagePushed(image),
        Trigger::ParameterChanged { name: "/shop/\"KEY\"".into(), change: Write::Updated },
        Trigger::SecretChanged { secret: arn.into(), change: Write::Updated },
        Trigger::EnvFileChanged { bucket: "env".into(), key: "a b/ä.env".into(), change: Write::Updated },
    ] {
        let event = event(trigger);
        let body = lost::body(&event).unwrap();
        assert_eq!(decode(body.as_bytes(), Timestamp::from_millis(9_999_999)), event, "{body}");
    }
}

#[test]
fn what_no_reading_could_have_found_has_no_body() {
    assert_eq!(lost::body(&event(Trigger::Ignored("x".into()))), None);
}
