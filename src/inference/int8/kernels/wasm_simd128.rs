//! WebAssembly simd128: `i32x4.dot_i16x8_s`, two products per lane, exact for
//! u8 × s8 (255 · 128 · 2 < 2^31 by far).

use super::requantize::MAGIC;
use super::{BLOCK, Depthwise, Gemm, Target, finish};
use core::arch::wasm32::*;

/// Pixels per tile: 4 × 8 sums, two weights and one activation fit 16 registers.
const PIXELS: usize = 4;

/// # Safety
/// `Isa::gemm` has checked that all reads and writes lie within the slices.
pub unsafe fn gemm<const FINISH: u8>(gemm: &Gemm<'_>, target: Target<'_>) {
    // SAFETY: see above; wasm allows unaligned vector loads and stores.
    unsafe {
        let base = gemm.activations.as_ptr();
        let groups = gemm.panels.groups_per_row();
        for (index, block) in gemm.blocks.clone().enumerate() {
            let panel = gemm.panels.panel(block).as_ptr();
            let bias: *const i32 = gemm.bias[block].as_ptr();
            let bias = [v128_load(bias.cast()), v128_load(bias.add(4).cast())];
            let store = Store::<FINISH>::new(&target, block, index * BLOCK, gemm.channels);
            for (pixels, outputs) in gemm.pixels.chunks_exact(PIXELS).zip(target.offsets.chunks_exact(PIXELS)) {
                let mut w = panel;
                let mut acc = [bias; PIXELS];
                for &row in gemm.rows {
                    let a: [*const u8; PIXELS] = core::array::from_fn(|p| base.add(pixels[p] + row));
                    for group in 0..groups {
                        let low = i16x8_load_extend_i8x8(w);
                        let high = i16x8_load_extend_i8x8(w.add(8));
                        w = w.add(16);
                        for p in 0..PIXELS {
                            let x = v128_load32_splat(a[p].add(group * 4).cast());
                            acc[p][0] = i32x4_add(acc[p][0], i32x4_dot_i16x8(low, x));
                            acc[p][1] = i32x4_add(acc[p][1], i32x4_dot_i16x8(high, x));
                        }
                    }
                }
                for (acc, &output) in acc.iter().zip(outputs) {
                    store.store(*acc, output);
                }
            }
        }
    }
}

/// # Safety
/// `Isa::depthwise` has checked that all reads and writes lie within the slices.
pub unsafe fn depthwise<const FINISH: u8>(d: &Depthwise<'_>, target: Target<'_>) {
    // SAFETY: as above.
    unsafe {
        for (block, bias) in d.bias.iter().enumerate() {
            let weights = d.weights.as_ptr().add(block * BLOCK * d.taps.len());
            let store = Store::<FINISH>::new(&target, block, block * BLOCK, d.channels);
            let bias = [v128_load(bias.as_ptr().cast()), v128_load(bias.as_ptr().add(4).cast())];
            for (pixel, &output) in d.pixels.iter().zip(target.offsets) {
                let base = d.activations.as_ptr().add(pixel + block * BLOCK);
                let mut w = weights;
                let mut acc = bias;
                for pair in d.taps.chunks_exact(2) {
                    let x = u16x8_load_extend_u8x8(base.add(pair[0]));
                    let y = u16x8_load_extend_u8x8(base.add(pair[1]));
                    let low = i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(x, y);
                    let high = i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(x, y);
                    acc[0] = i32x4_add(acc[0], i32x4_dot_i16x8(v128_load(w.cast()), low));
                    acc[1] = i32x4_add(acc[1], i32x4_dot_i16x8(v128_load(w.add(8).cast()), high));
                    w = w.add(16);
                }
                store.store(acc, output);
            }
        }
    }
}

/// Where and how the sums of one block of channels are written.
pub struct Store<'a, const FINISH: u8> {
    target: &'a Target<'a>,
    block: usize,
    first: usize,
    channels: usize,
}

impl<'a, const FINISH: u8> Store<'a, FINISH> {
    /// For the channels from `first` on, of `channels` in all.
    pub fn new(target: &'a Target<'a>, block: usize, first: usize, channels: usize) -> Self {
        Self { target, block, first, channels: BLOCK.min(channels - first) }
    }

    /// # Safety
    /// `output + first + channels` lies within the target.
    #[inline(always)]
    pub unsafe fn store(&self, acc: [v128; 2], output: usize) {
        let at = output + self.first;
        // SAFETY: see above. Only whole blocks are stored as vectors.
        unsafe {
            if FINISH == finish::SUMS {
                let y = self.target.sums.add(at);
                if self.channels == BLOCK {
                    v128_store(y.cast(), acc[0]);
                    v128_store(y.add(4).cast(), acc[1]);
                } else {
                    let mut sums = [0i32; BLOCK];
                    v128_store(sums.as_mut_ptr().cast(), acc[0]);
                    v128_store(sums.as_mut_ptr().add(4).cast(), acc[1]);
                    core::ptr::copy_nonoverlapping(sums.as_ptr(), y, self.channels);
                }
                return;
            }
            let y = self.target.bytes.add(at);
            let bytes = self.bytes(acc);
            if self.channels == BLOCK {
                v128_store64_lane::<0>(bytes, y.cast());
            } else {
                let eight = i64x2_extract_lane::<0>(bytes).to_le_bytes();
                core::ptr::copy_nonoverlapping(eight.as_ptr(), y, self.channels);
            }
        }
    }

    /// What [`super::Requantize::apply`] computes, in the low eight bytes.
    #[inline(always)]
    fn bytes(&self, acc: [v128; 2]) -> v128 {
        let r = self.target.requantize;
        let factors = r.block(self.block);
        // SAFETY: eight floats are read as two vectors of four.
        let load = |v: &[f32; BLOCK], half: usize| unsafe { v128_load(v.as_ptr().add(4 * half).cast()) };
        let [low, high] = r.range();
        let magic = f32x4_splat(MAGIC);
        let half = |i: usize| {
            let mut v = f32x4_mul(f32x4_convert_i32x4(acc[i]), load(&factors.scale, i));
            if FINISH == finish::PRELU {
                let y = f32x4_pmin(f32x4_splat(high), f32x4_pmax(f32x4_splat(low), v));
                let y = f32x4_sub(f32x4_add(y, magic), magic);
                let zero = f32x4_splat(0.0);
                v = f32x4_add(
                    f32x4_mul(f32x4_pmax(zero, y), load(&factors.positive, i)),
                    f32x4_mul(f32x4_pmin(zero, y), load(&factors.negative, i)),
                );
            }
            i32x4_sub(f32x4_add(v, magic), i32x4_splat(r.rounding_bias()))
        };
        let words = i16x8_narrow_i32x4(half(0), half(1));
        u8x16_narrow_i16x8(words, words)
    }
}
