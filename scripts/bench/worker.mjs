// In a worker of the benchmark's page: one network in five engines, one thread each,
// taking turns. A worker serves one network and ends, which frees all of its memory.

/** Each engine is warmed up for so long, so that the browser has compiled its code at the highest tier. */
const WARM_UP_MS = 1500;
const WARM_UP_MIN_CALLS = 3;
/** Short runs are timed several at once: the browser's clock ticks every 0.1 ms. */
const TIMED_AT_LEAST_MS = 20;
const MIN_ROUNDS = 7;
const MAX_ROUNDS = 51;

/** Our build in `folder`; `id` gives every engine an instance, and so a memory, of its own. */
async function ours(folder, id, { file, shape }) {
  const wasm = await import(`${folder}/framesift.js?${id}`);
  const { memory } = await wasm.default({ module_or_path: `${folder}/framesift_bg.wasm` });
  const before = memory.buffer.byteLength;
  const network = new wasm.BenchNetwork(file, shape);
  return {
    about: wasm.device(),
    run: (input) => network.run(input),
    /** wasm memory never shrinks: after some runs, what the model has taken, its loading included. */
    memory: () => memory.buffer.byteLength - before,
    weights_bytes: network.packed_bytes,
    int8_macs: network.int8_macs,
    peak_gmac_per_s: () => peak(wasm),
  };
}

/** Products per nanosecond of the build's dot instruction on registers alone: the best of some tries. */
function peak(wasm) {
  const ROUNDS = 1 << 21;
  let best = 0;
  for (let i = 0; i < 12; i++) {
    const start = performance.now();
    const products = wasm.bench_dots(ROUNDS);
    best = Math.max(best, products / (performance.now() - start) / 1e6);
  }
  return best;
}

