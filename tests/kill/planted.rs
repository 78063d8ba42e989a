//! Whether the checker finds what it is there for: the record of a real lap, which is clean, is falsified in one
//! place, and it must name the promise.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::{
    checker,
    lap::{self, Plan},
    record::{By, Line, Record, Told},
    shown,
};

/// One lap for all of them: without faults, and with two pushes to `worker` at its end.
static LAP: LazyLock<Record> = LazyLock::new(|| lap::run(Plan { seed: 7, kills: 8, faults: false }));

/// The name of a falsification, the promise that it breaks, and what it does.
type Planted = (&'static str, &'static str, fn(&mut Record));

const PLANTED: [Planted; 18] = [
    ("a start over a sound rollout", "P1", start_over_a_sound_rollout),
    ("a start over a rollback", "P1", start_over_a_rollback),
    ("a deletion on receipt", "P2", delete_on_receipt),
    ("no letter about what nobody understands", "P2", forget_a_letter),
    ("a message that is left", "P2", leave_a_message),
    ("a second start for the same", "P3", start_twice),
    ("a start of what is older", "P4", go_back),
    ("something older in the end", "P4", end_with_what_is_older),
    ("a changed sidecar", "P4", change_the_sidecar),
    ("a start of what is paused", "P4", start_what_is_paused),
    ("a pause that outlives its resume", "P4", stay_paused),
    ("a success that was rolled back", "P5", roll_a_success_back),
    ("a success of what never ran", "P5", claim_another_definition),
    ("a letter about a rollback that never was", "P5", tell_of_a_rollback),
    ("a message that died with its process", "P6", bury_a_message),
    ("an end that nobody was told of", "told", forget_what_was_told),
    ("an end that is told under two ids", "told", tell_under_two_ids),
    ("no rest", "P9", never_rest),
];

#[test]
fn every_planted_violation_is_found_and_called_by_its_promise() {
    let clean = checker::judge(&LAP);
    assert!(clean.is_empty(), "{}", shown::failure(&LAP, &clean));
    for (name, promise, plant) in PLANTED {
        let mut record = LAP.clone();
        plant(&mut record);
        let broken = checker::judge(&record);
        assert!(broken.iter().any(|it| it.promise == promise), "{name} is not {promise}: {broken:?}");
    }
}

/// The last start of a target by the daemon.
fn start_of<'r>(record: &'r mut Record, target: &str) -> &'r mut Line {
    let is_it = |line: &&mut Line| {
        line.by == By::Daemon && line.request["service"] == target && line.changed["deployment"].is_string()
    };
    record.log.iter_mut().rev().find(is_it).expect("every target is deployed")
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit 53 bits")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

fn over(line: &mut Line, passage: &str) {
    let created = seconds(line.at - 100);
    line.changed["over"] = json!([{
        "deployment": "ecs-svc/9", "rollout": "IN_PROGRESS", "passage": passage, "primary": true,
        "created": created, "failed_tasks": 0, "running": 1,
    }]);
}

fn start_over_a_sound_rollout(record: &mut Record) {
    over(start_of(record, "api"), "STOP_REQUESTED");
}

/// Not even a target that interrupts may do that.
fn start_over_a_rollback(record: &mut Record) {
    over(start_of(record, "worker"), "SUCCESSFUL");
}

/// As if somebody had paused the target long before it was last looked at.
fn start_what_is_paused(record: &mut Record) {
    let start = start_of(record, "worker").clone();
    let request = json!({
        "resourceArn": "arn:aws:ecs:r:1:service/shop/worker", "tags": [{"key": "lockkeeper:paused", "value": "x"}],
    });
    let place = record.log.iter().rposition(|line| {
        let is_look = line.operation == "ListServiceDeployments" && line.sequence < start.sequence;
        is_look && line.request["service"].as_str().is_some_and(|it| it.ends_with("worker"))
    });
    let place = place.expect("it was looked at");
    let (sequence, at) = (record.log[place].sequence - 1, record.log[place].at - 1_000);
    let (operation, result, changed) = ("TagResource".into(), "OK".into(), Value::Null);
    let tag = Line { sequence, at, operation, request, result, changed, ..start };
    record.log.insert(place, tag);
}

fn stay_paused(record: &mut Record) {
    let services = record.state["services"].as_object_mut().expect("there are services");
    let (_, service) = services.iter_mut().next().expect("there is one");
    service["tags"] = json!([{"key": "lockkeeper:paused", "value": "x"}]);
}

/// The id of the message with the last push.
fn last_push(record: &Record) -> String {
    let is_it = |line: &&Line| {
        let body = line.request["MessageBody"].as_str().unwrap_or_default();
        line.operation == "SendMessage" && body.contains(lap::LAST_TAG)
    };
    let line = record.log.iter().find(is_it).expect("it is sent");
    line.changed[0]["id"].as_str().expect("it has an id").to_owned()
}

/// What the log says of one message.
fn moves<'r>(record: &'r mut Record, what: &str, id: &str) -> Vec<&'r mut Value> {
    let all = record.log.iter_mut().filter_map(|line| line.changed.as_array_mut()).flatten();
    all.filter(|it| it["what"] == what && it["id"] == id).collect()
}

