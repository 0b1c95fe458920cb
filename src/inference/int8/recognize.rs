//! From ONNX nodes to steps: which nodes over quantized values we compute ourselves.

use super::conv::{Conv, ConvOutput, ConvParams};
use super::float_conv::{FloatConv, Kind};
use super::geometry::Geometry;
use super::island::{Island, IslandOutput, LeafKind, Operation, Quantization, sigmoid};
use super::kernels::{Isa, Prelu};
use super::onnx::{Attributes, Constants, data_type};
use super::pool::AveragePool;
use super::region::{Op, ResizeTo};
use super::trace::Trace;
use crate::error::Result;
use crate::inference::proto::NodeProto;
use std::collections::{HashMap, HashSet};

/// A node that becomes a step.
#[derive(Clone, Debug)]
pub struct Recognized {
    /// Names of the values it reads; for an island those of its leaves.
    pub inputs: Vec<String>,
    /// Name of the value it makes.
    pub output: String,
    /// What it makes: bytes, and whether the model calls them signed, or floats.
    pub bytes: Option<Sign>,
    /// What it computes.
    pub spec: Spec,
}

impl Recognized {
    /// Whether it makes floats that stay in its region.
    pub fn makes_floats(&self) -> bool {
        matches!(&self.spec, Spec::Op(op) if op.makes_floats())
    }
}

/// Type of quantized values in the model. We keep both as `u8`, signed ones 128 higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `uint8`.
    Unsigned,
    /// `int8`.
    Signed,
}

/// What a recognized node computes.
#[derive(Clone, Debug)]
pub enum Spec {
    /// Ready.
    Op(Op),
    /// A convolution or dense layer whose weights are packed when it is known what follows.
    Conv(Box<ConvSpec>),
}

/// A convolution or dense layer before packing.
#[derive(Clone, Debug)]
pub struct ConvSpec {
    geometry: Geometry,
    groups: usize,
    in_channels: usize,
    weights: Vec<i8>,
    bias: Vec<i32>,
    x: Quantization,
    w_scale: Vec<f32>,
    /// Quantization of the output; `None` for floats.
    y: Option<Quantization>,
    /// Slopes of a PReLU after it and the quantization after that.
    prelu: Option<(Vec<f32>, Quantization)>,
    dense: bool,
}

impl ConvSpec {
    /// Takes over a PReLU that is the only thing done with the output before the next
    /// quantization; `false` if it does not fit.
    pub fn fuse(&mut self, island: &Island) -> bool {
        let [Operation::Leaf(0), Operation::Prelu(slope)] = island.operations.as_slice() else { return false };
        let channels = self.w_scale.len();
        let [LeafKind::Bytes(leaf)] = island.leaves.as_slice() else { return false };
        let IslandOutput::Bytes(output) = island.output else { return false };
        let fits = (slope.len() == 1 || slope.len() == channels) && self.y == Some(*leaf) && self.prelu.is_none();
        if fits {
            let slope = (0..channels).map(|c| slope[c % slope.len()]).collect();
            self.prelu = Some((slope, output));
        }
        fits
    }

    /// Packs the weights.
    pub fn pack(&self, isa: Isa) -> Result<Op> {
        let y_scale = self.y.map_or(1.0, |y| y.scale);
        let scale: Vec<f32> = self.w_scale.iter().map(|w| self.x.scale * w / y_scale).collect();
        let output = match self.y {
            None => ConvOutput::Floats,
            Some(y) => {
                let prelu = self.prelu.as_ref().map(|(slope, z)| Prelu {
                    slope,
                    y_scale: y.scale,
                    z_scale: z.scale,
                    z_zero: z.zero,
                });
                ConvOutput::Bytes { zero: y.zero, prelu }
            }
        };
        let params = ConvParams {
            geometry: self.geometry.clone(),
            groups: self.groups,
            in_channels: self.in_channels,
            out_channels: self.w_scale.len(),
            weights: &self.weights,
            bias: &self.bias,
            scale: &scale,
            x_zero: self.x.zero,
            output,
        };
        let conv = Box::new(Conv::new(isa, &params)?);
        Ok(Op::Conv { conv, dense: self.dense, floats: self.y.is_none(), x_zero: self.x.zero })
    }
}

