//! Nodes over quantized values that the INT8 steps do not cover, rewritten as
//! DequantizeLinear → the same in float → QuantizeLinear, for tract to run.

use super::onnx::{Attributes, Constants, data_type, label, node_error};
use super::recognize::Sign;
use crate::error::Result;
use crate::inference::proto::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};

/// What takes a node's place: nodes, and constants that they read.
#[derive(Default)]
pub struct Replacement {
    /// In order.
    pub nodes: Vec<NodeProto>,
    /// New initializers.
    pub initializers: Vec<TensorProto>,
}

/// Rewrites one node. `signs` gives the type of its inputs that are quantized.
pub fn rewrite(node: &NodeProto, constants: &Constants<'_>, signs: &[Option<Sign>]) -> Result<Replacement> {
    let mut writer = Writer { node, out: Replacement::default() };
    let input = |i: usize| node.input.get(i).map_or("", String::as_str);
    let triple = |i: usize| [input(i), input(i + 1), input(i + 2)];
    match node.op_type.as_str() {
        "QLinearConv" => {
            let mut inputs = vec![writer.dequantize(triple(0), None), writer.dequantize(triple(3), Some(0))];
            if !input(8).is_empty() {
                inputs.push(writer.float_bias(constants, 1.0, [input(8), input(1), input(4)])?);
            }
            writer.float("Conv", inputs, Some([input(6), input(7)]));
        }
        "QLinearMatMul" => {
            let inputs = vec![writer.dequantize(triple(0), None), writer.dequantize(triple(3), Some(1))];
            writer.float("MatMul", inputs, Some([input(6), input(7)]));
        }
        "QGemm" => {
            let axis = 1 - node.int("transB", 0).clamp(0, 1);
            let mut inputs = vec![writer.dequantize(triple(0), None), writer.dequantize(triple(3), Some(axis))];
            if !input(6).is_empty() {
                // In units of both scales and alpha.
                let alpha = node.float("alpha", 1.0);
                inputs.push(writer.float_bias(constants, alpha, [input(6), input(1), input(4)])?);
            }
            writer.float("Gemm", inputs, (!input(7).is_empty()).then(|| [input(7), input(8)]));
        }
        "QLinearAdd" | "QLinearMul" => {
            let inputs = vec![writer.dequantize(triple(0), None), writer.dequantize(triple(3), None)];
            writer.float(&node.op_type["QLinear".len()..], inputs, Some([input(6), input(7)]));
        }
        "QLinearSigmoid"
        | "QLinearLeakyRelu"
        | "QLinearSoftmax"
        | "QLinearGlobalAveragePool"
        | "QLinearAveragePool" => {
            let float = &node.op_type["QLinear".len()..];
            let inputs = vec![writer.dequantize(triple(0), None)];
            writer.float(float, inputs, Some([input(3), input(4)]));
        }
        "QLinearConcat" => {
            let inputs = (2..node.input.len()).step_by(3).map(|i| writer.dequantize(triple(i), None)).collect();
            writer.float("Concat", inputs, Some([input(0), input(1)]));
        }
        _ => {
            // Anything else is taken to move values without changing them: with a scale
            // of 1 and a zero point of 0 floats hold every byte exactly.
            let sign = signs.iter().flatten().next().copied();
            let Some(sign) = sign else { return Err(node_error(node, "it takes no quantized values")) };
            if node.op_type.starts_with("Q") || node.output.len() != 1 {
                return Err(node_error(node, "this operator is not supported on quantized values"));
            }
            let unit = writer.constants_of_unit(sign);
            let unit = [unit[0].as_str(), unit[1].as_str()];
            let inputs = (0..node.input.len()).map(|i| match signs.get(i) {
                Some(Some(_)) => writer.dequantize([input(i), unit[0], unit[1]], None),
                _ => input(i).into(),
            });
            let inputs = inputs.collect();
            writer.float(&node.op_type, inputs, Some(unit));
        }
    }
    Ok(writer.out)
}

struct Writer<'a> {
    node: &'a NodeProto,
    out: Replacement,
}

impl Writer<'_> {
    fn name(&self, what: &str) -> String {
        format!("{}#{what}{}", self.node.output.first().map_or("", String::as_str), self.out.nodes.len())
    }

    fn dequantize(&mut self, [value, scale, zero]: [&str; 3], axis: Option<i64>) -> String {
        let output = self.name("dequantized");
        let mut input = vec![value.to_string(), scale.to_string()];
        if !zero.is_empty() {
            input.push(zero.into());
        }
        let axis = axis.map(|axis| AttributeProto {
            name: "axis".into(),
            r#type: AttributeType::Int as i32,
            i: axis,
            ..AttributeProto::default()
        });
        self.out.nodes.push(NodeProto {
            op_type: "DequantizeLinear".into(),
            // tract's errors name this one.
            name: format!("{}, input {}", label(self.node), self.out.nodes.len()),
            input,
            output: vec![output.clone()],
            attribute: axis.into_iter().collect(),
            ..NodeProto::default()
        });
        output
    }

    /// The node over floats, and a QuantizeLinear after it where there is a quantization.
    fn float(&mut self, op_type: &str, input: Vec<String>, quantization: Option<[&str; 2]>) {
        let output = self.node.output.first().cloned().unwrap_or_default();
        let float = if quantization.is_some() { self.name("float") } else { output.clone() };
        self.out.nodes.push(NodeProto {
            op_type: op_type.into(),
            name: self.node.name.clone(),
            input,
            output: vec![float.clone()],
            attribute: self.node.attribute.clone(),
            ..NodeProto::default()
        });
        if let Some([scale, zero]) = quantization {
            let mut input = vec![float, scale.into()];
            if !zero.is_empty() {
                input.push(zero.into());
            }
            self.out.nodes.push(NodeProto {
                op_type: "QuantizeLinear".into(),
                name: format!("{}, output", label(self.node)),
                input,
                output: vec![output],
                ..NodeProto::default()
            });
        }
    }

    /// A bias in units of both scales and a factor as floats.
    fn float_bias(&mut self, constants: &Constants<'_>, factor: f32, names: [&str; 3]) -> Result<String> {
        let [bias, x_scale, w_scale] = names;
        let missing = |name: &str| node_error(self.node, format!("{name:?} is not constant"));
        let values = constants.integers(bias).ok_or_else(|| missing(bias))?;
        let x = constants.float(x_scale).ok_or_else(|| missing(x_scale))?;
        let w = constants.floats(w_scale).filter(|w| !w.is_empty()).ok_or_else(|| missing(w_scale))?;
        let floats = values.iter().enumerate().map(|(c, &b)| b as f32 * (x * w[c % w.len()] * factor)).collect();
        let name = self.name("bias");
        self.out.initializers.push(TensorProto {
            name: name.clone(),
            dims: vec![values.len() as i64],
            data_type: data_type::FLOAT,
            float_data: floats,
            ..TensorProto::default()
        });
        Ok(name)
    }

    /// Scale 1 and zero point 0 of a type.
    fn constants_of_unit(&mut self, sign: Sign) -> [String; 2] {
        let (scale, zero) = (self.name("one"), self.name("zero"));
        self.out.initializers.push(TensorProto {
            name: scale.clone(),
            data_type: data_type::FLOAT,
            float_data: vec![1.0],
            ..TensorProto::default()
        });
        self.out.initializers.push(TensorProto {
            name: zero.clone(),
            data_type: if sign == Sign::Signed { data_type::INT8 } else { data_type::UINT8 },
            raw_data: vec![0],
            ..TensorProto::default()
        });
        [scale, zero]
    }
}
