//! Reading ONNX graphs: constants and attributes, checked, and errors that name the node.

use crate::error::{Error, Result};
use crate::inference::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};
use std::collections::HashMap;

/// ONNX TensorProto.DataType, as far as it is read here.
#[expect(missing_docs, reason = "ONNX's own names")]
pub mod data_type {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
}

/// How errors call a node.
pub fn label(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
    format!("{} {name:?}", node.op_type)
}

/// An error about a node of a model.
pub fn node_error(node: &NodeProto, what: impl std::fmt::Display) -> Error {
    Error::Model(format!("{}: {what}", label(node)))
}

/// The constants of a graph: initializers and Constant nodes.
#[derive(Default)]
pub struct Constants<'a>(HashMap<&'a str, &'a TensorProto>);

impl<'a> Constants<'a> {
    /// Of a checked graph.
    pub fn new(graph: &'a GraphProto) -> Self {
        let initializers = graph.initializer.iter().map(|t| (t.name.as_str(), t));
        let nodes = graph.node.iter().filter(|n| n.op_type == "Constant").filter_map(|n| {
            let value = n.attribute.iter().find(|a| a.name == "value")?;
            Some((n.output.first()?.as_str(), value.t.as_ref()?))
        });
        Self(initializers.chain(nodes).collect())
    }

    /// Whether a value is constant.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The tensor itself.
    pub fn get(&self, name: &str) -> Option<&'a TensorProto> {
        self.0.get(name).copied()
    }

    /// Dimensions of a constant.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.get(name)?.dims.iter().map(|&d| usize::try_from(d).ok()).collect()
    }

    /// Values of a float constant.
    pub fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.get(name)?;
        (tensor.data_type == data_type::FLOAT).then(|| match tensor.float_data.is_empty() {
            true => tensor.raw_data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            false => tensor.float_data.clone(),
        })
    }

    /// Values of an integer constant of 8, 32 or 64 bits.
    pub fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let tensor = self.get(name)?;
        let raw = tensor.raw_data.as_slice();
        let typed = |v: &[i32]| v.iter().map(|&v| i64::from(v)).collect();
        Some(match tensor.data_type {
            data_type::UINT8 | data_type::INT8 | data_type::INT32 if !tensor.int32_data.is_empty() => {
                typed(&tensor.int32_data)
            }
            data_type::UINT8 => raw.iter().map(|&v| i64::from(v)).collect(),
            data_type::INT8 => raw.iter().map(|&v| i64::from(v as i8)).collect(),
            data_type::INT32 => raw.as_chunks().0.iter().map(|&b| i64::from(i32::from_le_bytes(b))).collect(),
            data_type::INT64 if !tensor.int64_data.is_empty() => tensor.int64_data.clone(),
            data_type::INT64 => raw.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect(),
            _ => return None,
        })
    }

    /// Values of an `int8` constant.
    pub fn signed_bytes(&self, name: &str) -> Option<Vec<i8>> {
        let tensor = self.get(name)?;
        (tensor.data_type == data_type::INT8).then(|| match tensor.int32_data.is_empty() {
            true => tensor.raw_data.iter().map(|&b| b as i8).collect(),
            false => tensor.int32_data.iter().map(|&v| v as i8).collect(),
        })
    }

    /// The only value of a float constant.
    pub fn float(&self, name: &str) -> Option<f32> {
        match self.floats(name)?.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}

/// Attributes of a node.
pub trait Attributes {
    /// One by name.
    fn attribute(&self, name: &str) -> Option<&AttributeProto>;

    /// An integer, or the default.
    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).filter(|a| is(a, AttributeType::Int)).map_or(default, |a| a.i)
    }

    /// A float, or the default.
    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).filter(|a| is(a, AttributeType::Float)).map_or(default, |a| a.f)
    }

    /// Integers, or none.
    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).filter(|a| is(a, AttributeType::Ints)).map(|a| a.ints.as_slice())
    }

    /// A string, or the default.
    fn text(&self, name: &str, default: &'static str) -> String {
        let text = self.attribute(name).filter(|a| is(a, AttributeType::String));
        text.map_or(default.into(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }
}

fn is(attribute: &AttributeProto, wanted: AttributeType) -> bool {
    attribute.r#type == wanted as i32
}

impl Attributes for NodeProto {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name == name)
    }
}

