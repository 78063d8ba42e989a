//! Every state that small worlds can reach, and the promises in each of them.
//!
//! Breadth first, so that what is found is found by the shortest way. Each world has few messages, and each thing goes
//! wrong at most so often, at every moment at which it could. `LOCKKEEPER_EXPLORE=1` adds the worlds that take
//! minutes. Run with `--nocapture` to see how many states each world has.

#![expect(clippy::print_stdout, reason = "the number of states is what a run shows")]

mod search;
mod seen;
#[allow(dead_code, unreachable_pub, unused_imports, reason = "two tests share it, and each uses its part")]
#[path = "../world/mod.rs"]
mod world;

use std::{collections::BTreeSet, time::Instant};

use lockkeeper::domain::OnNewer;
use lockkeeper::plan::{Flaw, Promise};

use search::{Found, Sameness, explore};
use world::{Budget, NOTHING, Script, Slip, Wish, World, fingerprint};

/// No world may grow beyond this: one that does is to be made smaller. So many states take less than 4 GB.
const MOST_STATES: usize = 20_000_000;

const A_CRASH: Budget = Budget { crashes: 1, ..NOTHING };
const A_LOST_LEASE: Budget = Budget { lost_leases: 1, ..NOTHING };
const A_LOST_ANSWER: Budget = Budget { lost_answers: 1, ..NOTHING };
const A_THROTTLE: Budget = Budget { throttles: 1, ..NOTHING };
const A_REFUSAL: Budget = Budget { refusals: 1, ..NOTHING };
const A_FAILURE: Budget = Budget { failures: 1, ..NOTHING };
const A_STRANGER: Budget = Budget { strangers: 1, ..NOTHING };
const TWO_RECEIPTS: Budget = Budget { again: 1, ..NOTHING };

const AN_OUTAGE: Budget = Budget { outages: 1, ..NOTHING };
const A_SHORTAGE: Budget = Budget { shortages: 1, ..NOTHING };

const EVERY_FAULT: [(&str, Budget); 10] = [
    ("a crash", A_CRASH),
    ("a lost lease", A_LOST_LEASE),
    ("a lost answer", A_LOST_ANSWER),
    ("a throttled start", A_THROTTLE),
    ("a refused start", A_REFUSAL),
    ("a failing rollout", A_FAILURE),
    ("somebody else's rollout", A_STRANGER),
    ("a message received twice", TWO_RECEIPTS),
    ("a silent queue", AN_OUTAGE),
    ("no room", A_SHORTAGE),
];

/// Two targets, five messages: freshness and content, a definition, a duplicate, one for both targets, out of order.
fn five() -> Script {
    Script::new(2)
        .sent(10, &[(0, Wish::Image("main", 1))])
        .sent(20, &[(0, Wish::Image("main", 2)), (1, Wish::Restart)])
        .sent(30, &[(0, Wish::Follow)])
        .sent(15, &[(0, Wish::Definition(2))])
        .twice()
}

fn two_targets() -> Script {
    Script::new(2)
        .sent(20, &[(0, Wish::Image("main", 2)), (1, Wish::Restart)])
        .sent(10, &[(0, Wish::Image("main", 1))])
}

fn definition_and_images() -> Script {
    Script::new(1)
        .sent(20, &[(0, Wish::Definition(2))])
        .sent(10, &[(0, Wish::Image("main", 1))])
        .sent(30, &[(0, Wish::Image("side", 3))])
}

fn duplicate_and_later() -> Script {
    Script::new(1).sent(20, &[(0, Wish::Image("main", 2))]).twice().sent_later(&[(0, Wish::Restart)])
}

fn freshness_later() -> Script {
    Script::new(1).sent(20, &[(0, Wish::Image("main", 2))]).sent_later(&[(0, Wish::Restart)])
}

fn asked_for_again() -> Script {
    Script::new(1)
        .sent(10, &[(0, Wish::Image("main", 1))])
        .sent(20, &[(0, Wish::Image("main", 2))])
        .sent(30, &[(0, Wish::Image("main", 1))])
}

