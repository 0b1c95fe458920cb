//! WebAssembly simd128: `i32x4.dot_i16x8_s`, two products per lane, exact for
//! u8 × s8 (255 · 128 · 2 < 2^31 by far).

use super::requantize::MAGIC;
use super::winograd::{self, Buffers, Winograd};
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
            for (pixels, outputs) in tiles(gemm.pixels, target.offsets) {
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
                // Spelt out: a loop here makes LLVM keep the sums in memory, and store each of them
                // in every turn of the loop above.
                let [a, b, c, d] = acc;
                store.store(a, outputs[0]);
                store.store(b, outputs[1]);
                store.store(c, outputs[2]);
                store.store(d, outputs[3]);
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
            let weights = d.weights.of_block(block).as_ptr();
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
                    acc[0] = i32x4_add(acc[0], i32x4_dot_i16x8(i16x8_load_extend_i8x8(w), low));
                    acc[1] = i32x4_add(acc[1], i32x4_dot_i16x8(i16x8_load_extend_i8x8(w.add(8)), high));
                    w = w.add(16);
                }
                store.store(acc, output);
            }
        }
    }
}

/// # Safety
/// `Isa::winograd` has checked that all reads and writes lie within the slices.
pub unsafe fn winograd<const FINISH: u8>(w: &Winograd<'_>, target: Target<'_>, buffers: &mut Buffers) {
    // SAFETY: see above.
    unsafe { winograd::run::<Simd128<FINISH>, Words>(w, &target, buffers) }
}

/// For [`winograd`].
struct Simd128<const FINISH: u8>;

#[derive(Clone, Copy)]
struct Words(v128);

#[derive(Clone, Copy)]
struct Eight([v128; 2]);

impl winograd::Lanes for Words {
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(i16x8_add(self.0, other.0))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(i16x8_sub(self.0, other.0))
    }

    #[inline(always)]
    unsafe fn shift_left<const N: u32>(self) -> Self {
        Self(i16x8_shl(self.0, N))
    }
}

impl winograd::Lanes for Eight {
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self([i32x4_add(self.0[0], other.0[0]), i32x4_add(self.0[1], other.0[1])])
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self([i32x4_sub(self.0[0], other.0[0]), i32x4_sub(self.0[1], other.0[1])])
    }

    #[inline(always)]
    unsafe fn shift_left<const N: u32>(self) -> Self {
        Self(self.0.map(|v| i32x4_shl(v, N)))
    }
}

impl<const FINISH: u8> winograd::Kernel for Simd128<FINISH> {
    type Words = Words;
    const WORDS: usize = 8;
    type Sums = Eight;
    type Store = Store<FINISH>;

    #[inline(always)]
    unsafe fn widen_unsigned(from: *const u8) -> Words {
        // SAFETY: the caller's, as below.
        Words(unsafe { i16x8_load_extend_u8x8(from) })
    }

    #[inline(always)]
    unsafe fn widen_signed(from: *const i8) -> Words {
        // SAFETY: see above.
        Words(unsafe { i16x8_load_extend_i8x8(from) })
    }

    #[inline(always)]
    unsafe fn store_words(words: Words, to: *mut i16) {
        // SAFETY: see above.
        unsafe { v128_store(to.cast(), words.0) }
    }

    #[inline(always)]
    unsafe fn load_sums(from: *const i32) -> Eight {
        // SAFETY: see above.
        Eight(unsafe { [v128_load(from.cast()), v128_load(from.add(4).cast())] })
    }

    #[inline(always)]
    unsafe fn unscale(sums: Eight, factor: i32, bias: Eight) -> Eight {
        let half = |i: usize| i32x4_add(i32x4_shr(i32x4_mul(sums.0[i], i32x4_splat(factor)), 6), bias.0[i]);
        Eight([half(0), half(1)])
    }

    #[inline(always)]
    unsafe fn store(target: &Target<'_>, block: usize, channels: usize) -> Store<FINISH> {
        Store::new(target, block, block * BLOCK, channels)
    }

    #[inline(always)]
    unsafe fn finish(store: &Store<FINISH>, sums: Eight, output: usize) {
        // SAFETY: see above.
        unsafe { store.store(sums.0, output) }
    }
}

impl winograd::Multiply for Words {
    const MOST_TILES: usize = 4;

    #[inline(always)]
    unsafe fn multiply<const TILES: usize>(
        activations: *const i16,
        stride: usize,
        weights: *const i16,
        pairs: usize,
        sums: *mut i32,
    ) {
        // `TILES` is 4, the most there are. SAFETY: see above.
        unsafe {
            let tiles: [*const i16; 4] = core::array::from_fn(|t| activations.add(t * stride));
            let mut w = weights;
            let mut acc = [[i32x4_splat(0); 2]; 4];
            for pair in 0..pairs {
                let low = v128_load(w.cast());
                let high = v128_load(w.add(8).cast());
                w = w.add(16);
                for t in 0..4 {
                    let x = v128_load32_splat(tiles[t].add(pair * 2).cast());
                    acc[t][0] = i32x4_add(acc[t][0], i32x4_dot_i16x8(low, x));
                    acc[t][1] = i32x4_add(acc[t][1], i32x4_dot_i16x8(high, x));
                }
            }
            // Spelt out, see `gemm`.
            let [a, b, c, d] = acc;
            let put = |i: usize, v: v128| v128_store(sums.add(i * 4).cast(), v);
            put(0, a[0]);
            put(1, a[1]);
            put(2, b[0]);
            put(3, b[1]);
            put(4, c[0]);
            put(5, c[1]);
            put(6, d[0]);
            put(7, d[1]);
        }
    }
}

