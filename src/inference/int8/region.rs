//! A quantized region: the part of a network between floats and floats, as a list of
//! steps over bytes. Weights are packed once; what depends on the input's shape is a
//! [`super::plan::Plan`].

use super::conv::Conv;
use super::float_conv::FloatConv;
use super::geometry::Geometry;
use super::island::{Island, IslandOutput, Quantization};
use super::pool::AveragePool;
use crate::error::Result;

/// What a step computes.
#[derive(Clone, Debug)]
pub enum Op {
    /// Float arithmetic that ends in bytes; QuantizeLinear is its simplest form.
    Island(Island),
    /// DequantizeLinear of a whole tensor, or a function of it: bytes to the region's float outputs.
    Dequantize {
        /// Of the bytes.
        from: Quantization,
        /// The logistic function of the values instead of them.
        sigmoid: bool,
    },
    /// QLinearConv, QGemm and QLinearMatMul.
    Conv {
        /// Packed.
        conv: Box<Conv>,
        /// Over the last axis instead of pictures.
        dense: bool,
        /// Writes floats.
        floats: bool,
        /// Zero point of the input.
        x_zero: u8,
    },
    /// Conv or ConvTranspose in float.
    FloatConv(FloatConv),
    /// A function of one byte.
    Table(Box<[u8; 256]>),
    /// MaxPool.
    MaxPool(Geometry),
    /// QLinearAveragePool and QLinearGlobalAveragePool.
    AveragePool(AveragePool),
    /// Nearest Resize by whole factors.
    Resize(ResizeTo),
    /// Concatenation.
    Concat {
        /// Negative ones count from the last.
        axis: i64,
        /// For each input whose quantization differs from the output's.
        tables: Vec<Option<Box<[u8; 256]>>>,
    },
    /// Transpose.
    Transpose(Vec<usize>),
    /// Reshape as ONNX writes it: 0 keeps a dimension, −1 is what is left.
    Reshape(Vec<i64>),
    /// Flatten from this axis on.
    Flatten(i64),
    /// Hands bytes to a later region, as the region's output.
    Export,
    /// Takes bytes from an earlier region, from the region's input.
    Import,
    /// Writes floats to the region's output, in ONNX's order.
    ExportFloats,
    /// Takes floats in ONNX's order from the region's input.
    ImportFloats,
}

impl Op {
    /// Whether it makes floats that stay in the region.
    pub fn makes_floats(&self) -> bool {
        match self {
            Self::FloatConv(_) | Self::ImportFloats => true,
            Self::Island(island) => island.output == IslandOutput::Floats,
            _ => false,
        }
    }
}

/// How a Resize states its result.
#[derive(Clone, Debug)]
pub enum ResizeTo {
    /// Factors of height and width.
    Factors([usize; 2]),
    /// Height and width.
    Size([usize; 2]),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// The node it comes from, for messages.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Positions of its inputs in [`Region::values`].
    pub inputs: Vec<usize>,
    /// Position of its output.
    pub output: usize,
}

/// The steps of a region, in order.
#[derive(Clone, Debug, Default)]
pub struct Region {
    /// Names of all values.
    pub values: Vec<String>,
    /// Values that come from outside: floats, or bytes of another region.
    pub inputs: Vec<usize>,
    /// Values that are used outside.
    pub outputs: Vec<usize>,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Region {
    /// Bytes of packed weights and tables.
    pub fn bytes(&self) -> usize {
        let of = |step: &Step| match &step.op {
            Op::Conv { conv, .. } => conv.bytes(),
            Op::FloatConv(conv) => conv.bytes(),
            Op::Table(_) => 256,
            _ => 0,
        };
        self.steps.iter().map(of).sum()
    }

    /// Whether an input or output is bytes between two regions.
    pub fn is_wire(&self, value: usize) -> bool {
        self.steps.iter().any(|s| match s.op {
            Op::Export => s.output == value,
            Op::Import => s.inputs[0] == value,
            _ => false,
        })
    }

    /// Shapes of the outputs for inputs of these shapes.
    pub fn output_shapes(&self, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        let shapes = super::plan::shapes(self, inputs)?;
        Ok(self.outputs.iter().map(|&o| shapes[o].clone()).collect())
    }
}
