use super::*;

const L: u64 = 12_000;
const ACTING: u64 = 8_400;

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn member() -> Member {
    Member::new("me".into(), Timing::USUAL, at(0))
}

fn claim(owner: Option<&str>, counter: u64) -> Claim {
    Claim { owner: owner.map(MemberId::from), counter }
}

fn read(owner: Option<&str>, counter: u64) -> Input {
    Input::Answered(Answer::Read(Some(claim(owner, counter))))
}

fn write(expects: Expects, owner: Option<&str>, counter: u64) -> Output {
    Output::Write(ClaimWrite { expects, puts: claim(owner, counter) })
}

fn failed() -> Input {
    Input::Answered(Answer::Failed("no answer".into()))
}

/// One that took a free lease by a write that was asked for at 100.
fn active() -> Member {
    let mut it = member();
    it.handle(at(0), Input::Wakeup);
    it.handle(at(100), read(None, 7));
    it.handle(at(150), Input::Answered(Answer::Written));
    assert!(it.may_act(at(150)));
    it
}

#[test]
fn a_free_lease_is_taken_at_once() {
    let mut it = member();
    assert_eq!(it.handle(at(0), Input::Wakeup), [Output::Read]);
    let take = write(Expects::Exactly(claim(None, 7)), Some("me"), 1);
    assert_eq!(it.handle(at(100), read(None, 7)), [take]);
    let took = Change::Took { from: None, unchanged_for: Duration::ZERO };
    assert_eq!(it.handle(at(150), Input::Answered(Answer::Written)), [Output::Tell(took)]);
    assert_eq!(it.standing(at(150)), Standing::Active);
}

#[test]
fn a_lease_counts_from_before_the_request_and_leaves_room_for_a_call_and_for_clocks() {
    let it = active();
    assert_eq!(it.acts_until(), Some(at(100 + ACTING)));
    assert!(it.may_act(at(100 + ACTING - 1)) && !it.may_act(at(100 + ACTING)));
    assert_eq!(Timing::USUAL.lease, Timing::USUAL.acting() + Timing::USUAL.call + Timing::USUAL.drift);
}

#[test]
fn a_claim_that_does_not_change_for_a_lease_length_is_taken_over() {
    let mut it = member();
    it.handle(at(0), Input::Wakeup);
    assert_eq!(it.handle(at(40), read(Some("a"), 3)), [Output::Tell(Change::Follows("a".into()))]);
    let mut now = 40;
    while now + 1_000 < 40 + L {
        now += 1_000;
        assert_eq!(it.handle(at(now), Input::Wakeup), [Output::Read]);
        assert_eq!(it.handle(at(now), read(Some("a"), 3)), []);
    }
    assert_eq!(it.next_wakeup(), Some(at(40 + L)));
    let take = write(Expects::Exactly(claim(Some("a"), 3)), Some("me"), 1);
    assert_eq!(it.handle(at(40 + L), Input::Wakeup), [take]);
    let took = Change::Took { from: Some("a".into()), unchanged_for: Duration::from_millis(L) };
    assert_eq!(it.handle(at(60 + L), Input::Answered(Answer::Written)), [Output::Tell(took)]);
}

#[test]
fn a_claim_that_changes_is_left_alone_for_another_lease_length() {
    let mut it = member();
    it.handle(at(0), Input::Wakeup);
    it.handle(at(0), read(Some("a"), 3));
    it.handle(at(11_000), Input::Wakeup);
    it.handle(at(11_000), read(Some("a"), 4));
    assert_eq!(it.handle(at(12_500), Input::Wakeup), [Output::Read]);
}

