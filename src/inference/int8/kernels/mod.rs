//! Integer dot-product kernels: one file per instruction set behind one dispatch.
//!
//! Three shapes of work cover every convolution and every fully connected layer:
//!
//! * [`Gemm`]: all output channels of some pixels, in tiles of a few pixels by eight
//!   channels. A pixel is a byte offset into the activations and every kernel row is
//!   an offset relative to it, so there is no im2col buffer. Weights come as
//!   [`Panels`].
//! * [`Depthwise`]: all channels of some pixels where every channel has its own filter.
//! * [`winograd`]: 3 × 3 convolutions of stride 1, with fewer products.
//!
//! All end in registers: [`Requantize`] scales, applies a PReLU if there is one,
//! rounds and narrows the sums before they are stored as bytes.
//!
//! All paths add exactly the same integers and round the same floats: results are
//! bit-identical to [`scalar`]. `README.md` beside this file has the measured reason
//! for each choice.

#[cfg(target_arch = "aarch64")]
mod arm_neon;
mod panels;
mod peak;
mod proof;
mod requantize;
mod scalar;
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
mod wasm_relaxed;
#[cfg(target_arch = "wasm32")]
mod wasm_simd128;
#[cfg_attr(target_arch = "aarch64", allow(dead_code))]
pub mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
mod x86_vnni;

pub use panels::{DepthwiseWeights, Panels};
pub use requantize::{Prelu, Requantize};
use winograd::{Buffers, Winograd};

/// Output channels per tile and per weight panel.
pub const BLOCK: usize = 8;

/// Pixel offsets come in multiples of this; a multiple of every kernel's tile.
pub const TILE_PIXELS: usize = 4;

/// Accumulators of one pixel and one block of channels.
pub type Sums = [i32; BLOCK];

/// Instruction set of a kernel. There are none but those that this machine has: a value
/// comes from [`Isa::available`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Set);

/// Instruction sets, and for relaxed SIMD how its dot instruction behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Set {
    /// Plain Rust; the reference.
    Scalar,
    /// WebAssembly `simd128`: `i32x4.dot_i16x8_s` on widened activations.
    #[cfg(target_arch = "wasm32")]
    Simd128,
    /// Relaxed SIMD on a machine that multiplies u8 × s8 exactly (AVX-VNNI).
    #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
    RelaxedExact,
    /// Relaxed SIMD on a machine that adds pairs of u8 × s8 products in saturating
    /// 16 bits (SSSE3, AVX2): weights are split where a pair could exceed that.
    #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
    RelaxedPairs,
    /// Relaxed SIMD on a machine that reads both operands as signed (ARM):
    /// activations are stored less 128.
    #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
    RelaxedSigned,
    /// x86-64 AVX2: `vpmaddwd` on widened activations.
    #[cfg(target_arch = "x86_64")]
    Avx2Words,
    /// x86-64 AVX2: `vpmaddubsw`, whose pairs of products saturate at 16 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 AVX-VNNI: `vpdpbusd`, exact.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// The same instruction of AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// As [`Set::Avx2Words`], with AVX-VNNI's `vpdpwssd` in [`winograd`].
    #[cfg(target_arch = "x86_64")]
    AvxVnniWords,
    /// The same with AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512VnniWords,
    /// 64-bit ARM: widening multiplications of signed bytes.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// 64-bit ARM: `sdot`.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

/// How a kernel wants the activations of a [`Gemm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// As they are.
    Bytes,
    /// Bytes with the top bit flipped, to be read as signed: `x − 128`.
    SignedBytes,
    /// Little-endian 16-bit words.
    Words,
}

impl Activations {
    /// Bytes per activation.
    pub fn size(self) -> usize {
        match self {
            Self::Bytes | Self::SignedBytes => 1,
            Self::Words => 2,
        }
    }

    /// What the kernel sees for an activation of 0.
    pub fn offset(self) -> i32 {
        match self {
            Self::SignedBytes => -128,
            _ => 0,
        }
    }
}

/// Which weights a kernel can take as they are; others are split into two that add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightLimit {
    /// All of −128..=127.
    None,
    /// Two neighbours may add up to −128..=128 in positive and in negative parts, so
    /// that `255 · (w₀ + w₁)` stays within 16 bits.
    Pairs,
    /// −127..=127.
    Symmetric,
}

/// All output channels of one group of a convolution, for some output pixels.
pub struct Gemm<'a> {
    /// Activations in the layout of [`Isa::activations`]: NHWC with its border.
    pub activations: &'a [u8],
    /// Byte offset of each output pixel's first activation; a multiple of
    /// [`TILE_PIXELS`] of them (repeat the last pixel to fill up).
    pub pixels: &'a [usize],
    /// Byte offset of each kernel row relative to its pixel.
    pub rows: &'a [usize],
    /// Weights of all groups.
    pub panels: &'a Panels,
    /// The blocks of this group.
    pub blocks: std::ops::Range<usize>,
    /// Output channels of this group.
    pub channels: usize,
    /// What the sums start from, per block of all groups.
    pub bias: &'a [Sums],
}

