//! One video natively, from file to folder.
//!
//! ```text
//! Reader ──frames──► Measurer ──► Session ──candidates──► pool
//!                                    ▲─────────faces────────┘
//! afterwards:  the choice → threads with Readers → files
//! ```
//!
//! Frames are measured where the decoder has them, and only those that may become candidates are copied. FFmpeg has
//! threads of its own; where no pixels are wanted, Reader and Measurer stand for several ([`crate::decode::groups`]).
//!
//! What comes in is recorded in a [`log`], so that a job that was interrupted goes on.
//!
//! The pool takes few candidates at a time: where it is slow decoding waits, and memory does not grow with the video.

pub mod log;
pub mod pool;

use crate::contact;
use crate::dataset::{self, Dataset};
use crate::decode::groups::Ended;
use crate::decode::{Decoded, Decoding, Reader, Tally};
use crate::error::{Error, Result};
use crate::faces::Face;
use crate::faces::pack::Pack;
use crate::frame::{Frame, FrameLayout, Transfer};
use crate::inference::Engine;
use crate::journal::{Checkpoint, Replay};
use crate::manifest::{KeptFace, KeptFrame, Manifest, Options, Video};
use crate::pipeline::{Measured, Measurer, Session};
use crate::sampling::Candidate;
use crate::sampling::selection::FacesMode;
use crate::still::{self, Place, Stills};
use log::Log;
use pool::Pool;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How a job tells what it does, and is told to stop.
pub struct Hooks<'a> {
    /// Called often; see [`Progress`].
    pub progress: &'a dyn Fn(Progress),
    /// Called with what the user should know meanwhile, in words.
    pub say: &'a dyn Fn(&str),
    /// Set from elsewhere to end the job with [`Error::Cancelled`].
    pub cancelled: &'a AtomicBool,
}

impl Hooks<'_> {
    fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Decoding and sampling every frame.
    Scan,
    /// Decoding a few frames again that turned out to be better candidates.
    Again,
    /// Waiting for the faces of the last candidates.
    Faces,
    /// Writing the chosen frames.
    Write,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Frames done.
    pub done: u64,
    /// Frames to do; an estimate while scanning a container without a list of its frames.
    pub total: u64,
}

/// The networks, and what runs them.
#[derive(Clone)]
pub struct Models {
    /// The files; its precision is the one computed with.
    pub pack: Pack,
    /// What runs them.
    pub engine: Engine,
}

/// A scanned video: its records, from which any choice can be made and written.
pub struct Scanned {
    session: Session,
    reader: Reader,
    tally: Tally,
    video: Video,
    timings_s: BTreeMap<String, f64>,
}

/// Scans a video, for a choice of frames. With faces ignored no face is looked for. Goes on from what `log` holds, and
/// records there what it finds.
pub fn scan(
    path: &Path,
    options: &Options,
    decoding: Decoding,
    pool: &mut Pool,
    log: Option<&mut Log>,
    hooks: &Hooks<'_>,
) -> Result<Scanned> {
    let start = Instant::now();
    let wanted = options.faces != FacesMode::Ignore;
    let mut faces = Faces { pool: wanted.then_some(pool), log, replay: Replay::default(), done: 0, all: 0 };
    let mut scan_s = 0.0;
    let mut run = || -> Result<Scanned> {
        let mut scanned = read(path, options, decoding, &mut faces, hooks)?;
        scanned.look_again(decoding.threads, &mut faces, hooks)?;
        scan_s = start.elapsed().as_secs_f64();
        faces.finish(&mut scanned.session, hooks)?;
        Ok(scanned)
    };
    let mut scanned = run().inspect_err(|_| faces.forget())?;
    let total_s = start.elapsed().as_secs_f64();
    let timings_s = [("scan", scan_s), ("faces_after_scan", total_s - scan_s), ("total", total_s)];
    scanned.timings_s = timings_s.map(|(name, seconds)| (name.to_string(), seconds)).into();
    Ok(scanned)
}

