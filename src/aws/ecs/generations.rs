//! Remembers so much, and forgets what was not asked for longest.

use std::collections::BTreeMap;

/// How many things one generation takes. Of definitions one takes about half a kilobyte, and a look needs one or two per
/// target.
const ROOM: usize = 4_096;

/// Two generations. What is asked for is of the young one; once that is full it is the old one, and what was the old one
/// is forgotten.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
}

impl<K, V> Default for Generations<K, V> {
    fn default() -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new() }
    }
}

impl<K: Clone + Ord, V: Clone> Generations<K, V> {
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(aging) = self.old.remove(key) {
            self.insert(key.clone(), aging);
        }
        self.young.get(key).cloned()
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= ROOM && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(remembered: &Generations<usize, usize>) -> usize {
        remembered.young.len() + remembered.old.len()
    }

    #[test]
    fn what_is_asked_for_again_and_again_outlives_any_number_of_things_that_are_not() {
        let mut remembered = Generations::default();
        remembered.insert(0, 0);
        for number in 1..10 * ROOM {
            remembered.insert(number, number);
            if number % (ROOM / 2) == 0 {
                assert_eq!(remembered.get(&0), Some(0), "after {number} others");
            }
            assert!(kept(&remembered) <= 2 * ROOM, "{}", kept(&remembered));
        }
        assert_eq!((remembered.get(&1), remembered.get(&(10 * ROOM - 1))), (None, Some(10 * ROOM - 1)));
    }

    #[test]
    fn at_least_the_last_so_many_are_remembered_in_whatever_order_their_names_are() {
        let mut remembered = Generations::default();
        for number in (0..3 * ROOM).rev() {
            remembered.insert(number, number);
        }
        assert!((0..ROOM).all(|number| remembered.get(&number).is_some()));
    }

    #[test]
    fn of_one_thing_the_last_said_is_remembered() {
        let mut remembered = Generations::default();
        for number in 0..=ROOM {
            remembered.insert(number, 0);
        }
        remembered.insert(1, 1);
        assert_eq!(remembered.get(&1), Some(1));
        remembered.insert(1, 2);
        assert_eq!((remembered.get(&1), kept(&remembered)), (Some(2), ROOM + 1));
        remembered.clear();
        assert_eq!(remembered.get(&1), None);
    }
}