fn newer_while_it_goes_on(on_newer: OnNewer) -> Script {
    Script::new(1)
        .sent(10, &[(0, Wish::Image("main", 1))])
        .sent(20, &[(0, Wish::Image("side", 2))])
        .sent_later(&[(0, Wish::Restart)])
        .on_newer(on_newer)
}

fn holds(name: &str, script: &Script) -> Found {
    let began = Instant::now();
    let found = explore(script, Sameness::Wide, MOST_STATES);
    println!("{name}: {} states in {:.1} s", found.states(), began.elapsed().as_secs_f32());
    if let Some(broken) = &found.broken {
        panic!("{name}: {}", broken.told(script));
    }
    found
}

/// Explores, and says of each end what it comes to.
fn ends<T: Ord>(name: &str, script: &Script, comes_to: impl Fn(&World) -> T) -> BTreeSet<T> {
    holds(name, script).ends(script).map(|end| comes_to(&end)).collect()
}

fn holds_with_each(name: &str, script: &Script, budgets: &[(&str, Budget)]) {
    for (fault, budget) in budgets {
        holds(&format!("{name}, {fault}"), &script.clone().budget(*budget));
    }
}

#[test]
fn two_targets_share_a_message_and_content_is_out_of_order() {
    holds_with_each("two targets", &two_targets(), &EVERY_FAULT);
}

#[test]
fn a_definition_replaces_the_images_before_it_and_keeps_those_after_it() {
    holds_with_each("a definition and images", &definition_and_images(), &EVERY_FAULT);
}

#[test]
fn a_duplicate_starts_nothing_and_what_comes_later_is_not_settled_by_it() {
    holds_with_each("a duplicate, and later freshness", &duplicate_and_later(), &EVERY_FAULT);
}

#[test]
fn what_was_asked_for_again_while_it_ran_does_not_give_way_to_what_came_between() {
    holds_with_each("asked for again", &asked_for_again(), &EVERY_FAULT);
}

#[test]
fn nothing_is_started_over_a_rollout_unless_the_settings_say_so() {
    for on_newer in [OnNewer::Queue, OnNewer::Interrupt, OnNewer::WhenFailing] {
        let name = format!("on_newer {on_newer:?}");
        let budgets = [("a failing rollout", A_FAILURE), ("somebody else's rollout", A_STRANGER)];
        holds_with_each(&name, &newer_while_it_goes_on(on_newer), &budgets);
    }
}

/// How often a start was tried, whether the message was set aside, and what runs in the end.
fn one_message(name: &str, budget: Budget) -> BTreeSet<(usize, bool, String)> {
    let script = Script::new(1).sent(10, &[(0, Wish::Image("main", 2))]).budget(budget);
    ends(name, &script, |end| {
        let service = &end.services[0];
        (service.rollouts.len() - 1, !end.dead.is_empty(), service.running().tags["main"].clone())
    })
}

#[test]
fn a_start_that_fails_too_often_is_set_aside() {
    let ends = one_message("refused three times", Budget { refusals: 3, ..NOTHING });
    assert_eq!(ends, [(0, true, "latest".into()), (1, false, "v2".into())].into());
}

#[test]
fn a_start_that_is_throttled_waits_and_comes_in_the_end() {
    let ends = one_message("throttled five times", Budget { throttles: 5, ..NOTHING });
    assert_eq!(ends, [(1, false, "v2".into())].into());
}

#[test]
fn what_finds_no_room_is_tried_again_and_set_aside_in_the_end() {
    let ends = one_message("no room three times", Budget { shortages: 3, ..NOTHING });
    let succeeds_at_last = (1..=3).map(|tries| (tries, false, "v2".to_owned()));
    assert_eq!(ends, succeeds_at_last.chain([(3, true, "latest".into())]).collect());
}

