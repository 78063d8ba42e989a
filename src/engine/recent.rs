//! What is remembered of the newest of something: beyond its room, what was put there longest ago is forgotten.

use std::collections::BTreeMap;

/// A map with room for so much.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    room: usize,
    known: BTreeMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    /// With room for so many.
    pub(super) fn new(room: usize) -> Self {
        Self { room, known: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.known.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.known.contains_key(key)
    }

    /// Remembers this as the newest.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.next += 1;
        if let Some((before, _)) = self.known.insert(key.clone(), (self.next, value)) {
            self.order.remove(&before);
        }
        self.order.insert(self.next, key);
        while self.known.len() > self.room {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_longest_ago_makes_room() {
        let mut recent = Recent::new(2);
        for (key, value) in [("z", 1), ("a", 2), ("z", 3), ("m", 4)] {
            recent.insert(key, value);
        }
        assert_eq!((recent.get(&"z"), recent.get(&"m"), recent.contains(&"a")), (Some(&3), Some(&4), false));
        *recent.get_mut(&"m").expect("it is there") = 5;
        assert_eq!((recent.get(&"m"), recent.known.len(), recent.order.len()), (Some(&5), 2, 2));
    }
}
