//! A quantized 2-D convolution: packed once, run many times. A fully connected layer is
//! one over 1 × 1 pictures.
//!
//! `y = saturate(round_half_even(acc · scale[c]) + y_zero)` with
//! `acc = bias[c] + Σ (x − x_zero) · w`, the arithmetic of ONNX QLinearConv
//! (<https://onnx.ai/onnx/operators/onnx__QLinearConv.html>) as onnxruntime
//! computes it. `x_zero` is folded into the bias, and the border of an [`Image`] holds
//! `x_zero`, so padding adds nothing.

use super::geometry::Geometry;
use super::image::Image;
use super::island::{Quantization, saturate};
use super::kernels::{
    Activations, BLOCK, Depthwise, DepthwiseWeights, Gemm, Isa, Output, Panels, Prelu, Requantize, Sums, TILE_PIXELS,
    winograd::{self, Winograd},
};
use crate::error::{Error, Result};

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
    /// Per output channel: `x_scale · w_scale[c] / y_scale`, for float outputs without `y_scale`.
    pub scale: &'a [f32],
    /// Zero point of the input, 0–255.
    pub x_zero: u8,
    /// What becomes of the sums.
    pub output: ConvOutput<'a>,
}

/// What a convolution writes.
pub enum ConvOutput<'a> {
    /// `sum · scale`, as floats.
    Floats,
    /// Bytes.
    Bytes {
        /// Zero point of the sums' quantization, 0–255.
        zero: u8,
        /// A PReLU after it, with the quantization that follows.
        prelu: Option<Prelu<'a>>,
    },
}

/// A convolution ready to run. See the module's text for what it computes.
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
    finish: Finish,
    /// A PReLU at the end, where [`Requantize`] cannot do it.
    prelu: Option<ExactPrelu>,
}

#[derive(Clone, Debug)]
enum Weights {
    Depthwise(DepthwiseWeights),
    Gemm {
        panels: Panels,
        /// Taps of a kernel row lie side by side in memory and are one row of the panels.
        merged: bool,
        /// Whether [`winograd`] computes it.
        winograd: bool,
    },
}

#[derive(Clone, Debug)]
enum Finish {
    Bytes(Requantize),
    /// For scales with which the fast rounding could overflow: the definition, value by value.
    ExactBytes {
        scale: Vec<f32>,
        zero: u8,
    },
    Floats(Vec<f32>),
}

/// A PReLU of quantized values by its definition.
#[derive(Clone, Debug)]
struct ExactPrelu {
    /// Per channel.
    slope: Vec<f32>,
    from: Quantization,
    to: Quantization,
}

impl ExactPrelu {
    fn new(prelu: &Prelu<'_>, zero: u8) -> Self {
        Self {
            slope: prelu.slope.to_vec(),
            from: Quantization { scale: prelu.y_scale, zero },
            to: Quantization { scale: prelu.z_scale, zero: prelu.z_zero },
        }
    }

    /// Over all channels of some pixels.
    fn apply(&self, y: &mut [u8]) {
        for pixel in y.chunks_exact_mut(self.slope.len()) {
            for (y, slope) in pixel.iter_mut().zip(&self.slope) {
                let v = self.from.dequantize(*y);
                *y = self.to.quantize(if v < 0.0 { v * slope } else { v });
            }
        }
    }
}

/// Buffers kept between runs.
#[derive(Default)]
pub struct Scratch {
    /// Activations in the layout that the kernels want, where that is not bytes.
    activations: Vec<u8>,
    /// Sums of a chunk of pixels.
    sums: Vec<i32>,
    winograd: winograd::Buffers,
}

impl Scratch {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.activations.capacity() + self.sums.capacity() * 4 + self.winograd.bytes()
    }
}

/// Where a convolution writes.
pub enum Target<'a> {
    /// An image in its own layout.
    Bytes(&'a mut [u8], &'a Image),
    /// Pixel by pixel.
    Floats(&'a mut [f32]),
}

/// Kernels may read a whole group of channels where only one is left: so many bytes
/// must follow every image.
pub const READ_AHEAD: usize = winograd::READ_AHEAD;

/// Pixels handled together, so that a weight panel is read from the first-level
/// cache by many tiles in a row.
const CHUNK: usize = 64;

/// Kernel rows (or taps) whose offsets fit on the stack.
const MOST_ROWS: usize = 256;

/// Products whose sum fits 32 bits: 255 · 128 each.
const MOST_TERMS: usize = 65_000;

