//! From what the targets wait for to what would never arrive: rules, trails and buckets.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    elsewhere::{self, Here},
    finding::{About, Finding, some_of},
    rules::{self, Patterns},
    samples::{self, Wanted},
    targets::Seen,
};
use crate::{
    aws::{Connections, rules::Rules, trails::Trails},
    cli::estate::Progress,
    domain::{CallFailure, Dependency, Place},
};

/// So many buckets are asked about.
const MOST_BUCKETS: usize = 50;

/// What would never arrive, of what these targets wait for.
pub(super) async fn judge(
    connections: &Connections,
    here: &Here<'_>,
    seen: &[Seen],
    discovers: bool,
    progress: &Progress,
) -> Vec<Finding> {
    progress.show("events that targets wait for");
    let (api, home) = (connections.rules(), here.home);
    let patterns = Patterns::of(here.rules);
    let (mut afar, wanted): (Vec<Wanted>, Vec<Wanted>) = samples::wanted(seen)
        .into_iter()
        .partition(|it| it.place.as_ref().is_some_and(|place| place != home));
    let all = wanted.len();
    let (mut lost, mut by_trail) = (Vec::new(), Vec::new());
    for it in wanted {
        match patterns.let_through(&it) {
            None => lost.push(it),
            Some(true) => by_trail.push(it),
            Some(false) => {}
        }
    }
    let (lost, asked) = rules::confirm(&api, &patterns, lost).await;
    let mut findings = rules::told(lost, all, &patterns, &asked);
    findings.extend(of_trails(connections, &by_trail, home).await);
    findings.extend(of_buckets(connections, seen, &by_trail, home).await);
    if discovers {
        findings.extend(of_discovery(&api, &patterns, seen, home).await);
        afar.extend(rollouts_afar(seen, home));
    }
    findings.extend(elsewhere::judge(connections, here, seen, afar).await);
    findings
}

/// What ECS tells in each place that is not ours.
fn rollouts_afar(seen: &[Seen], home: &Place) -> Vec<Wanted> {
    let firsts: BTreeMap<Place, &Seen> = seen.iter().rev().map(|it| (Place::of(&it.id), it)).collect();
    firsts
        .into_iter()
        .filter(|(place, _)| place != home)
        .map(|(_, target)| samples::rollout(target))
        .collect()
}

/// Events that come by CloudTrail come only if a trail tells of them.
pub(super) async fn of_trails(connections: &Connections, by_trail: &[Wanted], place: &Place) -> Vec<Finding> {
    let here: Vec<&Wanted> = by_trail.iter().filter(|it| it.place.as_ref() == Some(place)).collect();
    if here.is_empty() {
        return Vec::new();
    }
    judge_trails(&here, connections.trails().await)
}

fn judge_trails(by_trail: &[&Wanted], trails: Result<Trails, CallFailure>) -> Vec<Finding> {
    let is_of_file = |it: &Wanted| it.what.contains("s3://");
    let of = |files: bool| -> Vec<String> {
        by_trail.iter().filter(|it| is_of_file(it) == files).map(|it| it.what.clone()).collect()
    };
    let (files, others) = (of(true), of(false));
    let told = |what: Vec<String>, why: &str, mend: &str| {
        let count = what.len();
        let what = format!("{} would arrive by CloudTrail only, and {why}", some_of(what, 3));
        (count > 0).then(|| Finding::warning(About::Events, what, mend))
    };
    let found = match trails {
        Err(failure) => {
            let why = format!("whether a trail tells of it could not be read: {}", failure.reason);
            vec![told(
                [files, others].concat(),
                &why,
                "allow cloudtrail:DescribeTrails, or look whether there is one",
            )]
        }
        Ok(Trails { writes, objects }) => vec![
            told(
                if writes { Vec::new() } else { others },
                "no trail tells of calls that change something",
                "make a trail of management events",
            ),
            told(
                if objects { Vec::new() } else { files },
                "no trail tells of writes to objects",
                "switch on EventBridge at the bucket, or make a trail with S3's data events",
            ),
        ],
    };
    found.into_iter().flatten().collect()
}

