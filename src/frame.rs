//! Decoded frames in the decoder's own pixel format, and their conversion to
//! upright RGB.
//!
//! A frame is a [`FrameLayout`] (what the bytes mean) beside the bytes of its planes. The
//! two travel separately because every frame of a video usually shares one layout
//! while the bytes live in a reused arena, or where the decoder has them.

mod hdr;
mod opencv;
mod reduce;
mod rgb;

pub use opencv::Picture;

use crate::error::{Error, Result};
use fast_image_resize as fir;
use image::RgbImage;
use reduce::{box_reduce, reduce_bytes};
use serde::{Deserialize, Serialize};

/// Memory formats that decoders hand out, by their WebCodecs names
/// (<https://www.w3.org/TR/webcodecs/#pixel-format>).
///
/// Formats with an alpha plane behind the colour planes are listed too: the
/// alpha is ignored. Samples deeper than 8 bits are little-endian `u16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum PixelFormat {
    I420,
    I420A,
    I420P10,
    I420P12,
    I422,
    I422A,
    I422P10,
    I422P12,
    I444,
    I444A,
    I444P10,
    I444P12,
    #[serde(rename = "NV12")]
    Nv12,
    #[serde(rename = "RGBA")]
    Rgba,
    #[serde(rename = "RGBX")]
    Rgbx,
    #[serde(rename = "BGRA")]
    Bgra,
    #[serde(rename = "BGRX")]
    Bgrx,
}

/// How the samples of a format lie in memory.
enum Family {
    /// Separate Y, U and V planes; log2 of the horizontal and vertical chroma
    /// subsampling, and the bits per sample.
    Planar { sub_x: u32, sub_y: u32, bits: u32 },
    /// A Y plane and one of interleaved U and V at half size.
    SemiPlanar,
    /// Four bytes per pixel; the offsets of red and blue within them.
    Packed { red: usize, blue: usize },
}

impl PixelFormat {
    fn family(self) -> Family {
        use PixelFormat::*;
        let planar = |sub_x, sub_y, bits| Family::Planar { sub_x, sub_y, bits };
        match self {
            I420 | I420A => planar(1, 1, 8),
            I420P10 => planar(1, 1, 10),
            I420P12 => planar(1, 1, 12),
            I422 | I422A => planar(1, 0, 8),
            I422P10 => planar(1, 0, 10),
            I422P12 => planar(1, 0, 12),
            I444 | I444A => planar(0, 0, 8),
            I444P10 => planar(0, 0, 10),
            I444P12 => planar(0, 0, 12),
            Nv12 => Family::SemiPlanar,
            Rgba | Rgbx => Family::Packed { red: 0, blue: 2 },
            Bgra | Bgrx => Family::Packed { red: 2, blue: 0 },
        }
    }
}

impl PixelFormat {
    /// (bytes per row, rows) of each plane of a picture of `w × h` pixels, alpha left out.
    pub fn plane_sizes(self, w: usize, h: usize) -> Vec<(usize, usize)> {
        match self.family() {
            Family::Planar { sub_x, sub_y, bits } => {
                let bytes = if bits > 8 { 2 } else { 1 };
                let chroma = (w.div_ceil(1 << sub_x) * bytes, h.div_ceil(1 << sub_y));
                vec![(w * bytes, h), chroma, chroma]
            }
            Family::SemiPlanar => vec![(w, h), (w.div_ceil(2) * 2, h.div_ceil(2))],
            Family::Packed { .. } => vec![(w * 4, h)],
        }
    }
}

/// Matrix that turns RGB into YUV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ColorMatrix {
    Bt601,
    Bt709,
    Bt2020,
}

impl ColorMatrix {
    /// What a video without colour information means by its height in pixels:
    /// BT.601 up to standard definition, BT.709 above.
    pub fn guess(height: usize) -> Self {
        if height > 576 { Self::Bt709 } else { Self::Bt601 }
    }
}