#[test]
fn what_failed_for_a_reason_since_mended_succeeds_when_it_is_put_back() {
    let script = Script::new(1).sent(10, &[(0, Wish::Image("main", 2))]);
    let script = script.budget(Budget { failures: 1, replays: 1, ..NOTHING });
    let ends = ends("a failure, put back", &script, |end| {
        let is_put_back = end.letters.len() == 2;
        (is_put_back, !end.dead.is_empty(), end.services[0].running().tags["main"].clone())
    });
    let mut expected = BTreeSet::from([(false, false, "v2".into()), (false, true, "latest".into())]);
    // What was stuck for longer than its timeout, and was told to be, may come to life.
    expected.insert((false, true, "v2".into()));
    // Whoever puts it back may have left the letter behind.
    expected.extend([(true, false, "v2".into()), (true, true, "v2".into())]);
    assert_eq!(ends, expected);
}

/// What goes wrong beside a rollout that fails, where it is undone.
const A_FAILURE_AND: [(&str, Budget); 9] = [
    ("another", Budget { failures: 2, ..NOTHING }),
    ("a crash", Budget { failures: 1, crashes: 1, ..NOTHING }),
    ("a lost answer", Budget { failures: 1, lost_answers: 1, ..NOTHING }),
    ("a lost lease", Budget { failures: 1, lost_leases: 1, ..NOTHING }),
    ("a refused start or stop", Budget { failures: 1, refusals: 1, ..NOTHING }),
    ("a letter put back", Budget { failures: 1, replays: 1, ..NOTHING }),
    ("no room", Budget { failures: 1, shortages: 1, ..NOTHING }),
    ("somebody else's rollout", Budget { failures: 1, strangers: 1, ..NOTHING }),
    ("a silent queue", Budget { failures: 1, outages: 1, ..NOTHING }),
];

#[test]
fn what_failed_is_undone_whatever_else_goes_wrong() {
    holds_with_each("one target, undone, a failure and", &freshness_later().rollback(), &A_FAILURE_AND);
    let faults = if is_large() { &A_FAILURE_AND[..] } else { &A_FAILURE_AND[..7] };
    holds_with_each("two targets, undone, a failure and", &two_targets().rollback(), faults);
    if is_large() {
        holds_with_each("a duplicate, undone, a failure and", &duplicate_and_later().rollback(), faults);
        let budget = Budget { failures: 2, crashes: 1, ..NOTHING };
        let script = Script::new(1).sent(20, &[(0, Wish::Image("main", 2))]);
        let script = script.sent_later(&[(0, Wish::Image("main", 3))]).rollback().quiet(0);
        holds("content later, undone, two failures and a crash", &script.budget(budget));
    }
}

#[test]
fn what_is_stuck_is_undone_before_what_has_to_queue_behind_it() {
    let script = Script::new(1).sent(10, &[(0, Wish::Image("main", 1))]);
    let script = script.sent_later(&[(0, Wish::Image("main", 2))]).on_newer(OnNewer::Queue).rollback();
    holds_with_each("undone, and a newer one queues, a failure and", &script, &A_FAILURE_AND[1..5]);
}

#[test]
fn freshness_leaves_nothing_behind_that_is_failing_and_will_be_asked_for_again() {
    holds_with_each("freshness later, a failure and", &freshness_later(), &A_FAILURE_AND[1..4]);
}

#[test]
fn what_is_paused_waits_and_goes_on_once_it_is_resumed() {
    let script = Script::new(1)
        .sent(10, &[(0, Wish::Image("main", 2))])
        .sent(20, &[(0, Wish::Pause)])
        .sent_later(&[(0, Wish::Resume)]);
    holds_with_each("paused, resumed later", &script, &EVERY_FAULT);
    let late = Script::new(1)
        .sent(10, &[(0, Wish::Restart)])
        .sent(20, &[(0, Wish::Pause)])
        .sent(30, &[(0, Wish::Resume)])
        .sent(25, &[(0, Wish::Pause)]);
    holds_with_each("paused and resumed in any order", &late, &EVERY_FAULT);
    let both = Script::new(2)
        .sent(10, &[(0, Wish::Restart), (1, Wish::Image("main", 2))])
        .sent(20, &[(0, Wish::Pause), (1, Wish::Pause)])
        .sent_later(&[(0, Wish::Resume), (1, Wish::Resume)]);
    let faults = if is_large() { &EVERY_FAULT[..] } else { &EVERY_FAULT[..3] };
    holds_with_each("two targets, paused by one message", &both, faults);
}

