//! High dynamic range as ordinary RGB: PQ and HLG (ITU-R BT.2100) to sRGB.
//!
//! ```text
//! YUV → R'G'B' → light (HLG: as a 1000 cd/m² display shows it) → brightest channel compressed to what
//! SDR can show (ITU-R BT.2390, section 5.4) → primaries of BT.2020 to BT.709 → sRGB
//! ```
//!
//! Diffuse white is 203 cd/m² (ITU-R BT.2408), and the brightest light is taken to be 1000 cd/m²:
//! WebCodecs does not hand out what a file says of its mastering. Everything but sums
//! and products is looked up in tables, so that it is quick and the same everywhere.

use super::{ColorMatrix, Transfer};

/// Brightness of diffuse white, and so the most that SDR shows, in cd/m².
const WHITE_CD_M2: f64 = 203.0;
/// Brightest light that is expected, in cd/m².
const PEAK_CD_M2: f64 = 1000.0;
/// Steps of the tables over 0–1.
const STEPS: usize = 4096;

/// BT.2020 primaries to BT.709's (ITU-R BT.2087, annex 1).
const TO_709: [[f32; 3]; 3] = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];

/// Converts pixels of one kind of picture.
pub(super) struct ToneMapper {
    /// Red and blue's shares of luma.
    red: f32,
    blue: f32,
    /// Black, and what a step of luma and of chroma counts.
    black: f32,
    luma: f32,
    chroma: f32,
    neutral: f32,
    transfer: Transfer,
    /// Light of a channel's code: PQ's of the display in units of diffuse white, HLG's of the scene.
    light: Vec<f32>,
    /// HLG: what scene light of a luminance is multiplied with for the display's light.
    system_gamma: Vec<f32>,
    /// What light is multiplied with, by the brightest channel's PQ code.
    gain: Vec<f32>,
    /// PQ code by the fourth root of display light over the peak: HLG's way to `gain`.
    pq_code: Vec<f32>,
    /// sRGB bytes by the square root of light.
    srgb: Vec<u8>,
}

fn table<T>(of: impl Fn(f64) -> T) -> Vec<T> {
    (0..=STEPS).map(|step| of(step as f64 / STEPS as f64)).collect()
}

fn look<T: Copy>(table: &[T], at: f32) -> T {
    table[((at * STEPS as f32 + 0.5) as usize).min(STEPS)]
}

/// Light in cd/m² of a PQ code, 0–1 (SMPTE ST 2084).
fn pq_light(code: f64) -> f64 {
    let (m1, m2) = (2610.0 / 16384.0, 2523.0 / 4096.0 * 128.0);
    let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 4096.0 * 32.0, 2392.0 / 4096.0 * 32.0);
    let root = code.powf(1.0 / m2);
    10_000.0 * ((root - c1).max(0.0) / (c2 - c3 * root)).powf(1.0 / m1)
}

/// The inverse.
fn pq_code(light_cd_m2: f64) -> f64 {
    let (m1, m2) = (2610.0 / 16384.0, 2523.0 / 4096.0 * 128.0);
    let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 4096.0 * 32.0, 2392.0 / 4096.0 * 32.0);
    let power = (light_cd_m2 / 10_000.0).max(0.0).powf(m1);
    ((c1 + c2 * power) / (1.0 + c3 * power)).powf(m2)
}

/// Scene light, 0–1, of an HLG code.
fn hlg_light(code: f64) -> f64 {
    let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
    if code <= 0.5 { code * code / 3.0 } else { (((code - c) / a).exp() + b) / 12.0 }
}

