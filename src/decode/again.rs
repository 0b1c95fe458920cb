//! Single frames, decoded once more.
//!
//! Those that follow from one key frame are one thread's work, which has a decoder of its own.

use super::{Decoded, Reader};
use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// Most bytes of frames that the threads hold at once.
const MOST_BYTES: usize = 192 << 20;

impl Reader {
    /// Finds frames by their times in seconds, which are in order, of a video with key frames at `keys_s`. `see` gets the
    /// position of a time and its frame, on any of so many threads. `take` gets the position and what was seen, or
    /// `None` where the frame cannot be decoded, as they come; an error of its ends all.
    pub fn find_all<T: Send>(
        &self,
        times_s: &[f64],
        keys_s: &[f64],
        threads: usize,
        see: &(impl Fn(usize, Decoded) -> Result<T> + Sync),
        mut take: impl FnMut(usize, Option<T>) -> Result<()>,
    ) -> Result<()> {
        if times_s.is_empty() {
            return Ok(());
        }
        let positions: Vec<usize> = (0..times_s.len()).collect();
        let key = |&position: &usize| keys_s.partition_point(|&key_s| key_s <= times_s[position]);
        let groups: Vec<&[usize]> = positions.chunk_by(|a, b| key(a) == key(b)).collect();
        // Hardware does not get faster with more decoders, and of large frames few are held at once.
        let most = if self.decoding.hardware.is_some() { 1 } else { MOST_BYTES / self.frame_bytes().max(1) };
        let threads = threads.min(most).clamp(1, groups.len());
        let (first, others) = (self.another(threads)?, (1..threads).filter_map(|_| self.another(threads).ok()));
        let readers: Vec<Reader> = std::iter::once(first).chain(others).collect();
        let begun = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            // Nothing waits in it: frames are large.
            let (send, seen) = sync_channel(0);
            for mut reader in readers {
                let (send, begun, groups) = (send.clone(), &begun, &groups);
                scope.spawn(move || {
                    while let Some(group) = groups.get(begun.fetch_add(1, Ordering::Relaxed)) {
                        for &position in *group {
                            let time_s = times_s[position];
                            let find = AssertUnwindSafe(|| {
                                reader.find(time_s, keys_s)?.map(|frame| see(position, frame)).transpose()
                            });
                            let crashed = |_| Err(Error::Video(format!("crashed the decoder at {time_s} s")));
                            // Fails where nobody waits any more.
                            if send.send((position, catch_unwind(find).unwrap_or_else(crashed))).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
            drop(send);
            seen.into_iter().try_for_each(|(position, seen)| take(position, seen?))
        })
    }
}
