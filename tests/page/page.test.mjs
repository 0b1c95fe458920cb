// The built page in headless Chromium on real videos, end to end.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { PageFailure, setOptions, waitForState } from '../../scripts/lib/browser.mjs';
import { path } from '../corpus/files.mjs';
import { choose, download, pageTest, scan, validate } from './harness.mjs';
import { SHOT_FRAMES, media, times } from './media.mjs';
import { assertSameResult, extractNatively } from './native.mjs';

/** Width and height from a JPEG's frame header. */
function jpegSize(jpeg) {
  let at = 2;
  while (!(jpeg[at + 1] >= 0xc0 && jpeg[at + 1] <= 0xc3)) at += 2 + jpeg.readUInt16BE(at + 2);
  return [jpeg.readUInt16BE(at + 7), jpeg.readUInt16BE(at + 5)];
}

function near(a, b, tolerance, what) {
  assert.ok(Math.abs(a - b) <= tolerance, `${what}: ${a}, expected ${b} ± ${tolerance}`);
}

/** Every frame decoded, and each kept one at its own presentation time. */
function checkFrames(manifest, file) {
  const expected = times(file);
  const { frames_expected, frames_decoded, frames_missing, notes } = manifest.video;
  assert.deepEqual({ frames_expected, frames_decoded, frames_missing, notes }, {
    frames_expected: expected.length,
    frames_decoded: expected.length,
    frames_missing: 0,
    notes: [],
  });
  assert.ok(manifest.frames.length > 0);
  for (const frame of [...manifest.frames, ...manifest.rejected]) {
    near(frame.time_s, expected[frame.index], 0.0011, `time of frame ${frame.index}`);
  }
}

pageTest('a video with B-frames becomes a set of stills of the right people', async ({ page }) => {
  const file = media('people.mp4');
  await scan(page, file);
  const { entries, manifest } = await download(page);
  checkFrames(manifest, file);

  assert.deepEqual(manifest.scenes.map((s) => s.start_frame), SHOT_FRAMES.slice(0, -1));
  assert.equal(manifest.scenes.at(-1).end_frame, SHOT_FRAMES.at(-1));
  for (const { index } of manifest.scenes) {
    assert.ok(manifest.frames.some((f) => f.scene === index), `scene ${index} has a frame`);
  }

  // Four women in the first photo, four in the second, three in the third; the last
  // two shots show the first two photos again. Crops may cut the outer ones off.
  const people = (scene) =>
    new Set(manifest.frames.filter((f) => f.scene === scene).flatMap((f) => f.faces).map((f) => f.person));
  const shared = (a, b) => [...people(a)].filter((p) => people(b).has(p)).length;
  for (const scene of [0, 1, 2, 3, 4]) assert.ok(people(scene).size >= 2, `scene ${scene} shows people`);
  assert.ok(shared(0, 3) >= 2, 'the first group is recognised when it comes back');
  assert.ok(shared(1, 4) >= 2, 'the second group is recognised when it comes back');
  for (const [a, b] of [[0, 1], [0, 2], [1, 2]]) assert.equal(shared(a, b), 0, `scenes ${a} and ${b} show strangers`);

  for (const frame of manifest.frames) {
    const jpeg = entries.get(frame.file);
    assert.ok(jpeg?.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff])), `${frame.file} is a JPEG`);
    for (const face of frame.faces) {
      assert.ok(entries.get(face.crop)?.length > 500, `${face.crop} is there`);
      assert.equal(face.embedding, undefined, 'no biometric data unless asked for');
    }
  }
  // Beside them manifest.json and scenes.csv.
  assert.equal(entries.size, 2 + manifest.frames.length + manifest.frames.flatMap((f) => f.faces).length);
});

