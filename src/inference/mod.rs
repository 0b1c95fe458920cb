//! Running the networks of a model pack.
//!
//! [`Engine`] says what runs them, and [`Runner`] is a network in it, for batches of any shape.
//!
//! Of our own engine, [`Model`] is a file, read and packed once; [`Network`] is a model compiled for one
//! input shape: float tensors in, float tensors out. Behind them, [`int8`] runs the quantized regions,
//! and tract what is float, if anything is. Builds without tract, as those for browsers are, run networks that are one
//! region from input to output.

mod engine;
#[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
mod gpu;
pub mod int8;
#[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
pub mod onnxruntime;
pub mod proto;

pub use engine::{Engine, Precision, Runner};

#[cfg(feature = "tract")]
use crate::error::inference;
use crate::error::{Error, Result};
use int8::compile::{Compiled, compile};
use int8::dequantize::to_float;
use int8::kernels::Isa;
use int8::planned::{Output, PlannedRegion, WholeNetwork, whole_network};
use int8::region::Region;
#[cfg(feature = "tract")]
use int8::tract_op;
use ndarray::{ArrayD, ArrayViewD};
use prost::Message;
use proto::ModelProto;
use std::sync::Arc;
#[cfg(feature = "tract")]
use tract_onnx::prelude::*;

/// A model file, read once, for networks of any input shape.
pub struct Model {
    /// What is left of the file. Weights of the regions are not in it.
    proto: ModelProto,
    regions: Vec<Arc<Region>>,
    /// Where one region is all of it: the network's outputs.
    whole: Option<Vec<Output>>,
    in_float: Vec<String>,
}

/// A network compiled for one input shape.
pub struct Network {
    runs: Runs,
    input_shape: Vec<usize>,
}

/// What runs a network.
enum Runs {
    /// One region, without tract, which would copy input and outputs.
    Region(WholeNetwork),
    #[cfg(feature = "tract")]
    Tract(Arc<TypedRunnableModel>),
}

impl Model {
    /// Reads an ONNX file and packs its quantized weights for this machine. The file's
    /// bytes are not kept.
    pub fn from_onnx(file: &[u8]) -> Result<Self> {
        Self::compiled(Some(Isa::best()), file)
    }

    /// The same for one of the instruction sets that this machine has.
    pub fn for_isa(isa: Isa, file: &[u8]) -> Result<Self> {
        Self::compiled(Some(isa), file)
    }

    /// The same with everything in float under tract, quantized layers too: the values
    /// to compare with.
    pub fn in_float_only(file: &[u8]) -> Result<Self> {
        Self::compiled(None, file)
    }

    /// Reads an ONNX file for FP32 under tract: of a quantized one the weights become floats, and nothing
    /// is rounded between layers.
    pub fn in_fp32(file: &[u8]) -> Result<Self> {
        let mut proto = read(file)?;
        to_float(&mut proto)?;
        Self::from_proto(None, proto)
    }

    fn compiled(isa: Option<Isa>, file: &[u8]) -> Result<Self> {
        Self::from_proto(isa, read(file)?)
    }

    fn from_proto(isa: Option<Isa>, mut proto: ModelProto) -> Result<Self> {
        let graph = proto.graph.take().ok_or_else(|| Error::Model("not an ONNX file: it holds no graph".into()))?;
        let Compiled { graph, regions, in_float } = compile(isa, graph)?;
        let regions: Vec<Arc<Region>> = regions.into_iter().map(Arc::new).collect();
        let whole = whole_network(&graph, &regions);
        proto.graph = Some(graph);
        Ok(Self { proto, regions, whole, in_float })
    }

    /// Compiles the model for inputs of `input_shape` (NCHW).
    pub fn network(&self, input_shape: &[usize]) -> Result<Network> {
        let whole = match (&self.whole, self.regions.first()) {
            (Some(outputs), Some(region)) => WholeNetwork::new(region.clone(), outputs.clone(), input_shape)?,
            _ => None,
        };
        let runs = whole.map_or_else(|| self.under_tract(input_shape), |whole| Ok(Runs::Region(whole)))?;
        Ok(Network { runs, input_shape: input_shape.to_vec() })
    }

    #[cfg(feature = "tract")]
    fn under_tract(&self, input_shape: &[usize]) -> Result<Runs> {
        // The files declare a symbolic batch; what counts is the shape asked for.
        let mut onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        tract_op::register(&mut onnx);
        let plan = caught(|| {
            let mut m = {
                let theirs = tract_onnx::pb::ModelProto::decode(self.proto.encode_to_vec().as_slice())?;
                onnx.model_for_proto_model(&theirs)?
            };
            tract_op::insert(&mut m, &self.regions)?;
            m.with_input_fact(0, f32::fact(input_shape).into())
                .and_then(|m| m.into_optimized())
                .and_then(|m| m.into_runnable())
        })?;
        Ok(Runs::Tract(plan))
    }

