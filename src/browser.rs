//! The crate's face towards JavaScript.
//!
//! Two classes, one per kind of worker: [`Scan`] in the worker that decodes,
//! [`Analyzer`] in each worker of the pool. JavaScript objects that cross the
//! border have the shapes of the serde types named at each method.
//!
//! Pixels enter without an extra copy: [`Scan::reserve`] hands out a place in
//! wasm memory, JavaScript lets the decoder write there (`VideoFrame.copyTo`),
//! [`Scan::commit`] says what was written. Views of wasm memory die when it
//! grows, so a view is made after `reserve` and not kept.
//!
//! A scan can be recorded in a [`journal`], whose entries JavaScript stores one behind the other. After
//! [`Scan::begin_journal`] a new scan takes those of an earlier one ([`Scan::replay`]) and goes on from there.

use crate::error::Error;
use crate::faces::pack::{Pack, PackSpec};
use crate::faces::{Face, FaceAnalyzer};
use crate::frame::{Frame, FrameLayout};
use crate::inference::Engine;
use crate::inference::int8::kernels::Isa;
use crate::journal::{self, Begin, Checkpoint, Entry, Frames, Replay};
use crate::manifest::{Manifest, Options, Tool, Video};
use crate::pipeline::{Measurer, Session};
use crate::sampling::Candidate;
use crate::sampling::selection::FacesMode;
use crate::still::{self, Place, Stills};
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wasm_bindgen::prelude::*;

/// Panics become readable in the console.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// Which instructions this build uses on this machine, for the manifest and the page.
#[wasm_bindgen]
pub fn device() -> String {
    format!("wasm {} ({} INT8 kernels)", Tool::current().build, Isa::best().name())
}

fn js_error(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

fn from_js<T: DeserializeOwned>(value: JsValue) -> Result<T, JsError> {
    serde_wasm_bindgen::from_value(value).map_err(js_error)
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsError> {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(js_error)
}

/// By way of JSON, in which a float of 32 bits has no more digits than it needs: 0.8, and not 0.800000011920929.
fn to_short_js(value: &impl Serialize) -> Result<JsValue, JsError> {
    let json = serde_json::to_string(value).map_err(js_error)?;
    js_sys::JSON::parse(&json).map_err(|e| JsError::new(&message(&e)))
}

/// What an exception says.
fn message(exception: &JsValue) -> String {
    exception.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{exception:?}"), |error| error.message().into())
}

/// The scan of one video: frames in, candidates out, and the choice afterwards.
#[wasm_bindgen]
pub struct Scan {
    measurer: Measurer,
    session: Session,
    pack: PackSpec,
    /// The buffer that JavaScript is writing into.
    open: Option<Vec<u8>>,
    /// A buffer to use again.
    spare: Option<Vec<u8>>,
    /// Candidates that JavaScript has not collected yet.
    ready: VecDeque<Candidate>,
    /// No more frames are to come, and so no buffers are kept for them.
    ended: bool,
    options: Options,
    /// Frames since the last entry of the journal, where one is written.
    recorded: Option<Frames>,
    /// What an earlier scan has recorded.
    replay: Replay,
}

/// A candidate's description for the pool.
#[derive(Serialize)]
struct CandidateView<'a> {
    index: u64,
    time_s: f64,
    layout: &'a FrameLayout,
}

/// A frame to decode once more.
#[derive(Serialize)]
struct AgainView {
    index: u64,
    time_s: f64,
}

/// Where an earlier scan was.
#[derive(Serialize)]
struct ReplayedView<'a> {
    checkpoint: &'a Checkpoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_s: Option<f64>,
}

/// What an entry of a journal tells whoever does not replay it.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum EntryView {
    Begin { begin: Box<Begin>, current: bool },
    Frames { frames: usize, last_s: f64, ended: bool },
    Faces,
}

/// Bytes before an entry of a journal; see [`journal_entry_bytes`].
#[wasm_bindgen]
pub fn journal_head_bytes() -> usize {
    journal::HEAD_BYTES
}

/// Bytes of an entry that follow its head; `undefined` where that is no head.
#[wasm_bindgen]
pub fn journal_entry_bytes(head: &[u8]) -> Option<usize> {
    journal::length(head.try_into().ok()?)
}

