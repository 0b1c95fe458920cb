//! x86-64 AVX2: `vpmaddubsw` for the products (u8 × s8, pairs within 16 bits: see
//! [`super::WeightLimit::Pairs`]), `vpmaddwd` with ones to widen; or `vpmaddwd` on words, which
//! Winograd's algorithm takes as well.

use super::panels::Correction;
use super::requantize::MAGIC;
use super::winograd::{self, Buffers, Winograd};
use super::{BLOCK, Depthwise, Gemm, Target, finish};
use core::arch::x86_64::*;

const PIXELS: usize = 4;

/// # Safety
/// AVX2 is present, and `Isa::gemm` has checked that all reads and writes lie within
/// the slices.
#[target_feature(enable = "avx2")]
pub unsafe fn gemm<const FINISH: u8>(gemm: &Gemm<'_>, target: Target<'_>) {
    // SAFETY: see above; loads and stores are the unaligned ones.
    unsafe {
        let base = gemm.activations.as_ptr();
        let groups = gemm.panels.groups_per_row();
        let ones = _mm256_set1_epi16(1);
        for (index, block) in gemm.blocks.clone().enumerate() {
            let panel = gemm.panels.panel(block).as_ptr();
            let corrections = gemm.panels.corrections(block);
            let bias = _mm256_loadu_si256(gemm.bias[block].as_ptr().cast());
            let store = Store::<FINISH>::new(&target, block, index * BLOCK, gemm.channels);
            for (pixels, outputs) in
                gemm.pixels.as_chunks::<PIXELS>().0.iter().zip(target.offsets.as_chunks::<PIXELS>().0)
            {
                let mut w = panel;
                let mut acc = [bias; PIXELS];
                for &row in gemm.rows {
                    let a: [*const u8; PIXELS] = core::array::from_fn(|p| base.add(pixels[p] + row));
                    for group in 0..groups {
                        let weights = _mm256_loadu_si256(w.cast());
                        w = w.add(32);
                        for p in 0..PIXELS {
                            let x = _mm256_set1_epi32(a[p].add(group * 4).cast::<i32>().read_unaligned());
                            let pairs = _mm256_maddubs_epi16(x, weights);
                            acc[p] = _mm256_add_epi32(acc[p], _mm256_madd_epi16(pairs, ones));
                        }
                    }
                }
                let low = correct(corrections[0], gemm, pixels);
                let high = correct(corrections[1], gemm, pixels);
                for p in 0..PIXELS {
                    store.store(_mm256_add_epi32(acc[p], _mm256_set_m128i(high[p], low[p])), outputs[p]);
                }
            }
        }
    }
}

/// The same with `vpmaddwd` on widened activations, which is exact for all weights.
///
/// # Safety
/// As for [`gemm`].
#[target_feature(enable = "avx2")]
pub unsafe fn gemm_words<const FINISH: u8>(gemm: &Gemm<'_>, target: Target<'_>) {
    // SAFETY: as for `gemm`.
    unsafe {
        let base = gemm.activations.as_ptr();
        let groups = gemm.panels.groups_per_row();
        for (index, block) in gemm.blocks.clone().enumerate() {
            let panel = gemm.panels.panel(block).as_ptr();
            let bias = _mm256_loadu_si256(gemm.bias[block].as_ptr().cast());
            let store = Store::<FINISH>::new(&target, block, index * BLOCK, gemm.channels);
            let tiles = gemm.pixels.as_chunks::<PIXELS>().0.iter().zip(target.offsets.as_chunks::<PIXELS>().0);
            for (pixels, outputs) in tiles {
                let mut w = panel;
                let mut acc = [bias; PIXELS];
                for &row in gemm.rows {
                    let a: [*const u8; PIXELS] = core::array::from_fn(|p| base.add(pixels[p] + row));
                    for group in 0..groups {
                        let weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.cast()));
                        w = w.add(16);
                        for p in 0..PIXELS {
                            let x = _mm256_set1_epi32(a[p].add(group * 4).cast::<i32>().read_unaligned());
                            acc[p] = _mm256_add_epi32(acc[p], _mm256_madd_epi16(weights, x));
                        }
                    }
                }
                // No loop: with one, LLVM takes the sums through memory.
                let [a, b, c, d] = acc;
                store.store(a, outputs[0]);
                store.store(b, outputs[1]);
                store.store(c, outputs[2]);
                store.store(d, outputs[3]);
            }
        }
    }
}