pageTest("PySceneDetect's detector gives its scenes, and a table of them in its form", async ({ page }) => {
  const fixtures = new URL('../fixtures/pyscenedetect/', import.meta.url);
  const { clips } = JSON.parse(readFileSync(new URL('cuts.json', fixtures), 'utf8'));
  await scan(page, fileURLToPath(new URL('clip.mp4', fixtures)), { faces: 'ignore', budget: 20, detector: 'adaptive' });
  const { entries, manifest } = await download(page);
  assert.deepEqual(manifest.scenes.slice(1).map((s) => s.start_frame), clips['clip.mp4'].adaptive);
  assert.equal(manifest.options.detector.name, 'adaptive');
  assert.equal(manifest.options.detector.threshold, 3, 'the manifest states the defaults');
  const [a, b] = clips['clip.mp4'].adaptive;
  // 25 frames per second; all of it within the first minute.
  const seconds = (frames) => (frames / 25).toFixed(3);
  const timecode = (frames) => `00:00:${seconds(frames).padStart(6, '0')}`;
  const place = (number, at) => `${number},${timecode(at)},${seconds(at)}`;
  const [cuts, head, first, second, ...rest] = entries.get('scenes.csv').toString('utf8').trimEnd().split('\n');
  assert.equal(cuts.split(',').slice(0, 3).join(), `Timecode List:,${timecode(a)},${timecode(b)}`);
  assert.match(head, /^Scene Number,Start Frame,Start Timecode,/);
  assert.equal(first.split(',').slice(0, 3).join(), '1,1,00:00:00.000');
  assert.equal(second, `2,${place(a + 1, a)},${place(b, b)},${place(b - a, b - a)}`);
  assert.equal(rest.length, manifest.scenes.length - 2);
});

for (const name of ['vfr.mp4', 'fragmented.mp4', 'people.ts', 'people.mkv', 'vp9.webm']) {
  pageTest(`every frame of ${name} is decoded, at its own time`, async ({ page }) => {
    await scan(page, media(name), { faces: 'ignore', budget: 20 });
    const { manifest } = await download(page);
    checkFrames(manifest, media(name));
  });
}

for (const name of ['people.mp4', 'rotated.mp4', 'vfr.mp4', 'vp9.webm', 'hdr.mp4']) {
  pageTest(`the native command comes to the same result for ${name}`, async ({ page }) => {
    await scan(page, media(name), { budget: 40, embeddings: true });
    const { manifest } = await download(page);
    const native = await extractNatively(media(name), '--budget', '40', '--embeddings');
    assert.ok(validate(native), `the native manifest.json against its schema: ${JSON.stringify(validate.errors)}`);
    assert.equal(manifest.frames.some((f) => f.faces.length > 0), true);
    assertSameResult(manifest, native);
    assert.deepEqual([manifest.video.hdr, native.video.hdr], Array(2).fill(name === 'hdr.mp4' ? 'pq' : undefined));
  });
}

/** Pictures and times beyond the usual: sharpness and choice show whether both read them alike. */
const UNUSUAL = ['h264-422.mp4', 'h264-444.mp4', 'h264-10bit.mp4', 'vp9-odd.webm', 'vp9-444.webm', 'bt709-full.mp4', 'bt2020.mp4', 'hlg.mp4', 'sar.mp4', 'mirrored.mp4', 'resized.ts', 'tiny.mp4', 'offset.mp4', 'offset.mkv', 'late-video.mp4', 'fragmented.mp4', 'live.mkv', 'plain.ts', 'two-videos.mp4', 'h264-one-frame.mp4'];
for (const name of UNUSUAL) {
  pageTest(`the page and the command choose the same frames of ${name}`, async ({ page }) => {
    await scan(page, path(name), { budget: 10, faces: 'ignore' });
    const { manifest } = await download(page);
    assertSameResult(manifest, await extractNatively(path(name), '--budget', '10', '--faces', 'ignore'));
  });
}

pageTest('a rotated video is turned upright before faces are looked for', async ({ page }) => {
  await scan(page, media('rotated.mp4'), { budget: 8 });
  const { entries, manifest } = await download(page);
  assert.deepEqual([manifest.video.width, manifest.video.height], [360, 640]);
  assert.ok([90, 270].includes(manifest.video.rotation_deg));
  assert.ok(manifest.frames.flatMap((f) => f.faces).length > 0, 'faces are found only in an upright picture');
  for (const { file } of manifest.frames) assert.deepEqual(jpegSize(entries.get(file)), [360, 640], `${file} is upright`);
  for (const { faces } of manifest.frames) {
    for (const { bbox: [x, y, w, h] } of faces) {
      assert.ok(x >= -1 && y >= -1 && x + w <= 361 && y + h <= 641, 'boxes lie within the upright picture');
    }
  }
});

