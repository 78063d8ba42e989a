//! What is told: reports to metrics and history, and the state as a snapshot that readers take.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{
    discover::{Gate, is_whole},
    held::HeldMessages,
    shown::{Shown, Sights},
};
use crate::{
    aws::queue::Queue,
    domain::{
        DeploymentRecord, HoldKind, HoldMove, HoldRecord, Holds, Moment, ReconcileRecord, Report,
        ServiceReading, ServiceState, Sight, TargetId, Timestamp,
    },
    inventory,
    plan::Planner,
    report::{
        channel::{News, Notifiers},
        history::History,
        past::Past,
        steps::Recorder,
        trace::Tracer,
    },
    route::Routes,
    status::{Listing, Lookup, Metrics, QueueRecord, QueueRole, Snapshot},
};

/// Snapshots follow each other no faster than this, however fast the loop turns.
const SNAPSHOT_PERIOD: Duration = Duration::from_millis(100);

/// By so much may our clock and ECS's be apart.
const APART: Duration = Duration::from_secs(10);

/// Where reports and snapshots go.
#[derive(Debug)]
pub struct Publisher {
    metrics: Arc<Metrics>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    history: Arc<History>,
    steps: Recorder,
    reconciled: Option<Arc<ReconcileRecord>>,
    /// What ECS remembers, which is read beside the loop.
    lookup: Option<Lookup>,
    /// Somebody who wants every report as it is told, such as the demo.
    listener: Option<mpsc::UnboundedSender<Report>>,
    /// Those who are told elsewhere.
    notifiers: Option<Notifiers>,
    /// Those who are told of each deployment that ended as a trace.
    tracer: Option<Tracer>,
    /// What was seen of targets by readings of their services.
    sights: Sights,
    /// Whether every service was read, once.
    whole: bool,
    /// What the last snapshot showed; `None` before the first.
    shown: Option<Shown>,
    /// Whether that is of a process that acts.
    is_acting: bool,
    published: Moment,
    is_stale: bool,
}

impl Publisher {
    /// Publishes to these.
    pub fn new(metrics: Arc<Metrics>, snapshots: watch::Sender<Arc<Snapshot>>) -> Self {
        let history = Arc::new(History::new(History::ROOM));
        let published = Moment::default();
        Self {
            metrics,
            snapshots,
            history,
            steps: Recorder::default(),
            reconciled: None,
            lookup: None,
            listener: None,
            notifiers: None,
            tracer: None,
            sights: Sights::new(),
            whole: false,
            shown: None,
            is_acting: false,
            published,
            is_stale: true,
        }
    }

    /// Also tells this listener of every report.
    #[must_use]
    pub fn with_listener(mut self, listener: mpsc::UnboundedSender<Report>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Also shows what this has read.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Lookup) -> Self {
        self.lookup = Some(lookup);
        self
    }

    fn past(&self) -> Arc<Past> {
        self.lookup.as_ref().map(Lookup::past).unwrap_or_default()
    }

    /// Also tells those who are elsewhere.
    #[must_use]
    pub fn with_notifiers(mut self, notifiers: Notifiers) -> Self {
        self.notifiers = Some(notifiers);
        self
    }