/// What is known about a graph while its nodes are looked at in order.
pub struct Context<'a> {
    /// Its constants.
    pub constants: &'a Constants<'a>,
    /// The node that makes a value.
    pub producers: &'a HashMap<&'a str, &'a NodeProto>,
    /// Quantized values made so far.
    pub bytes: HashMap<&'a str, Sign>,
    /// Thin float convolutions, by the value that they make.
    pub float_convs: HashMap<&'a str, FloatConv>,
    /// Float values that they read.
    pub read_by_float_conv: HashSet<&'a str>,
}

/// The convolution of a float node if it is thin enough to be one of ours.
pub fn float_convolution(node: &NodeProto, constants: &Constants<'_>) -> Option<FloatConv> {
    let shape = constants.shape(node.input.get(1)?)?;
    let weights = constants.floats(&node.input[1])?;
    let bias = match node.input.get(2).filter(|b| !b.is_empty()) {
        Some(bias) => constants.floats(bias)?,
        None => vec![],
    };
    let &[first, second, h, w] = shape.as_slice() else { return None };
    let taps = h.checked_mul(w)?;
    let mut geometry = geometry(node).ok()?;
    if node.ints("kernel_shape").is_some() && geometry.kernel != [h, w] {
        return None;
    }
    geometry.kernel = [h, w];
    let group = usize::try_from(node.int("group", 1)).ok()?;
    match node.op_type.as_str() {
        "Conv" if group == 1 => {
            FloatConv::new(Kind::Full, geometry, second, first, &bias, |o, i, t| weights[(o * second + i) * taps + t])
        }
        "Conv" if group == first && second == 1 => {
            FloatConv::new(Kind::Depthwise, geometry, first, first, &bias, |o, _, t| weights[o * taps + t])
        }
        "ConvTranspose" if group == 1 => {
            let plain = node.attribute("output_padding").is_none() && node.attribute("output_shape").is_none();
            let apart = geometry.stride == [h, w] && geometry.dilation == [1, 1] && geometry.border() == 0;
            if !plain || !apart {
                return None;
            }
            FloatConv::new(Kind::Upsample, geometry, first, second, &bias, |o, i, t| {
                weights[(i * second + o) * taps + t]
            })
        }
        _ => None,
    }
}

/// Windows of a convolution or pooling.
fn geometry(node: &NodeProto) -> Found<Geometry> {
    let pair = |name: &str, default: usize| -> Found<[usize; 2]> {
        match node.ints(name) {
            None => Ok([default; 2]),
            Some(&[y, x]) if (0..=4096).contains(&y) && (0..=4096).contains(&x) => Ok([y as usize, x as usize]),
            Some(other) => Err(format!("{name} = {other:?}, expected two values")),
        }
    };
    let auto_pad = node.text("auto_pad", "NOTSET");
    if !matches!(auto_pad.as_str(), "NOTSET" | "VALID") || node.int("ceil_mode", 0) != 0 {
        return Err(format!("auto_pad {auto_pad} or ceil_mode"));
    }
    let pads = match node.ints("pads") {
        Some(pads) if pads.len() == 4 && pads.iter().all(|p| (0..=1024).contains(p)) => pads.to_vec(),
        None => vec![0; 4],
        Some(other) => return Err(format!("pads = {other:?}")),
    };
    let pads: Vec<usize> = pads.iter().map(|&p| if auto_pad == "VALID" { 0 } else { p as usize }).collect();
    let geometry = Geometry {
        kernel: pair("kernel_shape", 1)?,
        stride: pair("strides", 1)?,
        dilation: pair("dilations", 1)?,
        pad_before: [pads[0], pads[1]],
        pad_after: [pads[2], pads[3]],
    };
    let zero = |v: [usize; 2]| v.contains(&0);
    match zero(geometry.kernel) || zero(geometry.stride) || zero(geometry.dilation) {
        true => Err("a kernel, stride or dilation of 0".into()),
        false => Ok(geometry),
    }
}

/// Why a node is not recognized.
pub type Reason = String;

