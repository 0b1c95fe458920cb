import { measureAll } from './bench/measure.mjs';
import { rates, shares, speedups } from './bench/report.mjs';
import { join } from 'node:path';
const names = [['x112',112],['x56',56],['x28',28],['x14',14],['x7',7]].filter(([n]) => !process.env.ONLY || process.env.ONLY.split(',').includes(n));
const nets = names.map(([name, side]) => ({ name, shape:[1,3,side,side], int8:`/models/${name}.int8.onnx`, fp32:`/models/${name}.fp32.onnx`, inputs:`/inputs/smooth_${side}x${side}`, min_cosine:.99, synthetic:true }));
for (const dir of process.argv.slice(2)) {
  const { models } = await measureAll(nets, { wasm: dir, rounds: 15, budget_s: 10 });
  for (const m of models) { const r={...m,...speedups(m),...rates(m)}; console.log(dir.padEnd(16), m.name.padEnd(6), 'relaxed', m.int8_relaxed_ms?.toFixed(2), 'simd', m.int8_simd128_ms?.toFixed(2), 'ort', m.onnxruntime_web_int8_ms?.toFixed(2), JSON.stringify(Object.fromEntries(Object.entries(r).filter(([k])=>/gmac/.test(k)))), JSON.stringify(m.errors)); }
}
