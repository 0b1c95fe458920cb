//! The reference: plain Rust, which defines what the other kernels compute.

use super::{Sums, TILE_CHANNELS, Windows};

pub fn gemm(windows: Windows<'_>, depth: usize, panel: &[i8], bias: &Sums, sums: &mut [Sums]) {
    const GROUP: usize = 2;
    let groups = depth.div_ceil(GROUP);
    for (pixel, sums) in windows.pixels.iter().zip(sums) {
        *sums = *bias;
        let mut weights = panel.chunks_exact(TILE_CHANNELS * GROUP);
        for tap in windows.taps {
            let row = &windows.activations[pixel + tap..][..groups * GROUP * 2];
            for (pair, w) in row.chunks_exact(GROUP * 2).zip(weights.by_ref().take(groups)) {
                let a = i32::from(u16::from_le_bytes([pair[0], pair[1]]));
                let b = i32::from(u16::from_le_bytes([pair[2], pair[3]]));
                for (sum, w) in sums.iter_mut().zip(w.chunks_exact(GROUP)) {
                    *sum += a * i32::from(w[0]) + b * i32::from(w[1]);
                }
            }
        }
    }
}

pub fn depthwise(windows: Windows<'_>, weights: &[i16], bias: &[Sums], sums: &mut [Sums]) {
    let per_block = windows.taps.len() * TILE_CHANNELS;
    for (pixel, sums) in windows.pixels.iter().zip(sums.chunks_exact_mut(bias.len())) {
        sums.copy_from_slice(bias);
        for (block, (sums, weights)) in sums.iter_mut().zip(weights.chunks_exact(per_block)).enumerate() {
            for (pair, weights) in windows.taps.chunks_exact(2).zip(weights.chunks_exact(2 * TILE_CHANNELS)) {
                let at = |tap: usize| &windows.activations[pixel + tap + block * TILE_CHANNELS..][..TILE_CHANNELS];
                let (first, second) = (at(pair[0]), at(pair[1]));
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum += i32::from(first[c]) * i32::from(weights[2 * c])
                        + i32::from(second[c]) * i32::from(weights[2 * c + 1]);
                }
            }
        }
    }
}
