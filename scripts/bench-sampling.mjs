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

/** The best of so many, as other work on the machine only adds. */
const ROUNDS = 3;
const BARS = { most_of_decoding: 0.15, least_over_pyscenedetect: 5 };

/** The frames of a raw video, without the line before each. */
function frames(y4m) {
  const file = readFileSync(y4m);
  const header = file.subarray(0, file.indexOf(10)).toString();
  const [width, height] = ['W', 'H'].map((tag) => Number(new RegExp(` ${tag}(\\d+)`).exec(header)[1]));
  const bytes = width * height + 2 * Math.ceil(width / 2) * Math.ceil(height / 2);
  const count = Math.floor((file.length - header.length - 1) / (bytes + 6));
  return { width, height, list: Array.from({ length: count }, (_, i) => file.subarray(header.length + 1 + i * (bytes + 6) + 6).subarray(0, bytes)) };
}

/** Milliseconds a frame in the build that browsers take, on one thread of this V8. */
async function inWasm({ width, height, list }) {
  const folder = join(ROOT, 'npm', 'wasm', 'simd128');
  const wasm = await import(join(folder, 'framesift.js'));
  const { memory } = wasm.initSync({ module: readFileSync(join(folder, 'framesift_bg.wasm')) });
  const chroma = Math.ceil(width / 2);
  const planes = [
    { offset: 0, stride: width },
    { offset: width * height, stride: chroma },
    { offset: width * height + chroma * Math.ceil(height / 2), stride: chroma },
  ];
  const layout = { format: 'I420', width, height, planes, rotation_deg: 0, flip: false, display_width: width, display_height: height, matrix: 'bt709', full_range: false, transfer: 'sdr' };
  const pack = readFileSync(join(ROOT, 'models', 'pack.toml'), 'utf8');
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const scan = new wasm.Scan({}, list.length / 25, pack);
    let took_ms = 0;
    const timed = (work) => {
      const before_ms = performance.now();
      work();
      took_ms += performance.now() - before_ms;
    };
    for (const [i, frame] of list.entries()) {
      // First the place: making room for it may move the memory.
      const at = scan.reserve(frame.length);
      new Uint8Array(memory.buffer, at, frame.length).set(frame);
      timed(() => scan.commit(i / 25, 1 / 25, layout));
      if (scan.batch_frames < 20) continue;
      timed(() => scan.process_batch());
      while (scan.candidate()) scan.take_pixels(new Uint8Array(scan.candidate_bytes));
    }
    scan.free();
    best = Math.min(best, took_ms / list.length);
  }
  return best;
}

/** Milliseconds of CPU time that Chromium's processes take to decode a frame. */
async function inChromium(video, folder) {
  const browser = await launch();
  const server = await serve({ '/mediabunny/': join(ROOT, 'node_modules', 'mediabunny', 'dist', 'bundles'), '/': folder });
  try {
    const page = await browser.newPage();
    await page.goto(server.origin);
    const decode = () =>
      page.evaluate(async (name) => {
        const { ALL_FORMATS, BlobSource, Input, VideoSampleSink } = await import('/mediabunny/mediabunny.mjs');
        const input = new Input({ formats: ALL_FORMATS, source: new BlobSource(await (await fetch(name)).blob()) });
        let count = 0;
        for await (const sample of new VideoSampleSink(await input.getPrimaryVideoTrack()).samples()) {
          sample.close();
          count += 1;
        }
        return count;
      }, `/${video}`);
    await decode();
    let best = Infinity;
    for (let round = 0; round < ROUNDS; round++) {
      const before_ms = childrenCpu_ms();
      const count = await decode();
      best = Math.min(best, (childrenCpu_ms() - before_ms) / count);
    }
    return best;
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
    ffmpeg('-pix_fmt', 'yuv420p', raw);
    writeFileSync(join(folder, 'index.html'), '<!doctype html>');
    const read = frames(raw);
    const wasm_ms = await inWasm(read);
    const chromium_ms = await inChromium('part.mkv', folder);
    const native = told(join(ROOT, 'target', 'release', 'examples', 'sampling_cost'), [raw, String(ROUNDS)]);
    const other = told(join(python, 'python'), [join(ROOT, 'benches', 'python_baseline', 'content_cost.py'), raw, String(ROUNDS)]);
    return { video, frames: read.list.length, wasm_ms, chromium_ms, native, pyscenedetect: other };
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
