//! 64-bit ARM. Two kernels, both exact for all weights, on activations with the top bit flipped:
//! `sdot`, four products s8 × s8 per lane (optional from ARMv8.2, in all of Apple's and the
//! server cores), and for older cores multiplication to 16 bits and two pairwise additions.
//!
//! 32 registers hold the sums of 4 pixels × 16 channels with their weights.

use super::requantize::MAGIC;
use super::{BLOCK, Depthwise, Gemm, Target, finish};
use core::arch::aarch64::*;
use core::arch::asm;

const PIXELS: usize = 4;

/// Four channels' sums plus the products of four inputs of each.
#[inline]
#[target_feature(enable = "dotprod")]
fn sdot(mut sums: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
    // Rust's intrinsic (`vdotq_s32`) is not stable yet.
    // SAFETY: the instruction is there and only touches these registers.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inlateout(vreg) sums, in(vreg) weights, in(vreg) x,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

/// The same without the instruction. Two products together can exceed 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn widening(sums: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
    let low = vpaddlq_s16(vmull_s8(vget_low_s8(weights), vget_low_s8(x)));
    let high = vpaddlq_s16(vmull_high_s8(weights, x));
    vaddq_s32(sums, vpaddq_s32(low, high))
}

macro_rules! kernel {
    ($name:ident, $tile:ident, $dots:ident, $features:literal, $dot:ident) => {
        /// # Safety
        /// The instructions are present, and `Isa::gemm` has checked that all reads and
        /// writes lie within the slices.
        #[target_feature(enable = $features)]
        pub unsafe fn $name<const FINISH: u8>(gemm: &Gemm<'_>, target: Target<'_>) {
            let count = gemm.blocks.len();
            // SAFETY: see above.
            unsafe {
                for first in (0..count / 2 * 2).step_by(2) {
                    $tile::<FINISH, 2>(gemm, &target, first);
                }
                if count % 2 == 1 {
                    $tile::<FINISH, 1>(gemm, &target, count - 1);
                }
            }
        }

        /// All pixels of some blocks, from the group's `first` on.
        ///
        /// # Safety
        /// As above.
        #[target_feature(enable = $features)]
        unsafe fn $tile<const FINISH: u8, const BLOCKS: usize>(gemm: &Gemm<'_>, target: &Target<'_>, first: usize) {
            let block = |b: usize| gemm.blocks.start + first + b;
            let panels: [*const i8; BLOCKS] = core::array::from_fn(|b| gemm.panels.panel(block(b)).as_ptr());
            let stores: [Store<FINISH>; BLOCKS] =
                core::array::from_fn(|b| Store::new(target, block(b), (first + b) * BLOCK, gemm.channels));
            let base = gemm.activations.as_ptr();
            let groups = gemm.panels.groups_per_row();
            let tiles = gemm.pixels.as_chunks::<PIXELS>().0.iter().zip(target.offsets.as_chunks::<PIXELS>().0);
            // SAFETY: as above; loads and stores need no alignment.
            unsafe {
                let bias: [[int32x4_t; 2]; BLOCKS] = core::array::from_fn(|b| {
                    let bias = gemm.bias[block(b)].as_ptr();
                    [vld1q_s32(bias), vld1q_s32(bias.add(4))]
                });
                for (pixels, outputs) in tiles {
                    let mut acc = [bias; PIXELS];
                    let mut at = 0;
                    for &row in gemm.rows {
                        for group in 0..groups {
                            let w: [[int8x16_t; 2]; BLOCKS] = core::array::from_fn(|b| {
                                [vld1q_s8(panels[b].add(at)), vld1q_s8(panels[b].add(at + 16))]
                            });
                            at += 32;
                            for p in 0..PIXELS {
                                let x = base.add(pixels[p] + row + group * 4).cast::<i32>().read_unaligned();
                                let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
                                for b in 0..BLOCKS {
                                    acc[p][b][0] = $dot(acc[p][b][0], w[b][0], x);
                                    acc[p][b][1] = $dot(acc[p][b][1], w[b][1], x);
                                }
                            }
                        }
                    }
                    // No loop over pixels: with one, LLVM takes all sums through memory.
                    let [first, second, third, fourth] = acc;
                    for (b, store) in stores.iter().enumerate() {
                        store.store(first[b], outputs[0]);
                        store.store(second[b], outputs[1]);
                        store.store(third[b], outputs[2]);
                        store.store(fourth[b], outputs[3]);
                    }
                }
            }
        }

        /// For [`super::Isa::dots`]: some sum, and products per round.
        #[target_feature(enable = $features)]
        pub fn $dots(rounds: u32) -> (i32, u64) {
            let (mut x, step) = core::hint::black_box((vdupq_n_s8(0), vdupq_n_s8(3)));
            // Weights and first sums differ, or all chains would be one.
            let weights: [int8x16_t; 8] = core::hint::black_box(core::array::from_fn(|i| vdupq_n_s8(i as i8)));
            let mut sums: [int32x4_t; 16] = core::array::from_fn(|i| vdupq_n_s32(i as i32));
            for _ in 0..rounds {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = $dot(*sum, weights[i % weights.len()], x);
                }
                x = vaddq_s8(x, step);
            }
            (vaddvq_s32(sums.into_iter().fold(vdupq_n_s32(0), |a, b| veorq_s32(a, b))), sums.len() as u64 * 16)
        }
    };
}