impl ColorMatrix {
    /// The shares of red and blue in luma (ITU-R BT.601, BT.709 and BT.2020).
    fn shares(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
        }
    }
}

/// How samples follow from light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transfer {
    /// As on ordinary displays.
    #[default]
    Sdr,
    /// Perceptual quantizer, SMPTE ST 2084: HDR10 and Dolby Vision.
    Pq,
    /// Hybrid log-gamma.
    Hlg,
}

/// One plane's place in the frame's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaneLayout {
    /// First byte of the plane.
    pub offset: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// What a frame's bytes mean, and how the picture is to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameLayout {
    /// Memory format.
    pub format: PixelFormat,
    /// Width of the stored picture in pixels, before rotation.
    pub width: usize,
    /// Height of the stored picture in pixels, before rotation.
    pub height: usize,
    /// One entry per plane, in the format's order.
    pub planes: Vec<PlaneLayout>,
    /// Clockwise rotation to apply for display: 0, 90, 180 or 270 degrees.
    pub rotation_deg: u32,
    /// Mirror horizontally after rotating.
    pub flip: bool,
    /// Width in pixels as shown: after square pixels and rotation.
    pub display_width: usize,
    /// Height in pixels as shown: after square pixels and rotation.
    pub display_height: usize,
    /// YUV matrix; without meaning for RGB formats.
    pub matrix: ColorMatrix,
    /// Samples use the whole 0–255 range instead of 16–235.
    pub full_range: bool,
    /// How samples follow from light; high dynamic range becomes ordinary RGB.
    #[serde(default)]
    pub transfer: Transfer,
}

impl FrameLayout {
    /// Tightly packed 8-bit 4:2:0 without rotation: what tests and raw video use.
    pub fn i420(width: usize, height: usize) -> Self {
        let (half_w, half_h) = (width.div_ceil(2), height.div_ceil(2));
        Self {
            format: PixelFormat::I420,
            width,
            height,
            planes: vec![
                PlaneLayout { offset: 0, stride: width },
                PlaneLayout { offset: width * height, stride: half_w },
                PlaneLayout { offset: width * height + half_w * half_h, stride: half_w },
            ],
            rotation_deg: 0,
            flip: false,
            display_width: width,
            display_height: height,
            matrix: ColorMatrix::guess(height),
            full_range: false,
            transfer: Transfer::Sdr,
        }
    }

    /// Bytes of a tightly packed frame made by [`FrameLayout::i420`].
    pub fn i420_len(width: usize, height: usize) -> usize {
        width * height + 2 * width.div_ceil(2) * height.div_ceil(2)
    }
}

/// An 8-bit single-channel picture without row padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width × height` samples, row by row.
    pub data: Vec<u8>,
}

impl Plane {
    /// A plane resized with an area-like filter (each output sample averages the
    /// input it covers). Enlarging interpolates linearly.
    pub fn resized(&self, width: usize, height: usize) -> Result<Plane> {
        if (width, height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let mut out = Plane { width, height, data: vec![0; width * height] };
        resize(&self.data, (self.width, self.height), &mut out.data, (width, height), fir::PixelType::U8)?;
        Ok(out)
    }
}

/// Resizes interleaved 8-bit pixels: a box filter when shrinking, so that no
/// sample is skipped, bilinear when enlarging. Sizes are (width, height).
pub(crate) fn resize(
    src: &[u8],
    src_size: (usize, usize),
    dst: &mut [u8],
    dst_size: (usize, usize),
    pixel: fir::PixelType,
) -> Result<()> {
    let shrinks = dst_size.0 * dst_size.1 < src_size.0 * src_size.1;
    let filter = if shrinks { fir::FilterType::Box } else { fir::FilterType::Bilinear };
    resize_by(src, src_size, dst, dst_size, pixel, filter)
}

/// The same by a filter of one's choice.
pub(crate) fn resize_by(
    src: &[u8],
    src_size: (usize, usize),
    dst: &mut [u8],
    dst_size: (usize, usize),
    pixel: fir::PixelType,
    filter: fir::FilterType,
) -> Result<()> {
    let image_error =
        |e: &dyn std::fmt::Display| Error::Frame(format!("cannot resize {src_size:?} to {dst_size:?}: {e}"));
    let from =
        fir::images::ImageRef::new(src_size.0 as u32, src_size.1 as u32, src, pixel).map_err(|e| image_error(&e))?;
    let mut to = fir::images::Image::from_slice_u8(dst_size.0 as u32, dst_size.1 as u32, dst, pixel)
        .map_err(|e| image_error(&e))?;
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter)).use_alpha(false);
    fir::Resizer::new().resize(&from, &mut to, &options).map_err(|e| image_error(&e))
}

