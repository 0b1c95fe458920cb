//! Running a planned region.

use super::conv::{Scratch, Target};
use super::image::Image;
use super::island::{self, Island, Leaf, Quantization};
use super::plan::{Action, Operand, Place, Plan, PlannedStep};
use super::pool;
use super::region::{Op, Region};
use crate::error::{Error, Result};

/// Leaves of an island that fit on the stack.
pub const MOST_LEAVES: usize = 8;

/// The memory that a run works in: made once, used for every run of its plan.
#[derive(Default)]
pub struct Arena {
    buffers: Vec<Vec<u8>>,
    float_buffers: Vec<Vec<f32>>,
    conv: Scratch,
    floats: Vec<f32>,
}

impl Arena {
    /// For a region and its plan.
    pub fn new(region: &Region, plan: &Plan) -> Self {
        let mut arena = Self {
            buffers: plan.buffers.iter().map(|&n| vec![0; n]).collect(),
            float_buffers: plan.float_buffers.iter().map(|&n| vec![0.0; n]).collect(),
            ..Self::default()
        };
        for planned in &plan.steps {
            let Action::Step(step) = planned.action else { continue };
            match &region.steps[step].op {
                Op::Conv { conv, .. } => conv.reserve(&mut arena.conv),
                Op::Island(island) => {
                    let floats = island.scratch(&planned.output.image).max(arena.floats.len());
                    arena.floats.resize(floats, 0.0);
                }
                Op::AveragePool(_) => {
                    let sums = planned.output.image.channels.max(arena.floats.len());
                    arena.floats.resize(sums, 0.0);
                }
                _ => {}
            }
        }
        arena
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let buffers: usize = self.buffers.iter().map(Vec::capacity).sum();
        let floats: usize = self.float_buffers.iter().map(Vec::capacity).sum();
        buffers + self.conv.bytes() + (floats + self.floats.capacity()) * 4
    }
}

