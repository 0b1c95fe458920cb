//! Averages of blocks of samples: how every frame becomes small before anything is
//! measured on it, and smaller still to be compared.
//!
//! Nearly all videos are reduced by two or three (720p and 1080p to 640 columns), the
//! largest part of what sampling costs, so those two have kernels of their own for wasm and for
//! x86 with AVX2, where compilers find few vectors.

use super::Plane;

#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
use portable as kernel;
#[cfg(target_arch = "wasm32")]
use simd128 as kernel;
#[cfg(target_arch = "x86_64")]
use x86 as kernel;

/// Averages blocks of `k × k` bytes, as [`box_reduce`] does.
pub(super) fn reduce_bytes<'a>(
    width: usize,
    height: usize,
    k: usize,
    step: usize,
    row: impl Fn(usize) -> &'a [u8],
) -> Plane {
    let k = k.min(width).min(height).max(1);
    let rows = |reduce: &dyn Fn(usize, &mut [u8])| {
        let (w, h) = (width / k, (height / k).div_ceil(step));
        let mut data = vec![0; w * h];
        data.chunks_exact_mut(w).enumerate().for_each(|(y, out)| reduce(y * step * k, out));
        Plane { width: w, height: h, data }
    };
    match k {
        1 => rows(&|y, out| out.copy_from_slice(row(y))),
        2 => rows(&|y, out| kernel::halve([row(y), row(y + 1)], out)),
        3 => rows(&|y, out| kernel::third([row(y), row(y + 1), row(y + 2)], out)),
        // One row at a time: with several, compilers for wasm give up vectors.
        _ => box_reduce(width, height, k, step, |y, sums| {
            row(y).iter().zip(sums).for_each(|(&v, sum)| *sum += u16::from(v));
        }),
    }
}

/// Side of the largest block whose columns' sums fit 16 bits.
const MOST_BLOCK: usize = 256;

/// Averages blocks of `k × k` samples, rounding halves up; columns and rows that do
/// not fill a block are left out, and of the rows of blocks only every `step`th is
/// computed. `add_row(y, sums)` adds a row's samples, 0–255 each, to the sums of
/// their columns: columns first, because whole rows are added many samples at a time.
pub(super) fn box_reduce(
    width: usize,
    height: usize,
    k: usize,
    step: usize,
    add_row: impl Fn(usize, &mut [u16]),
) -> Plane {
    let k = k.min(width).min(height).clamp(1, MOST_BLOCK);
    let (w, h) = (width / k, height / k);
    let mut data = Vec::with_capacity(w * h);
    let mut sums = vec![0u16; width];
    let area = (k * k) as u32;
    // A division per sample is slow; this reciprocal is exact for sums below 2^24.
    let reciprocal = (1u64 << 32).div_ceil(u64::from(area));
    let mean = |sum: u32| ((u64::from(sum + area / 2) * reciprocal) >> 32) as u8;
    for y in (0..h).step_by(step) {
        sums.fill(0);
        (y * k..(y + 1) * k).for_each(|y| add_row(y, &mut sums));
        match k {
            1 => data.extend(sums.iter().map(|&v| v as u8)),
            _ => data.extend(sums.chunks_exact(k).map(|c| mean(c.iter().map(|&v| u32::from(v)).sum()))),
        }
    }
    Plane { width: w, height: h.div_ceil(step), data }
}

/// Loops for any processor, and for the ends of rows.
mod portable {
    /// Sums of the columns of some rows, as wide as `sums`: a few columns at a time, whose sums stay in registers.
    #[cfg(not(target_arch = "wasm32"))]
    #[inline(always)]
    pub fn add_rows(rows: &[u8], sums: &mut [u16]) {
        const COLUMNS: usize = 32;
        let width = sums.len();
        let (tiles, rest) = sums.as_chunks_mut::<COLUMNS>();
        for (i, sums) in tiles.iter_mut().enumerate() {
            *sums = [0; COLUMNS];
            for row in rows.chunks_exact(width) {
                let columns = &row[COLUMNS * i..][..COLUMNS];
                sums.iter_mut().zip(columns).for_each(|(sum, &v)| *sum += u16::from(v));
            }
        }
        add_last_columns(rows, width, rest);
    }

