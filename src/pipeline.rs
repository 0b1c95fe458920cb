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

pub(crate) mod people;

use crate::error::{Error, Result};
use crate::faces::pack::PackSpec;
use crate::faces::{Face, pose::Pose, quality::Flag};
use crate::frame::{Frame, FrameLayout};
use crate::manifest::{
    Edits, Folders, KeptFace, KeptFrame, Manifest, Options, PackInfo, Rejected, SCHEMA, Scene, Tool, Video,
};
use crate::naming::{self, Named};
use crate::sampling::difference::{FaceLook, Look};
use crate::sampling::features::Features;
use crate::sampling::hash::PictureHash;
use crate::sampling::pyscenedetect::{self, Meter};
use crate::sampling::scenes::{Boundary, SceneMap, Sensitivity, TransitionKind};
use crate::sampling::selection::{self, AROUND_S, Choice, Criteria, FacesMode, Item, Reason, Shown};
use crate::sampling::similarity::RunOptions;
use crate::sampling::{Candidate, Detector, Sampler};
use crate::still::Crops;
use people::Sought;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
/// Frames further out that are taken only if there is nothing else.
const DOUBTFUL_MARGIN: u64 = 6;
/// Bytes of candidates that wait until it is known whether they lie in a transition. The oldest of more are analysed
/// in vain perhaps, which changes nothing but the time it takes.
const MOST_WAITING_BYTES: usize = if cfg!(target_arch = "wasm32") { 24 << 20 } else { 96 << 20 };
/// Below this share of the sharpness around it a frame is blurred.
const BLURRED_FOCUS: f32 = 0.35;
/// A container may round the length of its video, or count that of its sound.
const MOST_LONGER: f64 = 1.05;
/// Frames that the second look chooses among, at most about.
const MOST_PLANNED: usize = 30_000;

/// What was measured of a frame's pixels.
pub struct Measured {
    features: Features,
    /// What PySceneDetect's detector measures, where one was asked for.
    measure: f32,
}

impl Measured {
    /// Bytes of one in a journal.
    pub const BYTES: usize = 4 + Features::BYTES;

    /// Appends it, as [`Measured::BYTES`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.measure.to_le_bytes());
        self.features.write(out);
    }

    /// What [`Measured::write`] wrote; `None` where there is too little of it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (measure, features) = bytes.split_first_chunk()?;
        Some(Self { features: Features::read(features)?, measure: f32::from_le_bytes(*measure) })
    }
}

/// Measures frames, one video's in presentation order. Best right after a frame's pixels
/// were written, while they are in the processor's cache.
pub struct Measurer {
    /// Of PySceneDetect's detector, where one was asked for.
    meter: Option<Meter>,
}

impl Measurer {
    /// For one video. An error where the detector's parameters make no sense.
    pub fn new(detector: &Detector) -> Result<Self> {
        Ok(Self { meter: Meter::new(detector)? })
    }

    /// Whether a frame is measured by itself, so that the order does not matter.
    pub fn is_orderless(&self) -> bool {
        self.meter.is_none()
    }

    /// Measures a frame by itself.
    pub fn measure_alone(frame: &Frame<'_>) -> Result<Measured> {
        Ok(Measured { features: Features::measure(frame)?, measure: 0.0 })
    }

    /// Measures the next frame.
    pub fn measure(&mut self, frame: &Frame<'_>) -> Result<Measured> {
        let alone = Self::measure_alone(frame)?;
        let measure = self.meter.as_mut().map_or(alone.measure, |meter| meter.measure(frame) as f32);
        Ok(Measured { measure, ..alone })
    }
}

/// What remains of every frame.
struct Seen {
    time_s: f64,
    sharpness: f32,
    phash: PictureHash,
    blank: bool,
    colors: [u8; 36],
    /// What PySceneDetect's detector measures, where one was asked for.
    measure: f32,
}

/// What remains of a candidate when its pixels are gone, besides what does of every frame.
#[derive(Default)]
struct Record {
    index: u64,
    /// It lies in a transition, whatever the sensitivity: faces are not looked for, and count for nothing.
    passed_over: bool,
    faces: Option<Vec<Face>>,
    /// Who each face is by its looks; empty until people are grouped.
    grouped: Vec<usize>,
    /// Who each face is when the user has split people.
    people: Vec<usize>,
}

