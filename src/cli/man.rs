//! `framesift man`.

use super::{Cli, Ended, Outcome, config};
use clap::{Args, CommandFactory};
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// Folder to write a page for the command and each subcommand to; it is created.
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
}

pub fn run(options: &Options) -> Outcome {
    let folder = &options.out;
    let cannot_write = |e: std::io::Error| Ended::Failed(format!("cannot write to {}: {e}", folder.display()).into());
    std::fs::create_dir_all(folder).map_err(cannot_write)?;
    clap_mangen::generate_to(config::with_environment(Cli::command()), folder).map_err(cannot_write)
}
