//! What sampling keeps of a frame: a few numbers and small pictures.

use super::hash::PictureHash;
use super::sharpness::laplacian_variance;
use crate::error::Result;
use crate::frame::{Frame, YuvPlanes};

/// Widest picture, in pixels, on which features are computed. Wider frames are
/// averaged down first, so that a 4K frame costs little more than a 720p one and
/// sharpness means the same at every resolution.
pub const ANALYSIS_WIDTH: usize = 640;

/// Columns of a [`Thumb`].
pub const THUMB_WIDTH: usize = 32;
/// Rows of a [`Thumb`].
pub const THUMB_HEIGHT: usize = 18;
/// Cells of a [`Thumb`].
pub(super) const THUMB_LEN: usize = THUMB_WIDTH * THUMB_HEIGHT;

/// Luma and chroma of a whole frame on a 32 × 18 grid: enough to see a change
/// of picture, too coarse to see grain or a small movement.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumb {
    /// Y, U and V planes one after the other, `THUMB_WIDTH × THUMB_HEIGHT` each.
    pub(super) data: Box<[u8; 3 * THUMB_LEN]>,
}

impl Thumb {
    fn new(planes: &YuvPlanes) -> Self {
        let mut data = Box::new([0; 3 * THUMB_LEN]);
        for (part, plane) in data.chunks_exact_mut(THUMB_LEN).zip([&planes.y, &planes.u, &planes.v]) {
            part.copy_from_slice(plane.cell_means::<THUMB_WIDTH, THUMB_HEIGHT>().as_flattened());
        }
        Self { data }
    }

    /// Luma samples, row by row.
    pub fn luma(&self) -> &[u8] {
        &self.data[..THUMB_LEN]
    }

    /// Mean absolute difference, the three channels added up: 0 for equal
    /// pictures, about 15 and more between unrelated ones, at most 765.
    pub fn difference(&self, other: &Thumb) -> f32 {
        let sum: u32 = self.data.iter().zip(other.data.iter()).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
        sum as f32 / THUMB_LEN as f32
    }

    /// Correlation of the two lumas, −1 to 1: near 1 when one is the other,
    /// brighter or darker, whatever the exposure.
    pub fn correlation(&self, other: &Thumb) -> f32 {
        let n = THUMB_LEN as f32;
        let mean = |v: &[u8]| v.iter().map(|&v| f32::from(v)).sum::<f32>() / n;
        let (ma, mb) = (mean(self.luma()), mean(other.luma()));
        let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
        for (&a, &b) in self.luma().iter().zip(other.luma()) {
            let (a, b) = (f32::from(a) - ma, f32::from(b) - mb);
            aa += a * a;
            bb += b * b;
            ab += a * b;
        }
        ab / (aa * bb).sqrt().max(1e-6)
    }

    /// Share of grid cells whose colour differs visibly, 0–1.
    pub fn changed_share(&self, other: &Thumb) -> f32 {
        /// Sum of the three channels' differences that counts as visible.
        const VISIBLE: u16 = 8;
        self.cell_differences(other).iter().filter(|&&difference| difference > VISIBLE).count() as f32
            / THUMB_LEN as f32
    }

    /// Absolute difference of each cell, the three channels added up.
    pub(super) fn cell_differences(&self, other: &Thumb) -> [u16; THUMB_LEN] {
        let mut cells = [0; THUMB_LEN];
        for (a, b) in self.data.chunks_exact(THUMB_LEN).zip(other.data.chunks_exact(THUMB_LEN)) {
            cells.iter_mut().zip(a).zip(b).for_each(|((cell, &a), &b)| *cell += u16::from(a.abs_diff(b)));
        }
        cells
    }

    /// Standard deviation of luma, 0–128: nearly 0 for a black or white picture.
    pub fn contrast(&self) -> f32 {
        let n = THUMB_LEN as f32;
        let mean = self.luma().iter().map(|&v| f32::from(v)).sum::<f32>() / n;
        (self.luma().iter().map(|&v| (f32::from(v) - mean).powi(2)).sum::<f32>() / n).sqrt()
    }

