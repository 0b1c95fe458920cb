//! What runs a pack's networks.

use super::{Model, Network};
use crate::error::{Error, Result, inference};
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use serde::{Deserialize, Serialize};
#[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
use {
    super::gpu::{AT_ONCE, Gpu, GpuNetwork},
    super::onnxruntime::{OnnxRuntime, OnnxRuntimeNetwork, Provider},
    std::sync::Arc,
};

/// Numbers that networks compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Bytes, as quantized files say.
    #[default]
    Int8,
    /// Floats; of quantized files the weights become floats.
    Fp32,
}

impl Precision {
    /// As in `pack.toml` and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Fp32 => "fp32",
        }
    }
}

/// What runs networks. The default: our INT8 kernels.
#[derive(Clone, Default)]
pub struct Engine {
    precision: Precision,
    #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
    onnxruntime: Option<Place>,
}

/// Where ONNX Runtime computes.
#[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
#[derive(Clone)]
enum Place {
    /// With so many threads a network.
    Cpu(Arc<OnnxRuntime>, usize),
    Gpu(Arc<Gpu>),
}

/// Networks compiled for one shape that are kept. A video needs three (pictures, faces, the second look);
/// videos of other shapes follow.
const MOST_NETWORKS: usize = 4;
/// A network in an engine, for batches of any shape.
pub struct Runner(Kind);

enum Kind {
    /// Networks by the shape of one input, most recently used last.
    Own { model: Box<Model>, networks: Vec<Network> },
    #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
    OnnxRuntime(OnnxRuntimeNetwork),
    #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
    Gpu(GpuNetwork),
}

impl Engine {
    /// Our kernels for INT8, tract for FP32.
    pub fn own(precision: Precision) -> Self {
        Self {
            precision,
            #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
            onnxruntime: None,
        }
    }

    /// ONNX Runtime.
    #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
    pub fn onnxruntime(runtime: Arc<OnnxRuntime>, provider: Provider, precision: Precision) -> Self {
        let place = match provider {
            Provider::Cpu(threads) => Place::Cpu(runtime, threads),
            Provider::Cuda => Place::Gpu(Arc::new(Gpu::new(runtime, provider))),
        };
        Self { precision, onnxruntime: Some(place) }
    }

    /// What it computes with.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Its name for manifests.
    pub fn name(&self) -> String {
        #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
        if let Some(place) = &self.onnxruntime {
            let (device, runtime) = match place {
                Place::Cpu(runtime, _) => ("cpu", runtime.version()),
                Place::Gpu(gpu) => ("cuda", gpu.runtime().version()),
            };
            return format!("{device} (ONNX Runtime {runtime}, {})", self.precision.name());
        }
        match self.precision {
            Precision::Int8 => format!("cpu ({} INT8 kernels)", super::int8::kernels::Isa::best().name()),
            Precision::Fp32 => "cpu (tract, fp32)".into(),
        }
    }

    /// How many pictures at once it is best given.
    pub fn batch(&self) -> usize {
        #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
        if matches!(self.onnxruntime, Some(Place::Gpu(_))) {
            return AT_ONCE;
        }
        1
    }

    /// Reads an ONNX file.
    pub fn load(&self, file: &[u8]) -> Result<Runner> {
        #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
        if let Some(place) = &self.onnxruntime {
            let file = match self.precision {
                Precision::Int8 => file.to_vec(),
                Precision::Fp32 => super::fp32_file(file)?,
            };
            return Ok(Runner(match place {
                Place::Cpu(runtime, threads) => Kind::OnnxRuntime(runtime.network(&file, Provider::Cpu(*threads))?),
                Place::Gpu(gpu) => Kind::Gpu(gpu.load(file)?),
            }));
        }
        let model = match self.precision {
            Precision::Int8 => Model::from_onnx(file)?,
            Precision::Fp32 => Model::in_fp32(file)?,
        };
        Ok(Runner(Kind::Own { model: Box::new(model), networks: Vec::new() }))
    }
}

impl Runner {
    /// Quantized nodes that run in float in our engine, and why.
    pub fn in_float(&self) -> &[String] {
        match &self.0 {
            Kind::Own { model, .. } => model.in_float(),
            #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
            Kind::OnnxRuntime(_) | Kind::Gpu(_) => &[],
        }
    }

    /// Runs a batch (N × C × H × W); the outputs come in the file's order, N of each.
    pub fn run(&mut self, batch: ArrayViewD<'_, f32>) -> Result<Vec<ArrayD<f32>>> {
        match &mut self.0 {
            // One after the other: our kernels fill a core with one input.
            Kind::Own { model, networks } => in_parts(batch, 1, |input| run_own(model, networks, input)),
            #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
            Kind::OnnxRuntime(network) => {
                let at_once = if network.takes_batches() { AT_ONCE } else { 1 };
                in_parts(batch, at_once, |input| network.run(input))
            }
            #[cfg(all(feature = "onnxruntime", not(target_arch = "wasm32")))]
            Kind::Gpu(network) => in_parts(batch, network.at_once(), |inputs| network.run(inputs)),
        }
    }
}

fn run_own(model: &Model, networks: &mut Vec<Network>, input: ArrayViewD<'_, f32>) -> Result<Vec<ArrayD<f32>>> {
    let network = match networks.iter().position(|network| network.input_shape() == input.shape()) {
        Some(position) => networks.remove(position),
        None => model.network(input.shape())?,
    };
    if networks.len() >= MOST_NETWORKS {
        networks.remove(0);
    }
    networks.push(network);
    networks[networks.len() - 1].run(input)
}

/// Runs at most so many inputs at once, and joins what comes out.
fn in_parts(
    batch: ArrayViewD<'_, f32>,
    at_once: usize,
    mut run: impl FnMut(ArrayViewD<'_, f32>) -> Result<Vec<ArrayD<f32>>>,
) -> Result<Vec<ArrayD<f32>>> {
    if batch.is_empty() {
        return Err(Error::Inference("an empty batch".into()));
    }
    if batch.len_of(Axis(0)) <= at_once {
        return run(batch);
    }
    let parts: Vec<Vec<ArrayD<f32>>> = batch.axis_chunks_iter(Axis(0), at_once).map(run).collect::<Result<_>>()?;
    let outputs = 0..parts.first().map_or(0, Vec::len);
    let joined = |i: usize| {
        let parts: Vec<ArrayViewD<'_, f32>> = parts.iter().map(|part| part[i].view()).collect();
        concatenate(Axis(0), &parts).map_err(inference)
    };
    outputs.map(joined).collect()
}
