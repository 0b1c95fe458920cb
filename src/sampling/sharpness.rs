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
    let (mut sum, mut squares) = (0i64, 0u64);
    for y in 1..h - 1 {
        let (row_sum, row_squares) = laplacian_sums(row(y - 1), row(y), row(y + 1));
        sum += i64::from(row_sum);
        squares += row_squares;
    }
    let n = ((w - 2) * (h - 2)) as f64;
    let mean = sum as f64 / n;
    (squares as f64 / n - mean * mean) as f32
}

/// Sums of the Laplacian and of its squares over the inner samples of a row.
fn laplacian_sums(above: &[u8], here: &[u8], below: &[u8]) -> (i32, u64) {
    let inner = here.len() - 2;
    let around = [&here[1..], here, &here[2..], &above[1..], &below[1..]].map(|samples| &samples[..inner]);
    let ((in_vectors, squares_in_vectors), around) = vectors::laplacian_sums(around);
    let (mut sum, mut squares) = (0i32, 0u32);
    let [center, left, right, above, below] = around;
    for ((&c, (&l, &r)), (&a, &b)) in center.iter().zip(left.iter().zip(right)).zip(above.iter().zip(below)) {
        // Sixteen bits hold it, which lets one instruction square and add two.
        let v = 4 * i16::from(c) - i16::from(l) - i16::from(r) - i16::from(a) - i16::from(b);
        sum += i32::from(v);
        // At most 1020² per sample: 2^32 holds more than 4000 of them.
        squares = squares.wrapping_add((i32::from(v) * i32::from(v)) as u32);
    }
    (in_vectors + sum, squares_in_vectors + u64::from(squares))
}

/// Native compilers find the vectors themselves.
#[cfg(not(target_arch = "wasm32"))]
mod vectors {
    pub fn laplacian_sums(around: [&[u8]; 5]) -> ((i32, u64), [&[u8]; 5]) {
        ((0, 0), around)
    }
}

#[cfg(target_arch = "wasm32")]
mod vectors {
    use std::arch::wasm32::*;

    /// The sums over whole vectors of sixteen samples, and the samples left over. Samples
    /// come with their neighbours: center, left, right, above, below.
    pub fn laplacian_sums(around: [&[u8]; 5]) -> ((i32, u64), [&[u8]; 5]) {
        let load = |bytes: &[u8; 16]| {
            // SAFETY: the sixteen bytes are there; no alignment is asked for.
            unsafe { v128_load(bytes.as_ptr().cast()) }
        };
        let (mut sum, mut squares) = (i32x4_splat(0), i32x4_splat(0));
        let [center, left, right, above, below] = around.map(|samples| samples.as_chunks::<16>().0);
        for ((c, (l, r)), (a, b)) in center.iter().zip(left.iter().zip(right)).zip(above.iter().zip(below)) {
            let [c, l, r, a, b] = [load(c), load(l), load(r), load(a), load(b)];
            let laplacian =
                |[c, l, r, a, b]: [v128; 5]| i16x8_sub(i16x8_shl(c, 2), i16x8_add(i16x8_add(l, r), i16x8_add(a, b)));
            let low = laplacian([c, l, r, a, b].map(|v| u16x8_extend_low_u8x16(v)));
            let high = laplacian([c, l, r, a, b].map(|v| u16x8_extend_high_u8x16(v)));
            // Two of them fit 16 bits.
            sum = i32x4_add(sum, i32x4_extadd_pairwise_i16x8(i16x8_add(low, high)));
            squares = i32x4_add(squares, i32x4_add(i32x4_dot_i16x8(low, low), i32x4_dot_i16x8(high, high)));
        }
        let done = 16 * center.len();
        let lanes = |v: v128| {
            [
                u32x4_extract_lane::<0>(v),
                u32x4_extract_lane::<1>(v),
                u32x4_extract_lane::<2>(v),
                u32x4_extract_lane::<3>(v),
            ]
        };
        let sum = lanes(sum).iter().fold(0, |sum, &lane| sum + lane as i32);
        let squares = lanes(squares).iter().map(|&lane| u64::from(lane)).sum();
        ((sum, squares), around.map(|samples| &samples[done..]))
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

    /// Rows of every length up to three vectors, the widest that are analysed, and
    /// the largest values, against the definition.
    #[test]
    fn variance_is_that_of_the_laplacian() {
        for width in (3..60).chain([640, 4000]) {
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
