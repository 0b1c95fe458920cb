//! The JavaScript border, in a page of headless Chromium.
#![cfg(target_arch = "wasm32")]

use framesift::browser::{Analyzer, Scan, device, encode_stills};
use framesift::frame::{Frame, FrameLayout};
use framesift::sampling::sharpness::laplacian_variance;
use framesift::still::{Place, Stills};
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const PACK: &str = include_str!("../models/pack.toml");

fn js(value: &impl Serialize) -> JsValue {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).unwrap()
}

fn get(object: &JsValue, key: &str) -> JsValue {
    js_sys::Reflect::get(object, &key.into()).unwrap()
}

/// Writes a frame where JavaScript would: into the reserved place.
fn write(scan: &mut Scan, index: usize, layout: &JsValue, luma: impl Fn(usize, usize) -> u8) -> usize {
    let bytes = FrameLayout::i420_len(160, 96);
    let place = scan.reserve(bytes) as usize as u32;
    let mut frame = vec![128u8; bytes];
    for y in 0..96 {
        for x in 0..160 {
            frame[y * 160 + x] = luma(x, y);
        }
    }
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().into();
    js_sys::Uint8Array::new_with_byte_offset_and_length(&memory.buffer(), place, bytes as u32).copy_from(&frame);
    scan.commit(index as f64 / 25.0, 0.04, layout.clone()).ok().unwrap()
}

#[wasm_bindgen_test]
fn a_scan_from_frames_to_manifest() {
    let options = js(&serde_json::json!({ "budget": 10 }));
    let mut scan = Scan::new(options.clone(), 4.0, PACK).ok().unwrap();
    let layout = js(&FrameLayout::i420(160, 96));
    for i in 0..50 {
        let luma = |x: usize, y: usize| if i < 25 { (x * 255 / 160) as u8 } else { (y * 255 / 96) as u8 };
        // The first scene's candidate is complete when the second begins, and waits until no transition can lie over it.
        assert_eq!(write(&mut scan, i, &layout, luma), usize::from(i >= 47));
        assert_eq!(scan.frames(), (i + 1) as f64);
    }
    assert_eq!(scan.finish().ok().unwrap(), 2);
    for _ in 0..2 {
        let candidate = scan.candidate().ok().unwrap();
        assert_eq!(scan.candidate_bytes(), FrameLayout::i420_len(160, 96));
        let pixels = js_sys::Uint8Array::new_with_length(scan.candidate_bytes() as u32);
        scan.take_pixels(&pixels).ok().unwrap();
        assert!(pixels.to_vec().iter().any(|&v| v != pixels.get_index(0)), "a picture, not one colour");
        let index = get(&candidate, "index").as_f64().unwrap() as u32;
        scan.set_faces(index, js_sys::Array::new().into()).ok().unwrap();
    }
    assert!(scan.candidate().ok().unwrap().is_undefined());
    assert_eq!(scan.candidate_bytes(), 0);
    // Both scenes have a clean candidate, so nothing is to be decoded again; but it could be.
    assert_eq!(js_sys::Array::from(&scan.second_look().ok().unwrap()).length(), 0);
    scan.reserve(FrameLayout::i420_len(160, 96));
    scan.commit_again(7, layout.clone()).ok().unwrap();
    assert_eq!(get(&scan.candidate().ok().unwrap(), "index").as_f64(), Some(7.0));

    let video = js(&serde_json::json!({
        "name": "made", "duration_s": 2.0, "width": 160, "height": 96, "rotation_deg": 0, "codec": "raw",
        "frames_expected": 50, "frames_decoded": 50, "frames_missing": 0
    }));
    let manifest = scan.manifest(options, video, js(&serde_json::json!({ "scan": 1.5 }))).ok().unwrap();
    let length = |key: &str| js_sys::Array::from(&get(&manifest, key)).length();
    assert_eq!((length("scenes"), length("frames")), (2, 2));
    assert_eq!(get(&manifest, "device").as_string().unwrap(), device());
}