/// What an entry is, its head included: `{ kind: 'begin', begin, current }` (of the format that is written today or
/// not), `{ kind: 'frames', frames, last_s, ended }`, `{ kind: 'faces' }`; `undefined` where it is torn or damaged.
#[wasm_bindgen]
pub fn journal_entry(entry: &[u8]) -> Result<JsValue, JsError> {
    let Some(entry) = read_entry(entry) else { return Ok(JsValue::UNDEFINED) };
    to_short_js(&match entry {
        Entry::Begin(begin) => EntryView::Begin { current: begin.format == journal::FORMAT, begin },
        Entry::Frames(taken, checkpoint) => EntryView::Frames {
            frames: taken.len(),
            last_s: taken.last().map_or(0.0, |frame| frame.time_s),
            ended: checkpoint.ended,
        },
        Entry::Faces(..) => EntryView::Faces,
    })
}

fn read_entry(bytes: &[u8]) -> Option<Entry> {
    let (head, rest) = bytes.split_first_chunk()?;
    journal::read(*head, rest)
}

#[wasm_bindgen]
impl Scan {
    /// Begins a scan. `options`: [`Options`]; `pack_toml`: the text of `pack.toml`.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue, duration_s: f64, pack_toml: &str) -> Result<Scan, JsError> {
        let options: Options = from_js(options)?;
        options.check().map_err(js_error)?;
        Ok(Self {
            measurer: Measurer::new(&options.detector).map_err(js_error)?,
            session: Session::new(&options, duration_s),
            options,
            recorded: None,
            replay: Replay::default(),
            pack: PackSpec::parse(pack_toml).map_err(js_error)?,
            open: None,
            spare: None,
            ready: VecDeque::new(),
            ended: false,
        })
    }

    /// A place of `bytes` bytes for the next frame; valid until the next call.
    pub fn reserve(&mut self, bytes: usize) -> *mut u8 {
        let mut buffer = self.open.take().or_else(|| self.spare.take()).unwrap_or_default();
        buffer.resize(bytes, 0);
        self.open.insert(buffer).as_mut_ptr()
    }

    /// Takes what was written into the reserved place as the next frame in presentation order: measures it, and finds
    /// scenes and look-alikes. `layout`: [`FrameLayout`]. Returns the number of candidates waiting. Frames do not wait
    /// for others: the place of one that is no candidate is in the cache still when the next is written there.
    pub fn commit(&mut self, time_s: f64, duration_s: f64, layout: JsValue) -> Result<usize, JsError> {
        let layout = from_js(layout)?;
        let mut data = self.open.take().ok_or_else(|| JsError::new("commit without reserve"))?;
        let measured = Frame::new(&layout, &data).and_then(|frame| self.measurer.measure(&frame)).map_err(js_error)?;
        if let Some(recorded) = &mut self.recorded {
            recorded.push(time_s, duration_s, &measured);
        }
        let pushed = self.session.push(time_s, duration_s, measured, |place| {
            std::mem::swap(place, &mut data);
            layout
        });
        self.make_ready(pushed.map_err(js_error)?)?;
        if data.capacity() > 0 {
            self.spare = Some(data);
        }
        Ok(self.ready.len())
    }

    /// Length of what was scanned, in seconds.
    #[wasm_bindgen(getter)]
    pub fn duration_s(&self) -> f64 {
        self.session.duration_s()
    }

    /// What is to be said of frames that did not come: see [`Session::shortfall`].
    pub fn shortfall(&self, expected: f64, stated_s: Option<f64>) -> Option<String> {
        self.session.shortfall(expected as u64, true, stated_s)
    }

    /// A candidate waits for JavaScript, unless its faces are recorded or its pixels went with an earlier scan.
    fn make_ready(&mut self, candidate: Option<Candidate>) -> Result<(), JsError> {
        match candidate {
            Some(c) if c.data.is_empty() || self.replay.knows(c.index) => {
                self.replay.look_up(c.index, &mut self.session).map_err(js_error)
            }
            candidate => {
                self.ready.extend(candidate);
                Ok(())
            }
        }
    }

    /// Ends the scan and frees the memory of frames; returns the number of candidates waiting.
    pub fn finish(&mut self) -> Result<usize, JsError> {
        self.session.finish().into_iter().try_for_each(|last| self.make_ready(Some(last)))?;
        self.spare = None;
        self.ended = true;
        Ok(self.ready.len())
    }

    /// The oldest waiting candidate without its pixels, or `undefined`.
    pub fn candidate(&self) -> Result<JsValue, JsError> {
        match self.ready.front() {
            Some(c) => to_js(&CandidateView { index: c.index, time_s: c.time_s, layout: &c.layout }),
            None => Ok(JsValue::UNDEFINED),
        }
    }

    /// Bytes of the oldest waiting candidate's pixels; 0 when none is waiting.
    #[wasm_bindgen(getter)]
    pub fn candidate_bytes(&self) -> usize {
        self.ready.front().map_or(0, |c| c.data.len())
    }

    /// Copies the pixels of the oldest waiting candidate into `target`, which
    /// must have [`Scan::candidate_bytes`] bytes; the candidate is gone afterwards.
    pub fn take_pixels(&mut self, target: &js_sys::Uint8Array) -> Result<(), JsError> {
        if self.ready.is_empty() || target.length() as usize != self.candidate_bytes() {
            return Err(JsError::new("no candidate of this size is waiting"));
        }
        if let Some(candidate) = self.ready.pop_front() {
            target.copy_from(&candidate.data);
            if !self.ended {
                self.spare.get_or_insert(candidate.data);
            }
        }
        Ok(())
    }

    /// After [`Scan::finish`]: `{ index, time_s }` of frames that are worth decoding
    /// once more, and of those that the user wants to keep. Each is to be written like any
    /// other frame and handed over with [`Scan::commit_again`]. They are named once.
    pub fn second_look(&mut self) -> Result<JsValue, JsError> {
        let mut wanted = self.replay.take_owed();
        let by_hand = self.session.not_looked_at(&self.options.edits.include);
        let again: BTreeSet<u64> = self.session.second_look().into_iter().chain(by_hand).collect();
        for index in again {
            if self.replay.knows(index) {
                self.session.add_candidate_unseen(index).map_err(js_error)?;
                self.replay.look_up(index, &mut self.session).map_err(js_error)?;
            } else {
                wanted.push(index);
            }
        }
        wanted.sort_unstable();
        let views = wanted.into_iter().map(|index| Ok(AgainView { index, time_s: self.session.time_of(index)? }));
        to_js(&views.collect::<crate::Result<Vec<_>>>().map_err(js_error)?)
    }

    /// The first entry of this scan's journal; from now on frames are recorded. `video`: what tells it from others.
    pub fn begin_journal(&mut self, video: String) -> Result<Vec<u8>, JsError> {
        self.recorded = Some(Frames::default());
        // Faces are looked for in any case: whether they count is for the choice.
        let options = Options { faces: FacesMode::Prefer, ..self.options.clone() };
        journal::begin(&Begin::new(video, &options, &self.pack, &device())).map_err(js_error)
    }

    /// The entry of the frames since the last one. `checkpoint`: a [`Checkpoint`], parts of which may be missing.
    pub fn journal_frames(&mut self, checkpoint: JsValue) -> Result<Vec<u8>, JsError> {
        let checkpoint: Checkpoint = from_js(checkpoint)?;
        let recorded = self.recorded.as_mut().ok_or_else(|| JsError::new("no journal has begun"))?;
        recorded.entry(&checkpoint).map_err(js_error)
    }

    /// The entry of the faces of a candidate, which have been set.
    pub fn journal_faces(&self, index: u32) -> Result<Vec<u8>, JsError> {
        journal::faces(u64::from(index), self.session.faces_of(u64::from(index))).map_err(js_error)
    }

    /// Takes an entry of an earlier scan's journal; all of them are taken before any frame. Returns whether it is
    /// whole: behind one that is not there is nothing to be had.
    pub fn replay(&mut self, entry: &[u8]) -> Result<bool, JsError> {
        let Some(entry) = read_entry(entry) else { return Ok(false) };
        self.replay.take(entry, &mut self.session).map_err(js_error)?;
        Ok(true)
    }

    /// After the last entry: where the earlier scan was, as `{ checkpoint: `[`Checkpoint`]`, last_s? }`.
    pub fn replayed(&mut self) -> Result<JsValue, JsError> {
        self.replay.finish(&mut self.session).map_err(js_error)?;
        let Replay { checkpoint, last_s, .. } = &self.replay;
        to_js(&ReplayedView { checkpoint, last_s: *last_s })
    }

    /// Measures what was written into the reserved place without taking it: the frame before the next one, which some
    /// measures are differences to.
    pub fn measure_only(&mut self, layout: JsValue) -> Result<(), JsError> {
        let layout = from_js(layout)?;
        let data = self.open.take().ok_or_else(|| JsError::new("nothing was reserved"))?;
        Frame::new(&layout, &data).and_then(|frame| self.measurer.measure(&frame)).map_err(js_error)?;
        self.spare = Some(data);
        Ok(())
    }

    /// Whether a candidate turned out to lie in a transition: nobody needs its faces.
    pub fn was_passed_over(&self, index: u32) -> bool {
        self.session.was_passed_over(u64::from(index))
    }

    /// The faces of a candidate, as array of `{ bbox, landmarks }`.
    pub fn faces_of(&self, index: u32) -> Result<JsValue, JsError> {
        let view = |face: &Face| Place { bbox: face.bbox, landmarks: face.landmarks };
        to_js(&self.session.faces_of(u64::from(index)).iter().map(view).collect::<Vec<_>>())
    }

    /// Takes what was written into the reserved place as frame `index`, seen
    /// before, which is waiting as a candidate afterwards.
    pub fn commit_again(&mut self, index: u32, layout: JsValue) -> Result<(), JsError> {
        let layout = from_js(layout)?;
        let data = self.open.take().ok_or_else(|| JsError::new("commit without reserve"))?;
        self.ready.push_back(self.session.add_candidate(u64::from(index), &layout, data).map_err(js_error)?);
        Ok(())
    }

    /// Times at which scenes begin, as far as the scan has come, in seconds; see [`Session::scene_starts_so_far`].
    pub fn scene_starts(&self) -> Vec<f64> {
        self.session.scene_starts_so_far()
    }

    /// Presentation time of a frame that was taken, in seconds.
    pub fn time_of(&self, index: u32) -> Result<f64, JsError> {
        self.session.time_of(u64::from(index)).map_err(js_error)
    }

    /// Says who is looked for: array of identity vectors; an empty one for everyone.
    pub fn look_for(&mut self, references: JsValue) -> Result<(), JsError> {
        self.session.look_for(from_js(references)?);
        Ok(())
    }

    /// Says with whom no frame is to be kept, in the same way.
    pub fn avoid(&mut self, references: JsValue) -> Result<(), JsError> {
        self.session.avoid(from_js(references)?);
        Ok(())
    }

    /// Stores what the pool found in the candidate at frame `index`. `faces`: array of [`Face`].
    pub fn set_faces(&mut self, index: u32, faces: JsValue) -> Result<(), JsError> {
        let faces: Vec<Face> = from_js(faces)?;
        self.session.set_faces(u64::from(index), faces).map_err(js_error)
    }

    /// Frames taken so far.
    #[wasm_bindgen(getter)]
    pub fn frames(&self) -> f64 {
        self.session.frames() as f64
    }

    /// The result under `options` ([`Options`]): a [`crate::manifest::Manifest`].
    /// `video`: [`Video`]; `timings_s`: object of numbers.
    pub fn manifest(&mut self, options: JsValue, video: JsValue, timings_s: JsValue) -> Result<JsValue, JsError> {
        let options: Options = from_js(options)?;
        options.check().map_err(js_error)?;
        let video: Video = from_js(video)?;
        let timings_s: BTreeMap<String, f64> = from_js(timings_s)?;
        self.session.detect(&options.detector, options.sensitivity).map_err(js_error)?;
        to_short_js(&self.session.manifest(&options, &self.pack, video, &device(), timings_s))
    }
}

