// `npm run bench`: the networks in our INT8 builds, in FP32 under tract and in ONNX
// Runtime Web, one thread each, taking turns in one run of headless Chromium.
//
//   npm run bench -- [--only NAME[,NAME]] [--rounds N] [--json] [--wasm DIR] [--without-vnni]
//
// --only: a network's name, or its beginning up to a dash (centerface: all three shapes).
// --wasm: measure the builds in DIR (relaxed-simd/, simd128/; for FP32 with the feature "tract") and build nothing.
// --without-vnni: as on a processor without AVX-VNNI, the instruction that multiplies bytes exactly.
// The first run sets up .cache/bench (a Python environment and the networks). Exit
// status: 0 measured, whether or not the bars hold; 1 something could not run.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAll } from './bench/measure.mjs';
import { NETWORKS } from './bench/networks.mjs';
import { bars, geometricMeans, rates, shares, speedups, text } from './bench/report.mjs';
import { ensureModels } from './bench/setup.mjs';
import { buildWasm } from './build.mjs';
import { ROOT, SetupError, ensureNpmPackages, ensurePrograms, ensureRust, main } from './lib/tools.mjs';

/** Measuring time per network where --rounds does not say. */
const BUDGET_S = 25;

const OPTIONS = {
  only: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'boolean' },
  wasm: { type: 'string' },
  'without-vnni': { type: 'boolean' },
};

function options() {
  let values;
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (error) {
    throw new SetupError(error.message);
  }
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) throw new SetupError('--rounds: a number from 1');
  const wanted = values.only?.split(',') ?? [];
  const matches = (network, name) => network.name === name || network.name.startsWith(`${name}-`);
  const unknown = wanted.filter((name) => !NETWORKS.some((network) => matches(network, name)));
  if (unknown.length > 0) {
    throw new SetupError(`--only: no ${unknown.join(', ')} among ${NETWORKS.map(({ name }) => name).join(', ')}`);
  }
  const networks = values.only ? NETWORKS.filter((network) => wanted.some((name) => matches(network, name))) : NETWORKS;
  return { networks, rounds, json: values.json, wasm: values.wasm && resolve(values.wasm), vnni: !values['without-vnni'] };
}

function versions() {
  const installed = JSON.parse(readFileSync(join(ROOT, 'node_modules', 'onnxruntime-web', 'package.json'), 'utf8'));
  return { onnxruntime_web: installed.version, node: process.versions.node };
}

await main(async () => {
  const { networks, rounds, json, wasm, vnni } = options();
  ensurePrograms('chromium');
  ensureNpmPackages();
  const folder = wasm ?? join(ROOT, '.cache', 'bench', 'wasm');
  if (!wasm) {
    ensureRust();
    // The page's builds do not run networks in FP32.
    await buildWasm(folder, ['tract']);
  }
  ensureModels(networks);
  const { models: rows, device } = await measureAll(networks, { wasm: folder, rounds, budget_s: BUDGET_S, vnni });
  const models = rows.map((model) => ({ ...model, ...speedups(model), ...shares(model), ...rates(model) }));
  const means = geometricMeans(models);
  const result = {
    models,
    geometric_means: means,
    bars: bars(models, means),
    device: { ...device, processor: `${cpus()[0]?.model ?? 'unknown'}${vnni ? '' : ', without AVX-VNNI'}` },
    versions: versions(),
  };
  console.log(json ? JSON.stringify(result) : text(result));
  const errors = models.flatMap(({ name, errors: found }) => Object.entries(found).map(([engine, error]) => `${name}, ${engine}: ${error}`));
  if (errors.length > 0) {
    console.error(`\nCould not run:\n${errors.join('\n')}`);
    process.exitCode = 1;
  }
});
