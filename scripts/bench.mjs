// `npm run bench -- --fp32 DIR`: the pack's networks in INT8 against the same in FP32,
// both in our wasm builds, one thread, alternating in one run of headless Chromium.
//
// DIR holds what `python models/rebuild.py --fp32 --out DIR` writes.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { launch } from './lib/browser.mjs';
import { serve } from './lib/serve.mjs';
import { ROOT, SetupError, ensurePrograms, main } from './lib/tools.mjs';

const ROUNDS = 15;
const NETWORKS = [
  { name: 'centerface 640x384', file: 'centerface', shape: [1, 3, 384, 640] },
  { name: 'centerface 160x160', file: 'centerface', shape: [1, 3, 160, 160] },
  { name: 'mobilefacenet', file: 'mobilefacenet', shape: [1, 3, 112, 112] },
];

/** Runs in a worker of the page; returns milliseconds per round of every network. */
async function measure({ glue, networks, rounds }) {
  const wasm = await import(glue);
  await wasm.default(new URL('framesift_bg.wasm', glue));
  const loaded = [];
  for (const { name, url, shape } of networks) {
    const file = new Uint8Array(await (await fetch(url)).arrayBuffer());
    const input = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => (i * 7919) % 255);
    loaded.push({ name, network: new wasm.BenchNetwork(file, shape), input, times: [] });
  }
  for (let round = -2; round < rounds; round++) {
    for (const { network, input, times } of loaded) {
      const start = performance.now();
      network.run(input);
      if (round >= 0) times.push(performance.now() - start);
    }
  }
  return { device: wasm.device(), results: loaded.map(({ name, times }) => ({ name, times })) };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

await main(async () => {
  const { values } = parseArgs({ options: { fp32: { type: 'string' }, json: { type: 'boolean' } } });
  if (!values.fp32 || !existsSync(join(values.fp32, 'centerface.fp32.onnx'))) {
    throw new SetupError('Make the FP32 files first: python models/rebuild.py --fp32 --out DIR, then npm run bench -- --fp32 DIR');
  }
  ensurePrograms('chromium');
  await build();
  const folders = { '/wasm/': join(ROOT, 'www', 'wasm'), '/int8/': join(ROOT, 'models'), '/fp32/': values.fp32, '/': join(ROOT, 'models') };
  const server = await serve(folders);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${server.origin}/pack.toml`);
    const models = [];
    for (const variant of ['relaxed-simd', 'simd128']) {
      const job = {
        glue: `${server.origin}/wasm/${variant}/framesift.js`,
        rounds: ROUNDS,
        networks: NETWORKS.flatMap(({ name, file, shape }) => [
          { name, shape, url: `${server.origin}/int8/${file}.int8.onnx` },
          { name, shape, url: `${server.origin}/fp32/${file}.fp32.onnx` },
        ]),
      };
      const { device, results } = await page.evaluate(
        ({ code, job: message }) =>
          new Promise((resolve, reject) => {
            const source = `onmessage = ({ data }) => (${code})(data).then(postMessage, (e) => postMessage({ error: String(e) }));`;
            const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
            const worker = new Worker(url, { type: 'module' });
            worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
            worker.postMessage(message);
          }),
        { code: measure.toString(), job },
      );
      for (let i = 0; i < results.length; i += 2) {
        const [int8_ms, fp32_ms] = [median(results[i].times), median(results[i + 1].times)];
        models.push({ name: results[i].name, device, int8_ms, fp32_ms, ratio: int8_ms / fp32_ms });
      }
    }
    if (values.json) console.log(JSON.stringify({ models }));
    else console.table(models.map((m) => ({ ...m, int8_ms: m.int8_ms.toFixed(1), fp32_ms: m.fp32_ms.toFixed(1), ratio: m.ratio.toFixed(2) })));
  } finally {
    await browser.close();
    await server.close();
  }
});
