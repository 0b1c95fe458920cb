"""A small language for convolutional networks with seeded random weights; synthetic.py speaks it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph that grows by calling the layers; each returns its output's name."""

    def __init__(self, name: str, side: int, seed: int) -> None:
        self.name, self.side = name, side
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        self.channels = {"input": 3}

    def constant(self, values: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, *inputs: str, channels: int | None = None, **attributes) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        self.channels[name] = channels or self.channels[inputs[0]]
        return name

    def normal(self, deviation: float, *shape: int) -> np.ndarray:
        return (self.random.standard_normal(shape) * deviation).astype(np.float32)

    def uniform(self, low: float, high: float, *shape: int) -> str:
        return self.constant(self.random.uniform(low, high, shape).astype(np.float32))

    def conv(self, x: str, out: int, size: int, stride=1, groups=1, gain=2.0, pad: int | None = None) -> str:
        """`gain`: 2 keeps the variance through a ReLU that follows, 1 where none does, less on residual branches."""
        inputs = self.channels[x] // groups
        weights = self.constant(self.normal(np.sqrt(gain / (inputs * size * size)), out, inputs, size, size))
        bias = self.constant(self.normal(0.05, out))
        shape = {"kernel_shape": [size, size], "strides": [stride, stride], "group": groups}
        return self.node("Conv", x, weights, bias, channels=out, pads=[size // 2 if pad is None else pad] * 4, **shape)

    def depthwise(self, x: str, size: int, stride=1, **options) -> str:
        return self.conv(x, self.channels[x], size, stride, groups=self.channels[x], **options)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def prelu(self, x: str) -> str:
        return self.node("PRelu", x, self.uniform(0.1, 0.4, self.channels[x], 1, 1))

    def add(self, a: str, b: str) -> str:
        return self.node("Add", a, b)

    def batch_norm(self, x: str) -> str:
        count = self.channels[x]
        scale, bias, mean, variance = (self.uniform(*r, count) for r in ((0.8, 1.2), (-0.2, 0.2), (-0.2, 0.2), (0.8, 1.2)))
        return self.node("BatchNormalization", x, scale, bias, mean, variance)

    def pool(self, kind: str, x: str, size: int, pad=0) -> str:
        return self.node(kind, x, kernel_shape=[size, size], strides=[2, 2], pads=[pad] * 4)

    def double(self, x: str) -> str:
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", self.constant(np.array([1, 1, 2, 2], np.float32)), **how)

    def fully_connected(self, x: str, cells: int, out: int) -> str:
        count = self.channels[x] * cells
        weights = self.constant(self.normal(count**-0.5, out, count))
        return self.node("Gemm", self.node("Flatten", x), weights, self.constant(self.normal(0.05, out)), transB=1)

    def head(self, x: str, out: int, columns: int) -> str:
        """A convolution's output as rows of `columns`, one row per anchor."""
        rows = self.node("Transpose", self.conv(x, out, 3, gain=1), perm=[0, 2, 3, 1])
        return self.node("Reshape", rows, self.constant(np.array([-1, columns], np.int64)))

    def model(self, outputs: list[str]) -> onnx.ModelProto:
        picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, self.side, self.side])
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, self.name, [picture], results, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model)
        return model
