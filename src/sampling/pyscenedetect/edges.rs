//! Edges of a picture as `content` sees them where their weight is not 0: by Canny ("A computational
//! approach to edge detection", 1986) as OpenCV computes it, with thresholds around the median, then
//! thickened, so that small movements do not count.

/// Tangent of 22.5° with 15 bits after the point.
const TANGENT: i64 = 13573;

/// Side of the square that edges are thickened by, for a picture of so many pixels: odd.
fn default_kernel(pixels: usize) -> usize {
    let size = 4 + ((pixels as f64).sqrt() / 192.0).round_ties_even() as usize;
    size | 1
}

/// Which pixels of a picture `width` pixels wide lie on an edge or near one: at most
/// `kernel / 2` away in each direction, by default as much as fits the picture's size.
pub fn edges(values: &[u8], width: usize, kernel: Option<usize>) -> Vec<bool> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let middle = |i: usize| f64::from(sorted.get(i).copied().unwrap_or(0));
    let median = (middle(sorted.len().saturating_sub(1) / 2) + middle(sorted.len() / 2)) / 2.0;
    const SIGMA: f64 = 1.0 / 3.0;
    let low = ((1.0 - SIGMA) * median) as i32;
    let high = ((1.0 + SIGMA) * median).min(255.0) as i32;
    thickened(&canny(values, width, low, high), width, kernel.unwrap_or_else(|| default_kernel(values.len())))
}

/// Pixels where the gradient is the largest across the edge: those above `high`, and those above `low`
/// that are connected with them.
fn canny(values: &[u8], width: usize, low: i32, high: i32) -> Vec<bool> {
    let height = values.len() / width;
    let gradients = sobel(values, width);
    let at = |x: isize, y: isize| {
        let inside = x >= 0 && y >= 0 && x < width as isize && y < height as isize;
        inside.then(|| y as usize * width + x as usize)
    };
    let size = |x: isize, y: isize| at(x, y).map_or(0, |i| gradients[i][0].abs() + gradients[i][1].abs());
    let ridge = |i: usize| {
        let (x, y) = ((i % width) as isize, (i / width) as isize);
        let here = size(x, y);
        let [dx, dy] = gradients[i];
        // Which neighbours lie across the edge: beside it, above and below, or on a diagonal.
        let (run, rise) = (i64::from(dx.abs()), i64::from(dy.abs()) << 15);
        let flat = run * TANGENT;
        here > low
            && if rise < flat {
                here > size(x - 1, y) && here >= size(x + 1, y)
            } else if rise > flat + (run << 16) {
                here > size(x, y - 1) && here >= size(x, y + 1)
            } else {
                let side = if (dx ^ dy) < 0 { -1 } else { 1 };
                here > size(x - side, y - 1) && here > size(x + side, y + 1)
            }
    };
    let weak: Vec<bool> = (0..values.len()).map(ridge).collect();
    let mut edge = vec![false; values.len()];
    let strong = |i: &usize| weak[*i] && gradients[*i][0].abs() + gradients[*i][1].abs() > high;
    let mut open: Vec<usize> = (0..values.len()).filter(strong).collect();
    while let Some(i) = open.pop() {
        if std::mem::replace(&mut edge[i], true) {
            continue;
        }
        let (x, y) = ((i % width) as isize, (i / width) as isize);
        let around = (-1..=1).flat_map(|dy| (-1..=1).filter_map(move |dx| at(x + dx, y + dy)));
        open.extend(around.filter(|&k| weak[k] && !edge[k]));
    }
    edge
}

/// Horizontal and vertical gradient of each pixel (Sobel, 3 × 3; the border repeats).
fn sobel(values: &[u8], width: usize) -> Vec<[i32; 2]> {
    let height = values.len() / width;
    let value = |x: usize, y: usize| i32::from(values[y * width + x]);
    let gradient = |i: usize| {
        let (x, y) = (i % width, i / width);
        let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
        let (up, down) = (y.saturating_sub(1), (y + 1).min(height - 1));
        let column = |x| value(x, up) + 2 * value(x, y) + value(x, down);
        let row = |y| value(left, y) + 2 * value(x, y) + value(right, y);
        [column(right) - column(left), row(down) - row(up)]
    };
    (0..values.len()).map(gradient).collect()
}

/// Pixels with an edge within the square of side `kernel` around them.
fn thickened(edge: &[bool], width: usize, kernel: usize) -> Vec<bool> {
    let (reach, height) = (kernel / 2, edge.len() / width);
    let span = |at: usize, length: usize| at.saturating_sub(reach)..(at + reach + 1).min(length);
    let across = |i: usize| span(i % width, width).any(|x| edge[i / width * width + x]);
    let across: Vec<bool> = (0..edge.len()).map(across).collect();
    (0..edge.len()).map(|i| span(i / width, height).any(|y| across[y * width + i % width])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_an_edge_one_pixel_wide_and_thickened() {
        let values: Vec<u8> = (0..20 * 10).map(|i| if i % 20 < 10 { 40 } else { 200 }).collect();
        let thin = canny(&values, 20, 50, 100);
        assert_eq!((0..20).filter(|&x| thin[60 + x]).count(), 1);
        let thick = thickened(&thin, 20, 5);
        assert_eq!((0..20).filter(|&x| thick[60 + x]).count(), 5);
        assert!(canny(&[77; 200], 20, 0, 1).iter().all(|&edge| !edge));
    }

    #[test]
    fn tiny_pictures_have_no_edges() {
        assert_eq!(edges(&[9], 1, None), [false]);
        assert_eq!(edges(&[0, 0], 1, None), [false, false]);
    }
}
