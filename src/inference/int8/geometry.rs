//! The windows of convolutions and pooling.

use crate::error::{Error, Result};

/// Spatial side of a convolution or a pooling; pairs are (vertical, horizontal).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Kernel size in taps.
    pub kernel: [usize; 2],
    /// Step between output pixels.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Padding before: top, left.
    pub pad_before: [usize; 2],
    /// Padding after: bottom, right.
    pub pad_after: [usize; 2],
}

impl Geometry {
    /// One tap per output pixel.
    pub const POINT: Self =
        Self { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad_before: [0; 2], pad_after: [0; 2] };

    /// Output size for an input of `[height, width]`; an error when the kernel
    /// is larger than the padded input.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        let side = |i: usize| {
            let padded = input[i].checked_add(self.pad_before[i])?.checked_add(self.pad_after[i])?;
            let span = self.kernel[i].checked_sub(1)?.checked_mul(self.dilation[i])?.checked_add(1)?;
            (padded.checked_sub(span)? / self.stride[i].max(1)).checked_add(1)
        };
        match (side(0), side(1)) {
            (Some(h), Some(w)) => Ok([h, w]),
            _ => Err(Error::Inference(format!("a {:?} kernel does not fit an input of {input:?}", self.kernel))),
        }
    }

    /// The border that an input needs.
    pub fn border(&self) -> usize {
        self.pad_before.iter().chain(&self.pad_after).copied().max().unwrap_or(0)
    }
}