/// `Ok(None)` for a node over floats, the reason for one over quantized values that we
/// do not compute.
pub fn recognize(node: &NodeProto, context: &Context<'_>) -> std::result::Result<Option<Recognized>, Reason> {
    let reader = Reader { node, context };
    if let [output] = node.output.as_slice()
        && context.read_by_float_conv.contains(output.as_str())
        && let Some(recognized) = reader.float_island(output)
    {
        return Ok(Some(recognized));
    }
    if let [output] = node.output.as_slice()
        && let Some(conv) = context.float_convs.get(output.as_str())
    {
        let spec = Spec::Op(Op::FloatConv(conv.clone()));
        let inputs = vec![node.input[0].clone()];
        return Ok(Some(Recognized { inputs, output: output.clone(), bytes: None, spec }));
    }
    if node.op_type == "Sigmoid"
        && let Some((bytes, from)) = reader.dequantized()
    {
        let op = Op::Dequantize { from, sigmoid: true };
        return reader.found(vec![bytes.into()], None, Spec::Op(op)).map(Some);
    }
    let recognized = match node.op_type.as_str() {
        "QuantizeLinear" => reader.quantize(),
        "DequantizeLinear" if !reader.is_bytes(0) => return Ok(None),
        "DequantizeLinear" => {
            let (from, _) = reader.quantization(1, 2)?;
            reader.step(&[0], None, Op::Dequantize { from, sigmoid: false })
        }
        "QLinearConv" => reader.convolution(),
        "QGemm" | "QLinearMatMul" => reader.dense(),
        "QLinearAdd" => reader.binary(Operation::Add),
        "QLinearMul" => reader.binary(Operation::Mul),
        "QLinearSigmoid" => reader.table(sigmoid),
        "QLinearLeakyRelu" => {
            let alpha = node.float("alpha", 0.01);
            reader.table(move |v| if v < 0.0 { v * alpha } else { v })
        }
        "QLinearGlobalAveragePool" | "QLinearAveragePool" => reader.average_pool(),
        "QLinearConcat" => reader.concat_requantized(),
        // The others work on floats unless what they read is quantized.
        _ if !node.input.iter().any(|i| context.bytes.contains_key(i.as_str())) => return Ok(None),
        "MaxPool" => geometry(node).and_then(|g| reader.moved(Op::MaxPool(g))),
        "Concat" => {
            let tables = vec![None; node.input.len()];
            let inputs: Vec<usize> = (0..node.input.len()).collect();
            let sign = reader.sign(0)?;
            reader.step(&inputs, Some(sign), Op::Concat { axis: node.int("axis", 0), tables })
        }
        "Resize" | "Upsample" => reader.resize().and_then(|to| reader.moved(Op::Resize(to))),
        "Transpose" => match node.ints("perm").map(|p| p.iter().map(|&a| usize::try_from(a)).collect()) {
            Some(Ok(axes)) => reader.moved(Op::Transpose(axes)),
            _ => Err("no axes".into()),
        },
        "Reshape" => match node.input.get(1).and_then(|shape| context.constants.integers(shape)) {
            Some(shape) if node.int("allowzero", 0) == 0 => reader.moved(Op::Reshape(shape)),
            _ => Err("a shape that is computed".into()),
        },
        "Flatten" => reader.moved(Op::Flatten(node.int("axis", 1))),
        other => Err(format!("{other} of quantized values is not computed in INT8")),
    };
    recognized.map(Some)
}

/// One node, with what is known around it.
pub struct Reader<'a> {
    /// The node.
    pub node: &'a NodeProto,
    /// What is around it.
    pub context: &'a Context<'a>,
}

type Found<T> = std::result::Result<T, Reason>;

impl<'a> Reader<'a> {
    fn input(&self, index: usize) -> Option<&'a str> {
        self.node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Whether an input is quantized.
    pub fn is_bytes(&self, index: usize) -> bool {
        self.input(index).is_some_and(|name| self.context.bytes.contains_key(name))
    }

    fn sign(&self, index: usize) -> Found<Sign> {
        let sign = self.input(index).and_then(|name| self.context.bytes.get(name));
        sign.copied().ok_or_else(|| "an input that is not quantized by a node before it".into())
    }

