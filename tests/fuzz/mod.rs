//! What the fuzzers share: a generator, and for how long they run.

use std::time::Duration;

/// Numbers from a seed (xorshift).
pub struct Random(pub u64);

impl Random {
    /// One below `n`; 0 where that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n.max(1)
    }
}

/// What `FRAMESIFT_FUZZ_SECONDS` says.
pub fn time(usual_s: u64) -> Duration {
    let asked = std::env::var("FRAMESIFT_FUZZ_SECONDS").ok();
    Duration::from_secs(asked.and_then(|s| s.parse().ok()).unwrap_or(usual_s))
}
