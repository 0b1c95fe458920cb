// What the page's tests share: a page for each test, a scan, and what is saved.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { launch, openPage, setOptions, waitForState } from '../../scripts/lib/browser.mjs';
import { readZip } from '../../scripts/lib/zip.mjs';

let browser;
let folder;

before(async () => {
  browser = await launch();
  folder = mkdtempSync(join(tmpdir(), 'framesift-test-'));
});

after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Opens the page for one test and closes it whatever happens. */
export function pageTest(name, run, options) {
  test(name, { timeout: 300_000 }, async () => {
    const opened = await openPage(browser, options);
    try {
      await run(opened);
      assert.deepEqual(opened.errors, [], 'the page reported errors');
    } finally {
      await opened.close();
    }
  });
}

/** The page in another tab of the same browser profile. */
export async function visit(context, origin) {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  await page.locator('body:not([data-state="loading"])').waitFor();
  return page;
}

/** The page's own private folder in the place of one that a person would choose. */
export const INTO_PRIVATE_FOLDER = {
  init: () => {
    window.showDirectoryPicker = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('out', { create: true });
  },
};

export async function choose(page, file) {
  await page.locator('#file').setInputFiles(file);
  await waitForState(page, 'ready');
}

export async function scan(page, file, options) {
  await choose(page, file);
  await setOptions(page, options);
  await page.locator('#start').click();
  await waitForState(page, 'done');
}

const schema = JSON.parse(readFileSync(new URL('../../docs/manifest.schema.json', import.meta.url), 'utf8'));
export const validate = new Ajv().compile(schema);

/** Presses a button that saves a file; returns where it is. */
export async function saved(page, button) {
  const started = page.waitForEvent('download');
  await page.locator(button).click();
  const file = join(folder, `${Math.random()}`);
  await (await started).saveAs(file);
  return file;
}

/** Presses Download and returns what the ZIP holds: Map of name to bytes. */
export async function download(page) {
  const file = await saved(page, '#download');
  await waitForState(page, 'done');
  const entries = await readZip(file);
  const manifest = JSON.parse(entries.get('manifest.json').toString('utf8'));
  assert.ok(validate(manifest), `manifest.json against its schema: ${JSON.stringify(validate.errors)}`);
  return { entries, manifest };
}
