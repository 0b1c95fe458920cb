//! What stands for tract in builds without it: nothing runs, and the error says what would have to.

use super::int8::compile::REGION;
use super::int8::planned::PlannedRegion;
use super::int8::region::Region;
use super::proto::ModelProto;
use crate::error::{Error, Result};
use ndarray::ArrayD;
use std::sync::Arc;

/// No network is in tract's hands.
pub enum Tract {}

impl Tract {
    /// The error.
    pub fn new(proto: &ModelProto, regions: &[Arc<Region>], _: &[usize]) -> Result<Self> {
        let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
        let float: Vec<&str> = nodes.map(|node| node.op_type.as_str()).filter(|&op| op != REGION).collect();
        Err(Error::Model(format!(
            "this build has no tract, and so runs networks that are quantized from input to output: this one has {} quantized \
             parts and {} nodes in float ({})",
            regions.len(),
            float.len(),
            float[..float.len().min(5)].join(", ")
        )))
    }

    /// There are none.
    pub fn regions(&self) -> Vec<&PlannedRegion> {
        match *self {}
    }

    /// There is nothing to run.
    pub fn run(&self, _: &[usize], _: &[f32]) -> Result<Vec<ArrayD<f32>>> {
        match *self {}
    }
}

/// There are none.
pub fn register_kernels() {}
