//! Video files through FFmpeg's libraries, for the native build.
//!
//! [`Reader`] hands out a video's frames in presentation order, with the times that the
//! container states and in the decoder's own pixel format: all of them
//! ([`Reader::decode`]), or a few once more ([`Reader::find`], [`Reader::find_all`]). What cannot be decoded
//! is counted, never silently lost.

mod again;
pub mod groups;
pub mod hardware;
mod layout;

use crate::error::{Error, Result};
use crate::frame::{Frame, FrameLayout, Transfer};
use crate::journal::Checkpoint;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::packet::Ref as _;
use ffmpeg_next::{codec, format, media, packet};
use hardware::Hardware;
use std::path::{Path, PathBuf};

/// Presentation times are equal when they differ by less than this.
const SAME_TIME_S: f64 = 0.0005;
/// Read errors in a row after which a file is given up.
const MOST_READ_ERRORS: usize = 64;
/// Further back than this, times begin again; otherwise a frame is out of order.
const MOST_STEP_BACK_S: f64 = 1.0;
/// Errors that are told one by one; the rest is only counted.
const MOST_NOTES: usize = 5;

/// What a container says about its video.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Length in seconds as the container states it; 0 where it does not.
    pub duration_s: f64,
    /// Width in pixels as shown: square pixels, upright.
    pub width: u32,
    /// Height in pixels as shown.
    pub height: u32,
    /// Clockwise rotation for display, in degrees.
    pub rotation_deg: u32,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// How samples follow from light.
    pub transfer: Transfer,
    /// Frames that the container lists, or an estimate where it has no list.
    pub frames: u64,
}

/// A frame with its pixels.
pub struct Decoded {
    /// Presentation time in seconds.
    pub time_s: f64,
    /// How long it is shown, in seconds.
    pub duration_s: f64,
    /// What the bytes mean.
    pub layout: FrameLayout,
    /// The planes.
    pub data: Vec<u8>,
}

/// How a file is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Decoding {
    /// Threads of a decoder in software.
    pub threads: usize,
    /// A decoder in hardware, for the videos that it decodes; others are decoded in software.
    pub hardware: Option<Hardware>,
}

/// What FFmpeg calls its version, and that of libavcodec.
pub fn ffmpeg_version() -> String {
    // SAFETY: constant text.
    let name = unsafe { std::ffi::CStr::from_ptr(ffmpeg::ffi::av_version_info()) }.to_string_lossy();
    let version = codec::version();
    format!("{name} (libavcodec {}.{})", version >> 16, version >> 8 & 0xff)
}

/// The codecs of most video, by FFmpeg's names, and whether this FFmpeg decodes them.
pub fn usual_codecs() -> Vec<(&'static str, bool)> {
    use codec::Id::{AV1, H264, HEVC, MPEG2VIDEO, MPEG4, PRORES, VP8, VP9};
    let known = [H264, HEVC, VP8, VP9, AV1, MPEG2VIDEO, MPEG4, PRORES];
    known.map(|id| (id.name(), codec::decoder::find(id).is_some())).into()
}

/// Where a reader is, and what it has met so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Packets that hold a frame to be shown.
    pub packets: u64,
    /// Frames handed out.
    pub frames: u64,
    /// What went wrong, in words.
    pub notes: Vec<String>,
    /// Further problems, without words.
    pub more_notes: u64,
    /// Times of the key frames in seconds, in order; none where times step back.
    pub keys_s: Vec<f64>,
    /// Whether the file's times step back somewhere, as those of joined recordings do.
    pub stepped_back: bool,
}

/// How a search for a frame ended.
enum Search {
    Found(Decoded),
    /// Frames on both sides were decoded, or the end was reached, but not this one.
    Absent,
    /// It began behind the frame.
    Late,
}

impl Search {
    fn found(self) -> Option<Decoded> {
        if let Self::Found(frame) = self { Some(frame) } else { None }
    }
}

