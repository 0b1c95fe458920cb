// The native command on the same video: it must come to the same result as the page.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../scripts/lib/tools.mjs';

/** Runs `framesift extract`; returns its manifest. */
export async function extractNatively(video, ...options) {
  const folder = mkdtempSync(join(tmpdir(), 'framesift-native-'));
  try {
    const out = join(folder, 'out');
    const program = join(ROOT, 'target', 'debug', 'framesift');
    await promisify(execFile)(program, ['extract', video, '--out', out, ...options], { timeout: 600_000 });
    return JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const near = (a, b, tolerance, what) => assert.ok(Math.abs(a - b) <= tolerance, `${what}: ${a} and ${b}`);
const cosine = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);

/**
 * Two manifests of one video tell of the same scenes, the same kept frames and, unless
 * faces were ignored (the command looks for none then), the same faces.
 */
export function assertSameResult(page, native) {
  const scene = ({ start_frame, end_frame, transition, transition_start_frame }) =>
    [start_frame, end_frame, transition, transition_start_frame];
  assert.deepEqual(native.scenes.map(scene), page.scenes.map(scene));
  for (const [i, { start_s, end_s }] of page.scenes.entries()) {
    near(native.scenes[i].start_s, start_s, 1e-3, `start of scene ${i}`);
    near(native.scenes[i].end_s, end_s, 1e-3, `end of scene ${i}`);
  }
  assert.deepEqual(native.frames.map((f) => f.index), page.frames.map((f) => f.index));
  // The command looks for no faces where they are ignored.
  const left = (r) => [r.index, r.reason, ...(native.options.faces === 'ignore' ? [] : [r.faces ?? 0])];
  assert.deepEqual(native.rejected.map(left), page.rejected.map(left));
  assert.deepEqual(native.frames.map((f) => f.scene), page.frames.map((f) => f.scene));
  for (const [i, frame] of page.frames.entries()) {
    const other = native.frames[i];
    near(other.time_s, frame.time_s, 1e-3, `time of frame ${frame.index}`);
    near(other.sharpness, frame.sharpness, 1e-3 * frame.sharpness, `sharpness of frame ${frame.index}`);
    if (native.options.faces === 'ignore') continue;
    assert.equal(other.faces.length, frame.faces.length, `faces in frame ${frame.index}`);
    // Faces of nearly the same size may come in another order.
    const inOrder = (faces) => [...faces].sort((a, b) => a.bbox[0] - b.bbox[0]);
    const others = inOrder(other.faces);
    for (const [j, face] of inOrder(frame.faces).entries()) {
      const what = `face ${j} of frame ${frame.index}`;
      face.bbox.forEach((v, k) => near(others[j].bbox[k], v, 1, `box of ${what}`));
      face.landmarks.flat().forEach((v, k) => near(others[j].landmarks.flat()[k], v, 1, `landmarks of ${what}`));
      assert.equal(others[j].person, face.person, `person of ${what}`);
      if (face.embedding) near(cosine(face.embedding, others[j].embedding), 1, 1e-3, `cosine of ${what}`);
    }
  }
}
