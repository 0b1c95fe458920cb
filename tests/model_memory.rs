//! What a run takes, counted by the allocator: alone in its process.

mod counting;

use counting::{HELD, PEAK};
use framesift::inference::Model;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

/// One test at a time: the allocator counts for all.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn int8_takes_about_a_quarter_of_fp32_under_tract() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let centerface = include_bytes!("../models/centerface.int8.onnx").as_slice();
    let mobilefacenet = include_bytes!("../models/mobilefacenet.int8.onnx").as_slice();
    for (name, file, shape) in [
        ("CenterFace", centerface, [1, 3, 640, 640]),
        ("CenterFace", centerface, [1, 3, 160, 160]),
        ("MobileFaceNet", mobilefacenet, [1, 3, 112, 112]),
    ] {
        // What a compiled network holds, its weights above all, and what it takes at most while it runs,
        // the input not counted.
        let measure = |load: fn(&[u8]) -> framesift::Result<Model>| {
            let before = HELD.load(Relaxed);
            let network = load(file).and_then(|m| m.network(&shape)).unwrap();
            let held = HELD.load(Relaxed) - before;
            let input = ndarray::ArrayD::from_elem(shape.to_vec(), 0.25);
            PEAK.store(HELD.load(Relaxed), Relaxed);
            network.run(input.view()).unwrap();
            [held, PEAK.load(Relaxed) - before - input.len() * 4]
        };
        let (int8, fp32) = (measure(Model::from_onnx), measure(Model::in_fp32));
        let share = |i: usize| int8[i] as f64 / fp32[i] as f64;
        println!("{name} {shape:?}: {int8:?} of {fp32:?} bytes: {:.3} held, {:.3} in a run", share(0), share(1));
        assert!(share(0) <= 0.27, "{name} holds {:.3} of FP32", share(0));
        assert!(share(1) <= 1.0 / 3.0, "{name} takes {:.3} of FP32", share(1));
    }
}

#[test]
fn runs_use_the_buffers_of_the_first() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = include_bytes!("../models/mobilefacenet.int8.onnx");
    let shape = [1, 3, 112, 112];
    let input = ndarray::ArrayD::from_elem(shape.to_vec(), 0.25);
    let network = Model::from_onnx(file).and_then(|m| m.network(&shape)).unwrap();
    network.run(input.view()).unwrap();
    let activations = network.activation_bytes();
    assert!(activations > 500_000, "there is something to allocate: {activations} bytes");
    for _ in 0..3 {
        let before = HELD.load(Relaxed);
        PEAK.store(before, Relaxed);
        network.run(input.view()).unwrap();
        // The outputs, and lists of them.
        let taken = PEAK.load(Relaxed) - before;
        assert!(taken < 16_000, "a run takes {taken} bytes");
        assert_eq!(HELD.load(Relaxed), before, "a run keeps something");
    }
}