    /// The same of as many columns at the end of rows as there are sums.
    #[inline(always)]
    pub fn add_last_columns(rows: &[u8], width: usize, sums: &mut [u16]) {
        let first = width - sums.len();
        sums.fill(0);
        for row in rows.chunks_exact(width) {
            sums.iter_mut().zip(&row[first..]).for_each(|(sum, &v)| *sum += u16::from(v));
        }
    }

    /// Pairs of samples are the halves of 16-bit words, so that no lane has to move.
    pub fn halve(rows: [&[u8]; 2], out: &mut [u8]) {
        let [top, bottom] = rows.map(|row| row.as_chunks::<2>().0);
        for ((out, &a), &b) in out.iter_mut().zip(top).zip(bottom) {
            let (a, b) = (u16::from_le_bytes(a), u16::from_le_bytes(b));
            *out = (((a & 255) + (a >> 8) + (b & 255) + (b >> 8) + 2) >> 2) as u8;
        }
    }

    /// Columns first: whole rows are added many samples at a time.
    pub fn third(rows: [&[u8]; 3], out: &mut [u8]) {
        const TILE: usize = 64;
        let mut sums = [0u16; 3 * TILE];
        for (i, out) in out.chunks_mut(TILE).enumerate() {
            let [a, b, c] = rows.map(|row| &row[3 * TILE * i..][..3 * out.len()]);
            for (((sum, &a), &b), &c) in sums.iter_mut().zip(a).zip(b).zip(c) {
                *sum = u16::from(a) + u16::from(b) + u16::from(c);
            }
            for (out, three) in out.iter_mut().zip(sums.as_chunks::<3>().0) {
                let sum = u32::from(three[0] + three[1] + three[2]);
                // 7282 / 2^16 is a ninth, exact enough for sums of nine samples.
                *out = (((sum + 4) * 7282) >> 16) as u8;
            }
        }
    }
}

