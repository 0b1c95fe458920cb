//! Where the bytes of an activation lie.

use crate::error::{Error, Result};

/// NHWC bytes with a border of zero points around each picture, so that convolutions
/// read their padding like any other pixel.
///
/// Values without pictures are images too: a matrix of N × C is N images of 1 × 1 × C,
/// and any other shape is one row, in ONNX's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pictures.
    pub batch: usize,
    /// Rows of a picture without its border.
    pub height: usize,
    /// Pixels of a row without the border.
    pub width: usize,
    /// Bytes of a pixel.
    pub channels: usize,
    /// Pixels on each side.
    pub border: usize,
}

/// Most bytes that one activation may take: what a model file cannot make us allocate.
const MOST_BYTES: usize = 1 << 28;

impl Image {
    /// Without a border; an error for sizes that no machine should be asked for.
    pub fn new(batch: usize, height: usize, width: usize, channels: usize) -> Result<Self> {
        Self { batch, height, width, channels, border: 0 }.with_border(0)
    }

    /// The same with a border at least this wide.
    pub fn with_border(mut self, border: usize) -> Result<Self> {
        self.border = self.border.max(border);
        let side = |inner: usize| border.checked_mul(2).and_then(|b| b.checked_add(inner));
        let bytes = side(self.height)
            .zip(side(self.width))
            .and_then(|(h, w)| h.checked_mul(w)?.checked_mul(self.channels)?.checked_mul(self.batch));
        match bytes {
            Some(bytes) if bytes <= MOST_BYTES => Ok(self),
            _ => Err(Error::Inference(format!(
                "an activation of {} × {} × {} × {} with a border of {border} is more than {MOST_BYTES} bytes",
                self.batch, self.channels, self.height, self.width
            ))),
        }
    }

    /// Bytes of a row with its border.
    pub fn row_bytes(&self) -> usize {
        (self.width + 2 * self.border) * self.channels
    }

    /// Bytes of a picture with its border.
    pub fn plane_bytes(&self) -> usize {
        (self.height + 2 * self.border) * self.row_bytes()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.batch * self.plane_bytes()
    }

    /// Values of all, the border not counted.
    pub fn values(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Offset of a pixel's first byte; (0, 0) is the border's corner.
    pub fn offset(&self, picture: usize, y: usize, x: usize) -> usize {
        picture * self.plane_bytes() + y * self.row_bytes() + x * self.channels
    }

    /// Where the rows without border are.
    pub fn rows(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        (0..self.batch).flat_map(move |n| {
            (0..self.height).map(move |y| {
                let start = self.offset(n, y + self.border, self.border);
                start..start + self.width * self.channels
            })
        })
    }

    /// Writes `value` into the border.
    pub fn fill_border<T: Copy>(&self, bytes: &mut [T], value: T) {
        let (edge, row) = (self.border * self.channels, self.row_bytes());
        if edge == 0 {
            return;
        }
        for plane in bytes[..self.bytes()].chunks_exact_mut(self.plane_bytes()) {
            let (above, rest) = plane.split_at_mut(self.border * row);
            let (inside, below) = rest.split_at_mut(self.height * row);
            above.fill(value);
            below.fill(value);
            for row in inside.chunks_exact_mut(row) {
                let end = row.len() - edge;
                row[..edge].fill(value);
                row[end..].fill(value);
            }
        }
    }
}
