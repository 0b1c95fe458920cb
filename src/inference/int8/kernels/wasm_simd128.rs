//! WebAssembly simd128: `i32x4.dot_i16x8_s`, two products per lane, exact for
//! u8 × s8 (255 · 128 · 2 < 2^31 by far).

use super::{Sums, Windows};
use core::arch::wasm32::*;

/// # Safety
/// `Isa::gemm` has asserted that every read below lies within the slices.
pub unsafe fn gemm(windows: Windows<'_>, depth: usize, panel: &[i8], bias: &Sums, sums: &mut [Sums]) {
    // SAFETY: pointers stay inside the slices (see above); wasm allows
    // unaligned vector loads.
    unsafe {
        let base = windows.activations.as_ptr();
        let groups = depth.div_ceil(2);
        let bias = [v128_load(bias.as_ptr().cast()), v128_load(bias.as_ptr().add(4).cast())];
        for (pixels, sums) in windows.pixels.chunks_exact(4).zip(sums.chunks_exact_mut(4)) {
            let mut w = panel.as_ptr();
            let mut acc = [bias; 4];
            for &tap in windows.taps {
                let a: [*const u8; 4] = core::array::from_fn(|p| base.add(pixels[p] + tap));
                for group in 0..groups {
                    let low = i16x8_load_extend_i8x8(w);
                    let high = i16x8_load_extend_i8x8(w.add(8));
                    w = w.add(16);
                    for p in 0..4 {
                        let x = v128_load32_splat(a[p].add(group * 4).cast());
                        acc[p][0] = i32x4_add(acc[p][0], i32x4_dot_i16x8(low, x));
                        acc[p][1] = i32x4_add(acc[p][1], i32x4_dot_i16x8(high, x));
                    }
                }
            }
            for (acc, sums) in acc.iter().zip(sums) {
                v128_store(sums.as_mut_ptr().cast(), acc[0]);
                v128_store(sums.as_mut_ptr().add(4).cast(), acc[1]);
            }
        }
    }
}

/// # Safety
/// `Isa::depthwise` has asserted that every read below lies within the slices.
pub unsafe fn depthwise(windows: Windows<'_>, weights: &[i16], bias: &[Sums], sums: &mut [Sums]) {
    // SAFETY: as above.
    unsafe {
        for (pixel, sums) in windows.pixels.iter().zip(sums.chunks_exact_mut(bias.len())) {
            let base = windows.activations.as_ptr().add(*pixel);
            let mut w = weights.as_ptr();
            for (block, (bias, sums)) in bias.iter().zip(sums).enumerate() {
                let mut low = v128_load(bias.as_ptr().cast());
                let mut high = v128_load(bias.as_ptr().add(4).cast());
                for pair in windows.taps.chunks_exact(2) {
                    let x = u16x8_load_extend_u8x8(base.add(pair[0] + block * 8));
                    let y = u16x8_load_extend_u8x8(base.add(pair[1] + block * 8));
                    let xy_low = i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(x, y);
                    let xy_high = i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(x, y);
                    low = i32x4_add(low, i32x4_dot_i16x8(v128_load(w.cast()), xy_low));
                    high = i32x4_add(high, i32x4_dot_i16x8(v128_load(w.add(8).cast()), xy_high));
                    w = w.add(16);
                }
                v128_store(sums.as_mut_ptr().cast(), low);
                v128_store(sums.as_mut_ptr().add(4).cast(), high);
            }
        }
    }
}
