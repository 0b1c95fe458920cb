//! Engines against each other, on photos of people. Those that are not here are skipped with the reason, unless
//! `FRAMESIFT_ORT_LIB` says that they should be.
#![cfg(not(target_arch = "wasm32"))]

use framesift::faces::pack::Pack;
use framesift::faces::{Face, FaceAnalyzer};
use framesift::inference::onnxruntime::{OnnxRuntime, Provider};
use framesift::inference::{Engine, Precision};
use image::RgbImage;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// A process keeps one ONNX Runtime.
static RUNTIME: LazyLock<Result<Arc<OnnxRuntime>, String>> =
    LazyLock::new(|| OnnxRuntime::load(None).map(Arc::new).map_err(|e| e.to_string()));

fn onnxruntime(provider: Provider, precision: Precision) -> Option<Engine> {
    let engine = RUNTIME.clone().and_then(|runtime| {
        runtime.try_provider(provider).map_err(|e| e.to_string())?;
        Ok(Engine::onnxruntime(runtime, provider, precision))
    });
    let asked_for = std::env::var_os("FRAMESIFT_ORT_LIB").is_some() && provider != Provider::Cuda;
    match engine {
        Ok(engine) => Some(engine),
        Err(reason) if asked_for => panic!("{reason}"),
        Err(reason) => {
            println!("skipped: {provider:?} does not run here: {reason}");
            None
        }
    }
}

/// A photo as it is, half as large, and a part of it with other sides: several shapes in one batch.
fn pictures() -> Vec<RgbImage> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/@vladmandic/face-api/demo");
    let open = |name: &str| image::open(root.join(name)).expect("run npm ci first").to_rgb8();
    let (one, other) = (open("sample6.jpg"), open("sample1.jpg"));
    let (w, h) = one.dimensions();
    let half = image::imageops::thumbnail(&one, w / 2, h / 2);
    let part = image::imageops::crop_imm(&one, 0, 0, w / 2, h).to_image();
    vec![one.clone(), one, half, RgbImage::new(64, 48), part, other]
}

fn analyzed(engine: &Engine, at_once: usize) -> Vec<Vec<Face>> {
    let pack = Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).expect("the pack is whole");
    let mut analyzer = FaceAnalyzer::new(pack, engine).expect("the networks load");
    let pictures = pictures();
    pictures.chunks(at_once).flat_map(|part| analyzer.analyze_batch(part).expect("they run")).collect()
}

/// Whether faces are the same within `px` pixels and a cosine.
fn assert_same(ours: &[Vec<Face>], theirs: &[Vec<Face>], px: f32, least_cosine: f32) {
    assert!(ours.iter().map(Vec::len).sum::<usize>() >= 10, "there are faces to compare");
    for (picture, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours.len(), theirs.len(), "faces in picture {picture}");
        for face in ours {
            let off = |other: &Face| {
                let corners = face.bbox.iter().zip(&other.bbox).map(|(a, b)| (a - b).abs());
                corners.fold(0.0, f32::max)
            };
            let other = theirs.iter().min_by(|a, b| off(a).total_cmp(&off(b))).expect("as many");
            let cosine: f32 = face.embedding.iter().zip(&other.embedding).map(|(a, b)| a * b).sum();
            assert!(off(other) <= px && cosine >= least_cosine, "picture {picture}: {} px, {cosine}", off(other));
        }
    }
}

#[test]
fn pictures_in_a_batch_are_as_they_are_alone() {
    for precision in [Precision::Int8, Precision::Fp32] {
        let engine = Engine::own(precision);
        assert_same(&analyzed(&engine, 6), &analyzed(&engine, 1), 0.0, 0.99999);
    }
}

#[test]
fn fp32_differs_from_int8_by_its_rounding() {
    assert_same(&analyzed(&Engine::own(Precision::Fp32), 6), &analyzed(&Engine::default(), 6), 12.0, 0.93);
}

#[test]
fn tract_and_onnxruntime_agree_in_fp32() {
    let Some(theirs) = onnxruntime(Provider::Cpu(1), Precision::Fp32) else { return };
    let ours = analyzed(&Engine::own(Precision::Fp32), 1);
    assert_same(&ours, &analyzed(&theirs, 1), 0.1, 0.9999);
    assert_same(&ours, &analyzed(&theirs, 6), 0.1, 0.9999);
}

#[test]
fn our_int8_and_that_of_onnxruntime_agree() {
    let Some(theirs) = onnxruntime(Provider::Cpu(1), Precision::Int8) else { return };
    assert_same(&analyzed(&Engine::default(), 1), &analyzed(&theirs, 6), 3.0, 0.95);
}

#[test]
fn the_gpu_agrees_with_the_cpu() {
    let Some(gpu) = onnxruntime(Provider::Cuda, Precision::Fp32) else { return };
    let ours = analyzed(&Engine::own(Precision::Fp32), 1);
    assert_same(&ours, &analyzed(&gpu, 1), 0.1, 0.9999);
    assert_same(&ours, &analyzed(&gpu, 6), 0.1, 0.9999);
}
