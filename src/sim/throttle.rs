//! The token buckets of ECS: one per account, Region and category of operations, each with a burst and a refill.

use std::collections::BTreeMap;

use super::call::Scope;
use crate::domain::Timestamp;

/// A thousandth of a token, so that the arithmetic is exact.
const MILLI: u64 = 1_000;

/// A category, with its burst and its tokens per second as the request-throttling page gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Category {
    name: &'static str,
    burst: u64,
    per_second: u64,
}

fn category(operation: &str) -> Option<Category> {
    let (name, burst, per_second) = match operation {
        "UpdateService" | "CreateService" | "DeleteService" => ("service modify", 50, 5),
        "DescribeServices" | "ListServices" => ("service read", 100, 20),
        "DescribeServiceDeployments" | "ListServiceDeployments" => ("service deployment", 50, 20),
        "DescribeServiceRevisions" => ("service revision", 50, 20),
        "RegisterTaskDefinition" | "DeregisterTaskDefinition" => ("task definition modify", 20, 1),
        "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies" => {
            ("task definition read", 50, 20)
        }
        "DescribeTasks" | "ListTasks" => ("cluster resource read", 100, 20),
        "RunTask" | "StopTask" | "ExecuteCommand" => ("cluster resource modify", 100, 40),
        "DescribeClusters" | "ListClusters" => ("cluster read", 50, 20),
        "TagResource" | "UntagResource" => ("tag modify", 20, 10),
        "ListTagsForResource" => ("tag read", 50, 20),
        _ => return None,
    };
    Some(Category { name, burst, per_second })
}

#[derive(Clone, Debug)]
struct Bucket {
    milli_tokens: u64,
    filled_at: Timestamp,
}

/// All buckets. One that was never drawn from is full.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(BTreeMap<(Scope, Category), Bucket>);

impl Buckets {
    /// Takes a token for the operation; false if there is none. Operations outside the table are free.
    pub(super) fn take(&mut self, now: Timestamp, scope: &Scope, operation: &str) -> bool {
        let Some(category) = category(operation) else { return true };
        let full = Bucket { milli_tokens: category.burst * MILLI, filled_at: now };
        let bucket = self.0.entry((scope.clone(), category)).or_insert(full);
        let elapsed = u64::try_from(now.since(bucket.filled_at).as_millis()).unwrap_or(u64::MAX);
        let refill = elapsed.saturating_mul(category.per_second);
        bucket.milli_tokens = bucket.milli_tokens.saturating_add(refill).min(category.burst * MILLI);
        bucket.filled_at = now;
        let enough = bucket.milli_tokens >= MILLI;
        if enough {
            bucket.milli_tokens -= MILLI;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scope(account: &str) -> Scope {
        Scope { account: account.to_owned(), region: "us-east-1".to_owned() }
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (mut buckets, start) = (Buckets::default(), Timestamp::from_millis(0));
        let one = scope("1");
        let taken = (0..60).filter(|_| buckets.take(start, &one, "UpdateService")).count();
        assert_eq!(taken, 50);
        assert!(!buckets.take(start + Duration::from_millis(199), &one, "UpdateService"));
        assert!(buckets.take(start + Duration::from_millis(200), &one, "CreateService"));
        assert!(!buckets.take(start + Duration::from_millis(200), &one, "UpdateService"));
    }

    #[test]
    fn accounts_and_categories_do_not_share_a_bucket() {
        let (mut buckets, start) = (Buckets::default(), Timestamp::from_millis(0));
        while buckets.take(start, &scope("1"), "RegisterTaskDefinition") {}
        assert!(buckets.take(start, &scope("2"), "RegisterTaskDefinition"));
        assert!(buckets.take(start, &scope("1"), "UpdateService"));
    }
}