    /// Also traces each deployment.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Option<Tracer>) -> Self {
        self.tracer = tracer;
        self
    }

    /// Whether anybody is told elsewhere how deployments end.
    pub(super) fn tells(&self) -> bool {
        self.notifiers.as_ref().is_some_and(|notifiers| !notifiers.are_none())
    }

    /// What is heard next of what was told elsewhere. May be cancelled: it only takes from a channel.
    pub(super) async fn next_news(&mut self) -> Option<News> {
        self.notifiers.as_mut()?.next().await
    }

    /// Those who are told elsewhere, where anybody is.
    pub(super) fn notifiers(&mut self) -> Option<&mut Notifiers> {
        self.notifiers.as_mut()
    }

    pub(super) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Discovery found this target, or finds it no more.
    pub(super) fn knows(&mut self, target: &TargetId, routes: &Routes) {
        if let Some(shown) = &mut self.shown {
            shown.know(target, routes, &self.sights);
            self.is_stale = true;
        }
    }

    /// The service of this target was read.
    pub(super) fn sees(&mut self, sight: Sight, routes: &Routes) {
        let target = sight.target.clone();
        if self.sights.get(&target).is_some_and(|before| before.read_at > sight.read_at) {
            return;
        }
        if let Some(hold) = new_hold(self.sights.get(&target), &sight) {
            let settings = routes.settings_of(&target).map(|(settings, _)| settings);
            let name = settings.as_ref().map_or(target.service().as_str(), |it| it.name.as_str());
            info!(service = name, "{name} {}", in_words(hold));
        }
        let ended = self.sights.get(&target).and_then(|before| ended_between(before, &sight));
        if ended.is_some_and(|since| !self.is_own(&target, since)) {
            self.outdates(&target);
        }
        self.sights.insert(target.clone(), sight);
        if let Some(shown) = &mut self.shown {
            self.is_stale |= shown.see(&target, &self.sights);
        }
    }

    /// Something of somebody else has ended at this target.
    pub(super) fn outdates(&self, target: &TargetId) {
        if let Some(lookup) = &self.lookup {
            lookup.outdate(target.clone());
        }
    }

    /// Whether a rollout that was created at this time is of a deployment of ours.
    fn is_own(&self, target: &TargetId, since: Timestamp) -> bool {
        let spans = |it: &DeploymentRecord| {
            it.started_at.is_some_and(|began| began <= since + APART) && it.finished_at >= Some(since)
        };
        self.history.iter().any(|it| it.target == *target && spans(it))
    }

    /// Whether this reading would show something else of its target than is known.
    pub(super) fn would_show(&self, reading: &ServiceReading) -> bool {
        match self.sights.get(&reading.target) {
            Some(known) => known.read_at < reading.read_at && inventory::is_news(reading, known),
            None => reading.state == ServiceState::Active,
        }
    }

    /// What was seen of this target is so no more.
    pub(super) fn sees_no_more(&mut self, target: &TargetId) {
        self.sights.remove(target);
    }

    /// The planner has looked at this target, at this time by AWS's clock.
    pub(super) fn looked(&mut self, target: &TargetId, at: Timestamp) {
        if let Some(shown) = &mut self.shown {
            shown.looked(target, at);
        }
    }

    /// What holds a target back is another one now, whatever discovery read before.
    fn is_held(&mut self, target: &TargetId, hold: &HoldRecord, moved: &HoldMove) {
        let hold = match moved {
            HoldMove::Begun => Some(Box::new(hold.clone())),
            HoldMove::Ended | HoldMove::Vanished => None,
            HoldMove::Refused(_) | HoldMove::DryRun => return,
        };
        if let Some(sight) = self.sights.get_mut(target) {
            sight.hold.clone_from(&hold);
        }
        if let Some(shown) = &mut self.shown {
            shown.hold(target, hold.as_deref());
        }
    }

    pub(super) fn decided(&self, lag: Duration) {
        self.metrics.decided(lag);
    }

    /// A report, told at this time.
    pub(super) fn told(&mut self, report: &Report, at: Timestamp, held: &HeldMessages) {
        self.metrics.told(report);
        self.steps.told(report, at);
        if let Report::Settled { event_id, reason } = report
            && let Some(event) = held.event(event_id)
        {
            self.metrics.settled(event.trigger, *reason);
            if event.is_replay {
                self.metrics.replayed(*reason);
            }
        }
        if let Report::Hold { target, hold, moved, .. } = report {
            self.is_held(target, hold, moved);
        }
        if let Report::Finished(record) = report {
            Arc::make_mut(&mut self.history).push((**record).clone());
            if let Some(shown) = &mut self.shown {
                shown.ended(record);
            }
            if let Some(tracer) = &mut self.tracer {
                tracer.tell(record, self.steps.steps().of(&record.id));
            }
        }
        if let Some(notifiers) = &mut self.notifiers {
            notifiers.tell(report, at);
        }
        if let Some(listener) = &self.listener {
            let _ = listener.send(report.clone());
        }
    }

    /// The deployments of this target that ended, newest first, as far as they are remembered.
    pub(super) fn ended(&self, target: &TargetId) -> Vec<Arc<DeploymentRecord>> {
        self.history.shared().filter(|it| it.target == *target).cloned().collect()
    }

    /// So far have the services been read.
    pub(super) fn has_read(&mut self, gate: &Gate) {
        self.whole = is_whole(gate);
        self.is_stale = true;
    }

    /// A pass of reconcile ended.
    pub(super) fn reconciled(&mut self, record: ReconcileRecord) {
        self.metrics.reconciled(&record);
        self.reconciled = Some(Arc::new(record));
        self.is_stale = true;
    }

    /// When the next snapshot is to be published, if anything happened since the last.
    pub(super) fn due(&self) -> Option<Moment> {
        self.is_stale.then(|| self.published + SNAPSHOT_PERIOD)
    }

    /// Publishes that this process does not act. The next term begins with targets at rest.
    pub(super) fn publish_standby(&mut self, now: Moment, routes: &Routes) {
        if std::mem::take(&mut self.is_acting) {
            self.shown = None;
        }
        let past = self.past();
        let shown = self.shown.get_or_insert_with(|| Shown::at_rest(routes, &self.sights));
        let snapshot = Snapshot {
            taken_at: now,
            active: false,
            home: Some(routes.home()),
            whole: self.whole,
            targets: shown.targets(),
            settings: shown.settings(),
            shared_names: shown.shared_names(),
            deployments: shown.deployments(),
            waiting: shown.waiting(),
            history: Arc::clone(&self.history),
            past,
            steps: self.steps.steps(),
            reconciled: self.reconciled.clone(),
            leases_held: 0,
            oldest_held: None,
            queues: Vec::new(),
            listing: Listing::default(),
        };
        self.snapshots.send_replace(Arc::new(snapshot));
        // The first snapshot of the next term waits for nothing.
        self.published = Moment::default();
    }

    /// Whether the state may be published now; if it was published just before, it is due soon.
    pub(super) fn may_publish(&mut self, now: Moment) -> bool {
        self.is_stale = now < self.published + SNAPSHOT_PERIOD && self.published != Moment::default();
        !self.is_stale
    }

    /// Publishes the state, as it is at this time. `oldest` is the time from which on the oldest message that is held has waited.
    pub(super) fn publish(
        &mut self,
        (now, at): (Moment, Timestamp),
        planner: &mut Planner,
        routes: &Routes,
        queues: &[QueueRecord],
        oldest: Option<Timestamp>,
    ) {
        let past = self.past();
        let shown = self.shown.get_or_insert_with(|| Shown::at_rest(routes, &self.sights));
        let moved = shown.follow(planner, &self.sights);
        let waiting = shown.waiting();
        for it in moved {
            if waiting.get(&it.target).is_some_and(|next| next.id == it.id) {
                self.steps.waits(&it, at);
            } else {
                self.steps.seen(&it, at);
            }
        }
        self.is_acting = true;
        let snapshot = Snapshot {
            taken_at: now,
            active: true,
            home: Some(routes.home()),
            whole: self.whole,
            targets: shown.targets(),
            settings: shown.settings(),
            shared_names: shown.shared_names(),
            deployments: shown.deployments(),
            waiting: shown.waiting(),
            history: Arc::clone(&self.history),
            past,
            steps: self.steps.steps(),
            reconciled: self.reconciled.clone(),
            leases_held: planner.held(),
            oldest_held: oldest,
            queues: queues.to_vec(),
            listing: Listing::default(),
        };
        self.snapshots.send_replace(Arc::new(snapshot));
        self.published = now;
    }
}

