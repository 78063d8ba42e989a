//! Which services are to be read soon. Whatever tells of a service tells of it several times within seconds, so each is read
//! once for all of that, a little later.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::domain::TargetId;

/// From the first sign of a service to its being read. It is at most read once in so long, and by then ECS shows what it told.
pub(super) const QUIET: Duration = Duration::from_secs(5);

/// After a first failed reading the next follows after so long, then after twice that.
const FIRST_DELAY: Duration = Duration::from_secs(10);

/// So often a service is read in vain; then it waits until everything is read.
pub(super) const MOST_ATTEMPTS: u32 = 4;

/// The services of one place that are to be read soon.
#[derive(Debug, Default)]
pub(super) struct Errands {
    waiting: Mutex<BTreeMap<TargetId, Errand>>,
    bell: Notify,
    everything: Notify,
}

/// One service that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    due: Instant,
    /// How often it was tried in vain.
    pub(super) attempts: u32,
}

impl Errands {
    /// This service may have changed.
    pub(super) fn add(&self, target: &TargetId) {
        let soon = Errand { due: Instant::now() + QUIET, attempts: 0 };
        let mut waiting = self.lock();
        let errand = waiting.entry(target.clone()).or_insert(soon);
        // One that failed waits for its turn; one that was only to be looked at some time does not.
        if errand.attempts == 0 {
            errand.due = errand.due.min(soon.due);
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// This service is worth another look after so long, if nothing is heard of it before.
    pub(super) fn later(&self, target: &TargetId, delay: Duration) {
        let later = Errand { due: Instant::now() + delay, attempts: 0 };
        self.lock().entry(target.clone()).or_insert(later);
        self.bell.notify_one();
    }

    /// This service could not be read; whether it is tried again.
    pub(super) fn again(&self, target: &TargetId, before: Errand) -> bool {
        let attempts = before.attempts + 1;
        if attempts >= MOST_ATTEMPTS {
            return false;
        }
        let due = Instant::now() + FIRST_DELAY * (1 << before.attempts);
        self.lock().entry(target.clone()).or_insert(Errand { due, attempts });
        self.bell.notify_one();
        true
    }

    /// Anything may have changed.
    pub(super) fn everything(&self) {
        self.everything.notify_one();
    }

    /// Waits until everything is to be read, and no longer than until then.
    pub(super) async fn until_everything_or(&self, at: Instant) {
        let _ = timeout_at(at, self.everything.notified()).await;
    }

    /// Waits for services that are due, and takes up to so many of one cluster.
    pub(super) async fn next(&self, most: usize) -> Vec<(TargetId, Errand)> {
        loop {
            match self.take(Instant::now(), most) {
                Ok(due) => return due,
                Err(Some(at)) => drop(timeout_at(at, self.bell.notified()).await),
                Err(None) => self.bell.notified().await,
            }
        }
    }

    /// Those that are due, or when the first of them will be.
    fn take(&self, now: Instant, most: usize) -> Result<Vec<(TargetId, Errand)>, Option<Instant>> {
        let mut waiting = self.lock();
        let first = waiting.iter().min_by_key(|(_, errand)| errand.due);
        let Some((first, errand)) = first.map(|(target, errand)| (target.clone(), *errand)) else {
            return Err(None);
        };
        if errand.due > now {
            return Err(Some(errand.due));
        }
        let beside = |(target, errand): &(&TargetId, &Errand)| {
            errand.due <= now && target.cluster() == first.cluster() && **target != first
        };
        let rest = waiting.iter().filter(beside).map(|(target, errand)| (target.clone(), *errand));
        let due: Vec<_> = [(first.clone(), errand)].into_iter().chain(rest).take(most).collect();
        for (target, _) in &due {
            waiting.remove(target);
        }
        Ok(due)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TargetId, Errand>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(cluster: &str, service: &str) -> TargetId {
        TargetId::new("1".into(), "eu-west-1".into(), cluster.into(), service.into())
    }

    async fn names(errands: &Errands) -> Vec<String> {
        let due = errands.next(2).await;
        due.iter().map(|(target, _)| format!("{}/{}", target.cluster(), target.service())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn many_signs_of_one_service_are_one_reading_five_seconds_after_the_first() {
        let (errands, began) = (Errands::default(), Instant::now());
        for _ in 0..20 {
            errands.add(&target("shop", "api"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(names(&errands).await, ["shop/api"]);
        assert_eq!(began.elapsed(), QUIET);
        errands.add(&target("shop", "api"));
        assert_eq!(names(&errands).await, ["shop/api"]);
        assert_eq!(began.elapsed(), 2 * QUIET);
        assert!(timeout_at(began + Duration::from_hours(1), errands.next(2)).await.is_err(), "no more");
    }

    #[tokio::test(start_paused = true)]
    async fn those_of_one_cluster_are_read_together_the_longest_waiting_first() {
        let errands = Errands::default();
        errands.add(&target("shop", "web"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        for (cluster, service) in [("mail", "in"), ("shop", "api"), ("shop", "zoo")] {
            errands.add(&target(cluster, service));
        }
        tokio::time::sleep(QUIET).await;
        assert_eq!(names(&errands).await, ["shop/web", "shop/api"]);
        assert_eq!(names(&errands).await, ["mail/in"]);
        assert_eq!(names(&errands).await, ["shop/zoo"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_read_is_tried_again_ever_later_and_then_left() {
        let (errands, began) = (Errands::default(), Instant::now());
        errands.add(&target("shop", "api"));
        let mut tried = Vec::new();
        loop {
            let (target, errand) = errands.next(2).await.remove(0);
            tried.push(began.elapsed().as_secs());
            if !errands.again(&target, errand) {
                break;
            }
        }
        assert_eq!(tried, [5, 15, 35, 75]);
    }
}
