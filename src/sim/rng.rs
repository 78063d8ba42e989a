//! The only source of chance in the world: splitmix64, so that a seed is a whole run.

/// A small seeded generator. Two with the same seed give the same numbers for ever.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; zero if the limit is zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.bits() % limit }
    }

    /// True with the given probability; draws nothing when the answer is certain, so that a dial at zero does
    /// not shift the numbers of a run.
    #[expect(clippy::cast_precision_loss, reason = "53 bits of the draw fit a float exactly")]
    pub fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        probability >= 1.0 || ((self.bits() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// 32 hexadecimal digits, as in task ids.
    pub fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.bits(), self.bits())
    }

    /// An id in the form of a UUID.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// A number of 19 digits, as in `ecs-svc/…`.
    pub fn nineteen_digits(&mut self) -> u64 {
        1_000_000_000_000_000_000 + self.below(8_000_000_000_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b, mut c) = (Rng::new(7), Rng::new(7), Rng::new(8));
        let first: Vec<_> = (0..8).map(|_| a.bits()).collect();
        assert_eq!(first, (0..8).map(|_| b.bits()).collect::<Vec<_>>());
        assert_ne!(first, (0..8).map(|_| c.bits()).collect::<Vec<_>>());
    }

    #[test]
    fn chance_keeps_to_its_probability() {
        let mut rng = Rng::new(1);
        let hits = (0..10_000).filter(|_| rng.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits} of 10000 at 25 %");
        assert!(!rng.chance(0.0) && rng.chance(1.0));
    }

    #[test]
    fn ids_have_the_form_that_aws_gives_them() {
        let mut rng = Rng::new(3);
        assert_eq!(rng.uuid().split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(rng.nineteen_digits().to_string().len(), 19);
    }
}
