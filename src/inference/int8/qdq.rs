//! Models in QDQ form (float operators between DequantizeLinear and QuantizeLinear),
//! turned into the operators over quantized values that they stand for.

use super::onnx::{Attributes, Constants, data_type};
use crate::inference::proto::{GraphProto, NodeProto};
use std::collections::HashMap;

/// Rewrites, in place, every float node whose inputs are all dequantized and whose only
/// reader quantizes. Nodes that are no longer read are left for others to drop.
pub fn to_qoperator(graph: &mut GraphProto) {
    let rewritten = {
        let view = View::new(graph);
        let nodes = graph.node.iter().enumerate();
        let rewritten: Vec<_> = nodes.filter_map(|(i, node)| Some((i, view.quantized(node)?))).collect();
        rewritten
    };
    // The QuantizeLinear's place is after everything that the new node reads.
    let mut replaced: HashMap<usize, NodeProto> =
        rewritten.into_iter().map(|(_, (place, node))| (place, node)).collect();
    for (index, node) in graph.node.iter_mut().enumerate() {
        if let Some(new) = replaced.remove(&index) {
            *node = new;
        }
    }
}

struct View<'a> {
    graph: &'a GraphProto,
    constants: Constants<'a>,
    /// The node that makes a value.
    producers: HashMap<&'a str, &'a NodeProto>,
    /// The nodes that read a value.
    readers: HashMap<&'a str, Vec<usize>>,
}

/// A DequantizeLinear's value, scale and zero point.
type Triple = [String; 3];

