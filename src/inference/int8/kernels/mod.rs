//! Integer dot-product kernels: one file per instruction set behind one dispatch.
//!
//! Two shapes of work cover every convolution:
//!
//! * [`Isa::gemm`]: eight output channels of some pixels, in tiles of four
//!   pixels. Each pixel is a base offset into the activations; each tap of the
//!   kernel is an offset relative to it, so there is no im2col buffer. Weights
//!   come as a *panel* (see [`pack_gemm`]).
//! * [`Isa::depthwise`]: all channels of some pixels of a depthwise convolution.
//!
//! All paths add exactly the same integers: results are bit-identical to
//! [`scalar`]. The 4 × 8 tile was the fastest of those tried on wasm (it keeps
//! 8 accumulators, 2 weight vectors and 1 activation vector in 16 registers).

mod scalar;
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
mod wasm_relaxed;
#[cfg(target_arch = "wasm32")]
mod wasm_simd128;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;

/// Output pixels per tile.
pub const TILE_PIXELS: usize = 4;
/// Output channels per tile and per weight panel.
pub const TILE_CHANNELS: usize = 8;

/// Instruction set of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust; the reference.
    Scalar,
    /// WebAssembly `simd128`: `i32x4.dot_i16x8_s` on widened activations.
    #[cfg(target_arch = "wasm32")]
    Simd128,
    /// WebAssembly relaxed SIMD: `i32x4.relaxed_dot_i8x16_i7x16_add` on bytes.
    #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
    RelaxedSimd,
    /// x86-64 AVX2: `vpmaddwd` on widened activations.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// Where the activations of some output pixels are. All offsets are in bytes.
#[derive(Clone, Copy)]
pub struct Windows<'a> {
    /// Activations: NHWC, padded.
    pub activations: &'a [u8],
    /// Offset of each pixel's first tap.
    pub pixels: &'a [usize],
    /// Offset of each tap relative to its pixel.
    pub taps: &'a [usize],
}

impl Windows<'_> {
    /// The kernels read by raw pointer; this is the bound that makes it sound.
    fn assert_readable(&self, bytes_per_tap: usize) {
        let last = |offsets: &[usize]| offsets.iter().max().map_or(0, |&o| o);
        let end = last(self.pixels).checked_add(last(self.taps)).and_then(|o| o.checked_add(bytes_per_tap));
        assert!(end.is_some_and(|end| end <= self.activations.len()), "kernel would read past the activations");
    }
}

/// Accumulators of one pixel and eight output channels.
pub type Sums = [i32; TILE_CHANNELS];

