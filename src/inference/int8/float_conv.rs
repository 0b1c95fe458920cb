//! Thin convolutions that a quantized model keeps in float (a first layer, a depthwise
//! one, an upsampling), so that they need no detour over NCHW.
//!
//! Products are added one by one in the order (input channel, row, column) and the bias
//! last, without fused multiply-adds: the order of ONNX Runtime Web. In a quantized
//! network one differently rounded value spreads; the same order gives the same bytes.

use super::geometry::Geometry;
use super::image::Image;
use crate::error::{Error, Result};

/// A float convolution over NHWC floats.
#[derive(Clone, Debug)]
pub struct FloatConv {
    kind: Kind,
    /// Windows; for an upsampling the kernel, which is also its step.
    geometry: Geometry,
    in_channels: usize,
    out_channels: usize,
    /// In the order of the sum, then padded output channels.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// How outputs depend on inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every output channel on all input channels.
    Full,
    /// Every channel on itself.
    Depthwise,
    /// ConvTranspose whose windows do not overlap: every input pixel becomes a block.
    Upsample,
}

/// Channels handled together.
const LANES: usize = 8;
/// Pixels handled together.
const PIXELS: usize = 4;
/// Most products of an output value: beyond, tract's matrix product is the better one.
pub const MOST_PRODUCTS: usize = 64;
/// Most taps of a depthwise kernel.
const MOST_TAPS: usize = 64;