/// What keeps a target back by its tags that was not known of: somebody tagged it by hand, or another process did.
fn new_hold<'a>(before: Option<&Sight>, seen: &'a Sight) -> Option<&'a HoldRecord> {
    let hold = seen.hold.as_deref()?;
    // The time in a tag may be rounded.
    let is_known = |it: &HoldRecord| (it.kind, &it.by, &it.reason) == (hold.kind, &hold.by, &hold.reason);
    (!before.and_then(|before| before.hold.as_deref()).is_some_and(is_known)).then_some(hold)
}

/// When the rollout was created that ended between two readings, if one did.
fn ended_between(before: &Sight, seen: &Sight) -> Option<Timestamp> {
    let since = |sight: &Sight| sight.running.as_ref().and_then(|it| it.since);
    let gone = before.rollout.as_ref().filter(|it| seen.rollout.as_ref().is_none_or(|now| now.id != it.id));
    since(seen).filter(|_| since(seen) != since(before)).or_else(|| gone.map(|it| it.since))
}

fn in_words(hold: &HoldRecord) -> String {
    let by = hold.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let since = hold.since.map(|since| format!(" since {since}")).unwrap_or_default();
    let reason = hold.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let (kind, tag) = match hold.kind {
        HoldKind::Paused => ("paused", Holds::PAUSED),
        HoldKind::Held => ("held after a rollback", Holds::HELD),
    };
    format!("is {kind}{by}{since}, as its tag {tag} says{reason}")
}

