//! Contact sheets: the kept frames small, side by side, each with its time.

use crate::error::{Error, Result};
use crate::still::sheet_jpeg;
use image::{ImageFormat, ImageReader, Rgb, RgbImage};
use std::io::Cursor;

/// Size of a sheet, about, in pixels.
const SHEET_PX: (u32, u32) = (2000, 1600);
const GAP_PX: u32 = 8;
/// Pixels of the screen to a dot of the letters.
const DOT_PX: u32 = 3;
const PAPER: Rgb<u8> = Rgb([24, 28, 27]);
const INK: Rgb<u8> = Rgb([225, 232, 230]);

/// Letters of 3 × 5 dots, a row in three bits, the left one highest.
const LETTERS: [(char, [u8; 5]); 12] = [
    ('0', [7, 5, 5, 5, 7]),
    ('1', [2, 6, 2, 2, 7]),
    ('2', [7, 1, 7, 4, 7]),
    ('3', [7, 1, 7, 1, 7]),
    ('4', [5, 5, 7, 1, 1]),
    ('5', [7, 4, 7, 1, 7]),
    ('6', [7, 4, 7, 5, 7]),
    ('7', [7, 1, 1, 2, 2]),
    ('8', [7, 5, 7, 5, 7]),
    ('9', [7, 5, 7, 1, 7]),
    (':', [0, 2, 0, 2, 0]),
    ('.', [0, 0, 0, 0, 2]),
];

/// Sheets of frames in order, each given by its time in seconds and a small JPEG: names and JPEGs.
pub fn sheets(frames: &[(f64, Vec<u8>)]) -> Result<Vec<(String, Vec<u8>)>> {
    let unreadable = |e: image::ImageError| Error::Image(format!("contact sheet: {e}"));
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    // They may differ: some videos change their size.
    let (mut most_w, mut most_h) = (0, 0);
    for (_, jpeg) in frames {
        let reader = ImageReader::with_format(Cursor::new(jpeg), ImageFormat::Jpeg);
        let (w, h) = reader.into_dimensions().map_err(unreadable)?;
        (most_w, most_h) = (most_w.max(w), most_h.max(h));
    }
    let (cell_w, cell_h) = (most_w + GAP_PX, most_h + 7 * DOT_PX + GAP_PX);
    let columns = (SHEET_PX.0 / cell_w).max(1);
    let rows = (SHEET_PX.1 / cell_h).max(1);
    let pages: Vec<_> = frames.chunks((columns * rows) as usize).collect();
    let sheet = |(number, page): (usize, &&[(f64, Vec<u8>)])| {
        let used = (page.len() as u32).div_ceil(columns);
        let wide = if pages.len() == 1 { columns.min(page.len() as u32) } else { columns };
        let mut sheet = RgbImage::from_pixel(wide * cell_w + GAP_PX, used * cell_h + GAP_PX, PAPER);
        for (i, (time_s, jpeg)) in page.iter().enumerate() {
            let (x, y) = (i as u32 % columns * cell_w + GAP_PX, i as u32 / columns * cell_h + GAP_PX);
            let picture = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).map_err(unreadable)?.to_rgb8();
            image::imageops::replace(&mut sheet, &picture, x.into(), y.into());
            write(&mut sheet, &clock(*time_s), x, y + most_h + DOT_PX);
        }
        let name = if pages.len() == 1 { "contact.jpg".into() } else { format!("contact_{:03}.jpg", number + 1) };
        Ok((name, sheet_jpeg(&sheet)?))
    };
    pages.iter().enumerate().map(sheet).collect()
}

/// 75.3 → "1:15.30".
fn clock(time_s: f64) -> String {
    let hundredths = (time_s.max(0.0) * 100.0).round() as u64;
    let (minutes, rest) = (hundredths / 6000, hundredths % 6000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let seconds = format!("{:02}.{:02}", rest / 100, rest % 100);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds}") } else { format!("{minutes}:{seconds}") }
}

fn write(sheet: &mut RgbImage, text: &str, left: u32, top: u32) {
    for (i, letter) in text.chars().enumerate() {
        let Some((_, rows)) = LETTERS.iter().find(|(known, _)| *known == letter) else { continue };
        for (row, column) in (0..5).flat_map(|row| (0..3).map(move |column| (row, column))) {
            if rows[row as usize] >> (2 - column) & 1 == 0 {
                continue;
            }
            let (x, y) = (left + (4 * i as u32 + column) * DOT_PX, top + row * DOT_PX);
            for (dx, dy) in (0..DOT_PX).flat_map(|dy| (0..DOT_PX).map(move |dx| (dx, dy))) {
                if let Some(pixel) = sheet.get_pixel_mut_checked(x + dx, y + dy) {
                    *pixel = INK;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(n: usize, width: u32, height: u32) -> Vec<(f64, Vec<u8>)> {
        let picture = |i: usize| RgbImage::from_pixel(width, height, Rgb([(i * 9 % 256) as u8, 128, 64]));
        (0..n).map(|i| (i as f64 * 1.5, sheet_jpeg(&picture(i)).unwrap())).collect()
    }

    #[test]
    fn frames_lie_in_rows_in_order() {
        assert!(sheets(&[]).unwrap().is_empty());
        let all = sheets(&frames(100, 320, 180)).unwrap();
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["contact_001.jpg", "contact_002.jpg", "contact_003.jpg"]);
        let first = image::load_from_memory(&all[0].1).unwrap().to_rgb8();
        // Six to a row: the middle of the eighth frame is the second in the second row.
        let (cell_w, cell_h) = (328, 180 + 21 + 8);
        let middle = first.get_pixel(8 + cell_w + 160, 8 + cell_h + 90);
        assert!(middle[0].abs_diff(63) < 6 && middle[1].abs_diff(128) < 6, "{middle:?}");
        let last = image::load_from_memory(&all[2].1).unwrap();
        assert_eq!(last.height(), 8 + cell_h * (100u32 - 84).div_ceil(6));
    }

    #[test]
    fn a_few_upright_ones_fit_one_small_sheet() {
        let all = sheets(&frames(3, 180, 320)).unwrap();
        assert_eq!(all[0].0, "contact.jpg");
        let sheet = image::load_from_memory(&all[0].1).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (3 * 188 + 8, 320 + 21 + 8 + 8));
        assert!(sheets(&[(0.0, b"no picture".to_vec())]).is_err());
    }

    #[test]
    fn frames_of_several_sizes_do_not_cover_each_other() {
        let mixed = [frames(1, 320, 180), frames(1, 180, 320)].concat();
        let sheet = image::load_from_memory(&sheets(&mixed).unwrap()[0].1).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (2 * 328 + 8, 320 + 21 + 8 + 8));
    }

    #[test]
    fn times_are_told() {
        assert_eq!([0.0, 75.3, 3725.999].map(clock), ["0:00.00", "1:15.30", "1:02:06.00"]);
    }
}
