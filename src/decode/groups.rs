//! Groups of pictures, each decoded by a thread of its own.
//!
//! FFmpeg shares frames out among threads, which wait for each other and cost a fifth more in all. Between key frames to
//! which nothing goes back, nothing has to wait. Only orderly files are decoded like this: where anything is not as it
//! should be, the whole file is begun again, one frame after the other, and what is wrong is found and said there.

use super::{Reader, layout, listed, opened};
use crate::error::Result;
use crate::frame::Frame;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::packet::side_data::Type;
use ffmpeg_next::{codec, ffi, frame, packet};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

/// Most frames of a group: longer ones leave threads without work.
const MOST_FRAMES: usize = 400;
/// Groups a thread in all, at least, so that threads without work at the end cost little.
const LEAST_GROUPS: usize = 4;
/// Most compressed bytes that are read ahead of what is handed out.
const MOST_BYTES_AHEAD: u64 = 96 << 20;

/// How decoding ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With the last frame.
    All,
    /// Nobody wants more.
    Stopped,
    /// The file is not as orderly as it says: it must be read from its start again, and not in groups.
    Disorderly,
}

/// What a thread is given: packets from one key frame to before the next, and where frames go.
struct Group<T> {
    packets: Vec<packet::Packet>,
    frames: Sender<Seen<T>>,
}

/// A decoded frame without its pixels, and what was seen of them; an error where anything is wrong with it.
type Seen<T> = std::result::Result<(frame::Video, T), ()>;

/// A group that is being decoded.
struct UnderWay<T> {
    packets: usize,
    bytes: u64,
    frames: Receiver<Seen<T>>,
}

impl Reader {
    /// Whether all frames may be decoded in groups by so many threads: nothing was read yet, the container lists the frames,
    /// all are in the file, key frames come often, and what is read ahead is bounded.
    pub fn has_groups_for(&self, threads: usize) -> bool {
        let known = matches!(self.decoder.id(), codec::Id::H264 | codec::Id::HEVC | codec::Id::VP9 | codec::Id::AV1);
        if threads < 2 || !known || self.decoding.hardware.is_some() || self.indexed == 0 || self.tally.packets > 0 {
            return false;
        }
        let Some(stream) = self.input.stream(self.stream) else { return false };
        let Ok(file) = std::fs::metadata(&self.path) else { return false };
        let (mut groups, mut frames, mut bytes) = (0, 0, 0);
        let (mut most_frames, mut most_bytes) = (0, 0);
        for frame in listed(&stream) {
            if frame.end > file.len() {
                // Cut off: all would be decoded twice.
                return false;
            }
            if frame.is_key {
                (groups, frames, bytes) = (groups + 1, 0, 0);
            }
            (frames, bytes) = (frames + 1, bytes + frame.size);
            (most_frames, most_bytes) = (most_frames.max(frames), most_bytes.max(bytes));
        }
        // Every thread has a group, and one more each is waiting, being collected.
        let all_bytes = most_bytes.saturating_mul(threads as u64 + 2);
        groups >= threads * LEAST_GROUPS && most_frames <= MOST_FRAMES && all_bytes <= MOST_BYTES_AHEAD
    }

