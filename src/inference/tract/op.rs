//! Regions as tract operators.

use crate::inference::int8::compile::REGION;
use crate::inference::int8::execute::{Sink, Source};
use crate::inference::int8::planned::PlannedRegion;
use crate::inference::int8::region::Region;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::tract_hir::infer::InferenceModel;
use tract_onnx::tract_hir::internal::*;

/// Lets a graph with region nodes be parsed.
pub fn register(onnx: &mut tract_onnx::Onnx) {
    onnx.op_register.insert(REGION, |_, node| {
        let index = node.get_attr::<usize>("index")?;
        Ok((expand(Placeholder { index, outputs: node.output.len() }), vec![]))
    });
}

/// Puts the regions in the place of their nodes. (tract's builders are plain functions,
/// which cannot hold a region.)
pub fn insert(model: &mut InferenceModel, regions: &[Arc<Region>]) -> TractResult<()> {
    for node in &mut model.nodes {
        let expanded = node.op_as::<Box<dyn Expansion>>();
        if let Some(placeholder) = expanded.and_then(|e| e.as_ref().as_any().downcast_ref::<Placeholder>()) {
            let region = regions.get(placeholder.index).context("a region is missing")?;
            node.op = expand(RegionNode(region.clone()));
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct Placeholder {
    index: usize,
    outputs: usize,
}

impl Expansion for Placeholder {
    fn name(&self) -> StaticName {
        REGION.into()
    }
    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs)
    }
    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        _: &mut Solver<'r>,
        _: &'p [TensorProxy],
        _: &'p [TensorProxy],
    ) -> TractResult<()> {
        Ok(())
    }
    fn wire(&self, _: &str, _: &mut TypedModel, _: &[OutletId]) -> TractResult<TVec<OutletId>> {
        bail!("region {} was not inserted", self.index)
    }
}

/// A region before its input shapes are known.
#[derive(Debug, Clone)]
struct RegionNode(Arc<Region>);

// tract compares and hashes operators to share equal nodes; every region is its own.
impl PartialEq for RegionNode {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for RegionNode {}
impl Hash for RegionNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Expansion for RegionNode {
    fn name(&self) -> StaticName {
        REGION.into()
    }
    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.0.outputs.len())
    }
    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> TractResult<()> {
        let values = inputs.iter().zip(&self.0.inputs).chain(outputs.iter().zip(&self.0.outputs));
        for (proxy, &value) in values {
            solver.equals(&proxy.datum_type, datum_type(&self.0, value))?;
        }
        solver.given_all(inputs.iter().map(|i| &i.shape), move |solver, shapes| {
            let concrete = |s: &TVec<TDim>| s.iter().map(|d| Ok(d.to_usize()?)).collect::<TractResult<Vec<usize>>>();
            let shapes = shapes.iter().map(concrete).collect::<TractResult<Vec<_>>>()?;
            for (output, shape) in outputs.iter().zip(self.0.output_shapes(&shapes)?) {
                solver.equals(&output.shape, shape.iter().map(ToDim::to_dim).collect::<TVec<TDim>>())?;
            }
            Ok(())
        })
    }
    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let shape = |&i: &OutletId| -> TractResult<Vec<usize>> {
            Ok(model.outlet_fact(i)?.shape.as_concrete().context("a region needs concrete shapes")?.to_vec())
        };
        let shapes = inputs.iter().map(shape).collect::<TractResult<Vec<_>>>()?;
        let planned = PlannedRegion::new(self.0.clone(), &shapes)?;
        model.wire_node(prefix, RegionOp(Arc::new(planned)), inputs)
    }
}

fn datum_type(region: &Region, value: usize) -> DatumType {
    if region.is_wire(value) { u8::datum_type() } else { f32::datum_type() }
}

/// The operator that tract runs.
#[derive(Clone)]
pub struct RegionOp(pub Arc<PlannedRegion>);

impl std::fmt::Debug for RegionOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "region of {} steps", self.0.plan.steps.len())
    }
}
impl PartialEq for RegionOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for RegionOp {}
impl Hash for RegionOp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Op for RegionOp {
    fn name(&self) -> StaticName {
        REGION.into()
    }
    op_as_typed_op!();
}

impl TypedOp for RegionOp {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let PlannedRegion { region, plan, .. } = &*self.0;
        let outputs = plan.output_shapes.iter().zip(&region.outputs);
        Ok(outputs.map(|(shape, &value)| datum_type(region, value).fact(shape)).collect())
    }
    as_op!();
}

impl EvalOp for RegionOp {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let PlannedRegion { region, plan, .. } = &*self.0;
        let inputs = inputs.iter().map(source).collect::<TractResult<TVec<Source<'_>>>>()?;
        let shapes = plan.output_shapes.iter().zip(&region.outputs);
        let zeros = shapes.map(|(shape, &value)| Tensor::zero_dt(datum_type(region, value), shape));
        let mut outputs = zeros.collect::<TractResult<TVec<Tensor>>>()?;
        let mut sinks = outputs.iter_mut().map(sink).collect::<TractResult<TVec<Sink<'_>>>>()?;
        self.0.run(&inputs, &mut sinks)?;
        drop(sinks);
        Ok(outputs.into_iter().map(Tensor::into_tvalue).collect())
    }
}

fn source(t: &TValue) -> TractResult<Source<'_>> {
    Ok(if t.datum_type() == u8::datum_type() {
        Source::Bytes(t.to_plain_array_view::<u8>()?.to_slice().context("a strided input")?)
    } else {
        Source::Floats(t.to_plain_array_view::<f32>()?.to_slice().context("a strided input")?)
    })
}

fn sink(t: &mut Tensor) -> TractResult<Sink<'_>> {
    Ok(if t.datum_type() == u8::datum_type() {
        Sink::Bytes(t.to_plain_array_view_mut::<u8>()?.into_slice().context("a strided output")?)
    } else {
        Sink::Floats(t.to_plain_array_view_mut::<f32>()?.into_slice().context("a strided output")?)
    })
}
