//! A quantized 2-D convolution over NHWC bytes: packed once, run many times.
//!
//! `y = saturate(round_half_even(acc · scale[c]) + y_zero)` with
//! `acc = bias[c] + Σ (x − x_zero) · w`, the arithmetic of ONNX QLinearConv
//! (<https://onnx.ai/onnx/operators/onnx__QLinearConv.html>) as onnxruntime
//! computes it. `x_zero` is folded into the bias, and padding is written as
//! `x_zero`, so it adds nothing.
//!
//! A float activation between two quantizations ([`Activation`]) is applied
//! while the values are still in registers, with the same rounding in between.

use super::kernels::{Isa, Sums, TILE_CHANNELS, TILE_PIXELS, Windows, pack_depthwise, pack_gemm};
use crate::error::{Error, Result};
use std::cell::RefCell;

/// Spatial side of a convolution; pairs are (vertical, horizontal).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Kernel size in taps.
    pub kernel: [usize; 2],
    /// Step between output pixels.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Padding before: top, left.
    pub pad_before: [usize; 2],
    /// Padding after: bottom, right.
    pub pad_after: [usize; 2],
}

impl Geometry {
    /// Output size for an input of `[height, width]`; an error when the kernel
    /// is larger than the padded input.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        let side = |i: usize| {
            let padded = input[i] + self.pad_before[i] + self.pad_after[i];
            let span = (self.kernel[i] - 1) * self.dilation[i] + 1;
            (padded >= span).then(|| (padded - span) / self.stride[i] + 1)
        };
        match (side(0), side(1)) {
            (Some(h), Some(w)) => Ok([h, w]),
            _ => Err(Error::Inference(format!("a {:?} kernel does not fit an input of {input:?}", self.kernel))),
        }
    }
}

/// What a convolution is made of, before packing.
pub struct ConvParams<'a> {
    /// Spatial side.
    pub geometry: Geometry,
    /// Groups; equal to the input channels for a depthwise convolution.
    pub groups: usize,
    /// Input channels of all groups.
    pub in_channels: usize,
    /// Output channels of all groups.
    pub out_channels: usize,
    /// Weights, OIHW: `out_channels × in_channels / groups × kernel`; zero point 0.
    pub weights: &'a [i8],
    /// Bias per output channel in units of `x_scale · w_scale[c]`; empty for none.
    pub bias: &'a [i32],
    /// `x_scale · w_scale[c] / y_scale` per output channel.
    pub scale: &'a [f32],
    /// Zero point of the input, 0–255.
    pub x_zero: u8,
    /// Zero point of the output, 0–255.
    pub y_zero: u8,
    /// Input and output are `i8`: bytes are read and written with the sign bit
    /// flipped, which maps them to the `u8` arithmetic above.
    pub signed: bool,
    /// What is computed of the output before it is written.
    pub activation: Option<Activation<'a>>,
}

/// Dequantize → PReLU → quantize, on the convolution's output `y`:
/// `z = saturate(round_half_even(prelu((y − y_zero) · y_scale) / z_scale) + z_zero)`.
pub struct Activation<'a> {
    /// Factor of negative values per output channel; 0 is ReLU.
    pub slope: &'a [f32],
    /// Scale of the convolution's output.
    pub y_scale: f32,
    /// Scale of what is written.
    pub z_scale: f32,
    /// Zero point of what is written, 0–255.
    pub z_zero: u8,
}

/// Eight values, one per channel of a block.
type Lanes = [f32; TILE_CHANNELS];

/// A convolution ready to run. See the module's text for what it computes.
///
/// Output channels are handled in blocks of eight that do not cross a group.
#[derive(Clone, Debug)]
pub struct Conv {
    isa: Isa,
    geometry: Geometry,
    groups: usize,
    in_channels: usize,
    out_channels: usize,
    weights: Weights,
    /// Per block.
    bias: Vec<Sums>,
    /// Per block.
    scale: Vec<Lanes>,
    x_zero: u8,
    y_zero: u8,
    sign: u8,
    activation: Option<PackedActivation>,
}

