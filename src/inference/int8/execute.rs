//! Running a planned region.

use super::conv::{READ_AHEAD, Scratch, Target};
use super::image::Image;
use super::island::{self, Island, Leaf};
use super::plan::{Action, Operand, Place, Plan, PlannedStep};
use super::pool;
use super::region::{Op, Region};
use crate::error::{Error, Result};

/// Leaves of an island that fit on the stack.
pub const MOST_LEAVES: usize = 8;

/// The memory that a run works in: made once, used for every run of its plan.
#[derive(Default)]
pub struct Arena {
    /// All values of the plan. Floats, so that those of a place are aligned.
    values: Vec<f32>,
    conv: Scratch,
    floats: Vec<f32>,
}

impl Arena {
    /// For a region and its plan.
    pub fn new(region: &Region, plan: &Plan) -> Self {
        let mut arena = Self { values: vec![0.0; plan.arena_bytes.div_ceil(size_of::<f32>())], ..Self::default() };
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
        self.conv.bytes() + (self.values.capacity() + self.floats.capacity()) * size_of::<f32>()
    }
}

/// The arena without the value that is being written.
struct Values<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// Where that begins in the arena.
    after_start: usize,
}

impl<'a> Values<'a> {
    /// All of the arena, for reading.
    fn all(arena: &'a [u8]) -> Self {
        Self { before: arena, after: &[], after_start: usize::MAX }
    }

    /// `bytes` of the arena from `start` on to write, and the rest to read.
    fn around(arena: &'a mut [u8], start: usize, bytes: usize) -> (Self, &'a mut [u8]) {
        let (before, rest) = arena.split_at_mut(start);
        let (value, after) = rest.split_at_mut(bytes);
        (Self { before, after, after_start: start + bytes }, value)
    }

    /// From a byte of the arena on.
    fn from(&self, start: usize) -> &'a [u8] {
        match start.checked_sub(self.after_start) {
            Some(start) => &self.after[start..],
            None => &self.before[start..],
        }
    }

    fn bytes(&self, operand: &Operand) -> Result<&'a [u8]> {
        match operand.place {
            Place::Bytes(start) => Ok(self.from(start)),
            _ => Err(misplaced()),
        }
    }

    fn floats(&self, operand: &Operand) -> Result<&'a [f32]> {
        match operand.place {
            Place::Floats(start) => {
                let bytes = operand.image.bytes() * size_of::<f32>();
                Ok(bytemuck::cast_slice(&self.from(start)[..bytes]))
            }
            _ => Err(misplaced()),
        }
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
    let Arena { values, conv, floats } = arena;
    let arena: &mut [u8] = bytemuck::cast_slice_mut(values);
    for planned in &plan.steps {
        let image = &planned.output.image;
        match planned.output.place {
            Place::Output(output) => match outputs.get_mut(output) {
                Some(Sink::Floats(y)) => to_floats(region, planned, &Values::all(arena), conv, y)?,
                Some(Sink::Bytes(y)) => {
                    let from = &planned.inputs[0];
                    let x = Values::all(arena).bytes(from)?;
                    from.image
                        .rows()
                        .zip(y.chunks_exact_mut(from.image.width * from.image.channels))
                        .for_each(|(row, y)| y.copy_from_slice(&x[row]));
                }
                None => return Err(misplaced()),
            },
            Place::Bytes(start) => {
                let (values, y) = Values::around(arena, start, image.bytes() + READ_AHEAD);
                to_bytes(region, planned, &values, inputs, (conv, floats), y)?;
                image.fill_border(y, planned.border);
            }
            Place::Floats(start) => {
                let (values, y) = Values::around(arena, start, image.bytes() * size_of::<f32>());
                let y: &mut [f32] = bytemuck::cast_slice_mut(y);
                to_float_image(region, planned, &values, inputs, floats, y)?;
                image.fill_border(y, 0.0);
            }
            Place::Input(_) => return Err(misplaced()),
        }
    }
    Ok(())
}

