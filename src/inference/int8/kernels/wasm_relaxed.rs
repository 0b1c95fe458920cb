//! WebAssembly relaxed SIMD: four products per lane straight from bytes.
//!
//! The dot instructions only promise a result when the second operand stays within
//! seven bits. With eight, engines differ:
//!
//! | machine | `i32x4.relaxed_dot_i8x16_i7x16_add` | scheme |
//! |---|---|---|
//! | AVX-VNNI | `vpdpbusd`: u8 × s8, exact | [`super::Set::RelaxedExact`] |
//! | SSSE3, AVX2 | `pmaddubsw`: u8 × s8, pairs saturate at 16 bits | [`super::Set::RelaxedPairs`] |
//! | ARM | `sdot` and its stand-ins: s8 × s8 | [`super::Set::RelaxedSigned`] |
//!
//! In the second scheme `i16x8.relaxed_dot_i8x16_i7x16` and a widening dot with ones,
//! kept in a register, take three instructions where engines expand the first one to five.
//!
//! Nothing is assumed: [`super::proof`] runs these very kernels on extremes at load, and
//! only a scheme whose every sum equals the reference's is ever used.

use super::panels::Correction;
use super::wasm_simd128::{Store, on_registers, tiles};
use super::{BLOCK, Depthwise, Gemm, Target};
use core::arch::wasm32::*;

const PIXELS: usize = 4;

/// # Safety
/// `Isa::gemm` has checked that all reads and writes lie within the slices.
#[target_feature(enable = "relaxed-simd")]
pub unsafe fn gemm<const FINISH: u8, const PAIRS: bool>(gemm: &Gemm<'_>, target: Target<'_>) {
    // SAFETY: see above; wasm allows unaligned vector loads and stores.
    unsafe {
        let base = gemm.activations.as_ptr();
        let groups = gemm.panels.groups_per_row();
        // Hidden from the compiler, which would make the constant anew in every turn of the loop.
        let ones = core::hint::black_box(i16x8_splat(1));
        for (index, block) in gemm.blocks.clone().enumerate() {
            let panel = gemm.panels.panel(block).as_ptr();
            let corrections = gemm.panels.corrections(block);
            let bias: *const i32 = gemm.bias[block].as_ptr();
            let bias = [v128_load(bias.cast()), v128_load(bias.add(4).cast())];
            let store = Store::<FINISH>::new(&target, block, index * BLOCK, gemm.channels);
            for (pixels, outputs) in tiles(gemm.pixels, target.offsets) {
                let mut w = panel;
                let mut acc = [bias; PIXELS];
                for &row in gemm.rows {
                    let a: [*const u8; PIXELS] = core::array::from_fn(|p| base.add(pixels[p] + row));
                    for group in 0..groups {
                        let low = v128_load(w.cast());
                        let high = v128_load(w.add(16).cast());
                        w = w.add(32);
                        for p in 0..PIXELS {
                            let x = v128_load32_splat(a[p].add(group * 4).cast());
                            acc[p][0] = dot::<PAIRS>(low, x, acc[p][0], ones);
                            acc[p][1] = dot::<PAIRS>(high, x, acc[p][1], ones);
                        }
                    }
                }
                // Not in loops, see `wasm_simd128`.
                let [a, b, c, d] = acc;
                let low = correct::<PAIRS>(corrections[0], gemm, pixels, [a[0], b[0], c[0], d[0]], ones);
                let high = correct::<PAIRS>(corrections[1], gemm, pixels, [a[1], b[1], c[1], d[1]], ones);
                store.store([low[0], high[0]], outputs[0]);
                store.store([low[1], high[1]], outputs[1]);
                store.store([low[2], high[2]], outputs[2]);
                store.store([low[3], high[3]], outputs[3]);
            }
        }
    }
}