/// A video file that is being decoded.
pub struct Reader {
    path: PathBuf,
    decoding: Decoding,
    input: format::context::Input,
    decoder: codec::decoder::Video,
    stream: usize,
    time_base: ffmpeg::Rational,
    /// Of a frame that does not say how long it is shown.
    usual_duration_s: f64,
    turn: layout::Turn,
    facts: Facts,
    /// Frames that the container's index lists, where it lists all of them.
    indexed: u64,
    frame: ffmpeg::frame::Video,
    last_s: f64,
    /// The file is read to its end, and the decoder gives what it holds.
    draining: bool,
    /// Frames before this time are decoded only as far as others need them.
    wanted_s: f64,
    /// What is added to the file's times, where they stepped back.
    offset_s: f64,
    /// Shape of a pixel by the container, if it says so.
    pixel_shape: Option<ffmpeg::Rational>,
    tally: Tally,
    /// Times of packets whose frames are yet to come.
    ahead_s: Vec<f64>,
    /// Key frames that a checkpoint has told.
    told_keys: usize,
    /// Why it is not decoded in the hardware that was asked for.
    in_software: Option<String>,
}

impl Reader {
    /// Opens a file and prepares its decoder.
    pub fn open(path: &Path, decoding: Decoding) -> Result<Self> {
        let mut reader = Self::prepare(path, decoding, None)?;
        let Some(hardware) = decoding.hardware else { return Ok(reader) };
        // Which decoder takes the video is known with its first frame, and not before.
        let begins = reader.advance().is_some();
        if begins && hardware::holds(&reader.frame) {
            return reader.another(1);
        }
        let format = reader.decoder.format().descriptor().map_or("an unknown format", |format| format.name());
        let reason = match begins {
            true => format!("{} does not decode {} in {format}", hardware.name(), reader.facts.codec),
            false => format!("{} gives no frame of it", hardware.name()),
        };
        let software = Self::prepare(path, Decoding { hardware: None, ..decoding }, Some(reader.facts.duration_s))?;
        Ok(Self { in_software: Some(reason), ..software })
    }

    /// A reader of the same file from its start, decoded as this one is. Of the threads it has its share where so many
    /// read the file at once.
    pub fn another(&self, sharers: usize) -> Result<Self> {
        let threads = self.decoding.threads.div_ceil(sharers.max(1));
        Self::prepare(&self.path, Decoding { threads, ..self.decoding }, Some(self.facts.duration_s))
    }