/// A bucket tells EventBridge nothing unless it is told to.
pub(super) async fn of_buckets(
    connections: &Connections,
    seen: &[Seen],
    by_trail: &[Wanted],
    place: &Place,
) -> Vec<Finding> {
    let is_by_trail = |bucket: &str| by_trail.iter().any(|it| it.what.contains(&format!("s3://{bucket}/")));
    let here = seen.iter().filter(|it| Place::of(&it.id) == *place && it.settings.triggers.files);
    let buckets: BTreeSet<&str> = here
        .flat_map(|it| &it.dependencies)
        .filter_map(|it| match it {
            Dependency::File { bucket, .. } => Some(&**bucket),
            Dependency::Repository { .. } | Dependency::Parameter { .. } | Dependency::Secret { .. } => None,
        })
        .filter(|bucket| !is_by_trail(bucket))
        .collect();
    let mut findings = Vec::new();
    for bucket in buckets.into_iter().take(MOST_BUCKETS) {
        match connections.sends_events(bucket).await {
            Ok(true) => {}
            Ok(false) => {
                let what =
                    format!("the bucket {bucket} sends no events to EventBridge: no write to it is told");
                findings.push(Finding::warning(
                    About::Events,
                    what,
                    "switch on its EventBridge notifications",
                ));
            }
            Err(failure) => {
                let what =
                    format!("whether the bucket {bucket} sends events could not be read: {}", failure.reason);
                let mend =
                    "allow s3:GetBucketNotification, or look whether its EventBridge notifications are on";
                findings.push(Finding::warning(About::Events, what, mend));
            }
        }
    }
    findings
}

/// Discovery hears of new services and definitions by what ECS tells of rollouts.
async fn of_discovery(api: &Rules, patterns: &Patterns, seen: &[Seen], home: &Place) -> Option<Finding> {
    let target = seen.iter().find(|it| Place::of(&it.id) == *home)?;
    let wanted = samples::rollout(target);
    if patterns.let_through(&wanted).is_some() {
        return None;
    }
    let (lost, _) = rules::confirm(api, patterns, vec![wanted]).await;
    let what = "what ECS tells of rollouts would never reach the queue: a new service or definition is known only after \
                discovery.refresh";
    let mend = r#"make a rule with {"source":["aws.ecs"],"detail-type":["ECS Deployment State Change"]}"#;
    (!lost.is_empty()).then(|| Finding::warning(About::Events, what, mend))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::text, *};
    use crate::domain::{Cause, Remedy};

    fn wanted(what: &str) -> Wanted {
        Wanted { what: what.into(), place: None, events: Vec::new(), by: BTreeSet::new() }
    }

    #[test]
    fn what_comes_by_a_trail_needs_one() {
        let (secret, file) = (wanted("a new value of secret db"), wanted("a write of s3://env/api.env"));
        let of = |trails| text(&judge_trails(&[&secret, &file], trails));
        insta::assert_snapshot!(of(Ok(Trails::default())), @r#"
        warning  events: a new value of secret db would arrive by CloudTrail only, and no trail tells of calls that change something; make a trail of management events
        warning  events: a write of s3://env/api.env would arrive by CloudTrail only, and no trail tells of writes to objects; switch on EventBridge at the bucket, or make a trail with S3's data events
        0 errors, 2 warnings.
        "#);
        assert!(of(Ok(Trails { writes: true, objects: true })).starts_with("0 errors, 0 warnings"));
        let reason = "DescribeTrails: AccessDenied".into();
        let failure = CallFailure { cause: Cause::Permission, reason, remedy: Remedy::GiveUp };
        insta::assert_snapshot!(of(Err(failure)), @r#"
        warning  events: a write of s3://env/api.env, a new value of secret db would arrive by CloudTrail only, and whether a trail tells of it could not be read: DescribeTrails: AccessDenied; allow cloudtrail:DescribeTrails, or look whether there is one
        0 errors, 1 warning.
        "#);
    }
}
