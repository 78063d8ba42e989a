//! What may be asked for, and by whom.

use std::time::Duration;

use insta::assert_snapshot;

use super::*;
use crate::{
    domain::{Cause, Outcome, Stage},
    report::sample,
    status::page::parts::{outcome_kind, pill},
};

#[test]
fn what_changes_something_is_hidden_until_somebody_has_signed_in() {
    let sample = Sample::busy();
    let target = seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], None));
    let bars = target.matches("<div class=\"acts\" role=\"group\"").count();
    assert_eq!((bars, target.matches(" hidden><button type=\"button\" data-act").count()), (1, 1));
    let offers = |html: &str, verb: &str| {
        html.contains(
            &format!("chubby_api/{verb}\"")
                .replace('/', "%2F")
                .replace(&format!("%2F{verb}"), &format!("/{verb}")),
        )
    };
    assert!(offers(&target, "pause") && offers(&target, "rollback") && !offers(&target, "resume"));
    let ended = sample.snapshot.history.iter().next().expect("one has ended");
    assert!(!seen(&sample, &Asked::default(), |view| view.deployment(ended, None)).contains("/cancel"));
    let active = sample.snapshot.under_way().next().expect("one is under way");
    assert!(
        seen(&sample, &Asked::default(), |view| view.deployment(active, None))
            .contains("/api/v1/deployments/d-77fe/cancel")
    );
}

#[test]
fn what_goes_back_for_good_cannot_be_cancelled() {
    let sample = Sample::busy();
    let offers = |cancelled: bool| {
        let cause = (!cancelled).then_some(Cause::CrashLoop);
        let back = DeploymentRecord {
            stage: Stage::RollingBack,
            cause,
            cancelled,
            ..crate::report::sample::active()
        };
        seen(&sample, &Asked::default(), |view| view.deployment(&back, None)).contains("/cancel\"")
    };
    assert_eq!((offers(false), offers(true)), (false, true));
}

#[test]
fn a_target_that_somebody_paused_says_who_and_why_and_offers_to_resume_it() {
    let mut sample = Sample::busy();
    let hold = HoldRecord {
        kind: HoldKind::Paused,
        by: Some("ann".into()),
        since: Some(at("12:01:00")),
        reason: Some("stocktaking".into()),
    };
    let until = sample.now + Duration::from_mins(5);
    let lane = &mut first_of(&mut sample.snapshot).lane;
    (lane.hold, lane.until) = (Some(hold.clone()), Some(until));
    let home = page(&sample, false);
    let told = lines(&home);
    assert!(
        told.contains("? api is paused and 1 request waits\nby ann, 5 min ago : stocktaking\n"),
        "{told}"
    );
    assert!(rows(&home, "targets").contains("Watching Paused by ann, 5 min ago : stocktaking"));
    let asked = Asked { state: Some(asked::Lanes::Held), ..Asked::default() };
    assert_eq!(rows(&seen(&sample, &asked, |view| view.home()), "targets").lines().count(), 1);
    let target = seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], None));
    assert!(target.contains("/resume\"") && !target.contains("/pause\""));
    assert!(target.contains("nothing is begun before somebody resumes it"));
    assert!(target.contains("it goes back once somebody resumes it"));
    first_of(&mut sample.snapshot).lane.hold = Some(HoldRecord { kind: HoldKind::Held, ..hold });
    let after_rollback =
        seen(&sample, &Asked::default(), |view| view.target(&sample.snapshot.targets[0], None));
    assert!(after_rollback.contains("It is held already, and stays so"));
    assert!(!after_rollback.contains("It is paused"));
}

#[test]
fn what_was_cancelled_is_set_aside_and_looks_like_no_failure() {
    let mut letter = letter("l-1", "12:05:00", None, Verdict::Asks);
    letter.outcome = Some("cancelled".into());
    let letters = Letters { seen_at: at("12:05:30"), letters: vec![letter], whole: true, unseen: 0 };
    let html = seen(&Sample::busy(), &Asked::default(), |view| view.letters(Ok(&letters)));
    let kind = outcome_kind(Outcome::Cancelled);
    assert!(html.contains(&pill(kind, "cancelled").into_string()) && kind == "calm", "{html}");
    assert!(html.contains("were cancelled"), "{html}");
}

#[test]
fn what_was_set_aside_says_why_and_can_be_put_back() {
    let sample = Sample::busy();
    let strange = LetterRecord {
        put_by: PutBy::Sqs,
        outcome: None,
        cause: None,
        deployment: None,
        event: LetterEvent { meaning: None, ..letter("x", "12:00:00", None, Verdict::ComesBack).event },
        ..letter("l-2", "12:05:00", None, Verdict::ComesBack)
    };
    let api = Some("111122223333/eu-west-1/shop/chubby_api");
    let letters = Letters {
        seen_at: at("12:05:55"),
        letters: vec![letter("l-1", "12:04:00", api, Verdict::Asks), strange],
        whole: false,
        unseen: 1,
    };
    let html = seen(&sample, &Asked::default(), |view| view.letters(Ok(&letters)));
    let told = html.split("<tbody role=\"rowgroup\">").nth(1).and_then(|rest| rest.split("</tbody>").next());
    let told: Vec<String> = told
        .expect("rows")
        .split("<tr role=\"row\">")
        .skip(1)
        .map(|row| words(&without_buttons(row)))
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    all that it reaches | Nobody understands it image pushed, event e-3 | container web exited with 1 put there by SQS: it was received too often tried 3 times | comes back: it cannot be understood, or does not say what is meant | 1 min ago 2 copies |
    api d-bad0 | push of shop_api:broken image pushed, event e-3 | rolled back crash loop container web exited with 1 tried 3 times | reaches api | 2 min ago 2 copies |
    "#);
    assert!(html.contains("Not all could be seen: 1 are in somebody's hands."));
    assert_eq!(html.matches("data-path=\"/api/v1/dead-letters/replay\"").count(), 3);
    let asked = Asked { words: "crash".into(), ..Asked::default() };
    assert_eq!(seen(&sample, &asked, |view| view.letters(Ok(&letters))).matches("data-act").count(), 2);
    let refusal = Refusal::Unavailable("nobody answers".into());
    let html = seen(&sample, &Asked::default(), |view| view.letters(Err(&refusal)));
    assert!(html.contains("They cannot be shown now: nobody answers."));
}

fn letter(id: &str, second: &str, target: Option<&str>, result: Verdict) -> LetterRecord {
    LetterRecord {
        id: id.into(),
        put_by: PutBy::Lockkeeper,
        time: at(second),
        target: target.map(|target| target.parse().expect("valid")),
        deployment: Some("d-bad0".into()),
        outcome: Some("rolled_back".into()),
        cause: Some("crash_loop".into()),
        attempts: Some(3),
        reason: Some("container web exited with 1".into()),
        version: at(second),
        copies: 2,
        event: LetterEvent {
            id: "e-3".into(),
            source: "aws.ecr".into(),
            detail_type: "ECR Image Action".into(),
            trigger: TriggerKind::ImagePushed,
            meaning: Some("push of shop_api:broken".into()),
        },
        result,
        reaches: vec!["api".into()],
    }
}

#[test]
fn what_waits_is_not_measured_by_what_a_rollout_takes() {
    let active = DeploymentRecord { stage: Stage::Waiting, started_at: None, ..sample::active() };
    let sample = Sample::busy();
    let told = lines(&seen(&sample, &Asked::default(), |view| view.deployment(&active, None)));
    assert!(told.contains("Time so far") && !told.contains("usual"), "{told}");
}