impl Conv {
    /// Packs the weights for `isa`.
    pub fn new(isa: Isa, p: &ConvParams<'_>) -> Result<Self> {
        let error = |text: String| Err(Error::Inference(text));
        let [kernel_h, kernel_w] = p.geometry.kernel;
        let taps = kernel_h.saturating_mul(kernel_w);
        let groups = p.groups.max(1);
        let (in_group, out_group) = (p.in_channels / groups, p.out_channels / groups);
        if p.groups == 0
            || in_group == 0
            || out_group == 0
            || in_group * groups != p.in_channels
            || out_group * groups != p.out_channels
        {
            return error(format!(
                "{} input and {} output channels do not split into {} groups",
                p.in_channels, p.out_channels, p.groups
            ));
        }
        if taps == 0 || taps + 4 > MOST_ROWS || p.geometry.stride.contains(&0) || p.geometry.dilation.contains(&0) {
            return error(format!("kernel of {kernel_h} × {kernel_w} taps, stride {:?}", p.geometry.stride));
        }
        let per_output = in_group.saturating_mul(taps);
        if per_output > MOST_TERMS {
            return error(format!("sums of {per_output} products do not fit 32 bits"));
        }
        let fits = |len: usize| len == p.out_channels;
        let slopes = match &p.output {
            ConvOutput::Bytes { prelu: Some(prelu), .. } => prelu.slope.len(),
            _ => p.out_channels,
        };
        if p.weights.len() != p.out_channels * per_output
            || !fits(p.scale.len())
            || !(p.bias.is_empty() || fits(p.bias.len()))
            || !fits(slopes)
        {
            return error("weights, scales, slopes or bias do not fit the convolution".into());
        }
        let weight = |output: usize, k: usize, tap: usize| p.weights[output * per_output + k * taps + tap];
        let merged = p.groups == 1 && p.geometry.dilation[1] == 1;
        let (weights, per_block_group) = if in_group == 1 && out_group == 1 {
            let weights = DepthwiseWeights::new(isa, taps, p.out_channels, |c, tap| weight(c, 0, tap));
            (Weights::Depthwise(weights), p.out_channels)
        } else {
            let pack = |isa: Isa| match merged {
                true => Panels::new(isa, 1, p.out_channels, kernel_h, kernel_w * in_group, |c, row, i| {
                    weight(c, i % in_group, row * kernel_w + i / in_group)
                }),
                false => Panels::new(isa, p.groups, out_group, taps, in_group, |c, tap, k| weight(c, k, tap)),
            };
            let for_winograd = if suits_winograd(p) { isa.for_winograd(p.in_channels) } else { None };
            let mut panels = pack(for_winograd.unwrap_or(isa));
            if panels.split_share() > isa.most_split() {
                panels = pack(isa.without_splitting());
            }
            (Weights::Gemm { panels, merged, winograd: for_winograd.is_some() }, out_group)
        };
        let isa = match &weights {
            Weights::Depthwise(_) => isa,
            Weights::Gemm { panels, .. } => panels.isa(),
        };
        let of = |c: usize| &p.weights[c * per_output..(c + 1) * per_output];
        let offset = match weights {
            Weights::Depthwise(_) => 0,
            Weights::Gemm { .. } => isa.activations().offset(),
        };
        let bias = |c: usize| -> i32 {
            let sum: i32 = of(c).iter().map(|&w| i32::from(w)).sum();
            p.bias.get(c).copied().unwrap_or(0).wrapping_sub((i32::from(p.x_zero) + offset).wrapping_mul(sum))
        };
        let largest = |c: usize| {
            let weights: i64 = of(c).iter().map(|&w| i64::from(w).abs()).sum();
            (255 * weights + i64::from(p.bias.get(c).copied().unwrap_or(0)).abs()) as f64
        };
        let requantize = |zero: u8, prelu: Option<&Prelu<'_>>| {
            Requantize::new(p.scale, per_block_group, zero, prelu, largest).map(Finish::Bytes)
        };
        let (finish, prelu) = match &p.output {
            ConvOutput::Floats => (Finish::Floats(p.scale.to_vec()), None),
            ConvOutput::Bytes { zero, prelu } => match requantize(*zero, prelu.as_ref()) {
                Some(finish) => (finish, None),
                None => {
                    let exact = || Finish::ExactBytes { scale: p.scale.to_vec(), zero: *zero };
                    let prelu = prelu.as_ref().map(|prelu| ExactPrelu::new(prelu, *zero));
                    (requantize(*zero, None).unwrap_or_else(exact), prelu)
                }
            },
        };
        Ok(Self {
            isa,
            geometry: p.geometry.clone(),
            groups: p.groups,
            in_channels: p.in_channels,
            out_channels: p.out_channels,
            weights,
            bias: blocks(p.out_channels, per_block_group, bias),
            finish,
            prelu,
        })
    }

    /// Spatial side.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Input channels.
    pub fn in_channels(&self) -> usize {
        self.in_channels
    }

    /// Output channels.
    pub fn out_channels(&self) -> usize {
        self.out_channels
    }

    /// Products of one output pixel.
    pub fn products_per_pixel(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1] * self.in_channels / self.groups * self.out_channels
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Depthwise(weights) => weights.bytes(),
            Weights::Gemm { panels, .. } => panels.bytes(),
        };
        let finish = match &self.finish {
            Finish::Bytes(r) => r.bytes(),
            Finish::Floats(scale) | Finish::ExactBytes { scale, .. } => scale.capacity() * 4,
        };
        let prelu = self.prelu.as_ref().map_or(0, |prelu| prelu.slope.capacity() * size_of::<f32>());
        weights + self.bias.capacity() * size_of::<Sums>() + finish + prelu
    }

    /// Makes room for what [`Conv::run`] keeps.
    pub fn reserve(&self, scratch: &mut Scratch) {
        let bytes = matches!(self.finish, Finish::Bytes(_));
        if bytes && matches!(self.weights, Weights::Gemm { winograd: true, .. }) {
            scratch.winograd.reserve(self.in_channels);
        }
        if !bytes {
            scratch.sums.resize((CHUNK * self.out_channels).max(scratch.sums.len()), 0);
        }
    }

    fn layout(&self) -> Activations {
        match self.weights {
            Weights::Depthwise(_) => Activations::Bytes,
            Weights::Gemm { .. } => self.isa.activations(),
        }
    }

    /// Runs on `x`, an image whose border holds the zero point and is wide enough, with
    /// [`READ_AHEAD`] bytes behind it. The target's border is left alone.
    pub fn run(&self, x: &[u8], input: &Image, mut target: Target<'_>, scratch: &mut Scratch) -> Result<()> {
        let [out_h, out_w] = self.geometry.output([input.height, input.width])?;
        let pixels = input.batch * out_h * out_w;
        let fits = match &target {
            Target::Bytes(y, image) => {
                y.len() >= image.bytes()
                    && [image.batch, image.height, image.width, image.channels]
                        == [input.batch, out_h, out_w, self.out_channels]
            }
            Target::Floats(y) => y.len() == pixels * self.out_channels,
        };
        if !fits
            || input.channels != self.in_channels
            || x.len() < input.bytes() + READ_AHEAD
            || input.border < self.geometry.border()
        {
            return Err(Error::Inference(format!("a convolution of {} channels given {input:?}", self.in_channels)));
        }
        if let (Target::Bytes(y, output), Weights::Gemm { panels, winograd: true, .. }, Finish::Bytes(requantize)) =
            (&mut target, &self.weights, &self.finish)
        {
            let pad = self.geometry.pad_before;
            let winograd = Winograd { activations: x, input, pad, output, panels, bias: &self.bias };
            self.isa.winograd(&winograd, y, requantize, &mut scratch.winograd);
        } else {
            self.run_in_chunks(x, input, &mut target, scratch)?;
        }
        if let (Target::Bytes(y, output), Some(prelu)) = (target, &self.prelu) {
            output.rows().for_each(|row| prelu.apply(&mut y[row]));
        }
        Ok(())
    }

    /// Runs by the kernels of [`Gemm`] and [`Depthwise`].
    fn run_in_chunks(&self, x: &[u8], input: &Image, target: &mut Target<'_>, scratch: &mut Scratch) -> Result<()> {
        let [out_h, out_w] = self.geometry.output([input.height, input.width])?;
        let pixels = input.batch * out_h * out_w;
        self.reserve(scratch);
        let layout = self.layout();
        let mut rows = [0usize; MOST_ROWS];
        let rows = self.row_offsets(input, &mut rows);
        // Where rows are long a chunk keeps within one, so that little has to be laid out.
        let per_row = if out_w >= CHUNK { out_w } else { pixels };
        let (mut inputs, mut outputs) = ([0usize; CHUNK], [0usize; CHUNK]);
        let [stride_y, stride_x] = self.geometry.stride;
        let [top, left] = self.geometry.pad_before;
        let (mut picture, mut oy, mut ox) = (0, 0, 0);
        let mut first = 0;
        while first < pixels {
            let count = CHUNK.min(per_row - first % per_row);
            for i in 0..count {
                let (y, x) = (oy * stride_y + input.border - top, ox * stride_x + input.border - left);
                inputs[i] = input.offset(picture, y, x);
                outputs[i] = match (&*target, &self.finish) {
                    (Target::Bytes(_, image), Finish::Bytes(_)) => {
                        image.offset(picture, oy + image.border, ox + image.border)
                    }
                    _ => i * self.out_channels,
                };
                ox += 1;
                if ox == out_w {
                    (ox, oy) = (0, oy + 1);
                }
                if oy == out_h {
                    (oy, picture) = (0, picture + 1);
                }
            }
            // A last tile that is not full repeats the chunk's last pixel.
            let tiled = count.next_multiple_of(TILE_PIXELS);
            for i in count..tiled {
                (inputs[i], outputs[i]) = (inputs[count - 1], outputs[count - 1]);
            }
            let mut laid_out = [0usize; MOST_ROWS];
            let work = if layout == Activations::Bytes {
                Chunk { x, size: 1, rows, inputs: &inputs[..tiled], outputs: &outputs[..tiled] }
            } else {
                let starts = &mut laid_out[..rows.len()];
                self.lay_out(x, layout, rows, &mut inputs[..tiled], starts, &mut scratch.activations);
                let x = scratch.activations.as_slice();
                Chunk { x, size: layout.size(), rows: starts, inputs: &inputs[..tiled], outputs: &outputs[..tiled] }
            };
            match (&mut *target, &self.finish) {
                (Target::Bytes(y, _), Finish::Bytes(requantize)) => self.chunk(&work, Results::Bytes(y, requantize)),
                (Target::Bytes(y, image), Finish::ExactBytes { scale, zero }) => {
                    self.chunk(&work, Results::Sums(&mut scratch.sums));
                    for (i, sums) in scratch.sums.chunks_exact(self.out_channels).take(count).enumerate() {
                        let (n, p) = ((first + i) / (out_h * out_w), (first + i) % (out_h * out_w));
                        let at = image.offset(n, p / out_w + image.border, p % out_w + image.border);
                        let y = y[at..].iter_mut().zip(sums).zip(scale);
                        y.for_each(|((y, &sum), scale)| *y = saturate(sum as f32 * scale, *zero));
                    }
                }
                (Target::Floats(y), Finish::Floats(scale)) => {
                    self.chunk(&work, Results::Sums(&mut scratch.sums));
                    let y = y[first * self.out_channels..].chunks_exact_mut(self.out_channels);
                    for (y, sums) in y.zip(scratch.sums.chunks_exact(self.out_channels)).take(count) {
                        y.iter_mut().zip(sums).zip(scale).for_each(|((y, &sum), scale)| *y = sum as f32 * scale);
                    }
                }
                _ => return Err(Error::Inference("a convolution asked for floats makes bytes, or the reverse".into())),
            }
            first += count;
        }
        Ok(())
    }

    /// Copies what a chunk reads into `to` as its kernel wants it, kernel row by kernel row,
    /// and moves the offsets there. (A chunk fits the second-level cache; all activations at
    /// once would not, and would take twice their memory.)
    fn lay_out(
        &self,
        x: &[u8],
        layout: Activations,
        rows: &[usize],
        inputs: &mut [usize],
        starts: &mut [usize],
        to: &mut Vec<u8>,
    ) {
        let first = inputs.iter().copied().min().unwrap_or(0);
        let last = inputs.iter().copied().max().unwrap_or(0);
        let merged = matches!(self.weights, Weights::Gemm { merged: true, .. });
        let row = if merged { self.geometry.kernel[1] * self.in_channels } else { self.in_channels };
        let length = last - first + row + READ_AHEAD;
        let size = layout.size();
        if to.len() < rows.len() * length * size {
            to.resize(rows.len() * length * size, 0);
        }
        for (row, to) in rows.iter().zip(to.chunks_exact_mut(length * size)) {
            let x = &x[first + row..];
            copy_as(&x[..length.min(x.len())], layout, to);
        }
        starts.iter_mut().enumerate().for_each(|(i, start)| *start = i * length * size);
        inputs.iter_mut().for_each(|input| *input = (*input - first) * size);
    }

    /// Offset in bytes of each kernel row (or tap) from the first.
    fn row_offsets<'r>(&self, input: &Image, rows: &'r mut [usize; MOST_ROWS]) -> &'r [usize] {
        let Geometry { kernel: [h, w], dilation, .. } = self.geometry;
        let merged = matches!(self.weights, Weights::Gemm { merged: true, .. });
        let per_row = if merged { 1 } else { w };
        for (i, row) in rows.iter_mut().enumerate().take(h * per_row) {
            *row = input.offset(0, i / per_row * dilation[0], i % per_row * dilation[1]);
        }
        // The weights of added taps are zero; any valid offset, such as 0, will do.
        let count = match &self.weights {
            Weights::Depthwise(weights) => weights.taps(),
            Weights::Gemm { .. } => h * per_row,
        };
        &rows[..count]
    }

    fn chunk(&self, work: &Chunk<'_>, mut results: Results<'_>) {
        match &self.weights {
            Weights::Depthwise(weights) => {
                let depthwise = Depthwise {
                    activations: work.x,
                    pixels: work.inputs,
                    taps: work.rows,
                    weights,
                    bias: &self.bias,
                    channels: self.out_channels,
                };
                self.isa.depthwise(&depthwise, results.starting_at(0, work.outputs));
            }
            Weights::Gemm { panels, .. } => {
                let (in_group, out_group) = (self.in_channels / self.groups, self.out_channels / self.groups);
                let blocks = out_group.div_ceil(BLOCK);
                for group in 0..self.groups {
                    let gemm = Gemm {
                        // A group sees its own channels: everything moves by its first one.
                        activations: &work.x[group * in_group * work.size..],
                        pixels: work.inputs,
                        rows: work.rows,
                        panels,
                        blocks: group * blocks..(group + 1) * blocks,
                        channels: out_group,
                        bias: &self.bias,
                    };
                    self.isa.gemm(&gemm, results.starting_at(group * out_group, work.outputs));
                }
            }
        }
    }
}

