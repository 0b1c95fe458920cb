//! x86-64 VNNI: `vpdpbusd`, four products u8 × s8 per lane, exact. The same on two sets of
//! machines: AVX-VNNI (Alder Lake, Zen 5 and later) and AVX-512 VNNI with VL (Ice Lake,
//! Zen 4 and later). For Winograd's algorithm `vpdpwssd`, two products of words.
//!
//! 256 bits on both: the sums of 4 pixels × 16 channels are eight chains, enough to hide the
//! instruction's latency, and no clock is lost to 512-bit registers.

use super::winograd::{self, Buffers, Winograd};
use super::x86_avx2::{Avx2, DotWords, Store};
use super::{BLOCK, Depthwise, Gemm, Target};
use core::arch::x86_64::*;

const PIXELS: usize = 4;

macro_rules! kernel {
    ($name:ident, $tile:ident, $depthwise:ident, $dots:ident, $most:literal, $features:literal, $dot:ident) => {
        /// # Safety
        /// The instructions are present, and `Isa::gemm` has checked that all reads and
        /// writes lie within the slices.
        #[target_feature(enable = $features)]
        pub unsafe fn $name<const FINISH: u8>(gemm: &Gemm<'_>, target: Target<'_>) {
            let (count, mut first) = (gemm.blocks.len(), 0);
            while first < count {
                // SAFETY: see above.
                first += unsafe {
                    match count - first {
                        left if left >= $most => $tile::<FINISH, $most>(gemm, &target, first),
                        2.. => $tile::<FINISH, 2>(gemm, &target, first),
                        _ => $tile::<FINISH, 1>(gemm, &target, first),
                    }
                };
            }
        }

        /// All pixels of some blocks, from the group's `first` on; returns how many blocks.
        ///
        /// # Safety
        /// As above.
        #[target_feature(enable = $features)]
        unsafe fn $tile<const FINISH: u8, const BLOCKS: usize>(
            gemm: &Gemm<'_>,
            target: &Target<'_>,
            first: usize,
        ) -> usize {
            let block = |b: usize| gemm.blocks.start + first + b;
            let panels: [*const i8; BLOCKS] = core::array::from_fn(|b| gemm.panels.panel(block(b)).as_ptr());
            let stores: [Store<FINISH>; BLOCKS] =
                core::array::from_fn(|b| Store::new(target, block(b), (first + b) * BLOCK, gemm.channels));
            let base = gemm.activations.as_ptr();
            let groups = gemm.panels.groups_per_row();
            let tiles = gemm.pixels.as_chunks::<PIXELS>().0.iter().zip(target.offsets.as_chunks::<PIXELS>().0);
            // SAFETY: as above; loads and stores are the unaligned ones.
            unsafe {
                let bias: [__m256i; BLOCKS] =
                    core::array::from_fn(|b| _mm256_loadu_si256(gemm.bias[block(b)].as_ptr().cast()));
                for (pixels, outputs) in tiles {
                    let mut acc = [bias; PIXELS];
                    let mut at = 0;
                    for &row in gemm.rows {
                        for group in 0..groups {
                            let mut w = [_mm256_setzero_si256(); BLOCKS];
                            for b in 0..BLOCKS {
                                w[b] = _mm256_loadu_si256(panels[b].add(at).cast());
                            }
                            at += 32;
                            for p in 0..PIXELS {
                                let x = base.add(pixels[p] + row + group * 4).cast::<i32>().read_unaligned();
                                let x = _mm256_set1_epi32(x);
                                for b in 0..BLOCKS {
                                    acc[p][b] = $dot(acc[p][b], x, w[b]);
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
            BLOCKS
        }

        /// # Safety
        /// The instructions are present, and `Isa::depthwise` has checked that all reads and
        /// writes lie within the slices.
        #[target_feature(enable = $features)]
        pub unsafe fn $depthwise<const FINISH: u8>(d: &Depthwise<'_>, target: Target<'_>) {
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
                        for quad in d.taps.as_chunks::<4>().0 {
                            let [a, b, c, e] = quad.map(|tap| _mm_loadl_epi64(base.add(tap).cast()));
                            let (ab, ce) = (_mm_unpacklo_epi8(a, b), _mm_unpacklo_epi8(c, e));
                            let x = _mm256_set_m128i(_mm_unpackhi_epi16(ab, ce), _mm_unpacklo_epi16(ab, ce));
                            acc = $dot(acc, x, _mm256_loadu_si256(w.cast()));
                            w = w.add(32);
                        }
                        store.store(acc, output);
                    }
                }
            }
        }

        /// For [`super::Isa::dots`]: some sum, and products per round.
        #[target_feature(enable = $features)]
        pub fn $dots(rounds: u32) -> (i32, u64) {
            let (mut x, w) = core::hint::black_box((_mm256_setzero_si256(), _mm256_set1_epi8(3)));
            // As many chains as hide the latency; they start differently, or they would be one.
            let mut sums: [__m256i; 12] = core::array::from_fn(|i| _mm256_set1_epi32(i as i32));
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $dot(*sum, x, w);
                }
                x = _mm256_add_epi8(x, w);
            }
            let sum = sums.into_iter().fold(x, |a, b| _mm256_xor_si256(a, b));
            (_mm256_extract_epi32::<0>(sum), sums.len() as u64 * 32)
        }
    };
}

kernel!(gemm_avx, tile_avx, depthwise_avx, dots_avx, 2, "avx2,avxvnni", _mm256_dpbusd_avx_epi32);
kernel!(
    gemm_avx512,
    tile_avx512,
    depthwise_avx512,
    dots_avx512,
    4,
    "avx2,avx512f,avx512vl,avx512vnni",
    _mm256_dpbusd_epi32
);

macro_rules! winograd {
    ($name:ident, $multiply:ident, $most:literal, $features:literal, $dot:ident) => {
        /// With `vpdpwssd`, two products of words per lane.
        ///
        /// # Safety
        /// The instructions are present, and `Isa::winograd` has checked that all reads and writes
        /// lie within the slices.
        #[target_feature(enable = $features)]
        pub unsafe fn $name<const FINISH: u8>(w: &Winograd<'_>, target: Target<'_>, buffers: &mut Buffers) {
            // SAFETY: see above.
            unsafe { winograd::run::<Avx2<FINISH>, $multiply>(w, &target, buffers) }
        }

        struct $multiply;

        impl DotWords for $multiply {
            const MOST_TILES: usize = $most;

            #[inline(always)]
            unsafe fn dot(acc: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
                // SAFETY: the caller's.
                unsafe { $dot(acc, weights, activations) }
            }
        }
    };
}

winograd!(winograd_avx, AvxWords, 8, "avx2,avxvnni", _mm256_dpwssd_avx_epi32);
winograd!(winograd_avx512, Avx512Words, 16, "avx2,avx512vnni,avx512vl", _mm256_dpwssd_epi32);
