//! FFmpeg's frames as [`Frame`]s.

use crate::error::{Error, Result};
use crate::frame::{ColorMatrix, Frame, FrameLayout, PixelFormat, PlaneLayout, Transfer};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Rational, color, format, frame, packet};

/// How a picture is turned for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Clockwise, in degrees: 0, 90, 180 or 270.
    pub rotation_deg: u32,
    /// Mirrored horizontally afterwards.
    pub flip: bool,
}

impl Turn {
    /// What the container's display matrix asks for; angles between are rounded.
    pub fn of(stream: &format::stream::Stream<'_>) -> Self {
        let matrix = stream.side_data().find(|data| data.kind() == packet::side_data::Type::DisplayMatrix);
        matrix.and_then(|matrix| Self::from_matrix(matrix.data())).unwrap_or(Self { rotation_deg: 0, flip: false })
    }

    /// From nine native-endian 32-bit numbers: `x' = a·x + c·y`, `y' = b·x + d·y`, of
    /// which the first, second, fourth and fifth are a, b, c and d.
    fn from_matrix(bytes: &[u8]) -> Option<Self> {
        let value = |i: usize| Some(f64::from(i32::from_ne_bytes(*bytes.get(4 * i..)?.first_chunk()?)));
        let [a, b, c, d] = [value(0)?, value(1)?, value(3)?, value(4)?];
        // Mirrored pictures are turned as if the mirror came last.
        let flip = a * d - b * c < 0.0;
        let angle = if flip { b.atan2(-a) } else { b.atan2(a) };
        let quarter = (angle.to_degrees() / 90.0).round() as i32;
        Some(Self { rotation_deg: quarter.rem_euclid(4) as u32 * 90, flip })
    }

    /// Size in pixels as shown, of a picture with pixels of some shape.
    pub fn shown(self, width: u32, height: u32, pixel_shape: Rational) -> (u32, u32) {
        let shape = f64::from(pixel_shape);
        let (width, height) = match shape {
            shape if shape.is_finite() && shape > 1.0 => ((f64::from(width) * shape).round() as u32, height),
            shape if shape.is_finite() && shape > 0.0 => (width, (f64::from(height) / shape).round() as u32),
            _ => (width, height),
        };
        if self.rotation_deg % 180 == 90 { (height, width) } else { (width, height) }
    }
}