#[test]
fn a_missing_item_is_founded_and_waited_for_like_any_other() {
    let mut it = member();
    it.handle(at(0), Input::Wakeup);
    let found = write(Expects::Nothing, Some("me"), 1);
    assert_eq!(it.handle(at(10), Input::Answered(Answer::Read(None))), [found]);
    assert_eq!(it.handle(at(20), Input::Answered(Answer::Written)), []);
    assert!(!it.may_act(at(20)));
    it.handle(at(11_900), Input::Wakeup);
    assert_eq!(it.handle(at(11_900), read(Some("me"), 1)), []);
    let renew = write(Expects::OwnedBy("me".into()), Some("me"), 2);
    assert_eq!(it.handle(at(20 + L), Input::Wakeup), [renew]);
    it.handle(at(30 + L), Input::Answered(Answer::Written));
    assert!(it.may_act(at(30 + L)));
}

#[test]
fn a_holder_renews_at_every_heartbeat() {
    let mut it = active();
    assert_eq!(it.next_wakeup(), Some(at(2_100)));
    let renew = write(Expects::OwnedBy("me".into()), Some("me"), 2);
    assert_eq!(it.handle(at(2_100), Input::Wakeup), [renew]);
    assert_eq!(it.handle(at(2_900), Input::Answered(Answer::Written)), []);
    assert_eq!(it.acts_until(), Some(at(2_100 + ACTING)));
}

#[test]
fn a_holder_that_cannot_renew_stops_acting_by_itself_and_tries_again_only_when_it_has_let_go() {
    let mut it = active();
    it.handle(at(2_100), Input::Wakeup);
    assert_eq!(it.handle(at(4_100), failed()), [Output::Tell(Change::Troubled("no answer".into()))]);
    it.handle(at(4_600), Input::Wakeup);
    assert_eq!(it.next_wakeup(), Some(at(100 + ACTING)));
    let lost = Change::Lost { trouble: Some("no answer".into()) };
    assert_eq!(it.handle(at(100 + ACTING), Input::Wakeup), [Output::Tell(lost)]);
    let Standing::Lost { silent_since, trouble } = it.standing(at(9_000)) else { panic!("{it:?}") };
    assert_eq!((silent_since, trouble.as_deref()), (Some(at(100)), Some("no answer")));
    // The renewal took effect after all; but calls of the last term may still be under way.
    assert_eq!(
        it.handle(at(9_000), Input::Answered(Answer::Written)),
        [Output::Tell(Change::Answers), Output::Read]
    );
    assert_eq!(it.handle(at(9_010), read(Some("me"), 3)), []);
    assert!(!it.may_act(at(9_010)));
    let renew = write(Expects::OwnedBy("me".into()), Some("me"), 4);
    assert_eq!(it.handle(at(9_500), Input::Rested), [renew]);
    it.handle(at(9_510), Input::Answered(Answer::Written));
    assert!(it.may_act(at(9_510)));
}

#[test]
fn a_holder_that_finds_another_one_in_its_place_stops_acting_at_once() {
    let mut it = active();
    it.handle(at(2_100), Input::Wakeup);
    let lost = Output::Tell(Change::Lost { trouble: None });
    assert_eq!(it.handle(at(2_150), Input::Answered(Answer::Refused)), [lost, Output::Read]);
    assert!(!it.may_act(at(2_150)));
    assert_eq!(it.handle(at(2_200), read(Some("b"), 1)), [Output::Tell(Change::Follows("b".into()))]);
    assert_eq!(it.standing(at(2_200)), Standing::Standby(Some("b".into())));
}

#[test]
fn an_answer_that_comes_after_a_stop_of_the_process_gives_nothing() {
    let mut it = active();
    it.handle(at(2_100), Input::Wakeup);
    let out = it.handle(at(60_000), Input::Answered(Answer::Written));
    assert!(out.contains(&Output::Tell(Change::Lost { trouble: Some("it was not renewed in time".into()) })));
    assert!(!it.may_act(at(60_000)));
}

