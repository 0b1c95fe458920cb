//! One video from the first frame to the manifest.
//!
//! [`Session`] keeps the records of a scan: a few numbers of every frame, the
//! scenes, and for each candidate its features and faces. Pixels pass through and
//! leave. Everything after the scan works on these records, so that another budget
//! or threshold means another [`Session::manifest`], not another scan.
//!
//! Candidates are taken from the stream before it is known where a transition
//! ends or which shot comes back later. What that misses, [`Session::second_look`]
//! names: a few frames to decode once more ([`Session::add_candidate`]).

use crate::error::{Error, Result};
use crate::faces::Face;
use crate::faces::cluster;
use crate::faces::pack::PackSpec;
use crate::frame::{Frame, FrameLayout};
use crate::manifest::{KeptFace, KeptFrame, Manifest, Options, PackInfo, Person, Rejected, SCHEMA, Scene, Tool, Video};
use crate::sampling::features::Features;
use crate::sampling::hash::PictureHash;
use crate::sampling::pyscenedetect::{self, Meter};
use crate::sampling::scenes::{Boundary, SceneMap, TransitionKind};
use crate::sampling::second_look::{Glance, second_look};
use crate::sampling::selection::{self, Criteria, Item, Reason};
use crate::sampling::similarity::RunOptions;
use crate::sampling::{Candidate, Detector, Sampler};
use std::collections::BTreeMap;
use std::ops::Range;

/// Candidates per second of video: never more than this …
const MOST_CANDIDATES_PER_S: f64 = 12.5;
/// … and about this many times the budget over the whole video, so that a long
/// video with a small budget is not analysed in vain.
const CANDIDATES_PER_BUDGET: f64 = 4.0;
/// Thumbnail contrast below which a frame shows nothing.
const BLANK_CONTRAST: f32 = 4.0;
/// Frames on both sides of a gradual transition that may still show a trace of it.
const TRANSITION_MARGIN: u64 = 2;

/// What remains of every frame.
struct Seen {
    time_s: f64,
    sharpness: f32,
    phash: PictureHash,
    blank: bool,
    /// What PySceneDetect's detector measures, where one was asked for.
    measure: f32,
}

/// What remains of a candidate when its pixels are gone.
struct Record {
    index: u64,
    time_s: f64,
    sharpness: f32,
    phash: PictureHash,
    colors: [u8; 36],
    blank: bool,
    faces: Option<Vec<Face>>,
}

/// The records of one video.
pub struct Session {
    sampler: Option<Sampler>,
    /// Of PySceneDetect's detector, where one was asked for.
    meter: Option<Meter>,
    look_alike_bits: f32,
    budget: usize,
    seen: Vec<Seen>,
    end_s: f64,
    /// By our own detector, which always runs: it knows which frames are mixed or spoilt.
    own_scenes: SceneMap,
    /// By the detector asked for.
    boundaries: Vec<Boundary>,
    candidates: Vec<Record>,
}

