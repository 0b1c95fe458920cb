//! What a scan has found so far, as bytes that only grow: so that one that was interrupted can go on.
//!
//! A journal is a row of entries. It holds what came in, frame by frame and face by face, not the state
//! that followed from it: whoever goes on feeds a new [`Session`](crate::pipeline::Session) with the same,
//! and gets to the same state.
//!
//! An entry is its length in bytes (`u32`, little-endian), the CRC-32 of what follows, and that,
//! deflated: a byte for its kind, then JSON, and for frames their measures. What was being
//! written when the power went off is torn, and the journal ends before it.

use crate::error::{Error, Result};
use crate::faces::Face;
use crate::faces::pack::PackSpec;
use crate::frame::{FrameLayout, Transfer};
use crate::manifest::Options;
use crate::pipeline::{Measured, Session};
use crate::sampling::selection::FacesMode;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Raised when entries change: older journals are then begun anew.
pub const FORMAT: u32 = 1;
/// Bytes before an entry: its length and its CRC-32.
pub const HEAD_BYTES: usize = 8;
/// Longest entry that is believed, deflated or not, in bytes.
const MOST_BYTES: usize = 64 << 20;
/// Effort of the compression, 0–10: frames are like the ones before them, and more brings little.
const EFFORT: u8 = 3;
/// Bytes of a frame: time, duration and measures.
const FRAME_BYTES: usize = 16 + Measured::BYTES;

/// What a journal belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// [`FORMAT`].
    pub format: u32,
    /// The video's name, size, time of change and a hash of its head and tail.
    pub video: String,
    /// What the scan depends on.
    pub options: Options,
    /// The version that measures, and unless no face is looked for the networks by name, precision and hash, and what
    /// runs them.
    pub models: String,
}

impl Begin {
    /// For a scan of `video` (see [`Begin::video`]) with the networks of `pack` in the engine of that name.
    pub fn new(video: String, options: &Options, pack: &PackSpec, engine: &str) -> Self {
        let PackSpec { name, precision, detector, embedder, .. } = pack;
        let version = env!("CARGO_PKG_VERSION");
        let models = format!("{name}, {precision}, {}, {}, on {engine}", detector.sha256, embedder.sha256);
        let ignored = options.faces == FacesMode::Ignore;
        let usual = Options::default();
        Self {
            format: FORMAT,
            video,
            // The rest only matters for the choice afterwards.
            options: Options {
                budget: options.budget,
                similarity: options.similarity,
                detector: options.detector.clone(),
                faces: if ignored { FacesMode::Ignore } else { usual.faces },
                ..usual
            },
            models: if ignored { format!("framesift {version}") } else { format!("framesift {version}, {models}") },
        }
    }
}

/// A frame that was taken.
pub struct Taken {
    /// Presentation time in seconds.
    pub time_s: f64,
    /// How long it is shown, in seconds.
    pub duration_s: f64,
    /// What was measured of it.
    pub measured: Measured,
}

/// Where decoding was after some frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// Packets so far whose frames had been due.
    pub packets: u64,
    /// Problems so far, in words.
    pub notes: Vec<String>,
    /// Further problems.
    pub more_notes: u64,
    /// Times of the key frames since the last checkpoint, in seconds.
    pub keys_s: Vec<f64>,
    /// Whether times stepped back so far.
    pub stepped_back: bool,
    /// Whether this is the end of the video.
    pub ended: bool,
    /// High dynamic range of the frames, where whoever decodes learns of it only from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdr: Option<Transfer>,
}

/// A part of a journal.
pub enum Entry {
    /// The first.
    Begin(Box<Begin>),
    /// Frames in order.
    Frames(Vec<Taken>, Checkpoint),
    /// The faces in a candidate, by the frame's position.
    Faces(u64, Vec<Face>),
}

/// What an earlier run has recorded, as it is fed to a new session and afterwards.
#[derive(Default)]
pub struct Replay {
    /// Where decoding was.
    pub checkpoint: Checkpoint,
    /// Time of the last frame in seconds; `None` before the first.
    pub last_s: Option<f64>,
    candidates: Vec<u64>,
    /// Faces that the session has not asked for yet.
    known: BTreeMap<u64, Vec<Face>>,
    /// Candidates whose pixels are gone and whose faces are not recorded.
    owed: Vec<u64>,
}

