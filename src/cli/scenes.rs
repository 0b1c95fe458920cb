//! `framesift scenes`.

use super::options::SceneOptions;
use super::progress::{Show, Shown};
use super::{Ended, Outcome, cancelled};
use clap::Args;
use framesift::Error;
use framesift::faces::pack::Pack;
use framesift::inference::Engine;
use framesift::job::{self, Hooks, Models};
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// The video.
    #[arg(value_name = "VIDEO")]
    video: PathBuf,
    #[command(flatten)]
    scenes: SceneOptions,
    /// How progress is told.
    #[arg(long, value_enum, default_value_t = Show::Auto)]
    progress: Show,
    /// Print the scenes as the manifest has them, with their transitions, instead of PySceneDetect's table.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Outcome {
    let choice = options.scenes.options().map_err(Ended::Usage)?;
    if !options.video.exists() {
        return Err(Ended::Usage(format!("there is no file {}", options.video.display())));
    }
    let decoding = options.scenes.decoding(&|text| options.progress.say(text))?;
    let name = options.video.display().to_string();
    let models = Models { pack: Pack::built_in()?, engine: Engine::default() };
    let manifest = {
        let shown = Shown::new(options.progress, &name);
        let hooks = Hooks {
            progress: &|progress| shown.update(progress),
            say: &|text| shown.say(text),
            cancelled: cancelled(),
        };
        let scanned = job::scenes(&options.video, &choice, decoding, &hooks);
        scanned.and_then(|mut scanned| scanned.manifest(&choice, &models)).map_err(|error| match error {
            Error::Cancelled => Ended::Cancelled,
            error => Ended::Failed(format!("{name} {error}").into()),
        })?
    };
    manifest.video.notes.iter().for_each(|note| options.progress.say(&format!("note: {note}")));
    match options.json {
        true => writeln!(stdout(), "{}", serde_json::to_string_pretty(&manifest.scenes)?)?,
        false => write!(stdout(), "{}", manifest.scenes_csv())?,
    }
    Ok(())
}
