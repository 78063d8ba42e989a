//! What somebody tagged or untagged by hand, as it is read beside the planner.

use std::sync::Arc;

use super::*;
use crate::domain::{HoldKind, HoldMove, HoldNote, Holds, LaneState};

fn paused(reason: &str) -> Holds {
    let note = HoldNote { reason: Some(reason.into()), ..HoldNote::default() };
    Holds { paused: Some(note), ..Holds::default() }
}

fn read(bench: &mut Bench, holds: &Holds) {
    let settings = Some(Arc::new(bench.settings.clone()));
    bench.tell(Input::HoldsRead { target: target(API), settings, holds: holds.clone() });
}

fn hold(bench: &Bench) -> Option<HoldKind> {
    bench.planner.target(&target(API))?.0.lane.hold.map(|hold| hold.kind)
}

#[test]
fn a_pause_that_was_read_is_known_and_its_vanishing_is_told_once() {
    let mut bench = Bench::new();
    read(&mut bench, &Holds::default());
    assert!(!bench.planner.knows(&target(API)), "nothing has to be known of who is not held");
    for _ in 0..2 {
        read(&mut bench, &paused("an incident"));
        assert_eq!((hold(&bench), bench.hold_moves()), (Some(HoldKind::Paused), vec![]));
    }
    for _ in 0..2 {
        read(&mut bench, &Holds::default());
        assert_eq!(bench.hold_moves(), [(HoldKind::Paused, &HoldMove::Vanished)]);
    }
    assert!(!bench.planner.knows(&target(API)) && bench.looks().is_empty());
}

#[test]
fn one_that_somebody_resumed_has_not_vanished() {
    let mut bench = Bench::new();
    read(&mut bench, &paused("an incident"));
    let resumed = HoldNote { since: Some(at(995)), ..HoldNote::default() };
    read(&mut bench, &Holds { resumed: Some(resumed), ..Holds::default() });
    assert_eq!((hold(&bench), bench.hold_moves()), (None, vec![]));
}

#[test]
fn what_waits_behind_a_pause_goes_on_once_it_is_read_that_the_tag_is_gone() {
    let mut bench = Bench::new();
    bench.scene().holds = paused("an incident");
    assert_eq!(bench.planner.kept_back().count(), 0, "nothing waits");
    bench.receive("m", [restart(990)]);
    bench.pass(10);
    assert_eq!(bench.planner.kept_back().collect::<Vec<_>>(), [&target(API)]);
    read(&mut bench, &paused("an incident"));
    assert_eq!((bench.looks().len(), bench.starts().len()), (1, 0), "nothing is new");
    bench.scene().holds = Holds::default();
    read(&mut bench, &Holds::default());
    assert_eq!((bench.looks().len(), bench.starts().len()), (2, 1));
    assert_eq!(bench.planner.kept_back().count(), 0, "it is under way");
    assert_eq!(bench.hold_moves(), [(HoldKind::Paused, &HoldMove::Vanished)]);
}

#[test]
fn while_something_is_under_way_a_reading_decides_nothing() {
    let mut bench = Bench::new();
    bench.receive("m", [restart(990)]);
    bench.pass(6);
    read(&mut bench, &paused("too late for this one"));
    let (record, _) = bench.planner.target(&target(API)).unwrap();
    assert_eq!((record.lane.state, record.lane.hold), (LaneState::Watching, None));
    assert_eq!((bench.looks().len(), bench.starts().len()), (1, 1));
}
