//! Times ONNX files natively, one thread: `bench_onnx FILE SHAPE(,)…`.
use framesift::inference::Model;
use std::time::Instant;
fn main() {
    let mut args = std::env::args().skip(1);
    while let (Some(file), Some(shape)) = (args.next(), args.next()) {
        let shape: Vec<usize> = shape.split(',').map(|d| d.parse().unwrap()).collect();
        let t = Instant::now();
        let model = Model::from_onnx(&std::fs::read(&file).unwrap()).unwrap();
        let network = model.network(&shape).unwrap();
        let load = t.elapsed();
        let input = ndarray::ArrayD::from_shape_fn(shape.clone(), |i| ((i[1] * 31 + i[2] * 7 + i[3] * 3) % 255) as f32 / 128.0 - 1.0);
        let mut times: Vec<f64> = (0..9).map(|_| { let t = Instant::now(); network.run(input.view()).unwrap(); t.elapsed().as_secs_f64() * 1e3 }).collect();
        times.sort_by(f64::total_cmp);
        let out = network.run(input.view()).unwrap();
        println!("{file}: load {load:?} median {:.2} ms min {:.2}, int8 macs {:.3} G, packed {} B, in float {:?}, out0 {:?}", times[4], times[0], network.int8_macs() as f64 / 1e9, model.packed_bytes(), model.in_float(), out[0].iter().take(4).collect::<Vec<_>>());
    }
}
