//! Everything about a region that depends on the shape of its inputs: shapes and
//! layouts of all values, the borders that convolutions read, and where in memory each lies.

use super::conv::READ_AHEAD;
use super::geometry::Geometry;
use super::image::Image;
use super::island::LeafKind;
use super::region::{Op, Region, ResizeTo, Step};
use crate::error::{Error, Result};
use std::ops::RangeInclusive;

/// What a model file and a shape cannot make us allocate.
const MOST_ARENA_BYTES: usize = 1 << 30;

/// A region bound to input shapes.
pub struct Plan {
    /// What is done, in order.
    pub steps: Vec<PlannedStep>,
    /// Bytes that hold all values, one in another's place as soon as that is not needed.
    pub arena_bytes: usize,
    /// Shapes of the float outputs.
    pub output_shapes: Vec<Vec<usize>>,
    /// Multiplications with additions in convolutions and dense layers.
    pub macs: u64,
}

/// A step with its places.
pub struct PlannedStep {
    /// The region's step, or a copy that its inputs need.
    pub action: Action,
    /// What it reads.
    pub inputs: Vec<Operand>,
    /// What it writes.
    pub output: Operand,
    /// The zero point that goes into the output's border.
    pub border: u8,
}

/// What a planned step does.
pub enum Action {
    /// That of the region's step with this position.
    Step(usize),
    /// Copies bytes in another order.
    Gather {
        /// Offset of the first in the input.
        start: usize,
        /// From the slowest to the fastest of the output: length, and step in the input.
        axes: Vec<(usize, usize)>,
    },
    /// Copies pictures, to give them a border.
    Copy,
}

/// A value in its place.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Where it is.
    pub place: Place,
    /// How it lies there.
    pub image: Image,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A float input of the region.
    Input(usize),
    /// A float output of the region.
    Output(usize),
    /// Bytes, from this byte of the arena on.
    Bytes(usize),
    /// Floats with channels last, from this byte of the arena on.
    Floats(usize),
}

/// Order of a value's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// ONNX's own: the last axis varies fastest.
    RowMajor,
    /// Of a four-dimensional NCHW value: channels vary fastest.
    ChannelsLast,
}

fn error(step: &Step, what: impl std::fmt::Display) -> Error {
    Error::Model(format!("{}: {what}", step.name))
}

/// Shapes of all values of a region, empty for those that its inputs do not lead to.
pub fn shapes(region: &Region, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
    let mut shapes = vec![vec![]; region.values.len()];
    for (&value, shape) in region.inputs.iter().zip(inputs) {
        // Refuses what is too large, so that no product below overflows.
        image(shape)?;
        shapes[value] = shape.clone();
    }
    for step in &region.steps {
        let of: Vec<&[usize]> = step.inputs.iter().map(|&i| shapes[i].as_slice()).collect();
        let shape = output_shape(step, &of)?;
        if shape.contains(&0) {
            return Err(error(step, format!("an empty result, {shape:?}")));
        }
        image(&shape).map_err(|e| error(step, e))?;
        shapes[step.output] = shape;
    }
    Ok(shapes)
}