#[test]
fn what_is_cancelled_ends_and_does_not_come_back() {
    let whenever =
        Script::new(1).sent(10, &[(0, Wish::Image("main", 2))]).sent_later(&[(0, Wish::Cancel(0))]);
    holds_with_each("cancelled whenever", &whenever, &EVERY_FAULT);
    holds_with_each("cancelled whenever, undone", &whenever.rollback(), &A_FAILURE_AND);
    let one_of_two = Script::new(1)
        .sent(10, &[(0, Wish::Image("main", 2))])
        .sent(20, &[(0, Wish::Restart)])
        .sent_later(&[(0, Wish::Cancel(0))]);
    let faults = if is_large() { &EVERY_FAULT[..] } else { &EVERY_FAULT[..3] };
    holds_with_each("one of two is cancelled", &one_of_two, faults);
    holds_with_each("the newer of two of a kind is cancelled", &newer_of_two(), faults);
}

/// Each makes the other needless once they are folded, and the cancellation means one of them.
fn newer_of_two() -> Script {
    let both = Script::new(1).sent(10, &[(0, Wish::Restart)]).sent(20, &[(0, Wish::Restart)]);
    both.sent_later(&[(0, Wish::Cancel(1))])
}

#[test]
fn what_somebody_goes_back_from_stays_away_until_the_target_is_resumed() {
    let back = Script::new(1).sent(10, &[(0, Wish::Definition(2))]).sent_later(&[(0, Wish::Rollback(2, 1))]);
    let fresh = back.clone().sent_later(&[(0, Wish::Restart)]);
    holds_with_each("back, and freshness", &fresh, &EVERY_FAULT);
    holds_with_each("back, undone", &back.clone().rollback(), &A_FAILURE_AND);
    let later = back.sent_later(&[(0, Wish::Image("main", 3))]).sent_later(&[(0, Wish::Resume)]);
    let faults = if is_large() { &EVERY_FAULT[..] } else { &EVERY_FAULT[..3] };
    holds_with_each("back, an image, resumed later", &later, faults);
}

#[test]
fn what_somebody_goes_back_from_behind_a_pause_stays_away_until_the_second_resume() {
    let paused = Script::new(1)
        .sent(10, &[(0, Wish::Definition(2))])
        .sent_later(&[(0, Wish::Pause)])
        .sent_later(&[(0, Wish::Rollback(2, 1))])
        .sent_later(&[(0, Wish::Resume)]);
    let faults = if is_large() { &EVERY_FAULT[..] } else { &EVERY_FAULT[..1] };
    holds_with_each("paused, back, resumed", &paused, faults);
    let again = paused.sent_later(&[(0, Wish::Resume)]);
    if is_large() {
        holds_with_each("paused, back, resumed twice", &again, faults);
    } else {
        holds("paused, back, resumed twice", &again);
    }
}

/// A message is renewed before its rollout is complete, unless that is soon.
const RENEWED_AFTER: u64 = 15_000;

