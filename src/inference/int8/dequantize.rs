//! Quantized graphs as float ones: for GPUs, and to compare with.
//!
//! Weights become floats, and nothing is rounded between layers any more. What is left of
//! a quantization is a Clip to the range that its bytes can hold: that is where a layer's ReLU has gone.

use super::in_float;
use super::onnx::{Attributes, Constants, check, data_type, node_error};
use crate::error::Result;
use crate::inference::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_proto::AttributeType,
};
use std::collections::{HashMap, HashSet};

/// From this version of ONNX's operators on, the limits of Clip are inputs.
const CLIP_INPUTS_SINCE: i64 = 11;

/// Rewrites a model's graph (QOperator or QDQ form; float ones stay as they are) in floats.
pub fn to_float(model: &mut ModelProto) -> Result<()> {
    let is_onnx = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let clip_by_inputs = model.opset_import.iter().any(|set| is_onnx(&set.domain) && set.version >= CLIP_INPUTS_SINCE);
    let Some(graph) = &mut model.graph else { return Ok(()) };
    check(graph)?;
    operators_in_float(graph)?;
    let mut nodes = Vec::new();
    let mut initializers = Vec::new();
    let constants = Constants::new(graph);
    let outputs: HashSet<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    // Values that others now stand for.
    let mut same: HashMap<String, String> = HashMap::new();
    // Values that were bytes and are floats now: what DequantizeLinear may be left out for.
    let mut floats: HashSet<String> = HashSet::new();
    for node in &graph.node {
        let mut node = node.clone();
        for input in &mut node.input {
            if let Some(same) = same.get(input) {
                input.clone_from(same);
            }
        }
        if matches!(node.op_type.as_str(), "QuantizeLinear" | "DequantizeLinear")
            && (node.input.len() < 2 || node.output.len() != 1)
        {
            return Err(node_error(&node, "expected two or three inputs and one output"));
        }
        let step = match node.op_type.as_str() {
            "DequantizeLinear" if constants.integers(&node.input[0]).is_some() => {
                initializers.push(dequantized(&node, &constants)?);
                continue;
            }
            "DequantizeLinear" if floats.contains(&node.input[0]) => None,
            "DequantizeLinear" => return Err(node_error(&node, "it takes integers that no QuantizeLinear makes")),
            "QuantizeLinear" => {
                // Of a constant, too: then the constant's floats stand for it.
                floats.extend([node.output[0].clone(), node.input[0].clone()]);
                clip(&node, &constants, clip_by_inputs)
            }
            _ => {
                // What moves quantized values moves floats now.
                if node.input.iter().any(|input| floats.contains(input)) {
                    floats.extend(node.output.iter().cloned());
                }
                nodes.push(node);
                continue;
            }
        };
        match step {
            Some((clip, limits)) => {
                nodes.push(clip);
                initializers.extend(limits);
            }
            None if outputs.contains(node.output[0].as_str()) => nodes.push(NodeProto {
                op_type: "Identity".into(),
                input: vec![node.input[0].clone()],
                output: node.output.clone(),
                ..NodeProto::default()
            }),
            None => _ = same.insert(node.output[0].clone(), node.input[0].clone()),
        }
    }
    graph.node = nodes;
    graph.initializer.extend(initializers);
    let read: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    let kept = |name: &String| read.contains(name) || graph.output.iter().any(|output| output.name == *name);
    let dropped: HashSet<String> =
        graph.initializer.iter().map(|tensor| &tensor.name).filter(|name| !kept(name)).cloned().collect();
    graph.initializer.retain(|tensor| !dropped.contains(&tensor.name));
    // Old files list initializers among the inputs.
    graph.input.retain(|input| !dropped.contains(&input.name));
    // Types that values no longer have.
    graph.value_info.clear();
    Ok(())
}