    /// `known_s`: the length, where it was found before, so that a file that does not say it is not read through again.
    fn prepare(path: &Path, decoding: Decoding, known_s: Option<f64>) -> Result<Self> {
        // FFmpeg's own messages do not say which file or frame they mean; ours do.
        ffmpeg::init().map_err(|e| Error::Video(e.to_string()))?;
        ffmpeg::log::set_level(ffmpeg::log::Level::Fatal);
        let length = std::fs::metadata(path).map_err(|e| Error::Video(format!("cannot be read: {e}")))?.len();
        if length == 0 {
            return Err(Error::Video("is empty (0 bytes): copy it again from where it came".into()));
        }
        let Some(name) = path.to_str() else {
            return Err(Error::Video("has a name that is not UTF-8: rename it".into()));
        };
        // Without the protocol, what stands before a colon in the name would be taken for one.
        let input = format::input(&format!("file:{name}")).map_err(|e| {
            Error::Video(format!(
                "is no video file that FFmpeg knows, or its index is damaged ({e}). A recording that was interrupted can \
                 often be repaired with: ffmpeg -i input -c copy output.mp4"
            ))
        })?;
        let Some(stream) = input.streams().best(media::Type::Video) else {
            return Err(Error::Video("has no video track: choose a file that shows a picture when you play it".into()));
        };
        let time_base = stream.time_base();
        let rate = f64::from(stream.avg_frame_rate());
        let usual_duration_s = if rate.is_finite() && rate > 0.0 { 1.0 / rate } else { 0.04 };
        let codec = stream.parameters().id().name().to_string();
        let undecodable = |e: ffmpeg::Error| {
            Error::Video(format!(
                "holds {codec}, which this FFmpeg does not decode ({e}): `ffmpeg -decoders` lists what it does"
            ))
        };
        // Hardware does not get faster with more threads.
        let threads = if decoding.hardware.is_some() { 1 } else { decoding.threads };
        let device = decoding.hardware.map(Hardware::reference).transpose()?;
        let decoder = opened(&stream, threads, device).map_err(undecodable)?;
        let turn = layout::Turn::of(&stream);
        let pixel_shape = pixel_shape(&stream);
        let shape = pixel_shape.unwrap_or(decoder.aspect_ratio());
        let (width, height) = turn.shown(decoder.width(), decoder.height(), shape);
        let stated = seconds(stream.duration(), time_base);
        let whole = input.duration() as f64 / f64::from(ffmpeg::ffi::AV_TIME_BASE);
        // Matroska says when the last frame ends, which is later where the first does not begin at zero.
        let start_s = match input.format().name().contains("matroska") {
            true => seconds(stream.start_time().max(0), time_base),
            false => 0.0,
        };
        let duration_s = match [stated, whole].into_iter().find(|&s| s.is_finite() && s > 0.0) {
            Some(end_s) => (end_s - start_s).max(0.0),
            None => known_s.map_or_else(|| read_through(name, &stream, usual_duration_s), Ok)?,
        };
        let indexed = indexed_frames(&stream, &input);
        let frames = if indexed > 0 { indexed } else { (duration_s / usual_duration_s).round() as u64 };
        let transfer = layout::transfer(decoder.color_transfer_characteristic());
        let facts = Facts { duration_s, width, height, rotation_deg: turn.rotation_deg, codec, transfer, frames };
        let stream = stream.index();
        Ok(Self {
            path: path.to_path_buf(),
            decoding,
            input,
            decoder,
            stream,
            time_base,
            usual_duration_s,
            turn,
            facts,
            indexed,
            frame: ffmpeg::frame::Video::empty(),
            last_s: f64::NEG_INFINITY,
            draining: false,
            wanted_s: f64::NEG_INFINITY,
            offset_s: 0.0,
            pixel_shape,
            tally: Tally::default(),
            ahead_s: Vec::new(),
            told_keys: 0,
            in_software: None,
        })
    }

