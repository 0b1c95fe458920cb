//! `framesift faces`.

use super::engine::EngineOptions;
use super::progress::tell_user;
use super::{Ended, Outcome};
use clap::Args;
use framesift::faces::FaceAnalyzer;
use framesift::faces::pose::Pose;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};
use serde_json::json;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Options {
    /// JPEG or PNG images.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Print identity vectors (biometric data) too.
    #[arg(long)]
    embeddings: bool,
    #[command(flatten)]
    engine: EngineOptions,
}

/// Prints a JSON object a line for every image.
pub fn run(options: &Options) -> Outcome {
    let models = options.engine.open(true, &|text| tell_user(&format!("framesift: {text}")))?;
    let mut analyzer = FaceAnalyzer::new(models.pack, &models.engine)?;
    let mut failed = 0;
    for path in &options.images {
        let faces = upright(path).map_err(|e| e.to_string()).and_then(|picture| {
            let faces = analyzer.analyze(&picture).map_err(|e| e.to_string())?;
            Ok((picture.dimensions(), faces))
        });
        match faces {
            Ok(((width, height), faces)) => {
                let faces: Vec<_> = faces
                    .into_iter()
                    .map(|face| {
                        let mut told = json!({
                            "bbox": face.bbox,
                            "score": face.score,
                            "landmarks": face.landmarks,
                            "pose": Pose::of(&face.landmarks),
                            "quality": face.quality,
                            "flags": face.flags,
                        });
                        if options.embeddings {
                            told["embedding"] = json!(face.embedding);
                        }
                        told
                    })
                    .collect();
                let image = path.display().to_string();
                let told = json!({ "image": image, "width": width, "height": height, "faces": faces });
                writeln!(stdout(), "{told}")?;
            }
            Err(error) => {
                failed += 1;
                tell_user(&format!("framesift: {} cannot be read as a JPEG or PNG image: {error}", path.display()));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Ended::Failed(format!("{failed} of {} images failed", options.images.len()).into())),
    }
}

/// An image as it is to be looked at: cameras that are held sideways say so in the file.
pub fn upright(path: &Path) -> image::ImageResult<RgbImage> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}
