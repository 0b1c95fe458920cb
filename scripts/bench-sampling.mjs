// `npm run bench:sampling`: what sampling costs (measuring frames, scenes, look-alikes), against decoding in Chromium
// and against PySceneDetect's detect-content.
//
//   npm run bench:sampling -- VIDEO... [--seconds N]
//
// CPU time a frame of the first seconds of each video (20 if not said), each frame just written to memory as decoders do.
// PySceneDetect works on BGR, so what making that of a frame takes is told apart. Exit status: 0 measured, whether or
// not the bars hold; 1 something could not run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBaseline } from './bench/setup.mjs';
import { build } from './build.mjs';
import { launch } from './lib/browser.mjs';
import { serve } from './lib/serve.mjs';
import { ROOT, SetupError, ensureNpmPackages, ensurePrograms, main, output, run } from './lib/tools.mjs';

/** So many are held in memory at most: 1.6 GB at 1080p. */
const MOST_FRAMES = 500;
/** The best of so many, as other work on the machine only adds. */
const ROUNDS = 3;
const BARS = { most_of_decoding: 0.15, least_over_pyscenedetect: 5 };

/** Milliseconds a frame of the build that Chromium takes, on one thread of it; run in its page. */
async function sampling(raw, rounds) {
  const file = new Uint8Array(await (await fetch(raw)).arrayBuffer());
  const header = new TextDecoder().decode(file.subarray(0, file.indexOf(10)));
  const [width, height] = ['W', 'H'].map((tag) => Number(new RegExp(` ${tag}(\\d+)`).exec(header)[1]));
  const chroma = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const bytes = width * height + 2 * chroma[0] * chroma[1];
  // Each frame comes after a line of six bytes.
  const count = Math.floor((file.length - header.length - 1) / (bytes + 6));
  const frame = (i) => file.subarray(header.length + 7 + i * (bytes + 6)).subarray(0, bytes);
  const wasm = await import('/wasm/framesift.js');
  const { memory } = await wasm.default('/wasm/framesift_bg.wasm');
  const planes = [
    { offset: 0, stride: width },
    { offset: width * height, stride: chroma[0] },
    { offset: width * height + chroma[0] * chroma[1], stride: chroma[0] },
  ];
  const layout = { format: 'I420', width, height, planes, rotation_deg: 0, flip: false, display_width: width, display_height: height, matrix: 'bt709', full_range: false, transfer: 'sdr' };
  const pack = await (await fetch('/models/pack.toml')).text();
  let best_ms = Infinity;
  for (let round = 0; round < rounds; round++) {
    const scan = new wasm.Scan({}, count / 25, pack);
    let took_ms = 0;
    for (let i = 0; i < count; i++) {
      // First the place: making room for it may move the memory.
      const at = scan.reserve(bytes);
      new Uint8Array(memory.buffer, at, bytes).set(frame(i));
      const before_ms = performance.now();
      scan.commit(i / 25, 1 / 25, layout);
      took_ms += performance.now() - before_ms;
      while (scan.candidate()) scan.take_pixels(new Uint8Array(scan.candidate_bytes));
    }
    scan.free();
    best_ms = Math.min(best_ms, took_ms / count);
  }
  return { count, wasm_ms: best_ms };
}

/** Decodes all frames of a video that is in memory; run in Chromium's page. */
async function decoding() {
  const { ALL_FORMATS, BlobSource, Input, VideoSampleSink } = await import('/mediabunny/mediabunny.mjs');
  const input = new Input({ formats: ALL_FORMATS, source: new BlobSource(window.video) });
  let count = 0;
  for await (const sample of new VideoSampleSink(await input.getPrimaryVideoTrack()).samples()) {
    sample.close();
    count += 1;
  }
  return count;
}