/// Sixteen results at a time where there is AVX2. (Its vectors of 32 bytes do not let lanes cross their middle, which
/// the sums of three need.)
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::portable;
    use std::arch::x86_64::*;

    pub fn halve(rows: [&[u8]; 2], out: &mut [u8]) {
        match is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            true => unsafe { halve_avx2(rows, out) },
            false => portable::halve(rows, out),
        }
    }

    pub fn third(rows: [&[u8]; 3], out: &mut [u8]) {
        match is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            true => unsafe { third_avx2(rows, out) },
            false => portable::third(rows, out),
        }
    }

    pub fn add_rows(rows: &[u8], sums: &mut [u16]) {
        /// Compiled once more, for vectors of twice the length.
        #[target_feature(enable = "avx2")]
        fn add_rows_avx2(rows: &[u8], sums: &mut [u16]) {
            portable::add_rows(rows, sums);
        }
        match is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            true => unsafe { add_rows_avx2(rows, sums) },
            false => portable::add_rows(rows, sums),
        }
    }

    #[target_feature(enable = "avx2")]
    fn load(tile: &[u8], at: usize) -> __m128i {
        let bytes = &tile[at..at + 16];
        // SAFETY: `bytes` are the sixteen that are read; no alignment is asked for.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn store(out: &mut [u8; 16], v: __m128i) {
        // SAFETY: `out` has the sixteen bytes that are written; no alignment is asked for.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), v) }
    }

    #[target_feature(enable = "avx2")]
    fn halve_avx2(rows: [&[u8]; 2], out: &mut [u8]) {
        let (tiles, rest) = out.as_chunks_mut::<16>();
        let [top, bottom] = rows.map(|row| row.as_chunks::<32>().0);
        for ((out, a), b) in tiles.iter_mut().zip(top).zip(bottom) {
            let mean = |at: usize| {
                let pairs = |row: &[u8; 32]| _mm_maddubs_epi16(load(row, at), _mm_set1_epi8(1));
                _mm_srli_epi16(_mm_add_epi16(_mm_add_epi16(pairs(a), pairs(b)), _mm_set1_epi16(2)), 2)
            };
            store(out, _mm_packus_epi16(mean(0), mean(16)));
        }
        let done = 32 * tiles.len();
        portable::halve(rows.map(|row| &row[done..]), rest);
    }

    /// Ninths of the sums of three neighbours each, of 24 in `a`, `b` and `c`; in the
    /// order 0, 3, 6, 1, 4, 7, 2, 5.
    #[target_feature(enable = "avx2")]
    fn means_of_threes(a: __m128i, b: __m128i, c: __m128i) -> __m128i {
        // Lanes 1, 4 and 7 of the second, 2 and 5 of the third.
        macro_rules! blend {
            ($a:expr, $b:expr, $c:expr) => {
                _mm_blend_epi16(_mm_blend_epi16($a, $b, 0b1001_0010), $c, 0b0010_0100)
            };
        }
        let first = blend!(a, b, c);
        // One lane on from their first neighbours, and two.
        let second = blend!(c, a, b);
        let second = _mm_alignr_epi8(second, second, 2);
        let third = blend!(b, c, a);
        let third = _mm_alignr_epi8(third, third, 4);
        // Rounds the product by 3641 / 2^15: a ninth, exact enough for nine samples.
        _mm_mulhrs_epi16(_mm_add_epi16(_mm_add_epi16(first, second), third), _mm_set1_epi16(3641))
    }

    #[target_feature(enable = "avx2")]
    fn third_avx2(rows: [&[u8]; 3], out: &mut [u8]) {
        let (tiles, rest) = out.as_chunks_mut::<16>();
        let [a, b, c] = rows.map(|row| row.as_chunks::<48>().0);
        let order = _mm_setr_epi8(0, 3, 6, 1, 4, 7, 2, 5, 8, 11, 14, 9, 12, 15, 10, 13);
        let zero = _mm_setzero_si128();
        for (((out, a), b), c) in tiles.iter_mut().zip(a).zip(b).zip(c) {
            // The columns' sums, eight in a vector; three vectors give eight results.
            let sums = |at: usize| {
                let rows = [load(a, at), load(b, at), load(c, at)];
                let [low_a, low_b, low_c] = rows.map(|row| _mm_unpacklo_epi8(row, zero));
                let [high_a, high_b, high_c] = rows.map(|row| _mm_unpackhi_epi8(row, zero));
                let sum = |a, b, c| _mm_add_epi16(_mm_add_epi16(a, b), c);
                [sum(low_a, low_b, low_c), sum(high_a, high_b, high_c)]
            };
            let [[s0, s1], [s2, s3], [s4, s5]] = [sums(0), sums(16), sums(32)];
            let means = _mm_packus_epi16(means_of_threes(s0, s1, s2), means_of_threes(s3, s4, s5));
            store(out, _mm_shuffle_epi8(means, order));
        }
        let done = 48 * tiles.len();
        portable::third(rows.map(|row| &row[done..]), rest);
    }
}

/// Sixteen results at a time.
#[cfg(target_arch = "wasm32")]
mod simd128 {
    use super::portable;
    use std::arch::wasm32::*;

