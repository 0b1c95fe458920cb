//! Pictures as files: frames at full quality, faces cut out of them, thumbnails.

use crate::error::{Error, Result};
use crate::frame::resize;
use fast_image_resize::PixelType;
use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// JPEG quality of frames, 1–100.
const FRAME_QUALITY: u8 = 92;
/// JPEG quality of faces.
const FACE_QUALITY: u8 = 95;
/// JPEG quality of thumbnails.
const THUMBNAIL_QUALITY: u8 = 80;
/// Longer side of a thumbnail in pixels.
const THUMBNAIL_PX: usize = 320;
/// Side of a face's picture, as a multiple of the longer side of its box.
const FACE_MARGIN: f32 = 1.6;

/// A frame as JPEG. Chroma is stored at half size, as in nearly all video.
pub fn frame_jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    jpeg(picture, FRAME_QUALITY, SamplingFactor::F_2_2)
}

/// The square around a face (`bbox`: x, y, width, height in pixels), as far as
/// the picture reaches, as JPEG.
pub fn face_jpeg(picture: &RgbImage, [x, y, w, h]: [f32; 4]) -> Result<Vec<u8>> {
    let side = w.max(h) * FACE_MARGIN;
    // From the first pixel inside to the last; at least one, at most all.
    let span = |middle: f32, size: u32| {
        let first = ((middle - side / 2.0).round().max(0.0) as u32).min(size - 1);
        let last = ((middle + side / 2.0).round().max(0.0) as u32).clamp(first + 1, size);
        (first, last - first)
    };
    let (left, width) = span(x + w / 2.0, picture.width());
    let (top, height) = span(y + h / 2.0, picture.height());
    let face = image::imageops::crop_imm(picture, left, top, width, height).to_image();
    jpeg(&face, FACE_QUALITY, SamplingFactor::F_1_1)
}

/// A small JPEG, 320 pixels on the longer side at most.
pub fn thumbnail_jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    let scale = (THUMBNAIL_PX as f32 / w.max(h) as f32).min(1.0);
    let side = |v: usize| ((v as f32 * scale).round() as usize).max(1);
    let mut small = RgbImage::new(side(w) as u32, side(h) as u32);
    resize(picture.as_raw(), (w, h), &mut small, (side(w), side(h)), PixelType::U8x3)?;
    jpeg(&small, THUMBNAIL_QUALITY, SamplingFactor::F_2_2)
}

fn jpeg(picture: &RgbImage, quality: u8, sampling: SamplingFactor) -> Result<Vec<u8>> {
    let side = |v: u32| {
        u16::try_from(v).map_err(|_| Error::Image(format!("a JPEG has at most 65535 pixels a side, this one {v}")))
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(sampling);
    encoder
        .encode(picture.as_raw(), side(picture.width())?, side(picture.height())?, ColorType::Rgb)
        .map_err(|e| Error::Image(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn picture() -> RgbImage {
        RgbImage::from_fn(640, 360, |x, y| Rgb([(x / 3) as u8, (y / 2) as u8, ((x + y) / 4) as u8]))
    }

    fn decode(jpeg: &[u8]) -> RgbImage {
        image::load_from_memory(jpeg).unwrap().to_rgb8()
    }

    #[test]
    fn a_frame_survives_encoding() {
        let (picture, decoded) = (picture(), decode(&frame_jpeg(&picture()).unwrap()));
        assert_eq!(picture.dimensions(), decoded.dimensions());
        let worst = picture.as_raw().iter().zip(decoded.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(12), "{worst:?}");
    }

    #[test]
    fn a_face_is_cut_out_with_a_margin_as_far_as_the_picture_reaches() {
        let size = |bbox| decode(&face_jpeg(&picture(), bbox).unwrap()).dimensions();
        assert_eq!(size([300.0, 150.0, 80.0, 100.0]), (160, 160));
        assert_eq!(size([0.0, 0.0, 100.0, 100.0]), (130, 130));
        assert_eq!(size([-900.0, 9000.0, 10.0, 10.0]), (1, 1));
        let face = decode(&face_jpeg(&picture(), [300.0, 150.0, 80.0, 100.0]).unwrap());
        let (corner, expected) = (face.get_pixel(0, 0), picture());
        assert!(corner.0.iter().zip(expected.get_pixel(260, 120).0).all(|(a, b)| a.abs_diff(b) < 8));
    }

    #[test]
    fn a_thumbnail_keeps_the_shape_and_never_enlarges() {
        assert_eq!(decode(&thumbnail_jpeg(&picture()).unwrap()).dimensions(), (320, 180));
        let tiny = RgbImage::new(3, 2);
        assert_eq!(decode(&thumbnail_jpeg(&tiny).unwrap()).dimensions(), (3, 2));
    }
}
