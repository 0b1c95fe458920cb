//! Splits a graph into quantized regions, which we run, and what stays float, which
//! tract runs.

use super::in_float;
use super::kernels::Isa;
use super::onnx::{Constants, check, label, node_error};
use super::qdq;
use super::recognize::{Context, Recognized, Sign, Spec, float_convolution, recognize};
use super::region::{Op, Region, Step};
use crate::error::{Error, Result};
use crate::inference::proto::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};
use std::collections::{HashMap, HashSet};

/// Operator name of a node that stands for a region; its attribute `index` says which.
pub const REGION: &str = "FramesiftRegion";

/// Marks the names of quantized values on their way from one region to another.
const WIRE: &str = "#bytes";

/// Marks the names of floats inside a region.
const FLOATS: &str = "#floats";

/// A graph whose quantized parts are regions.
pub struct Compiled {
    /// What is left: nodes that stand for regions, and those that stay float.
    pub graph: GraphProto,
    /// The regions.
    pub regions: Vec<Region>,
    /// Nodes over quantized values that run in float after all, and why.
    pub in_float: Vec<String>,
}

/// What we make of a node; `None` for one that stays float.
type Kind = Option<Recognized>;

/// Compiles a graph for an instruction set; without one everything runs in float.
pub fn compile(isa: Option<Isa>, mut graph: GraphProto) -> Result<Compiled> {
    check(&graph)?;
    // ONNX does not ask for unique names, tract does; without one it takes the output's.
    let mut names = HashSet::new();
    graph.node.iter_mut().filter(|n| !names.insert(n.name.clone())).for_each(|n| n.name.clear());
    let Some(isa) = isa else {
        let rejected = quantized_nodes(&graph);
        if !rejected.is_empty() {
            replace(&mut graph, &rejected)?;
        }
        return Ok(Compiled { graph, regions: vec![], in_float: vec![] });
    };
    qdq::to_qoperator(&mut graph);
    let mut in_float = Vec::new();
    let mut kinds = classify(&graph);
    // What a rewritten node becomes is recognized, or float; its neighbours may follow.
    for _ in 0..2 {
        let rejected = match kinds {
            Ok(_) => break,
            Err(rejected) => rejected,
        };
        in_float.extend(rejected.iter().map(|(i, reason)| format!("{}: {reason}", label(&graph.node[*i]))));
        replace(&mut graph, &rejected)?;
        kinds = classify(&graph);
    }
    let mut kinds = kinds.map_err(|rejected| refused(&graph, &rejected))?;
    for (index, kind) in kinds.iter().enumerate() {
        if let Some(Recognized { bytes: Some(_), output, .. }) = kind
            && graph.output.iter().any(|o| o.name == *output)
        {
            return Err(node_error(&graph.node[index], "the model's output is quantized; only floats are supported"));
        }
    }
    let uses = needed(&graph, &kinds);
    fuse(&mut kinds, &uses);
    let uses = needed(&graph, &kinds);
    drop_constants(&mut graph, &kinds, &uses);
    let regions = split(isa, &mut graph, kinds, &uses)?;
    Ok(Compiled { graph, regions, in_float })
}

/// Positions of nodes, and why each is not recognized.
type Rejected = Vec<(usize, String)>;

/// The error over nodes that run neither in INT8 nor in float.
fn refused(graph: &GraphProto, rejected: &Rejected) -> Error {
    match rejected.first() {
        Some((index, reason)) => node_error(&graph.node[*index], reason),
        None => Error::Model("a node that cannot be run".into()),
    }
}

/// Looks at every node in order; the nodes over quantized values that are not
/// recognized, if there are any.
fn classify(graph: &GraphProto) -> std::result::Result<Vec<Kind>, Rejected> {
    let constants = Constants::new(graph);
    let producers: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let mut context = Context {
        constants: &constants,
        producers: &producers,
        bytes: HashMap::new(),
        float_convs: HashMap::new(),
        read_by_float_conv: HashSet::new(),
    };
    // A model that is not quantized at all is tract's alone.
    if graph.node.iter().any(|n| n.op_type == "QuantizeLinear") {
        for node in graph.node.iter().filter(|n| matches!(n.op_type.as_str(), "Conv" | "ConvTranspose")) {
            if let ([output], Some(conv)) = (node.output.as_slice(), float_convolution(node, &constants)) {
                context.float_convs.insert(output, conv);
                context.read_by_float_conv.insert(&node.input[0]);
            }
        }
    }
    let (mut kinds, mut rejected) = (Vec::with_capacity(graph.node.len()), Vec::new());
    for (index, node) in graph.node.iter().enumerate() {
        let constant = node.input.iter().all(|i| i.is_empty() || constants.contains(i));
        if constant && node.op_type == "DequantizeLinear" || node.op_type == "Constant" {
            kinds.push(None);
            continue;
        }
        match recognize(node, &context) {
            Ok(None) => kinds.push(None),
            Ok(Some(recognized)) => {
                if let (Some(sign), [output]) = (recognized.bytes, node.output.as_slice()) {
                    context.bytes.insert(output, sign);
                }
                kinds.push(Some(recognized));
            }
            Err(reason) => {
                rejected.push((index, reason));
                kinds.push(None);
                // So that what follows is judged by itself.
                for output in &node.output {
                    context.bytes.insert(output, Sign::Unsigned);
                }
            }
        }
    }
    if rejected.is_empty() { Ok(kinds) } else { Err(rejected) }
}

