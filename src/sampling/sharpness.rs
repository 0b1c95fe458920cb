//! How sharp a picture is: the variance of its Laplacian, the focus measure of
//! Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.

use crate::frame::Plane;

/// Variance of the four-neighbour Laplacian over the inner samples, in 8-bit units
/// squared; 0 for a picture without inner samples.
pub fn laplacian_variance(plane: &Plane) -> f32 {
    let (w, h) = (plane.width, plane.height);
    if w < 3 || h < 3 {
        return 0.0;
    }
    let row = |y: usize| &plane.data[y * w..(y + 1) * w];
    let squares: u64 = (1..h - 1).map(|y| squared_laplacians(row(y - 1), row(y), row(y + 1))).sum();
    let n = ((w - 2) * (h - 2)) as f64;
    let mean = sum_of_laplacians(plane) as f64 / n;
    (squares as f64 / n - mean * mean) as f32
}

/// Sum of the Laplacian over the inner samples: differences of neighbours cancel out but for those at the edges.
fn sum_of_laplacians(plane: &Plane) -> i64 {
    let (w, h) = (plane.width, plane.height);
    let inwards = |edge: usize, inner: usize| i64::from(plane.data[inner]) - i64::from(plane.data[edge]);
    let sides = (1..h - 1).map(|y| y * w).map(|y| inwards(y, y + 1) + inwards(y + w - 1, y + w - 2));
    let (bottom, above_it) = ((h - 1) * w, (h - 2) * w);
    let ends = (1..w - 1).map(|x| inwards(x, w + x) + inwards(bottom + x, above_it + x));
    sides.sum::<i64>() + ends.sum::<i64>()
}

/// Sum of the squared Laplacian over the inner samples of a row.
fn squared_laplacians(above: &[u8], here: &[u8], below: &[u8]) -> u64 {
    let inner = here.len() - 2;
    let around = [&here[1..], here, &here[2..], &above[1..], &below[1..]].map(|samples| &samples[..inner]);
    let (in_vectors, [center, left, right, above, below]) = vectors::squared_laplacians(around);
    let rest = center.iter().zip(left.iter().zip(right)).zip(above.iter().zip(below));
    let squares = rest.map(|((&c, (&l, &r)), (&a, &b))| {
        // Sixteen bits hold it, which lets one instruction square and add two.
        let [c, l, r, a, b] = [c, l, r, a, b].map(i16::from);
        let laplacian = i32::from(4 * c - l - r - a - b);
        (laplacian * laplacian) as u32
    });
    // At most 1020² each: 32 bits hold more than 4000 of them.
    in_vectors + u64::from(squares.fold(0, u32::wrapping_add))
}

#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
mod vectors {
    pub fn squared_laplacians(around: [&[u8]; 5]) -> (u64, [&[u8]; 5]) {
        (0, around)
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::*;

    /// The sum over whole vectors of 32 samples, fewer than 1000 of them, and the samples left over. Samples
    /// come with their neighbours: center, left, right, above, below.
    pub fn squared_laplacians(around: [&[u8]; 5]) -> (u64, [&[u8]; 5]) {
        match is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            true => unsafe { squared_laplacians_avx2(around) },
            false => (0, around),
        }
    }

    #[target_feature(enable = "avx2")]
    fn squared_laplacians_avx2(around: [&[u8]; 5]) -> (u64, [&[u8]; 5]) {
        let load = |bytes: &[u8; 32]| {
            // SAFETY: the 32 bytes are there; no alignment is asked for.
            unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
        };
        let ones = _mm256_set1_epi8(1);
        let mut squares = _mm256_setzero_si256();
        let [center, left, right, above, below] = around.map(|samples| samples.as_chunks::<32>().0);
        for ((c, (l, r)), (a, b)) in center.iter().zip(left.iter().zip(right)).zip(above.iter().zip(below)) {
            let [c, l, r, a, b] = [load(c), load(l), load(r), load(a), load(b)];
            let laplacian = |interleave: fn(__m256i, __m256i) -> __m256i| {
                let sum = |a, b| _mm256_maddubs_epi16(interleave(a, b), ones);
                let four = _mm256_slli_epi16(sum(c, c), 1);
                _mm256_sub_epi16(four, _mm256_add_epi16(sum(l, r), sum(a, b)))
            };
            let low = laplacian(|a, b| _mm256_unpacklo_epi8(a, b));
            let high = laplacian(|a, b| _mm256_unpackhi_epi8(a, b));
            let both = _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high));
            squares = _mm256_add_epi32(squares, both);
        }
        let done = 32 * center.len();
        let mut lanes = [0u32; 8];
        // SAFETY: the lanes have the 32 bytes that are written; no alignment is asked for.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), squares) };
        (lanes.iter().map(|&lane| u64::from(lane)).sum(), around.map(|samples| &samples[done..]))
    }
}

