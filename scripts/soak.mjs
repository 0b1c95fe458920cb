// `npm run soak`: the page's memory over a long video, or over many in one tab.
//   npm run soak -- --minutes 10            one video of 1080p, made by looping
//   npm run soak -- --minutes 2 --size 3840x2160
//   npm run soak -- --files 20              so many short ones
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { media } from '../tests/page/media.mjs';
import { build } from './build.mjs';
import { launch, openPage, setOptions, waitForState, watchRendererMemory } from './lib/browser.mjs';
import { ROOT, ensureNpmPackages, ensurePrograms, main, run } from './lib/tools.mjs';

const FOLDER = join(ROOT, '.cache', 'soak');
/** Points of the curve that are printed. */
const POINTS = 20;
const megabytes = (bytes) => Math.round(bytes / 1e6);

/** People and scenes of the tests' video at another size, over and over. */
function longVideo(minutes, size) {
  mkdirSync(FOLDER, { recursive: true });
  const [once, looped] = [join(FOLDER, `${size}.mp4`), join(FOLDER, `${size}-${minutes}.mp4`)];
  const ffmpeg = (...args) => run('ffmpeg', ['-v', 'error', '-y', ...args]);
  if (!existsSync(once)) ffmpeg('-i', media('people.mp4'), '-vf', `scale=${size.replace('x', ':')}`, '-c:v', 'libx264', '-preset', 'veryfast', '-g', '50', once);
  if (!existsSync(looped)) ffmpeg('-stream_loop', '-1', '-i', once, '-t', String(60 * minutes), '-c', 'copy', looped);
  return looped;
}

/** Scans and saves a file; the numbers are of the renderer's resident memory. */
async function work(page, file, workers) {
  await page.locator('#file').setInputFiles(file);
  await waitForState(page, 'ready');
  await setOptions(page, { workers });
  await page.locator('#start').click();
  await waitForState(page, 'done');
  const saved = page.waitForEvent('download', { timeout: 0 });
  await page.locator('#download').click();
  await (await saved).cancel();
}

await main(async () => {
  const { values } = parseArgs({
    options: { minutes: { type: 'string', default: '10' }, size: { type: 'string', default: '1920x1080' }, files: { type: 'string' }, workers: { type: 'string', default: '2' } },
  });
  ensureNpmPackages();
  ensurePrograms('chromium', 'ffmpeg', 'ffprobe');
  await build();
  const video = values.files ? media('people.mp4') : longVideo(Number(values.minutes), values.size);
  const count = Number(values.files ?? 1);
  const browser = await launch();
  const opened = await openPage(browser);
  const peaks = [];
  try {
    for (let i = 0; i < count; i++) {
      const samples = [];
      const memory = watchRendererMemory(samples);
      await work(opened.page, video, Number(values.workers));
      const peak = memory.stop();
      peaks.push(peak);
      if (count > 1) {
        console.log(`file ${i + 1}: ${megabytes(peak)} MB at most, ${megabytes(samples.at(-1).rss_bytes)} MB at its end`);
        continue;
      }
      const stride = Math.max(1, Math.floor(samples.length / POINTS));
      for (const { at_s, rss_bytes } of samples.filter((_, n) => n % stride === 0)) {
        console.log(`${at_s.toFixed(0).padStart(6)} s ${String(megabytes(rss_bytes)).padStart(5)} MB ${'#'.repeat(Math.round(rss_bytes / 1e7))}`);
      }
    }
  } finally {
    await opened.close();
    await browser.close();
  }
  console.log(JSON.stringify({ video, workers: Number(values.workers), peak_renderer_rss_mb: peaks.map(megabytes) }));
});
