//! What comes from outside as JSON: manifests that are read again, options, edits. Whatever it says, an error or a
//! result, never a panic.
//!
//! A valid manifest is changed at random from a fixed seed, for as long as `FRAMESIFT_FUZZ_SECONDS` says (default 10).

use framesift::error::Error;
use framesift::faces::Face;
use framesift::faces::pack::PackSpec;
use framesift::frame::{Frame, FrameLayout};
use framesift::manifest::{Manifest, Options, PersonEdit, Video};
use framesift::pipeline::{Measurer, Session};
use framesift::sampling::Detector;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

mod fuzz;

use fuzz::Random;

const WIDTH: usize = 64;
const HEIGHT: usize = 48;
const FRAMES: usize = 60;

fn pack() -> PackSpec {
    PackSpec::parse(include_str!("../models/pack.toml")).unwrap()
}

fn video() -> Video {
    serde_json::from_value(json!({
        "name": "a.mp4", "duration_s": 2.4, "width": WIDTH, "height": HEIGHT, "rotation_deg": 0, "codec": "h264",
        "frames_expected": FRAMES, "frames_decoded": FRAMES, "frames_missing": 0
    }))
    .unwrap()
}

/// A scan of three scenes with two people.
fn scanned() -> Session {
    let mut session = Session::new(&Options::default(), FRAMES as f64 / 25.0);
    let mut measurer = Measurer::new(&Detector::Default).unwrap();
    let layout = FrameLayout::i420(WIDTH, HEIGHT);
    let mut candidates = Vec::new();
    for i in 0..FRAMES {
        let scene = i / 20;
        let data: Vec<u8> = (0..FrameLayout::i420_len(WIDTH, HEIGHT))
            .map(|at| ((at * (3 + 2 * scene) + i * 5) % 256) as u8 / 2 + scene as u8 * 40)
            .collect();
        let measured = measurer.measure(&Frame::new(&layout, &data).unwrap()).unwrap();
        let candidate = session.push(i as f64 / 25.0, 0.04, measured, |_| layout.clone()).unwrap();
        candidates.extend(candidate.map(|c| c.index));
    }
    candidates.extend(session.finish().into_iter().map(|c| c.index));
    for (i, index) in candidates.into_iter().enumerate() {
        let mut embedding = vec![0.0; 192];
        embedding[i % 2] = 1.0;
        let face = Face {
            bbox: [4.0, 4.0, 30.0, 30.0],
            score: 0.9,
            landmarks: [[10.0, 12.0], [24.0, 12.0], [17.0, 20.0], [12.0, 27.0], [22.0, 27.0]],
            quality: 0.8,
            flags: Vec::new(),
            embedding,
        };
        session.set_faces(index, vec![face]).unwrap();
    }
    session
}

fn manifest(session: &mut Session, options: &Options) -> Result<Manifest, Error> {
    options.check()?;
    session.detect(&options.detector, options.sensitivity)?;
    Ok(session.manifest(options, &pack(), video(), "test", BTreeMap::new()))
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let edits = framesift::manifest::Edits {
        people: vec![PersonEdit { id: 1, name: Some("Ada".into()), same_as: None }],
        ..Default::default()
    };
    let options = Options { budget: 7, edits, ..Options::default() };
    let written = serde_json::to_string(&manifest(&mut scanned(), &options).unwrap()).unwrap();
    let read = Manifest::read(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
    assert_eq!(read.options, options);
}

#[test]
fn what_cannot_be_read_is_told() {
    let written = serde_json::to_value(manifest(&mut scanned(), &Options::default()).unwrap()).unwrap();
    let error = |change: &dyn Fn(&mut Value)| {
        let mut value = written.clone();
        change(&mut value);
        Manifest::read(&value.to_string()).expect_err("it was accepted").to_string()
    };
    assert!(Manifest::read("PK\u{3}\u{4}").err().unwrap().to_string().starts_with("it is not JSON"));
    assert!(Manifest::read("{}").err().unwrap().to_string().contains("no manifest of framesift"));
    assert!(error(&|m| m["schema"] = json!("framesift-manifest/9")).contains("framesift-manifest/9"));
    assert!(error(&|m| _ = m.as_object_mut().unwrap().remove("frames")).contains("missing field `frames`"));
    assert!(error(&|m| m["options"]["budget"] = json!(0)).contains("budget is 0, expected 1 to 100000"));
    assert!(error(&|m| m["options"]["similarity"] = json!(1.5)).contains("similarity is 1.5"));
    assert!(error(&|m| m["options"]["faces"] = json!("maybe")).contains("unknown variant `maybe`"));
}

#[test]
fn no_manifest_and_no_options_crash() {
    let end = Instant::now() + fuzz::time(10);
    let mut session = scanned();
    let edits = json!({ "include": [3, 30], "exclude": [5], "people": [{ "id": 0, "same_as": 1 }], "only_people": [1], "split": [0, 1000] });
    let mut whole = serde_json::to_value(manifest(&mut session, &Options::default()).unwrap()).unwrap();
    whole["options"]["edits"] = edits;
    let mut random = Random(1);
    let (mut accepted, mut refused) = (0, 0);
    while Instant::now() < end {
        let mut value = whole.clone();
        for _ in 0..=random.below(3) {
            change(&mut value, &mut random);
        }
        let mut text = value.to_string();
        if random.below(8) == 0 {
            text.truncate(text.floor_char_boundary(random.below(text.len())));
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let read = Manifest::read(&text)?;
            read.scenes_csv();
            framesift::dataset::files(&read)?;
            manifest(&mut session, &read.options)
        }));
        match outcome.unwrap_or_else(|_| panic!("crashed by {text}")) {
            Ok(chosen) => {
                accepted += 1;
                assert!(chosen.frames.len() <= chosen.options.budget.max(chosen.options.edits.include.len()));
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused");
}

/// Changes a place of the tree, the options twice as often as the rest.
fn change(value: &mut Value, random: &mut Random) {
    let mut at = match value.get("options").is_some() && random.below(2) == 0 {
        true => &mut value["options"],
        false => value,
    };
    loop {
        let children = match at {
            Value::Array(all) => all.len(),
            Value::Object(all) => all.len(),
            _ => 0,
        };
        if children == 0 || random.below(5) == 0 {
            break;
        }
        let child = random.below(children);
        if random.below(12) == 0 {
            match at {
                Value::Array(all) => _ = all.remove(child),
                Value::Object(all) => _ = all.keys().nth(child).cloned().and_then(|key| all.remove(&key)),
                _ => {}
            }
            return;
        }
        at = match at {
            Value::Array(all) => &mut all[child],
            Value::Object(all) => all.values_mut().nth(child).unwrap(),
            _ => unreachable!(),
        };
    }
    let others = [
        json!(null),
        json!(0),
        json!(1),
        json!(-1),
        json!(59),
        json!(60),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-0.5),
        json!(0.999),
        json!(1e-320),
        json!(""),
        json!("../../etc"),
        json!("hash"),
        json!("require"),
        json!("low"),
        json!([]),
        json!([0, 0, 0]),
        json!([1, 59, 4_000_000_000_u64]),
        json!({}),
        json!(true),
        json!({ "name": "hash", "size": 2, "lowpass": 8 }),
        json!({ "name": "adaptive", "frame_window": 1000 }),
        json!([{ "id": 0, "same_as": 0 }, { "id": 1, "same_as": 7 }]),
        json!("\u{0}<script>\u{202e}"),
    ];
    *at = others[random.below(others.len())].clone();
}
