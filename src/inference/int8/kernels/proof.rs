//! Kernels prove themselves before they are used: what a relaxed instruction does is up to
//! the machine, and not every instruction set could be tried when this was written.

use super::{Activations, BLOCK, Depthwise, DepthwiseWeights, Gemm, Isa, Output, Panels, Sums, TILE_PIXELS};

/// Runs the kernels on weights and activations that tell the behaviours apart, against
/// the reference: all signs and magnitudes, pairs beyond 16 bits in both directions.
pub fn is_exact(isa: Isa) -> bool {
    const WEIGHTS: [i8; 8] = [127, 127, -128, -128, 1, -1, 64, -127];
    const VALUES: [u8; 7] = [255, 255, 128, 0, 127, 129, 1];
    let weight = |channel: usize, k: usize| WEIGHTS[(k / 2 + channel * (1 + k % 2)) % WEIGHTS.len()];
    agrees(isa, weight, |i| VALUES[(i / 2 + i / DEPTH) % VALUES.len()])
}

/// Inputs: an odd number of groups, and one that is not full.
const DEPTH: usize = 57;
/// Two blocks, as some kernels take them, and a part of one.
const CHANNELS: usize = 2 * BLOCK + 3;

/// Whether both kernels give the reference's sums for `weight(channel, input)` and
/// `value(position)`.
fn agrees(isa: Isa, weight: impl Fn(usize, usize) -> i8 + Copy, value: impl Fn(usize) -> u8) -> bool {
    let bytes: Vec<u8> = (0..TILE_PIXELS * DEPTH + 16).map(value).collect();
    let gemm = |isa: Isa| {
        let layout = isa.activations();
        let activations: Vec<u8> = match layout {
            Activations::Bytes => bytes.clone(),
            Activations::SignedBytes => bytes.iter().map(|b| b ^ 0x80).collect(),
            Activations::Words => bytes.iter().flat_map(|&b| u16::from(b).to_le_bytes()).collect(),
        };
        let sum = |c: usize| (0..DEPTH).map(|k| i32::from(weight(c, k))).sum::<i32>();
        let of_block = |block| core::array::from_fn(|c| -layout.offset() * sum(block * BLOCK + c));
        let bias: [Sums; CHANNELS.div_ceil(BLOCK)] = core::array::from_fn(of_block);
        let gemm = Gemm {
            activations: core::hint::black_box(&activations),
            pixels: &core::array::from_fn::<_, TILE_PIXELS, _>(|p| p * DEPTH * layout.size()),
            rows: &[0],
            panels: &Panels::new(isa, 1, CHANNELS, 1, DEPTH, |c, _, k| weight(c, k)),
            blocks: 0..bias.len(),
            channels: CHANNELS,
            bias: &bias,
        };
        let mut y = [0; TILE_PIXELS * CHANNELS];
        let offsets: [usize; TILE_PIXELS] = core::array::from_fn(|p| p * CHANNELS);
        isa.gemm(&gemm, Output::Sums { y: &mut y, offsets: &offsets });
        y
    };
    let depthwise = |isa: Isa| {
        let depthwise = Depthwise {
            activations: core::hint::black_box(&bytes),
            pixels: &core::array::from_fn::<_, TILE_PIXELS, _>(|p| p * BLOCK),
            taps: &core::array::from_fn::<_, 20, _>(|tap| tap * BLOCK),
            weights: &DepthwiseWeights::new(isa, 20, BLOCK, weight),
            bias: &[[0; BLOCK]],
            channels: BLOCK,
        };
        let mut y = [0; TILE_PIXELS * BLOCK];
        let offsets: [usize; TILE_PIXELS] = core::array::from_fn(|p| p * BLOCK);
        isa.depthwise(&depthwise, Output::Sums { y: &mut y, offsets: &offsets });
        y
    };
    gemm(isa) == gemm(Isa::SCALAR) && depthwise(isa) == depthwise(Isa::SCALAR)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
    use super::super::Set;
    use super::*;

    /// What a machine cannot multiply at eight bits it can at seven: these schemes' code
    /// is run on every machine.
    #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
    #[wasm_bindgen_test::wasm_bindgen_test]
    fn relaxed_schemes_agree_within_seven_bits() {
        for isa in [Set::RelaxedPairs, Set::RelaxedExact].map(Isa) {
            let weight = |c: usize, k: usize| ((c * 31 + k * 17) % 127) as i8 - 63;
            assert!(agrees(isa, weight, |i| (i * 7919 % 256) as u8), "{}", isa.name());
        }
    }

    #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
    #[cfg_attr(not(target_arch = "wasm32"), test)]
    fn what_is_available_is_exact() {
        assert!(Isa::available().into_iter().all(is_exact));
        assert_eq!(Isa::available()[0], Isa::SCALAR);
    }
}
