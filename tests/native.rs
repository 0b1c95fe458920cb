//! The crate as a program uses it, on the machine itself.
#![cfg(not(target_arch = "wasm32"))]

mod parity;

use framesift::faces::pack::{Pack, PackSpec};
use framesift::faces::quality::Flag;
use framesift::faces::{Face, FaceAnalyzer};
use framesift::frame::{Frame, FrameLayout};
use framesift::inference::Engine;
use framesift::manifest::{Manifest, Options, Video};
use framesift::pipeline::{Measurer, Session};
use framesift::sampling::Detector;
use framesift::sampling::scenes::{Sensitivity, TransitionKind};
use framesift::sampling::selection::{FacesMode, Reason};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn embeddings_agree_with_onnxruntime() {
    parity::embeddings_agree();
}

#[test]
fn detections_agree_with_onnxruntime() {
    parity::detections_agree();
}

#[test]
fn a_damaged_pack_is_refused_by_name() {
    let toml = std::fs::read_to_string(root().join("models/pack.toml")).unwrap();
    let spec = PackSpec::parse(&toml).unwrap();
    let error = Pack::new(spec, vec![1, 2, 3], vec![]).err().unwrap().to_string();
    assert!(error.contains("centerface.int8.onnx") && error.contains("SHA-256"), "{error}");
    let error = PackSpec::parse(&toml.replace("\"centerface\"", "\"other\"")).err().unwrap().to_string();
    assert!(error.contains("other") && error.contains("centerface"), "{error}");
}

/// Photos of groups from an npm package that the page's tests need as well.
fn photo(name: &str) -> PathBuf {
    let path = root().join("node_modules/@vladmandic/face-api/demo").join(name);
    assert!(path.exists(), "{} is missing: run npm ci first", path.display());
    path
}

#[test]
fn people_on_photos_are_found_and_told_apart() {
    let mut analyzer = FaceAnalyzer::new(Pack::open(&root().join("models")).unwrap(), &Engine::default()).unwrap();
    let picture = image::open(photo("sample6.jpg")).unwrap().to_rgb8();
    let faces = analyzer.analyze(&picture).unwrap();
    assert_eq!(faces.len(), 4);
    let smaller = image::imageops::thumbnail(&picture, picture.width() * 2 / 3, picture.height() * 2 / 3);
    let again = analyzer.analyze(&smaller).unwrap();
    assert_eq!(again.len(), 4);
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for face in &faces {
        let mut cosines: Vec<f32> = again.iter().map(|other| cosine(&face.embedding, &other.embedding)).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        assert!(cosines[0] > 0.8 && cosines[1] < 0.45, "one match and three strangers, got {cosines:?}");
    }
}

/// A picture of smooth blobs that depends on `seed`, at `gain`.
fn scene(seed: usize, shift: usize, gain: f32) -> Vec<u8> {
    let (w, h) = (320, 180);
    let mut data = vec![128u8; FrameLayout::i420_len(w, h)];
    for y in 0..h {
        for x in 0..w {
            let (fx, fy) = ((x + shift) as f32 / 40.0, y as f32 / 30.0);
            let s = seed as f32;
            let v = 120.0 + 70.0 * (fx * (1.0 + 0.37 * s) + s).sin() * (fy * (1.3 + 0.21 * s)).cos();
            data[y * w + x] = (v * gain + ((x * 31 + y * 17) % 9) as f32).clamp(0.0, 255.0) as u8;
        }
    }
    data
}

/// Runs frames at 25 per second through a session, without faces.
fn sift(frames: Vec<Vec<u8>>, options: &Options) -> Manifest {
    manifest(&mut scan(frames, options), options)
}

fn scan(frames: Vec<Vec<u8>>, options: &Options) -> Session {
    let layout = FrameLayout::i420(320, 180);
    let total = frames.len() as u64;
    let mut session = Session::new(options, total as f64 / 25.0);
    let mut measurer = Measurer::new(&options.detector).unwrap();
    for (i, data) in frames.iter().enumerate() {
        let measured = measurer.measure(&Frame::new(&layout, data).unwrap()).unwrap();
        session.push(i as f64 / 25.0, 0.04, measured, |_| layout.clone()).unwrap();
    }
    session.finish();
    for index in session.second_look() {
        session.add_candidate(index, &layout, frames[index as usize].clone()).unwrap();
    }
    session
}