#[test]
fn a_message_that_is_renewed_lives_on_in_its_copy() {
    let both = Script::new(2).sent(20, &[(0, Wish::Image("main", 2)), (1, Wish::Restart)]);
    let faults = [
        ("nothing else", NOTHING),
        ("a crash", A_CRASH),
        ("two crashes", Budget { crashes: 2, ..NOTHING }),
        ("a lost answer", A_LOST_ANSWER),
        ("two lost answers", Budget { lost_answers: 2, ..NOTHING }),
        ("a lost lease", A_LOST_LEASE),
        ("a message received twice", TWO_RECEIPTS),
        ("a silent queue", AN_OUTAGE),
        ("somebody else's rollout", A_STRANGER),
        ("a lost answer and a crash", Budget { lost_answers: 1, crashes: 1, ..NOTHING }),
    ];
    holds_with_each("two targets, renewed", &both.renewing(RENEWED_AFTER), &faults);
    let faults = if is_large() { &faults[..] } else { &[("a message received twice", TWO_RECEIPTS)] };
    holds_with_each("freshness later, renewed", &freshness_later().renewing(RENEWED_AFTER), faults);
    let faults =
        [("a failure", A_FAILURE), ("a failure and a crash", Budget { failures: 1, crashes: 1, ..NOTHING })];
    let faults = if is_large() { &faults[..] } else { &faults[..1] };
    holds_with_each("undone and renewed", &freshness_later().rollback().renewing(50_000), faults);
}

#[test]
fn one_event_is_rolled_out_in_waves() {
    let everywhere = [0, 1, 2].map(|place| (place, Wish::Restart));
    let event = Script::new(3).sent(10, &everywhere);
    let faults = [
        ("nothing", NOTHING),
        ("a crash", A_CRASH),
        ("a failure", A_FAILURE),
        ("two failures", Budget { failures: 2, ..NOTHING }),
        ("a failure and a crash", Budget { failures: 1, crashes: 1, ..NOTHING }),
        ("a lost lease", A_LOST_LEASE),
        ("a lost answer", A_LOST_ANSWER),
        ("a refused start", A_REFUSAL),
        ("somebody else's rollout", A_STRANGER),
    ];
    for (max_parallel, stop_after) in [(1, 0), (0, 1), (1, 1), (2, 2)] {
        let name = format!("three targets, {max_parallel} at a time until {stop_after} failed");
        holds_with_each(&name, &event.clone().waves(max_parallel, stop_after), &faults);
    }
    let undone = event.waves(1, 1).rollback().renewing(RENEWED_AFTER);
    let faults = if is_large() { &faults[..] } else { &faults[5..8] };
    holds_with_each("three targets, one at a time, undone and renewed", &undone, faults);
}

#[test]
fn what_is_put_back_twice_or_by_halves_or_over_a_crash_keeps_every_promise() {
    let twice = Budget { failures: 1, replays: 2, ..NOTHING };
    holds("two targets, put back twice", &two_targets().budget(twice));
    holds("a definition and images, put back twice", &definition_and_images().budget(twice));
    let crash = Budget { failures: 1, replays: 1, crashes: 1, ..NOTHING };
    holds("two targets, put back, and a crash", &two_targets().budget(crash));
}

#[test]
fn five_messages_for_two_targets() {
    holds("five messages", &five());
}

#[test]
fn five_messages_and_a_crash() {
    five_hold_with("a crash", A_CRASH);
}

#[test]
fn five_messages_and_a_lost_lease() {
    five_hold_with("a lost lease", A_LOST_LEASE);
}

#[test]
fn five_messages_and_a_lost_answer_or_a_start_that_is_throttled_or_refused() {
    five_hold_with("a lost answer", A_LOST_ANSWER);
    five_hold_with("a throttled start", A_THROTTLE);
    five_hold_with("a refused start", A_REFUSAL);
}

#[test]
fn five_messages_and_a_failing_rollout() {
    five_hold_with("a failing rollout", A_FAILURE);
}

#[test]
fn five_messages_and_somebody_elses_rollout() {
    five_hold_with("somebody else's rollout", A_STRANGER);
}

#[test]
fn five_messages_and_a_silent_queue() {
    five_hold_with("a silent queue", AN_OUTAGE);
}

#[test]
fn five_messages_and_no_room() {
    five_hold_with("no room", A_SHORTAGE);
}

#[test]
fn five_messages_one_of_which_is_received_twice() {
    five_hold_with("one received twice", TWO_RECEIPTS);
}