/// Operators on quantized values as DequantizeLinear → the same in float → QuantizeLinear.
fn operators_in_float(graph: &mut GraphProto) -> Result<()> {
    let constants = Constants::new(graph);
    let (mut nodes, mut initializers) = (Vec::new(), Vec::new());
    for node in &graph.node {
        if !node.op_type.starts_with("QLinear") && node.op_type != "QGemm" {
            nodes.push(node.clone());
            continue;
        }
        let mut replacement = in_float::rewrite(node, &constants, &[])?;
        // Only the quantized operator has it.
        let attributes = replacement.nodes.iter_mut().map(|node| &mut node.attribute);
        attributes.for_each(|attributes| attributes.retain(|attribute| attribute.name != "channels_last"));
        nodes.extend(replacement.nodes);
        initializers.extend(replacement.initializers);
    }
    graph.node = nodes;
    graph.initializer.extend(initializers);
    Ok(())
}

/// The floats of a quantized constant, under the name of what DequantizeLinear makes of it.
fn dequantized(node: &NodeProto, constants: &Constants<'_>) -> Result<TensorProto> {
    let missing = || node_error(node, "its values, scale or zero point are not constant, or do not fit each other");
    let input = |i: usize| node.input.get(i).map_or("", String::as_str);
    let dims = constants.shape(input(0)).ok_or_else(missing)?;
    let values = constants.integers(input(0)).ok_or_else(missing)?;
    let scale = constants.floats(input(1)).filter(|scale| !scale.is_empty()).ok_or_else(missing)?;
    let zero = if input(2).is_empty() { vec![0] } else { constants.integers(input(2)).ok_or_else(missing)? };
    let axis = node.int("axis", 1);
    let axis = usize::try_from(if axis < 0 { axis + dims.len() as i64 } else { axis }).map_err(|_| missing())?;
    // How many values in a row share a scale.
    let (channels, run) = match scale.len() {
        1 => (1, values.len().max(1)),
        channels => (
            channels,
            dims.get(axis + 1..)
                .ok_or_else(missing)?
                .iter()
                .fold(1, |all: usize, &side| all.saturating_mul(side))
                .max(1),
        ),
    };
    let fits = channels == 1 || dims.get(axis) == Some(&channels);
    if !fits || zero.is_empty() || (zero.len() != 1 && zero.len() != channels) {
        return Err(missing());
    }
    let float = |(i, &value): (usize, &i64)| {
        let channel = i / run % channels;
        value.wrapping_sub(zero[channel % zero.len()]) as f32 * scale[channel]
    };
    Ok(TensorProto {
        name: node.output[0].clone(),
        dims: dims.iter().map(|&side| side as i64).collect(),
        data_type: data_type::FLOAT,
        raw_data: values.iter().enumerate().map(float).flat_map(f32::to_le_bytes).collect(),
        ..TensorProto::default()
    })
}

/// The Clip that is left of a QuantizeLinear, with its limits; `None` where those are not known.
fn clip(node: &NodeProto, constants: &Constants<'_>, by_inputs: bool) -> Option<(NodeProto, Vec<TensorProto>)> {
    // Without a zero point it is 0, and the bytes unsigned.
    let (signed, zero) = match node.input.get(2).filter(|zero| !zero.is_empty()) {
        None => (false, Some(vec![0])),
        Some(zero) => (constants.get(zero).is_some_and(|t| t.data_type == data_type::INT8), constants.integers(zero)),
    };
    let (Some(scale), Some(&[zero])) = (constants.float(&node.input[1]), zero.as_deref()) else { return None };
    let (lowest, highest) = if signed { (-128, 127) } else { (0, 255) };
    let limits = [("min", lowest), ("max", highest)].map(|(name, end)| (name, (end - zero) as f32 * scale));
    let mut clip = NodeProto {
        op_type: "Clip".into(),
        name: node.name.clone(),
        input: vec![node.input[0].clone()],
        output: node.output.clone(),
        ..NodeProto::default()
    };
    if !by_inputs {
        clip.attribute = limits.map(|(name, value)| float_attribute(name, value)).into();
        return Some((clip, Vec::new()));
    }
    let constant = |(name, value): (&str, f32)| TensorProto {
        name: format!("{}#{name}", node.output[0]),
        data_type: data_type::FLOAT,
        raw_data: value.to_le_bytes().into(),
        ..TensorProto::default()
    };
    let limits = limits.map(constant);
    clip.input.extend(limits.iter().map(|limit| limit.name.clone()));
    Some((clip, limits.into()))
}

fn float_attribute(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f: value, ..AttributeProto::default() }
}
