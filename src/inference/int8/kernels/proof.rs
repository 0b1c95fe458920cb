//! Kernels prove themselves before they are used: what a relaxed instruction does is up to
//! the machine, and not every instruction set could be tried when this was written.

use super::super::image::Image;
use super::winograd::{Buffers, READ_AHEAD, Winograd};
use super::{
    Activations, BLOCK, Depthwise, DepthwiseWeights, Gemm, Isa, Output, Panels, Requantize, Sums, TILE_PIXELS,
};

/// Runs the kernels on weights and activations that tell the behaviours apart, against
/// the reference: all signs and magnitudes, pairs beyond 16 bits in both directions.
pub fn is_exact(isa: Isa) -> bool {
    const WEIGHTS: [i8; 8] = [127, 127, -128, -128, 1, -1, 64, -127];
    const VALUES: [u8; 7] = [255, 255, 128, 0, 127, 129, 1];
    let weight = |channel: usize, k: usize| WEIGHTS[(k / 2 + channel * (1 + k % 2)) % WEIGHTS.len()];
    let value = |i: usize| VALUES[(i / 2 + i / DEPTH) % VALUES.len()];
    agrees(isa, weight, value) && (isa.activations() != Activations::Words || winograd_agrees(isa, weight, value))
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

/// Whether [`Isa::winograd`] gives what the reference gives for a 3 × 3 convolution.
fn winograd_agrees(isa: Isa, weight: impl Fn(usize, usize) -> i8, value: impl Fn(usize) -> u8) -> bool {
    /// Two tiles by two, of which three are not whole.
    const SIDES: [usize; 2] = [6, 5];
    const IN_CHANNELS: usize = 18;
    const ROW: usize = 3 * IN_CHANNELS;
    let [height, width] = SIDES;
    let input = Image { batch: 1, height, width, channels: IN_CHANNELS, border: 1 };
    let output = Image { batch: 1, height, width, channels: CHANNELS, border: 0 };
    let bytes: Vec<u8> = (0..input.bytes() + READ_AHEAD).map(value).collect();
    let panels = |isa: Isa| Panels::new(isa, 1, CHANNELS, 3, ROW, |c, row, i| weight(c, row * ROW + i));
    let bias = [[0; BLOCK]; CHANNELS.div_ceil(BLOCK)];
    // Sums of up to five millions, in bytes.
    let Some(requantize) = Requantize::new(&[1.0 / 40_000.0; CHANNELS], CHANNELS, 128, None, |_| 0.0) else {
        return false;
    };
    let (mut y, mut expected) = (vec![0; output.bytes()], vec![0; output.bytes()]);
    let winograd = Winograd {
        activations: core::hint::black_box(&bytes),
        input: &input,
        pad: [1, 1],
        output: &output,
        panels: &panels(isa),
        bias: &bias,
    };
    isa.winograd(&winograd, &mut y, &requantize, &mut Buffers::default());
    let at =
        |image: &Image, i: usize| image.offset(0, i.min(height * width - 1) / width, i.min(height * width - 1) % width);
    let pixels = (height * width).next_multiple_of(TILE_PIXELS);
    let gemm = Gemm {
        activations: &bytes,
        pixels: &(0..pixels).map(|i| at(&input, i)).collect::<Vec<_>>(),
        rows: &core::array::from_fn::<_, 3, _>(|row| row * input.row_bytes()),
        panels: &panels(Isa::SCALAR),
        blocks: 0..bias.len(),
        channels: CHANNELS,
        bias: &bias,
    };
    let offsets: Vec<usize> = (0..pixels).map(|i| at(&output, i)).collect();
    Isa::SCALAR.gemm(&gemm, Output::Bytes { y: &mut expected, offsets: &offsets, requantize: &requantize });
    y == expected
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
        assert!(Isa::available().iter().copied().all(is_exact));
        assert_eq!(Isa::available()[0], Isa::SCALAR);
    }
}