/// What a region reads.
pub enum Source<'a> {
    /// Floats in ONNX's order.
    Floats(&'a [f32]),
    /// Bytes of another region, with channels last.
    Bytes(&'a [u8]),
}

/// What a region writes.
pub enum Sink<'a> {
    /// Floats in ONNX's order.
    Floats(&'a mut [f32]),
    /// Bytes for another region, with channels last.
    Bytes(&'a mut [u8]),
}

/// Runs a region. Allocates nothing once a first run has made its scratch.
pub fn run(
    region: &Region,
    plan: &Plan,
    arena: &mut Arena,
    inputs: &[Source<'_>],
    outputs: &mut [Sink<'_>],
) -> Result<()> {
    for planned in &plan.steps {
        match planned.output.place {
            Place::Output(output) => match outputs.get_mut(output) {
                Some(Sink::Floats(y)) => to_floats(region, planned, arena, y)?,
                Some(Sink::Bytes(y)) => {
                    let from = &planned.inputs[0];
                    let Place::Buffer(buffer) = from.place else { return Err(misplaced()) };
                    let x = &arena.buffers[buffer];
                    from.image
                        .rows()
                        .zip(y.chunks_exact_mut(from.image.width * from.image.channels))
                        .for_each(|(row, y)| y.copy_from_slice(&x[row]));
                }
                None => return Err(misplaced()),
            },
            Place::Buffer(buffer) => {
                // Taken out, so that the others can be read while it is written.
                let mut y = std::mem::take(&mut arena.buffers[buffer]);
                let result = to_bytes(region, planned, arena, inputs, &mut y);
                planned.output.image.fill_border(&mut y, planned.border);
                arena.buffers[buffer] = y;
                result?;
            }
            Place::FloatBuffer(buffer) => {
                let mut y = std::mem::take(&mut arena.float_buffers[buffer]);
                let result = to_float_image(region, planned, arena, inputs, &mut y);
                planned.output.image.fill_border(&mut y, 0.0);
                arena.float_buffers[buffer] = y;
                result?;
            }
            Place::Input(_) => return Err(misplaced()),
        }
    }
    Ok(())
}

fn to_float_image(
    region: &Region,
    planned: &PlannedStep,
    arena: &mut Arena,
    inputs: &[Source<'_>],
    y: &mut [f32],
) -> Result<()> {
    let (from, to) = (&planned.inputs[0], &planned.output.image);
    let Arena { buffers, float_buffers, floats, .. } = arena;
    let step = match planned.action {
        Action::Step(step) => &region.steps[step].op,
        Action::Copy => {
            let Place::FloatBuffer(x) = from.place else { return Err(misplaced()) };
            let rows = from.image.rows().zip(to.rows());
            rows.for_each(|(x_row, y_row)| y[y_row].copy_from_slice(&float_buffers[x][x_row]));
            return Ok(());
        }
        Action::Gather(_) => return Err(misplaced()),
    };
    match (step, from.place) {
        (Op::FloatConv(conv), Place::FloatBuffer(x)) => conv.run(&float_buffers[x], &from.image, y, to),
        (Op::Island(island), _) => {
            let y = island::Sink::Floats(y);
            run_island(island, planned, inputs, (buffers, float_buffers), y, floats)?;
        }
        (Op::ImportFloats, Place::Input(input)) => {
            let Some(Source::Floats(x)) = inputs.get(input) else { return Err(misplaced()) };
            transpose(to, |image, channels_last, nchw| y[image + channels_last] = x[nchw]);
        }
        _ => return Err(misplaced()),
    }
    Ok(())
}

/// Calls `f(row's offset, value's offset in the row, its offset in NCHW order)` for all
/// values of an image.
fn transpose(image: &Image, mut f: impl FnMut(usize, usize, usize)) {
    let plane = image.height * image.width;
    for (index, row) in image.rows().enumerate() {
        let (picture, line) = (index / image.height, index % image.height);
        for channel in 0..image.channels {
            let nchw = (picture * image.channels + channel) * plane + line * image.width;
            for x in 0..image.width {
                f(row.start, x * image.channels + channel, nchw + x);
            }
        }
    }
}

/// A plan that does not go with its region; made only by a mistake of ours.
fn misplaced() -> Error {
    Error::Inference("a step's operand is not where it belongs".into())
}

fn to_floats(region: &Region, planned: &PlannedStep, arena: &mut Arena, y: &mut [f32]) -> Result<()> {
    let Operand { place, image } = planned.inputs[0];
    let Action::Step(step) = planned.action else { return Err(misplaced()) };
    match (&region.steps[step].op, place) {
        (Op::Dequantize(q), Place::Buffer(x)) => dequantize(*q, &arena.buffers[x], &image, y),
        (Op::Conv { conv, .. }, Place::Buffer(x)) => {
            conv.run(&arena.buffers[x], &image, Target::Floats(y), &mut arena.conv)?;
        }
        (Op::ExportFloats, Place::FloatBuffer(x)) => {
            let x = &arena.float_buffers[x];
            transpose(&image, |row, channels_last, nchw| y[nchw] = x[row + channels_last]);
        }
        _ => return Err(misplaced()),
    }
    Ok(())
}

/// Bytes with channels last to floats in NCHW order.
fn dequantize(q: Quantization, x: &[u8], image: &Image, y: &mut [f32]) {
    let (channels, width) = (image.channels, image.width);
    let plane = image.height * width;
    for (index, row) in image.rows().enumerate() {
        let (picture, line) = (index / image.height, index % image.height);
        let row = &x[row];
        for channel in 0..channels {
            let start = (picture * channels + channel) * plane + line * width;
            let y = y[start..start + width].iter_mut();
            y.zip(row[channel..].iter().step_by(channels)).for_each(|(y, &x)| *y = q.dequantize(x));
        }
    }
}

fn to_bytes(
    region: &Region,
    planned: &PlannedStep,
    arena: &mut Arena,
    inputs: &[Source<'_>],
    y: &mut [u8],
) -> Result<()> {
    let to = &planned.output.image;
    let Arena { buffers, float_buffers, conv: scratch, floats } = arena;
    let bytes = |operand: &Operand| -> Result<&[u8]> {
        match operand.place {
            Place::Buffer(buffer) => Ok(&buffers[buffer]),
            _ => Err(misplaced()),
        }
    };
    let first = &planned.inputs[0];
    let step = match &planned.action {
        Action::Step(step) => &region.steps[*step],
        Action::Gather(offsets) => {
            let x = bytes(first)?;
            let start = to.offset(0, to.border, to.border);
            y[start..].iter_mut().zip(offsets).for_each(|(y, &offset)| *y = x[offset as usize]);
            return Ok(());
        }
        Action::Copy => {
            pool::into_channels(bytes(first)?, &first.image, y, to, 0, None);
            return Ok(());
        }
    };
    match &step.op {
        Op::Island(island) => {
            run_island(island, planned, inputs, (buffers, float_buffers), island::Sink::Bytes(y), floats)?;
        }
        Op::Conv { conv, .. } => conv.run(bytes(first)?, &first.image, Target::Bytes(y, to), scratch)?,
        Op::Table(table) => pool::look_up(table, bytes(first)?, &first.image, y, to),
        Op::MaxPool(geometry) => pool::max(geometry, bytes(first)?, &first.image, y, to),
        Op::AveragePool(pool) => {
            pool.run(bytes(first)?, &first.image, y, to, &mut floats[..to.channels]);
        }
        Op::Resize(_) => pool::enlarge(bytes(first)?, &first.image, y, to),
        Op::Concat { tables, .. } => {
            let mut channel = 0;
            for (operand, table) in planned.inputs.iter().zip(tables) {
                pool::into_channels(bytes(operand)?, &operand.image, y, to, channel, table.as_deref());
                channel += operand.image.channels;
            }
        }
        Op::Import => {
            let Place::Input(input) = first.place else { return Err(misplaced()) };
            let Some(Source::Bytes(x)) = inputs.get(input) else { return Err(misplaced()) };
            to.rows().zip(x.chunks_exact(to.width * to.channels)).for_each(|(row, x)| y[row].copy_from_slice(x));
        }
        Op::Dequantize(_)
        | Op::FloatConv(_)
        | Op::Export
        | Op::ExportFloats
        | Op::ImportFloats
        | Op::Transpose(_)
        | Op::Reshape(_)
        | Op::Flatten(_) => return Err(misplaced()),
    }
    Ok(())
}

fn run_island(
    island: &Island,
    planned: &PlannedStep,
    inputs: &[Source<'_>],
    (buffers, float_buffers): (&[Vec<u8>], &[Vec<f32>]),
    y: island::Sink<'_>,
    stack: &mut [f32],
) -> Result<()> {
    let mut leaves = [Leaf::Floats(&[]); MOST_LEAVES];
    for (leaf, operand) in leaves.iter_mut().zip(&planned.inputs) {
        *leaf = match operand.place {
            Place::Buffer(buffer) => Leaf::Bytes(&buffers[buffer], operand.image),
            Place::FloatBuffer(buffer) => Leaf::FloatImage(&float_buffers[buffer], operand.image),
            Place::Input(input) => match inputs.get(input) {
                Some(Source::Floats(values)) if values.len() == operand.image.values() => Leaf::Floats(values),
                _ => return Err(misplaced()),
            },
            Place::Output(_) => return Err(misplaced()),
        };
    }
    island.run(&leaves[..planned.inputs.len()], &planned.output.image, y, stack);
    Ok(())
}