/// Shows a frame's planes where the decoder has them. Formats that the rest of the crate does not read are converted
/// first.
pub fn show<T>(
    frame: &frame::Video,
    turn: Turn,
    pixel_shape: Rational,
    see: impl FnOnce(&Frame<'_>) -> Result<T>,
) -> Result<T> {
    let upside_down = (0..frame.planes()).any(|plane| (frame.stride(plane) as isize) < 0);
    if let Some(format) = known(frame.format()).filter(|_| !upside_down) {
        return show_known(frame, format, turn, pixel_shape, see);
    }
    let (target, format) = substitute(frame.format());
    let (width, height) = (frame.width(), frame.height());
    let mut converted = frame::Video::empty();
    scaling::Context::get(frame.format(), width, height, target, width, height, scaling::Flags::ACCURATE_RND)
        .and_then(|mut context| context.run(frame, &mut converted))
        .map_err(|e| Error::Video(format!("has {:?} pixels, which cannot be converted ({e})", frame.format())))?;
    converted.set_color_space(frame.color_space());
    converted.set_color_transfer_characteristic(frame.color_transfer_characteristic());
    // swscale takes these for full range, whatever they say, and makes limited range of them.
    let name = name(frame.format());
    let became_limited = name.starts_with("gray") || name.starts_with("ya") || name.starts_with("yuvj");
    converted.set_color_range(if became_limited { color::Range::MPEG } else { frame.color_range() });
    show_known(&converted, format, turn, pixel_shape, see)
}

/// Bytes of a frame of such pixels, packed.
pub fn bytes(format: Pixel, width: u32, height: u32) -> usize {
    let format = known(format).unwrap_or_else(|| substitute(format).1);
    format.plane_sizes(width as usize, height as usize).into_iter().map(|(bytes, rows)| bytes * rows).sum()
}

fn show_known<T>(
    frame: &frame::Video,
    format: PixelFormat,
    turn: Turn,
    pixel_shape: Rational,
    see: impl FnOnce(&Frame<'_>) -> Result<T>,
) -> Result<T> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let (display_width, display_height) = turn.shown(frame.width(), frame.height(), pixel_shape);
    let layout = FrameLayout {
        format,
        width,
        height,
        planes: (0..frame.planes()).map(|plane| PlaneLayout { offset: 0, stride: frame.stride(plane) }).collect(),
        rotation_deg: turn.rotation_deg,
        flip: turn.flip,
        display_width: display_width as usize,
        display_height: display_height as usize,
        matrix: match frame.color_space() {
            color::Space::BT709 => ColorMatrix::Bt709,
            color::Space::BT470BG | color::Space::SMPTE170M | color::Space::FCC => ColorMatrix::Bt601,
            color::Space::BT2020NCL | color::Space::BT2020CL => ColorMatrix::Bt2020,
            // High dynamic range comes with no other.
            _ if transfer(frame.color_transfer_characteristic()) != Transfer::Sdr => ColorMatrix::Bt2020,
            _ => ColorMatrix::guess(height),
        },
        full_range: frame.color_range() == color::Range::JPEG
            || matches!(frame.format(), Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P),
        transfer: transfer(frame.color_transfer_characteristic()),
    };
    let plane = |plane| if plane < frame.planes() { frame.data(plane) } else { &[] };
    see(&Frame::of_planes(&layout, std::array::from_fn(plane))?)
}

/// How samples follow from light.
pub fn transfer(characteristic: color::TransferCharacteristic) -> Transfer {
    match characteristic {
        color::TransferCharacteristic::SMPTE2084 => Transfer::Pq,
        color::TransferCharacteristic::ARIB_STD_B67 => Transfer::Hlg,
        _ => Transfer::Sdr,
    }
}

/// Formats that are read as they are.
fn known(format: Pixel) -> Option<PixelFormat> {
    Some(match format {
        Pixel::YUV420P | Pixel::YUVJ420P => PixelFormat::I420,
        Pixel::YUV422P | Pixel::YUVJ422P => PixelFormat::I422,
        Pixel::YUV444P | Pixel::YUVJ444P => PixelFormat::I444,
        Pixel::YUV420P10LE => PixelFormat::I420P10,
        Pixel::YUV422P10LE => PixelFormat::I422P10,
        Pixel::YUV444P10LE => PixelFormat::I444P10,
        Pixel::YUV420P12LE => PixelFormat::I420P12,
        Pixel::YUV422P12LE => PixelFormat::I422P12,
        Pixel::YUV444P12LE => PixelFormat::I444P12,
        Pixel::NV12 => PixelFormat::Nv12,
        Pixel::RGBA => PixelFormat::Rgba,
        Pixel::BGRA => PixelFormat::Bgra,
        _ => return None,
    })
}

/// What another format is converted to: deep ones of half-size chroma stay deep, RGB
/// stays RGB, the rest becomes 4:4:4.
fn substitute(format: Pixel) -> (Pixel, PixelFormat) {
    let name = name(format);
    let is_rgb = ["rgb", "bgr", "gbr", "pal8"].iter().any(|part| name.contains(part));
    match name.starts_with("p01") || name.starts_with("yuv420p1") {
        true => (Pixel::YUV420P10LE, PixelFormat::I420P10),
        false if is_rgb => (Pixel::RGBA, PixelFormat::Rgba),
        false => (Pixel::YUV444P, PixelFormat::I444),
    }
}

fn name(format: Pixel) -> &'static str {
    format.descriptor().map_or("", |descriptor| descriptor.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(values: [i32; 9]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_ne_bytes()).collect()
    }

    /// Display matrices as phones and `ffmpeg -display_rotation` write them.
    #[test]
    fn display_matrices_become_turns() {
        let one = 1 << 16;
        for ([a, b, c, d], rotation_deg, flip) in [
            ([1, 0, 0, 1], 0, false),
            ([0, 1, -1, 0], 90, false),
            ([-1, 0, 0, -1], 180, false),
            ([0, -1, 1, 0], 270, false),
            ([-1, 0, 0, 1], 0, true),
            ([1, 0, 0, -1], 180, true),
            ([0, 1, 1, 0], 90, true),
            ([0, -1, -1, 0], 270, true),
        ] {
            let bytes = matrix([a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]);
            assert_eq!(Turn::from_matrix(&bytes), Some(Turn { rotation_deg, flip }), "{a} {b} {c} {d}");
        }
        assert_eq!(Turn::from_matrix(&[0; 10]), None);
    }

    #[test]
    fn pixels_become_square_and_upright() {
        let upright = Turn { rotation_deg: 0, flip: false };
        assert_eq!(upright.shown(720, 576, Rational(16, 15)), (768, 576));
        assert_eq!(upright.shown(720, 480, Rational(8, 9)), (720, 540));
        assert_eq!(upright.shown(640, 360, Rational(0, 1)), (640, 360));
        assert_eq!(Turn { rotation_deg: 90, flip: false }.shown(1920, 1080, Rational(1, 1)), (1080, 1920));
    }
}
