//! `framesift doctor`.

use super::engine::gpu_driver_is_there;
use super::{OnnxRuntimeOptions, Outcome};
use clap::Args;
use framesift::decode::{self, hardware};
use framesift::faces::pack::Pack;
use framesift::inference::Model;
use framesift::inference::int8::kernels::Isa;
use framesift::inference::onnxruntime::Provider;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::thread::available_parallelism;

#[derive(Args)]
pub struct Options {
    /// ONNX files to look into as well: which of their quantized nodes would run in float, and why.
    #[arg(value_name = "FILE")]
    models: Vec<PathBuf>,
    #[command(flatten)]
    onnxruntime: OnnxRuntimeOptions,
}

pub fn run(options: &Options) -> Outcome {
    line("framesift", env!("CARGO_PKG_VERSION"));
    let threads = available_parallelism().map_or(1, |threads| threads.get());
    line("processor", &format!("{threads} threads"));
    let kernels: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
    line("INT8 kernels", &format!("{} (tried and exact here: {})", Isa::best().name(), kernels.join("; ")));
    decoding();

    let pack = Pack::built_in()?;
    let spec = &pack.spec;
    line(
        "model pack",
        &format!("{} ({}, {}), built in, files as pack.toml says", spec.name, spec.precision, spec.license),
    );
    in_float(&spec.detector.file, &pack.detector)?;
    in_float(&spec.embedder.file, &pack.embedder)?;
    for path in &options.models {
        let file = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        in_float(&path.display().to_string(), &file)?;
    }
    onnxruntime(&options.onnxruntime);
    Ok(())
}

fn line(what: &str, text: &str) {
    // Nobody may be reading any more, as behind `| head`.
    let _ = writeln!(stdout(), "{what:<14}{text}");
}

/// FFmpeg, the codecs that it lacks, and hardware.
fn decoding() {
    line("FFmpeg", &decode::ffmpeg_version());
    let (known, lacking): (Vec<_>, Vec<_>) = decode::usual_codecs().into_iter().partition(|(_, known)| *known);
    let names = |codecs: Vec<(&str, bool)>| codecs.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    line("", &format!("decodes {}", names(known)));
    if !lacking.is_empty() {
        line("", &format!("does not decode {}: on Debian, libavcodec-extra has more", names(lacking)));
    }
    for hardware in hardware::ALL {
        match hardware.check() {
            Ok(()) => line("", &format!("{} opens: use it with --hwaccel {0}", hardware.name())),
            Err(error) => line("", &format!("no decoding in hardware: {error}")),
        }
    }
}

/// ONNX Runtime, and which of its providers really open.
fn onnxruntime(options: &OnnxRuntimeOptions) {
    let runtime = match options.load() {
        Ok(runtime) => runtime,
        Err(error) => return line("ONNX Runtime", &format!("none ({error})")),
    };
    line("ONNX Runtime", &format!("{} in {}", runtime.version(), runtime.library().display()));
    match runtime.try_provider(Provider::Cpu(1)) {
        Ok(()) => line("", "its CPU provider opens: use it with --engine onnxruntime"),
        Err(error) => line("", &format!("its CPU provider does not open: {error}")),
    }
    match runtime.try_provider(Provider::Cuda) {
        Ok(()) => line("", "its CUDA provider opens: --device auto takes it"),
        Err(error) => {
            line("", &format!("its CUDA provider does not open: {error}"));
            match gpu_driver_is_there() {
                true => line(
                    "",
                    "for the GPU: pip install 'onnxruntime-gpu[cuda,cudnn]', which brings CUDA's libraries with it",
                ),
                false => line("", "there is no NVIDIA driver, which a GPU would need first"),
            }
        }
    }
}

/// Tells which quantized nodes of a file run in float.
fn in_float(name: &str, file: &[u8]) -> framesift::Result<()> {
    let model = Model::from_onnx(file)?;
    match model.in_float() {
        [] => line("", &format!("{name}: every quantized node runs in INT8")),
        nodes => {
            line("", &format!("{name}: {} quantized nodes run in float, which is slower:", nodes.len()));
            nodes.iter().for_each(|node| line("", &format!("  {node}")));
        }
    }
    Ok(())
}
