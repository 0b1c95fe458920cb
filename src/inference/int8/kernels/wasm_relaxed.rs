//! WebAssembly relaxed SIMD: `i32x4.relaxed_dot_i8x16_i7x16_add`, four products
//! per lane straight from bytes.
//!
//! The instruction only promises a result when the second operand stays within
//! seven bits. With eight, engines differ: `vpdpbusd` (AVX-VNNI) multiplies
//! u8 × s8 exactly, `vpmaddubsw` saturates a pair of products at 16 bits, ARM's
//! `sdot` reads the operand as signed. [`dot_is_exact`] finds out at load time,
//! and the kernel is used only where the answer is yes.

use super::{Sums, Windows};
use core::arch::wasm32::*;

/// Whether the relaxed dot multiplies s8 × u8 exactly on this machine.
pub fn dot_is_exact() -> bool {
    // SAFETY: this file is compiled only into the relaxed-simd build, whose
    // module an engine without the instructions has already refused.
    unsafe { probe() }
}

#[target_feature(enable = "relaxed-simd")]
unsafe fn probe() -> bool {
    // Signs and magnitudes that tell the three behaviours apart: a pair of
    // products past 32767, one past -32768, and operands above 127. The black
    // box keeps the compiler from folding the probe with its own semantics.
    let extremes = [(127i8, 255u8), (-128, 255), (127, 128), (-1, 200), (100, 129)];
    extremes.iter().all(|&(weight, activation)| {
        let w = core::hint::black_box(i8x16_splat(weight));
        let a = core::hint::black_box(u8x16_splat(activation));
        let sum = i32x4_relaxed_dot_i8x16_i7x16_add(w, a, i32x4_splat(7));
        let expected = 7 + 4 * i32::from(weight) * i32::from(activation);
        i32x4_all_true(i32x4_eq(sum, i32x4_splat(expected)))
    })
}

/// # Safety
/// `Isa::gemm` has asserted that every read below lies within the slices.
#[target_feature(enable = "relaxed-simd")]
pub unsafe fn gemm(windows: Windows<'_>, depth: usize, panel: &[i8], bias: &Sums, sums: &mut [Sums]) {
    // SAFETY: pointers stay inside the slices (see above); wasm allows
    // unaligned vector loads.
    unsafe {
        let base = windows.activations.as_ptr();
        let groups = depth.div_ceil(4);
        let bias = [v128_load(bias.as_ptr().cast()), v128_load(bias.as_ptr().add(4).cast())];
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
                    let low = v128_load(w.cast());
                    let high = v128_load(w.add(16).cast());
                    w = w.add(32);
                    for p in 0..4 {
                        let x = v128_load32_splat(a[p].add(group * 4).cast());
                        acc[p][0] = i32x4_relaxed_dot_i8x16_i7x16_add(low, x, acc[p][0]);
                        acc[p][1] = i32x4_relaxed_dot_i8x16_i7x16_add(high, x, acc[p][1]);
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
