//! Pictures as files: frames at full quality, faces cut out of them, thumbnails.

use crate::error::{Error, Result};
use crate::faces::{Landmarks, align};
use crate::frame::{resize, resize_by};
use fast_image_resize::{FilterType, PixelType};
use image::{ImageEncoder, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use serde::{Deserialize, Serialize};

/// Usual quality of frames, 1–100.
pub const QUALITY: u8 = 92;
/// Faces get so much more: they are small, and looked at more closely.
const MORE_FOR_FACES: u8 = 3;
/// Quality of contact sheets.
const SHEET_QUALITY: u8 = 85;
/// JPEG quality of thumbnails.
const THUMBNAIL_QUALITY: u8 = 80;
/// Longer side of a thumbnail in pixels.
const THUMBNAIL_PX: usize = 320;
/// Longest side of a WebP in pixels.
const MOST_WEBP_PX: u32 = 16383;
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
    /// WebP, small losses, and smaller than JPEG.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Stills {
    /// Format of all.
    pub format: Format,
    /// Quality of frames in formats with losses, 1–100; that of faces is a little higher.
    pub quality: u8,
    /// Longer side of frames in pixels, at most; faces are cut out of the whole frame.
    pub max_side_px: Option<u32>,
    /// How faces are cut out.
    pub crops: Crops,
    /// The faces.
    pub faces: Vec<Place>,
    /// Whether a small JPEG of the frame is made as well.
    pub thumbnail: bool,
}

impl Default for Stills {
    fn default() -> Self {
        Self {
            format: Format::default(),
            quality: QUALITY,
            max_side_px: None,
            crops: Crops::default(),
            faces: Vec::new(),
            thumbnail: false,
        }
    }
}

/// Makes a WebP of a picture with a quality of 1–100. Natively that is [`webp`]; in the browser JavaScript does it, since
/// there is no encoder with losses in Rust.
pub type EncodeWebp<'a> = &'a dyn Fn(&RgbImage, u8) -> Result<Vec<u8>>;

impl Stills {
    /// The files: the frame, then a face each, unless none are cut out, then the small JPEG.
    pub fn of(&self, picture: &RgbImage, webp: EncodeWebp<'_>) -> Result<Vec<Vec<u8>>> {
        let (width, height) = size_within(picture.dimensions(), self.max_side_px);
        let encode = |picture: &RgbImage, quality: u8, sampling| match self.format {
            Format::Jpg => jpeg(picture, quality, sampling),
            Format::Png => png(picture),
            Format::Webp => webp_has(picture.dimensions()).and_then(|()| webp(picture, quality)),
        };
        // Chroma of frames is stored at half size, as in nearly all video; that of faces as it is.
        let frame = match picture.dimensions() == (width, height) {
            true => encode(picture, self.quality, SamplingFactor::F_2_2),
            false => {
                shrunk(picture, (width, height)).and_then(|small| encode(&small, self.quality, SamplingFactor::F_2_2))
            }
        };
        let quality = self.quality.saturating_add(MORE_FOR_FACES).min(100);
        let cuts = self.faces.iter().filter_map(|face| cut(picture, face, self.crops));
        let faces = cuts.map(|face| encode(&face, quality, SamplingFactor::F_1_1));
        let thumbnail = self.thumbnail.then(|| thumbnail_jpeg(picture));
        std::iter::once(frame).chain(faces).chain(thumbnail).collect()
    }
}

/// Width and height of a picture whose longer side is to have so many pixels at most.
pub fn size_within((width, height): (u32, u32), max_side_px: Option<u32>) -> (u32, u32) {
    let longer = width.max(height);
    match max_side_px {
        Some(most) if most < longer => {
            let side = |v: u32| ((f64::from(v) * f64::from(most) / f64::from(longer)).round() as u32).max(1);
            (side(width), side(height))
        }
        _ => (width, height),
    }
}

/// A smaller picture, by Lanczos' filter, which keeps what is sharp.
fn shrunk(picture: &RgbImage, (width, height): (u32, u32)) -> Result<RgbImage> {
    let mut small = RgbImage::new(width, height);
    let (from, to) = (picture.dimensions(), (width as usize, height as usize));
    let from = (from.0 as usize, from.1 as usize);
    resize_by(picture.as_raw(), from, &mut small, to, PixelType::U8x3, FilterType::Lanczos3)?;
    Ok(small)
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

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    let (width, height) = picture.dimensions();
    let done = encoder.write_image(picture.as_raw(), width, height, image::ExtendedColorType::Rgb8);
    done.map_err(|e| Error::Image(e.to_string())).map(|()| bytes)
}