/// The records of one video.
pub struct Session {
    sampler: Option<Sampler>,
    /// What the frames were measured for.
    measured_for: Detector,
    similarity: f32,
    budget: usize,
    seen: Vec<Seen>,
    end_s: f64,
    /// By our own detector, which always runs, at each level of sensitivity: it knows which frames are
    /// mixed or spoilt.
    own_scenes: [SceneMap; 3],
    /// The level asked for.
    sensitivity: Sensitivity,
    /// By the detector asked for.
    boundaries: Vec<Boundary>,
    candidates: Vec<Record>,
    /// The latest candidates, whose faces are looked for unless they turn out to lie in a transition.
    waiting: VecDeque<Candidate>,
    /// A buffer of pixels to use again.
    spare: Vec<u8>,
    /// Identities of those who are looked for; none for everyone.
    references: Vec<Vec<f32>>,
    /// Identities of those with whom no frame is kept.
    avoided: Vec<Vec<f32>>,
    /// Whether faces have come since people were grouped.
    ungrouped: bool,
    /// Who was split since they were.
    split: Option<Vec<usize>>,
}

impl Session {
    /// Begins a scan of a video of about `duration_s` seconds.
    pub fn new(options: &Options, duration_s: f64) -> Self {
        let wanted = CANDIDATES_PER_BUDGET * options.budget.max(1) as f64;
        let min_length_s = (duration_s / wanted).clamp(1.0 / MOST_CANDIDATES_PER_S, 2.0);
        let runs = RunOptions {
            max_hash_bits: selection::similarity_to_bits(options.similarity),
            max_difference: 12.0,
            min_length_s,
            max_length_s: (4.0 * min_length_s).max(2.0),
        };
        Self {
            sampler: Some(Sampler::new(runs)),
            measured_for: options.detector.clone(),
            similarity: options.similarity,
            budget: options.budget,
            seen: Vec::new(),
            end_s: 0.0,
            own_scenes: Default::default(),
            sensitivity: options.sensitivity,
            boundaries: Vec::new(),
            candidates: Vec::new(),
            waiting: VecDeque::new(),
            spare: Vec::new(),
            references: Vec::new(),
            avoided: Vec::new(),
            ungrouped: false,
            split: None,
        }
    }

    /// Takes a measured frame, in presentation order; returns a candidate for face analysis, which may be some frames back.
    /// Its pixels are asked for with `hold` where it is worth it (see [`Sampler::push`]). Candidates that lie in a
    /// transition are none to look for faces in: their buffers are used again.
    pub fn push(
        &mut self,
        time_s: f64,
        duration_s: f64,
        measured: Measured,
        hold: impl FnOnce(&mut Vec<u8>) -> FrameLayout,
    ) -> Result<Option<Candidate>> {
        let Some(sampler) = &mut self.sampler else {
            return Err(Error::Usage("a frame came after the end of the scan".into()));
        };
        let Measured { features, measure } = measured;
        let Features { sharpness, phash, ref thumb } = features;
        let (blank, colors) = (thumb.contrast() < BLANK_CONTRAST, thumb.color_layout());
        self.seen.push(Seen { time_s, sharpness, phash, blank, colors, measure });
        let candidate = sampler.push(time_s, features, &mut self.spare, hold);
        self.end_s = self.end_s.max(time_s + duration_s);
        self.wait(candidate);
        Ok(self.next_decided())
    }

    fn wait(&mut self, candidate: Option<Candidate>) {
        candidate.iter().for_each(|c| self.record(c.index));
        self.waiting.extend(candidate);
    }

    /// The first of the waiting candidates, if it is known whether it lies in a transition, and if not in one; or if too
    /// many wait.
    fn next_decided(&mut self) -> Option<Candidate> {
        loop {
            let spoilt = self.sampler.as_ref()?.is_spoilt(self.waiting.front()?.index, TRANSITION_MARGIN);
            let bytes: usize = self.waiting.iter().map(|candidate| candidate.data.len()).sum();
            if spoilt.is_none() && bytes <= MOST_WAITING_BYTES {
                return None;
            }
            let candidate = self.waiting.pop_front()?;
            if spoilt != Some(true) {
                return Some(candidate);
            }
            self.spare = candidate.data;
        }
    }