/// All channels of some output pixels of a depthwise convolution.
pub struct Depthwise<'a> {
    /// Activations as plain bytes: NHWC with its border.
    pub activations: &'a [u8],
    /// Byte offset of each output pixel's first activation.
    pub pixels: &'a [usize],
    /// Byte offset of each tap relative to its pixel, as many as
    /// [`DepthwiseWeights::taps`] (any valid ones past the kernel's own).
    pub taps: &'a [usize],
    /// Weights of all channels.
    pub weights: &'a DepthwiseWeights,
    /// What the sums start from, per block.
    pub bias: &'a [Sums],
    /// Channels.
    pub channels: usize,
}

/// Where results go: offset of each pixel's first channel, as many as pixels.
pub enum Output<'a> {
    /// Requantized bytes.
    Bytes {
        /// Where they are written.
        y: &'a mut [u8],
        /// Of each pixel.
        offsets: &'a [usize],
        /// For as many blocks as the bias has.
        requantize: &'a Requantize,
    },
    /// The sums as they are.
    Sums {
        /// Where they are written.
        y: &'a mut [i32],
        /// Of each pixel.
        offsets: &'a [usize],
    },
}

/// What is done with the sums, as a constant of the kernels' inner functions.
mod finish {
    pub const SUMS: u8 = 0;
    pub const REQUANTIZE: u8 = 1;
    pub const PRELU: u8 = 2;
}

/// The output of a kernel by raw pointer, after its bounds have been checked.
#[derive(Clone, Copy)]
struct Target<'a> {
    bytes: *mut u8,
    sums: *mut i32,
    offsets: &'a [usize],
    requantize: &'a Requantize,
}

impl Output<'_> {
    /// Asserts that `channels` values per pixel fit, for `pixels` pixels.
    fn checked(&mut self, pixels: usize, channels: usize, blocks: usize) -> (Target<'_>, u8) {
        let (len, offsets) = match self {
            Output::Bytes { y, offsets, .. } => (y.len(), *offsets),
            Output::Sums { y, offsets } => (y.len(), *offsets),
        };
        let end = offsets.iter().max().map_or(0, |o| o + channels);
        assert!(end <= len && offsets.len() == pixels, "kernel would write past its output");
        match self {
            Output::Bytes { y, offsets, requantize } => {
                assert!(requantize.blocks() >= blocks, "requantization has too few channels");
                let kind = if requantize.has_prelu() { finish::PRELU } else { finish::REQUANTIZE };
                (Target { bytes: y.as_mut_ptr(), sums: std::ptr::null_mut(), offsets, requantize }, kind)
            }
            Output::Sums { y, offsets } => (
                Target { bytes: std::ptr::null_mut(), sums: y.as_mut_ptr(), offsets, requantize: Requantize::NONE },
                finish::SUMS,
            ),
        }
    }
}

/// Calls a kernel for the kind of output at run time.
macro_rules! dispatch {
    ($kind:expr, $module:ident :: $kernel:ident $([$scheme:literal])? ( $($argument:expr),* )) => {
        // SAFETY: the caller has checked that all reads and writes stay within the slices,
        // and an `Isa` exists only for what was detected.
        unsafe {
            match $kind {
                finish::SUMS => $module::$kernel::<{ finish::SUMS } $(, $scheme)?>($($argument),*),
                finish::REQUANTIZE => $module::$kernel::<{ finish::REQUANTIZE } $(, $scheme)?>($($argument),*),
                _ => $module::$kernel::<{ finish::PRELU } $(, $scheme)?>($($argument),*),
            }
        }
    };
}

impl Isa {
    /// Plain Rust, the reference; every machine has it.
    pub const SCALAR: Isa = Isa(Set::Scalar);

    /// The fastest kernel that is exact on this machine.
    pub fn best() -> Isa {
        Self::available().last().copied().unwrap_or(Self::SCALAR)
    }