/// Scans a video for its scenes alone: the result has all of them, and no good choice of frames.
pub fn scenes(path: &Path, options: &Options, decoding: Decoding, hooks: &Hooks<'_>) -> Result<Scanned> {
    let mut none = Faces { pool: None, log: None, replay: Replay::default(), done: 0, all: 0 };
    read(path, options, decoding, &mut none, hooks)
}

/// Decodes and samples every frame.
fn read(
    path: &Path,
    options: &Options,
    decoding: Decoding,
    faces: &mut Faces<'_>,
    hooks: &Hooks<'_>,
) -> Result<Scanned> {
    if let Some(scanned) = attempt(path, options, decoding, true, faces, hooks)? {
        return Ok(scanned);
    }
    let name = path.display();
    (hooks.say)(&format!("{name} is damaged or out of order: it is begun again, one frame after the other"));
    faces.start_again()?;
    let scanned = attempt(path, options, decoding, false, faces, hooks)?;
    scanned.ok_or_else(|| Error::Video("could not be read in order".into()))
}

/// Decodes and samples every frame; at the first attempt in groups of pictures, where that can be, and `None` where they
/// turn out not to be in order.
fn attempt(
    path: &Path,
    options: &Options,
    decoding: Decoding,
    first: bool,
    faces: &mut Faces<'_>,
    hooks: &Hooks<'_>,
) -> Result<Option<Scanned>> {
    let mut reader = Reader::open(path, decoding)?;
    if let Some(reason) = reader.in_software().filter(|_| first) {
        (hooks.say)(&format!("{} is decoded in software: {reason}", path.display()));
    }
    let facts = reader.facts().clone();
    let mut session = Session::new(options, facts.duration_s);
    let mut ended = false;
    let mut measurer = Measurer::new(&options.detector)?;
    if let Some(last_s) = faces.replay(&mut session, hooks, facts.frames)? {
        let checkpoint = std::mem::take(&mut faces.replay.checkpoint);
        if checkpoint.ended {
            ended = true;
            reader.resume_at_end(session.frames(), checkpoint);
        } else if let Some(last) = reader.resume(last_s, session.frames(), &checkpoint)? {
            // Some measures are differences to the frame before.
            measurer.measure(&Frame::new(&last.layout, &last.data)?)?;
        } else {
            // What is recorded cannot be gone on from; it is found again.
            faces.start_again()?;
            reader = Reader::open(path, decoding)?;
            session = Session::new(options, facts.duration_s);
        }
    }
    let threads = decoding.threads.min(std::thread::available_parallelism().map_or(1, usize::from));
    let pixels = faces.pool.is_some();
    let in_groups = first && !pixels && measurer.is_orderless() && reader.has_groups_for(threads);
    let mut intake = Intake { session: &mut session, faces, hooks, pixels, batch: options.batch, frames: facts.frames };
    let decode = AssertUnwindSafe(|| match ended {
        true => Ok(true),
        false if in_groups => intake.take_groups(&mut reader, threads),
        false => intake.take_all(&mut reader, measurer).map(|()| true),
    });
    let crashed = |_| Err(Error::Video("crashed the scan, which is a mistake in framesift: please report it".into()));
    if !catch_unwind(decode).unwrap_or_else(crashed)? {
        return Ok(None);
    }
    let tally = reader.tally().clone();
    let expected = reader.expected();
    if tally.frames == 0 {
        let why = tally.notes.first().map(|note| format!(" ({note})")).unwrap_or_default();
        return Err(Error::Video(format!(
            "has {expected} frames, none of which could be decoded{why}. Rewriting it may help: ffmpeg -i input -c:v libx264 output.mp4"
        )));
    }
    if let Some(log) = faces.log.as_mut().filter(|_| !ended) {
        // At the end, what has not come does not come.
        log.checkpoint(&Checkpoint { ended: true, packets: tally.packets, ..reader.checkpoint() })?;
    }
    session.finish().into_iter().try_for_each(|last| faces.look_at(Some(last), &mut session))?;
    let mut notes = tally.notes.clone();
    if tally.more_notes > 0 {
        notes.push(format!("{} more problems while decoding", tally.more_notes));
    }
    let known = reader.lists_frames() || !tally.notes.is_empty();
    notes.extend(session.shortfall(expected, known, reader.states_length().then_some(facts.duration_s)));
    let video = Video {
        name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        size_bytes: std::fs::metadata(path).ok().map(|facts| facts.len()),
        duration_s: session.duration_s(),
        width: facts.width,
        height: facts.height,
        rotation_deg: facts.rotation_deg,
        codec: facts.codec,
        hdr: Some(facts.transfer).filter(|&transfer| transfer != Transfer::Sdr),
        frames_expected: expected,
        frames_decoded: tally.frames,
        frames_missing: expected - tally.frames,
        notes,
    };
    Ok(Some(Scanned { session, reader, tally, video, timings_s: BTreeMap::new() }))
}

