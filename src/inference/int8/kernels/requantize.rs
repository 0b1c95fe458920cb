//! From 32-bit sums to bytes.

use super::{BLOCK, Sums};

/// `y = saturate(round_half_even(sum · scale[c]) + zero)` per channel, as ONNX Runtime
/// computes QLinearConv: the scales as one float factor, one rounding. Optionally a PReLU
/// between a DequantizeLinear and a QuantizeLinear follows, with the rounding in between.
///
/// Rounding adds 1.5 · 2²³, which makes the last bit of the mantissa worth one, so the
/// hardware's own rounding does the work. It needs |sum · scale| < 2²², which
/// [`Requantize::new`] checks against the largest sum that the weights allow.
#[derive(Clone, Debug)]
pub struct Requantize {
    /// Sum to output, per block.
    scale: Vec<Factors>,
    /// Rounded output to PReLU's output where there is one: for positive values.
    positive: f32,
    /// The same for negative ones, per block.
    negative: Vec<Factors>,
    /// Zero point of the sums' quantization.
    zero: i32,
    /// Lowest and highest rounded value that it holds, `−zero` and `255 − zero`.
    range: [f32; 2],
    /// Zero point of what is written where there is a PReLU.
    prelu_zero: Option<i32>,
}

/// Factors of eight channels.
pub type Factors = [f32; BLOCK];

/// DequantizeLinear (`scale`) → PReLU → QuantizeLinear (`z_scale`, `z_zero`).
pub struct Prelu<'a> {
    /// Factor of negative values per channel; 0 is ReLU.
    pub slope: &'a [f32],
    /// Scale of the values before it.
    pub y_scale: f32,
    /// Scale of what is written.
    pub z_scale: f32,
    /// Zero point of what is written, 0–255.
    pub z_zero: u8,
}

/// 1.5 · 2²³.
pub const MAGIC: f32 = 12_582_912.0;

/// Largest value that rounds exactly by adding [`MAGIC`].
const MOST: f32 = 4_194_304.0;

impl Requantize {
    /// For outputs that are not bytes.
    pub const NONE: &'static Self =
        &Self { scale: Vec::new(), positive: 0.0, negative: Vec::new(), zero: 0, range: [0.0; 2], prelu_zero: None };

    /// `scale` per channel, channels in blocks of `per_group` that do not share a block;
    /// `largest(channel)` is the largest magnitude of its sum. `None` when the numbers do
    /// not allow the fast rounding.
    pub fn new(
        scale: &[f32],
        per_group: usize,
        zero: u8,
        prelu: Option<&Prelu<'_>>,
        largest: impl Fn(usize) -> f64,
    ) -> Option<Self> {
        let count = scale.len() / per_group * per_group.div_ceil(BLOCK);
        let mut scales = Vec::with_capacity(count);
        let mut negative = Vec::with_capacity(if prelu.is_some() { count } else { 0 });
        let positive = match prelu {
            Some(p) => factor(1.0, p, 1..=255 - i32::from(zero))?,
            None => 0.0,
        };
        for group in (0..scale.len()).step_by(per_group) {
            for first in (group..group + per_group).step_by(BLOCK) {
                let (mut factors, mut slopes) = ([0.0; BLOCK], [0.0; BLOCK]);
                for (lane, channel) in (first..(first + BLOCK).min(group + per_group)).enumerate() {
                    if largest(channel) * f64::from(scale[channel].abs()) >= f64::from(MOST) {
                        return None;
                    }
                    factors[lane] = scale[channel];
                    if let Some(p) = prelu {
                        slopes[lane] = factor(p.slope[channel], p, -i32::from(zero)..=-1)?;
                    }
                }
                scales.push(factors);
                if prelu.is_some() {
                    negative.push(slopes);
                }
            }
        }
        let zero = i32::from(zero);
        Some(Self {
            scale: scales,
            positive,
            negative,
            zero,
            range: [-zero as f32, (255 - zero) as f32],
            prelu_zero: prelu.map(|p| i32::from(p.z_zero)),
        })
    }

    /// Blocks of eight channels.
    pub fn blocks(&self) -> usize {
        self.scale.len()
    }

    /// Factors of a block: sum to output, and to PReLU's output (zero where there is none).
    pub fn factors(&self, block: usize) -> (Factors, [Factors; 2]) {
        let of = |factors: &[Factors]| factors.get(block).copied().unwrap_or([0.0; BLOCK]);
        (of(&self.scale), [[self.positive; BLOCK], of(&self.negative)])
    }

    /// Whether a PReLU follows.
    pub fn has_prelu(&self) -> bool {
        self.prelu_zero.is_some()
    }

    /// What rounds and shifts at once: `(v + MAGIC).to_bits() − bias` is `round(v) + zero point`
    /// of what is written.
    pub fn rounding_bias(&self) -> i32 {
        MAGIC.to_bits() as i32 - self.prelu_zero.unwrap_or(self.zero)
    }

    /// Lowest and highest value before the PReLU.
    pub fn range(&self) -> [f32; 2] {
        self.range
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.scale.capacity() + self.negative.capacity()) * size_of::<Factors>()
    }

    /// The reference: one block of one pixel.
    pub fn apply(&self, block: usize, sums: &Sums) -> [u8; BLOCK] {
        let (scale, [positive, negative]) = self.factors(block);
        std::array::from_fn(|c| {
            let mut v = sums[c] as f32 * scale[c];
            if self.has_prelu() {
                let y = (v.clamp(self.range[0], self.range[1]) + MAGIC) - MAGIC;
                v = y.max(0.0) * positive[c] + y.min(0.0) * negative[c];
            }
            ((v + MAGIC).to_bits() as i32).wrapping_sub(self.rounding_bias()).clamp(0, 255) as u8
        })
    }
}

/// One factor that gives, after rounding, what dequantizing, multiplying by `slope` and
/// dividing by the new scale gives for all quantized values of a range. Neighbouring
/// floats are tried when the plain product rounds differently somewhere.
fn factor(slope: f32, p: &Prelu<'_>, values: impl Iterator<Item = i32> + Clone) -> Option<f32> {
    let exact = |v: i32| (v as f32 * p.y_scale * slope) / p.z_scale;
    let first = p.y_scale * slope / p.z_scale;
    if !first.is_finite() || 255.0 * first.abs() >= MOST {
        return None;
    }
    let near = (1..=32).flat_map(|n| [n, -n]).map(|n| f32::from_bits(first.to_bits().wrapping_add_signed(n)));
    let fits = |f: f32| values.clone().all(|v| (v as f32 * f).round_ties_even() == exact(v).round_ties_even());
    if values.clone().next().is_none() || first == 0.0 {
        return Some(first);
    }
    std::iter::once(first).chain(near).find(|&f| fits(f))
}
