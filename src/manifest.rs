//! `manifest.json`: what was done and what came out. One schema for the page and
//! the command line; `docs/manifest.schema.json` is its JSON Schema.

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::faces::pack::PackSpec;
use crate::faces::{Landmarks, pose::Pose, quality::Flag};
use crate::frame::Transfer;
use crate::naming;
use crate::sampling::Detector;
use crate::sampling::pyscenedetect;
use crate::sampling::scenes::{Sensitivity, TransitionKind};
use crate::sampling::selection::{FacesMode, Reason};
use crate::still::{self, Crops, Format, Place, Stills};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the schema; raised when a field changes its meaning or goes.
pub const SCHEMA: &str = "framesift-manifest/1";

/// Number of the first person whom the user has split from another: above all that are told apart by looks.
pub const FIRST_SPLIT: usize = 1000;

/// Most people that are split, which takes a while each.
const MOST_SPLIT: usize = 200;

/// Smallest frame that is written, by its longer side.
const LEAST_SIDE_PX: u32 = 16;

/// Highest number of a frame or a person that is believed.
const MOST: u64 = 1 << 32;

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote the file.
    pub tool: Tool,
    /// The models used.
    pub pack: PackInfo,
    /// What the models ran on.
    pub device: String,
    /// The input.
    pub video: Video,
    /// The options that led to this result.
    pub options: Options,
    /// Scenes in order; together they cover the video.
    pub scenes: Vec<Scene>,
    /// Kept frames in order.
    pub frames: Vec<KeptFrame>,
    /// Candidates that were not kept.
    pub rejected: Vec<Rejected>,
    /// Who is in the kept frames, by number.
    pub people: Vec<Person>,
    /// Seconds per stage.
    pub timings_s: BTreeMap<String, f64>,
}

/// The program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tool {
    /// `framesift`.
    pub name: String,
    /// Version of the crate.
    pub version: String,
    /// Build variant: `simd128`, `relaxed-simd` or `native`.
    pub build: String,
}

impl Tool {
    /// This build.
    pub fn current() -> Self {
        let build = match (cfg!(target_arch = "wasm32"), cfg!(feature = "relaxed-simd")) {
            (false, _) => "native",
            (true, false) => "simd128",
            (true, true) => "relaxed-simd",
        };
        Self { name: "framesift".into(), version: env!("CARGO_PKG_VERSION").into(), build: build.into() }
    }
}

/// The models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackInfo {
    /// Name of the pack.
    pub name: String,
    /// Name of the detector.
    pub detector: String,
    /// Name of the embedder.
    pub embedder: String,
    /// `int8` or `fp32`.
    pub precision: String,
    /// Licence of the pack.
    pub license: String,
    /// SHA-256 of each file, hexadecimal.
    pub sha256: BTreeMap<String, String>,
}

impl From<&PackSpec> for PackInfo {
    fn from(spec: &PackSpec) -> Self {
        let hashes = [(&spec.detector.file, &spec.detector.sha256), (&spec.embedder.file, &spec.embedder.sha256)];
        Self {
            name: spec.name.clone(),
            detector: spec.detector.name.clone(),
            embedder: spec.embedder.name.clone(),
            precision: spec.precision.clone(),
            license: spec.license.clone(),
            sha256: hashes.into_iter().map(|(file, hash)| (file.clone(), hash.clone())).collect(),
        }
    }
}

/// Facts of the input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Video {
    /// File name.
    pub name: String,
    /// Size of the file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// End of the last frame, in seconds.
    pub duration_s: f64,
    /// Width in pixels as shown (rotation and pixel shape applied).
    pub width: u32,
    /// Height in pixels as shown.
    pub height: u32,
    /// Clockwise rotation that was applied, in degrees.
    pub rotation_deg: u32,
    /// The codec: a string such as `avc1.64001f` from the browser, natively FFmpeg's name such as `h264`.
    pub codec: String,
    /// High dynamic range, and which: stills of it are tone-mapped to sRGB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdr: Option<Transfer>,
    /// Frames that the container lists.
    pub frames_expected: u64,
    /// Frames that were decoded.
    pub frames_decoded: u64,
    /// `frames_expected − frames_decoded`, at least 0.
    pub frames_missing: u64,
    /// What went wrong on the way, in words; empty for a healthy file.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How files are sorted into folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Folders {
    /// All frames in one, all faces in another.
    #[default]
    Flat,
    /// A folder for each scene in both.
    Scene,
    /// A folder for each person; frames go to that of their largest face.
    Person,
}

