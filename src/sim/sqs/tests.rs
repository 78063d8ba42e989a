//! The contract of a queue, as the SQS guide writes it.

use serde_json::{Value, json};

use crate::sim::{Call, Reply, Service::Sqs, WorldSettings, testkit::Bench};

fn handle(message: &Value) -> Value {
    message["ReceiptHandle"].clone()
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["Body"].as_str().expect("a body")).collect()
}

fn delete(bench: &mut Bench, url: &str, message: &Value) {
    bench.sqs("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": handle(message)}));
}

#[test]
fn a_received_message_is_hidden_until_its_visibility_ends() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"VisibilityTimeout": "10"}));
    bench.send(&url, "x");
    assert_eq!(bodies(&bench.receive(&url)), ["x"]);
    bench.pass(9_999);
    assert!(bench.receive(&url).is_empty());
    bench.pass(1);
    let again = bench.receive(&url);
    assert_eq!(again[0]["Attributes"]["ApproximateReceiveCount"], "2");
}

#[test]
fn holds_that_are_ended_leave_everything_receivable_and_the_old_receipts_stale() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({}));
    bench.send(&url, "x");
    let held = bench.receive(&url).remove(0);
    bench.world.end_holds(bench.now);
    let extend = json!({"QueueUrl": url, "ReceiptHandle": handle(&held), "VisibilityTimeout": 5});
    assert_eq!(bench.fails(Sqs, "ChangeMessageVisibility", extend), "MessageNotInflight");
    assert_eq!(bodies(&bench.receive(&url)), ["x"]);
    delete(&mut bench, &url, &held);
    bench.world.end_holds(bench.now);
    assert_eq!(bodies(&bench.receive(&url)), ["x"]);
}

/// The operation, the result, and what became of which message, of each call that moved one.
fn moves(bench: &Bench) -> Vec<(String, &'static str, Value)> {
    let calls = bench.world.calls_after(0).filter(|logged| !logged.changed.is_null());
    calls.map(|logged| (logged.operation.clone(), logged.result, logged.changed.clone())).collect()
}

#[test]
fn the_log_says_which_messages_were_sent_handed_out_and_deleted() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"VisibilityTimeout": "1"}));
    let id = bench.send(&url, "x");
    let stale = bench.receive(&url).remove(0);
    bench.pass(1_000);
    let poll = Call::new(Sqs, "ReceiveMessage", json!({"QueueUrl": url, "WaitTimeSeconds": 5}));
    let Reply::Ok(got) = bench.world.look_again(bench.now, &poll) else { panic!("it is there") };
    delete(&mut bench, &url, &stale);
    delete(&mut bench, &url, &got["Messages"][0]);
    let moved = |what| json!([{"what": what, "queue": "q", "id": id}]);
    let expected = [("SendMessage", "sent"), ("ReceiveMessage", "received"), ("ReceiveMessage", "received")];
    let expected = expected.into_iter().chain([("DeleteMessage", "deleted")]);
    let expected: Vec<_> = expected.map(|(call, what)| (call.to_owned(), "OK", moved(what))).collect();
    assert_eq!(moves(&bench), expected, "a stale receipt deletes nothing");
}

#[test]
fn only_the_latest_receipt_deletes_or_extends() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"VisibilityTimeout": "1"}));
    bench.send(&url, "x");
    let first = bench.receive(&url).remove(0);
    bench.pass(1_000);
    let second = bench.receive(&url).remove(0);
    delete(&mut bench, &url, &first);
    let stale = json!({"QueueUrl": url, "ReceiptHandle": handle(&first), "VisibilityTimeout": 5});
    assert_eq!(bench.fails(Sqs, "ChangeMessageVisibility", stale), "MessageNotInflight");
    bench.pass(1_000);
    let third = bench.receive(&url);
    assert_eq!(third.len(), 1, "the stale receipt must not have deleted it");
    assert_ne!(handle(&third[0]), handle(&second));
}