pageTest('another budget chooses again without decoding; all options reach the result', async ({ page }) => {
  await scan(page, media('people.mp4'), { batch: 7, workers: 1 });
  const kept = () => page.locator('.gallery li').count();
  const before = await kept();
  assert.ok(before > 5);
  let decodedAgain = false;
  await page.exposeFunction('sawRunning', () => (decodedAgain = true));
  await page.evaluate(() => {
    new MutationObserver(() => document.body.dataset.state === 'running' && window.sawRunning()).observe(document.body, { attributes: true });
  });
  await page.locator('#option-budget').fill('5');
  await page.locator('#option-budget').press('Enter');
  await page.locator('#option-budget').blur();
  await page.waitForFunction(() => document.querySelectorAll('.gallery li').length === 5);
  await page.locator('#option-embeddings').check();
  await page.locator('#option-sensitivity').selectOption('low');
  await page.locator('#option-gate-truncated').check();
  await page.locator('#tab-left-out').click();
  const leftOut = await page.locator('.group .count').allInnerTexts();
  const { manifest } = await download(page);
  assert.equal(decodedAgain, false);
  assert.equal(manifest.options.sensitivity, 'low');
  assert.deepEqual(manifest.options.face_gates, ['blurred', 'dark', 'bright', 'truncated']);
  // The page says of every candidate that was left out why.
  assert.equal(leftOut.reduce((sum, text) => sum + Number.parseInt(text, 10), 0), manifest.rejected.length);
  assert.equal(manifest.frames.length, 5);
  assert.deepEqual([manifest.options.budget, manifest.options.batch, manifest.options.workers], [5, 7, 1]);
  assert.equal(manifest.frames.flatMap((f) => f.faces)[0].embedding.length, 192);
});

pageTest('a job can be cancelled, and the next one works', async ({ page }) => {
  await choose(page, media('long.mp4'));
  await page.locator('#start').click();
  await page.locator('.strip canvas').nth(3).waitFor({ state: 'attached', timeout: 60_000 });
  await page.setViewportSize({ width: 390, height: 800 });
  const { scrollWidth, clientWidth } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return { scrollWidth, clientWidth };
  });
  assert.ok(scrollWidth <= clientWidth, `nothing is wider than a narrow page: ${scrollWidth} of ${clientWidth} pixels`);
  await page.locator('#cancel').click();
  await waitForState(page, 'ready');
  await scan(page, media('vp9.webm'), { faces: 'ignore' });
  assert.match(await page.locator('#decoded').innerText(), /All 50 frames decoded/);
});

pageTest('how long a scan will take is told beforehand, and does not keep it from starting', async ({ page }) => {
  await choose(page, media('long.mp4'));
  await page.waitForFunction(() => /^This takes about .* to .* on this machine/.test(document.querySelector('#estimated-time').textContent));
  await choose(page, media('people.mp4'));
  await page.locator('#start').click();
  await waitForState(page, 'done');
});

pageTest('a file that takes long to open can be given up', async ({ page }) => {
  await page.locator('#file').setInputFiles(media('people.mp4'));
  await page.locator('body[data-state="opening"]').waitFor();
  await page.locator('#cancel-opening').click();
  await page.locator('body[data-state="idle"]').waitFor();
  await page.evaluate(() => (window.opens = true));
  await choose(page, media('vp9.webm'));
  assert.match(await page.locator('.choose .facts-list').innerText(), /vp9\.webm/);
}, {
  init: () => {
    const post = window.Worker.prototype.postMessage;
    window.Worker.prototype.postMessage = function (message, ...rest) {
      if (message.type !== 'open' || window.opens) post.call(this, message, ...rest);
    };
  },
});