/// For [`super::Isa::dots`]: some sum, and products per round.
pub fn dots(rounds: u32) -> (i32, u64) {
    on_registers(rounds, 8, |sum, w, x| i32x4_add(sum, i32x4_dot_i16x8(w, x)))
}

/// `dot(sum, weights, activations)` of `products` products, in as many chains as fit the
/// registers with what they need.
#[inline(always)]
pub fn on_registers(rounds: u32, products: u64, dot: impl Fn(v128, v128, v128) -> v128) -> (i32, u64) {
    let (mut x, step) = core::hint::black_box((i8x16_splat(0), i8x16_splat(1)));
    let (u, v, w) = core::hint::black_box((i8x16_splat(1), i8x16_splat(2), i8x16_splat(3)));
    let zero = i32x4_splat(0);
    let (mut a, mut b, mut c, mut d, mut e, mut f) = (zero, zero, zero, zero, zero, zero);
    for _ in 0..rounds {
        // No two products are the same, or the compiler would see that chains are one.
        (a, b, c) = (dot(a, u, x), dot(b, v, x), dot(c, w, x));
        x = i8x16_add(x, step);
        (d, e, f) = (dot(d, u, x), dot(e, v, x), dot(f, w, x));
        x = i8x16_add(x, step);
    }
    let sum = v128_xor(v128_xor(v128_xor(a, b), v128_xor(c, d)), v128_xor(e, f));
    (i32x4_extract_lane::<0>(sum), 6 * products)
}

/// Inputs and outputs of whole tiles. Arrays rather than slices: only then are loops over
/// a tile unrolled and its sums kept in registers.
pub fn tiles<'a>(
    pixels: &'a [usize],
    offsets: &'a [usize],
) -> impl Iterator<Item = (&'a [usize; PIXELS], &'a [usize; PIXELS])> {
    pixels.as_chunks().0.iter().zip(offsets.as_chunks().0)
}

/// How the sums of one block of channels are finished and where they go.
pub struct Store<const FINISH: u8> {
    bytes: *mut u8,
    sums: *mut i32,
    channels: usize,
    scale: [v128; 2],
    positive: [v128; 2],
    negative: [v128; 2],
    range: [v128; 2],
    rounding_bias: v128,
}

impl<const FINISH: u8> Store<FINISH> {
    /// For the channels from `first` on, of `channels` in all.
    pub fn new(target: &Target<'_>, block: usize, first: usize, channels: usize) -> Self {
        let r = target.requantize;
        let (scale, [positive, negative]) = r.factors(block);
        // SAFETY: eight floats are read as two vectors of four.
        let load = |v: &[f32; BLOCK]| unsafe { [v128_load(v.as_ptr().cast()), v128_load(v.as_ptr().add(4).cast())] };
        Self {
            bytes: target.bytes.wrapping_add(first),
            sums: target.sums.wrapping_add(first),
            channels: BLOCK.min(channels - first),
            scale: load(&scale),
            positive: load(&positive),
            negative: load(&negative),
            range: r.range().map(|v| f32x4_splat(v)),
            rounding_bias: i32x4_splat(r.rounding_bias()),
        }
    }

    /// # Safety
    /// `output` plus the block's channels lies within the target.
    #[inline(always)]
    pub unsafe fn store(&self, acc: [v128; 2], output: usize) {
        // SAFETY: see above. Only whole blocks are stored as vectors.
        unsafe {
            if FINISH == finish::SUMS {
                let y = self.sums.add(output);
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
            let y = self.bytes.add(output);
            let bytes = self.finish(acc);
            match self.channels {
                BLOCK => v128_store64_lane::<0>(bytes, y.cast()),
                4 => v128_store32_lane::<0>(bytes, y.cast()),
                _ => {
                    let eight = i64x2_extract_lane::<0>(bytes) as u64;
                    for c in 0..self.channels {
                        *y.add(c) = (eight >> (8 * c)) as u8;
                    }
                }
            }
        }
    }

    /// What [`super::Requantize::apply`] computes, in the low eight bytes.
    #[inline(always)]
    fn finish(&self, acc: [v128; 2]) -> v128 {
        let magic = f32x4_splat(MAGIC);
        let half = |i: usize| {
            let mut v = f32x4_mul(f32x4_convert_i32x4(acc[i]), self.scale[i]);
            if FINISH == finish::PRELU {
                let y = f32x4_pmin(self.range[1], f32x4_pmax(self.range[0], v));
                let y = f32x4_sub(f32x4_add(y, magic), magic);
                let zero = f32x4_splat(0.0);
                v = f32x4_add(
                    f32x4_mul(f32x4_pmax(zero, y), self.positive[i]),
                    f32x4_mul(f32x4_pmin(zero, y), self.negative[i]),
                );
            }
            i32x4_sub(f32x4_add(v, magic), self.rounding_bias)
        };
        let words = i16x8_narrow_i32x4(half(0), half(1));
        u8x16_narrow_i16x8(words, words)
    }
}
