// Several videos at once.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setOptions, waitForState } from '../../scripts/lib/browser.mjs';
import { ROOT } from '../../scripts/lib/tools.mjs';
import { readZip } from '../../scripts/lib/zip.mjs';
import { INTO_PRIVATE_FOLDER, pageTest } from './harness.mjs';
import { media } from './media.mjs';

const states = (page) => page.locator('.queue li').evaluateAll((items) => items.map((item) => item.dataset.item));
const texts = (page) => page.locator('.queue .state').allInnerTexts();

async function chooseAll(page, names) {
  await page.locator('#file').setInputFiles(names.map(media));
  await page.locator('body[data-state="ready"]').waitFor();
}

pageTest('all videos are scanned and saved, each into a folder of its own, and a bad one does not stop the others', async ({ page }) => {
  await chooseAll(page, ['people.mp4', 'text.mp4', 'vp9.webm']);
  assert.match(await page.locator('#queue-title').innerText(), /^3 videos, /);
  await setOptions(page, { budget: 4 });
  await page.locator('#all-folder').click();
  await page.waitForFunction(() => document.querySelectorAll('[data-item="saved"], [data-item="failed"]').length === 3, null, { timeout: 60_000 });
  assert.deepEqual(await states(page), ['saved', 'failed', 'saved']);
  const [first, second, third] = await texts(page);
  assert.match(first, /^saved: 4 frames$/);
  assert.match(second, /^failed: “text\.mp4” is not a video file/);
  assert.match(third, /^saved: \d frames?$/);
  const names = await page.evaluate(async () => {
    const out = await (await navigator.storage.getDirectory()).getDirectoryHandle('out');
    const found = [];
    for await (const [name, folder] of out.entries()) {
      await folder.getFileHandle('manifest.json');
      found.push(name);
    }
    return found.sort();
  });
  assert.deepEqual(names, ['people-framesift', 'vp9-framesift']);
  assert.ok(await page.locator('#all-zip').isDisabled(), 'nothing is left to do');
}, INTO_PRIVATE_FOLDER);

pageTest('who is left out by photos is left out of all videos', async ({ page }) => {
  await chooseAll(page, ['people.mp4', 'vfr.mp4']);
  await setOptions(page, { budget: 10 });
  await page.locator('#start').click();
  await waitForState(page, 'done');
  await page.locator('#avoid').setInputFiles(join(ROOT, 'node_modules/@vladmandic/face-api/demo/sample6.jpg'));
  await page.locator('.looking p').waitFor();
  await page.locator('#all-folder').click();
  await page.waitForFunction(() => document.querySelectorAll('[data-item="saved"]').length === 2, null, { timeout: 60_000 });
  const manifests = await page.evaluate(async () => {
    const out = await (await navigator.storage.getDirectory()).getDirectoryHandle('out');
    const read = async (name) => JSON.parse(await (await (await (await out.getDirectoryHandle(`${name}-framesift`)).getFileHandle('manifest.json')).getFile()).text());
    return Promise.all(['people', 'vfr'].map(read));
  });
  for (const { options, frames, rejected } of manifests) {
    assert.deepEqual(options.avoid, ['sample6.jpg']);
    assert.ok(frames.length > 0 && rejected.some(({ reason }) => reason === 'unwanted_person'));
    for (const { faces } of frames) assert.ok(faces.every((face) => face.avoid_cosine < 0.45));
  }
}, INTO_PRIVATE_FOLDER);

pageTest('without a folder each video becomes a ZIP', async ({ page }) => {
  await chooseAll(page, ['people.mp4', 'vp9.webm']);
  await setOptions(page, { budget: 3 });
  const names = [];
  page.on('download', (download) => names.push(download.suggestedFilename()));
  await page.locator('#all-zip').click();
  await page.waitForFunction(() => document.querySelectorAll('[data-item="saved"]').length === 2, null, { timeout: 60_000 });
  assert.deepEqual(names, ['people-framesift.zip', 'vp9-framesift.zip']);
});

pageTest('one of several is scanned, left for another, and come back to', async ({ page }) => {
  await chooseAll(page, ['people.mp4', 'vp9.webm']);
  await page.locator('#start').click();
  await waitForState(page, 'done');
  assert.match((await texts(page))[0], /^scanned: \d+ frames$/);
  const kept = await page.locator('.gallery li').count();
  await page.locator('.queue button').nth(1).click();
  await waitForState(page, 'ready');
  assert.ok(await page.locator('#resume').isHidden());
  await page.locator('#start').click();
  await waitForState(page, 'done');
  await page.locator('.queue button').first().click();
  await waitForState(page, 'ready');
  await page.locator('#resume').click();
  await waitForState(page, 'done');
  assert.equal(await page.locator('.gallery li').count(), kept);
  // What was decided by hand is saved when all is.
  await page.locator('.gallery .decide').first().click();
  await page.locator('#undo[aria-disabled="false"]').waitFor();
  const first = page.waitForEvent('download');
  await page.locator('#all-zip').click();
  const manifest = JSON.parse((await readZip(await (await first).path())).get('manifest.json').toString('utf8'));
  assert.equal(manifest.options.edits.exclude.length, 1);
  await page.waitForFunction(() => document.querySelectorAll('[data-item="saved"]').length === 2, null, { timeout: 60_000 });
});

pageTest('a bad one among several leaves the result before it as it is', async ({ page }) => {
  await chooseAll(page, ['people.mp4', 'text.mp4']);
  await page.locator('#start').click();
  await waitForState(page, 'done');
  await page.locator('.queue button').nth(1).click();
  await page.locator('#failure:not(:empty)').waitFor();
  assert.deepEqual(await states(page), ['scanned', 'failed']);
  await page.locator('#download').click();
  await page.locator('[data-item="saved"]').waitFor();
  assert.deepEqual(await states(page), ['saved', 'failed']);
});

pageTest('cancelling ends the whole row', async ({ page }) => {
  await chooseAll(page, ['repeated.mp4', 'people.mp4']);
  await page.locator('#all-zip').click();
  await page.locator('body[data-state="running"]').waitFor();
  await page.locator('.strip canvas').first().waitFor({ state: 'attached' });
  await page.locator('#cancel').click();
  await waitForState(page, 'ready');
  await page.waitForTimeout(500);
  assert.equal(await page.evaluate(() => document.body.dataset.state), 'ready');
  assert.deepEqual(await states(page), ['open', 'waiting']);
});