    pub fn add_rows(rows: &[u8], sums: &mut [u16]) {
        let width = sums.len();
        let (tiles, rest) = sums.as_chunks_mut::<16>();
        for (i, sums) in tiles.iter_mut().enumerate() {
            let (mut low, mut high) = (u16x8_splat(0), u16x8_splat(0));
            for row in rows.chunks_exact(width) {
                let samples = load(row, 16 * i);
                low = u16x8_add(low, u16x8_extend_low_u8x16(samples));
                high = u16x8_add(high, u16x8_extend_high_u8x16(samples));
            }
            for (sums, added) in sums.as_chunks_mut::<8>().0.iter_mut().zip([low, high]) {
                // SAFETY: eight sums are the sixteen bytes that are written; no alignment is asked for.
                unsafe { v128_store(sums.as_mut_ptr().cast(), added) }
            }
        }
        portable::add_last_columns(rows, width, rest);
    }

    fn load(tile: &[u8], at: usize) -> v128 {
        let bytes = &tile[at..at + 16];
        // SAFETY: `bytes` are the sixteen that are read; no alignment is asked for.
        unsafe { v128_load(bytes.as_ptr().cast()) }
    }

    fn store(out: &mut [u8; 16], v: v128) {
        // SAFETY: `out` has the sixteen bytes that are written; no alignment is asked for.
        unsafe { v128_store(out.as_mut_ptr().cast(), v) }
    }

    pub fn halve(rows: [&[u8]; 2], out: &mut [u8]) {
        let (tiles, rest) = out.as_chunks_mut::<16>();
        let [top, bottom] = rows.map(|row| row.as_chunks::<32>().0);
        for ((out, a), b) in tiles.iter_mut().zip(top).zip(bottom) {
            let mean = |at: usize| {
                let pairs = |row: &[u8; 32]| u16x8_extadd_pairwise_u8x16(load(row, at));
                u16x8_shr(u16x8_add(u16x8_add(pairs(a), pairs(b)), u16x8_splat(2)), 2)
            };
            store(out, u8x16_narrow_i16x8(mean(0), mean(16)));
        }
        let done = 32 * tiles.len();
        portable::halve(rows.map(|row| &row[done..]), rest);
    }

    pub fn third(rows: [&[u8]; 3], out: &mut [u8]) {
        /// No place: gives 0.
        const O: u8 = 255;
        // What compilers know to be constant becomes shuffles, whose places V8 makes anew for each of them.
        let places = std::hint::black_box([
            // Three samples in each four; a vector for the last of a tile would reach beyond it, and begins four before.
            u8x16(0, 1, 2, O, 3, 4, 5, O, 6, 7, 8, O, 9, 10, 11, O),
            u8x16(4, 5, 6, O, 7, 8, 9, O, 10, 11, 12, O, 13, 14, 15, O),
            // The third of each four bytes, as the first, second, third or last four.
            u8x16(2, 6, 10, 14, O, O, O, O, O, O, O, O, O, O, O, O),
            u8x16(O, O, O, O, 2, 6, 10, 14, O, O, O, O, O, O, O, O),
            u8x16(O, O, O, O, O, O, O, O, 2, 6, 10, 14, O, O, O, O),
            u8x16(O, O, O, O, O, O, O, O, O, O, O, O, 2, 6, 10, 14),
        ]);
        let (tiles, rest) = out.as_chunks_mut::<16>();
        let [a, b, c] = rows.map(|row| row.as_chunks::<48>().0);
        for (((out, a), b), c) in tiles.iter_mut().zip(a).zip(b).zip(c) {
            // 2^16 times the means of four blocks.
            let means = |column: usize, places: v128| {
                let pairs = |row| u16x8_extadd_pairwise_u8x16(u8x16_swizzle(load(row, column), places));
                let sums = u16x8_add(u16x8_add(pairs(a), pairs(b)), pairs(c));
                // 7282 / 2^16 is a ninth, exact enough for sums of nine samples.
                i32x4_add(i32x4_dot_i16x8(sums, u16x8_splat(7282)), i32x4_splat(4 * 7282))
            };
            let [q, r] = [means(0, places[0]), means(12, places[0])];
            let [s, t] = [means(24, places[0]), means(32, places[1])];
            let first = v128_or(u8x16_swizzle(q, places[2]), u8x16_swizzle(r, places[3]));
            let last = v128_or(u8x16_swizzle(s, places[4]), u8x16_swizzle(t, places[5]));
            store(out, v128_or(first, last));
        }
        let done = 48 * tiles.len();
        portable::third(rows.map(|row| &row[done..]), rest);
    }
}