fn manifest(session: &mut Session, options: &Options) -> Manifest {
    let total = session.frames();
    let spec = PackSpec::parse(include_str!("../models/pack.toml")).unwrap();
    let video = Video {
        name: "made".into(),
        size_bytes: None,
        hdr: None,
        duration_s: total as f64 / 25.0,
        width: 320,
        height: 180,
        rotation_deg: 0,
        codec: "raw".into(),
        frames_expected: total,
        frames_decoded: total,
        frames_missing: 0,
        notes: vec![],
    };
    session.manifest(options, &spec, video, "test", Default::default())
}

fn hold(seed: usize, frames: usize) -> Vec<Vec<u8>> {
    (0..frames).map(|_| scene(seed, 0, 1.0)).collect()
}

#[test]
fn cuts_are_found_and_flashes_are_not_cuts() {
    let mut frames = hold(1, 30);
    frames.extend((0..2).map(|_| scene(1, 0, 1.9)));
    frames.extend(hold(1, 28));
    frames.extend(hold(2, 40));
    let manifest = sift(frames, &Options::default());
    let starts: Vec<u64> = manifest.scenes.iter().map(|s| s.start_frame).collect();
    assert_eq!(starts, [0, 60]);
    assert_eq!(manifest.scenes[1].transition, TransitionKind::Cut);
    assert_eq!(manifest.scenes[1].end_frame, 100);
    assert!((manifest.scenes[1].end_s - 4.0).abs() < 1e-9);
    // Still pictures: one frame for each scene, none of the flash.
    assert_eq!(manifest.frames.len(), 2);
    assert!(manifest.frames.iter().all(|f| !(30..32).contains(&f.index)));
    assert!(manifest.rejected.iter().any(|r| (30..32).contains(&r.index) && r.reason == Reason::Transition));
}

/// 40 frames of one picture, 15 mixed ones, 40 of another.
fn dissolve() -> Vec<Vec<u8>> {
    let mut frames = hold(1, 40);
    let (a, b) = (scene(1, 0, 1.0), scene(3, 0, 1.0));
    frames.extend((1..=15).map(|i| {
        let share = i as f32 / 16.0;
        a.iter().zip(&b).map(|(&a, &b)| (f32::from(a) * (1.0 - share) + f32::from(b) * share).round() as u8).collect()
    }));
    frames.extend(hold(3, 40));
    frames
}