    /// Every kernel that can run here and has proved itself, the fastest last.
    pub fn available() -> &'static [Isa] {
        static AVAILABLE: std::sync::OnceLock<Vec<Isa>> = std::sync::OnceLock::new();
        AVAILABLE.get_or_init(Self::proved)
    }

    fn proved() -> Vec<Isa> {
        let mut all = vec![Set::Scalar];
        #[cfg(target_arch = "wasm32")]
        all.push(Set::Simd128);
        #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
        all.extend([Set::RelaxedSigned, Set::RelaxedPairs, Set::RelaxedExact]);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            all.extend([Set::Avx2Words, Set::Avx2]);
            if std::arch::is_x86_feature_detected!("avxvnni") {
                all.extend([Set::AvxVnniWords, Set::AvxVnni]);
            }
            let avx512 = std::arch::is_x86_feature_detected!("avx512vnni");
            if avx512 && std::arch::is_x86_feature_detected!("avx512vl") {
                all.extend([Set::Avx512VnniWords, Set::Avx512Vnni]);
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            all.push(Set::Neon);
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                all.push(Set::NeonDot);
            }
        }
        let exact = |&isa: &Isa| isa == Self::SCALAR || proof::is_exact(isa);
        all.into_iter().map(Isa).filter(exact).collect()
    }

    /// Name for logs and reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Scalar => "scalar",
            #[cfg(target_arch = "wasm32")]
            Set::Simd128 => "simd128",
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedExact => "relaxed-simd",
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedPairs => "relaxed-simd, split weights",
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedSigned => "relaxed-simd, signed",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Words => "avx2, words",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnniWords => "avx-vnni, words",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512VnniWords => "avx512-vnni, words",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Set::NeonDot => "neon, dotprod",
        }
    }

    /// The instruction set to use instead where many weights would have to be split.
    pub fn without_splitting(self) -> Isa {
        let words = match self.0 {
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedPairs => Isa(Set::Simd128),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => Isa(Set::Avx2Words),
            _ => self,
        };
        if Self::available().contains(&words) { words } else { self }
    }

    /// The instruction set to use for a 3 × 3 convolution by [`winograd`], if that is faster: where bytes
    /// are multiplied exactly, not in layers of many channels. Their pictures are small, and weights
    /// that serve few tiles are not worth their transform (`README.md`).
    #[cfg_attr(target_arch = "aarch64", allow(unused_variables, unreachable_code))] // None there.
    pub fn for_winograd(self, in_channels: usize) -> Option<Isa> {
        let (isa, most_channels) = match self.0 {
            #[cfg(target_arch = "wasm32")]
            Set::Simd128 => (Set::Simd128, usize::MAX),
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedPairs => (Set::Simd128, usize::MAX),
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedExact => (Set::Simd128, 256),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Words | Set::Avx2 => (Set::Avx2Words, usize::MAX),
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnniWords => (Set::AvxVnniWords, usize::MAX),
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni => (Set::AvxVnniWords, 128),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512VnniWords => (Set::Avx512VnniWords, usize::MAX),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Vnni => (Set::Avx512VnniWords, 128),
            _ => return None,
        };
        (in_channels <= most_channels && Self::available().contains(&Isa(isa))).then_some(Isa(isa))
    }

    /// Share of split weights above which that is better ([`Panels::split_share`]): the second
    /// halves take time and memory. `README.md` has the measurements.
    pub fn most_split(self) -> f32 {
        match self.0 {
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedPairs => 0.25,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => 0.06,
            _ => f32::INFINITY,
        }
    }

    /// How the activations of a [`Gemm`] are laid out.
    pub fn activations(self) -> Activations {
        match self.0 {
            #[cfg(target_arch = "wasm32")]
            Set::Simd128 => Activations::Words,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Words | Set::AvxVnniWords | Set::Avx512VnniWords => Activations::Words,
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedSigned => Activations::SignedBytes,
            #[cfg(target_arch = "aarch64")]
            Set::Neon | Set::NeonDot => Activations::SignedBytes,
            _ => Activations::Bytes,
        }
    }

    /// Input channels that one dot instruction sums into a lane.
    pub fn group(self) -> usize {
        match self.activations() {
            Activations::Words => 2,
            _ => 4,
        }
    }

    /// Taps that a depthwise kernel takes at a time.
    fn depthwise_group(self) -> usize {
        match self.0 {
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedExact => 4,
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni | Set::Avx512Vnni => 4,
            _ => 2,
        }
    }

    /// Which weights have to be split.
    pub fn weight_limit(self) -> WeightLimit {
        match self.0 {
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedPairs => WeightLimit::Pairs,
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedSigned => WeightLimit::Symmetric,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => WeightLimit::Pairs,
            _ => WeightLimit::None,
        }
    }

    /// `y[p][c] = finish(bias[c] + Σ activation · weight)` for all pixels and channels.
    pub fn gemm(self, gemm: &Gemm<'_>, mut output: Output<'_>) {
        let end = |offsets: &[usize]| offsets.iter().max().map_or(0, |&o| o);
        let last = end(gemm.pixels) + end(gemm.rows) + gemm.panels.row_bytes();
        assert!(last <= gemm.activations.len(), "kernel would read past the activations");
        assert!(gemm.pixels.len().is_multiple_of(TILE_PIXELS), "pixels come in whole tiles");
        assert!(gemm.panels.isa() == self && gemm.panels.rows() == gemm.rows.len(), "panels of another kernel");
        assert!(gemm.blocks.end <= gemm.panels.blocks() && gemm.blocks.end <= gemm.bias.len(), "too few blocks");
        assert!(gemm.channels.div_ceil(BLOCK) == gemm.blocks.len(), "channels do not fit the blocks");
        let (target, kind) = output.checked(gemm.pixels.len(), gemm.channels, gemm.blocks.end);
        match self.0 {
            Set::Scalar => dispatch!(kind, scalar::gemm(gemm, target)),
            #[cfg(target_arch = "wasm32")]
            Set::Simd128 => dispatch!(kind, wasm_simd128::gemm(gemm, target)),
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedPairs => dispatch!(kind, wasm_relaxed::gemm[true](gemm, target)),
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedExact | Set::RelaxedSigned => dispatch!(kind, wasm_relaxed::gemm[false](gemm, target)),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Words | Set::AvxVnniWords | Set::Avx512VnniWords => {
                dispatch!(kind, x86_avx2::gemm_words(gemm, target))
            }
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => dispatch!(kind, x86_avx2::gemm(gemm, target)),
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni => dispatch!(kind, x86_vnni::gemm_avx(gemm, target)),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Vnni => dispatch!(kind, x86_vnni::gemm_avx512(gemm, target)),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => dispatch!(kind, arm_neon::gemm(gemm, target)),
            #[cfg(target_arch = "aarch64")]
            Set::NeonDot => dispatch!(kind, arm_neon::gemm_dot(gemm, target)),
        }
    }

    /// A 3 × 3 convolution. Panics for what [`Isa::for_winograd`] does not name.
    #[cfg_attr(target_arch = "aarch64", allow(unused_variables, unused_macros))]
    pub fn winograd(self, w: &Winograd<'_>, y: &mut [u8], requantize: &Requantize, buffers: &mut Buffers) {
        w.check(y.len());
        assert!(w.panels.isa() == self, "panels of another kernel");
        let mut output = Output::Bytes { y, offsets: &[], requantize };
        let (target, kind) = output.checked(0, 0, w.bias.len());
        macro_rules! call {
            ($module:ident :: $kernel:ident) => {
                // SAFETY: bounds have been checked, and an `Isa` exists only for what was detected.
                unsafe {
                    match kind {
                        finish::PRELU => $module::$kernel::<{ finish::PRELU }>(w, target, buffers),
                        _ => $module::$kernel::<{ finish::REQUANTIZE }>(w, target, buffers),
                    }
                }
            };
        }
        match self.0 {
            #[cfg(target_arch = "wasm32")]
            Set::Simd128 => call!(wasm_simd128::winograd),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2Words => call!(x86_avx2::winograd),
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnniWords => call!(x86_vnni::winograd_avx),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512VnniWords => call!(x86_vnni::winograd_avx512),
            _ => panic!("no Winograd kernel for {}", self.name()),
        }
    }

    /// `y[p][c] = finish(bias[c] + Σ_tap activation[c] · weight[tap][c])`.
    pub fn depthwise(self, depthwise: &Depthwise<'_>, mut output: Output<'_>) {
        let end = |offsets: &[usize]| offsets.iter().max().map_or(0, |&o| o);
        let blocks = depthwise.bias.len();
        let last = end(depthwise.pixels) + end(depthwise.taps) + blocks * BLOCK;
        assert!(last <= depthwise.activations.len(), "kernel would read past the activations");
        let weights = depthwise.weights;
        assert!(weights.taps() == depthwise.taps.len() && weights.blocks() == blocks, "depthwise weights do not fit");
        assert!(weights.group() == self.depthwise_group(), "depthwise weights of another kernel");
        assert!(depthwise.channels.div_ceil(BLOCK) == blocks, "channels do not fit the blocks");
        let (target, kind) = output.checked(depthwise.pixels.len(), depthwise.channels, blocks);
        match self.0 {
            Set::Scalar => dispatch!(kind, scalar::depthwise(depthwise, target)),
            #[cfg(target_arch = "wasm32")]
            Set::Simd128 => dispatch!(kind, wasm_simd128::depthwise(depthwise, target)),
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedExact => dispatch!(kind, wasm_relaxed::depthwise(depthwise, target)),
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Set::RelaxedPairs | Set::RelaxedSigned => dispatch!(kind, wasm_simd128::depthwise(depthwise, target)),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx2Words | Set::AvxVnniWords | Set::Avx512VnniWords => {
                dispatch!(kind, x86_avx2::depthwise(depthwise, target))
            }
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni => dispatch!(kind, x86_vnni::depthwise_avx(depthwise, target)),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Vnni => dispatch!(kind, x86_vnni::depthwise_avx512(depthwise, target)),
            #[cfg(target_arch = "aarch64")]
            Set::Neon | Set::NeonDot => dispatch!(kind, arm_neon::depthwise(depthwise, target)),
        }
    }
}
