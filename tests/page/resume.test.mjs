// Scans that are interrupted and gone on with: by a closed tab, a worker that is lost, or the user.
import assert from 'node:assert/strict';
import { setOptions, waitForState } from '../../scripts/lib/browser.mjs';
import { choose, download, pageTest, scan, visit } from './harness.mjs';
import { media } from './media.mjs';

const OPTIONS = { budget: 20, faces: 'require', min_face: 30 };

/** The manifest without what differs from run to run. */
const lasting = (manifest) => ({ ...manifest, timings_s: undefined });

/** Names of what lies in the page’s private folder. */
const stored = (page) =>
  page.evaluate(async () => {
    const names = [];
    for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(name);
    return names;
  });

/** Starts a scan and waits until some frames were looked at. */
async function scanPartly(page, file, options) {
  await choose(page, file);
  await setOptions(page, options);
  await page.locator('#start').click();
  await page.waitForFunction(() => Number(/([\d,]+) of/.exec(document.querySelector('.progress-text').innerText)?.[1].replace(',', '')) > 320, null, { polling: 50 });
}

/** Closes the tab as if it were killed and opens the page again in the same browser profile. */
async function reopened({ page, context, server }) {
  await page.close();
  return visit(context, server.origin);
}

pageTest('a scan whose tab was closed goes on where it was, to the same result', async (opened) => {
  const file = media('repeated.mp4');
  await scanPartly(opened.page, file, OPTIONS);
  const page = await reopened(opened);
  await page.locator('.kept-scans li').waitFor();
  assert.match(await page.locator('.kept-scans').innerText(), /The scan of “repeated\.mp4” was not saved/);
  await choose(page, file);
  const text = await page.locator('#resume').innerText();
  const [, m, s] = /Go on from (\d+):(\d+)/.exec(text);
  const at_s = 60 * Number(m) + Number(s);
  assert.ok(at_s >= 10, text);
  // What the choice depends on is asked for now, not then.
  await page.locator('.options details').first().evaluate((details) => (details.open = true));
  await page.locator('#option-min-face').fill('30');
  // Decoding begins there, not at the start.
  await page.locator('#resume').click();
  await page.waitForFunction(() => /Decoding/.test(document.querySelector('.progress-text').innerText));
  const first = await page.waitForFunction(() => Number(/([\d,]+) of/.exec(document.querySelector('.progress-text').innerText)?.[1].replace(',', '')) || 0);
  assert.ok((await first.jsonValue()) >= at_s * 25, 'frames that were looked at are not decoded again');
  await waitForState(page, 'done');
  // Pictures of what was found before follow.
  await page.waitForFunction(() => [...document.querySelectorAll('.gallery img, .people img')].every((img) => img.getAttribute('src') !== ''));
  // Faces are only preferred in a fresh page; the scan is the same.
  await page.locator('#option-faces').selectOption('require');
  await page.waitForFunction(() => document.body.dataset.choices === '2');
  const { manifest } = await download(page);
  // Saved: nothing is kept any more.
  const next = await reopened({ ...opened, page });
  await choose(next, file);
  assert.ok(await next.locator('#resume').isHidden());
  await setOptions(next, OPTIONS);
  await next.locator('#start').click();
  await waitForState(next, 'done');
  const whole = await download(next);
  assert.deepEqual(lasting(manifest), lasting(whole.manifest));
});

pageTest('a finished scan whose tab was closed comes back without decoding it again', async (opened) => {
  const file = media('people.mp4');
  await scan(opened.page, file);
  const kept = await opened.page.locator('.gallery li').count();
  const page = await reopened(opened);
  await choose(page, file);
  assert.equal(await page.locator('#resume').innerText(), 'Back to the result');
  await page.locator('#resume').click();
  await waitForState(page, 'done');
  assert.equal(await page.locator('.gallery li').count(), kept);
  await page.waitForFunction(() => [...document.querySelectorAll('.gallery img')].every((img) => img.getAttribute('src') !== ''));
});

pageTest('a kept scan can be forgotten, and progress is not kept where that is switched off', async (opened) => {
  await scan(opened.page, media('people.mp4'));
  let page = await reopened(opened);
  await page.locator('.kept-scans button').click();
  page = await reopened({ ...opened, page });
  await choose(page, media('people.mp4'));
  assert.ok(await page.locator('#resume').isHidden());
  await page.locator('#keep').uncheck();
  await page.locator('#start').click();
  await waitForState(page, 'done');
  page = await reopened({ ...opened, page });
  assert.ok(await page.locator('.kept-scans').isHidden());
  // With a scan that is open as well.
  await scan(page, media('people.mp4'));
  await choose(page, media('people.mp4'));
  await page.locator('#forget').click();
  await page.locator('#resume').waitFor({ state: 'hidden' });
  page = await reopened({ ...opened, page });
  assert.ok(await page.locator('.kept-scans').isHidden());
  assert.deepEqual(await stored(page), []);
});