#[test]
fn a_take_over_whose_answer_was_lost_is_confirmed_before_anything_is_begun() {
    let mut it = member();
    it.handle(at(0), Input::Wakeup);
    it.handle(at(0), read(Some("a"), 3));
    it.handle(at(L), Input::Wakeup);
    it.handle(at(L + 2_000), failed());
    let again = write(Expects::Exactly(claim(Some("a"), 3)), Some("me"), 2);
    assert_eq!(it.handle(at(L + 4_000), Input::Wakeup), [again]);
    assert_eq!(
        it.handle(at(L + 4_010), Input::Answered(Answer::Refused)),
        [Output::Tell(Change::Answers), Output::Read]
    );
    let renew = write(Expects::OwnedBy("me".into()), Some("me"), 3);
    assert_eq!(it.handle(at(L + 4_020), read(Some("me"), 1)), [renew]);
    assert!(!it.may_act(at(L + 4_020)));
}

#[test]
fn a_stop_gives_the_lease_back_and_nothing_is_begun_from_then_on() {
    let mut it = active();
    let release = write(Expects::OwnedBy("me".into()), None, 2);
    assert_eq!(it.handle(at(1_000), Input::Release), [release]);
    assert!(!it.may_act(at(1_000)));
    assert_eq!(it.handle(at(1_010), Input::Answered(Answer::Written)), [Output::Done]);
    assert_eq!(it.next_wakeup(), None);
}

#[test]
fn a_stop_during_a_renewal_gives_back_after_it() {
    let mut it = active();
    it.handle(at(2_100), Input::Wakeup);
    assert_eq!(it.handle(at(2_110), Input::Release), []);
    let out = it.handle(at(2_120), Input::Answered(Answer::Written));
    assert_eq!(out, [write(Expects::OwnedBy("me".into()), None, 3)]);
}

#[test]
fn one_that_never_wrote_has_nothing_to_give_back() {
    let mut it = member();
    it.handle(at(0), Input::Wakeup);
    assert_eq!(it.handle(at(10), Input::Release), [Output::Done]);
    assert_eq!(it.handle(at(20), read(None, 0)), []);
}

#[test]
fn a_table_that_is_silent_for_long_leaves_a_standby_lost() {
    let mut it = member();
    assert_eq!(it.standing(at(0)), Standing::Lost { silent_since: None, trouble: None });
    it.handle(at(0), Input::Wakeup);
    it.handle(at(10), read(Some("a"), 3));
    assert_eq!(it.standing(at(ACTING - 1)), Standing::Standby(Some("a".into())));
    assert!(matches!(it.standing(at(ACTING)), Standing::Lost { .. }));
}

#[test]
fn every_deadline_wakes_it() {
    let mut it = active();
    for now in (150..60_000).step_by(50) {
        let due = it.next_wakeup();
        if due.is_none_or(|due| due > at(now)) {
            let before = it.clone();
            assert_eq!(it.handle(at(now), Input::Wakeup), [], "nothing told that something was due at {now}");
            assert_eq!(it, before);
        } else if it.handle(at(now), Input::Wakeup).contains(&Output::Read) {
            it.handle(at(now), failed());
        }
    }
}

#[test]
fn who_has_not_let_go_yet_only_reads_however_free_the_lease_is() {
    let mut it = active();
    it.handle(at(8_500), Input::Wakeup);
    it.handle(at(8_600), failed());
    let mut now = 8_600;
    for _ in 0..3 {
        now = it.next_wakeup().expect("it goes on reading").as_millis();
        assert_eq!(it.handle(at(now), Input::Wakeup), [Output::Read]);
        it.handle(at(now), read(None, 9));
    }
    let take = write(Expects::Exactly(claim(None, 9)), Some("me"), 2);
    assert_eq!(it.handle(at(now + 10), Input::Rested), [take]);
}

#[test]
fn an_answer_that_comes_as_the_lease_runs_out_gives_nothing() {
    let taken = |answered| {
        let mut it = member();
        it.handle(at(0), Input::Wakeup);
        it.handle(at(100), read(None, 7));
        let out = it.handle(at(answered), Input::Answered(Answer::Written));
        out.iter().any(|it| matches!(it, Output::Tell(Change::Took { .. })))
    };
    assert_eq!([100 + ACTING - 1, 100 + ACTING].map(taken), [true, false]);
}
