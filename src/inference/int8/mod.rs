//! INT8 execution: our own quantized convolution, plugged into tract.
//!
//! ```text
//! kernels/         integer dot products, one file per instruction set
//! conv             a packed convolution over NHWC bytes
//! qlinear_conv     ONNX QLinearConv as a tract op around it
//! fuse             activations between two convolutions, moved into the first
//! ```

pub mod conv;
pub mod fuse;
pub mod kernels;
pub mod qlinear_conv;
