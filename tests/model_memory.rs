//! What a run takes, counted by the allocator: alone in its process.

mod counting;

use counting::{HELD, PEAK};
use framesift::inference::Model;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn runs_use_the_buffers_of_the_first() {
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
        // The input as a tensor, the outputs, and what tract notes about a run.
        let taken = PEAK.load(Relaxed) - before;
        assert!(taken < input.len() * 4 + 64_000, "a run takes {taken} bytes");
        assert_eq!(HELD.load(Relaxed), before, "a run keeps something");
    }
}
