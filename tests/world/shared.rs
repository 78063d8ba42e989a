//! Parts of the world that most steps leave as they are: shared among states until one changes its own.

use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    ops::{Deref, DerefMut},
    sync::{Arc, OnceLock},
};

use lockkeeper::plan::{Command, Planner};

use super::{World, ecs::Service};

/// A value that many states have in common, and its fingerprint once somebody asked for it.
pub struct Shared<T>(Arc<Printed<T>>);

struct Printed<T> {
    value: T,
    print: OnceLock<u128>,
}

impl<T: Clone> Clone for Printed<T> {
    /// Whoever takes a copy means to change it.
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), print: OnceLock::new() }
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(Printed { value, print: OnceLock::new() }))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        let printed = Arc::make_mut(&mut self.0);
        printed.print.take();
        &mut printed.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl<T: Hash> Shared<T> {
    fn print(&self) -> u128 {
        *self.0.print.get_or_init(|| fingerprint(&self.0.value))
    }
}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print().hash(state);
    }
}

/// One of each kind of equal values.
#[derive(Debug)]
struct Pool<T>(HashMap<u128, Shared<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Hash> Pool<T> {
    /// Gives up this value for the equal one that is here already, if one is.
    fn share(&mut self, value: &mut Shared<T>) {
        let known = self.0.entry(value.print()).or_insert_with(|| value.clone());
        *value = known.clone();
    }

    /// Forgets what nobody else has any more.
    fn shrink(&mut self) {
        self.0.retain(|_, value| Arc::strong_count(&value.0) > 1);
    }
}

/// The parts that the states of one exploration have in common.
#[derive(Debug, Default)]
pub struct Pools {
    services: Pool<Service>,
    planners: Pool<Planner>,
    calls: Pool<Command>,
}

impl Pools {
    /// Lets a world share its parts with those that came before.
    pub fn share(&mut self, world: &mut World) {
        world.services.iter_mut().for_each(|service| self.services.share(service));
        world.calls.iter_mut().for_each(|call| self.calls.share(call));
        self.planners.share(&mut world.planner);
    }

    /// Forgets what no world has any more.
    pub fn shrink(&mut self) {
        self.services.shrink();
        self.planners.shrink();
        self.calls.shrink();
    }
}

/// 128 bits that tell values apart. Of a hundred million, two have the same with a probability below 1e-22.
pub fn fingerprint(value: &impl Hash) -> u128 {
    let mut wide = Wide { low: 0x243f_6a88_85a3_08d3, high: 0x1319_8a2e_0370_7344 };
    value.hash(&mut wide);
    wide.print()
}

/// Two lanes of 64 bits, each mixed by a multiplication to 128 bits, whose halves are folded.
struct Wide {
    low: u64,
    high: u64,
}

impl Wide {
    fn mix(&mut self, word: u64) {
        self.low = fold(self.low ^ word, 0x9e37_79b9_7f4a_7c15);
        self.high = fold(self.high.wrapping_add(word), 0xd6e8_feb8_6659_fd93);
    }

    fn print(&self) -> u128 {
        let low = fold(self.low, 0xa076_1d64_78bd_642f ^ self.high.rotate_left(32));
        let high = fold(self.high, 0xe703_7ed1_a0b4_28db ^ self.low.rotate_left(32));
        (u128::from(high) << 64) | u128::from(low)
    }
}

/// What is folded is added once more, or a zero would swallow all that came before it.
#[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64).rotate_left(23) ^ one.rotate_left(11)
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.low
    }
}
