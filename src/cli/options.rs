//! The flags that several subcommands share.

use clap::Args;
use framesift::dataset::Dataset;
use framesift::decode::Decoding;
use framesift::decode::hardware::{self, Hardware};
use framesift::manifest::{Folders, Options};
use framesift::sampling::Detector;
use framesift::sampling::scenes::Sensitivity;
use framesift::sampling::selection::FacesMode;
use framesift::still::{Crops, Format, QUALITY};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// Most threads that are used without being asked for.
const USUAL_THREADS: usize = 4;

/// How scenes are found.
#[derive(Args, Clone)]
pub struct SceneOptions {
    /// How scenes are found: `default` is framesift's own detector, the others are PySceneDetect's.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = detector_parser())]
    detector: Detector,
    /// How much a change must stand out for framesift's own detector: low, normal or high.
    #[arg(long, value_name = "LEVEL", default_value = "normal", value_parser = by_name::<Sensitivity>)]
    sensitivity: Sensitivity,
    /// Threads of the decoder.
    #[arg(long, value_name = "N", default_value_t = usual_threads(), value_parser = threads_parser())]
    decoder_threads: u16,
    /// Decoders in hardware: `auto` takes the first that opens.
    #[arg(long, value_enum, value_name = "KIND", default_value = "none")]
    hwaccel: Hwaccel,
}

/// Which decoders in hardware.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Hwaccel {
    /// None: FFmpeg's own decoders.
    None,
    /// The first that opens.
    Auto,
    /// NVIDIA's.
    Cuda,
    /// Intel's and AMD's under Linux.
    Vaapi,
}

/// What is kept, and how it is found.
#[derive(Args, Clone)]
pub struct SiftOptions {
    /// Most frames to keep; fewer where the video has less to show.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    budget: u32,
    /// How faces count: `prefer` good ones, `require` one in every frame, or `ignore` them, which is much faster.
    #[arg(long, value_name = "MODE", default_value = "prefer", value_parser = by_name::<FacesMode>)]
    faces: FacesMode,
    /// Frames at least this alike count as the same; 1 is identical, 0 unrelated.
    #[arg(long, value_name = "X", default_value_t = 0.8, value_parser = share)]
    similarity: f32,
    /// Smallest face that counts: the longer side of its box in pixels.
    #[arg(long, value_name = "PX", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    min_face: u32,
    /// Keep only frames with these people: photos of them. May be given several times.
    #[arg(long, value_name = "IMAGE")]
    reference: Vec<PathBuf>,
    /// Keep no frame with these people: photos of them. May be given several times.
    #[arg(long, value_name = "IMAGE")]
    avoid: Vec<PathBuf>,
    /// Write identity vectors (biometric data) to the manifest.
    #[arg(long)]
    embeddings: bool,
    /// Format of the files: jpg, png or webp.
    #[arg(long, value_name = "FORMAT", default_value = "jpg", value_parser = by_name::<Format>)]
    format: Format,
    /// Quality of JPEG and WebP files, 1 to 100; faces get 3 more.
    #[arg(long, value_name = "N", default_value_t = QUALITY, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// Longer side of the frames that are written, at most; faces are cut out of the whole frame.
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(16..=65_535))]
    max_side: Option<u32>,
    /// How faces are cut out: `loose` with a margin, `arcface112` or `ffhq512` aligned, or `none`.
    #[arg(long, value_name = "KIND", default_value = "loose", value_parser = by_name::<Crops>)]
    crops: Crops,
    /// How the files are sorted into folders: flat, scene or person.
    #[arg(long, value_name = "KIND", default_value = "flat", value_parser = by_name::<Folders>)]
    folders: Folders,
    /// How frames are called, after a template: {index}, {time}, {scene}, {person}, {video}; as in "{video}_{index}".
    #[arg(long, value_name = "TEMPLATE", default_value = "", hide_default_value = true, value_parser = names)]
    names: String,
    /// Files for other tools: imagefolder, coco, yolo, csv, contact (sheets of small pictures). May be given several times.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = by_name::<Dataset>)]
    also: Vec<Dataset>,
    /// How often it is recorded where a scan is, for --resume: after so many frames.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    batch: u32,
    /// Threads that look for faces and write files.
    #[arg(long, value_name = "N", default_value_t = usual_threads(), value_parser = threads_parser())]
    workers: u16,
    #[command(flatten)]
    scenes: SceneOptions,
}

fn names(template: &str) -> Result<String, String> {
    framesift::naming::check(template).map(|()| template.to_string()).map_err(|e| e.to_string())
}

impl SceneOptions {
    /// For scenes alone.
    pub fn options(&self) -> Result<Options, String> {
        if self.detector != Detector::Default && self.sensitivity != Sensitivity::Normal {
            return Err("--sensitivity is for the default detector".into());
        }
        Ok(Options {
            detector: self.detector.clone(),
            sensitivity: self.sensitivity,
            faces: FacesMode::Ignore,
            ..Options::default()
        })
    }

