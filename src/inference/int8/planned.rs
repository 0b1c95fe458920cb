//! Regions for one input shape, and networks that are nothing but one.

use super::compile::REGION;
use super::execute::{Arena, Sink, Source, run};
use super::onnx::{Attributes, Constants};
use super::plan::Plan;
use super::region::Region;
use crate::error::{Result, inference};
use crate::inference::proto::{GraphProto, NodeProto};
use ndarray::{ArrayD, IxDyn};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// A region with its plan, and the memory of runs that are not under way.
pub struct PlannedRegion {
    /// The region.
    pub region: Arc<Region>,
    /// Its plan.
    pub plan: Plan,
    arenas: Mutex<Vec<Arena>>,
}

impl PlannedRegion {
    /// A region for inputs of some shapes.
    pub fn new(region: Arc<Region>, shapes: &[Vec<usize>]) -> Result<Self> {
        Ok(Self { plan: Plan::new(&region, shapes)?, region, arenas: Mutex::default() })
    }

    /// Bytes of the buffers of runs that are not under way.
    pub fn activation_bytes(&self) -> usize {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Arena::bytes).sum()
    }

    /// Runs it.
    pub fn run(&self, inputs: &[Source<'_>], outputs: &mut [Sink<'_>]) -> Result<()> {
        let lock = || self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = lock().pop();
        let mut arena = spare.unwrap_or_else(|| Arena::new(&self.region, &self.plan));
        run(&self.region, &self.plan, &mut arena, inputs, outputs)?;
        lock().push(arena);
        Ok(())
    }
}

/// A region that is all of a network: floats in, floats out.
pub struct WholeNetwork {
    /// The region.
    pub planned: PlannedRegion,
    outputs: Vec<Output>,
}

/// An output of a network that is a region.
#[derive(Clone)]
pub struct Output {
    /// Which of the region's outputs it is.
    slot: usize,
    /// How its floats are arranged: by what follows the region.
    views: Vec<View>,
}

/// Another arrangement of the same floats in the same order.
#[derive(Clone)]
enum View {
    /// The same.
    Same,
    /// Transposed, though only along axes of length 1.
    Transposed(Vec<usize>),
    /// Of another shape, as ONNX's Reshape takes it.
    Reshaped(Vec<i64>),
    /// Of two dimensions: those before an axis, and the others.
    Flattened(usize),
}

impl WholeNetwork {
    /// A network that is a region, by [`whole_network`], for one input shape; `None` where the order of its floats would change.
    pub fn new(region: Arc<Region>, outputs: Vec<Output>, input_shape: &[usize]) -> Result<Option<Self>> {
        let network = Self { planned: PlannedRegion::new(region, &[input_shape.to_vec()])?, outputs };
        let arranged = network.outputs.iter().all(|output| network.shape(output).is_some());
        Ok(arranged.then_some(network))
    }

    fn shape(&self, output: &Output) -> Option<Vec<usize>> {
        let shape = self.planned.plan.output_shapes.get(output.slot)?.clone();
        output.views.iter().try_fold(shape, |shape, view| view.of(&shape))
    }

    /// Runs it; the outputs come in the file's order.
    pub fn run(&self, input: &[f32]) -> Result<Vec<ArrayD<f32>>> {
        let zeros = |shape: &Vec<usize>| ArrayD::zeros(IxDyn(shape));
        let mut outputs: Vec<ArrayD<f32>> = self.planned.plan.output_shapes.iter().map(zeros).collect();
        let sinks = outputs.iter_mut().filter_map(|y| y.as_slice_mut());
        let mut sinks: Vec<Sink<'_>> = sinks.map(Sink::Floats).collect();
        self.planned.run(&[Source::Floats(input)], &mut sinks)?;
        drop(sinks);
        let arranged = |output: &Output| {
            let values = std::mem::take(&mut outputs[output.slot]);
            let shape = self.shape(output).unwrap_or_else(|| values.shape().to_vec());
            values.into_shape_with_order(shape).map_err(inference)
        };
        self.outputs.iter().map(arranged).collect()
    }
}

impl View {
    /// Reads it from a node; `None` for one that is none.
    fn read(node: &NodeProto, constants: &Constants<'_>) -> Option<Self> {
        match (node.op_type.as_str(), node.input.as_slice()) {
            ("Identity", [_]) => Some(Self::Same),
            ("Transpose", [_]) => {
                let axes = node.ints("perm")?.iter().map(|&axis| usize::try_from(axis).ok());
                axes.collect::<Option<_>>().map(Self::Transposed)
            }
            ("Reshape", [_, shape]) if node.int("allowzero", 0) == 0 => constants.integers(shape).map(Self::Reshaped),
            ("Flatten", [_]) => usize::try_from(node.int("axis", 1)).ok().map(Self::Flattened),
            _ => None,
        }
    }

