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

/// `cos((2x + 1) · f · π / 64)` for the lowest eight frequencies `f`.
static DCT: LazyLock<[[f32; HASH_INPUT]; HASH_SIDE]> = LazyLock::new(|| {
    std::array::from_fn(|f| {
        std::array::from_fn(|x| ((2 * x + 1) as f32 * f as f32 * PI / (2 * HASH_INPUT) as f32).cos())
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
    let small = area_average(luma);
    let mut rows = [[0f32; HASH_SIDE]; HASH_INPUT];
    for (out, row) in rows.iter_mut().zip(&small) {
        for (out, cosines) in out.iter_mut().zip(DCT.iter()) {
            *out = row.iter().zip(cosines).map(|(v, c)| v * c).sum();
        }
    }
    let mut coefficients = [0f32; HASH_SIDE * HASH_SIDE];
    for (fy, cosines) in DCT.iter().enumerate() {
        for fx in 0..HASH_SIDE {
            coefficients[fy * HASH_SIDE + fx] = rows.iter().zip(cosines).map(|(row, c)| row[fx] * c).sum();
        }
    }
    coefficients
}

/// Mean luma of each cell of a 32 × 32 grid over the picture. Cells that end
/// within a sample take their share of it, and the means are rounded: hashes
/// then agree with those of other tools, whose resizing does the same.
fn area_average(plane: &Plane) -> [[f32; HASH_INPUT]; HASH_INPUT] {
    // Rows first: whole rows are added many samples at a time.
    let mut sums = vec![0f32; plane.width];
    std::array::from_fn(|cell| {
        sums.fill(0.0);
        for (y, share) in covered(cell, plane.height) {
            let row = &plane.data[y * plane.width..(y + 1) * plane.width];
            sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += share * f32::from(v));
        }
        std::array::from_fn(|cell| {
            let mean: f32 = covered(cell, plane.width).map(|(x, share)| share * sums[x]).sum();
            mean.round()
        })
    })
}

/// The samples of `0..length` that a cell of 32 covers, with weights that sum to 1.
fn covered(cell: usize, length: usize) -> impl Iterator<Item = (usize, f32)> {
    let size = length as f32 / HASH_INPUT as f32;
    let (start, end) = (cell as f32 * size, (cell + 1) as f32 * size);
    (start as usize..(end.ceil() as usize).min(length)).map(move |x| {
        let share = (end.min((x + 1) as f32) - start.max(x as f32)).max(0.0);
        (x, share / size)
    })
}