/** What happens to an analysis worker, and what ends it. */
const LOSSES = {
  crashes: () => void setTimeout(() => {
    throw new Error('out of memory');
  }),
  hangs: () => {
    for (;;);
  },
};

for (const [happens, what] of Object.entries(LOSSES)) {
  pageTest(`an analysis worker that ${happens} is replaced, and its frames are looked at again`, async ({ page }) => {
    await choose(page, media('people.mp4'));
    await setOptions(page, { budget: 40, workers: 1 });
    await page.locator('#start').click();
    await page.locator('.strip canvas').nth(2).waitFor({ state: 'attached', timeout: 60_000 });
    const names = await Promise.all(page.workers().map((worker) => worker.evaluate(() => self.name)));
    const worker = page.workers()[names.indexOf('framesift analysis 1')];
    // The one that hangs never answers.
    worker.evaluate(what).catch(() => undefined);
    await waitForState(page, 'done');
    const { manifest } = await download(page);
    checkFrames(manifest, media('people.mp4'));
    assertSameResult(manifest, await extractNatively(media('people.mp4'), '--budget', '40'));
  });
}

pageTest('a file that is cut off is told by how long it says it lasts, where it does not list its frames', async ({ page }) => {
  await scan(page, path('truncated.mkv'), { budget: 4, faces: 'ignore' });
  const { manifest } = await download(page);
  const native = await extractNatively(path('truncated.mkv'), '--budget', '4', '--faces', 'ignore');
  assert.equal(manifest.video.frames_missing, 0);
  assert.match(manifest.video.notes.join(), /lasts 5\.0 s, but its frames end after 3\.0 s/);
  assert.deepEqual(native.video.notes, manifest.video.notes);
});

pageTest('where the disk is full the page says so, and the scan is still there', async ({ page, context, server }) => {
  await scan(page, media('people.mp4'), { budget: 40, faces: 'ignore' });
  const devtools = await context.newCDPSession(page);
  // A little more than what is there already: the page's own files.
  const usage = await page.evaluate(() => navigator.storage.estimate().then((estimate) => estimate.usage));
  await devtools.send('Storage.overrideQuotaForOrigin', { origin: server.origin, quotaSize: usage + 50_000 });
  await page.locator('#download').click();
  await page.locator('#failure:not(:empty)').waitFor({ state: 'attached', timeout: 60_000 });
  assert.match(await page.locator('#failure').innerText(), /more room[^]*fewer frames/);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin: server.origin });
  const { manifest } = await download(page);
  assert.equal(manifest.frames.length, await page.locator('.gallery li').count());
});

pageTest('a ZIP leaves nothing behind when the page is opened again', async ({ page }) => {
  const stored = () => page.evaluate(async () => {
    const names = [];
    for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(name);
    return names;
  });
  await scan(page, media('vp9.webm'), { budget: 4, faces: 'ignore' });
  await download(page);
  assert.equal((await stored()).length, 1);
  await page.reload();
  await waitForState(page, 'idle');
  await page.waitForFunction(async () => (await (await navigator.storage.getDirectory()).keys().next()).done);
});

pageTest('a file’s name is text, not a part of the page', async ({ page }) => {
  const name = '<img src=x onerror="window.taken = true">.webm';
  await page.locator('#file').setInputFiles({ name, mimeType: 'video/webm', buffer: readFileSync(media('vp9.webm')) });
  await waitForState(page, 'ready');
  assert.ok((await page.locator('body').innerText()).includes(name));
  await page.locator('#start').click();
  await waitForState(page, 'done');
  const { manifest } = await download(page);
  assert.equal(manifest.video.name, name);
  assert.equal(await page.evaluate(() => window.taken), undefined);
});

pageTest('nothing leaves the page, and it works without its server', async ({ page, context, server, countRequests }) => {
  const requestsSince = countRequests();
  await context.setOffline(true);
  await server.close();
  await scan(page, media('people.mp4'), { budget: 4 });
  const { manifest } = await download(page);
  assert.equal(manifest.frames.length, 4);
  assert.equal(requestsSince(), 0);
});

