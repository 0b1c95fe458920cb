//! Identity vectors.

use super::align::CHIP_SIZE;
use super::pack::EmbedderSpec;
use crate::error::{Error, Result};
use crate::inference::{Model, Network};
use image::RgbImage;
use ndarray::ArrayD;

/// An embedding network.
pub struct Embedder {
    network: Network,
    in_float: Vec<String>,
    mean: f32,
    std: f32,
    dimensions: usize,
}

impl Embedder {
    /// Compiles the network for one aligned face at a time.
    pub fn new(spec: &EmbedderSpec, file: &[u8]) -> Result<Self> {
        let side = CHIP_SIZE as usize;
        let model = Model::from_onnx(file)?;
        Ok(Self {
            network: model.network(&[1, 3, side, side])?,
            in_float: model.in_float().to_vec(),
            mean: spec.mean,
            std: spec.std,
            dimensions: spec.dimensions,
        })
    }

    /// Quantized nodes that run in float, and why.
    pub fn in_float(&self) -> &[String] {
        &self.in_float
    }

    /// The identity of an aligned face ([`super::align::chip`]), of unit length.
    pub fn embed(&self, chip: &RgbImage) -> Result<Vec<f32>> {
        let input = to_chw(chip, |v| (v - self.mean) / self.std);
        let outputs = self.network.run(input.view())?;
        let vector: Vec<f32> = outputs.first().map(|o| o.iter().copied().collect()).unwrap_or_default();
        if vector.len() != self.dimensions {
            return Err(Error::Inference(format!(
                "the embedder gave {} numbers, the pack says {}",
                vector.len(),
                self.dimensions
            )));
        }
        let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
        Ok(vector.into_iter().map(|v| v / norm).collect())
    }
}

/// Interleaved RGB bytes to a float tensor `1 × 3 × height × width`.
pub(crate) fn to_chw(image: &RgbImage, map: impl Fn(f32) -> f32) -> ArrayD<f32> {
    let (w, h) = (image.width() as usize, image.height() as usize);
    let mut out = ArrayD::zeros(vec![1, 3, h, w]);
    if let Some(data) = out.as_slice_mut() {
        let (red, rest) = data.split_at_mut(w * h);
        let (green, blue) = rest.split_at_mut(w * h);
        for (((pixel, r), g), b) in image.as_raw().chunks_exact(3).zip(red).zip(green).zip(blue) {
            *r = map(f32::from(pixel[0]));
            *g = map(f32::from(pixel[1]));
            *b = map(f32::from(pixel[2]));
        }
    }
    out
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