/// Where frames go.
struct Intake<'a, 'b> {
    session: &'a mut Session,
    faces: &'a mut Faces<'b>,
    hooks: &'a Hooks<'a>,
    /// Whether anybody looks at the pixels of candidates.
    pixels: bool,
    /// Frames between two checkpoints.
    batch: usize,
    /// Of the video, perhaps an estimate.
    frames: u64,
}

impl Intake<'_, '_> {
    /// Decodes and measures all frames, one after the other.
    fn take_all(&mut self, reader: &mut Reader, mut measurer: Measurer) -> Result<()> {
        while let Some((time_s, duration_s)) = reader.next_frame() {
            let checkpoint = self.checkpoint(reader);
            reader.show(|frame| {
                let measured = measurer.measure(frame)?;
                let wanted = self.pixels;
                self.take(time_s, duration_s, measured, checkpoint, |pixels| match wanted {
                    true => frame.pack(pixels),
                    false => frame.layout().clone(),
                })
            })?;
        }
        Ok(())
    }

    /// Decodes and measures all frames in groups of pictures, on so many threads; `false` where they are not in order.
    fn take_groups(&mut self, reader: &mut Reader, threads: usize) -> Result<bool> {
        let see = |frame: &Frame<'_>| Ok((Measurer::measure_alone(frame)?, frame.layout().clone()));
        let mut taken = Ok(());
        let ended = reader.decode_in_groups(threads, &see, &mut |reader, time_s, duration_s, (measured, layout)| {
            let checkpoint = self.checkpoint(reader);
            taken = self.take(time_s, duration_s, measured, checkpoint, |_| layout);
            taken.is_ok()
        });
        taken.map(|()| ended != Ended::Disorderly)
    }

    /// Where decoding is, now and then.
    fn checkpoint(&self, reader: &mut Reader) -> Option<Checkpoint> {
        reader.tally().frames.is_multiple_of(self.batch as u64).then(|| reader.checkpoint())
    }

    fn take(
        &mut self,
        time_s: f64,
        duration_s: f64,
        measured: Measured,
        checkpoint: Option<Checkpoint>,
        hold: impl FnOnce(&mut Vec<u8>) -> FrameLayout,
    ) -> Result<()> {
        self.hooks.check()?;
        self.faces.record(time_s, duration_s, &measured, checkpoint.as_ref())?;
        let candidate = self.session.push(time_s, duration_s, measured, hold)?;
        self.faces.look_at(candidate, self.session)?;
        (self.hooks.progress)(Progress { stage: Stage::Scan, done: self.session.frames(), total: self.frames });
        Ok(())
    }
}

/// The candidates' way through the pool, and what is recorded of it.
struct Faces<'a> {
    /// `None` where no face is looked for.
    pool: Option<&'a mut Pool>,
    log: Option<&'a mut Log>,
    /// What an earlier run has recorded.
    replay: Replay,
    done: u64,
    all: u64,
}