/// Shape of a step's output, in ONNX's order.
fn output_shape(step: &Step, inputs: &[&[usize]]) -> Result<Vec<usize>> {
    let Some(&first) = inputs.first() else { return Err(error(step, "no input")) };
    let picture = || match *first {
        [n, c, h, w] => Ok([n, c, h, w]),
        _ => Err(error(step, format!("an input of shape {first:?}, expected pictures (NCHW)"))),
    };
    let windowed = |g: &Geometry, channels: usize| {
        let [n, _, h, w] = picture()?;
        let [h, w] = g.output([h, w]).map_err(|e| error(step, e))?;
        Ok(vec![n, channels, h, w])
    };
    match &step.op {
        Op::Island(island) => {
            // Pictures of one pixel spread over the others.
            let largest = inputs.iter().max_by_key(|s| s.iter().product::<usize>()).copied().unwrap_or(first);
            for (shape, leaf) in inputs.iter().zip(&island.leaves) {
                let pixel = matches!(leaf, LeafKind::Bytes(_))
                    && matches!((*shape, largest), ([n, c, 1, 1], [m, d, _, _]) if (n, c) == (m, d));
                if *shape != largest && !pixel {
                    return Err(error(step, format!("shapes {shape:?} and {largest:?} do not go together")));
                }
            }
            island.check(image(largest)?.channels).map_err(|e| error(step, e))?;
            Ok(largest.to_vec())
        }
        Op::Dequantize { .. } | Op::Table(_) | Op::Export | Op::Import | Op::ExportFloats | Op::ImportFloats => {
            Ok(first.to_vec())
        }
        Op::FloatConv(conv) => {
            let [n, channels, h, w] = picture()?;
            if channels != conv.in_channels() {
                return Err(error(step, format!("{channels} channels, its weights are for {}", conv.in_channels())));
            }
            let [h, w] = conv.output([h, w]).map_err(|e| error(step, e))?;
            Ok(vec![n, conv.out_channels(), h, w])
        }
        Op::Conv { conv, dense: true, .. } => match first.split_last() {
            Some((&last, rest)) if last == conv.in_channels() => Ok([rest, &[conv.out_channels()]].concat()),
            _ => Err(error(step, format!("an input of shape {first:?} for {} weights each", conv.in_channels()))),
        },
        Op::Conv { conv, .. } => {
            let [_, channels, ..] = picture()?;
            if channels != conv.in_channels() {
                return Err(error(step, format!("{channels} channels, its weights are for {}", conv.in_channels())));
            }
            windowed(conv.geometry(), conv.out_channels())
        }
        Op::MaxPool(g) => windowed(g, picture()?[1]),
        Op::AveragePool(pool) => match &pool.geometry {
            Some(g) => windowed(g, picture()?[1]),
            None => Ok(vec![picture()?[0], picture()?[1], 1, 1]),
        },
        Op::Resize(to) => {
            let [n, c, h, w] = picture()?;
            let [fh, fw] = factors(to, [h, w]).ok_or_else(|| error(step, "not a resize by whole factors"))?;
            match h.checked_mul(fh).zip(w.checked_mul(fw)) {
                Some((h, w)) => Ok(vec![n, c, h, w]),
                None => Err(error(step, "a result too large")),
            }
        }
        Op::Concat { axis, .. } => {
            let axis = axis_of(*axis, first.len()).filter(|&a| a < first.len());
            let Some(axis) = axis else { return Err(error(step, format!("axis of {first:?}"))) };
            let mut shape = first.to_vec();
            shape[axis] = 0;
            for input in inputs {
                let same = |(i, d): (usize, &usize)| i == axis || input.get(i) == Some(d);
                if input.len() != first.len() || !first.iter().enumerate().all(same) {
                    return Err(error(step, format!("shapes {input:?} and {first:?} do not go together")));
                }
                shape[axis] += input[axis];
            }
            Ok(shape)
        }
        Op::Transpose(axes) => {
            let mut sorted = axes.clone();
            sorted.sort_unstable();
            match sorted.iter().copied().eq(0..first.len()) {
                true => Ok(axes.iter().map(|&a| first[a]).collect()),
                false => Err(error(step, format!("axes {axes:?} of {first:?}"))),
            }
        }
        Op::Reshape(wanted) => reshaped(first, wanted).ok_or_else(|| error(step, format!("{first:?} to {wanted:?}"))),
        Op::Flatten(axis) => match axis_of(*axis, first.len()) {
            Some(axis) => Ok(vec![first[..axis].iter().product(), first[axis..].iter().product()]),
            None => Err(error(step, format!("axis {axis} of {first:?}"))),
        },
    }
}

/// An axis counted from the front; one past the last is allowed.
fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add_unsigned(rank as u64)? } else { axis };
    usize::try_from(axis).ok().filter(|&a| a <= rank)
}

fn reshaped(from: &[usize], wanted: &[i64]) -> Option<Vec<usize>> {
    let total: usize = from.iter().product();
    let mut shape = Vec::with_capacity(wanted.len());
    for (i, &d) in wanted.iter().enumerate() {
        shape.push(match d {
            -1 => 0,
            0 => *from.get(i)?,
            d => usize::try_from(d).ok()?,
        });
    }
    if let Some(rest) = wanted.iter().position(|&d| d == -1) {
        let mut others = shape.iter().enumerate().filter(|&(i, _)| i != rest);
        let known = others.try_fold(1usize, |n, (_, &d)| n.checked_mul(d))?;
        shape[rest] = total.checked_div(known)?;
    }
    let product = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    (product == total && wanted.iter().filter(|&&d| d == -1).count() <= 1).then_some(shape)
}

