//! `framesift extract`.

use super::engine::EngineOptions;
use super::faces::upright;
use super::options::{SiftOptions, videos};
use super::progress::{Show, Shown, tell_user};
use super::{Ended, Outcome, cancelled, peak_rss_bytes};
use clap::Args;
use framesift::Error;
use framesift::decode::{Decoding, Facts, Reader};
use framesift::faces::FaceAnalyzer;
use framesift::job::log::{self, Log};
use framesift::job::{self, Hooks, Models, pool::Pool};
use framesift::manifest::{Manifest, Options as Choice, PackInfo};
use framesift::sampling::selection::FacesMode;
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
    #[command(flatten)]
    engine: EngineOptions,
    /// How progress is told.
    #[arg(long, value_enum, default_value_t = Show::Auto)]
    progress: Show,
    /// Print one JSON object a video: counts, timings, memory.
    #[arg(long)]
    json: bool,
    /// Go on where an interrupted run stopped, and skip the videos that it has finished.
    #[arg(long)]
    resume: bool,
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
    for (_, folder) in &jobs {
        may_be_written_to(folder, options.resume).map_err(Ended::Usage)?;
    }
    if options.dry_run {
        return plan(&jobs);
    }
    let say = |text: &str| options.progress.say(text);
    let decoding = options.sift.decoding(&say)?;
    let models = options.engine.open(choice.faces != FacesMode::Ignore, &say)?;
    let references = identities("--reference", options.sift.references(), &models, &say)?;
    let avoided = identities("--avoid", options.sift.avoided(), &models, &say)?;
    let mut pool = Pool::new(options.sift.workers(), &models);
    let mut failed = 0;
    for (video, folder) in &jobs {
        match (Sift {
            options,
            choice: &choice,
            decoding,
            models: &models,
            references: &references,
            avoided: &avoided,
            video,
            folder,
        })
        .run(&mut pool)
        {
            Ok(()) => {}
            Err(Error::Cancelled) => {
                if folder.exists() {
                    say(&format!("{} is kept as far as it is scanned: go on with --resume", video.display()));
                }
                return Err(Ended::Cancelled);
            }
            Err(error) => {
                // One bad file does not stop the rest.
                failed += 1;
                say(&format!("{} {error}", video.display()));
            }
        }
    }
    ended(failed, jobs.len())
}

