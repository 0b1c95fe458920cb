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
use crate::inference::Engine;
use detect::{Detection, Detector};
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

/// The networks of a pack in an engine.
pub struct FaceAnalyzer {
    detector: Detector,
    embedder: Embedder,
}

impl FaceAnalyzer {
    /// Prepares the pack's networks. Our own are compiled when the first
    /// picture of a shape comes.
    pub fn new(pack: Pack, engine: &Engine) -> Result<Self> {
        let Pack { spec, detector, embedder } = pack;
        Ok(Self {
            detector: Detector::new(spec.detector, &detector, engine)?,
            embedder: Embedder::new(&spec.embedder, &embedder, engine)?,
        })
    }

    /// Quantized nodes of the pack's networks that run in float, and why: what slows it down.
    pub fn in_float(&self) -> impl Iterator<Item = &String> {
        self.detector.in_float().iter().chain(self.embedder.in_float())
    }

    /// Finds and describes all faces of an upright RGB picture, largest first.
    pub fn analyze(&mut self, picture: &RgbImage) -> Result<Vec<Face>> {
        let mut faces = self.analyze_batch(std::slice::from_ref(picture))?;
        Ok(faces.pop().unwrap_or_default())
    }

    /// The same for several pictures, which a GPU does at once.
    pub fn analyze_batch(&mut self, pictures: &[RgbImage]) -> Result<Vec<Vec<Face>>> {
        let found = self.detector.detect(pictures)?;
        let on = |(picture, found): (_, &Vec<Detection>)| {
            found.iter().map(|face| align::chip(picture, &face.landmarks)).collect::<Vec<_>>()
        };
        let chips: Vec<RgbImage> = pictures.iter().zip(&found).flat_map(on).collect();
        let mut described = chips.iter().zip(self.embedder.embed(&chips)?);
        let mut all = Vec::with_capacity(pictures.len());
        for (picture, found) in pictures.iter().zip(found) {
            let mut faces: Vec<Face> = (found.into_iter().zip(described.by_ref()))
                .map(|(found, (chip, embedding))| {
                    let (quality, flags) = quality::assess(picture, chip, &found);
                    let Detection { bbox, score, landmarks } = found;
                    Face { bbox, score, landmarks, quality, flags, embedding }
                })
                .collect();
            let area = |f: &Face| f.bbox[2] * f.bbox[3];
            faces.sort_by(|a, b| area(b).total_cmp(&area(a)));
            all.push(faces);
        }
        Ok(all)
    }
}
