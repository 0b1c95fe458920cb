//! `framesift doctor`.

use super::{OnnxRuntimeOptions, Outcome};
use clap::Args;
use framesift::faces::pack::Pack;
use framesift::inference::Model;
use framesift::inference::int8::kernels::Isa;
use framesift::inference::onnxruntime::OnnxRuntime;
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// ONNX files to look into as well: which of their quantized nodes would run in float, and why.
    #[arg(value_name = "FILE")]
    models: Vec<PathBuf>,
    #[command(flatten)]
    onnxruntime: OnnxRuntimeOptions,
}

pub fn run(options: &Options) -> Outcome {
    let line = |what: &str, text: &str| println!("{what:<14}{text}");
    line("framesift", env!("CARGO_PKG_VERSION"));
    let kernels: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
    line("INT8 kernels", &format!("{} (tried and exact here: {})", Isa::best().name(), kernels.join("; ")));

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

    match OnnxRuntime::load(options.onnxruntime.library.as_deref()) {
        Ok(runtime) => line("ONNX Runtime", &runtime.library().display().to_string()),
        Err(error) => line("ONNX Runtime", &format!("none ({error})")),
    }
    Ok(())
}

/// Tells which quantized nodes of a file run in float.
fn in_float(name: &str, file: &[u8]) -> framesift::Result<()> {
    let model = Model::from_onnx(file)?;
    match model.in_float() {
        [] => println!("{:<14}{name}: every quantized node runs in INT8", ""),
        nodes => {
            println!("{:<14}{name}: {} quantized nodes run in float, which is slower:", "", nodes.len());
            nodes.iter().for_each(|node| println!("{:<16}{node}", ""));
        }
    }
    Ok(())
}