/// All nodes that work on quantized values between a QuantizeLinear and a DequantizeLinear.
fn quantized_nodes(graph: &GraphProto) -> Rejected {
    let signs = signs(graph, &Constants::new(graph));
    let quantized = |node: &NodeProto| {
        node.op_type.starts_with("QLinear")
            || node.op_type == "QGemm"
            || (node.op_type != "DequantizeLinear" && node.input.iter().any(|i| signs.contains_key(i.as_str())))
    };
    let nodes = graph.node.iter().enumerate().filter(|(_, node)| quantized(node));
    nodes.map(|(index, _)| (index, String::new())).collect()
}

/// Puts float nodes in the place of the rejected ones.
fn replace(graph: &mut GraphProto, rejected: &Rejected) -> Result<()> {
    let constants = Constants::new(graph);
    let signs = signs(graph, &constants);
    let mut replacements = HashMap::new();
    for (index, _) in rejected {
        let node = &graph.node[*index];
        if matches!(node.op_type.as_str(), "QuantizeLinear" | "DequantizeLinear") {
            // tract has these.
            continue;
        }
        let of: Vec<Option<Sign>> = node.input.iter().map(|i| signs.get(i.as_str()).copied()).collect();
        replacements.insert(*index, in_float::rewrite(node, &constants, &of)?);
    }
    if replacements.is_empty() {
        return Err(refused(graph, rejected));
    }
    let nodes = std::mem::take(&mut graph.node);
    for (index, node) in nodes.into_iter().enumerate() {
        match replacements.remove(&index) {
            Some(replacement) => {
                graph.node.extend(replacement.nodes);
                graph.initializer.extend(replacement.initializers);
            }
            None => graph.node.push(node),
        }
    }
    Ok(())
}

/// The type of every quantized value, told by the zero points beside it.
fn signs<'a>(graph: &'a GraphProto, constants: &Constants<'_>) -> HashMap<&'a str, Sign> {
    let mut signs: HashMap<&str, Sign> = HashMap::new();
    for node in &graph.node {
        let zero = match node.op_type.as_str() {
            "QuantizeLinear" => Some(2),
            "QLinearConv" | "QLinearMatMul" | "QLinearAdd" | "QLinearMul" => Some(7),
            // Without an output scale it makes floats.
            "QGemm" if node.input.len() <= 7 => continue,
            "QGemm" => Some(8),
            "QLinearConcat" => Some(1),
            op if op.starts_with("QLinear") => Some(4),
            _ => None,
        };
        let of_input = node.input.iter().find_map(|i| signs.get(i.as_str()).copied());
        let sign = match zero {
            Some(zero) => {
                let tensor = node.input.get(zero).and_then(|z| constants.get(z));
                let signed = tensor.is_some_and(|t| t.data_type == super::onnx::data_type::INT8);
                Some(if signed { Sign::Signed } else { Sign::Unsigned })
            }
            None if node.op_type == "DequantizeLinear" => None,
            None => of_input,
        };
        if let Some(sign) = sign {
            node.output.iter().for_each(|output| _ = signs.insert(output, sign));
        }
    }
    signs
}

/// How many times each value is read, counting only nodes that lead to an output.
fn needed(graph: &GraphProto, kinds: &[Kind]) -> HashMap<String, usize> {
    let mut uses: HashMap<String, usize> = graph.output.iter().map(|o| (o.name.clone(), 1)).collect();
    for (node, kind) in graph.node.iter().zip(kinds).rev() {
        if node.output.iter().any(|o| uses.contains_key(o)) {
            let inputs = match kind {
                Some(recognized) => &recognized.inputs,
                None => &node.input,
            };
            for input in inputs {
                *uses.entry(input.clone()).or_default() += 1;
            }
        }
    }
    uses
}