/// Whole factors of a resize.
fn factors(to: &ResizeTo, [h, w]: [usize; 2]) -> Option<[usize; 2]> {
    match *to {
        ResizeTo::Factors(factors) => Some(factors),
        ResizeTo::Size([to_h, to_w]) => {
            let whole = to_h.is_multiple_of(h) && to_w.is_multiple_of(w) && to_h >= h && to_w >= w;
            whole.then_some([to_h / h, to_w / w])
        }
    }
}

/// How a value of this shape lies in memory, without a border.
fn image(shape: &[usize]) -> Result<Image> {
    match *shape {
        [n, c, h, w] => Image::new(n, h, w, c),
        [n, c] => Image::new(n, 1, 1, c),
        _ => {
            let values = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            Image::new(1, 1, 1, values.unwrap_or(usize::MAX))
        }
    }
}

/// A value while planning.
struct Value {
    shape: Vec<usize>,
    order: Order,
    image: Image,
    /// Zero point of the border, once a convolution has asked for one.
    border: Option<u8>,
    /// The region's input or output that it is.
    outside: Option<Place>,
    /// Floats that stay in the region.
    floats: bool,
}

/// Steps over values, before these have places.
struct Draft {
    action: Action,
    inputs: Vec<(usize, Image)>,
    output: (usize, Image),
}

struct Planner {
    values: Vec<Value>,
    drafts: Vec<Draft>,
}

impl Plan {
    /// Plans a region for inputs of these shapes.
    pub fn new(region: &Region, inputs: &[Vec<usize>]) -> Result<Self> {
        let shapes = shapes(region, inputs)?;
        let output_shapes = region.outputs.iter().map(|&o| shapes[o].clone()).collect();
        let mut planner = Planner { values: Vec::with_capacity(shapes.len()), drafts: Vec::new() };
        for (index, shape) in shapes.into_iter().enumerate() {
            let input = region.inputs.iter().position(|&i| i == index).map(Place::Input);
            let output = region.outputs.iter().position(|&o| o == index).map(Place::Output);
            let order = if shape.len() == 4 { Order::ChannelsLast } else { Order::RowMajor };
            planner.values.push(Value {
                image: image(&shape)?,
                shape,
                order,
                border: None,
                outside: input.or(output),
                floats: region.steps.iter().any(|s| s.output == index && s.op.makes_floats()),
            });
        }
        let mut macs = 0u64;
        for (index, step) in region.steps.iter().enumerate() {
            planner.add(index, step)?;
            if let Op::Conv { conv, .. } = &step.op {
                let outputs: usize = planner.values[step.output].shape.iter().product();
                macs += (outputs / conv.out_channels() * conv.products_per_pixel()) as u64;
            }
        }
        let (steps, arena_bytes) = planner.place();
        if arena_bytes > MOST_ARENA_BYTES {
            let most = MOST_ARENA_BYTES >> 20;
            return Err(Error::Inference(format!("inputs of {inputs:?} take more than {most} MiB of activations")));
        }
        Ok(Self { steps, arena_bytes, output_shapes, macs })
    }
}