#[test]
fn the_latest_receipt_deletes_even_after_its_visibility_ended() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"VisibilityTimeout": "1"}));
    bench.send(&url, "x");
    let message = bench.receive(&url).remove(0);
    bench.pass(5_000);
    delete(&mut bench, &url, &message);
    assert!(bench.receive(&url).is_empty());
}

#[test]
fn a_hold_ends_twelve_hours_after_the_first_receive() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({}));
    bench.send(&url, "x");
    let message = bench.receive(&url).remove(0);
    let extend = |seconds: u64| json!({"QueueUrl": url, "ReceiptHandle": handle(&message), "VisibilityTimeout": seconds});
    bench.sqs("ChangeMessageVisibility", extend(43_200));
    bench.pass(3_600_000);
    assert_eq!(bench.fails(Sqs, "ChangeMessageVisibility", extend(43_200)), "InvalidParameterValue");
    bench.sqs("ChangeMessageVisibility", extend(39_600));
    bench.pass(39_599_999);
    assert!(bench.receive(&url).is_empty());
    bench.pass(1);
    assert_eq!(bench.receive(&url).len(), 1);
}

#[test]
fn a_message_received_too_often_is_set_aside_with_its_history() {
    let mut bench = Bench::new();
    let dead = bench.queue("dead", &json!({}));
    let policy =
        json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 2});
    let url = bench.queue("q", &json!({"VisibilityTimeout": "1", "RedrivePolicy": policy.to_string()}));
    let id = bench.send(&url, "x");
    let sent = bench.now.as_millis().to_string();
    for _ in 0..2 {
        assert_eq!(bench.receive(&url).len(), 1);
        bench.pass(1_000);
    }
    assert!(bench.receive(&url).is_empty());
    let aside = bench.receive(&dead).remove(0);
    assert_eq!((&aside["MessageId"], &aside["Attributes"]["SentTimestamp"]), (&json!(id), &json!(sent)));
    assert_eq!(aside["Attributes"]["ApproximateReceiveCount"], "3");
    assert_eq!(aside["Attributes"]["DeadLetterQueueSourceArn"], "arn:aws:sqs:us-east-1:000000000000:q");
    let sources = bench.sqs("ListDeadLetterSourceQueues", json!({"QueueUrl": dead}));
    assert_eq!(sources["queueUrls"], json!([url]));
}

#[test]
fn a_redriven_message_returns_as_a_new_one() {
    let mut bench = Bench::new();
    let dead = bench.queue("dead", &json!({}));
    let arn = "arn:aws:sqs:us-east-1:000000000000:dead";
    let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": 1});
    let url = bench.queue("q", &json!({"VisibilityTimeout": "0", "RedrivePolicy": policy.to_string()}));
    let id = bench.send(&url, "x");
    bench.receive(&url);
    bench.receive(&url);
    bench.pass(5_000);
    assert_eq!(
        bench.fails(Sqs, "StartMessageMoveTask", json!({"SourceArn": arn.replace("dead", "q")})),
        "InvalidParameterValue"
    );
    bench.sqs("StartMessageMoveTask", json!({"SourceArn": arn}));
    assert_eq!(bench.fails(Sqs, "StartMessageMoveTask", json!({"SourceArn": arn})), "UnsupportedOperation");
    bench.pass(200);
    let back = bench.receive(&url).remove(0);
    assert_ne!(back["MessageId"], json!(id));
    assert_eq!(back["Attributes"]["ApproximateReceiveCount"], "1");
    let tasks = bench.sqs("ListMessageMoveTasks", json!({"SourceArn": arn}));
    assert_eq!(tasks["Results"][0]["Status"], "COMPLETED");
    assert!(bench.receive(&dead).is_empty());
}

