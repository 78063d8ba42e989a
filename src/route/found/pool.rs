//! Values that many targets have alike, each kept once.

use std::{collections::BTreeMap, fmt, marker::PhantomData, num::NonZeroU32};

/// Which value of a pool; good for as long as somebody uses it.
pub(in crate::route) struct Pooled<T>(NonZeroU32, PhantomData<fn() -> T>);

/// Values, and how often each is used.
#[derive(Clone, Debug)]
pub(super) struct Pool<T> {
    slots: Vec<Slot<T>>,
    ids: BTreeMap<T, Pooled<T>>,
    free: Vec<Pooled<T>>,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    value: T,
    uses: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), ids: BTreeMap::new(), free: Vec::new() }
    }
}

impl<T: Clone + Ord> Pool<T> {
    /// One more use of this value.
    pub(super) fn take(&mut self, value: &T) -> Pooled<T> {
        let id = self.ids.get(value).copied().unwrap_or_else(|| self.add(value));
        self.slots[id.index()].uses += 1;
        id
    }

    /// One use less; what nobody uses is dropped.
    pub(super) fn release(&mut self, id: Pooled<T>) {
        let slot = &mut self.slots[id.index()];
        slot.uses -= 1;
        if slot.uses == 0 {
            self.ids.remove(&slot.value);
            self.free.push(id);
        }
    }

    pub(super) fn get(&self, id: Pooled<T>) -> &T {
        &self.slots[id.index()].value
    }

    pub(super) fn find(&self, value: &T) -> Option<Pooled<T>> {
        self.ids.get(value).copied()
    }

    /// Every value that is used.
    pub(super) fn ids(&self) -> impl Iterator<Item = Pooled<T>> {
        self.ids.values().copied()
    }

    fn add(&mut self, value: &T) -> Pooled<T> {
        let slot = Slot { value: value.clone(), uses: 0 };
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.index()] = slot;
            id
        } else {
            self.slots.push(slot);
            Pooled::at(self.slots.len())
        };
        self.ids.insert(value.clone(), id);
        id
    }
}

impl<T> Pooled<T> {
    /// The value that is the first, second, and so on.
    fn at(ordinal: usize) -> Self {
        let ordinal = u32::try_from(ordinal).ok().and_then(NonZeroU32::new);
        Self(
            ordinal.expect("a pool has one value at least, and no more than memory has room for"),
            PhantomData,
        )
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

// Derived, they would ask the same of `T`.
impl<T> Clone for Pooled<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pooled<T> {}

impl<T> PartialEq for Pooled<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Pooled<T> {}

impl<T> std::hash::Hash for Pooled<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_kept_once_until_nobody_uses_it() {
        let mut pool = Pool::default();
        let (api, again, web) = (pool.take(&"api"), pool.take(&"api"), pool.take(&"web"));
        assert_eq!((api == again, api == web), (true, false));
        pool.release(api);
        assert_eq!((pool.get(again), pool.find(&"api")), (&"api", Some(again)));
        pool.release(again);
        assert_eq!((pool.find(&"api"), pool.ids().collect::<Vec<_>>()), (None, vec![web]));
        assert_eq!(pool.take(&"db"), api, "a place that is free is used again");
        assert_eq!((pool.get(web), pool.slots.len()), (&"web", 2));
    }
}