/// A frame: a layout and the bytes it describes.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    layout: &'a FrameLayout,
    /// From each plane's first sample on.
    planes: [&'a [u8]; MOST_PLANES],
}

/// Planes of the formats that have most.
pub const MOST_PLANES: usize = 3;

/// Luma and chroma of one frame, 8 bits each, chroma at its own resolution.
pub struct YuvPlanes {
    /// Luma.
    pub y: Plane,
    /// Blue difference, 128 is neutral.
    pub u: Plane,
    /// Red difference, 128 is neutral.
    pub v: Plane,
}

impl<'a> Frame<'a> {
    /// Checks once that every row of every plane lies within `data`.
    pub fn new(layout: &'a FrameLayout, data: &'a [u8]) -> Result<Self> {
        let from =
            |plane: usize| layout.planes.get(plane).and_then(|plane| data.get(plane.offset..)).unwrap_or_default();
        Self::of_planes(layout, std::array::from_fn(from))
    }

    /// The same of planes that lie apart, each from its first sample on, whatever offset its layout names.
    pub fn of_planes(layout: &'a FrameLayout, planes: [&'a [u8]; MOST_PLANES]) -> Result<Self> {
        if layout.width == 0 || layout.height == 0 || layout.display_width == 0 || layout.display_height == 0 {
            return Err(Error::Frame(format!("empty picture {}×{}", layout.width, layout.height)));
        }
        if !matches!(layout.rotation_deg, 0 | 90 | 180 | 270) {
            return Err(Error::Frame(format!("rotation of {}° is not a right angle", layout.rotation_deg)));
        }
        let frame = Self { layout, planes };
        for (index, (row_bytes, rows)) in frame.plane_sizes().into_iter().enumerate() {
            let plane = layout.planes.get(index).ok_or_else(|| Error::Frame(format!("plane {index} is missing")))?;
            let end = plane.stride.checked_mul(rows - 1).and_then(|n| n.checked_add(row_bytes));
            if plane.stride < row_bytes || end.is_none_or(|end| end > planes[index].len()) {
                return Err(Error::Frame(format!(
                    "plane {index} needs {rows} rows of {row_bytes} bytes at {plane:?}, the frame has {} bytes for it",
                    planes[index].len()
                )));
            }
        }
        Ok(frame)
    }

    /// What the bytes mean.
    pub fn layout(&self) -> &'a FrameLayout {
        self.layout
    }

    fn plane_sizes(&self) -> Vec<(usize, usize)> {
        self.layout.format.plane_sizes(self.layout.width, self.layout.height)
    }

    fn row(&self, plane: usize, row: usize, bytes: usize) -> &'a [u8] {
        let start = row * self.layout.planes[plane].stride;
        &self.planes[plane][start..start + bytes]
    }

    /// Copies the planes into `data`, one after the other and without padding.
    pub fn pack(&self, data: &mut Vec<u8>) -> FrameLayout {
        data.clear();
        let mut layout = self.layout.clone();
        layout.planes.clear();
        for (plane, (row_bytes, rows)) in self.plane_sizes().into_iter().enumerate() {
            layout.planes.push(PlaneLayout { offset: data.len(), stride: row_bytes });
            match self.layout.planes[plane].stride == row_bytes {
                true => data.extend_from_slice(&self.planes[plane][..row_bytes * rows]),
                false => (0..rows).for_each(|y| data.extend_from_slice(self.row(plane, y, row_bytes))),
            }
        }
        layout
    }

    /// Planes at no more than `max_width` columns: whole blocks of `k × k`
    /// samples are averaged, with the smallest integer `k` that fits. Of chroma with planes of its own
    /// only some rows are computed, where there are plenty: enough for coarse means.
    pub fn yuv_reduced(&self, max_width: usize) -> Result<YuvPlanes> {
        let k = self.layout.width.div_ceil(max_width).max(1);
        let sizes = self.plane_sizes();
        Ok(match self.layout.format.family() {
            Family::Planar { sub_x, bits, .. } => {
                let chroma_k = k.div_ceil(1 << sub_x).max(1);
                let reduce = |plane: usize, k: usize, step: usize| {
                    let (bytes, rows) = sizes[plane];
                    if bits > 8 {
                        let width = bytes / 2;
                        box_reduce(width, rows, k, step, |y, sums| {
                            for (b, sum) in self.row(plane, y, bytes).chunks_exact(2).zip(sums) {
                                // Bits beyond those of the format are another's rubbish.
                                *sum += (u16::from_le_bytes([b[0], b[1]]) >> (bits - 8)) & 0xff;
                            }
                        })
                    } else {
                        reduce_bytes(bytes, rows, k, step, |y| self.row(plane, y, bytes))
                    }
                };
                let chroma = |plane: usize| reduce(plane, chroma_k, chroma_step(sizes[plane].1 / chroma_k));
                YuvPlanes { y: reduce(0, k, 1), u: chroma(1), v: chroma(2) }
            }
            Family::SemiPlanar => {
                let (y_bytes, y_rows) = sizes[0];
                let (uv_bytes, uv_rows) = sizes[1];
                let width = uv_bytes / 2;
                let chroma_k = k.div_ceil(2).min(width).min(uv_rows).max(1);
                // The rows that count are taken apart first: there are fast ways to reduce what lies side by side.
                let (mut u, mut v) = (Vec::new(), Vec::new());
                let blocks = (0..uv_rows / chroma_k).step_by(chroma_step(uv_rows / chroma_k));
                for y in blocks.flat_map(|block| block * chroma_k..(block + 1) * chroma_k) {
                    let pairs = self.row(1, y, uv_bytes).as_chunks::<2>().0;
                    u.extend(pairs.iter().map(|pair| pair[0]));
                    v.extend(pairs.iter().map(|pair| pair[1]));
                }
                let chroma = |plane: Vec<u8>| {
                    reduce_bytes(width, plane.len() / width, chroma_k, 1, |y| &plane[y * width..][..width])
                };
                let y = reduce_bytes(y_bytes, y_rows, k, 1, |y| self.row(0, y, y_bytes));
                YuvPlanes { y, u: chroma(u), v: chroma(v) }
            }
            Family::Packed { red, blue } => {
                let (bytes, rows) = sizes[0];
                let channel = |offset: usize| {
                    box_reduce(bytes / 4, rows, k, 1, |y, sums| {
                        let row = self.row(0, y, bytes);
                        row.chunks_exact(4).zip(sums).for_each(|(pixel, sum)| *sum += u16::from(pixel[offset]));
                    })
                };
                rgb_to_yuv(&channel(red), &channel(1), &channel(blue))
            }
        })
    }

    /// The picture as it is to be shown: RGB, square pixels, upright.
    pub fn to_rgb(&self) -> Result<RgbImage> {
        let (w, h) = (self.layout.width, self.layout.height);
        let mut rgb = vec![0u8; w * h * 3];
        self.convert(&mut rgb);
        let sideways = self.layout.rotation_deg % 180 == 90;
        let (square_w, square_h) = match sideways {
            true => (self.layout.display_height, self.layout.display_width),
            false => (self.layout.display_width, self.layout.display_height),
        };
        if (square_w, square_h) != (w, h) {
            let mut square = vec![0u8; square_w * square_h * 3];
            resize(&rgb, (w, h), &mut square, (square_w, square_h), fir::PixelType::U8x3)?;
            rgb = square;
        }
        let image = RgbImage::from_raw(square_w as u32, square_h as u32, rgb)
            .ok_or_else(|| Error::Frame("RGB buffer has the wrong size".into()))?;
        let image = match self.layout.rotation_deg {
            90 => image::imageops::rotate90(&image),
            180 => image::imageops::rotate180(&image),
            270 => image::imageops::rotate270(&image),
            _ => image,
        };
        Ok(if self.layout.flip { image::imageops::flip_horizontal(&image) } else { image })
    }

    /// Fills `rgb` with the stored picture, three bytes per pixel.
    fn convert(&self, pixels: &mut [u8]) {
        let l = self.layout;
        let sizes = self.plane_sizes();
        if l.transfer != Transfer::Sdr {
            return self.tone_map(pixels);
        }
        let rows = pixels.chunks_exact_mut(3 * l.width).enumerate();
        let mut converter = rgb::Converter::new(l.matrix, l.full_range, l.width);
        match l.format.family() {
            Family::Planar { sub_x, sub_y, bits: 8 } => rows.for_each(|(y, out)| {
                let row = |plane: usize, y: usize| self.row(plane, y, sizes[plane].0);
                converter.planar(row(0, y), [row(1, y >> sub_y), row(2, y >> sub_y)], sub_x, out);
            }),
            Family::Planar { sub_x, sub_y, bits } => {
                let planes: Vec<Vec<u8>> = (0..3).map(|p| self.plane_in_8_bits(p, sizes[p], bits)).collect();
                rows.for_each(|(y, out)| {
                    let row = |plane: usize, y: usize| {
                        let samples = sizes[plane].0 / 2;
                        &planes[plane][y * samples..][..samples]
                    };
                    converter.planar(row(0, y), [row(1, y >> sub_y), row(2, y >> sub_y)], sub_x, out);
                });
            }
            Family::SemiPlanar => rows.for_each(|(y, out)| {
                converter.semi_planar(self.row(0, y, sizes[0].0), self.row(1, y / 2, sizes[1].0), out);
            }),
            Family::Packed { red, blue } => rows.for_each(|(y, out)| {
                let pixels = self.row(0, y, sizes[0].0).as_chunks::<4>().0;
                let out = out.as_chunks_mut::<3>().0;
                out.iter_mut().zip(pixels).for_each(|(out, pixel)| *out = [pixel[red], pixel[1], pixel[blue]]);
            }),
        }
    }

    /// The same for high dynamic range, from all bits that there are.
    fn tone_map(&self, pixels: &mut [u8]) {
        let l = self.layout;
        let sizes = self.plane_sizes();
        let bits = match l.format.family() {
            Family::Planar { bits, .. } => bits,
            Family::SemiPlanar | Family::Packed { .. } => 8,
        };
        let mapper = hdr::ToneMapper::new(l.matrix, l.full_range, bits, l.transfer);
        let sample = |row: &[u8], x: usize| match bits {
            8 => u16::from(row[x]),
            // Bits beyond those of the format are another's rubbish.
            _ => u16::from_le_bytes([row[2 * x], row[2 * x + 1]]) & ((1 << bits) - 1),
        };
        for (y, out) in pixels.chunks_exact_mut(3 * l.width).enumerate() {
            let row = |plane: usize, y: usize| self.row(plane, y, sizes[plane].0);
            let out = out.as_chunks_mut::<3>().0.iter_mut().enumerate();
            match l.format.family() {
                Family::Planar { sub_x, sub_y, .. } => {
                    let (luma, u, v) = (row(0, y), row(1, y >> sub_y), row(2, y >> sub_y));
                    let at = |x: usize| [sample(luma, x), sample(u, x >> sub_x), sample(v, x >> sub_x)];
                    out.for_each(|(x, out)| *out = mapper.pixel(at(x)));
                }
                Family::SemiPlanar => {
                    let (luma, uv) = (row(0, y), row(1, y / 2));
                    let at = |x: usize| [sample(luma, x), sample(uv, x & !1), sample(uv, x | 1)];
                    out.for_each(|(x, out)| *out = mapper.pixel(at(x)));
                }
                // Already RGB: browsers have tone-mapped it, and files with RGB of high dynamic range are rare.
                Family::Packed { red, blue } => {
                    let pixels = row(0, y).as_chunks::<4>().0;
                    out.zip(pixels).for_each(|((_, out), pixel)| *out = [pixel[red], pixel[1], pixel[blue]]);
                }
            }
        }
    }

    fn plane_in_8_bits(&self, plane: usize, (bytes, rows): (usize, usize), bits: u32) -> Vec<u8> {
        (0..rows)
            .flat_map(|y| self.row(plane, y, bytes).chunks_exact(2))
            .map(|b| (u16::from_le_bytes([b[0], b[1]]) >> (bits - 8)) as u8)
            .collect()
    }
}