impl Replay {
    /// Feeds `session` with the next entry.
    pub fn take(&mut self, entry: Entry, session: &mut Session) -> Result<()> {
        match entry {
            Entry::Begin(_) => {}
            Entry::Faces(index, faces) => _ = self.known.insert(index, faces),
            Entry::Frames(taken, now) => {
                for Taken { time_s, duration_s, measured } in taken {
                    self.last_s = Some(time_s);
                    let candidate = session.push(time_s, duration_s, measured, |pixels| {
                        pixels.clear();
                        FrameLayout::i420(0, 0)
                    })?;
                    self.candidates.extend(candidate.map(|candidate| candidate.index));
                }
                let mut keys_s = [std::mem::take(&mut self.checkpoint.keys_s), now.keys_s].concat();
                if now.stepped_back {
                    keys_s.clear();
                }
                self.checkpoint = Checkpoint { keys_s, ..now };
            }
        }
        Ok(())
    }

    /// After the last entry: gives the session the faces of the candidates so far.
    pub fn finish(&mut self, session: &mut Session) -> Result<()> {
        std::mem::take(&mut self.candidates).into_iter().try_for_each(|index| self.look_up(index, session))
    }

    /// Whether a candidate's faces are recorded and still to be asked for.
    pub fn knows(&self, index: u64) -> bool {
        self.known.contains_key(&index)
    }

    /// Gives the session the recorded faces of a candidate; without any it is owed.
    pub fn look_up(&mut self, index: u64, session: &mut Session) -> Result<()> {
        match self.known.remove(&index) {
            Some(faces) => session.set_faces(index, faces),
            None => {
                self.owed.push(index);
                Ok(())
            }
        }
    }

    /// Candidates that are to be decoded and looked at once more, by their frames; none are owed afterwards.
    pub fn take_owed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.owed)
    }
}

/// Collects frames for the next entry.
#[derive(Default)]
pub struct Frames {
    frames: u32,
    /// Each frame less the one before it, byte by byte: mostly zeros.
    bytes: Vec<u8>,
    last: Vec<u8>,
}

impl Frames {
    /// Adds a frame.
    pub fn push(&mut self, time_s: f64, duration_s: f64, measured: &Measured) {
        let mut bytes = Vec::with_capacity(FRAME_BYTES);
        bytes.extend(time_s.to_le_bytes());
        bytes.extend(duration_s.to_le_bytes());
        measured.write(&mut bytes);
        self.last.resize(FRAME_BYTES, 0);
        self.bytes.extend(bytes.iter().zip(&self.last).map(|(now, last)| now.wrapping_sub(*last)));
        self.last = bytes;
        self.frames += 1;
    }

    /// The entry, and begins anew.
    pub fn entry(&mut self, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
        let Self { frames, bytes, .. } = std::mem::take(self);
        let checkpoint = serde_json::to_vec(checkpoint).map_err(broken)?;
        let mut payload = frames.to_le_bytes().to_vec();
        payload.extend(bytes);
        payload.extend(checkpoint);
        Ok(entry(b'f', &payload))
    }
}

/// The first entry.
pub fn begin(begin: &Begin) -> Result<Vec<u8>> {
    Ok(entry(b'b', &serde_json::to_vec(begin).map_err(broken)?))
}

/// The entry of a candidate's faces.
pub fn faces(index: u64, faces: &[Face]) -> Result<Vec<u8>> {
    Ok(entry(b'p', &serde_json::to_vec(&(index, faces)).map_err(broken)?))
}

fn entry(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut plain = vec![kind];
    plain.extend_from_slice(payload);
    let deflated = compress_to_vec(&plain, EFFORT);
    let mut bytes = (deflated.len() as u32).to_le_bytes().to_vec();
    bytes.extend(crc32fast::hash(&deflated).to_le_bytes());
    bytes.extend(deflated);
    bytes
}

