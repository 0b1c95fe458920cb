//! ONNX QLinearConv for tract, executed by [`Conv`].
//!
//! Registered over tract's own builder, which computes the same thing through
//! im2col, a 32-bit matrix product and separate requantization passes, group by
//! group: slower than the float model it came from.
//!
//! The typed op works on NHWC. Its builder wires the axis moves around it, and
//! tract's optimizer cancels those that meet.

use super::conv::{Activation, Conv, ConvParams, Geometry};
use super::fuse::QLINEAR_CONV_PRELU;
use super::kernels::Isa;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

/// Puts our QLinearConv in the place of tract's.
pub fn register(onnx: &mut tract_onnx::model::Onnx) {
    onnx.op_register.insert("QLinearConv", |_, node| build(node, false));
    onnx.op_register.insert(QLINEAR_CONV_PRELU, |_, node| build(node, true));
}

fn build(node: &NodeProto, activation: bool) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let pair = |name: &str, default: usize| -> TractResult<[usize; 2]> {
        Ok(match node.get_attr_opt_vec::<i64>(name)? {
            None => [default; 2],
            Some(v) if v.len() == 2 && v.iter().all(|&v| v >= 0) => [v[0] as usize, v[1] as usize],
            Some(v) => bail!("QLinearConv: {name} = {v:?}, expected two values of a 2-D convolution"),
        })
    };
    let auto_pad = node.get_attr_opt::<&str>("auto_pad")?.unwrap_or("NOTSET");
    ensure!(matches!(auto_pad, "NOTSET" | "VALID"), "QLinearConv: auto_pad {auto_pad} is not supported");
    let pads = node.get_attr_opt_vec::<i64>("pads")?.unwrap_or_else(|| vec![0; 4]);
    ensure!(pads.len() == 4 && pads.iter().all(|&p| p >= 0), "QLinearConv: pads = {pads:?}");
    Ok((
        expand(QLinearConv {
            stride: pair("strides", 1)?,
            dilation: pair("dilations", 1)?,
            pad_before: [pads[0] as usize, pads[1] as usize],
            pad_after: [pads[2] as usize, pads[3] as usize],
            groups: node.get_attr_opt::<i64>("group")?.unwrap_or(1) as usize,
            bias: node.input.len() - if activation { 3 } else { 0 } == 9,
            activation,
        }),
        vec![],
    ))
}

/// The ONNX node, before its inputs are known to be constants.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct QLinearConv {
    stride: [usize; 2],
    dilation: [usize; 2],
    pad_before: [usize; 2],
    pad_after: [usize; 2],
    groups: usize,
    bias: bool,
    /// Slope, output scale and output zero point of a PReLU follow the other inputs.
    activation: bool,
}

impl QLinearConv {
    /// Position of the activation's first input.
    fn activation_input(&self) -> usize {
        if self.bias { 9 } else { 8 }
    }

    fn geometry(&self, kernel: [usize; 2]) -> Geometry {
        Geometry {
            kernel,
            stride: self.stride,
            dilation: self.dilation,
            pad_before: self.pad_before,
            pad_after: self.pad_after,
        }
    }
}

/// Input positions of the ONNX operator.
mod input {
    pub const X: usize = 0;
    pub const X_SCALE: usize = 1;
    pub const X_ZERO: usize = 2;
    pub const W: usize = 3;
    pub const W_SCALE: usize = 4;
    pub const W_ZERO: usize = 5;
    pub const Y_SCALE: usize = 6;
    pub const Y_ZERO: usize = 7;
    pub const BIAS: usize = 8;
}