    fn step(&self, inputs: &[usize], bytes: Option<Sign>, op: Op) -> Found<Recognized> {
        for &input in inputs {
            self.sign(input)?;
        }
        let names = inputs.iter().filter_map(|&i| self.input(i)).map(String::from).collect();
        self.found(names, bytes, Spec::Op(op))
    }

    fn found(&self, inputs: Vec<String>, bytes: Option<Sign>, spec: Spec) -> Found<Recognized> {
        match self.node.output.as_slice() {
            [output] => Ok(Recognized { inputs, output: output.clone(), bytes, spec }),
            _ => Err("more than one output".into()),
        }
    }

    /// A step that only moves bytes.
    fn moved(&self, op: Op) -> Found<Recognized> {
        let sign = self.sign(0)?;
        self.step(&[0], Some(sign), op)
    }

    /// A whole tensor's quantization from the inputs of its scale and zero point.
    pub fn quantization(&self, scale: usize, zero: usize) -> Found<(Quantization, Sign)> {
        let name = self.input(scale).ok_or("no scale")?;
        let scale = self.context.constants.float(name).filter(|s| s.is_finite() && *s > 0.0);
        let scale = scale.ok_or_else(|| format!("{name:?} is not one positive constant"))?;
        let Some(name) = self.input(zero) else { return Ok((Quantization { scale, zero: 0 }, Sign::Unsigned)) };
        let constant = self.context.constants.get(name).ok_or_else(|| format!("{name:?} is computed"))?;
        let (sign, shift) = match constant.data_type {
            data_type::UINT8 => (Sign::Unsigned, 0),
            data_type::INT8 => (Sign::Signed, 128),
            other => return Err(format!("zero point of ONNX data type {other}")),
        };
        let zero = match self.context.constants.integers(name).as_deref() {
            Some(&[zero]) => u8::try_from(zero + shift).map_err(|e| e.to_string())?,
            _ => return Err(format!("{name:?} is not one zero point")),
        };
        Ok((Quantization { scale, zero }, sign))
    }

    /// The quantized value whose floats are the only input.
    fn dequantized(&self) -> Option<(&'a str, Quantization)> {
        let node = self.context.producers.get(self.input(0)?)?;
        let reader = Reader { node, context: self.context };
        let dequantize = node.op_type == "DequantizeLinear" && reader.is_bytes(0);
        Some((reader.input(0)?, reader.quantization(1, 2).ok()?.0)).filter(|_| dequantize)
    }

    fn quantize(&self) -> Found<Recognized> {
        let (output, sign) = self.quantization(1, 2)?;
        let value = self.input(0).ok_or("no input")?;
        let trace = Trace::of(value, self.context).unwrap_or_else(|| Trace::leaf(value, self.context));
        let (inputs, island) = trace.into_island(IslandOutput::Bytes(output));
        self.found(inputs, Some(sign), Spec::Op(Op::Island(island)))
    }

    /// Float arithmetic whose result a float convolution reads.
    fn float_island(&self, value: &str) -> Option<Recognized> {
        let (inputs, island) = Trace::of(value, self.context)?.into_island(IslandOutput::Floats);
        self.found(inputs, None, Spec::Op(Op::Island(island))).ok()
    }

    fn binary(&self, operation: Operation) -> Found<Recognized> {
        let (a, b, (output, sign)) = (self.quantization(1, 2)?, self.quantization(4, 5)?, self.quantization(6, 7)?);
        let leaves = vec![LeafKind::Bytes(a.0), LeafKind::Bytes(b.0)];
        let operations = vec![Operation::Leaf(0), Operation::Leaf(1), operation];
        self.step(
            &[0, 3],
            Some(sign),
            Op::Island(Island { leaves, operations, output: IslandOutput::ShiftedBytes(output) }),
        )
    }

    fn table(&self, function: impl Fn(f32) -> f32) -> Found<Recognized> {
        let (from, (to, sign)) = (self.quantization(1, 2)?.0, self.quantization(3, 4)?);
        self.step(&[0], Some(sign), Op::Table(from.table(to, function)))
    }