impl Planner {
    fn add(&mut self, index: usize, step: &Step) -> Result<()> {
        let mut inputs = step.inputs.clone();
        match &step.op {
            Op::Conv { conv, dense: false, x_zero, .. } => {
                inputs[0] = self.channels_last(inputs[0])?;
                inputs[0] = self.with_border(inputs[0], conv.geometry().border(), *x_zero)?;
            }
            Op::FloatConv(conv) => inputs[0] = self.with_border(inputs[0], conv.border(), 0)?,
            Op::MaxPool(_) | Op::AveragePool(_) | Op::Resize(_) | Op::Export => {
                inputs[0] = self.channels_last(inputs[0])?
            }
            // Parameters are per channel, so that channels must be where they are looked for.
            Op::Island(_) => {
                for input in &mut inputs {
                    *input = self.channels_last(*input)?;
                }
            }
            Op::Concat { .. } => {
                let last = inputs.iter().any(|&i| self.values[i].order == Order::ChannelsLast);
                if last {
                    for input in &mut inputs {
                        *input = self.channels_last(*input)?;
                    }
                } else {
                    self.values[step.output].order = Order::RowMajor;
                }
            }
            Op::Table(_) | Op::Dequantize { .. } => self.values[step.output].order = self.values[inputs[0]].order,
            _ => {}
        }
        match &step.op {
            Op::Conv { conv, dense: true, .. } => {
                // Any leading axes are rows of a matrix.
                let rows = |v: &Value, columns| Image::new(v.shape.iter().product::<usize>() / columns, 1, 1, columns);
                let input = self.in_row_major(inputs[0])?;
                let x = rows(&self.values[input], conv.in_channels())?;
                let y = rows(&self.values[step.output], conv.out_channels())?;
                self.values[step.output].order = Order::RowMajor;
                self.drafts.push(Draft {
                    action: Action::Step(index),
                    inputs: vec![(input, x)],
                    output: (step.output, y),
                });
            }
            Op::Concat { axis, .. } => self.concatenate(index, step, *axis, &inputs)?,
            Op::Transpose(axes) => self.transpose(step, axes, inputs[0]),
            Op::Reshape(_) | Op::Flatten(_) => {
                let order: Vec<usize> = (0..self.values[inputs[0]].shape.len()).collect();
                self.gather(inputs[0], step.output, &order);
                self.values[step.output].order = Order::RowMajor;
            }
            _ => {
                // What does not depend on the order takes a row as it is.
                let row = |v: &Value| Image::new(1, 1, 1, v.shape.iter().product());
                let as_row =
                    self.values[step.output].order == Order::RowMajor && self.values[step.output].shape.len() == 4;
                let mut operand = |v: usize| -> Result<(usize, Image)> {
                    let value = &self.values[v];
                    Ok((v, if as_row { row(value)? } else { value.image }))
                };
                let inputs = inputs.into_iter().map(&mut operand).collect::<Result<_>>()?;
                let output = operand(step.output)?;
                self.drafts.push(Draft { action: Action::Step(index), inputs, output });
            }
        }
        Ok(())
    }

    /// Along channels pixel by pixel; along any other axis as a matrix of what comes
    /// before it times what it and the later axes hold.
    fn concatenate(&mut self, index: usize, step: &Step, axis: i64, inputs: &[usize]) -> Result<()> {
        let output = &self.values[step.output];
        let rank = output.shape.len();
        let axis = axis_of(axis, rank).ok_or_else(|| error(step, "axis"))?;
        let channels = output.order == Order::ChannelsLast && axis == 1;
        let view = |value: &Value| -> Result<Image> {
            if channels {
                return Ok(value.image);
            }
            let before = value.shape[..axis].iter().product();
            Image::new(before, 1, 1, value.shape[axis..].iter().product())
        };
        let mut sources = inputs.to_vec();
        if !channels {
            for source in &mut sources {
                *source = self.in_row_major(*source)?;
            }
            self.values[step.output].order = Order::RowMajor;
        }
        let inputs = sources.iter().map(|&i| Ok((i, view(&self.values[i])?))).collect::<Result<_>>()?;
        let output = (step.output, view(&self.values[step.output])?);
        self.drafts.push(Draft { action: Action::Step(index), inputs, output });
        Ok(())
    }

    fn transpose(&mut self, step: &Step, axes: &[usize], input: usize) {
        // NHWC in ONNX's order becomes pictures as they are kept here: the same bytes.
        if self.values[input].order == Order::RowMajor && axes == [0, 3, 1, 2] {
            self.gather(input, step.output, &[0, 1, 2, 3]);
            self.values[step.output].order = Order::ChannelsLast;
        } else {
            self.gather(input, step.output, axes);
            self.values[step.output].order = Order::RowMajor;
        }
    }