impl FloatConv {
    /// `weight(output, input, tap)` gives a weight; `bias` is empty for none. `None` for
    /// what is better left to tract.
    pub fn new(
        kind: Kind,
        geometry: Geometry,
        in_channels: usize,
        out_channels: usize,
        bias: &[f32],
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Option<Self> {
        let taps = geometry.kernel[0].checked_mul(geometry.kernel[1])?;
        let fits = match kind {
            Kind::Full => in_channels.checked_mul(taps)? <= MOST_PRODUCTS,
            Kind::Depthwise => taps <= MOST_TAPS && in_channels == out_channels,
            Kind::Upsample => in_channels <= MOST_PRODUCTS && taps <= 16,
        };
        if !fits || out_channels == 0 || !(bias.is_empty() || bias.len() == out_channels) {
            return None;
        }
        let padded = out_channels.next_multiple_of(LANES);
        let channels = |i: usize, tap: usize| {
            let weight = &weight;
            (0..padded).map(move |o| if o < out_channels { weight(o, i, tap) } else { 0.0 })
        };
        let order: Vec<(usize, usize)> = match kind {
            Kind::Full => (0..in_channels).flat_map(|i| (0..taps).map(move |t| (i, t))).collect(),
            Kind::Depthwise => (0..taps).map(|t| (0, t)).collect(),
            Kind::Upsample => (0..taps).flat_map(|t| (0..in_channels).map(move |i| (i, t))).collect(),
        };
        let weights = order.into_iter().flat_map(|(i, t)| channels(i, t)).collect();
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Some(Self { kind, geometry, in_channels, out_channels, weights, bias })
    }

    /// Input channels.
    pub fn in_channels(&self) -> usize {
        self.in_channels
    }

    /// Output channels.
    pub fn out_channels(&self) -> usize {
        self.out_channels
    }

    /// The border of zeros that the input needs.
    pub fn border(&self) -> usize {
        self.geometry.border()
    }

    /// Output size for an input of `[height, width]`.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        match self.kind {
            Kind::Upsample => {
                let side = |i: usize| input[i].checked_mul(self.geometry.kernel[i]);
                side(0).zip(side(1)).map(|(h, w)| [h, w]).ok_or_else(|| Error::Inference("a result too large".into()))
            }
            _ => self.geometry.output(input),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.weights.capacity() + self.bias.capacity()) * 4
    }

    /// Runs on `x`, whose border is zero; the border of `y` is left alone.
    pub fn run(&self, x: &[f32], from: &Image, y: &mut [f32], to: &Image) {
        match self.kind {
            Kind::Depthwise => self.depthwise(x, from, y, to),
            Kind::Full => {
                let Geometry { kernel: [h, w], dilation, .. } = self.geometry;
                let mut offsets = [0; MOST_PRODUCTS];
                for (k, offset) in offsets.iter_mut().enumerate().take(self.in_channels * h * w) {
                    let (input, tap) = (k / (h * w), k % (h * w));
                    *offset = from.offset(0, tap / w * dilation[0], tap % w * dilation[1]) + input;
                }
                let offsets = &offsets[..self.in_channels * h * w];
                self.rows(from, to, |starts, outputs| self.full(x, starts, offsets, &self.weights, y, outputs));
            }
            Kind::Upsample => {
                let [h, w] = self.geometry.kernel;
                let offsets: [usize; MOST_PRODUCTS] = std::array::from_fn(|i| i);
                let per_tap = self.in_channels * self.bias.len();
                for (tap, weights) in self.weights.chunks_exact(per_tap).enumerate() {
                    for (picture, line) in (0..from.batch).flat_map(|n| (0..from.height).map(move |y| (n, y))) {
                        let start = from.offset(picture, line + from.border, from.border);
                        let first = to.offset(picture, line * h + tap / w + to.border, tap % w + to.border);
                        for column in (0..from.width).step_by(PIXELS) {
                            let at = |p: usize| (column + p).min(from.width - 1);
                            let starts = std::array::from_fn(|p| start + at(p) * from.channels);
                            let outputs = std::array::from_fn(|p| first + at(p) * w * to.channels);
                            self.full(x, starts, &offsets[..self.in_channels], weights, y, outputs);
                        }
                    }
                }
            }
        }
    }

    /// Calls `f(first inputs, first outputs)` for all output pixels, a few at a time.
    fn rows(&self, from: &Image, to: &Image, mut f: impl FnMut([usize; PIXELS], [usize; PIXELS])) {
        let Geometry { stride, pad_before, .. } = self.geometry;
        for (picture, line) in (0..to.batch).flat_map(|n| (0..to.height).map(move |y| (n, y))) {
            let start =
                from.offset(picture, line * stride[0] + from.border - pad_before[0], from.border - pad_before[1]);
            let first = to.offset(picture, line + to.border, to.border);
            for column in (0..to.width).step_by(PIXELS) {
                let at = |p: usize| (column + p).min(to.width - 1);
                f(
                    std::array::from_fn(|p| start + at(p) * stride[1] * from.channels),
                    std::array::from_fn(|p| first + at(p) * to.channels),
                );
            }
        }
    }

    /// All output channels of a few pixels.
    fn full(
        &self,
        x: &[f32],
        starts: [usize; PIXELS],
        offsets: &[usize],
        weights: &[f32],
        y: &mut [f32],
        outputs: [usize; PIXELS],
    ) {
        let padded = self.bias.len();
        for first in (0..padded).step_by(LANES) {
            let mut sums = [[0.0f32; LANES]; PIXELS];
            for (offset, weights) in offsets.iter().zip(weights.chunks_exact(padded)) {
                let Some((weights, _)) = weights[first..].split_first_chunk::<LANES>() else { continue };
                for (sums, start) in sums.iter_mut().zip(starts) {
                    let x = x[start + offset];
                    sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += x * w);
                }
            }
            let channels = LANES.min(self.out_channels - first);
            let bias = &self.bias[first..first + channels];
            for (sums, output) in sums.iter().zip(outputs) {
                let y = &mut y[output + first..][..channels];
                y.iter_mut().zip(sums).zip(bias).for_each(|((y, sum), bias)| *y = sum + bias);
            }
        }
    }

    fn depthwise(&self, x: &[f32], from: &Image, y: &mut [f32], to: &Image) {
        let Geometry { kernel: [h, w], dilation, .. } = self.geometry;
        let padded = self.bias.len();
        self.rows(from, to, |starts, outputs| {
            for (start, output) in starts.into_iter().zip(outputs) {
                let y = &mut y[output..][..self.out_channels];
                y.fill(0.0);
                for (tap, weights) in self.weights.chunks_exact(padded).enumerate().take(h * w) {
                    let offset = from.offset(0, tap / w * dilation[0], tap % w * dilation[1]);
                    let x = &x[start + offset..][..self.out_channels];
                    y.iter_mut().zip(x).zip(weights).for_each(|((y, x), w)| *y += x * w);
                }
                y.iter_mut().zip(&self.bias).for_each(|(y, bias)| *y += bias);
            }
        });
    }
}
