//! WebAssembly relaxed SIMD: four products per lane straight from bytes.
//!
//! The dot instructions only promise a result when the second operand stays within
//! seven bits. With eight, engines differ:
//!
//! | machine | `i32x4.relaxed_dot_i8x16_i7x16_add` | scheme |
//! |---|---|---|
//! | AVX-VNNI | `vpdpbusd`: u8 × s8, exact | [`Isa::RelaxedExact`] |
//! | SSSE3, AVX2 | `pmaddubsw`: u8 × s8, pairs saturate at 16 bits | [`Isa::RelaxedPairs`] |
//! | ARM | `sdot` and its stand-ins: s8 × s8 | [`Isa::RelaxedSigned`] |
//!
//! In the second scheme `i16x8.relaxed_dot_i8x16_i7x16` and a widening dot with ones,
//! kept in a register, take three instructions where engines expand the first one to five.
//!
//! Nothing is assumed: [`schemes`] runs this very kernel on extremes at load, and only
//! a scheme whose every sum equals the reference's is ever used.

use super::panels::Correction;
use super::wasm_simd128::{Store, tiles};
use super::{BLOCK, Gemm, Isa, Output, Panels, Sums, Target};
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
                correct::<PAIRS, 0>(corrections[0], gemm, pixels, &mut acc, ones);
                correct::<PAIRS, 1>(corrections[1], gemm, pixels, &mut acc, ones);
                for p in 0..PIXELS {
                    store.store(acc[p], outputs[p]);
                }
            }
        }
    }
}

/// Adds the second halves of split weights to the sums of four of the eight channels.
///
/// # Safety
/// As for [`gemm`]: corrections lie within the rows.
#[inline]
#[target_feature(enable = "relaxed-simd")]
unsafe fn correct<const PAIRS: bool, const HALF: usize>(
    corrections: &[Correction],
    gemm: &Gemm<'_>,
    pixels: &[usize; PIXELS],
    acc: &mut [[v128; 2]; PIXELS],
    ones: v128,
) {
    for c in corrections {
        let offset = gemm.rows[c.row as usize] + c.input as usize;
        // SAFETY: see above.
        unsafe {
            let w = v128_load(c.weights.as_ptr().cast());
            for p in 0..PIXELS {
                let x = v128_load32_splat(gemm.activations.as_ptr().add(pixels[p] + offset).cast());
                acc[p][HALF] = dot::<PAIRS>(w, x, acc[p][HALF], ones);
            }
        }
    }
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

/// The schemes that are exact on this machine, the slowest first.
pub fn schemes() -> Vec<Isa> {
    [Isa::RelaxedSigned, Isa::RelaxedPairs, Isa::RelaxedExact].into_iter().filter(|&isa| is_exact(isa)).collect()
}

/// Runs the kernel on weights and activations that tell the behaviours apart, against
/// the reference: all signs and magnitudes, pairs beyond 16 bits in both directions.
fn is_exact(isa: Isa) -> bool {
    const WEIGHTS: [i8; 8] = [127, 127, -128, -128, 1, -1, 64, -127];
    const VALUES: [u8; 7] = [255, 255, 128, 0, 127, 129, 1];
    const DEPTH: usize = 56;
    let weight = |channel: usize, _: usize, k: usize| WEIGHTS[(k / 2 + channel * (1 + k % 2)) % WEIGHTS.len()];
    let bytes: Vec<u8> = (0..PIXELS * DEPTH).map(|i| VALUES[(i / 2 + i / DEPTH) % VALUES.len()]).collect();
    let sums = |isa: Isa| {
        let layout = isa.activations();
        let flipped: Vec<u8> = bytes.iter().map(|b| (i32::from(*b) + layout.offset()) as u8).collect();
        let pixels: [usize; PIXELS] = core::array::from_fn(|p| p * DEPTH);
        let outputs: [usize; PIXELS] = core::array::from_fn(|p| p * BLOCK);
        let bias: Sums = core::array::from_fn(|c| {
            -layout.offset() * (0..DEPTH).map(|k| i32::from(weight(c, 0, k))).sum::<i32>()
        });
        let panels = Panels::new(isa, 1, BLOCK, 1, DEPTH, weight);
        let mut y = vec![0; PIXELS * BLOCK];
        let gemm = Gemm {
            activations: core::hint::black_box(&flipped),
            pixels: &pixels,
            rows: &[0],
            panels: &panels,
            blocks: 0..1,
            channels: BLOCK,
            bias: &[bias],
        };
        isa.gemm(&gemm, Output::Sums { y: &mut y, offsets: &outputs });
        y
    };
    sums(isa) == sums(Isa::Scalar)
}
