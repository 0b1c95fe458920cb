//! Pooling and what only moves bytes: resize, concatenation, transposition.

use super::geometry::Geometry;
use super::image::Image;
use super::island::Quantization;

/// MaxPool (<https://onnx.ai/onnx/operators/onnx__MaxPool.html>); padding never wins.
pub fn max(g: &Geometry, x: &[u8], from: &Image, y: &mut [u8], to: &Image) {
    windows(g, from, to, |window, at| {
        let y = &mut y[at..at + to.channels];
        y.fill(0);
        for tap in window {
            y.iter_mut().zip(&x[tap..]).for_each(|(y, &x)| *y = (*y).max(x));
        }
    });
}

/// An average over windows, requantized.
#[derive(Clone, Debug)]
pub struct AveragePool {
    /// The windows; `None` for the whole picture.
    pub geometry: Option<Geometry>,
    /// Padding counts as zeros.
    pub count_include_pad: bool,
    /// Quantization of the input.
    pub from: Quantization,
    /// Quantization of the output.
    pub to: Quantization,
}

impl AveragePool {
    /// Averages `x` into `y`; `sums` has as many values as channels. Floats are summed,
    /// as ONNX Runtime does.
    pub fn run(&self, x: &[u8], from: &Image, y: &mut [u8], to: &Image, sums: &mut [f32]) {
        let whole = Geometry { kernel: [from.height, from.width], ..Geometry::POINT };
        let g = self.geometry.as_ref().unwrap_or(&whole);
        let taps = g.kernel[0] * g.kernel[1];
        windows(g, from, to, |window, at| {
            sums.fill(0.0);
            let mut inside = 0;
            for tap in window {
                inside += 1;
                sums.iter_mut().zip(&x[tap..]).for_each(|(sum, &x)| *sum += self.from.dequantize(x));
            }
            let count = if self.count_include_pad { taps } else { inside }.max(1) as f32;
            let y = &mut y[at..at + to.channels];
            y.iter_mut().zip(&*sums).for_each(|(y, &sum)| *y = self.to.quantize(sum / count));
        });
    }
}

/// Calls `f(offsets of the taps inside the picture, offset of the output pixel)`.
fn windows(g: &Geometry, from: &Image, to: &Image, mut f: impl FnMut(&mut dyn Iterator<Item = usize>, usize)) {
    for picture in 0..to.batch {
        for y in 0..to.height {
            for x in 0..to.width {
                let side = |at: usize, i: usize, size: usize| {
                    let (start, step, pad) = (at * g.stride[i], g.dilation[i], g.pad_before[i]);
                    (0..g.kernel[i]).filter_map(move |k| (start + k * step).checked_sub(pad).filter(|&p| p < size))
                };
                let (rows, columns) = (side(y, 0, from.height), || side(x, 1, from.width));
                let mut taps = rows.flat_map(|row| {
                    columns().map(move |column| from.offset(picture, row + from.border, column + from.border))
                });
                f(&mut taps, to.offset(picture, y + to.border, x + to.border));
            }
        }
    }
}

/// Nearest-neighbour Resize (<https://onnx.ai/onnx/operators/onnx__Resize.html>) by
/// whole factors, `floor(y / factor)`.
pub fn enlarge(x: &[u8], from: &Image, y: &mut [u8], to: &Image) {
    let (pixel, factor) = (to.channels, [to.height / from.height, to.width / from.width]);
    for (index, row) in to.rows().enumerate() {
        let (picture, line) = (index / to.height, index % to.height / factor[0]);
        let start = from.offset(picture, line + from.border, from.border);
        let x = &x[start..start + from.width * pixel];
        for (y, x) in y[row].chunks_exact_mut(pixel * factor[1]).zip(x.chunks_exact(pixel)) {
            y.chunks_exact_mut(pixel).for_each(|y| y.copy_from_slice(x));
        }
    }
}

/// Copies the pixels of `x` into channels `first..` of `y`, through a table if the
/// quantizations differ.
pub fn into_channels(x: &[u8], from: &Image, y: &mut [u8], to: &Image, first: usize, table: Option<&[u8; 256]>) {
    for (x_row, y_row) in from.rows().zip(to.rows()) {
        let pixels = y[y_row].chunks_exact_mut(to.channels).zip(x[x_row].chunks_exact(from.channels));
        for (y, x) in pixels {
            let y = &mut y[first..first + from.channels];
            match table {
                None => y.copy_from_slice(x),
                Some(table) => y.iter_mut().zip(x).for_each(|(y, &x)| *y = table[usize::from(x)]),
            }
        }
    }
}

/// Looks every byte up.
pub fn look_up(table: &[u8; 256], x: &[u8], from: &Image, y: &mut [u8], to: &Image) {
    for (x_row, y_row) in from.rows().zip(to.rows()) {
        y[y_row].iter_mut().zip(&x[x_row]).for_each(|(y, &x)| *y = table[usize::from(x)]);
    }
}

/// Copies bytes in another order: `axes` are the output's, the slowest first, each with its length and
/// its step in `x`.
pub fn gather(x: &[u8], axes: &[(usize, usize)], y: &mut [u8]) {
    match axes {
        [] => y[0] = x[0],
        &[(length, 1)] => y.copy_from_slice(&x[..length]),
        &[(_, step)] => y.iter_mut().zip(x.iter().step_by(step)).for_each(|(y, &x)| *y = x),
        &[(length, step), ref inner @ ..] => {
            let size = y.len() / length;
            y.chunks_exact_mut(size).enumerate().for_each(|(i, y)| gather(&x[i * step..], inner, y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathering_reads_by_the_steps() {
        let x: Vec<u8> = (0..240).map(|i| i as u8).collect();
        for axes in [
            vec![],
            vec![(7, 1)],
            vec![(5, 9)],
            vec![(4, 60), (5, 12), (12, 1)],
            vec![(3, 4), (20, 12), (4, 1)],
            vec![(12, 1), (4, 60), (5, 12)],
        ] {
            let count = axes.iter().map(|axis| axis.0).product();
            let mut y = vec![0; count];
            gather(&x, &axes, &mut y);
            let offset = |mut i: usize| {
                axes.iter()
                    .rev()
                    .map(|&(length, step)| {
                        let at = i % length;
                        i /= length;
                        at * step
                    })
                    .sum::<usize>()
            };
            assert_eq!(y, (0..count).map(|i| x[offset(i)]).collect::<Vec<_>>(), "{axes:?}");
        }
    }
}