/// Identities of those on photos: of each photo the largest face.
fn identities(flag: &str, photos: &[PathBuf], models: &Models, say: &dyn Fn(&str)) -> Result<Vec<Vec<f32>>, Ended> {
    if photos.is_empty() {
        return Ok(Vec::new());
    }
    let mut analyzer = FaceAnalyzer::new(models.pack.clone(), &models.engine)?;
    let mut identity = |photo: &PathBuf| {
        let told = |what: String| Ended::Failed(format!("{flag} {}: {what}", photo.display()).into());
        let picture = upright(photo).map_err(|e| told(format!("cannot be read as a JPEG or PNG image ({e})")))?;
        let mut faces = analyzer.analyze(&picture)?;
        if faces.len() > 1 {
            say(&format!("{} shows {} faces; the largest is meant", photo.display(), faces.len()));
        }
        faces.truncate(1);
        faces.pop().map(|face| face.embedding).ok_or_else(|| told("no face was found on it".into()))
    };
    photos.iter().map(&mut identity).collect()
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
        match Reader::open(video, Decoding { threads: 1, hardware: None }) {
            Ok(reader) => {
                let Facts { duration_s, width, height, codec, frames, .. } = reader.facts();
                let facts = format!("{width} × {height}, {codec}, {duration_s:.1} s, about {frames} frames");
                writeln!(stdout(), "{} ({facts}) would be written to {}", video.display(), folder.display())?;
            }
            Err(error) => {
                failed += 1;
                tell_user(&format!("framesift: {} {error}", video.display()));
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

/// Whether a folder may be written to; the error says why not.
fn may_be_written_to(folder: &Path, resume: bool) -> Result<(), String> {
    let empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    let (interrupted, done) = (folder.join(log::NAME).exists(), folder.join("manifest.json").exists());
    let folder = folder.display();
    match resume {
        _ if empty => Ok(()),
        true if interrupted || done => Ok(()),
        false if interrupted && !done => {
            Err(format!("the folder {folder} holds an interrupted scan: go on with --resume, or remove it"))
        }
        _ => Err(format!("the folder {folder} must be new or empty, so that nothing is overwritten")),
    }
}

/// Removes what a run writes, and nothing else, from a folder; what cannot be removed is overwritten or left.
fn remove_ours(folder: &Path) {
    let inside = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let has_ending =
        |path: &Path, endings: &[&str]| path.extension().is_some_and(|end| endings.iter().any(|e| end == *e));
    for name in ["scenes.csv", "faces.csv", "coco.json", "data.yaml"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    let mut folders = vec![folder.join("frames"), folder.join("faces")];
    let parts = inside(folder).filter(|path| has_ending(path, &["part"]));
    let mut files: Vec<PathBuf> = parts.collect();
    let mut at = 0;
    while at < folders.len() {
        let (below, ours): (Vec<PathBuf>, Vec<PathBuf>) = inside(&folders[at]).partition(|path| path.is_dir());
        folders.extend(below);
        let is_numbered = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.split('_').next().unwrap_or_default();
            name == "metadata.jsonl" || (number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit()))
        };
        files.extend(ours.into_iter().filter(is_numbered));
        at += 1;
    }
    files.iter().for_each(|file| _ = std::fs::remove_file(file));
    // The inner ones first; those that still hold something stay.
    folders.iter().rev().for_each(|folder| _ = std::fs::remove_dir(folder));
}

/// One video's way to its folder.
struct Sift<'a> {
    options: &'a Options,
    choice: &'a Choice,
    decoding: Decoding,
    models: &'a Models,
    references: &'a [Vec<f32>],
    avoided: &'a [Vec<f32>],
    video: &'a Path,
    folder: &'a Path,
}

impl Sift<'_> {
    fn run(&self, pool: &mut Pool) -> framesift::Result<()> {
        if let Some(manifest) = self.done()? {
            self.options.progress.say(&format!("{} was done already", self.video.display()));
            return tell(&manifest, self.folder, self.options.json).map_err(|e| untold(&e));
        }
        // Whether it can be written to shows before an hour of work, not after.
        let made = std::fs::create_dir_all(self.folder);
        made.map_err(|e| Error::Usage(format!("cannot be written to {}: {e}", self.folder.display())))?;
        let goes_on = self.folder.join(log::NAME).exists();
        let done = Log::open(self.folder, self.video, self.choice, self.models).and_then(|mut log| {
            if goes_on {
                // What a run had written that was interrupted while it wrote; the choice is made again.
                remove_ours(self.folder);
            }
            let done = self.scan_and_write(pool, &mut log);
            if done.is_ok() || log.is_empty() { log.remove().and(done) } else { done }
        });
        // What is written is done, whether or not that can be told.
        let done = done.and_then(|manifest| tell(&manifest, self.folder, self.options.json).map_err(|e| untold(&e)));
        if done.is_err() {
            // Succeeds where nothing was written.
            let _ = std::fs::remove_dir(self.folder);
        }
        done
    }

    /// What an earlier run has made of this video, if it has finished it. An error where it had other options.
    fn done(&self) -> framesift::Result<Option<Manifest>> {
        let path = self.folder.join("manifest.json");
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        let told =
            |what: &str| Error::Usage(format!("cannot be resumed: {} is {what}. Name another folder", path.display()));
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|e| told(&format!("no manifest of ours ({e})")))?;
        let name = self.video.file_name().unwrap_or(self.video.as_os_str()).to_string_lossy();
        if manifest.video.name != name {
            return Err(told(&format!("that of {}", manifest.video.name)));
        }
        let size = std::fs::metadata(self.video).ok().map(|facts| facts.len());
        if manifest.video.size_bytes.is_some_and(|then| Some(then) != size) {
            return Err(told("that of another video of this name, or the video has changed since"));
        }
        let pack = PackInfo::from(&self.models.pack.spec);
        if self.choice.faces != FacesMode::Ignore && manifest.pack != pack {
            return Err(told(&format!("the result of other models ({})", manifest.pack.name)));
        }
        // How the work was shared out makes no difference.
        let done = Choice { batch: self.choice.batch, workers: self.choice.workers, ..manifest.options.clone() };
        if done != *self.choice {
            return Err(told("the result of other options"));
        }
        // Killed between the last two steps.
        let _ = std::fs::remove_file(self.folder.join(log::NAME));
        Ok(Some(manifest))
    }

    fn scan_and_write(&self, pool: &mut Pool, log: &mut Log) -> framesift::Result<Manifest> {
        let shown = Shown::new(self.options.progress, &self.video.display().to_string());
        let hooks = Hooks {
            progress: &|progress| shown.update(progress),
            say: &|text| shown.say(text),
            cancelled: cancelled(),
        };
        let mut scanned = job::scan(self.video, self.choice, self.decoding, pool, Some(log), &hooks)?;
        scanned.look_for(self.references.to_vec());
        scanned.avoid(self.avoided.to_vec());
        scanned.write(self.folder, self.choice, self.models, self.options.sift.workers(), &hooks)
    }
}

fn untold(error: &std::io::Error) -> Error {
    Error::Usage(format!("was done, which cannot be told: {error}"))
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
