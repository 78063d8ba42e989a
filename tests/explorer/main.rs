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

use std::time::Instant;

use lockkeeper::domain::OnNewer;
use lockkeeper::plan::{Flaw, Promise};

use search::{Sameness, explore};
use world::{Budget, NOTHING, Script, Wish};

/// No world may grow beyond this: one that does is to be made smaller. So many states take less than 4 GB.
const MOST_STATES: usize = 20_000_000;

const A_CRASH: Budget = Budget { crashes: 1, ..NOTHING };
const A_LOST_LEASE: Budget = Budget { lost_leases: 1, ..NOTHING };
const A_LOST_ANSWER: Budget = Budget { lost_answers: 1, ..NOTHING };
const A_THROTTLE: Budget = Budget { throttles: 1, ..NOTHING };
const A_FAILURE: Budget = Budget { failures: 1, ..NOTHING };
const A_STRANGER: Budget = Budget { strangers: 1, ..NOTHING };
const TWO_RECEIPTS: Budget = Budget { again: 1, ..NOTHING };

const EVERY_FAULT: [(&str, Budget); 7] = [
    ("a crash", A_CRASH),
    ("a lost lease", A_LOST_LEASE),
    ("a lost answer", A_LOST_ANSWER),
    ("a throttled start", A_THROTTLE),
    ("a failing rollout", A_FAILURE),
    ("somebody else's rollout", A_STRANGER),
    ("a message received twice", TWO_RECEIPTS),
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

fn holds(name: &str, script: &Script) {
    let began = Instant::now();
    let found = explore(script, Sameness::Wide, MOST_STATES);
    println!("{name}: {} states in {:.1} s", found.states, began.elapsed().as_secs_f32());
    if let Some(broken) = found.broken {
        panic!("{name}: {}", broken.told(script));
    }
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

#[test]
fn five_messages_for_two_targets() {
    holds("five messages", &five());
}

#[test]
fn five_messages_and_a_crash() {
    five_hold_with(A_CRASH);
}

#[test]
fn five_messages_and_a_lost_lease() {
    five_hold_with(A_LOST_LEASE);
}

#[test]
fn five_messages_and_a_lost_answer_or_a_throttled_start() {
    five_hold_with(A_LOST_ANSWER);
    five_hold_with(A_THROTTLE);
}

#[test]
fn five_messages_and_a_failing_rollout() {
    five_hold_with(A_FAILURE);
}

#[test]
fn five_messages_and_somebody_elses_rollout() {
    five_hold_with(A_STRANGER);
}

#[test]
fn five_messages_one_of_which_is_received_twice() {
    five_hold_with(TWO_RECEIPTS);
}

/// Messages that are received, and rollouts that complete, within 5 s, the least that there is between two looks; or,
/// where there is time, within 20 s.
fn five_hold_with(budget: Budget) {
    let patience = if is_large() { 20_000 } else { 5_000 };
    holds(&format!("five messages, {budget:?}"), &five().budget(budget).patience(patience));
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
        println!("{fault}: {} states for {}", wide.states, narrow.states);
        assert!(wide.states < narrow.states && wide.broken.is_none() && narrow.broken.is_none(), "{fault}");
        assert!(wide.ends == narrow.ends, "{fault}: {} and {} ends", wide.ends.len(), narrow.ends.len());
    }
}

/// The promise that breaks, and in how many steps, with this defect in the planner; none breaks without it.
fn caught(flaw: Flaw, script: Script) -> (Promise, usize) {
    holds(&format!("without {flaw:?}"), &script);
    let script = script.flaw(flaw);
    let found = explore(&script, Sameness::Wide, MOST_STATES);
    let broken = found.broken.unwrap_or_else(|| panic!("{flaw:?} is not seen in {} states", found.states));
    let narrow = explore(&script, Sameness::Narrow, MOST_STATES).broken.expect("a wider look has seen it");
    assert_eq!(narrow.violation.promise, broken.violation.promise);
    assert_eq!(narrow.trace.len(), broken.trace.len());
    println!("{flaw:?}, after {} states\n{}\n", found.states, broken.told(&script));
    (broken.violation.promise, broken.trace.len())
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
