//! Faces of one picture: detect → refine → align → embed → quality.
//!
//! ```text
//! pack       the model pack: files, pre- and post-processing, licence
//! detect     CenterFace: boxes and landmarks, and a second look for large faces
//! align      similarity transform to the ArcFace template
//! embed      identity vector of an aligned face
//! pose       where a head is turned
//! quality    how usable a face is, with named reasons against it
//! cluster    faces of one person across frames
//! ```

pub mod align;
pub mod cluster;
pub mod detect;
pub mod embed;
pub mod pack;
pub mod pose;
pub mod quality;

use crate::error::Result;
use detect::Detector;
use embed::Embedder;
use image::RgbImage;
use pack::Pack;
use quality::Flag;
use serde::{Deserialize, Serialize};

/// Five points in pixels: eye at the image's left, eye at the right, nose tip,
/// mouth corner at the left, mouth corner at the right.
pub type Landmarks = [[f32; 2]; 5];

/// One analysed face.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Face {
    /// x, y, width, height in pixels of the upright picture.
    pub bbox: [f32; 4],
    /// Detector's confidence, 0–1.
    pub score: f32,
    /// Where eyes, nose and mouth are.
    pub landmarks: Landmarks,
    /// How usable the face is, 0–1.
    pub quality: f32,
    /// What speaks against it.
    pub flags: Vec<Flag>,
    /// Identity, unit length; compare by dot product.
    pub embedding: Vec<f32>,
}

/// The networks of a pack, compiled for one picture shape at a time.
pub struct FaceAnalyzer {
    detector: Detector,
    embedder: Embedder,
}

impl FaceAnalyzer {
    /// Prepares the pack's networks. Networks are compiled when the first
    /// picture of a shape comes.
    pub fn new(pack: Pack) -> Result<Self> {
        let Pack { spec, detector, embedder } = pack;
        Ok(Self {
            detector: Detector::new(spec.detector, &detector)?,
            embedder: Embedder::new(&spec.embedder, &embedder)?,
        })
    }

    /// Quantized nodes of the pack's networks that run in float, and why: what slows it down.
    pub fn in_float(&self) -> impl Iterator<Item = &String> {
        self.detector.in_float().iter().chain(self.embedder.in_float())
    }

    /// Finds and describes all faces of an upright RGB picture, largest first.
    pub fn analyze(&mut self, picture: &RgbImage) -> Result<Vec<Face>> {
        let mut faces = Vec::new();
        for found in self.detector.detect(picture)? {
            let chip = align::chip(picture, &found.landmarks);
            let embedding = self.embedder.embed(&chip)?;
            let (quality, flags) = quality::assess(picture, &chip, &found);
            faces.push(Face {
                bbox: found.bbox,
                score: found.score,
                landmarks: found.landmarks,
                quality,
                flags,
                embedding,
            });
        }
        let area = |f: &Face| f.bbox[2] * f.bbox[3];
        faces.sort_by(|a, b| area(b).total_cmp(&area(a)));
        Ok(faces)
    }
}