/// The sums of the second halves of split weights, for four of the eight channels.
///
/// # Safety
/// As for [`gemm`]: corrections lie within the rows.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn correct(corrections: &[Correction], gemm: &Gemm<'_>, pixels: &[usize; PIXELS]) -> [__m128i; PIXELS] {
    let mut acc = [_mm_setzero_si128(); PIXELS];
    for c in corrections {
        let offset = c.offset(gemm.rows);
        // SAFETY: see above.
        unsafe {
            let w = _mm_loadu_si128(c.weights.as_ptr().cast());
            for p in 0..PIXELS {
                let x = gemm.activations.as_ptr().add(pixels[p] + offset).cast::<i32>().read_unaligned();
                let pairs = _mm_maddubs_epi16(_mm_set1_epi32(x), w);
                acc[p] = _mm_add_epi32(acc[p], _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
            }
        }
    }
    acc
}

/// # Safety
/// AVX2 is present, and `Isa::depthwise` has checked that all reads and writes lie
/// within the slices.
#[target_feature(enable = "avx2")]
pub unsafe fn depthwise<const FINISH: u8>(d: &Depthwise<'_>, target: Target<'_>) {
    // SAFETY: as above.
    unsafe {
        for (block, bias) in d.bias.iter().enumerate() {
            let weights = d.weights.of_block(block).as_ptr();
            let store = Store::<FINISH>::new(&target, block, block * BLOCK, d.channels);
            let bias = _mm256_loadu_si256(bias.as_ptr().cast());
            for (pixel, &output) in d.pixels.iter().zip(target.offsets) {
                let base = d.activations.as_ptr().add(pixel + block * BLOCK);
                let mut w = weights;
                let mut acc = bias;
                for pair in d.taps.chunks_exact(2) {
                    let x = _mm_loadl_epi64(base.add(pair[0]).cast());
                    let y = _mm_loadl_epi64(base.add(pair[1]).cast());
                    let xy = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y));
                    let weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.cast()));
                    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(weights, xy));
                    w = w.add(16);
                }
                store.store(acc, output);
            }
        }
    }
}

/// # Safety
/// AVX2 is present, and `Isa::winograd` has checked that all reads and writes lie within
/// the slices.
#[target_feature(enable = "avx2")]
pub unsafe fn winograd<const FINISH: u8>(w: &Winograd<'_>, target: Target<'_>, buffers: &mut Buffers) {
    // SAFETY: see above.
    unsafe { winograd::run::<Avx2<FINISH>, Words>(w, &target, buffers) }
}

// SAFETY: in all implementations below the caller has AVX2 or what builds on it, and pointers that
// lead to what is read or written.

/// For [`winograd`], and for that of VNNI.
pub struct Avx2<const FINISH: u8>;

#[derive(Clone, Copy)]
pub struct Words(__m256i);

#[derive(Clone, Copy)]
pub struct Eight(__m256i);

