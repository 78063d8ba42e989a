//! Which Lockkeeper deploys a service: a tag of the service says so, so that two of them notice each other.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// A Lockkeeper, by the queue that it receives from: account, Region and name, as in `111122223333/eu-west-1/lockkeeper`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The tag of a service that names its owner.
    pub const TAG: &str = "lockkeeper:owner";

    /// The one that receives from the queue with this ARN, `arn:aws:sqs:eu-west-1:111122223333:lockkeeper`; `None` if that is
    /// no ARN of a queue.
    pub fn of_queue(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        match parts[..] {
            ["arn", _, "sqs", region, account, name] => {
                Some(Self(format!("{account}/{region}/{name}").into()))
            }
            _ => None,
        }
    }

    /// Who else owns a service with these tags, if somebody does.
    pub fn other(&self, tags: &BTreeMap<String, String>) -> Option<Arc<str>> {
        let named = tags.get(Self::TAG).map(|value| value.trim()).filter(|value| !value.is_empty());
        named.filter(|named| *named != &*self.0).map(Into::into)
    }

    /// That it is another's, and what can be done about it, in words.
    pub fn belongs_to(other: &str) -> String {
        let tag = Self::TAG;
        format!(
            "deployed by the Lockkeeper of queue {other}, as its tag {tag} says: remove the tag if that is over"
        )
    }

    /// The value of the tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockkeeper_is_known_by_its_queue_and_takes_only_what_nobody_else_has() {
        let ours = Owner::of_queue("arn:aws-cn:sqs:cn-north-1:111122223333:lockkeeper").expect("an ARN");
        assert_eq!(ours.as_str(), "111122223333/cn-north-1/lockkeeper");
        let tags = |value: &str| BTreeMap::from([(Owner::TAG.to_owned(), value.to_owned())]);
        for (tags, other) in [
            (BTreeMap::new(), None),
            (tags(""), None),
            (tags(" 111122223333/cn-north-1/lockkeeper "), None),
            (tags("111122223333/cn-north-1/other"), Some("111122223333/cn-north-1/other")),
        ] {
            assert_eq!(ours.other(&tags).as_deref(), other);
        }
        for wrong in ["", "https://sqs.eu-west-1.amazonaws.com/1/q", "arn:aws:sns:eu-west-1:1:q"] {
            assert_eq!(Owner::of_queue(wrong), None);
        }
    }
}