/// Whether [`winograd`] can compute a convolution, and has enough channels to gain by it.
fn suits_winograd(p: &ConvParams<'_>) -> bool {
    const FEWEST_CHANNELS: usize = 16;
    let Geometry { kernel, stride, dilation, .. } = p.geometry;
    let largest_sum = |weights: &[i8]| {
        let of_sign = |sign: i64| weights.iter().map(|&w| (i64::from(w) * sign).max(0)).sum::<i64>();
        255 * of_sign(1).max(of_sign(-1))
    };
    (kernel, stride, dilation, p.groups) == ([3, 3], [1, 1], [1, 1], 1)
        && matches!(p.output, ConvOutput::Bytes { .. })
        && p.in_channels.is_multiple_of(2)
        && p.in_channels.min(p.out_channels) >= FEWEST_CHANNELS
        && p.weights.chunks(p.in_channels * 9).all(|weights| largest_sum(weights) < winograd::LARGEST)
}

/// Some output pixels.
struct Chunk<'a> {
    /// Activations as the kernel wants them.
    x: &'a [u8],
    /// Bytes per activation.
    size: usize,
    rows: &'a [usize],
    inputs: &'a [usize],
    outputs: &'a [usize],
}

/// What a chunk is written to.
enum Results<'a> {
    Bytes(&'a mut [u8], &'a Requantize),
    Sums(&'a mut [i32]),
}

