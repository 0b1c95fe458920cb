//! Float arithmetic between quantized values: what stands between some
//! DequantizeLinear and a QuantizeLinear, computed value by value without writing the
//! floats anywhere.
//!
//! It runs on a stretch of a row at a time, so that each operation is a plain loop over
//! a few hundred floats in the first-level cache.

use super::image::Image;
use crate::error::{Error, Result};

/// `real = (byte − zero) · scale`. Signed bytes are kept as unsigned ones, 128 higher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// Step between neighbouring bytes.
    pub scale: f32,
    /// The byte that stands for 0.
    pub zero: u8,
}

impl Quantization {
    /// DequantizeLinear of one byte.
    pub fn dequantize(self, byte: u8) -> f32 {
        (i32::from(byte) - i32::from(self.zero)) as f32 * self.scale
    }

    /// A function of the value of every byte.
    pub fn floats(self, function: impl Fn(f32) -> f32) -> [f32; 256] {
        std::array::from_fn(|byte| function(self.dequantize(byte as u8)))
    }

    /// QuantizeLinear of one value: divided, rounded half to even, saturated.
    #[inline(always)]
    pub fn quantize(self, value: f32) -> u8 {
        saturate(value / self.scale, self.zero)
    }

    /// The same, but rounded after the zero point has been added, which decides ties
    /// differently when it is odd: what ONNX Runtime does in QLinearAdd and QLinearMul.
    #[inline(always)]
    pub fn quantize_shifted(self, value: f32) -> u8 {
        saturate(value / self.scale + f32::from(self.zero), 0)
    }

    /// The table of a function from bytes to bytes.
    pub fn table(self, to: Quantization, function: impl Fn(f32) -> f32) -> Box<[u8; 256]> {
        Box::new(std::array::from_fn(|byte| to.quantize(function(self.dequantize(byte as u8)))))
    }
}

/// `round_half_even(v) + zero`, within 0–255. Adding 1.5 · 2²³ rounds in hardware
/// everywhere; the clamp before it keeps the sum in range.
#[inline(always)]
pub(super) fn saturate(v: f32, zero: u8) -> u8 {
    const MAGIC: f32 = 12_582_912.0;
    let (low, high) = (-f32::from(zero), f32::from(255 - zero));
    let v = if v > low { v } else { low };
    let v = if v < high { v } else { high };
    ((v + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32 + i32::from(zero)) as u8
}

/// An operation on the values computed so far, the last ones first (postfix order).
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Puts a leaf's values on the stack.
    Leaf(usize),
    /// Adds the last two.
    Add,
    /// Multiplies the last two.
    Mul,
    /// `v < 0 ? v · slope : v`; one slope, or one per channel.
    Prelu(Vec<f32>),
    /// `v · factor + term`; one each, or one per channel. (Not fused: each is rounded.)
    Affine(Vec<f32>, Vec<f32>),
    /// Limits.
    Clip(f32, f32),
    /// `1 / (1 + e⁻ᵛ)`.
    Sigmoid,
}

/// Where a leaf's values come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LeafKind {
    /// Dequantized bytes.
    Bytes(Quantization),
    /// Floats.
    Floats,
}

/// An expression and the quantization of its result.
#[derive(Clone, Debug)]
pub struct Island {
    /// What it reads.
    pub leaves: Vec<LeafKind>,
    /// The expression.
    pub operations: Vec<Operation>,
    /// What it writes.
    pub output: IslandOutput,
}

/// What an island writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IslandOutput {
    /// QuantizeLinear.
    Bytes(Quantization),
    /// The same with the zero point added before rounding, see [`Quantization::quantize_shifted`].
    ShiftedBytes(Quantization),
    /// Floats, for a float convolution.
    Floats,
}