    fn average_pool(&self) -> Found<Recognized> {
        let (from, (to, sign)) = (self.quantization(1, 2)?.0, self.quantization(3, 4)?);
        if self.node.int("channels_last", 0) != 0 {
            return Err("channels_last".into());
        }
        let whole = self.node.op_type == "QLinearGlobalAveragePool";
        let geometry = if whole { None } else { Some(geometry(self.node)?) };
        let count_include_pad = self.node.int("count_include_pad", 0) != 0;
        self.step(&[0], Some(sign), Op::AveragePool(AveragePool { geometry, count_include_pad, from, to }))
    }

    fn concat_requantized(&self) -> Found<Recognized> {
        let (to, sign) = self.quantization(0, 1)?;
        let inputs: Vec<usize> = (2..self.node.input.len()).step_by(3).collect();
        let table = |&i: &usize| -> Found<_> {
            let (from, from_sign) = self.quantization(i + 1, i + 2)?;
            Ok((from != to || from_sign != sign).then(|| from.table(to, |v| v)))
        };
        let tables = inputs.iter().map(table).collect::<Found<_>>()?;
        self.step(&inputs, Some(sign), Op::Concat { axis: self.node.int("axis", 0), tables })
    }

    /// Weights less their zero point, as `i8`.
    fn weights(&self, weights: usize, zero: usize) -> Found<Vec<i8>> {
        let name = self.input(weights).ok_or("no weights")?;
        let constants = self.context.constants;
        let zeros = self.input(zero).and_then(|z| constants.integers(z)).unwrap_or_else(|| vec![0]);
        if zeros.iter().all(|&z| z == 0)
            && let Some(weights) = constants.signed_bytes(name)
        {
            return Ok(weights);
        }
        let values = constants.integers(name).ok_or_else(|| format!("{name:?} is not a constant of bytes"))?;
        match zeros.as_slice() {
            [zero] => values.iter().map(|w| i8::try_from(w - zero).map_err(|_| REACH.into())).collect(),
            _ => Err("weights with a zero point per channel".into()),
        }
    }

    fn scales(&self, index: usize, channels: usize) -> Found<Vec<f32>> {
        let name = self.input(index).ok_or("no weight scale")?;
        let scales = self.context.constants.floats(name).ok_or_else(|| format!("{name:?} is not constant"))?;
        let fits = (scales.len() == 1 || scales.len() == channels) && scales.iter().all(|s| s.is_finite());
        match fits {
            true => Ok((0..channels).map(|c| scales[c % scales.len()]).collect()),
            false => Err(format!("{} weight scales for {channels} channels", scales.len())),
        }
    }

    fn bias(&self, index: usize, channels: usize) -> Found<Vec<i32>> {
        let Some(name) = self.input(index) else { return Ok(vec![]) };
        let values = self.context.constants.integers(name).ok_or_else(|| format!("{name:?} is not constant"))?;
        match values.len() == channels {
            true => values.iter().map(|&v| i32::try_from(v).map_err(|e| e.to_string())).collect(),
            false => Err(format!("{} biases for {channels} channels", values.len())),
        }
    }

    fn convolution(&self) -> Found<Recognized> {
        self.sign(0)?;
        let (x, (y, sign)) = (self.quantization(1, 2)?.0, self.quantization(6, 7)?);
        let shape = self.input(3).and_then(|w| self.context.constants.shape(w)).ok_or("weights are computed")?;
        let &[out_channels, in_group, h, w] = shape.as_slice() else {
            return Err(format!("weights of shape {shape:?}: only 2-D convolutions"));
        };
        let mut geometry = geometry(self.node)?;
        if self.node.ints("kernel_shape").is_some() && geometry.kernel != [h, w] {
            return Err(format!("kernel_shape {:?}, its weights are {h} × {w}", geometry.kernel));
        }
        geometry.kernel = [h, w];
        let groups = usize::try_from(self.node.int("group", 1)).map_err(|e| e.to_string())?;
        let spec = ConvSpec {
            geometry,
            groups,
            in_channels: in_group.checked_mul(groups).ok_or("too many channels")?,
            weights: self.weights(3, 5)?,
            bias: self.bias(8, out_channels)?,
            x,
            w_scale: self.scales(4, out_channels)?,
            y: Some(y),
            prelu: None,
            dense: false,
        };
        self.found(vec![self.node.input[0].clone()], Some(sign), Spec::Conv(Box::new(spec)))
    }

