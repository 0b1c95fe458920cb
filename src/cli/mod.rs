//! The command line: one file per subcommand.
//!
//! ```text
//! extract  from videos to folders of frames and faces
//! scenes   the scenes of a video
//! faces    the faces in images
//! bench    the networks in our INT8 kernels, in FP32 and in ONNX Runtime
//! doctor   what this machine has, and what to install for the rest
//!
//! man      the manual as man pages; completions: for shells
//!
//! options  the flags that several of them share; engine: those for the models; config: where else they may be
//! set; progress: what is told meanwhile
//! ```

mod bench;
mod config;
mod doctor;
mod engine;
mod extract;
mod faces;
mod man;
mod options;
mod progress;
mod scenes;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// A varied, sharp set of stills of the people in a video.
#[derive(Parser)]
#[command(name = "framesift", version, arg_required_else_help = true)]
struct Cli {
    /// TOML file of options by their long names, such as `budget = 300`. Without it: $FRAMESIFT_CONFIG, then
    /// ~/.config/framesift/config.toml. The command line and variables like $FRAMESIFT_BUDGET go first.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Picks frames and faces from videos and writes them with a manifest.
    Extract(Box<extract::Options>),
    /// Prints the scenes of a video.
    Scenes(scenes::Options),
    /// Prints the faces in images, a JSON object a line.
    Faces(faces::Options),
    /// Times networks on this machine: our INT8 kernels, FP32 and ONNX Runtime, one thread each.
    Bench(bench::Options),
    /// Says what this machine has and what to install for the rest.
    Doctor(doctor::Options),
    /// Prints the completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Writes the manual as man pages.
    Man(man::Options),
}

/// Where ONNX Runtime is.
#[derive(Args, Clone)]
struct OnnxRuntimeOptions {
    /// ONNX Runtime's library (libonnxruntime.so). Without it: $FRAMESIFT_ORT_LIB, $ORT_DYLIB_PATH, then the
    /// `onnxruntime` package of the python3 on the PATH.
    #[arg(long = "ort-lib", value_name = "FILE")]
    library: Option<PathBuf>,
}

/// How a subcommand ends where it does not succeed.
enum Ended {
    /// Told to do what makes no sense: what, and how it is done.
    Usage(String),
    /// What went wrong.
    Failed(Box<dyn std::error::Error>),
    /// It went wrong, and that has been said.
    Told,
    /// Stopped by the user.
    Cancelled,
}

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a subcommand ends with.
type Outcome = Result<(), Ended>;

/// Set by Ctrl-C or a request to terminate: the job ends at the next frame.
fn cancelled() -> &'static AtomicBool {
    static CANCELLED: AtomicBool = AtomicBool::new(false);
    &CANCELLED
}

/// Most memory that this process has had at once, in bytes, where the system says so.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kib.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// Runs the command line. 0: done; 1: failed; 2: bad usage; 130: cancelled.
pub fn run() -> ExitCode {
    let command = config::with_environment(Cli::command());
    let cli = match config::with_file(&command, std::env::args_os().collect()) {
        Ok(arguments) => command.try_get_matches_from(arguments).and_then(|found| Cli::from_arg_matches(&found)),
        Err(text) => return bad_usage(text),
    };
    let cli = cli.unwrap_or_else(|error| error.exit());
    // The others have nothing to tidy up. Without a handler a job ends at once, which loses no more.
    let tidies = matches!(cli.command, Command::Extract(_) | Command::Scenes(_));
    let _ = tidies.then(|| {
        ctrlc::set_handler(|| {
            if cancelled().swap(true, Ordering::Relaxed) {
                // The second time, whatever it is doing.
                std::process::exit(130);
            }
        })
    });
    let outcome = match cli.command {
        Command::Extract(options) => extract::run(&options),
        Command::Scenes(options) => scenes::run(&options),
        Command::Faces(options) => faces::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut config::with_environment(Cli::command()),
                "framesift",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::Man(options) => man::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended::Usage(text)) => bad_usage(text),
        Err(Ended::Failed(error)) => {
            progress::tell_user(&format!("framesift: {error}"));
            ExitCode::from(1)
        }
        Err(Ended::Told) => ExitCode::from(1),
        Err(Ended::Cancelled) => {
            progress::tell_user("framesift: cancelled");
            ExitCode::from(130)
        }
    }
}

fn bad_usage(text: String) -> ExitCode {
    // Where even that cannot be printed, the status says it.
    let _ = Cli::command().error(clap::error::ErrorKind::ValueValidation, text).print();
    ExitCode::from(2)
}