/// Face analysis of candidates.
#[wasm_bindgen]
pub struct Analyzer {
    faces: FaceAnalyzer,
}

/// What the pool returns for a candidate.
#[derive(Serialize)]
struct Analysis {
    faces: Vec<Face>,
}

#[wasm_bindgen]
impl Analyzer {
    /// Checks the pack's files and prepares the networks.
    #[wasm_bindgen(constructor)]
    pub fn new(pack_toml: &str, detector: Vec<u8>, embedder: Vec<u8>) -> Result<Analyzer, JsError> {
        let spec = PackSpec::parse(pack_toml).map_err(js_error)?;
        let pack = Pack::new(spec, detector, embedder).map_err(js_error)?;
        let faces = FaceAnalyzer::new(pack, &Engine::default()).map_err(js_error)?;
        for node in faces.in_float() {
            web_sys::console::warn_1(&format!("framesift: runs in float, not in INT8: {node}").into());
        }
        Ok(Self { faces })
    }

    /// Faces and thumbnail of a candidate: `{ faces: Face[], thumbnail: Uint8Array, portraits: Uint8Array[] }`, JPEGs, a
    /// portrait for each face. `layout`: [`FrameLayout`].
    pub fn analyze(&mut self, layout: JsValue, pixels: &[u8]) -> Result<JsValue, JsError> {
        let layout: FrameLayout = from_js(layout)?;
        let picture = Frame::new(&layout, pixels).and_then(|f| f.to_rgb()).map_err(js_error)?;
        let faces = self.faces.analyze(&picture).map_err(js_error)?;
        let bytes = |jpeg: crate::Result<Vec<u8>>| Ok(js_sys::Uint8Array::from(jpeg.map_err(js_error)?.as_slice()));
        let portraits = faces.iter().map(|face| bytes(still::portrait_jpeg(&picture, &face.landmarks)));
        let portraits: js_sys::Array = portraits.collect::<Result<_, JsError>>()?;
        let thumbnail = bytes(still::thumbnail_jpeg(&picture))?;
        let result = to_js(&Analysis { faces })?;
        for (name, value) in [("thumbnail", JsValue::from(thumbnail)), ("portraits", portraits.into())] {
            js_sys::Reflect::set(&result, &name.into(), &value).map_err(|_| JsError::new("cannot attach a picture"))?;
        }
        Ok(result)
    }
}