/// A leaf's values, by [`LeafKind`].
#[derive(Clone, Copy)]
pub enum Leaf<'a> {
    /// Bytes where the image says.
    Bytes(&'a [u8], Image),
    /// All values in ONNX's order (NCHW), as tract keeps them.
    Floats(&'a [f32]),
    /// Floats where the image says.
    FloatImage(&'a [f32], Image),
}

/// Where an island's values go.
pub enum Sink<'a> {
    /// By [`IslandOutput`].
    Bytes(&'a mut [u8]),
    /// By [`IslandOutput`].
    Floats(&'a mut [f32]),
}

/// Values handled together.
const STRETCH: usize = 512;

impl Island {
    /// Values in a stretch of an image: whole pixels.
    fn stretch(image: &Image) -> usize {
        (STRETCH / image.channels.max(1)).clamp(1, image.width.max(1)) * image.channels
    }

    /// Most values on the stack at once.
    fn depth(&self) -> usize {
        let leaves = self.operations.iter().filter(|o| matches!(o, Operation::Leaf(_))).count();
        leaves.max(1)
    }

    /// Floats of scratch that [`Island::run`] needs for an output image.
    pub fn scratch(&self, output: &Image) -> usize {
        self.depth() * Self::stretch(output)
    }

    /// Whether parameters and leaves fit an output of these channels.
    pub fn check(&self, channels: usize) -> Result<()> {
        let fits = |v: &[f32]| v.len() == 1 || v.len() == channels;
        let bad = self.operations.iter().find(|o| match o {
            Operation::Prelu(slope) => !fits(slope),
            Operation::Affine(factor, term) => !fits(factor) || !fits(term),
            _ => false,
        });
        match bad {
            Some(_) => Err(Error::Model(format!("parameters per channel do not fit {channels} channels"))),
            None => Ok(()),
        }
    }

    /// Computes all values of `output`. Leaves have its shape, or 1 × 1 pictures.
    pub fn run(&self, leaves: &[Leaf<'_>], output: &Image, mut y: Sink<'_>, stack: &mut [f32]) {
        let stretch = Self::stretch(output);
        for (index, row) in output.rows().enumerate() {
            let (picture, line) = (index / output.height, index % output.height);
            let length = row.len();
            for start in (0..length).step_by(stretch) {
                let place = Place { picture, line, start, length: stretch.min(length - start) };
                let result = self.evaluate(leaves, output, place, stack, stretch);
                let at = row.start + start..row.start + start + place.length;
                match (&mut y, self.output) {
                    (Sink::Bytes(y), IslandOutput::Bytes(q)) => {
                        y[at].iter_mut().zip(result).for_each(|(y, &v)| *y = q.quantize(v));
                    }
                    (Sink::Bytes(y), IslandOutput::ShiftedBytes(q)) => {
                        y[at].iter_mut().zip(result).for_each(|(y, &v)| *y = q.quantize_shifted(v));
                    }
                    (Sink::Floats(y), _) => y[at].copy_from_slice(result),
                    (Sink::Bytes(_), IslandOutput::Floats) => {}
                }
            }
        }
    }

    fn evaluate<'s>(
        &self,
        leaves: &[Leaf<'_>],
        image: &Image,
        place: Place,
        stack: &'s mut [f32],
        stretch: usize,
    ) -> &'s [f32] {
        let mut top = 0;
        for operation in &self.operations {
            match operation {
                Operation::Leaf(leaf) => {
                    let values = &mut stack[top * stretch..][..place.length];
                    match (&leaves[*leaf], self.leaves[*leaf]) {
                        (Leaf::Bytes(x, from), LeafKind::Bytes(q)) => load_bytes(x, from, image, place, q, values),
                        (Leaf::Floats(x), _) => load_floats(x, image, place, values),
                        (Leaf::FloatImage(x, from), _) => {
                            let row = from.offset(place.picture, place.line + from.border, from.border);
                            values.copy_from_slice(&x[row + place.start..][..place.length]);
                        }
                        (Leaf::Bytes(..), LeafKind::Floats) => values.fill(0.0),
                    }
                    top += 1;
                }
                Operation::Add | Operation::Mul => {
                    top -= 1;
                    let (below, last) = stack.split_at_mut(top * stretch);
                    let below = below[(top - 1) * stretch..][..place.length].iter_mut().zip(&*last);
                    match operation {
                        Operation::Add => below.for_each(|(a, b)| *a += b),
                        _ => below.for_each(|(a, b)| *a *= b),
                    }
                }
                Operation::Prelu(slope) => {
                    let values = &mut stack[(top - 1) * stretch..][..place.length];
                    per_channel(values, image.channels, slope, |v, s| if v < 0.0 { v * s } else { v });
                }
                Operation::Affine(factor, term) => {
                    let values = &mut stack[(top - 1) * stretch..][..place.length];
                    per_channel(values, image.channels, factor, |v, f| v * f);
                    per_channel(values, image.channels, term, |v, t| v + t);
                }
                Operation::Clip(low, high) => {
                    let values = &mut stack[(top - 1) * stretch..][..place.length];
                    values.iter_mut().for_each(|v| *v = v.max(*low).min(*high));
                }
                Operation::Sigmoid => {
                    let values = &mut stack[(top - 1) * stretch..][..place.length];
                    values.iter_mut().for_each(|v| *v = sigmoid(*v));
                }
            }
        }
        &stack[..place.length]
    }
}

/// A stretch: of which picture and row, from which value on, how many.
#[derive(Clone, Copy)]
struct Place {
    picture: usize,
    line: usize,
    start: usize,
    length: usize,
}

/// The logistic function.
pub fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

fn load_bytes(x: &[u8], from: &Image, image: &Image, place: Place, q: Quantization, values: &mut [f32]) {
    let zero = i32::from(q.zero);
    let dequantize = |b: u8| (i32::from(b) - zero) as f32 * q.scale;
    if (from.height, from.width) != (image.height, image.width) {
        // One pixel for the whole picture.
        let pixel = &x[from.offset(place.picture, from.border, from.border)..][..from.channels];
        for values in values.chunks_mut(image.channels) {
            values.iter_mut().zip(pixel).for_each(|(v, &b)| *v = dequantize(b));
        }
        return;
    }
    let start = from.offset(place.picture, place.line + from.border, from.border) + place.start;
    values.iter_mut().zip(&x[start..]).for_each(|(v, &b)| *v = dequantize(b));
}

fn load_floats(x: &[f32], image: &Image, place: Place, values: &mut [f32]) {
    let (channels, plane) = (image.channels, image.height * image.width);
    let first = place.line * image.width + place.start / channels;
    for channel in 0..channels {
        let from = &x[(place.picture * channels + channel) * plane + first..];
        values[channel..].iter_mut().step_by(channels).zip(from).for_each(|(v, &x)| *v = x);
    }
}

/// Applies a function of a value and its channel's parameter to whole pixels.
fn per_channel(values: &mut [f32], channels: usize, parameters: &[f32], function: impl Fn(f32, f32) -> f32) {
    match parameters {
        [one] => values.iter_mut().for_each(|v| *v = function(*v, *one)),
        many => values.chunks_mut(channels).for_each(|pixel| {
            pixel.iter_mut().zip(many).for_each(|(v, &parameter)| *v = function(*v, parameter));
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantizing_rounds_half_to_even_and_saturates() {
        let q = Quantization { scale: 0.5, zero: 10 };
        assert_eq!(
            [-100.0, -5.0, 0.25, 0.75, 1.25, 1000.0, f32::NAN].map(|v| q.quantize(v)),
            [0, 0, 10, 12, 12, 255, 0]
        );
    }

    #[test]
    fn an_expression_is_computed_channel_by_channel() {
        let image = Image::new(2, 3, 5, 3).unwrap();
        let (a, b) = (Quantization { scale: 0.1, zero: 3 }, Quantization { scale: 0.2, zero: 0 });
        let out = Quantization { scale: 0.05, zero: 40 };
        let island = Island {
            leaves: vec![LeafKind::Bytes(a), LeafKind::Bytes(b), LeafKind::Floats],
            operations: vec![
                Operation::Leaf(0),
                Operation::Leaf(1),
                Operation::Mul,
                Operation::Affine(vec![1.0, -2.0, 0.5], vec![0.1]),
                Operation::Leaf(2),
                Operation::Add,
                Operation::Prelu(vec![0.25]),
            ],
            output: IslandOutput::Bytes(out),
        };
        let x: Vec<u8> = (0..image.bytes()).map(|i| (i * 37 % 101) as u8).collect();
        let scalar: Vec<u8> = (0..6).map(|i| i * 9).collect();
        let floats: Vec<f32> = (0..image.values()).map(|i| (i as f32).sin()).collect();
        let pixel = Image::new(2, 1, 1, 3).unwrap();
        let padded = image.with_border(1).unwrap();
        let mut y = vec![0; padded.bytes()];
        let mut stack = vec![0.0; island.scratch(&padded)];
        let leaves = [Leaf::Bytes(&x, image), Leaf::Bytes(&scalar, pixel), Leaf::Floats(&floats)];
        island.run(&leaves, &padded, Sink::Bytes(&mut y), &mut stack);
        for (n, line, column, c) in (0..2 * 3 * 5 * 3).map(|i| (i / 45, i / 15 % 3, i / 3 % 5, i % 3)) {
            let v = a.dequantize(x[image.offset(n, line, column) + c]) * b.dequantize(scalar[n * 3 + c]);
            let v = v * [1.0, -2.0, 0.5][c] + 0.1 + floats[((n * 3 + c) * 3 + line) * 5 + column];
            let expected = out.quantize(if v < 0.0 { v * 0.25 } else { v });
            assert_eq!(y[padded.offset(n, line + 1, column + 1) + c], expected, "{n} {line} {column} {c}");
        }
    }
}