impl winograd::Lanes for Words {
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_epi16(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm256_sub_epi16(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn shift_left<const N: u32>(self) -> Self {
        Self(unsafe { _mm256_sll_epi16(self.0, _mm_cvtsi32_si128(N as i32)) })
    }
}

impl winograd::Lanes for Eight {
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm256_sub_epi32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn shift_left<const N: u32>(self) -> Self {
        Self(unsafe { _mm256_sll_epi32(self.0, _mm_cvtsi32_si128(N as i32)) })
    }
}

impl<const FINISH: u8> winograd::Kernel for Avx2<FINISH> {
    type Words = Words;
    const WORDS: usize = 16;
    type Sums = Eight;
    type Store = Store<FINISH>;

    #[inline(always)]
    unsafe fn widen_unsigned(from: *const u8) -> Words {
        Words(unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast())) })
    }

    #[inline(always)]
    unsafe fn widen_signed(from: *const i8) -> Words {
        Words(unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())) })
    }

    #[inline(always)]
    unsafe fn store_words(words: Words, to: *mut i16) {
        unsafe { _mm256_storeu_si256(to.cast(), words.0) }
    }

    #[inline(always)]
    unsafe fn load_sums(from: *const i32) -> Eight {
        Eight(unsafe { _mm256_loadu_si256(from.cast()) })
    }

    #[inline(always)]
    unsafe fn unscale(sums: Eight, factor: i32, bias: Eight) -> Eight {
        unsafe {
            let scaled = _mm256_mullo_epi32(sums.0, _mm256_set1_epi32(factor));
            Eight(_mm256_add_epi32(_mm256_srai_epi32::<6>(scaled), bias.0))
        }
    }

    #[inline(always)]
    unsafe fn store(target: &Target<'_>, block: usize, channels: usize) -> Store<FINISH> {
        unsafe { Store::new(target, block, block * BLOCK, channels) }
    }

    #[inline(always)]
    unsafe fn finish(store: &Store<FINISH>, sums: Eight, output: usize) {
        unsafe { store.store(sums.0, output) }
    }
}

/// The dot instruction on words of a 256-bit instruction set, for [`winograd::run`].
pub trait DotWords {
    /// As many sums as hide its latency and fit the registers.
    const MOST_TILES: usize;

    /// `acc` and the two products of each lane.
    ///
    /// # Safety
    /// The instruction is present.
    unsafe fn dot(acc: __m256i, weights: __m256i, activations: __m256i) -> __m256i;
}

impl DotWords for Words {
    const MOST_TILES: usize = 8;

    #[inline(always)]
    unsafe fn dot(acc: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(weights, activations)) }
    }
}

impl<D: DotWords> winograd::Multiply for D {
    const MOST_TILES: usize = D::MOST_TILES;

    #[inline(always)]
    unsafe fn multiply<const TILES: usize>(
        activations: *const i16,
        stride: usize,
        weights: *const i16,
        pairs: usize,
        sums: *mut i32,
    ) {
        unsafe {
            let mut acc = [_mm256_setzero_si256(); TILES];
            for pair in 0..pairs {
                let w = _mm256_loadu_si256(weights.add(pair * 16).cast());
                for (t, acc) in acc.iter_mut().enumerate() {
                    let x = activations.add(t * stride + pair * 2).cast::<i32>().read_unaligned();
                    *acc = D::dot(*acc, w, _mm256_set1_epi32(x));
                }
            }
            for (t, acc) in acc.into_iter().enumerate() {
                _mm256_storeu_si256(sums.add(t * BLOCK).cast(), acc);
            }
        }
    }
}

/// For [`super::Isa::dots`]: some sum, and products per round.
#[target_feature(enable = "avx2")]
pub fn dots(rounds: u32) -> (i32, u64) {
    let ones = core::hint::black_box(_mm256_set1_epi16(1));
    on_registers::<32>(rounds, |x, w| _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones))
}

/// The same for [`gemm_words`].
#[target_feature(enable = "avx2")]
pub fn dots_words(rounds: u32) -> (i32, u64) {
    on_registers::<16>(rounds, |x, w| _mm256_madd_epi16(x, w))
}

