use super::*;
use crate::{domain::KnownFrom, report::sample};

const HOUR: i64 = 3_600_000;

fn now() -> Timestamp {
    Timestamp::from_millis(100 * 24 * HOUR)
}

fn ago(hours: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() - hours * HOUR)
}

/// Asked for 60 minutes, and begun 20 minutes, before it ended.
fn ended(service: &str, hours_ago: i64, outcome: Outcome) -> DeploymentRecord {
    let at = ago(hours_ago);
    DeploymentRecord {
        target: format!("111122223333/eu-west-1/shop/{service}").parse().expect("valid"),
        outcome: Some(outcome),
        requested_at: earlier(at, Duration::from_hours(1)),
        started_at: Some(earlier(at, Duration::from_mins(20))),
        finished_at: Some(at),
        ..sample::succeeded()
    }
}

#[test]
fn only_what_was_tried_counts() {
    let records = Outcome::ALL.map(|outcome| ended("api", 5, outcome));
    let figures = figures(&records, now(), 7);
    assert_eq!((figures.succeeded, figures.failed), (1, 2));
    assert_eq!(super::figures([&sample::active()], now(), 7).succeeded, 0);
}

#[test]
fn frequency_and_failure_rate_are_of_the_span_alone() {
    let mut records: Vec<_> = (0..14).map(|n| ended("api", n * 24, Outcome::Succeeded)).collect();
    records.push(ended("api", 3, Outcome::RolledBack));
    let seven = figures(&records, now(), 7);
    assert_eq!((seven.succeeded, seven.per_day()), (7, 1.0));
    assert_eq!(seven.failure_rate(), Some(0.125));
    assert_eq!(figures(&records, now(), 30).succeeded, 14);
    assert_eq!(figures([], now(), 7).failure_rate(), None);
}

#[test]
fn lead_time_counts_from_the_request_and_duration_from_the_first_attempt() {
    let figures = figures(&[ended("api", 1, Outcome::Succeeded)], now(), 7);
    assert_eq!(figures.lead_time, Some(Duration::from_hours(1)));
    assert_eq!(figures.duration, Some(Duration::from_mins(20)));
}

#[test]
fn what_only_ecs_tells_of_has_a_duration_and_no_lead_time() {
    let record = DeploymentRecord { known_from: KnownFrom::EcsOurs, ..ended("api", 1, Outcome::Succeeded) };
    let figures = figures(&[record], now(), 7);
    assert_eq!((figures.succeeded, figures.lead_time), (1, None));
    assert_eq!(figures.duration, Some(Duration::from_mins(20)));
}

#[test]
fn a_target_is_restored_by_its_own_next_success_counted_from_its_first_failure() {
    let records = [
        ended("api", 9, Outcome::Failed),
        ended("api", 8, Outcome::RolledBack),
        ended("mail", 7, Outcome::Succeeded),
        ended("api", 5, Outcome::Succeeded),
        ended("api", 4, Outcome::Succeeded),
        ended("mail", 1, Outcome::Failed),
    ];
    let figures = figures(records.iter().rev(), now(), 7);
    assert_eq!(figures.time_to_restore, Some(Duration::from_hours(4)));
    assert_eq!(figures.unrestored, 1, "mail is not restored yet");
}

#[test]
fn what_failed_before_the_span_and_was_restored_in_it_counts_in_it() {
    let records = [ended("api", 30 * 24, Outcome::Failed), ended("api", 24, Outcome::Succeeded)];
    assert_eq!(figures(&records, now(), 7).time_to_restore, Some(Duration::from_hours(29 * 24)));
}

#[test]
fn the_parts_add_up_and_the_newest_is_the_last() {
    let records: Vec<_> = (0..90).map(|n| ended("api", n * 24, Outcome::Succeeded)).collect();
    for (days, parts) in [(7, 7), (30, 30), (90, 30)] {
        let figures = figures(&records, now(), days);
        assert_eq!(figures.parts.len(), parts);
        assert_eq!(figures.parts.iter().map(|part| part.succeeded).sum::<usize>(), figures.succeeded);
        assert_eq!(figures.succeeded, usize::try_from(days).expect("small"));
        assert_eq!(figures.parts[0].from, ago(i64::from(days) * 24));
        assert!(
            figures.parts.iter().all(|part| part.succeeded == usize::try_from(days).expect("small") / parts)
        );
    }
    let last = figures([&ended("api", 0, Outcome::Failed)], now(), 7);
    assert_eq!(last.parts[6].failed, 1);
}

#[test]
fn what_the_clock_has_not_reached_yet_is_left_out() {
    assert_eq!(figures(&[ended("api", -1, Outcome::Succeeded)], now(), 7).succeeded, 0);
}

#[test]
fn a_median_of_two_is_their_mean_and_of_none_is_none() {
    let median = |minutes: &[u64]| median(minutes.iter().copied().map(Duration::from_mins).collect());
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[9, 1, 2]), Some(Duration::from_mins(2)));
    assert_eq!(median(&[4, 2]), Some(Duration::from_mins(3)));
}

#[test]
fn the_usual_time_is_that_of_the_target_alone() {
    let slow = DeploymentRecord { started_at: Some(ago(9)), ..ended("mail", 1, Outcome::Succeeded) };
    let failed = DeploymentRecord { started_at: Some(ago(99)), ..ended("api", 1, Outcome::Failed) };
    let records = [ended("api", 1, Outcome::Succeeded), slow, failed];
    assert_eq!(usual(&records, &records[0].target), Some(Duration::from_mins(20)));
    assert_eq!(usual(&[], &records[0].target), None);
}
