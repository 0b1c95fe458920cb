// `npm run fuzz`: videos damaged at random, one after the other in one tab of the built page.
//   npm run fuzz -- --count 300 --seed 1
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { path } from '../tests/corpus/files.mjs';
import { mutate } from '../tests/corpus/mutate.mjs';
import { build } from './build.mjs';
import { PageFailure, launch, openPage, setOptions, waitForState, watchRendererMemory } from './lib/browser.mjs';
import { ROOT, ensureNpmPackages, ensurePrograms, main } from './lib/tools.mjs';

/** By then the page must have given up a file that keeps it busy. */
const MOST_MS = 150_000;
const SOUND = ['h264-pyramid.mp4', 'fragmented.mp4', 'plain.mov', 'plain.mkv', 'vp9.webm', 'av1.mp4', 'plain.ts', 'offset.mp4'];
const FOLDER = join(ROOT, '.cache', 'fuzz');

function timeOut(promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what} took more than ${MOST_MS / 1000} s`)), MOST_MS)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** One file from choosing to its result; how it ended: `refused`, `failed`, `short` of frames or `whole`. */
async function tryFile(page, file) {
  await page.locator('#file').setInputFiles(file);
  try {
    await timeOut(waitForState(page, 'ready'), 'opening');
  } catch (error) {
    if (error instanceof PageFailure) return { end: 'refused', says: error.message };
    throw error;
  }
  await setOptions(page, { faces: 'ignore', budget: 10 });
  await page.locator('#start').click();
  try {
    await timeOut(waitForState(page, 'done'), 'the scan');
  } catch (error) {
    if (error instanceof PageFailure) return { end: 'failed', says: error.message };
    throw error;
  }
  const says = await page.locator('#decoded').innerText();
  return { end: /^All /.test(says) ? 'whole' : 'short', says };
}

/** Runs `count` files; throws at the first that hangs or crashes the page, with the file's name. */
export async function fuzz(count, seed, log = () => {}) {
  mkdirSync(FOLDER, { recursive: true });
  const browser = await launch();
  const memory = watchRendererMemory();
  const ends = { refused: 0, failed: 0, short: 0, whole: 0 };
  let opened;
  try {
    opened = await openPage(browser);
    const { page, errors } = opened;
    let crashed = false;
    page.on('crash', () => (crashed = true));
    for (let i = 0; i < count; i++) {
      const sound = SOUND[i % SOUND.length];
      const { name, bytes } = mutate(readFileSync(path(sound)), seed * 1_000_003 + i);
      const file = join(FOLDER, `${seed}-${i}-${name}${extname(sound)}`);
      writeFileSync(file, bytes);
      const started = Date.now();
      try {
        const { end, says } = await tryFile(page, file);
        ends[end] += 1;
        log(`${i} ${sound} ${name}: ${end} in ${Date.now() - started} ms: ${says.replaceAll('\n', ' ').slice(0, 160)}`);
      } catch (error) {
        throw new Error(`${file}: ${crashed ? 'the tab crashed' : error.message}`, { cause: error });
      }
      if (errors.length > 0) throw new Error(`${file}: ${errors.join('; ')}`);
    }
  } finally {
    await opened?.close();
    await browser.close();
  }
  return { ...ends, peak_renderer_rss_bytes: memory.stop() };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(async () => {
    const { values } = parseArgs({ options: { count: { type: 'string', default: '300' }, seed: { type: 'string', default: '1' } } });
    ensureNpmPackages();
    ensurePrograms('chromium', 'ffmpeg', 'ffprobe');
    await build();
    console.log(JSON.stringify(await fuzz(Number(values.count), Number(values.seed), console.log)));
  });
}