#[cfg(target_arch = "wasm32")]
mod vectors {
    use std::arch::wasm32::*;

    /// The sum over whole vectors of sixteen samples, fewer than 1000 of them, and the samples left over. Samples
    /// come with their neighbours: center, left, right, above, below.
    pub fn squared_laplacians(around: [&[u8]; 5]) -> (u64, [&[u8]; 5]) {
        let load = |bytes: &[u8; 16]| {
            // SAFETY: the sixteen bytes are there; no alignment is asked for.
            unsafe { v128_load(bytes.as_ptr().cast()) }
        };
        let mut squares = i32x4_splat(0);
        let [center, left, right, above, below] = around.map(|samples| samples.as_chunks::<16>().0);
        for ((c, (l, r)), (a, b)) in center.iter().zip(left.iter().zip(right)).zip(above.iter().zip(below)) {
            let [c, l, r, a, b] = [load(c), load(l), load(r), load(a), load(b)];
            let laplacian = |interleave: fn(v128, v128) -> v128| {
                let sum = |a, b| u16x8_extadd_pairwise_u8x16(interleave(a, b));
                i16x8_sub(i16x8_shl(sum(c, c), 1), i16x8_add(sum(l, r), sum(a, b)))
            };
            let low = laplacian(u8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>);
            let high = laplacian(u8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>);
            squares = i32x4_add(squares, i32x4_add(i32x4_dot_i16x8(low, low), i32x4_dot_i16x8(high, high)));
        }
        let done = 16 * center.len();
        let lanes = [
            u32x4_extract_lane::<0>(squares),
            u32x4_extract_lane::<1>(squares),
            u32x4_extract_lane::<2>(squares),
            u32x4_extract_lane::<3>(squares),
        ];
        (lanes.iter().map(|&lane| u64::from(lane)).sum(), around.map(|samples| &samples[done..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blur_lowers_sharpness() {
        let plane = Plane { width: 64, height: 64, data: (0..4096).map(|i| ((i * 7919) % 251) as u8).collect() };
        let blurred = plane.resized(16, 16).unwrap().resized(64, 64).unwrap();
        assert!(laplacian_variance(&plane) > 20.0 * laplacian_variance(&blurred));
        assert_eq!(laplacian_variance(&Plane { width: 8, height: 8, data: vec![77; 64] }), 0.0);
    }

    /// Rows of every length up to some vectors, the widest that are analysed, and
    /// the largest values, against the definition.
    #[test]
    fn variance_is_that_of_the_laplacian() {
        for width in (3..100).chain([640, 4000]) {
            let extremes: Vec<u8> =
                (0..width * 4).map(|i| if (i % width + i / width) % 2 == 0 { 255 } else { 0 }).collect();
            let mixed = (0..width * 4).map(|i| (i * i * 31 % 256) as u8).collect();
            for data in [extremes, mixed] {
                let at = |x: usize, y: usize| f64::from(data[y * width + x]);
                let values: Vec<f64> = (1..3)
                    .flat_map(|y| (1..width - 1).map(move |x| (x, y)))
                    .map(|(x, y)| 4.0 * at(x, y) - at(x - 1, y) - at(x + 1, y) - at(x, y - 1) - at(x, y + 1))
                    .collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let expected = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
                let measured = f64::from(laplacian_variance(&Plane { width, height: 4, data: data.clone() }));
                assert!((measured - expected).abs() <= 1e-6 * expected, "{width}: {measured} {expected}");
            }
        }
    }
}