    /// Decodes all frames. `see` looks at each where its decoder has it, on any of the threads; `take` gets what was seen with
    /// the frame's time and how long it is shown, both in seconds, in order, and says whether to go on. To be asked first:
    /// [`Reader::has_groups_for`].
    pub fn decode_in_groups<T: Send>(
        &mut self,
        threads: usize,
        see: &(impl Fn(&Frame<'_>) -> Result<T> + Sync),
        take: &mut dyn FnMut(&mut Self, f64, f64, T) -> bool,
    ) -> Ended {
        let decoders: Option<Vec<_>> = (0..threads).map(|_| self.another_decoder()).collect();
        let Some(decoders) = decoders.filter(|decoders| !decoders.is_empty()) else { return Ended::Disorderly };
        let (turn, pixel_shape) = (self.turn, self.pixel_shape);
        let (groups, waiting) = channel::<Group<T>>();
        let waiting = Mutex::new(waiting);
        std::thread::scope(|scope| {
            for mut decoder in decoders {
                let waiting = &waiting;
                let show = move |frame: &frame::Video| {
                    layout::show(frame, turn, pixel_shape.unwrap_or(frame.aspect_ratio()), see).ok()
                };
                scope.spawn(move || {
                    loop {
                        let group = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(Group { packets, frames }) = group else { return };
                        let decode = AssertUnwindSafe(|| decode(&mut decoder, &packets, &frames, &show));
                        if !catch_unwind(decode).unwrap_or(false) {
                            // Fails where nobody waits any more.
                            let _ = frames.send(Err(()));
                            return;
                        }
                    }
                });
            }
            self.share_out(threads, groups, take)
        })
    }

    /// Reads packets, gives groups of them to the threads, and takes frames from these in order.
    fn share_out<T>(
        &mut self,
        threads: usize,
        groups: Sender<Group<T>>,
        take: &mut dyn FnMut(&mut Self, f64, f64, T) -> bool,
    ) -> Ended {
        let mut under_way: VecDeque<UnderWay<T>> = VecDeque::new();
        let mut packets: Vec<packet::Packet> = Vec::new();
        loop {
            let Ok(next) = self.next_packet() else { return Ended::Disorderly };
            let begins = next.as_ref().is_none_or(|packet| self.begins_group(packet));
            if begins && !packets.is_empty() {
                let (send, frames) = channel();
                let packets = std::mem::take(&mut packets);
                let bytes = packets.iter().map(|packet| packet.size() as u64).sum();
                under_way.push_back(UnderWay { packets: packets.len(), bytes, frames });
                if groups.send(Group { packets, frames: send }).is_err() {
                    return Ended::Disorderly;
                }
            }
            let at_end = next.is_none();
            if let Some(packet) = next {
                // What sets the decoder up anew would reach only the one that has this group.
                let sets_up = [Type::NewExtraData, Type::ParamChange];
                let sets_up = packet.side_data().any(|data| sets_up.contains(&data.kind()));
                if sets_up || (packets.is_empty() && !begins) || packets.len() >= MOST_FRAMES {
                    return Ended::Disorderly;
                }
                self.count(&packet);
                packets.push(packet);
            }
            let too_many = |under_way: &VecDeque<UnderWay<T>>| {
                let frames: usize = under_way.iter().map(|group| group.packets).sum();
                let bytes: u64 = under_way.iter().map(|group| group.bytes).sum();
                // More than a group for each thread in any case.
                frames > MOST_FRAMES * (threads + 1) || bytes > MOST_BYTES_AHEAD
            };
            while at_end || too_many(&under_way) {
                let Some(group) = under_way.pop_front() else { break };
                match self.take_group(group, take) {
                    Ended::All => {}
                    ended => return ended,
                }
            }
            if at_end {
                self.draining = true;
                let whole = self.tally.frames == self.expected();
                return if whole { Ended::All } else { Ended::Disorderly };
            }
        }
    }

    fn take_group<T>(&mut self, group: UnderWay<T>, take: &mut dyn FnMut(&mut Self, f64, f64, T) -> bool) -> Ended {
        for seen in group.frames {
            let Ok((frame, seen)) = seen else { return Ended::Disorderly };
            self.frame = frame;
            let time_s = self.shown();
            if !self.tally.notes.is_empty() || self.frame.timestamp().is_none() {
                return Ended::Disorderly;
            }
            // What an edit list cuts away is not shown.
            let Some(time_s) = time_s else { continue };
            self.tally.frames += 1;
            if !take(self, time_s, self.duration_of_frame(), seen) {
                return Ended::Stopped;
            }
        }
        Ended::All
    }

    /// Whether nothing in or after a packet goes back to what comes before it.
    fn begins_group(&self, packet: &packet::Packet) -> bool {
        let Some(data) = packet.data().filter(|_| packet.is_key()) else { return false };
        // Where the lengths of NAL units have how many bytes: `avcC` of ISO/IEC 14496-15 5.3.3.1, `hvcC` of 8.3.3.1.
        let (configuration, at, types): (_, usize, fn(u8) -> bool) = match self.decoder.id() {
            codec::Id::H264 => (self.configuration(), 4, |first| first & 0x1f == 5),
            codec::Id::HEVC => (self.configuration(), 21, |first| [19, 20].contains(&(first >> 1 & 0x3f))),
            _ => return true,
        };
        let (Some(1), Some(length)) = (configuration.first(), configuration.get(at)) else { return false };
        nal_units(data, usize::from(length & 3) + 1).any(|unit| unit.first().is_some_and(|&first| types(first)))
    }

    /// What the container says to set the decoder up with.
    fn configuration(&self) -> &[u8] {
        // SAFETY: the decoder is alive and keeps as many bytes as it says for as long as it lives.
        unsafe {
            let context = self.decoder.as_ptr();
            match (*context).extradata {
                data if data.is_null() => &[],
                data => std::slice::from_raw_parts(data, usize::try_from((*context).extradata_size).unwrap_or(0)),
            }
        }
    }

    /// A decoder like the reader's, with one thread.
    fn another_decoder(&self) -> Option<codec::decoder::Video> {
        opened(&self.input.stream(self.stream)?, 1, None).ok()
    }
}

/// Decodes a group; whether nothing was wrong.
fn decode<T>(
    decoder: &mut codec::decoder::Video,
    packets: &[packet::Packet],
    frames: &Sender<Seen<T>>,
    show: &impl Fn(&frame::Video) -> Option<T>,
) -> bool {
    let mut frame = frame::Video::empty();
    let mut receive = |decoder: &mut codec::decoder::Video| {
        loop {
            match decoder.receive_frame(&mut frame) {
                Ok(()) if frame.is_corrupt() || is_concealed(&frame) => return false,
                Ok(()) => {
                    let Some(seen) = without_pixels(&frame).zip(show(&frame)) else { return false };
                    if frames.send(Ok(seen)).is_err() {
                        return false;
                    }
                }
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) => return true,
                Err(_) => return false,
            }
        }
    };
    let all = packets.iter().all(|packet| decoder.send_packet(packet).is_ok() && receive(decoder));
    let whole = all && decoder.send_eof().is_ok() && receive(decoder);
    decoder.flush();
    whole
}

/// Whether a decoder has met errors in a frame.
pub(super) fn is_concealed(frame: &frame::Video) -> bool {
    // SAFETY: the frame is alive, and one of its fields is read.
    unsafe { (*frame.as_ptr()).decode_error_flags != 0 }
}

/// All but the pixels; `None` where there is no memory.
fn without_pixels(frame: &frame::Video) -> Option<frame::Video> {
    let mut copy = frame::Video::empty();
    // SAFETY: both frames are alive, the copy unless it is null.
    let done = unsafe { !copy.as_ptr().is_null() && ffi::av_frame_copy_props(copy.as_mut_ptr(), frame.as_ptr()) >= 0 };
    done.then_some(copy)
}

/// NAL units that each stand behind their length.
fn nal_units(mut data: &[u8], length_bytes: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        let (unit, rest) = rest.split_at_checked(length)?;
        data = rest;
        Some(unit)
    })
}
