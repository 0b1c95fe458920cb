//! Networks on a GPU, in ONNX Runtime.
//!
//! There, convolutions are prepared for one shape, which takes seconds for a network, and ONNX Runtime begins again
//! whenever an input has another shape than the last one (its issue 23006: since 1.20).
//! So every shape has a network of its own, the first side of all shapes is the same, and all threads share the
//! networks.

use super::onnxruntime::{OnnxRuntime, OnnxRuntimeNetwork, Provider};
use crate::error::Result;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice};
use std::sync::{Arc, Mutex, PoisonError};

/// Inputs that a GPU is given at once: enough to keep it busy, and a bounded share of its memory.
pub const AT_ONCE: usize = 8;
/// Networks that are kept. A video needs three (pictures, faces, the second look); videos of other shapes follow.
const MOST_NETWORKS: usize = 6;

/// The networks of all threads.
pub struct Gpu {
    runtime: Arc<OnnxRuntime>,
    provider: Provider,
    /// With how many inputs they take at once.
    files: Mutex<Vec<(Arc<Vec<u8>>, usize)>>,
    /// Most recently used last.
    networks: Mutex<Vec<Shaped>>,
}

/// A network for one shape.
struct Shaped {
    file: Arc<Vec<u8>>,
    /// Without the first side.
    shape: Vec<usize>,
    network: Arc<Mutex<OnnxRuntimeNetwork>>,
}

/// A network for all shapes.
pub struct GpuNetwork {
    gpu: Arc<Gpu>,
    file: Arc<Vec<u8>>,
    at_once: usize,
}

impl Gpu {
    /// For a GPU's provider.
    pub fn new(runtime: Arc<OnnxRuntime>, provider: Provider) -> Self {
        Self { runtime, provider, files: Mutex::default(), networks: Mutex::default() }
    }

    /// What runs them.
    pub fn runtime(&self) -> &OnnxRuntime {
        &self.runtime
    }

    /// Reads an ONNX file.
    pub fn load(self: &Arc<Self>, file: Vec<u8>) -> Result<GpuNetwork> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known = files.iter().find(|(known, _)| **known == file).cloned();
        let (file, at_once) = match known {
            Some(known) => known,
            None => {
                // What its input is does not need the GPU.
                let takes_batches = self.runtime.network(&file, Provider::Cpu(1))?.takes_batches();
                let added = (Arc::new(file), if takes_batches { AT_ONCE } else { 1 });
                files.push(added.clone());
                added
            }
        };
        Ok(GpuNetwork { gpu: Arc::clone(self), file, at_once })
    }

    /// The network of a file for a shape.
    fn network(&self, file: &Arc<Vec<u8>>, shape: &[usize]) -> Result<Arc<Mutex<OnnxRuntimeNetwork>>> {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = networks.iter().position(|known| Arc::ptr_eq(&known.file, file) && known.shape == shape);
        let shaped = match known {
            Some(position) => networks.remove(position),
            None => {
                let network = Arc::new(Mutex::new(self.runtime.network(file, self.provider)?));
                Shaped { file: Arc::clone(file), shape: shape.to_vec(), network }
            }
        };
        let network = Arc::clone(&shaped.network);
        if networks.len() >= MOST_NETWORKS {
            networks.remove(0);
        }
        networks.push(shaped);
        Ok(network)
    }
}

impl GpuNetwork {
    /// Inputs of a run.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// Runs at most as many inputs as it takes at once; the outputs come in the file's order.
    pub fn run(&self, inputs: ArrayViewD<'_, f32>) -> Result<Vec<ArrayD<f32>>> {
        let network = self.gpu.network(&self.file, &inputs.shape()[1..])?;
        let mut network = network.lock().unwrap_or_else(PoisonError::into_inner);
        let given = inputs.len_of(Axis(0));
        if given == self.at_once {
            return network.run(inputs);
        }
        // Zeros stand for those that are missing.
        let mut shape = inputs.shape().to_vec();
        shape[0] = self.at_once;
        let mut all = ArrayD::zeros(shape);
        all.slice_axis_mut(Axis(0), Slice::from(..given)).assign(&inputs);
        let outputs = network.run(all.view())?;
        Ok(outputs.into_iter().map(|output| output.slice_axis(Axis(0), Slice::from(..given)).to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    /// Any provider shows it: parts of a batch, several shapes in turns, and two threads' networks of one file.
    #[test]
    fn batches_of_all_sizes_and_shapes() {
        let runtime = match OnnxRuntime::load(None) {
            Ok(runtime) => Arc::new(runtime),
            Err(reason) => {
                println!("skipped: {reason}");
                return;
            }
        };
        let gpu = Arc::new(Gpu::new(Arc::clone(&runtime), Provider::Cpu(1)));
        let file = include_bytes!("../../models/centerface.int8.onnx").to_vec();
        let (one, other) = (gpu.load(file.clone()).expect("loads"), gpu.load(file.clone()).expect("loads"));
        let mut alone = runtime.network(&file, Provider::Cpu(1)).expect("loads");
        for (count, side) in [(1, 32), (3, 64), (AT_ONCE, 32), (2, 64)] {
            let inputs =
                Array4::from_shape_fn((count, 3, side, side), |(n, c, y, x)| (n * 90 + c * 50 + y * x % 200) as f32);
            let inputs = inputs.into_dyn();
            let expected = alone.run(inputs.view()).expect("runs");
            for network in [&one, &other] {
                assert!(network.run(inputs.view()).expect("runs") == expected, "{count} of {side} px");
            }
        }
        assert_eq!(gpu.networks.lock().expect("is free").len(), 2);
        assert_eq!(gpu.files.lock().expect("is free").len(), 1);
    }
}
