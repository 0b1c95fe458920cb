//! 3 × 3 convolutions of stride 1 with a quarter of the products: Winograd's minimal filtering
//! F(4 × 4, 3 × 3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
//! arXiv:1509.09308), in integers and exact.
//!
//! For a tile of 4 × 4 outputs, which reads 6 × 6 inputs, `y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`:
//! 36 products per pair of channels instead of 144, and in each of the 36 places a plain
//! matrix product over channels. `G` has fractions; its rows are multiplied by 4, −6, −6, 24, 24, 1
//! and `A`'s columns by what makes that 24 everywhere, so that sums come out 24² = 576 times as
//! large as they should be. Everything is exact:
//!
//! * transformed activations lie within ±17,340 and transformed weights within ±6,272: 16 bits;
//! * sums may wrap around at 32 bits, as 576 · y is right modulo 2³²: 9 has an inverse there,
//!   and what is left is 64 · y, from which an arithmetic shift gives y where |y| < 2²⁵
//!   ([`LARGEST`]; the caller looks at the weights).
//!
//! Weights stay as bytes: those of eight output channels are transformed when they are needed,
//! for as many tiles as the second-level cache has room for.

// Matrices are kept by columns here, and read by rows.
#![allow(clippy::needless_range_loop)]

use super::super::image::Image;
use super::{BLOCK, Panels, Sums, Target};

/// Outputs per side of a tile.
pub const SIDE: usize = 4;
/// Inputs per side of a tile.
const INPUTS: usize = SIDE + 2;
/// Products of a tile and a pair of channels.
const PLACES: usize = INPUTS * INPUTS;
/// Tiles whose sums are kept until all places are done: 36 × 16 × 8 sums fit the first-level
/// cache, and weights that are in it serve as many tiles.
const GROUP: usize = 16;
/// Sums must be smaller than this.
pub const LARGEST: i64 = 1 << 25;
/// Words between what would otherwise lie a power of two apart and share a place in the cache.
const APART: usize = LINE;
/// Words of a cache line.
const LINE: usize = 32;
/// Words of transformed activations to keep at a time, about.
const STRIP: usize = 1 << 18;

/// A 3 × 3 convolution of stride 1.
pub struct Winograd<'a> {
    /// NHWC bytes as `input` says, with [`READ_AHEAD`] bytes behind them.
    pub activations: &'a [u8],
    /// Where they lie; an even number of channels.
    pub input: &'a Image,
    /// Rows above and columns to the left that the kernel reaches into the border.
    pub pad: [usize; 2],
    /// Where the output lies.
    pub output: &'a Image,
    /// Weights for a kernel on words; a row's taps lie side by side.
    pub panels: &'a Panels,
    /// What the sums start from, per block.
    pub bias: &'a [Sums],
}

/// Bytes that may be read past the last activation.
pub const READ_AHEAD: usize = 16;

/// 4 × 4 outputs, or what is left of them at the edge.
struct Tile {
    /// Offset of the first input's first byte.
    input: usize,
    /// Offset of the first output's first byte.
    output: usize,
    /// Rows of outputs.
    height: usize,
    /// Columns of outputs.
    width: usize,
}

/// Buffers kept between runs.
#[derive(Default)]
pub struct Buffers {
    /// Transformed activations: group of tiles, place, tile, channel.
    activations: Vec<Line>,
    /// Transformed weights of a block: place, pair of inputs, output channel, input.
    weights: Vec<Line>,
    /// Sums of a group of tiles and a block: place, tile, output channel.
    sums: Vec<Line>,
}

/// A cache line, so that no vector lies in two.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [i16; LINE]);

impl Buffers {
    /// For convolutions of so many input channels.
    pub fn reserve(&mut self, in_channels: usize) {
        let grow = |lines: &mut Vec<Line>, words: usize| {
            lines.resize(words.div_ceil(LINE).max(lines.len()), Line([0; LINE]));
        };
        grow(&mut self.activations, tiles_at_once(in_channels) / GROUP * PLACES * of_activations(in_channels));
        grow(&mut self.weights, PLACES * of_weights(in_channels));
        grow(&mut self.sums, PLACES * GROUP * BLOCK * 2);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        [&self.activations, &self.weights, &self.sums].iter().map(|lines| lines.capacity() * size_of::<Line>()).sum()
    }
}

/// Words of a channel vector: whole vectors of every instruction set.
fn padded(in_channels: usize) -> usize {
    in_channels.next_multiple_of(16)
}

