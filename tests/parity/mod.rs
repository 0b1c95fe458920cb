//! Our INT8 execution against ONNX Runtime's on the same files, natively and in
//! the browser. `tests/fixtures/expected.py` makes the expected outputs.

use framesift::inference::Model;
use ndarray::ArrayD;

const FACES: [&[u8]; 3] = [
    include_bytes!("../fixtures/face_1.png"),
    include_bytes!("../fixtures/face_2.png"),
    include_bytes!("../fixtures/face_3.png"),
];

/// Value of a face's pixel, RGB 0–255.
fn face(png: &[u8]) -> impl Fn(usize, usize, usize) -> f32 {
    let picture = image::load_from_memory(png).expect("a PNG").to_rgb8();
    move |c, y, x| f32::from(picture.get_pixel(x as u32, y as u32).0[c])
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn run(file: &[u8], input: &ArrayD<f32>) -> Vec<Vec<f32>> {
    let network = Model::from_onnx(file).and_then(|m| m.network(input.shape())).expect("the file loads");
    let outputs = network.run(input.view()).expect("the network runs");
    outputs.into_iter().map(|o| o.into_iter().collect()).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

pub fn embeddings_agree() {
    let model = include_bytes!("../../models/mobilefacenet.int8.onnx");
    let expected: [&[u8]; 3] = [
        include_bytes!("../fixtures/mobilefacenet_1.f32"),
        include_bytes!("../fixtures/mobilefacenet_2.f32"),
        include_bytes!("../fixtures/mobilefacenet_3.f32"),
    ];
    let mut outputs = Vec::new();
    for (number, (png, expected)) in (1..).zip(FACES.into_iter().zip(expected)) {
        let face = face(png);
        let input = ArrayD::from_shape_fn(vec![1, 3, 112, 112], |i| (face(i[1], i[2], i[3]) - 127.5) / 128.0);
        let ours = run(model, &input).remove(0);
        let theirs = floats(expected);
        assert_eq!(ours.len(), theirs.len());
        let cosine = cosine(&ours, &theirs);
        assert!(cosine >= 0.9999, "face {number}: cosine to ONNX Runtime is {cosine}");
        outputs.push(ours);
    }
    // The comparison would pass for a constant, too.
    assert!(cosine(&outputs[0], &outputs[2]) < 0.5);
}

pub fn detections_agree() {
    let model = include_bytes!("../../models/centerface.int8.onnx");
    let faces = FACES.map(face);
    let input = ArrayD::from_shape_fn(vec![1, 3, 128, 352], |i| {
        if i[2] < 112 && i[3] < 336 { faces[i[3] / 112](i[1], i[2], i[3] % 112) } else { 0.0 }
    });
    let ours = run(model, &input);
    let theirs = floats(include_bytes!("../fixtures/centerface_128x352.f32"));
    assert_eq!(ours.iter().map(Vec::len).sum::<usize>(), theirs.len());
    let mut rest = theirs.as_slice();
    for (name, ours) in ["heatmap", "scale", "offset", "landmarks"].iter().zip(&ours) {
        let (theirs, after) = rest.split_at(ours.len());
        rest = after;
        let cosine = cosine(ours, theirs);
        assert!(cosine >= 0.9999, "{name}: cosine to ONNX Runtime is {cosine}");
    }
}
