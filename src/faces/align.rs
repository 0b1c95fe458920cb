//! Alignment of a face to the 112 × 112 ArcFace template.

use super::Landmarks;
use image::{Rgb, RgbImage};

/// Side of an aligned face in pixels.
pub const CHIP_SIZE: u32 = 112;

/// Where ArcFace models expect the five landmarks, in pixels of the chip
/// (Deng et al., "ArcFace", 2019, as published with its code).
pub const ARCFACE_TEMPLATE: Landmarks =
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

/// Side of a face cut out as FFHQ's are, in pixels.
const FFHQ_SIZE: u32 = 512;

/// Rotation, uniform scale and translation: `x' = a·x − b·y + tx`, `y' = b·x + a·y + ty`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    a: f32,
    b: f32,
    tx: f32,
    ty: f32,
}

impl Similarity {
    /// The least-squares fit of `from` onto `to` (Umeyama, "Least-squares
    /// estimation of transformation parameters between two point patterns",
    /// 1991; without reflection it has this closed form in the plane). Points
    /// that all coincide give a pure translation.
    pub fn fit(from: &Landmarks, to: &Landmarks) -> Self {
        let mean = |points: &Landmarks| points.iter().fold([0.0; 2], |m, p| [m[0] + p[0] / 5.0, m[1] + p[1] / 5.0]);
        let (mf, mt) = (mean(from), mean(to));
        let (mut dot, mut cross, mut norm) = (0.0, 0.0, 0.0);
        for (f, t) in from.iter().zip(to) {
            let (fx, fy, tx, ty) = (f[0] - mf[0], f[1] - mf[1], t[0] - mt[0], t[1] - mt[1]);
            dot += fx * tx + fy * ty;
            cross += fx * ty - fy * tx;
            norm += fx * fx + fy * fy;
        }
        let (a, b) = if norm > 0.0 { (dot / norm, cross / norm) } else { (1.0, 0.0) };
        Self { a, b, tx: mt[0] - a * mf[0] + b * mf[1], ty: mt[1] - b * mf[0] - a * mf[1] }
    }

    /// Maps a point.
    pub fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty]
    }

    /// Length of a unit vector after mapping.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// The inverse mapping; `self` must not collapse the plane.
    fn inverse(&self) -> Self {
        let d = (self.a * self.a + self.b * self.b).max(f32::MIN_POSITIVE);
        let (a, b) = (self.a / d, -self.b / d);
        Self { a, b, tx: -(a * self.tx - b * self.ty), ty: -(b * self.tx + a * self.ty) }
    }
}

/// Cuts out the face, turned and scaled to the template; black outside the picture.
pub fn chip(picture: &RgbImage, landmarks: &Landmarks) -> RgbImage {
    warp(picture, Similarity::fit(landmarks, &ARCFACE_TEMPLATE).inverse(), CHIP_SIZE)
}

/// Cuts out the face as FFHQ does (Karras et al., "A Style-Based Generator Architecture for Generative
/// Adversarial Networks", 2019, appendix), 512 × 512; black outside the picture. Its many points around eyes and mouth are
/// stood for by the five.
pub fn ffhq(picture: &RgbImage, landmarks: &Landmarks) -> RgbImage {
    let [left_eye, right_eye, _, left_mouth, right_mouth] = *landmarks;
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let from = |a: [f32; 2], b: [f32; 2]| [b[0] - a[0], b[1] - a[1]];
    let eyes = middle(left_eye, right_eye);
    let (across, down) = (from(left_eye, right_eye), from(eyes, middle(left_mouth, right_mouth)));
    // Half the square's side, along its upper edge: between the line of the eyes and that across the nose.
    let [x, y] = [across[0] + down[1], across[1] - down[0]];
    let half = (2.0 * across[0].hypot(across[1])).max(1.8 * down[0].hypot(down[1])).max(1.0);
    let length = x.hypot(y);
    let (x, y) = if length > 0.0 { (x / length * half, y / length * half) } else { (half, 0.0) };
    let centre = [eyes[0] + 0.1 * down[0], eyes[1] + 0.1 * down[1]];
    let (a, b) = (2.0 * x / FFHQ_SIZE as f32, 2.0 * y / FFHQ_SIZE as f32);
    // The middle of the square is its middle pixel's corner.
    let corner = (FFHQ_SIZE as f32 - 1.0) / 2.0;
    let back = Similarity { a, b, tx: centre[0] - (a - b) * corner, ty: centre[1] - (a + b) * corner };
    warp(picture, back, FFHQ_SIZE)
}

/// A square picture whose pixels lie where `back` says; black outside.
///
/// Samples bilinearly; where it shrinks, each pixel averages several samples, so that large faces do
/// not alias.
fn warp(picture: &RgbImage, back: Similarity, size: u32) -> RgbImage {
    let samples = (back.scale().round() as u32).clamp(1, 6);
    let step = 1.0 / samples as f32;
    RgbImage::from_fn(size, size, |x, y| {
        let mut sum = [0.0; 3];
        for sy in 0..samples {
            for sx in 0..samples {
                // Offsets are centred on the pixel: a single sample lies on it exactly.
                let at = |v: u32, s: u32| v as f32 + (s as f32 + 0.5) * step - 0.5;
                let rgb = bilinear(picture, back.apply([at(x, sx), at(y, sy)]));
                sum = std::array::from_fn(|c| sum[c] + rgb[c]);
            }
        }
        Rgb(sum.map(|v| (v * step * step).round() as u8))
    })
}