fn to_float_image(
    region: &Region,
    planned: &PlannedStep,
    values: &Values<'_>,
    inputs: &[Source<'_>],
    stack: &mut [f32],
    y: &mut [f32],
) -> Result<()> {
    let (from, to) = (&planned.inputs[0], &planned.output.image);
    let step = match planned.action {
        Action::Step(step) => &region.steps[step].op,
        Action::Copy => {
            let x = values.floats(from)?;
            from.image.rows().zip(to.rows()).for_each(|(x_row, y_row)| y[y_row].copy_from_slice(&x[x_row]));
            return Ok(());
        }
        Action::Gather { .. } => return Err(misplaced()),
    };
    match (step, from.place) {
        (Op::FloatConv(conv), _) => conv.run(values.floats(from)?, &from.image, y, to),
        (Op::Island(island), _) => run_island(island, planned, inputs, values, island::Sink::Floats(y), stack)?,
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

fn to_floats(
    region: &Region,
    planned: &PlannedStep,
    values: &Values<'_>,
    scratch: &mut Scratch,
    y: &mut [f32],
) -> Result<()> {
    let from = &planned.inputs[0];
    let Action::Step(step) = planned.action else { return Err(misplaced()) };
    match &region.steps[step].op {
        Op::Dequantize { from: q, sigmoid } => {
            // In twice the precision, so that every machine rounds to the same float.
            let logistic = |v: f32| (1.0 / (1.0 + (-f64::from(v)).exp())) as f32;
            let table = if *sigmoid { q.floats(logistic) } else { q.floats(|v| v) };
            dequantize(&table, values.bytes(from)?, &from.image, y);
        }
        Op::Conv { conv, .. } => conv.run(values.bytes(from)?, &from.image, Target::Floats(y), scratch)?,
        Op::ExportFloats => {
            let x = values.floats(from)?;
            transpose(&from.image, |row, channels_last, nchw| y[nchw] = x[row + channels_last]);
        }
        _ => return Err(misplaced()),
    }
    Ok(())
}

/// Bytes with channels last to floats in NCHW order.
fn dequantize(table: &[f32; 256], x: &[u8], image: &Image, y: &mut [f32]) {
    let (channels, width) = (image.channels, image.width);
    let plane = image.height * width;
    for (index, row) in image.rows().enumerate() {
        let (picture, line) = (index / image.height, index % image.height);
        let row = &x[row];
        for channel in 0..channels {
            let start = (picture * channels + channel) * plane + line * width;
            let y = y[start..start + width].iter_mut();
            y.zip(row[channel..].iter().step_by(channels)).for_each(|(y, &x)| *y = table[usize::from(x)]);
        }
    }
}

fn to_bytes(
    region: &Region,
    planned: &PlannedStep,
    values: &Values<'_>,
    inputs: &[Source<'_>],
    (scratch, floats): (&mut Scratch, &mut [f32]),
    y: &mut [u8],
) -> Result<()> {
    let to = &planned.output.image;
    let bytes = |operand: &Operand| values.bytes(operand);
    let first = &planned.inputs[0];
    let step = match &planned.action {
        Action::Step(step) => &region.steps[*step],
        Action::Gather { start, axes } => {
            let y_start = to.offset(0, to.border, to.border);
            pool::gather(&bytes(first)?[*start..], axes, &mut y[y_start..y_start + to.values()]);
            return Ok(());
        }
        Action::Copy => {
            pool::into_channels(bytes(first)?, &first.image, y, to, 0, None);
            return Ok(());
        }
    };
    match &step.op {
        Op::Island(island) => {
            run_island(island, planned, inputs, values, island::Sink::Bytes(y), floats)?;
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
        Op::Dequantize { .. }
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
    values: &Values<'_>,
    y: island::Sink<'_>,
    stack: &mut [f32],
) -> Result<()> {
    let mut leaves = [Leaf::Floats(&[]); MOST_LEAVES];
    for (leaf, operand) in leaves.iter_mut().zip(&planned.inputs) {
        *leaf = match operand.place {
            Place::Bytes(_) => Leaf::Bytes(values.bytes(operand)?, operand.image),
            Place::Floats(_) => Leaf::FloatImage(values.floats(operand)?, operand.image),
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