impl Plane {
    /// The mean of each cell of a grid of `W × H` over the picture, rounded, row by row.
    /// Cells that end within a sample take their share of it. The picture has less than
    /// 2^27 samples.
    pub fn cell_means<const W: usize, const H: usize>(&self) -> [[u8; W]; H] {
        let columns: [Covered; W] = std::array::from_fn(|cell| Covered::by(cell, W, self.width));
        let mut sums = vec![0u16; self.width];
        // Sums of some rows of samples within each of the grid's columns, W times as large.
        let mut strip = |from: usize, to: usize| {
            let mut cells = [0.0; W];
            for from in (from..to).step_by(ROWS_IN_16_BITS) {
                kernel::add_rows(&self.data[from * self.width..to.min(from + ROWS_IN_16_BITS) * self.width], &mut sums);
                for (sum, &Covered { first, last, parts }) in cells.iter_mut().zip(&columns) {
                    let whole: u32 = sums[first..last].iter().map(|&sum| u32::from(sum)).sum();
                    let parts = parts.map(|(column, share)| share * u32::from(sums[column]));
                    // Whole numbers that doubles hold; 64-bit integers would be slow to convert in wasm.
                    *sum += W as f64 * f64::from(whole) + f64::from(parts[0]) + f64::from(parts[1]);
                }
            }
            cells
        };
        let area = (self.width * self.height) as f64;
        let mut means = [[0; W]; H];
        for (cell, means) in means.iter_mut().enumerate() {
            let Covered { first, last, parts } = Covered::by(cell, H, self.height);
            let mut cells = strip(first, last).map(|sum| H as f64 * sum);
            for (row, share) in parts.into_iter().filter(|&(_, share)| share > 0) {
                cells.iter_mut().zip(strip(row, row + 1)).for_each(|(cell, part)| *cell += f64::from(share) * part);
            }
            *means = cells.map(|sum| (sum / area + 0.5) as u8);
        }
        means
    }
}

/// Rows whose columns' sums fit 16 bits.
const ROWS_IN_16_BITS: usize = 257;

/// The samples along one side of a picture that one of `cells` cells covers.
#[derive(Clone, Copy)]
struct Covered {
    /// The first that is covered whole.
    first: usize,
    /// One after the last that is.
    last: usize,
    /// The samples before and after, and how much of each is covered, in parts of a sample, as many as there are cells:
    /// cells end on whole ones.
    parts: [(usize, u32); 2],
}

