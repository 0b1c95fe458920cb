//! `framesift extract`.

use super::options::{SiftOptions, videos};
use super::progress::{Show, Shown};
use super::{Ended, Outcome, cancelled, peak_rss_bytes};
use clap::Args;
use framesift::Error;
use framesift::decode::{Facts, Reader};
use framesift::faces::pack::Pack;
use framesift::job::{self, Hooks, pool::Pool};
use framesift::manifest::{Manifest, Options as Choice};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Options {
    /// Videos, or folders of them.
    #[arg(value_name = "VIDEO", required = true)]
    videos: Vec<PathBuf>,
    /// Folder to write to; it must be new or empty. With several videos, each gets a folder of its own in it.
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    sift: SiftOptions,
    /// How progress is told.
    #[arg(long, value_enum, default_value_t = Show::Auto)]
    progress: Show,
    /// Print one JSON object a video: counts, timings, memory.
    #[arg(long)]
    json: bool,
    /// Only say what would be done: open the videos, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub fn run(options: &Options) -> Outcome {
    let choice = options.sift.options().map_err(Ended::Usage)?;
    let videos = videos(&options.videos).map_err(Ended::Usage)?;
    if let Some(missing) = videos.iter().find(|video| !video.exists()) {
        return Err(Ended::Usage(format!("there is no file {}", missing.display())));
    }
    let jobs = folders(&videos, &options.out);
    if let Some(folder) = jobs.iter().map(|(_, folder)| folder).find(|folder| !is_new_or_empty(folder)) {
        let why = "must be new or empty, so that nothing is overwritten";
        return Err(Ended::Usage(format!("the folder {} {why}", folder.display())));
    }
    if options.dry_run {
        return plan(&jobs);
    }
    let pack = Pack::built_in()?;
    let mut pool = Pool::new(options.sift.threads().workers, &pack);
    let mut failed = 0;
    for (video, folder) in &jobs {
        // Whether it can be written to shows before an hour of work, not after.
        let made = std::fs::create_dir_all(folder);
        let made = made.map_err(|e| Error::Usage(format!("cannot be written to {}: {e}", folder.display())));
        let done = made.and_then(|()| sift(video, folder, options, &choice, &pack, &mut pool));
        if done.is_err() {
            // Succeeds where nothing was written.
            let _ = std::fs::remove_dir(folder);
        }
        match done {
            Ok(()) => {}
            Err(Error::Cancelled) => return Err(Ended::Cancelled),
            Err(error) => {
                // One bad file does not stop the rest.
                failed += 1;
                eprintln!("framesift: {} {error}", video.display());
            }
        }
    }
    ended(failed, jobs.len())
}

fn ended(failed: usize, of: usize) -> Outcome {
    match failed {
        0 => Ok(()),
        _ if of == 1 => Err(Ended::Told),
        _ => Err(Ended::Failed(format!("{failed} of {of} videos failed").into())),
    }
}

/// Tells what would be read and where it would be written.
fn plan(jobs: &[(PathBuf, PathBuf)]) -> Outcome {
    let mut failed = 0;
    for (video, folder) in jobs {
        match Reader::open(video, 1) {
            Ok(reader) => {
                let Facts { duration_s, width, height, codec, frames, .. } = reader.facts();
                let facts = format!("{width} × {height}, {codec}, {duration_s:.1} s, about {frames} frames");
                writeln!(stdout(), "{} ({facts}) would be written to {}", video.display(), folder.display())?;
            }
            Err(error) => {
                failed += 1;
                eprintln!("framesift: {} {error}", video.display());
            }
        }
    }
    ended(failed, jobs.len())
}

/// Which folder each video is written to.
fn folders(videos: &[PathBuf], out: &Path) -> Vec<(PathBuf, PathBuf)> {
    if let [video] = videos {
        return vec![(video.clone(), out.to_path_buf())];
    }
    let mut used = BTreeSet::new();
    let mut folder = |video: &PathBuf| {
        let name = video.file_stem().unwrap_or(video.as_os_str()).to_string_lossy().into_owned();
        // Names that are taken get numbers.
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| used.insert(name.clone()));
        out.join(free.unwrap_or(name))
    };
    videos.iter().map(|video| (video.clone(), folder(video))).collect()
}

fn is_new_or_empty(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn sift(
    video: &Path,
    folder: &Path,
    options: &Options,
    choice: &Choice,
    pack: &Pack,
    pool: &mut Pool,
) -> framesift::Result<()> {
    let shown = Shown::new(options.progress, &video.display().to_string());
    let hooks = Hooks { progress: &|progress| shown.update(progress), cancelled: cancelled() };
    let mut scanned = job::scan(video, choice, options.sift.threads(), pool, &hooks)?;
    let manifest = scanned.write(folder, choice, pack, pool, &hooks)?;
    drop(shown);
    tell(&manifest, folder, options.json).map_err(|e| Error::Usage(format!("was done, which cannot be told: {e}")))
}

fn tell(manifest: &Manifest, folder: &Path, as_json: bool) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let Manifest { video, frames, scenes, people, rejected, .. } = manifest;
    let faces: usize = frames.iter().map(|frame| frame.faces.len()).sum();
    if as_json {
        let told = json!({
            "out": folder.display().to_string(),
            "frames_expected": video.frames_expected,
            "frames_decoded": video.frames_decoded,
            "frames_missing": video.frames_missing,
            "frames_kept": frames.len(),
            "frames_with_faces": frames.iter().filter(|frame| !frame.faces.is_empty()).count(),
            "faces": faces,
            "people": people.len(),
            "scenes": scenes.len(),
            "candidates": frames.len() + rejected.len(),
            "timings_s": manifest.timings_s,
            "device": manifest.device,
            "notes": video.notes,
            "peak_rss_bytes": peak_rss_bytes(),
        });
        return writeln!(out, "{told}");
    }
    writeln!(
        out,
        "{}: {} of {} frames decoded, {} missing.",
        video.name, video.frames_decoded, video.frames_expected, video.frames_missing
    )?;
    writeln!(
        out,
        "{} frames kept from {} scenes, {faces} faces of {} people.",
        frames.len(),
        scenes.len(),
        people.len()
    )?;
    video.notes.iter().try_for_each(|note| writeln!(out, "Note: {note}"))?;
    writeln!(out, "Written to {}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_videos_get_folders_of_their_own() {
        let videos = ["a/x.mp4", "b/x.mkv", "y.mp4", "x-2.mp4"].map(PathBuf::from);
        let named: Vec<PathBuf> = folders(&videos, Path::new("out")).into_iter().map(|(_, folder)| folder).collect();
        assert_eq!(named, ["out/x", "out/x-2", "out/y", "out/x-2-2"].map(PathBuf::from));
        assert_eq!(folders(&videos[..1], Path::new("out"))[0].1, Path::new("out"));
    }
}