/// Messages that are received, and rollouts that complete, within 5 s, the least that there is between two looks; or,
/// where there is time, within 20 s.
fn five_hold_with(fault: &str, budget: Budget) {
    let patience = if is_large() { 20_000 } else { 5_000 };
    holds(&format!("five messages, {fault}"), &five().budget(budget).patience(patience));
}

fn is_large() -> bool {
    std::env::var_os("LOCKKEEPER_EXPLORE").is_some()
}

#[test]
fn a_crash_beside_every_other_fault() {
    if !is_large() {
        return;
    }
    for (fault, budget) in EVERY_FAULT {
        let both = Budget { crashes: budget.crashes + 1, ..budget };
        let budgets = [(format!("a crash and {fault}"), both)];
        let budgets = budgets.each_ref().map(|(fault, budget)| (fault.as_str(), *budget));
        holds_with_each("two targets", &two_targets(), &budgets);
        holds_with_each("a definition and images", &definition_and_images(), &budgets);
    }
}

#[test]
fn what_is_taken_for_the_same_has_the_same_ends() {
    for (fault, budget) in EVERY_FAULT {
        let script = two_targets().budget(budget);
        let [wide, narrow] = [Sameness::Wide, Sameness::Narrow].map(|it| explore(&script, it, MOST_STATES));
        println!("{fault}: {} states for {}", wide.states(), narrow.states());
        assert!(
            wide.states() < narrow.states() && wide.broken.is_none() && narrow.broken.is_none(),
            "{fault}"
        );
        let ends = |found: &Found| found.ends(&script).map(|end| fingerprint(&end)).collect::<BTreeSet<_>>();
        assert!(ends(&wide) == ends(&narrow), "{fault}");
    }
}

/// The promise that breaks, and in how many steps, with this defect in the planner; none breaks without it.
fn caught(flaw: Flaw, script: Script) -> (Promise, usize) {
    holds(&format!("without {flaw:?}"), &script);
    let script = script.flaw(flaw);
    let found = explore(&script, Sameness::Wide, MOST_STATES);
    let states = found.states();
    let broken = found.broken.unwrap_or_else(|| panic!("{flaw:?} is not seen in {states} states"));
    let narrow = explore(&script, Sameness::Narrow, MOST_STATES).broken.expect("a wider look has seen it");
    assert_eq!(narrow.violation.promise, broken.violation.promise);
    assert_eq!(narrow.trace.len(), broken.trace.len());
    println!("{flaw:?}, after {states} states\n{}\n", broken.told(&script));
    (broken.violation.promise, broken.trace.len())
}

/// The promise that breaks, and in how many steps, where this is lost of what a letter says.
fn missed(slip: Slip) -> (Promise, usize) {
    let script = two_targets().budget(Budget { failures: 1, replays: 1, ..NOTHING }).slip(slip);
    let broken = explore(&script, Sameness::Wide, MOST_STATES)
        .broken
        .unwrap_or_else(|| panic!("{slip:?} is not seen"));
    println!("{slip:?}\n{}\n", broken.told(&script));
    (broken.violation.promise, broken.trace.len())
}

#[test]
fn a_letter_that_forgets_its_target_is_caught() {
    assert_eq!(missed(Slip::Target), (Promise::P3, 20));
}

#[test]
fn a_letter_that_forgets_its_version_is_caught() {
    assert_eq!(missed(Slip::Version), (Promise::P3, 24));
}

#[test]
fn arrival_order_instead_of_version_is_caught() {
    let script =
        Script::new(1).sent(10, &[(0, Wish::Image("main", 1))]).sent(20, &[(0, Wish::Image("main", 2))]);
    assert_eq!(caught(Flaw::ArrivalOrder, script), (Promise::P2, 3));
}

#[test]
fn delete_on_receive_is_caught() {
    assert_eq!(caught(Flaw::DeleteOnReceive, duplicate_and_later()), (Promise::P2, 1));
}

