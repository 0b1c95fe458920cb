//! ONNX Runtime, loaded from a library at run time: neither building nor starting needs it.
//!
//! Networks run there on the GPU, and to compare with ours.

use crate::error::{Error, Result, inference};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use ort::ep::{CUDA, cuda::ConvAlgorithmSearch};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// Environment variables that may name the library, in this order.
pub const LIBRARY_VARIABLES: [&str; 2] = ["FRAMESIFT_ORT_LIB", "ORT_DYLIB_PATH"];

/// What to do where there is none.
pub const INSTALL: &str = "install it with `pip install onnxruntime` (or onnxruntime-gpu), or name libonnxruntime.so \
                           with --ort-lib or in FRAMESIFT_ORT_LIB";

/// A loaded ONNX Runtime. A process keeps the first one that it has loaded.
pub struct OnnxRuntime {
    environment: ort::environment::Environment,
    library: PathBuf,
}

/// What networks run on in ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// So many CPU threads.
    Cpu(usize),
    /// An NVIDIA GPU; what it cannot run, the CPU does.
    Cuda,
}

/// A network in ONNX Runtime.
pub struct OnnxRuntimeNetwork {
    session: Session,
}

impl OnnxRuntime {
    /// Loads `library`, or the first that [`find_library`] finds.
    pub fn load(library: Option<&Path>) -> Result<Self> {
        let library = match library {
            Some(path) => path.to_path_buf(),
            None => find_library().ok_or_else(|| Error::Inference(format!("ONNX Runtime was not found; {INSTALL}")))?,
        };
        // Relative paths would be looked up beside the program.
        let library = library.canonicalize().map_err(|e| Error::Inference(format!("{}: {e}", library.display())))?;
        let builder = ort::init_from(&library).map_err(|e| Error::Inference(format!("ONNX Runtime: {e}")))?;
        let environment = builder.with_telemetry(false).build().map_err(inference)?;
        Ok(Self { environment, library })
    }

    /// The library's file.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Reads an ONNX file. An error where the provider does not open: nothing falls back silently.
    pub fn network(&self, file: &[u8], provider: Provider) -> Result<OnnxRuntimeNetwork> {
        let threads = match provider {
            Provider::Cpu(threads) => threads,
            Provider::Cuda => {
                static ONCE: Once = Once::new();
                ONCE.call_once(|| load_cuda_packages(&self.library));
                1
            }
        };
        let session = Session::builder(&self.environment)
            .and_then(|b| Ok(b.with_optimization_level(GraphOptimizationLevel::All)?))
            .and_then(|b| Ok(b.with_intra_threads(threads)?))
            .and_then(|b| match provider {
                Provider::Cpu(_) => Ok(b),
                Provider::Cuda => {
                    // Trying all algorithms takes seconds for every shape; TF32 has ten bits of fraction, and faces
                    // would be described differently than on a CPU.
                    let cuda =
                        CUDA::default().with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic).with_tf32(false);
                    Ok(b.with_execution_providers([cuda.build().error_on_failure()])?)
                }
            })
            .and_then(|mut b| b.commit_from_memory(file))
            .map_err(inference)?;
        Ok(OnnxRuntimeNetwork { session })
    }

    /// Whether a provider really opens here: runs a network of one node on it.
    pub fn try_provider(&self, provider: Provider) -> Result<()> {
        let mut network = self.network(&one_node(), provider)?;
        let input = ArrayD::zeros(vec![1, 3, 4, 4]);
        network.run(input.view()).map(|_| ())
    }

    /// Version of the library, as its file's name says, or the first thing that it says of its build.
    pub fn version(&self) -> &str {
        let name = self.library.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split_once(".so.")
            .map_or_else(|| ort::info().split(',').next().unwrap_or_default(), |(_, version)| version)
    }
}

/// Loads CUDA's libraries where they are Python packages beside the one that `library` is in
/// (`pip install onnxruntime-gpu[cuda,cudnn]`): the system would not look for them there. Where that fails, the CUDA
/// provider says what it lacks.
fn load_cuda_packages(library: &Path) {
    let Some(packages) = library.ancestors().nth(3).map(|packages| packages.join("nvidia")) else { return };
    let inside = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = inside(&packages).flat_map(|package| inside(&package.join("lib")).collect::<Vec<_>>());
    let is_library = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
    let mut files: Vec<PathBuf> = files.filter(is_library).collect();
    // Some need others first: again while that helps.
    loop {
        let before = files.len();
        files.retain(|file| ort::util::preload_dylib(file).is_err());
        if files.len() == before || files.is_empty() {
            return;
        }
    }
}

/// A model that doubles its input.
fn one_node() -> Vec<u8> {
    use crate::inference::proto as pb;
    use prost::Message;
    let value = |name: &str| pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor { elem_type: 1, shape: None })),
        }),
    };
    let node = pb::NodeProto {
        op_type: "Add".into(),
        input: vec!["x".into(), "x".into()],
        output: vec!["y".into()],
        ..pb::NodeProto::default()
    };
    let graph = pb::GraphProto {
        name: "probe".into(),
        node: vec![node],
        input: vec![value("x")],
        output: vec![value("y")],
        ..pb::GraphProto::default()
    };
    let model = pb::ModelProto {
        ir_version: 7,
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: 13 }],
        graph: Some(graph),
        ..pb::ModelProto::default()
    };
    model.encode_to_vec()
}

impl OnnxRuntimeNetwork {
    /// Whether it takes several inputs at once.
    pub fn takes_batches(&self) -> bool {
        let shape = self.session.inputs().first().and_then(|input| input.dtype().tensor_shape());
        shape.is_some_and(|shape| shape.first().is_some_and(|&side| side < 0))
    }

    /// Runs one input; the outputs come in the file's order.
    pub fn run(&mut self, input: ArrayViewD<'_, f32>) -> Result<Vec<ArrayD<f32>>> {
        let input = input.as_standard_layout();
        let values = input.as_slice().ok_or_else(|| Error::Inference("input that is not dense".into()))?;
        let tensor = TensorRef::from_array_view((input.shape(), values)).map_err(inference)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(inference)?;
        let array = |value: &ort::value::DynValue| {
            let (shape, values) = value.try_extract_tensor::<f32>().map_err(inference)?;
            let shape: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
            ArrayD::from_shape_vec(IxDyn(&shape), values.to_vec()).map_err(inference)
        };
        (0..outputs.len()).map(|i| array(&outputs[i])).collect()
    }
}

/// The library that the environment names (whether it is there or not), or that of the `onnxruntime` package of the
/// first Python on the PATH.
pub fn find_library() -> Option<PathBuf> {
    let named = LIBRARY_VARIABLES.iter().find_map(std::env::var_os).map(PathBuf::from);
    named.or_else(|| {
        // The package itself is not imported, which would load the library and takes a second.
        const LOCATE: &str = "import importlib.util as u; s = u.find_spec('onnxruntime'); print(s.origin if s else '')";
        let output = Command::new("python3").args(["-c", LOCATE]).output().ok()?;
        let origin = String::from_utf8(output.stdout).ok()?;
        in_package(Path::new(origin.trim()).parent()?)
    })
}

/// The library in the folder of a Python package `onnxruntime`.
fn in_package(package: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(package.join("capi")).ok()?.flatten().map(|entry| entry.path());
    files.into_iter().find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libonnxruntime.so") || name.starts_with("libonnxruntime.") && name.ends_with(".dylib")
    })
}
