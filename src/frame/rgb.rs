//! YUV to RGB in integers, with the same result on every processor: one step of one
//! channel can move the landmarks of a small face by pixels, and libraries round
//! differently with each instruction set.

use super::ColorMatrix;

/// Fractional bits of the factors.
const BITS: u32 = 14;

/// What the samples count, times 2^[`BITS`].
#[derive(Clone, Copy)]
struct Factors {
    /// Luma of black, as it is.
    black: i32,
    luma: i32,
    v_to_red: i32,
    u_to_green: i32,
    v_to_green: i32,
    u_to_blue: i32,
}

/// Converts rows of one kind of picture.
pub(super) struct Converter {
    factors: Factors,
    /// Chroma of a row, a sample for each pixel.
    chroma: [Vec<u8>; 2],
    /// Red, green and blue of a row.
    channels: [Vec<u8>; 3],
}

impl Converter {
    /// For pictures of so many columns.
    pub fn new(matrix: ColorMatrix, full_range: bool, width: usize) -> Self {
        let (red, blue) = matrix.shares();
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = if full_range { (0, 1.0, 1.0) } else { (16, 255.0 / 219.0, 255.0 / 224.0) };
        let factor = |value: f64| (value * f64::from(1 << BITS)).round() as i32;
        let factors = Factors {
            black,
            luma: factor(luma),
            v_to_red: factor(2.0 * (1.0 - red) * chroma),
            u_to_green: factor(-2.0 * blue * (1.0 - blue) / green * chroma),
            v_to_green: factor(-2.0 * red * (1.0 - red) / green * chroma),
            u_to_blue: factor(2.0 * (1.0 - blue) * chroma),
        };
        Self {
            factors,
            chroma: [vec![0; width], vec![0; width]],
            channels: [vec![0; width], vec![0; width], vec![0; width]],
        }
    }

    /// A row of luma with rows of U and V, each of whose samples serves `2^sub_x` pixels.
    pub fn planar(&mut self, luma: &[u8], chroma: [&[u8]; 2], sub_x: u32, out: &mut [u8]) {
        if sub_x == 0 {
            return self.row(luma, chroma, out);
        }
        let mut spread = std::mem::take(&mut self.chroma);
        for (spread, samples) in spread.iter_mut().zip(chroma) {
            let (pairs, last) = spread.as_chunks_mut::<2>();
            pairs.iter_mut().zip(samples).for_each(|(pair, &sample)| *pair = [sample; 2]);
            last.iter_mut().zip(&samples[pairs.len()..]).for_each(|(last, &sample)| *last = sample);
        }
        self.row(luma, [&spread[0], &spread[1]], out);
        self.chroma = spread;
    }

    /// The same with U and V in turn, each pair of which serves two pixels.
    pub fn semi_planar(&mut self, luma: &[u8], chroma: &[u8], out: &mut [u8]) {
        let mut spread = std::mem::take(&mut self.chroma);
        for (channel, spread) in spread.iter_mut().enumerate() {
            let samples = chroma.as_chunks::<2>().0;
            spread.chunks_mut(2).zip(samples).for_each(|(pixels, pair)| pixels.fill(pair[channel]));
        }
        self.row(luma, [&spread[0], &spread[1]], out);
        self.chroma = spread;
    }

    fn row(&mut self, luma: &[u8], [u, v]: [&[u8]; 2], out: &mut [u8]) {
        let [red, green, blue] = &mut self.channels;
        convert(self.factors, [luma, u, v], [red, green, blue], out);
    }
}

/// A row from luma, U and V to RGB, by way of its channels.
#[cfg(target_arch = "x86_64")]
fn convert(factors: Factors, yuv: [&[u8]; 3], channels: [&mut [u8]; 3], out: &mut [u8]) {
    /// Compiled once more, since SSE2 cannot multiply vectors of 32-bit integers.
    #[target_feature(enable = "avx2")]
    fn convert_avx2(factors: Factors, yuv: [&[u8]; 3], channels: [&mut [u8]; 3], out: &mut [u8]) {
        convert_anywhere(factors, yuv, channels, out);
    }
    match is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        true => unsafe { convert_avx2(factors, yuv, channels, out) },
        false => convert_anywhere(factors, yuv, channels, out),
    }
}