    /// Where decoding is after the last frame that was handed out, for [`Reader::resume`]; of the key frames
    /// those since the last checkpoint.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let due = self.tally.keys_s.partition_point(|&key_s| key_s <= self.last_s);
        let told = std::mem::replace(&mut self.told_keys, due).min(due);
        Checkpoint {
            packets: self.tally.packets - self.ahead_s.len() as u64,
            notes: self.tally.notes.clone(),
            more_notes: self.tally.more_notes,
            keys_s: self.tally.keys_s[told..due].to_vec(),
            stepped_back: self.tally.stepped_back,
            ended: false,
            hdr: None,
        }
    }

    /// Goes on after the frame at `last_s`, where an earlier reader had handed out `frames`; returns that frame once
    /// more, or `None` where it cannot be found again. `checkpoint`: that of the earlier reader, with the key frames of
    /// all.
    pub fn resume(&mut self, last_s: f64, frames: u64, checkpoint: &Checkpoint) -> Result<Option<Decoded>> {
        // Where times may step back, now or further on, places do not follow from them: such a file is read from its
        // start, and every frame of it, as the steps are found by their neighbours.
        let by_time = self.states_length() && !checkpoint.stepped_back;
        self.tally.stepped_back = !by_time;
        let keys_s = if by_time { checkpoint.keys_s.as_slice() } else { &[] };
        let mut last = self.find(last_s, keys_s)?;
        // Times may lie closer than a search tells apart; they are the same each time.
        while last.as_ref().is_some_and(|frame| frame.time_s < last_s) {
            last = self.decode(Vec::new())?;
        }
        let Some(last) = last.filter(|frame| frame.time_s == last_s) else { return Ok(None) };
        let met = std::mem::take(&mut self.tally);
        let later = met.keys_s.into_iter().filter(|&key_s| key_s > last_s);
        let Checkpoint { packets, notes, more_notes, keys_s, stepped_back, .. } = checkpoint.clone();
        self.told_keys = keys_s.len();
        self.tally = Tally {
            packets: packets + self.ahead_s.len() as u64,
            frames,
            notes,
            more_notes,
            keys_s: if stepped_back { Vec::new() } else { keys_s.into_iter().chain(later).collect() },
            stepped_back,
        };
        Ok(Some(last))
    }

    /// Takes over what an earlier reader had met by the end of the file: nothing is left to decode but single frames.
    pub fn resume_at_end(&mut self, frames: u64, checkpoint: Checkpoint) {
        let Checkpoint { packets, notes, more_notes, keys_s, stepped_back, .. } = checkpoint;
        let keys_s = if stepped_back { Vec::new() } else { keys_s };
        self.tally = Tally { packets, frames, notes, more_notes, keys_s, stepped_back };
    }

    /// What the container says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Bytes of a frame, packed.
    fn frame_bytes(&self) -> usize {
        layout::bytes(self.decoder.format(), self.decoder.width(), self.decoder.height())
    }

    /// Whether the container lists its frames, so that what is missing is known.
    pub fn lists_frames(&self) -> bool {
        self.indexed > 0
    }

    /// Whether the container is one that says how long it lasts and where its frames are, so that nothing is estimated.
    pub fn states_length(&self) -> bool {
        self.input.format().name().split(',').any(|name| ["mp4", "matroska"].contains(&name))
    }

    /// Why it is not decoded in the hardware that was asked for; `None` where it is, or where none was.
    pub fn in_software(&self) -> Option<&str> {
        self.in_software.as_deref()
    }

    /// What was met so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// After the last frame: how many frames there should have been.
    pub fn expected(&self) -> u64 {
        self.tally.packets.max(self.indexed).max(self.tally.frames)
    }

    /// The next frame, its pixels in `buffer`; `None` after the last one.
    pub fn decode(&mut self, buffer: Vec<u8>) -> Result<Option<Decoded>> {
        self.next_frame().map(|(time_s, _)| self.copy(time_s, buffer)).transpose()
    }

    /// Decodes the next frame, for [`Reader::show`]: its time, and how long it is shown, both in seconds. `None` after the
    /// last one.
    pub fn next_frame(&mut self) -> Option<(f64, f64)> {
        self.wanted_s = f64::NEG_INFINITY;
        let time_s = self.advance()?;
        self.tally.frames += 1;
        if groups::is_concealed(&self.frame) {
            self.note(|at| format!("the frame at {at} is damaged: the decoder made up a part of its picture"));
        }
        Some((time_s, self.duration_of_frame()))
    }

    /// Shows the decoded frame where the decoder has it; returns what was seen.
    pub fn show<T>(&self, see: impl FnOnce(&Frame<'_>) -> Result<T>) -> Result<T> {
        let pixel_shape = self.pixel_shape.unwrap_or(self.frame.aspect_ratio());
        let fetched = hardware::fetched(&self.frame)?;
        layout::show(fetched.as_ref().unwrap_or(&self.frame), self.turn, pixel_shape, see)
    }

    /// The frame that is shown at `time_s`, to be found where key frames are at `keys_s`;
    /// `None` where it cannot be decoded. Cheap for times in order.
    pub fn find(&mut self, time_s: f64, keys_s: &[f64]) -> Result<Option<Decoded>> {
        // Without key frames times may step back on the way, which is seen by the frames around: none is skipped.
        let wanted_s = if keys_s.is_empty() { f64::NEG_INFINITY } else { time_s };
        self.wanted_s = wanted_s;
        let keys_s = &keys_s[..keys_s.partition_point(|&key| key <= time_s + SAME_TIME_S)];
        let ahead = !self.draining && self.last_s < time_s - SAME_TIME_S;
        let near = keys_s.last().is_none_or(|&key| self.last_s >= key - SAME_TIME_S);
        if ahead && near && self.last_s.is_finite() {
            return Ok(self.go_to(time_s)?.found());
        }
        // A container may go to a later key frame than it should, and not every key frame is
        // one that all later frames can be decoded from: so earlier ones are tried.
        let mut is_absent = false;
        for back in [1, 2, 5] {
            let Some(key) = keys_s.len().checked_sub(back) else { break };
            if !self.seek(keys_s[key]) {
                break;
            }
            match self.go_to(time_s)? {
                Search::Absent => is_absent = true,
                Search::Late => is_absent = false,
                search => return Ok(search.found()),
            }
        }
        if is_absent {
            return Ok(None);
        }
        self.restart()?;
        self.wanted_s = wanted_s;
        Ok(self.go_to(time_s)?.found())
    }

    /// Decodes on to the frame at `time_s`.
    fn go_to(&mut self, time_s: f64) -> Result<Search> {
        let mut begun = self.last_s.is_finite();
        while let Some(found_s) = self.advance() {
            if found_s > time_s + SAME_TIME_S {
                return Ok(if begun { Search::Absent } else { Search::Late });
            }
            if found_s >= time_s - SAME_TIME_S {
                return self.copy(found_s, Vec::new()).map(Search::Found);
            }
            begun = true;
        }
        Ok(if begun { Search::Absent } else { Search::Late })
    }

    /// Goes on from the key frame at `time_s`; `false` where the container cannot.
    fn seek(&mut self, time_s: f64) -> bool {
        let target = (time_s * f64::from(ffmpeg::ffi::AV_TIME_BASE)).ceil() as i64;
        if self.input.seek(target, ..target.saturating_add(1)).is_err() {
            return false;
        }
        self.decoder.flush();
        self.ahead_s.clear();
        self.draining = false;
        self.last_s = f64::NEG_INFINITY;
        true
    }

    /// Begins again. The file is opened anew, as streams without a container cannot seek even
    /// to their start.
    fn restart(&mut self) -> Result<()> {
        let (tally, in_software) = (std::mem::take(&mut self.tally), self.in_software.take());
        *self = Self { tally, in_software, ..self.another(1)? };
        Ok(())
    }

    /// Decodes the next frame that is shown; returns its time.
    fn advance(&mut self) -> Option<f64> {
        let (mut asked, mut failed) = (0, 0);
        loop {
            match self.decoder.receive_frame(&mut self.frame) {
                Ok(()) => {
                    if let Some(time_s) = self.shown() {
                        return Some(time_s);
                    }
                }
                Err(ffmpeg::Error::Eof) => return None,
                Err(ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) if asked < MOST_READ_ERRORS => {
                    // After the end it should not ask for more; if it does, not for ever.
                    asked += usize::from(self.draining);
                    failed = 0;
                    self.feed();
                }
                Err(ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) => return None,
                Err(error) => {
                    self.note(|at| format!("decoding failed after {at}: {error}"));
                    failed += 1;
                    // A decoder that is stuck gets further packets, and in the end is left.
                    match failed {
                        ..MOST_READ_ERRORS => {}
                        _ if self.draining => return None,
                        _ => self.feed(),
                    }
                }
            }
        }
    }

    /// Goes on to the decoded frame; returns its time, or `None` for one that is not to be shown.
    fn shown(&mut self) -> Option<f64> {
        let time_s = self.time_of_frame()?;
        self.last_s = time_s;
        self.ahead_s.retain(|&ahead_s| ahead_s > time_s);
        Some(time_s)
    }

    /// Time of the decoded frame; `None` for one that is not to be shown.
    fn time_of_frame(&mut self) -> Option<f64> {
        if self.frame.is_corrupt() {
            self.note(|at| format!("a damaged frame after {at} was left out"));
            return None;
        }
        let time_s = match self.frame.timestamp() {
            Some(timestamp) => seconds(timestamp, self.time_base) + self.offset_s,
            None if self.last_s.is_finite() => self.last_s + self.usual_duration_s,
            None => 0.0,
        };
        // What ends at or before zero is cut away by the file's own edit list.
        if time_s < 0.0 && time_s + self.duration_of_frame() <= 1e-6 {
            return None;
        }
        if time_s > self.last_s {
            return Some(time_s);
        }
        if self.last_s - time_s <= MOST_STEP_BACK_S {
            self.note(|at| format!("a frame was left out that is not later than the one before it, at {at}"));
            return None;
        }
        // Recordings that were joined: places in the file no longer follow from times.
        self.note(|at| format!("the file's times step back after {at}; they are taken to go on from there"));
        let next_s = self.last_s + self.usual_duration_s;
        self.offset_s += next_s - time_s;
        self.tally.stepped_back = true;
        self.tally.keys_s.clear();
        Some(next_s)
    }

    fn duration_of_frame(&self) -> f64 {
        match self.frame.packet().duration {
            duration if duration > 0 => seconds(duration, self.time_base),
            _ => self.usual_duration_s,
        }
    }

    /// Gives the decoder its next packet, or word that there is none.
    fn feed(&mut self) {
        let mut errors = 0;
        let packet = loop {
            match self.next_packet() {
                Ok(Some(packet)) => break packet,
                Ok(None) => return self.drain(),
                Err(error) => {
                    errors += 1;
                    self.note(|at| format!("the file cannot be read after {at}: {error}"));
                    if errors >= MOST_READ_ERRORS {
                        return self.drain();
                    }
                }
            }
        };
        self.count(&packet);
        let early = |pts| seconds(pts, self.time_base) < self.wanted_s - SAME_TIME_S;
        let early = !self.tally.stepped_back && packet.pts().is_some_and(early);
        self.decoder.skip_frame(if early { ffmpeg::Discard::NonReference } else { ffmpeg::Discard::Default });
        match self.decoder.send_packet(&packet) {
            Ok(()) => {}
            Err(error) => self.note(|at| format!("decoding failed after {at}: {error}")),
        }
    }

    /// The next packet of the video, `None` after the last one.
    fn next_packet(&mut self) -> std::result::Result<Option<packet::Packet>, ffmpeg::Error> {
        loop {
            let mut packet = packet::Packet::empty();
            match packet.read(&mut self.input) {
                // To a decoder an empty packet would mean the end of the video.
                Ok(()) if packet.stream() != self.stream || packet.size() == 0 => {}
                Ok(()) => return Ok(Some(packet)),
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells the decoder that nothing follows. With several threads, what went wrong before
    /// may come up only now.
    fn drain(&mut self) {
        self.draining = true;
        if let Err(error) = self.decoder.send_eof() {
            self.note(|at| format!("decoding failed after {at}: {error}"));
        }
    }

    fn count(&mut self, packet: &packet::Packet) {
        let duration_s = match packet.duration() {
            duration if duration > 0 => seconds(duration, self.time_base),
            _ => self.usual_duration_s,
        };
        let time_s = packet.pts().or(packet.dts()).map(|pts| seconds(pts, self.time_base));
        let shown = time_s.is_none_or(|time_s| time_s >= 0.0 || time_s + duration_s > 1e-6);
        if shown && !is_discarded(packet) {
            self.tally.packets += 1;
            let offset_s = self.offset_s;
            self.ahead_s.extend(time_s.map(|time_s| time_s + offset_s).filter(|&time_s| time_s > self.last_s));
        }
        let in_order = |time_s: &f64| self.tally.keys_s.last().is_none_or(|last| last < time_s);
        if let Some(time_s) = time_s.filter(|_| packet.is_key() && !self.tally.stepped_back).filter(in_order) {
            self.tally.keys_s.push(time_s);
        }
    }

    fn note(&mut self, text: impl FnOnce(String) -> String) {
        let at = if self.last_s.is_finite() { format!("{:.3} s", self.last_s) } else { "the start".into() };
        match self.tally.notes.len() < MOST_NOTES {
            true => self.tally.notes.push(text(at)),
            false => self.tally.more_notes += 1,
        }
    }

    fn copy(&mut self, time_s: f64, mut data: Vec<u8>) -> Result<Decoded> {
        let layout = self.show(|frame| Ok(frame.pack(&mut data)))?;
        Ok(Decoded { time_s, duration_s: self.duration_of_frame(), layout, data })
    }
}

/// A decoder for a stream: with so many threads, or in hardware.
fn opened(
    stream: &format::stream::Stream<'_>,
    threads: usize,
    device: Option<hardware::Reference>,
) -> std::result::Result<codec::decoder::Video, ffmpeg::Error> {
    let mut context = codec::context::Context::from_parameters(stream.parameters())?;
    let kind = codec::threading::Type::Frame;
    context.set_threading(codec::threading::Config { kind, count: threads, ..Default::default() });
    if let Some(device) = device {
        hardware::attach(&mut context, device);
    }
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    decoder.video()
}

/// Length in seconds of a video whose container does not say it, as of recordings that were interrupted: all its
/// packets are read, none decoded.
fn read_through(name: &str, stream: &format::stream::Stream<'_>, usual_duration_s: f64) -> Result<f64> {
    let mut input = format::input(&format!("file:{name}")).map_err(|e| Error::Video(e.to_string()))?;
    let (mut start_s, mut end_s) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut packet = packet::Packet::empty();
    while packet.read(&mut input).is_ok() {
        if packet.stream() != stream.index() {
            continue;
        }
        let Some(time_s) = packet.pts().or(packet.dts()).map(|pts| seconds(pts, stream.time_base())) else { continue };
        start_s = start_s.min(time_s);
        end_s = end_s.max(time_s + usual_duration_s);
    }
    Ok(if start_s < end_s { end_s - start_s } else { 0.0 })
}

/// Ticks of a time base as seconds, rounded once.
fn seconds(ticks: i64, time_base: ffmpeg::Rational) -> f64 {
    ticks as f64 * f64::from(time_base.numerator()) / f64::from(time_base.denominator())
}

/// Shape of a pixel by the container, if it says so.
fn pixel_shape(stream: &format::stream::Stream<'_>) -> Option<ffmpeg::Rational> {
    // SAFETY: the stream belongs to the open input, and one of its fields is read.
    let shape = ffmpeg::Rational::from(unsafe { (*stream.as_ptr()).sample_aspect_ratio });
    (shape.numerator() > 0 && shape.denominator() > 0).then_some(shape)
}

/// Whether an edit list cuts a packet's frame away.
fn is_discarded(packet: &packet::Packet) -> bool {
    // SAFETY: the packet is alive, and one of its fields is read.
    let flags = unsafe { (*packet.as_ptr()).flags };
    flags & ffmpeg::ffi::AV_PKT_FLAG_DISCARD != 0
}

/// Frames to be shown that the container lists. MP4 and its kin list all of them, others
/// only key frames: 0 for those.
fn indexed_frames(stream: &format::stream::Stream<'_>, input: &format::context::Input) -> u64 {
    if !input.format().name().split(',').any(|name| name == "mp4") {
        return 0;
    }
    listed(stream).filter(|frame| !frame.is_discarded).count() as u64
}

/// A frame in a container's index.
struct Listed {
    is_key: bool,
    /// An edit list cuts it away.
    is_discarded: bool,
    /// Compressed, in bytes.
    size: u64,
    /// Where it ends in the file.
    end: u64,
}

/// The index, in the file's order.
fn listed<'a>(stream: &'a format::stream::Stream<'_>) -> impl Iterator<Item = Listed> + 'a {
    use ffmpeg::ffi::{
        AVINDEX_DISCARD_FRAME, AVINDEX_KEYFRAME, avformat_index_get_entries_count, avformat_index_get_entry,
    };
    // SAFETY: the stream belongs to the open input, which is borrowed and so not read on meanwhile; entries are only read,
    // below their number.
    let entry = |i| unsafe {
        let entry = avformat_index_get_entry(stream.as_ptr().cast_mut(), i).as_ref()?;
        let size = u64::try_from(entry.size()).unwrap_or(0);
        Some(Listed {
            is_key: entry.flags() & AVINDEX_KEYFRAME != 0,
            is_discarded: entry.flags() & AVINDEX_DISCARD_FRAME != 0,
            size,
            end: u64::try_from(entry.pos).unwrap_or(0).saturating_add(size),
        })
    };
    // SAFETY: as above; a number is read.
    let count = unsafe { avformat_index_get_entries_count(stream.as_ptr()) };
    (0..count).filter_map(entry)
}
