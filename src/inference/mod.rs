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
// What is float runs under tract, where that is there.
#[cfg(feature = "tract")]
mod tract;
#[cfg(not(feature = "tract"))]
#[path = "no_tract.rs"]
mod tract;

pub use engine::{Engine, Precision, Runner};

use crate::error::{Error, Result};
use int8::compile::{Compiled, compile};
use int8::dequantize::to_float;
use int8::kernels::Isa;
use int8::planned::{Output, PlannedRegion, WholeNetwork, whole_network};
use int8::region::Region;
use ndarray::{ArrayD, ArrayViewD};
use prost::Message;
use proto::ModelProto;
use std::sync::Arc;
use tract::Tract;

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
    /// What is float between regions, or before or after them.
    Tract(Tract),
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
        let runs = match whole {
            Some(whole) => Runs::Region(whole),
            None => Runs::Tract(Tract::new(&self.proto, &self.regions, input_shape)?),
        };
        Ok(Network { runs, input_shape: input_shape.to_vec() })
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
    tract::register_kernels();
    ModelProto::decode(file).map_err(|e| Error::Model(format!("not an ONNX file, or damaged: {e}")))
}

/// An ONNX file of the same network in FP32, as [`Model::in_fp32`] runs it.
#[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
fn fp32_file(file: &[u8]) -> Result<Vec<u8>> {
    let mut proto = read(file)?;
    to_float(&mut proto)?;
    Ok(proto.encode_to_vec())
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
        let (whole, parts) = match &self.runs {
            Runs::Region(whole) => (Some(&whole.planned), Vec::new()),
            Runs::Tract(tract) => (None, tract.regions()),
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
            Runs::Tract(tract) => tract.run(&self.input_shape, values),
        }
    }
}
