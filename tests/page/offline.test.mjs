// The page without a network, and a new version of it.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '../../scripts/lib/serve.mjs';
import { ROOT } from '../../scripts/lib/tools.mjs';
import { download, pageTest, scan, visit } from './harness.mjs';
import { media } from './media.mjs';

pageTest('after the first visit the whole job works without a network', async ({ page, context, server }) => {
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.close();
  await server.close();
  const offline = await visit(context, server.origin);
  await scan(offline, media('people.mp4'), { budget: 5 });
  const { manifest } = await download(offline);
  assert.ok(manifest.frames.length === 5);
  await assert.rejects(fetch(server.origin), 'nobody answers there');
});

pageTest('only the wasm variant that runs here is fetched, and nothing after the page has loaded', async ({ page, server }) => {
  const before = server.requests();
  const kept = await page.evaluate(async () => (await (await window.caches.open('framesift')).keys()).map(({ url }) => new URL(url).pathname));
  assert.equal(kept.filter((path) => /framesift_bg-.*\.wasm$/.test(path)).length, 1);
  assert.equal(kept.filter((path) => path.endsWith('.onnx')).length, 2);
  assert.ok(kept.includes('/'));
  await page.waitForTimeout(3000);
  assert.equal(server.requests(), before);
});

pageTest('browsers may offer to install it', async ({ page, context }) => {
  const client = await context.newCDPSession(page);
  const { errors } = await client.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  const { installabilityErrors } = await client.send('Page.getInstallabilityErrors');
  // What the test's own profile stands in the way of.
  assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'), []);
});

pageTest('a new version comes with the next visit, and an old one is not kept', async ({ context }) => {
  const folder = mkdtempSync(join(tmpdir(), 'framesift-site-'));
  try {
    cpSync(join(ROOT, 'dist'), folder, { recursive: true });
    const server = await serve({ '/': folder });
    await (await visit(context, server.origin)).evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    // Another version: its code has another name.
    const index = join(folder, 'index.html');
    const html = readFileSync(index, 'utf8');
    const [, script] = /src="\.\/(assets\/index-[^"]+\.js)"/.exec(html);
    cpSync(join(folder, script), join(folder, 'assets/index-newer.js'));
    rmSync(join(folder, script));
    writeFileSync(index, html.replace(script, 'assets/index-newer.js').replace('<title>framesift', '<title>framesift 2'));
    const second = await visit(context, server.origin);
    assert.equal(await second.title(), 'framesift 2');
    const kept = await second.evaluate(async () => (await (await window.caches.open('framesift')).keys()).map(({ url }) => url));
    assert.equal(kept.filter((url) => url.endsWith('.js')).length, 1);
    await server.close();
    const third = await visit(context, server.origin);
    assert.equal(await third.title(), 'framesift 2');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

pageTest('a video that is chosen while the page loads is opened when it is ready', async ({ page, context, server }) => {
  await page.close();
  const slow = await context.newPage();
  await slow.addInitScript(() => {
    const { WebAssembly } = window;
    const { compile } = WebAssembly;
    WebAssembly.compile = async (bytes) => {
      window.slowed = true;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return compile(bytes);
    };
  });
  await slow.goto(`${server.origin}/`);
  await slow.locator('#file').setInputFiles(media('people.mp4'));
  assert.match(await slow.locator('.drop').innerText(), /“people\.mp4” opens in a moment/);
  await slow.locator('body[data-state="ready"]').waitFor();
  assert.ok(await slow.evaluate(() => window.slowed));
});

pageTest('where a file cannot be kept, the page works, and no half version of it is kept', async ({ page, context, server }) => {
  await page.close();
  const other = await context.newPage();
  await other.addInitScript(() => {
    const { put } = window.Cache.prototype;
    window.Cache.prototype.put = function (url, response) {
      return String(url).includes('.onnx') ? Promise.reject(new DOMException('full', 'QuotaExceededError')) : put.call(this, url, response);
    };
  });
  await other.goto(`${server.origin}/`);
  // What the page before has kept is not this one's.
  await other.evaluate(() => window.caches.delete('framesift'));
  await other.reload();
  await other.locator('body:not([data-state="loading"])').waitFor();
  const kept = await other.evaluate(async () => (await (await window.caches.open('framesift')).keys()).map(({ url }) => new URL(url).pathname));
  assert.ok(kept.some((path) => path.endsWith('.wasm')) && !kept.includes('/'), kept.join(' '));
});