#[test]
fn the_duplicates_dial_delivers_every_message_twice_under_one_id() {
    let mut bench = Bench::with(WorldSettings { duplicates: 1.0, ..WorldSettings::default() });
    let url = bench.queue("q", &json!({}));
    let id = bench.send(&url, "x");
    let first = bench.receive(&url).remove(0);
    delete(&mut bench, &url, &first);
    let second = bench.receive(&url);
    assert_eq!(second[0]["MessageId"], json!(id));
    delete(&mut bench, &url, &second[0]);
    bench.pass(60_000);
    assert!(bench.receive(&url).is_empty(), "twice, not for ever");
}

#[test]
fn the_reorder_dial_loses_nothing_and_keeps_no_order() {
    let mut bench = Bench::with(WorldSettings { reorder: 1.0, ..WorldSettings::default() });
    let url = bench.queue("q", &json!({}));
    let sent: Vec<String> = (0..40).map(|n| format!("{n:02}")).collect();
    for body in &sent {
        bench.send(&url, body);
    }
    let mut got = Vec::new();
    for _ in 0..4 {
        got.extend(bodies(&bench.receive(&url)).into_iter().map(str::to_owned).collect::<Vec<_>>());
    }
    assert_ne!(got, sent);
    got.sort();
    assert_eq!(got, sent);
}

#[test]
fn a_batch_answers_for_each_entry() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({}));
    bench.send(&url, "x");
    let message = bench.receive(&url).remove(0);
    let entries =
        json!([{"Id": "good", "ReceiptHandle": handle(&message)}, {"Id": "bad", "ReceiptHandle": "x"}]);
    let reply = bench.sqs("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": entries}));
    assert_eq!(reply["Successful"][0]["Id"], "good");
    assert_eq!(
        (&reply["Failed"][0]["Id"], &reply["Failed"][0]["Code"]),
        (&json!("bad"), &json!("ReceiptHandleIsInvalid"))
    );
    let twice = json!([{"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "2"}]);
    let twice = json!({"QueueUrl": url, "Entries": twice});
    assert_eq!(bench.fails(Sqs, "SendMessageBatch", twice), "BatchEntryIdsNotDistinct");
    let eleven: Vec<Value> = (0..11).map(|n| json!({"Id": n.to_string(), "MessageBody": "x"})).collect();
    let eleven = json!({"QueueUrl": url, "Entries": eleven});
    assert_eq!(bench.fails(Sqs, "SendMessageBatch", eleven), "TooManyEntriesInBatchRequest");
    assert_eq!(
        bench.fails(Sqs, "SendMessageBatch", json!({"QueueUrl": url, "Entries": []})),
        "EmptyBatchRequest"
    );
}

#[test]
fn a_message_may_have_one_mebibyte_and_no_more() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({}));
    bench.send(&url, &"x".repeat(1_048_576));
    let larger = json!({"QueueUrl": url, "MessageBody": "x".repeat(1_048_577)});
    assert_eq!(bench.fails(Sqs, "SendMessage", larger), "InvalidParameterValue");
}