async function onnxruntimeWeb({ file, shape }) {
  // The build without WebGL, WebGPU and WebNN: only here is its plain CPU module taken.
  const ort = await import('/onnxruntime-web/ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = `${self.location.origin}/onnxruntime-web/`;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.simd = true;
  const options = { executionProviders: ['wasm'], graphOptimizationLevel: 'all', executionMode: 'sequential' };
  const session = await ort.InferenceSession.create(file, options);
  const [inputName] = session.inputNames;
  return {
    run: (input) => session.run({ [inputName]: new ort.Tensor('float32', input, shape) }),
    /** The outputs in the file's order. */
    list: (outputs) => session.outputNames.map((name) => outputs[name].data),
  };
}

async function load({ network, origin }) {
  const bytes = async (path) => {
    const answer = await fetch(origin + path);
    if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  };
  const int8 = { file: await bytes(network.int8), shape: network.shape };
  const fp32 = { file: await bytes(network.fp32), shape: network.shape };
  const [relaxed, simd128] = ['relaxed-simd', 'simd128'].map((name) => `${origin}/wasm/${name}`);
  const starts = {
    int8_relaxed: () => ours(relaxed, 'int8', int8),
    int8_simd128: () => ours(simd128, 'int8', int8),
    fp32: () => ours(relaxed, 'fp32', fp32),
    onnxruntime_web_int8: () => onnxruntimeWeb(int8),
    onnxruntime_web_fp32: () => onnxruntimeWeb(fp32),
  };
  const [engines, errors] = [{}, {}];
  for (const [name, start] of Object.entries(starts)) {
    try {
      engines[name] = await start();
    } catch (error) {
      errors[name] = String(error);
    }
  }
  const inputs = [];
  for (const i of [0, 1, 2]) inputs.push(new Float32Array((await bytes(`${network.inputs}_${i}.f32`)).buffer));
  return { engines, errors, inputs, fp32_file_bytes: fp32.file.length };
}

function cosine(a, b) {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa === 0 && bb === 0 ? 1 : ab / Math.sqrt(aa * bb);
}

/** The smallest cosine between our outputs, which lie one after the other, and those of ONNX Runtime. */
function minCosine(all, outputs) {
  const lengths = outputs.map((output) => output.length).reduce((a, b) => a + b);
  if (lengths !== all.length) throw new Error(`our outputs have ${all.length} values, ONNX Runtime's ${lengths}`);
  let offset = 0;
  return Math.min(...outputs.map((output) => cosine(all.subarray(offset, (offset += output.length)), output)));
}

const sameBits = (a, b) => {
  const [x, y] = [a, b].map((values) => new Uint32Array(values.buffer, values.byteOffset, values.length));
  return x.length === y.length && x.every((bits, i) => bits === y[i]);
};

/** The engines' results on every input against each other; what lacks an engine stays null. */
async function compare({ int8_relaxed: relaxed, int8_simd128: simd128, fp32, ...ort }, inputs) {
  const result = { cosine_to_onnxruntime: null, fp32_cosine_to_onnxruntime: null, identical: null };
  const lower = (key, value) => (result[key] = Math.min(result[key] ?? 1, value));
  const expected = async (engine, input) => engine.list(await engine.run(input));
  for (const input of inputs) {
    const int8 = relaxed?.run(input);
    if (int8 && simd128) result.identical = result.identical !== false && sameBits(int8, simd128.run(input));
    if (int8 && ort.onnxruntime_web_int8) {
      lower('cosine_to_onnxruntime', minCosine(int8, await expected(ort.onnxruntime_web_int8, input)));
    }
    if (fp32 && ort.onnxruntime_web_fp32) {
      lower('fp32_cosine_to_onnxruntime', minCosine(fp32.run(input), await expected(ort.onnxruntime_web_fp32, input)));
    }
  }
  return result;
}

/** Milliseconds of one call, per round, of every engine. */
async function time(engines, input, { rounds, budget_s }) {
  const clocks = [];
  for (const [name, { run }] of Object.entries(engines)) {
    let fastest_ms = Infinity;
    const begun = performance.now();
    for (let call = 0; call < WARM_UP_MIN_CALLS || performance.now() - begun < WARM_UP_MS; call++) {
      const start = performance.now();
      await run(input);
      fastest_ms = Math.min(fastest_ms, performance.now() - start);
    }
    const calls = Math.max(1, Math.ceil(TIMED_AT_LEAST_MS / Math.max(fastest_ms, 0.1)));
    clocks.push({ name, run, calls, round_ms: calls * fastest_ms, times_ms: [] });
  }
  const round_ms = clocks.reduce((sum, clock) => sum + clock.round_ms, 0);
  const affordable = Math.floor((1000 * budget_s) / round_ms);
  const count = rounds ?? Math.min(MAX_ROUNDS, Math.max(MIN_ROUNDS, affordable));
  for (let round = 0; round < count; round++) {
    for (const { run, calls, times_ms } of clocks) {
      const start = performance.now();
      for (let call = 0; call < calls; call++) await run(input);
      times_ms.push((performance.now() - start) / calls);
    }
  }
  return Object.fromEntries(clocks.map(({ name, times_ms }) => [name, times_ms]));
}

async function measure(job) {
  const { engines, errors, inputs, fp32_file_bytes } = await load(job);
  const compared = await compare(engines, inputs);
  const about = Object.fromEntries(Object.entries(engines).map(([name, engine]) => [name, engine.about]));
  const times_ms = await time(engines, inputs[0], job);
  const bytes = {
    int8_memory_bytes: engines.int8_relaxed?.memory() ?? null,
    fp32_memory_bytes: engines.fp32?.memory() ?? null,
    int8_weights_bytes: engines.int8_relaxed?.weights_bytes ?? null,
    // Nearly all of an FP32 file is weights.
    fp32_weights_bytes: fp32_file_bytes,
  };
  const loaded = performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname);
  const rates = {
    int8_macs: engines.int8_relaxed?.int8_macs ?? null,
    int8_relaxed_peak_gmac_per_s: engines.int8_relaxed?.peak_gmac_per_s() ?? null,
    int8_simd128_peak_gmac_per_s: engines.int8_simd128?.peak_gmac_per_s() ?? null,
  };
  return {
    ...compared,
    bytes,
    rates,
    times_ms,
    errors,
    about,
    onnxruntime_web_file: loaded.find((path) => /onnxruntime-web.*\.wasm$/.test(path)) ?? null,
  };
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ result: await measure(data) });
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
};
