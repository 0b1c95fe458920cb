//! Runs of look-alike frames, each reduced to one: its sharpest, of those that
//! show something new if there are any.
//!
//! Streaming: a run grows while frames still look like its first one; only the
//! sharpest frame so far is held at full resolution. Fast movement would end a
//! run at every frame, so a run that is still shorter than
//! [`RunOptions::min_length_s`] goes on unless the picture changes abruptly, and
//! the sharpest frame of that stretch stands for it.

use super::features::Features;
use super::hash::PictureHash;
use std::collections::VecDeque;

/// When a run of look-alikes ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOptions {
    /// Frames of one run differ from its first by at most this many of 64 hash bits.
    pub max_hash_bits: f32,
    /// … and by at most this much as thumbnails ([`super::features::Thumb::difference`]).
    pub max_difference: f32,
    /// Shortest run, in seconds, unless a jump ends it: the limit on candidates per second.
    pub min_length_s: f64,
    /// Longest run, in seconds: even a still picture gives a candidate now and then,
    /// because a face may change while the picture does not.
    pub max_length_s: f64,
}

/// Thumbnail difference of successive frames that ends a run of any length …
const JUMP: f32 = 14.0;
/// … if it also exceeds the step before this many times: a cut does, and so does
/// the first frame of a fast movement, but not every frame of it.
const JUMP_RATIO: f32 = 2.0;
/// A frame stands for others only if it is at least this sharp, as a share of the
/// sharpest of them.
const SHARP_ENOUGH: f32 = 0.5;

/// Earlier runs that a frame is held against: with all of them, time would grow with the square of
/// the video's length.
const MOST_REPRESENTATIVES: usize = 512;

/// What a frame means for the current run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The run goes on, and a better frame stands for it already.
    Worse,
    /// The run goes on, and this frame stands for it from now on.
    Better,
    /// The run before is complete; this frame starts the next one.
    NewRun,
}

/// The state of one pass.
pub struct Runs {
    options: RunOptions,
    run: Option<Run>,
    /// Hashes of what stands for the latest runs that are complete.
    representatives: VecDeque<PictureHash>,
}

struct Run {
    start_s: f64,
    first: Features,
    previous: Features,
    /// Thumbnail difference of the last two frames.
    step: f32,
    best: Best,
    /// Sharpness of its sharpest frame.
    sharpest: f32,
}

/// The frame that stands for a run so far: one that is no look-alike of anything
/// that stands for an earlier run, if there is one; then the sharpest. The sharpest
/// alone would not do: two sharp neighbours on either side of the border between
/// two runs are look-alikes, and so are the sharpest moments of a shot that comes
/// back. What is blurred counts as nothing new.
#[derive(Clone, Copy)]
struct Best {
    novelty: Novelty,
    sharpness: f32,
    phash: PictureHash,
}

/// How far a frame is from everything that stands for an earlier run.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Novelty {
    Repeats,
    Resembles,
    New,
}

impl Best {
    fn of(features: &Features, representatives: &VecDeque<PictureHash>, look_alike_bits: f32) -> Self {
        let bits = |hash: &PictureHash| hash.distance(features.phash);
        // Written out: `f32::min` is a call in wasm.
        let nearest = representatives.iter().map(bits).fold(f32::INFINITY, |a, b| if b < a { b } else { a });
        let novelty = match nearest {
            bits if bits > look_alike_bits => Novelty::New,
            bits if bits > look_alike_bits / 2.0 => Novelty::Resembles,
            _ => Novelty::Repeats,
        };
        Self { novelty, sharpness: features.sharpness, phash: features.phash }
    }

    /// Its rank in a run whose sharpest frame is `sharpest`.
    fn rank(&self, sharpest: f32) -> (Novelty, f32) {
        let blurred = self.sharpness < SHARP_ENOUGH * sharpest;
        (if blurred { Novelty::Repeats } else { self.novelty }, self.sharpness)
    }
}

impl Runs {
    /// Nothing seen yet.
    pub fn new(options: RunOptions) -> Self {
        Self { options, run: None, representatives: VecDeque::new() }
    }

