//! Running the networks of a model pack.
//!
//! [`Network`] is all the rest of the crate knows: named float tensors in, float
//! tensors out. Behind it, tract parses the ONNX file and runs what is float,
//! and [`int8`] runs the quantized convolutions.

pub mod int8;

use crate::error::{Error, Result, inference};
use ndarray::{ArrayD, ArrayViewD};
use std::sync::Arc;
use tract_onnx::prelude::*;

/// A network compiled for one input shape.
pub struct Network {
    plan: Arc<TypedRunnableModel>,
    input_shape: Vec<usize>,
}

impl Network {
    /// Compiles an ONNX file for inputs of `input_shape` (NCHW). The file's
    /// bytes are not kept.
    pub fn from_onnx(mut file: &[u8], input_shape: &[usize]) -> Result<Self> {
        // The files declare a symbolic batch; what counts is the shape asked for.
        let mut onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        int8::qlinear_conv::register(&mut onnx);
        let mut proto = onnx.proto_model_for_read(&mut file).map_err(inference)?;
        if let Some(graph) = &mut proto.graph {
            int8::fuse::fuse_activations(graph);
        }
        let plan = onnx
            .model_for_proto_model(&proto)
            .and_then(|m| m.with_input_fact(0, f32::fact(input_shape).into()))
            .and_then(|m| m.into_optimized())
            .and_then(|m| m.into_runnable())
            .map_err(inference)?;
        Ok(Self { plan, input_shape: input_shape.to_vec() })
    }

    /// The input shape it was compiled for.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// Runs one input; the outputs come in the file's order.
    pub fn run(&self, input: ArrayViewD<'_, f32>) -> Result<Vec<ArrayD<f32>>> {
        if input.shape() != self.input_shape {
            return Err(Error::Inference(format!("input of {:?}, expected {:?}", input.shape(), self.input_shape)));
        }
        let values: Vec<f32> = input.iter().copied().collect();
        let tensor = Tensor::from_shape(&self.input_shape, &values).map_err(inference)?;
        let outputs = self.plan.run(tvec!(tensor.into_tvalue())).map_err(inference)?;
        outputs
            .iter()
            .map(|t| {
                let view = t.to_plain_array_view::<f32>().map_err(inference)?;
                let shape = view.shape().to_vec();
                ArrayD::from_shape_vec(shape, view.iter().copied().collect()).map_err(inference)
            })
            .collect()
    }
}
