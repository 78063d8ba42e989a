//! From keys to the targets that stand under them.
//!
//! Of a key only four bytes of its hash are kept, so that a hundred thousand targets with a dozen keys each take some
//! twenty megabytes. Two keys may therefore be taken for one, and whoever asks must check what is found. Of a million keys
//! one in four thousand is so mistaken: that costs a check.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::route::index::Table;

/// Positions in a list of targets, by what the targets stand under.
#[derive(Clone, Debug, Default)]
pub(super) struct Postings {
    /// Under most keys stands one target alone; these are in no set.
    alone: Table<u32, u32>,
    shared: Table<u32, BTreeSet<u32>>,
}

impl Postings {
    /// Lets this key lead to this position, too.
    pub(super) fn insert(&mut self, key: impl Hash, position: u32) {
        let key = fingerprint(key);
        if let Some(positions) = self.shared.get_mut(&key) {
            positions.insert(position);
        } else if let Some(other) = self.alone.insert(key, position).filter(|other| *other != position) {
            self.alone.remove(&key);
            self.shared.insert(key, [other, position].into());
        }
    }

    /// Lets it lead there no more.
    pub(super) fn remove(&mut self, key: impl Hash, position: u32) {
        let key = fingerprint(key);
        if self.alone.get(&key) == Some(&position) {
            self.alone.remove(&key);
        } else if let Some(positions) = self.shared.get_mut(&key) {
            positions.remove(&position);
            if let (1, Some(&last)) = (positions.len(), positions.first()) {
                self.shared.remove(&key);
                self.alone.insert(key, last);
            }
        }
    }

    /// The positions that the key leads to, and perhaps some of another key.
    pub(super) fn find(&self, key: impl Hash) -> impl Iterator<Item = u32> {
        let key = fingerprint(key);
        let shared = self.shared.get(&key).into_iter().flatten();
        self.alone.get(&key).into_iter().chain(shared).copied()
    }
}

/// The upper half of the hash.
fn fingerprint(key: impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, btree_map::Entry};

    use proptest::prelude::*;

    use super::*;

    /// Two texts that are made so from numbers, and are taken for one.
    pub(in crate::route::found) fn twins<K: Hash>(text: impl Fn(u32) -> K) -> (u32, u32) {
        let mut seen = BTreeMap::new();
        for number in 0.. {
            match seen.entry(fingerprint(text(number))) {
                Entry::Occupied(first) => return (*first.get(), number),
                Entry::Vacant(free) => drop(free.insert(number)),
            }
        }
        unreachable!("there are fewer fingerprints than numbers")
    }

    proptest! {
        #[test]
        fn a_key_leads_to_what_was_put_under_it_and_not_taken_away(
            steps in prop::collection::vec((any::<bool>(), 0_u8..5, 0_u32..6), 0..60),
        ) {
            let mut postings = Postings::default();
            let mut expected = BTreeSet::new();
            for (is_put, key, position) in steps {
                if is_put {
                    postings.insert(key, position);
                    expected.insert((key, position));
                } else {
                    postings.remove(key, position);
                    expected.remove(&(key, position));
                }
            }
            for key in 0..5 {
                let mut found: Vec<u32> = postings.find(key).collect();
                found.sort_unstable();
                let kept = expected.iter().filter(|(it, _)| *it == key).map(|(_, position)| *position);
                prop_assert_eq!(found, kept.collect::<Vec<_>>());
            }
            let is_lean = postings.shared.values().all(|positions| positions.len() > 1);
            prop_assert!(is_lean, "a set of one takes more than a place alone: {postings:?}");
        }
    }
}