impl Session {
    /// Begins a scan of a video of about `duration_s` seconds. An error where the detector's
    /// parameters make no sense.
    pub fn new(options: &Options, duration_s: f64) -> Result<Self> {
        let wanted = CANDIDATES_PER_BUDGET * options.budget.max(1) as f64;
        let min_length_s = (duration_s / wanted).clamp(1.0 / MOST_CANDIDATES_PER_S, 2.0);
        let look_alike_bits = selection::similarity_to_bits(options.similarity);
        let runs = RunOptions {
            max_hash_bits: look_alike_bits,
            max_difference: 12.0,
            min_length_s,
            max_length_s: (4.0 * min_length_s).max(2.0),
        };
        Ok(Self {
            sampler: Some(Sampler::new(runs)),
            meter: Meter::new(&options.detector)?,
            look_alike_bits,
            budget: options.budget,
            seen: Vec::new(),
            end_s: 0.0,
            own_scenes: SceneMap::default(),
            boundaries: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// Takes the next frame in presentation order (see [`Sampler::push`]);
    /// returns the candidate it completes, for face analysis.
    pub fn push(
        &mut self,
        time_s: f64,
        duration_s: f64,
        layout: &FrameLayout,
        data: &mut Vec<u8>,
    ) -> Result<Option<Candidate>> {
        let Some(sampler) = &mut self.sampler else {
            return Err(Error::Usage("a frame came after the end of the scan".into()));
        };
        let frame = Frame::new(layout, data)?;
        let features = Features::measure(&frame)?;
        let measure = self.meter.as_mut().map_or(0.0, |meter| meter.measure(&frame) as f32);
        let Features { sharpness, phash, ref thumb } = features;
        self.seen.push(Seen { time_s, sharpness, phash, blank: thumb.contrast() < BLANK_CONTRAST, measure });
        let candidate = sampler.push(time_s, features, layout, data);
        self.end_s = self.end_s.max(time_s + duration_s);
        Ok(candidate.inspect(|c| self.record(c)))
    }

    /// Ends the scan; returns the last candidate.
    pub fn finish(&mut self) -> Option<Candidate> {
        let (candidate, scenes) = self.sampler.take()?.finish();
        self.own_scenes = scenes;
        self.boundaries = match &self.meter {
            Some(meter) => self.measured_cuts(meter.detector()),
            None => self.own_scenes.boundaries.clone(),
        };
        candidate.inspect(|c| self.record(c))
    }

    /// Finds the scenes again, with another detector or other thresholds. An error where that
    /// needs what the scan has not measured.
    pub fn detect(&mut self, detector: &Detector) -> Result<()> {
        pyscenedetect::check(detector)?;
        self.boundaries = match &self.meter {
            _ if *detector == Detector::Default => self.own_scenes.boundaries.clone(),
            Some(meter) if meter.serves(detector) => self.measured_cuts(detector),
            _ => return Err(Error::Usage("another detector's scenes need a new scan".into())),
        };
        Ok(())
    }

    /// The cuts of one of PySceneDetect's detectors.
    fn measured_cuts(&self, detector: &Detector) -> Vec<Boundary> {
        let times_s: Vec<f64> = self.seen.iter().map(|frame| frame.time_s).collect();
        let values: Vec<f32> = self.seen.iter().map(|frame| frame.measure).collect();
        let cut = |frame: usize| Boundary { kind: TransitionKind::Cut, frame: frame as u64, from: frame as u64 };
        pyscenedetect::cuts(detector, &times_s, &values).into_iter().filter(|&frame| frame > 0).map(cut).collect()
    }

    /// After the scan: frames that are worth decoding once more, in order. Hand
    /// each to [`Session::add_candidate`]; without them the choice is only less good.
    pub fn second_look(&self) -> Vec<u64> {
        // Both detectors' scenes, where another one was asked for: what only ours sees, such as a
        // picture that another one dissolves into, is worth showing as well.
        let boundaries = self.boundaries.iter().chain(&self.own_scenes.boundaries);
        let mut starts: Vec<usize> = boundaries.map(|b| b.frame as usize).chain([0, self.seen.len()]).collect();
        starts.sort_unstable();
        starts.dedup();
        let scenes: Vec<Range<usize>> = starts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        if scenes.len() > self.budget {
            // Not every scene can be shown, and there is enough to choose from.
            return Vec::new();
        }
        let spoilt = self.spoilt_ranges();
        let glance = |(index, seen): (usize, &Seen)| Glance {
            phash: seen.phash,
            sharpness: seen.sharpness,
            clean: !seen.blank && !lies_in(&spoilt, index as u64),
            candidate: self.position(index as u64).is_ok(),
        };
        let frames: Vec<Glance> = self.seen.iter().enumerate().map(glance).collect();
        let wanted = second_look(&frames, &scenes, self.look_alike_bits);
        wanted.into_iter().map(|i| i as u64).collect()
    }

    /// Makes a frame that was pushed before a candidate as well; the pixels are
    /// handed back with it for face analysis.
    pub fn add_candidate(&mut self, index: u64, layout: &FrameLayout, data: Vec<u8>) -> Result<Candidate> {
        let time_s = self.time_of(index)?;
        let features = Features::measure(&Frame::new(layout, &data)?)?;
        let candidate = Candidate { index, time_s, features, layout: layout.clone(), data };
        self.record(&candidate);
        Ok(candidate)
    }

    /// Presentation time of a frame that was pushed, in seconds.
    pub fn time_of(&self, index: u64) -> Result<f64> {
        let seen = self.seen.get(index as usize);
        Ok(seen.ok_or_else(|| Error::Usage(format!("there is no frame {index}")))?.time_s)
    }

    fn position(&self, index: u64) -> std::result::Result<usize, usize> {
        self.candidates.binary_search_by_key(&index, |c| c.index)
    }

    fn record(&mut self, c: &Candidate) {
        let Err(position) = self.position(c.index) else { return };
        let record = Record {
            index: c.index,
            time_s: c.time_s,
            sharpness: c.features.sharpness,
            phash: c.features.phash,
            colors: c.features.thumb.color_layout(),
            blank: c.features.thumb.contrast() < BLANK_CONTRAST,
            faces: None,
        };
        self.candidates.insert(position, record);
    }

    /// Stores the faces of the candidate at frame `index`.
    pub fn set_faces(&mut self, index: u64, faces: Vec<Face>) -> Result<()> {
        let position = self.position(index).map_err(|_| Error::Usage(format!("frame {index} is not a candidate")))?;
        self.candidates[position].faces = Some(faces);
        Ok(())
    }

    /// Frames taken so far.
    pub fn frames(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Candidates so far, and how many of them have been analysed.
    pub fn candidates(&self) -> (usize, usize) {
        (self.candidates.len(), self.candidates.iter().filter(|c| c.faces.is_some()).count())
    }

    /// The scenes, once the scan has ended.
    pub fn scenes(&self) -> Vec<Scene> {
        if self.seen.is_empty() {
            return Vec::new();
        }
        let time = |frame: u64| self.seen.get(frame as usize).map_or(self.end_s, |f| f.time_s);
        let boundaries = &self.boundaries;
        (0..=boundaries.len())
            .map(|index| {
                let start = index.checked_sub(1).map(|i| &boundaries[i]);
                let start_frame = start.map_or(0, |b| b.frame);
                let end_frame = boundaries.get(index).map_or(self.frames(), |b| b.frame);
                let gradual = start.filter(|b| b.from < b.frame);
                Scene {
                    index,
                    start_s: time(start_frame),
                    end_s: time(end_frame),
                    start_frame,
                    end_frame,
                    transition: start.map_or(TransitionKind::Start, |b| b.kind),
                    transition_start_frame: gradual.map(|b| b.from),
                    transition_end_frame: gradual.map(|b| b.frame),
                }
            })
            .collect()
    }

    /// Half-open ranges of frames in or next to a gradual transition, or in a
    /// flash, in order and apart.
    fn spoilt_ranges(&self) -> Vec<Range<u64>> {
        let gradual = self.own_scenes.boundaries.iter().filter(|b| b.from < b.frame);
        let gradual = gradual.map(|b| b.from.saturating_sub(TRANSITION_MARGIN)..b.frame + TRANSITION_MARGIN);
        let flashes = self.own_scenes.flashes.iter().map(|&(from, to)| from..to);
        let mut ranges: Vec<Range<u64>> = gradual.chain(flashes).collect();
        ranges.sort_by_key(|r| r.start);
        ranges.dedup_by(|next, last| {
            let joined = next.start <= last.end;
            if joined {
                last.end = last.end.max(next.end);
            }
            joined
        });
        ranges
    }

    fn items(&self, options: &Options) -> Vec<Item> {
        let spoilt = self.spoilt_ranges();
        let starts: Vec<u64> = self.boundaries.iter().map(|b| b.frame).collect();
        self.candidates
            .iter()
            .map(|c| Item {
                scene: starts.partition_point(|&start| start <= c.index),
                sharpness: c.sharpness,
                phash: c.phash,
                colors: c.colors,
                face: large_faces(c, options).map(|f| f.quality).fold(0.0, f32::max),
                spoilt: if lies_in(&spoilt, c.index) {
                    Some(Reason::Transition)
                } else if c.blank {
                    Some(Reason::Blank)
                } else {
                    None
                },
            })
            .collect()
    }

    /// Chooses frames under `options`, over the scenes that [`Session::detect`] found last (or the
    /// scan, if it was not called), and states the result. `timings_s`,
    /// `video` and `device` are the caller's to know.
    pub fn manifest(
        &self,
        options: &Options,
        pack: &PackSpec,
        video: Video,
        device: &str,
        timings_s: BTreeMap<String, f64>,
    ) -> Manifest {
        let items = self.items(options);
        let criteria = Criteria { budget: options.budget, similarity: options.similarity, faces: options.faces };
        let (kept, rejected) = selection::select(&items, &criteria);

        let faces: Vec<cluster::Appearance<'_>> = kept
            .iter()
            .map(|&i| &self.candidates[i])
            .flat_map(|c| {
                large_faces(c, options).map(|f| cluster::Appearance { embedding: &f.embedding, frame: c.index })
            })
            .collect();
        let person_of = cluster::people(&faces, pack.embedder.same_person_cosine);
        let mut persons = person_of.iter();

        let frames: Vec<KeptFrame> = kept
            .iter()
            .map(|&i| {
                let c = &self.candidates[i];
                let faces = large_faces(c, options)
                    .zip(persons.by_ref())
                    .enumerate()
                    .map(|(number, (face, &person))| KeptFace {
                        bbox: face.bbox,
                        score: face.score,
                        landmarks: face.landmarks,
                        quality: face.quality,
                        flags: face.flags.clone(),
                        person,
                        embedding: options.embeddings.then(|| face.embedding.clone()),
                        crop: format!("faces/{:06}_{number}.jpg", c.index),
                    })
                    .collect();
                KeptFrame {
                    file: format!("frames/{:06}_{:.3}s.jpg", c.index, c.time_s),
                    index: c.index,
                    time_s: c.time_s,
                    scene: items[i].scene,
                    sharpness: c.sharpness,
                    faces,
                }
            })
            .collect();
        Manifest {
            schema: SCHEMA.into(),
            tool: Tool::current(),
            pack: PackInfo::from(pack),
            device: device.into(),
            video,
            options: options.clone(),
            scenes: self.scenes(),
            people: people(&frames),
            frames,
            rejected: rejected
                .into_iter()
                .map(|(i, reason)| Rejected {
                    index: self.candidates[i].index,
                    time_s: self.candidates[i].time_s,
                    reason,
                })
                .collect(),
            timings_s,
        }
    }
}

/// Whether a frame lies in one of some ranges that are in order and apart.
fn lies_in(ranges: &[Range<u64>], frame: u64) -> bool {
    let after = ranges.partition_point(|r| r.start <= frame);
    after > 0 && ranges[after - 1].contains(&frame)
}

/// A candidate's faces that are large enough to count.
fn large_faces<'a>(c: &'a Record, options: &'a Options) -> impl Iterator<Item = &'a Face> {
    c.faces.iter().flatten().filter(|f| f.bbox[2].max(f.bbox[3]) >= options.min_face_px)
}

fn people(frames: &[KeptFrame]) -> Vec<Person> {
    let mut best: BTreeMap<usize, (usize, &KeptFace)> = BTreeMap::new();
    for face in frames.iter().flat_map(|f| &f.faces) {
        let entry = best.entry(face.person).or_insert((0, face));
        entry.0 += 1;
        if face.quality > entry.1.quality {
            entry.1 = face;
        }
    }
    best.into_iter().map(|(id, (faces, face))| Person { id, faces, best: face.crop.clone() }).collect()
}