/// Interpolates between the four pixels around a point; black outside.
fn bilinear(picture: &RgbImage, point: [f32; 2]) -> [f32; 3] {
    inside(picture, point).unwrap_or_else(|| anywhere(picture, point))
}

/// The same where all four are in the picture, as nearly always; `None` elsewhere.
fn inside(picture: &RgbImage, [x, y]: [f32; 2]) -> Option<[f32; 3]> {
    let last = |length: u32| length.saturating_sub(1) as f32;
    if !((0.0..last(picture.width())).contains(&x) && (0.0..last(picture.height())).contains(&y)) {
        return None;
    }
    let (width, x0, y0) = (picture.width() as usize, x as usize, y as usize);
    let start = 3 * (y0 * width + x0);
    let above: &[u8; 6] = picture.as_raw().get(start..)?.first_chunk()?;
    let below: &[u8; 6] = picture.as_raw().get(start + 3 * width..)?.first_chunk()?;
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let weights = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
    Some(std::array::from_fn(|c| {
        let around = [above[c], above[c + 3], below[c], below[c + 3]];
        around.iter().zip(weights).fold(0.0, |sum, (&value, weight)| sum + weight * f32::from(value))
    }))
}

fn anywhere(picture: &RgbImage, [x, y]: [f32; 2]) -> [f32; 3] {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let mut out = [0.0; 3];
    for (dx, dy, weight) in
        [(0, 0, (1.0 - fx) * (1.0 - fy)), (1, 0, fx * (1.0 - fy)), (0, 1, (1.0 - fx) * fy), (1, 1, fx * fy)]
    {
        let (px, py) = (x0 as i64 + dx, y0 as i64 + dy);
        if let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py))
            && let Some(pixel) = picture.get_pixel_checked(px, py)
        {
            out = std::array::from_fn(|c| out[c] + weight * f32::from(pixel.0[c]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_recovers_a_known_transform() {
        let (sin, cos) = 0.4f32.sin_cos();
        let moved = ARCFACE_TEMPLATE.map(|[x, y]| [3.0 * (cos * x - sin * y) + 20.0, 3.0 * (sin * x + cos * y) - 7.0]);
        let fit = Similarity::fit(&moved, &ARCFACE_TEMPLATE);
        assert!((fit.scale() - 1.0 / 3.0).abs() < 1e-5);
        for (from, to) in moved.iter().zip(ARCFACE_TEMPLATE) {
            let [x, y] = fit.apply(*from);
            assert!((x - to[0]).abs() < 1e-3 && (y - to[1]).abs() < 1e-3);
            let [x, y] = fit.inverse().apply(to);
            assert!((x - from[0]).abs() < 1e-2 && (y - from[1]).abs() < 1e-2);
        }
    }

    #[test]
    fn inside_and_anywhere_give_the_same() {
        let picture = RgbImage::from_fn(7, 5, |x, y| Rgb([(x * 36) as u8, (y * 50) as u8, (x * y * 9) as u8]));
        let mut insides = 0;
        for step in 0..40 {
            for other in 0..40 {
                let point = [step as f32 * 0.23 - 1.0, other as f32 * 0.17 - 1.0];
                let seen = inside(&picture, point);
                assert!(seen.is_none_or(|seen| seen == anywhere(&picture, point)), "{point:?}");
                insides += u32::from(seen.is_some());
            }
        }
        // 6 × 4 pixels of 9.2 × 6.8.
        assert!((550..700).contains(&insides), "{insides}");
        assert!([f32::NAN, f32::MAX, 1e19].into_iter().all(|far| inside(&picture, [far, 1.0]).is_none()));
    }

    #[test]
    fn a_face_on_the_template_is_copied() {
        let picture = RgbImage::from_fn(112, 112, |x, y| Rgb([x as u8, y as u8, 9]));
        assert_eq!(chip(&picture, &ARCFACE_TEMPLATE), picture);
    }

    #[test]
    fn a_face_as_in_ffhq_is_upright_with_the_eyes_where_they_belong() {
        // A face whose square is 512 pixels wide, turned by a right angle: its eyes mark the picture.
        let upright = [[192.0, 240.0], [320.0, 240.0], [256.0, 300.0], [206.0, 368.0], [306.0, 368.0]];
        let turned: Landmarks = upright.map(|[x, y]: [f32; 2]| [600.0 - y, x]);
        let mut picture = RgbImage::new(700, 600);
        for [x, y] in &turned[..2] {
            for (dx, dy) in (-4..=4).flat_map(|dx| (-4..=4).map(move |dy| (dx, dy))) {
                picture.put_pixel((*x as i32 + dx) as u32, (*y as i32 + dy) as u32, Rgb([255; 3]));
            }
        }
        let face = ffhq(&picture, &turned);
        assert_eq!(face.dimensions(), (512, 512));
        // Half of it is twice the distance of the eyes, and its middle a tenth of the way to the mouth.
        for x in [192, 320] {
            let bright = |y: u32| face.get_pixel(x, y).0[0] > 200;
            assert!((235..252).any(bright) && !bright(200) && !bright(290), "eye at {x}");
        }
        ffhq(&picture, &[[4.0, 4.0]; 5]);
    }

    #[test]
    fn outside_is_black_and_nothing_panics() {
        let picture = RgbImage::from_pixel(8, 8, Rgb([255; 3]));
        let far = ARCFACE_TEMPLATE.map(|[x, y]| [x + 500.0, y - 900.0]);
        assert!(chip(&picture, &far).pixels().all(|p| p.0 == [0; 3]));
        chip(&picture, &[[4.0, 4.0]; 5]);
    }
}
