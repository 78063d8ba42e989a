use super::*;

fn size(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + TEXT.len() + value.len()).sum()
}

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_body_that_leaves_little_room_shortens_the_longest_attribute() {
    let long = "é".repeat(600);
    let sent = fit(MAX_MESSAGE_BYTES - 100, &attributes(&[("id", "abc"), ("reason", &long)]));
    assert_eq!(sent["id"], "abc");
    assert!(size(&sent) <= 100 && size(&sent) >= 98, "{}", size(&sent));
    assert!(long.starts_with(&sent["reason"]));
}

#[test]
fn a_body_that_leaves_no_room_goes_alone() {
    for body in [MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 9, MAX_MESSAGE_BYTES - 5] {
        assert_eq!(fit(body, &attributes(&[("id", "abc"), ("reason", "x")])), BTreeMap::new());
    }
}

#[test]
fn what_fits_is_sent_as_it_is_but_for_what_sqs_refuses() {
    let sent = fit(10, &attributes(&[("a", "b\tc\u{1}"), ("empty", "")]));
    assert_eq!(sent, attributes(&[("a", "b\tc\u{fffd}")]));
}

#[test]
fn each_entry_of_a_batch_has_its_own_result_and_silence_is_a_failure() {
    let failed = [("2".into(), "ReceiptHandleIsInvalid".into(), Some("no\nsuch".into()))];
    let results = per_entry("DeleteMessage", 4, ["1".into(), "9".into(), "x".into()], failed);
    assert!(results[1].is_ok());
    let kinds: Vec<_> = results.iter().map(|it| it.as_ref().err().map(|it| it.kind)).collect();
    let other = Some(QueueErrorKind::Other);
    assert_eq!(kinds, [other, None, Some(QueueErrorKind::ReceiptInvalid), other]);
    let reason = results[2].as_ref().map_err(ToString::to_string);
    assert_eq!(reason, Err("DeleteMessage: ReceiptHandleIsInvalid: no such".into()));
}

#[test]
fn both_spellings_of_a_code_mean_the_same() {
    for code in ["MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"] {
        assert_eq!(kind_of_entry(code), QueueErrorKind::ReceiptInvalid);
    }
}

#[test]
fn a_url_of_aws_names_its_region_and_that_of_an_emulator_does_not() {
    let region = |url| region_of_url(url).map(|region| region.to_string());
    assert_eq!(region("https://sqs.eu-west-1.amazonaws.com/1/q").as_deref(), Some("eu-west-1"));
    assert_eq!(region("https://sqs.cn-north-1.amazonaws.com.cn/1/q").as_deref(), Some("cn-north-1"));
    for url in ["http://127.0.0.1:4566/1/q", "https://sqs.example.com/1/q", "nonsense", ""] {
        assert_eq!(region(url), None, "{url}");
    }
}

#[test]
fn numbers_of_a_queue_are_read_in_any_spelling_and_absent_ones_are_zero() {
    let redrive = r#"{"deadLetterTargetArn":"arn:dead","maxReceiveCount":"100"}"#;
    let read = |redrive: &'static str| {
        facts(move |name| match name {
            QueueAttributeName::RedrivePolicy => Some(redrive),
            QueueAttributeName::MessageRetentionPeriod => Some("60.0"),
            QueueAttributeName::FifoQueue => Some("true"),
            _ => None,
        })
    };
    let found = read(redrive);
    assert_eq!((found.dead_letter.as_deref(), found.max_receive_count), (Some("arn:dead"), Some(100)));
    assert_eq!((found.retention, found.fifo, found.visible), (Duration::from_mins(1), true, 0));
    assert_eq!(read(r#"{"maxReceiveCount":7}"#).max_receive_count, Some(7));
    assert_eq!(read("not JSON").dead_letter, None);
}

#[test]
fn a_message_with_nothing_but_its_ids_is_read() {
    let message = Message::builder().message_id("m").receipt_handle("r").build();
    let read = raw_message(message).expect("it has both ids");
    assert_eq!((read.body.as_str(), read.receive_count, read.sent_at), ("", 1, Timestamp::default()));
    assert_eq!(raw_message(Message::builder().message_id("m").build()), None);
}

#[test]
fn a_receipt_is_not_shown() {
    assert_eq!(format!("{:?}", Receipt::new("secret")), "Receipt(…)");
}

#[test]
fn every_code_of_an_entry_is_tried_again_or_means_that_the_hold_is_lost() {
    use QueueErrorKind::{Denied, Gone, Other, ReceiptInvalid, Throttled, Unreachable};
    for (code, kind) in [
        ("ReceiptHandleIsInvalid", ReceiptInvalid),
        ("MessageNotInflight", ReceiptInvalid),
        ("AWS.SimpleQueueService.MessageNotInflight", ReceiptInvalid),
        ("InvalidParameterValue", ReceiptInvalid),
        ("RequestThrottled", Throttled),
        ("ThrottlingException", Throttled),
        ("OverLimit", Throttled),
        ("AccessDenied", Denied),
        ("AccessDeniedException", Denied),
        ("KmsAccessDenied", Denied),
        ("QueueDoesNotExist", Gone),
        ("AWS.SimpleQueueService.NonExistentQueue", Gone),
        ("InternalError", Unreachable),
        ("InternalFailure", Unreachable),
        ("ServiceUnavailable", Unreachable),
        ("SomethingOfTomorrow", Other),
    ] {
        let failed = [("0".to_owned(), code.to_owned(), None)];
        let result = per_entry("ChangeMessageVisibilityBatch", 1, [], failed).remove(0);
        assert_eq!(result.map_err(|error| error.kind), Err(kind), "{code}");
    }
}

#[test]
fn an_entry_that_fails_takes_no_other_with_it() {
    let failed = [
        ("0".to_owned(), "InternalError".to_owned(), None),
        ("2".to_owned(), "ReceiptHandleIsInvalid".to_owned(), Some("expired".to_owned())),
    ];
    let results = per_entry("DeleteMessageBatch", 4, ["1".to_owned(), "3".to_owned()], failed);
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().map_err(|error| error.kind)).collect();
    let (broken, lost) = (QueueErrorKind::Unreachable, QueueErrorKind::ReceiptInvalid);
    assert_eq!(kinds, [Err(broken), Ok(&()), Err(lost), Ok(&())]);
}
