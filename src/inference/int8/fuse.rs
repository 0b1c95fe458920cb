//! Rewrites an ONNX graph so that float activations between two quantizations
//! run inside the convolution before them:
//!
//! ```text
//! QLinearConv → DequantizeLinear → PRelu → QuantizeLinear   becomes   QLinearConvPRelu
//! ```
//!
//! Each of the three float nodes would otherwise read and write the whole
//! activation at four bytes per value.

use std::collections::HashMap;
use tract_onnx::pb::{GraphProto, NodeProto};

/// Operator name of the fused node: the inputs of QLinearConv, then slope,
/// output scale and output zero point.
pub const QLINEAR_CONV_PRELU: &str = "QLinearConvPRelu";

/// Fuses every such chain in place; returns how many.
pub fn fuse_activations(graph: &mut GraphProto) -> usize {
    let mut consumers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (position, node) in graph.node.iter().enumerate() {
        for input in &node.input {
            consumers.entry(input).or_default().push(position);
        }
    }
    let is_output = |name: &str| graph.output.iter().any(|o| o.name == name);
    // The only consumer of a node's only output, if it is of the wanted kind.
    let next = |node: &NodeProto, kind: &str| -> Option<usize> {
        let [output] = node.output.as_slice() else { return None };
        let [only] = consumers.get(output.as_str())?.as_slice() else { return None };
        let consumer = &graph.node[*only];
        (consumer.op_type == kind && consumer.input[0] == *output && !is_output(output)).then_some(*only)
    };
    let mut replaced: HashMap<usize, NodeProto> = HashMap::new();
    let mut removed: Vec<usize> = Vec::new();
    for (position, conv) in graph.node.iter().enumerate().filter(|(_, n)| n.op_type == "QLinearConv") {
        let chain = next(conv, "DequantizeLinear").and_then(|dequantize| {
            let prelu = next(&graph.node[dequantize], "PRelu")?;
            let quantize = next(&graph.node[prelu], "QuantizeLinear")?;
            (graph.node[quantize].input.len() == 3).then_some([dequantize, prelu, quantize])
        });
        if let Some([dequantize, prelu, quantize]) = chain {
            let quantize_node = &graph.node[quantize];
            let mut fused = conv.clone();
            fused.op_type = QLINEAR_CONV_PRELU.into();
            fused.input.push(graph.node[prelu].input[1].clone());
            fused.input.extend_from_slice(&quantize_node.input[1..]);
            fused.output = quantize_node.output.clone();
            // In the last node's place, so that the order stays topological.
            replaced.insert(quantize, fused);
            removed.extend([position, dequantize, prelu]);
        }
    }
    let fused = replaced.len();
    let nodes = std::mem::take(&mut graph.node);
    graph.node = nodes
        .into_iter()
        .enumerate()
        .filter(|(position, _)| !removed.contains(position))
        .map(|(position, node)| replaced.remove(&position).unwrap_or(node))
        .collect();
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: op.into(),
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        }
    }

    fn chain() -> GraphProto {
        GraphProto {
            node: vec![
                node("QLinearConv", &["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], "y"),
                node("DequantizeLinear", &["y", "ys", "yz"], "f"),
                node("PRelu", &["f", "slope"], "g"),
                node("QuantizeLinear", &["g", "zs", "zz"], "z"),
            ],
            ..GraphProto::default()
        }
    }

    #[test]
    fn a_chain_becomes_one_node() {
        let mut graph = chain();
        assert_eq!(fuse_activations(&mut graph), 1);
        assert_eq!(graph.node.len(), 1);
        assert_eq!(graph.node[0].op_type, QLINEAR_CONV_PRELU);
        assert_eq!(graph.node[0].input[9..], ["slope", "zs", "zz"]);
        assert_eq!(graph.node[0].output, ["z"]);
    }

    #[test]
    fn a_value_used_elsewhere_stays() {
        let mut graph = chain();
        graph.node.push(node("Add", &["g", "h"], "sum"));
        assert_eq!(fuse_activations(&mut graph), 0);
        assert_eq!(graph.node.len(), 5);
    }
}