#[derive(Clone, Debug)]
enum Weights {
    Depthwise(Vec<i16>),
    /// One panel per block, each of `panel` weights.
    Gemm {
        panels: Vec<i8>,
        panel: usize,
    },
}

#[derive(Clone, Debug)]
struct PackedActivation {
    /// Per block.
    slope: Vec<Lanes>,
    y_scale: f32,
    z_scale_reciprocal: f32,
    z_zero: u8,
}

/// Buffers kept between calls: an allocation per layer would cost more than the work on it.
#[derive(Default)]
struct Scratch {
    /// The padded (and, where the kernel wants it, widened) input.
    input: Vec<u8>,
    sums: Vec<Sums>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Kernels may read a whole group of channels where only one is left.
const READ_AHEAD: usize = 16;

/// Pixels handled together, so that a weight panel is read from the first-level
/// cache by many tiles in a row and the sums stay there too.
const CHUNK: usize = 64;

impl Conv {
    /// Packs the weights for `isa`.
    pub fn new(isa: Isa, p: &ConvParams<'_>) -> Result<Self> {
        let taps = p.geometry.kernel[0] * p.geometry.kernel[1];
        let (in_group, out_group) = (p.in_channels / p.groups.max(1), p.out_channels / p.groups.max(1));
        if p.groups == 0 || in_group * p.groups != p.in_channels || out_group * p.groups != p.out_channels || taps == 0
        {
            return Err(Error::Inference(format!(
                "{} input and {} output channels do not split into {} groups",
                p.in_channels, p.out_channels, p.groups
            )));
        }
        let per_output = in_group * taps;
        let fits = |len: usize| len == p.out_channels;
        if p.weights.len() != p.out_channels * per_output
            || !fits(p.scale.len())
            || !(p.bias.is_empty() || fits(p.bias.len()))
            || p.activation.as_ref().is_some_and(|a| !fits(a.slope.len()))
        {
            return Err(Error::Inference("weights, scales, slopes or bias do not fit the convolution".into()));
        }
        let weight = |output: usize, k: usize, tap: usize| p.weights[output * per_output + k * taps + tap];
        let depthwise = in_group == 1 && out_group == 1;
        let blocks = blocks(p.out_channels, if depthwise { 1 } else { p.groups });
        let weights = if depthwise {
            Weights::Depthwise(pack_depthwise(taps, p.out_channels, |c, tap| weight(c, 0, tap)))
        } else {
            let panel = |&(c0, channels): &(usize, usize)| {
                pack_gemm(isa, taps, in_group, channels, |c, k, t| weight(c0 + c, k, t))
            };
            let panels: Vec<i8> = blocks.iter().flat_map(panel).collect();
            Weights::Gemm { panel: panels.len() / blocks.len(), panels }
        };
        let x_zero = i32::from(p.x_zero);
        let bias = |c: usize| {
            let sum: i32 = p.weights[c * per_output..(c + 1) * per_output].iter().map(|&w| i32::from(w)).sum();
            p.bias.get(c).copied().unwrap_or(0).wrapping_sub(x_zero * sum)
        };
        Ok(Self {
            isa,
            geometry: p.geometry.clone(),
            groups: p.groups,
            in_channels: p.in_channels,
            out_channels: p.out_channels,
            weights,
            bias: lanes(&blocks, bias),
            scale: lanes(&blocks, |c| p.scale[c]),
            x_zero: p.x_zero,
            y_zero: p.y_zero,
            sign: if p.signed { 0x80 } else { 0 },
            activation: p.activation.as_ref().map(|a| PackedActivation {
                slope: lanes(&blocks, |c| a.slope[c]),
                y_scale: a.y_scale,
                z_scale_reciprocal: a.z_scale.recip(),
                z_zero: a.z_zero,
            }),
        })
    }

    /// Output channels.
    pub fn out_channels(&self) -> usize {
        self.out_channels
    }

    /// Output `[height, width]` for an input of `[height, width]`.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        self.geometry.output(input)
    }