    #[cfg(not(feature = "tract"))]
    fn under_tract(&self, _: &[usize]) -> Result<Runs> {
        let nodes = self.proto.graph.iter().flat_map(|graph| &graph.node);
        let float: Vec<&str> =
            nodes.map(|node| node.op_type.as_str()).filter(|&op| op != int8::compile::REGION).collect();
        Err(Error::Model(format!(
            "this build has no tract, and so runs networks that are quantized from input to output: this one has {} quantized \
             parts and {} nodes in float ({})",
            self.regions.len(),
            float.len(),
            float[..float.len().min(5)].join(", ")
        )))
    }

    /// Nodes over quantized values that run in float, and why.
    pub fn in_float(&self) -> &[String] {
        &self.in_float
    }

    /// Bytes of packed INT8 weights.
    pub fn packed_bytes(&self) -> usize {
        self.regions.iter().map(|r| r.bytes()).sum()
    }
}

/// Without tract's own reader, which copies the file first.
fn read(file: &[u8]) -> Result<ModelProto> {
    #[cfg(feature = "tract")]
    register_kernels();
    ModelProto::decode(file).map_err(|e| Error::Model(format!("not an ONNX file, or damaged: {e}")))
}

/// An ONNX file of the same network in FP32, as [`Model::in_fp32`] runs it.
#[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
fn fp32_file(file: &[u8]) -> Result<Vec<u8>> {
    let mut proto = read(file)?;
    to_float(&mut proto)?;
    Ok(proto.encode_to_vec())
}

/// Has tract's kernels register themselves, which native programs do as they start. In
/// wasm nothing runs at the start, and the linker puts a call of all constructors before
/// every exported function, unless the module has a call of its own: this one, made
/// once, makes each call 1.3 µs cheaper, and handing over a frame with its layout 80 µs.
#[cfg(feature = "tract")]
fn register_kernels() {
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
#[cfg(feature = "tract")]
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

impl Network {
    /// The input shape it was compiled for.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// Multiplications with additions that run in INT8.
    pub fn int8_macs(&self) -> u64 {
        self.regions().map(|r| r.plan.macs).sum()
    }

    /// Bytes that the INT8 regions keep for activations between runs.
    pub fn activation_bytes(&self) -> usize {
        self.regions().map(|r| r.activation_bytes()).sum()
    }

    fn regions(&self) -> impl Iterator<Item = &PlannedRegion> {
        let (whole, parts): (Option<&PlannedRegion>, Vec<&PlannedRegion>) = match &self.runs {
            Runs::Region(whole) => (Some(&whole.planned), Vec::new()),
            #[cfg(feature = "tract")]
            Runs::Tract(plan) => {
                let nodes = plan.model().nodes().iter();
                (None, nodes.filter_map(|n| n.op_as::<tract_op::RegionOp>()).map(|r| &*r.0).collect())
            }
        };
        whole.into_iter().chain(parts)
    }

    /// Runs one input; the outputs come in the file's order.
    pub fn run(&self, input: ArrayViewD<'_, f32>) -> Result<Vec<ArrayD<f32>>> {
        if input.shape() != self.input_shape {
            return Err(Error::Inference(format!("input of {:?}, expected {:?}", input.shape(), self.input_shape)));
        }
        let contiguous = input.as_standard_layout();
        let values = contiguous.as_slice().ok_or_else(|| Error::Inference("an input in no order".into()))?;
        match &self.runs {
            Runs::Region(whole) => whole.run(values),
            #[cfg(feature = "tract")]
            Runs::Tract(plan) => run_under_tract(plan, &self.input_shape, values),
        }
    }
}

#[cfg(feature = "tract")]
fn run_under_tract(plan: &Arc<TypedRunnableModel>, shape: &[usize], values: &[f32]) -> Result<Vec<ArrayD<f32>>> {
    let tensor = Tensor::from_shape(shape, values).map_err(inference)?;
    let outputs = caught(|| plan.run(tvec!(tensor.into_tvalue())))?;
    outputs
        .iter()
        .map(|t| {
            let view = t.to_plain_array_view::<f32>().map_err(inference)?;
            let shape = view.shape().to_vec();
            ArrayD::from_shape_vec(shape, view.iter().copied().collect()).map_err(inference)
        })
        .collect()
}