/// What the user decided by hand, over what is chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edits {
    /// Frames that are kept, as far as they are candidates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<u64>,
    /// Frames that are not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<u64>,
    /// What is said of people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonEdit>,
    /// Numbers of people who are two, one after the other: the smaller part of the faces of the first of them is
    /// person [`FIRST_SPLIT`], of the second the one after that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<usize>,
    /// Numbers of the people whose faces count; empty for everyone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_people: Vec<usize>,
    /// Numbers of the people with whom no frame is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_people: Vec<usize>,
}

/// What the user says of a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonEdit {
    /// The person's number.
    pub id: usize,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person that they really are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<usize>,
}

impl Edits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Who a person really is.
    pub fn really(&self, person: usize) -> usize {
        let mut chain = vec![person];
        loop {
            let now = chain[chain.len() - 1];
            let edit = self.people.iter().find(|edit| edit.id == now);
            match edit.and_then(|edit| edit.same_as) {
                None => return now,
                // Two may point at each other: the first of the circle stands for all of it.
                Some(next) => match chain.iter().position(|&one| one == next) {
                    Some(from) => return chain[from..].iter().copied().min().unwrap_or(now),
                    None => chain.push(next),
                },
            }
        }
    }

    /// A person's name.
    pub fn name(&self, person: usize) -> Option<&str> {
        self.people.iter().find(|edit| edit.id == person)?.name.as_deref()
    }
}

/// What the user may choose. Missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Most frames to keep.
    pub budget: usize,
    /// Frames per batch.
    pub batch: usize,
    /// Face analysis workers.
    pub workers: usize,
    /// How scenes are found.
    pub detector: Detector,
    /// How much a change must stand out for our own detector.
    pub sensitivity: Sensitivity,
    /// Frames at least this similar count as look-alikes, 0–1.
    pub similarity: f32,
    /// How faces count in the choice.
    pub faces: FacesMode,
    /// Smallest face that counts, as the longer side of its box in pixels.
    pub min_face_px: f32,
    /// Faces with one of these flags do not count in the choice.
    pub face_gates: Vec<Flag>,
    /// Whether identity vectors are written.
    pub embeddings: bool,
    /// Format of the files.
    pub format: Format,
    /// Quality of frames in formats with losses, 1–100.
    pub quality: u8,
    /// Longer side of the frames' files in pixels, at most; faces are cut out of the whole frame. All places in the
    /// manifest are in pixels of the video nevertheless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_side_px: Option<u32>,
    /// How faces are cut out.
    pub crops: Crops,
    /// How the files are sorted into folders.
    pub folders: Folders,
    /// How frames are called: see [`crate::naming`]; empty for the usual way.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub names: String,
    /// Files for other tools beside the manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Dataset>,
    /// Names of the photos of those who are looked for; empty for everyone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference: Vec<String>,
    /// Names of the photos of those with whom no frame is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub avoid: Vec<String>,
    /// What the user decided by hand.
    #[serde(skip_serializing_if = "Edits::is_empty")]
    pub edits: Edits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            budget: 500,
            batch: 50,
            workers: 4,
            detector: Detector::Default,
            sensitivity: Sensitivity::Normal,
            similarity: 0.8,
            faces: FacesMode::Prefer,
            min_face_px: 20.0,
            face_gates: vec![Flag::Blurred, Flag::Dark, Flag::Bright],
            embeddings: false,
            format: Format::default(),
            quality: still::QUALITY,
            max_side_px: None,
            crops: Crops::default(),
            folders: Folders::default(),
            names: String::new(),
            also: Vec::new(),
            reference: Vec::new(),
            avoid: Vec::new(),
            edits: Edits::default(),
        }
    }
}