    /// The shape that another becomes; `None` where that does not go, or not without moving floats.
    fn of(&self, shape: &[usize]) -> Option<Vec<usize>> {
        match self {
            Self::Same => Some(shape.to_vec()),
            Self::Transposed(axes) => {
                let lengths = axes.iter().map(|&axis| shape.get(axis).copied()).collect::<Option<Vec<_>>>()?;
                let moved = axes.iter().zip(&lengths).filter(|&(_, &length)| length != 1);
                let mut all = axes.clone();
                all.sort_unstable();
                (all.iter().copied().eq(0..shape.len()) && moved.map(|(axis, _)| axis).is_sorted()).then_some(lengths)
            }
            Self::Reshaped(target) => {
                // 0: as it is; -1: what is left.
                let stated = target.iter().enumerate().map(|(i, &length)| match length {
                    0 => shape.get(i).copied().map(Some),
                    -1 => Some(None),
                    length => usize::try_from(length).ok().map(Some),
                });
                let stated = stated.collect::<Option<Vec<Option<usize>>>>()?;
                let all: usize = shape.iter().product();
                // The file's numbers may be any.
                let known = stated.iter().flatten().try_fold(1usize, |known, &length| known.checked_mul(length))?;
                let left = all.checked_div(known)?;
                let free = stated.iter().filter(|length| length.is_none()).count();
                let fits = free <= 1 && known.checked_mul(if free == 1 { left } else { 1 }) == Some(all);
                fits.then(|| stated.into_iter().map(|length| length.unwrap_or(left)).collect())
            }
            Self::Flattened(axis) => {
                let (before, after) = shape.split_at_checked(*axis)?;
                Some(vec![before.iter().product(), after.iter().product()])
            }
        }
    }
}

/// The outputs of a compiled graph that consists of one region and of nothing else but, after it, what only arranges floats
/// anew; `None` of others.
pub fn whole_network(graph: &GraphProto, regions: &[Arc<Region>]) -> Option<Vec<Output>> {
    let [region] = regions else { return None };
    let mut inputs = graph.input.iter().filter(|input| !graph.initializer.iter().any(|t| t.name == input.name));
    let (Some(input), None) = (inputs.next(), inputs.next()) else { return None };
    if region.inputs.iter().chain(&region.outputs).any(|&value| region.is_wire(value)) {
        return None;
    }
    let mut seen = HashSet::new();
    let outputs = graph.output.iter().map(|value| trace(graph, &input.name, &value.name, &mut seen));
    let outputs = outputs.collect::<Option<Vec<_>>>()?;
    let nodes: HashSet<usize> = seen.into_iter().map(|(at, _)| at).collect();
    let others = graph.node.iter().enumerate().filter(|(at, _)| !nodes.contains(at));
    others.map(|(_, node)| node).all(|node| node.op_type == "Constant").then_some(outputs)
}

/// Follows a value back to the region that reads `input`; `seen`: nodes on the way, and what they made.
fn trace<'a>(
    graph: &'a GraphProto,
    input: &str,
    mut name: &'a str,
    seen: &mut HashSet<(usize, &'a str)>,
) -> Option<Output> {
    let constants = Constants::new(graph);
    let mut views = Vec::new();
    loop {
        let (at, node) = graph.node.iter().enumerate().find(|(_, node)| node.output.iter().any(|o| o == name))?;
        // Each value is handed out once, and no graph goes in circles.
        if !seen.insert((at, name)) {
            return None;
        }
        if node.op_type == REGION {
            views.reverse();
            let slot = node.output.iter().position(|output| output == name)?;
            return (node.input == [input]).then_some(Output { slot, views });
        }
        views.push(View::read(node, &constants)?);
        name = node.input.first()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_never_move_a_float() {
        let shape = |view: View| view.of(&[2, 192, 1, 1]);
        assert_eq!(shape(View::Transposed(vec![0, 2, 3, 1])), Some(vec![2, 1, 1, 192]));
        for axes in [vec![1, 0, 2, 3], vec![0, 1, 2], vec![0, 1, 2, 2], vec![0, 1, 2, 4]] {
            assert_eq!(shape(View::Transposed(axes.clone())), None, "{axes:?}");
        }
        assert_eq!(shape(View::Reshaped(vec![0, -1])), Some(vec![2, 192]));
        assert_eq!(shape(View::Reshaped(vec![-1, 64])), Some(vec![6, 64]));
        let large = 1 << 40;
        for target in [
            vec![large, large],
            vec![large << 8, large],
            vec![-1, -1],
            vec![3, 100],
            vec![-1, 100],
            vec![-2, 192],
            vec![0, 0, 0, 0, 0],
        ] {
            assert_eq!(shape(View::Reshaped(target.clone())), None, "{target:?}");
        }
        assert_eq!(shape(View::Flattened(1)), Some(vec![2, 192]));
        assert_eq!(shape(View::Flattened(5)), None);
    }
}
