//! The set of states that were seen, by their fingerprints.

/// Fingerprints and the order in which they came, with open addressing: 24 to 32 bytes for each.
pub(crate) struct Seen {
    prints: Vec<u128>,
    /// One more than the place of the fingerprint that lies there; zero where none does.
    slots: Vec<u32>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { prints: Vec::new(), slots: vec![0; 1 << 10] }
    }

    pub(crate) fn len(&self) -> usize {
        self.prints.len()
    }

    /// The place of this fingerprint, and whether it is new.
    pub(crate) fn insert(&mut self, print: u128) -> (u32, bool) {
        if self.prints.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let slot = self.slot(print);
        if let Some(place) = self.slots[slot].checked_sub(1) {
            return (place, false);
        }
        let place = u32::try_from(self.prints.len()).expect("fewer than four billion states");
        self.prints.push(print);
        self.slots[slot] = place + 1;
        (place, true)
    }

    /// Where this fingerprint lies, or is to lie.
    fn slot(&self, print: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = print as usize & mask;
        while self.slots[slot].checked_sub(1).is_some_and(|place| self.prints[place as usize] != print) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for place in 0..self.prints.len() {
            let slot = self.slot(self.prints[place]);
            self.slots[slot] = u32::try_from(place + 1).expect("fewer than four billion states");
        }
    }
}