pageTest('what is kept of a scan goes when another video is opened in its place', async ({ page }) => {
  await scan(page, media('people.mp4'));
  assert.equal((await stored(page)).length, 1);
  await choose(page, media('vp9.webm'));
  assert.deepEqual(await stored(page), []);
});

pageTest('a cancelled scan can be gone on with', async ({ page }) => {
  const file = media('repeated.mp4');
  await scanPartly(page, file, { budget: 20 });
  await page.locator('#cancel').click();
  await waitForState(page, 'ready');
  await page.locator('#resume').click();
  await waitForState(page, 'done');
  assert.match(await page.locator('.summary').innerText(), /All 1,000 frames decoded/);
});

pageTest('another video’s scan, or one whose record is torn, is not gone on with blindly', async (opened) => {
  const file = media('repeated.mp4');
  await scanPartly(opened.page, file, { budget: 20 });
  let page = await reopened(opened);
  // Another file: nothing to go on with, and the kept scan is still there.
  await choose(page, media('people.mp4'));
  assert.ok(await page.locator('#resume').isHidden());
  page = await reopened({ ...opened, page });
  await page.locator('.kept-scans li').waitFor();
  const damaged = await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    for await (const [name, handle] of root.entries()) {
      if (!name.startsWith('framesift-scan-')) continue;
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      bytes[Math.floor(bytes.length / 2)] ^= 0x55;
      const target = await handle.createWritable();
      await target.write(bytes);
      await target.close();
      return bytes.length;
    }
    return 0;
  });
  assert.ok(damaged > 0);
  await choose(page, file);
  await page.locator('#resume').click();
  await waitForState(page, 'done');
  assert.match(await page.locator('.summary').innerText(), /All 1,000 frames decoded/);
});

pageTest(
  'a scan whose own worker crashed can be gone on with',
  async ({ page }) => {
    await scanPartly(page, media('repeated.mp4'), { budget: 20 });
    // And once more as it is gone on with: the file is still known.
    for (let crash = 0; crash < 2; crash++) {
      if (crash > 0) {
        await page.locator('#resume').click();
        await page.locator('body[data-state="running"]').waitFor();
      }
      await page.evaluate(() => window.workers.get('framesift job').dispatchEvent(new window.ErrorEvent('error', { message: 'gone' })));
      await page.locator('#failure:not(:empty)').waitFor();
      await page.locator('#resume:visible').waitFor();
      assert.match(await page.locator('#failure').innerText(), /A background worker stopped: gone/);
    }
    await page.locator('#resume').click();
    await waitForState(page, 'done');
    assert.match(await page.locator('.summary').innerText(), /All 1,000 frames decoded/);
  },
  {
    init: () => {
      window.workers = new Map();
      window.Worker = class extends window.Worker {
        constructor(url, options) {
          super(url, options);
          window.workers.set(options.name, this);
        }
      };
    },
  },
);

pageTest('a scan that cannot be kept goes on, and says so', async ({ page, context, server }) => {
  const file = media('repeated.mp4');
  await choose(page, file);
  const other = await visit(context, server.origin);
  await choose(other, file);
  await setOptions(other, { budget: 20 });
  await other.locator('#start').click();
  await other.locator('#failure:not(:empty)').waitFor();
  assert.match(await other.locator('#failure').innerText(), /cannot be kept: another tab/);
  await other.locator('body[data-state="done"]').waitFor({ timeout: 60_000 });
  assert.match(await other.locator('.summary').innerText(), /All 1,000 frames decoded/);
});

pageTest(
  'without room on the disk a scan goes on, and says that it is not kept',
  async ({ page }) => {
    await choose(page, media('repeated.mp4'));
    await setOptions(page, { budget: 20 });
    await page.locator('#start').click();
    await page.locator('#failure:not(:empty)').waitFor();
    assert.match(await page.locator('#failure').innerText(), /there is no more room on this disk/);
    await page.locator('body[data-state="done"]').waitFor({ timeout: 60_000 });
    assert.match(await page.locator('.summary').innerText(), /All 1,000 frames decoded/);
  },
  {
    // The workers’ code comes as blobs. A full disk writes less than it is given.
    init: () => {
      const full = `{
        const { write } = FileSystemSyncAccessHandle.prototype;
        let room = 50_000;
        FileSystemSyncAccessHandle.prototype.write = function (bytes, options) {
          const fits = bytes.subarray(0, Math.max(0, room));
          room -= bytes.length;
          return write.call(this, fits, options);
        };
      }`;
      const { createObjectURL } = URL;
      URL.createObjectURL = (blob) => createObjectURL(blob.type.startsWith('text/javascript') ? new Blob([full, blob], { type: blob.type }) : blob);
    },
  },
);