#[cfg(not(target_arch = "x86_64"))]
use convert_anywhere as convert;

#[inline(always)]
fn convert_anywhere(factors: Factors, yuv: [&[u8]; 3], [red, green, blue]: [&mut [u8]; 3], out: &mut [u8]) {
    factors.channels(yuv, red, green, blue);
    for (((out, &r), &g), &b) in out.as_chunks_mut::<3>().0.iter_mut().zip(&*red).zip(&*green).zip(&*blue) {
        *out = [r, g, b];
    }
}

impl Factors {
    /// The channels of a row.
    // Elsewhere than on x86 it is not inlined, so that compilers know that what is written is no part of what is read.
    #[cfg_attr(target_arch = "x86_64", inline(always))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(never))]
    fn channels(self, [luma, u, v]: [&[u8]; 3], red: &mut [u8], green: &mut [u8], blue: &mut [u8]) {
        let constant = (1 << (BITS - 1)) - self.black * self.luma;
        let inputs = luma.iter().zip(u).zip(v);
        for ((((&y, &u), &v), red), (green, blue)) in inputs.zip(red).zip(green.iter_mut().zip(blue)) {
            let (y, u, v) = (self.luma * i32::from(y) + constant, i32::from(u) - 128, i32::from(v) - 128);
            let sample = |sum: i32| (sum >> BITS).clamp(0, 255) as u8;
            *red = sample(y + self.v_to_red * v);
            *green = sample(y + self.u_to_green * u + self.v_to_green * v);
            *blue = sample(y + self.u_to_blue * u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every luma with every chroma of a grid, against the formulas in floating point.
    #[test]
    fn colours_are_those_of_the_standards() {
        for (matrix, [red, blue]) in [
            (ColorMatrix::Bt601, [0.299, 0.114]),
            (ColorMatrix::Bt709, [0.2126, 0.0722]),
            (ColorMatrix::Bt2020, [0.2627, 0.0593]),
        ] {
            for full_range in [false, true] {
                let luma: Vec<u8> = (0..=255).collect();
                let mut converter = Converter::new(matrix, full_range, 256);
                for (u, v) in (0..=255).step_by(5).flat_map(|u| (0..=255).step_by(5).map(move |v| (u, v))) {
                    let mut out = vec![0; 3 * 256];
                    converter.planar(&luma, [&[u; 256], &[v; 256]], 0, &mut out);
                    for (y, rgb) in out.chunks_exact(3).enumerate() {
                        let (y, u, v) = (y as f64, f64::from(u) - 128.0, f64::from(v) - 128.0);
                        let (y, u, v) = match full_range {
                            true => (y, u, v),
                            false => ((y - 16.0) * 255.0 / 219.0, u * 255.0 / 224.0, v * 255.0 / 224.0),
                        };
                        let (r, b) = (y + 2.0 * (1.0 - red) * v, y + 2.0 * (1.0 - blue) * u);
                        let g = (y - red * r - blue * b) / (1.0 - red - blue);
                        for (got, exact) in rgb.iter().zip([r, g, b]) {
                            let error = (f64::from(*got) - exact.clamp(0.0, 255.0)).abs();
                            assert!(error <= 0.53, "{matrix:?} {full_range} {y} {u} {v}: {got} for {exact}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn chroma_is_spread_over_its_pixels() {
        let convert = |run: &dyn Fn(&mut Converter, &mut [u8])| {
            let mut out = vec![0; 15];
            run(&mut Converter::new(ColorMatrix::Bt601, true, 5), &mut out);
            out
        };
        let luma = [90, 100, 110, 120, 130];
        let spread = convert(&|c, out| c.planar(&luma, [&[10, 10, 60, 60, 250], &[20, 20, 70, 70, 240]], 0, out));
        assert_eq!(spread, convert(&|c, out| c.planar(&luma, [&[10, 60, 250], &[20, 70, 240]], 1, out)));
        assert_eq!(spread, convert(&|c, out| c.semi_planar(&luma, &[10, 20, 60, 70, 250, 240], out)));
    }
}
