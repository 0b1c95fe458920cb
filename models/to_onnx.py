"""The two published networks as plain FP32 ONNX models, for rebuild.py.

rebuild.py checks the sha256 of both source files first, so this covers what is in them and nothing else.
Tensor names count: the stored activation ranges are keyed by them.
"""

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and weights in order and makes a checked model of them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, values: np.ndarray) -> str:
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{len(self.nodes)}", **attributes))

    def model(self, name: str, input_shape: list, outputs: dict[str, list]) -> onnx.ModelProto:
        shapes = {"input": input_shape, **outputs}
        infos = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in shapes.items()]
        graph = helper.make_graph(self.nodes, name, infos[:1], infos[1:], list(self.weights.values()))
        # Opset 13 is the first with per-channel DequantizeLinear.
        opsets = [helper.make_opsetid("", 13)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="framesift")
        onnx.checker.check_model(model, full_check=True)
        return model


def centerface(data: bytes) -> onnx.ModelProto:
    """CenterFace: any height and width, named outputs, each BatchNorm folded into the ConvTranspose before it."""
    source = onnx.load_from_string(data).graph
    weights = {t.name: numpy_helper.to_array(t) for t in source.initializer}
    norms = {n.input[0]: n for n in source.node if n.op_type == "BatchNormalization"}
    public = {"input.1": "input", "537": "heatmap", "538": "scale", "539": "offset", "540": "landmarks"}
    build = Builder()
    for node in source.node:
        if node.op_type == "BatchNormalization":
            continue
        inputs, output = list(node.input), node.output[0]
        if norm := norms.get(output):
            # (conv(x) - mean) * gain + beta: the gain goes into the kernel (in, out, h, w), the rest is a bias.
            gamma, beta, mean, variance = (weights[name].astype(np.float64) for name in norm.input[1:])
            gain = gamma / np.sqrt(variance + next(a.f for a in norm.attribute if a.name == "epsilon"))
            kernel, output = inputs[1], norm.output[0]
            inputs[1:] = [f"{kernel}_f", f"{kernel}_b"]
            weights[inputs[1]] = (weights[kernel] * gain[:, None, None]).astype(np.float32)
            weights[inputs[2]] = (beta - mean * gain).astype(np.float32)
        for name in inputs[1:]:
            if name in weights:
                build.weight(name, weights[name])
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        build.node(node.op_type, [public.get(n, n) for n in inputs], public.get(output, output), **attributes)
    channels = {"heatmap": 1, "scale": 2, "offset": 2, "landmarks": 10}
    return build.model("centerface", ["N", 3, "H", "W"], {key: ["N", n, "H4", "W4"] for key, n in channels.items()})


def same_padding(size: list[int], kernel: list[int], stride: list[int]) -> list[int]:
    """TensorFlow's SAME as ONNX pads: as many outputs as strides fit, the odd pixel at the bottom or right."""
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride)]
    return [t // 2 for t in total] + [t - t // 2 for t in total]


def mobilefacenet(data: bytes) -> onnx.ModelProto:
    """MobileFaceNet: NHWC to NCHW, any batch, and the five operators that spell out a PRelu made one."""
    file = tflite.Model.GetRootAsModel(data, 0)
    graph = file.Subgraphs(0)
    kinds = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
    build = Builder()

    def operators():
        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            code = file.OperatorCodes(operator.OpcodeIndex())
            # Older files have the code in the deprecated field only.
            kind = kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            yield kind, operator.BuiltinOptions(), operator.InputsAsNumpy().tolist(), operator.Outputs(0)

    def shape(tensor: int) -> list[int]:
        return graph.Tensors(tensor).ShapeAsNumpy().tolist()

    def floats(tensor: int) -> np.ndarray:
        raw = file.Buffers(graph.Tensors(tensor).Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(raw, np.float32).reshape(shape(tensor))

    def name(tensor: int) -> str:
        return {graph.Inputs(0): "input", graph.Outputs(0): "embeddings"}.get(tensor, f"t{tensor}")

    steps = operators()
    for kind, table, inputs, output in steps:
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            depthwise = kind == "DEPTHWISE_CONV_2D"
            options = (tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)()
            options.Init(table.Bytes, table.Pos)
            # Kernels are (out, h, w, in), or (1, h, w, channels) when depthwise; ONNX wants (out, in, h, w).
            weights = floats(inputs[1]).transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
            kernel, stride = list(weights.shape[2:]), [options.StrideH(), options.StrideW()]
            valid = options.Padding() == tflite.Padding.VALID
            pads = [0, 0, 0, 0] if valid else same_padding(shape(inputs[0])[1:3], kernel, stride)
            group = len(weights) if depthwise else 1
            names = [build.weight(f"w{inputs[1]}", weights), build.weight(f"b{inputs[2]}", floats(inputs[2]))]
            attributes = {"kernel_shape": kernel, "strides": stride, "pads": pads, "dilations": [1, 1], "group": group}
            build.node("Conv", [name(inputs[0]), *names], name(output), **attributes)
        elif kind == "RELU":
            # relu(x) + a * (x - |x|), always as RELU, ABS, SUB, MUL, ADD; below zero that is 2 * a * x.
            _, _, (_, _, (alpha, _), _), (_, _, _, output) = (next(steps) for _ in range(4))
            slope = build.weight(f"slope{output}", 2 * floats(alpha).reshape(-1, 1, 1))
            build.node("PRelu", [name(inputs[0]), slope], name(output))
        elif kind == "ADD":
            build.node("Add", [name(tensor) for tensor in inputs], name(output))
        elif kind == "RESHAPE":
            # (N, 192, 1, 1) to (N, 192). The transpose moves nothing, but the pack's file has it.
            build.node("Transpose", [name(inputs[0])], f"{name(output)}_nhwc", perm=[0, 2, 3, 1])
            target = build.weight(f"shape{output}", np.array([-1, *shape(output)[1:]], np.int64))
            build.node("Reshape", [f"{name(output)}_nhwc", target], name(output))
        else:
            raise ValueError(f"MobileFaceNet.tflite has an operator {kind}, which to_onnx.py does not convert")
    _, height, width, channels = shape(graph.Inputs(0))
    return build.model("g", ["N", channels, height, width], {"embeddings": ["N", *shape(graph.Outputs(0))[1:]]})
