// How the page feels while it works: nothing blocks the user for long, also with thousands of results.
import assert from 'node:assert/strict';
import { choose, pageTest, scan } from './harness.mjs';
import { media } from './media.mjs';

/** Longest that the page’s own thread may be busy with one thing, in milliseconds. */
const MOST_BLOCKED_MS = 100;

/** Notes tasks of the page’s thread that take more than 50 ms, and how long the browser takes to answer input. */
const WATCH = {
  init: () => {
    window.Worker = class extends window.Worker {
      constructor(url, options) {
        super(url, options);
        if (options.name === 'framesift job') window.job = this;
      }
    };
    window.longTasks_ms = [];
    window.inputs_ms = [];
    new window.PerformanceObserver((list) => window.longTasks_ms.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
    new window.PerformanceObserver((list) => {
      const answered = list.getEntries().map(({ processingStart, processingEnd, startTime }) => Math.max(processingStart, processingEnd) - startTime);
      window.inputs_ms.push(...answered);
    }).observe({ type: 'event', durationThreshold: 16 });
  },
};

/** What was noted since the last call. */
const noted = (page) => page.evaluate(() => ({ longTasks_ms: window.longTasks_ms.splice(0), inputs_ms: window.inputs_ms.splice(0) }));

/** What `act` does must go smoothly, at least once in three times: other programs may take the processor away. */
async function assertSmooth(page, what, act) {
  for (let round = 1; ; round++) {
    await noted(page);
    await act(round);
    const { longTasks_ms, inputs_ms } = await noted(page);
    const [blocked_ms, waited_ms] = [longTasks_ms, inputs_ms].map((all) => Math.round(Math.max(0, ...all)));
    if (blocked_ms < MOST_BLOCKED_MS && waited_ms < MOST_BLOCKED_MS) return;
    assert.ok(round < 3, `${what}: the page was blocked for ${blocked_ms} ms, input waited for ${waited_ms} ms`);
  }
}

pageTest('while it scans the page answers at once', async ({ page }) => {
  await choose(page, media('long.mp4'));
  await page.locator('#start').click();
  await page.locator('.strip canvas').nth(2).waitFor({ state: 'attached' });
  await assertSmooth(page, 'scanning', async () => {
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press('Tab');
      await page.mouse.move(100 + 10 * i, 300);
      await page.locator('#privacy summary').click();
      await page.waitForTimeout(100);
    }
    assert.equal(await page.evaluate(() => document.body.dataset.state), 'running');
  });
}, WATCH);

/** Shows a result of so many frames as if the job had found it: scanning that much would take minutes. */
async function show(page, frames, without = -1) {
  await page.evaluate(
    async ([frames, without]) => {
      const answer = (data) => window.job.dispatchEvent(new window.MessageEvent('message', { data }));
      if (!window.shown) {
        const canvas = new window.OffscreenCanvas(320, 180);
        for (let i = 0; i < frames; i++) {
          const context = canvas.getContext('2d');
          context.fillStyle = `hsl(${i} 60% 50%)`;
          context.fillRect(0, 0, 320, 180);
          const thumbnail = await canvas.convertToBlob({ type: 'image/jpeg' });
          answer({ type: 'candidate', candidate: { index: i, time_s: i / 25, thumbnail, faces: [] } });
        }
        window.shown = true;
      }
      const face = (i) => ({
        bbox: [50, 40, 60 + (i % 50), 80], score: 0.9, landmarks: [[60, 60], [90, 60], [75, 80], [62, 100], [88, 100]],
        pose: { yaw_deg: i % 60, pitch_deg: 0, roll_deg: 0 }, quality: ((i * 37) % 100) / 100, flags: [], person: i % 40, crop: `faces/${i}.jpg`,
      });
      const all = Array.from({ length: frames }, (_, i) => ({ file: `frames/${i}.jpg`, index: i, time_s: i / 25, scene: Math.floor(i / 10), sharpness: 100, faces: [face(i)] }));
      const manifest = {
        options: {}, pack: {}, tool: {}, timings_s: {}, rejected: [],
        video: { name: 'many.mp4', duration_s: frames / 25, width: 640, height: 360, rotation_deg: 0, codec: 'h264', frames_expected: frames, frames_decoded: frames, frames_missing: 0, notes: [] },
        scenes: Array.from({ length: Math.ceil(frames / 10) }, (_, i) => ({ index: i, start_s: i * 0.4, end_s: (i + 1) * 0.4, start_frame: i * 10, end_frame: i * 10 + 10, transition: 'cut' })),
        frames: all.filter(({ index }) => index !== without),
        people: Array.from({ length: 40 }, (_, id) => ({ id, faces: frames / 40, best: `faces/${id}.jpg` })),
      };
      answer({ type: 'selected', manifest: { ...manifest, options: { format: 'jpg', quality: 92, crops: 'loose', folders: 'flat' } }, wasm_memory_bytes: 0 });
    },
    [frames, without],
  );
}

for (const frames of [1000, 5000]) {
  pageTest(`${frames} results are reviewed without waiting`, async ({ page }) => {
    await scan(page, media('vp9.webm'), { budget: 3 });
    await show(page, frames);
    await page.waitForFunction((n) => document.querySelectorAll('.gallery li').length === n, frames);
    await page.waitForTimeout(300);
    await assertSmooth(page, 'walking', async () => {
      await page.locator('.gallery .picture').first().focus();
      for (const key of ['ArrowRight', 'ArrowDown', 'End', 'Home', 'ArrowRight']) {
        await page.keyboard.press(key);
        await page.waitForTimeout(60);
      }
    });
    await assertSmooth(page, 'another choice', async (round) => {
      await show(page, frames, round);
      await page.waitForFunction(([n, gone]) => document.querySelectorAll('.gallery li').length === n && !document.querySelector(`.gallery [data-index="${gone}"]`), [frames - 1, round]);
    });
    await assertSmooth(page, 'scrolling', async () => {
      for (let i = 0; i < 10; i++) {
        await page.mouse.wheel(0, 3000);
        await page.waitForTimeout(60);
      }
    });
    const sort = async (by) => {
      await page.locator('#sort').selectOption(by);
      await page.waitForFunction(([by, n]) => {
        const cards = [...document.querySelectorAll('.gallery li')].map(({ dataset: { index } }) => (by === 'scene' ? -index : (index * 37) % 100));
        return cards.length === n && cards.every((value, i) => i === 0 || value <= cards[i - 1]);
      }, [by, frames - 1]);
    };
    if (frames <= 1000) await assertSmooth(page, 'sorting', (round) => sort(round % 2 ? 'quality' : 'scene'));
    else await sort('quality');
  }, WATCH);
}