impl Covered {
    fn by(cell: usize, cells: usize, length: usize) -> Self {
        let (start, end) = (cell * length, (cell + 1) * length);
        let (first, last) = (start.div_ceil(cells), end / cells);
        let parts = match last < first {
            // Within one sample.
            true => [(last, length), (last, 0)],
            false => [(first.saturating_sub(1), first * cells - start), (last.min(length - 1), end - last * cells)],
        };
        Self { first, last: last.max(first), parts: parts.map(|(sample, share)| (sample, share as u32)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_averaged_by_the_share_of_each_sample_that_they_cover() {
        // Sizes that divide by the grid, that do not, and that are smaller.
        for (width, height) in [(64, 96), (45, 71), (640, 33), (20, 5), (1, 1), (3, 17_000)] {
            let data: Vec<u8> = (0..width * height).map(|i| (i * 89 % 251) as u8).collect();
            let plane = Plane { width, height, data };
            // The definition: how much of [from, to) lies within each sample.
            let shares = |cell: usize, cells: usize, length: usize| -> Vec<f64> {
                let size = length as f64 / cells as f64;
                let (from, to) = (cell as f64 * size, (cell + 1) as f64 * size);
                (0..length).map(|i| (to.min((i + 1) as f64) - from.max(i as f64)).max(0.0) / size).collect()
            };
            for (y, row) in plane.cell_means::<32, 18>().iter().enumerate() {
                let rows = shares(y, 18, height);
                for (x, &mean) in row.iter().enumerate() {
                    let columns = shares(x, 32, width);
                    let sum: f64 = (0..width * height)
                        .map(|i| rows[i / width] * columns[i % width] * f64::from(plane.data[i]))
                        .sum();
                    assert!((f64::from(mean) - sum).abs() < 0.5001, "{width} × {height}: {mean} for {sum}");
                }
            }
        }
        // More rows than sums of columns hold in 16 bits, as bright as can be.
        let tall = Plane { width: 3, height: 18 * 300, data: vec![255; 3 * 18 * 300] };
        assert_eq!(tall.cell_means::<32, 18>(), [[255; 32]; 18]);
        let white = Plane { width: 640, height: 360, data: vec![255; 640 * 360] };
        assert_eq!(white.cell_means::<32, 32>(), [[255; 32]; 32]);
    }

    #[test]
    fn reduction_averages_whole_blocks() {
        let plane: Vec<u8> = vec![0, 2, 10, 20, 99, 4, 6, 30, 40, 99];
        let reduced = reduce_bytes(5, 2, 2, 1, |y| &plane[y * 5..y * 5 + 5]);
        assert_eq!((reduced.width, reduced.height, reduced.data), (2, 1, vec![3, 25]));
        // Every size agrees with the definition, on values up to the largest.
        let (width, height) = (161, 15);
        let plane: Vec<u8> = (0..width * height).map(|i| if i % 7 == 0 { 255 } else { (i * 89 % 256) as u8 }).collect();
        for k in 1..=9 {
            let reduced = reduce_bytes(width, height, k, 1, |y| &plane[y * width..(y + 1) * width]);
            for (i, &mean) in reduced.data.iter().enumerate() {
                let (x, y) = (i % reduced.width * k, i / reduced.width * k);
                let block = (0..k * k).map(|j| u32::from(plane[(y + j / k) * width + x + j % k]));
                let area = (k * k) as u32;
                assert_eq!(u32::from(mean), (block.sum::<u32>() + area / 2) / area, "{k} {x} {y}");
            }
            let some = reduce_bytes(width, height, k, 2, |y| &plane[y * width..(y + 1) * width]);
            let every_other: Vec<u8> = reduced.data.chunks_exact(reduced.width).step_by(2).flatten().copied().collect();
            assert_eq!((some.height * some.width, some.data), (every_other.len(), every_other));
        }
    }

    #[test]
    fn planes_smaller_than_a_block_are_reduced_as_far_as_they_go() {
        for (width, height) in [(7, 1), (1, 7), (8, 2), (1, 1)] {
            let data = vec![9; width * height];
            for k in 1..=4 {
                let reduced = reduce_bytes(width, height, k, 1, |y| &data[y * width..(y + 1) * width]);
                let k = k.min(width).min(height);
                assert_eq!((reduced.width, reduced.height), (width / k, height / k));
                assert!(reduced.data.iter().all(|&v| v == 9));
            }
        }
    }

    /// Every sum that a block can have, through the vectors and through the row's end.
    #[test]
    fn means_of_every_sum_are_exact() {
        for (k, area) in [(2, 4), (3, 9)] {
            for sum in 0..=255 * area {
                let block: Vec<u8> = (0..area).map(|i| ((sum + i) / area) as u8).collect();
                let rows: Vec<Vec<u8>> = block.chunks(k).map(|row| row.repeat(17)).collect();
                let mean = reduce_bytes(17 * k, k, k, 1, |y| &rows[y]).data;
                assert_eq!(mean, [((sum + area / 2) / area) as u8; 17], "{k} {sum}");
            }
        }
    }
}
