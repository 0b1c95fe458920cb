// Ratios, geometric means, bars and the table.
import { BARS, MEMORY_BARS } from './networks.mjs';

const BUILDS = ['relaxed', 'simd128'];
const REFERENCES = ['int8', 'fp32'];

/** How many times as fast as ONNX Runtime Web each of our INT8 builds is, e.g. `relaxed_times_int8`. */
export function speedups(model) {
  const pairs = BUILDS.flatMap((build) =>
    REFERENCES.map((reference) => {
      const [own_ms, other_ms] = [model[`int8_${build}_ms`], model[`onnxruntime_web_${reference}_ms`]];
      return [`${build}_times_${reference}`, own_ms && other_ms ? other_ms / own_ms : null];
    }),
  );
  return Object.fromEntries(pairs);
}

/** What our INT8 takes, as a share of FP32 under tract. */
export function shares(model) {
  const share = (what) => {
    const [int8, fp32] = [model[`int8_${what}_bytes`], model[`fp32_${what}_bytes`]];
    return int8 && fp32 ? int8 / fp32 : null;
  };
  return { memory_share: share('memory'), weights_share: share('weights') };
}

/** GMAC/s of our INT8 builds, and what share that is of the build's dot instruction on registers alone. */
export function rates(model) {
  const of = BUILDS.flatMap((build) => {
    const [ms, peak] = [model[`int8_${build}_ms`], model[`int8_${build}_peak_gmac_per_s`]];
    const rate = ms && model.int8_macs ? model.int8_macs / ms / 1e6 : null;
    return [
      [`${build}_gmac_per_s`, rate],
      [`${build}_peak_share`, rate && peak ? rate / peak : null],
    ];
  });
  return Object.fromEntries(of);
}

/** The geometric mean, or null when a value is missing. */
function geometricMean(values) {
  if (values.length === 0 || values.includes(null)) return null;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

export function geometricMeans(models) {
  const keys = BUILDS.flatMap((build) => REFERENCES.map((reference) => `${build}_times_${reference}`));
  return Object.fromEntries(keys.map((key) => [key, geometricMean(models.map((model) => model[key]))]));
}

/** Every bar with what was reached; one with a missing measurement does not hold. */
export function bars(models, means) {
  const lowest = (key) => (models.some((model) => model[key] === null) ? null : Math.min(...models.map((model) => model[key])));
  const reached = (text, value, bar) => ({ text, reached: value, bar, holds: value !== null && value >= bar });
  const speeds = Object.entries(BARS).flatMap(([build, asked]) =>
    Object.entries(asked).map(([name, bar]) => {
      const [reference, kind] = name.split('_');
      const key = `${build}_times_${reference}`;
      const text = `${build} over ONNX Runtime Web ${reference.toUpperCase()}, ${kind === 'mean' ? 'geometric mean' : 'each'}`;
      return reached(text, kind === 'mean' ? means[key] : lowest(key), bar);
    }),
  );
  const cosines = [...new Set(models.map((model) => model.min_cosine))].map((bar) => {
    const values = models.filter((model) => model.min_cosine === bar).map((model) => model.cosine_to_onnxruntime);
    const names = bar > 0.999 ? "the pack's networks" : 'synthetic networks';
    return reached(`cosine to ONNX Runtime, ${names}`, values.includes(null) ? null : Math.min(...values), bar);
  });
  const memory = Object.entries(MEMORY_BARS).map(([what, bar]) => {
    const values = models.map((model) => model[`${what}_share`]);
    const most = values.includes(null) ? null : Math.max(...values);
    return { text: `${what} of INT8 as a share of FP32, each at most`, reached: most, bar, holds: most !== null && most <= bar };
  });
  const same = models.map((model) => model.simd128_identical_to_relaxed);
  const identical = same.includes(false) ? false : same.includes(null) ? null : true;
  const text = 'simd128 and relaxed identical to the bit';
  return [...speeds, ...cosines, ...memory, { text, reached: identical, bar: true, holds: identical === true }];
}

const number = (value, digits) => (value === null || value === undefined ? '-' : value.toFixed(digits));

const COLUMNS = [
  ['', (m) => m.name],
  ['relaxed ms', (m) => number(m.int8_relaxed_ms, 1)],
  ['simd128 ms', (m) => number(m.int8_simd128_ms, 1)],
  ['FP32 ms', (m) => number(m.fp32_ms, 1)],
  ['ort INT8 ms', (m) => number(m.onnxruntime_web_int8_ms, 1)],
  ['ort FP32 ms', (m) => number(m.onnxruntime_web_fp32_ms, 1)],
  ['relaxed:INT8', (m) => number(m.relaxed_times_int8, 2)],
  ['relaxed:FP32', (m) => number(m.relaxed_times_fp32, 2)],
  ['simd128:INT8', (m) => number(m.simd128_times_int8, 2)],
  ['simd128:FP32', (m) => number(m.simd128_times_fp32, 2)],
  ['relaxed GMAC/s', (m) => number(m.relaxed_gmac_per_s, 1)],
  ['of peak', (m) => number(m.relaxed_peak_share, 2)],
  ['simd128 GMAC/s', (m) => number(m.simd128_gmac_per_s, 1)],
  ['of peak', (m) => number(m.simd128_peak_share, 2)],
  ['cosine', (m) => number(m.cosine_to_onnxruntime, 6)],
  ['memory', (m) => number(m.memory_share, 2)],
  ['weights', (m) => number(m.weights_share, 2)],
  ['identical', (m) => String(m.simd128_identical_to_relaxed ?? '-')],
  ['rounds', (m) => String(m.rounds ?? '')],
];

/** The whole report as text. */
export function text({ models, geometric_means: means, bars: list, device, versions }) {
  const mean = { name: 'geometric mean', ...means };
  const blank = (value) => (value === '-' ? '' : value);
  const rows = [
    COLUMNS.map(([title]) => title),
    ...models.map((model) => COLUMNS.map(([, cell]) => cell(model))),
    COLUMNS.map(([, cell]) => blank(cell(mean))),
  ];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((cells) => cells[i].length)));
  const line = (cells) => cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  const value = (v) => (v === null ? 'not measured' : typeof v === 'number' ? (v > 0.9 && v <= 1 ? v.toFixed(6) : v.toFixed(2)) : v);
  return [
    'Milliseconds per run, medians, one thread each. relaxed, simd128: our INT8 builds; FP32: our build (tract);',
    'ort: ONNX Runtime Web; relaxed:INT8 and so on: how many times as fast as ort with INT8 and FP32.',
    'of peak: of what the build\'s dot instruction reaches on registers alone; only INT8 products count, as many as the',
    "convolutions' definition has: Winograd's needs fewer, so that this may exceed 1.",
    'memory: what our INT8 takes as a share of FP32 under tract, loading included. weights: of the FP32 file; tract holds',
    'more than that, which only an allocator that counts can tell (tests/model_memory.rs).',
    '',
    ...rows.map(line),
    '',
    ...list.map((bar) => `${bar.holds ? 'holds ' : 'MISSED'}  ${bar.text}: ${value(bar.reached)} (asked: ${typeof bar.bar === 'number' ? Number(bar.bar.toFixed(4)) : bar.bar})`),
    '',
    ...Object.entries({ ...device, ...versions }).filter(([, what]) => what).map(([name, what]) => `${name}: ${what}`),
  ].join('\n');
}
