//! Pictures as files: frames at full quality, faces cut out of them, thumbnails.

use crate::error::{Error, Result};
use crate::faces::{Landmarks, align};
use crate::frame::resize;
use fast_image_resize::PixelType;
use image::{ImageEncoder, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use serde::{Deserialize, Serialize};

/// Quality of frames, 1–100.
const FRAME_QUALITY: u8 = 92;
/// Quality of faces.
const FACE_QUALITY: u8 = 95;
/// Quality of contact sheets.
const SHEET_QUALITY: u8 = 85;
/// JPEG quality of thumbnails.
const THUMBNAIL_QUALITY: u8 = 80;
/// Longer side of a thumbnail in pixels.
const THUMBNAIL_PX: usize = 320;
/// Side of a loose cut, as a multiple of the longer side of the face's box.
const FACE_MARGIN: f32 = 1.6;

/// File formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG, small losses.
    #[default]
    Jpg,
    /// PNG, no losses.
    Png,
    /// WebP, small losses; natively only.
    Webp,
}

impl Format {
    /// What file names end with, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Jpg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// How faces are cut out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crops {
    /// Not at all.
    None,
    /// The square around the box with a margin, as far as the picture reaches, at the video's own size.
    #[default]
    Loose,
    /// Turned and scaled so that the landmarks lie where ArcFace expects them, 112 × 112.
    Arcface112,
    /// Turned and scaled as the faces of FFHQ are, 512 × 512.
    Ffhq512,
}

/// Where a face is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// x, y, width, height in pixels.
    pub bbox: [f32; 4],
    /// Eyes, nose and mouth in pixels.
    pub landmarks: Landmarks,
}

/// The files that are made of a frame.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stills {
    /// Format of all.
    pub format: Format,
    /// How faces are cut out.
    pub crops: Crops,
    /// The faces.
    pub faces: Vec<Place>,
    /// Whether a small JPEG of the frame is made as well.
    #[serde(default)]
    pub thumbnail: bool,
}

impl Stills {
    /// The files: the frame, then a face each, unless none are cut out, then the small JPEG.
    pub fn of(&self, picture: &RgbImage) -> Result<Vec<Vec<u8>>> {
        // Chroma of frames is stored at half size, as in nearly all video; that of faces as it is.
        let frame = encode(picture, self.format, FRAME_QUALITY, SamplingFactor::F_2_2);
        let cuts = self.faces.iter().filter_map(|face| cut(picture, face, self.crops));
        let faces = cuts.map(|face| encode(&face, self.format, FACE_QUALITY, SamplingFactor::F_1_1));
        let thumbnail = self.thumbnail.then(|| thumbnail_jpeg(picture));
        std::iter::once(frame).chain(faces).chain(thumbnail).collect()
    }
}

fn cut(picture: &RgbImage, face: &Place, crops: Crops) -> Option<RgbImage> {
    match crops {
        Crops::None => None,
        Crops::Loose => Some(loose(picture, face.bbox)),
        Crops::Arcface112 => Some(align::chip(picture, &face.landmarks)),
        Crops::Ffhq512 => Some(align::ffhq(picture, &face.landmarks)),
    }
}

/// The square around a box, as far as the picture reaches.
fn loose(picture: &RgbImage, [x, y, w, h]: [f32; 4]) -> RgbImage {
    let side = w.max(h) * FACE_MARGIN;
    // From the first pixel inside to the last; at least one, at most all.
    let span = |middle: f32, size: u32| {
        let first = ((middle - side / 2.0).round().max(0.0) as u32).min(size - 1);
        let last = ((middle + side / 2.0).round().max(0.0) as u32).clamp(first + 1, size);
        (first, last - first)
    };
    let (left, width) = span(x + w / 2.0, picture.width());
    let (top, height) = span(y + h / 2.0, picture.height());
    image::imageops::crop_imm(picture, left, top, width, height).to_image()
}

/// A small JPEG of a face, upright, 112 × 112 pixels.
pub fn portrait_jpeg(picture: &RgbImage, landmarks: &Landmarks) -> Result<Vec<u8>> {
    jpeg(&align::chip(picture, landmarks), THUMBNAIL_QUALITY, SamplingFactor::F_2_2)
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

/// A JPEG of many small pictures.
pub fn sheet_jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    jpeg(picture, SHEET_QUALITY, SamplingFactor::F_2_2)
}

