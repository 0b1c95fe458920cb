//! The reference: plain Rust, which defines what the other kernels compute.

use super::{BLOCK, Depthwise, Gemm, Sums, Target, finish};

/// # Safety
/// `Isa::gemm` has checked that all reads and writes lie within the slices.
pub unsafe fn gemm<const FINISH: u8>(gemm: &Gemm<'_>, target: Target<'_>) {
    const GROUP: usize = 4;
    let row_bytes = gemm.panels.row_bytes();
    for (index, block) in gemm.blocks.clone().enumerate() {
        let panel = gemm.panels.panel(block);
        for (p, pixel) in gemm.pixels.iter().enumerate() {
            let mut sums = gemm.bias[block];
            let mut weights = panel.chunks_exact(BLOCK * GROUP);
            for row in gemm.rows {
                let inputs = gemm.activations[pixel + row..][..row_bytes].chunks_exact(GROUP);
                for (x, w) in inputs.zip(&mut weights) {
                    for (sum, w) in sums.iter_mut().zip(w.chunks_exact(GROUP)) {
                        *sum += x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum::<i32>();
                    }
                }
            }
            let channels = BLOCK.min(gemm.channels - index * BLOCK);
            // SAFETY: see above.
            unsafe { store::<FINISH>(&target, p, block, index * BLOCK, channels, &sums) };
        }
    }
}

/// # Safety
/// `Isa::depthwise` has checked that all reads and writes lie within the slices.
pub unsafe fn depthwise<const FINISH: u8>(d: &Depthwise<'_>, target: Target<'_>) {
    for (p, pixel) in d.pixels.iter().enumerate() {
        for block in 0..d.bias.len() {
            let mut sums = d.bias[block];
            for (pair, weights) in d.taps.chunks_exact(2).zip(d.weights.of_block(block).chunks_exact(2 * BLOCK)) {
                let at = |tap: usize| &d.activations[pixel + tap + block * BLOCK..][..BLOCK];
                let (first, second) = (at(pair[0]), at(pair[1]));
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum += i32::from(first[c]) * i32::from(weights[2 * c])
                        + i32::from(second[c]) * i32::from(weights[2 * c + 1]);
                }
            }
            let channels = BLOCK.min(d.channels - block * BLOCK);
            // SAFETY: see above.
            unsafe { store::<FINISH>(&target, p, block, block * BLOCK, channels, &sums) };
        }
    }
}

/// Finishes and writes the `channels` first sums of a pixel's block.
///
/// # Safety
/// The pixel's offset plus `first + channels` lies within the target.
unsafe fn store<const FINISH: u8>(
    target: &Target<'_>,
    pixel: usize,
    block: usize,
    first: usize,
    channels: usize,
    sums: &Sums,
) {
    let at = target.offsets[pixel] + first;
    // SAFETY: see above.
    unsafe {
        if FINISH == finish::SUMS {
            std::ptr::copy_nonoverlapping(sums.as_ptr(), target.sums.add(at), channels);
        } else {
            let bytes = target.requantize.apply(block, sums);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target.bytes.add(at), channels);
        }
    }
}