impl<'a> View<'a> {
    fn new(graph: &'a GraphProto) -> Self {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            node.input.iter().for_each(|i| readers.entry(i).or_default().push(index));
        }
        let producers = graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
        Self { graph, constants: Constants::new(graph), producers, readers }
    }

    /// The quantized value behind a float one, if it is dequantized from one with a zero
    /// point that is written out.
    fn dequantized(&self, value: &str) -> Option<Triple> {
        let node = self.producers.get(value).filter(|n| n.op_type == "DequantizeLinear")?;
        match node.input.as_slice() {
            [x, scale, zero] if !zero.is_empty() => Some([x.clone(), scale.clone(), zero.clone()]),
            _ => None,
        }
    }

    /// The QuantizeLinear that alone reads a value.
    fn quantizer(&self, node: &NodeProto) -> Option<(usize, &'a NodeProto)> {
        let [output] = node.output.as_slice() else { return None };
        let [only] = self.readers.get(output.as_str())?.as_slice() else { return None };
        let reader = &self.graph.node[*only];
        let output_of_graph = self.graph.output.iter().any(|o| o.name == *output);
        let fits = reader.op_type == "QuantizeLinear" && reader.input.len() == 3 && !output_of_graph;
        fits.then_some((*only, reader))
    }

    /// The quantized node that a float one stands for, and the place where it belongs.
    fn quantized(&self, node: &NodeProto) -> Option<(usize, NodeProto)> {
        let inputs = |range: std::ops::Range<usize>| -> Option<Vec<String>> {
            let triples = range.map(|i| self.dequantized(node.input.get(i)?));
            Some(triples.collect::<Option<Vec<_>>>()?.concat())
        };
        // A ReLU before a quantization whose zero point is its lowest value changes nothing.
        let relu = self.relu_after(node);
        let (place, quantize) = self.quantizer(relu.unwrap_or(node))?;
        let output: Vec<String> = quantize.input[1..].to_vec();
        let (op_type, domain, input) = match node.op_type.as_str() {
            "Conv" => {
                let mut input = inputs(0..2)?;
                let weights = &self.producers.get(node.input[1].as_str())?.input[0];
                let constant = self.constants.contains(weights) && self.constants.shape(weights)?.len() == 4;
                input.extend(output);
                input.extend(self.bias(node)?);
                if !constant {
                    return None;
                }
                ("QLinearConv", "", input)
            }
            "MatMul" => ("QLinearMatMul", "", [inputs(0..2)?, output].concat()),
            "Gemm" => {
                if node.float("alpha", 1.0) != 1.0 || node.float("beta", 1.0) != 1.0 {
                    return None;
                }
                let mut input = inputs(0..2)?;
                input.push(self.bias(node)?.unwrap_or_default());
                ("QGemm", "com.microsoft", [input, output].concat())
            }
            "Add" | "Mul" => (if node.op_type == "Add" { "QLinearAdd" } else { "QLinearMul" }, "com.microsoft", {
                [inputs(0..2)?, output].concat()
            }),
            "Sigmoid" => ("QLinearSigmoid", "com.microsoft", [inputs(0..1)?, output].concat()),
            "LeakyRelu" => ("QLinearLeakyRelu", "com.microsoft", [inputs(0..1)?, output].concat()),
            "GlobalAveragePool" => ("QLinearGlobalAveragePool", "com.microsoft", [inputs(0..1)?, output].concat()),
            "AveragePool" => ("QLinearAveragePool", "com.microsoft", [inputs(0..1)?, output].concat()),
            "Concat" => ("QLinearConcat", "com.microsoft", [output, inputs(0..node.input.len())?].concat()),
            // What moves values without changing them, under one quantization.
            "MaxPool" | "Resize" | "Transpose" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                let [value, scale, zero] = self.dequantized(node.input.first()?)?;
                if !self.same(&[scale, zero], &output) {
                    return None;
                }
                (node.op_type.as_str(), "", [vec![value], node.input[1..].to_vec()].concat())
            }
            _ => return None,
        };
        let quantized = NodeProto {
            op_type: op_type.into(),
            domain: domain.into(),
            name: node.name.clone(),
            input,
            output: quantize.output.clone(),
            attribute: node.attribute.clone(),
        };
        Some((place, quantized))
    }

    /// The integers behind a node's bias, if it has one: they must be in units of both
    /// scales, as the operators over quantized values take them. `None` where they are not.
    fn bias(&self, node: &NodeProto) -> Option<Option<String>> {
        let Some(bias) = node.input.get(2).filter(|b| !b.is_empty()) else { return Some(None) };
        let dequantize = self.producers.get(bias.as_str()).filter(|n| n.op_type == "DequantizeLinear")?;
        let [integers, scale, ..] = dequantize.input.as_slice() else { return None };
        let [x, w] = [0, 1].map(|i| self.dequantized(&node.input[i]).and_then(|t| self.constants.floats(&t[1])));
        let (x, w, scale) = (x?, w?, self.constants.floats(scale)?);
        let (&x, count) = (x.first()?, w.len().max(scale.len()));
        let close = |c: usize| {
            let unit = x * w[c % w.len()];
            (scale[c % scale.len()] - unit).abs() <= 1e-3 * unit
        };
        let fits = !w.is_empty() && !scale.is_empty() && (0..count).all(close);
        let integer = self.constants.get(integers)?.data_type == data_type::INT32;
        (fits && integer).then(|| Some(integers.clone()))
    }

    /// A Relu that alone reads a node and is itself quantized with the lowest zero point.
    fn relu_after(&self, node: &NodeProto) -> Option<&'a NodeProto> {
        let [output] = node.output.as_slice() else { return None };
        let [only] = self.readers.get(output.as_str())?.as_slice() else { return None };
        let relu = Some(&self.graph.node[*only]).filter(|n| n.op_type == "Relu")?;
        if self.graph.output.iter().any(|o| o.name == *output) {
            return None;
        }
        let (_, quantize) = self.quantizer(relu)?;
        let lowest = match self.constants.get(&quantize.input[2])?.data_type {
            data_type::INT8 => -128,
            _ => 0,
        };
        (self.constants.integers(&quantize.input[2])?.as_slice() == [lowest]).then_some(relu)
    }

    fn same(&self, a: &[String], b: &[String]) -> bool {
        a == b
            || (self.constants.floats(&a[0]) == self.constants.floats(&b[0])
                && self.constants.integers(&a[1]) == self.constants.integers(&b[1])
                && self.constants.floats(&a[0]).is_some())
    }
}