    /// How videos are decoded. `say` tells why `auto` finds nothing.
    pub fn decoding(&self, say: &dyn Fn(&str)) -> framesift::Result<Decoding> {
        let hardware = match self.hwaccel {
            Hwaccel::None => None,
            Hwaccel::Cuda => Hardware::Cuda.check().map(|()| Some(Hardware::Cuda))?,
            Hwaccel::Vaapi => Hardware::Vaapi.check().map(|()| Some(Hardware::Vaapi))?,
            Hwaccel::Auto => {
                let tried = hardware::ALL.map(|hardware| (hardware, hardware.check()));
                let opens = tried.iter().find(|(_, opens)| opens.is_ok()).map(|&(hardware, _)| hardware);
                if opens.is_none() {
                    let reasons: Vec<String> =
                        tried.into_iter().filter_map(|(_, opens)| Some(opens.err()?.to_string())).collect();
                    say(&format!("decoding in software: {}", reasons.join(", ")));
                }
                opens
            }
        };
        Ok(Decoding { threads: usize::from(self.decoder_threads), hardware })
    }
}

impl SiftOptions {
    /// As the manifest states them.
    pub fn options(&self) -> Result<Options, String> {
        let looks = self.faces != FacesMode::Ignore;
        if !looks && !self.reference.is_empty() {
            return Err("--reference needs faces: leave --faces ignore out".into());
        }
        if !looks && !self.avoid.is_empty() {
            return Err("--avoid needs faces: leave --faces ignore out".into());
        }
        let name = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Options {
            budget: self.budget as usize,
            batch: self.batch as usize,
            workers: usize::from(self.workers),
            similarity: self.similarity,
            faces: if self.reference.is_empty() { self.faces } else { FacesMode::Require },
            format: self.format,
            quality: self.quality,
            max_side_px: self.max_side,
            crops: self.crops,
            folders: self.folders,
            names: self.names.clone(),
            also: self.also.clone(),
            reference: self.reference.iter().map(name).collect(),
            avoid: self.avoid.iter().map(name).collect(),
            min_face_px: self.min_face as f32,
            embeddings: self.embeddings,
            ..self.scenes.options()?
        })
    }

    /// Photos of those who are looked for.
    pub fn references(&self) -> &[PathBuf] {
        &self.reference
    }

    /// Photos of those with whom no frame is kept.
    pub fn avoided(&self) -> &[PathBuf] {
        &self.avoid
    }

    /// How many threads look for faces and write files.
    pub fn workers(&self) -> usize {
        usize::from(self.workers)
    }

    /// See [`SceneOptions::decoding`].
    pub fn decoding(&self, say: &dyn Fn(&str)) -> framesift::Result<Decoding> {
        self.scenes.decoding(say)
    }
}

fn usual_threads() -> u16 {
    available_parallelism().map_or(1, |cores| cores.get().min(USUAL_THREADS)) as u16
}

fn threads_parser() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=256)
}

/// A value by the name that it has in the manifest.
fn by_name<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|e| e.to_string())
}

fn detector_parser() -> impl clap::builder::TypedValueParser<Value = Detector> {
    use clap::builder::TypedValueParser;
    let names = ["default", "content", "adaptive", "hash", "hist", "threshold"];
    clap::builder::PossibleValuesParser::new(names)
        .try_map(|name| serde_json::from_value::<Detector>(serde_json::json!({ "name": name })))
}

fn share(text: &str) -> Result<f32, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| format!("{text:?}: expected a number from 0 to 1"))
}

/// What a pattern matches, for shells that leave them alone; anything else is itself.
fn matching(input: &Path) -> Result<Vec<PathBuf>, String> {
    let pattern = input.to_str().filter(|text| !input.exists() && text.contains(['*', '?', '[']));
    let Some(pattern) = pattern else { return Ok(vec![input.to_path_buf()]) };
    let found = glob::glob(pattern).map_err(|e| format!("{pattern}: {e}"))?;
    let found: Vec<PathBuf> = found.flatten().collect();
    if found.is_empty() { Err(format!("nothing matches {pattern}")) } else { Ok(found) }
}

/// Names of files that are taken for videos in a folder.
const VIDEO_ENDINGS: [&str; 21] = [
    "3gp", "avi", "flv", "hevc", "h264", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts",
    "vob", "webm", "wmv", "y4m", "265",
];

/// The videos that inputs name: files as they are, those that a pattern like `*.mp4` matches, and of folders
/// the videos in them, by name.
pub fn videos(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut videos = Vec::new();
    let matched = inputs.iter().map(|input| matching(input)).collect::<Result<Vec<_>, _>>()?;
    for input in matched.iter().flatten() {
        if !input.is_dir() {
            videos.push(input.clone());
            continue;
        }
        let entries = std::fs::read_dir(input).map_err(|e| format!("cannot read {}: {e}", input.display()))?;
        let is_video = |path: &Path| {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            path.is_file() && ending.is_some_and(|ending| VIDEO_ENDINGS.contains(&ending.as_str()))
        };
        let mut found: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| is_video(p)).collect();
        if found.is_empty() {
            return Err(format!("the folder {} holds no video (by the ends of the names)", input.display()));
        }
        found.sort();
        videos.append(&mut found);
    }
    Ok(videos)
}
