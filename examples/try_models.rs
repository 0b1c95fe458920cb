use framesift::inference::Network;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let shape: Vec<usize> = a[2].split('x').map(|v| v.parse().unwrap()).collect();
    let net = Network::from_onnx(&std::fs::read(&a[1]).unwrap(), &shape).unwrap();
    println!("{:?}", net.operators());
    let x = ndarray::ArrayD::from_shape_fn(shape.clone(), |i| ((i[1] * 7 + i[2] * 13 + i[3] * 29) % 255) as f32);
    for _ in 0..5 {
        let t = Instant::now();
        let o = net.run(x.view()).unwrap();
        println!("{:?} {:?}", t.elapsed(), o[0].shape());
    }
}
