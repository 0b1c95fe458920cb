// `npm run extract -- VIDEO --out DIR`: the built page in headless Chromium does
// the work; what its ZIP holds is written to DIR.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { PageFailure, launch, openPage, setOptions, waitForState, watchRendererMemory } from './lib/browser.mjs';
import { SetupError, ensurePrograms } from './lib/tools.mjs';
import { unpackZip } from './lib/zip.mjs';

const USAGE = `Usage: npm run extract -- VIDEO --out DIR [options]

  --out DIR            folder to write to; created, must be empty or new
  --budget N           most frames to keep (default 500)
  --faces MODE         ignore, prefer (default) or require
  --similarity X       frames at least this alike count as the same, 0-1 (default 0.8)
  --detector NAME      how scenes are found: default, or one of PySceneDetect's:
                       content, adaptive, hash, hist, threshold
  --sensitivity LEVEL  of our own detector: low, normal (default) or high
  --min-face PX        smallest face that counts (default 20)
  --batch N            frames per batch (default 50)
  --workers N          analysis workers, 1-4 (default 4)
  --format FORMAT      jpg (default), webp or png
  --quality N          of JPEG and WebP files, 1-100 (default 92)
  --max-side PX        longer side of the frames that are written, at most
  --crops KIND         how faces are cut out: loose (default), arcface112, ffhq512, none
  --folders KIND       flat (default), scene or person
  --also KIND[,KIND]   files for other tools: imagefolder, coco, yolo, csv, contact
  --embeddings         write identity vectors (biometric data) to the manifest
  --json               print one JSON object: counts, timings, memory, requests
`;

/** Options that are one of some words. */
const CHOICES = {
  faces: ['ignore', 'prefer', 'require'],
  detector: ['default', 'content', 'adaptive', 'hash', 'hist', 'threshold'],
  sensitivity: ['low', 'normal', 'high'],
  format: ['jpg', 'webp', 'png'],
  crops: ['loose', 'arcface112', 'ffhq512', 'none'],
  folders: ['flat', 'scene', 'person'],
  also: ['imagefolder', 'coco', 'yolo', 'csv', 'contact'],
};

class UsageError extends Error {}

function readArguments() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        budget: { type: 'string' },
        faces: { type: 'string' },
        similarity: { type: 'string' },
        detector: { type: 'string' },
        sensitivity: { type: 'string' },
        'min-face': { type: 'string' },
        batch: { type: 'string' },
        workers: { type: 'string' },
        format: { type: 'string' },
        quality: { type: 'string' },
        'max-side': { type: 'string' },
        crops: { type: 'string' },
        folders: { type: 'string' },
        also: { type: 'string' },
        embeddings: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error.message);
  }
  const { values, positionals } = parsed;
  if (values.help) return { help: true };
  if (positionals.length !== 1) throw new UsageError('Name exactly one video file.');
  if (!values.out) throw new UsageError('Say where to write: --out DIR');
  const number = (name, min, max, integer) => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!(value >= min && value <= max) || (integer && !Number.isInteger(value)) || text.trim() === '') {
      throw new UsageError(`--${name} ${text}: expected ${integer ? 'a whole number' : 'a number'} from ${min} to ${max}`);
    }
    return value;
  };
  const also = values.also?.split(',') ?? [];
  for (const [name, known] of Object.entries(CHOICES)) {
    const wrong = (name === 'also' ? also : [values[name]]).find((value) => value !== undefined && !known.includes(value));
    if (wrong !== undefined) throw new UsageError(`--${name} ${wrong}: expected one of ${known.join(', ')}`);
  }
  if (values.sensitivity && values.detector && values.detector !== 'default') {
    throw new UsageError('--sensitivity is for the default detector');
  }
  const video = resolve(positionals[0]);
  if (!existsSync(video) || !statSync(video).isFile()) throw new UsageError(`There is no file ${positionals[0]}`);
  const out = resolve(values.out);
  if (existsSync(out) && (!statSync(out).isDirectory() || readdirSync(out).length > 0)) {
    throw new UsageError(`--out ${values.out}: the folder must be new or empty, so that nothing is overwritten`);
  }
  return {
    video,
    out,
    json: values.json,
    options: {
      budget: number('budget', 1, 100000, true),
      similarity: number('similarity', 0, 1, false),
      batch: number('batch', 1, 500, true),
      workers: number('workers', 1, 4, true),
      quality: number('quality', 1, 100, true),
      max_side: number('max-side', 16, 65535, true),
      faces: values.faces,
      detector: values.detector,
      sensitivity: values.sensitivity,
      min_face: number('min-face', 0, 10000, true),
      embeddings: values.embeddings,
      format: values.format,
      crops: values.crops,
      folders: values.folders,
      also,
    },
  };
}