impl Options {
    /// An error naming the first option that is out of its range.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, least: f64, most: f64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(Error::Usage(format!("{name} is {value}, expected {least} to {most}"))),
        };
        within("budget", self.budget as f64, 1.0, 100_000.0)?;
        within("batch", self.batch as f64, 1.0, 500.0)?;
        within("workers", self.workers as f64, 1.0, 256.0)?;
        within("similarity", self.similarity.into(), 0.0, 1.0)?;
        within("min_face_px", self.min_face_px.into(), 0.0, 10_000.0)?;
        within("quality", self.quality.into(), 1.0, 100.0)?;
        within("max_side_px", self.max_side_px.unwrap_or(LEAST_SIDE_PX).into(), LEAST_SIDE_PX.into(), 65_535.0)?;
        within("the number of people who are split", self.edits.split.len() as f64, 0.0, MOST_SPLIT as f64)?;
        naming::check(&self.names)?;
        pyscenedetect::check(&self.detector)
    }

    /// What is made of a frame with such faces.
    pub fn stills(&self, faces: Vec<Place>, thumbnail: bool) -> Stills {
        let Self { format, quality, max_side_px, crops, .. } = *self;
        Stills { format, quality, max_side_px, crops, faces, thumbnail }
    }
}

/// One scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Position, from 0.
    pub index: usize,
    /// Time of its first frame in seconds.
    pub start_s: f64,
    /// Time of the next scene's first frame, or the end of the video, in seconds.
    pub end_s: f64,
    /// First frame.
    pub start_frame: u64,
    /// Frame after the last.
    pub end_frame: u64,
    /// How the scene begins.
    pub transition: TransitionKind,
    /// First mixed frame of a gradual transition into this scene.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition_start_frame: Option<u64>,
    /// Frame after the last mixed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition_end_frame: Option<u64>,
}

impl Manifest {
    /// Reads a `manifest.json`. An error says what is missing or makes no sense.
    pub fn read(text: &str) -> Result<Self> {
        let error = |why: String| Error::Usage(why);
        let value: serde_json::Value = serde_json::from_str(text).map_err(|e| error(format!("it is not JSON: {e}")))?;
        match value.get("schema").and_then(|schema| schema.as_str()) {
            Some(SCHEMA) => {}
            Some(other) => return Err(error(format!("it is a “{other}”, and {SCHEMA} is what is read"))),
            None => return Err(error("it is no manifest of framesift: it has no schema".into())),
        }
        let manifest: Self = serde_json::from_value(value).map_err(|e| error(e.to_string()))?;
        manifest.options.check()?;
        let wrong = |what: String| Err(error(what));
        for (at, scene) in manifest.scenes.iter().enumerate() {
            let Scene { index, start_frame, end_frame, .. } = *scene;
            if index != at || start_frame > end_frame || end_frame > MOST {
                return wrong(format!(
                    "its scene {index}, at place {at}, goes from frame {start_frame} to {end_frame}"
                ));
            }
        }
        for frame in &manifest.frames {
            if let Some(face) = frame.faces.iter().find(|face| face.person as u64 > MOST) {
                return wrong(format!("a face in frame {} is of person {}", frame.index, face.person));
            }
        }
        Ok(manifest)
    }

    /// Takes frames out that could not be decoded again, and notes them.
    pub fn leave_out(&mut self, lost: &[u64]) {
        if lost.is_empty() {
            return;
        }
        let (kept, out): (Vec<KeptFrame>, Vec<KeptFrame>) =
            std::mem::take(&mut self.frames).into_iter().partition(|frame| !lost.contains(&frame.index));
        let times: Vec<String> = out.iter().map(|frame| format!("{:.3} s", frame.time_s)).collect();
        let number = times.len();
        let note = format!("{number} chosen frame(s) could not be decoded again for export: {}", times.join(", "));
        self.video.notes.push(note);
        self.people = crate::pipeline::people::of(&kept, &self.options.edits);
        self.frames = kept;
    }

