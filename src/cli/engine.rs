//! Which models run on what.

use super::{Ended, OnnxRuntimeOptions};
use clap::{Args, ValueEnum};
use framesift::faces::pack::Pack;
use framesift::inference::onnxruntime::{OnnxRuntime, Provider};
use framesift::inference::{Engine, Precision};
use framesift::job::Models;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the networks run on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    /// An NVIDIA GPU where there is one and ONNX Runtime opens it, otherwise the CPU.
    Auto,
    /// An NVIDIA GPU, through ONNX Runtime; an error where it does not open.
    Cuda,
    /// The CPU.
    Cpu,
}

/// What computes on the CPU.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CpuEngine {
    /// framesift's own INT8 kernels, and tract for FP32.
    Own,
    /// ONNX Runtime.
    Onnxruntime,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Numbers {
    Int8,
    Fp32,
}

/// Which models run on what.
#[derive(Args, Clone)]
pub struct EngineOptions {
    /// What the networks run on.
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "auto")]
    device: Device,
    /// What computes on the CPU.
    #[arg(long, value_enum, value_name = "ENGINE", default_value = "own")]
    engine: CpuEngine,
    /// Numbers to compute with. Without it: the pack's on the CPU, fp32 on a GPU. With fp32 an INT8 pack's weights
    /// become floats.
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<Numbers>,
    /// Model pack: the built-in one by its name, or a folder with a pack.toml.
    #[arg(long, value_name = "NAME|DIR")]
    pack: Option<PathBuf>,
    #[command(flatten)]
    onnxruntime: OnnxRuntimeOptions,
}

impl EngineOptions {
    /// Opens the pack and what it runs on. `wanted`: whether networks will run at all. `say` tells why
    /// it is not the GPU.
    pub fn open(&self, wanted: bool, say: &dyn Fn(&str)) -> Result<Models, Ended> {
        let mut pack = self.pack()?;
        let engine = if wanted { self.engine(&pack, say)? } else { Engine::default() };
        if engine.precision() == Precision::Fp32 {
            pack.spec.precision = Precision::Fp32.name().into();
        }
        Ok(Models { pack, engine })
    }

    fn pack(&self) -> Result<Pack, Ended> {
        let built_in = Pack::built_in()?;
        match &self.pack {
            None => Ok(built_in),
            Some(name) if name == Path::new(&built_in.spec.name) => Ok(built_in),
            Some(folder) if folder.is_dir() => Ok(Pack::open(folder)?),
            Some(name) => Err(Ended::Usage(format!(
                "--pack {}: there is no such folder, and the built-in pack is called {}",
                name.display(),
                built_in.spec.name
            ))),
        }
    }

    fn engine(&self, pack: &Pack, say: &dyn Fn(&str)) -> Result<Engine, Ended> {
        let quantized = pack.spec.precision == Precision::Int8.name();
        if self.precision == Some(Numbers::Int8) {
            if !quantized {
                return Err(Ended::Usage("--precision int8: this pack's networks are not quantized".into()));
            }
            if self.device == Device::Cuda {
                return Err(Ended::Usage("--precision int8 is for the CPU; a GPU computes in fp32".into()));
            }
        }
        if self.device != Device::Cpu && self.precision != Some(Numbers::Int8) {
            match self.cuda() {
                Ok(engine) => return Ok(engine),
                Err(reason) if self.device == Device::Cuda => {
                    return Err(Ended::Failed(format!("--device cuda: {reason}. `framesift doctor` says more").into()));
                }
                Err(reason) => say(&format!("running on the CPU: {reason}")),
            }
        }
        let precision = match self.precision {
            Some(Numbers::Fp32) => Precision::Fp32,
            Some(Numbers::Int8) => Precision::Int8,
            None if quantized => Precision::Int8,
            None => Precision::Fp32,
        };
        Ok(match self.engine {
            CpuEngine::Own => Engine::own(precision),
            // The workers are threads of their own.
            CpuEngine::Onnxruntime => {
                Engine::onnxruntime(Arc::new(self.onnxruntime.load()?), Provider::Cpu(1), precision)
            }
        })
    }

    /// The GPU, or why not.
    fn cuda(&self) -> Result<Engine, String> {
        if !gpu_driver_is_there() {
            return Err("there is no NVIDIA driver".into());
        }
        let runtime = self.onnxruntime.load().map_err(|e| e.to_string())?;
        runtime.try_provider(Provider::Cuda).map_err(|e| e.to_string())?;
        Ok(Engine::onnxruntime(Arc::new(runtime), Provider::Cuda, Precision::Fp32))
    }
}

impl OnnxRuntimeOptions {
    /// Loads the library.
    pub fn load(&self) -> framesift::Result<OnnxRuntime> {
        OnnxRuntime::load(self.library.as_deref())
    }
}

/// Whether an NVIDIA driver shows itself, on Linux or in its Windows subsystem.
pub fn gpu_driver_is_there() -> bool {
    ["/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"].iter().any(|path| Path::new(path).exists())
}