#[test]
fn another_detector_changes_the_scenes_and_nothing_mixed_is_kept() {
    let detector = |json: &str| serde_json::from_str(json).unwrap();
    let options = Options { detector: detector(r#"{"name":"content","threshold":2}"#), ..Options::default() };
    let mut session = scan(dissolve(), &options);
    let result = manifest(&mut session, &options);
    assert!(result.scenes.iter().skip(1).all(|s| s.transition == TransitionKind::Cut));
    let kept: Vec<u64> = result.frames.iter().map(|f| f.index).collect();
    assert!(kept.iter().all(|index| !(40..55).contains(index)), "{kept:?} {:?}", result.scenes);
    assert!(result.frames.len() >= 2);

    session.detect(&detector(r#"{"name":"content","threshold":255}"#), Sensitivity::Normal).unwrap();
    assert_eq!(session.scenes().len(), 1);
    session.detect(&detector(r#"{"name":"default"}"#), Sensitivity::Normal).unwrap();
    assert_eq!(session.scenes()[1].transition, TransitionKind::Dissolve);
    assert!(session.detect(&detector(r#"{"name":"hash"}"#), Sensitivity::Normal).is_err(), "was not measured");
}

#[test]
fn a_dissolve_is_found_with_its_range_and_nothing_is_kept_of_it() {
    let frames = dissolve();
    let manifest = sift(frames, &Options::default());
    assert_eq!(manifest.scenes.len(), 2);
    let scene = &manifest.scenes[1];
    assert_eq!(scene.transition, TransitionKind::Dissolve);
    let range = [scene.transition_start_frame.unwrap(), scene.transition_end_frame.unwrap()];
    assert!(range[0].abs_diff(40) <= 2 && range[1].abs_diff(55) <= 2, "{range:?}");
    assert!(manifest.frames.iter().all(|f| f.index < range[0] || f.index >= range[1]));
}

#[test]
fn no_faces_are_looked_for_in_a_transition() {
    let mut frames = dissolve();
    frames.extend(hold(3, 60));
    let (layout, options) = (FrameLayout::i420(320, 180), Options::default());
    let mut session = Session::new(&options, frames.len() as f64 / 25.0);
    let mut measurer = Measurer::new(&options.detector).unwrap();
    let mut looked_at = Vec::new();
    for (i, data) in frames.iter().enumerate() {
        let measured = measurer.measure(&Frame::new(&layout, data).unwrap()).unwrap();
        let hold = |place: &mut Vec<u8>| {
            place.clone_from(data);
            layout.clone()
        };
        if let Some(ready) = session.push(i as f64 / 25.0, 0.04, measured, hold).unwrap() {
            // Buffers go round; what is in this one belongs to its frame.
            assert!(ready.data == frames[ready.index as usize], "the pixels of {}", ready.index);
            looked_at.push(ready.index);
        }
    }
    assert!(looked_at.iter().any(|&index| index >= 55), "what is decided does not wait for the end: {looked_at:?}");
    looked_at.extend(session.finish().into_iter().map(|candidate| candidate.index));
    assert!(looked_at.is_sorted() && looked_at.iter().all(|index| !(40..55).contains(index)), "{looked_at:?}");

    // Those that are passed over are listed nevertheless.
    let before = manifest(&mut session, &options);
    let mixed = before.rejected.iter().filter(|r| (40..55).contains(&r.index));
    let mixed: Vec<u64> = mixed.filter(|r| r.reason == Reason::Transition).map(|r| r.index).collect();
    assert!(!mixed.is_empty());
    // What may have been found there all the same counts for nothing, but for who asks for the frame.
    session.set_faces(mixed[0], vec![face(0, &[])]).unwrap();
    assert!(session.faces_of(mixed[0]).is_empty());
    assert_eq!(session.not_looked_at(&[mixed[0], looked_at[0]]), [mixed[0]]);
    session.add_candidate(mixed[0], &layout, frames[mixed[0] as usize].clone()).unwrap();
    session.set_faces(mixed[0], vec![face(0, &[])]).unwrap();
    assert_eq!(session.faces_of(mixed[0]).len(), 1);
}

/// Frames between two pictures: per pixel of the frame, whether the new picture
/// is seen there and which pixel of its picture (both by position x, y).
fn between(
    a: &[u8],
    b: &[u8],
    steps: usize,
    pixel: impl Fn(f32, usize, usize) -> (bool, usize, usize),
) -> Vec<Vec<u8>> {
    let (w, h) = (320, 180);
    let frame = |step: usize| {
        let mut out = a.to_vec();
        for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
            let (new, px, py) = pixel(step as f32 / (steps + 1) as f32, x, y);
            out[y * w + x] = if new { b } else { a }[py * w + px];
        }
        out
    };
    (1..=steps).map(frame).collect()
}

#[test]
fn wipes_and_pushes_are_found_with_their_ranges() {
    let (a, b) = (scene(1, 0, 1.0), scene(3, 0, 1.0));
    let wipe = between(&a, &b, 15, |share, x, y| (x as f32 >= 320.0 * (1.0 - share), x, y));
    let push = between(&a, &b, 15, |share, x, y| {
        let along = y + (180.0 * share) as usize;
        (along >= 180, x, along % 180)
    });
    for (name, mixed) in [("wipe", wipe), ("push", push)] {
        let mut frames = hold(1, 40);
        frames.extend(mixed);
        frames.extend(hold(3, 40));
        let manifest = sift(frames, &Options::default());
        assert_eq!(manifest.scenes.len(), 2, "{name}");
        let scene = &manifest.scenes[1];
        assert_eq!(scene.transition, TransitionKind::Wipe, "{name}");
        let range = [scene.transition_start_frame.unwrap(), scene.transition_end_frame.unwrap()];
        assert!(range[0].abs_diff(40) <= 2 && range[1].abs_diff(55) <= 2, "{name}: {range:?}");
        assert!(manifest.frames.iter().all(|f| f.index < range[0] || f.index >= range[1]), "{name}");
    }
}

#[test]
fn what_passes_in_front_of_the_camera_is_no_scene_and_is_not_kept() {
    let (a, black) = (scene(1, 0, 1.0), scene(1, 0, 0.0));
    let mut frames = hold(1, 40);
    // A dark edge comes in from the left, and the picture follows behind it.
    frames.extend(between(&a, &black, 6, |share, x, y| ((x as f32) < 320.0 * share, x, y)));
    frames.extend(between(&black, &a, 6, |share, x, y| ((x as f32) < 320.0 * share, x, y)));
    frames.extend(hold(1, 40));
    let manifest = sift(frames, &Options::default());
    assert_eq!(manifest.scenes.len(), 1, "{:?}", manifest.scenes);
    assert!(manifest.frames.iter().all(|f| !(41..51).contains(&f.index)));
}

#[test]
fn the_budget_is_kept_and_another_budget_needs_no_other_scan() {
    let frames: Vec<Vec<u8>> = (0..12).flat_map(|s| hold(s, 10)).collect();
    let mut session = scan(frames, &Options::default());
    let all = manifest(&mut session, &Options::default());
    assert_eq!(all.scenes.len(), 12);
    assert_eq!(all.frames.len(), 12);
    let few = manifest(&mut session, &Options { budget: 5, ..Options::default() });
    assert_eq!(few.frames.len(), 5);
}

#[test]
fn the_result_depends_on_the_input_alone() {
    let frames: Vec<Vec<u8>> = (0..90).map(|i| scene(i / 30, i * 3, 1.0)).collect();
    let json = |m: Manifest| serde_json::to_string(&m).unwrap();
    assert_eq!(json(sift(frames.clone(), &Options::default())), json(sift(frames, &Options::default())));
}

#[test]
fn a_subtle_change_counts_or_not_by_sensitivity_without_another_scan() {
    let (a, b) = (scene(1, 0, 1.0), scene(3, 0, 1.0));
    // Two fifths of the picture change, then all of it.
    let mut part = a.clone();
    for (row, new) in part[..320 * 180].chunks_exact_mut(320).zip(b.chunks_exact(320)) {
        row[196..].copy_from_slice(&new[196..]);
    }
    let mut session = scan([vec![a; 30], vec![part; 30], vec![b; 30]].concat(), &Options::default());
    let mut starts = |sensitivity| {
        session.detect(&Detector::Default, sensitivity).unwrap();
        session.scenes().iter().map(|s| s.start_frame).collect::<Vec<_>>()
    };
    let low = starts(Sensitivity::Low);
    assert!(!low.contains(&30), "{low:?}");
    assert_eq!(starts(Sensitivity::High), [0, 30, 60]);
    assert_eq!(starts(Sensitivity::Low), low);
}

fn face(person: usize, flags: &[Flag]) -> Face {
    let mut embedding = vec![0.0; 192];
    embedding[person] = 1.0;
    let landmarks = [[38.0, 52.0], [74.0, 52.0], [56.0, 72.0], [42.0, 92.0], [71.0, 92.0]];
    Face { bbox: [20.0, 20.0, 72.0, 90.0], score: 0.9, landmarks, quality: 0.8, flags: flags.to_vec(), embedding }
}

#[test]
fn every_candidate_is_kept_or_says_why_not() {
    let mut session = scan((0..6).flat_map(|s| hold(s, 25)).collect(), &Options::default());
    let faces = [
        vec![face(0, &[])],
        vec![face(1, &[])],
        vec![],
        vec![face(0, &[Flag::Blurred])],
        vec![face(2, &[Flag::Profile])],
    ];
    let options = Options { faces: FacesMode::Require, ..Options::default() };
    let indices: Vec<u64> = manifest(&mut session, &Options::default()).frames.iter().map(|f| f.index).collect();
    for (&index, faces) in indices.iter().zip(faces) {
        session.set_faces(index, faces).unwrap();
    }
    let result = manifest(&mut session, &options);
    let kept: Vec<u64> = result.frames.iter().map(|f| f.index).collect();
    assert_eq!(kept, [indices[0], indices[1], indices[4]]);
    let reason = |index| result.rejected.iter().find(|r| r.index == index).map(|r| r.reason);
    assert_eq!(reason(indices[2]), Some(Reason::NoFace));
    assert_eq!(reason(indices[3]), Some(Reason::FaceBlurred));
    // Other gates, other faces.
    let options = Options { face_gates: vec![Flag::Profile], ..options };
    let result = manifest(&mut session, &options);
    let kept: Vec<u64> = result.frames.iter().map(|f| f.index).collect();
    assert_eq!(kept, [indices[0], indices[1], indices[3]]);
    assert_eq!(result.frames.len() + result.rejected.len(), session.candidates().0);
    // Numbers of people stay the same.
    assert_eq!(result.people.iter().map(|p| (p.id, p.faces)).collect::<Vec<_>>(), [(0, 2), (1, 1)]);
}

#[test]
fn a_frame_that_is_gone_leaves_a_few_bytes() {
    let bytes = |frames: usize| scan(hold(1, frames), &Options::default()).record_bytes();
    // What candidates take is the same: one for the still picture every two seconds or less. Of the bytes, 36 are mean
    // colours, which spare a second decoding where no faces are looked for.
    assert!(bytes(2000) - bytes(1000) < 1000 * 80, "{}", bytes(2000) - bytes(1000));
}
