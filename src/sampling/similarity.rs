//! Runs of look-alike frames, each reduced to one: its sharpest, of those that
//! differ from the run before if there are any.
//!
//! Streaming: a run grows while frames still look like its first one; only the
//! sharpest frame so far is held at full resolution. Fast movement would end a
//! run at every frame, so a run that is still shorter than
//! [`RunOptions::min_length_s`] goes on unless the picture changes abruptly, and
//! the sharpest frame of that stretch stands for it.

use super::features::Features;

/// When a run of look-alikes ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOptions {
    /// Frames of one run differ from its first by at most this many of 64 hash bits.
    pub max_hash_bits: u32,
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
}

struct Run {
    start_s: f64,
    first: Features,
    previous: Features,
    /// Thumbnail difference of the last two frames.
    step: f32,
    best: Best,
    /// Hash of the frame that stands for the run before.
    predecessor: Option<u64>,
}

/// The frame that stands for a run so far. One that differs from the run
/// before's comes before one that does not: two sharp neighbours on either side
/// of the border between two runs would be look-alikes. Then the sharper one.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Best {
    distinct: bool,
    sharpness: f32,
    phash: u64,
}

impl Runs {
    /// Nothing seen yet.
    pub fn new(options: RunOptions) -> Self {
        Self { options, run: None }
    }

    /// Takes the next frame in presentation order.
    pub fn push(&mut self, time_s: f64, features: &Features) -> Step {
        let o = self.options;
        let rate = |predecessor: Option<u64>| Best {
            distinct: predecessor.is_none_or(|hash| (hash ^ features.phash).count_ones() > o.max_hash_bits),
            sharpness: features.sharpness,
            phash: features.phash,
        };
        if let Some(run) = &mut self.run {
            let length_s = time_s - run.start_s;
            let step = run.previous.thumb.difference(&features.thumb);
            let jump = step > JUMP.max(JUMP_RATIO * run.step);
            run.step = step;
            let alike = (run.first.phash ^ features.phash).count_ones() <= o.max_hash_bits
                && run.first.thumb.difference(&features.thumb) <= o.max_difference;
            if !jump && length_s < o.max_length_s && (alike || length_s < o.min_length_s) {
                run.previous = features.clone();
                let rated = rate(run.predecessor);
                if rated <= run.best {
                    return Step::Worse;
                }
                run.best = rated;
                return Step::Better;
            }
        }
        let (step, predecessor) = self.run.as_ref().map_or((0.0, None), |run| (run.step, Some(run.best.phash)));
        self.run = Some(Run {
            start_s: time_s,
            first: features.clone(),
            previous: features.clone(),
            step,
            best: rate(predecessor),
            predecessor,
        });
        Step::NewRun
    }
}