impl Faces<'_> {
    /// Feeds the session with what an earlier run has recorded; returns the time of its last frame in seconds, if
    /// there is one.
    fn replay(&mut self, session: &mut Session, hooks: &Hooks<'_>, frames: u64) -> Result<Option<f64>> {
        let (Some(log), replay) = (&mut self.log, &mut self.replay) else { return Ok(None) };
        log.replay(|entry| {
            hooks.check()?;
            replay.take(entry, session)?;
            (hooks.progress)(Progress { stage: Stage::Scan, done: session.frames(), total: frames });
            Ok(())
        })?;
        replay.finish(session)?;
        Ok(replay.last_s)
    }

    /// Drops what an earlier run has recorded.
    fn start_again(&mut self) -> Result<()> {
        self.replay = Replay::default();
        self.log.as_mut().map_or(Ok(()), |log| log.forget())
    }

    fn record(
        &mut self,
        time_s: f64,
        duration_s: f64,
        measured: &Measured,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        log.frame(time_s, duration_s, measured);
        checkpoint.map_or(Ok(()), |checkpoint| log.checkpoint(checkpoint))
    }

    fn look_at(&mut self, candidate: Option<Candidate>, session: &mut Session) -> Result<()> {
        let Some(pool) = &mut self.pool else { return Ok(()) };
        if let Some(Candidate { index, layout, data, .. }) = candidate {
            if data.is_empty() || self.replay.knows(index) {
                self.replay.look_up(index, session)?;
            } else {
                self.all += 1;
                pool.submit(index, layout, data)?;
            }
        }
        while let Some(reply) = self.pool.as_mut().and_then(|pool| pool.poll()) {
            self.store(reply, session)?;
        }
        Ok(())
    }

    fn finish(&mut self, session: &mut Session, hooks: &Hooks<'_>) -> Result<()> {
        while let Some(reply) = self.pool.as_mut().and_then(|pool| pool.wait()) {
            hooks.check()?;
            self.store(reply, session)?;
            (hooks.progress)(Progress { stage: Stage::Faces, done: self.done, total: self.all });
        }
        Ok(())
    }

    fn store(&mut self, (index, faces): (u64, Result<Vec<Face>>), session: &mut Session) -> Result<()> {
        let faces = faces?;
        self.done += 1;
        if let Some(log) = &mut self.log {
            log.faces(index, &faces)?;
        }
        session.set_faces(index, faces)
    }

    /// Drops what is under way.
    fn forget(&mut self) {
        if let Some(pool) = &mut self.pool {
            pool.forget();
        }
    }
}

impl Scanned {
    /// Decodes a few frames again that turned out to be better candidates.
    fn look_again(&mut self, threads: usize, faces: &mut Faces<'_>, hooks: &Hooks<'_>) -> Result<()> {
        let mut again = self.session.second_look();
        if faces.pool.is_none() {
            // All but faces is known of every frame: those that are chosen are decoded with the others.
            return again.into_iter().try_for_each(|index| self.session.add_candidate_unseen(index));
        }
        again.append(&mut faces.replay.take_owed());
        again.sort_unstable();
        let times_s = again.iter().map(|&index| self.session.time_of(index)).collect::<Result<Vec<_>>>()?;
        let (mut done, total) = (0, again.len() as u64);
        let session = &mut self.session;
        let take = |position: usize, frame: Option<Decoded>| {
            hooks.check()?;
            done += 1;
            (hooks.progress)(Progress { stage: Stage::Again, done, total });
            // Without it the choice is only less good.
            let Some(frame) = frame else { return Ok(()) };
            let candidate = session.add_candidate(again[position], &frame.layout, frame.data)?;
            faces.look_at(Some(candidate), session)
        };
        self.reader.find_all(&times_s, &self.tally.keys_s, threads, &|_, frame| Ok(frame), take)
    }

    /// Says who is looked for; see [`Session::look_for`].
    pub fn look_for(&mut self, references: Vec<Vec<f32>>) {
        self.session.look_for(references);
    }

    /// Says with whom no frame is to be kept; see [`Session::avoid`].
    pub fn avoid(&mut self, references: Vec<Vec<f32>>) {
        self.session.avoid(references);
    }