    /// Reads the input's axes in the given order into consecutive bytes.
    fn gather(&mut self, input: usize, output: usize, axes: &[usize]) {
        let value = &self.values[input];
        let (shape, image) = (&value.shape, &value.image);
        let steps: Vec<usize> = match (value.order, shape.as_slice()) {
            (Order::ChannelsLast, [_, _, _, _]) => vec![image.plane_bytes(), 1, image.row_bytes(), image.channels],
            _ => (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect(),
        };
        let start = image.offset(0, image.border, image.border);
        // Axes of one value do nothing, and what lies side by side is one axis.
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (length, step) in axes.iter().map(|&a| (shape[a], steps[a])).filter(|&(length, _)| length != 1) {
            match merged.last_mut() {
                Some(last) if last.1 == length * step => *last = (last.0 * length, step),
                _ => merged.push((length, step)),
            }
        }
        let draft = Draft {
            action: Action::Gather { start, axes: merged },
            inputs: vec![(input, value.image)],
            output: (output, self.values[output].image),
        };
        self.drafts.push(draft);
    }

    /// The value as pictures with channels last, converted if it is not.
    fn channels_last(&mut self, input: usize) -> Result<usize> {
        let value = &self.values[input];
        if value.order == Order::ChannelsLast || value.shape.len() != 4 {
            return Ok(input);
        }
        let copy = self.push(value.shape.clone(), Order::ChannelsLast)?;
        self.gather(input, copy, &[0, 2, 3, 1]);
        Ok(copy)
    }

    /// The value in ONNX's order, converted if it is not.
    fn in_row_major(&mut self, input: usize) -> Result<usize> {
        let value = &self.values[input];
        if value.order == Order::RowMajor {
            return Ok(input);
        }
        let axes: Vec<usize> = (0..value.shape.len()).collect();
        let copy = self.push(value.shape.clone(), Order::RowMajor)?;
        self.gather(input, copy, &axes);
        Ok(copy)
    }

    fn push(&mut self, shape: Vec<usize>, order: Order) -> Result<usize> {
        self.values.push(Value { image: image(&shape)?, shape, order, border: None, outside: None, floats: false });
        Ok(self.values.len() - 1)
    }

    /// The value with a border of at least `border` pixels of `zero`.
    fn with_border(&mut self, input: usize, border: usize, zero: u8) -> Result<usize> {
        if border == 0 || (self.values[input].border == Some(zero) && self.values[input].image.border >= border) {
            return Ok(input);
        }
        // The value's producer can write it, unless its bytes have been promised otherwise.
        let gathered = self.drafts.iter().any(|d| {
            let touches = |v: usize| d.inputs.iter().any(|i| i.0 == v) || d.output.0 == v;
            touches(input) && (matches!(d.action, Action::Gather { .. }) || self.reinterpreted(d, input))
        });
        let free = self.values[input].border.is_none_or(|z| z == zero) && !gathered;
        let target = match free {
            true => input,
            false => {
                let copy = self.push(self.values[input].shape.clone(), Order::ChannelsLast)?;
                self.values[copy].floats = self.values[input].floats;
                copy
            }
        };
        let value = &mut self.values[target];
        value.image = value.image.with_border(border)?;
        value.border = Some(zero);
        let image = value.image;
        if free {
            for draft in &mut self.drafts {
                let operands = draft.inputs.iter_mut().chain(std::iter::once(&mut draft.output));
                operands.filter(|(v, _)| *v == target).for_each(|(_, i)| *i = image);
            }
        } else {
            let from = (input, self.values[input].image);
            self.drafts.push(Draft { action: Action::Copy, inputs: vec![from], output: (target, image) });
        }
        Ok(target)
    }

    /// Whether a draft sees a value as something other than its pictures.
    fn reinterpreted(&self, draft: &Draft, value: usize) -> bool {
        let operands = draft.inputs.iter().chain(std::iter::once(&draft.output));
        operands.filter(|(v, _)| *v == value).any(|(_, image)| *image != self.values[value].image)
    }

    /// Gives every value a place from the step that makes it to the last that reads it.
    fn place(self) -> (Vec<PlannedStep>, usize) {
        let mut lives: Vec<Option<RangeInclusive<usize>>> = vec![None; self.values.len()];
        for (time, draft) in self.drafts.iter().enumerate() {
            for value in draft.inputs.iter().map(|i| i.0).chain([draft.output.0]) {
                let first = lives[value].as_ref().map_or(time, |life| *life.start());
                lives[value] = Some(first..=time);
            }
        }
        let inside = self.values.iter().zip(lives).map(|(value, life)| Live {
            bytes: match value.floats {
                true => value.image.bytes() * size_of::<f32>(),
                false => value.image.bytes() + READ_AHEAD,
            },
            life: life.filter(|_| value.outside.is_none()),
        });
        let (starts, arena_bytes) = pack(&inside.collect::<Vec<_>>());
        let operand = |(v, image): (usize, Image)| {
            let inside = if self.values[v].floats { Place::Floats(starts[v]) } else { Place::Bytes(starts[v]) };
            Operand { place: self.values[v].outside.unwrap_or(inside), image }
        };
        let planned = |draft: Draft| PlannedStep {
            inputs: draft.inputs.into_iter().map(operand).collect(),
            output: operand(draft.output),
            border: self.values[draft.output.0].border.unwrap_or(0),
            action: draft.action,
        };
        (self.drafts.into_iter().map(planned).collect(), arena_bytes)
    }
}

/// How much memory a value takes, and when.
struct Live {
    bytes: usize,
    /// From which step to which; `None` for what needs no memory of ours.
    life: Option<RangeInclusive<usize>>,
}

/// Where each value starts in one piece of memory, and how large that is: the largest come first,
/// each at the lowest place that is free for its whole life (greedy by size: Pisarchyk and Lee,
/// "Efficient Memory Management for Deep Neural Net Inference", 2020, arXiv:2001.03288).
fn pack(values: &[Live]) -> (Vec<usize>, usize) {
    /// Enough for floats, and as much as a cache line has, so that values share few.
    const ALIGNMENT: usize = 64;
    let mut starts = vec![0usize; values.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut order: Vec<usize> = (0..values.len()).filter(|&v| values[v].life.is_some()).collect();
    order.sort_by_key(|&v| std::cmp::Reverse(values[v].bytes));
    let mut total = 0;
    for value in order {
        let Some(life) = &values[value].life else { continue };
        let beside = |other: &&usize| {
            let other = &values[**other].life;
            other.as_ref().is_some_and(|other| other.start() <= life.end() && life.start() <= other.end())
        };
        let mut taken: Vec<(usize, usize)> =
            placed.iter().filter(beside).map(|&v| (starts[v], starts[v].saturating_add(values[v].bytes))).collect();
        taken.sort_unstable();
        let mut start = 0usize;
        for (from, to) in taken {
            if start.saturating_add(values[value].bytes) <= from {
                break;
            }
            start = start.max(to.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX));
        }
        starts[value] = start;
        placed.push(value);
        total = total.max(start.saturating_add(values[value].bytes));
    }
    (starts, total)
}

#[cfg(test)]
mod tests {
    use super::super::test_random::Random;
    use super::*;

