//! x86-64 AVX2: `vpmaddwd`, two products per lane, exact for u8 × s8.

use super::{Sums, Windows};
use core::arch::x86_64::*;

/// # Safety
/// AVX2 is present, and `Isa::gemm` has asserted that every read below lies
/// within the slices.
#[target_feature(enable = "avx2")]
pub unsafe fn gemm(windows: Windows<'_>, depth: usize, panel: &[i8], bias: &Sums, sums: &mut [Sums]) {
    // SAFETY: pointers stay inside the slices (see above); the loads are the
    // unaligned ones.
    unsafe {
        let base = windows.activations.as_ptr();
        let groups = depth.div_ceil(2);
        let bias = _mm256_loadu_si256(bias.as_ptr().cast());
        for (pixels, sums) in windows.pixels.chunks_exact(4).zip(sums.chunks_exact_mut(4)) {
            let mut w = panel.as_ptr();
            let mut acc = [bias; 4];
            for &tap in windows.taps {
                let a = [
                    base.add(pixels[0] + tap),
                    base.add(pixels[1] + tap),
                    base.add(pixels[2] + tap),
                    base.add(pixels[3] + tap),
                ];
                for group in 0..groups {
                    let weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.cast()));
                    w = w.add(16);
                    for p in 0..4 {
                        let x = _mm256_set1_epi32(a[p].add(group * 4).cast::<i32>().read_unaligned());
                        acc[p] = _mm256_add_epi32(acc[p], _mm256_madd_epi16(weights, x));
                    }
                }
            }
            for (acc, sums) in acc.iter().zip(sums) {
                _mm256_storeu_si256(sums.as_mut_ptr().cast(), *acc);
            }
        }
    }
}

/// # Safety
/// AVX2 is present, and `Isa::depthwise` has asserted that every read below
/// lies within the slices.
#[target_feature(enable = "avx2")]
pub unsafe fn depthwise(windows: Windows<'_>, weights: &[i16], bias: &[Sums], sums: &mut [Sums]) {
    // SAFETY: as above.
    unsafe {
        for (pixel, sums) in windows.pixels.iter().zip(sums.chunks_exact_mut(bias.len())) {
            let base = windows.activations.as_ptr().add(*pixel);
            let mut w = weights.as_ptr();
            for (block, (bias, sums)) in bias.iter().zip(sums).enumerate() {
                let mut acc = _mm256_loadu_si256(bias.as_ptr().cast());
                for pair in windows.taps.chunks_exact(2) {
                    let x = _mm_loadl_epi64(base.add(pair[0] + block * 8).cast());
                    let y = _mm_loadl_epi64(base.add(pair[1] + block * 8).cast());
                    let xy = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y));
                    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_loadu_si256(w.cast()), xy));
                    w = w.add(16);
                }
                _mm256_storeu_si256(sums.as_mut_ptr().cast(), acc);
            }
        }
    }
}
