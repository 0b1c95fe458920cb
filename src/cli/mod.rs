//! The command line: one file per subcommand.
//!
//! ```text
//! bench    the networks in our INT8 kernels, in FP32 and in ONNX Runtime
//! doctor   what this machine has, and what to install for the rest
//! ```

mod bench;
mod doctor;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A varied, sharp set of stills of the people in a video.
#[derive(Parser)]
#[command(name = "framesift", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Times networks on this machine: our INT8 kernels, FP32 and ONNX Runtime, one thread each.
    Bench(bench::Options),
    /// Says what this machine has and what to install for the rest.
    Doctor(doctor::Options),
}

/// Where ONNX Runtime is.
#[derive(Args, Clone)]
struct OnnxRuntimeOptions {
    /// ONNX Runtime's library (libonnxruntime.so). Without it: $FRAMESIFT_ORT_LIB, $ORT_DYLIB_PATH, then the
    /// `onnxruntime` package of the python3 on the PATH.
    #[arg(long = "ort-lib", value_name = "FILE")]
    library: Option<PathBuf>,
}

/// What a subcommand ends with: what it says on standard error where it fails.
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs the command line. 0: done; 1: failed; 2: bad usage.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Doctor(options) => doctor::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("framesift: {error}");
            ExitCode::from(1)
        }
    }
}