/// Every how many of some reduced rows of chroma are computed.
fn chroma_step(rows: usize) -> usize {
    const ENOUGH_ROWS: usize = 80;
    (rows / ENOUGH_ROWS).clamp(1, 4)
}

/// BT.601 luma and colour differences, only for features: any fixed matrix will do.
fn rgb_to_yuv(r: &Plane, g: &Plane, b: &Plane) -> YuvPlanes {
    let map = |f: fn(i32, i32, i32) -> i32| Plane {
        width: r.width,
        height: r.height,
        data: (r.data.iter().zip(&g.data).zip(&b.data))
            .map(|((&r, &g), &b)| f(i32::from(r), i32::from(g), i32::from(b)).clamp(0, 255) as u8)
            .collect(),
    };
    YuvPlanes {
        y: map(|r, g, b| (77 * r + 150 * g + 29 * b + 128) >> 8),
        u: map(|r, g, b| ((-43 * r - 85 * g + 128 * b + 128) >> 8) + 128),
        v: map(|r, g, b| ((128 * r - 107 * g - 21 * b + 128) >> 8) + 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four quadrants: red, green / blue, white.
    fn quadrants_i420() -> (FrameLayout, Vec<u8>) {
        let (w, h) = (16, 8);
        let layout = FrameLayout { matrix: ColorMatrix::Bt601, ..FrameLayout::i420(w, h) };
        let mut data = vec![0u8; FrameLayout::i420_len(w, h)];
        let yuv = [[81u8, 90, 240], [145, 54, 34], [41, 240, 110], [235, 128, 128]];
        for y in 0..h {
            for x in 0..w {
                let q = yuv[(y >= h / 2) as usize * 2 + (x >= w / 2) as usize];
                data[y * w + x] = q[0];
                data[w * h + (y / 2) * w / 2 + x / 2] = q[1];
                data[w * h + w * h / 4 + (y / 2) * w / 2 + x / 2] = q[2];
            }
        }
        (layout, data)
    }

    fn close(a: [u8; 3], b: [u8; 3]) -> bool {
        a.iter().zip(b).all(|(&a, b)| a.abs_diff(b) <= 4)
    }

    #[test]
    fn colours_survive_the_conversion() {
        let (layout, data) = quadrants_i420();
        let rgb = Frame::new(&layout, &data).unwrap().to_rgb().unwrap();
        assert!(close(rgb.get_pixel(2, 1).0, [255, 0, 0]), "{:?}", rgb.get_pixel(2, 1));
        assert!(close(rgb.get_pixel(13, 1).0, [0, 255, 0]), "{:?}", rgb.get_pixel(13, 1));
        assert!(close(rgb.get_pixel(2, 6).0, [0, 0, 255]), "{:?}", rgb.get_pixel(2, 6));
        assert!(close(rgb.get_pixel(13, 6).0, [255, 255, 255]));
    }

    #[test]
    fn rotation_is_clockwise_and_swaps_the_sides() {
        let (layout, data) = quadrants_i420();
        let turned = FrameLayout { rotation_deg: 90, display_width: 8, display_height: 16, ..layout };
        let rgb = Frame::new(&turned, &data).unwrap().to_rgb().unwrap();
        assert_eq!(rgb.dimensions(), (8, 16));
        // The stored bottom left (blue) comes to the top left.
        assert!(close(rgb.get_pixel(1, 2).0, [0, 0, 255]));
        assert!(close(rgb.get_pixel(6, 2).0, [255, 0, 0]));
    }

    #[test]
    fn anamorphic_pixels_become_square() {
        let (layout, data) = quadrants_i420();
        let wide = FrameLayout { display_width: 32, ..layout };
        let rgb = Frame::new(&wide, &data).unwrap().to_rgb().unwrap();
        assert_eq!(rgb.dimensions(), (32, 8));
        assert!(close(rgb.get_pixel(4, 1).0, [255, 0, 0]));
    }

    #[test]
    fn ten_bit_and_semi_planar_equal_planar() {
        let (layout, data) = quadrants_i420();
        let expected = Frame::new(&layout, &data).unwrap().to_rgb().unwrap();

        let deep: Vec<u8> = data.iter().flat_map(|&b| (u16::from(b) << 2).to_le_bytes()).collect();
        let planes = layout.planes.iter().map(|p| PlaneLayout { offset: p.offset * 2, stride: p.stride * 2 }).collect();
        let deep_layout = FrameLayout { format: PixelFormat::I420P10, planes, ..layout.clone() };
        let frame = Frame::new(&deep_layout, &deep).unwrap();
        assert_eq!(frame.to_rgb().unwrap(), expected);
        assert_eq!(frame.yuv_reduced(8).unwrap().y, Frame::new(&layout, &data).unwrap().yuv_reduced(8).unwrap().y);

        let (luma, chroma) = data.split_at(16 * 8);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        let mut nv12 = luma.to_vec();
        nv12.extend(u.iter().zip(v).flat_map(|(&u, &v)| [u, v]));
        let nv12_layout = FrameLayout {
            format: PixelFormat::Nv12,
            planes: vec![PlaneLayout { offset: 0, stride: 16 }, PlaneLayout { offset: 128, stride: 16 }],
            ..layout.clone()
        };
        let frame = Frame::new(&nv12_layout, &nv12).unwrap();
        let rgb = frame.to_rgb().unwrap();
        assert!(rgb.pixels().zip(expected.pixels()).all(|(a, b)| close(a.0, b.0)));
        let (a, b) = (frame.yuv_reduced(8).unwrap(), Frame::new(&layout, &data).unwrap().yuv_reduced(8).unwrap());
        assert_eq!((a.y, a.u, a.v), (b.y, b.u, b.v));
    }

    #[test]
    fn packed_bgr_is_read_in_the_right_order() {
        let layout = FrameLayout {
            format: PixelFormat::Bgrx,
            planes: vec![PlaneLayout { offset: 0, stride: 8 }],
            ..FrameLayout::i420(2, 1)
        };
        let data = [0, 0, 255, 9, 255, 0, 0, 9];
        let frame = Frame::new(&layout, &data).unwrap();
        let rgb = frame.to_rgb().unwrap();
        assert_eq!((rgb.get_pixel(0, 0).0, rgb.get_pixel(1, 0).0), ([255, 0, 0], [0, 0, 255]));
        let yuv = frame.yuv_reduced(2).unwrap();
        assert!(yuv.v.data[0] > 200 && yuv.u.data[1] > 200);
    }

    #[test]
    fn short_data_is_refused() {
        let layout = FrameLayout::i420(16, 8);
        let err = Frame::new(&layout, &[0; 100]).err().unwrap().to_string();
        assert!(err.contains("plane 0"), "{err}");
    }
}