/// A PQ code compressed to what SDR shows: as it is up to a knee, then a Hermite spline.
fn compressed(code: f64) -> f64 {
    let (from, to) = (pq_code(PEAK_CD_M2), pq_code(WHITE_CD_M2));
    let most = to / from;
    let knee = 1.5 * most - 0.5;
    let at = (code / from).min(1.0);
    if at < knee {
        return code;
    }
    let t = (at - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    from * ((2.0 * t3 - 3.0 * t2 + 1.0) * knee + (t3 - 2.0 * t2 + t) * (1.0 - knee) + (3.0 * t2 - 2.0 * t3) * most)
}

fn srgb(light: f64) -> f64 {
    if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

impl ToneMapper {
    /// For samples of so many bits.
    pub fn new(matrix: ColorMatrix, full_range: bool, bits: u32, transfer: Transfer) -> Self {
        let (red, blue) = matrix.shares();
        let most = ((1u32 << bits) - 1) as f32;
        let step = (1u32 << (bits - 8)) as f32;
        let (black, luma, chroma) =
            if full_range { (0.0, most, most) } else { (16.0 * step, 219.0 * step, 224.0 * step) };
        Self {
            red: red as f32,
            blue: blue as f32,
            black,
            luma: 1.0 / luma,
            chroma: 1.0 / chroma,
            neutral: 128.0 * step,
            transfer,
            light: match transfer {
                Transfer::Hlg => table(|code| hlg_light(code) as f32),
                _ => table(|code| (pq_light(code) / WHITE_CD_M2) as f32),
            },
            // The system gamma of a 1000 cd/m² display is 1.2.
            system_gamma: table(|luminance| (luminance.max(1e-6).powf(0.2) * PEAK_CD_M2 / WHITE_CD_M2) as f32),
            gain: table(|code| match pq_light(code) {
                light if light > 0.0 => (pq_light(compressed(code)) / light) as f32,
                _ => 1.0,
            }),
            pq_code: table(|root| pq_code(root.powi(4) * PEAK_CD_M2) as f32),
            srgb: table(|root| (srgb(root * root) * 255.0).round() as u8),
        }
    }

    /// sRGB of a pixel's samples.
    pub fn pixel(&self, [y, u, v]: [u16; 3]) -> [u8; 3] {
        let y = (f32::from(y) - self.black) * self.luma;
        let [u, v] = [u, v].map(|sample| (f32::from(sample) - self.neutral) * self.chroma);
        let (r, b) = (y + 2.0 * (1.0 - self.red) * v, y + 2.0 * (1.0 - self.blue) * u);
        let g = (y - self.red * r - self.blue * b) / (1.0 - self.red - self.blue);
        let codes = [r, g, b].map(|code| code.clamp(0.0, 1.0));
        let mut light = codes.map(|code| look(&self.light, code));
        let brightest = match self.transfer {
            Transfer::Hlg => {
                let luminance = self.red * light[0] + (1.0 - self.red - self.blue) * light[1] + self.blue * light[2];
                let factor = look(&self.system_gamma, luminance);
                light = light.map(|light| light * factor);
                let most = light.into_iter().fold(0.0, f32::max);
                look(&self.pq_code, (most * (WHITE_CD_M2 / PEAK_CD_M2) as f32).min(1.0).sqrt().sqrt())
            }
            _ => codes.into_iter().fold(0.0, f32::max),
        };
        let gain = look(&self.gain, brightest);
        TO_709.map(|[r, g, b]| {
            let light = gain * (r * light[0] + g * light[1] + b * light[2]);
            look(&self.srgb, light.clamp(0.0, 1.0).sqrt())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of a grey of so many cd/m², 10 bits, limited range.
    fn grey(transfer: Transfer, light_cd_m2: f64) -> [u16; 3] {
        let code = match transfer {
            Transfer::Hlg => {
                // Scene light that a 1000 cd/m² display shows as this, and its code by search.
                let scene = (light_cd_m2 / PEAK_CD_M2).powf(1.0 / 1.2);
                (0..=100_000).map(|i| f64::from(i) / 1e5).find(|&code| hlg_light(code) >= scene).unwrap_or(1.0)
            }
            _ => pq_code(light_cd_m2),
        };
        [(64.0 + code * 876.0).round() as u16, 512, 512]
    }

    #[test]
    fn pq_is_that_of_the_standard() {
        // ITU-R BT.2408, table 1: 203 cd/m² is 58 %, 1000 is 75 %, 100 is 51 %.
        for (light, code) in [(203.0, 0.58), (1000.0, 0.75), (100.0, 0.51), (10_000.0, 1.0)] {
            assert!((pq_code(light) - code).abs() < 0.005, "{light}: {}", pq_code(light));
            assert!((pq_light(pq_code(light)) / light - 1.0).abs() < 1e-6);
        }
        // And HLG's 75 % is diffuse white on such a display.
        assert!((PEAK_CD_M2 * hlg_light(0.75).powf(1.2) - 203.0).abs() < 2.0);
    }

    #[test]
    fn greys_stay_grey_and_in_order_and_dark_ones_as_they_are() {
        for transfer in [Transfer::Pq, Transfer::Hlg] {
            let mapper = ToneMapper::new(ColorMatrix::Bt2020, false, 10, transfer);
            let mut last = 0;
            for light in [0.0, 1.0, 5.0, 20.0, 50.0, 80.0, 150.0, 203.0, 400.0, 700.0, 1000.0] {
                let [r, g, b] = mapper.pixel(grey(transfer, light));
                assert!(r.abs_diff(g) <= 1 && g.abs_diff(b) <= 1, "{transfer:?} {light}: {r} {g} {b}");
                assert!(g >= last, "{transfer:?} {light}: {g} after {last}");
                last = g;
                if light <= 80.0 {
                    let expected = srgb(light / WHITE_CD_M2) * 255.0;
                    assert!((f64::from(g) - expected).abs() < 3.0, "{transfer:?} {light}: {g} for {expected}");
                }
            }
            assert!(last >= 253, "{transfer:?}: the brightest becomes white, not {last}");
            let white = mapper.pixel(grey(transfer, 203.0))[1];
            assert!((205..240).contains(&white), "{transfer:?}: diffuse white becomes {white}");
        }
    }

    #[test]
    fn colours_keep_their_hue() {
        let mapper = ToneMapper::new(ColorMatrix::Bt2020, false, 10, Transfer::Pq);
        // BT.709 red of 100 cd/m² in BT.2020's primaries.
        let codes = [0.6274, 0.0691, 0.0164].map(|share| pq_code(share * 100.0));
        let y = 0.2627 * codes[0] + 0.678 * codes[1] + 0.0593 * codes[2];
        let (u, v) = ((codes[2] - y) / 1.8814, (codes[0] - y) / 1.4746);
        let samples = [64.0 + 876.0 * y, 512.0 + 896.0 * u, 512.0 + 896.0 * v].map(|v| v.round() as u16);
        let [r, g, b] = mapper.pixel(samples);
        assert!(r > 170 && g < 30 && b < 30, "{r} {g} {b}");
    }
}
