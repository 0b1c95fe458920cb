//! Shot boundaries, in one streaming pass with a short look-ahead.
//!
//! * **Cuts**: a jump between successive thumbnails that stands out from the
//!   movement around it, and that lasts: when the picture of before comes back
//!   within [`FLASH_FRAMES`], it was a flash (A-B-A), not a cut.
//! * **Dissolves, fades and wipes**: two pictures [`GRADUAL_SPANS`] frames apart
//!   that differ like two shots, with every frame between them on the way from
//!   one to the other. Each frame of a dissolve is a linear blend of the two
//!   ends (Lienhart, "Comparison of automatic shot boundary detection
//!   algorithms", 1999); movement is not.
//!
//! All differences are those of [`Thumb::difference`], on a 32 × 18 grid.

use super::features::{Features, Thumb};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How a scene begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransitionKind {
    /// The first scene of the video.
    Start,
    /// From one frame to the next.
    Cut,
    /// One picture blends into the other.
    Dissolve,
    /// Through black or white.
    Fade,
    /// The new picture pushes the old one out.
    Wipe,
}

/// A boundary between two scenes.
#[derive(Clone, Debug, PartialEq)]
pub struct Boundary {
    /// How the scenes change.
    pub kind: TransitionKind,
    /// First frame of the new scene (for a gradual one: the first without a
    /// trace of the old scene).
    pub frame: u64,
    /// First mixed frame of a gradual transition; equal to `frame` for a cut.
    pub from: u64,
}

/// What the detector has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SceneMap {
    /// Boundaries in order.
    pub boundaries: Vec<Boundary>,
    /// Half-open ranges of frames spoilt by a flash.
    pub flashes: Vec<(u64, u64)>,
}

/// A flash lasts at most this many frames.
pub const FLASH_FRAMES: usize = 4;
/// Distances in frames at which gradual transitions are looked for.
pub const GRADUAL_SPANS: [usize; 3] = [8, 16, 32];
/// Smallest difference between successive frames that can be a cut.
const CUT_DIFFERENCE: f32 = 9.0;
/// A cut differs this many times as much as the frames around it.
const CUT_RATIO: f32 = 2.8;
/// Frames on each side whose movement a cut is held against.
const NEIGHBOURS: usize = 5;
/// What must remain of a cut's difference while the look-ahead lasts.
const CUT_PERSISTS: f32 = 0.5;
/// Smallest difference between the two ends of a gradual transition.
const GRADUAL_DIFFERENCE: f32 = 18.0;
/// Largest distance of its frames from a blend of the ends, as a share of the
/// ends' difference.
const BLEND_RESIDUAL: f32 = 0.16;

/// Frames held: those before the one under decision, and those after it.
const HISTORY: usize = 48;

/// The streaming detector.
#[derive(Default)]
pub struct SceneDetector {
    window: VecDeque<Seen>,
    /// Index of the next frame to come.
    next: u64,
    map: SceneMap,
}

struct Seen {
    thumb: Thumb,
    /// Difference to the frame before.
    step: f32,
}

impl SceneDetector {
    /// Takes the next frame in presentation order.
    pub fn push(&mut self, features: &Features) {
        let step = self.window.back().map_or(0.0, |last| last.thumb.difference(&features.thumb));
        self.window.push_back(Seen { thumb: features.thumb.clone(), step });
        self.next += 1;
        if self.window.len() > HISTORY {
            self.window.pop_front();
        }
        // The frame whose look-ahead has just become complete.
        if self.window.len() > NEIGHBOURS {
            self.decide(self.window.len() - 1 - NEIGHBOURS);
        }
    }

    /// Ends the video and hands out the result.
    pub fn finish(mut self) -> SceneMap {
        for at in self.window.len().saturating_sub(NEIGHBOURS)..self.window.len() {
            self.decide(at);
        }
        self.map
    }

    /// Decides whether a scene begins at position `at` of the window.
    fn decide(&mut self, at: usize) {
        if at == 0 {
            return;
        }
        let frame = self.next - (self.window.len() - at) as u64;
        let step = self.window[at].step;
        if step >= CUT_DIFFERENCE && self.stands_out(at) {
            match self.flash_around(at) {
                Some(range) => {
                    if self.map.flashes.last() != Some(&range) {
                        self.map.flashes.push(range);
                    }
                }
                None => {
                    self.map.boundaries.push(Boundary { kind: TransitionKind::Cut, frame, from: frame });
                    return;
                }
            }
        }
        self.gradual_ending_at(at, frame);
    }

    /// Whether the step at `at` exceeds the movement around it. The largest
    /// neighbour on each side is left out: it may be another cut or the other
    /// edge of a flash.
    fn stands_out(&self, at: usize) -> bool {
        let step = self.window[at].step;
        let side = |range: std::ops::Range<usize>| {
            let mut steps: Vec<f32> = range.map(|i| self.window[i].step).collect();
            steps.sort_by(f32::total_cmp);
            steps.pop();
            steps.iter().sum::<f32>() / steps.len().max(1) as f32
        };
        let before = side(at.saturating_sub(NEIGHBOURS).max(1)..at);
        let after = side(at + 1..(at + 1 + NEIGHBOURS).min(self.window.len()));
        step > CUT_RATIO * before.max(after)
    }

    /// The half-open range of a flash that begins or ends at `at`, if the
    /// picture before it comes back.
    fn flash_around(&self, at: usize) -> Option<(u64, u64)> {
        let step = self.window[at].step;
        let first = self.next - self.window.len() as u64;
        let limit = CUT_PERSISTS * step;
        let alike = |a: usize, b: usize| self.window[a].thumb.difference(&self.window[b].thumb) < limit;
        for length in 1..=FLASH_FRAMES {
            if at + length < self.window.len() && alike(at - 1, at + length) {
                return Some((first + at as u64, first + (at + length) as u64));
            }
            if at > length && alike(at - 1 - length, at) {
                return Some((first + (at - length) as u64, first + at as u64));
            }
        }
        None
    }

    /// Looks for a gradual transition whose last mixed frame is before `at`.
    fn gradual_ending_at(&mut self, at: usize, frame: u64) {
        let previous = self.map.boundaries.last().map_or(0, |b| b.frame);
        for span in GRADUAL_SPANS {
            let Some(start) = at.checked_sub(span) else { break };
            let from = frame - span as u64;
            if from < previous {
                break;
            }
            let (a, b) = (&self.window[start].thumb, &self.window[at].thumb);
            let ends = a.difference(b);
            if ends < GRADUAL_DIFFERENCE {
                continue;
            }
            let mut last_share = 0.0;
            let blends = (start + 1..at).all(|i| {
                let (residual, share) = self.window[i].thumb.blend_residual(a, b);
                let forward = share >= last_share - 0.08;
                last_share = share;
                residual < BLEND_RESIDUAL * ends && forward
            });
            if blends {
                self.map.boundaries.push(Boundary { kind: TransitionKind::Dissolve, frame, from: from + 1 });
                return;
            }
        }
    }
}