    /// The scenes as a table in the form of PySceneDetect's `list-scenes` (frames from 1).
    pub fn scenes_csv(&self) -> String {
        let timecode = |seconds: f64| {
            let ms = (seconds * 1e3).round() as u64;
            format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
        };
        let cuts: Vec<String> = self.scenes.iter().skip(1).map(|scene| timecode(scene.start_s)).collect();
        let mut text = format!("Timecode List:{}{}\n", if cuts.is_empty() { "" } else { "," }, cuts.join(","));
        text += "Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,\
                 End Time (seconds),Length (frames),Length (timecode),Length (seconds)\n";
        for s in &self.scenes {
            let length_s = s.end_s - s.start_s;
            let start = format!("{},{},{:.3}", s.start_frame + 1, timecode(s.start_s), s.start_s);
            let end = format!("{},{},{:.3}", s.end_frame, timecode(s.end_s), s.end_s);
            let length = format!("{},{},{length_s:.3}", s.end_frame - s.start_frame, timecode(length_s));
            text += &format!("{},{start},{end},{length}\n", s.index + 1);
        }
        text
    }
}

/// One kept frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptFrame {
    /// Path within the output.
    pub file: String,
    /// Position in the video in presentation order, from 0.
    pub index: u64,
    /// Presentation time in seconds.
    pub time_s: f64,
    /// Scene it belongs to.
    pub scene: usize,
    /// Variance of the Laplacian at 640 pixels width.
    pub sharpness: f32,
    /// Faces, largest first.
    pub faces: Vec<KeptFace>,
}

/// One face in a kept frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptFace {
    /// x, y, width, height in pixels of the upright frame.
    pub bbox: [f32; 4],
    /// Detector's confidence, 0–1.
    pub score: f32,
    /// Eye left, eye right, nose, mouth left, mouth right (as seen), in pixels.
    pub landmarks: Landmarks,
    /// Where the head is turned, estimated from the landmarks.
    #[serde(default)]
    pub pose: Pose,
    /// How usable the face is, 0–1.
    pub quality: f32,
    /// What speaks against it.
    pub flags: Vec<Flag>,
    /// Which of `people` it is.
    pub person: usize,
    /// Identity vector of unit length; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
    /// How like the references it is, as the highest cosine with one of them; only where some are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_cosine: Option<f32>,
    /// The same for those who are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avoid_cosine: Option<f32>,
    /// Path of the face's picture within the output, if faces are cut out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<String>,
}

/// One candidate that was not kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// Position in the video.
    pub index: u64,
    /// Presentation time in seconds.
    pub time_s: f64,
    /// How many faces of the smallest size or larger it shows; none where they are not looked for, in what is a
    /// transition at every sensitivity.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub faces: usize,
    /// Why.
    pub reason: Reason,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// One person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// Number that faces refer to: 0 has the most faces among all candidates, and it stays the same
    /// when frames are chosen again.
    pub id: usize,
    /// Their name, where the user has given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of faces in kept frames.
    pub faces: usize,
    /// Picture of the best face within the output, or of the frame that it is in.
    pub best: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_who_the_user_says_even_in_circles() {
        let edit = |id, same_as| PersonEdit { id, name: None, same_as };
        let edits = Edits {
            people: vec![edit(3, Some(1)), edit(1, Some(0)), edit(5, Some(6)), edit(6, Some(5))],
            ..Edits::default()
        };
        assert_eq!([0, 1, 2, 3].map(|person| edits.really(person)), [0, 0, 2, 0]);
        assert_eq!([edits.really(5), edits.really(6)], [5, 5]);
        let named =
            Edits { people: vec![PersonEdit { id: 2, name: Some("Ada".into()), same_as: None }], ..Edits::default() };
        assert_eq!((named.name(2), named.name(0)), (Some("Ada"), None));
    }

    #[test]
    fn options_without_edits_do_not_speak_of_them() {
        let json = serde_json::to_value(Options::default()).unwrap();
        assert!(json.get("edits").is_none() && json.get("reference").is_none());
        let edited: Options = serde_json::from_str(r#"{"edits": {"include": [7], "only_people": [2]}}"#).unwrap();
        assert_eq!((edited.edits.include, edited.edits.only_people), (vec![7], vec![2]));
    }
}