    #[test]
    fn values_that_live_together_lie_apart() {
        let mut random = Random::new(7);
        for _ in 0..50 {
            let mut value = || {
                let first = random.below(30);
                let life = (random.below(9) > 0).then(|| first..=first + random.below(6));
                Live { bytes: 1 + random.below(5000), life }
            };
            let values: Vec<Live> = (0..40).map(|_| value()).collect();
            let (starts, total) = pack(&values);
            let alive = |time: usize| {
                let lives =
                    move |v: &usize, values: &[Live]| values[*v].life.as_ref().is_some_and(|l| l.contains(&time));
                (0..values.len()).filter(|v| lives(v, &values)).collect::<Vec<_>>()
            };
            let mut needed = 0;
            for time in 0..40 {
                let mut places: Vec<(usize, usize)> =
                    alive(time).into_iter().map(|v| (starts[v], starts[v] + values[v].bytes)).collect();
                places.sort_unstable();
                assert!(places.windows(2).all(|two| two[0].1 <= two[1].0), "{places:?}");
                assert!(places.iter().all(|place| place.1 <= total));
                needed = needed.max(places.iter().map(|(from, to)| to - from).sum());
            }
            // Far from one buffer for each.
            assert!(total <= needed * 3 / 2, "{total} bytes for {needed}");
        }
    }

    #[test]
    fn a_chain_takes_its_two_largest_neighbours() {
        let chain = [1000, 400, 2000, 300].into_iter().enumerate();
        let values: Vec<Live> = chain.map(|(t, bytes)| Live { bytes, life: Some(t..=t + 1) }).collect();
        let (_, total) = pack(&values);
        assert!((2400..2400 + 64).contains(&total), "{total}");
    }
}
