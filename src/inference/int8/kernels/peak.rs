//! What a machine could do at most: a kernel's dot instruction on registers alone.

use super::{Isa, Set};

impl Isa {
    /// Runs the dot instruction of this kernel on registers, `rounds` times some, and returns
    /// how many products that were. With a clock around it: the machine's peak, which no
    /// kernel reaches, since it also has to load what it multiplies. 0 for the reference, which
    /// has no such instruction.
    pub fn dots(self, rounds: u32) -> u64 {
        // SAFETY: an `Isa` exists only for what was detected. (In plain simd128 nothing is unsafe.)
        #[allow(unused_unsafe)]
        let (sum, products): (i32, u64) = unsafe {
            match self.0 {
                Set::Scalar => (0, 0),
                #[cfg(target_arch = "wasm32")]
                Set::Simd128 => super::wasm_simd128::dots(rounds),
                #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
                Set::RelaxedPairs => super::wasm_relaxed::dots::<true>(rounds),
                #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
                Set::RelaxedExact | Set::RelaxedSigned => super::wasm_relaxed::dots::<false>(rounds),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2Words | Set::AvxVnniWords | Set::Avx512VnniWords => super::x86_avx2::dots_words(rounds),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => super::x86_avx2::dots(rounds),
                #[cfg(target_arch = "x86_64")]
                Set::AvxVnni => super::x86_vnni::dots_avx(rounds),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512Vnni => super::x86_vnni::dots_avx512(rounds),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => super::arm_neon::dots(rounds),
                #[cfg(target_arch = "aarch64")]
                Set::NeonDot => super::arm_neon::dots_dot(rounds),
            }
        };
        std::hint::black_box(sum);
        u64::from(rounds) * products
    }

    /// Products per nanosecond (GMAC/s) on registers alone: the best of some tries, as other
    /// work on the machine can only slow one down.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn measure_peak(self) -> f64 {
        const ROUNDS: u32 = 1 << 20;
        let rate = |_| {
            let start = std::time::Instant::now();
            let products = self.dots(ROUNDS);
            products as f64 / start.elapsed().as_nanos().max(1) as f64
        };
        (0..8).map(rate).fold(0.0, f64::max)
    }
}
