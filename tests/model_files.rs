//! Damaged and hostile model files: an error, never a panic, and never memory without bounds.
//!
//! A small fuzzer of its own: the pack's files and small graphs are changed as a protobuf
//! (fields that mean something) and as bytes, from a fixed seed, for as long as
//! `FRAMESIFT_FUZZ_SECONDS` says (default 20).

use framesift::inference::Model;
use framesift::inference::proto::{ModelProto, TensorProto};
use prost::Message;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

mod counting;
mod fuzz;

use counting::{HELD, PEAK};
use fuzz::Random;

const DETECTOR: &[u8] = include_bytes!("../models/centerface.int8.onnx");
const EMBEDDER: &[u8] = include_bytes!("../models/mobilefacenet.int8.onnx");

fn error_of(file: &[u8]) -> String {
    match Model::from_onnx(file).and_then(|m| m.network(&[1, 3, 32, 32])) {
        Ok(_) => panic!("the file was accepted"),
        Err(error) => error.to_string(),
    }
}

fn edited(edit: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(DETECTOR).unwrap();
    edit(&mut model);
    model.encode_to_vec()
}

#[test]
fn errors_name_what_is_wrong() {
    assert!(error_of(&DETECTOR[..DETECTOR.len() / 2]).contains("not an ONNX file, or damaged"));
    assert!(error_of(b"not a model").contains("not an ONNX file"));
    assert!(error_of(&[]).contains("not an ONNX file"));
    let missing = edited(|m| {
        let graph = m.graph.as_mut().unwrap();
        let weights = graph.node.iter().find(|n| n.op_type == "QLinearConv").unwrap().input[3].clone();
        graph.initializer.retain(|t| t.name != weights);
    });
    let error = error_of(&missing);
    assert!(error.contains("QLinearConv") && error.contains("neither an initializer"), "{error}");
    let short = edited(|m| m.graph.as_mut().unwrap().initializer[0].dims.push(3));
    assert!(error_of(&short).contains("do not fit"), "{}", error_of(&short));
    let elsewhere = edited(|m| m.graph.as_mut().unwrap().initializer[0].data_location = Some(1));
    assert!(error_of(&elsewhere).contains("save the model as a single file"));
    let wrong_type = edited(|m| {
        let graph = m.graph.as_mut().unwrap();
        let weights = graph.node.iter().find(|n| n.op_type == "QLinearConv").unwrap().input[3].clone();
        let tensor = graph.initializer.iter_mut().find(|t| t.name == weights).unwrap();
        *tensor =
            TensorProto { name: weights, dims: vec![2, 2], data_type: 2, raw_data: vec![0; 4], ..Default::default() };
    });
    let error = error_of(&wrong_type);
    assert!(error.contains("Conv"), "{error}");
}

#[test]
fn shapes_that_do_not_fit_and_absurd_sizes_are_errors() {
    let model = Model::from_onnx(EMBEDDER).unwrap();
    for shape in
        [&[1usize, 3, 1, 1][..], &[1, 4, 112, 112], &[3, 112, 112], &[1, 3, 112, 1 << 40], &[1 << 20, 3, 112, 112]]
    {
        assert!(model.network(shape).is_err(), "{shape:?}");
    }
}

fn number(random: &mut Random) -> i64 {
    [0, 1, -1, 2, 3, 7, 255, 65_536, i64::from(i32::MAX), i64::MAX, i64::MIN][random.below(11)]
}

/// Changes something that means something.
fn mutate(model: &mut ModelProto, random: &mut Random) {
    let Some(graph) = model.graph.as_mut() else { return };
    let node = random.below(graph.node.len());
    let tensor = random.below(graph.initializer.len());
    match random.below(12) {
        0 => _ = graph.node.remove(node),
        1 => graph.node.swap(node, 0),
        2 => _ = graph.initializer.remove(tensor),
        3 => graph.initializer[tensor].data_type = random.below(17) as i32,
        4 => {
            let dims = &mut graph.initializer[tensor].dims;
            let at = random.below(dims.len() + 1);
            let number = number(random);
            if at < dims.len() { dims[at] = number } else { dims.push(number) }
        }
        5 => {
            let data = &mut graph.initializer[tensor].raw_data;
            let length = random.below(data.len() + 1);
            data.truncate(length);
        }
        6 => {
            let other = graph.node[random.below(graph.node.len())].output.first().cloned().unwrap_or_default();
            let inputs = &mut graph.node[node].input;
            let at = random.below(inputs.len());
            if let Some(input) = inputs.get_mut(at) {
                *input = other
            }
        }
        7 => {
            let inputs = &mut graph.node[node].input;
            let length = random.below(inputs.len() + 1);
            inputs.truncate(length);
        }
        8 => {
            let number = number(random);
            let attributes = &mut graph.node[node].attribute;
            let at = random.below(attributes.len());
            if let Some(attribute) = attributes.get_mut(at) {
                attribute.i = number;
                attribute.ints.iter_mut().for_each(|i| *i = number);
            }
        }
        9 => graph.node[node].op_type = graph.node[random.below(graph.node.len())].op_type.clone(),
        10 => {
            let data = &mut graph.initializer[tensor].raw_data;
            let at = random.below(data.len());
            if let Some(byte) = data.get_mut(at) {
                *byte = random.below(256) as u8
            }
        }
        _ => {
            let attributes = &mut graph.node[node].attribute;
            let at = random.below(attributes.len());
            if !attributes.is_empty() {
                attributes.remove(at);
            }
        }
    }
}

#[test]
fn mutated_files_are_errors_or_work() {
    let (start, time) = (Instant::now(), fuzz::time(20));
    let mut random = Random(0x5eed_cafe);
    let (mut tried, mut refused) = (0, 0);
    while start.elapsed() < time {
        let original = [DETECTOR, EMBEDDER][tried % 2];
        let mut file = original.to_vec();
        if random.below(4) == 0 {
            for _ in 0..1 + random.below(8) {
                let range = if random.below(2) == 0 { file.len() } else { 4000 };
                let at = random.below(range);
                file[at] = random.below(256) as u8;
            }
            let length = if random.below(3) == 0 { random.below(file.len()) } else { file.len() };
            file.truncate(length);
        } else {
            let mut model = ModelProto::decode(original).unwrap();
            (0..1 + random.below(3)).for_each(|_| mutate(&mut model, &mut random));
            file = model.encode_to_vec();
        }
        PEAK.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
        let before = HELD.load(Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let network = Model::from_onnx(&file)?.network(&[1, 3, 64, 64])?;
            network.run(ndarray::ArrayD::zeros(vec![1, 3, 64, 64]).view()).map(|_| ())
        }));
        tried += 1;
        match outcome {
            Ok(result) => refused += usize::from(result.is_err()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
                let path = std::env::temp_dir().join("framesift-fuzz.onnx");
                std::fs::write(&path, &file).unwrap();
                panic!("file {tried} panics: {text:?}; it is kept as {}", path.display());
            }
        }
        let peak = PEAK.load(Ordering::Relaxed) - before;
        assert!(peak < 1 << 30, "file {tried} took {} MiB", peak >> 20);
    }
    assert!(tried > 20 && refused > tried / 4, "{refused} of {tried} refused");
}
