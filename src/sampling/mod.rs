//! From decoded frames to a few candidates, in one streaming pass.
//!
//! ```text
//! features      numbers and a thumbnail of each frame; hash: what it looks like;
//!               sharpness: how well it is focused
//! scenes        shot boundaries; mixture: what gradual ones are made of;
//!               pyscenedetect: the detectors of PySceneDetect
//! similarity    runs of look-alikes → the sharpest of each: the candidates
//! difference    how unlike two candidates are, faces included
//! selection     the choice under a budget, when the candidates are analysed
//! ```

pub mod difference;
pub mod features;
pub mod hash;
pub mod mixture;
pub mod pyscenedetect;
pub mod scenes;
pub mod selection;
pub mod sharpness;
pub mod similarity;

use crate::frame::FrameLayout;
use features::Features;
use scenes::{SceneDetector, SceneMap};
use serde::{Deserialize, Serialize};
use similarity::{RunOptions, Runs, Step};

/// How scenes are found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Detector {
    /// Ours: cuts and gradual transitions ([`scenes`]).
    #[default]
    Default,
    /// PySceneDetect's: jumps of hue, saturation and brightness.
    Content(pyscenedetect::Content),
    /// PySceneDetect's: the same against the movement around.
    Adaptive(pyscenedetect::Adaptive),
    /// PySceneDetect's: jumps of a perceptual hash.
    Hash(pyscenedetect::Hash),
    /// PySceneDetect's: jumps of the histogram of luma.
    Hist(pyscenedetect::Hist),
    /// PySceneDetect's: fades through black.
    Threshold(pyscenedetect::Threshold),
}

/// A frame that may be chosen, at full resolution.
pub struct Candidate {
    /// Position in presentation order, from 0.
    pub index: u64,
    /// Presentation time in seconds.
    pub time_s: f64,
    /// What sampling measured of it.
    pub features: Features,
    /// What `data` means.
    pub layout: FrameLayout,
    /// The decoder's planes.
    pub data: Vec<u8>,
}

/// The streaming pass. Holds one frame at full resolution: the best of the run
/// that is still growing.
pub struct Sampler {
    detector: SceneDetector,
    runs: Runs,
    held: Option<Candidate>,
    next_index: u64,
}

impl Sampler {
    /// Nothing seen yet.
    pub fn new(runs: RunOptions) -> Self {
        Self { detector: SceneDetector::default(), runs: Runs::new(runs), held: None, next_index: 0 }
    }

    /// Takes the next frame in presentation order, and what was measured of it,
    /// and returns the candidate that it completes, if any. `hold` is asked to put its pixels into a buffer,
    /// whatever that held, and says what they mean; only where the frame is worth holding. `spare`: a buffer to use again.
    pub fn push(
        &mut self,
        time_s: f64,
        features: Features,
        spare: &mut Vec<u8>,
        hold: impl FnOnce(&mut Vec<u8>) -> FrameLayout,
    ) -> Option<Candidate> {
        let index = self.next_index;
        self.next_index += 1;
        self.detector.push(&features);
        let step = self.runs.push(time_s, &features);
        if step == Step::Worse {
            return None;
        }
        let complete = self.held.take();
        let (mut data, complete) = match (step, complete) {
            (Step::Better, Some(worse)) => (worse.data, None),
            (_, complete) => (std::mem::take(spare), complete),
        };
        let layout = hold(&mut data);
        self.held = Some(Candidate { index, time_s, features, layout, data });
        complete
    }

    /// See [`SceneDetector::starts_so_far`].
    pub fn starts_so_far(&self, sensitivity: scenes::Sensitivity) -> impl Iterator<Item = u64> {
        self.detector.starts_so_far(sensitivity)
    }

    /// See [`SceneDetector::is_spoilt`].
    pub fn is_spoilt(&self, frame: u64, margin: u64) -> Option<bool> {
        self.detector.is_spoilt(frame, margin)
    }

    /// Frames taken so far.
    pub fn frames(&self) -> u64 {
        self.next_index
    }

    /// Ends the video: the last candidate, and the scenes at each level of sensitivity, in the order
    /// of [`scenes::Sensitivity::ALL`].
    pub fn finish(self) -> (Option<Candidate>, [SceneMap; 3]) {
        (self.held, self.detector.finish())
    }
}