#[test]
fn a_delayed_message_comes_later_and_an_old_one_goes() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"MessageRetentionPeriod": "60"}));
    bench.sqs("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "DelaySeconds": 5}));
    assert!(bench.receive(&url).is_empty());
    bench.pass(5_000);
    let message = bench.receive(&url).remove(0);
    bench.sqs(
        "ChangeMessageVisibility",
        json!({"QueueUrl": url, "ReceiptHandle": handle(&message), "VisibilityTimeout": 0}),
    );
    assert_eq!(bench.receive(&url).len(), 1, "zero hands back");
    bench.pass(55_001);
    let attributes = bench.sqs("GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["All"]}));
    assert_eq!(attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"], "0");
}

#[test]
fn a_fifo_group_waits_for_its_message_in_flight() {
    let mut bench = Bench::new();
    let url = bench.queue("q.fifo", &json!({"FifoQueue": "true"}));
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        bench.sqs(
            "SendMessage",
            json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": body}),
        );
    }
    let first = bench.sqs("ReceiveMessage", json!({"QueueUrl": url}))["Messages"][0].clone();
    assert_eq!(first["Body"], "a1");
    assert_eq!(bodies(&bench.receive(&url)), ["b1"]);
    delete(&mut bench, &url, &first);
    assert_eq!(bodies(&bench.receive(&url)), ["a2"]);
}

#[test]
fn a_fifo_queue_remembers_a_deduplication_id_for_five_minutes() {
    let mut bench = Bench::new();
    let url = bench.queue("q.fifo", &json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"}));
    let send = json!({"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "g"});
    let one = bench.sqs("SendMessage", send.clone());
    bench.pass(299_999);
    assert_eq!(bench.sqs("SendMessage", send.clone())["MessageId"], one["MessageId"]);
    bench.pass(1);
    assert_ne!(bench.sqs("SendMessage", send)["MessageId"], one["MessageId"]);
}

#[test]
fn a_queue_is_created_once_and_its_receipts_die_with_it() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"VisibilityTimeout": "5"}));
    assert_eq!(bench.queue("q", &json!({"VisibilityTimeout": "5"})), url);
    let other = json!({"QueueName": "q", "Attributes": {"VisibilityTimeout": "6"}});
    assert_eq!(bench.fails(Sqs, "CreateQueue", other), "QueueNameExists");
    bench.send(&url, "x");
    let message = bench.receive(&url).remove(0);
    bench.sqs("DeleteQueue", json!({"QueueUrl": url}));
    assert_eq!(bench.fails(Sqs, "GetQueueUrl", json!({"QueueName": "q"})), "QueueDoesNotExist");
    bench.queue("q", &json!({}));
    let stale = json!({"QueueUrl": url, "ReceiptHandle": handle(&message)});
    assert_eq!(bench.fails(Sqs, "DeleteMessage", stale), "ReceiptHandleIsInvalid");
}

#[test]
fn a_long_poll_on_an_empty_queue_says_when_to_look_again() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"VisibilityTimeout": "5"}));
    let poll = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let start = bench.now;
    let seconds = |n| start + std::time::Duration::from_secs(n);
    let nothing = bench.reply(Sqs, "ReceiveMessage", poll.clone());
    assert_eq!(nothing, Reply::Wait { until: seconds(20), look_at: seconds(20) });
    bench.send(&url, "x");
    bench.receive(&url);
    let hidden = bench.reply(Sqs, "ReceiveMessage", poll.clone());
    assert_eq!(hidden, Reply::Wait { until: seconds(20), look_at: seconds(5) });
    bench.pass(5_000);
    let call = Call::new(Sqs, "ReceiveMessage", poll);
    assert!(matches!(bench.world.look_again(bench.now, &call), Reply::Ok(_)));
    assert!(bench.world.take_arrivals().iter().any(|(_, name)| name == "q"));
}

#[test]
fn attributes_are_given_to_those_who_ask() {
    let mut bench = Bench::new();
    let url = bench.queue("q", &json!({"VisibilityTimeout": "0"}));
    let attributes = json!({
        "a.one": {"DataType": "String", "StringValue": "1"}, "b": {"DataType": "String", "StringValue": "2"},
    });
    bench.sqs("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "MessageAttributes": attributes}));
    let bare = bench.sqs("ReceiveMessage", json!({"QueueUrl": url}));
    assert!(
        bare["Messages"][0]["Attributes"].is_null() && bare["Messages"][0]["MessageAttributes"].is_null()
    );
    let some = bench.sqs(
        "ReceiveMessage",
        json!({"QueueUrl": url, "MessageAttributeNames": ["a.*"], "MessageSystemAttributeNames": ["SenderId"]}),
    );
    let some = &some["Messages"][0];
    assert_eq!(some["MessageAttributes"], json!({"a.one": attributes["a.one"]}));
    assert_eq!(some["Attributes"], json!({"SenderId": "AIDA00000000000000000"}));
}
