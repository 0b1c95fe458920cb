//! Weights laid out for the kernels.

use super::{BLOCK, Isa, WeightLimit};

/// The weights of a convolution, packed for one instruction set.
///
/// For each block of up to eight output channels of one group there is a *panel*: for
/// each kernel row, for each group of [`Isa::group`] neighbouring inputs, eight output
/// channels × the group. What is missing (channels or inputs past the end) is zero, so
/// whatever is read there adds nothing.
///
/// Where a kernel cannot take a weight as it is ([`Isa::weight_limit`]), the panel
/// holds half of it and a [`Correction`] the other half, so the sums stay exact for any
/// weights.
#[derive(Clone, Debug)]
pub struct Panels {
    isa: Isa,
    rows: usize,
    groups_per_row: usize,
    blocks: usize,
    weights: Vec<i8>,
    corrections: Vec<Correction>,
    /// Per block and half of it, where its corrections end; they begin where the
    /// half before it ends.
    ends: Vec<u32>,
}

/// The second halves of some weights: four output channels × four inputs.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Kernel row and first input within it, in one number: these lists are long.
    place: u32,
    /// Output channel by output channel.
    pub weights: [i8; 16],
}

impl Correction {
    fn new(row: usize, input: usize, weights: [i8; 16]) -> Self {
        Self { place: (row as u32) << 24 | input as u32, weights }
    }

    /// Byte offset of its activations from their pixel.
    #[inline(always)]
    pub fn offset(&self, rows: &[usize]) -> usize {
        rows[(self.place >> 24) as usize] + (self.place & 0xff_ffff) as usize
    }
}

impl Panels {
    /// Packs `groups × channels` output channels, each of `rows × depth` weights, at most
    /// 256 rows of 2²⁴.
    /// `weight(channel, row, input)` gives one; channels of all groups are counted through.
    pub fn new(
        isa: Isa,
        groups: usize,
        channels: usize,
        rows: usize,
        depth: usize,
        weight: impl Fn(usize, usize, usize) -> i8,
    ) -> Self {
        let group = isa.group();
        let groups_per_row = depth.div_ceil(group);
        let blocks_per_group = channels.div_ceil(BLOCK);
        let mut panels = Self {
            isa,
            rows,
            groups_per_row,
            blocks: groups * blocks_per_group,
            weights: Vec::with_capacity(groups * blocks_per_group * rows * groups_per_row * group * BLOCK),
            corrections: Vec::new(),
            ends: Vec::with_capacity(groups * blocks_per_group * 2),
        };
        for block in 0..panels.blocks {
            let (g, first) = (block / blocks_per_group, block % blocks_per_group * BLOCK);
            let mut found: [Vec<Correction>; 2] = [vec![], vec![]];
            for row in 0..rows {
                for input in (0..groups_per_row).map(|i| i * group) {
                    let start = panels.weights.len();
                    for channel in first..first + BLOCK {
                        panels.weights.extend((input..input + group).map(|k| {
                            if channel < channels && k < depth { weight(g * channels + channel, row, k) } else { 0 }
                        }));
                    }
                    if isa.weight_limit() != WeightLimit::None {
                        for (found, half) in found.iter_mut().zip(panels.weights[start..].chunks_exact_mut(16)) {
                            if let Some(weights) = split(isa.weight_limit(), half) {
                                found.push(Correction::new(row, input, weights));
                            }
                        }
                    }
                }
            }
            for found in found {
                panels.corrections.extend(found);
                panels.ends.push(panels.corrections.len() as u32);
            }
        }
        panels.corrections.shrink_to_fit();
        panels
    }

    /// What it was packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Kernel rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Dot groups in a kernel row.
    pub fn groups_per_row(&self) -> usize {
        self.groups_per_row
    }

    /// Bytes of activations that a kernel reads from the start of a row.
    pub fn row_bytes(&self) -> usize {
        self.groups_per_row * self.isa.group() * self.isa.activations().size()
    }

    /// Blocks of all groups.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The panel of a block.
    pub fn panel(&self, block: usize) -> &[i8] {
        let len = self.rows * self.groups_per_row * self.isa.group() * BLOCK;
        &self.weights[block * len..(block + 1) * len]
    }

    /// The corrections of a block: of its first four channels, of its last four.
    pub fn corrections(&self, block: usize) -> [&[Correction]; 2] {
        let end = |half: usize| self.ends[half] as usize;
        let start = if block == 0 { 0 } else { end(2 * block - 1) };
        let (middle, stop) = (end(2 * block), end(2 * block + 1));
        [&self.corrections[start..middle], &self.corrections[middle..stop]]
    }

    /// Corrections per group of inputs and half a block: what splitting costs.
    pub fn split_share(&self) -> f32 {
        self.corrections.len() as f32 / (self.ends.len() * self.rows * self.groups_per_row).max(1) as f32
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.weights.capacity()
            + self.corrections.capacity() * size_of::<Correction>()
            + self.ends.capacity() * size_of::<u32>()
    }
}

/// Halves what exceeds the limit, and returns the other halves if there are any.
/// Two halves always keep it: they lie within −64..=64.
fn split(limit: WeightLimit, weights: &mut [i8]) -> Option<[i8; 16]> {
    let mut rest = [0; 16];
    let mut halve = |weights: &mut [i8], at: usize| {
        for (i, w) in weights.iter_mut().enumerate() {
            let half = *w >> 1;
            rest[at + i] = *w - half;
            *w = half;
        }
    };
    for (at, pair) in weights.chunks_exact_mut(2).enumerate() {
        let part = |f: fn(i32, i32) -> i32| f(i32::from(pair[0]), 0) + f(i32::from(pair[1]), 0);
        let exceeds = match limit {
            WeightLimit::None => false,
            WeightLimit::Pairs => part(i32::max) > 128 || part(i32::min) < -128,
            WeightLimit::Symmetric => pair.contains(&-128),
        };
        if exceeds {
            halve(pair, at * 2);
        }
    }
    rest.iter().any(|&w| w != 0).then_some(rest)
}

/// Depthwise weights: for each eight channels, for each group of taps, eight channels ×
/// the group. Taps past the kernel's own have weights of zero.
#[derive(Clone, Debug)]
pub struct DepthwiseWeights {
    taps: usize,
    blocks: usize,
    /// Taps in a group.
    group: usize,
    weights: Vec<i8>,
}

impl DepthwiseWeights {
    /// Packs `weight(channel, tap)` for an instruction set.
    pub fn new(isa: Isa, taps: usize, channels: usize, weight: impl Fn(usize, usize) -> i8) -> Self {
        let group = isa.depthwise_group();
        let (padded, blocks) = (taps.next_multiple_of(group), channels.div_ceil(BLOCK));
        let weight = &weight;
        let packed = (0..blocks * BLOCK).step_by(BLOCK).flat_map(|first| {
            (0..padded).step_by(group).flat_map(move |start| {
                (first..first + BLOCK).flat_map(move |channel| {
                    let known = move |tap| channel < channels && tap < taps;
                    (start..start + group).map(move |tap| if known(tap) { weight(channel, tap) } else { 0 })
                })
            })
        });
        let mut weights: Vec<i8> = packed.collect();
        weights.shrink_to_fit();
        Self { taps: padded, blocks, group, weights }
    }

    /// Taps with those that fill up the last group.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Blocks of eight channels.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Taps in a group: two or four.
    pub fn group(&self) -> usize {
        self.group
    }

    /// A block's weights.
    pub fn of_block(&self, block: usize) -> &[i8] {
        &self.weights[block * self.taps * BLOCK..][..self.taps * BLOCK]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.weights.capacity()
    }
}