    /// The result under `options`, without writing anything.
    pub fn manifest(&mut self, options: &Options, models: &Models) -> Result<Manifest> {
        self.session.detect(&options.detector, options.sensitivity)?;
        let (device, timings_s) = (models.engine.name(), self.timings_s.clone());
        Ok(self.session.manifest(options, &models.pack.spec, self.video.clone(), &device, timings_s))
    }

    /// Chooses under `options` and writes frames, faces, the scenes' table and the manifest
    /// into `folder`. Files get their names when they are complete; the manifest comes last.
    pub fn write(
        &mut self,
        folder: &Path,
        options: &Options,
        models: &Models,
        workers: usize,
        hooks: &Hooks<'_>,
    ) -> Result<Manifest> {
        let start = Instant::now();
        let mut manifest = self.manifest(options, models)?;
        for inner in ["frames", "faces"] {
            let inner = folder.join(inner);
            std::fs::create_dir_all(&inner).map_err(|e| cannot_write(&inner, &e))?;
        }
        let thumbnail = options.also.contains(&Dataset::Contact);
        let frames: BTreeMap<u64, &KeptFrame> = manifest.frames.iter().map(|frame| (frame.index, frame)).collect();
        let place = |face: &KeptFace| Place { bbox: face.bbox, landmarks: face.landmarks };
        let chosen: Vec<&KeptFrame> = frames.into_values().collect();
        let times_s: Vec<f64> = chosen.iter().map(|frame| frame.time_s).collect();
        let stills: Vec<Stills> =
            (chosen.iter()).map(|frame| options.stills(frame.faces.iter().map(place).collect(), thumbnail)).collect();
        let make = |position: usize, found: Decoded| {
            let picture = Frame::new(&found.layout, &found.data)?.to_rgb()?;
            stills[position].of(&picture, &still::webp)
        };
        let (mut thumbnails, mut lost) = (BTreeMap::new(), Vec::new());
        let (mut written, total) = (0, chosen.len() as u64);
        let save = |position: usize, files: Option<Vec<Vec<u8>>>| {
            hooks.check()?;
            let frame = chosen[position];
            match files {
                Some(mut files) => {
                    if let Some(small) = files.pop_if(|_| thumbnail) {
                        thumbnails.insert(frame.index, (frame.time_s, small));
                    }
                    let names = std::iter::once(&frame.file).chain(frame.faces.iter().filter_map(|f| f.crop.as_ref()));
                    names.zip(files).try_for_each(|(name, bytes)| write_whole(&folder.join(name), &bytes))?;
                }
                None => lost.push(frame.index),
            }
            written += 1;
            (hooks.progress)(Progress { stage: Stage::Write, done: written, total });
            Ok(())
        };
        self.reader.find_all(&times_s, &self.tally.keys_s, workers, &make, save)?;
        lost.sort_unstable();
        if !lost.is_empty() && lost.len() == manifest.frames.len() {
            return Err(Error::Video("was scanned, but none of the chosen frames could be decoded again".into()));
        }
        manifest.leave_out(&lost);
        manifest.timings_s.insert("export".into(), start.elapsed().as_secs_f64());
        let sheets = contact::sheets(&thumbnails.into_values().collect::<Vec<_>>())?;
        for (name, bytes) in dataset::files(&manifest)?.into_iter().chain(sheets) {
            write_whole(&folder.join(name), &bytes)?;
        }
        write_whole(&folder.join("scenes.csv"), manifest.scenes_csv().as_bytes())?;
        let json = serde_json::to_string_pretty(&manifest).map_err(|e| Error::Usage(e.to_string()))?;
        write_whole(&folder.join("manifest.json"), (json + "\n").as_bytes())?;
        Ok(manifest)
    }
}

/// Writes a file under another name and renames it when it is complete.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".part");
    let inside = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    inside.and_then(|()| std::fs::write(&temporary, bytes)).and_then(|()| std::fs::rename(&temporary, path)).map_err(
        |e| {
            // What is half written is of no use; that it may stay as well changes nothing.
            let _ = std::fs::remove_file(&temporary);
            cannot_write(path, &e)
        },
    )
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::Usage(format!("cannot write {}: {error}", path.display()))
}