kernel!(gemm_dot, tile_dot, dots_dot, "dotprod", sdot);
kernel!(gemm, tile, dots, "neon", widening);

/// # Safety
/// `Isa::depthwise` has checked that all reads and writes lie within the slices.
#[target_feature(enable = "neon")]
pub unsafe fn depthwise<const FINISH: u8>(d: &Depthwise<'_>, target: Target<'_>) {
    // SAFETY: as above.
    unsafe {
        for (block, bias) in d.bias.iter().enumerate() {
            let weights = d.weights.of_block(block).as_ptr();
            let store = Store::<FINISH>::new(&target, block, block * BLOCK, d.channels);
            let bias = [vld1q_s32(bias.as_ptr()), vld1q_s32(bias.as_ptr().add(4))];
            for (pixel, &output) in d.pixels.iter().zip(target.offsets) {
                let base = d.activations.as_ptr().add(pixel + block * BLOCK);
                let mut w = weights;
                let mut acc = bias;
                for pair in d.taps.as_chunks::<2>().0 {
                    let int8x8x2_t(first, second) = vld2_s8(w);
                    w = w.add(16);
                    for (tap, weights) in pair.iter().zip([vmovl_s8(first), vmovl_s8(second)]) {
                        let x = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(base.add(*tap))));
                        acc[0] = vmlal_s16(acc[0], vget_low_s16(weights), vget_low_s16(x));
                        acc[1] = vmlal_high_s16(acc[1], weights, x);
                    }
                }
                store.store(acc, output);
            }
        }
    }
}

/// How the sums of one block of channels are finished and where they go.
pub struct Store<const FINISH: u8> {
    bytes: *mut u8,
    sums: *mut i32,
    channels: usize,
    scale: [float32x4_t; 2],
    positive: [float32x4_t; 2],
    negative: [float32x4_t; 2],
    range: [float32x4_t; 2],
    rounding_bias: int32x4_t,
}

impl<const FINISH: u8> Store<FINISH> {
    /// For the channels from `first` on, of `channels` in all.
    #[target_feature(enable = "neon")]
    pub fn new(target: &Target<'_>, block: usize, first: usize, channels: usize) -> Self {
        let r = target.requantize;
        let (scale, [positive, negative]) = r.factors(block);
        // SAFETY: eight floats are read as two vectors of four.
        let load = |v: &[f32; BLOCK]| unsafe { [vld1q_f32(v.as_ptr()), vld1q_f32(v.as_ptr().add(4))] };
        let [low, high] = r.range();
        Self {
            bytes: target.bytes.wrapping_add(first),
            sums: target.sums.wrapping_add(first),
            channels: BLOCK.min(channels - first),
            scale: load(&scale),
            positive: load(&positive),
            negative: load(&negative),
            range: [vdupq_n_f32(low), vdupq_n_f32(high)],
            rounding_bias: vdupq_n_s32(r.rounding_bias()),
        }
    }

    /// # Safety
    /// `output` plus the block's channels lies within the target.
    #[inline]
    #[target_feature(enable = "neon")]
    pub unsafe fn store(&self, acc: [int32x4_t; 2], output: usize) {
        // SAFETY: see above. Only whole blocks are stored as vectors.
        unsafe {
            if FINISH == finish::SUMS {
                let mut sums = [0i32; BLOCK];
                vst1q_s32(sums.as_mut_ptr(), acc[0]);
                vst1q_s32(sums.as_mut_ptr().add(4), acc[1]);
                core::ptr::copy_nonoverlapping(sums.as_ptr(), self.sums.add(output), self.channels);
                return;
            }
            let y = self.bytes.add(output);
            let bytes = self.finish(acc);
            if self.channels == BLOCK {
                vst1_u8(y, bytes);
            } else {
                let mut eight = [0; BLOCK];
                vst1_u8(eight.as_mut_ptr(), bytes);
                core::ptr::copy_nonoverlapping(eight.as_ptr(), y, self.channels);
            }
        }
    }

    /// What [`super::Requantize::apply`] computes.
    #[inline]
    #[target_feature(enable = "neon")]
    fn finish(&self, acc: [int32x4_t; 2]) -> uint8x8_t {
        let magic = vdupq_n_f32(MAGIC);
        let half = |i: usize| {
            let mut v = vmulq_f32(vcvtq_f32_s32(acc[i]), self.scale[i]);
            if FINISH == finish::PRELU {
                let y = vminq_f32(vmaxq_f32(v, self.range[0]), self.range[1]);
                let y = vsubq_f32(vaddq_f32(y, magic), magic);
                let zero = vdupq_n_f32(0.0);
                let positive = vmulq_f32(vmaxq_f32(y, zero), self.positive[i]);
                v = vaddq_f32(positive, vmulq_f32(vminq_f32(y, zero), self.negative[i]));
            }
            vqmovn_s32(vsubq_s32(vreinterpretq_s32_f32(vaddq_f32(v, magic)), self.rounding_bias))
        };
        vqmovun_s16(vcombine_s16(half(0), half(1)))
    }
}