/// Reads a `manifest.json`: a [`Manifest`], or an error that says what is wrong with it.
#[wasm_bindgen]
pub fn read_manifest(text: &str) -> Result<JsValue, JsError> {
    to_short_js(&Manifest::read(text).map_err(js_error)?)
}

/// The scenes of a [`Manifest`] as a table in PySceneDetect's form.
#[wasm_bindgen]
pub fn scenes_csv(manifest: JsValue) -> Result<String, JsError> {
    Ok(from_js::<Manifest>(manifest)?.scenes_csv())
}

/// Files for other tools that a manifest's options ask for: array of `[path, Uint8Array]`. `manifest`: [`Manifest`].
#[wasm_bindgen]
pub fn dataset_files(manifest: JsValue) -> Result<js_sys::Array, JsError> {
    Ok(named_files(crate::dataset::files(&from_js::<Manifest>(manifest)?).map_err(js_error)?))
}

/// Contact sheets of frames in order: array of `[path, Uint8Array]`. `thumbnails`: array of `Uint8Array`, small JPEGs.
#[wasm_bindgen]
pub fn contact_sheets(times_s: Vec<f64>, thumbnails: js_sys::Array) -> Result<js_sys::Array, JsError> {
    let jpeg = |value: JsValue| js_sys::Uint8Array::new(&value).to_vec();
    let frames: Vec<(f64, Vec<u8>)> = times_s.into_iter().zip(thumbnails.iter().map(jpeg)).collect();
    Ok(named_files(crate::contact::sheets(&frames).map_err(js_error)?))
}