/// Words of one place: activations of a group of tiles.
fn of_activations(in_channels: usize) -> usize {
    GROUP * padded(in_channels) + APART
}

/// Words of one place: weights of a block.
fn of_weights(in_channels: usize) -> usize {
    BLOCK * padded(in_channels) + APART
}

/// Tiles whose transformed activations are kept at a time: whole groups.
fn tiles_at_once(in_channels: usize) -> usize {
    (STRIP / (PLACES * padded(in_channels))).max(1).next_multiple_of(GROUP)
}

impl Winograd<'_> {
    /// Asserts that nothing is read or written outside of the slices of `output` bytes.
    pub(super) fn check(&self, output: usize) {
        let (x, y, panels) = (self.input, self.output, self.panels);
        // Sizes whose products below do not overflow.
        assert!([x, y].iter().all(|image| image.with_border(image.border).is_ok()), "images too large");
        let side = |pad: usize, from: usize, to: usize| x.border >= pad && to + 2 <= from + x.border + pad;
        assert!(side(self.pad[0], x.height, y.height) && side(self.pad[1], x.width, y.width), "output too large");
        assert!(x.bytes() + READ_AHEAD <= self.activations.len(), "kernel would read past the activations");
        assert!(y.bytes() <= output && x.batch == y.batch, "kernel would write past its output");
        assert!(x.channels.is_multiple_of(2) && panels.isa().group() == 2, "weights do not come in pairs");
        assert!(panels.rows() == 3 && panels.groups_per_row() == 3 * x.channels / 2, "weights are not 3 × 3");
        let blocks = y.channels.div_ceil(BLOCK);
        assert!(blocks <= panels.blocks() && blocks <= self.bias.len(), "too few blocks");
    }

    /// Tiles of a picture: rows of them, columns of them.
    fn grid(&self) -> [usize; 2] {
        [self.output.height.div_ceil(SIDE), self.output.width.div_ceil(SIDE)]
    }

    /// All pictures' tiles, counted row by row.
    fn tile(&self, index: usize) -> Tile {
        let [rows, columns] = self.grid();
        let (picture, y, x) = (index / (rows * columns), index / columns % rows * SIDE, index % columns * SIDE);
        let (from, to) = (self.input, self.output);
        Tile {
            input: from.offset(picture, y + from.border - self.pad[0], x + from.border - self.pad[1]),
            output: to.offset(picture, y + to.border, x + to.border),
            height: SIDE.min(to.height - y),
            width: SIDE.min(to.width - x),
        }
    }
}

/// Integers side by side that wrap around.
pub(super) trait Lanes: Copy {
    /// `self + other`.
    ///
    /// # Safety
    /// The instruction set is there, as for all of these.
    unsafe fn add(self, other: Self) -> Self;
    /// `self − other`.
    ///
    /// # Safety
    /// See above.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self · 2ᴺ`.
    ///
    /// # Safety
    /// See above.
    unsafe fn shift_left<const N: u32>(self) -> Self;
}

/// What an instruction set brings. All functions are unsafe: it has to be there, and
/// pointers lead to as much as is read or written.
pub(super) trait Kernel {
    /// 16-bit words.
    type Words: Lanes;
    /// How many; 8 or 16.
    const WORDS: usize;
    /// Sums of [`BLOCK`] channels.
    type Sums: Lanes;
    /// How sums become bytes.
    type Store;

    /// Unsigned bytes as words.
    unsafe fn widen_unsigned(from: *const u8) -> Self::Words;
    /// Signed bytes as words.
    unsafe fn widen_signed(from: *const i8) -> Self::Words;
    /// Writes words.
    unsafe fn store_words(words: Self::Words, to: *mut i16);
    /// Reads sums.
    unsafe fn load_sums(from: *const i32) -> Self::Sums;
    /// `(sums · factor) >> 6 + bias`, the shift with sign.
    unsafe fn unscale(sums: Self::Sums, factor: i32, bias: Self::Sums) -> Self::Sums;
    /// For the channels of a block.
    unsafe fn store(target: &Target<'_>, block: usize, channels: usize) -> Self::Store;
    /// Finishes and writes the sums of one pixel.
    unsafe fn finish(store: &Self::Store, sums: Self::Sums, output: usize);
}

/// The products of an instruction set. Unsafe as above.
pub(super) trait Multiply {
    /// Most tiles at a time: 4, 8 or 16.
    const MOST_TILES: usize;