/// Moves PReLUs into the convolutions before them, where nothing else reads those.
fn fuse(kinds: &mut [Kind], needed: &HashMap<String, usize>) {
    let convolutions: HashMap<String, usize> = kinds
        .iter()
        .enumerate()
        .filter_map(|(i, kind)| match kind {
            Some(Recognized { output, spec: Spec::Conv(_), .. }) => Some((output.clone(), i)),
            _ => None,
        })
        .collect();
    for index in 0..kinds.len() {
        let Some(Recognized { inputs, output, bytes, spec: Spec::Op(Op::Island(island)) }) = &kinds[index] else {
            continue;
        };
        let alone = |name: &String| needed.get(name) == Some(&1) && needed.contains_key(output);
        let Some(&conv) = inputs.first().filter(|name| alone(name)).and_then(|name| convolutions.get(name)) else {
            continue;
        };
        let (output, bytes, island) = (output.clone(), *bytes, island.clone());
        if let Some(Recognized { inputs, spec: Spec::Conv(spec), .. }) = &mut kinds[conv]
            && spec.fuse(&island)
        {
            // In the later place, so that the order stays topological.
            let fused = Recognized { inputs: inputs.clone(), output, bytes, spec: Spec::Conv(spec.clone()) };
            kinds[index] = Some(fused);
            kinds[conv] = None;
        }
    }
}

/// Drops the constants that recognized nodes have taken over, weights above all, before these are
/// packed: there is no need for room for both.
fn drop_constants(graph: &mut GraphProto, kinds: &[Kind], needed: &HashMap<String, usize>) {
    let leads = |n: &&NodeProto| n.output.iter().any(|output| needed.contains_key(output));
    let nodes = graph.node.iter().zip(kinds).filter(|(n, _)| leads(n));
    // A region may read constant floats like any others.
    let read_by = nodes.flat_map(|(n, kind)| kind.as_ref().map_or(&n.input, |recognized| &recognized.inputs));
    let outputs = graph.output.iter().map(|o| &o.name);
    let read: HashSet<&String> = read_by.chain(outputs).collect();
    let unused = graph.initializer.iter().filter(|t| !read.contains(&t.name));
    let dropped: HashSet<String> = unused.map(|t| t.name.clone()).collect();
    graph.initializer.retain(|t| !dropped.contains(&t.name));
    // Old files list initializers as inputs as well.
    graph.input.retain(|i| !dropped.contains(&i.name));
}