    /// Runs one picture: `x` is `height × width × in_channels` bytes, `y` receives
    /// `output height × output width × out_channels`.
    pub fn run(&self, x: &[u8], input: [usize; 2], y: &mut [u8]) -> Result<()> {
        let output = self.geometry.output(input)?;
        if x.len() != input[0] * input[1] * self.in_channels || y.len() != output[0] * output[1] * self.out_channels {
            return Err(Error::Inference(format!("convolution of {input:?} given {} → {} bytes", x.len(), y.len())));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let bytes = match self.weights {
                Weights::Depthwise(_) => 1,
                Weights::Gemm { .. } => self.isa.activation_bytes(),
            };
            let padded_w = self.pad(x, input, bytes, &mut scratch.input);
            let pixel_bytes = self.in_channels * bytes;
            let mut taps: Vec<usize> = self.taps(padded_w).map(|t| t * pixel_bytes).collect();
            if matches!(self.weights, Weights::Depthwise(_)) && !taps.len().is_multiple_of(2) {
                // The weights of the added tap are zero; any valid offset will do.
                taps.push(taps[0]);
            }
            let [stride_y, stride_x] = self.geometry.stride;
            let pixels = output[0] * output[1];
            let mut offsets = [0usize; CHUNK];
            for (chunk, y) in y.chunks_mut(CHUNK * self.out_channels).enumerate() {
                let first = chunk * CHUNK;
                let count = CHUNK.min(pixels - first);
                // A last tile that is not full repeats the chunk's last pixel.
                let tiled = count.next_multiple_of(TILE_PIXELS);
                for (i, offset) in offsets[..tiled].iter_mut().enumerate() {
                    let p = first + i.min(count - 1);
                    *offset = (p / output[1] * stride_y * padded_w + p % output[1] * stride_x) * pixel_bytes;
                }
                let windows = Windows { activations: &scratch.input, pixels: &offsets[..tiled], taps: &taps };
                match &self.weights {
                    Weights::Depthwise(weights) => {
                        let windows = Windows { pixels: &offsets[..count], ..windows };
                        self.depthwise(windows, weights, &mut scratch.sums, y);
                    }
                    Weights::Gemm { panels, panel } => self.gemm(windows, panels, *panel, bytes, &mut scratch.sums, y),
                }
            }
        });
        Ok(())
    }

    /// Copies `x` into `scratch` with its border written out, `bytes` per
    /// activation, and returns the padded width in pixels.
    fn pad(&self, x: &[u8], [h, w]: [usize; 2], bytes: usize, scratch: &mut Vec<u8>) -> usize {
        let [top, left] = self.geometry.pad_before;
        let [bottom, right] = self.geometry.pad_after;
        let (row, padded_w) = (w * self.in_channels, left + w + right);
        let padded_row = padded_w * self.in_channels * bytes;
        let total = (top + h + bottom) * padded_row;
        scratch.resize(total + READ_AHEAD, 0);
        let border = |part: &mut [u8]| match bytes {
            1 => part.fill(self.x_zero),
            _ => part.chunks_exact_mut(2).for_each(|b| b.copy_from_slice(&u16::from(self.x_zero).to_le_bytes())),
        };
        let (above, rest) = scratch[..total].split_at_mut(top * padded_row);
        let (inside, below) = rest.split_at_mut(h * padded_row);
        border(above);
        border(below);
        let (left, right) = (left * self.in_channels * bytes, right * self.in_channels * bytes);
        for (src, dst) in x.chunks_exact(row).zip(inside.chunks_exact_mut(padded_row)) {
            let (before, rest) = dst.split_at_mut(left);
            let (middle, after) = rest.split_at_mut(rest.len() - right);
            border(before);
            border(after);
            match (bytes, self.sign) {
                (1, 0) => middle.copy_from_slice(src),
                (1, sign) => middle.iter_mut().zip(src).for_each(|(d, s)| *d = s ^ sign),
                (_, sign) => middle
                    .chunks_exact_mut(2)
                    .zip(src)
                    .for_each(|(d, s)| d.copy_from_slice(&u16::from(s ^ sign).to_le_bytes())),
            }
        }
        padded_w
    }

    /// Offset of each tap from the first, in pixels of the padded input.
    fn taps(&self, padded_w: usize) -> impl Iterator<Item = usize> {
        let Geometry { kernel, dilation, .. } = self.geometry.clone();
        (0..kernel[0]).flat_map(move |y| (0..kernel[1]).map(move |x| y * dilation[0] * padded_w + x * dilation[1]))
    }

    fn gemm(
        &self,
        windows: Windows<'_>,
        panels: &[i8],
        panel: usize,
        bytes: usize,
        sums: &mut Vec<Sums>,
        y: &mut [u8],
    ) {
        let depth = self.in_channels / self.groups;
        let blocks_per_group = self.bias.len() / self.groups;
        sums.resize(windows.pixels.len(), [0; TILE_CHANNELS]);
        for (block, (panel, bias)) in panels.chunks_exact(panel).zip(&self.bias).enumerate() {
            let (group, in_group) = (block / blocks_per_group, block % blocks_per_group);
            // A group sees its own channels: everything moves by its first one.
            let windows = Windows { activations: &windows.activations[group * depth * bytes..], ..windows };
            self.isa.gemm(windows, depth, panel, bias, sums);
            let c0 = group * (self.out_channels / self.groups) + in_group * TILE_CHANNELS;
            let channels = TILE_CHANNELS.min(self.out_channels / self.groups - in_group * TILE_CHANNELS);
            self.finish(block, sums.iter(), y, c0, channels);
        }
    }

    fn depthwise(&self, windows: Windows<'_>, weights: &[i16], sums: &mut Vec<Sums>, y: &mut [u8]) {
        let blocks = self.bias.len();
        sums.resize(windows.pixels.len() * blocks, [0; TILE_CHANNELS]);
        self.isa.depthwise(windows, weights, &self.bias, sums);
        for block in 0..blocks {
            let c0 = block * TILE_CHANNELS;
            let channels = TILE_CHANNELS.min(self.out_channels - c0);
            self.finish(block, sums[block..].iter().step_by(blocks), y, c0, channels);
        }
    }

    /// Writes one block of channels, starting at `c0`, of all pixels in `y`.
    fn finish<'s>(&self, block: usize, sums: impl Iterator<Item = &'s Sums>, y: &mut [u8], c0: usize, channels: usize) {
        let scale = &self.scale[block];
        let pixels = y.chunks_exact_mut(self.out_channels).map(|pixel| &mut pixel[c0..c0 + channels]);
        match &self.activation {
            None => {
                for (sums, out) in sums.zip(pixels) {
                    store(out, self.sign, &quantize(std::array::from_fn(|c| sums[c] as f32 * scale[c]), self.y_zero));
                }
            }
            Some(a) => {
                let (slope, y_zero) = (&a.slope[block], i32::from(self.y_zero));
                for (sums, out) in sums.zip(pixels) {
                    let y = quantize(std::array::from_fn(|c| sums[c] as f32 * scale[c]), self.y_zero);
                    let z: Lanes = std::array::from_fn(|c| {
                        let v = (y[c] - y_zero) as f32 * a.y_scale;
                        (if v < 0.0 { v * slope[c] } else { v }) * a.z_scale_reciprocal
                    });
                    store(out, self.sign, &quantize(z, a.z_zero));
                }
            }
        }
    }
}