#[test]
fn a_hold_that_ran_out_and_counts_still_is_caught() {
    let budget = Budget { outages: 1, failures: 1, ..NOTHING };
    let script = Script::new(1).sent(10, &[(0, Wish::Restart)]).budget(budget);
    assert_eq!(caught(Flaw::ExpiredHoldCounts, script), (Promise::P2, 12));
}

#[test]
fn a_deadline_that_is_not_told_is_caught() {
    let script = Script::new(1).sent(10, &[(0, Wish::Restart)]);
    assert_eq!(caught(Flaw::HiddenDeadline, script), (Promise::P9, 0));
}

#[test]
fn an_image_satisfied_by_any_later_rollout_is_caught() {
    let script = Script::new(1).sent(10, &[(0, Wish::Image("main", 1))]).sent(20, &[(0, Wish::Restart)]);
    assert_eq!(caught(Flaw::AnyLaterRolloutCarriesAnImage, script), (Promise::P2, 11));
}

#[test]
fn what_runs_already_and_leaves_no_mark_is_caught() {
    assert_eq!(caught(Flaw::NoMarkForWhatRuns, asked_for_again()), (Promise::P3, 14));
}

#[test]
fn a_rollback_that_counts_as_a_rollout_is_caught() {
    let script = Script::new(1)
        .sent(10, &[(0, Wish::Restart)])
        .sent(20, &[(0, Wish::Image("main", 2))])
        .budget(A_FAILURE);
    assert_eq!(caught(Flaw::RollbackCountsAsRollout, script), (Promise::P2, 13));
}

#[test]
fn freshness_settled_by_content_that_runs_already_is_caught() {
    assert_eq!(caught(Flaw::FreshnessSettledByContent, duplicate_and_later()), (Promise::P2, 14));
}

#[test]
fn a_message_and_its_copy_that_settle_each_other_are_caught() {
    let script = Script::new(1).sent(10, &[(0, Wish::Restart)]).renewing(RENEWED_AFTER);
    assert_eq!(caught(Flaw::EqualsSettleEachOther, script), (Promise::P2, 8));
}

#[test]
fn what_is_undone_over_somebody_elses_rollout_is_caught() {
    let budget = Budget { failures: 1, strangers: 1, ..NOTHING };
    let script = Script::new(1).sent(10, &[(0, Wish::Image("main", 2))]).rollback().budget(budget);
    assert_eq!(caught(Flaw::UndoneOverOthers, script), (Promise::P1, 8));
}

#[test]
fn a_pause_that_only_this_process_knows_of_is_caught() {
    let script = Script::new(1)
        .sent(10, &[(0, Wish::Restart)])
        .sent(20, &[(0, Wish::Pause)])
        .sent_later(&[(0, Wish::Resume)])
        .budget(A_CRASH);
    assert_eq!(caught(Flaw::PausedInMemoryOnly, script), (Promise::P4, 5));
}

#[test]
fn a_cancellation_that_is_forgotten_too_soon_is_caught() {
    let script = Script::new(1).sent(10, &[(0, Wish::Restart)]).sent(20, &[(0, Wish::Cancel(0))]);
    assert_eq!(caught(Flaw::CancelForgotten, script.budget(A_CRASH)), (Promise::P2, 3));
}

#[test]
fn a_rollback_that_does_not_hold_its_target_is_caught() {
    let script =
        Script::new(1).sent(10, &[(0, Wish::Definition(2))]).sent_later(&[(0, Wish::Rollback(2, 1))]);
    assert_eq!(caught(Flaw::RollbackWithoutHold, script), (Promise::P2, 16));
}

#[test]
fn a_wave_that_goes_on_whatever_fails_is_caught() {
    let everywhere = [0, 1, 2].map(|place| (place, Wish::Restart));
    let script = Script::new(3).sent(10, &everywhere).waves(1, 1).budget(A_FAILURE);
    assert_eq!(caught(Flaw::WaveGoesOn, script), (Promise::P1, 12));
}
