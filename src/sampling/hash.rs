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
    let columns: [Covered; HASH_INPUT] = std::array::from_fn(|cell| Covered::by(cell, plane.width));
    // Rows first, and whole rows as integers: many samples at a time.
    let mut whole = vec![0u32; plane.width];
    let mut means = vec![0f32; plane.width];
    let row = |y: usize| &plane.data[y * plane.width..(y + 1) * plane.width];
    std::array::from_fn(|cell| {
        let rows = Covered::by(cell, plane.height);
        whole.fill(0);
        for y in rows.first + 1..rows.last {
            whole.iter_mut().zip(row(y)).for_each(|(sum, &v)| *sum += u32::from(v));
        }
        let ends = row(rows.first).iter().zip(row(rows.last));
        for ((mean, &whole), (&first, &last)) in means.iter_mut().zip(&whole).zip(ends) {
            *mean = rows.mean(f32::from(first), whole as f32, f32::from(last));
        }
        columns.map(|columns| {
            let whole = means[columns.first..columns.last].iter().skip(1).sum();
            columns.mean(means[columns.first], whole, means[columns.last]).round()
        })
    })
}

/// The samples along one side that a cell of 32 covers.
#[derive(Clone, Copy)]
struct Covered {
    /// The first, covered to some part.
    first: usize,
    /// The last, covered to some part, or no further sample: then its share is 0.
    last: usize,
    /// Share of the cell of the first, of each one between, and of the last.
    shares: [f32; 3],
}

impl Covered {
    fn by(cell: usize, length: usize) -> Self {
        let size = length as f32 / HASH_INPUT as f32;
        let (start, end) = (cell as f32 * size, (cell + 1) as f32 * size);
        let first = (start as usize).min(length - 1);
        let last = (end as usize).min(length - 1);
        let whole = 1.0 / size;
        if first == last {
            return Self { first, last, shares: [1.0, whole, 0.0] };
        }
        let first_share = (first + 1) as f32 - start;
        Self { first, last, shares: [first_share / size, whole, (end - last as f32).clamp(0.0, 1.0) / size] }
    }

    /// The mean of the cell: of its first sample, the sum of those between, and the last.
    fn mean(&self, first: f32, between: f32, last: f32) -> f32 {
        let [first_share, whole, last_share] = self.shares;
        first_share * first + whole * between + last_share * last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_averaged_by_the_share_of_each_sample_that_they_cover() {
        // Sizes that divide by 32, that do not, and that are smaller.
        for (width, height) in [(64, 96), (45, 71), (640, 33), (20, 5), (1, 1)] {
            let data: Vec<u8> = (0..width * height).map(|i| (i * 89 % 251) as u8).collect();
            let plane = Plane { width, height, data };
            // The definition: how much of [from, to) lies within each sample.
            let shares = |cell: usize, length: usize| -> Vec<f64> {
                let size = length as f64 / HASH_INPUT as f64;
                let (from, to) = (cell as f64 * size, (cell + 1) as f64 * size);
                (0..length).map(|i| (to.min((i + 1) as f64) - from.max(i as f64)).max(0.0) / size).collect()
            };
            let means = area_average(&plane);
            for (y, row) in means.iter().enumerate() {
                let rows = shares(y, height);
                for (x, &mean) in row.iter().enumerate() {
                    let columns = shares(x, width);
                    let sum: f64 = (0..width * height)
                        .map(|i| rows[i / width] * columns[i % width] * f64::from(plane.data[i]))
                        .sum();
                    assert!((f64::from(mean) - sum).abs() < 0.51, "{width} × {height}: {mean} for {sum}");
                }
            }
        }
    }
}
