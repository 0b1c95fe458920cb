// The benchmark's browser: one page and one worker per network.
import { join } from 'node:path';
import { launch } from '../lib/browser.mjs';
import { serve } from '../lib/serve.mjs';
import { ROOT } from '../lib/tools.mjs';
import { INPUTS, MODELS } from './setup.mjs';

const ENGINES = ['int8_relaxed', 'int8_simd128', 'fp32', 'onnxruntime_web_int8', 'onnxruntime_web_fp32'];

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Runs in the page. */
function work({ url, job }) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(url, { type: 'module' });
    worker.onerror = (event) => reject(new Error(event.message || `${url} could not be loaded`));
    worker.onmessage = ({ data }) => {
      worker.terminate();
      if (data.error) reject(new Error(data.error));
      else resolve(data.result);
    };
    worker.postMessage(job);
  });
}

/** One row of the results; what failed is null in it and told in `errors`. */
function row(network, { times_ms = {}, errors, ...compared }) {
  const ms = ENGINES.map((name) => [`${name}_ms`, times_ms[name] ? median(times_ms[name]) : null]);
  return {
    name: network.name,
    shape: network.shape,
    ...Object.fromEntries(ms),
    ...compared.bytes,
    ...compared.rates,
    cosine_to_onnxruntime: compared.cosine_to_onnxruntime ?? null,
    fp32_cosine_to_onnxruntime: compared.fp32_cosine_to_onnxruntime ?? null,
    simd128_identical_to_relaxed: compared.identical ?? null,
    min_cosine: network.min_cosine,
    rounds: Math.max(0, ...Object.values(times_ms).map((times) => times.length)),
    errors,
  };
}

/** Makes V8 compile for a processor without AVX-VNNI. */
const WITHOUT_VNNI = ['--js-flags=--no-enable-avx-vnni,--no-enable-avx-vnni-int8'];

/**
 * Measures the networks in our builds in `wasm` and in ONNX Runtime Web.
 * A network or engine that fails does not stop the others.
 */
export async function measureAll(networks, { wasm, rounds, budget_s, vnni = true }) {
  const server = await serve({
    '/wasm/': wasm,
    '/pack/': join(ROOT, 'models'),
    '/models/': MODELS,
    '/inputs/': INPUTS,
    '/bench/': join(ROOT, 'scripts', 'bench'),
    '/onnxruntime-web/': join(ROOT, 'node_modules', 'onnxruntime-web', 'dist'),
  });
  const browser = await launch(vnni ? [] : WITHOUT_VNNI);
  const [models, device, told] = [[], {}, new Set()];
  const tell = (message) => {
    // The browser asks every server for its icon.
    if (message.location().url.endsWith('/favicon.ico') || told.has(message.text())) return;
    told.add(message.text());
    console.error(`  ${message.text()}`);
  };
  try {
    for (const network of networks) {
      console.error(`Measuring ${network.name} …`);
      const page = await browser.newPage();
      page.on('console', tell);
      const job = { network, origin: server.origin, rounds, budget_s };
      try {
        // Any document of the server will do: it only makes the worker one of the same origin.
        await page.goto(`${server.origin}/bench/requirements.txt`);
        const result = await page.evaluate(work, { url: `${server.origin}/bench/worker.mjs`, job });
        device.relaxed ??= result.about.int8_relaxed ?? result.about.fp32;
        device.simd128 ??= result.about.int8_simd128;
        device.onnxruntime_web_file ??= result.onnxruntime_web_file;
        models.push(row(network, result));
      } catch (error) {
        models.push(row(network, { errors: { worker: String(error) } }));
      }
      await page.close();
    }
    return { models, device: { ...device, browser: `Chromium ${browser.version()}` } };
  } finally {
    await browser.close();
    await server.close();
  }
}
