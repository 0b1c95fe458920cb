//! Small graphs of single operators: in INT8 against the same in float under tract,
//! which knows nothing of our kernels.

use super::kernels::Isa;
use super::onnx::data_type;
use super::test_random::Random;
use crate::inference::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_shape_proto, type_proto,
};
use crate::inference::{Model, Runs};
use ndarray::ArrayD;
use prost::Message;

/// A graph in the making.
pub struct Graph {
    proto: GraphProto,
    pub random: Random,
    shape: Vec<usize>,
}

/// A quantized value: its name, and the names of its scale and zero point.
pub type Quantized = [String; 3];

impl Graph {
    /// With one float input `x`.
    pub fn new(seed: u64, shape: &[usize]) -> Self {
        let dim = |&d: &usize| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(d as i64)),
        };
        let tensor = type_proto::Tensor {
            elem_type: data_type::FLOAT,
            shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
        };
        let input = ValueInfoProto {
            name: "x".into(),
            r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }),
        };
        let proto = GraphProto { name: "test".into(), input: vec![input], ..Default::default() };
        Self { proto, random: Random::new(seed), shape: shape.to_vec() }
    }

    fn constant(&mut self, data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> String {
        let name = format!("c{}", self.proto.initializer.len());
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.proto.initializer.push(TensorProto {
            name: name.clone(),
            data_type,
            dims,
            raw_data,
            ..Default::default()
        });
        name
    }

    pub fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        self.constant(data_type::FLOAT, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub fn integers(&mut self, values: &[i64]) -> String {
        self.constant(data_type::INT64, &[values.len()], values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn bias(&mut self, count: usize) -> String {
        let values: Vec<u8> = (0..count).flat_map(|_| (self.random.below(4000) as i32 - 2000).to_le_bytes()).collect();
        self.constant(data_type::INT32, &[count], values)
    }

    /// Scale and zero point.
    pub fn quantization(&mut self, scale: f32, signed: bool) -> [String; 2] {
        let zero = self.random.byte();
        let scale = self.floats(&[], &[scale]);
        [scale, self.constant(if signed { data_type::INT8 } else { data_type::UINT8 }, &[], vec![zero])]
    }

    pub fn node(&mut self, op_type: &str, input: Vec<String>, attributes: &[(&str, Attribute)]) -> String {
        let output = format!("v{}", self.proto.node.len());
        self.proto.node.push(NodeProto {
            op_type: op_type.into(),
            name: format!("the {op_type} {output}"),
            input,
            output: vec![output.clone()],
            attribute: attributes.iter().map(|(name, value)| value.proto(name)).collect(),
            ..Default::default()
        });
        output
    }

    pub fn quantize(&mut self, value: &str, scale: f32, signed: bool) -> Quantized {
        let [scale, zero] = self.quantization(scale, signed);
        [self.node("QuantizeLinear", vec![value.into(), scale.clone(), zero.clone()], &[]), scale, zero]
    }

    pub fn dequantize(&mut self, value: &Quantized) -> String {
        self.node("DequantizeLinear", value.to_vec(), &[])
    }

    /// A QLinearConv with random weights.
    pub fn conv(
        &mut self,
        x: &Quantized,
        weights: [usize; 4],
        groups: i64,
        attributes: &[(&str, Attribute)],
    ) -> Quantized {
        let count = weights.iter().product();
        let bytes: Vec<u8> = (0..count).map(|_| self.random.byte()).collect();
        let w = self.constant(data_type::INT8, &weights, bytes);
        let scales: Vec<f32> = (0..weights[0]).map(|_| 0.002 + self.random.below(100) as f32 / 50_000.0).collect();
        let (ws, wz) =
            (self.floats(&[weights[0]], &scales), self.constant(data_type::INT8, &[weights[0]], vec![0; weights[0]]));
        let bias = self.bias(weights[0]);
        let [ys, yz] = self.quantization(0.05, false);
        let mut attributes = attributes.to_vec();
        attributes.push(("group", Attribute::Int(groups)));
        let input = [x.as_slice(), &[w, ws, wz, ys.clone(), yz.clone(), bias]].concat();
        [self.node("QLinearConv", input, &attributes), ys, yz]
    }

    /// The file, with these outputs.
    pub fn file(&self, outputs: &[&str]) -> Vec<u8> {
        let mut graph = self.proto.clone();
        graph.output = outputs.iter().map(|o| ValueInfoProto { name: (*o).into(), ..Default::default() }).collect();
        let opset = OperatorSetIdProto { version: 13, ..Default::default() };
        ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset], ..Default::default() }
            .encode_to_vec()
    }

    /// Whether all kernels give what float gives, up to the rounding of single values.
    /// Returns what ran in float after all.
    fn check(&mut self, what: &str, output: &str) -> Vec<String> {
        let file = self.file(&[output]);
        let shape = self.shape.clone();
        let input = ArrayD::from_shape_simple_fn(shape.clone(), || self.random.below(2001) as f32 / 500.0 - 2.0);
        let run = |model: Model| {
            let outputs = model.network(&shape).and_then(|n| n.run(input.view()));
            outputs.unwrap_or_else(|e| panic!("{what}: {e}")).remove(0)
        };
        let expected = run(Model::in_float_only(&file).unwrap());
        // Without rounding it is nearly the same: what differs is steps of the quantization.
        let unrounded = run(Model::in_fp32(&file).unwrap());
        let rms = |values: &ArrayD<f32>| (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
        let apart = rms(&(&unrounded - &expected));
        assert!(apart <= 0.13 * rms(&expected) + 0.01, "{what} in FP32: {apart} of {}", rms(&expected));
        let mut in_float = vec![];
        for &isa in Isa::available() {
            let model = Model::for_isa(isa, &file).unwrap();
            in_float = model.in_float().to_vec();
            let ours = run(model);
            assert_eq!(ours.shape(), expected.shape(), "{what}");
            let spread = expected.iter().fold(0.0f32, |m, v| m.max(v.abs())).max(0.1);
            let differs = |(a, b): &(&f32, &f32)| (*a - *b).abs() > 1e-4 * spread;
            let different = ours.iter().zip(&expected).filter(differs).count();
            // A value that lies on the edge between two steps may fall either way.
            assert!(
                different * 50 <= ours.len(),
                "{what} with {}: {different} of {} differ: {:?} {:?}",
                isa.name(),
                ours.len(),
                ours.iter().take(8).collect::<Vec<_>>(),
                expected.iter().take(8).collect::<Vec<_>>()
            );
            // And none by more than two of the coarsest steps in these graphs.
            let most = ours.iter().zip(&expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(most <= 0.21, "{what} with {}: {most}", isa.name());
        }
        in_float
    }
}

#[derive(Clone)]
pub enum Attribute {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Text(&'static str),
}

impl Attribute {
    fn proto(&self, name: &str) -> AttributeProto {
        let base = AttributeProto { name: name.into(), ..Default::default() };
        match self {
            Self::Int(i) => AttributeProto { r#type: AttributeType::Int as i32, i: *i, ..base },
            Self::Float(f) => AttributeProto { r#type: AttributeType::Float as i32, f: *f, ..base },
            Self::Ints(v) => AttributeProto { r#type: AttributeType::Ints as i32, ints: v.clone(), ..base },
            Self::Text(s) => AttributeProto { r#type: AttributeType::String as i32, s: s.as_bytes().into(), ..base },
        }
    }
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

macro_rules! tests {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {
        $(
            $(#[$meta])*
            #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
            #[cfg_attr(not(target_arch = "wasm32"), test)]
            fn $name() $body
        )*
    };
}

tests! {
    fn convolutions_of_every_kind() {
        for (i, (weights, groups, channels)) in
            [([5, 3, 3, 3], 1, 3), ([12, 1, 3, 3], 12, 12), ([6, 2, 1, 1], 3, 6), ([9, 16, 1, 1], 1, 16), ([8, 1, 5, 3], 4, 4)]
                .into_iter()
                .enumerate()
        {
            for signed in [false, true] {
                let mut g = Graph::new(i as u64, &[2, channels, 9, 11]);
                let x = g.quantize("x", 0.0213, signed);
                let attributes = [("pads", ints(&[1, 0, 2, i64::from(weights[2] > 1)])), ("strides", ints(&[2, 1])), ("dilations", ints(&[1, 1 + (i as i64 % 2)]))];
                let y = g.conv(&x, weights, groups, &attributes);
                let y = g.dequantize(&y);
                assert_eq!(g.check("QLinearConv", &y), Vec::<String>::new());
            }
        }
    }

    fn prelu_is_fused_and_other_readers_still_see_the_convolution() {
        for shared in [false, true] {
            let mut g = Graph::new(7, &[1, 4, 6, 6]);
            let x = g.quantize("x", 0.0213, false);
            let y = g.conv(&x, [10, 4, 3, 3], 1, &[("pads", ints(&[1, 1, 1, 1]))]);
            let float = g.dequantize(&y);
            let slopes: Vec<f32> = (0..10).map(|c| c as f32 / 20.0 - 0.1).collect();
            let slope = g.floats(&[10, 1, 1], &slopes);
            let activated = g.node("PRelu", vec![float.clone(), slope], &[]);
            let z = g.quantize(&activated, 0.0613, true);
            let mut out = g.dequantize(&z);
            if shared {
                out = g.node("Add", vec![out, float], &[]);
            }
            g.check("PRelu", &out);
        }
    }

    fn arithmetic_between_quantized_values() {
        let mut g = Graph::new(3, &[2, 5, 4, 7]);
        let x = g.quantize("x", 0.0213, false);
        let a = g.conv(&x, [6, 5, 1, 1], 1, &[]);
        let b = g.conv(&x, [6, 5, 3, 3], 1, &[("pads", ints(&[1, 1, 1, 1]))]);
        for op in ["QLinearAdd", "QLinearMul"] {
            let q = g.quantization(0.1, false);
            let y = g.node(op, [a.as_slice(), &b, &q].concat(), &[]);
            let [scale, zero] = q;
            let y = g.dequantize(&[y, scale, zero]);
            g.check(op, &y);
        }
        let [fa, fb] = [g.dequantize(&a), g.dequantize(&b)];
        let sum = g.node("Add", vec![fa, fb], &[]);
        let parameters: Vec<String> =
            [0.5f32, 0.1, -0.2, 1.5].map(|v| g.floats(&[6], &[v, v + 0.1, v + 0.2, v + 0.3, v + 0.4, v + 0.5])).into();
        let normal = g.node("BatchNormalization", [vec![sum.clone()], parameters].concat(), &[]);
        let leaky = g.node("LeakyRelu", vec![normal], &[("alpha", Attribute::Float(0.2))]);
        let [low, high] = [g.floats(&[], &[-0.5]), g.floats(&[], &[3.0])];
        let clipped = g.node("Clip", vec![leaky, low, high], &[]);
        let z = g.quantize(&clipped, 0.02, false);
        let z = g.dequantize(&z);
        g.check("a chain of float nodes", &z);
        // The sum read twice: by the chain, and as a float that leaves.
        let z = g.node("Add", vec![z, sum], &[]);
        g.check("a float read twice", &z);
    }

    fn tables_and_pools() {
        let mut g = Graph::new(4, &[1, 6, 8, 10]);
        let x = g.quantize("x", 0.0213, false);
        let windows = [("kernel_shape", ints(&[3, 2])), ("strides", ints(&[2, 2])), ("pads", ints(&[1, 0, 1, 1]))];
        for op in ["QLinearSigmoid", "QLinearLeakyRelu", "QLinearGlobalAveragePool", "QLinearAveragePool"] {
            let q = g.quantization(0.0137, false);
            let attributes: &[_] = if op == "QLinearAveragePool" { &windows } else { &[] };
            let y = g.node(op, [x.as_slice(), &q].concat(), attributes);
            let [scale, zero] = q;
            let y = g.dequantize(&[y, scale, zero]);
            assert_eq!(g.check(op, &y), Vec::<String>::new());
        }
        let y = g.node("MaxPool", vec![x[0].clone()], &windows);
        let y = g.dequantize(&[y, x[1].clone(), x[2].clone()]);
        assert_eq!(g.check("MaxPool", &y), Vec::<String>::new());
    }

    fn a_sigmoid_at_the_end_and_outputs_in_any_order() {
        let mut g = Graph::new(12, &[1, 4, 6, 5]);
        let x = g.quantize("x", 0.0213, false);
        let [a, b] = [3, 5].map(|channels| g.conv(&x, [channels, 4, 1, 1], 1, &[]));
        let [a, b] = [&a, &b].map(|y| g.dequantize(y));
        let sigmoid = g.node("Sigmoid", vec![a.clone()], &[]);
        assert_eq!(g.check("Sigmoid", &sigmoid), Vec::<String>::new());
        let input = ArrayD::from_shape_simple_fn(vec![1, 4, 6, 5], || g.random.below(2001) as f32 / 500.0 - 2.0);
        let run = |outputs: &[&str]| {
            let network = Model::from_onnx(&g.file(outputs)).unwrap().network(input.shape()).unwrap();
            assert!(matches!(network.runs, Runs::Region(_)), "{outputs:?} needs tract");
            network.run(input.view()).unwrap()
        };
        let [first, second, third] = run(&[&sigmoid, &a, &b]).try_into().unwrap();
        assert_eq!(run(&[&b, &sigmoid, &a]), [third, first.clone(), second.clone()]);
        // Read by a quantization as well.
        let again = g.quantize(&sigmoid, 0.004, false);
        let again = g.dequantize(&again);
        let network = Model::from_onnx(&g.file(&[&again, &sigmoid])).unwrap().network(input.shape()).unwrap();
        let [again, beside] = network.run(input.view()).unwrap().try_into().unwrap();
        assert_eq!(beside, first);
        // Within half a step, but for what lies above the largest quantized value.
        let most = again.iter().copied().fold(0.0, f32::max);
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 0.00201 || (*a == most && b > a);
        assert!(again.iter().zip(&first).all(near), "{again:?} {first:?}");
        let logistic = second.mapv(|v| 1.0 / (1.0 + (-v).exp()));
        assert!(first.iter().zip(&logistic).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    fn floats_of_the_file_feed_a_region() {
        let mut g = Graph::new(13, &[1, 4, 6, 5]);
        let x = g.quantize("x", 0.0213, false);
        let values: Vec<f32> = (0..4 * 6 * 5).map(|i| (i as f32 * 0.37).sin()).collect();
        let constant = g.floats(&[1, 4, 6, 5], &values);
        let constant = g.quantize(&constant, 0.01, false);
        let q = g.quantization(0.03, false);
        let y = g.node("QLinearAdd", [x.as_slice(), &constant, &q].concat(), &[]);
        let [scale, zero] = q;
        let y = g.dequantize(&[y, scale, zero]);
        assert_eq!(g.check("a constant that is quantized", &y), Vec::<String>::new());
    }

    fn what_moves_bytes() {
        let mut g = Graph::new(5, &[1, 4, 6, 5]);
        let x = g.quantize("x", 0.0213, false);
        let a = g.conv(&x, [3, 4, 1, 1], 1, &[]);
        let b = g.conv(&x, [8, 4, 1, 1], 1, &[]);
        let q = g.quantization(0.1, false);
        for axis in [1, -3] {
            let y = g.node("QLinearConcat", [q.as_slice(), &a, &b].concat(), &[("axis", Attribute::Int(axis))]);
            // A convolution after it asks for a border.
            let y = g.conv(&[y, q[0].clone(), q[1].clone()], [4, 11, 3, 3], 1, &[("pads", ints(&[1, 1, 1, 1]))]);
            let y = g.dequantize(&y);
            assert_eq!(g.check("QLinearConcat", &y), Vec::<String>::new());
        }
        let y = g.node("Concat", vec![a[0].clone(), a[0].clone()], &[("axis", Attribute::Int(2))]);
        let y = g.dequantize(&[y, a[1].clone(), a[2].clone()]);
        assert_eq!(g.check("Concat of rows", &y), Vec::<String>::new());
        let scales = g.floats(&[4], &[1.0, 1.0, 2.0, 3.0]);
        let modes = [("mode", Attribute::Text("nearest")), ("coordinate_transformation_mode", Attribute::Text("asymmetric")), ("nearest_mode", Attribute::Text("floor"))];
        let y = g.node("Resize", vec![a[0].clone(), String::new(), scales], &modes);
        let y = g.conv(&[y, a[1].clone(), a[2].clone()], [2, 3, 3, 3], 1, &[("pads", ints(&[1, 1, 1, 1]))]);
        let y = g.dequantize(&y);
        assert_eq!(g.check("Resize", &y), Vec::<String>::new());
        let t = g.node("Transpose", vec![b[0].clone()], &[("perm", ints(&[0, 2, 3, 1]))]);
        let shape = g.integers(&[-1, 4]);
        let r = g.node("Reshape", vec![t.clone(), shape], &[]);
        let y = g.dequantize(&[r, b[1].clone(), b[2].clone()]);
        assert_eq!(g.check("Transpose and Reshape", &y), Vec::<String>::new());
        let back = g.node("Transpose", vec![t], &[("perm", ints(&[0, 3, 1, 2]))]);
        let y = g.conv(&[back, b[1].clone(), b[2].clone()], [2, 8, 3, 3], 1, &[("pads", ints(&[1, 1, 1, 1]))]);
        let y = g.dequantize(&y);
        assert_eq!(g.check("Transpose there and back", &y), Vec::<String>::new());
    }

    fn dense_layers() {
        for gemm in [false, true] {
            let mut g = Graph::new(6, &[3, 4, 2, 5]);
            let x = g.quantize("x", 0.0213, false);
            let flat = g.node("Flatten", vec![x[0].clone()], &[]);
            let bytes: Vec<u8> = (0..40 * 7).map(|_| g.random.byte()).collect();
            let w = g.constant(data_type::INT8, if gemm { &[7, 40] } else { &[40, 7] }, bytes);
            let (ws, wz) = (g.floats(&[], &[0.004]), g.constant(data_type::INT8, &[], vec![0]));
            let y = if gemm {
                let bias = g.bias(7);
                let input = vec![flat, x[1].clone(), x[2].clone(), w, ws, wz, bias];
                g.node("QGemm", input, &[("transB", Attribute::Int(1))])
            } else {
                let q = g.quantization(0.1, false);
                let input = [vec![flat, x[1].clone(), x[2].clone(), w, ws, wz], q.to_vec()].concat();
                let y = g.node("QLinearMatMul", input, &[]);
                let [scale, zero] = q;
                g.dequantize(&[y, scale, zero])
            };
            assert_eq!(g.check("a dense layer", &y), Vec::<String>::new());
        }
    }

    fn qdq_is_turned_into_the_same_operators() {
        let mut g = Graph::new(8, &[1, 3, 8, 8]);
        let x = g.quantize("x", 0.0213, false);
        let x = g.dequantize(&x);
        let bytes: Vec<u8> = (0..5 * 27).map(|_| g.random.byte()).collect();
        let w = g.constant(data_type::INT8, &[5, 3, 3, 3], bytes);
        let (ws, wz) = (g.floats(&[5], &[0.004, 0.002, 0.003, 0.001, 0.005]), g.constant(data_type::INT8, &[5], vec![0; 5]));
        let w = g.node("DequantizeLinear", vec![w, ws, wz], &[("axis", Attribute::Int(0))]);
        let y = g.node("Conv", vec![x, w], &[("pads", ints(&[1, 1, 1, 1]))]);
        let y = g.quantize(&y, 0.05, false);
        let y = g.dequantize(&y);
        assert_eq!(g.check("Conv in QDQ form", &y), Vec::<String>::new());
        let model = Model::from_onnx(&g.file(&[&y])).unwrap();
        assert!(model.packed_bytes() > 5 * 27, "its weights are packed");
        assert_eq!(model.network(&[1, 3, 8, 8]).unwrap().int8_macs(), 5 * 27 * 64);
    }

    fn what_is_not_covered_runs_in_float_and_says_so() {
        let mut g = Graph::new(9, &[1, 4, 6, 6]);
        let x = g.quantize("x", 0.0213, true);
        let y = g.conv(&x, [6, 4, 3, 3], 1, &[("auto_pad", Attribute::Text("SAME_UPPER"))]);
        let (starts, ends, axes) = (g.integers(&[1]), g.integers(&[5]), g.integers(&[2]));
        let part = g.node("Slice", vec![y[0].clone(), starts, ends, axes], &[]);
        let y = g.conv(&[part, y[1].clone(), y[2].clone()], [3, 6, 1, 1], 1, &[]);
        let y = g.dequantize(&y);
        let in_float = g.check("a mixture", &y);
        assert_eq!(in_float.len(), 2, "{in_float:?}");
        assert!(in_float[0].contains("the QLinearConv") && in_float[0].contains("SAME_UPPER"), "{in_float:?}");
        assert!(in_float[1].contains("the Slice"), "{in_float:?}");
    }

    fn floats_that_leave_a_region_come_back_into_another() {
        let mut g = Graph::new(11, &[2, 6]);
        let x = g.quantize("x", 0.0213, false);
        let dense = |g: &mut Graph, x: &Quantized| {
            let bytes: Vec<u8> = (0..36).map(|_| g.random.byte()).collect();
            let w = g.constant(data_type::INT8, &[6, 6], bytes);
            let (ws, wz) = (g.floats(&[], &[0.004]), g.constant(data_type::INT8, &[], vec![0]));
            let bias = g.bias(6);
            let alpha = [("transB", Attribute::Int(1)), ("alpha", Attribute::Float(0.5))];
            g.node("QGemm", [x.as_slice(), &[w, ws, wz, bias]].concat(), &alpha)
        };
        let first = dense(&mut g, &x);
        let active = g.node("Relu", vec![first], &[]);
        let middle = g.quantize(&active, 0.0171, false);
        let last = dense(&mut g, &middle);
        assert_eq!(g.check("dense, Relu, dense", &last), Vec::<String>::new());
    }

    fn parameters_per_channel_follow_a_transposition() {
        let mut g = Graph::new(12, &[1, 4, 5, 6]);
        let x = g.quantize("x", 0.0213, false);
        let turned = g.node("Transpose", vec![x[0].clone()], &[("perm", ints(&[0, 2, 3, 1]))]);
        let float = g.dequantize(&[turned, x[1].clone(), x[2].clone()]);
        let slope = g.floats(&[5, 1, 1], &[0.1, -0.2, 0.3, 2.0, 0.0]);
        let active = g.node("PRelu", vec![float, slope], &[]);
        let z = g.quantize(&active, 0.0307, false);
        let z = g.dequantize(&z);
        assert_eq!(g.check("PRelu after Transpose", &z), Vec::<String>::new());
    }

    fn what_only_arranges_floats_anew_needs_no_tract() {
        for (side, alone) in [(1, true), (6, false)] {
            let mut g = Graph::new(13, &[1, 4, side, side]);
            let x = g.quantize("x", 0.0213, false);
            let y = g.conv(&x, [5, 4, 1, 1], 1, &[]);
            let y = g.dequantize(&y);
            let y = g.node("Transpose", vec![y], &[("perm", ints(&[0, 2, 3, 1]))]);
            let y = g.node("Flatten", vec![y], &[("axis", Attribute::Int(1))]);
            let y = g.node("Identity", vec![y], &[]);
            assert_eq!(g.check("Identity", &y), Vec::<String>::new());
            let network = Model::from_onnx(&g.file(&[&y])).unwrap().network(&[1, 4, side, side]).unwrap();
            assert_eq!(matches!(network.runs, Runs::Region(_)), alone);
            let outputs = network.run(ArrayD::zeros(vec![1, 4, side, side]).view()).unwrap();
            assert_eq!(outputs[0].shape(), [1, 5 * side * side]);
        }
    }

    fn the_packs_networks_need_no_tract() {
        for (file, shape) in [
            (&include_bytes!("../../../models/centerface.int8.onnx")[..], [1, 3, 160, 160]),
            (&include_bytes!("../../../models/mobilefacenet.int8.onnx")[..], [1, 3, 112, 112]),
        ] {
            let network = Model::from_onnx(file).unwrap().network(&shape).unwrap();
            assert!(matches!(network.runs, Runs::Region(_)), "{shape:?}");
        }
    }

    fn a_float_pixel_spread_over_a_picture_is_an_error() {
        let mut g = Graph::new(13, &[1, 4, 6, 6]);
        let x = g.quantize("x", 0.0213, false);
        let float = g.dequantize(&x);
        let mean = g.node("ReduceMean", vec!["x".into()], &[("axes", ints(&[2, 3])), ("keepdims", Attribute::Int(1))]);
        let sum = g.node("Add", vec![float, mean], &[]);
        let z = g.quantize(&sum, 0.03, false);
        let z = g.dequantize(&z);
        let error = Model::from_onnx(&g.file(&[&z])).unwrap().network(&[1, 4, 6, 6]).err().unwrap();
        assert!(error.to_string().contains("do not go together"), "{error}");
    }
}