fn named_files(files: Vec<(String, Vec<u8>)>) -> js_sys::Array {
    let pair = |(name, bytes): (String, Vec<u8>)| {
        js_sys::Array::of2(&name.into(), &js_sys::Uint8Array::from(bytes.as_slice()).into())
    };
    files.into_iter().map(pair).collect()
}

/// A chosen frame and its faces as files: array of `Uint8Array`, the frame
/// first, then the faces. `layout`: [`FrameLayout`]; `stills`: [`Stills`]. `webp` makes a WebP: a function of RGBA bytes
/// (`Uint8Array`), width, height and quality (1–100) that returns a `Uint8Array`.
#[wasm_bindgen]
pub fn encode_stills(
    layout: JsValue,
    pixels: &[u8],
    stills: JsValue,
    webp: Option<js_sys::Function>,
) -> Result<js_sys::Array, JsError> {
    let (layout, stills): (FrameLayout, Stills) = (from_js(layout)?, from_js(stills)?);
    let picture = Frame::new(&layout, pixels).and_then(|f| f.to_rgb()).map_err(js_error)?;
    let encode_webp = |picture: &RgbImage, quality: u8| {
        let error = |why: String| Error::Image(format!("cannot be made a WebP: {why}"));
        let webp = webp.as_ref().ok_or_else(|| error("there is no encoder".into()))?;
        let rgba: Vec<u8> = picture.pixels().flat_map(|&Rgb([r, g, b])| [r, g, b, u8::MAX]).collect();
        let arguments = js_sys::Array::of4(
            &js_sys::Uint8Array::from(rgba.as_slice()).into(),
            &picture.width().into(),
            &picture.height().into(),
            &quality.into(),
        );
        let file = webp.apply(&JsValue::NULL, &arguments).map_err(|e| error(message(&e)))?;
        let file: js_sys::Uint8Array = file.dyn_into().map_err(|_| error("the encoder gave nothing".into()))?;
        Ok(file.to_vec())
    };
    let files = stills.of(&picture, &encode_webp).map_err(js_error)?;
    Ok(files.iter().map(|file| js_sys::Uint8Array::from(file.as_slice())).collect())
}

