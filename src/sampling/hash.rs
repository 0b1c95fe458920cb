//! Perceptual hash (pHash): the signs of the lowest 8 × 8 coefficients of the
//! unnormalised DCT-II of the luma at 32 × 32, against their median. The
//! construction is that of Zauner, "Implementation and benchmarking of
//! perceptual image hash functions", 2010, with the constant term included.
//!
//! The median lies where coefficients are dense, so that noise turns the bits next
//! to it: of two hashes of one picture by two decoders, one bit pair in five
//! differs. Those bits are marked, and count half.

use crate::frame::Plane;
use std::f32::consts::PI;
use std::sync::LazyLock;

const HASH_INPUT: usize = 32;
const HASH_SIDE: usize = 8;

/// `cos((2x + 1) · f · π / 64)` at each `x` for the lowest eight frequencies `f`.
static DCT: LazyLock<[[f32; HASH_SIDE]; HASH_INPUT]> = LazyLock::new(|| {
    std::array::from_fn(|x| {
        std::array::from_fn(|f| ((2 * x + 1) as f32 * f as f32 * PI / (2 * HASH_INPUT) as f32).cos())
    })
});

/// Coefficients nearest to the median, whose bits noise may turn.
const DOUBTFUL: usize = 8;

/// A perceptual hash, and which of its bits are doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureHash {
    bits: u64,
    doubtful: u64,
}

impl PictureHash {
    /// Bytes of one in a journal.
    pub const BYTES: usize = 16;

    /// Appends it, as [`PictureHash::BYTES`] bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend((u128::from(self.bits) | u128::from(self.doubtful) << 64).to_le_bytes());
    }

    /// What [`PictureHash::write`] wrote.
    pub fn read(bytes: &[u8; Self::BYTES]) -> Self {
        let both = u128::from_le_bytes(*bytes);
        Self { bits: both as u64, doubtful: (both >> 64) as u64 }
    }

    /// How much two pictures differ: hash bits, doubtful ones counted half. Equal
    /// pictures are 0 apart, unrelated ones about 28.
    pub fn distance(self, other: Self) -> f32 {
        let differ = self.bits ^ other.bits;
        let doubtful = differ & (self.doubtful | other.doubtful);
        differ.count_ones() as f32 - 0.5 * doubtful.count_ones() as f32
    }

    /// The hash of a luma plane.
    pub fn of(luma: &Plane) -> Self {
        let coefficients = lowest_frequencies(luma);
        let mut sorted = coefficients;
        sorted.sort_by(f32::total_cmp);
        let median = (sorted[31] + sorted[32]) / 2.0;
        let from_median = coefficients.map(|c| (c - median).abs());
        let mut nearest = from_median;
        nearest.sort_by(f32::total_cmp);
        let mask = |is_set: &dyn Fn(usize) -> bool| (0..64).fold(0, |mask, i| mask | (u64::from(is_set(i)) << i));
        Self { bits: mask(&|i| coefficients[i] > median), doubtful: mask(&|i| from_median[i] < nearest[DOUBTFUL]) }
    }

    /// A hash of given bits, none of them doubtful.
    #[cfg(test)]
    pub fn from_bits(bits: u64) -> Self {
        Self { bits, doubtful: 0 }
    }
}

fn lowest_frequencies(luma: &Plane) -> [f32; HASH_SIDE * HASH_SIDE] {
    // Rounded means: hashes then agree with those of other tools, whose resizing rounds too.
    let small = luma.cell_means::<HASH_INPUT, HASH_INPUT>().map(|row| row.map(f32::from));
    // All frequencies of a sample at once, which compilers make vectors of.
    let mut coefficients = [0f32; HASH_SIDE * HASH_SIDE];
    for (row, down) in small.iter().zip(DCT.iter()) {
        let mut across = [0f32; HASH_SIDE];
        for (value, cosines) in row.iter().zip(DCT.iter()) {
            across.iter_mut().zip(cosines).for_each(|(sum, cosine)| *sum += value * cosine);
        }
        for (sums, cosine) in coefficients.as_chunks_mut::<HASH_SIDE>().0.iter_mut().zip(down) {
            sums.iter_mut().zip(across).for_each(|(sum, value)| *sum += value * cosine);
        }
    }
    coefficients
}
