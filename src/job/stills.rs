//! Chosen frames, decoded again and made into files.
//!
//! Frames that follow from one key frame are one thread's work, which has a decoder of its own.

use crate::decode::Reader;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::still::{self, Stills};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// A frame of which files are to be made.
pub struct Chosen {
    /// Its number.
    pub index: u64,
    /// When it is shown, in seconds.
    pub time_s: f64,
    /// The files.
    pub stills: Stills,
}

/// Makes files of frames, which are in order, of the video of `reader` with key frames at `keys_s`. `take` gets the number of each frame
/// and its files, or `None` where it cannot be decoded, as they are done; an error of its ends all.
pub fn make(
    reader: &Reader,
    keys_s: &[f64],
    chosen: &[Chosen],
    threads: usize,
    mut take: impl FnMut(u64, Option<Vec<Vec<u8>>>) -> Result<()>,
) -> Result<()> {
    let key = |frame: &Chosen| keys_s.partition_point(|&key_s| key_s <= frame.time_s);
    let groups: Vec<&[Chosen]> = chosen.chunk_by(|a, b| key(a) == key(b)).collect();
    let threads = threads.clamp(1, groups.len().max(1));
    let readers = (0..threads).map(|_| reader.another(threads)).collect::<Result<Vec<_>>>()?;
    let begun = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (send, made) = sync_channel(threads);
        for mut reader in readers {
            let (send, begun, groups) = (send.clone(), &begun, &groups);
            scope.spawn(move || {
                while let Some(group) = groups.get(begun.fetch_add(1, Ordering::Relaxed)) {
                    for frame in *group {
                        let files = catch_unwind(AssertUnwindSafe(|| files(&mut reader, keys_s, frame)))
                            .unwrap_or_else(|_| {
                                Err(Error::Video(format!("crashed the decoder at {} s", frame.time_s)))
                            });
                        // Fails where nobody waits any more.
                        if send.send((frame.index, files)).is_err() {
                            return;
                        }
                    }
                }
            });
        }
        drop(send);
        made.into_iter().try_for_each(|(index, files)| take(index, files?))
    })
}

fn files(reader: &mut Reader, keys_s: &[f64], frame: &Chosen) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(found) = reader.find(frame.time_s, keys_s)? else { return Ok(None) };
    let picture = Frame::new(&found.layout, &found.data)?.to_rgb()?;
    frame.stills.of(&picture, &still::webp).map(Some)
}