fn encode(picture: &RgbImage, format: Format, quality: u8, sampling: SamplingFactor) -> Result<Vec<u8>> {
    match format {
        Format::Jpg => jpeg(picture, quality, sampling),
        Format::Png => {
            let mut bytes = Vec::new();
            let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            let (width, height) = picture.dimensions();
            let done = encoder.write_image(picture.as_raw(), width, height, image::ExtendedColorType::Rgb8);
            done.map_err(|e| Error::Image(e.to_string())).map(|()| bytes)
        }
        Format::Webp => webp(picture, quality),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn webp(picture: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let encoder = webp::Encoder::from_rgb(picture.as_raw(), picture.width(), picture.height());
    let bytes = encoder.encode_simple(false, f32::from(quality));
    bytes.map(|bytes| bytes.to_vec()).map_err(|e| {
        let (width, height) = picture.dimensions();
        Error::Image(format!("{width} × {height} pixels cannot be a WebP, which has at most 16383 a side ({e:?})"))
    })
}

#[cfg(target_arch = "wasm32")]
fn webp(_: &RgbImage, _: u8) -> Result<Vec<u8>> {
    Err(Error::Image("WebP is written by the native command only: choose JPEG or PNG".into()))
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

    fn place(bbox: [f32; 4]) -> Place {
        let [x, y, w, h] = bbox;
        let landmarks = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]];
        Place { bbox, landmarks: landmarks.map(|[px, py]| [x + px * w, y + py * h]) }
    }

    fn faces(crops: Crops, format: Format, bbox: [f32; 4]) -> Vec<RgbImage> {
        let files = Stills { format, crops, faces: vec![place(bbox)], thumbnail: false }.of(&picture()).unwrap();
        files.iter().skip(1).map(|file| decode(file)).collect()
    }

    #[test]
    fn a_frame_survives_encoding() {
        for (format, most) in [(Format::Jpg, 12), (Format::Png, 0)] {
            let files = Stills { format, ..Stills::default() }.of(&picture()).unwrap();
            let (picture, decoded) = (picture(), decode(&files[0]));
            assert_eq!(picture.dimensions(), decoded.dimensions());
            let worst = picture.as_raw().iter().zip(decoded.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(most), "{format:?} {worst:?}");
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn a_webp_survives_encoding() {
        let files = Stills { format: Format::Webp, ..Stills::default() }.of(&picture()).unwrap();
        let decoded = webp::Decoder::new(&files[0]).decode().unwrap();
        assert_eq!((decoded.width(), decoded.height()), picture().dimensions());
        let worst = picture().as_raw().iter().zip(&*decoded).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(16), "{worst:?}");
        let wide = RgbImage::new(16384, 1);
        let error = Stills { format: Format::Webp, ..Stills::default() }.of(&wide).unwrap_err().to_string();
        assert!(error.contains("16383"), "{error}");
    }

    #[test]
    fn a_face_is_cut_out_with_a_margin_as_far_as_the_picture_reaches() {
        let size = |bbox| faces(Crops::Loose, Format::Jpg, bbox)[0].dimensions();
        assert_eq!(size([300.0, 150.0, 80.0, 100.0]), (160, 160));
        assert_eq!(size([0.0, 0.0, 100.0, 100.0]), (130, 130));
        assert_eq!(size([-900.0, 9000.0, 10.0, 10.0]), (1, 1));
        let face = &faces(Crops::Loose, Format::Jpg, [300.0, 150.0, 80.0, 100.0])[0];
        let (corner, expected) = (face.get_pixel(0, 0), picture());
        assert!(corner.0.iter().zip(expected.get_pixel(260, 120).0).all(|(a, b)| a.abs_diff(b) < 8));
    }

    #[test]
    fn aligned_faces_have_their_size() {
        let size = |crops| faces(crops, Format::Png, [300.0, 150.0, 80.0, 100.0]).first().map(RgbImage::dimensions);
        assert_eq!(size(Crops::Arcface112), Some((112, 112)));
        assert_eq!(size(Crops::Ffhq512), Some((512, 512)));
        assert_eq!(size(Crops::None), None);
    }

    #[test]
    fn a_thumbnail_keeps_the_shape_and_never_enlarges() {
        assert_eq!(decode(&thumbnail_jpeg(&picture()).unwrap()).dimensions(), (320, 180));
        let tiny = RgbImage::new(3, 2);
        assert_eq!(decode(&thumbnail_jpeg(&tiny).unwrap()).dimensions(), (3, 2));
    }
}
