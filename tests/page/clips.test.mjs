// The larger real clips with ground truth, through `npm run extract`. Run only
// where ../shared/media is there.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../../scripts/lib/tools.mjs';
import { assertSameResult, extractNatively } from './native.mjs';

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

/** Bits of 64 up to which the hashes of two pictures count as near-duplicates. */
const NEAR_BITS = 6;

/** How many of some frames look like an earlier one of them: pHash, computed here and by nothing of framesift. */
function nearDuplicates(video, frames) {
  const args = ['-v', 'error', '-i', video, '-vf', 'scale=32:32:flags=area,format=gray', '-fps_mode', 'passthrough'];
  const { stdout } = spawnSync('ffmpeg', [...args, '-f', 'rawvideo', '-'], { maxBuffer: 1 << 28 });
  const hashes = frames.map((i) => hash(stdout.subarray(i * 1024, (i + 1) * 1024)));
  const bits = (a, b) => a.reduce((sum, bit, i) => sum + (bit === b[i] ? 0 : 1), 0);
  return hashes.filter((h, i) => hashes.slice(0, i).some((other) => bits(h, other) <= NEAR_BITS)).length;
}

/** The signs of the lowest 8 × 8 DCT coefficients of 32 × 32 samples against their median. */
function hash(samples) {
  const wave = (f, x) => Math.cos(((2 * x + 1) * f * Math.PI) / 64);
  const coefficients = Array.from({ length: 64 }, (_, k) =>
    samples.reduce((sum, v, i) => sum + v * wave(k % 8, i % 32) * wave(k >> 3, i >> 5), 0),
  );
  const sorted = [...coefficients].sort((a, b) => a - b);
  const median = (sorted[31] + sorted[32]) / 2;
  assert.equal(samples.length, 1024, 'ffmpeg decodes the frame');
  return coefficients.map((c) => c > median);
}

// dev_B repeats still shots: covering all of them forces eight near-duplicates.
const JOBS = [
  { name: 'dev_A', faces: 'prefer', duplicates: 0.03 },
  { name: 'dev_A', faces: 'ignore', duplicates: 0.02 },
  { name: 'dev_B', faces: 'prefer', duplicates: 0.11 },
];
for (const { name, faces, duplicates } of JOBS) {
  test(`${name}, faces: ${faces}: all frames decoded, shots covered, little twice, natively the same`, { timeout: 900_000 }, async (t) => {
    const truth = JSON.parse(readFileSync(join(MEDIA, `${name}.gt.json`), 'utf8'));
    const { report, manifest } = await extract(join(MEDIA, truth.video), '--faces', faces, '--budget', '245');
    t.diagnostic(JSON.stringify(report));
    assert.equal(report.frames_decoded, truth.frames);
    assert.equal(report.frames_missing, 0);
    assert.equal(report.requests_after_file_chosen, 0);
    assert.ok(manifest.frames.length <= manifest.options.budget);

    const kept = manifest.frames.map((f) => f.index);
    const covered = truth.segments.filter((s) => kept.some((i) => s.start <= i && i < s.end));
    assert.equal(covered.length, truth.segments.length, 'shots covered');
    const blended = kept.filter((i) => within(truth.graduals, i)).length;
    assert.ok(blended <= 0.01 * kept.length, `${blended} of ${kept.length} frames in transitions`);

    const alike = nearDuplicates(join(MEDIA, truth.video), kept);
    t.diagnostic(`${alike} of ${kept.length} near-duplicates`);
    assert.ok(alike <= duplicates * kept.length, `${alike} of ${kept.length} frames are near-duplicates`);

    assertSameResult(manifest, await extractNatively(join(MEDIA, truth.video), '--faces', faces, '--budget', '245'));

    if (faces === 'ignore') return;
    const share = (frames, of) => frames.filter((i) => within(truth.segments.filter((s) => s.kind === 'face'), i)).length / of;
    const anyFrame = Array.from({ length: truth.frames }, (_, i) => i);
    const [ours, uniform] = [share(kept, kept.length), share(anyFrame, truth.frames)];
    assert.ok(ours >= uniform, `${ours} of the frames in face shots, ${uniform} of the video`);
    const withFaces = new Set(manifest.frames.filter((f) => f.faces.length > 0).map((f) => f.index));
    const faceShots = covered.filter((s) => s.kind === 'face');
    const found = faceShots.filter((s) => [...withFaces].some((i) => s.start <= i && i < s.end));
    assert.ok(found.length >= 0.95 * faceShots.length, `faces in ${found.length} of ${faceShots.length} face shots`);
  });
}