/// Asks the queues for their counts; one that does not answer is left out.
pub(super) async fn count(queue: &Queue, dead_letters: &Queue) -> Vec<QueueRecord> {
    let mut records = Vec::new();
    for (queue, role) in [(queue, QueueRole::Events), (dead_letters, QueueRole::DeadLetters)] {
        match queue.facts().await {
            Ok(facts) => records.push(QueueRecord {
                name: facts.arn.rsplit(':').next().unwrap_or_default().to_owned(),
                role,
                visible: facts.visible,
                in_flight: facts.in_flight,
                delayed: facts.delayed,
            }),
            Err(error) => warn!(error = %error, "a queue could not be counted"),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex};

    use super::*;
    use crate::{
        domain::{DefinitionId, Discovered, RolloutRecord, RunningRecord, TargetSettings},
        report::sample,
    };

    #[test]
    fn a_pause_that_somebody_tagged_is_told_once_with_who_and_why() {
        let sight = |value: Option<&str>| {
            let hold = Holds::from_tags(value.map(|value| (Holds::PAUSED, value))).record();
            let target = TargetId::new("1".into(), "eu-west-1".into(), "shop".into(), "api".into());
            let read_at = Timestamp::default();
            Sight { target, read_at, running: None, rollout: None, hold: hold.map(Box::new) }
        };
        let paused = sight(Some("2026-11-21T12:00:00Z / ann / a freeze"));
        let told = |before: Option<&Sight>, seen: &Sight| new_hold(before, seen).map(in_words);
        let news = "is paused by ann since 2026-11-21T12:00:00Z, as its tag lockkeeper:paused says: a freeze";
        assert_eq!(told(Some(&sight(None)), &paused).as_deref(), Some(news));
        assert_eq!(told(None, &paused).as_deref(), Some(news), "found at the start");
        assert_eq!(told(Some(&paused), &paused), None);
        assert_eq!(told(Some(&paused), &sight(None)), None);
    }

    #[test]
    fn a_pause_that_somebody_tagged_is_told_of_the_target_by_its_name() {
        let target = TargetId::new("1".into(), "eu-west-1".into(), "shop".into(), "svc-api-prod".into());
        let mut routes = Routes::new("1".into(), "eu-west-1".into(), Vec::new(), None);
        let settings = Arc::new(TargetSettings::named("api".into()));
        routes.learn(Discovered {
            target: target.clone(),
            settings,
            refused: None,
            dependencies: Vec::new(),
        });
        let hold = Holds::from_tags([(Holds::PAUSED, "2026-11-21T12:00:00Z / ann")]).record().map(Box::new);
        let metrics = Arc::new(Metrics::new("0", "0"));
        let mut publisher =
            Publisher::new(metrics, watch::channel(Arc::new(Snapshot::empty(Moment::default()))).0);
        let read_at = Timestamp::default();
        let lines = logged(|| {
            publisher.sees(Sight { target, read_at, running: None, rollout: None, hold }, &routes);
        });
        assert!(lines.contains("api is paused by ann") && lines.contains("service=\"api\""), "{lines}");
        assert!(!lines.contains("svc-api-prod"), "{lines}");
    }

    #[test]
    fn what_somebody_rolled_out_between_two_readings_is_read_of_ecs_again() {
        let (lookup, questions) = Lookup::channel();
        let metrics = Arc::new(Metrics::new("0", "0"));
        let snapshots = watch::channel(Arc::new(Snapshot::empty(Moment::default()))).0;
        let mut publisher = Publisher::new(metrics, snapshots).with_lookup(lookup);
        let ours = sample::succeeded();
        let (target, began) = (ours.target.clone(), ours.started_at.expect("it began"));
        let routes = Routes::new("1".into(), "eu-west-1".into(), Vec::new(), None);
        let definition: DefinitionId = "chubby_api:13".parse().expect("valid");
        let see = |publisher: &mut Publisher, read: u64, runs: Timestamp, goes_on: Option<&str>| {
            let running = RunningRecord {
                definition: definition.clone(),
                images: [].into(),
                since: Some(runs),
                by: None,
            };
            let of = |id: &str| RolloutRecord {
                id: id.into(),
                definition: definition.clone(),
                since: runs,
                by: None,
            };
            let rollout = goes_on.map(of).map(Box::new);
            let read_at = began + Duration::from_secs(read);
            let sight =
                Sight { target: target.clone(), read_at, running: Some(running), rollout, hold: None };
            publisher.sees(sight, &routes);
            questions.outdated.pop().is_some()
        };
        let later = began + Duration::from_hours(1);
        publisher.history = Arc::new(History::new(History::ROOM));
        Arc::make_mut(&mut publisher.history).push(ours);
        assert!(!see(&mut publisher, 0, Timestamp::default(), None), "the first reading");
        assert!(!see(&mut publisher, 60, began, None), "ours");
        assert!(!see(&mut publisher, 3_600, began, Some("ecs-svc/9")), "it goes on");
        assert!(see(&mut publisher, 7_200, later, None), "it is complete");
        assert!(!see(&mut publisher, 7_300, later, None));
        assert!(!see(&mut publisher, 7_400, later, Some("ecs-svc/10")));
        assert!(see(&mut publisher, 7_500, later, None), "it failed");
    }

    /// What is logged meanwhile.
    fn logged(work: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Sink(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }
}
