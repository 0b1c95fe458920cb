"""Stand-ins for InsightFace's networks, for speed only: their layers after the public configurations, random weights.

    python scripts/bench/synthetic.py OUT NAME...

    mbf      MobileFaceNet, twice as wide: 112x112 -> 512
    r50      ArcFace's IResNet-50: 112x112 -> 512
    det500m  SCRFD-500M with landmarks: 640x640 -> scores, boxes and landmarks at strides 8, 16 and 32
    det10g   SCRFD-10G with landmarks: the same

Each is written as OUT/NAME.fp32.onnx and, quantised (QOperator, u8 activations, s8 weights per channel, calibrated on
smooth random pictures), as OUT/NAME.int8.onnx. The same seeds give the same files. InsightFace's own weights are for
non-commercial research only, so none are here.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

sys.dont_write_bytecode = True  # no __pycache__ among the sources
from inputs import smooth  # noqa: E402
from net import Net  # noqa: E402


def mbf(net: Net) -> list[str]:
    def bottleneck(x: str, out: int, middle: int, stride: int) -> str:
        y = net.prelu(net.depthwise(net.prelu(net.conv(x, middle, 1)), 3, stride))
        return net.conv(y, out, 1, gain=1 if stride == 2 else 0.5)

    x = net.prelu(net.depthwise(net.prelu(net.conv("input", 128, 3, 2)), 3))
    for out, first, middle, blocks in ((128, 128, 128, 4), (256, 256, 256, 6), (256, 512, 256, 2)):
        x = bottleneck(x, out, first, 2)
        for _ in range(blocks):
            x = net.add(x, bottleneck(x, out, middle, 1))
    x = net.depthwise(net.prelu(net.conv(x, 512, 1)), 7, pad=0, gain=1)
    return [net.fully_connected(x, 1, 512)]


def r50(net: Net) -> list[str]:
    x = net.prelu(net.conv("input", 64, 3))
    for channels, blocks in ((64, 3), (128, 4), (256, 14), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 else 1
            y = net.prelu(net.conv(net.batch_norm(x), channels, 3, gain=1))
            y = net.conv(y, channels, 3, stride, gain=0.5)
            x = net.add(y, net.conv(x, channels, 1, 2, gain=1) if block == 0 else x)
    return [net.fully_connected(net.batch_norm(x), 7 * 7, 512)]


def scrfd(net: Net, features: list[str], neck: int, tower: Callable[[str], str]) -> list[str]:
    """The path-aggregating neck over strides 8, 16 and 32, and a tower with three heads on each."""
    low, middle, high = (net.conv(x, neck, 1, gain=1) for x in features)
    middle = net.add(middle, net.double(high))
    low = net.add(low, net.double(middle))
    low, middle, high = (net.conv(x, neck, 3, gain=1) for x in (low, middle, high))
    middle = net.add(middle, net.conv(low, neck, 3, 2, gain=0.5))
    high = net.add(high, net.conv(middle, neck, 3, 2, gain=0.5))
    towers = [tower(x) for x in (low, net.conv(middle, neck, 3, gain=1), net.conv(high, neck, 3, gain=1))]
    scores = [net.node("Sigmoid", net.head(x, 2, 1)) for x in towers]  # two anchors a cell
    return scores + [net.head(x, 8, 4) for x in towers] + [net.head(x, 20, 10) for x in towers]


def det500m(net: Net) -> list[str]:
    def separable(x: str, out: int, stride=1) -> str:
        return net.relu(net.conv(net.relu(net.depthwise(x, 3, stride)), out, 1))

    x = separable(net.relu(net.conv("input", 16, 3, 2)), 16)
    stages = []
    for out, blocks in ((40, 2), (72, 3), (152, 2), (288, 6)):
        for block in range(blocks):
            x = separable(x, out, 2 if block == 0 else 1)
        stages.append(x)
    return scrfd(net, stages[1:], 16, lambda x: separable(separable(x, 64), 64))


def det10g(net: Net) -> list[str]:
    def conv_relu(x: str, out: int, stride=1) -> str:
        return net.relu(net.conv(x, out, 3, stride))

    x = conv_relu(conv_relu(conv_relu("input", 28, 2), 28), 56)
    x = net.pool("MaxPool", x, 3, pad=1)
    stages = []
    for stage, (out, blocks) in enumerate(((56, 3), (88, 4), (88, 2), (224, 3))):
        for block in range(blocks):
            shrink = stage > 0 and block == 0
            y = net.conv(conv_relu(x, out, 2 if shrink else 1), out, 3, gain=0.5)
            x = net.relu(net.add(y, net.conv(net.pool("AveragePool", x, 2), out, 1, gain=1) if shrink else x))
        stages.append(x)
    return scrfd(net, stages[1:], 56, lambda x: conv_relu(conv_relu(conv_relu(x, 80), 80), 80))


class Pictures(CalibrationDataReader):
    def __init__(self, side: int, count=4) -> None:
        self.feeds = iter([{"input": smooth(side, side, seed)} for seed in range(count)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


NETWORKS = {"mbf": (mbf, 112), "r50": (r50, 112), "det500m": (det500m, 640), "det10g": (det10g, 640)}


def write(name: str, out: Path) -> None:
    layers, side = NETWORKS[name]
    net = Net(name, side, seed=1 + list(NETWORKS).index(name))
    fp32 = out / f"{name}.fp32.onnx"
    onnx.save(net.model(layers(net)), fp32)
    quantize_static(
        fp32,
        out / f"{name}.int8.onnx",
        Pictures(side),
        quant_format=QuantFormat.QOperator,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    print(f"{name}: written to {out}", file=sys.stderr)


if __name__ == "__main__":
    # onnxruntime advises a pre-processing step here; ours have nothing that it would change.
    logging.getLogger().setLevel(logging.ERROR)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[2:]:
        write(wanted, folder)
