//! From a text to the targets whose patterns match it, without asking every pattern.
//!
//! Patterns without a wildcard are looked up as a whole. The others are kept by what stands before their first
//! wildcard, and below that by what stands behind their last one. Only patterns whose beginning and end both agree
//! with the text are matched against it, so the cost follows the matches and the length of the text, not the number
//! of targets.
//!
//! The tables are hashed, because a search in ten thousand sorted texts costs more than all the rest of routing. They
//! are only ever asked for one key, never walked, and their hasher has no seed, so nothing depends on their order.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasherDefault, DefaultHasher},
};

use crate::domain::Glob;

/// Values that are asked for by one key at a time.
pub(super) type Table<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

const WILDCARDS: [char; 2] = ['*', '?'];

/// Patterns, each leading to positions in a list of targets.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    exact: Table<Box<str>, Vec<usize>>,
    globs: Prefixes<Prefixes<BTreeMap<Glob, Vec<usize>>>>,
}

impl Index {
    /// Lets what matches this pattern lead to this position, too.
    pub(super) fn insert(&mut self, pattern: &str, position: usize) {
        let positions = match (pattern.find(WILDCARDS), pattern.rfind(WILDCARDS)) {
            (Some(first), Some(last)) => {
                let by_end = self.globs.at(pattern[..first].bytes().collect());
                let globs = by_end.at(pattern[last + 1..].bytes().rev().collect());
                globs.entry(Glob::new(pattern)).or_default()
            }
            _ => self.exact.entry(pattern.into()).or_default(),
        };
        positions.push(position);
    }

    /// The same for each of these patterns.
    pub(super) fn insert_all(
        &mut self,
        patterns: impl IntoIterator<Item = impl AsRef<str>>,
        position: usize,
    ) {
        for pattern in patterns {
            self.insert(pattern.as_ref(), position);
        }
    }

    /// Whether the text itself leads to this position, and not just a pattern.
    pub(super) fn names(&self, text: &str, position: usize) -> bool {
        self.exact.get(text).is_some_and(|positions| positions.contains(&position))
    }

    /// The positions that the whole text leads to, in order and each once.
    pub(super) fn find(&self, text: &str) -> Vec<usize> {
        let mut found = self.exact.get(text).cloned().unwrap_or_default();
        if !self.globs.is_empty() {
            let reversed: Vec<u8> = text.bytes().rev().collect();
            let matching = self.candidates(text, &reversed).filter(|(glob, _)| glob.matches(text));
            found.extend(matching.flat_map(|(_, positions)| positions));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The patterns whose beginning and end the text has.
    fn candidates(&self, text: &str, reversed: &[u8]) -> impl Iterator<Item = (&Glob, &Vec<usize>)> {
        self.globs.of(text.as_bytes()).flat_map(move |by_end| by_end.of(reversed)).flatten()
    }
}

/// Values by the beginning of a text.
#[derive(Clone, Debug)]
struct Prefixes<T> {
    values: Table<Box<[u8]>, T>,
    lengths: BTreeSet<usize>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { values: Table::default(), lengths: BTreeSet::new() }
    }
}

impl<T: Default> Prefixes<T> {
    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn at(&mut self, prefix: Box<[u8]>) -> &mut T {
        self.lengths.insert(prefix.len());
        self.values.entry(prefix).or_default()
    }

    /// The values of all prefixes of this text, the shortest first: one question for each length that there is.
    fn of(&self, text: &[u8]) -> impl Iterator<Item = &T> {
        self.lengths.range(..=text.len()).filter_map(|&length| self.values.get(&text[..length]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(patterns: &[&str]) -> Index {
        let mut index = Index::default();
        for (position, pattern) in patterns.iter().enumerate() {
            index.insert(pattern, position);
        }
        index
    }

    #[test]
    fn a_text_finds_every_pattern_that_matches_it_whole() {
        let index = index(&["api", "a*", "*i", "*", "a?i", "ap", "b*", "*x", "a*x", "api"]);
        assert_eq!(index.find("api"), [0, 1, 2, 3, 4, 9]);
        assert_eq!(index.find(""), [3]);
    }

    #[test]
    fn beginning_and_end_of_a_pattern_may_not_overlap_in_the_text() {
        assert!(index(&["ab*ba"]).find("aba").is_empty());
    }

    #[test]
    fn one_pattern_of_many_targets_finds_them_all() {
        assert_eq!(index(&["x*", "x*", "x*"]).find("xy"), [0, 1, 2]);
    }

    #[test]
    fn of_ten_thousand_patterns_few_are_asked() {
        let mut index = Index::default();
        for position in 0..10_000 {
            index.insert(&format!("/shop/{position}/*"), position);
            index.insert(&format!("/*/{position}/key"), position);
        }
        let text = "/shop/7531/key";
        let reversed: Vec<u8> = text.bytes().rev().collect();
        assert_eq!(index.candidates(text, &reversed).count(), 2);
        assert_eq!(index.find(text), [7531]);
    }

    proptest! {
        #[test]
        fn the_index_finds_what_asking_every_pattern_finds(
            patterns in prop::collection::vec("[ab*?]{0,5}", 0..40),
            text in "[abö]{0,7}",
        ) {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let asked = (0..patterns.len()).filter(|at| Glob::new(patterns[*at]).matches(&text));
            prop_assert_eq!(index(&patterns).find(&text), asked.collect::<Vec<_>>());
        }
    }
}