/// Length of the entry that follows its head; `None` where that is no head.
pub fn length(head: [u8; HEAD_BYTES]) -> Option<usize> {
    let [a, b, c, d, ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    (1..=MOST_BYTES).contains(&length).then_some(length)
}

/// Reads an entry; `None` where it is torn or damaged.
pub fn read(head: [u8; HEAD_BYTES], deflated: &[u8]) -> Option<Entry> {
    let [.., a, b, c, d] = head;
    if crc32fast::hash(deflated) != u32::from_le_bytes([a, b, c, d]) {
        return None;
    }
    let plain = decompress_to_vec_with_limit(deflated, MOST_BYTES).ok()?;
    let (kind, payload) = plain.split_first()?;
    match kind {
        b'b' => json(payload).map(|begin| Entry::Begin(Box::new(begin))),
        b'f' => frames(payload),
        b'p' => json(payload).map(|(index, faces)| Entry::Faces(index, faces)),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn frames(payload: &[u8]) -> Option<Entry> {
    let (count, rest) = payload.split_first_chunk()?;
    let (frames, checkpoint) =
        rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(FRAME_BYTES)?)?;
    let mut last = [0u8; FRAME_BYTES];
    let taken = frames.as_chunks::<FRAME_BYTES>().0.iter().map(|frame| {
        last.iter_mut().zip(frame).for_each(|(last, change)| *last = last.wrapping_add(*change));
        let (time_s, rest) = last.split_first_chunk()?;
        let (duration_s, measured) = rest.split_first_chunk()?;
        let measured = Measured::read(measured)?;
        Some(Taken { time_s: f64::from_le_bytes(*time_s), duration_s: f64::from_le_bytes(*duration_s), measured })
    });
    Some(Entry::Frames(taken.collect::<Option<_>>()?, json(checkpoint)?))
}

fn broken(error: serde_json::Error) -> Error {
    Error::Usage(format!("the scan cannot be recorded: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, FrameLayout};
    use crate::pipeline::Measurer;
    use crate::sampling::Detector;

    fn read_one(bytes: &[u8]) -> Option<Entry> {
        let (head, rest) = bytes.split_first_chunk()?;
        read(*head, rest.get(..length(*head)?)?)
    }

    fn measured(shift: usize) -> Measured {
        let layout = FrameLayout::i420(64, 48);
        let data: Vec<u8> = (0..FrameLayout::i420_len(64, 48)).map(|i| ((i + shift) * 37 % 251) as u8).collect();
        Measurer::new(&Detector::Default).unwrap().measure(&Frame::new(&layout, &data).unwrap()).unwrap()
    }

    fn bytes(measured: &Measured) -> Vec<u8> {
        let mut bytes = Vec::new();
        measured.write(&mut bytes);
        bytes
    }

    #[test]
    fn frames_come_back_as_they_were() {
        let all: Vec<Measured> = [0, 1, 1, 90].map(measured).into();
        let mut frames = Frames::default();
        all.iter().enumerate().for_each(|(i, measured)| frames.push(i as f64 / 3.0, 1.0 / 3.0, measured));
        let checkpoint =
            Checkpoint { packets: 5, keys_s: vec![0.1 + 0.2], notes: vec!["a".into()], ..Checkpoint::default() };
        let Some(Entry::Frames(taken, read)) = read_one(&frames.entry(&checkpoint).unwrap()) else {
            panic!("no frames")
        };
        assert_eq!(read, checkpoint);
        assert_eq!(taken.len(), 4);
        for (i, (taken, measured)) in taken.iter().zip(&all).enumerate() {
            assert_eq!((taken.time_s, taken.duration_s), (i as f64 / 3.0, 1.0 / 3.0));
            assert_eq!(bytes(&taken.measured), bytes(measured));
        }
        assert_eq!(bytes(&all[0]).len(), Measured::BYTES);
        assert!(
            matches!(read_one(&frames.entry(&checkpoint).unwrap()), Some(Entry::Frames(none, _)) if none.is_empty())
        );
    }

    #[test]
    fn faces_come_back_as_they_were() {
        let face = Face {
            bbox: [1.0 / 3.0, 2.7, 1e-3, 7e5],
            score: 0.1,
            landmarks: [[0.3, 0.7]; 5],
            quality: 0.9,
            flags: vec![crate::faces::quality::Flag::Blurred],
            embedding: (0..192).map(|i| (i as f32).sin() / 7.0).collect(),
        };
        let Some(Entry::Faces(7, read)) = read_one(&faces(7, std::slice::from_ref(&face)).unwrap()) else {
            panic!("no faces")
        };
        assert_eq!(read[0].embedding, face.embedding);
        assert_eq!((read[0].bbox, read[0].landmarks, read[0].score), (face.bbox, face.landmarks, face.score));
    }

    #[test]
    fn what_is_torn_or_damaged_is_refused() {
        let mut frames = Frames::default();
        frames.push(0.0, 0.04, &measured(3));
        let whole = frames.entry(&Checkpoint::default()).unwrap();
        assert!((0..whole.len()).all(|end| read_one(&whole[..end]).is_none()));
        for at in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(read_one(&damaged).is_none(), "byte {at}");
        }
        assert_eq!(length([0; HEAD_BYTES]), None);
        assert_eq!(length([255; HEAD_BYTES]), None);
    }
}