/// `PRODUCTS` per `dot`, whose results are added up in as many chains as hide its latency.
#[inline]
#[target_feature(enable = "avx2")]
fn on_registers<const PRODUCTS: u64>(rounds: u32, dot: impl Fn(__m256i, __m256i) -> __m256i) -> (i32, u64) {
    // Weights differ, or the compiler would see that all chains are one.
    let weights: [__m256i; 6] = core::hint::black_box(core::array::from_fn(|i| _mm256_set1_epi8(i as i8)));
    let step = _mm256_set1_epi16(1);
    let mut x = core::hint::black_box(_mm256_setzero_si256());
    let mut sums = [_mm256_setzero_si256(); 6];
    for _ in 0..rounds {
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = _mm256_add_epi32(*sum, dot(x, weights));
        }
        x = _mm256_add_epi16(x, step);
    }
    let sum = sums.into_iter().fold(x, |a, b| _mm256_xor_si256(a, b));
    (_mm256_extract_epi32::<0>(sum), sums.len() as u64 * PRODUCTS)
}

/// How the sums of one block of channels are finished and where they go.
pub struct Store<const FINISH: u8> {
    bytes: *mut u8,
    sums: *mut i32,
    channels: usize,
    scale: __m256,
    positive: __m256,
    negative: __m256,
    range: [__m256; 2],
    rounding_bias: __m256i,
}

impl<const FINISH: u8> Store<FINISH> {
    /// For the channels from `first` on, of `channels` in all.
    #[target_feature(enable = "avx2")]
    pub fn new(target: &Target<'_>, block: usize, first: usize, channels: usize) -> Self {
        let r = target.requantize;
        let (scale, [positive, negative]) = r.factors(block);
        // SAFETY: eight floats are read as one vector.
        let load = |v: &[f32; BLOCK]| unsafe { _mm256_loadu_ps(v.as_ptr()) };
        let [low, high] = r.range();
        Self {
            bytes: target.bytes.wrapping_add(first),
            sums: target.sums.wrapping_add(first),
            channels: BLOCK.min(channels - first),
            scale: load(&scale),
            positive: load(&positive),
            negative: load(&negative),
            range: [_mm256_set1_ps(low), _mm256_set1_ps(high)],
            rounding_bias: _mm256_set1_epi32(r.rounding_bias()),
        }
    }

    /// # Safety
    /// `output` plus the block's channels lies within the target.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn store(&self, acc: __m256i, output: usize) {
        // SAFETY: see above. Only whole blocks are stored as vectors.
        unsafe {
            if FINISH == finish::SUMS {
                let y = self.sums.add(output);
                if self.channels == BLOCK {
                    _mm256_storeu_si256(y.cast(), acc);
                } else {
                    let mut sums = [0i32; BLOCK];
                    _mm256_storeu_si256(sums.as_mut_ptr().cast(), acc);
                    core::ptr::copy_nonoverlapping(sums.as_ptr(), y, self.channels);
                }
                return;
            }
            let y = self.bytes.add(output);
            let bytes = self.finish(acc);
            if self.channels == BLOCK {
                _mm_storel_epi64(y.cast(), bytes);
            } else {
                let eight = _mm_cvtsi128_si64(bytes).to_le_bytes();
                core::ptr::copy_nonoverlapping(eight.as_ptr(), y, self.channels);
            }
        }
    }

    /// What [`super::Requantize::apply`] computes, in the low eight bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn finish(&self, acc: __m256i) -> __m128i {
        let magic = _mm256_set1_ps(MAGIC);
        let mut v = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), self.scale);
        if FINISH == finish::PRELU {
            let y = _mm256_min_ps(_mm256_max_ps(v, self.range[0]), self.range[1]);
            let y = _mm256_sub_ps(_mm256_add_ps(y, magic), magic);
            let zero = _mm256_setzero_ps();
            v = _mm256_add_ps(
                _mm256_mul_ps(_mm256_max_ps(y, zero), self.positive),
                _mm256_mul_ps(_mm256_min_ps(y, zero), self.negative),
            );
        }
        let q = _mm256_sub_epi32(_mm256_castps_si256(_mm256_add_ps(v, magic)), self.rounding_bias);
        let words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256::<1>(q));
        _mm_packus_epi16(words, words)
    }
}