impl Expansion for QLinearConv {
    fn name(&self) -> StaticName {
        "QLinearConv".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> TractResult<()> {
        check_input_arity(inputs, self.activation_input() + if self.activation { 3 } else { 0 })?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, &inputs[input::Y_ZERO].datum_type)?;
        s.given_2(&inputs[input::X].shape, &inputs[input::W].shape, move |s, x, w| {
            ensure!(x.len() == 4 && w.len() == 4, "QLinearConv: only 2-D convolutions, got {x:?} and {w:?}");
            let size = |t: &[TDim]| -> TractResult<[usize; 2]> { Ok([t[2].to_usize()?, t[3].to_usize()?]) };
            let [h, w_out] = self.geometry(size(&w)?).output(size(&x)?)?;
            s.equals(&outputs[0].shape, tvec![x[0].clone(), w[0].clone(), h.to_dim(), w_out.to_dim()])
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let constant = |i: usize| -> TractResult<Arc<Tensor>> {
            model.outlet_fact(inputs[i])?.konst.clone().with_context(|| format!("QLinearConv: input {i} varies"))
        };
        let floats = |i: usize| -> TractResult<Vec<f32>> { as_vec(constant(i)?.as_ref()) };
        let ints = |i: usize| -> TractResult<Vec<i32>> { as_vec(constant(i)?.as_ref()) };
        let signed = match model.outlet_fact(inputs[input::X])?.datum_type.unquantized() {
            DatumType::U8 => false,
            DatumType::I8 => true,
            other => bail!("QLinearConv: input of type {other:?}"),
        };
        let (x_scale, y_scale) = (single(&floats(input::X_SCALE)?)?, single(&floats(input::Y_SCALE)?)?);
        let byte = |zero: i32| u8::try_from(zero + if signed { 128 } else { 0 });
        let (x_zero, y_zero) = (byte(single(&ints(input::X_ZERO)?)?)?, byte(single(&ints(input::Y_ZERO)?)?)?);
        ensure!(
            ints(input::W_ZERO)?.iter().all(|&z| z == 0),
            "QLinearConv: asymmetric weights (zero point other than 0) are not supported"
        );
        let w = constant(input::W)?;
        ensure!(w.datum_type().unquantized() == DatumType::I8, "QLinearConv: weights of type {:?}", w.datum_type());
        let (out_channels, in_group) = (w.shape()[0], w.shape()[1]);
        let w_scale = floats(input::W_SCALE)?;
        ensure!(w_scale.len() == 1 || w_scale.len() == out_channels, "QLinearConv: {} weight scales", w_scale.len());
        let scale: Vec<f32> = (0..out_channels).map(|c| x_scale * w_scale[c % w_scale.len()] / y_scale).collect();
        let (slope, z_scale, z_zero) = if self.activation {
            let first = self.activation_input();
            let slope = floats(first)?;
            ensure!(slope.len() == 1 || slope.len() == out_channels, "QLinearConvPRelu: {} slopes", slope.len());
            let slope = (0..out_channels).map(|c| slope[c % slope.len()]).collect();
            (slope, single(&floats(first + 1)?)?, byte(single(&ints(first + 2)?)?)?)
        } else {
            (vec![], 1.0, 0)
        };
        let activation = self.activation.then_some(Activation { slope: &slope, y_scale, z_scale, z_zero });
        let params = ConvParams {
            geometry: self.geometry([w.shape()[2], w.shape()[3]]),
            groups: self.groups,
            in_channels: in_group * self.groups,
            out_channels,
            weights: &as_vec::<i8>(&w)?,
            bias: &if self.bias { ints(input::BIAS)? } else { vec![] },
            scale: &scale,
            x_zero,
            y_zero,
            signed,
            activation,
        };
        let op = QLinearConvNhwc(Arc::new(Conv::new(Isa::best(), &params)?));
        let x = model.wire_node(format!("{prefix}.nhwc"), AxisOp::Move(1, 3), &[inputs[input::X]])?;
        let y = model.wire_node(format!("{prefix}.conv"), op, &x)?;
        model.wire_node(prefix, AxisOp::Move(3, 1), &y)
    }
}

fn as_vec<T: Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<T>> {
    Ok(tensor.cast_to::<T>()?.to_plain_array_view::<T>()?.iter().copied().collect())
}

fn single<T: Copy>(values: &[T]) -> TractResult<T> {
    match values {
        [one] => Ok(*one),
        many => bail!("QLinearConv: expected one scale or zero point per tensor, got {}", many.len()),
    }
}

/// The packed convolution as a tract op: NHWC bytes to NHWC bytes.
#[derive(Debug, Clone)]
struct QLinearConvNhwc(Arc<Conv>);

// tract compares and hashes ops to share equal nodes; the packed weights make
// every convolution its own.
impl PartialEq for QLinearConvNhwc {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for QLinearConvNhwc {}
impl Hash for QLinearConvNhwc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Op for QLinearConvNhwc {
    fn name(&self) -> StaticName {
        "QLinearConvNhwc".into()
    }
    op_as_typed_op!();
}

impl TypedOp for QLinearConvNhwc {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = inputs[0].shape.as_concrete().context("QLinearConv needs a concrete input shape")?;
        let [h, w] = self.0.output([shape[1], shape[2]])?;
        Ok(tvec!(inputs[0].datum_type.fact([shape[0], h, w, self.0.out_channels()])))
    }
    as_op!();
}

impl EvalOp for QLinearConvNhwc {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let x = &inputs[0];
        let (n, input) = (x.shape()[0], [x.shape()[1], x.shape()[2]]);
        let [h, w] = self.0.output(input)?;
        let mut y = Tensor::zero_dt(x.datum_type(), &[n, h, w, self.0.out_channels()])?;
        let (x_len, y_len) = (x.len() / n, y.len() / n);
        for (x, y) in x.as_bytes().chunks_exact(x_len).zip(y.as_bytes_mut().chunks_exact_mut(y_len)) {
            self.0.run(x, input, y)?;
        }
        Ok(tvec!(y.into_tvalue()))
    }
}