fn delete_on_receipt(record: &mut Record) {
    let id = last_push(record);
    let has_it = |line: &&mut Line| {
        let all = line.changed.as_array().into_iter().flatten();
        all.filter(|it| it["what"] == "received").any(|it| it["id"] == id.as_str())
    };
    let line = record.log.iter_mut().find(has_it).expect("it was received");
    let moved = line.changed.as_array_mut().expect("something was received");
    moved.push(json!({"what": "deleted", "queue": "events", "id": id}));
}

fn is_letter(line: &Line) -> bool {
    line.operation == "SendMessage" && line.by == By::Daemon && line.changed[0]["queue"] == "dead"
}

fn forget_a_letter(record: &mut Record) {
    record.log.retain(|line| !is_letter(line));
}

fn leave_a_message(record: &mut Record) {
    let id = last_push(record);
    let queues = record.state["queues"].as_object_mut().expect("there are queues");
    let (_, queue) = queues.iter_mut().find(|(arn, _)| arn.ends_with(":events")).expect("there is one");
    queue["messages"] = json!([{"id": id, "body": "", "receives": 1}]);
}

/// The history of `worker`, the newest rollout first.
fn history(record: &mut Record) -> &mut Vec<Value> {
    let services = record.state["services"].as_object_mut().expect("there are services");
    let (_, service) = services.iter_mut().find(|(arn, _)| arn.ends_with("/worker")).expect("there is one");
    service["history"].as_array_mut().expect("it has a history")
}

/// One more start of `worker`, of what it had so many completed rollouts ago.
fn start_again(record: &mut Record, back: usize) {
    let after = record.log.last().map_or(0, |line| line.sequence) + 1;
    let mut line = start_of(record, "worker").clone();
    (line.sequence, line.at) = (after, line.at + 60_000);
    line.changed["deployment"] = json!("ecs-svc/9");
    line.changed["over"] = json!([]);
    let at = seconds(line.at);
    record.log.push(line);
    let history = history(record);
    let complete = history.iter().filter(|it| it["status"] == "SUCCESSFUL");
    let mut again = complete.clone().nth(back).expect("it was deployed before").clone();
    again["id"] = json!("ecs-svc/9");
    again["createdAt"] = json!(at);
    again["finishedAt"] = json!(at + 1.0);
    history.insert(0, again);
}

fn start_twice(record: &mut Record) {
    start_again(record, 0);
}

fn go_back(record: &mut Record) {
    start_again(record, 1);
}

fn end_with_what_is_older(record: &mut Record) {
    let last = last_complete(record);
    last["status"] = json!("STOPPED");
}

fn last_complete(record: &mut Record) -> &mut Value {
    history(record).iter_mut().find(|it| it["status"] == "SUCCESSFUL").expect("one succeeded")
}

fn change_the_sidecar(record: &mut Record) {
    let is_it = |line: &&mut Line| line.by == By::Daemon && line.changed["registered"].is_string();
    let line = record.log.iter_mut().rev().find(is_it).expect("revisions are registered");
    let containers = line.request["containerDefinitions"].as_array_mut().expect("it has containers");
    let sidecar = containers.iter_mut().find(|it| it["name"] == "log").expect("it has a sidecar");
    sidecar["image"] = json!("public.example/log:2");
}

fn roll_a_success_back(record: &mut Record) {
    last_complete(record)["status"] = json!("ROLLBACK_SUCCESSFUL");
}

fn claim_another_definition(record: &mut Record) {
    let said = record.said.iter_mut().find(|line| line["fields"]["outcome"] == "succeeded");
    said.expect("one succeeded")["fields"]["task_definition"] = json!("worker:999");
}

fn tell_of_a_rollback(record: &mut Record) {
    let letter = record.log.iter_mut().find(|line| is_letter(line)).expect("there is one");
    let attributes = &mut letter.request["MessageAttributes"];
    attributes["lockkeeper.target"] = json!({"StringValue": "111122223333/eu-west-1/shop/jobs"});
    attributes["lockkeeper.outcome"] = json!({"StringValue": "rolled_back"});
}

/// Its process died, and nobody ever saw it again.
fn bury_a_message(record: &mut Record) {
    let id = last_push(record);
    for moved in moves(record, "deleted", &id) {
        moved["id"] = json!("another");
    }
    for life in &mut record.lives {
        life.killed = true;
    }
}

/// As if its process had died before it was told, and its message had been deleted before that.
fn forget_what_was_told(record: &mut Record) {
    let last = record.told.last().expect("something was told").clone();
    record.told.retain(|it| it.events != last.events);
}

fn tell_under_two_ids(record: &mut Record) {
    let is_it = |it: &&Told| it.rollout.is_some();
    let again = record.told.iter().find(is_it).expect("a rollout ended").clone();
    record.told.push(Told { id: "d-0/succeeded".into(), ..again });
}

fn never_rest(record: &mut Record) {
    record.rested_ms = None;
}
