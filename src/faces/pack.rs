//! The model pack: what `pack.toml` says and the files beside it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// `pack.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PackSpec {
    /// Name for manifests.
    pub name: String,
    /// `int8` or `fp32`.
    pub precision: String,
    /// Licence of the whole, as SPDX expression.
    pub license: String,
    /// The face detector.
    pub detector: DetectorSpec,
    /// The face embedder.
    pub embedder: EmbedderSpec,
}

/// A detector's file and how to use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DetectorSpec {
    /// Name for manifests.
    pub name: String,
    /// ONNX file in the pack's folder.
    pub file: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Output convention: only `centerface` so far.
    pub kind: String,
    /// Longer side of the network's input in pixels; the shorter one follows the
    /// picture, rounded up to a multiple of 32.
    pub long_side_px: usize,
    /// Faces below this score are dropped, 0–1.
    pub min_score: f32,
    /// Overlap (intersection over union) above which the weaker of two boxes is dropped.
    pub nms_iou: f32,
    /// Side in pixels of the square crop of the second look at a face's landmarks.
    pub refine_px: usize,
    /// Score that the second look asks for, 0–1.
    pub refine_min_score: f32,
    /// Where the file comes from.
    pub source: String,
    /// Licence as its publisher states it.
    pub license: String,
}

/// An embedder's file and how to use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmbedderSpec {
    /// Name for manifests.
    pub name: String,
    /// ONNX file in the pack's folder.
    pub file: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Input is `(rgb − mean) / std`.
    pub mean: f32,
    /// See `mean`.
    pub std: f32,
    /// Length of the identity vector.
    pub dimensions: usize,
    /// Cosine above which two faces count as one person.
    pub same_person_cosine: f32,
    /// Where the file comes from.
    pub source: String,
    /// Licence as its publisher states it.
    pub license: String,
}

/// A pack whose files have been checked against its `pack.toml`.
#[derive(Clone)]
pub struct Pack {
    /// `pack.toml`.
    pub spec: PackSpec,
    /// The detector's ONNX file.
    pub detector: Vec<u8>,
    /// The embedder's ONNX file.
    pub embedder: Vec<u8>,
}

impl PackSpec {
    /// Reads `pack.toml`.
    pub fn parse(text: &str) -> Result<Self> {
        let spec: Self = toml::from_str(text).map_err(|e| Error::Pack(format!("pack.toml: {e}")))?;
        if spec.detector.kind != "centerface" {
            return Err(Error::Pack(format!(
                "detector kind {:?} is unknown; this version knows: centerface",
                spec.detector.kind
            )));
        }
        spec.check()?;
        Ok(spec)
    }

    /// Whether its numbers make sense: what a folder says may come from anywhere.
    fn check(&self) -> Result<()> {
        let PackSpec { detector: d, embedder: e, .. } = self;
        let sides = [("long_side_px", d.long_side_px), ("refine_px", d.refine_px)];
        if let Some((name, side)) = sides.into_iter().find(|(_, side)| !(32..=4096).contains(side)) {
            return Err(Error::Pack(format!("pack.toml: {name} = {side}, expected 32 to 4096")));
        }
        let shares = [
            ("min_score", d.min_score),
            ("nms_iou", d.nms_iou),
            ("refine_min_score", d.refine_min_score),
            ("same_person_cosine", e.same_person_cosine),
        ];
        if let Some((name, share)) = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(Error::Pack(format!("pack.toml: {name} = {share}, expected 0 to 1")));
        }
        if !e.mean.is_finite() || !e.std.is_finite() || e.std == 0.0 || !(1..=65_536).contains(&e.dimensions) {
            return Err(Error::Pack("pack.toml: the embedder's mean, std or dimensions make no sense".into()));
        }
        Ok(())
    }
}

impl Pack {
    /// Checks both files against the hashes that `pack.toml` states.
    pub fn new(spec: PackSpec, detector: Vec<u8>, embedder: Vec<u8>) -> Result<Self> {
        for (file, expected, bytes) in [
            (&spec.detector.file, &spec.detector.sha256, &detector),
            (&spec.embedder.file, &spec.embedder.sha256, &embedder),
        ] {
            let actual: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
            if !actual.eq_ignore_ascii_case(expected) {
                return Err(Error::Pack(format!(
                    "{file} has SHA-256 {actual}, pack.toml says {expected}: the file is damaged or not the one meant"
                )));
            }
        }
        Ok(Self { spec, detector, embedder })
    }

    /// The default pack, which is compiled in.
    #[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
    pub fn built_in() -> Result<Self> {
        let spec = PackSpec::parse(include_str!("../../models/pack.toml"))?;
        let detector = include_bytes!("../../models/centerface.int8.onnx").to_vec();
        Self::new(spec, detector, include_bytes!("../../models/mobilefacenet.int8.onnx").to_vec())
    }

    /// Reads a pack from its folder.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(folder: &std::path::Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|e| Error::Pack(format!("cannot read {}: {e}", path.display())))
        };
        let text = String::from_utf8(read("pack.toml")?).map_err(|e| Error::Pack(format!("pack.toml: {e}")))?;
        let spec = PackSpec::parse(&text)?;
        let (detector, embedder) = (read(&spec.detector.file)?, read(&spec.embedder.file)?);
        Self::new(spec, detector, embedder)
    }
}
