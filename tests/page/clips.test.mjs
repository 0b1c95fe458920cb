// The larger real clips with ground truth, through `npm run extract`. Run only
// where ../shared/media is there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../../scripts/lib/tools.mjs';

const MEDIA = join(ROOT, '..', 'shared', 'media');

/** Runs the script; returns its JSON object and the manifest that it wrote. */
async function extract(video, ...options) {
  const folder = mkdtempSync(join(tmpdir(), 'framesift-clip-'));
  try {
    const out = join(folder, 'out');
    const args = [join(ROOT, 'scripts', 'extract.mjs'), video, '--out', out, '--json', ...options];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 600_000 });
    return { report: JSON.parse(stdout), manifest: JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const within = (ranges, frame) => ranges.some(({ start, end }) => start <= frame && frame < end);

for (const name of ['dev_A', 'dev_B']) {
  test(`${name}: all frames decoded, shots covered, faces found where faces are`, { timeout: 900_000 }, async (t) => {
    const truth = JSON.parse(readFileSync(join(MEDIA, `${name}.gt.json`), 'utf8'));
    const { report, manifest } = await extract(join(MEDIA, truth.video));
    t.diagnostic(JSON.stringify(report));
    assert.equal(report.frames_decoded, truth.frames);
    assert.equal(report.frames_missing, 0);
    assert.equal(report.requests_after_file_chosen, 0);
    assert.ok(manifest.frames.length <= manifest.options.budget);

    const kept = manifest.frames.map((f) => f.index);
    const covered = truth.segments.filter((s) => kept.some((i) => s.start <= i && i < s.end));
    assert.ok(covered.length >= 0.95 * truth.segments.length, `${covered.length} of ${truth.segments.length} shots covered`);
    const blended = kept.filter((i) => within(truth.graduals, i)).length;
    assert.ok(blended <= 0.06 * kept.length, `${blended} of ${kept.length} frames in transitions`);

    const withFaces = new Set(manifest.frames.filter((f) => f.faces.length > 0).map((f) => f.index));
    const faceShots = covered.filter((s) => s.kind === 'face');
    const found = faceShots.filter((s) => [...withFaces].some((i) => s.start <= i && i < s.end));
    assert.ok(found.length >= 0.85 * faceShots.length, `faces in ${found.length} of ${faceShots.length} face shots`);
  });
}