/// Checks what later steps and tract take for granted: tensors as long as their shapes
/// say, every input defined before it is used, no name twice, every output there.
pub fn check(graph: &GraphProto) -> Result<()> {
    let mut known = std::collections::HashSet::new();
    for tensor in &graph.initializer {
        check_tensor(tensor).map_err(|what| Error::Model(format!("initializer {:?}: {what}", tensor.name)))?;
        known.insert(tensor.name.as_str());
    }
    let mut inputs = 0;
    for input in &graph.input {
        inputs += usize::from(known.insert(&input.name));
    }
    if inputs == 0 || !graph.sparse_initializer.is_empty() {
        return Err(Error::Model("the graph has no input, or sparse initializers, which are not supported".into()));
    }
    for node in &graph.node {
        if let Some(missing) = node.input.iter().find(|i| !i.is_empty() && !known.contains(i.as_str())) {
            return Err(node_error(
                node,
                format!("its input {missing:?} is neither an initializer nor made before it"),
            ));
        }
        // Least and most that make sense: padding is memory.
        let windows = [("strides", 1, 4096), ("dilations", 1, 4096), ("kernel_shape", 1, 4096), ("pads", 0, 256)];
        for (name, least, most) in windows {
            if node.ints(name).is_some_and(|v| v.iter().any(|i| !(least..=most).contains(i))) {
                return Err(node_error(node, format!("{name} = {:?}", node.ints(name).unwrap_or_default())));
            }
        }
        if let Some(axes) = node.ints("perm") {
            let mut sorted = axes.to_vec();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..axes.len() as i64) {
                return Err(node_error(node, format!("perm = {axes:?} is no order of axes")));
            }
        }
        if node.int("group", 1) < 1 {
            return Err(node_error(node, "group below 1"));
        }
        for attribute in &node.attribute {
            if attribute.g.is_some() || !attribute.graphs.is_empty() {
                return Err(node_error(node, "graphs inside nodes are not supported"));
            }
            if let Some(tensor) = &attribute.t {
                check_tensor(tensor).map_err(|what| node_error(node, what))?;
            }
        }
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if !known.insert(output) {
                return Err(node_error(node, format!("its output {output:?} exists already")));
            }
        }
    }
    if graph.output.is_empty() {
        return Err(Error::Model("the graph has no output".into()));
    }
    match graph.output.iter().find(|o| !known.contains(o.name.as_str())) {
        Some(output) => Err(Error::Model(format!("no node makes the graph's output {:?}", output.name))),
        None => Ok(()),
    }
}

/// The reason why a tensor cannot be used.
fn check_tensor(tensor: &TensorProto) -> std::result::Result<(), String> {
    if tensor.data_location.is_some_and(|location| location != 0) || !tensor.external_data.is_empty() {
        return Err("its data is in another file; save the model as a single file".into());
    }
    let size = match tensor.data_type {
        1 | 6 | 12 => 4,
        2 | 3 | 9 => 1,
        4 | 5 | 10 | 16 => 2,
        7 | 11 | 13 => 8,
        other => return Err(format!("data type {other} is not supported")),
    };
    let values = tensor.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    let values = values.ok_or_else(|| format!("dimensions {:?}", tensor.dims))?;
    let typed = tensor.float_data.len()
        + tensor.int32_data.len()
        + tensor.int64_data.len()
        + tensor.double_data.len()
        + tensor.uint64_data.len();
    let matches = match typed {
        0 => values.checked_mul(size) == Some(tensor.raw_data.len()),
        _ => typed == values && tensor.raw_data.is_empty(),
    };
    match matches {
        true => Ok(()),
        false => Err(format!("dimensions {:?} do not fit its {} bytes of data", tensor.dims, tensor.raw_data.len())),
    }
}