#[wasm_bindgen_test]
fn a_chosen_frame_and_its_faces_become_files() {
    let landmarks = [[30.0, 25.0], [50.0, 25.0], [40.0, 38.0], [33.0, 50.0], [47.0, 50.0]];
    let stills = Stills { faces: vec![Place { bbox: [20.0, 10.0, 40.0, 50.0], landmarks }], ..Stills::default() };
    let layout = FrameLayout::i420(160, 96);
    let pixels: Vec<u8> = (0..FrameLayout::i420_len(160, 96)).map(|i| (i % 160) as u8).collect();
    let files = encode_stills(js(&layout), &pixels, js(&stills), None).ok().unwrap();
    let size = |i: u32| {
        let jpeg = js_sys::Uint8Array::from(files.get(i)).to_vec();
        let picture = image::load_from_memory(&jpeg).unwrap();
        (picture.width(), picture.height())
    };
    assert_eq!((files.length(), size(0), size(1)), (2, (160, 96), (80, 75)));
}

#[wasm_bindgen_test]
fn mistakes_become_errors_not_panics() {
    let mut scan = Scan::new(js(&serde_json::json!({})), 1.0, PACK).ok().unwrap();
    assert!(scan.commit(0.0, 0.04, js(&FrameLayout::i420(160, 96))).is_err(), "commit without reserve");
    scan.reserve(10);
    assert!(scan.commit(0.0, 0.04, js(&FrameLayout::i420(160, 96))).is_err(), "ten bytes are not a frame");
    assert!(scan.set_faces(7, js_sys::Array::new().into()).is_err(), "not a candidate");
    assert!(Scan::new(js(&serde_json::json!({ "budget": "many" })), 1.0, PACK).is_err());
    assert!(scan.take_pixels(&js_sys::Uint8Array::new_with_length(9)).is_err(), "no candidate is waiting");
    assert!(encode_stills(js(&FrameLayout::i420(160, 96)), &[0; 9], js(&Stills::default()), None).is_err());
    assert!(Analyzer::new(PACK, vec![0; 8], vec![0; 8]).is_err(), "damaged models");
}

/// What is measured in vectors here, against the definitions.
#[wasm_bindgen_test]
fn vectors_measure_what_is_defined() {
    for width in (3..=7).chain([47, 48, 49, 95, 96, 97, 160]) {
        for k in [1, 2, 3] {
            let layout = FrameLayout::i420(k * width, k * 5);
            // Checks of black and white first, so that sums reach their largest, then a mixture.
            let sample = |x: usize, y: usize| match x < 40 {
                true => 255 * ((x / k + y / k) % 2) as u8,
                false => (x * x * 31 + y * 89) as u8,
            };
            let mut data = vec![128; FrameLayout::i420_len(k * width, k * 5)];
            for (i, v) in data[..k * width * k * 5].iter_mut().enumerate() {
                *v = sample(i % (k * width), i / (k * width));
            }
            let luma = Frame::new(&layout, &data).unwrap().yuv_reduced(width).unwrap().y;
            let area = (k * k) as u32;
            for (i, &mean) in luma.data.iter().enumerate() {
                let block = (0..k * k).map(|j| u32::from(sample(i % width * k + j % k, i / width * k + j / k)));
                assert_eq!(u32::from(mean), (block.sum::<u32>() + area / 2) / area, "{k} of {width}: {i}");
            }
            let at = |x: usize, y: usize| f64::from(luma.data[y * width + x]);
            for (cell, &mean) in luma.cell_means::<3, 2>().as_flattened().iter().enumerate() {
                // How much of a sample lies within the cell, along one side.
                let share = |sample: usize, cell: usize, cells: usize, length: usize| {
                    let size = length as f64 / cells as f64;
                    let (from, to) = (cell as f64 * size, (cell + 1) as f64 * size);
                    (to.min((sample + 1) as f64) - from.max(sample as f64)).max(0.0) / size
                };
                let row = |y: usize| (0..width).map(|x| share(x, cell % 3, 3, width) * at(x, y)).sum::<f64>();
                let exact: f64 = (0..5).map(|y| share(y, cell / 3, 2, 5) * row(y)).sum();
                assert!((f64::from(mean) - exact).abs() < 0.5001, "{width}: {mean} for {exact}");
            }
            let laplacians: Vec<f64> = (1..4)
                .flat_map(|y| (1..width - 1).map(move |x| (x, y)))
                .map(|(x, y)| 4.0 * at(x, y) - at(x - 1, y) - at(x + 1, y) - at(x, y - 1) - at(x, y + 1))
                .collect();
            let mean = laplacians.iter().sum::<f64>() / laplacians.len() as f64;
            let variance = laplacians.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / laplacians.len() as f64;
            let measured = f64::from(laplacian_variance(&luma));
            assert!((measured - variance).abs() <= 1e-6 * variance, "{width}: {measured} for {variance}");
        }
    }
}
