//! A small deterministic generator: the tests also run where `proptest` does not (wasm).

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    /// Bytes with a share of the extremes.
    pub fn byte(&mut self) -> u8 {
        match self.below(6) {
            0 => 255,
            1 => 0,
            _ => self.below(256) as u8,
        }
    }
}
