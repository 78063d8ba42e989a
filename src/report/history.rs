//! The deployments that ended lately, newest first, and how lists of deployments are filtered and paged.
//!
//! A page goes on where the one before it ended by the position of its last item, not by a count: what begins or
//! ends in between shifts nothing. Nothing is left out; what ends between two pages may be shown on both.

use std::{cmp::Reverse, collections::VecDeque, fmt, str::FromStr, sync::Arc};

use crate::domain::{DeploymentId, DeploymentRecord, EventId, Outcome, TargetId, Timestamp};

/// Finished deployments within bounds. A copy shares its records.
#[derive(Clone, Debug)]
pub struct History {
    records: VecDeque<Arc<DeploymentRecord>>,
    room: usize,
}

/// What is wanted of a list of deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Only those of the target with this name or id.
    pub target: Option<String>,
    /// Only those that carry this event.
    pub event: Option<EventId>,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
    /// Only those that ended at this time or later, or have not ended.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
    /// Only what follows this.
    pub after: Option<Cursor>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Those under way first, then those that ended; newest first.
    pub items: Vec<&'a DeploymentRecord>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}

/// The place of a deployment in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    ended: bool,
    at: Reverse<Timestamp>,
    id: DeploymentId,
}

/// A text that is no cursor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it is the `next` of the page before, unchanged")]
pub struct NotACursor;

impl History {
    /// How many are kept where nothing else is said: some megabytes at most.
    pub const ROOM: usize = 1_000;

    /// With room for so many.
    pub fn new(room: usize) -> Self {
        Self { records: VecDeque::new(), room }
    }

    /// Adds the newest; the oldest makes room.
    pub fn push(&mut self, record: DeploymentRecord) {
        self.records.push_front(Arc::new(record));
        self.records.truncate(self.room);
    }

    /// All of them, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &DeploymentRecord> {
        self.records.iter().map(|record| &**record)
    }

    /// All of them, newest first, as they are shared by every copy.
    pub fn shared(&self) -> impl Iterator<Item = &Arc<DeploymentRecord>> {
        self.records.iter()
    }

    /// The newest.
    pub fn newest(&self) -> Option<&Arc<DeploymentRecord>> {
        self.records.front()
    }

    /// The newest with this id. After a redelivery the same deployment may have been told twice.
    pub fn find(&self, id: &DeploymentId) -> Option<&DeploymentRecord> {
        let all = || self.iter().filter(|record| record.id == *id);
        all().find(|record| record.rollout_id.is_some()).or_else(|| all().next())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new(Self::ROOM)
    }
}

impl Query {
    /// The first page of all.
    pub fn first(limit: usize) -> Self {
        Self { target: None, event: None, outcome: None, since: None, limit, after: None }
    }

    /// What it wants, with the target's id read once for all that are compared.
    fn wanted(&self) -> impl Fn(&DeploymentRecord) -> bool {
        let id: Option<TargetId> = self.target.as_ref().and_then(|target| target.parse().ok());
        move |it| self.wants(it, id.as_ref())
    }

    fn wants(&self, it: &DeploymentRecord, id: Option<&TargetId>) -> bool {
        let of_target = |wanted: &String| it.name.as_str() == wanted.as_str() || Some(&it.target) == id;
        self.target.as_ref().is_none_or(of_target)
            && self.event.as_ref().is_none_or(|event| it.triggers.iter().any(|why| why.event_id == *event))
            && self.outcome.is_none_or(|outcome| it.outcome == Some(outcome))
            && self.since.is_none_or(|since| it.finished_at.is_none_or(|ended| ended >= since))
            && self.after.as_ref().is_none_or(|after| Cursor::of(it) > *after)
    }
}

/// The page of these deployments that the query asks for.
pub fn page<'a>(records: impl IntoIterator<Item = &'a DeploymentRecord>, query: &Query) -> Page<'a> {
    let is_wanted = query.wanted();
    let mut items: Vec<_> = records.into_iter().filter(|record| is_wanted(record)).collect();
    let more = items.len() > query.limit;
    if more {
        // Of thousands few are shown: only those are brought into order.
        items.select_nth_unstable_by(query.limit, |one, other| place(one).cmp(&place(other)));
        items.truncate(query.limit);
    }
    items.sort_by(|one, other| place(one).cmp(&place(other)));
    let next = items.last().filter(|_| more).map(|record| Cursor::of(record));
    Page { items, next }
}

/// The page of these deployments, which are in order, that the query asks for.
pub fn page_of<'a>(ordered: &'a [Arc<DeploymentRecord>], query: &Query) -> Page<'a> {
    let is_before =
        |it: &Arc<DeploymentRecord>| query.after.as_ref().is_some_and(|after| Cursor::of(it) <= *after);
    let rest = ordered[ordered.partition_point(is_before)..].iter().map(|record| &**record);
    let is_wanted = query.wanted();
    let mut items: Vec<_> = rest.filter(|record| is_wanted(record)).take(query.limit + 1).collect();
    let more = items.len() > query.limit;
    items.truncate(query.limit);
    let next = items.last().filter(|_| more).map(|record| Cursor::of(record));
    Page { items, next }
}

