//! INT8 execution: the quantized parts of a network run here, as whole regions; tract
//! parses the file, knows the shapes and runs what stays float.
//!
//! ```text
//! onnx         reading the graph, checked
//! qdq          models in QDQ form, turned into operators over quantized values
//! recognize    which nodes become steps …
//! trace        (the float arithmetic between quantized values)
//! in_float     … and what becomes of quantized nodes that do not
//! compile      the graph split into regions and what stays float
//! region       a region's steps, weights packed
//! plan         shapes, layouts, borders and buffers for one input shape
//! execute      a run: floats in, floats out, no allocation
//! planned      a region for one input shape; networks that are nothing but one
//! dequantize   or, for other engines, the whole graph in floats
//!
//! geometry     windows of convolutions and pooling
//! image        NHWC bytes with a border
//! conv         convolutions and dense layers
//! float_conv   thin convolutions that stay float
//! island       float arithmetic between quantized values
//! pool         pooling, resizing, concatenation
//! kernels/     integer dot products, one file per instruction set; 3 × 3 by Winograd
//! ```

pub mod compile;
pub mod conv;
pub mod dequantize;
pub mod execute;
pub mod float_conv;
pub mod geometry;
pub mod image;
pub mod in_float;
pub mod island;
pub mod kernels;
pub mod onnx;
pub mod plan;
pub mod planned;
pub mod pool;
pub mod qdq;
pub mod recognize;
pub mod region;
#[cfg(test)]
mod test_random;
#[cfg(test)]
mod tests;
pub mod trace;