    /// Takes the next frame in presentation order.
    pub fn push(&mut self, time_s: f64, features: &Features) -> Step {
        let o = self.options;
        if let Some(run) = &mut self.run {
            let length_s = time_s - run.start_s;
            let step = run.previous.thumb.difference(&features.thumb);
            let jump = step > JUMP.max(JUMP_RATIO * run.step);
            run.step = step;
            let alike = run.first.phash.distance(features.phash) <= o.max_hash_bits
                && run.first.thumb.difference(&features.thumb) <= o.max_difference;
            if !jump && length_s < o.max_length_s && (alike || length_s < o.min_length_s) {
                run.previous = features.clone();
                let rated = Best::of(features, &self.representatives, o.max_hash_bits);
                run.sharpest = run.sharpest.max(rated.sharpness);
                if rated.rank(run.sharpest) <= run.best.rank(run.sharpest) {
                    return Step::Worse;
                }
                run.best = rated;
                return Step::Better;
            }
        }
        let step = self.run.as_ref().map_or(0.0, |run| run.step);
        self.representatives.extend(self.run.take().map(|run| run.best.phash));
        if self.representatives.len() > MOST_REPRESENTATIVES {
            self.representatives.pop_front();
        }
        let best = Best::of(features, &self.representatives, o.max_hash_bits);
        self.run = Some(Run {
            start_s: time_s,
            first: features.clone(),
            previous: features.clone(),
            step,
            best,
            sharpest: features.sharpness,
        });
        Step::NewRun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::features::tests::features;

    const OPTIONS: RunOptions =
        RunOptions { max_hash_bits: 8.0, max_difference: 12.0, min_length_s: 0.125, max_length_s: 2.0 };

    /// Frames at 25 per second: which of them stand for the runs, the last one included.
    fn representatives(frames: &[Features]) -> Vec<usize> {
        let mut runs = Runs::new(OPTIONS);
        let mut chosen = vec![0];
        for (i, frame) in frames.iter().enumerate() {
            match runs.push(i as f64 / 25.0, frame) {
                Step::NewRun if i > 0 => chosen.push(i),
                Step::NewRun | Step::Better => *chosen.last_mut().unwrap() = i,
                Step::Worse => {}
            }
        }
        chosen
    }

    fn sharp(frame: &Features, sharpness: f32) -> Features {
        Features { sharpness, ..frame.clone() }
    }

    #[test]
    fn a_still_picture_gives_its_sharpest_frame() {
        let still = features(0, 1.0);
        let frames: Vec<Features> = (0..25).map(|i| sharp(&still, if i == 17 { 50.0 } else { 40.0 })).collect();
        assert_eq!(representatives(&frames), [17]);
    }

    #[test]
    fn even_a_still_picture_gives_a_frame_now_and_then() {
        assert_eq!(representatives(&vec![features(0, 1.0); 120]).len(), 3);
    }

    #[test]
    fn what_is_new_comes_before_what_is_sharp() {
        let (known, new) = (features(0, 1.0), features(150, 1.0));
        let mut frames = vec![known.clone(); 10];
        // The run begins with a sharper look-alike of the first: a shot that comes back.
        frames.extend(vec![features(75, 1.0); 10]);
        frames.extend(vec![sharp(&known, 90.0); 2]);
        frames.extend(vec![sharp(&new, 20.0); 1]);
        let chosen = representatives(&frames);
        assert_eq!(*chosen.last().unwrap(), 22, "{chosen:?}");
    }

    #[test]
    fn what_is_blurred_is_nothing_new() {
        let (known, new) = (features(0, 1.0), features(150, 1.0));
        let mut frames = vec![known.clone(); 10];
        frames.extend(vec![features(75, 1.0); 10]);
        frames.push(sharp(&new, 20.0));
        frames.extend(vec![sharp(&known, 90.0); 2]);
        let chosen = representatives(&frames);
        assert!([21, 22].contains(chosen.last().unwrap()), "{chosen:?}");
    }
}