/// (first channel, channels) of each block: up to eight channels of one group.
fn blocks(channels: usize, groups: usize) -> Vec<(usize, usize)> {
    let per_group = channels / groups;
    (0..groups)
        .flat_map(|g| {
            (0..per_group)
                .step_by(TILE_CHANNELS)
                .map(move |first| (g * per_group + first, TILE_CHANNELS.min(per_group - first)))
        })
        .collect()
}

/// Spreads a value per channel over blocks; missing channels are zero.
fn lanes<T: Copy + Default>(blocks: &[(usize, usize)], value: impl Fn(usize) -> T) -> Vec<[T; TILE_CHANNELS]> {
    let lane = |&(c0, channels): &(usize, usize)| {
        std::array::from_fn(|c| if c < channels { value(c0 + c) } else { T::default() })
    };
    blocks.iter().map(lane).collect()
}

/// `saturate(round_half_even(v) + zero)` as integers 0–255. Adding 1.5 · 2^23 makes
/// the float's last mantissa bit worth one, so the hardware's rounding does the
/// work; the clamp before it keeps the sum in that range.
#[inline(always)]
fn quantize(values: Lanes, zero: u8) -> [i32; TILE_CHANNELS] {
    const MAGIC: f32 = 12_582_912.0;
    let (low, high) = (-f32::from(zero), f32::from(255 - zero));
    std::array::from_fn(|c| {
        let v = values[c];
        let v = if v < low { low } else { v };
        let v = if v > high { high } else { v };
        (v + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32 + i32::from(zero)
    })
}

/// Narrows to bytes. The full block is its own case: a store of known length.
#[inline(always)]
fn store(out: &mut [u8], sign: u8, values: &[i32; TILE_CHANNELS]) {
    let bytes = values.map(|v| v as u8 ^ sign);
    match <&mut [u8; TILE_CHANNELS]>::try_from(&mut *out) {
        Ok(block) => *block = bytes,
        Err(_) => out.copy_from_slice(&bytes[..out.len()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, term by term.
    fn naive(p: &ConvParams<'_>, x: &[u8], [h, w]: [usize; 2]) -> Vec<u8> {
        let g = &p.geometry;
        let [oh, ow] = g.output([h, w]).unwrap();
        let (in_group, out_group) = (p.in_channels / p.groups, p.out_channels / p.groups);
        let sign = if p.signed { 0x80 } else { 0 };
        let mut y = vec![0; oh * ow * p.out_channels];
        for oy in 0..oh {
            for ox in 0..ow {
                for c in 0..p.out_channels {
                    let mut acc = i64::from(p.bias.get(c).copied().unwrap_or(0));
                    for k in 0..in_group {
                        for ky in 0..g.kernel[0] {
                            for kx in 0..g.kernel[1] {
                                let iy = (oy * g.stride[0] + ky * g.dilation[0]).wrapping_sub(g.pad_before[0]);
                                let ix = (ox * g.stride[1] + kx * g.dilation[1]).wrapping_sub(g.pad_before[1]);
                                if iy < h && ix < w {
                                    let channel = c / out_group * in_group + k;
                                    let v = x[(iy * w + ix) * p.in_channels + channel] ^ sign;
                                    let weight = p.weights[((c * in_group + k) * g.kernel[0] + ky) * g.kernel[1] + kx];
                                    acc += (i64::from(v) - i64::from(p.x_zero)) * i64::from(weight);
                                }
                            }
                        }
                    }
                    let quantize = |v: f32, zero: u8| (v.round_ties_even() + f32::from(zero)).clamp(0.0, 255.0);
                    let mut v = quantize(acc as f32 * p.scale[c], p.y_zero);
                    if let Some(a) = &p.activation {
                        let f = (v - f32::from(p.y_zero)) * a.y_scale;
                        v = quantize(if f < 0.0 { f * a.slope[c] } else { f } * a.z_scale.recip(), a.z_zero);
                    }
                    y[(oy * ow + ox) * p.out_channels + c] = (v as u8) ^ sign;
                }
            }
        }
        y
    }

    /// A small deterministic generator: the tests also run where `proptest` does not (wasm).
    struct Random(u64);

    impl Random {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize % n
        }
        /// Bytes with a share of the extremes.
        fn byte(&mut self) -> u8 {
            match self.below(6) {
                0 => 255,
                1 => 0,
                _ => self.below(256) as u8,
            }
        }
    }

    /// Random shapes and values, every kernel against the definition.
    fn all_kernels_equal_the_definition(rounds: usize) {
        let mut random = Random(1);
        for round in 0..rounds {
            let (groups, in_group, out_group) = match random.below(4) {
                0 => (1 + random.below(37), 1, 1),
                1 => (1 + random.below(3), 1 + random.below(7), 1 + random.below(9)),
                _ => (1, 1 + random.below(40), 1 + random.below(20)),
            };
            let mut pair = |low: usize, n: usize| [low + random.below(n), low + random.below(n)];
            let geometry = Geometry {
                kernel: pair(1, 4),
                stride: pair(1, 3),
                dilation: pair(1, 2),
                pad_before: pair(0, 3),
                pad_after: pair(0, 3),
            };
            let input = pair(8, 6);
            let (in_channels, out_channels) = (groups * in_group, groups * out_group);
            let taps = geometry.kernel[0] * geometry.kernel[1];
            let weights: Vec<i8> = (0..out_channels * in_group * taps).map(|_| random.byte() as i8).collect();
            let bias: Vec<i32> = (0..out_channels).map(|_| random.below(20001) as i32 - 10000).collect();
            let unit = 1.0 / (200.0 * (in_group * taps) as f32).sqrt() / 40.0;
            let scale: Vec<f32> = (0..out_channels).map(|_| unit * (1.0 + random.below(100) as f32 / 50.0)).collect();
            let slope: Vec<f32> = (0..out_channels).map(|_| random.below(100) as f32 / 80.0 - 0.2).collect();
            let x: Vec<u8> = (0..input[0] * input[1] * in_channels).map(|_| random.byte()).collect();
            let params = ConvParams {
                geometry,
                groups,
                in_channels,
                out_channels,
                weights: &weights,
                bias: if random.below(4) == 0 { &[] } else { &bias },
                scale: &scale,
                x_zero: random.byte(),
                y_zero: random.byte(),
                signed: random.below(3) == 0,
                activation: (random.below(2) == 0).then_some(Activation {
                    slope: &slope,
                    y_scale: 0.05,
                    z_scale: 0.03,
                    z_zero: random.byte(),
                }),
            };
            let expected = naive(&params, &x, input);
            for isa in Isa::available() {
                let conv = Conv::new(isa, &params).unwrap();
                let mut y = vec![0; expected.len()];
                conv.run(&x, input, &mut y).unwrap();
                assert!(y == expected, "{} differs in round {round}: {:?}", isa.name(), params.geometry);
            }
        }
    }

    #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
    #[cfg_attr(not(target_arch = "wasm32"), test)]
    fn kernels_equal_the_definition() {
        all_kernels_equal_the_definition(400);
    }

    #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
    #[cfg_attr(not(target_arch = "wasm32"), test)]
    fn extremes_do_not_saturate() {
        // 255 · ±127 over a deep sum: what 16-bit intermediate sums would clip.
        let depth = 512;
        for weight in [127i8, -128] {
            let weights = vec![weight; depth * 3 * 3 * 8];
            let params = ConvParams {
                geometry: Geometry {
                    kernel: [3, 3],
                    stride: [1, 1],
                    dilation: [1, 1],
                    pad_before: [1, 1],
                    pad_after: [1, 1],
                },
                groups: 1,
                in_channels: depth,
                out_channels: 8,
                weights: &weights,
                bias: &[],
                scale: &[1.0 / (255.0 * 128.0 * 9.0 * depth as f32) * 120.0; 8],
                x_zero: 0,
                y_zero: 128,
                signed: false,
                activation: None,
            };
            let x = vec![255; 25 * depth];
            let expected = naive(&params, &x, [5, 5]);
            for isa in Isa::available() {
                let mut y = vec![0; expected.len()];
                Conv::new(isa, &params).unwrap().run(&x, [5, 5], &mut y).unwrap();
                assert_eq!(y, expected, "{}", isa.name());
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        let geometry =
            Geometry { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad_before: [0, 0], pad_after: [0, 0] };
        assert!(geometry.output([2, 9]).is_err());
        let params = ConvParams {
            geometry,
            groups: 2,
            in_channels: 3,
            out_channels: 2,
            weights: &[0; 27],
            bias: &[],
            scale: &[1.0; 2],
            x_zero: 0,
            y_zero: 0,
            signed: false,
            activation: None,
        };
        assert!(Conv::new(Isa::Scalar, &params).is_err());
    }
}
