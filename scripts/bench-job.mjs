// `npm run bench:job`: the whole job natively, against the way it is usually put together in Python
// (benches/python_baseline), against decoding alone, and `framesift scenes` against PySceneDetect's command.
//
//   npm run bench:job -- VIDEO... [--rounds N] [--json]
//
// In each round every command has a turn; figures are medians of wall time, and of the most memory held at once. The
// first run sets up .cache/bench. Exit status: 0 measured, whether or not the bars hold; 1 something could not run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MODELS, ensureBaseline } from './bench/setup.mjs';
import { ROOT, SetupError, ensureFfmpegLibraries, ensurePrograms, main, run } from './lib/tools.mjs';

const FRAMESIFT = join(ROOT, 'target', 'release', 'framesift');

/** What is asked for: a ratio of medians and its limit. */
const BARS = [
  { what: 'Python / framesift, wall time', of: (t) => t.python.wall_s / t.framesift.wall_s, least: 4 },
  { what: 'framesift / Python, memory', of: (t) => t.framesift.rss_bytes / t.python.rss_bytes, most: 0.3 },
  { what: 'faces ignored / decoding alone, wall time', of: (t) => t.ignored.wall_s / t.decoding.wall_s, most: 1.3 },
  { what: 'PySceneDetect / framesift scenes, wall time', of: (t) => t.pyscenedetect.wall_s / t.scenes.wall_s, least: 2 },
];

function commands(video, python) {
  const models = ['centerface', 'mobilefacenet'].map((name) => join(MODELS, `${name}.fp32.onnx`));
  const extract = (out, ...more) => [FRAMESIFT, 'extract', video, '--out', out, '--device', 'cpu', '--progress', 'none', '--json', ...more];
  return {
    python: (out) => [join(python, 'python'), join(ROOT, 'benches', 'python_baseline', 'stack.py'), video, ...models, out],
    framesift: (out) => extract(out),
    ignored: (out) => extract(out, '--faces', 'ignore'),
    decoding: () => ['ffmpeg', '-v', 'error', '-threads', String(Math.min(4, cpus().length)), '-i', video, '-map', '0:v:0', '-f', 'null', '-'],
    scenes: () => [FRAMESIFT, 'scenes', video, '--progress', 'none'],
    pyscenedetect: (out) => [join(python, 'scenedetect'), '-q', '-i', video, '-o', out, 'detect-content', 'list-scenes'],
  };
}

/** Runs a command in a folder of its own: seconds, and the memory that it says it held. */
function measured(command) {
  const folder = mkdtempSync(join(tmpdir(), 'framesift-job-'));
  try {
    const [program, ...args] = command(join(folder, 'out'));
    const before_ms = performance.now();
    const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
    const wall_s = (performance.now() - before_ms) / 1000;
    if (error || status !== 0) throw new SetupError(`${program} ${args.join(' ')} failed:\n${stderr || error}`);
    const told = stdout.trim().startsWith('{') ? JSON.parse(stdout.trim().split('\n').at(-1)) : {};
    return { wall_s, rss_bytes: told.peak_rss_bytes, told };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

function measureAll(video, python, rounds) {
  const jobs = Object.entries(commands(video, python));
  const runs = Object.fromEntries(jobs.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of jobs) {
      console.error(`${basename(video)}, round ${round + 1} of ${rounds}: ${name} …`);
      runs[name].push(measured(command));
    }
  }
  const summary = (all) => ({
    wall_s: median(all.map((one) => one.wall_s)),
    rss_bytes: all[0].rss_bytes && median(all.map((one) => one.rss_bytes)),
    frames_kept: all[0].told.frames_kept,
    faces: all[0].told.faces,
  });
  return Object.fromEntries(Object.entries(runs).map(([name, all]) => [name, summary(all)]));
}

function print(video, times) {
  console.log(`\n${basename(video)}`);
  for (const [name, { wall_s, rss_bytes, frames_kept, faces }] of Object.entries(times)) {
    const memory = rss_bytes ? `${Math.round(rss_bytes / 1e6)} MB` : '';
    const found = frames_kept === undefined ? '' : `${frames_kept} frames, ${faces} faces`;
    console.log(`  ${name.padEnd(14)}${wall_s.toFixed(1).padStart(8)} s${memory.padStart(10)}   ${found}`);
  }
  for (const { what, of, least, most } of BARS) {
    const ratio = of(times);
    const holds = least === undefined ? ratio <= most : ratio >= least;
    console.log(`  ${what.padEnd(46)}${ratio.toFixed(2)} (${least === undefined ? `at most ${most}` : `at least ${least}`}: ${holds ? 'holds' : 'missed'})`);
  }
}

await main(() => {
  const { values, positionals } = parseArgs({ options: { rounds: { type: 'string' }, json: { type: 'boolean' } }, allowPositionals: true });
  const rounds = Number(values.rounds ?? 3);
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new SetupError('--rounds: a number from 1');
  if (positionals.length === 0) throw new SetupError('Which videos? npm run bench:job -- VIDEO...');
  const videos = positionals.map((video) => resolve(video));
  const missing = videos.find((video) => !existsSync(video));
  if (missing) throw new SetupError(`There is no file ${missing}.`);
  ensurePrograms('ffmpeg');
  ensureFfmpegLibraries();
  const python = ensureBaseline();
  run('cargo', ['build', '--locked', '--release', '--bin', 'framesift']);
  const all = videos.map((video) => ({ video, times: measureAll(video, python, rounds) }));
  if (values.json) console.log(JSON.stringify({ videos: all }));
  else all.forEach(({ video, times }) => print(video, times));
});