    /// 4 × 3 mean colours (Y, U, V planes of 12): where the colours of a picture
    /// are, for telling pictures apart whose structure is alike.
    pub fn color_layout(&self) -> [u8; 36] {
        let mut out = [0; 36];
        for (channel, plane) in self.data.chunks_exact(THUMB_LEN).enumerate() {
            for cell in 0..12 {
                let (cx, cy) = (cell % 4 * 8, cell / 4 * 6);
                let sum: u32 =
                    (0..6).flat_map(|y| &plane[(cy + y) * THUMB_WIDTH + cx..][..8]).map(|&v| u32::from(v)).sum();
                out[channel * 12 + cell] = (sum / 48) as u8;
            }
        }
        out
    }
}

/// Everything sampling measures of one frame.
#[derive(Clone, Debug)]
pub struct Features {
    /// Variance of the Laplacian of luma at [`ANALYSIS_WIDTH`] (8-bit units,
    /// squared).
    pub sharpness: f32,
    /// Perceptual hash of the luma.
    pub phash: PictureHash,
    /// The frame on a small grid.
    pub thumb: Thumb,
}

impl Features {
    /// Bytes of them in a journal.
    pub const BYTES: usize = 4 + PictureHash::BYTES + 3 * THUMB_LEN;

    /// Appends them, as [`Features::BYTES`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.sharpness.to_le_bytes());
        self.phash.write(out);
        out.extend_from_slice(self.thumb.data.as_slice());
    }

    /// What [`Features::write`] wrote; `None` where there is too little of it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (sharpness, rest) = bytes.split_first_chunk()?;
        let (hash, thumb) = rest.split_first_chunk()?;
        let thumb = Thumb { data: Box::new(*thumb.first_chunk()?) };
        Some(Self { sharpness: f32::from_le_bytes(*sharpness), phash: PictureHash::read(hash), thumb })
    }

    /// Measures a frame, in its stored orientation.
    pub fn measure(frame: &Frame<'_>) -> Result<Self> {
        let planes = frame.yuv_reduced(ANALYSIS_WIDTH)?;
        let thumb = Thumb::new(&planes);
        Ok(Self { sharpness: laplacian_variance(&planes.y), phash: PictureHash::of(&planes.y), thumb })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::frame::FrameLayout;

    /// A textured I420 picture; `shift` moves it, `gain` dims it.
    fn picture(shift: usize, gain: f32) -> (FrameLayout, Vec<u8>) {
        let (w, h) = (320, 180);
        let mut data = vec![128u8; FrameLayout::i420_len(w, h)];
        for y in 0..h {
            for x in 0..w {
                let (fx, fy) = ((x + shift) as f32 / w as f32, y as f32 / h as f32);
                let v = 120.0 + 60.0 * (fx * 9.0).sin() * (fy * 5.0).cos() + 30.0 * (fx * 31.0 + fy * 17.0).sin();
                data[y * w + x] = (v * gain).clamp(0.0, 255.0) as u8;
            }
        }
        (FrameLayout::i420(w, h), data)
    }

    pub fn features(shift: usize, gain: f32) -> Features {
        let (layout, data) = picture(shift, gain);
        Features::measure(&Frame::new(&layout, &data).unwrap()).unwrap()
    }

    /// A thumbnail from its samples, channel by channel.
    pub fn thumb(sample: impl Fn(usize) -> u8) -> Thumb {
        Thumb { data: Box::new(std::array::from_fn(sample)) }
    }

    #[test]
    fn hash_survives_dimming_but_not_another_picture() {
        let (a, dim, other) = (features(0, 1.0), features(0, 0.7), features(150, 1.0));
        assert!(a.phash.distance(dim.phash) <= 4.0, "{}", a.phash.distance(dim.phash));
        assert!(a.phash.distance(other.phash) >= 16.0, "{}", a.phash.distance(other.phash));
    }
}
