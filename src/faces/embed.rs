//! Identity vectors.

use super::pack::EmbedderSpec;
use crate::error::{Error, Result};
use crate::inference::{Engine, Runner};
use image::RgbImage;
use ndarray::ArrayD;

/// An embedding network.
pub struct Embedder {
    runner: Runner,
    mean: f32,
    std: f32,
    dimensions: usize,
}

impl Embedder {
    /// Reads the network for an engine.
    pub fn new(spec: &EmbedderSpec, file: &[u8], engine: &Engine) -> Result<Self> {
        Ok(Self { runner: engine.load(file)?, mean: spec.mean, std: spec.std, dimensions: spec.dimensions })
    }

    /// Quantized nodes that run in float, and why.
    pub fn in_float(&self) -> &[String] {
        self.runner.in_float()
    }

    /// The identities of aligned faces ([`super::align::chip`]), of unit length.
    pub fn embed(&mut self, chips: &[RgbImage]) -> Result<Vec<Vec<f32>>> {
        if chips.is_empty() {
            return Ok(Vec::new());
        }
        let batch = to_batch(&chips.iter().collect::<Vec<_>>(), |v| (v - self.mean) / self.std)?;
        let outputs = self.runner.run(batch.view())?;
        // One face may come without an axis for the batch; several need one.
        let whole = |vectors: &&ArrayD<f32>| {
            vectors.len() == chips.len() * self.dimensions && (chips.len() == 1 || vectors.shape()[0] == chips.len())
        };
        let vectors = outputs.first().filter(whole);
        let vectors = vectors.ok_or_else(|| {
            let numbers = outputs.first().map_or(0, |vectors| vectors.len());
            let (faces, dimensions) = (chips.len(), self.dimensions);
            Error::Inference(format!(
                "the embedder gave {numbers} numbers for {faces} faces, the pack says {dimensions} each"
            ))
        })?;
        let values: Vec<f32> = vectors.iter().copied().collect();
        let unit = |vector: &[f32]| {
            let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            vector.iter().map(|v| v / norm).collect()
        };
        Ok(values.chunks_exact(self.dimensions.max(1)).map(unit).collect())
    }
}

/// Interleaved RGB bytes of pictures of one size to a float tensor `N × 3 × height × width`.
pub(crate) fn to_batch(images: &[&RgbImage], map: impl Fn(f32) -> f32) -> Result<ArrayD<f32>> {
    let (w, h) = images.first().map_or((0, 0), |image| (image.width() as usize, image.height() as usize));
    let mut data = Vec::with_capacity(images.len() * 3 * w * h);
    for (image, channel) in images.iter().flat_map(|image| (0..3).map(move |channel| (image, channel))) {
        data.extend(image.as_raw().chunks_exact(3).map(|pixel| map(f32::from(pixel[channel]))));
    }
    let batch = ArrayD::from_shape_vec(vec![images.len(), 3, h, w], data);
    batch.map_err(|_| Error::Inference("the pictures of a batch have several sizes".into()))
}

/// Cosine of two unit vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side: vector instructions may not reorder a single one.
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0f32; 8];
    for (a, b) in a8.zip(b8) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + rest
}
