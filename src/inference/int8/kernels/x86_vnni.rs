//! x86-64 VNNI: `vpdpbusd`, four products u8 × s8 per lane, exact. The same on two sets of
//! machines: AVX-VNNI (Alder Lake, Zen 5 and later) and AVX-512 VNNI with VL (Ice Lake,
//! Zen 4 and later).
//!
//! 256 bits on both: the sums of 4 pixels × 16 channels are eight chains, enough to hide the
//! instruction's latency, and no clock is lost to 512-bit registers.

use super::x86_avx2::Store;
use super::{BLOCK, Gemm, Target};
use core::arch::x86_64::*;

const PIXELS: usize = 4;

macro_rules! kernel {
    ($name:ident, $tile:ident, $features:literal, $dot:ident) => {
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
                    for p in 0..PIXELS {
                        for b in 0..BLOCKS {
                            stores[b].store(acc[p][b], outputs[p]);
                        }
                    }
                }
            }
        }
    };
}

kernel!(gemm_avx, tile_avx, "avx2,avxvnni", _mm256_dpbusd_avx_epi32);
kernel!(gemm_avx512, tile_avx512, "avx2,avx512f,avx512vl,avx512vnni", _mm256_dpbusd_epi32);
