//! A frame as OpenCV's video reader and `resize` hand it out, for detectors that are to see
//! what they see there.

use super::{Family, Frame};

/// A small BGR picture.
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Blue, green and red of each pixel, row by row.
    pub pixels: Vec<[u8; 3]>,
}

/// A sample between others: the one at or before it, the next one, and the weights of both
/// with 11 bits after the point.
#[derive(Clone, Copy)]
struct Between {
    at: [usize; 2],
    weights: [i32; 2],
}

/// Where `count` samples lie among `length`, pixel centres upon pixel centres.
fn between(length: usize, count: usize) -> Vec<Between> {
    let scale = length as f64 / count as f64;
    let place = |i: usize| {
        // Single precision as in OpenCV: it decides how some weights round.
        let at = (((i as f64 + 0.5) * scale - 0.5) as f32).clamp(0.0, (length - 1) as f32);
        let (first, share) = (at as usize, at.fract());
        let weight = |share: f32| (share * 2048.0).round_ties_even() as i32;
        Between { at: [first, (first + 1).min(length - 1)], weights: [weight(1.0 - share), weight(share)] }
    };
    (0..count).map(place).collect()
}

impl Frame<'_> {
    /// The stored picture at another size as OpenCV makes it of a video, to the bit for 8-bit 4:2:0 of
    /// limited range (other layouts follow the same arithmetic, not compared): each pixel from its four nearest (`INTER_LINEAR`), without averaging what lies between;
    /// chroma not interpolated, colours by BT.601 whatever the video says, both as FFmpeg's fast
    /// conversion has it.
    pub fn sampled_bgr(&self, width: usize, height: usize) -> Picture {
        let l = self.layout;
        let byte = |p: usize, x: usize, y: usize| self.planes[p][y * l.planes[p].stride + x];
        let to_bgr = |yuv| bgr(yuv, if l.full_range { &FULL_RANGE } else { &LIMITED_RANGE });
        let pixels = match l.format.family() {
            Family::Planar { sub_x, sub_y, bits: 8 } => self.sampled(width, height, |x, y| {
                let chroma = |p| byte(p, x >> sub_x, y >> sub_y);
                to_bgr([byte(0, x, y), chroma(1), chroma(2)])
            }),
            Family::Planar { sub_x, sub_y, bits } => self.sampled(width, height, |x, y| {
                let word = |p, x, y| u16::from_le_bytes([byte(p, 2 * x, y), byte(p, 2 * x + 1, y)]);
                let chroma = |p| word(p, x >> sub_x, y >> sub_y);
                to_bgr([word(0, x, y), chroma(1), chroma(2)].map(|v| (v >> (bits - 8)).min(255) as u8))
            }),
            Family::SemiPlanar => self.sampled(width, height, |x, y| {
                let chroma = |p| byte(1, x / 2 * 2 + p, y / 2);
                to_bgr([byte(0, x, y), chroma(0), chroma(1)])
            }),
            Family::Packed { red, blue } => {
                self.sampled(width, height, |x, y| [blue, 1, red].map(|channel| i32::from(byte(0, 4 * x + channel, y))))
            }
        };
        Picture { width, pixels }
    }

    /// The picture at another size from the pixels `bgr(x, y)`, in OpenCV's arithmetic.
    fn sampled(&self, width: usize, height: usize, bgr: impl Fn(usize, usize) -> [i32; 3]) -> Vec<[u8; 3]> {
        let columns = between(self.layout.width, width);
        let mut pixels = Vec::with_capacity(width * height);
        for row in between(self.layout.height, height) {
            for column in &columns {
                let line = |y: usize| {
                    let (a, b) = (bgr(column.at[0], y), bgr(column.at[1], y));
                    let [wa, wb] = column.weights;
                    [a[0] * wa + b[0] * wb, a[1] * wa + b[1] * wb, a[2] * wa + b[2] * wb]
                };
                let (a, b) = (line(row.at[0]), line(row.at[1]));
                let [wa, wb] = row.weights;
                let mix = |c: usize| ((wa * (a[c] >> 4)) >> 16) + ((wb * (b[c] >> 4)) >> 16);
                pixels.push([mix(0), mix(1), mix(2)].map(|v| ((v + 2) >> 2).clamp(0, 255) as u8));
            }
        }
        pixels
    }
}

/// From YUV by BT.601, with 13 bits after the point.
struct Factors {
    /// What luma begins at.
    black: i32,
    y: i32,
    u_to_blue: i32,
    u_to_green: i32,
    v_to_green: i32,
    v_to_red: i32,
}

const LIMITED_RANGE: Factors =
    Factors { black: 16, y: 9539, u_to_blue: 16525, u_to_green: -3209, v_to_green: -6660, v_to_red: 13075 };
const FULL_RANGE: Factors =
    Factors { black: 0, y: 8192, u_to_blue: 14516, u_to_green: -2819, v_to_green: -5850, v_to_red: 11485 };

/// A pixel as swscale's vector code has it: every product is cut off on its own.
fn bgr([y, u, v]: [u8; 3], factors: &Factors) -> [i32; 3] {
    let times = |sample: i32, factor: i32| (8 * sample * factor) >> 16;
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let y = times(i32::from(y) - factors.black, factors.y);
    let green = y + times(u, factors.u_to_green) + times(v, factors.v_to_green);
    [y + times(u, factors.u_to_blue), green, y + times(v, factors.v_to_red)].map(|v| v.clamp(0, 255))
}
