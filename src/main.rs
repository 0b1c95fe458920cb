//! The command `framesift`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