/** Milliseconds a frame in Chromium: of sampling, and of CPU time that its processes take to read and decode. */
async function inChromium(video, raw, folder) {
  const browser = await launch();
  const server = await serve({
    '/mediabunny/': join(ROOT, 'node_modules', 'mediabunny', 'dist', 'bundles'),
    '/wasm/': join(ROOT, 'npm', 'wasm', 'relaxed-simd'),
    '/models/': join(ROOT, 'models'),
    '/': folder,
  });
  try {
    const page = await browser.newPage();
    await page.goto(server.origin);
    const { count, wasm_ms } = await page.evaluate(`(${sampling})('/${raw}', ${ROUNDS})`);
    await page.evaluate(async (name) => (window.video = new Blob([await (await fetch(name)).arrayBuffer()])), `/${video}`);
    let chromium_ms = Infinity;
    for (let round = 0; round <= ROUNDS; round++) {
      const before_ms = childrenCpu_ms();
      const decoded = await page.evaluate(`(${decoding})()`);
      // The first is for the decoder and its code to be loaded.
      if (round > 0) chromium_ms = Math.min(chromium_ms, (childrenCpu_ms() - before_ms) / decoded);
    }
    return { frames: count, wasm_ms, chromium_ms };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** CPU time of all processes below this one (Linux). */
function childrenCpu_ms() {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((id) => {
    try {
      // After the name in brackets: state, parent, and from the 12th on the ticks in user and kernel mode.
      const fields = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ').at(-1).split(' ');
      return [{ id, parent: fields[1], ticks: Number(fields[11]) + Number(fields[12]) }];
    } catch {
      return [];
    }
  });
  const parents = new Map(processes.map(({ id, parent }) => [id, parent]));
  const isOurs = (id) => id !== undefined && (id === String(process.pid) || isOurs(parents.get(id)));
  const ticks = processes.filter(({ parent }) => isOurs(parent)).reduce((sum, one) => sum + one.ticks, 0);
  return (1000 * ticks) / Number(output('getconf', ['CLK_TCK']));
}

/** A program's last line, as JSON. */
function told(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error || status !== 0) throw new SetupError(`${program} ${args.join(' ')} failed:\n${stderr || error}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

async function measure(video, seconds, python) {
  const folder = mkdtempSync(join(tmpdir(), 'framesift-sampling-'));
  try {
    const [part, raw] = [join(folder, 'part.mkv'), join(folder, 'part.y4m')];
    const ffmpeg = (...args) => run('ffmpeg', ['-v', 'error', '-y', '-i', video, '-map', '0:v:0', '-t', String(seconds), ...args]);
    ffmpeg('-c', 'copy', part);
    // Even sides, as OpenCV's conversion wants them.
    ffmpeg('-vf', 'crop=floor(iw/2)*2:floor(ih/2)*2', '-frames:v', String(MOST_FRAMES), '-pix_fmt', 'yuv420p', raw);
    writeFileSync(join(folder, 'index.html'), '<!doctype html>');
    const browser = await inChromium('part.mkv', 'part.y4m', folder);
    const native = told(join(ROOT, 'target', 'release', 'examples', 'sampling_cost'), [raw, String(ROUNDS)]);
    const other = told(join(python, 'python'), [join(ROOT, 'benches', 'python_baseline', 'content_cost.py'), raw, String(ROUNDS)]);
    return { video, ...browser, native, pyscenedetect: other };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function print({ video, frames, wasm_ms, chromium_ms, native, pyscenedetect }) {
  const native_ms = native.measuring_ms + native.finding_ms;
  const { to_bgr_ms, downscale_ms, content_ms } = pyscenedetect;
  const theirs_ms = downscale_ms + content_ms;
  const bar = (holds) => (holds ? 'holds' : 'missed');
  const [share, whole] = [wasm_ms / chromium_ms, (theirs_ms + to_bgr_ms) / native_ms];
  const ms = (value) => `${value.toFixed(3)} ms`;
  console.log(`
${basename(video)}, ${frames} frames
  browser   sampling ${ms(wasm_ms)}, decoding ${ms(chromium_ms)}: ${(100 * share).toFixed(1)} % (at most ${100 * BARS.most_of_decoding}: ${bar(share <= BARS.most_of_decoding)})
  native    sampling ${ms(native_ms)}, of which scenes and look-alikes ${ms(native.finding_ms)}
  PySceneDetect  BGR ${ms(to_bgr_ms)}, downscaling ${ms(downscale_ms)}, content ${ms(content_ms)}
            from decoded frames ${whole.toFixed(2)} x native (at least ${BARS.least_over_pyscenedetect}: ${bar(whole >= BARS.least_over_pyscenedetect)}), from BGR ${(theirs_ms / native_ms).toFixed(2)} x`);
}

await main(async () => {
  const { values, positionals } = parseArgs({ options: { seconds: { type: 'string', default: '20' } }, allowPositionals: true });
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new SetupError('--seconds: a number above 0');
  if (positionals.length === 0) throw new SetupError('Which videos? npm run bench:sampling -- VIDEO...');
  const videos = positionals.map((video) => resolve(video));
  const missing = videos.find((video) => !existsSync(video));
  if (missing) throw new SetupError(`There is no file ${missing}.`);
  ensureNpmPackages();
  ensurePrograms('chromium', 'ffmpeg');
  const python = ensureBaseline();
  await build();
  run('cargo', ['build', '--locked', '--release', '--example', 'sampling_cost']);
  for (const video of videos) print(await measure(video, seconds, python));
});