    /// Ends the scan; returns the last candidates.
    pub fn finish(&mut self) -> Vec<Candidate> {
        let Some(sampler) = self.sampler.take() else { return Vec::new() };
        self.spare = Vec::new();
        let (candidate, scenes) = sampler.finish();
        self.own_scenes = scenes;
        self.wait(candidate);
        self.boundaries = match &self.measured_for {
            Detector::Default => self.own_scenes().boundaries.clone(),
            detector => self.measured_cuts(detector),
        };
        let spoilt = self.own_scenes.each_ref().map(|scenes| joined(scenes.spoilt(TRANSITION_MARGIN).collect()));
        let is_spoilt = |index| spoilt.iter().all(|ranges| lies_in(ranges, index));
        for record in self.candidates.iter_mut().filter(|record| is_spoilt(record.index)) {
            (record.passed_over, record.faces) = (true, None);
        }
        self.waiting.drain(..).filter(|candidate| !is_spoilt(candidate.index)).collect()
    }

    fn own_scenes(&self) -> &SceneMap {
        &self.own_scenes[self.sensitivity as usize]
    }

    /// Finds the scenes again, with another detector, sensitivity or other thresholds. An error
    /// where that needs what the scan has not measured.
    pub fn detect(&mut self, detector: &Detector, sensitivity: Sensitivity) -> Result<()> {
        pyscenedetect::check(detector)?;
        let measured = match detector {
            Detector::Default => None,
            _ if pyscenedetect::same_numbers(&self.measured_for, detector) => Some(self.measured_cuts(detector)),
            _ => return Err(Error::Usage("another detector's scenes need a new scan".into())),
        };
        self.sensitivity = sensitivity;
        self.boundaries = measured.unwrap_or_else(|| self.own_scenes().boundaries.clone());
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
    ///
    /// The stream gave up candidates before it knew that a transition was under way, that a shot
    /// would come back, or that a sharper moment would follow. Of every frame the hash and the
    /// sharpness are kept, and that is enough to choose among all of them, faces aside: what is
    /// chosen and not yet a candidate deserves to be one.
    pub fn second_look(&self) -> Vec<u64> {
        let starts = self.starts(self.budget);
        if starts.len() - 1 > self.budget {
            // Not every scene can be shown, and there is enough to choose from.
            return Vec::new();
        }
        let glance = self.glance(&starts);
        // Of very long videos the candidates and the sharpest of every few frames.
        let few = self.seen.len().div_ceil(MOST_PLANNED).max(1);
        let (mut frames, mut items) = (Vec::new(), Vec::new());
        for start in (0..self.seen.len()).step_by(few) {
            let group: Vec<Item<'_>> = (start..(start + few).min(self.seen.len())).map(&glance).collect();
            let sharpest = group.iter().map(|item| item.focus).fold(0.0, f32::max);
            for (i, item) in group.into_iter().enumerate().filter(|(_, item)| item.known || item.focus == sharpest) {
                frames.push((start + i) as u64);
                items.push(item);
            }
        }
        let criteria = Criteria { budget: self.budget, similarity: self.similarity, faces: FacesMode::Ignore };
        let chosen = selection::select(&items, &self.lengths_s(&starts), &criteria).kept.into_iter();
        chosen.filter(|&i| !items[i].known).map(|i| frames[i]).collect()
    }

    /// Those of some frames that were pushed and in which no faces are looked for, in order, each once.
    pub fn not_looked_at(&self, frames: &[u64]) -> Vec<u64> {
        let looked_at = |index| self.position(index).is_ok() && !self.was_passed_over(index);
        let known = |index: u64| self.time_of(index).is_err() || looked_at(index);
        frames.iter().copied().filter(|&index| !known(index)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a candidate lies in a transition, so that no faces are looked for in it.
    pub fn was_passed_over(&self, index: u64) -> bool {
        self.position(index).is_ok_and(|position| self.candidates[position].passed_over)
    }

    /// Makes a frame that was pushed before a candidate as well; the pixels are
    /// handed back with it for face analysis.
    pub fn add_candidate(&mut self, index: u64, layout: &FrameLayout, data: Vec<u8>) -> Result<Candidate> {
        let time_s = self.time_of(index)?;
        let features = Features::measure(&Frame::new(layout, &data)?)?;
        let candidate = Candidate { index, time_s, features, layout: layout.clone(), data };
        self.record(index);
        Ok(candidate)
    }

    /// The same without the pixels, where no faces are looked for: the rest is known of every frame.
    pub fn add_candidate_unseen(&mut self, index: u64) -> Result<()> {
        self.time_of(index)?;
        self.record(index);
        Ok(())
    }

    /// What is to be said after the scan of frames that did not come. `expected`: those that the container lists or the
    /// packets that were read; `known`: whether it was one or the other, or decoding met an error; `stated_s`: what the
    /// container says of the length.
    pub fn shortfall(&self, expected: u64, known: bool, stated_s: Option<f64>) -> Option<String> {
        let missing = expected.saturating_sub(self.frames());
        if missing > 0 {
            let why = match known {
                true => "the file is cut off or damaged",
                false => "the file is damaged, or some of its packets hold half a picture or none that is shown",
            };
            return Some(format!("{missing} of {expected} frames are missing: {why}"));
        }
        // Not every container lists its frames.
        let ends_s = self.duration_s();
        let stated_s = stated_s.filter(|stated_s| *stated_s > ends_s * MOST_LONGER + 1.0)?;
        Some(format!(
            "the file says that it lasts {stated_s:.1} s, but its frames end after {ends_s:.1} s: it may be cut off"
        ))
    }

    /// Presentation time of a frame that was pushed, in seconds.
    pub fn time_of(&self, index: u64) -> Result<f64> {
        let seen = self.seen.get(index as usize);
        Ok(seen.ok_or_else(|| Error::Usage(format!("there is no frame {index}")))?.time_s)
    }

    fn position(&self, index: u64) -> std::result::Result<usize, usize> {
        self.candidates.binary_search_by_key(&index, |c| c.index)
    }

    fn record(&mut self, index: u64) {
        match self.position(index) {
            Ok(position) => self.candidates[position].passed_over = false,
            Err(position) => self.candidates.insert(position, Record { index, ..Record::default() }),
        }
    }

    /// Stores the faces of the candidate at frame `index`.
    pub fn set_faces(&mut self, index: u64, faces: Vec<Face>) -> Result<()> {
        let position = self.position(index).map_err(|_| Error::Usage(format!("frame {index} is not a candidate")))?;
        let record = &mut self.candidates[position];
        if !record.passed_over {
            record.faces = Some(faces);
            self.ungrouped = true;
        }
        Ok(())
    }

    /// The faces of the candidate at frame `index`; none where it is no candidate, or has not been looked at.
    pub fn faces_of(&self, index: u64) -> &[Face] {
        let record = self.position(index).ok().map(|position| &self.candidates[position]);
        record.and_then(|record| record.faces.as_deref()).unwrap_or(&[])
    }

    /// Says who is looked for, by identity vectors of unit length: only their faces count from now on. None for
    /// everyone.
    pub fn look_for(&mut self, references: Vec<Vec<f32>>) {
        self.references = references;
    }

    /// Says with whom no frame is to be kept, in the same way.
    pub fn avoid(&mut self, references: Vec<Vec<f32>>) {
        self.avoided = references;
    }

    /// Frames taken so far.
    pub fn frames(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Bytes of the records: a fixed number for every frame, and what candidates and their faces
    /// take.
    pub fn record_bytes(&self) -> usize {
        let face = |face: &Face| size_of::<(Face, usize)>() + size_of_val(face.embedding.as_slice());
        let faces = self.candidates.iter().flat_map(|c| c.faces.iter().flatten()).map(face);
        size_of_val(self.seen.as_slice()) + size_of_val(self.candidates.as_slice()) + faces.sum::<usize>()
    }

    /// Times at which scenes begin, by our own detector as far as the scan has come, in seconds: to look at
    /// meanwhile. [`Session::scenes`] has the last word.
    pub fn scene_starts_so_far(&self) -> Vec<f64> {
        let starts = self.sampler.iter().flat_map(|sampler| sampler.starts_so_far(self.sensitivity));
        starts.map(|frame| self.start_s(frame as usize)).collect()
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
        let time = |frame: u64| self.start_s(frame as usize);
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

    /// See [`SceneMap::spoilt`]; in order and apart.
    fn spoilt_ranges(&self, margin: u64) -> Vec<Range<u64>> {
        joined(self.own_scenes().spoilt(margin).collect())
    }

    /// The same for frames that may show a trace of another scene.
    fn doubtful_ranges(&self) -> Vec<Range<u64>> {
        let doubtful = self.own_scenes().doubtful.iter();
        let doubtful = doubtful.map(|&(from, to)| from.saturating_sub(DOUBTFUL_MARGIN)..to + DOUBTFUL_MARGIN);
        joined(self.spoilt_ranges(DOUBTFUL_MARGIN).into_iter().chain(doubtful).collect())
    }

    /// First frames of the stretches that each get a frame, and the end of the video: the scenes that
    /// either detector sees, and what may be one. What only ours sees, such as a picture that another
    /// one dissolves into, is worth showing as well; where the budget is too small for that, only
    /// the scenes count.
    fn starts(&self, budget: usize) -> Vec<usize> {
        let sorted = |starts: &mut dyn Iterator<Item = u64>| {
            let mut starts: Vec<usize> = starts.map(|frame| frame as usize).chain([0, self.seen.len()]).collect();
            starts.sort_unstable();
            starts.dedup();
            starts
        };
        let scenes = || self.boundaries.iter().map(|b| b.frame);
        let own = self.own_scenes().boundaries.iter().map(|b| b.frame);
        let doubtful = self.own_scenes().doubtful.iter().map(|&(_, to)| to);
        let all = sorted(&mut scenes().chain(own).chain(doubtful));
        if all.len() - 1 > budget { sorted(&mut scenes()) } else { all }
    }

    /// Sharpness of a frame as a share of the sharpest clean frame around it in its scene.
    fn focus(&self, frame: usize, starts: &[usize], spoilt: &[Range<u64>]) -> f32 {
        let Seen { time_s, sharpness, .. } = self.seen[frame];
        let next = starts.partition_point(|&start| start <= frame);
        let near = |i: &usize| (self.seen[*i].time_s - time_s).abs() <= AROUND_S;
        let before = (starts[next.saturating_sub(1)]..frame).rev().take_while(near);
        let after = (frame + 1..starts.get(next).copied().unwrap_or(frame)).take_while(near);
        let clean = before.chain(after).filter(|&i| !lies_in(spoilt, i as u64));
        let sharpest = clean.map(|i| self.seen[i].sharpness).fold(sharpness, f32::max);
        if sharpest > 0.0 { sharpness / sharpest } else { 1.0 }
    }

    /// From the first frame's begin to the last one's end, in seconds. Videos may begin at any time.
    pub fn duration_s(&self) -> f64 {
        self.end_s - self.start_s(0)
    }

    /// When a frame begins, or the video ends.
    fn start_s(&self, frame: usize) -> f64 {
        self.seen.get(frame).map_or(self.end_s, |f| f.time_s)
    }

    /// Lengths of stretches in seconds, from [`Session::starts`].
    fn lengths_s(&self, starts: &[usize]) -> Vec<f64> {
        starts.windows(2).map(|pair| self.start_s(pair[1]) - self.start_s(pair[0])).collect()
    }

    /// What the choice sees of any frame: all but the faces and colours of candidates. `starts`: see
    /// [`Session::starts`].
    fn glance<'a>(&'a self, starts: &'a [usize]) -> impl Fn(usize) -> Item<'a> {
        let (spoilt, doubtful) = (self.spoilt_ranges(TRANSITION_MARGIN), self.doubtful_ranges());
        move |frame| {
            let Seen { time_s, phash, blank, .. } = self.seen[frame];
            let focus = self.focus(frame, starts, &spoilt);
            Item {
                scene: starts.partition_point(|&start| start <= frame) - 1,
                time_s,
                focus,
                doubtful: lies_in(&doubtful, frame as u64),
                known: self.position(frame as u64).is_ok(),
                look: Look { phash, colors: [0; 36], face: None },
                faces: Vec::new(),
                faceless: Reason::NoFace,
                by_hand: None,
                spoilt: match () {
                    () if lies_in(&spoilt, frame as u64) => Some(Reason::Transition),
                    () if blank => Some(Reason::Blank),
                    () if focus < BLURRED_FOCUS => Some(Reason::Blurred),
                    () => None,
                },
            }
        }
    }

    /// What the choice sees of the candidates.
    fn items<'a>(&'a self, starts: &'a [usize], options: &'a Options, people: &Asked<'a>) -> Vec<Item<'a>> {
        let glance = self.glance(starts);
        let item = |c: &'a Record| {
            let is_wanted = |face: &Face, person| people.wanted.as_ref().is_none_or(|wanted| wanted.has(face, person));
            // However small their faces are.
            let is_unwanted = people.unwanted.as_ref().is_some_and(|unwanted| {
                all_faces(c, options).into_iter().any(|(face, person)| unwanted.has(face, person))
            });
            let counts =
                move |(face, person): &(&Face, usize)| gate(face, options).is_none() && is_wanted(face, *person);
            let counting = || large_faces(c, options).filter(counts);
            let look = |(face, person): (&'a Face, usize)| FaceLook {
                person,
                pose: Pose::of(&face.landmarks),
                side_px: face.bbox[2].max(face.bbox[3]),
                embedding: &face.embedding,
            };
            let seen = glance(c.index as usize);
            Item {
                look: Look {
                    colors: self.seen[c.index as usize].colors,
                    face: counting().next().map(look),
                    ..seen.look
                },
                faces: counting().map(|(face, person)| Shown { person, quality: face.quality }).collect(),
                faceless: faceless(c, options, people.wanted.is_some()),
                spoilt: if is_unwanted { Some(Reason::UnwantedPerson) } else { seen.spoilt },
                by_hand: by_hand(c.index, &options.edits),
                ..seen
            }
        };
        self.candidates.iter().map(item).collect()
    }

    /// Chooses frames under `options`, over the scenes that [`Session::detect`] found last (or the
    /// scan, if it was not called), and states the result. `timings_s`,
    /// `video` and `device` are the caller's to know.
    pub fn manifest(
        &mut self,
        options: &Options,
        pack: &PackSpec,
        video: Video,
        device: &str,
        timings_s: BTreeMap<String, f64>,
    ) -> Manifest {
        self.group_people(pack.embedder.same_person_cosine);
        self.split_people(&options.edits.split);
        let starts = self.starts(options.budget);
        let min_cosine = pack.embedder.same_person_cosine;
        let people = Asked { wanted: self.wanted(options, min_cosine), unwanted: self.unwanted(options, min_cosine) };
        let items = self.items(&starts, options, &people);
        // Who looks for someone wants frames with them.
        let faces = if people.wanted.is_some() { FacesMode::Require } else { options.faces };
        let criteria = Criteria { budget: options.budget, similarity: options.similarity, faces };
        let Choice { kept, rejected } = selection::select(&items, &self.lengths_s(&starts), &criteria);
        let scene = |frame: u64| self.boundaries.partition_point(|b| b.frame <= frame);
        let kept = kept.into_iter().map(|i| &self.candidates[i]);
        let kept = kept.map(|c| {
            let seen = &self.seen[c.index as usize];
            kept_frame(c, seen, scene(c.index), &video.name, options, &people)
        });
        let frames: Vec<KeptFrame> = kept.collect();
        let rejected = rejected.into_iter().map(|(i, reason)| Rejected {
            index: self.candidates[i].index,
            time_s: items[i].time_s,
            faces: large_faces(&self.candidates[i], options).count(),
            reason,
        });
        Manifest {
            schema: SCHEMA.into(),
            tool: Tool::current(),
            pack: PackInfo::from(pack),
            device: device.into(),
            video,
            options: options.clone(),
            people: people::of(&frames, &options.edits),
            rejected: rejected.collect(),
            scenes: self.scenes(),
            frames,
            timings_s,
        }
    }
}

/// Whom the user asks for.
struct Asked<'a> {
    wanted: Option<Sought<'a>>,
    unwanted: Option<Sought<'a>>,
}

fn kept_frame(c: &Record, seen: &Seen, scene: usize, video: &str, options: &Options, people: &Asked<'_>) -> KeptFrame {
    let ending = options.format.ending();
    let main = large_faces(c, options).map(|(_, person)| person).next();
    let called = |person: usize| match options.edits.name(person) {
        Some(name) if !naming::file_name(name).is_empty() => name.to_string(),
        _ => format!("person_{:02}", person + 1),
    };
    let named = Named { index: c.index, time_s: seen.time_s, scene, person: None, video };
    let stem = |person: Option<&str>| naming::stem(&options.names, &Named { person, ..named });
    let stem_of_face = |number: usize, person: usize| match options.names.is_empty() {
        true => format!("{:06}_{number}", c.index),
        false => format!("{}_{number}", stem(Some(&called(person)))),
    };
    let folder = |person: Option<usize>| match (options.folders, person) {
        (Folders::Flat, _) => String::new(),
        (Folders::Scene, _) => format!("scene_{:03}/", scene + 1),
        (Folders::Person, None) => "nobody/".into(),
        (Folders::Person, Some(person)) => format!("{}/", naming::file_name(&called(person))),
    };
    let kept = |(number, (face, person)): (usize, (&Face, usize))| KeptFace {
        bbox: face.bbox,
        score: face.score,
        landmarks: face.landmarks,
        pose: Pose::of(&face.landmarks),
        quality: face.quality,
        flags: face.flags.clone(),
        person,
        embedding: options.embeddings.then(|| face.embedding.clone()),
        reference_cosine: people.wanted.as_ref().and_then(|wanted| wanted.likeness(face)),
        avoid_cosine: people.unwanted.as_ref().and_then(|unwanted| unwanted.likeness(face)),
        crop: (options.crops != Crops::None)
            .then(|| format!("faces/{}{}.{ending}", folder(Some(person)), stem_of_face(number, person))),
    };
    KeptFrame {
        file: format!("frames/{}{}.{ending}", folder(main), stem(main.map(called).as_deref())),
        index: c.index,
        time_s: seen.time_s,
        scene,
        sharpness: seen.sharpness,
        faces: large_faces(c, options).enumerate().map(kept).collect(),
    }
}

/// Overlapping ranges joined, in order.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
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

/// Whether a frame lies in one of some ranges that are in order and apart.
fn lies_in(ranges: &[Range<u64>], frame: u64) -> bool {
    let after = ranges.partition_point(|r| r.start <= frame);
    after > 0 && ranges[after - 1].contains(&frame)
}

/// A candidate's faces, and who they are.
fn all_faces<'a>(c: &'a Record, options: &Options) -> Vec<(&'a Face, usize)> {
    c.faces.iter().flatten().zip(c.people.iter().map(|&person| options.edits.really(person))).collect()
}

/// Those that are large enough.
fn large_faces<'a>(c: &'a Record, options: &Options) -> impl Iterator<Item = (&'a Face, usize)> + use<'a> {
    let least_px = options.min_face_px;
    all_faces(c, options).into_iter().filter(move |(face, _)| face.bbox[2].max(face.bbox[3]) >= least_px)
}

/// What keeps a face from counting.
fn gate(face: &Face, options: &Options) -> Option<Flag> {
    face.flags.iter().copied().find(|flag| options.face_gates.contains(flag))
}

/// What the user has said of a frame.
fn by_hand(index: u64, edits: &Edits) -> Option<bool> {
    let kept = edits.include.contains(&index).then_some(true);
    kept.or(edits.exclude.contains(&index).then_some(false))
}

/// Why none of a candidate's faces counts, if that is so.
fn faceless(c: &Record, options: &Options, someone_wanted: bool) -> Reason {
    let mut counting = large_faces(c, options).filter(|(face, _)| gate(face, options).is_none());
    if someone_wanted && counting.next().is_some() {
        return Reason::OtherPerson;
    }
    let best = large_faces(c, options).max_by(|(a, _), (b, _)| a.quality.total_cmp(&b.quality));
    match best.and_then(|(face, _)| gate(face, options)) {
        Some(Flag::Small) => Reason::FaceSmall,
        Some(Flag::Blurred) => Reason::FaceBlurred,
        Some(Flag::Profile) => Reason::FaceProfile,
        Some(Flag::Dark) => Reason::FaceDark,
        Some(Flag::Bright) => Reason::FaceBright,
        Some(Flag::Truncated) => Reason::FaceTruncated,
        None if c.faces.iter().flatten().next().is_some() => Reason::FaceSmall,
        None => Reason::NoFace,
    }
}