impl Results<'_> {
    fn starting_at<'a>(&'a mut self, first: usize, offsets: &'a [usize]) -> Output<'a> {
        match self {
            Self::Bytes(y, requantize) => Output::Bytes { y: &mut y[first..], offsets, requantize },
            Self::Sums(y) => Output::Sums { y: &mut y[first..], offsets },
        }
    }
}

/// Writes activations as a kernel wants them.
fn copy_as(x: &[u8], layout: Activations, to: &mut [u8]) {
    match layout {
        Activations::Bytes => {}
        Activations::SignedBytes => to.iter_mut().zip(x).for_each(|(to, x)| *to = x ^ 0x80),
        Activations::Words => {
            to.as_chunks_mut::<2>().0.iter_mut().zip(x).for_each(|(to, &x)| *to = u16::from(x).to_le_bytes());
        }
    }
}

/// Spreads a value per channel over blocks of eight that do not cross a group; missing
/// channels are zero.
fn blocks(channels: usize, per_group: usize, value: impl Fn(usize) -> i32) -> Vec<Sums> {
    let of_group = |group: usize| {
        (0..per_group).step_by(BLOCK).map(move |first| (group * per_group + first, BLOCK.min(per_group - first)))
    };
    let mut blocks: Vec<Sums> = (0..channels / per_group)
        .flat_map(of_group)
        .map(|(first, count)| std::array::from_fn(|c| if c < count { value(first + c) } else { 0 }))
        .collect();
    blocks.shrink_to_fit();
    blocks
}

#[cfg(test)]
mod tests;
