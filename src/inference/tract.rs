//! Networks that are more than one region: tract knows the shapes, and runs what is float.

mod op;

use super::int8::planned::PlannedRegion;
use super::int8::region::Region;
use super::proto::ModelProto;
use crate::error::{Error, Result, inference};
use ndarray::ArrayD;
use prost::Message;
use std::sync::Arc;
use tract_onnx::prelude::*;

/// A network in tract's hands, for one input shape.
pub struct Tract(Arc<TypedRunnableModel>);

impl Tract {
    /// Compiles what is left of a file, with the regions as operators.
    pub fn new(proto: &ModelProto, regions: &[Arc<Region>], input_shape: &[usize]) -> Result<Self> {
        // The files declare a symbolic batch; what counts is the shape asked for.
        let mut onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        op::register(&mut onnx);
        let plan = caught(|| {
            let mut model = {
                let theirs = tract_onnx::pb::ModelProto::decode(proto.encode_to_vec().as_slice())?;
                onnx.model_for_proto_model(&theirs)?
            };
            op::insert(&mut model, regions)?;
            model.with_input_fact(0, f32::fact(input_shape).into())?.into_optimized()?.into_runnable()
        })?;
        Ok(Self(plan))
    }

    /// The regions in it.
    pub fn regions(&self) -> Vec<&PlannedRegion> {
        let nodes = self.0.model().nodes().iter();
        nodes.filter_map(|node| node.op_as::<op::RegionOp>()).map(|region| &*region.0).collect()
    }

    /// Runs it; the outputs come in the file's order.
    pub fn run(&self, shape: &[usize], values: &[f32]) -> Result<Vec<ArrayD<f32>>> {
        let tensor = Tensor::from_shape(shape, values).map_err(inference)?;
        let outputs = caught(|| self.0.run(tvec!(tensor.into_tvalue())))?;
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

/// Has tract's kernels register themselves, which native programs do as they start. In
/// wasm nothing runs at the start, and the linker puts a call of all constructors before
/// every exported function, unless the module has a call of its own: this one, made
/// once, makes each call 1.3 µs cheaper, and handing over a frame with its layout 80 µs.
pub fn register_kernels() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }
        // SAFETY: made by the linker, without arguments; it may be called as long as
        // constructors run only once, which `Once` sees to.
        ONCE.call_once(|| unsafe { __wasm_call_ctors() });
    }
}

/// Calls tract. It panics over some float nodes that make no sense (a Transpose with too few
/// axes); where panics unwind, that is an error like any other.
fn caught<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(inference),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Error::Model(format!("a node that tract cannot make sense of ({text})")))
        }
    }
}