    fn dense(&self) -> Found<Recognized> {
        self.sign(0)?;
        let gemm = self.node.op_type == "QGemm";
        let x = self.quantization(1, 2)?.0;
        let shape = self.input(3).and_then(|w| self.context.constants.shape(w)).ok_or("weights are computed")?;
        let &[rows, columns] = shape.as_slice() else { return Err(format!("weights of shape {shape:?}")) };
        if self.node.int("transA", 0) != 0 {
            return Err("transA".into());
        }
        let transposed = gemm && self.node.int("transB", 0) != 0;
        let (outputs, inputs) = if transposed { (rows, columns) } else { (columns, rows) };
        let mut weights = self.weights(3, 5)?;
        if !transposed {
            let from = weights;
            weights = (0..outputs)
                .flat_map(|o| (0..inputs).map(move |i| (o, i)))
                .map(|(o, i)| from[i * outputs + o])
                .collect();
        }
        let (y_scale, y_zero) = if gemm { (7, 8) } else { (6, 7) };
        let y = self.input(y_scale).map(|_| self.quantization(y_scale, y_zero)).transpose()?;
        let alpha = if gemm { self.node.float("alpha", 1.0) } else { 1.0 };
        let spec = ConvSpec {
            geometry: Geometry::POINT,
            groups: 1,
            in_channels: inputs,
            weights,
            bias: if gemm { self.bias(6, outputs)? } else { vec![] },
            x,
            w_scale: self.scales(4, outputs)?.into_iter().map(|s| s * alpha).collect(),
            y: y.map(|y| y.0),
            prelu: None,
            dense: true,
        };
        self.found(vec![self.node.input[0].clone()], y.map(|y| y.1), Spec::Conv(Box::new(spec)))
    }

    fn resize(&self) -> Found<ResizeTo> {
        if self.node.text("mode", "nearest") != "nearest" {
            return Err("only nearest resizing is computed in INT8".into());
        }
        let opset_10 = self.node.op_type == "Upsample" || self.node.input.len() == 2;
        let default = if opset_10 { "asymmetric" } else { "half_pixel" };
        let rounding = if opset_10 { "floor" } else { "round_prefer_floor" };
        let coordinates = self.node.attribute("coordinate_transformation_mode");
        let coordinates = coordinates.map_or(default.into(), |a| String::from_utf8_lossy(&a.s).into_owned());
        let rounding_given = self.node.attribute("nearest_mode");
        let rounding = rounding_given.map_or(rounding.into(), |a| String::from_utf8_lossy(&a.s).into_owned());
        // With whole factors these all come to floor(y / factor).
        let floors = match coordinates.as_str() {
            "asymmetric" => rounding == "floor",
            "half_pixel" | "pytorch_half_pixel" => rounding.starts_with("round_prefer"),
            _ => false,
        };
        if !floors {
            return Err(format!("nearest resizing with {coordinates} and {rounding}"));
        }
        let constants = self.context.constants;
        let scales = self.input(if opset_10 { 1 } else { 2 }).and_then(|s| constants.floats(s));
        if let Some(&[n, c, h, w]) = scales.as_deref() {
            let whole = |v: f32| v.fract() == 0.0 && (1.0..=64.0).contains(&v);
            return match n == 1.0 && c == 1.0 && whole(h) && whole(w) {
                true => Ok(ResizeTo::Factors([h as usize, w as usize])),
                false => Err(format!("factors {n}, {c}, {h}, {w}")),
            };
        }
        match self.input(3).and_then(|s| constants.integers(s)).as_deref() {
            Some(&[_, _, h, w]) if h > 0 && w > 0 => Ok(ResizeTo::Size([h as usize, w as usize])),
            _ => Err("a size that is computed".into()),
        }
    }
}

const REACH: &str = "weights that do not fit a signed byte less their zero point";