/// Small pictures of a candidate whose faces are known: array of `Uint8Array`, JPEGs, its thumbnail first, then a
/// portrait for each face. `layout`: [`FrameLayout`]; `faces`: array of `{ bbox, landmarks }`.
#[wasm_bindgen]
pub fn small_pictures(layout: JsValue, pixels: &[u8], faces: JsValue) -> Result<js_sys::Array, JsError> {
    let (layout, faces): (FrameLayout, Vec<Place>) = (from_js(layout)?, from_js(faces)?);
    let picture = Frame::new(&layout, pixels).and_then(|f| f.to_rgb()).map_err(js_error)?;
    let portraits = faces.iter().map(|face| still::portrait_jpeg(&picture, &face.landmarks));
    let pictures = std::iter::once(still::thumbnail_jpeg(&picture)).chain(portraits);
    pictures.map(|jpeg| Ok(js_sys::Uint8Array::from(jpeg.map_err(js_error)?.as_slice()))).collect()
}

/// A network on its own, for `npm run bench`.
#[wasm_bindgen]
pub struct BenchNetwork {
    model: crate::inference::Model,
    network: crate::inference::Network,
}

/// For `npm run bench`: runs this build's dot instruction on registers alone, `rounds` times
/// some, and returns how many products that were.
#[wasm_bindgen]
pub fn bench_dots(rounds: u32) -> f64 {
    Isa::best().dots(rounds) as f64
}

/// Input of [`BenchNetwork::new`].
#[derive(Deserialize)]
struct Shape(Vec<usize>);

#[wasm_bindgen]
impl BenchNetwork {
    /// Compiles an ONNX file for an input shape (array of four numbers).
    #[wasm_bindgen(constructor)]
    pub fn new(file: &[u8], shape: JsValue) -> Result<BenchNetwork, JsError> {
        let Shape(shape) = from_js(shape)?;
        let model = crate::inference::Model::from_onnx(file).map_err(js_error)?;
        Ok(Self { network: model.network(&shape).map_err(js_error)?, model })
    }

    /// Runs `input` (as many floats as the shape has) and returns all outputs, one after the other.
    pub fn run(&self, input: &[f32]) -> Result<js_sys::Float32Array, JsError> {
        let input = ndarray::ArrayViewD::from_shape(self.network.input_shape(), input)?;
        let outputs = self.network.run(input).map_err(js_error)?;
        let lengths = outputs.iter().map(|o| o.len() as u32);
        let all = js_sys::Float32Array::new_with_length(lengths.clone().sum());
        let mut start = 0;
        for (output, length) in outputs.iter().zip(lengths) {
            all.subarray(start, start + length).copy_from(output.as_slice().ok_or(JsError::new("a strided output"))?);
            start += length;
        }
        Ok(all)
    }

    /// Bytes of packed INT8 weights.
    #[wasm_bindgen(getter)]
    pub fn packed_bytes(&self) -> usize {
        self.model.packed_bytes()
    }

    /// Bytes that the INT8 regions keep for activations between runs.
    #[wasm_bindgen(getter)]
    pub fn activation_bytes(&self) -> usize {
        self.network.activation_bytes()
    }

    /// Multiplications with additions that run in INT8.
    #[wasm_bindgen(getter)]
    pub fn int8_macs(&self) -> f64 {
        self.network.int8_macs() as f64
    }
}