/// The order in which deployments are listed: those under way first, then those that ended; newest first.
pub fn in_order(mut records: Vec<Arc<DeploymentRecord>>) -> Vec<Arc<DeploymentRecord>> {
    records.sort_by(|one, other| place(one).cmp(&place(other)));
    records
}

impl Cursor {
    fn of(it: &DeploymentRecord) -> Self {
        let (ended, at, id) = place(it);
        Self { ended, at, id: id.clone() }
    }
}

/// Where it stands in a list.
fn place(it: &DeploymentRecord) -> (bool, Reverse<Timestamp>, &DeploymentId) {
    (it.finished_at.is_some(), Reverse(it.finished_at.unwrap_or(it.requested_at)), &it.id)
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = if self.ended { "ended" } else { "active" };
        write!(f, "{group}.{}.{}", self.at.0.as_millis(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (group, rest) = text.split_once('.').ok_or(NotACursor)?;
        let (millis, id) = rest.split_once('.').ok_or(NotACursor)?;
        let ended = match group {
            "active" => false,
            "ended" => true,
            _ => return Err(NotACursor),
        };
        let at = Timestamp::from_millis(millis.parse().map_err(|_| NotACursor)?);
        Ok(Self { ended, at: Reverse(at), id: id.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn ended(id: &str, seconds: i64) -> DeploymentRecord {
        let finished_at = Some(Timestamp::from_millis(seconds * 1_000));
        DeploymentRecord { id: id.into(), finished_at, ..sample::succeeded() }
    }

    fn ids(page: &Page<'_>) -> Vec<String> {
        page.items.iter().map(|it| it.id.to_string()).collect()
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let mut history = History::new(2);
        for (id, at) in [("a", 1), ("b", 2), ("c", 3)] {
            history.push(ended(id, at));
        }
        assert_eq!(history.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["c", "b"]);
        assert!(history.find(&"a".into()).is_none());
    }

    #[test]
    fn a_copy_that_a_reader_holds_does_not_change() {
        let mut history = Arc::new(History::default());
        let seen = history.clone();
        Arc::make_mut(&mut history).push(ended("a", 1));
        assert_eq!((seen.len(), history.len()), (0, 1));
    }

    #[test]
    fn pages_go_on_where_the_one_before_ended_whatever_ended_in_between() {
        let mut records: Vec<_> = (1..=5).map(|n| ended(&format!("d{n}"), n)).collect();
        let first = page(&records, &Query::first(2));
        assert_eq!(ids(&first), ["d5", "d4"]);
        let after = first.next;
        records.push(ended("d9", 9));
        let second = page(&records, &Query { after, ..Query::first(3) });
        assert_eq!((ids(&second), second.next), (vec!["d3".into(), "d2".into(), "d1".into()], None));
    }

    #[test]
    fn those_under_way_come_first_however_old() {
        let records = [ended("done", 9_999_999_999), sample::active()];
        assert_eq!(ids(&page(&records, &Query::first(1))), [sample::active().id.to_string()]);
    }

    #[test]
    fn a_target_is_found_by_name_and_by_id() {
        let record = sample::succeeded();
        let by = |target: &str| Query { target: Some(target.into()), ..Query::first(9) };
        assert_eq!(page([&record], &by("api")).items.len(), 1);
        assert_eq!(page([&record], &by(&record.target.to_string())).items.len(), 1);
        assert_eq!(page([&record], &by("ap")).items.len(), 0);
    }

    #[test]
    fn since_keeps_what_ended_then_or_later_and_what_has_not_ended() {
        let records = [ended("old", 1), ended("new", 2), sample::active()];
        let since = Some(Timestamp::from_millis(2_000));
        let found = page(&records, &Query { since, ..Query::first(9) });
        assert_eq!(ids(&found), [sample::active().id.to_string(), "new".into()]);
        let outcome = Some(Outcome::Failed);
        assert!(page(&records, &Query { outcome, ..Query::first(9) }).items.is_empty());
    }

    #[test]
    fn a_cursor_reads_back_and_anything_else_is_refused() {
        let cursor = Cursor::of(&ended("d-1.x", -5));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let cursor = Cursor::of(&sample::active());
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "ended", "ended.1", "later.1.d", "ended.x.d"] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }

    #[test]
    fn of_one_that_was_told_twice_that_with_a_rollout_is_found() {
        let mut history = History::default();
        assert!(history.is_empty() && history.find(&"d".into()).is_none());
        let told = |rollout_id: Option<&str>, seconds| {
            let rollout_id = rollout_id.map(Into::into);
            DeploymentRecord { rollout_id, ..ended("d", seconds) }
        };
        history.push(told(None, 1));
        assert_eq!(history.find(&"d".into()), Some(&told(None, 1)));
        history.push(told(Some("ecs-svc/1"), 2));
        history.push(told(None, 3));
        assert_eq!(history.find(&"d".into()), Some(&told(Some("ecs-svc/1"), 2)));
        assert!(!history.is_empty());
    }
}
