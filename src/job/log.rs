//! A scan's journal as a file in the folder that is written to.

use super::Models;
use crate::error::{Error, Result};
use crate::faces::Face;
use crate::journal::{self, Begin, Checkpoint, Entry, Frames};
use crate::manifest::Options;
use crate::pipeline::Measured;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Name of the journal in its folder.
pub const NAME: &str = ".framesift-scan";
/// Bytes of a video's head and tail that tell it from others.
const TOLD_APART_BY_BYTES: u64 = 1 << 16;

/// A journal that is being written, and read first where it is gone on with.
pub struct Log {
    path: PathBuf,
    file: File,
    frames: Frames,
    /// Where the entries after the first begin.
    start: u64,
}

impl Log {
    /// Begins the journal of a scan in `folder`, or opens the one that is there to go on with it. An error where
    /// that one belongs to another video, other options or other models.
    pub fn open(folder: &Path, video: &Path, options: &Options, models: &Models) -> Result<Self> {
        let path = folder.join(NAME);
        let begin = begin(video, options, models)?;
        let failed = |e: std::io::Error| super::cannot_write(&path, &e);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        file.try_lock()
            .map_err(|_| Error::Usage(format!("cannot be resumed: another framesift is writing {}", path.display())))?;
        let first = read_entry(&mut file);
        match first {
            Some(Entry::Begin(found)) if *found == begin => {}
            // Of an older version, or killed before it had begun: nothing to go on with.
            Some(Entry::Begin(found)) if found.format >= begin.format => {
                return Err(Error::Usage(other(&found, &begin, &path)));
            }
            _ => {
                let bytes = journal::begin(&begin)?;
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&bytes)).map_err(failed)?;
            }
        }
        let start = file.stream_position().map_err(failed)?;
        Ok(Self { file, frames: Frames::default(), start, path })
    }

    /// Hands out what is recorded, in order, and cuts off what is torn. Entries are added behind it.
    pub fn replay(&mut self, mut take: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let failed = |e: std::io::Error| super::cannot_write(&self.path, &e);
        self.file.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        let mut reader = BufReader::new(&self.file);
        let mut end = self.start;
        while let Some(entry) = read_entry(&mut reader) {
            take(entry)?;
            end = reader.stream_position().map_err(failed)?;
        }
        self.cut(end)
    }

    /// Forgets all that is recorded.
    pub fn forget(&mut self) -> Result<()> {
        self.frames = Frames::default();
        self.cut(self.start)
    }

    fn cut(&mut self, end: u64) -> Result<()> {
        let done = self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end)));
        done.map(|_| ()).map_err(|e| super::cannot_write(&self.path, &e))
    }

    /// Records a frame, with the next [`Log::checkpoint`].
    pub fn frame(&mut self, time_s: f64, duration_s: f64, measured: &Measured) {
        self.frames.push(time_s, duration_s, measured);
    }

    /// Writes the frames since the last checkpoint.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let bytes = self.frames.entry(checkpoint)?;
        self.write(&bytes)
    }

    /// Records a candidate's faces.
    pub fn faces(&mut self, index: u64, faces: &[Face]) -> Result<()> {
        self.write(&journal::faces(index, faces)?)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| {
            Error::Usage(format!(
                "cannot be recorded in {} ({e}). What was scanned is kept there: make room, and go on with --resume",
                self.path.display()
            ))
        })
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.file.metadata().is_ok_and(|facts| facts.len() <= self.start)
    }

    /// Removes the file: everything is done.
    pub fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|e| super::cannot_write(&self.path, &e))
    }
}

fn read_entry(reader: &mut impl Read) -> Option<Entry> {
    let mut head = [0; journal::HEAD_BYTES];
    reader.read_exact(&mut head).ok()?;
    let mut bytes = vec![0; journal::length(head)?];
    reader.read_exact(&mut bytes).ok()?;
    journal::read(head, &bytes)
}

/// What a scan of a video depends on.
fn begin(video: &Path, options: &Options, models: &Models) -> Result<Begin> {
    let video = told_apart(video).map_err(|e| Error::Video(format!("cannot be read: {e}")))?;
    Ok(Begin::new(video, options, &models.pack.spec, &models.engine.name()))
}

/// What tells a video from others: name, size, time of change and a hash of head and tail.
pub fn told_apart(video: &Path) -> std::io::Result<String> {
    let mut file = File::open(video)?;
    let facts = file.metadata()?;
    let changed = facts.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hash = Sha256::new();
    let mut part = Vec::new();
    (&file).take(TOLD_APART_BY_BYTES).read_to_end(&mut part)?;
    file.seek(SeekFrom::Start(facts.len().saturating_sub(TOLD_APART_BY_BYTES)))?;
    file.take(TOLD_APART_BY_BYTES).read_to_end(&mut part)?;
    hash.update(&part);
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = video.file_name().unwrap_or(video.as_os_str()).to_string_lossy();
    Ok(format!("{name}, {} bytes, changed {}.{:09}, {hash}", facts.len(), changed.as_secs(), changed.subsec_nanos()))
}

/// Why a journal that is there is not this scan's.
fn other(found: &Begin, wanted: &Begin, path: &Path) -> String {
    let what = if found.video != wanted.video {
        "another video, or the video has changed since".to_string()
    } else if found.models != wanted.models {
        format!("other models ({}; now {})", found.models, wanted.models)
    } else {
        let json = |begin: &Begin| serde_json::to_value(&begin.options).unwrap_or_default();
        let (found, wanted) = (json(found), json(wanted));
        let differs = |name: &str| found[name] != wanted[name];
        let named = ["budget", "similarity", "detector", "faces"].into_iter().filter(|name| differs(name));
        let named: Vec<String> = named.map(|name| format!("{name} was {}", found[name])).collect();
        format!("other options ({})", named.join(", "))
    };
    format!(
        "cannot be resumed: the scan in {} is of {what}. Give what was given then, or another folder",
        path.display()
    )
}