impl Isa {
    /// The fastest kernel that is exact on this machine.
    pub fn best() -> Isa {
        #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
        if wasm_relaxed::dot_is_exact() {
            return Isa::RelaxedSimd;
        }
        #[cfg(target_arch = "wasm32")]
        return Isa::Simd128;
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Isa::Avx2;
        }
        #[cfg(not(target_arch = "wasm32"))]
        Isa::Scalar
    }

    /// Every kernel that can run here, the scalar reference first.
    pub fn available() -> Vec<Isa> {
        let mut all = vec![Isa::Scalar];
        #[cfg(target_arch = "wasm32")]
        all.push(Isa::Simd128);
        if !all.contains(&Isa::best()) {
            all.push(Isa::best());
        }
        all
    }

    /// Name for logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "wasm32")]
            Isa::Simd128 => "simd128",
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Isa::RelaxedSimd => "relaxed-simd",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
        }
    }

    /// Input channels that one dot instruction sums, and so the granularity in
    /// which channels are stored in a panel.
    pub fn group(self) -> usize {
        match self {
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Isa::RelaxedSimd => 4,
            _ => 2,
        }
    }

    /// Bytes per activation that [`Isa::gemm`] reads: 1 (`u8`) or 2
    /// (`u8` widened to little-endian 16 bits).
    pub fn activation_bytes(self) -> usize {
        match self {
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Isa::RelaxedSimd => 1,
            _ => 2,
        }
    }

    /// `sums[p][c] = bias[c] + Σ_tap Σ_k activation[pixel p, tap, k] · weight[c, tap, k]`
    /// for a multiple of [`TILE_PIXELS`] pixels and eight output channels, with
    /// `depth` input channels per tap and weights from [`pack_gemm`].
    pub fn gemm(self, windows: Windows<'_>, depth: usize, panel: &[i8], bias: &Sums, sums: &mut [Sums]) {
        let padded_depth = depth.next_multiple_of(self.group());
        windows.assert_readable(padded_depth * self.activation_bytes());
        assert!(windows.taps.len() * padded_depth * TILE_CHANNELS <= panel.len(), "kernel would read past its panel");
        assert!(windows.pixels.len() == sums.len() && sums.len().is_multiple_of(TILE_PIXELS), "pixels come in fours");
        match self {
            Isa::Scalar => scalar::gemm(windows, depth, panel, bias, sums),
            // SAFETY (all arms): the bounds were just asserted, and a value of
            // the instruction set's variant exists only where `best` or
            // `available` found the instructions.
            #[cfg(target_arch = "wasm32")]
            Isa::Simd128 => unsafe { wasm_simd128::gemm(windows, depth, panel, bias, sums) },
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Isa::RelaxedSimd => unsafe { wasm_relaxed::gemm(windows, depth, panel, bias, sums) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86_avx2::gemm(windows, depth, panel, bias, sums) },
        }
    }

    /// Depthwise: `sums[p][c] = bias[c] + Σ_tap activation[pixel p, tap][c] · weight[tap][c]`
    /// over `u8` activations. `bias` holds all channels, rounded up to a multiple
    /// of eight; `sums` is pixel by pixel, each as long as `bias`; `weights`
    /// comes from [`pack_depthwise`], with as many taps.
    pub fn depthwise(self, windows: Windows<'_>, weights: &[i16], bias: &[Sums], sums: &mut [Sums]) {
        windows.assert_readable(bias.len() * TILE_CHANNELS);
        assert!(windows.taps.len().is_multiple_of(2), "depthwise taps come in pairs");
        assert!(weights.len() == windows.taps.len() * bias.len() * TILE_CHANNELS, "depthwise weights do not fit");
        assert!(sums.len() == windows.pixels.len() * bias.len(), "depthwise sums do not fit");
        match self {
            Isa::Scalar => scalar::depthwise(windows, weights, bias, sums),
            // SAFETY: as in `gemm`.
            #[cfg(target_arch = "wasm32")]
            Isa::Simd128 => unsafe { wasm_simd128::depthwise(windows, weights, bias, sums) },
            #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
            Isa::RelaxedSimd => unsafe { wasm_simd128::depthwise(windows, weights, bias, sums) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86_avx2::depthwise(windows, weights, bias, sums) },
        }
    }
}

/// Lays the weights of up to eight output channels out for [`Isa::gemm`]:
/// for each tap, for each group of [`Isa::group`] input channels, eight output
/// channels × the group. What is missing (channels past the end) is zero, so
/// whatever activation is read there adds nothing.
///
/// `weight(channel, depth, tap)` gives one weight; `channels` ≤ 8.
pub fn pack_gemm(
    isa: Isa,
    taps: usize,
    depth: usize,
    channels: usize,
    weight: impl Fn(usize, usize, usize) -> i8,
) -> Vec<i8> {
    let group = isa.group();
    let mut panel = Vec::with_capacity(taps * depth.div_ceil(group) * group * TILE_CHANNELS);
    for tap in 0..taps {
        for first in (0..depth).step_by(group) {
            for channel in 0..TILE_CHANNELS {
                for k in first..first + group {
                    panel.push(if channel < channels && k < depth { weight(channel, k, tap) } else { 0 });
                }
            }
        }
    }
    panel
}

/// Lays depthwise weights out for [`Isa::depthwise`]: for each eight
/// channels, for each pair of taps, eight channels × the pair. An odd last tap
/// is paired with a zero; the caller repeats any valid tap offset for it.
pub fn pack_depthwise(taps: usize, channels: usize, weight: impl Fn(usize, usize) -> i8) -> Vec<i16> {
    let mut packed = Vec::new();
    for first in (0..channels).step_by(TILE_CHANNELS) {
        for pair in (0..taps).step_by(2) {
            for channel in first..first + TILE_CHANNELS {
                for tap in pair..pair + 2 {
                    packed.push(if channel < channels && tap < taps { i16::from(weight(channel, tap)) } else { 0 });
                }
            }
        }
    }
    packed
}
