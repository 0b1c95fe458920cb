// What the benchmark needs besides the build: a Python environment, the networks and
// their inputs, all in .cache/bench. Each step is skipped while its sources are the same.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unlessUnchanged } from '../build.mjs';
import { ROOT, SetupError, installPackages, output, run } from '../lib/tools.mjs';

const CACHE = join(ROOT, '.cache', 'bench');
export const MODELS = join(CACHE, 'models');
export const INPUTS = join(CACHE, 'inputs');
const VENV = join(CACHE, 'venv');
const PYTHON = join(VENV, 'bin', 'python');

const HERE = join(ROOT, 'scripts', 'bench');
const PACK = join(ROOT, 'models');
const REQUIREMENTS = join(HERE, 'requirements.txt');
const PINS = [REQUIREMENTS, join(PACK, 'requirements.txt')];
const INSTALL_PYTHON = 'On Debian or Ubuntu: sudo apt-get install python3 python3-venv';

/** Makes what these networks need and is not there yet. */
export function ensureModels(networks) {
  mkdirSync(MODELS, { recursive: true });
  ensurePython();
  const inputs = join(HERE, 'inputs.py');
  step('inputs', join(INPUTS, 'smooth_640x640_2.f32'), [inputs], 'inputs', [inputs, INPUTS]);
  if (networks.some((network) => !network.synthetic)) {
    const sources = ['rebuild.py', 'to_onnx.py', 'pack.toml'].map((name) => join(PACK, name));
    const args = [sources[0], '--fp32', '--out', MODELS];
    step('pack', join(MODELS, 'mobilefacenet.fp32.onnx'), sources, "the pack's networks in FP32", args);
  }
  const generator = ['synthetic.py', 'net.py', 'inputs.py'].map((name) => join(HERE, name));
  for (const { name } of networks.filter((network) => network.synthetic)) {
    step(name, join(MODELS, `${name}.int8.onnx`), generator, name, [generator[0], MODELS, name]);
  }
}

/** Python packages of their own in `.cache/bench/venv`. */
export function ensurePython() {
  if (output('python3', ['-c', 'import venv, ensurepip']) === null) installPackages(['python3 with venv'], ['python3', 'python3-venv']);
  const version = output('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
  // The pinned NumPy and rebuild.py's tomllib ask for it.
  if (!version || Number(version.split('.')[1]) < 11) throw new SetupError(`python3 is ${version}; 3.11 or later is needed.`);
  ensurePackages(VENV, REQUIREMENTS, [version, ...PINS.map((path) => readFileSync(path))]);
}

/** Python packages in a folder of their own. */
function ensurePackages(folder, requirements, parts) {
  const python = join(folder, 'bin', 'python');
  unlessUnchanged(`${folder}.stamp`, [python], parts, () => {
    console.error(`Setting up Python packages in ${folder} …`);
    run('python3', ['-m', 'venv', '--clear', folder], { advice: INSTALL_PYTHON });
    // Wheels only: pip would run a source package's build script.
    const quiet = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
    const advice = 'It needs PyPI and wheels for this Python and machine.';
    run(python, ['-m', 'pip', 'install', ...quiet, '-r', requirements], { advice });
  });
}

/** What the job in Python needs; returns the folder of its programs. */
export function ensureBaseline() {
  ensureModels([{ synthetic: false }]);
  const requirements = join(ROOT, 'benches', 'python_baseline', 'requirements.txt');
  const folder = join(CACHE, 'baseline');
  ensurePackages(folder, requirements, [readFileSync(requirements)]);
  return join(folder, 'bin');
}

/** ONNX Runtime's library in the Python environment. */
export function onnxRuntimeLibrary() {
  ensurePython();
  const found = output(PYTHON, ['-c', 'import glob, os, onnxruntime as o; print(glob.glob(os.path.dirname(o.__file__) + "/capi/libonnxruntime.*")[0])']);
  if (!found) throw new SetupError('The Python package onnxruntime holds no library.');
  return found;
}

/** Runs a Python script unless its `product` is there, made by the same sources. */
function step(name, product, sources, what, args) {
  const parts = [...sources, ...PINS].map((path) => readFileSync(path));
  unlessUnchanged(join(CACHE, `${name}.stamp`), [product], parts, () => {
    console.error(`Making ${what} in .cache/bench …`);
    run(PYTHON, args);
    if (!existsSync(product)) throw new SetupError(`${args.join(' ')} did not write ${product}.`);
  });
}