/// Adds the second halves of split weights to the pixels' sums of four of the eight channels.
///
/// # Safety
/// As for [`gemm`]: corrections lie within the rows.
#[inline]
#[target_feature(enable = "relaxed-simd")]
unsafe fn correct<const PAIRS: bool>(
    corrections: &[Correction],
    gemm: &Gemm<'_>,
    pixels: &[usize; PIXELS],
    mut sums: [v128; PIXELS],
    ones: v128,
) -> [v128; PIXELS] {
    for c in corrections {
        let offset = c.offset(gemm.rows);
        // SAFETY: see above.
        unsafe {
            let w = v128_load(c.weights.as_ptr().cast());
            for p in 0..PIXELS {
                let x = v128_load32_splat(gemm.activations.as_ptr().add(pixels[p] + offset).cast());
                sums[p] = dot::<PAIRS>(w, x, sums[p], ones);
            }
        }
    }
    sums
}

/// `acc + Σ` of the four products in each lane.
#[inline]
#[target_feature(enable = "relaxed-simd")]
fn dot<const PAIRS: bool>(weights: v128, activations: v128, acc: v128, ones: v128) -> v128 {
    if PAIRS {
        let pairs = i16x8_relaxed_dot_i8x16_i7x16(weights, activations);
        i32x4_add(acc, i32x4_dot_i16x8(pairs, ones))
    } else {
        i32x4_relaxed_dot_i8x16_i7x16_add(weights, activations, acc)
    }
}

/// For [`super::Set::RelaxedExact`]: four taps at a time.
///
/// # Safety
/// `Isa::depthwise` has checked that all reads and writes lie within the slices.
#[target_feature(enable = "relaxed-simd")]
pub unsafe fn depthwise<const FINISH: u8>(d: &Depthwise<'_>, target: Target<'_>) {
    // SAFETY: as above.
    unsafe {
        for (block, bias) in d.bias.iter().enumerate() {
            let weights = d.weights.of_block(block).as_ptr();
            let store = Store::<FINISH>::new(&target, block, block * BLOCK, d.channels);
            let bias = [v128_load(bias.as_ptr().cast()), v128_load(bias.as_ptr().add(4).cast())];
            for (pixel, &output) in d.pixels.iter().zip(target.offsets) {
                let base = d.activations.as_ptr().add(pixel + block * BLOCK);
                let mut w = weights;
                let mut acc = bias;
                for quad in d.taps.as_chunks::<4>().0 {
                    let [a, b, c, e] = quad.map(|tap| v128_load64_zero(base.add(tap).cast()));
                    let ab = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b);
                    let ce = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(c, e);
                    let low = i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(ab, ce);
                    let high = i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(ab, ce);
                    acc[0] = i32x4_relaxed_dot_i8x16_i7x16_add(v128_load(w.cast()), low, acc[0]);
                    acc[1] = i32x4_relaxed_dot_i8x16_i7x16_add(v128_load(w.add(16).cast()), high, acc[1]);
                    w = w.add(32);
                }
                store.store(acc, output);
            }
        }
    }
}

/// For [`super::Isa::dots`]: some sum, and products per round.
#[target_feature(enable = "relaxed-simd")]
pub fn dots<const PAIRS: bool>(rounds: u32) -> (i32, u64) {
    if PAIRS {
        let ones = core::hint::black_box(i16x8_splat(1));
        return on_registers(rounds, 16, |sum, w, x| dot::<true>(w, x, sum, ones));
    }
    // The one instruction has a latency of several cycles: more chains, which start differently,
    // or the compiler would see that they are one.
    let (mut x, w) = core::hint::black_box((i8x16_splat(0), i8x16_splat(3)));
    let mut sums: [v128; 10] = core::array::from_fn(|i| i32x4_splat(i as i32));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = dot::<false>(w, x, *sum, x);
        }
        x = i8x16_add(x, w);
    }
    let sum = sums.into_iter().fold(x, |a, b| v128_xor(a, b));
    (i32x4_extract_lane::<0>(sum), sums.len() as u64 * 16)
}