/// Groups the recognized nodes into regions and leaves the rest in the graph.
///
/// A region may hold any nodes between which no float node lies. Counting the changes
/// from ours to float on the way to a node gives exactly that.
fn split(isa: Isa, graph: &mut GraphProto, kinds: Vec<Kind>, needed: &HashMap<String, usize>) -> Result<Vec<Region>> {
    let mut levels: HashMap<String, (usize, bool)> = HashMap::new();
    let mut builders: Vec<Builder> = Vec::new();
    let mut remaining = Vec::new();
    for (node, kind) in std::mem::take(&mut graph.node).into_iter().zip(kinds) {
        let recognized = match kind {
            Some(recognized) if needed.contains_key(&recognized.output) => recognized,
            None if node.output.iter().any(|o| needed.contains_key(o)) => {
                let before = |i: &String| levels.get(i).map(|&(level, ours)| level + usize::from(ours));
                let level = node.input.iter().filter_map(before).max().unwrap_or(0);
                node.output.iter().for_each(|o| _ = levels.insert(o.clone(), (level, false)));
                remaining.push(node);
                continue;
            }
            _ => continue,
        };
        let level = recognized.inputs.iter().filter_map(|i| levels.get(i)).map(|l| l.0).max().unwrap_or(0);
        // Floats that leave the region count as made outside, after it.
        let leaves = recognized.bytes.is_none() && !recognized.makes_floats();
        levels.insert(recognized.output.clone(), if leaves { (level + 1, false) } else { (level, true) });
        builders.resize_with(builders.len().max(level + 1), Builder::default);
        for input in &recognized.inputs {
            match levels.get(input) {
                Some(&(made, true)) if made == level => {}
                Some(&(made, true)) if !builders[made].has_floats(input) => {
                    builders[made].export(input);
                    builders[level].import(input);
                }
                made => {
                    if let Some(&(made, true)) = made {
                        builders[made].export_floats(input);
                    }
                    let convolution = matches!(recognized.spec, Spec::Op(Op::FloatConv(_)));
                    builders[level].read_floats(input, convolution);
                }
            }
        }
        builders[level].add(isa, label(&node), recognized).map_err(|e| node_error(&node, e))?;
    }
    let read: HashSet<&str> = remaining
        .iter()
        .flat_map(|n| n.input.iter().map(String::as_str))
        .chain(graph.output.iter().map(|o| o.name.as_str()))
        .collect();
    let by_regions: Vec<String> = builders.iter().flat_map(Builder::reads).collect();
    let read_outside = read.iter().copied().chain(by_regions.iter().map(String::as_str)).collect();
    let mut regions = Vec::new();
    let mut region_nodes = Vec::new();
    for builder in builders.into_iter().filter(|b| !b.region.steps.is_empty()) {
        let region = builder.finish(&read_outside);
        let name = |&v: &usize| region.values[v].clone();
        region_nodes.push(NodeProto {
            op_type: REGION.into(),
            name: format!("region {}", regions.len()),
            input: region.inputs.iter().map(name).collect(),
            output: region.outputs.iter().map(name).collect(),
            attribute: vec![AttributeProto {
                name: "index".into(),
                r#type: AttributeType::Int as i32,
                i: regions.len() as i64,
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        });
        regions.push(region);
    }
    graph.node = remaining;
    graph.node.extend(region_nodes);
    Ok(regions)
}

/// A region in the making.
#[derive(Default)]
struct Builder {
    region: Region,
    positions: HashMap<String, usize>,
}

impl Builder {
    fn value(&mut self, name: &str) -> usize {
        *self.positions.entry(name.into()).or_insert_with(|| {
            self.region.values.push(name.into());
            self.region.values.len() - 1
        })
    }

    /// Where a value is inside: floats that are made here have a name of their own, so that
    /// the value itself can be the region's input or output.
    fn inside(&mut self, name: &str) -> usize {
        if self.has_floats(name) { self.value(&format!("{name}{FLOATS}")) } else { self.value(name) }
    }

    fn add(&mut self, isa: Isa, name: String, recognized: Recognized) -> Result<()> {
        let inputs: Vec<usize> = recognized.inputs.iter().map(|i| self.inside(i)).collect();
        let op = match recognized.spec {
            Spec::Op(op) => op,
            Spec::Conv(spec) => spec.pack(isa)?,
        };
        let output = match op.makes_floats() {
            true => self.value(&format!("{}{FLOATS}", recognized.output)),
            false => self.value(&recognized.output),
        };
        self.region.steps.push(Step { name, op, inputs, output });
        Ok(())
    }

    /// Names of the values that come from outside.
    fn reads(&self) -> impl Iterator<Item = String> {
        self.region.inputs.iter().map(|&v| self.region.values[v].clone())
    }

    /// Whether floats of this name are made or kept here.
    fn has_floats(&self, name: &str) -> bool {
        self.positions.contains_key(&format!("{name}{FLOATS}"))
    }

    /// Reads floats from outside: islands as they are, convolutions with channels last.
    fn read_floats(&mut self, name: &str, convolution: bool) {
        if self.has_floats(name) {
            return;
        }
        let from = self.value(name);
        if !self.region.inputs.contains(&from) {
            self.region.inputs.push(from);
        }
        if convolution {
            let to = self.value(&format!("{name}{FLOATS}"));
            self.region.steps.push(Step { name: name.into(), op: Op::ImportFloats, inputs: vec![from], output: to });
        }
    }

    /// Writes floats that are made here to an output of the region.
    fn export_floats(&mut self, name: &str) {
        if self.has_floats(name) && !self.positions.contains_key(name) {
            let (from, to) = (self.value(&format!("{name}{FLOATS}")), self.value(name));
            self.region.steps.push(Step { name: name.into(), op: Op::ExportFloats, inputs: vec![from], output: to });
            self.region.outputs.push(to);
        }
    }

    /// Hands quantized values to a later region.
    fn export(&mut self, name: &str) {
        let wire = format!("{name}{WIRE}");
        if !self.positions.contains_key(&wire) {
            let (from, to) = (self.value(name), self.value(&wire));
            self.region.steps.push(Step { name: wire, op: Op::Export, inputs: vec![from], output: to });
            self.region.outputs.push(to);
        }
    }

    /// Takes quantized values from an earlier region.
    fn import(&mut self, name: &str) {
        let wire = format!("{name}{WIRE}");
        if !self.positions.contains_key(&wire) {
            let (from, to) = (self.value(&wire), self.value(name));
            self.region.steps.push(Step { name: wire, op: Op::Import, inputs: vec![from], output: to });
            self.region.inputs.push(from);
        }
    }

    fn finish(mut self, read_outside: &HashSet<&str>) -> Region {
        let mut outside: Vec<&str> = read_outside.iter().copied().collect();
        outside.sort_unstable();
        outside.into_iter().for_each(|name| self.export_floats(name));
        let floats = |step: &&Step| matches!(step.op, Op::Dequantize { .. } | Op::Conv { floats: true, .. });
        let outputs = self.region.steps.iter().filter(floats).map(|s| s.output);
        let outside = |v: &usize| read_outside.contains(self.region.values[*v].as_str());
        let outputs: Vec<usize> = outputs.filter(outside).collect();
        self.region.outputs.extend(outputs);
        self.region
    }
}