/** Prints the page's progress line in place on a terminal, not at all elsewhere. */
function showProgress(page) {
  if (!process.stderr.isTTY) return () => {};
  const timer = setInterval(async () => {
    const text = await page.locator('.progress-text').innerText().catch(() => '');
    process.stderr.write(`\r\x1b[K${text}`);
  }, 500);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[K');
  };
}

async function extract({ video, out, options }) {
  ensurePrograms('chromium');
  await build();
  const browser = await launch();
  const temporary = mkdtempSync(join(tmpdir(), 'framesift-'));
  let opened;
  try {
    opened = await openPage(browser);
    const { page, errors, countRequests } = opened;
    const memory = watchRendererMemory();
    const requestsSince = countRequests();
    await page.locator('#file').setInputFiles(video);
    await waitForState(page, 'ready');
    await setOptions(page, options);
    const stopProgress = showProgress(page);
    await page.locator('#start').click();
    await waitForState(page, 'done');
    const wasmMemory = Number(await page.locator('body').getAttribute('data-wasm-memory-bytes'));
    const zip = join(temporary, 'export.zip');
    const download = page.waitForEvent('download', { timeout: 0 });
    await page.locator('#download').click();
    await waitForState(page, 'done');
    await (await download).saveAs(zip);
    stopProgress();
    const peak = memory.stop();
    const requests = requestsSince();
    mkdirSync(out, { recursive: true });
    await unpackZip(zip, out);
    if (errors.length > 0) throw new PageFailure(`The page reported errors: ${errors.join('; ')}`);
    return { peak, wasmMemory, requests };
  } finally {
    await opened?.close();
    await browser.close();
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function report({ out, json }, { peak, wasmMemory, requests }) {
  const { readFile } = await import('node:fs/promises');
  const manifest = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8'));
  const { video, frames, scenes, people, timings_s } = manifest;
  const counts = {
    frames_expected: video.frames_expected,
    frames_decoded: video.frames_decoded,
    frames_missing: video.frames_missing,
    frames_kept: frames.length,
    frames_with_faces: frames.filter((f) => f.faces.length > 0).length,
    faces: frames.reduce((sum, f) => sum + f.faces.length, 0),
    people: people.length,
    scenes: scenes.length,
    candidates: frames.length + manifest.rejected.length,
  };
  if (json) {
    const memory = { peak_renderer_rss_bytes: peak, wasm_memory_bytes: wasmMemory, requests_after_file_chosen: requests };
    console.log(JSON.stringify({ out, ...counts, timings_s, device: manifest.device, notes: video.notes, ...memory }));
    return;
  }
  console.log(`${counts.frames_decoded} of ${counts.frames_expected} frames decoded, ${counts.frames_missing} missing.`);
  console.log(`${counts.frames_kept} frames kept from ${counts.scenes} scenes, ${counts.faces} faces of ${counts.people} people.`);
  for (const note of video.notes) console.log(`Note: ${note}`);
  console.log(`Written to ${out}`);
}

try {
  const job = readArguments();
  if (job.help) console.log(USAGE);
  else await report(job, await extract(job));
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`);
  else if (error instanceof PageFailure || error instanceof SetupError) console.error(error.message);
  else console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
