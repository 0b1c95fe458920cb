//! Islands in the graph: a float value followed back to where it was dequantized.

use super::execute::MOST_LEAVES;
use super::island::{Island, IslandOutput, LeafKind, Operation};
use super::onnx::{Attributes, Constants};
use super::recognize::{Context, Reader};
use crate::inference::proto::NodeProto;

/// Nodes between a value and its leaves.
const MOST_DEPTH: usize = 16;

/// Follows a float value back to where it was dequantized.
pub struct Trace<'a> {
    context: &'a Context<'a>,
    inputs: Vec<String>,
    leaves: Vec<LeafKind>,
    operations: Vec<Operation>,
}

impl<'a> Trace<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        Self { context, inputs: vec![], leaves: vec![], operations: vec![] }
    }

    /// The arithmetic that makes `value`, if there is any that islands know, and it is
    /// not nested too deeply.
    pub fn of(value: &str, context: &'a Context<'a>) -> Option<Self> {
        let mut trace = Self::new(context);
        let followed = trace.follow(value, MOST_DEPTH) && trace.inputs.len() <= MOST_LEAVES;
        let gained = trace.operations.len() > 1 || matches!(trace.leaves.as_slice(), [LeafKind::Bytes(_)]);
        (followed && gained).then_some(trace)
    }

    /// `value` itself, as floats.
    pub fn leaf(value: &str, context: &'a Context<'a>) -> Self {
        let mut trace = Self::new(context);
        trace.push(value, LeafKind::Floats);
        trace
    }

    /// Names of the leaves, and the island.
    pub fn into_island(self, output: IslandOutput) -> (Vec<String>, Island) {
        (self.inputs, Island { leaves: self.leaves, operations: self.operations, output })
    }

    fn push(&mut self, value: &str, kind: LeafKind) {
        self.operations.push(Operation::Leaf(self.leaves.len()));
        self.inputs.push(value.into());
        self.leaves.push(kind);
    }

    /// Adds the operations that make `value`; false when it is nested too deeply.
    fn follow(&mut self, value: &str, depth: usize) -> bool {
        let Some(node) = self.context.producers.get(value) else {
            self.push(value, LeafKind::Floats);
            return true;
        };
        if depth == 0 || self.inputs.len() > MOST_LEAVES {
            return false;
        }
        let reader = Reader { node, context: self.context };
        if node.op_type == "DequantizeLinear"
            && reader.is_bytes(0)
            && let Ok((quantization, _)) = reader.quantization(1, 2)
        {
            self.push(&node.input[0], LeafKind::Bytes(quantization));
            return true;
        }
        match self.operation(node) {
            Some((operation, operands)) => {
                let followed = operands.iter().all(|operand| self.follow(operand, depth - 1));
                self.operations.push(operation);
                followed
            }
            _ => {
                self.push(value, LeafKind::Floats);
                true
            }
        }
    }

    /// What a float node computes of which operands, if it is one that islands know.
    fn operation<'n>(&self, node: &'n NodeProto) -> Option<(Operation, Vec<&'n str>)> {
        let constants = self.context.constants;
        let input = |i: usize| node.input.get(i).map(String::as_str).filter(|n| !n.is_empty());
        let x = input(0)?;
        let per_channel = |i: usize| input(i).and_then(|name| channel_values(constants, name));
        let operation = match node.op_type.as_str() {
            "Relu" => Operation::Prelu(vec![0.0]),
            "LeakyRelu" => Operation::Prelu(vec![node.float("alpha", 0.01)]),
            "PRelu" => Operation::Prelu(per_channel(1)?),
            "Sigmoid" => Operation::Sigmoid,
            "Clip" => {
                let limit = |i: usize, name: &str, default: f32| match input(i) {
                    Some(name) => constants.float(name),
                    None => Some(node.float(name, default)),
                };
                Operation::Clip(limit(1, "min", f32::MIN)?, limit(2, "max", f32::MAX)?)
            }
            "BatchNormalization" if node.output.len() == 1 => {
                let values = |i: usize| input(i).and_then(|name| constants.floats(name));
                let (gamma, beta, mean, variance) = (values(1)?, values(2)?, values(3)?, values(4)?);
                let same = [&beta, &mean, &variance].iter().all(|v| v.len() == gamma.len());
                let epsilon = node.float("epsilon", 1e-5);
                let factor: Vec<f32> =
                    gamma.iter().zip(&variance).map(|(g, v)| g * (1.0 / (v + epsilon).sqrt())).collect();
                let term = beta.iter().zip(&mean).zip(&factor).map(|((b, m), f)| b - m * f).collect();
                same.then_some(Operation::Affine(factor, term))?
            }
            "Add" | "Mul" => {
                let other = input(1)?;
                let add = node.op_type == "Add";
                for (x, parameter) in [(x, other), (other, x)] {
                    if constants.contains(parameter) {
                        let values = channel_values(constants, parameter)?;
                        let operation = match add {
                            true => Operation::Affine(vec![1.0], values),
                            false => Operation::Affine(values, vec![0.0]),
                        };
                        return Some((operation, vec![x]));
                    }
                }
                return Some((if add { Operation::Add } else { Operation::Mul }, vec![x, other]));
            }
            _ => return None,
        };
        Some((operation, vec![x]))
    }
}

/// A parameter that is one number, or one per channel of pictures (`C × 1 × 1`).
fn channel_values(constants: &Constants<'_>, name: &str) -> Option<Vec<f32>> {
    let values = constants.floats(name)?;
    let shape = constants.shape(name)?;
    let per_channel = matches!(shape.as_slice(), [_, 1, 1] | [1, _, 1, 1]);
    (values.len() == 1 || per_channel).then_some(values)
}