pageTest('the page forbids itself the network', async ({ page, server }) => {
  const before = server.requests();
  const attempt = (url) => page.evaluate((u) => fetch(u).then(() => 'allowed', (e) => e.name), url);
  assert.equal(await attempt(`${server.origin}/index.html`), 'TypeError');
  assert.equal(await attempt('http://example.com/'), 'TypeError');
  const image = await page.evaluate(
    (u) => new Promise((resolve) => {
      const probe = new Image();
      probe.onload = () => resolve('loaded');
      probe.onerror = () => resolve('refused');
      probe.src = u;
    }),
    `${server.origin}/picture.svg`,
  );
  assert.equal(image, 'refused');
  const style = await page.evaluate(
    (u) => new Promise((resolve) => {
      const link = document.createElement('link');
      Object.assign(link, { rel: 'stylesheet', href: u, onload: () => resolve('loaded'), onerror: () => resolve('refused') });
      document.head.append(link);
    }),
    `${server.origin}/index.html?told`,
  );
  assert.equal(style, 'refused');
  assert.equal(server.requests(), before, 'the server saw nothing');
  assert.equal(await page.evaluate(() => crossOriginIsolated), false, 'no special headers are needed');
});

const BAD_INPUTS = [
  ['empty.mp4', /empty/],
  ['text.mp4', /not a video file/],
  ['audio.mp4', /no video track, only audio/],
  ['hevc.mp4', /cannot decode HEVC/],
  ['headless.mp4', /cut off|no tracks|cannot be read/],
];
for (const [name, message] of BAD_INPUTS) {
  pageTest(`${name} is refused in plain words`, async ({ page }) => {
    const failure = await choose(page, media(name)).then(() => null, (error) => error);
    assert.ok(failure instanceof PageFailure, 'the page says no');
    assert.match(failure.message, message);
    assert.ok(failure.message.split('\n').filter(Boolean).length >= 2, 'and what to do');
    // The next file is not affected.
    await page.locator('#file').setInputFiles(media('vp9.webm'));
    await page.locator('body[data-state="ready"]').waitFor();
  });
}

pageTest('a truncated file yields what is readable and says what is missing', async ({ page }) => {
  await scan(page, media('truncated.mp4'), { faces: 'ignore' });
  assert.match(await page.locator('#decoded').innerText(), /of 200 frames decoded; \d+ missing/);
  const { manifest } = await download(page);
  const { frames_expected, frames_decoded, frames_missing, notes } = manifest.video;
  assert.equal(frames_expected, 200);
  assert.ok(frames_decoded > 60 && frames_decoded < 160, `${frames_decoded} decoded`);
  assert.equal(frames_missing, frames_expected - frames_decoded);
  assert.ok(notes.some((note) => note.includes('missing')));
});

pageTest('a damaged stretch is skipped, counted, and what follows is decoded', async ({ page }) => {
  await scan(page, media('damaged.mp4'), { faces: 'ignore' });
  const { manifest } = await download(page);
  const { frames_expected, frames_decoded, frames_missing } = manifest.video;
  assert.equal(frames_expected, 200);
  assert.equal(frames_missing, frames_expected - frames_decoded);
  assert.ok(frames_decoded >= 120, `${frames_decoded} decoded`);
  const last = Math.max(...[...manifest.frames, ...manifest.rejected].map((f) => f.time_s));
  assert.ok(last > 7, `decoding went on to the end, last candidate at ${last} s`);
});

test('the page asks for nothing but its own files', () => {
  const html = readFileSync(new URL('../../dist/index.html', import.meta.url), 'utf8');
  assert.match(html, /Content-Security-Policy/);
  for (const [, url] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(url, /^(\.\/|data:)/);
});

test('before wasm and models the page is 300 kB at most, as servers send it', () => {
  const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
  const code = readdirSync(join(dist, 'assets')).filter((name) => /\.(js|css)$/.test(name));
  const files = [join(dist, 'index.html'), ...code.map((name) => join(dist, 'assets', name))];
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0);
  assert.ok(files.length >= 3 && bytes <= 300_000, `${bytes} bytes`);
});
