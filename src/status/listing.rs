//! The deployments of a snapshot, those too that wait behind others, in the order in which they are listed. That order, and what of it ECS tells twice, is found
//! out once for all who ask while the snapshot is the newest, and not at all if nobody does.

use std::sync::{Arc, OnceLock};

use super::Snapshot;
use crate::{domain::DeploymentRecord, report::history::in_order};

/// What has been found out. A copy of a snapshot may be changed, so that it begins anew.
#[derive(Debug, Default)]
pub struct Listing(OnceLock<Vec<Arc<DeploymentRecord>>>);

impl Clone for Listing {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Snapshot {
    /// Of how many targets it is not read yet what ECS remembers: their deployments from before this process are missing.
    pub(super) fn past_unread(&self) -> usize {
        self.past.unread(self.targets.iter().map(|it| &it.id))
    }

    /// Deployments that wait or are under way, then those that ended, those too that only ECS remembers; the newest first.
    pub(super) fn listed(&self) -> &[Arc<DeploymentRecord>] {
        self.listing.0.get_or_init(|| {
            let unended = self.deployments.values().chain(self.waiting.values());
            let known = unended.chain(self.history.shared());
            let remembered = self.past.beside(&self.history, self.under_way());
            in_order(known.chain(remembered).cloned().collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Origin, PastRollout, RolloutState, Tasks, Timestamp},
        report::{
            history::{History, Query, page, page_of},
            past::Past,
            sample::succeeded,
        },
        status::sample::Sample,
    };

    /// A history and a past that are full, of a hundred targets.
    fn full() -> Snapshot {
        let mut snapshot = Sample::busy().snapshot;
        let (mut history, mut past) = (History::default(), Past::default());
        for number in 0..i64::try_from(History::ROOM).expect("it is small") {
            let target = format!("111122223333/eu-west-1/shop/api-{}", number % 100).parse().expect("valid");
            let at = Some(Timestamp::from_millis(1_700_000_000_000 + number));
            history.push(DeploymentRecord {
                id: format!("d-{number}").into(),
                target,
                finished_at: at,
                ..succeeded()
            });
        }
        for target in 0..100 {
            let rollout = |number: i64| PastRollout {
                id: format!("arn:{target}/{target}-{number}").into(),
                created_at: Timestamp::from_millis(number * 1_000_000),
                ended_at: Timestamp::from_millis(number * 1_000_000 + 60_000),
                state: RolloutState::Succeeded,
                reason: "".into(),
                stopped: false,
                tripped: false,
                definition: format!("api:{number}").parse().expect("valid"),
                previous: None,
                registered_by: None,
                tasks: Tasks::default(),
            };
            let id = format!("111122223333/eu-west-1/shop/api-{target}").parse().expect("valid");
            let rollouts: Vec<_> = (1..=50).rev().map(rollout).collect();
            past.learn(&id, &"api".into(), (&rollouts, &[]), Timestamp::from_millis(target));
        }
        (snapshot.history, snapshot.past) = (Arc::new(history), Arc::new(past));
        snapshot
    }

    #[test]
    fn what_waits_behind_a_deployment_is_found_by_its_event_and_by_its_target() {
        let mut snapshot = Sample::busy().snapshot;
        let first = snapshot.deployments.values().next().expect("one is under way").clone();
        let origin = Arc::new(Origin { event_id: "of-the-next".into(), ..(*first.triggers[0]).clone() });
        let next = DeploymentRecord { id: "d-next".into(), triggers: vec![origin], ..(*first).clone() };
        snapshot.waiting = Arc::new([(next.target.clone(), Arc::new(next))].into());
        let ids = |query| -> Vec<String> {
            let page = page_of(snapshot.listed(), &query);
            page.items.iter().filter(|it| it.outcome.is_none()).map(|it| it.id.to_string()).collect()
        };
        let by_event = Query { event: Some("of-the-next".into()), ..Query::first(20) };
        assert_eq!(ids(by_event), ["d-next"]);
        let by_target = Query { target: Some(first.target.to_string()), ..Query::first(20) };
        assert_eq!(ids(by_target).len(), 2);
    }

    #[test]
    fn the_past_is_whole_once_each_target_was_read_even_without_a_rollout() {
        let mut snapshot = Sample::busy().snapshot;
        let targets = snapshot.targets.clone();
        assert!(!targets.is_empty());
        snapshot.past = Arc::default();
        assert_eq!(snapshot.past_unread(), targets.len());
        for (read, it) in targets.iter().enumerate() {
            assert_eq!(snapshot.past_unread(), targets.len() - read);
            Arc::make_mut(&mut snapshot.past).learn(&it.id, &it.name, (&[], &[]), Timestamp::default());
        }
        assert_eq!(snapshot.past_unread(), 0);
    }

    #[test]
    fn pages_of_what_is_in_order_are_those_of_what_is_not() {
        let snapshot = full();
        let remembered = snapshot.past.beside(&snapshot.history, snapshot.under_way());
        let known = snapshot.deployments.values().chain(snapshot.history.shared());
        let all: Vec<_> = known.chain(remembered).cloned().collect();
        assert!(all.len() > 6_000, "{}", all.len());
        let mut query = Query::first(200);
        loop {
            let whole = page(all.iter().map(|it| &**it), &query);
            assert!(page_of(snapshot.listed(), &query) == whole, "they differ after {:?}", query.after);
            query.after = whole.next;
            if query.after.is_none() {
                break;
            }
        }
        for target in ["api", "111122223333/eu-west-1/shop/api-7", "nobody"] {
            let query = Query { target: Some(target.into()), ..Query::first(20) };
            let whole = page(all.iter().map(|it| &**it), &query);
            assert!(page_of(snapshot.listed(), &query) == whole, "they differ for {target}");
        }
    }
}