    /// `sums[tile][c] = Σ activations[tile][k] · weights[k / 2][c][k % 2]` over `2 · pairs` inputs of
    /// some tiles, which lie `stride` words apart.
    unsafe fn multiply<const TILES: usize>(
        activations: *const i16,
        stride: usize,
        weights: *const i16,
        pairs: usize,
        sums: *mut i32,
    );
}

/// `[f(0), … f(5)]`. No closures in what follows: into those the compiler does not inline
/// instructions of AVX2.
macro_rules! six {
    ($i:ident => $f:expr) => {
        [
            each!($i = 0, $f),
            each!($i = 1, $f),
            each!($i = 2, $f),
            each!($i = 3, $f),
            each!($i = 4, $f),
            each!($i = 5, $f),
        ]
    };
}

/// `[f(0), f(1), f(2)]`.
macro_rules! three {
    ($i:ident => $f:expr) => {
        [each!($i = 0, $f), each!($i = 1, $f), each!($i = 2, $f)]
    };
}

macro_rules! each {
    ($i:ident = $value:literal, $f:expr) => {{
        let $i: usize = $value;
        $f
    }};
}

/// Convolves strip by strip.
///
/// # Safety
/// The instruction set is there, and [`Winograd::check`] has passed.
#[inline(always)]
pub(super) unsafe fn run<K: Kernel, M: Multiply>(w: &Winograd<'_>, target: &Target<'_>, buffers: &mut Buffers) {
    let channels = w.input.channels;
    buffers.reserve(channels);
    let activations: *mut i16 = buffers.activations.as_mut_ptr().cast();
    let weights: *mut i16 = buffers.weights.as_mut_ptr().cast();
    let sums: *mut i32 = buffers.sums.as_mut_ptr().cast();
    let stride = padded(channels);
    let (activation_place, weight_place) = (of_activations(channels), of_weights(channels));
    let [rows, columns] = w.grid();
    let tiles = w.input.batch * rows * columns;
    for first in (0..tiles).step_by(tiles_at_once(channels)) {
        let strip = first..tiles.min(first + tiles_at_once(channels));
        // SAFETY: buffers have been made for so many channels and tiles; the rest is the caller's.
        unsafe {
            for (i, tile) in strip.clone().enumerate() {
                let to = activations.add(i / GROUP * PLACES * activation_place + i % GROUP * stride);
                transform_activations::<K>(w, &w.tile(tile), to, activation_place);
            }
            for block in 0..w.output.channels.div_ceil(BLOCK) {
                transform_weights::<K>(w, block, weights, weight_place);
                let store = K::store(target, block, w.output.channels);
                let bias = K::load_sums(w.bias[block].as_ptr());
                for (group, start) in strip.clone().step_by(GROUP).enumerate() {
                    let activations = activations.add(group * PLACES * activation_place);
                    let count = GROUP.min(strip.end - start);
                    for place in 0..PLACES {
                        let weights = weights.add(place * weight_place);
                        let mut tile = 0;
                        while tile < count {
                            let from = activations.add(place * activation_place + tile * stride);
                            let to = sums.add((place * GROUP + tile) * BLOCK);
                            let left = count - tile;
                            tile += if left > 8 && M::MOST_TILES == 16 {
                                M::multiply::<16>(from, stride, weights, channels / 2, to);
                                16
                            } else if left > 4 && M::MOST_TILES >= 8 {
                                M::multiply::<8>(from, stride, weights, channels / 2, to);
                                8
                            } else {
                                M::multiply::<4>(from, stride, weights, channels / 2, to);
                                4
                            };
                        }
                    }
                    for i in 0..count {
                        transform_sums::<K>(w, &w.tile(start + i), sums.add(i * BLOCK), &store, bias);
                    }
                }
            }
        }
    }
}

/// `Bᵀ d B` of all channels of a tile, to places that lie `place` words apart.
///
/// # Safety
/// See [`run`].
#[inline(always)]
unsafe fn transform_activations<K: Kernel>(w: &Winograd<'_>, tile: &Tile, to: *mut i16, place: usize) {
    // Inputs that only outputs past the edge need are replaced by their neighbours.
    let channels = w.input.channels;
    let rows: [usize; INPUTS] = core::array::from_fn(|i| tile.input + i.min(tile.height + 1) * w.input.row_bytes());
    let columns: [usize; INPUTS] = core::array::from_fn(|i| i.min(tile.width + 1) * channels);
    for channel in (0..channels).step_by(K::WORDS) {
        // SAFETY: see above.
        unsafe {
            let from = w.activations.as_ptr().add(channel);
            let d = six!(j => of_six(six!(i => K::widen_unsigned(from.add(rows[i] + columns[j])))));
            for i in 0..INPUTS {
                let row = of_six(six!(j => d[j][i]));
                for (j, words) in row.into_iter().enumerate() {
                    K::store_words(words, to.add((i * INPUTS + j) * place + channel));
                }
            }
        }
    }
}

/// `G g Gᵀ` of a block of output channels.
///
/// # Safety
/// See [`run`].
#[inline(always)]
unsafe fn transform_weights<K: Kernel>(w: &Winograd<'_>, block: usize, to: *mut i16, place: usize) {
    let panel = w.panels.panel(block).as_ptr();
    let tap = w.input.channels * BLOCK;
    for at in (0..tap).step_by(K::WORDS) {
        // SAFETY: see above.
        unsafe {
            let from = panel.add(at);
            let g = three!(kx => of_three(three!(ky => K::widen_signed(from.add((ky * 3 + kx) * tap)))));
            for i in 0..INPUTS {
                let row = of_three(three!(kx => g[kx][i]));
                for (j, words) in row.into_iter().enumerate() {
                    K::store_words(words, to.add((i * INPUTS + j) * place + at));
                }
            }
        }
    }
}

/// `Aᵀ m A` of a tile and a block, to bytes.
///
/// # Safety
/// See [`run`].
#[inline(always)]
unsafe fn transform_sums<K: Kernel>(w: &Winograd<'_>, tile: &Tile, sums: *const i32, store: &K::Store, bias: K::Sums) {
    /// 9 · `NINTH` = 1 modulo 2³².
    const NINTH: i32 = 954_437_177;
    // SAFETY: see above.
    unsafe {
        let m = six!(j => to_four(six!(i => K::load_sums(sums.add((i * INPUTS + j) * GROUP * BLOCK)))));
        for i in 0..tile.height {
            let y = to_four(six!(j => m[j][i]));
            let output = tile.output + i * w.output.row_bytes();
            for (j, sums) in y.into_iter().enumerate().take(tile.width) {
                K::finish(store, K::unscale(sums, NINTH, bias), output + j * w.output.channels);
            }
        }
    }
}

/// `Bᵀ d`.
#[inline(always)]
unsafe fn of_six<V: Lanes>(d: [V; INPUTS]) -> [V; INPUTS] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (a, b) = (d[4].sub(d[2].shift_left::<2>()), d[3].sub(d[1].shift_left::<2>()));
        let (c, e) = (d[4].sub(d[2]), d[3].sub(d[1]));
        let twice = e.shift_left::<1>();
        [
            d[0].sub(d[2]).shift_left::<2>().add(c),
            a.add(b),
            a.sub(b),
            c.add(twice),
            c.sub(twice),
            d[5].sub(d[3]).sub(e.shift_left::<2>()),
        ]
    }
}

/// `G g`, rows times 4, −6, −6, 24, 24, 1.
#[inline(always)]
unsafe fn of_three<V: Lanes>(g: [V; 3]) -> [V; INPUTS] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (outer, wide) = (g[0].add(g[2]), g[0].add(g[2].shift_left::<2>()));
        let twice = g[1].shift_left::<1>();
        [g[0], outer.add(g[1]), outer.sub(g[1]), wide.add(twice), wide.sub(twice), g[2]]
    }
}

/// `24 Aᵀ m` of sums whose weights were `of_three`.
#[inline(always)]
unsafe fn to_four<V: Lanes>(m: [V; INPUTS]) -> [V; SIDE] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (a, b) = (m[1].add(m[2]).shift_left::<2>(), m[1].sub(m[2]).shift_left::<2>());
        let (c, e) = (m[3].add(m[4]), m[3].sub(m[4]));
        let (first, last) = (m[0].add(m[0].shift_left::<1>()).shift_left::<1>(), m[5].add(m[5].shift_left::<1>()));
        [
            first.add(c).sub(a),
            e.shift_left::<1>().sub(b),
            c.shift_left::<2>().sub(a),
            e.add(last).shift_left::<3>().sub(b),
        ]
    }
}
