// A file of the corpus as FFmpeg, the page's decoding and the native command see it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../scripts/lib/tools.mjs';
import { FILES, path, run } from './files.mjs';
import { frames } from './truth.mjs';

/** Times agree when they differ by no more than Matroska's and the manifest's milliseconds. */
const SAME_TIME_S = 0.0011;

/**
 * `{ truth, page, command }`; page and command are counts, see below, or `{ refused }` with what the user
 * is told; or what must never be: `{ crashed }`, `{ hung }`, `{ ended }` by a signal.
 */
export async function examine(name, probe) {
  const file = path(name);
  const truth = frames(file);
  const { shift_s = 0 } = FILES[name];
  const shifted = truth.map(({ time_s, hash }) => ({ time_s: time_s + shift_s, hash }));
  return { truth, page: pageResult(shifted, await probe(file)), command: commandResult(truth, file) };
}

/**
 * `expected` frames by the container, `decoded` ones; of these `times` at the time and `pixels` with
 * the planes of a frame that FFmpeg shows; `notes` of what went wrong.
 */
function pageResult(truth, result) {
  if (!result.frames) return result;
  const hashes = new Set(truth.map(({ hash }) => hash));
  return {
    expected: result.expected,
    decoded: result.frames.length,
    times: countTimes(truth, result.frames),
    pixels: result.frames.filter(({ hash }) => hashes.has(hash)).length,
    notes: result.notes,
  };
}

/** The same for the command; it names times of candidates only, and gives no planes. */
function commandResult(truth, file) {
  const folder = mkdtempSync(join(tmpdir(), 'framesift-corpus-'));
  try {
    const out = join(folder, 'out');
    const program = join(ROOT, 'target', 'debug', 'framesift');
    const { status, signal, stderr } = run(program, ['extract', file, '--out', out, '--faces', 'ignore', '--budget', '4'], { timeout: 60_000 });
    if (signal) return { ended: signal };
    if (status !== 0) return { refused: stderr.trim() };
    const { video, frames: kept, rejected } = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
    const candidates = [...kept, ...rejected];
    const at = (index) => truth[index]?.time_s ?? NaN;
    return {
      expected: video.frames_expected,
      decoded: video.frames_decoded,
      missing: video.frames_missing,
      candidates: candidates.length,
      inTime: candidates.filter(({ index, time_s }) => Math.abs(at(index) - time_s) < SAME_TIME_S).length,
      notes: video.notes,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Frames at a time of the truth, each time used once, in order. */
function countTimes(truth, found) {
  const sorted = (list) => list.map(({ time_s }) => time_s).sort((a, b) => a - b);
  const times = sorted(truth);
  let next = 0;
  let count = 0;
  for (const time_s of sorted(found)) {
    while (times[next] < time_s - SAME_TIME_S) next += 1;
    if (times[next] <= time_s + SAME_TIME_S) {
      count += 1;
      next += 1;
    }
  }
  return count;
}