/// A WebP by libwebp, for [`Stills::of`].
#[cfg(not(target_arch = "wasm32"))]
pub fn webp(picture: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let encoder = webp::Encoder::from_rgb(picture.as_raw(), picture.width(), picture.height());
    let bytes = encoder.encode_simple(false, f32::from(quality));
    bytes.map(|bytes| bytes.to_vec()).map_err(|e| Error::Image(format!("cannot be made a WebP ({e:?})")))
}

/// An error for pictures that are too large for a WebP.
fn webp_has((width, height): (u32, u32)) -> Result<()> {
    if width.max(height) <= MOST_WEBP_PX {
        return Ok(());
    }
    let most = MOST_WEBP_PX;
    Err(Error::Image(format!("{width} × {height} pixels cannot be a WebP, which has at most {most} a side")))
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

    /// Where no WebP is asked for.
    const NO_WEBP: EncodeWebp<'static> = &|_, _| Err(Error::Image("no WebP here".into()));

    fn decode(jpeg: &[u8]) -> RgbImage {
        image::load_from_memory(jpeg).unwrap().to_rgb8()
    }

    fn place(bbox: [f32; 4]) -> Place {
        let [x, y, w, h] = bbox;
        let landmarks = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]];
        Place { bbox, landmarks: landmarks.map(|[px, py]| [x + px * w, y + py * h]) }
    }

    fn faces(crops: Crops, format: Format, bbox: [f32; 4]) -> Vec<RgbImage> {
        let stills = Stills { format, crops, faces: vec![place(bbox)], ..Stills::default() };
        let files = stills.of(&picture(), NO_WEBP).unwrap();
        files.iter().skip(1).map(|file| decode(file)).collect()
    }

    #[test]
    fn a_frame_survives_encoding() {
        for (format, most) in [(Format::Jpg, 12), (Format::Png, 0)] {
            let files = Stills { format, ..Stills::default() }.of(&picture(), NO_WEBP).unwrap();
            let (picture, decoded) = (picture(), decode(&files[0]));
            assert_eq!(picture.dimensions(), decoded.dimensions());
            let worst = picture.as_raw().iter().zip(decoded.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(most), "{format:?} {worst:?}");
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn a_webp_survives_encoding() {
        let files = Stills { format: Format::Webp, ..Stills::default() }.of(&picture(), &webp).unwrap();
        let decoded = webp::Decoder::new(&files[0]).decode().unwrap();
        assert_eq!((decoded.width(), decoded.height()), picture().dimensions());
        let worst = picture().as_raw().iter().zip(&*decoded).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(16), "{worst:?}");
        let wide = RgbImage::new(16384, 1);
        let error = Stills { format: Format::Webp, ..Stills::default() }.of(&wide, &webp).unwrap_err().to_string();
        assert!(error.contains("16383"), "{error}");
    }

    #[test]
    fn quality_and_size_are_as_asked_for() {
        let files = |stills: Stills| stills.of(&picture(), NO_WEBP).unwrap();
        let bytes = |quality| files(Stills { quality, ..Stills::default() })[0].len();
        assert!(bytes(40) < bytes(92) && bytes(92) < bytes(100), "{} {} {}", bytes(40), bytes(92), bytes(100));
        let faces = vec![place([300.0, 150.0, 80.0, 100.0])];
        let small = files(Stills { max_side_px: Some(320), faces, ..Stills::default() });
        let sizes: Vec<_> = small.iter().map(|file| decode(file).dimensions()).collect();
        // The face is as large as ever.
        assert_eq!(sizes, [(320, 180), (160, 160)]);
        // The picture is the same, but for what is lost on the way.
        let worst = |x, y| {
            let (there, here) = (picture().get_pixel(2 * x, 2 * y).0, decode(&small[0]).get_pixel(x, y).0);
            there.iter().zip(here).map(|(a, b)| a.abs_diff(b)).max().unwrap()
        };
        assert!((0..5).all(|i| worst(20 + 60 * i, 10 + 30 * i) < 8));
        assert_eq!(size_within((640, 360), Some(640)), (640, 360));
        assert_eq!(size_within((640, 360), None), (640, 360));
        assert_eq!(size_within((3, 4000), Some(100)), (1, 100));
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
