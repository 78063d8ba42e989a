//! The batches of one walk, and what failed of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::{CallFailure, ClusterName, ServiceName, TargetId};

/// After so many batches of which nothing could be read, one after the other, a walk ends: asking on would mend nothing.
const MOST_IN_A_ROW: usize = 5;

/// Services of one cluster that are described by one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) cluster: ClusterName,
    pub(super) names: Vec<ServiceName>,
}

/// What is left of a walk, and what failed.
#[derive(Debug, Default)]
pub(super) struct Work {
    left: VecDeque<Batch>,
    failed: BTreeMap<TargetId, CallFailure>,
    in_a_row: usize,
}

impl Work {
    /// These services of a cluster are to be read, so many at a time.
    pub(super) fn add(&mut self, cluster: &ClusterName, names: &[ServiceName], size: usize) {
        let batch = |names: &[ServiceName]| Batch { cluster: cluster.clone(), names: names.to_vec() };
        self.left.extend(names.chunks(size).map(batch));
    }

    /// How many batches are left.
    pub(super) fn batches(&self) -> usize {
        self.left.len()
    }

    /// What is next; nothing if all is done, or if there is no point in going on.
    pub(super) fn next(&mut self) -> Option<Batch> {
        if self.is_hopeless() { None } else { self.left.pop_front() }
    }

    /// A batch of so many services was read, but for these.
    pub(super) fn done(&mut self, size: usize, failed: Vec<(TargetId, CallFailure)>) {
        self.in_a_row = if failed.len() >= size { self.in_a_row + 1 } else { 0 };
        self.failed.extend(failed);
    }

    /// Whether so much failed in a row that it was given up.
    pub(super) fn is_hopeless(&self) -> bool {
        self.in_a_row >= MOST_IN_A_ROW
    }

    /// What failed.
    pub(super) fn failed(&self) -> &BTreeMap<TargetId, CallFailure> {
        &self.failed
    }

    /// The same again for what failed, unless it is hopeless; whether there is anything.
    pub(super) fn again(&mut self, size: usize) -> bool {
        if self.is_hopeless() || self.failed.is_empty() {
            return false;
        }
        let failed: BTreeSet<TargetId> = std::mem::take(&mut self.failed).into_keys().collect();
        let mut by_cluster: BTreeMap<&ClusterName, Vec<ServiceName>> = BTreeMap::new();
        for target in &failed {
            by_cluster.entry(target.cluster()).or_default().push(target.service().clone());
        }
        for (cluster, names) in by_cluster {
            self.add(cluster, &names, size);
        }
        self.in_a_row = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Cause, Remedy};

    fn names(count: usize) -> Vec<ServiceName> {
        (0..count).map(|number| format!("s{number:02}").into()).collect()
    }

    fn failed(batch: &Batch) -> Vec<(TargetId, CallFailure)> {
        let failure = CallFailure { cause: Cause::Permission, reason: "no".into(), remedy: Remedy::GiveUp };
        let target = |name: &ServiceName| {
            TargetId::new("1".into(), "eu-west-1".into(), batch.cluster.clone(), name.clone())
        };
        batch.names.iter().map(|name| (target(name), failure.clone())).collect()
    }

    #[test]
    fn services_are_read_by_ten_and_never_those_of_two_clusters_together() {
        let mut work = Work::default();
        work.add(&"shop".into(), &names(12), 10);
        work.add(&"mail".into(), &names(1), 10);
        assert_eq!(work.batches(), 3);
        let sizes = std::iter::from_fn(|| work.next()).map(|batch| (batch.cluster, batch.names.len()));
        assert_eq!(sizes.collect::<Vec<_>>(), [("shop".into(), 10), ("shop".into(), 2), ("mail".into(), 1)]);
    }

    #[test]
    fn what_failed_is_read_again_and_only_that() {
        let mut work = Work::default();
        work.add(&"shop".into(), &names(20), 10);
        let first = work.next().expect("two");
        work.done(10, failed(&first).split_off(7));
        let second = work.next().expect("two");
        work.done(10, Vec::new());
        assert_eq!((second.names.len(), work.failed().len()), (10, 3));
        assert!(work.again(10));
        assert_eq!(work.next().map(|batch| batch.names), Some(first.names[7..].to_vec()));
        work.done(3, Vec::new());
        assert!(!work.again(10));
    }

    #[test]
    fn a_walk_in_which_everything_fails_ends_and_one_success_between_is_enough_to_go_on() {
        let mut work = Work::default();
        work.add(&"shop".into(), &names(200), 10);
        for round in 0..8 {
            let batch = work.next().expect("it goes on");
            let all = failed(&batch);
            work.done(10, if round == 3 { all[1..].to_vec() } else { all });
        }
        let batch = work.next().expect("four in a row");
        work.done(10, failed(&batch));
        assert!(work.is_hopeless() && work.next().is_none() && !work.again(10));
    }
}
