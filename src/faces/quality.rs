//! How usable a face is, as a number and as named reasons against it.
//!
//! Five parts, each 0–1, multiplied: size, focus, pose, exposure, wholeness.
//! A product, because one fatal flaw is not made good by the rest.

use super::detect::Detection;
use super::pose::turn;
use crate::frame::Plane;
use crate::sampling::sharpness::laplacian_variance;
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// What speaks against a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flag {
    /// Eyes less than [`SMALL_EYE_DISTANCE_PX`] apart.
    Small,
    /// Out of focus or moved.
    Blurred,
    /// Turned far to a side.
    Profile,
    /// Underexposed.
    Dark,
    /// Overexposed.
    Bright,
    /// Cut off by the edge of the picture.
    Truncated,
}

/// Below this eye distance in pixels an aligned face is mostly enlargement.
pub const SMALL_EYE_DISTANCE_PX: f32 = 16.0;

/// Quality (0–1) and flags of a face, from its aligned chip and its detection
/// in a picture.
pub fn assess(picture: &RgbImage, chip: &RgbImage, face: &Detection) -> (f32, Vec<Flag>) {
    let mut flags = Vec::new();
    let mut flag = |value: f32, limit: f32, name: Flag| {
        if value < limit {
            flags.push(name);
        }
        value
    };

    let eyes = eye_distance(face);
    let size = flag((eyes / (2.0 * SMALL_EYE_DISTANCE_PX)).clamp(0.0, 1.0), 0.5, Flag::Small);

    let luma = inner_luma(chip);
    let blur = laplacian_variance(&luma);
    // The chip enlarges small faces, which smooths them: that is what size judges.
    let focus = flag(blur / (blur + 40.0), 0.3, Flag::Blurred);

    let pose = flag((1.0 - (turn(&face.landmarks).abs() - 0.08).max(0.0) / 0.5).clamp(0.05, 1.0), 0.45, Flag::Profile);

    let mean = luma.data.iter().map(|&v| f32::from(v)).sum::<f32>() / luma.data.len() as f32;
    let dark = flag((mean / 70.0).clamp(0.1, 1.0), 0.6, Flag::Dark);
    let bright = flag(((255.0 - mean) / 50.0).clamp(0.1, 1.0), 0.6, Flag::Bright);

    let whole = flag(1.0 - outside(picture, face), 0.9, Flag::Truncated);
    (size.sqrt() * focus.sqrt() * pose * dark * bright * whole * face.score.sqrt(), flags)
}

fn eye_distance(face: &Detection) -> f32 {
    let [left, right, ..] = face.landmarks;
    let (eyes, chin) = ((right[0] - left[0]).hypot(right[1] - left[1]), face.bbox[3] * 0.35);
    // In profile the eyes coincide although the face is large.
    eyes.max(chin * 0.6)
}

/// Luma of the chip's middle, where the face is and the background is not.
fn inner_luma(chip: &RgbImage) -> Plane {
    let (w, h) = (chip.width(), chip.height());
    let (x0, y0, x1, y1) = (w / 5, h / 5, w - w / 5, h - h / 10);
    let data = (y0..y1)
        .flat_map(|y| (x0..x1).map(move |x| (x, y)))
        .map(|(x, y)| {
            let [r, g, b] = chip.get_pixel(x, y).0.map(u32::from);
            ((77 * r + 150 * g + 29 * b) >> 8) as u8
        })
        .collect();
    Plane { width: (x1 - x0) as usize, height: (y1 - y0) as usize, data }
}

/// Share of the face that seems to lie beyond the picture: the detector clips
/// boxes, so a box at the edge stands for one that reaches over it.
fn outside(picture: &RgbImage, face: &Detection) -> f32 {
    let [x, y, w, h] = face.bbox;
    let margin = 0.01 * w.max(h);
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let touches = [x <= margin, y <= margin, x + w >= width - margin, y + h >= height - margin];
    let out = face.landmarks.iter().filter(|[x, y]| *x < 0.0 || *y < 0.0 || *x > width || *y > height).count();
    (0.2 * touches.iter().filter(|&&t| t).count() as f32 + 0.2 * out as f32).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faces::align::ARCFACE_TEMPLATE;
    use image::Rgb;

    fn face(scale: f32, at: f32) -> Detection {
        Detection {
            bbox: [at, at, 80.0 * scale, 100.0 * scale],
            score: 0.9,
            landmarks: ARCFACE_TEMPLATE.map(|[x, y]| [x * scale + at, y * scale + at]),
        }
    }

    fn textured(gain: f32) -> RgbImage {
        RgbImage::from_fn(112, 112, |x, y| Rgb([(((x * 37 + y * 91) % 160) as f32 * gain) as u8; 3]))
    }

    fn flags(chip: &RgbImage, face: &Detection) -> Vec<Flag> {
        assess(&RgbImage::new(1000, 1000), chip, face).1
    }

    #[test]
    fn a_good_face_has_no_flags() {
        let (quality, flags) = assess(&RgbImage::new(1000, 1000), &textured(1.0), &face(2.0, 300.0));
        assert!(quality > 0.7 && flags.is_empty(), "{quality} {flags:?}");
    }

    #[test]
    fn each_flaw_is_named() {
        let good = textured(1.0);
        assert_eq!(flags(&good, &face(0.2, 300.0)), [Flag::Small]);
        assert_eq!(flags(&RgbImage::from_pixel(112, 112, Rgb([120; 3])), &face(2.0, 300.0)), [Flag::Blurred]);
        assert_eq!(flags(&textured(0.3), &face(2.0, 300.0)), [Flag::Dark]);
        assert_eq!(flags(&good, &face(2.0, 0.0)), [Flag::Truncated]);
        let mut turned = face(2.0, 300.0);
        turned.landmarks[2][0] = turned.landmarks[0][0];
        assert_eq!(flags(&good, &turned), [Flag::Profile]);
    }

    #[test]
    fn larger_and_more_frontal_is_better() {
        let chip = textured(1.0);
        let picture = RgbImage::new(1000, 1000);
        let quality = |f: &Detection| assess(&picture, &chip, f).0;
        assert!(quality(&face(2.0, 300.0)) > quality(&face(0.4, 300.0)));
        let mut turned = face(2.0, 300.0);
        turned.landmarks[2][0] += 20.0;
        assert!(quality(&turned) < quality(&face(2.0, 300.0)));
    }
}
